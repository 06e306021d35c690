//! The decision about one request, stages 4 to 9 in order: client address, service, authentication, credential,
//! action and resources, policies.
//!
//! Pure: the request, the snapshot and the time come in, a [`Decision`] comes out. It reads no clock, opens no
//! socket and logs nothing; what it cannot answer without the body, or without tags and attributes that only backends know, it asks for with [`Decision::Needs`].
//!
//! INVARIANT: only this component makes a [`Permit`], and forwarding takes one by value, so a request that was
//! not decided cannot be forwarded.

pub mod decision;
pub mod proxy_protocol;
pub mod replay;
pub mod request;

pub mod attributes;
mod authenticate;
mod authorize;
mod client_address;
mod credential;
pub mod issuers;
pub mod remembered;
mod resolve;
mod s3;
pub mod service;
mod session;
pub mod sets;

use std::num::NonZeroU32;
use std::sync::Arc;

pub use attributes::{Fetched, Wanted};
pub use authenticate::{bad_chunk, other_body};
pub use decision::{Decision, Denial, Denied, Facts, Need, Permit};
pub use issuers::{Issuer, IssuerSettings};
pub use remembered::Remembered;
pub use replay::{Claim, Family, Replay};
pub use request::{CrossCheck, Entrance, ForwardedHeader, Request};
pub use service::{AwsSignatures, ErrorProtocol, Mode, Service, ServiceSettings, Services};
pub use session::Session;
pub use sets::Sets;

use authorize::Missing;
use service::Found;

use crate::snapshot::{Authentication, Caller, Operation, Snapshot};
use crate::types::{AuthenticationType, Path, Reason, Timestamp};

/// Most bytes of a body that is kept for somebody who is not authenticated yet, whatever a service allows for those who are.
pub const SIGNED_BODY_BYTES_MAX: usize = 64 * 1024;

/// Everything a decision reads, at one revision.
#[derive(Debug, Clone)]
pub struct View {
    /// Accounts, users, keys, policies, definitions.
    pub snapshot: Arc<Snapshot>,
    /// Which Host is which service.
    pub services: Arc<Services>,
    /// Identity providers of others whose tokens count.
    pub issuers: Arc<[Arc<Issuer>]>,
    /// How far a signature's timestamp may be from now, in milliseconds.
    pub clock_skew_ms: u64,
    /// One in so many evaluations of policies is checked by one without any index.
    pub cross_check: Option<NonZeroU32>,
}

/// Decides one request. In observe mode a refusal becomes a permit that remembers it.
#[must_use]
pub fn decide<'v>(view: &'v View, request: &Request<'_>, now: Timestamp) -> Decision<'v> {
    let mut facts = Facts::default();
    let outcome = stages(view, request, now, &mut facts);
    match outcome {
        Ok(Outcome::Allowed) => match Claim::of(&facts, request) {
            Some(claim) if claim.lacks_body(&facts, request) => {
                Decision::Needs(Need::Beginning { bytes_max: replay::BODY_BYTES_MAX }, facts)
            }
            claim => Decision::Permit(Permit::granted(facts, claim)),
        },
        Ok(Outcome::Needs(need)) => Decision::Needs(need, facts),
        Err(denial) => decision::refuse(facts, denial),
    }
}

/// What the shell found out by itself while serving a need (a body over the limit), put into the same frame.
#[must_use]
pub fn deny<'v>(view: &'v View, request: &Request<'_>, denial: Denial) -> Decision<'v> {
    let mut facts = Facts { client_address: client_address::find(request), ..Facts::default() };
    if let Some(found) = view.services.find(request.host) {
        facts.service = Some(found.service);
        facts.bucket = found.bucket().map(Into::into);
    }
    decision::refuse(facts, denial)
}

enum Outcome {
    Allowed,
    Needs(Need),
}

/// Stages 4 to 7 alone: from where, to which service, who is calling, and whether they may use their credential, now and from there. What was found out
/// goes into `facts`. `None` when the signature covers a body that was not read yet.
///
/// # Errors
/// Why not.
pub fn identify<'v>(view: &'v View, request: &Request<'_>, now: Timestamp, facts: &mut Facts<'v>) -> Result<Option<Caller<'v>>, Denial> {
    let service = entered(view, request, facts)?.service;
    caller(view, (service, None), request, now, facts)
}

