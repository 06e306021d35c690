//! The conditions of many statements in one place, each judged once, and those of one key together.

use std::iter;
use std::ops::Range;

use crate::policy::condition::{Entry, Test, Texts};
use crate::policy::document::Effect;
use crate::policy::judge::Truth;
use crate::policy::request::{Known, Request, Scalar};

use super::filing::ACTIONS_FILED;
use super::{Statements, hash};

/// From how many statements in one place on their conditions are screened.
const SCREENED: usize = 4;
/// How many conditions of one place are screened; the others are judged statement by statement.
const TESTS_MAX: usize = 64;
/// How long a value may be, in bytes, to be compared without letter case by its hash.
const FOLDED_MAX: usize = 128;

/// Bit n of every number stands for test n.
#[derive(Debug, Clone)]
pub(super) struct Screen {
    /// What each test asks.
    asked: Box<[Asked]>,
    /// Tests that are judged one by one.
    alone: u64,
    keys: Box<[OfKey]>,
    /// Where in the order of the place those begin that stand under each test; behind them those that stand under none.
    starts: Box<[u32]>,
    /// How many statements stand in the place.
    len: u32,
}

/// What several statements of a place need.
#[derive(Debug, Clone, Copy)]
enum Asked {
    /// The actions of this statement.
    Actions(u32),
    /// A condition of this statement.
    Entry(u32, u32),
}

/// The tests of one key.
#[derive(Debug, Clone)]
struct OfKey {
    /// The first of them.
    first: usize,
    negative: u64,
    /// Those that compare texts: with a whole one, by its hash.
    exact: Table,
    /// Without letter case.
    folded: Table,
    /// With patterns.
    like: u64,
    /// Those that compare addresses.
    addresses: u64,
}

/// The tests that want a text, by its hash.
#[derive(Debug, Clone, Default)]
struct Table {
    all: u64,
    /// Sorted.
    wanted: Vec<(u64, u64)>,
}

/// How many values may still be put into tables: one statement can stand in many places.
pub(super) struct Budget(usize);

impl Budget {
    pub(super) fn of<S: Statements + ?Sized>(statements: &S) -> Self {
        Self(1_024 + 4 * values_of(statements))
    }

    fn spend(&mut self, values: usize) -> bool {
        let left = self.0.checked_sub(values);
        self.0 = left.unwrap_or(self.0);
        left.is_some()
    }
}

