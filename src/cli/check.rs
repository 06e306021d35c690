//! `portcullis check`: everything a start would refuse, and everything worth knowing before it.

use std::io::Write;
use std::path::PathBuf;

use super::load::{Configured, configure};
use super::{Ended, counted, summed_up};
use crate::config::listener::ForwardedBy;
use crate::config::{GatewayConfig, Identity, RecordPath, Replay, Service};
use crate::source::{Report, Severity};
use crate::types::Network;

/// Check a configuration and everything it names, and print all errors at once.
///
/// Reads the configuration, the records, the policies and the action definitions exactly as a start or a reload
/// would. Every error says what is wrong, in which file and line, and what to write instead. Nothing is changed,
/// and no socket is opened: run it before every start and reload, and for every change in review.
///
/// Errors and warnings go to standard error; what a good configuration would do goes to standard output. The
/// exit code is 0 when a start would succeed on a machine that has the folders it warns of, and 1 when it would not.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  The demo's configuration:
    portcullis check --config config/demo/gateway.yaml

  Put a change in force only if it is good:
    portcullis check --config gateway.yaml && kill -HUP $(pidof portcullis)")]
pub(super) struct Arguments {
    /// The configuration file of a gateway
    #[arg(long, short, value_name = "FILE")]
    config: PathBuf,
}

pub(super) fn run(arguments: &Arguments, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<Ended> {
    let report = Report::new();
    let configured = configure(&arguments.config, &report);
    let (errors, warnings) = (report.count(Severity::Error), report.count(Severity::Warning));
    if errors + warnings > 0 {
        writeln!(err, "{report}")?;
    }
    let found = summed_up(errors, warnings);
    let name = arguments.config.display();
    let Some(configured) = configured else {
        writeln!(err, "{name}: {found}")?;
        return Ok(Ended::Badly);
    };
    writeln!(out, "{name}: {found}")?;
    summarize(&configured, out)?;
    Ok(Ended::Well)
}

/// What a start would do. What weakens protection is in capitals.
fn summarize(configured: &Configured, out: &mut dyn Write) -> anyhow::Result<()> {
    let Configured { config, state, .. } = configured;
    let snapshot = &state.view.snapshot;
    match &config.identity {
        Identity::Files(_) => {
            let (users, keys, policies) = snapshot.sizes();
            let [users, keys, policies] = [counted(users, "user"), counted(keys, "access key"), counted(policies, "policy")];
            writeln!(out, "revision {}: {users}, {keys}, {policies}", snapshot.revision())?;
        }
        Identity::Feed(feed) => {
            writeln!(out, "follows the feed at {} as `{}`, with a copy in {}", feed.authority, feed.name, feed.copy.display())?;
            match feed.deny_after {
                Some(limit) => writeln!(out, "  refuses everything when nothing has come for {} s", limit.as_secs())?,
                None => writeln!(out, "  decides by what it has for as long as nothing comes")?,
            }
        }
    }
    for listener in &config.listeners {
        writeln!(out, "listens on {}, for clients that use {}://", listener.address, listener.public_scheme)?;
        let joined = |networks: &[Network]| networks.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        if let Some(networks) = &listener.proxy_protocol {
            writeln!(out, "  serves only {}, which must begin with a PROXY header", joined(networks))?;
        }
        let proxies = &listener.trusted_proxies;
        if !proxies.networks.is_empty() {
            let header = match proxies.forwarded_by {
                ForwardedBy::XForwardedFor => "X-Forwarded-For",
                ForwardedBy::Forwarded => "Forwarded",
            };
            let entry = proxies.hops.map(|hops| format!(", the client's address being entry {hops} from the right"));
            writeln!(out, "  {header} is believed when it comes from {}{}", joined(&proxies.networks), entry.unwrap_or_default())?;
        }
    }
    writeln!(out, "metrics on {}", config.metrics)?;
    summarize_limits(config, out)?;
    match &config.record.path {
        RecordPath::Off => writeln!(out, "DECISIONS ARE NOT RECORDED")?,
        RecordPath::StandardOutput => writeln!(out, "decisions are recorded on standard output")?,
        RecordPath::File(path) => writeln!(out, "decisions are recorded in {}", path.display())?,
    }
    for service in &config.services {
        let definitions = service.definitions.iter().filter_map(|(name, _)| snapshot.definition(name));
        let operations = match &config.identity {
            Identity::Files(_) => counted(definitions.map(|found| found.operations()).sum(), "operation"),
            Identity::Feed(_) => "operations as the feed defines them".to_owned(),
        };
        describe(service, &operations, out)?;
    }
    Ok(())
}

/// What is remembered of who fails and who sends much.
fn summarize_limits(config: &GatewayConfig, out: &mut dyn Write) -> anyhow::Result<()> {
    if config.authentication.failures.is_none() {
        writeln!(out, "FAILED AUTHENTICATIONS ARE NOT LIMITED")?;
    }
    for (whose, rate) in [("an account", config.rates.account), ("a key", config.rates.key)] {
        if let Some(rate) = rate {
            writeln!(out, "{whose} sends at most {} requests in a second, and {} at once", rate.requests_per_s, rate.burst)?;
        }
    }
    Ok(())
}

fn describe(service: &Service, operations: &str, out: &mut dyn Write) -> anyhow::Result<()> {
    let (hosts, upstream) = (service.hosts.join(", "), &service.upstream.authority);
    writeln!(out, "service `{}` on {hosts}: {operations}, upstream {upstream}", service.name)?;
    if service.observe {
        writeln!(out, "  OBSERVE MODE: everything is forwarded, nothing is refused")?;
    }
    if service.upstream.keep_credentials {
        writeln!(out, "  CREDENTIALS PASS: the backend sees the clients' credentials")?;
    }
    match service.replay {
        Replay::Changing => {}
        Replay::All => writeln!(out, "  every signed request is taken once only")?,
        Replay::Off => writeln!(out, "  REPLAYS PASS: a signed request is taken as often as it comes")?,
    }
    for route in &service.public_routes {
        writeln!(out, "  PUBLIC, no credential asked: {} {}", route.method, route.template)?;
    }
    Ok(())
}
