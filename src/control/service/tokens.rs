//! Tokens: the key that signs them, and issuing one to who has signed a request.
//!
//! A token is nowhere but in the answer that issues it; the audit log has its id.

use std::ops::RangeInclusive;

use serde_json::{Value as Json, json};

use super::bootstrap::SYSTEM;
use super::{Accepted, Caller, ServiceError, accept, srn, users::guard_root, users::not_found};
use crate::authn::token::{Claims, Signer};
use crate::control::random;
use crate::control::store::audit::Entry;
use crate::control::store::authorship::Stamp;
use crate::control::store::{Store, StoreError, Write, roles, token_keys, tokens as ids, users};
use crate::snapshot::wire::{self, Record, RecordKey};
use crate::source::Cursor;
use crate::types::{AccessKeyId, Secret, Timestamp, TokenId, TokenKeyId, UserId};

/// How long a token may be good for, in seconds (contracts C11 names the longest).
const DURATION_S: RangeInclusive<u64> = 60..=43_200;
/// How long it is where the request does not say.
const DURATION_DEFAULT_S: u64 = 3_600;

/// How many tokens of a user may be good at a time: their ids are kept, and go with one write when all are ended.
const TOKENS_MAX: u64 = 5_000;
/// How many tokens of a user may be ended one by one, of those that would still be good.
const REVOKED_MAX: u64 = 1_000;

/// How long after its end a token is forgotten that was ended before. SECURITY: one that was ended before its time comes back when a clock that was ahead is
/// put back by more than this.
const FORGOTTEN_AFTER_MS: i64 = 24 * 60 * 60 * 1_000;

const WHAT: &str = "token";

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
    /// Its id, by which it can be ended.
    pub(crate) id: TokenId,
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
    let user = caller.user()?;
    let access_key = caller.access_key.ok_or(ServiceError::NoToken(NOT_IN_USE))?;
    let mut write = store.write().await?;
    let claims = claims(&write, access_key, new.duration_s, now)?.filter(|claims| claims.user == user);
    let claims = claims.ok_or(ServiceError::NoToken(NOT_IN_USE))?;
    has_room(&mut write, user, now).await?;
    let token = signer(&mut write).await?.sign(&claims).map_err(StoreError::from)?;
    write.audit(caller.entry(srn(store, caller.account, "user", user), None, Some(shown(&claims))));
    note(&mut write, &claims, now).await?;
    accept(write, caller, Issued { token, id: claims.id, expires_at: claims.expires_at }, now).await
}

const NOT_IN_USE: &str = "the access key that signed the request is not in use any more";

/// Issues a token for an access key, as long as one may be, to whoever has the store itself. `None` when the key is not in use.
pub(crate) async fn issue(store: &Store, access_key: AccessKeyId, now: Timestamp) -> Result<Option<Secret>, StoreError> {
    let mut write = store.write().await?;
    let Some(claims) = claims(&write, access_key, *DURATION_S.end(), now)? else { return Ok(None) };
    let token = signer(&mut write).await?.sign(&claims)?;
    note(&mut write, &claims, now).await?;
    write.audit(Entry {
        account: claims.account.to_string(),
        user: SYSTEM.to_owned(),
        srn: String::new(),
        session: None,
        address: String::new(),
        request_id: String::new(),
        action: "iam:CreateToken".to_owned(),
        resource: srn(store, claims.account, "user", claims.user),
        before: None,
        after: Some(shown(&claims).to_string()),
    });
    write.commit(now).await?;
    Ok(Some(token))
}

/// What a token of an access key says now; `None` when the key is not in use.
fn claims(write: &Write, access_key: AccessKeyId, duration_s: u64, now: Timestamp) -> Result<Option<Claims>, StoreError> {
    let store = write.store();
    let snapshot = store.snapshot();
    let Some((key, user)) = snapshot.in_use(access_key, now) else { return Ok(None) };
    let (issued_at, expires_at) = lifetime(now, duration_s, key.expires_at);
    Ok(Some(Claims {
        subject: user.principal.srn.to_string(),
        user: key.user,
        account: user.principal.account,
        access_key: Some(access_key),
        id: TokenId::from_bytes(random::bytes()?),
        issued_at,
        expires_at,
        epoch: store.epoch(),
        sequence: write.sequence(),
    }))
}

/// A token in the audit log.
fn shown(claims: &Claims) -> Json {
    json!({ "jti": claims.id.to_string(), "access_key": claims.access_key.map(|key| key.to_string()), "expires_at": claims.expires_at.to_string() })
}

/// A token for who has logged in, and what the audit log shows of it.
pub(super) async fn for_console(
    write: &mut Write,
    caller: &Caller,
    duration_s: u64,
    now: Timestamp,
) -> Result<(Issued, Json), ServiceError> {
    let (issued_at, expires_at) = lifetime(now, duration_s, None);
    let claims = Claims {
        subject: caller.srn.clone(),
        user: caller.user()?,
        account: caller.account,
        access_key: None,
        id: TokenId::from_bytes(random::bytes()?),
        issued_at,
        expires_at,
        epoch: write.store().epoch(),
        sequence: write.sequence(),
    };
    has_room(write, claims.user, now).await?;
    let token = signer(write).await?.sign(&claims).map_err(StoreError::from)?;
    note(write, &claims, now).await?;
    Ok((Issued { token, id: claims.id, expires_at }, shown(&claims)))
}

