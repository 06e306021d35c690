//! Starting, reloading and stopping the gateway.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::sync::watch;

use super::attributes::AttributeCache;
use super::failures::Failures;
use super::health;
use super::rates::Rates;
use super::replay::ReplayMemory;
use super::state::State;
use super::worker;
use crate::access::Sets;
use crate::config::{Limits, OnFull, Timeouts};
use crate::telemetry::{Metrics, RecordWriter};
use crate::types::{Revision, Timestamp};

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 4096;

/// What does not change while the gateway runs.
pub struct Options {
    /// Listening addresses, in the order of the state's entrances.
    pub listeners: Vec<SocketAddr>,
    /// Where `/metrics`, `/livez`, `/readyz` and `/revision` are served.
    pub metrics_address: SocketAddr,
    /// How many workers.
    pub workers: usize,
    /// Limits.
    pub limits: Limits,
    /// Timeouts.
    pub timeouts: Timeouts,
    /// What happens when decision records cannot be written fast enough.
    pub on_full: OnFull,
    /// Where decision records go.
    pub records: RecordWriter,
    /// The process's metrics.
    pub metrics: Arc<Metrics>,
    /// Where the time comes from: [`system_time`], but for tests of things that happened at a fixed time.
    pub wall_clock: fn() -> Timestamp,
}

/// The time of the operating system's clock.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the shell is where time is read; the core gets it as an argument")]
pub fn system_time() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_milliseconds(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// The clock that never steps.
#[expect(clippy::disallowed_methods, reason = "the shell is where time is read; the core gets it as an argument")]
pub(super) fn monotonic() -> Instant {
    Instant::now()
}

/// Why the gateway did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address cannot be listened on.
    #[error("cannot listen on `{0}`")]
    Listen(SocketAddr, #[source] io::Error),
    /// A thread cannot be started.
    #[error("cannot start a thread")]
    Thread(#[source] io::Error),
    /// The operating system gives no random bytes.
    #[error("the operating system gives no random bytes")]
    Random,
}

/// How far the gateway's life has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Serving,
    Draining,
    Stopped,
}

/// What all threads of the gateway share.
pub(super) struct Shared {
    pub(super) state: Arc<ArcSwap<State>>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) limits: Limits,
    pub(super) timeouts: Timeouts,
    pub(super) workers: usize,
    pub(super) wall_clock: fn() -> Timestamp,
    pub(super) stage: watch::Sender<Stage>,
    /// The revision in force; tells whoever waits for one.
    pub(super) published: watch::Sender<Revision>,
    /// What backends told about resources.
    pub(super) attributes: AttributeCache,
    /// What was accepted and must not be accepted again.
    pub(super) replay: ReplayMemory,
    /// How often authentication failed.
    pub(super) failures: Failures,
    /// How many requests were sent.
    pub(super) rates: Rates,
    /// When the gateway started, by the clock that never steps.
    pub(super) started: Instant,
    /// Indexes over all policies of those who hold many.
    pub(super) sets: Sets,
}

/// A running gateway.
pub struct Gateway {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<io::Result<()>>>,
    health: JoinHandle<io::Result<()>>,
    records: RecordWriter,
    listening: Vec<SocketAddr>,
    metrics_address: SocketAddr,
}

/// Puts new states in force.
pub struct Publisher(Arc<Shared>);

impl Publisher {
    /// Puts a new state in force: every request that comes after is decided by it.
    pub fn publish(&self, state: State) {
        let revision = state.view.snapshot.revision();
        self.0.state.store(Arc::new(state));
        self.0.published.send_replace(revision);
    }
}

