//! What a newcomer does: start it, paste what it prints, start it again.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use serde_json::json;

use super::harness::{Folder, wait};

/// Runs printed commands as they stand, in a shell.
fn paste(commands: &str) -> String {
    let done = Command::new("bash").arg("-c").arg(commands).env_remove("SCP_ACCESS_KEY").env_remove("SCP_SECRET_KEY").output().unwrap();
    String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr)
}

#[test]
fn the_printed_commands_work_when_pasted() {
    let folder = Folder::new();
    let demo = folder.demo();
    let commands: Vec<&str> = demo.greeting.lines().filter_map(|line| line.strip_prefix("  ")).collect();
    let (listing, making): (Vec<&str>, Vec<&str>) = {
        let at = commands.iter().position(|line| line.starts_with("SCP_ACCESS_KEY")).unwrap();
        (commands[..at].to_vec(), commands[at..].to_vec())
    };
    let seen = paste(&listing.join("\n"));
    assert!(seen.contains("HTTP/1.1 200 OK") && seen.contains(r#""groups":[]"#), "{seen}");
    let seen = paste(&format!("{}\n{}", listing[0], making.join("\n")));
    let (refused, made) = seen.split_once(r#""group":"#).unwrap_or_else(|| panic!("{seen}"));
    assert!(refused.contains("implicit_deny") && made.contains(r#""name":"operators""#), "{seen}");
}

#[test]
fn the_three_people_may_do_what_the_contract_says() {
    let folder = Folder::new();
    let _demo = folder.demo();
    let [admin, reader, other] = ["ADMIN", "READER", "OTHER"].map(|who| folder.key(who));
    let group = json!({"name": "operators", "description": null});
    folder.must(&reader, "GET", "/v1/groups", None, 200);
    let refused = folder.must(&reader, "POST", "/v1/groups", Some(&group), 403);
    assert_eq!(refused.header("portcullis-reason"), Some("implicit_deny"));
    // Why, from the log and the copy of the gateway that runs.
    let id = refused.header("portcullis-request-id").unwrap();
    let told = wait("the record", || {
        let mut explain = Command::new(env!("CARGO_BIN_EXE_portcullis"));
        let done = explain.args(["explain", "--config", folder.file("gateway.yaml").to_str().unwrap(), id]).output().unwrap();
        done.status.success().then(|| String::from_utf8_lossy(&done.stdout).into_owned())
    });
    assert!(told.contains("reader holds 1 policy:") && told.contains("`Look`"), "{told}");
    let made = folder.must(&admin, "POST", "/v1/groups", Some(&group), 201);
    let id = made.text("/group/id");
    assert_eq!(folder.must(&reader, "GET", "/v1/groups", None, 200).json()["count"], 1);

    // What was changed decides the very next request of who asks for that.
    let revision = made.header("portcullis-committed-revision").unwrap();
    let wanted = [format!("Portcullis-Min-Revision: {revision}")];
    let path = format!("/v1/groups/{id}");
    let shown =
        wait("the revision", || Some(folder.call_with(Some(&reader), "GET", &path, None, &wanted)).filter(|shown| shown.status != 503));
    assert_eq!((shown.status, shown.text("/group/name")), (200, "operators".to_owned()));

    // The other account sees nothing of it.
    assert_eq!(folder.must(&other, "GET", "/v1/groups", None, 200).json()["count"], 0);
    folder.must(&other, "GET", &format!("/v1/groups/{id}"), None, 404);
    folder.must(&other, "POST", "/v1/groups", Some(&group), 201);
}

#[test]
fn data_stay_between_starts_and_the_end_is_clean() {
    let folder = Folder::new();
    let demo = folder.demo();
    let admin = folder.key("ADMIN");
    let made = folder.must(&admin, "POST", "/v1/groups", Some(&json!({"name": "operators", "description": null})), 201);
    for name in ["demo.env", "sealing.key", "portcullis.db"] {
        let mode = std::fs::metadata(folder.file(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    let environment = folder.environment();
    let (code, log) = demo.end();
    assert_eq!(code, Some(0), "{log}");
    assert!(!log.contains("ERROR") && !log.contains("panicked"), "{log}");

    let _again = folder.demo();
    assert_eq!(folder.environment(), environment);
    let shown = folder.must(&admin, "GET", &format!("/v1/groups/{}", made.text("/group/id")), None, 200);
    assert_eq!(shown.text("/group/name"), "operators");
    let decisions = std::fs::read_to_string(folder.file("decisions.jsonl")).unwrap();
    assert!(decisions.lines().count() >= 2);
}
