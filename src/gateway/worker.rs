//! One worker: a thread, a runtime, its sockets, its connections, its counters.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::net::TcpListener as StdListener;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use arc_swap::Cache;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::spawn_local;

use super::attributes::AttributeCache;
use super::client::{self, Ended};
use super::deadline::{Clock, Deadline, SWEEP_EVERY, TICK};
use super::failures::Failures;
use super::rates::Rates;
use super::replay::{Moment, ReplayMemory};
use super::server::{self, Shared, Stage};
use super::state::{Bound, State};
use super::upstream::Pool;
use crate::access::{CrossCheck, Remembered, Sets};
use crate::config::{Limits, Timeouts};
use crate::telemetry::{RecordSink, ServiceCounters, WorkerCounters};
use crate::types::{RequestId, Revision, Timestamp};

type StateCache = Cache<Arc<arc_swap::ArcSwap<State>>, Arc<State>>;

/// A worker's own things. Nothing here is shared with another thread but what [`Shared`] holds.
pub(super) struct Worker {
    index: usize,
    shared: Arc<Shared>,
    limits: Limits,
    timeouts: Timeouts,
    connections_max: usize,
    cache: RefCell<StateCache>,
    bound: RefCell<Option<Rc<Bound>>>,
    clock: Clock,
    counters: Arc<WorkerCounters>,
    sink: Rc<RecordSink>,
    pools: RefCell<HashMap<Arc<str>, Rc<Pool>>>,
    connections: RefCell<HashMap<u64, Rc<Deadline>>>,
    next_connection: Cell<u64>,
    stopping: Cell<bool>,
    /// How many requests wait for a revision.
    waiting: Rc<Cell<usize>>,
    /// How many questions about resources are on their way.
    asking: Rc<Cell<usize>>,
    random: Cell<u64>,
    /// How many evaluations of policies until one is done twice.
    next_check: Cell<u32>,
    remembered: Remembered,
    time_text: RefCell<(i64, String)>,
}

/// Runs a worker until it is told to stop and its connections have ended or been cut.
pub(super) fn run(
    index: usize,
    shared: Arc<Shared>,
    listeners: Vec<StdListener>,
    sink: RecordSink,
    counters: Arc<WorkerCounters>,
    seeds: [u64; 2],
) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async move {
        let mut stage = shared.stage.subscribe();
        let worker = Rc::new(Worker::new(index, shared, sink, counters, seeds));
        let ticking = spawn_local(tick(Rc::clone(&worker)));
        let mut accepting = Vec::new();
        for (listener, socket) in listeners.into_iter().enumerate() {
            accepting.push(spawn_local(accept(Rc::clone(&worker), listener, TcpListener::from_std(socket)?)));
        }
        let _ = stage.wait_for(|stage| *stage != Stage::Serving).await;
        for task in &accepting {
            task.abort();
        }
        worker.stop(&mut stage).await;
        ticking.abort();
        Ok(())
    })
}

async fn accept(worker: Rc<Worker>, listener: usize, socket: TcpListener) {
    loop {
        match socket.accept().await {
            Ok((stream, peer)) => {
                if worker.connections.borrow().len() >= worker.connections_max {
                    worker.counters.connections_refused.add(1);
                    continue;
                }
                worker.counters.connections_accepted.add(1);
                spawn_local(client::serve(Rc::clone(&worker), listener, stream, peer));
            }
            Err(error) => {
                // Out of file descriptors, most likely: existing connections go on, and closing ones make room.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(TICK).await;
            }
        }
    }
}

async fn tick(worker: Rc<Worker>) {
    let started = worker.monotonic();
    let mut ticks = tokio::time::interval(TICK);
    let mut swept_ms = 0;
    loop {
        ticks.tick().await;
        let now_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        worker.clock.set(now_ms);
        worker.sink.flush();
        if u128::from(now_ms - swept_ms) >= SWEEP_EVERY.as_millis() {
            swept_ms = now_ms;
            for deadline in worker.connections.borrow().values() {
                deadline.sweep();
            }
            for pool in worker.pools.borrow().values() {
                pool.sweep();
            }
            // An idle worker must let go of a state that is no longer in force.
            let bound = worker.bound();
            worker.index_policies();
            worker.forget(bound.state.view.clock_skew_ms);
        }
    }
}

