//! The store: what the API shows, what the gateways need, what changed and who did it, in one database.
//!
//! There is one writer at a time. Every accepted write is one transaction and one revision; the tables of the API, the
//! records, the changes for the feed and the audit log go together or not at all. The SQL is the subset that SQLite and
//! PostgreSQL share, one file per group of tables; only `connection` names the driver.

pub(crate) mod connection;
mod history;
mod mirror;
mod schema;
pub(crate) mod select;
pub(crate) mod value;
mod write;

pub(crate) mod access_keys;
pub(crate) mod accounts;
pub(crate) mod audit;
pub(crate) mod authorship;
pub(crate) mod bindings;
pub(crate) mod definitions;
pub(crate) mod groups;
pub(crate) mod passcodes;
pub(crate) mod policies;
pub(crate) mod roles;
pub(crate) mod settings;
pub(crate) mod tags;
pub(crate) mod token_keys;
pub(crate) mod tokens;
pub(crate) mod users;

use std::fs::File;
use std::io;
use std::ops::{Deref, DerefMut};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use tokio::sync::watch;

use super::random::{self, NoRandom};
use crate::authn::token::SignError;
use crate::snapshot::Snapshot;
use crate::snapshot::wire::RecordKeyError;
use crate::types::sealed::NONCE_BYTES;
use crate::types::{Offering, Revision, SealError, SealingKey, Secret, Timestamp};
use connection::{Connection, Database, DatabaseError};
pub use history::{Position, StateReader, StoredRecord};
use mirror::Mirror;
pub(crate) use write::{Pending, Write};

/// What the database's file may be read and written by: its owner.
const FILE_MODE: u32 = 0o600;
/// What is sealed in the store to recognise the sealing key.
const SEAL_CHECK: &[u8] = b"portcullis store";

