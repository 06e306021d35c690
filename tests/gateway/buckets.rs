//! Services that speak S3: buckets and keys in paths and hosts, operations in queries, errors in XML.

use super::aws::Aws;
use super::backend::Backend;
use super::client::{Answer, Ask, Who};
use super::harness::{ACCOUNT, ADMIN, READER, Setup, World, text};

const DEFINITIONS: &str = "
kind: scp-iam:action-definition
service: s3
paths:
  /:
    get: {action: s3:ListAllMyBuckets, access_level: List}
  /{bucket}:
    get: {action: s3:ListBucket, access_level: List, resources: [{'s3:bucket': {resource_id: \"path['bucket']\"}}]}
    put: {action: s3:CreateBucket, access_level: Create, resources: [{'s3:bucket': {resource_id: \"path['bucket']\"}}]}
  /{bucket}?policy:
    put: {action: s3:PutBucketPolicy, access_level: Permission, resources: [{'s3:bucket': {resource_id: \"path['bucket']\"}}]}
  /{bucket}/{key}:
    get: {action: s3:GetObject, access_level: Read, resources: [{'s3:object': {resource_id: \"path['key']\"}}]}
    put: {action: s3:PutObject, access_level: Create, resources: [{'s3:object': {resource_id: \"path['key']\"}}]}
  /{bucket}/{key}?uploads:
    post: {action: s3:CreateMultipartUpload, access_level: Create, resources: [{'s3:object': {resource_id: \"path['key']\"}}]}
  /{bucket}/{key}?uploadId:
    put: {action: s3:UploadPart, access_level: Create, resources: [{'s3:object': {resource_id: \"path['key']\"}}]}
  /v1/versions:
    get: {authentication: none}
---
kind: scp-iam:action-definition
service: store
paths:
  /v1/things:
    get: {action: store:ListThings, access_level: List}
";

fn started(upstream: &str) -> (Backend, World) {
    let backend = Backend::start();
    let service = "definitions: [s3]\n    path_profile: s3\n    error_protocol: s3\n    sigv4: {service: s3, profile: s3}";
    let deny = r#"{"Sid": "Hidden", "Effect": "Deny", "Action": ["s3:*"], "Resource": ["srn:e:::::s3:object/secret/*"]}"#;
    let reader = r#"{"Effect": "Allow", "Action": ["s3:Get*", "s3:List*", "s3:CreateBucket"], "Resource": ["*"]}"#;
    let mut setup = Setup::new().set("service", service).set("upstream", upstream).definitions(DEFINITIONS).edit_records(|records| {
        records
            .lines()
            .filter(|line| !line.contains("kind: policy") && !line.contains("kind: attachment"))
            .map(|line| format!("{line}\n"))
            .collect()
    });
    for (user, statement) in [
        ("ad000000000000000000000000000001", r#"{"Effect": "Allow", "Action": ["*"], "Resource": ["*"]}"#),
        ("5e000000000000000000000000000001", reader),
    ] {
        setup = setup.policy(ACCOUNT, user, &format!("{statement}, {deny}"));
    }
    let world = setup.set("hosts", "s3.test, '{bucket}.s3.test', ").start(&backend);
    (backend, world)
}

fn s3(who: Who, method: &'static str, host: &'static str, path: &str, query: &str) -> Aws {
    Aws { who, host, service: "s3", once_encoded: true, ..Aws::new(method, path) }.query(query)
}

fn code(answer: &Answer) -> String {
    let text = answer.text();
    let code = text.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>"));
    code.unwrap_or_else(|| panic!("{text}")).0.to_owned()
}

#[test]
fn a_bucket_in_the_host_is_the_bucket_in_the_path() {
    let (backend, world) = started("");
    for (host, path, query, action, target) in [
        ("s3.test", "/", "", "s3:ListAllMyBuckets", "/"),
        ("s3.test", "/photos", "list-type=2", "s3:ListBucket", "/photos?list-type=2"),
        ("s3.test", "/photos/", "", "s3:ListBucket", "/photos/"),
        ("s3.test", "/photos/a/b//c", "", "s3:GetObject", "/photos/a/b//c"),
        ("photos.s3.test", "/", "list-type=2", "s3:ListBucket", "/photos/?list-type=2"),
        ("photos.s3.test", "/a/b%20c", "", "s3:GetObject", "/photos/a/b%20c"),
        ("PHOTOS.s3.test", "/a", "", "s3:GetObject", "/photos/a"),
        ("photos.s3.test", "/other/a", "", "s3:GetObject", "/photos/other/a"),
    ] {
        let answer = world.ask(s3(ADMIN, "GET", host, path, query).signed());
        assert_eq!(answer.verdict(), (200, "allow"), "{host}{path}: {}", answer.text());
        assert_eq!(backend.last().target(), target);
        assert_eq!(text(&world.record(answer.request_id()), "action"), Some(action), "{host}{path}");
    }
    // Where the Host is kept the backend reads the bucket there.
    let (backend, world) = started("preserve_host: true");
    assert_eq!(world.ask(s3(ADMIN, "GET", "photos.s3.test", "/a", "").signed()).status, 200);
    assert_eq!((backend.last().target(), backend.last().header("host").as_deref()), ("/a", Some("photos.s3.test")));
}

#[test]
fn a_key_is_one_resource_however_it_is_written() {
    let (backend, world) = started("");
    for path in ["/photos/secret/a", "/photos/secret%2Fa", "/photos/s%65cret/a", "/photos/%73ecret%2f%61"] {
        let answer = world.ask(Ask::get(path).by(&ADMIN));
        assert_eq!((answer.verdict(), code(&answer).as_str()), ((403, "explicit_deny"), "AccessDenied"), "{path}");
    }
    let hosted = Ask::get("/secret/a").host("photos.s3.test").by(&ADMIN);
    assert_eq!(world.ask(hosted).verdict(), (403, "explicit_deny"));
    for path in ["/photos/x/../secret/a", "/photos/./secret/a", "/photos/x/%2e%2e/secret/a", "/photos/se+cret", "//photos/a", "/photos;x/a"]
    {
        let answer = world.ask(Ask::get(path).by(&ADMIN));
        assert_eq!((answer.verdict(), code(&answer).as_str()), ((400, "ambiguous_request"), "InvalidURI"), "{path}");
    }
    assert_eq!(backend.count(), 0);
    assert_eq!(world.ask(Ask::get("/photos//a/").by(&ADMIN)).verdict(), (200, "allow"), "a key of a store of objects");
}

#[test]
fn an_operation_is_what_its_query_says() {
    let (backend, world) = started("");
    let (no_action, two) = ((403, "no_action_definition"), (400, "ambiguous_request"));
    for (method, path, query, expected) in [
        ("PUT", "/photos", "", Ok("s3:CreateBucket")),
        ("PUT", "/photos", "x-id=CreateBucket", Ok("s3:CreateBucket")),
        ("PUT", "/photos", "policy", Ok("s3:PutBucketPolicy")),
        ("PUT", "/photos", "policy=", Ok("s3:PutBucketPolicy")),
        ("PUT", "/photos", "p%6Flicy", Ok("s3:PutBucketPolicy")),
        ("PUT", "/photos", "acl", Err(no_action)),
        ("PUT", "/photos", "acl=&policy=", Err(two)),
        ("PUT", "/photos", "policy=&policy=", Ok("s3:PutBucketPolicy")),
        ("PUT", "/photos", "x=1;policy", Err(two)),
        ("PUT", "/photos", "Policy", Ok("s3:CreateBucket")),
        ("GET", "/photos", "versions", Err(no_action)),
        ("GET", "/photos", "policy", Err(no_action)),
        ("GET", "/photos/a", "versionId=1", Err(no_action)),
        ("GET", "/photos/a", "response-content-type=text%2Fplain", Ok("s3:GetObject")),
        ("POST", "/photos", "delete", Err(no_action)),
        ("POST", "/photos/a", "uploads", Ok("s3:CreateMultipartUpload")),
        ("POST", "/photos/a", "", Err(no_action)),
        ("PUT", "/photos/a", "partNumber=1&uploadId=u", Ok("s3:UploadPart")),
        ("PUT", "/photos/a", "partNumber=1", Err(no_action)),
        ("PUT", "/photos/a", "uploadId=u&acl=", Err(two)),
    ] {
        let before = backend.count();
        let target = if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") };
        let answer = world.ask(Ask::new(method, &target).by(&ADMIN));
        match expected {
            Ok(action) => assert_eq!(text(&world.record(answer.request_id()), "action"), Some(action), "{method} {target}"),
            Err(verdict) => assert_eq!((answer.verdict(), backend.count()), (verdict, before), "{method} {target}"),
        }
    }
    // Who may create buckets may not write their policies.
    assert_eq!(world.ask(s3(READER, "PUT", "s3.test", "/photos", "").signed()).verdict(), (200, "allow"));
    assert_eq!(world.ask(s3(READER, "PUT", "s3.test", "/photos", "policy=").signed()).verdict(), (403, "implicit_deny"));
}

#[test]
fn what_headers_would_do_elsewhere_is_no_operation() {
    let (backend, world) = started("");
    for name in [
        "x-amz-copy-source",
        "X_Amz_Copy_Source",
        "x-amz-copy-source-range",
        "x-amz-meta-snowball-auto-extract",
        "X-Amz-Meta_Minio-Snowball-Prefix",
        "x-minio-extract",
        "x-minio-replication-actual-object-size",
        "x-amz-bypass-governance-retention",
    ] {
        let answer = world.ask(Ask::new("PUT", "/photos/copy").line(&format!("{name}: /photos/secret/a")).by(&ADMIN));
        assert_eq!(answer.verdict(), (403, "no_action_definition"), "{name}");
    }
    assert_eq!(backend.count(), 0);
    assert_eq!(world.ask(Ask::new("PUT", "/photos/copy").line("x-amz-copy: 1").line("x-amz-meta-snow: 1").by(&ADMIN)).status, 200);
}

#[test]
fn a_stranger_learns_nothing_from_s3_errors() {
    let (backend, world) = started("");
    let get = |who| world.ask(s3(who, "GET", "s3.test", "/photos/a", "").signed());
    let wrong = get(Who { secret: "another secret", ..ADMIN });
    let unknown = get(Who { key: "00000000000000000000000000000000", ..ADMIN });
    let body = |answer: &Answer| answer.text().replace(answer.request_id(), "ID");
    assert_eq!((wrong.status, code(&wrong).as_str()), (401, "SignatureDoesNotMatch"));
    assert_eq!((unknown.status, body(&unknown)), (401, body(&wrong)));
    assert_eq!(wrong.header("content-type"), Some("application/xml"));
    assert_eq!(wrong.header("www-authenticate"), Some("AWS4-HMAC-SHA256"));

    let late = s3(ADMIN, "GET", "s3.test", "/photos/a", "").at(super::client::NOW_MS - 900_000);
    assert_eq!(code(&world.ask(late.signed())), "RequestTimeTooSkewed");
    assert_eq!(code(&world.ask(Ask::get("/photos/a").host("s3.test").plain())), "AccessDenied");
    assert_eq!(backend.count(), 0);
    // A HEAD has no body, whatever happened.
    let mut client = world.connect();
    client.send(Ask::new("HEAD", "/photos/secret/a").by(&ADMIN));
    assert_eq!(client.outcome("HEAD").unwrap().verdict(), (403, "explicit_deny"));
    assert_eq!(client.ask(Ask::get("/photos/a").by(&ADMIN)).verdict(), (200, "allow"), "and nothing of one comes later");
}
