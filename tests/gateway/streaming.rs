//! Bodies: streamed both ways, cut where they were cut, framed once.

use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};

use super::backend::{Backend, Then};
use super::client::{Ask, Broken, Client, PATIENCE};
use super::harness::{ADMIN, READER, Setup, World, text};

/// 300 KiB in which no stretch repeats.
pub(crate) fn large() -> Vec<u8> {
    (0..75_000u32).flat_map(u32::to_be_bytes).collect()
}

pub(crate) fn chunked(body: &[u8], size: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for chunk in body.chunks(size) {
        bytes.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        bytes.extend_from_slice(chunk);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"0\r\n\r\n");
    bytes
}

fn put() -> Ask {
    Ask::new("PUT", "/v1/groups/g1")
}

fn chunked_head() -> Vec<u8> {
    put().line("Transfer-Encoding: chunked").by(&ADMIN)
}

#[test]
fn large_bodies_pass_unchanged_both_ways_and_in_both_framings() {
    let backend = Backend::scripted(|turn| {
        while turn.piece().is_some() {}
        let body = turn.seen.body.clone();
        if turn.seen.header("transfer-encoding").is_some() {
            turn.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
            turn.send(chunked(&body, 7_777));
        } else {
            turn.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()));
            turn.send(body);
        }
        Then::Keep
    });
    let world = Setup::new().start(&backend);
    let mut client = world.connect();
    let mut with_chunks = chunked_head();
    with_chunks.extend(chunked(&large(), 10_001));
    for (request, framing) in [(put().body(large()).by(&ADMIN), "content-length"), (with_chunks, "transfer-encoding")] {
        let answer = client.ask(&request);
        assert_eq!(answer.verdict(), (200, "allow"));
        assert!(backend.last().body == large() && answer.body == large(), "{framing}");
        assert!(backend.last().header(framing).is_some() && answer.header(framing).is_some(), "{framing}");
        let record = world.record(answer.request_id());
        assert_eq!(super::harness::number(&record, "response_bytes"), Some(300_000));
    }
}

#[test]
fn the_first_piece_of_an_upload_is_passed_on_before_the_last_has_come() {
    let backend = Backend::start();
    let world = Setup::new().start(&backend);
    for (head, first, last) in [
        (put().line("Content-Length: 10").by(&ADMIN), &b"first"[..], &b"-last"[..]),
        (chunked_head(), b"5\r\nfirst\r\n", b"5\r\n-last\r\n0\r\n\r\n"),
    ] {
        let mut client = world.connect();
        client.send(head).send(first);
        backend.wait(|all| all.last().is_some_and(|seen| seen.body == b"first" && !seen.whole));
        assert_eq!(client.ask(last).status, 200);
        assert_eq!(backend.last().body, b"first-last");
    }
}

/// A backend that sends a head and a first piece, and the rest when it is told.
fn in_two_pieces(head: &'static str, first: &'static str, rest: &'static str) -> (Backend, std::sync::mpsc::Sender<()>) {
    let (go, told) = channel::<()>();
    let told: Mutex<Receiver<()>> = Mutex::new(told);
    let backend = Backend::scripted(move |turn| {
        turn.send(head);
        turn.send(first);
        if told.lock().unwrap().recv_timeout(PATIENCE).is_ok() {
            turn.send(rest);
        }
        Then::Close
    });
    (backend, go)
}

#[test]
fn the_first_piece_of_an_answer_is_passed_on_before_the_last_has_come() {
    for (framing, first, rest) in [
        ("Content-Length: 10\r\n", "first", "-last"),
        ("Transfer-Encoding: chunked\r\n", "5\r\nfirst\r\n", "5\r\n-last\r\n0\r\n\r\n"),
        ("", "first", "-last"),
    ] {
        let head: &'static str = Box::leak(format!("HTTP/1.1 200 OK\r\n{framing}\r\n").into_boxed_str());
        let (backend, go) = in_two_pieces(head, first, rest);
        let world = Setup::new().start(&backend);
        let mut client = world.connect();
        let answer = client.send(Ask::get("/v1/groups/g1").by(&READER)).head().unwrap();
        let with_length = answer.header("content-length").is_some();
        assert_eq!(with_length, framing.starts_with("Content"), "{answer:?}");
        let piece = |client: &mut Client| if with_length { client.take(5).unwrap() } else { client.chunk().unwrap() };
        assert_eq!(piece(&mut client), b"first", "{framing}");
        go.send(()).unwrap();
        assert_eq!(piece(&mut client), b"-last", "{framing}");
        if !with_length {
            assert!(piece(&mut client).is_empty(), "a clean end");
        }
    }
}

