//! A Deny that matches one resource and depends on an attribute of another one: it applies by what several resources of a request are
//! together.

use std::collections::HashSet;

use super::Reason;
use super::forms::{Group, Taken};
use crate::policy::condition::{Entry, Key};
use crate::policy::document::Effect;
use crate::policy::inclusion::Work;
use crate::policy::index_set::IndexSet;

/// In how many ways such statements are avoided at most.
const WAYS_MAX: usize = 4_096;

/// What must be true of resources of a request, of one or of several, for a Deny to apply to one of this type.
#[derive(Debug)]
pub(super) struct Hazard<'p> {
    /// The statement.
    pub(super) deny: usize,
    /// The type of the resource that it matches.
    pub(super) taken: Taken,
    /// The number for that it matches a resource of the type, as far as that resource's own tags and attributes go.
    pub(super) local: usize,
    /// The entries that are about resources of other types, each with the number for that one such resource fulfils it.
    pub(super) elsewhere: Vec<(usize, &'p Entry)>,
}

/// Everything of a group that depends on several resources; numbers from `first` on are free.
pub(super) fn hazards<'p>(group: &Group<'p>, first: usize) -> Vec<Hazard<'p>> {
    let mut all = Vec::new();
    let mut next = first;
    for (deny, statement) in group.statements.iter().enumerate().filter(|(_, statement)| statement.effect == Effect::Deny) {
        for taken in group.kinds.iter().filter(|taken| group.may_match(deny, **taken)) {
            let others = statement.resource_entries.iter().filter(|entry| match &entry.key {
                Key::Attribute(attribute) => attribute.kind != taken.kind && group.kinds.iter().any(|other| other.kind == attribute.kind),
                Key::ResourceTag(_) | Key::Global(_) | Key::RequestTag(_) | Key::RequestAttribute(_) | Key::Undefined(_) => false,
            });
            let elsewhere: Vec<(usize, &Entry)> = (next + 1..).zip(others).collect();
            if !elsewhere.is_empty() {
                let hazard = Hazard { deny, taken: *taken, local: next, elsewhere };
                next = hazard.end();
                all.push(hazard);
            }
        }
    }
    all
}

impl Hazard<'_> {
    /// The first number behind its own.
    pub(super) fn end(&self) -> usize {
        self.local + 1 + self.elsewhere.len()
    }

    /// The numbers of all that must come together.
    pub(super) fn parts(&self) -> impl Iterator<Item = usize> {
        [self.local].into_iter().chain(self.elsewhere.iter().map(|(number, _)| *number))
    }

    /// Whether all of it is there.
    pub(super) fn hits(&self, present: &IndexSet) -> bool {
        self.parts().all(|number| present.contains(number))
    }
}

/// Sets of what no resource may be, so that none of these statements applies: they themselves, and of each hazard some part. Whoever
/// avoids them all avoids one of these sets.
pub(super) fn ways_round(hazards: &[Hazard<'_>], denies: &IndexSet, work: &Work) -> Result<Vec<IndexSet>, Reason> {
    let mut ways = vec![denies.clone()];
    for hazard in hazards.iter().filter(|hazard| denies.contains(hazard.deny)) {
        let mut seen: HashSet<IndexSet> = HashSet::new();
        let mut next = Vec::new();
        for way in &ways {
            let avoided = hazard.parts().any(|part| way.contains(part));
            let parts = hazard.parts().take(if avoided { 1 } else { usize::MAX });
            for part in parts {
                let mut longer = way.clone();
                if !avoided {
                    longer.insert(part);
                }
                if seen.insert(longer.clone()) {
                    next.push(longer);
                }
            }
        }
        ways = next;
        if ways.len() > WAYS_MAX || !work.spend(8 * ways.len() * denies.words()) {
            let key = hazard.elsewhere.first().map(|(_, entry)| entry.key.to_string());
            return Err(Reason::Crossing(key.unwrap_or_default()));
        }
    }
    Ok(ways)
}
