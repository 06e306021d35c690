//! `portcullis policy fmt` on files.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use insta::assert_snapshot;
use tempfile::TempDir;

const COMPACT: &str = r#"{"Statement":{"Resource":"*","Action":["iam:showUser"],"Effect":"Allow"},"Version":"2024-07-01"}"#;
const CANONICAL: &str = r#"{
  "Version": "2024-07-01",
  "Statement": {
    "Effect": "Allow",
    "Action": ["iam:showUser"],
    "Resource": "*"
  }
}
"#;

/// A folder with files, and commands in it.
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn with(files: &[(&str, &str)]) -> Self {
        let folder = Self(TempDir::new().unwrap());
        files.iter().for_each(|(name, text)| fs::write(folder.path(name), text).unwrap());
        folder
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(self.0.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// How `portcullis policy ...` ends, what it prints, and what it complains of.
    pub(crate) fn policy(&self, arguments: &[&str]) -> (bool, String, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
        command.arg("policy").args(arguments).current_dir(self.0.path()).env_clear().stdin(Stdio::null());
        let Output { status, stdout, stderr } = command.output().unwrap();
        assert!(matches!(status.code(), Some(0 | 1)), "{status}");
        let [stdout, stderr] = [stdout, stderr].map(|bytes| String::from_utf8(bytes).unwrap());
        (status.success(), stdout, stderr)
    }
}

fn good(printed: &str) -> (bool, String, String) {
    (true, printed.to_owned(), String::new())
}

#[test]
fn files_are_rewritten_when_they_change_and_keep_their_permissions() {
    let folder = Folder::with(&[("a.json", COMPACT), ("b.json", CANONICAL)]);
    fs::set_permissions(folder.path("a.json"), fs::Permissions::from_mode(0o640)).unwrap();
    let before = fs::metadata(folder.path("b.json")).unwrap();
    assert_eq!(folder.policy(&["fmt", "a.json", "b.json"]), good("a.json\n"));
    assert_eq!([folder.text("a.json"), folder.text("b.json")], [CANONICAL, CANONICAL]);
    assert_eq!(fs::metadata(folder.path("a.json")).unwrap().mode() & 0o7777, 0o640);
    assert_eq!(fs::metadata(folder.path("b.json")).unwrap().ino(), before.ino());
    assert_eq!(folder.names(), ["a.json", "b.json"]);
    assert_eq!(folder.policy(&["fmt", "a.json", "b.json"]), good(""));
}

#[test]
fn a_symbolic_link_stays_one() {
    let folder = Folder::with(&[("a.json", COMPACT)]);
    symlink("a.json", folder.path("link.json")).unwrap();
    assert_eq!(folder.policy(&["fmt", "link.json"]), good("link.json\n"));
    assert!(fs::symlink_metadata(folder.path("link.json")).unwrap().is_symlink());
    assert_eq!(folder.text("a.json"), CANONICAL);
}

#[test]
fn a_check_names_what_would_change_and_writes_nothing() {
    let folder = Folder::with(&[("a.json", COMPACT), ("b.json", CANONICAL)]);
    assert_eq!(folder.policy(&["fmt", "--check", "a.json", "b.json"]), (false, "a.json\n".to_owned(), String::new()));
    assert_eq!(folder.policy(&["fmt", "--stdout", "a.json", "b.json"]), good(&[CANONICAL, CANONICAL].concat()));
    assert_eq!(folder.text("a.json"), COMPACT);
    assert_eq!(folder.policy(&["fmt", "--check", "b.json"]), good(""));
}

#[test]
fn nothing_is_written_when_a_file_is_no_sound_policy() {
    let folder = Folder::with(&[
        ("good.json", COMPACT),
        ("comma.json", &COMPACT.replace("\"*\",", "\"*\",,")),
        ("member.json", &COMPACT.replace("Resource", "Resources")),
    ]);
    let (ended_well, printed, complaints) = folder.policy(&["fmt", "good.json", "comma.json", "member.json", "none.json"]);
    assert!(!ended_well && printed.is_empty(), "{printed}");
    assert_eq!(folder.text("good.json"), COMPACT);
    assert_snapshot!(complaints);
}

#[test]
fn a_policy_that_no_longer_fits_is_left_alone() {
    let statement = r#"{"Effect":"Allow","Action":"*","Resource":"*"}"#;
    let text = format!("{{\"Version\":\"2024-07-01\",\"Statement\":[{}]}}", vec![statement; 900].join(","));
    let folder = Folder::with(&[("large.json", &text)]);
    let (ended_well, _, complaints) = folder.policy(&["fmt", "large.json"]);
    assert!(!ended_well && complaints.contains("in canonical form the policy has 72951 bytes; the limit is 65536"), "{complaints}");
    assert_eq!(folder.text("large.json"), text);
}
