//! Stage 9: what the caller's policies say.

use smallvec::SmallVec;

use super::decision::{Denial, Facts};
use super::resolve::Resolved;
use crate::policy::{self, ActionId, Deciding, Place, Policies, Verdict};
use crate::snapshot::{Decide, Operation, Snapshot, User};
use crate::types::{Reason, Timestamp};

/// Evaluates the caller's policies; the deciding statement goes into `facts`.
pub(super) fn authorize<'v>(
    snapshot: &'v Snapshot,
    operation: &Operation,
    action: ActionId,
    resolved: &Resolved<'_>,
    user: &'v User,
    facts: &mut Facts<'v>,
    now: Timestamp,
) -> Result<(), Denial> {
    if operation.decide == Decide::Backend {
        return Ok(());
    }
    let own = |account: &str| account == &*user.account_text;
    let foreign = !own(&resolved.account) || resolved.resources.iter().any(|resource| !own(&resource.account));
    let resources: SmallVec<[policy::Resource<'_>; 2]> = resolved
        .resources
        .iter()
        .map(|resource| policy::Resource::new(resource.kind, &resource.account, &resource.region, &resource.id))
        .collect();
    let request = policy::Request {
        action,
        resources: &resources,
        principal: user.asking(),
        context: user.context(facts.client_address, facts.authentication.as_str(), &resolved.region, now),
        needs_resource_policy: false,
    };
    let held = snapshot.policies_of(user);
    let policy = |place: Place| match place {
        Place::Identity(index) => held.get(index).copied(),
        Place::Resource(_) | Place::Session(_) => None,
    };
    let name = |deciding: Deciding| policy(deciding.policy).map(|policy| (policy.id(), deciding.statement, policy.sid(deciding.statement)));
    let reason = match policy::evaluate(&request, &Policies::identity(&held)) {
        // R26: across accounts the caller's own policies are not enough, and nothing else can grant yet.
        Verdict::Allow(_) if foreign => Reason::ImplicitDeny,
        Verdict::Allow(deciding) => {
            facts.deciding = deciding.and_then(name);
            return Ok(());
        }
        Verdict::ExplicitDeny(deciding) => {
            facts.deciding = name(deciding);
            Reason::ExplicitDeny
        }
        Verdict::ImplicitDeny => Reason::ImplicitDeny,
        Verdict::Unavailable(deciding) => {
            facts.deciding = deciding.and_then(name);
            Reason::AttributeUnavailable
        }
        Verdict::Undecided => Reason::AttributeUnavailable,
        Verdict::InvalidPolicy(place) => {
            facts.deciding = policy(place).map(|policy| (policy.id(), 0, None));
            Reason::InvalidPolicy
        }
    };
    Err(Denial::new(reason))
}
