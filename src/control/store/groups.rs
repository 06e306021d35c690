//! SQL of groups and memberships.

use std::collections::HashMap;

use super::StoreError;
use super::authorship::{Authorship, Stamp};
use super::connection::Connection;
use super::history::only;
use super::select::{Page, Select, WHOLE, containing};
use super::value::Row;
use crate::types::{AccountId, GroupId, PolicyId, Timestamp, UserId};

/// A group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Group {
    /// Its id.
    pub(crate) id: GroupId,
    /// The account it belongs to.
    pub(crate) account: AccountId,
    /// Its name.
    pub(crate) name: String,
    /// What it is for.
    pub(crate) description: Option<String>,
    /// `USER_DEFINED` or `DEFAULT`.
    pub(crate) kind: String,
    /// The commit that changed its own fields last.
    pub(crate) revision: u64,
    /// Whose work it is.
    pub(crate) authorship: Authorship,
}

/// A member of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Member {
    /// The user.
    pub(crate) user: UserId,
    /// Its name.
    pub(crate) name: String,
    /// Its mail address.
    pub(crate) email: Option<String>,
    /// When the user was made.
    pub(crate) user_created_at: Timestamp,
    /// When it logged in last.
    pub(crate) user_last_login_at: Option<Timestamp>,
    /// When it was added to the group.
    pub(crate) added_at: Timestamp,
    /// By whom: a user's id, or `system`.
    pub(crate) added_by: String,
    /// The name of who added it.
    pub(crate) creator_name: Option<String>,
    /// The mail address of who added it.
    pub(crate) creator_email: Option<String>,
    /// When who added it was made.
    pub(crate) creator_created_at: Option<Timestamp>,
    /// When who added it logged in last.
    pub(crate) creator_last_login_at: Option<Timestamp>,
}

/// Which groups a list shows; what is `None` or empty does not matter.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filter {
    /// Part of the name.
    pub(crate) name: Option<String>,
    /// One of these types.
    pub(crate) kinds: Vec<String>,
    /// One of these ids.
    pub(crate) ids: Vec<String>,
    /// With or without members.
    pub(crate) has_member: Option<bool>,
    /// Part of the creator's name.
    pub(crate) creator_name: Option<String>,
    /// Part of the creator's mail address.
    pub(crate) creator_email: Option<String>,
    /// Part of the modifier's name.
    pub(crate) modifier_name: Option<String>,
    /// Part of the modifier's mail address.
    pub(crate) modifier_email: Option<String>,
    /// Without the groups of this user.
    pub(crate) exclude_user: Option<UserId>,
    /// Without the groups that have this policy.
    pub(crate) exclude_policy: Option<PolicyId>,
}

/// What groups can be sorted by: the word of the API and the column.
pub(crate) const ORDERS: [(&str, &str); 3] = [("created_at", "g.created_at"), ("modified_at", "g.modified_at"), ("name", "g.name")];
/// What members can be sorted by.
pub(crate) const MEMBER_ORDERS: [(&str, &str); 2] = [("created_at", "p.created_at"), ("user_name", "u.user_name")];

const COLUMNS: &str = "g.id, g.account_id, g.name, g.description, g.kind, g.revision,
    g.created_at, g.created_by, c.user_name, c.email, g.modified_at, g.modified_by, m.user_name, m.email";
const FROM: &str = "FROM user_groups g LEFT JOIN users c ON c.id = g.created_by LEFT JOIN users m ON m.id = g.modified_by
    WHERE g.account_id = $";
const MEMBER_COLUMNS: &str = "u.id, u.user_name, u.email, u.created_at, u.last_login_at, p.created_at, p.created_by,
    c.user_name, c.email, c.created_at, c.last_login_at";
const MEMBER_FROM: &str = "FROM memberships p JOIN users u ON u.id = p.user_id LEFT JOIN users c ON c.id = p.created_by
    WHERE p.group_id = $";

