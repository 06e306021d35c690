//! `portcullis policy check`: documents, read against the definitions, with every trap.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use super::definitions::Definitions;
use super::{Ended, text};
use crate::cli::{counted, summed_up};
use crate::policy::{Attachment, Catalogue, Owner, Standing, lint};
use crate::source::{Report, Severity};
use crate::types::{Offering, Srn};

/// Check policy documents: every error, and every trap, with its place and what to write instead.
///
/// Reads each document as a gateway does, against your definitions. Errors are what a gateway refuses. Warnings are what it accepts and
/// what may not be what you meant: names that no definition knows, and statements that cannot do what they seem to. Because the
/// definitions are all there is, that is certain: a Deny that never applies, an Allow that a Deny takes away completely, a statement
/// that another one makes superfluous, a Deny of an action that leaves out the action for many at once, and more.
///
/// What is found goes to standard error. The exit code is 0 when no document has an error; with --strict, when none has a warning
/// either.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  Policies of users, groups and roles, with a folder of definitions:
    portcullis policy check --definitions definitions/ policies/*.json

  Before a change, with the definitions that a gateway uses; warnings fail:
    portcullis policy check --config gateway.yaml --strict policies/*.json

  The policy of a resource:
    portcullis policy check --definitions definitions/ --kind resource \\
      --attached-to srn:e::1234:::scp-object-store:bucket/photos policy.json")]
pub(super) struct Arguments {
    /// Policy documents
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    definitions: Definitions,
    /// Where the policies are to stand
    #[arg(long, value_enum, default_value_t)]
    kind: Kind,
    /// The SRN of the resource, or role, that they are to be attached to
    #[arg(long, value_name = "SRN", required_if_eq("kind", "resource"))]
    attached_to: Option<String>,
    /// The account that an empty account in an SRN means; by default the caller's
    #[arg(long, value_name = "ID", conflicts_with = "attached_to")]
    account: Option<String>,
    /// The offering in the SRNs of --definitions
    #[arg(long, default_value = "e", conflicts_with = "config")]
    offering: Offering,
    /// Let warnings fail as well
    #[arg(long)]
    strict: bool,
}

/// Where a policy stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
enum Kind {
    /// Held by users, groups and roles, or capping a session
    #[default]
    Identity,
    /// At a resource: who may do what to it
    Resource,
    /// At a role: who may take it
    Trust,
}

pub(super) fn run(arguments: &Arguments, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<Ended> {
    let report = Report::new();
    let Some(catalogue) = arguments.definitions.catalogue(&arguments.offering, &report)? else {
        writeln!(err, "{report}")?;
        return Ok(Ended::Badly);
    };
    let standing = standing(arguments, &catalogue)?;
    let mut ended = Ended::Well;
    for path in &arguments.files {
        let report = Report::new();
        check(path, &standing, &catalogue, &report);
        let (errors, warnings) = (report.count(Severity::Error), report.count(Severity::Warning));
        if errors + warnings > 0 {
            writeln!(err, "{report}")?;
        }
        let name = path.display();
        if arguments.strict && errors == 0 && warnings > 0 {
            writeln!(err, "{name}: {}", counted(warnings, "warning"))?;
        } else if errors > 0 {
            writeln!(err, "{name}: {}", summed_up(errors, warnings))?;
        } else {
            writeln!(out, "{name}: {}", summed_up(errors, warnings))?;
            continue;
        }
        ended = Ended::Badly;
    }
    Ok(ended)
}

/// Everything there is to say about one document.
fn check(path: &Path, standing: &Standing, catalogue: &Catalogue, report: &Report) {
    let Some(source) = text(path, report) else { return };
    for trap in lint(&source, standing, catalogue, report).unwrap_or_default() {
        report.warning(&source, trap.span, trap.message, Some(trap.hint));
    }
}

fn standing(arguments: &Arguments, catalogue: &Catalogue) -> anyhow::Result<Standing> {
    let Arguments { kind, attached_to, account, .. } = arguments;
    let owner = || account.as_deref().map_or_else(Owner::system, Owner::account);
    let srn = attached_to.as_deref().map(|text| Srn::parse(text).context("--attached-to")).transpose()?;
    Ok(match (kind, srn) {
        (Kind::Identity, None) => Standing::Identity(owner()),
        (Kind::Identity, Some(_)) => bail!("--attached-to is for the policies of resources and roles: add --kind resource or --kind trust"),
        (Kind::Resource, None) => bail!("--kind resource needs --attached-to"),
        (Kind::Resource, Some(srn)) => {
            let Some(attachment) = Attachment::find(&srn, catalogue) else {
                bail!("--attached-to: {}", why_none(&srn, catalogue));
            };
            Standing::Resource(attachment)
        }
        (Kind::Trust, Some(srn)) if srn.account.is_empty() => bail!("--attached-to: {}", why_none(&srn, catalogue)),
        (Kind::Trust, Some(srn)) => Standing::Trust(Owner::account(srn.account)),
        (Kind::Trust, None) => Standing::Trust(owner()),
    })
}

/// Why an SRN is none that a policy can be attached to.
fn why_none(srn: &Srn<'_>, catalogue: &Catalogue) -> String {
    let offering = catalogue.offering().as_str();
    if srn.account.is_empty() {
        return format!("`{srn}` names no account, and a policy is attached to one resource of one account");
    }
    if srn.offering != offering {
        return format!("`{srn}` is of the offering `{}`, and the definitions are of `{offering}`", srn.offering);
    }
    format!("no definition acts on a `{}:{}`", srn.service_type, srn.resource_type)
}
