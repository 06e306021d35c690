//! Groups of users and their members.

use std::ops::RangeInclusive;

use serde_json::{Value as Json, json};

use super::policies::{unknown, valid};
use super::{Accepted, Caller, Precondition, ServiceError, accept, bindings, fields, srn, tokens};
use crate::control::random;
use crate::control::store::connection::Connection;
use crate::control::store::groups::{self, Fields, Filter, Group, Member};
use crate::control::store::policies::Policy;
use crate::control::store::select::Page;
use crate::control::store::tags::{self, Tag, Tagged};
use crate::control::store::{Store, StoreError, Write, policies, users};
use crate::snapshot::wire::{self, Identity, Record, RecordKey};
use crate::source::Cursor;
use crate::types::{GroupId, PolicyId, Timestamp, UserId};

/// Characters of a group's name (seed 003, L47).
const NAME_CHARS: RangeInclusive<usize> = 3..=24;
/// Most groups of an account.
pub(crate) const GROUPS_MAX: u64 = 1_000;

const WHAT: &str = "group";

/// What a group is made of.
#[derive(Debug)]
pub(crate) struct Create {
    name: String,
    description: Option<String>,
    tags: Vec<Tag>,
    policies: Vec<PolicyId>,
    users: Vec<UserId>,
}

impl Create {
    /// Reads a body.
    pub(crate) fn decode(cursor: &Cursor<'_>) -> Option<Self> {
        let table = cursor.table()?;
        let name = table.required("name", "write the group's name", |value| fields::name(&value, NAME_CHARS));
        let description = table.or("description", None, |value| fields::description(&value));
        let tags = table.or("tags", Vec::new(), |value| fields::tags(&value));
        let policies = table.or("policy_ids", Vec::new(), |value| fields::ids(&value));
        let users = table.or("user_ids", Vec::new(), |value| fields::ids(&value));
        table.finish()?;
        Some(Self { name: name?, description: description?, tags: tags?, policies: policies?, users: users? })
    }
}

/// What can be changed of a group.
#[derive(Debug)]
pub(crate) struct Set {
    name: String,
    description: Option<String>,
}

impl Set {
    /// Reads a body.
    pub(crate) fn decode(cursor: &Cursor<'_>) -> Option<Self> {
        let table = cursor.table()?;
        let name = table.required("name", "write the group's name", |value| fields::name(&value, NAME_CHARS));
        let description = table.required("description", "write the description, or null", |value| fields::description(&value));
        table.finish()?;
        Some(Self { name: name?, description: description? })
    }
}

/// The body that adds a member.
pub(crate) fn decode_member(cursor: &Cursor<'_>) -> Option<UserId> {
    let table = cursor.table()?;
    let user = table.required("user_id", "write the id of the user", |value| fields::id(&value));
    table.finish()?;
    user
}

/// A group with its members and policies.
#[derive(Debug)]
pub(crate) struct Details {
    /// The group.
    pub(crate) group: Group,
    /// Its members.
    pub(crate) members: Vec<Joined>,
    /// Its policies.
    pub(crate) policies: Vec<Policy>,
}

/// A member, and the names of all its groups.
#[derive(Debug)]
pub(crate) struct Joined {
    /// The member.
    pub(crate) member: Member,
    /// The names of its groups.
    pub(crate) groups: Vec<String>,
}

/// A page of the account's groups, and how many there are.
pub(crate) async fn list(store: &Store, caller: &Caller, filter: &Filter, page: &Page) -> Result<(Vec<Group>, u64), ServiceError> {
    let mut read = store.read().await?;
    Ok(groups::list(&mut read, caller.account, filter, page).await?)
}

/// A group with its members.
pub(crate) async fn show(store: &Store, caller: &Caller, id: GroupId) -> Result<Details, ServiceError> {
    details(&mut *store.read().await?, caller, id).await
}

