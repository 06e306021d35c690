//! `portcullis policy fmt`: policy documents in canonical form.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, fchown};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::{Ended, text};
use crate::policy::{self, DOCUMENT_BYTES_MAX};
use crate::source::{Report, Source};

/// Write policy documents in their canonical form.
///
/// A file is one policy document in JSON: of users, groups and roles, of a resource, or of a role's trust. No definitions are needed.
/// Members are put in one order, condition operators and keys are sorted, and every level is indented by two spaces; a list stands on
/// one line if that has at most 100 columns. What the policy says is not touched: values and their order stay.
///
/// Files are replaced whole and only when they change; the names of those that changed are printed. A file that is no sound policy is
/// shown with all its errors; then no file is written, and the exit code is 1.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  All policies of a folder, in place:
    portcullis policy fmt policies/*.json

  In CI, fail if a policy is not in canonical form:
    portcullis policy fmt --check policies/*.json")]
pub(super) struct Arguments {
    /// Policy documents
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Write nothing: print the names of the files that would change; the exit code is 1 if there is one
    #[arg(long)]
    check: bool,
    /// Write no file: print the canonical form
    #[arg(long, conflicts_with = "check")]
    stdout: bool,
}

pub(super) fn run(arguments: &Arguments, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<Ended> {
    let report = Report::new();
    let read: Vec<Option<(Source, String)>> = arguments.files.iter().map(|path| canonical(path, &report)).collect();
    let Some(read) = read.into_iter().collect::<Option<Vec<_>>>().filter(|_| !report.has_errors()) else {
        writeln!(err, "{report}")?;
        return Ok(Ended::Badly);
    };
    if arguments.stdout {
        read.iter().try_for_each(|(_, canonical)| out.write_all(canonical.as_bytes()))?;
        return Ok(Ended::Well);
    }
    let mut changes = false;
    for (path, (source, canonical)) in arguments.files.iter().zip(&read) {
        if **source.text() == **canonical {
            continue;
        }
        changes = true;
        if !arguments.check {
            replace(path, canonical).with_context(|| format!("cannot write `{}`", path.display()))?;
        }
        writeln!(out, "{}", source.name())?;
    }
    Ok(if arguments.check && changes { Ended::Badly } else { Ended::Well })
}

/// A policy document and its canonical form.
fn canonical(path: &Path, report: &Report) -> Option<(Source, String)> {
    let source = text(path, report)?;
    let canonical = policy::print(&policy::parse(&source, report)?);
    if canonical.len() > DOCUMENT_BYTES_MAX {
        let message = format!("in canonical form the policy has {} bytes; the limit is {DOCUMENT_BYTES_MAX}", canonical.len());
        report.file_error(source.name().to_string(), message, Some("split it into several policies, or leave it as it is".to_owned()));
        return None;
    }
    Some((source, canonical))
}

/// Replaces a file at once or not at all; whoever could read or write it still can. Of a symbolic link, the file that it leads to.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let path = fs::canonicalize(path)?;
    let fresh = path.with_file_name(format!(".policy-{}.new", std::process::id()));
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
    let replaced = fill(file, &path, text).and_then(|()| fs::rename(&fresh, &path));
    if replaced.is_err() {
        let _ = fs::remove_file(&fresh);
    }
    replaced
}

/// Writes a file that is to stand in the place of another one.
fn fill(mut file: File, old: &Path, text: &str) -> io::Result<()> {
    file.write_all(text.as_bytes())?;
    let (old, new) = (fs::metadata(old)?, file.metadata()?);
    if (old.uid(), old.gid()) != (new.uid(), new.gid()) {
        // A gateway that reads the file by its group would be locked out.
        fchown(&file, Some(old.uid()), Some(old.gid()))?;
    }
    file.set_permissions(old.permissions())?;
    file.sync_all()
}
