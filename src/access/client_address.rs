//! Stage 4: the address the request came from.
//!
//! The peer's, unless the peer is a trusted proxy: then the nearest address in its forwarding header that is no
//! trusted proxy itself, or the one that the outermost of so many proxies wrote. What cannot be read is unknown, and an
//! unknown address passes no allowlist.

use std::net::{IpAddr, SocketAddr};

use http::{HeaderName, header};

use super::request::{ForwardedHeader, Request};

/// Most hops looked at, from the right.
const HOPS_MAX: usize = 64;
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The client address; `None` when trusted proxies leave it unknown.
pub(super) fn find(request: &Request<'_>) -> Option<IpAddr> {
    let peer = request.peer?.to_canonical();
    let trusted = &request.entrance.trusted_proxies;
    if trusted.is_empty() || !trusted.contains(peer) {
        return Some(peer);
    }
    let name = match request.entrance.forwarded_header {
        ForwardedHeader::XForwardedFor => X_FORWARDED_FOR,
        ForwardedHeader::Forwarded => header::FORWARDED,
    };
    let mut nearest = peer;
    let mut hops = 0;
    let mut values = request.headers.get_all(name).iter();
    while let Some(value) = values.next_back() {
        let text = value.to_str().ok()?;
        for item in text.rsplit(',') {
            hops += 1;
            if hops > HOPS_MAX {
                return None;
            }
            nearest = match request.entrance.forwarded_header {
                ForwardedHeader::XForwardedFor => address(item.trim())?,
                ForwardedHeader::Forwarded => forwarded_for(item)?,
            };
            let is_outermost = match request.entrance.trusted_hops {
                Some(proxies) => hops == proxies,
                None => !trusted.contains(nearest),
            };
            if is_outermost {
                return Some(nearest);
            }
        }
    }
    // Fewer entries than proxies: somebody came past one of them.
    request.entrance.trusted_hops.is_none().then_some(nearest)
}

/// `for=...` of one element of `Forwarded` (RFC 7239 section 4).
fn forwarded_for(element: &str) -> Option<IpAddr> {
    let mut found = None;
    for pair in element.split(';') {
        let (name, value) = pair.trim().split_once('=')?;
        if name.eq_ignore_ascii_case("for") {
            if found.is_some() {
                return None;
            }
            let quoted = value.strip_prefix('"').and_then(|inner| inner.strip_suffix('"'));
            found = Some(address(quoted.unwrap_or(value))?);
        }
    }
    found
}

