//! Reads `Condition`: operators, qualifiers, keys and values to entries (R30-R45).

use crate::source::{Cursor, Value, nearest};
use crate::types::{Network, Srn};

use super::document::Effect;
use super::entry::{Bools, Entry, Test, Texts};
use super::glob::{Glob, Wildcards};
use super::key::{KEYS, Key, KeyError};
use super::operator::{OPERATORS, Operator, QUALIFIERS, Qualifier, TextForm};
use super::reader::{Member, Reader, quoted, shown, wrong};
use super::value;

const HINT: &str = "write \"Condition\": {\"IpAddress\": {\"scp:SourceIp\": [\"10.0.0.0/16\"]}}";
const VALUES_HINT: &str = "write a value or a list of values; leave the key out for no condition";

/// Reads all entries of a statement. The effect (unknown after an error) only shapes warnings.
pub(super) fn read<'a>(reader: &Reader<'a>, at: &Cursor<'a>, effect: Option<Effect>) -> Option<Vec<Entry>> {
    let operators = reader.members(at, HINT)?;
    if operators.is_empty() {
        reader.warning(at, "an empty `Condition` restricts nothing", "leave it out, or write the condition that is missing");
    }
    let mut entries = Vec::new();
    let mut complete = Some(());
    for member in &operators {
        match block(reader, at, member) {
            Some(block) => entries.extend(block),
            None => complete = None,
        }
    }
    complete?;
    if effect == Some(Effect::Allow) {
        warn_of_absent_keys(reader, at, &entries);
    }
    Some(entries)
}

/// One operator with its keys.
fn block<'a>(reader: &Reader<'a>, inside: &Cursor<'a>, member: &Member<'a>) -> Option<Vec<Entry>> {
    let operator = operator(reader, inside, member);
    let keys = reader.members(&member.value, "write {\"key\": [values]}")?;
    if keys.is_empty() {
        member.value.error_hint("the operator has no key", "write {\"key\": [values]}, or leave the operator out");
        return None;
    }
    let mut seen: Vec<&str> = Vec::new();
    let mut complete = Some(());
    let mut entries = Vec::new();
    for key in &keys {
        if let Some(twin) = seen.iter().find(|twin| twin.eq_ignore_ascii_case(key.name)) {
            let message = format!("`{}` and `{}` are one key: letter case does not count", shown(twin), shown(key.name));
            reader.name_error(key, &member.value, message, "put all values into one list");
            complete = None;
        }
        seen.push(key.name);
        match entry(reader, member, key, operator) {
            Some(entry) => entries.push(entry),
            None => complete = None,
        }
    }
    complete?;
    Some(entries)
}

fn operator<'a>(reader: &Reader<'a>, inside: &Cursor<'a>, member: &Member<'a>) -> Option<(Qualifier, Operator)> {
    let (qualifier, name) = match member.name.split_once(':') {
        Some((qualifier, name)) => (Some(qualifier), name),
        None => (None, member.name),
    };
    let found = OPERATORS.iter().find(|(known, _)| *known == name).map(|(_, operator)| *operator);
    if found.is_none() {
        let message = format!("`{}` is not a condition operator", shown(name));
        reader.name_error(member, inside, message, operator_hint(name));
    }
    let Some(qualifier) = qualifier else { return found.map(|operator| (Qualifier::ForAnyValue, operator)) };
    let known = QUALIFIERS.iter().find(|(known, _)| *known == qualifier).map(|(_, qualifier)| *qualifier);
    if known.is_none() {
        let hint = match nearest(qualifier, QUALIFIERS.map(|(known, _)| known)) {
            Some(near) => format!("did you mean `{near}`? letter case counts"),
            None => format!("qualifiers are {}", quoted(QUALIFIERS.map(|(known, _)| known))),
        };
        reader.name_error(member, inside, format!("`{}` is not a qualifier", shown(qualifier)), hint);
    }
    if found == Some(Operator::Null) {
        reader.name_error(member, inside, "`Null` takes no qualifier", "write `Null`");
        return None;
    }
    Some((known?, found?))
}

fn operator_hint(name: &str) -> String {
    if name.ends_with("IfExists") {
        return "there is no `IfExists`: test for a missing key with `Null`, in a statement of its own".to_owned();
    }
    match nearest(name, OPERATORS.map(|(known, _)| known)) {
        Some(near) if near.eq_ignore_ascii_case(name) => format!("did you mean `{near}`? letter case counts"),
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("operators are {}", quoted(OPERATORS.map(|(known, _)| known))),
    }
}

