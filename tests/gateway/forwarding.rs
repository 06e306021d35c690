//! What passes and what does not: identity, credentials, hop-by-hop headers, Host.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::backend::{Backend, Seen, Then};
use super::client::{Ask, NOW_MS};
use super::harness::{ACCOUNT, ADMIN, READER, Setup, UPSTREAM_KEY};

/// Headers that backends take for somebody's word about the caller or the request (hostile-inputs B).
const CLAIMS: &[&str] = &[
    "Portcullis-Principal",
    "portcullis-principal",
    "PORTCULLIS-PRINCIPAL",
    "Portcullis_Principal",
    "portcullis.principal",
    "Portcullis-Account",
    "Portcullis_Account",
    "Portcullis-Assertion",
    "Portcullis.Assertion",
    "Portcullis-Request-Id",
    "Portcullis_Request.Id",
    "Portcullis-Anything",
    "X-Portcullis-User",
    "X-Auth-User",
    "x-auth-user",
    "X_Auth_User",
    "X.Auth.User",
    "X-Auth_User",
    "X-Auth-Roles",
    "X-User-Id",
    "X_USER_ID",
    "X-Roles",
    "X-Role",
    "X-Project-Id",
    "X_Project-Id",
    "X-Project-Name",
    "X-Tenant-Id",
    "X-Domain-Id",
    "X-User-Domain-Id",
    "X-Identity-Status",
    "X.Identity.Status",
    "X-Service-Identity-Status",
    "X-Is-Admin-Project",
    "Remote-User",
    "REMOTE_USER",
    "Remote.User",
    "X-Remote-User",
    "X-Forwarded-User",
    "X_Forwarded_User",
    "X-Forwarded-For",
    "X_FORWARDED_FOR",
    "X-Forwarded-Host",
    "X-Forwarded-Proto",
    "X-Forwarded-Uri",
    "X-Forwarded-Method",
    "X-Forwarded-Prefix",
    "X-Forwarded-Client-Cert",
    "Forwarded",
    "FORWARDED",
    "X-Real-IP",
    "X_Real_Ip",
    "X-Client-IP",
    "Client-IP",
    "True-Client-IP",
    "CF-Connecting-IP",
    "X-Original-URL",
    "X-Original-Method",
    "X-Rewrite-URL",
    "X-HTTP-Method-Override",
    "X-HTTP-Method",
    "X-Method-Override",
    "X-Envoy-Original-Path",
    "X-Envoy-External-Address",
    "X-Cmp-UserId",
    "X-Cmp-ProjectId",
    "X-Ssl-Client-Cert",
    "Ssl-Client-Cert",
    "X-Account-Id",
];

/// Carriers of credentials and of parts of them.
const CREDENTIALS: &[&str] = &["Scp_Signature", "scp.accesskey", "X-Auth_Token", "X-Amz-Security-Token", "X-Cmp-Timestamp", "SvTimestamp"];

fn names(seen: &Seen) -> Vec<String> {
    seen.headers().into_iter().map(|(name, _)| name).collect()
}

#[test]
fn what_clients_say_about_themselves_never_reaches_the_backend_in_any_spelling() {
    let backend = Backend::start();
    let world = Setup::new().start(&backend);
    let mut client = world.connect();
    for ask in [Ask::get("/v1/groups/g1"), Ask::get("/v1/versions")] {
        for some in CLAIMS.chunks(20) {
            let mut ask = ask.clone().line("Accept: text/plain").line("Scp-Api-Version: iam 1.4").line("X-Request-Id: mine");
            for name in some {
                ask = ask.line(&format!("{name}: forged")).line(&format!("{name}:")).line(&format!("{name}: forged too"));
            }
            assert_eq!(client.ask(ask.by(&READER)).status, 200);
            let seen = backend.last();
            assert!(!seen.head.contains("forged"), "{}", seen.head);
            for (name, value) in [("accept", "text/plain"), ("scp-api-version", "iam 1.4"), ("x-request-id", "mine")] {
                assert_eq!(seen.header(name).as_deref(), Some(value), "what is no claim passes");
            }
        }
    }
}

