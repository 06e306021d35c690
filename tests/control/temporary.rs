//! Temporary keys: asked for with a passcode, made with a permanent key, gone with it; and what a passcode is good for.

use portcullis::control::{Recovery, recover};
use portcullis::snapshot::wire::{Record, read_json};
use serde_json::{Value as Json, json};

use super::harness::{Answer, Control, IDENTITY_KEY, NOW_MS, Request, Who, members, now, open};

const KEYS: &str = "/v1/access-keys";
const OTP: &str = "/v1/access-keys/send-otp";

fn by_mail() -> Option<Json> {
    Some(json!({"locale": "ko_KR", "method": "EMAIL"}))
}

fn user_of(who: &Who) -> String {
    who.srn.rsplit('/').next().unwrap().to_owned()
}

/// Asks for a passcode; what was sent.
async fn passcode(control: &Control, who: &Who) -> String {
    let answer = control.call(who, "POST", OTP, by_mail()).await;
    assert_eq!((answer.status, answer.body.as_str()), (204, ""));
    control.sent(&user_of(who))["passcode"].as_str().unwrap().to_owned()
}

async fn make(control: &Control, who: &Who, passcode: &str, duration: &str) -> Answer {
    let body = json!({"access_key_type": "TEMPORARY", "parent_access_key_id": who.key, "passcode": passcode, "duration": duration});
    control.call(who, "POST", KEYS, Some(body)).await
}

/// A request signed with a temporary key, as the gateway vouches for it.
async fn by_temporary_key(control: &Control, who: &Who, method: &str, target: &str, body: Json) -> Answer {
    control.send(Request::signed(who, "TemporaryKey", method, target, NOW_MS, IDENTITY_KEY).body(Some(body))).await
}

fn another(passcode: &str) -> String {
    format!("{:06}", (passcode.parse::<u32>().unwrap() + 1) % 1_000_000)
}

#[tokio::test]
async fn a_temporary_key_is_made_with_a_passcode_and_fed_with_its_parent() {
    let control = Control::start().await;
    let admin = control.admin();
    let code = passcode(&control, &admin).await;
    let sent = control.sent(&user_of(&admin));
    assert_eq!(members(&sent), ["account_id", "expires_at", "locale", "method", "passcode", "to", "user_id", "user_name"]);
    assert_eq!((&sent["locale"], &sent["expires_at"]), (&json!("ko_KR"), &json!("2026-11-20T22:05:00.000Z")));
    assert!(code.len() == 6 && code.bytes().all(|byte| byte.is_ascii_digit()), "{code}");

    let made = make(&control, &admin, &code, "PT1H").await;
    let key = made.json(201)["access_key"].clone();
    assert_eq!((&key["access_key_type"], &key["parent_access_key_id"]), (&json!("TEMPORARY"), &json!(admin.key)));
    assert_eq!((&key["expiration_timestamp"], &key["is_enabled"]), (&json!("2026-11-20T23:00:00.000Z"), &json!(true)));
    let (id, secret) = (key["id"].as_str().unwrap(), key["secret_key"].as_str().unwrap());
    assert_eq!(secret.len(), 36);
    let fed = control.records().await.into_iter().find(|(name, _)| *name == format!("access_key/{id}")).unwrap().1;
    let Ok(Record::AccessKey(fed)) = read_json(&fed) else { panic!("{fed}") };
    assert_eq!(fed.parent, Some(control.first.access_key));
    assert_eq!(fed.expires_at.map(|end| end.milliseconds()), Some(NOW_MS + 3_600_000));

    // It is listed apart, and its secret is told once.
    for (query, expected) in [("access_key_type=TEMPORARY", 1), ("access_key_type=PERMANENT", 1), ("", 2)] {
        let list = control.call(&admin, "GET", &format!("{KEYS}?with_count=true&{query}"), None).await;
        assert_eq!(list.json(200)["count"], expected, "{query}");
        assert!(!list.body.contains(secret));
    }
    let children = control.call(&admin, "GET", &format!("{KEYS}?parent_access_key_id={}", admin.key), None).await.json(200);
    assert_eq!(children["access_keys"][0]["id"], json!(id));

    // Neither the passcode nor the secret is in the database, in clear or in the audit log.
    let audit = control.call(&control.root(), "GET", "/portcullis/v1/audit", None).await;
    assert!(!audit.body.contains(&code) && !audit.body.contains(secret), "{}", audit.body);
    let entry = audit.json(200)["entries"][0]["after"].clone();
    assert_eq!((&entry["parent_access_key_id"], &entry["expires_at"]), (&json!(admin.key), &json!("2026-11-20T23:00:00.000Z")));
    let database = control.database();
    for name in [database.clone(), database.with_extension("db-wal")] {
        let bytes = std::fs::read(name).unwrap();
        assert!(![secret, &format!("\"{code}\"")].iter().any(|text| bytes.windows(text.len()).any(|part| part == text.as_bytes())));
    }
}

