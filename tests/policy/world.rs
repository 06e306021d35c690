//! The world of the cases: their catalogue, requests and policies, read with the project's own JSON reader.

use std::net::IpAddr;
use std::sync::Arc;

use portcullis::policy::{Catalogue, Context, Owner, Policy, Request, Resource};
use portcullis::source::{Node, Report, Source, Value, json};
use portcullis::types::{AccessLevel, Srn};

pub(crate) const CASES: &str = include_str!("cases.json");
pub(crate) const ACCOUNT: &str = "9b7653f6f47a42e38055934a0575a813";

pub(crate) fn cases() -> Node {
    json::parse(CASES.as_bytes(), json::Limits { bytes_max: 1 << 20, depth_max: 64 }).unwrap()
}

pub(crate) fn text<'a>(node: &'a Node, key: &str) -> &'a str {
    optional(node, key).unwrap_or_else(|| panic!("no text `{key}`"))
}

pub(crate) fn optional<'a>(node: &'a Node, key: &str) -> Option<&'a str> {
    match &node.get(key)?.value {
        Value::String(text) => Some(text),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::List(_) | Value::Map(_) => None,
    }
}

pub(crate) fn list<'a>(node: &'a Node, key: &str) -> &'a [Node] {
    match node.get(key).map(|node| &node.value) {
        Some(Value::List(items)) => items,
        _ => &[],
    }
}

pub(crate) fn entries<'a>(node: &'a Node, key: &str) -> Vec<(&'a str, &'a Node)> {
    match node.get(key).map(|node| &node.value) {
        Some(Value::Map(entries)) => entries.iter().map(|(key, node)| (&*key.text, node)).collect(),
        _ => Vec::new(),
    }
}

pub(crate) fn string(node: &Node) -> &str {
    match &node.value {
        Value::String(text) => text,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::List(_) | Value::Map(_) => panic!("not a text"),
    }
}

/// The catalogue of the cases. They name no access levels; the name of an action says enough.
pub(crate) fn catalogue(cases: &Node) -> Catalogue {
    let described = cases.get("catalog").unwrap();
    let mut builder = Catalogue::builder("e".parse().unwrap());
    for service in list(described, "services") {
        let aliases: Vec<&str> = list(service, "aliases").iter().map(string).collect();
        builder.service(text(service, "service"), text(service, "service_type"), &aliases).unwrap();
    }
    for (name, kinds) in entries(described, "actions") {
        let Value::List(kinds) = &kinds.value else { panic!("not a list") };
        let kinds: Vec<_> = kinds.iter().map(|kind| builder.resource_type(string(kind)).unwrap()).collect();
        let level = if name.contains(":list") || name.contains(":List") {
            AccessLevel::List
        } else if name.contains(":show") || name.contains(":Show") {
            AccessLevel::Read
        } else if name.contains(":delete") || name.contains(":Delete") {
            AccessLevel::Delete
        } else {
            AccessLevel::Update
        };
        builder.action(name.parse().unwrap(), level, &kinds).unwrap();
    }
    for definition in list(described, "resource_definitions") {
        builder.resource_type(&format!("{}:{}", text(definition, "service_type"), text(definition, "resource_type"))).unwrap();
    }
    builder.build()
}

/// A policy of the test account, or what is wrong with it.
pub(crate) fn load(document: &str, account: &str, catalogue: &Catalogue) -> (Option<Policy>, Report) {
    let report = Report::new();
    let source = Source::new("policy.json", document);
    let policy = Policy::load(&source, "p", Owner::account(account), catalogue, &report);
    assert_eq!(policy.is_none(), report.has_errors(), "a policy is refused if and only if an error is reported:\n{report}");
    (policy, report)
}

pub(crate) fn policy(document: &str, catalogue: &Catalogue) -> Arc<Policy> {
    let (policy, report) = load(document, ACCOUNT, catalogue);
    Arc::new(policy.unwrap_or_else(|| panic!("{document}\n{report}")))
}

