//! SQL of policies, their versions and attachments.

use super::StoreError;
use super::authorship::Stamp;
use super::connection::Connection;
use crate::snapshot::wire::Identity;
use crate::types::{AccountId, PolicyId};

/// A policy about to be added, with its first version.
#[derive(Debug, Clone)]
pub(crate) struct NewPolicy<'a> {
    /// Its id.
    pub(crate) id: PolicyId,
    /// Its account; `None` for one of the system.
    pub(crate) account: Option<AccountId>,
    /// Its name.
    pub(crate) name: &'a str,
    /// What it is for.
    pub(crate) description: Option<&'a str>,
    /// The id of its first version.
    pub(crate) version_id: &'a str,
    /// The name of its first version.
    pub(crate) version_name: &'a str,
    /// The JSON text of its first version.
    pub(crate) document: &'a str,
}

/// Adds a policy with its first version.
pub(crate) async fn insert(connection: &mut Connection, policy: &NewPolicy<'_>, revision: u64, stamp: Stamp<'_>) -> Result<(), StoreError> {
    let NewPolicy { id, account, name, description, version_id, version_name, document } = *policy;
    let kind = if account.is_some() { "USER_DEFINED" } else { "SYSTEM_MANAGED" };
    let [at, by] = stamp.values();
    let sql = "INSERT INTO policies (id, account_id, policy_name, description, policy_type, policy_category, default_version_id, state,
               revision, created_at, created_by, modified_at, modified_by)
               VALUES ($1, $2, $3, $4, $5, 'IDENTITY_BASED', $6, 'ACTIVE', $7, $8, $9, $8, $9)";
    let values = [
        id.into(),
        account.into(),
        name.into(),
        description.into(),
        kind.into(),
        version_id.into(),
        revision.into(),
        at.clone(),
        by.clone(),
    ];
    connection.execute(sql, &values).await?;
    let sql = "INSERT INTO policy_versions (id, policy_id, policy_version_name, policy_document, created_at, created_by, modified_at,
               modified_by) VALUES ($1, $2, $3, $4, $5, $6, $5, $6)";
    connection.execute(sql, &[version_id.into(), id.into(), version_name.into(), document.into(), at, by]).await?;
    Ok(())
}

/// Whether an account may use a policy: its own, or one of the system.
pub(crate) async fn is_usable(connection: &mut Connection, account: AccountId, id: PolicyId) -> Result<bool, StoreError> {
    let sql = "SELECT id FROM policies WHERE id = $1 AND (account_id = $2 OR account_id IS NULL)";
    Ok(connection.first(sql, &[id.into(), account.into()]).await?.is_some())
}

/// The policy of the system that has this name.
pub(crate) async fn of_system(connection: &mut Connection, name: &str) -> Result<Option<PolicyId>, StoreError> {
    let sql = "SELECT id FROM policies WHERE account_id IS NULL AND policy_name = $1";
    connection.first(sql, &[name.into()]).await?.map(|mut row| row.parsed()).transpose()
}

/// Attaches a policy; `false` when it was attached already.
pub(crate) async fn attach(connection: &mut Connection, policy: PolicyId, to: Identity, stamp: Stamp<'_>) -> Result<bool, StoreError> {
    let sql = "INSERT INTO attachments (policy_id, user_id, group_id, scope, created_at, created_by) VALUES ($1, $2, $3, NULL, $4, $5)
               ON CONFLICT DO NOTHING";
    let (user, group) = match to {
        Identity::User(user) => (Some(user), None),
        Identity::Group(group) => (None, Some(group)),
    };
    let [at, by] = stamp.values();
    Ok(connection.execute(sql, &[policy.into(), user.into(), group.into(), at, by]).await? > 0)
}

/// The policies attached to a user or group.
pub(crate) async fn attached(connection: &mut Connection, to: Identity) -> Result<Vec<PolicyId>, StoreError> {
    let rows = match to {
        Identity::User(user) => connection.query("SELECT policy_id FROM attachments WHERE user_id = $1", &[user.into()]).await?,
        Identity::Group(group) => connection.query("SELECT policy_id FROM attachments WHERE group_id = $1", &[group.into()]).await?,
    };
    rows.into_iter().map(|mut row| row.parsed()).collect()
}

/// Removes all attachments to a user or group.
pub(crate) async fn detach_all(connection: &mut Connection, to: Identity) -> Result<u64, StoreError> {
    match to {
        Identity::User(user) => connection.execute("DELETE FROM attachments WHERE user_id = $1", &[user.into()]).await,
        Identity::Group(group) => connection.execute("DELETE FROM attachments WHERE group_id = $1", &[group.into()]).await,
    }
}
