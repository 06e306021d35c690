//! Passcodes: sent to a user, good once, for a few minutes and a few tries (contracts C11).
//!
//! SECURITY: six digits are guessed in a moment by whoever may try them all, so what is kept is a MAC under a key that is not in the
//! database, each has five tries, and only so many are sent in an hour. Tests: `a_passcode_has_five_tries`,
//! `a_passcode_is_good_once_and_for_five_minutes`, `only_so_many_passcodes_are_sent`.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde_json::json;

use super::{Accepted, Caller, ServiceError, accept, srn, users::not_found};
use crate::control::delivery::{Delivery, Message};
use crate::control::random;
use crate::control::store::passcodes::{self, Passcode};
use crate::control::store::{Store, Write, users};
use crate::source::Cursor;
use crate::types::{Secret, SigningKey, Timestamp, UserId};

/// Digits of a passcode (wire-formats 2.1).
pub(crate) const DIGITS: usize = 6;
/// How long one is good for.
const LIFE_MS: i64 = 5 * 60 * 1_000;
/// How often one may be tried.
const TRIES: u64 = 5;
/// How many are sent to one user in `COUNTED_MS`.
const SENT_MAX: u64 = 10;
const COUNTED_MS: u64 = 60 * 60 * 1_000;

/// How a passcode is asked for.
#[derive(Debug)]
pub(crate) struct Send {
    method: &'static str,
    locale: &'static str,
}

impl Send {
    /// Reads a body.
    pub(crate) fn decode(cursor: &Cursor<'_>) -> Option<Self> {
        let table = cursor.table()?;
        let hint = "write EMAIL or PHONE";
        let method = table.required("method", hint, |value| value.one_of(&[("EMAIL", "EMAIL"), ("PHONE", "PHONE")]));
        let locale = table.or("locale", "en_US", |value| value.one_of(&[("ko_KR", "ko_KR"), ("en_US", "en_US")]));
        table.finish()?;
        Some(Self { method: method?, locale: locale? })
    }
}

/// Sends a new passcode to the caller; the one before is not good any more.
pub(crate) async fn send(
    store: &Store,
    caller: &Caller,
    delivery: &Delivery,
    asked: Send,
    now: Timestamp,
) -> Result<Accepted<()>, ServiceError> {
    caller.has_signed()?;
    let user = caller.user()?;
    if !delivery.delivers() {
        return Err(ServiceError::State(super::settings::NO_PASSCODES.to_owned()));
    }
    let mut write = store.write().await?;
    let profile = users::find_profile(&mut write, caller.account, user).await?.ok_or_else(|| not_found(user))?;
    let to = profile.email.as_deref().filter(|_| asked.method == "EMAIL");
    if let Some(sentence) = delivery.cannot_reach(asked.method, to) {
        return Err(ServiceError::State(sentence.to_owned()));
    }
    let before = passcodes::find(&mut write, user).await?;
    let (sent, counted_from) = match before {
        Some(found) if found.counted_from.distance_ms(now) < COUNTED_MS => (found.sent, found.counted_from),
        Some(_) | None => (0, now),
    };
    if sent >= SENT_MAX {
        let wait_s = COUNTED_MS.saturating_sub(counted_from.distance_ms(now)).div_ceil(1_000);
        return Err(ServiceError::TooOften { sentence: "passcodes were sent too often; wait an hour after the first of them", wait_s });
    }
    let passcode = random::digits::<DIGITS>()?;
    let expires_at = Timestamp::from_milliseconds(now.milliseconds().saturating_add(LIFE_MS));
    let mac = mac(store, user, expires_at, &passcode);
    passcodes::put(&mut write, user, &Passcode { mac, tries_left: TRIES, expires_at, sent: sent + 1, counted_from }).await?;
    let after = json!({ "passcode": "sent", "method": asked.method, "expires_at": expires_at.to_string() });
    write.audit(caller.entry(srn(store, caller.account, "user", user), None, Some(after)));
    // First what it is compared with, then itself: one that cannot be used is never sent.
    let accepted = accept(write, caller, (), now).await?;
    let message = Message {
        account: caller.account,
        user,
        user_name: &profile.user.name,
        method: asked.method,
        to,
        locale: asked.locale,
        passcode: &passcode,
        expires_at,
    };
    delivery.deliver(&message).await.map_err(ServiceError::NotSent)?;
    Ok(accepted)
}

/// What became of a passcode that somebody named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Named {
    /// It was the right one, and is used up.
    Right,
    /// It was not, or there is none to be used; one try less is left. The write must be committed all the same.
    Wrong {
        /// How many tries are left.
        tries_left: u64,
    },
}

/// Uses the passcode that was sent to a user.
pub(super) async fn redeem(write: &mut Write, user: UserId, named: &Secret, now: Timestamp) -> Result<Named, ServiceError> {
    let Some(found) = passcodes::find(write, user).await? else { return Ok(Named::Wrong { tries_left: 0 }) };
    let good = !found.mac.is_empty() && found.tries_left > 0 && now < found.expires_at;
    if !good {
        return Ok(Named::Wrong { tries_left: 0 });
    }
    let right = mac(write.store(), user, found.expires_at, named);
    let used = if verify_slices_are_equal(right.as_bytes(), found.mac.as_bytes()).is_ok() {
        passcodes::put(write, user, &Passcode { mac: String::new(), tries_left: 0, ..found }).await?;
        Named::Right
    } else {
        let tries_left = found.tries_left.saturating_sub(1);
        passcodes::put(write, user, &Passcode { tries_left, ..found }).await?;
        Named::Wrong { tries_left }
    };
    Ok(used)
}

/// What is kept of a passcode: bound to its user and its end, under a key that only the sealing key makes.
fn mac(store: &Store, user: UserId, expires_at: Timestamp, passcode: &Secret) -> String {
    let key = SigningKey::new(&store.sealing_key().subkey("portcullis passcodes"));
    let mac = key.mac_of(&[user.as_bytes(), &expires_at.milliseconds().to_be_bytes(), passcode.expose()]);
    STANDARD_NO_PAD.encode(mac)
}
