//! How a secret is written in a file: sealed, or as the name of another file. Never in clear.

use super::decode::Cursor;
use super::tree::Value;

/// What to write where a secret belongs.
pub const SECRET_HINT: &str =
    "write `{file: NAME}` or `{sealed: TEXT}` (`portcullis seal` writes the text); a secret never stands in clear";

/// A secret that is not in clear.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretRef {
    /// Text that `portcullis seal` wrote.
    Sealed(String),
    /// A file whose content, without white space at its end, is the secret.
    File(String),
}

impl SecretRef {
    /// Reads `{file: ...}` or `{sealed: ...}`; no diagnostic shows the line, which may hold the secret itself.
    #[must_use]
    pub fn decode(cursor: &Cursor<'_>) -> Option<Self> {
        if let Value::Map(_) = cursor.node().value {
            let table = cursor.table()?;
            let sealed = table.optional("sealed", |value| value.string());
            let file = table.optional("file", |value| value.string());
            table.finish()?;
            match (sealed?, file?) {
                (Some(text), None) => return Some(Self::Sealed(text)),
                (None, Some(path)) => return Some(Self::File(path)),
                (None, None) | (Some(_), Some(_)) => {}
            }
        }
        cursor.sensitive_error("a secret is either sealed or in a file", SECRET_HINT);
        None
    }
}
