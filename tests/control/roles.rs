//! Roles: every operation, its exact shape, who may take them, and what nobody gets by them that they do not have.

use serde_json::{Value as Json, json};

use super::harness::{Answer, Control, IDENTITY_KEY, NOW, NOW_MS, Request, Who, members};
use super::policies::{create as create_policy, details};

const MEMBERS: [&str; 16] = [
    "account_id",
    "assume_role_policy_document",
    "created_at",
    "created_by",
    "creator_email",
    "creator_name",
    "description",
    "id",
    "max_session_duration",
    "modified_at",
    "modified_by",
    "modifier_email",
    "modifier_name",
    "name",
    "policies",
    "type",
];

/// A trust policy of one statement for these principals.
pub(crate) fn trust(principals: &[&str]) -> Json {
    json!({"Version": "2024-07-01", "Statement": [{
        "Sid": "statement1", "Effect": "Allow", "Principal": {"scp": principals}, "Action": ["sts:AssumeRole"], "Resource": ["*"],
    }]})
}

/// The whole account, as trust policies name it.
pub(crate) fn everybody(account: &str) -> String {
    format!("srn:e::{account}:::scp-iam:root")
}

/// A new role.
pub(crate) async fn create(control: &Control, who: &Who, name: &str, trusted: &[&str], policies: &[&str]) -> String {
    let body = json!({"name": name, "assume_role_policy_document": trust(trusted), "policy_ids": policies});
    control.call(who, "POST", "/v1/roles", Some(body)).await.json(202)["role"]["id"].as_str().unwrap().to_owned()
}

/// A policy of one statement on everything.
pub(crate) async fn policy(control: &Control, who: &Who, name: &str, effect: &str, actions: &[&str]) -> String {
    let statement = json!({"Effect": effect, "Action": actions, "Resource": ["*"]});
    let document = json!({"Version": "2024-07-01", "Statement": [statement]});
    let body = json!({"policy_name": name, "policy_version": {"policy_document": document}});
    control.call(who, "POST", "/v1/policies", Some(body)).await.json(201)["id"].as_str().unwrap().to_owned()
}

/// A new user of the account with these policies.
pub(crate) async fn user(control: &Control, root: &Who, name: &str, policies: &[&str]) -> Who {
    let body = json!({"user_name": name, "password": "Gu3st&nobody", "policy_ids": policies});
    let made = control.call(root, "POST", &format!("/v1/accounts/{}/users", root.account), Some(body)).await;
    keyed(control, root, Who::new(&root.account, made.json(201)["id"].as_str().unwrap())).await
}

/// The same with an access key, which `root` makes.
pub(crate) async fn keyed(control: &Control, root: &Who, who: Who) -> Who {
    let target = format!("/portcullis/v1/users/{}/access-keys", who.srn.rsplit_once('/').unwrap().1);
    let made = control.call(root, "POST", &target, Some(json!({"access_key_type": "PERMANENT"}))).await;
    Who { key: made.json(201)["access_key"]["access_key"].as_str().unwrap().to_owned(), ..who }
}

