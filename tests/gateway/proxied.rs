//! Connections that begin with a PROXY header: believed from the proxies that a listener is for, due from each of them, and from nobody else.

use std::time::Duration;

use super::addresses::{ALLOWED, FREE, LISTED, REFUSED, Row, check_behind, start_with};
use super::backend::Backend;
use super::client::{Ask, Broken, Client};
use super::harness::{ADMIN, READER, Setup, World, text, timed};

/// Only 127.0.0.2 connects, and begins with a PROXY header; behind it, 198.51.100.0/24 are proxies that write `X-Forwarded-For`.
const LISTENER: &str = "proxy_protocol: {networks: [127.0.0.2]}\n    trusted_proxies: {networks: [198.51.100.0/24]}";
const LINE: &[u8] = b"PROXY TCP4 203.0.113.5 192.0.2.1 56324 443\r\n";
const BLOCK_START: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

fn block(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
    [BLOCK_START, &[command, family], &length, rest].concat()
}

/// Version 2, over IPv4, with extensions.
fn four(source: [u8; 4], extensions: &[u8]) -> Vec<u8> {
    block(0x21, 0x11, &[&source[..], &[192, 0, 2, 1, 0xDC, 4, 1, 0xBB], extensions].concat())
}

fn six(source: &str) -> Vec<u8> {
    block(0x21, 0x21, &[&source.parse::<std::net::Ipv6Addr>().unwrap().octets()[..], &[0; 20]].concat())
}

fn proxy(world: &World) -> Client {
    Client::open_from("127.0.0.2", world.address)
}

#[test]
fn a_header_names_the_client_for_allowlists_records_and_the_backend() {
    let backend = Backend::start();
    let world = start_with(&backend, LISTENER);
    let peer = "127.0.0.2";
    let extensions = [&b"\xEA\x00\x17\x01vpce-08d2bf15fac5001c9\x04\x04\x00"[..], &[0; 1024]].concat();
    let rows: &[(&[u8], Row)] = &[
        (LINE, (peer, &[], &LISTED, ALLOWED, "203.0.113.5")),
        (b"PROXY TCP4 6.6.6.6 203.0.113.5 1 2\r\n", (peer, &[], &LISTED, REFUSED, "6.6.6.6")),
        (b"PROXY TCP6 2001:db8::7 ::1 1 2\r\n", (peer, &[], &LISTED, ALLOWED, "2001:db8::7")),
        (b"PROXY TCP6 ::ffff:203.0.113.5 ::1 1 2\r\n", (peer, &[], &LISTED, ALLOWED, "203.0.113.5")),
        (&four([203, 0, 113, 5], b""), (peer, &[], &LISTED, ALLOWED, "203.0.113.5")),
        (&four([203, 0, 113, 5], &extensions), (peer, &[], &LISTED, ALLOWED, "203.0.113.5")),
        (&four([6, 6, 6, 6], &extensions), (peer, &[], &LISTED, REFUSED, "6.6.6.6")),
        (&six("2001:db8::7"), (peer, &[], &LISTED, ALLOWED, "2001:db8::7")),
        (&six("::ffff:203.0.113.5"), (peer, &[], &LISTED, ALLOWED, "203.0.113.5")),
        // The proxy speaks for itself: the peer counts. It does not tell: nobody is known, and no list is passed.
        (&block(0x20, 0x00, b""), (peer, &[], &FREE, ALLOWED, peer)),
        (&block(0x20, 0x11, &[203, 0, 113, 5, 1, 2, 3, 4, 0, 1, 0, 2]), (peer, &[], &LISTED, REFUSED, peer)),
        (&block(0x21, 0x00, b""), (peer, &[], &LISTED, REFUSED, "unknown")),
        (&block(0x21, 0x31, &[b'/'; 216]), (peer, &[], &FREE, ALLOWED, "unknown")),
        (b"PROXY UNKNOWN\r\n", (peer, &[], &LISTED, REFUSED, "unknown")),
        (b"PROXY UNKNOWN 203.0.113.5 192.0.2.1 1 2\r\n", (peer, &[], &LISTED, REFUSED, "unknown")),
        (b"PROXY UNKNOWN\r\n", (peer, &["X-Forwarded-For: 203.0.113.5"], &LISTED, REFUSED, "unknown")),
        // Whether a forwarding header is believed depends on whom the PROXY header names.
        (LINE, (peer, &["X-Forwarded-For: 6.6.6.6"], &LISTED, ALLOWED, "203.0.113.5")),
        (&four([198, 51, 100, 7], b""), (peer, &["X-Forwarded-For: 6.6.6.6, 203.0.113.5"], &LISTED, ALLOWED, "203.0.113.5")),
        (&block(0x20, 0x00, b""), (peer, &["X-Forwarded-For: 203.0.113.5"], &LISTED, REFUSED, peer)),
    ];
    for (header, row) in rows {
        check_behind(&world, &backend, header, *row);
    }
}

