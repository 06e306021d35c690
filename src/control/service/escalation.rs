//! Nobody gives more than they have (contracts C11): every write passes here before it is committed.
//!
//! What is judged are the records that would change, not the route: a route that is forgotten here gives nothing away.

pub(crate) mod rules;

use std::collections::HashSet;
use std::sync::Arc;

use super::operator::Excused;
use super::{Actor, Caller, ServiceError};
use crate::control::store::{Pending, Write, roles};
use crate::policy::{Owner, Policy, Work};
use crate::snapshot::Snapshot;
use crate::snapshot::wire::{ConsoleOf, DocumentRef, Identity, Record, RecordKey};
use crate::source::{Report, Source};
use crate::types::{GroupId, PolicyId, PrincipalKind, RoleId, Timestamp, TokenId, UserId};
use rules::{Asker, Circumstances, Refusal};

/// What happens to a write that gives more than the caller has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Escalation {
    /// It is refused.
    Refuse,
    /// It is logged.
    Warn,
}

/// The action that attaches and detaches in one request.
const SET_BINDINGS: &str = "iam:SetPolicyBinding";
/// The action that says who may take a role.
pub(super) const SET_TRUST: &str = "iam:SetRoleTrustPolicy";
const DELETE_ROLE: &str = "iam:DeleteRole";
/// Most roles that somebody may take who is acted for, one by way of another.
const REACHED_MAX: usize = 100;
const GROUP: &str = "iam:group";
const USER: &str = "iam:user";
const POLICY: &str = "iam:policy";
pub(super) const ROLE: &str = "iam:role";

/// Whether the caller's own rights cover what the pending changes of `write` would bring into force, and whether the caller may do
/// what the write does beside the request's own action. The write's lock is held, so the snapshot is what the changes are made to.
pub(crate) async fn judge(write: &mut Write, caller: &Caller, now: Timestamp) -> Result<(), ServiceError> {
    let excused = Excused::of(write, caller).await?;
    let snapshot = write.store().snapshot();
    let coming = Coming::of(write.pending());
    let acted_for: HashSet<UserId> = write
        .pending()
        .iter()
        .filter(|pending| !excused.covers(pending))
        .filter_map(|pending| acts_for(&snapshot, pending))
        .filter(|user| !caller.is(*user) && !coming.users_gone.contains(user))
        .collect();
    let mut roles = Vec::new();
    for user in acted_for {
        roles.extend(reached(write, caller, user.to_string()).await?);
    }
    let (work, session) = (Work::new(), session_policy(&snapshot, caller));
    let asker = Asker { actor: caller.actor, behind: caller.behind(), session: session.as_ref(), work: &work };
    let judged = Judge { snapshot: &snapshot, caller, now, excused: &excused, coming, asker };
    for pending in write.pending() {
        enforce(judged.one(pending), caller)?;
    }
    for role in roles {
        enforce(rules::may_let_in(&snapshot, asker, role), caller)?;
    }
    Ok(())
}

/// Of whom a change gives the caller a credential, or makes one good.
fn acts_for(snapshot: &Snapshot, pending: &Pending) -> Option<UserId> {
    match pending {
        Pending::Put(Record::AccessKey(key)) if key.enabled => Some(key.user),
        Pending::Put(Record::KeySecurity { user, .. } | Record::ConsoleAccess { of: ConsoleOf::User(user), .. })
        | Pending::Delete(RecordKey::KeySecurity(user) | RecordKey::ConsoleAccess(ConsoleOf::User(user))) => Some(*user),
        Pending::Put(Record::User(user)) if user.active && snapshot.user(user.id).is_some_and(|found| !found.active) => Some(user.id),
        Pending::Put(_) | Pending::Delete(_) => None,
    }
}

/// The roles of the caller's account that whoever acts for its user or role of this id may take because of what trust policies say of them,
/// also one by way of another; for root there is nothing to ask.
///
/// SECURITY: of the same account only. Whom another account lets in is that account's affair, and nobody there can stand in the way of people here
/// by letting them in (test `whoever_acts_for_somebody_could_take_the_roles_that_trust_them_by_name`).
async fn reached(write: &mut Write, caller: &Caller, principal: String) -> Result<Vec<RoleId>, ServiceError> {
    let mut found: Vec<RoleId> = Vec::new();
    if is_root(&write.store().snapshot(), caller) {
        return Ok(found);
    }
    let mut ask = vec![principal, roles::ANYBODY.to_owned()];
    while let Some(principal) = ask.pop() {
        for role in roles::trusting(write, caller.account, &principal, REACHED_MAX as u64 + 1).await? {
            if found.contains(&role) {
                continue;
            }
            if found.len() >= REACHED_MAX {
                enforce(Err(Refusal::LetsInTooMany), caller)?;
                return Ok(found);
            }
            found.push(role);
            ask.push(role.to_string());
        }
    }
    Ok(found)
}

