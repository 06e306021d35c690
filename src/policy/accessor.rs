//! Accessors: where in a request a value stands, such as `body['name']` in `scp:RequestAttribute/body['name']`.

use std::fmt;

/// Longest accessor, in steps.
const STEPS_MAX: usize = 8;

/// A place in a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accessor {
    part: Part,
    steps: Box<[Step]>,
}

/// A part of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The parameters of the path template.
    Path,
    /// The query.
    Query,
    /// The headers; letter case of their names does not count.
    Header,
    /// The JSON body.
    Body,
}

/// A step into a part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// `['name']`; of a header in lower case.
    Member(Box<str>),
    /// `[*]`: every item of a list.
    Each,
}

const PARTS: [(&str, Part); 4] = [("path", Part::Path), ("query", Part::Query), ("header", Part::Header), ("body", Part::Body)];

impl Accessor {
    /// How it is written.
    pub const FORM: &'static str = "path['NAME'], query['NAME'], header['NAME'] or body['NAME']";

    /// Reads one. The word before the bracket has no letter case, names have (R41); those of headers have none either.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (word, mut rest) = text.split_at_checked(text.find('[')?)?;
        let (_, part) = PARTS.iter().find(|(known, _)| known.eq_ignore_ascii_case(word))?;
        let mut steps = Vec::new();
        while !rest.is_empty() {
            let (step, after) = step(rest)?;
            steps.push(match step {
                Step::Member(name) if *part == Part::Header => Step::Member(name.to_ascii_lowercase().into()),
                other @ (Step::Member(_) | Step::Each) => other,
            });
            rest = after;
        }
        let named = matches!(steps.first(), Some(Step::Member(_)));
        let good = named && steps.len() <= STEPS_MAX && (*part == Part::Body || steps.len() == 1);
        good.then(|| Self { part: *part, steps: steps.into() })
    }

    /// Which part of the request it is in.
    #[must_use]
    pub const fn part(&self) -> Part {
        self.part
    }

    /// How to get there: a name first.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// The first name.
    #[must_use]
    pub fn name(&self) -> &str {
        match self.steps.first() {
            Some(Step::Member(name)) => name,
            Some(Step::Each) | None => "",
        }
    }
}

/// The step that a text starts with, and the rest.
fn step(text: &str) -> Option<(Step, &str)> {
    let inside = text.strip_prefix('[')?;
    if let Some(rest) = inside.strip_prefix("*]") {
        return Some((Step::Each, rest));
    }
    let quote = inside.chars().next().filter(|quote| matches!(quote, '\'' | '"'))?;
    let (name, rest) = inside.get(1..)?.split_once(quote)?;
    (!name.is_empty()).then_some((Step::Member(name.into()), rest.strip_prefix(']')?))
}

impl fmt::Display for Accessor {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = PARTS.iter().find(|(_, part)| *part == self.part).map_or("", |(word, _)| word);
        out.write_str(word)?;
        for step in &self.steps {
            match step {
                Step::Member(name) if name.contains('\'') => write!(out, "[\"{name}\"]")?,
                Step::Member(name) => write!(out, "['{name}']")?,
                Step::Each => out.write_str("[*]")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accessors_are_read_and_written_in_one_way() {
        for (text, expected) in [
            ("body['foo']", Some("body['foo']")),
            ("BODY[\"Foo\"]", Some("body['Foo']")),
            ("body[\"it's\"]", Some("body[\"it's\"]")),
            ("body['a']['b'][*]['c']", Some("body['a']['b'][*]['c']")),
            ("header['X-Name']", Some("header['x-name']")),
            ("Query['q']", Some("query['q']")),
            ("path['user_id']", Some("path['user_id']")),
            ("path['a']['b']", None),
            ("query[*]", None),
            ("body[*]", None),
            ("body['']", None),
            ("body['a'", None),
            ("body['a'x", None),
            ("body['a']x", None),
            ("body['a\"]", None),
            ("body[a]", None),
            ("body", None),
            ("foo", None),
            ("cookie['a']", None),
            ("", None),
            (&format!("body{}", "['a']".repeat(STEPS_MAX + 1)), None),
        ] {
            assert_eq!(Accessor::parse(text).map(|accessor| accessor.to_string()).as_deref(), expected, "{text}");
        }
        assert_eq!(Accessor::parse("body['a']['b']").unwrap().name(), "a");
    }
}
