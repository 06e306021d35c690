//! Tests of basic mode: the table of the form, what does not fit it, and the laws of going there and back.

use proptest::prelude::*;

use super::*;
use crate::policy::document::{DOCUMENT_BYTES_MAX, Owner, Policy, STATEMENTS_MAX, parse};
use crate::policy::evaluate::{Policies, evaluate};
use crate::policy::request::{Context, Scalar, Values};
use crate::policy::sample::{ACCOUNT, catalogue, request, resource};
use crate::source::json::{self, Limits};
use crate::source::{Report, Source};

fn policy_of(statements: &str) -> String {
    format!("{{\"Version\": \"2024-07-01\", \"Statement\": {statements}}}")
}

fn sound(text: &str) -> Node {
    let report = Report::new();
    parse(&Source::new("p.json", text), &report).unwrap_or_else(|| panic!("{text}\n{report}"))
}

fn basic(text: &str) -> Basic {
    Basic::of(&sound(text)).unwrap_or_else(|refused| panic!("{text}\n{refused:?}"))
}

/// A text form, read, or what is wrong with it.
fn read(text: &str) -> Result<Basic, String> {
    let root = json::parse(text.as_bytes(), Limits { bytes_max: FORM_BYTES_MAX, depth_max: 8 }).map_err(|error| error.to_string())?;
    let report = Report::new();
    let read = Basic::read(&root, &Source::new("b.json", text), &report);
    assert_eq!(read.is_none(), report.has_errors(), "{text}\n{report}");
    read.ok_or_else(|| report.to_string())
}

/// One statement, what it is in the text form, and the same JSON back, whatever form it had.
fn check(rest: &str, authentication: &str, addresses: &str, conditions: &str, canonical: &str) {
    let comma = |text: &str| if text.is_empty() { String::new() } else { format!(", {text}") };
    let policy = |rest| policy_of(&format!(r#"[{{"Effect": "Deny", "Action": ["iam:*"], "Resource": ["*"]{}}}]"#, comma(rest)));
    let form = format!(
        r#"{{"rules": [{{"control": "Deny", "actions": ["iam:*"], "resources": "all", "authentication": {authentication},
        "addresses": {addresses}{}}}]}}"#,
        comma(conditions)
    );
    let found = basic(&policy(rest));
    assert_eq!(read(&form), Ok(found.clone()), "{rest}");
    assert_eq!(found.to_json(), print(&sound(&policy(canonical))), "{rest}");
}

