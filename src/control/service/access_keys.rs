//! Access keys: of the caller, and of other users for those who may.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use serde_json::{Value as Json, json};

use super::duration::Duration;
use super::passcodes::{self, Named};
use super::{Accepted, Caller, Precondition, ServiceError, accept, fields, srn, users::guard_root, users::not_found};
use crate::control::random;
use crate::control::store::access_keys::{self, AccessKey, NewAccessKey, PERMANENT, TEMPORARY};
use crate::control::store::connection::Connection;
use crate::control::store::users;
use crate::control::store::{Store, Write};
use crate::snapshot::wire::{self, Record, RecordKey, seal_owner};
use crate::source::{Cursor, SecretRef, Span, Table, Value};
use crate::types::{AccessKeyId, AccountId, AuthenticationType, KeyMethod, Secret, Timestamp, UserId};

/// Most permanent keys of a user (seed 003, L1301).
pub(crate) const PERMANENT_KEYS_MAX: u64 = 2;

/// Most temporary keys made with one key (seed 003, L1304).
const TEMPORARY_KEYS_MAX: u64 = 5;
/// How long a temporary key may last: as long as a key with an end may (seed 003, L1297).
const DURATION_S: RangeInclusive<u64> = 60..=365 * 86_400;

const WHAT: &str = "access key";
pub(super) const KIND: &str = "access-key";

/// What a key is made of.
#[derive(Debug)]
pub(crate) struct Create {
    account: Option<AccountId>,
    description: Option<String>,
    temporary: Option<Temporary>,
}

/// What a temporary key is made of beside that.
#[derive(Debug)]
struct Temporary {
    parent: AccessKeyId,
    passcode: Secret,
    duration: Duration,
}

impl Create {
    /// Reads a body.
    pub(crate) fn decode(cursor: &Cursor<'_>) -> Option<Self> {
        let table = cursor.table()?;
        let kinds = [(PERMANENT, true), (TEMPORARY, false)];
        let permanent = table.required("access_key_type", "write PERMANENT or TEMPORARY", |value| value.one_of(&kinds));
        let account = table.or("account_id", None, |value| fields::id(&value).map(Some));
        let description = table.or("description", None, |value| fields::description(&value));
        let temporary = match permanent {
            Some(false) => Temporary::decode(&table).map(Some),
            Some(true) | None => {
                for name in ["parent_access_key_id", "passcode", "duration"] {
                    let stray = table.take(name).filter(|value| !matches!(value.node().value, Value::Null));
                    if let (Some(true), Some(value)) = (permanent, stray) {
                        value.sensitive_error("a permanent key has none", "leave it out, or write null");
                    }
                }
                Some(None)
            }
        };
        table.finish()?;
        Some(Self { account: account?, description: description?, temporary: temporary? })
    }
}

impl Temporary {
    fn decode(table: &Table<'_>) -> Option<Self> {
        let hint = "write the id of the permanent access key that it is made with";
        let parent = table.required("parent_access_key_id", hint, |value| fields::id(&value));
        let hint = "write the digits that were sent to you";
        // SECURITY: nothing of it is repeated in a complaint.
        let passcode = table.required("passcode", hint, |value| {
            let digits = |text: &str| text.len() == passcodes::DIGITS && text.bytes().all(|byte| byte.is_ascii_digit());
            let found = match &value.node().value {
                Value::String(text) => Some(Secret::new(text.as_bytes())).filter(|_| digits(text)),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::List(_) | Value::Map(_) => None,
            };
            if found.is_none() {
                value.sensitive_error("this is no passcode", format!("write a text of {} digits", passcodes::DIGITS));
            }
            found
        });
        let hint = "write a duration from PT1M to P365D, such as PT1H";
        let duration = table.required("duration", hint, |value| {
            fields::text(&value, hint)?;
            let duration = value.parse::<Duration>(hint)?;
            if !DURATION_S.contains(&duration.0) {
                value.error_hint("the duration is too short or too long", hint);
                return None;
            }
            Some(duration)
        });
        Some(Self { parent: parent?, passcode: passcode?, duration: duration? })
    }
}

/// The body that switches a key on or off.
pub(crate) fn decode_set(cursor: &Cursor<'_>) -> Option<bool> {
    let table = cursor.table()?;
    let enabled = table.required("is_enabled", "write true or false", |value| value.boolean());
    table.finish()?;
    enabled
}

