//! Strict JSON (RFC 8259) to trees: no comments, no trailing commas, no duplicate members, nothing after the value.

use super::tree::{Key, Node, Position, Span, SyntaxError, Value};

/// What a reader of JSON allows.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of the whole text.
    pub bytes_max: usize,
    /// Nesting of arrays and objects.
    pub depth_max: usize,
}

/// Reads one JSON text.
///
/// # Errors
/// The first place that is not strict JSON, or a limit overrun.
pub fn parse(text: &[u8], limits: Limits) -> Result<Node, SyntaxError> {
    if text.len() > limits.bytes_max {
        let message = format!("the text has {} bytes; the limit is {}", text.len(), limits.bytes_max);
        return Err(SyntaxError::new(Span::at(Position { line: 1, column: 1 }), message));
    }
    let text = match std::str::from_utf8(text) {
        Ok(text) => text,
        Err(error) => {
            let good = text.get(..error.valid_up_to()).and_then(|good| std::str::from_utf8(good).ok()).unwrap_or("");
            let mut reader = Reader::new(good, limits);
            while reader.bump().is_some() {}
            return Err(SyntaxError::new(Span::at(reader.place), "the text is not UTF-8"));
        }
    };
    let mut reader = Reader::new(text, limits);
    if reader.peek() == Some('\u{FEFF}') {
        return Err(reader.error("the text starts with a byte order mark").hint("save it as UTF-8 without a byte order mark"));
    }
    reader.space()?;
    let node = reader.value(0)?;
    reader.space()?;
    if reader.peek().is_some() {
        return Err(reader.error("something stands after the end of the value").hint("keep one value per text"));
    }
    Ok(node)
}

/// The shortest text of a tree.
#[must_use]
pub fn print(node: &Node) -> String {
    let mut text = String::new();
    write(node, &mut text);
    text
}

fn write(node: &Node, out: &mut String) {
    match &node.value {
        Value::Null => out.push_str("null"),
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Number(text) => out.push_str(text),
        Value::String(text) => out.push_str(&quoted(text)),
        Value::List(items) => {
            out.push('[');
            for (place, item) in items.iter().enumerate() {
                out.push_str(if place == 0 { "" } else { "," });
                write(item, out);
            }
            out.push(']');
        }
        Value::Map(entries) => {
            out.push('{');
            for (place, (key, item)) in entries.iter().enumerate() {
                out.push_str(if place == 0 { "" } else { "," });
                out.push_str(&quoted(&key.text));
                out.push(':');
                write(item, out);
            }
            out.push('}');
        }
    }
}

/// A text in quotes, with what JSON escapes.
#[must_use]
pub fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

struct Reader<'a> {
    rest: std::str::Chars<'a>,
    place: Position,
    limits: Limits,
}

impl<'a> Reader<'a> {
    fn new(text: &'a str, limits: Limits) -> Self {
        Self { rest: text.chars(), place: Position { line: 1, column: 1 }, limits }
    }

    fn peek(&self) -> Option<char> {
        self.rest.clone().next()
    }

    fn bump(&mut self) -> Option<char> {
        let character = self.rest.next()?;
        if character == '\n' {
            self.place.line += 1;
            self.place.column = 1;
        } else {
            self.place.column += 1;
        }
        Some(character)
    }

    fn error(&self, message: impl Into<String>) -> SyntaxError {
        SyntaxError::new(Span::at(self.place), message)
    }

    fn since(&self, start: Position) -> Span {
        let chars = if self.place.line == start.line { self.place.column - start.column } else { 1 };
        Span { start, chars: chars.max(1) }
    }

    fn space(&mut self) -> Result<(), SyntaxError> {
        while let Some(character) = self.peek() {
            match character {
                ' ' | '\t' | '\n' | '\r' => {
                    self.bump();
                }
                '#' | '/' => {
                    return Err(self.error("a comment stands here; JSON has none").hint("remove it"));
                }
                _ => break,
            }
        }
        Ok(())
    }

