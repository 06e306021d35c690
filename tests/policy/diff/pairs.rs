//! Pairs of sets of policies: unrelated ones, and such as people compare, of which one is the other with a small change.

use portcullis::source::{Node, Span, Value, json};

use super::{Held, Pair, Requests, named, narrow};
use crate::agreement::parse;
use crate::generate::Generator;
use crate::world::ACCOUNT;

/// A kind of pair.
pub(super) struct Kind {
    pub(super) name: &'static str,
    pub(super) number: u64,
    pub(super) draw: fn(&mut Pairs) -> Pair,
}

pub(super) const KINDS: &[Kind] = &[
    Kind { name: "one change", number: 1, draw: |pairs| pairs.changed(1) },
    Kind { name: "three changes", number: 2, draw: |pairs| pairs.changed(3) },
    Kind { name: "unrelated", number: 3, draw: Pairs::unrelated },
    Kind { name: "with more statements", number: 4, draw: Pairs::large },
    Kind { name: "written otherwise", number: 5, draw: Pairs::rewritten },
    Kind { name: "the values of one key", number: 6, draw: |pairs| narrow::values(&mut pairs.dice) },
    Kind { name: "the ids of resources", number: 7, draw: |pairs| narrow::resources(&mut pairs.dice) },
];

/// Draws pairs.
pub(super) struct Pairs {
    generator: Generator,
    pub(super) dice: Numbers,
}

/// Numbers that a seed determines.
pub(super) struct Numbers(u64);

impl Numbers {
    pub(super) fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % bound
    }

    pub(super) fn one<'t, T>(&mut self, all: &'t [T]) -> &'t T {
        &all[self.below(all.len())]
    }

    pub(super) fn pick<'t>(&mut self, all: &[&'t str]) -> &'t str {
        all[self.below(all.len())]
    }
}

impl Pairs {
    pub(super) fn new(seed: u64, kind: u64) -> Self {
        let seed = seed.wrapping_mul(1_000).wrapping_add(kind);
        Self { generator: Generator::new(seed), dice: Numbers(seed) }
    }

    /// A case whose principal holds something.
    fn case(&mut self) -> (Node, Held) {
        loop {
            let case = parse(&self.generator.case());
            let held = documents(&case);
            if !held.is_empty() {
                return (case, held);
            }
        }
    }

    fn unrelated(&mut self) -> Pair {
        let ((one, before), (two, after)) = (self.case(), self.case());
        Pair { before, after, requests: Requests::Around(vec![one, two]) }
    }

    fn changed(&mut self, changes: usize) -> Pair {
        let (case, before) = self.case();
        let mut after = before.clone();
        for _ in 0..changes {
            self.change(&mut after);
        }
        Pair { before, after, requests: Requests::Around(vec![case]) }
    }

    fn large(&mut self) -> Pair {
        let (mut before, mut cases) = (Held::new(), Vec::new());
        for _ in 0..4 {
            let (case, held) = self.case();
            before.extend(held);
            cases.push(case);
        }
        let mut after = before.clone();
        self.change(&mut after);
        Pair { before, after, requests: Requests::Around(cases) }
    }

    /// The same in other words: in another order, some statements twice, each expression of a Deny in a statement of its own.
    fn rewritten(&mut self) -> Pair {
        let (case, before) = self.case();
        let mut statements: Vec<Node> = before.iter().flat_map(|document| items(document.get("Statement").unwrap())).collect();
        statements.reverse();
        let mut written = Vec::new();
        for mut statement in statements {
            without(&mut statement, "Sid");
            let deny = text(statement.get("Effect").unwrap()) == "Deny";
            let split = statement.get("Action").map(items).filter(|actions| deny || actions.len() > 1);
            for action in split.unwrap_or_default() {
                let mut one = statement.clone();
                *member(&mut one, "Action").unwrap() = action;
                written.push(one);
            }
            if statement.get("NotAction").is_some() || !deny && self.dice.below(3) == 0 {
                written.push(statement.clone());
            }
            let again = if deny { self.dice.below(2) == 0 } else { !written.contains(&statement) };
            if again {
                written.push(statement);
            }
        }
        Pair { before, after: vec![document(written)], requests: Requests::Around(vec![case]) }
    }