fn group(mut row: Row) -> Result<Group, StoreError> {
    let (id, account, name) = (row.parsed()?, row.parsed()?, row.text()?);
    let (description, kind, revision) = (row.optional_text()?, row.text()?, row.count()?);
    Ok(Group { id, account, name, description, kind, revision, authorship: Authorship::read(&mut row)? })
}

fn member(mut row: Row) -> Result<Member, StoreError> {
    Ok(Member {
        user: row.parsed()?,
        name: row.text()?,
        email: row.optional_text()?,
        user_created_at: row.time()?,
        user_last_login_at: row.optional_time()?,
        added_at: row.time()?,
        added_by: row.text()?,
        creator_name: row.optional_text()?,
        creator_email: row.optional_text()?,
        creator_created_at: row.optional_time()?,
        creator_last_login_at: row.optional_time()?,
    })
}

/// The group of this id in this account.
pub(crate) async fn find(connection: &mut Connection, account: AccountId, id: GroupId) -> Result<Option<Group>, StoreError> {
    let mut select = Select::new(COLUMNS, FROM, account);
    select.and("g.id = $", id);
    let (rows, _) = select.page(connection, &WHOLE, "g.id").await?;
    rows.into_iter().next().map(group).transpose()
}

/// A page of an account's groups, and how many there are.
pub(crate) async fn list(
    connection: &mut Connection,
    account: AccountId,
    filter: &Filter,
    page: &Page,
) -> Result<(Vec<Group>, u64), StoreError> {
    let mut select = Select::new(COLUMNS, FROM, account);
    let parts = |text: &Option<String>| text.as_deref().map(containing);
    select.and_some("g.name LIKE $ ESCAPE '\\'", parts(&filter.name));
    select.and_some("c.user_name LIKE $ ESCAPE '\\'", parts(&filter.creator_name));
    select.and_some("c.email LIKE $ ESCAPE '\\'", parts(&filter.creator_email));
    select.and_some("m.user_name LIKE $ ESCAPE '\\'", parts(&filter.modifier_name));
    select.and_some("m.email LIKE $ ESCAPE '\\'", parts(&filter.modifier_email));
    if !filter.kinds.is_empty() {
        select.and_in("g.kind", &filter.kinds);
    }
    if !filter.ids.is_empty() {
        select.and_in("g.id", &filter.ids);
    }
    match filter.has_member {
        Some(true) => select.and_plain("EXISTS (SELECT 1 FROM memberships p WHERE p.group_id = g.id)"),
        Some(false) => select.and_plain("NOT EXISTS (SELECT 1 FROM memberships p WHERE p.group_id = g.id)"),
        None => {}
    }
    select.and_some("NOT EXISTS (SELECT 1 FROM memberships p WHERE p.group_id = g.id AND p.user_id = $)", filter.exclude_user);
    select.and_some("NOT EXISTS (SELECT 1 FROM attachments a WHERE a.group_id = g.id AND a.policy_id = $)", filter.exclude_policy);
    let (rows, count) = select.page(connection, page, "g.id").await?;
    Ok((rows.into_iter().map(group).collect::<Result<_, _>>()?, count))
}

/// How many groups an account has.
pub(crate) async fn count(connection: &mut Connection, account: AccountId) -> Result<u64, StoreError> {
    only(connection.first("SELECT COUNT(*) FROM user_groups WHERE account_id = $1", &[account.into()]).await?)?.count()
}

/// What is written of a group.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fields<'a> {
    /// Its name.
    pub(crate) name: &'a str,
    /// What it is for.
    pub(crate) description: Option<&'a str>,
}

