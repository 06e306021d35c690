//! Signatures in the headers of Classic and of the Secret Vault API: as strict as v2, never beside another one, never forwarded.

use super::backend::Backend;
use super::client::{Ask, NOW_MS, Who};
use super::harness::{ACCOUNT, ADMIN, READER, Setup, World, text};
use super::signatures::{CLASSIC, Dialect, Parts, SECRET_VAULT, V2, sign_with_openssl};

const ALLOWED: (u16, &str) = (200, "allow");
const MISMATCH: (u16, &str) = (401, "signature_mismatch");
const MALFORMED: (u16, &str) = (401, "credential_malformed");
const SEVERAL: (u16, &str) = (400, "several_credentials");

/// Made with another HMAC of what wire-formats 1.4 and 2.2 say is signed, for `http://127.0.0.1:18080`: method, target, timestamp, scope, signature.
const VECTORS: [(&Dialect, &str, &str, &str, &str, &str); 5] = [
    (&CLASSIC, "GET", "/v1/endpoints", "1795213784687", CLASSIC.scope.1, "JF80yVh09iFBejYp/foef9HQPYAMpCfOz/A4Sqoverw="),
    (
        &CLASSIC,
        "GET",
        "/v1/groups?name=%ED%95%9C%EA%B8%80+A%2Bb%26c%3D%5Bx%5D&page=0&size=20&sort=created_at%3Adesc",
        "1795213784692",
        CLASSIC.scope.1,
        "11WWQYcT7nOUiW8LMcBX5Gcw7ULDHP0kpoVRr4DY9R0=",
    ),
    (&CLASSIC, "DELETE", "/v1/groups/a%20b%2Fc%ED%95%9C", "1795213784695", "", "husOkeubPitRwVjwAzrUBgvbBSXcfL06pdUgeikBvmw="),
    (&CLASSIC, "POST", "/v1/policies", "1795213784739", "PROJECT-a_b-9", "eYWNisOUPtJmyoGziUCdyeTC8mscKSQvLa4EevHT6Tg="),
    (&SECRET_VAULT, "POST", "/v1/access-keys", "1795213784783", "", "tvQH2qnp7/aujrUemkENUTWfteRkWM821XG+kRR0Vi8="),
];

#[test]
fn the_vectors_verify_and_nothing_of_the_signature_reaches_the_backend() {
    let backend = Backend::start();
    let world = Setup::new().start(&backend);
    let mut client = world.connect();
    for (dialect, method, target, timestamp, scope, signature) in VECTORS {
        let mut parts = Parts::signed(dialect, method, target, scope, 0);
        (parts.host, parts.timestamp, parts.signature) = ("127.0.0.1:18080".into(), timestamp.into(), signature.into());
        parts.more =
            "X-Cmp-Language: ko-KR\r\nX-Cmp-UserId: root\r\nX-Cmp-CompanyId: \r\nX-Cmp-LoginId: root\r\nX-Cmp-UserEmail: r@x\r\n".into();
        let answer = client.ask(parts.bytes());
        assert_eq!(answer.verdict(), ALLOWED, "{method} {target}: {}", answer.text());
        let record = world.record(answer.request_id());
        assert_eq!((text(&record, "access_key"), text(&record, "authentication_type")), (Some(ADMIN.key), Some("AuthenticationKey")));
        let seen = backend.last();
        assert_eq!(seen.head.split("\r\n").next().unwrap(), format!("{method} {target} HTTP/1.1"));
        let signed_by = format!(";type=AuthenticationKey;key={};", ADMIN.key);
        assert!(seen.header("portcullis-assertion").unwrap().contains(&signed_by));
        let names: Vec<String> = seen.headers().into_iter().map(|(name, _)| name).collect();
        let left: Vec<&String> = names.iter().filter(|name| name.starts_with("x-cmp-") || name.starts_with("sv")).collect();
        assert_eq!(left, ["x-cmp-language"]);
    }
    assert_eq!(backend.count(), VECTORS.len());
}

