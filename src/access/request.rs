//! A request as the decision sees it: borrowed, and with its raw bytes, because signatures cover those.

use std::cell::Cell;
use std::net::IpAddr;
use std::num::NonZeroU32;

use http::{HeaderMap, Method};

use super::attributes::Fetched;
use super::remembered::Remembered;
use super::sets::Sets;
use crate::types::NetworkSet;

/// Where a request came in: what the listener's configuration says about everyone who comes this way.
#[derive(Debug, Clone)]
pub struct Entrance {
    /// The scheme clients see and sign: `http` or `https`.
    pub public_scheme: &'static str,
    /// Peers that begin each connection with a PROXY header; nobody else is served. `None`: nobody does.
    pub proxy_protocol: Option<NetworkSet>,
    /// Peers whose forwarding header is believed.
    pub trusted_proxies: NetworkSet,
    /// How many proxies stand before the gateway, if that is what counts and not their addresses: each wrote one entry.
    pub trusted_hops: Option<usize>,
    /// Which forwarding header they write. The other one is never read.
    pub forwarded_header: ForwardedHeader,
}

/// Which header names the client address behind trusted proxies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForwardedHeader {
    /// `X-Forwarded-For`.
    XForwardedFor,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

/// One request.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// Where it came in.
    pub entrance: &'a Entrance,
    /// Who connected: the socket's peer, or whom a PROXY header names; `None` when that does not say.
    pub peer: Option<IpAddr>,
    /// The method.
    pub method: &'a Method,
    /// The Host, its bytes as sent.
    pub host: &'a str,
    /// The target, its bytes as sent: path and query.
    pub target: &'a str,
    /// The headers.
    pub headers: &'a HeaderMap,
    /// The body, once it was asked for.
    pub body: Option<&'a [u8]>,
    /// Whether as much of the body is kept as was asked for to tell the request from others.
    pub is_begun: bool,
    /// What was asked of the backends, once it was needed.
    pub fetched: &'a [Fetched],
    /// What finds the statements of those who hold many policies.
    pub sets: &'a Sets,
    /// What was verified before.
    pub remembered: &'a Remembered,
    /// Which evaluations of policies are done twice.
    pub cross_check: CrossCheck<'a>,
}

/// Which evaluations of policies are done twice, the second time without any index.
#[derive(Debug, Clone, Copy)]
pub struct CrossCheck<'a> {
    /// One in so many; `None` for none.
    pub every: Option<NonZeroU32>,
    /// How many pass before the next one; the worker keeps it.
    pub left: &'a Cell<u32>,
}

impl CrossCheck<'_> {
    /// Whether this evaluation is one of them. Counts it.
    pub(super) fn is_due(&self) -> bool {
        let Some(every) = self.every else { return false };
        let left = self.left.get().checked_sub(1).unwrap_or(every.get() - 1).min(every.get() - 1);
        self.left.set(left);
        left == 0
    }
}

impl<'a> Request<'a> {
    /// The raw path.
    #[must_use]
    pub fn path(&self) -> &'a str {
        self.target.split_once('?').map_or(self.target, |(path, _)| path)
    }

    /// The raw query, without `?`.
    #[must_use]
    pub fn query(&self) -> &'a str {
        self.target.split_once('?').map_or("", |(_, query)| query)
    }
}
