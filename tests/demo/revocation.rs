//! What is taken away is gone with the next request after the gateway has heard of it, also for tokens that it has seen before.

use serde_json::{Value as Json, json};

use super::harness::{Answer, Folder, Key};

/// A user of a group that may list groups, with a key and a token that has been used.
struct Member {
    user: String,
    key: Key,
    token: String,
    group: String,
}

impl Member {
    fn new(folder: &Folder, admin: &Key) -> Self {
        let users = format!("/v1/accounts/{}/users", folder.account());
        let user = folder.must(admin, "POST", &users, Some(&json!({"user_name": "member", "password": "Correct1horse&"})), 201).text("/id");
        let keys = format!("/portcullis/v1/users/{user}/access-keys");
        let made = folder.must(admin, "POST", &keys, Some(&json!({"access_key_type": "PERMANENT"})), 201);
        let key = Key { id: made.text("/access_key/access_key"), secret: made.text("/access_key/secret_key") };
        let statement = json!({"Sid": "a", "Effect": "Allow", "Action": ["iam:ListGroups", "iam:CreateToken"], "Resource": ["*"]});
        let document = json!({"Version": "2024-07-01", "Statement": [statement]});
        let policy = json!({"policy_name": "listing", "policy_version": {"policy_document": document}});
        let policy = folder.must(admin, "POST", "/v1/policies", Some(&policy), 201).text("/id");
        let group = json!({"name": "members", "description": null, "user_ids": [user], "policy_ids": [policy]});
        let group = folder.must(admin, "POST", "/v1/groups", Some(&group), 201);
        let mut member = Self { user, key, token: String::new(), group: group.text("/group/id") };
        member.sign_in(folder, &group);
        member
    }

    /// Gets a token, and uses it on every worker.
    fn sign_in(&mut self, folder: &Folder, since: &Answer) {
        let issued = folder.call_with(Some(&self.key), "POST", "/portcullis/v1/tokens", Some(&json!({})), &[wanted(since)]);
        assert_eq!(issued.status, 201, "{}", issued.body);
        self.token = issued.text("/token");
        for _ in 0..16 {
            assert_eq!(self.by_token(folder, &issued), (200, "allow".to_owned()));
        }
    }

    fn by_token(&self, folder: &Folder, since: &Answer) -> (u16, String) {
        let lines = [wanted(since), format!("X-Auth-Token: {}", self.token)];
        verdict(&folder.call_with(None, "GET", "/v1/groups", None, &lines))
    }

    fn by_key(&self, folder: &Folder, since: &Answer) -> (u16, String) {
        verdict(&folder.call_with(Some(&self.key), "GET", "/v1/groups", None, &[wanted(since)]))
    }
}

fn wanted(written: &Answer) -> String {
    format!("Portcullis-Min-Revision: {}", written.header("portcullis-committed-revision").unwrap())
}

fn verdict(answer: &Answer) -> (u16, String) {
    (answer.status, answer.header("portcullis-reason").unwrap_or_default().to_owned())
}

fn is(status: u16, reason: &str) -> (u16, String) {
    (status, reason.to_owned())
}

#[test]
fn removing_a_member_takes_rights_and_tokens_with_the_next_request() {
    let folder = Folder::new();
    let _demo = folder.demo();
    let admin = folder.key("ADMIN");
    let mut member = Member::new(&folder, &admin);
    let members = format!("/v1/groups/{}/members", member.group);
    let removed = folder.must(&admin, "DELETE", &format!("{members}/{}", member.user), None, 204);
    assert_eq!(member.by_token(&folder, &removed), is(401, "token_invalid"));
    assert_eq!(member.by_key(&folder, &removed), is(403, "implicit_deny"));
    // Back in the group, a new token is good and the old one is not.
    let old = member.token.clone();
    let back = folder.must(&admin, "POST", &members, Some(&json!({"user_id": member.user})), 200);
    assert_eq!(member.by_token(&folder, &back), is(401, "token_invalid"));
    member.sign_in(&folder, &back);
    assert_ne!(member.token, old);
    let ended = folder.must(&admin, "DELETE", &format!("/portcullis/v1/users/{}/tokens", member.user), None, 204);
    assert_eq!((member.by_token(&folder, &ended), member.by_key(&folder, &ended)), (is(401, "token_invalid"), is(200, "allow")));
    member.sign_in(&folder, &ended);
    let gone = folder.must(&admin, "DELETE", &format!("/v1/groups/{}", member.group), None, 204);
    assert_eq!((member.by_token(&folder, &gone), member.by_key(&folder, &gone)), (is(401, "token_invalid"), is(403, "implicit_deny")));
}

#[test]
fn disabling_a_key_takes_it_and_its_tokens_with_the_next_request() {
    let folder = Folder::new();
    let _demo = folder.demo();
    let admin = folder.key("ADMIN");
    let member = Member::new(&folder, &admin);
    let key = format!("/portcullis/v1/users/{}/access-keys/{}", member.user, member.key.id);
    for (enabled, expected) in [(false, is(401, "credential_disabled")), (true, is(200, "allow")), (false, is(401, "credential_disabled"))]
    {
        let set = folder.must(&admin, "PUT", &key, Some(&json!({"is_enabled": enabled})), 200);
        assert_eq!((member.by_token(&folder, &set), member.by_key(&folder, &set)), (expected.clone(), expected));
    }
    let deleted = folder.must(&admin, "DELETE", &key, None, 204);
    let admins = folder.call_with(Some(&admin), "GET", "/v1/groups", None, &[wanted(&deleted)]);
    assert_eq!(verdict(&admins), is(200, "allow"));
    assert_eq!(
        (member.by_token(&folder, &deleted), member.by_key(&folder, &deleted)),
        (is(401, "token_invalid"), is(401, "signature_mismatch"))
    );
}

#[test]
fn changing_an_allowlist_counts_for_keys_and_tokens_with_the_next_request() {
    let folder = Folder::new();
    let _demo = folder.demo();
    let admin = folder.key("ADMIN");
    let member = Member::new(&folder, &admin);
    let setting = format!("/portcullis/v1/users/{}/key-security", member.user);
    let list = |enabled: bool, addresses: Json| json!({"allowlist_enabled": enabled, "allowed_addresses": addresses});
    for (body, expected) in [
        (list(true, json!(["192.0.2.0/24"])), is(403, "key_address_refused")),
        (list(true, json!(["192.0.2.0/24", "127.0.0.1"])), is(200, "allow")),
        (list(true, json!([])), is(403, "key_address_refused")),
        (list(false, json!([])), is(200, "allow")),
        (list(false, json!(["192.0.2.1"])), is(200, "allow")),
    ] {
        let set = folder.must(&admin, "PUT", &setting, Some(&body), 200);
        assert_eq!((member.by_token(&folder, &set), member.by_key(&folder, &set)), (expected.clone(), expected), "{body}");
    }
}
