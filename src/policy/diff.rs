//! What one set of policies allows beside another: whether the second is equivalent to the first, stricter, looser, or incomparable, and
//! for each difference a request that shows it.
//!
//! Requests without number fall into finitely many kinds: for each condition key, each region and each id, what all statements of both
//! sides make of it has finitely many outcomes, and there is a value for each of them ([`words`], [`values`]). Keys, and the fields of an
//! SRN, are independent of each other, so a kind of request is a choice of one outcome for each ([`outcomes`], [`places`]), and of the
//! statements that are left then the decision is a matter of counting ([`search`]).
//!
//! A difference is said only of a request on which [`evaluate()`](super::evaluate()) itself decides differently; that there is none only
//! after all kinds have been looked at. What takes too long, or cannot be enumerated, is unknown, with the reason.
//!
//! It never guesses, and its work is bounded, whatever the policies.

use std::borrow::Borrow;
use std::fmt;

use super::catalogue::Catalogue;
use super::document::{Body, Policy};
use super::inclusion::Work;
use super::request::Principal;
use crate::types::ActionName;

mod forms;
mod hazard;
mod outcomes;
mod places;
mod search;
mod values;
mod witness;
mod words;

use forms::Group;
use search::{Found, Side};

pub use witness::Witness;

/// How much comparing two sets of policies may cost, in steps of about one machine word: a second at most.
const WORK_MAX: usize = 30_000_000;
/// How much of it one group of actions may take, so that the others are still looked at.
const GROUP_WORK_MAX: usize = 10_000_000;
/// How many reasons are kept.
const REASONS_MAX: usize = 20;

/// Who holds the policies.
#[derive(Debug, Clone, Copy)]
pub enum Caller<'a> {
    /// Any user or role of an account.
    AnyOf {
        /// The account.
        account: &'a str,
    },
    /// This principal.
    One {
        /// Who it is.
        principal: Principal<'a>,
        /// A user's name; when it is not known, any.
        name: Option<&'a str>,
    },
}

impl<'a> Caller<'a> {
    const fn account(&self) -> &'a str {
        match self {
            Self::AnyOf { account } => account,
            Self::One { principal, .. } => principal.account,
        }
    }
}

/// How the second set of policies stands to the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Relation {
    /// Both allow the same requests.
    Equivalent,
    /// The second allows strictly less.
    Stricter,
    /// The second allows strictly more.
    Looser,
    /// Each allows something that the other does not.
    Incomparable,
    /// It could not be found out.
    Unknown,
}

impl Relation {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Equivalent => "equivalent",
            Self::Stricter => "stricter",
            Self::Looser => "looser",
            Self::Incomparable => "incomparable",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for Relation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

/// What came out of comparing two sets of policies.
#[derive(Debug, Clone)]
pub struct Comparison {
    /// How the second stands to the first.
    pub relation: Relation,
    /// What differs, also when the whole is unknown.
    pub differences: Vec<Difference>,
    /// What could not be found out; empty unless something could not.
    pub unknown: Vec<Unknown>,
}

/// Actions for which the two decide differently, all in the same way.
#[derive(Debug, Clone)]
pub struct Difference {
    /// The actions.
    pub actions: Vec<ActionName>,
    /// Whether it is the second set that allows the request; the other one does not.
    pub gained: bool,
    /// A request for the first of the actions that shows it.
    pub witness: Witness,
}

/// Actions of which it is not known whether the two decide differently.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unknown {
    /// The actions; empty when it is about all of them.
    pub actions: Vec<ActionName>,
    /// Why.
    pub reason: Reason,
}

/// Why something is not known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// A policy is there that could not be read.
    #[error("the policy `{0}` cannot be read, and refuses everything it counts for")]
    Unreadable(String),
    /// There are too many statements for too many actions.
    #[error("there are too many statements for too many actions")]
    Statements,
    /// The values of a key fall into too many kinds.
    #[error("the conditions on `{0}` tell too many kinds of values apart")]
    Key(String),
    /// Conditions on different keys combine in too many ways.
    #[error("the conditions combine in too many ways")]
    Conditions,
    /// The resources fall into too many kinds.
    #[error("the resources of type `{0}` fall into too many kinds")]
    Resources(String),
    /// Too many statements deny one resource by an attribute of another one.
    #[error("a Deny of one resource depends on `{0}`, which is of another one, in too many ways")]
    Crossing(String),
    /// The action takes resources of any type, and attributes of some are tested.
    #[error("the action takes resources of any type, and `{0}` is tested")]
    AnyType(String),
    /// Two keys are about the same part of the body.
    #[error("`{0}` and `{1}` are about the same part of a body, which cannot be both")]
    Entangled(String, String),
    /// The comparison of requests took too long.
    #[error("there are too many kinds of requests")]
    Requests,
    /// A difference was found that deciding the request does not confirm.
    #[error("a request that should show a difference does not")]
    Unconfirmed,
}

