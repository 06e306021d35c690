//! Connections to backends: reused with care, never shared by two answers, and what failing backends look like.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::channel;
use std::sync::{Barrier, Mutex};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use super::backend::{Backend, Seen, Then, Turn};
use super::client::{Answer, Ask, Broken, Client, PATIENCE};
use super::harness::{ADMIN, READER, Setup, World, timed};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn get(client: &mut Client, id: &str) -> Answer {
    client.ask(Ask::get(&format!("/v1/groups/{id}")).by(&READER))
}

/// Lets an upstream connection idle for longer than the time below which the gateway keeps no copy of a request.
fn let_idle(client: &mut Client) {
    client.patience(Duration::from_millis(400));
    assert!(matches!(client.outcome("GET"), Err(Broken::Silent)), "nothing comes unasked");
    client.patience(PATIENCE);
}

#[test]
fn connections_are_reused() {
    let backend = Backend::start();
    let world = Setup::new().start(&backend);
    let mut client = world.connect();
    for _ in 0..20 {
        assert_eq!(get(&mut client, "g1").status, 200);
        assert_eq!(get(&mut world.connect(), "g2").status, 200);
    }
    let connections = backend.since(0).iter().map(|seen| seen.connection).max().unwrap() + 1;
    assert!(connections <= 2, "{connections} connections for 40 requests one after the other");
    assert_eq!(world.metric("portcullis_upstream_connections_total"), connections as u64);
}

#[test]
fn a_backend_that_closes_idle_connections_costs_no_request() {
    for announced in [false, true] {
        let (closed, told) = channel();
        let closed = Mutex::new(closed);
        let backend = Backend::scripted(move |turn| {
            while turn.piece().is_some() {}
            turn.send(if announced { "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok" } else { OK });
            let _ = closed.lock().unwrap().send(());
            Then::Close
        });
        let world = Setup::new().start(&backend);
        let mut client = world.connect();
        for _ in 0..2 {
            assert_eq!(get(&mut client, "g1").verdict(), (200, "allow"));
            told.recv_timeout(PATIENCE).unwrap();
            // The gateway must have seen the end, or this would be the race of the next test.
            let_idle(&mut client);
            let post = client.ask(Ask::new("POST", "/v1/groups").body("x").by(&ADMIN));
            assert_eq!(post.verdict(), (200, "allow"));
            told.recv_timeout(PATIENCE).unwrap();
            let_idle(&mut client);
        }
        assert_eq!(backend.count(), 4);
    }
}

