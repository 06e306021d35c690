//! Nobody climbs: a user who may do everything but give rights tries each way up. And no secret stands where it should not.

use std::path::Path;

use serde_json::{Value as Json, json};

use super::harness::{Folder, Key};

const PASSWORD: &str = "Correct1horse&";

fn policy(folder: &Folder, admin: &Key, name: &str, effect: &str, action: &str) -> String {
    let statement = json!({"Sid": "a", "Effect": effect, "Action": [action], "Resource": ["*"]});
    let body = json!({"policy_name": name, "policy_version": {"policy_document": {"Version": "2024-07-01", "Statement": [statement]}}});
    folder.must(admin, "POST", "/v1/policies", Some(&body), 201).text("/id")
}

fn user(folder: &Folder, admin: &Key, name: &str, policies: &[&str]) -> (String, Key) {
    let path = format!("/v1/accounts/{}/users", folder.account());
    let made = folder.must(admin, "POST", &path, Some(&json!({"user_name": name, "password": PASSWORD, "policy_ids": policies})), 201);
    let user = made.text("/id");
    let path = format!("/portcullis/v1/users/{user}/access-keys");
    let made = folder.must(admin, "POST", &path, Some(&json!({"access_key_type": "PERMANENT"})), 201);
    let key = Key { id: made.text("/access_key/access_key"), secret: made.text("/access_key/secret_key") };
    folder.settle(&key);
    (user, key)
}

fn group(folder: &Folder, admin: &Key, name: &str, policy: &str, users: &[&str]) -> String {
    let body = json!({"name": name, "description": null, "policy_ids": [policy], "user_ids": users});
    folder.must(admin, "POST", "/v1/groups", Some(&body), 201).text("/group/id")
}

#[test]
fn whoever_may_not_give_rights_cannot_get_any_by_any_route() {
    let folder = Folder::new();
    let _demo = folder.demo();
    let admin = folder.key("ADMIN");
    let account = folder.account();
    let everything = policy(&folder, &admin, "everything", "Allow", "*");
    let ladder = policy(&folder, &admin, "ladder", "Allow", "*[List,Read,Create,Update,Delete]");
    let fence = policy(&folder, &admin, "fence", "Deny", "iam:ShowRevision");
    let (me, climber) = user(&folder, &admin, "climber", &[&ladder]);
    let (boss, boss_key) = user(&folder, &admin, "boss", &[&everything]);
    let admins = group(&folder, &admin, "admins", &everything, &[&boss]);
    let fenced = group(&folder, &admin, "fenced", &fence, &[&me]);
    let mine = folder.must(&climber, "POST", "/v1/groups", Some(&json!({"name": "mine", "description": null, "user_ids": [me]})), 201);
    let mine = mine.text("/group/id");

    let users = format!("/v1/accounts/{account}/users");
    let person = |more: (&str, Json)| json!({"user_name": "puppet", "password": PASSWORD, more.0: more.1});
    let document = json!({"Version": "2024-07-01", "Statement": [{"Sid": "a", "Effect": "Allow", "Action": ["*"], "Resource": ["*"]}]});
    let key = Some(json!({"access_key_type": "PERMANENT"}));
    let open = json!({"allowlist_enabled": false, "allowed_addresses": []});
    let attempts: Vec<(&str, String, Option<Json>)> = vec![
        // Policies: into a new group, a new user, an old group, oneself.
        ("POST", "/v1/groups".into(), Some(json!({"name": "step", "description": null, "policy_ids": [everything], "user_ids": [me]}))),
        ("POST", users.clone(), Some(person(("policy_ids", json!([everything]))))),
        ("POST", users.clone(), Some(person(("group_ids", json!([admins]))))),
        ("POST", format!("/v1/groups/{mine}/policy-bindings"), Some(json!({"policy_ids": [everything]}))),
        ("POST", format!("/v1/users/{me}/policy-bindings"), Some(json!({"policy_ids": [everything]}))),
        (
            "PUT",
            format!("/v1/policies/{everything}/bindings"),
            Some(json!({"identity_type": "GROUP", "add_ids": [mine], "remove_ids": []})),
        ),
        ("PUT", format!("/v1/policies/{everything}/bindings"), Some(json!({"identity_type": "USER", "add_ids": [me], "remove_ids": []}))),
        // Into a group that has them.
        ("POST", format!("/v1/groups/{admins}/members"), Some(json!({"user_id": me}))),
        // A new meaning for what one has.
        ("POST", "/v1/policies".into(), Some(json!({"policy_name": "mine", "policy_version": {"policy_document": document}}))),
        ("PUT", format!("/v1/policies/{ladder}"), Some(json!({"policy_version": {"policy_document": document}}))),
        // Somebody else's credentials.
        ("POST", format!("/portcullis/v1/users/{boss}/access-keys"), key.clone()),
        ("PUT", format!("/portcullis/v1/users/{boss}/access-keys/{}", boss_key.id), Some(json!({"is_enabled": true}))),
        ("PUT", format!("{users}/{boss}/password"), Some(json!({"password": "Correct3horse&", "temporary_password": false}))),
        ("PUT", format!("/portcullis/v1/users/{boss}/key-security"), Some(open.clone())),
        ("PUT", format!("/portcullis/v1/users/{boss}/console-access"), Some(open.clone())),
        ("PUT", format!("/portcullis/v1/accounts/{account}/console-access"), Some(open)),
        // Out of what denies.
        ("DELETE", format!("/v1/groups/{fenced}/members/{me}"), None),
        ("DELETE", format!("/v1/groups/{fenced}"), None),
        ("DELETE", format!("/v1/groups/{fenced}/policy-bindings/{fence}"), None),
        ("DELETE", format!("/v1/policies/{fence}"), None),
        ("DELETE", "/v1/policies/bulk".into(), Some(json!({"ids": [fence]}))),
        // An account of one's own, and what actions mean.
        ("POST", "/portcullis/v1/accounts".into(), Some(json!({"name": "mine", "administrator": {"user_name": "me"}}))),
        ("PUT", format!("/portcullis/v1/accounts/{account}"), Some(json!({"name": "mine", "active": true}))),
        ("PUT", "/portcullis/v1/definitions/iam".into(), Some(json!({"document": "x", "accept_widening": true}))),
        ("DELETE", "/portcullis/v1/definitions/iam".into(), None),
    ];
    for (method, path, body) in &attempts {
        let answer = folder.call(Some(&climber), method, path, body.as_ref());
        assert_eq!(answer.status, 403, "{method} {path} {body:?}: {}", answer.body);
    }
    // What is theirs they may do: a colleague into a group that gives no more than they have.
    let (colleague, _) = user(&folder, &admin, "colleague", &[]);
    folder.must(&climber, "POST", &format!("/v1/groups/{mine}/members"), Some(&json!({"user_id": colleague})), 200);
    folder.must(&climber, "GET", "/portcullis/v1/revision", None, 403);
    folder.must(&climber, "POST", "/v1/policies", Some(&json!({"policy_name": "x", "policy_version": {"policy_document": document}})), 403);
    // Nor does an administrator take away what denies them something.
    folder.must(&admin, "POST", &format!("/v1/groups/{fenced}/members"), Some(&json!({"user_id": colleague})), 200);
}

