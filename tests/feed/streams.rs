//! Whole states, changes, and going on after a loss.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use portcullis::snapshot::Snapshot;
use portcullis::sync::feed::Feed;
use portcullis::sync::follow::Publishing;
use portcullis::telemetry::FeedStatus;
use portcullis::types::{SealingKey, UserId};

use crate::follower::{Gateway, expected, options, wait};
use crate::proxy::Proxy;
use crate::store::{Server, Store, delete, feed_key, put};

const RECORDS: [(&str, &str); 2] = [("user/1", r#"{"name":"eins"}"#), ("user/2", r#"{"name":"zwei"}"#)];

#[test]
fn a_gateway_gets_everything_and_then_every_change() {
    let store = Store::new(3, 7, &RECORDS);
    let server = Server::start(&store);
    let gateway = Gateway::start(server.address);
    gateway.wait_for(&store);
    store.commit(vec![put("user/3", "{}"), delete("user/1")]);
    gateway.wait_for(&store);
    store.commit(Vec::new());
    gateway.wait_for(&store);
    gateway.check(&store);
    let status = &gateway.status;
    let counts = || (status.snapshots.get(), status.commits.get(), status.reconnects.get(), status.latency.read().0.iter().sum());
    wait("counted", || counts() == (1, 2, 0, 2));
    assert_eq!(status.revision(), Some(expected(&store).0));
    assert_eq!((status.head(), status.is_connected(), status.last_contact().is_some()), (9, true, true));
    assert_eq!((server.counters.streams(), server.counters.snapshots()), (1, 1));
}

#[test]
fn an_empty_store_is_a_state_too() {
    let store = Store::new(1, 0, &[]);
    let server = Server::start(&store);
    let gateway = Gateway::start(server.address);
    gateway.wait_for(&store);
}

#[test]
fn after_a_loss_only_the_changes_come() {
    let store = Store::new(3, 7, &RECORDS);
    let server = Server::start(&store);
    let proxy = Proxy::clean(server.address);
    let gateway = Gateway::start(proxy.address);
    gateway.wait_for(&store);
    for number in 0..10 {
        proxy.cut();
        // More than one read of the store brings.
        for change in 0..30 {
            store.commit(vec![put(&format!("user/{change}"), &format!("{{\"number\":{number}}}"))]);
        }
        gateway.wait_for(&store);
    }
    gateway.check(&store);
    assert_eq!(gateway.status.snapshots.get(), 1);
    assert_eq!(gateway.published().len(), 301, "every commit was in force by itself");
    assert!(gateway.status.reconnects.get() >= 10);
}

#[test]
fn everything_comes_again_when_the_changes_are_not_kept_any_more() {
    let store = Store::new(3, 7, &RECORDS);
    let server = Server::start(&store);
    let proxy = Proxy::clean(server.address);
    let gateway = Gateway::start(proxy.address);
    gateway.wait_for(&store);
    drop(server);
    for number in 0..5 {
        store.commit(vec![put("user/9", &number.to_string())]);
    }
    store.forget(store.head() - 1);
    let server = Server::start(&store);
    proxy.turn_to(server.address);
    gateway.wait_for(&store);
    gateway.check(&store);
    assert_eq!(gateway.published().len(), 2);
    store.commit(vec![delete("user/9")]);
    gateway.wait_for(&store);
}

#[test]
fn a_state_that_is_not_what_the_store_says_is_never_in_force() {
    let store = Store::new(3, 7, &RECORDS);
    let server = Server::start(&store);
    let gateway = Gateway::start(server.address);
    gateway.wait_for(&store);
    store.commit_saying(vec![put("user/3", "{}")], |_| "0123456789abcdef0123456789abcdef".parse().unwrap());
    // By a whole state, for the changes lead elsewhere.
    gateway.wait_for(&store);
    gateway.check(&store);
    wait("counted", || gateway.status.snapshots.get() == 2);
    assert_eq!((gateway.status.digest_mismatches.get(), gateway.status.commits.get()), (1, 0));
}

#[test]
fn a_gateway_of_another_history_gets_everything() {
    let (one, other) = (Store::new(3, 7, &RECORDS), Store::new(3, 7, &RECORDS[..1]));
    let (first, second) = (Server::start(&one), Server::start(&other));
    let proxy = Proxy::clean(first.address);
    let gateway = Gateway::start(proxy.address);
    gateway.wait_for(&one);
    // Same epoch, same sequence, another state: a store that was put back without a new epoch.
    other.commit(vec![put("user/5", "{}")]);
    proxy.turn_to(second.address);
    gateway.wait_for(&other);
    wait("counted", || gateway.status.snapshots.get() == 2);
}

#[test]
fn a_state_of_many_records_comes_whole_while_the_store_goes_on() {
    let records: Vec<(String, String)> = (0..20_000).map(|number| (format!("user/{number}"), format!("{{\"number\":{number}}}"))).collect();
    let records: Vec<(&str, &str)> = records.iter().map(|(key, record)| (&**key, &**record)).collect();
    let store = Store::new(3, 7, &records);
    let server = Server::start(&store);
    let gateways: Vec<Gateway> = (0..4).map(|_| Gateway::start(server.address)).collect();
    for number in 0..50 {
        store.commit(vec![delete(&format!("user/{number}")), put("group/1", &number.to_string())]);
    }
    for gateway in &gateways {
        gateway.wait_for(&store);
        gateway.check(&store);
    }
    assert!(store.snapshots_read.load(Ordering::SeqCst) <= gateways.len());
}

#[test]
fn a_gateway_starts_from_its_disk_copy_and_goes_on_from_there() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::new(3, 7, &RECORDS);
    let server = Server::start(&store);
    let proxy = Proxy::clean(server.address);
    let gateway = Gateway::with_copy(proxy.address, folder.path());
    gateway.wait_for(&store);
    for number in 0..100 {
        store.commit(vec![put(&format!("user/{}", number % 5), &number.to_string())]);
    }
    gateway.wait_for(&store);
    drop(gateway);
    drop(server);
    proxy.cut();

    let gateway = Gateway::with_copy(proxy.address, folder.path());
    gateway.wait_for(&store);
    wait("trying", || gateway.status.reconnects.get() > 2);
    assert_eq!((gateway.status.is_connected(), gateway.status.last_contact()), (false, None));
    assert_eq!(gateway.published().len(), 1);

    store.commit(vec![delete("user/1")]);
    let server = Server::start(&store);
    proxy.turn_to(server.address);
    gateway.wait_for(&store);
    assert_eq!((gateway.status.snapshots.get(), gateway.status.disk_copy_failures.get()), (0, 0));
    drop(gateway);

    // A copy that is not whole is not in force: the feed is waited for.
    let journal = folder.path().join("journal");
    let bytes = std::fs::read(&journal).unwrap();
    std::fs::write(&journal, &bytes[..bytes.len() - 1]).unwrap();
    drop(server);
    proxy.cut();
    let gateway = Gateway::with_copy(proxy.address, folder.path());
    wait("trying", || gateway.status.reconnects.get() > 2);
    assert_eq!((gateway.in_force(), gateway.status.revision(), gateway.status.disk_copy_failures.get()), (None, None, 1));
    let server = Server::start(&store);
    proxy.turn_to(server.address);
    gateway.wait_for(&store);
}

#[test]
fn a_rosters_snapshots_are_handed_over() {
    let id = "9b7653f6f47a42e38055934a0575a813";
    let account = format!(r#"{{"kind":"account","id":"{id}","name":"a","active":true}}"#);
    let user = format!(r#"{{"kind":"user","id":"{id}","account":"{id}","name":"u"}}"#);
    let (account_key, user_key) = (format!("account/{id}"), format!("user/{id}"));
    let store = Store::new(3, 7, &[(&account_key, &account), (&user_key, &user), ("role/1", "{}")]);
    let server = Server::start(&store);
    let last = Arc::new(Mutex::new(None::<Snapshot>));
    let theirs = Arc::clone(&last);
    let hand_over = Arc::new(move |snapshot: Snapshot| drop(theirs.lock().unwrap().replace(snapshot)));
    let sealing_key = Arc::new(SealingKey::from_text(&"0a".repeat(32)).unwrap());
    let (follower, status) = (Publishing::new("e".parse().unwrap(), sealing_key, hand_over), Arc::new(FeedStatus::default()));
    let _feed = Feed::start(options(server.address, feed_key()), follower, None, Arc::clone(&status)).unwrap();
    let user_is_there = || last.lock().unwrap().as_ref().map(|snapshot| snapshot.user(id.parse::<UserId>().unwrap()).is_some());
    wait("the user", || user_is_there() == Some(true));
    wait("what cannot be read", || status.unreadable.get() == 1);
    store.commit(vec![delete(&user_key)]);
    wait("no user", || user_is_there() == Some(false));
    let revision = last.lock().unwrap().as_ref().map(Snapshot::revision);
    assert_eq!(revision, Some(expected(&store).0));
}
