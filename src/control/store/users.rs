//! SQL of users.

use std::collections::HashMap;

use super::StoreError;
use super::authorship::{Authorship, Stamp};
use super::connection::Connection;
use super::history::only;
use super::select::{Page, Select, WHOLE, containing};
use super::value::Row;
use crate::types::{AccountId, Timestamp, UserId};

/// What deciding about a user needs; the API's own fields are read by the lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct User {
    /// Its id.
    pub(crate) id: UserId,
    /// The account it belongs to.
    pub(crate) account: AccountId,
    /// Its name.
    pub(crate) name: String,
    /// Whether it is the account's root user.
    pub(crate) root: bool,
    /// Whether it is active.
    pub(crate) active: bool,
}

/// The user of this id in this account.
pub(crate) async fn find(connection: &mut Connection, account: AccountId, id: UserId) -> Result<Option<User>, StoreError> {
    let sql = "SELECT id, account_id, user_name, root, active FROM users WHERE account_id = $1 AND id = $2";
    let Some(mut row) = connection.first(sql, &[account.into(), id.into()]).await? else { return Ok(None) };
    let (id, account, name, root) = (row.parsed()?, row.parsed()?, row.text()?, row.boolean()?);
    Ok(Some(User { id, account, name, root, active: row.boolean()? }))
}

/// Adds a user without a password.
pub(crate) async fn insert(connection: &mut Connection, user: &User, revision: u64, stamp: Stamp<'_>) -> Result<(), StoreError> {
    let sql = "INSERT INTO users (id, account_id, user_name, root, active, email_authenticated, phone_authenticated,
               password_temporary, password_reuse_count, revision, created_at, created_by, modified_at, modified_by)
               VALUES ($1, $2, $3, $4, $5, 0, 0, 0, 0, $6, $7, $8, $7, $8)";
    let User { id, account, name, root, active } = user;
    let [at, by] = stamp.values();
    let values = [(*id).into(), (*account).into(), name.into(), (*root).into(), (*active).into(), revision.into(), at, by];
    connection.execute(sql, &values).await?;
    Ok(())
}

/// Everything that the API shows of a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Profile {
    /// What decides.
    pub(crate) user: User,
    /// What it is for.
    pub(crate) description: Option<String>,
    /// Its mail address.
    pub(crate) email: Option<String>,
    /// Whether it has shown that it reads its mail.
    pub(crate) email_authenticated: bool,
    /// Whether it has shown that it has its phone.
    pub(crate) phone_authenticated: bool,
    /// Its first name.
    pub(crate) first_name: Option<String>,
    /// Its last name.
    pub(crate) last_name: Option<String>,
    /// Its company.
    pub(crate) company_name: Option<String>,
    /// The name of its time zone.
    pub(crate) timezone: Option<String>,
    /// The id of its time zone.
    pub(crate) tz_id: Option<String>,
    /// The zone's distance from UTC.
    pub(crate) utc_offset: Option<String>,
    /// The zone's distance from UTC in summer.
    pub(crate) dst_offset: Option<String>,
    /// How many of its last passwords it may not use again.
    pub(crate) password_reuse_count: u64,
    /// When its password was set last.
    pub(crate) last_password_update_at: Option<Timestamp>,
    /// When it logged in last.
    pub(crate) last_login_at: Option<Timestamp>,
    /// The commit that changed its own fields last.
    pub(crate) revision: u64,
    /// Whose work it is.
    pub(crate) authorship: Authorship,
}

/// Which users a list shows; what is `None` or empty does not matter.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filter {
    /// Part of the name.
    pub(crate) name: Option<String>,
    /// Part of the mail address.
    pub(crate) email: Option<String>,
    /// One of these types: `IAM`, `ROOT`.
    pub(crate) kinds: Vec<String>,
}

/// What users can be sorted by: the word of the API and the column.
pub(crate) const ORDERS: [(&str, &str); 5] = [
    ("created_at", "u.created_at"),
    ("modified_at", "u.modified_at"),
    ("user_name", "u.user_name"),
    ("email", "u.email"),
    ("last_login_at", "u.last_login_at"),
];

const COLUMNS: &str = "u.id, u.account_id, u.user_name, u.root, u.active, u.description, u.email, u.email_authenticated,
    u.phone_authenticated, u.first_name, u.last_name, u.company_name, u.timezone, u.tz_id, u.utc_offset, u.dst_offset,
    u.password_reuse_count, u.last_password_update_at, u.last_login_at, u.revision,
    u.created_at, u.created_by, c.user_name, c.email, u.modified_at, u.modified_by, m.user_name, m.email";
const FROM: &str = "FROM users u LEFT JOIN users c ON c.id = u.created_by LEFT JOIN users m ON m.id = u.modified_by
    WHERE u.account_id = $";

