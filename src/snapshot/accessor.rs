//! Accessor expressions of action definitions: where in a request an id, an account or a region stands.
//!
//! `path['user_id']`, `query['id']`, `header['X-Region']`, `body['ids'][*]`, `host['region']`, `principal`,
//! `'text'`, `base64(...)`, `join(a, b)` for one text after the other, and `a ?? b` for the first that is present (contracts C6).

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use http::{HeaderMap, HeaderName};
use smallvec::SmallVec;

use crate::policy::{self, Accessor, Part, Scalar};
use crate::source::{Node, Value};
use crate::types::path::percent_decoded;

/// Values an expression yields: usually one, more for `[*]`.
pub type Values<'a> = SmallVec<[Cow<'a, str>; 2]>;
/// Most values one expression may yield.
pub const VALUES_MAX: usize = 1_000;

/// A parsed expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expression {
    alternatives: Vec<Term>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Term {
    Path { index: Option<usize>, name: Box<str> },
    Query(Box<str>),
    Header(HeaderName),
    Body(Vec<Step>),
    Host(Box<str>),
    Principal,
    Literal(Box<str>),
    Base64(Box<Expression>),
    Join(Vec<Expression>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Member(Box<str>),
    Each,
}

/// What an expression reads from.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a> {
    /// The path's parameters in the order of the template, decoded.
    pub parameters: &'a [&'a str],
    /// The raw query, without `?`.
    pub query: &'a str,
    /// The headers.
    pub headers: &'a HeaderMap,
    /// The JSON body, when the operation reads it.
    pub body: Option<&'a Node>,
    /// What the service's host pattern took from the Host.
    pub host: &'a [(Box<str>, Box<str>)],
    /// The caller's account.
    pub account: &'a str,
}

/// Why an expression yields nothing usable from a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccessError {
    /// It is not there.
    #[error("{0} is missing")]
    Missing(String),
    /// It is there more than once.
    #[error("{0} stands more than once")]
    Repeated(String),
    /// It is there, but not as text.
    #[error("{0} is not a text or number")]
    NotText(String),
    /// Not the Base64 it should be.
    #[error("{0} is not Base64 of a text")]
    Base64(String),
    /// A query with a name that not everybody decodes alike.
    #[error("the query has a name that is not UTF-8 in plain percent-encoding, so {0} may have another reading")]
    Name(String),
    /// A query that can be cut in two ways.
    #[error("the query has a raw `;`, which some readers take for `&`: send it as `%3B`, so {0} has one reading")]
    Separator(String),
    /// More than [`VALUES_MAX`].
    #[error("{0} has more than {VALUES_MAX} values")]
    Many(String),
}

impl Expression {
    /// Parses an expression; `parameters` are the names in the path template.
    ///
    /// # Errors
    /// A sentence that says what is wrong.
    pub fn parse(text: &str, parameters: &[&str]) -> Result<Self, String> {
        Self::parse_shared(text, parameters, &[])
    }

    /// Parses an expression that stands once for many paths: a parameter that only other templates of the definition
    /// have (`elsewhere`) is missing in this one, so that `path['account_id'] ?? principal` can stand for all.
    ///
    /// # Errors
    /// A sentence that says what is wrong; a parameter that no template has is a misspelling.
    pub fn parse_shared(text: &str, parameters: &[&str], elsewhere: &[&str]) -> Result<Self, String> {
        let mut reader = Reader { rest: text.trim(), parameters, elsewhere };
        let expression = reader.expression()?;
        if reader.rest.is_empty() { Ok(expression) } else { Err(format!("`{}` should not stand here", reader.rest)) }
    }

    /// The expression `principal`: the caller's account.
    #[must_use]
    pub fn principal() -> Self {
        Self { alternatives: vec![Term::Principal] }
    }

    /// The empty text.
    #[must_use]
    pub fn empty() -> Self {
        Self { alternatives: vec![Term::Literal("".into())] }
    }

