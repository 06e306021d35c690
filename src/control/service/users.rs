//! Users of an account, and their passwords.

use std::collections::HashMap;
use std::ops::RangeInclusive;

use serde_json::{Value as Json, json};

use super::password::Password;
use super::{Accepted, Caller, Precondition, ServiceError, accept, bindings, escalation, fields, srn, tokens};
use crate::control::random;
use crate::control::store::access_keys::{self, AccessKey};
use crate::control::store::connection::Connection;
use crate::control::store::select::Page;
use crate::control::store::tags::{self, Tag, Tagged};
use crate::control::store::users::{self, Fields, Filter, Named, NewPassword, Profile, User};
use crate::control::store::{Store, StoreError, Write, groups, passcodes, policies, roles, settings};
use crate::snapshot::wire::{self, ConsoleOf, Identity, Record, RecordKey};
use crate::source::{Cursor, Value};
use crate::types::{AccountId, AuthenticationType, GroupId, PolicyId, Timestamp, UserId};

/// Most characters of a mail address (RFC 5321, section 4.5.3.1.3, without the brackets).
const EMAIL_CHARS_MAX: usize = 254;
/// Most characters before the `@` (RFC 5321, section 4.5.3.1.1).
const EMAIL_LOCAL_CHARS_MAX: usize = 64;
/// Most users of an account.
pub(crate) const USERS_MAX: u64 = 5_000;
/// How many of the last passwords may be refused (seed 003, L435).
const REUSE_COUNTS: RangeInclusive<u64> = 1..=24;
/// How many are refused when nobody has said anything.
const REUSE_COUNT: u64 = 1;

const WHAT: &str = "user";
const OUTLIVES: &str = "a temporary key does not set its owner's password; log in with the old one and a new one";
const PASSWORD_HINT: &str = "write a password of 9 to 20 characters";

/// What a user is made of.
#[derive(Debug)]
pub(crate) struct Create {
    name: String,
    password: Password,
    temporary_password: bool,
    description: Option<String>,
    email: Option<String>,
    groups: Vec<GroupId>,
    policies: Vec<PolicyId>,
    tags: Vec<Tag>,
}

impl Create {
    /// Reads a body.
    pub(crate) fn decode(cursor: &Cursor<'_>) -> Option<Self> {
        let table = cursor.table()?;
        let name = table.required("user_name", "write the user's name", |value| fields::english_name(&value));
        let password = table.required("password", PASSWORD_HINT, |value| {
            let password = Password::decode(&value)?;
            let is_name = name.as_ref().is_some_and(|name| password.is(name));
            if is_name {
                value.sensitive_error("it is the user's name", "choose another one");
            }
            (!is_name).then_some(password)
        });
        let temporary_password = table.or("temporary_password", false, |value| flag(&value));
        let description = table.or("description", None, |value| fields::description(&value));
        let email = table.or("email", None, |value| email(&value));
        let groups = table.or("group_ids", Vec::new(), |value| fields::ids(&value));
        let policies = table.or("policy_ids", Vec::new(), |value| fields::ids(&value));
        let tags = table.or("tags", Vec::new(), |value| fields::tags(&value));
        table.finish()?;
        Some(Self {
            name: name?,
            password: password?,
            temporary_password: temporary_password?,
            description: description?,
            email: email?,
            groups: groups?,
            policies: policies?,
            tags: tags?,
        })
    }
}

/// What can be changed of a user; what is `None` stays.
#[derive(Debug)]
pub(crate) struct Set {
    description: Option<Option<String>>,
    email: Option<Option<String>>,
    active: Option<bool>,
    password_reuse_count: u64,
}

impl Set {
    /// Reads a body.
    pub(crate) fn decode(cursor: &Cursor<'_>) -> Option<Self> {
        let table = cursor.table()?;
        let hint = "write how many of the last passwords may not be used again";
        let password_reuse_count = table.required("password_reuse_count", hint, |value| value.integer(REUSE_COUNTS, "passwords"));
        let description = table.optional("description", |value| fields::description(&value));
        let email = table.optional("email", |value| email(&value));
        let active = table.optional("state", |value| value.one_of(&[("ACTIVE", true), ("INACTIVE", false)]));
        table.finish()?;
        Some(Self { description: description?, email: email?, active: active?, password_reuse_count: password_reuse_count? })
    }
}

