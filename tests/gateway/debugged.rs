//! Debug mode of a key: what is said of a signature that names it and does not fit, and that of no other key anything is.

use super::aws::{Aws, sha256};
use super::backend::Backend;
use super::client::{Answer, Ask, NOW_MS, Who};
use super::harness::{ACCOUNT, READER, Setup, World, nobodys};
use super::signatures::{CLASSIC, Dialect, Parts, SECRET_VAULT, V2};

const DEBUGGED: Who = Who { key: "deb09000000000000000000000000001", secret: "debugged-secret-00001" };
/// Its debug mode has ended just now.
const ENDED: Who = Who { key: "deb09000000000000000000000000002", secret: "debugged-secret-00002" };
const UNKNOWN: Who = Who { key: "deb09000000000000000000000000003", secret: "debugged-secret-00003" };
const USER: &str = "deb09000000000000000000000000009";
const WRONG: &str = "JF80yVh09iFBejYp/foef9HQPYAMpCfOz/A4Sqoverw=";

fn started() -> (Backend, World) {
    let backend = Backend::start();
    let setup = Setup::new().set("service", "sigv4: {service: iam}");
    let setup = setup.record(&format!("{{kind: user, id: {USER}, account: {ACCOUNT}, name: debugged}}"));
    let setup = setup.key(&DEBUGGED, USER, ", debug_until: '2026-11-20T22:29:45.001Z'");
    let world = setup.key(&ENDED, USER, ", debug_until: '2026-11-20T22:29:45Z'").start(&backend);
    (backend, world)
}

/// The whole body, less what is every request's own.
fn told(answer: &Answer) -> String {
    assert_eq!(answer.verdict(), (401, "signature_mismatch"), "{}", answer.text());
    answer.text().replace(answer.request_id(), "ID")
}

#[test]
fn only_a_key_in_debug_mode_says_what_was_compared() {
    let (backend, world) = started();
    let ask = |dialect: &'static Dialect, key: &str| {
        let mut parts = Parts::signed(dialect, "GET", "/v1/groups?a=%20b", dialect.scope.1, NOW_MS);
        (parts.access, parts.signature) = (key.to_owned(), WRONG.to_owned());
        world.ask(parts.bytes())
    };
    let stranger = told(&ask(&V2, UNKNOWN.key));
    for dialect in [&V2, &CLASSIC, &SECRET_VAULT] {
        for quiet in [UNKNOWN.key, READER.key, ENDED.key].into_iter().chain(nobodys()) {
            assert_eq!(told(&ask(dialect, quiet)), stranger, "{dialect:?} {quiet}");
        }
        let string = format!("GEThttp://iam.test/v1/groups?a=%20b{NOW_MS}{}{}{}", DEBUGGED.key, dialect.scope.1, dialect.client.1);
        let digest = sha256(string.as_bytes());
        let said = format!(" (the key is in debug mode: of the string to sign the SHA-256 is {digest})\"");
        let answer = ask(dialect, DEBUGGED.key);
        assert_eq!(told(&answer).replace(&said, "\""), stranger, "{dialect:?} {}", answer.text());
        assert!(answer.text().contains(&digest) && answer.header("portcullis-revision").is_none());
        // Neither what was signed nor what would have been right is said.
        assert!(!answer.text().contains("iam.test") && !answer.text().contains(DEBUGGED.secret) && !answer.text().contains(WRONG));
    }
    // Everything else about the key is as it was.
    let good = world.ask(Ask::get("/v1/groups").by(&DEBUGGED));
    assert_eq!(good.verdict(), (403, "implicit_deny"));
    assert_eq!(backend.count(), 0);
}

#[test]
fn of_an_aws_signature_the_canonical_request_is_told_too() {
    let (backend, world) = started();
    let aws = |who: Who| Aws { who, ..Aws::new("GET", "/v1/groups").query("b=2&a=1") };
    let wrong = |who: Who| aws(Who { secret: "another secret", ..who });
    let stranger = told(&world.ask(wrong(UNKNOWN).signed()));
    let unknown = nobodys().map(|key| Who { key, ..UNKNOWN });
    for quiet in [UNKNOWN, READER, ENDED].into_iter().chain(unknown) {
        assert_eq!(told(&world.ask(wrong(quiet).signed())), stranger);
        assert_eq!(told(&world.ask(wrong(quiet).presigned("60"))), stranger);
    }
    // Whatever is presented, the service says which schemes it takes, each in a line.
    for request in [wrong(READER).signed(), Ask::get("/v1/groups").plain()] {
        let schemes = [r#"Scp-HMAC-SHA256 realm="portcullis""#, r#"Bearer realm="portcullis""#, "AWS4-HMAC-SHA256"];
        assert_eq!(world.ask(request).all("www-authenticate"), schemes);
    }
    let (signed, presigned) = (aws(DEBUGGED).signed_strings(), aws(DEBUGGED).presigned_strings("60"));
    let body = Aws { who: Who { secret: "another secret", ..DEBUGGED }, ..Aws::new("POST", "/v1/groups").body(b"{}") };
    for (request, (canonical, string)) in
        [(wrong(DEBUGGED).signed(), signed), (wrong(DEBUGGED).presigned("60"), presigned), (body.signed(), body.signed_strings())]
    {
        let said = format!(
            " (the key is in debug mode: of the string to sign the SHA-256 is {}, of the canonical request {})\"",
            sha256(string.as_bytes()),
            sha256(canonical.as_bytes())
        );
        let answer = world.ask(request);
        assert!(answer.text().contains(&said), "{}", answer.text());
        assert_eq!(told(&answer).replace(&said, "\""), stranger);
    }
    assert_eq!(backend.count(), 0);
}

#[test]
fn whoever_fails_too_often_is_told_no_digest_either() {
    let backend = Backend::start();
    let world = Setup::new()
        .set("authentication", "{failures_per_minute: {address: 100, key: 2}}")
        .record(&format!("{{kind: user, id: {USER}, account: {ACCOUNT}, name: debugged}}"))
        .key(&DEBUGGED, USER, ", debug_until: '2026-11-20T22:30:00Z'")
        .start(&backend);
    let ask = || world.ask(Ask::get("/v1/groups").by(&Who { secret: "another secret", ..DEBUGGED }));
    for _ in 0..2 {
        assert!(told(&ask()).contains("debug mode"));
    }
    let answer = ask();
    assert_eq!(answer.verdict(), (429, "too_many_failures"));
    assert!(!answer.text().contains("debug mode"), "{}", answer.text());
}
