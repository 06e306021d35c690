//! The texts of errors and warnings, as people read them: place, cause, advice, and all of a document at once.

use insta::assert_snapshot;

use crate::world::{ACCOUNT, case_file, catalogue, load};

/// Everything that loading a document says.
fn said(document: &str) -> String {
    let (policy, report) = load(document, ACCOUNT, catalogue(&case_file()));
    format!("{}\n\n{report}", if policy.is_some() { "accepted" } else { "refused" })
}

#[test]
fn the_guides_sample_with_missing_commas() {
    // Seed 003, L1451-1463.
    assert_snapshot!(said(
        r#"{
"Version": "2024-07-01"
"Statement": [
{
"Sid": "statement1"
"Action": ["object-store:UploadObject"],
"Principal": {
"scp":"srn:e::1234:::scp-iam:user/abc3d3442"
},
"Effect": "Allow"
"Resource": "srn:e:::::object-store:bucket/foo"
}
]
}"#
    ));
}

#[test]
fn the_guides_sample_with_comments_and_a_word_without_quotes() {
    // Seed 003, L1483-1502.
    assert_snapshot!(said(
        r#"{
"Version": "2024-07-01", # Policy grammar version (fixed to 2024-07-01)
"Statement": [
{
"Sid": "statement1", # policy element ID
"Effect": "Allow", # Policy effect
"Action": ["iam:showUser"], # Action defined in the policy
"Principal": {
"scp":"srn:e::1234:::iam:user/ROOT" # the entity that is the target of the policy
}
"Resource": "srn:e::kr-west1:::scp-iam:group/foo", # resource for which the policy action is allowed
"Condition": { # policy condition
"StringEquals": {
"iam:userName": [
scp_test_user
]
}
}
}
]
}"#
    ));
}

#[test]
fn the_guides_samples_of_conditions_with_comments_and_a_word_without_quotes() {
    // Seed 003, L1781-1800.
    assert_snapshot!(said(
        r#"{
"Version": "2024-07-01",
"Statement": [
{"Effect": "Allow", "Action": "iam:showUser", "Resource": "*",
"Condition": {
"StringEquals": {
"iam:userName": [ # When the user's name is foo or bar
"foo", "bar"
],
"iam:userCompany": [ # when the user's company is Samsung
Samsung
]
}
}},
{"Effect": "Deny", "Action": "*", "Resource": "*",
"Condition": {
"NotIpAddress": {
"scp:SourceIp": [ # when the request IP is neither 1.1.1.1 nor 2.2.2.2
"1.1.1.1/24", "2.2.2.0/24"
]
}
}}
]
}"#
    ));
}

#[test]
fn slips_of_json() {
    let statement = |slip: &str| format!("{{\"Version\": \"2024-07-01\", \"Statement\": {{\"Effect\": \"Allow\", {slip}}}}}");
    let slips = [
        r#""Action": "*", "Resource": "*", "Effect": "Deny""#,
        r#""Action": "iam:showUser", "iam:listUsers", "Resource": "*""#,
        r#"Action: "*", "Resource": "*""#,
        r#"'Action': '*', "Resource": "*""#,
        r#""Action": ["*", "Resource": "*""#,
        r#""Action": ["iam:showUser" "iam:listUsers"], "Resource": "*""#,
        r#""Action": ["*"}, "Resource": ["*"]"#,
        r#""Action": "iam:show
User", "Resource": "*""#,
        r#""Action" = "*", "Resource": "*""#,
        r#"/* all */ "Action": "*", "Resource": "*""#,
        r#""Action": "*", "Resource": "*",,"#,
    ];
    assert_snapshot!(slips.map(|slip| said(&statement(slip))).join("\n----\n"));
}

#[test]
fn networks_in_other_spellings() {
    let condition = |network: &str| {
        let condition = format!("{{\"IpAddress\": {{\"scp:SourceIp\": \"{network}\"}}}}");
        said(&format!(
            "{{\"Version\": \"2024-07-01\", \"Statement\": {{\"Effect\": \"Deny\", \"Action\": \"*\", \"Resource\": \"*\", \"Condition\": {condition}}}}}"
        ))
    };
    let networks =
        ["10.*.*.*", "10.1.*", "*", "10.1.*.3", "10.1.2.3.*", "10.0.0.0/255.255.0.255", "10.0.0.1-10.0.0.9", "::ffff:10.0.0.1", "a.*"];
    let help = |text: String| text.lines().filter(|line| line.contains("help: ")).map(str::to_owned).collect::<String>();
    assert_snapshot!(networks.map(|network| format!("{network}{}", help(condition(network)))).join("\n"));
}

