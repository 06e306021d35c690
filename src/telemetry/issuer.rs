//! How the keys of identity providers are doing. Written by the thread that fetches them, read by the metrics page.

use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

use super::counters::Counter;
use crate::types::Timestamp;

/// One provider. Only the thread that fetches may write.
#[derive(Debug, Default)]
pub struct IssuerStatus {
    /// Its `iss`, from configuration.
    pub issuer: String,
    /// Sets of keys that came and can be used.
    pub fetched: Counter,
    /// Fetches that brought nothing.
    pub failed: Counter,
    fetched_ms: AtomicI64,
}

impl IssuerStatus {
    /// Nothing came yet.
    #[must_use]
    pub fn new(issuer: String) -> Self {
        Self { issuer, ..Self::default() }
    }

    /// A set of keys came.
    pub fn came(&self, now: Timestamp) {
        self.fetched.add(1);
        self.fetched_ms.store(now.milliseconds(), Relaxed);
    }

    /// When the last one came, in milliseconds since 1970; 0 for never.
    #[must_use]
    pub fn last_ms(&self) -> i64 {
        self.fetched_ms.load(Relaxed)
    }
}
