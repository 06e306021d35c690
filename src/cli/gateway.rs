//! `portcullis gateway`: run, reload on SIGHUP, stop on SIGTERM or SIGINT.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};

use super::load::{Configured, configure};
use super::{Ended, counted};
use crate::access::Mode;
use crate::authn::scp::{self, Signed};
use crate::config::GatewayConfig;
use crate::gateway::{Gateway, Options, State, system_time};
use crate::source::Report;
use crate::telemetry::{self, Metrics, RecordWriter};

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
    /// What the log on standard error says: error, warn, info, debug, or a filter such as `portcullis=debug`.
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    log: String,
}

pub(super) fn run(arguments: &Arguments, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<Ended> {
    telemetry::log::start(&arguments.log);
    let report = Report::new();
    let Some(Configured { config, state }) = configure(&arguments.config, &report) else {
        write!(err, "{report}")?;
        return Ok(Ended::Badly);
    };
    if !report.diagnostics().is_empty() {
        write!(err, "{report}")?;
    }
    let metrics = Arc::new(Metrics::default());
    let records = RecordWriter::start(&config.record.path).context("cannot open the file of decision records")?;
    note_loaded(&metrics, &state);
    let example = example(&config, &state);
    let summary = summary(&state);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // Handlers stand before the first socket does: a signal right after start must not kill the process.
    let (mut reload, mut terminate, mut interrupt) = runtime.block_on(async {
        Ok::<_, std::io::Error>((signal(SignalKind::hangup())?, signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?))
    })?;
    let gateway = Gateway::start(options(&config, records, Arc::clone(&metrics)), state)?;
    let addresses: Vec<String> = gateway.addresses().iter().map(ToString::to_string).collect();
    writeln!(out, "portcullis: ready on {}, metrics on {}; {summary}", addresses.join(" and "), gateway.metrics_address())?;
    if let Some(example) = example {
        writeln!(out, "{example}")?;
    }
    out.flush()?;
    runtime.block_on(async {
        loop {
            tokio::select! {
                _ = reload.recv() => reload_all(&arguments.config, &config, &gateway, &metrics),
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
            }
        }
    });
    tracing::info!("stopping: open requests may finish");
    gateway.stop();
    Ok(Ended::Well)
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

/// Reads everything again. Nothing changes unless all of it is right.
fn reload_all(path: &std::path::Path, running: &GatewayConfig, gateway: &Gateway, metrics: &Metrics) {
    gateway.reopen_records();
    let report = Report::new();
    match configure(path, &report) {
        Some(mut configured) => {
            for difference in fixed_differences(running, &configured.config) {
                tracing::warn!("`{difference}` has changed; that takes effect at the next start only");
            }
            // A socket keeps its own listener's trust and scheme, wherever that stands in the file now.
            let fresh = &configured.config.listeners;
            let places = running.listeners.iter().map(|listener| fresh.iter().position(|other| other.address == listener.address));
            let Some(entrances) = places.map(|place| configured.state.entrances.get(place?).cloned()).collect::<Option<Vec<_>>>() else {
                metrics.reloaded(false);
                tracing::error!("nothing was reloaded: a listener in use has gone from the configuration; restart to change listeners");
                return;
            };
            configured.state.entrances = entrances;
            note_loaded(metrics, &configured.state);
            let summary = summary(&configured.state);
            gateway.publish(configured.state);
            metrics.reloaded(true);
            tracing::info!("reloaded: {summary}");
        }
        None => {
            metrics.reloaded(false);
            tracing::error!("nothing was reloaded, the old state stays in force:\n{report}");
        }
    }
}

/// Keys whose change only a restart can carry out.
fn fixed_differences(running: &GatewayConfig, fresh: &GatewayConfig) -> Vec<&'static str> {
    let addresses = |config: &GatewayConfig| config.listeners.iter().map(|listener| listener.address).collect::<Vec<_>>();
    [
        ("listeners", addresses(running) != addresses(fresh)),
        ("metrics", running.metrics != fresh.metrics),
        ("workers", running.workers != fresh.workers),
        ("record", running.record != fresh.record),
        ("limits", running.limits != fresh.limits),
        ("timeouts", running.timeouts != fresh.timeouts),
    ]
    .into_iter()
    .filter_map(|(key, changed)| changed.then_some(key))
    .collect()
}

fn note_loaded(metrics: &Metrics, state: &State) {
    let observed = state.view.services.all().iter().map(|service| (Arc::clone(&service.name), service.mode == Mode::Observe)).collect();
    metrics.loaded(state.view.snapshot.revision(), system_time().milliseconds(), observed, state.view.snapshot.sizes());
    for service in state.view.services.all().iter().filter(|service| service.mode == Mode::Observe) {
        tracing::warn!("service `{}` only observes: nothing is refused there", service.name);
    }
}

fn summary(state: &State) -> String {
    let (users, keys, policies) = state.view.snapshot.sizes();
    let services = state.view.services.all().len();
    let revision = state.view.snapshot.revision();
    let counts = [(services, "service"), (users, "user"), (keys, "access key"), (policies, "policy")];
    format!("revision {revision}: {}", counts.map(|(number, what)| counted(number, what)).join(", "))
}

/// The configured example, signed now, for pasting.
fn example(config: &GatewayConfig, state: &State) -> Option<String> {
    let example = config.example.as_ref()?;
    let (listener, key) = (config.listeners.first()?, state.view.snapshot.key(example.access_key)?);
    let host = listener.address.to_string();
    let signed = Signed { method: "GET", scheme: listener.public_scheme, host: &host, target: &example.path };
    let now = system_time();
    let signature = scp::sign(&key.signing_key, example.access_key, &signed, now);
    let minutes = config.clock_skew_ms / 60_000;
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