    /// Whether it reads the body.
    #[must_use]
    pub fn needs_body(&self) -> bool {
        self.alternatives.iter().any(|term| match term {
            Term::Body(_) => true,
            Term::Base64(inner) => inner.needs_body(),
            Term::Join(parts) => parts.iter().any(Self::needs_body),
            Term::Path { .. } | Term::Query(_) | Term::Header(_) | Term::Host(_) | Term::Principal | Term::Literal(_) => false,
        })
    }

    /// Every value; at least one.
    ///
    /// # Errors
    /// When no alternative is present, or one is present but not usable.
    pub fn evaluate<'a>(&'a self, inputs: &Inputs<'a>) -> Result<Values<'a>, AccessError> {
        let mut missing = None;
        for term in &self.alternatives {
            match term.evaluate(inputs) {
                Err(AccessError::Missing(what)) => {
                    missing.get_or_insert(what);
                }
                other => return other,
            }
        }
        Err(AccessError::Missing(missing.unwrap_or_default()))
    }

    /// The one value.
    ///
    /// # Errors
    /// As [`Self::evaluate`], and when there are several.
    pub fn evaluate_one<'a>(&'a self, inputs: &Inputs<'a>) -> Result<Cow<'a, str>, AccessError> {
        let mut values = self.evaluate(inputs)?;
        match (values.pop(), values.is_empty()) {
            (Some(value), true) => Ok(value),
            (Some(_) | None, _) => Err(AccessError::Repeated("a single value".to_owned())),
        }
    }
}

impl Term {
    fn evaluate<'a>(&'a self, inputs: &Inputs<'a>) -> Result<Values<'a>, AccessError> {
        let one = |value: Cow<'a, str>| Ok(SmallVec::from_iter([value]));
        match self {
            Self::Path { index, name } => match index.and_then(|index| inputs.parameters.get(index)) {
                Some(value) => one(Cow::Borrowed(value)),
                None => Err(AccessError::Missing(format!("`path['{name}']`"))),
            },
            Self::Query(name) => one(query_value(inputs.query, name)?),
            Self::Header(name) => one(header_value(inputs.headers, name)?),
            Self::Body(steps) => {
                let mut values = Values::new();
                let body = inputs.body.ok_or_else(|| AccessError::Missing("the body".to_owned()))?;
                collect(body, steps, &mut values, steps)?;
                if values.is_empty() { Err(AccessError::Missing(shown(steps))) } else { Ok(values) }
            }
            Self::Host(name) => match inputs.host.iter().find(|(label, _)| label == name) {
                Some((_, value)) => one(Cow::Borrowed(value)),
                None => Err(AccessError::Missing(format!("`host['{name}']`"))),
            },
            Self::Principal => one(Cow::Borrowed(inputs.account)),
            Self::Literal(text) => one(Cow::Borrowed(text)),
            Self::Join(parts) => {
                let texts: Result<Vec<_>, _> = parts.iter().map(|part| part.evaluate_one(inputs)).collect();
                one(Cow::Owned(texts?.concat()))
            }
            Self::Base64(inner) => inner.evaluate(inputs)?.into_iter().map(|value| base64_text(&value)).collect(),
        }
    }
}

/// The values that stand at a place of the request, for a condition (`scp:RequestAttribute/...`). What could be read in more than one
/// way is handed over as something that no condition can test.
pub fn read_attribute(accessor: &Accessor, names: &[Box<str>], inputs: &Inputs<'_>, take: &mut dyn FnMut(Scalar<'_>)) {
    let found = match accessor.part() {
        Part::Path => {
            let place = names.iter().position(|name| **name == *accessor.name());
            place.and_then(|place| inputs.parameters.get(place)).iter().for_each(|value| take(Scalar::Text(value)));
            return;
        }
        Part::Query => query_value(inputs.query, accessor.name()),
        Part::Header => match accessor.name().parse::<HeaderName>() {
            Ok(name) => header_value(inputs.headers, &name),
            // No request has such a header.
            Err(_) => return,
        },
        Part::Body => return inputs.body.into_iter().for_each(|body| read_body(body, accessor.steps(), take)),
    };
    match found {
        Ok(value) => take(Scalar::Text(&value)),
        Err(AccessError::Missing(_)) => {}
        Err(_) => take(Scalar::Other),
    }
}

