//! SQL of tokens that are out: their ids, never themselves.

use super::StoreError;
use super::connection::Connection;
use crate::types::{Timestamp, TokenId, UserId};

/// How many that have ended are forgotten at a time, so that no write is slow because nobody has written for long.
const FORGOTTEN_MAX: u64 = 64;

/// Adds a token that was just issued.
pub(crate) async fn insert(connection: &mut Connection, id: TokenId, user: UserId, expires_at: Timestamp) -> Result<(), StoreError> {
    let sql = "INSERT INTO tokens (id, user_id, expires_at, revoked) VALUES ($1, $2, $3, 0)";
    connection.execute(sql, &[id.into(), user.into(), expires_at.into()]).await?;
    Ok(())
}

/// When a user's token ends, if it was not revoked.
pub(crate) async fn find(connection: &mut Connection, user: UserId, id: TokenId) -> Result<Option<Timestamp>, StoreError> {
    let sql = "SELECT expires_at FROM tokens WHERE id = $1 AND user_id = $2 AND revoked = 0";
    connection.first(sql, &[id.into(), user.into()]).await?.map(|mut row| row.time()).transpose()
}

/// Notes that a token was revoked.
pub(crate) async fn revoke(connection: &mut Connection, id: TokenId) -> Result<(), StoreError> {
    connection.execute("UPDATE tokens SET revoked = 1 WHERE id = $1", &[id.into()]).await?;
    Ok(())
}

/// How many tokens of a user were revoked and would still be good otherwise.
pub(crate) async fn revoked(connection: &mut Connection, user: UserId, now: Timestamp) -> Result<u64, StoreError> {
    let sql = "SELECT COUNT(*) FROM tokens WHERE user_id = $1 AND revoked = 1 AND expires_at > $2";
    let row = connection.first(sql, &[user.into(), now.into()]).await?;
    row.ok_or(StoreError::Column("a count"))?.count()
}

/// Forgets all tokens of a user; those that were revoked.
pub(crate) async fn forget_of(connection: &mut Connection, user: UserId) -> Result<Vec<TokenId>, StoreError> {
    let rows = connection.query("SELECT id FROM tokens WHERE user_id = $1 AND revoked = 1", &[user.into()]).await?;
    connection.execute("DELETE FROM tokens WHERE user_id = $1", &[user.into()]).await?;
    rows.into_iter().map(|mut row| row.parsed()).collect()
}

/// How many tokens of a user have not ended.
pub(crate) async fn live(connection: &mut Connection, user: UserId, now: Timestamp) -> Result<u64, StoreError> {
    let row = connection.first("SELECT COUNT(*) FROM tokens WHERE user_id = $1 AND expires_at > $2", &[user.into(), now.into()]).await?;
    row.ok_or(StoreError::Column("a count"))?.count()
}

/// Forgets tokens that have ended, and of those that were revoked the ones that ended by `by`, some at a time; the latter, with their users.
pub(crate) async fn forget_ended(connection: &mut Connection, now: Timestamp, by: Timestamp) -> Result<Vec<(UserId, TokenId)>, StoreError> {
    let sql = "SELECT id, user_id, revoked FROM tokens WHERE expires_at <= $1 AND (revoked = 0 OR expires_at <= $2)
               ORDER BY expires_at, id LIMIT $3";
    let mut revoked = Vec::new();
    for mut row in connection.query(sql, &[now.into(), by.into(), FORGOTTEN_MAX.into()]).await? {
        let (id, user): (TokenId, UserId) = (row.parsed()?, row.parsed()?);
        if row.boolean()? {
            revoked.push((user, id));
        }
        connection.execute("DELETE FROM tokens WHERE id = $1", &[id.into()]).await?;
    }
    Ok(revoked)
}
