//! Hostile targets and authorities (hostile-inputs A): one reading for gateway and backend, or none.

use std::sync::Mutex;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::backend::Backend;
use super::client::{Ask, Client};
use super::harness::{ADMIN, READER, Setup, World};

/// What becomes of a probe.
#[derive(Debug, Clone, Copy)]
enum Verdict {
    /// Refused with this status and reason; nothing reaches the backend.
    Refused(u16, &'static str),
    /// Refused before it became a request: 4xx or a closed connection.
    NotHttp,
    /// Forwarded once, with this target.
    One(&'static str),
}
use Verdict::{NotHttp, One, Refused};

const AMBIGUOUS: Verdict = Refused(400, "ambiguous_request");
const UNDEFINED: Verdict = Refused(403, "no_action_definition");
const UNSIGNED: Verdict = Refused(401, "no_credential");
const DENIED: Verdict = Refused(403, "explicit_deny");
const NOT_ALLOWED: Verdict = Refused(403, "implicit_deny");

/// Sent by an administrator as `GET`, signed for exactly this target.
const TARGETS: &[(&str, Verdict)] = &[
    ("/admin", One("/admin")),
    ("/admin?x", One("/admin?x")),
    ("/admin?", One("/admin?")),
    ("/admin?x=/../y//z;a=%2e%2e#", NotHttp),
    ("/admin?x=/../y//z;a=%2e%2e&%zz=%", One("/admin?x=/../y//z;a=%2e%2e&%zz=%")),
    ("/admin?Action=Get&Action=Delete", One("/admin?Action=Get&Action=Delete")),
    ("/%61dmin", One("/%61dmin")),
    ("/%61%64%6D%69%6e", One("/%61%64%6D%69%6e")),
    ("/%2561dmin", UNDEFINED),
    ("/ADMIN", UNDEFINED),
    ("/Admin", UNDEFINED),
    ("/admin/", UNDEFINED),
    ("/admin%20", UNDEFINED),
    ("/admin.", UNDEFINED),
    ("/admin%3fx", UNDEFINED),
    ("/admin%2fsecret", UNDEFINED),
    ("/admin%2Fsecret", UNDEFINED),
    ("/%2fadmin", UNDEFINED),
    ("/*", UNDEFINED),
    ("/adm*", UNDEFINED),
    ("/a$dmin", UNDEFINED),
    ("/%7Bx%7D", UNDEFINED),
    ("/public/../admin", AMBIGUOUS),
    ("/public/..;/admin", AMBIGUOUS),
    ("/a/..;/admin", AMBIGUOUS),
    ("/admin;x=y", AMBIGUOUS),
    ("/admin;x=y/action", AMBIGUOUS),
    ("/.;/admin", AMBIGUOUS),
    ("/;/admin", AMBIGUOUS),
    ("/user/%2e%2e/admin", AMBIGUOUS),
    ("/user/%2e%2e%2fadmin", AMBIGUOUS),
    ("/user/..%2fadmin", AMBIGUOUS),
    ("/user/.%2E/admin", AMBIGUOUS),
    ("/user/..%5cadmin", AMBIGUOUS),
    ("/user%2f..%2fadmin", AMBIGUOUS),
    ("/admin%00", AMBIGUOUS),
    ("/admin%00.png", AMBIGUOUS),
    ("/admin%0d%0a", AMBIGUOUS),
    ("/admin%0A", AMBIGUOUS),
    ("/admin%7F", AMBIGUOUS),
    ("/admin%", AMBIGUOUS),
    ("/admin%2", AMBIGUOUS),
    ("/admin%2g", AMBIGUOUS),
    ("/admin%u0061", AMBIGUOUS),
    ("//admin", AMBIGUOUS),
    ("///admin", AMBIGUOUS),
    ("/public//../admin", AMBIGUOUS),
    ("/admin//", AMBIGUOUS),
    ("/./admin", AMBIGUOUS),
    ("/admin/.", AMBIGUOUS),
    ("/admin/..", AMBIGUOUS),
    ("/.", AMBIGUOUS),
    ("/..", AMBIGUOUS),
    ("/pub\\..\\admin", AMBIGUOUS),
    ("/{x}", AMBIGUOUS),
    ("/%c0%ae%c0%ae/admin", AMBIGUOUS),
    ("/%ff", AMBIGUOUS),
    ("/adm\u{131}n", AMBIGUOUS),
    ("/\u{ff03}", AMBIGUOUS),
    ("\\admin", NotHttp),
    ("/ad min", NotHttp),
    ("/admin\t", NotHttp),
    // Parameters: decoded once for the decision, raw for the backend.
    ("/v1/groups/a%2Fb", One("/v1/groups/a%2Fb")),
    ("/v1/groups/a%252Fb", One("/v1/groups/a%252Fb")),
    ("/v1/groups/%ED%95%9C", One("/v1/groups/%ED%95%9C")),
    ("/v1/groups/*", One("/v1/groups/*")),
    ("/v1/groups/a*b", One("/v1/groups/a*b")),
    ("/v1/groups/...", One("/v1/groups/...")),
    ("/v1/groups/", UNDEFINED),
    ("/v1/groups/a/b", UNDEFINED),
    ("/v1/policies/%62ulk", UNDEFINED),
    ("/v1%2Fgroups%2Fg1", UNDEFINED),
];

/// Sent without a credential: only the public route itself may pass, by whatever spelling leads to it.
const PUBLIC: &[(&str, Verdict)] = &[
    ("/v1/versions", One("/v1/versions")),
    ("/v1/%76ersions", One("/v1/%76ersions")),
    ("/v1/versions?x=/v1/groups", One("/v1/versions?x=/v1/groups")),
    ("/v1/versions/", UNSIGNED),
    ("/V1/versions", UNSIGNED),
    ("/v1/versions%2f..%2fgroups", AMBIGUOUS),
    ("/v1/versions/../groups", AMBIGUOUS),
    ("/v1/versions/..;/groups", AMBIGUOUS),
    ("/v1/versions;/../groups", AMBIGUOUS),
    ("/v1/versions%00", AMBIGUOUS),
    ("/v1/groups?y=/v1/versions", UNSIGNED),
    ("/v1/groups/%2e%2e/versions", AMBIGUOUS),
    ("/v1/groups%3f/../versions", AMBIGUOUS),
    ("/v1/versions/x", UNSIGNED),
];

/// Sent by a reader who is denied the group `hidden`; `id` is read from the query.
const HIDDEN: &[(&str, Verdict)] = &[
    ("/v1/groups/hidden", DENIED),
    ("/v1/groups/%68idden", DENIED),
    ("/v1/groups/%68%69%64%64%65%6e", DENIED),
    ("/v1/groups/hidden?id=g1", DENIED),
    ("/v1/search?id=g1", One("/v1/search?id=g1")),
    ("/v1/search?id=hidden", DENIED),
    ("/v1/search?id=%68idden", DENIED),
    ("/v1/search?%69d=hidden", DENIED),
    ("/v1/search?x=1&id=hidden&y", DENIED),
    ("/v1/search?id=g1&id=hidden", Refused(400, "malformed_request")),
    ("/v1/search?id=hidden&id=hidden", Refused(400, "malformed_request")),
    ("/v1/search?id=g1&%69%64=hidden", Refused(400, "malformed_request")),
    ("/v1/search?id=g1&id", Refused(400, "malformed_request")),
    ("/v1/search?id", Refused(400, "malformed_request")),
    // Some readers take a raw `;` for `&`.
    ("/v1/search?id=g1;id=hidden", Refused(400, "malformed_request")),
    ("/v1/search?id=hidden;x=1", Refused(400, "malformed_request")),
    ("/v1/search?x;id=hidden&id=g1", Refused(400, "malformed_request")),
    ("/v1/search?id=g1&x=;", Refused(400, "malformed_request")),
    ("/v1/search?id=g1%3Bid%3Dhidden", One("/v1/search?id=g1%3Bid%3Dhidden")),
    ("/v1/search?id=", Refused(400, "malformed_request")),
    ("/v1/search?ID=g1", Refused(400, "malformed_request")),
    ("/v1/search", Refused(400, "malformed_request")),
    ("/v1/search?id=%ff", Refused(400, "malformed_request")),
    ("/v1/search?id=%zz", Refused(400, "malformed_request")),
];

fn world(backend: &Backend) -> World {
    let search = "
  /v1/search:
    get: {action: iam:ShowGroup, access_level: Read, resources: [{'iam:group': {resource_id: \"query['id']\"}}]}";
    Setup::new().paths(search).start(backend)
}

/// A gateway, a connection to it, and what was not as expected.
struct Trial<'a> {
    world: &'a World,
    backend: &'a Backend,
    client: Client,
    number: usize,
    wrong: Vec<String>,
}

impl<'a> Trial<'a> {
    fn new(world: &'a World, backend: &'a Backend) -> Self {
        Self { world, backend, client: world.connect(), number: 0, wrong: Vec::new() }
    }

    /// Sends a probe, compares, and asks for something good afterwards: on the same connection when it is still open.
    fn probe(&mut self, what: &str, method: &str, request: &[u8], expected: Verdict) {
        let before = self.backend.count();
        self.client.send(request);
        let outcome = self.client.outcome(method);
        let found: Vec<String> = self.backend.since(before).iter().map(|seen| seen.target().to_owned()).collect();
        let good = match (expected, &outcome) {
            (Refused(status, reason), Ok(answer)) => answer.verdict() == (status, reason) && found.is_empty(),
            (One(target), Ok(answer)) => answer.status == 200 && found == [target],
            (NotHttp, Ok(answer)) => (400..500).contains(&answer.status) && found.is_empty(),
            (NotHttp, Err(super::client::Broken::Closed)) => found.is_empty(),
            _ => false,
        };
        if !good {
            let verdict = outcome.as_ref().map(|answer| (answer.verdict(), answer.text()));
            self.wrong.push(format!("{what:?}: {verdict:?}, backend {found:?}, instead of {expected:?}"));
        }
        self.number += 1;
        let mark = format!("/v1/groups/after-{}", self.number);
        self.client.send(Ask::get(&mark).by(&READER));
        let after = self.client.outcome("GET").or_else(|_| {
            self.client = self.world.connect();
            self.client.send(Ask::get(&mark).by(&READER)).outcome("GET")
        });
        let text = after.map(|answer| answer.text());
        if text.as_deref().ok() != Some(&*mark) {
            self.wrong.push(format!("{what:?}: the request after it got {text:?}"));
            self.client = self.world.connect();
        }
    }
}

impl Drop for Trial<'_> {
    fn drop(&mut self) {
        assert!(self.wrong.is_empty() || std::thread::panicking(), "{}", self.wrong.join("\n"));
    }
}

#[test]
fn a_target_has_one_reading_or_is_refused() {
    let backend = Backend::start();
    let world = world(&backend);
    let mut trial = Trial::new(&world, &backend);
    for (target, expected) in TARGETS {
        trial.probe(target, "GET", &Ask::get(target).by(&ADMIN), *expected);
    }
    let deep = "/a".repeat(65);
    trial.probe("65 segments", "GET", &Ask::get(&deep).by(&ADMIN), AMBIGUOUS);
    let raw = |bytes: &[u8]| [b"GET /adm", bytes, b"in HTTP/1.1\r\nHost: iam.test\r\n\r\n"].concat();
    for bytes in [&b"\xff"[..], b"\x00", b"\x7f", b"\x01", b"\r", b"\n"] {
        trial.probe(&format!("{bytes:?}"), "GET", &raw(bytes), NotHttp);
    }
}

#[test]
fn nothing_but_the_public_route_passes_without_a_credential() {
    let backend = Backend::start();
    let world = world(&backend);
    let mut trial = Trial::new(&world, &backend);
    for (target, expected) in PUBLIC {
        trial.probe(target, "GET", &Ask::get(target).plain(), *expected);
    }
    for method in ["POST", "DELETE", "OPTIONS", "get", "TRACE"] {
        trial.probe(method, method, &Ask::new(method, "/v1/versions").plain(), UNSIGNED);
    }
    for line in ["X-HTTP-Method-Override: GET", "X-Original-URL: /v1/versions", "User-Agent: kube-probe/1.30"] {
        trial.probe(line, "GET", &Ask::get("/v1/groups").line(line).plain(), UNSIGNED);
    }
}

#[test]
fn a_denied_resource_is_denied_in_every_spelling() {
    let backend = Backend::start();
    let world = world(&backend);
    let mut trial = Trial::new(&world, &backend);
    for (target, expected) in HIDDEN {
        trial.probe(target, "GET", &Ask::get(target).by(&READER), *expected);
    }
    trial.probe("no right to it", "DELETE", &Ask::new("DELETE", "/v1/groups/g1").by(&READER), NOT_ALLOWED);
}

#[test]
fn encoding_unreserved_bytes_changes_no_decision() {
    let backend = Backend::start();
    let world = world(&backend);
    let client = Mutex::new(world.connect());
    let strategy = (prop::sample::select(vec!["/v1/groups/hidden", "/v1/groups/g1", "/v1/groups", "/v2/x"]), any::<u64>(), any::<bool>());
    let config = ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() };
    TestRunner::new(config)
        .run(&strategy, |(plain, pick, upper)| {
            let encode = |(index, character): (usize, char)| match (character, pick >> index & 1 == 1, upper) {
                ('/', ..) | (_, false, _) => character.to_string(),
                (_, true, true) => format!("%{:02X}", character as u32),
                (_, true, false) => format!("%{:02x}", character as u32),
            };
            let encoded: String = plain.chars().enumerate().map(encode).collect();
            let verdict = |target: &str| {
                let answer = client.lock().unwrap().ask(Ask::get(target).by(&READER));
                (answer.status, answer.header("portcullis-reason").map(str::to_owned))
            };
            prop_assert_eq!(verdict(plain), verdict(&encoded), "{} and {}", plain, encoded);
            Ok(())
        })
        .unwrap();
}

#[test]
fn the_request_line_names_the_same_place_as_host_or_is_refused() {
    let backend = Backend::start();
    let world = world(&backend);
    let mut trial = Trial::new(&world, &backend);
    // The request line, the Host, the target that is signed, and the verdict.
    for (method, target, host, signed, expected) in [
        ("GET", "http://iam.test/admin", "iam.test", "/admin", One("/admin")),
        ("GET", "HTTP://IAM.test/admin?x", "iam.test", "/admin?x", One("/admin?x")),
        ("GET", "http://iam.test", "iam.test", "/", UNDEFINED),
        ("GET", "http://iam.test?x=1", "iam.test", "/?x=1", AMBIGUOUS),
        ("GET", "http://iam.test/../admin", "iam.test", "/../admin", AMBIGUOUS),
        ("GET", "http://evil.test/admin", "iam.test", "/admin", AMBIGUOUS),
        ("GET", "http://iam.test/admin", "store.test", "/admin", AMBIGUOUS),
        ("GET", "http://iam.test:80/admin", "iam.test", "/admin", AMBIGUOUS),
        ("GET", "http://user@iam.test/admin", "iam.test", "/admin", AMBIGUOUS),
        ("GET", "https://iam.test/admin", "iam.test", "/admin", AMBIGUOUS),
        ("GET", "ftp://iam.test/admin", "iam.test", "/admin", AMBIGUOUS),
        ("GET", "iam.test", "iam.test", "/", AMBIGUOUS),
        ("GET", "admin", "iam.test", "/admin", AMBIGUOUS),
        ("GET", "iam.test/admin", "iam.test", "/admin", NotHttp),
        ("GET", "*", "iam.test", "*", AMBIGUOUS),
        ("OPTIONS", "*", "iam.test", "*", AMBIGUOUS),
        ("CONNECT", "iam.test:80", "iam.test:80", "iam.test:80", AMBIGUOUS),
        ("CONNECT", "iam.test:80", "iam.test", "", AMBIGUOUS),
        ("CONNECT", "/admin", "iam.test", "/admin", UNDEFINED),
        ("GET", "/admin#x", "iam.test", "/admin", One("/admin")),
        ("GET", "/v1/groups/hidden#x", "iam.test", "/v1/groups/hidden", One("/v1/groups/hidden")),
        ("GET", "/admin", "IAM.TEST", "/admin", One("/admin")),
        ("GET", "/admin", "iam.test:80", "/admin", One("/admin")),
        ("GET", "/admin", "iam.test.", "/admin", Refused(421, "unknown_host")),
        // An empty port is no port (RFC 3986 section 3.2.3).
        ("GET", "/admin", "iam.test:", "/admin", One("/admin")),
        ("GET", "/admin", "iam.test:x", "/admin", Refused(421, "unknown_host")),
        ("GET", "/admin", "iam.test:80:80", "/admin", Refused(421, "unknown_host")),
        ("GET", "/admin", "user@iam.test", "/admin", Refused(400, "malformed_request")),
        ("GET", "/admin", "iam.test, evil.test", "/admin", Refused(400, "malformed_request")),
        ("GET", "/admin", "iam.test/admin", "/admin", Refused(400, "malformed_request")),
        ("GET", "/admin", "iam.test#", "/admin", Refused(400, "malformed_request")),
        ("GET", "/admin", "iam\"test", "/admin", Refused(400, "malformed_request")),
        ("GET", "/admin", "", "/admin", Refused(400, "malformed_request")),
        ("GET", "/admin", "[::1]:8080", "/admin", Refused(421, "unknown_host")),
    ] {
        let lines = ADMIN.sign(method, host, signed);
        let what = format!("{method} {target} on {host}");
        trial.probe(&what, method, &Ask::new(method, target).host(host).with(&lines), expected);
    }
    let twice = Ask::get("/admin").line("Host: iam.test");
    trial.probe("two Hosts", "GET", &twice.by(&ADMIN), AMBIGUOUS);
    trial.probe("two Hosts, one empty", "GET", &Ask::get("/admin").line("Host:").by(&ADMIN), AMBIGUOUS);
    let none = String::from_utf8(Ask::get("/admin").by(&ADMIN)).unwrap().replace("Host: iam.test\r\n", "");
    trial.probe("no Host", "GET", none.as_bytes(), Refused(400, "malformed_request"));
    let old = none.replace("HTTP/1.1", "HTTP/1.0");
    trial.probe("no Host in HTTP/1.0", "GET", old.as_bytes(), Refused(400, "malformed_request"));
}

#[test]
fn more_than_a_hundred_hosts_are_still_compared_without_case() {
    let backend = Backend::start();
    let hosts: Vec<String> = (0..150).map(|number| format!("h{number}.many.test")).collect();
    let many = format!(
        "many: {{hosts: [{}], definitions: [store], upstream: {{url: 'http://{}', identity_key: {{file: upstream.key}}}}}}",
        hosts.join(", "),
        backend.address()
    );
    let world = Setup::new().set("services", many).start(&backend);
    let mut client = world.connect();
    for (host, status) in [("h0.many.test", 200), ("H149.Many.TEST", 200), ("h150.many.test", 421)] {
        assert_eq!(client.ask(Ask::get("/v1/things").host(host).by(&ADMIN)).status, status, "{host}");
    }
}
