//! Basic mode: conversion changes no decision of the cases.

use portcullis::policy::basic::Basic;
use portcullis::policy::cases::{CaseFile, Outcome};
use portcullis::policy::parse;
use portcullis::source::{Node, Report, Source, Value, json};

use crate::documents::{items, read};
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