/// Why the store did not do what it was asked for. Never shows a value of a row.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file cannot be made or opened.
    #[error("the store `{0}`: {1}")]
    File(PathBuf, #[source] io::Error),
    /// Another process has it open.
    #[error("the store `{0}` is in use by another process")]
    InUse(PathBuf),
    /// A newer version wrote it.
    #[error("the store has schema {found}, this version knows schemas up to {known}")]
    Schema {
        /// The store's schema.
        found: u64,
        /// The newest one known here.
        known: u64,
    },
    /// It was made with another sealing key.
    #[error("the store was made with another sealing key")]
    SealingKey,
    /// It was made for another offering.
    #[error("the store is of offering `{0}`")]
    Offering(String),
    /// The database failed.
    #[error("the database failed: {0}")]
    Database(#[source] DatabaseError),
    /// A column holds something else than this version writes there.
    #[error("the database holds something else where {0} should stand")]
    Column(&'static str),
    /// A record that the gateways could not read; nothing was written.
    #[error("the record `{key}` would not be readable: {problem}")]
    Unreadable {
        /// Its key.
        key: String,
        /// The reader's complaint.
        problem: String,
    },
    /// More than a line of the feed holds.
    #[error("this changes too much at once; do it in parts")]
    TooMuch,
    /// A record under a key that is none.
    #[error(transparent)]
    Key(#[from] RecordKeyError),
    /// No nonce.
    #[error(transparent)]
    Random(#[from] NoRandom),
    /// A secret could not be sealed.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// A token could not be signed.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// The task that commits was lost, because the process ends.
    #[error("the write was cut off: the process ends")]
    CutOff,
}

impl StoreError {
    /// Whether something of this name exists already.
    pub(crate) fn is_duplicate(&self) -> bool {
        matches!(self, Self::Database(error) if error.is_duplicate())
    }
}

/// An open store; clones are the same store.
#[derive(Clone)]
pub struct Store(Arc<Shared>);

struct Shared {
    database: Database,
    epoch: u64,
    offering: Offering,
    sealing_key: Arc<SealingKey>,
    head: watch::Sender<u64>,
    mirror: Mirror,
    /// Whether a commit ended in an error, and may have landed all the same.
    mirror_is_doubtful: AtomicBool,
    /// Held as long as the store is open.
    _lock: File,
}

impl Store {
    /// Opens the store at `path`, or makes an empty one there, whose epoch is `now`.
    ///
    /// # Errors
    /// When the file cannot be used, is in use, is of a newer version, or was made with another sealing key or offering.
    pub async fn open(path: &Path, sealing_key: SealingKey, offering: Offering, now: Timestamp) -> Result<Self, StoreError> {
        let lock = lock(path)?;
        let in_file = |error| StoreError::File(path.to_owned(), error);
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(false).mode(FILE_MODE).open(path).map_err(in_file)?;
        let database = Database::open(path).await?;
        let (mut connection, turn) = database.write().await?;
        schema::migrate(&mut connection).await?;
        let nonce = random::bytes::<NONCE_BYTES>()?;
        let fresh = history::Origin {
            epoch: u64::try_from(now.milliseconds()).unwrap_or(0),
            offering: offering.as_str().to_owned(),
            seal_check: sealing_key.seal(&Secret::new(SEAL_CHECK), "store", nonce)?,
        };
        let origin = history::origin(&mut connection, &fresh).await?;
        let head = history::position(&mut connection).await?.head;
        connection.commit().await?;
        drop(turn);
        if origin.offering != fresh.offering {
            return Err(StoreError::Offering(origin.offering));
        }
        match sealing_key.open(&origin.seal_check, "store") {
            Ok(secret) if secret.expose() == SEAL_CHECK => {}
            Ok(_) | Err(_) => return Err(StoreError::SealingKey),
        }
        let (epoch, sealing_key) = (origin.epoch, Arc::new(sealing_key));
        let mut reader = StateReader(database.read().await?);
        let revision = Revision::Store { epoch, sequence: head };
        let mirror = Mirror::load(&mut reader, offering.clone(), Arc::clone(&sealing_key), revision).await?;
        drop(reader);
        Ok(Self(Arc::new(Shared {
            database,
            epoch,
            offering,
            sealing_key,
            head: watch::Sender::new(head),
            mirror,
            mirror_is_doubtful: AtomicBool::new(false),
            _lock: lock,
        })))
    }

    /// The store's epoch: when it was made, in milliseconds since 1970.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.0.epoch
    }

    /// The offering in SRNs.
    #[must_use]
    pub fn offering(&self) -> &Offering {
        &self.0.offering
    }

    /// The key that secrets are sealed with.
    pub(crate) fn sealing_key(&self) -> &SealingKey {
        &self.0.sealing_key
    }

    /// A sequence of this store as a revision.
    #[must_use]
    pub fn revision(&self, sequence: u64) -> Revision {
        Revision::Store { epoch: self.0.epoch, sequence }
    }

    /// The sequence of the last commit, now and whenever it changes.
    #[must_use]
    pub fn head(&self) -> watch::Receiver<u64> {
        self.0.head.subscribe()
    }

    /// Everybody and their rights after the last commit: inside a write, what the write starts from.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.0.mirror.snapshot()
    }

    /// Reads everybody and their rights again. The writer's turn is held.
    async fn mirror_anew(&self, head: u64) -> Result<(), StoreError> {
        let mut reader = self.state().await?;
        let Shared { offering, sealing_key, mirror, .. } = &*self.0;
        mirror.replace(Mirror::load(&mut reader, offering.clone(), Arc::clone(sealing_key), self.revision(head)).await?);
        self.0.head.send_replace(head);
        self.0.mirror_is_doubtful.store(false, Relaxed);
        Ok(())
    }

    /// A transaction that reads: one state, from its first statement on.
    ///
    /// # Errors
    /// When the database fails, or all connections stay busy.
    pub(crate) async fn read(&self) -> Result<Read, StoreError> {
        self.0.database.read().await.map(Read)
    }

    /// The transaction that writes. Waits for the one before; nothing lasts unless it is committed.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn write(&self) -> Result<Write, StoreError> {
        Write::begin(self.clone()).await
    }

    /// Closes the database; what is read or written afterwards fails.
    pub async fn close(&self) {
        self.0.database.close().await;
    }
}

/// A transaction that reads.
pub(crate) struct Read(Connection);

impl Deref for Read {
    type Target = Connection;
    fn deref(&self) -> &Connection {
        &self.0
    }
}

impl DerefMut for Read {
    fn deref_mut(&mut self) -> &mut Connection {
        &mut self.0
    }
}

/// The lock is a file beside the database: closing a second descriptor of the database itself would drop SQLite's own locks.
fn lock(path: &Path) -> Result<File, StoreError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let in_file = |error| StoreError::File(path.to_owned(), error);
    let file = File::options().read(true).write(true).create(true).truncate(false).mode(FILE_MODE).open(name).map_err(in_file)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(StoreError::InUse(path.to_owned())),
        Err(std::fs::TryLockError::Error(error)) => Err(in_file(error)),
    }
}
