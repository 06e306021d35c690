//! Every reason that can be reached over HTTP: its status, its answer, its record, its counter.

use std::net::TcpListener;
use std::process::Command;

use portcullis::source::{Node, Value};
use portcullis::types::Reason;

use super::backend::Backend;
use super::client::{Answer, Ask, NOW_MS, Who};
use super::harness::{ACCOUNT, ADMIN, OTHER_ACCOUNT, READER, Setup, World, members, number, parse, text, timed, wait};
use super::hostile::wrong_pointer;

/// Reached over HTTP in a test of its own: the file and the test.
const ELSEWHERE: &[(Reason, &str, &str)] = &[
    (
        Reason::Replayed,
        "tests/gateway/replay.rs",
        "a_request_that_changes_something_is_accepted_once_on_whatever_connection_it_comes_again",
    ),
    (Reason::TokenExpired, "tests/gateway/tokens.rs", "a_token_ends_at_the_second_it_says"),
    (
        Reason::ConsoleAddressRefused,
        "tests/gateway/tokens.rs",
        "the_token_of_a_console_login_is_used_from_allowed_addresses_only_whatever_the_keys_may",
    ),
    (Reason::InvalidPolicy, "tests/gateway/tokens.rs", "a_token_loses_what_a_group_gave_with_the_group"),
    (Reason::AttributeUnavailable, "tests/gateway/attributes.rs", "conditions_on_attributes_and_tags_decide_by_what_the_backend_tells"),
    (Reason::TooManyFailures, "tests/gateway/abuse.rs", "known_and_unknown_keys_are_limited_alike"),
    (Reason::TooManyRequests, "tests/gateway/abuse.rs", "a_key_and_an_account_have_their_rates_and_nobody_else_uses_them_up"),
    (Reason::StaleSnapshot, "tests/demo/outage.rs", "a_damaged_disk_copy_is_refused_and_the_gateway_waits_for_the_feed"),
    (Reason::RevisionNotReached, "tests/gateway/aws.rs", "a_stranger_whose_signature_covers_a_body_does_not_wait_for_a_revision"),
    (Reason::ReplayMemoryFull, "tests/gateway/replay.rs", "when_the_memory_of_an_account_is_full_it_waits_and_nobody_else_does"),
];

const DISABLED: Who = Who { key: "d15ab1ed000000000000000000000001", secret: "disabled-secret-0001" };
const EXPIRED: Who = Who { key: "e4b14ed0000000000000000000000001", secret: "expired-secret-00001" };
const INACTIVE: Who = Who { key: "14ac71fe000000000000000000000001", secret: "inactive-secret-0001" };
const LISTED: Who = Who { key: "115ed000000000000000000000000001", secret: "listed-secret-000001" };
const KEYED: Who = Who { key: "3e4ed000000000000000000000000001", secret: "keyed-secret-0000001" };
const UNKNOWN: Who = Who { key: "0000000000000000000000000000dead", secret: "unknown-secret-00001" };
const WRONG: Who = Who { key: ADMIN.key, secret: "not-the-secret-of-it" };

/// A request that is refused, and what is expected beside its reason.
struct Probe {
    reason: Reason,
    status: u16,
    /// The service that counts it.
    service: &'static str,
    /// Whether the caller is known by then, and may be told the revision.
    known: bool,
    /// The action that a 403 speaks of.
    action: Option<(&'static str, &'static str)>,
    request: Vec<u8>,
}

const SHOW_GROUP: Option<(&str, &str)> = Some(("iam:ShowGroup", "Read"));

