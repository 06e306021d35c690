//! Members of groups, and who may add them.

use serde_json::{Value as Json, json};

use super::harness::{Control, NOW, members};

const MEMBERS: [&str; 12] = [
    "created_at",
    "created_by",
    "creator_created_at",
    "creator_email",
    "creator_last_login_at",
    "creator_name",
    "group_names",
    "user_created_at",
    "user_email",
    "user_id",
    "user_last_login_at",
    "user_name",
];

async fn group(control: &Control, body: Json) -> String {
    let made = control.call(&control.root(), "POST", "/v1/groups", Some(body)).await;
    made.json(201)["group"]["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_member_is_added_listed_and_removed() {
    let control = Control::start().await;
    let (root, admin) = (control.root(), control.first.administrator.to_string());
    let id = group(&control, json!({"name": "ops"})).await;
    let target = format!("/v1/groups/{id}/members");
    let added = control.call(&root, "POST", &target, Some(json!({ "user_id": admin }))).await;
    let member = added.json(200)["group_member"].clone();
    assert_eq!(members(&member), MEMBERS);
    assert_eq!(
        member,
        json!({
            "created_at": NOW, "created_by": control.first.root.to_string(), "creator_created_at": NOW, "creator_email": null,
            "creator_last_login_at": null, "creator_name": "root", "group_names": ["ops"], "user_created_at": NOW, "user_email": null,
            "user_id": admin, "user_last_login_at": null, "user_name": "admin",
        })
    );
    let again = control.call(&root, "POST", &target, Some(json!({ "user_id": admin }))).await;
    assert_eq!(again.json(200)["group_member"], member);
    let page = control.call(&root, "GET", &target, None).await.json(200);
    let expected = json!({"count": 1, "page": 0, "size": 20, "sort": ["created_at:desc"], "group_members": [member]});
    assert_eq!(page, expected);
    assert_eq!(control.call(&root, "GET", &format!("/v1/groups/{id}"), None).await.json(200)["group"]["members"], json!([member]));
    assert_eq!(control.call(&root, "GET", "/v1/groups?has_member=true", None).await.json(200)["count"], 1);
    let without = format!("/v1/groups?exclude_user_id={admin}");
    assert_eq!(control.call(&root, "GET", &without, None).await.json(200)["count"], 0);

    let one = format!("{target}/{admin}");
    assert_eq!(control.call(&root, "DELETE", &one, None).await.status, 204);
    assert_eq!(control.call(&root, "DELETE", &one, None).await.error(404).0, "NotFound");
    assert_eq!(control.call(&root, "GET", &target, None).await.json(200)["count"], 0);
}

#[tokio::test]
async fn users_of_another_account_cannot_be_members() {
    let control = Control::start().await;
    let (root, other) = (control.root(), control.other_account().await);
    let theirs = other.srn.rsplit_once('/').unwrap().1;
    let id = group(&control, json!({"name": "ops"})).await;
    let target = format!("/v1/groups/{id}/members");
    let (code, detail) = control.call(&root, "POST", &target, Some(json!({ "user_id": theirs }))).await.error(404);
    assert_eq!((code.as_str(), detail), ("NotFound", json!(format!("there is no user `{theirs}`"))));
    assert_eq!(control.call(&other, "GET", &target, None).await.error(404).0, "NotFound");
    assert_eq!(control.call(&other, "POST", &target, Some(json!({ "user_id": theirs }))).await.error(404).0, "NotFound");
    let bad = control.call(&root, "POST", &target, Some(json!({"user_id": 5, "x": 1}))).await.error(400);
    insta::assert_debug_snapshot!("a_member", bad);
}

#[tokio::test]
async fn a_removed_group_takes_its_memberships_and_attachments_along() {
    let control = Control::start().await;
    let (root, admin) = (control.root(), control.first.administrator.to_string());
    let policy = control.record_keys("policy/").await[0].split_once('/').unwrap().1.to_owned();
    let attachments = control.record_keys("attachment/").await;
    let id = group(&control, json!({"name": "ops", "user_ids": [admin], "policy_ids": [policy]})).await;
    assert_eq!(control.record_keys("membership/").await, [format!("membership/{id}/{admin}")]);
    assert_eq!(control.record_keys("group/").await, [format!("group/{id}")]);
    assert!(control.record_keys("attachment/").await.contains(&format!("attachment/{policy}/group/{id}")));
    let without = format!("/v1/groups?exclude_policy_id={policy}");
    assert_eq!(control.call(&root, "GET", &without, None).await.json(200)["count"], 0);
    assert_eq!(control.call(&root, "DELETE", &format!("/v1/groups/{id}"), None).await.status, 204);
    assert_eq!(control.record_keys("membership/").await, [""; 0]);
    assert_eq!(control.record_keys("group/").await, [""; 0]);
    assert_eq!(control.record_keys("attachment/").await, attachments);
}

#[tokio::test]
async fn who_may_not_give_rights_gives_none() {
    let control = Control::start().await;
    let guest = control.guest().await;
    let user = guest.srn.rsplit_once('/').unwrap().1;
    let held = control.record_keys("attachment/").await;
    let powerful = held[0].split('/').nth(1).unwrap();
    let target = format!("/v1/groups/{}/members", group(&control, json!({"name": "admins", "policy_ids": [powerful]})).await);
    let (plain, head) = (group(&control, json!({"name": "plain"})).await, *control.store.head().borrow() + 1);
    let (code, detail) = control.call(&guest, "POST", &target, Some(json!({ "user_id": user }))).await.error(403);
    assert_eq!(code, "Forbidden");
    let said = detail.as_str().unwrap();
    assert!(
        said.starts_with(&format!("the policy `{powerful}` gives more than you have: statement 1 (Sid `AdministratorAccess`)")),
        "{said}"
    );
    for body in [json!({"name": "other", "user_ids": [user]}), json!({"name": "other", "policy_ids": [powerful]})] {
        assert_eq!(control.call(&guest, "POST", "/v1/groups", Some(body)).await.error(403).0, "Forbidden");
    }
    assert_eq!(control.record_keys("membership/").await, [""; 0]);
    // A group that gives nothing is anybody's, and who has everything may give it.
    let plain = format!("/v1/groups/{plain}/members");
    assert_eq!(control.call(&guest, "POST", &plain, Some(json!({ "user_id": user }))).await.status, 200);
    assert_eq!(*control.store.head().borrow(), head);
    assert_eq!(control.call(&control.admin(), "POST", &target, Some(json!({ "user_id": user }))).await.status, 200);
}