fn profile(mut row: Row) -> Result<Profile, StoreError> {
    let (id, account, name, root) = (row.parsed()?, row.parsed()?, row.text()?, row.boolean()?);
    Ok(Profile {
        user: User { id, account, name, root, active: row.boolean()? },
        description: row.optional_text()?,
        email: row.optional_text()?,
        email_authenticated: row.boolean()?,
        phone_authenticated: row.boolean()?,
        first_name: row.optional_text()?,
        last_name: row.optional_text()?,
        company_name: row.optional_text()?,
        timezone: row.optional_text()?,
        tz_id: row.optional_text()?,
        utc_offset: row.optional_text()?,
        dst_offset: row.optional_text()?,
        password_reuse_count: row.count()?,
        last_password_update_at: row.optional_time()?,
        last_login_at: row.optional_time()?,
        revision: row.count()?,
        authorship: Authorship::read(&mut row)?,
    })
}

/// The whole user of this id in this account.
pub(crate) async fn find_profile(connection: &mut Connection, account: AccountId, id: UserId) -> Result<Option<Profile>, StoreError> {
    let mut select = Select::new(COLUMNS, FROM, account);
    select.and("u.id = $", id);
    let (rows, _) = select.page(connection, &WHOLE, "u.id").await?;
    rows.into_iter().next().map(profile).transpose()
}

/// A page of an account's users, and how many there are.
pub(crate) async fn list(
    connection: &mut Connection,
    account: AccountId,
    filter: &Filter,
    page: &Page,
) -> Result<(Vec<Profile>, u64), StoreError> {
    let mut select = Select::new(COLUMNS, FROM, account);
    select.and_some("u.user_name LIKE $ ESCAPE '\\'", filter.name.as_deref().map(containing));
    select.and_some("u.email LIKE $ ESCAPE '\\'", filter.email.as_deref().map(containing));
    if !filter.kinds.is_empty() {
        select.and_in("CASE u.root WHEN 1 THEN 'ROOT' ELSE 'IAM' END", &filter.kinds);
    }
    let (rows, count) = select.page(connection, page, "u.id").await?;
    Ok((rows.into_iter().map(profile).collect::<Result<_, _>>()?, count))
}

/// How many users an account has.
pub(crate) async fn count(connection: &mut Connection, account: AccountId) -> Result<u64, StoreError> {
    only(connection.first("SELECT COUNT(*) FROM users WHERE account_id = $1", &[account.into()]).await?)?.count()
}

/// The ids of all users of an account.
pub(crate) async fn ids(connection: &mut Connection, account: AccountId) -> Result<Vec<UserId>, StoreError> {
    let sql = "SELECT id FROM users WHERE account_id = $1 ORDER BY id";
    connection.query(sql, &[account.into()]).await?.into_iter().map(|mut row| row.parsed()).collect()
}

/// What is written of a user.
#[derive(Debug, Clone)]
pub(crate) struct Fields {
    /// What it is for.
    pub(crate) description: Option<String>,
    /// Its mail address.
    pub(crate) email: Option<String>,
    /// Whether it has shown that it reads its mail.
    pub(crate) email_authenticated: bool,
    /// Whether it is active.
    pub(crate) active: bool,
    /// How many of its last passwords it may not use again.
    pub(crate) password_reuse_count: u64,
}

/// Changes a user's own fields.
pub(crate) async fn update(
    connection: &mut Connection,
    id: UserId,
    fields: &Fields,
    revision: u64,
    stamp: Stamp<'_>,
) -> Result<(), StoreError> {
    let sql = "UPDATE users SET description = $2, email = $3, email_authenticated = $4, active = $5, password_reuse_count = $6,
               revision = $7, modified_at = $8, modified_by = $9 WHERE id = $1";
    let Fields { description, email, email_authenticated, active, password_reuse_count } = fields;
    let (description, email) = (description.as_ref().into(), email.as_ref().into());
    let [at, by] = stamp.values();
    let flags = ((*email_authenticated).into(), (*active).into(), (*password_reuse_count).into());
    connection.execute(sql, &[id.into(), description, email, flags.0, flags.1, flags.2, revision.into(), at, by]).await?;
    Ok(())
}

/// Hashes of a user's last passwords, newest first: at most `most`.
pub(crate) async fn last_passwords(connection: &mut Connection, id: UserId, most: u64) -> Result<Vec<String>, StoreError> {
    let sql = "SELECT hash FROM passwords WHERE user_id = $1 ORDER BY set_at DESC LIMIT $2";
    connection.query(sql, &[id.into(), most.into()]).await?.into_iter().map(|mut row| row.text()).collect()
}

/// What a login is compared with.
#[derive(Debug)]
pub(crate) struct Login {
    /// The user.
    pub(crate) user: User,
    /// The hash of their password; `None` when they have none.
    pub(crate) hash: Option<String>,
    /// Whether it is to be changed at the first login.
    pub(crate) temporary: bool,
}