    /// Changes something: an effect, a statement, an action, a resource, a condition, a value.
    fn change(&mut self, held: &mut Held) {
        let place = self.dice.below(held.len());
        let Some(found) = held.get_mut(place) else { return };
        let mut statements = items(found.get("Statement").unwrap());
        let at = self.dice.below(statements.len());
        match self.dice.below(10) {
            0 if statements.len() > 1 => drop(statements.remove(at)),
            1 => self.flip(&mut statements[at]),
            2 => {
                let (_, other) = self.case();
                let more = items(self.dice.one(&other).get("Statement").unwrap());
                let mut more = self.dice.one(&more).clone();
                without(&mut more, "Sid");
                statements.push(more);
            }
            3 => without(&mut statements[at], "Condition"),
            4 | 5 => self.change_value(&mut statements[at]),
            6 | 7 => self.change_text(&mut statements[at], "Resource"),
            8 => self.change_text(&mut statements[at], "Action"),
            _ => self.drop_item(&mut statements[at]),
        }
        *found = document(statements);
    }

    fn flip(&mut self, statement: &mut Node) {
        let effect = member(statement, "Effect").unwrap();
        *effect = string(if text(effect) == "Allow" { "Deny" } else { "Allow" });
    }

    /// Drops one of several resources or actions, or one condition.
    fn drop_item(&mut self, statement: &mut Node) {
        for name in ["Resource", "Action", "NotAction"] {
            if let Some(Value::List(items)) = member(statement, name).map(|node| &mut node.value)
                && items.len() > 1
            {
                let at = self.dice.below(items.len());
                items.remove(at);
                return;
            }
        }
        if let Some(Value::Map(operators)) = member(statement, "Condition").map(|node| &mut node.value)
            && operators.len() > 1
        {
            let at = self.dice.below(operators.len());
            operators.remove(at);
        }
    }

    /// Makes a pattern narrower, or wider.
    fn change_text(&mut self, statement: &mut Node, name: &str) {
        let Some(node) = member(statement, name) else { return };
        let mut all = items(node);
        let at = self.dice.below(all.len());
        let old = text(&all[at]).to_owned();
        if old != "*" && !old.contains('[') {
            let cut = old.char_indices().map(|(at, _)| at).filter(|at| *at > old.rfind(['/', ':']).unwrap_or_default()).collect::<Vec<_>>();
            let new = match self.dice.below(3) {
                0 if !cut.is_empty() => format!("{}*", old.split_at(*self.dice.one(&cut)).0),
                1 if !old.ends_with('*') => format!("{old}x"),
                _ => format!("{}*", old.trim_end_matches('*')),
            };
            all[at] = string(&new);
        } else if name == "Resource" {
            all[at] = string("srn:e:::::iam:user/*");
        }
        *node = list(all);
    }

    /// Changes one value of a condition to another of the same key and operator, from another statement, or drops one of several.
    fn change_value(&mut self, statement: &mut Node) {
        let Some(Value::Map(operators)) = member(statement, "Condition").map(|node| &mut node.value) else { return };
        if operators.is_empty() {
            return;
        }
        let at = self.dice.below(operators.len());
        let (operator, keys) = &mut operators[at];
        let negated = negation(&operator.text);
        if let Some(negated) = negated.filter(|_| self.dice.below(4) == 0) {
            *operator = named(negated);
            return;
        }
        let Value::Map(keys) = &mut keys.value else { return };
        let at = self.dice.below(keys.len());
        let mut values = items(&keys[at].1);
        let place = self.dice.below(values.len());
        match self.dice.below(3) {
            0 if values.len() > 1 => drop(values.remove(place)),
            _ => {
                let new = other_value(&values[place], self.dice.below(3));
                if self.dice.below(2) == 0 { values.push(new) } else { values[place] = new }
            }
        }
        keys[at].1 = list(values);
    }
}

