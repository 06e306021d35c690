//! A store in memory, and the feed's listener over it.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use portcullis::control::feed::{Committed, Counters, Feed, Options, Page, Source, Timing};
use portcullis::gateway::system_time;
use portcullis::snapshot::wire::Digest;
use portcullis::snapshot::wire::frame::{Change, Commit, End, Frame};
use portcullis::types::{Secret, SigningKey};
use tokio::sync::{mpsc, watch};

/// Records of a page.
const PAGE: usize = 100;

pub(crate) type Records = BTreeMap<String, String>;

pub(crate) fn digest(records: &Records) -> Digest {
    let mut digest = Digest::default();
    records.iter().for_each(|(key, record)| digest.add(Digest::of(key, record)));
    digest
}

pub(crate) fn feed_key() -> SigningKey {
    SigningKey::new(&Secret::new(*b"a feed key of the tests"))
}

pub(crate) fn put(key: &str, record: &str) -> Change {
    Change::Put { key: key.to_owned(), record: record.to_owned() }
}

pub(crate) fn delete(key: &str) -> Change {
    Change::Delete { key: key.to_owned() }
}

struct State {
    records: Records,
    sequence: u64,
    commits: BTreeMap<u64, String>,
    /// The digest of every state there was.
    history: BTreeMap<u64, Digest>,
    kept_from: u64,
}

/// The store.
#[derive(Clone)]
pub(crate) struct Store {
    epoch: u64,
    state: Arc<Mutex<State>>,
    head: Arc<watch::Sender<u64>>,
    pub(crate) snapshots_read: Arc<AtomicUsize>,
}

impl Store {
    /// A store of this epoch that starts at this sequence with these records.
    pub(crate) fn new(epoch: u64, sequence: u64, records: &[(&str, &str)]) -> Self {
        let records: Records = records.iter().map(|(key, record)| ((*key).to_owned(), (*record).to_owned())).collect();
        let history = BTreeMap::from([(sequence, digest(&records))]);
        let state = State { records, sequence, commits: BTreeMap::new(), history, kept_from: 0 };
        Self { epoch, state: Arc::new(Mutex::new(state)), head: Arc::new(watch::Sender::new(sequence)), snapshots_read: Arc::default() }
    }

    pub(crate) fn commit(&self, changes: Vec<Change>) -> u64 {
        self.commit_saying(changes, |digest| digest)
    }

    /// A commit that says another digest than the state has.
    pub(crate) fn commit_saying(&self, changes: Vec<Change>, say: impl Fn(Digest) -> Digest) -> u64 {
        let mut state = self.state.lock().unwrap();
        for change in changes.clone() {
            match change {
                Change::Put { key, record } => drop(state.records.insert(key, record)),
                Change::Delete { key } => drop(state.records.remove(&key)),
            }
        }
        state.sequence += 1;
        let (sequence, digest) = (state.sequence, digest(&state.records));
        let commit = Commit { sequence, time: system_time().milliseconds(), digest: say(digest), changes };
        state.commits.insert(sequence, Frame::Commit(commit).to_json());
        state.history.insert(sequence, digest);
        drop(state);
        self.head.send_replace(sequence);
        sequence
    }

    /// Keeps no change up to this one.
    pub(crate) fn forget(&self, sequence: u64) {
        self.state.lock().unwrap().kept_from = sequence;
    }

    pub(crate) fn epoch(&self) -> u64 {
        self.epoch
    }

    pub(crate) fn head(&self) -> u64 {
        *self.head.borrow()
    }

    pub(crate) fn digest_of(&self, sequence: u64) -> Option<Digest> {
        self.state.lock().unwrap().history.get(&sequence).copied()
    }
}

impl Source for Store {
    type Error = Infallible;

    fn epoch(&self) -> u64 {
        self.epoch
    }

    fn subscribe(&self) -> watch::Receiver<u64> {
        self.head.subscribe()
    }

    async fn digest_at(&self, sequence: u64) -> Result<Option<Digest>, Infallible> {
        let state = self.state.lock().unwrap();
        Ok(state.history.get(&sequence).copied().filter(|_| sequence >= state.kept_from))
    }

    async fn changes_after(&self, sequence: u64, limit: usize) -> Result<Vec<Committed>, Infallible> {
        let state = self.state.lock().unwrap();
        let from = sequence.max(state.kept_from) + 1;
        let commits = state.commits.range(from..).take(limit);
        Ok(commits.map(|(sequence, line)| Committed { sequence: *sequence, line: line.clone() }).collect())
    }

    async fn snapshot(&self, pages: mpsc::Sender<Page>) -> Result<End, Infallible> {
        self.snapshots_read.fetch_add(1, Ordering::SeqCst);
        let (records, sequence) = {
            let state = self.state.lock().unwrap();
            (state.records.clone(), state.sequence)
        };
        let all: Vec<_> = records.clone().into_iter().collect();
        for page in all.chunks(PAGE) {
            let _ = pages.send(page.to_vec()).await;
        }
        Ok(End { sequence, records: all.len() as u64, digest: digest(&records) })
    }
}

/// The feed's listener; it ends when this is dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) counters: Arc<Counters>,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

/// As in production, but for the times.
pub(crate) fn quick() -> Timing {
    Timing { heartbeat: Duration::from_millis(20), head: Duration::from_secs(5), write: Duration::from_secs(5) }
}

impl Server {
    pub(crate) fn start(store: &Store) -> Self {
        Self::with(store, quick())
    }

    pub(crate) fn with(store: &Store, timing: Timing) -> Self {
        let (stop, stopped) = watch::channel(false);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let spool_folder = std::env::temp_dir();
        let feed = Feed::new(store.clone(), Options { key: feed_key(), spool_folder, wall_clock: system_time, timing });
        let counters = Arc::clone(feed.counters());
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let thread = std::thread::spawn(move || runtime.block_on(feed.serve(listener, stopped)));
        Self { address, counters, stop, thread: Some(thread) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        let _ = self.thread.take().unwrap().join();
    }
}
