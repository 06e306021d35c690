//! Whether a pattern matches all that another one matches, or nothing of it: surely, or the answer is no.

use std::cell::Cell;

use super::glob::Symbol;

/// How much all comparisons for one purpose may cost, in steps of about one symbol: milliseconds.
const WORK_MAX: usize = 4_000_000;

/// What is left to be spent on comparing policies: documents are written by callers, and lists of patterns multiply.
#[derive(Debug)]
pub struct Work(Cell<usize>);

impl Default for Work {
    fn default() -> Self {
        Self::new()
    }
}

impl Work {
    /// For one purpose, such as one write.
    #[must_use]
    pub const fn new() -> Self {
        Self::of(WORK_MAX)
    }

    /// For one purpose that may cost so much.
    pub(super) const fn of(steps: usize) -> Self {
        Self(Cell::new(steps))
    }

    /// Whether that much was left. Once it was not, nothing is ever left.
    pub(super) fn spend(&self, steps: usize) -> bool {
        self.0.set(self.0.get().saturating_sub(steps));
        !self.is_spent()
    }

    /// A part of what is left.
    pub(super) fn part(&self, steps: usize) -> Self {
        Self::of(self.0.get().min(steps))
    }

    /// What is left.
    pub(super) const fn left(&self) -> usize {
        self.0.get()
    }

    pub(super) const fn is_spent(&self) -> bool {
        self.0.get() == 0
    }
}

/// Whether every text of the inner pattern's form surely has the outer one's.
///
/// The outer pattern is matched against the inner one as if that were a text: a `?` of it is some one character, a `*` of it
/// can only be taken by a `*`. Whatever stands for them in a real text, the outer pattern then takes it in the same place.
pub(super) fn includes(outer: &[Symbol], inner: &[Symbol], work: &Work) -> bool {
    if !work.spend(outer.len()) {
        return false;
    }
    let (mut at, mut seen) = (0, 0);
    // Behind the last `*` of the outer pattern, and how much of the inner one it has taken.
    let mut retry: Option<(usize, usize)> = None;
    while let Some(found) = inner.get(seen) {
        if !work.spend(1) {
            return false;
        }
        let fits = match (outer.get(at), found) {
            (Some(Symbol::Run), _) => {
                at += 1;
                retry = Some((at, seen));
                continue;
            }
            (Some(Symbol::One), Symbol::One | Symbol::Char(_)) => true,
            (Some(Symbol::Char(wanted)), Symbol::Char(found)) => wanted == found,
            (Some(Symbol::One), Symbol::Run) | (Some(Symbol::Char(_)), Symbol::One | Symbol::Run) | (None, _) => false,
        };
        (at, seen) = match (fits, retry) {
            (true, _) => (at + 1, seen + 1),
            (false, Some((after, taken))) => {
                retry = Some((after, taken + 1));
                (after, taken + 1)
            }
            (false, None) => return false,
        };
    }
    outer.iter().skip(at).all(|symbol| *symbol == Symbol::Run)
}

/// Whether surely no text has both forms: a literal that the other does not match, or different characters at the same
/// place before the first `*` or behind the last.
pub(super) fn avoids(one: &[Symbol], two: &[Symbol], work: &Work) -> bool {
    if !work.spend(one.len().min(two.len())) {
        return false;
    }
    let literal = |symbols: &[Symbol]| symbols.iter().all(|symbol| matches!(symbol, Symbol::Char(_)));
    let missed = |outer: &[Symbol], inner: &[Symbol]| literal(inner) && !includes(outer, inner, work) && !work.is_spent();
    missed(one, two) || missed(two, one) || differ(one.iter().zip(two)) || differ(one.iter().rev().zip(two.iter().rev()))
}

fn differ<'s>(pairs: impl Iterator<Item = (&'s Symbol, &'s Symbol)>) -> bool {
    let mut fixed = pairs.take_while(|(one, two)| **one != Symbol::Run && **two != Symbol::Run);
    fixed.any(|(one, two)| matches!((one, two), (Symbol::Char(one), Symbol::Char(two)) if one != two))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::policy::glob::{Glob, Wildcards};

    fn glob(pattern: &str) -> Glob {
        Glob::new(pattern, Wildcards::StarAndQuestionMark).unwrap()
    }

    #[test]
    fn patterns_include_and_avoid_what_they_surely_do() {
        for (outer, inner, included, apart) in [
            ("*", "*", true, false),
            ("*", "a*b?", true, false),
            ("a*", "ab*", true, false),
            ("ab*", "a*", false, false),
            ("a*", "a?*", true, false),
            ("a?*", "a*", false, false),
            ("*a*", "b*a?", true, false),
            ("a*a", "a", false, true),
            ("a*a", "a*ba", true, false),
            ("??", "a?", true, false),
            ("??", "?", false, false),
            ("a?", "??", false, false),
            ("*ab", "xaxaxxab", true, false),
            ("abc", "abc", true, false),
            ("abc", "abx", false, true),
            ("abc", "ab", false, true),
            ("a*", "b*", false, true),
            ("*a", "*b", false, true),
            ("a*", "*b", false, false),
            ("a*c", "ab", false, true),
            ("", "", true, false),
            ("", "*", false, false),
            ("*", "", true, false),
            ("*ab*ab*", "xabxxabx", true, false),
            ("*ab*ab*", "*ab*", false, false),
        ] {
            let (outer_steps, inner_steps) = (glob(outer).symbols(), glob(inner).symbols());
            assert_eq!(includes(&outer_steps, &inner_steps, &Work::new()), included, "`{outer}` includes `{inner}`");
            assert_eq!(avoids(&outer_steps, &inner_steps, &Work::new()), apart, "`{outer}` avoids `{inner}`");
        }
    }

    #[test]
    fn without_time_nothing_is_sure() {
        let work = Work(Cell::new(3));
        let (long, other) = (glob("aaaaa").symbols(), glob("aaaab").symbols());
        assert!(!includes(&long, &long, &work) && work.is_spent());
        assert!(!avoids(&long, &other, &work) && !work.spend(0));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]
        #[test]
        fn what_is_said_to_be_sure_is_true(one in "[ab*?]{0,6}", two in "[ab*?]{0,6}", texts in prop::collection::vec("[ab]{0,6}", 12)) {
            let (one, two) = (glob(&one), glob(&two));
            let (steps, other_steps) = (one.symbols(), two.symbols());
            let (included, apart) = (includes(&steps, &other_steps, &Work::new()), avoids(&steps, &other_steps, &Work::new()));
            for text in &texts {
                prop_assert!(!included || !two.matches(text) || one.matches(text), "{text}");
                prop_assert!(!(apart && one.matches(text) && two.matches(text)), "{text}");
            }
        }
    }
}
