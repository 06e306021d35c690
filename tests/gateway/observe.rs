//! Observe mode (contracts C15): what would be refused is forwarded, recorded and counted, and nothing else changes.

use super::backend::Backend;
use super::client::{Ask, NOW_MS, Who};
use super::harness::{ACCOUNT, ADMIN, READER, Setup, World, text};

const WRONG: Who = Who { key: ADMIN.key, secret: "not-the-secret-of-it" };

fn start(backend: &Backend, upstream: &str) -> World {
    Setup::new().set("service", "mode: observe\n    body_bytes_max: 64").set("upstream", upstream).start(backend)
}

/// Requests that would be refused, and why.
fn refusable() -> Vec<(Vec<u8>, &'static str)> {
    let group = Ask::get("/v1/groups/hidden");
    let bulk = Ask::new("DELETE", "/v1/policies/bulk");
    vec![
        (group.plain(), "no_credential"),
        (group.by(&WRONG), "signature_mismatch"),
        (group.with(&READER.lines(NOW_MS, "short")), "credential_malformed"),
        (group.with(&READER.sign_at("GET", "iam.test", "/v1/groups/hidden", NOW_MS - 400_000)), "clock_skew"),
        (group.clone().line("Authorization: Bearer x").by(&READER), "several_credentials"),
        (group.clone().line("X-Auth-Token: x").by(&READER), "session_token_invalid"),
        (group.by(&READER), "explicit_deny"),
        (Ask::new("DELETE", "/v1/groups/g1").by(&READER), "implicit_deny"),
        (Ask::get("/v9/unknown").by(&READER), "no_action_definition"),
        (Ask::get("/v1/x/../groups").by(&READER), "ambiguous_request"),
        (bulk.body("no json").by(&ADMIN), "malformed_request"),
    ]
}

#[test]
fn what_would_be_refused_is_forwarded_recorded_and_counted() {
    let backend = Backend::start();
    let world = start(&backend, "");
    let mut client = world.connect();
    let requests = refusable();
    for (request, reason) in &requests {
        let would = format!("portcullis_would_deny_total{{service=\"iam\",reason=\"{reason}\"}}");
        let before = (world.metric(&would), backend.count());
        let answer = client.ask(request);
        assert_eq!((answer.verdict(), answer.header("portcullis-would-deny")), ((200, "allow"), Some(*reason)), "{reason}");
        assert_eq!((world.metric(&would), backend.count()), (before.0 + 1, before.1 + 1), "{reason}");
        // The bytes pass as they are.
        let (seen, sent) = (backend.last(), String::from_utf8_lossy(request).into_owned());
        assert!(sent.starts_with(&format!("{} HTTP/1.1\r\n", seen.line())), "{reason}: {}", seen.head);
        assert!(
            seen.whole && request.ends_with(&seen.body) && sent.len() - sent.find("\r\n\r\n").unwrap() - 4 == seen.body.len(),
            "{reason}"
        );
        let record = world.record(answer.request_id());
        let found = ["mode", "decision", "reason"].map(|member| text(&record, member).unwrap());
        assert_eq!(found, ["observe", "observe", reason]);
    }
    let count = requests.len() as u64;
    assert_eq!(world.metric("portcullis_requests_total{service=\"iam\",outcome=\"observed\"}"), count);
    assert_eq!(world.metric("portcullis_requests_total{service=\"iam\",outcome=\"allowed\"}"), 0);

    let good = client.ask(Ask::get("/v1/groups/g1").by(&READER));
    assert_eq!((good.verdict(), good.header("portcullis-would-deny")), ((200, "allow"), None));
    assert_eq!(text(&world.record(good.request_id()), "decision"), Some("allow"));
    assert_eq!(world.metric("portcullis_requests_total{service=\"iam\",outcome=\"allowed\"}"), 1);
}

#[test]
fn a_body_over_the_limit_is_forwarded_whole() {
    let backend = Backend::start();
    let world = start(&backend, "");
    let ask = Ask::new("DELETE", "/v1/policies/bulk").line("Content-Type: application/json");
    let body = vec![b'x'; 100_000];
    let mut chunked = ask.clone().line("Transfer-Encoding: chunked").by(&ADMIN);
    chunked.extend_from_slice(b"186a0\r\n");
    chunked.extend_from_slice(&body);
    chunked.extend_from_slice(b"\r\n0\r\n\r\n");
    for request in [chunked, ask.body(&body).by(&ADMIN)] {
        let answer = world.ask(request);
        assert_eq!((answer.verdict(), answer.header("portcullis-would-deny")), ((200, "allow"), Some("body_too_large")));
        assert!(backend.last().whole && backend.last().body == body);
    }
    assert_eq!(world.metric("portcullis_would_deny_total{service=\"iam\",reason=\"body_too_large\"}"), 2);
}

