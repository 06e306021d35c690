//! Deadlines that nobody evades, and that end nobody who gets on.

use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::time::Duration;

use super::backend::{Backend, Then};
use super::client::{Ask, Broken, Client, PATIENCE};
use super::harness::{ADMIN, READER, Setup, pause, timed};

const JSON: &str = "Content-Type: application/json";
const IDS: &str = r#"{"ids":["a1","a2"]}"#;

fn chunked(ask: Ask, body: &str) -> Vec<u8> {
    let mut request = ask.line("Transfer-Encoding: chunked").by(&ADMIN);
    request.extend_from_slice(format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len()).as_bytes());
    request
}

#[test]
fn a_backend_has_its_own_time_for_the_answer_to_an_upload() {
    let (go, told) = channel::<()>();
    let told = Mutex::new(told);
    let backend = Backend::scripted(move |turn| {
        while turn.piece().is_some() {}
        let _ = told.lock().unwrap().recv_timeout(PATIENCE);
        turn.ok()
    });
    let paths = "
  /v1/batch:
    post: {action: iam:DeleteBulkPolicy, access_level: Permission, resources: [{'iam:policy': {resource_id: \"body['ids'][*]\"}}]}";
    let world = Setup::new()
        .set("timeouts", "{body_idle_s: 1, drain_s: 1}")
        .set("upstream", "response_timeout_ms: 4000")
        .paths(paths)
        .start(&backend);
    let put = Ask::new("PUT", "/v1/groups/g1");
    let post = Ask::new("POST", "/v1/batch").line(JSON);
    let bulk = Ask::new("DELETE", "/v1/policies/bulk").line(JSON);
    let requests = [
        ("a PUT", put.clone().body("body").by(&ADMIN)),
        ("a large PUT", put.clone().body(vec![b'x'; 1 << 20]).by(&ADMIN)),
        ("an empty PUT", put.clone().body("").by(&ADMIN)),
        ("a PUT in chunks", chunked(put, "body")),
        ("a POST decided on", post.clone().body(IDS).by(&ADMIN)),
        ("a POST in chunks decided on", chunked(post, IDS)),
        ("a DELETE decided on", bulk.clone().body(IDS).by(&ADMIN)),
        ("a DELETE in chunks decided on", chunked(bulk, IDS)),
    ];
    let mut clients: Vec<Client> = requests.iter().map(|_| world.connect()).collect();
    for (client, (_, request)) in clients.iter_mut().zip(&requests) {
        client.send(request);
    }
    backend.wait(|all| all.len() == requests.len() && all.iter().all(|seen| seen.whole));
    // Twice as long as a body may rest.
    pause(Duration::from_secs(2));
    for _ in &requests {
        go.send(()).unwrap();
    }
    for (client, (what, _)) in clients.iter_mut().zip(&requests) {
        let outcome = client.outcome("PUT");
        assert!(outcome.as_ref().is_ok_and(|answer| answer.verdict() == (200, "allow")), "{what}: {outcome:?}");
    }
}

#[test]
fn a_body_that_is_decided_on_has_the_time_of_one_piece_however_steadily_it_drips() {
    let backend = Backend::start();
    let world = Setup::new().set("timeouts", "{body_idle_s: 1, drain_s: 1}").start(&backend);
    let bulk = Ask::new("DELETE", "/v1/policies/bulk").line(JSON);
    for (framing, piece) in [("Content-Length: 1000", " "), ("Transfer-Encoding: chunked", "1\r\n \r\n")] {
        let mut client = world.connect();
        client.send(bulk.clone().line(framing).by(&ADMIN));
        client.patience(Duration::from_millis(100));
        let (outcome, took) = timed(|| {
            let mut drips = (0..100).map(|_| client.send(piece).outcome("DELETE"));
            drips.find(|outcome| !matches!(outcome, Err(Broken::Silent)))
        });
        let Some(Ok(answer)) = outcome else { panic!("{framing}: {outcome:?} after {took:?}") };
        assert_eq!(answer.verdict(), (400, "malformed_request"), "{framing}");
        assert!((Duration::from_millis(600)..Duration::from_secs(4)).contains(&took), "{framing}: after {took:?}");
        client.patience(PATIENCE);
        assert!(client.is_closed(), "{framing}: what comes late must not become a request");
    }
    assert_eq!(backend.count(), 0);
}

#[test]
fn a_client_that_reads_slowly_but_steadily_gets_its_whole_answer() {
    // More than the kernel takes at once from a gateway that lets it.
    const LENGTH: usize = 8 << 20;
    const PIECE: usize = 64 << 10;
    let backend = Backend::scripted(|turn| {
        turn.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {LENGTH}\r\n\r\n"));
        for _ in 0..LENGTH / PIECE {
            turn.send(vec![b'x'; PIECE]);
        }
        Then::Keep
    });
    let world = Setup::new().set("timeouts", "{body_idle_s: 1, drain_s: 1}").start(&backend);
    let mut client = Client::open_narrow(world.address);
    assert_eq!(client.send(Ask::get("/v1/groups/g1").by(&READER)).head().unwrap().status, 200);
    for number in 0..LENGTH / PIECE {
        let piece = client.take(PIECE).ok();
        assert!(piece.is_some_and(|piece| piece.iter().all(|byte| *byte == b'x')), "cut after {number} pieces");
        pause(Duration::from_millis(100));
    }
    assert_eq!(world.metric("portcullis_connections_timed_out_total"), 0);
}
