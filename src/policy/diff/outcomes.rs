//! What a condition key can do to statements: for every set of values that a request may have under it, which of them it keeps from
//! applying. Keys are independent of each other, so that what they do together is what each does, all at once.

use std::collections::HashSet;

use super::values::{Probe, candidates};
use crate::policy::condition::{Entry, Key, Qualifier, Test};
use crate::policy::document::Effect;
use crate::policy::inclusion::Work;
use crate::policy::index_set::IndexSet;

/// A value; `None` for one that no condition can compare, such as an object.
pub(super) type Value = Option<Box<str>>;

/// What requests may have under a key.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Domain<'d> {
    /// Nothing.
    pub(super) absent: bool,
    /// One value or more.
    pub(super) present: bool,
    /// More than one.
    pub(super) several: bool,
    /// A value that cannot be compared, and how it is written.
    pub(super) unreadable: Option<Option<&'d str>>,
    /// A text may be empty.
    pub(super) empty_too: bool,
    /// Texts that are tried first.
    pub(super) plain: &'d [&'d str],
    /// It is this value, when it is present.
    pub(super) fixed: Option<&'d str>,
}

/// What a key is asked for by the statements of both sides.
#[derive(Debug)]
pub(super) struct Asked<'p> {
    pub(super) key: &'p Key,
    /// Each entry once.
    entries: Vec<&'p Entry>,
    /// Which statements ask, and which entries.
    by: Vec<(usize, Effect, Vec<usize>)>,
}

/// One thing that a request may have under a key, and which statements still apply then.
#[derive(Debug, Clone)]
pub(super) struct Outcome {
    pub(super) alive: IndexSet,
    pub(super) values: Vec<Value>,
}

/// Marks that follow from what stands under a key, beside the statements: numbers of them.
#[derive(Debug, Default)]
pub(super) struct Marks<'p> {
    /// Set when nothing stands there.
    pub(super) absent: Option<usize>,
    /// Set when something does.
    pub(super) present: Option<usize>,
    /// Set when one of the values is this text without letter case.
    pub(super) named: Vec<(&'p str, usize)>,
}

/// The keys that some entries are about, each with all of its entries. An entry comes with the number of its statement.
pub(super) fn asked<'p>(entries: impl Iterator<Item = (usize, Effect, &'p Entry)>, work: &Work) -> Option<Vec<Asked<'p>>> {
    let mut all: Vec<Asked<'p>> = Vec::new();
    for (statement, effect, entry) in entries {
        if !work.spend(all.len() + 1) {
            return None;
        }
        let place = all.iter().position(|asked| *asked.key == entry.key).unwrap_or_else(|| {
            all.push(Asked { key: &entry.key, entries: Vec::new(), by: Vec::new() });
            all.len() - 1
        });
        let Some(asked) = all.get_mut(place) else { continue };
        if !work.spend(asked.entries.len()) {
            return None;
        }
        let number = asked.entries.iter().position(|other| other.is_same(entry)).unwrap_or_else(|| {
            asked.entries.push(entry);
            asked.entries.len() - 1
        });
        match asked.by.last_mut().filter(|(last, ..)| *last == statement) {
            Some((.., numbers)) => numbers.push(number),
            None => asked.by.push((statement, effect, vec![number])),
        }
    }
    Some(all)
}

impl<'p> Asked<'p> {
    /// Every outcome, those of simple values first; `None` when the work was not enough.
    pub(super) fn outcomes(
        &self,
        all: &IndexSet,
        domain: &Domain<'_>,
        marks: &Marks<'p>,
        account: &str,
        work: &Work,
    ) -> Option<Vec<Outcome>> {
        let mut found = Found { seen: HashSet::new(), outcomes: Vec::new() };
        if domain.absent {
            let holds = |number: usize, _: Effect| self.entries.get(number).is_some_and(|entry| entry.holds_without_value());
            let alive = self.left(all, &holds, marks, false, &|_| false);
            found.add(alive, Vec::new());
        }
        if domain.present {
            for (passes, values) in self.sets(domain, marks, account, work)? {
                if !work.spend(self.by.len() + self.entries.len()) {
                    return None;
                }
                let named = |place: usize| passes.contains(self.entries.len() + place);
                let alive = self.left(all, &|number, _| passes.contains(number), marks, true, &named);
                found.add(alive, values);
            }
        }
        if let Some(written) = domain.unreadable {
            // SECURITY: R44, whatever else stands there.
            let holds = |number: usize, effect: Effect| match self.entries.get(number).map(|entry| &entry.test) {
                Some(Test::Null { wanted }) => wanted.contain(false),
                Some(_) => effect == Effect::Deny,
                None => false,
            };
            let alive = self.left(all, &holds, marks, true, &|_| false);
            found.add(alive, vec![written.map(Box::from)]);
        }
        Some(found.outcomes)
    }

