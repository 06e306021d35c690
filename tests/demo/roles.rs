//! Roles from end to end: taken over HTTP, used with the vendor's signatures and with AWS ones, narrowed, taken by another role, and all
//! that ends their sessions.

use std::process::Command;

use serde_json::{Value as Json, json};

use super::harness::{Answer, Folder, Key, wait};

/// A session of a role.
struct Session {
    key: Key,
    token: String,
    srn: String,
}

fn everybody(account: &str) -> String {
    format!("srn:e::{account}:::scp-iam:root")
}

fn document(effect: &str, actions: &[&str]) -> Json {
    json!({"Version": "2024-07-01", "Statement": [{"Effect": effect, "Action": actions, "Resource": ["*"]}]})
}

fn policy(folder: &Folder, key: &Key, name: &str, actions: &[&str]) -> String {
    let body = json!({"policy_name": name, "policy_version": {"policy_document": document("Allow", actions)}});
    folder.must(key, "POST", "/v1/policies", Some(&body), 201).text("/id")
}

/// A new role, which the gateway knows when this returns.
fn role(folder: &Folder, key: &Key, name: &str, trusted: &str, policies: &[&str]) -> String {
    let trust = json!({"Version": "2024-07-01", "Statement": [{
        "Effect": "Allow", "Principal": {"scp": [trusted]}, "Action": ["sts:AssumeRole"], "Resource": ["*"],
    }]});
    let body = json!({"name": name, "assume_role_policy_document": trust, "policy_ids": policies});
    let made = folder.must(key, "POST", "/v1/roles", Some(&body), 202);
    assert_eq!(folder.call_with(Some(key), "GET", "/v1/roles", None, &[known(&made)]).status, 200);
    made.text("/role/id")
}

/// The header by which a gateway waits until it knows what was written.
fn known(written: &Answer) -> String {
    format!("Portcullis-Min-Revision: {}", written.header("portcullis-committed-revision").unwrap())
}

fn asked(account: &str, role: &str, more: &Json) -> Json {
    let mut body = json!({"role_session_name": "ci", "role_indicator": format!("e:{account}:{role}"), "duration_seconds": 3600});
    body.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
    body
}

fn taken(answer: &Answer) -> Session {
    assert_eq!(answer.status, 200, "{}", answer.body);
    let credentials = |name: &str| answer.text(&format!("/credentials/{name}"));
    let key = Key { id: credentials("access_key_id"), secret: credentials("secret_access_key") };
    Session { key, token: credentials("session_token"), srn: answer.text("/assumed_role_user/srn") }
}

fn take(folder: &Folder, key: &Key, account: &str, role: &str, more: &Json) -> Session {
    taken(&folder.call(Some(key), "POST", "/v1/assume-role", Some(&asked(account, role, more))))
}

impl Session {
    fn call(&self, folder: &Folder, method: &str, path: &str, body: Option<&Json>) -> Answer {
        folder.call_with(Some(&self.key), method, path, body, &[format!("X-Auth-Token: {}", self.token)])
    }

    /// The verdict on a request.
    fn verdict(&self, folder: &Folder, method: &str, path: &str, body: Option<&Json>) -> (u16, String) {
        verdict(&self.call(folder, method, path, body))
    }

    /// The verdict on a request that is decided by what was written, or by what came after.
    fn after(&self, folder: &Folder, written: &Answer) -> (u16, String) {
        let lines = [format!("X-Auth-Token: {}", self.token), known(written)];
        verdict(&folder.call_with(Some(&self.key), "GET", "/v1/groups", None, &lines))
    }
}

fn verdict(answer: &Answer) -> (u16, String) {
    (answer.status, answer.header("portcullis-reason").unwrap_or_default().to_owned())
}

fn is(status: u16, reason: &str) -> (u16, String) {
    (status, reason.to_owned())
}

