//! `portcullis policy`: work on policies without a gateway.

use std::io::Write;
use std::path::Path;

use super::Ended;
use crate::config::Files;
use crate::policy::Catalogue;
use crate::source::{Report, Source};
use crate::sync;
use crate::types::Offering;

mod check;
mod convert;
mod definitions;
mod diff;
mod explain;
mod fmt;
mod test;

/// Test policies, and see what they mean, before they are in force.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    // No doc comments here: they would hide the longer texts of the commands' own arguments.
    Check(check::Arguments),
    Test(test::Arguments),
    Explain(explain::Arguments),
    Fmt(fmt::Arguments),
    Convert(convert::Arguments),
    Diff(diff::Arguments),
}

pub(super) fn run(arguments: &Arguments, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<Ended> {
    match &arguments.command {
        Command::Check(arguments) => check::run(arguments, out, err),
        Command::Test(arguments) => test::run(arguments, out, err),
        Command::Explain(arguments) => explain::run(arguments, out, err),
        Command::Fmt(arguments) => fmt::run(arguments, out, err),
        Command::Convert(arguments) => convert::run(arguments, out, err),
        Command::Diff(arguments) => diff::run(arguments, out, err),
    }
}

/// A text file. Errors go to the report.
fn text(path: &Path, report: &Report) -> Option<Source> {
    let name = path.display().to_string();
    match Files::default().read(path) {
        Ok(text) => Some(Source::new(name, text)),
        Err(message) => {
            report.file_error(name, message, None);
            None
        }
    }
}

/// The world that the definitions of a folder, or of one file, make. Errors go to the report.
fn catalogue(definitions: &Path, offering: Offering, report: &Report) -> Option<Catalogue> {
    if !definitions.exists() {
        let hint = "name the folder that the action definitions are in".to_owned();
        report.file_error(definitions.display().to_string(), "there is no such file or folder", Some(hint));
        return None;
    }
    sync::files::definitions(&[definitions::named(definitions)], offering, &Files::default(), report)
        .map(|snapshot| snapshot.catalogue().clone())
}
