//! Random things: ids, secrets, nonces. All from the operating system's generator, by way of aws-lc.

use zeroize::Zeroizing;

use crate::authn::token::SEED_BYTES;
use crate::types::Secret;

/// The operating system gave no random bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the operating system gives no random bytes")]
pub struct NoRandom;

/// Random bytes, for an id (`UserId::from_bytes(bytes()?)`) or a nonce.
pub(crate) fn bytes<const N: usize>() -> Result<[u8; N], NoRandom> {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| NoRandom)?;
    Ok(bytes)
}

/// What a new key that signs tokens is made of.
pub(crate) fn token_seed() -> Result<Secret, NoRandom> {
    let mut seed = Zeroizing::new([0; SEED_BYTES]);
    aws_lc_rs::rand::fill(seed.as_mut_slice()).map_err(|_| NoRandom)?;
    Ok(Secret::new(seed.as_slice()))
}

/// A passcode of so many random digits, each as likely as any other.
pub(crate) fn digits<const N: usize>() -> Result<Secret, NoRandom> {
    let mut text = Zeroizing::new([b'0'; N]);
    for digit in text.iter_mut() {
        *digit = loop {
            let [byte] = bytes()?;
            // 250 is the largest multiple of ten that a byte holds.
            if byte < 250 {
                break b'0' + byte % 10;
            }
        };
    }
    Ok(Secret::new(text.as_slice()))
}

/// A new secret of an access key: 122 random bits in the form of a UUID (wire-formats 1.2).
pub(crate) fn secret() -> Result<Secret, NoRandom> {
    let mut drawn = Zeroizing::new([0; 16]);
    aws_lc_rs::rand::fill(drawn.as_mut_slice()).map_err(|_| NoRandom)?;
    let mut text = Zeroizing::new([0; uuid::fmt::Hyphenated::LENGTH]);
    uuid::Builder::from_random_bytes(*drawn).into_uuid().hyphenated().encode_lower(text.as_mut_slice());
    Ok(Secret::new(text.as_slice()))
}