fn entry<'a>(reader: &Reader<'a>, block: &Member<'a>, member: &Member<'a>, operator: Option<(Qualifier, Operator)>) -> Option<Entry> {
    let key = key(reader, &block.value, member);
    let values = reader.items(&member.value, VALUES_HINT);
    let (qualifier, operator) = operator?;
    let fits = match (key, operator.key_type()) {
        (Some(key), Some(wanted)) if key.kind() != wanted => {
            let (name, held) = (key.as_str(), key.kind());
            let message = format!("`{}` compares {}, but `{name}` holds {}", shown(block.name), wanted.plural(), held.plural());
            let fitting = OPERATORS.iter().filter(|(_, known)| known.key_type().is_none_or(|fitting| fitting == held));
            reader.name_error(
                member,
                &block.value,
                message,
                format!("operators for `{name}` are {}", quoted(fitting.map(|(known, _)| *known))),
            );
            None
        }
        (key, _) => key,
    };
    // The values are read even when the key is not known: their form depends on the operator alone.
    let test = test(reader, fits, operator, &values?);
    Some(Entry { qualifier, test: test?, operator: block.name.into(), values: listed(&member.value) })
}

fn key<'a>(reader: &Reader<'a>, inside: &Cursor<'a>, member: &Member<'a>) -> Option<Key> {
    let error = match Key::parse(member.name) {
        Ok(key) => return Some(key),
        Err(error) => error,
    };
    let name = shown(member.name);
    let supported = || format!("supported are {}", quoted(KEYS.map(|(known, _)| known)));
    let (message, hint) = match error {
        KeyError::NotSupported(about) => (format!("the condition key `{name}` is not supported yet: it is about {about}"), supported()),
        KeyError::Incomplete(form) => {
            (format!("the condition key `{name}` is not complete"), format!("it is written `{form}`; {}", supported()))
        }
        KeyError::Unknown | KeyError::NotGlobal => {
            let hint = nearest(member.name, KEYS.map(|(known, _)| known)).map_or_else(supported, |near| format!("did you mean `{near}`?"));
            let why = match error {
                KeyError::NotGlobal => ": those of the request start with `scp:`, and attributes of resources are not supported yet",
                KeyError::Unknown | KeyError::NotSupported(_) | KeyError::Incomplete(_) => "",
            };
            (format!("`{name}` is not a condition key known here{why}"), hint)
        }
    };
    reader.name_error(member, inside, message, hint);
    None
}

/// The compiled test; without a key, the values are only checked.
fn test<'a>(reader: &Reader<'a>, key: Option<Key>, operator: Operator, values: &[Cursor<'a>]) -> Option<Test> {
    match operator {
        Operator::Text { form, negative } => {
            let wanted = texts(reader, form, values)?;
            match key? {
                Key::Text(key) => Some(Test::Text { key, negative, wanted }),
                Key::MultiFactorAuthPresent | Key::SourceIp | Key::CurrentTime => None,
            }
        }
        Operator::Date { order, negative } => {
            let wanted =
                all(values, |at| parsed(at, value::instant, "a date", "write `2025-11-06T16:10:38Z` (with a zone) or `2025-11-06`"))?;
            key.map(|_| Test::Date { negative, order, wanted: sorted(wanted) })
        }
        Operator::Address { negative } => {
            let wanted = all(values, network)?;
            key.map(|_| Test::Address { negative, wanted: wanted.into_iter().collect() })
        }
        Operator::Bool => {
            let wanted = bools(values)?;
            key.map(|_| Test::Bool { wanted })
        }
        Operator::Null => {
            let wanted = bools(values)?;
            key.map(|key| Test::Null { key, wanted })
        }
        Operator::Number { .. } => {
            let check = |text: &str| value::is_decimal(text).then_some(());
            all(values, |at| parsed(at, check, "a number", "write digits, with at most one `.`: `4` or `0.5`"))?;
            None
        }
        Operator::Srn { .. } => {
            let check = |text: &str| Srn::parse(text).ok().map(|_| ());
            all(values, |at| parsed(at, check, "an SRN", "write `srn:offering::account:region::service-type:type/id`"))?;
            None
        }
    }
}