#[test]
fn a_role_is_taken_and_used_with_the_vendors_signatures() {
    let folder = Folder::new();
    let _demo = folder.demo();
    let (admin, account) = (folder.key("ADMIN"), folder.account());
    let looking = policy(&folder, &admin, "looking", &["iam:*[List,Read]"]);
    let id = role(&folder, &admin, "auditor", &everybody(&account), &[&looking]);
    let session = take(&folder, &admin, &account, "auditor", &json!({}));
    assert_eq!(session.srn, format!("srn:e::{account}:::scp-iam:role/{id}"));

    // The role's rights, and not those of who took it.
    let new = json!({"name": "by-role", "description": null});
    assert_eq!(session.verdict(&folder, "GET", "/v1/groups", None), is(200, "allow"));
    assert_eq!(session.verdict(&folder, "POST", "/v1/groups", Some(&new)), is(403, "implicit_deny"));
    folder.must(&admin, "POST", "/v1/groups", Some(&new), 201);

    // Neither half is a credential, and a token goes with its own key.
    let other = take(&folder, &admin, &account, "auditor", &json!({}));
    let with =
        |key: Option<&Key>, token: &str| verdict(&folder.call_with(key, "GET", "/v1/groups", None, &[format!("X-Auth-Token: {token}")]));
    let forged = Key { secret: other.key.secret.clone(), ..session.key.clone() };
    assert_eq!(with(None, &session.token), is(401, "token_invalid"));
    assert_eq!(verdict(&folder.call(Some(&session.key), "GET", "/v1/groups", None)), is(401, "signature_mismatch"));
    assert_eq!(with(Some(&session.key), &other.token), is(401, "session_token_invalid"));
    assert_eq!(with(Some(&admin), &session.token), is(401, "session_token_invalid"));
    assert_eq!(with(Some(&forged), &session.token), is(401, "signature_mismatch"));

    // Records say which role it was, and by which session.
    let record = wait("the record", || {
        let text = std::fs::read_to_string(folder.file("decisions.jsonl")).unwrap();
        text.lines().find(|line| line.contains(&session.key.id) && line.contains("\"allow\"")).map(str::to_owned)
    });
    let record: Json = serde_json::from_str(&record).unwrap();
    assert_eq!((&record["principal"], &record["authentication_type"]), (&json!(session.srn), &json!("RoleSession")));
    assert!(record.to_string().contains("\"ci\""), "{record}");
    assert!(!record.to_string().contains(&session.key.secret) && !record.to_string().contains(&session.token));
}

/// Prints a line for each call, status and reason, after the version.
const BOTO: &str = r#"
import sys, boto3, botocore
from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.httpsession import URLLib3Session

url, key, secret, token, other = sys.argv[1:]
print("boto3", boto3.__version__, "botocore", botocore.__version__)

def call(auth, method, path, data=None, headers={}):
    request = AWSRequest(method=method, url=url + path, data=data, headers=dict(headers))
    auth.add_auth(request)
    answer = URLLib3Session().send(request.prepare())
    print(answer.status_code, answer.headers.get("portcullis-reason"))

def header(token): return SigV4Auth(Credentials(key, secret, token), "iam", "kr-west1")
def query(token): return SigV4QueryAuth(Credentials(key, secret, token), "iam", "kr-west1", expires=60)

call(header(token), "GET", "/v1/groups")
call(query(token), "GET", "/v1/groups?size=20")
call(header(token), "POST", "/v1/groups", '{"name":"third","description":null}', {"content-type": "application/json"})
call(header(other), "GET", "/v1/groups")
call(query(other), "GET", "/v1/groups")
call(header(None), "GET", "/v1/groups")
"#;

#[test]
fn a_role_is_used_with_aws_signatures() {
    let folder = Folder::new();
    let _demo = folder.demo();
    let (admin, account) = (folder.key("ADMIN"), folder.account());
    let looking = policy(&folder, &admin, "looking", &["iam:*[List,Read]"]);
    role(&folder, &admin, "auditor", &everybody(&account), &[&looking]);
    let (one, other) = (take(&folder, &admin, &account, "auditor", &json!({})), take(&folder, &admin, &account, "auditor", &json!({})));
    let url = format!("http://{}", folder.addresses.gateway);

    let token = |session: &Session| format!("X-Amz-Security-Token: {}", session.token);
    for (token, expected) in
        [(Some(token(&one)), "200 allow"), (Some(token(&other)), "401 session_token_invalid"), (None, "401 signature_mismatch")]
    {
        let mut curl = Command::new("curl");
        curl.args(["-s", "-o", "/dev/null", "-w", "%{http_code} %header{portcullis-reason}", "--aws-sigv4", "aws:amz:kr-west1:iam"]);
        curl.args(["-u", &format!("{}:{}", one.key.id, one.key.secret)]);
        if let Some(token) = &token {
            curl.args(["-H", token]);
        }
        let done = curl.arg(format!("{url}/v1/groups")).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&done.stdout), expected);
    }

    let python = |code: &str| Command::new("python3").args(["-c", code]).output().is_ok_and(|done| done.status.success());
    if !python("import boto3") {
        assert!(std::env::var_os("CI").is_none(), "boto3 is needed");
        eprintln!("\n*** NOT RUN: boto3's sessions; `python3` has no boto3 ***\n");
        return;
    }
    let done = Command::new("python3").args(["-c", BOTO, &url, &one.key.id, &one.key.secret, &one.token, &other.token]).output().unwrap();
    let printed = String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr);
    let lines: Vec<&str> = printed.lines().collect();
    let expected =
        ["200 allow", "200 allow", "403 implicit_deny", "401 session_token_invalid", "401 session_token_invalid", "401 signature_mismatch"];
    assert_eq!(lines[1..], expected, "{printed}");
}

