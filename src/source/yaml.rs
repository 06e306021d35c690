//! YAML 1.2 text to trees. Anchors, aliases and tags are refused: what stands in the file is what it says.

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span as YamlSpan, StrInput};

use super::tree::{Key, Node, Position, Source, Span, SyntaxError, Value};

/// How deep lists and mappings may nest.
pub const DEPTH_MAX: usize = 64;
/// How many bytes a file may have.
pub const BYTES_MAX: usize = 256 * 1024 * 1024;

/// Reads every document of a text.
///
/// # Errors
/// The first place that is not YAML, a duplicate key, an anchor, alias or tag, or a limit overrun.
pub fn parse(source: &Source) -> Result<Vec<Node>, SyntaxError> {
    if source.text().len() > BYTES_MAX {
        return Err(SyntaxError::new(Span::default(), format!("the file has more than {BYTES_MAX} bytes")));
    }
    let mut reader = Reader { parser: Parser::new_from_str(source.text()) };
    let mut documents = Vec::new();
    loop {
        let (event, span) = reader.next()?;
        match event {
            Event::StreamEnd => return Ok(documents),
            Event::DocumentStart(_) => documents.push(reader.node(0)?),
            Event::Nothing
            | Event::StreamStart
            | Event::DocumentEnd
            | Event::Alias(_)
            | Event::Scalar(..)
            | Event::SequenceStart(..)
            | Event::SequenceEnd
            | Event::MappingStart(..)
            | Event::MappingEnd => {
                let _ = span;
            }
        }
    }
}

struct Reader<'a> {
    parser: Parser<'a, StrInput<'a>>,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<(Event<'a>, Span), SyntaxError> {
        match self.parser.next_event() {
            Some(Ok((event, span))) => Ok((event, convert(span))),
            Some(Err(error)) => Err(scan_error(&error)),
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn node(&mut self, depth: usize) -> Result<Node, SyntaxError> {
        let (event, span) = self.next()?;
        self.node_of(event, span, depth)
    }

    fn node_of(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Node, SyntaxError> {
        if depth > DEPTH_MAX {
            return Err(SyntaxError::new(span, format!("lists and mappings nest deeper than {DEPTH_MAX}")));
        }
        let value = match event {
            Event::Scalar(text, style, anchor, tag) => {
                refuse_extras(anchor, tag.is_some(), span)?;
                scalar(&text, style)
            }
            Event::SequenceStart(anchor, tag) => {
                refuse_extras(anchor, tag.is_some(), span)?;
                let mut items = Vec::new();
                loop {
                    match self.next()? {
                        (Event::SequenceEnd, _) => break,
                        (event, span) => items.push(self.node_of(event, span, depth + 1)?),
                    }
                }
                Value::List(items)
            }
            Event::MappingStart(anchor, tag) => {
                refuse_extras(anchor, tag.is_some(), span)?;
                Value::Map(self.entries(depth)?)
            }
            Event::Alias(_) => {
                return Err(SyntaxError::new(span, "an alias (`*name`) stands here").hint("write the value out"));
            }
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd
            | Event::SequenceEnd
            | Event::MappingEnd => Value::Null,
        };
        Ok(Node { span, value })
    }

    fn entries(&mut self, depth: usize) -> Result<Vec<(Key, Node)>, SyntaxError> {
        let mut entries: Vec<(Key, Node)> = Vec::new();
        let mut seen = std::collections::HashSet::new();
        loop {
            let (event, span) = self.next()?;
            let text: Box<str> = match event {
                Event::MappingEnd => return Ok(entries),
                Event::Scalar(text, ..) => text.into(),
                Event::Nothing
                | Event::StreamStart
                | Event::StreamEnd
                | Event::DocumentStart(_)
                | Event::DocumentEnd
                | Event::Alias(_)
                | Event::SequenceStart(..)
                | Event::SequenceEnd
                | Event::MappingStart(..) => {
                    return Err(SyntaxError::new(span, "a key must be plain text").hint("quote a text that starts with `{` or `[`"));
                }
            };
            if !seen.insert(text.clone()) {
                return Err(SyntaxError::new(span, format!("the key `{text}` stands twice in one mapping")).hint("keep one of the two"));
            }
            let value = self.node(depth + 1)?;
            entries.push((Key { text, span }, value));
        }
    }
}

fn refuse_extras(anchor: usize, tag: bool, span: Span) -> Result<(), SyntaxError> {
    if anchor != 0 {
        return Err(SyntaxError::new(span, "an anchor (`&name`) stands here").hint("write the value out where it is used"));
    }
    if tag {
        return Err(SyntaxError::new(span, "a tag (`!name`) stands here").hint("remove the tag"));
    }
    Ok(())
}

/// The core schema, strictly: only `true` and `false` are booleans; `yes`, `no`, `on`, `off` are texts.
fn scalar(text: &str, style: ScalarStyle) -> Value {
    if style != ScalarStyle::Plain {
        return Value::String(text.into());
    }
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        _ if is_number(text) => Value::Number(text.into()),
        _ => Value::String(text.into()),
    }
}

fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    !digits.is_empty() && digits.starts_with(|first: char| first.is_ascii_digit()) && digits.parse::<f64>().is_ok_and(f64::is_finite)
}

