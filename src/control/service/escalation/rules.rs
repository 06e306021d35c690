//! Nobody gives what they do not have: whether a caller may bring rights into force, for others or themselves (contracts C11).
//!
//! An action's access level does not contain escalation: whoever may attach policies, add members to groups, write policies or make
//! keys for others could give themselves everything. Each function here is asked before the change, beside the authorisation of the
//! action itself, and inside the same write as the change, so that the snapshot is what the change is made to.
//! The root user of an account has everything in it, and is never refused here.
//!
//! Compared is what policies say ([`policy::covers`]), each policy by itself: what another policy of the receiver denies may be taken
//! away from them later. All ids must already be known to be of the caller's account.

use std::net::IpAddr;
use std::slice;
use std::sync::Arc;

use crate::control::service::Actor;
use crate::policy::{self, Holder, Owner, Policy, Uncovered, Verdict, Work};
use crate::snapshot::view::Policies;
use crate::snapshot::wire::Identity;
use crate::snapshot::{self, Link, Role, Snapshot, User};
use crate::source::{Report, Source};
use crate::types::{GroupId, PolicyId, PrincipalKind, RoleId, Timestamp, UserId};

const EVERYTHING: &str = r#"{"Version":"2024-07-01","Statement":[{"Effect":"Allow","Action":["*"],"Resource":["*"]}]}"#;

/// Why a caller may not bring rights into force. For the `detail` of an answer: says "you" to the caller, and nothing secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// The policy gives more than the caller has.
    #[error("the policy `{policy}` gives more than you have: {uncovered}")]
    Gives {
        /// The policy.
        policy: PolicyId,
        /// What is more.
        uncovered: Uncovered,
    },
    /// The new version of a policy in force gives more than the old version and the caller have.
    #[error("the policy `{policy}` is in force, and its new version gives more than the old one and you have: {uncovered}")]
    Widens {
        /// The policy.
        policy: PolicyId,
        /// What is more.
        uncovered: Uncovered,
    },
    /// The user has more than the caller.
    #[error("the user `{user}` has more than you: in the policy `{policy}`, {uncovered}")]
    HasMore {
        /// The user.
        user: UserId,
        /// The user's policy.
        policy: Box<str>,
        /// What is more.
        uncovered: Uncovered,
    },
    /// The role may do more than the caller.
    #[error("the role `{role}` may do more than you: in the policy `{policy}`, {uncovered}")]
    LetsIn {
        /// The role.
        role: RoleId,
        /// The role's policy.
        policy: Box<str>,
        /// What is more.
        uncovered: Uncovered,
    },
    /// More roles than are looked at.
    #[error("too many roles trust them, one by way of another, to compare what these may do with what you may")]
    LetsInTooMany,
    /// The policy denies something to the caller, who would lose that.
    #[error("the policy `{0}` denies something to yourself: somebody else must take it away or change that")]
    Frees(PolicyId),
    /// The policy keeps others from what the caller does not have.
    #[error("the policy `{policy}` denies something to others, who would have more than you without it: {uncovered}")]
    FreesOthers {
        /// The policy.
        policy: PolicyId,
        /// What is more.
        uncovered: Uncovered,
    },
    /// What actions mean is not for everybody to say.
    #[error("only who may do everything changes what actions are: everything {}", .0.why)]
    Defines(Uncovered),
    /// Only root acts for root.
    #[error("only the root user acts for the root user")]
    ActsForRoot,
    /// The user's policies depend on their name.
    #[error("the policies of the user `{0}` depend on the user's name, so only the root user changes it")]
    Renames(UserId),
    /// There is no such policy in force that could be given.
    #[error("the policy `{0}` is not there or cannot be read, so nobody knows what it gives")]
    UnknownPolicy(PolicyId),
    /// There is no such group.
    #[error("the group `{0}` is not there or cannot be read, so nobody knows what it gives")]
    UnknownGroup(GroupId),
    /// There is no such role in the caller's account.
    #[error("the role `{0}` is not there or cannot be read, so nobody knows what it may do")]
    UnknownRole(RoleId),
    /// There is no such user in the caller's account.
    #[error("the user `{0}` is not there or cannot be read, so nobody knows what they have")]
    UnknownUser(UserId),
    /// The caller is not there, or not active.
    #[error("you are not there any more, or not active")]
    UnknownCaller,
    /// What the request does beside its own action is not allowed. That is the authorisation itself: `escalation: warn` does not waive it.
    #[error("this also needs `{action}`{on}, which you are not allowed", on = on(.resource.as_deref()))]
    NotAllowed {
        /// The action.
        action: String,
        /// On what: the ids.
        resource: Option<String>,
    },
}

