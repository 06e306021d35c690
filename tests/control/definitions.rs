//! Definitions: checked as gateways would, never widening what policies restrict without being told to.

use serde_json::{Value as Json, json};

use super::harness::{Answer, Control, NOW, Request, Who, members};

const DEFINITIONS: &str = "/portcullis/v1/definitions";
const TARGET: &str = "/portcullis/v1/definitions/compute";
const POLICY: &str = "7000000000000000000000000000000a";

const COMPUTE: &str = "\
kind: scp-iam:action-definition
service: compute
service_type: scp-compute
paths:
  /v1/servers:
    get: {action: compute:ListServers, access_level: List}
  /v1/servers/{server_id}:
    delete: {action: compute:DeleteServer, access_level: Delete, resources: [{\"compute:server\": {resource_id: \"path['server_id']\"}}]}
";

async fn put(control: &Control, who: &Who, document: &str) -> Answer {
    control.call(who, "PUT", TARGET, Some(json!({ "document": document }))).await
}

#[track_caller]
fn complaints(answer: &Answer) -> Vec<String> {
    let (code, detail) = answer.error(400);
    assert_eq!(code, "ValidationError");
    serde_json::from_value(detail).unwrap()
}

/// A control plane that has the definition, and a policy of the system with these statements.
async fn with_policy(statements: Json) -> Control {
    let control = Control::start().await;
    assert_eq!(put(&control, &control.admin(), COMPUTE).await.status, 201);
    let document = json!({"Version": "2024-07-01", "Statement": statements}).to_string();
    let body = json!({"kind": "policy", "id": POLICY, "account": "system", "name": "Guard", "document": document}).to_string();
    control.with_record(&format!("policy/{POLICY}"), &body).await
}

#[tokio::test]
async fn a_definition_is_put_shown_and_removed() {
    let control = Control::start().await;
    let admin = control.admin();
    let made = put(&control, &admin, COMPUTE).await;
    let user = control.first.administrator.to_string();
    let mut shown = json!({
        "built_in": false, "created_at": NOW, "created_by": user, "creator_name": "admin", "document": COMPUTE, "modified_at": NOW,
        "modified_by": user, "modifier_name": "admin", "service": "compute",
        "srn": format!("srn:e::{}:::portcullis:definition/compute", admin.account),
    });
    assert_eq!(
        made.json(201),
        json!({
            "accepted_widening": [], "actions_added": ["compute:DeleteServer", "compute:ListServers"], "actions_removed": [],
            "definition": shown, "outcome": "created",
        })
    );
    let one = control.call(&admin, "GET", TARGET, None).await;
    assert_eq!(one.json(200), json!({ "definition": shown }));
    assert_eq!(
        control.record_keys("definition/").await,
        ["definition/compute", "definition/iam", "definition/portcullis", "definition/sts"]
    );

    let head = *control.store.head().borrow();
    let again = put(&control, &admin, COMPUTE).await.json(200);
    assert_eq!((&again["outcome"], *control.store.head().borrow()), (&json!("unchanged"), head));
    let smaller = COMPUTE.replace("ListServers", "EnumerateServers");
    let changed = put(&control, &admin, &smaller).await.json(200);
    assert_eq!(changed["outcome"], "changed");
    assert_eq!(
        (&changed["actions_added"], &changed["actions_removed"]),
        (&json!(["compute:EnumerateServers"]), &json!(["compute:ListServers"]))
    );
    let stale = Request::new(&admin, "DELETE", TARGET).header("If-Match", one.header("ETag").unwrap());
    assert_eq!(control.send(stale).await.error(412).0, "PreconditionFailed");

    let page = control.call(&admin, "GET", &format!("{DEFINITIONS}?service=comp"), None).await.json(200);
    shown.as_object_mut().unwrap().remove("document");
    assert_eq!(page, json!({"count": 1, "page": 0, "size": 20, "sort": ["service:desc"], "definitions": [shown]}));
    let gone = control.call(&admin, "DELETE", TARGET, None).await;
    assert_eq!((gone.status, gone.body.as_str()), (204, ""));
    let (_, detail) = control.call(&admin, "GET", TARGET, None).await.error(404);
    assert_eq!(detail, "there is no definition `compute`");

    let log = control.call(&admin, "GET", "/portcullis/v1/audit?resource=definition/compute", None).await.json(200);
    let states: Vec<Json> = log["entries"].as_array().unwrap().iter().map(|entry| json!([entry["before"], entry["after"]])).collect();
    let document = |text: &str| json!({ "document": text });
    let expected = [json!([document(&smaller), null]), json!([document(COMPUTE), document(&smaller)]), json!([null, document(COMPUTE)])];
    assert_eq!(states, expected);
}

#[tokio::test]
async fn the_programs_own_definitions_cannot_be_changed() {
    let control = Control::start().await;
    let admin = control.admin();
    for service in ["iam", "portcullis"] {
        let target = format!("{DEFINITIONS}/{service}");
        let own = control.call(&admin, "GET", &target, None).await.json(200)["definition"].clone();
        assert_eq!((&own["built_in"], &own["created_by"]), (&json!(true), &json!("system")));
        let body = Some(json!({"document": own["document"], "accept_widening": true}));
        let expected = json!(format!("the definition of `{service}` comes with the program and cannot be changed"));
        assert_eq!(control.call(&admin, "PUT", &target, body).await.error(409), ("Conflict".to_owned(), expected.clone()));
        assert_eq!(control.call(&admin, "DELETE", &target, None).await.error(409), ("Conflict".to_owned(), expected));
    }
}

#[tokio::test]
async fn all_problems_of_a_definition_are_told_with_their_places() {
    let control = Control::start().await;
    let admin = control.admin();
    let several = COMPUTE.replace("access_level: List", "access_level: Lst").replace("path['server_id']", "path['id']");
    let unknown = COMPUTE.replace("\"compute:server\"", "\"compte:server\"");
    let alias = COMPUTE.replace("service_type: scp-compute", "service_type: scp-compute\naliases: [iam]");
    let levels = COMPUTE.replace("compute:DeleteServer", "compute:ListServers");
    let twice = format!("{COMPUTE}  /v1/servers/{{id}}:\n    delete: {{action: compute:Drop, access_level: Delete}}\n");
    let found: Vec<(&str, Vec<String>)> = vec![
        ("several", complaints(&put(&control, &admin, &several).await)),
        ("unknown service", complaints(&put(&control, &admin, &unknown).await)),
        ("alias", complaints(&put(&control, &admin, &alias).await)),
        ("levels", complaints(&put(&control, &admin, &levels).await)),
        ("twice", complaints(&put(&control, &admin, &twice).await)),
        ("other service", complaints(&put(&control, &admin, &COMPUTE.replace("service: compute", "service: network")).await)),
        ("no kind", complaints(&put(&control, &admin, "service: compute\n").await)),
        ("no yaml", complaints(&put(&control, &admin, "a: [b\n").await)),
        ("nothing", complaints(&put(&control, &admin, "").await)),
        ("no text", complaints(&control.call(&admin, "PUT", TARGET, Some(json!({"document": 7, "x": 1}))).await)),
    ];
    insta::assert_debug_snapshot!("problems", found);
    assert_eq!(control.record_keys("definition/").await, ["definition/iam", "definition/portcullis", "definition/sts"]);
}

#[tokio::test]
async fn another_definition_that_depends_on_a_removed_one_says_so() {
    let control = Control::start().await;
    let admin = control.admin();
    assert_eq!(put(&control, &admin, COMPUTE).await.status, 201);
    let backup = COMPUTE.replace("compute", "backup").replace("backup:server", "compute:server");
    let target = format!("{DEFINITIONS}/backup");
    assert_eq!(control.call(&admin, "PUT", &target, Some(json!({ "document": backup }))).await.status, 201);
    insta::assert_debug_snapshot!("dependent", complaints(&control.call(&admin, "DELETE", TARGET, None).await));
}

#[tokio::test]
async fn a_change_that_takes_from_a_deny_or_a_not_action_is_refused_unless_accepted() {
    let control = with_policy(json!([
        {"Sid": "NoDelete", "Effect": "Deny", "Action": ["compute:*[Delete]"], "Resource": ["*"]},
        {"Effect": "Allow", "NotAction": ["compute:DeleteServer"], "Resource": ["*"]},
        {"Sid": "Reads", "Effect": "Allow", "Action": ["compute:ListServers"], "Resource": ["*"]},
    ]))
    .await;
    let admin = control.admin();
    let head = *control.store.head().borrow();
    let deny = format!("the policy `Guard` (`{POLICY}`), statement `NoDelete`, would no longer deny `compute:DeleteServer`");
    let except = format!("the policy `Guard` (`{POLICY}`), statement number 2, would no longer except `compute:DeleteServer`");

    let renamed = COMPUTE.replace("DeleteServer", "RemoveServer");
    assert_eq!(put(&control, &admin, &renamed).await.error(409), ("Conflict".to_owned(), json!([deny, except])));
    let milder = COMPUTE.replace("access_level: Delete", "access_level: Update");
    assert_eq!(put(&control, &admin, &milder).await.error(409), ("Conflict".to_owned(), json!([deny])));
    assert_eq!(control.call(&admin, "DELETE", TARGET, None).await.error(409).1, json!([deny, except]));
    assert_eq!(*control.store.head().borrow(), head);

    // What is only allowed may go, and what is new widens nothing.
    let unlisted = COMPUTE.replace("ListServers", "EnumerateServers");
    assert_eq!(put(&control, &admin, &unlisted).await.json(200)["accepted_widening"], json!([]));
    let body = json!({"document": milder, "accept_widening": true});
    let accepted = control.call(&admin, "PUT", TARGET, Some(body)).await.json(200);
    assert_eq!(accepted["accepted_widening"], json!([deny]));
    let log = control.call(&admin, "GET", "/portcullis/v1/audit?size=1", None).await.json(200);
    let entry = &log["entries"][0];
    assert_eq!(entry["after"], json!({"document": milder, "accepted_widening": [deny]}));
    assert_eq!(entry["before"], json!({ "document": unlisted }));
    let gone = control.call(&admin, "DELETE", &format!("{TARGET}?accept_widening=true"), None).await;
    assert_eq!(gone.status, 204);
    let log = control.call(&admin, "GET", "/portcullis/v1/audit?size=1", None).await.json(200);
    assert_eq!(log["entries"][0]["after"], json!({"document": null, "accepted_widening": [except]}));
    assert_eq!(members(&log["entries"][0]["before"]), ["document"]);
}