/// `1.2.3.4`, `1.2.3.4:80`, `2001:db8::1`, `[2001:db8::1]` or `[2001:db8::1]:80`.
fn address(text: &str) -> Option<IpAddr> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(address.to_canonical());
    }
    if let Some(inner) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return inner.parse::<std::net::Ipv6Addr>().ok().map(|address| IpAddr::V6(address).to_canonical());
    }
    text.parse::<SocketAddr>().ok().map(|socket| socket.ip().to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    use crate::access::request::Entrance;
    use crate::access::{CrossCheck, Remembered, Sets};
    use crate::types::Network;
    use http::{HeaderMap, Method};

    fn found(peer: &str, header: ForwardedHeader, values: &[(&'static str, &str)]) -> Option<String> {
        found_behind(None, peer, header, values)
    }

    fn found_behind(hops: Option<usize>, peer: &str, header: ForwardedHeader, values: &[(&'static str, &str)]) -> Option<String> {
        let trusted = ["10.0.0.0/8", "192.0.2.1"].iter().map(|text| text.parse::<Network>().unwrap()).collect();
        let (public_scheme, proxy_protocol) = ("http", None);
        let entrance = Entrance { public_scheme, proxy_protocol, trusted_proxies: trusted, trusted_hops: hops, forwarded_header: header };
        let mut headers = HeaderMap::new();
        for (name, value) in values {
            headers.append(*name, value.parse().unwrap());
        }
        let request = Request {
            entrance: &entrance,
            peer: peer.parse().ok(),
            method: &Method::GET,
            host: "h",
            target: "/",
            headers: &headers,
            body: None,
            is_begun: false,
            fetched: &[],
            sets: &Sets::default(),
            remembered: &Remembered::new(0),
            cross_check: CrossCheck { every: None, left: &Cell::new(0) },
        };
        find(&request).map(|address| address.to_string())
    }

    #[test]
    fn the_nearest_address_that_is_no_trusted_proxy_counts() {
        let many = vec!["10.0.0.1"; 1000].join(", ");
        for (peer, value, expected) in [
            ("203.0.113.9", "1.2.3.4", Some("203.0.113.9")),
            ("::ffff:203.0.113.9", "1.2.3.4", Some("203.0.113.9")),
            ("10.0.0.1", "1.2.3.4", Some("1.2.3.4")),
            ("::ffff:10.0.0.1", "1.2.3.4", Some("1.2.3.4")),
            ("10.0.0.1", "6.6.6.6, 1.2.3.4, 10.9.9.9", Some("1.2.3.4")),
            ("10.0.0.1", "6.6.6.6, 1.2.3.4:5678, 192.0.2.1", Some("1.2.3.4")),
            ("10.0.0.1", "[2001:db8::1]:80", Some("2001:db8::1")),
            ("10.0.0.1", "2001:db8::1", Some("2001:db8::1")),
            ("10.0.0.1", "::ffff:1.2.3.4", Some("1.2.3.4")),
            ("10.0.0.1", "10.0.0.3, 10.0.0.2", Some("10.0.0.3")),
            ("10.0.0.1", "1.2.3.4, unknown", None),
            ("10.0.0.1", "1.2.3.4,", None),
            ("10.0.0.1", "", None),
            ("10.0.0.1", "010.1.2.3", None),
            ("10.0.0.1", "fe80::1%eth0", None),
            ("10.0.0.1", many.as_str(), None),
        ] {
            let found = found(peer, ForwardedHeader::XForwardedFor, &[("x-forwarded-for", value)]);
            assert_eq!(found.as_deref(), expected, "{peer} {value}");
        }
        assert_eq!(found("10.0.0.1", ForwardedHeader::XForwardedFor, &[]).as_deref(), Some("10.0.0.1"));
        let two = [("x-forwarded-for", "6.6.6.6"), ("x-forwarded-for", "1.2.3.4")];
        assert_eq!(found("10.0.0.1", ForwardedHeader::XForwardedFor, &two).as_deref(), Some("1.2.3.4"));
        let other = [("forwarded", "for=6.6.6.6")];
        assert_eq!(found("10.0.0.1", ForwardedHeader::XForwardedFor, &other).as_deref(), Some("10.0.0.1"));
    }

    #[test]
    fn behind_so_many_proxies_the_outermost_ones_entry_counts() {
        for (hops, peer, value, expected) in [
            (1, "203.0.113.9", "1.2.3.4", Some("203.0.113.9")),
            (1, "10.0.0.1", "1.2.3.4", Some("1.2.3.4")),
            (1, "10.0.0.1", "6.6.6.6, 1.2.3.4", Some("1.2.3.4")),
            (1, "10.0.0.1", "6.6.6.6, 10.9.9.9", Some("10.9.9.9")),
            (1, "10.0.0.1", "unknown, 1.2.3.4", Some("1.2.3.4")),
            (2, "10.0.0.1", "6.6.6.6, 1.2.3.4, 198.51.100.7", Some("1.2.3.4")),
            (2, "10.0.0.1", "1.2.3.4, 198.51.100.7", Some("1.2.3.4")),
            (2, "10.0.0.1", "1.2.3.4", None),
            (2, "10.0.0.1", "1.2.3.4, unknown", None),
            (2, "10.0.0.1", "unknown, 1.2.3.4", None),
            (2, "10.0.0.1", "1.2.3.4, , 198.51.100.7", None),
            (1, "10.0.0.1", "", None),
            (1, "no address", "1.2.3.4", None),
        ] {
            let found = found_behind(Some(hops), peer, ForwardedHeader::XForwardedFor, &[("x-forwarded-for", value)]);
            assert_eq!(found.as_deref(), expected, "{hops} {peer} {value}");
        }
        assert_eq!(found_behind(Some(1), "10.0.0.1", ForwardedHeader::XForwardedFor, &[]), None);
        let two = [("x-forwarded-for", "6.6.6.6, 1.2.3.4"), ("x-forwarded-for", "198.51.100.7")];
        assert_eq!(found_behind(Some(2), "10.0.0.1", ForwardedHeader::XForwardedFor, &two).as_deref(), Some("1.2.3.4"));
    }

    #[test]
    fn forwarded_is_read_as_rfc_7239_says() {
        for (value, expected) in [
            ("for=1.2.3.4;proto=https, For=\"10.0.0.2:80\"", Some("1.2.3.4")),
            ("for=\"[2001:db8::1]:80\"", Some("2001:db8::1")),
            ("for=unknown", None),
            ("for=_hidden", None),
            ("proto=https", None),
            ("for=1.2.3.4;for=5.6.7.8", None),
            ("", None),
        ] {
            assert_eq!(found("10.0.0.1", ForwardedHeader::Forwarded, &[("forwarded", value)]).as_deref(), expected, "{value}");
        }
    }
}
