//! Pairs about little, with nearly every request that can tell them apart: the values of one key, or the ids of a few resources.

use portcullis::source::Node;

use super::pairs::{Numbers, list, map, string};
use super::{Held, Pair, Requests};
use crate::agreement::parse;
use crate::world::ACCOUNT;

/// A key with what is asked of it, and what requests have under it. A request of the action has one user as its resource.
struct Asked {
    key: &'static str,
    operators: &'static [&'static str],
    /// JSON, of policies.
    wanted: &'static [&'static str],
    /// JSON, of requests.
    given: &'static [&'static str],
    /// Whether a request may have several values, or none.
    several: bool,
    absent: bool,
}

const TEXTS: &[&str] =
    &["StringEquals", "StringNotEquals", "StringEqualsIsIgnoreCase", "StringNotEqualsIsIgnoreCase", "StringLike", "StringNotLike", "Null"];
const WANTED_TEXTS: &[&str] = &[r#""a""#, r#""A""#, r#""ab""#, r#""a*""#, r#""*b""#, r#""*""#, r#""""#, r#""true""#];
const GIVEN_TEXTS: &[&str] = &[r#""""#, r#""a""#, r#""A""#, r#""ab""#, r#""AB""#, r#""b""#, r#""aa""#, r#""true""#, "{}"];
const PLAIN_TEXTS: &[&str] = &[r#""""#, r#""a""#, r#""A""#, r#""ab""#, r#""AB""#, r#""b""#, r#""aa""#, r#""true""#];
const NUMBERS: &[&str] = &[
    "NumericEquals",
    "NumericNotEquals",
    "NumericLessThan",
    "NumericLessThanEquals",
    "NumericGreaterThan",
    "NumericGreaterThanEquals",
    "Null",
];
const DATES: &[&str] =
    &["DateEquals", "DateNotEquals", "DateLessThan", "DateLessThanEquals", "DateGreaterThan", "DateGreaterThanEquals", "Null"];
const WANTED_DATES: &[&str] = &[r#""2026-01-01""#, r#""2026-01-01T00:00:00.000000000000000001Z""#, r#""2026-03-01T09:00:00+09:00""#];
const GIVEN_DATES: &[&str] = &[
    r#""2025-12-31""#,
    r#""2026-01-01""#,
    r#""2026-01-01T00:00:00.000000000000000001Z""#,
    r#""2026-01-01T00:00:00.000000000000000002Z""#,
    r#""2026-03-01T00:00:00Z""#,
    r#""2026-03-02""#,
];
const WANTED_ADDRESSES: &[&str] =
    &[r#""10.0.0.0/8""#, r#""10.0.0.0/9""#, r#""10.128.0.0/9""#, r#""10.0.0.1""#, r#""::/0""#, r#""0.0.0.0/0""#];
const GIVEN_ADDRESSES: &[&str] = &[
    r#""9.9.9.9""#,
    r#""10.0.0.0""#,
    r#""10.0.0.1""#,
    r#""10.200.0.1""#,
    r#""11.0.0.0""#,
    r#""::1""#,
    r#""::ffff:10.0.0.1""#,
    r#""unknown""#,
];

const KEYS: &[Asked] = &[
    Asked { key: "scp:RequestTag/env", operators: TEXTS, wanted: WANTED_TEXTS, given: GIVEN_TEXTS, several: true, absent: true },
    Asked {
        key: "scp:RequestAttribute/body['a']",
        operators: TEXTS,
        wanted: WANTED_TEXTS,
        given: GIVEN_TEXTS,
        several: true,
        absent: true,
    },
    Asked { key: "scp:ResourceTag/env", operators: TEXTS, wanted: WANTED_TEXTS, given: GIVEN_TEXTS, several: true, absent: true },
    Asked { key: "iam:userName", operators: TEXTS, wanted: WANTED_TEXTS, given: GIVEN_TEXTS, several: true, absent: true },
    Asked { key: "scp:TagKeys", operators: TEXTS, wanted: WANTED_TEXTS, given: PLAIN_TEXTS, several: true, absent: true },
    Asked {
        key: "scp:RequestedRegion",
        operators: TEXTS,
        wanted: WANTED_TEXTS,
        given: &[r#""a""#, r#""A""#, r#""ab""#, r#""AB""#, r#""b""#, r#""true""#],
        several: false,
        absent: true,
    },
    Asked {
        key: "iam:userAge",
        operators: NUMBERS,
        wanted: &["0", "4", "-4", "4.5", "0.05", "-0.3", "16"],
        given: &["-5", "-4", "-3.5", "-0.3", "-0.1", "0", "0.05", "0.07", "0.01", "4", "4.2", "4.5", "5", "16", "17", r#""lots""#],
        several: true,
        absent: true,
    },
    Asked { key: "iam:userLastLogin", operators: DATES, wanted: WANTED_DATES, given: GIVEN_DATES, several: true, absent: true },
    Asked { key: "scp:CurrentTime", operators: DATES, wanted: WANTED_DATES, given: GIVEN_DATES, several: false, absent: false },
    Asked {
        key: "scp:SourceIp",
        operators: &["IpAddress", "NotIpAddress", "Null"],
        wanted: WANTED_ADDRESSES,
        given: GIVEN_ADDRESSES,
        several: false,
        absent: false,
    },
    Asked {
        key: "iam:userLastip",
        operators: &["IpAddress", "NotIpAddress", "Null"],
        wanted: WANTED_ADDRESSES,
        given: GIVEN_ADDRESSES,
        several: true,
        absent: true,
    },
    Asked {
        key: "iam:userMfa",
        operators: &["Bool", "Null"],
        wanted: &["true", "false"],
        given: &["true", "false", r#""yes""#],
        several: true,
        absent: true,
    },
    Asked {
        key: "iam:userBoss",
        operators: &["SrnEquals", "SrnNotEquals", "SrnLike", "SrnNotLike", "Null"],
        wanted: &[r#""srn:e:::::iam:user/a*""#, r#""srn:e::1234:::iam:user/*b""#, r#""srn:e::1234:kr-*::iam:*/ab""#],
        given: &[
            r#""srn:e::1234:::iam:user/ab""#,
            r#""srn:e::1234:::scp-iam:user/b""#,
            r#""srn:e::9b7653f6f47a42e38055934a0575a813:::iam:user/ab""#,
            r#""srn:e::9b7653f6f47a42e38055934a0575a813:::iam:user/b""#,
            r#""srn:e::1234:kr-west1::iam:role/ab""#,
            r#""srn:g::1234:::iam:user/ab""#,
            r#""nobody""#,
        ],
        several: true,
        absent: true,
    },
];

/// Statements about one key.
pub(super) fn values(dice: &mut Numbers) -> Pair {
    let asked = dice.one(KEYS);
    let side = |dice: &mut Numbers| {
        let count = 1 + dice.below(3);
        (0..count).map(|number| about_values(dice, number > 0, asked)).collect::<Vec<String>>()
    };
    let before = side(dice);
    let mut after = side(dice);
    if dice.below(2) == 0 {
        after = before.clone();
        let place = dice.below(after.len());
        after[place] = about_values(dice, place > 0, asked);
    }
    let mut sets: Vec<Vec<&str>> = if asked.absent { vec![Vec::new()] } else { Vec::new() };
    for (place, one) in asked.given.iter().enumerate() {
        sets.push(vec![one]);
        if asked.several {
            sets.extend(asked.given.iter().skip(place + 1).map(|other| vec![*one, *other]));
        }
    }
    let requests = sets.iter().map(|values| request(asked, &format!("[{}]", values.join(", ")), &["u"])).collect();
    Pair { before: document(&before), after: document(&after), requests: Requests::These(requests) }
}

/// Statements about ids, for requests about several resources.
pub(super) fn resources(dice: &mut Numbers) -> Pair {
    const IDS: &[&str] = &["a", "b", "ab", "ba", "aab", "c"];
    let patterns = |dice: &mut Numbers| {
        let count = 1 + dice.below(2);
        let one = |dice: &mut Numbers| {
            let id = dice.pick(&["a*", "*b", "ab", "a?", "*", "b", "?", "*a*"]);
            format!("\"srn:e:::::iam:{}/{id}\"", dice.pick(&["user", "user", "policy", "*"]))
        };
        let all: Vec<String> = (0..count).map(|_| one(dice)).collect();
        if dice.below(8) == 0 { "\"*\"".to_owned() } else { format!("[{}]", all.join(", ")) }
    };
    let condition = |dice: &mut Numbers| match dice.below(6) {
        0 => r#", "Condition": {"StringEquals": {"iam:userName": "x"}}"#.to_owned(),
        1 => r#", "Condition": {"StringNotEquals": {"iam:policyKind": "x"}}"#.to_owned(),
        _ => String::new(),
    };
    let side = |dice: &mut Numbers| {
        let count = 1 + dice.below(3);
        let one = |dice: &mut Numbers, number: usize| {
            let (condition, resources) = (condition(dice), patterns(dice));
            statement(dice, number > 0, &condition, &resources)
        };
        (0..count).map(|number| one(dice, number)).collect::<Vec<String>>()
    };
    let before = side(dice);
    let mut after = side(dice);
    if dice.below(2) == 0 {
        after = before.clone();
        let (condition, resources, place) = (condition(dice), patterns(dice), dice.below(after.len()));
        after[place] = statement(dice, place > 0, &condition, &resources);
    }
    let attributes = |dice: &mut Numbers| dice.pick(&["{}", r#"{"name": "x"}"#, r#"{"kind": "x"}"#, r#"{"name": "y", "kind": "y"}"#]);
    let resource = |dice: &mut Numbers, kind: &str| {
        let (id, attributes) = (dice.pick(IDS), attributes(dice));
        format!(r#"{{"srn": "srn:e::{ACCOUNT}:::scp-iam:{kind}/{id}", "attributes": {attributes}}}"#)
    };
    let requests = (0..60).map(|_| {
        let both = dice.below(2) == 0;
        let mut all: Vec<String> = (0..1 + dice.below(2)).map(|_| resource(dice, "user")).collect();
        if both {
            all.extend((0..1 + dice.below(2)).map(|_| resource(dice, "policy")));
        }
        let action = if both { "iam:ShowUserPolicy" } else { "iam:showUser" };
        case(action, &format!("[{}]", all.join(", ")), "{}")
    });
    Pair { before: document(&before), after: document(&after), requests: Requests::These(requests.collect()) }
}

fn document(statements: &[String]) -> Held {
    vec![parse(&format!(r#"{{"Version": "2024-07-01", "Statement": [{}]}}"#, statements.join(", ")))]
}

/// Mostly an Allow; the first always.
fn statement(dice: &mut Numbers, may_deny: bool, condition: &str, resources: &str) -> String {
    let effect = if may_deny && dice.below(2) == 0 { "Deny" } else { "Allow" };
    format!(r#"{{"Effect": "{effect}", "Action": ["iam:showUser", "iam:ShowUserPolicy"], "Resource": {resources}{condition}}}"#)
}

fn about_values(dice: &mut Numbers, may_deny: bool, asked: &Asked) -> String {
    let condition = condition(dice, asked);
    statement(dice, may_deny, &condition, "\"*\"")
}

/// One or two entries about the key.
fn condition(dice: &mut Numbers, asked: &Asked) -> String {
    let mut operators: Vec<(String, String)> = Vec::new();
    for _ in 0..1 + dice.below(2) {
        let operator = dice.pick(asked.operators);
        let qualifier = if operator == "Null" { "" } else { dice.pick(&["", "", "ForAllValues:", "ForAnyValue:"]) };
        let values: Vec<&str> = (0..1 + dice.below(2))
            .map(|_| if operator == "Null" { dice.pick(&["true", "false"]) } else { dice.pick(asked.wanted) })
            .collect();
        let name = format!("{qualifier}{operator}");
        if !operators.iter().any(|(known, _)| *known == name) {
            operators.push((name, values.join(", ")));
        }
    }
    let written: Vec<String> =
        operators.iter().map(|(operator, values)| format!(r#""{operator}": {{"{}": [{values}]}}"#, asked.key)).collect();
    format!(r#", "Condition": {{{}}}"#, written.join(", "))
}

/// A request with these values, JSON, under the key.
fn request(asked: &Asked, values: &str, ids: &[&str]) -> Node {
    let (mut tags, mut attributes, mut context) = (String::new(), String::new(), String::new());
    match asked.key.strip_prefix("iam:user") {
        Some(name) => {
            let (first, rest) = name.split_at(1);
            let name = [&first.to_ascii_lowercase(), rest].concat();
            attributes = format!(r#""{name}": {values}"#);
        }
        None if asked.key.starts_with("scp:ResourceTag/") => tags = format!(r#""env": {values}"#),
        None => context = format!(r#""{}": {values}"#, asked.key),
    }
    let resource =
        |id: &&str| format!(r#"{{"srn": "srn:e::{ACCOUNT}:::scp-iam:user/{id}", "tags": {{{tags}}}, "attributes": {{{attributes}}}}}"#);
    let resources: Vec<String> = ids.iter().map(resource).collect();
    case("iam:showUser", &format!("[{}]", resources.join(", ")), &format!("{{{context}}}"))
}

fn case(action: &str, resources: &str, context: &str) -> Node {
    let principal = map(vec![
        ("type", string("user")),
        ("srn", string(&format!("srn:e::{ACCOUNT}:::scp-iam:user/alice"))),
        ("account", string(ACCOUNT)),
    ]);
    let request =
        map(vec![("principal", principal), ("action", string(action)), ("resources", parse(resources)), ("context", parse(context))]);
    map(vec![("request", request), ("resource_policies", list(Vec::new()))])
}
