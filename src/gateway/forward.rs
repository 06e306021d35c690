//! Stage 10: passes an allowed request on, and its answer back. Takes the permit by value.

use std::rc::Rc;

use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, Version, header};

use super::body::{BodyError, Objection, RequestBody, ResponseBody};
use super::client::Client;
use super::credential::Content;
use super::deadline::Phase;
use super::exchange::Exchange;
use super::state::{Bound, BoundService, BoundUpstream};
use super::upstream::UpstreamError;
use super::{headers, identity, refuse, restrain};
use crate::access::{Denial, Denied, Facts, Mode, Permit};
use crate::authn::sigv4;
use crate::types::Reason;

/// The reason of a refusal, or `allow`.
pub(super) const REASON: HeaderName = HeaderName::from_static("portcullis-reason");
/// The revision that decided; told to authenticated callers.
pub(super) const REVISION: HeaderName = HeaderName::from_static("portcullis-revision");
const WOULD_DENY: HeaderName = HeaderName::from_static("portcullis-would-deny");
const ALLOW: HeaderValue = HeaderValue::from_static("allow");

/// Forwards what `permit` allows.
pub(super) async fn forward(
    client: &Client,
    bound: &Bound,
    permit: Permit<'_>,
    mut parts: Parts,
    mut body: RequestBody,
    mut exchange: Exchange,
) -> Response<ResponseBody> {
    let facts = permit.facts();
    let service: &Rc<BoundService> = bound.service(facts.service);
    if permit.claim().is_some() {
        exchange.failed(Reason::ReplayMemoryFull);
        return refuse::refuse(bound, &failed(Denial::with(Reason::ReplayMemoryFull, "nothing was claimed"), facts), exchange);
    }
    let Some(upstream) = &service.upstream else {
        exchange.failed(Reason::UpstreamUnavailable);
        return refuse::refuse(bound, &failed(Denial::new(Reason::UpstreamUnavailable), facts), exchange);
    };
    let objection = match ready(&mut parts, &mut body, facts, upstream, client, &exchange).await {
        Ok(objection) => objection,
        Err(denial) => {
            restrain::release(client, facts);
            exchange.failed(denial.reason);
            return refuse::refuse(bound, &failed(denial, facts), exchange);
        }
    };
    client.deadline.set_upstream(upstream.settings.response_timeout);
    // How long the body is says its own size, never a header: hyper writes the framing anew.
    let had_length = parts.headers.remove(header::CONTENT_LENGTH).is_some() || facts.body_chunks.is_some();
    if body.is_empty() {
        client.deadline.enter(Phase::Upstream);
        if had_length {
            parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
    }
    let request = Request::from_parts(parts, body);
    let written = written(bound, &permit, request.method());
    let sent = upstream.pool.send(request, upstream.settings.connect_timeout, &client.deadline).await;
    // Before the client hears of it: whatever it asks next must see what it has written. Also when nobody knows what became of it.
    if written {
        client.worker.attributes().written(&permit.facts().resources);
    }
    // A backend that breaks off while the client is slow to send is still the backend's doing.
    let clients_doing = match &sent {
        Ok(_) => false,
        Err(UpstreamError::Timeout) => client.deadline.upload_is_awaited(),
        Err(UpstreamError::Unavailable(_)) => client.deadline.upload_is_broken(),
    };
    let reason = match sent {
        Ok((response, lease)) if response.status() != StatusCode::SWITCHING_PROTOCOLS => {
            let (mut head, incoming) = response.into_parts();
            headers::strip_response(&mut head.headers);
            head.version = Version::HTTP_11;
            exchange.set_status(head.status.as_u16());
            mark(&mut head.headers, bound, &permit, &exchange);
            let body = ResponseBody::stream(incoming, lease, Rc::clone(&upstream.pool), exchange, Rc::clone(&client.deadline));
            return Response::from_parts(head, body);
        }
        Ok(_switched) => Reason::UpstreamUnavailable,
        Err(_) if let Some(denial) = objection.and_then(|objection| objection.take()) => {
            restrain::release(client, permit.facts());
            exchange.failed(denial.reason);
            return refuse::refuse(bound, &failed(denial, permit.facts()), exchange);
        }
        Err(_) if clients_doing => {
            let denial = broken_body();
            exchange.failed(denial.reason);
            return refuse::refuse(bound, &failed(denial, permit.facts()), exchange);
        }
        Err(UpstreamError::Timeout) => Reason::UpstreamTimeout,
        Err(UpstreamError::Unavailable(error)) => {
            tracing::debug!(upstream = %upstream.settings.authority, %error, "an upstream did not answer");
            Reason::UpstreamUnavailable
        }
    };
    exchange.failed(reason);
    refuse::refuse(bound, &failed(Denial::new(reason), permit.facts()), exchange)
}

/// Makes head and body what the backend gets. What is returned says later whether the body was another than the one that was signed.
async fn ready(
    parts: &mut Parts,
    body: &mut RequestBody,
    facts: &Facts<'_>,
    upstream: &BoundUpstream,
    client: &Client,
    exchange: &Exchange,
) -> Result<Option<Objection>, Denial> {
    // SECURITY: what nobody takes apart would be stored with its chunks' lines and signatures in it. Also where nothing else is refused.
    let in_chunks = parts.headers.get("x-amz-content-sha256").is_some_and(|kind| kind.as_bytes().starts_with(b"STREAMING-"));
    if in_chunks && facts.body_chunks.is_none() && !keeps_credentials(facts, upstream) {
        return Err(Denial::with(Reason::MalformedRequest, "a body in chunks cannot be passed on without a signature that is true"));
    }
    let objection = check(body, facts, upstream, client).await?;
    let content = match facts.body_sha256.filter(|_| objection.is_some()) {
        _ if body.is_empty() => Content::Nothing,
        Some(hash) => Content::Sha256(hash),
        None => Content::Unknown,
    };
    let prepared = prepare(parts, facts, upstream, client, exchange, &content);
    prepared
        .map(|()| objection)
        .ok_or_else(|| Denial::with(Reason::MalformedRequest, "the request cannot be put into a form for the backend"))
}

/// Has the body verified as it passes, where the caller signed it. Of one in chunks the first piece is here when this returns.
async fn check(body: &mut RequestBody, facts: &Facts<'_>, upstream: &BoundUpstream, client: &Client) -> Result<Option<Objection>, Denial> {
    if let Some(chunks) = facts.body_chunks.as_deref().filter(|_| !keeps_credentials(facts, upstream)) {
        client.deadline.set_upstream(upstream.settings.response_timeout);
        let objection = body.must_verify(chunks.clone());
        // Boxed: rare, and every request pays for the size of this future.
        return match Box::pin(body.begin()).await {
            Ok(()) => Ok(Some(objection)),
            Err(BodyError::Other | BodyError::Client(_) | BodyError::Late) => Err(objection.take().unwrap_or_else(broken_body)),
        };
    }
    // Who only observes breaks nothing off.
    let signed = facts.body_sha256.filter(|_| facts.service.is_some_and(|service| service.mode == Mode::Enforce));
    Ok(signed.map(|hash| body.must_be(hash)))
}

fn broken_body() -> Denial {
    Denial::with(Reason::MalformedRequest, "the body broke off or did not arrive in time")
}

/// Whether a service that only observes lets the client's credentials pass, and with them everything that they sign.
fn keeps_credentials(facts: &Facts<'_>, upstream: &BoundUpstream) -> bool {
    upstream.settings.keep_credentials && facts.service.is_some_and(|service| service.mode == Mode::Observe)
}

/// Whether the request may change what backends tell about resources.
fn written(bound: &Bound, permit: &Permit<'_>, method: &Method) -> bool {
    let reads = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
    !reads && bound.state.view.snapshot.has_sources() && !permit.facts().resources.is_empty()
}

/// Takes out what must not pass and puts in who is calling.
///
/// `None` when the backend's own credential cannot be shown with it.
fn prepare(
    parts: &mut Parts,
    facts: &Facts<'_>,
    upstream: &BoundUpstream,
    client: &Client,
    exchange: &Exchange,
    content: &Content,
) -> Option<()> {
    let settings = &upstream.settings;
    let keep_credentials = keeps_credentials(facts, upstream);
    headers::strip_request(&mut parts.headers, keep_credentials);
    if facts.body_chunks.is_some() && !keep_credentials {
        headers::strip_chunks(&mut parts.headers);
    }
    if !keep_credentials && let Some(target) = parts.uri.path_and_query().and_then(|target| sigv4::without_credential(target.as_str())) {
        // What is left of a target is one.
        parts.uri = target.parse().unwrap_or_default();
    }
    if let Some(bucket) = facts.bucket.as_deref().filter(|_| !settings.preserve_host) {
        // SECURITY: the backend does not see the Host that names the bucket, and would take the key's first segment for one.
        // Test: `a_bucket_in_the_host_is_the_bucket_in_the_path`.
        let target = parts.uri.path_and_query().map(http::uri::PathAndQuery::as_str)?;
        parts.uri = ["/", bucket, target].concat().parse().ok()?;
    }
    identity::add(parts, facts, &settings.identity_key, client, exchange);
    if !settings.preserve_host {
        parts.headers.insert(header::HOST, upstream.host.clone());
    }
    parts.version = Version::HTTP_11;
    // Last: it covers what is sent.
    settings.credential.as_ref().map_or(Some(()), |credential| credential.show(parts, content, exchange.now()))
}

/// What the client is told beside the answer.
fn mark(headers: &mut http::HeaderMap, bound: &Bound, permit: &Permit<'_>, exchange: &Exchange) {
    headers.insert(REASON, ALLOW);
    if let Some(denial) = permit.would_deny() {
        headers.insert(WOULD_DENY, HeaderValue::from_static(denial.reason.code()));
    }
    if permit.facts().caller.is_some() {
        headers.insert(REVISION, bound.revision.clone());
    }
    refuse::mark_request_id(headers, exchange);
}

/// A failure of the upstream, with what was known about the request.
fn failed<'v>(denial: Denial, facts: &Facts<'v>) -> Denied<'v> {
    let facts = Facts { service: facts.service, caller: facts.caller, ..Facts::default() };
    Denied { denial, facts }
}
