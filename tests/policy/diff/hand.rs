//! Cases by hand: every answer, every reason for not knowing, and what people take for the same and is not.

use portcullis::policy::{Caller, Catalogue, Comparison, Kind, Owner, Policy, Principal, Relation, diff};
use portcullis::source::{Report, Source, json};
use portcullis::types::AccessLevel;

use crate::agreement::World;
use crate::world::ACCOUNT;

/// More than enough for any of these, on any machine and without optimisation.
const SECONDS: u64 = 30;

fn load(statements: &str, owner: Owner, catalogue: &Catalogue) -> Policy {
    let text = format!("{{\"Version\": \"2024-07-01\", \"Statement\": [{statements}]}}");
    let report = Report::new();
    Policy::load(&Source::new("p", text), "p", owner, catalogue, &report).unwrap_or_else(|| panic!("{report}"))
}

fn compare(before: &str, after: &str) -> Comparison {
    let world = World::new();
    let catalogue = world.catalogue();
    let caller = Caller::AnyOf { account: ACCOUNT };
    let side = |statements| [load(statements, Owner::account(ACCOUNT), catalogue)];
    diff(catalogue, &caller, &side(before), &side(after))
}

/// The answer, and the differences: the request is shown as it stands in a case.
fn said(before: &str, after: &str) -> String {
    let Comparison { relation, differences, unknown } = compare(before, after);
    let mut lines = vec![relation.to_string()];
    for difference in differences {
        let request = difference.witness.request();
        let part = |name: &str| json::print(request.get(name).unwrap());
        let sign = if difference.gained { "+" } else { "-" };
        let granted = if difference.witness.resource_policies().is_empty() { "" } else { " granted" };
        lines.push(format!("{sign} {} {} {}{granted}", part("action"), part("resources"), part("context")));
    }
    lines.extend(unknown.iter().map(|unknown| format!("? {}", unknown.reason)));
    lines.join("\n").replace(ACCOUNT, "ACCOUNT")
}

