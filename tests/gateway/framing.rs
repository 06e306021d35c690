//! Framing (hostile-inputs E): whatever a client writes, the backend sees one request or none, and whoever asks next
//! on the same connection gets the answer to their own question.

use super::backend::{Backend, Seen};
use super::client::{Answer, Ask, Broken};
use super::harness::{ADMIN, READER, Setup, World};

/// What becomes of a probe.
#[derive(Debug, Clone, Copy)]
enum Verdict {
    /// 4xx or a closed connection; the backend sees no whole request.
    Refuse,
    /// The backend sees one request with this body.
    One(&'static str),
    /// As `One`, and what stands behind it on the connection is refused.
    OneThenRefuse(&'static str),
}
use Verdict::{One, OneThenRefuse, Refuse};

/// What must never be read as a request of its own.
const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: iam.test\r\n\r\n";
const CHUNKED: &str = "4\r\nbody\r\n0\r\n\r\n";

/// Header lines after a signed `PUT`, what follows the head, and the verdict.
const LENGTHS: &[(&str, &str, Verdict)] = &[
    ("Content-Length: 4\r\n", "body", One("body")),
    ("Content-Length:4\r\n", "body", One("body")),
    ("Content-Length: \t 4 \r\n", "body", One("body")),
    ("content-LENGTH: 4\r\n", "body", One("body")),
    ("Content-Length: 4\r\nContent-Length: 4\r\n", "body", One("body")),
    ("Content-Length: 4\r\nContent-Length: 5\r\n", "body", Refuse),
    ("Content-Length: 4, 4\r\n", "body", Refuse),
    ("Content-Length: +4\r\n", "body", Refuse),
    ("Content-Length: -0\r\n", "", Refuse),
    ("Content-Length: -4\r\n", "body", Refuse),
    ("Content-Length: 0_4\r\n", "body", Refuse),
    ("Content-Length: 0x4\r\n", "body", Refuse),
    ("Content-Length: 4.0\r\n", "body", Refuse),
    ("Content-Length: 4 4\r\n", "body", Refuse),
    ("Content-Length: 4;\r\n", "body", Refuse),
    ("Content-Length: \"4\"\r\n", "body", Refuse),
    ("Content-Length:\r\n", "", Refuse),
    ("Content-Length: 18446744073709551616\r\n", "body", Refuse),
    ("Content-Length: 18446744073709551615\r\n", "body", Refuse),
    ("Content-Length: 99999999999999999999999999\r\n", "body", Refuse),
    ("Content-Length : 4\r\n", "body", Refuse),
    ("Content-Length\r\n", "body", Refuse),
    ("Content-Length: 4\r\nContent-Length : 40\r\n", "body", Refuse),
    ("Content-Length: 4\r\n Content-Length: 40\r\n", "body", Refuse),
    ("Content-Length:\r\n 4\r\n", "body", Refuse),
    ("Content-Length: 4\u{0}\r\n", "body", Refuse),
    ("Content_Length: 40\r\nContent-Length: 4\r\n", "body", One("body")),
    ("Content-Length: 0\r\n", SMUGGLED, OneThenRefuse("")),
    ("Content-Length: 4\r\n", "bodyGET /smuggled HTTP/1.1\r\nHost: iam.test\r\n\r\n", OneThenRefuse("body")),
    ("Content_Length: 44\r\n", SMUGGLED, OneThenRefuse("")),
    // Both framings: hyper takes the chunks and closes; the backend gets the chunks only.
    (
        "Content-Length: 47\r\nTransfer-Encoding: chunked\r\n",
        "0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: iam.test\r\n\r\n",
        OneThenRefuse(""),
    ),
    (
        "Transfer-Encoding: chunked\r\nContent-Length: 47\r\n",
        "0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: iam.test\r\n\r\n",
        OneThenRefuse(""),
    ),
    ("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", CHUNKED, OneThenRefuse("body")),
    ("Content-Length: nonsense\r\nTransfer-Encoding: chunked\r\n", CHUNKED, Refuse),
];

/// Values of Transfer-Encoding before a body of one chunk.
const CODINGS: &[(&str, Verdict)] = &[
    ("Transfer-Encoding: chunked\r\n", One("body")),
    ("TRANSFER-ENCODING: Chunked\r\n", One("body")),
    ("Transfer-Encoding: chunked\t\r\n", One("body")),
    ("Transfer-Encoding: , chunked\r\n", Refuse),
    ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", One("body")),
    ("Transfer-Encoding: identity, chunked\r\n", Refuse),
    ("Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n", Refuse),
    ("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", Refuse),
    ("Transfer-Encoding: chunked, identity\r\n", Refuse),
    ("Transfer-Encoding: identity\r\n", Refuse),
    ("Transfer-Encoding: chunked,\r\n", Refuse),
    ("Transfer-Encoding: chunked;q=1\r\n", Refuse),
    ("Transfer-Encoding: xchunked\r\n", Refuse),
    ("Transfer-Encoding: \"chunked\"\r\n", Refuse),
    ("Transfer-Encoding: chunked chunked\r\n", Refuse),
    ("Transfer-Encoding: gzip\r\n", Refuse),
    ("Transfer-Encoding: gzip, chunked\r\n", Refuse),
    ("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n", Refuse),
    ("Transfer-Encoding:\r\n", Refuse),
    ("Transfer-Encoding: \u{b}chunked\r\n", Refuse),
    ("Transfer-Encoding: chunked\u{0}\r\n", Refuse),
    ("Transfer-Encoding : chunked\r\n", Refuse),
    ("Transfer-Encoding:\r\n chunked\r\n", Refuse),
    ("X: y\r\n Transfer-Encoding: chunked\r\n", Refuse),
    ("Transfer_Encoding: chunked\r\n", OneThenRefuse("")),
    ("Transfer_Encoding: chunked\r\nContent-Length: 14\r\n", One("4\r\nbody\r\n0\r\n\r\n")),
    ("X-Transfer-Encoding: chunked\r\nContent-Length: 14\r\n", One("4\r\nbody\r\n0\r\n\r\n")),
];

/// Chunked bodies.
const CHUNKS: &[(&str, Verdict)] = &[
    ("4\r\nbody\r\n0\r\n\r\n", One("body")),
    ("2\r\nbo\r\n2\r\ndy\r\n0\r\n\r\n", One("body")),
    ("0\r\n\r\n", One("")),
    ("4;a=b\r\nbody\r\n0;c\r\n\r\n", One("body")),
    ("0000000004\r\nbody\r\n000\r\n\r\n", One("body")),
    ("4 \r\nbody\r\n0\r\n\r\n", One("body")),
    ("4;\u{1}\r\nbody\r\n0\r\n\r\n", One("body")),
    ("a\r\n0\r\n\r\nGET /\r\n0\r\n\r\n", One("0\r\n\r\nGET /")),
    ("0x4\r\nbody\r\n0\r\n\r\n", Refuse),
    ("+4\r\nbody\r\n0\r\n\r\n", Refuse),
    ("-4\r\nbody\r\n0\r\n\r\n", Refuse),
    ("0_4\r\nbody\r\n0\r\n\r\n", Refuse),
    (" 4\r\nbody\r\n0\r\n\r\n", Refuse),
    ("4 4\r\nbody\r\n0\r\n\r\n", Refuse),
    ("4;a\nbody\r\n0\r\n\r\n", Refuse),
    ("4\nbody\n0\n\n", Refuse),
    ("4\rbody\r0\r\r", Refuse),
    ("\r\nbody\r\n0\r\n\r\n", Refuse),
    ("g\r\nbody\r\n0\r\n\r\n", Refuse),
    ("4\r\nbodyX\r\n0\r\n\r\n", Refuse),
    ("4\r\nbody0\r\n\r\n", Refuse),
    ("4\r\nbody\n0\r\n\r\n", Refuse),
    ("3\r\nbody\r\n0\r\n\r\n", Refuse),
    ("10000000000000000\r\nbody\r\n0\r\n\r\n", Refuse),
    ("FFFFFFFFFFFFFFFFF\r\nbody\r\n0\r\n\r\n", Refuse),
    ("4\r\nbody\r\n0\r\nbad trailer\r\n\r\n", Refuse),
    ("4\r\nbody\r\n0\r\nX-Auth-User: root\r\nHost: evil\r\n\r\n", One("body")),
];

/// Whole requests in which `@` stands for a signed `GET` head without its last line.
const HEADS: &[(&str, &str, Verdict)] = &[
    ("as it should be", "@\r\n", One("")),
    ("a leading empty line", "\r\n@\r\n", One("")),
    ("a body on GET", "@Content-Length: 4\r\n\r\nbody", One("body")),
    ("a value with a tab", "@X: a\tb\r\n\r\n", One("")),
    ("an empty value", "@X:\r\n\r\n", One("")),
    ("a bare CR in a value", "@X: a\rb\r\n\r\n", Refuse),
    ("NUL in a value", "@X: a\u{0}b\r\n\r\n", Refuse),
    ("a control character in a value", "@X: a\u{1}b\r\n\r\n", Refuse),
    ("DEL in a value", "@X: a\u{7f}b\r\n\r\n", Refuse),
    ("an empty name", "@: x\r\n\r\n", Refuse),
    ("a space in a name", "@X Y: x\r\n\r\n", Refuse),
    ("a space before the colon", "@X : x\r\n\r\n", Refuse),
    ("a tab before the colon", "@X\t: x\r\n\r\n", Refuse),
    ("no colon", "@X\r\n\r\n", Refuse),
    ("a name with a slash", "@X/Y: x\r\n\r\n", Refuse),
    ("a name that is not ASCII", "@X\u{e9}: x\r\n\r\n", Refuse),
    ("a folded line", "@X: a\r\n b\r\n\r\n", Refuse),
    ("a folded line by tab", "@X: a\r\n\tb\r\n\r\n", Refuse),
    ("an expectation that is none", "@Expect: y 100-continue\r\nContent-Length: 4\r\n\r\nbody", One("body")),
    ("an expectation and the body at once", "@Expect: 100-continue\r\nContent-Length: 4\r\n\r\nbody", One("body")),
    ("an expectation without a body", "@Expect: 100-continue\r\n\r\n", One("")),
    (
        "an upgrade and what follows it",
        "@Connection: upgrade\r\nUpgrade: websocket\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: iam.test\r\n\r\n",
        OneThenRefuse(""),
    ),
    ("an upgrade to HTTP/2", "@Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n", One("")),
    (
        "CONNECT and early data",
        "CONNECT iam.test:80 HTTP/1.1\r\nHost: iam.test:80\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: iam.test\r\n\r\n",
        Refuse,
    ),
    ("the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Refuse),
    ("no version", "GET /v1/versions\r\nHost: iam.test\r\n\r\n", Refuse),
    ("HTTP/1.2", "GET /v1/versions HTTP/1.2\r\nHost: iam.test\r\n\r\n", Refuse),
    ("HTTP/2.0", "GET /v1/versions HTTP/2.0\r\nHost: iam.test\r\n\r\n", Refuse),
    ("the version in small letters", "GET /v1/versions http/1.1\r\nHost: iam.test\r\n\r\n", Refuse),
    ("two spaces in the request line", "GET  /v1/versions HTTP/1.1\r\nHost: iam.test\r\n\r\n", Refuse),
    ("a tab in the request line", "GET\t/v1/versions HTTP/1.1\r\nHost: iam.test\r\n\r\n", Refuse),
    ("a space after the version", "GET /v1/versions HTTP/1.1 \r\nHost: iam.test\r\n\r\n", Refuse),
    ("a space before the method", " GET /v1/versions HTTP/1.1\r\nHost: iam.test\r\n\r\n", Refuse),
    ("the first header line indented", "GET /v1/versions HTTP/1.1\r\n\tContent-Length: 1\r\nHost: iam.test\r\n\r\n", Refuse),
    ("a method that is no token", "G(T /v1/versions HTTP/1.1\r\nHost: iam.test\r\n\r\n", Refuse),
    ("TLS", "\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}\u{0}\u{1}\r\n\r\n", Refuse),
    ("chunks in HTTP/1.0", "POST /v1/groups HTTP/1.0\r\nHost: iam.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", Refuse),
];

struct Trial<'a> {
    number: usize,
    world: &'a World,
    backend: &'a Backend,
    wrong: Vec<String>,
}

impl Trial<'_> {
    /// Sends what `request` makes for a target, and compares. What is left of earlier probes may still reach the backend.
    fn probe(&mut self, what: &str, request: impl Fn(&str) -> Vec<u8>, expected: Verdict) {
        self.number += 1;
        let target = format!("/v1/groups/probe-{}", self.number);
        let before = self.backend.count();
        let mut client = self.world.connect();
        client.send(request(&target));
        let outcome = client.outcome("GET");
        let after = self.ask_after(&mut client, expected);
        let seen: Vec<Seen> =
            self.backend.since(before).into_iter().filter(|seen| seen.target() == target || !is_ours(seen.target())).collect();
        let bodies: Vec<String> = seen.iter().map(|seen| String::from_utf8_lossy(&seen.body).into_owned()).collect();
        let plain = seen.iter().all(|seen| has_plain_framing(seen) && !seen.head.contains("smuggled"));
        let good = match expected {
            One(body) | OneThenRefuse(body) => {
                outcome.as_ref().is_ok_and(|answer| answer.status == 200) && bodies == [body] && seen[0].whole
            }
            Refuse => is_refused(&outcome) && seen.len() <= 1 && seen.iter().all(|seen| !seen.whole),
        };
        if let Some(problem) = after.err() {
            self.wrong.push(format!("{what}: {problem}"));
        }
        if !good || !plain {
            let found = outcome.map(|answer| (answer.status, answer.text()));
            self.wrong.push(format!("{what}: {found:?} instead of {expected:?}; the backend saw {seen:?}"));
        }
    }

    /// A good request on the same connection gets its own answer, or none because the connection is closed.
    fn ask_after(&self, client: &mut super::client::Client, expected: Verdict) -> Result<(), String> {
        let mark = format!("/v1/groups/after-{}", self.number);
        client.send(Ask::get(&mark).by(&READER));
        match client.outcome("GET") {
            Ok(answer) if answer.text() == mark => return Ok(()),
            Ok(answer) if matches!(expected, OneThenRefuse(_) | Refuse) && (400..500).contains(&answer.status) => {}
            Err(Broken::Closed) if !matches!(expected, One(_)) => {}
            other => return Err(format!("the request after it got {other:?}")),
        }
        let fresh = self.world.ask(Ask::get(&mark).by(&READER));
        if fresh.text() == mark { Ok(()) } else { Err(format!("a request on a new connection got {fresh:?}")) }
    }
}

impl Drop for Trial<'_> {
    fn drop(&mut self) {
        assert!(self.wrong.is_empty() || std::thread::panicking(), "{}", self.wrong.join("\n"));
    }
}

