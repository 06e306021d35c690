//! Settings: from where keys and the console may be used, and that nobody shuts themselves out by mistake.

use serde_json::{Value as Json, json};

use super::harness::{Answer, Control, NOW, Request, members};

fn list(enabled: bool, addresses: Json) -> Option<Json> {
    Some(json!({"allowlist_enabled": enabled, "allowed_addresses": addresses}))
}

#[track_caller]
fn details(answer: &Answer) -> Vec<String> {
    let (code, detail) = answer.error(400);
    assert_eq!(code, "ValidationError");
    serde_json::from_value(detail).unwrap()
}

async fn record(control: &Control, key: &str) -> Option<Json> {
    let found = control.records().await.into_iter().find(|(known, _)| known == key);
    found.map(|(_, body)| serde_json::from_str(&body).unwrap())
}

#[tokio::test]
async fn key_security_is_set_shown_and_fed() {
    let control = Control::start().await;
    let root = control.root();
    let user = control.first.administrator.to_string();
    let (target, key) = (format!("/portcullis/v1/users/{user}/key-security"), format!("key_security/{user}"));
    let mut expected = json!({
        "allowed_addresses": [], "allowlist_enabled": false, "authentication_method": "Any", "modified_at": null,
        "modified_by": null, "user_id": user, "warnings": [],
    });
    assert_eq!(control.call(&root, "GET", &target, None).await.json(200), expected);
    assert_eq!(record(&control, &key).await, None);

    let body = json!({
        "authentication_method": "AuthenticationKey", "allowlist_enabled": true, "allowed_addresses": ["10.1.2.3/8", "2001:db8::1"],
    });
    let set = control.call(&root, "PUT", &target, Some(body)).await;
    expected["authentication_method"] = json!("AuthenticationKey");
    expected["allowlist_enabled"] = json!(true);
    expected["allowed_addresses"] = json!(["10.0.0.0/8", "2001:db8::1"]);
    expected["modified_at"] = json!(NOW);
    expected["modified_by"] = json!(control.first.root.to_string());
    assert_eq!(set.json(200), expected);
    assert!(set.header("Portcullis-Committed-Revision").is_some());
    let shown = control.call(&root, "GET", &target, None).await;
    assert_eq!((shown.json(200), shown.header("ETag")), (expected.clone(), set.header("ETag")));
    let fed = record(&control, &key).await.unwrap();
    assert_eq!(fed["allowed_addresses"], json!(["10.0.0.0/8", "2001:db8::1"]));

    // Switched off, the list is kept.
    let old = set.header("ETag").unwrap().to_owned();
    let off = control.call(&root, "PUT", &target, list(false, expected["allowed_addresses"].clone())).await;
    assert_eq!(off.json(200)["allowed_addresses"], expected["allowed_addresses"]);
    assert_eq!(record(&control, &key).await.unwrap()["allowed_addresses"], "not_used");
    // Used and empty, it refuses everybody, and says so.
    let empty = control.call(&root, "PUT", &target, list(true, json!([]))).await;
    assert_eq!(empty.json(200)["warnings"], json!(["the list is used and empty: every address is refused"]));
    assert_eq!(record(&control, &key).await.unwrap()["allowed_addresses"], json!([]));
    let stale = Request::new(&root, "PUT", &target).header("If-Match", &old).body(list(true, json!([])));
    assert_eq!(control.send(stale).await.error(412).0, "PreconditionFailed");
}

