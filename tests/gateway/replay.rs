//! What was accepted once is not accepted again (contracts C4); what clients do is.

use std::sync::Barrier;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

use portcullis::types::Timestamp;

use super::aws::Aws;
use super::backend::{Backend, Then};
use super::client::{Answer, Ask, NOW_MS, Who};
use super::harness::{ACCOUNT, ADMIN, OTHER, READER, Setup, World, text};
use super::signatures::{CLASSIC, Parts, SECRET_VAULT, V2};
use super::streaming::{chunked, large};

const ALLOW: (u16, &str) = (200, "allow");
const REPLAYED: (u16, &str) = (401, "replayed");
const FULL: (u16, &str) = (503, "replay_memory_full");

/// A signature of an administrator to create groups with.
fn signature(at_ms: i64) -> String {
    ADMIN.sign_at("POST", "iam.test", "/v1/groups", at_ms)
}

/// A request that creates a group.
fn create(signature: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    Ask::new("POST", "/v1/groups").body(body).with(signature)
}

/// The same in chunks.
fn create_in_chunks(signature: &str, body: &[u8], size: usize) -> Vec<u8> {
    let mut bytes = Ask::new("POST", "/v1/groups").line("Transfer-Encoding: chunked").with(signature);
    bytes.extend(chunked(body, size));
    bytes
}

/// Sends all at the same time, on a connection each.
fn all_at_once(world: &World, requests: &[Vec<u8>]) -> Vec<Answer> {
    let barrier = &Barrier::new(requests.len());
    std::thread::scope(|scope| {
        let asking: Vec<_> = requests
            .iter()
            .map(|request| {
                scope.spawn(move || {
                    let mut client = world.connect();
                    barrier.wait();
                    client.ask(request)
                })
            })
            .collect();
        asking.into_iter().map(|asked| asked.join().unwrap()).collect()
    })
}

#[test]
fn a_request_that_changes_something_is_accepted_once_on_whatever_connection_it_comes_again() {
    let backend = Backend::start();
    let world = Setup::new().set("workers", "4").start(&backend);
    let request = create(&signature(NOW_MS), "{}");
    let mut client = world.connect();
    assert_eq!(client.ask(&request).verdict(), ALLOW);
    let again = client.ask(&request);
    assert_eq!(again.verdict(), REPLAYED);
    assert_eq!((again.header("retry-after"), again.header("portcullis-revision").is_some()), (None, true));
    let record = world.record(again.request_id());
    assert_eq!((text(&record, "decision"), text(&record, "reason")), (Some("deny"), Some("replayed")));
    for _ in 0..8 {
        assert_eq!(world.ask(&request).verdict(), REPLAYED);
    }
    assert_eq!(world.metric("portcullis_requests_total{service=\"iam\",outcome=\"replayed\"}"), 9);
    assert_eq!(world.metric("portcullis_requests_total{service=\"iam\",outcome=\"allowed\"}"), 1);
    assert_eq!((world.metric("portcullis_replay_claims_total"), backend.count()), (1, 1));
}

#[test]
fn what_the_signature_does_not_cover_makes_no_other_request_of_it() {
    let backend = Backend::start();
    let world = Setup::new().start(&backend);
    let signature = signature(NOW_MS);
    let post = Ask::new("POST", "/v1/groups");
    assert_eq!(world.ask(create(&signature, "{}")).verdict(), ALLOW);
    let others = [
        post.clone().line("X-Other: header").body("{}").with(&signature),
        post.body("{}").with(
            &signature
                .to_ascii_lowercase()
                .replace(signature.rsplit(' ').next().unwrap().to_ascii_lowercase().trim(), signature.rsplit(' ').next().unwrap().trim())
                .replace("openapi", "Openapi"),
        ),
        create_in_chunks(&signature, b"{}", 1),
        create_in_chunks(&signature, b"{}", 2),
    ];
    for other in others {
        assert_eq!(world.ask(&other).verdict(), REPLAYED, "{}", String::from_utf8_lossy(&other));
    }
    assert_eq!(backend.count(), 1);
}

