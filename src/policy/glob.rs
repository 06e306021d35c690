//! Patterns with `*` (any run of characters) and, where asked for, `?` (one character): matched in linear time.
//!
//! A pattern is cut at its `*`. The first and the last piece are anchored; each piece between is searched for from the
//! left, once: the earliest place is always the best, so nothing is ever taken back.

use smallvec::SmallVec;

/// How many `*` one pattern may have.
pub(super) const STARS_MAX: usize = 16;
/// How many characters a piece with `?` between two `*` may have: it is searched for with one machine word.
pub(super) const SEARCHED_CHARS_MAX: usize = 64;

/// Which characters stand for others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wildcards {
    /// `*` only; `?` is itself (R09, R36).
    Star,
    /// `*` and `?` (R13).
    StarAndQuestionMark,
}

/// Why a text is not a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum GlobError {
    #[error("the pattern has {0} `*`; the limit is {STARS_MAX}")]
    Stars(usize),
    #[error("the pattern has {0} characters with a `?` among them between two `*`; the limit is {SEARCHED_CHARS_MAX}")]
    Searched(usize),
}

/// A compiled pattern.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Glob(Form);

/// One step of a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Symbol {
    /// This character.
    Char(char),
    /// Any one character.
    One,
    /// Any run of characters.
    Run,
}

/// The bytes of a text, in place up to the length of an id: reading them from elsewhere is what a decision about somebody who was not here for long
/// waits for.
type Text = SmallVec<[u8; 32]>;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Form {
    Anything,
    Exact(Text),
    Prefix(Text),
    Suffix(Text),
    /// No `*`, but `?`.
    Shaped(Anchored),
    Pieces(Box<Pieces>),
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Pieces {
    head: Anchored,
    middle: Box<[Searched]>,
    tail: Anchored,
}

/// A piece at a fixed place; `None` is any one character.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Anchored {
    Literal(Box<str>),
    Shape(Box<[Option<char>]>),
}

/// A piece to be found somewhere.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Searched {
    Literal(Box<str>),
    Shape(Box<Automaton>),
}

/// Bit n says: the first n + 1 characters of the piece end here (Baeza-Yates and Gonnet's Shift-And).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Automaton {
    any: u64,
    last: u64,
    /// Sorted by character.
    at: Box<[(char, u64)]>,
}

impl Glob {
    /// Compiles a pattern.
    pub(super) fn new(pattern: &str, wildcards: Wildcards) -> Result<Self, GlobError> {
        let stars = pattern.matches('*').count();
        if stars > STARS_MAX {
            return Err(GlobError::Stars(stars));
        }
        let questions = wildcards == Wildcards::StarAndQuestionMark && pattern.contains('?');
        let Some((head, rest)) = pattern.split_once('*') else {
            return Ok(Self(if questions {
                Form::Shaped(Anchored::new(pattern, true))
            } else {
                Form::Exact(Text::from_slice(pattern.as_bytes()))
            }));
        };
        let (middle, tail) = rest.rsplit_once('*').unwrap_or(("", rest));
        let middle: Vec<&str> = middle.split('*').filter(|piece| !piece.is_empty()).collect();
        if !questions && middle.is_empty() {
            match (head, tail) {
                ("", "") => return Ok(Self(Form::Anything)),
                (prefix, "") => return Ok(Self(Form::Prefix(Text::from_slice(prefix.as_bytes())))),
                ("", suffix) => return Ok(Self(Form::Suffix(Text::from_slice(suffix.as_bytes())))),
                (_, _) => {}
            }
        }
        let middle = middle.into_iter().map(|piece| Searched::new(piece, questions)).collect::<Result<_, _>>()?;
        Ok(Self(Form::Pieces(Box::new(Pieces { head: Anchored::new(head, questions), middle, tail: Anchored::new(tail, questions) }))))
    }

    /// Its steps, to compare it with other patterns.
    pub(super) fn symbols(&self) -> Vec<Symbol> {
        let literal = |text: &Text| str::from_utf8(text).unwrap_or_default().chars().map(Symbol::Char).collect::<Vec<_>>();
        match &self.0 {
            Form::Anything => vec![Symbol::Run],
            Form::Exact(text) => literal(text),
            Form::Prefix(text) => [literal(text), vec![Symbol::Run]].concat(),
            Form::Suffix(text) => [vec![Symbol::Run], literal(text)].concat(),
            Form::Shaped(piece) => piece.symbols(),
            Form::Pieces(pieces) => {
                let Pieces { head, middle, tail } = &**pieces;
                let mut all = head.symbols();
                for piece in middle {
                    all.push(Symbol::Run);
                    all.extend(piece.symbols());
                }
                all.push(Symbol::Run);
                all.extend(tail.symbols());
                all
            }
        }
    }

