//! Every route of the API, as it is defined at the gateway, with every credential that must not be enough.

use serde_json::{Value as Json, json};

use portcullis::snapshot::wire::ActionDefinition;
use portcullis::source::{Cursor, Report, Source, yaml};

use super::harness::{Folder, Key};

/// Routes that ask for no credential: exactly these.
const PUBLIC: [&str; 2] = ["GET /", "POST /portcullis/v1/console-tokens"];

/// Routes about which the API decides, after the gateway has found out who calls.
const HANDLED: [&str; 1] = ["POST /v1/assume-role"];

/// A route, called with everything it wants, about things of the first account.
struct Row {
    route: &'static str,
    path: String,
    body: Option<Json>,
    /// What the other account's administrator is told: 403 by the gateway, 404 by the API, or 400 where a body names what does not
    /// exist for them. `None` where nothing of the first account
    /// is named, so that the route is about their own account.
    foreign: Option<u16>,
}

/// What the rows are about.
struct Things {
    account: String,
    user: String,
    user_key: String,
    own_key: String,
    group: String,
    policy: String,
    role: String,
}

/// A user with a key, who may do nothing.
fn newcomer(folder: &Folder, admin: &Key, name: &str) -> (String, Key) {
    let path = format!("/v1/accounts/{}/users", folder.account());
    let made = folder.must(admin, "POST", &path, Some(&json!({"user_name": name, "password": "Correct1horse&"})), 201);
    let user = made.text("/id");
    let made = folder.must(
        admin,
        "POST",
        &format!("/portcullis/v1/users/{user}/access-keys"),
        Some(&json!({"access_key_type": "PERMANENT"})),
        201,
    );
    let key = Key { id: made.text("/access_key/access_key"), secret: made.text("/access_key/secret_key") };
    folder.settle(&key);
    (user, key)
}

fn document() -> Json {
    json!({"Version": "2024-07-01", "Statement": [{"Sid": "a", "Effect": "Allow", "Action": ["iam:ListGroups"], "Resource": ["*"]}]})
}

fn things(folder: &Folder, admin: &Key) -> (Things, Key) {
    let (user, nobody) = newcomer(folder, admin, "nobody");
    let group = folder.must(admin, "POST", "/v1/groups", Some(&json!({"name": "operators", "description": null, "user_ids": [user]})), 201);
    let policy = json!({"policy_name": "looking", "policy_version": {"policy_document": document()}});
    let policy = folder.must(admin, "POST", "/v1/policies", Some(&policy), 201).text("/id");
    let root = format!("srn:e::{}:::scp-iam:user/ROOT", folder.account());
    let role = json!({"name": "looking", "principals": [{"type": "SRN", "value": root}], "policy_ids": [policy]});
    let role = folder.must(admin, "POST", "/v1/roles", Some(&role), 202).text("/role/id");
    let things = Things {
        account: folder.account(),
        user_key: nobody.id.clone(),
        own_key: admin.id.clone(),
        group: group.text("/group/id"),
        user,
        policy,
        role,
    };
    (things, nobody)
}

type Rows = fn(&Things) -> Vec<Row>;

/// All rows. The last ones would take away what the others are about.
fn rows(things: &Things) -> Vec<Row> {
    let parts: [Rows; 7] = [group_rows, policy_rows, role_rows, user_rows, setting_rows, operator_rows, removing_rows];
    parts.iter().flat_map(|part| part(things)).collect()
}

