//! `portcullis policy`, as people run it.

use std::path::Path;
use std::process::{Command, Output};

use insta::assert_snapshot;

/// What stands for the folder of the files in everything that is printed.
const FOLDER: &str = "/home/ada";

fn portcullis(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_portcullis")).args(arguments).env_clear().output().unwrap()
}

/// What a run says: its output, then its complaints, then whether it went well.
fn said(output: &Output, folder: &Path) -> String {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap().replace(folder.to_str().unwrap(), FOLDER);
    format!("{}{}[{}]", text(&output.stdout), text(&output.stderr), if output.status.success() { "well" } else { "badly" })
}

/// Runs `policy test` on one file of this text.
fn test(name: &str, text: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(name);
    std::fs::write(&file, text).unwrap();
    said(&portcullis(&["policy", "test", file.to_str().unwrap()]), folder.path())
}

#[test]
fn the_published_cases_pass() {
    let output = portcullis(&["policy", "test", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/policy/cases.json")]);
    assert_eq!(said(&output, Path::new("/nowhere")), "234 passed, 0 failed\n[well]");
}

/// The README's block that begins with this line.
fn readme(first: &str) -> String {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let after = readme.split_once(&format!("```yaml\n{first}")).unwrap().1;
    format!("{first}{}", after.split_once("```").unwrap().0)
}

#[test]
fn the_readmes_case_passes_with_the_readmes_definitions() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("definitions")).unwrap();
    for (name, first) in [
        ("definitions/actions.yaml", "kind: scp-iam:action-definition"),
        ("definitions/resources.yaml", "kind: scp-resourcemanager:resource-definition"),
        ("cases.yaml", "catalog: {definitions: definitions}"),
    ] {
        std::fs::write(folder.path().join(name), readme(first)).unwrap();
    }
    let output = portcullis(&["policy", "test", folder.path().join("cases.yaml").to_str().unwrap()]);
    assert_eq!(said(&output, folder.path()), "1 passed, 0 failed\n[well]");
}

const CATALOG: &str = "
catalog:
  services: [{service: iam, service_type: scp-iam}]
  actions: {'iam:showUser': ['iam:user']}
  resource_definitions: [{service_type: scp-iam, resource_type: user, attributes: {lastname: {abac: true}}}]
";

#[test]
fn a_failing_case_says_what_was_expected_what_came_out_and_why() {
    assert_snapshot!(test(
        "cases.yaml",
        &format!(
            "{CATALOG}
cases:
  - id: ALLOWED
    title: everybody is called Kim
    request:
      principal: {{type: user, srn: 'srn:e::acc:::iam:user/u1'}}
      action: iam:showUser
      resources: [{{srn: 'srn:e::acc:::iam:user/u2', attributes: {{lastname: Lee}}}}]
    identity_policies:
      - {{Version: '2024-07-01', Statement: {{Effect: Allow, Action: 'iam:*', Resource: '*', Condition: {{StringEquals: {{'iam:userLastname': Kim}}}}}}}}
      - {{Version: '2024-07-01', Statement: {{Sid: Mine, Effect: Allow, Action: 'iam:*', Resource: 'srn:e:::::iam:user/u1'}}}}
    expect: Allow
  - id: WRONG-REASON
    request: {{principal: {{type: user, srn: 'srn:e::acc:::iam:user/u1'}}, action: 'iam:dropUser'}}
    expect: Deny
    reason: explicit_deny
  - id: BROKEN
    request: {{principal: {{type: root, srn: 'srn:e::acc:::iam:user/u1'}}, action: 'iam:showUser', resources: [{{srn: 'srn:e::acc:::iam:user/u2'}}]}}
    identity_policies: [{{Version: '2024-07-01', Statement: {{Effect: Alow, Action: '*', Resource: '*'}}}}]
    expect: Allow
  - {{id: ACCEPTED, policy: {{Version: '2024-07-01', Statement: {{Effect: Allow, Action: '*', Resource: '*'}}}}, expect: Reject}}
  - {{id: REJECTED, raw: '{{\"Version\": }}', expect: Accept}}
  - {{id: GOOD, policy: {{}}, expect: Reject}}
"
        )
    ));
}