#[test]
fn a_policy_of_another_cloud() {
    assert_snapshot!(said(
        r#"{
  "Version": "2012-10-17",
  "Id": "MyPolicy",
  "Statement": [
    {
      "Effect": "allow",
      "Principal": "*",
      "Action": ["s3:Get?bject", "object-store:uploadObject"],
      "NotResource": "arn:aws:s3:::bucket/*",
      "Condition": {"StringEqualsIfExists": {"aws:username": "foo"}}
    },
    {
      "Effect": "Deny",
      "Action": "*",
      "Resource": "arn:aws:s3:::bucket/*",
      "Condition": {"ArnLike": {"aws:SourceArn": "arn:aws:s3:::bucket"}, "StringEqualsIgnoreCase": {"scp:UserNam": "foo"}}
    }
  ]
}"#
    ));
}

#[test]
fn members_that_are_misspelt_missing_or_twice() {
    assert_snapshot!(said(
        r#"{
  "Version": "2024-07-01",
  "Statements": [],
  "Statement": [
    {"Sid": "a", "Effect": "Allow", "Action": "iam:showUser", "Resource": "*", "Conditions": {"Bool": {"scp:MultiFactorAuthPresent": "true"}}},
    {"Sid": "a", "Effect": "Allow", "Action": "iam:showUser", "NotAction": "iam:showUser", "Resource": "*"},
    {"Sid": "", "effect": "Deny"},
    "Allow"
  ]
}"#
    ));
}

#[test]
fn actions_that_are_none() {
    assert_snapshot!(said(
        r#"{"Version": "2024-07-01", "Statement": {
  "Effect": "Allow",
  "Action": [
    "ShowGroup",
    "ia*:showUser",
    "iam:show?ser",
    "iam:show User",
    "iam:",
    "",
    7,
    "iam:*[List,Wread]",
    "iam:*[Delegate]",
    "iam:*[List, Read]",
    "iam:*[]",
    "iam:*[List",
    "iam:*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a"
  ],
  "Resource": "*"
}}"#
    ));
}

#[test]
fn resources_that_are_none() {
    assert_snapshot!(said(
        r#"{"Version": "2024-07-01", "Statement": {
  "Effect": "Allow",
  "Action": "*",
  "Resource": [
    "scp-compute:*",
    "srn:*::9b7653f6f47a42e38055934a0575a813:kr-west1::scp-compute:instance/d129",
    "srn:e::*:kr-west1::scp-compute:instance/d129",
    "srn:e::9b7653f6f47a42e38055934a0575a813:kr-west1::scp-*:instance/d129",
    "srn:e:x:9b76:kr-west1::scp-compute:instance/*",
    "srn:e::9b76:kr-west1::scp-compute:instance/",
    "srn:e::9b76:kr-west1::scp-compute:instance",
    "srn:::9b76:kr-west1::scp-compute:instance/*",
    "srn:e:::::iam:user/*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*",
    ["*"]
  ]
}}"#
    ));
}

#[test]
fn conditions_that_are_none() {
    assert_snapshot!(said(
        r#"{"Version": "2024-07-01", "Statement": [
  {"Effect": "Allow", "Action": "iam:showUser", "Resource": "*", "Condition": [{"StringEquals": {"scp:UserName": ["a"]}}]},
  {"Effect": "Allow", "Action": "iam:showUser", "Resource": "*", "Condition": {
    "stringEquals": {"scp:UserName": "a"},
    "forAllValues:StringEquals": {"scp:UserName": "a"},
    "ForAnyValue:Null": {"scp:UserName": "true"},
    "Equals": {"scp:UserName": "a"},
    "StringLike": {},
    "StringEquals": {"scp:UserName": [], "scp:username": "a", "scp:Colour": "red", "userName": "a", "scp:SourceIp": "10.0.0.1"},
    "IpAddress": {"scp:SourceIp": ["300.1.1.1", "010.0.0.1", "10.0.0.0/33", "::ffff:10.0.0.1"], "scp:UserName": "10.0.0.0/8"},
    "DateLessThan": {"scp:CurrentTime": ["2025/11/06", "2025-11-06T16:10:38", 1762445438]},
    "Bool": {"scp:MultiFactorAuthPresent": ["yes", null]},
    "NumericEquals": {"scp:UserId": "four"}
  }}
]}"#
    ));
}

#[test]
fn a_principal_where_none_belongs_and_a_key_without_its_end() {
    assert_snapshot!(said(
        r#"{"Version": "2024-07-01", "Statement": {
  "Effect": "Allow", "Action": "iam:showUser", "Resource": "*",
  "Principal": {"scp": "srn:e::1234:::scp-iam:user/abc3d3442"},
  "Condition": {
    "StringEquals": {"scp:ResourceTag/team": "red", "scp:RequestTag/team": "red", "iam:userName": "foo", "scp:RequestAttribute/body['foo']": "x"},
    "ForAllValues:StringLike": {"scp:TagKeys": "team-*"},
    "Null": {"scp:ResourceTag/": "true"}
  }
}}"#
    ));
}