/// The body that removes several keys, and which of those that are left the answer shows.
pub(crate) fn decode_bulk(cursor: &Cursor<'_>) -> Option<(Vec<AccessKeyId>, Window)> {
    let table = cursor.table()?;
    let ids = table.required("ids", "write the ids of the access keys", |value| fields::some_ids(&value));
    let null = |value: &Cursor<'_>| matches!(value.node().value, Value::Null);
    let limit = table.or("limit", None, |value| if null(&value) { Some(None) } else { value.parse(LIMIT_HINT).map(Some) });
    let marker = table.or("marker", None, |value| if null(&value) { Some(None) } else { fields::id(&value).map(Some) });
    let sort = table.or("sort", None, |value| if null(&value) { Some(None) } else { value.parse(SORT_HINT).map(Some) });
    let counted = table.or("with_count", None, |value| if null(&value) { Some(None) } else { value.parse(COUNT_HINT).map(Some) });
    table.finish()?;
    let window = Window { limit: limit?.unwrap_or_default(), marker: marker?, sort: sort?.unwrap_or_default(), ..Window::default() };
    Some((ids?, Window { with_count: counted?.unwrap_or(false), ..window }))
}

/// What to write as a limit.
pub(crate) const LIMIT_HINT: &str = "write a whole number from 1 to 1000";
/// What to write as an order.
pub(crate) const SORT_HINT: &str = "write created_at or modified_at, and `:asc` or `:desc`";
const COUNT_HINT: &str = "write \"true\" or \"false\"";

/// Most keys in one answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limit(pub(crate) usize);

impl Default for Limit {
    fn default() -> Self {
        Self(20)
    }
}

/// How keys are sorted: latest first unless something else is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Sort {
    modified: bool,
    ascending: bool,
}

/// A word that is none of those known.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` cannot stand here")]
pub(crate) struct Unknown(String);

fn unknown(text: &str) -> Unknown {
    Unknown(text.chars().take(64).collect())
}

impl FromStr for Limit {
    type Err = Unknown;

    fn from_str(text: &str) -> Result<Self, Unknown> {
        text.parse().ok().filter(|limit| (1..=1_000).contains(limit)).map(Self).ok_or_else(|| unknown(text))
    }
}

impl FromStr for Sort {
    type Err = Unknown;

    fn from_str(text: &str) -> Result<Self, Unknown> {
        match text {
            "created_at:desc" => Ok(Self { modified: false, ascending: false }),
            "created_at:asc" | "created_at" => Ok(Self { modified: false, ascending: true }),
            "modified_at:desc" => Ok(Self { modified: true, ascending: false }),
            "modified_at:asc" | "modified_at" => Ok(Self { modified: true, ascending: true }),
            _ => Err(unknown(text)),
        }
    }
}

impl fmt::Display for Sort {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let column = if self.modified { "modified_at" } else { "created_at" };
        write!(out, "{column}:{}", if self.ascending { "asc" } else { "desc" })
    }
}

/// Which of a user's keys a list shows.
#[derive(Debug, Clone, Default)]
pub(crate) struct Window {
    /// At most so many.
    pub(crate) limit: Limit,
    /// Those after this one.
    pub(crate) marker: Option<AccessKeyId>,
    /// Their order.
    pub(crate) sort: Sort,
    /// Whether all are to be counted.
    pub(crate) with_count: bool,
    /// Only of this type.
    pub(crate) kind: Option<String>,
    /// Only those made with this key.
    pub(crate) parent: Option<AccessKeyId>,
    /// Only of this account.
    pub(crate) account: Option<AccountId>,
}

/// A part of a user's keys.
#[derive(Debug)]
pub(crate) struct Part {
    /// The keys.
    pub(crate) keys: Vec<AccessKey>,
    /// How many there are in all parts.
    pub(crate) count: usize,
    /// Whether there are more after these.
    pub(crate) more: bool,
}

/// A new key and its secret, which is told once.
#[derive(Debug)]
pub(crate) struct Created {
    /// The key.
    pub(crate) key: AccessKey,
    /// Its secret.
    pub(crate) secret: Secret,
}