/// The targets of all probes, and of the requests after them.
fn is_ours(target: &str) -> bool {
    target.starts_with("/v1/groups/after-") || target.starts_with("/v1/groups/probe-")
}

/// 502 counts here: what matters in these tables is that nobody reads a second request. That a client's broken body is the
/// client's fault has a test of its own.
fn is_refused(outcome: &Result<Answer, Broken>) -> bool {
    match outcome {
        Ok(answer) => (400..500).contains(&answer.status) || answer.status == 502,
        Err(Broken::Closed) => true,
        Err(Broken::Cut(_) | Broken::Silent) => false,
    }
}

/// One framing, written in the one way that nobody reads differently.
fn has_plain_framing(seen: &Seen) -> bool {
    let lengths = seen.all("content-length");
    let plain = lengths.iter().all(|length| length.parse::<u64>().is_ok_and(|number| number.to_string() == *length));
    plain && lengths.len() + seen.all("transfer-encoding").len() <= 1
}

fn put(target: &str, lines: &str, body: &str) -> Vec<u8> {
    let lines = format!("{}{lines}", ADMIN.sign("PUT", "iam.test", target));
    let mut request = Ask::new("PUT", target).with(&lines);
    request.extend_from_slice(body.as_bytes());
    request
}

#[test]
fn a_length_is_one_plain_number_or_the_request_is_refused() {
    let backend = Backend::start();
    let world = Setup::new().start(&backend);
    let mut trial = Trial { number: 0, world: &world, backend: &backend, wrong: Vec::new() };
    for (lines, body, expected) in LENGTHS {
        trial.probe(&format!("{lines:?} {body:?}"), |target| put(target, lines, body), *expected);
    }
}

