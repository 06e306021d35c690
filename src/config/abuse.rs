//! `authentication` and `replay`: how far time may be off, and what is remembered against those who try again.

use crate::source::Cursor;

/// How signatures are verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Authentication {
    /// How far a signature's timestamp may be off, in milliseconds.
    pub clock_skew_ms: u64,
}

impl Default for Authentication {
    fn default() -> Self {
        Self { clock_skew_ms: 300_000 }
    }
}

impl Authentication {
    pub(super) fn decode(cursor: &Cursor<'_>) -> Option<Self> {
        let table = cursor.table()?;
        let skew = table.or("clock_skew_s", 300, |value| value.integer(1..=3_600, "seconds"));
        table.finish()?;
        Some(Self { clock_skew_ms: skew? * 1_000 })
    }
}

/// How much is remembered of what was accepted and must not be accepted again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplayLimits {
    /// Most requests of one account.
    pub claims_per_account_max: usize,
    /// Most requests of all accounts.
    pub claims_max: usize,
}

impl Default for ReplayLimits {
    fn default() -> Self {
        Self { claims_per_account_max: 250_000, claims_max: 4_000_000 }
    }
}

impl ReplayLimits {
    pub(super) fn decode(cursor: &Cursor<'_>) -> Option<Self> {
        let table = cursor.table()?;
        let absent = Self::default();
        let number = |key: &'static str, absent: usize, least: u64| {
            table.or(key, absent, |value| value.integer(least..=100_000_000, "requests").and_then(|number| usize::try_from(number).ok()))
        };
        let claims_max = number("claims_max", absent.claims_max, 1_000);
        let most = claims_max.unwrap_or(absent.claims_max);
        let per_account = table.or("claims_per_account_max", absent.claims_per_account_max.min(most), |value| {
            let number = value.integer(1..=100_000_000, "requests").and_then(|number| usize::try_from(number).ok())?;
            if number > most {
                value.error_hint(format!("one account may have {number} of {most} in all"), "write less than `claims_max`, or raise that");
                return None;
            }
            Some(number)
        });
        table.finish()?;
        Some(Self { claims_per_account_max: per_account?, claims_max: claims_max? })
    }
}
