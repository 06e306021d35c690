//! Conditions that no value of a key fulfils.
//!
//! A key of the request has a set of values, and each entry asks something of all of them (`ForAllValues`), of one of them, or of there
//! being none. That they ask for what cannot be is decided per key, from the values that each admits.

use std::cmp::Ordering;

use super::reach::type_name;
use super::{Lint, Part, Standing, Subject};
use crate::policy::condition::{Bools, Decimal, Entry, GlobalKey, Key, Order, Qualifier, Test, Texts};
use crate::policy::glob::{Glob, Symbol};
use crate::policy::inclusion::{self, Work};
use crate::policy::reader::shown;
use crate::policy::resource::acted_on;
use crate::source::Cursor;
use crate::types::NetworkSet;

/// The trap: a condition that contradicts itself, such as two `StringEquals` on one key without a common value, or a test of an
/// attribute that no resource of the statement's actions has. It reads like a restriction, and switches the statement off.
///
/// Under Deny this is certain only of values that are always there to be read: a Deny applies while a value cannot be found out (R44).
/// Of other values it says just that. Whether the statement never applies.
pub(super) fn never_holds(subject: &Subject<'_>, part: &Part<'_>) -> bool {
    let entries: Vec<&Entry> = part.statement.all_entries().collect();
    // R43: such an Allow allows nothing, which has been said where the key stands.
    let mut never = !part.is_deny() && entries.iter().any(|entry| entry.key.is_undefined());
    let mut seen: Vec<&Key> = Vec::new();
    for entry in &entries {
        if entry.key.is_undefined() || seen.contains(&&entry.key) {
            continue;
        }
        seen.push(&entry.key);
        let key = Asked::of(subject, part, &entry.key);
        if part.is_deny() && key.when_unknown == Unknown::Unclear {
            continue;
        }
        let of_key: Vec<&Entry> = entries.iter().filter(|other| other.key == entry.key).copied().collect();
        let Some(culprits) = key.culprits(&of_key, &subject.work) else { continue };
        never |= report(subject, part, &key, &culprits);
    }
    never
}

/// Reports it; whether the statement never applies.
fn report(subject: &Subject<'_>, part: &Part<'_>, key: &Asked<'_>, culprits: &[&Entry]) -> bool {
    const HINT: &str = "correct the condition, or remove the statement";
    let Some(last) = culprits.last() else { return false };
    let name = shown(&key.key.to_string());
    let operators: Vec<String> = culprits.iter().map(|entry| format!("`{}`", shown(&entry.operator))).collect();
    let asked = match operators.as_slice() {
        [one] => format!("{one} on `{name}` is never true"),
        [one, two] => format!("{one} and {two} on `{name}` are never both true"),
        several => format!("{} on `{name}` are never all true", several.join(", ")),
    };
    let why = match (&key.key, key.presence) {
        (Key::Attribute(attribute), Presence::Never) => {
            format!("{asked}: no action of the statement acts on a `{}`", type_name(subject, attribute.kind))
        }
        (_, Presence::Never) => format!("{asked}: no action of the statement has a resource"),
        (_, Presence::Always | Presence::Sometimes) => asked,
    };
    let at = place(part, subject, last).unwrap_or_else(|| part.at.clone());
    if part.is_deny() && key.when_unknown == Unknown::Applies {
        let message = format!("this statement denies only while `{name}` cannot be found out: {why}");
        subject.trap(Lint::Contradiction, part, &at, &message, HINT);
        return false;
    }
    subject.trap(Lint::NeverApplies, part, &at, &format!("this statement {} nothing: {why}", part.verb()), HINT);
    true
}

/// Where an entry stands.
pub(super) fn place<'a>(part: &Part<'a>, subject: &Subject<'_>, entry: &Entry) -> Option<Cursor<'a>> {
    let is =
        |operator: &str, key: &str| *entry.operator == *operator && Key::parse(key, subject.catalogue).is_ok_and(|key| key == entry.key);
    part.conditions().into_iter().find(|(operator, key, _)| is(operator, key)).map(|(.., values)| values)
}

