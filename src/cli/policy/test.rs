//! `portcullis policy test`: case files, run.

use std::io::Write;
use std::path::{Path, PathBuf};

use super::{Ended, catalogue, text};
use crate::policy::Catalogue;
use crate::policy::cases::{CaseFile, Outcome, WorldRef};
use crate::source::json::{self, Limits};
use crate::source::{Report, Source, Span, yaml};
use crate::types::Offering;

/// How deep a case file may nest: policies nest eight levels, and stand some levels deep in it.
const DEPTH_MAX: usize = 64;

/// Run case files: requests with the decisions expected of policies, and documents that must be accepted or refused.
///
/// A file is JSON or YAML, with `catalog` and `cases`. The catalogue says which actions and resources there are: your own
/// definitions (`catalog: {definitions: DIR}`, from the folder of the file), or written out in the file. A decision case has a `request`,
/// the `identity_policies` of its principal, the `resource_policies` and `session_policies` that count, `expect: Allow` or `expect: Deny`,
/// and, if that matters, a `reason` (allow, implicit_deny, explicit_deny, unknown_action, invalid_policy, attribute_unavailable). A
/// validation case has a `policy` and `expect: Accept` or `expect: Reject`.
///
/// Every case that comes out otherwise is shown with what was expected, what came out, and what became of each statement. The exit code
/// is 0 when all passed.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  All cases of a folder:
    portcullis policy test policies/tests/*.yaml")]
pub(super) struct Arguments {
    /// Case files
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// The offering in the SRNs of `catalog: {definitions: DIR}`
    #[arg(long, default_value = "e")]
    offering: Offering,
}

pub(super) fn run(arguments: &Arguments, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<Ended> {
    let report = Report::new();
    let read: Vec<Option<(CaseFile, Catalogue)>> = arguments.files.iter().map(|path| read(path, &arguments.offering, &report)).collect();
    if report.has_errors() || read.iter().any(Option::is_none) {
        writeln!(err, "{report}")?;
        return Ok(Ended::Badly);
    }
    let (mut passed, mut failed) = (0_usize, 0_usize);
    for (file, catalogue) in read.into_iter().flatten() {
        for case in &file.cases {
            match case.run(&catalogue) {
                Outcome::Passed => passed += 1,
                Outcome::Failed(failure) => {
                    failed += 1;
                    let title = case.title.as_ref().map_or_else(String::new, |title| format!(": {title}"));
                    writeln!(out, "{}: {}{title}\n{failure}\n", file.source().name(), case.id)?;
                }
            }
        }
    }
    writeln!(out, "{passed} passed, {failed} failed")?;
    Ok(if failed == 0 { Ended::Well } else { Ended::Badly })
}

/// A case file and the catalogue of its cases.
pub(super) fn read(path: &Path, offering: &Offering, report: &Report) -> Option<(CaseFile, Catalogue)> {
    let refuse = |source: &Source, span: Span, message: String, hint: Option<String>| {
        report.error(source, span, message, hint);
        None
    };
    let source = text(path, report)?;
    let is_yaml = path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml");
    let root = if is_yaml {
        match yaml::parse(&source).map(<[_; 1]>::try_from) {
            Ok(Ok([root])) => root,
            Ok(Err(_)) => return refuse(&source, Span::default(), "a case file is one document".to_owned(), None),
            Err(error) => return refuse(&source, error.span, error.message, error.hint),
        }
    } else {
        match json::parse(source.text().as_bytes(), Limits { bytes_max: yaml::BYTES_MAX, depth_max: DEPTH_MAX }) {
            Ok(root) => root,
            Err(error) => return refuse(&source, error.span, error.message, error.hint),
        }
    };
    let file = CaseFile::read(&root, &source, report)?;
    let catalogue = match file.world() {
        WorldRef::Inline(catalogue) => (**catalogue).clone(),
        WorldRef::Definitions(folder) => {
            let folder = path.parent().map_or_else(|| PathBuf::from(folder), |beside| beside.join(folder));
            catalogue(&folder, offering.clone(), report)?
        }
    };
    Some((file, catalogue))
}
