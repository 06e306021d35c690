//! `portcullis demo`: control plane and gateway in one process, with people to try them as.

mod files;
mod people;

use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail};

use super::Ended;
use super::control::{Administration, Configured};
use super::gateway::{Running, Signal, Signals};
use super::log_level::LogLevel;
use crate::control::{Names, bootstrap};
use crate::gateway::system_time;
use crate::telemetry;
use files::{Files, TOKENS};

/// How long the gateway may take to hear of everything at start.
const START_PATIENCE: Duration = Duration::from_secs(30);

/// Start everything: control plane, gateway, and people to try them as.
///
/// The first start makes an account with an administrator and a reader, and a second account with an administrator of its own; their
/// keys are written to demo.env. Data stay in the folder between starts. SIGTERM and SIGINT end it.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  portcullis demo --data /tmp/portcullis

  In another terminal, with one of the keys of the demo:
    . /tmp/portcullis/demo.env
    export SCP_ACCESS_KEY=$READER_ACCESS_KEY SCP_SECRET_KEY=$READER_SECRET_KEY
    portcullis request GET $PORTCULLIS_URL/v1/groups")]
pub(super) struct Arguments {
    /// The folder for everything: made if it is not there
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    #[command(flatten)]
    addresses: Addresses,
    /// From which level on the log on standard error says something
    #[arg(long, value_name = "LEVEL", value_enum, default_value = "warn")]
    log: LogLevel,
}

/// Where the demo listens; all on this machine.
#[derive(Debug, clap::Args)]
struct Addresses {
    /// The gateway's address, for clients
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    gateway: SocketAddr,
    /// The API's address, for the gateway only
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8081")]
    control: SocketAddr,
    /// The feed's address, for the gateway only
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8082")]
    feed: SocketAddr,
    /// Where the metrics are
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9180")]
    metrics: SocketAddr,
}

impl Addresses {
    /// Complains about an address that is taken, before anything is made that would then not be finished.
    fn check_free(&self) -> anyhow::Result<()> {
        let mut sockets = Vec::new();
        for address in [self.gateway, self.control, self.feed, self.metrics] {
            sockets.push(TcpListener::bind(address).with_context(|| format!("cannot listen on `{address}`"))?);
        }
        Ok(())
    }
}

pub(super) fn run(arguments: &Arguments, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<Ended> {
    telemetry::log::start(arguments.log.into());
    let Addresses { gateway, control, feed, metrics } = &arguments.addresses;
    for address in [gateway, control, feed, metrics] {
        if !address.ip().is_loopback() || address.port() == 0 {
            bail!("`{address}` is no address of this machine alone with a port; the demo is for nobody else");
        }
    }
    let files = Files::prepare(&arguments.data, &arguments.addresses)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut signals = runtime.block_on(async { Signals::new() })?;
    let first = runtime.block_on(first_people(&files, err))?;
    let Some(administration) = Administration::start(&files.control_config(), err)? else { return Ok(Ended::Badly) };
    let Some((running, _)) = Running::start(&files.gateway_config(), err)? else { return Ok(Ended::Badly) };
    if !running.is_loaded_within(START_PATIENCE) {
        bail!("the gateway has heard nothing from the control plane in {} s", START_PATIENCE.as_secs());
    }
    if let Some(first) = first {
        files.write_environment(&arguments.addresses, &runtime.block_on(people::invite(*gateway, first))?)?;
    }
    // Tokens end some hours later, so each start issues new ones; a key that was removed has none.
    let mut tokens = Vec::new();
    for name in TOKENS {
        let token = files.access_key(name)?.map(|key| administration.issue_token(key)).transpose()?.flatten();
        tokens.extend(token.map(|token| (name, token)));
    }
    files.renew_environment(&arguments.addresses, &tokens)?;
    write!(out, "{}", files.invitation(&running.summary())?)?;
    out.flush()?;
    while runtime.block_on(signals.next()) == Signal::Reload {
        running.reload();
    }
    tracing::info!("stopping: open requests may finish");
    running.stop();
    administration.stop();
    Ok(Ended::Well)
}

/// The operator's account, at the first start.
async fn first_people(files: &Files, err: &mut dyn Write) -> anyhow::Result<Option<crate::control::FirstKey>> {
    let Some(configured) = Configured::read(&files.control_config(), err)? else { bail!("the demo's own configuration is wrong") };
    let store = configured.open_store().await?;
    let made = bootstrap(&store, Names { account: "demo", administrator: "admin" }, system_time()).await;
    store.close().await;
    let made = made?;
    if made.is_none() && !files.has_environment() {
        bail!(
            "`{}` is missing: it was removed, or the first start did not get so far. The secrets in it are nowhere else: start with \
             another folder, or remove this one",
            files.environment().display()
        );
    }
    Ok(made)
}
