//! Files the patterns of statements under their features.

use std::collections::{BTreeSet, HashMap};

use super::screen::{Budget, Screen};
use super::{Candidate, EVERYTHING, Feature, Files, Shape, Side, Slot, Statements, UNSCREENED, bloom, hash, mixed, of_action, of_feature};
use crate::policy::document::{Effect, Statement};
use crate::policy::glob::{Glob, Symbol};
use crate::policy::index_set::IndexSet;

/// Fewer patterns of one effect than these are searched from end to end.
const WORTHWHILE: usize = 8;
/// An action that so few patterns are about has a place of its own.
const SPARSE: u32 = 4;
/// A statement with more actions is filed once, for all actions.
pub(super) const ACTIONS_FILED: usize = 16;
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
    /// The statements of an effect, and how often they would be filed at most.
    pub(super) fn of<S: Statements + ?Sized>(statements: &S, effect: Effect) -> (Self, usize) {
        let all = || (0..statements.count()).filter_map(|number| Some((number, statements.statement(number)?)));
        let own = || all().filter(|(_, statement)| statement.effect == effect);
        let drafts: Vec<Draft> = own().flat_map(|(number, statement)| drafts(number, statement)).collect();
        let filed = drafts.iter().map(Draft::filed).sum();
        if drafts.len() <= WORTHWHILE {
            return (Self::Few(own().map(|(number, _)| number).collect()), filed);
        }
        (Self::Filed(Files::of(statements, &drafts)), filed)
    }
}

fn drafts(number: u32, statement: &Statement) -> Vec<Draft> {
    let patterns = statement.resources.patterns().len();
    let few = |set: &IndexSet, most: usize| {
        let found: Vec<usize> = set.iter().take(most + 1).collect();
        (found.len() <= most && (found.len() <= 1 || found.len() * patterns <= FILED_MAX)).then_some(found)
    };
    let actions = few(&statement.actions, ACTIONS_FILED);
    let draft = |pattern: u32, kinds: Option<Vec<usize>>, features: Vec<(Feature, u64)>| Draft {
        candidate: Candidate { statement: number, pattern },
        actions: actions.clone(),
        kinds,
        features,
    };
    if statement.resources.everything() {
        return vec![draft(EVERYTHING, None, vec![(Feature::Any, 0)])];
    }
    let patterns = (0_u32..).zip(statement.resources.patterns());
    patterns.map(|(number, pattern)| draft(number, few(pattern.kinds(), KINDS_FILED), features(pattern.id()))).collect()
}

/// What every id that a pattern matches has.
pub(super) fn features(id: &Glob) -> Vec<(Feature, u64)> {
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
    fn of<S: Statements + ?Sized>(statements: &S, drafts: &[Draft]) -> Self {
        let mut shared: HashMap<(Feature, u64), u32> = HashMap::new();
        for draft in drafts {
            draft.features.iter().for_each(|feature| *shared.entry(*feature).or_default() += 1);
        }
        let mut about: HashMap<usize, u32> = HashMap::new();
        drafts.iter().filter_map(|draft| draft.actions.as_ref()).flatten().for_each(|action| *about.entry(*action).or_default() += 1);
        let sparse = |action: &usize| about.get(action).is_some_and(|patterns| *patterns <= SPARSE);
        let mut shapes = BTreeSet::new();
        let mut filed: Vec<(u64, Candidate)> = Vec::new();
        let mut within = Vec::new();
        for draft in drafts {
            let own = draft.actions.iter().flatten().filter(|action| sparse(action));
            filed.extend(own.map(|action| (of_action(*action), draft.candidate)));
            let crowded = draft.actions.as_ref().map(|all| all.iter().copied().filter(|action| !sparse(action)).collect::<Vec<_>>());
            if crowded.as_ref().is_some_and(Vec::is_empty) {
                continue;
            }
            let Some((feature, text)) = draft.best(&shared) else { continue };
            shapes.insert(Shape { feature, by_action: draft.actions.is_some(), by_kind: draft.kinds.is_some() });
            if let Feature::Within(_) = feature {
                within.push(text);
            }
            let each = |set: &Option<Vec<usize>>| -> Vec<Option<usize>> {
                set.as_ref().map_or_else(|| vec![None], |all| all.iter().copied().map(Some).collect())
            };
            for action in each(&crowded) {
                for kind in each(&draft.kinds) {
                    let base = feature.base(action, kind);
                    let key = if feature == Feature::Any { base } else { mixed(base, text) };
                    filed.push((of_feature(key), draft.candidate));
                }
            }
        }
        filed.sort_unstable();
        filed.dedup();
        let mut files = Self {
            shapes: shapes.into_iter().collect(),
            sparse: about.keys().any(sparse),
            slots: Box::default(),
            candidates: Box::default(),
            masks: Box::default(),
            screens: Box::default(),
            within: filter(&within),
        };
        files.place(statements, &filed);
        files
    }

    /// Makes the table of the places, and screens those with many candidates.
    fn place<S: Statements + ?Sized>(&mut self, statements: &S, filed: &[(u64, Candidate)]) {
        let places = filed.chunk_by(|one, other| one.0 == other.0);
        let empty = Slot { key: 0, len: 0, screen: UNSCREENED, first: Candidate { statement: 0, pattern: 0 } };
        let mut slots = vec![empty; (places.clone().count() * 2).next_power_of_two()];
        let last = slots.len() - 1;
        let (mut candidates, mut masks, mut screens) = (Vec::new(), Vec::new(), Vec::new());
        let mut budget = Budget::of(statements);
        for place in places {
            let Some((key, only)) = place.first() else { continue };
            let mut slot = Slot { key: *key, len: place.len() as u32, screen: UNSCREENED, first: *only };
            if place.len() > 1 {
                slot.first = Candidate { statement: candidates.len() as u32, pattern: masks.len() as u32 };
                let numbers: Vec<u32> = place.iter().map(|(_, candidate)| candidate.statement).collect();
                if let Some((screen, order)) = Screen::of(statements, &numbers, &mut budget) {
                    slot.screen = screens.len() as u32;
                    screens.push(screen);
                    candidates.extend(order.iter().filter_map(|(at, _)| place.get(*at)).map(|(_, candidate)| *candidate));
                    masks.extend(order.iter().map(|(_, mask)| *mask));
                } else {
                    candidates.extend(place.iter().map(|(_, candidate)| *candidate));
                }
            }
            let mut at = *key as usize & last;
            while slots.get(at).is_some_and(|slot| slot.len != 0) {
                at = (at + 1) & last;
            }
            if let Some(free) = slots.get_mut(at) {
                *free = slot;
            }
        }
        (self.slots, self.candidates, self.masks, self.screens) = (slots.into(), candidates.into(), masks.into(), screens.into());
    }
}

impl Draft {
    /// How often it is filed at most.
    fn filed(&self) -> usize {
        let each = |set: &Option<Vec<usize>>| set.as_ref().map_or(1, Vec::len);
        each(&self.actions) * each(&self.kinds)
    }

    /// The feature that it is filed under.
    fn best(&self, shared: &HashMap<(Feature, u64), u32>) -> Option<(Feature, u64)> {
        let count = |feature: &&(Feature, u64)| shared.get(feature).copied().unwrap_or(0);
        let good = |feature: &&(Feature, u64)| !matches!(feature.0, Feature::Within(_)) && count(feature) <= FEW;
        self.features.iter().find(good).or_else(|| self.features.iter().min_by_key(count)).copied()
    }
}

/// A bloom filter of some texts.
pub(super) fn filter(texts: &[u64]) -> Box<[u64]> {
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
