//! SQL of users.

use super::StoreError;
use super::authorship::Stamp;
use super::connection::Connection;
use crate::types::{AccountId, UserId};

/// What deciding about a user needs; the API's own fields are read by the lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct User {
    /// Its id.
    pub(crate) id: UserId,
    /// The account it belongs to.
    pub(crate) account: AccountId,
    /// Its name.
    pub(crate) name: String,
    /// Whether it is the account's root user.
    pub(crate) root: bool,
    /// Whether it is active.
    pub(crate) active: bool,
}

/// The user of this id in this account.
pub(crate) async fn find(connection: &mut Connection, account: AccountId, id: UserId) -> Result<Option<User>, StoreError> {
    let sql = "SELECT id, account_id, user_name, root, active FROM users WHERE account_id = $1 AND id = $2";
    let Some(mut row) = connection.first(sql, &[account.into(), id.into()]).await? else { return Ok(None) };
    let (id, account, name, root) = (row.parsed()?, row.parsed()?, row.text()?, row.boolean()?);
    Ok(Some(User { id, account, name, root, active: row.boolean()? }))
}

/// Adds a user without a password.
pub(crate) async fn insert(connection: &mut Connection, user: &User, revision: u64, stamp: Stamp<'_>) -> Result<(), StoreError> {
    let sql = "INSERT INTO users (id, account_id, user_name, root, active, email_authenticated, phone_authenticated,
               password_temporary, password_reuse_count, revision, created_at, created_by, modified_at, modified_by)
               VALUES ($1, $2, $3, $4, $5, 0, 0, 0, 0, $6, $7, $8, $7, $8)";
    let User { id, account, name, root, active } = user;
    let [at, by] = stamp.values();
    let values = [(*id).into(), (*account).into(), name.into(), (*root).into(), (*active).into(), revision.into(), at, by];
    connection.execute(sql, &values).await?;
    Ok(())
}