#[test]
fn a_length_with_leading_zeros_is_not_passed_on_as_it_stands() {
    let backend = Backend::start();
    let world = Setup::new().start(&backend);
    let mut trial = Trial { number: 0, world: &world, backend: &backend, wrong: Vec::new() };
    for (zeros, body, plain) in [("004", "body", "4"), ("00", "", "0")] {
        let line = format!("Content-Length: {zeros}\r\n");
        let before = backend.count();
        if world.ask(put("/v1/groups/g1", &line, body)).status == 200 {
            let lengths = backend.since(before)[0].all("content-length");
            assert!(lengths == [plain] || (body.is_empty() && lengths.is_empty()), "{zeros}: {lengths:?}");
            trial.probe(zeros, |target| put(target, &line, body), One(body));
        }
    }
}

#[test]
fn framing_headers_in_spellings_that_some_backends_fold_are_not_passed_on() {
    let backend = Backend::start();
    let world = Setup::new().start(&backend);
    let mut passed = Vec::new();
    for name in ["Transfer_Encoding", "Transfer.Encoding", "Content_Length", "Content.Length"] {
        let before = backend.count();
        let answer = world.ask(put("/v1/groups/g1", &format!("{name}: 40\r\nContent-Length: 4\r\n"), "body"));
        let seen = backend.since(before);
        if answer.status == 200 && !seen[0].all(&name.to_ascii_lowercase()).is_empty() {
            passed.push(name);
        }
    }
    assert_eq!(passed, [""; 0]);
}

