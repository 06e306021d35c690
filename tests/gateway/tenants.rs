//! Tenants: what belongs to one account is out of reach for another, administrators included.

use super::backend::Backend;
use super::client::{Ask, Who};
use super::harness::{ACCOUNT, ADMIN, OTHER, OTHER_ACCOUNT, Setup, World};

const ROOT: Who = Who { key: "4007000000000000000000000000a001", secret: "root-secret-00000001" };
const OTHER_ROOT: Who = Who { key: "4007000000000000000000000000b001", secret: "root-secret-00000002" };

/// Paths that name an account, paths that name a whole SRN, and one where the backend decides.
const DEFINITIONS: &str = "
kind: scp-iam:action-definition
service: iam
service_type: scp-iam
account: \"query['account'] ?? header['X-Owner'] ?? principal\"
paths:
  /v1/versions:
    get: {authentication: none}
  /v1/users/{user_id}:
    get: {action: iam:ShowUser, access_level: Read, resources: [{'iam:user': {resource_id: \"path['user_id']\"}}]}
  /v1/users:
    get: {action: iam:ListUsers, access_level: List}
  /v1/resource-policies/{srn}:
    get: {action: iam:ShowResourcePolicy, access_level: Permission, resources: [{srn: \"base64(path['srn'])\"}]}
  /v1/roles/{role_id}/assume:
    post: {action: iam:AssumeRole, access_level: Permission, decide: backend, resources: [{'iam:role': {resource_id: \"path['role_id']\"}}]}
---
{kind: 'scp-iam:action-definition', service: store, paths: {/v1/things: {get: {action: store:ListThings, access_level: List}}}}
";

fn start(backend: &Backend) -> World {
    let id = |digit: char| format!("4007{}{digit}", "0".repeat(27));
    let mut setup = Setup::new().definitions(DEFINITIONS);
    for (name, who, digit, account) in [("root-a", &ROOT, '1', ACCOUNT), ("root-b", &OTHER_ROOT, '2', OTHER_ACCOUNT)] {
        setup = setup.record(&format!("{{kind: user, id: {}, account: {account}, name: {name}, root: true}}", id(digit)));
        setup = setup.key(who, &id(digit), "");
    }
    setup.start(backend)
}

fn base64(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE.encode(text)
}

#[test]
fn nobody_reaches_the_resources_of_another_account() {
    let backend = Backend::start();
    let world = start(&backend);
    let srn = |account: &str| format!("/v1/resource-policies/{}", base64(&format!("srn:e::{account}:::scp-iam:user/u1")));
    let rows: &[(String, &[&str], &Who, u16)] = &[
        // Who names no account speaks of their own.
        ("/v1/users/u1".into(), &[], &ADMIN, 200),
        ("/v1/users/u1".into(), &[], &OTHER, 200),
        ("/v1/users".into(), &[], &OTHER, 200),
        ("/v1/users/u1".into(), &[], &ROOT, 200),
        // The account stands in the query or in a header.
        (format!("/v1/users/u1?account={ACCOUNT}"), &[], &ADMIN, 200),
        (format!("/v1/users/u1?account={ACCOUNT}"), &[], &ROOT, 200),
        (format!("/v1/users/u1?account={ACCOUNT}"), &[], &OTHER, 403),
        (format!("/v1/users/u1?account={ACCOUNT}"), &[], &OTHER_ROOT, 403),
        (format!("/v1/users?account={ACCOUNT}"), &[], &OTHER, 403),
        (format!("/v1/users?account={ACCOUNT}"), &[], &OTHER_ROOT, 403),
        ("/v1/users/u1".into(), &["X-Owner: f39c460fade34fecb05ede8f904b24b7"], &OTHER, 403),
        ("/v1/users/u1".into(), &["X-Owner: f39c460fade34fecb05ede8f904b24b7"], &ADMIN, 200),
        ("/v1/users/u1?account=".into(), &[], &OTHER, 403),
        (format!("/v1/users/u1?account={}", ACCOUNT.to_uppercase()), &[], &ADMIN, 403),
        // The SRN says whose it is.
        (srn(ACCOUNT), &[], &ADMIN, 200),
        (srn(ACCOUNT), &[], &ROOT, 200),
        (srn(ACCOUNT), &[], &OTHER, 403),
        (srn(ACCOUNT), &[], &OTHER_ROOT, 403),
        (srn(OTHER_ACCOUNT), &[], &OTHER, 200),
        (srn(OTHER_ACCOUNT), &[], &ADMIN, 403),
        (srn(""), &[], &OTHER, 403),
    ];
    for (target, lines, who, status) in rows {
        let ask = lines.iter().fold(Ask::get(target), |ask, line| ask.line(line));
        let before = backend.count();
        let answer = world.ask(ask.by(who));
        let reason = if *status == 200 { "allow" } else { "implicit_deny" };
        assert_eq!(answer.verdict(), (*status, reason), "{target} {lines:?} by {}: {}", who.key, answer.text());
        assert_eq!(backend.count() - before, usize::from(*status == 200));
    }
}

#[test]
fn the_backend_is_told_the_callers_account_and_not_one_the_client_names() {
    let backend = Backend::start();
    let world = start(&backend);
    for (who, account) in [(&ADMIN, ACCOUNT), (&OTHER, OTHER_ACCOUNT)] {
        let ask = Ask::get("/v1/users/u1").line(&format!("Portcullis-Account: {ACCOUNT}")).line("X-Account-Id: x");
        assert_eq!(world.ask(ask.by(who)).status, 200);
        assert_eq!(backend.last().all("portcullis-account"), [account]);
        // Where the backend decides by itself it needs this all the more.
        assert_eq!(world.ask(Ask::new("POST", "/v1/roles/r1/assume").body("").by(who)).status, 200);
        assert_eq!(backend.last().all("portcullis-account"), [account]);
    }
    assert_eq!(world.ask(Ask::new("POST", "/v1/roles/r1/assume").body("").plain()).status, 401);
}

#[test]
fn a_malformed_srn_in_the_path_is_refused() {
    let backend = Backend::start();
    let world = start(&backend);
    for srn in [
        "",
        "x",
        "srn:s::f39c:::scp-iam:user/u1",
        "srn:e::f39c:::nobody:user/u1",
        "srn:e:x:f39c:::scp-iam:user/u1",
        "srn:e::f39c:::scp-iam:user/",
    ] {
        let answer = world.ask(Ask::get(&format!("/v1/resource-policies/{}", base64(srn))).by(&ADMIN));
        // The empty one leaves a trailing slash, which no definition has.
        let expected = if srn.is_empty() { (403, "no_action_definition") } else { (400, "malformed_request") };
        assert_eq!(answer.verdict(), expected, "{srn}");
    }
    let answer = world.ask(Ask::get("/v1/resource-policies/@@").by(&ADMIN));
    assert_eq!((answer.verdict(), backend.count()), ((400, "malformed_request"), 0));
}

/// The example of contracts C6, word for word.
const CONTRACT: &str = "
kind: scp-iam:action-definition
service: iam                     # prefix of action names
service_type: scp-iam            # canonical in SRNs
aliases: [iam]                   # other spellings in SRNs
condition_prefixes: []           # other prefixes of attribute keys
common: false                    # R28: actions allowed in any resource policy
account: \"path['account_id'] ?? principal\"
region: \"host['region'] ?? ''\"
paths:
  /v1/policies/bulk:
    delete:
      action: iam:DeleteBulkPolicy
      access_level: Permission
      authentication: required   # or none
      decide: gateway            # or backend: authenticate only, the backend authorises (assume-role)
      resources: [{\"iam:policy\": {resource_id: \"body['ids'][*]\"}}]
      request_tags: \"body['tags']\"
  /v1/resource-policies/{srn}:
    get: {action: iam:ShowResourcePolicy, access_level: Permission, resources: [{srn: \"base64(path['srn'])\"}]}
";

#[test]
fn the_definition_of_the_contract_loads_and_the_path_names_the_account() {
    let backend = Backend::start();
    let more = "  /v1/versions:
    get: {authentication: none}
  /v1/accounts/{account_id}/users/{user_id}:
    get: {action: iam:ShowUser, access_level: Read, resources: [{'iam:user': {resource_id: \"path['user_id']\"}}]}
---
{kind: 'scp-iam:action-definition', service: store, paths: {/v1/things: {get: {action: store:ListThings, access_level: List}}}}
";
    let world = Setup::new().definitions(&format!("{CONTRACT}{more}")).start(&backend);
    for (account, who, status) in
        [(ACCOUNT, &ADMIN, 200), (ACCOUNT, &OTHER, 403), (OTHER_ACCOUNT, &OTHER, 200), (OTHER_ACCOUNT, &ADMIN, 403)]
    {
        let answer = world.ask(Ask::get(&format!("/v1/accounts/{account}/users/u1")).by(who));
        assert_eq!(answer.status, status, "{account} by {}", who.key);
    }
}