/// Answers the first request of a connection, and does `then` with the second.
fn only_the_first(then: impl Fn(&mut Turn<'_>) + Send + Sync + 'static) -> Backend {
    Backend::scripted(move |turn| {
        if turn.seen.nth == 0 {
            return turn.ok();
        }
        then(turn);
        Then::Close
    })
}

#[test]
fn a_get_that_met_the_backends_close_is_sent_again() {
    let backend = only_the_first(|_| {});
    let world = Setup::new().start(&backend);
    let mut client = world.connect();
    assert_eq!(get(&mut client, "g1").status, 200);
    let_idle(&mut client);
    assert_eq!(get(&mut client, "g2").verdict(), (200, "allow"));
    let seen: Vec<_> = backend.since(0).iter().map(|seen| (seen.connection, seen.nth, seen.target().to_owned())).collect();
    assert_eq!(seen, [(0, 0, "/v1/groups/g1".into()), (0, 1, "/v1/groups/g2".into()), (1, 0, "/v1/groups/g2".into())]);
    assert_eq!(world.metric("portcullis_upstream_retries_total"), 1);
}

#[test]
fn a_get_that_met_the_close_of_a_busy_connection_is_sent_again() {
    let backend = only_the_first(|_| {});
    let world = Setup::new().start(&backend);
    let mut client = world.connect();
    for number in 0..20 {
        assert_eq!(get(&mut client, "g1").verdict(), (200, "allow"), "request {number}");
    }
}

#[test]
fn what_is_sent_again_is_the_same_to_the_byte() {
    let backend = only_the_first(|_| {});
    let world = Setup::new().start(&backend);
    let mut client = world.connect();
    let plain = |method: &str| Ask::new(method, "/v1/groups/a%20b%2Fc?x=%ED%95%9C+y&x=");
    let empty = plain("PUT").body("");
    for ask in [plain("GET"), plain("HEAD"), plain("DELETE"), plain("PUT"), empty] {
        assert_eq!(get(&mut client, "first").status, 200);
        let before = backend.count();
        let ask = ask
            .line("Cookie: a=\u{e9}; b=\"c\"")
            .line("Cookie: d")
            .line("X-Empty:")
            .line("Portcullis-Principal: root")
            .line("x_user_id: 1");
        let request = ask.by(&ADMIN);
        client.send(&request);
        let method = if request.starts_with(b"HEAD") { "HEAD" } else { "GET" };
        assert_eq!(client.outcome(method).unwrap().verdict(), (200, "allow"));
        let seen = backend.since(before);
        let [met_the_close, again] = &seen[..] else { panic!("sent {} times", seen.len()) };
        let lines = |seen: &Seen| {
            let mut lines: Vec<String> = seen.head.split("\r\n").map(str::to_owned).collect();
            lines.sort_unstable();
            lines
        };
        assert_eq!((lines(met_the_close), again.whole, &*again.body), (lines(again), true, &[][..]));
        assert!(again.head.contains("portcullis-assertion: v2;") && !again.head.contains("root"), "{}", again.head);
    }
}

#[test]
fn a_large_head_is_sent_again_whole_or_not_at_all() {
    let backend = only_the_first(|_| {});
    let world = Setup::new().start(&backend);
    let mut client = world.connect();
    for length in [1_000, 3_000, 6_000, 12_000, 20_000, 40_000] {
        assert_eq!(get(&mut client, "first").status, 200);
        let before = backend.count();
        let answer = client.ask(Ask::get("/v1/groups/g1").line(&format!("Cookie: {}", "x".repeat(length))).by(&READER));
        let seen = backend.since(before);
        assert!(seen.iter().all(|seen| seen.header("cookie").is_some_and(|cookie| cookie.len() == length)), "{length}");
        let expected = if seen.len() == 2 { (200, "allow") } else { (502, "upstream_unavailable") };
        assert_eq!(answer.verdict(), expected, "{length}: sent {} times", seen.len());
        // Browsers send 8 KiB of cookies without a thought (hostile-inputs 2.1), so those must survive the race too.
        assert!(seen.len() == 2 || length > 12_000, "a head of {length} bytes is not sent again");
    }
}

#[test]
fn a_post_is_never_sent_twice() {
    let backend = only_the_first(|turn| while turn.piece().is_some() {});
    let world = Setup::new().start(&backend);
    let mut client = world.connect();
    assert_eq!(get(&mut client, "g1").status, 200);
    let_idle(&mut client);
    let answer = client.ask(Ask::new("POST", "/v1/groups").body("x").by(&ADMIN));
    assert_eq!(answer.verdict(), (502, "upstream_unavailable"));
    assert_eq!(backend.count(), 2);
}

#[test]
fn what_is_not_sent_again_is_not_counted_as_sent_again() {
    let backend = only_the_first(|turn| while turn.piece().is_some() {});
    let world = Setup::new().start(&backend);
    let mut client = world.connect();
    assert_eq!(get(&mut client, "g1").status, 200);
    let_idle(&mut client);
    assert_eq!(client.ask(Ask::new("POST", "/v1/groups").body("x").by(&ADMIN)).status, 502);
    assert_eq!(world.metric("portcullis_upstream_retries_total"), 0);
}

#[test]
fn a_get_is_sent_at_most_twice_however_many_connections_have_gone_stale() {
    let all_there = Barrier::new(4);
    let backend = Backend::scripted(move |turn| match (turn.seen.target(), turn.seen.nth) {
        ("/v1/groups/first", _) => {
            all_there.wait();
            turn.ok()
        }
        (_, 0) => turn.ok(),
        _ => Then::Close,
    });
    let world = Setup::new().start(&backend);
    let mut clients: Vec<Client> = (0..4).map(|_| world.connect()).collect();
    for client in &mut clients {
        client.send(Ask::get("/v1/groups/first").by(&READER));
    }
    for client in &mut clients {
        assert_eq!(client.answer().status, 200);
    }
    let_idle(&mut clients[0]);
    assert_eq!(get(&mut clients[0], "second").verdict(), (200, "allow"));
    let sent: Vec<_> = backend.since(4).iter().map(|seen| (seen.connection, seen.nth)).collect();
    assert!(sent.len() <= 2, "sent {} times, on (connection, place) {sent:?}", sent.len());
}

#[test]
fn a_get_whose_answer_had_begun_is_not_sent_again() {
    let backend = only_the_first(|turn| turn.send("HTTP/1.1 200 OK\r\nContent-Le"));
    let world = Setup::new().start(&backend);
    let mut client = world.connect();
    assert_eq!(get(&mut client, "g1").status, 200);
    let_idle(&mut client);
    assert_eq!(get(&mut client, "g2").verdict(), (502, "upstream_unavailable"));
    assert_eq!(backend.count(), 2);
}

#[test]
fn backends_that_fail_before_an_answer_are_502_and_asked_once() {
    for garbage in [
        "",
        "HTTP/1.1 200 OK\r\nContent-",
        "garbage\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nbad header: x\r\n\r\na",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
    ] {
        let backend = Backend::scripted(move |turn| {
            while turn.piece().is_some() {}
            turn.send(garbage);
            Then::Close
        });
        let world = Setup::new().start(&backend);
        let mut client = world.connect();
        for (count, request) in
            [Ask::get("/v1/groups/g1").by(&READER), Ask::new("POST", "/v1/groups").body("x").by(&ADMIN)].iter().enumerate()
        {
            assert_eq!(client.ask(request).verdict(), (502, "upstream_unavailable"), "{garbage}");
            assert_eq!(backend.count(), count + 1, "{garbage}");
        }
    }
}

#[test]
fn a_backend_that_is_not_there_is_502_and_the_connection_stays_good() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let world = Setup::new().start_before(closed);
    let mut client = world.connect();
    for _ in 0..3 {
        assert_eq!(get(&mut client, "g1").verdict(), (502, "upstream_unavailable"));
        assert_eq!(client.ask(Ask::new("POST", "/v1/groups").body("x").by(&ADMIN)).verdict(), (502, "upstream_unavailable"));
        assert_eq!(get(&mut client, "hidden").verdict(), (403, "explicit_deny"));
    }
}

