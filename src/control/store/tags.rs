//! SQL of tags, of every kind of resource.

use super::StoreError;
use super::connection::Connection;
use crate::types::AccountId;

/// A tag.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Tag {
    /// Its key, once per resource.
    pub(crate) key: String,
    /// Its value, possibly empty.
    pub(crate) value: String,
}

/// What is tagged.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tagged<'a> {
    /// Its type, such as `group`.
    pub(crate) kind: &'static str,
    /// Its id.
    pub(crate) id: &'a str,
}

/// Replaces the tags of a resource.
pub(crate) async fn set(connection: &mut Connection, of: Tagged<'_>, account: AccountId, tags: &[Tag]) -> Result<(), StoreError> {
    remove(connection, of).await?;
    let sql = "INSERT INTO tags (resource_type, resource_id, account_id, tag_key, tag_value) VALUES ($1, $2, $3, $4, $5)";
    for Tag { key, value } in tags {
        connection.execute(sql, &[of.kind.into(), of.id.into(), account.into(), key.into(), value.into()]).await?;
    }
    Ok(())
}

/// The tags of a resource.
pub(crate) async fn of(connection: &mut Connection, of: Tagged<'_>) -> Result<Vec<Tag>, StoreError> {
    let sql = "SELECT tag_key, tag_value FROM tags WHERE resource_type = $1 AND resource_id = $2 ORDER BY tag_key";
    let rows = connection.query(sql, &[of.kind.into(), of.id.into()]).await?;
    rows.into_iter().map(|mut row| Ok(Tag { key: row.text()?, value: row.text()? })).collect()
}

/// Removes the tags of a resource.
pub(crate) async fn remove(connection: &mut Connection, of: Tagged<'_>) -> Result<(), StoreError> {
    let sql = "DELETE FROM tags WHERE resource_type = $1 AND resource_id = $2";
    connection.execute(sql, &[of.kind.into(), of.id.into()]).await?;
    Ok(())
}
