//! SQL of roles, and of who is behind their sessions.

use super::StoreError;
use super::authorship::{Authorship, Stamp};
use super::connection::Connection;
use super::history::only;
use super::select::{Page, Select, WHOLE, containing};
use super::value::Row;
use crate::types::{AccessKeyId, AccountId, PolicyId, RoleId, Timestamp, UserId};

/// A role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Role {
    /// Its id.
    pub(crate) id: RoleId,
    /// The account it belongs to.
    pub(crate) account: AccountId,
    /// Its name.
    pub(crate) name: String,
    /// What it is for.
    pub(crate) description: Option<String>,
    /// `USER_DEFINED`.
    pub(crate) kind: String,
    /// How long a session may be good for, in seconds.
    pub(crate) session_s_max: u64,
    /// Who may take it: the JSON text of its trust policy.
    pub(crate) trust_policy: String,
    /// The commit that changed its own fields last.
    pub(crate) revision: u64,
    /// Whose work it is.
    pub(crate) authorship: Authorship,
}

/// Which roles a list shows; what is `None` or empty does not matter.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filter {
    /// Part of the name.
    pub(crate) name: Option<String>,
    /// One of these types.
    pub(crate) kinds: Vec<String>,
    /// Without the roles that have this policy.
    pub(crate) exclude_policy: Option<PolicyId>,
}

/// What roles can be sorted by: the word of the API and the column.
pub(crate) const ORDERS: [(&str, &str); 3] = [("created_at", "r.created_at"), ("modified_at", "r.modified_at"), ("name", "r.name")];

const COLUMNS: &str = "r.id, r.account_id, r.name, r.description, r.kind, r.max_session_duration, r.trust_policy, r.revision,
    r.created_at, r.created_by, c.user_name, c.email, r.modified_at, r.modified_by, m.user_name, m.email";
const FROM: &str = "FROM roles r LEFT JOIN users c ON c.id = r.created_by LEFT JOIN users m ON m.id = r.modified_by
    WHERE r.account_id = $";

fn role(mut row: Row) -> Result<Role, StoreError> {
    Ok(Role {
        id: row.parsed()?,
        account: row.parsed()?,
        name: row.text()?,
        description: row.optional_text()?,
        kind: row.text()?,
        session_s_max: row.count()?,
        trust_policy: row.text()?,
        revision: row.count()?,
        authorship: Authorship::read(&mut row)?,
    })
}

/// The role of this id in this account.
pub(crate) async fn find(connection: &mut Connection, account: AccountId, id: RoleId) -> Result<Option<Role>, StoreError> {
    let mut select = Select::new(COLUMNS, FROM, account);
    select.and("r.id = $", id);
    let (rows, _) = select.page(connection, &WHOLE, "r.id").await?;
    rows.into_iter().next().map(role).transpose()
}

/// The role of this name in this account.
pub(crate) async fn named(connection: &mut Connection, account: AccountId, name: &str) -> Result<Option<Role>, StoreError> {
    let mut select = Select::new(COLUMNS, FROM, account);
    select.and("r.name = $", name);
    let (rows, _) = select.page(connection, &WHOLE, "r.id").await?;
    rows.into_iter().next().map(role).transpose()
}

/// A page of an account's roles, and how many there are.
pub(crate) async fn list(
    connection: &mut Connection,
    account: AccountId,
    filter: &Filter,
    page: &Page,
) -> Result<(Vec<Role>, u64), StoreError> {
    let mut select = Select::new(COLUMNS, FROM, account);
    select.and_some("r.name LIKE $ ESCAPE '\\'", filter.name.as_deref().map(containing));
    if !filter.kinds.is_empty() {
        select.and_in("r.kind", &filter.kinds);
    }
    select.and_some("NOT EXISTS (SELECT 1 FROM attachments a WHERE a.role_id = r.id AND a.policy_id = $)", filter.exclude_policy);
    let (rows, count) = select.page(connection, page, "r.id").await?;
    Ok((rows.into_iter().map(role).collect::<Result<_, _>>()?, count))
}

