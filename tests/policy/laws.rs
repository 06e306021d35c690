//! Laws of the language on generated cases: what may never add rights never does, order never matters, and asking for attributes
//! one by one leads where knowing all of them does.

use portcullis::policy::cases::{Decided, Held};
use portcullis::policy::{AttributeId, Attributes, Needs, Policies, Policy, Request, Resource, Tags, Values, Verdict, evaluate, needs};
use portcullis::source::{Node, Value, json};

use crate::agreement::{World, parse};
use crate::generate::Generator;

/// How many cases each law sees.
const CASES: usize = 1_000;

/// The places in a case where policies stand, and the member of each item that holds the document, if it is not the item.
const LISTS: [(&str, Option<&str>); 3] = [("identity_policies", None), ("session_policies", None), ("resource_policies", Some("policy"))];

fn member_mut<'n>(node: &'n mut Node, name: &str) -> Option<&'n mut Node> {
    match &mut node.value {
        Value::Map(entries) => entries.iter_mut().find(|(key, _)| *key.text == *name).map(|(_, node)| node),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::List(_) => None,
    }
}

fn items_mut(node: &mut Node) -> &mut [Node] {
    if !matches!(node.value, Value::List(_)) {
        return std::slice::from_mut(node);
    }
    let Value::List(items) = &mut node.value else { unreachable!() };
    items
}

/// Every document of a case.
fn documents(case: &mut Node) -> Vec<&mut Node> {
    let Value::Map(members) = &mut case.value else { panic!("no case") };
    let mut found = Vec::new();
    for (key, list) in members {
        let Some((_, inside)) = LISTS.iter().find(|(name, _)| *key.text == **name) else { continue };
        for item in items_mut(list) {
            found.push(match inside {
                Some(inside) => member_mut(item, inside).unwrap(),
                None => item,
            });
        }
    }
    found
}

fn effect(statement: &Node) -> &str {
    match &statement.get("Effect").unwrap().value {
        Value::String(effect) => effect,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::List(_) | Value::Map(_) => panic!("no effect"),
    }
}

/// What matters of a decision: not which statement it came from.
fn kind(decided: Decided) -> &'static str {
    decided.reasons()[0]
}

/// Runs a law on many cases; it says whether it had anything to say.
fn on_many(seed: u64, mut law: impl FnMut(&World, &mut Generator, &str) -> bool) {
    let (world, mut generator) = (World::new(), Generator::new(seed));
    let mut spoken = 0;
    for _ in 0..CASES {
        let case = generator.case();
        spoken += usize::from(law(&world, &mut generator, &case));
    }
    assert!(spoken > CASES / 20, "the law had something to say about {spoken} of {CASES} cases");
}

