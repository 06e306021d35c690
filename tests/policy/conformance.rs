//! Every conformance case: decided, accepted or refused as it says.

use portcullis::policy::cases::Outcome;

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
