//! Access keys: the caller's own and those of others, their limits, and that a secret is told once.

use portcullis::snapshot::wire::{Record, read_json, seal_owner};
use portcullis::source::SecretRef;
use serde_json::{Value as Json, json};
use sqlx::{Connection as _, Row as _};

use super::harness::{Answer, Control, NOW, Request, Who, members, sealing_key};

const OWN: &str = "/v1/access-keys";
const MEMBERS: [&str; 13] = [
    "access_key",
    "access_key_type",
    "account_id",
    "created_at",
    "created_by",
    "description",
    "expiration_timestamp",
    "id",
    "is_enabled",
    "modified_at",
    "modified_by",
    "parent_access_key_id",
    "secret_key",
];

fn permanent() -> Option<Json> {
    Some(json!({"access_key_type": "PERMANENT"}))
}

fn switched(on: bool) -> Option<Json> {
    Some(json!({ "is_enabled": on }))
}

async fn create(control: &Control, who: &Who, target: &str) -> Json {
    control.call(who, "POST", target, permanent()).await.json(201)["access_key"].clone()
}

fn id_of(key: &Json) -> String {
    key["id"].as_str().unwrap().to_owned()
}

#[track_caller]
fn details(answer: &Answer) -> Vec<String> {
    let (code, detail) = answer.error(400);
    assert_eq!(code, "ValidationError");
    serde_json::from_value(detail).unwrap()
}

