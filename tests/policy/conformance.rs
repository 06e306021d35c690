//! Every conformance case: decided as it says, or counted under the feature that is still to come.

use std::collections::BTreeMap;
use std::sync::Arc;

use portcullis::policy::{Catalogue, Outcome, Policy, Request, Resource, Verdict, evaluate, explain};
use portcullis::source::{Node, Value};
use portcullis::types::Srn;

use crate::world::{self, entries, list, load, optional, text};

/// How many cases there are.
const CASES: usize = 234;

/// What is not built yet, and exactly how many cases wait for it. Numbers may only fall.
const NOT_BUILT: &[(&str, usize)] = &[
    ("request attributes", 1),
    ("resource attributes", 25),
    ("resource-based policies", 24),
    ("session policies", 2),
    ("source address that is none", 1),
    ("tags", 24),
];

/// What became of a case.
enum Result {
    /// As the case expects.
    Passed,
    /// Not as it expects.
    Failed(String),
    /// It waits for a feature, and until then is refused.
    Waits(&'static str),
}

#[test]
fn every_case_is_decided_as_it_says_or_waits_for_a_named_feature() {
    let all = world::cases();
    let catalogue = world::catalogue(&all);
    let cases = list(&all, "cases");
    assert_eq!(cases.len(), CASES);
    let mut waiting: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut failed = Vec::new();
    let mut passed = 0;
    for case in cases {
        let outcome = match text(case, "kind") {
            "decision" => decision(case, &catalogue),
            "validation" => validation(case, &catalogue),
            other => Result::Failed(format!("kind {other}")),
        };
        match outcome {
            Result::Passed => passed += 1,
            Result::Failed(why) => failed.push(format!("{}: {why}", text(case, "id"))),
            Result::Waits(feature) => waiting.entry(feature).or_default().push(text(case, "id")),
        }
    }
    println!("{passed} of {CASES} cases pass; these wait:");
    for (feature, ids) in &waiting {
        println!("  {feature}: {} ({})", ids.len(), ids.join(" "));
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    let counted: Vec<(&str, usize)> = waiting.iter().map(|(feature, ids)| (*feature, ids.len())).collect();
    assert_eq!(counted, NOT_BUILT, "the list of what is not built must say exactly what is not built");
}

fn decision(case: &Node, catalogue: &Catalogue) -> Result {
    let asked = case.get("request").unwrap();
    let principal = asked.get("principal").unwrap();
    let account = optional(principal, "account");
    let loaded: Vec<_> = policies(case, "identity_policies", account, catalogue).collect();
    // Fail closed: what is not built must be refused at load, or not be expressible at all.
    let refused = loaded.iter().find_map(|(policy, report)| policy.is_none().then(|| report.clone()));
    if let Some(report) = refused {
        return match waiting_in_text(&report) {
            Some(feature) => Result::Waits(feature),
            None => Result::Failed(format!("a policy is refused:\n{report}")),
        };
    }
    let held: Vec<Arc<Policy>> = loaded.into_iter().filter_map(|(policy, _)| policy).map(Arc::new).collect();
    if !list(case, "resource_policies").is_empty() {
        return unless_any_is_accepted(policies(case, "resource_policies", account, catalogue), "resource-based policies");
    }
    if case.get("session_policies").is_some() {
        return Result::Waits("session policies");
    }
    let account = account.unwrap_or_else(|| panic!("a principal without an account"));
    let resources: Vec<Resource<'_>> =
        list(asked, "resources").iter().map(|found| world::resource(text(found, "srn"), catalogue)).collect();
    let mut request = Request {
        principal_account: account,
        root_of_account: text(principal, "type") == "root",
        ..world::request(text(asked, "action"), &resources, catalogue)
    };
    for (key, value) in entries(asked, "context") {
        if let Err(feature) = world::set(&mut request.context, key, value) {
            return Result::Waits(feature);
        }
    }
    let verdict = evaluate(&request, &held);
    let found = match verdict {
        Verdict::Allow(_) => ("Allow", "allow"),
        Verdict::ExplicitDeny(_) => ("Deny", "explicit_deny"),
        Verdict::ImplicitDeny => ("Deny", "implicit_deny"),
        Verdict::InvalidPolicy { .. } => ("Deny", "invalid_policy"),
    };
    let findings = explain(&request, &held, catalogue);
    let explained: Vec<String> = findings.iter().map(ToString::to_string).collect();
    if found != (text(case, "expect"), text(case, "reason")) {
        return Result::Failed(format!("{found:?}, not {:?}\n{}", (text(case, "expect"), text(case, "reason")), explained.join("\n")));
    }
    let deciding = match verdict {
        Verdict::Allow(deciding) => deciding,
        Verdict::ExplicitDeny(deciding) => Some(deciding),
        Verdict::ImplicitDeny | Verdict::InvalidPolicy { .. } => None,
    };
    let applied = |found: &&portcullis::policy::Finding| found.outcome == Outcome::Applied;
    match deciding {
        Some(deciding)
            if !findings.iter().filter(applied).any(|found| (found.policy, found.statement) == (deciding.policy, deciding.statement)) =>
        {
            Result::Failed(format!("the explanation does not say that {deciding:?} applied:\n{}", explained.join("\n")))
        }
        None if !request.root_of_account && findings.iter().any(|found| applied(&found)) => {
            Result::Failed(format!("the explanation says that something applied:\n{}", explained.join("\n")))
        }
        Some(_) | None => Result::Passed,
    }
}

fn validation(case: &Node, catalogue: &Catalogue) -> Result {
    let document = optional(case, "raw").map_or_else(|| world::print(case.get("policy").unwrap()), str::to_owned);
    let (policy, report) = load(&document, world::ACCOUNT, catalogue);
    let accepted = policy.is_some();
    if text(case, "policy_kind") == "resource" {
        // Without a Principal it is a policy of users, and only such policies can be loaded yet.
        return if accepted && document.contains("\"Principal\"") {
            Result::Failed("a resource-based policy is accepted".to_owned())
        } else {
            Result::Waits("resource-based policies")
        };
    }
    match (text(case, "expect"), accepted) {
        ("Accept", true) | ("Reject", false) => Result::Passed,
        ("Accept", false) => match waiting_in_text(&report.to_string()) {
            Some(feature) => Result::Waits(feature),
            None => Result::Failed(format!("refused:\n{report}")),
        },
        (expected, _) => Result::Failed(format!("accepted, not {expected}")),
    }
}

fn policies<'a>(
    case: &'a Node,
    key: &str,
    account: Option<&'a str>,
    catalogue: &'a Catalogue,
) -> impl Iterator<Item = (Option<Policy>, String)> + 'a {
    list(case, key).iter().map(move |found| {
        let owner = match optional(found, "attached_to") {
            Some(srn) => Srn::parse(srn).unwrap().account,
            None => account.unwrap_or(""),
        };
        let (policy, report) = load(&world::print(found.get("policy").unwrap_or(found)), owner, catalogue);
        (policy, report.to_string())
    })
}

fn unless_any_is_accepted(mut policies: impl Iterator<Item = (Option<Policy>, String)>, feature: &'static str) -> Result {
    if policies.any(|(policy, _)| policy.is_some()) { Result::Failed(format!("{feature}: accepted")) } else { Result::Waits(feature) }
}

/// The feature that a refusal names.
fn waiting_in_text(report: &str) -> Option<&'static str> {
    [
        ("is not supported yet: it is about tags", "tags"),
        ("attributes of resources are not supported yet", "resource attributes"),
        ("is not supported yet: it is about attributes of the request", "request attributes"),
    ]
    .into_iter()
    .find(|(part, _)| report.contains(part))
    .map(|(_, feature)| feature)
}

#[test]
fn the_cases_are_the_published_ones() {
    let all = world::cases();
    assert_eq!(text(&all, "format"), "scp-policy-cases/1");
    let ids: std::collections::BTreeSet<&str> = list(&all, "cases").iter().map(|case| text(case, "id")).collect();
    assert_eq!(ids.len(), CASES, "an id stands twice");
    assert!(matches!(all.get("catalog").unwrap().value, Value::Map(_)));
}