/// The user of this name in this account.
pub(crate) async fn login(connection: &mut Connection, account: AccountId, name: &str) -> Result<Option<Login>, StoreError> {
    let sql = "SELECT id, account_id, user_name, root, active, password_hash, password_temporary FROM users
               WHERE account_id = $1 AND user_name = $2";
    let Some(mut row) = connection.first(sql, &[account.into(), name.into()]).await? else { return Ok(None) };
    let (id, account, name, root) = (row.parsed()?, row.parsed()?, row.text()?, row.boolean()?);
    let user = User { id, account, name, root, active: row.boolean()? };
    Ok(Some(Login { user, hash: row.optional_text()?, temporary: row.boolean()? }))
}

/// Notes that a user is in.
pub(crate) async fn logged_in(connection: &mut Connection, id: UserId, now: Timestamp) -> Result<(), StoreError> {
    connection.execute("UPDATE users SET last_login_at = $2 WHERE id = $1", &[id.into(), now.into()]).await?;
    Ok(())
}

/// A password about to be set.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NewPassword<'a> {
    /// Its hash.
    pub(crate) hash: &'a str,
    /// Whether it is to be changed at the first login.
    pub(crate) temporary: bool,
    /// How many hashes are kept, with this one.
    pub(crate) kept: u64,
}

/// Sets a user's password.
pub(crate) async fn set_password(
    connection: &mut Connection,
    id: UserId,
    password: NewPassword<'_>,
    revision: u64,
    stamp: Stamp<'_>,
) -> Result<(), StoreError> {
    let newest = connection.first("SELECT MAX(set_at) FROM passwords WHERE user_id = $1", &[id.into()]).await?;
    let newest = only(newest)?.optional_integer()?;
    // Two in one millisecond, or a clock that was set back: the order must stay.
    let set_at = newest.map_or(stamp.at.milliseconds(), |newest| stamp.at.milliseconds().max(newest.saturating_add(1)));
    let sql = "INSERT INTO passwords (user_id, set_at, hash) VALUES ($1, $2, $3)";
    connection.execute(sql, &[id.into(), set_at.into(), password.hash.into()]).await?;
    let sql = "DELETE FROM passwords WHERE user_id = $1
               AND set_at NOT IN (SELECT set_at FROM passwords WHERE user_id = $1 ORDER BY set_at DESC LIMIT $2)";
    connection.execute(sql, &[id.into(), password.kept.into()]).await?;
    let sql = "UPDATE users SET password_hash = $2, password_temporary = $3, last_password_update_at = $4, revision = $5,
               modified_at = $4, modified_by = $6 WHERE id = $1";
    let [at, by] = stamp.values();
    connection.execute(sql, &[id.into(), password.hash.into(), password.temporary.into(), at, revision.into(), by]).await?;
    Ok(())
}

/// Removes a user that has neither keys nor settings nor policies any more, with its passwords and memberships.
pub(crate) async fn delete(connection: &mut Connection, id: UserId) -> Result<(), StoreError> {
    connection.execute("DELETE FROM passwords WHERE user_id = $1", &[id.into()]).await?;
    connection.execute("DELETE FROM memberships WHERE user_id = $1", &[id.into()]).await?;
    connection.execute("DELETE FROM users WHERE id = $1", &[id.into()]).await?;
    Ok(())
}

/// Something that users have, by id and name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Named {
    /// Its id.
    pub(crate) id: String,
    /// Its name.
    pub(crate) name: String,
}

/// The groups of each of these users, by name.
pub(crate) async fn groups_of(
    connection: &mut Connection,
    account: AccountId,
    users: &[UserId],
) -> Result<HashMap<UserId, Vec<Named>>, StoreError> {
    let from = "FROM memberships p JOIN user_groups g ON g.id = p.group_id WHERE g.account_id = $";
    let mut select = Select::new("p.user_id, g.id, g.name", from, account);
    select.and_in("p.user_id", users.iter().copied());
    named(connection, &select, "g.name, g.id").await
}

/// The policies attached to each of these users themselves, by name.
pub(crate) async fn policies_of(
    connection: &mut Connection,
    account: AccountId,
    users: &[UserId],
) -> Result<HashMap<UserId, Vec<Named>>, StoreError> {
    let from = "FROM attachments a JOIN policies p ON p.id = a.policy_id JOIN users u ON u.id = a.user_id WHERE u.account_id = $";
    let mut select = Select::new("DISTINCT a.user_id, p.id, p.policy_name", from, account);
    select.and_in("a.user_id", users.iter().copied());
    named(connection, &select, "p.policy_name, p.id").await
}

async fn named(connection: &mut Connection, select: &Select, order: &'static str) -> Result<HashMap<UserId, Vec<Named>>, StoreError> {
    let mut found: HashMap<UserId, Vec<Named>> = HashMap::new();
    for mut row in select.page(connection, &WHOLE, order).await?.0 {
        let user = row.parsed()?;
        found.entry(user).or_default().push(Named { id: row.text()?, name: row.text()? });
    }
    Ok(found)
}
