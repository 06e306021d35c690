//! Accounts: made, shown and switched off by the operator's people, and by nobody else.

use serde_json::{Value as Json, json};

use super::harness::{Control, NOW, Request, Who, members};

const ACCOUNTS: &str = "/portcullis/v1/accounts";

fn body() -> Option<Json> {
    Some(json!({"name": "Other Ltd", "administrator": {"user_name": "kim"}}))
}

#[tokio::test]
async fn an_account_is_made_with_its_people_and_one_key() {
    let control = Control::start().await;
    let admin = control.admin();
    let keys = control.record_keys("access_key/").await.len();
    let made = control.call(&admin, "POST", ACCOUNTS, body()).await;
    let answer = made.json(201);
    assert_eq!(members(&answer), ["access_key", "account", "administrator", "root_user"]);
    let id = answer["account"]["id"].as_str().unwrap();
    let operator = &control.first.account;
    let shown = json!({
        "active": true, "created_at": NOW, "created_by": control.first.administrator.to_string(), "creator_name": "admin", "id": id,
        "modified_at": NOW, "modified_by": control.first.administrator.to_string(), "modifier_name": "admin", "name": "Other Ltd",
        "operator": false, "srn": format!("srn:e::{operator}:::portcullis:account/{id}"),
    });
    assert_eq!(answer["account"], shown);
    assert_eq!((&answer["root_user"]["user_name"], &answer["administrator"]["user_name"]), (&json!("root"), &json!("kim")));
    let (key, secret) = (answer["access_key"]["access_key"].as_str().unwrap(), answer["access_key"]["secret_key"].as_str().unwrap());
    assert_eq!((key.len(), secret.len()), (32, 36));
    assert!(made.header("Portcullis-Committed-Revision").is_some());

    let administrator = answer["administrator"]["id"].as_str().unwrap();
    assert_eq!(control.record_keys("access_key/").await.len(), keys + 1);
    let attached = control.record_keys("attachment/").await;
    assert!(attached.iter().any(|key| key.ends_with(&format!("/user/{administrator}"))), "{attached:?}");
    assert!(!control.records().await.iter().any(|(_, body)| body.contains(secret)));
    assert_eq!(control.call(&Who::new(id, administrator), "GET", "/v1/groups", None).await.status, 200);

    let one = control.call(&admin, "GET", &format!("{ACCOUNTS}/{id}"), None).await;
    assert_eq!(one.json(200), json!({ "account": shown }));
    assert_eq!(one.header("ETag"), made.header("ETag"));
    let page = control.call(&admin, "GET", &format!("{ACCOUNTS}?name=ltd&active=true"), None).await.json(200);
    assert_eq!(page, json!({"count": 1, "page": 0, "size": 20, "sort": ["created_at:desc"], "accounts": [shown]}));
    assert_eq!(control.call(&admin, "GET", ACCOUNTS, None).await.json(200)["count"], 2);

    let log = format!("/portcullis/v1/audit?account_id={id}");
    let logged = control.call(&admin, "GET", &log, None).await.json(200)["entries"].clone();
    let after = json!({
        "name": "Other Ltd", "active": true, "root": answer["root_user"]["id"], "access_key": key,
        "administrator": {"id": administrator, "user_name": "kim"},
    });
    let entry = &logged[0];
    assert_eq!((&entry["action"], &entry["before"], &entry["after"]), (&json!("portcullis:CreateAccount"), &Json::Null, &after));
    assert_eq!((&entry["resource"], &entry["srn"]), (&shown["srn"], &json!(admin.srn)));
    assert!(!logged.to_string().contains(secret));
}

#[tokio::test]
async fn an_account_is_renamed_and_switched_off_and_on() {
    let control = Control::start().await;
    let admin = control.admin();
    let other = control.other_account().await;
    let target = format!("{ACCOUNTS}/{}", other.account);
    let tag = control.call(&admin, "GET", &target, None).await.header("ETag").unwrap().to_owned();
    let put = |tag: &str, active: bool| {
        Request::new(&admin, "PUT", &target).header("If-Match", tag).body(Some(json!({"name": "renamed", "active": active})))
    };
    let off = control.send(put(&tag, false)).await;
    assert_eq!((&off.json(200)["account"]["name"], &off.json(200)["account"]["active"]), (&json!("renamed"), &json!(false)));
    assert_eq!(control.call(&other, "GET", "/v1/groups", None).await.error(401).0, "Unauthorized");
    assert_eq!(control.send(put(&tag, true)).await.error(412).0, "PreconditionFailed");
    assert_eq!(control.send(put(off.header("ETag").unwrap(), true)).await.status, 200);
    assert_eq!(control.call(&other, "GET", "/v1/groups", None).await.status, 200);

    let log = control.call(&other, "GET", "/portcullis/v1/audit?action=portcullis:SetAccount", None).await.json(200);
    let states: Vec<_> = log["entries"].as_array().unwrap().iter().map(|entry| (&entry["before"], &entry["after"])).collect();
    let (first, off, on) =
        (json!({"name": "other", "active": true}), json!({"name": "renamed", "active": false}), json!({"name": "renamed", "active": true}));
    assert_eq!(states, [(&off, &on), (&first, &off)]);
}