    /// Which statements, and marks, are left when these entries hold.
    fn left(
        &self,
        all: &IndexSet,
        holds: &dyn Fn(usize, Effect) -> bool,
        marks: &Marks<'_>,
        present: bool,
        named: &dyn Fn(usize) -> bool,
    ) -> IndexSet {
        let mut alive = all.clone();
        for (statement, effect, numbers) in &self.by {
            if !numbers.iter().all(|number| holds(*number, *effect)) {
                alive.remove(*statement);
            }
        }
        let wrong = if present { marks.absent } else { marks.present };
        wrong.into_iter().for_each(|mark| alive.remove(mark));
        let unnamed = marks.named.iter().enumerate().filter(|(place, _)| !named(*place));
        unnamed.for_each(|(_, (_, mark))| alive.remove(*mark));
        alive
    }

    /// For every set of values, which entries hold (and, behind them, which names are among the values), and such values.
    fn sets(&self, domain: &Domain<'_>, marks: &Marks<'p>, account: &str, work: &Work) -> Option<Vec<(IndexSet, Vec<Value>)>> {
        let probes: Vec<Probe<'_>> = self
            .entries
            .iter()
            .map(|entry| Probe::Test(&entry.test))
            .chain(marks.named.iter().map(|(name, _)| Probe::Named(name)))
            .collect();
        let texts = match domain.fixed {
            Some(text) => vec![text.to_owned()],
            None => candidates(&probes, account, (domain.empty_too, domain.plain), work)?,
        };
        // Keys that are only tested for presence have any value.
        let texts = if texts.is_empty() { vec![self.any_value().to_owned()] } else { texts };
        let of_all = IndexSet::of(probes.len(), |number| {
            self.entries.get(number).is_some_and(|entry| entry.qualifier == Qualifier::ForAllValues && !entry.is_null_test())
        });
        let mut known: HashSet<IndexSet> = HashSet::new();
        let mut all: Vec<(IndexSet, Vec<Value>)> = Vec::new();
        for text in texts {
            if !work.spend(probes.iter().map(|probe| probe.cost(text.len())).sum()) {
                return None;
            }
            let mut passes = IndexSet::empty(probes.len());
            let mut readable = true;
            for (number, probe) in probes.iter().enumerate() {
                let passed = match probe {
                    Probe::Test(Test::Null { wanted }) => Some(wanted.contain(false)),
                    Probe::Test(_) | Probe::Named(_) => probe.passes(&text, account),
                };
                readable &= passed.is_some();
                if passed == Some(true) {
                    passes.insert(number);
                }
            }
            if readable && known.insert(passes.clone()) {
                all.push((passes, vec![Some(text.into())]));
            }
        }
        if domain.several {
            join(&mut all, &mut known, &of_all, work)?;
        }
        Some(all)
    }

    /// Some value of the key's type.
    fn any_value(&self) -> &'static str {
        use crate::policy::catalogue::ValueType;
        match self.key.holds() {
            Some(ValueType::Number) => "1",
            Some(ValueType::Date) => "2026-01-01T00:00:00Z",
            Some(ValueType::Bool) => "true",
            Some(ValueType::Address) => "10.0.0.1",
            Some(ValueType::Srn) => "srn:e::1234:::iam:user/x",
            Some(ValueType::Text) | None => "x",
        }
    }
}

/// Adds what sets of several values do: an entry for all values holds when it does for each, any other when it does for one.
fn join(all: &mut Vec<(IndexSet, Vec<Value>)>, known: &mut HashSet<IndexSet>, of_all: &IndexSet, work: &Work) -> Option<()> {
    let single = all.clone();
    let mut next = 0;
    while let Some((passes, values)) = all.get(next).cloned() {
        for (other, more) in &single {
            if !work.spend(4 * passes.words()) {
                return None;
            }
            let mut joined = passes.clone();
            joined.extend(other);
            let mut lost = of_all.clone();
            lost.remove_all(&passes.intersection(other));
            joined.remove_all(&lost);
            if known.insert(joined.clone()) {
                all.push((joined, values.iter().chain(more).cloned().collect()));
            }
        }
        next += 1;
    }
    Some(())
}

