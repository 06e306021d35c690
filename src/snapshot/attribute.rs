//! Where the tags and attributes of a resource come from: a path on its service's upstream, and a path in the answer (contracts C6, C10).

use std::fmt::Write as _;

use crate::policy::Stored;
use crate::source::{Node, Value};

/// Longest path into an answer, in steps.
const STEPS_MAX: usize = 16;

/// A source of tags or of an attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttributeSource {
    /// What is asked for, with GET.
    pub uri: UriTemplate,
    /// Where it stands in the answer.
    pub path: JsonPath,
}

/// The path of a request, with variables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UriTemplate(Box<[Part]>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(Box<str>),
    Account,
    Region,
    Id,
}

const VARIABLES: [(&str, Part); 3] = [("{account_id}", Part::Account), ("{region}", Part::Region), ("{resource_id}", Part::Id)];

/// What a template is filled with.
#[derive(Debug, Clone, Copy)]
pub struct Name<'a> {
    /// The resource's account.
    pub account: &'a str,
    /// Its region.
    pub region: &'a str,
    /// Its id.
    pub id: &'a str,
}

impl UriTemplate {
    /// Reads a template such as `/v1/users/{resource_id}`.
    ///
    /// # Errors
    /// A sentence that says what is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        if !text.starts_with('/') || text.starts_with("//") {
            return Err(format!("`{text}` is no path: it does not start with one `/`"));
        }
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(start) = rest.find('{') {
            let (before, found) = rest.split_at_checked(start).unwrap_or((rest, ""));
            let variable = VARIABLES.iter().find(|(name, _)| found.starts_with(name));
            let Some((name, part)) = variable else {
                return Err(format!("`{text}` has a variable that is none of {{account_id}}, {{region}} and {{resource_id}}"));
            };
            parts.extend([Part::Text(before.into()), part.clone()]);
            rest = found.get(name.len()..).unwrap_or_default();
        }
        parts.push(Part::Text(rest.into()));
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,=:@/%?".contains(&byte);
        let good = |part: &Part| match part {
            Part::Text(text) => text.bytes().all(plain),
            Part::Account | Part::Region | Part::Id => true,
        };
        if !parts.iter().all(good) {
            return Err(format!("`{text}` has a character that no path and query may have"));
        }
        if !parts.contains(&Part::Id) {
            return Err(format!("`{text}` does not say which resource: it has no {{resource_id}}"));
        }
        Ok(Self(parts.into()))
    }

    /// The path for one resource; `None` when a value cannot be one segment of a path.
    ///
    /// SECURITY: each value becomes one segment, whatever is in it: `a/../b` and `.` lead nowhere else.
    #[must_use]
    pub fn fill(&self, name: &Name<'_>) -> Option<String> {
        let mut filled = String::new();
        for part in &self.0 {
            let value = match part {
                Part::Text(text) => {
                    filled.push_str(text);
                    continue;
                }
                Part::Account => name.account,
                Part::Region => name.region,
                Part::Id => name.id,
            };
            if matches!(value, "" | "." | "..") {
                return None;
            }
            encode(value, &mut filled);
        }
        Some(filled)
    }
}

/// Everything but unreserved characters as `%XX` (RFC 3986, section 2.3).
fn encode(value: &str, out: &mut String) {
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            // Writing into a text never fails.
            let _ = write!(out, "%{byte:02X}");
        }
    }
}

/// A path into a JSON value: `$.a.b`, `$['a']`, `$.list[0]`, `$.list[*].name` (a part of RFC 9535).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonPath(Box<[Step]>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Member(Box<str>),
    Item(usize),
    Each,
}

impl JsonPath {
    /// Reads a path.
    ///
    /// # Errors
    /// A sentence that says what is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        let refuse = || format!("`{text}` is not a path into JSON such as `$.state`, `$['state']`, `$.list[0]` or `$.list[*].name`");
        let mut rest = text.strip_prefix('$').ok_or_else(refuse)?;
        let mut steps = Vec::new();
        while !rest.is_empty() {
            let (step, after) = step(rest).ok_or_else(refuse)?;
            steps.push(step);
            rest = after;
        }
        if steps.len() > STEPS_MAX {
            return Err(format!("`{text}` has {} steps; the limit is {STEPS_MAX}", steps.len()));
        }
        Ok(Self(steps.into()))
    }

    /// Every value that stands there.
    #[must_use]
    pub fn find<'n>(&self, root: &'n Node) -> Vec<&'n Node> {
        let mut found = vec![root];
        for step in &self.0 {
            found = found
                .into_iter()
                .flat_map(|node| match (step, &node.value) {
                    (Step::Member(name), Value::Map(_)) => node.get(name).into_iter().collect(),
                    (Step::Item(index), Value::List(items)) => items.get(*index).into_iter().collect(),
                    (Step::Each, Value::List(items)) => items.iter().collect(),
                    (Step::Member(_) | Step::Item(_) | Step::Each, _) => Vec::new(),
                })
                .collect();
        }
        found
    }

    /// The values that an attribute has.
    #[must_use]
    pub fn values(&self, root: &Node) -> Stored {
        Stored::of(self.find(root))
    }
}