fn texts<'a>(reader: &Reader<'a>, form: TextForm, values: &[Cursor<'a>]) -> Option<Texts> {
    for (at, text) in values.iter().filter_map(|at| Some((at, scalar(at)?))) {
        if text.contains("${") {
            reader.warning(at, "`${...}` is plain text here", "the language has no variables");
        } else if form != TextForm::Like && text.contains('*') {
            reader.warning(at, "`*` is plain text here", "use `StringLike` or `StringNotLike` for patterns");
        }
    }
    let plain = |at: &Cursor<'a>| scalar_or_error(at).map(Box::<str>::from);
    Some(match form {
        TextForm::Exact => Texts::Exact(sorted(all(values, plain)?)),
        TextForm::IgnoreCase => Texts::IgnoreCase(sorted(all(values, |at| scalar_or_error(at).map(|text| value::folded(text).collect()))?)),
        TextForm::Like => {
            let like = |at: &Cursor<'a>| {
                let glob = Glob::new(scalar_or_error(at)?, Wildcards::Star);
                glob.map_err(|error| at.error_hint(error, "write several patterns with fewer `*`")).ok()
            };
            Texts::Like(sorted(all(values, like)?))
        }
    })
}

fn bools(values: &[Cursor<'_>]) -> Option<Bools> {
    let found = all(values, |at| parsed(at, value::boolean, "a boolean", "write `true` or `false`"))?;
    Some(Bools { yes: found.contains(&true), no: found.contains(&false) })
}

fn network(at: &Cursor<'_>) -> Option<Network> {
    let text = scalar_or_error(at)?;
    text.parse::<Network>().map_err(|error| at.error(error)).ok()
}

fn parsed<T>(at: &Cursor<'_>, parse: impl Fn(&str) -> Option<T>, expected: &str, hint: &str) -> Option<T> {
    let text = scalar_or_error(at)?;
    let found = parse(text);
    if found.is_none() {
        at.error_hint(format!("`{}` is not {expected}", shown(text)), hint);
    }
    found
}

/// Every value, or `None` after all bad ones were reported.
fn all<'a, T>(values: &[Cursor<'a>], read: impl Fn(&Cursor<'a>) -> Option<T>) -> Option<Vec<T>> {
    let read: Vec<Option<T>> = values.iter().map(read).collect();
    read.into_iter().collect()
}

/// The values in order, each once: how they were written makes no difference.
fn sorted<T: Ord>(mut values: Vec<T>) -> Box<[T]> {
    values.sort_unstable();
    values.dedup();
    values.into()
}

/// A value as text: numbers as written, booleans as their word (R06).
fn scalar<'a>(at: &Cursor<'a>) -> Option<&'a str> {
    match &at.node().value {
        Value::String(text) | Value::Number(text) => Some(text),
        Value::Bool(true) => Some("true"),
        Value::Bool(false) => Some("false"),
        Value::Null | Value::List(_) | Value::Map(_) => None,
    }
}

fn scalar_or_error<'a>(at: &Cursor<'a>) -> Option<&'a str> {
    let found = scalar(at);
    if found.is_none() {
        wrong(at, "a text, a number or a boolean", VALUES_HINT);
    }
    found
}

/// The values for explanations.
fn listed(at: &Cursor<'_>) -> Box<str> {
    let one = |value: &Value| match value {
        Value::String(text) | Value::Number(text) => shown(text),
        Value::Bool(value) => value.to_string(),
        Value::Null | Value::List(_) | Value::Map(_) => String::new(),
    };
    let text = match &at.node().value {
        Value::List(items) => items.iter().take(5).map(|item| one(&item.value)).collect::<Vec<_>>().join(", "),
        value @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Map(_)) => one(value),
    };
    let more = matches!(&at.node().value, Value::List(items) if items.len() > 5);
    if more { format!("{text}, ...").into() } else { text.into() }
}

/// Traps of section 1.6: a missing key makes negative operators and `ForAllValues` true, which under Allow opens.
fn warn_of_absent_keys<'a>(reader: &Reader<'a>, at: &Cursor<'a>, entries: &[Entry]) {
    let guarded =
        |key: Key| entries.iter().any(|entry| matches!(&entry.test, Test::Null { key: guarded, wanted } if *guarded == key && !wanted.yes));
    for entry in entries {
        let negative = match &entry.test {
            Test::Text { negative, .. } | Test::Date { negative, .. } | Test::Address { negative, .. } => *negative,
            Test::Bool { .. } => false,
            Test::Null { .. } => continue,
        };
        let key = entry.key();
        let Some(who) = key.absent_for() else { continue };
        if (negative || entry.qualifier == Qualifier::ForAllValues) && !guarded(key) {
            let message = format!("`{}` is true without `{}`, so this Allow also holds for {who}", entry.operator, key.as_str());
            reader.warning(at, message, format!("unless that is meant, add \"Null\": {{\"{}\": \"false\"}}", key.as_str()));
        }
    }
}
