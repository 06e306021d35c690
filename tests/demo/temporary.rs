//! Temporary keys from end to end: a passcode in the outbox, a key made with it, and all that ends it on the next request.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value as Json, json};

use super::harness::{Answer, Folder, Key};

/// The user whose key this is.
fn owner(folder: &Folder, key: &Key) -> String {
    folder.must(key, "GET", "/v1/access-keys", None, 200).text("/access_keys/0/created_by")
}

/// What was sent to a user last.
fn sent(folder: &Folder, user: &str) -> String {
    let file = folder.file("outbox").join(format!("{user}.json"));
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let said: Json = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    said["passcode"].as_str().unwrap().to_owned()
}

/// A request decided by the revision of `written` or a later one.
fn after(folder: &Folder, written: &Answer, key: &Key, path: &str) -> (u16, String) {
    let wanted = [format!("Portcullis-Min-Revision: {}", written.header("portcullis-committed-revision").unwrap())];
    let answer = folder.call_with(Some(key), "GET", path, None, &wanted);
    (answer.status, answer.header("portcullis-reason").unwrap_or_default().to_owned())
}

fn made(folder: &Folder, parent: &Key, user: &str) -> (Key, Answer) {
    folder.must(parent, "POST", "/v1/access-keys/send-otp", Some(&json!({"locale": "en_US", "method": "EMAIL"})), 204);
    let code = sent(folder, user);
    let body = json!({"access_key_type": "TEMPORARY", "parent_access_key_id": parent.id, "passcode": code, "duration": "PT1H"});
    let answer = folder.must(parent, "POST", "/v1/access-keys", Some(&body), 201);
    let key = Key { id: answer.text("/access_key/access_key"), secret: answer.text("/access_key/secret_key") };
    folder.settle(&key);
    (key, answer)
}

/// Somebody else who may do everything.
fn deputy(folder: &Folder, admin: &Key) -> Key {
    let document = json!({"Version": "2024-07-01", "Statement": [{"Sid": "All", "Effect": "Allow", "Action": ["*"], "Resource": ["*"]}]});
    let policy = json!({"policy_name": "deputy", "policy_version": {"policy_document": document}});
    let policy = folder.must(admin, "POST", "/v1/policies", Some(&policy), 201).text("/id");
    let person = json!({"user_name": "deputy", "password": "Fresh1&Secret", "policy_ids": [policy]});
    let user = folder.must(admin, "POST", &format!("/v1/accounts/{}/users", folder.account()), Some(&person), 201).text("/id");
    let body = json!({"access_key_type": "PERMANENT"});
    let made = folder.must(admin, "POST", &format!("/portcullis/v1/users/{user}/access-keys"), Some(&body), 201);
    let key = Key { id: made.text("/access_key/access_key"), secret: made.text("/access_key/secret_key") };
    folder.settle(&key);
    key
}

fn verdict(status: u16, reason: &str) -> (u16, String) {
    (status, reason.to_owned())
}

#[test]
fn a_temporary_key_is_used_instead_of_its_parent_and_ends_with_it() {
    let folder = Folder::new();
    let demo = folder.demo();
    let admin = folder.key("ADMIN");
    let users = folder.must(&admin, "GET", &format!("/v1/accounts/{}/users?user_name=admin", folder.account()), None, 200);
    let user = users.text("/users/0/id");
    assert_eq!(owner(&folder, &admin), "system");
    // A second permanent key, so that somebody can still switch things.
    let second = folder.must(&admin, "POST", "/v1/access-keys", Some(&json!({"access_key_type": "PERMANENT"})), 201);
    let second = Key { id: second.text("/access_key/access_key"), secret: second.text("/access_key/secret_key") };
    folder.settle(&second);
    let deputy = deputy(&folder, &second);
    let (child, written) = made(&folder, &admin, &user);
    assert_eq!(after(&folder, &written, &child, "/v1/groups"), verdict(200, "allow"));
    // A token of it is as good as it is.
    let token = folder.must(&child, "POST", "/portcullis/v1/tokens", Some(&json!({})), 201).text("/token");

    // Which kind of key may be used.
    let setting = format!("/portcullis/v1/users/{user}/key-security");
    let chosen = |method: &str| json!({"authentication_method": method, "allowlist_enabled": false, "allowed_addresses": []});
    let only_temporary = folder.must(&second, "PUT", &setting, Some(&chosen("TemporaryKey")), 200);
    assert_eq!(after(&folder, &only_temporary, &admin, "/v1/groups"), verdict(403, "method_not_permitted"));
    assert_eq!(after(&folder, &only_temporary, &child, "/v1/groups"), verdict(200, "allow"));
    let (another, _) = made(&folder, &admin, &user);
    let permanent = folder.must(&admin, "POST", "/v1/access-keys", Some(&json!({"access_key_type": "PERMANENT"})), 403);
    assert!(permanent.body.contains("key security setting"), "{}", permanent.body);
    // Nobody lets their own keys loose with a temporary one; somebody else does.
    folder.must(&child, "PUT", &setting, Some(&chosen("AuthenticationKey")), 403);
    let only_permanent = folder.must(&deputy, "PUT", &setting, Some(&chosen("AuthenticationKey")), 200);
    assert_eq!(after(&folder, &only_permanent, &child, "/v1/groups"), verdict(403, "method_not_permitted"));
    let any = folder.must(&second, "PUT", &setting, Some(&chosen("Any")), 200);
    assert_eq!(after(&folder, &any, &another, "/v1/groups"), verdict(200, "allow"));

    // The parent is switched off, and on again, and removed.
    let parent = format!("/v1/access-keys/{}", admin.id);
    let off = folder.must(&second, "PUT", &parent, Some(&json!({"is_enabled": false})), 200);
    assert_eq!(after(&folder, &off, &child, "/v1/groups"), verdict(401, "credential_disabled"));
    let by_token = |written: &Answer| {
        let revision = written.header("portcullis-committed-revision").unwrap();
        let lines = [format!("X-Auth-Token: {token}"), format!("Portcullis-Min-Revision: {revision}")];
        let answer = folder.call_with(None, "GET", "/v1/groups", None, &lines);
        (answer.status, answer.header("portcullis-reason").unwrap_or_default().to_owned())
    };
    assert_eq!(by_token(&off), verdict(401, "credential_disabled"));
    let on = folder.must(&second, "PUT", &parent, Some(&json!({"is_enabled": true})), 200);
    assert_eq!((after(&folder, &on, &child, "/v1/groups"), by_token(&on)), (verdict(200, "allow"), verdict(200, "allow")));
    folder.must(&second, "PUT", &parent, Some(&json!({"is_enabled": false})), 200);
    let gone = folder.must(&second, "DELETE", &parent, None, 204);
    assert_eq!(after(&folder, &gone, &second, "/v1/groups"), verdict(200, "allow"));
    assert_eq!(after(&folder, &gone, &child, "/v1/groups"), verdict(401, "signature_mismatch"));
    assert_eq!(by_token(&gone), verdict(401, "token_invalid"));

    let (_, log) = demo.end();
    assert!(!log.contains(&sent(&folder, &user)) && !log.contains("ERROR"), "{log}");
}
