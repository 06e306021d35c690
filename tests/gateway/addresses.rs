//! The client's address: the peer's, or what trusted proxies say; and what allowlists make of it.

use std::net::SocketAddr;

use super::backend::Backend;
use super::client::{Ask, Client, Who};
use super::harness::{ACCOUNT, Setup, World, text};

pub(super) const FREE: Who = Who { key: "f4ee0000000000000000000000000001", secret: "free-secret-00000001" };
pub(super) const LISTED: Who = Who { key: "115ed000000000000000000000000001", secret: "listed-secret-000001" };
const EMPTY: Who = Who { key: "e3b70000000000000000000000000001", secret: "empty-secret-0000001" };
const CONDITIONAL: Who = Who { key: "c0d00000000000000000000000000001", secret: "conditional-secret-1" };

/// The peer, header lines, the caller, the verdict, and the client address that is told and recorded.
pub(super) type Row<'a> = (&'a str, &'a [&'a str], &'a Who, (u16, &'a str), &'a str);

pub(super) const REFUSED: (u16, &str) = (403, "key_address_refused");
pub(super) const ALLOWED: (u16, &str) = (200, "allow");

/// Connections from 127.0.0.2 and 10.0.0.0/8 are trusted proxies, those from 127.0.0.1 and 127.0.0.3 are not.
fn start(backend: &Backend, header: &str) -> World {
    start_with(backend, &format!("trusted_proxies: {{networks: [127.0.0.2, 10.0.0.0/8, '2001:db8:ff::/48'], header: {header}}}"))
}

/// A gateway with people whose allowlists differ, and this in its listener's configuration.
pub(super) fn start_with(backend: &Backend, listener: &str) -> World {
    let id = |digit: char| format!("add4{}{digit}", "0".repeat(27));
    let reading = r#"{"Effect": "Allow", "Action": ["iam:Show*"], "Resource": ["*"]}"#;
    let from_there = r#"{"Effect": "Allow", "Action": ["iam:Show*"], "Resource": ["*"],
        "Condition": {"IpAddress": {"scp:SourceIp": ["203.0.113.0/24"]}}}"#;
    let mut setup = Setup::new()
        .set("listener", listener)
        .record(&format!("{{kind: key_security, user: {}, allowed_addresses: not_used}}", id('1')))
        .record(&format!("{{kind: key_security, user: {}, allowed_addresses: [203.0.113.0/24, '2001:db8::/64', 127.0.0.3]}}", id('2')))
        .record(&format!("{{kind: key_security, user: {}, allowed_addresses: []}}", id('3')));
    for (name, who, digit, policy) in [
        ("free", &FREE, '1', reading),
        ("listed", &LISTED, '2', reading),
        ("empty", &EMPTY, '3', reading),
        ("conditional", &CONDITIONAL, '4', from_there),
    ] {
        setup = setup.user(name, who, &id(digit), ACCOUNT).policy(ACCOUNT, &id(digit), policy);
    }
    setup.start(backend)
}

fn check(world: &World, backend: &Backend, row: Row<'_>) {
    check_behind(world, backend, b"", row);
}

/// The same for a connection that begins with a PROXY header.
pub(super) fn check_behind(world: &World, backend: &Backend, header: &[u8], (from, lines, who, expected, address): Row<'_>) {
    let mut ask = Ask::get("/v1/groups/g1");
    for line in lines {
        ask = ask.line(line);
    }
    let answer = Client::open_from(from, world.address).ask([header, &ask.by(who)].concat());
    assert_eq!(answer.verdict(), expected, "{lines:?} from {from}");
    let record = world.record(answer.request_id());
    assert_eq!(text(&record, "client_address"), Some(address), "{lines:?} from {from}");
    assert_eq!(text(&record, "peer").unwrap_or(address), from, "{lines:?} from {from}");
    if answer.verdict() == REFUSED {
        // Behind proxies nobody can know which one that is.
        let told = if address == "unknown" { "an address that could not be found out".to_owned() } else { format!("`{address}`") };
        assert!(answer.text().contains(&format!("(it came from {told})")), "{}", answer.text());
    }
    if answer.status == 200 {
        let seen = backend.last();
        assert_eq!(seen.header("x-forwarded-for").as_deref(), Some(address), "{lines:?} from {from}");
        assert!(seen.header("portcullis-assertion").unwrap().contains(&format!(";address={address};")));
        assert_eq!(seen.header("forwarded"), None);
    }
}

