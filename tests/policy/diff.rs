//! Comparing what two sets of policies allow: cases by hand for every answer, and generated pairs on which no answer but `unknown` may
//! ever disagree with the second evaluator.
//!
//! `PORTCULLIS_DIFF_PAIRS` says how many pairs of each kind, `PORTCULLIS_DIFF_SEED` from which seed on.

use std::collections::BTreeMap;

use portcullis::policy::{Caller, Catalogue, Comparison, Owner, Policy, Relation, diff};
use portcullis::source::{Key, Node, Report, Source, Span, Value, json};

use crate::agreement::{World, parse};
use crate::generate::Generator;
use crate::oracle::{self, Outcome};
use crate::world::ACCOUNT;

#[path = "diff/commands.rs"]
mod commands;
#[path = "diff/hand.rs"]
mod hand;
#[path = "diff/narrow.rs"]
mod narrow;
#[path = "diff/pairs.rs"]
mod pairs;
#[path = "diff/requests.rs"]
mod requests;

/// How many pairs of each kind, unless the environment says otherwise.
const PAIRS: u64 = 40;
/// The first seed, unless the environment says otherwise.
const SEED: u64 = 1;
/// How many requests each answer is held against.
const REQUESTS: usize = 40;

/// Documents that one principal holds.
type Held = Vec<Node>;

/// The policies; `None` when a change has made one that is refused.
fn loaded(held: &[Node], catalogue: &Catalogue) -> Option<Vec<Policy>> {
    let one = |(number, document): (usize, &Node)| {
        let (source, report) = (Source::new("policy", json::print(document)), Report::new());
        Policy::load(&source, &format!("policy {number}"), Owner::account(ACCOUNT), catalogue, &report)
    };
    held.iter().enumerate().map(one).collect()
}

fn compare(before: &[Node], after: &[Node], catalogue: &Catalogue) -> Comparison {
    let caller = Caller::AnyOf { account: ACCOUNT };
    diff(catalogue, &caller, &loaded(before, catalogue).unwrap(), &loaded(after, catalogue).unwrap())
}

/// What the second evaluator says of a request of somebody who holds these policies.
fn allows(catalog: &Node, case: &Node, held: &[Node]) -> bool {
    let mut case = case.clone();
    let Value::Map(members) = &mut case.value else { panic!("no case") };
    members.retain(|(key, _)| !matches!(&*key.text, "identity_policies" | "session_policies"));
    let principal =
        members.iter_mut().find(|(key, _)| &*key.text == "request").and_then(|(_, node)| pairs::member(node, "principal")).unwrap();
    *principal = json_with_account(principal);
    members.push((named("identity_policies"), Node { span: Span::default(), value: Value::List(held.to_vec()) }));
    oracle::decide(catalog, &case) == Outcome::Allow
}

/// The principal with its account, which the second evaluator does not take from the SRN.
fn json_with_account(principal: &Node) -> Node {
    let member = |name: &'static str| (name, principal.get(name).unwrap().clone());
    pairs::map(vec![member("type"), member("srn"), ("account", pairs::string(ACCOUNT))])
}

fn named(name: &str) -> Key {
    Key { text: name.into(), span: Span::default() }
}

/// Two sets of policies, and requests on which they may differ.
struct Pair {
    before: Held,
    after: Held,
    requests: Requests,
}

enum Requests {
    /// Such as these cases have.
    Around(Vec<Node>),
    These(Vec<Node>),
}

/// What came out of many pairs of a kind.
#[derive(Default)]
struct Tally {
    relations: BTreeMap<Relation, u64>,
    reasons: BTreeMap<String, u64>,
    requests: u64,
    /// On how many requests the two sides differ.
    telling: u64,
    witnesses: u64,
}

