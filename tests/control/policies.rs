//! Policies: every operation, its exact shape, versions, documents and their errors, whose policies it sees, and what it refuses.

use serde_json::{Value as Json, json};

use super::harness::{Control, NOW, Request, Who, members};

const MEMBERS: [&str; 22] = [
    "account_id",
    "created_at",
    "created_by",
    "creator_email",
    "creator_name",
    "default_version_id",
    "description",
    "domain_name",
    "id",
    "modified_at",
    "modified_by",
    "modifier_email",
    "modifier_name",
    "policy_category",
    "policy_name",
    "policy_type",
    "policy_versions",
    "resource_type",
    "service_name",
    "service_type",
    "srn",
    "state",
];

/// A document that allows an action of the API itself.
pub(crate) fn document(action: &str) -> Json {
    json!({"Version": "2024-07-01", "Statement": [{"Effect": "Allow", "Action": [action], "Resource": ["*"]}]})
}

pub(crate) fn body(name: &str, action: &str) -> Json {
    json!({"policy_name": name, "policy_version": {"policy_document": document(action)}})
}

pub(crate) async fn create(control: &Control, who: &Who, name: &str) -> String {
    let made = control.call(who, "POST", "/v1/policies", Some(body(name, "iam:ListGroups"))).await;
    made.json(201)["id"].as_str().unwrap().to_owned()
}

pub(crate) fn details((code, detail): (String, Json)) -> Vec<String> {
    assert_eq!(code, "ValidationError");
    serde_json::from_value(detail).unwrap()
}

/// The document that the gateways get.
async fn fed(control: &Control, id: &str) -> String {
    let (_, record) = control.records().await.into_iter().find(|(key, _)| *key == format!("policy/{id}")).unwrap();
    serde_json::from_str::<Json>(&record).unwrap()["document"].as_str().unwrap().to_owned()
}

async fn version(control: &Control, who: &Who, id: &str) -> (String, Vec<(String, String)>) {
    let shown = control.call(who, "GET", &format!("/v1/policies/{id}"), None).await.json(200);
    let text = |value: &Json| value.as_str().unwrap().to_owned();
    let version = |version: &Json| (text(&version["policy_version_name"]), text(&version["policy_document"]["Statement"][0]["Action"][0]));
    let default = shown["policy_versions"].as_array().unwrap().iter().find(|one| one["id"] == shown["default_version_id"]).unwrap();
    (text(&default["policy_version_name"]), shown["policy_versions"].as_array().unwrap().iter().map(version).collect())
}

fn named(name: &str, action: &str) -> (String, String) {
    (name.to_owned(), action.to_owned())
}

