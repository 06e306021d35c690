//! Who fails again and again, and who sends more than they may; and that nobody else feels it (contracts C12).

use super::backend::Backend;
use super::client::{Answer, Ask, Client, NOW_MS, Who};
use super::harness::{ADMIN, OTHER, READER, Setup, World, text, timed};
use super::signatures::{Parts, V2};

const ALLOW: (u16, &str) = (200, "allow");
const MISMATCH: (u16, &str) = (401, "signature_mismatch");
const FAILURES: (u16, &str) = (429, "too_many_failures");
const REQUESTS: (u16, &str) = (429, "too_many_requests");
const UNKNOWN: Who = Who { key: "0000000000000000000000000000dead", secret: "unknown-secret-00001" };
const WRONG: Who = Who { key: ADMIN.key, secret: "not-the-secret-of-it" };
const FEW: &str = "{failures_per_minute: {address: 8, key: 3}}";

fn group() -> Ask {
    Ask::get("/v1/groups/g1")
}

/// Another unknown key for each number.
fn by_nobody(number: usize) -> Vec<u8> {
    let parts = Parts { access: format!("{number:032x}"), ..Parts::signed(&V2, "GET", "/v1/groups/g1", "", NOW_MS) };
    parts.bytes()
}

fn limited(backend: &Backend, authentication: &'static str) -> World {
    Setup::new().set("authentication", authentication).start(backend)
}

fn retry_after_s(answer: &Answer) -> u64 {
    answer.header("retry-after").unwrap().parse().unwrap()
}

#[test]
fn a_true_signature_passes_whoever_fails_beside_it() {
    let backend = Backend::start();
    let world = limited(&backend, FEW);
    let mut client = world.connect();
    for number in 0..30 {
        let expected = if number < 3 { MISMATCH } else { FAILURES };
        assert_eq!(client.ask(group().by(&WRONG)).verdict(), expected, "{number}");
        // From the same address, on the same connection, and with the very key that others fail with.
        assert_eq!(client.ask(group().by(&READER)).verdict(), ALLOW);
        assert_eq!(client.ask(group().by(&ADMIN)).verdict(), ALLOW);
    }
    assert_eq!(client.ask(Ask::get("/v1/groups/hidden").by(&READER)).verdict(), (403, "explicit_deny"));
    assert_eq!(client.ask(group().plain()).verdict(), (401, "no_credential"), "who presents nothing has not failed");
    assert_eq!(backend.count(), 60);
    assert_eq!(world.metric("portcullis_authentication_failures_total"), 30);
    assert_eq!(world.metric("portcullis_requests_total{service=\"iam\",outcome=\"signature_mismatch\"}"), 3);
    assert_eq!(world.metric("portcullis_requests_total{service=\"iam\",outcome=\"too_many_failures\"}"), 27);
}

#[test]
fn an_address_is_limited_with_all_keys_together_and_another_address_is_not() {
    let backend = Backend::start();
    let world = limited(&backend, FEW);
    let mut client = world.connect();
    for number in 0..20 {
        let expected = if number < 8 { MISMATCH } else { FAILURES };
        assert_eq!(client.ask(by_nobody(number)).verdict(), expected, "{number}");
    }
    let mut elsewhere = Client::open_from("127.0.0.2", world.address);
    assert_eq!(elsewhere.ask(by_nobody(1)).verdict(), MISMATCH);
    for _ in 0..5 {
        assert_eq!(world.ask(group().by(&READER)).verdict(), ALLOW);
    }
}

#[test]
fn every_kind_of_failure_counts_and_what_is_said_is_true() {
    let backend = Backend::start();
    let world = limited(&backend, "{failures_per_minute: {address: 4, key: 1000}}");
    let mut client = world.connect();
    let late = READER.sign_at("GET", "iam.test", "/v1/groups/g1", NOW_MS - 400_000);
    for (request, verdict) in [
        (group().by(&WRONG), MISMATCH),
        (group().with(&READER.lines(NOW_MS, "short")), (401, "credential_malformed")),
        (group().with(&late), (401, "clock_skew")),
        (group().line("X-Auth-Token: no-token").plain(), (401, "token_invalid")),
    ] {
        assert_eq!(client.ask(request).verdict(), verdict);
    }
    let refused = client.ask(group().with(&late));
    assert_eq!(refused.verdict(), FAILURES);
    assert!(refused.text().contains("the last of them: clock_skew"), "{}", refused.text());
    assert!((1..=15).contains(&retry_after_s(&refused)), "four in a minute: {refused:?}");
    let record = world.record(refused.request_id());
    assert_eq!((text(&record, "reason"), text(&record, "access_key")), (Some("too_many_failures"), Some(READER.key)));
    // What comes after a true signature is no failure.
    let account = "0123456789abcdef0123456789abcdef";
    let foreign = Parts::signed(&V2, "GET", "/v1/groups/g1", account, NOW_MS);
    assert_eq!(client.ask(foreign.bytes()).verdict(), (403, "account_mismatch"));
    assert_eq!(client.ask(group().line("X-Auth-Token: t").by(&READER)).verdict(), (401, "session_token_invalid"));
}

#[test]
fn known_and_unknown_keys_are_limited_alike() {
    let backend = Backend::start();
    let seen = [&WRONG, &UNKNOWN].map(|who| {
        let world = limited(&backend, FEW);
        let answers = (0..6).map(|_| {
            let answer = world.ask(group().by(who));
            let id = answer.request_id().to_owned();
            let changing = ["date", "portcullis-request-id", "retry-after"];
            let headers: Vec<_> =
                answer.headers.iter().filter(|(name, _)| !changing.contains(&&*name.to_ascii_lowercase())).cloned().collect();
            (answer.status, headers, answer.header("retry-after").is_some(), answer.text().replace(&id, "ID"))
        });
        answers.collect::<Vec<_>>()
    });
    assert_eq!(seen[0], seen[1]);
    assert_eq!(seen[0].iter().map(|answer| answer.0).collect::<Vec<_>>(), [401, 401, 401, 429, 429, 429]);
}

