//! What works on the store itself: somebody locked out is let in, and a restored backup begins a new epoch.

use std::path::Path;
use std::process::Command;

use serde_json::json;

use super::harness::{Folder, Key, wait};

fn recover(folder: &Folder, arguments: &[&str]) -> (bool, String) {
    let config = folder.file("control.yaml");
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    let done = command.args(["control", "recover", "--config", config.to_str().unwrap()]).args(arguments).output().unwrap();
    (done.status.success(), String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr))
}

fn key_of(file: &Path) -> Key {
    let text = std::fs::read_to_string(file).unwrap();
    let value = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned();
    Key { id: value("access-key:"), secret: value("secret-key:") }
}

#[test]
fn whoever_locked_everybody_out_is_let_in_by_the_store() {
    let folder = Folder::new();
    let demo = folder.demo();
    let admin = folder.key("ADMIN");
    let me = folder.must(&admin, "GET", &format!("/v1/access-keys/{}", admin.id), None, 200).text("/access_key/created_by");
    let users = folder.must(&admin, "GET", &format!("/v1/accounts/{}/users?user_name=admin", folder.account()), None, 200);
    let id = users.text("/users/0/id");
    let nowhere = json!({"allowlist_enabled": true, "allowed_addresses": [], "lock_me_out": true});
    let done = folder.must(&admin, "PUT", &format!("/portcullis/v1/users/{id}/key-security"), Some(&nowhere), 200);
    assert!(done.body.contains("warnings") && !me.is_empty());
    wait("the lock", || {
        (folder.call(Some(&admin), "GET", "/v1/groups", None).header("portcullis-reason") == Some("key_address_refused")).then_some(())
    });
    assert!(!recover(&folder, &["--user", &id]).0, "the store is in use");
    drop(demo.end());

    let file = folder.file("new.yaml");
    let (good, said) = recover(&folder, &["--user", &id, "--credential-file", file.to_str().unwrap()]);
    assert!(good && said.contains("is active, from every address"), "{said}");
    let (good, said) = recover(&folder, &["--user", &id, "--credential-file", folder.file("third.yaml").to_str().unwrap()]);
    assert!(!good && said.contains("--remove-key") && !folder.file("third.yaml").exists(), "{said}");
    let (good, said) = recover(&folder, &["--user", "0123456789abcdef0123456789abcdef"]);
    assert!(!good && said.contains("there is no user"), "{said}");

    let _demo = folder.demo();
    for key in [admin, key_of(&file)] {
        // At first the disk copy is in force, which is of before.
        wait("the way in", || (folder.call(Some(&key), "GET", "/v1/groups", None).status == 200).then_some(()));
    }
}

#[test]
fn a_store_in_which_nobody_is_feeds_no_gateway() {
    let folder = Folder::new();
    drop(folder.demo().end());
    let config = folder.file("control.yaml");
    let text = std::fs::read_to_string(&config).unwrap();
    assert_eq!(text.matches("portcullis.db").count(), 1, "{text}");
    std::fs::write(&config, text.replace("portcullis.db", "portculis.db")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    let done = command.args(["control", "--config", config.to_str().unwrap()]).output().unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(!done.status.success() && said.contains("portculis.db` has no account") && said.contains("control bootstrap"), "{said}");
}

#[test]
fn a_restored_backup_is_refused_until_it_begins_a_new_epoch() {
    let folder = Folder::new();
    drop(folder.demo().end());
    let database = folder.file("portcullis.db");
    let backup = std::fs::read(&database).unwrap();
    let demo = folder.demo();
    let admin = folder.key("ADMIN");
    let made = folder.must(&admin, "POST", "/v1/groups", Some(&json!({"name": "later", "description": null})), 201);
    // The gateway has to have been further than the backup.
    let wanted = [format!("Portcullis-Min-Revision: {}", made.header("portcullis-committed-revision").unwrap())];
    wait("the change", || (folder.call_with(Some(&admin), "GET", "/v1/groups", None, &wanted).status == 200).then_some(()));
    drop(demo.end());

    for name in ["portcullis.db-wal", "portcullis.db-shm"] {
        let _ = std::fs::remove_file(folder.file(name));
    }
    std::fs::write(&database, backup).unwrap();
    let (control, gateway) = (folder.control(), folder.gateway());
    wait("the refusal", || (!folder.metrics().contains("portcullis_feed_refused_steps_total 0")).then_some(()));
    let before = folder.must(&admin, "GET", "/v1/groups", None, 200).header("portcullis-revision").unwrap().to_owned();
    drop(control.end());

    let (good, said) = recover(&folder, &["--new-epoch"]);
    assert!(good && said.starts_with("epoch"), "{said}");
    let _control = folder.control();
    let after = wait("the new epoch", || {
        let answer = folder.call(Some(&admin), "GET", "/v1/groups", None);
        let revision = answer.header("portcullis-revision")?.to_owned();
        (answer.status == 200 && revision != before).then_some((answer, revision))
    });
    let epoch = |revision: &str| revision.split_once('.').unwrap().0.parse::<u64>().unwrap();
    assert!(epoch(&after.1) > epoch(&before));
    assert_eq!(after.0.json()["count"], 0);
    drop(gateway);
}
