//! Migrations: each once, in order, in the transaction that opens the store.

use super::StoreError;
use super::connection::Connection;

/// Never edit one that was released; add the next.
const MIGRATIONS: [&str; 3] = [include_str!("schema/0001.sql"), include_str!("schema/0002.sql"), include_str!("schema/0003.sql")];

/// Brings the database to the newest schema.
pub(super) async fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    connection.execute("CREATE TABLE IF NOT EXISTS migrations (version BIGINT PRIMARY KEY)", &[]).await?;
    let row = connection.first("SELECT COALESCE(MAX(version), 0) FROM migrations", &[]).await?;
    let found = row.ok_or(StoreError::Column("a version"))?.count()?;
    let known = MIGRATIONS.len() as u64;
    if found > known {
        return Err(StoreError::Schema { found, known });
    }
    for (script, version) in MIGRATIONS.iter().zip(1_u64..).filter(|(_, version)| *version > found) {
        connection.script(script).await?;
        connection.execute("INSERT INTO migrations (version) VALUES ($1)", &[version.into()]).await?;
    }
    Ok(())
}
