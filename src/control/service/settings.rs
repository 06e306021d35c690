//! Settings: from where a user's keys may be used, and from where the console may be used.

use std::collections::HashSet;
use std::net::IpAddr;

use serde_json::{Value as Json, json};

use super::{Accepted, Caller, Precondition, ServiceError, accept, fields, srn, users::guard_root, users::not_found};
use crate::control::delivery::Delivery;
use crate::control::store::connection::Connection;
use crate::control::store::settings::{self, Allowlist, KeySecurity, Whose};
use crate::control::store::users::{self, User};
use crate::control::store::{Store, StoreError, Write};
use crate::snapshot::wire::{ALLOWED_ADDRESSES_MAX, ConsoleOf, Record};
use crate::source::Cursor;
use crate::types::{AccountId, AuthenticationType, KeyMethod, Network, NetworkSet, Timestamp, UserId};

/// Most addresses from where an account's console may be used (seed 002, L216).
const ACCOUNT_ADDRESSES_MAX: usize = 20;
/// What is said where a passcode is wanted and none can be sent.
pub(crate) const NO_PASSCODES: &str =
    "this control plane sends no passcodes, so there are no temporary keys; its operator can configure `passcodes`";

const LOOSENS: &str = "only a permanent access key that your key security setting permits loosens it; let somebody else set it";

/// An allowlist about to be set.
#[derive(Debug)]
pub(crate) struct Set {
    enabled: bool,
    addresses: Vec<Network>,
    /// Which kind of key; `None` leaves that as it is.
    method: Option<KeyMethod>,
    lock_me_out: bool,
}

/// What an allowlist may hold.
#[derive(Debug, Clone, Copy)]
enum Kind {
    /// Of a user's keys: addresses and networks; used and empty, it refuses everybody.
    Keys,
    /// The same in a region whose rules know no networks (seed 003, L1392).
    KeysOfSingleAddresses,
    /// Of a user's console: at least one address or network when it is used (seed 003, L1430).
    Console,
    /// Of an account's console: single addresses.
    Account,
}

impl Set {
    /// Reads a body about keys, in a region that may want single addresses.
    pub(crate) fn decode_keys(cursor: &Cursor<'_>, single_addresses: bool) -> Option<Self> {
        Self::decode(cursor, if single_addresses { Kind::KeysOfSingleAddresses } else { Kind::Keys })
    }

    /// Reads a body about a user's console.
    pub(crate) fn decode_console(cursor: &Cursor<'_>) -> Option<Self> {
        Self::decode(cursor, Kind::Console)
    }

    /// Reads a body about an account's console.
    pub(crate) fn decode_account(cursor: &Cursor<'_>) -> Option<Self> {
        Self::decode(cursor, Kind::Account)
    }

    fn decode(cursor: &Cursor<'_>, kind: Kind) -> Option<Self> {
        let table = cursor.table()?;
        let about_keys = matches!(kind, Kind::Keys | Kind::KeysOfSingleAddresses);
        let words = KeyMethod::ALL.map(|method| (method.as_str(), method));
        let method = if about_keys { table.optional("authentication_method", |value| value.one_of(&words)) } else { Some(None) };
        let enabled = table.required("allowlist_enabled", "write true or false", |value| value.boolean());
        let addresses = table.required("allowed_addresses", r#"write a list such as ["10.0.0.0/16", "192.0.2.1"]"#, |value| {
            let addresses = addresses(&value, kind)?;
            if enabled == Some(true) && addresses.is_empty() && !about_keys {
                value.error_hint("the list is used and empty", "write at least one address, or switch the list off");
                return None;
            }
            Some(addresses)
        });
        let lock_me_out = table.or("lock_me_out", false, |value| value.boolean());
        table.finish()?;
        Some(Self { enabled: enabled?, addresses: addresses?, method: method?, lock_me_out: lock_me_out? })
    }

    /// Refuses what would shut the caller out, unless they say that they want it.
    fn spares(&self, caller: &Caller) -> Result<(), ServiceError> {
        if !self.enabled || self.lock_me_out {
            return Ok(());
        }
        let allowed: NetworkSet = self.addresses.iter().copied().collect();
        if caller.address.parse::<IpAddr>().is_ok_and(|address| allowed.contains(address)) {
            return Ok(());
        }
        let shown = if caller.address.is_empty() { "which is not known" } else { &caller.address };
        let sentence = format!("this would refuse your own present address, {shown}; add it, or send `\"lock_me_out\": true`");
        Err(ServiceError::State(sentence))
    }

    /// Refuses the caller's own keys more ways in than they have now, unless a permanent key signed that they may use.
    ///
    /// SECURITY: a temporary key makes a permanent one where that does nothing without a passcode; if it then also changed the setting,
    /// the permanent key would work for ever. Tests: `only_a_permanent_key_that_is_permitted_loosens_ones_own_key_security`,
    /// `a_temporary_key_makes_no_key_that_outlives_it`.
    fn keeps_tight(&self, caller: &Caller, before: &KeySecurity, method: KeyMethod) -> Result<(), ServiceError> {
        let another_kind = [false, true].into_iter().any(|temporary| method.permits(temporary) && !before.method.permits(temporary));
        let allowed = |Allowlist { enabled, addresses, .. }: &Allowlist| {
            if !enabled {
                return Ok(NetworkSet::everything());
            }
            let networks = addresses.iter().map(|text| text.parse::<Network>());
            networks.collect::<Result<NetworkSet, _>>().map_err(|_| StoreError::Column("an address"))
        };
        let after: NetworkSet = if self.enabled { self.addresses.iter().copied().collect() } else { NetworkSet::everything() };
        let from_elsewhere = !after.without(&allowed(&before.allowlist)?).is_empty();
        let permitted = caller.has_signed_with(AuthenticationType::AuthenticationKey) && before.method.permits(false);
        if (another_kind || from_elsewhere) && !permitted { Err(ServiceError::NoToken(LOOSENS)) } else { Ok(()) }
    }

    fn texts(&self) -> Vec<String> {
        self.addresses.iter().map(ToString::to_string).collect()
    }

    fn shown(&self) -> Json {
        json!({ "allowlist_enabled": self.enabled, "allowed_addresses": self.texts() })
    }
}

