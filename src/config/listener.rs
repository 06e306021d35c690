//! `listeners`: where requests come in.

use std::collections::HashSet;
use std::net::SocketAddr;

use crate::source::Cursor;
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
    /// Peers whose forwarding header is believed.
    pub trusted_proxies: Vec<Network>,
    /// The header they write.
    pub forwarded_by: ForwardedBy,
}

impl Listener {
    pub(super) fn decode(cursor: &Cursor<'_>, sockets: &mut HashSet<SocketAddr>) -> Option<Self> {
        let table = cursor.table()?;
        let address = table.required("address", "write `address: 127.0.0.1:8080`", |value| socket_address(&value, sockets));
        let public_scheme = table.or("public_scheme", "http", |value| value.one_of(&[("http", "http"), ("https", "https")]));
        let proxies = table.or("trusted_proxies", (Vec::new(), ForwardedBy::XForwardedFor), |value| trusted_proxies(&value));
        table.finish()?;
        let (trusted_proxies, forwarded_by) = proxies?;
        Some(Self { address: address?, public_scheme: public_scheme?, trusted_proxies, forwarded_by })
    }
}

fn trusted_proxies(cursor: &Cursor<'_>) -> Option<(Vec<Network>, ForwardedBy)> {
    let table = cursor.table()?;
    let networks = table.required("networks", "write `networks: [10.0.0.0/8]`", |value| {
        value.list(|network| {
            network.parse("write one address or one network with its prefix length: `10.1.2.3`, `10.0.0.0/16` or `2001:db8::/32`")
        })
    });
    let header = table.or("header", ForwardedBy::XForwardedFor, |value| {
        value.one_of(&[("x-forwarded-for", ForwardedBy::XForwardedFor), ("forwarded", ForwardedBy::Forwarded)])
    });
    table.finish()?;
    Some((networks?, header?))
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
