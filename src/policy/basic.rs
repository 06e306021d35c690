//! Policies as the console's basic mode shows them: rules that fill in a form (R47, R48; specification, section 1.7).
//!
//! [`Basic::of`] takes a document that fits the form exactly, or says which statements must stay JSON and why; [`Basic::to_json`] is the
//! way back. Between the two a policy may stand as a text that people edit: [`Basic::to_text`], [`Basic::read`]. No way changes what a
//! policy decides.

use std::collections::{BTreeMap, HashSet};
use std::fmt;

use super::document::{Effect, LANGUAGE_VERSION};
use super::print::{laid_out, print};
use super::reader::{LIST_ENTRIES_MAX, shown};
use crate::source::{Key, Node, Span, Value};
use crate::types::Srn;

mod form;
#[cfg(test)]
mod tests;

pub use form::FORM_BYTES_MAX;

/// How many additional conditions a rule may have.
pub const CONDITIONS_MAX: usize = LIST_ENTRIES_MAX;

const AUTHENTICATION_KEY: &str = "scp:AuthenticationType";
const ADDRESS_KEY: &str = "scp:SourceIp";
const AUTHENTICATION_OPERATOR: &str = "StringEquals";
const APPLIED_OPERATOR: &str = "IpAddress";
const EXCLUDED_OPERATOR: &str = "NotIpAddress";

/// A policy in basic mode.
///
/// INVARIANT: its JSON is a sound policy but for its length (if it was made of one), and no two entries of a rule share an operator and
/// a key there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Basic {
    rules: Vec<Rule>,
}

/// One rule: a filled-in form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// The name of its statement, if it has one.
    pub sid: Option<Box<str>>,
    /// Control type.
    pub control: Effect,
    /// Action expressions, as written.
    pub actions: Vec<Box<str>>,
    /// Applied resource: SRNs, with wildcards in ids only.
    pub resources: Choice,
    /// Authentication type.
    pub authentication: Authentication,
    /// Applied IP.
    pub addresses: Addresses,
    /// Additional conditions, in the order of operators and keys.
    pub conditions: Vec<Condition>,
}

/// Everything, or what is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// Everything.
    All,
    /// At least one.
    Listed(Vec<Box<str>>),
}

/// How the caller must have been authenticated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authentication {
    /// In any way.
    All,
    /// By an authentication key.
    AuthenticationKey,
    /// By a temporary key, or at the console.
    TemporaryKeyAndConsoleLogin,
}

/// From where a rule applies: a Deny denies there, and an Allow allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addresses {
    /// Addresses and networks.
    pub applied: Choice,
    /// Those of them to which it does not apply.
    pub excluded: Vec<Box<str>>,
}

/// An additional condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// The condition key, as written.
    pub key: Box<str>,
    /// How several values of the request combine.
    pub qualifier: Qualifier,
    /// The operator.
    pub operator: Box<str>,
    /// At least one value.
    pub values: Vec<Box<str>>,
}

/// A qualifier as the form offers it (R31).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Qualifier {
    /// None is written.
    Default,
    /// `ForAnyValue`.
    Any,
    /// `ForAllValues`.
    All,
}

/// A statement that must stay JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotBasic {
    /// Which one, from 1.
    pub statement: usize,
    /// Its name.
    pub sid: Option<Box<str>>,
    /// What does not fit the form.
    pub span: Span,
    /// Why not.
    pub why: Why,
}

/// Why a statement does not fit the form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// It excepts actions.
    #[error("`NotAction` means all actions but those listed")]
    NotAction,
    /// It is for others than those who hold the policy.
    #[error("`Principal` stands in policies of resources and roles only")]
    Principal,
    /// Its `Condition` has no operator (R45).
    #[error("its `Condition` is empty")]
    EmptyCondition,
    /// All resources and individual ones.
    #[error("`*` stands in `Resource` beside others")]
    AllAmongOthers,
    /// An SRN with a wildcard where the form has none.
    #[error("`{}` has a wildcard in its {part}, and basic mode has them in ids only", shown(srn))]
    Wildcard {
        /// The SRN.
        srn: Box<str>,
        /// The field.
        part: &'static str,
    },
    /// Too many of them for a form.
    #[error("it has {0} additional conditions, and basic mode has at most {CONDITIONS_MAX}")]
    Conditions(usize),
    /// [`parse`](super::parse) would refuse it.
    #[error("it is no statement of a sound policy")]
    Unsound,
}