fn statement(effect: &str, action: &str, resource: &str, condition: &str) -> String {
    let condition = if condition.is_empty() { String::new() } else { format!(", \"Condition\": {condition}") };
    format!(r#"{{"Effect": "{effect}", "Action": {action}, "Resource": {resource}{condition}}}"#)
}

fn show(resource: &str, condition: &str) -> String {
    statement("Allow", r#""iam:showUser""#, resource, condition)
}

fn deny(resource: &str, condition: &str) -> String {
    statement("Deny", r#""iam:showUser""#, resource, condition)
}

fn both(one: &str, other: &str) -> String {
    format!("{one}, {other}")
}

#[track_caller]
fn check(before: &str, after: &str, expected: Relation) {
    let found = compare(before, after);
    assert_eq!(found.relation, expected, "{before}\n{after}\n{}", said(before, after));
}

const ALL: &str = "\"*\"";
const FOO: &str = r#""srn:e:::::iam:user/foo""#;

#[test]
fn each_answer_comes_with_requests_that_show_it() {
    let (all, foo, bar) = (show(ALL, ""), show(FOO, ""), show(r#""srn:e:::::iam:user/bar""#, ""));
    assert_eq!(said(&foo, &foo), "equivalent");
    insta::assert_snapshot!(said(&all, &foo), @r#"
    stricter
    - "iam:showUser" [{"srn":"srn:e::ACCOUNT:::scp-iam:user/x"}] {}
    "#);
    insta::assert_snapshot!(said(&foo, &all), @r#"
    looser
    + "iam:showUser" [{"srn":"srn:e::ACCOUNT:::scp-iam:user/x"}] {}
    "#);
    insta::assert_snapshot!(said(&foo, &bar), @r#"
    incomparable
    + "iam:showUser" [{"srn":"srn:e::ACCOUNT:::scp-iam:user/bar"}] {}
    - "iam:showUser" [{"srn":"srn:e::ACCOUNT:::scp-iam:user/foo"}] {}
    "#);
    insta::assert_snapshot!(said(&all, &both(&all, &deny(FOO, r#"{"NotIpAddress": {"scp:SourceIp": "10.0.0.0/8"}}"#))), @r#"
    stricter
    - "iam:showUser" [{"srn":"srn:e::ACCOUNT:::scp-iam:user/foo"}] {"scp:SourceIp":"11.0.0.0"}
    "#);
    insta::assert_snapshot!(said(&show(r#""srn:e::1234:::iam:user/*""#, ""), &deny(ALL, "")), @r#"
    stricter
    - "iam:showUser" [{"srn":"srn:e::1234:::scp-iam:user/x"}] {} granted
    "#);
}

#[test]
fn what_only_reads_otherwise_is_equivalent() {
    let condition = |text: &str| show(ALL, text);
    for (before, after) in [
        (show(ALL, ""), both(&show(ALL, ""), &show(FOO, ""))),
        (show(r#"["srn:e:::::iam:user/a*", "srn:e:::::iam:user/ab*"]"#, ""), show(r#""srn:e:::::scp-iam:user/a*""#, "")),
        (
            condition(r#"{"IpAddress": {"scp:SourceIp": "10.0.0.0/8"}}"#),
            condition(r#"{"IpAddress": {"scp:SourceIp": ["10.0.0.0/9", "10.128.0.0/9"]}}"#),
        ),
        (
            condition(r#"{"StringEquals": {"scp:UserName": ["a", "b"]}}"#),
            both(&condition(r#"{"StringEquals": {"scp:UserName": "a"}}"#), &condition(r#"{"StringLike": {"scp:username": "b"}}"#)),
        ),
        (condition(r#"{"NumericLessThan": {"iam:userAge": "4"}}"#), condition(r#"{"NumericLessThan": {"IAM:userAge": ["4.0", "-1"]}}"#)),
        (both(&show(ALL, ""), &deny(ALL, "")), show(r#""srn:e:::::iam:policy/*""#, "")),
        (condition(r#"{"Null": {"scp:TagKeys": "true"}}"#), condition(r#"{"Null": {"scp:TagKeys": "true", "scp:RequestTag/a": "true"}}"#)),
        (condition(r#"{"Null": {"scp:UserId": "true"}}"#), condition(r#"{"Null": {"scp:UserId": "true", "scp:UserName": "true"}}"#)),
        (show(ALL, r#"{"Null": {"scp:SourceIp": "true"}}"#), deny(ALL, "")),
    ] {
        check(&before, &after, Relation::Equivalent);
        check(&after, &before, Relation::Equivalent);
    }
}

/// Each stricter than the statement beside it, by something that is easily overlooked.
#[test]
fn what_is_nearly_the_same_is_not_equivalent() {
    let split = |operator: &str, opposite: &str, key: &str, value: &str| {
        let one = |operator: &str, value: &str| show(ALL, &format!("{{\"{operator}\": {{\"{key}\": {value}}}}}"));
        both(&both(&one(operator, value), &one(opposite, value)), &one("Null", "true"))
    };
    let all = show(ALL, "");
    for (stricter, wider, shows) in [
        // A value that cannot be compared passes neither.
        (split("NumericLessThan", "NumericGreaterThanEquals", "iam:userAge", "4"), all.clone(), r#""attributes":{"#),
        (split("IpAddress", "NotIpAddress", "scp:SourceIp", "\"10.0.0.0/8\""), all.clone(), r#""scp:SourceIp":"unknown""#),
        (split("StringEquals", "StringNotEquals", "scp:RequestAttribute/body['a']", "\"x\""), all.clone(), r#"['a']":{}"#),
        (split("StringEquals", "StringNotEquals", "scp:RequestTag/a", "\"x\""), all.clone(), r#""scp:RequestTag/a":{}"#),
        // Several values.
        (
            split("ForAllValues:StringEquals", "ForAllValues:StringNotEquals", "scp:TagKeys", "\"x\""),
            split("StringEquals", "StringNotEquals", "scp:TagKeys", "\"x\""),
            r#""scp:TagKeys":["#,
        ),
        // Nothing between two whole numbers, but between numbers.
        (
            show(ALL, r#"{"NumericGreaterThanEquals": {"iam:userAge": "4.01"}}"#),
            show(ALL, r#"{"NumericGreaterThan": {"iam:userAge": "4"}}"#),
            r#""age":"4.0"#,
        ),
        (
            show(ALL, r#"{"NumericLessThanEquals": {"iam:userAge": "-0.02"}}"#),
            show(ALL, r#"{"NumericLessThan": {"iam:userAge": "-0.01"}}"#),
            r#""age":"-0.01"#,
        ),
        // Letters that are others without letter case.
        (
            show(ALL, r#"{"StringEquals": {"scp:UserName": ["k", "K"]}}"#),
            show(ALL, r#"{"StringEqualsIsIgnoreCase": {"scp:UserName": "k"}}"#),
            "\u{212A}",
        ),
        // One statement must cover all resources (R17).
        (
            both(&show(FOO, ""), &show(r#""srn:e:::::iam:user/bar""#, "")),
            show(r#"["srn:e:::::iam:user/foo", "srn:e:::::iam:user/bar"]"#, ""),
            "\"},{\"srn\":",
        ),
        // An entry that stands twice.
        (
            show(ALL, r#"{"StringLike": {"scp:UserName": "a*"}, "ForAnyValue:StringLike": {"scp:UserName": "*b"}}"#),
            show(ALL, r#"{"StringLike": {"scp:UserName": "a*"}, "ForAnyValue:StringLike": {"scp:UserName": "a*"}}"#),
            r#""scp:UserName":"a""#,
        ),
        // An entry of a Deny about a key that nobody has defined is ignored, one of an Allow never holds (R43).
        (both(&all, &deny(FOO, r#"{"StringEquals": {"iam:userNone": "x"}}"#)), all.clone(), "user/foo"),
        (deny(ALL, ""), show(FOO, ""), "user/foo"),
    ] {
        let said = said(&wider, &stricter);
        assert!(said.starts_with("stricter") && said.contains(shows), "{wider}\n{stricter}\n{said}");
        check(&stricter, &wider, Relation::Looser);
    }
}

#[test]
fn a_deny_that_depends_on_another_resource_is_compared() {
    let both_types = |effect: &str, resource: &str, condition: &str| statement(effect, r#""iam:ShowUserPolicy""#, resource, condition);
    let all = both_types("Allow", ALL, "");
    let denied = both_types("Deny", r#""srn:e:::::iam:policy/p""#, r#"{"StringEquals": {"iam:userName": "x"}}"#);
    insta::assert_snapshot!(said(&all, &both(&all, &denied)), @r#"
    stricter
    - "iam:ShowUserPolicy" [{"srn":"srn:e::ACCOUNT:::scp-iam:policy/p"},{"srn":"srn:e::ACCOUNT:::scp-iam:user/x","attributes":{"name":"x"}}] {}
    "#);
    check(&both(&all, &denied), &both(&both(&all, &denied), &denied), Relation::Equivalent);
}

#[test]
fn what_is_not_known_says_why() {
    let infix = |letters: std::ops::RangeInclusive<u8>| {
        let all: Vec<String> = letters.map(|letter| format!("\"srn:e:::::iam:user/*{}*\"", char::from(letter))).collect();
        let each: Vec<String> = all.iter().map(|pattern| show(pattern, "")).collect();
        each.join(", ")
    };
    assert_eq!(
        said(&infix(b'a'..=b'y'), &infix(b'b'..=b'y')).lines().last(),
        Some("? the resources of type `user` fall into too many kinds")
    );
    let keys = |count: usize| {
        let each = (0..count).map(|number| show(FOO, &format!("{{\"StringEquals\": {{\"scp:RequestTag/t{number}\": \"x\"}}}}")));
        each.collect::<Vec<_>>().join(", ")
    };
    assert_eq!(said(&keys(40), &keys(39)).lines().last(), Some("? the conditions combine in too many ways"));
    let like = |letters: std::ops::RangeInclusive<u8>| {
        let each = letters.map(|letter| show(ALL, &format!("{{\"StringLike\": {{\"scp:RequestTag/a\": \"*{}*\"}}}}", char::from(letter))));
        each.collect::<Vec<_>>().join(", ")
    };
    assert_eq!(
        said(&like(b'a'..=b'y'), &like(b'b'..=b'y')).lines().last(),
        Some("? the conditions on `scp:RequestTag/a` tell too many kinds of values apart")
    );
    let world = World::new();
    let caller = Caller::AnyOf { account: ACCOUNT };
    let unreadable = diff(world.catalogue(), &caller, &[Policy::invalid("p7")], &[Policy::invalid("p7")]);
    assert_eq!(
        (unreadable.relation, unreadable.unknown[0].reason.to_string()),
        (Relation::Unknown, "the policy `p7` cannot be read, and refuses everything it counts for".to_owned())
    );
    let inside = |inner: &str| {
        show(
            ALL,
            &format!(
                "{{\"Null\": {{\"scp:RequestAttribute/body['a']\": \"{inner}\", \"scp:RequestAttribute/body['a']['b']\": \"false\"}}}}"
            ),
        )
    };
    assert_eq!(
        said(&deny(ALL, ""), &inside("true")),
        "unknown\n? `scp:RequestAttribute/body['a']` and `scp:RequestAttribute/body['a']['b']` are about the same part of a body, which cannot be both"
    );
}

#[test]
fn what_differs_is_said_although_something_else_is_not_known() {
    let keys = |count: usize| {
        let each = (0..count).map(|number| show(FOO, &format!("{{\"StringEquals\": {{\"scp:RequestTag/t{number}\": \"x\"}}}}")));
        each.collect::<Vec<_>>().join(", ")
    };
    let list = |effect: &str| statement(effect, r#""iam:listUsers""#, ALL, "");
    let found = said(&both(&keys(40), &list("Deny")), &both(&keys(39), &list("Allow")));
    insta::assert_snapshot!(found, @r#"
    unknown
    + "iam:listUsers" [] {}
    ? the conditions combine in too many ways
    "#);
}

#[test]
fn one_principal_is_not_everybody() {
    let world = World::new();
    let catalogue = world.catalogue();
    let load = |statements: &str| [load(statements, Owner::system(), catalogue)];
    let relation = |kind, before: &str, after: &str| {
        let caller = Caller::One { principal: Principal { kind, account: ACCOUNT, id: "u1" }, name: Some("ada") };
        diff(catalogue, &caller, &load(before), &load(after)).relation
    };
    let ada = show(ALL, r#"{"StringEquals": {"scp:UserName": "ada", "scp:UserId": "u1"}}"#);
    assert_eq!(relation(Kind::User, &show(ALL, ""), &ada), Relation::Equivalent);
    assert_eq!(relation(Kind::Role, &show(ALL, ""), &ada), Relation::Stricter);
    // R27: root needs no Allow, and a Deny counts.
    assert_eq!(relation(Kind::Root, &show(ALL, ""), &show(FOO, "")), Relation::Equivalent);
    assert_eq!(relation(Kind::Root, &show(ALL, ""), &both(&show(ALL, ""), &deny(FOO, ""))), Relation::Stricter);
    assert_eq!(relation(Kind::Service, &show(ALL, ""), &deny(ALL, "")), Relation::Equivalent);
}

#[test]
fn taking_a_role_is_up_to_its_own_policy() {
    let mut builder = Catalogue::builder("e".parse().unwrap());
    builder.service("iam", "scp-iam", &[]).unwrap();
    builder.service("sts", "scp-sts", &[]).unwrap();
    let role = builder.resource_type("iam:role").unwrap();
    for name in ["sts:AssumeRole", "sts:AssumeRoleSomehow", "iam:ShowRole"] {
        builder.action(name.parse().unwrap(), AccessLevel::Read, &[role]).unwrap();
    }
    let catalogue = builder.build();
    let said = |before: &str, after: &str| {
        let load = |statement: &str| [load(statement, Owner::account(ACCOUNT), &catalogue)];
        let found = diff(&catalogue, &Caller::AnyOf { account: ACCOUNT }, &load(before), &load(after));
        let granted = found.differences.iter().map(|one| one.witness.resource_policies().len()).collect::<Vec<_>>();
        format!("{} {granted:?}", found.relation)
    };
    let take = |effect: &str, resource: &str| statement(effect, "\"sts:*\"", resource, "");
    let nothing = statement("Deny", "\"iam:none\"", ALL, "");
    let (own, foreign) = ("\"srn:e:::::iam:role/*\"", "\"srn:e::1234:::iam:role/*\"");
    assert_eq!(said(&take("Allow", own), &nothing), "equivalent []");
    assert_eq!(said(&take("Allow", foreign), &nothing), "stricter [1]");
    assert_eq!(said(&nothing, &take("Deny", own)), "stricter [1]");
    assert_eq!(said(&take("Deny", foreign), &nothing), "equivalent []");
    // R28: no policy of a role can name the action.
    let show = statement("Allow", "\"iam:ShowRole\"", foreign, "");
    assert_eq!(said(&nothing, &show), "equivalent []");
}

#[expect(clippy::disallowed_methods, reason = "a test of how long something takes measures time")]
#[test]
fn hostile_pairs_end_soon() {
    let many = |count: usize, one: &dyn Fn(usize) -> String| (0..count).map(one).collect::<Vec<_>>().join(", ");
    let pairs: Vec<(String, String)> = vec![
        {
            let one = |number: usize| show(&format!("\"srn:e:::::iam:user/*{number}*a*b*\""), "");
            (many(700, &one), many(699, &one))
        },
        {
            let one =
                |number: usize| statement("Allow", ALL, ALL, &format!("{{\"StringLike\": {{\"scp:RequestTag/{number}\": \"*a*\"}}}}"));
            (many(550, &one), many(549, &one))
        },
        {
            let one = |number: usize| {
                statement(
                    if number.is_multiple_of(2) { "Allow" } else { "Deny" },
                    "\"*\"",
                    &format!("\"srn:e:::::iam:user/*{number}\""),
                    "",
                )
            };
            (many(650, &one), many(649, &one))
        },
        {
            let one = |number: usize| format!("\"{}\"", "*a".repeat(1 + number % 16));
            let condition = format!(
                "{{\"ForAllValues:StringLike\": {{\"scp:TagKeys\": [{}]}}, \"StringNotLike\": {{\"scp:TagKeys\": [{}]}}}}",
                many(900, &one),
                many(16, &|number| format!("\"*{}\"", "?a*".repeat(1 + number % 15)))
            );
            (show(ALL, &condition), show(ALL, ""))
        },
        {
            let one =
                |number: usize| deny("\"srn:e:::::iam:policy/*\"", &format!("{{\"NumericLessThan\": {{\"iam:userAge\": \"{number}\"}}}}"));
            (both(&show(ALL, ""), &many(400, &one)), both(&show(ALL, ""), &many(399, &one)))
        },
        {
            let one = |number: usize| format!("\"{}-{number}\"", "x".repeat(50));
            let condition = |count| format!("{{\"StringEqualsIsIgnoreCase\": {{\"scp:UserName\": [{}]}}}}", many(count, &one));
            (show(ALL, &condition(950)), show(ALL, &condition(949)))
        },
    ];
    for (number, (before, after)) in pairs.iter().enumerate() {
        let started = std::time::Instant::now();
        let found = compare(before, after);
        let elapsed = started.elapsed();
        println!(
            "hostile pair {number}: {} after {elapsed:?} {:?}",
            found.relation,
            found.unknown.first().map(|unknown| unknown.reason.to_string())
        );
        assert!(elapsed.as_secs() < SECONDS, "{number}: it took {elapsed:?}");
    }
}
