//! The ladders by which people climb, and that each rung is missing.

use std::sync::Arc;

use super::*;
use crate::policy::Owner;
use crate::snapshot::Roster;
use crate::snapshot::wire::{self, Change};
use crate::source::{Report, Source};
use crate::types::{Revision, SealingKey};

const ROOT: u8 = 0;
/// `*`.
const ADMIN: u8 = 1;
/// `*[List,Read,Create,Update,Delete]`.
const WRITER: u8 = 2;
/// `iam:*`.
const DELEGATE: u8 = 3;
/// `*`, and a Deny from a policy of their own.
const GUARDED: u8 = 4;
/// `*`, and a Deny from a group.
const MEMBER: u8 = 5;
/// Nothing.
const NOBODY: u8 = 6;
/// Not active.
const GONE: u8 = 7;
/// `vm:*`, if called `user9`.
const NAMED: u8 = 8;
const STRANGER: u8 = 20;

const ALL: u8 = 0;
const WRITES: u8 = 1;
const IAM: u8 = 2;
const NO_VM_DELETE: u8 = 3;
const VM: u8 = 4;
const IAM_READ: u8 = 5;
const LOOSE: u8 = 6;
const BROKEN: u8 = 7;
const IF_NINE: u8 = 8;
const MISSING: u8 = 99;

const ADMINS: u8 = 0;
const GUARDED_ONES: u8 = 1;
const READERS: u8 = 2;
const UNREAD: u8 = 3;
const NO_GROUP: u8 = 99;

/// `*`.
const MIGHTY: u8 = 0;
/// `iam:*`.
const KEEPER: u8 = 1;
/// `*`, and a Deny.
const FENCED: u8 = 2;
/// `*`, of another account.
const FOREIGN: u8 = 3;
const NO_ROLE: u8 = 99;

fn id(kind: u8, number: u8) -> String {
    format!("{kind:02x}{number:02x}{}", "5a".repeat(14))
}

fn user(number: u8) -> UserId {
    id(2, number).parse().unwrap()
}

fn asks(number: u8) -> Asker<'static> {
    Asker { actor: Actor::User(user(number)), behind: None, session: None, work: Box::leak(Box::new(Work::new())) }
}

fn group(number: u8) -> GroupId {
    id(3, number).parse().unwrap()
}

fn role(number: u8) -> RoleId {
    id(5, number).parse().unwrap()
}

/// By a role's session, which this narrows.
fn by_session(number: u8, session: Option<Policy>) -> Asker<'static> {
    let session = session.map(|policy| &*Box::leak(Box::new(Arc::new(policy))));
    Asker { actor: Actor::Role(role(number)), behind: None, session, work: Box::leak(Box::new(Work::new())) }
}

fn policy(number: u8) -> PolicyId {
    id(4, number).parse().unwrap()
}

fn put(record: &serde_json::Value) -> Change {
    let text = record.to_string();
    Change::Put { key: wire::read_json(&text).unwrap().key().to_string(), record: text }
}

/// Actions, cut at blanks; `-` denies.
fn document(statements: &[&str]) -> String {
    let one = |text: &&str| {
        let (text, condition) = text.split_once(" if ").map_or((*text, None), |(text, name)| (text, Some(name)));
        let (effect, actions) = text.strip_prefix('-').map_or(("Allow", text), |rest| ("Deny", rest));
        let actions: Vec<&str> = actions.split(' ').collect();
        let mut statement = serde_json::json!({"Effect": effect, "Action": actions, "Resource": "*"});
        if let Some(name) = condition {
            statement["Condition"] = serde_json::json!({"StringEquals": {"scp:UserName": name}});
        }
        statement
    };
    let statements: Vec<_> = statements.iter().map(one).collect();
    serde_json::json!({"Version": "2024-07-01", "Statement": statements}).to_string()
}

