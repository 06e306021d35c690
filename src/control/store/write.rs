//! The one transaction that writes, and its commit: checked records, their digest, the change for the feed, the audit log.

use std::collections::HashSet;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::Ordering::Relaxed;

use super::audit::{self, Entry};
use super::connection::{Connection, Turn};
use super::history::{self, Position};
use super::{Store, StoreError};
use crate::snapshot::wire::channel::LINE_BYTES_MAX;
use crate::snapshot::wire::frame::Commit;
use crate::snapshot::wire::{Change, Digest, Frame, Record, RecordKey, read_json};
use crate::types::{Revision, Timestamp};

/// How many commits are kept for readers that fell behind; one that is further behind gets a snapshot.
pub(super) const CHANGES_KEPT: u64 = 100_000;
/// Most bytes of a commit as the feed carries it, which adds a little to each line.
const COMMIT_BYTES_MAX: usize = LINE_BYTES_MAX - 1_024;

/// A change to a record that the commit will make.
#[derive(Debug, Clone)]
pub(crate) enum Pending {
    /// The record is to be this.
    Put(Record),
    /// The record is to go.
    Delete(RecordKey),
}

/// The transaction that writes. Dropping it leaves everything as it was.
pub(crate) struct Write {
    store: Store,
    connection: Connection,
    turn: Turn,
    before: Position,
    pending: Vec<Pending>,
    audit: Vec<Entry>,
}

impl Deref for Write {
    type Target = Connection;
    fn deref(&self) -> &Connection {
        &self.connection
    }
}

impl DerefMut for Write {
    fn deref_mut(&mut self) -> &mut Connection {
        &mut self.connection
    }
}

impl Write {
    pub(super) async fn begin(store: Store) -> Result<Self, StoreError> {
        let (mut connection, turn) = store.0.database.write().await?;
        let before = history::position(&mut connection).await?;
        if store.0.mirror_is_doubtful.load(Relaxed) {
            store.mirror_anew(before.head).await?;
        }
        Ok(Self { store, connection, turn, before, pending: Vec::new(), audit: Vec::new() })
    }

    /// The store.
    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// The sequence that the commit will have: for the `revision` of the rows it changes.
    pub(crate) fn sequence(&self) -> u64 {
        self.before.head.saturating_add(1)
    }

    /// The record is to be this.
    pub(crate) fn put(&mut self, record: Record) {
        self.pending.push(Pending::Put(record));
    }

    /// The record is to go. One that is not there is no error.
    pub(crate) fn delete(&mut self, key: RecordKey) {
        self.pending.push(Pending::Delete(key));
    }

    /// Whether there was such a record before this write.
    pub(crate) async fn was_there(&mut self, key: &RecordKey) -> Result<bool, StoreError> {
        let sql = "SELECT record_key FROM records WHERE record_key = $1";
        Ok(self.connection.first(sql, &[key.to_string().into()]).await?.is_some())
    }

    /// What the commit will change, in order.
    pub(crate) fn pending(&self) -> &[Pending] {
        &self.pending
    }

    /// An entry of the audit log.
    pub(crate) fn audit(&mut self, entry: Entry) {
        self.audit.push(entry);
    }