fn convert(span: YamlSpan) -> Span {
    let start = position(span.start.line(), span.start.col());
    let chars = if span.end.line() == span.start.line() { span.end.col().saturating_sub(span.start.col()) } else { 1 };
    Span { start, chars: u32::try_from(chars.max(1)).unwrap_or(u32::MAX) }
}

fn position(line: usize, column: usize) -> Position {
    Position { line: u32::try_from(line).unwrap_or(u32::MAX), column: u32::try_from(column).unwrap_or(u32::MAX - 1) + 1 }
}

/// What to do about the parser's complaints, by a part of them. The first that fits counts.
const ADVICE: [(&str, &str); 16] = [
    ("tab", "indent with spaces"),
    ("unknown anchor", "write the value out: aliases are refused; quote a text that starts with `*`"),
    (
        "mapping values",
        "write one space after the `:` of the line before, start keys that belong together in one column, or quote a text that has `: ` in it",
    ),
    ("illegal placement", "close the `[` or `{` of a line before"),
    ("flow", "close every `[` and `{`, put commas between items, and quote a text that has one of `{ } [ ] ,` in it"),
    ("misplaced bracket", "remove the bracket, or quote the text that it belongs to"),
    ("expected key", "start keys that belong together in one column, below the key they belong to"),
    ("expected '-'", "start the items of a list in one column, each with `- `"),
    ("block sequence entries", "start the items of a list in one column, each with `- `"),
    ("simple key", "write `KEY: VALUE`, with one space after the colon"),
    ("indentation in quoted", "close the quote on the same line"),
    ("quoted scalar, found unexpected end", "close the quote on the same line"),
    ("escape", "write `\\\\` for a backslash in double quotes, or use single quotes"),
    ("unexpected character", "put the text in quotes"),
    ("trailing content", "put the whole text in quotes"),
    ("indentation", "start keys that belong together in one column, and what belongs to a key below it, indented"),
];

fn scan_error(error: &ScanError) -> SyntaxError {
    let place = error.marker();
    let span = Span::at(position(place.line(), place.col()));
    let found = SyntaxError::new(span, format!("this is not YAML: {}", error.info()));
    match ADVICE.iter().find(|(part, _)| error.info().contains(part)) {
        Some((_, advice)) => found.hint(*advice),
        None => found,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<Node>, SyntaxError> {
        parse(&Source::new("t.yaml", text))
    }

    #[test]
    fn values_keep_their_place_and_their_text() {
        let documents = read("a: 1\nb:\n  - x\n  - 010\n---\nc: no\n").unwrap();
        assert_eq!(documents.len(), 2);
        let a = documents[0].get("a").unwrap();
        assert_eq!(a.value, Value::Number("1".into()));
        assert_eq!(a.span.start, Position { line: 1, column: 4 });
        let Value::List(items) = &documents[0].get("b").unwrap().value else { panic!("not a list") };
        assert_eq!(items[1].value, Value::Number("010".into()));
        assert_eq!(documents[1].get("c").unwrap().value, Value::String("no".into()));
    }

    #[test]
    fn what_hides_meaning_is_refused() {
        for (text, part) in [
            ("a: 1\na: 2\n", "stands twice"),
            ("a: &x 1\nb: *x\n", "anchor"),
            ("a: !!str 1\n", "tag"),
            ("a: [1, 2\n", "not YAML"),
            ("a: *x\n", "anchor"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.message.contains(part), "{text:?}: {error}");
        }
        let deep = "[".repeat(1000);
        assert!(read(&deep).is_err());
    }
}