#[test]
fn x_forwarded_for_counts_only_behind_trusted_proxies_and_only_from_the_right() {
    let backend = Backend::start();
    let world = start(&backend, "x-forwarded-for");
    let many = format!("X-Forwarded-For: {}", vec!["10.0.0.1"; 1_000].join(","));
    let rows: &[Row] = &[
        // Nobody believes an untrusted peer.
        ("127.0.0.1", &[], &FREE, ALLOWED, "127.0.0.1"),
        ("127.0.0.1", &["X-Forwarded-For: 203.0.113.5"], &LISTED, REFUSED, "127.0.0.1"),
        ("127.0.0.1", &["X-Forwarded-For: 203.0.113.5"], &CONDITIONAL, (403, "implicit_deny"), "127.0.0.1"),
        ("127.0.0.3", &["X-Forwarded-For: 6.6.6.6"], &LISTED, ALLOWED, "127.0.0.3"),
        // One trusted hop, two, and what the client wrote before them.
        ("127.0.0.2", &["X-Forwarded-For: 203.0.113.5"], &LISTED, ALLOWED, "203.0.113.5"),
        ("127.0.0.2", &["X-Forwarded-For: 203.0.113.5"], &CONDITIONAL, ALLOWED, "203.0.113.5"),
        ("127.0.0.2", &["X-Forwarded-For: 203.0.113.5, 6.6.6.6"], &LISTED, REFUSED, "6.6.6.6"),
        ("127.0.0.2", &["X-Forwarded-For: 6.6.6.6, 203.0.113.5,10.9.9.9"], &LISTED, ALLOWED, "203.0.113.5"),
        ("127.0.0.2", &["X-Forwarded-For: 203.0.113.5", "X-Forwarded-For: 6.6.6.6"], &LISTED, REFUSED, "6.6.6.6"),
        ("127.0.0.2", &["X-Forwarded-For: 6.6.6.6", "x-forwarded-for: 203.0.113.5:1234"], &LISTED, ALLOWED, "203.0.113.5"),
        ("127.0.0.2", &["X-Forwarded-For: 2001:db8::7"], &LISTED, ALLOWED, "2001:db8::7"),
        ("127.0.0.2", &["X-Forwarded-For: [2001:db8::7]:443, 2001:db8:ff::1"], &LISTED, ALLOWED, "2001:db8::7"),
        ("127.0.0.2", &["X-Forwarded-For: ::ffff:203.0.113.5"], &LISTED, ALLOWED, "203.0.113.5"),
        ("127.0.0.2", &["X-Forwarded-For: 10.1.1.1, 10.2.2.2"], &LISTED, REFUSED, "10.1.1.1"),
        ("127.0.0.2", &[], &LISTED, REFUSED, "127.0.0.2"),
        // What cannot be read is unknown, and unknown passes no list.
        ("127.0.0.2", &["X-Forwarded-For: unknown"], &LISTED, REFUSED, "unknown"),
        ("127.0.0.2", &["X-Forwarded-For: 203.0.113.5, "], &LISTED, REFUSED, "unknown"),
        ("127.0.0.2", &["X-Forwarded-For: 203.0.113.5,,10.0.0.1"], &LISTED, REFUSED, "unknown"),
        ("127.0.0.2", &["X-Forwarded-For: 203.0.113.005"], &LISTED, REFUSED, "unknown"),
        ("127.0.0.2", &["X-Forwarded-For: 203.0.113.5%eth0"], &LISTED, REFUSED, "unknown"),
        ("127.0.0.2", &["X-Forwarded-For: \u{e9}"], &LISTED, REFUSED, "unknown"),
        ("127.0.0.2", &["X-Forwarded-For: 203.0.113.5", "X-Forwarded-For:"], &LISTED, REFUSED, "unknown"),
        ("127.0.0.2", &[&many], &LISTED, REFUSED, "unknown"),
        ("127.0.0.2", &["X-Forwarded-For: unknown"], &CONDITIONAL, (403, "implicit_deny"), "unknown"),
        ("127.0.0.2", &["X-Forwarded-For: unknown"], &FREE, ALLOWED, "unknown"),
        // The other header, and headers nobody asked for, say nothing.
        ("127.0.0.2", &["Forwarded: for=203.0.113.5"], &LISTED, REFUSED, "127.0.0.2"),
        ("127.0.0.2", &["X-Real-IP: 203.0.113.5", "X_Forwarded_For: 203.0.113.5"], &LISTED, REFUSED, "127.0.0.2"),
        // A list that is used and empty is nobody.
        ("127.0.0.1", &[], &EMPTY, REFUSED, "127.0.0.1"),
        ("127.0.0.2", &["X-Forwarded-For: 203.0.113.5"], &EMPTY, REFUSED, "203.0.113.5"),
        ("127.0.0.2", &["X-Forwarded-For: 203.0.113.5"], &FREE, ALLOWED, "203.0.113.5"),
    ];
    for row in rows {
        check(&world, &backend, *row);
    }
}

