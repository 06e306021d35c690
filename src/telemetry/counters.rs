//! Counters of one worker. Only that worker writes them, so a count is a load and a store, never a locked add.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crate::types::Reason;

/// A counter with one writer and any number of readers.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds. Only the owning worker may call this.
    pub fn add(&self, more: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(more), Relaxed);
    }

    /// Takes away, for gauges. Only the owning worker may call this.
    pub fn subtract(&self, less: u64) {
        self.0.store(self.0.load(Relaxed).saturating_sub(less), Relaxed);
    }

    /// The present value.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// How a decision came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Allowed.
    Allowed,
    /// Refused.
    Refused(Reason),
    /// Forwarded in observe mode although it would have been refused.
    Observed(Reason),
}

/// Upper bounds of duration buckets, in seconds.
pub const DURATION_BOUNDS: [f64; 14] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// Upper bounds of decision time buckets, in seconds.
pub const DECISION_BOUNDS: [f64; 14] =
    [0.000_001, 0.000_002, 0.000_004, 0.000_008, 0.000_016, 0.000_032, 0.000_064, 0.000_128, 0.000_256, 0.000_512, 0.001, 0.005, 0.02, 0.1];
const BUCKETS: usize = 15;

/// A histogram with fixed bounds.
#[derive(Debug)]
pub struct Histogram {
    bounds: &'static [f64; 14],
    buckets: [Counter; BUCKETS],
    sum_ns: Counter,
}

impl Histogram {
    pub(super) fn new(bounds: &'static [f64; 14]) -> Self {
        Self { bounds, buckets: Default::default(), sum_ns: Counter::default() }
    }

    /// Counts one duration.
    pub fn observe(&self, duration: Duration) {
        let seconds = duration.as_secs_f64();
        let index = self.bounds.iter().position(|bound| seconds <= *bound).unwrap_or(BUCKETS - 1);
        if let Some(bucket) = self.buckets.get(index) {
            bucket.add(1);
        }
        self.sum_ns.add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX));
    }

    /// The bounds, in seconds.
    #[must_use]
    pub fn bounds(&self) -> &'static [f64] {
        self.bounds
    }

    /// Counts per bucket (the last has no upper bound), and the sum in seconds.
    #[must_use]
    pub fn read(&self) -> ([u64; BUCKETS], f64) {
        let mut counts = [0; BUCKETS];
        for (count, bucket) in counts.iter_mut().zip(&self.buckets) {
            *count = bucket.get();
        }
        #[expect(clippy::cast_precision_loss, reason = "a sum of seconds for people")]
        let sum = self.sum_ns.get() as f64 / 1e9;
        (counts, sum)
    }
}

/// What one worker counts for one service.
#[derive(Debug)]
#[repr(align(128))]
pub struct ServiceCounters {
    /// The service's name, or `-` for requests that no service answers to.
    pub service: Arc<str>,
    /// Allowed requests.
    pub allowed: Counter,
    /// Refused requests by reason, in the order of [`Reason::ALL`].
    pub refused: Box<[Counter]>,
    /// Requests forwarded in observe mode that would have been refused, by reason.
    pub would_deny: Box<[Counter]>,
    /// Answers by first digit of the status, from 1 to 5.
    pub responses: [Counter; 5],
    /// From the head of the request to the end of the answer.
    pub duration: Histogram,
    /// The decision alone.
    pub decision: Histogram,
}

impl ServiceCounters {
    /// Counters at zero.
    #[must_use]
    pub fn new(service: Arc<str>) -> Self {
        let by_reason = || Reason::ALL.iter().map(|_| Counter::default()).collect();
        Self {
            service,
            allowed: Counter::default(),
            refused: by_reason(),
            would_deny: by_reason(),
            responses: Default::default(),
            duration: Histogram::new(&DURATION_BOUNDS),
            decision: Histogram::new(&DECISION_BOUNDS),
        }
    }

    /// Counts a decision.
    pub fn decided(&self, outcome: Outcome, took: Duration) {
        self.decision.observe(took);
        self.outcome(outcome);
    }

    /// Counts an outcome that came after the decision (an upstream that failed).
    pub fn outcome(&self, outcome: Outcome) {
        let counter = match outcome {
            Outcome::Allowed => Some(&self.allowed),
            Outcome::Refused(reason) => self.refused.get(reason as usize),
            Outcome::Observed(reason) => self.would_deny.get(reason as usize),
        };
        if let Some(counter) = counter {
            counter.add(1);
        }
    }

    /// Counts an answer.
    pub fn answered(&self, status: u16, took: Duration) {
        let class = usize::from(status / 100).saturating_sub(1);
        if let Some(counter) = self.responses.get(class) {
            counter.add(1);
        }
        self.duration.observe(took);
    }
}

/// What one worker counts beside services.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct WorkerCounters {
    /// Client connections open now.
    pub connections_open: Counter,
    /// Client connections accepted.
    pub connections_accepted: Counter,
    /// Client connections closed at once: too many, or past the proxies that a listener is for.
    pub connections_refused: Counter,
    /// Client connections ended by a timeout.
    pub connections_timed_out: Counter,
    /// Client connections ended by something that is not HTTP, or not the PROXY header that was due.
    pub connections_malformed: Counter,
    /// Connections made to upstreams.
    pub upstream_connections: Counter,
    /// Requests sent again on a fresh connection.
    pub upstream_retries: Counter,
    /// Questions about tags and attributes of resources that backends were asked.
    pub attributes_asked: Counter,
    /// Of these, those without a usable answer.
    pub attributes_failed: Counter,
    /// Evaluations of policies that were done twice.
    pub cross_checks: Counter,
    /// Of these, those that differed.
    pub cross_check_mismatches: Counter,
    /// Times that all policies of a principal were begun to be indexed as one.
    pub policy_sets_indexed: Counter,
    /// Authentications that failed.
    pub authentication_failures: Counter,
    /// Requests remembered so that they are not accepted again.
    pub replay_claims: Counter,
    /// Of these, of all workers, those that were forgotten.
    pub replay_forgotten: Counter,
    /// Decision records written.
    pub records: Counter,
    /// Decision records dropped because writing could not keep up.
    pub records_dropped: Counter,
}