/// Groups, their members and policies.
fn group_rows(things: &Things) -> Vec<Row> {
    let Things { user, group, policy, .. } = things;
    let mut rows = Vec::new();
    let mut row =
        |route: &'static str, path: String, body: Option<Json>, foreign: Option<u16>| rows.push(Row { route, path, body, foreign });
    row("GET /v1/endpoints", "/v1/endpoints".into(), None, None);
    row("GET /v1/groups", "/v1/groups".into(), None, None);
    let theirs = json!({"name": "thieves", "description": null, "user_ids": [user], "policy_ids": [policy]});
    row("POST /v1/groups", "/v1/groups".into(), Some(theirs), Some(400));
    row("GET /v1/groups/{group_id}", format!("/v1/groups/{group}"), None, Some(404));
    row("PUT /v1/groups/{group_id}", format!("/v1/groups/{group}"), Some(json!({"name": "mine", "description": null})), Some(404));
    row("GET /v1/groups/{group_id}/members", format!("/v1/groups/{group}/members"), None, Some(404));
    row("POST /v1/groups/{group_id}/members", format!("/v1/groups/{group}/members"), Some(json!({"user_id": user})), Some(404));
    row("DELETE /v1/groups/{group_id}/members/{user_id}", format!("/v1/groups/{group}/members/{user}"), None, Some(404));
    row("GET /v1/groups/{group_id}/policy-bindings", format!("/v1/groups/{group}/policy-bindings"), None, Some(404));
    let bound = json!({"policy_ids": [policy]});
    row("POST /v1/groups/{group_id}/policy-bindings", format!("/v1/groups/{group}/policy-bindings"), Some(bound.clone()), Some(404));
    row(
        "DELETE /v1/groups/{group_id}/policy-bindings/{policy_id}",
        format!("/v1/groups/{group}/policy-bindings/{policy}"),
        None,
        Some(404),
    );
    rows
}

/// Policies and who has them.
fn policy_rows(things: &Things) -> Vec<Row> {
    let Things { user, group, policy, .. } = things;
    let mut rows = Vec::new();
    let mut row =
        |route: &'static str, path: String, body: Option<Json>, foreign: Option<u16>| rows.push(Row { route, path, body, foreign });
    let documented = json!({"policy_name": "more", "policy_version": {"policy_document": document()}});
    let bound = json!({"policy_ids": [policy]});
    row("GET /v1/policies", "/v1/policies".into(), None, None);
    row("POST /v1/policies", "/v1/policies".into(), Some(documented.clone()), None);
    row("POST /v1/policies/list", "/v1/policies/list".into(), Some(json!({"excluded_policy_ids": []})), None);
    row("DELETE /v1/policies/bulk", "/v1/policies/bulk".into(), Some(json!({"ids": [policy]})), Some(404));
    row("GET /v1/policies/{policy_id}", format!("/v1/policies/{policy}"), None, Some(404));
    row("PUT /v1/policies/{policy_id}", format!("/v1/policies/{policy}"), Some(json!({"policy_name": "mine"})), Some(404));
    row("GET /v1/policies/{policy_id}/bindings", format!("/v1/policies/{policy}/bindings"), None, Some(404));
    let bindings = json!({"identity_type": "GROUP", "add_ids": [group], "remove_ids": []});
    row("PUT /v1/policies/{policy_id}/bindings", format!("/v1/policies/{policy}/bindings"), Some(bindings), Some(404));
    row("GET /v1/users/{user_id}/policy-bindings", format!("/v1/users/{user}/policy-bindings"), None, Some(404));
    row("POST /v1/users/{user_id}/policy-bindings", format!("/v1/users/{user}/policy-bindings"), Some(bound), Some(404));
    row("DELETE /v1/users/{user_id}/policy-bindings/{policy_id}", format!("/v1/users/{user}/policy-bindings/{policy}"), None, Some(404));
    rows
}

/// Roles, and taking one.
fn role_rows(things: &Things) -> Vec<Row> {
    let Things { account, policy, role, .. } = things;
    let mut rows = Vec::new();
    let mut row =
        |route: &'static str, path: String, body: Option<Json>, foreign: Option<u16>| rows.push(Row { route, path, body, foreign });
    let one = format!("/v1/roles/{role}");
    let trust = json!({"Version": "2024-07-01", "Statement": [
        {"Effect": "Allow", "Principal": {"Account": [account]}, "Action": ["sts:AssumeRole"], "Resource": ["*"]},
    ]});
    let theirs = json!({"name": "thief", "assume_role_policy_document": trust, "policy_ids": [policy]});
    let bound = json!({"policy_ids": [policy]});
    row("GET /v1/roles", "/v1/roles".into(), None, None);
    row("POST /v1/roles", "/v1/roles".into(), Some(theirs), Some(400));
    row("DELETE /v1/roles/bulk", "/v1/roles/bulk".into(), Some(json!({"role_names": ["looking"], "role_ids": [role]})), Some(404));
    row("GET /v1/roles/{role_id}", one.clone(), None, Some(404));
    row("PUT /v1/roles/{role_id}", one.clone(), Some(json!({"description": "mine"})), Some(404));
    row("GET /v1/roles/{role_id}/policy-bindings", format!("{one}/policy-bindings"), None, Some(404));
    row("POST /v1/roles/{role_id}/policy-bindings", format!("{one}/policy-bindings"), Some(bound), Some(404));
    row("DELETE /v1/roles/{role_id}/policy-bindings", format!("{one}/policy-bindings"), None, Some(404));
    row("DELETE /v1/roles/{role_id}/policy-bindings/{policy_id}", format!("{one}/policy-bindings/{policy}"), None, Some(404));
    let document = json!({"assume_role_policy_document": trust});
    row("PUT /v1/roles/{role_id}/trust-policy", format!("{one}/trust-policy"), Some(document), Some(404));
    row("DELETE /portcullis/v1/roles/{role_id}/sessions", format!("/portcullis{one}/sessions"), None, Some(404));
    let taken = json!({"role_session_name": "thief", "role_indicator": format!("e:{account}:looking")});
    row("POST /v1/assume-role", "/v1/assume-role".into(), Some(taken), Some(403));
    rows
}

