//! The console from end to end: a login through the gateway, its token, its allowlist, and the way back in for who locked themselves out.

use std::process::Command;

use serde_json::{Value as Json, json};

use super::harness::{Answer, Folder, wait};

const PASSWORD: &str = "Correct1horse&";

fn log_in(folder: &Folder, body: &Json) -> Answer {
    folder.call(None, "POST", "/portcullis/v1/console-tokens", Some(body))
}

fn verdict(answer: &Answer) -> (u16, String) {
    (answer.status, answer.header("portcullis-reason").unwrap_or_default().to_owned())
}

#[test]
fn a_console_token_is_refused_from_elsewhere_and_whoever_is_locked_out_is_let_in_again() {
    let folder = Folder::new();
    let demo = folder.demo();
    let admin = folder.key("ADMIN");
    let users = folder.must(&admin, "GET", &format!("/v1/accounts/{}/users?user_name=admin", folder.account()), None, 200);
    let id = users.text("/users/0/id");
    let password = format!("/v1/accounts/{}/users/{id}/password", folder.account());
    assert_eq!(folder.call(Some(&admin), "PUT", &password, Some(&json!({"password": PASSWORD}))).status / 100, 2);
    let wrong = json!({"account_id": folder.account(), "user_name": "admin", "password": "Correct2horse&"});
    assert_eq!(log_in(&folder, &wrong).status, 401);
    let right = json!({"account_id": folder.account(), "user_name": "admin", "password": PASSWORD});
    let issued = log_in(&folder, &right);
    assert_eq!(issued.status, 201, "{}", issued.body);
    let token = issued.text("/token");
    let with = |method: &str, path: &str, body: Option<&Json>, since: &Answer| {
        let revision = since.header("portcullis-committed-revision").unwrap();
        let lines = [format!("X-Auth-Token: {token}"), format!("Portcullis-Min-Revision: {revision}")];
        folder.call_with(None, method, path, body, &lines)
    };
    assert_eq!(verdict(&with("GET", "/v1/groups", None, &issued)), (200, "allow".to_owned()));
    let group = json!({"name": "operators", "description": null});
    assert_eq!(with("POST", "/v1/groups", Some(&group), &issued).status, 201);

    // From another address than this one; used and empty is what no route sets, but a list of others is.
    for (target, addresses) in [
        (format!("/portcullis/v1/users/{id}/console-access"), json!(["192.0.2.0/24"])),
        (format!("/portcullis/v1/accounts/{}/console-access", folder.account()), json!(["192.0.2.1"])),
    ] {
        let list = json!({"allowlist_enabled": true, "allowed_addresses": addresses, "lock_me_out": true});
        let set = folder.must(&admin, "PUT", &target, Some(&list), 200);
        assert_eq!(verdict(&with("GET", "/v1/groups", None, &set)), (403, "console_address_refused".to_owned()));
        assert_eq!(log_in(&folder, &right).status, 403);
        // Keys have a list of their own.
        folder.must(&admin, "GET", "/v1/groups", None, 200);
        if !target.contains("/accounts/") {
            let off = json!({"allowlist_enabled": false, "allowed_addresses": addresses});
            let off = folder.must(&admin, "PUT", &target, Some(&off), 200);
            assert_eq!(verdict(&with("GET", "/v1/groups", None, &off)), (200, "allow".to_owned()));
        }
    }

    let (_, log) = demo.end();
    assert!(!log.contains(&token) && !log.contains(PASSWORD) && !log.contains("ERROR"), "{log}");
    let config = folder.file("control.yaml");
    let done = Command::new(env!("CARGO_BIN_EXE_portcullis"))
        .args(["control", "recover", "--config", config.to_str().unwrap(), "--user", &id])
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let _demo = folder.demo();
    // At first the disk copy is in force, which is of before.
    wait("the way in", || {
        let answer = folder.call_with(None, "GET", "/v1/groups", None, &[format!("X-Auth-Token: {token}")]);
        (answer.status == 200).then_some(())
    });
    assert_eq!(log_in(&folder, &right).status, 201);
}
