//! The audit log: who changed what, from where, and what it was before and after.

use super::StoreError;
use super::connection::Connection;
use crate::types::Timestamp;

/// An entry. The texts hold no secrets.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// The account of what was changed.
    pub(crate) account: String,
    /// Who did it.
    pub(crate) user: String,
    /// The same as an SRN.
    pub(crate) srn: String,
    /// From where, as the gateway saw it.
    pub(crate) address: String,
    /// By which request.
    pub(crate) request_id: String,
    /// The action.
    pub(crate) action: String,
    /// What was changed: the SRN.
    pub(crate) resource: String,
    /// JSON of what it was; `None` when it is new.
    pub(crate) before: Option<String>,
    /// JSON of what it is now; `None` when it is gone.
    pub(crate) after: Option<String>,
}

/// Writes an entry of the commit `sequence`.
pub(super) async fn insert(
    connection: &mut Connection,
    sequence: u64,
    number: i64,
    entry: &Entry,
    now: Timestamp,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO audit (revision, entry, committed_at, account_id, user_id, srn, address, request_id, action, resource,
               body_before, body_after) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
    let Entry { account, user, srn, address, request_id, action, resource, before, after } = entry;
    let texts = [account, user, srn, address, request_id, action, resource];
    let mut values = vec![sequence.into(), number.into(), now.into()];
    values.extend(texts.map(Into::into));
    values.extend([before.as_ref().into(), after.as_ref().into()]);
    connection.execute(sql, &values).await?;
    Ok(())
}
