//! Stage 9: what the caller's policies say.

use smallvec::SmallVec;

use super::decision::{Denial, Facts};
use super::resolve::Resolved;
use crate::policy::{self, ActionId, Deciding, Verdict};
use crate::snapshot::{Decide, Operation, Snapshot, User};
use crate::types::{PrincipalKind, Reason, Timestamp};

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
        .map(|resource| policy::Resource { kind: resource.kind, account: &resource.account, region: &resource.region, id: &resource.id })
        .collect();
    let request = policy::Request {
        action,
        resources: &resources,
        principal_account: &user.account_text,
        root_of_account: user.principal.kind == PrincipalKind::Root && !foreign,
        context: user.context(facts.client_address, facts.authentication.as_str(), &resolved.region, now),
    };
    let policies = snapshot.policies_of(user);
    let name =
        |deciding: &Deciding| policies.get(deciding.policy).map(|policy| (policy.id(), deciding.statement, policy.sid(deciding.statement)));
    match policy::evaluate(&request, &policies) {
        // R26: across accounts the caller's own policies are not enough, and nothing else can grant yet.
        Verdict::Allow(_) if foreign => Err(Denial::new(Reason::ImplicitDeny)),
        Verdict::Allow(deciding) => {
            facts.deciding = deciding.as_ref().and_then(name);
            Ok(())
        }
        Verdict::ExplicitDeny(deciding) => {
            facts.deciding = name(&deciding);
            Err(Denial::new(Reason::ExplicitDeny))
        }
        Verdict::ImplicitDeny => Err(Denial::new(Reason::ImplicitDeny)),
        Verdict::InvalidPolicy { policy } => {
            facts.deciding = policies.get(policy).map(|policy| (policy.id(), 0, None));
            Err(Denial::new(Reason::InvalidPolicy))
        }
    }
}
