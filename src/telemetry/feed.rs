//! How a gateway's copy of the store is doing. Written by the thread that follows the feed, read by the metrics page.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use super::counters::{Counter, DURATION_BOUNDS, Histogram};
use crate::types::{Revision, Timestamp};

/// The copy's state. Only the thread that follows the feed may write.
#[derive(Debug)]
pub struct FeedStatus {
    loaded: AtomicBool,
    epoch: AtomicU64,
    sequence: AtomicU64,
    checksum: Mutex<Option<(Revision, String)>>,
    head: AtomicU64,
    last_contact_ms: AtomicI64,
    connected: AtomicBool,
    /// Answers refused because they would have gone back.
    pub refused_steps: Counter,
    /// Connections that ended, or could not be made.
    pub reconnects: Counter,
    /// Whole states put in force from the feed.
    pub snapshots: Counter,
    /// Commits put in force.
    pub commits: Counter,
    /// Records that could not be read, each time one came.
    pub unreadable: Counter,
    /// States whose digest was not the one the control plane told.
    pub digest_mismatches: Counter,
    /// Disk copies refused at start, or given up because they could not be written.
    pub disk_copy_failures: Counter,
    /// From a commit to its being in force here, by both clocks.
    pub latency: Histogram,
}

impl Default for FeedStatus {
    fn default() -> Self {
        Self {
            loaded: AtomicBool::default(),
            epoch: AtomicU64::default(),
            sequence: AtomicU64::default(),
            checksum: Mutex::default(),
            head: AtomicU64::default(),
            last_contact_ms: AtomicI64::new(i64::MIN),
            connected: AtomicBool::default(),
            refused_steps: Counter::default(),
            reconnects: Counter::default(),
            snapshots: Counter::default(),
            commits: Counter::default(),
            unreadable: Counter::default(),
            digest_mismatches: Counter::default(),
            disk_copy_failures: Counter::default(),
            latency: Histogram::new(&DURATION_BOUNDS),
        }
    }
}

impl FeedStatus {
    /// A line came whose MAC fits.
    pub fn contact(&self, now: Timestamp) {
        self.last_contact_ms.store(now.milliseconds(), Relaxed);
    }

    /// The store says how far it is.
    pub fn announced(&self, head: u64) {
        self.head.store(head, Relaxed);
    }

    /// A state is in force; `digest` is that of its records.
    pub fn in_force(&self, epoch: u64, sequence: u64, digest: String) {
        *self.checksum.lock().unwrap_or_else(PoisonError::into_inner) = Some((Revision::Store { epoch, sequence }, digest));
        self.epoch.store(epoch, Relaxed);
        self.sequence.store(sequence, Relaxed);
        self.loaded.store(true, Relaxed);
        if sequence > self.head() {
            self.announced(sequence);
        }
    }

    /// Whether a stream is open.
    pub fn connected(&self, connected: bool) {
        self.connected.store(connected, Relaxed);
    }

    /// What is in force: `None` before anything is. The two halves may be of two moments while an epoch begins.
    #[must_use]
    pub fn revision(&self) -> Option<Revision> {
        let (epoch, sequence) = (self.epoch.load(Relaxed), self.sequence.load(Relaxed));
        self.loaded.load(Relaxed).then_some(Revision::Store { epoch, sequence })
    }

    /// What is in force, with the digest of its records: the store shows the same for the same state. Not for requests' ways.
    #[must_use]
    pub fn checksum(&self) -> Option<(Revision, String)> {
        self.checksum.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How far the store said it is.
    #[must_use]
    pub fn head(&self) -> u64 {
        self.head.load(Relaxed)
    }

    /// When the last true line came, if one did.
    #[must_use]
    pub fn last_contact(&self) -> Option<Timestamp> {
        Some(self.last_contact_ms.load(Relaxed)).filter(|ms| *ms != i64::MIN).map(Timestamp::from_milliseconds)
    }

    /// Whether a stream is open now.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.connected.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_told_with_the_revision_it_is_of() {
        let status = FeedStatus::default();
        assert_eq!(status.checksum(), None, "before anything is in force");
        status.in_force(3, 41, "0a".repeat(16));
        assert_eq!(status.checksum(), Some((Revision::Store { epoch: 3, sequence: 41 }, "0a".repeat(16))));
        assert_eq!(status.revision(), Some(Revision::Store { epoch: 3, sequence: 41 }));
    }
}