/// Users, and the caller's own keys.
fn user_rows(things: &Things) -> Vec<Row> {
    let Things { account, user, own_key, .. } = things;
    let mut rows = Vec::new();
    let mut row =
        |route: &'static str, path: String, body: Option<Json>, foreign: Option<u16>| rows.push(Row { route, path, body, foreign });
    let users = format!("/v1/accounts/{account}/users");
    let one = format!("{users}/{user}");
    let made = json!({"user_name": "thief", "password": "Correct1horse&"});
    row("GET /v1/accounts/{account_id}/users", users.clone(), None, Some(403));
    row("POST /v1/accounts/{account_id}/users", users.clone(), Some(made), Some(403));
    row("DELETE /v1/accounts/{account_id}/users/bulk", format!("{users}/bulk"), Some(json!({"user_ids": [user]})), Some(403));
    row("GET /v1/accounts/{account_id}/users/{user_id}", one.clone(), None, Some(403));
    row("PUT /v1/accounts/{account_id}/users/{user_id}", one.clone(), Some(json!({"password_reuse_count": 1})), Some(403));
    let password = json!({"password": "Correct2horse&", "temporary_password": true});
    row("PUT /v1/accounts/{account_id}/users/{user_id}/password", format!("{one}/password"), Some(password), Some(403));

    row("GET /v1/access-keys", "/v1/access-keys".into(), None, None);
    row("POST /v1/access-keys", "/v1/access-keys".into(), Some(json!({"access_key_type": "PERMANENT"})), None);
    row("POST /v1/access-keys/send-otp", "/v1/access-keys/send-otp".into(), Some(json!({"locale": "en_US", "method": "EMAIL"})), None);
    row("DELETE /v1/access-keys/bulk", "/v1/access-keys/bulk".into(), Some(json!({"ids": [own_key]})), Some(404));
    row("GET /v1/access-keys/{access_key_id}", format!("/v1/access-keys/{own_key}"), None, Some(404));
    row("PUT /v1/access-keys/{access_key_id}", format!("/v1/access-keys/{own_key}"), Some(json!({"is_enabled": false})), Some(404));
    row("DELETE /v1/access-keys/{access_key_id}", format!("/v1/access-keys/{own_key}"), None, Some(404));
    rows
}