#[test]
fn the_backend_is_told_only_who_was_proved_and_never_what_the_client_says() {
    let backend = Backend::start();
    let world = start(&backend, "");
    let ask = Ask::get("/v1/groups/hidden").line("Portcullis-Principal: root").line("X_Auth.User: root").line("X-Forwarded-For: 6.6.6.6");
    for (request, known) in [(ask.plain(), false), (ask.by(&WRONG), false), (ask.by(&READER), true)] {
        assert_eq!(world.ask(request).status, 200);
        let seen = backend.last();
        assert!(!seen.head.contains("root") && !seen.head.contains("6.6.6.6"), "{}", seen.head);
        assert_eq!(seen.header("portcullis-principal").is_some(), known);
        assert_eq!(seen.header("portcullis-account").is_some(), known);
        let kind = if known { ";type=AuthenticationKey;" } else { ";type=Anonymous;" };
        assert!(seen.header("portcullis-assertion").unwrap().contains(kind), "{}", seen.head);
        assert!(!seen.head.to_ascii_lowercase().contains("scp-signature"), "credentials stay here unless they are kept");
    }
}

#[test]
fn whose_credential_may_not_be_used_is_not_told_to_the_backend() {
    let disabled = Who { key: "d15ab1ed000000000000000000000001", secret: "disabled-secret-0001" };
    let expired = Who { key: "e4b14ed0000000000000000000000001", secret: "expired-secret-00001" };
    let listed = Who { key: "115ed000000000000000000000000001", secret: "listed-secret-000001" };
    let (keys, elsewhere) = ("a5e00000000000000000000000000001", "a5e00000000000000000000000000003");
    let backend = Backend::start();
    let world = Setup::new()
        .set("service", "mode: observe")
        .record(&format!("{{kind: user, id: {keys}, account: {ACCOUNT}, name: keys}}"))
        .key(&disabled, keys, ", enabled: false")
        .key(&expired, keys, ", expires_at: '2026-11-20T10:00:00Z'")
        .user("listed", &listed, elsewhere, ACCOUNT)
        .record(&format!("{{kind: key_security, user: {elsewhere}, allowed_addresses: []}}"))
        .start(&backend);
    for (who, user, reason) in
        [(disabled, keys, "credential_disabled"), (expired, keys, "credential_expired"), (listed, elsewhere, "key_address_refused")]
    {
        let answer = world.ask(Ask::get("/v1/groups/g1").by(&who));
        assert_eq!((answer.verdict(), answer.header("portcullis-would-deny")), ((200, "allow"), Some(reason)));
        let seen = backend.last();
        assert_eq!((seen.header("portcullis-principal"), seen.header("portcullis-account")), (None, None), "{reason}: {}", seen.head);
        assert!(!seen.head.contains(user) && !seen.head.contains(ACCOUNT), "{reason}: {}", seen.head);
    }
    assert_eq!(backend.count(), 3, "all of them are forwarded");
}

#[test]
fn credentials_pass_where_the_backend_still_needs_them() {
    let backend = Backend::start();
    let world = start(&backend, "keep_credentials: true");
    let ask = Ask::get("/v1/groups/hidden").line("Authorization: Bearer token").line("X-Auth-User: root").line("Proxy-Authorization: x");
    let answer = world.ask(ask.by(&READER));
    assert_eq!(answer.header("portcullis-would-deny"), Some("several_credentials"));
    let seen = backend.last();
    assert_eq!(seen.header("authorization").as_deref(), Some("Bearer token"));
    assert_eq!(seen.header("scp-accesskey").as_deref(), Some(READER.key));
    assert_eq!(seen.header("scp-timestamp"), Some(NOW_MS.to_string()));
    assert!(seen.header("scp-signature").is_some_and(|signature| signature.len() == 44));
    assert_eq!((seen.header("x-auth-user"), seen.header("proxy-authorization")), (None, None));
}

#[test]
fn what_names_no_service_is_refused_all_the_same_and_other_services_are_enforced() {
    let backend = Backend::start();
    let world = start(&backend, "");
    for (request, expected) in [
        (Ask::get("/v1/groups").host("nobody.test").by(&ADMIN), (421, "unknown_host")),
        (b"GET /v1/groups HTTP/1.1\r\n\r\n".to_vec(), (400, "malformed_request")),
        (Ask::get("/v1/groups").line("Host: iam.test").by(&ADMIN), (400, "ambiguous_request")),
        (Ask::get("http://evil.test/v1/groups").by(&ADMIN), (400, "ambiguous_request")),
        (Ask::get("/v1/things").host("store.test").plain(), (401, "no_credential")),
    ] {
        let answer = world.ask(request);
        assert_eq!((answer.verdict(), answer.header("portcullis-would-deny")), (expected, None));
    }
    assert_eq!(backend.count(), 0);
}