#[test]
fn a_header_counts_for_the_whole_connection_however_it_arrives() {
    let backend = Backend::start();
    let world = start_with(&backend, LISTENER);
    let request = Ask::get("/v1/groups/g1").by(&LISTED);
    let address = |client: &mut Client| {
        let answer = client.answer();
        assert_eq!(answer.verdict(), ALLOWED);
        assert_eq!(text(&world.record(answer.request_id()), "client_address"), Some("203.0.113.5"));
    };
    for header in [LINE.to_vec(), four([203, 0, 113, 5], b"\x04\x00\x01x")] {
        let mut client = proxy(&world);
        for byte in &header {
            client.send([*byte]);
        }
        address(client.send(&request));
        address(client.send(&request));
        // Header, two requests, and the third one's beginning, at once.
        let (begin, end) = request.split_at(9);
        let mut client = proxy(&world);
        client.send([&header[..], &request, &request, begin].concat());
        address(&mut client);
        address(&mut client);
        address(client.send(end));
        // A body behind it.
        let put = Ask::new("PUT", "/v1/groups/g1").body(vec![b'x'; 100_000]).by(&ADMIN);
        assert_eq!(proxy(&world).ask([header, put].concat()).verdict(), ALLOWED);
        assert_eq!(backend.last().body.len(), 100_000);
    }
}

