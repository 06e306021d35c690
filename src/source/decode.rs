//! From trees to typed values, collecting every error on the way instead of stopping at the first.

use std::cell::RefCell;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

use super::diagnostic::{Report, nearest};
use super::tree::{Node, Source, Span, Value};

/// A value being decoded: the node, the file it stands in, the report, and the path of keys that led to it.
#[derive(Clone)]
pub struct Cursor<'a> {
    node: &'a Node,
    source: &'a Source,
    report: &'a Report,
    path: String,
}

impl<'a> Cursor<'a> {
    /// Starts at a document's root.
    #[must_use]
    pub fn new(node: &'a Node, source: &'a Source, report: &'a Report) -> Self {
        Self { node, source, report, path: String::new() }
    }

    /// The node itself.
    #[must_use]
    pub fn node(&self) -> &'a Node {
        self.node
    }

    /// The keys that led here, as `services.iam.hosts[0]`; empty at the root.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The file this value stands in.
    #[must_use]
    pub fn source(&self) -> &'a Source {
        self.source
    }

    /// Reports an error at this value.
    pub fn error(&self, message: impl Display) {
        self.report.error(self.source, self.node.span, self.located(message), None);
    }

    /// Reports an error at this value with advice.
    pub fn error_hint(&self, message: impl Display, hint: impl Into<String>) {
        self.report.error(self.source, self.node.span, self.located(message), Some(hint.into()));
    }

    /// Reports a warning at this value with advice.
    pub fn warning(&self, message: impl Display, hint: impl Into<String>) {
        self.report.warning(self.source, self.node.span, self.located(message), Some(hint.into()));
    }

    /// Reports an error at this value without showing its line, which may hold a secret.
    pub fn sensitive_error(&self, message: impl Display, hint: impl Into<String>) {
        self.report.sensitive_error(self.source, self.node.span, self.located(message), Some(hint.into()));
    }

    fn located(&self, message: impl Display) -> String {
        if self.path.is_empty() { message.to_string() } else { format!("`{}`: {message}", self.path) }
    }

    fn wrong_kind(&self, expected: &str) {
        self.error(format!("{expected} should stand here, not {}", self.node.value.kind()));
    }

    /// A text. Numbers count as the text they were written as, so that ids of digits need no quotes.
    #[must_use]
    pub fn text(&self) -> Option<&'a str> {
        match &self.node.value {
            Value::String(text) | Value::Number(text) => Some(text),
            Value::Null | Value::Bool(_) | Value::List(_) | Value::Map(_) => {
                self.wrong_kind("a text");
                None
            }
        }
    }

    /// An owned, non-empty text.
    #[must_use]
    pub fn string(&self) -> Option<String> {
        let text = self.text()?;
        if text.is_empty() {
            self.error("the text is empty");
            return None;
        }
        Some(text.to_owned())
    }

    /// A boolean.
    #[must_use]
    pub fn boolean(&self) -> Option<bool> {
        match &self.node.value {
            Value::Bool(value) => Some(*value),
            Value::Null | Value::Number(_) | Value::String(_) | Value::List(_) | Value::Map(_) => {
                self.error_hint(format!("a boolean should stand here, not {}", self.node.value.kind()), "write `true` or `false`");
                None
            }
        }
    }

    /// A whole number within limits; `unit` names what it counts.
    #[must_use]
    pub fn integer(&self, range: RangeInclusive<u64>, unit: &str) -> Option<u64> {
        let expected = format!("write a whole number of {unit} from {} to {}", range.start(), range.end());
        let Value::Number(text) = &self.node.value else {
            self.error_hint(format!("a number should stand here, not {}", self.node.value.kind()), expected);
            return None;
        };
        match text.parse::<u64>() {
            Ok(value) if range.contains(&value) => Some(value),
            Ok(_) | Err(_) => {
                self.error_hint(format!("`{text}` is out of range"), expected);
                None
            }
        }
    }

    /// A value that parses from text; the error is the parser's own.
    #[must_use]
    pub fn parse<T: FromStr<Err: Display>>(&self, hint: &str) -> Option<T> {
        let text = self.text()?;
        match text.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                self.error_hint(error, hint);
                None
            }
        }
    }

    /// One of a closed set of words.
    #[must_use]
    pub fn one_of<T: Copy>(&self, choices: &[(&'static str, T)]) -> Option<T> {
        let text = self.text()?;
        if let Some((_, value)) = choices.iter().find(|(word, _)| *word == text) {
            return Some(*value);
        }
        let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
        let hint = match nearest(text, words.iter().copied()) {
            Some(word) => format!("did you mean `{word}`?"),
            None => format!("write one of {}", quoted(&words)),
        };
        self.error_hint(format!("`{text}` is none of the values known here"), hint);
        None
    }

    /// Every item of a list; a bad item is reported and the others are still read.
    #[must_use]
    pub fn list<T>(&self, mut item: impl FnMut(Cursor<'a>) -> Option<T>) -> Option<Vec<T>> {
        let Value::List(nodes) = &self.node.value else {
            self.wrong_kind("a list");
            return None;
        };
        let mut values = Vec::with_capacity(nodes.len());
        let mut complete = true;
        for (index, node) in nodes.iter().enumerate() {
            let cursor = Cursor { node, path: format!("{}[{index}]", self.path), ..self.clone() };
            match item(cursor) {
                Some(value) => values.push(value),
                None => complete = false,
            }
        }
        complete.then_some(values)
    }

    /// Every entry of a mapping whose keys are names that the author chose.
    #[must_use]
    pub fn entries<T>(&self, mut entry: impl FnMut(&'a str, Span, Cursor<'a>) -> Option<T>) -> Option<Vec<T>> {
        let Value::Map(nodes) = &self.node.value else {
            self.wrong_kind("a mapping");
            return None;
        };
        let mut values = Vec::with_capacity(nodes.len());
        let mut complete = true;
        for (key, node) in nodes {
            match entry(&key.text, key.span, self.child(&key.text, node)) {
                Some(value) => values.push(value),
                None => complete = false,
            }
        }
        complete.then_some(values)
    }

    /// A mapping with known keys.
    #[must_use]
    pub fn table(&self) -> Option<Table<'a>> {
        let Value::Map(_) = &self.node.value else {
            self.wrong_kind("a mapping");
            return None;
        };
        Some(Table { cursor: self.clone(), known: RefCell::new(Vec::new()) })
    }

    fn child(&self, key: &str, node: &'a Node) -> Cursor<'a> {
        let path = if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) };
        Cursor { node, path, ..self.clone() }
    }
}

