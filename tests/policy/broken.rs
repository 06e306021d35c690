//! Twenty broken documents, each with one mistake that people make, and each mended as its message says. The messages are written for
//! somebody who has never seen the language: where it is, what is wrong, what to write instead.

use portcullis::policy::{Attachment, Owner, Standing, lint};
use portcullis::source::{Report, Source};
use portcullis::types::Srn;

use crate::world::{ACCOUNT, case_file, catalogue};

/// A mistake: what it is, where the policy stands, the document with it, and the document mended.
struct Mistake {
    name: &'static str,
    place: Place,
    broken: &'static str,
    mended: &'static str,
}

#[derive(Clone, Copy)]
enum Place {
    User,
    Bucket,
}

/// What is said of a document, and whether it can be used.
fn said(document: &str, place: Place) -> (bool, String) {
    let file = case_file();
    let catalogue = catalogue(&file);
    let bucket = format!("srn:e::{ACCOUNT}:kr-west1::object-store:bucket/photos");
    let standing = match place {
        Place::User => Standing::Identity(Owner::account(ACCOUNT)),
        Place::Bucket => Standing::Resource(Attachment::find(&Srn::parse(&bucket).unwrap(), catalogue).unwrap()),
    };
    let (source, report) = (Source::new("policy.json", document), Report::new());
    let read = lint(&source, &standing, catalogue, &report);
    (read.is_some(), report.to_string())
}

#[test]
fn twenty_mistakes_can_be_mended_from_what_is_said_of_them() {
    assert_eq!(MISTAKES.len(), 20);
    for Mistake { name, place, broken, mended } in MISTAKES {
        let (_, text) = said(broken, *place);
        assert!(!text.is_empty(), "nothing is said of {name}");
        insta::with_settings!({omit_expression => true, description => *name}, {
            insta::assert_snapshot!(name.replace([' ', '`'], "_"), text);
        });
        let (good, text) = said(mended, *place);
        assert!(good && text.is_empty(), "{name}, mended:\n{text}");
    }
}