/// How a value is compared with what an entry wants.
enum Wanted<'e> {
    /// By the hash of the whole text.
    Exact(&'e [Box<str>]),
    /// By the hash of the text without its letter case.
    Folded(&'e [Box<str>]),
    /// With patterns.
    Like,
    Addresses,
}

impl<'e> Wanted<'e> {
    /// `None`: it is judged alone.
    fn by(entry: &'e Entry) -> Option<Self> {
        match &entry.test {
            _ if entry.key.is_undefined() => None,
            Test::Text { wanted: Texts::Exact(wanted), .. } => Some(Self::Exact(wanted)),
            Test::Text { wanted: Texts::IgnoreCase(wanted), .. } => Some(Self::Folded(wanted)),
            Test::Text { wanted: Texts::Like(_), .. } => Some(Self::Like),
            Test::Address { .. } => Some(Self::Addresses),
            Test::Number { .. } | Test::Date { .. } | Test::Bool { .. } | Test::Srn { .. } | Test::Null { .. } => None,
        }
    }

    /// How many values it puts into a table.
    const fn values(&self) -> usize {
        match self {
            Self::Exact(wanted) | Self::Folded(wanted) => wanted.len(),
            Self::Like | Self::Addresses => 0,
        }
    }
}

/// How many values an entry puts into a table.
fn values(entry: &Entry) -> usize {
    Wanted::by(entry).map_or(0, |wanted| wanted.values())
}

/// How many values all statements together put into tables when each stands in one place; each entry counts as one more.
pub(super) fn values_of<S: Statements + ?Sized>(statements: &S) -> usize {
    let all = (0..statements.count()).filter_map(|number| statements.statement(number));
    all.flat_map(|statement| &statement.entries).map(|entry| 1 + values(entry)).sum()
}

impl Screen {
    /// The distinct conditions of these statements; and their places in the order in which they stand under the conditions, each
    /// with the conditions that it has.
    pub(super) fn of<S: Statements + ?Sized>(statements: &S, place: &[u32], budget: &mut Budget) -> Option<(Self, Vec<(usize, u64)>)> {
        if place.len() < SCREENED {
            return None;
        }
        let mut asked: Vec<Asked> = Vec::new();
        let mut number = |new: Asked| {
            let known = asked.iter().position(|known| known.is_same(new, statements)).or_else(|| {
                (asked.len() < TESTS_MAX).then(|| {
                    asked.push(new);
                    asked.len() - 1
                })
            });
            known.map_or(0, |bit| 1_u64 << bit)
        };
        let masks = place.iter().map(|place| {
            let statement = statements.statement(*place);
            let wide = statement.is_some_and(|statement| statement.actions.iter().nth(ACTIONS_FILED).is_some());
            let entries = statement.map_or(0, |statement| statement.entries.len() as u32);
            let wide = if wide { number(Asked::Actions(*place)) } else { 0 };
            (0..entries).fold(wide, |mask, entry| mask | number(Asked::Entry(*place, entry)))
        });
        let masks: Vec<u64> = masks.collect();
        let spent = asked.iter().map(|asked| 1 + asked.entry(statements).map_or(0, values)).sum();
        if asked.is_empty() || !budget.spend(spent) {
            return None;
        }
        let mut screen = Self { asked: asked.into(), alone: 0, keys: Box::default(), starts: Box::default(), len: place.len() as u32 };
        screen.sort_by_key(statements);
        let order = screen.order(&masks);
        Some((screen, order))
    }

    /// Puts each statement under one of its tests, which need not be looked at when that fails: one that most requests fail if there
    /// is such, and that few share.
    fn order(&mut self, masks: &[u64]) -> Vec<(usize, u64)> {
        let tests = self.asked.len();
        let negative = self.keys.iter().fold(0, |all, key| all | key.negative);
        let share: Vec<usize> = (0..tests).map(|bit| masks.iter().filter(|mask| **mask >> bit & 1 == 1).count()).collect();
        let rank = |bit: &usize| (negative >> bit & 1, share.get(*bit).copied().unwrap_or(0));
        let under = |mask: u64| bits(mask).min_by_key(rank).unwrap_or(tests);
        let mut order: Vec<(usize, usize, u64)> = masks.iter().enumerate().map(|(at, mask)| (under(*mask), at, *mask)).collect();
        order.sort_unstable();
        self.starts = (0..=tests).map(|test| order.partition_point(|(under, ..)| *under < test) as u32).collect();
        order.into_iter().map(|(_, at, mask)| (at, mask)).collect()
    }

    /// Where those stand, in that order, that are left when these tests fail.
    pub(super) fn left_by(&self, failed: u64) -> impl Iterator<Item = Range<usize>> {
        let start = |test: usize| self.starts.get(test).map_or(usize::MAX, |start| *start as usize);
        let tests = self.asked.len();
        let all = if tests == TESTS_MAX { u64::MAX } else { (1 << tests) - 1 };
        bits(all & !failed).map(move |test| start(test)..start(test + 1)).chain(iter::once(start(tests)..self.len as usize))
    }

    fn sort_by_key<S: Statements + ?Sized>(&mut self, statements: &S) {
        let mut keys: Vec<OfKey> = Vec::new();
        for (bit, asked) in self.asked.iter().enumerate() {
            let compared = asked.entry(statements).and_then(|entry| Some((entry, Wanted::by(entry)?)));
            let Some((entry, wanted)) = compared else {
                self.alone |= 1 << bit;
                continue;
            };
            let first = |known: &OfKey| self.asked.get(known.first).and_then(|asked| asked.entry(statements));
            let known = keys.iter().position(|known| first(known).is_some_and(|first| first.key == entry.key));
            let known = known.unwrap_or_else(|| {
                keys.push(OfKey::new(bit));
                keys.len() - 1
            });
            if let Some(key) = keys.get_mut(known) {
                key.add(1 << bit, entry.test.is_negative(), &wanted);
            }
        }
        keys.iter_mut().for_each(|key| [&mut key.exact, &mut key.folded].into_iter().for_each(Table::sort));
        self.keys = keys.into();
    }

    /// The tests that surely fail.
    pub(super) fn failed<S: Statements + ?Sized>(&self, statements: &S, effect: Effect, request: &Request<'_>) -> u64 {
        let fails = |bit: usize| {
            let fails = match self.asked.get(bit) {
                Some(Asked::Actions(statement)) => {
                    let statement = statements.statement(*statement);
                    statement.is_none_or(|statement| !statement.actions.contains(request.action.index()))
                }
                Some(asked) => asked
                    .entry(statements)
                    .is_none_or(|entry| entry.judge(effect, &request.context, request.principal.account, None) == Truth::No),
                None => false,
            };
            u64::from(fails) << bit
        };
        let each = |tests: u64| bits(tests).fold(0, |failed, bit| failed | fails(bit));
        self.keys.iter().fold(each(self.alone), |failed, key| {
            let of = |bit: usize| self.asked.get(bit).and_then(|asked| asked.entry(statements));
            let Some(first) = of(key.first) else { return failed };
            let (mut read, mut hits, mut decided) = (0_u32, 0, 0);
            let known = first.key.read(&request.context, None, |value| {
                read += 1;
                (hits, decided) = key.hits(value, |bit| of(bit).is_some_and(|entry| entry.hits(value, request.principal.account)));
            });
            if (known, read) != (Known::Known, 1) {
                return failed | each(key.all());
            }
            // SECURITY: equal hashes do not prove equal texts, so that what a hit would exclude is judged.
            failed | decided & !key.negative & !hits | each(key.all() & !decided | decided & key.negative & hits)
        })
    }
}

fn bits(mut tests: u64) -> impl Iterator<Item = usize> {
    iter::from_fn(move || {
        let bit = (tests != 0).then(|| tests.trailing_zeros() as usize)?;
        tests &= tests - 1;
        Some(bit)
    })
}

impl Asked {
    fn entry<S: Statements + ?Sized>(self, statements: &S) -> Option<&Entry> {
        match self {
            Self::Actions(_) => None,
            Self::Entry(statement, entry) => statements.statement(statement)?.entries.get(entry as usize),
        }
    }

    fn is_same<S: Statements + ?Sized>(self, other: Self, statements: &S) -> bool {
        let actions = |number: u32| statements.statement(number).map(|statement| &statement.actions);
        match (self, other) {
            (Self::Actions(one), Self::Actions(other)) => actions(one) == actions(other),
            (Self::Entry(..), Self::Entry(..)) => match (self.entry(statements), other.entry(statements)) {
                (Some(one), Some(other)) => one.is_same(other),
                _ => false,
            },
            _ => false,
        }
    }
}

impl OfKey {
    fn new(first: usize) -> Self {
        Self { first, negative: 0, exact: Table::default(), folded: Table::default(), like: 0, addresses: 0 }
    }

    fn add(&mut self, bit: u64, negative: bool, wanted: &Wanted<'_>) {
        if negative {
            self.negative |= bit;
        }
        match wanted {
            Wanted::Exact(texts) => self.exact.add(bit, texts),
            Wanted::Folded(texts) => self.folded.add(bit, texts),
            Wanted::Like => self.like |= bit,
            Wanted::Addresses => self.addresses |= bit,
        }
    }

    const fn all(&self) -> u64 {
        self.exact.all | self.folded.all | self.like | self.addresses
    }

    /// The tests that want a value, by hash or because `wants` says so; and those of which that is known.
    fn hits(&self, value: Scalar<'_>, wants: impl Fn(usize) -> bool) -> (u64, u64) {
        let asked = |tests: u64| bits(tests).fold(0, |hits, bit| hits | u64::from(wants(bit)) << bit);
        match value {
            Scalar::Text(text) => {
                let (mut hits, mut decided) = (self.exact.find(text.as_bytes()) | asked(self.like), self.exact.all | self.like);
                let mut buffer = [0_u8; FOLDED_MAX];
                if let (true, true, Some(folded)) = (self.folded.all != 0, text.is_ascii(), buffer.get_mut(..text.len())) {
                    folded.copy_from_slice(text.as_bytes());
                    folded.make_ascii_lowercase();
                    hits |= self.folded.find(folded);
                    decided |= self.folded.all;
                }
                (hits, decided)
            }
            Scalar::Address(_) => (asked(self.addresses), self.addresses),
            Scalar::Bool(_) | Scalar::Time(_) | Scalar::Other => (0, 0),
        }
    }
}

impl Table {
    fn add(&mut self, bit: u64, wanted: &[Box<str>]) {
        self.all |= bit;
        self.wanted.extend(wanted.iter().map(|text| (hash(text.as_bytes()), bit)));
    }

    /// Puts what is wanted into order, each text once.
    fn sort(&mut self) {
        self.wanted.sort_unstable();
        let texts = self.wanted.chunk_by(|one, other| one.0 == other.0);
        self.wanted = texts.filter_map(|same| Some((same.first()?.0, same.iter().fold(0, |tests, (_, bit)| tests | bit)))).collect();
    }

    fn find(&self, text: &[u8]) -> u64 {
        if self.all == 0 {
            return 0;
        }
        let key = hash(text);
        let place = self.wanted.binary_search_by_key(&key, |(wanted, _)| *wanted);
        place.ok().and_then(|place| self.wanted.get(place)).map_or(0, |(_, tests)| *tests)
    }
}