#[tokio::test]
async fn nobody_shuts_themselves_out_unless_they_say_so() {
    let control = Control::start().await;
    let root = control.root();
    let user = control.first.root.to_string();
    let own = format!("/portcullis/v1/users/{user}");
    let account = format!("/portcullis/v1/accounts/{}/console-access", root.account);
    // The client of these tests is 203.0.113.9.
    for (target, other) in [
        (format!("{own}/key-security"), json!([])),
        (format!("{own}/key-security"), json!(["10.0.0.0/8"])),
        (format!("{own}/console-access"), json!(["203.0.113.8"])),
        (account.clone(), json!(["203.0.113.8"])),
    ] {
        let head = *control.store.head().borrow();
        let (code, detail) = control.call(&root, "PUT", &target, list(true, other.clone())).await.error(409);
        let expected = "this would refuse your own present address, 203.0.113.9; add it, or send `\"lock_me_out\": true`";
        assert_eq!((code.as_str(), detail), ("Conflict", json!(expected)));
        assert_eq!(*control.store.head().borrow(), head);
        assert_eq!(control.call(&root, "PUT", &target, list(false, other.clone())).await.status, 200, "{target}");
        assert_eq!(control.call(&root, "PUT", &target, list(true, json!(["203.0.113.9"]))).await.status, 200, "{target}");
        let mut body = list(true, other).unwrap();
        body["lock_me_out"] = json!(true);
        assert_eq!(control.call(&root, "PUT", &target, Some(body)).await.status, 200, "{target}");
    }
    // Another user's list is theirs.
    let theirs = format!("/portcullis/v1/users/{}/console-access", control.first.administrator);
    assert_eq!(control.call(&root, "PUT", &theirs, list(true, json!(["10.0.0.1"]))).await.status, 200);
}

#[tokio::test]
async fn console_access_is_set_for_a_user_and_for_an_account() {
    let control = Control::start().await;
    let root = control.root();
    let user = control.first.administrator.to_string();
    let users = format!("/portcullis/v1/users/{user}/console-access");
    let accounts = format!("/portcullis/v1/accounts/{}/console-access", root.account);
    let before = control.records().await;
    for (target, addresses) in [(&users, json!(["10.0.0.0/8", "203.0.113.9"])), (&accounts, json!(["203.0.113.9", "10.0.0.1"]))] {
        let fresh = control.call(&root, "GET", target, None).await.json(200);
        assert_eq!((&fresh["allowlist_enabled"], &fresh["allowed_addresses"]), (&json!(false), &json!([])));
        let set = control.call(&root, "PUT", target, list(true, addresses.clone())).await;
        assert_eq!(set.json(200)["allowed_addresses"], addresses);
        assert_eq!(control.call(&root, "GET", target, None).await.json(200), set.json(200));
        assert_eq!(control.call(&root, "PUT", target, list(false, json!([]))).await.json(200)["allowlist_enabled"], json!(false));
    }
    let names = ["account_id", "allowed_addresses", "allowlist_enabled", "modified_at", "modified_by"];
    assert_eq!(members(&control.call(&root, "GET", &users, None).await.json(200)), [&names[..], &["user_id", "warnings"]].concat());
    assert_eq!(members(&control.call(&root, "GET", &accounts, None).await.json(200)), [&names[..], &["warnings"]].concat());
    // Gateways are told, and told that they are not used any more.
    for key in [format!("console_access/user/{user}"), format!("console_access/account/{}", root.account)] {
        assert_eq!(record(&control, &key).await.unwrap()["allowed_addresses"], json!("not_used"));
    }
    assert_eq!(control.records().await.len(), before.len() + 2);
    assert_eq!(control.call(&root, "PUT", &users, list(true, json!(["10.0.0.0/8"]))).await.status, 200);
    assert_eq!(record(&control, &format!("console_access/user/{user}")).await.unwrap()["allowed_addresses"], json!(["10.0.0.0/8"]));
}

#[tokio::test]
async fn lists_of_addresses_are_checked() {
    let control = Control::start().await;
    let root = control.root();
    let user = control.first.administrator.to_string();
    let keys = format!("/portcullis/v1/users/{user}/key-security");
    let console = format!("/portcullis/v1/users/{user}/console-access");
    let account = format!("/portcullis/v1/accounts/{}/console-access", root.account);
    let bad = json!({
        "authentication_method": "Password", "allowlist_enabled": "yes",
        "allowed_addresses": ["010.0.0.1", "10.0.0.0/33", "::ffff:10.0.0.1", 7, "10.0.0.1", "10.0.0.1/32"], "addresses": [],
    });
    insta::assert_debug_snapshot!("a_list", details(&control.call(&root, "PUT", &keys, Some(bad)).await));
    insta::assert_debug_snapshot!(
        "networks",
        details(&control.call(&root, "PUT", &account, list(true, json!(["10.0.0.0/8", "203.0.113.9"]))).await)
    );
    for (target, most) in [(&keys, 50), (&console, 50), (&account, 20)] {
        let addresses = |count: u8| (0..count).map(|number| json!(format!("192.0.2.{number}"))).collect::<Json>();
        assert_eq!(control.call(&root, "PUT", target, list(false, addresses(most))).await.status, 200, "{target}");
        let answer = control.call(&root, "PUT", target, list(false, addresses(most + 1))).await;
        assert_eq!(details(&answer), [format!("`allowed_addresses`: there are {} entries; write at most {most}", most + 1)]);
    }
    for target in [&console, &account] {
        assert_eq!(details(&control.call(&root, "PUT", target, list(true, json!([]))).await).len(), 1, "{target}");
    }
    assert!(!details(&control.call(&root, "PUT", &console, Some(json!({}))).await).is_empty());
}

