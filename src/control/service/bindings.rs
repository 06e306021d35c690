//! Who has which policy: attachments to users, groups and roles, from either side.

use serde_json::json;

use super::policies::{not_found, srn as policy_srn, unknown, valid};
use super::{Accepted, Caller, ServiceError, accept, fields, srn};
use crate::control::store::bindings::{self, Bound, Filter, Kind};
use crate::control::store::connection::Connection;
use crate::control::store::policies::{self, Policy};
use crate::control::store::select::{Direction, Page, WHOLE};
use crate::control::store::{Store, Write, groups, roles, users};
use crate::snapshot::wire::{Identity, Record, RecordKey};
use crate::source::Cursor;
use crate::types::{GroupId, PolicyId, RoleId, Timestamp, UserId};

/// Most policies of a user, group or role.
pub(crate) const ATTACHED_MAX: u64 = 50;
/// Most holders of a policy that a refusal names.
const NAMED_MAX: u64 = 3;

/// To whom a policy is given, and from whom it is taken.
#[derive(Debug)]
pub(crate) struct Set {
    kind: Kind,
    add: Vec<Identity>,
    remove: Vec<Identity>,
}

impl Set {
    /// Reads a body.
    pub(crate) fn decode(cursor: &Cursor<'_>) -> Option<Self> {
        let table = cursor.table()?;
        let kind = table.required("identity_type", "write GROUP, USER or ROLE", |value| {
            value.one_of(&[("GROUP", Kind::Group), ("USER", Kind::User), ("ROLE", Kind::Role)])
        });
        let add = table.or("add_ids", Vec::new(), |value| identities(&value, kind));
        let remove = table.or("remove_ids", Vec::new(), |value| identities(&value, kind));
        table.finish()?;
        let (kind, add, remove) = (kind?, add?, remove?);
        if add.is_empty() && remove.is_empty() {
            cursor.error_hint("there is nobody in `add_ids` and `remove_ids`", "write at least one id in one of them");
            return None;
        }
        if add.iter().any(|id| remove.contains(id)) {
            cursor.error_hint("an id stands in `add_ids` and in `remove_ids`", "write it in one of them");
            return None;
        }
        Some(Self { kind, add, remove })
    }
}

fn identities(cursor: &Cursor<'_>, kind: Option<Kind>) -> Option<Vec<Identity>> {
    match kind {
        Some(Kind::Group) => Some(fields::ids::<GroupId>(cursor)?.into_iter().map(Identity::Group).collect()),
        Some(Kind::Role) => Some(fields::ids::<RoleId>(cursor)?.into_iter().map(Identity::Role).collect()),
        Some(Kind::User) | None => Some(fields::ids::<UserId>(cursor)?.into_iter().map(Identity::User).collect()),
    }
}

/// The body that gives policies to a user, group or role.
pub(crate) fn decode_policies(cursor: &Cursor<'_>) -> Option<Vec<PolicyId>> {
    let table = cursor.table()?;
    let policies = table.required("policy_ids", "write the ids of the policies", |value| {
        let ids = fields::ids(&value)?;
        if ids.is_empty() {
            value.error_hint("there is no id", "write at least one id");
            return None;
        }
        Some(ids)
    });
    table.finish()?;
    policies
}

/// A page of those who have a policy, and how many there are.
pub(crate) async fn list(
    store: &Store,
    caller: &Caller,
    policy: PolicyId,
    filter: &Filter,
    page: &Page,
) -> Result<(Vec<Bound>, u64), ServiceError> {
    let mut read = store.read().await?;
    if !policies::is_usable(&mut read, caller.account, policy).await? {
        return Err(not_found(policy));
    }
    Ok(bindings::list(&mut read, caller.account, policy, filter, page).await?)
}

