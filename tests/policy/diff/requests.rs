//! Requests around a pair of sets of policies: those that they were made for, with values out of the policies themselves in places.

use portcullis::source::{Node, Value, json};
use portcullis::types::Srn;

use super::named;
use super::pairs::{Numbers, items, list, map, member, string, text};
use crate::agreement::parse;
use crate::world::ACCOUNT;

/// Texts that stand in the policies, and what they might match.
struct Words {
    values: Vec<Node>,
    srns: Vec<String>,
}

/// So many requests of a user or a role of the account, in the form of cases.
pub(super) fn around(dice: &mut Numbers, cases: &[Node], sides: [&Vec<Node>; 2], count: usize) -> Vec<Node> {
    let mut words = Words { values: Vec::new(), srns: Vec::new() };
    for document in sides.into_iter().flatten() {
        for statement in items(document.get("Statement").unwrap()) {
            words.srns.extend(items(statement.get("Resource").unwrap()).iter().map(|pattern| text(pattern).to_owned()));
            let Some(Node { value: Value::Map(operators), .. }) = statement.get("Condition") else { continue };
            for (_, keys) in operators {
                let Value::Map(keys) = &keys.value else { continue };
                words.values.extend(keys.iter().flat_map(|(_, values)| items(values)));
            }
        }
    }
    (0..count).map(|_| request(dice, cases, &words)).collect()
}

fn request(dice: &mut Numbers, cases: &[Node], words: &Words) -> Node {
    let case = dice.one(cases);
    let account = case.get("request").unwrap().get("principal").unwrap().get("account");
    let mut request = match account.map(|account| &account.value) {
        Some(Value::String(account)) => {
            parse(&json::print(case.get("request").unwrap()).replace(&format!("::{account}:"), &format!("::{ACCOUNT}:")))
        }
        Some(_) | None => case.get("request").unwrap().clone(),
    };
    let has_user = context(dice, member(&mut request, "context").unwrap(), words);
    let kind = if has_user { "user" } else { "role" };
    let srn = format!("srn:e::{ACCOUNT}:::scp-iam:{kind}/alice");
    *member(&mut request, "principal").unwrap() = map(vec![("type", string(kind)), ("srn", string(&srn)), ("account", string(ACCOUNT))]);
    let Value::List(resources) = &mut member(&mut request, "resources").unwrap().value else { panic!("no resources") };
    resources.iter_mut().for_each(|resource| resource_of(dice, resource, words));
    let action = text(request.get("action").unwrap()).to_owned();
    let grants = resources_of(&request).into_iter().filter_map(|resource| grant(&resource, &srn, &action)).collect();
    map(vec![("request", request), ("resource_policies", list(grants))])
}

fn resources_of(request: &Node) -> Vec<String> {
    items(request.get("resources").unwrap()).iter().map(|resource| text(resource.get("srn").unwrap()).to_owned()).collect()
}

/// The policy of a resource of another account, if it may name the action (R28).
fn grant(resource: &str, principal: &str, action: &str) -> Option<Node> {
    let srn = Srn::parse(resource).unwrap();
    let service = action.split_once(':')?.0;
    let serving: &[&str] = match service {
        "iam" => &["iam"],
        "object-store" => &["object-store"],
        "server" => &["compute", "server", "virtual-server", "vm"],
        "kms" => &["kms", "key-management", "hsm"],
        "dns" => &["dns"],
        _ => &[],
    };
    let bare = srn.service_type.strip_prefix("scp-").unwrap_or(srn.service_type);
    let fits = serving.contains(&bare) || ["resourcemanager", "audit"].contains(&service);
    (srn.account != ACCOUNT && fits && srn.resource_type != "role").then(|| {
        let principal = map(vec![("scp", list(vec![string(principal)]))]);
        let statement =
            map(vec![("Effect", string("Allow")), ("Principal", principal), ("Action", string(action)), ("Resource", string("*"))]);
        map(vec![("attached_to", string(resource)), ("policy", map(vec![("Version", string("2024-07-01")), ("Statement", statement)]))])
    })
}