#[test]
fn a_session_is_narrowed_and_never_widened_also_by_way_of_another_role() {
    let folder = Folder::new();
    let _demo = folder.demo();
    let (admin, account) = (folder.key("ADMIN"), folder.account());
    let (everything, looking) = (policy(&folder, &admin, "everything", &["*"]), policy(&folder, &admin, "looking", &["iam:*[List,Read]"]));
    role(&folder, &admin, "mighty", &everybody(&account), &[&everything]);
    role(&folder, &admin, "auditor", &everybody(&account), &[&looking]);
    let new = |name: &str| json!({"name": name, "description": null});
    let lists = json!({"policy": document("Allow", &["iam:ListGroups"])});
    let narrowed = take(&folder, &admin, &account, "mighty", &lists);
    assert_eq!(narrowed.verdict(&folder, "GET", "/v1/groups", None), is(200, "allow"));
    assert_eq!(narrowed.verdict(&folder, "GET", "/v1/roles", None), is(403, "implicit_deny"));
    assert_eq!(narrowed.verdict(&folder, "POST", "/v1/groups", Some(&new("narrow"))), is(403, "implicit_deny"));
    // A policy of everything gives nothing that the role has not.
    let wide = take(&folder, &admin, &account, "auditor", &json!({"policy": document("Allow", &["*"])}));
    assert_eq!(wide.verdict(&folder, "GET", "/v1/roles", None), is(200, "allow"));
    assert_eq!(wide.verdict(&folder, "POST", "/v1/groups", Some(&new("wide"))), is(403, "implicit_deny"));
    let denying = json!({"policy": {"Version": "2024-07-01", "Statement": [
        {"Effect": "Allow", "Action": ["*"], "Resource": ["*"]}, {"Effect": "Deny", "Action": ["iam:ListRoles"], "Resource": ["*"]},
    ]}});
    let denied = take(&folder, &admin, &account, "mighty", &denying);
    assert_eq!(denied.verdict(&folder, "GET", "/v1/roles", None), is(403, "explicit_deny"));
    assert_eq!(denied.verdict(&folder, "GET", "/v1/groups", None), is(200, "allow"));

    // What narrows one session narrows which roles it takes.
    let next = asked(&account, "mighty", &json!({}));
    let refused = narrowed.call(&folder, "POST", "/v1/assume-role", Some(&next));
    assert_eq!(refused.status, 403);
    assert!(refused.body.contains("your policies do not allow `sts:AssumeRole`"), "{}", refused.body);
    assert_eq!(wide.call(&folder, "POST", "/v1/assume-role", Some(&next)).status, 403);
    let chained = taken(&denied.call(&folder, "POST", "/v1/assume-role", Some(&asked(&account, "auditor", &json!({})))));
    assert_eq!(chained.verdict(&folder, "GET", "/v1/roles", None), is(200, "allow"));
    assert_eq!(chained.verdict(&folder, "POST", "/v1/groups", Some(&new("chained"))), is(403, "implicit_deny"));
    assert_eq!(chained.verdict(&folder, "GET", "/v1/access-keys", None).0, 403, "a role has no keys of its own");
}