/// What was changed, how, and the verdict.
type Change = (&'static str, fn(&mut Parts), (u16, &'static str));

/// In both dialects.
const CHANGES: &[Change] = &[
    ("nothing", |_| {}, ALLOWED),
    ("an empty session token", |p| p.more.push_str("X-Auth-Token: \r\n"), ALLOWED),
    ("headers of v2 that are no signature", |p| p.more.push_str("Scp-ClientType: x\r\nScp-AccountId: x\r\nScp-Timestamp: 1\r\n"), ALLOWED),
    ("the signature's first byte", |p| p.signature.replace_range(0..1, "!"), MALFORMED),
    ("the signature's padding", |p| p.signature.truncate(43), MALFORMED),
    ("the signature, longer", |p| p.signature.push('='), MALFORMED),
    ("another signature", |p| p.signature = "JF80yVh09iFBejYp/foef9HQPYAMpCfOz/A4Sqoverw=".into(), MISMATCH),
    ("no signature", |p| p.signature.clear(), MALFORMED),
    ("an unknown key", |p| p.access.replace_range(31..32, "1"), MISMATCH),
    ("another known key", |p| p.access = READER.key.into(), MISMATCH),
    ("the key in capitals", |p| p.access = p.access.to_uppercase(), MALFORMED),
    ("no key", |p| p.access.clear(), MALFORMED),
    ("a later timestamp", |p| p.timestamp = (NOW_MS + 1).to_string(), MISMATCH),
    ("the timestamp with a leading zero", |p| p.timestamp.insert(0, '0'), MALFORMED),
    ("the timestamp in seconds", |p| p.timestamp.truncate(10), MALFORMED),
    ("the timestamp, six minutes early", |p| p.timestamp = (NOW_MS - 360_000).to_string(), (401, "clock_skew")),
    ("the timestamp, six minutes late", |p| p.timestamp = (NOW_MS + 360_000).to_string(), (401, "clock_skew")),
    ("the client type's case", |p| p.client = "OPENAPI".into(), MALFORMED),
    ("no client type", |p| p.client.clear(), MALFORMED),
    ("the Host of the service by another name", |p| p.host = "127.0.0.1:18080".into(), MISMATCH),
    ("another method", |p| p.method = "PUT".into(), MISMATCH),
    ("an empty query", |p| p.target.push('?'), MISMATCH),
    ("a byte encoded that needs it not", |p| p.target = p.target.replace("groups", "group%73"), MISMATCH),
    ("a bearer token beside it", |p| p.more.push_str("Authorization: Bearer x\r\n"), SEVERAL),
    ("a session token beside it", |p| p.more.push_str("X-Auth-Token: x\r\n"), (401, "session_token_invalid")),
    ("two session tokens beside it", |p| p.more.push_str("X-Auth-Token: x\r\nX-Auth-Token: x\r\n"), SEVERAL),
    ("a key of v2 beside it", |p| p.more.push_str("Scp-AccessKey: x\r\n"), SEVERAL),
    ("a second, empty key", |p| p.more.push_str(&format!("{}:\r\n", p.dialect.access.to_uppercase())), MALFORMED),
    ("a second signature", |p| p.more.push_str(&format!("{}: {}\r\n", p.dialect.signature, p.signature)), MALFORMED),
    ("a second timestamp", |p| p.more.push_str(&format!("{}: {}\r\n", p.dialect.timestamp, p.timestamp)), MALFORMED),
    ("a second client type", |p| p.more.push_str(&format!("{}: {}\r\n", p.dialect.client.0, p.client)), MALFORMED),
];

