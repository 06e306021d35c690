//! A network that does everything to a stream: the gateway ends where the store is, and is never anywhere else.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::follower::{Gateway, wait};
use crate::proxy::{Harm, Proxy};
use crate::store::{Server, Store, delete, put};

/// A stream of a few short pieces: hello, two records with the end, commits.
fn short() -> Store {
    let store = Store::new(3, 7, &[("a", "1"), ("b", "2")]);
    store.commit(vec![put("c", "3")]);
    store
}

#[test]
fn one_harm_to_any_piece_is_noticed_and_mended() {
    let store = short();
    let server = Server::start(&store);
    for piece in 0..5 {
        for harm in [Harm::Double, Harm::Drop, Harm::Swap, Harm::Delay] {
            let proxy = Proxy::start(
                server.address,
                Box::new(move |connection, at| if (connection, at) == (0, piece) { harm } else { Harm::None }),
            );
            let gateway = Gateway::start(proxy.address);
            gateway.wait_for(&store);
            store.commit(vec![put("d", &piece.to_string())]);
            gateway.wait_for(&store);
            gateway.check(&store);
        }
    }
}

/// Every byte of the first pieces of a first connection, harmed in some way.
fn each_byte(harm: fn(usize) -> Harm) {
    let store = short();
    let server = Server::start(&store);
    // The longest piece has fewer bytes than this.
    for (piece, bytes) in [(0, 110), (1, 110), (2, 250), (3, 160)] {
        for at in 0..bytes {
            let done = Arc::new(AtomicBool::new(false));
            let plan = move |_: usize, number: usize| {
                if number == piece && !done.swap(true, Ordering::SeqCst) { harm(at) } else { Harm::None }
            };
            let proxy = Proxy::start(server.address, Box::new(plan));
            let gateway = Gateway::start(proxy.address);
            gateway.wait_for(&store);
            gateway.check(&store);
        }
    }
}

#[test]
fn a_stream_cut_at_any_byte_goes_on() {
    each_byte(Harm::Cut);
}

#[test]
fn a_stream_changed_at_any_byte_is_dropped_and_goes_on() {
    each_byte(Harm::Flip);
}

/// SplitMix64.
fn random(state: &mut u64) -> usize {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    usize::try_from((mixed ^ (mixed >> 31)) >> 32).unwrap()
}

#[test]
fn hundreds_of_changes_over_a_bad_network_end_at_the_same_state() {
    for seed in 1..=3 {
        let store = short();
        let server = Server::start(&store);
        let mut state = seed;
        let plan = move |_: usize, _: usize| {
            let at = random(&mut state);
            match random(&mut state) % 20 {
                0 => Harm::Double,
                1 => Harm::Drop,
                2 => Harm::Swap,
                3 => Harm::Flip(at),
                4 => Harm::Cut(at),
                5 => Harm::Delay,
                _ => Harm::None,
            }
        };
        let proxy = Proxy::start(server.address, Box::new(plan));
        let folder = tempfile::tempdir().unwrap();
        let mut gateway = Gateway::with_copy(proxy.address, folder.path());
        let mut state = seed + 100;
        for number in 0..300 {
            let key = format!("user/{}", random(&mut state) % 40);
            let change = if random(&mut state).is_multiple_of(3) { delete(&key) } else { put(&key, &number.to_string()) };
            store.commit(vec![change, put("group/1", &number.to_string())]);
            if random(&mut state).is_multiple_of(8) {
                gateway.wait_for(&store);
            }
            if number % 100 == 99 {
                // What was in force at the end is the first thing in force after a restart.
                let published = gateway.stop();
                gateway = Gateway::with_copy(proxy.address, folder.path());
                if let Some(last) = published.last() {
                    wait("loaded", || gateway.in_force().is_some());
                    assert_eq!(gateway.published().first(), Some(last));
                }
            }
        }
        gateway.wait_for(&store);
        gateway.check(&store);
        assert_eq!((gateway.status.digest_mismatches.get(), gateway.status.refused_steps.get()), (0, 0));
        assert_eq!(gateway.status.disk_copy_failures.get(), 0);
    }
}
