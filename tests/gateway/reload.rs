//! A new state in force: no request is lost by it, and none is decided by the old one afterwards.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::backend::Backend;
use super::client::{Ask, Client, Who};
use super::harness::{ACCOUNT, ADMIN, READER, Setup, wait};

const GUEST: Who = Who { key: "90e57000000000000000000000000001", secret: "guest-secret-0000001" };
const GUEST_ID: &str = "90e50000000000000000000000000001";
const ADMIN_ID: &str = "ad000000000000000000000000000001";
const READER_ID: &str = "5e000000000000000000000000000001";
const DENY_ALL: &str = r#"{"Effect": "Deny", "Action": ["*"], "Resource": ["*"]}"#;

fn group() -> Vec<u8> {
    Ask::get("/v1/groups/g1").by(&READER)
}

#[test]
fn fifty_states_under_load_lose_no_request_and_the_fifty_first_denies_the_very_next() {
    let backend = Backend::start();
    let world = Setup::new().set("workers", "2").start(&backend);
    let (ended, served) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let mut client = world.connect();
                    while !ended.load(Ordering::Relaxed) {
                        assert_eq!(client.ask(group()).verdict(), (200, "allow"));
                        served.fetch_add(1, Ordering::Relaxed);
                    }
                    client
                })
            })
            .collect();
        for number in 0..50 {
            // Somebody else comes, gets rights, loses them, goes; the services' order and the reader's rights stay.
            let statement = if number % 3 == 0 { DENY_ALL } else { r#"{"Effect": "Allow", "Action": ["iam:*"], "Resource": ["*"]}"# };
            let state = world.changed(|setup| match number % 2 {
                0 => setup.user("guest", &GUEST, GUEST_ID, ACCOUNT).policy(ACCOUNT, GUEST_ID, statement),
                _ => setup.record(&format!("{{kind: user, id: {GUEST_ID}, account: {ACCOUNT}, name: n{number}}}")),
            });
            world.publish(state);
            let (guest, expected) = (world.ask(Ask::get("/v1/groups/g1").by(&GUEST)), number % 2 == 0 && number % 3 != 0);
            assert_eq!(guest.status == 200, expected, "state {number}: {:?}", guest.verdict());
            let before = served.load(Ordering::Relaxed);
            wait("requests between states", || (served.load(Ordering::Relaxed) > before + 4).then_some(()));
        }
        ended.store(true, Ordering::Relaxed);
        let mut clients: Vec<Client> = clients.into_iter().map(|client| client.join().expect("no request fails")).collect();
        world.publish(world.changed(|setup| setup.policy(ACCOUNT, READER_ID, DENY_ALL)));
        for client in &mut clients {
            assert_eq!(client.ask(group()).verdict(), (403, "explicit_deny"), "on a connection that was open before");
        }
        assert_eq!(world.ask(group()).verdict(), (403, "explicit_deny"));
    });
    // Connections to the backend outlive states as well: one per client that asked at the same time.
    assert!(world.metric("portcullis_upstream_connections_total") <= 12, "{}", world.page());
}

#[test]
fn keys_services_and_upstreams_change_with_the_state() {
    let (first, second) = (Backend::start(), Backend::start());
    let world = Setup::new().start(&first);
    let mut client = world.connect();
    assert_eq!(client.ask(group()).status, 200);
    let revision = client.ask(group()).header("portcullis-revision").unwrap().to_owned();

    // A key is switched off.
    world.publish(world.changed(|setup| {
        setup.edit_records(|text| {
            text.replace(&format!("file: {}.secret}}", READER.key), &format!("file: {}.secret}}, enabled: false", READER.key))
        })
    }));
    let refused = client.ask(group());
    assert_eq!(refused.verdict(), (401, "credential_disabled"));
    assert_ne!(refused.header("portcullis-revision"), Some(&*revision));

    // A key is gone.
    world.publish(world.changed(|setup| {
        setup.edit_records(|text| {
            text.lines()
                .filter(|line| !(line.contains("access_key") && line.contains(READER.key)))
                .map(|line| format!("{line}\n"))
                .collect()
        })
    }));
    assert_eq!(client.ask(group()).verdict(), (401, "signature_mismatch"));

    // A service comes, with a backend of its own, and goes.
    let authority = second.address();
    world.publish(world.changed(|setup| setup.set("services", format!(
        "moved: {{hosts: [moved.test], definitions: [store], upstream: {{url: 'http://{authority}', identity_key: {{file: upstream.key}}}}}}"
    ))));
    assert_eq!(client.ask(Ask::get("/v1/things").host("moved.test").by(&ADMIN)).status, 200);
    assert_eq!((first.count(), second.count()), (2, 1));
    assert_eq!(client.ask(group()).status, 200);
    world.publish(world.changed(|setup| setup));
    assert_eq!(client.ask(Ask::get("/v1/things").host("moved.test").by(&ADMIN)).verdict(), (421, "unknown_host"));
    let again = client.ask(group());
    assert_eq!((again.status, again.header("portcullis-revision")), (200, Some(&*revision)), "the same files are the same revision");
}

#[test]
fn a_body_is_decided_on_by_the_state_in_force_when_all_of_it_has_come() {
    let backend = Backend::start();
    let world = Setup::new().start(&backend);
    let bulk = Ask::new("DELETE", "/v1/policies/bulk").line("Content-Type: application/json").line("Expect: 100-continue");
    let (half, rest) = ("{\"ids\":[\"a1\"", ",\"a2\"]}");
    for (framing, half, rest) in [
        (format!("Content-Length: {}", half.len() + rest.len()), half.to_owned(), rest.to_owned()),
        (
            "Transfer-Encoding: chunked".to_owned(),
            format!("{:x}\r\n{half}\r\n", half.len()),
            format!("{:x}\r\n{rest}\r\n0\r\n\r\n", rest.len()),
        ),
    ] {
        let before = backend.count();
        let mut client = world.connect();
        let request = bulk.clone().line(&framing).by(&ADMIN);
        assert_eq!(client.send(&request).head().unwrap().status, 100, "the gateway is reading the body");
        client.send(&half);
        world.publish(world.changed(|setup| setup.policy(ACCOUNT, ADMIN_ID, DENY_ALL)));
        assert_eq!(client.ask(&rest).verdict(), (403, "explicit_deny"), "{framing}");
        assert_eq!(backend.count(), before, "{framing}");
        // And the other way round: what has become allowed passes.
        let mut client = world.connect();
        assert_eq!(client.send(&request).head().unwrap().status, 100);
        client.send(&half);
        world.publish(world.changed(|setup| setup));
        assert_eq!(client.ask(&rest).verdict(), (200, "allow"), "{framing}");
    }
}

#[test]
fn a_running_request_ends_by_the_state_it_began_with() {
    let (go, told) = std::sync::mpsc::channel::<()>();
    let told = std::sync::Mutex::new(told);
    let backend = Backend::scripted(move |turn| {
        if turn.seen.nth == 0 {
            let _ = told.lock().unwrap().recv_timeout(super::client::PATIENCE);
        }
        turn.ok()
    });
    let world = Setup::new().start(&backend);
    let mut client = world.connect();
    client.send(group());
    backend.wait(|all| all.len() == 1);
    world.publish(world.changed(|setup| setup.policy(ACCOUNT, READER_ID, DENY_ALL)));
    go.send(()).unwrap();
    assert_eq!(client.answer().verdict(), (200, "allow"));
    assert_eq!(client.ask(group()).verdict(), (403, "explicit_deny"));
}
