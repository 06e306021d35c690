//! The world of the cases: their catalogue, and documents loaded in it.

use portcullis::policy::cases::{CaseFile, WorldRef};
use portcullis::policy::{Catalogue, Owner, Policy};
use portcullis::source::{Report, Source, json};

pub(crate) const CASES: &str = include_str!("cases.json");
pub(crate) const ACCOUNT: &str = "9b7653f6f47a42e38055934a0575a813";

pub(crate) fn case_file() -> CaseFile {
    let (source, report) = (Source::new("cases.json", CASES), Report::new());
    let root = json::parse(CASES.as_bytes(), json::Limits { bytes_max: 1 << 20, depth_max: 64 }).unwrap();
    CaseFile::read(&root, &source, &report).unwrap_or_else(|| panic!("{report}"))
}

pub(crate) fn catalogue(file: &CaseFile) -> &Catalogue {
    match file.world() {
        WorldRef::Inline(catalogue) => catalogue,
        WorldRef::Definitions(folder) => panic!("the catalogue of the cases is in {folder}"),
    }
}

/// A policy of the test account, or what is wrong with it.
pub(crate) fn load(document: &str, account: &str, catalogue: &Catalogue) -> (Option<Policy>, Report) {
    let report = Report::new();
    let source = Source::new("policy.json", document);
    let policy = Policy::load(&source, "p", Owner::account(account), catalogue, &report);
    assert_eq!(policy.is_none(), report.has_errors(), "a policy is refused if and only if an error is reported:\n{report}");
    (policy, report)
}
