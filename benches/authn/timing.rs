//! Whether time tells an unknown access key from a wrong secret: Welch's t-test over interleaved calls.

use std::hint::black_box;
use std::time::Instant;

use super::world::{Call, KEY, NOBODYS, World};

/// Calls of each kind.
const CALLS: usize = 100_000;
/// Beyond this two means differ, as the field has it (Goodwill et al., 2011: a false alarm in 100,000).
const THRESHOLD: f64 = 4.5;
/// The slowest in a hundred calls were interrupted, whatever they did.
const KEPT: f64 = 0.99;
/// Neither kind signs with the key's secret.
const WRONG: &str = "00000000-f7c6-46bc-9faa-d2b9d20e0899";

/// Measures, prints, and fails when time tells, or when it would not tell if unknown keys were refused at once.
pub(crate) fn run() {
    let world = World::new();
    let (unknown, wrong) = (Call::scp_by(NOBODYS, WRONG), Call::scp_by(KEY, WRONG));
    let same = compare(&world, "unknown key against wrong secret", (&unknown, &wrong));
    let beside = (Call::scp_by(NOBODYS, WRONG).beside_session_token(), Call::scp_by(KEY, WRONG).beside_session_token());
    let sessions = compare(&world, "the same beside the token of a session", (&beside.0, &beside.1));
    let early =
        welch(&measure(|| _ = black_box(world.refuse_at_once(black_box(&unknown))), || drop(black_box(world.identify(black_box(&wrong))))));
    println!("the same if an unknown key were refused without any HMAC: {early}");
    assert!(same.t.abs().max(sessions.t.abs()) < THRESHOLD, "time tells which keys there are");
    assert!(early.t.abs() > THRESHOLD, "this test would find nothing");
}

/// Measures two calls that get the same answer.
fn compare(world: &World, what: &str, (one, other): (&Call, &Call)) -> Difference {
    let reason = |call| world.identify(call).err();
    assert_eq!(reason(one), reason(other), "the same answer");
    let found = welch(&measure(|| drop(black_box(world.identify(black_box(one)))), || drop(black_box(world.identify(black_box(other))))));
    println!("{what}: {found}");
    found
}

struct Difference {
    t: f64,
    means_ns: (f64, f64),
}

impl std::fmt::Display for Difference {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (one, other) = self.means_ns;
        write!(out, "{one:.1} ns and {other:.1} ns, t = {:.2} (the limit is {THRESHOLD})", self.t)
    }
}

/// Nanoseconds of each call of either kind, in an order that follows no rhythm.
fn measure(mut one: impl FnMut(), mut other: impl FnMut()) -> [Vec<f64>; 2] {
    let mut times = [Vec::with_capacity(CALLS), Vec::with_capacity(CALLS)];
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    for warming in [true, false] {
        times.iter_mut().for_each(Vec::clear);
        let calls = if warming { CALLS / 10 } else { CALLS };
        while times.iter().any(|times| times.len() < calls) {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let which = usize::from(state >> 63 == 1);
            let started = Instant::now();
            if which == 0 {
                one()
            } else {
                other()
            }
            let time_ns = started.elapsed().as_nanos() as f64;
            if let Some(times) = times.get_mut(which).filter(|times| times.len() < calls) {
                times.push(time_ns);
            }
        }
    }
    times
}

/// Welch's t of two samples, each without what the slowest of both took.
fn welch(times: &[Vec<f64>; 2]) -> Difference {
    let mut all: Vec<f64> = times.iter().flatten().copied().collect();
    all.sort_by(f64::total_cmp);
    let most = all.get((all.len() as f64 * KEPT) as usize).copied().unwrap_or(f64::MAX);
    let [one, other] = times.each_ref().map(|times| {
        let kept: Vec<f64> = times.iter().copied().filter(|time| *time <= most).collect();
        let count = kept.len() as f64;
        let mean = kept.iter().sum::<f64>() / count;
        (mean, kept.iter().map(|time| (time - mean).powi(2)).sum::<f64>() / (count - 1.0) / count)
    });
    Difference { t: (one.0 - other.0) / (one.1 + other.1).sqrt(), means_ns: (one.0, other.0) }
}