impl Tally {
    fn count(&mut self, comparison: &Comparison) {
        *self.relations.entry(comparison.relation).or_default() += 1;
        if comparison.relation == Relation::Unknown
            && let Some(unknown) = comparison.unknown.first()
        {
            let reason = unknown.reason.to_string();
            let kind = reason.split('`').step_by(2).collect::<Vec<_>>().join("...");
            *self.reasons.entry(kind).or_default() += 1;
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "how long a test runs is no setting of the product")]
fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().unwrap_or_else(|_| panic!("{name} is no number")))
}

/// Holds the answer about a pair against requests, and its witnesses against the second evaluator.
fn check(world: &World, catalog: &Node, before: &Held, after: &Held, requests: &[Node], tally: &mut Tally) {
    let comparison = compare(before, after, world.catalogue());
    let shown = || {
        let texts = |held: &Held| held.iter().map(json::print).collect::<Vec<_>>().join("\n    ");
        format!("{}\n  before: {}\n  after:  {}", comparison.relation, texts(before), texts(after))
    };
    tally.count(&comparison);
    for difference in &comparison.differences {
        let case = difference.witness.case("witness", &[], true);
        let (first, second) = (allows(catalog, &case, before), allows(catalog, &case, after));
        assert_eq!((first, second), (!difference.gained, difference.gained), "{}\n  witness: {}", shown(), json::print(&case));
        tally.witnesses += 1;
    }
    let (may_gain, may_lose) = match comparison.relation {
        Relation::Equivalent => (false, false),
        Relation::Stricter => (false, true),
        Relation::Looser => (true, false),
        Relation::Incomparable | Relation::Unknown => (true, true),
    };
    for case in requests {
        let (first, second) = (allows(catalog, case, before), allows(catalog, case, after));
        tally.requests += 1;
        tally.telling += u64::from(first != second);
        let wrong = !first && second && !may_gain || first && !second && !may_lose;
        assert!(!wrong, "{}\n  request: {}\n  {first} {second}", shown(), json::print(case));
    }
    let back = compare(after, before, world.catalogue()).relation;
    let mirrored = match comparison.relation {
        Relation::Stricter => Relation::Looser,
        Relation::Looser => Relation::Stricter,
        other @ (Relation::Equivalent | Relation::Incomparable | Relation::Unknown) => other,
    };
    assert_eq!(back, mirrored, "{}", shown());
}

#[test]
fn every_answer_agrees_with_the_second_evaluator() {
    let (pairs, seed) = (number("PORTCULLIS_DIFF_PAIRS", PAIRS), number("PORTCULLIS_DIFF_SEED", SEED));
    let world = World::new();
    let catalog = parse(&Generator::new(0).world());
    let mut told = 0;
    for kind in pairs::KINDS {
        let mut tally = Tally::default();
        let mut source = pairs::Pairs::new(seed, kind.number);
        for _ in 0..pairs {
            let Pair { before, after, requests } = loop {
                let pair = (kind.draw)(&mut source);
                if pair.before != pair.after
                    && [&pair.before, &pair.after].into_iter().all(|held| loaded(held, world.catalogue()).is_some())
                {
                    break pair;
                }
            };
            let requests = match requests {
                Requests::Around(cases) => requests::around(&mut source.dice, &cases, [&before, &after], REQUESTS),
                Requests::These(requests) => requests,
            };
            check(&world, &catalog, &before, &after, &requests, &mut tally);
        }
        let unknown = tally.relations.get(&Relation::Unknown).copied().unwrap_or_default();
        println!(
            "{}: {pairs} pairs, {:?}; unknown {:.1} % {:?}; {} witnesses; {} requests, {} of them telling",
            kind.name,
            tally.relations,
            unknown as f64 * 100.0 / pairs as f64,
            tally.reasons,
            tally.witnesses,
            tally.requests,
            tally.telling,
        );
        assert!(unknown * 4 <= pairs, "{}: {unknown} of {pairs} unknown", kind.name);
        told += tally.telling;
    }
    assert!(told > pairs, "the requests tell something: {told}");
}
