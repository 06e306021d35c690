//! SQL of policies, their versions and attachments.

use std::collections::HashMap;

use super::StoreError;
use super::authorship::{Authorship, Stamp};
use super::connection::Connection;
use super::history::only;
use super::select::{Page, Select, WHOLE, containing};
use super::value::Row;
use crate::snapshot::wire::Identity;
use crate::types::{AccountId, GroupId, PolicyId, Timestamp, UserId};

/// A policy with its versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Policy {
    /// Its id.
    pub(crate) id: PolicyId,
    /// Its account; `None` for one of the system.
    pub(crate) account: Option<AccountId>,
    /// Its name.
    pub(crate) name: String,
    /// What it is for.
    pub(crate) description: Option<String>,
    /// `USER_DEFINED` or `SYSTEM_MANAGED`.
    pub(crate) kind: String,
    /// `IDENTITY_BASED`.
    pub(crate) category: String,
    /// The id of the version in force.
    pub(crate) default_version: String,
    /// `ACTIVE`.
    pub(crate) state: String,
    /// The commit that changed it last.
    pub(crate) revision: u64,
    /// Whose work it is.
    pub(crate) authorship: Authorship,
    /// Its versions, oldest first.
    pub(crate) versions: Vec<Version>,
}

impl Policy {
    /// The version in force.
    pub(crate) fn in_force(&self) -> Option<&Version> {
        self.versions.iter().find(|version| version.id == self.default_version)
    }
}

/// A version of a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Version {
    /// Its id.
    pub(crate) id: String,
    /// Its name, once per policy.
    pub(crate) name: String,
    /// Its JSON text.
    pub(crate) document: String,
    /// When it was made.
    pub(crate) created_at: Timestamp,
    /// By whom.
    pub(crate) created_by: String,
    /// When it was changed last.
    pub(crate) modified_at: Timestamp,
    /// By whom.
    pub(crate) modified_by: String,
}

/// Which policies a list shows; what is `None` or empty does not matter.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filter {
    /// This id.
    pub(crate) id: Option<String>,
    /// Part of the name.
    pub(crate) name: Option<String>,
    /// One of these types.
    pub(crate) kinds: Vec<String>,
    /// Part of the creator's name.
    pub(crate) creator_name: Option<String>,
    /// Part of the creator's mail address.
    pub(crate) creator_email: Option<String>,
    /// Part of the modifier's name.
    pub(crate) modifier_name: Option<String>,
    /// Part of the modifier's mail address.
    pub(crate) modifier_email: Option<String>,
    /// Without those that this group has.
    pub(crate) exclude_group: Option<GroupId>,
    /// Without those that this user has by itself.
    pub(crate) exclude_user: Option<UserId>,
    /// Without these.
    pub(crate) excluded: Vec<PolicyId>,
    /// Only those of this user, group or role.
    pub(crate) held_by: Option<Identity>,
    /// Only these.
    pub(crate) only: Option<Vec<PolicyId>>,
}

/// What policies can be sorted by: the word of the API and the column.
pub(crate) const ORDERS: [(&str, &str); 3] =
    [("created_at", "p.created_at"), ("modified_at", "p.modified_at"), ("policy_name", "p.policy_name")];

const COLUMNS: &str = "p.id, p.account_id, p.policy_name, p.description, p.policy_type, p.policy_category, p.default_version_id, p.state,
    p.revision, p.created_at, p.created_by, c.user_name, c.email, p.modified_at, p.modified_by, m.user_name, m.email";
// Those of the system are everybody's.
const FROM: &str = "FROM policies p LEFT JOIN users c ON c.id = p.created_by LEFT JOIN users m ON m.id = p.modified_by
    WHERE (p.account_id = $ OR p.account_id IS NULL)";
const VERSION_COLUMNS: &str = "v.policy_id, v.id, v.policy_version_name, v.policy_document, v.created_at, v.created_by, v.modified_at,
    v.modified_by";
const VERSION_FROM: &str = "FROM policy_versions v JOIN policies p ON p.id = v.policy_id WHERE (p.account_id = $ OR p.account_id IS NULL)";

fn policy(mut row: Row) -> Result<Policy, StoreError> {
    let id = row.parsed()?;
    let account = row.optional_text()?.map(|text| text.parse().map_err(|_| StoreError::Column("an account"))).transpose()?;
    Ok(Policy {
        id,
        account,
        name: row.text()?,
        description: row.optional_text()?,
        kind: row.text()?,
        category: row.text()?,
        default_version: row.text()?,
        state: row.text()?,
        revision: row.count()?,
        authorship: Authorship::read(&mut row)?,
        versions: Vec::new(),
    })
}