#[tokio::test]
async fn a_passcode_has_five_tries() {
    let control = Control::start().await;
    let admin = control.admin();
    let code = passcode(&control, &admin).await;
    for left in [4, 3, 2, 1, 0] {
        let (kind, detail) = make(&control, &admin, &another(&code), "PT1H").await.error(400);
        assert_eq!(kind, "ValidationError");
        let said = detail[0].as_str().unwrap();
        assert!(said.starts_with("`passcode`: it is not the one") && !said.contains(&code), "{said}");
        let audit = control.call(&control.root(), "GET", "/portcullis/v1/audit", None).await.json(200);
        assert_eq!(audit["entries"][0]["after"], json!({"passcode": "wrong", "tries_left": left}));
    }
    // Now the right one is refused too, in the same words.
    assert_eq!(make(&control, &admin, &code, "PT1H").await.error(400).0, "ValidationError");
    let fresh = passcode(&control, &admin).await;
    assert_eq!(make(&control, &admin, &fresh, "PT1H").await.status, 201);
}

#[tokio::test]
async fn a_passcode_is_good_once_and_for_five_minutes() {
    let control = Control::start().await;
    let (admin, root) = (control.admin(), control.root());
    let refused = async |code: &str| make(&control, &admin, code, "PT1H").await.error(400).1[0].as_str().unwrap().starts_with("`passcode`");
    assert!(refused("000000").await, "none was sent");
    let code = passcode(&control, &admin).await;
    assert_eq!(make(&control, &admin, &code, "PT1H").await.status, 201);
    assert!(refused(&code).await, "it was used");
    let (first, second) = (passcode(&control, &admin).await, passcode(&control, &admin).await);
    assert!(first == second || refused(&first).await, "another one was sent after it");
    assert_eq!(control.execute("UPDATE passcodes SET expires_at = 1795212000000").await, 1);
    assert!(refused(&second).await, "its time is over");
    // It is the caller's own.
    let others = passcode(&control, &root).await;
    assert!(refused(&others).await);
}

#[tokio::test]
async fn only_so_many_passcodes_are_sent() {
    let control = Control::start().await;
    let (admin, root) = (control.admin(), control.root());
    for _ in 0..10 {
        passcode(&control, &admin).await;
    }
    let waits = control.call(&admin, "POST", OTP, by_mail()).await;
    assert_eq!((waits.error(429).0.as_str(), waits.header("Retry-After")), ("TooManyRequests", Some("3600")));
    passcode(&control, &root).await;
    assert_eq!(control.execute("UPDATE passcodes SET counted_from = counted_from - 3600000").await, 2);
    passcode(&control, &admin).await;
    for bad in [json!({}), json!({"method": "FAX"}), json!({"method": "EMAIL", "locale": "de_DE"}), json!({"method": "EMAIL", "to": "x"})] {
        assert_eq!(control.call(&root, "POST", OTP, Some(bad)).await.error(400).0, "ValidationError");
    }
    // A token asks for none.
    let token = Request::signed(&root, "ApiToken", "POST", OTP, NOW_MS, IDENTITY_KEY).body(by_mail());
    assert_eq!(control.send(token).await.error(403).0, "Forbidden");
}

#[tokio::test]
async fn a_key_has_at_most_five_temporary_ones_and_those_that_ended_make_room() {
    let control = Control::start().await;
    let admin = control.admin();
    for _ in 0..5 {
        let code = passcode(&control, &admin).await;
        assert_eq!(make(&control, &admin, &code, "PT1M").await.status, 201);
    }
    let code = passcode(&control, &admin).await;
    let full = make(&control, &admin, &code, "PT1M").await.error(409);
    assert_eq!(full, ("LimitExceeded".to_owned(), json!("a permanent access key has at most 5 temporary ones")));
    // It was not used up by that.
    assert_eq!(control.execute("UPDATE access_keys SET expires_at = 1795212000000 WHERE parent_id IS NOT NULL").await, 5);
    assert_eq!(make(&control, &admin, &code, "PT1M").await.status, 201);
    assert_eq!(control.record_keys("access_key/").await.len(), 2);
}

