//! `portcullis policy check`: what it says of documents, and how it ends.

use clap::Parser as _;
use portcullis::cli::{Arguments, Ended, run};

use crate::base::{Copy, assert_text};

/// More to define, so that there is something to overlook.
const MORE: &str = "
  /v1/servers/bulk:
    delete: {action: compute:DeleteBulkServer, access_level: Delete, resources: [{\"compute:server\": {resource_id: \"body['ids'][*]\"}}]}
  /v1/disks/{disk_id}:
    get: {action: compute:ShowDisk, access_level: Read, resources: [{\"compute:disk\": {resource_id: \"path['disk_id']\"}}]}
";

/// A statement for every lint.
const TRAPS: &str = r#"{
  "Version": "2024-07-01",
  "Statement": [
    {"Sid": "Look", "Effect": "Allow", "Action": ["compute:*[List,Read]", "billing:*"], "Resource": ["*"]},
    {"Sid": "KeepProd", "Effect": "Deny", "Action": ["compute:DeleteServer"], "Resource": ["srn:e:::::compute:server/prod-*"]},
    {"Sid": "NoDisks", "Effect": "Deny", "Action": ["compute:ShowDisk"], "Resource": ["srn:e:::::compute:server/*"]},
    {"Sid": "NoLists", "Effect": "Deny", "Action": ["compute:ListServers"], "Resource": ["srn:e:::::compute:server/*"]},
    {"Sid": "Nothing", "Effect": "Deny", "Action": ["compute:ListServer", "compute:deleteServer"], "Resource": ["*"]},
    {"Sid": "OneName", "Effect": "Allow", "Action": ["compute:CreateServer"], "Resource": ["*"],
     "Condition": {"StringEquals": {"scp:UserName": ["ada", "bob"]}, "StringLike": {"scp:UserName": ["team-*"]}}},
    {"Sid": "Outside", "Effect": "Deny", "Action": ["compute:CreateServer"], "Resource": ["*"],
     "Condition": {"IpAddress": {"scp:SourceIp": ["10.1.0.0/16"]}, "NotIpAddress": {"scp:SourceIp": ["10.0.0.0/8"]}}},
    {"Sid": "Servers", "Effect": "Allow", "Action": ["compute:ListServers", "compute:ShowServer"], "Resource": ["srn:e:::::compute:server/dev-*"]},
    {"Sid": "Invoices", "Effect": "Allow", "Action": ["billing:ListInvoices"], "Resource": ["*"]},
    {"Sid": "NoBilling", "Effect": "Deny", "Action": ["billing:*"], "Resource": ["*"]},
    {"Sid": "AllBut", "Effect": "Allow", "NotAction": ["compute:Delete*"], "Resource": ["*"],
     "Condition": {"StringNotEquals": {"scp:TagKeys": ["secret"]}, "StringEquals": {"scp:RequestedRegion": ["Re\u0301gion"]}}}
  ]
}
"#;

const GOOD: &str = r#"{"Version": "2024-07-01", "Statement": {"Effect": "Allow", "Action": "compute:*", "Resource": "*"}}"#;

/// How `portcullis policy check` ends in a copy, and what it prints: complaints first. `@` stands for the copy's folder.
fn checked(copy: &Copy, arguments: &[&str]) -> (Ended, String) {
    let folder = copy.path("").to_str().unwrap().trim_end_matches('/').to_owned();
    let arguments = arguments.iter().map(|argument| argument.replace('@', &folder));
    let arguments = ["portcullis", "policy", "check"].into_iter().map(str::to_owned).chain(arguments);
    let arguments = Arguments::try_parse_from(arguments).unwrap_or_else(|error| panic!("{error}"));
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let text = match run(arguments, &mut out, &mut err) {
        Ok(ended) => (ended, [err, out].map(|bytes| String::from_utf8(bytes).unwrap()).concat()),
        Err(error) => (Ended::Badly, format!("error: {error:#}\n")),
    };
    (text.0, text.1.replace(&folder, "@"))
}

fn copy() -> Copy {
    Copy::new().append("definitions/compute.yaml", MORE).write("good.json", GOOD).write("traps.json", TRAPS)
}

#[test]
fn every_trap_says_what_happens_and_what_to_write() {
    let (ended, text) = checked(&copy(), &["--definitions", "@/definitions", "@/traps.json"]);
    assert_eq!(ended, Ended::Well);
    assert_text!(text);
}

#[test]
fn warnings_fail_where_that_is_asked_for_and_errors_always() {
    let copy =
        copy().write("warning.json", &GOOD.replace("compute:*", "compute:Lists*")).write("error.json", &GOOD.replace("Allow", "allow"));
    let said = |files: &[&str]| {
        let (ended, text) = checked(&copy, &[&["--definitions", "@/definitions"], files].concat());
        let last: Vec<&str> = text.lines().filter(|line| line.starts_with("@/")).collect();
        (ended, last.join(", "))
    };
    let well = |text: &str| (Ended::Well, text.to_owned());
    let badly = |text: &str| (Ended::Badly, text.to_owned());
    assert_eq!(said(&["@/good.json"]), well("@/good.json: good"));
    assert_eq!(said(&["--strict", "@/good.json"]), well("@/good.json: good"));
    assert_eq!(said(&["@/warning.json"]), well("@/warning.json: good, with 1 warning"));
    assert_eq!(said(&["--strict", "@/warning.json"]), badly("@/warning.json: 1 warning"));
    assert_eq!(said(&["@/error.json", "@/good.json"]), badly("@/error.json: 1 error, @/good.json: good"));
    assert_eq!(said(&["@/none.json"]), badly("@/none.json: 1 error"));
}

#[test]
fn the_definitions_of_a_gateway_are_there_while_its_own_policies_are_broken() {
    let copy = copy().write("policies/run-servers.json", "{");
    assert_eq!(checked(&copy, &["--config", "@/gateway.yaml", "@/good.json"]), (Ended::Well, "@/good.json: good\n".to_owned()));
    let (ended, text) = checked(&copy, &["--config", "@/gateway.yaml", "@/policies/run-servers.json"]);
    assert!(ended == Ended::Badly && text.ends_with("@/policies/run-servers.json: 1 error\n"), "{text}");
    let (ended, text) = checked(&copy.append("definitions/compute.yaml", "x"), &["--config", "@/gateway.yaml", "@/good.json"]);
    assert!(ended == Ended::Badly && text.contains("definitions/compute.yaml") && !text.contains("good.json"), "{text}");
}

#[test]
fn policies_of_resources_and_roles_are_read_as_such() {
    let resource = r#"{"Version": "2024-07-01", "Statement": {"Effect": "Allow", "Principal": {"scp": "srn:e::1234:::iam:user/a"},
        "Action": ["compute:ShowServer", "compute:ShowDisk"], "Resource": ["*"]}}"#;
    let trust = r#"{"Version": "2024-07-01", "Statement": {"Effect": "Allow", "Principal": {"Account": ["1234"]},
        "Action": "sts:AssumeRole", "Resource": []}}"#;
    let copy = copy().write("resource.json", resource).write("trust.json", trust);
    let said = |arguments: &[&str]| checked(&copy, &[&["--definitions", "@/definitions"], arguments].concat()).1;
    let at = |srn: &str, file: &str| said(&["--kind", "resource", "--attached-to", srn, file]);
    assert_text!(
        [
            at("srn:e::1234:kr-west1::compute:server/a", "@/resource.json"),
            at("srn:e::1234:kr-west1::compute:server/a", "@/good.json"),
            said(&["@/resource.json"]),
            said(&["--kind", "trust", "@/trust.json"]),
            said(&["--kind", "trust", "--attached-to", "srn:e::1234:::iam:role/r", "@/good.json"]),
            at("srn:e:::kr-west1::compute:server/a", "@/resource.json"),
            at("srn:g::1234:kr-west1::compute:server/a", "@/resource.json"),
            at("srn:e::1234:kr-west1::compute:sever/a", "@/resource.json"),
            at("compute:server/a", "@/resource.json"),
            said(&["--attached-to", "srn:e::1234:kr-west1::compute:server/a", "@/good.json"]),
            checked(&copy, &["--definitions", "@/none", "@/good.json"]).1,
        ]
        .join("----\n")
    );
}
