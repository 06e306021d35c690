//! Mistakes in policy documents, in files of their own and inside records.

use crate::base::{Copy, assert_text};

const DOCUMENT: &str = "policies/run-servers.json";
const POLICIES: &str = "records/policies.yaml";

#[test]
fn a_missing_comma_and_a_comment() {
    let copy = Copy::new().edit(DOCUMENT, "\"Effect\": \"Allow\",", "\"Effect\": \"Allow\"");
    assert_text!(copy.edit(DOCUMENT, "\"Version\": \"2024-07-01\",", "\"Version\": \"2024-07-01\", # the only version").refused());
}

#[test]
fn an_unknown_operator_and_an_unknown_condition_key() {
    let copy = Copy::new().edit(
        DOCUMENT,
        "\"IpAddress\": {\"scp:SourceIp\": [\"10.0.0.0/8\"]}",
        "\"IpAdress\": {\"scp:SourceIp\": [\"10.0.0.0/8\"]}, \"IpAddress\": {\"aws:SourceIp\": [\"10.0.0.0/8\"]}",
    );
    assert_text!(copy.refused());
}

#[test]
fn an_unknown_member_and_an_unknown_action() {
    let copy = Copy::new().edit(DOCUMENT, "\"Condition\":", "\"Conditions\":");
    assert_text!(copy.edit(DOCUMENT, "compute:DeleteServer", "compute:DeletServer").refused());
}

#[test]
fn mistakes_in_a_document_inside_a_record() {
    let copy = Copy::new().edit(POLICIES, "\"Effect\": \"Allow\"", "\"Effect\": \"allow\"");
    assert_text!(copy.edit(POLICIES, "\"Version\": \"2024-07-01\"", "\"Version\": \"2012-10-17\"").refused());
}

#[test]
fn a_document_inside_a_record_in_another_yaml_style() {
    let text = "document: '{\"Version\": \"2024-07-01\", \"Statement\": []}'\n";
    assert_text!(
        Copy::new()
            .append(
                POLICIES,
                &format!("- kind: policy\n  id: d0000000000000000000000000000003\n  account: system\n  name: nothing\n  {text}")
            )
            .refused()
    );
    let text = "document: {Version: \"2024-07-01\", Statement: []}\n";
    assert_text!(
        Copy::new()
            .append(
                POLICIES,
                &format!("- kind: policy\n  id: d0000000000000000000000000000003\n  account: system\n  name: nothing\n  {text}")
            )
            .refused()
    );
}

#[test]
fn a_document_that_is_missing() {
    assert_text!(Copy::new().remove(DOCUMENT).refused());
}

#[test]
fn an_action_that_is_told_the_resource_by_its_srn_acts_on_every_type() {
    let path =
        "  /v1/tags/{srn}:\n    delete: {action: compute:DeleteTags, access_level: Delete, resources: [{srn: \"base64(path['srn'])\"}]}\n";
    let copy = Copy::new().append("definitions/compute.yaml", path).edit(DOCUMENT, "compute:DeleteServer", "compute:DeleteTags");
    let said = copy.accepted();
    assert!(said.contains("gateway.yaml: good\n"), "without the warning that it denies nothing: {said}");
}