#[tokio::test]
async fn a_policy_is_made_shown_changed_and_removed() {
    let control = Control::start().await;
    let (root, user) = (control.root(), control.first.root.to_string());
    let new = json!({
        "policy_name": "운영-policy", "description": "on call", "tags": [{"key": "team", "value": "ops"}],
        "policy_category": "IDENTITY_BASED", "policy_type": "USER_DEFINED", "service_type": null, "default_version_id": null,
        "policy_version": {"policy_document": document("iam:ListGroups")},
    });
    let made = control.call(&root, "POST", "/v1/policies", Some(new)).await;
    let policy = made.json(201);
    let id = policy["id"].as_str().unwrap().to_owned();
    let version_id = policy["policy_versions"][0]["id"].clone();
    assert_eq!(members(&policy), MEMBERS);
    let account = &root.account;
    let expected = json!({
        "account_id": account, "created_at": NOW, "created_by": user, "creator_email": null, "creator_name": "root",
        "default_version_id": version_id, "description": "on call", "domain_name": "scp", "id": id, "modified_at": NOW,
        "modified_by": user, "modifier_email": null, "modifier_name": "root", "policy_category": "IDENTITY_BASED",
        "policy_name": "운영-policy", "policy_type": "USER_DEFINED", "resource_type": "policy",
        "service_name": "Identity and Access Management", "service_type": "iam", "srn": format!("srn:e::{account}:::iam:policy/{id}"),
        "state": "ACTIVE",
        "policy_versions": [{
            "created_at": NOW, "created_by": user, "id": version_id, "modified_at": NOW, "modified_by": user,
            "policy_document": document("iam:ListGroups"), "policy_id": id, "policy_version_name": "POLICY_VERSION_1",
        }],
    });
    assert_eq!(policy, expected);
    let revision = made.header("Portcullis-Committed-Revision").unwrap();
    assert_eq!(made.header("ETag").unwrap(), format!("\"{revision}\""));
    assert!(control.records().await.iter().any(|(key, _)| *key == format!("policy/{id}")));

    let target = format!("/v1/policies/{id}");
    let shown = control.call(&root, "GET", &target, None).await;
    assert_eq!((shown.json(200), shown.header("ETag")), (policy, made.header("ETag")));
    let again = control.call(&root, "POST", "/v1/policies", Some(body("운영-policy", "*"))).await.error(409);
    assert_eq!(again, ("Conflict".to_owned(), json!("there is a policy named `운영-policy` already")));

    let tag = shown.header("ETag").unwrap();
    let put = |name: &str| Request::new(&root, "PUT", &target).header("If-Match", tag).body(Some(json!({ "policy_name": name })));
    let set = control.send(put("ops-policy")).await;
    assert_eq!((&set.json(200)["policy_name"], &set.json(200)["description"]), (&json!("ops-policy"), &json!("on call")));
    assert_eq!(control.send(put("late-policy")).await.error(412).0, "PreconditionFailed");
    assert_eq!(control.send(Request::new(&root, "DELETE", &target).header("If-Match", tag)).await.status, 412);
    let gone = control.call(&root, "DELETE", &target, None).await;
    assert_eq!((gone.status, gone.body.as_str()), (204, ""));
    assert!(gone.header("Portcullis-Committed-Revision").is_some());
    let (code, detail) = control.call(&root, "GET", &target, None).await.error(404);
    assert_eq!((code.as_str(), detail), ("NotFound", json!(format!("there is no policy `{id}`"))));
    assert!(!control.records().await.iter().any(|(key, _)| *key == format!("policy/{id}")));
}

#[tokio::test]
async fn a_document_is_fed_byte_for_byte_as_it_is_answered() {
    let control = Control::start().await;
    let root = control.root();
    let text = r#"{"policy_name": "loose", "policy_version": {"policy_document":
        {"Statement": {"Resource": "*", "Condition": {"StringEquals": {"scp:UserName": "김 \u0041"}, "Bool": {"scp:MultiFactorAuthPresent": true}},
         "Principal": null, "NotAction": null, "Action": "iam:ListGroups", "Effect": "Deny", "Sid": "s"}, "Version": "2024-07-01"}}}"#;
    let made = control.send(Request::new(&root, "POST", "/v1/policies").text_body(text)).await;
    let id = made.json(201)["id"].as_str().unwrap().to_owned();
    let expected = r#"{"Version":"2024-07-01","Statement":[{"Sid":"s","Effect":"Deny","Action":["iam:ListGroups"],"Resource":["*"],"Condition":{"StringEquals":{"scp:UserName":["김 A"]},"Bool":{"scp:MultiFactorAuthPresent":[true]}}}]}"#;
    assert!(made.body.contains(&format!("\"policy_document\":{expected},")), "{}", made.body);
    assert_eq!(fed(&control, &id).await, expected);
    let shown = control.call(&root, "GET", &format!("/v1/policies/{id}"), None).await;
    assert_eq!(shown.body, made.body);
    let digest = control.store.change_digest(*control.store.head().borrow()).await.unwrap().unwrap();
    assert_eq!(control.store.state().await.unwrap().position().await.unwrap().digest, digest);
    assert!(control.store.snapshot().policy(id.parse().unwrap()).is_some_and(|policy| !policy.is_invalid()));
}

