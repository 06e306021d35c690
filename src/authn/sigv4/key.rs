//! The secret of an access key as the schemes use it, and the keys derived from it.

use std::fmt;

use super::TERMINATOR;
use super::credential::Scope;
use crate::types::{Secret, SigningKey};

const PREFIX: &[u8] = b"AWS4";

/// The secret of an access key, ready for every scheme. The secret itself is not kept.
#[derive(Clone)]
pub struct Key {
    plain: SigningKey,
    /// Of `AWS4` and the secret: where the keys of days, regions and services are derived from.
    prefixed: SigningKey,
}

impl Key {
    /// From the secret's bytes as they are.
    #[must_use]
    pub fn new(secret: &Secret) -> Self {
        Self { plain: SigningKey::new(secret), prefixed: SigningKey::joined(&[PREFIX, secret.expose()]) }
    }

    /// What the vendor's own schemes sign with: the secret alone.
    #[must_use]
    pub const fn signing_key(&self) -> &SigningKey {
        &self.plain
    }

    /// Whether it is the same secret. Compares in constant time.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        self.prefixed.is(&other.prefixed)
    }

    /// Becomes the other secret, or stays what it is, in the same time.
    pub fn assign_if(&mut self, other: &Self, condition: bool) {
        self.plain.assign_if(&other.plain, condition);
        self.prefixed.assign_if(&other.prefixed, condition);
    }

    /// What signs in a scope: for a day, a region and a service.
    #[must_use]
    pub fn derive(&self, scope: &Scope<'_>) -> SigningKey {
        let parts = [scope.region(), scope.service(), TERMINATOR];
        parts.iter().fold(self.prefixed.derive(scope.day().as_bytes()), |key, part| key.derive(part.as_bytes()))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Key(..)")
    }
}
