//! SQL of attachments: whom a policy is attached to.

use super::StoreError;
use super::connection::Connection;
use super::history::only;
use super::select::{Page, Select, containing};
use super::value::Row;
use crate::snapshot::wire::Identity;
use crate::types::{AccountId, PolicyId, Timestamp};

/// A user, group or role that has a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bound {
    /// The user, group or role.
    pub(crate) identity: Identity,
    /// Its name.
    pub(crate) name: String,
    /// What it is for.
    pub(crate) description: Option<String>,
    /// A user's mail address.
    pub(crate) email: Option<String>,
    /// When it was made.
    pub(crate) created_at: Timestamp,
    /// When it was changed last.
    pub(crate) modified_at: Timestamp,
}

/// Which of the three.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Users.
    User,
    /// Groups.
    Group,
    /// Roles.
    Role,
}

/// Whom a list shows; what is `None` does not matter.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filter {
    /// Users, groups or roles.
    pub(crate) kind: Option<Kind>,
    /// This id.
    pub(crate) id: Option<String>,
    /// Part of the name.
    pub(crate) name: Option<String>,
}

/// What they can be sorted by: the word of the API and the column. `created_at` is when the policy was attached.
pub(crate) const ORDERS: [(&str, &str); 2] = [("created_at", "a.created_at"), ("name", "COALESCE(u.user_name, g.name, r.name)")];

const COLUMNS: &str = "a.user_id, a.group_id, a.role_id, COALESCE(u.user_name, g.name, r.name),
    COALESCE(u.description, g.description, r.description), u.email, COALESCE(u.created_at, g.created_at, r.created_at),
    COALESCE(u.modified_at, g.modified_at, r.modified_at)";
// A policy of the system is attached in many accounts.
const FROM: &str = "FROM attachments a LEFT JOIN users u ON u.id = a.user_id LEFT JOIN user_groups g ON g.id = a.group_id
    LEFT JOIN roles r ON r.id = a.role_id WHERE COALESCE(u.account_id, g.account_id, r.account_id) = $";

fn bound(mut row: Row) -> Result<Bound, StoreError> {
    let wrong = || StoreError::Column("a user, a group or a role");
    let identity = match (row.optional_text()?, row.optional_text()?, row.optional_text()?) {
        (Some(user), None, None) => Identity::User(user.parse().map_err(|_| wrong())?),
        (None, Some(group), None) => Identity::Group(group.parse().map_err(|_| wrong())?),
        (None, None, Some(role)) => Identity::Role(role.parse().map_err(|_| wrong())?),
        _ => return Err(wrong()),
    };
    let (name, description, email) = (row.text()?, row.optional_text()?, row.optional_text()?);
    Ok(Bound { identity, name, description, email, created_at: row.time()?, modified_at: row.time()? })
}

/// A page of the account's users, groups and roles that have a policy, and how many there are.
pub(crate) async fn list(
    connection: &mut Connection,
    account: AccountId,
    policy: PolicyId,
    filter: &Filter,
    page: &Page,
) -> Result<(Vec<Bound>, u64), StoreError> {
    let mut select = Select::new(COLUMNS, FROM, account);
    select.and("a.policy_id = $", policy);
    match filter.kind {
        Some(Kind::User) => select.and_plain("a.user_id IS NOT NULL"),
        Some(Kind::Group) => select.and_plain("a.group_id IS NOT NULL"),
        Some(Kind::Role) => select.and_plain("a.role_id IS NOT NULL"),
        None => {}
    }
    select.and_some("COALESCE(a.user_id, a.group_id, a.role_id) = $", filter.id.as_ref());
    select.and_some("COALESCE(u.user_name, g.name, r.name) LIKE $ ESCAPE '\\'", filter.name.as_deref().map(containing));
    let (rows, count) = select.page(connection, page, "COALESCE(a.user_id, a.group_id, a.role_id)").await?;
    Ok((rows.into_iter().map(bound).collect::<Result<_, _>>()?, count))
}

/// How many policies a user, group or role has.
pub(crate) async fn count(connection: &mut Connection, to: Identity) -> Result<u64, StoreError> {
    let row = match to {
        Identity::User(user) => connection.first("SELECT COUNT(*) FROM attachments WHERE user_id = $1", &[user.into()]).await?,
        Identity::Group(group) => connection.first("SELECT COUNT(*) FROM attachments WHERE group_id = $1", &[group.into()]).await?,
        Identity::Role(role) => connection.first("SELECT COUNT(*) FROM attachments WHERE role_id = $1", &[role.into()]).await?,
    };
    only(row)?.count()
}

/// Takes a policy from a user, group or role; `false` when it had not got it.
pub(crate) async fn detach(connection: &mut Connection, policy: PolicyId, from: Identity) -> Result<bool, StoreError> {
    let removed = match from {
        Identity::User(user) => {
            connection.execute("DELETE FROM attachments WHERE policy_id = $1 AND user_id = $2", &[policy.into(), user.into()]).await?
        }
        Identity::Group(group) => {
            connection.execute("DELETE FROM attachments WHERE policy_id = $1 AND group_id = $2", &[policy.into(), group.into()]).await?
        }
        Identity::Role(role) => {
            connection.execute("DELETE FROM attachments WHERE policy_id = $1 AND role_id = $2", &[policy.into(), role.into()]).await?
        }
    };
    Ok(removed > 0)
}