#[tokio::test]
async fn every_problem_of_a_body_and_its_document_comes_at_once() {
    let control = Control::start().await;
    let root = control.root();
    let text = r#"{"policy_name": "a b", "policy_type": "INLINE", "default_version_id": "x", "policy_version": {"policy_document": {
  "Version": "2012-10-17",
  "Statement": [
    {"Effect": "allow", "Action": "iam:ListGroups", "Resource": "arn:aws:s3:::x"},
    {"Effect": "Allow", "Action": ["iam:[Lst]"], "Resources": "*", "Condition": {"StringEqals": {"scp:UserName": "x"}}}
  ]
}, "policy_version_id": 7}}"#;
    let found = control.send(Request::new(&root, "POST", "/v1/policies").text_body(text)).await.error(400);
    insta::assert_debug_snapshot!("a_document", details(found));
    for (name, policy_version) in [
        ("no_document", json!({})),
        ("a_text", json!({"policy_document": ""})),
        ("an_empty_document", json!({"policy_document": {}})),
        ("nulls_that_are_none", json!({"policy_document": {"Version": null, "Statement": [{"Effect": "Allow", "Action": null}]}})),
        ("an_id", json!({"policy_document": document("*"), "policy_version_id": "1".repeat(32)})),
    ] {
        let new = json!({"policy_name": "ops", "policy_version": policy_version});
        insta::assert_debug_snapshot!(name, details(control.call(&root, "POST", "/v1/policies", Some(new)).await.error(400)));
    }
    let long = json!({"policy_name": "ops", "policy_version": {"policy_document": document(&"x".repeat(70_000))}});
    let found = details(control.call(&root, "POST", "/v1/policies", Some(long)).await.error(400));
    assert!(found[0].contains("the limit is 65536"), "{found:?}");
    for name in ["ab", "with space", "a/b", "x".repeat(129).as_str()] {
        let refused = control.call(&root, "POST", "/v1/policies", Some(body(name, "*"))).await;
        assert_eq!(details(refused.error(400)).len(), 1, "{name}");
    }
    assert_eq!(control.call(&root, "GET", "/v1/policies?policy_type=USER_DEFINED", None).await.json(200)["count"], 0);
}

#[tokio::test]
async fn a_version_is_changed_added_and_put_in_force() {
    let control = Control::start().await;
    let root = control.root();
    let id = create(&control, &root, "ops").await;
    let target = format!("/v1/policies/{id}");
    let first = version(&control, &root, &id).await;
    assert_eq!(first, ("POLICY_VERSION_1".to_owned(), vec![named("POLICY_VERSION_1", "iam:ListGroups")]));

    // What the vendor's Terraform provider sends: no id and no name, and the new document is to be in force.
    let terraform = json!({"description": null, "policy_name": "ops", "policy_version": {"policy_document": document("iam:ShowGroup")}});
    assert_eq!(control.call(&root, "PUT", &target, Some(terraform)).await.status, 200);
    assert_eq!(version(&control, &root, &id).await.1, [named("POLICY_VERSION_1", "iam:ShowGroup")]);
    assert!(fed(&control, &id).await.contains("iam:ShowGroup"));

    // A new name is a new version, which waits until it is picked.
    let draft = json!({"policy_version": {"policy_document": document("iam:SetGroup"), "policy_version_name": "next", "policy_id": id}});
    let added = control.call(&root, "PUT", &target, Some(draft.clone())).await.json(200);
    let both = [named("POLICY_VERSION_1", "iam:ShowGroup"), named("next", "iam:SetGroup")];
    assert_eq!(version(&control, &root, &id).await, ("POLICY_VERSION_1".to_owned(), both.to_vec()));
    assert!(fed(&control, &id).await.contains("iam:ShowGroup"));
    let next = added["policy_versions"].as_array().unwrap().iter().find(|one| one["policy_version_name"] == "next").unwrap();
    let picked = control.call(&root, "PUT", &target, Some(json!({"default_version_id": next["id"]}))).await;
    assert_eq!(picked.json(200)["default_version_id"], next["id"]);
    assert!(fed(&control, &id).await.contains("iam:SetGroup"));

    // The id says which one; a name beside it is its new name.
    let by_id = json!({"policy_version_id": next["id"], "policy_version_name": "current", "policy_document": document("*")});
    assert_eq!(control.call(&root, "PUT", &target, Some(json!({"policy_version": by_id}))).await.status, 200);
    let (default, versions) = version(&control, &root, &id).await;
    assert_eq!((default.as_str(), versions.len()), ("current", 2));
    let taken = json!({"policy_version_id": next["id"], "policy_version_name": "POLICY_VERSION_1", "policy_document": document("*")});
    assert_eq!(control.call(&root, "PUT", &target, Some(json!({"policy_version": taken}))).await.error(409).0, "Conflict");

    let other = create(&control, &root, "other").await;
    let foreign = control.call(&root, "GET", &format!("/v1/policies/{other}"), None).await.json(200)["default_version_id"].clone();
    let wrong = json!({
        "default_version_id": foreign,
        "policy_version": {"policy_document": document("*"), "policy_id": other, "policy_version_id": foreign},
    });
    let head = *control.store.head().borrow();
    let found = details(control.call(&root, "PUT", &target, Some(wrong)).await.error(400));
    assert_eq!(found.len(), 3, "{found:?}");
    assert_eq!(*control.store.head().borrow(), head);

    for name in ["3rd", "4th", "5th"] {
        let draft = json!({"policy_version": {"policy_document": document("*"), "policy_version_name": name}});
        assert_eq!(control.call(&root, "PUT", &target, Some(draft)).await.status, 200);
    }
    let full = control.call(&root, "PUT", &target, Some(draft)).await.error(409);
    assert_eq!(full, ("LimitExceeded".to_owned(), json!("a policy has at most 5 versions")));
}

