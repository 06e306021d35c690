//! Statements and actions as far as they differ: each statement that stands on both sides once, and actions for which the same
//! statements count together.

use std::collections::BTreeMap;
use std::collections::HashMap;

use super::Caller;
use crate::policy::attached::{Attachment, ResourcePolicy};
use crate::policy::catalogue::{Action, ActionId, Catalogue, ResourceTypeId};
use crate::policy::document::{Body, Effect, Statement};
use crate::policy::inclusion::Work;
use crate::policy::principal::is_iam;
use crate::policy::request::Kind;
use crate::source::{Report, Source, json};
use crate::types::Srn;

/// How many resource types are told apart for an action that takes any.
const TYPES_MAX: usize = 64;

/// Actions for which the same statements count, on resources of the same types.
#[derive(Debug)]
pub(super) struct Group<'p> {
    pub(super) actions: Vec<ActionId>,
    /// The statements of both sides, each once.
    pub(super) statements: Vec<&'p Statement>,
    /// Which of them stand on the first side, and on the second.
    pub(super) before: Vec<usize>,
    pub(super) after: Vec<usize>,
    /// The types of resources.
    pub(super) kinds: Vec<Taken>,
    /// A request has some resource of these types; otherwise of each.
    pub(super) any_type: bool,
    /// Whether the policies of the resources must allow it, also in the own account.
    pub(super) needs_resource_policy: bool,
}

/// A type of resource that an action takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Taken {
    pub(super) kind: ResourceTypeId,
    /// Whether the policy of such a resource can allow the action.
    pub(super) grantable: bool,
}

/// What makes actions one group.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Alike {
    before: Vec<usize>,
    after: Vec<usize>,
    kinds: Vec<Taken>,
    any_type: bool,
    needs_resource_policy: bool,
}

/// The groups of actions for which the two sides have different statements; `None` when the work was not enough.
pub(super) fn groups<'p>(
    catalogue: &Catalogue,
    caller: &Caller<'_>,
    before: &[&'p Body],
    after: &[&'p Body],
    work: &Work,
) -> Option<Vec<Group<'p>>> {
    let mut statements: Vec<&'p Statement> = Vec::new();
    let before = by_action(catalogue, before, &mut statements, work)?;
    let after = by_action(catalogue, after, &mut statements, work)?;
    let mut grants = Grants { catalogue, account: caller.account(), known: HashMap::new() };
    let mut groups: BTreeMap<Alike, Vec<ActionId>> = BTreeMap::new();
    for (((id, action), before), after) in catalogue.actions().zip(&before).zip(&after) {
        if before == after {
            continue;
        }
        let of_both = before.iter().chain(after).filter_map(|number| statements.get(*number)).copied();
        let kinds = kinds(catalogue, action, of_both)?;
        if !work.spend(before.len() + after.len() + 2_000 * kinds.len()) {
            return None;
        }
        let kinds = kinds.into_iter().map(|kind| Taken { kind, grantable: grants.can(action, kind) }).collect();
        let needs_resource_policy = action.needs_resource_policy();
        let alike = Alike { before: before.clone(), after: after.clone(), kinds, any_type: action.any_resource, needs_resource_policy };
        groups.entry(alike).or_default().push(id);
    }
    let mut groups: Vec<Group<'p>> = groups.into_iter().map(|(alike, actions)| group(alike, actions, &statements)).collect();
    groups.sort_by_key(|group| group.actions.first().copied());
    Some(groups)
}

fn group<'p>(alike: Alike, actions: Vec<ActionId>, statements: &[&'p Statement]) -> Group<'p> {
    let Alike { before, after, kinds, any_type, needs_resource_policy } = alike;
    let mut numbers: Vec<usize> = before.iter().chain(&after).copied().collect();
    numbers.sort_unstable();
    numbers.dedup();
    let own = |side: &[usize]| side.iter().filter_map(|number| numbers.binary_search(number).ok()).collect();
    let (before, after) = (own(&before), own(&after));
    let statements = numbers.iter().filter_map(|number| statements.get(*number)).copied().collect();
    Group { actions, statements, before, after, kinds, any_type, needs_resource_policy }
}

/// For each action the statements of a side, as numbers in a list that both sides share, sorted.
fn by_action<'p>(catalogue: &Catalogue, side: &[&'p Body], statements: &mut Vec<&'p Statement>, work: &Work) -> Option<Vec<Vec<usize>>> {
    let mut all = vec![Vec::new(); catalogue.action_count()];
    for statement in side.iter().flat_map(|body| &body.statements) {
        let number = place(statement, statements, work)?;
        for action in statement.actions.iter() {
            if !work.spend(8) {
                return None;
            }
            if let Some(all) = all.get_mut(action) {
                all.push(number);
            }
        }
    }
    for numbers in &mut all {
        numbers.sort_unstable();
        numbers.dedup();
    }
    Some(all)
}

