//! What the engine takes from the heap: nothing for a decision, and a bounded amount for a policy.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::Arc;

use allocation_counter::measure;
use portcullis::policy::{
    Attributes, Catalogue, Context, Kind, Policies, Policy, PolicySet, Principal, Request, Resource, Scalar, Tags, Values, Verdict,
    evaluate,
};

use crate::world::{ACCOUNT, case_file, catalogue, load};

/// The result, after a look at whether anything was taken from the heap.
pub(crate) fn without_heap<T>(run: impl FnOnce() -> T) -> T {
    let mut result = None;
    let taken = measure(|| result = Some(run()));
    assert_eq!((taken.count_total, taken.bytes_total), (0, 0), "allocations and bytes");
    result.unwrap()
}

/// Fifty statements of every shape there is: ids, beginnings, ends, pieces, `?`, conditions of every type, Deny and Allow.
fn document(number: usize) -> String {
    let mut text = String::new();
    for place in 0..50 {
        let id = number * 50 + place;
        let effect = if place % 10 == 9 { "Deny" } else { "Allow" };
        let pattern = [
            format!("id-{id:05}"),
            format!("team-{id:05}-*"),
            format!("*-team-{id:05}"),
            format!("*-{id:05}-*"),
            format!("a?{id:05}*b*c"),
            "*".to_owned(),
        ][place % 6]
            .clone();
        let condition = [
            String::new(),
            format!(r#", "Condition": {{"StringEquals": {{"scp:UserName": ["ada", "u{id}"]}}}}"#),
            r#", "Condition": {"IpAddress": {"scp:SourceIp": ["10.0.0.0/8", "2001:db8::/32"]}, "StringLike": {"scp:RequestedRegion": "kr-*"}}"#
                .to_owned(),
            r#", "Condition": {"DateGreaterThan": {"scp:CurrentTime": "2020-01-01"}, "Bool": {"scp:MultiFactorAuthPresent": "false"}}"#
                .to_owned(),
            r#", "Condition": {"StringEqualsIsIgnoreCase": {"scp:UserName": "ÄDA"}, "Null": {"scp:RequestTag/team": "true"}}"#.to_owned(),
            r#", "Condition": {"ForAllValues:StringLike": {"scp:TagKeys": ["a*", "B*"]}, "StringNotEquals": {"scp:ResourceTag/Team": "red"}}"#
                .to_owned(),
        ][place % 6]
            .clone();
        let comma = if place == 0 { "" } else { "," };
        let _ = write!(
            text,
            r#"{comma}{{"Effect": "{effect}", "Action": "object-store:*", "Resource": "srn:e:::::object-store:bucket/{pattern}"{condition}}}"#
        );
    }
    format!(r#"{{"Version": "2024-07-01", "Statement": [{text}]}}"#)
}

fn policies(count: usize, catalogue: &Catalogue) -> Vec<Arc<Policy>> {
    (0..count)
        .map(|number| {
            let (policy, report) = load(&document(number), ACCOUNT, catalogue);
            Arc::new(policy.unwrap_or_else(|| panic!("{report}")))
        })
        .collect()
}

#[test]
fn a_decision_takes_nothing_from_the_heap() {
    let file = case_file();
    let catalogue = catalogue(&file);
    let held = policies(20, catalogue);
    let set = PolicySet::of(&held).unwrap();
    let bucket = catalogue.find_resource_type("object-store", "bucket").unwrap();
    let action = catalogue.action_id("object-store:UploadObject").unwrap();
    let ids = ["id-00006", "team-00007-x", "x-team-00008", "a-00009-b-00123-c", "ab00010xbxc", "nothing", "ünicode", ""];
    let long = "-00009-".repeat(200);
    let keys = [Scalar::Text("a1"), Scalar::Text("bé")];
    let red = [("TEAM", Values::One(Scalar::Text("red"))), ("other", Values::Many(&keys))];
    let mut seen = [0; 3];
    for id in ids.into_iter().chain([&*long]) {
        for name in ["ada", "äda", "ÄDA", "nobody", &long] {
            for tags in [Tags::Known(&red), Tags::Known(&[]), Tags::Unavailable, Tags::NotFetched] {
                let attributes = Attributes { known: &[], others: Values::NotFetched };
                let resources = [Resource { tags, attributes, ..Resource::new(bucket, ACCOUNT, "kr-west1", id) }];
                let context = Context {
                    source_ip: Values::One(Scalar::Address(IpAddr::from([10, 1, 2, 3]))),
                    now: Values::One(Scalar::Text("2026-01-02T03:04:05Z")),
                    user_name: Values::One(Scalar::Text(name)),
                    mfa: Values::One(Scalar::Bool(false)),
                    requested_region: Values::One(Scalar::Text("kr-west1")),
                    tag_keys: Values::Many(&keys),
                    ..Context::EMPTY
                };
                let principal = Principal { kind: Kind::User, account: ACCOUNT, id: "u1" };
                let request = Request { action, resources: &resources, principal, context, needs_resource_policy: false };
                let one_by_one = without_heap(|| evaluate(&request, &Policies::identity(&held)));
                let together = without_heap(|| evaluate(&request, &Policies::identity(&held).found_by(Some(&set))));
                assert_eq!(std::mem::discriminant(&one_by_one), std::mem::discriminant(&together));
                seen[match one_by_one {
                    Verdict::Allow(_) => 0,
                    Verdict::ExplicitDeny(_) | Verdict::Unavailable(_) => 1,
                    Verdict::ImplicitDeny | Verdict::Undecided | Verdict::InvalidPolicy(_) => 2,
                }] += 1;
            }
        }
    }
    assert!(seen.iter().all(|count| *count > 0), "{seen:?}");
}

/// What a thousand statements take, each of one action, one pattern and at most two conditions.
#[test]
fn what_a_statement_takes_is_bounded() {
    let file = case_file();
    let catalogue = catalogue(&file);
    let (mut held, mut set) = (Vec::new(), None);
    let documents = measure(|| held = policies(20, catalogue));
    let together = measure(|| set = PolicySet::of(&held));
    let (each, more) = (documents.bytes_current / 1_000, together.bytes_current / 1_000);
    println!("a statement takes {each} bytes, and {more} more in a set");
    assert!(set.is_some_and(|set| set.statements() == 1_000));
    assert!((1..1_500).contains(&each) && (1..400).contains(&more), "{each} and {more} bytes");
}
