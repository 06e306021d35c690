//! The client address behind proxies, a line each: the peer, how many proxies count (or nothing), `x` or `f` for the header that is believed,
//! and header lines. A peer that is not trusted is the client, whatever it says; otherwise it is the peer, an address that stands in the
//! header, or nobody.

#![no_main]

use std::cell::Cell;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, LazyLock};

use http::{HeaderMap, HeaderValue, Method};
use libfuzzer_sys::fuzz_target;
use portcullis::access::{CrossCheck, Decision, Denial, Entrance, ForwardedHeader, Remembered, Request, Services, Sets, View, deny};
use portcullis::snapshot::Builder;
use portcullis::source::Report;
use portcullis::types::{Network, NetworkSet, Reason, Revision};

/// Nobody and no service: the client address is found before either is asked for.
static VIEW: LazyLock<View> = LazyLock::new(|| {
    let report = Report::new();
    let snapshot = Builder::new("e".parse().expect("an offering"), &report).build(Revision::File([0; 6])).expect("an empty snapshot");
    View {
        snapshot: Arc::new(snapshot),
        services: Arc::new(Services::default()),
        issuers: Arc::default(),
        clock_skew_ms: 0,
        cross_check: None,
    }
});

static TRUSTED: LazyLock<NetworkSet> =
    LazyLock::new(|| ["10.0.0.0/8", "192.0.2.1", "2001:db8::/32"].iter().map(|text| text.parse::<Network>().expect("a network")).collect());

fn found(peer: IpAddr, hops: Option<usize>, forwarded_header: ForwardedHeader, headers: &HeaderMap) -> Option<IpAddr> {
    let (public_scheme, proxy_protocol, trusted_proxies) = ("http", None, TRUSTED.clone());
    let entrance = Entrance { public_scheme, proxy_protocol, trusted_proxies, trusted_hops: hops, forwarded_header };
    let request = Request {
        entrance: &entrance,
        peer: Some(peer),
        method: &Method::GET,
        host: "h",
        target: "/",
        headers,
        body: None,
        is_begun: false,
        fetched: &[],
        sets: &Sets::default(),
        remembered: &Remembered::new(0),
        cross_check: CrossCheck { every: None, left: &Cell::new(0) },
    };
    match deny(&VIEW, &request, Denial::new(Reason::UnknownHost)) {
        Decision::Denied(denied) => denied.facts.client_address,
        Decision::Permit(_) | Decision::Needs(..) => panic!("nobody is let through"),
    }
}

/// All that could be an address in a header, read far more loosely than the gateway does.
fn addresses(text: &str) -> impl Iterator<Item = IpAddr> {
    let parts = text.split([',', ';', '=']).map(|part| part.trim().trim_matches('"'));
    parts.filter_map(|part| {
        let bare = part.trim_start_matches('[').trim_end_matches(']');
        let socket = || part.parse::<SocketAddr>().map(|socket| socket.ip());
        bare.parse::<IpAddr>().or_else(|_| socket()).ok().map(|address| address.to_canonical())
    })
}

fuzz_target!(|text: &str| {
    let mut lines = text.split('\n');
    let (Some(Ok(peer)), Some(hops), Some(kind)) = (lines.next().map(str::parse::<IpAddr>), lines.next(), lines.next()) else { return };
    let Ok(hops) = (if hops.is_empty() { Ok(None) } else { hops.parse::<usize>().map(Some) }) else { return };
    let (header, name) =
        if kind == "f" { (ForwardedHeader::Forwarded, "forwarded") } else { (ForwardedHeader::XForwardedFor, "x-forwarded-for") };
    let mut headers = HeaderMap::new();
    let mut values = Vec::new();
    for line in lines {
        // Bytes that a header's value may have, also those above ASCII.
        let Ok(value) = HeaderValue::from_bytes(line.as_bytes()) else { continue };
        headers.append(name, value);
        values.push(line);
    }
    let client = found(peer, hops, header, &headers);
    let peer = peer.to_canonical();
    if !TRUSTED.contains(peer) {
        assert_eq!(client, Some(peer), "somebody else than who connected");
        return;
    }
    if let Some(client) = client {
        assert_eq!(client, client.to_canonical(), "an IPv4 address in IPv6 clothing");
        assert!(client == peer || values.iter().any(|line| addresses(line).any(|one| one == client)), "{client} out of nowhere");
        assert!(hops.is_none() || !values.is_empty(), "past the proxies");
    }
    // The header that is not believed says nothing.
    let other = if kind == "f" { "x-forwarded-for" } else { "forwarded" };
    let mut both = headers.clone();
    both.append(other, HeaderValue::from_static("for=6.6.6.6"));
    assert_eq!(found(peer, hops, header, &both), client);
    // What the client itself wrote, in front of what the proxies wrote, changes nothing once there is an answer that they gave.
    if let Some(client) = client
        && (hops.is_some() || !TRUSTED.contains(client))
    {
        let mut longer = HeaderMap::new();
        longer.append(name, HeaderValue::from_static("6.6.6.6, for=6.6.6.6"));
        for line in &values {
            longer.append(name, HeaderValue::from_bytes(line.as_bytes()).expect("a value"));
        }
        assert_eq!(found(peer, hops, header, &longer), Some(client), "the client chose its address");
    }
});
