//! Compiled condition entries and when they hold (the table of section 1.6: R30-R39).

use std::net::IpAddr;

use crate::types::{NetworkSet, Timestamp};

use super::evaluate::Context;
use super::glob::Glob;
use super::key::{Key, TextKey};
use super::operator::{Order, Qualifier};
use super::value::folded;

/// One key under one operator. Entries of a statement combine with AND (R30).
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) qualifier: Qualifier,
    pub(super) test: Test,
    /// For explanations: the operator as written, and its values.
    pub(super) operator: Box<str>,
    pub(super) values: Box<str>,
}

/// A test of one key. The values of the policy combine with OR, under a negative operator with NOR; they are sorted, each once,
/// so that equal tests are equal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Test {
    Text { key: TextKey, negative: bool, wanted: Texts },
    Date { negative: bool, order: Order, wanted: Box<[i128]> },
    Address { negative: bool, wanted: NetworkSet },
    Bool { wanted: Bools },
    Null { key: Key, wanted: Bools },
}

/// What texts are compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Texts {
    Exact(Box<[Box<str>]>),
    /// Folded already.
    IgnoreCase(Box<[Box<str>]>),
    Like(Box<[Glob]>),
}

/// A set of booleans.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bools {
    pub(super) yes: bool,
    pub(super) no: bool,
}

impl Entry {
    /// Whether it holds in this context.
    pub(super) fn holds(&self, context: &Context<'_>) -> bool {
        match &self.test {
            Test::Text { key, negative, wanted } => {
                quantified(self.qualifier, *negative, key.value(context), |value| wanted.contain(value))
            }
            Test::Date { negative, order, wanted } => quantified(self.qualifier, *negative, Some(nanoseconds(context.now)), |now| {
                wanted.iter().any(|wanted| order.holds(now, *wanted))
            }),
            Test::Address { negative, wanted } => {
                quantified(self.qualifier, *negative, context.source_ip, |address: IpAddr| wanted.contains(address))
            }
            Test::Bool { wanted } => quantified(self.qualifier, false, context.mfa, |value| wanted.contain(value)),
            Test::Null { key, wanted } => wanted.contain(!key.is_present(context)),
        }
    }

    /// Whether another entry holds in exactly the same contexts, as far as can be seen.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.qualifier == other.qualifier && self.test == other.test
    }

    /// Whether it tests who the principal is, and not what the request is like.
    pub(super) const fn is_personal(&self) -> bool {
        match self.key() {
            Key::Text(TextKey::UserId | TextKey::UserName) => true,
            Key::Text(TextKey::RequestedRegion | TextKey::AuthenticationType)
            | Key::MultiFactorAuthPresent
            | Key::SourceIp
            | Key::CurrentTime => false,
        }
    }

    /// The key it tests.
    pub(super) const fn key(&self) -> Key {
        match &self.test {
            Test::Text { key, .. } => Key::Text(*key),
            Test::Date { .. } => Key::CurrentTime,
            Test::Address { .. } => Key::SourceIp,
            Test::Bool { .. } => Key::MultiFactorAuthPresent,
            Test::Null { key, .. } => *key,
        }
    }
}

impl Texts {
    fn contain(&self, value: &str) -> bool {
        match self {
            Self::Exact(wanted) => wanted.iter().any(|wanted| **wanted == *value),
            Self::IgnoreCase(wanted) => wanted.iter().any(|wanted| folded(value).eq(wanted.chars())),
            Self::Like(wanted) => wanted.iter().any(|wanted| wanted.matches(value)),
        }
    }
}

impl Bools {
    fn contain(self, value: bool) -> bool {
        if value { self.yes } else { self.no }
    }
}

impl Order {
    fn holds(self, found: i128, wanted: i128) -> bool {
        match self {
            Self::Equal => found == wanted,
            Self::Less => found < wanted,
            Self::LessOrEqual => found <= wanted,
            Self::Greater => found > wanted,
            Self::GreaterOrEqual => found >= wanted,
        }
    }
}

/// The formal meaning of one entry over the values that the request has. Without a value, a positive operator is false and a
/// negative one true (R32); `ForAllValues` is true.
fn quantified<T>(qualifier: Qualifier, negative: bool, values: impl IntoIterator<Item = T>, hit: impl Fn(T) -> bool) -> bool {
    let mut values = values.into_iter().map(|value| hit(value) != negative).peekable();
    match qualifier {
        Qualifier::ForAllValues => values.all(|holds| holds),
        Qualifier::ForAnyValue if values.peek().is_none() => negative,
        Qualifier::ForAnyValue => values.any(|holds| holds),
    }
}

fn nanoseconds(time: Timestamp) -> i128 {
    i128::from(time.milliseconds()) * 1_000_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_qualifiers_and_signs_holds_for_none_one_and_many_values() {
        use Qualifier::{ForAllValues, ForAnyValue};
        for (qualifier, negative, values, expected) in [
            (ForAnyValue, false, &[][..], false),
            (ForAnyValue, true, &[], true),
            (ForAllValues, false, &[], true),
            (ForAllValues, true, &[], true),
            (ForAnyValue, false, &[1], true),
            (ForAnyValue, false, &[9], false),
            (ForAnyValue, true, &[1], false),
            (ForAnyValue, true, &[9], true),
            (ForAnyValue, false, &[9, 1], true),
            (ForAnyValue, true, &[9, 1], true),
            (ForAnyValue, true, &[2, 1], false),
            (ForAllValues, false, &[2, 1], true),
            (ForAllValues, false, &[9, 1], false),
            (ForAllValues, true, &[9, 1], false),
            (ForAllValues, true, &[9, 8], true),
        ] {
            let wanted = [1, 2, 3];
            let found = quantified(qualifier, negative, values, |value| wanted.contains(value));
            assert_eq!(found, expected, "{qualifier:?} negative={negative} {values:?}");
        }
    }
}
