//! `portcullis gateway`: run, reload on SIGHUP, stop on SIGTERM or SIGINT.

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::signal::unix::{self, SignalKind, signal};

use super::Ended;
use super::follow;
use super::in_force::{InForce, note_loaded, warn_of_observers};
use super::issuers::{self, Fetching};
use super::load::{Configured, configure};
use super::log_level::LogLevel;
use crate::authn::scp::{self, Signed};
use crate::config::{GatewayConfig, Identity};
use crate::gateway::{Gateway, Options, State, system_time};
use crate::source::Report;
use crate::sync::feed::Feed;
use crate::telemetry::{self, Metrics, RecordWriter};

/// How long a start waits for the disk copy or the feed before it says that it has neither.
const LOAD_PATIENCE: Duration = Duration::from_secs(1);
/// Between two looks.
const LOAD_PAUSE: Duration = Duration::from_millis(2);

/// Run the gateway.
///
/// The configuration is read and checked whole before the first socket is opened. SIGHUP reads it again, checks
/// it whole and puts it in force at once for every request that comes after; when anything in it is wrong nothing
/// changes, and the log says what. SIGTERM and SIGINT stop accepting, let open requests finish, and end.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The configuration file.
    #[arg(long, short, value_name = "FILE")]
    config: PathBuf,
    /// From which level on the log on standard error says something
    #[arg(long, value_name = "LEVEL", value_enum, default_value = "info")]
    log: LogLevel,
}

pub(super) fn run(arguments: &Arguments, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<Ended> {
    telemetry::log::start(arguments.log.into());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // Handlers stand before the first socket does: a signal right after start must not kill the process.
    let mut signals = runtime.block_on(async { Signals::new() })?;
    let Some((running, example)) = Running::start(&arguments.config, err)? else { return Ok(Ended::Badly) };
    let known =
        if running.is_loaded_within(LOAD_PATIENCE) { running.summary() } else { "nobody is known before the feed has come".to_owned() };
    writeln!(out, "portcullis: ready on {}, metrics on {}; {known}", running.addresses(), running.metrics_address())?;
    if let Some(example) = example {
        writeln!(out, "{example}")?;
    }
    out.flush()?;
    while runtime.block_on(signals.next()) == Signal::Reload {
        running.reload();
    }
    tracing::info!("stopping: open requests may finish");
    running.stop();
    Ok(Ended::Well)
}

/// What an operator tells a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signal {
    /// Read the configuration again.
    Reload,
    /// End.
    Stop,
}

/// The signals of the process, from now on.
pub(super) struct Signals {
    hangup: unix::Signal,
    terminate: unix::Signal,
    interrupt: unix::Signal,
}

impl Signals {
    /// Must be called within a runtime.
    pub(super) fn new() -> std::io::Result<Self> {
        let [hangup, terminate, interrupt] = [SignalKind::hangup(), SignalKind::terminate(), SignalKind::interrupt()].map(signal);
        Ok(Self { hangup: hangup?, terminate: terminate?, interrupt: interrupt? })
    }

    /// The next one.
    pub(super) async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.hangup.recv() => Signal::Reload,
            _ = self.terminate.recv() => Signal::Stop,
            _ = self.interrupt.recv() => Signal::Stop,
        }
    }
}

/// A gateway that runs by a configuration file.
pub(super) struct Running {
    path: PathBuf,
    /// The configuration it was started with: some of it only a restart can change.
    config: GatewayConfig,
    gateway: Gateway,
    in_force: Arc<InForce>,
    metrics: Arc<Metrics>,
    feed: Option<Feed>,
    _issuers: Fetching,
}

impl Running {
    /// Reads the configuration, opens the sockets, starts the threads. `None` when the configuration has errors, which are then told.
    /// Also gives the example to print, if one is configured.
    pub(super) fn start(path: &Path, err: &mut dyn Write) -> anyhow::Result<Option<(Self, Option<String>)>> {
        let report = Report::new();
        let configured = configure(path, &report);
        if !report.diagnostics().is_empty() {
            write!(err, "{report}")?;
        }
        let Some(Configured { config, state, feed }) = configured else { return Ok(None) };
        let metrics = Arc::new(Metrics::default());
        let records = RecordWriter::start(&config.record.path).context("cannot open the file of decision records")?;
        note_loaded(&metrics, &state);
        warn_of_observers(&state);
        let example = example(&config, &state);
        let status = state.feed.as_ref().map(|feed| Arc::clone(&feed.status));
        if let Some(status) = &status {
            metrics.follows(Arc::clone(status));
        }
        let issuers = issuers::start(&config.token_issuers, &state.view.issuers, &metrics)?;
        let gateway = Gateway::start(options(&config, records, Arc::clone(&metrics)), state.clone())?;
        let in_force = Arc::new(InForce::new(gateway.publisher(), Arc::clone(&metrics), config.clone(), state));
        let feed = match (&config.identity, feed, status) {
            (Identity::Feed(identity), Some(keys), Some(status)) => {
                Some(follow::start(identity, &config.offering, &keys, Arc::clone(&in_force), status)?)
            }
            (Identity::Files(_) | Identity::Feed(_), _, _) => None,
        };
        Ok(Some((Self { path: path.to_owned(), config, gateway, in_force, metrics, feed, _issuers: issuers }, example)))
    }

