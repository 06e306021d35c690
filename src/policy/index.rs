//! Which statements may apply to a request, found without looking at the others.
//!
//! Every pattern is filed under one feature that each id it matches must have: the whole id, how it starts or ends, or a few bytes
//! somewhere in it, whichever the fewest patterns share. A request looks up the features of its resource. Actions that few patterns
//! are about have a place of their own, and one look is enough for them. Where many statements stand in one place, their distinct
//! conditions are judged once for all of them ([`Screen`]).
//!
//! INVARIANT: only a filter. What is found is judged as without an index, and a statement that is left out would be judged
//! [`Truth::No`](super::judge::Truth::No) (test `what_the_index_leaves_out_does_not_apply`).
//!
//! SECURITY: the hash is not keyed. Who writes a policy can make its own features collide, and gains a search from end to end; nobody
//! can make one look like the place of an action, which would hide what else is about that action (test
//! `no_feature_stands_where_an_action_has_its_own_place`).

mod filing;
mod screen;
#[cfg(test)]
mod tests;

use smallvec::SmallVec;

use super::document::{Effect, Statement};
use super::request::{Request, Resource};
use screen::Screen;

/// Places of which is known whether they were looked at for this resource.
const VISITED: usize = 4096;
/// A candidate's pattern when it is the bare `*`.
const EVERYTHING: u32 = u32::MAX;
/// The bit that the keys of actions' own places have, and no others.
const OWN: u64 = 1 << 63;
/// A place has no screen.
const UNSCREENED: u32 = u32::MAX;

/// Statements by their numbers, from 0 without gaps.
pub(super) trait Statements {
    fn count(&self) -> u32;
    fn statement(&self, number: u32) -> Option<&Statement>;
}

impl Statements for [Statement] {
    fn count(&self) -> u32 {
        self.len() as u32
    }

    fn statement(&self, number: u32) -> Option<&Statement> {
        self.get(number as usize)
    }
}

/// What finds the statements of a policy, or of several.
#[derive(Debug, Clone)]
pub(super) struct Compiled {
    /// How many actions the catalogue had.
    actions: usize,
    /// For 64 actions each: those that some Allow covers, and those that some Deny covers. Most policies say nothing about most
    /// requests.
    concerned: Box<[(u64, u64)]>,
    entries: usize,
    index: Index,
}

impl Compiled {
    pub(super) fn of<S: Statements + ?Sized>(statements: &S, actions: usize) -> Self {
        let mut concerned = vec![(0, 0); actions.div_ceil(64)];
        for statement in (0..statements.count()).filter_map(|number| statements.statement(number)) {
            for action in statement.actions.iter() {
                if let Some((allowed, denied)) = concerned.get_mut(action / 64) {
                    *(if statement.effect == Effect::Allow { allowed } else { denied }) |= 1_u64 << (action % 64);
                }
            }
        }
        let (index, filed) = Index::of(statements);
        Self { actions, concerned: concerned.into(), entries: filed + screen::values_of(statements), index }
    }

    /// How many entries an index over these statements has at most: places, and values that are compared together.
    pub(super) const fn entries(&self) -> usize {
        self.entries
    }

    pub(super) const fn actions(&self) -> usize {
        self.actions
    }

    /// Whether some statement of an effect covers an action.
    pub(super) fn concerns(&self, effect: Effect, action: usize) -> bool {
        let side = if effect == Effect::Allow { &self.index.allow } else { &self.index.deny };
        if let Side::Filed(files) = side
            && files.sparse
            && files.shapes.is_empty()
        {
            // Every action has a place of its own: what is looked at now need not be looked for later.
            return files.find(of_action(action)).is_some();
        }
        let (allowed, denied) = self.concerned.get(action / 64).copied().unwrap_or_default();
        let covered = if effect == Effect::Allow { allowed } else { denied };
        covered >> (action % 64) & 1 == 1
    }

    pub(super) const fn index(&self) -> &Index {
        &self.index
    }
}

/// Statements by what they are about.
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
    /// What there is to look up; in place, because it is read before anything else can be.
    shapes: SmallVec<[Shape; 6]>,
    /// Whether some action has a place of its own.
    sparse: bool,
    /// Open addressing with linear probing; the length is a power of two, and at least one slot is empty.
    slots: Box<[Slot]>,
    /// Those of places with more than one.
    candidates: Box<[Candidate]>,
    /// For candidates of screened places: bit n says that the screen's test n is a condition of the statement.
    masks: Box<[u64]>,
    screens: Box<[Screen]>,
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
    /// How many; none in an empty slot.
    len: u32,
    screen: u32,
    /// The only candidate; or the number of the first, and of its mask if there is a screen.
    first: Candidate,
}

/// A statement that may apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Candidate {
    statement: u32,
    /// Which of its patterns, or [`EVERYTHING`].
    pattern: u32,
}

impl Index {
    fn of<S: Statements + ?Sized>(statements: &S) -> (Self, usize) {
        let ((allow, allowing), (deny, denying)) = (Side::of(statements, Effect::Allow), Side::of(statements, Effect::Deny));
        (Self { allow, deny }, allowing + denying)
    }