    /// The pattern `*`.
    pub(super) const fn anything() -> Self {
        Self(Form::Anything)
    }

    /// Whether the whole text has the pattern's form. Letter case counts.
    pub(super) fn matches(&self, text: &str) -> bool {
        match &self.0 {
            Form::Anything => true,
            Form::Exact(exact) => **exact == *text.as_bytes(),
            Form::Prefix(prefix) => text.as_bytes().starts_with(prefix),
            Form::Suffix(suffix) => text.as_bytes().ends_with(suffix),
            Form::Shaped(piece) => piece.after_start(text).is_some_and(str::is_empty),
            Form::Pieces(pieces) => {
                let Pieces { head, middle, tail } = &**pieces;
                let between = head.after_start(text).and_then(|rest| tail.before_end(rest));
                between.and_then(|between| middle.iter().try_fold(between, |rest, piece| piece.after_first(rest))).is_some()
            }
        }
    }
}

impl Anchored {
    fn new(piece: &str, questions: bool) -> Self {
        if questions && piece.contains('?') { Self::Shape(shape(piece).collect()) } else { Self::Literal(piece.into()) }
    }

    fn symbols(&self) -> Vec<Symbol> {
        match self {
            Self::Literal(piece) => piece.chars().map(Symbol::Char).collect(),
            Self::Shape(shape) => shape.iter().map(|wanted| wanted.map_or(Symbol::One, Symbol::Char)).collect(),
        }
    }

    /// What follows the piece when the text starts with it.
    fn after_start<'t>(&self, text: &'t str) -> Option<&'t str> {
        match self {
            Self::Literal(piece) => text.strip_prefix(&**piece),
            Self::Shape(shape) => {
                let mut rest = text.chars();
                let fits = shape.iter().all(|wanted| rest.next().is_some_and(|found| wanted.is_none_or(|wanted| wanted == found)));
                fits.then_some(rest.as_str())
            }
        }
    }

    /// What precedes the piece when the text ends with it.
    fn before_end<'t>(&self, text: &'t str) -> Option<&'t str> {
        match self {
            Self::Literal(piece) => text.strip_suffix(&**piece),
            Self::Shape(shape) => {
                let mut rest = text.chars();
                let fits =
                    shape.iter().rev().all(|wanted| rest.next_back().is_some_and(|found| wanted.is_none_or(|wanted| wanted == found)));
                fits.then_some(rest.as_str())
            }
        }
    }
}

impl Searched {
    fn new(piece: &str, questions: bool) -> Result<Self, GlobError> {
        if questions && piece.contains('?') {
            Automaton::new(piece).map(|found| Self::Shape(Box::new(found)))
        } else {
            Ok(Self::Literal(piece.into()))
        }
    }

    fn symbols(&self) -> Vec<Symbol> {
        match self {
            Self::Literal(piece) => piece.chars().map(Symbol::Char).collect(),
            Self::Shape(automaton) => automaton.symbols(),
        }
    }

    /// What follows the first place where the piece stands.
    fn after_first<'t>(&self, text: &'t str) -> Option<&'t str> {
        match self {
            Self::Literal(piece) => text.split_once(&**piece).map(|(_, after)| after),
            Self::Shape(automaton) => automaton.after_first(text),
        }
    }
}

impl Automaton {
    fn new(piece: &str) -> Result<Self, GlobError> {
        let length = piece.chars().count();
        if length > SEARCHED_CHARS_MAX {
            return Err(GlobError::Searched(length));
        }
        let mut any = 0;
        let mut last = 0;
        let mut at: Vec<(char, u64)> = Vec::new();
        for (wanted, bit) in shape(piece).zip(0..) {
            last = 1_u64 << bit;
            match wanted {
                None => any |= last,
                Some(wanted) => match at.iter_mut().find(|(known, _)| *known == wanted) {
                    Some((_, places)) => *places |= last,
                    None => at.push((wanted, last)),
                },
            }
        }
        at.sort_unstable();
        Ok(Self { any, last, at: at.into() })
    }

    fn symbols(&self) -> Vec<Symbol> {
        let places = (0..u64::BITS).map(|place| 1_u64 << place).take_while(|bit| *bit <= self.last);
        let wanted =
            |bit: u64| self.at.iter().find(|(_, places)| places & bit != 0).map_or(Symbol::One, |(wanted, _)| Symbol::Char(*wanted));
        places.map(wanted).collect()
    }