fn addresses(cursor: &Cursor<'_>, kind: Kind) -> Option<Vec<Network>> {
    let (most, single) = match kind {
        Kind::Keys | Kind::Console => (ALLOWED_ADDRESSES_MAX, false),
        Kind::KeysOfSingleAddresses => (ALLOWED_ADDRESSES_MAX, true),
        Kind::Account => (ACCOUNT_ADDRESSES_MAX, true),
    };
    let hint = if single { "write one address such as 192.0.2.1" } else { "write one address or network such as 192.0.2.1 or 10.0.0.0/16" };
    let mut seen = HashSet::new();
    let all = cursor.list(|value| {
        fields::text(&value, hint)?;
        let network = value.parse::<Network>(hint)?;
        if single && !network.is_single() {
            value.error_hint(format!("`{network}` is a network"), hint);
            return None;
        }
        if !seen.insert(network) {
            value.error_hint(format!("`{network}` stands here twice"), "write each once");
            return None;
        }
        Some(network)
    })?;
    if all.len() > most {
        cursor.error_hint(format!("there are {} entries", all.len()), format!("write at most {most}"));
        return None;
    }
    Some(all)
}

/// How a user's keys may be used.
pub(crate) async fn key_security(store: &Store, caller: &Caller, user: UserId) -> Result<KeySecurity, ServiceError> {
    let mut read = store.read().await?;
    found(&mut read, caller, user).await?;
    Ok(settings::key_security(&mut read, user).await?.unwrap_or_default())
}

/// Sets how a user's keys may be used.
pub(crate) async fn set_key_security(
    store: &Store,
    caller: &Caller,
    (user, set): (UserId, Set),
    delivery: &Delivery,
    precondition: &Precondition,
    now: Timestamp,
) -> Result<Accepted<KeySecurity>, ServiceError> {
    let mut write = store.write().await?;
    let account = found_to_change(&mut write, caller, user).await?.account;
    let before = settings::key_security(&mut write, user).await?.unwrap_or_default();
    precondition.check(store.revision(before.allowlist.revision))?;
    let method = set.method.unwrap_or(before.method);
    if caller.is(user) || caller.is_behind(user) {
        set.keeps_tight(caller, &before, method)?;
    }
    if caller.is(user) {
        set.spares(caller)?;
    }
    if method == KeyMethod::TemporaryKey && method != before.method && !delivery.delivers() && !set.lock_me_out {
        let sentence = format!("nobody could make a key that is permitted then: {NO_PASSCODES}; or send `\"lock_me_out\": true`");
        return Err(ServiceError::State(sentence));
    }
    let (sequence, texts) = (write.sequence(), set.texts());
    settings::set_key_security(&mut write, user, method, (set.enabled, &texts), sequence, caller.stamp(now)).await?;
    let after = settings::key_security(&mut write, user).await?.unwrap_or_default();
    write.audit(caller.entry(srn(store, account, "user", user), Some(shown_keys(&before)), Some(shown_keys(&after))));
    write.put(Record::KeySecurity { user, method, allowed_addresses: set.enabled.then_some(set.addresses) });
    accept(write, caller, after, now).await
}

