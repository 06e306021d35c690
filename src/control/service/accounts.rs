//! Accounts, all of them: for the operator's people only, as the table of routes says.

use std::ops::RangeInclusive;

use serde_json::{Value as Json, json};

use super::bootstrap::{self, FirstKey, Names, ROOT};
use super::{Accepted, Caller, Precondition, ServiceError, accept, fields, portcullis_srn, roles, tokens};
use crate::control::store::accounts::{self, Account, Filter, Listed};
use crate::control::store::select::Page;
use crate::control::store::{Store, audit, roles as store_roles, users};
use crate::snapshot::wire::{self, Record};
use crate::source::Cursor;
use crate::types::{AccountId, Timestamp};

/// Characters of an account's name.
const NAME_CHARS: RangeInclusive<usize> = 1..=64;
/// Characters of a user's name (seed 003, L244).
const USER_NAME_CHARS: RangeInclusive<usize> = 1..=64;
/// Most accounts of one control plane.
const ACCOUNTS_MAX: u64 = 100_000;

const WHAT: &str = "account";

/// What an account is made of.
#[derive(Debug)]
pub(crate) struct Create {
    name: String,
    administrator: String,
}

impl Create {
    /// Reads a body.
    pub(crate) fn decode(cursor: &Cursor<'_>) -> Option<Self> {
        let table = cursor.table()?;
        let name = table.required("name", "write the account's name", |value| account_name(&value));
        let hint = r#"write {"user_name": "NAME"}, the name of its first administrator"#;
        let administrator = table.required("administrator", hint, |value| {
            let user = value.table()?;
            let name = user.required("user_name", "write the administrator's name", |value| user_name(&value));
            user.finish()?;
            name
        });
        table.finish()?;
        Some(Self { name: name?, administrator: administrator? })
    }
}

/// What can be changed of an account.
#[derive(Debug)]
pub(crate) struct Set {
    name: String,
    active: bool,
}

impl Set {
    /// Reads a body.
    pub(crate) fn decode(cursor: &Cursor<'_>) -> Option<Self> {
        let table = cursor.table()?;
        let name = table.required("name", "write the account's name", |value| account_name(&value));
        let active = table.required("active", "write true or false", |value| value.boolean());
        table.finish()?;
        Some(Self { name: name?, active: active? })
    }
}

fn account_name(cursor: &Cursor<'_>) -> Option<String> {
    let hint = format!("write {} to {} characters, no control characters, no blank at either end", NAME_CHARS.start(), NAME_CHARS.end());
    let text = fields::text(cursor, &hint)?;
    if !NAME_CHARS.contains(&text.chars().count()) || text.chars().any(char::is_control) || text.trim() != text {
        cursor.error_hint("the name is not usable", hint);
        return None;
    }
    Some(text)
}

fn user_name(cursor: &Cursor<'_>) -> Option<String> {
    let name = fields::name(cursor, USER_NAME_CHARS)?;
    if name == ROOT {
        cursor.error_hint(format!("`{ROOT}` is the name of the account's root user"), "write another name");
        return None;
    }
    Some(name)
}

/// A new account and who may use it.
#[derive(Debug)]
pub(crate) struct Founded {
    /// The account.
    pub(crate) listed: Listed,
    /// The administrator's name.
    pub(crate) administrator: String,
    /// Its people and the key, with its secret.
    pub(crate) key: FirstKey,
}

/// A page of all accounts, and how many there are.
pub(crate) async fn list(store: &Store, filter: &Filter, page: &Page) -> Result<(Vec<Listed>, u64), ServiceError> {
    let mut read = store.read().await?;
    Ok(accounts::list(&mut read, filter, page).await?)
}

/// An account.
pub(crate) async fn show(store: &Store, id: AccountId) -> Result<Listed, ServiceError> {
    let mut read = store.read().await?;
    accounts::show(&mut read, id).await?.ok_or_else(|| not_found(id))
}

/// Makes an account with its first people and key.
pub(crate) async fn create(store: &Store, caller: &Caller, new: Create, now: Timestamp) -> Result<Accepted<Founded>, ServiceError> {
    caller.has_signed()?;
    let mut write = store.write().await?;
    if accounts::count(&mut write).await? >= ACCOUNTS_MAX {
        return Err(ServiceError::AllTaken { what: "accounts", most: ACCOUNTS_MAX });
    }
    let names = Names { account: &new.name, administrator: &new.administrator };
    let key = bootstrap::found(&mut write, names, false, caller.stamp(now)).await?;
    let listed = accounts::show(&mut write, key.account).await?.ok_or_else(|| not_found(key.account))?;
    write.audit(entry(store, caller, key.account, None, bootstrap::founded(names, &key)));
    accept(write, caller, Founded { listed, administrator: new.administrator, key }, now).await
}

/// Changes an account's name, and switches it on or off.
pub(crate) async fn set(
    store: &Store,
    caller: &Caller,
    id: AccountId,
    set: Set,
    precondition: &Precondition,
    now: Timestamp,
) -> Result<Accepted<Listed>, ServiceError> {
    let mut write = store.write().await?;
    let before = accounts::find(&mut write, id).await?.ok_or_else(|| not_found(id))?;
    precondition.check(store.revision(before.revision))?;
    if before.operator && !set.active {
        return Err(ServiceError::Fixed("the operator's own account cannot be switched off".to_owned()));
    }
    let after = Account { name: set.name, active: set.active, revision: write.sequence(), ..before.clone() };
    accounts::update(&mut write, &after, caller.stamp(now)).await?;
    // They are not to work again when the account is switched on again.
    if before.active && !after.active {
        for user in users::ids(&mut write, id).await? {
            tokens::end(&mut write, user).await?;
        }
        for role in store_roles::ids(&mut write, id).await? {
            roles::end(&mut write, role).await?;
        }
    }
    write.put(Record::Account(wire::Account { id, name: after.name.clone(), active: after.active }));
    write.audit(entry(store, caller, id, Some(shown(&before)), shown(&after)));
    let listed = accounts::show(&mut write, id).await?.ok_or_else(|| not_found(id))?;
    accept(write, caller, listed, now).await
}

/// In the log of the account that it is about: its people see what the operator did to it.
fn entry(store: &Store, caller: &Caller, id: AccountId, before: Option<Json>, after: Json) -> audit::Entry {
    let resource = portcullis_srn(store, caller.account, WHAT, id);
    audit::Entry { account: id.to_string(), ..caller.entry(resource, before, Some(after)) }
}

/// An account in the audit log.
fn shown(account: &Account) -> Json {
    json!({ "name": account.name, "active": account.active })
}

fn not_found(id: AccountId) -> ServiceError {
    ServiceError::NotFound(WHAT, id.to_string())
}