fn is_root(snapshot: &Snapshot, caller: &Caller) -> bool {
    caller.user().ok().and_then(|user| snapshot.user(user)).is_some_and(|user| user.principal.kind == PrincipalKind::Root)
}

/// Whether the caller may get hold of a credential that no record shows: another user's password.
pub(crate) async fn may_act_for(write: &mut Write, caller: &Caller, user: UserId) -> Result<(), ServiceError> {
    if caller.is(user) {
        return Ok(());
    }
    let reached = reached(write, caller, user.to_string()).await?;
    ask(write, caller, |snapshot, asker| {
        rules::may_act_for(snapshot, asker, user)?;
        reached.iter().try_for_each(|role| rules::may_let_in(snapshot, asker, *role))
    })
}

/// Whether the caller may let others take a role, which no record shows: all that its sessions may do is given by that, and
/// which roles they may take.
pub(crate) async fn may_let_in(write: &mut Write, caller: &Caller, role: RoleId) -> Result<(), ServiceError> {
    let reached = reached(write, caller, role.to_string()).await?;
    ask(write, caller, |snapshot, asker| {
        rules::may_let_in(snapshot, asker, role)?;
        reached.iter().try_for_each(|role| rules::may_let_in(snapshot, asker, *role))
    })
}

/// Whether the caller may do what a request does beside its own action.
pub(crate) fn is_allowed(
    write: &Write,
    caller: &Caller,
    action: &str,
    resources: &[(&str, &str)],
    now: Timestamp,
) -> Result<(), ServiceError> {
    ask(write, caller, |snapshot, asker| rules::is_allowed(snapshot, asker, action, resources, &circumstances(caller, now)))
}

fn ask(write: &Write, caller: &Caller, question: impl FnOnce(&Snapshot, Asker<'_>) -> Result<(), Refusal>) -> Result<(), ServiceError> {
    let snapshot = write.store().snapshot();
    let (work, session) = (Work::new(), session_policy(&snapshot, caller));
    enforce(question(&snapshot, Asker { actor: caller.actor, behind: caller.behind(), session: session.as_ref(), work: &work }), caller)
}

/// The policy that narrows the caller's session, if one does.
pub(super) fn session_policy(snapshot: &Snapshot, caller: &Caller) -> Option<Arc<Policy>> {
    let text = caller.session.as_ref()?.policy.as_deref()?;
    Some(Arc::new(read_session_policy(snapshot, caller, text)))
}

/// A policy that narrows a session. SECURITY: one that cannot be read any more lets nothing pass.
pub(super) fn read_session_policy(snapshot: &Snapshot, caller: &Caller, text: &str) -> Policy {
    const ID: &str = "session";
    let (source, owner) = (Source::new("session policy", text), Owner::account(caller.account.to_text().as_str()));
    Policy::load(&source, ID, owner, snapshot.catalogue(), &Report::unread()).unwrap_or_else(|| Policy::invalid(ID))
}

/// What conditions see of the caller's request.
pub(super) fn circumstances(caller: &Caller, now: Timestamp) -> Circumstances<'_> {
    Circumstances { source_ip: caller.address.parse().ok(), authentication_type: &caller.authentication_type, mfa: caller.mfa, now }
}

/// What follows from an answer: a refusal, or a warning where the operator asked for that. What is not allowed is never waived.
fn enforce(answer: Result<(), Refusal>, caller: &Caller) -> Result<(), ServiceError> {
    match (answer, caller.escalation) {
        (Ok(()), _) => Ok(()),
        (Err(refusal @ Refusal::NotAllowed { .. }), _) | (Err(refusal), Escalation::Refuse) => Err(refusal.into()),
        (Err(refusal), Escalation::Warn) => {
            tracing::warn!(caller = caller.actor_text, action = caller.action, request_id = caller.request_id, "escalation: {refusal}");
            Ok(())
        }
    }
}

/// What a write makes and removes itself.
struct Coming {
    groups: HashSet<GroupId>,
    users_gone: HashSet<UserId>,
    roles_gone: HashSet<RoleId>,
    tokens_ended: HashSet<UserId>,
}

