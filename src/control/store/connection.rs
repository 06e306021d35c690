//! The seam to the database: the only file that names its driver. Today SQLite; another database is another such file.
//!
//! A [`Connection`] is always inside a transaction: of a reader, which sees one state from its first statement on, or of the
//! one writer. Dropping it without [`Connection::commit`] rolls back.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteRow, SqliteSynchronous};
use sqlx::{AssertSqlSafe, Connection as _, Row as _, Sqlite, SqliteConnection, SqlitePool, Transaction, TypeInfo as _, ValueRef as _};
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::StoreError;
use super::select::Select;
use super::value::{Row, Value};

/// Connections for reading.
const READERS_MAX: u32 = 4;
/// How long a statement waits for a lock of another process, and a request for a connection.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the database said. Never shows values or statements.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct DatabaseError(#[from] sqlx::Error);

impl DatabaseError {
    /// Whether something with this name or key exists already.
    pub(crate) fn is_duplicate(&self) -> bool {
        self.0.as_database_error().is_some_and(sqlx::error::DatabaseError::is_unique_violation)
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(DatabaseError(error))
    }
}

/// An open database.
pub(super) struct Database {
    writer: Arc<Mutex<SqlitePool>>,
    readers: SqlitePool,
}

/// The right to write; one exists at a time.
pub(super) type Turn = OwnedMutexGuard<SqlitePool>;

impl Database {
    /// Opens the file, which must exist.
    pub(super) async fn open(path: &Path) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(PATIENCE);
        let pool = |connections: u32| {
            let options = SqlitePoolOptions::new().max_connections(connections).acquire_timeout(PATIENCE);
            options.test_before_acquire(false).max_lifetime(None).after_release(|connection, _| Box::pin(is_reusable(connection)))
        };
        let writer = pool(1).connect_with(options.clone()).await?;
        let readers = pool(READERS_MAX).connect_lazy_with(options.pragma("query_only", "ON"));
        Ok(Self { writer: Arc::new(Mutex::new(writer)), readers })
    }

    /// A transaction that reads.
    pub(super) async fn read(&self) -> Result<Connection, StoreError> {
        Ok(Connection(self.readers.begin().await?))
    }

    /// The transaction that writes; waits until the one before has ended. It has the lock from its start on, so that what it
    /// reads is still so when it writes.
    pub(super) async fn write(&self) -> Result<(Connection, Turn), StoreError> {
        let turn = Arc::clone(&self.writer).lock_owned().await;
        Ok((Connection(turn.begin_with("BEGIN IMMEDIATE").await?), turn))
    }

    /// Closes all connections, after the writer's turn.
    pub(super) async fn close(&self) {
        self.readers.close().await;
        self.writer.lock().await.close().await;
    }
}

/// Whether a connection that comes back is out of its transaction; if not, another one takes its place.
///
/// When the disk is full or fails, SQLite rolls back by itself. The driver's own rollback then finds no transaction, and it takes the
/// connection for one inside a transaction for ever: nothing could begin there again.
async fn is_reusable(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    // The answer comes after the rollback, if one is under way.
    connection.ping().await?;
    Ok(!connection.is_in_transaction())
}

/// A transaction.
pub(crate) struct Connection(Transaction<'static, Sqlite>);

impl Connection {
    /// Runs a statement that changes rows; how many.
    pub(crate) async fn execute(&mut self, sql: &'static str, values: &[Value]) -> Result<u64, StoreError> {
        Ok(bind(sqlx::query(sql), values).execute(&mut *self.0).await?.rows_affected())
    }

    /// Runs a statement that yields rows.
    pub(crate) async fn query(&mut self, sql: &'static str, values: &[Value]) -> Result<Vec<Row>, StoreError> {
        bind(sqlx::query(sql), values).fetch_all(&mut *self.0).await?.iter().map(row).collect()
    }

    /// The first row, if there is one.
    pub(crate) async fn first(&mut self, sql: &'static str, values: &[Value]) -> Result<Option<Row>, StoreError> {
        Ok(self.query(sql, values).await?.into_iter().next())
    }

    /// Runs a statement that was put together from fixed pieces.
    pub(super) async fn select(&mut self, select: &Select, text: String) -> Result<Vec<Row>, StoreError> {
        // SECURITY: `Select` takes its pieces as `&'static str`; what came from outside is always a value.
        bind(sqlx::query(AssertSqlSafe(text)), select.values()).fetch_all(&mut *self.0).await?.iter().map(row).collect()
    }

    /// Runs several statements without values.
    pub(super) async fn script(&mut self, sql: &'static str) -> Result<(), StoreError> {
        sqlx::raw_sql(sql).execute(&mut *self.0).await?;
        Ok(())
    }

    /// Makes it last: on disk when this returns.
    pub(super) async fn commit(self) -> Result<(), StoreError> {
        Ok(self.0.commit().await?)
    }
}

type Query<'q> = sqlx::query::Query<'q, Sqlite, <Sqlite as sqlx::Database>::Arguments>;

fn bind<'q>(query: Query<'q>, values: &[Value]) -> Query<'q> {
    values.iter().fold(query, |query, value| match value {
        Value::Text(text) => query.bind(text.clone()),
        Value::Integer(number) => query.bind(*number),
        Value::Null => query.bind(None::<String>),
    })
}

