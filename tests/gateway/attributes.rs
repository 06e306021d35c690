//! Conditions on tags and attributes of resources, and on what the request brings: asked of a real backend, once, when it matters.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::aws::Aws;
use super::backend::{Backend, Then, Turn};
use super::client::{Ask, NOW_MS, Who};
use super::harness::{ACCOUNT, ADMIN, Setup, World, pause, wait};
use super::signatures::{CLASSIC, Parts};

const KEEPER: Who = Who { key: "4ee9e400000000000000000000000001", secret: "keeper-secret-000001" };
const KEEPER_ID: &str = "4ee90000000000000000000000000001";

/// A status and its reason.
type Verdict = (u16, &'static str);
/// A condition, and what becomes of requests under it.
type Row<'a, R> = (&'a str, &'a [R]);

const ALLOWED: Verdict = (200, "allow");
const NOT_ALLOWED: Verdict = (403, "implicit_deny");
const DENIED: Verdict = (403, "explicit_deny");
const UNAVAILABLE: Verdict = (403, "attribute_unavailable");
const MALFORMED: Verdict = (400, "malformed_request");

const DEFINITIONS: &str = "
kind: scp-iam:action-definition
service: iam
service_type: scp-iam
condition_prefixes: [people]
paths:
  /v1/versions:
    get: {authentication: none}
  /v1/users/{user_id}:
    get: {action: iam:ShowUser, access_level: Read, resources: [{'iam:user': {resource_id: \"path['user_id']\"}}]}
    put:
      action: iam:SetUser
      access_level: Update
      resources: [{'iam:user': {resource_id: \"path['user_id']\"}}]
      request_tags: \"body['tags']\"
  /v1/groups/{group_id}/members/{user_id}:
    put:
      action: iam:AddMember
      access_level: Permission
      resources: [{'iam:group': {resource_id: \"path['group_id']\"}}, {'iam:user': {resource_id: \"path['user_id']\"}}]
---
kind: scp-resourcemanager:resource-definition
service_type: scp-iam
name: scp-iam:user
resource_type: user
attributes:
  state: {type: string, uri: '/internal/users/{resource_id}', method: GET, jsonpath: $.state}
  lastname: {type: string, uri: '/internal/users/{resource_id}', method: GET, jsonpath: $.last_name, abac: true}
  age: {type: number, uri: '/internal/users/{resource_id}', jsonpath: $.age, abac: true}
  limit: {type: number, uri: '/internal/limits/{account_id}/{resource_id}', jsonpath: '$.limits[0].most', abac: true}
tags: {uri: '/internal/users/{resource_id}/tags', jsonpath: $.tags}
---
kind: scp-iam:action-definition
service: store
paths:
  /v1/things:
    get: {action: store:ListThings, access_level: List}
";

/// A backend that knows users: `GET /internal/users/ID` tells what `ID` is called; it counts these questions.
struct People {
    asked: Arc<AtomicUsize>,
    down: Arc<AtomicBool>,
    name: Arc<Mutex<String>>,
    backend: Backend,
}

impl People {
    fn start(latency: Duration) -> Self {
        let (asked, down, name) = (Arc::<AtomicUsize>::default(), Arc::<AtomicBool>::default(), Arc::new(Mutex::new("Kim".to_owned())));
        let (counted, is_down, told) = (Arc::clone(&asked), Arc::clone(&down), Arc::clone(&name));
        let backend = Backend::scripted(move |turn| {
            let target = turn.seen.target().to_owned();
            let Some(path) = target.strip_prefix("/internal/") else {
                if turn.seen.method() == "PUT" {
                    while turn.piece().is_some() {}
                    *told.lock().unwrap() = "Lee".to_owned();
                }
                return turn.ok();
            };
            counted.fetch_add(1, Ordering::SeqCst);
            assert!(turn.seen.header("scp-accesskey").is_none() && turn.seen.header("portcullis-assertion").is_some(), "{:?}", turn.seen);
            assert_eq!(turn.seen.header("portcullis-principal").as_deref(), Some("portcullis"));
            assert_eq!(turn.seen.header("portcullis-account").as_deref(), Some(ACCOUNT));
            pause(latency);
            if is_down.load(Ordering::SeqCst) {
                return Then::Close;
            }
            let name = told.lock().unwrap().clone();
            answer(turn, path, &name)
        });
        Self { asked, down, name, backend }
    }

    fn asked(&self) -> usize {
        self.asked.swap(0, Ordering::SeqCst)
    }
}

fn answer(turn: &mut Turn<'_>, path: &str, name: &str) -> Then {
    let body = match path.split('/').collect::<Vec<_>>().as_slice() {
        ["users", "broken"] => "{\"last_name\": ".to_owned(),
        ["users", "twice"] => r#"{"last_name": "Park", "last_name": "Kim"}"#.to_owned(),
        ["users", "huge"] => format!(r#"{{"last_name": "Kim", "x": "{}"}}"#, "x".repeat(70_000)),
        ["users", "moved"] => {
            turn.send("HTTP/1.1 302 Found\r\nLocation: /internal/users/u1\r\nContent-Length: 0\r\n\r\n");
            return Then::Keep;
        }
        ["users", "gone"] => {
            turn.send("HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}");
            return Then::Keep;
        }
        ["users", "nameless"] => r#"{"state": "ACTIVE", "last_name": null}"#.to_owned(),
        ["users", "odd"] => r#"{"last_name": {"first": "Kim"}, "age": "old"}"#.to_owned(),
        ["users", "tagged", "tags"] => r#"{"tags": [{"key": "Team", "value": "red"}, {"key": "cost", "value": "1"}]}"#.to_owned(),
        ["users", _, "tags"] => r#"{"tags": {}}"#.to_owned(),
        ["users", _] => format!(r#"{{"state": "ACTIVE", "last_name": "{name}", "age": 40}}"#),
        ["limits", ACCOUNT, _] => r#"{"limits": [{"most": 4.50}]}"#.to_owned(),
        other => panic!("{other:?}"),
    };
    turn.send(format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len()));
    Then::Keep
}

fn start(people: &People, statements: &str, upstream: &str) -> World {
    Setup::new()
        .definitions(DEFINITIONS)
        .set("workers", "2")
        .set("upstream", upstream)
        .user("keeper", &KEEPER, KEEPER_ID, ACCOUNT)
        .policy(ACCOUNT, KEEPER_ID, statements)
        .start(&people.backend)
}

/// An Allow of everything under this condition.
fn allow(condition: &str) -> String {
    format!(r#"{{"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {condition}}}"#)
}

fn show(user: &str) -> Vec<u8> {
    Ask::get(&format!("/v1/users/{user}")).by(&KEEPER)
}

#[test]
fn conditions_on_attributes_and_tags_decide_by_what_the_backend_tells() {
    let people = People::start(Duration::ZERO);
    let rows: &[Row<'_, (&str, Verdict)>] = &[
        (
            r#"{"StringEquals": {"iam:userLastname": "Kim"}}"#,
            &[
                ("u1", ALLOWED),
                ("nameless", NOT_ALLOWED),
                ("broken", UNAVAILABLE),
                ("twice", UNAVAILABLE),
                ("huge", UNAVAILABLE),
                ("moved", UNAVAILABLE),
                ("gone", UNAVAILABLE),
                ("odd", NOT_ALLOWED),
            ],
        ),
        (
            r#"{"StringNotEquals": {"iam:userLastname": "Kim"}}"#,
            &[("u1", NOT_ALLOWED), ("nameless", ALLOWED), ("gone", UNAVAILABLE), ("odd", NOT_ALLOWED)],
        ),
        (r#"{"NumericGreaterThan": {"people:USERAGE": "39.5"}}"#, &[("u1", ALLOWED), ("nameless", NOT_ALLOWED), ("odd", NOT_ALLOWED)]),
        (r#"{"NumericEquals": {"iam:userLimit": "4.5"}, "StringEquals": {"iam:userLastname": "Kim"}}"#, &[("u1", ALLOWED)]),
        (r#"{"StringEquals": {"scp:ResourceTag/team": "red"}}"#, &[("tagged", ALLOWED), ("u1", NOT_ALLOWED)]),
        (r#"{"Null": {"scp:ResourceTag/team": "true"}}"#, &[("tagged", NOT_ALLOWED), ("u1", ALLOWED)]),
        // Not `abac: true`: nobody can test it.
        (r#"{"StringEquals": {"iam:userState": "ACTIVE"}}"#, &[("u1", NOT_ALLOWED)]),
    ];
    for (condition, requests) in rows {
        let world = start(&people, &allow(condition), "");
        for (user, expected) in *requests {
            let answer = world.ask(show(user));
            assert_eq!(answer.verdict(), *expected, "{condition} {user}: {}", answer.text());
        }
    }
}

#[test]
fn a_deny_that_cannot_be_judged_applies_and_one_about_something_else_asks_nobody() {
    let people = People::start(Duration::ZERO);
    let everything = r#"{"Effect": "Allow", "Action": "*", "Resource": "*"}"#;
    let deny = r#"{"Effect": "Deny", "Action": "iam:Show*", "Resource": "*", "Condition": {"StringEquals": {"iam:userLastname": "Park"}}}"#;
    let world = start(&people, &format!("{everything}, {deny}"), "");
    assert_eq!(world.ask(show("u1")).verdict(), ALLOWED);
    assert_eq!(world.ask(show("gone")).verdict(), UNAVAILABLE);
    assert_eq!(people.asked(), 2);
    // Nothing about attributes stands in what is said about this action.
    let set = Ask::new("PUT", "/v1/groups/g1/members/u9").by(&KEEPER);
    assert_eq!(world.ask(set).verdict(), ALLOWED);
    assert_eq!(people.asked(), 0);
}

#[test]
fn nobody_is_asked_when_no_allow_depends_on_it() {
    let people = People::start(Duration::ZERO);
    let lastname = r#""Condition": {"StringEquals": {"iam:userLastname": "Kim"}}"#;
    for (statements, expected) in [
        // Denied already.
        (
            format!(
                r#"{{"Effect": "Allow", "Action": "*", "Resource": "*", {lastname}}}, {{"Effect": "Deny", "Action": "*", "Resource": "*"}}"#
            ),
            DENIED,
        ),
        // Allowed already, and no Deny.
        (
            format!(
                r#"{{"Effect": "Allow", "Action": "*", "Resource": "*"}}, {{"Effect": "Allow", "Action": "*", "Resource": "*", {lastname}}}"#
            ),
            ALLOWED,
        ),
        // Another action, another resource, another condition that fails first.
        (format!(r#"{{"Effect": "Allow", "Action": "iam:SetUser", "Resource": "*", {lastname}}}"#), NOT_ALLOWED),
        (format!(r#"{{"Effect": "Allow", "Action": "*", "Resource": "srn:e:::::iam:user/u2", {lastname}}}"#), NOT_ALLOWED),
        (allow(r#"{"StringEquals": {"iam:userLastname": "Kim", "scp:UserName": "somebody"}}"#), NOT_ALLOWED),
        // A Deny could still fall, but nothing allows.
        (format!(r#"{{"Effect": "Deny", "Action": "*", "Resource": "*", {lastname}}}"#), NOT_ALLOWED),
    ] {
        let world = start(&people, &statements, "");
        assert_eq!(world.ask(show("u1")).verdict(), expected, "{statements}");
        assert_eq!(people.asked(), 0, "{statements}");
        // Nor for a stranger.
        assert_eq!(world.ask(Ask::get("/v1/users/u1").plain()).status, 401);
        assert_eq!(people.asked(), 0);
    }
}

#[test]
fn nobody_is_asked_for_who_sends_more_than_they_may() {
    let people = People::start(Duration::ZERO);
    let by_head = |user: &str| show(user);
    // Who has signed this is known only with the whole body.
    let by_body = |user: &str| {
        let body = Aws { who: KEEPER, body: b"{}".to_vec(), ..Aws::new("GET", &format!("/v1/users/{user}")) };
        body.header("content-length", "2").signed()
    };
    for (kind, ask) in [&by_head as &dyn Fn(&str) -> Vec<u8>, &by_body].into_iter().enumerate() {
        let world = Setup::new()
            .definitions(DEFINITIONS)
            .set("service", "sigv4: {service: iam}")
            .set("rates", "{key: {requests_per_s: 1, burst: 5}}")
            .user("keeper", &KEEPER, KEEPER_ID, ACCOUNT)
            .policy(ACCOUNT, KEEPER_ID, &allow(r#"{"StringEquals": {"iam:userLastname": "Kim"}}"#))
            .start(&people.backend);
        let before = people.asked();
        let statuses: Vec<u16> = (0..40).map(|number| world.ask(ask(&format!("u{number}"))).status).collect();
        // A request counts once, although it is decided twice, or three times.
        assert_eq!(statuses[..5], [200; 5], "{kind}");
        let allowed = statuses.iter().filter(|status| **status == 200).count();
        assert_eq!(statuses.iter().filter(|status| **status == 429).count(), 40 - allowed, "{kind}");
        assert_eq!(people.asked() - before, allowed, "of {allowed} allowed, {kind}");
    }
}

#[test]
fn a_thousand_requests_at_once_ask_once() {
    let people = People::start(Duration::from_millis(400));
    let world = start(
        &people,
        &allow(r#"{"StringEquals": {"iam:userLastname": "Kim"}, "NumericEquals": {"iam:userAge": 40}}"#),
        "attribute_ttl_ms: 60000",
    );
    let mut clients: Vec<_> = (0..1_000).map(|_| world.connect()).collect();
    for client in &mut clients {
        client.send(show("u1"));
    }
    for client in &mut clients {
        assert_eq!(client.answer().verdict(), ALLOWED);
    }
    assert_eq!(people.asked(), 1, "one question, for both attributes, for all workers");
    assert_eq!(world.metric("portcullis_attributes_asked_total"), 1);
    assert_eq!(world.metric("portcullis_attributes_failed_total"), 0);
}

#[test]
fn who_asks_at_once_shares_the_question_and_not_the_decision() {
    let people = People::start(Duration::from_millis(400));
    let is_kim = r#"{"StringEquals": {"iam:userLastname": "Kim"}}"#;
    let deny = format!(r#"{{"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": {is_kim}}}"#);
    let world = Setup::new()
        .definitions(DEFINITIONS)
        .set("workers", "2")
        .set("upstream", "attribute_ttl_ms: 60000")
        .user("keeper", &KEEPER, KEEPER_ID, ACCOUNT)
        .policy(ACCOUNT, KEEPER_ID, &allow(is_kim))
        .policy(ACCOUNT, "ad000000000000000000000000000001", &deny)
        .start(&people.backend);
    let stranger = Who { secret: "not-the-secret-of-it", ..KEEPER };
    let classic = Parts::signed(&CLASSIC, "GET", "/v1/users/u1", "", NOW_MS).bytes();
    let asked = Ask::get("/v1/users/u1");
    let mut turns = Vec::new();
    for _ in 0..50 {
        let requests = [(show("u1"), ALLOWED), (classic.clone(), DENIED), (asked.by(&ADMIN), DENIED)];
        for (request, expected) in requests.into_iter().chain([(asked.by(&stranger), (401, "signature_mismatch"))]) {
            let mut client = world.connect();
            client.send(request);
            turns.push((client, expected));
        }
    }
    for (client, expected) in &mut turns {
        assert_eq!(client.answer().verdict(), *expected);
    }
    assert_eq!(people.asked(), 1);
}

#[test]
fn a_backend_that_is_down_refuses_and_one_that_is_back_allows() {
    let people = People::start(Duration::ZERO);
    let world =
        start(&people, &allow(r#"{"StringEquals": {"iam:userLastname": "Kim"}}"#), "attribute_ttl_ms: 0\n      attribute_timeout_ms: 500");
    assert_eq!(world.ask(show("u1")).verdict(), ALLOWED);
    people.down.store(true, Ordering::SeqCst);
    assert_eq!(world.ask(show("u1")).verdict(), UNAVAILABLE);
    people.down.store(false, Ordering::SeqCst);
    wait("the backend to be asked again", || (world.ask(show("u1")).verdict() == ALLOWED).then_some(()));
    // Nothing listens there at all.
    let statements = allow(r#"{"StringEquals": {"iam:userLastname": "Kim"}}"#);
    let nowhere = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let setup = Setup::new().definitions(DEFINITIONS).user("keeper", &KEEPER, KEEPER_ID, ACCOUNT).policy(ACCOUNT, KEEPER_ID, &statements);
    assert_eq!(setup.start_before(nowhere).ask(show("u1")).verdict(), UNAVAILABLE);
}

#[test]
fn a_backend_that_is_slow_to_tell_refuses_in_time() {
    let people = People::start(Duration::from_secs(3));
    let world = start(&people, &allow(r#"{"StringEquals": {"iam:userLastname": "Kim"}}"#), "attribute_timeout_ms: 100");
    assert_eq!(world.ask(show("u1")).verdict(), UNAVAILABLE);
}

#[test]
fn the_value_after_a_write_is_seen_by_the_next_request() {
    let people = People::start(Duration::ZERO);
    let statements = format!(
        "{}, {}",
        r#"{"Effect": "Allow", "Action": "iam:SetUser", "Resource": "*"}"#,
        r#"{"Effect": "Allow", "Action": "iam:ShowUser", "Resource": "*", "Condition": {"StringEquals": {"iam:userLastname": "Lee"}}}"#
    );
    let world = start(&people, &statements, "attribute_ttl_ms: 300000");
    for _ in 0..20 {
        *people.name.lock().unwrap() = "Kim".to_owned();
        let mut client = world.connect();
        // Another way than through this gateway: seen when the time is over, or after a write.
        client.ask(Ask::new("PUT", "/v1/users/u1").line("Content-Type: application/json").body("{}").by(&KEEPER));
        *people.name.lock().unwrap() = "Kim".to_owned();
        assert_eq!(client.ask(show("u1")).verdict(), NOT_ALLOWED);
        assert_eq!(client.ask(show("u1")).verdict(), NOT_ALLOWED);
        assert_eq!(people.asked(), 1);
        let set = Ask::new("PUT", "/v1/users/u1").line("Content-Type: application/json").body(r#"{"last_name": "Lee"}"#).by(&KEEPER);
        assert_eq!(client.ask(set).verdict(), ALLOWED);
        assert_eq!(world.ask(show("u1")).verdict(), ALLOWED, "on whatever worker");
        assert_eq!(people.asked(), 1);
    }
}

#[test]
fn what_a_request_brings_can_be_tested() {
    let people = People::start(Duration::ZERO);
    let json = "Content-Type: application/json";
    let put = |target: &str, body: &str| {
        let ask = Ask::new("PUT", target);
        if body.is_empty() { ask.by(&KEEPER) } else { ask.line(json).body(body).by(&KEEPER) }
    };
    let user = "/v1/users/u1";
    let rows: &[Row<'_, (&str, &str, Verdict)>] = &[
        (
            r#"{"StringEquals": {"scp:RequestAttribute/body['role']": "reader"}}"#,
            &[
                (user, r#"{"role": "reader"}"#, ALLOWED),
                (user, r#"{"role": "admin"}"#, NOT_ALLOWED),
                (user, r#"{"Role": "reader"}"#, NOT_ALLOWED),
                (user, r#"{"role": "reader", "Role": "admin"}"#, NOT_ALLOWED),
                (user, r#"{"role": "reader", "role": "admin"}"#, MALFORMED),
                (user, r#"{"role": ["reader"]}"#, ALLOWED),
                (user, r#"{"role": null}"#, NOT_ALLOWED),
                (user, "", NOT_ALLOWED),
            ],
        ),
        (
            r#"{"StringNotEquals": {"scp:RequestAttribute/body['role']": "admin"}}"#,
            &[(user, r#"{"role": "admin"}"#, NOT_ALLOWED), (user, "", ALLOWED), (user, r#"{"role": "x", "ROLE": "admin"}"#, NOT_ALLOWED)],
        ),
        (r#"{"StringLike": {"scp:RequestAttribute/path['user_id']": "u*"}}"#, &[(user, "", ALLOWED), ("/v1/users/x1", "", NOT_ALLOWED)]),
        (
            r#"{"StringEquals": {"scp:RequestAttribute/query['dry']": "1"}}"#,
            &[("/v1/users/u1?dry=1", "", ALLOWED), (user, "", NOT_ALLOWED), ("/v1/users/u1?dry=1&dry=0", "", NOT_ALLOWED)],
        ),
        (
            r#"{"ForAllValues:StringEquals": {"scp:TagKeys": ["team", "cost"]}, "StringEquals": {"scp:RequestTag/team": "red"}}"#,
            &[
                (user, r#"{"tags": {"team": "red"}}"#, ALLOWED),
                (user, r#"{"tags": [{"key": "team", "value": "red"}, {"key": "cost", "value": "1"}]}"#, ALLOWED),
                (user, r#"{"tags": {"team": "red", "owner": "me"}}"#, NOT_ALLOWED),
                (user, r#"{"tags": {"team": "blue"}}"#, NOT_ALLOWED),
                (user, r#"{"tags": {"team": "red"}, "Tags": {"team": "blue"}}"#, UNAVAILABLE),
                (user, r#"{"tags": "team"}"#, UNAVAILABLE),
                (user, r"{}", NOT_ALLOWED),
                (user, "", NOT_ALLOWED),
            ],
        ),
    ];
    for (condition, requests) in rows {
        let world = start(&people, &allow(condition), "");
        for (target, body, expected) in *requests {
            let before = people.backend.count();
            let answer = world.ask(put(target, body));
            assert_eq!(answer.verdict(), *expected, "{condition} {target} {body}: {}", answer.text());
            let seen = people.backend.since(before);
            assert!(seen.iter().all(|seen| seen.body == body.as_bytes()), "the very bytes that were decided on");
        }
    }
}

#[test]
fn the_decision_log_explains_what_was_told_and_which_allow_came_nearest() {
    let people = People::start(Duration::ZERO);
    let statements = format!(
        "{}, {}, {}",
        r#"{"Sid": "Others", "Effect": "Allow", "Action": "iam:SetUser", "Resource": "*"}"#,
        r#"{"Sid": "Lees", "Effect": "Allow", "Action": "iam:ShowUser", "Resource": "*", "Condition": {"StringEquals": {"iam:userLastname": "Lee"}, "NumericLessThan": {"iam:userAge": 99}}}"#,
        r#"{"Sid": "Reds", "Effect": "Allow", "Action": "iam:ShowUser", "Resource": "srn:e:::::iam:user/x*", "Condition": {"StringEquals": {"scp:ResourceTag/team": "red"}}}"#
    );
    let world = start(&people, &statements, "");
    let explained = |answer: &super::client::Answer| {
        world.record(answer.request_id());
        let config = world.folder().join("gateway.yaml");
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_portcullis"))
            .args(["explain", answer.request_id(), "--config"])
            .arg(&config)
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let lines = text.lines().skip_while(|line| !line.starts_with("resource "));
        let lines = lines.filter(|line| !line.starts_with("decision") && !line.starts_with("attribute_un"));
        lines.map(|line| line.replace(KEEPER_ID, "KEEPER").replace(ACCOUNT, "ACCOUNT")).collect::<Vec<_>>().join("\n")
    };
    let refused = world.ask(show("u1"));
    assert_eq!(refused.verdict(), NOT_ALLOWED);
    insta::assert_snapshot!(explained(&refused));
    let gone = world.ask(show("gone"));
    assert_eq!(gone.verdict(), UNAVAILABLE);
    insta::assert_snapshot!(explained(&gone));
    *people.name.lock().unwrap() = "Lee".to_owned();
    let allowed = world.ask(show("u3"));
    assert_eq!(allowed.verdict(), ALLOWED);
    insta::assert_snapshot!(explained(&allowed));
    let tagged = start(&people, &allow(r#"{"StringEquals": {"scp:ResourceTag/team": "blue"}}"#), "").ask(show("tagged"));
    assert_eq!(tagged.verdict(), NOT_ALLOWED);
}