#[test]
fn the_backend_is_told_who_calls_and_can_verify_it() {
    let backend = Backend::start();
    let world = Setup::new().start(&backend);
    let user = format!("srn:e::{ACCOUNT}:::scp-iam:user/5e000000000000000000000000000001");
    let target = "/v1/groups/a%20b%2Fc?x=%ED%95%9C+y&x=";
    let versions = Ask::get("/v1/versions").line("Portcullis-Principal: root");
    for (request, method, target, principal, account, kind, key) in [
        (Ask::get(target).by(&READER), "GET", target, &*user, ACCOUNT, "AuthenticationKey", READER.key),
        (versions.plain(), "GET", "/v1/versions", "", "", "Anonymous", ""),
    ] {
        let answer = world.ask(&request);
        assert_eq!(answer.verdict(), (200, "allow"), "{}", answer.text());
        let seen = backend.last();
        let told = |name: &str| seen.header(name).unwrap_or_default();
        assert_eq!((&*told("portcullis-principal"), &*told("portcullis-account")), (principal, account));
        assert_eq!(told("portcullis-request-id"), answer.request_id());
        assert_eq!(told("x-forwarded-for"), "127.0.0.1");

        // As src/gateway/identity.rs says: these lines, each ended by a line feed but the last.
        let (id, time) = (answer.request_id(), NOW_MS.to_string());
        let lines = ["portcullis-v2", method, target, principal, account, kind, key, "false", "127.0.0.1", id, &*time].join("\n");
        let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, UPSTREAM_KEY.as_bytes()), lines.as_bytes());
        let signature = URL_SAFE_NO_PAD.encode(mac);
        let expected = format!("v2;time={time};type={kind};key={key};mfa=false;address=127.0.0.1;signature={signature}");
        assert_eq!(told("portcullis-assertion"), expected);
    }
}

#[test]
fn credentials_never_reach_the_backend() {
    let backend = Backend::start();
    let world = Setup::new().start(&backend);
    let mut ask = Ask::get("/v1/groups/g1").line("Scp-AccountId: ").line("X-Auth-Token: ").line("Proxy-Authorization: Basic secret");
    for name in CREDENTIALS {
        ask = ask.line(&format!("{name}: secret"));
    }
    assert_eq!(world.ask(ask.by(&READER)).status, 200);
    let public = Ask::get("/v1/versions").line("Authorization: Bearer secret").line("X-Auth-Token: secret");
    assert_eq!(world.ask(public.by(&READER)).status, 200);
    for seen in backend.since(0) {
        let head = seen.head.to_ascii_lowercase();
        for part in ["secret", "scp-accesskey", "scp-signature", "scp-timestamp", "scp-clienttype", "scp-accountid", "x-auth-token"] {
            assert!(!head.contains(part), "{part}: {head}");
        }
        // The key is named where the gateway names it, and nowhere else.
        assert_eq!(head.matches(READER.key).count(), head.matches(&format!(";key={};", READER.key)).count(), "{head}");
    }
}

#[test]
fn hop_by_hop_headers_stay_on_their_hop_and_connection_cannot_take_ours_away() {
    let backend = Backend::start();
    let world = Setup::new().start(&backend);
    let named = "close, X-Named, x-NAMED-too, Portcullis-Principal, Portcullis-Assertion, X-Forwarded-For, Host, Content-Length, , \"";
    let ask = Ask::new("PUT", "/v1/groups/g1")
        .line(&format!("Connection: {named}"))
        .line("connection: X-Third")
        .line("X-Named: 1")
        .line("X-Named-Too: 1")
        .line("X-Third: 1")
        .line("Keep-Alive: timeout=5")
        .line("Proxy-Connection: keep-alive")
        .line("Proxy_Connection: keep-alive")
        .line("TE: trailers")
        .line("Trailer: X-Auth-User")
        .line("Upgrade: websocket")
        .line("HTTP2-Settings: AAMAAABkAAQAAP__")
        .line("X-Kept: 1")
        .body("body");
    let mut client = world.connect();
    let answer = client.ask(ask.by(&ADMIN));
    assert_eq!(answer.verdict(), (200, "allow"), "{}", answer.text());
    let seen = backend.last();
    let mut found = names(&seen);
    found.sort_unstable();
    let expected = [
        "content-length",
        "host",
        "portcullis-account",
        "portcullis-assertion",
        "portcullis-principal",
        "portcullis-request-id",
        "x-forwarded-for",
        "x-kept",
    ];
    assert_eq!(found, expected, "{}", seen.head);
    assert_eq!(seen.body, b"body");
    assert!(client.is_closed(), "the client asked for it");
}

