//! Sets of small numbers: which actions a statement covers, which resource types a pattern means. Most hold one number.

use std::hash::{Hash, Hasher};

const BITS: usize = u64::BITS as usize;

/// A set of numbers below a bound known when it is made; everything else is outside.
#[derive(Debug, Clone)]
pub(super) struct IndexSet {
    /// How many machine words of bits it has.
    words: u32,
    form: Form,
}

#[derive(Debug, Clone)]
enum Form {
    One(u32),
    Bits(Box<[u64]>),
}

impl IndexSet {
    /// The empty set of numbers below `bound`.
    pub(super) fn empty(bound: usize) -> Self {
        Self::new((0..bound.div_ceil(BITS)).map(|_| 0))
    }

    fn new(words: impl Iterator<Item = u64>) -> Self {
        let words: Box<[u64]> = words.collect();
        Self { words: words.len() as u32, form: Form::Bits(words) }
    }

    /// The set of the numbers below `bound` for which `test` is true.
    pub(super) fn of(bound: usize, mut test: impl FnMut(usize) -> bool) -> Self {
        let mut set = Self::empty(bound);
        for index in (0..bound).filter(|index| test(*index)) {
            set.insert(index);
        }
        set
    }

    /// The same set, in as little memory as it takes.
    pub(super) fn shrunk(self) -> Self {
        let mut all = self.iter();
        let one = all.next().filter(|_| all.next().is_none());
        drop(all);
        match one {
            Some(one) => Self { words: self.words, form: Form::One(one as u32) },
            None => self,
        }
    }

    fn word(&self, place: usize) -> u64 {
        match &self.form {
            Form::One(index) if *index as usize / BITS == place => 1 << (*index as usize % BITS),
            Form::One(_) => 0,
            Form::Bits(words) => words.get(place).copied().unwrap_or(0),
        }
    }

    fn all_words(&self) -> impl Iterator<Item = u64> {
        (0..self.words()).map(|place| self.word(place))
    }

    fn bits(&mut self) -> &mut [u64] {
        if let Form::One(_) = self.form {
            *self = Self::new(self.all_words());
        }
        match &mut self.form {
            Form::Bits(words) => words,
            Form::One(_) => &mut [],
        }
    }

    /// Adds a number; one at or above the bound is left out.
    pub(super) fn insert(&mut self, index: usize) {
        if let Some(word) = self.bits().get_mut(index / BITS) {
            *word |= 1 << (index % BITS);
        }
    }

    /// Adds all of another set made for the same bound.
    pub(super) fn extend(&mut self, other: &Self) {
        match &other.form {
            Form::One(index) => self.insert(*index as usize),
            Form::Bits(more) => self.bits().iter_mut().zip(more).for_each(|(word, more)| *word |= more),
        }
    }

    /// Takes out all of another set made for the same bound.
    pub(super) fn remove_all(&mut self, other: &Self) {
        self.bits().iter_mut().zip(other.all_words()).for_each(|(word, less)| *word &= !less);
    }

    /// What is in both sets.
    pub(super) fn intersection(&self, other: &Self) -> Self {
        Self::new(self.all_words().zip(other.all_words()).map(|(one, two)| one & two))
    }

    /// Takes out a number.
    pub(super) fn remove(&mut self, index: usize) {
        if let Some(word) = self.bits().get_mut(index / BITS) {
            *word &= !(1 << (index % BITS));
        }
    }

    /// The smallest number.
    pub(super) fn first(&self) -> Option<usize> {
        self.iter().next()
    }

    /// Every number, the smallest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = usize> {
        self.all_words().enumerate().flat_map(|(place, mut word)| {
            std::iter::from_fn(move || {
                let bit = (word != 0).then(|| word.trailing_zeros() as usize)?;
                word &= word - 1;
                Some(place * BITS + bit)
            })
        })
    }

    /// How many machine words it stands for.
    pub(super) const fn words(&self) -> usize {
        self.words as usize
    }

    /// Whether a number is in the set.
    pub(super) fn contains(&self, index: usize) -> bool {
        match &self.form {
            Form::One(one) => *one as usize == index,
            Form::Bits(words) => words.get(index / BITS).is_some_and(|word| word >> (index % BITS) & 1 == 1),
        }
    }

    /// Whether no number is.
    pub(super) fn is_empty(&self) -> bool {
        self.all_words().all(|word| word == 0)
    }

    /// Whether every number of another set is in this one.
    pub(super) fn includes(&self, inner: &Self) -> bool {
        self.all_words().zip(inner.all_words()).all(|(outer, inner)| inner & !outer == 0)
    }

    /// Whether the two have a number in common.
    pub(super) fn meets(&self, other: &Self) -> bool {
        self.all_words().zip(other.all_words()).any(|(one, two)| one & two != 0)
    }
}

impl PartialEq for IndexSet {
    fn eq(&self, other: &Self) -> bool {
        self.all_words().eq(other.all_words())
    }
}

impl Eq for IndexSet {}

impl Hash for IndexSet {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.all_words().for_each(|word| word.hash(state));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_of_one_number_is_the_same_set_in_less_memory() {
        for index in [0, 63, 64, 129] {
            let plain = IndexSet::of(130, |number| number == index);
            let shrunk = plain.clone().shrunk();
            assert!(matches!(shrunk.form, Form::One(_)));
            assert_eq!((&shrunk, shrunk.words(), shrunk.first()), (&plain, 3, Some(index)));
            assert!(shrunk.contains(index) && !shrunk.contains(index + 1) && !shrunk.contains(index + 64) && !shrunk.is_empty());
            assert!(shrunk.iter().eq([index]));
            let others = IndexSet::of(130, |number| number != index);
            assert!(!shrunk.meets(&others) && shrunk.meets(&plain) && plain.includes(&shrunk) && shrunk.includes(&plain));
            assert!(!others.includes(&shrunk) && !shrunk.includes(&others));
            let mut all = others.clone();
            all.extend(&shrunk);
            assert_eq!(all, IndexSet::of(130, |_| true));
            all.remove_all(&shrunk);
            assert_eq!(all, others);
            let mut grown = shrunk.clone();
            grown.insert(index ^ 1);
            assert!(grown.iter().eq([index & !1, index | 1].into_iter().filter(|number| *number < 130)));
            assert_eq!(shrunk.intersection(&plain), plain);
            let mut gone = shrunk.clone();
            gone.remove(index);
            assert!(gone.is_empty());
            let hash = |set: &IndexSet| std::hash::BuildHasher::hash_one(&foldhash::fast::FixedState::default(), set);
            assert_eq!(hash(&shrunk), hash(&plain));
        }
        for several in [IndexSet::empty(130), IndexSet::of(130, |number| number < 2)] {
            assert!(matches!(several.clone().shrunk().form, Form::Bits(_)));
            assert_eq!(several.clone().shrunk(), several);
        }
    }

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