#[tokio::test]
async fn a_list_is_filtered_sorted_and_paged() {
    let control = Control::start().await;
    let root = control.root();
    let alpha = create(&control, &root, "alpha").await;
    let beta = create(&control, &root, "beta_1").await;
    let group = control.call(&root, "POST", "/v1/groups", Some(json!({"name": "ops", "policy_ids": [alpha]}))).await.json(201);
    let group = group["group"]["id"].as_str().unwrap().to_owned();
    let admin = control.first.administrator.to_string();
    let names = |page: &Json| page["policies"].as_array().unwrap().iter().map(|one| one["policy_name"].clone()).collect::<Vec<_>>();
    let page = control.call(&root, "GET", "/v1/policies?size=2&page=1&sort=policy_name:desc", None).await.json(200);
    assert_eq!(members(&page), ["count", "page", "policies", "size", "sort"]);
    assert_eq!(
        (&page["count"], &page["page"], &page["size"], &page["sort"]),
        (&json!(4), &json!(1), &json!(2), &json!(["policy_name:desc"]))
    );
    assert_eq!(names(&page), ["ReadOnlyAccess", "AdministratorAccess"]);
    assert_eq!(members(&page["policies"][0]), MEMBERS);
    assert_eq!((&page["policies"][0]["account_id"], &page["policies"][0]["policy_type"]), (&Json::Null, &json!("SYSTEM_MANAGED")));
    let srn = format!("srn:e:::::iam:policy/{}", page["policies"][0]["id"].as_str().unwrap());
    assert_eq!(page["policies"][0]["srn"], srn);
    assert_eq!(page["policies"][0]["policy_versions"].as_array().unwrap().len(), 1);
    for (query, expected) in [
        (format!("id={alpha}"), vec!["alpha"]),
        ("policy_name=a_1".to_owned(), vec!["beta_1"]),
        ("policy_type=SYSTEM_MANAGED".to_owned(), vec!["AdministratorAccess", "ReadOnlyAccess"]),
        ("policy_type=USER_DEFINED,INLINE".to_owned(), vec!["alpha", "beta_1"]),
        ("policy_type=iam.PolicyType1+value".to_owned(), vec![]),
        ("service_type=scp-iam&policy_type=USER_DEFINED".to_owned(), vec!["alpha", "beta_1"]),
        ("service_type=scp-compute".to_owned(), vec![]),
        ("creator_name=roo".to_owned(), vec!["alpha", "beta_1"]),
        ("modifier_name=nobody".to_owned(), vec![]),
        ("creator_email=x".to_owned(), vec![]),
        ("modifier_email=x".to_owned(), vec![]),
        (format!("exclude_group_id={group}&policy_type=USER_DEFINED"), vec!["beta_1"]),
        (format!("exclude_user_id={admin}&policy_type=SYSTEM_MANAGED"), vec!["ReadOnlyAccess"]),
    ] {
        let page = control.call(&root, "GET", &format!("/v1/policies?sort=policy_name:asc&{query}"), None).await.json(200);
        assert_eq!(names(&page), expected, "{query}");
        assert_eq!(page["count"], expected.len(), "{query}");
    }
    let excluded = Some(json!({"excluded_policy_ids": [alpha]}));
    let page = control.call(&root, "POST", "/v1/policies/list?policy_type=USER_DEFINED", excluded).await.json(200);
    assert_eq!((page["count"].clone(), names(&page)), (json!(1), vec![json!("beta_1")]));
    let page = control.call(&root, "POST", "/v1/policies/list", Some(json!({}))).await.json(200);
    assert_eq!(page["count"], 4);
    let bad = control.call(&root, "POST", "/v1/policies/list", Some(json!({"excluded_policy_ids": ["x"], "y": 1}))).await.error(400);
    assert_eq!(details(bad).len(), 2);
    assert_eq!(control.call(&root, "GET", "/v1/policies?exclude_group_id=x&colour=red", None).await.error(400).0, "ValidationError");
    assert_eq!(control.call(&root, "GET", &format!("/v1/policies/{}", beta.to_uppercase()), None).await.error(404).0, "NotFound");
}

