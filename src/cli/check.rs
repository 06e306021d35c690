//! `portcullis check`: everything a start would refuse, and everything worth knowing before it.

use std::io::Write;
use std::path::PathBuf;

use super::Ended;
use super::load::configure;
use crate::source::{Report, Severity};

/// Check a configuration and everything it names.
///
/// Reads the configuration, the records, the policies and the action definitions exactly as a start or a reload
/// would, prints every error with file, line and key, and exits with 1 if there is one. Changes nothing.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The configuration file.
    #[arg(long, short, value_name = "FILE")]
    config: PathBuf,
}

pub(super) fn run(arguments: &Arguments, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<Ended> {
    let report = Report::new();
    let configured = configure(&arguments.config, &report);
    write!(err, "{report}")?;
    let (errors, warnings) = (report.count(Severity::Error), report.count(Severity::Warning));
    let Some(configured) = configured else {
        writeln!(err, "\n{}: {errors} errors, {warnings} warnings", arguments.config.display())?;
        return Ok(Ended::Badly);
    };
    let view = &configured.state.view;
    let (users, keys, policies) = view.snapshot.sizes();
    writeln!(out, "{}: good, {warnings} warnings", arguments.config.display())?;
    writeln!(out, "revision {}: {users} users, {keys} access keys, {policies} policies", view.snapshot.revision())?;
    for (service, bound) in configured.config.services.iter().zip(view.services.all()) {
        let operations: usize =
            service.definitions.iter().filter_map(|name| view.snapshot.definition(name)).map(|found| found.operations()).sum();
        writeln!(
            out,
            "service `{}` on {}: {operations} operations, upstream {}",
            bound.name,
            service.hosts.join(", "),
            service.upstream.authority
        )?;
        if service.observe {
            writeln!(out, "  OBSERVE MODE: everything is forwarded, nothing is refused")?;
        }
        if service.upstream.keep_credentials {
            writeln!(out, "  CREDENTIALS PASS: the backend sees the clients' credentials")?;
        }
        for (method, template) in &service.public_routes {
            writeln!(out, "  public, no credential asked: {method} {template}")?;
        }
    }
    Ok(Ended::Well)
}