fn step(text: &str) -> Option<(Step, &str)> {
    if let Some(rest) = text.strip_prefix('.') {
        let end =
            rest.find(|character: char| !character.is_ascii_alphanumeric() && character != '_' && character != '-').unwrap_or(rest.len());
        let (name, after) = rest.split_at_checked(end)?;
        return (!name.is_empty()).then(|| (Step::Member(name.into()), after));
    }
    let inside = text.strip_prefix('[')?;
    if let Some(after) = inside.strip_prefix("*]") {
        return Some((Step::Each, after));
    }
    if let Some(quote) = inside.chars().next().filter(|quote| matches!(quote, '\'' | '"')) {
        let (name, after) = inside.get(1..)?.split_once(quote)?;
        return Some((Step::Member(name.into()), after.strip_prefix(']')?));
    }
    let (digits, after) = inside.split_once(']')?;
    digits.bytes().all(|byte| byte.is_ascii_digit()).then_some(())?;
    Some((Step::Item(digits.parse().ok()?), after))
}

/// Tags in JSON: an object, or a list of objects with `key` and `value`. `None` for anything else.
#[must_use]
pub fn tags(node: &Node) -> Option<Vec<(Box<str>, Stored)>> {
    let text = |node: &Node| match &node.value {
        Value::String(text) => Some(text.clone()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::List(_) | Value::Map(_) => None,
    };
    match &node.value {
        Value::Null => Some(Vec::new()),
        Value::Map(members) => members.iter().map(|(key, value)| Some((key.text.clone(), Stored::of([value])))).collect(),
        Value::List(items) => {
            let tag = |item: &Node| {
                let value = item.get("value").map_or_else(Stored::default, |value| Stored::of([value]));
                Some((text(item.get("key")?)?, value))
            };
            items.iter().map(tag).collect()
        }
        Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Scalar;
    use crate::source::json;

    #[test]
    fn a_uri_keeps_each_value_in_one_segment() {
        let name = |id| Name { account: "acc", region: "kr-west1", id };
        for (template, id, expected) in [
            ("/v1/users/{resource_id}", "u1", Some("/v1/users/u1")),
            ("/v1/users/{resource_id}", "a/../b?c#d", Some("/v1/users/a%2F..%2Fb%3Fc%23d")),
            ("/v1/users/{resource_id}", "..", None),
            ("/v1/users/{resource_id}", ".", None),
            ("/v1/users/{resource_id}", "", None),
            ("/{account_id}/{region}/{resource_id}/tags?all=1", "한", Some("/acc/kr-west1/%ED%95%9C/tags?all=1")),
        ] {
            assert_eq!(UriTemplate::parse(template).unwrap().fill(&name(id)).as_deref(), expected, "{template} {id}");
        }
        for bad in [
            "v1/{resource_id}",
            "//host/{resource_id}",
            "/v1/{user_id}",
            "/v1/{resource_id",
            "/v1/users",
            "/v1/ {resource_id}",
            "/{resource_id}#x",
        ] {
            assert!(UriTemplate::parse(bad).is_err(), "{bad}");
        }
    }

    fn texts(stored: &Stored) -> Vec<Option<String>> {
        let text = |value: Scalar<'_>| match value {
            Scalar::Text(text) => Some(text.to_owned()),
            Scalar::Bool(_) | Scalar::Address(_) | Scalar::Time(_) | Scalar::Other => None,
        };
        stored.scalars().into_iter().map(text).collect()
    }

    #[test]
    fn a_path_finds_what_stands_there() {
        let body = r#"{"state": "ACTIVE", "n": 4.0, "b": true, "none": null, "list": [{"name": "a"}, {"name": "b"}, {}], "o": {"x": 1}, "m": ["p", null, "q"]}"#;
        let root = json::parse(body.as_bytes(), json::Limits { bytes_max: 1000, depth_max: 8 }).unwrap();
        for (path, expected) in [
            ("$.state", &[Some("ACTIVE")][..]),
            ("$['state']", &[Some("ACTIVE")]),
            ("$.n", &[Some("4.0")]),
            ("$.b", &[Some("true")]),
            ("$.none", &[]),
            ("$.nothing", &[]),
            ("$.list[1].name", &[Some("b")]),
            ("$.list[*].name", &[Some("a"), Some("b")]),
            ("$.list[9].name", &[]),
            ("$.o", &[None]),
            ("$.o.x", &[Some("1")]),
            ("$.m", &[Some("p"), Some("q")]),
        ] {
            let found = texts(&JsonPath::parse(path).unwrap().values(&root));
            assert_eq!(found.iter().map(Option::as_deref).collect::<Vec<_>>(), expected, "{path}");
        }
        for bad in [
            "state",
            "$state",
            "$.",
            "$..a",
            "$[?(@.a)]",
            "$.a[",
            "$.a[-1]",
            "$.a[1:2]",
            "$['a",
            "$.a b",
            "",
            &format!("${}", ".a".repeat(17)),
        ] {
            assert!(JsonPath::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn tags_are_read_in_both_of_their_forms() {
        for (body, expected) in [
            (r#"{"team": "red", "cost": null}"#, Some(&[("team", 1), ("cost", 0)][..])),
            (r#"[{"key": "team", "value": "red"}, {"key": "bare"}]"#, Some(&[("team", 1), ("bare", 0)])),
            ("null", Some(&[])),
            ("[]", Some(&[])),
            (r#"["team"]"#, None),
            (r#"[{"value": "red"}]"#, None),
            (r#""team""#, None),
        ] {
            let root = json::parse(body.as_bytes(), json::Limits { bytes_max: 1000, depth_max: 8 }).unwrap();
            let found =
                tags(&root).map(|tags| tags.into_iter().map(|(key, values)| (key.to_string(), values.scalars().len())).collect::<Vec<_>>());
            let expected = expected.map(|tags| tags.iter().map(|(key, count)| ((*key).to_owned(), *count)).collect::<Vec<_>>());
            assert_eq!(found, expected, "{body}");
        }
    }
}
