//! Text that people wrote, with positions: YAML and JSON trees, a decoder over them, and diagnostics.
//!
//! Every configuration file, record file, action definition and policy document is read through this
//! component, so that each error names file, line, column and key, shows the line, and says what to
//! write instead; and so that one run reports all errors of all files.
//!
//! It never opens a file, and knows nothing of what the texts mean.

pub mod decode;
pub mod diagnostic;
mod excerpt;
pub mod json;
pub mod secret;
pub mod tree;
pub mod yaml;

pub use decode::{Cursor, Table};
pub use diagnostic::{Diagnostic, Report, Severity, nearest};
pub use secret::SecretRef;
pub use tree::{Key, Node, Position, Source, Span, SyntaxError, Value};