    fn value(&mut self, depth: usize) -> Result<Node, SyntaxError> {
        let start = self.place;
        let value = match self.peek() {
            None => return Err(self.error("the text ends where a value should stand")),
            Some('{') => self.object(depth)?,
            Some('[') => self.array(depth)?,
            Some('"') => Value::String(self.string()?),
            Some('-' | '0'..='9') => Value::Number(self.number()?),
            Some('t' | 'f' | 'n') => self.word()?,
            Some(quote @ ('\'' | '\u{201C}' | '\u{201D}')) => return Err(self.wrong_quote(quote)),
            Some(other) => return Err(self.unexpected(other)),
        };
        Ok(Node { span: self.since(start), value })
    }

    fn unexpected(&mut self, first: char) -> SyntaxError {
        let start = self.place;
        let mut word = String::new();
        while let Some(character) = self.peek().filter(|character| character.is_alphanumeric() || ":_-./*".contains(*character)) {
            word.push(character);
            self.bump();
        }
        if word.is_empty() {
            return SyntaxError::new(Span::at(start), format!("`{}` cannot start a value", first.escape_default()));
        }
        SyntaxError::new(self.since(start), format!("`{word}` is not a JSON value")).hint(format!("quote it: \"{word}\""))
    }

    /// A text in quotes that start none.
    fn wrong_quote(&self, quote: char) -> SyntaxError {
        let (name, closes) = if quote == '\'' { ("single", &['\''][..]) } else { ("curly", &['\u{201C}', '\u{201D}'][..]) };
        let line = self.rest.as_str().lines().next().unwrap_or_default();
        let text = line.strip_prefix(quote).and_then(|rest| rest.split_once(closes)).map_or("...", |(text, _)| text);
        self.error(format!("a {name} quote starts no text")).hint(format!("use straight double quotes: \"{text}\""))
    }

    /// What stands where a member of an object should start; behind a comma, if that is where.
    fn no_name(&mut self, comma: Option<Position>) -> SyntaxError {
        match (self.peek(), comma) {
            (Some('}'), Some(comma)) => comma_before(comma, '}'),
            (Some(quote @ ('\'' | '\u{201C}' | '\u{201D}')), _) => self.wrong_quote(quote),
            (Some(letter), _) if letter.is_alphabetic() => {
                let start = self.place;
                let mut word = String::new();
                while let Some(character) = self.peek().filter(|character| character.is_alphanumeric() || "_-".contains(*character)) {
                    word.push(character);
                    self.bump();
                }
                SyntaxError::new(self.since(start), format!("the member name `{word}` has no quotes")).hint(format!("write \"{word}\""))
            }
            (_, _) => self.error("a member name should stand here").hint("write \"name\": value"),
        }
    }

    fn enter(&self, depth: usize) -> Result<(), SyntaxError> {
        if depth >= self.limits.depth_max {
            return Err(self.error(format!("arrays and objects nest deeper than {}", self.limits.depth_max)));
        }
        Ok(())
    }

    fn object(&mut self, depth: usize) -> Result<Value, SyntaxError> {
        self.enter(depth)?;
        self.bump();
        let mut entries: Vec<(Key, Node)> = Vec::new();
        let mut seen = std::collections::HashSet::new();
        self.space()?;
        if self.peek() == Some('}') {
            self.bump();
            return Ok(Value::Map(entries));
        }
        let mut comma = None;
        loop {
            let start = self.place;
            if self.peek() != Some('"') {
                return Err(self.no_name(comma));
            }
            let text = self.string()?;
            let key = Key { text, span: self.since(start) };
            if !seen.insert(key.text.clone()) {
                return Err(SyntaxError::new(key.span, format!("the member `{}` stands twice in one object", key.text))
                    .hint("keep one of the two: readers disagree on which one counts"));
            }
            self.space()?;
            if self.peek() != Some(':') {
                let hint = "write `: value` behind it; several values of one member stand in a list: [\"one\", \"two\"]";
                return Err(self.error(format!("a `:` should follow the member name `{}`", key.text)).hint(hint));
            }
            self.bump();
            self.space()?;
            let value = self.value(depth + 1)?;
            entries.push((key, value));
            comma = self.separator('}', "object")?;
            if comma.is_none() {
                return Ok(Value::Map(entries));
            }
        }
    }

