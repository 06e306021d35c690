//! What goes into a statement and what comes out of a row: texts, whole numbers, nothing else.

use std::str::FromStr;

use super::StoreError;
use crate::types::{AccessKeyId, AccountId, GroupId, PolicyId, RoleId, Timestamp, TokenId, TokenKeyId, UserId};

/// A value of a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    /// A text.
    Text(String),
    /// A whole number; also a boolean (0, 1) and a time (milliseconds).
    Integer(i64),
    /// Nothing.
    Null,
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&String> for Value {
    fn from(text: &String) -> Self {
        Self::Text(text.clone())
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl From<u64> for Value {
    /// Counts and revisions; what does not fit (after 2^63 writes) is the largest number.
    fn from(number: u64) -> Self {
        Self::Integer(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Integer(i64::from(value))
    }
}

impl From<Timestamp> for Value {
    fn from(time: Timestamp) -> Self {
        Self::Integer(time.milliseconds())
    }
}

impl<T: Into<Self>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

macro_rules! from_id {
    ($($id:ty),*) => {
        $(impl From<$id> for Value {
            fn from(id: $id) -> Self {
                Self::Text(id.to_string())
            }
        })*
    };
}

from_id!(AccessKeyId, AccountId, GroupId, PolicyId, RoleId, TokenId, TokenKeyId, UserId);

/// A row, whose columns are taken one after the other, in the order of the `SELECT`.
#[derive(Debug)]
pub(crate) struct Row(std::vec::IntoIter<Value>);

impl Row {
    pub(super) fn new(values: Vec<Value>) -> Self {
        Self(values.into_iter())
    }

    /// The next column: a text or nothing.
    pub(crate) fn optional_text(&mut self) -> Result<Option<String>, StoreError> {
        match self.0.next() {
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(Value::Null) => Ok(None),
            Some(Value::Integer(_)) | None => Err(StoreError::Column("a text")),
        }
    }

    /// The next column: a text.
    pub(crate) fn text(&mut self) -> Result<String, StoreError> {
        self.optional_text()?.ok_or(StoreError::Column("a text"))
    }

    /// The next column: a text that parses, such as an id.
    pub(crate) fn parsed<T: FromStr>(&mut self) -> Result<T, StoreError> {
        self.text()?.parse().map_err(|_| StoreError::Column(std::any::type_name::<T>()))
    }

    /// The next column: a whole number or nothing.
    pub(crate) fn optional_integer(&mut self) -> Result<Option<i64>, StoreError> {
        match self.0.next() {
            Some(Value::Integer(number)) => Ok(Some(number)),
            Some(Value::Null) => Ok(None),
            Some(Value::Text(_)) | None => Err(StoreError::Column("a whole number")),
        }
    }

    /// The next column: a whole number.
    pub(crate) fn integer(&mut self) -> Result<i64, StoreError> {
        self.optional_integer()?.ok_or(StoreError::Column("a whole number"))
    }

    /// The next column: a count or a revision.
    pub(crate) fn count(&mut self) -> Result<u64, StoreError> {
        u64::try_from(self.integer()?).map_err(|_| StoreError::Column("a count"))
    }

    /// The next column: 0 or 1.
    pub(crate) fn boolean(&mut self) -> Result<bool, StoreError> {
        match self.integer()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(StoreError::Column("a boolean")),
        }
    }

    /// The next column: a time.
    pub(crate) fn time(&mut self) -> Result<Timestamp, StoreError> {
        self.integer().map(Timestamp::from_milliseconds)
    }

    /// The next column: a time or nothing.
    pub(crate) fn optional_time(&mut self) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.optional_integer()?.map(Timestamp::from_milliseconds))
    }
}
