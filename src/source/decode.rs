//! From trees to typed values, collecting every error on the way instead of stopping at the first.

use std::cell::RefCell;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

use super::diagnostic::{Report, nearest};
use super::tree::{Key, Node, Source, Span, Value};

/// A value being decoded: the node, the file it stands in, the report, the path of keys that led to it, and what to write here.
#[derive(Clone)]
pub struct Cursor<'a> {
    node: &'a Node,
    source: &'a Source,
    report: &'a Report,
    path: String,
    /// Where the key of this value stands.
    key: Option<Span>,
    hint: Option<String>,
}

impl<'a> Cursor<'a> {
    /// Starts at a document's root.
    #[must_use]
    pub fn new(node: &'a Node, source: &'a Source, report: &'a Report) -> Self {
        Self { node, source, report, path: String::new(), key: None, hint: None }
    }

    /// The same value under a name that says more to people than the path that led to it.
    #[must_use]
    pub fn named(self, name: impl Into<String>) -> Self {
        Self { path: name.into(), ..self }
    }

    /// The same value with advice for the case that another kind of value stands here.
    #[must_use]
    pub fn advised(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
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

    /// Reports an error at another place of the same file, such as this value's key.
    pub fn error_at(&self, span: Span, message: impl Display, hint: impl Into<String>) {
        self.report.error(self.source, span, self.located(message), Some(hint.into()));
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

    /// Reports that another kind of value stands here; `hint` is for those who were given no better advice.
    fn wrong_kind(&self, expected: &str, hint: impl Into<String>) {
        let found = match &self.node.value {
            Value::Null => format!("{expected} should stand here; there is nothing"),
            other @ (Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::List(_) | Value::Map(_)) => {
                format!("{expected} should stand here, not {}", other.kind())
            }
        };
        self.error_hint(found, self.hint.clone().unwrap_or_else(|| hint.into()));
    }

    /// A text. Numbers count as the text they were written as, so that ids of digits need no quotes.
    #[must_use]
    pub fn text(&self) -> Option<&'a str> {
        match &self.node.value {
            Value::String(text) | Value::Number(text) => Some(text),
            Value::Null | Value::Bool(_) | Value::List(_) | Value::Map(_) => {
                self.wrong_kind("a text", "write a text; quote it where YAML reads something else: \"true\"");
                None
            }
        }
    }

    /// An owned, non-empty text.
    #[must_use]
    pub fn string(&self) -> Option<String> {
        let text = self.text()?;
        if text.is_empty() {
            let hint = self.hint.clone().unwrap_or_else(|| "write at least one character, or leave the key out".to_owned());
            self.error_hint("the text is empty", hint);
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
                self.wrong_kind("a boolean", "write `true` or `false`");
                None
            }
        }
    }

    /// A whole number within limits; `unit` names what it counts.
    #[must_use]
    pub fn integer(&self, range: RangeInclusive<u64>, unit: &str) -> Option<u64> {
        let expected = format!("write a whole number of {unit} from {} to {}, digits only", range.start(), range.end());
        let Value::Number(text) = &self.node.value else {
            self.wrong_kind("a number", expected);
            return None;
        };
        let message = match text.parse::<u64>() {
            Ok(value) if range.contains(&value) => return Some(value),
            Ok(value) if value < *range.start() => format!("`{text}` is too small"),
            Ok(_) => format!("`{text}` is too large"),
            Err(_) if text.starts_with('-') => format!("`{text}` is too small"),
            Err(_) if text.bytes().all(|byte| byte.is_ascii_digit()) => format!("`{text}` is too large"),
            Err(_) => format!("`{text}` is not a whole number"),
        };
        self.error_hint(message, expected);
        None
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
        let hint = match (nearest(text, words.iter().copied()), words.as_slice()) {
            (Some(word), _) => format!("did you mean `{word}`?"),
            (None, [only]) => format!("write `{only}`: there is nothing else yet"),
            (None, _) => format!("write one of {}", quoted(&words)),
        };
        self.error_hint(format!("`{text}` is none of the words known here"), hint);
        None
    }

