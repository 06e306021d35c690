//! Mistakes in records: ids, references, duplicates, allowlists, limits.

use crate::base::{Copy, assert_text, spoilt};

const PEOPLE: &str = "records/people.yaml";
const POLICIES: &str = "records/policies.yaml";

#[test]
fn references_to_nobody() {
    let copy = Copy::new()
        .edit(POLICIES, "  policy: d0000000000000000000000000000002\n", "  policy: d0000000000000000000000000000009\n")
        .edit(POLICIES, "  group: c0000000000000000000000000000001", "  group: c0000000000000000000000000000009")
        .edit(PEOPLE, "  user: b0000000000000000000000000000002\n", "  user: b0000000000000000000000000000009\n");
    let copy = copy.append(
        PEOPLE,
        "- kind: user\n  id: b0000000000000000000000000000003\n  account: a0000000000000000000000000000009\n  name: cleo\n",
    );
    assert_text!(copy.refused());
}

#[test]
fn ids_that_are_none() {
    let copy = Copy::new()
        .edit("records/accounts.yaml", "id: a0000000000000000000000000000002", "id: A0000000000000000000000000000002")
        .edit(PEOPLE, "  group: c0000000000000000000000000000001", "  group: operators");
    assert_text!(copy.edit(POLICIES, "  user: b0000000000000000000000000000002", "  user: b0000000-0000-0000-0000-000000000002").refused());
}

#[test]
fn a_record_twice() {
    assert_text!(spoilt("records/accounts.yaml", "id: a0000000000000000000000000000002", "id: a0000000000000000000000000000001"));
}

#[test]
fn a_kind_that_is_none() {
    let copy = Copy::new().edit(
        "records/accounts.yaml",
        "- kind: account\n  id: a0000000000000000000000000000002",
        "- kind: acount\n  id: a0000000000000000000000000000002",
    );
    assert_text!(copy.append("records/accounts.yaml", "- kind: role\n- name: nobody\n").refused());
}

#[test]
fn a_file_of_records_that_is_no_list() {
    assert_text!(Copy::new().write("records/more.yaml", "kind: account\nid: a0000000000000000000000000000003\nname: mall\n").refused());
}

#[test]
fn console_access_of_nobody_of_two_and_twice() {
    let record = |text: &str| format!("- {{kind: console_access, {text}}}\n");
    let user = "user: b0000000000000000000000000000001";
    let lines = [
        record(&format!("{user}, allowed_addresses: [10.0.0.0/8]")),
        record(&format!("{user}, allowed_addresses: []")),
        record("user: b0000000000000000000000000000009, allowed_addresses: not_used"),
        record("account: a0000000000000000000000000000009, allowed_addresses: []"),
        record(&format!("{user}, account: a0000000000000000000000000000001, allowed_addresses: []")),
        record("allowed_addresses: []"),
        record(&format!("{user}, addresses: []")),
    ];
    assert_text!(Copy::new().append(PEOPLE, &lines.concat()).refused());
}

#[test]
fn fifty_one_allowed_addresses() {
    let addresses: Vec<String> = (1..=51).map(|last| format!("192.0.2.{last}")).collect();
    assert_text!(spoilt(PEOPLE, "[10.0.0.0/8, \"2001:db8::/32\"]", &format!("\n    - {}", addresses.join("\n    - "))));
}

#[test]
fn addresses_that_are_none() {
    let addresses = "[010.0.0.1, 10.0.0.0/33, \"::ffff:10.0.0.1\", 10.0.0, \"*\", 10.0.0.1-10.0.0.9, localhost, 10.0.0.0/255.0.0.0]";
    assert_text!(spoilt(PEOPLE, "[10.0.0.0/8, \"2001:db8::/32\"]", addresses));
}