#[test]
fn of_many_that_come_at_once_exactly_one_is_accepted() {
    let backend = Backend::start();
    let world = Setup::new().set("workers", "4").start(&backend);
    for round in 0..20 {
        let requests = vec![create(&signature(NOW_MS - round), "{}"); 8];
        let answers = all_at_once(&world, &requests);
        let accepted = answers.iter().filter(|answer| answer.verdict() == ALLOW).count();
        let replayed = answers.iter().filter(|answer| answer.verdict() == REPLAYED).count();
        assert_eq!((accepted, replayed), (1, 7), "round {round}");
    }
    assert_eq!(backend.count(), 20);
}

#[test]
fn ten_creates_of_one_client_in_one_millisecond_succeed_and_none_of_them_twice() {
    let backend = Backend::start();
    let world = Setup::new().set("workers", "4").start(&backend);
    let bodies: Vec<Vec<u8>> = (0..10u8).map(|number| format!("{{\"name\": \"group-{number}\"}}").into_bytes()).collect();
    let large: Vec<Vec<u8>> = (0..10u8).map(|number| [&[number], &large()[..]].concat()).collect();
    for (offset, (what, bodies, in_chunks)) in
        [("small", &bodies, false), ("small, in chunks", &bodies, true), ("large", &large, false), ("large, in chunks", &large, true)]
            .into_iter()
            .enumerate()
    {
        let signature = signature(NOW_MS - i64::try_from(offset).unwrap());
        let before = backend.count();
        let request = |body: &Vec<u8>| if in_chunks { create_in_chunks(&signature, body, 20_000) } else { create(&signature, body) };
        let requests: Vec<Vec<u8>> = bodies.iter().map(request).collect();
        for answer in all_at_once(&world, &requests) {
            assert_eq!(answer.verdict(), ALLOW, "{what}");
        }
        for request in &requests {
            assert_eq!(world.ask(request).verdict(), REPLAYED, "{what}");
        }
        let mut seen: Vec<Vec<u8>> = backend.since(before).into_iter().map(|seen| seen.body).collect();
        seen.sort();
        assert!(seen == *bodies, "{what}: each body came once and whole");
    }
}

#[test]
fn one_signature_is_good_for_seventeen_bodies() {
    let backend = Backend::start();
    let world = Setup::new().start(&backend);
    let (signature, mut client) = (signature(NOW_MS), world.connect());
    for body in 0..17 {
        assert_eq!(client.ask(create(&signature, body.to_string())).verdict(), ALLOW);
    }
    let one_more = client.ask(create(&signature, "17"));
    assert_eq!(one_more.verdict(), REPLAYED);
    assert!(one_more.text().contains("too many other bodies"), "{}", one_more.text());
    assert_eq!(backend.count(), 17);
}

#[test]
fn a_signature_with_another_body_is_not_taken_after_two_seconds() {
    let backend = Backend::start();
    let world = Setup::new().start(&backend);
    let signature = signature(NOW_MS);
    assert_eq!(world.ask(create(&signature, "1")).verdict(), ALLOW);
    super::harness::pause(std::time::Duration::from_millis(2_010));
    let late = world.ask(create(&signature, "2"));
    assert_eq!(late.verdict(), REPLAYED);
    assert!(late.text().contains("more than 2 seconds ago"), "{}", late.text());
}

#[test]
fn other_signatures_push_none_out() {
    let backend = Backend::start();
    let world = Setup::new().start(&backend);
    let mut client = world.connect();
    let first = create(&signature(NOW_MS), "{}");
    assert_eq!(client.ask(&first).verdict(), ALLOW);
    for other in 1..=2_000 {
        assert_eq!(client.ask(create(&signature(NOW_MS - other), "{}")).verdict(), ALLOW);
    }
    assert_eq!(client.ask(&first).verdict(), REPLAYED);
    assert_eq!(backend.count(), 2_001);
}

