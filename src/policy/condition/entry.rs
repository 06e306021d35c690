//! Compiled condition entries and when they hold (the table of section 1.6: R30-R44).

use std::net::IpAddr;

use super::key::{GlobalKey, Key};
use super::operator::{Order, Qualifier};
use super::srn::SrnPattern;
use super::value::{Decimal, boolean, folded, instant, instant_of};
use crate::policy::document::Effect;
use crate::policy::glob::Glob;
use crate::policy::judge::Truth;
use crate::policy::request::{Context, Known, Resource, Scalar};
use crate::types::NetworkSet;

/// One key under one operator. Entries of a statement combine with AND (R30).
#[derive(Debug, Clone)]
pub(in crate::policy) struct Entry {
    pub(in crate::policy) qualifier: Qualifier,
    pub(in crate::policy) key: Key,
    pub(in crate::policy) test: Test,
    /// For explanations: the operator as written, and its values.
    pub(in crate::policy) operator: Box<str>,
    pub(in crate::policy) values: Box<str>,
}

/// A test of values. Those of the policy combine with OR, under a negative operator with NOR; they are sorted, each once, so that
/// equal tests are equal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::policy) enum Test {
    Text { negative: bool, wanted: Texts },
    Number { negative: bool, order: Order, wanted: Box<[Decimal<Box<str>>]> },
    Date { negative: bool, order: Order, wanted: Box<[i128]> },
    Address { negative: bool, wanted: NetworkSet },
    Bool { wanted: Bools },
    Srn { negative: bool, wanted: Box<[SrnPattern]> },
    Null { wanted: Bools },
}

/// What texts are compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::policy) enum Texts {
    Exact(Box<[Box<str>]>),
    /// Folded already.
    IgnoreCase(Box<[Box<str>]>),
    Like(Box<[Glob]>),
}

/// A set of booleans.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::policy) struct Bools {
    pub(in crate::policy) yes: bool,
    pub(in crate::policy) no: bool,
}

impl Entry {
    /// Whether it holds, for a statement of this effect and a principal of this account. A key of a resource is read from `resource`;
    /// without one it is absent.
    pub(in crate::policy) fn judge(&self, effect: Effect, context: &Context<'_>, account: &str, resource: Option<&Resource<'_>>) -> Truth {
        if self.key.is_undefined() {
            // SECURITY: R43, both ways without adding access: the Allow never applies, the Deny does without this entry.
            return Truth::unless_known(effect);
        }
        let mut tally = Tally::default();
        let negative = self.test.is_negative();
        let known = self.key.read(context, resource, |value| match self.test.hits(value, account) {
            Some(hit) => tally.count(hit != negative),
            None => tally.unreadable = true,
        });
        match known {
            Known::Unavailable => Truth::Unavailable,
            Known::NotFetched => Truth::Undecided,
            // SECURITY: R44, the same for a value that is there but cannot be compared.
            Known::Known if tally.unreadable => Truth::unless_known(effect),
            Known::Known => Truth::known(match &self.test {
                Test::Null { wanted } => wanted.contain(!tally.any_value),
                Test::Text { .. }
                | Test::Number { .. }
                | Test::Date { .. }
                | Test::Address { .. }
                | Test::Bool { .. }
                | Test::Srn { .. } => tally.holds(self.qualifier, negative),
            }),
        }
    }

    /// Whether a value is surely one of those that it compares with, whatever its sign.
    pub(in crate::policy) fn hits(&self, value: Scalar<'_>, principal_account: &str) -> bool {
        self.test.hits(value, principal_account) == Some(true)
    }

    /// Whether another entry holds in exactly the same contexts, as far as can be seen.
    pub(in crate::policy) fn is_same(&self, other: &Self) -> bool {
        self.qualifier == other.qualifier && self.key == other.key && self.test == other.test
    }

    /// Whether it tests if anything is there.
    pub(in crate::policy) const fn is_null_test(&self) -> bool {
        matches!(self.test, Test::Null { .. })
    }

    /// Whether it holds when the key is absent (R32, R34).
    pub(in crate::policy) fn holds_without_value(&self) -> bool {
        if let Test::Null { wanted } = &self.test {
            return wanted.contain(true);
        }
        Tally::default().holds(self.qualifier, self.test.is_negative())
    }