#[test]
fn nobody_climbs_by_a_role() {
    let folder = Folder::new();
    let _demo = folder.demo();
    let (admin, account) = (folder.key("ADMIN"), folder.account());
    let everything = policy(&folder, &admin, "everything", "Allow", "*");
    let ladder = policy(&folder, &admin, "ladder", "Allow", "*[List,Read,Create,Update,Delete]");
    let (me, climber) = user(&folder, &admin, "climber", &[&ladder]);
    let role = |who: &str, policies: &[&str]| {
        let principal = json!({"type": "SRN", "value": format!("srn:e::{account}:::scp-iam:{who}")});
        json!({"name": "step", "principals": [principal], "policy_ids": policies})
    };
    let lent = folder.must(&admin, "POST", "/v1/roles", Some(&role("root", &[&everything])), 202).text("/role/id");
    let mine = format!("user/{me}");
    let document = json!({"Version": "2024-07-01", "Statement": [
        {"Effect": "Allow", "Principal": {"Account": [account]}, "Action": ["sts:AssumeRole"], "Resource": ["*"]},
    ]});
    for (method, path, body) in [
        ("POST", "/v1/roles".to_owned(), role(&mine, &[&everything])),
        ("POST", "/v1/roles".to_owned(), role(&mine, &[])),
        ("POST", format!("/v1/roles/{lent}/policy-bindings"), json!({"policy_ids": [everything]})),
        ("PUT", format!("/v1/policies/{everything}/bindings"), json!({"identity_type": "ROLE", "add_ids": [lent], "remove_ids": []})),
        ("PUT", format!("/v1/roles/{lent}/trust-policy"), json!({"assume_role_policy_document": document})),
        // It trusts everybody of the account, and taking it is a right of its own.
        ("POST", "/v1/assume-role".to_owned(), json!({"role_session_name": "me", "role_indicator": format!("e:{account}:step")})),
    ] {
        let answer = folder.call(Some(&climber), method, &path, Some(&body));
        assert_eq!(answer.status, 403, "{method} {path} {body:?}: {}", answer.body);
    }
}

