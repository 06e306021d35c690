//! Which statements of a policy may apply to a request, found without looking at the others.
//!
//! Every pattern is filed under one feature that each id it matches must have: the whole id, how it starts or ends, or a few bytes
//! somewhere in it, whichever the fewest patterns of the policy share. A request looks up the features of its resource. Where many
//! statements stand in one place, their distinct conditions are numbered, and each is judged once for all of them.
//!
//! INVARIANT: only a filter. What is found is judged as without an index, and a statement that is left out would be judged
//! [`Truth::No`] (test `what_the_index_leaves_out_does_not_apply`).
//!
//! SECURITY: the hash is not keyed. Who writes a policy can make its own features collide, and gains a search from end to end.

use std::collections::{BTreeSet, HashMap};

use super::document::{Effect, Statement};
use super::glob::{Glob, Symbol};
use super::index_set::IndexSet;
use super::judge::Truth;
use super::request::{Request, Resource};

/// Policies with no more patterns of one effect are searched from end to end.
const WORTHWHILE: usize = 8;
/// A statement with more actions is filed once, for all actions.
const ACTIONS_FILED: usize = 16;
/// A pattern that means more resource types is filed once, for all types.
const KINDS_FILED: usize = 4;
/// A statement that would be filed more often than this, by its patterns and actions, is filed once for all actions; the same for its
/// patterns and their types. A document must not grow many times over when it is compiled.
const FILED_MAX: usize = 256;
/// The lengths, in bytes, that beginnings and ends are cut to: each that occurs costs a look.
const LENGTHS: [usize; 13] = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96];
/// How many bytes somewhere in an id are a feature; fewer when the pattern has no piece so long.
const WITHIN: usize = 4;
/// A beginning or an end that so few patterns share is good enough: what stands within an id costs more looks.
const FEW: u32 = 8;
/// From how many statements in one place on their conditions are numbered.
const TESTED: usize = 4;
/// How many conditions of one place are numbered; the others are judged statement by statement.
const TESTS_MAX: usize = 64;
/// Places of which is known whether they were looked at for this resource.
const VISITED: usize = 4096;

/// The statements of a policy by what they are about.
#[derive(Debug, Clone)]
pub(super) struct Index {
    allow: Side,
    deny: Side,
}

/// The statements of one effect.
#[derive(Debug, Clone)]
enum Side {
    /// Few patterns: the numbers of the statements.
    Few(Box<[u32]>),
    Filed(Files),
}

#[derive(Debug, Clone)]
struct Files {
    /// What there is to look up.
    shapes: Box<[Shape]>,
    /// Open addressing with linear probing; the length is a power of two, and at least one slot is empty.
    slots: Box<[Slot]>,
    candidates: Box<[Candidate]>,
    /// For candidates of places with tests: bit n says that the place's test n is a condition of the statement.
    masks: Box<[u64]>,
    tests: Box<[Test]>,
    /// Bloom filter of the bytes that stand within ids, of any length; the number of words is a power of two.
    within: Box<[u64]>,
}

/// A feature of an id; its text is hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Feature {
    /// None.
    Any,
    /// All of it.
    Whole,
    /// So many bytes at the beginning.
    Start(u16),
    /// So many bytes at the end.
    End(u16),
    /// So many bytes somewhere.
    Within(u16),
}

/// What a key is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Shape {
    feature: Feature,
    by_action: bool,
    by_kind: bool,
}

/// A place: the candidates with one key.
#[derive(Debug, Clone, Copy)]
struct Slot {
    key: u64,
    /// The first candidate.
    first: u32,
    /// How many; none in an empty slot.
    len: u32,
    /// The first test.
    tests: u32,
    /// How many.
    tested: u32,
    /// The first mask, if there are tests.
    masks: u32,
}

/// A statement that may apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Candidate {
    statement: u32,
    /// Which of its patterns; `None` for the bare `*`.
    pattern: Option<u32>,
}

/// What several statements of a place need.
#[derive(Debug, Clone, Copy)]
enum Test {
    /// The actions of this statement.
    Actions(u32),
    /// A condition of this statement.
    Entry(u32, u32),
}

impl Index {
    pub(super) fn of(statements: &[Statement]) -> Self {
        Self { allow: Side::of(statements, Effect::Allow), deny: Side::of(statements, Effect::Deny) }
    }