    /// Whether it tests who the principal is, and not what the request is like.
    pub(in crate::policy) const fn is_personal(&self) -> bool {
        matches!(self.key, Key::Global(GlobalKey::UserId | GlobalKey::UserName))
    }
}

impl Test {
    /// Whether it is true where its positive partner is not (R30, R32).
    pub(in crate::policy) const fn is_negative(&self) -> bool {
        match self {
            Self::Text { negative, .. }
            | Self::Number { negative, .. }
            | Self::Date { negative, .. }
            | Self::Address { negative, .. }
            | Self::Srn { negative, .. } => *negative,
            Self::Bool { .. } | Self::Null { .. } => false,
        }
    }

    /// Whether a value is one of those wanted; `None` when it cannot be compared with them.
    pub(in crate::policy) fn hits(&self, value: Scalar<'_>, principal_account: &str) -> Option<bool> {
        match (self, value) {
            // Whether anything is there is all that counts.
            (Self::Null { .. }, _) => Some(true),
            (Self::Text { wanted, .. }, Scalar::Text(text)) => Some(wanted.contain(text)),
            (Self::Text { wanted, .. }, Scalar::Bool(value)) => Some(wanted.contain(if value { "true" } else { "false" })),
            (Self::Number { order, wanted, .. }, Scalar::Text(text)) => {
                let found = Decimal::parse(text)?;
                Some(wanted.iter().any(|wanted| order.holds(found.cmp(&wanted.borrow()))))
            }
            (Self::Date { order, wanted, .. }, Scalar::Text(text)) => Some(order.any(instant(text)?, wanted)),
            (Self::Date { order, wanted, .. }, Scalar::Time(time)) => Some(order.any(instant_of(time), wanted)),
            (Self::Address { wanted, .. }, Scalar::Address(address)) => Some(wanted.contains(address)),
            (Self::Address { wanted, .. }, Scalar::Text(text)) => text.parse::<IpAddr>().ok().map(|address| wanted.contains(address)),
            (Self::Bool { wanted }, Scalar::Bool(value)) => Some(wanted.contain(value)),
            (Self::Bool { wanted }, Scalar::Text(text)) => boolean(text).map(|value| wanted.contain(value)),
            (Self::Srn { wanted, .. }, Scalar::Text(text)) => SrnPattern::any(wanted, text, principal_account),
            (
                Self::Text { .. } | Self::Number { .. } | Self::Date { .. } | Self::Address { .. } | Self::Bool { .. } | Self::Srn { .. },
                Scalar::Bool(_) | Scalar::Address(_) | Scalar::Time(_) | Scalar::Other,
            ) => None,
        }
    }
}

impl Texts {
    pub(in crate::policy) fn contain(&self, value: &str) -> bool {
        match self {
            Self::Exact(wanted) => wanted.iter().any(|wanted| **wanted == *value),
            Self::IgnoreCase(wanted) => wanted.iter().any(|wanted| folded(value).eq(wanted.chars())),
            Self::Like(wanted) => wanted.iter().any(|wanted| wanted.matches(value)),
        }
    }
}

impl Bools {
    pub(in crate::policy) const fn contain(self, value: bool) -> bool {
        if value { self.yes } else { self.no }
    }
}

impl Order {
    fn any(self, found: i128, wanted: &[i128]) -> bool {
        wanted.iter().any(|wanted| self.holds(found.cmp(wanted)))
    }
}

/// What became of the values that the request has.
#[derive(Default)]
struct Tally {
    any_value: bool,
    any_holds: bool,
    any_fails: bool,
    unreadable: bool,
}

impl Tally {
    const fn count(&mut self, holds: bool) {
        self.any_value = true;
        self.any_holds |= holds;
        self.any_fails |= !holds;
    }

    /// The formal meaning of one entry. Without a value, a positive operator is false and a negative one true (R32); `ForAllValues`
    /// is true.
    const fn holds(&self, qualifier: Qualifier, negative: bool) -> bool {
        match qualifier {
            Qualifier::ForAllValues => !self.any_fails,
            Qualifier::ForAnyValue if self.any_value => self.any_holds,
            Qualifier::ForAnyValue => negative,
        }
    }
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
            let mut tally = Tally::default();
            values.iter().for_each(|value| tally.count([1, 2, 3].contains(value) != negative));
            assert_eq!(tally.holds(qualifier, negative), expected, "{qualifier:?} negative={negative} {values:?}");
        }
    }
}
