//! The text form of basic mode: written as JSON, read as JSON or YAML.
//!
//! `{"rules": [{"sid": TEXT, "control": "Allow" | "Deny", "actions": [...], "resources": "all" | [...],
//! "authentication": "all" | "AuthenticationKey" | "TemporaryKeyAndConsoleLogin",
//! "addresses": "all" | {"applied": "all" | [...], "excluded": [...]},
//! "conditions": [{"key": TEXT, "qualifier": "default" | "any" | "all", "operator": TEXT, "values": [...]}]}]}`

use std::collections::HashSet;

use super::{Addresses, Authentication, Basic, CONDITIONS_MAX, Choice, Condition, Field, Qualifier, Rule, misfit};
use super::{list, node, object, string};
use crate::policy::action::{self, ActionRule};
use crate::policy::catalogue::Catalogue;
use crate::policy::condition;
use crate::policy::document::{DOCUMENT_BYTES_MAX, Effect, Owner, STATEMENTS_MAX, Setting};
use crate::policy::reader::{Member, Reader, shown, wrong};
use crate::policy::resource;
use crate::source::{Cursor, Node, Report, Source, Value};
use crate::types::{Network, Offering};

/// How many bytes such a text may have: that of the longest policy has fewer.
pub const FORM_BYTES_MAX: usize = 4 * 1024 * 1024;

const ALL: &str = "all";
const RULES_HINT: &str = "write \"rules\": [{\"control\": \"Allow\", \"actions\": [...], \"resources\": \"all\", ...}]";
const ACTIONS_HINT: &str = "write \"actions\": [\"service:Name\"], with `*` for any run of characters";
const RESOURCES_HINT: &str = "write \"resources\": \"all\", or a list of SRNs";
const AUTHENTICATION_HINT: &str = "write \"authentication\": \"all\", or \"AuthenticationKey\", or \"TemporaryKeyAndConsoleLogin\"";
const ADDRESSES_HINT: &str = "write \"addresses\": \"all\", or {\"applied\": [\"10.0.0.0/16\"], \"excluded\": [\"10.0.9.0/24\"]}";
const NETWORK_HINT: &str = "write an address or a network, such as `10.0.0.0/16`";
const CONDITION_HINT: &str =
    "write {\"key\": \"scp:UserName\", \"qualifier\": \"default\", \"operator\": \"StringEquals\", \"values\": [\"foo\"]}";

const CONTROLS: [(&str, Effect); 2] = [("Allow", Effect::Allow), ("Deny", Effect::Deny)];
const AUTHENTICATIONS: [(&str, Authentication); 3] = [
    (ALL, Authentication::All),
    ("AuthenticationKey", Authentication::AuthenticationKey),
    ("TemporaryKeyAndConsoleLogin", Authentication::TemporaryKeyAndConsoleLogin),
];
const QUALIFIERS: [(&str, Qualifier); 3] = [("default", Qualifier::Default), ("any", Qualifier::Any), ("all", Qualifier::All)];

/// The tree of the text.
pub(super) fn of(basic: &Basic) -> Node {
    object([("rules", node(Value::List(basic.rules.iter().map(rule_of).collect())))])
}

fn rule_of(rule: &Rule) -> Node {
    let sid = rule.sid.as_ref().map(|sid| ("sid", string(sid)));
    let members = [
        ("control", string(word(&CONTROLS, rule.control))),
        ("actions", list(&rule.actions)),
        ("resources", choice_of(&rule.resources)),
        ("authentication", string(word(&AUTHENTICATIONS, rule.authentication))),
        ("addresses", addresses_of(&rule.addresses)),
    ];
    let conditions = rule.conditions.iter().map(|condition| {
        object([
            ("key", string(&condition.key)),
            ("qualifier", string(word(&QUALIFIERS, condition.qualifier))),
            ("operator", string(&condition.operator)),
            ("values", list(&condition.values)),
        ])
    });
    let conditions = Some(("conditions", node(Value::List(conditions.collect())))).filter(|_| !rule.conditions.is_empty());
    object(sid.into_iter().chain(members).chain(conditions))
}

fn choice_of(choice: &Choice) -> Node {
    match choice {
        Choice::All => string(ALL),
        Choice::Listed(texts) => list(texts),
    }
}

fn addresses_of(addresses: &Addresses) -> Node {
    if addresses.applied == Choice::All && addresses.excluded.is_empty() {
        return string(ALL);
    }
    object([("applied", choice_of(&addresses.applied)), ("excluded", list(&addresses.excluded))])
}

