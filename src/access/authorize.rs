//! Stage 9: what the caller's policies say.

use std::sync::Arc;

use smallvec::SmallVec;

use super::attributes::{self, Brought, Scalars, Spots, Wanted, lend, wanted};
use super::decision::{Denial, Facts};
use super::request::Request;
use super::resolve::{Resolved, Target};
use super::session::POLICY;
use crate::policy::{
    self, ActionId, Attributes, Context, Deciding, Place, Policies, Policy, ResourcePolicy, Scalar, Tags, Values, Verdict,
};
use crate::snapshot::{Caller, Decide, Policies as Held, Role, Snapshot};
use crate::types::{Reason, Timestamp};

/// What is to be decided.
pub(super) struct Asked<'v, 't, 'a> {
    pub(super) snapshot: &'v Snapshot,
    pub(super) target: &'t Target<'a>,
    pub(super) request: &'t Request<'a>,
    pub(super) action: ActionId,
    pub(super) resolved: &'t Resolved<'a>,
    pub(super) now: Timestamp,
}

/// What the decision depends on that is not known yet.
pub(super) enum Missing {
    Body,
    Attributes(Vec<Wanted>),
}

/// What is known of the resources, owned.
type Known = SmallVec<[attributes::Facts; 2]>;

impl<'v> Asked<'v, '_, '_> {
    /// Evaluates the caller's policies; the deciding statement goes into `facts`. Allowed, if nothing is missing.
    pub(super) fn authorize(&self, facts: &mut Facts<'v>) -> Result<Option<Missing>, Denial> {
        let operation = self.target.operation;
        if operation.decide == Decide::Backend {
            return Ok(None);
        }
        let Some(caller) = facts.caller else { return Err(Denial::new(Reason::ImplicitDeny)) };
        let (held, context) = self.held(caller, facts);
        let session = facts.session.clone();
        let narrowing: SmallVec<[&Arc<Policy>; 1]> = session.as_ref().and_then(|session| session.policy()).into_iter().collect();
        let spots = Spots {
            inputs: self.target.inputs(self.request),
            parameters: &operation.parameters,
            body_is_read: self.request.body.is_some(),
        };
        let context = Context { request_attributes: &spots, ..context };
        let mut known = self.known(self.request.fetched);
        let (mut deciding, mut cross_check) = (None, None);
        let set = self.request.sets.find(&held);
        let verdict = loop {
            let decided = self.with_request(caller.asking(), context, &known, |request| {
                let attached = self.snapshot.policies_of_resources(request.resources);
                let policies = Policies::identity(&held).with_resource(&attached).with_session(&narrowing).found_by(set.as_deref());
                let verdict = self.evaluate(request, &policies, &mut cross_check);
                deciding = self.name(verdict, &held, &attached);
                (verdict, (verdict == Verdict::Undecided).then(|| policy::needs(request, &policies)))
            });
            let (verdict, Some(needs)) = decided else { break decided.0 };
            if needs.body {
                return Ok(Some(Missing::Body));
            }
            let (wanted, lost) = wanted(&needs, self.resolved, self.snapshot);
            if !wanted.is_empty() {
                return Ok(Some(Missing::Attributes(wanted)));
            }
            if lost.is_empty() {
                break verdict;
            }
            // Nobody can be asked for these: decided once more without.
            let lost = self.request.fetched.iter().cloned().chain(lost).collect::<Vec<_>>();
            let before = known.iter().map(attributes::Facts::size).sum::<usize>();
            known = self.known(&lost);
            if known.iter().map(attributes::Facts::size).sum::<usize>() == before {
                break verdict;
            }
        };
        let catalogue = self.snapshot.catalogue();
        known.iter().enumerate().for_each(|(place, known)| known.describe(place, catalogue, &mut facts.attributes));
        (facts.deciding, facts.cross_check) = (deciding, cross_check);
        self.conclude(verdict, facts)
    }

