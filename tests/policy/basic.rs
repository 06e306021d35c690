//! Basic mode: conversion changes no decision of the cases, and `portcullis policy convert`.

use insta::assert_snapshot;
use portcullis::policy::basic::Basic;
use portcullis::policy::cases::{CaseFile, Outcome};
use portcullis::policy::parse;
use portcullis::source::{Node, Report, Source, Value, json};

use crate::documents::{items, read};
use crate::fmt::Folder;
use crate::world::{CASES, catalogue};

/// At least so many policies of principals fit the form.
const CONVERTIBLE_MIN: usize = 150;

/// The policy there and back, through the text that people edit, if it fits the form.
fn converted(policy: &Node) -> Option<Node> {
    let report = Report::new();
    let root = parse(&Source::new("policy.json", json::print(policy)), &report)?;
    let basic = Basic::of(&root).ok()?;
    let text = basic.to_text();
    let again = Basic::read(&read(&text), &Source::new("basic.json", &*text), &report).unwrap_or_else(|| panic!("{text}\n{report}"));
    assert_eq!(again, basic);
    Some(read(&again.to_json()))
}

/// The list that a member of an object is, to be changed.
fn list<'a>(node: &'a mut Node, name: &str) -> Option<&'a mut Vec<Node>> {
    let Value::Map(entries) = &mut node.value else { return None };
    let (_, member) = entries.iter_mut().find(|(key, _)| *key.text == *name)?;
    if let Value::List(items) = &mut member.value { Some(items) } else { None }
}

#[test]
fn conversion_changes_no_decision_of_the_cases() {
    let mut root = read(CASES);
    let mut count = 0;
    for case in list(&mut root, "cases").unwrap() {
        let about_basic_mode = matches!(&case.get("id").unwrap().value, Value::String(id) if id.starts_with("BMO-"));
        for name in ["identity_policies", "session_policies"] {
            for policy in list(case, name).into_iter().flatten() {
                match converted(policy) {
                    Some(converted) => {
                        *policy = converted;
                        count += 1;
                    }
                    None => assert!(!about_basic_mode, "{}", json::print(policy)),
                }
            }
        }
    }
    assert!(count >= CONVERTIBLE_MIN, "{count}");
    let (text, report) = (json::print(&root), Report::new());
    let file = CaseFile::read(&read(&text), &Source::new("converted.json", &*text), &report).unwrap_or_else(|| panic!("{report}"));
    assert_eq!(file.cases.len(), items(root.get("cases")).len());
    for case in &file.cases {
        assert_eq!(case.run(catalogue(&file)), Outcome::Passed, "{}", case.id);
    }
}

const OFFICE: &str = r#"{
  "Version": "2024-07-01",
  "Statement": [
    {"Sid": "Look", "Effect": "Allow", "Action": ["volume:*[List,Read]"], "Resource": "*"},
    {"Sid": "Office", "Effect": "Allow", "Action": "volume:*", "Resource": "srn:e:::::scp-volume:volume/dev-*", "Condition": {
      "StringEquals": {"scp:AuthenticationType": ["TemporaryKey", "ConsoleLogin"]},
      "IpAddress": {"scp:SourceIp": ["10.0.0.0/8"]}, "NotIpAddress": {"scp:SourceIp": ["10.9.0.0/16", "10.1.1.1"]},
      "ForAllValues:StringLike": {"scp:TagKeys": ["team-*"]}, "Bool": {"scp:MultiFactorAuthPresent": true}}},
    {"Effect": "Allow", "Action": "backup:List*", "Resource": ["*"]}
  ]
}"#;

#[test]
fn a_policy_is_converted_there_and_back() {
    let folder = Folder::with(&[("policy.json", OFFICE)]);
    let (ended_well, form, complaints) = folder.policy(&["convert", "--to", "basic", "policy.json"]);
    assert!(ended_well && complaints.is_empty(), "{complaints}");
    std::fs::write(folder.path("form.json"), &form).unwrap();
    let (ended_well, json, complaints) = folder.policy(&["convert", "--to", "json", "form.json"]);
    assert!(ended_well && complaints.is_empty(), "{complaints}");
    std::fs::write(folder.path("back.json"), &json).unwrap();
    assert_eq!(folder.policy(&["fmt", "--check", "back.json"]), (true, String::new(), String::new()));
    assert_snapshot!(format!("{form}----\n{json}"));
}

#[test]
fn a_form_may_be_written_as_yaml() {
    let form = "\
rules:
- control: Deny
  actions: ['*']
  resources: all
  authentication: all
  addresses: {applied: all, excluded: [10.0.0.0/8]}
";
    let folder = Folder::with(&[("form.yaml", form), ("two.yaml", &format!("{form}---\n{form}")), ("bad.yaml", "rules: [\n")]);
    let (ended_well, json, complaints) = folder.policy(&["convert", "--to", "json", "form.yaml"]);
    assert!(ended_well && json.contains("\"NotIpAddress\"") && complaints.is_empty(), "{json}{complaints}");
    for (file, part) in [("two.yaml", "the file has 2 documents"), ("bad.yaml", "this is not YAML"), ("none.yaml", "there is no such file")]
    {
        let (ended_well, printed, complaints) = folder.policy(&["convert", "--to", "json", file]);
        assert!(!ended_well && printed.is_empty() && complaints.contains(part), "{complaints}");
    }
}

#[test]
fn what_must_stay_json_is_named() {
    let policy = r#"{
  "Version": "2024-07-01",
  "Statement": [
    {"Effect": "Allow", "Action": "iam:ShowUser", "Resource": "*"},
    {"Sid": "AllBut", "Effect": "Allow", "NotAction": "iam:*", "Resource": ["*", "srn:e:::::iam:user/*"], "Condition": {}},
    {"Effect": "Deny", "Action": "iam:*", "Resource": "srn:e:::*::iam:user/*"}
  ]
}"#;
    let folder = Folder::with(&[("policy.json", policy), ("broken.json", &policy.replace("Deny", "Denies"))]);
    let (ended_well, printed, complaints) = folder.policy(&["convert", "--to", "basic", "policy.json"]);
    assert!(!ended_well && printed.is_empty(), "{printed}");
    assert_snapshot!(complaints);
    let (ended_well, _, complaints) = folder.policy(&["convert", "--to", "basic", "broken.json"]);
    assert!(!ended_well && complaints.contains("`Denies` is not an effect"), "{complaints}");
}

#[test]
fn errors_of_a_form_are_shown_where_they_stand() {
    let form = r#"{"rules": [
  {"control": "Allow", "actions": ["iam:ShowUser", "iam:Show?"], "resources": ["*"], "authentication": "all", "adresses": "all"},
  {"control": "Deny", "actions": ["*"], "resources": "all", "authentication": "ApiToken",
   "addresses": {"applied": [], "excluded": ["10.0.0.0/33"]},
   "conditions": [
     {"key": "scp:UserName", "operator": "StringEquals", "values": ["a"]},
     {"key": "scp:username", "operator": "StringEquals", "values": ["b"]},
     {"key": "scp:SourceIp", "operator": "IpAddress", "values": ["10.0.0.1"]}]}
]}"#;
    let folder = Folder::with(&[("form.json", form)]);
    let (ended_well, printed, complaints) = folder.policy(&["convert", "--to", "json", "form.json"]);
    assert!(!ended_well && printed.is_empty(), "{printed}");
    assert_snapshot!(complaints);
}