fn read_body(node: &Node, steps: &[policy::Step], take: &mut dyn FnMut(Scalar<'_>)) {
    let Some((step, rest)) = steps.split_first() else {
        return match &node.value {
            Value::Null => {}
            Value::String(text) => take(Scalar::Text(text)),
            Value::Number(text) if is_plain_decimal(text) => take(Scalar::Text(text)),
            Value::Bool(value) => take(Scalar::Bool(*value)),
            Value::List(items) => items.iter().for_each(|item| match &item.value {
                Value::List(_) => take(Scalar::Other),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Map(_) => read_body(item, &[], take),
            }),
            // `7.0` is 7 to some readers and another text to us.
            Value::Number(_) | Value::Map(_) => take(Scalar::Other),
        };
    };
    match (step, &node.value) {
        (policy::Step::Member(name), Value::Map(_)) => match member(node, name) {
            Ok(found) => found.into_iter().for_each(|member| read_body(member, rest, take)),
            Err(AmbiguousMember) => take(Scalar::Other),
        },
        (policy::Step::Each, Value::List(items)) => items.iter().for_each(|item| read_body(item, rest, take)),
        (_, Value::Null) => {}
        (policy::Step::Member(_) | policy::Step::Each, _) => take(Scalar::Other),
    }
}

/// A number that all readers print alike: an integer, or digits around a point without a zero at the end.
fn is_plain_decimal(text: &str) -> bool {
    match text.split_once('.') {
        None => is_plain_integer(text),
        Some((whole, fraction)) => {
            let digits = fraction.bytes().all(|byte| byte.is_ascii_digit());
            (is_plain_integer(whole) || whole == "-0") && digits && !fraction.is_empty() && !fraction.ends_with('0')
        }
    }
}

fn header_value<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Cow<'a, str>, AccessError> {
    let mut values = headers.get_all(name).iter();
    let what = || format!("the header `{name}`");
    if has_double(headers, name) {
        return Err(AccessError::Repeated(what()));
    }
    let value = values.next().ok_or_else(|| AccessError::Missing(what()))?;
    if values.next().is_some() {
        return Err(AccessError::Repeated(what()));
    }
    Ok(Cow::Borrowed(value.to_str().map_err(|_| AccessError::NotText(what()))?))
}

/// Whether a backend could take another header for this one, or would not get it: a spelling that folds to the same
/// name, or `Connection` naming it.
fn has_double(headers: &HeaderMap, name: &HeaderName) -> bool {
    let same = |one: u8, other: u8| one == other || (!one.is_ascii_alphanumeric() && !other.is_ascii_alphanumeric());
    let folds =
        |other: &str| other.len() == name.as_str().len() && other.bytes().zip(name.as_str().bytes()).all(|(one, other)| same(one, other));
    let respelt = headers.keys().any(|other| other != name && folds(other.as_str()));
    let named = headers
        .get_all(http::header::CONNECTION)
        .iter()
        .any(|value| value.to_str().unwrap_or_default().split(',').any(|token| folds(&token.trim().to_ascii_lowercase())));
    respelt || named
}

/// A member that another reader could take for another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AmbiguousMember;

/// The member of this name. Many readers match names without letter case: a second spelling would be theirs, not ours.
///
/// # Errors
/// When there is a second spelling.
pub fn member<'n>(node: &'n Node, name: &str) -> Result<Option<&'n Node>, AmbiguousMember> {
    let Value::Map(members) = &node.value else { return Ok(None) };
    let wanted = folded(name);
    if members.iter().any(|(key, _)| *key.text != *name && folded(&key.text) == wanted) {
        return Err(AmbiguousMember);
    }
    Ok(node.get(name))
}

