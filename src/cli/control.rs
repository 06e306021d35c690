//! `portcullis control`: the control plane, and what only works on its store itself.

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread::JoinHandle;

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::Ended;
use super::gateway::{Signal, Signals};
use super::key_file;
use super::log_level::LogLevel;
use crate::config::{ControlConfig, Files, NamedSecret, Passcodes, Secrets, Smtp};
use crate::control::api::{self, Api, Escalation};
use crate::control::delivery::Delivery;
use crate::control::delivery::mail::{Mailer, MailerError, Server};
use crate::control::feed::{self, Feed, Timing};
use crate::control::{Names, Recovery, Store, bootstrap, issue_token, recover};
use crate::gateway::system_time;
use crate::source::Report;
use crate::telemetry;
use crate::types::{AccessKeyId, Revision, SealingKey, Secret, SigningKey, UserId};

/// Run the control plane: the IAM API, and the feed that gateways follow.
///
/// The API answers nobody but a gateway that signs with the same identity key: clients reach it through the gateway, at the gateway's
/// address. SIGTERM and SIGINT let open requests finish, and end.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
#[command(after_long_help = "\
Examples:
  Once: make the operator's account, and its administrator with a key in a file:
    portcullis control bootstrap --config control.yaml --credential-file administrator.yaml

  Then:
    portcullis control --config control.yaml")]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: Option<RunArguments>,
}

#[derive(Debug, clap::Args)]
struct RunArguments {
    /// The configuration file of a control plane
    #[arg(long, short, value_name = "FILE")]
    config: PathBuf,
    /// From which level on the log on standard error says something
    #[arg(long, value_name = "LEVEL", value_enum, default_value = "info")]
    log: LogLevel,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Make the operator's account and its administrator, in an empty store
    Bootstrap(BootstrapArguments),
    /// Let in who is locked out, or begin a new epoch after a restore; while the control plane is stopped
    Recover(RecoverArguments),
}

#[derive(Debug, clap::Args)]
struct BootstrapArguments {
    /// The configuration file of a control plane
    #[arg(long, short, value_name = "FILE")]
    config: PathBuf,
    /// The name of the operator's account
    #[arg(long, value_name = "NAME", default_value = "operator")]
    account: String,
    /// The name of its administrator
    #[arg(long, value_name = "NAME", default_value = "administrator")]
    administrator: String,
    /// Where the administrator's access key is written; the file must not exist
    #[arg(long, value_name = "FILE")]
    credential_file: PathBuf,
}

#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  Nobody gets in, because an allowlist is empty and a key is lost:
    portcullis control recover --config control.yaml --user 0123... --credential-file new.yaml

  The database was restored from a backup, and gateways refuse to go back:
    portcullis control recover --config control.yaml --new-epoch")]
struct RecoverArguments {
    /// The configuration file of a control plane
    #[arg(long, short, value_name = "FILE")]
    config: PathBuf,
    /// Who is let in: made active, as their account is, and let in from every address
    #[arg(long, value_name = "ID", required_unless_present = "new_epoch")]
    user: Option<UserId>,
    /// Make a new access key for them, and write it into this file, which must not exist
    #[arg(long, value_name = "FILE", requires = "user")]
    credential_file: Option<PathBuf>,
    /// Remove this access key of theirs, to make room for the new one
    #[arg(long, value_name = "ID", requires = "user")]
    remove_key: Option<AccessKeyId>,
    /// Begin a new epoch: gateways take everything anew
    #[arg(long)]
    new_epoch: bool,
}