#[test]
fn a_signature_is_not_taken_again_in_the_headers_of_another_dialect() {
    let backend = Backend::start();
    let world = Setup::new().start(&backend);
    for (place, (first, second)) in [(&V2, &SECRET_VAULT), (&SECRET_VAULT, &V2)].into_iter().enumerate() {
        let at_ms = NOW_MS - i64::try_from(place).unwrap();
        let original = Parts::signed(first, "POST", "/v1/groups", "", at_ms);
        assert_eq!(world.ask(original.bytes()).verdict(), ALLOW);
        let dressed = Parts { dialect: second, ..original.clone() };
        assert_eq!(world.ask(dressed.bytes()).verdict(), REPLAYED, "{first:?} as {second:?}");
        assert_eq!(world.ask(original.bytes()).verdict(), REPLAYED);
    }
    let classic = Parts::signed(&CLASSIC, "POST", "/v1/groups", CLASSIC.scope.1, NOW_MS);
    assert_eq!((world.ask(classic.bytes()).verdict(), world.ask(classic.bytes()).verdict()), (ALLOW, REPLAYED));
    assert_eq!(backend.count(), 3);
}

#[test]
fn only_what_changes_something_each_time_is_taken_once_unless_the_service_says_otherwise() {
    let backend = Backend::start();
    let asks = ["GET", "HEAD", "PUT", "DELETE", "PATCH"].map(|method| (method, Ask::new(method, "/v1/groups/g1")));
    for (replay, once) in [("changing", &["PATCH", "POST"][..]), ("all", &["GET", "HEAD", "PUT", "DELETE", "PATCH", "POST"]), ("off", &[])]
    {
        let world = Setup::new().set("service", format!("replay: {replay}")).start(&backend);
        for (method, ask) in asks.iter().cloned().chain([("POST", Ask::new("POST", "/v1/groups"))]) {
            let request = ask.by(&ADMIN);
            let mut client = world.connect();
            let verdicts = [(); 2].map(|()| {
                client.send(&request);
                client.outcome(method).unwrap().status
            });
            assert_eq!(verdicts, [200, if once.contains(&method) { 401 } else { 200 }], "{replay} {method}");
        }
    }
}

#[test]
fn a_claim_is_made_only_by_who_is_authenticated_and_allowed() {
    let backend = Backend::start();
    let world = Setup::new().start(&backend);
    let refused = Ask::new("POST", "/v1/groups").body("{}").with(&READER.sign_at("POST", "iam.test", "/v1/groups", NOW_MS));
    for _ in 0..3 {
        assert_eq!(world.ask(&refused).verdict(), (403, "implicit_deny"));
    }
    let wrong = Who { secret: "not-the-secret-of-it", ..ADMIN };
    let forged = Ask::new("POST", "/v1/groups").body("{}").with(&wrong.sign_at("POST", "iam.test", "/v1/groups", NOW_MS));
    assert_eq!(world.ask(&forged).verdict(), (401, "signature_mismatch"));
    assert_eq!(world.metric("portcullis_replay_claims_total"), 0);

    // Once it is allowed, the very same request is good: once.
    let everything = r#"{"Effect": "Allow", "Action": ["*"], "Resource": ["*"]}"#;
    world.publish(world.changed(|setup| setup.policy(ACCOUNT, "5e000000000000000000000000000001", everything)));
    assert_eq!(world.ask(&refused).verdict(), ALLOW);
    assert_eq!(world.ask(&refused).verdict(), REPLAYED);
    assert_eq!(backend.count(), 1);
}

#[test]
fn a_body_that_breaks_off_uses_nothing_up() {
    let backend = Backend::start();
    let world = Setup::new().start(&backend);
    let whole = create(&signature(NOW_MS), "0123456789");
    let mut client = world.connect();
    client.send(&whole[..whole.len() - 5]).half_close();
    assert!(client.outcome("POST").map_or(true, |answer| answer.status == 400));
    assert_eq!(world.ask(&whole).verdict(), ALLOW);
    assert_eq!(world.ask(&whole).verdict(), REPLAYED);
    assert_eq!((backend.count(), backend.last().body), (1, b"0123456789".to_vec()));
}

