//! How long it takes to find out who is calling, and whether they may: `cargo bench --bench authn`.
//!
//! Stages 4 to 7 of a request: client address, service, signature or token, state of the key and its owner, allowlist. What goes in is what hyper hands over; the
//! body is not among it. `cargo bench --bench authn -- timing` measures instead whether time tells an unknown access key from a wrong secret.

#![expect(clippy::expect_used, reason = "a measurement that cannot be made ends at once")]
#![expect(clippy::print_stdout, reason = "figures are what it is for")]
#![expect(clippy::disallowed_methods, reason = "it measures time")]
#![allow(missing_docs, reason = "criterion's macros make the functions that they name")]

mod timing;
mod world;

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};

use criterion::{BatchSize, Criterion};
use portcullis::access::Remembered;
use portcullis::gateway::replay::ReplayMemory;
use portcullis::types::{Network, NetworkSet};

use world::{Call, World};

/// The product's own allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn schemes(criterion: &mut Criterion) {
    let world = World::new(200_000);
    for (name, call) in [
        ("authn/scp", Call::scp()),
        ("authn/sigv4", Call::sigv4()),
        ("authn/token/seen", Call::token()),
        ("authn/session/seen", Call::session()),
    ] {
        world.identify(&call).expect("a good request");
        criterion.bench_function(name, |bencher| bencher.iter(|| world.identify(black_box(&call))));
    }
    let call = Call::scp();
    let (memory, mut number) = (ReplayMemory::default(), 0_u64);
    criterion.bench_function("authn/scp/claimed", |bencher| {
        bencher.iter(|| {
            number += 1;
            world.claim(&memory, black_box(&call), number)
        });
    });
    let call = Call::token();
    criterion.bench_function("authn/token/new", |bencher| {
        bencher.iter_batched_ref(|| Remembered::new(2), |fresh| drop(world.identify_with(black_box(&call), fresh)), BatchSize::SmallInput);
    });
}

/// Addresses in no order, in the list and beside it.
fn allowlists(criterion: &mut Criterion) {
    let mut state = 1_u64;
    let mut random = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 32) as u32
    };
    for entries in [50_usize, 100_000] {
        let networks: Vec<Network> = (0..entries).map(|_| format!("{}/28", Ipv4Addr::from(random())).parse().expect("a network")).collect();
        let list: NetworkSet = networks.iter().copied().collect();
        let inside = |number: usize| networks.get(number % entries).and_then(|network| network.to_string().split('/').next()?.parse().ok());
        let asked: Vec<IpAddr> = (0..4_096)
            .map(|number| if number % 2 == 0 { inside(random() as usize).expect("an address") } else { Ipv4Addr::from(random()).into() })
            .collect();
        assert!(asked.iter().step_by(2).all(|address| list.contains(*address)));
        let mut next = 0;
        criterion.bench_function(&format!("allowlist/{entries}"), |bencher| {
            bencher.iter(|| {
                next = (next + 1) % asked.len();
                asked.get(next).map(|address| black_box(&list).contains(*address))
            });
        });
    }
}

fn main() {
    if std::env::args().any(|argument| argument == "timing") {
        timing::run();
        return;
    }
    let mut criterion = Criterion::default().sample_size(50).configure_from_args();
    schemes(&mut criterion);
    allowlists(&mut criterion);
    criterion.final_summary();
}