#[tokio::test]
async fn a_policy_in_use_stays() {
    let control = Control::start().await;
    let (root, admin) = (control.root(), control.first.administrator.to_string());
    let id = create(&control, &root, "ops").await;
    for name in ["one", "two", "three"] {
        let made = control.call(&root, "POST", "/v1/groups", Some(json!({"name": name, "policy_ids": [id]}))).await;
        assert_eq!(made.status, 201);
    }
    let to_user = json!({"identity_type": "USER", "add_ids": [admin]});
    assert_eq!(control.call(&root, "PUT", &format!("/v1/policies/{id}/bindings"), Some(to_user)).await.status, 200);
    let (code, detail) = control.call(&root, "DELETE", &format!("/v1/policies/{id}"), None).await.error(409);
    assert_eq!(code, "Conflict");
    let detail = detail.as_str().unwrap();
    assert!(detail.starts_with("the policy `ops` is attached to the ") && detail.ends_with(", 1 more; detach it first"), "{detail}");
    let free = create(&control, &root, "free").await;
    let head = *control.store.head().borrow();
    let bulk = |ids: Json| Some(json!({ "ids": ids }));
    assert_eq!(control.call(&root, "DELETE", "/v1/policies/bulk", bulk(json!([free, id]))).await.error(409).0, "Conflict");
    let unknown = control.call(&root, "DELETE", "/v1/policies/bulk", bulk(json!([free, "9".repeat(32)]))).await.error(404);
    assert_eq!(unknown, ("NotFound".to_owned(), json!(format!("there is no policy `{}`", "9".repeat(32)))));
    for none in [json!([]), json!(null), json!([free, free])] {
        assert_eq!(details(control.call(&root, "DELETE", "/v1/policies/bulk", bulk(none)).await.error(400)).len(), 1);
    }
    assert_eq!(*control.store.head().borrow(), head);
    let more = create(&control, &root, "more").await;
    let done = control.call(&root, "DELETE", "/v1/policies/bulk", bulk(json!([free, more]))).await;
    assert_eq!(done.status, 204);
    assert_eq!(*control.store.head().borrow(), head + 2);
    assert_eq!(control.call(&root, "GET", "/v1/policies?policy_type=USER_DEFINED", None).await.json(200)["count"], 1);
}