#[tokio::test]
async fn a_role_is_made_shown_changed_and_removed() {
    let control = Control::start().await;
    let root = control.root();
    let (account, user) = (root.account.clone(), control.first.root.to_string());
    let policy = create_policy(&control, &root, "operating").await;
    let body = json!({
        "name": "deploy@ci", "description": "releases", "account_id": account, "max_session_duration": 7200, "policy_ids": [policy],
        "assume_role_policy_document": {"Version": "2024-07-01", "Statement": {
            "Effect": "Allow", "Principal": {"scp": everybody(&account)}, "Action": "sts:AssumeRole", "Resource": [], "Condition": null,
        }},
        "tags": [{"key": "team", "value": "ops"}], "role_type": "USER_DEFINED",
    });
    let made = control.call(&root, "POST", "/v1/roles", Some(body)).await;
    assert_eq!(members(&made.json(202)), ["role"]);
    let role = made.json(202)["role"].clone();
    let id = role["id"].as_str().unwrap().to_owned();
    assert_eq!(members(&role), MEMBERS);
    let shown_policy = control.call(&root, "GET", &format!("/v1/policies/{policy}"), None).await.json(200);
    assert_eq!(
        role,
        json!({
            "account_id": account, "created_at": NOW, "created_by": user, "creator_email": null, "creator_name": "root",
            "assume_role_policy_document": {"Version": "2024-07-01", "Statement": [{
                "Effect": "Allow", "Principal": {"scp": [everybody(&account)]}, "Action": ["sts:AssumeRole"], "Resource": [],
            }]},
            "description": "releases", "id": id, "max_session_duration": 7200, "modified_at": NOW, "modified_by": user,
            "modifier_email": null, "modifier_name": "root", "name": "deploy@ci", "policies": [shown_policy], "type": "USER_DEFINED",
        })
    );
    let revision = format!("{}.{}", control.store.epoch(), *control.store.head().borrow());
    assert_eq!(made.header("Portcullis-Committed-Revision"), Some(&*revision));
    assert_eq!(made.header("ETag"), Some(&*format!("\"{revision}\"")));
    let mut records = control.record_keys("role/").await;
    records.extend(control.record_keys("attachment/").await.into_iter().filter(|key| key.contains("/role/")));
    assert_eq!(records, [format!("role/{id}"), format!("attachment/{policy}/role/{id}")]);

    let target = format!("/v1/roles/{id}");
    let shown = control.call(&root, "GET", &target, None).await;
    assert_eq!((shown.json(200)["role"].clone(), shown.header("ETag")), (role.clone(), made.header("ETag")));
    let set = control.call(&root, "PUT", &target, Some(json!({"max_session_duration": 43200}))).await;
    assert_eq!(
        (&set.json(200)["role"]["max_session_duration"], &set.json(200)["role"]["description"]),
        (&json!(43200), &json!("releases"))
    );
    let set = control.call(&root, "PUT", &target, Some(json!({"description": null, "max_session_duration": null}))).await;
    assert_eq!((&set.json(200)["role"]["max_session_duration"], &set.json(200)["role"]["description"]), (&json!(43200), &Json::Null));
    let stale =
        Request::new(&root, "PUT", &target).header("If-Match", made.header("ETag").unwrap()).body(Some(json!({"description": "x"})));
    assert_eq!(control.send(stale).await.error(412).0, "PreconditionFailed");
    let other = trust(&[&root.srn]);
    let trusted = json!({"assume_role_policy_document": other});
    let set = control.call(&root, "PUT", &format!("{target}/trust-policy"), Some(trusted)).await;
    assert_eq!(set.json(200)["role"]["assume_role_policy_document"], other);

    let gone = control.call(&root, "DELETE", &target, None).await;
    assert_eq!((gone.status, gone.body.as_str()), (204, ""));
    assert_eq!(
        control.call(&root, "GET", &target, None).await.error(404),
        ("NotFound".to_owned(), json!(format!("there is no role `{id}`")))
    );
    assert!(control.records().await.iter().all(|(key, _)| !key.contains("role")));
    let again = create(&control, &root, "deploy@ci", &[&root.srn], &[]).await;
    assert_ne!(again, id, "an id is never used again");
}

#[tokio::test]
async fn principals_are_a_shorter_way_to_say_who_may_take_a_role() {
    let control = Control::start().await;
    let root = control.root();
    let principals = json!([{"type": "SRN", "value": root.srn}, {"type": "SRN", "value": everybody(&root.account)}]);
    let body = json!({"name": "short", "principals": principals, "assume_role_policy_document": null, "types": "USER_DEFINED"});
    let made = control.call(&root, "POST", "/v1/roles", Some(body)).await.json(202);
    assert_eq!(made["role"]["assume_role_policy_document"], trust(&[&root.srn, &everybody(&root.account)]));
    assert_eq!(made["role"]["max_session_duration"], 3600);
}

