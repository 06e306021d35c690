//! Groups: every operation, its exact shape, whose groups it sees, and what it refuses.

use serde_json::{Value as Json, json};

use super::harness::{Answer, Control, NOW, Request, Who, members};

const MEMBERS: [&str; 20] = [
    "created_at",
    "created_by",
    "creator_email",
    "creator_name",
    "description",
    "domain_name",
    "id",
    "members",
    "modified_at",
    "modified_by",
    "modifier_email",
    "modifier_name",
    "name",
    "policies",
    "resource_type",
    "roles",
    "service_name",
    "service_type",
    "srn",
    "type",
];

async fn create(control: &Control, who: &Who, name: &str) -> String {
    let answer = control.call(who, "POST", "/v1/groups", Some(json!({ "name": name }))).await;
    answer.json(201)["group"]["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_group_is_made_shown_changed_and_removed() {
    let control = Control::start().await;
    let root = control.root();
    let body = json!({"name": "운영-ops", "description": "on call", "tags": [{"key": "team", "value": "ops"}]});
    let made = control.call(&root, "POST", "/v1/groups", Some(body)).await;
    let group = made.json(201)["group"].clone();
    let id = group["id"].as_str().unwrap().to_owned();
    assert_eq!(members(&made.json(201)), ["group"]);
    assert_eq!(members(&group), MEMBERS);
    let account = &root.account;
    let user = control.first.root.to_string();
    assert_eq!(
        group,
        json!({
            "created_at": NOW, "created_by": user, "creator_email": null, "creator_name": "root", "description": "on call",
            "domain_name": "scp", "id": id, "members": [], "modified_at": NOW, "modified_by": user, "modifier_email": null,
            "modifier_name": "root", "name": "운영-ops", "policies": [], "roles": null, "resource_type": "group",
            "service_name": "Identity and Access Management", "service_type": "iam",
            "srn": format!("srn:e::{account}:::iam:group/{id}"), "type": "USER_DEFINED",
        })
    );
    let revision = made.header("Portcullis-Committed-Revision").unwrap();
    assert_eq!(revision, format!("{}.{}", control.store.epoch(), *control.store.head().borrow()));
    assert_eq!(made.header("ETag").unwrap(), format!("\"{revision}\""));

    let target = format!("/v1/groups/{id}");
    let shown = control.call(&root, "GET", &target, None).await;
    assert_eq!(shown.json(200)["group"], group);
    assert_eq!(shown.header("ETag"), made.header("ETag"));

    let set = control.call(&root, "PUT", &target, Some(json!({"name": "ops", "description": null}))).await;
    assert_eq!(set.json(200)["group"]["name"], "ops");
    assert_eq!(set.json(200)["group"]["description"], Json::Null);
    assert_ne!(set.header("ETag"), made.header("ETag"));

    let gone = control.call(&root, "DELETE", &target, None).await;
    assert_eq!((gone.status, gone.body.as_str()), (204, ""));
    assert!(gone.header("Portcullis-Committed-Revision").is_some());
    let (code, detail) = control.call(&root, "GET", &target, None).await.error(404);
    assert_eq!((code.as_str(), detail), ("NotFound", json!(format!("there is no group `{id}`"))));
}

#[tokio::test]
async fn a_write_against_an_old_state_is_refused() {
    let control = Control::start().await;
    let root = control.root();
    let id = create(&control, &root, "writers").await;
    let target = format!("/v1/groups/{id}");
    let tag = control.call(&root, "GET", &target, None).await.header("ETag").unwrap().to_owned();
    let put = |tag: &str, name: &str| {
        Request::new(&root, "PUT", &target).header("If-Match", tag).body(Some(json!({"name": name, "description": null})))
    };
    assert_eq!(control.send(put(&tag, "first")).await.status, 200);
    assert_eq!(control.send(put(&tag, "second")).await.error(412).0, "PreconditionFailed");
    assert_eq!(control.send(put("\"other\"", "second")).await.error(412).0, "PreconditionFailed");
    let delete = |tag: &str| Request::new(&root, "DELETE", &target).header("If-Match", tag);
    assert_eq!(control.send(delete(&tag)).await.error(412).0, "PreconditionFailed");
    assert_eq!(control.send(put("*", "third")).await.status, 200);
    let fresh = control.call(&root, "GET", &target, None).await.header("ETag").unwrap().to_owned();
    assert_eq!(control.send(delete(&format!("{tag}, {fresh}"))).await.status, 204);
}

#[tokio::test]
async fn all_complaints_about_a_body_come_at_once() {
    let control = Control::start().await;
    let (root, stranger) = (control.root(), "5".repeat(32));
    let details = |answer: Answer| {
        let (code, detail) = answer.error(400);
        assert_eq!(code, "ValidationError");
        serde_json::from_value::<Vec<String>>(detail).unwrap()
    };
    let body = json!({
        "nmae": "ops", "description": 7, "tags": [{"key": "a", "value": "b"}, {"key": "a", "value": "c"}],
        "user_ids": ["x", stranger],
    });
    insta::assert_debug_snapshot!("a_body", details(control.call(&root, "POST", "/v1/groups", Some(body)).await));
    let unknown = json!({"name": "ops", "user_ids": [stranger], "policy_ids": [stranger]});
    insta::assert_debug_snapshot!("unknown_ids", details(control.call(&root, "POST", "/v1/groups", Some(unknown)).await));
    for (name, text) in [("twice", r#"{"name": "ops", "name": "ops2"}"#), ("no_json", "{name: ops}"), ("nothing", ""), ("a_list", "[]")] {
        let answer = control.send(Request::new(&root, "POST", "/v1/groups").text_body(text)).await;
        insta::assert_debug_snapshot!(name, details(answer));
    }
    for name in ["ab", "with space", "a/b", "twenty-five-characters-ab", "<script>"] {
        let answer = control.call(&root, "POST", "/v1/groups", Some(json!({ "name": name }))).await;
        assert_eq!(details(answer).len(), 1, "{name}");
    }
    assert_eq!(control.call(&root, "GET", "/v1/groups", None).await.json(200)["count"], 0);
}

#[tokio::test]
async fn a_name_is_given_once_per_account() {
    let control = Control::start().await;
    let root = control.root();
    create(&control, &root, "ops").await;
    let other = create(&control, &root, "dev").await;
    let again = control.call(&root, "POST", "/v1/groups", Some(json!({"name": "ops"}))).await.error(409);
    assert_eq!(again, ("Conflict".to_owned(), json!("there is a group named `ops` already")));
    let body = json!({"name": "ops", "description": null});
    let renamed = control.call(&root, "PUT", &format!("/v1/groups/{other}"), Some(body)).await;
    assert_eq!(renamed.error(409).0, "Conflict");
}

#[tokio::test]
async fn a_list_is_filtered_sorted_and_paged() {
    let control = Control::start().await;
    let root = control.root();
    for name in ["alpha", "beta", "gamma_1", "gammaX1"] {
        create(&control, &root, name).await;
    }
    let names = |page: &Json| page["groups"].as_array().unwrap().iter().map(|group| group["name"].clone()).collect::<Vec<_>>();
    let page = control.call(&root, "GET", "/v1/groups?size=2&page=1&sort=name%3Adesc", None).await.json(200);
    assert_eq!(members(&page), ["count", "groups", "page", "size", "sort"]);
    assert_eq!((&page["count"], &page["page"], &page["size"], &page["sort"]), (&json!(4), &json!(1), &json!(2), &json!(["name:desc"])));
    assert_eq!(names(&page), ["beta", "alpha"]);
    assert_eq!(members(&page["groups"][0]), MEMBERS);
    assert_eq!(page["groups"][0]["members"], Json::Null);
    let whole = control.call(&root, "GET", "/v1/groups", None).await.json(200);
    assert_eq!((&whole["size"], &whole["sort"]), (&json!(20), &json!(["created_at:desc"])));
    for (query, expected) in [
        ("name=gamma_", vec!["gamma_1"]),
        ("name=%25", vec![]),
        ("types=DEFAULT", vec![]),
        ("types=DEFAULT,USER_DEFINED&name=alp", vec!["alpha"]),
        ("creator_name=roo&name=bet", vec!["beta"]),
        ("has_member=true", vec![]),
        ("has_member=false&name=alpha&has_role=false&is_completed=true", vec!["alpha"]),
        ("has_role=true", vec![]),
        ("ids=00000000000000000000000000000000", vec![]),
        ("name=' OR 1=1 --".replace(' ', "%20").replace('\'', "%27").as_str(), vec![]),
    ] {
        let page = control.call(&root, "GET", &format!("/v1/groups?{query}"), None).await.json(200);
        assert_eq!(names(&page), expected, "{query}");
        assert_eq!(page["count"], expected.len(), "{query}");
    }
    let bad = control.call(&root, "GET", "/v1/groups?size=9999&sort=id&colour=red&exclude_user_id=x", None).await.error(400);
    insta::assert_debug_snapshot!("a_query", bad);
}

#[tokio::test]
async fn groups_of_another_account_do_not_exist() {
    let control = Control::start().await;
    let root = control.root();
    let other = control.other_account().await;
    let id = create(&control, &root, "ours").await;
    let target = format!("/v1/groups/{id}");
    let absent = format!("/v1/groups/{}", "9".repeat(32));
    let put = || Some(json!({"name": "theirs", "description": null}));
    for (method, body) in [("GET", None), ("PUT", put()), ("DELETE", None)] {
        let (of_another, of_nobody) =
            (control.call(&other, method, &target, body.clone()).await, control.call(&other, method, &absent, body).await);
        assert_eq!(of_another.error(404).0, "NotFound");
        assert_eq!(of_another.body.replace(&id, "ID"), of_nobody.body.replace(&"9".repeat(32), "ID"));
    }
    assert_eq!(control.call(&other, "GET", "/v1/groups", None).await.json(200)["count"], 0);
    assert_eq!(control.call(&other, "GET", &format!("/v1/groups?ids={id}"), None).await.json(200)["count"], 0);
    create(&control, &other, "ours").await;
    assert_eq!(control.call(&root, "GET", "/v1/groups", None).await.json(200)["count"], 1);
}