/// A new password.
#[derive(Debug)]
pub(crate) struct SetPassword {
    password: Password,
    temporary: bool,
}

impl SetPassword {
    /// Reads a body.
    pub(crate) fn decode(cursor: &Cursor<'_>) -> Option<Self> {
        let table = cursor.table()?;
        let password = table.required("password", PASSWORD_HINT, |value| Password::decode(&value));
        let temporary = table.or("temporary_password", false, |value| flag(&value));
        table.finish()?;
        Some(Self { password: password?, temporary: temporary? })
    }
}

/// The body that removes several users.
pub(crate) fn decode_bulk(cursor: &Cursor<'_>) -> Option<Vec<UserId>> {
    let table = cursor.table()?;
    let ids = table.required("user_ids", "write the ids of the users", |value| fields::some_ids(&value));
    table.finish()?;
    ids
}

/// A mail address; `null` and the empty text are none.
fn email(cursor: &Cursor<'_>) -> Option<Option<String>> {
    if matches!(cursor.node().value, Value::Null) {
        return Some(None);
    }
    let hint = "write an address such as name@example.com, of at most 254 characters, or null";
    let text = fields::text(cursor, hint)?;
    if text.is_empty() {
        return Some(None);
    }
    let (local, domain) = text.rsplit_once('@').unwrap_or_default();
    let good_local = |character: char| character.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(character);
    let label = |label: &str| !label.is_empty() && label.chars().all(|character| character.is_ascii_alphanumeric() || character == '-');
    let good = (1..=EMAIL_LOCAL_CHARS_MAX).contains(&local.len()) && local.chars().all(good_local) && domain.split('.').all(label);
    if !good || text.len() > EMAIL_CHARS_MAX {
        cursor.error_hint("this is not a mail address", hint);
        return None;
    }
    Some(Some(text))
}

/// `true` or `false`; `null` is `false`.
fn flag(cursor: &Cursor<'_>) -> Option<bool> {
    if matches!(cursor.node().value, Value::Null) { Some(false) } else { cursor.boolean() }
}

/// A user with what it has.
#[derive(Debug)]
pub(crate) struct Details {
    /// The user.
    pub(crate) profile: Profile,
    /// Its groups.
    pub(crate) groups: Vec<Named>,
    /// The policies attached to it.
    pub(crate) policies: Vec<Named>,
    /// Its access keys.
    pub(crate) keys: Vec<AccessKey>,
}

/// A page of the account's users, and how many there are.
pub(crate) async fn list(
    store: &Store,
    caller: &Caller,
    account: AccountId,
    filter: &Filter,
    page: &Page,
) -> Result<(Vec<Details>, u64), ServiceError> {
    caller.owns(account)?;
    let mut read = store.read().await?;
    let (profiles, count) = users::list(&mut read, account, filter, page).await?;
    Ok((detailed(&mut read, account, profiles).await?, count))
}

/// A user.
pub(crate) async fn show(store: &Store, caller: &Caller, account: AccountId, id: UserId) -> Result<Details, ServiceError> {
    caller.owns(account)?;
    let mut read = store.read().await?;
    details(&mut read, account, id).await
}

