//! The checksum of a whole state: the same for the same records, whatever the order in which they came.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest::{Context, SHA256};

/// The wrapping sum, in two halves of 64 bits, of the first 16 bytes of SHA-256 over `key LF record` of every record.
///
/// It finds what a fault leaves out, doubles or mixes; whoever may write records needs no such trick.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Digest([u64; 2]);

/// A text that is no digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a digest is 32 hexadecimal digits")]
pub struct DigestError;

impl Digest {
    /// The digest of one record, from its key and its JSON text.
    #[must_use]
    pub fn of(key: &str, record: &str) -> Self {
        let mut context = Context::new(&SHA256);
        for part in [key, "\n", record] {
            context.update(part.as_bytes());
        }
        let hash = context.finish();
        let mut halves = hash.as_ref().chunks_exact(8).map(|half| u64::from_le_bytes(half.try_into().unwrap_or_default()));
        Self([halves.next().unwrap_or_default(), halves.next().unwrap_or_default()])
    }

    /// Both halves.
    #[must_use]
    pub(in crate::snapshot) fn number(self) -> u128 {
        let Self([low, high]) = self;
        u128::from(low) << 64 | u128::from(high)
    }

    /// Counts a record in.
    pub fn add(&mut self, record: Self) {
        let (Self([low, high]), Self([more_low, more_high])) = (*self, record);
        *self = Self([low.wrapping_add(more_low), high.wrapping_add(more_high)]);
    }

    /// Counts a record out.
    pub fn remove(&mut self, record: Self) {
        let (Self([low, high]), Self([less_low, less_high])) = (*self, record);
        *self = Self([low.wrapping_sub(less_low), high.wrapping_sub(less_high)]);
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self([low, high]) = self;
        write!(out, "{low:016x}{high:016x}")
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        let half = |range: std::ops::Range<usize>| text.get(range).and_then(|half| u64::from_str_radix(half, 16).ok());
        let parsed = half(0..16).zip(half(16..32)).map(|(low, high)| Self([low, high]));
        parsed.filter(|digest| digest.to_string() == text).ok_or(DigestError)
    }
}