fn on(resource: Option<&str>) -> String {
    resource.map_or_else(String::new, |resource| format!(" on `{resource}`"))
}

/// What the caller's conditions see of the request that the gateway vouches for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Circumstances<'a> {
    /// The caller's address.
    pub(crate) source_ip: Option<IpAddr>,
    /// How they proved who they are: the value of `scp:AuthenticationType`.
    pub(crate) authentication_type: &'a str,
    /// Whether with a second factor, where a role's session calls.
    pub(crate) mfa: bool,
    /// The time.
    pub(crate) now: Timestamp,
}

/// Who asks, and what is left to be spent on answers: one budget for all questions about one write.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asker<'w> {
    pub(crate) actor: Actor,
    /// The user behind a role's session: what they may not do for themselves they do not do as a role.
    pub(crate) behind: Option<UserId>,
    /// What narrows a role's session (R50): who has less than their role gives less than it.
    pub(crate) session: Option<&'w Arc<Policy>>,
    pub(crate) work: &'w Work,
}

/// Whether the caller may attach these policies to anybody: a user, a group or a role.
///
/// # Errors
/// The first policy that gives more than the caller has.
pub(crate) fn may_give(snapshot: &Snapshot, caller: Asker<'_>, policies: &[PolicyId]) -> Result<(), Refusal> {
    let caller = Caller::find(snapshot, caller)?;
    if caller.is_root() {
        return Ok(());
    }
    policies.iter().try_for_each(|policy| caller.covers(*policy))
}

/// Whether the caller may add anybody, also themselves, to a group: its policies are given by that.
///
/// # Errors
/// The first policy of the group that gives more than the caller has.
pub(crate) fn may_join(snapshot: &Snapshot, caller: Asker<'_>, group: GroupId) -> Result<(), Refusal> {
    let caller = Caller::find(snapshot, caller)?;
    if caller.is_root() {
        return Ok(());
    }
    let found = snapshot.group(group).filter(|group| group.known).ok_or(Refusal::UnknownGroup(group))?;
    found.policies.iter().try_for_each(|link| if link.readable { caller.covers(link.id) } else { Err(Refusal::UnknownPolicy(link.id)) })
}

/// Whether the caller may take policies away from somebody. A Deny that holds for the caller stays, even if the caller holds it
/// in another way too: two steps must not do what one may not. Who is freed of a Deny must not have more than the caller then:
/// otherwise an accomplice without rights would free their maker.
///
/// # Errors
/// The first policy with a Deny that the caller holds by what is taken away, or that keeps others from more than the caller has.
pub(crate) fn may_take(snapshot: &Snapshot, caller: Asker<'_>, policies: &[PolicyId], from: Identity) -> Result<(), Refusal> {
    let caller = Caller::find(snapshot, caller)?;
    if caller.is_root() {
        return Ok(());
    }
    for policy in policies.iter().filter(|policy| caller.may_be_denied_by(**policy)) {
        match from {
            Identity::User(user) => {
                let holds = |user: &&User| user.holds.policies.iter().any(|link| link.id == *policy);
                let found = snapshot.user(user).map(|user| &**user).filter(holds);
                caller.may_free(*policy, found.map(snapshot::Caller::User).into_iter())?;
            }
            Identity::Group(group) => caller.may_free(*policy, snapshot.members_of(group).map(snapshot::Caller::User))?,
            Identity::Role(role) => {
                let found = snapshot.role(role).map(|role| &**role).filter(|role| has(role, *policy));
                caller.may_free(*policy, found.map(snapshot::Caller::Role).into_iter())?;
            }
        }
    }
    Ok(())
}

/// Whether the caller may delete a policy, and so take it away from everybody.
///
/// # Errors
/// When it has a Deny and the caller holds it.
pub(crate) fn may_delete(snapshot: &Snapshot, caller: Asker<'_>, policy: PolicyId) -> Result<(), Refusal> {
    let caller = Caller::find(snapshot, caller)?;
    if !caller.is_root() && caller.holds(policy) && caller.may_be_denied_by(policy) {
        return Err(Refusal::Frees(policy));
    }
    Ok(())
}