/// Whether a key has a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Presence {
    Always,
    Sometimes,
    Never,
}

/// What a Deny makes of values that cannot be found out, or compared (R44).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unknown {
    /// There are none.
    No,
    /// It applies.
    Applies,
    /// Its entries may be about several resources.
    Unclear,
}

/// A key of a statement's condition.
struct Asked<'k> {
    key: &'k Key,
    /// It never has more than one value.
    single: bool,
    presence: Presence,
    when_unknown: Unknown,
}

impl<'k> Asked<'k> {
    fn of(subject: &Subject<'_>, part: &Part<'_>, key: &'k Key) -> Self {
        use GlobalKey::{AuthenticationType, CurrentTime, MultiFactorAuthPresent, RequestedRegion, SourceIp, TagKeys, UserId, UserName};
        let (single, presence, when_unknown) = match key {
            Key::Global(AuthenticationType | CurrentTime) => (true, Presence::Always, Unknown::No),
            Key::Global(UserId | UserName | MultiFactorAuthPresent | RequestedRegion) => (true, Presence::Sometimes, Unknown::No),
            Key::Global(SourceIp) => (true, Presence::Always, Unknown::Applies),
            Key::Global(TagKeys) | Key::RequestTag(_) | Key::RequestAttribute(_) => (false, Presence::Sometimes, Unknown::Applies),
            Key::ResourceTag(_) | Key::Attribute(_) if !has_resource_of(subject, part, key) => (false, Presence::Never, Unknown::No),
            Key::ResourceTag(_) => (false, Presence::Sometimes, Unknown::Applies),
            Key::Attribute(_) | Key::Undefined(_) => (false, Presence::Sometimes, Unknown::Unclear),
        };
        Self { key, single, presence, when_unknown }
    }

    /// One, two or all of the entries that cannot hold together.
    fn culprits<'e>(&self, entries: &[&'e Entry], work: &Work) -> Option<Vec<&'e Entry>> {
        if let Some(one) = entries.iter().find(|entry| !self.can_hold(&[**entry], work)) {
            return Some(vec![*one]);
        }
        for (place, one) in entries.iter().enumerate() {
            if let Some(two) = entries.iter().skip(place + 1).find(|two| !self.can_hold(&[*one, **two], work)) {
                return Some(vec![*one, *two]);
            }
        }
        (entries.len() > 2 && !self.can_hold(entries, work)).then(|| entries.to_vec())
    }

    /// Whether entries of this key may all hold; a no is sure.
    fn can_hold(&self, entries: &[&Entry], work: &Work) -> bool {
        let absent = self.presence != Presence::Always && entries.iter().all(|entry| entry.holds_without_value());
        absent || self.presence != Presence::Never && self.can_hold_with_values(entries, work)
    }

    fn can_hold_with_values(&self, entries: &[&Entry], work: &Work) -> bool {
        let refuses_values = |entry: &&Entry| matches!(&entry.test, Test::Null { wanted } if !wanted.contain(false));
        if entries.iter().any(refuses_values) {
            return false;
        }
        let tests = entries.iter().filter(|entry| !matches!(entry.test, Test::Null { .. }));
        let (of_all, of_one): (Vec<&Entry>, Vec<&Entry>) = tests.copied().partition(|entry| entry.qualifier == Qualifier::ForAllValues);
        let admit = |of_one: &[&Entry]| {
            let tests: Vec<&Test> = of_all.iter().chain(of_one).map(|entry| &entry.test).collect();
            !surely_admit_nothing(&tests, work)
        };
        if self.single || of_one.is_empty() { admit(&of_one) } else { of_one.iter().all(|one| admit(&[*one])) }
    }
}

