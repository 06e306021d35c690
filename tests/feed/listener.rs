//! What strangers, many gateways and slow ones get.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use portcullis::control::feed::{STREAMS_MAX, Timing};
use portcullis::gateway::system_time;
use portcullis::snapshot::wire::channel::Request;

use crate::follower::{Gateway, wait};
use crate::store::{Server, Store, feed_key, put, quick};

const NONCE: &str = "00112233445566778899aabbccddeeff";

/// Sends a request's lines and reads until the server closes, or the head only for a stream.
fn ask(address: SocketAddr, head: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(format!("{head}\r\nHost: feed\r\n\r\n").replace('\n', "\r\n").replace("\r\r", "\r").as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8(answer).unwrap()
}

fn signed(target: &str, gateway: &str, offset_ms: i64) -> String {
    let time = (system_time().milliseconds() + offset_ms).to_string();
    let signature = Request { target, time: &time, nonce: NONCE, gateway }.sign(&feed_key());
    format!(
        "GET {target} HTTP/1.1\nPortcullis-Feed-Gateway: {gateway}\nPortcullis-Feed-Time: {time}\nPortcullis-Feed-Nonce: {NONCE}\n\
         Portcullis-Feed-Signature: {signature}"
    )
}

fn open(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    let head = format!("{}\nHost: feed\n\n", signed("/feed/v1", "edge-1", 0)).replace('\n', "\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    stream
}

fn status(stream: &mut TcpStream) -> String {
    let mut line = [0; 12];
    stream.read_exact(&mut line).unwrap();
    String::from_utf8_lossy(&line[9..]).into_owned()
}

#[test]
fn strangers_get_nothing_and_are_not_told_why() {
    let store = Store::new(3, 7, &[("user/1", "{}")]);
    let server = Server::start(&store);
    let good = signed("/feed/v1", "edge-1", 0);
    let unsigned = [
        "GET /feed/v1 HTTP/1.1".to_owned(),
        good.replace("edge-1", "edge-2"),
        good.replace("Signature: ", "Signature: 0"),
        format!("{good}\nPortcullis-Feed-Gateway: edge-1"),
        signed("/feed/v1", "edge-1", 301_000),
        signed("/feed/v1", "edge-1", -301_000),
        signed("/feed/v1", "edge 1", 0),
        signed("/feed/v1?after=3.7", "edge-1", 0),
        signed("/feed/v1?", "edge-1", 0),
    ];
    let mut answers: Vec<String> = unsigned.iter().map(|head| ask(server.address, head)).collect();
    answers.iter_mut().for_each(|answer| *answer = answer.lines().filter(|line| !line.starts_with("date")).collect::<Vec<_>>().join("\n"));
    assert!(answers[0].starts_with("HTTP/1.1 401 ") && answers[0].contains("content-length: 0"), "{}", answers[0]);
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    assert_eq!(server.counters.unsigned(), unsigned.len() as u64);
    for (head, expected) in [
        ("POST /feed/v1 HTTP/1.1", "405"),
        ("HEAD /feed/v1 HTTP/1.1", "405"),
        ("POST /livez HTTP/1.1", "405"),
        ("GET /livez HTTP/1.1", "200"),
        ("GET / HTTP/1.1", "404"),
        ("GET /feed/v1/ HTTP/1.1", "404"),
        ("GET /FEED/v1 HTTP/1.1", "404"),
        ("GET /metrics HTTP/1.1", "404"),
        ("nonsense", "400"),
    ] {
        let answer = ask(server.address, head);
        assert!(answer.starts_with(&format!("HTTP/1.1 {expected} ")), "{head}: {answer}");
    }
    let long = format!("GET /livez HTTP/1.1\nX: {}", "x".repeat(20_000));
    assert!(!ask(server.address, &long).starts_with("HTTP/1.1 200"));
    let many = format!("GET /livez HTTP/1.1{}", "\nX: y".repeat(40));
    assert!(!ask(server.address, &many).starts_with("HTTP/1.1 200"));
    assert_eq!(server.counters.started(), 0);
}

#[test]
fn a_head_that_does_not_come_ends_the_connection() {
    let store = Store::new(3, 7, &[]);
    let server = Server::with(&store, Timing { head: Duration::from_millis(50), ..quick() });
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.write_all(b"GET /feed/v1 HTTP/1.1\r\nHost:").unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    assert!(!String::from_utf8(answer).unwrap().contains(" 200 "));
}

#[test]
fn there_are_only_so_many_streams_and_their_end_makes_room() {
    let store = Store::new(3, 7, &[("user/1", "{}")]);
    let server = Server::start(&store);
    let mut streams: Vec<TcpStream> = (0..STREAMS_MAX).map(|_| open(server.address)).collect();
    assert!(streams.iter_mut().all(|stream| status(stream) == "200"));
    assert_eq!(status(&mut open(server.address)), "503");
    streams.truncate(STREAMS_MAX - 1);
    wait("room", || server.counters.streams() < STREAMS_MAX as u64);
    wait("served", || status(&mut open(server.address)) == "200");
}

#[test]
fn a_reader_that_takes_nothing_is_cut_off_and_holds_nobody_up() {
    let record = "x".repeat(1_000);
    let records: Vec<(String, String)> = (0..20_000).map(|number| (format!("user/{number}"), format!("\"{record}\""))).collect();
    let records: Vec<(&str, &str)> = records.iter().map(|(key, record)| (&**key, &**record)).collect();
    let store = Store::new(3, 7, &records);
    let server = Server::with(&store, Timing { write: Duration::from_millis(300), ..quick() });
    let stuck = open(server.address);
    wait("begun", || server.counters.streams() == 1);
    let gateway = Gateway::start(server.address);
    gateway.wait_for(&store);
    store.commit(vec![put("user/1", "{}")]);
    gateway.wait_for(&store);
    wait("cut off", || server.counters.stalled() == 1 && server.counters.streams() == 1);
    drop(stuck);
}