const MISTAKES: &[Mistake] = &[
    Mistake {
        name: "a missing comma",
        place: Place::User,
        broken: r#"{
  "Version": "2024-07-01",
  "Statement": [
    {
      "Sid": "ReadUsers"
      "Effect": "Allow",
      "Action": ["iam:showUser", "iam:listUsers"],
      "Resource": ["*"]
    }
  ]
}"#,
        mended: r#"{
  "Version": "2024-07-01",
  "Statement": [
    {
      "Sid": "ReadUsers",
      "Effect": "Allow",
      "Action": ["iam:showUser", "iam:listUsers"],
      "Resource": ["*"]
    }
  ]
}"#,
    },
    Mistake {
        name: "a comment",
        place: Place::User,
        broken: r#"{
  "Version": "2024-07-01",
  "Statement": [
    {
      // nobody deletes users
      "Effect": "Deny",
      "Action": ["iam:deleteUser"],
      "Resource": ["*"]
    }
  ]
}"#,
        mended: r#"{
  "Version": "2024-07-01",
  "Statement": [
    {
      "Effect": "Deny",
      "Action": ["iam:deleteUser"],
      "Resource": ["*"]
    }
  ]
}"#,
    },
    Mistake {
        name: "a comma too many",
        place: Place::User,
        broken: r#"{
  "Version": "2024-07-01",
  "Statement": [
    {
      "Effect": "Allow",
      "Action": ["iam:showUser", "iam:listUsers",],
      "Resource": ["*"],
    }
  ]
}"#,
        mended: r#"{
  "Version": "2024-07-01",
  "Statement": [
    {
      "Effect": "Allow",
      "Action": ["iam:showUser", "iam:listUsers"],
      "Resource": ["*"]
    }
  ]
}"#,
    },
    Mistake {
        name: "a word without quotes",
        place: Place::User,
        broken: r#"{
  "Version": "2024-07-01",
  "Statement": [
    {
      "Effect": Allow,
      "Action": ["server:startInstance"],
      "Resource": [*]
    }
  ]
}"#,
        mended: r#"{
  "Version": "2024-07-01",
  "Statement": [
    {
      "Effect": "Allow",
      "Action": ["server:startInstance"],
      "Resource": ["*"]
    }
  ]
}"#,
    },
    Mistake {
        name: "typographic quotes",
        place: Place::User,
        broken: r#"{
  "Version": "2024-07-01",
  "Statement": [
    {
      “Effect”: “Allow”,
      "Action": ["iam:showUser"],
      "Resource": ["*"]
    }
  ]
}"#,
        mended: r#"{
  "Version": "2024-07-01",
  "Statement": [
    {
      "Effect": "Allow",
      "Action": ["iam:showUser"],
      "Resource": ["*"]
    }
  ]
}"#,
    },
    Mistake {
        name: "a version of its own",
        place: Place::User,
        broken: r#"{
  "Version": "1.2",
  "Statement": [
    {"Effect": "Allow", "Action": ["iam:showUser"], "Resource": ["*"]}
  ]
}"#,
        mended: r#"{
  "Version": "2024-07-01",
  "Statement": [
    {"Effect": "Allow", "Action": ["iam:showUser"], "Resource": ["*"]}
  ]
}"#,
    },
    Mistake {
        name: "a policy of AWS",
        place: Place::User,
        broken: r#"{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Effect": "Deny",
      "Action": ["iam:DeleteUser"],
      "Resource": ["arn:aws:iam::123456789012:user/*"],
      "Condition": {"NotIpAddress": {"aws:SourceIp": ["203.0.113.0/24"]}}
    }
  ]
}"#,
        mended: r#"{
  "Version": "2024-07-01",
  "Statement": [
    {
      "Effect": "Deny",
      "Action": ["iam:deleteUser"],
      "Resource": ["srn:e:::::iam:user/*"],
      "Condition": {"NotIpAddress": {"scp:SourceIp": ["203.0.113.0/24"]}}
    }
  ]
}"#,
    },
    Mistake {
        name: "an action without its service",
        place: Place::User,
        broken: r#"{
  "Version": "2024-07-01",
  "Statement": [
    {"Effect": "Allow", "Action": ["startInstance"], "Resource": ["*"]}
  ]
}"#,
        mended: r#"{
  "Version": "2024-07-01",
  "Statement": [
    {"Effect": "Allow", "Action": ["server:startInstance"], "Resource": ["*"]}
  ]
}"#,
    },
    Mistake {
        name: "an action in another letter case",
        place: Place::User,
        broken: r#"{
  "Version": "2024-07-01",
  "Statement": [
    {"Effect": "Deny", "Action": ["iam:DeleteUser"], "Resource": ["*"]}
  ]
}"#,
        mended: r#"{
  "Version": "2024-07-01",
  "Statement": [
    {"Effect": "Deny", "Action": ["iam:deleteUser"], "Resource": ["*"]}
  ]
}"#,
    },
    Mistake {
        name: "a misspelt effect",
        place: Place::User,
        broken: r#"{
  "Version": "2024-07-01",
  "Statement": [
    {"Effect": "Denied", "Action": ["iam:deleteUser"], "Resource": ["*"]}
  ]
}"#,
        mended: r#"{
  "Version": "2024-07-01",
  "Statement": [
    {"Effect": "Deny", "Action": ["iam:deleteUser"], "Resource": ["*"]}
  ]
}"#,
    },
    Mistake {
        name: "conditions instead of a condition",
        place: Place::User,
        broken: r#"{
  "Version": "2024-07-01",
  "Statement": [
    {
      "Effect": "Allow",
      "Action": ["kms:decrypt"],
      "Resource": ["*"],
      "Conditions": {"Bool": {"scp:MultiFactorAuthPresent": "true"}}
    }
  ]
}"#,
        mended: r#"{
  "Version": "2024-07-01",
  "Statement": [
    {
      "Effect": "Allow",
      "Action": ["kms:decrypt"],
      "Resource": ["*"],
      "Condition": {"Bool": {"scp:MultiFactorAuthPresent": "true"}}
    }
  ]
}"#,
    },
    Mistake {
        name: "a principal in the policy of a user",
        place: Place::User,
        broken: r#"{
  "Version": "2024-07-01",
  "Statement": [
    {
      "Effect": "Allow",
      "Principal": {"scp": ["srn:e::1234:::scp-iam:user/abc3d3442"]},
      "Action": ["iam:showUser"],
      "Resource": ["*"]
    }
  ]
}"#,
        mended: r#"{
  "Version": "2024-07-01",
  "Statement": [
    {
      "Effect": "Allow",
      "Action": ["iam:showUser"],
      "Resource": ["*"]
    }
  ]
}"#,
    },
    Mistake {
        name: "no principal in the policy of a resource",
        place: Place::Bucket,
        broken: r#"{
  "Version": "2024-07-01",
  "Statement": [
    {
      "Effect": "Allow",
      "Action": ["object-store:DownloadObject"],
      "Resource": ["srn:e:::kr-west1::object-store:bucket/photos"]
    }
  ]
}"#,
        mended: r#"{
  "Version": "2024-07-01",
  "Statement": [
    {
      "Effect": "Allow",
      "Principal": {"scp": ["srn:e::1234:::scp-iam:user/abc3d3442"]},
      "Action": ["object-store:DownloadObject"],
      "Resource": ["srn:e:::kr-west1::object-store:bucket/photos"]
    }
  ]
}"#,
    },
    Mistake {
        name: "everybody as principal",
        place: Place::Bucket,
        broken: r#"{
  "Version": "2024-07-01",
  "Statement": [
    {
      "Effect": "Allow",
      "Principal": "*",
      "Action": ["object-store:DownloadObject"],
      "Resource": ["srn:e:::kr-west1::object-store:bucket/photos"]
    }
  ]
}"#,
        mended: r#"{
  "Version": "2024-07-01",
  "Statement": [
    {
      "Effect": "Allow",
      "Principal": {"scp": ["srn:e::1234:::scp-iam:user/abc3d3442", "srn:e::5678:::scp-iam:role/reader"]},
      "Action": ["object-store:DownloadObject"],
      "Resource": ["srn:e:::kr-west1::object-store:bucket/photos"]
    }
  ]
}"#,
    },
    Mistake {
        name: "the region where the account stands",
        place: Place::User,
        broken: r#"{
  "Version": "2024-07-01",
  "Statement": [
    {"Effect": "Allow", "Action": ["server:startInstance"], "Resource": ["srn:e::kr-west1:::scp-compute:instance/*"]}
  ]
}"#,
        mended: r#"{
  "Version": "2024-07-01",
  "Statement": [
    {"Effect": "Allow", "Action": ["server:startInstance"], "Resource": ["srn:e:::kr-west1::scp-compute:instance/*"]}
  ]
}"#,
    },
    Mistake {
        name: "every account",
        place: Place::User,
        broken: r#"{
  "Version": "2024-07-01",
  "Statement": [
    {"Effect": "Allow", "Action": ["server:startInstance"], "Resource": ["srn:e::*:*::scp-compute:instance/*"]}
  ]
}"#,
        mended: r#"{
  "Version": "2024-07-01",
  "Statement": [
    {"Effect": "Allow", "Action": ["server:startInstance"], "Resource": ["srn:e:::*::scp-compute:instance/*"]}
  ]
}"#,
    },
    Mistake {
        name: "a type of resource without an id",
        place: Place::User,
        broken: r#"{
  "Version": "2024-07-01",
  "Statement": [
    {"Effect": "Deny", "Action": ["iam:deleteUser"], "Resource": ["srn:e:::::scp-iam:user"]}
  ]
}"#,
        mended: r#"{
  "Version": "2024-07-01",
  "Statement": [
    {"Effect": "Deny", "Action": ["iam:deleteUser"], "Resource": ["srn:e:::::scp-iam:user/*"]}
  ]
}"#,
    },
    Mistake {
        name: "an operator that does not fit its key",
        place: Place::User,
        broken: r#"{
  "Version": "2024-07-01",
  "Statement": [
    {
      "Effect": "Allow",
      "Action": ["kms:decrypt"],
      "Resource": ["*"],
      "Condition": {"StringEquals": {"scp:SourceIp": ["203.0.113.7"]}}
    }
  ]
}"#,
        mended: r#"{
  "Version": "2024-07-01",
  "Statement": [
    {
      "Effect": "Allow",
      "Action": ["kms:decrypt"],
      "Resource": ["*"],
      "Condition": {"IpAddress": {"scp:SourceIp": ["203.0.113.7"]}}
    }
  ]
}"#,
    },
    Mistake {
        name: "a network that is none",
        place: Place::User,
        broken: r#"{
  "Version": "2024-07-01",
  "Statement": [
    {
      "Effect": "Deny",
      "Action": ["*"],
      "Resource": ["*"],
      "Condition": {"NotIpAddress": {"scp:SourceIp": ["203.0.113.*", "198.51.100.0/255.255.255.0"]}}
    }
  ]
}"#,
        mended: r#"{
  "Version": "2024-07-01",
  "Statement": [
    {
      "Effect": "Deny",
      "Action": ["*"],
      "Resource": ["*"],
      "Condition": {"NotIpAddress": {"scp:SourceIp": ["203.0.113.0/24", "198.51.100.0/24"]}}
    }
  ]
}"#,
    },
    Mistake {
        name: "a time without a zone",
        place: Place::User,
        broken: r#"{
  "Version": "2024-07-01",
  "Statement": [
    {
      "Effect": "Allow",
      "Action": ["server:*"],
      "Resource": ["*"],
      "Condition": {"DateLessThan": {"scp:CurrentTime": ["2026-12-31T18:00:00"]}}
    }
  ]
}"#,
        mended: r#"{
  "Version": "2024-07-01",
  "Statement": [
    {
      "Effect": "Allow",
      "Action": ["server:*"],
      "Resource": ["*"],
      "Condition": {"DateLessThan": {"scp:CurrentTime": ["2026-12-31T18:00:00+09:00"]}}
    }
  ]
}"#,
    },
];
