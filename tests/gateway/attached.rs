//! Policies of resources: in their own account they suffice, for callers of other accounts they are needed, and their Deny wins.

use super::backend::Backend;
use super::client::{Ask, Who};
use super::harness::{ACCOUNT, ADMIN, OTHER, OTHER_ACCOUNT, READER, Setup, World, text};

const GUEST: Who = Who { key: "60e5700000000000000000000000000a", secret: "guest-secret-000001" };
const GUEST_ID: &str = "60e50000000000000000000000000001";

const ALLOWED: (u16, &str) = (200, "allow");
const NOT_ALLOWED: (u16, &str) = (403, "implicit_deny");
const DENIED: (u16, &str) = (403, "explicit_deny");

/// Things lie in the account that their path names.
const DEFINITIONS: &str = "
kind: scp-iam:action-definition
service: iam
service_type: scp-iam
account: \"path['account'] ?? principal\"
paths:
  /v1/versions:
    get: {authentication: none}
  /{account}/boxes:
    get: {action: iam:ListBoxes, access_level: List}
  /{account}/boxes/{box}:
    get: {action: iam:ShowBox, access_level: Read, resources: [{'iam:box': {resource_id: \"path['box']\"}}]}
    delete: {action: iam:DropBox, access_level: Delete, resources: [{'iam:box': {resource_id: \"path['box']\"}}]}
---
kind: scp-iam:action-definition
service: store
paths:
  /v1/things:
    get: {action: store:ListThings, access_level: List}
";

fn statement(effect: &str, action: &str, users: &[(&str, &str)], resource: &str) -> String {
    let users: Vec<String> = users.iter().map(|(account, user)| format!("\"srn:e::{account}:::scp-iam:user/{user}\"")).collect();
    format!(r#"{{"Effect": "{effect}", "Action": "{action}", "Principal": {{"scp": [{}]}}, "Resource": {resource}}}"#, users.join(", "))
}

fn start(backend: &Backend) -> World {
    let other_id = "07000000000000000000000000000002";
    let admin_id = "ad000000000000000000000000000001";
    let shared = [
        statement("Allow", "iam:Show*", &[(ACCOUNT, GUEST_ID), (OTHER_ACCOUNT, other_id)], r#"["*"]"#),
        statement("Deny", "iam:Drop*", &[(ACCOUNT, admin_id)], r#"["*"]"#),
    ];
    let below = statement("Allow", "iam:Show*", &[(ACCOUNT, GUEST_ID)], r#"["srn:e:::::iam:box/open", "srn:e:::::iam:box/open/a*"]"#);
    let record = |resource: &str, statements: &str| {
        format!(
            "{{kind: resource_policy, resource: 'srn:e::{ACCOUNT}:::iam:box/{resource}', document: '{{\"Version\": \"2024-07-01\", \"Statement\": [{statements}]}}'}}"
        )
    };
    Setup::new()
        .definitions(DEFINITIONS)
        .user("guest", &GUEST, GUEST_ID, ACCOUNT)
        .record(&record("shared", &shared.join(", ")))
        .record(&record("open", &below))
        .start(backend)
}

#[test]
fn a_policy_of_a_resource_counts_for_it_and_for_what_lies_below() {
    let backend = Backend::start();
    let world = start(&backend);
    let target = |id: &str| format!("/{ACCOUNT}/boxes/{id}");
    for (method, id, who, expected) in [
        ("GET", "shared", &GUEST, ALLOWED),
        ("GET", "shared%2Fdeep", &GUEST, ALLOWED),
        ("GET", "sharedx", &GUEST, NOT_ALLOWED),
        ("DELETE", "shared", &GUEST, NOT_ALLOWED),
        ("GET", "open", &GUEST, ALLOWED),
        ("GET", "open%2Fa1%2Fx", &GUEST, ALLOWED),
        ("GET", "open%2Fb", &GUEST, NOT_ALLOWED),
        ("GET", "secret", &GUEST, NOT_ALLOWED),
        // Own policies suffice, and a Deny of the resource wins over them.
        ("GET", "shared", &ADMIN, ALLOWED),
        ("DELETE", "shared", &ADMIN, DENIED),
        ("DELETE", "open", &ADMIN, ALLOWED),
        ("GET", "shared", &READER, ALLOWED),
        // Another account: both must allow.
        ("GET", "shared", &OTHER, ALLOWED),
        ("DELETE", "shared", &OTHER, NOT_ALLOWED),
        ("GET", "open", &OTHER, NOT_ALLOWED),
    ] {
        let answer = world.ask(Ask::new(method, &target(id)).by(who));
        assert_eq!(answer.verdict(), expected, "{method} {id} {}: {}", who.key, answer.text());
    }
    // What no resource stands for belongs to its account alone.
    assert_eq!(world.ask(Ask::get(&format!("/{ACCOUNT}/boxes")).by(&OTHER)).verdict(), NOT_ALLOWED);
    assert_eq!(world.ask(Ask::get(&format!("/{ACCOUNT}/boxes")).by(&ADMIN)).verdict(), ALLOWED);
}

#[test]
fn the_record_names_the_policy_of_the_resource_that_decided() {
    let backend = Backend::start();
    let world = start(&backend);
    let answer = world.ask(Ask::get(&format!("/{ACCOUNT}/boxes/shared")).by(&GUEST));
    let policy = format!("srn:e::{ACCOUNT}:::iam:box/shared");
    assert_eq!(text(&world.record(answer.request_id()), "policy"), Some(&*policy));
    let denied = world.ask(Ask::new("DELETE", &format!("/{ACCOUNT}/boxes/shared")).by(&ADMIN));
    assert_eq!(text(&world.record(denied.request_id()), "policy"), Some(&*policy));
}
