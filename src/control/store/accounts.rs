//! SQL of accounts.

use super::StoreError;
use super::authorship::{Authorship, Stamp};
use super::connection::Connection;
use super::history::only;
use super::select::{Page, Select, containing};
use super::value::Row;
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

/// How many accounts there are.
pub(crate) async fn count(connection: &mut Connection) -> Result<u64, StoreError> {
    only(connection.first("SELECT COUNT(*) FROM accounts", &[]).await?)?.count()
}

/// Changes an account's own fields.
pub(crate) async fn update(connection: &mut Connection, account: &Account, stamp: Stamp<'_>) -> Result<(), StoreError> {
    let sql = "UPDATE accounts SET name = $2, active = $3, revision = $4, modified_at = $5, modified_by = $6 WHERE id = $1";
    let Account { id, name, active, revision, .. } = account;
    let [at, by] = stamp.values();
    connection.execute(sql, &[(*id).into(), name.into(), (*active).into(), (*revision).into(), at, by]).await?;
    Ok(())
}

/// An account, and whose work it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listed {
    /// The account.
    pub(crate) account: Account,
    /// Whose work it is.
    pub(crate) authorship: Authorship,
}

/// Which accounts to list.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filter {
    /// Part of the name.
    pub(crate) name: Option<String>,
    /// Switched on or off.
    pub(crate) active: Option<bool>,
}

/// What accounts can be sorted by: the word of the API and the column.
pub(crate) const ORDERS: [(&str, &str); 3] = [("created_at", "a.created_at"), ("modified_at", "a.modified_at"), ("name", "a.name")];

const LISTED_COLUMNS: &str = "a.id, a.name, a.operator, a.active, a.revision,
    a.created_at, a.created_by, c.user_name, c.email, a.modified_at, a.modified_by, m.user_name, m.email";
const LISTED_FROM: &str = "FROM accounts a LEFT JOIN users c ON c.id = a.created_by LEFT JOIN users m ON m.id = a.modified_by
    WHERE a.revision >= $";

fn listed(mut row: Row) -> Result<Listed, StoreError> {
    let (id, name, operator, active) = (row.parsed()?, row.text()?, row.boolean()?, row.boolean()?);
    let account = Account { id, name, operator, active, revision: row.count()? };
    Ok(Listed { account, authorship: Authorship::read(&mut row)? })
}

/// A page of all accounts, and how many there are.
pub(crate) async fn list(connection: &mut Connection, filter: &Filter, page: &Page) -> Result<(Vec<Listed>, u64), StoreError> {
    let mut select = Select::new(LISTED_COLUMNS, LISTED_FROM, 0_u64);
    select.and_some("a.name LIKE $ ESCAPE '\\'", filter.name.as_deref().map(containing));
    select.and_some("a.active = $", filter.active);
    let (rows, count) = select.page(connection, page, "a.id").await?;
    Ok((rows.into_iter().map(listed).collect::<Result<_, _>>()?, count))
}

/// The account of this id, and whose work it is.
pub(crate) async fn show(connection: &mut Connection, id: AccountId) -> Result<Option<Listed>, StoreError> {
    let mut select = Select::new(LISTED_COLUMNS, LISTED_FROM, 0_u64);
    select.and("a.id = $", id);
    let (rows, _) = select.page(connection, &Page { number: 0, size: 1, order: Vec::new() }, "a.id").await?;
    rows.into_iter().next().map(listed).transpose()
}
