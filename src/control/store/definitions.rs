//! SQL of action definitions.

use super::StoreError;
use super::authorship::Stamp;
use super::connection::Connection;

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
