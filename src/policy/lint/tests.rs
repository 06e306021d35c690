//! Each lint speaks where it must, and is silent on what is nearly the same.

use super::*;
use crate::policy::sample::ACCOUNT;
use crate::policy::{Attribute, CatalogueBuilder, ValueType};
use crate::types::{AccessLevel, Srn};

fn catalogue() -> Catalogue {
    let mut builder = Catalogue::builder("e".parse().unwrap());
    for service in ["iam", "vm"] {
        builder.service(service, &format!("scp-{service}"), &[]).unwrap();
    }
    for (name, level, types) in [
        ("iam:ListUsers", AccessLevel::List, &[][..]),
        ("iam:ListUser", AccessLevel::List, &["iam:user"]),
        ("iam:ShowUser", AccessLevel::Read, &["iam:user"]),
        ("iam:DeleteUser", AccessLevel::Delete, &["iam:user"]),
        ("iam:DeleteBulkUser", AccessLevel::Delete, &["iam:user"]),
        ("iam:AttachUserPolicy", AccessLevel::Permission, &["iam:user", "iam:policy"]),
        ("iam:ShowPolicy", AccessLevel::Read, &["iam:policy"]),
        ("iam:DeletePolicy", AccessLevel::Delete, &["iam:policy"]),
        ("iam:BatchDeletePolicies", AccessLevel::Permission, &[]),
        ("vm:ListServers", AccessLevel::List, &[]),
        ("vm:ShowServer", AccessLevel::Read, &["vm:server"]),
        ("vm:ShowServers", AccessLevel::Read, &["vm:server"]),
        ("vm:DeleteServer", AccessLevel::Delete, &["vm:server"]),
        ("vm:DeleteServers", AccessLevel::Delete, &["vm:server"]),
        ("vm:DetachDisk", AccessLevel::Update, &["vm:disk", "vm:server"]),
        ("vm:DetachBulkDisk", AccessLevel::Update, &["vm:disk"]),
        ("vm:tag:delete", AccessLevel::Delete, &[]),
        ("vm:tag:delete-bulk", AccessLevel::Delete, &[]),
    ] {
        declare(&mut builder, name, level, types);
    }
    let any = builder.action("iam:ShowResourcePolicy".parse().unwrap(), AccessLevel::Read, &[]).unwrap();
    builder.any_resource(any);
    for (kind, name, holds) in [
        ("iam:user", "lastname", ValueType::Text),
        ("vm:server", "vcpu", ValueType::Number),
        ("vm:server", "groups", ValueType::Text),
        ("vm:server", "status", ValueType::Text),
    ] {
        let kind = builder.resource_type(kind).unwrap();
        builder.attribute(Attribute { kind, name: name.into(), holds, abac: true }).unwrap();
    }
    builder.build()
}

fn declare(builder: &mut CatalogueBuilder, name: &str, level: AccessLevel, types: &[&str]) {
    let kinds: Vec<_> = types.iter().map(|kind| builder.resource_type(kind).unwrap()).collect();
    builder.action(name.parse().unwrap(), level, &kinds).unwrap();
}

