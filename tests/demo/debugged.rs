//! Debug mode from end to end: switched on by a signed request, told by the gateway, compared with `portcullis sign --explain`.

use std::process::Command;

use portcullis::gateway::system_time;
use serde_json::json;

use super::harness::{Answer, Folder, Key, sign};

/// What `sign --explain` says is signed: the headers, and the SHA-256 of the string.
fn explained(key: &Key, arguments: &[&str], url: &str) -> (Vec<String>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    command
        .args(["sign", "--explain"])
        .args(arguments)
        .args(["GET", url])
        .env("SCP_ACCESS_KEY", &key.id)
        .env("SCP_SECRET_KEY", &key.secret);
    let done = command.output().unwrap();
    assert!(done.status.success(), "{done:?}");
    let said = String::from_utf8(done.stderr).unwrap();
    let digest = said.lines().find_map(|line| line.strip_prefix("its SHA-256:")).unwrap().trim().to_owned();
    assert!(!said.contains(&key.secret), "{said}");
    (String::from_utf8(done.stdout).unwrap().lines().map(str::to_owned).collect(), digest)
}

#[test]
fn what_a_key_in_debug_mode_is_told_is_what_sign_explains() {
    let folder = Folder::new();
    let demo = folder.demo();
    let (admin, other) = (folder.key("ADMIN"), folder.key("OTHER"));
    let wrong = Key { secret: "wrong".to_owned(), ..admin.clone() };
    let url = format!("http://{}/v1/groups?page=0", folder.addresses.gateway);
    let refused = |written: Option<&Answer>, lines: &[String]| {
        // A request that is refused waits for nothing: another one has to see that the gateway has got so far.
        if let Some(revision) = written.and_then(|answer| answer.header("portcullis-committed-revision")) {
            folder.call_with(Some(&admin), "GET", "/v1/groups", None, &[format!("Portcullis-Min-Revision: {revision}")]);
        }
        let answer = folder.call_with(None, "GET", "/v1/groups?page=0", None, lines);
        assert_eq!((answer.status, answer.header("portcullis-reason")), (401, Some("signature_mismatch")), "{}", answer.body);
        answer.body
    };
    let signed = |key: &Key| sign(key, "GET", &folder.addresses.gateway.to_string(), "/v1/groups?page=0");
    assert!(!refused(None, &signed(&wrong)).contains("SHA-256"));

    let debug = format!("/portcullis/v1/access-keys/{}/debug", admin.id);
    let on = folder.must(&admin, "PUT", &debug, Some(&json!({"minutes": 5})), 200);
    let now = system_time().milliseconds().to_string();
    for arguments in [
        &["--timestamp", &now][..],
        &["--timestamp", &now, "--dialect", "classic", "--scope", "PROJECT-1"],
        &["--timestamp", &now, "--dialect", "secret-vault"],
        &["--timestamp", &now, "--scope", &folder.account()],
    ] {
        // The right secret signs the same string as the wrong one.
        let (headers, digest) = explained(&wrong, arguments, &url);
        assert_eq!(explained(&admin, arguments, &url).1, digest);
        let said = refused(Some(&on), &headers);
        assert!(said.contains(&format!("of the string to sign the SHA-256 is {digest})")), "{arguments:?}: {said}");
        let answer = folder.call_with(None, "GET", "/v1/groups?page=0", None, &explained(&admin, arguments, &url).0);
        assert_eq!(answer.status, 200, "{arguments:?}: {}", answer.body);
    }
    // Keys of others are not in it.
    let others = Key { secret: "wrong".to_owned(), ..other };
    assert!(!refused(None, &signed(&others)).contains("SHA-256"));
    let off = folder.must(&admin, "PUT", &debug, Some(&json!({"minutes": 0})), 200);
    assert!(!refused(Some(&off), &signed(&wrong)).contains("SHA-256"));
    let (_, log) = demo.end();
    assert!(!log.contains("ERROR"), "{log}");
}