/// Whether the caller may take a member out of a group.
///
/// # Errors
/// When a policy of the group has a Deny, and the member is the caller, or would have more than the caller.
pub(crate) fn may_leave(snapshot: &Snapshot, caller: Asker<'_>, group: GroupId, member: UserId) -> Result<(), Refusal> {
    let caller = Caller::find(snapshot, caller)?;
    let is_member = |user: &&User| user.holds.groups.iter().any(|link| link.id == group);
    let member = snapshot.user(member).map(|user| &**user).filter(is_member);
    let (Some(group), Some(member), false) = (snapshot.group(group), member, caller.is_root()) else { return Ok(()) };
    for link in group.policies.iter().filter(|link| caller.may_be_denied_by(link.id)) {
        caller.may_free(link.id, std::iter::once(snapshot::Caller::User(member)))?;
    }
    Ok(())
}

/// Whether the caller may put a new version of a policy in the place of the old one. One that is attached to nobody may say
/// anything: it is compared when it is attached.
///
/// The new version must have been compiled for the snapshot's catalogue.
///
/// # Errors
/// When the new version gives what neither the old one gave nor the caller has, or no longer denies what it denied to the caller.
pub(crate) fn may_change(snapshot: &Snapshot, caller: Asker<'_>, policy: PolicyId, new: &Policy) -> Result<(), Refusal> {
    let caller = Caller::find(snapshot, caller)?;
    if caller.is_root() || !snapshot.is_attached(policy) {
        return Ok(());
    }
    let (catalogue, old) = (snapshot.catalogue(), snapshot.policy(policy).ok_or(Refusal::UnknownPolicy(policy))?);
    let widens = |uncovered| Refusal::Widens { policy, uncovered };
    policy::widens_within(catalogue, &caller.holder(), &caller.policies, old, new, caller.work).map_err(widens)?;
    if let Some(session) = caller.session {
        policy::widens_within(catalogue, &caller.holder(), slice::from_ref(session), old, new, caller.work).map_err(widens)?;
    }
    if !policy::loses_deny(catalogue, old, new, caller.work) {
        return Ok(());
    }
    let roles = snapshot.roles().filter(|role| has(role, policy)).map(snapshot::Caller::Role);
    caller.may_free(policy, snapshot.holders_of(policy).map(snapshot::Caller::User).chain(roles))
}

/// Whether the caller may get hold of a credential of a user: make a key for them, or reset their password.
///
/// # Errors
/// When the user is root, or has a policy that gives more than the caller has.
pub(crate) fn may_act_for(snapshot: &Snapshot, caller: Asker<'_>, user: UserId) -> Result<(), Refusal> {
    let caller = Caller::find(snapshot, caller)?;
    let target = caller.fellow(user)?;
    if caller.is_root() || caller.is(snapshot::Caller::User(target)) {
        return Ok(());
    }
    if target.principal.kind == PrincipalKind::Root {
        return Err(Refusal::ActsForRoot);
    }
    for held in snapshot.policies_of(target) {
        caller.covers_all_of(held).map_err(|uncovered| Refusal::HasMore { user, policy: held.id().into(), uncovered })?;
    }
    Ok(())
}

/// Whether the caller may say who may take a role, also themselves: all that the role may do is given by that.
///
/// # Errors
/// When the role has a policy that gives more than the caller has.
pub(crate) fn may_let_in(snapshot: &Snapshot, caller: Asker<'_>, role: RoleId) -> Result<(), Refusal> {
    let caller = Caller::find(snapshot, caller)?;
    let found = snapshot.role(role).filter(|found| found.account == caller.who.account()).ok_or(Refusal::UnknownRole(role))?;
    if caller.is_root() {
        return Ok(());
    }
    for held in snapshot.policies_of_role(found) {
        caller.covers_all_of(held).map_err(|uncovered| Refusal::LetsIn { role, policy: held.id().into(), uncovered })?;
    }
    Ok(())
}

/// Whether the caller may say which route is which action: every policy means something else then.
///
/// # Errors
/// When the caller may not do everything.
pub(crate) fn may_define(snapshot: &Snapshot, caller: Asker<'_>) -> Result<(), Refusal> {
    let caller = Caller::find(snapshot, caller)?;
    if caller.is_root() {
        return Ok(());
    }
    let everything = Policy::load(&Source::new("policy", EVERYTHING), "everything", Owner::system(), snapshot.catalogue(), &Report::new());
    let everything = everything.unwrap_or_else(|| Policy::invalid("everything"));
    caller.covers_all_of(&everything).map_err(Refusal::Defines)
}