const OF_CLASSIC: &[Change] = &[
    ("another project", |p| p.account = Some("PROJECT-other".into()), MISMATCH),
    ("no project", |p| p.account = None, MISMATCH),
    ("a project in small letters", |p| p.account = Some("project-svnjb8jar0qpysoodcwmjj".into()), MALFORMED),
    ("an account for a project", |p| p.account = Some(ACCOUNT.into()), MALFORMED),
    ("a project that is too long", |p| p.account = Some(format!("PROJECT-{}", "a".repeat(45))), MALFORMED),
    ("a second project", |p| p.more.push_str("X-Cmp-ProjectId: \r\n"), MALFORMED),
    ("the client type of v2", |p| p.client = "Openapi".into(), MALFORMED),
    ("a signature of the Secret Vault beside it", |p| p.more.push_str("SvSignature: x\r\n"), SEVERAL),
    ("its signature in the headers of v2", |p| p.dialect = &V2, MALFORMED),
];

const OF_SECRET_VAULT: &[Change] = &[
    ("the client type of Classic", |p| p.client = "OpenApi".into(), MALFORMED),
    ("a signature of Classic beside it", |p| p.more.push_str("X-Cmp-Signature: x\r\n"), SEVERAL),
    ("a project that it does not know", |p| p.more.push_str("X-Cmp-ProjectId: PROJECT-a\r\n"), ALLOWED),
    // What is signed is the same, and so is what it says.
    ("its signature in the headers of v2", |p| p.dialect = &V2, ALLOWED),
    ("its signature in the headers of Classic", |p| p.dialect = &CLASSIC, MALFORMED),
];