/// Without letter case, the long s and the Kelvin sign included.
fn folded(text: &str) -> String {
    text.to_uppercase().to_lowercase()
}

fn is_plain_integer(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0')) && text != "-0"
}

fn base64_text<'a>(value: &str) -> Result<Cow<'a, str>, AccessError> {
    let bytes = STANDARD.decode(value).or_else(|_| URL_SAFE.decode(value));
    let text = bytes.ok().and_then(|bytes| String::from_utf8(bytes).ok());
    text.map(Cow::Owned).ok_or_else(|| AccessError::Base64("the value".to_owned()))
}

fn collect<'a>(node: &'a Node, steps: &[Step], values: &mut Values<'a>, whole: &[Step]) -> Result<(), AccessError> {
    let Some((step, rest)) = steps.split_first() else {
        return match &node.value {
            // `7.0` is 7 to some readers and another text to us.
            Value::Number(text) if !is_plain_integer(text) => Err(AccessError::NotText(shown(whole))),
            Value::String(text) | Value::Number(text) if values.len() < VALUES_MAX => {
                values.push(Cow::Borrowed(text));
                Ok(())
            }
            Value::String(_) | Value::Number(_) => Err(AccessError::Many(shown(whole))),
            Value::Null | Value::Bool(_) | Value::List(_) | Value::Map(_) => Err(AccessError::NotText(shown(whole))),
        };
    };
    match (step, &node.value) {
        (Step::Member(name), Value::Map(_)) => match member(node, name) {
            Ok(Some(member)) if member.value != Value::Null => collect(member, rest, values, whole),
            Ok(Some(_) | None) => Err(AccessError::Missing(shown(whole))),
            Err(AmbiguousMember) => Err(AccessError::Repeated(shown(whole))),
        },
        (Step::Each, Value::List(items)) => items.iter().try_for_each(|item| collect(item, rest, values, whole)),
        (Step::Member(_) | Step::Each, _) => Err(AccessError::NotText(shown(whole))),
    }
}

fn shown(steps: &[Step]) -> String {
    let path: String = steps
        .iter()
        .map(|step| match step {
            Step::Member(name) => format!("['{name}']"),
            Step::Each => "[*]".to_owned(),
        })
        .collect();
    format!("`body{path}`")
}

/// The value of a query parameter, form-decoded. Twice the same name is refused: readers disagree on which counts. So is another
/// name that some reader takes for this one, or that not every reader can decode.
fn query_value<'a>(query: &'a str, name: &str) -> Result<Cow<'a, str>, AccessError> {
    let what = || format!("`query['{name}']`");
    if query.contains(';') {
        return Err(AccessError::Separator(what()));
    }
    let generous = Generous::new(name);
    let mut found = None;
    for pair in query.split('&') {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let key = form_decode(key).ok_or_else(|| AccessError::Name(what()))?;
        if key != name {
            if generous.is(&key) {
                return Err(AccessError::Repeated(what()));
            }
            continue;
        }
        if found.is_some() {
            return Err(AccessError::Repeated(what()));
        }
        let value = form_decode(value).filter(|value| !value.contains(|character: char| character.is_ascii_control()));
        found = Some(value.ok_or_else(|| AccessError::NotText(what()))?);
    }
    found.ok_or_else(|| AccessError::Missing(what()))
}

/// The name of a query parameter as the most generous reader takes it: without letter case; without spaces around it; `a.b` and `a b`
/// as `a_b`; up to a NUL, or up to the bracket of `a[]`.
struct Generous {
    name: String,
    ends: &'static [char],
}

impl Generous {
    fn new(name: &str) -> Self {
        let ends: &[char] = if name.contains('[') { &['\0'] } else { &['\0', '['] };
        Self { name: Self::read(cut(name, ends)), ends }
    }