    /// The policies that count for the caller, and what their conditions see of the request; of a session those of the role alone (R24).
    fn held(&self, caller: Caller<'v>, facts: &Facts<'_>) -> (Held<'v>, Context<'_>) {
        let (address, region) = (facts.client_address, &*self.resolved.region);
        match caller {
            Caller::User(user) => (self.snapshot.policies_of(user), user.context(address, facts.authentication.as_str(), region, self.now)),
            Caller::Role(role) => (self.snapshot.policies_of_role(role), Role::context(address, facts.mfa(), region, self.now)),
        }
    }

    /// The verdict; where it is checked and the evaluation without any index says otherwise, the stricter of the two. What is still
    /// undecided is evaluated again.
    fn evaluate<P: AsRef<Policy>>(&self, request: &policy::Request<'_>, policies: &Policies<'_, P>, agreed: &mut Option<bool>) -> Verdict {
        let verdict = policy::evaluate(request, policies);
        if verdict == Verdict::Undecided || !self.request.cross_check.is_due() {
            return verdict;
        }
        let (verdict, same) = stricter(verdict, policy::evaluate_literally(request, policies));
        *agreed = Some(same);
        verdict
    }

    fn known(&self, fetched: &[attributes::Fetched]) -> Known {
        if fetched.is_empty() {
            return Known::new();
        }
        let catalogue = self.snapshot.catalogue();
        let srns = self.resolved.srns(catalogue);
        let resources = self.resolved.resources.iter().zip(&srns);
        resources.map(|(resource, srn)| attributes::Facts::of(srn, resource.kind, fetched, catalogue)).collect()
    }