/// The document of one or more statements.
pub(crate) fn document(statements: &[impl AsRef<str>]) -> String {
    let statements: Vec<&str> = statements.iter().map(AsRef::as_ref).collect();
    format!("{{\"Version\": \"2024-07-01\", \"Statement\": [{}]}}", statements.join(", "))
}

/// What the resources of a request are made from.
pub(crate) fn resource<'a>(srn: &'a str, catalogue: &Catalogue) -> Resource<'a> {
    let srn = Srn::parse(srn).unwrap();
    assert_eq!(srn.offering, catalogue.offering().as_str());
    let kind = catalogue.find_resource_type(srn.service_type, srn.resource_type).unwrap();
    Resource { kind, account: srn.account, region: srn.region, id: srn.resource_id }
}

pub(crate) fn no_context() -> Context<'static> {
    Context {
        source_ip: None,
        now: "2026-11-20T22:00:00Z".parse().unwrap(),
        user_id: None,
        user_name: None,
        authentication_type: None,
        mfa: None,
        requested_region: None,
    }
}

pub(crate) fn request<'a>(action: &str, resources: &'a [Resource<'a>], catalogue: &Catalogue) -> Request<'a> {
    Request {
        action: catalogue.action_id(action).unwrap(),
        resources,
        principal_account: ACCOUNT,
        root_of_account: false,
        context: no_context(),
    }
}

/// One entry of a case's context, as far as it can be said with the types of today.
pub(crate) fn set<'a>(context: &mut Context<'a>, key: &str, value: &'a Node) -> Result<(), &'static str> {
    let text = match &value.value {
        Value::String(text) => Some(&**text),
        Value::Bool(_) | Value::Null | Value::Number(_) | Value::List(_) | Value::Map(_) => None,
    };
    match (key, &value.value) {
        (_, Value::Null) => {}
        ("scp:UserId", _) => context.user_id = Some(text.unwrap()),
        ("scp:UserName", _) => context.user_name = Some(text.unwrap()),
        ("scp:AuthenticationType", _) => context.authentication_type = Some(text.unwrap()),
        ("scp:RequestedRegion", _) => context.requested_region = Some(text.unwrap()),
        ("scp:CurrentTime", _) => context.now = text.unwrap().parse().unwrap(),
        ("scp:MultiFactorAuthPresent", Value::Bool(mfa)) => context.mfa = Some(*mfa),
        ("scp:MultiFactorAuthPresent", _) => context.mfa = Some(text.unwrap().eq_ignore_ascii_case("true")),
        ("scp:SourceIp", _) => match text.unwrap().parse::<IpAddr>() {
            Ok(address) => context.source_ip = Some(address),
            Err(_) => return Err("source address that is none"),
        },
        (key, _) if key.starts_with("scp:TagKeys") || key.starts_with("scp:RequestTag/") => return Err("tags"),
        (key, _) if key.starts_with("scp:RequestAttribute/") => return Err("request attributes"),
        (key, _) => panic!("the harness does not know the context key {key}"),
    }
    Ok(())
}

/// A node as JSON text again, for documents that stand inside the cases.
pub(crate) fn print(node: &Node) -> String {
    match &node.value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(text) => text.to_string(),
        Value::String(text) => quoted(text),
        Value::List(items) => format!("[{}]", items.iter().map(print).collect::<Vec<_>>().join(", ")),
        Value::Map(entries) => {
            let entries: Vec<String> = entries.iter().map(|(key, node)| format!("{}: {}", quoted(&key.text), print(node))).collect();
            format!("{{{}}}", entries.join(", "))
        }
    }
}

fn quoted(text: &str) -> String {
    let escaped = |character: char| match character {
        '"' => "\\\"".to_owned(),
        '\\' => "\\\\".to_owned(),
        control if control.is_control() => format!("\\u{:04x}", u32::from(control)),
        other => other.to_string(),
    };
    format!("\"{}\"", text.chars().map(escaped).collect::<String>())
}