/// A mapping whose keys are taken one by one; [`Table::finish`] reports what nobody took.
pub struct Table<'a> {
    cursor: Cursor<'a>,
    known: RefCell<Vec<&'static str>>,
}

impl<'a> Table<'a> {
    /// The mapping itself.
    #[must_use]
    pub fn cursor(&self) -> &Cursor<'a> {
        &self.cursor
    }

    /// The member `key`, if it stands there.
    #[must_use]
    pub fn take(&self, key: &'static str) -> Option<Cursor<'a>> {
        self.known.borrow_mut().push(key);
        self.cursor.node.get(key).map(|node| self.cursor.child(key, node))
    }

    /// A member that must stand there; `hint` says what to write.
    pub fn required<T>(&self, key: &'static str, hint: &str, decode: impl FnOnce(Cursor<'a>) -> Option<T>) -> Option<T> {
        match self.take(key) {
            Some(cursor) => decode(cursor),
            None => {
                self.cursor.error_hint(format!("the key `{key}` is missing"), hint);
                None
            }
        }
    }

    /// A member that may be left out. The outer option is `None` after an error.
    pub fn optional<T>(&self, key: &'static str, decode: impl FnOnce(Cursor<'a>) -> Option<T>) -> Option<Option<T>> {
        match self.take(key) {
            Some(cursor) => decode(cursor).map(Some),
            None => Some(None),
        }
    }

    /// A member that may be left out, with its value then.
    pub fn or<T>(&self, key: &'static str, absent: T, decode: impl FnOnce(Cursor<'a>) -> Option<T>) -> Option<T> {
        match self.take(key) {
            Some(cursor) => decode(cursor),
            None => Some(absent),
        }
    }

    /// Reports every key that was never asked for; `None` when there was one.
    #[must_use]
    pub fn finish(self) -> Option<()> {
        let known = self.known.borrow();
        let Value::Map(entries) = &self.cursor.node.value else { return Some(()) };
        let mut clean = Some(());
        for (key, _) in entries.iter().filter(|(key, _)| !known.contains(&&*key.text)) {
            clean = None;
            let hint = match nearest(&key.text, known.iter().copied()) {
                Some(word) => format!("did you mean `{word}`?"),
                None => format!("known here are {}", quoted(&known)),
            };
            let message = self.cursor.located(format!("the key `{}` is not known here", key.text));
            self.cursor.report.error(self.cursor.source, key.span, message, Some(hint));
        }
        clean
    }
}

fn quoted(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::yaml;

    #[test]
    fn all_errors_of_a_document_are_reported_at_once() {
        let source = Source::new("t.yaml", "hots: [a]\nport: 70000\nmode: enforc\nlist: [1, x]\n");
        let documents = yaml::parse(&source).unwrap();
        let report = Report::new();
        let table = Cursor::new(&documents[0], &source, &report).table().unwrap();
        let _ = table.required("hosts", "write `hosts: [name]`", |value| value.list(|item| item.string()));
        let _ = table.optional("port", |value| value.integer(1..=65_535, "port"));
        let _ = table.optional("mode", |value| value.one_of(&[("enforce", 1), ("observe", 2)]));
        let _ = table.optional("list", |value| value.list(|item| item.integer(0..=9, "items")));
        assert!(table.finish().is_none());
        let messages: Vec<String> = report.diagnostics().into_iter().map(|found| found.message).collect();
        assert_eq!(
            messages,
            [
                "the key `hosts` is missing",
                "the key `hots` is not known here",
                "`port`: `70000` is out of range",
                "`mode`: `enforc` is none of the values known here",
                "`list[1]`: a number should stand here, not a text",
            ]
        );
    }
}
