//! Nothing goes back, whoever answers.

use crate::follower::{Gateway, expected, options, wait};
use crate::proxy::Proxy;
use crate::store::{Server, Store, feed_key, put};
use portcullis::types::{Secret, SigningKey};

/// A gateway that has followed a store of epoch 3 to sequence 9, and then meets another store.
fn then(other: &Store, check: impl FnOnce(&Gateway)) {
    let store = Store::new(3, 8, &[("user/1", "{}")]);
    let (first, second) = (Server::start(&store), Server::start(other));
    let proxy = Proxy::clean(first.address);
    let folder = tempfile::tempdir().unwrap();
    let gateway = Gateway::with_copy(proxy.address, folder.path());
    gateway.wait_for(&store);
    store.commit(vec![put("user/2", "{}")]);
    gateway.wait_for(&store);
    proxy.turn_to(second.address);
    check(&gateway);
    if gateway.status.refused_steps.get() > 0 {
        assert_eq!(gateway.in_force(), Some(expected(&store)), "what was in force stays");
        // Also after a restart.
        drop(gateway);
        let gateway = Gateway::with_copy(proxy.address, folder.path());
        wait("refused", || gateway.status.refused_steps.get() > 2);
        assert_eq!(gateway.in_force(), Some(expected(&store)));
        // Also without the state: the note of the highest revision is enough.
        drop(gateway);
        std::fs::remove_file(folder.path().join("image")).unwrap();
        let gateway = Gateway::with_copy(proxy.address, folder.path());
        wait("refused", || gateway.status.refused_steps.get() > 2);
        assert_eq!(gateway.in_force(), None);
        proxy.turn_to(first.address);
        gateway.wait_for(&store);
    }
}

#[test]
fn an_older_epoch_is_refused_however_far_it_is() {
    then(&Store::new(2, 1_000, &[("user/9", "{}")]), |gateway| wait("refused", || gateway.status.refused_steps.get() > 2));
}

#[test]
fn an_older_sequence_of_the_same_epoch_is_refused() {
    then(&Store::new(3, 8, &[("user/9", "{}")]), |gateway| wait("refused", || gateway.status.refused_steps.get() > 2));
}

#[test]
fn a_later_epoch_is_entered_by_a_whole_state() {
    let other = Store::new(4, 1, &[("user/9", "{}")]);
    then(&other, |gateway| {
        gateway.wait_for(&other);
        wait("counted", || gateway.status.snapshots.get() == 2);
        other.commit(vec![put("user/10", "{}")]);
        gateway.wait_for(&other);
        assert_eq!(gateway.status.refused_steps.get(), 0);
    });
}

#[test]
fn another_feed_key_opens_nothing() {
    let store = Store::new(3, 8, &[("user/1", "{}")]);
    let server = Server::start(&store);
    let key = SigningKey::new(&Secret::new(*b"another feed key of the tests"));
    let gateway = Gateway::with(options(server.address, key), None);
    wait("refused", || server.counters.unsigned() > 2);
    assert_eq!((gateway.in_force(), server.counters.started(), gateway.status.last_contact()), (None, 0, None));
    let right = Gateway::with(options(server.address, feed_key()), None);
    right.wait_for(&store);
}
