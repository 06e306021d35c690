//! SQL of accounts.

use super::StoreError;
use super::authorship::Stamp;
use super::connection::Connection;
use crate::types::AccountId;

/// An account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Account {
    /// Its id.
    pub(crate) id: AccountId,
    /// Its name.
    pub(crate) name: String,
    /// Whether its people run the control plane itself.
    pub(crate) operator: bool,
    /// Whether its keys work.
    pub(crate) active: bool,
    /// The commit that changed it last.
    pub(crate) revision: u64,
}

const COLUMNS: &str = "SELECT id, name, operator, active, revision FROM accounts WHERE id = $1";

/// The account of this id.
pub(crate) async fn find(connection: &mut Connection, id: AccountId) -> Result<Option<Account>, StoreError> {
    let Some(mut row) = connection.first(COLUMNS, &[id.into()]).await? else { return Ok(None) };
    let (id, name, operator, active) = (row.parsed()?, row.text()?, row.boolean()?, row.boolean()?);
    Ok(Some(Account { id, name, operator, active, revision: row.count()? }))
}

/// The operator's account.
pub(crate) async fn operator(connection: &mut Connection) -> Result<Option<AccountId>, StoreError> {
    let row = connection.first("SELECT id FROM accounts WHERE operator = 1", &[]).await?;
    row.map(|mut row| row.parsed()).transpose()
}

/// Adds an account.
pub(crate) async fn insert(connection: &mut Connection, account: &Account, stamp: Stamp<'_>) -> Result<(), StoreError> {
    let sql = "INSERT INTO accounts (id, name, operator, active, revision, created_at, created_by, modified_at, modified_by)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $6, $7)";
    let Account { id, name, operator, active, revision } = account;
    let [at, by] = stamp.values();
    connection.execute(sql, &[(*id).into(), name.into(), (*operator).into(), (*active).into(), (*revision).into(), at, by]).await?;
    Ok(())
}