/// The refusals of a caller that is not known yet.
fn anonymous_probes() -> Vec<Probe> {
    let probe = |reason, status, service, request| Probe { reason, status, service, known: false, action: None, request };
    let group = Ask::get("/v1/groups/g1");
    let late = READER.sign_at("GET", "iam.test", "/v1/groups/g1", NOW_MS - 300_001);
    let both = group.clone().line("Authorization: Bearer x");
    vec![
        probe(Reason::MalformedRequest, 400, "-", b"GET /v1/groups HTTP/1.1\r\n\r\n".to_vec()),
        probe(Reason::AmbiguousRequest, 400, "iam", Ask::get("/v1/x/../groups").by(&READER)),
        probe(Reason::SeveralCredentials, 400, "iam", both.by(&READER)),
        probe(Reason::NoCredential, 401, "iam", group.plain()),
        probe(Reason::CredentialMalformed, 401, "iam", group.with(&READER.lines(NOW_MS, "short"))),
        probe(Reason::ClockSkew, 401, "iam", group.with(&late)),
        probe(Reason::SignatureMismatch, 401, "iam", group.by(&WRONG)),
        probe(Reason::TokenInvalid, 401, "iam", group.clone().line("X-Auth-Token: secret-of-a-token").plain()),
        probe(Reason::UnknownHost, 421, "-", group.host("nobody.test").by(&READER)),
    ]
}

/// The refusals of a caller whose signature was verified.
fn known_probes() -> Vec<Probe> {
    let probe = |reason, status, action, request| Probe { reason, status, service: "iam", known: true, action, request };
    let group = Ask::get("/v1/groups/g1");
    let foreign = format!("{}{}", READER.key, OTHER_ACCOUNT);
    let foreign = super::signatures::sign_with_openssl(READER.secret, &format!("GEThttp://iam.test/v1/groups/g1{NOW_MS}{foreign}Openapi"));
    let foreign = format!("{}Scp-AccountId: {OTHER_ACCOUNT}\r\n", READER.lines(NOW_MS, &foreign));
    let bulk = Ask::new("DELETE", "/v1/policies/bulk").line("Content-Type: application/json");
    vec![
        probe(Reason::SessionTokenInvalid, 401, None, group.clone().line("X-Auth-Token: t").by(&READER)),
        probe(Reason::CredentialDisabled, 401, None, group.by(&DISABLED)),
        probe(Reason::CredentialExpired, 401, None, group.by(&EXPIRED)),
        probe(Reason::OwnerInactive, 401, None, group.by(&INACTIVE)),
        probe(Reason::MethodNotPermitted, 403, None, group.by(&KEYED)),
        probe(Reason::KeyAddressRefused, 403, None, group.by(&LISTED)),
        probe(Reason::AccountMismatch, 403, None, group.with(&foreign)),
        probe(Reason::NoActionDefinition, 403, None, Ask::get("/v2/nothing").by(&ADMIN)),
        probe(Reason::ImplicitDeny, 403, Some(("iam:DeleteGroup", "Delete")), Ask::new("DELETE", "/v1/groups/g1").by(&READER)),
        probe(Reason::ExplicitDeny, 403, SHOW_GROUP, Ask::get("/v1/groups/hidden").by(&READER)),
        Probe { known: false, ..probe(Reason::BodyTooLarge, 413, None, bulk.body([b' '; 1025]).by(&ADMIN)) },
        Probe { service: "down", ..probe(Reason::UpstreamUnavailable, 502, None, Ask::get("/v1/things").host("down.test").by(&ADMIN)) },
        Probe { service: "slow", ..probe(Reason::UpstreamTimeout, 504, None, Ask::get("/v1/things").host("slow.test").by(&ADMIN)) },
    ]
}

fn setup(down: &str, slow: &str) -> Setup {
    let service = |name: &str, url: &str, more: &str| {
        format!(
            "{name}: {{hosts: [{name}.test], definitions: [store], upstream: {{url: 'http://{url}', identity_key: {{file: upstream.key}}{more}}}}}"
        )
    };
    let services = format!("{}\n  {}", service("down", down, ""), service("slow", slow, ", response_timeout_ms: 100"));
    let id = |digit: char| format!("a5e{}{digit}", "0".repeat(28));
    Setup::new()
        .set("services", services)
        .set("service", "body_bytes_max: 1024")
        .record(&format!("{{kind: user, id: {}, account: {ACCOUNT}, name: keys}}", id('1')))
        .key(&DISABLED, &id('1'), ", enabled: false")
        .key(&EXPIRED, &id('1'), ", expires_at: '2026-11-20T10:00:00Z'")
        .record(&format!("{{kind: user, id: {}, account: {ACCOUNT}, name: gone, active: false}}", id('2')))
        .key(&INACTIVE, &id('2'), "")
        .user("listed", &LISTED, &id('3'), ACCOUNT)
        .record(&format!("{{kind: key_security, user: {}, allowed_addresses: []}}", id('3')))
        .user("keyed", &KEYED, &id('4'), ACCOUNT)
        .record(&format!("{{kind: key_security, user: {}, allowed_addresses: not_used, authentication_method: TemporaryKey}}", id('4')))
}

