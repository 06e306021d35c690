//! Limits and deadlines: whoever is too slow, too much or too large is closed within bounds, and it is counted.

use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::time::Duration;

use super::backend::{Backend, Then};
use super::client::{Answer, Ask, Broken, Client, PATIENCE};
use super::harness::{ADMIN, READER, Setup, World, text, timed, wait};

const TIMED_OUT: &str = "portcullis_connections_timed_out_total";
/// A deadline of one second is noticed at the next sweep; the rest is for slow machines.
const BOUND: Duration = Duration::from_secs(5);
const EARLIEST: Duration = Duration::from_millis(600);

fn start(backend: &Backend) -> World {
    Setup::new().set("timeouts", "{head_s: 1, idle_s: 1, body_idle_s: 1, drain_s: 1}").start(backend)
}

fn group(id: &str) -> Vec<u8> {
    Ask::get(&format!("/v1/groups/{id}")).by(&READER)
}

/// The connection is closed about a second from now, without a word, and counted.
fn is_timed_out(world: &World, mut client: Client, what: &str) {
    let before = world.metric(TIMED_OUT);
    client.patience(BOUND);
    let (outcome, took) = timed(|| client.outcome("GET"));
    assert!(matches!(outcome, Err(Broken::Closed)), "{what}: {outcome:?} after {took:?}");
    assert!((EARLIEST..BOUND).contains(&took), "{what}: closed after {took:?}");
    wait(what, || (world.metric(TIMED_OUT) > before).then_some(()));
}

#[test]
fn a_connection_that_never_speaks_is_closed() {
    let backend = Backend::start();
    let world = start(&backend);
    is_timed_out(&world, world.connect(), "a silent connection");
}

#[test]
fn a_head_that_stops_half_way_is_closed() {
    let backend = Backend::start();
    let world = start(&backend);
    let mut client = world.connect();
    client.send(&group("g1")[..40]);
    is_timed_out(&world, client, "half a head");
}

/// Sends a byte now and then until the connection is closed; how long that took.
fn drip(client: &mut Client, bytes: &[u8]) -> Duration {
    client.patience(Duration::from_millis(100));
    let (closed, took) = timed(|| {
        bytes.iter().cycle().take(100).any(|byte| matches!(client.send([*byte]).outcome("GET"), Err(Broken::Closed | Broken::Cut(_))))
    });
    assert!(closed, "still open after {took:?}");
    took
}

#[test]
fn a_head_that_never_ends_is_closed_however_steadily_it_drips() {
    let backend = Backend::start();
    let world = start(&backend);
    let mut fresh = world.connect();
    fresh.send("GET /v1/groups HTTP/1.1\r\nX: ");
    let mut used = world.connect();
    assert_eq!(used.ask(group("g1")).status, 200);
    used.send("GET /v1/groups HTTP/1.1\r\nX: ");
    for mut client in [fresh, used] {
        let took = drip(&mut client, b"x");
        assert!(took < BOUND, "closed after {took:?}");
    }
    assert_eq!(backend.count(), 1);
}

#[test]
fn an_idle_connection_is_closed() {
    let backend = Backend::start();
    let world = start(&backend);
    let mut client = world.connect();
    assert_eq!(client.ask(group("g1")).status, 200);
    is_timed_out(&world, client, "an idle connection");
}

#[test]
fn an_idle_connection_is_closed_after_a_refusal_too() {
    let backend = Backend::start();
    let world = start(&backend);
    let mut client = world.connect();
    assert_eq!(client.ask(group("hidden")).status, 403);
    is_timed_out(&world, client, "a connection that idles after a 403");
}

#[test]
fn an_idle_connection_is_closed_after_a_failure_of_the_backend_too() {
    let backend = Backend::scripted(|_| Then::Close);
    let world = start(&backend);
    let mut client = world.connect();
    assert_eq!(client.ask(group("g1")).status, 502);
    is_timed_out(&world, client, "a connection that idles after a 502");
}

#[test]
fn a_head_that_never_ends_after_a_refusal_is_closed() {
    let backend = Backend::start();
    let world = start(&backend);
    let mut client = world.connect();
    assert_eq!(client.ask(group("hidden")).status, 403);
    client.send("GET /v1/groups HTTP/1.1\r\nX: ");
    let took = drip(&mut client, b"x");
    assert!(took < BOUND, "closed after {took:?}");
}