/// How many roles an account has.
pub(crate) async fn count(connection: &mut Connection, account: AccountId) -> Result<u64, StoreError> {
    only(connection.first("SELECT COUNT(*) FROM roles WHERE account_id = $1", &[account.into()]).await?)?.count()
}

/// The ids of all roles of an account.
pub(crate) async fn ids(connection: &mut Connection, account: AccountId) -> Result<Vec<RoleId>, StoreError> {
    let sql = "SELECT id FROM roles WHERE account_id = $1 ORDER BY id";
    connection.query(sql, &[account.into()]).await?.into_iter().map(|mut row| row.parsed()).collect()
}

/// A role about to be added.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NewRole<'a> {
    /// Its id.
    pub(crate) id: RoleId,
    /// The account it belongs to.
    pub(crate) account: AccountId,
    /// Its name.
    pub(crate) name: &'a str,
    /// What it is for.
    pub(crate) description: Option<&'a str>,
    /// How long a session may be good for, in seconds.
    pub(crate) session_s_max: u64,
    /// The JSON text of its trust policy.
    pub(crate) trust_policy: &'a str,
}

/// Adds a role that people made.
pub(crate) async fn insert(connection: &mut Connection, role: NewRole<'_>, revision: u64, stamp: Stamp<'_>) -> Result<(), StoreError> {
    let sql = "INSERT INTO roles (id, account_id, name, description, kind, max_session_duration, trust_policy, revision, created_at,
               created_by, modified_at, modified_by) VALUES ($1, $2, $3, $4, 'USER_DEFINED', $5, $6, $7, $8, $9, $8, $9)";
    let NewRole { id, account, name, description, session_s_max, trust_policy } = role;
    let [at, by] = stamp.values();
    let fields = [id.into(), account.into(), name.into(), description.into(), session_s_max.into(), trust_policy.into()];
    connection.execute(sql, &[&fields[..], &[revision.into(), at, by]].concat()).await?;
    Ok(())
}

/// What can be changed of a role.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fields<'a> {
    /// What it is for.
    pub(crate) description: Option<&'a str>,
    /// How long a session may be good for, in seconds.
    pub(crate) session_s_max: u64,
    /// The JSON text of its trust policy.
    pub(crate) trust_policy: &'a str,
}

/// Changes a role's own fields.
pub(crate) async fn update(
    connection: &mut Connection,
    id: RoleId,
    fields: Fields<'_>,
    revision: u64,
    stamp: Stamp<'_>,
) -> Result<(), StoreError> {
    let sql = "UPDATE roles SET description = $2, max_session_duration = $3, trust_policy = $4, revision = $5, modified_at = $6,
               modified_by = $7 WHERE id = $1";
    let Fields { description, session_s_max, trust_policy } = fields;
    let [at, by] = stamp.values();
    connection.execute(sql, &[id.into(), description.into(), session_s_max.into(), trust_policy.into(), revision.into(), at, by]).await?;
    Ok(())
}

/// Says whom of its own account a role lets in by name: ids of users and roles, and [`ANYBODY`].
pub(crate) async fn set_trusted(connection: &mut Connection, id: RoleId, principals: &[String]) -> Result<(), StoreError> {
    connection.execute("DELETE FROM role_trusts WHERE role_id = $1", &[id.into()]).await?;
    for principal in principals {
        let sql = "INSERT INTO role_trusts (role_id, principal_id) VALUES ($1, $2) ON CONFLICT DO NOTHING";
        connection.execute(sql, &[id.into(), principal.into()]).await?;
    }
    Ok(())
}

/// Who stands in `role_trusts` for a role that any user of its account may take, but not everybody.
pub(crate) const ANYBODY: &str = "*";

