//! The resources of one type, as far as statements tell them apart: by account, region and id, tags and attributes.

use super::forms::{Group, Taken};
use super::outcomes::{Asked, Combined, Domain, Marks, Outcome, asked, combine};
use super::search::Sides;
use super::words::{Language, words};
use super::{Caller, Reason};
use crate::policy::condition::{Entry, Key};
use crate::policy::document::Effect;
use crate::policy::glob::Glob;
use crate::policy::inclusion::Work;
use crate::policy::index_set::IndexSet;
use crate::policy::resource::Pattern;

/// Accounts that stand for all that no policy names; one of them is free.
const OTHERS: [&str; 3] = ["another", "other", "somebody-else"];

/// All resources of one type.
#[derive(Debug)]
pub(super) struct Places<'p> {
    pub(super) taken: Taken,
    /// Account, region and id, with the statements that cover such a resource.
    covers: Vec<([String; 3], IndexSet)>,
    /// What its tags and attributes may be.
    keys: Vec<(Asked<'p>, Vec<Outcome>)>,
    /// Every set of statements that apply to some resource, as far as it is covered and by its own tags and attributes.
    pub(super) found: Combined,
}

/// A resource, made up.
#[derive(Debug, Clone)]
pub(super) struct MadeUp<'p> {
    pub(super) taken: Taken,
    pub(super) account: String,
    pub(super) region: String,
    pub(super) id: String,
    pub(super) values: Vec<(&'p Key, Vec<super::outcomes::Value>)>,
}

impl<'p> Places<'p> {
    /// All resources of a type that somebody may be allowed something on.
    pub(super) fn new(group: &Group<'p>, sides: &Sides<'p>, taken: Taken, caller: &Caller<'_>, work: &Work) -> Result<Self, Cause> {
        let covers = covers(group, sides, taken, caller.account(), work).ok_or(Cause::Resources)?;
        let entries = group.statements.iter().enumerate().flat_map(|(number, statement)| {
            let entries = statement.resource_entries.iter().filter(|entry| is_about(entry, taken));
            entries.map(move |entry| (number, statement.effect, entry))
        });
        let entries = entries.chain(sides.hazards.iter().flat_map(|hazard| {
            let statement = group.statements.get(hazard.deny).filter(|_| hazard.taken == taken);
            let own = statement.into_iter().flat_map(|statement| &statement.resource_entries);
            let own = own.filter(move |entry| is_about(entry, taken)).map(|entry| (hazard.local, Effect::Deny, entry));
            let for_others = hazard.elsewhere.iter().filter(move |(_, entry)| is_about(entry, taken));
            own.chain(for_others.map(|(number, entry)| (*number, Effect::Deny, *entry)))
        }));
        let mut keys = Vec::new();
        for asked in asked(entries, work).ok_or(Cause::Resources)? {
            let domain =
                Domain { absent: true, present: true, several: true, unreadable: Some(None), empty_too: true, plain: &["x"], fixed: None };
            let outcomes = asked.outcomes(&sides.everything, &domain, &Marks::default(), caller.account(), work);
            let outcomes = outcomes.ok_or_else(|| Cause::Reason(Reason::Key(asked.key.to_string())))?;
            keys.push((asked, outcomes));
        }
        let mut dimensions: Vec<Vec<&IndexSet>> = vec![covers.iter().map(|(_, alive)| alive).collect()];
        dimensions.extend(keys.iter().map(|(_, outcomes)| outcomes.iter().map(|outcome| &outcome.alive).collect()));
        let found = combine(&sides.everything, &dimensions, |alive| alive.meets(&sides.allows), work).ok_or(Cause::Resources)?;
        Ok(Self { taken, covers, keys, found })
    }

    /// A resource of the kind with this number.
    pub(super) fn make(&self, number: usize) -> Option<MadeUp<'p>> {
        let picks = self.found.picks(number);
        let (cover, picks) = picks.split_first()?;
        let ([account, region, id], _) = self.covers.get(*cover)?.clone();
        let values =
            self.keys.iter().zip(picks).filter_map(|((asked, outcomes), pick)| Some((asked.key, outcomes.get(*pick)?.values.clone())));
        Some(MadeUp { taken: self.taken, account, region, id, values: values.collect() })
    }
}

/// Why the resources of a type cannot be enumerated.
pub(super) enum Cause {
    /// There are too many kinds of them.
    Resources,
    /// Another reason.
    Reason(Reason),
}

