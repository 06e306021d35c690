//! AWS signatures as real clients make them, to the IAM API of the demo: curl, and boto3 where it is installed.

use std::process::Command;

use serde_json::json;

use super::harness::{Folder, Key, Program};

/// A demo, with one group in it.
fn demo() -> (Folder, Program, Key) {
    let folder = Folder::new();
    let demo = folder.demo();
    let admin = folder.key("ADMIN");
    folder.must(&admin, "POST", "/v1/groups", Some(&json!({"name": "operators", "description": null})), 201);
    folder.settle(&admin);
    (folder, demo, admin)
}

/// Runs a program; what it printed.
fn run(command: &mut Command) -> String {
    let done = command.output().unwrap();
    String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr)
}

#[test]
fn curl_signs_for_the_demo() {
    let (folder, _demo, admin) = demo();
    let version = run(Command::new("curl").arg("--version"));
    let url = format!("http://{}", folder.addresses.gateway);
    let mut wrong = Vec::new();
    let (good, bad) = (format!("{}:{}", admin.id, admin.secret), format!("{}:wrong", admin.id));
    let create = ["-X", "POST", "-H", "content-type: application/json", "-d", r#"{"name":"second","description":null}"#];
    for (user, scope, path, more, expected) in [
        (&good, "aws:amz:kr-west1:iam", "/v1/groups", &[][..], "200 "),
        (&good, "aws:amz:us-east-1:iam", "/v1/groups?page=0&size=20", &[], "200 "),
        (&good, "aws:amz:us-east-1:iam", "/v1/groups", &create, "201 "),
        (&good, "aws:amz:us-east-1:s3", "/v1/groups", &[], "401 credential_malformed"),
        (&bad, "aws:amz:us-east-1:iam", "/v1/groups", &[], "401 signature_mismatch"),
    ] {
        let mut curl = Command::new("curl");
        curl.args(["-s", "-o", "/dev/null", "-w", "%{http_code} %header{portcullis-reason}", "--aws-sigv4", scope, "-u", user]);
        let printed = run(curl.args(more).arg(format!("{url}{path}")));
        if !printed.starts_with(expected) {
            wrong.push(format!("{scope} {path}: {printed} instead of {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{version}\n{}", wrong.join("\n"));
    assert_eq!(folder.must(&admin, "GET", "/v1/groups", None, 200).json()["count"], 2);
}

/// Prints a line for each call, status and reason, after the version.
const BOTO: &str = r#"
import sys, boto3, botocore
from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from botocore.parsers import ResponseParserError
from botocore.httpsession import URLLib3Session

url, key, secret = sys.argv[1:]
print("boto3", boto3.__version__, "botocore", botocore.__version__)
keys = Credentials(key, secret)

def call(auth, method, path, data=None, headers={}):
    request = AWSRequest(method=method, url=url + path, data=data, headers=dict(headers))
    auth.add_auth(request)
    answer = URLLib3Session().send(request.prepare())
    print(answer.status_code, answer.headers.get("portcullis-reason"))

def header(): return SigV4Auth(keys, "iam", "kr-west1")
def query(expires=60): return SigV4QueryAuth(keys, "iam", "kr-west1", expires=expires)

json = {"content-type": "application/json", "accept": "*/*"}
call(header(), "GET", "/v1/groups")
call(header(), "GET", "/v1/groups?sort=created_at%3Adesc&size=20&page=0")
call(header(), "GET", "/v1/groups/a%20b%2Fc%ED%95%9C")
call(header(), "POST", "/v1/groups", '{"name":"third","description":null}', json)
call(query(), "GET", "/v1/groups?size=20")
call(query(604800), "GET", "/v1/groups")
call(SigV4Auth(Credentials(key, "wrong"), "iam", "kr-west1"), "GET", "/v1/groups")
call(SigV4QueryAuth(Credentials(key, secret, "token"), "iam", "kr-west1"), "GET", "/v1/groups")
call(SigV4Auth(keys, "s3", "kr-west1"), "GET", "/v1/groups")

# A whole client: its actions are not ours, but who signed is known.
client = boto3.client("iam", endpoint_url=url, region_name="kr-west1", aws_access_key_id=key, aws_secret_access_key=secret,
    config=botocore.config.Config(retries={"max_attempts": 0}))
def seen(response_dict, **_): print(response_dict["status_code"], response_dict["headers"].get("portcullis-reason"))
client.meta.events.register("before-parse.iam", seen)
try:
    client.list_users()
except (ClientError, ResponseParserError):
    pass
"#;

#[test]
fn boto3_signs_for_the_demo() {
    let python = |code: &str| Command::new("python3").args(["-c", code]).output().is_ok_and(|done| done.status.success());
    if !python("import boto3") {
        assert!(std::env::var_os("CI").is_none(), "boto3 is needed");
        eprintln!("\n*** NOT RUN: boto3's signatures; `python3` has no boto3 ***\n");
        return;
    }
    let (folder, _demo, admin) = demo();
    let url = format!("http://{}", folder.addresses.gateway);
    let printed = run(Command::new("python3").args(["-c", BOTO, &url, &admin.id, &admin.secret]));
    let lines: Vec<&str> = printed.lines().collect();
    assert_eq!(
        lines[1..],
        [
            "200 allow",
            "200 allow",
            "404 allow",
            "201 allow",
            "200 allow",
            "200 allow",
            "401 signature_mismatch",
            "401 session_token_invalid",
            "401 credential_malformed",
            "403 no_action_definition",
        ],
        "{printed}"
    );
}
