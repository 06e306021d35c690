//! Tokens: the key that signs them, and issuing one to who has signed a request.
//!
//! A token is nowhere but in the answer that issues it; the audit log has its id.

use std::ops::RangeInclusive;

use serde_json::json;

use super::bootstrap::SYSTEM;
use super::{Accepted, Caller, ServiceError, accept, srn};
use crate::authn::token::{Claims, Signer};
use crate::control::random;
use crate::control::store::authorship::Stamp;
use crate::control::store::{Store, StoreError, Write, token_keys};
use crate::snapshot::wire::{self, Record};
use crate::source::Cursor;
use crate::types::{Secret, Timestamp, TokenId, TokenKeyId};

/// How long a token may be good for, in seconds (contracts C11 names the longest).
const DURATION_S: RangeInclusive<u64> = 60..=43_200;
/// How long it is where the request does not say.
const DURATION_DEFAULT_S: u64 = 3_600;

/// What a token is asked for with.
#[derive(Debug)]
pub(crate) struct Create {
    duration_s: u64,
}

impl Create {
    /// Reads a body.
    pub(crate) fn decode(cursor: &Cursor<'_>) -> Option<Self> {
        let table = cursor.table()?;
        let duration_s = table.or("duration_seconds", DURATION_DEFAULT_S, |value| value.integer(DURATION_S, "seconds"));
        table.finish()?;
        Some(Self { duration_s: duration_s? })
    }
}

/// A token, for its owner's eyes.
#[derive(Debug)]
pub(crate) struct Issued {
    /// The token.
    pub(crate) token: Secret,
    /// When it ends.
    pub(crate) expires_at: Timestamp,
}

/// Makes the key that signs tokens, if there is none in use.
pub(crate) async fn prepare(store: &Store, now: Timestamp) -> Result<(), StoreError> {
    let mut write = store.write().await?;
    if token_keys::in_use(&mut write).await?.is_some() {
        return Ok(());
    }
    let (id, seed) = (TokenKeyId::from_bytes(random::bytes()?), random::token_seed()?);
    let public_key = Signer::new(id, &seed)?.public_key();
    let sealed = store.sealing_key().seal(&seed, &seal_owner(id), random::bytes()?)?;
    token_keys::insert(&mut write, id, &sealed, Stamp { at: now, by: SYSTEM }).await?;
    write.put(Record::TokenKey(wire::TokenKey { id, public_key, not_after: None }));
    write.commit(now).await?;
    Ok(())
}

/// Issues a token to who has signed this request with an access key.
pub(crate) async fn create(store: &Store, caller: &Caller, new: Create, now: Timestamp) -> Result<Accepted<Issued>, ServiceError> {
    caller.has_signed()?;
    let access_key = caller.access_key.ok_or(ServiceError::NoToken("the access key that signed the request is not in use any more"))?;
    let mut write = store.write().await?;
    let snapshot = store.snapshot();
    let usable = snapshot.key(access_key).filter(|key| key.user == caller.user && snapshot.usable(key, now).is_ok());
    let (Some(key), Some(user)) = (usable, snapshot.user(caller.user)) else {
        return Err(ServiceError::NoToken("the access key that signed the request is not in use any more"));
    };
    let (issued_at, expires_at) = lifetime(now, new.duration_s, key.expires_at);
    let claims = Claims {
        subject: user.principal.srn.to_string(),
        user: caller.user,
        account: caller.account,
        access_key,
        id: TokenId::from_bytes(random::bytes()?),
        issued_at,
        expires_at,
        epoch: store.epoch(),
        sequence: write.sequence(),
    };
    let token = signer(&mut write).await?.sign(&claims).map_err(StoreError::from)?;
    let after = json!({ "jti": claims.id.to_string(), "access_key": access_key.to_string(), "expires_at": expires_at.to_string() });
    write.audit(caller.entry(srn(store, caller.account, "user", caller.user), None, Some(after)));
    accept(write, caller, Issued { token, expires_at }, now).await
}

/// The key in use.
async fn signer(write: &mut Write) -> Result<Signer, StoreError> {
    let (id, sealed) = token_keys::in_use(write).await?.ok_or(StoreError::Column("a key that signs tokens"))?;
    let seed = write.store().sealing_key().open(&sealed, &seal_owner(id))?;
    Ok(Signer::new(id, &seed)?)
}

/// What the sealed secret of a key is bound to.
fn seal_owner(id: TokenKeyId) -> String {
    format!("token_key/{id}")
}

/// From when to when a token is good, in whole seconds: not longer than its access key.
fn lifetime(now: Timestamp, duration_s: u64, key_end: Option<Timestamp>) -> (Timestamp, Timestamp) {
    let start = whole_second(now);
    let duration_ms = i64::try_from(duration_s.saturating_mul(1_000)).unwrap_or(i64::MAX);
    let end = Timestamp::from_milliseconds(start.milliseconds().saturating_add(duration_ms));
    (start, key_end.map_or(end, |key_end| whole_second(key_end).min(end)))
}

/// Tokens know no milliseconds.
fn whole_second(time: Timestamp) -> Timestamp {
    Timestamp::from_milliseconds(time.milliseconds().div_euclid(1_000).saturating_mul(1_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_lives_for_whole_seconds_and_not_longer_than_its_key() {
        let at = Timestamp::from_milliseconds;
        for (key_end, expected) in
            [(None, 70_000), (Some(90_000), 70_000), (Some(70_000), 70_000), (Some(69_999), 69_000), (Some(10_999), 10_000)]
        {
            assert_eq!(lifetime(at(10_999), 60, key_end.map(at)), (at(10_000), at(expected)), "{key_end:?}");
        }
    }
}
