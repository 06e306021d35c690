//! One gateway's stream: a whole state or nothing, then every change as it is committed, and a sign of life every second.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};
use tokio::time::{Interval, MissedTickBehavior, interval, timeout};

use super::spool::{CHUNK_BYTES, SpoolError, SpoolReader};
use super::{Feed, Source};
use crate::snapshot::wire::Frame;
use crate::snapshot::wire::channel::{Chain, Resume};
use crate::snapshot::wire::frame::{FORMAT, Hello, Mode};

/// Changes read from the store at once.
const CHANGES_PER_READ: usize = 64;

/// Why a stream ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum Ended {
    /// The reader has gone.
    #[error("the gateway has gone")]
    Gone,
    /// The reader takes nothing.
    #[error("the gateway took nothing for too long")]
    Stalled,
    /// The store has gone on without what this stream needs next: the gateway gets a whole state when it asks again.
    #[error("the changes after {0} are not kept any more")]
    Forgotten(u64),
    /// The store is closed.
    #[error("the store is closed")]
    Closed,
    /// The store failed.
    #[error("the store does not answer: {0}")]
    Store(String),
    /// A whole state could not be kept.
    #[error(transparent)]
    Spool(#[from] SpoolError),
}

/// A stream before its first line.
pub(super) struct Stream<S: Source> {
    feed: Arc<Feed<S>>,
    heads: watch::Receiver<u64>,
    heartbeat: Interval,
    out: Out,
    _room: OwnedSemaphorePermit,
}

/// Where lines go.
struct Out {
    chain: Chain,
    pieces: mpsc::Sender<Bytes>,
    waiting: Vec<u8>,
    write: std::time::Duration,
}

impl Out {
    /// Takes a line; goes on when there is room for more.
    async fn line(&mut self, json: &str) -> Result<(), Ended> {
        self.chain.seal(json, &mut self.waiting);
        if self.waiting.len() >= CHUNK_BYTES { self.flush().await } else { Ok(()) }
    }

    async fn frame(&mut self, frame: &Frame) -> Result<(), Ended> {
        self.line(&frame.to_json()).await?;
        self.flush().await
    }

    async fn flush(&mut self) -> Result<(), Ended> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let piece = Bytes::from(std::mem::take(&mut self.waiting));
        match timeout(self.write, self.pieces.send(piece)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Ended::Gone),
            Err(_) => Err(Ended::Stalled),
        }
    }
}

impl<S: Source> Stream<S> {
    pub(super) fn new(feed: Arc<Feed<S>>, chain: Chain, pieces: mpsc::Sender<Bytes>, room: OwnedSemaphorePermit) -> Self {
        let mut heartbeat = interval(feed.timing.heartbeat);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let out = Out { chain, pieces, waiting: Vec::new(), write: feed.timing.write };
        Self { heads: feed.source.subscribe(), heartbeat, out, _room: room, feed }
    }

    /// Runs until something ends it.
    pub(super) async fn run(mut self, resume: Option<Resume>) -> Ended {
        let counters = Arc::clone(&self.feed.counters);
        counters.streams.fetch_add(1, Relaxed);
        counters.started.fetch_add(1, Relaxed);
        let ended = match self.begin(resume).await {
            Ok(sequence) => self.follow(sequence).await,
            Err(ended) => ended,
        };
        counters.streams.fetch_sub(1, Relaxed);
        ended
    }

    /// Says hello, and everything when that is what the gateway needs. Returns the sequence it is at then.
    async fn begin(&mut self, resume: Option<Resume>) -> Result<u64, Ended> {
        let feed = Arc::clone(&self.feed);
        let (epoch, head) = (feed.source.epoch(), *self.heads.borrow());
        let known = match resume.filter(|resume| resume.point.epoch == epoch) {
            Some(resume) => {
                let digest = feed.source.digest_at(resume.point.sequence).await.map_err(|error| Ended::Store(error.to_string()))?;
                digest.filter(|digest| *digest == resume.digest).map(|_| resume.point.sequence)
            }
            None => None,
        };
        // A commit can be read from the store a moment before it is announced.
        let head = head.max(known.unwrap_or(0));
        let mode = if known.is_some() { Mode::Changes } else { Mode::Snapshot };
        self.out.frame(&Frame::Hello(Hello { format: FORMAT, epoch, head, mode })).await?;
        match known {
            Some(sequence) => Ok(sequence),
            None => self.everything(&feed, head).await,
        }
    }

    async fn everything(&mut self, feed: &Feed<S>, head: u64) -> Result<u64, Ended> {
        feed.counters.snapshots.fetch_add(1, Relaxed);
        let spool = {
            let mut filled = pin!(feed.spools.get(&feed.source, head));
            loop {
                tokio::select! {
                    spool = &mut filled => break spool?,
                    () = self.out.pieces.closed() => return Err(Ended::Gone),
                    _ = self.heartbeat.tick() => self.out.frame(&head_now(&self.heads, 0)).await?,
                }
            }
        };
        let end = spool.end;
        let mut reader = SpoolReader::new(spool);
        loop {
            let lines = reader.next().await?;
            if lines.is_empty() {
                break;
            }
            for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
                self.out.line(std::str::from_utf8(line).unwrap_or_default()).await?;
            }
            self.out.flush().await?;
        }
        self.out.frame(&Frame::End(end)).await?;
        Ok(end.sequence)
    }

    async fn follow(&mut self, mut sequence: u64) -> Ended {
        loop {
            let ended = match self.catch_up(&mut sequence).await {
                Err(ended) => ended,
                Ok(()) => tokio::select! {
                    changed = self.heads.changed() => match changed {
                        Ok(()) => continue,
                        Err(_) => Ended::Closed,
                    },
                    _ = self.heartbeat.tick() => match self.out.frame(&head_now(&self.heads, sequence)).await {
                        Ok(()) => continue,
                        Err(ended) => ended,
                    },
                    () = self.out.pieces.closed() => Ended::Gone,
                },
            };
            return ended;
        }
    }

    /// Sends what was committed after `sequence`, until there is nothing more.
    async fn catch_up(&mut self, sequence: &mut u64) -> Result<(), Ended> {
        while *sequence < *self.heads.borrow_and_update() {
            let read = self.feed.source.changes_after(*sequence, CHANGES_PER_READ).await;
            let commits = read.map_err(|error| Ended::Store(error.to_string()))?;
            if commits.first().is_none_or(|first| first.sequence != *sequence + 1) {
                return Err(Ended::Forgotten(*sequence));
            }
            for commit in commits {
                self.out.line(&commit.line).await?;
                *sequence = commit.sequence;
            }
            self.out.flush().await?;
        }
        Ok(())
    }
}

/// How far the store is: `sent` may be read from it a moment before it is announced.
fn head_now(heads: &watch::Receiver<u64>, sent: u64) -> Frame {
    Frame::Head((*heads.borrow()).max(sent))
}