    /// Hands over the statements of an effect that may apply, until told to stop with `true`; one may come more than once. With
    /// each comes the place of a resource that one of its patterns surely covers, if that is known.
    pub(super) fn each<S: Statements + ?Sized>(
        &self,
        statements: &S,
        effect: Effect,
        request: &Request<'_>,
        mut take: impl FnMut(u32, &Statement, Option<usize>) -> bool,
    ) {
        let side = match effect {
            Effect::Allow => &self.allow,
            Effect::Deny => &self.deny,
        };
        let files = match side {
            Side::Few(numbers) => {
                let mut all = numbers.iter().filter_map(|number| Some((*number, statements.statement(*number)?)));
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
struct Search<'s, 'r, 'a, S: ?Sized, T> {
    files: &'s Files,
    statements: &'s S,
    effect: Effect,
    request: &'r Request<'a>,
    take: &'r mut T,
}

impl<S: Statements + ?Sized, T: FnMut(u32, &Statement, Option<usize>) -> bool> Search<'_, '_, '_, S, T> {
    /// Only the bare `*` matches an action without resources (R19).
    fn without_resource(&mut self) -> bool {
        let bare = |shape: &&Shape| shape.feature == Feature::Any && !shape.by_kind;
        let files = self.files;
        self.by_action(None).unwrap_or(false)
            || files.shapes.iter().filter(bare).any(|shape| self.look(shape.base(self.request, None), None))
    }

    /// What stands in the action's own place, if it has one: nothing else is filed by this action then.
    #[inline]
    fn by_action(&mut self, on: Option<(usize, &Resource<'_>)>) -> Option<bool> {
        let own = self.files.sparse.then(|| of_action(self.request.action.index()))?;
        self.files.find(own).map(|(_, slot)| self.judge(slot, on))
    }

    fn by_resource(&mut self, place: usize, resource: &Resource<'_>) -> bool {
        let (files, id) = (self.files, resource.id.as_bytes());
        let on = Some((place, resource));
        let own = self.by_action(on);
        own == Some(true)
            || files.shapes.iter().filter(|shape| own.is_none() || !shape.by_action).any(|shape| self.by_shape(*shape, on, resource, id))
    }

    #[inline]
    fn by_shape(&mut self, shape: Shape, on: Option<(usize, &Resource<'_>)>, resource: &Resource<'_>, id: &[u8]) -> bool {
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
    }

    fn within(&mut self, base: u64, length: usize, on: Option<(usize, &Resource<'_>)>, id: &[u8]) -> bool {
        let mut visited = [0_u64; VISITED / 64];
        id.windows(length).any(|bytes| {
            let text = hash(bytes);
            if !self.files.may_have(text) {
                return false;
            }
            let Some((number, slot)) = self.files.find(of_feature(mixed(base, text))) else { return false };
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
        self.files.find(of_feature(key)).is_some_and(|(_, slot)| self.judge(slot, on))
    }

    /// Hands over the candidates of a place that its screen leaves.
    fn judge(&mut self, slot: &Slot, on: Option<(usize, &Resource<'_>)>) -> bool {
        if slot.len == 1 {
            return self.hand_over(slot.first, on);
        }
        let Files { candidates, masks, screens, .. } = self.files;
        let (first, from, len) = (slot.first.statement as usize, slot.first.pattern as usize, slot.len as usize);
        let candidates = candidates.get(first..first + len).unwrap_or_default();
        let Some(screen) = screens.get(slot.screen as usize) else {
            return candidates.iter().any(|candidate| self.hand_over(*candidate, on));
        };
        let failed = screen.failed(self.statements, self.effect, self.request);
        let masks = masks.get(from..from + len).unwrap_or_default();
        screen.left_by(failed).any(|places| {
            let (candidates, masks) = (candidates.get(places.clone()).unwrap_or_default(), masks.get(places).unwrap_or_default());
            let mut left = candidates.iter().zip(masks).filter(|(_, mask)| *mask & failed == 0);
            left.any(|(candidate, _)| self.hand_over(*candidate, on))
        })
    }

    fn hand_over(&mut self, candidate: Candidate, on: Option<(usize, &Resource<'_>)>) -> bool {
        let Some(statement) = self.statements.statement(candidate.statement) else { return false };
        if let (true, Some((_, resource))) = (candidate.pattern != EVERYTHING, on)
            && !statement.resources.covers_by(candidate.pattern as usize, resource, self.request.principal.account)
        {
            return false;
        }
        (self.take)(candidate.statement, statement, on.map(|(place, _)| place))
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
    #[inline]
    fn find(&self, key: u64) -> Option<(usize, &Slot)> {
        let last = self.slots.len() - 1;
        let mut place = key as usize & last;
        loop {
            let slot = self.slots.get(place)?;
            if slot.len == 0 {
                return None;
            }
            if slot.key == key {
                return Some((place, slot));
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

/// The key of an action's own place: of every action another one.
const fn of_action(action: usize) -> u64 {
    // Odd, so that no two numbers below the bit come to the same.
    (action as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) | OWN
}

/// The key of the place of a feature.
const fn of_feature(key: u64) -> u64 {
    key & !OWN
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
