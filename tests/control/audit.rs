//! The audit log: who sees which entries, in which order; and where the store stands.

use serde_json::{Value as Json, json};

use super::harness::{Control, NOW, Who, members};

const AUDIT: &str = "/portcullis/v1/audit";

async fn group(control: &Control, who: &Who, name: &str) {
    assert_eq!(control.call(who, "POST", "/v1/groups", Some(json!({ "name": name }))).await.status, 201);
}

/// The names of the groups that the entries of a page are about.
async fn names(control: &Control, who: &Who, query: &str) -> (Vec<String>, Json) {
    let page = control.call(who, "GET", &format!("{AUDIT}?{query}"), None).await.json(200);
    let of = |entry: &Json| entry["after"]["name"].as_str().unwrap_or("-").to_owned();
    (page["entries"].as_array().unwrap().iter().map(of).collect(), page["next_marker"].clone())
}

#[tokio::test]
async fn the_newest_entries_come_first_page_by_page() {
    let control = Control::start().await;
    let (root, admin) = (control.root(), control.admin());
    for name in ["one", "two", "three"] {
        group(&control, &root, name).await;
    }
    group(&control, &admin, "four").await;
    let page = control.call(&root, "GET", AUDIT, None).await.json(200);
    assert_eq!(members(&page), ["entries", "next_marker"]);
    let entry = &page["entries"][0];
    let head = control.store.revision(*control.store.head().borrow()).to_string();
    assert_eq!(
        entry,
        &json!({
            "account_id": admin.account, "action": "iam:CreateGroup", "address": "203.0.113.9",
            "after": {"name": "four", "description": null, "tags": [], "policy_ids": [], "user_ids": []}, "before": null,
            "request_id": "req-1", "resource": entry["resource"], "revision": head, "session": null, "srn": admin.srn, "time": NOW,
            "user_id": control.first.administrator.to_string(),
        })
    );
    let (first, marker) = names(&control, &root, "size=3").await;
    assert_eq!(first, ["four", "three", "two"]);
    // The last one is the founding of the account.
    let (second, end) = names(&control, &root, &format!("size=3&marker={}", marker.as_str().unwrap())).await;
    assert_eq!((second, end), (vec!["one".to_owned(), "operator".to_owned()], Json::Null));

    let resource = entry["resource"].as_str().unwrap();
    for (query, expected) in [
        (format!("user_id={}", control.first.administrator), vec!["four"]),
        ("action=iam:CreateGroup&size=1".to_owned(), vec!["four"]),
        ("action=iam:DeleteGroup".to_owned(), vec![]),
        (format!("resource={}", resource.rsplit_once(':').unwrap().1), vec!["four"]),
        (format!("resource={resource}"), vec!["four"]),
        ("since=2026-11-20T22:00:00Z&size=1".to_owned(), vec!["four"]),
        ("since=2026-11-20T22:00:01Z".to_owned(), vec![]),
        ("until=2026-11-20T22:00:00Z".to_owned(), vec![]),
    ] {
        assert_eq!(names(&control, &root, &query).await.0, expected, "{query}");
    }
    let (code, detail) = control.call(&root, "GET", &format!("{AUDIT}?marker=1.x&since=now"), None).await.error(400);
    assert_eq!(code, "ValidationError");
    let expected = [
        "`marker`: `1.x` is no marker; send the `next_marker` of the page before",
        "`since`: `now` is not a time of RFC 3339 with a zone, such as `2026-11-20T22:00:00Z`; write a time such as 2026-11-20T22:00:00Z",
    ];
    assert_eq!(detail, json!(expected));
}

#[tokio::test]
async fn an_account_sees_its_own_entries_and_the_operator_all() {
    let control = Control::start().await;
    let (root, other) = (control.root(), control.other_account().await);
    group(&control, &root, "ours").await;
    group(&control, &other, "theirs").await;
    assert_eq!(names(&control, &other, "").await.0, ["theirs", "other"]);
    assert_eq!(names(&control, &root, "").await.0, ["ours", "operator"]);
    assert_eq!(names(&control, &root, &format!("account_id={}", other.account)).await.0, ["theirs", "other"]);
    assert_eq!(names(&control, &root, "account_id=*").await.0, ["theirs", "ours", "other", "operator"]);
    for account in [&root.account, &other.account, "*"] {
        let (code, _) = control.call(&other, "GET", &format!("{AUDIT}?account_id={account}"), None).await.error(400);
        assert_eq!(code, "ValidationError", "{account}");
    }
}

#[tokio::test]
async fn the_revision_is_that_of_the_last_write() {
    let control = Control::start().await;
    let other = control.other_account().await;
    let made = control.call(&other, "POST", "/v1/groups", Some(json!({"name": "ops"}))).await;
    let head = *control.store.head().borrow();
    let digest = control.store.change_digest(head).await.unwrap().unwrap().to_string();
    let standing = control.call(&other, "GET", "/portcullis/v1/revision", None).await.json(200);
    assert_eq!(standing, json!({"revision": made.header("Portcullis-Committed-Revision").unwrap(), "digest": digest}));
}