#[test]
fn chunked_is_the_last_coding_or_the_request_is_refused() {
    let backend = Backend::start();
    let world = Setup::new().start(&backend);
    let mut trial = Trial { number: 0, world: &world, backend: &backend, wrong: Vec::new() };
    for (lines, expected) in CODINGS {
        trial.probe(&format!("{lines:?}"), |target| put(target, lines, CHUNKED), *expected);
    }
}

#[test]
fn a_coding_before_chunked_is_refused_as_malformed() {
    let backend = Backend::start();
    let world = Setup::new().start(&backend);
    for lines in [
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: gzip,chunked\r\n",
        "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: identity, chunked\r\n",
    ] {
        let answer = world.ask(put("/v1/groups/g1", lines, CHUNKED));
        assert_eq!((answer.verdict(), backend.count()), ((400, "malformed_request"), 0), "{lines:?}");
    }
}

#[test]
fn chunks_are_well_formed_or_the_request_is_refused() {
    let backend = Backend::start();
    let world = Setup::new().start(&backend);
    let mut trial = Trial { number: 0, world: &world, backend: &backend, wrong: Vec::new() };
    for (body, expected) in CHUNKS {
        trial.probe(&format!("{body:?}"), |target| put(target, "Transfer-Encoding: chunked\r\n", body), *expected);
    }
    let extension = format!("4;{}\r\nbody\r\n0\r\n\r\n", "x".repeat(1 << 20));
    trial.probe("an extension of 1 MiB", |target| put(target, "Transfer-Encoding: chunked\r\n", &extension), Refuse);
    let trailers = format!("0\r\n{}\r\n", "X: y\r\n".repeat(10_000));
    trial.probe("ten thousand trailers", |target| put(target, "Transfer-Encoding: chunked\r\n", &trailers), Refuse);
}

