//! An SRN pattern and an SRN, a line each: the compiled pattern matches exactly what a naive matcher does.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use portcullis::policy::{Catalogue, Context, Kind, Owner, Policies, Policy, Principal, Request, Resource, Verdict, evaluate};
use portcullis::source::{Report, Source, json};
use portcullis::types::{AccessLevel, Srn};

const ACCOUNT: &str = "acc";

static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(|| {
    let mut builder = Catalogue::builder("e".parse().expect("an offering"));
    builder.service("iam", "scp-iam", &["identity"]).expect("a service");
    let kinds: Vec<_> = ["iam:user", "iam:group"].iter().map(|kind| builder.resource_type(kind).expect("a type")).collect();
    builder.action("iam:Do".parse().expect("a name"), AccessLevel::Read, &kinds).expect("an action");
    builder.build()
});

fuzz_target!(|text: &str| {
    let Some((pattern, srn)) = text.split_once('\n') else { return };
    let document = format!(
        r#"{{"Version": "2024-07-01", "Statement": {{"Effect": "Allow", "Action": "*", "Resource": {}}}}}"#,
        json::quoted(pattern)
    );
    let (source, report, catalogue) = (Source::new("fuzz", document), Report::new(), &*CATALOGUE);
    let Some(policy) = Policy::load(&source, "p", Owner::account(ACCOUNT), catalogue, &report) else { return };
    let Ok(srn) = Srn::parse(srn) else { return };
    let Some(kind) = catalogue.find_resource_type(srn.service_type, srn.resource_type).filter(|_| srn.offering == "e") else { return };
    let resources = [Resource::new(kind, ACCOUNT, srn.region, srn.resource_id)];
    let request = Request {
        action: catalogue.action_id("iam:Do").expect("an action"),
        resources: &resources,
        principal: Principal { kind: Kind::User, account: ACCOUNT, id: "u1" },
        context: Context::EMPTY,
        needs_resource_policy: false,
    };
    let matched = matches!(evaluate(&request, &Policies::identity(&[policy])), Verdict::Allow(_));
    assert_eq!(matched, pattern == "*" || naive(pattern, &srn), "{pattern:?} {srn:?}");
});

/// Field by field, each in quadratic time and without any cleverness.
fn naive(pattern: &str, srn: &Srn<'_>) -> bool {
    let Ok(pattern) = Srn::parse(pattern) else { return false };
    let known = |name: &str| matches!(name, "iam" | "scp-iam" | "identity" | "scp-identity");
    pattern.offering == srn.offering
        && (pattern.account.is_empty() || pattern.account == ACCOUNT)
        && (pattern.region.is_empty() || glob(pattern.region, srn.region))
        && known(pattern.service_type)
        && glob(pattern.resource_type, srn.resource_type)
        && glob(pattern.resource_id, srn.resource_id)
}

/// Row by row: whether the first characters of the pattern match the first of the text.
fn glob(pattern: &str, text: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    let mut row = vec![false; text.len() + 1];
    row[0] = true;
    for wanted in pattern.chars() {
        let mut next = vec![false; text.len() + 1];
        for end in 0..=text.len() {
            next[end] = match wanted {
                '*' => row[end] || end > 0 && next[end - 1],
                _ => end > 0 && row[end - 1] && (wanted == '?' || text[end - 1] == wanted),
            };
        }
        row = next;
    }
    row[text.len()]
}