#[tokio::test]
async fn a_temporary_key_goes_with_its_parent_and_can_be_removed_while_it_works() {
    let control = Control::start().await;
    let admin = control.admin();
    let mut made = Vec::new();
    for _ in 0..3 {
        let code = passcode(&control, &admin).await;
        made.push(make(&control, &admin, &code, "PT1H").await.json(201)["access_key"]["id"].as_str().unwrap().to_owned());
    }
    let one = |id: &str| format!("{KEYS}/{id}");
    let off = control.call(&admin, "PUT", &one(&made[0]), Some(json!({"is_enabled": false}))).await;
    assert_eq!(off.json(200)["access_key"]["is_enabled"], json!(false));
    assert_eq!(control.call(&admin, "DELETE", &one(&made[1]), None).await.status, 204);
    assert_eq!(control.record_keys("access_key/").await.len(), 3);
    // In one list with its parent, in either order.
    assert_eq!(control.call(&admin, "PUT", &one(&admin.key), Some(json!({"is_enabled": false}))).await.status, 200);
    let ids = json!({"ids": [admin.key, made[2]]});
    let left = control.call(&admin, "DELETE", &format!("{KEYS}/bulk"), Some(ids)).await.json(200);
    assert_eq!(left["access_keys"], json!([]));
    assert_eq!(control.record_keys("access_key/").await, [""; 0]);
}

#[tokio::test]
async fn a_parent_is_a_permanent_key_of_ones_own_that_works() {
    let control = Control::start().await;
    let (root, admin) = (control.root(), control.admin());
    let code = passcode(&control, &admin).await;
    let child = make(&control, &admin, &code, "PT1H").await.json(201)["access_key"]["id"].as_str().unwrap().to_owned();
    let code = passcode(&control, &admin).await;
    for (parent, problem) in [(child.clone(), "temporary key itself"), ("5".repeat(32), "no such access key")] {
        let (_, detail) = make(&control, &Who { key: parent, ..admin.clone() }, &code, "PT1H").await.error(400);
        assert!(detail[0].as_str().unwrap().contains(problem), "{detail}");
    }
    let of_root = passcode(&control, &root).await;
    let (_, detail) = make(&control, &Who { key: admin.key.clone(), ..root.clone() }, &of_root, "PT1H").await.error(400);
    assert!(detail[0].as_str().unwrap().contains("no such access key"), "{detail}");
    // Its owner makes it, nobody else, and not with a temporary key.
    let body = json!({"access_key_type": "TEMPORARY", "parent_access_key_id": admin.key, "passcode": code, "duration": "PT1H"});
    let theirs = format!("/portcullis/v1/users/{}/access-keys", user_of(&admin));
    assert_eq!(control.call(&root, "POST", &theirs, Some(body.clone())).await.error(400).0, "ValidationError");
    assert_eq!(by_temporary_key(&control, &admin, "POST", KEYS, body).await.error(403).0, "Forbidden");
    // The parent's end is the child's at the latest.
    control.execute("UPDATE access_keys SET expires_at = 1795212060000 WHERE parent_id IS NULL").await;
    let made = make(&control, &admin, &code, "P365D").await.json(201);
    assert_eq!(made["access_key"]["expiration_timestamp"], json!("2026-11-20T22:01:00.000Z"));
    control.execute("UPDATE access_keys SET expires_at = NULL, enabled = 0 WHERE parent_id IS NULL").await;
    let code = passcode(&control, &admin).await;
    let (_, detail) = make(&control, &admin, &code, "PT1H").await.error(400);
    assert!(detail[0].as_str().unwrap().contains("switched off"), "{detail}");
}

#[tokio::test]
async fn a_temporary_key_makes_no_key_that_outlives_it() {
    let control = Control::start().await;
    let (root, admin) = (control.root(), control.admin());
    let setting = format!("/portcullis/v1/users/{}/key-security", user_of(&admin));
    let permanent = json!({"access_key_type": "PERMANENT"});
    for (method, by_key, by_temporary) in [("Any", 201, 403), ("AuthenticationKey", 201, 403), ("TemporaryKey", 403, 201)] {
        let body = json!({"authentication_method": method, "allowlist_enabled": false, "allowed_addresses": []});
        assert_eq!(control.call(&root, "PUT", &setting, Some(body)).await.status, 200);
        for (answer, expected) in [
            (control.call(&admin, "POST", KEYS, Some(permanent.clone())).await, by_key),
            (by_temporary_key(&control, &admin, "POST", KEYS, permanent.clone()).await, by_temporary),
        ] {
            assert_eq!(answer.status, expected, "{method}: {}", answer.body);
            if answer.status == 201 {
                let made = format!("{KEYS}/{}", answer.json(201)["access_key"]["id"].as_str().unwrap());
                assert_eq!(control.call(&admin, "PUT", &made, Some(json!({"is_enabled": false}))).await.status, 200);
                assert_eq!(control.call(&admin, "DELETE", &made, None).await.status, 204);
            }
        }
        // Passcodes are for either, and what a temporary key may do for others it may do here.
        passcode(&control, &admin).await;
    }
    // A password of one's own would be good for console logins, which need no key.
    let own = format!("/v1/accounts/{}/users/{}/password", admin.account, user_of(&admin));
    assert_eq!(by_temporary_key(&control, &admin, "PUT", &own, json!({"password": "Fresh1&Secret"})).await.status, 403);
    let person = json!({"user_name": "eve", "password": "Fresh1&Secret"});
    assert_eq!(by_temporary_key(&control, &admin, "POST", &format!("/v1/accounts/{}/users", admin.account), person).await.status, 201);
}

