//! `authentication`, `replay` and `rates`: how far time may be off, and what is remembered against those who try again and again.

use crate::source::{Cursor, Value};

/// How signatures are verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Authentication {
    /// How far a signature's timestamp may be off, in milliseconds.
    pub clock_skew_ms: u64,
    /// How many failures are answered in detail; `None` for all.
    pub failures: Option<FailureLimits>,
}

/// How many failed authentications are answered in detail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FailureLimits {
    /// From one address (of IPv6, from one /64) in a minute.
    pub address_per_minute: u32,
    /// With one key from one address in a minute.
    pub key_per_minute: u32,
}

impl Default for FailureLimits {
    fn default() -> Self {
        Self { address_per_minute: 300, key_per_minute: 60 }
    }
}

impl FailureLimits {
    /// `off`, or both numbers.
    fn decode(cursor: &Cursor<'_>) -> Option<Option<Self>> {
        if let Value::String(text) = &cursor.node().value
            && &**text == "off"
        {
            return Some(None);
        }
        let table = cursor.clone().advised("write `off`, or `{address: 300, key: 60}`").table()?;
        let absent = Self::default();
        let address = table.or("address", absent.address_per_minute, |value| number(&value, "failures"));
        let key = table.or("key", absent.key_per_minute, |value| number(&value, "failures"));
        table.finish()?;
        Some(Some(Self { address_per_minute: address?, key_per_minute: key? }))
    }
}

fn number(cursor: &Cursor<'_>, unit: &str) -> Option<u32> {
    cursor.integer(1..=1_000_000, unit).and_then(|number| u32::try_from(number).ok())
}

impl Default for Authentication {
    fn default() -> Self {
        Self { clock_skew_ms: 300_000, failures: Some(FailureLimits::default()) }
    }
}

impl Authentication {
    pub(super) fn decode(cursor: &Cursor<'_>) -> Option<Self> {
        let table = cursor.table()?;
        let skew = table.or("clock_skew_s", 300, |value| value.integer(1..=3_600, "seconds"));
        let failures = table.or("failures_per_minute", Some(FailureLimits::default()), |value| FailureLimits::decode(&value));
        table.finish()?;
        Some(Self { clock_skew_ms: skew? * 1_000, failures: failures? })
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

/// Into how many accounts' shares all claims are divided, unless it is written otherwise.
const SHARE: usize = 16;

impl ReplayLimits {
    pub(super) fn decode(cursor: &Cursor<'_>) -> Option<Self> {
        let table = cursor.table()?;
        let absent = Self::default();
        let number = |key: &'static str, absent: usize, least: u64| {
            table.or(key, absent, |value| value.integer(least..=100_000_000, "requests").and_then(|number| usize::try_from(number).ok()))
        };
        let claims_max = number("claims_max", absent.claims_max, 1_000);
        let most = claims_max.unwrap_or(absent.claims_max);
        let per_account = table.or("claims_per_account_max", absent.claims_per_account_max.min((most / SHARE).max(1)), |value| {
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

/// How many requests may be sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RequestRates {
    /// With one key; `None` for any number.
    pub key: Option<RequestRate>,
    /// By one account; `None` for any number.
    pub account: Option<RequestRate>,
}

/// A rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestRate {
    /// In a second.
    pub requests_per_s: u32,
    /// At once, after a pause.
    pub burst: u32,
}

impl RequestRates {
    pub(super) fn decode(cursor: &Cursor<'_>) -> Option<Self> {
        let table = cursor.table()?;
        let key = table.optional("key", |value| RequestRate::decode(&value));
        let account = table.optional("account", |value| RequestRate::decode(&value));
        table.finish()?;
        Some(Self { key: key?, account: account? })
    }
}

impl RequestRate {
    fn decode(cursor: &Cursor<'_>) -> Option<Self> {
        let table = cursor.clone().advised("write `{requests_per_s: 100}`, and `burst` beside it if more may come at once").table()?;
        let rate = table.required("requests_per_s", "write `requests_per_s: 100`", |value| number(&value, "requests"));
        let burst = table.or("burst", rate.unwrap_or(1), |value| number(&value, "requests"));
        table.finish()?;
        Some(Self { requests_per_s: rate?, burst: burst? })
    }
}
