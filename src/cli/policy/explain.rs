//! `portcullis policy explain`: what a case comes out as, statement by statement.

use std::io::Write;
use std::path::PathBuf;

use super::{Ended, test};
use crate::policy::cases::{Case, Explanation};
use crate::policy::nearest_miss;
use crate::source::Report;
use crate::types::Offering;

/// Explain what the policies of a case decide, whatever the case expects.
///
/// Reads a case file as `portcullis policy test` does, and says for each decision case what comes out, what became of every statement, and,
/// when nothing allows the request, which Allow came nearest and which of its elements failed on which value.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  One case:
    portcullis policy explain policies/tests/volumes.yaml --case 'nobody deletes production volumes'")]
pub(super) struct Arguments {
    /// A case file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Only the case of this id
    #[arg(long, value_name = "ID")]
    case: Option<String>,
    /// The offering in the SRNs of `catalog: {definitions: DIR}`
    #[arg(long, default_value = "e")]
    offering: Offering,
}

pub(super) fn run(arguments: &Arguments, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<Ended> {
    let report = Report::new();
    let Some((file, catalogue)) = test::read(&arguments.file, &arguments.offering, &report) else {
        writeln!(err, "{report}")?;
        return Ok(Ended::Badly);
    };
    let wanted = |case: &&Case| arguments.case.as_ref().is_none_or(|id| case.id == *id);
    let mut found = file.cases.iter().filter(wanted).filter_map(|case| Some((case, case.explain(&catalogue)?))).peekable();
    if found.peek().is_none() {
        writeln!(err, "`{}` has no such decision case", arguments.file.display())?;
        return Ok(Ended::Badly);
    }
    for (case, explanation) in found {
        describe(case, &explanation, out)?;
    }
    Ok(Ended::Well)
}

fn describe(case: &Case, explanation: &Explanation, out: &mut dyn Write) -> anyhow::Result<()> {
    let Explanation { decided, complaints, findings } = explanation;
    match decided {
        Ok(decided) => writeln!(out, "{}: {decided}", case.id)?,
        Err(unready) => writeln!(out, "{}: cannot be decided: {unready}", case.id)?,
    }
    for complaint in complaints {
        writeln!(out, "  {complaint}")?;
    }
    for finding in findings {
        writeln!(out, "  {finding}")?;
    }
    let denied = decided.as_ref().is_ok_and(|decided| decided.reasons().contains(&"implicit_deny"));
    if let Some(nearest) = nearest_miss(findings).filter(|_| denied) {
        writeln!(out, "  the nearest miss: {nearest}")?;
    }
    Ok(())
}