#[test]
fn a_connection_that_was_refused_and_rested_serves_the_next_request() {
    let backend = Backend::start();
    let world = Setup::new().set("timeouts", "{body_idle_s: 1, drain_s: 1}").start(&backend);
    let mut client = world.connect();
    assert_eq!(client.ask(group("hidden")).status, 403);
    // Longer than a body may rest, but far from too long between requests.
    client.patience(Duration::from_millis(1_600));
    assert!(matches!(client.outcome("GET"), Err(Broken::Silent)));
    client.patience(PATIENCE);
    assert_eq!(client.ask(group("g1")).verdict(), (200, "allow"));
}

fn upload(lines: &str, target: &str, method: &str) -> Vec<u8> {
    lines.split('|').fold(Ask::new(method, target), |ask, line| ask.line(line)).by(&ADMIN)
}

#[test]
fn an_upload_that_stalls_is_ended() {
    let backend = Backend::start();
    let world = start(&backend);
    let json = "Content-Type: application/json";
    let rows = [
        ("Content-Length: 10".to_owned(), "PUT", "/v1/groups/g1", "part"),
        ("Transfer-Encoding: chunked".to_owned(), "PUT", "/v1/groups/g1", "4\r\npart\r\n"),
        ("Expect: 100-continue|Content-Length: 10".to_owned(), "PUT", "/v1/groups/g1", ""),
        (format!("{json}|Content-Length: 99"), "DELETE", "/v1/policies/bulk", "{\"ids\":"),
        (format!("{json}|Transfer-Encoding: chunked"), "DELETE", "/v1/policies/bulk", "4\r\n{\"id\r\n"),
    ];
    let world = &world;
    std::thread::scope(|scope| {
        for (lines, method, target, part) in &rows {
            scope.spawn(move || {
                let mut client = world.connect();
                client.patience(BOUND);
                client.send(upload(lines, target, method)).send(part);
                let (outcome, took) = timed(|| client.outcome(method));
                assert!((EARLIEST..BOUND).contains(&took), "{method} {lines}: {outcome:?} after {took:?}");
                if let Ok(answer) = outcome {
                    assert!(answer.status >= 400, "{method} {lines}: {answer:?}");
                    assert!(client.is_closed(), "{method} {lines}: what comes late must not become a request");
                }
            });
        }
    });
    backend.wait(|all| all.iter().all(|seen| !seen.whole));
}

#[test]
fn an_upload_that_stalls_is_the_clients_fault_and_not_the_backends() {
    let backend = Backend::start();
    let world = start(&backend);
    let mut client = world.connect();
    client.send(upload("Content-Length: 10", "/v1/groups/g1", "PUT")).send("part");
    if let Ok(answer) = client.outcome("PUT") {
        assert!((400..500).contains(&answer.status), "{:?}", answer.verdict());
    }
    for reason in ["upstream_timeout", "upstream_unavailable"] {
        assert_eq!(world.metric(&format!("portcullis_requests_total{{service=\"iam\",outcome=\"{reason}\"}}")), 0, "{reason}");
    }
}

#[test]
fn a_backend_that_closes_while_the_client_is_slow_to_send_is_to_blame() {
    let backend = Backend::scripted(|turn| {
        let _ = turn.piece();
        Then::Close
    });
    let world = start(&backend);
    let mut client = world.connect();
    let answer = client.send(upload("Content-Length: 10", "/v1/groups/g1", "PUT")).send("part").outcome("PUT");
    assert_eq!(answer.unwrap().verdict(), (502, "upstream_unavailable"));
}

#[test]
fn an_upload_that_goes_on_slowly_is_not_ended() {
    let backend = Backend::start();
    let world = start(&backend);
    let mut client = world.connect();
    client.send(upload("Content-Length: 6", "/v1/groups/g1", "PUT"));
    client.patience(Duration::from_millis(400));
    for piece in ["1", "2", "3", "4", "5"] {
        let early = client.send(piece).outcome("PUT");
        assert!(matches!(early, Err(Broken::Silent)), "{early:?}");
    }
    client.patience(PATIENCE);
    assert_eq!(client.ask("6").verdict(), (200, "allow"));
    assert_eq!(backend.last().body, b"123456");
}