    /// The request in the form in which policies see it.
    fn with_request<T>(
        &self,
        principal: policy::Principal<'_>,
        context: Context<'_>,
        known: &Known,
        use_it: impl FnOnce(&policy::Request<'_>) -> T,
    ) -> T {
        let scalars: SmallVec<[Scalars<'_>; 2]> = known.iter().map(attributes::Facts::scalars).collect();
        let lists: SmallVec<[Lists<'_>; 2]> = scalars.iter().map(Lists::of).collect();
        let mut resources: SmallVec<[policy::Resource<'_>; 2]> = SmallVec::new();
        for (place, named) in self.resolved.resources.iter().enumerate() {
            let resource = policy::Resource::new(named.kind, &named.account, &named.region, &named.id);
            resources.push(lists.get(place).map_or(resource, |lists| lists.lend(resource)));
        }
        let brought = self.target.operation.request_tags.as_ref().map(|accessor| Brought::read(accessor, self.target.body));
        let tags: Vec<(&str, Vec<Scalar<'_>>)> = match &brought {
            Some(Brought::Tags(tags)) => tags.iter().map(|(key, values)| (&**key, values.scalars())).collect(),
            Some(Brought::Unreadable) | None => Vec::new(),
        };
        let (tag_lists, keys): (Vec<_>, Vec<Scalar<'_>>) = (lend(&tags), tags.iter().map(|(key, _)| Scalar::Text(key)).collect());
        let (request_tags, tag_keys) = match brought {
            None => (Tags::Known(&[]), Values::Absent),
            Some(_) if self.request.body.is_none() => (Tags::NotFetched, Values::NotFetched),
            Some(Brought::Tags(_)) => (Tags::Known(&tag_lists), Values::of(&keys)),
            Some(Brought::Unreadable) => (Tags::Unavailable, Values::Unavailable),
        };
        let context = Context { request_tags, tag_keys, ..context };
        let needs_resource_policy = self.snapshot.catalogue().action(self.action).needs_resource_policy();
        use_it(&policy::Request { action: self.action, resources: &resources, principal, context, needs_resource_policy })
    }

    /// The policy and statement that a verdict comes from.
    fn name(
        &self,
        verdict: Verdict,
        held: &[&'v Arc<Policy>],
        attached: &[&'v ResourcePolicy],
    ) -> Option<(&'v str, usize, Option<&'v str>)> {
        let (place, statement) = match verdict {
            Verdict::Allow(deciding) | Verdict::Unavailable(deciding) => {
                deciding.map(|Deciding { policy, statement }| (policy, statement))?
            }
            Verdict::ExplicitDeny(Deciding { policy, statement }) => (policy, statement),
            Verdict::InvalidPolicy(place) => (place, 0),
            Verdict::ImplicitDeny | Verdict::Undecided => return None,
        };
        let policy = match place {
            Place::Identity(index) => held.get(index).copied()?,
            Place::Resource(index) => attached.get(index)?.policy(),
            // There is one at most, and it is nobody's but the session's.
            Place::Session(_) => return Some((POLICY, statement, None)),
        };
        Some((policy.id(), statement, policy.sid(statement)))
    }

    fn conclude(&self, verdict: Verdict, facts: &mut Facts<'v>) -> Result<Option<Missing>, Denial> {
        let Resolved { account, resources, .. } = self.resolved;
        // R26: what no resource stands for belongs to the account that the definition names.
        let spoken_for = resources.iter().any(|resource| resource.account == *account);
        let abroad = !spoken_for && facts.caller.is_none_or(|caller| caller.account_text() != &**account);
        let reason = match verdict {
            Verdict::Allow(_) if !abroad => return Ok(None),
            Verdict::Allow(_) => {
                facts.deciding = None;
                Reason::ImplicitDeny
            }
            Verdict::ExplicitDeny(_) => Reason::ExplicitDeny,
            Verdict::ImplicitDeny => Reason::ImplicitDeny,
            Verdict::Unavailable(_) | Verdict::Undecided => Reason::AttributeUnavailable,
            Verdict::InvalidPolicy(_) => Reason::InvalidPolicy,
        };
        Err(Denial::new(reason))
    }
}

/// The stricter of two verdicts, and whether they are equally strict: which of several statements decided makes no difference.
fn stricter(compiled: Verdict, literal: Verdict) -> (Verdict, bool) {
    let (one, two) = (strictness(compiled), strictness(literal));
    (if two > one { literal } else { compiled }, one == two)
}

/// How little a verdict allows.
const fn strictness(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Allow(_) => 0,
        Verdict::Undecided => 1,
        Verdict::ImplicitDeny => 2,
        Verdict::Unavailable(_) => 3,
        Verdict::ExplicitDeny(_) => 4,
        Verdict::InvalidPolicy(_) => 5,
    }
}

/// What is known of one resource, as lists that requests lend.
struct Lists<'a> {
    tags: Option<Option<Vec<(&'a str, Values<'a>)>>>,
    attributes: Vec<(policy::AttributeId, Values<'a>)>,
}

impl<'a> Lists<'a> {
    fn of(scalars: &'a Scalars<'a>) -> Self {
        let attribute = |(id, values): &'a (policy::AttributeId, Option<Vec<Scalar<'a>>>)| {
            (*id, values.as_ref().map_or(Values::Unavailable, |values| Values::of(values)))
        };
        Self {
            tags: scalars.tags.as_ref().map(|tags| tags.as_ref().map(|tags| lend(tags))),
            attributes: scalars.attributes.iter().map(attribute).collect(),
        }
    }

    fn lend<'r>(&'r self, resource: policy::Resource<'r>) -> policy::Resource<'r> {
        let tags = match &self.tags {
            None => Tags::NotFetched,
            Some(None) => Tags::Unavailable,
            Some(Some(tags)) => Tags::Known(tags),
        };
        policy::Resource { tags, attributes: Attributes { known: &self.attributes, others: Values::NotFetched }, ..resource }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_verdicts_the_stricter_counts() {
        let deciding = |statement| Deciding { policy: Place::Identity(0), statement };
        let from_mild_to_strict = [
            Verdict::Allow(Some(deciding(1))),
            Verdict::Undecided,
            Verdict::ImplicitDeny,
            Verdict::Unavailable(None),
            Verdict::ExplicitDeny(deciding(1)),
            Verdict::InvalidPolicy(Place::Identity(0)),
        ];
        for (at, one) in from_mild_to_strict.into_iter().enumerate() {
            for (other_at, other) in from_mild_to_strict.into_iter().enumerate() {
                assert_eq!(stricter(one, other), (from_mild_to_strict[at.max(other_at)], at == other_at));
            }
        }
        assert_eq!(stricter(Verdict::Allow(None), Verdict::Allow(Some(deciding(7)))), (Verdict::Allow(None), true));
    }
}
