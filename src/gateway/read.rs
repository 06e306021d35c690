//! Stage 3: from hyper's head to one request with one reading, or none.

use http::request::Parts;
use http::uri::{PathAndQuery, Uri};
use http::{HeaderMap, Version, header};

use super::body::RequestBody;
use super::client::Client;
use super::state::State;
use crate::access::replay::BODY_BYTES_MAX;
use crate::access::{Denial, Entrance, Fetched, Request};
use crate::types::Reason;

/// Longest Host, in bytes (RFC 1035 names are shorter).
const HOST_BYTES_MAX: usize = 300;

/// Refuses heads that are not ours to read, and brings the target into origin form. An absolute target must name the same authority as Host (RFC 9112 section 3.2.2).
pub(super) fn canonical_target(parts: &mut Parts, entrance: &Entrance) -> Result<(), Denial> {
    if parts.version < Version::HTTP_10 || parts.version > Version::HTTP_11 {
        return Err(Denial::with(Reason::MalformedRequest, "only HTTP/1.0 and HTTP/1.1 are spoken here"));
    }
    if parts.headers.get_all(header::CONNECTION).iter().any(|value| value.to_str().is_err()) {
        return Err(Denial::with(Reason::MalformedRequest, "`Connection` is not text"));
    }
    if parts.headers.get_all(header::TRANSFER_ENCODING).iter().any(|value| !value.as_bytes().eq_ignore_ascii_case(b"chunked")) {
        return Err(Denial::with(Reason::MalformedRequest, "the only transfer coding is `chunked`"));
    }
    let Some(authority) = parts.uri.authority() else { return Ok(()) };
    let same_host = host(&parts.headers)?.eq_ignore_ascii_case(authority.as_str());
    if !same_host || parts.uri.scheme_str() != Some(entrance.public_scheme) {
        return Err(Denial::with(Reason::AmbiguousRequest, "the request target and Host name different places"));
    }
    let path = parts.uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
    parts.uri = Uri::from(path);
    Ok(())
}

/// What was found out about a request beside its head.
#[derive(Clone, Copy, Default)]
pub(super) struct Found<'a> {
    /// Its body, as far as it was read.
    pub(super) body: Option<&'a RequestBody>,
    /// What the backends told.
    pub(super) fetched: &'a [Fetched],
}

/// The request as decisions see it, with the body and what was fetched, as far as they were needed.
pub(super) fn request<'a>(
    parts: &'a Parts,
    entrance: &'a Entrance,
    client: &'a Client,
    state: &State,
    found: Found<'a>,
) -> Result<Request<'a>, Denial> {
    let target = parts.uri.path_and_query().map(PathAndQuery::as_str);
    let target = target.ok_or(Denial::with(Reason::MalformedRequest, "the request target is not a path"))?;
    let host = host(&parts.headers)?;
    let (method, headers, fetched) = (&parts.method, &parts.headers, found.fetched);
    let body = found.body.and_then(RequestBody::whole);
    let is_begun = found.body.is_some_and(|body| body.beginning(BODY_BYTES_MAX).len() == BODY_BYTES_MAX);
    let (worker, peer) = (&client.worker, client.source);
    let (sets, remembered, cross_check) = (worker.sets(), worker.remembered(), worker.cross_check(state));
    Ok(Request { entrance, peer, method, host, target, headers, body, is_begun, fetched, sets, remembered, cross_check })
}

/// The one Host of a request, its bytes as sent.
fn host(headers: &HeaderMap) -> Result<&str, Denial> {
    let refuse = |detail| Denial::with(Reason::MalformedRequest, detail);
    let mut values = headers.get_all(header::HOST).iter();
    let host = values.next().ok_or_else(|| refuse("there is no Host"))?;
    if values.next().is_some() {
        return Err(Denial::with(Reason::AmbiguousRequest, "there are two Hosts"));
    }
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':' | b'[' | b']');
    let bytes = host.as_bytes();
    if bytes.is_empty() || bytes.len() > HOST_BYTES_MAX || !bytes.iter().copied().all(allowed) {
        return Err(refuse("Host is not a host name or address with an optional port"));
    }
    host.to_str().map_err(|_| refuse("Host is not text"))
}