#[test]
fn adding_a_deny_never_allows_more() {
    on_many(101, |world, generator, text| {
        let mut other = parse(&generator.case());
        let statements = documents(&mut other).into_iter().flat_map(|document| items_mut(member_mut(document, "Statement").unwrap()));
        // A Principal stands in policies of resources only.
        let Some(deny) =
            statements.filter(|found| effect(found) == "Deny" && found.get("Principal").is_none()).map(|found| found.clone()).next()
        else {
            return false;
        };
        let mut case = parse(text);
        let more = parse(&format!(r#"{{"Version": "2024-07-01", "Statement": [{}]}}"#, json::print(&deny)));
        let Some(Node { value: Value::List(policies), .. }) = member_mut(&mut case, "identity_policies") else { return false };
        policies.push(more);
        let (before, after) = (world.decide(text), world.decide(&json::print(&case)));
        assert!(!after.allows() || before.allows(), "{before:?} became {after:?} by {}: {text}", json::print(&deny));
        before.allows()
    });
}

#[test]
fn removing_an_allow_never_allows_more() {
    on_many(102, |world, _, text| {
        let (mut place, mut removed) = (0, 0);
        loop {
            let mut case = parse(text);
            let mut taken = false;
            for document in documents(&mut case) {
                let Value::List(statements) = &mut member_mut(document, "Statement").unwrap().value else { continue };
                for index in 0..statements.len() {
                    if !taken && statements.len() > 1 && effect(&statements[index]) == "Allow" {
                        if removed == place {
                            statements.remove(index);
                            taken = true;
                            break;
                        }
                        removed += 1;
                    }
                }
            }
            if !taken {
                return place > 0;
            }
            let (before, after) = (world.decide(text), world.decide(&json::print(&case)));
            assert!(!after.allows() || before.allows(), "{before:?} became {after:?}: {text}");
            (place, removed) = (place + 1, 0);
        }
    });
}

#[test]
fn the_order_of_statements_and_policies_never_matters() {
    on_many(103, |world, _, text| {
        let mut case = parse(text);
        let mut changed = false;
        for document in documents(&mut case) {
            let statements = items_mut(member_mut(document, "Statement").unwrap());
            changed |= statements.len() > 1;
            statements.reverse();
        }
        for (list, _) in LISTS {
            if let Some(list) = member_mut(&mut case, list) {
                items_mut(list).reverse();
            }
        }
        let (one, other) = (world.decide(text), world.decide(&json::print(&case)));
        assert_eq!(kind(one), kind(other), "{text}");
        changed
    });
}

/// What has been asked for so far.
#[derive(Default)]
struct Asked {
    tags: Vec<usize>,
    attributes: Vec<(usize, AttributeId)>,
}

/// The verdict when only that is known of the resources.
fn verdict(request: &Request<'_>, policies: &Policies<'_, Policy>, asked: &Asked) -> (Verdict, Needs) {
    let known: Vec<Vec<(AttributeId, Values<'_>)>> = (0..request.resources.len())
        .map(|place| {
            let full = request.resources[place].attributes;
            let value = |id| full.known.iter().find(|(known, _)| *known == id).map_or(full.others, |(_, values)| *values);
            asked.attributes.iter().filter(|(of, _)| *of == place).map(|(_, id)| (*id, value(*id))).collect()
        })
        .collect();
    let mut resources: Vec<Resource<'_>> = Vec::new();
    for (place, full) in request.resources.iter().enumerate() {
        let tags = if asked.tags.contains(&place) { full.tags } else { Tags::NotFetched };
        resources.push(Resource { tags, attributes: Attributes { known: &known[place], others: Values::NotFetched }, ..*full });
    }
    let request = Request { resources: &resources, ..*request };
    (evaluate(&request, policies), needs(&request, policies))
}

#[test]
fn asking_for_what_is_needed_leads_where_knowing_everything_does() {
    let (mut asked_for, mut decided_at_once) = (0, 0);
    on_many(104, |world, _, text| {
        let case = world.case(text);
        let decision = case.decision().unwrap();
        let held = Held::load(decision, world.catalogue());
        let rounds = held.with(decision, world.catalogue(), |request, policies| {
            let expected = Decided::Verdict(evaluate(request, policies));
            let mut asked = Asked::default();
            for round in 0_usize.. {
                let (verdict, needs) = verdict(request, policies, &asked);
                if verdict != Verdict::Undecided {
                    // Where nothing allows, it does not matter any more whether something denies.
                    let found = Decided::Verdict(verdict);
                    let moot = kind(found) == "implicit_deny" && kind(expected) == "explicit_deny";
                    assert!(kind(found) == kind(expected) || moot, "{found:?}, not {expected:?}, after {round} rounds: {text}");
                    return round;
                }
                assert!(needs != Needs::default() && !needs.body, "undecided, and nothing is needed: {text}");
                let before = asked.tags.len() + asked.attributes.len();
                asked.tags.extend(needs.tags);
                asked.attributes.extend(needs.attributes);
                assert!(asked.tags.len() + asked.attributes.len() > before && round < 3, "{text}");
            }
            unreachable!()
        });
        asked_for += usize::from(rounds == Ok(1));
        decided_at_once += usize::from(rounds == Ok(0));
        rounds.is_ok_and(|rounds| rounds > 0)
    });
    assert!(asked_for > CASES / 20 && decided_at_once > CASES / 20, "{asked_for} {decided_at_once}");
}