#[test]
fn a_backend_that_does_not_accept_is_502_within_the_connect_timeout() {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&"127.0.0.1:0".parse::<SocketAddr>().unwrap().into()).unwrap();
    socket.listen(0).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    // Fill the queue that nobody empties, until a connection gets no answer any more.
    let waiting: Vec<TcpStream> = (0..10).map_while(|_| TcpStream::connect_timeout(&address, Duration::from_millis(200)).ok()).collect();
    assert!(waiting.len() < 10, "the queue has an end");
    let world = Setup::new().set("upstream", "connect_timeout_ms: 200").start_before(address);
    let mut client = world.connect();
    let (answer, took) = timed(|| get(&mut client, "g1"));
    assert_eq!(answer.verdict(), (502, "upstream_unavailable"));
    assert!(took < Duration::from_secs(3), "{took:?}");
    assert_eq!(get(&mut client, "hidden").verdict(), (403, "explicit_deny"));
}

/// Never answers requests for `/v1/groups/slow`.
fn sometimes_slow() -> Backend {
    Backend::scripted(|turn| {
        if turn.seen.target() == "/v1/groups/slow" {
            assert!(turn.is_closed(), "the gateway gives the connection up and never uses it again");
            return Then::Close;
        }
        turn.ok()
    })
}

#[test]
fn a_slow_backend_is_504_and_its_connection_is_given_up() {
    let backend = sometimes_slow();
    let world = Setup::new().set("upstream", "response_timeout_ms: 200").start(&backend);
    assert_eq!(get(&mut world.connect(), "slow").verdict(), (504, "upstream_timeout"));
    // Another client, and a client whose first request was good, are not disturbed.
    let mut client = world.connect();
    assert_eq!(get(&mut client, "g1").status, 200);
    assert_eq!(get(&mut client, "slow").verdict(), (504, "upstream_timeout"));
}