struct Found {
    seen: HashSet<IndexSet>,
    outcomes: Vec<Outcome>,
}

impl Found {
    fn add(&mut self, alive: IndexSet, values: Vec<Value>) {
        if self.seen.insert(alive.clone()) {
            self.outcomes.push(Outcome { alive, values });
        }
    }
}

/// Sets of statements that apply at once.
#[derive(Debug)]
pub(super) struct Combined {
    /// Each set once.
    pub(super) found: Vec<IndexSet>,
    /// For each dimension, from what set of those before it a set came, and by which choice.
    steps: Vec<Vec<(usize, usize)>>,
}

impl Combined {
    /// Which choice of each dimension leads to the set with this number.
    pub(super) fn picks(&self, number: usize) -> Vec<usize> {
        let mut at = number;
        let backwards = self.steps.iter().rev().map_while(|step| {
            let (before, pick) = step.get(at)?;
            at = *before;
            Some(*pick)
        });
        let mut picks: Vec<usize> = backwards.collect();
        picks.reverse();
        picks
    }
}

/// Every set of statements that choices from all dimensions leave, as far as it is worth keeping; `None` when the work was not enough.
pub(super) fn combine(start: &IndexSet, dimensions: &[Vec<&IndexSet>], keep: impl Fn(&IndexSet) -> bool, work: &Work) -> Option<Combined> {
    let mut all = Combined { found: vec![start.clone()], steps: Vec::new() };
    for dimension in dimensions {
        let mut seen: HashSet<IndexSet> = HashSet::new();
        let (mut found, mut steps) = (Vec::new(), Vec::new());
        for (number, alive) in all.found.iter().enumerate() {
            for (pick, choice) in dimension.iter().enumerate() {
                if !work.spend(8 * alive.words() + 16) {
                    return None;
                }
                let left = alive.intersection(choice);
                if keep(&left) && !seen.contains(&left) {
                    seen.insert(left.clone());
                    found.push(left);
                    steps.push((number, pick));
                }
            }
        }
        all.found = found;
        all.steps.push(steps);
    }
    Some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(numbers: &[usize]) -> IndexSet {
        IndexSet::of(8, |number| numbers.contains(&number))
    }

    #[test]
    fn several_values_do_what_one_of_them_does_or_what_all_do() {
        // Entry 0 is for all values, entry 1 for one.
        let value = |text: &str| vec![Some(text.into())];
        let mut all = vec![(set(&[0]), value("a")), (set(&[1]), value("b")), (set(&[0, 1]), value("c"))];
        let mut known = all.iter().map(|(passes, _)| passes.clone()).collect();
        join(&mut all, &mut known, &set(&[0]), &Work::new()).unwrap();
        let found: Vec<IndexSet> = all.iter().map(|(passes, _)| passes.clone()).collect();
        assert_eq!(found, [set(&[0]), set(&[1]), set(&[0, 1])]);
        let mut all = vec![(set(&[0]), value("a")), (set(&[2]), value("b"))];
        let mut known = all.iter().map(|(passes, _)| passes.clone()).collect();
        join(&mut all, &mut known, &set(&[0]), &Work::new()).unwrap();
        assert_eq!(all.len(), 2, "both together pass what the second does");
        let mut all = vec![(set(&[1]), value("a")), (set(&[2]), value("b"))];
        let mut known = all.iter().map(|(passes, _)| passes.clone()).collect();
        join(&mut all, &mut known, &set(&[]), &Work::new()).unwrap();
        assert_eq!(all.last().unwrap(), &(set(&[1, 2]), vec![Some("a".into()), Some("b".into())]));
        assert_eq!(join(&mut all, &mut HashSet::new(), &set(&[]), &Work::of(3)), None);
    }

    #[test]
    fn choices_are_combined_once_and_found_again() {
        let (first, second) = ([set(&[1, 2, 3]), set(&[2, 3]), set(&[1, 2, 3])], [set(&[1]), set(&[3]), set(&[])]);
        let dimensions = [first.iter().collect(), second.iter().collect::<Vec<_>>()];
        let combined = combine(&set(&[1, 2, 3]), &dimensions, |left| !left.is_empty(), &Work::new()).unwrap();
        assert_eq!(combined.found, [set(&[1]), set(&[3])]);
        assert_eq!((combined.picks(0), combined.picks(1), combined.picks(2)), (vec![0, 0], vec![0, 1], vec![]));
        assert!(combine(&set(&[1]), &dimensions, |_| true, &Work::of(30)).is_none());
    }
}