#[tokio::test]
async fn a_key_is_made_shown_switched_off_and_removed() {
    let control = Control::start().await;
    let root = control.root();
    let body = json!({
        "access_key_type": "PERMANENT", "description": "for the pipeline", "duration": null, "parent_access_key_id": null, "passcode": null,
        "account_id": root.account,
    });
    let made = control.call(&root, "POST", OWN, Some(body)).await;
    assert_eq!(members(&made.json(201)), ["access_key"]);
    let key = made.json(201)["access_key"].clone();
    assert_eq!(members(&key), MEMBERS);
    let (id, by) = (id_of(&key), control.first.root.to_string());
    let secret = key["secret_key"].as_str().unwrap().to_owned();
    assert_eq!(secret.len(), 36);
    let mut expected = json!({
        "access_key": id, "access_key_type": "PERMANENT", "account_id": root.account, "created_at": NOW, "created_by": by,
        "description": "for the pipeline", "expiration_timestamp": "9999-12-31T23:59:59Z", "id": id, "is_enabled": true,
        "modified_at": NOW, "modified_by": by, "parent_access_key_id": null, "secret_key": secret,
    });
    assert_eq!(key, expected);

    // What the gateways get opens with the owner, and with nobody else.
    let name = format!("access_key/{id}");
    let record = |records: Vec<(String, String)>| records.into_iter().find(|(key, _)| *key == name).unwrap().1;
    let Ok(Record::AccessKey(fed)) = read_json(&record(control.records().await)) else { panic!("no access key") };
    assert_eq!((fed.user, fed.enabled, fed.expires_at), (control.first.root, true, None));
    let SecretRef::Sealed(sealed) = &fed.secret else { panic!("not sealed") };
    assert_eq!(sealing_key().open(sealed, &fed.seal_owner()).unwrap().expose(), secret.as_bytes());
    assert!(sealing_key().open(sealed, &seal_owner(fed.id, control.first.administrator)).is_err());

    let target = format!("{OWN}/{id}");
    expected["secret_key"] = json!("");
    let shown = control.call(&root, "GET", &target, None).await;
    assert_eq!(shown.json(200)["access_key"], expected);
    assert_eq!(shown.header("ETag"), made.header("ETag"));

    let busy = control.call(&root, "DELETE", &target, None).await.error(409);
    assert_eq!(busy.1, json!(format!("switched on are `{id}`; switch an access key off before you remove it")));
    let off = control.call(&root, "PUT", &target, switched(false)).await;
    expected["is_enabled"] = json!(false);
    assert_eq!(off.json(200)["access_key"], expected);
    assert!(record(control.records().await).contains(r#""enabled":false"#));
    let stale = Request::new(&root, "DELETE", &target).header("If-Match", made.header("ETag").unwrap());
    assert_eq!(control.send(stale).await.error(412).0, "PreconditionFailed");
    assert_eq!(control.call(&root, "DELETE", &target, None).await.status, 204);
    assert_eq!(control.call(&root, "GET", &target, None).await.error(404).0, "NotFound");
    assert_eq!(control.record_keys(&name).await, [""; 0]);
}

#[tokio::test]
async fn a_user_has_at_most_two_keys() {
    let control = Control::start().await;
    let root = control.root();
    let first = create(&control, &root, OWN).await;
    create(&control, &root, OWN).await;
    let full = control.call(&root, "POST", OWN, permanent()).await.error(409);
    assert_eq!(full, ("LimitExceeded".to_owned(), json!("a user has at most 2 permanent access keys")));
    // A key that is switched off counts; a removed one does not.
    let target = format!("{OWN}/{}", id_of(&first));
    assert_eq!(control.call(&root, "PUT", &target, switched(false)).await.status, 200);
    assert_eq!(control.call(&root, "POST", OWN, permanent()).await.error(409).0, "LimitExceeded");
    assert_eq!(control.call(&root, "DELETE", &target, None).await.status, 204);
    create(&control, &root, OWN).await;
}

#[tokio::test]
async fn bodies_about_keys_are_checked() {
    let control = Control::start().await;
    let root = control.root();
    for (name, body) in [
        ("temporary", json!({"access_key_type": "TEMPORARY", "parent_access_key_id": "a", "passcode": "1234567", "duration": "1 hour"})),
        ("temporary_and_no_more", json!({"access_key_type": "TEMPORARY", "passcode": 123456, "duration": "P366D"})),
        ("permanent_and_passcode", json!({"access_key_type": "PERMANENT", "passcode": "123456", "duration": "PT1H", "x": 1})),
        ("no_type", json!({"acces_key_type": "PERMANENT"})),
    ] {
        let answer = control.call(&root, "POST", OWN, Some(body)).await;
        assert!(!answer.body.contains("123456"));
        insta::assert_debug_snapshot!(name, details(&answer));
    }
    let stranger = json!({"access_key_type": "PERMANENT", "account_id": "5".repeat(32)});
    assert_eq!(control.call(&root, "POST", OWN, Some(stranger)).await.error(404).0, "NotFound");
    let id = id_of(&create(&control, &root, OWN).await);
    for body in [json!({}), json!({"is_enabled": 1}), json!({"is_enabled": true, "description": "x"})] {
        let answer = control.call(&root, "PUT", &format!("{OWN}/{id}"), Some(body)).await;
        assert!(!details(&answer).is_empty());
    }
    let query = control.call(&root, "GET", &format!("{OWN}?limit=0&marker=x&sort=id&with_count=1&colour=red"), None).await;
    insta::assert_debug_snapshot!("a_key_query", details(&query));
    let marker = "5".repeat(32);
    assert_eq!(details(&control.call(&root, "GET", &format!("{OWN}?marker={marker}"), None).await).len(), 1);
}

#[tokio::test]
async fn a_list_is_read_part_by_part() {
    let control = Control::start().await;
    let root = control.root();
    let mut ids = vec![id_of(&create(&control, &root, OWN).await), id_of(&create(&control, &root, OWN).await)];
    ids.sort();
    let page = control.call(&root, "GET", OWN, None).await.json(200);
    assert_eq!(members(&page), ["access_keys", "count", "links"]);
    assert_eq!((&page["count"], page["access_keys"].as_array().unwrap().len()), (&Json::Null, 2));
    assert!(page["access_keys"].as_array().unwrap().iter().all(|key| key["secret_key"] == ""));
    assert_eq!(members(&page["access_keys"][0]), MEMBERS);

    let mut target = format!("{OWN}?limit=1&with_count=true&sort=created_at:asc&account_id={}&access_key_type=PERMANENT", root.account);
    let mut seen = Vec::new();
    loop {
        let part = control.call(&root, "GET", &target, None).await.json(200);
        assert_eq!(part["count"], 2);
        seen.extend(part["access_keys"].as_array().unwrap().iter().map(id_of));
        let next = part["links"].as_array().unwrap().iter().find(|link| link["rel"] == "next").cloned();
        let Some(next) = next else { break };
        target = next["href"].as_str().unwrap().to_owned();
    }
    assert_eq!(seen, ids);
    for query in ["access_key_type=TEMPORARY", &format!("parent_access_key_id={}", ids[0]), &format!("account_id={}", "5".repeat(32))] {
        let part = control.call(&root, "GET", &format!("{OWN}?with_count=true&{query}"), None).await.json(200);
        assert_eq!(part["count"], 0, "{query}");
    }
}

#[tokio::test]
async fn several_keys_are_removed_together_or_not_at_all() {
    let control = Control::start().await;
    let root = control.root();
    let ids = [id_of(&create(&control, &root, OWN).await), id_of(&create(&control, &root, OWN).await)];
    let target = format!("{OWN}/bulk");
    assert_eq!(control.call(&root, "PUT", &format!("{OWN}/{}", ids[0]), switched(false)).await.status, 200);
    let head = *control.store.head().borrow();
    let busy = control.call(&root, "DELETE", &target, Some(json!({ "ids": ids }))).await.error(409);
    assert!(busy.1.as_str().unwrap().contains(&ids[1]) && !busy.1.as_str().unwrap().contains(&ids[0]), "{busy:?}");
    let unknown = json!({"ids": [ids[0], control.first.access_key.to_string()]});
    assert_eq!(control.call(&root, "DELETE", &target, Some(unknown)).await.error(404).0, "NotFound");
    assert!(!details(&control.call(&root, "DELETE", &target, Some(json!({"ids": []}))).await).is_empty());
    assert_eq!(*control.store.head().borrow(), head);
    let body = json!({"ids": [ids[0]], "limit": 5, "marker": null, "sort": "created_at:desc", "with_count": "true"});
    let left = control.call(&root, "DELETE", &target, Some(body)).await.json(200);
    assert_eq!(members(&left), ["access_keys", "count", "links"]);
    assert_eq!((&left["count"], &left["access_keys"][0]["id"]), (&json!(1), &json!(ids[1])));
    assert_eq!(*control.store.head().borrow(), head + 1);
}

#[tokio::test]
async fn keys_of_others_are_seen_only_by_the_route_for_them() {
    let control = Control::start().await;
    let (root, admin, other) = (control.root(), control.admin(), control.other_account().await);
    let (user, id) = (control.first.administrator.to_string(), control.first.access_key.to_string());
    for (method, body) in [("GET", None), ("PUT", switched(false)), ("DELETE", None)] {
        let answer = control.call(&root, method, &format!("{OWN}/{id}"), body).await;
        assert_eq!(answer.error(404).1, json!(format!("there is no access key `{id}`")), "{method}");
    }
    assert_eq!(control.call(&root, "GET", OWN, None).await.json(200)["access_keys"], json!([]));
    assert_eq!(control.call(&admin, "GET", OWN, None).await.json(200)["access_keys"][0]["id"], json!(id));

    let theirs = format!("/portcullis/v1/users/{user}/access-keys");
    let list = control.call(&root, "GET", &theirs, None).await.json(200);
    assert_eq!((&list["access_keys"][0]["id"], &list["access_keys"][0]["secret_key"]), (&json!(id), &json!("")));
    assert!(list["links"][0]["href"].as_str().unwrap().starts_with(&theirs));
    let second = create(&control, &root, &theirs).await;
    assert_eq!(second["secret_key"].as_str().unwrap().len(), 36);
    assert_eq!(second["created_by"], json!(control.first.root.to_string()));
    let name = format!("access_key/{}", id_of(&second));
    let record = control.records().await.into_iter().find(|(key, _)| *key == name).unwrap().1;
    assert!(record.contains(&user), "{record}");
    assert_eq!(control.call(&root, "POST", &theirs, permanent()).await.error(409).0, "LimitExceeded");
    let one = format!("{theirs}/{id}");
    assert_eq!(control.call(&root, "DELETE", &one, None).await.error(409).0, "Conflict");
    assert_eq!(control.call(&root, "PUT", &one, switched(false)).await.json(200)["access_key"]["is_enabled"], json!(false));
    // A key of one user is not found under another.
    let wrong = format!("/portcullis/v1/users/{}/access-keys/{id}", control.first.root);
    assert_eq!(control.call(&root, "DELETE", &wrong, None).await.error(404).0, "NotFound");
    for (method, target, body) in
        [("GET", &theirs, None), ("POST", &theirs, permanent()), ("PUT", &one, switched(true)), ("DELETE", &one, None)]
    {
        assert_eq!(control.call(&other, method, target, body).await.error(404).0, "NotFound", "{method} {target}");
    }
    assert_eq!(control.call(&root, "DELETE", &one, None).await.status, 204);
    // Who may not give these rights makes no such key.
    let guest = control.guest().await;
    let admins = format!("/portcullis/v1/users/{}/access-keys", control.first.administrator);
    assert_eq!(control.call(&guest, "POST", &admins, permanent()).await.error(403).0, "Forbidden");
}

#[tokio::test]
async fn a_secret_is_told_once_and_nowhere_else() {
    let control = Control::start().await;
    let root = control.root();
    let key = create(&control, &root, OWN).await;
    let (id, secret) = (id_of(&key), key["secret_key"].as_str().unwrap().to_owned());
    for target in [OWN.to_owned(), format!("{OWN}/{id}"), format!("/v1/accounts/{}/users", root.account)] {
        assert!(!control.call(&root, "GET", &target, None).await.body.contains(&secret), "{target}");
    }
    assert!(!control.call(&root, "PUT", &format!("{OWN}/{id}"), switched(false)).await.body.contains(&secret));
    let mut reader = sqlx::SqliteConnection::connect(control.database().to_str().unwrap()).await.unwrap();
    let rows = sqlx::query("SELECT action, body_before, body_after FROM audit ORDER BY revision").fetch_all(&mut reader).await.unwrap();
    let entries: Vec<(String, String, String)> = rows
        .iter()
        .map(|row| (row.get(0), row.get::<Option<String>, _>(1).unwrap_or_default(), row.get::<Option<String>, _>(2).unwrap_or_default()))
        .collect();
    let shown = |enabled: bool| {
        let user = control.first.root;
        format!(r#"{{"access_key_type":"PERMANENT","description":null,"is_enabled":{enabled},"user_id":"{user}"}}"#)
    };
    let last = &entries[entries.len() - 2..];
    assert_eq!(last[0], ("iam:CreateAccessKey".to_owned(), String::new(), shown(true)));
    assert_eq!(last[1], ("iam:SetAccessKey".to_owned(), shown(true), shown(false)));
    reader.close().await.unwrap();
    let folder = control.stop().await;
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()));
    }
}