    fn read(name: &str) -> String {
        folded(name).replace(['.', ' '], "_")
    }

    /// Whether such a reader takes `key` for this name.
    fn is(&self, key: &str) -> bool {
        let key = cut(key, self.ends);
        // Most names are another one at a glance.
        if key.is_ascii() && key.len() != self.name.len() { false } else { Self::read(key) == self.name }
    }
}

fn cut<'t>(name: &'t str, ends: &[char]) -> &'t str {
    name.split(ends).next().unwrap_or_default().trim()
}

fn form_decode(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains(['%', '+']) {
        return Some(Cow::Borrowed(text));
    }
    let bytes = percent_decoded(&text.replace('+', " "))?.into_owned();
    String::from_utf8(bytes).ok().map(Cow::Owned)
}

struct Reader<'a> {
    rest: &'a str,
    parameters: &'a [&'a str],
    elsewhere: &'a [&'a str],
}

impl<'a> Reader<'a> {
    fn expression(&mut self) -> Result<Expression, String> {
        let mut alternatives = vec![self.term()?];
        loop {
            self.rest = self.rest.trim_start();
            match self.rest.strip_prefix("??") {
                Some(rest) => self.rest = rest,
                None => return Ok(Expression { alternatives }),
            }
            alternatives.push(self.term()?);
        }
    }

    fn term(&mut self) -> Result<Term, String> {
        self.rest = self.rest.trim_start();
        if self.rest.starts_with(['\'', '"']) {
            return Ok(Term::Literal(self.quoted()?.into()));
        }
        let end = self.rest.find(|character: char| !character.is_ascii_alphanumeric()).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        match word {
            "principal" => Ok(Term::Principal),
            "base64" => {
                self.expect('(')?;
                let inner = self.expression()?;
                self.rest = self.rest.trim_start();
                self.expect(')')?;
                Ok(Term::Base64(Box::new(inner)))
            }
            "join" => {
                self.expect('(')?;
                let mut parts = vec![self.expression()?];
                while let Some(rest) = self.rest.trim_start().strip_prefix(',') {
                    self.rest = rest;
                    parts.push(self.expression()?);
                }
                self.rest = self.rest.trim_start();
                self.expect(')')?;
                Ok(Term::Join(parts))
            }
            "path" => {
                let name = self.member()?;
                match self.parameters.iter().position(|parameter| *parameter == name) {
                    Some(index) => Ok(Term::Path { index: Some(index), name: name.into() }),
                    None if self.elsewhere.contains(&name) => Ok(Term::Path { index: None, name: name.into() }),
                    None => Err(format!("the path template has no parameter `{{{name}}}`")),
                }
            }
            "query" => Ok(Term::Query(self.member()?.into())),
            "host" => Ok(Term::Host(self.member()?.into())),
            "header" => {
                let name = self.member()?;
                name.parse().map(Term::Header).map_err(|_| format!("`{name}` is not a header name"))
            }
            "body" => self.body(),
            _ => Err(format!("`{word}` is no accessor; there are path, query, header, body, host, principal, base64(...) and join(...)")),
        }
    }

    fn body(&mut self) -> Result<Term, String> {
        let mut steps = Vec::new();
        while self.rest.starts_with('[') {
            if let Some(rest) = self.rest.strip_prefix("[*]") {
                self.rest = rest;
                steps.push(Step::Each);
            } else {
                steps.push(Step::Member(self.member()?.into()));
            }
        }
        if steps.is_empty() { Err("`body` needs a member, such as body['id']".to_owned()) } else { Ok(Term::Body(steps)) }
    }