/// Keys of a user.
pub(crate) async fn list(store: &Store, caller: &Caller, user: UserId, window: &Window) -> Result<Part, ServiceError> {
    let mut read = store.read().await?;
    users::find(&mut read, caller.account, user).await?.ok_or_else(|| not_found(user))?;
    part(&mut read, caller, user, window).await
}

/// A key of a user.
pub(crate) async fn show(store: &Store, caller: &Caller, user: UserId, id: AccessKeyId) -> Result<AccessKey, ServiceError> {
    let mut read = store.read().await?;
    access_keys::find(&mut read, caller.account, user, id).await?.ok_or_else(|| no_key(id))
}

/// Makes a key for a user: a permanent one, or for the caller a temporary one.
pub(crate) async fn create(
    store: &Store,
    caller: &Caller,
    user: UserId,
    new: Create,
    now: Timestamp,
) -> Result<Accepted<Created>, ServiceError> {
    caller.has_signed()?;
    caller.owns(new.account.unwrap_or(caller.account))?;
    let mut write = store.write().await?;
    let account = owner(&mut write, caller, user).await?;
    let keys = access_keys::of_users(&mut write, account, &[user]).await?.remove(&user).unwrap_or_default();
    let temporary = match &new.temporary {
        None => {
            may_make_permanent(store, caller, user)?;
            if keys.iter().filter(|key| key.kind == PERMANENT).count() as u64 >= PERMANENT_KEYS_MAX {
                return Err(ServiceError::TooMany { of: "user", most: PERMANENT_KEYS_MAX, what: "permanent access keys" });
            }
            None
        }
        Some(asked) => {
            let ends = temporary_key(&mut write, caller, user, (asked, &keys), now).await?;
            match passcodes::redeem(&mut write, user, &asked.passcode, now).await? {
                Named::Right => Some((asked.parent, ends)),
                Named::Wrong { tries_left } => {
                    // What was tried counts also where nothing comes of it.
                    let after = json!({ "passcode": "wrong", "tries_left": tries_left });
                    write.audit(caller.entry(srn(store, account, "user", user), None, Some(after)));
                    write.commit(now).await?;
                    return Err(ServiceError::Invalid(vec![WRONG_PASSCODE.to_owned()]));
                }
            }
        }
    };
    let (id, secret) = (AccessKeyId::from_bytes(random::bytes()?), random::secret()?);
    let sealed = store.sealing_key().seal(&secret, &seal_owner(id, user), random::bytes()?)?;
    let (sequence, stamp) = (write.sequence(), caller.stamp(now));
    let written = NewAccessKey { id, account, user, sealed: &sealed, description: new.description.as_deref(), temporary };
    access_keys::insert(&mut write, &written, sequence, stamp).await?;
    let key = access_keys::find(&mut write, account, user, id).await?.ok_or_else(|| no_key(id))?;
    write.put(record(&key));
    write.audit(caller.entry(srn(store, account, KIND, id), None, Some(shown(&key))));
    accept(write, caller, Created { key, secret }, now).await
}

const WRONG_PASSCODE: &str =
    "`passcode`: it is not the one that was sent to you last, or not good any more; ask for another one (POST /v1/access-keys/send-otp)";

/// Whether the caller may make a permanent key for this user: the gateway lets either kind of key come this far.
///
/// SECURITY: a permanent key outlives the temporary one that made it, so for oneself that needs a setting under which permanent keys
/// do nothing without a passcode. Test: `a_temporary_key_makes_no_key_that_outlives_it`.
fn may_make_permanent(store: &Store, caller: &Caller, user: UserId) -> Result<(), ServiceError> {
    if caller.is_behind(user) {
        return Err(ServiceError::NoToken("a role's session makes no key for the user behind it; sign the request as that user"));
    }
    let own = |user| store.snapshot().user(user).map(|found| found.holds.key_method);
    let method = caller.user().ok().and_then(own).unwrap_or_default();
    let temporary = caller.has_signed_with(AuthenticationType::TemporaryKey);
    if !method.permits(temporary) {
        return Err(ServiceError::NoToken("your key security setting does not permit this kind of key here"));
    }
    if temporary && caller.is(user) && method != KeyMethod::TemporaryKey {
        return Err(ServiceError::NoToken("a temporary key is not enough for this; sign the request with an authentication key"));
    }
    Ok(())
}