impl Gateway {
    /// Binds every address and starts every thread. When it returns, connections are accepted.
    ///
    /// # Errors
    /// When an address is taken or a thread cannot be started.
    pub fn start(options: Options, state: State) -> Result<Self, StartError> {
        let (stage, _) = watch::channel(Stage::Serving);
        let mut listening = Vec::new();
        let mut per_worker: Vec<Vec<TcpListener>> = (0..options.workers).map(|_| Vec::new()).collect();
        for address in &options.listeners {
            let mut address = *address;
            alone(address).map_err(|error| StartError::Listen(address, error))?;
            for sockets in &mut per_worker {
                let socket = listen(address).map_err(|error| StartError::Listen(address, error))?;
                // Port 0 asks for any port: the other workers then share the one that the first got.
                address = socket.local_addr().map_err(|error| StartError::Listen(address, error))?;
                sockets.push(socket);
            }
            listening.push(address);
        }
        let metrics_socket = alone(options.metrics_address).and_then(|()| listen(options.metrics_address));
        let metrics_socket = metrics_socket.map_err(|error| StartError::Listen(options.metrics_address, error))?;
        let metrics_address = metrics_socket.local_addr().map_err(|error| StartError::Listen(options.metrics_address, error))?;

        let (published, _) = watch::channel(state.view.snapshot.revision());
        let shared = Arc::new(Shared {
            published,
            state: Arc::new(ArcSwap::from_pointee(state)),
            metrics: options.metrics,
            limits: options.limits,
            timeouts: options.timeouts,
            workers: options.workers,
            wall_clock: options.wall_clock,
            stage,
            attributes: AttributeCache::default(),
            replay: ReplayMemory::default(),
            failures: Failures::default(),
            rates: Rates::default(),
            started: monotonic(),
            sets: Sets::default(),
        });
        let mut workers = Vec::new();
        for (index, sockets) in per_worker.into_iter().enumerate() {
            let mut seeds = [[0; 8]; 2];
            seeds.iter_mut().try_for_each(|seed| aws_lc_rs::rand::fill(seed)).map_err(|_| StartError::Random)?;
            let (shared, counters) = (Arc::clone(&shared), shared.metrics.worker());
            let sink = options.records.sink(options.on_full, Arc::clone(&counters));
            let run = move || worker::run(index, shared, sockets, sink, counters, seeds.map(u64::from_be_bytes));
            workers.push(spawn(format!("worker-{index}"), run)?);
        }
        let health = {
            let shared = Arc::clone(&shared);
            spawn("metrics".to_owned(), move || health::run(&shared, metrics_socket))?
        };
        Ok(Self { shared, workers, health, records: options.records, listening, metrics_address })
    }

    /// What puts new states in force, from whatever thread.
    #[must_use]
    pub fn publisher(&self) -> Publisher {
        Publisher(Arc::clone(&self.shared))
    }

    /// Puts a new state in force: every request that comes after is decided by it.
    pub fn publish(&self, state: State) {
        self.publisher().publish(state);
    }

    /// Opens the file of decision records anew.
    pub fn reopen_records(&self) {
        self.records.reopen();
    }

    /// The addresses that are listened on; a configured port 0 is resolved.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.listening
    }

    /// Where the metrics page is.
    #[must_use]
    pub fn metrics_address(&self) -> SocketAddr {
        self.metrics_address
    }

    /// Stops accepting, lets open requests finish within the drain time, writes the last records.
    pub fn stop(self) {
        self.shared.stage.send_replace(Stage::Draining);
        for worker in self.workers {
            report("a worker", worker.join());
        }
        self.shared.stage.send_replace(Stage::Stopped);
        report("the metrics listener", self.health.join());
        self.records.finish();
    }
}

fn report(what: &str, ended: std::thread::Result<io::Result<()>>) {
    match ended {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::error!(%error, "{what} failed"),
        Err(_) => tracing::error!("{what} panicked"),
    }
}

fn spawn(name: String, run: impl FnOnce() -> io::Result<()> + Send + 'static) -> Result<JoinHandle<io::Result<()>>, StartError> {
    std::thread::Builder::new().name(name).spawn(run).map_err(StartError::Thread)
}

/// Refuses an address that something else listens on. SECURITY: what workers share, another process could share too, and the kernel would give it some
/// of the connections: an older gateway that was forgotten would go on deciding. Test: `a_port_that_a_gateway_has_is_no_other_gateways`.
fn alone(address: SocketAddr) -> io::Result<()> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())
}

/// A listening socket that other workers may share the address with.
fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}