    /// Where it listens, for people.
    pub(super) fn addresses(&self) -> String {
        self.gateway.addresses().iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ")
    }

    /// Where its metrics are.
    pub(super) fn metrics_address(&self) -> SocketAddr {
        self.gateway.metrics_address()
    }

    /// Whether anybody is known: with a feed not before its first state, or a disk copy, is in force. Waits for it, but not for longer.
    #[expect(clippy::disallowed_methods, reason = "commands are where time is read")]
    pub(super) fn is_loaded_within(&self, patience: Duration) -> bool {
        let until = Instant::now() + patience;
        while !self.in_force.is_loaded() {
            if Instant::now() > until {
                return false;
            }
            std::thread::sleep(LOAD_PAUSE);
        }
        true
    }

    /// What is in force, for people.
    pub(super) fn summary(&self) -> String {
        self.in_force.summary()
    }

    /// Reads everything again. Nothing changes unless all of it is right.
    pub(super) fn reload(&self) {
        self.gateway.reopen_records();
        let report = Report::new();
        let Some(mut configured) = configure(&self.path, &report) else {
            self.metrics.reloaded(false);
            tracing::error!("nothing was reloaded, the old state stays in force:\n{report}");
            return;
        };
        for difference in fixed_differences(&self.config, &configured.config) {
            tracing::warn!("`{difference}` has changed; that takes effect at the next start only");
        }
        // A socket keeps its own listener's trust and scheme, wherever that stands in the file now.
        let fresh = &configured.config.listeners;
        let places = self.config.listeners.iter().map(|listener| fresh.iter().position(|other| other.address == listener.address));
        let Some(entrances) = places.map(|place| configured.state.entrances.get(place?).cloned()).collect() else {
            self.metrics.reloaded(false);
            tracing::error!("nothing was reloaded: a listener in use has gone from the configuration; restart to change listeners");
            return;
        };
        configured.state.entrances = entrances;
        warn_of_observers(&configured.state);
        self.in_force.reconfigure(configured);
        self.metrics.reloaded(true);
        tracing::info!("reloaded: {}", self.summary());
    }

    /// Lets open requests finish, and ends.
    pub(super) fn stop(self) {
        drop(self.feed);
        self.gateway.stop();
    }
}

fn options(config: &GatewayConfig, records: RecordWriter, metrics: Arc<Metrics>) -> Options {
    Options {
        listeners: config.listeners.iter().map(|listener| listener.address).collect(),
        metrics_address: config.metrics,
        workers: config.workers,
        limits: config.limits,
        timeouts: config.timeouts,
        on_full: config.record.on_full,
        records,
        metrics,
        wall_clock: system_time,
    }
}

/// Keys whose change only a restart can carry out.
fn fixed_differences(running: &GatewayConfig, fresh: &GatewayConfig) -> Vec<&'static str> {
    let feed = |config: &GatewayConfig| match &config.identity {
        Identity::Files(_) => None,
        Identity::Feed(feed) => Some((feed.authority.clone(), feed.name.clone(), feed.copy.clone())),
    };
    let addresses = |config: &GatewayConfig| config.listeners.iter().map(|listener| listener.address).collect::<Vec<_>>();
    [
        ("listeners", addresses(running) != addresses(fresh)),
        ("metrics", running.metrics != fresh.metrics),
        ("workers", running.workers != fresh.workers),
        ("identity.feed", feed(running) != feed(fresh)),
        ("token_issuers", running.token_issuers != fresh.token_issuers),
        ("record", running.record != fresh.record),
        ("limits", running.limits != fresh.limits),
        ("timeouts", running.timeouts != fresh.timeouts),
    ]
    .into_iter()
    .filter_map(|(key, changed)| changed.then_some(key))
    .collect()
}

/// The configured example, signed now, for pasting.
fn example(config: &GatewayConfig, state: &State) -> Option<String> {
    let example = config.example.as_ref()?;
    let (listener, key) = (config.listeners.first()?, state.view.snapshot.key(example.access_key)?);
    let host = listener.address.to_string();
    let signed = Signed { method: "GET", scheme: listener.public_scheme, host: &host, target: &example.path };
    let now = system_time();
    let signature = scp::sign(key.secret.signing_key(), example.access_key, &signed, now);
    let minutes = config.authentication.clock_skew_ms / 60_000;
    Some(format!(
        "\nA request signed for `{}`; it is good for {minutes} minutes. Paste it into another terminal:\n\n  \
         curl -i http://{host}{} \\\n    -H 'Scp-Accesskey: {}' \\\n    -H 'Scp-Timestamp: {}' \\\n    -H 'Scp-ClientType: Openapi' \\\n    \
         -H 'Scp-Signature: {signature}'\n\nChange one character of the signature, or the path, and see it refused.\n",
        state.view.snapshot.user(key.user)?.principal.name,
        example.path,
        example.access_key,
        now.milliseconds(),
    ))
}
