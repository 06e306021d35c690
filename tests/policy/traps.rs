//! Laws of the lints on generated policies: what they call of no effect can be removed, one by one and all at once, and nothing that
//! is allowed or refused changes.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::{Arc, LazyLock};

use portcullis::policy::cases::CaseFile;
use portcullis::policy::{
    Attachment, Attributes, Catalogue, Context, Kind, Owner, Policies, Policy, Principal, Request, Resource, ResourcePolicy, Scalar,
    Standing, Tags, Values, Verdict, evaluate, lint,
};
use portcullis::source::{Key, Node, Report, Source, Span, Value, json};
use portcullis::types::Srn;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use proptest::strategy::ValueTree as _;

use crate::agreement::{World, parse};
use crate::generate::Generator;
use crate::world::{self, ACCOUNT};

static FILE: LazyLock<CaseFile> = LazyLock::new(world::case_file);

const ACTIONS: &[&str] = &[
    "*",
    "iam:*",
    "iam:show*",
    "iam:*User",
    "iam:showUser",
    "iam:listUsers",
    "iam:ShowUserPolicy",
    "iam:showPolicy",
    "iam:*[Read]",
    "server:showInstance",
    "server:listInstances",
    "resourcemanager:addTags",
    "iam:none",
    "none:*",
];
const PATTERNS: &[&str] = &[
    "*",
    "srn:e:::::iam:user/*",
    "srn:e:::::scp-iam:user/u1",
    "srn:e:::::iam:user/u?",
    "srn:e:::::iam:*/*",
    "srn:e:::::iam:policy/p*",
    "srn:e:::kr-west?::scp-compute:instance/i*",
    "srn:e:::::none:x/*",
];
const CONDITIONS: &[(&str, &str, &str)] = &[
    ("StringEquals", "scp:UserName", r#"["foo", "bar"]"#),
    ("StringEquals", "scp:UserId", r#""u1""#),
    ("ForAnyValue:StringEquals", "scp:UserName", r#"["baz"]"#),
    ("ForAllValues:StringEquals", "scp:UserName", r#"["foo"]"#),
    ("StringNotEquals", "scp:username", r#"["foo", "baz"]"#),
    ("StringEqualsIsIgnoreCase", "scp:UserName", r#""FOO""#),
    ("StringNotEqualsIsIgnoreCase", "scp:UserName", r#"["Foo"]"#),
    ("StringLike", "scp:UserName", r#"["f*", "b*z"]"#),
    ("StringNotLike", "scp:UserName", r#"["f*", "b*"]"#),
    ("Null", "scp:UserName", r#""true""#),
    ("Bool", "scp:MultiFactorAuthPresent", r#""true""#),
    ("ForAllValues:Bool", "scp:MultiFactorAuthPresent", r#""false""#),
    ("Null", "scp:MultiFactorAuthPresent", r#""false""#),
    ("IpAddress", "scp:SourceIp", r#"["10.0.0.0/9", "2001:db8::/32"]"#),
    ("NotIpAddress", "scp:SourceIp", r#"["10.0.0.0/8", "2001:db8::/16"]"#),
    ("ForAllValues:IpAddress", "scp:SourceIp", r#"["192.0.2.0/24"]"#),
    ("DateLessThan", "scp:CurrentTime", r#"["2026-01-01", "2026-06-01"]"#),
    ("DateGreaterThan", "scp:CurrentTime", r#""2026-06-01""#),
    ("DateGreaterThanEquals", "scp:CurrentTime", r#"["2026-03-01", "2026-09-01"]"#),
    ("DateLessThanEquals", "scp:CurrentTime", r#"["2026-01-01", "2026-03-01"]"#),
    ("DateEquals", "scp:CurrentTime", r#""2026-03-01""#),
    ("DateNotEquals", "scp:CurrentTime", r#""2026-03-01""#),
    ("Null", "scp:CurrentTime", r#""true""#),
    ("StringEquals", "scp:TagKeys", r#"["a"]"#),
    ("ForAnyValue:StringEquals", "scp:TagKeys", r#"["b"]"#),
    ("ForAllValues:StringEquals", "scp:TagKeys", r#"["b"]"#),
    ("Null", "scp:TagKeys", r#""false""#),
    ("StringEquals", "scp:ResourceTag/team", r#""red""#),
    ("StringNotEquals", "scp:ResourceTag/team", r#""red""#),
    ("ForAllValues:StringEquals", "scp:ResourceTag/team", r#"["blue"]"#),
    ("Null", "scp:ResourceTag/Team", r#""true""#),
    ("StringEquals", "scp:RequestTag/team", r#""red""#),
    ("Null", "scp:RequestTag/Team", r#""true""#),
    ("NumericLessThan", "virtual-servers:instanceVcpu", r#"4"#),
    ("ForAllValues:NumericGreaterThan", "virtual-servers:instanceVcpu", r#"["4", "16"]"#),
    ("NumericEquals", "virtual-servers:instanceVcpu", r#"[2, 8]"#),
    ("StringEquals", "iam:userLastname", r#""kim""#),
    ("Null", "iam:userLastname", r#""true""#),
    ("StringEquals", "iam:userNone", r#""kim""#),
];
const PRINCIPALS: &[&str] = &[
    r#"{"scp": "srn:e::ACCOUNT:::iam:user/u1"}"#,
    r#"{"scp": ["srn:e::ACCOUNT:::iam:user/u1", "srn:e::ACCOUNT:::iam:user/u2"]}"#,
    r#"{"scp": "srn:e::ACCOUNT:::iam:user/u2"}"#,
];

/// A request: action, resources.
const REQUESTS: &[(&str, &[&str])] = &[
    ("iam:showUser", &["srn:e::ACCOUNT:::scp-iam:user/u1"]),
    ("iam:deleteUser", &["srn:e::ACCOUNT:::scp-iam:user/x"]),
    ("iam:listUsers", &[]),
    ("iam:ShowUserPolicy", &["srn:e::ACCOUNT:::scp-iam:user/u1", "srn:e::ACCOUNT:::scp-iam:policy/p1"]),
    ("iam:showPolicy", &["srn:e::ACCOUNT:::scp-iam:policy/p1"]),
    ("server:showInstance", &["srn:e::ACCOUNT:kr-west1::scp-compute:instance/i1", "srn:e::ACCOUNT:kr-west1::scp-compute:instance/j1"]),
    ("server:listInstances", &[]),
];

/// A statement before it is JSON.
#[derive(Debug, Clone)]
struct Written {
    deny: bool,
    not: bool,
    actions: Vec<&'static str>,
    resources: Vec<&'static str>,
    conditions: Vec<(&'static str, &'static str, &'static str)>,
    principal: &'static str,
}

impl Written {
    fn json(&self, at_resource: bool) -> String {
        let operators: BTreeSet<&str> = self.conditions.iter().map(|(operator, ..)| *operator).collect();
        let block = |operator: &&str| {
            let of_operator = self.conditions.iter().filter(|(other, ..)| other == operator);
            let keys: Vec<String> = of_operator.map(|(_, key, values)| format!("\"{key}\": {values}")).collect();
            format!("\"{operator}\": {{{}}}", keys.join(", "))
        };
        let (effect, element) = (if self.deny { "Deny" } else { "Allow" }, if self.not { "NotAction" } else { "Action" });
        let mut json = format!("{{\"Effect\": \"{effect}\", \"{element}\": {:?}, \"Resource\": {:?}", self.actions, self.resources);
        if at_resource {
            let _ = write!(json, ", \"Principal\": {}", self.principal.replace("ACCOUNT", ACCOUNT));
        }
        if !operators.is_empty() {
            let _ = write!(json, ", \"Condition\": {{{}}}", operators.iter().map(block).collect::<Vec<_>>().join(", "));
        }
        json + "}"
    }

    /// The same as it may stand at a user: actions of its service, and the user among the resources.
    fn at_user(&self) -> Self {
        let actions: Vec<_> = self.actions.iter().filter(|action| action.starts_with("iam:")).copied().collect();
        let actions = if actions.is_empty() { vec!["iam:showUser"] } else { actions };
        let names_user = self.resources.iter().any(|pattern| ["*", "srn:e:::::iam:*/*"].contains(pattern) || pattern.contains(":user/"));
        let resources = if names_user { self.resources.clone() } else { vec!["*"] };
        Self { actions, resources, ..self.clone() }
    }
}

/// Several conditions on one key, which often contradict each other.
fn of_one_key() -> impl Strategy<Value = Vec<(&'static str, &'static str, &'static str)>> {
    select(CONDITIONS).prop_flat_map(|(_, key, _)| {
        let same: Vec<_> = CONDITIONS.iter().filter(|(_, other, _)| other.eq_ignore_ascii_case(key)).copied().collect();
        let most = same.len().min(3);
        subsequence(same, 1..=most)
    })
}

fn written() -> impl Strategy<Value = Written> {
    let conditions = prop_oneof![subsequence(CONDITIONS, 0..2), of_one_key()];
    (any::<bool>(), prop::bool::weighted(0.1), subsequence(ACTIONS, 1..3), subsequence(PATTERNS, 1..3), conditions, select(PRINCIPALS))
        .prop_map(|(deny, not, actions, resources, conditions, principal)| Written { deny, not, actions, resources, conditions, principal })
}

/// Several statements; some are made from others by leaving something out, so that they often include each other.
fn documents() -> impl Strategy<Value = Vec<Written>> {
    let derived = (any::<prop::sample::Index>(), 0..4_u8, any::<bool>());
    (prop::collection::vec(written(), 1..4), prop::collection::vec(derived, 0..3)).prop_map(|(mut all, derived)| {
        for (from, what, flip) in derived {
            let mut one = all[from.index(all.len())].clone();
            match what {
                0 => one.conditions.clear(),
                1 => one.resources = vec!["*"],
                2 => one.actions = vec![if one.not { "iam:none" } else { "iam:*" }],
                _ => {}
            }
            one.deny ^= flip;
            all.push(one);
        }
        all
    })
}

/// What a gateway knows of a request: the address, the time and the way of authentication always.
#[derive(Debug, Clone)]
struct Known {
    address: &'static str,
    now: &'static str,
    name: Option<&'static str>,
    mfa: Option<bool>,
    tag_keys: Option<Vec<&'static str>>,
    tags: Option<Vec<(&'static str, &'static str)>>,
    request_tags: Option<Vec<(&'static str, &'static str)>>,
    attribute: Option<Option<&'static str>>,
}

fn known() -> impl Strategy<Value = Known> {
    let tags = || prop::option::weighted(0.9, subsequence(&[("team", "red"), ("Team", "blue"), ("other", "red")], 0..3));
    (
        select(&["10.1.2.3", "10.200.0.1", "192.0.2.1", "198.51.100.1", "2001:db8::1", "::ffff:10.1.2.3"]),
        select(&["2025-12-31T00:00:00Z", "2026-03-01T00:00:00Z", "2026-05-01T00:00:00Z", "2026-07-01T00:00:00Z", "2026-10-01T00:00:00Z"]),
        select(&[None, Some("foo"), Some("Foo"), Some("baz"), Some("bar"), Some("x")]),
        any::<Option<bool>>(),
        prop::option::weighted(0.9, subsequence(&["a", "b", "c"], 0..3)),
        tags(),
        tags(),
        prop::option::weighted(0.9, select(&[None, Some("kim"), Some("2"), Some("8"), Some("20"), Some("lots")])),
    )
        .prop_map(|(address, now, name, mfa, tag_keys, tags, request_tags, attribute)| Known {
            address,
            now,
            name,
            mfa,
            tag_keys,
            tags,
            request_tags,
            attribute,
        })
}

/// The verdict on a request with some policies: those of the caller, and those of the user `u1`.
fn decide(catalogue: &Catalogue, request: usize, known: &Known, identity: &[Arc<Policy>], at_user: &[&ResourcePolicy]) -> Verdict {
    let scalars = |texts: &[&'static str]| texts.iter().map(|text| Scalar::Text(text)).collect::<Vec<_>>();
    let pairs = |tags: &[(&'static str, &'static str)]| {
        tags.iter().map(|(name, value)| (*name, Values::One(Scalar::Text(value)))).collect::<Vec<_>>()
    };
    let (tags, request_tags) = (known.tags.as_deref().map(pairs), known.request_tags.as_deref().map(pairs));
    let tag_keys = known.tag_keys.as_deref().map(scalars);
    let attribute = match known.attribute {
        None => Values::Unavailable,
        Some(None) => Values::Absent,
        Some(Some(text)) => Values::One(Scalar::Text(text)),
    };
    let (action, srns) = REQUESTS[request];
    let srns: Vec<String> = srns.iter().map(|srn| srn.replace("ACCOUNT", ACCOUNT)).collect();
    let resource = |srn: &String| {
        let srn = Srn::parse(srn).unwrap();
        let kind = catalogue.find_resource_type(srn.service_type, srn.resource_type).unwrap();
        (kind, srn.account.to_owned(), srn.region.to_owned(), srn.resource_id.to_owned())
    };
    let parts: Vec<_> = srns.iter().map(resource).collect();
    let resources: Vec<Resource<'_>> = parts
        .iter()
        .map(|(kind, account, region, id)| Resource {
            tags: tags.as_deref().map_or(Tags::Unavailable, Tags::Known),
            attributes: Attributes { known: &[], others: attribute },
            ..Resource::new(*kind, account, region, id)
        })
        .collect();
    let context = Context {
        source_ip: Values::One(Scalar::Address(known.address.parse().unwrap())),
        now: Values::One(Scalar::Time(known.now.parse().unwrap())),
        user_id: known.name.map_or(Values::Absent, |_| Values::One(Scalar::Text("u1"))),
        user_name: Values::text(known.name),
        authentication_type: Values::One(Scalar::Text("AuthenticationKey")),
        mfa: known.mfa.map_or(Values::Absent, |mfa| Values::One(Scalar::Bool(mfa))),
        tag_keys: tag_keys.as_deref().map_or(Values::Unavailable, |keys| if keys.is_empty() { Values::Absent } else { Values::Many(keys) }),
        request_tags: request_tags.as_deref().map_or(Tags::Unavailable, Tags::Known),
        ..Context::EMPTY
    };
    let principal = Principal { kind: Kind::User, account: ACCOUNT, id: "u1" };
    let action = catalogue.action_id(action).unwrap();
    let request = Request { action, resources: &resources, principal, context, needs_resource_policy: false };
    evaluate(&request, &Policies::identity(identity).with_resource(at_user))
}

/// What must not change.
fn kind(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Allow(_) => "allow",
        Verdict::ExplicitDeny(_) | Verdict::ImplicitDeny | Verdict::Unavailable(_) => "refuse",
        Verdict::InvalidPolicy(_) | Verdict::Undecided => panic!("{verdict:?}"),
    }
}

const ALLOW_ALL: &str = r#"{"Effect": "Allow", "Action": "*", "Resource": "*"}"#;

/// Some of the statements, held by the caller or attached to the user; beside them, perhaps, an Allow of everything.
struct Held {
    identity: Vec<Arc<Policy>>,
    at_user: Option<ResourcePolicy>,
}

impl Held {
    fn new(statements: &[Written], at_resource: bool, open: bool) -> Self {
        let catalogue = world::catalogue(&FILE);
        let texts: Vec<String> = statements.iter().map(|one| one.json(at_resource)).collect();
        let mut held = Self { identity: Vec::new(), at_user: None };
        if open {
            held.identity.push(policy(&document(&[ALLOW_ALL]), catalogue));
        }
        if at_resource && !texts.is_empty() {
            let (source, report) = (Source::new("p.json", document(&texts)), Report::new());
            let attached = ResourcePolicy::load(&source, "r", attachment(), catalogue, &report);
            held.at_user = Some(attached.unwrap_or_else(|| panic!("{report}")));
        } else if !texts.is_empty() {
            held.identity.push(policy(&document(&texts), catalogue));
        }
        held
    }

    fn outcome(&self, request: usize, known: &Known) -> &'static str {
        let at_user: Vec<&ResourcePolicy> = self.at_user.iter().collect();
        kind(decide(world::catalogue(&FILE), request, known, &self.identity, &at_user))
    }
}

fn policy(document: &str, catalogue: &Catalogue) -> Arc<Policy> {
    let (policy, report) = world::load(document, ACCOUNT, catalogue);
    Arc::new(policy.unwrap_or_else(|| panic!("{document}\n{report}")))
}

fn document(statements: &[impl AsRef<str>]) -> String {
    let statements: Vec<&str> = statements.iter().map(AsRef::as_ref).collect();
    format!("{{\"Version\": \"2024-07-01\", \"Statement\": [{}]}}", statements.join(", "))
}

fn attachment() -> Attachment {
    let srn = format!("srn:e::{ACCOUNT}:::scp-iam:user/u1");
    Attachment::find(&Srn::parse(&srn).unwrap(), world::catalogue(&FILE)).unwrap()
}

fn without(statements: &[Written], removed: &BTreeSet<usize>) -> Vec<Written> {
    let kept = statements.iter().enumerate().filter(|(place, _)| !removed.contains(place));
    kept.map(|(_, statement)| statement.clone()).collect()
}

/// The statements that are said to be of no effect.
fn idle(statements: &[Written], at_resource: bool) -> BTreeSet<usize> {
    let texts: Vec<String> = statements.iter().map(|one| one.json(at_resource)).collect();
    let standing = if at_resource { Standing::Resource(attachment()) } else { Standing::Identity(Owner::account(ACCOUNT)) };
    let report = Report::new();
    let traps = lint(&Source::new("p.json", document(&texts)), &standing, world::catalogue(&FILE), &report);
    let traps = traps.unwrap_or_else(|| panic!("{texts:?}\n{report}"));
    traps.iter().filter(|trap| trap.lint.is_of_no_effect()).map(|trap| trap.statement).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(800))]

    #[test]
    fn what_is_of_no_effect_can_be_removed(
        statements in documents(), at_resource in prop::bool::weighted(0.3), open in any::<bool>(),
        asked in prop::collection::vec((0..REQUESTS.len(), known()), 12),
    ) {
        let statements: Vec<Written> = if at_resource { statements.iter().map(Written::at_user).collect() } else { statements };
        let idle = idle(&statements, at_resource);
        if idle.is_empty() {
            return Ok(());
        }
        let one_by_one = idle.iter().map(|place| BTreeSet::from([*place]));
        let whole = Held::new(&statements, at_resource, open);
        for removed in one_by_one.chain([idle.clone()]) {
            let rest = Held::new(&without(&statements, &removed), at_resource, open);
            for (request, known) in &asked {
                let (before, after) = (whole.outcome(*request, known), rest.outcome(*request, known));
                prop_assert_eq!(before, after, "without {:?}, {:?} at {:?}", removed, REQUESTS[*request], known);
            }
        }
    }
}

/// The law would hold of lints that never speak.
#[test]
fn generated_policies_have_traps_of_every_kind_that_the_law_is_about() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut said = Vec::new();
    for _ in 0..400 {
        let statements = documents().new_tree(&mut runner).unwrap().current();
        let texts: Vec<String> = statements.iter().map(|one| one.json(false)).collect();
        let standing = Standing::Identity(Owner::account(ACCOUNT));
        let traps = lint(&Source::new("p.json", document(&texts)), &standing, world::catalogue(&FILE), &Report::new());
        said.extend(traps.unwrap().into_iter().filter(|trap| trap.lint.is_of_no_effect()).map(|trap| trap.message));
    }
    for part in [
        "no action exists",
        "leaves no action",
        "its actions act on",
        "its actions have no resources",
        "never both true",
        "is never true",
        "is never true: no action of the statement",
        " denies all of it",
        " as well",
    ] {
        assert!(said.iter().any(|message| message.contains(part)), "{part}");
    }
}

/// How many cases of the shared generator the law sees.
const CASES: usize = 400;

/// What a gateway always knows, and what it knows as a text if it knows it.
const ALWAYS: &[(&str, &str)] = &[
    ("scp:SourceIp", r#""10.1.2.3""#),
    ("scp:CurrentTime", r#""2026-03-01T00:00:00Z""#),
    ("scp:AuthenticationType", r#""AuthenticationKey""#),
];
const PLAIN: &[&str] = &["scp:UserId", "scp:UserName", "scp:MultiFactorAuthPresent", "scp:RequestedRegion"];

fn member<'n>(node: &'n mut Node, name: &str) -> Option<&'n mut Node> {
    let Value::Map(entries) = &mut node.value else { return None };
    entries.iter_mut().find(|(key, _)| *key.text == *name).map(|(_, node)| node)
}

/// A case with a context that a gateway makes.
fn with_usual_context(case: &mut Node) {
    let Value::Map(context) = &mut member(member(case, "request").unwrap(), "context").unwrap().value else { panic!("no context") };
    let is = |key: &str, name: &str| key.eq_ignore_ascii_case(name);
    context.retain(|(key, value)| {
        let plain = match &value.value {
            Value::String(text) => {
                !is(&key.text, "scp:MultiFactorAuthPresent") || text.eq_ignore_ascii_case("true") || text.eq_ignore_ascii_case("false")
            }
            Value::Bool(_) => true,
            Value::Null | Value::Number(_) | Value::List(_) | Value::Map(_) => false,
        };
        !ALWAYS.iter().any(|(name, _)| is(&key.text, name)) && (plain || !PLAIN.iter().any(|name| is(&key.text, name)))
    });
    for (name, value) in ALWAYS {
        context.push((Key { text: (*name).into(), span: Span::default() }, parse(value)));
    }
}

/// Every document of a case with where it stands.
fn standing_documents<'n>(case: &'n mut Node, catalogue: &Catalogue) -> Vec<(Standing, &'n mut Node)> {
    let account = match member(member(member(case, "request").unwrap(), "principal").unwrap(), "account").map(|node| &node.value) {
        Some(Value::String(account)) => Owner::account(account),
        Some(_) | None => Owner::system(),
    };
    let Value::Map(members) = &mut case.value else { panic!("no case") };
    let mut found = Vec::new();
    for (key, list) in members {
        let Value::List(items) = &mut list.value else { continue };
        for item in items {
            match &*key.text {
                "identity_policies" | "session_policies" => found.push((Standing::Identity(account.clone()), item)),
                "resource_policies" => {
                    let Value::String(srn) = &item.get("attached_to").unwrap().value else { panic!("no SRN") };
                    let attachment = Attachment::find(&Srn::parse(srn).unwrap(), catalogue).unwrap();
                    found.push((Standing::Resource(attachment), member(item, "policy").unwrap()));
                }
                _ => {}
            }
        }
    }
    found
}

/// Makes a statement one that denies nothing, for a document without statements is none.
fn switch_off(statement: &mut Node) {
    let Value::Map(members) = &mut statement.value else { panic!("no statement") };
    members.retain(|(key, _)| !["Action", "NotAction", "Condition", "Effect"].contains(&&*key.text));
    for (name, value) in [("Effect", "\"Deny\""), ("Action", "\"audit:none\"")] {
        members.push((Key { text: name.into(), span: Span::default() }, parse(value)));
    }
}

#[test]
fn what_is_of_no_effect_can_be_switched_off_in_whole_cases() {
    let (world, mut generator) = (World::new(), Generator::new(303));
    let mut switched_off = 0;
    for _ in 0..CASES {
        let mut case = parse(&generator.case());
        with_usual_context(&mut case);
        let before = json::print(&case);
        let mut said = Vec::new();
        for (standing, document) in standing_documents(&mut case, world.catalogue()) {
            let (source, report) = (Source::new("p.json", json::print(document)), Report::new());
            let traps = lint(&source, &standing, world.catalogue(), &report).unwrap_or_else(|| panic!("{report}\n{}", source.text()));
            for trap in traps.into_iter().filter(|trap| trap.lint.is_of_no_effect()) {
                let statement = member(document, "Statement").unwrap();
                switch_off(match &mut statement.value {
                    Value::List(all) => &mut all[trap.statement],
                    Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Map(_) => statement,
                });
                said.push(trap.message);
            }
        }
        if said.is_empty() {
            continue;
        }
        switched_off += said.len();
        let after = json::print(&case);
        assert_eq!(world.decide(&before).allows(), world.decide(&after).allows(), "{before}\n{after}\n{said:#?}");
    }
    assert!(switched_off > CASES / 10, "only {switched_off} statements of no effect");
}