fn word<T: Copy + PartialEq>(words: &[(&'static str, T)], value: T) -> &'static str {
    words.iter().find(|(_, known)| *known == value).map_or("", |(word, _)| word)
}

impl Basic {
    /// Reads the text that [`Basic::to_text`] writes, and what people make of it. Every error goes to the report, with its place;
    /// `None` when there was one. Only conditions, their qualifiers and excluded addresses may be left out: what is not said
    /// restricts nothing, and should not be forgotten.
    #[must_use]
    pub fn read(root: &Node, source: &Source, report: &Report) -> Option<Self> {
        // Warnings are for those who put the policy in force.
        let found = Report::new();
        let catalogue = Catalogue::builder(Offering::default()).build();
        let read = rules(&Reader::new(&catalogue, source, &found), &Cursor::new(root, source, &found));
        let basic = read.map(|rules| Self { rules }).filter(|_| !found.has_errors());
        if let Some(bytes) = basic.as_ref().map(|basic| basic.to_json().len()).filter(|bytes| *bytes > DOCUMENT_BYTES_MAX) {
            let message = format!("the policy would have {bytes} bytes; the limit is {DOCUMENT_BYTES_MAX}");
            found.error(source, root.span, message, Some("split it into several policies".to_owned()));
        }
        report.take_errors(&found);
        basic.filter(|_| !found.has_errors())
    }
}

fn rules<'a>(reader: &Reader<'a>, at: &Cursor<'a>) -> Option<Vec<Rule>> {
    let setting = Setting::Identity { owner: Owner::system() };
    let table = at.table()?;
    let rules = table.required("rules", RULES_HINT, |rules| {
        let items = listed(&rules, RULES_HINT)?;
        if items.is_empty() {
            rules.error_hint("there is no rule", RULES_HINT);
            return None;
        }
        if items.len() > STATEMENTS_MAX {
            let message = format!("there are {} rules; the limit is {STATEMENTS_MAX}", items.len());
            rules.error_hint(message, "split them over several policies");
            return None;
        }
        let mut sids = HashSet::new();
        each(&items, |item| rule(reader, item, &setting, &mut sids))
    });
    table.finish()?;
    rules
}

fn rule<'a>(reader: &Reader<'a>, at: &Cursor<'a>, setting: &Setting<'_>, sids: &mut HashSet<String>) -> Option<Rule> {
    let table = at.table()?;
    let sid = table.optional("sid", |at| {
        let sid = at.string()?;
        if !sids.insert(sid.clone()) {
            at.error_hint(format!("the `sid` `{}` stands for two rules", shown(&sid)), "give each rule a name of its own");
            return None;
        }
        Some(sid.into())
    });
    let control = table.required("control", "write \"control\": \"Allow\" or \"control\": \"Deny\"", |at| at.one_of(&CONTROLS));
    let actions = table.required("actions", ACTIONS_HINT, |at| {
        let items = listed(&at, ACTIONS_HINT)?;
        action::read(reader, &at, &ActionRule { effect: control, complement: false, setting })?;
        each(&items, |item| item.text().map(Box::from))
    });
    let resources = table.required("resources", RESOURCES_HINT, |at| resources(reader, &at, setting, control));
    let authentication = table.required("authentication", AUTHENTICATION_HINT, |at| at.one_of(&AUTHENTICATIONS));
    let addresses = table.required("addresses", ADDRESSES_HINT, |at| addresses(reader, &at));
    let conditions = table.or("conditions", Vec::new(), |at| conditions(reader, &at, setting.owner()));
    table.finish()?;
    Some(Rule {
        sid: sid?,
        control: control?,
        actions: actions?,
        resources: resources?,
        authentication: authentication?,
        addresses: addresses?,
        conditions: conditions?,
    })
}

fn resources<'a>(reader: &Reader<'a>, at: &Cursor<'a>, setting: &Setting<'_>, effect: Option<Effect>) -> Option<Choice> {
    if is_all(at) {
        return Some(Choice::All);
    }
    let items = listed(at, RESOURCES_HINT)?;
    resource::read(reader, at, setting, effect, None)?;
    let srns = each(&items, |item| {
        let text = item.text()?;
        if text == "*" {
            item.error_hint("`*` is no SRN", "write \"resources\": \"all\" for every resource");
            return None;
        }
        match misfit(text) {
            Some(why) => {
                item.error_hint(&why, why.advice());
                None
            }
            None => Some(text.into()),
        }
    });
    srns.map(Choice::Listed)
}

