//! What every part of a document is read with: where to report, how much to say, and the shapes of JSON.

use std::cell::Cell;
use std::fmt::Display;

use crate::source::{Cursor, Report, Source, Span, Value, nearest};

use super::catalogue::Catalogue;

/// How many entries one list may have.
pub const LIST_ENTRIES_MAX: usize = 1_000;
/// How many warnings one document gets: a report is bounded, and warnings must not crowd out errors.
const WARNINGS_MAX: usize = 50;
/// How many times the nearest spelling is looked for in one document: each look reads the whole catalogue.
const SUGGESTIONS_MAX: usize = 32;
/// How many characters of an offending text a message repeats.
const SHOWN_CHARS_MAX: usize = 120;

/// The state of reading one document.
pub(super) struct Reader<'a> {
    pub(super) catalogue: &'a Catalogue,
    pub(super) source: &'a Source,
    pub(super) report: &'a Report,
    warnings: Cell<usize>,
    suggestions: Cell<usize>,
}

/// A member of an object: its name, where the name stands, and its value.
pub(super) struct Member<'a> {
    pub(super) name: &'a str,
    pub(super) span: Span,
    pub(super) value: Cursor<'a>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(catalogue: &'a Catalogue, source: &'a Source, report: &'a Report) -> Self {
        Self { catalogue, source, report, warnings: Cell::new(0), suggestions: Cell::new(0) }
    }

    /// Reports an error about a member's name.
    pub(super) fn name_error(&self, member: &Member<'a>, inside: &Cursor<'a>, message: impl Display, hint: impl Into<String>) {
        let message = if inside.path().is_empty() { message.to_string() } else { format!("`{}`: {message}", inside.path()) };
        self.report.error(self.source, member.span, message, Some(hint.into()));
    }

    /// Reports a warning, unless this document has had enough of them.
    pub(super) fn warning(&self, at: &Cursor<'a>, message: impl Display, hint: impl Into<String>) {
        let given = self.warnings.replace(self.warnings.get() + 1);
        if given < WARNINGS_MAX {
            at.warning(message, hint);
        } else if given == WARNINGS_MAX {
            at.warning("further warnings about this policy are not shown", "see to the ones above first");
        }
    }

    /// The nearest of many candidates, unless this document has had enough of that, or nobody will read it.
    pub(super) fn nearest<'c>(&self, text: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
        let given = self.suggestions.replace(self.suggestions.get() + 1);
        if given < SUGGESTIONS_MAX && !self.report.is_unread() { nearest(text, candidates) } else { None }
    }

    /// The members of an object.
    pub(super) fn members(&self, at: &Cursor<'a>, hint: &str) -> Option<Vec<Member<'a>>> {
        if !matches!(at.node().value, Value::Map(_)) {
            wrong(at, "an object", hint);
            return None;
        }
        at.entries(|name, span, value| Some(Member { name, span, value }))
    }

    /// The items of a list, or the one value that stands where a list may (R06). A list must not be empty.
    pub(super) fn items(&self, at: &Cursor<'a>, hint: &str) -> Option<Vec<Cursor<'a>>> {
        let Value::List(items) = &at.node().value else { return Some(vec![at.clone()]) };
        if items.is_empty() {
            at.error_hint("the list is empty", hint);
            return None;
        }
        if items.len() > LIST_ENTRIES_MAX {
            at.error_hint(
                format!("the list has {} entries; the limit is {LIST_ENTRIES_MAX}", items.len()),
                "split it over several statements",
            );
            return None;
        }
        at.list(Some)
    }
}

/// A text that is not empty.
pub(super) fn text<'a>(at: &Cursor<'a>, hint: &str) -> Option<&'a str> {
    let Value::String(text) = &at.node().value else {
        wrong(at, "a text", hint);
        return None;
    };
    if text.is_empty() {
        at.error_hint("the text is empty", hint);
        return None;
    }
    Some(text)
}

/// Reports that a value of another kind should stand here.
pub(super) fn wrong(at: &Cursor<'_>, expected: &str, hint: &str) {
    at.error_hint(format!("{expected} should stand here, not {}", kind(&at.node().value)), hint);
}

/// A text for a message: bounded, without control characters.
pub(super) fn shown(text: &str) -> String {
    let mut out: String = text.chars().take(SHOWN_CHARS_MAX).map(printable).collect();
    if text.chars().nth(SHOWN_CHARS_MAX).is_some() {
        out.push_str("...");
    }
    out
}

/// Words in backticks, with commas.
pub(super) fn quoted<'w>(words: impl IntoIterator<Item = &'w str>) -> String {
    words.into_iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

fn printable(character: char) -> char {
    match character {
        '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' => '\u{FFFD}',
        other if other.is_control() => '\u{FFFD}',
        other => other,
    }
}

/// What JSON calls a value.
const fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::List(_) => "a list",
        Value::Map(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::sample::catalogue;
    use crate::source::json::{self, Limits};

    #[test]
    fn warnings_and_suggestions_end_at_their_limits() {
        let (catalogue, source, report) = (catalogue(), Source::new("p", "{}"), Report::new());
        let reader = Reader::new(&catalogue, &source, &report);
        let node = json::parse(b"{}", Limits { bytes_max: 2, depth_max: 2 }).unwrap();
        let at = Cursor::new(&node, &source, &report);
        (0..WARNINGS_MAX + 5).for_each(|number| reader.warning(&at, format!("warning {number}"), ""));
        let said: Vec<String> = report.diagnostics().iter().map(|one| one.message.clone()).collect();
        assert_eq!(said.len(), WARNINGS_MAX + 1);
        assert_eq!(said.last().unwrap(), "further warnings about this policy are not shown");
        let found: Vec<_> = (0..SUGGESTIONS_MAX + 2).map(|_| reader.nearest("iam:ShowUsr", ["iam:ShowUser"])).collect();
        assert!(found[..SUGGESTIONS_MAX].iter().all(Option::is_some));
        assert_eq!(found[SUGGESTIONS_MAX..], [None, None]);
    }

    #[test]
    fn what_is_shown_has_no_control_characters_and_ends() {
        assert_eq!(shown("a\u{1b}[2J\u{202E}b\u{2066}"), "a\u{FFFD}[2J\u{FFFD}b\u{FFFD}");
        let longest = "é".repeat(SHOWN_CHARS_MAX);
        assert_eq!(shown(&longest), longest);
        assert_eq!(shown(&format!("{longest}é")), format!("{longest}..."));
    }
}