#[test]
fn an_allowlist_that_is_no_list() {
    assert_text!(spoilt(PEOPLE, "[10.0.0.0/8, \"2001:db8::/32\"]", "not-used"));
    assert_text!(spoilt(PEOPLE, "[10.0.0.0/8, \"2001:db8::/32\"]", ""));
}

#[test]
fn three_keys_of_one_user() {
    let key = |digit: u8| {
        format!(
            "- kind: access_key\n  id: e000000000000000000000000000000{digit}\n  user: b0000000000000000000000000000001\n  secret: {{file: ../secrets/ada.secret}}\n"
        )
    };
    assert_text!(Copy::new().append(PEOPLE, &[key(3), key(4)].concat()).refused());
}

#[test]
fn temporary_keys_of_no_key_of_another_user_of_a_temporary_one_and_too_many() {
    let key = |digit: char, parent: &str| {
        format!(
            "- kind: access_key\n  id: e000000000000000000000000000001{digit}\n  user: b0000000000000000000000000000001\n  secret: {{file: ../secrets/ada.secret}}\n  parent: {parent}\n"
        )
    };
    let ada = "e0000000000000000000000000000001";
    let mut keys: Vec<String> = ('1'..='6').map(|digit| key(digit, ada)).collect();
    keys.push(key('7', "e0000000000000000000000000000009"));
    keys.push(key('8', "e0000000000000000000000000000002"));
    keys.push(key('9', "e0000000000000000000000000000011"));
    assert_text!(Copy::new().append(PEOPLE, &keys.concat()).refused());
}

#[test]
fn an_attachment_and_a_membership_across_accounts() {
    let copy = Copy::new().edit(POLICIES, "  group: c0000000000000000000000000000001", "  user: b0000000000000000000000000000002");
    let copy = copy.edit(
        PEOPLE,
        "  group: c0000000000000000000000000000001\n  user: b0000000000000000000000000000001",
        "  group: c0000000000000000000000000000001\n  user: b0000000000000000000000000000002",
    );
    assert_text!(copy.refused());
}

#[test]
fn an_attachment_to_both_and_to_none() {
    let copy = Copy::new().edit(
        POLICIES,
        "  group: c0000000000000000000000000000001",
        "  group: c0000000000000000000000000000001\n  user: b0000000000000000000000000000001",
    );
    assert_text!(copy.append(POLICIES, "- kind: attachment\n  policy: d0000000000000000000000000000001\n").refused());
}

#[test]
fn two_root_users_and_an_expiry_without_a_zone() {
    let root = "\n  root: true\n";
    let copy = Copy::new().edit(PEOPLE, "  name: ada\n", &format!("  name: ada{root}")).edit(
        PEOPLE,
        "  account: a0000000000000000000000000000002\n  name: ben\n",
        &format!("  account: a0000000000000000000000000000001\n  name: ben{root}"),
    );
    assert_text!(copy.edit(PEOPLE, "{file: ../secrets/ada.secret}", "{file: ../secrets/ada.secret}\n  expires_at: 2027-01-31").refused());
}

#[test]
fn policies_of_resources_that_are_none() {
    let record = |resource: &str, document: &str| format!("- {{kind: resource_policy, resource: '{resource}', document: '{document}'}}\n");
    let good = r#"{"Version": "2024-07-01", "Statement": {"Effect": "Allow", "Action": "compute:*", "Principal": {"scp": "srn:e::acc:::iam:user/u"}, "Resource": "*"}}"#;
    let server = "srn:e::acc:::compute:server/s1";
    let text = [
        record("compute:server/s1", good),
        record("srn:e::acc:::none:server/s1", good),
        record("srn:e:::::compute:server/s1", good),
        record(server, good),
        record("srn:e::acc:::scp-compute:server/s1", good),
        record("srn:e::acc:::compute:server/s2", &good.replace(r#""Principal": {"scp": "srn:e::acc:::iam:user/u"}, "#, "")),
    ];
    assert_text!(Copy::new().append("records/people.yaml", &text.concat()).refused());
}