#[test]
fn a_body_that_is_slow_to_come_makes_no_decision_slow() {
    let backend = Backend::start();
    let world = Setup::new().start(&backend);
    let whole = create(&signature(NOW_MS), "0123456789");
    let mut client = world.connect();
    client.send(&whole[..whole.len() - 5]);
    super::harness::pause(std::time::Duration::from_millis(500));
    client.send(&whole[whole.len() - 5..]);
    let answer = client.answer();
    assert_eq!(answer.verdict(), ALLOW);
    let record = world.record(answer.request_id());
    let [decision, duration] = ["decision_us", "duration_us"].map(|member| super::harness::number(&record, member).unwrap());
    assert!(decision < 400_000 && duration >= 450_000, "{decision} of {duration}");
}

#[test]
fn of_a_long_body_only_the_beginning_is_waited_for() {
    let (sent, told) = std::sync::mpsc::channel::<()>();
    let sent = std::sync::Mutex::new(sent);
    let backend = Backend::scripted(move |turn| {
        turn.piece();
        let _ = sent.lock().unwrap().send(());
        turn.ok()
    });
    let world = Setup::new().start(&backend);
    let whole = create(&signature(NOW_MS), large());
    let mut client = world.connect();
    client.send(&whole[..whole.len() - 200_000]);
    told.recv_timeout(super::client::PATIENCE).unwrap();
    client.send(&whole[whole.len() - 200_000..]);
    assert_eq!(client.answer().verdict(), ALLOW);
    assert!(backend.last().body == large());
    // What comes behind the beginning makes no other request of it.
    let mut other = whole;
    *other.last_mut().unwrap() ^= 1;
    assert_eq!(world.ask(&other).verdict(), REPLAYED);
}

#[test]
fn when_the_memory_of_an_account_is_full_it_waits_and_nobody_else_does() {
    static CLOCK_MS: AtomicI64 = AtomicI64::new(NOW_MS);
    let backend = Backend::start();
    let world = Setup::new()
        .set("replay", "{claims_per_account_max: 100}")
        .wall_clock(|| Timestamp::from_milliseconds(CLOCK_MS.load(Relaxed)))
        .start(&backend);
    let mut client = world.connect();
    for before in 0..100 {
        assert_eq!(client.ask(create(&signature(NOW_MS - before), "{}")).verdict(), ALLOW);
    }
    let refused = client.ask(create(&signature(NOW_MS - 100), "{}"));
    assert_eq!(refused.verdict(), FULL);
    let wait_s: i64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((300..=308).contains(&wait_s), "{wait_s}");
    assert_eq!(client.ask(create(&signature(NOW_MS), "{}")).verdict(), REPLAYED, "nothing was forgotten");
    assert_eq!(client.ask(Ask::get("/v1/groups").by(&ADMIN)).verdict(), ALLOW, "what need not be remembered passes");
    let other = Ask::new("POST", "/v1/groups").body("{}").by(&OTHER);
    assert_eq!(world.ask(&other).verdict(), ALLOW, "another account feels nothing");

    CLOCK_MS.store(NOW_MS + wait_s * 1_000, Relaxed);
    let fresh = create(&signature(CLOCK_MS.load(Relaxed)), "{}");
    assert_eq!((client.ask(&fresh).verdict(), client.ask(&fresh).verdict()), (ALLOW, REPLAYED));
    assert_eq!(client.ask(create(&signature(NOW_MS), "{}")).verdict(), (401, "clock_skew"));
    // A clock that is put back makes nothing new of what was forgotten.
    CLOCK_MS.store(NOW_MS, Relaxed);
    let put_back = client.ask(create(&signature(NOW_MS), "{}"));
    assert!([REPLAYED, (401, "clock_skew")].contains(&put_back.verdict()), "{}", put_back.text());
    assert_eq!(backend.count(), 103);
    world.wait_metric("portcullis_replay_forgotten_total", 1);
}