fn version(mut row: Row) -> Result<(PolicyId, Version), StoreError> {
    let policy = row.parsed()?;
    let version = Version {
        id: row.text()?,
        name: row.text()?,
        document: row.text()?,
        created_at: row.time()?,
        created_by: row.text()?,
        modified_at: row.time()?,
        modified_by: row.text()?,
    };
    Ok((policy, version))
}

/// The policy of this id that an account sees: its own, or one of the system.
pub(crate) async fn find(connection: &mut Connection, account: AccountId, id: PolicyId) -> Result<Option<Policy>, StoreError> {
    let filter = Filter { only: Some(vec![id]), ..Filter::default() };
    Ok(list(connection, account, &filter, &WHOLE).await?.0.into_iter().next())
}

/// All policies attached to a user, group or role of the account, in the order of their ids.
pub(crate) async fn held_by(connection: &mut Connection, account: AccountId, identity: Identity) -> Result<Vec<Policy>, StoreError> {
    let filter = Filter { held_by: Some(identity), ..Filter::default() };
    Ok(list(connection, account, &filter, &WHOLE).await?.0)
}

/// A page of the policies that an account sees, and how many there are.
pub(crate) async fn list(
    connection: &mut Connection,
    account: AccountId,
    filter: &Filter,
    page: &Page,
) -> Result<(Vec<Policy>, u64), StoreError> {
    let (rows, count) = selected(account, filter).page(connection, page, "p.id").await?;
    let mut policies = rows.into_iter().map(policy).collect::<Result<Vec<_>, _>>()?;
    let mut select = Select::new(VERSION_COLUMNS, VERSION_FROM, account);
    select.and_in("v.policy_id", policies.iter().map(|policy| policy.id));
    let oldest_first = Page { order: vec![("v.created_at", super::select::Direction::Ascending)], ..WHOLE };
    let (rows, _) = select.page(connection, &oldest_first, "v.policy_version_name").await?;
    let mut versions: HashMap<PolicyId, Vec<Version>> = HashMap::new();
    for row in rows {
        let (policy, version) = version(row)?;
        versions.entry(policy).or_default().push(version);
    }
    for policy in &mut policies {
        policy.versions = versions.remove(&policy.id).unwrap_or_default();
    }
    Ok((policies, count))
}

fn selected(account: AccountId, filter: &Filter) -> Select {
    let mut select = Select::new(COLUMNS, FROM, account);
    let parts = |text: &Option<String>| text.as_deref().map(containing);
    select.and_some("p.id = $", filter.id.as_ref());
    select.and_some("p.policy_name LIKE $ ESCAPE '\\'", parts(&filter.name));
    select.and_some("c.user_name LIKE $ ESCAPE '\\'", parts(&filter.creator_name));
    select.and_some("c.email LIKE $ ESCAPE '\\'", parts(&filter.creator_email));
    select.and_some("m.user_name LIKE $ ESCAPE '\\'", parts(&filter.modifier_name));
    select.and_some("m.email LIKE $ ESCAPE '\\'", parts(&filter.modifier_email));
    if !filter.kinds.is_empty() {
        select.and_in("p.policy_type", &filter.kinds);
    }
    if let Some(only) = &filter.only {
        select.and_in("p.id", only.iter().copied());
    }
    for excluded in &filter.excluded {
        select.and("p.id <> $", *excluded);
    }
    select.and_some("NOT EXISTS (SELECT 1 FROM attachments a WHERE a.policy_id = p.id AND a.group_id = $)", filter.exclude_group);
    select.and_some("NOT EXISTS (SELECT 1 FROM attachments a WHERE a.policy_id = p.id AND a.user_id = $)", filter.exclude_user);
    match filter.held_by {
        Some(Identity::User(user)) => select.and("EXISTS (SELECT 1 FROM attachments a WHERE a.policy_id = p.id AND a.user_id = $)", user),
        Some(Identity::Group(group)) => {
            select.and("EXISTS (SELECT 1 FROM attachments a WHERE a.policy_id = p.id AND a.group_id = $)", group);
        }
        Some(Identity::Role(role)) => select.and("EXISTS (SELECT 1 FROM attachments a WHERE a.policy_id = p.id AND a.role_id = $)", role),
        None => {}
    }
    select
}

/// How many policies an account has, and how many characters their documents have in all.
pub(crate) async fn extent(connection: &mut Connection, account: AccountId) -> Result<(u64, u64), StoreError> {
    let sql = "SELECT COUNT(DISTINCT p.id), COALESCE(SUM(LENGTH(v.policy_document)), 0)
               FROM policies p JOIN policy_versions v ON v.policy_id = p.id WHERE p.account_id = $1";
    let mut row = only(connection.first(sql, &[account.into()]).await?)?;
    Ok((row.count()?, row.count()?))
}