    fn after_first<'t>(&self, text: &'t str) -> Option<&'t str> {
        let mut rest = text.chars();
        let mut state = 0_u64;
        while let Some(found) = rest.next() {
            let places = self.at.binary_search_by_key(&found, |(known, _)| *known).ok().and_then(|index| self.at.get(index));
            state = (state << 1 | 1) & (self.any | places.map_or(0, |(_, places)| *places));
            if state & self.last != 0 {
                return Some(rest.as_str());
            }
        }
        None
    }
}

fn shape(piece: &str) -> impl Iterator<Item = Option<char>> + '_ {
    piece.chars().map(|character| (character != '?').then_some(character))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(pattern: &str, text: &str, expected: bool) {
        let glob = Glob::new(pattern, Wildcards::StarAndQuestionMark).unwrap();
        assert_eq!(glob.matches(text), expected, "`{pattern}` on `{text}`");
    }

    #[test]
    fn a_pattern_is_anchored_at_both_ends_and_pieces_do_not_overlap() {
        for (pattern, text, expected) in [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("**", "한글/x", true),
            ("foo*", "foo", true),
            ("foo*", "xfoo", false),
            ("*foo", "xfoo", true),
            ("*foo*", "xfoox", true),
            ("f*o", "fo", true),
            ("f*o", "f", false),
            ("ab*ba", "aba", false),
            ("*ab*ab*", "abab", true),
            ("*ab*ab*", "aba", false),
            ("*101*d12*", "d12937a6101", false),
            ("?", "한", true),
            ("?", "", false),
            ("??", "한", false),
            ("*?", "", false),
            ("*?", "/", true),
            ("?*?", "a", false),
            ("?*?", "ab", true),
            ("*a?c*", "xabxabc", true),
            ("*a?c*", "xaabbc", false),
            ("kr-west?", "kr-west1", true),
            ("kr-west?", "kr-west10", false),
            ("*?b*", "bb", true),
            ("*?b*", "ba", false),
        ] {
            check(pattern, text, expected);
        }
        assert!(!Glob::new("f?o", Wildcards::Star).unwrap().matches("foo"));
        assert!(Glob::new("f?*", Wildcards::Star).unwrap().matches("f?o"));
    }

    #[test]
    fn stars_and_searched_shapes_are_bounded() {
        assert!(Glob::new(&"*a".repeat(STARS_MAX), Wildcards::Star).is_ok());
        assert_eq!(Glob::new(&"*a".repeat(STARS_MAX + 1), Wildcards::Star), Err(GlobError::Stars(STARS_MAX + 1)));
        let long = |chars: usize| format!("*{}?*", "a".repeat(chars));
        let glob = Glob::new(&long(SEARCHED_CHARS_MAX - 1), Wildcards::StarAndQuestionMark).unwrap();
        assert!(glob.matches(&"a".repeat(SEARCHED_CHARS_MAX)) && !glob.matches(&"a".repeat(SEARCHED_CHARS_MAX - 1)));
        let error = Glob::new(&long(SEARCHED_CHARS_MAX), Wildcards::StarAndQuestionMark);
        assert_eq!(error, Err(GlobError::Searched(SEARCHED_CHARS_MAX + 1)));
    }

    #[test]
    fn a_hostile_pattern_takes_linear_time() {
        let pattern = format!("{}b", "*a".repeat(STARS_MAX));
        check(&pattern, &"a".repeat(100_000), false);
    }

    /// The definition, word for word; exponential, so only for short texts.
    fn naive(pattern: &[char], text: &[char]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some(('*', rest)) => (0..=text.len()).any(|skipped| naive(rest, &text[skipped..])),
            Some(('?', rest)) => !text.is_empty() && naive(rest, &text[1..]),
            Some((wanted, rest)) => text.first() == Some(wanted) && naive(rest, &text[1..]),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]
        #[test]
        fn a_pattern_gives_its_steps_back(pattern in "[ab한*?]{0,9}") {
            let glob = Glob::new(&pattern, Wildcards::StarAndQuestionMark).unwrap();
            let symbols = glob.symbols().into_iter().map(|symbol| match symbol {
                Symbol::Char(character) => character,
                Symbol::One => '?',
                Symbol::Run => '*',
            });
            let mut once = pattern;
            while once.contains("**") {
                once = once.replace("**", "*");
            }
            prop_assert_eq!(symbols.collect::<String>().replace("**", "*"), once);
        }

        #[test]
        fn the_matcher_equals_the_definition(pattern in "[ab한*?]{0,9}", text in "[ab한]{0,10}") {
            let glob = Glob::new(&pattern, Wildcards::StarAndQuestionMark).unwrap();
            let (pattern, text_chars): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
            prop_assert_eq!(glob.matches(&text), naive(&pattern, &text_chars));
        }
    }
}