/// Whether the caller may make a temporary key with this one; when that would end. Temporary keys that have ended make room.
async fn temporary_key(
    write: &mut Write,
    caller: &Caller,
    user: UserId,
    (asked, keys): (&Temporary, &[AccessKey]),
    now: Timestamp,
) -> Result<Timestamp, ServiceError> {
    if !caller.is(user) {
        let sentence = "`access_key_type`: a temporary key is made by its owner only (POST /v1/access-keys); write PERMANENT";
        return Err(ServiceError::Invalid(vec![sentence.to_owned()]));
    }
    if !caller.has_signed_with(AuthenticationType::AuthenticationKey) {
        return Err(ServiceError::NoToken("a temporary key makes no other one; sign the request with an authentication key"));
    }
    let parent = keys.iter().find(|key| key.id == asked.parent);
    let problem = match parent {
        None => Some("you have no such access key"),
        Some(parent) if parent.kind != PERMANENT => Some("it is a temporary key itself"),
        Some(parent) if !parent.enabled => Some("it is switched off"),
        Some(parent) if parent.expires_at.is_some_and(|end| now >= end) => Some("it has expired"),
        Some(_) => None,
    };
    if let Some(problem) = problem {
        let sentence = format!("`parent_access_key_id`: {problem}; write the id of a permanent access key of yours that is switched on");
        return Err(ServiceError::Invalid(vec![sentence]));
    }
    for ended in access_keys::ended_children(write, asked.parent, now).await? {
        access_keys::delete(write, ended).await?;
        write.delete(RecordKey::AccessKey(ended));
    }
    if access_keys::children(write, asked.parent).await?.len() as u64 >= TEMPORARY_KEYS_MAX {
        return Err(ServiceError::TooMany { of: "permanent access key", most: TEMPORARY_KEYS_MAX, what: "temporary ones" });
    }
    let duration_ms = i64::try_from(asked.duration.0.saturating_mul(1_000)).unwrap_or(i64::MAX);
    let end = Timestamp::from_milliseconds(now.milliseconds().saturating_add(duration_ms));
    Ok(parent.and_then(|parent| parent.expires_at).map_or(end, |parents| parents.min(end)))
}

/// Switches a key on or off.
pub(crate) async fn set(
    store: &Store,
    caller: &Caller,
    (user, id): (UserId, AccessKeyId),
    enabled: bool,
    precondition: &Precondition,
    now: Timestamp,
) -> Result<Accepted<AccessKey>, ServiceError> {
    // To switch one off, a token is enough.
    if enabled {
        caller.has_signed()?;
    }
    let mut write = store.write().await?;
    let account = owner(&mut write, caller, user).await?;
    let before = found(&mut write, account, (user, id), precondition).await?;
    let sequence = write.sequence();
    access_keys::set_enabled(&mut write, id, enabled, sequence, caller.stamp(now)).await?;
    let key = access_keys::find(&mut write, account, user, id).await?.ok_or_else(|| no_key(id))?;
    write.put(record(&key));
    write.audit(caller.entry(srn(store, account, KIND, id), Some(shown(&before)), Some(shown(&key))));
    accept(write, caller, key, now).await
}

/// Removes a key that is switched off.
pub(crate) async fn delete(
    store: &Store,
    caller: &Caller,
    (user, id): (UserId, AccessKeyId),
    precondition: &Precondition,
    now: Timestamp,
) -> Result<Accepted<()>, ServiceError> {
    let mut write = store.write().await?;
    let account = owner(&mut write, caller, user).await?;
    let key = found(&mut write, account, (user, id), precondition).await?;
    remove(&mut write, caller, &[key]).await?;
    accept(write, caller, (), now).await
}

/// Removes several keys of the caller that are switched off, or none; those that are left.
pub(crate) async fn delete_bulk(
    store: &Store,
    caller: &Caller,
    ids: &[AccessKeyId],
    window: &Window,
    now: Timestamp,
) -> Result<Accepted<Part>, ServiceError> {
    let user = caller.user()?;
    let mut write = store.write().await?;
    let mut keys = Vec::with_capacity(ids.len());
    for id in ids {
        keys.push(found(&mut write, caller.account, (user, *id), &Precondition::None).await?);
    }
    remove(&mut write, caller, &keys).await?;
    let left = part(&mut write, caller, user, window).await?;
    accept(write, caller, left, now).await
}

