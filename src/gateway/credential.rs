//! What a backend wants to see from the gateway in place of the client's credential (contracts C9).

use http::request::Parts;
use http::{HeaderName, HeaderValue};

use super::headers;
use crate::authn::sigv4::{Outgoing, Signer};
use crate::types::{Secret, Timestamp};

/// SHA-256 of nothing.
const EMPTY_SHA256: [u8; 32] = [
    0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24, 0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b,
    0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
];

/// A credential of the backend's.
#[derive(Debug, Clone)]
pub enum UpstreamCredential {
    /// Requests are signed.
    Sigv4(Signer),
    /// A header whose value is the secret.
    Header(HeaderName, Secret),
}

/// What is known of a request's body.
pub(super) enum Content {
    /// There is none.
    Nothing,
    /// Its SHA-256, which it must have to pass.
    Sha256([u8; 32]),
    /// Nothing.
    Unknown,
}

impl UpstreamCredential {
    /// Shows it with a request that is otherwise ready to be sent. What a client sent in its place must have been removed, or goes here.
    ///
    /// `None` when that cannot be done: then the request must not be sent.
    pub(super) fn show(&self, parts: &mut Parts, content: &Content, now: Timestamp) -> Option<()> {
        match self {
            Self::Sigv4(signer) => {
                let target = parts.uri.path_and_query().map(http::uri::PathAndQuery::as_str)?;
                let body_sha256 = match content {
                    Content::Nothing => Some(EMPTY_SHA256),
                    Content::Sha256(hash) => Some(*hash),
                    Content::Unknown => None,
                };
                let outgoing = Outgoing { method: parts.method.as_str(), target, body_sha256 };
                headers::strip_amz_spellings(&mut parts.headers);
                signer.sign(&outgoing, &mut parts.headers, now).ok()
            }
            Self::Header(name, secret) => {
                headers::strip_spellings(&mut parts.headers, name.as_str());
                let mut value = HeaderValue::from_bytes(secret.expose()).ok()?;
                value.set_sensitive(true);
                parts.headers.insert(name, value);
                Some(())
            }
        }
    }
}