#[test]
fn who_only_observes_forwards_what_would_be_refused() {
    let backend = Backend::start();
    let world = Setup::new().set("service", "mode: observe").set("replay", "{claims_per_account_max: 2}").start(&backend);
    let mut client = world.connect();
    for (request, would_deny) in [
        (create(&signature(NOW_MS), "{}"), None),
        (create(&signature(NOW_MS), "{}"), Some("replayed")),
        (create_in_chunks(&signature(NOW_MS - 1), b"{}", 1), None),
        (create(&signature(NOW_MS - 2), "{}"), Some("replay_memory_full")),
        (Ask::new("POST", "/v1/groups").body("{}").with(&READER.sign_at("POST", "iam.test", "/v1/groups", NOW_MS)), Some("implicit_deny")),
        (Ask::new("POST", "/v1/groups").body("{}").with(&READER.sign_at("POST", "iam.test", "/v1/groups", NOW_MS)), Some("implicit_deny")),
    ] {
        let answer = client.ask(request);
        assert_eq!((answer.verdict(), answer.header("portcullis-would-deny")), (ALLOW, would_deny));
        assert_eq!((backend.last().body, backend.last().whole), (b"{}".to_vec(), true));
    }
    assert_eq!(world.metric("portcullis_would_deny_total{service=\"iam\",reason=\"replayed\"}"), 1);
}

#[test]
fn who_only_observes_lets_an_upload_begin_before_it_is_whole() {
    let backend = Backend::scripted(|turn| {
        turn.piece();
        turn.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst");
        Then::Close
    });
    let world = Setup::new().set("service", "mode: observe").start(&backend);
    let mut client = world.connect();
    client.send(Ask::new("POST", "/v1/groups").line("Transfer-Encoding: chunked").with(&signature(NOW_MS))).send("5\r\nfirst\r\n");
    assert_eq!(client.answer().text(), "first");
}

#[test]
fn aws_signatures_are_taken_once_and_presigned_ones_as_often_as_they_live() {
    let backend = Backend::start();
    let world = Setup::new().set("service", "sigv4: {service: iam}").start(&backend);
    let post = || Aws::new("POST", "/v1/groups");
    let signed = post().body(b"{}");
    assert_eq!((world.ask(signed.signed()).verdict(), world.ask(signed.signed()).verdict()), (ALLOW, REPLAYED));
    // The order of the query is not what was signed.
    let [one, other] = ["a=1&b=2", "b=2&a=1"].map(|query| world.ask(post().query(query).body(b"{}").signed()).status);
    assert_eq!((one, other), (200, 401));
    let without_hash = post().header("content-length", "0");
    assert_eq!((world.ask(without_hash.signed()).verdict(), world.ask(without_hash.signed()).verdict()), (ALLOW, REPLAYED));

    let unsigned = |body: &str| {
        let mut bytes = post().header("x-amz-content-sha256", "UNSIGNED-PAYLOAD").signed();
        bytes.truncate(bytes.len() - 2);
        bytes.extend_from_slice(format!("Content-Length: {}\r\n\r\n{body}", body.len()).as_bytes());
        world.ask(bytes).status
    };
    assert_eq!([unsigned("one"), unsigned("two"), unsigned("one")], [200, 200, 401]);

    let presigned = post().header("x-amz-content-sha256", "UNSIGNED-PAYLOAD").presigned("60");
    assert_eq!((world.ask(&presigned).verdict(), world.ask(&presigned).verdict()), (ALLOW, ALLOW));
}

#[test]
fn a_body_that_was_not_signed_does_not_use_the_signature_up() {
    let backend = Backend::start();
    let world = Setup::new().set("service", "sigv4: {service: iam}").start(&backend);
    let honest = Aws::new("POST", "/v1/groups").body(b"0123456789").signed();
    let mut forged = honest.clone();
    *forged.last_mut().unwrap() ^= 1;
    for _ in 0..3 {
        assert_eq!(world.ask(&forged).verdict(), (401, "signature_mismatch"));
    }
    assert_eq!(world.ask(&honest).verdict(), ALLOW);
    assert_eq!(world.ask(&honest).verdict(), REPLAYED);
    assert_eq!(world.ask(&forged).verdict(), REPLAYED, "who comes later takes nothing back");
    assert_eq!(world.ask(&honest).verdict(), REPLAYED);
}
