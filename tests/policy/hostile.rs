//! Documents and requests made to take time or memory: refused at once and with a clear error, or decided in linear time.

use std::time::{Duration, Instant};

use portcullis::policy::{Context, Kind, Policies, Principal, Request, Resource, Scalar, Values, Verdict, evaluate};

use crate::world::{ACCOUNT, case_file, catalogue, load};

/// More than enough for anything here, on any machine; what is quadratic or worse takes minutes.
const SOON: Duration = Duration::from_secs(10);

#[expect(clippy::disallowed_methods, reason = "a test of how long something takes measures time")]
fn soon<T>(run: impl FnOnce() -> T) -> T {
    let started = Instant::now();
    let result = run();
    assert!(started.elapsed() < SOON, "it took {:?}", started.elapsed());
    result
}

/// The first line of what is said about a document that is refused.
fn refused(document: &str) -> String {
    let file = case_file();
    let (policy, report) = soon(|| load(document, ACCOUNT, catalogue(&file)));
    assert!(policy.is_none());
    let text = report.to_string();
    assert!(text.len() < 100_000, "a complaint is not as long as what it is about");
    text.lines().next().unwrap().chars().take(200).collect()
}

fn statement(more: &str) -> String {
    format!(r#"{{"Version": "2024-07-01", "Statement": {{"Effect": "Allow", "Action": "*", {more}}}}}"#)
}

#[test]
fn what_is_too_deep_too_long_or_too_large_is_refused_at_once() {
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    assert_eq!(refused(&deep), "error: arrays and objects nest deeper than 8");
    let nested = statement(&format!(r#""Resource": {deep}"#));
    assert_eq!(refused(&nested), "error: arrays and objects nest deeper than 8");
    let values = vec!["\"x\""; 100_000].join(",");
    let many = statement(&format!(r#""Resource": "*", "Condition": {{"StringEquals": {{"scp:UserName": [{values}]}}}}"#));
    assert_eq!(refused(&many), format!("error: the text has {} bytes; the limit is 65536", many.len()));
    let values = vec!["\"x\""; 1_001].join(",");
    let more = statement(&format!(r#""Resource": "*", "Condition": {{"StringEquals": {{"scp:UserName": [{values}]}}}}"#));
    assert_eq!(refused(&more), "error: `Statement.Condition.StringEquals.scp:UserName`: the list has 1001 entries; the limit is 1000");
    let huge = statement(&format!(r#""Resource": "{}""#, "x".repeat(100_000_000)));
    assert_eq!(refused(&huge), format!("error: the text has {} bytes; the limit is 65536", huge.len()));
    let broken = "{".repeat(60_000);
    assert_eq!(refused(&broken), "error: a member name should stand here");
}

#[test]
fn patterns_with_many_stars_are_refused_and_the_most_there_may_be_match_in_linear_time() {
    let stars = "*a".repeat(40);
    let in_resource = statement(&format!(r#""Resource": "srn:e:::::object-store:bucket/{stars}""#));
    assert_eq!(refused(&in_resource), "error: `Statement.Resource`: the pattern has 40 `*`; the limit is 16");
    let in_condition = statement(&format!(r#""Resource": "*", "Condition": {{"StringLike": {{"scp:UserName": "{stars}"}}}}"#));
    assert_eq!(refused(&in_condition), "error: `Statement.Condition.StringLike.scp:UserName`: the pattern has 40 `*`; the limit is 16");

    let file = case_file();
    let catalogue = catalogue(&file);
    let worst = format!("{}b", "*a".repeat(16));
    let document = statement(&format!(
        r#""Resource": ["srn:e:::::object-store:bucket/{worst}", "*"], "Condition": {{"StringNotLike": {{"scp:UserName": "{worst}"}}}}"#
    ));
    let policy = load(&document, ACCOUNT, catalogue).0.unwrap();
    let long = "a".repeat(10 * 1024);
    let bucket = catalogue.find_resource_type("object-store", "bucket").unwrap();
    let resources = [Resource::new(bucket, ACCOUNT, "", &long)];
    let context = Context { user_name: Values::One(Scalar::Text(&long)), ..Context::EMPTY };
    let action = catalogue.action_id("object-store:UploadObject").unwrap();
    let principal = Principal { kind: Kind::User, account: ACCOUNT, id: "u1" };
    let request = Request { action, resources: &resources, principal, context, needs_resource_policy: false };
    soon(|| {
        for _ in 0..1_000 {
            assert!(matches!(evaluate(&request, &Policies::identity(std::slice::from_ref(&policy))), Verdict::Allow(_)));
        }
    });
}

#[test]
fn an_id_that_repeats_itself_is_not_compared_with_every_pattern_at_each_place() {
    let file = case_file();
    let catalogue = catalogue(&file);
    let patterns: Vec<String> = (0..900).map(|number| format!("\"srn:e:::::object-store:bucket/*aaaa*{number}x*\"")).collect();
    let (policy, report) = load(&statement(&format!(r#""Resource": [{}]"#, patterns.join(","))), ACCOUNT, catalogue);
    let held = [policy.unwrap_or_else(|| panic!("{report}"))];
    let kind = catalogue.find_resource_type("object-store", "bucket").unwrap();
    let id = "a".repeat(1_500);
    let resources = [Resource::new(kind, ACCOUNT, "kr-west1", &id)];
    let request = Request {
        action: catalogue.action_id("object-store:UploadObject").unwrap(),
        resources: &resources,
        principal: Principal { kind: Kind::User, account: ACCOUNT, id: "u1" },
        context: Context::EMPTY,
        needs_resource_policy: false,
    };
    soon(|| (0..10).for_each(|_| assert_eq!(evaluate(&request, &Policies::identity(&held)), Verdict::ImplicitDeny)));
}
