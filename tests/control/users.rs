//! Users: every operation, its exact shape, whose users it sees, what it refuses, and that passwords stay where they belong.

use serde_json::{Value as Json, json};

use super::harness::{Answer, Control, IDENTITY_KEY, NOW, NOW_MS, Request, Who, members};

const COMMON: [&str; 24] = [
    "account_id",
    "company_name",
    "created_at",
    "created_by",
    "description",
    "dst_offset",
    "email",
    "email_authenticated",
    "first_name",
    "id",
    "last_login_at",
    "last_name",
    "last_password_update_at",
    "modified_at",
    "modified_by",
    "name",
    "password_reuse_count",
    "phone_authenticated",
    "state",
    "timezone",
    "type",
    "tz_id",
    "user_name",
    "utc_offset",
];
const PASSWORD: &str = "Tr0ub&dor-9x";

fn with(more: &[&str]) -> Vec<String> {
    let mut all: Vec<String> = COMMON.iter().chain(more).map(|name| (*name).to_owned()).collect();
    all.sort();
    all
}

fn users_of(who: &Who) -> String {
    format!("/v1/accounts/{}/users", who.account)
}

async fn create(control: &Control, who: &Who, name: &str) -> String {
    let body = json!({"user_name": name, "password": PASSWORD, "temporary_password": false});
    let made = control.call(who, "POST", &users_of(who), Some(body)).await;
    made.json(201)["id"].as_str().unwrap().to_owned()
}

#[track_caller]
fn details(answer: &Answer) -> Vec<String> {
    let (code, detail) = answer.error(400);
    assert_eq!(code, "ValidationError");
    serde_json::from_value(detail).unwrap()
}