#[test]
fn an_answer_that_breaks_off_is_cut_and_not_ended_cleanly() {
    for (framing, part) in [("Content-Length: 10\r\n", "part"), ("Transfer-Encoding: chunked\r\n", "4\r\npart\r\n")] {
        let head: &'static str = Box::leak(format!("HTTP/1.1 200 OK\r\n{framing}\r\n").into_boxed_str());
        let (backend, go) = in_two_pieces(head, part, "");
        let world = Setup::new().start(&backend);
        let mut client = world.connect();
        let answer = client.send(Ask::get("/v1/groups/g1").by(&READER)).head().unwrap();
        go.send(()).unwrap();
        // The head of it is there; what follows never ends as its framing says it should.
        let end = if framing.starts_with("Content") { client.take(10) } else { client.chunk().and_then(|_| client.chunk()) };
        assert!(matches!(end, Err(Broken::Closed | Broken::Cut(_))), "{framing}: {end:?}");
        let record = world.record(answer.request_id());
        assert_eq!(record.get("complete").unwrap().value, portcullis::source::Value::Bool(false));
    }
}

fn answering(answer: &'static str) -> (Backend, World) {
    let backend = Backend::scripted(move |turn| {
        while turn.piece().is_some() {}
        turn.send(answer);
        Then::Keep
    });
    let world = Setup::new().start(&backend);
    (backend, world)
}

#[test]
fn answers_without_a_body_pass_as_they_are() {
    for (method, given, length) in [
        ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n", Some("1234")),
        ("HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", None),
        ("GET", "HTTP/1.1 204 No Content\r\n\r\n", None),
        ("GET", "HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n\r\n", None),
        // The length of what was not sent may be told (RFC 9110 section 8.6), and hyper does not.
        ("GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 77\r\n\r\n", None),
        ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", Some("0")),
    ] {
        let (_backend, world) = answering(given);
        let mut client = world.connect();
        // Twice on one connection: nothing of the first answer is left behind.
        for _ in 0..2 {
            client.send(Ask::new(method, "/v1/groups/g1").by(&READER));
            let answer = client.outcome(method).unwrap();
            assert!(given.starts_with(&format!("HTTP/1.1 {} ", answer.status)), "{given}");
            assert_eq!(answer.header("content-length"), length, "{given}");
        }
    }
}

#[test]
fn a_length_beside_chunks_does_not_cut_the_answer() {
    for lines in ["Transfer-Encoding: chunked\r\nContent-Length: 2\r\n", "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n"] {
        let answer: &'static str = Box::leak(format!("HTTP/1.1 200 OK\r\n{lines}\r\n5\r\nhello\r\n0\r\n\r\n").into_boxed_str());
        let (_backend, world) = answering(answer);
        let mut client = world.connect();
        for _ in 0..2 {
            let answer = client.ask(Ask::get("/v1/groups/g1").by(&READER));
            assert_eq!((answer.verdict(), answer.text().as_str()), ((200, "allow"), "hello"), "{lines:?}");
            assert_eq!((answer.all("content-length"), answer.header("transfer-encoding")), (vec![], Some("chunked")), "{lines:?}");
        }
    }
}

#[test]
fn interim_answers_are_not_taken_for_the_answer() {
    let flood: &'static str = Box::leak(
        format!("{}HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n".repeat(500))
            .into_boxed_str(),
    );
    for given in [
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        flood,
    ] {
        let (_backend, world) = answering(given);
        let mut client = world.connect();
        for _ in 0..2 {
            let answer = client.ask(Ask::get("/v1/groups/g1").by(&READER));
            assert_eq!((answer.status, answer.text().as_str()), (200, "ok"));
        }
    }
}