#[test]
fn what_is_accepted_with_a_warning() {
    assert_snapshot!(said(
        r#"{"Version": "2024-07-01", "Statement": [
  {"Effect": "Allow", "Action": ["iam:ShowUser", "iamm:showUser", "iam:drop*", "iam:*[Bypass]"], "Resource": "*", "Condition": {}},
  {"Effect": "Deny", "Action": "iam:deletUser", "Resource": "*"},
  {"Effect": "Allow", "NotAction": "iam:DeleteUser", "Resource": "*"},
  {"Effect": "Deny", "NotAction": "iam:ShowUser", "Resource": "*"},
  {"Effect": "Allow", "Action": "iam:showUser", "Resource": ["srn:g:::::iam:user/*", "srn:e:::::iamm:user/*", "srn:e:::::iam:usr/*"]},
  {"Effect": "Allow", "Action": "iam:showUser", "Resource": ["srn:e:::::iam:user/*", "srn:e:::::iam:policy/*"]},
  {"Effect": "Deny", "Action": "iam:showUser", "Resource": "srn:e:::::iam:policy/*"},
  {"Effect": "Allow", "Action": "iam:showGroup", "Resource": "srn:e::kr-west1:::scp-iam:group/foo"},
  {"Effect": "Allow", "Action": "iam:showUser", "Resource": "*", "Condition": {
    "StringNotEquals": {"scp:UserName": ["mallory", "team-*", "${scp:UserId}"]}, "ForAllValues:StringEquals": {"scp:RequestedRegion": "kr-west1"}}}
]}"#
    ));
}

#[test]
fn an_absent_key_is_no_trap_where_another_entry_asks_for_it() {
    let allow = |condition: &str| {
        let statement = format!("{{\"Effect\": \"Allow\", \"Action\": \"*\", \"Resource\": \"*\", \"Condition\": {{{condition}}}}}");
        said(&format!("{{\"Version\": \"2024-07-01\", \"Statement\": {statement}}}"))
    };
    let but = r#""StringNotEquals": {"scp:UserName": "team-x"}"#;
    assert!(allow(but).contains("is true without `scp:UserName`"));
    for asked in [r#""StringLike": {"scp:username": "team-*"}"#, r#""Null": {"scp:UserName": false}"#] {
        assert_eq!(allow(&format!("{but}, {asked}")), "accepted\n\n");
    }
    for no_better in [
        r#""ForAllValues:StringLike": {"scp:UserName": "team-*"}"#,
        r#""Null": {"scp:UserName": [true, false]}"#,
        r#""StringLike": {"scp:UserId": "*"}"#,
    ] {
        assert!(allow(&format!("{but}, {no_better}")).contains("is true without `scp:UserName`"), "{no_better}");
    }
}

#[test]
fn limits_say_what_they_are() {
    let statement = r#"{"Effect": "Allow", "Action": "iam:showUser", "Resource": "*"}"#;
    let many = format!(r#"{{"Version": "2024-07-01", "Statement": [{}]}}"#, vec![statement; 1_001].join(","));
    let list = format!(
        r#"{{"Version": "2024-07-01", "Statement": {{"Effect": "Allow", "Action": [{}], "Resource": "*"}}}}"#,
        vec!["\"iam:*\""; 1_001].join(",")
    );
    let deep = format!(r#"{{"Version": "2024-07-01", "Statement": {}{}}}"#, "[".repeat(8), "]".repeat(8));
    let large = format!("{}{}", " ".repeat(64 * 1024), statement);
    let all = [many, list, deep, large]
        .map(|document| said(&document).lines().filter(|line| !line.starts_with("1 |")).collect::<Vec<_>>().join("\n"));
    assert_snapshot!(all.join("\n----\n"));
    let most = format!(r#"{{"Version": "2024-07-01", "Statement": [{}]}}"#, vec![statement; 1_000].join(","));
    assert!(said(&most).starts_with("accepted"));
}

#[test]
fn warnings_never_crowd_out_errors() {
    let unknown: Vec<String> = (0..900).map(|number| format!("\"iam:none{number}\"")).collect();
    let document = format!(
        r#"{{"Version": "2024-07-01", "Statement": [{{"Effect": "Allow", "Action": [{}], "Resource": "*"}},
{{"Effect": "Maybe", "Action": "*", "Resource": "*"}}]}}"#,
        unknown.join(", ")
    );
    let said = said(&document);
    assert!(said.contains("`Maybe` is not an effect"));
    assert_eq!(said.matches("warning: ").count(), 51);
}
