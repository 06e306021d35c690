//! Reads JSON text; after a syntax error, mends a copy and reads on, so that one run shows all errors of a damaged text.
//!
//! What is mended is never used: the copy only serves to find further errors. Mended are the slips that people make (and that
//! the published examples have): a missing comma, a comma too many, a comment, a word or text without proper quotes.

use crate::source::json::{self, Limits};
use crate::source::{Node, Position, Report, Source, Span, SyntaxError, Value};

/// How many slips are mended in one text.
const MENDS_MAX: usize = 50;

/// A text, read.
pub(super) enum Text {
    /// It is JSON.
    Sound(Node),
    /// It is not, which was reported; this tree is for finding further errors and must not be used.
    Mended(Node),
    /// It is not, which was reported, and there is nothing to go on with.
    Hopeless,
}

/// Reads the text and reports every syntax error found.
pub(super) fn read(source: &Source, limits: Limits, report: &Report) -> Text {
    let mut error = match json::parse(source.text().as_bytes(), limits) {
        Ok(node) => return Text::Sound(node),
        Err(error) => error,
    };
    // Nothing that is too large is copied.
    if source.text().len() > limits.bytes_max {
        report.error(source, error.span, error.message, error.hint);
        return Text::Hopeless;
    }
    let mut copy = Copy::new(source.text());
    let mut places: Vec<Position> = Vec::new();
    // A longer text only grows by what is inserted: two quotes for a mend.
    let limits = Limits { bytes_max: limits.bytes_max + 2 * MENDS_MAX, ..limits };
    while places.len() < MENDS_MAX && !places.contains(&error.span.start) {
        places.push(error.span.start);
        report.error(source, copy.original(error.span), error.message.clone(), error.hint.clone());
        if copy.mend(&error).is_none() {
            break;
        }
        match json::parse(copy.text().as_bytes(), limits) {
            Ok(mut node) => {
                copy.place(&mut node);
                return Text::Mended(node);
            }
            Err(next) => error = next,
        }
    }
    Text::Hopeless
}

/// A character and the column it had, or that what follows it had, before anything was mended.
#[derive(Clone, Copy)]
struct Cell {
    character: char,
    column: u32,
}

/// The text as lines of cells.
struct Copy {
    lines: Vec<Vec<Cell>>,
}

impl Copy {
    fn new(text: &str) -> Self {
        let line = |line: &str| line.chars().zip(1..).map(|(character, column)| Cell { character, column }).collect();
        Self { lines: text.split('\n').map(line).collect() }
    }

