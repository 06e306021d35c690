//! Settings: key security of users, console access of users and accounts. The vendor publishes no API of these; it is our own.

use serde::Serialize;

use super::call::{Answer, Call};
use super::error::ApiError;
use crate::control::service::Accepted;
use crate::control::service::settings::{self, Set};
use crate::control::store::settings::{Allowlist, KeySecurity};
use crate::types::{AccountId, UserId};

#[derive(Serialize)]
struct Keys {
    authentication_method: &'static str,
    #[serde(flatten)]
    allowlist: Body,
    user_id: String,
}

#[derive(Serialize)]
struct ConsoleAccess {
    account_id: String,
    #[serde(flatten)]
    allowlist: Body,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<String>,
}

#[derive(Serialize)]
struct Body {
    allowed_addresses: Vec<String>,
    allowlist_enabled: bool,
    modified_at: Option<String>,
    modified_by: Option<String>,
    warnings: Vec<&'static str>,
}

impl Body {
    fn new(allowlist: Allowlist) -> Self {
        let mut warnings = Vec::new();
        if allowlist.enabled && allowlist.addresses.is_empty() {
            warnings.push("the list is used and empty: every address is refused");
        }
        let (modified_at, modified_by) = allowlist.modified.map(|(at, by)| (at.to_string(), by)).unzip();
        Self { allowed_addresses: allowlist.addresses, allowlist_enabled: allowlist.enabled, modified_at, modified_by, warnings }
    }
}

fn user(call: &Call) -> Result<UserId, ApiError> {
    call.id("user", "user_id")
}

fn account(call: &Call) -> Result<AccountId, ApiError> {
    call.id("account", "account_id")
}

fn keys(call: &Call, user: UserId, KeySecurity { method, allowlist }: KeySecurity) -> Answer {
    let revision = call.revision(allowlist.revision);
    let (user_id, allowlist) = (user.to_string(), Body::new(allowlist));
    Answer::ok(&Keys { authentication_method: method.as_str(), allowlist, user_id }).tagged(revision)
}

fn console(call: &Call, user: Option<UserId>, allowlist: Allowlist) -> Answer {
    let revision = call.revision(allowlist.revision);
    let (account_id, user_id) = (call.caller.account.to_string(), user.map(|id| id.to_string()));
    Answer::ok(&ConsoleAccess { account_id, allowlist: Body::new(allowlist), user_id }).tagged(revision)
}

fn written<T>(accepted: Accepted<T>, print: impl FnOnce(T) -> Answer) -> Answer {
    let (accepted, setting) = accepted.split();
    print(setting).committed(&accepted)
}

pub(super) async fn key_security(call: Call) -> Result<Answer, ApiError> {
    let user = user(&call)?;
    let security = settings::key_security(&call.store, &call.caller, user).await?;
    Ok(keys(&call, user, security))
}

pub(super) async fn set_key_security(call: Call) -> Result<Answer, ApiError> {
    let single_addresses = call.means.single_addresses;
    let (user, set) = (user(&call)?, call.decode(|cursor| Set::decode_keys(cursor, single_addresses))?);
    let (precondition, delivery) = (call.precondition(), &call.means.delivery);
    let accepted = settings::set_key_security(&call.store, &call.caller, (user, set), delivery, &precondition, call.now).await?;
    Ok(written(accepted, |security| keys(&call, user, security)))
}

pub(super) async fn user_console(call: Call) -> Result<Answer, ApiError> {
    let user = user(&call)?;
    let allowlist = settings::user_console(&call.store, &call.caller, user).await?;
    Ok(console(&call, Some(user), allowlist))
}

pub(super) async fn set_user_console(call: Call) -> Result<Answer, ApiError> {
    let (user, set) = (user(&call)?, call.decode(Set::decode_console)?);
    let accepted = settings::set_user_console(&call.store, &call.caller, user, set, &call.precondition(), call.now).await?;
    Ok(written(accepted, |allowlist| console(&call, Some(user), allowlist)))
}

pub(super) async fn account_console(call: Call) -> Result<Answer, ApiError> {
    let allowlist = settings::account_console(&call.store, &call.caller, account(&call)?).await?;
    Ok(console(&call, None, allowlist))
}

pub(super) async fn set_account_console(call: Call) -> Result<Answer, ApiError> {
    let (account, set) = (account(&call)?, call.decode(Set::decode_account)?);
    let accepted = settings::set_account_console(&call.store, &call.caller, account, set, &call.precondition(), call.now).await?;
    Ok(written(accepted, |allowlist| console(&call, None, allowlist)))
}