#[test]
fn who_only_observes_forwards_failures_too() {
    let backend = Backend::start();
    let world = Setup::new().set("service", "mode: observe").set("authentication", FEW).start(&backend);
    let would = [(); 4].map(|()| world.ask(group().by(&WRONG)).header("portcullis-would-deny").map(str::to_owned));
    let expected = ["signature_mismatch", "signature_mismatch", "signature_mismatch", "too_many_failures"];
    assert_eq!(would.map(Option::unwrap), expected);
    assert_eq!(backend.count(), 4);
}

#[test]
fn failures_can_be_left_unlimited_and_limits_change_with_a_reload() {
    let backend = Backend::start();
    let world = limited(&backend, "{failures_per_minute: off}");
    let mut client = world.connect();
    for number in 0..100 {
        assert_eq!(client.ask(by_nobody(number)).verdict(), MISMATCH);
    }
    world.publish(world.changed(|setup| setup.set("authentication", "{failures_per_minute: {address: 1, key: 1}}")));
    assert_eq!(client.ask(by_nobody(1)).verdict(), MISMATCH);
    assert_eq!(client.ask(by_nobody(2)).verdict(), FAILURES);
}

/// How many of so many requests pass, what the others are, and the longest time that one is told to wait.
fn passed(client: &mut Client, who: &Who, count: usize) -> (usize, u64) {
    let (mut passed, mut longest_s) = (0, 0);
    for _ in 0..count {
        let answer = client.ask(group().by(who));
        if answer.verdict() == ALLOW {
            passed += 1;
        } else {
            assert_eq!(answer.verdict(), REQUESTS);
            longest_s = longest_s.max(retry_after_s(&answer));
        }
    }
    (passed, longest_s)
}

#[test]
fn a_key_and_an_account_have_their_rates_and_nobody_else_uses_them_up() {
    let backend = Backend::start();
    let rates = "{key: {requests_per_s: 1, burst: 30}, account: {requests_per_s: 1, burst: 40}}";
    let world = Setup::new().set("rates", rates).set("workers", "2").start(&backend);
    let (mut client, mut other) = (world.connect(), world.connect());
    // Strangers, with these keys and with none, use nothing up.
    for number in 0..100 {
        assert_eq!(client.ask(group().by(&WRONG)).verdict(), MISMATCH);
        assert_eq!(client.ask(by_nobody(number)).verdict(), MISMATCH);
        assert_eq!(client.ask(group().plain()).verdict(), (401, "no_credential"));
        assert_eq!(client.ask(Ask::get("/v1/versions").plain()).verdict(), ALLOW);
    }
    let before = backend.count();
    let (counts, took) = timed(|| {
        let (admin, admin_s) = passed(&mut client, &ADMIN, 50);
        let (reader, reader_s) = passed(&mut other, &READER, 50);
        let (elsewhere, _) = passed(&mut client, &OTHER, 20);
        assert!(admin_s == 1 && reader_s == 1, "one in a second: {admin_s} {reader_s}");
        [admin, reader, elsewhere]
    });
    let more = usize::try_from(took.as_secs()).unwrap() + 1;
    assert!((30..=30 + more).contains(&counts[0]), "the key's: {counts:?}");
    assert!((40..=40 + more).contains(&(counts[0] + counts[1])), "the account's: {counts:?}");
    assert_eq!(counts[2], 20, "another account's");
    assert_eq!(backend.count() - before, counts.iter().sum::<usize>());
    // After the time that was told, one passes.
    super::harness::pause(std::time::Duration::from_secs(1));
    assert_eq!(client.ask(group().by(&ADMIN)).verdict(), ALLOW);
}

#[test]
fn what_is_refused_by_policy_counts_and_what_was_not_forwarded_is_no_claim() {
    let backend = Backend::start();
    let world = Setup::new().set("rates", "{key: {requests_per_s: 1, burst: 5}}").start(&backend);
    let mut client = world.connect();
    let mut refused = 0;
    for _ in 0..50 {
        let answer = client.ask(Ask::get("/v1/groups/hidden").by(&READER));
        assert!([(403, "explicit_deny"), REQUESTS].contains(&answer.verdict()));
        refused += usize::from(answer.status == 429);
    }
    assert!(refused >= 40, "{refused}");
    let post = Ask::new("POST", "/v1/groups").body("{}").by(&ADMIN);
    assert_eq!(passed(&mut client, &ADMIN, 5).0, 5);
    assert_eq!(client.ask(&post).verdict(), REQUESTS);
    super::harness::wait("the next second", || (client.ask(&post).verdict() == ALLOW).then_some(()));
    assert_eq!(world.metric("portcullis_replay_claims_total"), 1);
}

#[test]
fn rates_would_deny_where_a_service_only_observes() {
    let backend = Backend::start();
    let world = Setup::new().set("service", "mode: observe").set("rates", "{account: {requests_per_s: 1, burst: 2}}").start(&backend);
    let mut client = world.connect();
    let would = [(); 10].map(|()| client.ask(group().by(&READER)).header("portcullis-would-deny").map(str::to_owned));
    assert_eq!(would[..2], [None, None]);
    assert!(would.iter().filter(|would| would.as_deref() == Some("too_many_requests")).count() >= 5, "{would:?}");
    assert_eq!(backend.count(), 10);
}