#[tokio::test]
async fn settings_of_another_account_do_not_exist() {
    let control = Control::start().await;
    let (root, other) = (control.root(), control.other_account().await);
    let user = control.first.administrator.to_string();
    let targets = [
        format!("/portcullis/v1/users/{user}/key-security"),
        format!("/portcullis/v1/users/{user}/console-access"),
        format!("/portcullis/v1/accounts/{}/console-access", root.account),
    ];
    for target in &targets {
        for (method, body) in [("GET", None), ("PUT", list(true, json!(["203.0.113.9"])))] {
            assert_eq!(control.call(&other, method, target, body).await.error(404).0, "NotFound", "{method} {target}");
        }
    }
    // Who may not decide about others' keys leaves their settings alone.
    let target = format!("/portcullis/v1/users/{}/key-security", control.first.administrator);
    let guest = control.guest().await;
    assert_eq!(control.call(&guest, "PUT", &target, list(true, json!(["10.0.0.1"]))).await.error(403).0, "Forbidden");
}

#[tokio::test]
async fn the_kind_of_key_is_set_fed_and_kept_until_another_is_named() {
    let control = Control::start().await;
    let root = control.root();
    let user = control.first.administrator.to_string();
    let (target, key) = (format!("/portcullis/v1/users/{user}/key-security"), format!("key_security/{user}"));
    for method in ["TemporaryKey", "AuthenticationKey", "Any"] {
        let body = json!({"authentication_method": method, "allowlist_enabled": false, "allowed_addresses": []});
        assert_eq!(control.call(&root, "PUT", &target, Some(body)).await.json(200)["authentication_method"], json!(method));
        // What is not named stays.
        assert_eq!(
            control.call(&root, "PUT", &target, list(true, json!(["10.0.0.1"]))).await.json(200)["authentication_method"],
            json!(method)
        );
        assert_eq!(control.call(&root, "GET", &target, None).await.json(200)["authentication_method"], json!(method));
        let fed = record(&control, &key).await.unwrap();
        assert_eq!(fed.get("authentication_method"), Some(&json!(method)).filter(|_| method != "Any"));
    }
    let audit = control.call(&root, "GET", "/portcullis/v1/audit", None).await.json(200);
    let methods = |entry: &Json| (entry["before"]["authentication_method"].clone(), entry["after"]["authentication_method"].clone());
    assert_eq!(methods(&audit["entries"][1]), (json!("AuthenticationKey"), json!("Any")));
}

#[tokio::test]
async fn where_the_region_wants_it_keys_are_allowed_from_single_addresses_only() {
    let control = Control::start().await.in_kr_south().await;
    let root = control.root();
    let user = format!("/portcullis/v1/users/{}", control.first.administrator);
    let (keys, console) = (format!("{user}/key-security"), format!("{user}/console-access"));
    let answer = control.call(&root, "PUT", &keys, list(true, json!(["10.0.0.0/8", "203.0.113.9"]))).await;
    assert_eq!(details(&answer), ["`allowed_addresses[0]`: `10.0.0.0/8` is a network; write one address such as 192.0.2.1"]);
    for (target, addresses) in [(&keys, json!(["203.0.113.9", "10.0.0.1/32"])), (&keys, json!([])), (&console, json!(["10.0.0.0/8"]))] {
        assert_eq!(control.call(&root, "PUT", target, list(true, addresses)).await.status, 200, "{target}");
    }
}