    fn member(&mut self) -> Result<&'a str, String> {
        self.expect('[')?;
        let name = self.quoted()?;
        self.expect(']')?;
        Ok(name)
    }

    fn quoted(&mut self) -> Result<&'a str, String> {
        let quote = self.rest.chars().next().filter(|first| matches!(first, '\'' | '"'));
        let quote = quote.ok_or_else(|| match self.rest {
            "" => "a name in quotes is missing at the end".to_owned(),
            rest => format!("a name in quotes is missing before `{rest}`"),
        })?;
        let inside = self.rest.get(1..).unwrap_or_default();
        let (text, rest) = inside.split_once(quote).ok_or("a quote is not closed")?;
        self.rest = rest;
        Ok(text)
    }

    fn expect(&mut self, character: char) -> Result<(), String> {
        self.rest = self.rest.strip_prefix(character).ok_or_else(|| match self.rest.trim() {
            "" => format!("`{character}` is missing at the end"),
            rest => format!("`{character}` is missing before `{rest}`"),
        })?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::json;

    fn values(expression: &str, query: &str, body: &str) -> Result<Vec<String>, String> {
        let expression = Expression::parse(expression, &["user_id", "srn"])?;
        let body = json::parse(body.as_bytes(), json::Limits { bytes_max: 1000, depth_max: 10 }).unwrap();
        let mut headers = HeaderMap::new();
        headers.insert("x-region", "kr-west1".parse().unwrap());
        let host = [("region".into(), "kr-east1".into())];
        let inputs = Inputs { parameters: &["u1", "c3Ju"], query, headers: &headers, body: Some(&body), host: &host, account: "acct" };
        let values = expression.evaluate(&inputs).map_err(|error| error.to_string())?;
        Ok(values.into_iter().map(Cow::into_owned).collect())
    }

    #[test]
    fn accessors_yield_what_the_request_holds() {
        for (expression, expected) in [
            ("path['user_id']", &["u1"][..]),
            ("query['q']", &["a b"]),
            ("header['X-Region']", &["kr-west1"]),
            ("host['region'] ?? ''", &["kr-east1"]),
            ("host['zone'] ?? ''", &[""]),
            ("query['none'] ?? principal", &["acct"]),
            ("body['ids'][*]", &["1", "x"]),
            ("body['deep']['id']", &["7"]),
            ("base64(path['srn'])", &["srn"]),
            ("\"text\"", &["text"]),
            ("query['f[a]'] ?? 'none'", &["none"]),
            ("join(path['user_id'], '/', query['q'] ?? 'none')", &["u1/a b"]),
            ("join( body['deep']['id'] )", &["7"]),
        ] {
            assert_eq!(values(expression, "q=a+b", r#"{"ids": [1, "x"], "deep": {"id": "7"}}"#).unwrap(), expected, "{expression}");
        }
    }

    #[test]
    fn conditions_see_what_stands_in_the_request_and_nothing_that_has_two_readings() {
        let body = r#"{"a": "x", "n": 7, "f": 0.5, "odd": 7.0, "b": true, "list": ["p", 2, null], "o": {"a": 1, "A": 2}, "deep": [{"id": "1"}, {"id": "2"}], "none": null}"#;
        let body = json::parse(body.as_bytes(), json::Limits { bytes_max: 1000, depth_max: 10 }).unwrap();
        let mut headers = HeaderMap::new();
        headers.insert("x-one", "1".parse().unwrap());
        headers.append("x-two", "1".parse().unwrap());
        headers.append("x-two", "2".parse().unwrap());
        let parameters = ["u1"];
        let inputs = Inputs {
            parameters: &parameters,
            query: "q=a+b&r=1&r=2&S=1&t=1%00",
            headers: &headers,
            body: Some(&body),
            host: &[],
            account: "acct",
        };
        for (text, expected) in [
            ("path['user_id']", "u1"),
            ("path['other']", ""),
            ("query['q']", "a b"),
            ("query['r']", "?"),
            ("query['s']", "?"),
            ("query['t']", "?"),
            ("query['none']", ""),
            ("header['X-One']", "1"),
            ("header['x-two']", "?"),
            ("header['x two']", ""),
            ("body['a']", "x"),
            ("body['n']", "7"),
            ("body['f']", "0.5"),
            ("body['odd']", "?"),
            ("body['b']", "true"),
            ("body['list']", "p 2"),
            ("body['list'][*]", "p 2"),
            ("body['o']", "?"),
            ("body['o']['a']", "?"),
            ("body['deep'][*]['id']", "1 2"),
            ("body['deep']['id']", "?"),
            ("body['none']", ""),
            ("body['none']['x']", ""),
            ("body['nothing']", ""),
        ] {
            let mut found = Vec::new();
            let accessor = Accessor::parse(text).unwrap();
            read_attribute(&accessor, &["user_id".into()], &inputs, &mut |value| {
                found.push(match value {
                    Scalar::Text(text) => text.to_owned(),
                    Scalar::Bool(value) => value.to_string(),
                    Scalar::Other | Scalar::Address(_) | Scalar::Time(_) => "?".to_owned(),
                });
            });
            assert_eq!(found.join(" "), expected, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_read_in_one_way_is_an_error() {
        for (expression, query, body, part) in [
            ("query['q']", "q=1&q=2", "{}", "more than once"),
            ("query['q']", "q=1&%71=2", "{}", "more than once"),
            ("query['q']", "q=%zz", "{}", "not a text"),
            ("query['q']", "q=1;q=2", "{}", "raw `;`"),
            ("query['q']", "", "{}", "missing"),
            ("query['q']", "q=1&Q=2", "{}", "more than once"),
            ("query['q']", "Q=2", "{}", "more than once"),
            ("query['q']", "q=1&q[]=2", "{}", "more than once"),
            ("query['q']", "q=1&%20q%5B0%5D=2", "{}", "more than once"),
            ("query['q']", "q=1&q%00x=2", "{}", "more than once"),
            ("query['a_b']", "a_b=1&a.b=2", "{}", "more than once"),
            ("query['a_b']", "a_b=1&A+B=2", "{}", "more than once"),
            ("query['f[a]']", "f[a]=1&F%5BA%5D=2", "{}", "more than once"),
            ("query['q']", "q=1&%u0071=2", "{}", "another reading"),
            ("query['q']", "q=1&q%ff=2", "{}", "another reading"),
            ("query['q']", "q=1%00", "{}", "not a text"),
            ("query['q']", "q=1%0a", "{}", "not a text"),
            ("body['ids'][*]", "", "{\"ids\": []}", "missing"),
            ("body['ids'][*]", "", "{\"ids\": [null]}", "not a text"),
            ("body['ids'][*]", "", "{\"ids\": 1}", "not a text"),
            ("body['ids']", "", "{\"ids\": null}", "missing"),
            ("body['ids'][*]", "", "{\"ids\": [\"a\"], \"IDS\": [\"b\"]}", "more than once"),
            ("body['ids'][*]", "", "{\"ids\": [\"a\"], \"id\u{17f}\": [\"b\"]}", "more than once"),
            ("body['ids'][*]", "", "{\"ids\": [7.0]}", "not a text"),
            ("body['ids'][*]", "", "{\"ids\": [7e0]}", "not a text"),
            ("base64(path['user_id'])", "", "{}", "Base64"),
            ("join(path['user_id'], query['q'])", "", "{}", "missing"),
            ("join(path['user_id'], body['ids'][*])", "", "{\"ids\": [1, 2]}", "more than once"),
        ] {
            assert!(values(expression, query, body).unwrap_err().contains(part), "{expression}");
        }
        for bad in [
            "",
            "path",
            "path['nope']",
            "path['user_id",
            "body",
            "cookie['a']",
            "principal x",
            "base64(path['srn']",
            "join()",
            "join('a'",
            "join('a' 'b')",
            "header['a b']",
        ] {
            assert!(Expression::parse(bad, &["user_id", "srn"]).is_err(), "{bad}");
        }
    }
}