/// An address where nobody listens, and one where somebody does but never answers.
fn unreachable() -> (String, TcpListener) {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    (closed, TcpListener::bind("127.0.0.1:0").unwrap())
}

#[test]
fn every_reason_has_its_status_its_answer_its_record_and_its_counter() {
    let backend = Backend::start();
    let (down, slow) = unreachable();
    let mut world = setup(&down, &slow.local_addr().unwrap().to_string()).start(&backend);
    let probes: Vec<Probe> = anonymous_probes().into_iter().chain(known_probes()).collect();
    let reached: Vec<Reason> = probes.iter().map(|probe| probe.reason).chain(ELSEWHERE.iter().map(|(reason, ..)| *reason)).collect();
    let missing: Vec<&Reason> = Reason::ALL.iter().filter(|reason| !reached.contains(reason)).collect();
    assert!(missing.is_empty(), "every reason has a probe here, or a test of its own: {missing:?}");
    let wrong: Vec<String> =
        ELSEWHERE.iter().filter_map(|(reason, file, name)| wrong_pointer(file, name, &format!("\"{reason}\""))).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");

    let mut ids = Vec::new();
    for probe in &probes {
        let counter = format!("portcullis_requests_total{{service=\"{}\",outcome=\"{}\"}}", probe.service, probe.reason);
        let before = world.metric(&counter);
        let answer = world.ask(&probe.request);
        check_answer(probe, &answer);
        assert_eq!(world.metric(&counter), before + 1, "{counter}");
        check_record(probe, &world.record(answer.request_id()));
        ids.push(answer.request_id().to_owned());
    }
    assert_eq!(backend.count(), 0);
    check_all_records(&mut world, &ids);
}

