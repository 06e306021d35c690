//! The tree that both readers build: values with the place where they stand.

use std::sync::Arc;

/// A place in a text. Lines and columns count from 1; columns count characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Position {
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
}

/// A run of characters on one line (a longer value is marked on its first line only).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    /// Where it starts.
    pub start: Position,
    /// How many characters of the first line belong to it; at least 1 when shown.
    pub chars: u32,
}

impl Span {
    /// A span of one character.
    #[must_use]
    pub const fn at(start: Position) -> Self {
        Self { start, chars: 1 }
    }
}

/// A text and the name people know it by (a path, or `standard input`).
#[derive(Debug, Clone)]
pub struct Source {
    name: Arc<str>,
    text: Arc<str>,
    whole: Option<Arc<Whole>>,
}

/// What a text is a part of, and where in it.
#[derive(Debug)]
struct Whole {
    source: Source,
    lines_before: u32,
    columns_before: u32,
}

impl Source {
    /// A text under a name.
    #[must_use]
    pub fn new(name: impl Into<Arc<str>>, text: impl Into<Arc<str>>) -> Self {
        Self { name: name.into(), text: text.into(), whole: None }
    }

    /// The literal block (`|` in YAML) that starts at `span` and reads `text`, as a text of its own: what is found in it is
    /// shown where it stands in this one. `None` when no such block is there (a text in quotes, a folded one).
    #[must_use]
    pub fn block(&self, span: Span, text: &str) -> Option<Self> {
        let shown = text.lines().position(|line| !line.is_empty())?;
        [0, 1].into_iter().find_map(|header| {
            let lines_before = span.start.line.checked_sub(1)?.checked_add(header)?;
            let lines = || self.text.lines().skip(lines_before as usize);
            let indent = lines().nth(shown)?.strip_suffix(text.lines().nth(shown)?)?;
            let blank = |line: &str| line.bytes().all(|byte| byte == b' ');
            let same = |(line, read): (&str, &str)| line.strip_prefix(indent) == Some(read) || (read.is_empty() && blank(line));
            if !blank(indent) || lines().count() < text.lines().count() || !lines().zip(text.lines()).all(same) {
                return None;
            }
            let whole = Whole { source: self.clone(), lines_before, columns_before: u32::try_from(indent.len()).ok()? };
            Some(Self { name: Arc::clone(&self.name), text: text.into(), whole: Some(Arc::new(whole)) })
        })
    }

    /// Where people find a place: in the file, when this text is a part of one.
    #[must_use]
    pub fn locate(&self, span: Span) -> (&Self, Span) {
        let Some(whole) = &self.whole else { return (self, span) };
        let start = Position { line: span.start.line + whole.lines_before, column: span.start.column + whole.columns_before };
        whole.source.locate(Span { start, ..span })
    }

    /// The name shown in diagnostics.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// The whole text.
    #[must_use]
    pub fn text(&self) -> &Arc<str> {
        &self.text
    }

    /// Line `line` (from 1) without its end.
    #[must_use]
    pub fn line(&self, line: u32) -> Option<&str> {
        self.text.lines().nth((line as usize).checked_sub(1)?)
    }
}

/// A mapping's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// The key's text.
    pub text: Box<str>,
    /// Where it stands.
    pub span: Span,
}

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Where it stands.
    pub span: Span,
    /// What it is.
    pub value: Value,
}

/// What a node holds. Numbers keep their text: nothing is rounded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// `null`, or nothing at all in YAML.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number as written.
    Number(Box<str>),
    /// A text.
    String(Box<str>),
    /// A list.
    List(Vec<Node>),
    /// A mapping in the order written; keys are unique.
    Map(Vec<(Key, Node)>),
}

impl Value {
    /// What to call this value in an error message.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::String(_) => "a text",
            Self::List(_) => "a list",
            Self::Map(_) => "a mapping",
        }
    }
}

impl Node {
    /// The member called `key`, if this is a mapping that has it.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Node> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|(name, _)| &*name.text == key).map(|(_, node)| node),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::List(_) => None,
        }
    }
}

/// Why a text is not a document of its language.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} at line {}, column {}", span.start.line, span.start.column)]
pub struct SyntaxError {
    /// Where reading stopped.
    pub span: Span,
    /// What is wrong there.
    pub message: String,
    /// What to write instead.
    pub hint: Option<String>,
}

impl SyntaxError {
    /// An error at a place.
    #[must_use]
    pub fn new(span: Span, message: impl Into<String>) -> Self {
        Self { span, message: message.into(), hint: None }
    }

    /// The same error with advice.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_found_where_it_stands() {
        let text = "a:\n  b: |\n\n    {\n      x\n\n    }\n  c: \"{ x }\"\n";
        let source = Source::new("t.yaml", text);
        let at = |line, column| Span::at(Position { line, column });
        for header in [2, 3] {
            let block = source.block(at(header, 6), "\n{\n  x\n\n}\n").unwrap();
            assert_eq!(block.locate(at(3, 3)).1, at(5, 7));
            assert_eq!(block.locate(at(3, 3)).0.line(5), Some("      x"));
        }
        assert!(source.block(at(8, 6), "{ x }").is_none());
        assert!(source.block(at(2, 6), "{ x }").is_none());
        assert!(source.block(at(9, 6), "x\n").is_none());
        assert!(source.block(at(2, 6), "").is_none());
    }
}