#[test]
fn a_client_that_expects_100_is_told_to_go_on_only_when_its_request_is_allowed() {
    let backend = Backend::start();
    let world = Setup::new().start(&backend);
    let expecting = put().line("Expect: 100-continue").line("Content-Length: 4");
    let mut client = world.connect();
    let go_on = client.send(expecting.by(&ADMIN)).head().unwrap();
    assert_eq!(go_on.status, 100);
    let answer = client.ask("body");
    assert_eq!(answer.verdict(), (200, "allow"));
    assert_eq!((backend.last().body.as_slice(), backend.last().header("expect")), (&b"body"[..], None));

    let mut client = world.connect();
    let refused = client.send(expecting.by(&READER)).head().unwrap();
    assert_eq!(refused.verdict(), (403, "implicit_deny"), "no 100 before a refusal");
    assert_eq!(backend.count(), 1);
}

#[test]
fn trailers_are_dropped_in_both_directions() {
    let backend = Backend::scripted(|turn| {
        while turn.piece().is_some() {}
        turn.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: Portcullis-Reason\r\n\r\n");
        turn.send("2\r\nok\r\n0\r\nPortcullis-Reason: forged\r\nX-Trailer: forged\r\n\r\n");
        Then::Keep
    });
    let world = Setup::new().start(&backend);
    let mut request = put().line("Transfer-Encoding: chunked").line("TE: trailers").line("Trailer: X-Auth-User").by(&ADMIN);
    request.extend_from_slice(b"4\r\nbody\r\n0\r\nX-Auth-User: root\r\nContent-Length: 5\r\nHost: evil.test\r\n\r\n");
    let mut client = world.connect();
    let answer = client.ask(&request);
    assert_eq!((answer.status, answer.text().as_str()), (200, "ok"));
    let seen = backend.last();
    assert!(!seen.head.contains("root") && seen.body == b"body", "{seen:?}");
    let next = client.ask(Ask::get("/v1/groups/g1").by(&READER));
    assert_eq!((next.status, backend.count()), (200, 2));
}

#[test]
fn clients_of_http_1_0_get_no_chunks_and_a_closed_connection() {
    let (backend, world) = answering("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
    let request = String::from_utf8(Ask::get("/v1/groups/g1").by(&READER)).unwrap().replace(" HTTP/1.1\r\n", " HTTP/1.0\r\n");
    let mut client = world.connect();
    let answer = client.ask(request);
    assert_eq!((answer.status, answer.header("transfer-encoding"), answer.text().as_str()), (200, None, "hello"));
    assert!(client.is_closed());
    assert!(backend.last().head.starts_with("GET /v1/groups/g1 HTTP/1.1\r\n"));
}

#[test]
fn a_client_that_closes_its_half_is_answered_or_closed() {
    let (backend, mut world) = answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let mut client = world.connect();
    client.send(Ask::get("/v1/groups/g1").by(&READER)).half_close();
    match client.outcome("GET") {
        Ok(answer) => assert_eq!((answer.status, answer.text().as_str()), (200, "ok")),
        Err(broken) => assert!(matches!(broken, Broken::Closed), "{broken:?}"),
    }
    assert!(client.is_closed());
    world.stop();
    // When the end has come together with the request, the request may never have begun.
    let records = world.records().len();
    assert!((backend.count()..=1).contains(&records), "{records}");
}

#[test]
fn a_client_that_leaves_before_its_answer_leaves_one_record() {
    let (go, told) = channel::<()>();
    let told = Mutex::new(told);
    let backend = Backend::scripted(move |turn| {
        let _ = told.lock().unwrap().recv_timeout(PATIENCE);
        turn.ok()
    });
    let mut world = Setup::new().start(&backend);
    let mut client = world.connect();
    client.send(Ask::get("/v1/groups/g1").by(&READER));
    backend.wait(|all| all.len() == 1);
    drop(client);
    super::harness::wait("the record", || (world.records().len() == 1).then_some(()));
    go.send(()).unwrap();
    world.stop();
    let records = world.records();
    assert_eq!(records.len(), 1);
    assert_eq!((text(&records[0], "decision"), text(&records[0], "principal").is_some()), (Some("allow"), true));
    assert_eq!(records[0].get("complete").unwrap().value, portcullis::source::Value::Bool(false));
}
