//! Signing as a client does: the headers of a dialect, and the string that they sign.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{Dialect, Field, Malformed, Signed, parts, scope_of};
use crate::types::{AccessKeyId, SigningKey, Timestamp};

/// How a client signs, whatever it sends.
#[derive(Debug, Clone, Copy)]
pub struct Client<'a> {
    dialect: Dialect,
    access_key: AccessKeyId,
    scope: &'a str,
}

impl<'a> Client<'a> {
    /// A client that names an account or a project, or nothing where `scope` is empty.
    ///
    /// # Errors
    /// When no gateway would take such a scope.
    pub fn new(dialect: Dialect, access_key: AccessKeyId, scope: &'a str) -> Result<Self, Malformed> {
        scope_of(dialect, scope.as_bytes())?;
        if dialect == Dialect::SecretVault && !scope.is_empty() {
            return Err(Malformed { name: dialect.names(), fault: "has no scope" });
        }
        Ok(Self { dialect, access_key, scope })
    }

    /// The string that is signed. It holds no secret.
    #[must_use]
    pub fn string(&self, signed: &Signed<'_>, signed_at: Timestamp) -> Vec<u8> {
        let timestamp = signed_at.milliseconds().to_string();
        parts(signed, timestamp.as_bytes(), self.access_key.to_text().as_str(), self.scope.as_bytes(), self.dialect).concat()
    }

    /// The headers that sign a request.
    #[must_use]
    pub fn headers(&self, key: &SigningKey, signed: &Signed<'_>, signed_at: Timestamp) -> Vec<(&'static str, String)> {
        let scope = Some((Field::Scope, self.scope.to_owned())).filter(|(_, scope)| !scope.is_empty());
        let signature = STANDARD.encode(key.mac(&self.string(signed, signed_at)));
        let fields = [
            (Field::AccessKey, self.access_key.to_string()),
            (Field::Timestamp, signed_at.milliseconds().to_string()),
            (Field::ClientType, self.dialect.client_type().to_owned()),
            (Field::Signature, signature),
        ];
        fields.into_iter().chain(scope).map(|(field, value)| (self.dialect.name(field), value)).collect()
    }
}