    fn text(&self) -> String {
        let line = |line: &Vec<Cell>| line.iter().map(|cell| cell.character).collect::<String>();
        self.lines.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    /// Mends the place of an error, or `None`.
    fn mend(&mut self, error: &SyntaxError) -> Option<()> {
        let place = error.span.start;
        let (row, column) = ((place.line as usize).checked_sub(1)?, (place.column as usize).checked_sub(1)?);
        let line = self.lines.get(row)?;
        let found = line.get(column).map(|cell| cell.character);
        if in_text(line.get(..column)?) {
            return match found {
                Some(control) if control.is_control() => self.put(row, column, ' '),
                Some(_) | None => None,
            };
        }
        match found {
            Some('\u{FEFF}') => self.put(row, column, ' '),
            Some('#') => self.blank(row, column),
            Some('/') if self.at(row, column + 1) == Some('/') => self.blank(row, column),
            Some('\'') => self.requote(row, column, |other| other == '\''),
            Some('\u{201C}' | '\u{201D}') => self.requote(row, column, |other| matches!(other, '\u{201C}' | '\u{201D}')),
            Some(',') => self.drop_comma(row, column),
            Some(letter) if letter.is_alphanumeric() => self.quote(row, column, error.span.chars as usize),
            Some(' ' | '\t' | '\r' | '"' | '{' | '[') | None => self.add_comma(row, column),
            Some(_) => None,
        }
    }

    fn at(&self, row: usize, column: usize) -> Option<char> {
        self.lines.get(row)?.get(column).map(|cell| cell.character)
    }

    fn put(&mut self, row: usize, column: usize, character: char) -> Option<()> {
        self.lines.get_mut(row)?.get_mut(column)?.character = character;
        Some(())
    }

    fn insert(&mut self, row: usize, column: usize, character: char) -> Option<()> {
        let line = self.lines.get_mut(row)?;
        let original = line.get(column).map(|cell| cell.column).or_else(|| line.last().map(|cell| cell.column + 1)).unwrap_or(1);
        if column > line.len() {
            return None;
        }
        line.insert(column, Cell { character, column: original });
        Some(())
    }

    /// A comment, to the end of its line.
    fn blank(&mut self, row: usize, column: usize) -> Option<()> {
        self.lines.get_mut(row)?.get_mut(column..)?.iter_mut().for_each(|cell| cell.character = ' ');
        Some(())
    }

    /// A text in the wrong quotes.
    fn requote(&mut self, row: usize, column: usize, closes: impl Fn(char) -> bool) -> Option<()> {
        let after = self.lines.get(row)?.get(column + 1..)?;
        let length = after.iter().position(|cell| closes(cell.character))?;
        self.put(row, column, '"')?;
        self.put(row, column + 1 + length, '"')
    }

    /// A word without quotes. A value's span has all of it; a member name ends before its `:`.
    fn quote(&mut self, row: usize, column: usize, chars: usize) -> Option<()> {
        let word = |cell: &&Cell| cell.character.is_alphanumeric() || "_-./*".contains(cell.character);
        let length = if chars > 1 { chars } else { self.lines.get(row)?.get(column..)?.iter().take_while(word).count() };
        self.insert(row, column + length, '"')?;
        self.insert(row, column, '"')
    }

    /// A comma that separates nothing.
    fn drop_comma(&mut self, row: usize, column: usize) -> Option<()> {
        let whole = |row: &usize| self.lines.get(*row).map_or(&[][..], |line| line.as_slice());
        let line = self.lines.get(row)?;
        let before = (0..row).rev().map(|row| whole(&row));
        let before =
            [line.get(..column)?].into_iter().chain(before).find_map(|line| line.iter().rfind(|cell| !cell.character.is_whitespace()));
        let after = (row + 1..self.lines.len()).map(|row| whole(&row));
        let after =
            [line.get(column + 1..)?].into_iter().chain(after).find_map(|line| line.iter().find(|cell| !cell.character.is_whitespace()));
        let opens = before.is_some_and(|cell| matches!(cell.character, ',' | '[' | '{'));
        let closes = after.is_some_and(|cell| matches!(cell.character, ']' | '}'));
        if !(opens || closes) {
            return None;
        }
        self.put(row, column, ' ')
    }

    /// A comma behind a value that something follows.
    fn add_comma(&mut self, row: usize, column: usize) -> Option<()> {
        let previous = self.at(row, column.checked_sub(1)?)?;
        let rest = self.lines.get(row)?.get(column..)?.iter().chain(self.lines.get(row + 1..)?.iter().flatten());
        let follows = rest.into_iter().any(|cell| !cell.character.is_whitespace());
        let ends = previous.is_alphanumeric() || matches!(previous, '"' | ']' | '}');
        if !(follows && ends) {
            return None;
        }
        self.insert(row, column, ',')
    }

    /// Where a place of the mended text is in the original one.
    fn original(&self, span: Span) -> Span {
        let line = (span.start.line as usize).checked_sub(1).and_then(|row| self.lines.get(row));
        let end_of_line = line.and_then(|line| line.last()).map_or(1, |cell| cell.column + 1);
        let map = |column: u32| {
            let cell = line.and_then(|line| line.get((column as usize).checked_sub(1)?));
            cell.map_or(end_of_line, |cell| cell.column)
        };
        let (start, end) = (map(span.start.column), map(span.start.column + span.chars));
        Span { start: Position { column: start, ..span.start }, chars: end.saturating_sub(start).max(1) }
    }

    /// Gives a mended tree the places of the original text.
    fn place(&self, node: &mut Node) {
        node.span = self.original(node.span);
        match &mut node.value {
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
            Value::List(items) => items.iter_mut().for_each(|item| self.place(item)),
            Value::Map(entries) => {
                for (key, value) in entries {
                    key.span = self.original(key.span);
                    self.place(value);
                }
            }
        }
    }
}

/// Whether what follows stands inside a text: texts do not run over lines.
fn in_text(before: &[Cell]) -> bool {
    let (mut inside, mut escaped) = (false, false);
    for cell in before {
        match cell.character {
            '\\' if inside => escaped = !escaped,
            '"' if !escaped => inside = !inside,
            _ => escaped = false,
        }
    }
    inside
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Severity;

    /// Places of the errors found, and whether the text could be read to its end.
    fn check(text: &str, expected: &[(u32, u32)], mended: bool) {
        let (source, report) = (Source::new("p.json", text), Report::new());
        let limits = Limits { bytes_max: 10_000, depth_max: 8 };
        let read = read(&source, limits, &report);
        let places: Vec<(u32, u32)> =
            report.diagnostics().iter().filter_map(|found| found.span).map(|span| (span.start.line, span.start.column)).collect();
        assert_eq!(places, expected, "{text}\n{report}");
        assert_eq!(report.count(Severity::Error) == 0, matches!(read, Text::Sound(_)), "{text}");
        assert_eq!(mended, matches!(read, Text::Mended(_)), "{text}");
    }

    #[test]
    fn every_slip_of_a_text_is_found() {
        check("{\"a\": 1}", &[], false);
        check("{\"a\": 1\n \"b\": [2,]\n \"c\": x # end\n}", &[(1, 8), (2, 9), (2, 11), (3, 7), (3, 9)], true);
        check("{\"a\": 'x', \"b\": “y”, c: [p, q]}", &[(1, 7), (1, 17), (1, 22), (1, 26), (1, 29)], true);
        check("\u{feff}{\"a\": \"x\ty\"}", &[(1, 1), (1, 10)], true);
        check("{\"a\": 2024-07-01}", &[(1, 7)], true);
        check("{\"a\": \"b\" // why\n}", &[(1, 11)], true);
        check("{\"a\": [\"b\" \"c\"]}", &[(1, 11)], true);
        check("{\"a\": [,1,,2,\n ],\n\n}", &[(1, 8), (1, 11), (1, 13), (2, 3)], true);
    }

    #[test]
    fn what_cannot_be_mended_is_reported_once_and_ends() {
        check("", &[(1, 1)], false);
        check("{", &[(1, 2)], false);
        check("{\"a\": 1", &[(1, 8)], false);
        check("{\"a\": 1, \"b\", \"c\": 2}", &[(1, 13)], false);
        check("{\"a\" 1}", &[(1, 6)], false);
        check("{\"a\"\"b\"}", &[(1, 5)], false);
        check("{\"a\": \"b}", &[(1, 7)], false);
        check("{\"a\": 1, \"a\": 2}", &[(1, 10)], false);
        check("{} {}", &[(1, 4)], false);
        check("[[[[[[[[[]]]]]]]]]", &[(1, 9)], false);
        check("{\"a\": \"\\x\"}", &[(1, 8)], false);
    }

    #[test]
    fn places_of_a_mended_tree_are_those_of_the_original() {
        let (source, report) = (Source::new("p.json", "{\"a\": [x, y, \"z\"]}"), Report::new());
        let Text::Mended(node) = read(&source, Limits { bytes_max: 100, depth_max: 8 }, &report) else { panic!("{report}") };
        let Value::List(items) = &node.get("a").unwrap().value else { panic!() };
        assert_eq!(items.iter().map(|item| (item.span.start.column, item.span.chars)).collect::<Vec<_>>(), [(8, 1), (11, 1), (14, 3)]);
    }

    #[test]
    fn words_and_texts_are_mended_whole() {
        check("{abc: 1, \"d\": iam:show-User}", &[(1, 2), (1, 15)], true);
        check("{\"a\": \"x\\\"y\tz\"}", &[(1, 12)], true);
        check("{\"a\": \"x\\\\\", \"b\": c}", &[(1, 19)], true);
        check("{\"a\": [x", &[(1, 8), (1, 10)], false);
        check("{\"a\": 1  \n  ", &[(2, 3)], false);
        check("[\"b\"\"c\"]", &[(1, 5)], true);
    }

    #[test]
    fn a_text_at_the_limit_is_mended_and_a_longer_one_is_not() {
        let text = |words: usize| format!("[{}]", vec!["x"; words].join(","));
        let found = |text: &str, bytes_max: usize| {
            let report = Report::new();
            let read = read(&Source::new("p.json", text), Limits { bytes_max, depth_max: 8 }, &report);
            (matches!(read, Text::Mended(_)), report.count(Severity::Error))
        };
        let most = text(MENDS_MAX - 1);
        assert_eq!(found(&most, most.len()), (true, MENDS_MAX - 1));
        assert_eq!(found(&most, most.len() - 1), (false, 1));
        let more = text(MENDS_MAX + 10);
        assert_eq!(found(&more, 10_000), (false, MENDS_MAX));
    }
}