#[tokio::test]
async fn roles_are_listed_by_page_name_and_policy() {
    let control = Control::start().await;
    let (root, other) = (control.root(), control.other_account().await);
    let policy = create_policy(&control, &root, "operating").await;
    let one = create(&control, &root, "deploy", &[&root.srn], &[&policy]).await;
    let two = create(&control, &root, "audit", &[&root.srn], &[]).await;
    create(&control, &other, "deploy", &[&other.srn], &[]).await;
    let account = &root.account;
    for (query, expected) in [
        ("?sort=name", vec![&two, &one]),
        ("?sort=name&size=1&page=1", vec![&one]),
        ("?name=plo", vec![&one]),
        ("?types=USER_DEFINED&sort=name:desc", vec![&one, &two]),
        ("?types=SERVICE", vec![]),
        (&format!("?exclude_policy_id={policy}"), vec![&two]),
        (&format!("?account_id={account}&name=audit"), vec![&two]),
    ] {
        let page = control.call(&root, "GET", &format!("/v1/roles{query}"), None).await.json(200);
        assert_eq!(members(&page), ["count", "page", "roles", "size", "sort"]);
        let ids: Vec<&str> = page["roles"].as_array().unwrap().iter().map(|role| role["id"].as_str().unwrap()).collect();
        assert_eq!(ids, expected, "{query}");
        assert!(page["roles"].as_array().unwrap().iter().all(|role| members(role) == MEMBERS && role["policies"].is_null()));
    }
    assert_eq!(control.call(&root, "GET", &format!("/v1/roles?account_id={}", other.account), None).await.error(404).0, "NotFound");
}

