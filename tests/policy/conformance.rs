//! Every conformance case: decided, accepted or refused as it says.

use portcullis::policy::cases::{CaseFile, Held, Outcome};
use portcullis::source::json::{self, Limits};
use portcullis::source::{Report, Source};

use crate::agreement::every_way;
use crate::world;

/// How many cases there are.
const CASES: usize = 234;

#[test]
fn every_case_comes_out_as_it_says() {
    let file = world::case_file();
    let catalogue = world::catalogue(&file);
    assert_eq!(file.cases.len(), CASES);
    let failed: Vec<String> = file
        .cases
        .iter()
        .filter_map(|case| match case.run(catalogue) {
            Outcome::Passed => None,
            Outcome::Failed(failure) => Some(format!("{}\n{failure}", case.id)),
        })
        .collect();
    assert!(failed.is_empty(), "{} of {CASES} fail:\n{}", failed.len(), failed.join("\n"));
}

#[test]
fn the_cases_are_the_published_ones() {
    let file = world::case_file();
    let ids: std::collections::BTreeSet<&str> = file.cases.iter().map(|case| case.id.as_str()).collect();
    assert_eq!(ids.len(), CASES, "an id stands twice");
    let decisions = file.cases.iter().filter(|case| case.decision().is_some()).count();
    assert_eq!((decisions, CASES - decisions), (181, 53));
}

#[test]
fn every_case_is_decided_alike_in_every_way() {
    let file = world::case_file();
    let catalogue = world::catalogue(&file);
    let mut decided = 0;
    for decision in file.cases.iter().filter_map(|case| case.decision()) {
        // Those that name what the catalogue does not know have no verdict to compare.
        decided += usize::from(Held::load(decision, catalogue).with(decision, catalogue, every_way).is_ok());
    }
    assert!(decided > 170, "{decided}");
}

fn read(text: &str) -> CaseFile {
    let (source, report) = (Source::new("cases.json", text), Report::new());
    let root = json::parse(text.as_bytes(), Limits { bytes_max: 2_000, depth_max: 8 }).unwrap();
    CaseFile::read(&root, &source, &report).unwrap_or_else(|| panic!("{report}"))
}

#[test]
fn a_type_that_a_case_names_is_one() {
    let file = read(
        r#"{"catalog": {"services": [{"service": "iam", "service_type": "scp-iam"}], "actions": {"iam:Show": ["iam:user"]}}, "cases": [
        {"policy_kind": "resource", "attached_to": "srn:e::1:::iam:widget/x", "expect": "Accept", "policy": {"Version": "2024-07-01",
        "Statement": {"Effect": "Allow", "Action": "iam:Show", "Resource": "*", "Principal": {"Service": "a.b"}}}},
        {"request": {"principal": {"type": "root", "srn": "srn:e::1:::iam:user/u"}, "action": "iam:Show",
        "resources": [{"srn": "srn:e::1:::iam:gadget/x"}]}, "expect": "Allow"},
        {"request": {"principal": {"type": "root", "srn": "srn:e::1:::iam:user/u"}, "action": "iam:Show",
        "resources": [{"srn": "srn:e::1:::iam:gad get/x"}]}, "identity_policies": [{}], "expect": "Allow"}]}"#,
    );
    let catalogue = world::catalogue(&file);
    let [attached, requested, unknown] = file.cases.as_slice() else { panic!("{file:?}") };
    assert_eq!((attached.run(catalogue), requested.run(catalogue)), (Outcome::Passed, Outcome::Passed));
    let Outcome::Failed(failure) = unknown.run(catalogue) else { panic!("a type that is no word") };
    assert_eq!(failure.actual, "`srn:e::1:::iam:gad get/x` is no resource of the catalogue");
    assert!(Held::load(unknown.decision().unwrap(), catalogue).complaints().join("\n").contains("`Version` is missing"));
}

#[test]
fn cases_without_an_id_are_known_by_their_number() {
    let file = read(
        r#"{"catalog": {"services": [], "actions": {}}, "cases": [{"policy": {}, "expect": "Reject"}, {"policy": {}, "expect": "Reject"}]}"#,
    );
    assert_eq!(file.cases.iter().map(|case| case.id.as_str()).collect::<Vec<_>>(), ["case 1", "case 2"]);
}