#[tokio::test]
async fn a_user_is_made_shown_changed_and_removed() {
    let control = Control::start().await;
    let root = control.root();
    let body = json!({
        "user_name": "kim@ops", "password": PASSWORD, "temporary_password": true, "description": "on call", "email": "kim@example.com",
        "tags": [{"key": "team", "value": "ops"}], "group_ids": null, "policy_ids": [],
    });
    let made = control.call(&root, "POST", &users_of(&root), Some(body)).await;
    let user = made.json(201);
    assert_eq!(members(&user), with(&["console_url", "password", "policies"]));
    let (id, by) = (user["id"].as_str().unwrap().to_owned(), control.first.root.to_string());
    let common = json!({
        "account_id": root.account, "company_name": null, "created_at": NOW, "created_by": by, "description": "on call", "dst_offset": "",
        "email": "kim@example.com", "email_authenticated": false, "first_name": null, "id": id, "last_login_at": null, "last_name": null,
        "last_password_update_at": NOW, "modified_at": NOW, "modified_by": by, "name": "kim@ops", "password_reuse_count": 1,
        "phone_authenticated": false, "state": "ACTIVE", "timezone": "", "type": "IAM", "tz_id": "", "user_name": "kim@ops",
        "utc_offset": "",
    });
    let joined = |more: Json| {
        let mut whole = common.clone();
        whole.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        whole
    };
    assert_eq!(user, joined(json!({"console_url": "", "password": "", "policies": null})));
    assert_eq!(control.record_keys(&format!("user/{id}")).await.len(), 1);

    let target = format!("{}/{id}", users_of(&root));
    let shown = control.call(&root, "GET", &target, None).await;
    let more = json!({
        "access_keys": [], "created_by_name": "root", "modified_by_name": "root", "policies": null, "resource_type": "User",
        "service": "iam", "service_name": "Identity Access Management", "srn": format!("srn:e::{}:::iam:user/{id}", root.account),
    });
    assert_eq!(shown.json(200), joined(more));
    assert_eq!(shown.header("ETag"), made.header("ETag"));

    let body = json!({"description": null, "password_reuse_count": 24, "state": "INACTIVE", "email": "kim.other@example.com"});
    let set = control.call(&root, "PUT", &target, Some(body)).await;
    let changed = set.json(200);
    assert_eq!(members(&changed), with(&["access_keys", "groups", "policies"]));
    assert_eq!(
        (&changed["description"], &changed["state"], &changed["password_reuse_count"]),
        (&json!(""), &json!("INACTIVE"), &json!(24))
    );
    assert!(control.records().await.iter().any(|(key, body)| *key == format!("user/{id}") && body.contains(r#""active":false"#)));
    let stale = Request::new(&root, "DELETE", &target).header("If-Match", made.header("ETag").unwrap());
    assert_eq!(control.send(stale).await.error(412).0, "PreconditionFailed");
    // A user that is switched off calls nothing.
    let kim = Who::new(&root.account, &id);
    assert_eq!(control.call(&kim, "GET", "/v1/access-keys", None).await.status, 401);

    let gone = control.call(&root, "DELETE", &target, None).await;
    assert_eq!((gone.status, gone.body.as_str()), (204, ""));
    assert_eq!(control.record_keys(&format!("user/{id}")).await, [""; 0]);
    let error = control.call(&root, "GET", &target, None).await.error(404);
    assert_eq!(error, ("NotFound".to_owned(), json!(format!("there is no user `{id}`"))));
}

#[tokio::test]
async fn all_complaints_about_a_user_come_at_once() {
    let control = Control::start().await;
    let (root, stranger) = (control.root(), "5".repeat(32));
    let body = json!({
        "user_name": "with space", "password": "hunter2", "temporary_password": "no", "email": "kim", "description": 7, "group_ids": ["x"],
        "policy_ids": "y", "pasword": "Tr0ub&dor-9y",
    });
    let answer = control.call(&root, "POST", &users_of(&root), Some(body)).await;
    assert!(!answer.body.contains("hunter2") && !answer.body.contains("Tr0ub"), "{}", answer.body);
    insta::assert_debug_snapshot!("a_user", details(&answer));
    let body = json!({"user_name": "kim", "password": PASSWORD, "group_ids": [stranger], "policy_ids": [stranger]});
    insta::assert_debug_snapshot!("unknown_ids", details(&control.call(&root, "POST", &users_of(&root), Some(body)).await));
    for (name, email) in [("", "a@b.c"), ("x/y", "a@b.c"), ("한글", "a@b.c"), ("kim", "a b@c.d"), ("kim", "a@b@c.d"), ("kim", "a@b..c")] {
        let body = json!({"user_name": name, "password": PASSWORD, "email": email});
        assert_eq!(details(&control.call(&root, "POST", &users_of(&root), Some(body)).await).len(), 1, "{name} {email}");
    }
    for name in ["n".repeat(65), format!("a@{}", "b".repeat(254))] {
        let body = json!({"user_name": name, "password": PASSWORD, "email": name});
        assert!(!details(&control.call(&root, "POST", &users_of(&root), Some(body)).await).is_empty());
    }
    let same = json!({"user_name": PASSWORD.replace('&', "@").to_uppercase(), "password": PASSWORD.replace('&', "@")});
    let complaints = details(&control.call(&root, "POST", &users_of(&root), Some(same)).await);
    assert_eq!(complaints, ["`password`: it is the user's name; choose another one"]);
    assert_eq!(control.call(&root, "GET", &users_of(&root), None).await.json(200)["count"], 2);

    let id = create(&control, &root, "kim").await;
    let again = json!({"user_name": "kim", "password": PASSWORD});
    let taken = control.call(&root, "POST", &users_of(&root), Some(again)).await.error(409);
    assert_eq!(taken, ("Conflict".to_owned(), json!("there is a user named `kim` already")));
    for count in [0, 25] {
        let body = json!({ "password_reuse_count": count });
        let answer = control.call(&root, "PUT", &format!("{}/{id}", users_of(&root)), Some(body)).await;
        assert_eq!(details(&answer).len(), 1, "{count}");
    }
}

#[tokio::test]
async fn a_list_of_users_is_filtered_sorted_and_paged() {
    let control = Control::start().await;
    let root = control.root();
    let policy = control.record_keys("policy/").await[0].split_once('/').unwrap().1.to_owned();
    let made = control.call(&root, "POST", "/v1/groups", Some(json!({"name": "ops"}))).await;
    let group = made.json(201)["group"]["id"].clone();
    let body = json!({
        "user_name": "kim", "password": PASSWORD, "email": "kim@example.com", "group_ids": [group], "policy_ids": [policy],
    });
    let made = control.call(&root, "POST", &users_of(&root), Some(body)).await;
    let id = made.json(201)["id"].as_str().unwrap().to_owned();
    let membership = format!("membership/{}/{id}", group.as_str().unwrap());
    assert_eq!(control.record_keys("membership/").await, [membership]);
    assert!(control.record_keys("attachment/").await.contains(&format!("attachment/{policy}/user/{id}")));

    let page = control.call(&root, "GET", &format!("{}?user_name=ki", users_of(&root)), None).await.json(200);
    assert_eq!(members(&page), ["count", "page", "size", "sort", "users"]);
    let user = &page["users"][0];
    assert_eq!(members(user), with(&["access_keys", "groups", "policies"]));
    assert_eq!(user["groups"], json!([{"id": group, "name": "ops"}]));
    assert_eq!(members(&user["policies"][0]), ["id", "name"]);
    assert_eq!(user["policies"][0]["id"], policy);
    let names = |page: &Json| page["users"].as_array().unwrap().iter().map(|user| user["user_name"].clone()).collect::<Vec<_>>();
    for (query, expected) in [
        ("sort=user_name:asc", vec!["admin", "kim", "root"]),
        ("sort=user_name:asc&size=1&page=1", vec!["kim"]),
        ("type=ROOT", vec!["root"]),
        ("type=IAM&sort=user_name:desc", vec!["kim", "admin"]),
        ("email=example.com", vec!["kim"]),
        ("user_name=%25", vec![]),
    ] {
        let page = control.call(&root, "GET", &format!("{}?{query}", users_of(&root)), None).await.json(200);
        assert_eq!(names(&page), expected, "{query}");
    }
    let key =
        &control.call(&root, "GET", &format!("{}?user_name=admin", users_of(&root)), None).await.json(200)["users"][0]["access_keys"][0];
    assert_eq!(members(key), ["access_key", "created_at", "expiration_timestamp", "id", "is_enabled"]);
    assert_eq!(key["expiration_timestamp"], "9999-12-31T23:59:59Z");
}

#[tokio::test]
async fn users_of_another_account_do_not_exist() {
    let control = Control::start().await;
    let (root, other) = (control.root(), control.other_account().await);
    let id = create(&control, &root, "kim").await;
    let absent = "9".repeat(32);
    let password = || Some(json!({ "password": PASSWORD }));
    let put = || Some(json!({ "password_reuse_count": 2 }));
    let bulk = |id: &str| Some(json!({ "user_ids": [id] }));
    let of = |account: &str, id: &str| format!("/v1/accounts/{account}/users/{id}");
    for (method, suffix, body) in [("GET", "", None), ("PUT", "", put()), ("DELETE", "", None), ("PUT", "/password", password())] {
        // In the caller's own account the id is unknown; the other account is unknown altogether.
        for (account, id) in [(&other.account, &id), (&root.account, &id), (&absent, &id)] {
            let answer = control.call(&other, method, &format!("{}{suffix}", of(account, id)), body.clone()).await;
            assert_eq!(answer.error(404).0, "NotFound", "{method} {suffix}");
        }
    }
    let (theirs, nobodys) = (format!("/v1/accounts/{}/users", root.account), format!("/v1/accounts/{absent}/users"));
    let create = || Some(json!({"user_name": "eve", "password": PASSWORD}));
    for (method, body) in [("GET", None), ("POST", create())] {
        let (one, two) = (control.call(&other, method, &theirs, body.clone()).await, control.call(&other, method, &nobodys, body).await);
        assert_eq!(one.error(404).0, "NotFound");
        assert_eq!(one.body.replace(&root.account, "ID"), two.body.replace(&absent, "ID"));
    }
    assert_eq!(control.call(&other, "DELETE", &format!("{theirs}/bulk"), bulk(&id)).await.error(404).0, "NotFound");
    assert_eq!(control.call(&other, "DELETE", &format!("{}/bulk", users_of(&other)), bulk(&id)).await.error(404).0, "NotFound");
    assert_eq!(control.call(&root, "GET", &of(&root.account, &id), None).await.status, 200);
    // Groups and policies of another account cannot be given.
    let made = control.call(&root, "POST", "/v1/groups", Some(json!({"name": "ops"}))).await;
    let body = json!({"user_name": "eve", "password": PASSWORD, "group_ids": [made.json(201)["group"]["id"]]});
    assert_eq!(details(&control.call(&other, "POST", &users_of(&other), Some(body)).await).len(), 1);
}

#[tokio::test]
async fn a_removed_user_takes_everything_along_in_one_revision() {
    let control = Control::start().await;
    let root = control.root();
    let before = control.records().await;
    let policy = control.record_keys("policy/").await[0].split_once('/').unwrap().1.to_owned();
    let made = control.call(&root, "POST", "/v1/groups", Some(json!({"name": "ops"}))).await;
    let group = made.json(201)["group"]["id"].as_str().unwrap().to_owned();
    let mut ids = Vec::new();
    for name in ["kim", "lee"] {
        let body = json!({"user_name": name, "password": PASSWORD, "group_ids": [group], "policy_ids": [policy], "tags": [{"key": "a", "value": ""}]});
        let id = control.call(&root, "POST", &users_of(&root), Some(body)).await.json(201)["id"].as_str().unwrap().to_owned();
        let own = format!("/portcullis/v1/users/{id}");
        let made = control.call(&root, "POST", &format!("{own}/access-keys"), Some(json!({"access_key_type": "PERMANENT"}))).await;
        assert_eq!(made.status, 201);
        for (setting, addresses) in [("key-security", json!([])), ("console-access", json!(["10.0.0.0/8"]))] {
            let body = json!({"allowlist_enabled": true, "allowed_addresses": addresses});
            assert_eq!(control.call(&root, "PUT", &format!("{own}/{setting}"), Some(body)).await.status, 200);
        }
        ids.push(id);
    }
    let head = *control.store.head().borrow();
    let root_id = control.first.root.to_string();
    let target = format!("{}/bulk", users_of(&root));
    let refused = control.call(&root, "DELETE", &target, Some(json!({"user_ids": [ids[0], root_id]}))).await;
    assert_eq!(refused.error(409), ("Conflict".to_owned(), json!("the root user cannot be removed")));
    let unknown = control.call(&root, "DELETE", &target, Some(json!({"user_ids": [ids[0], "5".repeat(32)]}))).await;
    assert_eq!(unknown.error(404).0, "NotFound");
    for body in [json!({"user_ids": []}), json!({}), json!({"ids": [ids[0]]})] {
        assert!(!details(&control.call(&root, "DELETE", &target, Some(body)).await).is_empty());
    }
    assert_eq!(*control.store.head().borrow(), head);
    assert_eq!(control.call(&root, "DELETE", &target, Some(json!({ "user_ids": ids }))).await.status, 204);
    assert_eq!(*control.store.head().borrow(), head + 1);
    assert_eq!(control.call(&root, "DELETE", &format!("/v1/groups/{group}"), None).await.status, 204);
    assert_eq!(control.records().await, before);
}

#[tokio::test]
async fn the_root_user_is_protected() {
    let control = Control::start().await;
    let (root, admin) = (control.root(), control.admin());
    let id = control.first.root.to_string();
    let target = format!("{}/{id}", users_of(&root));
    assert_eq!(control.call(&root, "DELETE", &target, None).await.error(409).0, "Conflict");
    let off = json!({"password_reuse_count": 2, "state": "INACTIVE"});
    assert_eq!(control.call(&root, "PUT", &target, Some(off)).await.error(409).0, "Conflict");
    let made = control.call(&root, "POST", "/v1/groups", Some(json!({"name": "ops"}))).await;
    let members = format!("/v1/groups/{}/members", made.json(201)["group"]["id"].as_str().unwrap());
    assert_eq!(control.call(&root, "POST", &members, Some(json!({ "user_id": id }))).await.error(409).0, "Conflict");
    let body = json!({"name": "others", "user_ids": [id]});
    assert_eq!(details(&control.call(&root, "POST", "/v1/groups", Some(body)).await).len(), 1);
    // Nobody else changes what belongs to the root user, whatever they may otherwise.
    let on = || Some(json!({ "password_reuse_count": 2 }));
    let own = format!("/portcullis/v1/users/{id}");
    let list = || Some(json!({"allowlist_enabled": true, "allowed_addresses": ["10.0.0.1"]}));
    for (method, target, body) in [
        ("PUT", target.clone(), on()),
        ("DELETE", target.clone(), None),
        ("PUT", format!("{target}/password"), Some(json!({ "password": PASSWORD }))),
        ("POST", format!("{own}/access-keys"), Some(json!({"access_key_type": "PERMANENT"}))),
        ("PUT", format!("{own}/key-security"), list()),
        ("PUT", format!("{own}/console-access"), list()),
    ] {
        assert_eq!(control.call(&admin, method, &target, body).await.error(403).0, "Forbidden", "{method} {target}");
    }
    assert_eq!(control.call(&root, "PUT", &target, on()).await.json(200)["type"], "ROOT");
}

#[tokio::test]
async fn a_password_is_set_and_not_used_again() {
    let control = Control::start().await;
    let root = control.root();
    let id = create(&control, &root, "kim").await;
    let kim = Who::new(&root.account, &id);
    let target = format!("{}/{id}", users_of(&root));
    let set = |who: &Who, password: &str| {
        let request = Request::new(who, "PUT", &format!("{target}/password"));
        control.send(request.body(Some(json!({"password": password, "temporary_password": null}))))
    };
    let reused = |answer: Answer, last: u64| {
        assert_eq!(details(&answer), [format!("`password`: it is one of the last {last}; choose another one")]);
    };
    reused(set(&root, PASSWORD).await, 1);
    let body = json!({ "password_reuse_count": 2 });
    assert_eq!(control.call(&root, "PUT", &target, Some(body)).await.status, 200);
    let done = set(&kim, "Second&one-9x").await;
    assert_eq!((done.status, done.body.as_str()), (204, ""));
    assert!(done.header("Portcullis-Committed-Revision").is_some());
    reused(set(&root, PASSWORD).await, 2);
    // The same in the Base64 of the vendor's clients.
    reused(set(&root, "U2Vjb25kJm9uZS05eA==").await, 2);
    assert_eq!(set(&root, "Third&one-9x").await.status, 204);
    assert_eq!(set(&root, PASSWORD).await.status, 204);
    let theirs = format!("{}/{}/password", users_of(&root), control.first.administrator);
    let guest = control.guest().await;
    let taken = control.call(&guest, "PUT", &theirs, Some(json!({"password": "Fourth&one-9x"}))).await;
    assert_eq!(taken.error(403).0, "Forbidden");
    let weak = set(&kim, "kim").await;
    assert!(details(&weak).len() >= 2);
}

#[tokio::test]
async fn who_may_not_act_for_a_user_gets_no_hold_of_it() {
    let control = Control::start().await;
    let (root, guest) = (control.root(), control.guest().await);
    let id = control.first.administrator.to_string();
    let target = format!("{}/{id}", users_of(&root));
    let set = |who: &Who, more: Json| {
        let mut body = json!({ "password_reuse_count": 2 });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        control.send(Request::new(who, "PUT", &target).body(Some(body)))
    };
    assert_eq!(set(&guest, json!({"description": "on call"})).await.status, 200);
    assert_eq!(set(&guest, json!({"email": "eve@example.com"})).await.error(403).0, "Forbidden");
    assert_eq!(set(&guest, json!({"state": "INACTIVE"})).await.status, 200);
    assert_eq!(set(&guest, json!({"state": "ACTIVE"})).await.error(403).0, "Forbidden");
    assert_eq!(set(&root, json!({"state": "ACTIVE", "email": "kim@example.com"})).await.status, 200);
    assert_eq!(set(&control.admin(), json!({"email": "kim.other@example.com"})).await.status, 200);
}

#[tokio::test]
async fn who_comes_by_a_token_does_not_move_their_passcodes_to_another_address() {
    let control = Control::start().await;
    let (root, admin) = (control.root(), control.admin());
    let target = format!("{}/{}", users_of(&root), control.first.administrator);
    let set = |who: &Who, kind: &str, email: &str| {
        let body = json!({"password_reuse_count": 2, "description": "on call", "email": email});
        control.send(Request::signed(who, kind, "PUT", &target, NOW_MS, IDENTITY_KEY).body(Some(body)))
    };
    assert_eq!(set(&admin, "AuthenticationKey", "kim@example.com").await.status, 200);
    for kind in ["ApiToken", "ConsoleLogin"] {
        let detail = "a token is not enough for this; sign the request with an access key";
        assert_eq!(set(&admin, kind, "eve@example.com").await.error(403), ("Forbidden".to_owned(), json!(detail)), "{kind}");
        // What stays as it is needs no signature, nor does what is changed for somebody else.
        assert_eq!(set(&admin, kind, "kim@example.com").await.status, 200, "{kind}");
        assert_eq!(set(&root, kind, "kim@example.com").await.status, 200, "{kind}");
    }
    assert_eq!(set(&admin, "TemporaryKey", "kim.other@example.com").await.status, 200);
    assert_eq!(set(&root, "ConsoleLogin", "kim@example.com").await.status, 200);
}

#[tokio::test]
async fn passwords_are_nowhere_in_clear() {
    let control = Control::start().await;
    let root = control.root();
    let id = create(&control, &root, "kim").await;
    let target = format!("{}/{id}/password", users_of(&root));
    let second = "Second&one-9x";
    assert_eq!(control.call(&root, "PUT", &target, Some(json!({ "password": second }))).await.status, 204);
    for target in [users_of(&root), format!("{}/{id}", users_of(&root))] {
        let body = control.call(&root, "GET", &target, None).await.body;
        assert!(!body.contains("argon2") && !body.contains(PASSWORD) && !body.contains(second), "{body}");
    }
    assert!(control.records().await.iter().all(|(_, body)| !body.contains("argon2")));
    let folder = control.stop().await;
    let mut hashes = 0;
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        let has = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
        assert!(!has(PASSWORD) && !has(second));
        hashes += usize::from(has("$argon2id$v=19$m=19456,t=2,p=1$"));
    }
    assert!(hashes > 0);
}
