//! `listeners`: where requests come in.

use std::collections::HashSet;
use std::net::SocketAddr;

use crate::source::{Cursor, Table};
use crate::types::Network;

/// Which forwarding header trusted proxies write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForwardedBy {
    /// `X-Forwarded-For`.
    XForwardedFor,
    /// `Forwarded`.
    Forwarded,
}

/// A listening socket.
#[derive(Debug, Clone)]
pub struct Listener {
    /// Address and port.
    pub address: SocketAddr,
    /// The scheme clients see and sign, `http` or `https`.
    pub public_scheme: &'static str,
    /// Peers that begin each connection with a PROXY header; nobody else is served. `None`: nobody does.
    pub proxy_protocol: Option<Vec<Network>>,
    /// Peers whose forwarding header is believed.
    pub trusted_proxies: TrustedProxies,
}

/// Proxies whose forwarding header is believed.
#[derive(Debug, Clone)]
pub struct TrustedProxies {
    /// Those that connect.
    pub networks: Vec<Network>,
    /// The header they write.
    pub forwarded_by: ForwardedBy,
    /// How many there are one before the other, if that is what counts and not their addresses.
    pub hops: Option<usize>,
}

/// Most proxies one before the other.
const HOPS_MAX: u64 = 16;

impl Listener {
    pub(super) fn decode(cursor: &Cursor<'_>, sockets: &mut HashSet<SocketAddr>) -> Option<Self> {
        let table = cursor.table()?;
        let address = table.required("address", "write `address: 127.0.0.1:8080`", |value| socket_address(&value, sockets));
        let public_scheme = table.or("public_scheme", "http", |value| value.one_of(&[("http", "http"), ("https", "https")]));
        let proxy_protocol = table.or("proxy_protocol", None, |value| proxy_protocol(&value).map(Some));
        let nobody = TrustedProxies { networks: Vec::new(), forwarded_by: ForwardedBy::XForwardedFor, hops: None };
        let trusted_proxies = table.or("trusted_proxies", nobody, |value| trusted_proxies(&value));
        table.finish()?;
        let (proxy_protocol, trusted_proxies) = (proxy_protocol?, trusted_proxies?);
        Some(Self { address: address?, public_scheme: public_scheme?, proxy_protocol, trusted_proxies })
    }
}

fn networks(table: &Table<'_>) -> Option<Vec<Network>> {
    table.required("networks", "write `networks: [10.0.0.0/8]`", |value| {
        value.list(|network| {
            network.parse("write one address or one network with its prefix length: `10.1.2.3`, `10.0.0.0/16` or `2001:db8::/32`")
        })
    })
}

fn proxy_protocol(cursor: &Cursor<'_>) -> Option<Vec<Network>> {
    let table = cursor.table()?;
    let networks = networks(&table);
    table.finish()?;
    let networks = networks?;
    if networks.is_empty() {
        cursor.error_hint(
            "nobody could connect: only these networks are served, and there is none",
            "name the proxies, or leave `proxy_protocol` out if they send no PROXY header",
        );
        return None;
    }
    Some(networks)
}

fn trusted_proxies(cursor: &Cursor<'_>) -> Option<TrustedProxies> {
    let table = cursor.table()?;
    let networks = networks(&table);
    let header = table.or("header", ForwardedBy::XForwardedFor, |value| {
        value.one_of(&[("x-forwarded-for", ForwardedBy::XForwardedFor), ("forwarded", ForwardedBy::Forwarded)])
    });
    let hops =
        table.or("hops", None, |value| value.integer(1..=HOPS_MAX, "proxies").and_then(|number| usize::try_from(number).ok()).map(Some));
    table.finish()?;
    Some(TrustedProxies { networks: networks?, forwarded_by: header?, hops: hops? })
}

/// An IP address and port that is not among `sockets` yet. Port 0, any free one, may stand there again.
pub(super) fn socket_address(cursor: &Cursor<'_>, sockets: &mut HashSet<SocketAddr>) -> Option<SocketAddr> {
    let text = cursor.text()?;
    let message = match (text.parse::<SocketAddr>(), text.rsplit_once(':')) {
        (Ok(address), _) if address.port() == 0 || sockets.insert(address) => return Some(address),
        (Ok(address), _) => {
            cursor.error_hint(
                format!("something else listens on `{address}` already"),
                "give each listener and the metrics a port of their own",
            );
            return None;
        }
        (Err(_), Some((_, port))) if port.parse::<u16>().is_err() => format!("`{text}` has no usable port: `{port}` is not 0 to 65535"),
        (Err(_), Some((host, _))) if !host.is_empty() => format!("`{host}` is not an IP address; names are not looked up here"),
        (Err(_), Some(_) | None) => format!("`{text}` is not an address and a port"),
    };
    cursor.error_hint(message, "write `127.0.0.1:8080`, or `0.0.0.0:8080` for every IPv4 interface");
    None
}