/// Gives a policy to some and takes it from others; who has it afterwards, as a page. Somebody who has it already keeps it, and nothing is
/// taken from somebody who has not got it.
pub(crate) async fn set(
    store: &Store,
    caller: &Caller,
    policy: PolicyId,
    set: Set,
    page: &Page,
    now: Timestamp,
) -> Result<Accepted<(Vec<Bound>, u64)>, ServiceError> {
    let mut write = store.write().await?;
    let account = policies::find(&mut write, caller.account, policy).await?.ok_or_else(|| not_found(policy))?.account;
    let mut problems = strangers(&mut write, caller, "add_ids", &set.add).await?;
    problems.extend(strangers(&mut write, caller, "remove_ids", &set.remove).await?);
    valid((), problems)?;
    for from in &set.remove {
        take(&mut write, policy, *from).await?;
    }
    for to in &set.add {
        give(&mut write, caller, &[policy], *to, now).await?;
    }
    let filter = Filter { kind: Some(set.kind), ..Filter::default() };
    let after = bindings::list(&mut write, caller.account, policy, &filter, page).await?;
    let ids = |all: &[Identity]| all.iter().map(|identity| shown(*identity).1).collect::<Vec<_>>();
    let done = json!({ "identity_type": word(set.kind), "add_ids": ids(&set.add), "remove_ids": ids(&set.remove) });
    write.audit(caller.entry(policy_srn(store, account, policy), None, Some(done)));
    accept(write, caller, after, now).await
}

/// A page of the policies of a user, group or role, and how many there are.
pub(crate) async fn held(
    store: &Store,
    caller: &Caller,
    by: Identity,
    filter: policies::Filter,
    page: &Page,
) -> Result<(Vec<Policy>, u64), ServiceError> {
    let mut read = store.read().await?;
    exists(&mut read, caller, by).await?;
    let filter = policies::Filter { held_by: Some(by), ..filter };
    Ok(policies::list(&mut read, caller.account, &filter, page).await?)
}

/// Gives policies to a user or group; those that were asked for. What it has already it keeps.
pub(crate) async fn add(
    store: &Store,
    caller: &Caller,
    to: Identity,
    ids: Vec<PolicyId>,
    now: Timestamp,
) -> Result<Accepted<Vec<Policy>>, ServiceError> {
    let mut write = store.write().await?;
    exists(&mut write, caller, to).await?;
    let problems = unknown(&mut write, caller, "policy_ids", &ids).await?;
    valid((), problems)?;
    give(&mut write, caller, &ids, to, now).await?;
    let (kind, id) = shown(to);
    let after = json!({ "policy_ids": ids.iter().map(ToString::to_string).collect::<Vec<_>>() });
    write.audit(caller.entry(srn(store, caller.account, kind, id), None, Some(after)));
    let filter = policies::Filter { only: Some(ids), ..policies::Filter::default() };
    let newest_first = Page { order: vec![("p.created_at", Direction::Descending)], ..WHOLE };
    let (given, _) = policies::list(&mut write, caller.account, &filter, &newest_first).await?;
    accept(write, caller, given, now).await
}

/// Takes a policy from a user, group or role that has it.
pub(crate) async fn remove(
    store: &Store,
    caller: &Caller,
    from: Identity,
    policy: PolicyId,
    now: Timestamp,
) -> Result<Accepted<()>, ServiceError> {
    let mut write = store.write().await?;
    exists(&mut write, caller, from).await?;
    if !take(&mut write, policy, from).await? {
        return Err(not_found(policy));
    }
    let (kind, id) = shown(from);
    let before = json!({ "policy_ids": [policy.to_string()] });
    write.audit(caller.entry(srn(store, caller.account, kind, id), Some(before), None));
    accept(write, caller, (), now).await
}

