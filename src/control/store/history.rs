//! Where the store stands, its records, and the changes that led there: what the feed reads.

use super::Store;
use super::StoreError;
use super::connection::Connection;
use super::value::Row;
use super::write::CHANGES_KEPT;
use crate::snapshot::wire::Digest;
use crate::types::Timestamp;

/// Where a store stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The sequence of the last commit; 0 in an empty store.
    pub head: u64,
    /// The digest of all records.
    pub digest: Digest,
    /// How many records there are.
    pub records: u64,
}

/// A record as it is stored and travels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRecord {
    /// Its key.
    pub key: String,
    /// Its JSON text, one line.
    pub body: String,
}

/// What a store was made with.
#[derive(Debug)]
pub(super) struct Origin {
    pub(super) epoch: u64,
    pub(super) offering: String,
    pub(super) seal_check: String,
}

/// What the store was made with; `fresh` if it is made now.
pub(super) async fn origin(connection: &mut Connection, fresh: &Origin) -> Result<Origin, StoreError> {
    let sql = "INSERT INTO meta (id, epoch, head, digest, records, offering, seal_check) VALUES (1, $1, 0, $2, 0, $3, $4)
               ON CONFLICT (id) DO NOTHING";
    let digest = Digest::default().to_string().into();
    connection.execute(sql, &[fresh.epoch.into(), digest, (&fresh.offering).into(), (&fresh.seal_check).into()]).await?;
    let mut row = only(connection.first("SELECT epoch, offering, seal_check FROM meta", &[]).await?)?;
    Ok(Origin { epoch: row.count()?, offering: row.text()?, seal_check: row.text()? })
}

/// Where the store stands.
pub(super) async fn position(connection: &mut Connection) -> Result<Position, StoreError> {
    let mut row = only(connection.first("SELECT head, digest, records FROM meta", &[]).await?)?;
    Ok(Position { head: row.count()?, digest: row.parsed()?, records: row.count()? })
}

pub(super) fn only(row: Option<Row>) -> Result<Row, StoreError> {
    row.ok_or(StoreError::Column("a row"))
}

/// One state of the store, read page by page.
pub struct StateReader(pub(super) Connection);

impl StateReader {
    /// Where the store stands in this state.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn position(&mut self) -> Result<Position, StoreError> {
        position(&mut self.0).await
    }

    /// The next records in the order of their keys: at most `limit`, those after the key `after` (at first: the empty text).
    ///
    /// # Errors
    /// When the database fails.
    pub async fn snapshot_page(&mut self, after: &str, limit: u64) -> Result<Vec<StoredRecord>, StoreError> {
        let sql = "SELECT record_key, body FROM records WHERE record_key > $1 ORDER BY record_key LIMIT $2";
        let rows = self.0.query(sql, &[after.into(), limit.into()]).await?;
        rows.into_iter().map(|mut row| Ok(StoredRecord { key: row.text()?, body: row.text()? })).collect()
    }
}

impl Store {
    /// The present state, to be read page by page. It holds one of few connections: do not keep it longer than needed.
    ///
    /// # Errors
    /// When the database fails, or all connections stay busy.
    pub async fn state(&self) -> Result<StateReader, StoreError> {
        self.0.database.read().await.map(StateReader)
    }

    /// Begins a new epoch, after the store was restored from a backup: gateways take everything anew. It counts from the next opening on.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn begin_epoch(&self, now: Timestamp) -> Result<u64, StoreError> {
        let (mut connection, turn) = self.0.database.write().await?;
        let epoch = u64::try_from(now.milliseconds()).unwrap_or(0).max(self.0.epoch.saturating_add(1));
        connection.execute("UPDATE meta SET epoch = $1", &[epoch.into()]).await?;
        connection.commit().await?;
        drop(turn);
        Ok(epoch)
    }

    /// The commits after `sequence`, at most `limit`, each as its line for the feed; empty when there is none.
    /// `None` when the next one is not kept any more.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn changes_after(&self, sequence: u64, limit: u64) -> Result<Option<Vec<String>>, StoreError> {
        let mut read = self.read().await?;
        let sql = "SELECT revision, body FROM changes WHERE revision > $1 ORDER BY revision LIMIT $2";
        let (mut next, mut lines) = (sequence.saturating_add(1), Vec::new());
        for mut row in read.query(sql, &[sequence.into(), limit.into()]).await? {
            if row.count()? != next {
                return Ok(None);
            }
            lines.push(row.text()?);
            next = next.saturating_add(1);
        }
        Ok(Some(lines))
    }

    /// The digest of all records after the commit `sequence`; `None` when that is not known any more, or not yet.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn change_digest(&self, sequence: u64) -> Result<Option<Digest>, StoreError> {
        let mut read = self.read().await?;
        if sequence == 0 {
            let head = position(&mut read).await?.head;
            return Ok((head <= CHANGES_KEPT).then(Digest::default));
        }
        let row = read.first("SELECT digest FROM changes WHERE revision = $1", &[sequence.into()]).await?;
        row.map(|mut row| row.parsed()).transpose()
    }
}