#[test]
fn forwarded_is_read_where_it_is_configured() {
    let backend = Backend::start();
    let world = start(&backend, "forwarded");
    let rows: &[Row] = &[
        ("127.0.0.1", &["Forwarded: for=203.0.113.5"], &LISTED, REFUSED, "127.0.0.1"),
        ("127.0.0.2", &["Forwarded: for=203.0.113.5"], &LISTED, ALLOWED, "203.0.113.5"),
        ("127.0.0.2", &["Forwarded: for=6.6.6.6, For=\"203.0.113.5:80\";proto=https;by=10.0.0.1"], &LISTED, ALLOWED, "203.0.113.5"),
        ("127.0.0.2", &["Forwarded: for=\"[2001:db8::7]:80\", for=10.0.0.1"], &LISTED, ALLOWED, "2001:db8::7"),
        ("127.0.0.2", &["Forwarded: for=\"[::1]:80\""], &LISTED, REFUSED, "::1"),
        ("127.0.0.2", &["Forwarded: for=203.0.113.5", "Forwarded: for=6.6.6.6"], &LISTED, REFUSED, "6.6.6.6"),
        ("127.0.0.2", &["Forwarded: for=unknown"], &LISTED, REFUSED, "unknown"),
        ("127.0.0.2", &["Forwarded: for=_hidden"], &LISTED, REFUSED, "unknown"),
        ("127.0.0.2", &["Forwarded: for=203.0.113.5;for=10.0.0.1"], &LISTED, REFUSED, "unknown"),
        ("127.0.0.2", &["Forwarded: for=\"203.0.113.5, for=10.0.0.1\""], &LISTED, REFUSED, "unknown"),
        ("127.0.0.2", &["Forwarded: proto=https"], &LISTED, REFUSED, "unknown"),
        ("127.0.0.2", &["X-Forwarded-For: 203.0.113.5"], &LISTED, REFUSED, "127.0.0.2"),
        ("127.0.0.2", &["Forwarded: for=203.0.113.5"], &EMPTY, REFUSED, "203.0.113.5"),
    ];
    for row in rows {
        check(&world, &backend, *row);
    }
}

#[test]
fn behind_so_many_proxies_the_outermost_ones_entry_counts_whatever_the_addresses() {
    let backend = Backend::start();
    let world = start_with(&backend, "trusted_proxies: {networks: [127.0.0.2], hops: 2}");
    let rows: &[Row] = &[
        ("127.0.0.1", &["X-Forwarded-For: 203.0.113.5, 198.51.100.7"], &LISTED, REFUSED, "127.0.0.1"),
        ("127.0.0.2", &["X-Forwarded-For: 203.0.113.5, 198.51.100.7"], &LISTED, ALLOWED, "203.0.113.5"),
        ("127.0.0.2", &["X-Forwarded-For: 203.0.113.5, 127.0.0.2"], &LISTED, ALLOWED, "203.0.113.5"),
        ("127.0.0.2", &["X-Forwarded-For: 203.0.113.5, 6.6.6.6, 198.51.100.7"], &LISTED, REFUSED, "6.6.6.6"),
        ("127.0.0.2", &["X-Forwarded-For: 6.6.6.6, 203.0.113.5", "X-Forwarded-For: 198.51.100.7"], &LISTED, ALLOWED, "203.0.113.5"),
        ("127.0.0.2", &["X-Forwarded-For: unknown, 203.0.113.5, 198.51.100.7"], &LISTED, ALLOWED, "203.0.113.5"),
        // Past one of the proxies, or what one wrote cannot be read.
        ("127.0.0.2", &["X-Forwarded-For: 203.0.113.5"], &LISTED, REFUSED, "unknown"),
        ("127.0.0.2", &["X-Forwarded-For: 203.0.113.5, unknown"], &LISTED, REFUSED, "unknown"),
        ("127.0.0.2", &["X-Forwarded-For: 203.0.113.5, "], &LISTED, REFUSED, "unknown"),
        ("127.0.0.2", &[], &LISTED, REFUSED, "unknown"),
        ("127.0.0.2", &[], &FREE, ALLOWED, "unknown"),
    ];
    for row in rows {
        check(&world, &backend, *row);
    }
}

#[test]
fn a_peer_in_ipv6_clothing_is_its_ipv4_address() {
    let backend = Backend::start();
    let trusted = "trusted_proxies: {networks: [127.0.0.2]}";
    // A socket of both families: it sees IPv4 peers as `::ffff:127.0.0.3`.
    let world = start_with(&backend, &format!("{trusted}\n  - address: '[::]:0'\n    {trusted}"));
    let both = world.addresses[1];
    assert!(both.is_ipv6());
    for (from, line, expected, address) in [
        ("127.0.0.3", "X: y", ALLOWED, "127.0.0.3"),
        ("127.0.0.1", "X: y", REFUSED, "127.0.0.1"),
        ("127.0.0.2", "X-Forwarded-For: 203.0.113.5", ALLOWED, "203.0.113.5"),
        ("127.0.0.3", "X-Forwarded-For: 6.6.6.6", ALLOWED, "127.0.0.3"),
    ] {
        let to = SocketAddr::new([127, 0, 0, 1].into(), both.port());
        let answer = Client::open_from(from, to).ask(Ask::get("/v1/groups/g1").line(line).by(&LISTED));
        assert_eq!(answer.verdict(), expected, "{from} {line}");
        assert_eq!(text(&world.record(answer.request_id()), "client_address"), Some(address), "{from} {line}");
    }
}