/// Makes a group, with policies and members.
pub(crate) async fn create(store: &Store, caller: &Caller, new: Create, now: Timestamp) -> Result<Accepted<Details>, ServiceError> {
    let id = GroupId::from_bytes(random::bytes()?);
    let mut write = store.write().await?;
    if groups::count(&mut write, caller.account).await? >= GROUPS_MAX {
        return Err(ServiceError::Full { what: "groups", most: GROUPS_MAX });
    }
    known(&mut write, caller, &new).await?;
    let (sequence, stamp) = (write.sequence(), caller.stamp(now));
    let written = Fields { name: &new.name, description: new.description.as_deref() };
    groups::insert(&mut write, caller.account, id, written, sequence, stamp).await.map_err(|error| taken(error, &new.name))?;
    tags::set(&mut write, Tagged { kind: WHAT, id: &id.to_string() }, caller.account, &new.tags).await?;
    write.put(record(caller, id, &new.name));
    bindings::give(&mut write, caller, &new.policies, Identity::Group(id), now).await?;
    for user in &new.users {
        groups::add_member(&mut write, id, *user, stamp).await?;
        write.put(Record::Membership { group: id, user: *user });
    }
    let details = details(&mut write, caller, id).await?;
    let after = json!({
        "name": new.name, "description": new.description, "tags": new.tags,
        "policy_ids": new.policies.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "user_ids": new.users.iter().map(ToString::to_string).collect::<Vec<_>>(),
    });
    write.audit(caller.entry(srn(store, caller.account, WHAT, id), None, Some(after)));
    accept(write, caller, details, now).await
}

/// Changes a group's name and description.
pub(crate) async fn set(
    store: &Store,
    caller: &Caller,
    id: GroupId,
    set: Set,
    precondition: &Precondition,
    now: Timestamp,
) -> Result<Accepted<Details>, ServiceError> {
    let mut write = store.write().await?;
    let before = found(&mut write, caller, id, precondition).await?;
    let written = Fields { name: &set.name, description: set.description.as_deref() };
    let sequence = write.sequence();
    groups::update(&mut write, id, written, sequence, caller.stamp(now)).await.map_err(|error| taken(error, &set.name))?;
    write.put(record(caller, id, &set.name));
    let details = details(&mut write, caller, id).await?;
    write.audit(caller.entry(srn(store, caller.account, WHAT, id), Some(shown(&before)), Some(shown(&details.group))));
    accept(write, caller, details, now).await
}

/// Removes a group, its memberships and its attachments.
pub(crate) async fn delete(
    store: &Store,
    caller: &Caller,
    id: GroupId,
    precondition: &Precondition,
    now: Timestamp,
) -> Result<Accepted<()>, ServiceError> {
    let mut write = store.write().await?;
    let before = found(&mut write, caller, id, precondition).await?;
    for member in groups::all_members(&mut write, id).await? {
        groups::remove_member(&mut write, id, member.user).await?;
        write.delete(RecordKey::Membership(id, member.user));
        tokens::end(&mut write, member.user).await?;
    }
    let to = Identity::Group(id);
    for policy in policies::attached(&mut write, to).await? {
        write.delete(RecordKey::Attachment(policy, to));
    }
    policies::detach_all(&mut write, to).await?;
    tags::remove(&mut write, Tagged { kind: WHAT, id: &id.to_string() }).await?;
    groups::delete(&mut write, id).await?;
    write.delete(RecordKey::Group(id));
    write.audit(caller.entry(srn(store, caller.account, WHAT, id), Some(shown(&before)), None));
    accept(write, caller, (), now).await
}

/// A page of a group's members, and how many there are.
pub(crate) async fn members(store: &Store, caller: &Caller, id: GroupId, page: &Page) -> Result<(Vec<Joined>, u64), ServiceError> {
    let mut read = store.read().await?;
    groups::find(&mut read, caller.account, id).await?.ok_or_else(|| not_found(id))?;
    let (members, count) = groups::members(&mut read, id, page).await?;
    Ok((joined(&mut read, id, members).await?, count))
}