#[tokio::test]
async fn debug_mode_is_for_some_minutes_and_for_whom_it_concerns() {
    let control = Control::start().await;
    let (root, admin, guest) = (control.root(), control.admin(), control.guest().await);
    let key = |who: &Who, id: &str| {
        let user = who.srn.rsplit('/').next().unwrap();
        format!("/portcullis/v1/users/{user}/access-keys/{id}/debug")
    };
    let own = format!("/portcullis/v1/access-keys/{}/debug", admin.key);
    let record = async || {
        let name = format!("access_key/{}", admin.key);
        let text = control.records().await.into_iter().find(|(known, _)| *known == name).unwrap().1;
        let Ok(Record::AccessKey(key)) = read_json(&text) else { panic!("{text}") };
        key.debug_until.map(|end| end.to_string())
    };
    assert_eq!(record().await, None);
    let minutes = |minutes: u64| Some(json!({ "minutes": minutes }));
    let (five, end) = (minutes(5), "2026-11-20T22:05:00.000Z");
    let on = control.call(&admin, "PUT", &own, five.clone()).await;
    assert_eq!(on.json(200), json!({"access_key_id": admin.key, "debug_until": end}));
    assert_eq!(record().await.as_deref(), Some(end));
    let audit = control.call(&root, "GET", "/portcullis/v1/audit", None).await.json(200)["entries"][0].clone();
    assert_eq!((&audit["action"], &audit["before"]), (&json!("iam:SetAccessKey"), &json!({"debug_until": null})));
    assert_eq!(audit["after"], json!({ "debug_until": end }));
    assert_eq!(audit["resource"], format!("srn:e::{}:::iam:access-key/{}", admin.account, admin.key));
    // What else happens to the key leaves it on, and the platform's own answers do not show it.
    let shown = control.call(&admin, "PUT", &format!("{OWN}/{}", admin.key), switched(true)).await.json(200)["access_key"].clone();
    assert_eq!(members(&shown), MEMBERS);
    assert_eq!(record().await.as_deref(), Some(end));

    // A token is enough; so is being somebody who may act for its owner.
    let token = Request::signed(&admin, "ConsoleLogin", "PUT", &own, super::harness::NOW_MS, super::harness::IDENTITY_KEY);
    assert_eq!(control.send(token.body(minutes(60))).await.json(200)["debug_until"], "2026-11-20T23:00:00.000Z");
    let by_root = control.call(&root, "PUT", &key(&admin, &admin.key), minutes(0)).await;
    assert_eq!((by_root.json(200)["debug_until"].clone(), record().await), (Json::Null, None));
    assert_eq!(control.call(&guest, "PUT", &key(&admin, &admin.key), five.clone()).await.error(403).0, "Forbidden");
    for who in [&guest, &control.other_account().await] {
        assert_eq!(control.call(who, "PUT", &own, five.clone()).await.error(404).0, "NotFound");
    }
    assert_eq!(control.call(&admin, "PUT", &key(&root, &admin.key), five.clone()).await.error(403).0, "Forbidden");
    assert_eq!(control.call(&root, "PUT", &key(&guest, &admin.key), five.clone()).await.error(404).0, "NotFound");
    let stale = Request::new(&admin, "PUT", &own).header("If-Match", "\"1.1\"").body(five);
    assert_eq!(control.send(stale).await.status, 412);
    for bad in [json!({}), json!({"minutes": 61}), json!({"minutes": -1}), json!({"minutes": "5"}), json!({"minutes": 5, "x": 1})] {
        details(&control.call(&admin, "PUT", &own, Some(bad)).await);
    }
    assert_eq!(record().await, None);
}
