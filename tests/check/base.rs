//! A copy of the good configuration, the ways to spoil it, and `portcullis check` on it.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Parser as _;
use portcullis::cli::{Arguments, Ended, run};
use tempfile::TempDir;

/// What stands for the copy's folder in everything that is printed.
const FOLDER: &str = "/etc/portcullis";

/// A snapshot without the text of the expression: the case's name says it.
macro_rules! assert_text {
    ($text:expr) => {
        insta::with_settings!({omit_expression => true}, { insta::assert_snapshot!($text) })
    };
}
pub(crate) use assert_text;

/// A copy of `check/base` in a folder of its own.
pub(crate) struct Copy(TempDir);

impl Copy {
    pub(crate) fn new() -> Self {
        let folder = TempDir::new().unwrap();
        copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/check/base"), folder.path());
        Self(folder)
    }

    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.0.path().join(file)
    }

    /// Replaces the one place in `file` where `from` stands.
    pub(crate) fn edit(self, file: &str, from: &str, to: &str) -> Self {
        let text = fs::read_to_string(self.path(file)).unwrap();
        assert_eq!(text.matches(from).count(), 1, "`{from}` in {file}");
        self.write(file, &text.replace(from, to))
    }

    pub(crate) fn append(self, file: &str, more: &str) -> Self {
        let text = fs::read_to_string(self.path(file)).unwrap();
        self.write(file, &format!("{text}{more}"))
    }

    pub(crate) fn write(self, file: &str, text: &str) -> Self {
        fs::write(self.path(file), text).unwrap();
        self
    }

    pub(crate) fn remove(self, file: &str) -> Self {
        fs::remove_file(self.path(file)).unwrap();
        self
    }

    /// How `portcullis check` ends, and what it prints, with one name for the folder.
    fn check(&self) -> (Ended, String) {
        let (ended, text) = check(&self.path("gateway.yaml"));
        (ended, without_revision(&text.replace(self.0.path().to_str().unwrap(), FOLDER)))
    }

    /// What is printed about a configuration that must not load.
    pub(crate) fn refused(&self) -> String {
        let (ended, text) = self.check();
        assert_eq!(ended, Ended::Badly, "{text}");
        text
    }

    /// What is printed about a configuration that must load.
    pub(crate) fn accepted(&self) -> String {
        let (ended, text) = self.check();
        assert_eq!(ended, Ended::Well, "{text}");
        text
    }
}

/// How `portcullis check` ends, and what it prints: complaints first.
pub(crate) fn check(config: &Path) -> (Ended, String) {
    let arguments = Arguments::try_parse_from(["portcullis", "check", "--config", config.to_str().unwrap()]).unwrap();
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let ended = run(arguments, &mut out, &mut err).unwrap();
    (ended, [err, out].map(|bytes| String::from_utf8(bytes).unwrap()).concat())
}

/// What is printed about a copy in which one place is spoilt.
pub(crate) fn spoilt(file: &str, from: &str, to: &str) -> String {
    Copy::new().edit(file, from, to).refused()
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            fs::create_dir(&target).unwrap();
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// A revision hashes the paths of the files too, and those are of a temporary folder.
fn without_revision(text: &str) -> String {
    match text.split_once("revision file.") {
        Some((before, rest)) => {
            format!("{before}revision file.[12 digits]{}", rest.trim_start_matches(|digit: char| digit.is_ascii_hexdigit()))
        }
        None => text.to_owned(),
    }
}