impl Why {
    /// What to do about it.
    #[must_use]
    pub const fn advice(&self) -> &'static str {
        match self {
            Self::NotAction => "list the actions that are meant in `Action`, or keep the policy as JSON",
            Self::Principal => "basic mode is for policies that users, groups and roles hold",
            Self::EmptyCondition => "leave `Condition` out: it restricts nothing",
            Self::AllAmongOthers => "write \"Resource\": [\"*\"], or the SRNs alone",
            Self::Wildcard { .. } => "leave the region empty for any, name the resource types that are meant, or keep the policy as JSON",
            Self::Conditions(_) => "keep the policy as JSON",
            Self::Unsound => "correct it: `portcullis policy fmt` says what is wrong",
        }
    }
}

impl fmt::Display for NotBasic {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "statement {}", self.statement)?;
        if let Some(sid) = &self.sid {
            write!(out, " `{}`", shown(sid))?;
        }
        write!(out, " must stay JSON: {}", self.why)
    }
}

impl Basic {
    /// The basic form of a sound document ([`parse`](super::parse)): a rule for each statement.
    ///
    /// # Errors
    /// Every statement that does not fit, with every reason.
    pub fn of(root: &Node) -> Result<Self, Vec<NotBasic>> {
        let statements = match root.get("Statement") {
            Some(Node { value: Value::List(items), .. }) => items.iter().collect(),
            Some(one) => vec![one],
            None => vec![root],
        };
        let (mut rules, mut refused) = (Vec::new(), Vec::new());
        for (statement, number) in statements.into_iter().zip(1..) {
            let mut obstacles = Vec::new();
            let rule = Rule::of(statement, &mut obstacles);
            let sid = statement.get("Sid").and_then(text);
            refused.extend(obstacles.into_iter().map(|(span, why)| NotBasic { statement: number, sid: sid.clone(), span, why }));
            rules.extend(rule);
        }
        if refused.is_empty() { Ok(Self { rules }) } else { Err(refused) }
    }

    /// Its rules.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The same with one rule for all that differ in their actions only, at the place of the first, without a name; and with each
    /// action once. What one list cannot hold stays apart.
    #[must_use]
    pub fn merged(&self) -> Self {
        let mut rules: Vec<Rule> = Vec::new();
        for rule in &self.rules {
            match rules.iter_mut().find(|known| known.takes(rule)) {
                Some(known) => {
                    known.actions = united(&known.actions, &rule.actions);
                    known.sid = None;
                }
                None => rules.push(Rule { actions: united(&[], &rule.actions), ..rule.clone() }),
            }
        }
        Self { rules }
    }

    /// The policy document, in canonical form, of the rules as [`Basic::merged`] has them.
    #[must_use]
    pub fn to_json(&self) -> String {
        document(&self.merged().rules)
    }

    /// The text that people edit; [`Basic::read`] reads it back.
    #[must_use]
    pub fn to_text(&self) -> String {
        laid_out(&form::of(self))
    }
}

impl Rule {
    /// The rule that a statement is; `None` if anything stands in the way.
    fn of(statement: &Node, obstacles: &mut Vec<(Span, Why)>) -> Option<Self> {
        let Value::Map(members) = &statement.value else {
            obstacles.push((statement.span, Why::Unsound));
            return None;
        };
        let (mut sid, mut control, mut actions, mut resources) = (None, None, None, None);
        let mut restrictions = Restrictions::none();
        for (key, value) in members {
            let mut refuse = |why| obstacles.push((key.span, why));
            match &*key.text {
                "Sid" if text(value).is_some() => sid = text(value),
                "Effect" => control = effect(value),
                "Action" => actions = values(value),
                "Resource" => resources = choice(value, obstacles),
                "Condition" => restrictions.add(key, value, obstacles),
                "NotAction" => refuse(Why::NotAction),
                "Principal" => refuse(Why::Principal),
                _ => refuse(Why::Unsound),
            }
        }
        let missing = control.is_none() || actions.is_none() || resources.is_none();
        if missing && obstacles.is_empty() {
            obstacles.push((statement.span, Why::Unsound));
        }
        let Restrictions { authentication, addresses, conditions } = restrictions;
        Some(Self { sid, control: control?, actions: actions?, resources: resources?, authentication, addresses, conditions })
    }

    /// Whether only its actions differ, and all of them fit into one list.
    fn takes(&self, other: &Self) -> bool {
        self.control == other.control
            && self.resources == other.resources
            && self.authentication == other.authentication
            && self.addresses == other.addresses
            && self.conditions == other.conditions
            && united(&self.actions, &other.actions).len() <= LIST_ENTRIES_MAX
    }