impl Coming {
    fn of(pending: &[Pending]) -> Self {
        let mut coming =
            Self { groups: HashSet::new(), users_gone: HashSet::new(), roles_gone: HashSet::new(), tokens_ended: HashSet::new() };
        for pending in pending {
            match pending {
                Pending::Put(Record::Group(group)) => {
                    coming.groups.insert(group.id);
                }
                Pending::Delete(RecordKey::User(user)) => {
                    coming.users_gone.insert(*user);
                }
                Pending::Delete(RecordKey::Role(role)) => {
                    coming.roles_gone.insert(*role);
                }
                Pending::Put(Record::TokensValidFrom { user, .. }) => {
                    coming.tokens_ended.insert(*user);
                }
                Pending::Put(_) | Pending::Delete(_) => {}
            }
        }
        coming
    }

    /// Whether all tokens of a user end anyway.
    fn ends_tokens_of(&self, user: UserId) -> bool {
        self.tokens_ended.contains(&user) || self.users_gone.contains(&user)
    }
}

struct Judge<'a> {
    snapshot: &'a Snapshot,
    caller: &'a Caller,
    now: Timestamp,
    excused: &'a Excused,
    coming: Coming,
    /// With one budget for the whole write: whoever sends it must not keep others waiting.
    asker: Asker<'a>,
}

