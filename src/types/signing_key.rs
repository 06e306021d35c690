//! A shared secret prepared for HMAC-SHA256 (RFC 2104, FIPS 198-1).

use std::fmt;

use aws_lc_rs::hmac;

use super::Secret;

/// A key for HMAC-SHA256 with its inner and outer state computed once.
#[derive(Clone)]
pub struct SigningKey(hmac::Key);

impl SigningKey {
    /// From the secret's bytes as they are (the vendor's secrets are used as text, wire-formats 1.2).
    #[must_use]
    pub fn new(secret: &Secret) -> Self {
        Self::of(secret.expose())
    }

    /// From a part of a secret's bytes.
    #[must_use]
    pub fn of(secret: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    /// The MAC over a message.
    #[must_use]
    pub fn mac(&self, message: &[u8]) -> [u8; 32] {
        let mut mac = [0; 32];
        mac.copy_from_slice(hmac::sign(&self.0, message).as_ref());
        mac
    }

    /// The MAC over a message that lies in several pieces.
    #[must_use]
    pub fn mac_of(&self, pieces: &[&[u8]]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.0);
        pieces.iter().for_each(|piece| context.update(piece));
        let mut mac = [0; 32];
        mac.copy_from_slice(context.sign().as_ref());
        mac
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("SigningKey(..)")
    }
}
