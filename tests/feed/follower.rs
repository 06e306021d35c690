//! A gateway that keeps records as they are, and remembers everything it ever put in force.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use portcullis::gateway::system_time;
use portcullis::snapshot::wire::Digest;
use portcullis::snapshot::wire::frame::Change;
use portcullis::sync::copy::Copy;
use portcullis::sync::feed::{Feed, Options, Timing};
use portcullis::sync::follow::Follower;
use portcullis::telemetry::FeedStatus;
use portcullis::types::{Revision, SealingKey, SigningKey};

use crate::store::{Records, Store, digest, feed_key};

type Published = Vec<(Revision, Digest)>;

#[derive(Default)]
struct Plain {
    records: Records,
    published: Arc<Mutex<Published>>,
}

impl Follower for Plain {
    fn fresh(&self) -> Self {
        Self { records: Records::new(), published: Arc::clone(&self.published) }
    }

    fn apply(&mut self, changes: &[Change]) {
        for change in changes {
            match change.clone() {
                Change::Put { key, record } => drop(self.records.insert(key, record)),
                Change::Delete { key } => drop(self.records.remove(&key)),
            }
        }
    }

    fn digest(&self) -> Digest {
        digest(&self.records)
    }

    fn publish(&mut self, revision: Revision) -> Vec<String> {
        self.published.lock().unwrap().push((revision, self.digest()));
        Vec::new()
    }
}

/// The gateway.
pub(crate) struct Gateway {
    pub(crate) status: Arc<FeedStatus>,
    published: Arc<Mutex<Published>>,
    feed: Feed,
}

/// As in production, but for the times.
pub(crate) fn quick() -> Timing {
    let ms = Duration::from_millis;
    Timing { connect: ms(2_000), silence: ms(500), pause_min: ms(1), pause_max: ms(20) }
}

pub(crate) fn options(address: SocketAddr, key: SigningKey) -> Options {
    Options { address: address.to_string(), gateway: "edge-1".to_owned(), key, wall_clock: system_time, timing: quick() }
}

/// Waits for something that other threads do. The time is for machines that stand still.
#[expect(clippy::disallowed_methods, reason = "how long a test waits is no decision")]
pub(crate) fn wait(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !is_so() {
        assert!(Instant::now() < end, "it never came to this: {what}");
        std::thread::sleep(Duration::from_micros(200));
    }
}

impl Gateway {
    pub(crate) fn start(address: SocketAddr) -> Self {
        Self::with(options(address, feed_key()), None)
    }

    pub(crate) fn with_copy(address: SocketAddr, folder: &Path) -> Self {
        let key = SealingKey::from_text(&"0a".repeat(32)).unwrap();
        Self::with(options(address, feed_key()), Some(Copy::open(folder, &key, 2_000).unwrap()))
    }

    pub(crate) fn with(options: Options, copy: Option<Copy>) -> Self {
        let (plain, status) = (Plain::default(), Arc::new(FeedStatus::default()));
        let published = Arc::clone(&plain.published);
        Self { feed: Feed::start(options, plain, copy, Arc::clone(&status)).unwrap(), status, published }
    }

    pub(crate) fn published(&self) -> Published {
        self.published.lock().unwrap().clone()
    }

    /// Ends it; returns everything it ever put in force.
    pub(crate) fn stop(self) -> Published {
        let Self { published, feed, .. } = self;
        drop(feed);
        published.lock().unwrap().clone()
    }

    pub(crate) fn in_force(&self) -> Option<(Revision, Digest)> {
        self.published.lock().unwrap().last().copied()
    }

    /// Until what is in force is what the store has.
    pub(crate) fn wait_for(&self, store: &Store) {
        let expected = expected(store);
        wait(&format!("{expected:?}"), || self.in_force() == Some(expected));
    }

    /// Everything that was ever in force was a state of the store, and none came after a later one.
    pub(crate) fn check(&self, store: &Store) {
        let mut last = 0;
        for (revision, digest) in self.published() {
            let Revision::Store { epoch, sequence } = revision else { panic!("{revision}") };
            assert_eq!((epoch, Some(digest)), (store.epoch(), store.digest_of(sequence)), "{revision}");
            assert!(sequence > last, "{sequence} after {last}");
            last = sequence;
        }
    }
}

pub(crate) fn expected(store: &Store) -> (Revision, Digest) {
    let sequence = store.head();
    (Revision::Store { epoch: store.epoch(), sequence }, store.digest_of(sequence).unwrap())
}
