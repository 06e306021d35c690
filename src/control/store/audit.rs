//! The audit log: who changed what, from where, and what it was before and after.

use super::StoreError;
use super::connection::Connection;
use super::select::{Select, containing};
use super::value::Row;
use crate::types::{AccountId, Timestamp};

/// An entry. The texts hold no secrets.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// The account of what was changed.
    pub(crate) account: String,
    /// Who did it.
    pub(crate) user: String,
    /// The same as an SRN.
    pub(crate) srn: String,
    /// Where a role did it: by which session.
    pub(crate) session: Option<Session>,
    /// From where, as the gateway saw it.
    pub(crate) address: String,
    /// By which request.
    pub(crate) request_id: String,
    /// The action.
    pub(crate) action: String,
    /// What was changed: the SRN.
    pub(crate) resource: String,
    /// JSON of what it was; `None` when it is new.
    pub(crate) before: Option<String>,
    /// JSON of what it is now; `None` when it is gone.
    pub(crate) after: Option<String>,
}

/// The session by which a role did something.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    /// What whoever took the role called it.
    pub(crate) name: String,
    /// The SRN of the user behind it.
    pub(crate) source: String,
}

/// Writes an entry of the commit `sequence`.
pub(super) async fn insert(
    connection: &mut Connection,
    sequence: u64,
    number: i64,
    entry: &Entry,
    now: Timestamp,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO audit (revision, entry, committed_at, account_id, user_id, srn, address, request_id, action, resource,
               body_before, body_after, session_name, session_source)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)";
    let Entry { account, user, srn, session, address, request_id, action, resource, before, after } = entry;
    let texts = [account, user, srn, address, request_id, action, resource];
    let mut values = vec![sequence.into(), number.into(), now.into()];
    values.extend(texts.map(Into::into));
    let (name, source) = session.as_ref().map(|session| (&session.name, &session.source)).unzip();
    values.extend([before.as_ref().into(), after.as_ref().into(), name.into(), source.into()]);
    connection.execute(sql, &values).await?;
    Ok(())
}

/// Where an entry stands: its commit, and its number within that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// The commit.
    pub(crate) sequence: u64,
    /// The entry of the commit, from 0.
    pub(crate) number: u64,
}

/// An entry as it was written.
#[derive(Debug, Clone)]
pub(crate) struct Logged {
    /// Where it stands.
    pub(crate) place: Place,
    /// When.
    pub(crate) at: Timestamp,
    /// The entry.
    pub(crate) entry: Entry,
}

/// Which entries to show.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filter {
    /// Those about this account; `None`: about any.
    pub(crate) account: Option<AccountId>,
    /// Those older than this one.
    pub(crate) before: Option<Place>,
    /// By this user.
    pub(crate) user: Option<String>,
    /// Of this action.
    pub(crate) action: Option<String>,
    /// About a thing whose SRN contains this.
    pub(crate) resource: Option<String>,
    /// Not before.
    pub(crate) since: Option<Timestamp>,
    /// Before.
    pub(crate) until: Option<Timestamp>,
}

const COLUMNS: &str = "a.revision, a.entry, a.committed_at, a.account_id, a.user_id, a.srn, a.address, a.request_id, a.action, a.resource,
    a.body_before, a.body_after, a.session_name, a.session_source";

/// The newest entries, at most `limit`.
pub(crate) async fn list(connection: &mut Connection, filter: &Filter, limit: u64) -> Result<Vec<Logged>, StoreError> {
    let mut select = match filter.account {
        Some(account) => Select::new(COLUMNS, "FROM audit a WHERE a.account_id = $", account),
        None => Select::new(COLUMNS, "FROM audit a WHERE a.revision >= $", 0_u64),
    };
    if let Some(Place { sequence, number }) = filter.before {
        let values = [sequence.into(), sequence.into(), number.into()];
        select.and_each("(a.revision < $ OR (a.revision = $ AND a.entry < $))", values);
    }
    select.and_some("a.user_id = $", filter.user.as_deref());
    select.and_some("a.action = $", filter.action.as_deref());
    select.and_some("a.resource LIKE $ ESCAPE '\\'", filter.resource.as_deref().map(containing));
    select.and_some("a.committed_at >= $", filter.since);
    select.and_some("a.committed_at < $", filter.until);
    let rows = select.first(connection, "a.revision DESC, a.entry DESC", limit).await?;
    rows.into_iter().map(logged).collect()
}

fn logged(mut row: Row) -> Result<Logged, StoreError> {
    let (place, at) = (Place { sequence: row.count()?, number: row.count()? }, row.time()?);
    let mut entry = Entry {
        account: row.text()?,
        user: row.text()?,
        srn: row.text()?,
        session: None,
        address: row.text()?,
        request_id: row.text()?,
        action: row.text()?,
        resource: row.text()?,
        before: row.optional_text()?,
        after: row.optional_text()?,
    };
    entry.session = row.optional_text()?.zip(row.optional_text()?).map(|(name, source)| Session { name, source });
    Ok(Logged { place, at, entry })
}