#[tokio::test]
async fn a_role_gets_and_loses_policies_from_either_side() {
    let control = Control::start().await;
    let root = control.root();
    let mut ids = Vec::new();
    for name in ["one-policy", "two-policy", "three-policy"] {
        ids.push(create_policy(&control, &root, name).await);
    }
    let role = create(&control, &root, "deploy", &[&root.srn], &[]).await;
    let bindings = format!("/v1/roles/{role}/policy-bindings");
    let held = async || {
        let held = control.call(&root, "GET", &format!("{bindings}?sort=policy_name"), None).await.json(200);
        assert_eq!(members(&held), ["policies"]);
        held["policies"].as_array().unwrap().iter().map(|policy| policy["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let added = control.call(&root, "POST", &bindings, Some(json!({"policy_ids": [ids[0], ids[1]]}))).await.json(200);
    assert_eq!((members(&added), added["policies"].as_array().unwrap().len()), (vec!["policies".to_owned()], 2));
    let given = json!({"identity_type": "ROLE", "add_ids": [role], "remove_ids": []});
    let page = control.call(&root, "PUT", &format!("/v1/policies/{}/bindings", ids[2]), Some(given)).await.json(200);
    assert_eq!((&page["count"], &page["roles"][0]["id"], &page["roles"][0]["name"]), (&json!(1), &json!(role), &json!("deploy")));
    assert_eq!(page["roles"][0]["srn"], format!("srn:e::{}:::iam:role/{role}", root.account));
    let found = control.call(&root, "GET", &format!("/v1/policies/{}/bindings?identity_type=ROLE&name=dep", ids[0]), None).await.json(200);
    assert_eq!((&found["count"], &found["roles"][0]["id"], &found["users"]), (&json!(1), &json!(role), &json!([])));
    assert_eq!(held().await, [ids[0].clone(), ids[2].clone(), ids[1].clone()]);
    let by_name = control.call(&root, "GET", &format!("{bindings}?policy_name=two"), None).await.json(200);
    assert_eq!(by_name["policies"][0]["id"], json!(ids[1]));

    let in_use = control.call(&root, "DELETE", &format!("/v1/policies/{}", ids[0]), None).await.error(409);
    assert_eq!(in_use.1, "the policy `one-policy` is attached to the role `deploy`; detach it first");
    assert_eq!(control.call(&root, "DELETE", &format!("{bindings}/{}", ids[0]), None).await.status, 204);
    assert_eq!(control.call(&root, "DELETE", &format!("{bindings}/{}", ids[0]), None).await.error(404).0, "NotFound");
    assert_eq!(control.call(&root, "DELETE", &bindings, Some(json!({"policy_ids": [ids[1], ids[0]]}))).await.status, 204);
    assert_eq!(held().await, [ids[2].clone()]);
    assert_eq!(control.call(&root, "DELETE", &bindings, None).await.status, 204);
    assert_eq!(held().await, [""; 0]);
    assert!(control.record_keys("attachment/").await.iter().all(|key| !key.contains("/role/")));
}

#[tokio::test]
async fn what_belongs_to_another_account_is_no_role_here() {
    let control = Control::start().await;
    let (root, other) = (control.root(), control.other_account().await);
    let (policy, theirs) = (create_policy(&control, &root, "ours").await, create_policy(&control, &other, "theirs").await);
    let role = create(&control, &other, "deploy", &[&other.srn], &[]).await;
    let ours = create(&control, &root, "deploy", &[&root.srn], &[]).await;
    let head = *control.store.head().borrow();
    let target = format!("/v1/roles/{role}");
    let document = json!({"assume_role_policy_document": trust(&[&root.srn])});
    for (method, target, body) in [
        ("GET", target.clone(), None),
        ("PUT", target.clone(), Some(json!({"description": "x"}))),
        ("DELETE", target.clone(), None),
        ("PUT", format!("{target}/trust-policy"), Some(document)),
        ("GET", format!("{target}/policy-bindings"), None),
        ("POST", format!("{target}/policy-bindings"), Some(json!({"policy_ids": [policy]}))),
        ("DELETE", format!("{target}/policy-bindings"), None),
        ("DELETE", format!("{target}/policy-bindings/{theirs}"), None),
        ("DELETE", "/v1/roles/bulk".to_owned(), Some(json!({"role_ids": [ours, role]}))),
        ("DELETE", "/v1/roles/bulk".to_owned(), Some(json!({"role_names": ["deploy"], "account_id": other.account}))),
        ("DELETE", format!("/portcullis{target}/sessions"), None),
    ] {
        assert_eq!(control.call(&root, method, &target, body).await.error(404).0, "NotFound", "{method} {target}");
    }
    for (method, target, body) in [
        ("POST", "/v1/roles".to_owned(), json!({"name": "x", "principals": [{"type": "SRN", "value": root.srn}], "policy_ids": [theirs]})),
        ("PUT", format!("/v1/policies/{policy}/bindings"), json!({"identity_type": "ROLE", "add_ids": [role]})),
    ] {
        assert_eq!(details(control.call(&root, method, &target, Some(body)).await.error(400)).len(), 1);
    }
    assert_eq!(*control.store.head().borrow(), head);
}

#[tokio::test]
async fn several_roles_are_removed_or_none() {
    let control = Control::start().await;
    let root = control.root();
    let one = create(&control, &root, "one", &[&root.srn], &[]).await;
    let two = create(&control, &root, "two", &[&root.srn], &[]).await;
    let bulk = async |body: Json| control.call(&root, "DELETE", "/v1/roles/bulk", Some(body)).await;
    assert_eq!(bulk(json!({"role_names": ["one", "three"]})).await.error(404).1, "there is no role `three`");
    assert_eq!(control.record_keys("role/").await.len(), 2);
    assert_eq!(bulk(json!({"role_names": ["one"], "role_ids": [one, two], "account_id": root.account})).await.status, 204);
    assert_eq!(control.record_keys("role/").await, [""; 0]);
}

#[tokio::test]
async fn bodies_say_who_may_take_a_role_and_for_how_long() {
    let control = Control::start().await;
    let root = control.root();
    create(&control, &root, "taken", &[&root.srn], &[]).await;
    let many: Vec<Json> = (0..21).map(|number| json!(format!("srn:e::{}:::scp-iam:user/{number}", root.account))).collect();
    let statement = |names: &[Json]| json!({"Effect": "Allow", "Principal": {"scp": names}, "Action": "sts:AssumeRole", "Resource": "*"});
    let document = |statements: Json| json!({"Version": "2024-07-01", "Statement": statements});
    let mut found = Vec::new();
    for body in [
        json!({}),
        json!({"name": "역할", "max_session_duration": 3599, "assume_role_policy_document": {"Version": "2024-07-01", "Statement": []}}),
        json!({"name": "x", "max_session_duration": 43201, "role_type": "SERVICE", "assume_role_policy_document": trust(&["srn:e::1:::iam:group/x"])}),
        json!({"name": "x", "assume_role_policy_document": trust(&["*"])}),
        json!({"name": "x", "assume_role_policy_document": document(json!([{"Effect": "Allow", "Action": "*", "Resource": "*"}]))}),
        json!({"name": "x", "assume_role_policy_document": document(json!([statement(&many)]))}),
        json!({"name": "x", "assume_role_policy_document": document(json!([statement(&many[..10]), statement(&many[10..])]))}),
        json!({"name": "x", "assume_role_policy_document": document(json!([{"Sid": "s".repeat(9000), "Effect": "Allow",
            "Principal": {"Account": root.account}, "Action": "sts:AssumeRole", "Resource": "*"}]))}),
        json!({"name": "x", "principals": []}),
        json!({"name": "x", "principals": [{"type": "ACCOUNT", "value": "x"}, {"type": "SRN"}]}),
        json!({"name": "x", "principals": [{"type": "SRN", "value": "srn:e::1:::iam:group/x"}]}),
        json!({"name": "x", "principals": [{"type": "SRN", "value": root.srn}], "assume_role_policy_document": trust(&[&root.srn])}),
    ] {
        found.push(details(control.call(&root, "POST", "/v1/roles", Some(body)).await.error(400)));
    }
    found.push(details(control.call(&root, "DELETE", "/v1/roles/bulk", Some(json!({"role_names": []}))).await.error(400)));
    insta::assert_debug_snapshot!("role_bodies", found);
    let again = json!({"name": "taken", "assume_role_policy_document": trust(&[&root.srn])});
    assert_eq!(control.call(&root, "POST", "/v1/roles", Some(again)).await.error(409).1, "there is a role named `taken` already");
}

#[tokio::test]
async fn nobody_gives_a_role_more_than_they_have_nor_lets_others_take_more() {
    let control = Control::start().await;
    let root = control.root();
    let delegate = policy(&control, &root, "delegate", "Allow", &["iam:*", "sts:*"]).await;
    let maker = policy(&control, &root, "maker", "Allow", &["iam:CreateRole", "iam:DeleteBulkRole"]).await;
    let everything = policy(&control, &root, "everything", "Allow", &["*"]).await;
    let (delegate, maker) = (user(&control, &root, "delegate", &[&delegate]).await, user(&control, &root, "maker", &[&maker]).await);
    let powerful = create(&control, &root, "powerful", &[&root.srn], &[&everything]).await;
    let harmless = create(&control, &root, "harmless", &[&root.srn], &[]).await;
    let head = *control.store.head().borrow();
    let refused = async |who: &Who, method: &str, target: &str, body: Json, part: &str| {
        let (code, detail) = control.call(who, method, target, Some(body)).await.error(403);
        assert_eq!(code, "Forbidden");
        assert!(detail.as_str().unwrap().contains(part), "{method} {target}: {detail}");
    };
    let new = |more: Json| json!({"name": "new", "assume_role_policy_document": trust(&[&delegate.srn]), "policy_ids": more});
    refused(&delegate, "POST", "/v1/roles", new(json!([everything])), "gives more than you have").await;
    let give = json!({"policy_ids": [everything]});
    refused(&delegate, "POST", &format!("/v1/roles/{harmless}/policy-bindings"), give, "gives more than you have").await;
    let trusted = json!({"assume_role_policy_document": trust(&[&delegate.srn])});
    let target = format!("/v1/roles/{powerful}/trust-policy");
    refused(&delegate, "PUT", &target, trusted.clone(), &format!("the role `{powerful}` may do more than you")).await;
    // What making or removing a role does beside that is an action of its own.
    refused(&maker, "POST", "/v1/roles", new(json!([])), "this also needs `iam:SetRoleTrustPolicy`").await;
    refused(&maker, "DELETE", "/v1/roles/bulk", json!({"role_names": ["harmless"]}), "this also needs `iam:DeleteRole`").await;
    assert_eq!(*control.store.head().borrow(), head);
    assert_eq!(control.call(&delegate, "PUT", &format!("/v1/roles/{harmless}/trust-policy"), Some(trusted)).await.status, 200);
    assert_eq!(control.call(&delegate, "POST", "/v1/roles", Some(new(json!([])))).await.status, 202);
    // Who may remove a role may do so whatever it has: nobody gains by that.
    assert_eq!(control.call(&delegate, "DELETE", &format!("/v1/roles/{powerful}"), None).await.status, 204);
}

#[tokio::test]
async fn a_deny_of_a_role_is_taken_away_only_by_who_has_as_much() {
    let control = Control::start().await;
    let root = control.root();
    let (everything, iam) =
        (policy(&control, &root, "all", "Allow", &["*"]).await, policy(&control, &root, "iam", "Allow", &["iam:*"]).await);
    let fence = policy(&control, &root, "fence", "Deny", &["iam:DeleteUser"]).await;
    let delegate = user(&control, &root, "delegate", &[&iam]).await;
    let role = create(&control, &root, "fenced", &[&root.srn], &[&everything, &fence]).await;
    let bindings = format!("/v1/roles/{role}/policy-bindings");
    for (method, target, body) in [
        ("DELETE", format!("{bindings}/{fence}"), None),
        ("DELETE", bindings.clone(), None),
        ("PUT", format!("/v1/policies/{fence}/bindings"), Some(json!({"identity_type": "ROLE", "remove_ids": [role]}))),
    ] {
        let (_, detail) = control.call(&delegate, method, &target, body).await.error(403);
        assert!(detail.as_str().unwrap().contains("denies something to others"), "{method} {target}: {detail}");
    }
    assert_eq!(control.call(&control.admin(), "DELETE", &format!("{bindings}/{fence}"), None).await.status, 204);
}

#[tokio::test]
async fn whoever_acts_for_somebody_could_take_the_roles_that_trust_them_by_name() {
    let control = Control::start().await;
    let (root, other) = (control.root(), control.other_account().await);
    let account = root.account.clone();
    let (iam, everything) =
        (policy(&control, &root, "iam", "Allow", &["iam:*", "sts:*"]).await, policy(&control, &root, "everything", "Allow", &["*"]).await);
    let helpdesk = user(&control, &root, "helpdesk", &[&iam]).await;
    let (named, chained, abroad, free) = (
        user(&control, &root, "named", &[]).await,
        user(&control, &root, "chained", &[]).await,
        user(&control, &root, "abroad", &[]).await,
        user(&control, &root, "free", &[]).await,
    );
    let srn = |role: &str| format!("srn:e::{account}:::scp-iam:role/{role}");
    let step = create(&control, &root, "step", &[&chained.srn], &[]).await;
    let mighty = create(&control, &root, "mighty", &[&named.srn, &srn(&step)], &[&everything]).await;
    create(&control, &other, "theirs", &[&abroad.srn], &[]).await;
    create(&control, &root, "everybodys", &[&everybody(&account)], &[&everything]).await;
    let id = |who: &Who| who.srn.rsplit_once('/').unwrap().1.to_owned();
    let more = format!("the role `{mighty}` may do more than you");
    for (who, expected) in [(&named, Some(&more)), (&chained, Some(&more)), (&abroad, None), (&free, None)] {
        for (method, target, body) in [
            ("PUT", format!("/v1/accounts/{account}/users/{}/password", id(who)), json!({"password": "An0th&r-one"})),
            ("PUT", format!("/v1/accounts/{account}/users/{}", id(who)), json!({"password_reuse_count": 1, "email": "a@b.test"})),
            ("POST", format!("/portcullis/v1/users/{}/access-keys", id(who)), json!({"access_key_type": "PERMANENT"})),
            ("PUT", format!("/portcullis/v1/users/{}/key-security", id(who)), json!({"allowlist_enabled": false, "allowed_addresses": []})),
            (
                "PUT",
                format!("/portcullis/v1/users/{}/console-access", id(who)),
                json!({"allowlist_enabled": false, "allowed_addresses": []}),
            ),
        ] {
            let answer = control.call(&helpdesk, method, &target, Some(body)).await;
            match expected {
                None => assert!((200..300).contains(&answer.status), "{method} {target}: {}", answer.body),
                Some(part) => {
                    let (_, detail) = answer.error(403);
                    assert!(detail.as_str().unwrap().contains(part), "{method} {target}: {detail}");
                }
            }
        }
    }
    // Nor by letting oneself into a role that another one trusts.
    let trusted = Some(json!({"assume_role_policy_document": trust(&[&helpdesk.srn])}));
    let target = format!("/v1/roles/{step}/trust-policy");
    let (_, detail) = control.call(&helpdesk, "PUT", &target, trusted.clone()).await.error(403);
    assert!(detail.as_str().unwrap().contains(&more), "{detail}");
    let admin = control.admin();
    assert_eq!(control.call(&admin, "PUT", &target, trusted.clone()).await.status, 200);
    for who in [&named, &abroad] {
        let target = format!("/v1/accounts/{account}/users/{}/password", id(who));
        assert_eq!(control.call(&admin, "PUT", &target, Some(json!({"password": "An0th&r-three"}))).await.status, 204);
    }
    // Who is trusted no more may be acted for again.
    assert_eq!(control.call(&admin, "PUT", &format!("/v1/roles/{mighty}/trust-policy"), trusted).await.status, 200);
    let target = format!("/v1/accounts/{account}/users/{}/password", id(&named));
    assert_eq!(control.call(&helpdesk, "PUT", &target, Some(json!({"password": "An0th&r-two"}))).await.status, 204);
}

#[tokio::test]
async fn whoever_acts_for_somebody_could_take_the_roles_that_tell_people_of_an_account_apart() {
    let control = Control::start().await;
    let (root, admin) = (control.root(), control.admin());
    let account = root.account.clone();
    let (iam, everything) =
        (policy(&control, &root, "iam", "Allow", &["iam:*", "sts:*"]).await, policy(&control, &root, "everything", "Allow", &["*"]).await);
    let (helpdesk, free) = (user(&control, &root, "helpdesk", &[&iam]).await, user(&control, &root, "free", &[]).await);
    let mighty = create(&control, &root, "mighty", &[&root.srn], &[&everything]).await;
    let id = free.srn.rsplit_once('/').unwrap().1;
    let more = format!("the role `{mighty}` may do more than you");
    let target = format!("/v1/accounts/{account}/users/{id}/password");
    let told_apart = |statements: Json| json!({"assume_role_policy_document": {"Version": "2024-07-01", "Statement": statements}});
    let everybody = |more: Json| {
        let mut statement =
            json!({"Effect": "Allow", "Principal": {"Account": [account]}, "Action": ["sts:AssumeRole"], "Resource": ["*"]});
        statement.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
        statement
    };
    let by_name = everybody(json!({"Condition": {"StringLike": {"SCP:username": ["ops-*"]}}}));
    let by_id = everybody(json!({"Condition": {"StringEquals": {"scp:UserId": [id]}}}));
    let mut denied = everybody(json!({"Effect": "Deny"}));
    denied["Principal"] = json!({"scp": [helpdesk.srn]});
    for (number, statements) in [json!([by_name]), json!([by_id]), json!([everybody(json!({})), denied])].into_iter().enumerate() {
        let trust = format!("/v1/roles/{mighty}/trust-policy");
        assert_eq!(control.call(&admin, "PUT", &trust, Some(told_apart(statements.clone()))).await.status, 200, "{statements}");
        let (_, detail) = control.call(&helpdesk, "PUT", &target, Some(json!({"password": "An0th&r-four"}))).await.error(403);
        assert!(detail.as_str().unwrap().contains(&more), "{statements}: {detail}");
        let everybody = told_apart(json!([everybody(json!({}))]));
        assert_eq!(control.call(&admin, "PUT", &trust, Some(everybody)).await.status, 200);
        let password = format!("An0th&r-{number}x");
        assert_eq!(control.call(&helpdesk, "PUT", &target, Some(json!({"password": password}))).await.status, 204);
    }
}

#[tokio::test]
async fn an_account_has_so_many_roles() {
    let control = Control::start().await;
    let root = control.root();
    create(&control, &root, "first", &[&root.srn], &[]).await;
    let filled = control
        .execute(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 999)
             INSERT INTO roles SELECT printf('%032x', i), account_id, 'r' || i, NULL, kind, max_session_duration, trust_policy, revision,
             created_at, created_by, modified_at, modified_by FROM roles, n",
        )
        .await;
    assert_eq!(filled, 999);
    let body = json!({"name": "last", "assume_role_policy_document": trust(&[&root.srn])});
    let full = control.call(&root, "POST", "/v1/roles", Some(body)).await.error(409);
    assert_eq!(full, ("LimitExceeded".to_owned(), json!("an account has at most 1000 roles")));
}

/// A request by a role's session, as a gateway forwards it.
pub(crate) fn by_session(session: &Who, method: &str, target: &str, body: Option<Json>) -> Request {
    Request::signed(session, "RoleSession", method, target, NOW_MS, IDENTITY_KEY).body(body)
}

pub(crate) async fn call(control: &Control, session: &Who, method: &str, target: &str, body: Option<Json>) -> Answer {
    control.send(by_session(session, method, target, body)).await
}
