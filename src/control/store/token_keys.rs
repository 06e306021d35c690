//! SQL of the keys that tokens are signed with.

use super::StoreError;
use super::authorship::Stamp;
use super::connection::Connection;
use crate::types::TokenKeyId;

/// The key in use, and its sealed secret.
pub(crate) async fn in_use(connection: &mut Connection) -> Result<Option<(TokenKeyId, String)>, StoreError> {
    let row = connection.first("SELECT id, secret FROM token_keys WHERE not_after IS NULL", &[]).await?;
    row.map(|mut row| Ok((row.parsed()?, row.text()?))).transpose()
}

/// Adds the key in use.
pub(crate) async fn insert(connection: &mut Connection, id: TokenKeyId, sealed: &str, stamp: Stamp<'_>) -> Result<(), StoreError> {
    let sql = "INSERT INTO token_keys (id, secret, created_at, created_by) VALUES ($1, $2, $3, $4)";
    let [at, by] = stamp.values();
    connection.execute(sql, &[id.into(), sealed.into(), at, by]).await?;
    Ok(())
}
