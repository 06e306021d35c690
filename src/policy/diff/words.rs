//! Texts for every way in which some patterns can match: which of them match the same text, and a text for each such set.
//!
//! All patterns are run at once over all texts there are, character by character (the product of their automata, made as far as it is
//! reached). Characters that stand in no pattern are one character.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::LazyLock;

use crate::policy::condition::folded;
use crate::policy::glob::Symbol;
use crate::policy::inclusion::Work;

/// A set of texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Language {
    /// Those of a pattern's form.
    Form(Vec<Symbol>),
    /// Those that are this one when letter case does not count.
    Folded(Vec<char>),
}

/// Where the patterns are: the pattern and the place in it, sorted.
type State = Vec<(u32, u32)>;

/// One of the shortest texts for every set of languages that have a text in common which no other language has. The empty text counts
/// only where it is asked for. `None` when the work was not enough.
pub(super) fn words(languages: &[Language], empty_too: bool, work: &Work) -> Option<Vec<String>> {
    let automaton = Automaton::new(languages);
    let start = automaton.closed((0..languages.len()).filter_map(|language| Some((u32::try_from(language).ok()?, 0))));
    // Each state with the one before it and the character between them.
    let mut found: Vec<(State, usize, Option<char>)> = vec![(start.clone(), 0, None)];
    let mut known: HashSet<State> = if empty_too { HashSet::from([start]) } else { HashSet::new() };
    let mut accepted: HashSet<Vec<u32>> = HashSet::new();
    let mut ends: Vec<usize> = Vec::new();
    let mut next = 0;
    while let Some((state, ..)) = found.get(next) {
        if (next > 0 || empty_too) && accepted.insert(automaton.accepting(state)) {
            ends.push(next);
        }
        let mut reached = Vec::new();
        for letter in automaton.letters(state) {
            if !work.spend(2 * state.len() + 2) {
                return None;
            }
            let state = automaton.step(state, letter);
            if known.insert(state.clone()) {
                reached.push((state, next, Some(letter)));
            }
        }
        found.extend(reached);
        next += 1;
    }
    let word = |end: &usize| {
        let (mut letters, mut at) = (Vec::new(), *end);
        while let Some((_, before, Some(letter))) = found.get(at) {
            letters.push(*letter);
            at = *before;
        }
        letters.into_iter().rev().collect()
    };
    Some(ends.iter().map(word).collect())
}

struct Automaton<'l> {
    languages: &'l [Language],
    /// Characters that become several, or another one, without letter case, as far as languages without letter case have what they
    /// become; by the first character of that.
    spellings: HashMap<char, Vec<char>>,
    /// A character that no language says anything about.
    fresh: char,
}

/// Every character that is another one without letter case.
static CASED: LazyLock<Vec<(char, Vec<char>)>> = LazyLock::new(|| {
    // No character beyond has two cases; a test looks at all.
    let all = ('\0'..='\u{1FFFF}').map(|letter| (letter, fold(letter)));
    all.filter(|(letter, folded)| folded.as_slice() != [*letter]).collect()
});

fn fold(letter: char) -> Vec<char> {
    folded(letter.encode_utf8(&mut [0; 4])).collect()
}

impl<'l> Automaton<'l> {
    fn new(languages: &'l [Language]) -> Self {
        let mut named: BTreeSet<char> = BTreeSet::new();
        let mut caseless: BTreeSet<char> = BTreeSet::new();
        for language in languages {
            match language {
                Language::Form(symbols) => named.extend(symbols.iter().filter_map(|symbol| match symbol {
                    Symbol::Char(letter) => Some(*letter),
                    Symbol::One | Symbol::Run => None,
                })),
                Language::Folded(letters) => caseless.extend(letters),
            }
        }
        let mut spellings: HashMap<char, Vec<char>> = HashMap::new();
        if !caseless.is_empty() {
            for letter in caseless.iter().filter(|letter| fold(**letter).as_slice() == [**letter]) {
                spellings.entry(*letter).or_default().push(*letter);
            }
            for (letter, folded) in CASED.iter().filter(|(_, folded)| folded.iter().all(|one| caseless.contains(one))) {
                if let Some(first) = folded.first() {
                    spellings.entry(*first).or_default().push(*letter);
                }
            }
        }
        let taken =
            |letter: &char| named.contains(letter) || caseless.contains(letter) || fold(*letter).iter().any(|one| caseless.contains(one));
        let fresh = "xyzabcdefghijklmnopqrstuvw0123456789".chars().chain('\u{4E00}'..='\u{9FFF}').find(|letter| !taken(letter));
        Self { languages, spellings, fresh: fresh.unwrap_or('\u{E000}') }
    }

    /// The same places with all that are reached from them without a character, and without those that say nothing more.
    fn closed(&self, places: impl Iterator<Item = (u32, u32)>) -> State {
        let mut all: State = Vec::new();
        for (language, mut place) in places {
            all.push((language, place));
            while self.symbol(language, place) == Some(Symbol::Run) {
                place += 1;
                all.push((language, place));
            }
        }
        all.sort_unstable();
        all.dedup();
        // Whatever goes on well before a `*` that has been reached goes on as well at that `*`.
        let mut starred = None;
        let mut kept: State = Vec::with_capacity(all.len());
        for (language, place) in all.into_iter().rev() {
            if starred != Some(language) {
                kept.push((language, place));
            }
            if self.symbol(language, place) == Some(Symbol::Run) {
                starred = Some(language);
            }
        }
        kept.reverse();
        kept
    }

