//! The feed: every gateway's live copy of the store, on a listener of its own (contracts C8, C9).
//!
//! A slow reader costs little: a stream holds one piece on its way to the socket, the next one, and one page of changes.
//! A whole state is read from the store at once into a file that has no name, and sent from there, so that the store's
//! read transaction lasts as long as the local disk needs, never as long as a network does. Streams that start at about
//! the same time share the file.

mod body;
mod listener;
mod source;
mod spool;
mod stored;
mod stream;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::sync::Semaphore;

pub use source::{Committed, Page, Source};

use crate::types::{SigningKey, Timestamp};
use spool::Spools;

/// Most streams at once.
pub const STREAMS_MAX: usize = 256;

/// What the feed needs to run.
pub struct Options {
    /// The key that gateways sign with.
    pub key: SigningKey,
    /// Where whole states wait to be sent; beside the store. What is written there has no name.
    pub spool_folder: PathBuf,
    /// Where the time comes from.
    pub wall_clock: fn() -> Timestamp,
    /// How long things may take.
    pub timing: Timing,
}

/// How long things may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// Between two signs of life.
    pub heartbeat: Duration,
    /// Until a request's head must be there.
    pub head: Duration,
    /// Until a reader must have taken a piece; then its stream ends.
    pub write: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self { heartbeat: Duration::from_secs(1), head: Duration::from_secs(10), write: Duration::from_secs(30) }
    }
}

/// What the feed counts.
#[derive(Debug, Default)]
pub struct Counters {
    streams: AtomicU64,
    started: AtomicU64,
    snapshots: AtomicU64,
    unsigned: AtomicU64,
    stalled: AtomicU64,
}

impl Counters {
    /// Streams open now.
    #[must_use]
    pub fn streams(&self) -> u64 {
        self.streams.load(Relaxed)
    }

    /// Streams ever begun.
    #[must_use]
    pub fn started(&self) -> u64 {
        self.started.load(Relaxed)
    }

    /// Streams that began with a whole state.
    #[must_use]
    pub fn snapshots(&self) -> u64 {
        self.snapshots.load(Relaxed)
    }

    /// Requests without a true signature.
    #[must_use]
    pub fn unsigned(&self) -> u64 {
        self.unsigned.load(Relaxed)
    }

    /// Streams ended because their reader took nothing.
    #[must_use]
    pub fn stalled(&self) -> u64 {
        self.stalled.load(Relaxed)
    }
}

/// The feed over a store.
pub struct Feed<S> {
    source: S,
    key: SigningKey,
    wall_clock: fn() -> Timestamp,
    timing: Timing,
    spools: Spools,
    room: Arc<Semaphore>,
    counters: Arc<Counters>,
}

impl<S: Source> Feed<S> {
    /// Over `source`; [`Feed::serve`] opens it to gateways.
    #[must_use]
    pub fn new(source: S, options: Options) -> Arc<Self> {
        let Options { key, spool_folder, wall_clock, timing } = options;
        let (spools, room) = (Spools::new(spool_folder), Arc::new(Semaphore::new(STREAMS_MAX)));
        Arc::new(Self { source, key, wall_clock, timing, spools, room, counters: Arc::default() })
    }

    /// What it counts.
    #[must_use]
    pub fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }
}