/// Makes a user, with policies and groups.
pub(crate) async fn create(
    store: &Store,
    caller: &Caller,
    account: AccountId,
    new: Create,
    now: Timestamp,
) -> Result<Accepted<Details>, ServiceError> {
    caller.owns(account)?;
    caller.has_signed()?;
    let Create { name, password, temporary_password: temporary, description, email, groups: group_ids, policies: policy_ids, tags } = new;
    let hash = password.hash(Vec::new()).await?.unwrap_or_default();
    let id = UserId::from_bytes(random::bytes()?);
    let mut write = store.write().await?;
    if users::count(&mut write, account).await? >= USERS_MAX {
        return Err(ServiceError::Full { what: "users", most: USERS_MAX });
    }
    known(&mut write, account, &group_ids, &policy_ids).await?;
    let (sequence, stamp) = (write.sequence(), caller.stamp(now));
    let user = User { id, account, name: name.clone(), root: false, active: true };
    users::insert(&mut write, &user, sequence, stamp).await.map_err(|error| taken(error, &name))?;
    let after = json!({
        "user_name": name, "description": description, "email": email, "temporary_password": temporary, "tags": tags,
        "group_ids": texts(&group_ids), "policy_ids": texts(&policy_ids),
    });
    let written = Fields { description, email, email_authenticated: false, active: true, password_reuse_count: REUSE_COUNT };
    users::update(&mut write, id, &written, sequence, stamp).await?;
    users::set_password(&mut write, id, NewPassword { hash: &hash, temporary, kept: REUSE_COUNT }, sequence, stamp).await?;
    tags::set(&mut write, Tagged { kind: WHAT, id: &id.to_string() }, account, &tags).await?;
    write.put(record(user));
    bindings::give(&mut write, caller, &policy_ids, Identity::User(id), now).await?;
    for group in group_ids {
        groups::add_member(&mut write, group, id, stamp).await?;
        write.put(Record::Membership { group, user: id });
    }
    let details = details(&mut write, account, id).await?;
    write.audit(caller.entry(srn(store, account, WHAT, id), None, Some(after)));
    accept(write, caller, details, now).await
}

/// Changes a user's own fields.
pub(crate) async fn set(
    store: &Store,
    caller: &Caller,
    (account, id): (AccountId, UserId),
    set: Set,
    precondition: &Precondition,
    now: Timestamp,
) -> Result<Accepted<Details>, ServiceError> {
    let mut write = store.write().await?;
    let before = found(&mut write, caller, (account, id), precondition).await?;
    let email = set.email.unwrap_or_else(|| before.email.clone());
    let written = Fields {
        description: set.description.unwrap_or_else(|| before.description.clone()),
        email_authenticated: before.email_authenticated && email == before.email,
        email,
        active: set.active.unwrap_or(before.user.active),
        password_reuse_count: set.password_reuse_count,
    };
    if before.user.root && !written.active {
        return Err(ServiceError::State("the root user cannot be switched off".to_owned()));
    }
    // SECURITY: whoever has a token only would have passcodes sent to themselves. Test:
    // `who_comes_by_a_token_does_not_move_their_passcodes_to_another_address`.
    if caller.is(id) && written.email != before.email {
        caller.has_signed()?;
    }
    // Passcodes go to the mail address; and who is switched on again has rights again.
    if written.email != before.email || (written.active && !before.user.active) {
        escalation::may_act_for(&mut write, caller, id).await?;
    }
    // They are not to work again when the user is switched on again.
    if before.user.active && !written.active {
        tokens::end(&mut write, id).await?;
    }
    let sequence = write.sequence();
    users::update(&mut write, id, &written, sequence, caller.stamp(now)).await?;
    write.put(record(User { active: written.active, ..before.user.clone() }));
    let details = details(&mut write, account, id).await?;
    write.audit(caller.entry(srn(store, account, WHAT, id), Some(shown(&before)), Some(shown(&details.profile))));
    accept(write, caller, details, now).await
}

/// Removes a user with everything it has.
pub(crate) async fn delete(
    store: &Store,
    caller: &Caller,
    (account, id): (AccountId, UserId),
    precondition: &Precondition,
    now: Timestamp,
) -> Result<Accepted<()>, ServiceError> {
    let mut write = store.write().await?;
    let user = found(&mut write, caller, (account, id), precondition).await?;
    remove(&mut write, caller, user).await?;
    accept(write, caller, (), now).await
}

/// Removes several users with everything they have, or none.
pub(crate) async fn delete_bulk(
    store: &Store,
    caller: &Caller,
    account: AccountId,
    ids: Vec<UserId>,
    now: Timestamp,
) -> Result<Accepted<()>, ServiceError> {
    let mut write = store.write().await?;
    for id in ids {
        let user = found(&mut write, caller, (account, id), &Precondition::None).await?;
        remove(&mut write, caller, user).await?;
    }
    accept(write, caller, (), now).await
}