/// Whether a request for some action of the statement may have a resource that the key is of.
fn has_resource_of(subject: &Subject<'_>, part: &Part<'_>, key: &Key) -> bool {
    let types = match subject.standing {
        Standing::Identity(_) => acted_on(subject.catalogue, &part.statement.actions),
        Standing::Resource(attachment) => {
            return !matches!(key, Key::Attribute(attribute) if attribute.kind != attachment.kind());
        }
        Standing::Trust(_) => return true,
    };
    match key {
        Key::Attribute(attribute) => types.contains(attribute.kind.index()),
        Key::ResourceTag(_) | Key::Global(_) | Key::RequestTag(_) | Key::RequestAttribute(_) | Key::Undefined(_) => !types.is_empty(),
    }
}

/// Whether surely no value passes all tests. All are of one key, and so of one type.
fn surely_admit_nothing(tests: &[&Test], work: &Work) -> bool {
    let all = |wanted: &dyn Fn(&Test) -> bool| !tests.is_empty() && tests.iter().all(|test| wanted(test));
    if all(&|test| matches!(test, Test::Text { .. })) {
        return no_text(tests, work);
    }
    if all(&|test| matches!(test, Test::Bool { .. })) {
        let passes = |value| tests.iter().all(|test| matches!(test, Test::Bool { wanted } if Bools::contain(*wanted, value)));
        return !passes(true) && !passes(false);
    }
    if all(&|test| matches!(test, Test::Address { .. })) {
        return no_address(tests);
    }
    if let Some(bounds) = tests.iter().map(|test| number(test)).collect::<Option<Vec<_>>>() {
        return no_ordered(&bounds);
    }
    tests.iter().map(|test| date(test)).collect::<Option<Vec<_>>>().is_some_and(|bounds| no_ordered(&bounds))
}

fn number(test: &Test) -> Option<Bound<'_, Decimal<Box<str>>>> {
    let Test::Number { negative, order, wanted } = test else { return None };
    Some(Bound { negative: *negative, order: *order, wanted: wanted.iter().collect() })
}

fn date(test: &Test) -> Option<Bound<'_, i128>> {
    let Test::Date { negative, order, wanted } = test else { return None };
    Some(Bound { negative: *negative, order: *order, wanted: wanted.iter().collect() })
}

fn no_address(tests: &[&Test]) -> bool {
    let left = tests.iter().fold(NetworkSet::everything(), |left, test| match test {
        Test::Address { negative: false, wanted } => left.intersection(wanted),
        Test::Address { negative: true, wanted } => left.without(wanted),
        Test::Text { .. } | Test::Number { .. } | Test::Date { .. } | Test::Bool { .. } | Test::Srn { .. } | Test::Null { .. } => left,
    });
    left.is_empty()
}

/// A test of numbers or times.
struct Bound<'t, T> {
    negative: bool,
    order: Order,
    wanted: Vec<&'t T>,
}

impl<T: Ord> Bound<'_, T> {
    fn passes(&self, value: &T) -> bool {
        self.wanted.iter().any(|wanted| self.order.holds(value.cmp(wanted))) != self.negative
    }
}

