//! `portcullis policy convert`: policies between JSON and basic mode.

use std::io::Write;
use std::path::{Path, PathBuf};

use super::{Ended, text};
use crate::policy::basic::{Basic, FORM_BYTES_MAX};
use crate::policy::{self, NESTING_MAX};
use crate::source::json::{self, Limits};
use crate::source::{Report, yaml};

/// Convert a policy from JSON to basic mode, or back.
///
/// Basic mode is the form that people fill in at the console: a policy is a list of rules, each with a control type, actions, applied
/// resources, an authentication type, applied addresses less excluded ones, and additional conditions. As a text it is JSON, or YAML in
/// a file that ends in .yaml or .yml. Mind a Deny: it denies at the applied addresses, and not at the excluded ones.
///
/// To basic mode, a statement is converted when it fits the form exactly; otherwise the command says which statement must stay JSON and
/// why, and the exit code is 1. To JSON, rules that differ in their actions only become one statement, without a `Sid`. Neither way
/// changes a decision.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
A text of basic mode (`sid` and `conditions` may be left out):
  rules:
  - sid: TEXT
    control: Allow | Deny
    actions: [service:Name, ...]
    resources: all | [SRN, ...]
    authentication: all | AuthenticationKey | TemporaryKeyAndConsoleLogin
    addresses: all | {applied: all | [NETWORK, ...], excluded: [NETWORK, ...]}
    conditions:
    - {key: KEY, qualifier: default | any | all, operator: OPERATOR, values: [VALUE, ...]}

Examples:
  Look at a policy as the console shows it:
    portcullis policy convert --to basic policies/read.json

  Make a policy document of a form:
    portcullis policy convert --to json read.basic.yaml > policies/read.json")]
pub(super) struct Arguments {
    /// What to make of the file
    #[arg(long, value_name = "MODE")]
    to: Mode,
    /// A policy document, or for `--to json` a text of basic mode
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Mode {
    /// The form of the console
    Basic,
    /// A policy document
    Json,
}

pub(super) fn run(arguments: &Arguments, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<Ended> {
    let report = Report::new();
    let converted = match arguments.to {
        Mode::Basic => to_basic(&arguments.file, &report),
        Mode::Json => to_json(&arguments.file, &report),
    };
    let Some(converted) = converted else {
        writeln!(err, "{report}")?;
        return Ok(Ended::Badly);
    };
    out.write_all(converted.as_bytes())?;
    Ok(Ended::Well)
}

fn to_basic(path: &Path, report: &Report) -> Option<String> {
    let source = text(path, report)?;
    match Basic::of(&policy::parse(&source, report)?) {
        Ok(basic) => Some(basic.to_text()),
        Err(refused) => {
            for one in refused {
                report.error(&source, one.span, one.to_string(), Some(one.why.advice().to_owned()));
            }
            None
        }
    }
}

fn to_json(path: &Path, report: &Report) -> Option<String> {
    let source = text(path, report)?;
    let is_yaml = path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml");
    let root = if is_yaml {
        if source.text().len() > FORM_BYTES_MAX {
            let message = format!("the text has {} bytes; the limit is {FORM_BYTES_MAX}", source.text().len());
            report.file_error(source.name().to_string(), message, None);
            return None;
        }
        match yaml::parse(&source).map(<[_; 1]>::try_from) {
            Ok(Ok([root])) => Ok(root),
            Ok(Err(documents)) => {
                let message = format!("the file has {} documents, and basic mode is one", documents.len());
                report.file_error(source.name().to_string(), message, None);
                return None;
            }
            Err(error) => Err(error),
        }
    } else {
        json::parse(source.text().as_bytes(), Limits { bytes_max: FORM_BYTES_MAX, depth_max: NESTING_MAX })
    };
    match root {
        Ok(root) => Basic::read(&root, &source, report).map(|basic| basic.to_json()),
        Err(error) => {
            report.error(&source, error.span, error.message, error.hint);
            None
        }
    }
}