fn negation(operator: &str) -> Option<&'static str> {
    [
        ("StringEquals", "StringNotEquals"),
        ("StringLike", "StringNotLike"),
        ("IpAddress", "NotIpAddress"),
        ("NumericLessThan", "NumericGreaterThanEquals"),
        ("DateGreaterThan", "DateLessThanEquals"),
        ("Bool", "Null"),
        ("ForAnyValue:StringEquals", "ForAllValues:StringEquals"),
        ("ForAllValues:StringNotEquals", "ForAnyValue:StringNotEquals"),
    ]
    .into_iter()
    .find_map(|(one, other)| if operator == one { Some(other) } else { (operator == other).then_some(one) })
}

/// A value near another one and of the same type.
fn other_value(value: &Node, which: usize) -> Node {
    let Value::String(old) = &value.value else { return value.clone() };
    if old.parse::<std::net::IpAddr>().is_ok() {
        return string(&format!("{old}/{}", [8, 24, 31][which]));
    }
    if let Some((network, length)) = old.split_once('/').filter(|(network, _)| network.parse::<std::net::IpAddr>().is_ok()) {
        let length: u8 = length.parse().unwrap();
        return string(&format!("{network}/{}", if which == 0 { length.saturating_sub(1) } else { (length + 1).min(32) }));
    }
    let is_date = old.len() >= 10 && old.as_bytes()[4] == b'-' && old.as_bytes()[7] == b'-';
    if is_date || old.eq_ignore_ascii_case("true") || old.eq_ignore_ascii_case("false") {
        return if is_date { string("2025-11-06T00:00:00Z") } else { string(if which == 0 { "true" } else { "false" }) };
    }
    if old.starts_with("srn:") {
        return string(&format!("{}*", old.trim_end_matches('*')));
    }
    if old.parse::<f64>().is_ok() {
        return string(["5", "-4", "9.5"][which]);
    }
    string(&match which {
        0 => format!("{old}x"),
        1 => format!("{}*", old.trim_end_matches('*')),
        _ => old.to_uppercase(),
    })
}

/// The documents that the principal of a case holds, as those of one account.
pub(super) fn documents(case: &Node) -> Held {
    let account = case.get("request").and_then(|request| request.get("principal")?.get("account").cloned());
    let account = match account.map(|node| node.value) {
        Some(Value::String(account)) if *account != *ACCOUNT => account.to_string(),
        Some(_) | None => return case.get("identity_policies").map(items).unwrap_or_default(),
    };
    let moved = json::print(case.get("identity_policies").unwrap()).replace(&format!("::{account}:"), &format!("::{ACCOUNT}:"));
    items(&parse(&moved))
}

pub(super) fn items(node: &Node) -> Vec<Node> {
    match &node.value {
        Value::List(items) => items.clone(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Map(_) => vec![node.clone()],
    }
}

pub(super) fn member<'n>(node: &'n mut Node, name: &str) -> Option<&'n mut Node> {
    let Value::Map(entries) = &mut node.value else { return None };
    entries.iter_mut().find(|(key, _)| *key.text == *name).map(|(_, node)| node)
}

fn without(node: &mut Node, name: &str) {
    let Value::Map(entries) = &mut node.value else { return };
    entries.retain(|(key, _)| *key.text != *name);
}

pub(super) fn string(text: &str) -> Node {
    Node { span: Span::default(), value: Value::String(text.into()) }
}

pub(super) fn list(items: Vec<Node>) -> Node {
    Node { span: Span::default(), value: Value::List(items) }
}

pub(super) fn map(members: Vec<(&str, Node)>) -> Node {
    Node { span: Span::default(), value: Value::Map(members.into_iter().map(|(name, node)| (named(name), node)).collect()) }
}

fn document(statements: Vec<Node>) -> Node {
    map(vec![("Version", string("2024-07-01")), ("Statement", list(statements))])
}

pub(super) fn text(node: &Node) -> &str {
    let Value::String(text) = &node.value else { panic!("{} is no text", node.value.kind()) };
    text
}