/// Other users' keys, and settings.
fn setting_rows(things: &Things) -> Vec<Row> {
    let Things { account, user, user_key, own_key, .. } = things;
    let mut rows = Vec::new();
    let mut row =
        |route: &'static str, path: String, body: Option<Json>, foreign: Option<u16>| rows.push(Row { route, path, body, foreign });
    let keys = format!("/portcullis/v1/users/{user}/access-keys");
    row("GET /portcullis/v1/users/{user_id}/access-keys", keys.clone(), None, Some(404));
    row("POST /portcullis/v1/users/{user_id}/access-keys", keys.clone(), Some(json!({"access_key_type": "PERMANENT"})), Some(404));
    let template = "PUT /portcullis/v1/users/{user_id}/access-keys/{access_key_id}";
    row(template, format!("{keys}/{user_key}"), Some(json!({"is_enabled": false})), Some(404));
    row("DELETE /portcullis/v1/users/{user_id}/access-keys/{access_key_id}", format!("{keys}/{user_key}"), None, Some(404));
    let template = "PUT /portcullis/v1/users/{user_id}/access-keys/{access_key_id}/debug";
    row(template, format!("{keys}/{user_key}/debug"), Some(json!({"minutes": 5})), Some(404));
    let template = "PUT /portcullis/v1/access-keys/{access_key_id}/debug";
    row(template, format!("/portcullis/v1/access-keys/{own_key}/debug"), Some(json!({"minutes": 5})), Some(404));
    let list = json!({"allowlist_enabled": true, "allowed_addresses": ["192.0.2.1"]});
    for setting in ["key-security", "console-access"] {
        let (show, set) = match setting {
            "key-security" => ("GET /portcullis/v1/users/{user_id}/key-security", "PUT /portcullis/v1/users/{user_id}/key-security"),
            _ => ("GET /portcullis/v1/users/{user_id}/console-access", "PUT /portcullis/v1/users/{user_id}/console-access"),
        };
        row(show, format!("/portcullis/v1/users/{user}/{setting}"), None, Some(404));
        row(set, format!("/portcullis/v1/users/{user}/{setting}"), Some(list.clone()), Some(404));
    }
    let console = format!("/portcullis/v1/accounts/{account}/console-access");
    row("GET /portcullis/v1/accounts/{account_id}/console-access", console.clone(), None, Some(403));
    row("PUT /portcullis/v1/accounts/{account_id}/console-access", console, Some(list), Some(403));
    rows
}

/// Tokens, the log, and what is the operator's.
fn operator_rows(things: &Things) -> Vec<Row> {
    let Things { account, user, .. } = things;
    let mut rows = Vec::new();
    let mut row =
        |route: &'static str, path: String, body: Option<Json>, foreign: Option<u16>| rows.push(Row { route, path, body, foreign });
    row("POST /portcullis/v1/tokens", "/portcullis/v1/tokens".into(), Some(json!({})), None);
    row("DELETE /portcullis/v1/users/{user_id}/tokens", format!("/portcullis/v1/users/{user}/tokens"), None, Some(404));
    let token = format!("/portcullis/v1/users/{user}/tokens/{}", "0".repeat(32));
    row("DELETE /portcullis/v1/users/{user_id}/tokens/{jti}", token, None, Some(404));
    row("GET /portcullis/v1/audit", "/portcullis/v1/audit".into(), None, None);
    row("GET /portcullis/v1/revision", "/portcullis/v1/revision".into(), None, None);
    let accounts = "/portcullis/v1/accounts";
    row("GET /portcullis/v1/accounts", accounts.into(), None, Some(403));
    row("POST /portcullis/v1/accounts", accounts.into(), Some(json!({"name": "x", "administrator": {"user_name": "x"}})), Some(403));
    row("GET /portcullis/v1/accounts/{account_id}", format!("{accounts}/{account}"), None, Some(403));
    row(
        "PUT /portcullis/v1/accounts/{account_id}",
        format!("{accounts}/{account}"),
        Some(json!({"name": "mine", "active": true})),
        Some(403),
    );
    let definitions = "/portcullis/v1/definitions";
    row("GET /portcullis/v1/definitions", definitions.into(), None, Some(403));
    row("GET /portcullis/v1/definitions/{service}", format!("{definitions}/iam"), None, Some(403));
    row(
        "PUT /portcullis/v1/definitions/{service}",
        format!("{definitions}/vm"),
        Some(json!({"document": "x", "accept_widening": true})),
        Some(403),
    );
    row("DELETE /portcullis/v1/definitions/{service}", format!("{definitions}/iam"), None, Some(403));
    rows
}

/// What removes.
fn removing_rows(things: &Things) -> Vec<Row> {
    let Things { account, user, group, policy, role, .. } = things;
    let mut rows = Vec::new();
    let mut row =
        |route: &'static str, path: String, body: Option<Json>, foreign: Option<u16>| rows.push(Row { route, path, body, foreign });
    row("DELETE /v1/policies/{policy_id}", format!("/v1/policies/{policy}"), None, Some(404));
    row("DELETE /v1/accounts/{account_id}/users/{user_id}", format!("/v1/accounts/{account}/users/{user}"), None, Some(403));
    row("DELETE /v1/groups/{group_id}", format!("/v1/groups/{group}"), None, Some(404));
    row("DELETE /v1/roles/{role_id}", format!("/v1/roles/{role}"), None, Some(404));
    rows
}

