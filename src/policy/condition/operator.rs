//! Condition operators and qualifiers: the closed list of the language (seed 003, L1802-1856, L2036).

use std::cmp::Ordering;

use crate::policy::catalogue::ValueType;

/// How values compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::policy) enum Order {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// How texts compare (R36).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::policy) enum TextForm {
    Exact,
    IgnoreCase,
    Like,
}

/// An operator. A negative one is true where its positive partner is not (R30, R32).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::policy) enum Operator {
    Text { form: TextForm, negative: bool },
    Number { order: Order, negative: bool },
    Date { order: Order, negative: bool },
    Bool,
    Address { negative: bool },
    Srn { negative: bool },
    Null,
}

/// How several values of the request combine (R31).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::policy) enum Qualifier {
    /// One value suffices; also without a qualifier.
    ForAnyValue,
    /// Every value; also when there is none.
    ForAllValues,
}

/// The qualifiers and their spelling; letter case counts (R41).
pub(in crate::policy) const QUALIFIERS: [(&str, Qualifier); 2] =
    [("ForAnyValue", Qualifier::ForAnyValue), ("ForAllValues", Qualifier::ForAllValues)];

const fn string(form: TextForm, negative: bool) -> Operator {
    Operator::Text { form, negative }
}
const fn number(order: Order, negative: bool) -> Operator {
    Operator::Number { order, negative }
}
const fn date(order: Order, negative: bool) -> Operator {
    Operator::Date { order, negative }
}

/// The operators and their spelling; letter case counts (R41).
pub(in crate::policy) const OPERATORS: [(&str, Operator); 26] = [
    ("StringEquals", string(TextForm::Exact, false)),
    ("StringNotEquals", string(TextForm::Exact, true)),
    ("StringEqualsIsIgnoreCase", string(TextForm::IgnoreCase, false)),
    ("StringNotEqualsIsIgnoreCase", string(TextForm::IgnoreCase, true)),
    ("StringLike", string(TextForm::Like, false)),
    ("StringNotLike", string(TextForm::Like, true)),
    ("NumericEquals", number(Order::Equal, false)),
    ("NumericNotEquals", number(Order::Equal, true)),
    ("NumericLessThan", number(Order::Less, false)),
    ("NumericLessThanEquals", number(Order::LessOrEqual, false)),
    ("NumericGreaterThan", number(Order::Greater, false)),
    ("NumericGreaterThanEquals", number(Order::GreaterOrEqual, false)),
    ("DateEquals", date(Order::Equal, false)),
    ("DateNotEquals", date(Order::Equal, true)),
    ("DateLessThan", date(Order::Less, false)),
    ("DateLessThanEquals", date(Order::LessOrEqual, false)),
    ("DateGreaterThan", date(Order::Greater, false)),
    ("DateGreaterThanEquals", date(Order::GreaterOrEqual, false)),
    ("Bool", Operator::Bool),
    ("IpAddress", Operator::Address { negative: false }),
    ("NotIpAddress", Operator::Address { negative: true }),
    ("SrnEquals", Operator::Srn { negative: false }),
    ("SrnLike", Operator::Srn { negative: false }),
    ("SrnNotEquals", Operator::Srn { negative: true }),
    ("SrnNotLike", Operator::Srn { negative: true }),
    ("Null", Operator::Null),
];

impl Order {
    /// Whether a value found stands so to a value wanted.
    pub(in crate::policy) fn holds(self, found: Ordering) -> bool {
        match self {
            Self::Equal => found.is_eq(),
            Self::Less => found.is_lt(),
            Self::LessOrEqual => found.is_le(),
            Self::Greater => found.is_gt(),
            Self::GreaterOrEqual => found.is_ge(),
        }
    }
}

impl Operator {
    /// The type of the keys that it tests; `None` for any.
    pub(in crate::policy) const fn key_type(self) -> Option<ValueType> {
        match self {
            Self::Text { .. } => Some(ValueType::Text),
            Self::Number { .. } => Some(ValueType::Number),
            Self::Date { .. } => Some(ValueType::Date),
            Self::Bool => Some(ValueType::Bool),
            Self::Address { .. } => Some(ValueType::Address),
            Self::Srn { .. } => Some(ValueType::Srn),
            Self::Null => None,
        }
    }
}
