//! Sets of small numbers as bits: which actions a statement covers, which resource types a pattern means.

const BITS: usize = u64::BITS as usize;

/// A set of numbers below a bound known when it is made; everything else is outside.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct IndexSet(Box<[u64]>);

impl IndexSet {
    /// The empty set of numbers below `bound`.
    pub(super) fn empty(bound: usize) -> Self {
        Self(vec![0; bound.div_ceil(BITS)].into())
    }

    /// The set of the numbers below `bound` for which `test` is true.
    pub(super) fn of(bound: usize, mut test: impl FnMut(usize) -> bool) -> Self {
        let mut set = Self::empty(bound);
        for index in (0..bound).filter(|index| test(*index)) {
            set.insert(index);
        }
        set
    }

    /// Adds a number; one at or above the bound is left out.
    pub(super) fn insert(&mut self, index: usize) {
        if let Some(word) = self.0.get_mut(index / BITS) {
            *word |= 1 << (index % BITS);
        }
    }

    /// Adds all of another set made for the same bound.
    pub(super) fn extend(&mut self, other: &Self) {
        for (word, more) in self.0.iter_mut().zip(&other.0) {
            *word |= more;
        }
    }

    /// Takes out all of another set made for the same bound.
    pub(super) fn remove_all(&mut self, other: &Self) {
        for (word, less) in self.0.iter_mut().zip(&other.0) {
            *word &= !less;
        }
    }

    /// What is in both sets.
    pub(super) fn intersection(&self, other: &Self) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(one, two)| one & two).collect())
    }

    /// Takes out a number.
    pub(super) fn remove(&mut self, index: usize) {
        if let Some(word) = self.0.get_mut(index / BITS) {
            *word &= !(1 << (index % BITS));
        }
    }

    /// The smallest number.
    pub(super) fn first(&self) -> Option<usize> {
        let (place, word) = self.0.iter().enumerate().find(|(_, word)| **word != 0)?;
        Some(place * BITS + word.trailing_zeros() as usize)
    }

    /// Every number, the smallest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = usize> {
        let bits = |word: u64| (0..BITS).filter(move |bit| word >> bit & 1 == 1);
        self.0.iter().enumerate().flat_map(move |(place, word)| bits(*word).map(move |bit| place * BITS + bit))
    }

    /// How many machine words it takes.
    pub(super) const fn words(&self) -> usize {
        self.0.len()
    }

    /// Whether a number is in the set.
    pub(super) fn contains(&self, index: usize) -> bool {
        self.0.get(index / BITS).is_some_and(|word| word >> (index % BITS) & 1 == 1)
    }

    /// Whether no number is.
    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    /// Whether every number of another set is in this one.
    pub(super) fn includes(&self, inner: &Self) -> bool {
        self.0.iter().zip(&inner.0).all(|(outer, inner)| inner & !outer == 0)
    }

    /// Whether the two have a number in common.
    pub(super) fn meets(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).any(|(one, two)| one & two != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_holds_what_was_put_in_and_nothing_beyond_its_bound() {
        let mut set = IndexSet::of(130, |index| index % 64 == 1);
        assert!(set.contains(1) && set.contains(65) && set.contains(129) && !set.contains(2));
        assert!(!set.contains(100_000));
        set.insert(100_000);
        assert!(!set.contains(100_000));
        assert!(IndexSet::empty(130).is_empty() && !set.is_empty());
        assert!(set.meets(&IndexSet::of(130, |index| index == 65)) && !set.meets(&IndexSet::of(130, |index| index == 64)));
        set.extend(&IndexSet::of(130, |index| index == 64));
        assert!(set.contains(64) && set.contains(65));
        let odd = IndexSet::of(130, |index| index % 2 == 1);
        assert_eq!(set.intersection(&odd).first(), Some(1));
        assert!(set.includes(&set.intersection(&odd)) && !odd.includes(&set));
        set.remove(100_000);
        set.remove_all(&odd);
        set.insert(3);
        set.remove(3);
        assert_eq!((set.first(), IndexSet::empty(130).first()), (Some(64), None));
        assert_eq!((set.words(), IndexSet::empty(0).words()), (3, 0));
    }
}
