//! Policies that are held together, indexed as one: for principals with many of them who ask often.

use std::sync::Arc;

use super::document::{Policy, Statement};
use super::index::{Compiled, Statements};

/// Some policies and what finds their statements, however many documents they stand in. Immutable.
#[derive(Debug, Clone)]
pub struct PolicySet {
    policies: Box<[Arc<Policy>]>,
    /// Of each statement, which policy it stands in, and its number there.
    places: Box<[(u32, u32)]>,
    compiled: Compiled,
}

impl PolicySet {
    /// Indexes policies that were compiled for one catalogue. Takes some microseconds per statement.
    ///
    /// `None` when one of them cannot be read: every decision is refused then, and needs no index.
    #[must_use]
    pub fn of(policies: &[Arc<Policy>]) -> Option<Self> {
        let mut places = Vec::new();
        let mut actions = None;
        for (policy, number) in policies.iter().zip(0_u32..) {
            let body = policy.body()?;
            actions = Some(body.compiled.actions().min(actions.unwrap_or(usize::MAX)));
            places.extend((0..body.statements.count()).map(|statement| (number, statement)));
        }
        let joined = Joined { policies, places: &places };
        let compiled = Compiled::of(&joined, actions.unwrap_or(0));
        Some(Self { policies: policies.into(), places: places.into(), compiled })
    }

    /// The policies.
    #[must_use]
    pub fn policies(&self) -> &[Arc<Policy>] {
        &self.policies
    }

    /// Whether it is of exactly these policies, in this order: the same ones in memory, not equal ones.
    #[must_use]
    pub fn is_of<P: AsRef<Policy>>(&self, policies: &[P]) -> bool {
        let same = |(own, other): (&Arc<Policy>, &P)| std::ptr::eq(&raw const **own, other.as_ref());
        self.policies.len() == policies.len() && self.policies.iter().zip(policies).all(same)
    }

    /// How many statements they have together.
    #[must_use]
    pub fn statements(&self) -> usize {
        self.places.len()
    }

    /// Which policy a statement stands in, and its number there.
    pub(super) fn place(&self, statement: u32) -> Option<(usize, usize)> {
        self.places.get(statement as usize).map(|(policy, number)| (*policy as usize, *number as usize))
    }

    pub(super) const fn compiled(&self) -> &Compiled {
        &self.compiled
    }
}

impl Statements for PolicySet {
    fn count(&self) -> u32 {
        Joined { policies: &self.policies, places: &self.places }.count()
    }

    fn statement(&self, number: u32) -> Option<&Statement> {
        find(&self.policies, &self.places, number)
    }
}

/// The statements of several policies.
struct Joined<'p> {
    policies: &'p [Arc<Policy>],
    places: &'p [(u32, u32)],
}

impl Statements for Joined<'_> {
    fn count(&self) -> u32 {
        self.places.len() as u32
    }

    fn statement(&self, number: u32) -> Option<&Statement> {
        find(self.policies, self.places, number)
    }
}

fn find<'p>(policies: &'p [Arc<Policy>], places: &[(u32, u32)], number: u32) -> Option<&'p Statement> {
    let (policy, statement) = places.get(number as usize)?;
    policies.get(*policy as usize)?.body()?.statements.get(*statement as usize)
}
