//! SQL of action definitions.

use super::StoreError;
use super::authorship::{Authorship, Stamp};
use super::connection::Connection;
use super::select::{Page, Select, containing};
use super::value::Row;

/// A service's definition, without its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Definition {
    /// The service.
    pub(crate) service: String,
    /// Whether it is printed by this program: nobody may change it.
    pub(crate) built_in: bool,
    /// The commit that changed it last.
    pub(crate) revision: u64,
    /// Whose work it is.
    pub(crate) authorship: Authorship,
}

/// What definitions can be sorted by: the word of the API and the column.
pub(crate) const ORDERS: [(&str, &str); 3] = [("service", "d.service"), ("created_at", "d.created_at"), ("modified_at", "d.modified_at")];

const COLUMNS: &str = "d.service, d.built_in, d.revision,
    d.created_at, d.created_by, c.user_name, c.email, d.modified_at, d.modified_by, m.user_name, m.email";
const FROM: &str = "FROM definitions d LEFT JOIN users c ON c.id = d.created_by LEFT JOIN users m ON m.id = d.modified_by
    WHERE d.revision >= $";

fn definition(mut row: Row) -> Result<Definition, StoreError> {
    let (service, built_in, revision) = (row.text()?, row.boolean()?, row.count()?);
    Ok(Definition { service, built_in, revision, authorship: Authorship::read(&mut row)? })
}

/// A page of the definitions, those whose service contains `name`; and how many there are.
pub(crate) async fn list(connection: &mut Connection, name: Option<&str>, page: &Page) -> Result<(Vec<Definition>, u64), StoreError> {
    let mut select = Select::new(COLUMNS, FROM, 0_u64);
    select.and_some("d.service LIKE $ ESCAPE '\\'", name.map(containing));
    let (rows, count) = select.page(connection, page, "d.service").await?;
    Ok((rows.into_iter().map(definition).collect::<Result<_, _>>()?, count))
}

/// The definition of a service.
pub(crate) async fn find(connection: &mut Connection, service: &str) -> Result<Option<Definition>, StoreError> {
    let mut select = Select::new(COLUMNS, FROM, 0_u64);
    select.and("d.service = $", service);
    let rows = select.first(connection, "d.service", 1).await?;
    rows.into_iter().next().map(definition).transpose()
}

/// All services and the texts of their definitions.
pub(crate) async fn documents(connection: &mut Connection) -> Result<Vec<(String, String)>, StoreError> {
    let rows = connection.query("SELECT service, document FROM definitions ORDER BY service", &[]).await?;
    rows.into_iter().map(|mut row| Ok((row.text()?, row.text()?))).collect()
}

/// The records of all policies, as they travel.
pub(crate) async fn policy_records(connection: &mut Connection) -> Result<Vec<String>, StoreError> {
    let sql = "SELECT body FROM records WHERE record_key >= 'policy/' AND record_key < 'policy0' ORDER BY record_key";
    connection.query(sql, &[]).await?.into_iter().map(|mut row| row.text()).collect()
}

/// Removes a service's definition.
pub(crate) async fn delete(connection: &mut Connection, service: &str) -> Result<(), StoreError> {
    connection.execute("DELETE FROM definitions WHERE service = $1", &[service.into()]).await?;
    Ok(())
}

/// The text of a service's definition.
pub(crate) async fn document(connection: &mut Connection, service: &str) -> Result<Option<String>, StoreError> {
    let row = connection.first("SELECT document FROM definitions WHERE service = $1", &[service.into()]).await?;
    row.map(|mut row| row.text()).transpose()
}

/// Adds or replaces a service's definition. `built_in`: it is printed by this program, nobody may change it.
pub(crate) async fn put(
    connection: &mut Connection,
    service: &str,
    document: &str,
    built_in: bool,
    revision: u64,
    stamp: Stamp<'_>,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO definitions (service, document, built_in, revision, created_at, created_by, modified_at, modified_by)
               VALUES ($1, $2, $3, $4, $5, $6, $5, $6)
               ON CONFLICT (service) DO UPDATE SET document = $2, built_in = $3, revision = $4, modified_at = $5, modified_by = $6";
    let [at, by] = stamp.values();
    connection.execute(sql, &[service.into(), document.into(), built_in.into(), revision.into(), at, by]).await?;
    Ok(())
}