/// Whether the caller may give a user, also themselves, another name: conditions may ask for it.
///
/// # Errors
/// When a policy of the user depends on the name.
pub(crate) fn may_rename(snapshot: &Snapshot, caller: Asker<'_>, user: UserId) -> Result<(), Refusal> {
    let caller = Caller::find(snapshot, caller)?;
    let target = caller.fellow(user)?;
    if !caller.is_root() && snapshot.policies_of(target).iter().any(|policy| policy.may_depend_on_name()) {
        return Err(Refusal::Renames(user));
    }
    Ok(())
}

/// Whether a group's policies deny anything to its members, or may: then whoever takes members out of it, or deletes it, takes the
/// policies away, which is `iam:RemoveGroupPolicyBinding`.
#[must_use]
pub(crate) fn restricts(snapshot: &Snapshot, group: GroupId) -> bool {
    let denies = |link: &Link<PolicyId>| !link.readable || snapshot.policy(link.id).is_none_or(|policy| policy.may_deny());
    snapshot.group(group).is_some_and(|group| !group.known || group.policies.iter().any(denies))
}

/// Whether the caller may do an action on exactly these resources of their account (each a type, such as `iam:group`, and an id),
/// as the gateway would decide it. For what a request does beside its own action, such as each id of a body that gives rights.
///
/// # Errors
/// [`Refusal::NotAllowed`] when not. A Deny counts for root too.
pub(crate) fn is_allowed(
    snapshot: &Snapshot,
    caller: Asker<'_>,
    action: &str,
    resources: &[(&str, &str)],
    circumstances: &Circumstances<'_>,
) -> Result<(), Refusal> {
    let caller = Caller::find(snapshot, caller)?;
    let catalogue = snapshot.catalogue();
    let account = caller.who.account_text();
    let resource = |&(kind, id)| -> Option<policy::Resource<'_>> {
        let (service, kind) = str::split_once(kind, ':')?;
        Some(policy::Resource::new(catalogue.find_resource_type(service, kind)?, account, "", id))
    };
    let found: Option<Vec<_>> = resources.iter().map(resource).collect();
    let verdict = catalogue.action_id(action).zip(found.as_deref()).map(|(action, resources)| {
        let request = policy::Request {
            action,
            resources,
            principal: caller.who.asking(),
            context: circumstances.context(caller.who),
            needs_resource_policy: false,
        };
        let session: Vec<_> = caller.session.into_iter().collect();
        policy::evaluate(&request, &policy::Policies::identity(&caller.policies).with_session(&session))
    });
    match verdict {
        Some(Verdict::Allow(_)) => Ok(()),
        Some(
            Verdict::ExplicitDeny(_) | Verdict::ImplicitDeny | Verdict::InvalidPolicy(_) | Verdict::Unavailable(_) | Verdict::Undecided,
        )
        | None => {
            let ids: Vec<&str> = resources.iter().map(|(_, id)| *id).collect();
            Err(Refusal::NotAllowed { action: action.to_owned(), resource: Some(ids.join("`, `")).filter(|ids| !ids.is_empty()) })
        }
    }
}

impl Circumstances<'_> {
    /// What the conditions of somebody's policies see.
    pub(crate) fn context<'a>(&'a self, who: snapshot::Caller<'a>) -> policy::Context<'a> {
        match who {
            snapshot::Caller::User(user) => user.context(self.source_ip, self.authentication_type, "", self.now),
            snapshot::Caller::Role(_) => Role::context(self.source_ip, self.mfa, "", self.now),
        }
    }
}

/// Whether a role has a policy.
fn has(role: &Role, policy: PolicyId) -> bool {
    role.holds.policies.iter().any(|link| link.id == policy)
}

/// Who an actor is, with the policies that they hold; `None` when they are not there any more, or not active.
pub(crate) fn find(snapshot: &Snapshot, actor: Actor) -> Option<(snapshot::Caller<'_>, Policies<'_>)> {
    match actor {
        Actor::User(user) => {
            let user = snapshot.user(user).filter(|user| snapshot.is_active(user))?;
            Some((snapshot::Caller::User(user), snapshot.policies_of(user)))
        }
        Actor::Role(role) => {
            let role = snapshot.role(role).filter(|role| snapshot.is_active_account(role.account))?;
            Some((snapshot::Caller::Role(role), snapshot.policies_of_role(role)))
        }
    }
}

