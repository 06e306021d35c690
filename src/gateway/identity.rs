//! What the backend is told about the caller, and the HMAC that proves the gateway said it (contracts C9).
//!
//! Headers: `Portcullis-Principal`, `Portcullis-Account`, `Portcullis-Request-Id`, and `Portcullis-Assertion` with time,
//! authentication type, MFA, client address and signature. The signature is the URL-safe Base64 of HMAC-SHA256
//! over these lines, each ended by a line feed except the last: `portcullis-v1`, method, target, principal,
//! account, authentication type, MFA, client address, request id, time in milliseconds.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::request::Parts;
use http::{HeaderName, HeaderValue};
use smallvec::SmallVec;

use super::client::Client;
use super::exchange::Exchange;
use crate::access::Facts;
use crate::telemetry::record::decimal_into;
use crate::types::{AuthenticationType, SigningKey};

const PRINCIPAL: HeaderName = HeaderName::from_static("portcullis-principal");
const ACCOUNT: HeaderName = HeaderName::from_static("portcullis-account");
const ASSERTION: HeaderName = HeaderName::from_static("portcullis-assertion");
/// The request's id, in both directions.
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("portcullis-request-id");
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// First line of what is signed; a new form gets a new one.
const FORM: &str = "portcullis-v1";

/// Adds the identity headers. Everything of these names must have been removed before.
pub(super) fn add(parts: &mut Parts, facts: &Facts<'_>, key: &SigningKey, client: &Client, exchange: &Exchange) {
    let request_id = exchange.request_id();
    let address = client.address_text(facts.client_address);
    // In observe mode a request may pass whose credential must not be used: then nobody is vouched for.
    let user = facts.user.filter(|_| facts.credential_usable);
    let (principal, account) = user.map_or(("", ""), |user| (&*user.principal.srn, &*user.account_text));
    let kind = user.map_or(AuthenticationType::Anonymous, |_| facts.authentication).as_str();
    let mut time = Vec::with_capacity(20);
    decimal_into(&mut time, u64::try_from(exchange.now().milliseconds()).unwrap_or(0));
    let target = parts.uri.path_and_query().map_or("", http::uri::PathAndQuery::as_str);

    let mut message: SmallVec<[u8; 640]> = SmallVec::new();
    for line in [FORM, parts.method.as_str(), target, principal, account, kind, "false", &address, request_id] {
        message.extend_from_slice(line.as_bytes());
        message.push(b'\n');
    }
    message.extend_from_slice(&time);
    let mut signature = [0; 43];
    let written = URL_SAFE_NO_PAD.encode_slice(key.mac(&message), &mut signature).unwrap_or(0);

    let mut assertion = Vec::with_capacity(160);
    for part in [b"v1;time=", &*time, b";type=", kind.as_bytes(), b";mfa=false;address=", address.as_bytes(), b";signature="] {
        assertion.extend_from_slice(part);
    }
    assertion.extend_from_slice(signature.get(..written).unwrap_or_default());

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
