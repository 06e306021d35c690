//! SQL of access keys.

use std::collections::HashMap;

use super::StoreError;
use super::authorship::Stamp;
use super::connection::Connection;
use super::select::Select;
use super::select::WHOLE;
use super::value::Row;
use crate::types::{AccessKeyId, AccountId, Timestamp, UserId};

/// An access key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AccessKey {
    /// Its id, which is what clients send.
    pub(crate) id: AccessKeyId,
    /// Its account.
    pub(crate) account: AccountId,
    /// Its owner.
    pub(crate) user: UserId,
    /// `PERMANENT` or a temporary type.
    pub(crate) kind: String,
    /// The key that a temporary one was made with.
    pub(crate) parent: Option<AccessKeyId>,
    /// Its secret, sealed for key and owner.
    pub(crate) sealed: String,
    /// Whether it is switched on.
    pub(crate) enabled: bool,
    /// What it is for.
    pub(crate) description: Option<String>,
    /// When it ends; `None` for never.
    pub(crate) expires_at: Option<Timestamp>,
    /// Until when it is in debug mode, or was.
    pub(crate) debug_until: Option<Timestamp>,
    /// The commit that changed it last.
    pub(crate) revision: u64,
    /// When it was made.
    pub(crate) created_at: Timestamp,
    /// By whom: a user's id, or `system`.
    pub(crate) created_by: String,
    /// When it was changed last.
    pub(crate) modified_at: Timestamp,
    /// By whom.
    pub(crate) modified_by: String,
}

/// The type of keys that never end by themselves.
pub(crate) const PERMANENT: &str = "PERMANENT";
/// The type of keys that are made with those.
pub(crate) const TEMPORARY: &str = "TEMPORARY";

const COLUMNS: &str = "id, account_id, user_id, access_key_type, parent_id, secret, enabled, description, expires_at, debug_until,
    revision, created_at, created_by, modified_at, modified_by";
const FROM: &str = "FROM access_keys WHERE account_id = $";

fn access_key(mut row: Row) -> Result<AccessKey, StoreError> {
    Ok(AccessKey {
        id: row.parsed()?,
        account: row.parsed()?,
        user: row.parsed()?,
        kind: row.text()?,
        parent: row.optional_text()?.map(|text| text.parse().map_err(|_| StoreError::Column("an access key"))).transpose()?,
        sealed: row.text()?,
        enabled: row.boolean()?,
        description: row.optional_text()?,
        expires_at: row.optional_time()?,
        debug_until: row.optional_time()?,
        revision: row.count()?,
        created_at: row.time()?,
        created_by: row.text()?,
        modified_at: row.time()?,
        modified_by: row.text()?,
    })
}

/// A user's access key of this id.
pub(crate) async fn find(
    connection: &mut Connection,
    account: AccountId,
    user: UserId,
    id: AccessKeyId,
) -> Result<Option<AccessKey>, StoreError> {
    let mut select = Select::new(COLUMNS, FROM, account);
    select.and("user_id = $", user);
    select.and("id = $", id);
    let (rows, _) = select.page(connection, &WHOLE, "id").await?;
    rows.into_iter().next().map(access_key).transpose()
}

/// All access keys of each of these users, oldest first.
pub(crate) async fn of_users(
    connection: &mut Connection,
    account: AccountId,
    users: &[UserId],
) -> Result<HashMap<UserId, Vec<AccessKey>>, StoreError> {
    let mut select = Select::new(COLUMNS, FROM, account);
    select.and_in("user_id", users.iter().copied());
    let mut found: HashMap<UserId, Vec<AccessKey>> = HashMap::new();
    for row in select.page(connection, &WHOLE, "created_at, id").await?.0 {
        let key = access_key(row)?;
        found.entry(key.user).or_default().push(key);
    }
    Ok(found)
}

/// An access key about to be added.
#[derive(Debug, Clone)]
pub(crate) struct NewAccessKey<'a> {
    /// The access key.
    pub(crate) id: AccessKeyId,
    /// Its account.
    pub(crate) account: AccountId,
    /// Its owner.
    pub(crate) user: UserId,
    /// Its secret, sealed for key and owner.
    pub(crate) sealed: &'a str,
    /// What it is for.
    pub(crate) description: Option<&'a str>,
    /// For a temporary key the one that it is made with, and when it ends.
    pub(crate) temporary: Option<(AccessKeyId, Timestamp)>,
}

/// Adds an access key that is switched on.
pub(crate) async fn insert(connection: &mut Connection, key: &NewAccessKey<'_>, revision: u64, stamp: Stamp<'_>) -> Result<(), StoreError> {
    let sql = "INSERT INTO access_keys (id, account_id, user_id, access_key_type, parent_id, expires_at, secret, enabled, description,
               revision, created_at, created_by, modified_at, modified_by)
               VALUES ($1, $2, $3, $4, $5, $6, $7, 1, $8, $9, $10, $11, $10, $11)";
    let [at, by] = stamp.values();
    let NewAccessKey { id, account, user, sealed, description, temporary } = *key;
    let kind = if temporary.is_some() { TEMPORARY } else { PERMANENT };
    let (parent, expires_at) = temporary.unzip();
    let values = [
        id.into(),
        account.into(),
        user.into(),
        kind.into(),
        parent.into(),
        expires_at.into(),
        sealed.into(),
        description.into(),
        revision.into(),
        at,
        by,
    ];
    connection.execute(sql, &values).await?;
    Ok(())
}

/// Switches an access key on or off.
pub(crate) async fn set_enabled(
    connection: &mut Connection,
    id: AccessKeyId,
    enabled: bool,
    revision: u64,
    stamp: Stamp<'_>,
) -> Result<(), StoreError> {
    let sql = "UPDATE access_keys SET enabled = $2, revision = $3, modified_at = $4, modified_by = $5 WHERE id = $1";
    let [at, by] = stamp.values();
    connection.execute(sql, &[id.into(), enabled.into(), revision.into(), at, by]).await?;
    Ok(())
}

/// Switches the debug mode of an access key on until then, or off.
pub(crate) async fn set_debug_until(
    connection: &mut Connection,
    id: AccessKeyId,
    end: Option<Timestamp>,
    revision: u64,
    stamp: Stamp<'_>,
) -> Result<(), StoreError> {
    let sql = "UPDATE access_keys SET debug_until = $2, revision = $3, modified_at = $4, modified_by = $5 WHERE id = $1";
    let [at, by] = stamp.values();
    connection.execute(sql, &[id.into(), end.into(), revision.into(), at, by]).await?;
    Ok(())
}

/// The temporary keys that were made with this one.
pub(crate) async fn children(connection: &mut Connection, id: AccessKeyId) -> Result<Vec<AccessKeyId>, StoreError> {
    let rows = connection.query("SELECT id FROM access_keys WHERE parent_id = $1", &[id.into()]).await?;
    rows.into_iter().map(|mut row| row.parsed()).collect()
}

/// Those of them whose end has come.
pub(crate) async fn ended_children(connection: &mut Connection, id: AccessKeyId, now: Timestamp) -> Result<Vec<AccessKeyId>, StoreError> {
    let sql = "SELECT id FROM access_keys WHERE parent_id = $1 AND expires_at <= $2";
    let rows = connection.query(sql, &[id.into(), now.into()]).await?;
    rows.into_iter().map(|mut row| row.parsed()).collect()
}

/// Removes an access key that has no temporary keys any more.
pub(crate) async fn delete(connection: &mut Connection, id: AccessKeyId) -> Result<(), StoreError> {
    connection.execute("DELETE FROM access_keys WHERE id = $1", &[id.into()]).await?;
    Ok(())
}
