//! `services.NAME.upstream.credential`: what the backend wants to see from the gateway, in place of the client's credential.

use http::HeaderName;

use super::sigv4::scope_part;
use crate::source::{Cursor, SecretRef, Span};

/// Names of headers that say something else than who is calling, or that the gateway writes itself.
const NOT_CREDENTIALS: [&str; 14] = [
    "host",
    "connection",
    "content-length",
    "content-type",
    "content-encoding",
    "transfer-encoding",
    "te",
    "trailer",
    "upgrade",
    "expect",
    "keep-alive",
    "proxy-connection",
    "x-forwarded-for",
    "forwarded",
];

/// A credential of the backend's.
#[derive(Debug, Clone)]
pub struct UpstreamCredential {
    /// How it is shown.
    pub kind: CredentialKind,
    /// The secret of it.
    pub secret: SecretRef,
    /// Where the secret stands.
    pub span: Span,
}

/// How a credential is shown to a backend.
#[derive(Debug, Clone)]
pub enum CredentialKind {
    /// Requests are signed with AWS Signature Version 4, as for Amazon S3.
    Sigv4 {
        /// The access key.
        access_key: String,
        /// The region in the credential scope.
        region: String,
        /// The service in it.
        service: String,
    },
    /// A header whose value is the secret.
    Header {
        /// Its name.
        name: HeaderName,
    },
}

impl UpstreamCredential {
    pub(super) fn decode(cursor: &Cursor<'_>) -> Option<Self> {
        let table = cursor.table()?;
        let hint = "write `kind: sigv4` or `kind: header`";
        let is_sigv4 = table.required("kind", hint, |value| value.one_of(&[("sigv4", true), ("header", false)]));
        let secret = |value: Cursor<'_>| SecretRef::decode(&value).map(|secret| (secret, value.node().span));
        let found = match is_sigv4 {
            Some(true) => {
                let access_key = table.required("access_key", "write the backend's access key", |value| scope_part(&value));
                let hint = "write `secret: {file: backend.secret}`: the secret of the access key";
                let secret = table.required("secret", hint, secret);
                let region = table.required("region", "write the backend's region: `region: us-east-1`", |value| scope_part(&value));
                let service = table.or("service", "s3".to_owned(), |value| scope_part(&value));
                Some((CredentialKind::Sigv4 { access_key: access_key?, region: region?, service: service? }, secret?))
            }
            Some(false) => {
                let name = table.required("name", "write the header's name: `name: X-Api-Key`", |value| header_name(&value));
                let value = table.required("value", "write `value: {file: backend.key}`: all of the header's value", secret);
                Some((CredentialKind::Header { name: name? }, value?))
            }
            None => None,
        };
        table.finish()?;
        let (kind, (secret, span)) = found?;
        Some(Self { kind, secret, span })
    }
}

fn header_name(cursor: &Cursor<'_>) -> Option<HeaderName> {
    let text = cursor.string()?;
    let name = HeaderName::from_bytes(text.as_bytes()).ok().filter(|name| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        name.as_str().bytes().all(allowed) && !NOT_CREDENTIALS.contains(&name.as_str()) && !name.as_str().starts_with("portcullis-")
    });
    if name.is_none() {
        cursor.error_hint(
            format!("`{text}` cannot carry a credential"),
            "write the name of one header, such as `X-Api-Key` or `Authorization`",
        );
    }
    name
}