/// Refuses when a user has as many tokens as anybody may have.
async fn has_room(write: &mut Write, user: UserId, now: Timestamp) -> Result<(), ServiceError> {
    let full = ids::live(write, user, now).await? >= TOKENS_MAX;
    if full { Err(ServiceError::TooMany { of: "user", most: TOKENS_MAX, what: "tokens at a time" }) } else { Ok(()) }
}

/// Keeps the id of a token that is about to be issued, and forgets those that have ended long ago.
async fn note(write: &mut Write, claims: &Claims, now: Timestamp) -> Result<(), StoreError> {
    forget_ended(write, now).await?;
    ids::insert(write, claims.id, claims.user, claims.expires_at).await
}

async fn forget_ended(write: &mut Write, now: Timestamp) -> Result<(), StoreError> {
    let before = Timestamp::from_milliseconds(now.milliseconds().saturating_sub(FORGOTTEN_AFTER_MS));
    for (user, id) in ids::forget_ended(write, now, before).await? {
        write.delete(RecordKey::RevokedToken(user, id));
    }
    Ok(())
}

/// Ends one token of a user.
pub(crate) async fn end_one(
    store: &Store,
    caller: &Caller,
    (user, id): (UserId, TokenId),
    now: Timestamp,
) -> Result<Accepted<()>, ServiceError> {
    let mut write = store.write().await?;
    let found = users::find(&mut write, caller.account, user).await?.ok_or_else(|| not_found(user))?;
    guard_root(caller, &found)?;
    forget_ended(&mut write, now).await?;
    let end = ids::find(&mut write, user, id).await?.filter(|end| now < *end);
    let expires_at = end.ok_or_else(|| ServiceError::NotFound(WHAT, id.to_string()))?;
    if ids::revoked(&mut write, user, now).await? >= REVOKED_MAX {
        let what = "tokens that were ended one by one; end all of them (DELETE /portcullis/v1/users/{user_id}/tokens)";
        return Err(ServiceError::TooMany { of: "user", most: REVOKED_MAX, what });
    }
    ids::revoke(&mut write, id).await?;
    write.put(Record::RevokedToken { user, id, expires_at });
    let before = json!({ "user_id": user.to_string(), "expires_at": expires_at.to_string() });
    write.audit(caller.entry(srn(store, found.account, WHAT, id), Some(before), None));
    accept(write, caller, (), now).await
}

/// Ends all tokens of a user.
pub(crate) async fn end_all(store: &Store, caller: &Caller, user: UserId, now: Timestamp) -> Result<Accepted<()>, ServiceError> {
    let mut write = store.write().await?;
    let found = users::find(&mut write, caller.account, user).await?.ok_or_else(|| not_found(user))?;
    guard_root(caller, &found)?;
    end(&mut write, user).await?;
    let after = json!({ "tokens_valid_from": store.revision(write.sequence()).to_string() });
    write.audit(caller.entry(srn(store, found.account, "user", user), None, Some(after)));
    accept(write, caller, (), now).await
}

/// Ends, with this write, all tokens that a user has.
///
/// SECURITY: by sequence and not by time, so that no clock can revive one (contracts C8). Whoever leaves a group loses theirs at once
/// (seed 000, "Remove member from group"), and so does whoever gets another password or is switched off, alone or with
/// the account.
pub(super) async fn end(write: &mut Write, user: UserId) -> Result<(), StoreError> {
    let sequence = write.sequence();
    write.put(Record::TokensValidFrom { user, sequence });
    roles::forget_sessions_by(write, user).await?;
    forget(write, user).await
}

/// Forgets the tokens of a user, of which none is good after this write.
pub(super) async fn forget(write: &mut Write, user: UserId) -> Result<(), StoreError> {
    for id in ids::forget_of(write, user).await? {
        write.delete(RecordKey::RevokedToken(user, id));
    }
    Ok(())
}

/// The key in use.
pub(super) async fn signer(write: &mut Write) -> Result<Signer, StoreError> {
    let (id, sealed) = token_keys::in_use(write).await?.ok_or(StoreError::Column("a key that signs tokens"))?;
    let seed = write.store().sealing_key().open(&sealed, &seal_owner(id))?;
    Ok(Signer::new(id, &seed)?)
}

/// What the sealed secret of a key is bound to.
fn seal_owner(id: TokenKeyId) -> String {
    format!("token_key/{id}")
}

/// From when to when a token is good, in whole seconds: not longer than its access key.
pub(super) fn lifetime(now: Timestamp, duration_s: u64, key_end: Option<Timestamp>) -> (Timestamp, Timestamp) {
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