/// The roles of an account that let somebody of it in; at most `most`.
pub(crate) async fn trusting(
    connection: &mut Connection,
    account: AccountId,
    principal: &str,
    most: u64,
) -> Result<Vec<RoleId>, StoreError> {
    let sql = "SELECT r.id FROM role_trusts t JOIN roles r ON r.id = t.role_id WHERE t.principal_id = $1 AND r.account_id = $2
               ORDER BY r.id LIMIT $3";
    let rows = connection.query(sql, &[principal.into(), account.into(), most.into()]).await?;
    rows.into_iter().map(|mut row| row.parsed()).collect()
}

/// Removes a role that has no policies any more, whom it let in, and what is known of its sessions.
pub(crate) async fn delete(connection: &mut Connection, id: RoleId) -> Result<(), StoreError> {
    forget_sessions_of(connection, id).await?;
    set_trusted(connection, id, &[]).await?;
    connection.execute("DELETE FROM roles WHERE id = $1", &[id.into()]).await?;
    Ok(())
}

/// Who is behind a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Session {
    /// The role.
    pub(crate) role: RoleId,
    /// What whoever took the role called the session.
    pub(crate) name: String,
    /// The user who took the first role of the chain.
    pub(crate) source: UserId,
    /// The same as an SRN.
    pub(crate) source_srn: String,
    /// The JSON text of the policy that narrows it, if one does.
    pub(crate) policy: Option<String>,
    /// When it ends.
    pub(crate) expires_at: Timestamp,
}

/// Notes a session that was issued, and forgets those that have ended.
pub(crate) async fn add_session(
    connection: &mut Connection,
    access_key: AccessKeyId,
    session: &Session,
    now: Timestamp,
) -> Result<(), StoreError> {
    connection.execute("DELETE FROM role_sessions WHERE expires_at <= $1", &[now.into()]).await?;
    let sql = "INSERT INTO role_sessions (access_key, role_id, name, source_id, source_srn, policy, expires_at)
               VALUES ($1, $2, $3, $4, $5, $6, $7)";
    let Session { role, name, source, source_srn, policy, expires_at } = session;
    let whose = [access_key.into(), (*role).into(), name.into(), (*source).into(), source_srn.into()];
    let values = [&whose[..], &[policy.as_ref().into(), (*expires_at).into()]].concat();
    connection.execute(sql, &values).await?;
    Ok(())
}

/// Who is behind the session of this access key; `None` when there is no such session, or it has ended.
pub(crate) async fn session(connection: &mut Connection, access_key: AccessKeyId, now: Timestamp) -> Result<Option<Session>, StoreError> {
    let sql =
        "SELECT role_id, name, source_id, source_srn, policy, expires_at FROM role_sessions WHERE access_key = $1 AND expires_at > $2";
    let Some(mut row) = connection.first(sql, &[access_key.into(), now.into()]).await? else { return Ok(None) };
    let (role, name, source) = (row.parsed()?, row.text()?, row.parsed()?);
    let (source_srn, policy) = (row.text()?, row.optional_text()?);
    Ok(Some(Session { role, name, source, source_srn, policy, expires_at: row.time()? }))
}

/// How many sessions a user is behind that have not ended.
pub(crate) async fn count_sessions_of(connection: &mut Connection, source: UserId, now: Timestamp) -> Result<u64, StoreError> {
    let sql = "SELECT COUNT(*) FROM role_sessions WHERE source_id = $1 AND expires_at > $2";
    only(connection.first(sql, &[source.into(), now.into()]).await?)?.count()
}

/// Forgets who is behind the sessions of a role.
pub(crate) async fn forget_sessions_of(connection: &mut Connection, id: RoleId) -> Result<(), StoreError> {
    connection.execute("DELETE FROM role_sessions WHERE role_id = $1", &[id.into()]).await?;
    Ok(())
}

/// Forgets the sessions of a user who goes.
pub(crate) async fn forget_sessions_by(connection: &mut Connection, source: UserId) -> Result<(), StoreError> {
    connection.execute("DELETE FROM role_sessions WHERE source_id = $1", &[source.into()]).await?;
    Ok(())
}