/// Adds a group that people made.
pub(crate) async fn insert(
    connection: &mut Connection,
    account: AccountId,
    id: GroupId,
    fields: Fields<'_>,
    revision: u64,
    stamp: Stamp<'_>,
) -> Result<(), StoreError> {
    let sql =
        "INSERT INTO user_groups (id, account_id, name, description, kind, revision, created_at, created_by, modified_at, modified_by)
               VALUES ($1, $2, $3, $4, 'USER_DEFINED', $5, $6, $7, $6, $7)";
    let [at, by] = stamp.values();
    let values = [id.into(), account.into(), fields.name.into(), fields.description.into(), revision.into(), at, by];
    connection.execute(sql, &values).await?;
    Ok(())
}

/// Changes a group's own fields.
pub(crate) async fn update(
    connection: &mut Connection,
    id: GroupId,
    fields: Fields<'_>,
    revision: u64,
    stamp: Stamp<'_>,
) -> Result<(), StoreError> {
    let sql = "UPDATE user_groups SET name = $2, description = $3, revision = $4, modified_at = $5, modified_by = $6 WHERE id = $1";
    let [at, by] = stamp.values();
    connection.execute(sql, &[id.into(), fields.name.into(), fields.description.into(), revision.into(), at, by]).await?;
    Ok(())
}

/// Removes a group that has neither members nor policies any more.
pub(crate) async fn delete(connection: &mut Connection, id: GroupId) -> Result<(), StoreError> {
    connection.execute("DELETE FROM user_groups WHERE id = $1", &[id.into()]).await?;
    Ok(())
}

/// A page of a group's members, and how many there are.
pub(crate) async fn members(connection: &mut Connection, group: GroupId, page: &Page) -> Result<(Vec<Member>, u64), StoreError> {
    let (rows, count) = Select::new(MEMBER_COLUMNS, MEMBER_FROM, group).page(connection, page, "u.id").await?;
    Ok((rows.into_iter().map(member).collect::<Result<_, _>>()?, count))
}

/// All members of a group.
pub(crate) async fn all_members(connection: &mut Connection, group: GroupId) -> Result<Vec<Member>, StoreError> {
    Ok(members(connection, group, &WHOLE).await?.0)
}

/// A member of a group.
pub(crate) async fn member_of(connection: &mut Connection, group: GroupId, user: UserId) -> Result<Option<Member>, StoreError> {
    let mut select = Select::new(MEMBER_COLUMNS, MEMBER_FROM, group);
    select.and("p.user_id = $", user);
    let (rows, _) = select.page(connection, &WHOLE, "u.id").await?;
    rows.into_iter().next().map(member).transpose()
}

/// The names of all groups of each member of a group, in order.
pub(crate) async fn names_of_members(connection: &mut Connection, group: GroupId) -> Result<HashMap<UserId, Vec<String>>, StoreError> {
    let sql = "SELECT p.user_id, g.name FROM memberships p JOIN user_groups g ON g.id = p.group_id
               WHERE p.user_id IN (SELECT user_id FROM memberships WHERE group_id = $1) ORDER BY g.name";
    let mut names: HashMap<UserId, Vec<String>> = HashMap::new();
    for mut row in connection.query(sql, &[group.into()]).await? {
        names.entry(row.parsed()?).or_default().push(row.text()?);
    }
    Ok(names)
}

/// Adds a member; `false` when it was one already.
pub(crate) async fn add_member(connection: &mut Connection, group: GroupId, user: UserId, stamp: Stamp<'_>) -> Result<bool, StoreError> {
    let sql = "INSERT INTO memberships (group_id, user_id, created_at, created_by) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
    let [at, by] = stamp.values();
    Ok(connection.execute(sql, &[group.into(), user.into(), at, by]).await? > 0)
}

/// Removes a member; `false` when it was none.
pub(crate) async fn remove_member(connection: &mut Connection, group: GroupId, user: UserId) -> Result<bool, StoreError> {
    let sql = "DELETE FROM memberships WHERE group_id = $1 AND user_id = $2";
    Ok(connection.execute(sql, &[group.into(), user.into()]).await? > 0)
}