/// Compares what two sets of policies allow to somebody who holds the one, or the other.
///
/// Requests are those for the actions of the catalogue, each on resources of every type that the action's definition names, one or several
/// of each, of any account, region and id, whose values are all known (R54 says which are always there; a value that cannot be compared
/// counts as known). Where the policy of a resource must allow it too (R26, R52), that is taken to allow it if any such policy can;
/// elsewhere none is taken to be there. Keys count as independent of each other and of the resources, but for `scp:TagKeys` and the
/// request's tags, and for the id and the name of a user.
///
/// All policies must have been compiled for this catalogue.
#[must_use]
pub fn diff<P: Borrow<Policy>, Q: Borrow<Policy>>(catalogue: &Catalogue, caller: &Caller<'_>, before: &[P], after: &[Q]) -> Comparison {
    let first: Vec<&Policy> = before.iter().map(Borrow::borrow).collect();
    let second: Vec<&Policy> = after.iter().map(Borrow::borrow).collect();
    Diff { catalogue, caller, before: &first, after: &second, work: Work::of(WORK_MAX) }.compare()
}

/// Two sets of policies, being compared.
struct Diff<'d> {
    catalogue: &'d Catalogue,
    caller: &'d Caller<'d>,
    before: &'d [&'d Policy],
    after: &'d [&'d Policy],
    work: Work,
}

impl Diff<'_> {
    fn compare(&self) -> Comparison {
        let mut all = Comparison { relation: Relation::Equivalent, differences: Vec::new(), unknown: Vec::new() };
        let (before, after) = match (self.bodies(self.before), self.bodies(self.after)) {
            (Ok(before), Ok(after)) => (before, after),
            (Err(id), _) | (_, Err(id)) => {
                all.unknown.push(Unknown { actions: Vec::new(), reason: Reason::Unreadable(id) });
                all.relation = Relation::Unknown;
                return all;
            }
        };
        if forms::holds_nothing(self.caller) {
            return all;
        }
        match forms::groups(self.catalogue, self.caller, &before, &after, &self.work) {
            Some(groups) => groups.iter().for_each(|group| self.look(group, &mut all)),
            None => all.unknown.push(Unknown { actions: Vec::new(), reason: Reason::Statements }),
        }
        let (gained, lost) = (all.differences.iter().any(|one| one.gained), all.differences.iter().any(|one| !one.gained));
        all.relation = match (gained, lost) {
            (true, true) => Relation::Incomparable,
            (_, _) if !all.unknown.is_empty() => Relation::Unknown,
            (true, false) => Relation::Looser,
            (false, true) => Relation::Stricter,
            (false, false) => Relation::Equivalent,
        };
        all
    }

    /// What the policies say, or the id of one that nobody can read.
    fn bodies<'p>(&self, policies: &'p [&'p Policy]) -> Result<Vec<&'p Body>, String> {
        let body = |policy: &&'p Policy| policy.body().filter(|body| body.compiled.actions() == self.catalogue.action_count());
        policies.iter().map(|policy| body(policy).ok_or_else(|| policy.id().to_owned())).collect()
    }

    /// Looks for differences in one group of actions.
    fn look(&self, group: &Group<'_>, all: &mut Comparison) {
        let names = || group.actions.iter().map(|action| self.catalogue.action(*action).name.clone()).collect::<Vec<_>>();
        let mut unknown = |reason: Reason| {
            if all.unknown.len() < REASONS_MAX {
                all.unknown.push(Unknown { actions: names(), reason });
            }
        };
        let work = self.work.part(GROUP_WORK_MAX);
        let before = work.left();
        let Found { gained, lost, reason } = search::search(self.catalogue, self.caller, group, &work);
        self.work.spend(before - work.left());
        let mut differences = Vec::new();
        for (side, draft) in [(Side::After, gained), (Side::Before, lost)] {
            let Some(draft) = draft else { continue };
            match draft.confirm(self, group, side) {
                Ok(witness) => differences.push(Difference { actions: names(), gained: side == Side::After, witness }),
                Err(reason) => unknown(reason),
            }
        }
        reason.map(&mut unknown);
        all.differences.extend(differences);
    }
}