    fn statement(&self) -> Node {
        let resources = match &self.resources {
            Choice::All => list(&["*".into()]),
            Choice::Listed(srns) => list(srns),
        };
        let sid = self.sid.as_ref().map(|sid| ("Sid", string(sid)));
        let members = [("Effect", string(self.control.as_str())), ("Action", list(&self.actions)), ("Resource", resources)];
        object(sid.into_iter().chain(members).chain(self.condition().map(|condition| ("Condition", condition))))
    }

    fn condition(&self) -> Option<Node> {
        let mut operators: BTreeMap<String, Vec<(&str, Node)>> = BTreeMap::new();
        let mut add = |operator: String, key, values| operators.entry(operator).or_default().push((key, values));
        if let Some(values) = self.authentication.values() {
            add(AUTHENTICATION_OPERATOR.to_owned(), AUTHENTICATION_KEY, list(&values));
        }
        if let Choice::Listed(applied) = &self.addresses.applied {
            add(APPLIED_OPERATOR.to_owned(), ADDRESS_KEY, list(applied));
        }
        if !self.addresses.excluded.is_empty() {
            add(EXCLUDED_OPERATOR.to_owned(), ADDRESS_KEY, list(&self.addresses.excluded));
        }
        self.conditions.iter().for_each(|condition| add(condition.member(), &condition.key, list(&condition.values)));
        let operators = operators.into_iter().map(|(operator, keys)| (operator, object(keys)));
        Some(object(operators)).filter(|condition| condition.value != Value::Map(Vec::new()))
    }
}

/// What the entries of a `Condition` are in the form.
struct Restrictions {
    authentication: Authentication,
    addresses: Addresses,
    conditions: Vec<Condition>,
}

impl Restrictions {
    const fn none() -> Self {
        let addresses = Addresses { applied: Choice::All, excluded: Vec::new() };
        Self { authentication: Authentication::All, addresses, conditions: Vec::new() }
    }

    fn add(&mut self, name: &Key, at: &Node, obstacles: &mut Vec<(Span, Why)>) {
        let Value::Map(operators) = &at.value else { return obstacles.push((at.span, Why::Unsound)) };
        if operators.is_empty() {
            return obstacles.push((name.span, Why::EmptyCondition));
        }
        for (operator, keys) in operators {
            let Value::Map(keys) = &keys.value else { return obstacles.push((keys.span, Why::Unsound)) };
            for (key, values) in keys {
                let added = Condition::of(&operator.text, &key.text, values).and_then(|condition| self.put(condition));
                if added.is_none() {
                    obstacles.push((key.span, Why::Unsound));
                }
            }
        }
        if self.conditions.len() > CONDITIONS_MAX {
            obstacles.push((name.span, Why::Conditions(self.conditions.len())));
        }
        self.conditions.sort_by_cached_key(Condition::place);
    }

    /// Puts an entry where the form has it; `None` if that is filled in already.
    fn put(&mut self, condition: Condition) -> Option<()> {
        match condition.field() {
            Some(Field::Authentication(found)) if self.authentication == Authentication::All => self.authentication = found,
            Some(Field::Applied) if self.addresses.applied == Choice::All => self.addresses.applied = Choice::Listed(condition.values),
            Some(Field::Excluded) if self.addresses.excluded.is_empty() => self.addresses.excluded = condition.values,
            Some(Field::Authentication(_) | Field::Applied | Field::Excluded) => return None,
            None => self.conditions.push(condition),
        }
        Some(())
    }
}

/// A place of the form that an entry of a `Condition` belongs to.
enum Field {
    Authentication(Authentication),
    Applied,
    Excluded,
}

impl Condition {
    fn of(member: &str, key: &str, at: &Node) -> Option<Self> {
        let (qualifier, operator) = match member.split_once(':') {
            Some(("ForAnyValue", operator)) => (Qualifier::Any, operator),
            Some(("ForAllValues", operator)) => (Qualifier::All, operator),
            Some(_) => return None,
            None => (Qualifier::Default, member),
        };
        Some(Self { key: key.into(), qualifier, operator: operator.into(), values: values(at)? })
    }

    /// Which place of the form says the same; such an entry is no additional condition.
    fn field(&self) -> Option<Field> {
        let about = |key: &str, operator: &str| self.key.eq_ignore_ascii_case(key) && *self.operator == *operator;
        if self.qualifier != Qualifier::Default {
            None
        } else if about(ADDRESS_KEY, APPLIED_OPERATOR) {
            Some(Field::Applied)
        } else if about(ADDRESS_KEY, EXCLUDED_OPERATOR) {
            Some(Field::Excluded)
        } else if about(AUTHENTICATION_KEY, AUTHENTICATION_OPERATOR) {
            Authentication::by_values(&self.values).map(Field::Authentication)
        } else {
            None
        }
    }

