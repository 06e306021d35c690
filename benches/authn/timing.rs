//! Whether time tells an unknown access key from a wrong secret: Welch's t-test over interleaved calls.

use std::collections::HashSet;
use std::hint::black_box;
use std::time::Instant;

use bytes::Bytes;
use http::{HeaderName, HeaderValue};

use super::world::{Call, OTHER_KEYS, World, authorization, key_id};

/// Calls of each kind.
const CALLS: usize = 100_000;
/// How many keys of each kind they are signed as: many, since where a record lies in memory shows in every call that names it, and the test takes calls
/// for independent; and few of all there are, since unknown keys that share a neighbour would find it in the cache.
const KEYS: u32 = 4_096;
/// Bytes of a cache line: each credential begins with one.
const LINE: usize = 64;
/// Beyond this two means differ, as the field has it (Goodwill et al., 2011: a false alarm in 100,000).
const THRESHOLD: f64 = 4.5;
/// The slowest in a hundred calls were interrupted, whatever they did.
const KEPT: f64 = 0.99;

/// Measures, prints, and fails when time tells, or when it would not tell if unknown keys were refused at once.
pub(crate) fn run() {
    let world = World::new();
    let plain = Credentials::new("scp-accesskey", str::to_owned);
    let aws = Credentials::new("authorization", |key| authorization(key).replace("Signature=8", "Signature=9"));
    let mut calls = [
        ("platform signature", Call::wrong(), &plain),
        ("platform signature beside the token of a session", Call::wrong().beside_session_token(), &plain),
        ("AWS signature", Call::sigv4(), &aws),
    ];
    let identify = |call: &Call| drop(black_box(world.identify(black_box(call))));
    let same = calls.each_mut().map(|(what, call, credentials)| {
        let kinds = [&credentials.unknown, &credentials.known];
        let answers: HashSet<_> = kinds.into_iter().flatten().map(|value| answer(&world, call, (&credentials.header, value))).collect();
        assert_eq!(answers.len(), 1, "the same answer to all");
        let found = welch(&measure(call, credentials, kinds, identify));
        // Nothing differs but what the keys are called: that difference is the measurement's own.
        let control = welch(&measure(call, credentials, [&credentials.unknown, &credentials.others], identify));
        println!("unknown key against wrong secret, {what}: {found}; against other unknown keys: {control}");
        found.t.abs() < THRESHOLD
    });
    let early = welch(&measure(&mut Call::wrong(), &plain, [&plain.unknown, &plain.known], |call| {
        if !world.refuse_at_once(black_box(call)) {
            identify(call);
        }
    }));
    println!("if an unknown key were refused without any HMAC: {early} (the limit is {THRESHOLD})");
    assert!(early.t.abs() > THRESHOLD, "this test would find nothing");
    assert_eq!(same, [true; 3], "time tells which keys there are");
}

fn answer(world: &World, call: &mut Call, credential: (&HeaderName, &HeaderValue)) -> String {
    call.present(credential);
    format!("{:?}", world.identify(call))
}

/// The credentials of keys, all alike in memory.
struct Credentials {
    header: HeaderName,
    known: Vec<HeaderValue>,
    unknown: Vec<HeaderValue>,
    others: Vec<HeaderValue>,
}

impl Credentials {
    fn new(header: &'static str, text: impl Fn(&str) -> String) -> Self {
        let texts: Vec<String> = (0..KEYS).chain((OTHER_KEYS..).take(2 * KEYS as usize)).map(|number| text(&key_id(number))).collect();
        let length = texts.first().map_or(0, String::len);
        let distance = length.next_multiple_of(LINE);
        let lines: Bytes = texts.iter().flat_map(|text| format!("{text:distance$}").into_bytes()).collect();
        let value = |place: usize| HeaderValue::from_maybe_shared(lines.slice(place * distance..place * distance + length));
        let mut values = (0..texts.len()).map(|place| value(place).expect("a header's value"));
        let [known, unknown, others] = std::array::from_fn(|_| values.by_ref().take(KEYS as usize).collect());
        Self { header: HeaderName::from_static(header), known, unknown, others }
    }
}

struct Difference {
    t: f64,
    means_ns: (f64, f64),
}

impl std::fmt::Display for Difference {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (one, other) = self.means_ns;
        write!(out, "{one:.1} ns and {other:.1} ns, t = {:.2}", self.t)
    }
}

/// Nanoseconds of each call in the name of keys of two kinds, in an order that follows no rhythm. It is one and the same call but for that name.
fn measure(call: &mut Call, credentials: &Credentials, kinds: [&Vec<HeaderValue>; 2], made: impl Fn(&Call)) -> [Vec<f64>; 2] {
    let mut times = [Vec::with_capacity(CALLS), Vec::with_capacity(CALLS)];
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    for warming in [true, false] {
        times.iter_mut().for_each(Vec::clear);
        let wanted = if warming { CALLS / 10 } else { CALLS };
        while times.iter().any(|times| times.len() < wanted) {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let (which, key) = (usize::from(state >> 63 == 1), (state >> 40) as usize % KEYS as usize);
            if let Some(value) = kinds.get(which).and_then(|values| values.get(key)) {
                call.present((&credentials.header, value));
            }
            let started = Instant::now();
            made(call);
            let time_ns = started.elapsed().as_nanos() as f64;
            if let Some(times) = times.get_mut(which).filter(|times| times.len() < wanted) {
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