/// Who asks, and what they hold.
struct Caller<'s, 'w> {
    snapshot: &'s Snapshot,
    work: &'w Work,
    who: snapshot::Caller<'s>,
    policies: Policies<'s>,
    session: Option<&'w Arc<Policy>>,
    behind: Option<UserId>,
}

impl<'s, 'w> Caller<'s, 'w> {
    fn find(snapshot: &'s Snapshot, Asker { actor, behind, session, work }: Asker<'w>) -> Result<Self, Refusal> {
        let (who, policies) = find(snapshot, actor).ok_or(Refusal::UnknownCaller)?;
        Ok(Self { snapshot, work, who, policies, session, behind })
    }

    /// Whether it is the caller, or the user behind a role's session.
    fn is_or_is_behind(&self, other: snapshot::Caller<'_>) -> bool {
        self.is(other) || other.user().is_some_and(|user| self.behind == Some(user.principal.user))
    }

    fn is(&self, other: snapshot::Caller<'_>) -> bool {
        self.who.kind() == other.kind() && self.who.id_text() == other.id_text()
    }

    /// By their own policies, and by what narrows their session: each by itself must cover it.
    fn covers_all_of(&self, gained: &Policy) -> Result<(), Uncovered> {
        let (catalogue, holder) = (self.snapshot.catalogue(), self.holder());
        policy::covers(catalogue, &holder, &self.policies, gained, self.work)?;
        let Some(session) = self.session else { return Ok(()) };
        policy::covers(catalogue, &holder, slice::from_ref(session), gained, self.work)
    }

    /// Whether these may lose a policy that denies, or may.
    fn may_free<'u>(&self, policy: PolicyId, freed: impl Iterator<Item = snapshot::Caller<'u>>) -> Result<(), Refusal>
    where
        's: 'u,
    {
        let freed: Vec<snapshot::Caller<'_>> = freed.collect();
        if freed.iter().any(|other| self.is_or_is_behind(*other)) {
            return Err(Refusal::Frees(policy));
        }
        if freed.iter().any(|other| other.kind() == PrincipalKind::Root) {
            return Err(Refusal::ActsForRoot);
        }
        let mut compared: Vec<*const Policy> = Vec::new();
        for other in freed {
            let held = match other {
                snapshot::Caller::User(user) => self.snapshot.policies_of(user),
                snapshot::Caller::Role(role) => self.snapshot.policies_of_role(role),
            };
            for held in held {
                if compared.contains(&std::ptr::from_ref(held)) {
                    continue;
                }
                compared.push(std::ptr::from_ref(held));
                self.covers_all_of(held).map_err(|uncovered| Refusal::FreesOthers { policy, uncovered })?;
            }
        }
        Ok(())
    }

    fn is_root(&self) -> bool {
        self.who.kind() == PrincipalKind::Root
    }

    fn holder(&self) -> Holder<'s> {
        let user = self.who.user();
        Holder { account: self.who.account_text(), user_id: user.map(User::id_text), user_name: user.map(|user| &*user.principal.name) }
    }

    /// A user of the same account.
    fn fellow(&self, user: UserId) -> Result<&'s User, Refusal> {
        let found = self.snapshot.user(user).map(|user| &**user);
        found.filter(|found| found.principal.account == self.who.account()).ok_or(Refusal::UnknownUser(user))
    }

    fn covers(&self, policy: PolicyId) -> Result<(), Refusal> {
        let gained = self.snapshot.policy(policy).ok_or(Refusal::UnknownPolicy(policy))?;
        self.covers_all_of(gained).map_err(|uncovered| Refusal::Gives { policy, uncovered })
    }

    /// Whether they hold a policy, by themselves or by a group.
    fn holds(&self, policy: PolicyId) -> bool {
        let held = |links: &[Link<PolicyId>]| links.iter().any(|link| link.id == policy);
        let by_group = |link: &Link<GroupId>| self.snapshot.group(link.id).is_some_and(|group| held(&group.policies));
        match self.who {
            snapshot::Caller::User(user) => held(&user.holds.policies) || user.holds.groups.iter().any(by_group),
            snapshot::Caller::Role(role) => held(&role.holds.policies),
        }
    }

    /// SECURITY: a policy that cannot be read may deny anything.
    fn may_be_denied_by(&self, policy: PolicyId) -> bool {
        self.snapshot.policy(policy).is_none_or(|policy| policy.may_deny())
    }
}

#[cfg(test)]
mod tests;