#[test]
fn a_head_has_one_reading_or_is_refused() {
    let backend = Backend::start();
    let world = Setup::new().start(&backend);
    let mut trial = Trial { number: 0, world: &world, backend: &backend, wrong: Vec::new() };
    let signed = |target: &str| {
        let request = String::from_utf8(Ask::get(target).by(&READER)).unwrap();
        request.strip_suffix("\r\n").unwrap().to_owned()
    };
    for (what, request, expected) in HEADS {
        trial.probe(what, |target| request.replace('@', &signed(target)).into_bytes(), *expected);
    }
    let bare = |target: &str| format!("{}\r\n", signed(target)).replace("\r\n", "\n").into_bytes();
    trial.probe("bare line feeds", bare, One(""));
}

#[test]
fn a_refused_upload_does_not_become_the_next_request() {
    let backend = Backend::start();
    let world = Setup::new().start(&backend);
    let upload = SMUGGLED.repeat(3_000);
    let ask = Ask::new("PUT", "/v1/groups/probe");
    let chunked = format!("{:x}\r\n{upload}\r\n0\r\n\r\n", upload.len());
    let mut with_chunks = ask.clone().line("Transfer-Encoding: chunked").by(&READER);
    with_chunks.extend_from_slice(chunked.as_bytes());
    for request in [ask.body(&upload).by(&READER), with_chunks] {
        let mut client = world.connect();
        client.send(request);
        assert_eq!(client.answer().verdict(), (403, "implicit_deny"));
        client.send(Ask::get("/v1/groups/after").by(&READER));
        match client.outcome("GET") {
            Ok(answer) => assert_eq!(answer.text(), "/v1/groups/after"),
            Err(broken) => assert!(matches!(broken, Broken::Closed), "{broken:?}"),
        }
        assert!(backend.since(0).iter().all(|seen| seen.target() == "/v1/groups/after"));
    }
}