#[test]
fn what_is_attached_to_a_role_says_who_may_take_it() {
    let case = |id: &str, who: &str, named: &str, resource: &str, expected: &str| {
        format!(
            "
  - id: {id}
    request:
      principal: {{type: {who}, srn: 'srn:e::acc:::iam:{who}/one'}}
      action: sts:AssumeRole
      resources: [{{srn: 'srn:e::acc:::scp-iam:role/operator'}}]
    resource_policies:
      - attached_to: srn:e::acc:::scp-iam:role/operator
        policy: {{Version: '2024-07-01', Statement: {{Effect: Allow, Action: 'sts:AssumeRole', Principal: {named}, Resource: {resource}}}}}
    expect: {expected}"
        )
    };
    let text = [
        case("BY-SRN", "user", "{scp: ['srn:e::acc:::iam:user/one']}", "['*']", "Allow"),
        case("ACCOUNT", "user", "{Account: [acc]}", "[]", "Allow"),
        case("ROOT-FORM", "user", "{scp: ['srn:e::acc:::scp-iam:root']}", "['srn:e:::::iam:role/operator']", "Allow"),
        case("STRANGER", "user", "{scp: ['srn:e::acc:::iam:user/two']}", "['*']", "Deny"),
    ]
    .concat();
    let services = "services: [{service: iam, service_type: scp-iam}, {service: sts, service_type: scp-sts}]";
    let catalog = format!("catalog: {{{services}, actions: {{'sts:AssumeRole': ['iam:role']}}}}");
    let more = "
  - {id: OTHER-ROLE, policy_kind: trust, attached_to: 'srn:e::acc:::iam:role/operator', expect: Reject, policy:
      {Version: '2024-07-01', Statement: {Effect: Allow, Action: 'sts:AssumeRole', Principal: {Account: [acc]}, Resource: 'srn:e::acc:::iam:role/x'}}}";
    assert_eq!(test("cases.yaml", &format!("{catalog}\ncases:{text}{more}\n")), "5 passed, 0 failed\n[well]");
    assert_snapshot!(
        test("cases.yaml", &format!("{catalog}\ncases: [{{policy_kind: trust, attached_to: 'srn:e::acc:::iam:user/x', policy: {{}}, expect: Reject}}]\n")),
        @r"
        error: `cases[0]`: `srn:e::acc:::iam:user/x` is no role
          --> /home/ada/cases.yaml:2:9
          |
        2 | cases: [{policy_kind: trust, attached_to: 'srn:e::acc:::iam:user/x', policy: {}, expect: Reject}]
          |         ^
           = help: name a role in `attached_to`, or write `policy_kind: resource`

        [badly]
        "
    );
}

#[test]
fn a_file_that_is_no_case_file_says_where() {
    assert_snapshot!(test(
        "cases.yaml",
        &format!(
            "{CATALOG}
cases:
  - id: 1
    request: {{principal: {{type: usr, srn: x}}, action: 'iam:showUser', resource: []}}
    identity_polices: []
    expect: Alow
  - expect: Reject
    policy: {{}}
    policy_kind: resource
"
        )
    ));
    let folder = tempfile::tempdir().unwrap();
    let nowhere = portcullis(&["policy", "test", folder.path().join("none.yaml").to_str().unwrap()]);
    assert_eq!(
        said(&nowhere, folder.path()),
        "error: the file cannot be opened: there is no such file\n  --> /home/ada/none.yaml\n\n[badly]"
    );
    assert_snapshot!(test("cases.json", "{\"cases\": [,]}"), @r#"
    error: `,` cannot start a value
      --> /home/ada/cases.json:1:12
      |
    1 | {"cases": [,]}
      |            ^

    [badly]
    "#);
}

#[test]
fn a_case_is_explained_whatever_it_expects() {
    let cases = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/policy/cases.json");
    let explained = |case: &str| said(&portcullis(&["policy", "explain", cases, "--case", case]), Path::new(env!("CARGO_MANIFEST_DIR")));
    assert_snapshot!(explained("CND-25"));
    assert_snapshot!(explained("UND-14"));
    assert_snapshot!(explained("RBP-22"));
    assert_snapshot!(explained("RBP-18"));
    assert_snapshot!(explained("NONE"), @"
    `/home/ada/tests/policy/cases.json` has no such decision case
    [badly]
    ");
}
