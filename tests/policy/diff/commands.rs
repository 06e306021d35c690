//! `portcullis policy diff`, as people run it.

use std::fs;
use std::path::Path;
use std::process::Command;

use insta::assert_snapshot;
use tempfile::TempDir;

const DEFINITIONS: &str = "\
kind: scp-iam:action-definition
service: volume
service_type: scp-volume
account: principal
paths:
  /v1/volumes:
    get: {action: volume:ListVolumes, access_level: List}
  /v1/volumes/{id}:
    get: {action: volume:ShowVolume, access_level: Read, resources: [{'volume:volume': {resource_id: \"path['id']\"}}]}
    delete: {action: volume:DeleteVolume, access_level: Delete, resources: [{'volume:volume': {resource_id: \"path['id']\"}}]}
";

const ACCOUNT: &str = "f39c460fade34fecb05ede8f904b24b7";

fn document(statements: &str) -> String {
    format!("{{\"Version\": \"2024-07-01\", \"Statement\": [{statements}]}}")
}

const READ: &str = r#"{"Effect": "Allow", "Action": "volume:*[List,Read]", "Resource": "*"}"#;
const OFFICE: &str =
    r#"{"Effect": "Allow", "Action": "volume:*", "Resource": "*", "Condition": {"IpAddress": {"scp:SourceIp": "10.0.0.0/8"}}}"#;
const NEVER_PROD: &str = r#"{"Effect": "Deny", "Action": "volume:Delete*", "Resource": "srn:e:::::volume:volume/prod-*"}"#;

/// A folder with the definitions and these files.
fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files.iter().chain([&("definitions/volume.yaml", DEFINITIONS)]) {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

/// What a run in a folder says: its output, then its complaints, then how it ended.
fn run(folder: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    let output = command.args(["policy"]).args(arguments).current_dir(folder).env_clear().output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    format!("{}{}[{}]", text(&output.stdout), text(&output.stderr), output.status.code().unwrap())
}

fn diff(folder: &Path, more: &[&str]) -> String {
    run(folder, &[&["diff", "--definitions", "definitions"], more].concat())
}

#[test]
fn a_change_is_said_in_one_word_and_shown_by_requests() {
    let before = document(&format!("{OFFICE}, {NEVER_PROD}"));
    let after = document(&format!("{OFFICE}, {READ}"));
    let folder = folder(&[("before.json", &before), ("after.json", &after)]);
    assert_snapshot!(diff(folder.path(), &["before.json", "after.json"]));
    assert_eq!(diff(folder.path(), &["before.json", "before.json"]), "equivalent\n[0]");
}

#[test]
fn a_folder_is_what_one_principal_holds() {
    let whole = document(&format!("{OFFICE}, {READ}, {NEVER_PROD}"));
    let folder = folder(&[
        ("whole.json", &whole),
        ("parts/a.json", &document(OFFICE)),
        ("parts/b.json", &document(&format!("{NEVER_PROD}, {READ}"))),
        ("empty/none.txt", ""),
    ]);
    assert_eq!(diff(folder.path(), &["whole.json", "parts"]), "equivalent\n[0]");
    assert_eq!(diff(folder.path(), &["whole.json", "empty"]), "error: `empty` has 0 JSON files; between 1 and 1000 can be compared\n[1]");
}

#[test]
fn the_requests_are_cases_that_pass() {
    let before = document(&format!("{OFFICE}, {NEVER_PROD}"));
    let folder = folder(&[("before.json", &before), ("after.json", &document(READ))]);
    let said = diff(folder.path(), &["--cases", "before.json", "after.json"]);
    fs::write(folder.path().join("change.json"), said.strip_suffix("[1]").unwrap()).unwrap();
    assert_eq!(run(folder.path(), &["test", "change.json"]), "6 passed, 0 failed\n[0]");
}

#[test]
fn what_cannot_be_compared_is_refused() {
    let folder = folder(&[("good.json", &document(READ)), ("bad.json", &document(r#"{"Effect": "Allow", "Action": "volume:*"}"#))]);
    let said = diff(folder.path(), &["good.json", "bad.json"]);
    assert!(said.starts_with("error: ") && said.contains("Resource") && said.ends_with("[1]"), "{said}");
    assert!(diff(folder.path(), &["good.json", "none.json"]).contains("the file cannot be opened"));
    assert!(diff(folder.path(), &["--account", "a:b", "good.json", "good.json"]).contains("`a:b` is no account's id"));
}

/// Records of three users; ada holds the policy by a group.
fn records(document: &str, more: &str) -> String {
    let id = |number: u32| format!("{number:032x}");
    format!(
        "\
- {{kind: account, id: {ACCOUNT}, name: volumes}}
- {{kind: user, id: {}, account: {ACCOUNT}, name: ada}}
- {{kind: user, id: {}, account: {ACCOUNT}, name: bob}}
- {{kind: group, id: {}, account: {ACCOUNT}, name: readers}}
- {{kind: membership, group: {}, user: {}}}
- {{kind: policy, id: {}, account: {ACCOUNT}, name: read, document: '{document}'}}
- {{kind: attachment, policy: {}, group: {}}}
- {{kind: access_key, id: {}, user: {}, secret: {{file: nowhere}}}}
{more}",
        id(1),
        id(2),
        id(3),
        id(3),
        id(1),
        id(4),
        id(4),
        id(3),
        id(5),
        id(1),
    )
}

#[test]
fn a_revision_is_told_for_each_principal() {
    let carol = format!("- {{kind: user, id: {:032x}, account: {ACCOUNT}, name: carol, root: true}}\n", 9);
    let folder = folder(&[
        ("old/records.yaml", &records(&document(READ), "")),
        ("new/records.yaml", &records(&document(&format!("{OFFICE}, {READ}")), &carol)),
    ]);
    assert_snapshot!(diff(folder.path(), &["--principal", "all", "old", "new"]));
    assert_eq!(diff(folder.path(), &["--principal", "bob", "old", "new"]), "1 principal: 1 equivalent\n[0]");
    assert_eq!(diff(folder.path(), &["--principal", "eve", "old", "new"]), "error: --principal: the records have no user `eve`\n[1]");
}
