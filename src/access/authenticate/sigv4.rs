//! AWS signatures, in the `Authorization` header and in the query.

use aws_lc_rs::digest::{SHA256, digest};
use http::HeaderValue;
use http::header::AUTHORIZATION;

use super::session::Secrets;
use super::{ACCEPTED, mismatch};
use crate::access::View;
use crate::access::credential::Proof;
use crate::access::decision::{Denial, Facts};
use crate::access::replay::{Family, Signature};
use crate::access::request::Request;
use crate::access::service::{AwsSignatures, Service};
use crate::authn::sigv4::{self, BadChunk, Credential, Framing, Payload, Signed};
use crate::types::{AccessKeyId, Reason, SigningKey, Timestamp};

/// What carries the one credential of a request.
pub(super) enum Carrier<'a> {
    /// The `Authorization` header.
    Header(&'a HeaderValue),
    /// The query.
    Query,
}

impl<'a> Carrier<'a> {
    /// The AWS signature of a request, if it presents one. Nothing may stand beside it (contracts C3).
    pub(super) fn find(request: &Request<'a>) -> Result<Option<Self>, Denial> {
        let header = request.headers.get_all(AUTHORIZATION).iter().find(|value| sigv4::is_claimed(value.as_bytes()));
        let in_query = sigv4::is_presigned(request.query());
        let (found, mut others) = match (header, in_query) {
            (None, false) => return Ok(None),
            (Some(value), _) => (Self::Header(value), if in_query { Some("a presigned query") } else { None }),
            (None, true) => (Self::Query, None),
        };
        let mut authorizations = 0;
        for (name, value) in request.headers {
            match name.as_str() {
                "authorization" => authorizations += 1,
                "x-auth-token" if value.is_empty() => {}
                "scp-accesskey" | "scp-signature" | "scp-timestamp" | "x-cmp-accesskey" | "x-cmp-signature" | "x-cmp-timestamp"
                | "svaccesskey" | "svsignature" | "svtimestamp" | "x-auth-token" => others = Some("another credential"),
                _ => {}
            }
        }
        if authorizations > usize::from(header.is_some()) {
            others = Some("another `Authorization`");
        }
        match others {
            None => Ok(Some(found)),
            Some(other) => Err(Denial::with(Reason::SeveralCredentials, format!("{other} stands beside an AWS signature"))),
        }
    }
}

/// Verifies the signature; the caller goes into `facts`. `None` when the signature covers a body that was not read yet.
pub(super) fn authenticate<'v>(
    view: &'v View,
    service: &Service,
    request: &Request<'_>,
    carrier: Carrier<'_>,
    now: Timestamp,
    facts: &mut Facts<'v>,
) -> Result<Option<Proof<'v>>, Denial> {
    let Some(taken) = &service.sigv4 else { return Err(Denial::with(Reason::NoCredential, ACCEPTED)) };
    let malformed = |error: sigv4::Malformed| Denial::with(Reason::CredentialMalformed, error.to_string());
    let credential = match carrier {
        Carrier::Header(value) => Credential::from_header(value.as_bytes(), request.headers, taken.profile),
        Carrier::Query => Credential::from_query(request.query(), request.headers, taken.profile),
    };
    let credential = credential.map_err(malformed)?;
    if credential.expires_s.is_none() && credential.session_token.is_some() && sigv4::has_session_token(request.query()) {
        return Err(Denial::with(Reason::SeveralCredentials, "header and query both carry a session token"));
    }
    let access_key = AccessKeyId::from_text(credential.scope.access_key().as_bytes());
    let access_key = access_key.ok_or_else(|| {
        Denial::with(Reason::CredentialMalformed, "the key in the credential must be an access key of 32 lower-case hexadecimal digits")
    })?;
    facts.access_key = Some(access_key);
    check_scope(&credential, taken)?;
    check_time(&credential, view.clock_skew_ms, now)?;
    if credential.payload == Payload::Body && request.body.is_none() {
        return Ok(None);
    }

    let token = credential.session_token.as_deref();
    let secrets = Secrets::of(&view.snapshot, access_key, token.is_some());
    let signed = Signed { method: request.method.as_str(), path: request.path(), query: request.query() };
    let string = credential.string(&signed, request.body.unwrap_or_default()).map_err(malformed)?;
    let is_by = |derived: &SigningKey| credential.is_by(derived, &string) & secrets.may_count();
    let derived = request.remembered.derived(secrets.secret(), &credential.scope, is_by);
    let holder = secrets.holder(derived.is_some(), now, || mismatch::of_aws_string(&string))?;
    let proof = secrets.proof(&holder, token, request.remembered, now, facts)?;
    // A presigned request is made to be sent more than once.
    if credential.expires_s.is_none() {
        let covers_body = !is_unsigned(&credential.payload);
        facts.signature = Some(Signature { family: Family::Aws, mac: credential.mac(), signed_at: credential.signed_at, covers_body });
    }
    match credential.payload {
        Payload::Sha256(hash) => match request.body {
            Some(body) if digest(&SHA256, body).as_ref() != hash => return Err(other_body()),
            Some(_) => {}
            None => facts.body_sha256 = Some(hash),
        },
        // SECURITY: only here, behind a verified signature in the header (CVE-2025-31489).
        // Test: `chunks_without_a_true_signature_reach_nobody`.
        Payload::Chunks(_) => facts.body_chunks = derived.as_ref().and_then(|key| credential.chunks(key)).map(Box::new),
        Payload::Unsigned | Payload::Body => {}
    }
    Ok(Some(proof))
}

