//! What the feed asks of a store.

use std::fmt;

use tokio::sync::{mpsc, watch};

use crate::snapshot::wire::Digest;
use crate::snapshot::wire::frame::End;

/// Records with their keys, as the wire writes both.
pub type Page = Vec<(String, String)>;

/// A committed write, as it is fed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// Its sequence.
    pub sequence: u64,
    /// `Frame::Commit` as JSON, at most `channel::LINE_BYTES_MAX` minus its MAC: the store must refuse a larger write.
    pub line: String,
}

/// A store, as far as the feed knows one.
///
/// A future that is dropped must leave nothing locked: streams end at any time.
pub trait Source: Send + Sync + 'static {
    /// Why the store does not answer.
    type Error: fmt::Display + Send;

    /// The store's epoch. It does not change while the process runs.
    fn epoch(&self) -> u64;

    /// The sequence of the last commit. Told only after it is committed.
    fn subscribe(&self) -> watch::Receiver<u64>;

    /// The digest of the state at `sequence`; `None` when that is not known any more, or not yet. When it is known, all
    /// changes after it are.
    fn digest_at(&self, sequence: u64) -> impl Future<Output = Result<Option<Digest>, Self::Error>> + Send;

    /// The first `limit` commits after `sequence`, in order and without a gap; none when the next one is not kept any more.
    fn changes_after(&self, sequence: u64, limit: usize) -> impl Future<Output = Result<Vec<Committed>, Self::Error>> + Send;

    /// Sends every record, in pages of some hundred, all of one sequence, and says which. It may use one read transaction:
    /// pages are taken as fast as the local disk takes them. A closed channel means that nobody wants them any more.
    fn snapshot(&self, pages: mpsc::Sender<Page>) -> impl Future<Output = Result<End, Self::Error>> + Send;
}
