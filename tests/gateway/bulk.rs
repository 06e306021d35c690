//! Operations that name their targets in the body: every target counts, and the backend gets the very bytes decided on.

use super::backend::Backend;
use super::client::{Ask, Who};
use super::harness::{ACCOUNT, ADMIN, READER, Setup, World, text};

const KEEPER: Who = Who { key: "4ee9e400000000000000000000000001", secret: "keeper-secret-000001" };
const KEEPER_ID: &str = "4ee90000000000000000000000000001";

const ALLOWED: (u16, &str) = (200, "allow");
const MALFORMED: (u16, &str) = (400, "malformed_request");
const NOT_ALLOWED: (u16, &str) = (403, "implicit_deny");
const DENIED: (u16, &str) = (403, "explicit_deny");
const JSON: &str = "Content-Type: application/json";

/// The keeper may delete policies whose id starts with `a`, but not `a-locked`.
fn start(backend: &Backend) -> World {
    let statements = r#"{"Effect": "Allow", "Action": ["iam:DeleteBulkPolicy"], "Resource": ["srn:e:::::scp-iam:policy/a*"]},
        {"Effect": "Deny", "Action": ["*"], "Resource": ["srn:e:::::scp-iam:policy/a-locked"]}"#;
    Setup::new()
        .set("service", "body_bytes_max: 4096")
        .user("keeper", &KEEPER, KEEPER_ID, ACCOUNT)
        .policy(ACCOUNT, KEEPER_ID, statements)
        .start(backend)
}

fn delete(lines: &[&str]) -> Ask {
    lines.iter().fold(Ask::new("DELETE", "/v1/policies/bulk"), |ask, line| ask.line(line))
}

