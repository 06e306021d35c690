//! The policy language decided a second time, word for word: an oracle for what the engine decides.
//!
//! Nothing is prepared, remembered or shared with the engine: each question goes back to the texts, and each rule is one
//! function that names the resolutions (`R01` to `R55`) it rests on. All policies of a case are valid documents.

use portcullis::source::{Node, Value};

use condition::{Entry, Found, Subject};

#[path = "oracle/condition.rs"]
mod condition;
#[path = "oracle/pattern.rs"]
mod pattern;
#[path = "oracle/value.rs"]
mod value;

/// What a request comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Allow,
    ImplicitDeny,
    ExplicitDeny,
    UnknownAction,
}

/// What a statement sees of the request.
#[derive(Clone)]
struct Request<'a> {
    catalog: &'a Node,
    action: &'a str,
    context: &'a Node,
    resources: Vec<&'a Node>,
}

/// Section 1.5: how the policies of one case combine.
pub(crate) fn decide(catalog: &Node, case: &Node) -> Outcome {
    let asked = member(case, "request");
    let principal = member(asked, "principal");
    let resources = listed(asked, "resources").iter().collect();
    let request = Request { catalog, action: text_of(asked, "action"), context: member(asked, "context"), resources };
    if is_unknown(&request) {
        return Outcome::UnknownAction;
    }
    let identity = identity_policies(case, principal);
    let session = listed(case, "session_policies");
    let owner = optional_text(principal, "account").unwrap_or_default();
    let denied = some_applies(&request, owner, identity, "Deny")
        || some_applies(&request, owner, session, "Deny")
        || request.resources.iter().any(|resource| own_policy_says(&request, case, principal, resource, "Deny"));
    if denied {
        return Outcome::ExplicitDeny;
    }
    let identity_allows = is_root(principal) || some_applies(&request, owner, identity, "Allow");
    let allowed = grants(&request, case, principal, identity_allows);
    let capped = !session.is_empty() && !some_applies(&request, owner, session, "Allow");
    if allowed && !capped { Outcome::Allow } else { Outcome::ImplicitDeny }
}

/// R10: a request for an action that no definition knows.
fn is_unknown(request: &Request<'_>) -> bool {
    member(request.catalog, "actions").get(request.action).is_none()
}

/// R24, R29: a service holds none; everybody else has exactly the policies of the case.
fn identity_policies<'a>(case: &'a Node, principal: &Node) -> &'a [Node] {
    if is_service(principal) { &[] } else { listed(case, "identity_policies") }
}

/// R25, R26, R27, R29: who has to say yes, once nobody has said no.
fn grants(request: &Request<'_>, case: &Node, principal: &Node, identity_allows: bool) -> bool {
    let by_own_policy = |resource: &&Node| own_policy_says(request, case, principal, resource, "Allow");
    let all_by_own_policy = || !request.resources.is_empty() && request.resources.iter().all(by_own_policy);
    let Some(account) = optional_text(principal, "account") else { return all_by_own_policy() };
    let is_foreign = |resource: &&&Node| pattern::read(text_of(resource, "srn")).unwrap().account != account;
    let mut foreign = request.resources.iter().filter(is_foreign).peekable();
    if foreign.peek().is_none() { identity_allows || all_by_own_policy() } else { identity_allows && foreign.all(by_own_policy) }
}

/// Whether some statement with this effect applies to the whole request. Policies and statements combine with OR (R03, R20).
fn some_applies(request: &Request<'_>, owner: &str, policies: &[Node], effect: &str) -> bool {
    policies.iter().flat_map(statements).any(|statement| is(statement, effect) && applies(request, owner, statement))
}

/// R28: whether a policy attached to this resource, or to what it is a part of, says so to this principal. It is judged on this
/// resource alone and owned by the account of the resource it is attached to.
fn own_policy_says(request: &Request<'_>, case: &Node, principal: &Node, resource: &Node, effect: &str) -> bool {
    let alone = Request { resources: vec![resource], ..request.clone() };
    listed(case, "resource_policies").iter().any(|attached| {
        let place = pattern::read(text_of(attached, "attached_to")).unwrap();
        let srn = pattern::read(text_of(resource, "srn")).unwrap();
        pattern::is_or_contains(request.catalog, &place, &srn)
            && statements(member(attached, "policy")).any(|statement| {
                is(statement, effect)
                    && names(request.catalog, member(statement, "Principal"), principal)
                    && applies(&alone, place.account, statement)
            })
    })
}

/// R03: one statement or several.
fn statements(policy: &Node) -> impl Iterator<Item = &Node> {
    one_or_more(member(policy, "Statement"))
}

/// R08.
fn is(statement: &Node, effect: &str) -> bool {
    text_of(statement, "Effect") == effect
}