    fn array(&mut self, depth: usize) -> Result<Value, SyntaxError> {
        self.enter(depth)?;
        self.bump();
        let mut items = Vec::new();
        self.space()?;
        if self.peek() == Some(']') {
            self.bump();
            return Ok(Value::List(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            let Some(comma) = self.separator(']', "array")? else { return Ok(Value::List(items)) };
            if self.peek() == Some(']') {
                return Err(comma_before(comma, ']'));
            }
        }
    }

    /// After a member or an item: where the comma stood, or `None` at the closing bracket.
    fn separator(&mut self, close: char, of: &str) -> Result<Option<Position>, SyntaxError> {
        let end = self.place;
        self.space()?;
        let comma = self.place;
        match self.peek() {
            Some(',') => {
                self.bump();
                self.space()?;
                Ok(Some(comma))
            }
            Some(found) if found == close => {
                self.bump();
                Ok(None)
            }
            None => Err(self.error(format!("the text ends inside an {of}")).hint(format!("close it with `{close}`"))),
            Some(found @ (']' | '}')) => {
                Err(self.error(format!("the {of} is not closed before this `{found}`")).hint(format!("close it with `{close}`")))
            }
            Some(':') if close == ']' => {
                Err(self.error("a `:` stands inside an array").hint("close the array with `]` before this member"))
            }
            Some('"') => Err(SyntaxError::new(Span::at(end), "a comma is missing here").hint("write `,`")),
            Some(_) => Err(SyntaxError::new(Span::at(end), "a comma is missing here").hint(format!("write `,` or `{close}`"))),
        }
    }

    fn string(&mut self) -> Result<Box<str>, SyntaxError> {
        let start = self.place;
        self.bump();
        let mut text = String::new();
        loop {
            let here = self.place;
            match self.bump() {
                None | Some('\n') => {
                    return Err(SyntaxError::new(Span::at(start), "this text is not closed").hint("add a \" at its end"));
                }
                Some('"') => return Ok(text.into()),
                Some('\\') => text.push(self.escape(here)?),
                Some(control) if (control as u32) < 0x20 => {
                    return Err(SyntaxError::new(Span::at(here), "a control character stands inside a text")
                        .hint(format!("write it as \\u{:04x}", control as u32)));
                }
                Some(other) => text.push(other),
            }
        }
    }

    fn escape(&mut self, start: Position) -> Result<char, SyntaxError> {
        match self.bump() {
            Some('"') => Ok('"'),
            Some('\\') => Ok('\\'),
            Some('/') => Ok('/'),
            Some('b') => Ok('\u{8}'),
            Some('f') => Ok('\u{C}'),
            Some('n') => Ok('\n'),
            Some('r') => Ok('\r'),
            Some('t') => Ok('\t'),
            Some('u') => self.unicode_escape(start),
            Some(_) | None => Err(SyntaxError::new(self.since(start), "an unknown escape stands in a text")
                .hint("JSON has \\\" \\\\ \\/ \\b \\f \\n \\r \\t and \\uXXXX")),
        }
    }

    fn unicode_escape(&mut self, start: Position) -> Result<char, SyntaxError> {
        let bad = |reader: &Self| SyntaxError::new(reader.since(start), "a \\u escape is not a Unicode character");
        let first = self.four_hex().ok_or_else(|| bad(self))?;
        if let Some(character) = char::from_u32(first) {
            return Ok(character);
        }
        if (0xD800..0xDC00).contains(&first) && self.bump() == Some('\\') && self.bump() == Some('u') {
            let second = self.four_hex().ok_or_else(|| bad(self))?;
            if (0xDC00..0xE000).contains(&second) {
                let scalar = 0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00);
                return char::from_u32(scalar).ok_or_else(|| bad(self));
            }
        }
        Err(bad(self))
    }

    fn four_hex(&mut self) -> Option<u32> {
        let mut value = 0;
        for _ in 0..4 {
            value = value * 16 + self.bump()?.to_digit(16)?;
        }
        Some(value)
    }

    fn number(&mut self) -> Result<Box<str>, SyntaxError> {
        let start = self.place;
        let mut text = String::new();
        while let Some(character) = self.peek().filter(|character| character.is_ascii_alphanumeric() || "+-.".contains(*character)) {
            text.push(character);
            self.bump();
        }
        if is_json_number(&text) {
            return Ok(text.into());
        }
        Err(SyntaxError::new(self.since(start), format!("`{text}` is not a JSON number")).hint(format!("quote it: \"{text}\"")))
    }

    fn word(&mut self) -> Result<Value, SyntaxError> {
        for (word, value) in [("true", Value::Bool(true)), ("false", Value::Bool(false)), ("null", Value::Null)] {
            if self.rest.as_str().strip_prefix(word).is_some_and(|rest| !rest.starts_with(|next: char| next.is_alphanumeric())) {
                for _ in 0..word.len() {
                    self.bump();
                }
                return Ok(value);
            }
        }
        let first = self.peek().unwrap_or(' ');
        Err(self.unexpected(first))
    }
}

/// A comma that nothing follows.
fn comma_before(comma: Position, close: char) -> SyntaxError {
    SyntaxError::new(Span::at(comma), format!("a comma stands before `{close}`")).hint("remove the comma")
}

/// RFC 8259 section 6: `-`? int frac? exp?, without leading zeros.
fn is_json_number(text: &str) -> bool {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['+', '-']).unwrap_or(exponent))),
        None => (unsigned, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    digits(whole) && (whole == "0" || !whole.starts_with('0')) && fraction.is_none_or(digits) && exponent.is_none_or(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { bytes_max: 1 << 20, depth_max: 64 };

    #[test]
    fn strict_json_is_read() {
        let node = parse(b" {\"a\": [1, -0.5e3, \"x\\u00e9\\ud83d\\ude00\"], \"b\": null, \"c\": true} ", LIMITS).unwrap();
        let Value::List(items) = &node.get("a").unwrap().value else { panic!("not a list") };
        assert_eq!(items[1].value, Value::Number("-0.5e3".into()));
        assert_eq!(items[2].value, Value::String("x\u{e9}\u{1F600}".into()));
        assert_eq!(node.get("b").unwrap().value, Value::Null);
        assert_eq!(node.get("a").unwrap().span.start, Position { line: 1, column: 8 });
    }

    #[test]
    fn what_is_not_strict_json_is_refused_with_its_place() {
        for (text, line, column, part) in [
            ("{\"a\": 1,\n}", 1, 8, "comma stands before `}`"),
            ("{,}", 1, 2, "member name should stand"),
            ("{a_b: 1}", 1, 2, "`a_b` has no quotes"),
            ("{“a”: 1}", 1, 2, "curly quote"),
            ("{\"a\": [1}", 1, 9, "not closed before this `}`"),
            ("[1,]", 1, 3, "comma stands before"),
            ("{\"a\": 1\n \"b\": 2}", 1, 8, "comma is missing"),
            ("{\"a\": 1} x", 1, 10, "after the end"),
            ("{\"a\": 1, \"a\": 2}", 1, 10, "stands twice"),
            ("[1, # no\n2]", 1, 5, "comment"),
            ("{\"a\": Allow}", 1, 7, "not a JSON value"),
            ("[01]", 1, 2, "not a JSON number"),
            ("[\"a\tb\"]", 1, 4, "control character"),
            ("[\"a", 1, 2, "not closed"),
            ("['a']", 1, 2, "single quote"),
            ("[\"\\ud800\"]", 1, 3, "Unicode"),
            ("", 1, 1, "ends where"),
            ("\u{feff}{}", 1, 1, "byte order mark"),
            ("{\"a\" 1}", 1, 6, "`:` should follow"),
        ] {
            let error = parse(text.as_bytes(), LIMITS).unwrap_err();
            assert!(error.message.contains(part), "{text:?}: {error}");
            assert_eq!(error.span.start, Position { line, column }, "{text:?}: {error}");
        }
    }

    #[test]
    fn depth_and_bytes_are_bounded() {
        let deep = "[".repeat(100_000);
        assert!(parse(deep.as_bytes(), LIMITS).unwrap_err().message.contains("nest deeper than 64"));
        let long = vec![b' '; (1 << 20) + 1];
        assert!(parse(&long, LIMITS).unwrap_err().message.contains("the limit is"));
        assert!(parse(b"[\"\xff\"]", LIMITS).unwrap_err().message.contains("UTF-8"));
    }
}