fn definition(service: &str, operations: &[(&str, &str, &str)]) -> Change {
    let mut text = format!("kind: scp-iam:action-definition\nservice: {service}\nservice_type: scp-{service}\npaths:\n");
    for (name, level, kind) in operations {
        let resources =
            if kind.is_empty() { "[]".to_owned() } else { format!(r#"[{{"{service}:{kind}": {{resource_id: "path['id']"}}}}]"#) };
        text.push_str(&format!(
            "  /v1/{name}/{{id}}:\n    get: {{action: '{service}:{name}', access_level: {level}, resources: {resources}}}\n"
        ));
    }
    put(&serde_json::json!({"kind": "definition", "service": service, "document": text}))
}

fn world() -> Snapshot {
    let (account, other) = (id(1, 0), id(1, 1));
    let mut changes = vec![
        put(&serde_json::json!({"kind": "account", "id": account, "name": "a"})),
        put(&serde_json::json!({"kind": "account", "id": other, "name": "b"})),
        definition(
            "iam",
            &[
                ("ListUsers", "List", ""),
                ("ShowUser", "Read", "user"),
                ("AddGroupMember", "Update", "group"),
                ("Attach", "Permission", "group"),
            ],
        ),
        definition("vm", &[("ShowServer", "Read", "server"), ("DeleteServer", "Delete", "server")]),
    ];
    for number in [ROOT, ADMIN, WRITER, DELEGATE, GUARDED, MEMBER, NOBODY, GONE, NAMED, STRANGER] {
        let (account, name) = (if number == STRANGER { &other } else { &account }, format!("user{number}"));
        changes.push(put(&serde_json::json!({
            "kind": "user", "id": id(2, number), "account": account, "name": name, "root": number == ROOT, "active": number != GONE,
        })));
    }
    for (number, statements) in [
        (ALL, &["*"][..]),
        (WRITES, &["*[List,Read,Create,Update,Delete]"]),
        (IAM, &["iam:*"]),
        (NO_VM_DELETE, &["-vm:Delete*"]),
        (VM, &["vm:*"]),
        (IAM_READ, &["iam:Show*"]),
        (LOOSE, &["vm:*", "-iam:ListUsers"]),
        (BROKEN, &["nonsense"]),
        (IF_NINE, &["vm:* if user9"]),
    ] {
        let document = document(statements);
        changes
            .push(put(&serde_json::json!({"kind": "policy", "id": id(4, number), "account": account, "name": "p", "document": document})));
    }
    for number in [ADMINS, GUARDED_ONES, READERS, UNREAD] {
        changes.push(put(&serde_json::json!({"kind": "group", "id": id(3, number), "account": account, "name": "g"})));
    }
    for (number, held) in [
        (ADMIN, &[ALL][..]),
        (WRITER, &[WRITES]),
        (DELEGATE, &[IAM]),
        (GUARDED, &[ALL, NO_VM_DELETE]),
        (MEMBER, &[ALL]),
        (GONE, &[ALL]),
        (NAMED, &[IF_NINE]),
    ] {
        for held in held {
            changes.push(put(&serde_json::json!({"kind": "attachment", "policy": id(4, *held), "user": id(2, number)})));
        }
    }
    for (number, held) in [(ADMINS, ALL), (GUARDED_ONES, NO_VM_DELETE), (READERS, IAM_READ), (UNREAD, IAM_READ)] {
        changes.push(put(&serde_json::json!({"kind": "attachment", "policy": id(4, held), "group": id(3, number)})));
    }
    changes.push(put(&serde_json::json!({"kind": "membership", "group": id(3, GUARDED_ONES), "user": id(2, MEMBER)})));
    for (number, held) in [(MIGHTY, &[ALL][..]), (KEEPER, &[IAM]), (FENCED, &[ALL, NO_VM_DELETE]), (FOREIGN, &[])] {
        let account = if number == FOREIGN { &other } else { &account };
        changes.push(put(&serde_json::json!({"kind": "role", "id": id(5, number), "account": account, "name": "r"})));
        for held in held {
            changes.push(put(&serde_json::json!({"kind": "attachment", "policy": id(4, *held), "role": id(5, number)})));
        }
    }
    changes.push(Change::Put { key: format!("attachment/{}/group/{}", id(4, VM), id(3, UNREAD)), record: "{}".to_owned() });
    let mut roster = Roster::new("e".parse().unwrap(), Arc::new(SealingKey::from_text(&"0a".repeat(32)).unwrap()));
    roster.apply(&changes);
    let snapshot = roster.snapshot(Revision::Store { epoch: 1, sequence: 1 });
    assert_eq!(roster.take_unreadable().len(), 2, "the broken policy and the attachment that says nothing");
    snapshot
}

fn compiled(snapshot: &Snapshot, number: u8, statements: &[&str]) -> Policy {
    let report = Report::new();
    let source = Source::new("policy", document(statements));
    let owner = Owner::account(&id(1, 0));
    Policy::load(&source, &policy(number).to_string(), owner, snapshot.catalogue(), &report).unwrap_or_else(|| panic!("{report}"))
}

/// The message, or nothing.
fn said(result: Result<(), Refusal>) -> String {
    result.err().map(|refusal| refusal.to_string()).unwrap_or_default()
}

fn check(what: &str, result: Result<(), Refusal>, expected: &str) {
    let found = said(result);
    let good = if expected.is_empty() { found.is_empty() } else { found.contains(expected) };
    assert!(good, "{what}: `{found}`, not `{expected}`");
}

const ATTACHES: &str = "allows `iam:Attach`, which your own policies do not allow";
const SHOWS: &str = "allows `vm:ShowServer`, which your own policies do not allow";
const DENIED: &str = "allows `vm:DeleteServer`, which statement 1 of your policy";

#[test]
fn nobody_gives_a_policy_beyond_their_own() {
    let snapshot = world();
    for (caller, policies, expected) in [
        (ROOT, &[ALL, MISSING][..], ""),
        (ADMIN, &[ALL, WRITES, IAM, VM, NO_VM_DELETE, LOOSE], ""),
        (ADMIN, &[VM, MISSING], "is not there or cannot be read"),
        (ADMIN, &[BROKEN], "cannot be read"),
        (WRITER, &[ALL], ATTACHES),
        (WRITER, &[WRITES, VM, IAM_READ, NO_VM_DELETE], ""),
        (WRITER, &[VM, IAM], ATTACHES),
        (DELEGATE, &[IAM, IAM_READ], ""),
        (DELEGATE, &[IAM, VM], SHOWS),
        (DELEGATE, &[ALL], SHOWS),
        (DELEGATE, &[LOOSE], SHOWS),
        (GUARDED, &[ALL], DENIED),
        (GUARDED, &[VM], DENIED),
        (GUARDED, &[IAM, NO_VM_DELETE], ""),
        (MEMBER, &[VM], DENIED),
        (NOBODY, &[NO_VM_DELETE], ""),
        (NOBODY, &[IAM_READ], "allows `iam:ShowUser`"),
        (NAMED, &[IF_NINE], "without the conditions"),
        (GONE, &[], "not active"),
        (MISSING, &[], "not active"),
    ] {
        let policies: Vec<PolicyId> = policies.iter().map(|number| policy(*number)).collect();
        check(&format!("{caller} gives {policies:?}"), may_give(&snapshot, asks(caller), &policies), expected);
    }
    assert_eq!(
        said(may_give(&snapshot, asks(WRITER), &[policy(ALL)])),
        format!("the policy `{}` gives more than you have: statement 1 {ATTACHES}", policy(ALL))
    );
}

#[test]
fn nobody_joins_or_fills_a_group_beyond_their_own() {
    let snapshot = world();
    for (caller, number, expected) in [
        (ROOT, ADMINS, ""),
        (ROOT, UNREAD, ""),
        (ADMIN, ADMINS, ""),
        (ADMIN, UNREAD, "cannot be read"),
        (ADMIN, NO_GROUP, "is not there"),
        (WRITER, ADMINS, ATTACHES),
        (WRITER, READERS, ""),
        (DELEGATE, ADMINS, SHOWS),
        (DELEGATE, READERS, ""),
        (GUARDED, ADMINS, DENIED),
        (NOBODY, GUARDED_ONES, ""),
        (NOBODY, READERS, "allows `iam:ShowUser`"),
    ] {
        check(&format!("{caller} joins {number}"), may_join(&snapshot, asks(caller), group(number)), expected);
    }
}

#[test]
fn nobody_takes_from_themselves_what_denies_them_something() {
    let snapshot = world();
    let (denied, others) = ("denies something to yourself", "denies something to others, who would have more than you without it");
    let by_user = |number| Identity::User(user(number));
    let by_group = |number| Identity::Group(group(number));
    for (caller, number, from, expected) in [
        (GUARDED, NO_VM_DELETE, by_user(GUARDED), denied),
        (GUARDED, ALL, by_user(GUARDED), ""),
        (GUARDED, NO_VM_DELETE, by_user(MEMBER), ""),
        (GUARDED, NO_VM_DELETE, by_group(GUARDED_ONES), others),
        (MEMBER, NO_VM_DELETE, by_group(GUARDED_ONES), denied),
        (MEMBER, NO_VM_DELETE, by_user(GUARDED), others),
        (ADMIN, NO_VM_DELETE, by_user(GUARDED), ""),
        (ROOT, NO_VM_DELETE, by_user(ROOT), ""),
        (NOBODY, NO_VM_DELETE, by_user(GUARDED), others),
        (NOBODY, NO_VM_DELETE, by_user(DELEGATE), ""),
    ] {
        check(&format!("{caller} takes {number}"), may_take(&snapshot, asks(caller), &[policy(IAM), policy(number)], from), expected);
    }
    for (caller, number, expected) in
        [(GUARDED, NO_VM_DELETE, denied), (MEMBER, NO_VM_DELETE, denied), (MEMBER, ALL, ""), (ADMIN, NO_VM_DELETE, ""), (ROOT, ALL, "")]
    {
        check(&format!("{caller} deletes {number}"), may_delete(&snapshot, asks(caller), policy(number)), expected);
    }
    for (caller, number, member, expected) in [
        (MEMBER, GUARDED_ONES, MEMBER, denied),
        (MEMBER, GUARDED_ONES, NOBODY, ""),
        (ADMIN, GUARDED_ONES, MEMBER, ""),
        (ADMIN, GUARDED_ONES, ADMIN, ""),
        (MEMBER, NO_GROUP, MEMBER, ""),
    ] {
        let found = may_leave(&snapshot, asks(caller), group(number), user(member));
        check(&format!("{caller} takes {member} out of {number}"), found, expected);
    }
    let restricting: Vec<u8> = [ADMINS, GUARDED_ONES, READERS, UNREAD].into_iter().filter(|n| restricts(&snapshot, group(*n))).collect();
    assert_eq!(restricting, [GUARDED_ONES, UNREAD]);
}

#[test]
fn nobody_writes_a_policy_in_force_beyond_their_own() {
    let snapshot = world();
    for (caller, number, statements, expected) in [
        (ROOT, IAM, &["*"][..], ""),
        (WRITER, WRITES, &["*"], ATTACHES),
        (WRITER, WRITES, &["*[List,Read]", "iam:Show*"], ""),
        (WRITER, IAM_READ, &["*"], ATTACHES),
        (WRITER, IAM, &["iam:*", "vm:*"], ""),
        (DELEGATE, IAM, &["iam:*", "vm:Show*"], SHOWS),
        // Attached by a record that cannot be read: that is in force too.
        (DELEGATE, VM, &["*"], "is in force, and its new version gives more than the old one and you have: statement 1"),
        (DELEGATE, ALL, &["*"], ""),
        (DELEGATE, LOOSE, &["*"], ""),
        (GUARDED, NO_VM_DELETE, &["*"], DENIED),
        (GUARDED, NO_VM_DELETE, &["-vm:DeleteServer"], "denies something to yourself"),
        (GUARDED, NO_VM_DELETE, &["-vm:*"], ""),
        (DELEGATE, NO_VM_DELETE, &["-vm:DeleteServer"], "denies something to others"),
        (MEMBER, NO_VM_DELETE, &["iam:*"], "denies something to yourself"),
    ] {
        let new = compiled(&snapshot, number, statements);
        let found = may_change(&snapshot, asks(caller), policy(number), &new);
        check(&format!("{caller} changes {number} to {statements:?}"), found, expected);
    }
}

#[test]
fn nobody_acts_for_somebody_with_more() {
    let snapshot = world();
    for (caller, target, expected) in [
        (ROOT, ROOT, ""),
        (ROOT, ADMIN, ""),
        (ROOT, STRANGER, "is not there"),
        (ADMIN, ROOT, "only the root user acts for the root user"),
        (ADMIN, GUARDED, ""),
        (ADMIN, NOBODY, ""),
        (ADMIN, STRANGER, "is not there"),
        (ADMIN, MISSING, "is not there"),
        (WRITER, ADMIN, ATTACHES),
        (WRITER, DELEGATE, ATTACHES),
        (WRITER, WRITER, ""),
        (DELEGATE, ADMIN, SHOWS),
        (DELEGATE, MEMBER, SHOWS),
        (DELEGATE, NAMED, SHOWS),
        (GUARDED, ADMIN, DENIED),
        (GUARDED, GUARDED, ""),
        (GUARDED, DELEGATE, ""),
        (NOBODY, ROOT, "only the root user"),
    ] {
        check(&format!("{caller} acts for {target}"), may_act_for(&snapshot, asks(caller), user(target)), expected);
    }
    for (caller, target, expected) in [
        (ROOT, NAMED, ""),
        (ADMIN, NAMED, "depend on the user's name"),
        (NAMED, NAMED, "depend"),
        (ADMIN, WRITER, ""),
        (ROOT, STRANGER, "is not"),
    ] {
        check(&format!("{caller} renames {target}"), may_rename(&snapshot, asks(caller), user(target)), expected);
    }
}

#[test]
fn nobody_lets_others_take_a_role_beyond_their_own() {
    let snapshot = world();
    for (caller, number, expected) in [
        (ROOT, FENCED, ""),
        (ADMIN, MIGHTY, ""),
        (ADMIN, FOREIGN, "is not there"),
        (ROOT, FOREIGN, "is not there"),
        (ADMIN, NO_ROLE, "is not there"),
        (WRITER, KEEPER, ATTACHES),
        (DELEGATE, KEEPER, ""),
        (DELEGATE, MIGHTY, SHOWS),
        (GUARDED, MIGHTY, DENIED),
        (NOBODY, KEEPER, "the role"),
    ] {
        check(&format!("{caller} lets others take {number}"), may_let_in(&snapshot, asks(caller), role(number)), expected);
    }
    let (others, by_role) = ("denies something to others, who would have more than you without it", Identity::Role(role(FENCED)));
    for (caller, expected) in [(ROOT, ""), (ADMIN, ""), (DELEGATE, others), (GUARDED, others), (NOBODY, others)] {
        check(&format!("{caller} takes from the role"), may_take(&snapshot, asks(caller), &[policy(NO_VM_DELETE)], by_role), expected);
    }
}

#[test]
fn a_role_gives_what_it_has_itself_and_a_narrowed_session_less() {
    let snapshot = world();
    let narrowed = || Some(compiled(&snapshot, 50, &["iam:*"]));
    let circumstances =
        Circumstances { source_ip: None, authentication_type: "RoleSession", mfa: false, now: "2026-11-20T22:00:00Z".parse().unwrap() };
    for (number, session, given, expected) in [
        (MIGHTY, None, ALL, ""),
        (MIGHTY, narrowed(), ALL, SHOWS),
        (MIGHTY, narrowed(), IAM, ""),
        (MIGHTY, Some(Policy::invalid("session")), IAM, "cannot be read"),
        (KEEPER, None, IAM, ""),
        (KEEPER, None, VM, SHOWS),
        (KEEPER, Some(compiled(&snapshot, 50, &["*"])), VM, SHOWS),
        (FENCED, None, VM, DENIED),
        (NO_ROLE, None, IAM, "not active"),
    ] {
        let what = format!("{number} gives {given}");
        check(&what, may_give(&snapshot, by_session(number, session), &[policy(given)]), expected);
    }
    let acts = |session| may_act_for(&snapshot, by_session(MIGHTY, session), user(ADMIN));
    check("acts", acts(None), "");
    check("acts narrowed", acts(narrowed()), SHOWS);
    check("acts for root", may_act_for(&snapshot, by_session(MIGHTY, None), user(ROOT)), "only the root user");
    let changed = compiled(&snapshot, IAM, &["iam:*", "vm:*"]);
    check("changes", may_change(&snapshot, by_session(MIGHTY, None), policy(IAM), &changed), "");
    check("changes narrowed", may_change(&snapshot, by_session(MIGHTY, narrowed()), policy(IAM), &changed), SHOWS);
    let freed = compiled(&snapshot, NO_VM_DELETE, &["-vm:DeleteServer"]);
    let yourself = "denies something to yourself";
    check("frees itself", may_change(&snapshot, by_session(FENCED, None), policy(NO_VM_DELETE), &freed), yourself);
    check("deletes", may_delete(&snapshot, by_session(FENCED, None), policy(NO_VM_DELETE)), yourself);
    let from = Identity::Role(role(FENCED));
    check("takes", may_take(&snapshot, by_session(FENCED, None), &[policy(NO_VM_DELETE)], from), yourself);
    for (session, action, expected) in [
        (None, "vm:ShowServer", ""),
        (narrowed(), "vm:ShowServer", "this also needs `vm:ShowServer`"),
        (narrowed(), "iam:ListUsers", ""),
        (Some(Policy::invalid("session")), "iam:ListUsers", "this also needs"),
    ] {
        let on: &[_] = if action.starts_with("vm") { &[("vm:server", "s")] } else { &[] };
        check(action, is_allowed(&snapshot, by_session(MIGHTY, session), action, on, &circumstances), expected);
    }
}

#[test]
fn what_a_request_does_beside_its_own_action_needs_that_action_too() {
    let snapshot = world();
    let circumstances = Circumstances {
        source_ip: "10.1.2.3".parse().ok(),
        authentication_type: "AuthenticationKey",
        mfa: false,
        now: "2026-11-20T22:00:00Z".parse().unwrap(),
    };
    let (attach, show) = ("this also needs `iam:Attach` on `g1`, which you are not allowed", "`vm:ShowServer` on `s1`, `s2`");
    for (caller, action, resources, expected) in [
        (ROOT, "iam:Attach", &[("iam:group", "g1")][..], ""),
        (ROOT, "iam:Unknown", &[], "this also needs `iam:Unknown`, which you are not allowed"),
        (WRITER, "iam:AddGroupMember", &[("scp-iam:group", "g1")], ""),
        (WRITER, "iam:Attach", &[("iam:group", "g1")], attach),
        (DELEGATE, "iam:Attach", &[("iam:group", "g1")], ""),
        (DELEGATE, "iam:Attach", &[("iam:unknown", "g1")], attach),
        (DELEGATE, "iam:Attach", &[("group", "g1")], attach),
        (DELEGATE, "vm:ShowServer", &[("vm:server", "s1"), ("vm:server", "s2")], show),
        (GUARDED, "vm:DeleteServer", &[("vm:server", "s1")], "`vm:DeleteServer`"),
        (GUARDED, "vm:ShowServer", &[("vm:server", "s1")], ""),
        (DELEGATE, "iam:ListUsers", &[], ""),
        (NAMED, "vm:ShowServer", &[("vm:server", "s1")], "`vm:ShowServer`"),
        (GONE, "iam:ListUsers", &[], "not active"),
    ] {
        let found = is_allowed(&snapshot, asks(caller), action, resources, &circumstances);
        check(&format!("{caller} does {action}"), found, expected);
    }
}