/// The chunks are not the body that was signed; for who takes them apart.
#[must_use]
pub fn bad_chunk(error: BadChunk) -> Denial {
    let reason = if error == BadChunk::Signature { Reason::SignatureMismatch } else { Reason::MalformedRequest };
    Denial::with(reason, error.to_string())
}

/// The body is not the one that was signed; also for who compares it only while it passes.
#[must_use]
pub fn other_body() -> Denial {
    Denial::with(Reason::SignatureMismatch, "the body is not the one whose hash `x-amz-content-sha256` signs")
}

/// Whether it was signed for this service, and signs what this service wants signed.
fn check_scope(credential: &Credential<'_>, taken: &AwsSignatures) -> Result<(), Denial> {
    let refuse = |detail| Err(Denial::with(Reason::CredentialMalformed, detail));
    if credential.scope.service() != &*taken.service {
        return refuse(format!("requests to this service are signed for `REGION/{}/aws4_request`", taken.service));
    }
    if taken.regions.as_ref().is_some_and(|regions| !regions.iter().any(|region| region == credential.scope.region())) {
        return refuse("the region in the credential is none of this service's".to_owned());
    }
    if is_unsigned(&credential.payload) && !taken.unsigned_payload {
        return refuse("this service wants the body signed: send its SHA-256 in `x-amz-content-sha256`, or sign its chunks".to_owned());
    }
    Ok(())
}

/// Whether the signature says nothing about the body.
fn is_unsigned(payload: &Payload) -> bool {
    match payload {
        Payload::Unsigned => true,
        Payload::Chunks(upload) => upload.framing == Framing::UnsignedTrailer,
        Payload::Sha256(_) | Payload::Body => false,
    }
}

/// Whether the signature's time has come, and has not passed.
fn check_time(credential: &Credential<'_>, skew_ms: u64, now: Timestamp) -> Result<(), Denial> {
    let signed_at = credential.signed_at;
    let refuse = |detail| Err(Denial::with(Reason::ClockSkew, detail));
    let off_ms = now.distance_ms(signed_at);
    let Some(expires_s) = credential.expires_s else {
        if off_ms > skew_ms {
            return refuse(format!("the gateway's time is {now}, the signature's is {signed_at}"));
        }
        return Ok(());
    };
    if signed_at > now && off_ms > skew_ms {
        return refuse(format!("the gateway's time is {now}, the presigned request begins at {signed_at}"));
    }
    // From this millisecond on it is refused, without any tolerance: its life is the client's own choice.
    if signed_at <= now && off_ms >= u64::from(expires_s) * 1_000 {
        return refuse(format!("the gateway's time is {now}, the presigned request of {signed_at} lived for {expires_s} seconds"));
    }
    Ok(())
}
