//! Tokens of identity providers of others: whom they stand for, and when they count no more.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis::gateway::{State, system_time};
use serde_json::{Value as Json, json};

use super::backend::Backend;
use super::client::{Answer, Ask, NOW_MS};
use super::harness::{ACCOUNT, ADMIN, OTHER_ACCOUNT, Setup, World, text, wait};
use super::process::Program;

const ISSUER: &str = "https://idp.test/realms/one";
const ADMIN_ID: &str = "ad000000000000000000000000000001";
const OTHER_ID: &str = "07000000000000000000000000000002";
const INVALID: (u16, &str) = (401, "token_invalid");
const ALLOWED: (u16, &str) = (200, "allow");

/// A key of a provider, made and used by an independent program.
struct Key {
    folder: tempfile::TempDir,
    name: &'static str,
}

fn openssl(folder: &Path, arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let mut child = Command::new("openssl")
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{arguments:?}");
    output.stdout
}

impl Key {
    fn new(name: &'static str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        openssl(folder.path(), &["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", "key.pem"], b"");
        Self { folder, name }
    }

    fn published(&self) -> Json {
        let shown = openssl(self.folder.path(), &["rsa", "-in", "key.pem", "-noout", "-modulus"], b"");
        let digits = String::from_utf8(shown).unwrap();
        let digits = digits.trim().strip_prefix("Modulus=").unwrap().as_bytes();
        let modulus: Vec<u8> = digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect();
        json!({"kty": "RSA", "use": "sig", "alg": "RS256", "kid": self.name, "n": URL_SAFE_NO_PAD.encode(modulus), "e": "AQAB"})
    }