#[test]
fn a_header_that_is_not_exactly_one_ends_the_connection() {
    let backend = Backend::start();
    let world = start_with(&backend, LISTENER);
    let request = Ask::get("/v1/groups/g1").by(&FREE);
    let long = format!("PROXY TCP4 {}", "1".repeat(96));
    let rows: &[(&str, &[u8])] = &[
        ("none", b""),
        ("an empty line", b"\r\n"),
        ("in small letters", b"proxy TCP4 203.0.113.5 192.0.2.1 56324 443\r\n"),
        ("ended by a line feed alone", b"PROXY TCP4 203.0.113.5 192.0.2.1 56324 443\n"),
        ("107 bytes without an end", long.as_bytes()),
        ("an address with leading zeros", b"PROXY TCP4 203.0.113.005 192.0.2.1 56324 443\r\n"),
        ("an address with a zone", b"PROXY TCP6 fe80::1%eth0 ::1 56324 443\r\n"),
        ("an address of the other family", b"PROXY TCP4 2001:db8::7 ::1 56324 443\r\n"),
        ("a port too large", b"PROXY TCP4 203.0.113.5 192.0.2.1 65536 443\r\n"),
        ("a word more", b"PROXY TCP4 203.0.113.5 192.0.2.1 56324 443 443\r\n"),
        ("an unknown family", b"PROXY SCTP 203.0.113.5 192.0.2.1 56324 443\r\n"),
        ("version 3", &block(0x31, 0x11, &[1; 12])),
        ("an unknown command", &block(0x22, 0x11, &[1; 12])),
        ("datagrams", &block(0x21, 0x12, &[1; 12])),
        ("addresses cut", &block(0x21, 0x11, &[1; 11])),
        ("an extension past the end", &four([203, 0, 113, 5], b"\x04\x00\x09x")),
        ("half an extension", &four([203, 0, 113, 5], b"\x04\x00")),
        ("of 65,535 bytes", &block(0x21, 0x11, &[0; 65_535])),
        ("LOCAL of 65,535 bytes", &block(0x20, 0x00, &[0; 65_535])),
        ("the length alone, 0xFFFF", b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xFF\xFF"),
    ];
    for (what, header) in rows {
        let mut client = proxy(&world);
        client.send([*header, &request].concat());
        assert!(matches!(client.outcome("GET"), Err(Broken::Closed)), "{what}");
    }
    world.wait_metric("portcullis_connections_malformed_total", rows.len() as u64);
    // A port that is only looked at is not one of them.
    drop(proxy(&world));
    // A second header is not HTTP.
    for second in [LINE.to_vec(), four([6, 6, 6, 6], b"")] {
        let mut client = proxy(&world);
        client.send([LINE, &second, &request].concat());
        assert!(client.outcome("GET").map_or(true, |answer| answer.status == 400));
        assert!(client.is_closed());
    }
    assert_eq!(backend.count(), 0);
    assert_eq!(world.metric("portcullis_connections_refused_total"), 0);
    let good = proxy(&world).ask([LINE, &request].concat());
    assert_eq!(good.verdict(), ALLOWED);
}

#[test]
fn nobody_but_the_proxies_is_served_with_or_without_a_header() {
    let backend = Backend::start();
    let world = start_with(&backend, LISTENER);
    let request = Ask::get("/v1/groups/g1").by(&FREE);
    for header in [&b""[..], LINE, &block(0x20, 0x00, b"")] {
        for from in ["127.0.0.1", "127.0.0.3"] {
            let mut client = Client::open_from(from, world.address);
            client.send([header, &request].concat());
            assert!(matches!(client.outcome("GET"), Err(Broken::Closed)), "{from}");
        }
    }
    world.wait_metric("portcullis_connections_refused_total", 6);
    assert_eq!(backend.count(), 0);
}

#[test]
fn a_header_that_nobody_asked_for_is_not_http() {
    let backend = Backend::start();
    // Trusted to forward, even.
    let world = Setup::new().set("listener", "trusted_proxies: {networks: [127.0.0.2]}").start(&backend);
    let request = Ask::get("/v1/groups/g1").by(&READER);
    for header in [LINE.to_vec(), b"PROXY UNKNOWN\r\n".to_vec(), four([203, 0, 113, 5], b""), block(0x20, 0x00, b"")] {
        let mut client = proxy(&world);
        client.send([&header[..], &request].concat());
        assert!(client.outcome("GET").map_or(true, |answer| answer.status == 400));
        assert!(client.is_closed());
    }
    assert_eq!(backend.count(), 0);
}

#[test]
fn a_header_has_no_more_time_than_a_head() {
    let backend = Backend::start();
    let world = Setup::new().set("listener", LISTENER).set("timeouts", "{head_s: 1, drain_s: 1}").start(&backend);
    let whole = four([203, 0, 113, 5], b"");
    for some in [&b""[..], &LINE[..20], &whole[..14], &whole[..27]] {
        let mut client = proxy(&world);
        let (closed, time) = timed(|| client.send(some).is_closed());
        assert!(closed && time < Duration::from_secs(5), "{some:?}: {time:?}");
    }
    // Dripping in does not buy time, and the request's head has what the header left.
    let mut client = proxy(&world);
    client.patience(Duration::from_millis(100));
    let (_, time) = timed(|| {
        let mut bytes = [LINE, b"GET / HTTP/1.1\r\nHost: iam.test\r\nX: "].concat().into_iter().chain(std::iter::repeat(b'x'));
        while !client.send([bytes.next().unwrap()]).is_closed() {}
    });
    assert!(time < Duration::from_secs(5), "{time:?}");
    world.wait_metric("portcullis_connections_timed_out_total", 5);
    assert_eq!(backend.count(), 0);
}

#[test]
fn a_gateway_that_stops_does_not_wait_for_headers() {
    let backend = Backend::start();
    let mut world = Setup::new().set("listener", LISTENER).set("timeouts", "{drain_s: 30}").start(&backend);
    let mut client = proxy(&world);
    client.send(&LINE[..20]);
    world.wait_metric("portcullis_connections", 1);
    let ((), time) = timed(|| world.stop());
    assert!(time < Duration::from_secs(10), "{time:?}");
    assert!(client.is_closed());
}