    /// Makes all of it last, as the next revision, and tells who listens.
    ///
    /// # Errors
    /// When a record would not be readable, it is too much at once, or the database fails; then nothing of it was written.
    pub(crate) async fn commit(mut self, now: Timestamp) -> Result<Revision, StoreError> {
        let sequence = self.sequence();
        let (changes, after) = self.apply(sequence).await?;
        let commit = Commit { sequence, time: now.milliseconds(), digest: after.digest, changes };
        let line = Frame::Commit(commit.clone()).to_json();
        if line.len() > COMMIT_BYTES_MAX {
            return Err(StoreError::TooMuch);
        }
        let connection = &mut self.connection;
        let sql = "INSERT INTO changes (revision, committed_at, digest, body) VALUES ($1, $2, $3, $4)";
        connection.execute(sql, &[sequence.into(), now.into(), after.digest.to_string().into(), line.into()]).await?;
        let oldest = sequence.saturating_sub(CHANGES_KEPT);
        connection.execute("DELETE FROM changes WHERE revision <= $1", &[oldest.into()]).await?;
        for (number, entry) in (0..).zip(&self.audit) {
            audit::insert(connection, sequence, number, entry, now).await?;
        }
        let sql = "UPDATE meta SET head = $1, digest = $2, records = $3";
        connection.execute(sql, &[sequence.into(), after.digest.to_string().into(), after.records.into()]).await?;
        let Self { store, connection, turn, .. } = self;
        let revision = store.revision(sequence);
        // In a task of its own: a caller that goes away in the middle must not leave a commit that nobody was told of.
        let committing = tokio::spawn(async move {
            // An error may come after all was written: until it is known, nothing is judged by the mirror.
            store.0.mirror_is_doubtful.store(true, Relaxed);
            connection.commit().await?;
            store.0.mirror_is_doubtful.store(false, Relaxed);
            store.0.mirror.follow(&commit, revision);
            store.0.head.send_replace(sequence);
            drop(turn);
            Ok::<_, StoreError>(())
        });
        committing.await.map_err(|_| StoreError::CutOff)??;
        Ok(revision)
    }

    /// Brings the records up to date: the changes that the commit makes, the last one of each key, and where the store is after.
    async fn apply(&mut self, sequence: u64) -> Result<(Vec<Change>, Position), StoreError> {
        let mut seen = HashSet::new();
        let mut last: Vec<Change> = Vec::new();
        for pending in self.pending.iter().rev() {
            let change = checked(pending)?;
            if seen.insert(change.key().to_owned()) {
                last.push(change);
            }
        }
        last.reverse();
        let mut after = Position { head: sequence, ..self.before };
        let mut made = Vec::with_capacity(last.len());
        for change in last {
            if self.apply_one(&change, sequence, &mut after).await? {
                made.push(change);
            }
        }
        Ok((made, after))
    }

    /// Whether the change changed anything.
    async fn apply_one(&mut self, change: &Change, sequence: u64, after: &mut Position) -> Result<bool, StoreError> {
        let key = change.key();
        let old = self.connection.first("SELECT body FROM records WHERE record_key = $1", &[key.into()]).await?;
        let old = old.map(|mut row| row.text()).transpose()?;
        let new = match change {
            Change::Put { record, .. } => Some(record),
            Change::Delete { .. } => None,
        };
        if old.as_ref() == new {
            return Ok(false);
        }
        if let Some(old) = old {
            after.digest.remove(Digest::of(key, &old));
            after.records = after.records.saturating_sub(1);
            self.connection.execute("DELETE FROM records WHERE record_key = $1", &[key.into()]).await?;
        }
        if let Some(new) = new {
            after.digest.add(Digest::of(key, new));
            after.records = after.records.saturating_add(1);
            let sql = "INSERT INTO records (record_key, body, revision) VALUES ($1, $2, $3)";
            self.connection.execute(sql, &[key.into(), new.into(), sequence.into()]).await?;
        }
        Ok(true)
    }
}

/// A change as it travels. What a gateway's own parser would not read back as the same record is refused here.
fn checked(pending: &Pending) -> Result<Change, StoreError> {
    match pending {
        Pending::Delete(key) => Ok(Change::Delete { key: key.to_string() }),
        Pending::Put(record) => {
            let (key, body) = (record.key().to_string(), record.to_json());
            match read_json(&body) {
                Ok(read) if read.to_json() == body && read.key().to_string() == key => Ok(Change::Put { key, record: body }),
                Ok(_) => Err(StoreError::Unreadable { key, problem: "it reads back as another record".to_owned() }),
                Err(problem) => Err(StoreError::Unreadable { key, problem }),
            }
        }
    }
}