#[tokio::test]
async fn only_a_permanent_key_that_is_permitted_loosens_ones_own_key_security() {
    let control = Control::start().await;
    let (root, admin) = (control.root(), control.admin());
    let target = format!("/portcullis/v1/users/{}/key-security", user_of(&admin));
    let set = |method: &str, addresses: Option<Json>| {
        let (enabled, addresses) = addresses.map_or((false, json!([])), |addresses| (true, addresses));
        json!({"authentication_method": method, "allowlist_enabled": enabled, "allowed_addresses": addresses, "lock_me_out": true})
    };
    let net = || Some(json!(["203.0.113.0/24", "192.0.2.1"]));
    let looser = [
        (set("TemporaryKey", None), set("Any", None)),
        (set("TemporaryKey", None), set("AuthenticationKey", None)),
        (set("AuthenticationKey", None), set("Any", None)),
        (set("AuthenticationKey", None), set("TemporaryKey", None)),
        (set("Any", net()), set("Any", None)),
        (set("Any", net()), set("Any", Some(json!(["203.0.112.0/23"])))),
        (set("Any", net()), set("Any", Some(json!(["203.0.113.9", "192.0.2.2"])))),
        (set("Any", Some(json!([]))), set("Any", Some(json!(["203.0.113.9"])))),
    ];
    let tighter = [
        (set("Any", None), set("TemporaryKey", None)),
        (set("Any", None), set("Any", net())),
        (set("Any", net()), set("Any", net())),
        (set("Any", net()), set("AuthenticationKey", Some(json!(["203.0.113.9", "203.0.113.128/25"])))),
        (set("TemporaryKey", net()), set("TemporaryKey", Some(json!([])))),
    ];
    let sentence = "only a permanent access key that your key security setting permits loosens it; let somebody else set it";
    for ((before, after), is_looser) in looser.iter().map(|pair| (pair, true)).chain(tighter.iter().map(|pair| (pair, false))) {
        for kind in ["TemporaryKey", "ApiToken", "ConsoleLogin", "AuthenticationKey"] {
            assert_eq!(control.call(&root, "PUT", &target, Some(before.clone())).await.status, 200);
            let request = Request::signed(&admin, kind, "PUT", &target, NOW_MS, IDENTITY_KEY).body(Some(after.clone()));
            let answer = control.send(request).await;
            if is_looser && (kind != "AuthenticationKey" || before["authentication_method"] == "TemporaryKey") {
                let refused = ("Forbidden".to_owned(), json!(sentence));
                assert_eq!(answer.error(403), refused, "{kind}: {before} {after}");
            } else {
                assert_eq!(answer.status, 200, "{kind}: {before} {after}: {}", answer.body);
            }
        }
    }
    // Somebody else's is judged by what they may do for them.
    let theirs = format!("/portcullis/v1/users/{}/key-security", user_of(&control.guest().await));
    for body in [set("TemporaryKey", None), set("Any", None)] {
        assert_eq!(by_temporary_key(&control, &root, "PUT", &theirs, body).await.status, 200);
    }
}

#[tokio::test]
async fn whoever_is_let_in_again_gets_a_key_beside_temporary_ones() {
    let control = Control::start().await;
    let admin = control.admin();
    let code = passcode(&control, &admin).await;
    make(&control, &admin, &code, "PT1H").await.json(201);
    let (database, folder) = (control.database(), control.stop().await);
    let store = open(&database).await;
    let recovery = Recovery { user: user_of(&admin).parse().unwrap(), new_key: true, replaced: None };
    let second = recover(&store, recovery, now()).await.unwrap().key.unwrap().0.to_string();
    // Of permanent ones there are two now.
    let Err(error) = recover(&store, recovery, now()).await else { panic!("a third permanent key") };
    let said = error.to_string();
    assert!(said.contains(&admin.key) && said.contains(&second) && said.matches('`').count() == 4, "{said}");
    store.close().await;
    drop(folder);
}
