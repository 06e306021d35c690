//! How a secret is written in a file: sealed, or as the name of another file. Never in clear.

use super::decode::Cursor;
use super::tree::{Node, Value};

/// What to write where a secret belongs.
pub const SECRET_HINT: &str = "write `{file: NAME}`, or `{sealed: TEXT}` as `portcullis seal` prints it; a secret never stands in clear";

/// A secret that is not in clear.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretRef {
    /// Text that `portcullis seal` wrote.
    Sealed(String),
    /// A file whose content, without white space at its end, is the secret.
    File(String),
}

impl SecretRef {
    /// Reads `{file: ...}` or `{sealed: ...}`.
    ///
    /// SECURITY: what stands here may be the secret itself, as a key or as a value: nothing of it is repeated.
    #[must_use]
    pub fn decode(cursor: &Cursor<'_>) -> Option<Self> {
        let message = match &cursor.node().value {
            Value::Map(entries) => {
                if let [(key, Node { value: Value::String(text) | Value::Number(text), .. })] = entries.as_slice()
                    && !text.is_empty()
                {
                    match &*key.text {
                        "sealed" => return Some(Self::Sealed(text.to_string())),
                        "file" => return Some(Self::File(text.to_string())),
                        _ => {}
                    }
                }
                "a secret is either sealed or in a file; this is neither"
            }
            Value::Null => "the secret is missing",
            Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::List(_) => "a secret stands in clear",
        };
        cursor.sensitive_error(message, SECRET_HINT);
        None
    }
}