    /// Hands over the statements of an effect that may apply, until told to stop with `true`; one may come more than once. With
    /// each comes the place of a resource that one of its patterns surely covers, if that is known.
    pub(super) fn each(
        &self,
        statements: &[Statement],
        effect: Effect,
        request: &Request<'_>,
        mut take: impl FnMut(usize, &Statement, Option<usize>) -> bool,
    ) {
        let side = match effect {
            Effect::Allow => &self.allow,
            Effect::Deny => &self.deny,
        };
        let files = match side {
            Side::Few(numbers) => {
                let mut all = numbers.iter().filter_map(|number| Some((*number as usize, statements.get(*number as usize)?)));
                let _ = all.any(|(number, statement)| take(number, statement, None));
                return;
            }
            Side::Filed(files) => files,
        };
        let mut search = Search { files, statements, effect, request, take: &mut take };
        match (request.resources, effect) {
            ([], _) => drop(search.without_resource()),
            // It needs a pattern for each.
            ([first, ..], Effect::Allow) => drop(search.by_resource(0, first)),
            (all, Effect::Deny) => {
                let _ = all.iter().enumerate().any(|(place, resource)| search.by_resource(place, resource));
            }
        }
    }
}

/// A search of one side for one request. Every step says whether to stop.
struct Search<'s, 'r, 'a, T> {
    files: &'s Files,
    statements: &'s [Statement],
    effect: Effect,
    request: &'r Request<'a>,
    take: &'r mut T,
}

