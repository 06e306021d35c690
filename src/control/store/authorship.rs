//! Who made a thing and who changed it last: the columns that most tables have, with the people's names.

use super::StoreError;
use super::value::{Row, Value};
use crate::types::Timestamp;

/// One of the two hands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hand {
    /// When.
    pub(crate) at: Timestamp,
    /// The user's id, or `system`.
    pub(crate) by: String,
    /// The user's name; `None` for `system`, and when the user is gone.
    pub(crate) name: Option<String>,
    /// The user's mail address.
    pub(crate) email: Option<String>,
}

/// Who made a thing and who changed it last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Authorship {
    /// Who made it.
    pub(crate) created: Hand,
    /// Who changed it last.
    pub(crate) modified: Hand,
}

impl Authorship {
    /// Reads eight columns: `t.created_at, t.created_by, creator.user_name, creator.email`, then the same of the modifier.
    pub(crate) fn read(row: &mut Row) -> Result<Self, StoreError> {
        let mut hand =
            || Ok::<_, StoreError>(Hand { at: row.time()?, by: row.text()?, name: row.optional_text()?, email: row.optional_text()? });
        Ok(Self { created: hand()?, modified: hand()? })
    }
}

/// Who writes now: for `created_at, created_by` and `modified_at, modified_by`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stamp<'a> {
    /// When.
    pub(crate) at: Timestamp,
    /// The user's id, or `system`.
    pub(crate) by: &'a str,
}

impl Stamp<'_> {
    /// The two values.
    pub(crate) fn values(self) -> [Value; 2] {
        [self.at.into(), self.by.into()]
    }
}