fn addresses<'a>(reader: &Reader<'a>, at: &Cursor<'a>) -> Option<Addresses> {
    if is_all(at) {
        return Some(Addresses { applied: Choice::All, excluded: Vec::new() });
    }
    if !matches!(at.node().value, Value::Map(_)) {
        wrong(at, "`all` or an object", ADDRESSES_HINT);
        return None;
    }
    let networks = |at: Cursor<'a>| {
        listed(&at, ADDRESSES_HINT)?;
        let items = reader.items(&at, "write \"all\", or at least one address or network")?;
        each(&items, |item| item.parse::<Network>(NETWORK_HINT).and_then(|_| item.text()).map(Box::from))
    };
    let table = at.table()?;
    let applied = table.required("applied", "write \"applied\": \"all\", or a list of addresses and networks", |at| {
        if is_all(&at) { Some(Choice::All) } else { networks(at).map(Choice::Listed) }
    });
    let excluded = table.or("excluded", Vec::new(), |at| if is_empty(&at) { Some(Vec::new()) } else { networks(at) });
    table.finish()?;
    Some(Addresses { applied: applied?, excluded: excluded? })
}

fn conditions<'a>(reader: &Reader<'a>, at: &Cursor<'a>, owner: &Owner) -> Option<Vec<Condition>> {
    let items = listed(at, CONDITION_HINT)?;
    if items.len() > CONDITIONS_MAX {
        at.error_hint(format!("there are {} conditions; the limit is {CONDITIONS_MAX}", items.len()), "split the rule");
        return None;
    }
    let mut seen: Vec<(String, condition::Key)> = Vec::new();
    let mut read = each(&items, |item| {
        let (key, condition) = condition(reader, item, owner)?;
        let entry = (condition.member(), key);
        if seen.contains(&entry) {
            // SECURITY: in JSON one of the two would be lost: `two_conditions_in_one_place_are_refused`.
            let message = format!("two conditions compare `{}` by `{}`", shown(&condition.key), entry.0);
            item.error_hint(message, "put all values into one list");
            return None;
        }
        seen.push(entry);
        Some(condition)
    })?;
    read.sort_by_cached_key(Condition::place);
    Some(read)
}

fn condition<'a>(reader: &Reader<'a>, at: &Cursor<'a>, owner: &Owner) -> Option<(condition::Key, Condition)> {
    let table = at.table()?;
    let qualifier = table.or("qualifier", Qualifier::Default, |at| at.one_of(&QUALIFIERS));
    let member = |at: Cursor<'a>| Some((at.text()?, at.node().span));
    let operator = table.required("operator", CONDITION_HINT, member);
    let key = table.required("key", CONDITION_HINT, member);
    let values = table.required("values", CONDITION_HINT, |at| listed(&at, CONDITION_HINT).map(|_| at));
    table.finish()?;
    let (qualifier, (operator, operator_span), (key, key_span), values) = (qualifier?, operator?, key?, values?);
    if let Some((_, bare)) = operator.split_once(':') {
        let hint = format!("write \"operator\": \"{}\", and \"any\" or \"all\" as the qualifier", shown(bare));
        at.error_at(operator_span, format!("`{}` has a qualifier", shown(operator)), hint);
        return None;
    }
    let named = |name, span, value| Member { name, span, value };
    let read = condition::lone(reader, &named(operator, operator_span, at.clone()), &named(key, key_span, values.clone()), owner)?;
    if read.is_null_test() && qualifier != Qualifier::Default {
        at.error_hint("`Null` takes no qualifier", "write \"qualifier\": \"default\"");
        return None;
    }
    let texts = values.list(|value| condition::scalar(value.node()).map(Box::from))?;
    let condition = Condition { key: key.into(), qualifier, operator: operator.into(), values: texts };
    if let Some(field) = condition.field() {
        let (name, hint) = match field {
            Field::Authentication(_) => ("authentication", AUTHENTICATION_HINT),
            Field::Applied | Field::Excluded => ("addresses", ADDRESSES_HINT),
        };
        at.error_hint(format!("that is what `{name}` of the rule says"), hint);
        return None;
    }
    Some((read.key, condition))
}

fn is_all(at: &Cursor<'_>) -> bool {
    matches!(&at.node().value, Value::String(text) if **text == *ALL)
}

fn is_empty(at: &Cursor<'_>) -> bool {
    matches!(&at.node().value, Value::List(items) if items.is_empty())
}

/// The items of a list, and of nothing else.
fn listed<'a>(at: &Cursor<'a>, hint: &str) -> Option<Vec<Cursor<'a>>> {
    if !matches!(at.node().value, Value::List(_)) {
        wrong(at, "a list", hint);
        return None;
    }
    at.list(Some)
}

/// Every item, or `None` after all bad ones were reported.
fn each<'a, T>(items: &[Cursor<'a>], read: impl FnMut(&Cursor<'a>) -> Option<T>) -> Option<Vec<T>> {
    let read: Vec<Option<T>> = items.iter().map(read).collect();
    read.into_iter().collect()
}
