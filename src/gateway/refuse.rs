//! From denials to answers: the one table of statuses, and the error body of the Samsung Cloud Platform
//! (wire-formats 1.6, contracts C13). Where a service says so, the body is Amazon S3's.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};

use super::body::ResponseBody;
use super::exchange::Exchange;
use super::forward::{REASON, REVISION};
use super::identity::REQUEST_ID;
use super::refuse_s3;
use super::state::Bound;
use crate::access::{Denied, ErrorProtocol};
use crate::telemetry::record::escape_into;
use crate::types::Reason;

/// Seconds a client should wait before it tries again, where nothing more is known.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// RFC 9110 section 11.6.1 wants a challenge with every 401, for each scheme that is taken; RFC 6750 section 3 a parameter with `Bearer`.
/// They say what this service takes, and nothing about what was presented but that it was a token.
const SCP: HeaderValue = HeaderValue::from_static("Scp-HMAC-SHA256 realm=\"portcullis\"");
const BEARER: HeaderValue = HeaderValue::from_static("Bearer realm=\"portcullis\"");
const BAD_BEARER: HeaderValue = HeaderValue::from_static("Bearer realm=\"portcullis\", error=\"invalid_token\"");

/// The status of a reason.
pub(super) const fn status(reason: Reason) -> StatusCode {
    match reason {
        Reason::MalformedRequest | Reason::AmbiguousRequest | Reason::SeveralCredentials => StatusCode::BAD_REQUEST,
        Reason::NoCredential
        | Reason::CredentialMalformed
        | Reason::ClockSkew
        | Reason::SignatureMismatch
        | Reason::Replayed
        | Reason::TokenInvalid
        | Reason::TokenExpired
        | Reason::SessionTokenInvalid
        | Reason::CredentialDisabled
        | Reason::CredentialExpired
        | Reason::OwnerInactive => StatusCode::UNAUTHORIZED,
        Reason::MethodNotPermitted
        | Reason::KeyAddressRefused
        | Reason::ConsoleAddressRefused
        | Reason::AccountMismatch
        | Reason::NoActionDefinition
        | Reason::ImplicitDeny
        | Reason::ExplicitDeny
        | Reason::InvalidPolicy
        | Reason::AttributeUnavailable => StatusCode::FORBIDDEN,
        Reason::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Reason::UnknownHost => StatusCode::MISDIRECTED_REQUEST,
        Reason::TooManyFailures | Reason::TooManyRequests => StatusCode::TOO_MANY_REQUESTS,
        Reason::UpstreamUnavailable => StatusCode::BAD_GATEWAY,
        Reason::UpstreamTimeout => StatusCode::GATEWAY_TIMEOUT,
        Reason::StaleSnapshot | Reason::RevisionNotReached | Reason::ReplayMemoryFull => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// The answer to a refused request.
pub(super) fn refuse(bound: &Bound, denied: &Denied<'_>, mut exchange: Exchange) -> Response<ResponseBody> {
    let reason = denied.denial.reason;
    let status = status(reason);
    exchange.set_status(status.as_u16());
    let protocol = denied.facts.service.map_or(ErrorProtocol::Scp, |service| service.error_protocol);
    let body = match protocol {
        ErrorProtocol::Scp => scp_body(denied, status, exchange.request_id()),
        ErrorProtocol::S3 => refuse_s3::body(&denied.denial, exchange.request_id()),
    };
    let mut headers = HeaderMap::with_capacity(8);
    let media_type = match protocol {
        ErrorProtocol::Scp => JSON,
        ErrorProtocol::S3 => refuse_s3::MEDIA_TYPE,
    };
    headers.insert(header::CONTENT_TYPE, media_type);
    headers.insert(REASON, HeaderValue::from_static(reason.code()));
    mark_request_id(&mut headers, &exchange);
    if denied.facts.caller.is_some() {
        headers.insert(REVISION, bound.revision.clone());
    }
    if status == StatusCode::UNAUTHORIZED {
        challenge(&mut headers, protocol, denied);
    }
    if status == StatusCode::TOO_MANY_REQUESTS || status == StatusCode::SERVICE_UNAVAILABLE {
        headers.insert(header::RETRY_AFTER, denied.denial.retry_after.map_or(RETRY_AFTER, whole_seconds));
    }
    let mut response = Response::new(ResponseBody::text(Bytes::from(body), exchange));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// Which schemes the service takes. One in each line: not every client takes a line with commas in and between challenges apart.
fn challenge(headers: &mut HeaderMap, protocol: ErrorProtocol, denied: &Denied<'_>) {
    if protocol == ErrorProtocol::Scp {
        let of_token = matches!(denied.denial.reason, Reason::TokenInvalid | Reason::TokenExpired);
        headers.append(header::WWW_AUTHENTICATE, SCP);
        headers.append(header::WWW_AUTHENTICATE, if of_token { BAD_BEARER } else { BEARER });
    }
    if protocol == ErrorProtocol::S3 || denied.facts.service.is_some_and(|service| service.sigv4.is_some()) {
        headers.append(header::WWW_AUTHENTICATE, refuse_s3::CHALLENGE);
    }
}

/// So many seconds, and one that has begun: who waits for them has waited long enough.
fn whole_seconds(time: Duration) -> HeaderValue {
    HeaderValue::from(time.as_nanos().div_ceil(1_000_000_000).clamp(1, u128::from(u32::MAX)) as u64)
}

/// Tells the client the request's id.
pub(super) fn mark_request_id(headers: &mut HeaderMap, exchange: &Exchange) {
    if let Ok(value) = HeaderValue::from_str(exchange.request_id()) {
        headers.insert(REQUEST_ID, value);
    }
}

/// `{"errors": [...]}` with exactly the members that clients of the platform decode.
fn scp_body(denied: &Denied<'_>, status: StatusCode, request_id: &str) -> Vec<u8> {
    let reason = denied.denial.reason;
    let mut body = br#"{"errors":[{"code":""#.to_vec();
    body.extend_from_slice(reason.code().as_bytes());
    body.extend_from_slice(br#"","title":""#);
    escape_into(&mut body, status.canonical_reason().unwrap_or_default());
    body.extend_from_slice(br#"","detail":""#);
    escape_into(&mut body, reason.explanation());
    if let Some(detail) = &denied.denial.detail {
        escape_into(&mut body, " (");
        escape_into(&mut body, detail);
        escape_into(&mut body, ")");
    }
    body.extend_from_slice(format!("\",\"status\":{},\"request_id\":\"{request_id}\",", status.as_u16()).as_bytes());
    body.extend_from_slice(format!("\"global_request_id\":\"{request_id}\",\"links\":[],\"related_resources\":[],").as_bytes());
    body.extend_from_slice(br#""response":"#);
    match denied.facts.action.filter(|_| status == StatusCode::FORBIDDEN) {
        None => body.extend_from_slice(b"null"),
        Some(action) => {
            body.extend_from_slice(format!("{{\"access_level\":\"{}\",\"action_name\":\"", action.level).as_bytes());
            escape_into(&mut body, action.name.as_str());
            body.extend_from_slice(br#"","caused_auths":[],"message":""#);
            escape_into(&mut body, "You are not authorized to perform this operation.");
            body.extend_from_slice(br#""}"#);
        }
    }
    body.extend_from_slice(b"}]}");
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_the_status_of_the_contract() {
        let table: Vec<(u16, &str)> = Reason::ALL.iter().map(|reason| (status(*reason).as_u16(), reason.code())).collect();
        let codes = |number: u16| table.iter().filter(|(status, _)| *status == number).map(|(_, code)| *code).collect::<Vec<_>>().join(" ");
        assert_eq!(codes(400), "malformed_request ambiguous_request several_credentials");
        assert_eq!(
            codes(401),
            "no_credential credential_malformed clock_skew signature_mismatch replayed token_invalid token_expired session_token_invalid credential_disabled credential_expired owner_inactive"
        );
        assert_eq!(
            codes(403),
            "method_not_permitted key_address_refused console_address_refused account_mismatch no_action_definition implicit_deny explicit_deny invalid_policy attribute_unavailable"
        );
        for (number, expected) in [
            (413, "body_too_large"),
            (421, "unknown_host"),
            (429, "too_many_failures too_many_requests"),
            (502, "upstream_unavailable"),
            (503, "stale_snapshot revision_not_reached replay_memory_full"),
            (504, "upstream_timeout"),
        ] {
            assert_eq!(codes(number), expected);
        }
    }
}