fn check_answer(probe: &Probe, answer: &Answer) {
    let Probe { reason, status, .. } = probe;
    assert_eq!((answer.status, answer.header("portcullis-reason")), (*status, Some(reason.code())), "{answer:?}");
    assert_eq!(answer.header("content-type"), Some("application/json"), "{reason}");
    let challenges = answer.all("www-authenticate");
    let bearer = if *reason == Reason::TokenInvalid {
        r#"Bearer realm="portcullis", error="invalid_token""#
    } else {
        r#"Bearer realm="portcullis""#
    };
    let expected = [r#"Scp-HMAC-SHA256 realm="portcullis""#, bearer];
    assert_eq!(challenges, if *status == 401 { &expected[..] } else { &[] }, "{reason}");
    assert_eq!(answer.header("retry-after").is_some(), matches!(status, 429 | 503), "{reason}");
    assert_eq!(answer.header("portcullis-revision").is_some(), probe.known, "{reason}: the revision is told to known callers only");
    check_body(probe, answer);
}

fn check_body(Probe { reason, status, action, .. }: &Probe, answer: &Answer) {
    let body = parse(&answer.body);
    assert_eq!(members(&body), ["errors"]);
    let Some(Value::List(errors)) = body.get("errors").map(|errors| &errors.value) else { panic!("{answer:?}") };
    let [error] = &errors[..] else { panic!("{answer:?}") };
    let documented = ["code", "title", "detail", "status", "request_id", "global_request_id", "links", "related_resources", "response"];
    assert_eq!(members(error), documented, "{reason}");
    assert_eq!(text(error, "code"), Some(reason.code()));
    assert!(text(error, "detail").unwrap().starts_with(reason.explanation()), "{reason}");
    assert!(!text(error, "title").unwrap().is_empty(), "{reason}");
    assert_eq!(number(error, "status"), Some(u64::from(*status)));
    let id = text(error, "request_id").unwrap();
    assert!(id.len() == 40 && id.starts_with("req-"), "{id}");
    assert_eq!((answer.request_id(), text(error, "global_request_id")), (id, Some(id)));
    for list in ["links", "related_resources"] {
        assert_eq!(error.get(list).unwrap().value, Value::List(Vec::new()), "{reason}");
    }
    let response = error.get("response").unwrap();
    match action {
        None => assert_eq!(response.value, Value::Null, "{reason}"),
        Some((name, level)) => {
            assert_eq!(members(response), ["access_level", "action_name", "caused_auths", "message"]);
            assert_eq!((text(response, "action_name"), text(response, "access_level")), (Some(*name), Some(*level)));
        }
    }
}

fn check_record(Probe { reason, status, service, .. }: &Probe, record: &Node) {
    let failed = matches!(reason, Reason::UpstreamUnavailable | Reason::UpstreamTimeout);
    let expected = if failed { ("allow", "allow", Some(reason.code())) } else { ("deny", reason.code(), None) };
    let found = (text(record, "decision").unwrap(), text(record, "reason").unwrap(), text(record, "failure"));
    assert_eq!(found, expected, "{record:?}");
    assert_eq!(text(record, "service").unwrap_or("-"), *service, "{record:?}");
    assert_eq!(number(record, "status"), Some(u64::from(*status)), "{record:?}");
    // The peer is named where it is not the client's address: that is not known before there is one reading of the request.
    let (peer, address) = (text(record, "peer"), text(record, "client_address").unwrap());
    assert_eq!(peer.unwrap_or(address), "127.0.0.1", "{record:?}");
    assert_eq!(text(record, "time"), Some("2026-11-20T22:29:45.000Z"), "{record:?}");
}

/// Each request left exactly one record, and nothing that was secret is in any.
fn check_all_records(world: &mut World, ids: &[String]) {
    world.stop();
    let records = world.records();
    let mut found: Vec<&str> = records.iter().map(|record| text(record, "request_id").unwrap()).collect();
    let mut expected: Vec<&str> = ids.iter().map(String::as_str).collect();
    found.sort_unstable();
    expected.sort_unstable();
    assert_eq!(found, expected);
    let lines = std::fs::read_to_string(world.folder().join("decisions.jsonl")).unwrap();
    let signature = READER.sign("GET", "iam.test", "/v1/groups/g1");
    let signature = signature.rsplit(' ').next().unwrap().trim();
    for secret in [signature, READER.secret, ADMIN.secret, "Bearer", "secret-of-a-token"] {
        assert!(!lines.contains(secret), "{secret} is in a record");
    }
}

#[test]
fn an_unknown_key_and_a_wrong_secret_get_the_same_answer() {
    let backend = Backend::start();
    let world = Setup::new().start(&backend);
    for ask in [Ask::get("/v1/groups/g1"), Ask::get("/v1/nothing"), Ask::new("POST", "/v1/groups").body("x")] {
        let [unknown, wrong] = [&UNKNOWN, &WRONG].map(|who| {
            let answer = world.ask(ask.by(who));
            let id = answer.request_id().to_owned();
            let changing = |name: &str| name.eq_ignore_ascii_case("date") || name.eq_ignore_ascii_case("portcullis-request-id");
            let headers: Vec<_> = answer.headers.iter().filter(|(name, _)| !changing(name)).cloned().collect();
            (answer.status, headers, answer.text().replace(&id, "ID"))
        });
        assert_eq!(unknown.0, 401);
        assert_eq!(unknown, wrong);
    }
}

#[test]
fn hostile_paths_cannot_break_out_of_a_record() {
    let backend = Backend::start();
    let world = Setup::new().start(&backend);
    let long = format!("/{}", "\u{e9}".repeat(2_000));
    for path in ["/a\"b", "/\",\"decision\":\"allow", "/\\u0022", "/\u{202e}x", "/\u{2028}", "/{}", &long] {
        let answer = world.ask(Ask::get(path).plain());
        assert_eq!(answer.verdict(), (400, "ambiguous_request"), "{path}");
        let record = world.record(answer.request_id());
        let recorded = text(&record, "path").unwrap();
        assert!(recorded == path || (recorded.ends_with('\u{2026}') && recorded.chars().count() <= 513), "{path}");
        let raw = std::fs::read_to_string(world.folder().join("decisions.jsonl")).unwrap();
        assert!(!raw.contains(['\u{202e}', '\u{2028}', '\u{1b}', '\r']), "{path}");
    }
}

#[test]
fn a_bodyless_answer_to_head_still_says_why() {
    let backend = Backend::start();
    let world = Setup::new().start(&backend);
    let mut client = world.connect();
    client.send(Ask::new("HEAD", "/v1/groups/hidden").by(&READER));
    let refused = client.outcome("HEAD").unwrap();
    assert_eq!(refused.verdict(), (403, "explicit_deny"));
    client.send(Ask::new("HEAD", "/v1/groups/g1").by(&READER));
    let allowed = client.outcome("HEAD").unwrap();
    assert_eq!((allowed.status, allowed.header("content-length"), backend.last().line()), (200, Some("13"), "HEAD /v1/groups/g1"));
}

#[test]
fn when_records_cannot_be_written_requests_are_refused_and_no_record_is_lost() {
    let backend = Backend::start();
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    // The reading end is open, or the gateway could not open the other one; but nobody reads.
    let reading = std::thread::spawn({
        let pipe = pipe.clone();
        move || std::fs::File::open(pipe).unwrap()
    });
    let mut world = Setup::new().set("record", "{path: pipe, on_full: refuse}").start_in(folder, backend.address());
    let reader = reading.join().unwrap();

    let long = Ask::get(&format!("/v1/groups/{}", "x".repeat(500))).by(&READER);
    let mut client = world.connect();
    let refused = wait("the first refusal", || Some(client.ask(&long)).filter(|answer| answer.status == 429));
    assert_eq!(refused.verdict(), (429, "too_many_requests"));
    assert_eq!(refused.header("retry-after"), Some("1"));
    let allowed = world.metric("portcullis_requests_total{service=\"iam\",outcome=\"allowed\"}");
    assert_eq!(allowed, backend.count() as u64, "what was refused has not reached the backend");
    assert!(world.metric("portcullis_requests_total{service=\"-\",outcome=\"too_many_requests\"}") >= 1);

    // Now somebody reads, and requests pass again.
    let lines =
        std::thread::spawn(move || std::io::BufRead::lines(std::io::BufReader::new(reader)).map(Result::unwrap).collect::<Vec<_>>());
    wait("requests to pass again", || (client.ask(&long).status == 200).then_some(()));
    let page = world.page();
    assert!(page.contains("portcullis_records_dropped_total 0\n"), "{page}");
    let outcomes = page.lines().filter(|line| line.starts_with("portcullis_requests_total"));
    let requests: u64 = outcomes.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum();
    world.stop();
    assert_eq!(lines.join().unwrap().len() as u64, requests, "every request has left one record");
}

#[test]
fn when_a_record_could_not_be_written_requests_are_refused_from_then_on() {
    let backend = Backend::start();
    let mut world = Setup::new().set("record", "{path: /dev/full, on_full: refuse}").start(&backend);
    let group = Ask::get("/v1/groups/g1").by(&READER);
    let mut client = world.connect();
    // The record of the first request is not written yet when it is decided on.
    assert_eq!(client.ask(&group).verdict(), (200, "allow"));
    wait("the first refusal", || (client.ask(&group).verdict() == (429, "too_many_requests")).then_some(()));
    let before = backend.count();
    for _ in 0..50 {
        assert_eq!(client.ask(&group).verdict(), (429, "too_many_requests"), "it does not become better by trying again");
        assert_eq!(world.ask(&group).status, 429);
    }
    assert_eq!(backend.count(), before, "what was refused has not reached the backend");
    let allowed = world.metric("portcullis_requests_total{service=\"iam\",outcome=\"allowed\"}");
    assert_eq!(allowed, before as u64);
    let ((), took) = timed(|| world.stop());
    assert!(took.as_secs() < 10, "what can never be written does not keep the gateway from ending: {took:?}");
}

#[test]
fn a_record_that_was_not_written_is_not_counted_as_written() {
    let backend = Backend::start();
    let world = Setup::new().set("record", "{path: /dev/full, on_full: refuse}").start(&backend);
    let group = Ask::get("/v1/groups/g1").by(&READER);
    wait("the first refusal", || (world.ask(&group).status == 429).then_some(()));
    assert_eq!(world.metric("portcullis_records_total"), 0, "{}", world.page());
}
