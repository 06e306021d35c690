//! Whether time tells an unknown access key from a wrong secret: Welch's t-test over interleaved calls.

use std::hint::black_box;
use std::time::Instant;

use http::{HeaderName, HeaderValue};

use super::world::{Call, World, authorization, key_id};

/// Calls of each kind.
const CALLS: usize = 100_000;
/// How many keys there are, so few that all are in the cache, and so many that they are not; and how many of them are asked for, and as many unknown ones. All
/// are asked for equally often. They are few of all there are, or the same key would be found in place of several unknown ones, and be in the cache for that.
const KEYS: [(u32, u32); 3] = [(5_000, 250), (20_000, 400), (200_000, 2_000)];
/// Beyond this two means differ, as the field has it (Goodwill et al., 2011: a false alarm in 100,000).
const THRESHOLD: f64 = 4.5;
/// The slowest in a hundred calls were interrupted, whatever they did.
const KEPT: f64 = 0.99;

/// A call of which every other thing than the key in its credential stays the same.
struct Scheme {
    name: &'static str,
    call: Call,
    header: HeaderName,
    credential: fn(&str) -> String,
}

/// Whose key a call names.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Named {
    /// Somebody's.
    Known,
    /// Nobody's.
    Unknown,
}

/// Measures, prints, and fails when time tells, or when it would not tell if unknown keys were refused at once.
pub(crate) fn run() {
    let scp =
        |name: &'static str, call: Call| Scheme { name, call, header: HeaderName::from_static("scp-accesskey"), credential: str::to_owned };
    let wrong = |key: &str| authorization(key).replace("Signature=8", "Signature=9");
    let mut schemes = [
        scp("platform signature", Call::wrong()),
        scp("beside the token of a session", Call::wrong().beside_session_token()),
        Scheme { name: "AWS signature", call: Call::sigv4(), header: HeaderName::from_static("authorization"), credential: wrong },
    ];
    let mut told = Vec::new();
    for (keys, asked) in KEYS {
        let world = World::new(keys);
        let identify = |call: &Call| drop(black_box(world.identify(black_box(call))));
        for scheme in &mut schemes {
            let answers = [Named::Unknown, Named::Known].map(|named| {
                scheme.name(named, 7, (keys, asked));
                world.identify(&scheme.call).expect_err("the signature is wrong")
            });
            assert_eq!(answers.first(), answers.last(), "the same answer");
            let found = welch(&measure(scheme, [Named::Unknown, Named::Known], (keys, asked), identify));
            // Of two unknown keys nothing differs: that difference is the measurement's own.
            let control = welch(&measure(scheme, [Named::Unknown; 2], (keys, asked), identify));
            println!("{keys:>7} keys, {:29}  unknown key against wrong secret: {found}; against unknown keys: {control}", scheme.name);
            told.extend((found.t.abs() >= THRESHOLD).then(|| format!("{keys} keys, {}", scheme.name)));
        }
        let [scp, ..] = &mut schemes;
        let early = welch(&measure(scp, [Named::Unknown, Named::Known], (keys, asked), |call| {
            if !world.refuse_at_once(black_box(call)) {
                identify(call);
            }
        }));
        println!("{keys:>7} keys, if an unknown key were refused without any HMAC: {early} (the limit is {THRESHOLD})");
        assert!(early.t.abs() > THRESHOLD, "this test would find nothing");
    }
    assert!(told.is_empty(), "time tells which keys there are: {told:?}");
}

impl Scheme {
    /// Names another key of the few that are asked for.
    fn name(&mut self, named: Named, random: u32, (keys, asked): (u32, u32)) {
        let first = if named == Named::Known { 0 } else { keys };
        let number = first + random % asked;
        let value = HeaderValue::try_from((self.credential)(&key_id(number))).expect("a header's value");
        self.call.present(&self.header, value);
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

/// Nanoseconds of each call that names keys of two kinds, in an order that follows no rhythm.
fn measure(scheme: &mut Scheme, kinds: [Named; 2], keys: (u32, u32), made: impl Fn(&Call)) -> [Vec<f64>; 2] {
    let mut times = [Vec::with_capacity(CALLS), Vec::with_capacity(CALLS)];
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    for warming in [true, false] {
        times.iter_mut().for_each(Vec::clear);
        let wanted = if warming { CALLS / 10 } else { CALLS };
        while times.iter().any(|times| times.len() < wanted) {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let which = usize::from(state >> 63 == 1);
            let [one, other] = kinds;
            scheme.name(if which == 0 { one } else { other }, (state >> 24) as u32, keys);
            let started = Instant::now();
            made(&scheme.call);
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
