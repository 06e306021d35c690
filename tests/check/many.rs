//! Many mistakes over many files: one run reports them all, by file and line, and says nothing twice.

use crate::base::{Copy, assert_text};

#[test]
fn all_mistakes_of_all_files_are_reported_in_one_run() {
    let copy = Copy::new()
        .edit("gateway.yaml", "public_scheme: https", "public_scheme: htps")
        .edit("gateway.yaml", "http://127.0.0.1:9002", "http://127.0.0.1:9002/api")
        .edit("gateway.yaml", "  path: \"off\"", "  file: \"off\"")
        .edit("definitions/billing.yaml", ", access_level: List", "")
        .edit("definitions/compute.yaml", "host['region'] ?? ''", "host['region' ?? ''")
        .edit("records/accounts.yaml", "id: a0000000000000000000000000000002", "id: a000000000000000000000000000000z")
        .edit("records/people.yaml", "  name: ada\n", "  name: ada\n  nmae: ada\n")
        .edit("records/people.yaml", "[10.0.0.0/8, \"2001:db8::/32\"]", "[10.0.0.0/8, 010.0.0.1]")
        .edit("records/policies.yaml", "  user: b0000000000000000000000000000002", "  user: b0000000000000000000000000000009")
        .edit("records/policies.yaml", "\"Effect\": \"Allow\"", "\"Effect\": \"Permit\"")
        .edit("policies/run-servers.json", "\"Sid\": \"ServersFromTheOffice\",", "\"Sid\": \"ServersFromTheOffice\"")
        .remove("secrets/ada.secret");
    assert_text!(copy.refused());
}

#[test]
fn the_findings_are_in_order_and_the_order_is_always_the_same() {
    let users: String = (10..60)
        .map(|number| format!("- kind: user\n  id: b00000000000000000000000000000{number}\n  account: a0000000000000000000000000000009\n  name: user{number}\n"))
        .collect();
    let copy = Copy::new().append("records/people.yaml", &users);
    let first = copy.refused();
    let lines: Vec<u32> = first.lines().filter_map(|line| line.strip_prefix("  --> ")?.split(':').nth(1)?.parse().ok()).collect();
    assert_eq!(lines.len(), 50);
    assert!(lines.is_sorted());
    for _ in 0..3 {
        assert_eq!(copy.refused(), first);
    }
}

#[test]
fn a_broken_record_brings_no_further_complaints() {
    let copy = Copy::new()
        .edit("records/people.yaml", "  name: ada\n", "  nmae: ada\n")
        .edit("records/people.yaml", "  name: operators\n", "")
        .edit("records/accounts.yaml", "  name: shop\n", "  name: [shop]\n")
        .edit("records/policies.yaml", "  account: system\n", "  acount: system\n");
    assert_text!(copy.refused());
}
