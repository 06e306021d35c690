//! Who has which policy: from the side of the policy, of a group and of a user; what the gateway is told that a request is about.

use http::{HeaderMap, Method};
use portcullis::snapshot::{Inputs, ResourceTemplate};
use portcullis::source::json;
use portcullis::types::Path;
use serde_json::{Value as Json, json};

use super::harness::{Control, Who, members};
use super::policies::{create, details, document};

async fn group(control: &Control, who: &Who, name: &str) -> String {
    let made = control.call(who, "POST", "/v1/groups", Some(json!({ "name": name }))).await;
    made.json(201)["group"]["id"].as_str().unwrap().to_owned()
}

fn ids(list: &Json) -> Vec<String> {
    list.as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_policy_is_given_to_groups_and_users_and_taken_away() {
    let control = Control::start().await;
    let (root, admin) = (control.root(), control.first.administrator.to_string());
    let id = create(&control, &root, "ops-policy").await;
    let (one, two) = (group(&control, &root, "one").await, group(&control, &root, "two").await);
    let target = format!("/v1/policies/{id}/bindings");
    let given = control.call(&root, "PUT", &target, Some(json!({"identity_type": "GROUP", "add_ids": [one, two], "remove_ids": []}))).await;
    assert!(given.header("Portcullis-Committed-Revision").is_some());
    let page = given.json(200);
    assert_eq!(members(&page), ["count", "groups", "page", "policy_id", "roles", "size", "sort", "users"]);
    assert_eq!((&page["count"], &page["policy_id"], &page["roles"], &page["users"]), (&json!(2), &json!(id), &json!([]), &json!([])));
    let records = control.record_keys(&format!("attachment/{id}/")).await;
    assert_eq!(records.len(), 2);
    assert!(records.contains(&format!("attachment/{id}/group/{one}")));
    let to_user = json!({"identity_type": "USER", "add_ids": [admin], "remove_ids": null});
    assert_eq!(control.call(&root, "PUT", &target, Some(to_user)).await.json(200)["users"][0]["user_name"], "admin");

    for (query, count, groups, users) in [
        ("", 3, 2, 1),
        ("?identity_type=GROUP", 2, 2, 0),
        ("?identity_type=USER", 1, 0, 1),
        ("?identity_type=ROLE", 0, 0, 0),
        ("?name=tw", 1, 1, 0),
        (&format!("?identity_id={admin}"), 1, 0, 1),
        ("?size=1&page=1&sort=name:desc", 3, 1, 0),
    ] {
        let page = control.call(&root, "GET", &format!("{target}{query}"), None).await.json(200);
        let length = |name: &str| page[name].as_array().unwrap().len();
        assert_eq!((page["count"].clone(), length("groups"), length("users")), (json!(count), groups, users), "{query}");
    }

    let head = *control.store.head().borrow();
    let swap = json!({"identity_type": "GROUP", "add_ids": [two], "remove_ids": [one]});
    let after = control.call(&root, "PUT", &target, Some(swap)).await.json(200);
    assert_eq!(ids(&after["groups"]), [two.as_str()]);
    assert_eq!(*control.store.head().borrow(), head + 1);
    assert!(!control.record_keys("attachment/").await.contains(&format!("attachment/{id}/group/{one}")));
}

#[tokio::test]
async fn a_group_and_a_user_get_and_lose_policies() {
    let control = Control::start().await;
    let (root, admin) = (control.root(), control.first.administrator.to_string());
    let (one, two) = (create(&control, &root, "one-policy").await, create(&control, &root, "two-policy").await);
    let group = group(&control, &root, "ops").await;
    for (target, extra) in [(format!("/v1/groups/{group}"), None), (format!("/v1/users/{admin}"), Some("user_id"))] {
        let bindings = format!("{target}/policy-bindings");
        let added = control.call(&root, "POST", &bindings, Some(json!({"policy_ids": [one, two]}))).await;
        let body = added.json(200);
        assert!(added.header("Portcullis-Committed-Revision").is_some());
        assert_eq!(members(&body), ["policies"].into_iter().chain(extra).collect::<Vec<_>>());
        let shown = control.call(&root, "GET", &format!("/v1/policies/{one}"), None).await.json(200);
        assert!(body["policies"].as_array().unwrap().contains(&shown));
        assert_eq!(body["policies"].as_array().unwrap().len(), 2);
        let again = control.call(&root, "POST", &bindings, Some(json!({"policy_ids": [one]}))).await.json(200);
        assert_eq!(ids(&again["policies"]), [one.as_str()]);

        let page = control.call(&root, "GET", &format!("{bindings}?policy_name=-policy&policy_type=USER_DEFINED"), None).await.json(200);
        assert_eq!(members(&page), ["count", "page", "policies", "size", "sort"]);
        assert_eq!((&page["count"], &page["sort"]), (&json!(2), &json!(["created_at:desc"])));
        let by_id = control.call(&root, "GET", &format!("{bindings}?policy_id={two}"), None).await.json(200);
        assert_eq!(ids(&by_id["policies"]), [two.as_str()]);

        let gone = control.call(&root, "DELETE", &format!("{bindings}/{one}"), None).await;
        assert_eq!((gone.status, gone.header("Portcullis-Committed-Revision").is_some()), (204, true));
        assert_eq!(control.call(&root, "DELETE", &format!("{bindings}/{one}"), None).await.error(404).0, "NotFound");
        let left = control.call(&root, "GET", &bindings, None).await.json(200);
        assert!(!ids(&left["policies"]).contains(&one));
    }
    let shown = control.call(&root, "GET", &format!("/v1/groups/{group}"), None).await.json(200);
    let policy = control.call(&root, "GET", &format!("/v1/policies/{two}"), None).await.json(200);
    assert_eq!(shown["group"]["policies"], json!([policy]));
    assert_eq!(control.call(&root, "GET", "/v1/groups", None).await.json(200)["groups"][0]["policies"], Json::Null);
    assert_eq!(
        control.record_keys(&format!("attachment/{two}/")).await,
        [format!("attachment/{two}/group/{group}"), format!("attachment/{two}/user/{admin}")]
    );
}

#[tokio::test]
async fn what_belongs_to_another_account_is_neither_given_nor_gets_anything() {
    let control = Control::start().await;
    let (root, other) = (control.root(), control.other_account().await);
    let (ours, theirs) = (create(&control, &root, "ours").await, create(&control, &other, "theirs").await);
    let (our_group, their_group) = (group(&control, &root, "ours").await, group(&control, &other, "theirs").await);
    let their_user = other.srn.rsplit_once('/').unwrap().1.to_owned();
    let head = *control.store.head().borrow();
    for (target, body, complaints) in [
        (format!("/v1/groups/{our_group}/policy-bindings"), json!({"policy_ids": [ours, theirs]}), 1),
        (format!("/v1/users/{}/policy-bindings", control.first.administrator), json!({"policy_ids": [theirs]}), 1),
    ] {
        assert_eq!(details(control.call(&root, "POST", &target, Some(body)).await.error(400)).len(), complaints);
    }
    let target = format!("/v1/policies/{ours}/bindings");
    for body in [
        json!({"identity_type": "GROUP", "add_ids": [our_group, their_group]}),
        json!({"identity_type": "GROUP", "add_ids": [our_group], "remove_ids": [their_group]}),
        json!({"identity_type": "USER", "add_ids": [their_user]}),
        json!({"identity_type": "USER", "add_ids": [our_group]}),
    ] {
        assert_eq!(details(control.call(&root, "PUT", &target, Some(body)).await.error(400)).len(), 1);
    }
    for target in [format!("/v1/groups/{their_group}/policy-bindings"), format!("/v1/users/{their_user}/policy-bindings")] {
        assert_eq!(control.call(&root, "GET", &target, None).await.error(404).0, "NotFound");
        assert_eq!(control.call(&root, "POST", &target, Some(json!({"policy_ids": [ours]}))).await.error(404).0, "NotFound");
        assert_eq!(control.call(&root, "DELETE", &format!("{target}/{ours}"), None).await.error(404).0, "NotFound");
    }
    let their_bindings = format!("/v1/policies/{theirs}/bindings");
    let give = json!({"identity_type": "GROUP", "add_ids": [our_group]});
    assert_eq!(control.call(&root, "PUT", &their_bindings, Some(give)).await.error(404).0, "NotFound");
    assert_eq!(*control.store.head().borrow(), head);

    // A policy of the system is everybody's, but who has it is not.
    let system = control.call(&root, "GET", "/v1/policies?policy_name=Administrator", None).await.json(200)["policies"][0]["id"].clone();
    let target = format!("/v1/policies/{}/bindings", system.as_str().unwrap());
    let mine = control.call(&root, "GET", &target, None).await.json(200);
    assert_eq!((&mine["count"], &mine["users"][0]["id"]), (&json!(1), &json!(control.first.administrator.to_string())));
    let give = json!({"identity_type": "GROUP", "add_ids": [our_group]});
    assert_eq!(control.call(&root, "PUT", &target, Some(give)).await.json(200)["count"], 1);
}

#[tokio::test]
async fn who_may_do_everything_may_give_everything() {
    let control = Control::start().await;
    let (admin, other) = (control.admin(), control.other_account().await);
    let id = create(&control, &admin, "ops").await;
    let group = group(&control, &admin, "ops").await;
    let give = Some(json!({"policy_ids": [id]}));
    let target = format!("/v1/groups/{group}/policy-bindings");
    assert_eq!(control.call(&admin, "POST", &target, give.clone()).await.status, 200);
    let wider = Some(json!({"policy_version": {"policy_document": document("*")}}));
    assert_eq!(control.call(&admin, "PUT", &format!("/v1/policies/{id}"), wider).await.status, 200);
    assert_eq!(control.call(&admin, "DELETE", &format!("{target}/{id}"), None).await.status, 204);
    assert_eq!(control.call(&admin, "DELETE", &format!("/v1/policies/{id}"), None).await.status, 204);
    assert_eq!(control.call(&other, "POST", &target, give).await.error(404).0, "NotFound");
}

#[tokio::test]
async fn bodies_say_whom_and_what() {
    let control = Control::start().await;
    let root = control.root();
    let id = create(&control, &root, "ops").await;
    let group = group(&control, &root, "ops").await;
    let mut found = Vec::new();
    for body in [
        json!({}),
        json!({"identity_type": "SERVICE", "add_ids": ["x", 5]}),
        json!({"identity_type": "GROUP"}),
        json!({"identity_type": "GROUP", "add_ids": [group], "remove_ids": [group]}),
        json!({"identity_type": "GROUP", "add_id": [group]}),
    ] {
        found.extend(details(control.call(&root, "PUT", &format!("/v1/policies/{id}/bindings"), Some(body)).await.error(400)));
    }
    for body in [json!({}), json!({"policy_ids": []}), json!({"policy_ids": [id, id]})] {
        found.extend(details(control.call(&root, "POST", &format!("/v1/groups/{group}/policy-bindings"), Some(body)).await.error(400)));
    }
    insta::assert_debug_snapshot!("bodies", found);
}

#[tokio::test]
async fn a_group_has_at_most_fifty_policies() {
    let control = Control::start().await;
    let root = control.root();
    let group = group(&control, &root, "ops").await;
    let mut all = Vec::new();
    for number in 0..51 {
        all.push(create(&control, &root, &format!("policy-{number}")).await);
    }
    let target = format!("/v1/groups/{group}/policy-bindings");
    let expected = ("LimitExceeded".to_owned(), json!("a group has at most 50 policies"));
    assert_eq!(control.call(&root, "POST", &target, Some(json!({ "policy_ids": all }))).await.error(409), expected);
    assert_eq!(control.call(&root, "GET", &target, None).await.json(200)["count"], 0);
    assert_eq!(control.call(&root, "POST", &target, Some(json!({"policy_ids": all[..50]}))).await.status, 200);
    let last = json!({"identity_type": "GROUP", "add_ids": [group]});
    assert_eq!(control.call(&root, "PUT", &format!("/v1/policies/{}/bindings", all[50]), Some(last)).await.error(409), expected);
    let new = json!({"name": "more", "policy_ids": all});
    assert_eq!(control.call(&root, "POST", "/v1/groups", Some(new)).await.error(409), expected);
    assert_eq!(control.record_keys("attachment/").await.len(), 51);
}

#[tokio::test]
async fn the_gateway_is_told_everything_that_a_request_is_about() {
    let control = Control::start().await;
    let snapshot = control.store.snapshot();
    let definition = snapshot.definition("iam").unwrap();
    let resources = |method: Method, path: &str, body: Json| -> Result<Vec<String>, String> {
        let path = Path::parse(path).unwrap();
        let (operation, parameters) = definition.find(&method, &path, None).unwrap();
        let node = json::parse(body.to_string().as_bytes(), json::Limits { bytes_max: 4_096, depth_max: 8 }).unwrap();
        let headers = HeaderMap::new();
        let inputs = Inputs { parameters: &parameters, query: "", headers: &headers, body: Some(&node), host: &[], account: "a" };
        let mut named = Vec::new();
        for resource in &operation.resources {
            let ResourceTemplate::Typed { kind, id } = resource else { panic!("no SRN stands here") };
            for id in id.evaluate(&inputs).map_err(|error| error.to_string())? {
                named.push(format!("{}/{id}", snapshot.catalogue().resource_type(*kind).name));
            }
        }
        named.sort();
        named.dedup();
        Ok(named)
    };
    let bulk = resources(Method::DELETE, "/v1/policies/bulk", json!({"ids": ["1", "2"]}));
    assert_eq!(bulk.unwrap(), ["policy/1", "policy/2"]);
    assert!(resources(Method::DELETE, "/v1/policies/bulk", json!({"ids": []})).is_err());
    let given = resources(Method::POST, "/v1/groups/g/policy-bindings", json!({"policy_ids": ["1", "2"]}));
    assert_eq!(given.unwrap(), ["group/g", "policy/1", "policy/2"]);
    let given = resources(Method::POST, "/v1/users/u/policy-bindings", json!({"policy_ids": ["1"]}));
    assert_eq!(given.unwrap(), ["policy/1", "user/u"]);
    let taken = resources(Method::DELETE, "/v1/users/u/policy-bindings/1", json!({}));
    assert_eq!(taken.unwrap(), ["policy/1", "user/u"]);
    let given = resources(Method::POST, "/v1/roles/r/policy-bindings", json!({"policy_ids": ["1"]}));
    assert_eq!(given.unwrap(), ["policy/1", "role/r"]);
    for (body, expected) in [
        (json!({"role_ids": ["1", "2"], "role_names": null}), ["role/1", "role/2"]),
        (json!({"role_names": ["a", "b"]}), ["role/a", "role/b"]),
    ] {
        assert_eq!(resources(Method::DELETE, "/v1/roles/bulk", body).unwrap(), expected);
    }
    assert!(resources(Method::DELETE, "/v1/roles/bulk", json!({})).is_err());
    for body in [
        json!({"add_ids": ["1"], "remove_ids": ["2"]}),
        json!({"add_ids": ["1", "2"]}),
        json!({"remove_ids": ["1", "2"], "add_ids": []}),
        json!({"remove_ids": ["1", "2"], "add_ids": null}),
    ] {
        let named = resources(Method::PUT, "/v1/policies/p/bindings", body).unwrap();
        assert_eq!(named, ["group/1", "group/2", "policy/p", "role/1", "role/2", "user/1", "user/2"]);
    }
    assert!(resources(Method::PUT, "/v1/policies/p/bindings", json!({"identity_type": "GROUP"})).is_err());
}