/// `+action action on srn srn if condition` allows, `-` denies, `!` names the actions that it is not for, `~` is the start of an SRN;
/// one statement per line.
fn document(text: &str, more: &str) -> String {
    let list = |text: &str| format!("[\"{}\"]", text.replace('~', "srn:e:::::").replace(' ', "\", \""));
    let one = |text: &str| {
        let (effect, text) = match text.trim().split_at(1) {
            ("-", rest) => ("Deny", rest),
            ("+", rest) => ("Allow", rest),
            (other, rest) => panic!("{other}{rest}"),
        };
        let (text, condition) = text.split_once(" if ").unwrap_or((text, ""));
        let (actions, resources) = text.split_once(" on ").unwrap_or((text, "*"));
        let (member, actions) = actions.strip_prefix('!').map_or(("Action", actions), |rest| ("NotAction", rest));
        let condition = if condition.is_empty() { String::new() } else { format!(r#", "Condition": {{{condition}}}"#) };
        format!(r#"{{"Effect": "{effect}", {more}"{member}": {}, "Resource": {}{condition}}}"#, list(actions), list(resources))
    };
    let statements: Vec<String> = text.lines().filter(|line| !line.trim().is_empty()).map(one).collect();
    format!(r#"{{"Version": "2024-07-01", "Statement": [{}]}}"#, statements.join(",\n"))
}

fn found(document: &str, standing: &Standing) -> Vec<Trap> {
    let report = Report::new();
    let traps = lint(&Source::new("p.json", document), standing, &catalogue(), &report);
    traps.unwrap_or_else(|| panic!("{document}\n{report}"))
}

fn identity() -> Standing {
    Standing::Identity(Owner::account(ACCOUNT))
}

/// The lints that speak of a document, in order, with the statement that each is about.
#[track_caller]
fn check(text: &str, expected: &[(Lint, usize)]) {
    let mut traps = found(&document(text, ""), &identity());
    traps.sort_by_key(|trap| trap.statement);
    let said: Vec<(Lint, usize)> = traps.iter().map(|trap| (trap.lint, trap.statement)).collect();
    assert_eq!(said, expected, "{text}\n{traps:#?}");
}

#[test]
fn a_statement_without_an_action_that_exists_never_applies() {
    let never = &[(Lint::NeverApplies, 0)][..];
    check("-iam:dropUser iam:deleteUser", never);
    check("+iam:deleteUser none:*", never);
    // it is said once, where the action stands
    check("-iam:deleteUser\n-iam:ShowUser none:*", &[]);
    check("-!*", never);
    check("-!iam:* vm:* *", never);
    check("-iam:deleteUser vm:DeleteServer vm:DeleteServers", &[]);
    check("-!iam:*", &[]);
}

#[test]
fn a_statement_on_resources_that_its_actions_do_not_act_on_never_applies() {
    let never = &[(Lint::NeverApplies, 0)][..];
    check("-iam:ShowUser on ~iam:policy/*", never);
    check("+iam:ShowUser vm:ShowServer on ~iam:policy/*", never);
    check("-iam:ShowUser on ~none:user/*", never);
    check("-iam:ShowUser on srn:g:::::iam:user/*", never);
    check("-iam:ShowUser on ~iam:policy/* ~iam:user/*", &[]);
    check("-iam:AttachUserPolicy on ~iam:policy/*", &[]);
    check("-iam:ShowUser on ~iam:*/*", &[]);
    // what the request names by its SRN can be anything
    check("-iam:ShowResourcePolicy on ~vm:server/*", &[]);
    check("-iam:ShowResourcePolicy on ~none:server/*", never);
}

#[test]
fn a_statement_with_srns_never_applies_to_actions_without_resources() {
    let never = &[(Lint::NeverApplies, 0)][..];
    check("-iam:ListUsers on ~iam:user/*", never);
    check("+iam:ListUsers vm:ListServers on ~iam:user/*", never);
    check("+iam:ListUsers iam:ShowPolicy on ~iam:user/*", never);
    check("-iam:ListUsers", &[]);
    check("-iam:List* on ~iam:user/*", &[]);
    check("+iam:ListUsers iam:ShowUser on ~iam:user/*", &[(Lint::UnreachableAction, 0)]);
    check("+iam:ShowPolicy iam:ShowUser iam:ShowResourcePolicy on ~iam:user/*", &[(Lint::UnreachableAction, 0)]);
    check("+iam:Show* iam:ShowUser on ~iam:user/*", &[]);
    check("+iam:AttachUserPolicy iam:ShowUser on ~iam:user/*", &[]);
}

#[test]
fn what_stands_at_a_resource_is_about_that_resource() {
    let attachment = |srn: &str| Attachment::find(&Srn::parse(srn).unwrap(), &catalogue()).unwrap();
    let user = Standing::Resource(attachment(&format!("srn:e::{ACCOUNT}:::iam:user/u1")));
    let said = |text: &str| {
        let document = document(text, r#""Principal": {"scp": "srn:e::1234:::iam:user/a"}, "#);
        found(&document, &user).iter().map(|trap| trap.lint).collect::<Vec<_>>()
    };
    assert_eq!(said("-iam:ShowPolicy iam:ListUsers"), [Lint::NeverApplies]);
    assert_eq!(said("-iam:ShowUser iam:ListUsers on ~iam:user/u1"), [Lint::UnreachableAction]);
    assert_eq!(said("-iam:ShowUser iam:ShowResourcePolicy"), []);
    assert_eq!(said(r#"+iam:ShowUser if "StringEquals": {"vm:serverStatus": "on"}"#), [Lint::NeverApplies]);
    assert_eq!(said(r#"+iam:ShowUser if "StringEquals": {"iam:userLastname": "on"}"#), []);
    let trust = Standing::Trust(Owner::account(ACCOUNT));
    let document = r#"{"Version": "2024-07-01", "Statement": {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": [],
        "Principal": {"Account": ["1234"]}, "Condition": {"StringEquals": {"scp:ResourceTag/a": "b"}}}}"#;
    assert_eq!(found(document, &trust), []);
}

/// What the traps of a document of an identity say.
fn messages(text: &str) -> Vec<String> {
    found(&document(text, ""), &identity()).into_iter().map(|trap| trap.message).collect()
}

#[test]
fn a_contradiction_names_the_entries_that_exclude_each_other_and_no_other() {
    let said = |condition: &str| match messages(&format!("+iam:ShowUser if {condition}")).as_slice() {
        [one] => one.split("nothing: ").nth(1).unwrap().to_owned(),
        other => panic!("{other:?}"),
    };
    let name = |values: &str| values.replace('~', "scp:UserName");
    assert_eq!(
        said(r#""Null": {"scp:CurrentTime": "true"}, "DateLessThan": {"scp:CurrentTime": "2026-01-01"}"#),
        "`Null` on `scp:CurrentTime` is never true"
    );
    assert_eq!(
        said(&name(r#""StringNotEquals": {"~": "z"}, "StringEquals": {"~": "a"}, "StringLike": {"~": "b*"}"#)),
        "`StringEquals` and `StringLike` on `scp:UserName` are never both true"
    );
    assert_eq!(
        said(&name(
            r#""StringEquals": {"~": ["a", "b"]}, "ForAnyValue:StringEquals": {"~": ["b", "c"]}, "StringLike": {"~": ["a*", "c*"]}"#
        )),
        "`StringEquals`, `ForAnyValue:StringEquals`, `StringLike` on `scp:UserName` are never all true"
    );
}

#[test]
fn a_key_that_is_not_there_switches_an_allow_off_and_not_a_deny() {
    let undefined = r#""StringEquals": {"iam:userNone": "x"}"#;
    check(&format!("+iam:ShowUser\n+iam:ShowUser if {undefined}"), &[]);
    check(&format!("-iam:ShowUser\n-iam:ShowUser if {undefined}"), &[(Lint::Subsumed, 1)]);
    let never = r#""Null": {"scp:CurrentTime": "true"}"#;
    check(&format!("+iam:ShowUser\n+iam:ShowUser if {never}"), &[(Lint::NeverApplies, 1)]);
}

#[test]
fn what_is_subsumed_is_so_by_a_statement_that_stays() {
    let said = messages("+iam:ShowUser on ~iam:user/a*\n+iam:ShowUser\n+iam:ShowUser on ~iam:user/ab");
    assert_eq!(said.iter().map(|said| said.matches("`Statement[1]`").count()).collect::<Vec<_>>(), [1, 1]);
}

#[test]
fn an_action_for_many_counts_where_it_touches_the_same() {
    check("-vm:DetachDisk on ~vm:disk/*\n+vm:DetachBulkDisk", &[(Lint::BulkAction, 0)]);
    check("-vm:DetachDisk on ~vm:server/*\n+vm:DetachBulkDisk", &[]);
}

#[test]
fn whoever_is_of_an_account_is_among_all_of_it() {
    let mut builder = Catalogue::builder("e".parse().unwrap());
    builder.service("iam", "scp-iam", &[]).unwrap();
    declare(&mut builder, "sts:AssumeRole", AccessLevel::Update, &["iam:role"]);
    declare(&mut builder, "iam:ShowUser", AccessLevel::Read, &["iam:user"]);
    let catalogue = builder.build();
    let about = |resource: &str| {
        let statement =
            format!(r#"{{"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": ["{resource}"], "Principal": {{"Account": "1"}}}}"#);
        let source = Source::new("p.json", format!(r#"{{"Version": "2024-07-01", "Statement": {statement}}}"#));
        lint(&source, &Standing::Trust(Owner::account(ACCOUNT)), &catalogue, &Report::new()).is_some()
    };
    assert_eq!(["*", "srn:e:::::iam:role/x", "srn:e:::::iam:user/x"].map(about), [true, true, false]);
    let twice = |one: &str, other: &str| {
        let statement = |who: &str| format!(r#"{{"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": [], "Principal": {who}}}"#);
        let document = format!(r#"{{"Version": "2024-07-01", "Statement": [{}, {}]}}"#, statement(one), statement(other));
        let traps = lint(&Source::new("p.json", document), &Standing::Trust(Owner::account(ACCOUNT)), &catalogue, &Report::new()).unwrap();
        traps.iter().map(|trap| (trap.lint, trap.statement)).collect::<Vec<_>>()
    };
    assert_eq!(twice(r#"{"Account": "1"}"#, r#"{"scp": "srn:e::1:::iam:role/x"}"#), [(Lint::Subsumed, 1)]);
    assert_eq!(twice(r#"{"Account": "1"}"#, r#"{"scp": "srn:e::2:::iam:role/x"}"#), []);
    assert_eq!(twice(r#"{"Account": "1"}"#, r#"{"Service": "a.b"}"#), []);
    assert_eq!(twice(r#"{"scp": "srn:e::1:::iam:role/x"}"#, r#"{"Account": "1"}"#), [(Lint::Subsumed, 0)]);
}

/// Conditions that cannot hold, and some that only look so.
#[test]
fn a_condition_that_contradicts_itself_never_holds() {
    let never = &[(Lint::NeverApplies, 0)][..];
    let any = [
        r#""StringEquals": {"scp:UserName": ["a", "b"]}, "ForAnyValue:StringEquals": {"scp:username": ["c", "A"]}"#,
        r#""StringEquals": {"scp:UserName": "a"}, "StringNotEquals": {"scp:UserName": ["b", "a"]}"#,
        r#""StringEquals": {"scp:UserName": "a"}, "StringLike": {"scp:UserName": "b*"}"#,
        r#""StringEquals": {"scp:UserName": "ab"}, "StringNotLike": {"scp:UserName": "a*"}"#,
        r#""StringEqualsIsIgnoreCase": {"scp:UserName": "STRASSE"}, "StringNotEqualsIsIgnoreCase": {"scp:UserName": "straße"}"#,
        r#""StringEqualsIsIgnoreCase": {"scp:UserName": "a"}, "StringEquals": {"scp:UserName": "b"}"#,
        r#""StringLike": {"scp:UserName": ["a*", "b*c"]}, "ForAnyValue:StringLike": {"scp:UserName": "c*"}"#,
        r#""StringLike": {"scp:UserName": ["ab*", "*xcx"]}, "StringNotLike": {"scp:UserName": ["a*", "*c*"]}"#,
        r#""Null": {"scp:UserName": "true"}, "StringEquals": {"scp:UserName": "a"}"#,
        concat!(
            r#""Null": {"scp:UserName": "false"}, "ForAllValues:StringLike": {"scp:UserName": "a*"}, "#,
            r#""ForAllValues:StringEquals": {"scp:UserName": "b"}"#,
        ),
        r#""Null": {"scp:CurrentTime": "true"}"#,
        r#""Bool": {"scp:MultiFactorAuthPresent": "true"}, "ForAllValues:Bool": {"scp:MultiFactorAuthPresent": "false"}"#,
        r#""DateGreaterThan": {"scp:CurrentTime": "2026-02-01"}, "DateLessThan": {"scp:CurrentTime": "2026-01-01"}"#,
        r#""DateGreaterThan": {"scp:CurrentTime": "2026-01-01T09:00:00+09:00"}, "DateLessThanEquals": {"scp:CurrentTime": "2026-01-01"}"#,
        r#""DateEquals": {"scp:CurrentTime": ["2026-01-01", "2026-01-02"]}, "DateGreaterThan": {"scp:CurrentTime": "2026-01-02"}"#,
        concat!(
            r#""DateGreaterThanEquals": {"scp:CurrentTime": "2026-01-01"}, "DateLessThanEquals": {"scp:CurrentTime": "2026-01-01"}, "#,
            r#""DateNotEquals": {"scp:CurrentTime": "2026-01-01"}"#,
        ),
        r#""StringEquals": {"vm:serverStatus": "on"}"#,
        r#""Null": {"scp:ResourceTag/a": "false"}"#,
        r#""StringNotLike": {"scp:AuthenticationType": "*"}"#,
    ];
    for condition in any {
        check(&format!("-iam:ListUsers if {condition}"), never);
        check(&format!("+iam:ListUsers if {condition}"), never);
    }
    // A Deny applies while these cannot be found out.
    for condition in [
        r#""IpAddress": {"scp:SourceIp": "10.1.0.0/16"}, "NotIpAddress": {"scp:SourceIp": ["10.1.0.0/17", "10.1.128.0/17"]}"#,
        r#""IpAddress": {"scp:SourceIp": "10.1.0.0/16"}, "ForAllValues:IpAddress": {"scp:SourceIp": ["10.2.0.0/16", "2001:db8::/32"]}"#,
        r#""NotIpAddress": {"scp:SourceIp": ["0.0.0.0/0", "::/0"]}"#,
        r#""Null": {"scp:SourceIp": "true"}"#,
        r#""Null": {"scp:TagKeys": "true"}, "StringLike": {"scp:TagKeys": "*"}"#,
        r#""ForAllValues:StringEquals": {"scp:TagKeys": ["a", "b"]}, "StringEquals": {"scp:TagKeys": "c"}"#,
        r#""Null": {"scp:RequestTag/a": "true"}, "StringEquals": {"scp:RequestTag/A": "b"}"#,
        r#""Null": {"scp:RequestAttribute/body['a']": "true"}, "StringEquals": {"scp:RequestAttribute/body['a']": "b"}"#,
        r#""Null": {"scp:ResourceTag/a": "true"}, "StringEquals": {"scp:ResourceTag/A": "b"}"#,
    ] {
        check(&format!("-vm:ShowServer if {condition}"), &[(Lint::Contradiction, 0)]);
        check(&format!("+vm:ShowServer if {condition}"), never);
    }
    for condition in [
        r#""NumericGreaterThan": {"vm:serverVcpu": 4}, "ForAllValues:NumericLessThan": {"vm:serverVcpu": 4}"#,
        r#""NumericEquals": {"vm:serverVcpu": [4, 8.0]}, "ForAllValues:NumericNotEquals": {"vm:serverVcpu": ["8", "4.00"]}"#,
        r#""Null": {"vm:serverVcpu": "true"}, "NumericEquals": {"vm:serverVcpu": 4}"#,
    ] {
        check(&format!("-vm:ShowServer if {condition}"), &[]);
        check(&format!("+vm:ShowServer if {condition}"), never);
    }
}

#[test]
fn a_condition_that_some_request_fulfils_is_no_contradiction() {
    for condition in [
        r#""StringEquals": {"scp:UserName": ["a", "b"]}, "StringLike": {"scp:UserName": "b*"}"#,
        r#""StringEquals": {"scp:UserName": ["a", "b"]}, "StringNotEquals": {"scp:UserName": "a"}"#,
        r#""StringEqualsIsIgnoreCase": {"scp:UserName": "a"}, "StringNotEquals": {"scp:UserName": "a"}"#,
        r#""StringEqualsIsIgnoreCase": {"scp:UserName": "a"}, "StringEquals": {"scp:UserName": "A"}"#,
        r#""StringEqualsIsIgnoreCase": {"scp:UserName": "a"}, "StringLike": {"scp:UserName": "A*"}"#,
        r#""StringLike": {"scp:UserName": "a*"}, "ForAnyValue:StringLike": {"scp:UserName": "*b"}"#,
        r#""StringLike": {"scp:UserName": ["a*"]}, "StringNotLike": {"scp:UserName": ["ab*"]}"#,
        r#""Null": {"scp:UserName": "true"}, "StringNotEquals": {"scp:UserName": "a"}"#,
        r#""Null": {"scp:UserName": ["true", "false"]}, "StringEquals": {"scp:UserName": "a"}"#,
        r#""ForAllValues:StringEquals": {"scp:UserName": "a"}, "ForAllValues:StringLike": {"scp:UserName": "b"}"#,
        r#""StringEquals": {"scp:UserId": "a"}, "StringNotEquals": {"scp:UserName": "a"}"#,
        r#""DateGreaterThan": {"scp:CurrentTime": "2026-01-01"}, "DateLessThan": {"scp:CurrentTime": "2026-02-01"}"#,
        r#""DateGreaterThan": {"scp:CurrentTime": ["2026-01-01", "2026-03-01"]}, "DateLessThan": {"scp:CurrentTime": "2026-02-01"}"#,
        r#""DateGreaterThan": {"scp:CurrentTime": "2026-03-01"}, "DateLessThan": {"scp:CurrentTime": ["2026-02-01", "2026-04-01"]}"#,
        r#""DateGreaterThanEquals": {"scp:CurrentTime": "2026-01-01"}, "DateLessThanEquals": {"scp:CurrentTime": "2026-01-01T00:00:00Z"}"#,
        r#""IpAddress": {"scp:SourceIp": "10.1.0.0/16"}, "NotIpAddress": {"scp:SourceIp": "10.1.0.0/17"}"#,
        r#""IpAddress": {"scp:SourceIp": ["10.1.0.0/16", "2001:db8::/32"]}, "NotIpAddress": {"scp:SourceIp": "0.0.0.0/0"}"#,
        // several values: one fulfils the one, another one the other
        r#""StringEquals": {"scp:TagKeys": "a"}, "ForAnyValue:StringEquals": {"scp:TagKeys": "b"}"#,
        r#""StringEquals": {"scp:ResourceTag/a": "a"}, "StringNotEquals": {"scp:ResourceTag/A": "a"}"#,
        r#""StringEquals": {"scp:RequestAttribute/query['a']": "a"}, "StringLike": {"scp:RequestAttribute/query['a']": "b"}"#,
        r#""NumericGreaterThan": {"vm:serverVcpu": 4}, "NumericLessThan": {"vm:serverVcpu": 4}"#,
        r#""Null": {"iam:userLastname": "true"}"#,
        r#""StringNotEquals": {"iam:userLastname": "x"}"#,
    ] {
        check(&format!("-vm:ShowServer if {condition}"), &[]);
    }
    check(r#"-iam:ShowResourcePolicy if "StringEquals": {"vm:serverStatus": "on"}"#, &[]);
    check(r#"-vm:* if "StringEquals": {"vm:serverStatus": "on"}"#, &[]);
    // has been said where the key stands
    check(r#"+vm:ShowServer if "StringEquals": {"vm:serverNone": "on"}"#, &[]);
    check(r#"-vm:ShowServer if "StringEquals": {"vm:serverNone": "on"}, "Null": {"vm:serverNone": "true"}"#, &[]);
}

#[test]
fn a_statement_within_another_one_is_superfluous() {
    let first = &[(Lint::Subsumed, 0)][..];
    let second = &[(Lint::Subsumed, 1)][..];
    check("+iam:*\n+iam:ShowUser", second);
    check("+iam:ShowUser\n+iam:*", first);
    check("+iam:ShowUser on ~iam:user/a*\n+iam:ShowUser iam:ShowPolicy on ~iam:*/a*", first);
    check("+iam:ShowUser\n+iam:ShowUser", second);
    check("-iam:ShowUser on ~iam:user/a\n-iam:Show* on ~iam:user/?", first);
    check(
        "+iam:ShowUser if \"StringEquals\": {\"scp:UserName\": [\"b\", \"a\"]}
        +iam:Show* if \"StringEquals\": {\"scp:username\": [\"a\", \"b\"]}",
        first,
    );
    check("+iam:ShowUser if \"Bool\": {\"scp:MultiFactorAuthPresent\": true}\n+iam:Show*", first);
    check("+iam:ShowUser\n+iam:ShowUser\n+iam:ShowUser", &[(Lint::Subsumed, 1), (Lint::Subsumed, 2)]);
    check("+iam:ShowUser\n+iam:Show*\n+iam:*", &[(Lint::Subsumed, 0), (Lint::Subsumed, 1)]);
}

#[test]
fn a_statement_that_does_something_of_its_own_is_not_superfluous() {
    for text in [
        "+iam:ShowUser\n-iam:ShowUser on ~iam:user/a",
        "+iam:Show* on ~iam:user/*\n+iam:ShowUser",
        "+iam:ShowUser on ~iam:user/a*\n+iam:ShowUser on ~iam:user/b*",
        "+iam:ShowUser iam:ShowPolicy\n+iam:ShowUser vm:ShowServer",
        // more may be defined
        "+vm:Show* on ~vm:server/a*\n+vm:ShowServer vm:ShowServers",
        "+vm:*[Read]\n+vm:Show*",
        "+iam:ShowUser on ~iam:user/a ~none:x/*\n+iam:ShowUser on ~iam:user/*",
        "+iam:Show* if \"Bool\": {\"scp:MultiFactorAuthPresent\": true}\n+iam:ShowUser",
        "+iam:Show* if \"StringEquals\": {\"scp:UserName\": \"a\"}\n+iam:ShowUser if \"StringEquals\": {\"scp:UserId\": \"a\"}",
    ] {
        check(text, &[]);
    }
}

#[test]
fn an_allow_that_is_denied_whole_allows_nothing() {
    let first = &[(Lint::TakenAway, 0)][..];
    check("+iam:ShowUser\n-iam:Show*", first);
    check("+vm:ShowServer on ~vm:server/a*\n-* on ~vm:*/*", first);
    check("-*\n+iam:ShowUser\n+vm:*", &[(Lint::TakenAway, 1), (Lint::TakenAway, 2)]);
    let mfa = "if \"Bool\": {\"scp:MultiFactorAuthPresent\": true}";
    check(&format!("+iam:ShowUser {mfa}, \"Null\": {{\"scp:UserName\": \"false\"}}\n-iam:ShowUser {mfa}"), first);
    check(&format!("+iam:ShowUser\n-iam:ShowUser {mfa}"), &[]);
    check("+iam:ShowUser on ~iam:user/*\n-iam:ShowUser on ~iam:user/a*", &[]);
    check("+iam:Show* on ~iam:user/*\n-iam:ShowUser", &[]);
    check("+vm:Show*\n-vm:ShowServer vm:ShowServers", &[]);
    // what is gone already is not said to be in another one too
    check("+iam:ShowUser\n+iam:ShowUser\n-iam:*", &[(Lint::TakenAway, 0), (Lint::TakenAway, 1)]);
}

#[test]
fn principals_count_when_statements_of_a_resource_are_compared() {
    let user =
        Standing::Resource(Attachment::find(&Srn::parse(&format!("srn:e::{ACCOUNT}:::iam:user/u1")).unwrap(), &catalogue()).unwrap());
    let said = |first: &str, second: &str| {
        let one =
            |principal: &str| format!(r#"{{"Effect": "Allow", "Principal": {{{principal}}}, "Action": "iam:ShowUser", "Resource": "*"}}"#);
        let document = format!(r#"{{"Version": "2024-07-01", "Statement": [{}, {}]}}"#, one(first), one(second));
        found(&document, &user).iter().map(|trap| (trap.lint, trap.statement)).collect::<Vec<_>>()
    };
    let scp = |ids: &[&str]| {
        let srns: Vec<String> = ids.iter().map(|id| format!("\"srn:e::1234:::iam:{id}\"")).collect();
        format!("\"scp\": [{}]", srns.join(", "))
    };
    assert_eq!(said(&scp(&["user/a"]), &scp(&["role/r", "user/a"])), [(Lint::Subsumed, 0)]);
    assert_eq!(said(&scp(&["user/a", "user/b"]), &scp(&["user/a", "role/b"])), []);
    assert_eq!(said(&scp(&["user/a"]), &scp(&["user/ROOT"])), []);
}

#[test]
fn a_deny_that_leaves_out_the_action_for_many_is_walked_round() {
    let deny = &[(Lint::BulkAction, 0)][..];
    check("-iam:DeleteUser on ~iam:user/root", deny);
    check("-iam:DeleteUser", deny);
    check("-vm:DeleteServer", deny);
    check("-vm:tag:delete", deny);
    check("-iam:*Policy", deny);
    check("-iam:DeletePolicy on ~iam:policy/p", deny);
    check("-vm:*r on ~vm:server/a", deny);
    check("-iam:DeleteUser on ~iam:user/root\n+*", deny);
    check("-iam:DeleteUser vm:DeleteServer", &[(Lint::BulkAction, 0), (Lint::BulkAction, 0)]);
    for text in [
        "-iam:DeleteUser iam:DeleteBulkUser on ~iam:user/root",
        "-iam:Delete* on ~iam:user/root",
        "-iam:DeleteUser on ~iam:user/root\n-iam:DeleteBulkUser on ~iam:user/*",
        // what another one denies, or what only this document allows
        "-iam:DeleteUser on ~iam:user/root\n+iam:DeleteUser",
        "-!iam:DeleteBulkUser iam:BatchDeletePolicies vm:DeleteServers vm:tag:delete-bulk",
        // `ListUsers` lists, and `ShowServers` reads
        "-iam:ListUser",
        "-vm:ShowServer",
        "-iam:DeleteBulkUser",
        "+iam:DeleteUser",
    ] {
        check(text, &[]);
    }
    let said = |text: &str| found(&document(text, ""), &identity()).into_iter().map(|trap| trap.hint).collect::<Vec<_>>();
    assert_eq!(said("-iam:DeleteUser on ~iam:user/root"), ["add `iam:DeleteBulkUser` to the actions"]);
    let elsewhere = "deny `iam:BatchDeletePolicies` too, in a statement with \"Resource\": [\"*\"]: its definition names no resources";
    assert_eq!(said("-iam:DeletePolicy on ~iam:policy/p"), [elsewhere]);
}

#[test]
fn texts_in_another_form_of_unicode_are_shown() {
    let form = &[(Lint::UnicodeForm, 0)][..];
    check("-vm:ListServers if \"StringEquals\": {\"scp:UserName\": [\"x\", \"re\u{301}my\"]}", form);
    check("-vm:ListServers if \"ForAllValues:StringNotLike\": {\"scp:UserName\": \"\u{1112}\u{1161}\u{11AB}*\"}", form);
    check("-vm:ListServers if \"StringEquals\": {\"scp:UserName\": [\"rémy\", \"한\", \"\u{301}\", \"1\u{301}\"]}", &[]);
    check("-vm:ShowServer on ~vm:server/e\u{301}", &[]);
}

#[test]
fn not_action_under_allow_is_open_ended() {
    check("+!iam:*", &[(Lint::OpenEnded, 0)]);
    check("+!iam:* on ~vm:server/*", &[(Lint::OpenEnded, 0)]);
    check("-!iam:*", &[]);
    let said = |text: &str| found(&document(text, ""), &identity()).remove(0).message;
    assert!(said("+!iam:*").contains("on every resource") && !said("+!iam:* on ~vm:server/*").contains("on every resource"));
}

#[test]
fn a_negative_operator_on_several_values_is_shown() {
    let any = &[(Lint::AnyOfSeveral, 0)][..];
    check(r#"+vm:ShowServer if "StringNotEquals": {"scp:TagKeys": "a"}"#, any);
    check(r#"+vm:ShowServer if "StringNotLike": {"scp:RequestAttribute/body['tags'][*]": "a"}"#, any);
    check(r#"+vm:ShowServer if "StringNotEquals": {"vm:serverGroups": "a"}"#, any);
    for condition in [
        r#""ForAllValues:StringNotEquals": {"scp:TagKeys": "a"}"#,
        r#""ForAnyValue:StringNotEquals": {"scp:TagKeys": "a"}"#,
        r#""StringEquals": {"scp:TagKeys": "a"}"#,
        r#""StringNotEquals": {"scp:UserName": "a"}"#,
        r#""StringNotLike": {"scp:RequestAttribute/body['tags']": "a"}"#,
        r#""StringNotEquals": {"vm:serverStatus": "a"}"#,
        r#""NumericNotEquals": {"vm:serverVcpu": 4}"#,
    ] {
        check(&format!("+vm:ShowServer if {condition}"), &[]);
    }
    check(r#"-vm:ShowServer if "StringNotEquals": {"scp:TagKeys": "a"}"#, &[]);
}

#[test]
fn what_cannot_be_read_has_no_traps() {
    let report = Report::new();
    assert_eq!(lint(&Source::new("p.json", "{"), &identity(), &catalogue(), &report), None);
    assert!(report.has_errors());
}

#[test]
fn many_statements_and_patterns_end_in_time() {
    let patterns: Vec<String> = (0..40).map(|number| format!("~iam:user/*a*b*c*{number}*")).collect();
    let line = format!("+iam:ShowUser on {}\n", patterns.join(" "));
    let _ = found(&document(&line.repeat(40), ""), &identity());
    let many = "+iam:*[Read] on ~iam:user/a*b\n".repeat(700);
    let _ = found(&document(&many, ""), &identity());
}

#[test]
fn each_trap_says_where_it_is_what_happens_and_what_to_write() {
    let document = r#"{"Version": "2024-07-01", "Statement": [
{"Sid": "Look", "Effect": "Allow", "Action": ["iam:*[List,Read]", "vm:*"], "Resource": "*"},
{"Effect": "Deny", "Action": "vm:DeleteServer", "Resource": "srn:e:::::vm:server/prod-*"},
{"Effect": "Deny", "Action": "iam:ShowUser", "Resource": "srn:e:::::iam:policy/*"},
{"Effect": "Deny", "Action": "iam:ListUsers", "Resource": "srn:e:::::iam:user/*"},
{"Effect": "Deny", "Action": ["iam:deleteUser", "none:*"], "Resource": "*"},
{"Effect": "Allow", "Action": "iam:DeleteUser", "Resource": "*",
 "Condition": {"StringEquals": {"scp:UserName": ["ada", "bob"]}, "StringLike": {"scp:UserName": "team-*"}}},
{"Effect": "Deny", "Action": "iam:DeletePolicy", "Resource": "*",
 "Condition": {"IpAddress": {"scp:SourceIp": "10.1.0.0/16"}, "NotIpAddress": {"scp:SourceIp": "10.0.0.0/8"}}},
{"Sid": "One", "Effect": "Allow", "Action": ["iam:ListUsers", "iam:ShowUser"], "Resource": "srn:e:::::iam:user/*"},
{"Effect": "Deny", "Action": ["vm:DeleteServers", "vm:ShowServer"], "Resource": "*"},
{"Effect": "Deny", "Action": "vm:ShowServer", "Resource": "srn:e:::::vm:server/x"},
{"Effect": "Allow", "Action": "vm:ShowServer", "Resource": "*"},
{"Effect": "Allow", "NotAction": "iam:Delete*", "Resource": "*", "Condition": {"StringEquals": {"scp:RequestedRegion": "Re\u0301gion"}}}
]}"#;
    let said = |trap: &Trap| {
        let Trap { lint, statement, span, message, hint } = trap;
        format!("{lint:?} of {statement} at {}:{}+{}\n  {message}\n  {hint}", span.start.line, span.start.column, span.chars)
    };
    insta::assert_snapshot!(found(document, &identity()).iter().map(said).collect::<Vec<_>>().join("\n"), @r#"
        NeverApplies of 2 at 4:12+6
          `Statement[2]`: this statement denies nothing: its actions act on `scp-iam:user`, and no pattern in `Resource` means such a resource
          name resources of the type `scp-iam:user`, or correct the actions
        NeverApplies of 3 at 5:12+6
          `Statement[3]`: this statement denies nothing: its actions have no resources, and only the bare `*` in `Resource` matches those
          write "Resource": ["*"]
        NeverApplies of 4 at 6:12+6
          `Statement[4]`: this statement denies nothing: no action exists that it names
          correct the actions, or remove the statement
        NeverApplies of 5 at 8:97+8
          `Statement[5].Condition.StringLike.scp:UserName`: this statement allows nothing: `StringEquals` and `StringLike` on `scp:UserName` are never both true
          correct the condition, or remove the statement
        BulkAction of 6 at 9:30+18
          `Statement[6].Action`: `iam:DeletePolicy` is denied here, and `iam:BatchDeletePolicies`, which does that to many at once, is not
          add `iam:BatchDeletePolicies` to the actions
        Contradiction of 6 at 10:95+12
          `Statement[6].Condition.NotIpAddress.scp:SourceIp`: this statement denies only while `scp:SourceIp` cannot be found out: `IpAddress` and `NotIpAddress` on `scp:SourceIp` are never both true
          correct the condition, or remove the statement
        Subsumed of 7 at 11:26+7
          `Statement[7]`: all that this statement allows, `Statement[0]` (Sid `Look`, line 2) allows as well
          remove it, or narrow the other one, if it was meant to make a difference
        UnreachableAction of 7 at 11:46+15
          `Statement[7].Action[0]`: this statement never allows `iam:ListUsers`: that action has no resources, so only the bare `*` matches it
          move the action to a statement with "Resource": ["*"]
        Subsumed of 9 at 13:12+6
          `Statement[9]`: all that this statement denies, `Statement[8]` (line 12) denies as well
          remove it, or narrow the other one, if it was meant to make a difference
        TakenAway of 10 at 14:12+7
          `Statement[10]`: this statement allows nothing: `Statement[8]` (line 12) denies all of it
          a Deny wins over every Allow: narrow the Deny, or remove this statement
        OpenEnded of 11 at 15:21+11
          `Statement[11].NotAction`: `NotAction` with Allow allows every action of every service but these, on every resource, also those that will be defined later
          name in `Action` what is to be allowed; or keep this, and add a Deny for what must never be allowed
        UnicodeForm of 11 at 15:120+14
          `Statement[11].Condition.StringEquals.scp:RequestedRegion`: `é` is written as several code points here, and is compared as such: written as one, it is another text
          write the text in Unicode normal form C, or list both forms
        "#);
}