/// Whether no number passes. What is not listed one by one lies dense between its bounds.
fn no_ordered<T: Ord>(tests: &[Bound<'_, T>]) -> bool {
    let passes = |value: &T| tests.iter().all(|test| test.passes(value));
    if let Some(listed) = tests.iter().find(|test| test.order == Order::Equal && !test.negative) {
        return !listed.wanted.iter().any(|value| passes(value));
    }
    // The outermost value of each test is what binds: its values combine with OR.
    let ends = |orders: [Order; 2], outermost: fn(&[&'_ T]) -> Option<usize>| {
        let bound = tests.iter().filter(move |test| orders.contains(&test.order));
        bound.filter_map(move |test| outermost(&test.wanted).and_then(|place| test.wanted.get(place)).copied()).collect::<Vec<_>>()
    };
    let smallest = |values: &[&T]| values.iter().enumerate().min_by(|(_, one), (_, two)| one.cmp(two)).map(|(place, _)| place);
    let largest = |values: &[&T]| values.iter().enumerate().max_by(|(_, one), (_, two)| one.cmp(two)).map(|(place, _)| place);
    let lower = ends([Order::Greater, Order::GreaterOrEqual], smallest).into_iter().max();
    let upper = ends([Order::Less, Order::LessOrEqual], largest).into_iter().min();
    lower.zip(upper).is_some_and(|(lower, upper)| match lower.cmp(upper) {
        Ordering::Less => false,
        Ordering::Equal => !passes(lower),
        Ordering::Greater => true,
    })
}

/// Whether surely no text passes.
fn no_text(tests: &[&Test], work: &Work) -> bool {
    let of = |sign: bool| {
        tests.iter().filter_map(move |test| match test {
            Test::Text { negative, wanted } if *negative == sign => Some(wanted),
            Test::Text { .. }
            | Test::Number { .. }
            | Test::Date { .. }
            | Test::Address { .. }
            | Test::Bool { .. }
            | Test::Srn { .. }
            | Test::Null { .. } => None,
        })
    };
    let (positive, negative): (Vec<&Texts>, Vec<&Texts>) = (of(false).collect(), of(true).collect());
    if negative.iter().any(|texts| matches!(texts, Texts::Like(globs) if globs.iter().any(|glob| *glob == Glob::anything()))) {
        return true;
    }
    if let Some(listed) = positive.iter().find_map(|texts| literals(texts)) {
        let passes = |text: &String| positive.iter().all(|texts| texts.contain(text)) && !negative.iter().any(|texts| texts.contain(text));
        let compared: usize = positive.iter().chain(&negative).map(|texts| size(texts)).sum();
        return work.spend(listed.len().saturating_mul(compared)) && !listed.iter().any(passes);
    }
    let folded = |texts: &&&Texts| matches!(texts, Texts::IgnoreCase(_));
    if let Some(Texts::IgnoreCase(listed)) = positive.iter().find(folded) {
        let contain =
            |texts: &&&Texts, text: &str| matches!(texts, Texts::IgnoreCase(wanted) if wanted.iter().any(|other| **other == *text));
        let passes = |text: &str| {
            positive.iter().filter(folded).all(|texts| contain(&texts, text)) && !negative.iter().any(|texts| contain(&texts, text))
        };
        return !listed.iter().any(|text| passes(text));
    }
    no_pattern(&positive, &negative, work)
}

/// The same for patterns: two lists whose patterns all exclude each other, or one that another excludes whole.
fn no_pattern(positive: &[&Texts], negative: &[&Texts], work: &Work) -> bool {
    let globs = |texts: &&Texts| match texts {
        Texts::Like(globs) => Some(globs.iter().map(Glob::symbols).collect::<Vec<_>>()),
        Texts::Exact(_) | Texts::IgnoreCase(_) => None,
    };
    let positive: Vec<Vec<Vec<Symbol>>> = positive.iter().filter_map(globs).collect();
    let excluded: Vec<Vec<Symbol>> = negative.iter().filter_map(globs).flatten().collect();
    let apart =
        |one: &[Vec<Symbol>], two: &[Vec<Symbol>]| one.iter().all(|left| two.iter().all(|right| inclusion::avoids(left, right, work)));
    positive.iter().enumerate().any(|(place, one)| {
        let excluded_whole = one.iter().all(|glob| excluded.iter().any(|outer| inclusion::includes(outer, glob, work)));
        excluded_whole || positive.iter().skip(place + 1).any(|two| apart(one, two))
    })
}

fn size(texts: &Texts) -> usize {
    match texts {
        Texts::Exact(list) | Texts::IgnoreCase(list) => list.len(),
        Texts::Like(globs) => globs.len(),
    }
}

/// The texts of a list, if it has them one by one.
fn literals(texts: &Texts) -> Option<Vec<String>> {
    match texts {
        Texts::Exact(list) => Some(list.iter().map(|text| text.to_string()).collect()),
        Texts::IgnoreCase(_) => None,
        Texts::Like(globs) => globs.iter().map(literal).collect(),
    }
}

fn literal(glob: &Glob) -> Option<String> {
    let character = |symbol: Symbol| match symbol {
        Symbol::Char(character) => Some(character),
        Symbol::One | Symbol::Run => None,
    };
    glob.symbols().into_iter().map(character).collect()
}
