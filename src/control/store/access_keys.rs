//! SQL of access keys.

use super::StoreError;
use super::authorship::Stamp;
use super::connection::Connection;
use crate::types::{AccessKeyId, AccountId, UserId};

/// A permanent access key about to be added.
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
}

/// Adds an access key that is switched on and never ends.
pub(crate) async fn insert(connection: &mut Connection, key: &NewAccessKey<'_>, revision: u64, stamp: Stamp<'_>) -> Result<(), StoreError> {
    let sql = "INSERT INTO access_keys (id, account_id, user_id, access_key_type, secret, enabled, revision, created_at, created_by,
               modified_at, modified_by) VALUES ($1, $2, $3, 'PERMANENT', $4, 1, $5, $6, $7, $6, $7)";
    let [at, by] = stamp.values();
    connection.execute(sql, &[key.id.into(), key.account.into(), key.user.into(), key.sealed.into(), revision.into(), at, by]).await?;
    Ok(())
}
