//! The engine and the second evaluator agree on generated cases.
//!
//! `PORTCULLIS_AGREEMENT_CASES` says how many cases, `PORTCULLIS_AGREEMENT_SEED` from which seed on.

use std::sync::Arc;

use portcullis::policy::cases::{Case, CaseFile, Decided, Held, Unready, WorldRef};
use portcullis::policy::{Catalogue, Policies, Policy, PolicySet, Request, Verdict, evaluate, evaluate_literally};
use portcullis::source::{Node, Report, Source, json};

use crate::allocations::without_heap;
use crate::generate::Generator;
use crate::oracle::{self, Outcome};

/// How many cases, unless the environment says otherwise.
const CASES: u64 = 6_000;
/// The first seed, unless the environment says otherwise.
const SEED: u64 = 1;
/// How many cases come from one seed: a failure names the seed and the place.
const CASES_PER_SEED: u64 = 500;

pub(crate) fn parse(text: &str) -> Node {
    json::parse(text.as_bytes(), json::Limits { bytes_max: 1 << 24, depth_max: 64 }).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// The cases are decided in a catalogue that is read once.
const NO_CATALOG: &str = r#"{"services": [], "actions": {}}"#;

/// The generated cases of a seed in their catalogue.
pub(crate) struct World {
    catalog: Node,
    catalogue: Catalogue,
}

impl World {
    pub(crate) fn new() -> Self {
        let catalog = Generator::new(0).world();
        let file = read(&format!(r#"{{"catalog": {catalog}, "cases": []}}"#));
        let WorldRef::Inline(catalogue) = file.world() else { panic!("the catalogue is elsewhere") };
        Self { catalog: parse(&catalog), catalogue: (**catalogue).clone() }
    }

    /// The case, read by the engine.
    #[expect(clippy::unused_self, reason = "a case means nothing without its world")]
    pub(crate) fn case(&self, text: &str) -> Case {
        read(&format!(r#"{{"catalog": {NO_CATALOG}, "cases": [{text}]}}"#)).cases.remove(0)
    }

    pub(crate) fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// What the engine decides, in every way that it can.
    pub(crate) fn decide(&self, text: &str) -> Decided {
        let case = self.case(text);
        let decision = case.decision().unwrap();
        let held = Held::load(decision, &self.catalogue);
        assert!(held.complaints().is_empty(), "{text}\n{}", held.complaints().join("\n"));
        match held.with(decision, &self.catalogue, every_way) {
            Ok(verdict) => Decided::Verdict(verdict),
            Err(Unready::UnknownAction) => Decided::UnknownAction,
            Err(other) => panic!("{text}: {other}"),
        }
    }
}

/// The verdict by the index of each policy; it is the same by the index of all, and when every statement is looked at.
pub(crate) fn every_way(request: &Request<'_>, policies: &Policies<'_, Policy>) -> Verdict {
    let verdict = without_heap(|| evaluate(request, policies));
    let says = |verdict: Verdict| Decided::Verdict(verdict).reasons()[0];
    let literal = evaluate_literally(request, policies);
    assert_eq!(says(verdict), says(literal), "{verdict:?} {literal:?}");
    let shared = |policies: &[Policy]| policies.iter().cloned().map(Arc::new).collect::<Vec<_>>();
    let (own, session) = (shared(policies.identity), shared(policies.session));
    let set = PolicySet::of(&own);
    let policies = Policies::identity(&own).with_resource(policies.resource).with_session(&session).found_by(set.as_ref());
    let together = without_heap(|| evaluate(request, &policies));
    assert_eq!(says(verdict), says(together), "{verdict:?} {together:?}");
    verdict
}

fn read(text: &str) -> CaseFile {
    let (source, report) = (Source::new("generated", text), Report::new());
    CaseFile::read(&parse(text), &source, &report).unwrap_or_else(|| panic!("{report}"))
}

/// The outcome of the second evaluator that a decision must be.
fn outcome(decided: Decided) -> Outcome {
    match decided {
        Decided::UnknownAction => Outcome::UnknownAction,
        Decided::Verdict(Verdict::Allow(_)) => Outcome::Allow,
        Decided::Verdict(Verdict::ExplicitDeny(_) | Verdict::Unavailable(Some(_))) => Outcome::ExplicitDeny,
        Decided::Verdict(Verdict::ImplicitDeny | Verdict::Unavailable(None)) => Outcome::ImplicitDeny,
        Decided::Verdict(Verdict::InvalidPolicy(_) | Verdict::Undecided) => panic!("{decided:?}"),
    }
}

#[expect(clippy::disallowed_methods, reason = "how long a test runs is no setting of the product")]
fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().unwrap_or_else(|_| panic!("{name} is no number")))
}

#[test]
fn the_engine_and_the_second_evaluator_agree() {
    let (cases, first) = (number("PORTCULLIS_AGREEMENT_CASES", CASES), number("PORTCULLIS_AGREEMENT_SEED", SEED));
    let world = World::new();
    let mut counts = [0_u64; 4];
    let mut done = 0;
    for seed in first.. {
        let mut generator = Generator::new(seed);
        for place in 0..CASES_PER_SEED.min(cases - done) {
            let text = generator.case();
            let expected = oracle::decide(&world.catalog, &parse(&text));
            let decided = world.decide(&text);
            assert_eq!(outcome(decided), expected, "seed {seed}, case {place}: the engine says {decided:?} of\n{text}");
            counts[expected as usize] += 1;
            done += 1;
        }
        if done == cases {
            break;
        }
    }
    println!("{done} decisions agree: {counts:?} (allow, implicit deny, explicit deny, unknown action)");
    assert!(counts[..3].iter().all(|count| count * 20 > done), "each outcome in at least 5 % of the cases: {counts:?}");
}