    fn sign(&self, head: &Json, claims: &Json) -> String {
        let part = |json: &Json| URL_SAFE_NO_PAD.encode(json.to_string());
        let message = format!("{}.{}", part(head), part(claims));
        let signature = openssl(self.folder.path(), &["dgst", "-sha256", "-sign", "key.pem"], message.as_bytes());
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    fn token(&self, claims: &Json) -> String {
        self.sign(&json!({"alg": "RS256", "typ": "JWT", "kid": self.name}), claims)
    }
}

fn set(keys: &[&Key]) -> String {
    json!({"keys": keys.iter().map(|key| key.published()).collect::<Vec<_>>()}).to_string()
}

fn claims_at(now_ms: i64) -> Json {
    let now = now_ms / 1_000;
    json!({"iss": ISSUER, "aud": ["portcullis", "account"], "sub": "ada@example.com", "iat": now, "exp": now + 60, "portcullis_user": ADMIN_ID})
}

fn claims() -> Json {
    claims_at(NOW_MS)
}

fn with(name: &str, value: Json) -> Json {
    let mut claims = claims();
    claims[name] = value;
    claims
}

fn configured(keys_url: &str, refresh_s: u32) -> Setup {
    Setup::new().set(
        "policy",
        format!(
            "{{}}\ntoken_issuers:\n  - {{issuer: '{ISSUER}', audience: portcullis, keys: '{keys_url}', accounts: [{ACCOUNT}], user_claim: portcullis_user, refresh_s: {refresh_s}}}"
        ),
    )
}

/// A gateway that has been told these keys, and its state.
fn start(keys: &[&Key]) -> (Backend, World, State) {
    let backend = Backend::start();
    let world = configured("https://idp.test/keys", 300).start(&backend);
    let state = world.changed(|setup| setup);
    if !keys.is_empty() {
        state.view.issuers[0].publish(set(keys).as_bytes()).unwrap();
    }
    world.publish(state.clone());
    (backend, world, state)
}

fn ask(world: &World, token: &str) -> Answer {
    world.ask(Ask::get("/v1/groups/g1").line(&format!("Authorization: Bearer {token}")).plain())
}

#[test]
fn a_token_of_a_provider_is_a_console_login_of_the_user_that_it_names() {
    let key = Key::new("one");
    let (backend, world, _) = start(&[&key]);
    let token = key.token(&claims());
    for _ in 0..2 {
        let answer = ask(&world, &token);
        assert_eq!(answer.verdict(), ALLOWED);
        let seen = backend.last();
        assert!(!seen.head.contains(&token) && seen.header("authorization").is_none());
        assert_eq!(seen.header("portcullis-account").as_deref(), Some(ACCOUNT));
        let record = world.record(answer.request_id());
        assert_eq!((text(&record, "authentication_type"), text(&record, "issuer")), (Some("ConsoleLogin"), Some(ISSUER)));
        assert_eq!(text(&record, "principal"), Some(&*format!("srn:e::{ACCOUNT}:::scp-iam:user/{ADMIN_ID}")));
    }
    // One that is refused before that is known names nobody.
    let refused = ask(&world, &key.token(&with("portcullis_user", json!(OTHER_ID))));
    assert_eq!(refused.verdict(), INVALID);
    assert_eq!(text(&world.record(refused.request_id()), "issuer"), None);
    let both = Ask::get("/v1/groups/g1").line(&format!("Authorization: Bearer {token}")).line(&format!("X-Auth-Token: {token}"));
    assert_eq!(world.ask(both.plain()).verdict(), (400, "several_credentials"));
}

#[test]
fn files_say_from_where_a_console_login_is_used() {
    let key = Key::new("one");
    let (_backend, world, _) = start(&[&key]);
    let token = key.token(&claims());
    let refused = (403, "console_address_refused");
    let of = |whose: &str, allowed: &str| format!("{{kind: console_access, {whose}, allowed_addresses: {allowed}}}");
    let (user, account) = (format!("user: {ADMIN_ID}"), format!("account: {ACCOUNT}"));
    for (records, expected) in [
        (vec![of(&user, "[127.0.0.0/8]")], ALLOWED),
        (vec![of(&user, "[10.0.0.0/8]")], refused),
        (vec![of(&user, "[]")], refused),
        (vec![of(&user, "not_used")], ALLOWED),
        (vec![of(&account, "[127.0.0.1]")], ALLOWED),
        (vec![of(&account, "[127.0.0.2]")], refused),
        // Both must have the address.
        (vec![of(&user, "[127.0.0.1]"), of(&account, "[]")], refused),
        (vec![of(&user, "[]"), of(&account, "not_used")], refused),
        (vec![of(&format!("user: {OTHER_ID}"), "[]"), of(&format!("account: {OTHER_ACCOUNT}"), "[]")], ALLOWED),
    ] {
        let state = world.changed(|setup| records.iter().fold(setup, |setup, record| setup.record(record)));
        state.view.issuers[0].publish(set(&[&key]).as_bytes()).unwrap();
        world.publish(state);
        assert_eq!(ask(&world, &token).verdict(), expected, "{records:?}");
        // Keys have a list of their own.
        assert_eq!(world.ask(Ask::get("/v1/groups/g1").by(&ADMIN)).verdict(), ALLOWED, "{records:?}");
    }
}

#[test]
fn what_is_no_token_of_the_provider_for_us_is_refused() {
    let (key, other) = (Key::new("one"), Key::new("one"));
    let (backend, world, state) = start(&[]);
    let good = key.token(&claims());
    let answer = ask(&world, &good);
    assert_eq!(answer.verdict(), INVALID);
    assert!(answer.text().contains("could not be fetched yet"), "{}", answer.text());
    state.view.issuers[0].publish(set(&[&key]).as_bytes()).unwrap();
    assert_eq!(ask(&world, &good).verdict(), ALLOWED);
    let served = backend.count();

    let (signed, now) = (&|claims: Json| key.token(&claims), NOW_MS / 1_000);
    let head = |head: Json| key.sign(&head, &claims());
    for (what, token, expected) in [
        ("another audience", signed(with("aud", json!("account"))), INVALID),
        ("another issuer", signed(with("iss", json!("https://idp.test/realms/two"))), INVALID),
        ("a slash", signed(with("iss", json!(format!("{ISSUER}/")))), INVALID),
        ("ended", signed(with("exp", json!(now))), (401, "token_expired")),
        ("not begun", signed(with("nbf", json!(now + 61))), INVALID),
        ("an end that is a text", signed(with("exp", json!((now + 60).to_string()))), INVALID),
        ("a name instead of an id", signed(with("portcullis_user", json!("admin"))), INVALID),
        ("nobody", signed(with("portcullis_user", json!(null))), INVALID),
        ("a user that is not there", signed(with("portcullis_user", json!("0".repeat(32)))), INVALID),
        ("a user of another account", signed(with("portcullis_user", json!(OTHER_ID))), INVALID),
        ("another key of the same name", other.token(&claims()), INVALID),
        ("an unknown key", head(json!({"alg": "RS256", "kid": "two"})), INVALID),
        ("no key", head(json!({"alg": "RS256"})), INVALID),
        ("no algorithm", head(json!({"alg": "none", "kid": "one"})), INVALID),
        ("a shared secret", head(json!({"alg": "HS256", "kid": "one"})), INVALID),
        ("a key of its own", head(json!({"alg": "RS256", "kid": "one", "jwk": key.published()})), INVALID),
        ("a key elsewhere", head(json!({"alg": "RS256", "kid": "one", "jku": "http://127.0.0.1:1/"})), INVALID),
        ("critical", head(json!({"alg": "RS256", "kid": "one", "crit": ["exp"]})), INVALID),
        ("longer", format!("{good}A"), INVALID),
        ("padded", format!("{good}="), INVALID),
        ("in five parts", format!("{good}.a.b"), INVALID),
    ] {
        let answer = ask(&world, &token);
        assert_eq!(answer.verdict(), expected, "{what}");
        assert!(!answer.text().contains(OTHER_ACCOUNT), "{what}: {}", answer.text());
        // Whoever has a token of the provider learns what is wrong with it, and nobody else does.
        let told =
            [("another audience", "its claim `aud` "), ("not begun", "its claim `nbf` "), ("an end that is a text", "its claim `exp` ")];
        let claim = told.iter().find(|(which, _)| *which == what).map(|(_, claim)| *claim);
        assert!(claim.is_none_or(|claim| answer.text().contains(claim)), "{what}: {}", answer.text());
        assert!(
            claim.is_some() || !answer.text().contains("its claim") || what == "a name instead of an id" || what == "nobody",
            "{what}: {}",
            answer.text()
        );
    }
    assert_eq!(backend.count(), served);
    assert_eq!(ask(&world, &good).verdict(), ALLOWED);
}

#[test]
fn a_key_that_is_published_no_more_counts_no_more_also_for_tokens_seen_before() {
    let (one, two) = (Key::new("one"), Key::new("two"));
    let (_backend, world, state) = start(&[&one]);
    let issuer = &state.view.issuers[0];
    let (first, second) = (one.token(&claims()), two.token(&claims()));
    let verdicts = || [&first, &second].map(|token| ask(&world, token).status);
    assert_eq!(verdicts(), [200, 401]);
    assert!(issuer.wanted().load(Ordering::Relaxed), "a key that is not known may be new");
    issuer.publish(set(&[&one, &two]).as_bytes()).unwrap();
    assert_eq!(verdicts(), [200, 200]);
    issuer.publish(set(&[&two]).as_bytes()).unwrap();
    assert_eq!(verdicts(), [401, 200]);
    // What is no set of keys changes nothing.
    assert!(issuer.publish(b"<html>").is_err());
    assert_eq!(verdicts(), [401, 200]);
    // Neither does who may do what.
    let gone = world.changed(|setup| {
        setup.edit_records(|records| {
            records.replace(&format!("id: {ADMIN_ID}, account"), &format!("active: false, id: {ADMIN_ID}, account"))
        })
    });
    gone.view.issuers[0].publish(set(&[&two]).as_bytes()).unwrap();
    world.publish(gone);
    assert_eq!(ask(&world, &second).verdict(), (401, "owner_inactive"));
}

#[test]
fn each_token_has_an_answer_of_its_own_however_many_come_at_once() {
    let (one, two) = (Key::new("one"), Key::new("two"));
    let backend = Backend::start();
    let other = "https://other.test";
    // Two issuers, each for its own account; the second one wants another audience.
    let world = Setup::new()
        .set(
            "policy",
            format!(
                "{{}}\ntoken_issuers:\n  - {{issuer: '{ISSUER}', audience: portcullis, keys: 'https://idp.test/keys', accounts: [{ACCOUNT}]}}\n  - {{issuer: '{other}', audience: [clouds, more], keys: 'https://other.test/keys', accounts: [{OTHER_ACCOUNT}]}}"
            ),
        )
        .start(&backend);
    let state = world.changed(|setup| setup);
    for (issuer, key) in state.view.issuers.iter().zip([&one, &two]) {
        issuer.publish(set(&[key]).as_bytes()).unwrap();
    }
    world.publish(state);
    let token = |key: &Key, issuer: &str, audience: &str, user: &str| {
        let mut claims = with("iss", json!(issuer));
        (claims["aud"], claims["sub"]) = (json!(audience), json!(user));
        key.token(&claims)
    };
    let rows = [
        (token(&one, ISSUER, "portcullis", ADMIN_ID), 200),
        (token(&two, other, "clouds", OTHER_ID), 200),
        (token(&two, other, "portcullis", OTHER_ID), 401),
        (token(&one, ISSUER, "clouds", ADMIN_ID), 401),
        (token(&two, ISSUER, "portcullis", ADMIN_ID), 401),
        (token(&one, other, "clouds", OTHER_ID), 401),
        (token(&one, ISSUER, "portcullis", OTHER_ID), 401),
        (token(&two, other, "clouds", ADMIN_ID), 401),
    ];
    std::thread::scope(|scope| {
        for (token, status) in &rows {
            let world = &world;
            scope.spawn(move || (0..20).for_each(|_| assert_eq!(ask(world, token).status, *status, "{token}")));
        }
    });
}

/// Publishes a text, and counts who asks for it.
fn publish(text: String) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, count) = (listener.local_addr().unwrap(), Arc::<AtomicUsize>::default());
    let counted = Arc::clone(&count);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, mut head) = (stream.unwrap(), [0; 2048]);
            let _ = stream.read(&mut head);
            counted.fetch_add(1, Ordering::SeqCst);
            let _ = write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{text}", text.len());
        }
    });
    (address, count)
}