    /// The name of its operator in a `Condition`.
    fn member(&self) -> String {
        match self.qualifier {
            Qualifier::Default => self.operator.to_string(),
            Qualifier::Any => format!("ForAnyValue:{}", self.operator),
            Qualifier::All => format!("ForAllValues:{}", self.operator),
        }
    }

    /// What conditions are in order by.
    fn place(&self) -> (String, Box<str>) {
        (self.member(), self.key.clone())
    }
}

impl Authentication {
    const RESTRICTED: [Self; 2] = [Self::AuthenticationKey, Self::TemporaryKeyAndConsoleLogin];

    /// The types that it stands for; `None` for all.
    const fn types(self) -> Option<&'static [&'static str]> {
        match self {
            Self::All => None,
            Self::AuthenticationKey => Some(&["AuthenticationKey"]),
            Self::TemporaryKeyAndConsoleLogin => Some(&["TemporaryKey", "ConsoleLogin"]),
        }
    }

    fn values(self) -> Option<Vec<Box<str>>> {
        self.types().map(|types| types.iter().map(|word| (*word).into()).collect())
    }

    /// The one that stands for exactly these types, in whatever order.
    fn by_values(values: &[Box<str>]) -> Option<Self> {
        let found: HashSet<&str> = values.iter().map(AsRef::as_ref).collect();
        Self::RESTRICTED.into_iter().find(|known| known.types().is_some_and(|types| found == types.iter().copied().collect()))
    }
}

fn document(rules: &[Rule]) -> String {
    let statements = rules.iter().map(Rule::statement).collect();
    print(&object([("Version", string(LANGUAGE_VERSION)), ("Statement", node(Value::List(statements)))]))
}

/// The reason why an SRN does not fit the form.
fn misfit(text: &str) -> Option<Why> {
    let Ok(srn) = Srn::parse(text) else { return Some(Why::Unsound) };
    let fields = [("region", srn.region), ("resource type", srn.resource_type)];
    let (part, _) = fields.into_iter().find(|(_, field)| field.contains(['*', '?']))?;
    Some(Why::Wildcard { srn: text.into(), part })
}

fn choice(at: &Node, obstacles: &mut Vec<(Span, Why)>) -> Option<Choice> {
    let srns = values(at)?;
    match srns.as_slice() {
        [only] if **only == *"*" => return Some(Choice::All),
        all if all.iter().any(|one| **one == *"*") => {
            obstacles.push((at.span, Why::AllAmongOthers));
            return None;
        }
        _ => {}
    }
    let before = obstacles.len();
    let spans: Vec<Span> = match &at.value {
        Value::List(items) => items.iter().map(|item| item.span).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Map(_) => vec![at.span],
    };
    obstacles.extend(srns.iter().zip(spans).filter_map(|(srn, span)| Some((span, misfit(srn)?))));
    (obstacles.len() == before).then_some(Choice::Listed(srns))
}

fn effect(at: &Node) -> Option<Effect> {
    let written = text(at)?;
    [Effect::Allow, Effect::Deny].into_iter().find(|known| *known.as_str() == *written)
}

fn text(at: &Node) -> Option<Box<str>> {
    match &at.value {
        Value::String(text) => Some(text.clone()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::List(_) | Value::Map(_) => None,
    }
}

/// One value or a list of at least one, as texts (R06).
fn values(at: &Node) -> Option<Vec<Box<str>>> {
    let one = |item: &Node| super::condition::scalar(item).map(Box::from);
    match &at.value {
        Value::List(items) if items.is_empty() => None,
        Value::List(items) => items.iter().map(one).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Map(_) => Some(vec![one(at)?]),
    }
}

/// Every action of two lists once, in the order of first appearance.
fn united(first: &[Box<str>], second: &[Box<str>]) -> Vec<Box<str>> {
    let mut seen = HashSet::new();
    first.iter().chain(second).filter(|action| seen.insert(*action)).cloned().collect()
}

fn node(value: Value) -> Node {
    Node { span: Span::default(), value }
}

fn string(text: &str) -> Node {
    node(Value::String(text.into()))
}

fn list(texts: &[Box<str>]) -> Node {
    node(Value::List(texts.iter().map(|text| string(text)).collect()))
}

fn object<K: Into<Box<str>>>(members: impl IntoIterator<Item = (K, Node)>) -> Node {
    let key = |name: K| Key { text: name.into(), span: Span::default() };
    node(Value::Map(members.into_iter().map(|(name, value)| (key(name), value)).collect()))
}