#[test]
fn an_upload_that_stalls_after_its_answer_is_ended() {
    let backend = Backend::scripted(|turn| {
        turn.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        while turn.piece().is_some() {}
        Then::Close
    });
    let world = start(&backend);
    let mut client = world.connect();
    client.send(upload("Content-Length: 10", "/v1/groups/g1", "PUT")).send("1");
    assert_eq!(client.answer().status, 200);
    // The answer is over; a piece more, and then nothing.
    client.send("2");
    client.patience(BOUND);
    let (closed, took) = timed(|| client.is_closed());
    assert!(closed, "still open after {took:?}");
}

#[test]
fn an_answer_that_stalls_is_cut() {
    let (go, told) = channel::<()>();
    let told = Mutex::new(told);
    let backend = Backend::scripted(move |turn| {
        turn.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\npart");
        let _ = told.lock().unwrap().recv_timeout(PATIENCE);
        Then::Close
    });
    let world = start(&backend);
    let mut client = world.connect();
    client.patience(BOUND);
    let head: Answer = client.send(group("g1")).head().unwrap();
    let (rest, took) = timed(|| client.take(10));
    go.send(()).unwrap();
    assert!(matches!(rest, Err(Broken::Cut(_))), "{rest:?}");
    assert!((EARLIEST..BOUND).contains(&took), "cut after {took:?}");
    let record = world.record(head.request_id());
    assert_eq!(record.get("complete").unwrap().value, portcullis::source::Value::Bool(false));
}

#[test]
fn a_client_that_does_not_read_its_answer_is_cut() {
    let backend = Backend::scripted(|turn| {
        let length = 64 << 20;
        turn.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n"));
        for _ in 0..length >> 16 {
            turn.send(vec![b'x'; 1 << 16]);
        }
        Then::Close
    });
    let world = start(&backend);
    let mut client = world.connect();
    client.send(group("g1"));
    let ((), took) = timed(|| world.wait_metric(TIMED_OUT, 1));
    assert!(took < BOUND, "cut after {took:?}");
    wait("the connection's end", || (world.metric("portcullis_connections") == 0).then_some(()));
}

#[test]
fn connections_over_the_limit_are_closed_and_the_others_stay() {
    let backend = Backend::start();
    let world = Setup::new().set("limits", "{connections_max: 3}").start(&backend);
    let mut open: Vec<Client> = (0..3).map(|_| world.connect()).collect();
    for client in &mut open {
        assert_eq!(client.ask(group("g1")).status, 200);
    }
    for count in 1..=2 {
        assert!(world.connect().is_closed());
        world.wait_metric("portcullis_connections_refused_total", count);
    }
    for client in &mut open {
        assert_eq!(client.ask(group("g1")).status, 200);
    }
    assert_eq!(world.metric("portcullis_connections"), 3);
    open.pop();
    wait("room for another connection", || (world.metric("portcullis_connections") == 2).then_some(()));
    assert_eq!(world.ask(group("g1")).status, 200);
}

#[test]
fn heads_over_the_limits_are_refused() {
    let backend = Backend::start();
    let world = Setup::new().set("limits", "{headers_max: 20, head_bytes_max: 8192}").start(&backend);
    let with = |lines: usize, length: usize| {
        let line = format!("X: {}", "y".repeat(length));
        (0..lines).fold(Ask::get("/v1/groups/g1"), |ask, _| ask.line(&line)).by(&READER)
    };
    assert_eq!(world.ask(with(10, 100)).status, 200);
    assert_eq!(world.ask(with(1, 7_000)).status, 200);
    let long = Ask::get(&format!("/v1/groups/{}", "x".repeat(70_000))).by(&READER);
    for (what, request) in [("too many headers", with(30, 1)), ("too large a head", with(1, 20_000)), ("too long a target", long)] {
        let mut client = world.connect();
        match client.send(request).outcome("GET") {
            Ok(answer) => assert!(matches!(answer.status, 400 | 414 | 431), "{what}: {answer:?}"),
            Err(broken) => assert!(matches!(broken, Broken::Closed), "{what}: {broken:?}"),
        }
        assert!(client.is_closed(), "{what}");
    }
    world.wait_metric("portcullis_connections_malformed_total", 3);
    assert_eq!(backend.count(), 2);
}