impl Judge<'_> {
    fn one(&self, pending: &Pending) -> Result<(), Refusal> {
        if self.excused.covers(pending) {
            return Ok(());
        }
        match pending {
            Pending::Put(record) => self.put(record),
            Pending::Delete(key) => self.delete(key),
        }
    }

    fn put(&self, record: &Record) -> Result<(), Refusal> {
        let (snapshot, asker) = (self.snapshot, self.asker);
        let is_other = |user: UserId| asker.actor != Actor::User(user);
        match record {
            Record::Attachment { policy, to } => {
                self.attaching(*policy, *to)?;
                rules::may_give(snapshot, asker, &[*policy])
            }
            Record::Membership { group, user } => {
                if self.caller.action != "iam:AddGroupMember" {
                    self.allowed("iam:AddGroupMember", &[(GROUP, &group.to_string()), (USER, &user.to_string())])?;
                }
                // What a group that is new gives is attached in this write, and judged there.
                let is_new = self.coming.groups.contains(group) && snapshot.group(*group).is_none();
                if is_new { Ok(()) } else { rules::may_join(snapshot, asker, *group) }
            }
            Record::Policy(policy) if snapshot.policy(policy.id).is_some() => {
                let DocumentRef::Text(text, _) = &policy.document else { return Err(Refusal::UnknownPolicy(policy.id)) };
                let owner = policy.account.map_or_else(Owner::system, |account| Owner::account(account.to_text().as_str()));
                let source = Source::new("policy", text.as_str());
                let new = Policy::load(&source, &policy.id.to_string(), owner, snapshot.catalogue(), &Report::new());
                rules::may_change(snapshot, asker, policy.id, &new.ok_or(Refusal::UnknownPolicy(policy.id))?)
            }
            Record::AccessKey(key) if is_other(key.user) && key.enabled => rules::may_act_for(snapshot, asker, key.user),
            Record::KeySecurity { user, .. } | Record::ConsoleAccess { of: ConsoleOf::User(user), .. } if is_other(*user) => {
                rules::may_act_for(snapshot, asker, *user)
            }
            Record::User(user) => match snapshot.user(user.id) {
                None if user.root => Err(Refusal::ActsForRoot),
                None => Ok(()),
                Some(found) => {
                    if *found.principal.name != *user.name {
                        rules::may_rename(snapshot, asker, user.id)?;
                    }
                    // Who is let in again has all their rights again.
                    if user.active && !found.active { rules::may_act_for(snapshot, asker, user.id) } else { Ok(()) }
                }
            },
            // It takes, and gives nothing.
            Record::TokensValidFrom { .. }
            | Record::RevokedToken { .. }
            | Record::SessionsValidFrom { .. }
            | Record::ConsoleAccess { .. } => Ok(()),
            // Whoever has it is everybody; no route writes it.
            Record::TokenKey(_) => Err(Refusal::ActsForRoot),
            // No route writes policies of resources; they may give anything to anybody.
            Record::Definition { .. } | Record::ResourcePolicy(_) => rules::may_define(snapshot, asker),
            // A policy that is attached to nobody may say anything, and a role has no rights by itself. Accounts are the operator's.
            Record::Policy(_)
            | Record::AccessKey(_)
            | Record::KeySecurity { .. }
            | Record::Account(_)
            | Record::Group(_)
            | Record::Role(_) => Ok(()),
        }
    }

    fn delete(&self, key: &RecordKey) -> Result<(), Refusal> {
        let (snapshot, asker) = (self.snapshot, self.asker);
        match key {
            // Nobody has it any more who could gain by it.
            RecordKey::Attachment(_, Identity::Role(role)) | RecordKey::SessionsValidFrom(role)
                if self.coming.roles_gone.contains(role) =>
            {
                Ok(())
            }
            // It would revive sessions; no route does that.
            RecordKey::SessionsValidFrom(role) => rules::may_let_in(snapshot, asker, *role),
            RecordKey::Role(role) if self.caller.action != DELETE_ROLE => self.allowed(DELETE_ROLE, &[(ROLE, &role.to_string())]),
            RecordKey::Attachment(policy, from) => {
                self.detaching(*policy, *from)?;
                rules::may_take(snapshot, asker, &[*policy], *from)
            }
            RecordKey::Membership(group, user) => {
                // Who leaves a group that denies something is freed of that; who is deleted gains nothing.
                if rules::restricts(snapshot, *group) && !self.coming.users_gone.contains(user) {
                    self.allowed("iam:RemoveGroupPolicyBinding", &[(GROUP, &group.to_string())])?;
                }
                rules::may_leave(snapshot, asker, *group, *user)
            }
            RecordKey::Policy(policy) => rules::may_delete(snapshot, asker, *policy),
            RecordKey::KeySecurity(user) | RecordKey::TokensValidFrom(user) | RecordKey::ConsoleAccess(ConsoleOf::User(user))
                if asker.actor != Actor::User(*user) && !self.coming.users_gone.contains(user) =>
            {
                rules::may_act_for(snapshot, asker, *user)
            }
            // A token that would be good again.
            RecordKey::RevokedToken(user, token)
                if asker.actor != Actor::User(*user) && !self.coming.ends_tokens_of(*user) && !self.has_ended(*user, *token) =>
            {
                rules::may_act_for(snapshot, asker, *user)
            }
            RecordKey::KeySecurity(_)
            | RecordKey::TokensValidFrom(_)
            | RecordKey::RevokedToken(..)
            | RecordKey::ConsoleAccess(_)
            | RecordKey::Account(_)
            | RecordKey::User(_)
            | RecordKey::Group(_)
            | RecordKey::Role(_)
            | RecordKey::AccessKey(_)
            | RecordKey::TokenKey(_) => Ok(()),
            RecordKey::Definition(_) | RecordKey::ResourcePolicy(_) => rules::may_define(snapshot, asker),
        }
    }

    fn has_ended(&self, user: UserId, token: TokenId) -> bool {
        let revoked = self.snapshot.user(user).and_then(|user| user.holds.revoked(token));
        revoked.is_none_or(|revoked| revoked.expires_at <= self.now)
    }

    /// Attaching is an action of its own, also where a request does it in passing.
    fn attaching(&self, policy: PolicyId, to: Identity) -> Result<(), Refusal> {
        let (action, kind, id) = match to {
            Identity::User(user) => ("iam:AddUserPolicyBinding", USER, user.to_string()),
            Identity::Group(group) => ("iam:AddGroupPolicyBinding", GROUP, group.to_string()),
            Identity::Role(role) => ("iam:AddRolePolicyBinding", ROLE, role.to_string()),
        };
        if self.caller.action == action || self.caller.action == SET_BINDINGS {
            return Ok(());
        }
        self.allowed(action, &[(kind, &id), (POLICY, &policy.to_string())])
    }

    /// So is detaching, unless there is nobody left who gains by it.
    fn detaching(&self, policy: PolicyId, from: Identity) -> Result<(), Refusal> {
        let (action, kind, id, frees) = match from {
            Identity::User(user) => ("iam:RemoveUserPolicyBinding", USER, user.to_string(), !self.coming.users_gone.contains(&user)),
            Identity::Group(group) => ("iam:RemoveGroupPolicyBinding", GROUP, group.to_string(), rules::restricts(self.snapshot, group)),
            Identity::Role(role) => ("iam:RemoveRolePolicyBinding", ROLE, role.to_string(), true),
        };
        if self.caller.action == action || self.caller.action == SET_BINDINGS || !frees {
            return Ok(());
        }
        self.allowed(action, &[(kind, &id), (POLICY, &policy.to_string())])
    }

    fn allowed(&self, action: &str, resources: &[(&str, &str)]) -> Result<(), Refusal> {
        rules::is_allowed(self.snapshot, self.asker, action, resources, &circumstances(self.caller, self.now))
    }
}