/// The account of a user whose keys the caller may change.
pub(super) async fn owner(write: &mut Write, caller: &Caller, user: UserId) -> Result<AccountId, ServiceError> {
    let owner = users::find(write, caller.account, user).await?.ok_or_else(|| not_found(user))?;
    guard_root(caller, &owner)?;
    Ok(owner.account)
}

/// A key of a user that the caller may change, as they have seen it.
pub(super) async fn found(
    write: &mut Write,
    account: AccountId,
    (user, id): (UserId, AccessKeyId),
    precondition: &Precondition,
) -> Result<AccessKey, ServiceError> {
    let key = access_keys::find(write, account, user, id).await?.ok_or_else(|| no_key(id))?;
    precondition.check(write.store().revision(key.revision))?;
    Ok(key)
}

/// A permanent key that works is not removed by mistake: it must be switched off before (seed 003, L1399). What was made with it
/// goes with it.
async fn remove(write: &mut Write, caller: &Caller, keys: &[AccessKey]) -> Result<(), ServiceError> {
    let working: Vec<String> = keys.iter().filter(|key| key.enabled && key.kind == PERMANENT).map(|key| format!("`{}`", key.id)).collect();
    if !working.is_empty() {
        let sentence = format!("switched on are {}; switch an access key off before you remove it", working.join(", "));
        return Err(ServiceError::State(sentence));
    }
    for key in keys {
        for child in access_keys::children(write, key.id).await? {
            access_keys::delete(write, child).await?;
            write.delete(RecordKey::AccessKey(child));
        }
        access_keys::delete(write, key.id).await?;
        write.delete(RecordKey::AccessKey(key.id));
        let resource = srn(write.store(), key.account, KIND, key.id);
        write.audit(caller.entry(resource, Some(shown(key)), None));
    }
    Ok(())
}

async fn part(connection: &mut Connection, caller: &Caller, user: UserId, window: &Window) -> Result<Part, ServiceError> {
    let mut keys = access_keys::of_users(connection, caller.account, &[user]).await?.remove(&user).unwrap_or_default();
    keys.retain(|key| {
        window.kind.as_ref().is_none_or(|kind| *kind == key.kind)
            && window.account.is_none_or(|account| account == key.account)
            && (window.parent.is_none() || window.parent == key.parent)
    });
    let Sort { modified, ascending } = window.sort;
    keys.sort_by_key(|key| (if modified { key.modified_at } else { key.created_at }, key.id));
    if !ascending {
        keys.reverse();
    }
    let count = keys.len();
    let start = match window.marker {
        None => 0,
        Some(marker) => {
            let place = keys.iter().position(|key| key.id == marker);
            let sentence =
                || format!("`marker`: there is no access key `{marker}` in this list; write the id of the last one you have seen");
            place.ok_or_else(|| ServiceError::Invalid(vec![sentence()]))? + 1
        }
    };
    let keys: Vec<AccessKey> = keys.into_iter().skip(start).take(window.limit.0).collect();
    let more = start + keys.len() < count;
    Ok(Part { keys, count, more })
}

/// The record of a key as it is.
pub(super) fn record(key: &AccessKey) -> Record {
    Record::AccessKey(wire::AccessKey {
        id: key.id,
        user: key.user,
        secret: SecretRef::Sealed(key.sealed.clone()),
        secret_span: Span::default(),
        enabled: key.enabled,
        expires_at: key.expires_at,
        parent: key.parent,
        debug_until: key.debug_until,
    })
}

/// A key in the audit log.
fn shown(key: &AccessKey) -> Json {
    let mut shown =
        json!({ "user_id": key.user.to_string(), "access_key_type": key.kind, "is_enabled": key.enabled, "description": key.description });
    if let (Some(parent), Some(members)) = (key.parent, shown.as_object_mut()) {
        members.insert("parent_access_key_id".to_owned(), json!(parent.to_string()));
        members.insert("expires_at".to_owned(), json!(key.expires_at.map(|end| end.to_string())));
    }
    shown
}

/// There is none with this id.
pub(super) fn no_key(id: AccessKeyId) -> ServiceError {
    ServiceError::NotFound(WHAT, id.to_string())
}
