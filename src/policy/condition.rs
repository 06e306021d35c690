//! Reads `Condition`: operators, qualifiers, keys and values to entries (R30-R45).

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::source::{Cursor, Node, Value, nearest};
use crate::types::Network;

use super::document::{Effect, Owner};
use super::glob::{Glob, Wildcards};
use super::reader::{Member, Reader, quoted, shown, wrong};
use super::resource;

mod entry;
mod key;
mod operator;
mod srn;
mod value;

use key::{KEYS, KeyError};
use operator::{OPERATORS, Operator, QUALIFIERS, TextForm};

pub(super) use entry::{Bools, Entry, Test, Texts};
pub(super) use key::{GlobalKey, Key, shown_scalar};
pub(super) use operator::{Order, Qualifier};
pub(super) use srn::{Services, SrnPattern};
pub(super) use value::{Decimal, folded, instant, instant_text};

const HINT: &str = "write \"Condition\": {\"IpAddress\": {\"scp:SourceIp\": [\"10.0.0.0/16\"]}}";
const VALUES_HINT: &str = "write a value or a list of values; leave the key out for no condition";

/// Reads all entries of a statement. The effect (unknown after an error) only shapes warnings.
pub(super) fn read<'a>(reader: &Reader<'a>, at: &Cursor<'a>, owner: &Owner, effect: Option<Effect>) -> Option<Vec<Entry>> {
    let operators = reader.members(at, HINT)?;
    if operators.is_empty() {
        reader.warning(at, "an empty `Condition` restricts nothing", "leave it out, or write the condition that is missing");
    }
    let mut entries = Vec::new();
    let mut complete = Some(());
    for member in &operators {
        match block(reader, at, member, owner, effect) {
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

/// A condition that stands by itself: an operator without a qualifier, and in the place of its one key the values.
pub(super) fn lone<'a>(reader: &Reader<'a>, block: &Member<'a>, member: &Member<'a>, owner: &Owner) -> Option<Entry> {
    let operator = operator(reader, &block.value, block);
    let key = key(reader, &block.value, member);
    entry(reader, block, member, key, operator, owner)
}

/// One operator with its keys.
fn block<'a>(reader: &Reader<'a>, inside: &Cursor<'a>, member: &Member<'a>, owner: &Owner, effect: Option<Effect>) -> Option<Vec<Entry>> {
    let operator = operator(reader, inside, member);
    let keys = reader.members(&member.value, "write {\"key\": [values]}")?;
    if keys.is_empty() {
        member.value.error_hint("the operator has no key", "write {\"key\": [values]}, or leave the operator out");
        return None;
    }
    let mut seen: Vec<(&str, Key)> = Vec::new();
    let mut complete = Some(());
    let mut entries = Vec::new();
    for found in &keys {
        let key = key(reader, &member.value, found);
        if let Some(key) = &key {
            warn_if_undefined(reader, found, key, effect);
            if let Some((twin, _)) = seen.iter().find(|(_, twin)| twin == key) {
                let message = format!("`{}` and `{}` are one key: letter case does not count", shown(twin), shown(found.name));
                reader.name_error(found, &member.value, message, "put all values into one list");
                complete = None;
            }
            seen.push((found.name, key.clone()));
        }
        match entry(reader, member, found, key, operator, owner) {
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

fn entry<'a>(
    reader: &Reader<'a>,
    block: &Member<'a>,
    member: &Member<'a>,
    key: Option<Key>,
    operator: Option<(Qualifier, Operator)>,
    owner: &Owner,
) -> Option<Entry> {
    let values = reader.items(&member.value, VALUES_HINT);
    let (qualifier, operator) = operator?;
    let fits = match (key.as_ref().and_then(Key::holds), operator.key_type()) {
        (Some(held), Some(wanted)) if held != wanted => {
            let name = shown(member.name);
            let message = format!("`{}` compares {}, but `{name}` holds {}", shown(block.name), wanted.plural(), held.plural());
            let fitting = OPERATORS.iter().filter(|(_, known)| known.key_type().is_none_or(|fitting| fitting == held));
            let hint = format!("operators for `{name}` are {}", quoted(fitting.map(|(known, _)| *known)));
            reader.name_error(member, &block.value, message, hint);
            None
        }
        (_, _) => Some(()),
    };
    // The values are read even when the key is not known: their form depends on the operator alone.
    let test = test(reader, operator, &values?, owner);
    fits?;
    Some(Entry { qualifier, key: key?, test: test?, operator: block.name.into(), values: listed(&member.value) })
}

fn key<'a>(reader: &Reader<'a>, inside: &Cursor<'a>, member: &Member<'a>) -> Option<Key> {
    let error = match Key::parse(member.name, reader.catalogue) {
        Ok(key) => return Some(key),
        Err(error) => error,
    };
    let name = shown(member.name);
    let known = || format!("keys are {}, and attributes of resources such as `iam:userName`", quoted(KEYS));
    let (message, hint) = match error {
        KeyError::Incomplete(form) => {
            (format!("the condition key `{name}` is not complete"), format!("it is written `{form}`; {}", known()))
        }
        KeyError::Unknown | KeyError::NoService => {
            let near = nearest(member.name, KEYS).or_else(|| {
                let bare = |key: &&str| key.strip_prefix("scp:").is_some_and(|bare| bare.eq_ignore_ascii_case(member.name));
                KEYS.into_iter().find(bare)
            });
            let hint = near.map_or_else(known, |near| format!("did you mean `{near}`?"));
            (format!("`{name}` is not a condition key"), hint)
        }
    };
    reader.name_error(member, inside, message, hint);
    None
}

fn test<'a>(reader: &Reader<'a>, operator: Operator, values: &[Cursor<'a>], owner: &Owner) -> Option<Test> {
    Some(match operator {
        Operator::Text { form, negative } => Test::Text { negative, wanted: texts(reader, form, values)? },
        Operator::Number { order, negative } => {
            let number = |text: &str| Decimal::parse(text).map(Decimal::into_owned);
            let wanted = all(values, |at| parsed(at, number, "a number", "write digits, with at most one `.`: `4` or `0.5`"))?;
            Test::Number { negative, order, wanted: sorted(wanted) }
        }
        Operator::Date { order, negative } => Test::Date { negative, order, wanted: sorted(all(values, date)?) },
        Operator::Address { negative } => Test::Address { negative, wanted: all(values, network)?.into_iter().collect() },
        Operator::Bool => Test::Bool { wanted: bools(values)? },
        Operator::Null => Test::Null { wanted: bools(values)? },
        Operator::Srn { negative } => {
            let srn = |at: &Cursor<'a>| resource::compared(reader, at, scalar_or_error(at)?, owner);
            Test::Srn { negative, wanted: sorted(all(values, srn)?) }
        }
    })
}

fn texts<'a>(reader: &Reader<'a>, form: TextForm, values: &[Cursor<'a>]) -> Option<Texts> {
    for (at, text) in values.iter().filter_map(|at| Some((at, scalar(at.node())?))) {
        if text.contains("${") {
            reader.warning(at, "`${...}` is plain text here", "the language has no variables");
        } else if form != TextForm::Like && text.contains('*') {
            reader.warning(at, "`*` is plain text here", "use `StringLike` or `StringNotLike` for patterns");
        }
    }
    let plain = |at: &Cursor<'a>| scalar_or_error(at).map(Box::<str>::from);
    Some(match form {
        TextForm::Exact => Texts::Exact(sorted(all(values, plain)?)),
        TextForm::IgnoreCase => Texts::IgnoreCase(sorted(all(values, |at| scalar_or_error(at).map(|text| folded(text).collect()))?)),
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

fn date(at: &Cursor<'_>) -> Option<i128> {
    let text = scalar_or_error(at)?;
    let without_zone = || instant(&format!("{text}Z")).is_some_and(|_| text.contains(['T', 't']));
    instant(text).or_else(|| {
        if without_zone() {
            let hint = format!("write `{text}Z` for UTC, or with another zone `{text}+09:00`");
            at.error_hint(format!("the time `{text}` has no zone"), hint);
        } else {
            let hint = "write `2025-11-06T16:10:38Z` (with a zone) or `2025-11-06`";
            at.error_hint(format!("`{}` is not a date", shown(text)), hint);
        }
        None
    })
}

fn network(at: &Cursor<'_>) -> Option<Network> {
    let text = scalar_or_error(at)?;
    text.parse::<Network>().map_err(|error| at.error_hint(error, network_hint(text))).ok()
}

/// The network that was meant, in other ways to write one.
fn network_hint(text: &str) -> String {
    let bits = |mask: Ipv4Addr| Some(u32::from(mask).leading_ones()).filter(|ones| u32::from(mask).count_ones() == *ones);
    let masked = || {
        let (address, mask) = text.split_once('/')?;
        Some(format!("{}/{}", address.parse::<Ipv4Addr>().ok()?, bits(mask.parse().ok()?)?))
    };
    let starred = || {
        let known: Vec<&str> = text.split('.').take_while(|part| *part != "*").collect();
        let stars = text.split('.').count().checked_sub(known.len()).filter(|stars| *stars > 0)?;
        let octets = known.iter().copied().chain(["0"].into_iter().cycle()).take(4).collect::<Vec<_>>().join(".");
        let good = known.len() < 4 && text.ends_with('*') && text.matches('*').count() == stars;
        good.then(|| octets.parse::<Ipv4Addr>().ok()).flatten().map(|address| format!("{address}/{}", 8 * known.len()))
    };
    let mapped = || Some(text.parse::<Ipv6Addr>().ok()?.to_ipv4_mapped()?.to_string());
    if let Some(meant) = mapped() {
        return format!("write `{meant}`");
    }
    masked().or_else(starred).map_or_else(
        || "write an address, or a network with the number of its leading bits, such as `10.1.2.3` or `10.0.0.0/16`".to_owned(),
        |meant| format!("write `{meant}`: a network has the number of its leading bits behind the `/`"),
    )
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
pub(super) fn scalar(node: &Node) -> Option<&str> {
    match &node.value {
        Value::String(text) | Value::Number(text) => Some(text),
        Value::Bool(true) => Some("true"),
        Value::Bool(false) => Some("false"),
        Value::Null | Value::List(_) | Value::Map(_) => None,
    }
}

fn scalar_or_error<'a>(at: &Cursor<'a>) -> Option<&'a str> {
    let found = scalar(at.node());
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

/// R43: an attribute that conditions cannot test closes in both directions.
fn warn_if_undefined<'a>(reader: &Reader<'a>, member: &Member<'a>, key: &Key, effect: Option<Effect>) {
    let Key::Undefined(undefined) = key else { return };
    let why = if undefined.known {
        "conditions cannot test this attribute (it is not `abac: true`)"
    } else {
        "no resource has such an attribute"
    };
    let consequence = match effect {
        Some(Effect::Allow) | None => "this statement allows nothing",
        Some(Effect::Deny) => "ATTENTION, this statement denies without this entry",
    };
    let hint = nearest_key(reader, member.name).map_or_else(
        || "see the resource definitions for attributes with `abac: true`".to_owned(),
        |near| format!("did you mean `{near}`?"),
    );
    reader.warning(&member.value, format!("{why}; {consequence}"), hint);
}

/// The key that was meant: another attribute of the service, the same of another, or a key of the request.
fn nearest_key(reader: &Reader<'_>, name: &str) -> Option<String> {
    let (service, rest) = name.split_once(':')?;
    let global = KEYS.into_iter().find(|key| key.strip_prefix("scp:").is_some_and(|bare| bare.eq_ignore_ascii_case(rest)));
    let keys = || attribute_keys(reader, service);
    let service_like = || {
        let near = reader.nearest(service, reader.catalogue.prefixes())?;
        reader.catalogue.find_attribute(near, rest).map(|_| format!("{near}:{rest}"))
    };
    global
        .map(str::to_owned)
        .or_else(|| {
            let keys = keys();
            reader.nearest(name, keys.iter().map(String::as_str)).map(str::to_owned)
        })
        .or_else(service_like)
}

/// The keys of all attributes that conditions can test, spelt with this prefix if it is one.
fn attribute_keys(reader: &Reader<'_>, prefix: &str) -> Vec<String> {
    let catalogue = reader.catalogue;
    let usable = catalogue.attributes().filter(|(_, attribute)| attribute.abac);
    let spelt = usable.filter_map(|(id, _)| {
        let key = catalogue.attribute_key(id);
        let (_, rest) = key.split_once(':')?;
        (catalogue.find_attribute(prefix, rest) == Some(id)).then(|| format!("{prefix}:{rest}"))
    });
    spelt.collect()
}

/// Traps of section 1.6: a missing key makes negative operators and `ForAllValues` true, which under Allow opens.
fn warn_of_absent_keys<'a>(reader: &Reader<'a>, at: &Cursor<'a>, entries: &[Entry]) {
    let guarded = |key: &Key| entries.iter().any(|entry| entry.key == *key && !entry.holds_without_value());
    for entry in entries {
        if matches!(entry.test, Test::Null { .. }) {
            continue;
        }
        let Some(who) = entry.key.absent_for() else { continue };
        if (entry.test.is_negative() || entry.qualifier == Qualifier::ForAllValues) && !guarded(&entry.key) {
            let key = shown(&entry.key.to_string());
            let message = format!("`{}` is true without `{key}`, so this Allow also holds for {who}", entry.operator);
            reader.warning(at, message, format!("unless that is meant, add \"Null\": {{\"{key}\": \"false\"}}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::sample::catalogue;
    use crate::policy::{Attribute, Catalogue, Policy, ValueType};
    use crate::source::{Report, Source};

    #[test]
    fn the_key_that_was_meant_is_one_that_conditions_can_test() {
        let catalogue = catalogue();
        for (key, hint) in [
            ("iam:userLastnam", "did you mean `iam:userLastname`?"),
            ("IAM:userLastnam", "did you mean `IAM:userLastname`?"),
            ("iamm:userLastname", "did you mean `iam:userLastname`?"),
            ("iam:UserName", "did you mean `scp:UserName`?"),
            ("iam:userEmails", "see the resource definitions"),
            ("object-store:userLastname", "see the resource definitions"),
        ] {
            let text = format!(
                r#"{{"Version": "2024-07-01", "Statement": {{"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {{"StringEquals": {{"{key}": "x"}}}}}}}}"#
            );
            let report = Report::new();
            assert!(Policy::load(&Source::new("p", text), "p", Owner::system(), &catalogue, &report).is_some());
            assert!(report.to_string().contains(hint), "{key}: {report}");
        }
    }

    #[test]
    fn a_star_is_no_pattern_for_srns() {
        let mut builder = Catalogue::builder("e".parse().unwrap());
        builder.service("vm", "scp-vm", &[]).unwrap();
        let kind = builder.resource_type("vm:server").unwrap();
        builder.attribute(Attribute { kind, name: "image".into(), holds: ValueType::Srn, abac: true }).unwrap();
        let catalogue = builder.build();
        let said = |value: &str| {
            let text = format!(
                r#"{{"Version": "2024-07-01", "Statement": {{"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {{"SrnLike": {{"vm:serverImage": "{value}"}}}}}}}}"#
            );
            let report = Report::new();
            assert!(Policy::load(&Source::new("p", text), "p", Owner::system(), &catalogue, &report).is_none());
            report.to_string()
        };
        let star = said("*");
        assert!(star.contains("`*` is no SRN") && star.contains("`Null` asks whether there is a value at all"), "{star}");
        assert!(said("x").contains("`x` is neither `*` nor an SRN"));
    }
}