impl Worker {
    fn new(index: usize, shared: Arc<Shared>, sink: RecordSink, counters: Arc<WorkerCounters>, [random, hashing]: [u64; 2]) -> Self {
        Self {
            index,
            limits: shared.limits,
            timeouts: shared.timeouts,
            connections_max: shared.limits.connections_max.div_ceil(shared.workers),
            cache: RefCell::new(Cache::new(Arc::clone(&shared.state))),
            bound: RefCell::new(None),
            clock: Rc::default(),
            counters,
            sink: Rc::new(sink),
            pools: RefCell::default(),
            connections: RefCell::default(),
            next_connection: Cell::new(0),
            stopping: Cell::new(false),
            waiting: Rc::default(),
            asking: Rc::default(),
            random: Cell::new(random),
            next_check: Cell::new(0),
            remembered: Remembered::new(hashing),
            time_text: RefCell::new((i64::MIN, String::new())),
            shared,
        }
    }

    /// What is in force now. Cheap: one look at the shared pointer, no shared count is touched.
    pub(super) fn bound(&self) -> Rc<Bound> {
        let mut cache = self.cache.borrow_mut();
        let state = cache.load();
        let mut bound = self.bound.borrow_mut();
        match bound.as_ref() {
            Some(bound) if Arc::ptr_eq(&bound.state, state) => Rc::clone(bound),
            before => {
                let fresh = Rc::new(Bound::new(Arc::clone(state), self, before.map(|before| &**before)));
                *bound = Some(Rc::clone(&fresh));
                fresh
            }
        }
    }

    /// Indexes over all policies of those who hold many.
    pub(super) fn sets(&self) -> &Sets {
        &self.shared.sets
    }

    /// Starts the next of these, aside.
    fn index_policies(&self) {
        let Some(job) = self.shared.sets.job() else { return };
        self.counters.policy_sets_indexed.add(1);
        if let Err(error) = std::thread::Builder::new().name("policy-set".to_owned()).spawn(move || job.run()) {
            tracing::warn!(%error, "no thread to index policies: decisions go on without");
        }
    }

    /// What was verified before.
    pub(super) const fn remembered(&self) -> &Remembered {
        &self.remembered
    }