/// Sets a user's password.
pub(crate) async fn set_password(
    store: &Store,
    caller: &Caller,
    (account, id): (AccountId, UserId),
    new: SetPassword,
    now: Timestamp,
) -> Result<Accepted<()>, ServiceError> {
    caller.has_signed()?;
    // SECURITY: a console login with it needs no key, and outlives the temporary one. Test: `a_temporary_key_makes_no_key_that_outlives_it`.
    if caller.is(id) && caller.has_signed_with(AuthenticationType::TemporaryKey) {
        return Err(ServiceError::NoToken(OUTLIVES));
    }
    if caller.is_behind(id) {
        return Err(ServiceError::NoToken("a role's session sets no password of the user behind it; sign the request as that user"));
    }
    caller.owns(account)?;
    let mut read = store.read().await?;
    let user = users::find(&mut read, account, id).await?.ok_or_else(|| not_found(id))?;
    drop(read);
    let Fresh { hash, kept, previous } = fresh_password(store, &user, new.password).await?;
    let mut write = store.write().await?;
    found(&mut write, caller, (account, id), &Precondition::None).await?;
    escalation::may_act_for(&mut write, caller, id).await?;
    // It was compared with these; another one may have been set in the meantime.
    if users::last_passwords(&mut write, id, kept).await? != previous {
        return Err(ServiceError::Changed);
    }
    let sequence = write.sequence();
    let password = NewPassword { hash: &hash, temporary: new.temporary, kept };
    users::set_password(&mut write, id, password, sequence, caller.stamp(now)).await?;
    tokens::end(&mut write, id).await?;
    let after = json!({ "password": "another one", "temporary_password": new.temporary });
    write.audit(caller.entry(srn(store, account, WHAT, id), None, Some(after)));
    accept(write, caller, (), now).await
}

/// A new password, hashed.
pub(super) struct Fresh {
    /// Its hash.
    pub(super) hash: String,
    /// How many of the last ones are kept.
    pub(super) kept: u64,
    /// With what it was compared.
    previous: Vec<String>,
}

/// Hashes a new password of a user: not their name, and none of their last ones.
pub(super) async fn fresh_password(store: &Store, user: &User, password: Password) -> Result<Fresh, ServiceError> {
    let mut read = store.read().await?;
    let profile = users::find_profile(&mut read, user.account, user.id).await?.ok_or_else(|| not_found(user.id))?;
    let kept = profile.password_reuse_count.max(REUSE_COUNT);
    let previous = users::last_passwords(&mut read, user.id, kept).await?;
    drop(read);
    if password.is(&user.name) {
        return Err(ServiceError::Invalid(vec!["`password`: it is the user's name; choose another one".to_owned()]));
    }
    let Some(hash) = password.hash(previous.clone()).await? else {
        let sentence = format!("`password`: it is one of the last {kept}; choose another one");
        return Err(ServiceError::Invalid(vec![sentence]));
    };
    Ok(Fresh { hash, kept, previous })
}

/// What a user may still do is only the root user's to change when it is the root user itself.
pub(super) fn guard_root(caller: &Caller, user: &User) -> Result<(), ServiceError> {
    if user.root && !caller.is(user.id) {
        return Err(escalation::rules::Refusal::ActsForRoot.into());
    }
    Ok(())
}

async fn found(
    write: &mut Write,
    caller: &Caller,
    (account, id): (AccountId, UserId),
    precondition: &Precondition,
) -> Result<Profile, ServiceError> {
    caller.owns(account)?;
    let profile = users::find_profile(write, account, id).await?.ok_or_else(|| not_found(id))?;
    guard_root(caller, &profile.user)?;
    precondition.check(write.store().revision(profile.revision))?;
    Ok(profile)
}

