//! What the backend is told about the caller, and the HMAC that proves the gateway said it (contracts C9).
//!
//! Headers: `Portcullis-Principal`, `Portcullis-Account`, `Portcullis-Request-Id`, and `Portcullis-Assertion` with time,
//! authentication type, MFA, client address and signature. The signature is the URL-safe Base64 of HMAC-SHA256
//! over these lines, each ended by a line feed except the last: `portcullis-v1`, method, target, principal,
//! account, authentication type, MFA, client address, request id, time in milliseconds.

use std::io::Write as _;
use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::request::Parts;
use http::{HeaderName, HeaderValue};

use crate::access::Facts;
use crate::types::{RequestId, SigningKey, Timestamp};

const PRINCIPAL: HeaderName = HeaderName::from_static("portcullis-principal");
const ACCOUNT: HeaderName = HeaderName::from_static("portcullis-account");
const ASSERTION: HeaderName = HeaderName::from_static("portcullis-assertion");
/// The request's id, in both directions.
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("portcullis-request-id");
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// First line of what is signed; a new form gets a new one.
const FORM: &str = "portcullis-v1";

/// Adds the identity headers. Everything of these names must have been removed before.
pub(super) fn add(parts: &mut Parts, facts: &Facts<'_>, key: &SigningKey, request_id: RequestId, now: Timestamp) {
    let mut buffer = [0; RequestId::CHARS];
    let request_id = request_id.write(&mut buffer);
    let address = Address::new(facts.client_address);
    let (principal, account) = facts.user.map_or(("", ""), |user| (&*user.principal.srn, &*user.account_text));
    let kind = facts.authentication.as_str();
    let mut time = Digits::default();
    let _ = write!(time, "{}", now.milliseconds());
    let target = parts.uri.path_and_query().map_or("", http::uri::PathAndQuery::as_str);
    let lines = [FORM, parts.method.as_str(), target, principal, account, kind, "false", address.as_str(), request_id, time.as_str()];
    let mut pieces: [&[u8]; 19] = [b"\n"; 19];
    for (slot, line) in pieces.iter_mut().step_by(2).zip(lines) {
        *slot = line.as_bytes();
    }
    let mac = key.mac(&pieces);

    let mut assertion = Vec::with_capacity(160);
    let _ = write!(assertion, "v1;time={};type={kind};mfa=false;address={};signature=", time.as_str(), address.as_str());
    let mut signature = [0; 43];
    if URL_SAFE_NO_PAD.encode_slice(mac, &mut signature).is_ok() {
        assertion.extend_from_slice(&signature);
    }
    let headers = &mut parts.headers;
    for (name, value) in [(PRINCIPAL, principal), (ACCOUNT, account), (REQUEST_ID, request_id), (X_FORWARDED_FOR, address.as_str())] {
        if let (false, Ok(value)) = (value.is_empty(), HeaderValue::from_str(value)) {
            headers.insert(name, value);
        }
    }
    if let Ok(value) = HeaderValue::from_maybe_shared(bytes::Bytes::from(assertion)) {
        headers.insert(ASSERTION, value);
    }
}

/// The client address as text on the stack; `unknown` when there is none.
struct Address(Digits);

impl Address {
    fn new(address: Option<IpAddr>) -> Self {
        let mut text = Digits::default();
        let _ = match address {
            Some(address) => write!(text, "{address}"),
            None => write!(text, "unknown"),
        };
        Self(text)
    }

    fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

/// A short text on the stack.
#[derive(Default)]
struct Digits {
    bytes: smallvec::SmallVec<[u8; 48]>,
}

impl Digits {
    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes).unwrap_or_default()
    }
}

impl std::io::Write for Digits {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