#[test]
fn whatever_is_changed_is_refused_with_its_reason_and_the_connection_goes_on() {
    let backend = Backend::start();
    let world = Setup::new().start(&backend);
    let mut client = world.connect();
    let mut wrong = Vec::new();
    for (dialect, own) in [(&CLASSIC, OF_CLASSIC), (&SECRET_VAULT, OF_SECRET_VAULT)] {
        for (what, change, expected) in CHANGES.iter().chain(own) {
            let good = Parts::signed(dialect, "GET", "/v1/groups/g1", dialect.scope.1, NOW_MS);
            let mut parts = good.clone();
            change(&mut parts);
            let before = backend.count();
            let answer = client.ask(parts.bytes());
            let reached = backend.count() - before;
            if answer.verdict() != *expected || reached != usize::from(expected.0 == 200) {
                wrong.push(format!("{dialect:?}: {what}: {:?} instead of {expected:?}, {reached} at the backend", answer.verdict()));
            }
            assert_eq!(client.ask(good.bytes()).verdict(), ALLOWED, "after {what}");
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn errors_name_the_headers_of_the_dialect() {
    let backend = Backend::start();
    let world = Setup::new().start(&backend);
    let told = |parts: &Parts| world.ask(parts.bytes()).text();
    for dialect in [&V2, &CLASSIC, &SECRET_VAULT] {
        let good = Parts::signed(dialect, "GET", "/v1/groups/g1", "", NOW_MS);
        let name = |name: &str| format!("`{name}` must be ").to_ascii_lowercase();
        for (parts, name) in [
            (Parts { access: "x".into(), ..good.clone() }, name(dialect.access)),
            (Parts { timestamp: "x".into(), ..good.clone() }, name(dialect.timestamp)),
            (Parts { client: "x".into(), ..good.clone() }, name(dialect.client.0)),
            (Parts { signature: "x".into(), ..good.clone() }, name(dialect.signature)),
        ] {
            let text = told(&parts);
            assert!(text.to_ascii_lowercase().contains(&name), "{name}: {text}");
        }
    }
    let beside = Parts { more: "Scp-Signature: x\r\n".into(), ..Parts::signed(&CLASSIC, "GET", "/v1/groups/g1", "", NOW_MS) };
    let text = told(&beside);
    assert!(text.contains("an `X-Cmp-*` signature stands beside an `Scp-*` signature"), "{text}");
    let text = world.ask(Ask::get("/v1/groups/g1").plain()).text();
    assert!(text.contains("this service accepts `Scp-*`, `X-Cmp-*` and `Sv*` signatures"), "{text}");
}

#[test]
fn an_unknown_key_and_a_wrong_secret_get_the_same_answer_in_every_dialect() {
    let backend = Backend::start();
    let world = Setup::new().start(&backend);
    for dialect in [&V2, &CLASSIC, &SECRET_VAULT] {
        let good = Parts::signed(dialect, "GET", "/v1/groups/g1", dialect.scope.1, NOW_MS);
        let unknown = Parts { access: "0000000000000000000000000000dead".into(), ..good.clone() };
        let wrong = Parts { access: READER.key.into(), ..good };
        let [unknown, wrong] = [unknown, wrong].map(|parts| {
            let answer = world.ask(parts.bytes());
            assert_eq!(answer.verdict(), MISMATCH);
            answer.text().replace(answer.request_id(), "-")
        });
        assert_eq!(unknown, wrong);
    }
    assert_eq!(backend.count(), 0);
}

#[test]
fn a_service_that_observes_passes_the_whole_signature_on_if_it_is_told_to() {
    let backend = Backend::start();
    let world = Setup::new().set("service", "mode: observe").set("upstream", "keep_credentials: true").start(&backend);
    for dialect in [&CLASSIC, &SECRET_VAULT] {
        let mut parts = Parts::signed(dialect, "GET", "/v1/groups/g1", dialect.scope.1, NOW_MS);
        parts.more.push_str("X-Cmp-UserId: root\r\n");
        let answer = world.ask(parts.bytes());
        assert_eq!((answer.status, answer.header("portcullis-would-deny")), (200, None));
        let seen = backend.last();
        assert_eq!(seen.header(&dialect.signature.to_ascii_lowercase()), Some(parts.signature));
        let project = seen.header("x-cmp-projectid").unwrap_or_default();
        assert_eq!(project, dialect.scope.1);
        assert_eq!(seen.header("x-cmp-userid"), None);
    }
}

/// A client of openssl and curl, as a script would be.
fn with_curl(world: &World, dialect: &Dialect, who: &Who, method: &str, target: &str, scope: &str) -> (String, String) {
    let url = format!("http://iam.test:{}{target}", world.address.port());
    let string = format!("{method}{url}{NOW_MS}{}{scope}{}", who.key, dialect.client.1);
    let signature = sign_with_openssl(who.secret, &string);
    let mut curl = std::process::Command::new("curl");
    curl.args(["-sS", "-X", method, &url, "-w", "\n%{http_code}", "--connect-to", &format!("::{}", world.address)]);
    let timestamp = NOW_MS.to_string();
    let values = [
        (dialect.access, who.key),
        (dialect.timestamp, &timestamp),
        (dialect.client.0, dialect.client.1),
        (dialect.signature, &signature),
        (dialect.scope.0, scope),
    ];
    for (name, value) in values.into_iter().filter(|(_, value)| !value.is_empty()) {
        curl.args(["-H", &format!("{name}: {value}")]);
    }
    let output = curl.output().expect("curl is needed");
    let text = String::from_utf8(output.stdout).unwrap();
    let (body, status) = text.rsplit_once('\n').unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    (status.to_owned(), body.to_owned())
}

#[test]
fn curl_and_openssl_are_clients_of_every_dialect() {
    let backend = Backend::start();
    let world = Setup::new().start(&backend);
    for dialect in [&V2, &CLASSIC, &SECRET_VAULT] {
        for scope in ["", dialect.scope.1] {
            let asked = |who: &Who, method, target| with_curl(&world, dialect, who, method, target, scope);
            let target = "/v1/groups?name=%ED%95%9C%EA%B8%80+A%2Bb&size=20";
            let (status, body) = asked(&READER, "GET", target);
            assert_eq!(status, "200", "{dialect:?}: {body}");
            let (status, body) = asked(&READER, "DELETE", "/v1/groups/g1");
            assert!(status == "403" && body.contains("implicit_deny"), "{dialect:?}: {status} {body}");
            let (status, body) = asked(&Who { key: READER.key, secret: "not-it" }, "GET", target);
            assert!(status == "401" && body.contains("signature_mismatch"), "{dialect:?}: {status} {body}");
        }
    }
    assert_eq!(backend.count(), 6);
}