/// What is written of a policy.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fields<'a> {
    /// Its name.
    pub(crate) name: &'a str,
    /// What it is for.
    pub(crate) description: Option<&'a str>,
    /// The id of the version in force.
    pub(crate) default_version: &'a str,
}

/// Changes a policy's own fields.
pub(crate) async fn update(
    connection: &mut Connection,
    id: PolicyId,
    fields: Fields<'_>,
    revision: u64,
    stamp: Stamp<'_>,
) -> Result<(), StoreError> {
    let sql = "UPDATE policies SET policy_name = $2, description = $3, default_version_id = $4, revision = $5, modified_at = $6,
               modified_by = $7 WHERE id = $1";
    let [at, by] = stamp.values();
    let values = [id.into(), fields.name.into(), fields.description.into(), fields.default_version.into(), revision.into(), at, by];
    connection.execute(sql, &values).await?;
    Ok(())
}

/// A version about to be added or changed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NewVersion<'a> {
    /// Its id.
    pub(crate) id: &'a str,
    /// Its name.
    pub(crate) name: &'a str,
    /// Its JSON text.
    pub(crate) document: &'a str,
}

/// Adds a version of a policy, or changes the one of this id.
pub(crate) async fn put_version(
    connection: &mut Connection,
    policy: PolicyId,
    version: NewVersion<'_>,
    stamp: Stamp<'_>,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO policy_versions (id, policy_id, policy_version_name, policy_document, created_at, created_by, modified_at,
               modified_by) VALUES ($1, $2, $3, $4, $5, $6, $5, $6)
               ON CONFLICT (id) DO UPDATE SET policy_version_name = $3, policy_document = $4, modified_at = $5, modified_by = $6";
    let NewVersion { id, name, document } = version;
    let [at, by] = stamp.values();
    connection.execute(sql, &[id.into(), policy.into(), name.into(), document.into(), at, by]).await?;
    Ok(())
}

/// Removes a policy that nobody has any more, with its versions.
pub(crate) async fn delete(connection: &mut Connection, id: PolicyId) -> Result<(), StoreError> {
    connection.execute("DELETE FROM policy_versions WHERE policy_id = $1", &[id.into()]).await?;
    connection.execute("DELETE FROM policies WHERE id = $1", &[id.into()]).await?;
    Ok(())
}

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
    let values = [id.into(), account.into(), name.into(), description.into(), kind.into(), version_id.into(), revision.into(), at, by];
    connection.execute(sql, &values).await?;
    put_version(connection, id, NewVersion { id: version_id, name: version_name, document }, stamp).await
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
    let sql = "INSERT INTO attachments (policy_id, user_id, group_id, role_id, scope, created_at, created_by)
               VALUES ($1, $2, $3, $4, NULL, $5, $6) ON CONFLICT DO NOTHING";
    let (user, group, role) = match to {
        Identity::User(user) => (Some(user), None, None),
        Identity::Group(group) => (None, Some(group), None),
        Identity::Role(role) => (None, None, Some(role)),
    };
    let [at, by] = stamp.values();
    Ok(connection.execute(sql, &[policy.into(), user.into(), group.into(), role.into(), at, by]).await? > 0)
}

/// The policies attached to a user, group or role.
pub(crate) async fn attached(connection: &mut Connection, to: Identity) -> Result<Vec<PolicyId>, StoreError> {
    let rows = match to {
        Identity::User(user) => connection.query("SELECT policy_id FROM attachments WHERE user_id = $1", &[user.into()]).await?,
        Identity::Group(group) => connection.query("SELECT policy_id FROM attachments WHERE group_id = $1", &[group.into()]).await?,
        Identity::Role(role) => connection.query("SELECT policy_id FROM attachments WHERE role_id = $1", &[role.into()]).await?,
    };
    rows.into_iter().map(|mut row| row.parsed()).collect()
}

/// Removes all attachments to a user, group or role.
pub(crate) async fn detach_all(connection: &mut Connection, to: Identity) -> Result<u64, StoreError> {
    match to {
        Identity::User(user) => connection.execute("DELETE FROM attachments WHERE user_id = $1", &[user.into()]).await,
        Identity::Group(group) => connection.execute("DELETE FROM attachments WHERE group_id = $1", &[group.into()]).await,
        Identity::Role(role) => connection.execute("DELETE FROM attachments WHERE role_id = $1", &[role.into()]).await,
    }
}
