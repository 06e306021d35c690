//! Who calls, for the backend: identity headers and the assertion that vouches for them (contracts C9).

use http::request::Parts;
use http::{HeaderName, HeaderValue};

use super::client::Client;
use super::exchange::Exchange;
use crate::access::Facts;
use crate::authn::assertion::{Assertion, Session};
use crate::telemetry::record::decimal_into;
use crate::types::{AuthenticationType, RequestId, SigningKey, Timestamp};

const PRINCIPAL: HeaderName = HeaderName::from_static("portcullis-principal");
const ACCOUNT: HeaderName = HeaderName::from_static("portcullis-account");
const ASSERTION: HeaderName = HeaderName::from_static("portcullis-assertion");
/// Who asks when the gateway itself asks for tags and attributes, and how it proved who it is: by the assertion alone.
const GATEWAY: &str = "portcullis";
/// The request's id, in both directions.
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("portcullis-request-id");
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Adds the identity headers. Everything of these names must have been removed before.
pub(super) fn add(parts: &mut Parts, facts: &Facts<'_>, key: &SigningKey, client: &Client, exchange: &Exchange) {
    let request_id = exchange.request_id();
    let address = client.address_text(facts.client_address);
    // In observe mode a request may pass whose credential must not be used: then nobody is vouched for.
    let caller = facts.caller.filter(|_| facts.credential_usable);
    let (principal, account) = caller.map_or(("", ""), |caller| (caller.srn(), caller.account_text()));
    let kind = caller.map_or(AuthenticationType::Anonymous, |_| facts.authentication).as_str();
    let access_key = facts.access_key.filter(|_| caller.is_some()).map(|key| key.to_text());
    let session = facts.session.as_deref().filter(|_| caller.is_some()).map(|session| Session {
        name: session.name(),
        source: session.source(),
        narrowed: boolean(session.is_narrowed()),
    });
    let mut time = Vec::with_capacity(20);
    decimal_into(&mut time, u64::try_from(exchange.now().milliseconds()).unwrap_or(0));
    let assertion = Assertion {
        method: parts.method.as_str(),
        target: parts.uri.path_and_query().map_or("", http::uri::PathAndQuery::as_str),
        principal,
        account,
        authentication_type: kind,
        access_key: access_key.as_ref().map_or("", |key| key.as_str()),
        mfa: boolean(caller.is_some() && facts.mfa()),
        address: &address,
        session,
        request_id,
        time: std::str::from_utf8(&time).unwrap_or_default(),
    }
    .sign(key);

    let headers = &mut parts.headers;
    for (name, value) in [(PRINCIPAL, principal), (ACCOUNT, account), (REQUEST_ID, request_id)] {
        if let (false, Ok(value)) = (value.is_empty(), HeaderValue::from_str(value)) {
            headers.insert(name, value);
        }
    }
    if let Some(value) = client.address_value(facts.client_address) {
        headers.insert(X_FORWARDED_FOR, value);
    }
    if let Ok(value) = HeaderValue::from_maybe_shared(bytes::Bytes::from(assertion)) {
        headers.insert(ASSERTION, value);
    }
}

const fn boolean(value: bool) -> &'static str {
    if value { "true" } else { "false" }
}

/// Adds the identity headers of a question that the gateway asks by itself, about a resource of this account.
pub(super) fn add_own<B>(request: &mut http::Request<B>, account: &str, key: &SigningKey, client: &Client, now: Timestamp) {
    let mut request_id = [0; RequestId::CHARS];
    client.worker.request_id(now).write(&mut request_id);
    let request_id = std::str::from_utf8(&request_id).unwrap_or_default();
    let time = now.milliseconds().to_string();
    let assertion = Assertion {
        method: request.method().as_str(),
        target: request.uri().path_and_query().map_or("", http::uri::PathAndQuery::as_str),
        principal: GATEWAY,
        account,
        authentication_type: GATEWAY,
        access_key: "",
        mfa: "false",
        address: "",
        session: None,
        request_id,
        time: &time,
    }
    .sign(key);
    let headers = request.headers_mut();
    for (name, value) in
        [(PRINCIPAL, GATEWAY.as_bytes()), (ACCOUNT, account.as_bytes()), (REQUEST_ID, request_id.as_bytes()), (ASSERTION, &assertion)]
    {
        if let Ok(value) = HeaderValue::from_bytes(value) {
            headers.insert(name, value);
        }
    }
}