/// Another account, region or id, from the patterns.
fn resource_of(dice: &mut Numbers, resource: &mut Node, words: &Words) {
    if let Some(Node { value: Value::String(word), .. }) = resource.get("attributes")
        && &**word == "UNAVAILABLE"
    {
        *member(resource, "attributes").unwrap() = map(Vec::new());
    }
    for part in ["tags", "attributes"] {
        if let Some(Value::Map(entries)) = member(resource, part).map(|node| &mut node.value) {
            entries.iter_mut().for_each(|(_, value)| vary(dice, value, words));
        }
    }
    let srn = text(resource.get("srn").unwrap()).to_owned();
    let own = Srn::parse(&srn).unwrap();
    let Some(pattern) = (!words.srns.is_empty() && dice.below(3) > 0).then(|| dice.one(&words.srns)) else { return };
    let Ok(pattern) = Srn::parse(pattern) else { return };
    let fill = |dice: &mut Numbers, pattern: &str| {
        let filled = pattern.replace('*', dice.pick(&["", "", "a", "/", "foo"])).replace('?', dice.pick(&["x", "1", "한"]));
        if dice.below(4) == 0 { filled + "x" } else { filled }
    };
    let (region, id) = (fill(dice, pattern.region), fill(dice, pattern.resource_id));
    let account = [own.account, pattern.account, ACCOUNT][dice.below(3)];
    let made = Srn {
        account: if account.is_empty() { ACCOUNT } else { account },
        region: if dice.below(2) == 0 { own.region } else { &region },
        resource_id: if id.is_empty() { own.resource_id } else { &id },
        ..own
    };
    *member(resource, "srn").unwrap() = string(&made.to_string());
}

/// Now and then a value of the policies, or several, or none.
fn vary(dice: &mut Numbers, value: &mut Node, words: &Words) {
    if words.values.is_empty() || dice.below(2) == 0 {
        return;
    }
    let one = |dice: &mut Numbers| match &dice.one(&words.values).value {
        Value::String(text) => string(&text.replace('*', dice.pick(&["", "x"]))),
        value @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::List(_) | Value::Map(_)) => {
            Node { value: value.clone(), ..string("") }
        }
    };
    *value = match dice.below(4) {
        0 => list(vec![one(dice), one(dice)]),
        1 => list(Vec::new()),
        _ => one(dice),
    };
}

/// Makes a context one that a gateway may make (R54). Whether it is a user's.
fn context(dice: &mut Numbers, node: &mut Node, words: &Words) -> bool {
    let Value::Map(context) = &mut node.value else { panic!("no context") };
    let is = |key: &str, name: &str| key.eq_ignore_ascii_case(&format!("scp:{name}"));
    context.iter_mut().for_each(|(_, value)| vary(dice, value, words));
    let plain = |value: &Node| match &value.value {
        Value::String(text) => !text.is_empty(),
        Value::Bool(_) => true,
        Value::Null | Value::Number(_) | Value::List(_) | Value::Map(_) => false,
    };
    let boolean = |value: &Node| match &value.value {
        Value::String(text) => text.eq_ignore_ascii_case("true") || text.eq_ignore_ascii_case("false"),
        Value::Bool(_) => true,
        Value::Null | Value::Number(_) | Value::List(_) | Value::Map(_) => false,
    };
    let single = ["SourceIp", "CurrentTime", "AuthenticationType", "UserId", "UserName", "RequestedRegion", "MultiFactorAuthPresent"];
    context.retain(|(key, value)| !single.iter().any(|name| is(&key.text, name)) || plain(value));
    context.retain(|(key, value)| !is(&key.text, "MultiFactorAuthPresent") || boolean(value));
    context.retain(|(key, value)| !is(&key.text, "CurrentTime") || is_time(value));
    for (name, values) in [
        ("SourceIp", &["10.0.3.4", "203.0.113.7", "2001:db8::1", "10.1.0.1", "unknown"][..]),
        ("CurrentTime", &["2025-11-06T16:10:38Z", "2025-11-06T00:00:00Z", "2024-02-29T12:00:00Z"]),
        ("AuthenticationType", &["AuthenticationKey", "ConsoleLogin"]),
    ] {
        if !context.iter().any(|(key, _)| is(&key.text, name)) {
            context.push((named(&format!("scp:{name}")), string(dice.pick(values))));
        }
    }
    let user = ["UserId", "UserName"].map(|name| context.iter().any(|(key, _)| is(&key.text, name)));
    let has_user = user != [false, false] || dice.below(3) > 0;
    for name in ["UserId", "UserName"] {
        if has_user && !context.iter().any(|(key, _)| is(&key.text, name)) {
            context.push((named(&format!("scp:{name}")), string("alice")));
        }
    }
    let tags: Vec<Node> = context
        .iter()
        .filter(|(key, _)| key.text.to_ascii_lowercase().starts_with("scp:requesttag/"))
        .map(|(key, _)| string(key.text.split_once('/').unwrap().1))
        .collect();
    context.retain(|(key, _)| !is(&key.text, "TagKeys"));
    context.push((named("scp:TagKeys"), list(tags)));
    has_user
}

fn is_time(value: &Node) -> bool {
    matches!(&value.value, Value::String(text) if text.parse::<portcullis::types::Timestamp>().is_ok())
}