    fn symbol(&self, language: u32, place: u32) -> Option<Symbol> {
        match self.languages.get(language as usize)? {
            Language::Form(symbols) => symbols.get(place as usize).copied(),
            Language::Folded(_) => None,
        }
    }

    /// What is left of a text without letter case.
    fn rest(&self, language: u32, place: u32) -> Option<&[char]> {
        match self.languages.get(language as usize)? {
            Language::Form(_) => None,
            Language::Folded(letters) => letters.get(place as usize..),
        }
    }

    /// The characters that lead elsewhere than others do, and first one for all others.
    fn letters(&self, state: &State) -> impl Iterator<Item = char> + use<> {
        let mut letters = BTreeSet::new();
        for (language, place) in state {
            if let Some(Symbol::Char(letter)) = self.symbol(*language, *place) {
                letters.insert(letter);
            }
            let next = self.rest(*language, *place).and_then(<[char]>::first);
            letters.extend(next.and_then(|next| self.spellings.get(next)).into_iter().flatten());
        }
        [self.fresh].into_iter().chain(letters)
    }

    fn step(&self, state: &State, letter: char) -> State {
        let spelling = fold(letter);
        let places = state.iter().filter_map(|(language, place)| {
            let behind = match (self.symbol(*language, *place), self.rest(*language, *place)) {
                (Some(Symbol::Run), _) => *place,
                (Some(Symbol::One), _) => place + 1,
                (Some(Symbol::Char(wanted)), _) if wanted == letter => place + 1,
                (None, Some(rest)) if rest.starts_with(&spelling) => place + u32::try_from(spelling.len()).ok()?,
                (Some(Symbol::Char(_)) | None, _) => return None,
            };
            Some((*language, behind))
        });
        self.closed(places)
    }

    /// The languages that have the text that leads here.
    fn accepting(&self, state: &State) -> Vec<u32> {
        let at_end = |(language, place): &&(u32, u32)| match self.languages.get(*language as usize) {
            Some(Language::Form(symbols)) => symbols.len() == *place as usize,
            Some(Language::Folded(letters)) => letters.len() == *place as usize,
            None => false,
        };
        state.iter().filter(at_end).map(|(language, _)| *language).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::policy::glob::{Glob, Wildcards};

    fn form(pattern: &str) -> Language {
        Language::Form(Glob::new(pattern, Wildcards::StarAndQuestionMark).unwrap().symbols())
    }

    fn caseless(text: &str) -> Language {
        Language::Folded(folded(text).collect())
    }

    fn found(languages: &[Language], empty_too: bool) -> Vec<String> {
        words(languages, empty_too, &Work::of(1_000_000)).unwrap()
    }

    #[test]
    fn there_is_a_shortest_text_for_each_way_to_match() {
        assert_eq!(found(&[], true), [""]);
        assert_eq!(found(&[], false), ["x"]);
        assert_eq!(found(&[form("*")], false), ["x"]);
        assert_eq!(found(&[form("a*"), form("*b")], true), ["", "a", "b", "ab"]);
        assert_eq!(found(&[form("a*"), form("ab*"), form("abc")], true), ["", "a", "ab", "abc"]);
        assert_eq!(found(&[form("??"), form("?")], true), ["", "x", "xx"]);
        assert_eq!(found(&[form("foo"), form("x"), caseless("FOO")], true), ["", "x", "FOO", "foo"]);
    }

    #[test]
    fn letter_case_has_all_its_spellings() {
        let languages = [caseless("k"), form("k"), form("K")];
        assert_eq!(found(&languages, true), ["", "K", "k", "\u{212A}"]);
        assert_eq!(found(&[caseless("ss"), form("ss"), form("sS"), form("?")], true), ["", "x", "ß", "SS", "sS", "ss"]);
    }

    #[test]
    fn no_character_beyond_those_looked_at_has_two_cases() {
        assert!(('\u{20000}'..=char::MAX).all(|letter| fold(letter).as_slice() == [letter]));
    }

    #[test]
    fn a_pattern_costs_what_it_is_long() {
        let many: Vec<Language> = (0..900).map(|number| form(&format!("item-{number}-of-many"))).collect();
        assert_eq!(words(&many, true, &Work::of(2_000_000)).unwrap().len(), 901);
        let infixes: Vec<Language> = (0..20).map(|number| form(&format!("*{}*", char::from(b'a' + number)))).collect();
        assert_eq!(words(&infixes, true, &Work::of(100_000)), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(3_000))]
        #[test]
        fn every_text_matches_as_some_word_does(
            patterns in prop::collection::vec("[abK*?]{0,5}", 1..4), plain in "[kKab]{0,2}", texts in prop::collection::vec("[abkK\u{212A}xz]{0,7}", 20),
        ) {
            let globs: Vec<Glob> = patterns.iter().map(|pattern| Glob::new(pattern, Wildcards::StarAndQuestionMark).unwrap()).collect();
            let languages: Vec<Language> = globs.iter().map(|glob| Language::Form(glob.symbols())).chain([caseless(&plain)]).collect();
            let matches = |text: &str| {
                let same = folded(text).eq(folded(&plain));
                globs.iter().map(|glob| glob.matches(text)).chain([same]).collect::<Vec<bool>>()
            };
            let all: Vec<Vec<bool>> = found(&languages, true).iter().map(|word| matches(word)).collect();
            prop_assert_eq!(all.iter().collect::<HashSet<_>>().len(), all.len(), "each way once");
            for text in &texts {
                prop_assert!(all.contains(&matches(text)), "{}", text);
            }
        }
    }
}