pub(super) fn run(arguments: &Arguments, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<Ended> {
    match (&arguments.command, &arguments.run) {
        (Some(Command::Bootstrap(arguments)), _) => run_bootstrap(arguments, out, err),
        (Some(Command::Recover(arguments)), _) => run_recover(arguments, out, err),
        (None, Some(arguments)) => serve(arguments, out, err),
        (None, None) => anyhow::bail!("name the configuration: --config FILE"),
    }
}

fn serve(arguments: &RunArguments, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<Ended> {
    telemetry::log::start(arguments.log.into());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut signals = runtime.block_on(async { Signals::new() })?;
    let Some(running) = Administration::start(&arguments.config, err)? else { return Ok(Ended::Badly) };
    writeln!(out, "portcullis control: ready, API on {}, feed on {}; revision {}", running.api, running.feed, running.revision)?;
    out.flush()?;
    while runtime.block_on(signals.next()) == Signal::Reload {
        tracing::warn!("the control plane reads its configuration only at start");
    }
    tracing::info!("stopping: open requests may finish");
    running.stop();
    Ok(Ended::Well)
}

fn run_bootstrap(arguments: &BootstrapArguments, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<Ended> {
    let Some(configured) = Configured::read(&arguments.config, err)? else { return Ok(Ended::Badly) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let names = Names { account: &arguments.account, administrator: &arguments.administrator };
    // The file first: a key that cannot be written down would be lost.
    let file = key_file::create(&arguments.credential_file)?;
    let made = runtime.block_on(async {
        let store = configured.open_store().await?;
        let made = bootstrap(&store, names, system_time()).await?;
        store.close().await;
        anyhow::Ok(made)
    });
    match made {
        Ok(Some(made)) => {
            key_file::write(file, made.access_key, &made.secret)?;
            writeln!(out, "account        {} ({})", made.account, arguments.account)?;
            writeln!(out, "root user      {} (no key)", made.root)?;
            writeln!(out, "administrator  {} ({})", made.administrator, arguments.administrator)?;
            writeln!(out, "access key     {}, with its secret in {}", made.access_key, arguments.credential_file.display())?;
            Ok(Ended::Well)
        }
        Ok(None) => {
            std::fs::remove_file(&arguments.credential_file)?;
            writeln!(err, "the store has an operator's account already; nothing was changed")?;
            Ok(Ended::Badly)
        }
        Err(error) => {
            std::fs::remove_file(&arguments.credential_file)?;
            Err(error)
        }
    }
}

fn run_recover(arguments: &RecoverArguments, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<Ended> {
    let Some(configured) = Configured::read(&arguments.config, err)? else { return Ok(Ended::Badly) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let store = runtime.block_on(configured.open_store())?;
    if arguments.new_epoch {
        let epoch = runtime.block_on(store.begin_epoch(system_time()))?;
        writeln!(out, "epoch          {epoch}, from the next start on")?;
    }
    if let Some(user) = arguments.user {
        let file = arguments.credential_file.as_deref().map(key_file::create).transpose()?;
        let recovery = Recovery { user, new_key: file.is_some(), replaced: arguments.remove_key };
        match (runtime.block_on(recover(&store, recovery, system_time())), file) {
            (Ok(done), file) => {
                writeln!(out, "user           {user} ({}) of the account {} is active, from every address", done.name, done.account)?;
                if let (Some((key, secret)), Some(file), Some(path)) = (done.key, file, &arguments.credential_file) {
                    key_file::write(file, key, &secret)?;
                    writeln!(out, "access key     {key}, with its secret in {}", path.display())?;
                }
            }
            (Err(error), _) => {
                if let Some(path) = &arguments.credential_file {
                    std::fs::remove_file(path)?;
                }
                return Err(error.into());
            }
        }
    }
    runtime.block_on(store.close());
    Ok(Ended::Well)
}

/// Threads of a control plane.
const THREADS: usize = 4;

/// A configuration with its keys.
pub(super) struct Configured {
    config: ControlConfig,
    sealing_key: SealingKey,
    identity_key: Secret,
    feed_key: Secret,
    delivery: Delivery,
}

impl Configured {
    /// Reads a configuration; errors are told, and make `None`.
    pub(super) fn read(path: &Path, err: &mut dyn Write) -> anyhow::Result<Option<Self>> {
        let (files, report) = (Files::default(), Report::new());
        let configured = ControlConfig::load(path, &files, &report).and_then(|config| {
            let secrets = Secrets::new(&files, Some(&config.sealing_key), config.loopback_only(), &report);
            let open = |named: &NamedSecret, owner: &str| secrets.open(&named.secret, owner, &named.source, named.span, &report);
            let (identity_key, feed_key) = (open(&config.api_identity_key, "upstream/iam"), open(&config.feed_credential, "feed"));
            let delivery = match &config.passcodes {
                Passcodes::None => Some(Delivery::None),
                Passcodes::Outbox(folder) => Some(Delivery::Outbox(folder.clone())),
                Passcodes::Webhook { address, path, credential } => {
                    let credential = open(credential, "webhook");
                    credential.map(|credential| Delivery::Webhook { address: *address, path: path.clone(), credential })
                }
                Passcodes::Smtp(smtp) => mailer(smtp, &secrets, &files, &report).map(Box::new).map(Delivery::Mail),
            };
            let sealing_key = secrets.into_sealing_key()?;
            Some(Self { sealing_key, identity_key: identity_key?, feed_key: feed_key?, delivery: delivery?, config })
        });
        if !report.diagnostics().is_empty() {
            write!(err, "{report}")?;
        }
        Ok(configured)
    }

    /// Opens the store.
    pub(super) async fn open_store(self) -> anyhow::Result<Store> {
        let path = self.config.store;
        let store = Store::open(&path, self.sealing_key, self.config.offering, system_time()).await;
        store.with_context(|| format!("cannot open the store `{}`", path.display()))
    }
}

/// What sends mails by a server, if its password and its certificates can be read.
fn mailer(smtp: &Smtp, secrets: &Secrets<'_>, files: &Files, report: &Report) -> Option<Mailer> {
    let opened = smtp.login.as_ref().map(|(user, NamedSecret { secret, source, span })| {
        secrets.open_password(secret, "smtp", source, *span, report).map(|password| (user, password))
    });
    let ca = smtp.ca.as_ref().map(|named| {
        let hint = "correct the name; it is a file with certificates as PEM";
        let failed = |message: String| named.error(report, format!("the certificates `{}`: {message}", named.path.display()), hint);
        files.read(&named.path).map_err(failed).ok()
    });
    let (login, ca) = (opened.map_or(Some(None), |found| found.map(Some))?, ca.map_or(Some(None), |found| found.map(Some))?);
    let server = Server {
        host: &smtp.host,
        port: smtp.port,
        tls: smtp.tls,
        ca: ca.as_ref().map(|text| text.as_bytes()),
        login: login.as_ref().map(|(user, password)| (user.as_str(), password)),
        from: &smtp.from,
    };
    let failed = |error: MailerError| report.file_error("passcodes.smtp".to_owned(), error.to_string(), None);
    Mailer::new(&server).map_err(failed).ok()
}

/// A running control plane, on a thread of its own.
pub(super) struct Administration {
    stop: watch::Sender<bool>,
    thread: JoinHandle<anyhow::Result<()>>,
    api: SocketAddr,
    feed: SocketAddr,
    revision: Revision,
    store: Store,
    runtime: tokio::runtime::Handle,
}

impl Administration {
    /// Reads the configuration, opens the store and the sockets. `None` when the configuration has errors, which are then told.
    pub(super) fn start(path: &Path, err: &mut dyn Write) -> anyhow::Result<Option<Self>> {
        let Some(configured) = Configured::read(path, err)? else { return Ok(None) };
        let (stop, stopped) = watch::channel(false);
        let (ready, started) = mpsc::channel();
        let run = move || {
            // Threads of its own: comparing one tenant's policies must not keep the feed, or other tenants, waiting.
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(THREADS).enable_all().build()?;
            runtime.block_on(administer(configured, stopped, &ready))
        };
        let thread = std::thread::Builder::new().name("control".to_owned()).spawn(run)?;
        match started.recv() {
            Ok(Ready { api, feed, revision, store, runtime }) => Ok(Some(Self { stop, thread, api, feed, revision, store, runtime })),
            // It has ended before it was ready.
            Err(_) => match thread.join() {
                Ok(Err(error)) => Err(error),
                Ok(Ok(())) | Err(_) => anyhow::bail!("the control plane ended before it was ready"),
            },
        }
    }

    /// Issues a token for an access key; `None` when the key is not in use.
    pub(super) fn issue_token(&self, access_key: AccessKeyId) -> anyhow::Result<Option<Secret>> {
        Ok(self.runtime.block_on(issue_token(&self.store, access_key, system_time()))?)
    }

    /// Lets open requests finish, and ends.
    pub(super) fn stop(self) {
        self.stop.send_replace(true);
        match self.thread.join() {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!("the control plane failed: {error:#}"),
            Err(_) => tracing::error!("the control plane panicked"),
        }
    }
}

/// What is known once it runs.
struct Ready {
    api: SocketAddr,
    feed: SocketAddr,
    revision: Revision,
    store: Store,
    runtime: tokio::runtime::Handle,
}

async fn administer(mut configured: Configured, stopped: watch::Receiver<bool>, ready: &mpsc::Sender<Ready>) -> anyhow::Result<()> {
    let listen = async |address: SocketAddr| TcpListener::bind(address).await.with_context(|| format!("cannot listen on `{address}`"));
    let (api_socket, feed_socket) = (listen(configured.config.api_address).await?, listen(configured.config.feed_address).await?);
    let (api, feed_address) = (api_socket.local_addr()?, feed_socket.local_addr()?);
    let identity_key = SigningKey::new(&configured.identity_key);
    let spool_folder =
        configured.config.store.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned();
    let feed_options =
        feed::Options { key: SigningKey::new(&configured.feed_key), spool_folder, wall_clock: system_time, timing: Timing::default() };
    let api_options = api::Options {
        identity_keys: vec![identity_key],
        means: api::Means {
            endpoints: configured.config.endpoints.clone(),
            delivery: std::mem::replace(&mut configured.delivery, Delivery::None),
            single_addresses: configured.config.single_addresses(),
        },
        escalation: if configured.config.refuse_escalation { Escalation::Refuse } else { Escalation::Warn },
        clock: system_time,
    };
    let path = configured.config.store.display().to_string();
    let store = configured.open_store().await?;
    // SECURITY: fed to gateways it would be a newer state than theirs, in which nobody is known.
    if store.snapshot().sizes().0 == 0 {
        anyhow::bail!("the store `{path}` has no account: make the first one with `portcullis control bootstrap`, or check `store.path`");
    }
    let served = Api::new(store.clone(), api_options).await?;
    let feed = Feed::new(store.clone(), feed_options);
    let revision = store.revision(*store.head().borrow());
    let runtime = tokio::runtime::Handle::current();
    let _ = ready.send(Ready { api, feed: feed_address, revision, store: store.clone(), runtime });
    let feeding = tokio::spawn(feed.serve(feed_socket, stopped.clone()));
    api::serve(served, api_socket, stopped).await;
    feeding.await.context("the feed")?;
    store.close().await;
    Ok(())
}