#[test]
fn every_field_of_the_form_has_its_json() {
    check("", r#""all""#, r#""all""#, "", "");
    check("", r#""all""#, r#"{"applied": "all"}"#, r#""conditions": []"#, "");
    let key = r#""Condition": {"StringEquals": {"scp:AuthenticationType": ["AuthenticationKey"]}}"#;
    check(key, r#""AuthenticationKey""#, r#""all""#, "", key);
    check(
        r#""Condition": {"StringEquals": {"SCP:authenticationtype": ["ConsoleLogin", "TemporaryKey"]}}"#,
        r#""TemporaryKeyAndConsoleLogin""#,
        r#""all""#,
        "",
        r#""Condition": {"StringEquals": {"scp:AuthenticationType": ["TemporaryKey", "ConsoleLogin"]}}"#,
    );
    let both = r#""Condition": {"IpAddress": {"scp:SourceIp": ["10.0.0.0/8"]}, "NotIpAddress": {"scp:SourceIp": ["10.1.1.1", "::1"]}}"#;
    check(both, r#""all""#, r#"{"excluded": ["10.1.1.1", "::1"], "applied": ["10.0.0.0/8"]}"#, "", both);
    let excluded = r#""Condition": {"NotIpAddress": {"scp:SourceIp": ["10.1.1.1/24"]}}"#;
    check(excluded, r#""all""#, r#"{"applied": "all", "excluded": ["10.1.1.1/24"]}"#, "", excluded);
}

#[test]
fn what_no_field_says_is_an_additional_condition() {
    check(
        r#""Condition": {"StringEquals": {"scp:AuthenticationType": "ApiToken", "scp:UserName": ["a", 4, true]},
        "ForAnyValue:IpAddress": {"scp:SourceIp": "10.0.0.1"}, "ForAllValues:StringLike": {"scp:TagKeys": ["x*"]}}"#,
        r#""all""#,
        r#""all""#,
        r#""conditions": [
            {"key": "scp:UserName", "qualifier": "default", "operator": "StringEquals", "values": ["a", "4", true]},
            {"key": "scp:AuthenticationType", "operator": "StringEquals", "values": ["ApiToken"]},
            {"key": "scp:SourceIp", "qualifier": "any", "operator": "IpAddress", "values": ["10.0.0.1"]},
            {"key": "scp:TagKeys", "qualifier": "all", "operator": "StringLike", "values": ["x*"]}]"#,
        r#""Condition": {"ForAllValues:StringLike": {"scp:TagKeys": ["x*"]}, "ForAnyValue:IpAddress": {"scp:SourceIp": ["10.0.0.1"]},
        "StringEquals": {"scp:AuthenticationType": ["ApiToken"], "scp:UserName": ["a", "4", "true"]}}"#,
    );
}

#[test]
fn statements_that_differ_in_their_actions_only_become_one() {
    let statement = |sid: &str, actions: &str, rest: &str| {
        format!(r#"{{{sid}"Effect": "Allow", "Action": {actions}, "Resource": "srn:e:::::iam:user/*"{rest}}}"#)
    };
    let condition = r#", "Condition": {"Bool": {"scp:MultiFactorAuthPresent": true}}"#;
    let policy = policy_of(&format!(
        "[{}, {}, {}, {}]",
        statement("\"Sid\": \"a\", ", "[\"iam:b\", \"iam:a\"]", ""),
        statement("\"Sid\": \"b\", ", "\"iam:c\"", condition),
        statement("\"Sid\": \"c\", ", "[\"iam:a\", \"iam:c\", \"iam:c\"]", ""),
        statement("", "[\"iam:d\"]", ""),
    ));
    let found = basic(&policy);
    assert_eq!(found.rules().len(), 4);
    let expected = policy_of(&format!(
        "[{}, {}]",
        statement("", "[\"iam:b\", \"iam:a\", \"iam:c\", \"iam:d\"]", "").replace("\"srn:e:::::iam:user/*\"", "[\"srn:e:::::iam:user/*\"]"),
        statement("\"Sid\": \"b\", ", "[\"iam:c\"]", &condition.replace("true", "[\"true\"]"))
            .replace("\"srn:e:::::iam:user/*\"", "[\"srn:e:::::iam:user/*\"]"),
    ));
    assert_eq!(found.to_json(), print(&sound(&expected)));
}

#[test]
fn a_list_does_not_grow_beyond_its_limit() {
    let list = |from: usize, to: usize| (from..to).map(|number| format!("\"iam:a{number}\"")).collect::<Vec<_>>().join(",");
    let statement = |list: String| format!(r#"{{"Effect": "Allow", "Action": [{list}], "Resource": "*"}}"#);
    let lists = [list(0, 600), list(600, 1_001), list(590, 1_000), list(0, 10), list(1_000, 1_002)];
    let merged = basic(&policy_of(&format!("[{}]", lists.map(statement).join(",")))).merged();
    assert_eq!(merged.rules().iter().map(|rule| rule.actions.len()).collect::<Vec<_>>(), [1_000, 402]);
    assert_eq!(merged.merged(), merged);
    assert_eq!(basic(&merged.to_json()), merged);
}

#[test]
fn as_much_as_may_be_is_read_and_no_more() {
    let condition = |number: usize| format!(r#"{{"operator": "Null", "key": "scp:RequestTag/{number}", "values": ["true"]}}"#);
    let conditions = |count: usize| format!("[{}]", (0..count).map(condition).collect::<Vec<_>>().join(","));
    let rules = |rules: &[String]| read(&format!("{{\"rules\": [{}]}}", rules.join(",")));
    let most = rules(&[rule(&[("conditions", &conditions(CONDITIONS_MAX))])]).unwrap();
    assert_eq!(basic(&most.to_json()), most);
    assert_eq!(rules(&vec![rule(&[]); STATEMENTS_MAX]).unwrap().merged().rules().len(), 1);
    let size =
        |chars: usize| rules(&[rule(&[("sid", "\"s\""), ("actions", &format!("[\"iam:*\", \"iam:{}\"]", "a".repeat(50)))]), long(chars)]);
    // From here on a list of one value has a line of its own.
    let grown = size(200).unwrap().to_json().len();
    let most = DOCUMENT_BYTES_MAX - grown + 200;
    assert_eq!(size(most).unwrap().to_json().len(), DOCUMENT_BYTES_MAX);
    for (found, part) in [
        (rules(&[rule(&[("conditions", &conditions(CONDITIONS_MAX + 1))])]), format!("the limit is {CONDITIONS_MAX}")),
        (rules(&vec![rule(&[]); STATEMENTS_MAX + 1]), format!("there are {} rules", STATEMENTS_MAX + 1)),
        (size(most + 1), format!("the policy would have {} bytes", DOCUMENT_BYTES_MAX + 1)),
    ] {
        let said = found.unwrap_err();
        assert!(said.contains(&part), "{said}");
    }
}

/// A rule with a condition on a text of so many characters.
fn long(chars: usize) -> String {
    let condition = format!(r#"[{{"operator": "StringEquals", "key": "scp:UserName", "values": ["{}"]}}]"#, "x".repeat(chars));
    rule(&[("resources", "[\"srn:e:::::iam:user/x\"]"), ("conditions", &condition)])
}

#[test]
fn an_action_that_stands_twice_is_one() {
    let twice = basic(&policy_of(r#"{"Effect": "Allow", "Action": ["iam:a", "iam:b", "iam:a"], "Resource": "*"}"#));
    assert_eq!(twice.merged().rules()[0].actions.len(), 2);
}

#[test]
fn what_does_not_fit_the_form_says_why() {
    let of = |statements: &str| {
        let refused = Basic::of(&sound(&policy_of(statements))).unwrap_err();
        refused.iter().map(|one| format!("{}:{} {one}", one.span.start.line, one.span.start.column)).collect::<Vec<_>>()
    };
    let many: Vec<String> = (0..=CONDITIONS_MAX).map(|number| format!("\"scp:RequestTag/{number}\": true")).collect();
    assert_eq!(
        of(&format!(
            r#"[
{{"Sid": "all but", "Effect": "Allow", "NotAction": "iam:*", "Resource": ["*", "srn:e:::::iam:user/*"]}},
{{"Effect": "Allow", "Action": "iam:*", "Resource": "srn:e:::::iam:user/*"}},
{{"Effect": "Allow", "Action": "iam:*", "Resource": "*", "Condition": {{}}}},
{{"Effect": "Allow", "Action": "iam:*", "Resource": ["srn:e:::::iam:*/?", "srn:e:::*::iam:user/x"]}},
{{"Effect": "Allow", "Action": "iam:*", "Resource": "*", "Condition": {{"Null": {{{}}}}}}}]"#,
            many.join(",")
        )),
        [
            "2:39 statement 1 `all but` must stay JSON: `NotAction` means all actions but those listed",
            "2:73 statement 1 `all but` must stay JSON: `*` stands in `Resource` beside others",
            "4:57 statement 3 must stay JSON: its `Condition` is empty",
            "5:53 statement 4 must stay JSON: `srn:e:::::iam:*/?` has a wildcard in its resource type, and basic mode has them in ids only",
            "5:74 statement 4 must stay JSON: `srn:e:::*::iam:user/x` has a wildcard in its region, and basic mode has them in ids only",
            "6:57 statement 5 must stay JSON: it has 1001 additional conditions, and basic mode has at most 1000",
        ]
    );
    let principal = r#"{"Effect": "Allow", "Principal": {"scp": "x"}, "Action": "iam:*", "Resource": "*"}"#;
    assert_eq!(of(principal), ["1:60 statement 1 must stay JSON: `Principal` stands in policies of resources and roles only"]);
}

#[test]
fn the_text_form_of_the_longest_policy_is_not_too_long() {
    let statement = |value: usize| {
        let keys: Vec<String> = (0..900).map(|number| format!("\"a:{number}\":{value}")).collect();
        let condition = format!("{{\"NumericLessThanEquals\":{{{}}}}}", keys.join(","));
        format!(r#"{{"Effect":"Deny","Action":"*","Resource":"*","Condition":{condition}}}"#)
    };
    let policy = policy_of(&format!("[{}]", (1..8).map(statement).collect::<Vec<_>>().join(",")));
    assert!((60_000..65_536).contains(&policy.len()), "{}", policy.len());
    let text = basic(&policy).to_text();
    assert!(text.len() < FORM_BYTES_MAX / 2, "{}", text.len());
    // In canonical form it would be too long.
    assert!(read(&text).is_err_and(|said| said.contains("the policy would have ")));
}

#[test]
fn a_document_that_is_not_sound_never_becomes_a_rule_that_says_less() {
    for text in [
        "1",
        "{}",
        r#"{"Statement": 1}"#,
        r#"{"Statement": {"Effect": "allow", "Action": "*", "Resource": "*"}}"#,
        r#"{"Statement": {"Effect": "Allow", "Action": [], "Resource": "*"}}"#,
        r#"{"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*", "Conditions": {}}}"#,
        r#"{"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": []}}"#,
        r#"{"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {"Null": []}}}"#,
        r#"{"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {"Null": {"x": []}}}}"#,
        r#"{"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {"x:Null": {"x": "y"}}}}"#,
        r#"{"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*", "Condition":
        {"IpAddress": {"scp:SourceIp": "10.0.0.1", "scp:sourceip": "10.0.0.2"}}}}"#,
        r#"{"Statement": {"Effect": "Allow", "Action": "*", "Resource": "x"}}"#,
    ] {
        let root = json::parse(text.as_bytes(), Limits { bytes_max: 1_000, depth_max: 8 }).unwrap();
        let refused = Basic::of(&root).unwrap_err();
        assert!(refused.iter().all(|one| one.why == Why::Unsound), "{text}: {refused:?}");
    }
}

/// A rule in the text form, of which the named members are replaced or added.
fn rule(changes: &[(&str, &str)]) -> String {
    let mut members = vec![
        ("control", "\"Allow\""),
        ("actions", "[\"iam:*\"]"),
        ("resources", "\"all\""),
        ("authentication", "\"all\""),
        ("addresses", "\"all\""),
    ];
    members.retain(|(name, _)| changes.iter().all(|(changed, _)| changed != name));
    let members = members.iter().chain(changes).filter(|(_, value)| !value.is_empty());
    format!("{{{}}}", members.map(|(name, value)| format!("\"{name}\": {value}")).collect::<Vec<_>>().join(", "))
}

#[test]
fn errors_of_the_text_form_are_found_all_at_once() {
    for (changes, part) in [
        (&[("control", "\"allow\"")][..], "`rules[0].control`: `allow` is none of the words known here"),
        (&[("control", "")], "`rules[0]`: the key `control` is missing"),
        (&[("adresses", "\"all\"")], "did you mean `addresses`?"),
        (&[("sid", "\"\"")], "`rules[0].sid`: the text is empty"),
        (&[("actions", "\"iam:*\"")], "`rules[0].actions`: a list should stand here"),
        (&[("actions", "[\"iam:a?\", \"x\"]")], "`rules[0].actions[1]`: `x` is not an action"),
        (&[("actions", "[]")], "`rules[0].actions`: the list is empty"),
        (&[("resources", "\"*\"")], "`rules[0].resources`: a list should stand here"),
        (&[("resources", "[\"*\"]")], "`rules[0].resources[0]`: `*` is no SRN"),
        (&[("resources", "[\"srn:e:::::iam:user\"]")], "`rules[0].resources[0]`: "),
        (&[("resources", "[\"srn:e:::::iam:*/x\"]")], "has a wildcard in its resource type"),
        (&[("authentication", "\"Console\"")], "`rules[0].authentication`: "),
        (&[("addresses", "[\"10.0.0.1\"]")], "`rules[0].addresses`: `all` or an object should stand here"),
        (&[("addresses", "{\"excluded\": [\"10.0.0.1\"]}")], "the key `applied` is missing"),
        (&[("addresses", "{\"applied\": []}")], "`rules[0].addresses.applied`: the list is empty"),
        (&[("addresses", "{\"applied\": \"all\", \"excluded\": [\"10.0.0.300\"]}")], "`rules[0].addresses.excluded[0]`: "),
        (&[("addresses", "{\"applied\": \"all\", \"excluded\": \"all\"}")], "`rules[0].addresses.excluded`: a list should stand here"),
        (&[("conditions", "{}")], "`rules[0].conditions`: a list should stand here"),
    ] {
        let said = read(&format!("{{\"rules\": [{}]}}", rule(changes))).unwrap_err();
        assert!(said.contains(part), "{part}\n{said}");
    }
    let said =
        read(&format!("{{\"rules\": [{}, {}]}}", rule(&[("sid", "1")]), rule(&[("actions", "[\"x\"]"), ("sid", "\"1\"")]))).unwrap_err();
    assert!(said.contains("`rules[1].sid`: the `sid` `1` stands for two rules") && said.contains("`rules[1].actions[0]`"), "{said}");
    assert!(read("{\"rules\": []}").unwrap_err().contains("there is no rule"));
    assert!(read("{\"Version\": \"2024-07-01\"}").unwrap_err().contains("the key `rules` is missing"));
}

#[test]
fn conditions_of_the_text_form_are_read_as_those_of_a_policy() {
    let lone = r#"{"key": "scp:UserName", "operator": "StringEquals", "values": ["x"]}"#;
    for (from, to, part) in [
        ("StringEquals", "StringEqual", "`rules[0].conditions[0]`: `StringEqual` is not a condition operator"),
        ("StringEquals", "ForAnyValue:StringEquals", "`ForAnyValue:StringEquals` has a qualifier"),
        ("StringEquals", "IpAddress", "`IpAddress` compares addresses, but `scp:UserName` holds texts"),
        ("\"StringEquals\"", "\"Null\", \"qualifier\": \"any\"", "`rules[0].conditions[0].values[0]`: `x` is not a boolean"),
        ("\"StringEquals\", \"values\": [\"x\"]", "\"Null\", \"qualifier\": \"any\", \"values\": [true]", "`Null` takes no qualifier"),
        ("scp:UserName", "scp:UserNam", "`scp:UserNam` is not a condition key"),
        ("[\"x\"]", "\"x\"", "`rules[0].conditions[0].values`: a list should stand here"),
        ("[\"x\"]", "[]", "`rules[0].conditions[0].values`: the list is empty"),
        ("[\"x\"]", "[[]]", "a text, a number or a boolean should stand here"),
        ("\"operator\"", "\"qualifier\": \"every\", \"operator\"", "`rules[0].conditions[0].qualifier`: "),
        ("\"key\"", "\"kei\"", "did you mean `key`?"),
    ] {
        assert_eq!(lone.matches(from).count(), 1);
        let said = read(&format!("{{\"rules\": [{}]}}", rule(&[("conditions", &format!("[{}]", lone.replace(from, to)))]))).unwrap_err();
        assert!(said.contains(part), "{part}\n{said}");
    }
}

#[test]
fn two_conditions_in_one_place_are_refused() {
    let conditions = |list: &str| read(&format!("{{\"rules\": [{}]}}", rule(&[("conditions", &format!("[{list}]"))])));
    let one = |key: &str, qualifier: &str, operator: &str, values: &str| {
        format!(r#"{{"key": "{key}", "qualifier": "{qualifier}", "operator": "{operator}", "values": [{values}]}}"#)
    };
    let twins = [one("scp:UserName", "default", "StringEquals", "\"a\""), one("scp:USERNAME", "default", "StringEquals", "\"b\"")];
    assert!(conditions(&twins.join(",")).unwrap_err().contains("two conditions compare `scp:USERNAME` by `StringEquals`"));
    let apart = [one("scp:UserName", "any", "StringEquals", "\"a\""), one("scp:USERNAME", "default", "StringEquals", "\"b\"")];
    assert_eq!(conditions(&apart.join(",")).unwrap().rules()[0].conditions.len(), 2);
    for (condition, field) in [
        (one("scp:sourceip", "default", "IpAddress", "\"10.0.0.1\""), "addresses"),
        (one("scp:SourceIp", "default", "NotIpAddress", "\"10.0.0.1\""), "addresses"),
        (one("scp:AuthenticationType", "default", "StringEquals", "\"ConsoleLogin\", \"TemporaryKey\""), "authentication"),
    ] {
        assert!(conditions(&condition).unwrap_err().contains(&format!("that is what `{field}` of the rule says")), "{condition}");
    }
}

fn texts(pool: &'static [&'static str], most: usize) -> impl Strategy<Value = Vec<Box<str>>> {
    prop::collection::vec(prop::sample::select(pool).prop_map(Box::from), 1..=most)
}

fn some_or_all(listed: impl Strategy<Value = Vec<Box<str>>>) -> impl Strategy<Value = Choice> {
    prop_oneof![Just(Choice::All), listed.prop_map(Choice::Listed)]
}

/// Conditions, each of which may be there or not, in their order.
fn additional() -> impl Strategy<Value = Vec<Condition>> {
    let one = |key: &'static str, operators: &'static [&'static str], values: &'static [&'static str]| {
        let qualifier = prop::sample::select(&[Qualifier::Default, Qualifier::Any, Qualifier::All][..]);
        let parts = (qualifier, prop::sample::select(operators), texts(values, 3));
        prop::option::of(parts.prop_map(move |(qualifier, operator, values)| Condition {
            key: key.into(),
            qualifier,
            operator: operator.into(),
            values,
        }))
    };
    let all = (
        one("scp:UserName", &["StringEquals", "StringNotLike", "StringEqualsIsIgnoreCase"], &["foo", "b*", "FOO", "\u{202e}\""]),
        one("scp:MultiFactorAuthPresent", &["Bool"], &["true", "FALSE"]),
        one("scp:CurrentTime", &["DateLessThan", "DateGreaterThan"], &["2026-11-20", "2027-01-01T00:00:00+09:00"]),
        one("scp:SourceIp", &["IpAddress", "NotIpAddress"], &["10.0.0.0/8", "::1"])
            .prop_filter("a field of the form", |one| one.as_ref().is_none_or(|condition| condition.qualifier != Qualifier::Default)),
        one("scp:AuthenticationType", &["StringNotEquals", "StringLike"], &["AuthenticationKey", "Temp*"]),
        one("iam:userLastname", &["StringEquals", "StringNotEquals"], &["x"]),
    );
    all.prop_map(|(one, two, three, four, five, six)| {
        let mut found: Vec<Condition> = [one, two, three, four, five, six].into_iter().flatten().collect();
        found.sort_by_cached_key(Condition::place);
        found
    })
}

fn rules() -> impl Strategy<Value = Basic> {
    let srns: &[&str] =
        &["srn:e:::::iam:user/*", "srn:e:::::scp-iam:user/u?", "srn:e:::::iam:policy/p1", "srn:e:::kr-west1::object-store:bucket/b"];
    let addresses = (
        some_or_all(texts(&["10.0.0.0/8", "10.1.2.3", "2001:db8::/32"], 2)),
        prop_oneof![Just(Vec::new()), texts(&["10.1.0.0/16", "192.0.2.1/24"], 2)],
    );
    let authentication =
        prop::sample::select(&[Authentication::All, Authentication::AuthenticationKey, Authentication::TemporaryKeyAndConsoleLogin][..]);
    let actions = texts(&["*", "iam:*", "iam:ShowUser", "iam:*[Delete,Permission]", "object-store:GetObject", "iam:None"], 3);
    let scope = (
        prop::sample::select(&[Effect::Allow, Effect::Allow, Effect::Deny][..]),
        some_or_all(texts(srns, 2)),
        authentication,
        addresses,
        prop_oneof![Just(Vec::new()), additional()],
    );
    // A few scopes and many rules: some differ in their actions only.
    let scopes = prop::collection::vec(scope, 1..4);
    let picks = prop::collection::vec((any::<prop::sample::Index>(), actions, any::<bool>()), 1..7);
    (scopes, picks).prop_map(|(scopes, picks)| {
        let rule = |(number, (pick, actions, named)): (usize, (prop::sample::Index, Vec<Box<str>>, bool))| {
            let (control, resources, authentication, (applied, excluded), conditions) = pick.get(&scopes).clone();
            let sid = named.then(|| format!("s{number}").into());
            Rule { sid, control, actions, resources, authentication, addresses: Addresses { applied, excluded }, conditions }
        };
        Basic { rules: picks.into_iter().enumerate().map(rule).collect() }
    })
}

proptest! {
    #[test]
    fn basic_mode_comes_back_from_json_and_from_text(basic in rules()) {
        let merged = basic.merged();
        let json = basic.to_json();
        prop_assert_eq!(Basic::of(&sound(&json)), Ok(merged.clone()));
        prop_assert_eq!(merged.to_json(), json.clone());
        prop_assert_eq!(print(&sound(&json)), json);
        prop_assert_eq!(Basic::of(&sound(&document(&basic.rules))), Ok(basic.clone()));
        prop_assert_eq!(read(&basic.to_text()), Ok(basic));
    }

    #[test]
    fn merging_changes_no_decision(basic in rules()) {
        let catalogue = catalogue();
        let load = |text: &str| {
            let report = Report::new();
            let policy = Policy::load(&Source::new("p.json", text), "p", Owner::account(ACCOUNT), &catalogue, &report);
            policy.unwrap_or_else(|| panic!("{report}"))
        };
        let (apart, merged) = (load(&document(&basic.rules)), load(&basic.to_json()));
        let srn = |rest: &str| format!("srn:e::{ACCOUNT}:{rest}");
        let (user, policy, bucket) = (srn("::scp-iam:user/u1"), srn("::scp-iam:policy/p1"), srn("kr-west1::object-store:bucket/b"));
        for (action, on) in [
            ("iam:ListUsers", vec![]),
            ("iam:ShowUser", vec![&user]),
            ("iam:DeleteUser", vec![&user]),
            ("iam:AttachUserPolicy", vec![&user, &policy]),
            ("object-store:GetObject", vec![&bucket]),
        ] {
            let resources: Vec<_> = on.iter().map(|srn| resource(srn, &catalogue)).collect();
            for (address, kind) in [([10, 1, 2, 3], "AuthenticationKey"), ([10, 9, 9, 9], "ConsoleLogin"), ([192, 0, 2, 9], "ApiToken")] {
                let mut asked = request(action, &resources, &catalogue);
                let (source_ip, authentication_type) = (Values::One(Scalar::Address(address.into())), Values::text(Some(kind)));
                asked.context = Context { source_ip, authentication_type, ..asked.context };
                let kind = |policy: &Policy| {
                    let policies = Policies::identity(std::slice::from_ref(policy));
                    std::mem::discriminant(&evaluate(&asked, &policies))
                };
                prop_assert_eq!(kind(&apart), kind(&merged), "{} from {:?}", action, address);
            }
        }
    }
}