#[test]
fn an_accomplice_with_few_rights_frees_nobody_and_definitions_are_for_who_may_do_everything() {
    let folder = Folder::new();
    let _demo = folder.demo();
    let admin = folder.key("ADMIN");
    let everything = policy(&folder, &admin, "everything", "Allow", "*");
    let document =
        json!({"Version": "2024-07-01", "Statement": [{"Sid": "a", "Effect": "Allow", "Action": ["iam:ListGroups"], "Resource": ["*"]}]});
    let bound = policy(&folder, &admin, "bound", "Deny", "iam:ShowAuditLog");
    let (alice, alice_key) = user(&folder, &admin, "alice", &[&everything, &bound]);
    let statement = json!({"Sid": "a", "Effect": "Allow", "Action": ["iam:RemoveUserPolicyBinding", "iam:SetPolicy"], "Resource": ["*"]});
    let body =
        json!({"policy_name": "strings", "policy_version": {"policy_document": {"Version": "2024-07-01", "Statement": [statement]}}});
    let strings = folder.must(&alice_key, "POST", "/v1/policies", Some(&body), 201).text("/id");
    let (_, puppet) = user(&folder, &alice_key, "puppet", &[&strings]);
    let detached = folder.must(&puppet, "DELETE", &format!("/v1/users/{alice}/policy-bindings/{bound}"), None, 403);
    assert!(detached.body.contains("denies something to others"), "{}", detached.body);
    let body = json!({"policy_version": {"policy_document": document}});
    folder.must(&puppet, "PUT", &format!("/v1/policies/{bound}"), Some(&body), 403);
    folder.must(&alice_key, "GET", "/portcullis/v1/audit", None, 403);
    folder.must(&admin, "DELETE", &format!("/v1/users/{alice}/policy-bindings/{bound}"), None, 204);

    let fresh = json!({"document": "kind: scp-iam:action-definition\nservice: vm\npaths:\n  /v1/vms:\n    get: {action: vm:List, access_level: List}\n", "accept_widening": true});
    let defined = folder.must(&alice_key, "PUT", "/portcullis/v1/definitions/vm", Some(&fresh), 201);
    let bounded = policy(&folder, &admin, "bounded", "Deny", "iam:ShowAuditLog");
    folder.must(&admin, "POST", &format!("/v1/users/{alice}/policy-bindings"), Some(&json!({"policy_ids": [bounded]})), 200);
    let wanted = [format!("Portcullis-Min-Revision: {}", defined.header("portcullis-committed-revision").unwrap())];
    let changed = json!({"document": fresh["document"].as_str().unwrap().replace("vm:List", "vm:ListAll"), "accept_widening": true});
    let refused = folder.call_with(Some(&alice_key), "PUT", "/portcullis/v1/definitions/vm", Some(&changed), &wanted);
    assert!(refused.status == 403 && refused.body.contains("only who may do everything"), "{}", refused.body);
}

fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

#[test]
fn a_secret_is_told_once_and_stands_nowhere() {
    let folder = Folder::new();
    let demo = folder.demo();
    let admin = folder.key("ADMIN");
    let (id, key) = user(&folder, &admin, "keeper", &[]);
    let account = folder.account();
    let trust = json!({"type": "SRN", "value": format!("srn:e::{account}:::scp-iam:root")});
    let role = folder.must(&admin, "POST", "/v1/roles", Some(&json!({"name": "lent", "principals": [trust]})), 202).text("/role/id");
    let taken = json!({"role_session_name": "secret", "role_indicator": format!("e:{account}:lent")});
    let session = folder.must(&admin, "POST", "/v1/assume-role", Some(&taken), 200);
    let session = ["secret_access_key", "session_token"].map(|name| session.text(&format!("/credentials/{name}")));
    let mut seen = String::new();
    for path in [
        format!("/v1/roles/{role}"),
        "/v1/access-keys".to_owned(),
        format!("/v1/access-keys/{}", admin.id),
        format!("/portcullis/v1/users/{id}/access-keys"),
        format!("/v1/accounts/{account}/users"),
        format!("/v1/accounts/{account}/users/{id}"),
        "/portcullis/v1/audit".to_owned(),
        "/portcullis/v1/accounts".to_owned(),
    ] {
        seen.push_str(&folder.must(&admin, "GET", &path, None, 200).body);
    }
    let path = format!("/portcullis/v1/users/{id}/access-keys/{}", key.id);
    seen.push_str(&folder.must(&admin, "PUT", &path, Some(&json!({"is_enabled": false})), 200).body);
    assert!(seen.contains(r#""secret_key":"""#));
    seen.push_str(&folder.metrics());
    let (_, log) = demo.end();
    seen.push_str(&log);

    let mut secrets = vec![key.secret, PASSWORD.to_owned()];
    secrets.extend(session);
    secrets.extend(["ADMIN", "READER", "OTHER"].map(|who| folder.key(who).secret));
    let mut searched = 0;
    let everything = files(folder.path()).into_iter().filter(|path| !path.ends_with("demo.env"));
    for (name, bytes) in everything
        .map(|path| (path.display().to_string(), std::fs::read(&path).unwrap()))
        .chain([("answers, metrics, log".to_owned(), seen.into_bytes())])
    {
        searched += bytes.len();
        for secret in &secrets {
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "a secret stands in {name}");
        }
    }
    assert!(searched > 100_000, "{searched}");
}