/// Stages 4 and 5: from where, to which service.
fn entered<'v>(view: &'v View, request: &Request<'_>, facts: &mut Facts<'v>) -> Result<Found<'v>, Denial> {
    facts.client_address = client_address::find(request);
    let found = view
        .services
        .find(request.host)
        .ok_or_else(|| Denial::with(Reason::UnknownHost, format!("`{}` stands in no service's `hosts`", request.host)))?;
    facts.service = Some(found.service);
    Ok(found)
}

/// Stages 6 and 7, for an operation of a service.
fn caller<'v>(
    view: &'v View,
    (service, operation): (&Service, Option<&Operation>),
    request: &Request<'_>,
    now: Timestamp,
    facts: &mut Facts<'v>,
) -> Result<Option<Caller<'v>>, Denial> {
    let Some(proof) = authenticate::authenticate(view, service, request, now, facts)? else { return Ok(None) };
    credential::check(&view.snapshot, proof, operation, facts.client_address, now)?;
    facts.credential_usable = true;
    Ok(Some(proof.caller()))
}

fn stages<'v>(view: &'v View, request: &Request<'_>, now: Timestamp, facts: &mut Facts<'v>) -> Result<Outcome, Denial> {
    let found = entered(view, request, facts)?;
    let service = found.service;
    let bucket = found.bucket();
    facts.bucket = bucket.map(Into::into);
    let profile = service.path_profile;
    let path = Path::read(request.path(), profile, bucket).map_err(|error| Denial::with(Reason::AmbiguousRequest, error.to_string()))?;
    let subresource = if profile.is_s3() { s3::subresource(request)? } else { None };
    let elsewhere = profile.is_s3() && s3::reaches_elsewhere(request.headers);
    let operation = service.operation(request.method, &path, subresource).filter(|_| !elsewhere);
    if let Some((operation, _)) = operation
        && operation.authentication == Authentication::None
        && service.is_public(operation)
    {
        if profile.is_s3() && s3::shapes_answer(request.query()) {
            return Err(Denial::with(Reason::NoCredential, "`response-*` parameters are for callers who sign"));
        }
        facts.operation = Some(operation);
        facts.action = operation.action.map(|id| view.snapshot.catalogue().action(id));
        facts.authentication = AuthenticationType::Anonymous;
        return Ok(Outcome::Allowed);
    }

    let Some(caller) = caller(view, (service, operation.as_ref().map(|(operation, _)| *operation)), request, now, facts)? else {
        return Ok(Outcome::Needs(Need::SignedBody { bytes_max: service.body_bytes_max.min(SIGNED_BODY_BYTES_MAX) }));
    };
    let (operation, parameters) = operation.ok_or(Denial::new(Reason::NoActionDefinition))?;
    facts.operation = Some(operation);
    if operation.needs_body && facts.body_chunks.is_some() {
        return Err(resolve::chunked_body());
    }
    if operation.needs_body && request.body.is_none() {
        return Ok(Outcome::Needs(Need::Body { bytes_max: service.body_bytes_max }));
    }
    let catalogue = view.snapshot.catalogue();
    let action = operation.action.ok_or(Denial::new(Reason::NoActionDefinition))?;
    facts.action = Some(catalogue.action(action));

    // A body that is here only because it was signed, or because it is empty, may be anything unless something depends on it.
    let (body, unread) = match resolve::read_body(operation, request) {
        Err(denial) if !operation.needs_body => (None, Some(denial)),
        read => (read?, None),
    };
    let request = if unread.is_some() { &Request { body: None, ..*request } } else { request };
    let target = resolve::Target { operation, parameters: &parameters, host: &found.labels, caller, body: body.as_ref() };
    let resolved = target.resolve(catalogue, request)?;
    facts.resources = resolved.srns(catalogue);
    let asked = authorize::Asked { snapshot: &view.snapshot, target: &target, request, action, resolved: &resolved, now };
    match asked.authorize(facts)? {
        None => Ok(Outcome::Allowed),
        Some(Missing::Body) if facts.body_chunks.is_some() => Err(resolve::chunked_body()),
        Some(Missing::Body) if let Some(denial) = unread => Err(denial),
        Some(Missing::Body) => Ok(Outcome::Needs(Need::Body { bytes_max: service.body_bytes_max })),
        Some(Missing::Attributes(wanted)) => Ok(Outcome::Needs(Need::Attributes(wanted))),
    }
}