#[tokio::test]
async fn tokens_end_with_their_account_and_stay_ended_when_it_is_on_again() {
    let control = Control::start().await;
    let admin = control.admin();
    let other = control.other_account().await;
    let target = format!("{ACCOUNTS}/{}", other.account);
    for (active, ends) in [(true, false), (false, true), (false, false), (true, false)] {
        let before = control.records().await;
        let set = json!({"name": "renamed", "active": active});
        assert_eq!(control.call(&admin, "PUT", &target, Some(set)).await.status, 200);
        let head = *control.store.head().borrow();
        let ended = |records: Vec<(String, String)>| -> Vec<(String, String)> {
            records.into_iter().filter(|(key, _)| key.starts_with("tokens_valid_from/")).collect()
        };
        let (before, after) = (ended(before), ended(control.records().await));
        if !ends {
            assert_eq!(after, before);
            continue;
        }
        // Its root user and its administrator, and nobody of another account.
        let root = other.srn.rsplit('/').next().unwrap();
        assert!(after.len() == 2 && after.iter().any(|(key, _)| key.ends_with(root)), "{after:?}");
        for (_, body) in after {
            assert_eq!(serde_json::from_str::<Json>(&body).unwrap()["sequence"], head);
        }
    }
}

#[tokio::test]
async fn the_operator_cannot_switch_itself_off() {
    let control = Control::start().await;
    let (admin, target) = (control.admin(), format!("{ACCOUNTS}/{}", control.first.account));
    let off = control.call(&admin, "PUT", &target, Some(json!({"name": "operator", "active": false}))).await.error(409);
    assert_eq!(off, ("Conflict".to_owned(), json!("the operator's own account cannot be switched off")));
    let named = control.call(&admin, "PUT", &target, Some(json!({"name": "we", "active": true}))).await.json(200);
    assert_eq!((&named["account"]["name"], &named["account"]["operator"]), (&json!("we"), &json!(true)));
}

#[tokio::test]
async fn what_is_for_the_operator_is_refused_to_a_customers_root() {
    let control = Control::start().await;
    let other = control.other_account().await;
    let account = format!("{ACCOUNTS}/{}", other.account);
    let head = *control.store.head().borrow();
    for (method, target) in [
        ("GET", ACCOUNTS),
        ("POST", ACCOUNTS),
        ("GET", &account),
        ("PUT", &account),
        ("GET", "/portcullis/v1/definitions"),
        ("GET", "/portcullis/v1/definitions/iam"),
        ("PUT", "/portcullis/v1/definitions/compute"),
        ("DELETE", "/portcullis/v1/definitions/iam"),
    ] {
        let refused = control.call(&other, method, target, body()).await.error(403);
        assert_eq!(refused, ("Forbidden".to_owned(), json!("this operation is for the operator of the control plane")), "{target}");
    }
    assert_eq!(*control.store.head().borrow(), head);
}

#[tokio::test]
async fn all_complaints_about_an_account_come_at_once() {
    let control = Control::start().await;
    let admin = control.admin();
    for (body, expected) in [
        (
            json!({"name": " x", "administrator": {"user_name": "root", "password": "p"}}),
            vec![
                "`name`: the name is not usable; write 1 to 64 characters, no control characters, no blank at either end",
                "`administrator.user_name`: `root` is the name of the account's root user; write another name",
                "`administrator`: the key `password` is not known here; known here are `user_name`",
            ],
        ),
        (
            json!({}),
            vec![
                "the key `name` is missing; write the account's name",
                r#"the key `administrator` is missing; write {"user_name": "NAME"}, the name of its first administrator"#,
            ],
        ),
    ] {
        let (code, detail) = control.call(&admin, "POST", ACCOUNTS, Some(body)).await.error(400);
        let mut found: Vec<String> = serde_json::from_value(detail).unwrap();
        let mut expected = expected;
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!((code.as_str(), found), ("ValidationError", expected.into_iter().map(str::to_owned).collect()));
    }
    let absent = "9".repeat(32);
    let (code, detail) = control.call(&admin, "GET", &format!("{ACCOUNTS}/{absent}"), None).await.error(404);
    assert_eq!((code.as_str(), detail), ("NotFound", json!(format!("there is no account `{absent}`"))));
}