/// Takes several policies from somebody, or all of them where none are named; those that are not there are no error.
pub(crate) async fn remove_all(
    store: &Store,
    caller: &Caller,
    from: Identity,
    policies: Option<Vec<PolicyId>>,
    now: Timestamp,
) -> Result<Accepted<()>, ServiceError> {
    let mut write = store.write().await?;
    exists(&mut write, caller, from).await?;
    let asked = match policies {
        Some(policies) => policies,
        None => policies::attached(&mut write, from).await?,
    };
    let mut taken = Vec::new();
    for policy in asked {
        if take(&mut write, policy, from).await? {
            taken.push(policy.to_string());
        }
    }
    let (kind, id) = shown(from);
    write.audit(caller.entry(srn(store, caller.account, kind, id), Some(json!({ "policy_ids": taken })), None));
    accept(write, caller, (), now).await
}

/// Gives policies, which the caller's account sees, to a user, group or role of it.
pub(super) async fn give(
    write: &mut Write,
    caller: &Caller,
    policies: &[PolicyId],
    to: Identity,
    now: Timestamp,
) -> Result<(), ServiceError> {
    for policy in policies {
        if policies::attach(write, *policy, to, caller.stamp(now)).await? {
            write.put(Record::Attachment { policy: *policy, to });
        }
    }
    if bindings::count(write, to).await? > ATTACHED_MAX {
        return Err(ServiceError::TooMany { of: shown(to).0, most: ATTACHED_MAX, what: "policies" });
    }
    Ok(())
}

async fn take(write: &mut Write, policy: PolicyId, from: Identity) -> Result<bool, ServiceError> {
    let had = bindings::detach(write, policy, from).await?;
    if had {
        write.delete(RecordKey::Attachment(policy, from));
    }
    Ok(had)
}

/// Who has a policy, in words; `None` when nobody does.
pub(super) async fn holders(write: &mut Write, caller: &Caller, policy: PolicyId) -> Result<Option<String>, ServiceError> {
    let first = Page { size: NAMED_MAX, order: vec![("a.created_at", Direction::Ascending)], ..WHOLE };
    let (holders, count) = bindings::list(write, caller.account, policy, &Filter::default(), &first).await?;
    let mut words: Vec<String> = holders.iter().map(|holder| format!("the {} `{}`", shown(holder.identity).0, holder.name)).collect();
    match count.saturating_sub(NAMED_MAX) {
        0 => {}
        more => words.push(format!("{more} more")),
    }
    Ok((count > 0).then(|| words.join(", ")))
}

async fn is_ours(connection: &mut Connection, caller: &Caller, identity: Identity) -> Result<bool, ServiceError> {
    Ok(match identity {
        Identity::User(user) => users::find(connection, caller.account, user).await?.is_some(),
        Identity::Group(group) => groups::find(connection, caller.account, group).await?.is_some(),
        Identity::Role(role) => roles::find(connection, caller.account, role).await?.is_some(),
    })
}

async fn exists(connection: &mut Connection, caller: &Caller, identity: Identity) -> Result<(), ServiceError> {
    if is_ours(connection, caller, identity).await? {
        return Ok(());
    }
    let (kind, id) = shown(identity);
    Err(ServiceError::NotFound(kind, id))
}

/// What to say about ids of nobody in the account.
async fn strangers(write: &mut Write, caller: &Caller, member: &str, all: &[Identity]) -> Result<Vec<String>, ServiceError> {
    let mut problems = Vec::new();
    for (index, identity) in all.iter().enumerate() {
        if !is_ours(write, caller, *identity).await? {
            let (kind, id) = shown(*identity);
            problems.push(format!("`{member}[{index}]`: there is no {kind} `{id}`; write the id of a {kind} of this account"));
        }
    }
    Ok(problems)
}

/// What it is, and its id.
fn shown(identity: Identity) -> (&'static str, String) {
    match identity {
        Identity::User(user) => ("user", user.to_string()),
        Identity::Group(group) => ("group", group.to_string()),
        Identity::Role(role) => ("role", role.to_string()),
    }
}

fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::User => "USER",
        Kind::Group => "GROUP",
        Kind::Role => "ROLE",
    }
}
