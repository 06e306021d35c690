//! SQL of passcodes.

use super::StoreError;
use super::connection::Connection;
use crate::types::{Timestamp, UserId};

/// What is kept of the passcode that was sent to a user last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Passcode {
    /// Its MAC; empty when there is none to be used.
    pub(crate) mac: String,
    /// How many wrong ones may still be tried.
    pub(crate) tries_left: u64,
    /// From when on it is refused.
    pub(crate) expires_at: Timestamp,
    /// How many were sent since `counted_from`.
    pub(crate) sent: u64,
    /// When the first of those was sent.
    pub(crate) counted_from: Timestamp,
}

/// The passcode that was sent to a user last.
pub(crate) async fn find(connection: &mut Connection, user: UserId) -> Result<Option<Passcode>, StoreError> {
    let sql = "SELECT mac, tries_left, expires_at, sent, counted_from FROM passcodes WHERE user_id = $1";
    let Some(mut row) = connection.first(sql, &[user.into()]).await? else { return Ok(None) };
    Ok(Some(Passcode {
        mac: row.text()?,
        tries_left: row.count()?,
        expires_at: row.time()?,
        sent: row.count()?,
        counted_from: row.time()?,
    }))
}

/// Keeps this one, in place of the one before.
pub(crate) async fn put(connection: &mut Connection, user: UserId, passcode: &Passcode) -> Result<(), StoreError> {
    let sql = "INSERT INTO passcodes (user_id, mac, tries_left, expires_at, sent, counted_from) VALUES ($1, $2, $3, $4, $5, $6)
               ON CONFLICT (user_id) DO UPDATE SET mac = $2, tries_left = $3, expires_at = $4, sent = $5, counted_from = $6";
    let Passcode { mac, tries_left, expires_at, sent, counted_from } = passcode;
    let values = [user.into(), mac.as_str().into(), (*tries_left).into(), (*expires_at).into(), (*sent).into(), (*counted_from).into()];
    connection.execute(sql, &values).await?;
    Ok(())
}

/// Forgets a user's.
pub(crate) async fn delete_of(connection: &mut Connection, user: UserId) -> Result<(), StoreError> {
    connection.execute("DELETE FROM passcodes WHERE user_id = $1", &[user.into()]).await?;
    Ok(())
}