#[test]
fn another_account_comes_in_by_a_role_and_only_so() {
    let folder = Folder::new();
    let _demo = folder.demo();
    let (admin, other, account) = (folder.key("ADMIN"), folder.key("OTHER"), folder.account());
    let theirs = folder.must(&other, "GET", "/v1/policies?size=1&policy_type=USER_DEFINED", None, 200);
    assert_eq!(theirs.json()["count"], 0);
    let their_account = folder.must(&other, "POST", "/v1/groups", Some(&json!({"name": "theirs", "description": null})), 201);
    let their_account = their_account.text("/group/srn").split(':').nth(3).unwrap().to_owned();
    assert_ne!(their_account, account);
    let group = folder.must(&admin, "POST", "/v1/groups", Some(&json!({"name": "ours", "description": null})), 201).text("/group/id");
    let looking = policy(&folder, &admin, "looking", &["iam:*[List,Read]"]);
    role(&folder, &admin, "shared", &everybody(&their_account), &[&looking]);
    role(&folder, &admin, "private", &everybody(&account), &[&looking]);

    assert_eq!(folder.call(Some(&other), "GET", &format!("/v1/groups/{group}"), None).status, 404);
    let session = take(&folder, &other, &account, "shared", &json!({}));
    let shown = session.call(&folder, "GET", &format!("/v1/groups/{group}"), None);
    assert_eq!((shown.status, shown.text("/group/name")), (200, "ours".to_owned()));
    assert_eq!(session.verdict(&folder, "DELETE", &format!("/v1/groups/{group}"), None), is(403, "implicit_deny"));
    let refusals = ["private", "none"].map(|role| {
        let answer = folder.call(Some(&other), "POST", "/v1/assume-role", Some(&asked(&account, role, &json!({}))));
        (answer.status, answer.text("/errors/0/detail").replace(role, "ROLE"))
    });
    assert_eq!(refusals[0].0, 403);
    assert_eq!(refusals[0], refusals[1]);
    // The administrator is not of the account that the role trusts.
    assert_eq!(folder.call(Some(&admin), "POST", "/v1/assume-role", Some(&asked(&account, "shared", &json!({})))).status, 403);
}

#[test]
fn a_session_ends_on_the_next_request_with_all_that_it_depends_on() {
    let folder = Folder::new();
    let _demo = folder.demo();
    let (admin, account) = (folder.key("ADMIN"), folder.account());
    let everything = policy(&folder, &admin, "everything", &["*"]);
    let users = format!("/v1/accounts/{account}/users");
    let person = json!({"user_name": "helper", "password": "Correct1horse&", "policy_ids": [everything]});
    let helper = folder.must(&admin, "POST", &users, Some(&person), 201).text("/id");
    let made = json!({"access_key_type": "PERMANENT"});
    let made = folder.must(&admin, "POST", &format!("/portcullis/v1/users/{helper}/access-keys"), Some(&made), 201);
    let key = Key { id: made.text("/access_key/access_key"), secret: made.text("/access_key/secret_key") };
    folder.settle(&key);
    let trusted = everybody(&account);
    let ids = ["ended", "deleted", "kept"].map(|name| role(&folder, &admin, name, &trusted, &[&everything]));
    let [ended, deleted, kept] = ["ended", "deleted", "kept"].map(|name| take(&folder, &key, &account, name, &json!({})));
    for session in [&ended, &deleted, &kept] {
        assert_eq!(session.verdict(&folder, "GET", "/v1/groups", None), is(200, "allow"));
    }

    let written = folder.must(&admin, "DELETE", &format!("/portcullis/v1/roles/{}/sessions", ids[0]), None, 204);
    assert_eq!(ended.after(&folder, &written), is(401, "session_token_invalid"));
    assert_eq!(deleted.after(&folder, &written), is(200, "allow"));
    let again = take(&folder, &key, &account, "ended", &json!({}));
    assert_eq!(again.verdict(&folder, "GET", "/v1/groups", None), is(200, "allow"));

    let written = folder.must(&admin, "DELETE", &format!("/v1/roles/{}", ids[1]), None, 204);
    assert_eq!(deleted.after(&folder, &written), is(401, "owner_inactive"));

    // Losing the policy that gives it takes effect at once; so does switching off the user who took the role.
    let written = folder.must(&admin, "DELETE", &format!("/v1/roles/{}/policy-bindings/{everything}", ids[0]), None, 204);
    assert_eq!(again.after(&folder, &written), is(403, "implicit_deny"));
    assert_eq!(kept.after(&folder, &written), is(200, "allow"));
    let off = json!({"password_reuse_count": 1, "state": "INACTIVE"});
    let written = folder.must(&admin, "PUT", &format!("{users}/{helper}"), Some(&off), 200);
    assert_eq!(kept.after(&folder, &written).0, 401);
    let on = json!({"password_reuse_count": 1, "state": "ACTIVE"});
    let written = folder.must(&admin, "PUT", &format!("{users}/{helper}"), Some(&on), 200);
    assert_eq!(kept.after(&folder, &written).0, 401, "what has ended does not come back");
    let fresh = take(&folder, &key, &account, "kept", &json!({}));
    assert_eq!(fresh.verdict(&folder, "GET", "/v1/groups", None), is(200, "allow"));
}
