//! Console logins: a name and a password for a token.
//!
//! SECURITY: whoever asks has proved nothing yet. A name that nobody has costs what a wrong password costs and gets the same answer, and
//! where somebody may come from is told only to who knows the password. Tests: `whoever_is_wrong_learns_nothing`,
//! `a_console_is_used_from_allowed_addresses_only`.

use std::ops::RangeInclusive;

use serde_json::json;

use super::escalation::Escalation;
use super::password::{Attempt, Password};
use super::throttle::{SentAway, Throttle, Trier};
use super::tokens::{self, Issued};
use super::{Accepted, Actor, Caller, ServiceError, accept, fields, srn};
use crate::control::store::users::{self, Login, NewPassword};
use crate::control::store::{Store, Write, accounts};
use crate::source::Cursor;
use crate::types::{AccountId, AuthenticationType, Timestamp};

/// How long a token may be good for, in seconds (contracts C11 names the longest).
const DURATION_S: RangeInclusive<u64> = 60..=43_200;
const DURATION_DEFAULT_S: u64 = 3_600;
/// Characters of a name that are looked for at all.
const NAME_CHARS_MAX: usize = 64;
/// Said where there is no place for a login, or for its body.
pub(crate) const NO_PLACE: ServiceError = ServiceError::TooOften { sentence: "too many logins at the moment; try again", wait_s: 1 };

/// What somebody says who wants in.
#[derive(Debug)]
pub(crate) struct Create {
    account: AccountId,
    name: String,
    password: Attempt,
    new_password: Option<Password>,
    duration_s: u64,
}

impl Create {
    /// Reads a body.
    pub(crate) fn decode(cursor: &Cursor<'_>) -> Option<Self> {
        let table = cursor.table()?;
        let account = table.required("account_id", "write the id of the account", |value| fields::id(&value));
        let name = table.required("user_name", "write the user's name", |value| {
            let name = fields::text(&value, "write the user's name")?;
            // Not repeated: people write their password into the wrong field.
            if name.chars().count() > NAME_CHARS_MAX {
                value.sensitive_error("the name is too long", format!("write at most {NAME_CHARS_MAX} characters"));
                return None;
            }
            Some(name)
        });
        let password = table.required("password", "write the user's password", |value| Attempt::decode(&value));
        let new_password = table.or("new_password", None, |value| Password::decode(&value).map(Some));
        let duration_s = table.or("duration_seconds", DURATION_DEFAULT_S, |value| value.integer(DURATION_S, "seconds"));
        table.finish()?;
        let (password, new_password) = (password?, new_password?);
        Some(Self { account: account?, name: name?, password, new_password, duration_s: duration_s? })
    }
}

/// From where somebody asks, and with what right.
#[derive(Debug, Clone)]
pub(crate) struct Visitor {
    /// The client's address, as the gateway saw it.
    pub(crate) address: String,
    /// The request.
    pub(crate) request_id: String,
    /// What happens when somebody gives more than they have; a login gives nothing.
    pub(crate) escalation: Escalation,
    /// The action that the request is.
    pub(crate) action: &'static str,
}

/// Lets somebody in: a token, for a name and a password.
pub(crate) async fn create(
    store: &Store,
    throttle: &Throttle,
    visitor: &Visitor,
    asked: Create,
    now: Timestamp,
) -> Result<Accepted<Issued>, ServiceError> {
    let Create { account, name, password, new_password, duration_s } = asked;
    let trier = Trier::new(account, &name, &visitor.address);
    let _place = throttle.begin(&trier, &visitor.address, now).map_err(|sent_away| match sent_away {
        SentAway::NoPlace => NO_PLACE,
        SentAway::TooSoon(wait_s) => ServiceError::TooOften { sentence: "too many logins have failed; wait, then try again", wait_s },
    })?;
    let mut read = store.read().await?;
    let active = accounts::find(&mut read, account).await?.filter(|found| found.active);
    let found = users::login(&mut read, account, &name).await?;
    drop(read);
    let hash = found.as_ref().and_then(|found| found.hash.clone());
    let right = password.verify(hash.clone()).await?;
    let (Some(account), Some(Login { user, temporary, .. })) = (active, found.filter(|found| right && found.user.active)) else {
        return Err(ServiceError::WrongLogin);
    };
    throttle.succeeded(&trier);
    let snapshot = store.snapshot();
    let known = snapshot.user(user.id).ok_or(ServiceError::WrongLogin)?;
    let caller = Caller {
        account: account.id,
        operator: account.operator,
        actor: Actor::User(user.id),
        actor_text: user.id.to_string(),
        srn: known.principal.srn.to_string(),
        session: None,
        address: visitor.address.clone(),
        authentication_type: AuthenticationType::ConsoleLogin.as_str().to_owned(),
        mfa: false,
        access_key: None,
        escalation: visitor.escalation,
        request_id: visitor.request_id.clone(),
        action: visitor.action,
    };
    if !snapshot.console_allows(known, visitor.address.parse().ok()) {
        return Err(ServiceError::NoToken("the console access list does not include the address this request came from"));
    }
    let fresh = match (temporary, new_password) {
        (false, None) => None,
        (true, None) => return Err(ServiceError::State("the password is a temporary one; send `new_password` beside it".to_owned())),
        (_, Some(fresh)) => Some(super::users::fresh_password(store, &user, fresh).await?),
    };
    let mut write = store.write().await?;
    unchanged(&mut write, &caller, &name, hash).await?;
    if let Some(fresh) = &fresh {
        let sequence = write.sequence();
        let password = NewPassword { hash: &fresh.hash, temporary: false, kept: fresh.kept };
        users::set_password(&mut write, user.id, password, sequence, caller.stamp(now)).await?;
        tokens::end(&mut write, user.id).await?;
    }
    users::logged_in(&mut write, user.id, now).await?;
    let (issued, shown) = tokens::for_console(&mut write, &caller, duration_s, now).await?;
    let after = json!({ "token": shown, "password": fresh.map(|_| "another one") });
    write.audit(caller.entry(srn(store, account.id, "user", user.id), None, Some(after)));
    accept(write, &caller, issued, now).await
}

/// Whether all is as it was before the password was compared, which takes a while.
///
/// SECURITY: a user or an account that is switched off meanwhile gets no token, for the end of tokens was before it. Tests:
/// `a_login_on_its_way_does_not_survive_that_its_user_is_switched_off`, and the same of an account.
async fn unchanged(write: &mut Write, caller: &Caller, name: &str, hash: Option<String>) -> Result<(), ServiceError> {
    let account = accounts::find(write, caller.account).await?;
    let login = users::login(write, caller.account, name).await?.filter(|found| caller.is(found.user.id) && found.user.active);
    let (true, Some(login)) = (account.is_some_and(|found| found.active), login) else { return Err(ServiceError::WrongLogin) };
    if login.hash == hash { Ok(()) } else { Err(ServiceError::Changed) }
}