#[test]
fn every_target_in_the_body_must_be_allowed_and_one_deny_refuses_all() {
    let backend = Backend::start();
    let world = start(&backend);
    let many: Vec<String> = (0..200).map(|number| format!("\"a{number}\"")).collect();
    let many = format!("{{\"ids\":[{}]}}", many.join(","));
    let too_many: Vec<String> = (0..1_001).map(|number| (10_000 + number).to_string()).collect();
    let rows: &[(&str, &Who, (u16, &str))] = &[
        (r#"{"ids":["a1"]}"#, &KEEPER, ALLOWED),
        (r#"{"ids":["a1","a2","a3"]}"#, &KEEPER, ALLOWED),
        (" {\n\"other\": {\"ids\": [\"b\"]}, \"ids\" :\t[ \"a1\" , \"a1\" ] } \r\n", &KEEPER, ALLOWED),
        (r#"{"ids":["\u0061one"]}"#, &KEEPER, ALLOWED),
        (&many, &KEEPER, ALLOWED),
        (r#"{"ids":["a1","b1"]}"#, &KEEPER, NOT_ALLOWED),
        (r#"{"ids":["b1","a1"]}"#, &KEEPER, NOT_ALLOWED),
        (r#"{"ids":["a1","A1"]}"#, &KEEPER, NOT_ALLOWED),
        (r#"{"ids":["a1","*"]}"#, &KEEPER, NOT_ALLOWED),
        (r#"{"ids":["a1","a-locked"]}"#, &KEEPER, DENIED),
        (r#"{"ids":["a-locked","a1"]}"#, &KEEPER, DENIED),
        (r#"{"ids":["a1","a\u002dlocked"]}"#, &KEEPER, DENIED),
        (r#"{"ids":["b1","a-locked"]}"#, &KEEPER, DENIED),
        (r#"{"ids":["a1"]}"#, &READER, NOT_ALLOWED),
        (r#"{"ids":["anything","at all"]}"#, &ADMIN, ALLOWED),
        // A number is its text.
        (r#"{"ids":[7]}"#, &ADMIN, ALLOWED),
        (r#"{"ids":[7]}"#, &KEEPER, NOT_ALLOWED),
        (&format!("{{\"ids\":[{}]}}", too_many[..600].join(",")), &ADMIN, ALLOWED),
    ];
    let mut client = world.connect();
    for (body, who, expected) in rows {
        let before = backend.count();
        let answer = client.ask(delete(&[JSON]).body(body).by(who));
        assert_eq!(answer.verdict(), *expected, "{body}: {}", answer.text());
        let seen = backend.since(before);
        assert_eq!(seen.len(), usize::from(answer.status == 200), "{body}");
        assert!(seen.iter().all(|seen| seen.body == body.as_bytes()), "the very bytes that were decided on");
        assert_eq!(text(&world.record(answer.request_id()), "action"), Some("iam:DeleteBulkPolicy"));
    }
}

#[test]
fn a_body_with_two_readings_or_without_targets_is_refused() {
    let backend = Backend::start();
    let world = start(&backend);
    let good = r#"{"ids":["a1"]}"#;
    let rows: &[(&[&str], &str)] = &[
        (&[JSON], r#"{"ids":["a1"],"ids":["b1"]}"#),
        (&[JSON], r#"{"ids":["b1"],"ids":["a1"]}"#),
        (&[JSON], r#"{"ids":["a1"],"\u0069ds":["b1"]}"#),
        (&[JSON], r#"{"ids":["a1"],"x":{"y":1,"y":2}}"#),
        (&[JSON], "\u{feff}{\"ids\":[\"a1\"]}"),
        (&[JSON], r#"{"ids":["a1"]}{"ids":["b1"]}"#),
        (&[JSON], r#"{"ids":["a1"]} x"#),
        (&[JSON], "{\"ids\":[\"a1\"]}\u{0}"),
        (&[JSON], r#"{"ids":["a1"],}"#),
        (&[JSON], r#"{"ids":["a1"] /* "ids":["b1"] */}"#),
        (&[JSON], r#"{'ids':['a1']}"#),
        (&[JSON], r#"{"ids":["a1"]"#),
        (&[JSON], "{\"ids\":[\"a1\n\"]}"),
        (&[JSON], r#"{"ids":["\ud800"]}"#),
        (&[JSON], ""),
        (&[JSON], "null"),
        (&[JSON], r#"["a1"]"#),
        (&[JSON], r#"{}"#),
        (&[JSON], r#"{"ids":null}"#),
        (&[JSON], r#"{"ids":[]}"#),
        (&[JSON], r#"{"ids":"a1"}"#),
        (&[JSON], r#"{"ids":{"0":"a1"}}"#),
        (&[JSON], r#"{"ids":[""]}"#),
        (&[JSON], r#"{"ids":["a1",null]}"#),
        (&[JSON], r#"{"ids":["a1",["b1"]]}"#),
        (&[JSON], r#"{"ids":["a1",{"id":"b1"}]}"#),
        (&[JSON], r#"{"ids":["a1",true]}"#),
        (&[JSON], r#"{"IDs":["a1"]}"#),
        // A second spelling is the same name to some readers, and `7.0` is the number 7 to others.
        (&[JSON], r#"{"ids":["a"],"IDS":["b"]}"#),
        (&[JSON], r#"{"IDS":["b"],"ids":["a"]}"#),
        (&[JSON], r#"{"ids":["a"],"\u0049ds":["b"]}"#),
        (&[JSON], "{\"ids\":[\"a\"],\"id\u{17f}\":[\"b\"]}"),
        (&[JSON], r#"{"ids":[7.0]}"#),
        (&[JSON], r#"{"ids":["a",7.0]}"#),
        (&[JSON], r#"{"ids":[7e0]}"#),
        (&[JSON], r#"{"ids":[-0]}"#),
        (&[JSON], r#"{"id":"a1"}"#),
        (&[], good),
        (&["Content-Type:"], good),
        (&["Content-Type: text/plain"], good),
        (&["Content-Type: text/json"], good),
        (&["Content-Type: application/x-www-form-urlencoded"], good),
        (&["Content-Type: application/json+x"], good),
        (&["Content-Type: application/jsonp"], good),
        (&["Content-Type: text/plain; application/json"], good),
        (&["Content-Type: text/plain, application/json"], good),
        (&[JSON, "Content-Encoding: gzip"], good),
        (&[JSON, "Content-Encoding: identity"], good),
        (&[JSON, "Content-Encoding:"], good),
        (&[JSON, "CONTENT-ENCODING: br"], good),
    ];
    let mut client = world.connect();
    let mut wrong = Vec::new();
    for (lines, body) in rows {
        let answer = client.ask(delete(lines).body(body).by(&ADMIN));
        if answer.verdict() != MALFORMED || backend.count() > 0 {
            wrong.push(format!("{lines:?} {body:?}: {:?}", answer.verdict()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for line in
        [JSON, "content-type: Application/JSON", "Content-Type: application/json; charset=utf-8", "Content-Type:application/json ;x"]
    {
        assert_eq!(client.ask(delete(&[line]).body(good).by(&ADMIN)).verdict(), ALLOWED, "{line}");
    }
}

#[test]
fn a_body_of_two_media_types_is_refused() {
    let backend = Backend::start();
    let world = start(&backend);
    // As JSON the target is `a1`, as a form it is `a-locked`: backends differ in which Content-Type they believe.
    let both = r#"{"ids":["a1"],"x":"&ids=a-locked&"}"#;
    let form = "Content-Type: application/x-www-form-urlencoded";
    for lines in [[JSON, form], [form, JSON], [JSON, "Content_Type: application/x-www-form-urlencoded"]] {
        let answer = world.ask(delete(&lines).body(both).by(&KEEPER));
        let told: Vec<String> =
            backend.since(0).iter().flat_map(|seen| [seen.all("content-type"), seen.all("content_type")].concat()).collect();
        assert!(
            answer.verdict() == MALFORMED || told == ["application/json"],
            "{lines:?}: {:?}, the backend is told {told:?}",
            answer.verdict()
        );
    }
}

#[test]
fn a_charset_that_reads_other_targets_is_refused() {
    let backend = Backend::start();
    let world = start(&backend);
    // In UTF-7 the second member is called `ids` as well.
    let both = r#"{"ids":["a1"],"+AGkAZABz-":["a-locked"]}"#;
    for charset in ["utf-7", "utf-16", "ibm037", "\"utf-7\""] {
        let answer = world.ask(delete(&[&format!("Content-Type: application/json; charset={charset}")]).body(both).by(&KEEPER));
        assert_eq!((answer.verdict(), backend.count()), (MALFORMED, 0), "{charset}");
    }
}

#[test]
fn a_body_over_the_limit_is_refused_before_it_is_read_whole() {
    let backend = Backend::start();
    let world = start(&backend);
    let body = |length: usize| format!("{{\"ids\":[\"a1\"]{}}}", " ".repeat(length - 14));
    assert_eq!(world.ask(delete(&[JSON]).body(body(4096)).by(&KEEPER)).verdict(), ALLOWED);
    assert_eq!(backend.last().body.len(), 4096);
    for length in [4_097, 300_000] {
        let answer = world.ask(delete(&[JSON]).body(body(length)).by(&KEEPER));
        assert_eq!(answer.verdict(), (413, "body_too_large"), "{length}");
        let mut chunked = delete(&[JSON, "Transfer-Encoding: chunked"]).by(&KEEPER);
        chunked.extend(format!("{length:x}\r\n{}\r\n0\r\n\r\n", body(length)).into_bytes());
        assert_eq!(world.ask(chunked).verdict(), (413, "body_too_large"), "{length} in chunks");
    }
    // Not a byte of it has come: the announcement is enough, or it is refused once the limit is passed.
    let mut client = world.connect();
    client.send(delete(&[JSON, "Content-Length: 1000000000000"]).by(&KEEPER)).send(" ".repeat(5_000));
    assert_eq!(client.answer().verdict(), (413, "body_too_large"));
    assert_eq!(backend.count(), 1);
}

#[test]
fn a_body_in_chunks_is_decided_on_and_passed_on_whole() {
    let backend = Backend::start();
    let world = start(&backend);
    for (ids, expected) in [("a2", ALLOWED), ("a-locked", DENIED)] {
        let mut client = world.connect();
        client.send(delete(&[JSON, "Transfer-Encoding: chunked"]).by(&KEEPER));
        for piece in ["{\"ids\"", ":[\"a1\",\"", ids, "\"]}"] {
            client.send(format!("{:x}\r\n{piece}\r\n", piece.len()));
        }
        client.send("0\r\n\r\n");
        assert_eq!(client.answer().verdict(), expected);
    }
    assert_eq!((backend.count(), backend.last().body.as_slice()), (1, &br#"{"ids":["a1","a2"]}"#[..]));
}

#[test]
fn a_body_that_breaks_off_is_refused_and_leaves_a_record() {
    let backend = Backend::start();
    let world = start(&backend);
    let mut client = world.connect();
    client.send(delete(&[JSON, "Content-Length: 100"]).by(&KEEPER)).send("{\"ids\":[").half_close();
    if let Ok(answer) = client.outcome("DELETE") {
        assert_eq!(answer.verdict(), MALFORMED);
    }
    super::harness::wait("the record", || (!world.records().is_empty()).then_some(()));
    assert_eq!(text(&world.records()[0], "reason"), Some("malformed_request"));
    assert_eq!(backend.count(), 0);
}

#[test]
fn a_client_that_leaves_inside_a_body_that_is_decided_on_leaves_a_record() {
    let backend = Backend::start();
    let mut world = start(&backend);
    let mut client = world.connect();
    client.send(delete(&[JSON, "Expect: 100-continue", "Content-Length: 100"]).by(&KEEPER));
    assert_eq!(client.head().unwrap().status, 100, "the gateway is reading the body");
    client.reset();
    super::harness::wait("the connection's end", || (world.metric("portcullis_connections") == 0).then_some(()));
    world.stop();
    assert_eq!((world.records().len(), backend.count()), (1, 0), "whatever happens, a request leaves one record");
}