impl<T: FnMut(usize, &Statement, Option<usize>) -> bool> Search<'_, '_, '_, T> {
    /// Only the bare `*` matches an action without resources (R19).
    fn without_resource(&mut self) -> bool {
        let bare = |shape: &&Shape| shape.feature == Feature::Any && !shape.by_kind;
        let files = self.files;
        files.shapes.iter().filter(bare).any(|shape| self.look(shape.base(self.request, None), None))
    }

    fn by_resource(&mut self, place: usize, resource: &Resource<'_>) -> bool {
        let (files, id) = (self.files, resource.id.as_bytes());
        let on = Some((place, resource));
        files.shapes.iter().any(|shape| {
            let base = shape.base(self.request, Some(resource));
            match shape.feature {
                Feature::Any => self.look(base, on),
                Feature::Whole => self.look(mixed(base, hash(id)), on),
                Feature::Start(length) => id.get(..usize::from(length)).is_some_and(|start| self.look(mixed(base, hash(start)), on)),
                Feature::End(length) => {
                    let end = id.len().checked_sub(usize::from(length)).and_then(|from| id.get(from..));
                    end.is_some_and(|end| self.look(mixed(base, hash(end)), on))
                }
                Feature::Within(length) => self.within(base, usize::from(length), on, id),
            }
        })
    }

    fn within(&mut self, base: u64, length: usize, on: Option<(usize, &Resource<'_>)>, id: &[u8]) -> bool {
        let mut visited = [0_u64; VISITED / 64];
        id.windows(length).any(|bytes| {
            let text = hash(bytes);
            if !self.files.may_have(text) {
                return false;
            }
            let Some(slot) = self.files.find(mixed(base, text)) else { return false };
            let number = slot.first as usize;
            if let Some(word) = visited.get_mut(number / 64) {
                if *word >> (number % 64) & 1 == 1 {
                    return false;
                }
                *word |= 1 << (number % 64);
            }
            self.judge(slot, on)
        })
    }

    fn look(&mut self, key: u64, on: Option<(usize, &Resource<'_>)>) -> bool {
        self.files.find(key).is_some_and(|slot| self.judge(slot, on))
    }

    /// Hands over the candidates of a place that its tests leave.
    fn judge(&mut self, slot: Slot, on: Option<(usize, &Resource<'_>)>) -> bool {
        let Files { candidates, masks, .. } = self.files;
        let first = slot.first as usize;
        let candidates = candidates.get(first..first + slot.len as usize).unwrap_or_default();
        if slot.tested == 0 {
            return candidates.iter().any(|candidate| self.hand_over(*candidate, on));
        }
        let failed = self.failed(slot);
        let from = slot.masks as usize;
        let masks = masks.get(from..from + candidates.len()).unwrap_or_default();
        let left = candidates.iter().zip(masks).filter(|(_, mask)| **mask & failed == 0);
        left.map(|(candidate, _)| *candidate).any(|candidate| self.hand_over(candidate, on))
    }

    /// The tests of a place that surely fail, as bits.
    fn failed(&self, slot: Slot) -> u64 {
        let from = slot.tests as usize;
        let tests = self.files.tests.get(from..from + slot.tested as usize).unwrap_or_default();
        let mut failed = 0;
        for (bit, test) in tests.iter().enumerate() {
            let fails = match *test {
                Test::Actions(statement) => {
                    let statement = self.statements.get(statement as usize);
                    statement.is_none_or(|statement| !statement.actions.contains(self.request.action.index()))
                }
                Test::Entry(statement, entry) => {
                    let entry = self.statements.get(statement as usize).and_then(|statement| statement.entries.get(entry as usize));
                    let Request { principal, context, .. } = self.request;
                    entry.is_none_or(|entry| entry.judge(self.effect, context, principal.account, None) == Truth::No)
                }
            };
            failed |= u64::from(fails) << bit;
        }
        failed
    }

    fn hand_over(&mut self, candidate: Candidate, on: Option<(usize, &Resource<'_>)>) -> bool {
        let number = candidate.statement as usize;
        let Some(statement) = self.statements.get(number) else { return false };
        if let (Some(pattern), Some((_, resource))) = (candidate.pattern, on)
            && !statement.resources.covers_by(pattern as usize, resource, self.request.principal.account)
        {
            return false;
        }
        (self.take)(number, statement, on.map(|(place, _)| place))
    }
}

impl Shape {
    /// What the key starts with, for an action and a resource.
    fn base(self, request: &Request<'_>, resource: Option<&Resource<'_>>) -> u64 {
        let action = self.by_action.then(|| request.action.index());
        let kind = resource.filter(|_| self.by_kind).map(|resource| resource.kind.index());
        self.feature.base(action, kind)
    }
}

impl Feature {
    fn base(self, action: Option<usize>, kind: Option<usize>) -> u64 {
        let (tag, length) = match self {
            Self::Any => (1, 0),
            Self::Whole => (2, 0),
            Self::Start(length) => (3, length),
            Self::End(length) => (4, length),
            Self::Within(length) => (5, length),
        };
        let number = |index: Option<usize>| index.map_or(0, |index| index as u64 + 1);
        mixed(number(action) << 32 | number(kind), tag << 32 | u64::from(length))
    }
}

impl Files {
    fn find(&self, key: u64) -> Option<Slot> {
        let last = self.slots.len() - 1;
        let mut place = key as usize & last;
        loop {
            let slot = self.slots.get(place)?;
            if slot.len == 0 {
                return None;
            }
            if slot.key == key {
                return Some(*slot);
            }
            place = (place + 1) & last;
        }
    }

    /// Whether some pattern may have been filed under these bytes within.
    fn may_have(&self, text: u64) -> bool {
        let (word, bit) = bloom(text, self.within.len());
        self.within.get(word).is_some_and(|word| word >> bit & 1 == 1)
    }
}

fn bloom(text: u64, words: usize) -> (usize, u32) {
    ((text >> 8) as usize & (words.max(1) - 1), (text & 63) as u32)
}

/// Two numbers, mixed so that every bit of both counts.
fn mixed(one: u64, other: u64) -> u64 {
    let product = u128::from(one ^ 0x9e37_79b9_7f4a_7c15) * u128::from(other ^ 0xd1b5_4a32_d192_ed03);
    (product >> 64) as u64 ^ product as u64
}

fn hash(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let start = 0xa076_1d64_78bd_642f ^ bytes.len() as u64;
    let hash = words.iter().fold(start, |hash, word| mixed(hash, u64::from_le_bytes(*word)));
    let rest = rest.iter().rev().fold(0, |all, byte| all << 8 | u64::from(*byte));
    mixed(hash, rest)
}

/// A pattern that is still to be filed, and under what it can be.
struct Draft {
    candidate: Candidate,
    /// `None`: all of them.
    actions: Option<Vec<usize>>,
    kinds: Option<Vec<usize>>,
    /// Features with the hash of their texts, the best first.
    features: Vec<(Feature, u64)>,
}

impl Side {
    fn of(statements: &[Statement], effect: Effect) -> Self {
        let own = || (0_u32..).zip(statements).filter(|(_, statement)| statement.effect == effect);
        let drafts: Vec<Draft> = own().flat_map(|(number, statement)| drafts(number, statement)).collect();
        if drafts.len() <= WORTHWHILE {
            return Self::Few(own().map(|(number, _)| number).collect());
        }
        Self::Filed(Files::of(statements, &drafts))
    }
}

fn drafts(number: u32, statement: &Statement) -> Vec<Draft> {
    let patterns = statement.resources.ids().count();
    let few = |set: &IndexSet, most: usize| {
        let found: Vec<usize> = set.iter().take(most + 1).collect();
        (found.len() <= most && (found.len() <= 1 || found.len() * patterns <= FILED_MAX)).then_some(found)
    };
    let actions = few(&statement.actions, ACTIONS_FILED);
    let draft = |pattern: Option<u32>, kinds: Option<Vec<usize>>, features: Vec<(Feature, u64)>| Draft {
        candidate: Candidate { statement: number, pattern },
        actions: actions.clone(),
        kinds,
        features,
    };
    if statement.resources.everything() {
        return vec![draft(None, None, vec![(Feature::Any, 0)])];
    }
    let patterns = (0_u32..).zip(statement.resources.ids());
    patterns.map(|(pattern, (kinds, id))| draft(Some(pattern), few(kinds, KINDS_FILED), features(id))).collect()
}

/// What every id that a pattern matches has.
fn features(id: &Glob) -> Vec<(Feature, u64)> {
    let symbols = id.symbols();
    let pieces: Vec<(usize, &[Symbol])> = pieces(&symbols);
    let text = |piece: &[Symbol]| -> Vec<u8> {
        let chars = piece.iter().filter_map(|symbol| if let Symbol::Char(char) = symbol { Some(*char) } else { None });
        chars.collect::<String>().into_bytes()
    };
    if let [(0, whole)] = pieces.as_slice()
        && whole.len() == symbols.len()
    {
        return vec![(Feature::Whole, hash(&text(whole)))];
    }
    let mut found = Vec::new();
    let cut = |length: usize| LENGTHS.iter().rfind(|cut| **cut <= length).copied();
    let mut longest: Vec<u8> = Vec::new();
    for (from, piece) in &pieces {
        let bytes = text(piece);
        if let (0, Some(length)) = (*from, cut(bytes.len())) {
            found.extend(bytes.get(..length).map(|start| (Feature::Start(length as u16), hash(start))));
        }
        if let (true, Some(length)) = (from + piece.len() == symbols.len(), cut(bytes.len())) {
            found.extend(bytes.get(bytes.len() - length..).map(|end| (Feature::End(length as u16), hash(end))));
        }
        if bytes.len() > longest.len() {
            longest.clone_from(&bytes);
        }
        found.extend(bytes.windows(WITHIN).map(|bytes| (Feature::Within(WITHIN as u16), hash(bytes))));
    }
    if found.is_empty() {
        let length = longest.len().min(WITHIN - 1);
        found.extend(longest.windows(length.max(1)).map(|bytes| (Feature::Within(length as u16), hash(bytes))));
    }
    if found.is_empty() {
        found.push((Feature::Any, 0));
    }
    found
}

/// The runs of characters of a pattern, and where each begins among its symbols. An empty pattern is one, empty.
fn pieces(symbols: &[Symbol]) -> Vec<(usize, &[Symbol])> {
    if symbols.is_empty() {
        return vec![(0, symbols)];
    }
    let mut found = Vec::new();
    let mut from = 0;
    for piece in symbols.split(|symbol| !matches!(symbol, Symbol::Char(_))) {
        if !piece.is_empty() {
            found.push((from, piece));
        }
        from += piece.len() + 1;
    }
    found
}

impl Files {
    fn of(statements: &[Statement], drafts: &[Draft]) -> Self {
        let mut shared: HashMap<(Feature, u64), u32> = HashMap::new();
        for draft in drafts {
            draft.features.iter().for_each(|feature| *shared.entry(*feature).or_default() += 1);
        }
        let mut shapes = BTreeSet::new();
        let mut filed: Vec<(u64, Candidate)> = Vec::new();
        let mut within = Vec::new();
        for draft in drafts {
            let Some((feature, text)) = draft.best(&shared) else { continue };
            shapes.insert(Shape { feature, by_action: draft.actions.is_some(), by_kind: draft.kinds.is_some() });
            if let Feature::Within(_) = feature {
                within.push(text);
            }
            let each = |set: &Option<Vec<usize>>| -> Vec<Option<usize>> {
                set.as_ref().map_or_else(|| vec![None], |all| all.iter().copied().map(Some).collect())
            };
            for action in each(&draft.actions) {
                for kind in each(&draft.kinds) {
                    let base = feature.base(action, kind);
                    filed.push((if feature == Feature::Any { base } else { mixed(base, text) }, draft.candidate));
                }
            }
        }
        filed.sort_unstable();
        filed.dedup();
        let mut files = Self {
            shapes: shapes.into_iter().collect(),
            slots: Box::default(),
            candidates: filed.iter().map(|(_, candidate)| *candidate).collect(),
            masks: Box::default(),
            tests: Box::default(),
            within: filter(&within),
        };
        files.place(statements, &filed);
        files
    }

    /// Makes the table of the places, and numbers the conditions of each.
    fn place(&mut self, statements: &[Statement], filed: &[(u64, Candidate)]) {
        let places = filed.chunk_by(|one, other| one.0 == other.0);
        let empty = Slot { key: 0, first: 0, len: 0, tests: 0, tested: 0, masks: 0 };
        let mut slots = vec![empty; (places.clone().count() * 2).next_power_of_two()];
        let last = slots.len() - 1;
        let (mut tests, mut masks) = (Vec::new(), Vec::new());
        let mut first = 0_u32;
        for place in places {
            let Some((key, _)) = place.first() else { continue };
            let len = place.len() as u32;
            let mut slot = Slot { key: *key, first, len, tests: tests.len() as u32, tested: 0, masks: masks.len() as u32 };
            if place.len() >= TESTED {
                let (own, numbered) = numbered(statements, place);
                if !own.is_empty() {
                    slot.tested = own.len() as u32;
                    tests.extend(own);
                    masks.extend(numbered);
                }
            }
            first += len;
            let mut at = *key as usize & last;
            while slots.get(at).is_some_and(|slot| slot.len != 0) {
                at = (at + 1) & last;
            }
            if let Some(free) = slots.get_mut(at) {
                *free = slot;
            }
        }
        (self.slots, self.tests, self.masks) = (slots.into(), tests.into(), masks.into());
    }
}

impl Draft {
    /// The feature that it is filed under.
    fn best(&self, shared: &HashMap<(Feature, u64), u32>) -> Option<(Feature, u64)> {
        let count = |feature: &&(Feature, u64)| shared.get(feature).copied().unwrap_or(0);
        let good = |feature: &&(Feature, u64)| !matches!(feature.0, Feature::Within(_)) && count(feature) <= FEW;
        self.features.iter().find(good).or_else(|| self.features.iter().min_by_key(count)).copied()
    }
}

/// A bloom filter of some texts.
fn filter(texts: &[u64]) -> Box<[u64]> {
    let words = (texts.len() / 4).next_power_of_two();
    let mut filter = vec![0_u64; if texts.is_empty() { 0 } else { words }];
    for text in texts {
        let (word, bit) = bloom(*text, words);
        if let Some(word) = filter.get_mut(word) {
            *word |= 1 << bit;
        }
    }
    filter.into()
}

/// The distinct conditions of the statements of a place, and for each statement which of them it has.
fn numbered(statements: &[Statement], place: &[(u64, Candidate)]) -> (Vec<Test>, Vec<u64>) {
    let mut tests: Vec<Test> = Vec::new();
    let mut number = |new: Test| {
        let entry = |statement: u32, entry: u32| statements.get(statement as usize)?.entries.get(entry as usize);
        let actions = |statement: u32| statements.get(statement as usize).map(|statement| &statement.actions);
        let same = |known: &Test| match (*known, new) {
            (Test::Actions(one), Test::Actions(other)) => actions(one) == actions(other),
            (Test::Entry(one, at), Test::Entry(other, place)) => match (entry(one, at), entry(other, place)) {
                (Some(one), Some(other)) => one.is_same(other),
                _ => false,
            },
            _ => false,
        };
        let known = tests.iter().position(same).or_else(|| {
            (tests.len() < TESTS_MAX).then(|| {
                tests.push(new);
                tests.len() - 1
            })
        });
        known.map_or(0, |bit| 1_u64 << bit)
    };
    let mut masks = Vec::new();
    for (_, Candidate { statement: index, .. }) in place {
        let statement = statements.get(*index as usize);
        let wide = statement.is_some_and(|statement| statement.actions.iter().nth(ACTIONS_FILED).is_some());
        let mut mask = if wide { number(Test::Actions(*index)) } else { 0 };
        let entries = statement.map_or(0, |statement| statement.entries.len() as u32);
        (0..entries).for_each(|entry| mask |= number(Test::Entry(*index, entry)));
        masks.push(mask);
    }
    (tests, masks)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fmt::Write as _;

    use super::*;
    use crate::policy::judge::{judge, judge_covering};
    use crate::policy::sample::{ACCOUNT, Numbers, OTHER, catalogue, policy, request, resource};
    use crate::policy::{Attribute, Catalogue, Owner, Scalar, Tags, ValueType, Values};
    use crate::types::AccessLevel;

    #[test]
    fn a_pattern_is_filed_under_what_all_its_ids_have() {
        let of = |pattern: &str| features(&Glob::new(pattern, crate::policy::glob::Wildcards::StarAndQuestionMark).unwrap());
        let text = |text: &str| hash(text.as_bytes());
        assert_eq!(of("abc"), [(Feature::Whole, text("abc"))]);
        assert_eq!(
            of("abcde*"),
            [(Feature::Start(4), text("abcd")), (Feature::Within(4), text("abcd")), (Feature::Within(4), text("bcde"))]
        );
        assert_eq!(of("*xyz"), [(Feature::End(3), text("xyz"))]);
        assert_eq!(of("a?*z"), [(Feature::Start(1), text("a")), (Feature::End(1), text("z"))]);
        assert_eq!(of("*infix*"), [(Feature::Within(4), text("infi")), (Feature::Within(4), text("nfix"))]);
        assert_eq!(of("*ab*c*"), [(Feature::Within(2), text("ab"))]);
        assert_eq!(of("*é*"), [(Feature::Within(2), text("é"))]);
        for open in ["*", "?", "**", "?*"] {
            assert_eq!(of(open), [(Feature::Any, 0)], "{open}");
        }
    }

    /// The sample's world with so many more actions that a statement on all of them is filed once for all.
    fn wide() -> Catalogue {
        let mut builder = Catalogue::builder("e".parse().unwrap());
        builder.service("iam", "scp-iam", &[]).unwrap();
        builder.service("object-store", "scp-object-store", &[]).unwrap();
        let kinds = ["iam:user", "iam:policy", "object-store:bucket"].map(|kind| builder.resource_type(kind).unwrap());
        let [user, policy, bucket] = kinds;
        let mut declare = |name: &str, kinds: &[_]| builder.action(name.parse().unwrap(), AccessLevel::Read, kinds).map(drop).unwrap();
        declare("iam:ListUsers", &[]);
        declare("iam:ShowUser", &[user]);
        declare("iam:AttachUserPolicy", &[user, policy]);
        declare("object-store:GetObject", &[bucket]);
        (0..2 * ACTIONS_FILED).for_each(|number| declare(&format!("iam:Extra{number}"), &[user]));
        builder.attribute(Attribute { kind: user, name: "lastname".into(), holds: ValueType::Text, abac: true }).unwrap();
        builder.build()
    }

    impl Numbers {
        /// A short text of few characters, so that much is shared.
        fn word(&mut self, most: usize) -> String {
            let length = 1 + self.below(most);
            (0..length).map(|_| self.one(&["a", "b", "ab", "-", "é"])).collect()
        }

        fn pattern(&mut self) -> String {
            let (one, two) = (self.word(8), self.word(5));
            match self.below(12) {
                0 => "*".to_owned(),
                1 | 2 => one,
                3 | 4 => format!("{one}*"),
                5 | 6 => format!("*{one}"),
                7 => format!("{one}*{two}"),
                8 => format!("{one}?{two}"),
                9 => format!("{one}?*"),
                _ => format!("*{one}*{two}*"),
            }
        }

        fn statement(&mut self) -> String {
            let resources: Vec<String> = (0..1 + self.below(4))
                .map(|_| match self.below(16) {
                    0 => "\"*\"".to_owned(),
                    _ => {
                        let account = self.one(&["", "", "", ACCOUNT, OTHER]);
                        let region = self.one(&["", "", "", "kr-west1", "kr-*"]);
                        let kind = self.one(&["iam:user", "iam:user", "iam:policy", "iam:*", "object-store:bucket"]);
                        format!("\"srn:e::{account}:{region}::{kind}/{}\"", self.pattern())
                    }
                })
                .collect();
            let action = self.one(&[
                "*",
                "iam:*",
                "iam:ShowUser",
                "iam:*User",
                "iam:AttachUserPolicy",
                "iam:ListUsers",
                "iam:Extra*",
                "object-store:*",
            ]);
            let mut conditions = String::new();
            for _ in 0..self.below(3) {
                let one = self.one(&[
                    r#""StringEquals": {"scp:UserName": ["foo", "bar"]}"#,
                    r#""StringNotEquals": {"scp:UserName": "bar"}"#,
                    r#""IpAddress": {"scp:SourceIp": "10.0.0.0/8"}"#,
                    r#""NotIpAddress": {"scp:SourceIp": "10.1.0.0/16"}"#,
                    r#""StringLike": {"iam:userLastname": "K*"}"#,
                    r#""Bool": {"scp:MultiFactorAuthPresent": "true"}"#,
                    r#""StringEqualsIsIgnoreCase": {"iam:userEmail": "x"}"#,
                    r#""Null": {"scp:ResourceTag/team": "false"}"#,
                    r#""ForAllValues:StringLike": {"scp:TagKeys": "a*"}"#,
                ]);
                let operator = one.split(':').next().unwrap();
                if !conditions.contains(operator) {
                    let _ = write!(conditions, "{}{one}", if conditions.is_empty() { "" } else { ", " });
                }
            }
            let member = if self.below(8) == 0 { "NotAction" } else { "Action" };
            format!(
                r#"{{"Effect": "{}", "{member}": "{action}", "Resource": [{}], "Condition": {{{conditions}}}}}"#,
                self.one(&["Allow", "Deny"]),
                resources.join(", ")
            )
        }

        fn srn(&mut self, kind: &str) -> String {
            let (account, region) = (self.one(&[ACCOUNT, ACCOUNT, OTHER]), self.one(&["", "kr-west1"]));
            format!("srn:e::{account}:{region}::{kind}/{}", self.word(10))
        }
    }

    fn check(numbers: &mut Numbers, catalogue: &Catalogue, statements: &[Statement], index: &Index) {
        let (action, kinds) = [
            ("iam:ListUsers", &[][..]),
            ("iam:ShowUser", &["iam:user"]),
            ("iam:AttachUserPolicy", &["iam:user", "iam:policy"]),
            ("object-store:GetObject", &["object-store:bucket"]),
        ][numbers.below(4)];
        let srns: Vec<String> = kinds.iter().map(|kind| numbers.srn(kind)).collect();
        let mut resources: Vec<_> = srns.iter().map(|srn| resource(srn, catalogue)).collect();
        for resource in &mut resources {
            if numbers.below(2) == 0 {
                resource.tags = Tags::Known(&[]);
                resource.attributes.others = [Values::Absent, Values::Unavailable, Values::One(Scalar::Text("Kim"))][numbers.below(3)];
            }
        }
        let mut asked = request(action, &resources, catalogue);
        if numbers.below(3) == 0 {
            asked.context.source_ip = Values::Unavailable;
        }
        for effect in [Effect::Allow, Effect::Deny] {
            let mut found = BTreeSet::new();
            index.each(statements, effect, &asked, |number, statement, covered| {
                assert_eq!(judge_covering(statement, &asked, covered).truth, judge(statement, &asked).truth, "{statement:?}\n{asked:?}");
                found.insert(number);
                false
            });
            for (number, statement) in statements.iter().enumerate().filter(|(_, statement)| statement.effect == effect) {
                let applies = judge(statement, &asked).truth != Truth::No;
                assert!(!applies || found.contains(&number), "left out: {number} {statement:?}\n{asked:?}");
            }
        }
    }

    #[test]
    fn what_the_index_leaves_out_does_not_apply() {
        let mut numbers = Numbers(20_261_121);
        for round in 0..60 {
            let catalogue = if round % 2 == 0 { catalogue() } else { wide() };
            let count = 1 + numbers.below(120);
            let text = (0..count).map(|_| numbers.statement()).collect::<Vec<_>>().join(",");
            let policy = policy(&text, Owner::account(ACCOUNT), &catalogue);
            let body = policy.body().unwrap();
            (0..200).for_each(|_| check(&mut numbers, &catalogue, &body.statements, &body.index));
        }
    }

    /// The statements that are looked at for an action on a user.
    fn looked_at(statements: &str, effect: Effect, action: &str, id: &str, catalogue: &Catalogue) -> Vec<usize> {
        let policy = policy(statements, Owner::account(ACCOUNT), catalogue);
        let srn = format!("srn:e::{ACCOUNT}:::iam:user/{id}");
        let resources = [resource(&srn, catalogue)];
        let (mut looked, body) = (Vec::new(), policy.body().unwrap());
        body.index.each(&body.statements, effect, &request(action, &resources, catalogue), |number, _, _| {
            looked.push(number);
            false
        });
        looked
    }

    #[test]
    fn of_many_statements_few_are_looked_at() {
        let catalogue = catalogue();
        let statement = |number: usize, pattern: &str, more: &str| {
            format!(
                r#"{{"Effect": "Allow", "Action": "iam:ShowUser", "Resource": "srn:e:::::iam:user/{}"{more}}}"#,
                pattern.replace('#', &format!("{number:04}"))
            )
        };
        let looked = |pattern: &str, more: &dyn Fn(usize) -> String, id: &str| {
            let text = (0..300).map(|number| statement(number, pattern, &more(number))).collect::<Vec<_>>().join(",");
            looked_at(&text, Effect::Allow, "iam:ShowUser", id, &catalogue).len()
        };
        let plain: &dyn Fn(usize) -> String = &|_| String::new();
        for (pattern, id) in [
            ("user-#", "user-0123"),
            ("team-#-*", "team-0123-x"),
            ("*-team-#", "x-team-0123"),
            ("*-#-*", "x-0123-y"),
            ("a*b#c*d", "axb0123cxd"),
        ] {
            assert_eq!(looked(pattern, plain, id), 1, "{pattern}");
            assert_eq!(looked(pattern, plain, "nobody"), 0, "{pattern}");
        }
        // What stands in an id several times is looked up once, and each of many things in an id is.
        assert_eq!(looked("*-#-*", plain, "x-0123-y-0123-z-0123-w"), 1);
        let many: String = (0..80).map(|number| format!("-{:04}-", number * 3)).collect();
        assert_eq!(looked("*-#-*", plain, &many), 80);
        // Where all stand in one place, their conditions are judged once.
        let named: &dyn Fn(usize) -> String = &|number| {
            format!(
                r#", "Condition": {{"StringEquals": {{"scp:UserName": "{}"}}}}"#,
                ["bar", "baz", "foo"][if number == 77 { 2 } else { number % 2 }]
            )
        };
        assert_eq!(looked("*", named, "x"), 1);
    }

    #[test]
    fn statements_on_many_actions_are_left_out_by_their_actions() {
        let catalogue = wide();
        let extra = r#"{"Effect": "Allow", "Action": "iam:Extra*", "Resource": "srn:e:::::iam:user/*"}"#;
        let all = r#"{"Effect": "Allow", "Action": "iam:*", "Resource": "srn:e:::::iam:user/*"}"#;
        let text = [vec![extra; 20], vec![all], vec![extra; 20]].concat().join(",");
        assert_eq!(looked_at(&text, Effect::Allow, "iam:ShowUser", "x", &catalogue), [20]);
    }

    #[test]
    fn one_id_under_many_actions_is_looked_up_by_the_action() {
        let catalogue = wide();
        let statement = |number: usize| {
            format!(
                r#"{{"Effect": "Deny", "Action": "iam:Extra{number}", "Resource": ["srn:e:::::iam:user/one", "srn:e:::::iam:user/on*"]}}"#
            )
        };
        let text = (0..2 * ACTIONS_FILED).map(statement).collect::<Vec<_>>().join(",");
        assert_eq!(looked_at(&text, Effect::Deny, "iam:Extra7", "one", &catalogue), [7, 7]);
    }

    #[test]
    fn keys_differ_and_spread() {
        let features = [Feature::Any, Feature::Whole, Feature::Start(4), Feature::End(4), Feature::Within(4), Feature::Start(6)];
        let numbers = || [None].into_iter().chain((0..40).map(Some));
        let mut bases = BTreeSet::new();
        for feature in features {
            numbers().for_each(|action| numbers().for_each(|kind| assert!(bases.insert(feature.base(action, kind)), "{feature:?}")));
        }
        let words = ["", "a", "ab", "ba", "abcdefg", "abcdefgh", "abcdefgha", "habcdefg"];
        let texts: BTreeSet<String> =
            (0..2_048).flat_map(|number| words.map(|word| format!("{word}{number:03}"))).chain(words.map(str::to_owned)).collect();
        let hashes: BTreeSet<u64> = texts.iter().map(|text| hash(text.as_bytes())).collect();
        assert_eq!(hashes.len(), texts.len());
        for shift in [0, 8, 40] {
            // Of 16,384 balls in as many boxes, boxes of 10,356 have one.
            let boxes: BTreeSet<u64> = hashes.iter().map(|hash| mixed(7, *hash) >> shift & 0x3fff).collect();
            assert!((9_800..10_900).contains(&boxes.len()), "{} at {shift}", boxes.len());
        }
        let (known, others): (Vec<u64>, Vec<u64>) = hashes.iter().partition(|hash| **hash >> 50 & 1 == 0);
        let files = Files {
            shapes: Box::default(),
            slots: Box::default(),
            candidates: Box::default(),
            masks: Box::default(),
            tests: Box::default(),
            within: filter(&known),
        };
        assert!(known.iter().all(|text| files.may_have(*text)));
        let taken = others.iter().filter(|text| files.may_have(**text)).count();
        assert!(taken < others.len() / 4, "{taken} of {}", others.len());
    }

    #[test]
    fn many_patterns_for_many_actions_are_filed_once_each() {
        let catalogue = wide();
        let actions: Vec<String> = (0..ACTIONS_FILED).map(|number| format!("\"iam:Extra{number}\"")).collect();
        let patterns: Vec<String> = (0..1_000).map(|number| format!("\"srn:e:::::iam:*/one-{number}\"")).collect();
        let text = format!(r#"{{"Effect": "Allow", "Action": [{}], "Resource": [{}]}}"#, actions.join(","), patterns.join(","));
        assert_eq!(looked_at(&text, Effect::Allow, "iam:Extra7", "one-7", &catalogue), [0]);
        let policy = policy(&text, Owner::account(ACCOUNT), &catalogue);
        let Side::Filed(files) = &policy.body().unwrap().index.allow else { panic!("many patterns") };
        assert_eq!((files.candidates.len(), files.slots.len()), (1_000, 2_048));
    }
}
