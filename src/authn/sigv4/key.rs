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

    /// Whether `signature` is the one of a string under the key of this scope. Compares in constant time.
    pub(super) fn verifies(&self, scope: &Scope<'_>, string_to_sign: &[u8], signature: &[u8; 32]) -> bool {
        let mut key = SigningKey::new(&self.0);
        for part in [scope.day(), scope.region(), scope.service(), TERMINATOR] {
            let derived = Zeroizing::new(key.mac(part.as_bytes()));
            key = SigningKey::new(&Secret::new(derived.as_slice()));
        }
        verify_slices_are_equal(&key.mac(string_to_sign), signature).is_ok()
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Key(..)")
    }
}