#[test]
fn after_a_504_the_connection_serves_the_next_request() {
    let backend = sometimes_slow();
    let world = Setup::new().set("upstream", "response_timeout_ms: 200").start(&backend);
    let mut client = world.connect();
    assert_eq!(get(&mut client, "slow").verdict(), (504, "upstream_timeout"));
    // The deadline that has passed must be over, whenever the next request comes.
    let_idle(&mut client);
    let_idle(&mut client);
    for number in 0..3 {
        assert_eq!(get(&mut client, "g1").verdict(), (200, "allow"), "request {number} after the 504");
    }
}

/// Sends `extra` after its first answer: with it, or when the next request of somebody else has come to the gateway.
fn split(answer: &'static str, extra: &'static str) -> (Backend, World) {
    let backend = Backend::scripted(move |turn| {
        while turn.piece().is_some() {}
        if turn.seen.connection > 0 || turn.seen.nth > 0 {
            return turn.ok();
        }
        turn.send(format!("{answer}{extra}"));
        Then::Keep
    });
    let world = Setup::new().start(&backend);
    (backend, world)
}

const EVIL: &str = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";

#[test]
fn bytes_after_an_answer_never_become_somebody_elses_answer() {
    for (method, answer) in [
        ("GET", OK),
        ("GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"),
        ("GET", "HTTP/1.1 204 No Content\r\n\r\n"),
        ("GET", "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n"),
        ("GET", "HTTP/1.1 304 Not Modified\r\n\r\n"),
        ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 43\r\n\r\n"),
        ("HEAD", "HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n"),
    ] {
        for extra in [EVIL, "x", "\r\n", "HTTP/1.1 100 Continue\r\n\r\n"] {
            let (backend, world) = split(answer, extra);
            let mut first = world.connect();
            first.send(Ask::new(method, "/v1/groups/g1").by(&READER));
            let status = first.outcome(method).unwrap().status;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
            let mut second = world.connect();
            for client in [&mut second, &mut first] {
                let mine = get(client, "mine");
                assert_eq!((mine.status, mine.text().as_str()), (200, "/v1/groups/mine"), "{method} {answer:?} {extra:?}");
            }
            assert!(backend.count() <= 4);
        }
    }
}

#[test]
fn bytes_that_come_while_a_connection_idles_never_become_somebody_elses_answer() {
    let (go, told) = channel();
    let told = Mutex::new(told);
    let backend = Backend::scripted(move |turn| {
        if turn.seen.connection > 0 {
            return turn.ok();
        }
        turn.send(OK);
        let _ = told.lock().unwrap().recv_timeout(PATIENCE);
        turn.send(EVIL);
        assert!(turn.is_closed(), "the gateway throws the connection away");
        Then::Close
    });
    let world = Setup::new().start(&backend);
    let mut client = world.connect();
    assert_eq!(get(&mut client, "g1").text(), "ok");
    go.send(()).unwrap();
    let_idle(&mut client);
    for mut client in [client, world.connect()] {
        assert_eq!(get(&mut client, "mine").text(), "/v1/groups/mine");
    }
}

/// Answers an upload before it has come whole, and never reads the rest.
fn hasty() -> (Backend, std::sync::mpsc::Sender<()>) {
    let (go, told) = channel();
    let told = Mutex::new(told);
    let backend = Backend::scripted(move |turn| {
        if turn.seen.method() != "PUT" {
            return turn.ok();
        }
        turn.send(OK);
        let _ = told.lock().unwrap().recv_timeout(PATIENCE);
        while turn.piece().is_some() {}
        Then::Close
    });
    (backend, go)
}

#[test]
fn an_upload_that_goes_on_after_its_answer_holds_up_nobody_else() {
    let (backend, go) = hasty();
    let world = Setup::new().start(&backend);
    let mut uploading = world.connect();
    uploading.send(Ask::new("PUT", "/v1/groups/g1").line("Content-Length: 100").by(&ADMIN)).send("ten bytes.");
    let early = uploading.answer();
    assert_eq!((early.status, early.text().as_str()), (200, "ok"));

    // Its upstream connection is busy until the upload ends, so nobody else may be made to wait for it.
    let mut other = world.connect();
    other.patience(Duration::from_secs(3));
    other.send(Ask::get("/v1/groups/mine").by(&READER));
    let answer = other.outcome("GET");
    go.send(()).unwrap();
    let answer = answer.unwrap_or_else(|broken| panic!("another client waits for the end of this upload: {broken:?}"));
    assert_eq!(answer.text(), "/v1/groups/mine");
}
