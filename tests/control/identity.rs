//! Nobody is served whom no gateway vouches for.

use serde_json::json;

use super::harness::{Control, IDENTITY_KEY, NOW_MS, Request, Who};

const TARGET: &str = "/v1/groups";

#[tokio::test]
async fn only_what_a_gateway_signed_now_is_served() {
    let control = Control::start().await;
    let (root, admin) = (control.root(), control.admin());
    let good = || Request::new(&root, "GET", TARGET);
    assert_eq!(control.send(good()).await.status, 200);
    let other_account = Who { account: "0".repeat(32), ..root.clone() };
    let stranger = Who::new(&root.account, &"1".repeat(32));
    let twice = good().header("Portcullis-Principal", &admin.srn);
    for (what, request) in [
        ("without an assertion", good().with("Portcullis-Assertion", None)),
        ("without a principal", good().with("Portcullis-Principal", None)),
        ("another principal than was signed", good().with("Portcullis-Principal", Some(&admin.srn))),
        ("another account than was signed", good().with("Portcullis-Account", Some(&"0".repeat(32)))),
        ("another request id than was signed", good().with("Portcullis-Request-Id", Some("req-2"))),
        ("a principal twice", twice),
        ("a principal of another account", Request::new(&other_account, "GET", TARGET)),
        ("a user that is none", Request::new(&stranger, "GET", TARGET)),
        ("another key", Request::at(&root, "GET", TARGET, NOW_MS, "another key")),
        ("too old", Request::at(&root, "GET", TARGET, NOW_MS - 60_001, IDENTITY_KEY)),
        ("from the future", Request::at(&root, "GET", TARGET, NOW_MS + 60_001, IDENTITY_KEY)),
    ] {
        let answer = control.send(request).await;
        let (code, detail) = answer.error(401);
        assert_eq!(answer.header("WWW-Authenticate"), Some("Portcullis-Assertion"));
        assert_eq!(code, "Unauthorized", "{what}");
        assert_eq!(detail, "the request carries no valid assertion of a gateway", "{what}");
    }
    let signed_for_another_target = Request::new(&root, "GET", "/v1/groups?name=a").text().replace("?name=a", "?name=b");
    assert_eq!(control.raw(&signed_for_another_target).await.status, 401);
    let signed_for_another_method = good().text().replace("GET /v1", "DELETE /v1");
    assert_eq!(control.raw(&signed_for_another_method).await.status, 401);
}

#[tokio::test]
async fn a_route_that_is_none_is_not_found_after_the_assertion() {
    let control = Control::start().await;
    let root = control.root();
    assert_eq!(control.call(&root, "GET", "/v1/nothing", None).await.error(404).0, "NotFound");
    assert_eq!(control.call(&root, "PATCH", TARGET, None).await.error(404).0, "NotFound");
    assert_eq!(control.call(&root, "GET", "/v1/groups//members", None).await.error(400).0, "BadRequest");
    assert_eq!(control.call(&root, "GET", "/v1/%67roups", None).await.status, 200);
    let nobody = control.raw("GET /v1/nothing HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    assert_eq!(nobody.error(401).0, "Unauthorized");
    let alive = control.raw("GET /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    assert_eq!((alive.status, alive.body.as_str()), (200, "ok\n"));
}

#[tokio::test]
async fn bodies_and_heads_have_limits() {
    let control = Control::start().await;
    let root = control.root();
    let large = Request::new(&root, "POST", TARGET).text_body(&" ".repeat(256 * 1024 + 1));
    assert_eq!(control.send(large).await.error(413).0, "PayloadTooLarge");
    let long = Request::new(&root, "GET", TARGET).header("X-Long", &"a".repeat(70 * 1024));
    assert_eq!(control.send(long).await.status, 431);
}

#[tokio::test]
async fn the_server_ends_when_it_is_told_to() {
    let control = Control::start().await;
    let address = control.address;
    let idle = tokio::net::TcpStream::connect(address).await.unwrap();
    let folder = control.stop().await;
    drop((idle, folder));
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn public_routes_need_no_user_but_a_gateway() {
    let control = Control::start().await;
    let versions = control.send(Request::anonymous("GET", "/")).await.json(200);
    let link = json!({"href": "https://iam.test/v1", "rel": "self"});
    let version = json!({"id": "v1.4", "links": [link], "not_before": "2026-02-23", "status": "CURRENT"});
    assert_eq!(versions, json!({"versions": [version]}));
    assert_eq!(control.call(&control.root(), "GET", "/", None).await.json(200), versions);
    for bad in [
        Request::anonymous("GET", "/").with("Portcullis-Assertion", None),
        Request::anonymous("GET", "/").header("Portcullis-Principal", &control.root().srn),
        Request::signed(&control.root(), "Anonymous", "GET", "/", NOW_MS, IDENTITY_KEY),
        Request::anonymous("GET", TARGET),
        Request::anonymous("GET", "/v1/endpoints"),
    ] {
        assert_eq!(control.send(bad).await.error(401).0, "Unauthorized");
    }
}

#[tokio::test]
async fn the_catalogue_of_services_is_the_configured_one() {
    let control = Control::start().await;
    let other = control.other_account().await;
    let endpoints = control.call(&other, "GET", "/v1/endpoints", None).await.json(200);
    let iam = json!({"region": "", "service_name": "iam", "service_type": "scp-iam", "url": "https://iam.test"});
    let compute = json!({"region": "kr-west1", "service_name": "compute", "service_type": "scp-compute", "url": "https://compute.test"});
    assert_eq!(endpoints, json!({"endpoints": [iam, compute]}));
}