/// R22, R29: whether a `Principal` names this principal.
fn names(catalog: &Node, wanted: &Node, principal: &Node) -> bool {
    if is_service(principal) {
        let name = text_of(principal, "name");
        return wanted.get("Service").is_some_and(|domains| one_or_more(domains).any(|domain| text(domain) == name));
    }
    wanted.get("scp").is_some_and(|srns| one_or_more(srns).any(|srn| is_same_principal(catalog, text(srn), principal)))
}

/// R15, R22, R23: the same SRN after folding; `user/ROOT` is the root user of its account and nobody else.
fn is_same_principal(catalog: &Node, wanted: &str, principal: &Node) -> bool {
    let wanted = pattern::read(wanted).unwrap();
    let asking = pattern::read(text_of(principal, "srn")).unwrap();
    if wanted.kind == "user" && wanted.id == "ROOT" {
        return is_root(principal) && wanted.account == asking.account;
    }
    let service = |srn: &pattern::Srn<'_>| pattern::fold_service_type(catalog, srn.service_type);
    wanted.offering == asking.offering
        && wanted.account == asking.account
        && wanted.region == asking.region
        && service(&wanted) == service(&asking)
        && wanted.kind == asking.kind
        && wanted.id == asking.id
}

fn is_service(principal: &Node) -> bool {
    text_of(principal, "type") == "service"
}

/// R27.
fn is_root(principal: &Node) -> bool {
    text_of(principal, "type") == "root"
}

/// Whether a statement has its effect on the request.
fn applies(request: &Request<'_>, owner: &str, statement: &Node) -> bool {
    matches_action(request, statement)
        && if is(statement, "Allow") { allows(request, owner, statement) } else { denies(request, owner, statement) }
}

/// R07: `Action` matches what one of its expressions matches, `NotAction` what none of its expressions matches.
fn matches_action(request: &Request<'_>, statement: &Node) -> bool {
    let some = |expressions: &Node| one_or_more(expressions).any(|expression| names_action(request, text(expression)));
    match statement.get("Action") {
        Some(expressions) => some(expressions),
        None => !some(member(statement, "NotAction")),
    }
}

/// R09, R51: `*`, `service:Name` or `*:Name` with `*` anywhere in the name, and an access-level filter behind it.
fn names_action(request: &Request<'_>, expression: &str) -> bool {
    let (expression, levels) = match expression.strip_suffix(']') {
        Some(filtered) => {
            let (expression, levels) = filtered.split_once('[').unwrap();
            (expression, Some(levels))
        }
        None => (expression, None),
    };
    levels.is_none_or(|levels| has_level(request, levels)) && (expression == "*" || names_service_and_action(request, expression))
}

fn names_service_and_action(request: &Request<'_>, expression: &str) -> bool {
    let (wanted_service, wanted_name) = expression.split_once(':').unwrap();
    let (service, name) = request.action.split_once(':').unwrap();
    (wanted_service == "*" || wanted_service == service) && pattern::matches_stars(wanted_name, name)
}

/// R51: whether the action's definition carries one of the levels.
fn has_level(request: &Request<'_>, levels: &str) -> bool {
    let level = request.catalog.get("access_levels").and_then(|known| optional_text(known, request.action));
    level.is_some_and(|level| levels.split(',').any(|wanted| wanted.eq_ignore_ascii_case(level)))
}

/// R17, R19, R43, R44, R46: an Allow covers every resource, and nothing about it is undefined or in doubt.
fn allows(request: &Request<'_>, owner: &str, statement: &Node) -> bool {
    let holds = |entry: &Entry<'_>, found: Found<'_>| entry.holds(request.catalog, owner, found).unwrap_or(false);
    covers_no_resource_or_any(request, statement)
        && request.resources.iter().all(|resource| covers(request, owner, statement, resource))
        && condition::entries(statement).iter().all(|entry| match entry.subject(request.catalog) {
            Subject::Undefined => false,
            Subject::Request => holds(entry, condition::in_request(request.context, entry.key)),
            Subject::ResourceTag(name) => {
                let on = |resource| holds(entry, condition::tags(resource, name));
                if request.resources.is_empty() { holds(entry, Found::absent()) } else { request.resources.iter().copied().all(on) }
            }
            Subject::Attribute(attribute) => {
                let of_type = of_type(request, &attribute);
                let on = |resource| holds(entry, condition::attribute(resource, attribute.name));
                if of_type.is_empty() { holds(entry, Found::absent()) } else { of_type.into_iter().all(on) }
            }
        })
}