    /// Which evaluations of policies are done twice.
    pub(super) fn cross_check(&self, state: &State) -> CrossCheck<'_> {
        CrossCheck { every: state.view.cross_check, left: &self.next_check }
    }

    /// What was accepted and must not be accepted again.
    pub(super) fn replay(&self) -> &ReplayMemory {
        &self.shared.replay
    }

    /// How often authentication failed.
    pub(super) fn failures(&self) -> &Failures {
        &self.shared.failures
    }

    /// How many requests were sent.
    pub(super) fn rates(&self) -> &Rates {
        &self.shared.rates
    }

    /// Forgets what has expired, so that it does not stay when nothing more comes.
    fn forget(&self, skew_ms: u64) {
        let at = Moment { now: self.wall_clock(), monotonic_ms: self.monotonic_ns() / 1_000_000, skew_ms };
        self.counters.replay_forgotten.add(self.shared.replay.sweep(at));
    }

    /// What backends told about resources.
    pub(super) fn attributes(&self) -> &AttributeCache {
        &self.shared.attributes
    }

    pub(super) fn counters(&self) -> &WorkerCounters {
        &self.counters
    }

    /// A deadline of no connection: it never comes.
    pub(super) fn idle_deadline(&self) -> Rc<Deadline> {
        Rc::new(Deadline::new(Rc::clone(&self.clock), self.timeouts))
    }

    /// A place among the questions that are on their way to backends, if there is one.
    pub(super) fn ask(&self, most: usize) -> Option<Waiting> {
        Waiting::among(&self.asking, most)
    }

    /// Tells the revision in force, now and whenever it changes.
    pub(super) fn published(&self) -> watch::Receiver<Revision> {
        self.shared.published.subscribe()
    }

    /// A place among the requests that wait for a revision, if there is one.
    pub(super) fn wait_for_revision(&self, most: usize) -> Option<Waiting> {
        Waiting::among(&self.waiting, most)
    }

    pub(super) fn limits(&self) -> Limits {
        self.limits
    }

    pub(super) fn sink(&self) -> &Rc<RecordSink> {
        &self.sink
    }

    pub(super) fn records_must_be_refused(&self) -> bool {
        self.sink.must_refuse()
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.get()
    }

    /// This worker's connections to a backend.
    pub(super) fn pool(&self, authority: &Arc<str>) -> Rc<Pool> {
        let mut pools = self.pools.borrow_mut();
        let fresh = || Rc::new(Pool::new(authority, Rc::clone(&self.clock), Arc::clone(&self.counters)));
        Rc::clone(pools.entry(Arc::clone(authority)).or_insert_with(fresh))
    }

    pub(super) fn service_counters(&self, name: &Arc<str>) -> Arc<ServiceCounters> {
        self.shared.metrics.service(self.index, name)
    }

    /// The one wall-clock reading of a request.
    pub(super) fn wall_clock(&self) -> Timestamp {
        (self.shared.wall_clock)()
    }

    /// A monotonic reading, at a stage's border.
    #[expect(clippy::unused_self, reason = "only workers may read clocks")]
    pub(super) fn monotonic(&self) -> Instant {
        server::monotonic()
    }

    /// The same in nanoseconds since the gateway started, for what workers share.
    pub(super) fn monotonic_ns(&self) -> u64 {
        u64::try_from((self.monotonic() - self.shared.started).as_nanos()).unwrap_or(u64::MAX)
    }

    /// A time as text; the seconds are formatted once per second.
    pub(super) fn with_time(&self, time: Timestamp, use_text: impl FnOnce(&str)) {
        let mut cached = self.time_text.borrow_mut();
        let second = time.milliseconds().div_euclid(1_000);
        if cached.0 != second {
            *cached = (second, Timestamp::from_milliseconds(second * 1_000).to_string());
        }
        let text = &mut cached.1;
        let milliseconds = time.milliseconds().rem_euclid(1_000);
        text.truncate(text.len().saturating_sub(4));
        let digit = |value: i64| char::from_digit(u32::try_from(value % 10).unwrap_or(0), 10).unwrap_or('0');
        text.extend([digit(milliseconds / 100), digit(milliseconds / 10), digit(milliseconds), 'Z']);
        use_text(text);
    }

    /// A fresh request id: the time, and a sequence that starts at random.
    pub(super) fn request_id(&self, now: Timestamp) -> RequestId {
        // SplitMix64: distinct for 2^64 requests of a worker. Ids identify; they are not secrets.
        let state = self.random.get().wrapping_add(0x9E37_79B9_7F4A_7C15);
        self.random.set(state);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        let low = (mixed ^ (mixed >> 31)).to_be_bytes();
        let high = u16::try_from(self.index % 65_536).unwrap_or(0).to_be_bytes();
        let mut random = [0; 10];
        for (slot, byte) in random.iter_mut().zip(low.into_iter().chain(high)) {
            *slot = byte;
        }
        RequestId::new(u64::try_from(now.milliseconds()).unwrap_or(0), &random)
    }

    /// Enters a connection into the books.
    pub(super) fn open_connection(&self) -> (u64, Rc<Deadline>) {
        let id = self.next_connection.get();
        self.next_connection.set(id + 1);
        let deadline = Rc::new(Deadline::new(Rc::clone(&self.clock), self.timeouts));
        self.connections.borrow_mut().insert(id, Rc::clone(&deadline));
        self.counters.connections_open.add(1);
        (id, deadline)
    }

    /// Takes a connection out of the books.
    pub(super) fn close_connection(&self, id: u64, ended: &Ended) {
        self.connections.borrow_mut().remove(&id);
        self.counters.connections_open.subtract(1);
        match ended {
            Ended::Finished => {}
            Ended::TimedOut => self.counters.connections_timed_out.add(1),
            Ended::Refused => self.counters.connections_refused.add(1),
            Ended::NotProxied(error) => {
                self.counters.connections_malformed.add(1);
                tracing::debug!(%error, "a connection was closed");
            }
            Ended::Broken(error) => tracing::debug!(%error, "a client connection broke"),
            Ended::Failed(error) if error.is_parse() => self.counters.connections_malformed.add(1),
            Ended::Failed(error) => tracing::debug!(%error, "a client connection broke"),
        }
    }

    /// Lets open requests finish, at most for the drain time.
    async fn stop(&self, stage: &mut watch::Receiver<Stage>) {
        self.stopping.set(true);
        let drained = async {
            while !self.connections.borrow().is_empty() {
                for deadline in self.connections.borrow().values() {
                    deadline.wake();
                }
                tokio::time::sleep(TICK).await;
            }
        };
        tokio::select! {
            () = drained => {}
            () = tokio::time::sleep(self.timeouts.drain) => {
                tracing::warn!(connections = self.connections.borrow().len(), "open requests are cut: the drain time is over");
            }
            _ = stage.wait_for(|stage| *stage == Stage::Stopped) => {}
        }
    }
}

/// A place among those who wait for something, as long as this is held.
pub(super) struct Waiting(Rc<Cell<usize>>);

impl Waiting {
    fn among(waiting: &Rc<Cell<usize>>, most: usize) -> Option<Self> {
        if waiting.get() >= most {
            return None;
        }
        waiting.set(waiting.get() + 1);
        Some(Self(Rc::clone(waiting)))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.set(self.0.get().saturating_sub(1));
    }
}