#[test]
fn a_provider_is_asked_for_new_keys_now_and_then_whatever_tokens_name() {
    let key = Key::new("one");
    let (address, fetched) = publish(set(&[&key]));
    let (folder, backend) = (tempfile::tempdir().unwrap(), Backend::start());
    configured(&format!("http://{address}/keys"), 86_400).write(folder.path(), backend.address());
    let program = Program::start(folder.path());
    let mut client = program.connect();
    let mut ask = |token: &str| client.ask(Ask::get("/v1/groups/g1").line(&format!("Authorization: Bearer {token}")).plain());
    let now = claims_at(system_time().milliseconds());
    let good = key.token(&now);
    wait("the keys", || (ask(&good).status == 200).then_some(()));
    // The pause between two is ten seconds.
    let unknown = key.sign(&json!({"alg": "RS256", "kid": "nobody's"}), &now);
    for _ in 0..1_000 {
        assert_eq!(ask(&unknown).verdict(), INVALID);
    }
    assert!(fetched.load(Ordering::SeqCst) <= 2, "{fetched:?}");
    assert_eq!(ask(&good).status, 200);
    let page = program.page();
    assert!(page.contains(&format!("portcullis_issuer_key_fetches_total{{issuer=\"{ISSUER}\",result=\"fetched\"}} ")), "{page}");
    assert!(page.contains(&format!("portcullis_issuer_key_fetches_total{{issuer=\"{ISSUER}\",result=\"failed\"}} 0")), "{page}");
}
