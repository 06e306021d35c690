//! `portcullis definitions apply` against a running demo: what it prints, and that the gateway is told.

use std::process::Command;

use super::harness::{Folder, wait};

const COMPUTE: &str = "\
kind: scp-iam:action-definition
service: compute
paths:
  /v1/servers:
    get: {action: compute:ListServers, access_level: List}
    delete: {action: compute:DeleteServers, access_level: Delete}
";

/// Runs the command with somebody's key: how it ended, what it printed, what it complained about.
fn apply(folder: &Folder, who: &str, more: &[&str]) -> (Option<i32>, String, String) {
    let key = folder.key(who);
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    command.args(["definitions", "apply", "--url", &format!("http://{}", folder.addresses.gateway)]).args(more);
    let done = command.arg(folder.file("definitions")).env("SCP_ACCESS_KEY", key.id).env("SCP_SECRET_KEY", key.secret).output().unwrap();
    (done.status.code(), String::from_utf8(done.stdout).unwrap(), String::from_utf8(done.stderr).unwrap())
}

#[test]
fn a_folder_of_definitions_is_applied_file_by_file() {
    let folder = Folder::new();
    let _demo = folder.demo();
    std::fs::create_dir(folder.file("definitions")).unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.file("definitions").join(name), text).unwrap();
    write("a-compute.yaml", COMPUTE);
    write("notes.txt", "not a definition");

    let (code, out, err) = apply(&folder, "ADMIN", &[]);
    let expected = "compute: created, 2 actions added\n  + compute:DeleteServers\n  + compute:ListServers\n";
    assert_eq!((code, out.as_str(), err.as_str()), (Some(0), expected, ""));

    write("a-compute.yaml", &COMPUTE.replace("DeleteServers", "DropServers"));
    write("b-network.yml", "kind: scp-iam:action-definition\nservice: network\npaths: {/v1/nets: {get: {action: network:List}}}\n");
    write("c-volume.yaml", &COMPUTE.replace("compute", "volume"));
    let (code, out, err) = apply(&folder, "ADMIN", &[]);
    let expected = "compute: changed, 1 action added, 1 action removed\n  + compute:DropServers\n  - compute:DeleteServers\n";
    assert_eq!((code, out.as_str()), (Some(1), expected));
    let lines: Vec<&str> = err.lines().collect();
    let file = folder.file("definitions").join("b-network.yml");
    assert_eq!(lines[0], format!("{}: the definition of `network` is refused (400 Bad Request)", file.display()));
    assert!(lines[1].starts_with("  line 3, column ") && lines[1].contains("the action has no `access_level`"), "{err}");
    assert!(lines[2].starts_with("  request req-") && lines.len() == 3, "{err}");

    write("b-network.yml", &COMPUTE.replace("compute", "network"));
    let (code, out, _) = apply(&folder, "ADMIN", &[]);
    let starts: Vec<&str> = out.lines().filter(|line| !line.starts_with(' ')).collect();
    assert_eq!(
        (code, starts),
        (Some(0), vec!["compute: unchanged", "network: created, 2 actions added", "volume: created, 2 actions added"])
    );

    // The administrator of another account is refused, whatever their policies say.
    let (code, out, err) = apply(&folder, "OTHER", &[]);
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(err.contains("this operation is for the operator of the control plane"), "{err}");

    std::fs::write(folder.file("definitions").join("d.yaml"), "a: 1\n").unwrap();
    let (code, out, err) = apply(&folder, "ADMIN", &[]);
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(err.contains("is not the definition of one service"), "{err}");
}

#[test]
fn what_is_public_is_public_through_the_gateway() {
    let folder = Folder::new();
    let _demo = folder.demo();
    let versions = wait("the version list", || Some(folder.call(None, "GET", "/", None)).filter(|answer| answer.status == 200));
    assert_eq!(versions.text("/versions/0/id"), "v1.4");
    assert_eq!(folder.call(None, "GET", "/v1/endpoints", None).status, 401);
    folder.must(&folder.key("READER"), "GET", "/v1/endpoints", None, 200);
    folder.must(&folder.key("READER"), "GET", "/portcullis/v1/audit", None, 200);
    let refused = folder.must(&folder.key("READER"), "PUT", "/portcullis/v1/definitions/iam", None, 403);
    assert_eq!(refused.header("portcullis-reason"), Some("implicit_deny"));
    folder.must(&folder.key("OTHER"), "GET", "/portcullis/v1/accounts", None, 403);
}