#[test]
fn a_body_is_not_bounded_by_the_limit_of_the_head() {
    let backend = Backend::start();
    let world = Setup::new().set("limits", "{head_bytes_max: 8192}").start(&backend);
    let request = Ask::new("PUT", "/v1/groups/g1").body(vec![b'x'; 1 << 20]).by(&ADMIN);
    assert_eq!(world.ask(request).status, 200);
    assert_eq!(backend.last().body.len(), 1 << 20);
}

/// A backend that answers `held` only when it is told.
fn holding() -> (Backend, std::sync::mpsc::Sender<()>) {
    let (go, told) = channel::<()>();
    let told = Mutex::new(told);
    let backend = Backend::scripted(move |turn| {
        if turn.seen.target().ends_with("held") {
            let _ = told.lock().unwrap().recv_timeout(PATIENCE);
        }
        turn.ok()
    });
    (backend, go)
}

#[test]
fn a_graceful_stop_lets_running_requests_finish_and_takes_no_more() {
    let (backend, go) = holding();
    let mut world = Setup::new().set("workers", "2").set("timeouts", "{drain_s: 20}").start(&backend);
    let mut idle = world.connect();
    assert_eq!(idle.ask(group("g1")).status, 200);
    let mut running = world.connect();
    running.send(group("held"));
    backend.wait(|all| all.len() == 2);
    let gateway = world.take_gateway();
    let stopping = std::thread::spawn(move || gateway.stop());
    assert!(idle.is_closed(), "what idles is closed at once");
    wait("the listener's end", || std::net::TcpStream::connect(world.address).is_err().then_some(()));
    go.send(()).unwrap();
    let answer = running.answer();
    assert_eq!((answer.verdict(), answer.text().as_str()), ((200, "allow"), "/v1/groups/held"));
    assert_eq!(answer.header("connection"), Some("close"));
    assert!(running.is_closed());
    let ((), took) = timed(|| stopping.join().unwrap());
    assert!(took < Duration::from_secs(10), "nothing is left to wait for, but stopping took {took:?}");
    assert_eq!(world.records().len(), 2);
}

#[test]
fn what_does_not_finish_in_the_drain_time_is_cut_and_leaves_its_record() {
    let (backend, go) = holding();
    let mut world = start(&backend);
    let mut running = world.connect();
    running.send(group("held"));
    backend.wait(|all| all.len() == 1);
    let ((), took) = timed(|| world.stop());
    assert!((EARLIEST..BOUND).contains(&took), "stopped after {took:?}");
    go.send(()).unwrap();
    assert!(matches!(running.outcome("GET"), Err(Broken::Closed)));
    let records = world.records();
    assert_eq!(records.len(), 1, "whatever happens, a request leaves one record");
    assert_eq!(text(&records[0], "decision"), Some("allow"));
}

#[test]
fn readiness_ends_with_the_order_to_stop() {
    let (backend, go) = holding();
    let mut world = Setup::new().set("timeouts", "{drain_s: 20}").start(&backend);
    let mut running = world.connect();
    running.send(group("held"));
    backend.wait(|all| all.len() == 1);
    let metrics = world.metrics_address;
    let status = |path: &str| Client::open(metrics).ask(format!("GET {path} HTTP/1.1\r\nHost: {metrics}\r\n\r\n")).status;
    assert_eq!((status("/livez"), status("/metrics"), status("/other")), (200, 200, 404));
    assert_eq!(status("/revision"), 404, "there is a digest only where there is a feed");
    let gateway = world.take_gateway();
    let stopping = std::thread::spawn(move || gateway.stop());
    wait("readiness to end", || (status("/readyz") == 503).then_some(()));
    assert_eq!(status("/livez"), 200);
    go.send(()).unwrap();
    assert_eq!(running.answer().status, 200);
    stopping.join().unwrap();
}