async fn remove(write: &mut Write, caller: &Caller, profile: Profile) -> Result<(), ServiceError> {
    let User { id, account, root, .. } = profile.user;
    if root {
        return Err(ServiceError::State("the root user cannot be removed".to_owned()));
    }
    let to = Identity::User(id);
    for policy in policies::attached(write, to).await? {
        write.delete(RecordKey::Attachment(policy, to));
    }
    policies::detach_all(write, to).await?;
    let groups = users::groups_of(write, account, &[id]).await?.remove(&id).unwrap_or_default();
    for group in groups {
        let group = group.id.parse().map_err(|_| StoreError::Column("a group"))?;
        write.delete(RecordKey::Membership(group, id));
    }
    let mut keys = access_keys::of_users(write, account, &[id]).await?.remove(&id).unwrap_or_default();
    // Those that were made with others go first.
    keys.sort_by_key(|key| key.parent.is_none());
    for key in keys {
        access_keys::delete(write, key.id).await?;
        write.delete(RecordKey::AccessKey(key.id));
    }
    write.delete(RecordKey::TokensValidFrom(id));
    tokens::forget(write, id).await?;
    write.delete(RecordKey::ConsoleAccess(ConsoleOf::User(id)));
    if settings::delete_of(write, id).await? {
        write.delete(RecordKey::KeySecurity(id));
    }
    tags::remove(write, Tagged { kind: WHAT, id: &id.to_string() }).await?;
    passcodes::delete_of(write, id).await?;
    roles::forget_sessions_by(write, id).await?;
    users::delete(write, id).await?;
    write.delete(RecordKey::User(id));
    let resource = srn(write.store(), account, WHAT, id);
    write.audit(caller.entry(resource, Some(shown(&profile)), None));
    Ok(())
}

/// Refuses ids of nothing in the account, all at once.
async fn known(write: &mut Write, account: AccountId, groups: &[GroupId], policies: &[PolicyId]) -> Result<(), ServiceError> {
    let mut problems = Vec::new();
    for (index, group) in groups.iter().enumerate() {
        if groups::find(write, account, *group).await?.is_none() {
            problems.push(format!("`group_ids[{index}]`: there is no group `{group}`; write the id of a group of this account"));
        }
    }
    for (index, policy) in policies.iter().enumerate() {
        if !policies::is_usable(write, account, *policy).await? {
            problems.push(format!("`policy_ids[{index}]`: there is no policy `{policy}`; write the id of a policy of this account"));
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(ServiceError::Invalid(problems)) }
}

async fn details(connection: &mut Connection, account: AccountId, id: UserId) -> Result<Details, ServiceError> {
    let profile = users::find_profile(connection, account, id).await?.ok_or_else(|| not_found(id))?;
    detailed(connection, account, vec![profile]).await?.pop().ok_or_else(|| not_found(id))
}

async fn detailed(connection: &mut Connection, account: AccountId, profiles: Vec<Profile>) -> Result<Vec<Details>, ServiceError> {
    fn of<T>(all: &mut HashMap<UserId, Vec<T>>, id: UserId) -> Vec<T> {
        all.remove(&id).unwrap_or_default()
    }
    let ids: Vec<UserId> = profiles.iter().map(|profile| profile.user.id).collect();
    let mut groups = users::groups_of(connection, account, &ids).await?;
    let mut policies = users::policies_of(connection, account, &ids).await?;
    let mut keys = access_keys::of_users(connection, account, &ids).await?;
    let whole = |profile: Profile| {
        let id = profile.user.id;
        Details { profile, groups: of(&mut groups, id), policies: of(&mut policies, id), keys: of(&mut keys, id) }
    };
    Ok(profiles.into_iter().map(whole).collect())
}

fn record(user: User) -> Record {
    let User { id, account, name, root, active } = user;
    Record::User(wire::User { id, account, name, root, active })
}

/// A user in the audit log.
fn shown(profile: &Profile) -> Json {
    json!({
        "user_name": profile.user.name, "description": profile.description, "email": profile.email, "active": profile.user.active,
        "password_reuse_count": profile.password_reuse_count,
    })
}

fn texts<T: ToString>(ids: &[T]) -> Vec<String> {
    ids.iter().map(ToString::to_string).collect()
}

pub(super) fn not_found(id: UserId) -> ServiceError {
    ServiceError::NotFound(WHAT, id.to_string())
}

fn taken(error: StoreError, name: &str) -> ServiceError {
    if error.is_duplicate() { ServiceError::Taken(WHAT, name.to_owned()) } else { error.into() }
}