/// Adds a member. One that is there already stays as it is.
pub(crate) async fn add_member(
    store: &Store,
    caller: &Caller,
    id: GroupId,
    user: UserId,
    now: Timestamp,
) -> Result<Accepted<Joined>, ServiceError> {
    let mut write = store.write().await?;
    found(&mut write, caller, id, &Precondition::None).await?;
    match users::find(&mut write, caller.account, user).await? {
        None => return Err(ServiceError::NotFound("user", user.to_string())),
        Some(found) if found.root => return Err(ServiceError::State("the root user cannot be in a group".to_owned())),
        Some(_) => {}
    }
    groups::add_member(&mut write, id, user, caller.stamp(now)).await?;
    write.put(Record::Membership { group: id, user });
    let member = groups::member_of(&mut write, id, user).await?.ok_or_else(|| not_found(id))?;
    let groups = groups::names_of_members(&mut write, id).await?.remove(&user).unwrap_or_default();
    write.audit(caller.entry(srn(store, caller.account, WHAT, id), None, Some(json!({ "user_id": user.to_string() }))));
    accept(write, caller, Joined { member, groups }, now).await
}

/// Removes a member.
pub(crate) async fn remove_member(
    store: &Store,
    caller: &Caller,
    id: GroupId,
    user: UserId,
    now: Timestamp,
) -> Result<Accepted<()>, ServiceError> {
    let mut write = store.write().await?;
    found(&mut write, caller, id, &Precondition::None).await?;
    if !groups::remove_member(&mut write, id, user).await? {
        return Err(ServiceError::NotFound("member", user.to_string()));
    }
    write.delete(RecordKey::Membership(id, user));
    tokens::end(&mut write, user).await?;
    write.audit(caller.entry(srn(store, caller.account, WHAT, id), Some(json!({ "user_id": user.to_string() })), None));
    accept(write, caller, (), now).await
}

async fn found(write: &mut Write, caller: &Caller, id: GroupId, precondition: &Precondition) -> Result<Group, ServiceError> {
    let group = groups::find(write, caller.account, id).await?.ok_or_else(|| not_found(id))?;
    precondition.check(write.store().revision(group.revision))?;
    Ok(group)
}

/// Refuses ids of nobody in the account, all at once.
async fn known(write: &mut Write, caller: &Caller, new: &Create) -> Result<(), ServiceError> {
    let mut problems = unknown(write, caller, "policy_ids", &new.policies).await?;
    for (index, user) in new.users.iter().enumerate() {
        match users::find(write, caller.account, *user).await? {
            None => problems.push(format!("`user_ids[{index}]`: there is no user `{user}`; write the id of a user of this account")),
            Some(found) if found.root => problems.push(format!("`user_ids[{index}]`: the root user cannot be in a group; leave it out")),
            Some(_) => {}
        }
    }
    valid((), problems)
}

async fn details(connection: &mut Connection, caller: &Caller, id: GroupId) -> Result<Details, ServiceError> {
    let group = groups::find(connection, caller.account, id).await?.ok_or_else(|| not_found(id))?;
    let members = groups::all_members(connection, id).await?;
    let members = joined(connection, id, members).await?;
    let policies = policies::held_by(connection, caller.account, Identity::Group(id)).await?;
    Ok(Details { group, members, policies })
}

async fn joined(connection: &mut Connection, group: GroupId, members: Vec<Member>) -> Result<Vec<Joined>, ServiceError> {
    let mut names = groups::names_of_members(connection, group).await?;
    let join = |member: Member| Joined { groups: names.remove(&member.user).unwrap_or_default(), member };
    Ok(members.into_iter().map(join).collect())
}

fn record(caller: &Caller, id: GroupId, name: &str) -> Record {
    Record::Group(wire::Group { id, account: caller.account, name: name.to_owned() })
}

/// A group in the audit log.
fn shown(group: &Group) -> Json {
    json!({ "name": group.name, "description": group.description })
}

fn not_found(id: GroupId) -> ServiceError {
    ServiceError::NotFound(WHAT, id.to_string())
}

fn taken(error: StoreError, name: &str) -> ServiceError {
    if error.is_duplicate() { ServiceError::Taken(WHAT, name.to_owned()) } else { error.into() }
}