#[tokio::test]
async fn policies_of_the_system_are_seen_by_all_and_changed_by_none() {
    let control = Control::start().await;
    for who in [control.root(), control.other_account().await] {
        let page = control.call(&who, "GET", "/v1/policies?policy_name=ReadOnly", None).await.json(200);
        let id = page["policies"][0]["id"].as_str().unwrap().to_owned();
        let target = format!("/v1/policies/{id}");
        assert_eq!(control.call(&who, "GET", &target, None).await.json(200)["policy_name"], "ReadOnlyAccess");
        let set = Some(json!({"policy_version": {"policy_document": document("*")}}));
        assert_eq!(control.call(&who, "PUT", &target, set).await.error(403).0, "Forbidden");
        assert_eq!(control.call(&who, "DELETE", &target, None).await.error(403).0, "Forbidden");
        let bulk = Some(json!({"ids": [id]}));
        assert_eq!(control.call(&who, "DELETE", "/v1/policies/bulk", bulk).await.error(403).0, "Forbidden");
    }
}

#[tokio::test]
async fn policies_of_another_account_do_not_exist() {
    let control = Control::start().await;
    let (root, other) = (control.root(), control.other_account().await);
    let id = create(&control, &root, "ours").await;
    let target = |id: &str| format!("/v1/policies/{id}");
    let (absent, head) = ("9".repeat(32), *control.store.head().borrow());
    let put = || Some(json!({"policy_name": "theirs"}));
    for (method, suffix, body) in [("GET", "", None), ("PUT", "", put()), ("DELETE", "", None), ("GET", "/bindings", None)] {
        let of_another = control.call(&other, method, &format!("{}{suffix}", target(&id)), body.clone()).await;
        let of_nobody = control.call(&other, method, &format!("{}{suffix}", target(&absent)), body).await;
        assert_eq!(of_another.error(404).0, "NotFound");
        assert_eq!(of_another.body.replace(&id, "ID"), of_nobody.body.replace(&absent, "ID"));
    }
    let bulk = control.call(&other, "DELETE", "/v1/policies/bulk", Some(json!({"ids": [id]}))).await;
    assert_eq!(bulk.error(404).0, "NotFound");
    assert_eq!(control.call(&other, "GET", &format!("/v1/policies?id={id}"), None).await.json(200)["count"], 0);
    assert_eq!(*control.store.head().borrow(), head);
    create(&control, &other, "ours").await;
    let mine = control.call(&root, "GET", "/v1/policies?policy_name=ours", None).await.json(200);
    assert_eq!((&mine["count"], &mine["policies"][0]["id"]), (&json!(1), &json!(id)));
}

#[tokio::test]
async fn an_account_has_room_for_so_many_characters_of_documents() {
    let control = Control::start().await;
    let root = control.root();
    let networks: Vec<String> = (0..900).map(|number| format!("10.{}.{}.0/24", number / 250 + 100, number % 250)).collect();
    let condition = json!({"IpAddress": {"scp:SourceIp": networks}, "NotIpAddress": {"scp:SourceIp": networks}});
    let statement = json!({"Effect": "Allow", "Action": ["iam:ListGroups"], "Resource": ["*"], "Condition": condition});
    let document = json!({"Version": "2024-07-01", "Statement": [statement, statement]});
    let new = |name: String| json!({"policy_name": name, "policy_version": {"policy_document": document}});
    let size = new("x".to_owned())["policy_version"]["policy_document"].to_string().len();
    assert!((50_000..65_536).contains(&size), "{size}");
    let fits = 4 * 1024 * 1024 / size;
    for number in 0..fits {
        let made = control.call(&root, "POST", "/v1/policies", Some(new(format!("policy-{number}")))).await;
        assert_eq!(made.status, 201, "{number} of {fits}: {}", made.body);
    }
    let full = control.call(&root, "POST", "/v1/policies", Some(new("one-more".to_owned()))).await.error(409);
    assert_eq!(full, ("LimitExceeded".to_owned(), json!("an account has at most 4194304 characters in policy documents")));
}
