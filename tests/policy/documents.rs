//! Documents without a catalogue: what is parsed, and how it is printed.

use portcullis::policy::{parse, print};
use portcullis::source::{Node, Report, Severity, Source, Value, json};

use crate::world::{ACCOUNT, CASES, case_file, catalogue, load};

pub(crate) fn read(text: &str) -> Node {
    json::parse(text.as_bytes(), json::Limits { bytes_max: 1 << 20, depth_max: 64 }).unwrap()
}

pub(crate) fn items(node: Option<&Node>) -> &[Node] {
    match node.map(|node| &node.value) {
        Some(Value::List(items)) => items,
        Some(other) => panic!("{other:?} is no list"),
        None => &[],
    }
}

fn text<'a>(node: &'a Node, key: &str) -> Option<&'a str> {
    match node.get(key).map(|found| &found.value) {
        Some(Value::String(text)) => Some(text),
        Some(_) | None => None,
    }
}

/// Every document of the cases that must be accepted, and the name of its case.
fn accepted(root: &Node) -> Vec<(&str, String)> {
    let mut found = Vec::new();
    for case in items(root.get("cases")) {
        let id = text(case, "id").unwrap();
        if text(case, "kind") == Some("validation") {
            let written = case.get("policy").map(json::print).or_else(|| text(case, "raw").map(str::to_owned));
            found.extend(written.filter(|_| text(case, "expect") == Some("Accept")).map(|document| (id, document)));
            continue;
        }
        let of_resources = items(case.get("resource_policies")).iter().map(|one| one.get("policy").unwrap());
        let of_principals = ["identity_policies", "session_policies"].into_iter().flat_map(|key| items(case.get(key)));
        found.extend(of_principals.chain(of_resources).map(|document| (id, json::print(document))));
    }
    found
}

#[test]
fn every_document_that_some_place_accepts_is_parsed_and_printed() {
    let root = read(CASES);
    let all = accepted(&root);
    assert!(all.len() > 200, "{}", all.len());
    for (id, document) in all {
        let report = Report::new();
        let root = parse(&Source::new(id, &*document), &report).unwrap_or_else(|| panic!("{report}"));
        let printed = print(&root);
        let again = parse(&Source::new(id, &*printed), &report).unwrap_or_else(|| panic!("{report}"));
        assert_eq!(print(&again), printed, "{id}");
    }
}

#[test]
fn what_a_catalogue_warns_of_is_not_said_without_one() {
    let document = r#"{"Version": "2024-07-01", "Statement": {
        "Effect": "Deny", "Action": "iam:showUsr", "Resource": "srn:e:::::iam:usr/*", "Condition": {}}}"#;
    let (loaded, warnings) = load(document, ACCOUNT, catalogue(&case_file()));
    assert!(loaded.is_some() && warnings.count(Severity::Warning) > 0);
    let report = Report::new();
    assert!(parse(&Source::new("p.json", document), &report).is_some());
    assert_eq!(report.to_string(), "");
}