#[test]
fn pipelined_requests_are_decided_one_by_one_and_answered_in_order() {
    let backend = Backend::start();
    let world = Setup::new().start(&backend);
    let mut client = world.connect();
    let ask = |target: &str| Ask::get(target).by(&READER);
    let parts = [ask("/v1/groups/a"), ask("/v1/groups/hidden"), Ask::get("/v1/groups/b").plain(), ask("/v1/groups/c")];
    client.send(parts.concat());
    let answers: Vec<(u16, String)> = (0..4).map(|_| client.answer()).map(|answer| (answer.status, answer.text())).collect();
    assert_eq!(answers.iter().map(|(status, _)| *status).collect::<Vec<_>>(), [200, 403, 401, 200]);
    assert_eq!((&*answers[0].1, &*answers[3].1), ("/v1/groups/a", "/v1/groups/c"));
    assert_eq!(backend.since(0).iter().map(|seen| seen.target().to_owned()).collect::<Vec<_>>(), ["/v1/groups/a", "/v1/groups/c"]);
}

#[test]
fn a_body_that_breaks_is_the_clients_fault_and_not_the_backends() {
    let backend = Backend::start();
    let world = Setup::new().start(&backend);
    let mut wrong = Vec::new();
    for body in ["0x4\r\nbody\r\n0\r\n\r\n", "4\r\nbodyX\r\n0\r\n\r\n"] {
        let answer = world.ask(put("/v1/groups/g1", "Transfer-Encoding: chunked\r\n", body));
        if answer.verdict() != (400, "malformed_request") {
            wrong.push(format!("{body:?}: {:?}", answer.verdict()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(world.metric("portcullis_requests_total{service=\"iam\",outcome=\"upstream_unavailable\"}"), 0);
}

#[test]
fn a_body_that_ends_early_never_reaches_the_backend_whole() {
    let backend = Backend::start();
    let world = Setup::new().start(&backend);
    for (lines, body) in [
        ("Content-Length: 40\r\n", "body"),
        ("Transfer-Encoding: chunked\r\n", "4\r\nbody\r\n"),
        ("Transfer-Encoding: chunked\r\n", "4\r\nbody\r\n0\r\n"),
        ("Transfer-Encoding: chunked\r\n", "FFFFFFFFFFFFFFFF\r\nbody"),
    ] {
        let mut client = world.connect();
        client.send(put("/v1/groups/g1", lines, body)).half_close();
        let outcome = client.outcome("PUT");
        assert!(is_refused(&outcome), "{lines} {body:?}: {outcome:?}");
        assert!(backend.since(0).iter().all(|seen| !seen.whole), "{lines} {body:?}");
    }
}