fn row(found: &SqliteRow) -> Result<Row, StoreError> {
    let value = |column: usize| {
        let raw = found.try_get_raw(column)?;
        match raw.type_info().name() {
            _ if raw.is_null() => Ok(Value::Null),
            "TEXT" => Ok(Value::Text(found.try_get(column)?)),
            "INTEGER" => Ok(Value::Integer(found.try_get(column)?)),
            _ => Err(StoreError::Column("a text or a whole number")),
        }
    };
    (0..found.len()).map(value).collect::<Result<_, _>>().map(Row::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn empty(folder: &Path) -> Database {
        let path = folder.join("test.db");
        std::fs::File::create(&path).unwrap();
        let database = Database::open(&path).await.unwrap();
        let (mut connection, turn) = database.write().await.unwrap();
        connection.script("CREATE TABLE t (a TEXT NOT NULL)").await.unwrap();
        connection.commit().await.unwrap();
        drop(turn);
        database
    }

    async fn count(database: &Database) -> u64 {
        let mut rows = database.read().await.unwrap().query("SELECT COUNT(*) FROM t", &[]).await.unwrap();
        rows.first_mut().unwrap().count().unwrap()
    }

    async fn insert(database: &Database, text: String) -> Result<(), StoreError> {
        let (mut connection, _turn) = database.write().await?;
        connection.execute("INSERT INTO t (a) VALUES ($1)", &[text.into()]).await?;
        connection.commit().await
    }

    #[tokio::test]
    async fn a_transaction_that_the_database_ended_by_itself_does_not_stop_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let database = empty(folder.path()).await;
        for commits in [true, false, true] {
            let (mut connection, turn) = database.write().await.unwrap();
            connection.execute("INSERT INTO t (a) VALUES ('lost')", &[]).await.unwrap();
            connection.execute("ROLLBACK", &[]).await.unwrap();
            if commits {
                connection.commit().await.unwrap_err();
            } else {
                drop(connection);
            }
            drop(turn);
            for _ in 0..READERS_MAX + 1 {
                let mut reader = database.read().await.unwrap();
                reader.query("SELECT a FROM t", &[]).await.unwrap();
                reader.execute("ROLLBACK", &[]).await.unwrap();
            }
            insert(&database, "kept".to_owned()).await.unwrap();
        }
        assert_eq!(count(&database).await, 3);
    }

    #[tokio::test]
    async fn a_full_database_is_written_again_when_there_is_room() {
        let folder = tempfile::tempdir().unwrap();
        let database = empty(folder.path()).await;
        let limit = async |sql| {
            let (mut connection, _turn) = database.write().await.unwrap();
            connection.query(sql, &[]).await.unwrap();
            connection.commit().await.unwrap();
        };
        limit("PRAGMA max_page_count = 8").await;
        let error = insert(&database, "x".repeat(100_000)).await.unwrap_err();
        assert!(error.to_string().contains("full"), "{error}");
        limit("PRAGMA max_page_count = 1000000").await;
        insert(&database, "x".repeat(100_000)).await.unwrap();
        assert_eq!(count(&database).await, 1);
        database.close().await;
        assert!(insert(&database, String::new()).await.is_err());
    }
}
