//! The commands: what people type, and what they read. All the work is elsewhere.

mod check;
mod completions;
mod control;
mod credential;
mod definitions;
mod demo;
mod explain;
mod follow;
mod gateway;
mod http;
mod in_force;
mod issuers;
mod key_file;
mod load;
mod log_level;
mod policy;
mod request;
mod seal;
mod sign;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub use load::{Configured, configure};

/// An authorization gateway for cloud service APIs.
///
/// It stands in front of your APIs as a reverse proxy. For every request it finds out who is calling (by the
/// signature of an access key), from which address, what they are about to do and to what; it asks the caller's
/// policies; and it forwards only what they allow.
#[derive(Debug, Parser)]
#[command(name = "portcullis", version, max_term_width = 100)]
#[command(after_long_help = "\
First steps:
  Run the demo; it needs nothing else, and prints a request to try:
    portcullis demo --data /tmp/portcullis

  See everything that is wrong with a configuration of your own:
    portcullis check --config gateway.yaml

  See why a request was refused; its id stands in the answer:
    portcullis explain --config gateway.yaml \\
      req-01a1fb14-766f-7707-8707-070707070707

`portcullis COMMAND --help` says more about each command, with examples.")]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    // No doc comments here: they would hide the longer texts of the commands' own arguments.
    Demo(demo::Arguments),
    Gateway(gateway::Arguments),
    Control(control::Arguments),
    Check(check::Arguments),
    Definitions(definitions::Arguments),
    Request(request::Arguments),
    Sign(sign::Arguments),
    Seal(seal::Arguments),
    Explain(explain::Arguments),
    Policy(policy::Arguments),
    Completions(completions::Arguments),
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// As asked.
    Well,
    /// Not as asked, and it has said why.
    Badly,
}

/// Runs the command of this process.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let (mut out, mut err) = (io::stdout(), io::stderr());
    match run(arguments, &mut out, &mut err) {
        Ok(Ended::Well) => ExitCode::SUCCESS,
        Ok(Ended::Badly) => ExitCode::FAILURE,
        // Whoever reads us has gone: nothing left to say.
        Err(error) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(err, "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs a command; output goes to `out`, complaints to `err`.
///
/// # Errors
/// What the command could not do.
pub fn run(arguments: Arguments, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<Ended> {
    match arguments.command {
        Command::Demo(arguments) => demo::run(&arguments, out, err),
        Command::Gateway(arguments) => gateway::run(&arguments, out, err),
        Command::Control(arguments) => control::run(&arguments, out, err),
        Command::Check(arguments) => check::run(&arguments, out, err),
        Command::Definitions(arguments) => definitions::run(&arguments, out, err),
        Command::Request(arguments) => request::run(&arguments, out, err),
        Command::Sign(arguments) => sign::run(&arguments, out, err),
        Command::Seal(arguments) => seal::run(&arguments, out),
        Command::Explain(arguments) => explain::run(&arguments, out, err),
        Command::Policy(arguments) => policy::run(&arguments, out, err),
        Command::Completions(arguments) => completions::run(&arguments, out),
    }
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// What was found, in one line.
fn summed_up(errors: usize, warnings: usize) -> String {
    match (errors, warnings) {
        (0, 0) => "good".to_owned(),
        (0, _) => format!("good, with {}", counted(warnings, "warning")),
        (_, 0) => counted(errors, "error"),
        (_, _) => format!("{} and {}", counted(errors, "error"), counted(warnings, "warning")),
    }
}

/// A number of things, for people.
fn counted(number: usize, what: &str) -> String {
    match (number, what.strip_suffix("cy")) {
        (1, _) => format!("1 {what}"),
        (_, Some(stem)) => format!("{number} {stem}cies"),
        (_, None) => format!("{number} {what}s"),
    }
}