#[test]
fn connection_cannot_take_away_how_a_body_is_to_be_read() {
    let backend = Backend::start();
    let world = Setup::new().start(&backend);
    // The decision has read this body as JSON.
    let body = r#"{"ids": ["p1"]}"#;
    let ask = Ask::new("DELETE", "/v1/policies/bulk").line("Content-Type: application/json").line("X-Named: 1");
    let answer = world.ask(ask.line("Connection: content-type, Content-Encoding, X-Named").body(body).by(&ADMIN));
    assert_eq!(answer.verdict(), (200, "allow"), "{}", answer.text());
    let seen = backend.last();
    assert_eq!((seen.header("content-type").as_deref(), seen.header("x-named")), (Some("application/json"), None));
    let ask = Ask::new("PUT", "/v1/groups/g1").line("Content-Encoding: gzip").line("Connection: content-encoding");
    assert_eq!(world.ask(ask.body("body").by(&ADMIN)).status, 200);
    assert_eq!(backend.last().header("content-encoding").as_deref(), Some("gzip"));
}

#[test]
fn a_connection_header_that_is_not_text_still_names_the_headers_beside_it() {
    let backend = Backend::start();
    let world = Setup::new().start(&backend);
    for lines in [&b"Connection: \xff, X-Named\r\n"[..], b"Connection: \xff\r\nConnection: X-Named\r\n"] {
        let mut request = Ask::get("/v1/groups/g1").line("X-Named: 1").by(&READER);
        let at = request.len() - 2;
        request.splice(at..at, lines.iter().copied());
        let before = backend.count();
        let answer = world.ask(&request);
        let reached = backend.since(before);
        let passed = reached.iter().any(|seen| seen.header("x-named").is_some() || seen.header("connection").is_some());
        assert!(answer.status == 400 || !passed, "{reached:?}");
    }
}

#[test]
fn what_the_backend_says_in_our_name_or_to_its_own_hop_does_not_reach_the_client() {
    let backend = Backend::scripted(|turn| {
        turn.send(concat!(
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: X-Named, content-length\r\nX-Named: 1\r\nKeep-Alive: timeout=5\r\n",
            "Proxy-Authenticate: Basic\r\nUpgrade: h2c\r\nTrailer: X\r\nPortcullis-Reason: forged\r\nportcullis_request_id: forged\r\n",
            "Portcullis-Would-Deny: forged\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nX-Kept: 1\r\nServer: backend\r\n\r\nok"
        ));
        Then::Keep
    });
    let world = Setup::new().start(&backend);
    let answer = world.ask(Ask::get("/v1/groups/g1").by(&READER));
    assert_eq!((answer.verdict(), answer.text().as_str()), ((200, "allow"), "ok"));
    assert_eq!(answer.all("set-cookie"), ["a=1", "b=2"]);
    assert_eq!((answer.header("x-kept"), answer.header("server")), (Some("1"), Some("backend")));
    for name in ["x-named", "keep-alive", "proxy-authenticate", "upgrade", "trailer", "portcullis_request_id", "portcullis-would-deny"] {
        assert_eq!(answer.all(name), [""; 0], "{name}");
    }
    assert!(!format!("{answer:?}").contains("forged"), "{answer:?}");
}

#[test]
fn the_host_is_the_upstreams_unless_it_is_preserved() {
    let backend = Backend::start();
    let rewritten = Setup::new().start(&backend);
    assert_eq!(rewritten.ask(Ask::get("/v1/groups/g1").host("IAM.test:8443").by(&READER)).status, 200);
    assert_eq!(backend.last().all("host"), [backend.address().to_string()]);
    let preserved = Setup::new().set("upstream", "preserve_host: true").start(&backend);
    assert_eq!(preserved.ask(Ask::get("/v1/groups/g1").host("IAM.test:8443").by(&READER)).status, 200);
    assert_eq!(backend.last().all("host"), ["IAM.test:8443"]);
}

#[test]
fn a_service_by_host_pattern_is_found_and_its_neighbours_are_not() {
    let backend = Backend::start();
    let world = Setup::new().start(&backend);
    for (host, expected) in [
        ("kr-west1.store.test", (200, "allow")),
        ("KR-WEST1.Store.TEST:443", (200, "allow")),
        ("a.b.store.test", (421, "unknown_host")),
        (".store.test", (421, "unknown_host")),
        ("store.test.", (421, "unknown_host")),
        ("xstore.test", (421, "unknown_host")),
        ("store.test:80:80", (421, "unknown_host")),
    ] {
        let answer = world.ask(Ask::get("/v1/things").host(host).by(&ADMIN));
        assert_eq!(answer.verdict(), expected, "{host}");
    }
}
