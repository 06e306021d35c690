//! SQL of settings: key security of users, console access of users and accounts.

use super::StoreError;
use super::authorship::Stamp;
use super::connection::Connection;
use super::value::{Row, Value};
use crate::types::{AccountId, KeyMethod, Network, Timestamp, UserId};

/// An allowlist, and who set it when.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Allowlist {
    /// Whether it is used.
    pub(crate) enabled: bool,
    /// Its addresses and networks, kept while it is not used.
    pub(crate) addresses: Vec<String>,
    /// The commit that changed it last; 0 when nobody has set it.
    pub(crate) revision: u64,
    /// When it was changed last, and by whom.
    pub(crate) modified: Option<(Timestamp, String)>,
}

/// How a user's keys may be used.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct KeySecurity {
    /// Which kind of key.
    pub(crate) method: KeyMethod,
    /// From where.
    pub(crate) allowlist: Allowlist,
}

/// Whose console access a list restricts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whose {
    /// A user's.
    User(UserId),
    /// Everybody's in the account.
    Account,
}

impl Whose {
    fn user(self) -> Option<UserId> {
        match self {
            Self::User(user) => Some(user),
            Self::Account => None,
        }
    }

    /// The user's id; the empty text for the account.
    fn text(self) -> Value {
        self.user().map_or_else(|| "".into(), Into::into)
    }
}

fn allowlist(mut row: Row) -> Result<Allowlist, StoreError> {
    let enabled = row.boolean()?;
    let addresses = serde_json::from_str(&row.text()?).map_err(|_| StoreError::Column("a list of addresses"))?;
    Ok(Allowlist { enabled, addresses, revision: row.count()?, modified: Some((row.time()?, row.text()?)) })
}

fn printed(addresses: &[String]) -> Value {
    serde_json::Value::from(addresses).to_string().into()
}

/// How a user's keys may be used; `None` when nobody has set it.
pub(crate) async fn key_security(connection: &mut Connection, user: UserId) -> Result<Option<KeySecurity>, StoreError> {
    let sql = "SELECT method, allowlist_enabled, allowed_addresses, revision, modified_at, modified_by FROM key_security
               WHERE user_id = $1";
    let Some(mut row) = connection.first(sql, &[user.into()]).await? else { return Ok(None) };
    let word = row.text()?;
    let method = KeyMethod::ALL.into_iter().find(|method| method.as_str() == word).ok_or(StoreError::Column("a kind of key"))?;
    Ok(Some(KeySecurity { method, allowlist: allowlist(row)? }))
}

/// Sets how a user's keys may be used.
pub(crate) async fn set_key_security(
    connection: &mut Connection,
    user: UserId,
    method: KeyMethod,
    (enabled, addresses): (bool, &[String]),
    revision: u64,
    stamp: Stamp<'_>,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO key_security (user_id, method, allowlist_enabled, allowed_addresses, revision, modified_at, modified_by)
               VALUES ($1, $2, $3, $4, $5, $6, $7)
               ON CONFLICT (user_id) DO UPDATE SET method = $2, allowlist_enabled = $3, allowed_addresses = $4, revision = $5,
               modified_at = $6, modified_by = $7";
    let [at, by] = stamp.values();
    connection.execute(sql, &[user.into(), method.as_str().into(), enabled.into(), printed(addresses), revision.into(), at, by]).await?;
    Ok(())
}

/// From where the console may be used; `None` when nobody has set it.
pub(crate) async fn console_access(connection: &mut Connection, account: AccountId, whose: Whose) -> Result<Option<Allowlist>, StoreError> {
    let sql = "SELECT allowlist_enabled, allowed_addresses, revision, modified_at, modified_by FROM console_access
               WHERE account_id = $1 AND COALESCE(user_id, '') = $2";
    connection.first(sql, &[account.into(), whose.text()]).await?.map(allowlist).transpose()
}

/// The lists that are used: of which account, of which user if it is not the whole account's.
pub(crate) async fn console_lists(connection: &mut Connection) -> Result<Vec<(AccountId, Option<UserId>, Vec<Network>)>, StoreError> {
    let broken = || StoreError::Column("a list of addresses");
    let sql = "SELECT account_id, user_id, allowed_addresses FROM console_access WHERE allowlist_enabled = 1";
    let mut lists = Vec::new();
    for mut row in connection.query(sql, &[]).await? {
        let account = row.parsed()?;
        let user = row.optional_text()?.map(|text| text.parse().map_err(|_| StoreError::Column("a user"))).transpose()?;
        let texts: Vec<String> = serde_json::from_str(&row.text()?).map_err(|_| broken())?;
        let addresses = texts.iter().map(|text| text.parse().map_err(|_| broken())).collect::<Result<_, _>>()?;
        lists.push((account, user, addresses));
    }
    Ok(lists)
}

/// Sets from where the console may be used.
pub(crate) async fn set_console_access(
    connection: &mut Connection,
    (account, whose): (AccountId, Whose),
    (enabled, addresses): (bool, &[String]),
    revision: u64,
    stamp: Stamp<'_>,
) -> Result<(), StoreError> {
    let sql = "DELETE FROM console_access WHERE account_id = $1 AND COALESCE(user_id, '') = $2";
    connection.execute(sql, &[account.into(), whose.text()]).await?;
    let sql = "INSERT INTO console_access (account_id, user_id, allowlist_enabled, allowed_addresses, revision, modified_at, modified_by)
               VALUES ($1, $2, $3, $4, $5, $6, $7)";
    let [at, by] = stamp.values();
    let user = whose.user().into();
    connection.execute(sql, &[account.into(), user, enabled.into(), printed(addresses), revision.into(), at, by]).await?;
    Ok(())
}

/// Removes a user's settings; whether there was one of its keys.
pub(crate) async fn delete_of(connection: &mut Connection, user: UserId) -> Result<bool, StoreError> {
    connection.execute("DELETE FROM console_access WHERE user_id = $1", &[user.into()]).await?;
    Ok(connection.execute("DELETE FROM key_security WHERE user_id = $1", &[user.into()]).await? > 0)
}
