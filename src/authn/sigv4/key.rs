//! The secret of an access key as the schemes use it, and the keys derived from it.

use std::fmt;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use zeroize::Zeroizing;

use super::TERMINATOR;
use super::credential::Scope;
use crate::types::{Secret, SigningKey};

const PREFIX: &[u8] = b"AWS4";

/// `AWS4` and the secret: where the keys of days, regions and services are derived from.
///
/// Kept as it is and not prepared for HMAC, which would take a kilobyte more for each of a million access keys, and saves 0.2 us.
#[derive(Clone)]
pub struct Key(Secret);

impl Key {
    /// From the secret's bytes as they are.
    #[must_use]
    pub fn new(secret: &Secret) -> Self {
        let secret = secret.expose();
        // Of exactly the size that it needs: growing would leave copies behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(PREFIX.len() + secret.len()));
        bytes.extend_from_slice(PREFIX);
        bytes.extend_from_slice(secret);
        Self(Secret::new(std::mem::take(&mut *bytes)))
    }

    /// The secret alone, ready for HMAC: what the vendor's own schemes sign with.
    #[must_use]
    pub fn signing_key(&self) -> SigningKey {
        let secret = self.0.expose();
        SigningKey::of(secret.strip_prefix(PREFIX).unwrap_or(secret))
    }

    /// Whether it is the same secret. Compares in constant time.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        verify_slices_are_equal(self.0.expose(), other.0.expose()).is_ok()
    }

    /// The key of a scope: of a day, a region and a service. Five keys are prepared for it, 4 us.
    #[must_use]
    pub fn derive(&self, scope: &Scope<'_>) -> Derived {
        let mut bytes = Zeroizing::new(SigningKey::new(&self.0).mac(scope.day().as_bytes()));
        for part in [scope.region(), scope.service(), TERMINATOR] {
            bytes = Zeroizing::new(SigningKey::of(bytes.as_slice()).mac(part.as_bytes()));
        }
        Derived { from: self.clone(), scope: scope.whole().into(), bytes: Secret::new(bytes.as_slice()) }
    }
}

/// The key of one scope, and what it was derived from.
pub struct Derived {
    from: Key,
    scope: Box<str>,
    bytes: Secret,
}

impl Derived {
    /// Whether it is what this key has for this scope.
    #[must_use]
    pub fn is_of(&self, key: &Key, scope: &Scope<'_>) -> bool {
        self.is_for(scope) && self.from.is(key)
    }

    /// What signs in this scope.
    pub(super) fn signing_key(&self) -> SigningKey {
        SigningKey::new(&self.bytes)
    }

    fn is_for(&self, scope: &Scope<'_>) -> bool {
        *self.scope == *scope.whole()
    }

    /// Whether `signature` is the one of a string in this scope. Compares in constant time.
    pub(super) fn verifies(&self, scope: &Scope<'_>, string_to_sign: &[u8], signature: &[u8; 32]) -> bool {
        let mac = self.signing_key().mac(string_to_sign);
        verify_slices_are_equal(&mac, signature).is_ok() && self.is_for(scope)
    }
}

impl fmt::Debug for Derived {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Derived(.. for {})", self.scope)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Key(..)")
    }
}