/// The number of a statement that does the same, which is this one if there is no other.
fn place<'p>(statement: &'p Statement, statements: &mut Vec<&'p Statement>, work: &Work) -> Option<usize> {
    for (number, other) in statements.iter().enumerate() {
        if !work.spend(2) {
            return None;
        }
        if same(statement, other, work) {
            return Some(number);
        }
    }
    statements.push(statement);
    Some(statements.len() - 1)
}

/// Whether two statements do the same to each action that both are about.
fn same(one: &Statement, other: &Statement, work: &Work) -> bool {
    let entries = (one.all_entries().count(), other.all_entries().count());
    let patterns = one.resources.patterns().len();
    if one.effect != other.effect || entries.0 != entries.1 || patterns != other.resources.patterns().len() {
        return false;
    }
    work.spend(2 * entries.0 * entries.0 + patterns);
    // Both ways: an entry may stand twice in one of them.
    let includes =
        |outer: &Statement, inner: &Statement| inner.all_entries().all(|entry| outer.all_entries().any(|own| own.is_same(entry)));
    one.resources == other.resources && includes(one, other) && includes(other, one)
}

/// The types of resources that requests for an action have. Of those that no statement tells apart, one stands for all.
fn kinds<'p>(catalogue: &Catalogue, action: &Action, statements: impl Iterator<Item = &'p Statement>) -> Option<Vec<ResourceTypeId>> {
    let mut kinds = action.resource_types.to_vec();
    if action.any_resource {
        let mut named = catalogue.resource_types().map(|(kind, _)| (kind, false)).collect::<Vec<_>>();
        for pattern in statements.flat_map(|statement| statement.resources.patterns()) {
            named.iter_mut().for_each(|(kind, named)| *named |= pattern.kinds().contains(kind.index()));
        }
        let other = named.iter().find(|(_, named)| !named).map(|(kind, _)| *kind);
        kinds.extend(named.iter().filter(|(_, named)| *named).map(|(kind, _)| *kind).chain(other));
        kinds.sort_unstable();
        kinds.dedup();
    }
    (kinds.len() <= TYPES_MAX).then_some(kinds)
}

/// Whether policies of resources can allow actions (R28, R52), as the reader of such policies says.
struct Grants<'c> {
    catalogue: &'c Catalogue,
    account: &'c str,
    known: HashMap<(String, ResourceTypeId), bool>,
}

impl Grants<'_> {
    fn can(&mut self, action: &Action, kind: ResourceTypeId) -> bool {
        let resource_type = self.catalogue.resource_type(kind);
        let is_role = &*resource_type.name == "role" && is_iam(&resource_type.service_type, self.catalogue);
        // Only of roles does it matter which action of a service it is.
        let named = if is_role { action.name.as_str() } else { action.name.service() };
        let key = (named.to_owned(), kind);
        if let Some(can) = self.known.get(&key) {
            return *can;
        }
        let srn = Srn {
            offering: self.catalogue.offering().as_str(),
            account: "another",
            region: "",
            service_type: &resource_type.service_type,
            resource_type: &resource_type.name,
            resource_id: "x",
        };
        let principal = format!("srn:{}::{}:::scp-iam:user/x", srn.offering, self.account);
        let can = Attachment::find(&srn, self.catalogue).is_some_and(|attachment| {
            let source = Source::new("grant", json::print(&super::witness::grant(&principal, action.name.as_str())));
            ResourcePolicy::load(&source, "grant", attachment, self.catalogue, &Report::new()).is_some()
        });
        self.known.insert(key, can);
        can
    }
}

impl Group<'_> {
    /// Whether no policies allow it: those of the resources must, and none can.
    pub(super) fn is_never_allowed(&self) -> bool {
        let can = |taken: &Taken| taken.grantable;
        let granted = if self.any_type { self.kinds.iter().any(can) } else { !self.kinds.is_empty() && self.kinds.iter().all(can) };
        self.needs_resource_policy && !granted
    }

    /// Whether a statement may match resources of a type.
    pub(super) fn may_match(&self, statement: usize, taken: Taken) -> bool {
        self.statements.get(statement).is_some_and(|statement| {
            let mut patterns = statement.resources.patterns().iter();
            statement.resources.everything() || patterns.any(|pattern| pattern.kinds().contains(taken.kind.index()))
        })
    }

    /// The statements with an effect.
    pub(super) fn statements_with(&self, effect: Effect) -> impl Iterator<Item = usize> {
        self.statements.iter().enumerate().filter(move |(_, statement)| statement.effect == effect).map(|(number, _)| number)
    }
}

/// Whether the caller is allowed everything in its own account (R27).
pub(super) const fn is_root(caller: &Caller<'_>) -> bool {
    match caller {
        Caller::AnyOf { .. } => false,
        Caller::One { principal, .. } => matches!(principal.kind, Kind::Root),
    }
}

/// Whether policies say nothing to the caller (R29).
pub(super) const fn holds_nothing(caller: &Caller<'_>) -> bool {
    match caller {
        Caller::AnyOf { .. } => false,
        Caller::One { principal, .. } => matches!(principal.kind, Kind::Service | Kind::Provider),
    }
}