/// From where a user may use the console.
pub(crate) async fn user_console(store: &Store, caller: &Caller, user: UserId) -> Result<Allowlist, ServiceError> {
    let mut read = store.read().await?;
    let account = found(&mut read, caller, user).await?.account;
    Ok(settings::console_access(&mut read, account, Whose::User(user)).await?.unwrap_or_default())
}

/// Sets from where a user may use the console.
pub(crate) async fn set_user_console(
    store: &Store,
    caller: &Caller,
    user: UserId,
    set: Set,
    precondition: &Precondition,
    now: Timestamp,
) -> Result<Accepted<Allowlist>, ServiceError> {
    let mut write = store.write().await?;
    let account = found_to_change(&mut write, caller, user).await?.account;
    if caller.is(user) {
        set.spares(caller)?;
    }
    let resource = srn(store, account, "user", user);
    set_console(write, caller, (account, Whose::User(user), resource), &set, precondition, now).await
}

/// From where an account's console may be used.
pub(crate) async fn account_console(store: &Store, caller: &Caller, account: AccountId) -> Result<Allowlist, ServiceError> {
    caller.owns(account)?;
    let mut read = store.read().await?;
    Ok(settings::console_access(&mut read, account, Whose::Account).await?.unwrap_or_default())
}

/// Sets from where an account's console may be used.
pub(crate) async fn set_account_console(
    store: &Store,
    caller: &Caller,
    account: AccountId,
    set: Set,
    precondition: &Precondition,
    now: Timestamp,
) -> Result<Accepted<Allowlist>, ServiceError> {
    caller.owns(account)?;
    set.spares(caller)?;
    let resource = srn(store, account, "account", account);
    set_console(store.write().await?, caller, (account, Whose::Account, resource), &set, precondition, now).await
}

async fn set_console(
    mut write: Write,
    caller: &Caller,
    (account, whose, resource): (AccountId, Whose, String),
    set: &Set,
    precondition: &Precondition,
    now: Timestamp,
) -> Result<Accepted<Allowlist>, ServiceError> {
    let before = settings::console_access(&mut write, account, whose).await?.unwrap_or_default();
    precondition.check(write.store().revision(before.revision))?;
    let of = match whose {
        Whose::User(user) => ConsoleOf::User(user),
        Whose::Account => ConsoleOf::Account(account),
    };
    write.put(Record::ConsoleAccess { of, allowed_addresses: set.enabled.then(|| set.addresses.clone()) });
    let sequence = write.sequence();
    settings::set_console_access(&mut write, (account, whose), (set.enabled, &set.texts()), sequence, caller.stamp(now)).await?;
    write.audit(caller.entry(resource, Some(shown(&before)), Some(set.shown())));
    let after = settings::console_access(&mut write, account, whose).await?.unwrap_or_default();
    accept(write, caller, after, now).await
}

/// Tells gateways of the lists that were set before there was anybody to be told.
pub(crate) async fn publish_console(store: &Store, now: Timestamp) -> Result<(), StoreError> {
    let mut write = store.write().await?;
    let mut missing = false;
    for (account, user, addresses) in settings::console_lists(&mut write).await? {
        let of = user.map_or(ConsoleOf::Account(account), ConsoleOf::User);
        let record = Record::ConsoleAccess { of, allowed_addresses: Some(addresses) };
        if !write.was_there(&record.key()).await? {
            missing = true;
            write.put(record);
        }
    }
    if missing {
        write.commit(now).await?;
    }
    Ok(())
}

async fn found(connection: &mut Connection, caller: &Caller, user: UserId) -> Result<User, ServiceError> {
    users::find(connection, caller.account, user).await?.ok_or_else(|| not_found(user))
}

async fn found_to_change(write: &mut Write, caller: &Caller, user: UserId) -> Result<User, ServiceError> {
    let user = found(write, caller, user).await?;
    guard_root(caller, &user)?;
    Ok(user)
}

/// An allowlist in the audit log.
fn shown(allowlist: &Allowlist) -> Json {
    json!({ "allowlist_enabled": allowlist.enabled, "allowed_addresses": allowlist.addresses })
}

fn shown_keys(KeySecurity { method, allowlist }: &KeySecurity) -> Json {
    json!({
        "authentication_method": method.as_str(), "allowlist_enabled": allowlist.enabled, "allowed_addresses": allowlist.addresses,
    })
}