fn is_about(entry: &Entry, taken: Taken) -> bool {
    match &entry.key {
        Key::Attribute(attribute) => attribute.kind == taken.kind,
        Key::ResourceTag(_) => true,
        Key::Global(_) | Key::RequestTag(_) | Key::RequestAttribute(_) | Key::Undefined(_) => false,
    }
}

/// For every set of statements that cover the same resource, such a resource.
fn covers(group: &Group<'_>, sides: &Sides<'_>, taken: Taken, own: &str, work: &Work) -> Option<Vec<([String; 3], IndexSet)>> {
    let mut patterns: Vec<(usize, &Pattern)> = Vec::new();
    for (number, statement) in group.statements.iter().enumerate() {
        let of_type = statement.resources.patterns().iter().filter(|pattern| pattern.kinds().contains(taken.kind.index()));
        patterns.extend(of_type.map(|pattern| (number, pattern)));
    }
    // One number more: whether it is of the own account.
    let bound = patterns.len() + 1;
    let all = IndexSet::of(bound, |_| true);
    let fitting = |fits: &dyn Fn(&Pattern) -> bool| {
        let mut set = IndexSet::of(bound, |number| patterns.get(number).is_none_or(|(_, pattern)| fits(pattern)));
        set.insert(patterns.len());
        set
    };
    let mut accounts: Vec<&str> = vec![own];
    if taken.grantable {
        accounts.extend(patterns.iter().filter_map(|(_, pattern)| pattern.account()));
        accounts.sort_unstable_by_key(|account| (*account != own, *account));
        accounts.dedup();
        let other = OTHERS.into_iter().find(|other| !accounts.contains(other));
        accounts.extend(other);
    }
    work.spend(accounts.len() * bound).then_some(())?;
    let by_account = accounts.iter().map(|account| {
        let mut set = fitting(&|pattern| pattern.account().unwrap_or(own) == *account);
        if *account != own {
            set.remove(patterns.len());
        }
        ((*account).to_owned(), set)
    });
    let by_account: Vec<(String, IndexSet)> = by_account.collect();
    let by_glob = |field: fn(&Pattern) -> &Glob, empty_too: bool| {
        let mut globs: Vec<&Glob> = patterns.iter().map(|(_, pattern)| field(pattern)).collect();
        globs.sort_unstable();
        globs.dedup();
        let languages: Vec<Language> = globs.iter().map(|glob| Language::Form(glob.symbols())).collect();
        let mut all = Vec::new();
        for word in words(&languages, empty_too, work)? {
            if !work.spend(bound * (word.len() + 1)) {
                return None;
            }
            let set = fitting(&|pattern| field(pattern).matches(&word));
            all.push((word, set));
        }
        Some(all)
    };
    let (by_region, by_id) = (by_glob(Pattern::region, true)?, by_glob(Pattern::id, false)?);
    let dimensions = [&by_account, &by_region, &by_id].map(|dimension| dimension.iter().map(|(_, set)| set).collect());
    let mut covers = Vec::new();
    let combined = combine(&all, &dimensions, |_| true, work)?;
    for (number, alive) in combined.found.iter().enumerate() {
        let picks = combined.picks(number);
        let [account, region, id] = picks.as_slice() else { continue };
        let (account, region, id) = (by_account.get(*account)?, by_region.get(*region)?, by_id.get(*id)?);
        if !work.spend(bound + group.statements.len()) {
            return None;
        }
        let fitting = alive.iter().filter_map(|number| patterns.get(number)).map(|(number, _)| *number);
        let left = left(group, sides, taken, fitting, alive.contains(patterns.len()));
        covers.push(([account.0.clone(), region.0.clone(), id.0.clone()], left));
    }
    Some(covers)
}

/// What applies to a resource of a type, as far as it is covered: the statements of which a pattern fits, and those for everything.
fn left(group: &Group<'_>, sides: &Sides<'_>, taken: Taken, fitting: impl Iterator<Item = usize>, is_own: bool) -> IndexSet {
    let mut covered = IndexSet::of(group.statements.len(), |number| {
        group.statements.get(number).is_some_and(|statement| statement.resources.everything())
    });
    fitting.for_each(|number| covered.insert(number));
    let mut left = sides.everything.clone();
    (0..group.statements.len()).filter(|number| !covered.contains(*number)).for_each(|number| left.remove(number));
    if !is_own && !sides.root {
        left.remove(sides.implied);
    }
    for hazard in &sides.hazards {
        let here = hazard.taken == taken && covered.contains(hazard.deny);
        left.remove(if here { hazard.deny } else { hazard.local });
        let others = hazard.elsewhere.iter().filter(|(_, entry)| !is_about(entry, taken));
        others.for_each(|(number, _)| left.remove(*number));
    }
    left
}