    /// Every item of a list; a bad item is reported and the others are still read.
    #[must_use]
    pub fn list<T>(&self, mut item: impl FnMut(Cursor<'a>) -> Option<T>) -> Option<Vec<T>> {
        let Value::List(nodes) = &self.node.value else {
            self.wrong_kind("a list", "write `[ONE, TWO]`, or a line `- ONE` for each");
            return None;
        };
        let mut values = Vec::with_capacity(nodes.len());
        let mut complete = true;
        for (index, node) in nodes.iter().enumerate() {
            let cursor = Cursor { node, path: format!("{}[{index}]", self.path), key: None, hint: None, ..self.clone() };
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
            self.wrong_kind("a mapping", "write `KEY: VALUE`, each on a line of its own, indented");
            return None;
        };
        let mut values = Vec::with_capacity(nodes.len());
        let mut complete = true;
        for (key, node) in nodes {
            match entry(&key.text, key.span, self.child(key, node)) {
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
            self.wrong_kind("a mapping", "write `KEY: VALUE`, each on a line of its own, indented");
            return None;
        };
        Some(Table { cursor: self.clone(), known: RefCell::default(), missing: RefCell::default() })
    }

    fn child(&self, key: &Key, node: &'a Node) -> Cursor<'a> {
        let path = if self.path.is_empty() { key.text.to_string() } else { format!("{}.{}", self.path, key.text) };
        Cursor { node, path, key: Some(key.span), hint: None, ..self.clone() }
    }
}

/// A mapping whose keys are taken one by one; [`Table::finish`] reports what nobody took.
pub struct Table<'a> {
    cursor: Cursor<'a>,
    known: RefCell<Vec<&'static str>>,
    /// Keys that were not there, with what to write: reported last, unless a misspelt key explains them.
    missing: RefCell<Vec<(&'static str, String)>>,
}

impl Drop for Table<'_> {
    fn drop(&mut self) {
        self.report_missing();
    }
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
        let Value::Map(entries) = &self.cursor.node.value else { return None };
        entries.iter().find(|(name, _)| &*name.text == key).map(|(name, node)| self.cursor.child(name, node))
    }

    /// A member that must stand there; `hint` says what to write.
    pub fn required<T>(&self, key: &'static str, hint: &str, decode: impl FnOnce(Cursor<'a>) -> Option<T>) -> Option<T> {
        match self.take(key) {
            Some(cursor) => decode(cursor.advised(hint)),
            None => {
                self.missing.borrow_mut().push((key, hint.to_owned()));
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
            let near = nearest(&key.text, known.iter().copied());
            let hint = match near {
                Some(word) => format!("did you mean `{word}`?"),
                None => format!("known here are {}", quoted(&known)),
            };
            let absent = near.filter(|word| self.cursor.node.get(word).is_none());
            self.missing.borrow_mut().retain(|(missing, _)| Some(*missing) != absent);
            self.cursor.error_at(key.span, format!("the key `{}` is not known here", key.text), hint);
        }
        clean
    }

    /// At the key that the mapping belongs to, or where it starts; at a document's start no line is shown, for it has nothing
    /// to do with the key.
    fn report_missing(&self) {
        for (key, hint) in self.missing.take() {
            let message = self.cursor.located(format!("the key `{key}` is missing"));
            let Cursor { report, source, node, key, .. } = &self.cursor;
            if self.cursor.path.is_empty() {
                report.sensitive_error(source, node.span, message, Some(hint));
            } else {
                report.error(source, key.unwrap_or(node.span), message, Some(hint));
            }
        }
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
        let source = Source::new("t.yaml", "hots: [a]\nport: 70000\nmode: enforc\nlist: [1, x]\nnames: a\n");
        let documents = yaml::parse(&source).unwrap();
        let report = Report::new();
        let table = Cursor::new(&documents[0], &source, &report).table().unwrap();
        let _ = table.required("hosts", "write `hosts: [name]`", |value| value.list(|item| item.string()));
        let _ = table.optional("port", |value| value.integer(1..=65_535, "ports"));
        let _ = table.optional("mode", |value| value.one_of(&[("enforce", 1), ("observe", 2)]));
        let _ = table.optional("list", |value| value.list(|item| item.integer(0..=9, "items")));
        let _ = table.required("names", "write `names: [a]`", |value| value.list(|item| item.string()));
        let _ = table.required("id", "write `id: 1`", |value| value.string());
        assert!(table.finish().is_none());
        let found: Vec<String> =
            report.diagnostics().into_iter().map(|found| format!("{}; {}", found.message, found.hint.unwrap_or_default())).collect();
        assert_eq!(
            found,
            [
                "the key `hots` is not known here; did you mean `hosts`?",
                "the key `id` is missing; write `id: 1`",
                "`port`: `70000` is too large; write a whole number of ports from 1 to 65535, digits only",
                "`mode`: `enforc` is none of the words known here; did you mean `enforce`?",
                "`list[1]`: a number should stand here, not a text; write a whole number of items from 0 to 9, digits only",
                "`names`: a list should stand here, not a text; write `names: [a]`",
            ]
        );
    }

    #[test]
    fn a_missing_key_is_reported_even_when_reading_ends_early() {
        let source = Source::new("t.yaml", "a: 1\n");
        let documents = yaml::parse(&source).unwrap();
        let report = Report::new();
        let read = || {
            let table = Cursor::new(&documents[0], &source, &report).table()?;
            table.required("b", "write `b: 1`", |value| value.string())?;
            table.finish()
        };
        assert_eq!(read(), None);
        assert!(report.has_errors());
    }
}