/// R18, R19, R43, R44, R46: a Deny needs one resource, loses only the undefined entries, and doubt does not stop it.
fn denies(request: &Request<'_>, owner: &str, statement: &Node) -> bool {
    let holds = |entry: &Entry<'_>, found: Found<'_>| entry.holds(request.catalog, owner, found).unwrap_or(true);
    let entries = condition::entries(statement);
    let entry_holds = |entry: &Entry<'_>, resource: Option<&Node>| match entry.subject(request.catalog) {
        Subject::Undefined => true,
        Subject::Request => holds(entry, condition::in_request(request.context, entry.key)),
        Subject::ResourceTag(name) => holds(entry, resource.map_or_else(Found::absent, |resource| condition::tags(resource, name))),
        Subject::Attribute(attribute) => {
            let of_type = of_type(request, &attribute);
            let on = |resource| holds(entry, condition::attribute(resource, attribute.name));
            match resource {
                Some(resource) if is_of_type(request, resource, &attribute) => on(resource),
                _ if of_type.is_empty() => holds(entry, Found::absent()),
                _ => of_type.into_iter().any(on),
            }
        }
    };
    if request.resources.is_empty() {
        return covers_no_resource_or_any(request, statement) && entries.iter().all(|entry| entry_holds(entry, None));
    }
    request
        .resources
        .iter()
        .any(|resource| covers(request, owner, statement, resource) && entries.iter().all(|entry| entry_holds(entry, Some(resource))))
}

/// R19: without resources only the bare `*` will do.
fn covers_no_resource_or_any(request: &Request<'_>, statement: &Node) -> bool {
    !request.resources.is_empty() || one_or_more(member(statement, "Resource")).any(|wanted| text(wanted) == "*")
}

/// Whether one of the statement's patterns denotes the resource. One that denotes no resource of the action is idle (R16).
fn covers(request: &Request<'_>, owner: &str, statement: &Node, resource: &Node) -> bool {
    let srn = pattern::read(text_of(resource, "srn")).unwrap();
    one_or_more(member(statement, "Resource"))
        .map(text)
        .any(|wanted| wanted == "*" || pattern::matches(request.catalog, owner, wanted, &srn))
}

/// R46: the resources of the request that an attribute key speaks about.
fn of_type<'a>(request: &Request<'a>, attribute: &condition::Attribute<'_>) -> Vec<&'a Node> {
    request.resources.iter().copied().filter(|resource| is_of_type(request, resource, attribute)).collect()
}

fn is_of_type(request: &Request<'_>, resource: &Node, attribute: &condition::Attribute<'_>) -> bool {
    let srn = pattern::read(text_of(resource, "srn")).unwrap();
    let service = |service_type| pattern::fold_service_type(request.catalog, service_type);
    service(srn.service_type) == service(attribute.service_type) && srn.kind == attribute.kind
}

// ---- the tree

fn member<'a>(node: &'a Node, name: &str) -> &'a Node {
    node.get(name).unwrap_or_else(|| panic!("no member `{name}`"))
}

fn listed<'a>(node: &'a Node, name: &str) -> &'a [Node] {
    match node.get(name).map(|node| &node.value) {
        Some(Value::List(items)) => items,
        None => &[],
        Some(other) => panic!("`{name}` is {}", other.kind()),
    }
}

fn entries(node: &Node) -> impl Iterator<Item = (&str, &Node)> {
    let Value::Map(entries) = &node.value else { panic!("{} is no mapping", node.value.kind()) };
    entries.iter().map(|(key, node)| (&*key.text, node))
}

/// R06: a list, or one value that stands for the list of it.
fn one_or_more(node: &Node) -> impl Iterator<Item = &Node> {
    match &node.value {
        Value::List(items) => items.iter(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Map(_) => std::slice::from_ref(node).iter(),
    }
}

fn text(node: &Node) -> &str {
    let Value::String(text) = &node.value else { panic!("{} is no text", node.value.kind()) };
    text
}

fn text_of<'a>(node: &'a Node, name: &str) -> &'a str {
    text(member(node, name))
}

fn optional_text<'a>(node: &'a Node, name: &str) -> Option<&'a str> {
    node.get(name).filter(|node| node.value != Value::Null).map(text)
}

#[cfg(test)]
mod tests {
    use portcullis::source::json;

    use super::*;

    #[test]
    fn every_decision_case_of_the_file_is_decided_as_expected() {
        let limits = json::Limits { bytes_max: 1 << 20, depth_max: 64 };
        let cases = json::parse(include_str!("cases.json").as_bytes(), limits).unwrap();
        let mut seen = 0;
        for case in listed(&cases, "cases").iter().filter(|case| text_of(case, "kind") == "decision") {
            let expected = match text_of(case, "reason") {
                "allow" => Outcome::Allow,
                "implicit_deny" => Outcome::ImplicitDeny,
                "explicit_deny" => Outcome::ExplicitDeny,
                "unknown_action" => Outcome::UnknownAction,
                other => panic!("no reason is called {other}"),
            };
            assert_eq!(decide(member(&cases, "catalog"), case), expected, "{}: {}", text_of(case, "id"), text_of(case, "title"));
            seen += 1;
        }
        assert!(seen > 150, "only {seen} decision cases");
    }
}
