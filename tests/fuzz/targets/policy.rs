//! Documents of all kinds: refused if and only if an error is reported; what is loaded can be decided by, explained and compared.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use portcullis::policy::{
    Attachment, Catalogue, Context, DOCUMENT_BYTES_MAX, Holder, Kind, Owner, Policies, Policy, Principal, Request, Resource, ResourcePolicy,
    Standing, Verdict, Work, covers, evaluate, evaluate_literally, explain, lint, loses_deny, needs, parse, print,
};
use portcullis::policy::cases::{CaseFile, WorldRef};
use portcullis::source::{Report, Source, json};
use portcullis::types::Srn;

const ACCOUNT: &str = "9b7653f6f47a42e38055934a0575a813";
const ROLE: &str = "srn:e::9b7653f6f47a42e38055934a0575a813:::scp-iam:role/operator";
const BUCKET: &str = "srn:e::9b7653f6f47a42e38055934a0575a813:kr-west1::object-store:bucket/foo";

static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(|| {
    let text = include_str!("../../policy/cases.json");
    let root = json::parse(text.as_bytes(), json::Limits { bytes_max: 1 << 20, depth_max: 64 }).expect("the cases are JSON");
    let file = CaseFile::read(&root, &Source::new("cases", text), &Report::new()).expect("the cases are cases");
    let WorldRef::Inline(catalogue) = file.world() else { panic!("the catalogue is elsewhere") };
    (**catalogue).clone()
});

fuzz_target!(|text: &str| {
    let (source, catalogue) = (Source::new("fuzz", text), &*CATALOGUE);
    let report = Report::new();
    let policy = Policy::load(&source, "p", Owner::account(ACCOUNT), catalogue, &report);
    assert_eq!(policy.is_none(), report.has_errors(), "{report}");
    let _ = report.to_string();
    let report = Report::new();
    if let Some(root) = parse(&source, &report) {
        let printed = print(&root);
        // What grows over the limit is refused, as it must be.
        if printed.len() > DOCUMENT_BYTES_MAX {
            return;
        }
        let again = parse(&Source::new("printed", printed.as_str()), &Report::new()).expect("what is printed is a document");
        assert_eq!(print(&again), printed, "printing a second time changes something");
        let loaded = |text: &str| Policy::load(&Source::new("p", text), "p", Owner::account(ACCOUNT), catalogue, &Report::new());
        assert_eq!(loaded(&printed).is_some(), policy.is_some(), "{printed}");
    }
    for srn in [BUCKET, ROLE] {
        let attachment = Attachment::find(&Srn::parse(srn).expect("an SRN"), catalogue).expect("a bucket or a role");
        let report = Report::new();
        let loaded = ResourcePolicy::load(&source, "p", attachment, catalogue, &report);
        assert_eq!(loaded.is_none(), report.has_errors(), "{report}");
        if let Some(loaded) = loaded {
            decide(&[], &[&loaded]);
        }
    }
    if let Some(policy) = policy {
        assert!(!loses_deny(catalogue, &policy, &policy, &Work::new()) || policy.may_deny());
        let holder = Holder { account: ACCOUNT, user_id: Some("u1"), user_name: Some("foo") };
        let _ = covers(catalogue, &holder, std::slice::from_ref(&policy), &policy, &Work::new());
        assert!(lint(&source, &Standing::Identity(Owner::account(ACCOUNT)), catalogue, &Report::new()).is_some());
        decide(std::slice::from_ref(&policy), &[]);
    }
});

fn decide(identity: &[Policy], resource: &[&ResourcePolicy]) {
    let catalogue = &*CATALOGUE;
    let bucket = catalogue.find_resource_type("object-store", "bucket").expect("a type");
    let user = catalogue.find_resource_type("iam", "user").expect("a type");
    let policies = Policies::identity(identity).with_resource(resource);
    for (action, resources) in [
        ("object-store:UploadObject", &[Resource::new(bucket, ACCOUNT, "kr-west1", "foo")][..]),
        ("iam:showUser", &[Resource::new(user, ACCOUNT, "", "u1")]),
        ("iam:listUsers", &[]),
    ] {
        let request = Request {
            action: catalogue.action_id(action).expect("an action"),
            resources,
            principal: Principal { kind: Kind::User, account: ACCOUNT, id: "u1" },
            context: Context::EMPTY,
            needs_resource_policy: false,
        };
        let verdict = evaluate(&request, &policies);
        let literal = evaluate_literally(&request, &policies);
        assert_eq!(std::mem::discriminant(&verdict), std::mem::discriminant(&literal), "{verdict:?} {literal:?}");
        let asked = needs(&request, &policies);
        assert!(verdict != Verdict::Undecided || !asked.tags.is_empty() || !asked.attributes.is_empty() || asked.body);
        explain(&request, &policies, catalogue).iter().for_each(|finding| drop(finding.to_string()));
    }
}