/// The routes as the gateway has them: each with whether it is public.
fn defined(folder: &Folder, admin: &Key) -> Vec<(String, bool)> {
    let mut routes = Vec::new();
    for service in ["iam", "sts", "portcullis"] {
        let shown = folder.must(admin, "GET", &format!("/portcullis/v1/definitions/{service}"), None, 200);
        let source = Source::new("definition", shown.text("/definition/document"));
        let report = Report::new();
        for document in yaml::parse(&source).unwrap() {
            let definition = ActionDefinition::decode(&Cursor::new(&document, &source, &report)).unwrap_or_else(|| panic!("{report}"));
            for path in definition.paths {
                routes.extend(path.methods.iter().map(|method| (format!("{} {}", method.method, path.template.text), method.public)));
            }
        }
    }
    routes
}

#[test]
fn every_route_refuses_whoever_has_no_right_to_it() {
    let folder = Folder::new();
    let _demo = folder.demo();
    let (admin, other) = (folder.key("ADMIN"), folder.key("OTHER"));
    let (things, nobody) = things(&folder, &admin);
    let rows = rows(&things);

    let mut defined = defined(&folder, &admin);
    defined.sort();
    let public: Vec<&str> = defined.iter().filter(|(_, public)| *public).map(|(route, _)| route.as_str()).collect();
    assert_eq!(public, PUBLIC);
    let mut expected: Vec<&str> = rows.iter().map(|row| row.route).chain(PUBLIC).collect();
    expected.sort_unstable();
    assert_eq!(
        defined.iter().map(|(route, _)| route.as_str()).collect::<Vec<_>>(),
        expected,
        "a route without a row, or a row without a route"
    );

    let ids = [&things.account, &things.user, &things.user_key, &things.own_key, &things.group, &things.policy, &things.role];
    // Several, for a key that fails as often as there are routes is told nothing more.
    let forged = [&admin, &other, &nobody].map(|key| Key { secret: "forged".to_owned(), ..key.clone() });
    for (Row { route, path, body, foreign }, forged) in rows.iter().zip(forged.iter().cycle()) {
        let method = route.split(' ').next().unwrap();
        let call = |key: Option<&Key>| folder.call(key, method, path, body.as_ref());
        let verdict = |key: Option<&Key>| {
            let answer = call(key);
            (answer.status, answer.header("portcullis-reason").unwrap_or_default().to_owned())
        };
        assert_eq!(verdict(None), (401, "no_credential".to_owned()), "{route}");
        assert_eq!(verdict(Some(forged)), (401, "signature_mismatch".to_owned()), "{route}");
        // What the API refuses has no reason of the gateway's.
        let reason = if HANDLED.contains(route) { "allow" } else { "implicit_deny" };
        assert_eq!(verdict(Some(&nobody)), (403, reason.to_owned()), "{route}");
        let answer = call(Some(&other));
        match foreign {
            Some(status) => assert_eq!(answer.status, *status, "{route}: {}", answer.body),
            None => assert!((200..300).contains(&answer.status), "{route}: {}", answer.body),
        }
        if foreign.is_none() {
            for id in ids {
                assert!(!answer.body.contains(id), "{route} shows {id}: {}", answer.body);
            }
        }
    }
    // Nothing of it has happened: everything is still there, and only what the other account did in its own.
    let group = folder.must(&admin, "GET", &format!("/v1/groups/{}", things.group), None, 200);
    assert_eq!((group.text("/group/name"), group.text("/group/members/0/user_id")), ("operators".to_owned(), things.user.clone()));
    folder.must(&admin, "GET", &format!("/v1/policies/{}", things.policy), None, 200);
    let role = folder.must(&admin, "GET", &format!("/v1/roles/{}", things.role), None, 200);
    assert_eq!((role.text("/role/name"), role.text("/role/policies/0/id")), ("looking".to_owned(), things.policy.clone()));
    folder.must(&nobody, "GET", "/v1/groups", None, 403);
}
