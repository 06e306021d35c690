//! Random cases for the policy language, in the form of the decision cases of cases.json.
//!
//! A seed determines them. All policies in them are valid documents; what they say leans towards what the request asks, so that
//! each outcome comes out often.

use portcullis::source::{Node, Value, json};

use dice::{Dice, list};
use statement::{Origin, Writer};
use vocabulary::{ACCESSORS, ACCOUNTS, DOMAINS, IDS, Kind, REGIONS, ROLES, SERVICE_ACCOUNTS, Shape, TAGS, UNKNOWN_ACTIONS, USERS};

#[path = "generate/condition.rs"]
mod condition;
#[path = "generate/dice.rs"]
mod dice;
#[path = "generate/statement.rs"]
mod statement;
#[path = "generate/vocabulary.rs"]
mod vocabulary;

const CATALOG: &str = include_str!("generate/catalog.json");

/// Draws cases.
pub(crate) struct Generator {
    dice: Dice,
    catalog: Catalog,
}

impl Generator {
    pub(crate) fn new(seed: u64) -> Self {
        Self { dice: Dice::new(seed), catalog: Catalog::read() }
    }

    /// The catalogue that all cases are about, whatever the seed: `catalog` of cases.json with the access levels of the actions.
    pub(crate) fn world(&mut self) -> String {
        CATALOG.to_owned()
    }

    /// A decision case as JSON, without what is expected of it.
    pub(crate) fn case(&mut self) -> String {
        let plan = Planner { dice: &mut self.dice, catalog: &self.catalog }.plan();
        let request = plan.write(&mut self.dice);
        let mut writer = Writer { dice: &mut self.dice, catalog: &self.catalog, plan: &plan };
        let mut members = vec![("request".to_owned(), request)];
        // those of a service do not count
        let owner = plan.principal.account.unwrap_or(ACCOUNTS[0]);
        let count = if plan.principal.account.is_some() || writer.dice.percent(20) { writer.dice.between(0, 3) } else { 0 };
        let identity: Vec<String> = (0..count).map(|_| writer.policy(&Origin::Identity { owner })).collect();
        members.push(("identity_policies".to_owned(), list(&identity)));
        let attached = writer.attached_policies();
        if !attached.is_empty() || writer.dice.percent(20) {
            members.push(("resource_policies".to_owned(), list(&attached)));
        }
        if let Some(owner) = plan.principal.account
            && writer.dice.percent(20)
        {
            let session: Vec<String> = (0..writer.dice.between(0, 2)).map(|_| writer.policy(&Origin::Session { owner })).collect();
            members.push(("session_policies".to_owned(), list(&session)));
        }
        self.dice.object(members)
    }
}

/// The catalogue as the generator needs it.
struct Catalog {
    services: Vec<Service>,
    common: Vec<String>,
    actions: Vec<(String, Vec<Type>)>,
    levels: Vec<(String, String)>,
    roots: Vec<(String, String)>,
    attributes: Vec<Attribute>,
}

struct Service {
    name: String,
    /// The service-type and every other way to write it.
    spellings: Vec<String>,
    /// What may stand before the colon of an attribute key.
    prefixes: Vec<String>,
}

/// A resource type: the index of its service, and its name there.
#[derive(Clone, PartialEq, Eq)]
struct Type {
    service: usize,
    name: String,
}

struct Attribute {
    of: Type,
    name: String,
    kind: Kind,
    is_open: bool,
}

impl Catalog {
    fn read() -> Self {
        let root = json::parse(CATALOG.as_bytes(), json::Limits { bytes_max: 1 << 20, depth_max: 16 }).unwrap();
        let services: Vec<Service> = texts_or_nodes(root.get("services")).iter().map(Service::read).collect();
        let find = |name: &str| services.iter().position(|service| service.name == name).unwrap();
        let types = |node: &Node| {
            let split = |text: String| {
                let (service, name) = text.split_once(':').unwrap();
                Type { service: find(service), name: name.to_owned() }
            };
            texts(Some(node)).into_iter().map(split).collect()
        };
        let actions = entries(root.get("actions")).iter().map(|(name, node)| ((*name).to_owned(), types(node))).collect();
        let pairs = |key| entries(root.get(key)).iter().map(|(name, node)| ((*name).to_owned(), text(node).to_owned())).collect();
        let mut attributes = Vec::new();
        for definition in texts_or_nodes(root.get("resource_definitions")) {
            let service_type = text(definition.get("service_type").unwrap());
            let service = services.iter().position(|service| service.spellings.iter().any(|own| own == service_type)).unwrap();
            for (name, attribute) in entries(definition.get("attributes")) {
                attributes.push(Attribute {
                    of: Type { service, name: text(definition.get("resource_type").unwrap()).to_owned() },
                    name: name.to_owned(),
                    kind: Kind::named(text(attribute.get("type").unwrap())),
                    is_open: attribute.get("abac").is_some_and(|abac| abac.value == Value::Bool(true)),
                });
            }
        }
        let (levels, roots) = (pairs("access_levels"), pairs("root_users"));
        Self { common: texts(root.get("common_services")), services, actions, levels, roots, attributes }
    }
}

impl Service {
    fn read(node: &Node) -> Self {
        let name = text(node.get("service").unwrap()).to_owned();
        let mut spellings = vec![text(node.get("service_type").unwrap()).to_owned()];
        spellings.extend(texts(node.get("aliases")));
        for at in 0..spellings.len() {
            let other = spellings[at].strip_prefix("scp-").map_or_else(|| format!("scp-{}", spellings[at]), ToOwned::to_owned);
            if !spellings.contains(&other) {
                spellings.push(other);
            }
        }
        let prefixes = texts(node.get("condition_prefixes")).into_iter().chain([name.clone()]).collect();
        Self { name, spellings, prefixes }
    }
}

fn text(node: &Node) -> &str {
    let Value::String(text) = &node.value else { panic!("{} is no text", node.value.kind()) };
    text
}

fn texts_or_nodes(node: Option<&Node>) -> &[Node] {
    match node.map(|node| &node.value) {
        Some(Value::List(items)) => items,
        _ => &[],
    }
}

fn texts(node: Option<&Node>) -> Vec<String> {
    texts_or_nodes(node).iter().map(|node| text(node).to_owned()).collect()
}

fn entries(node: Option<&Node>) -> Vec<(&str, &Node)> {
    match node.map(|node| &node.value) {
        Some(Value::Map(entries)) => entries.iter().map(|(key, node)| (&*key.text, node)).collect(),
        _ => Vec::new(),
    }
}

/// What a request is going to ask.
struct Plan {
    principal: Principal,
    action: String,
    resources: Vec<Resource>,
    context: Vec<Given>,
}

struct Principal {
    kind: &'static str,
    /// None for a service.
    account: Option<&'static str>,
    /// The domain of a service.
    id: String,
}

#[derive(Clone)]
struct Resource {
    account: &'static str,
    region: &'static str,
    of: Type,
    service_type: String,
    id: String,
    tags: Vec<Given>,
    attributes: Attributes,
}

#[derive(Clone)]
enum Attributes {
    Absent,
    Unavailable,
    Known(Vec<Given>),
}

/// A key of the request, its JSON, and those of its values that a policy could name.
#[derive(Clone)]
struct Given {
    key: String,
    json: String,
    echo: Vec<String>,
}

impl Resource {
    /// Whether both are the same resource.
    fn is(&self, other: &Self) -> bool {
        (self.account, self.region, &self.of, &self.id) == (other.account, other.region, &other.of, &other.id)
    }

    fn srn(&self) -> String {
        format!("srn:e::{}:{}::{}:{}/{}", self.account, self.region, self.service_type, self.of.name, self.id)
    }

    fn write(&self, dice: &mut Dice) -> String {
        let mut members = vec![("srn".to_owned(), dice.string(&self.srn()))];
        if !self.tags.is_empty() || dice.percent(30) {
            members.push(("tags".to_owned(), write_given(dice, &self.tags)));
        }
        match &self.attributes {
            Attributes::Absent => {}
            Attributes::Unavailable => members.push(("attributes".to_owned(), "\"UNAVAILABLE\"".to_owned())),
            Attributes::Known(attributes) => members.push(("attributes".to_owned(), write_given(dice, attributes))),
        }
        dice.object(members)
    }
}

fn write_given(dice: &mut Dice, given: &[Given]) -> String {
    dice.object(given.iter().map(|given| (given.key.clone(), given.json.clone())).collect())
}

impl Principal {
    fn srn(&self) -> Option<String> {
        let kind = if self.kind == "root" { "user" } else { self.kind };
        self.account.map(|account| format!("srn:e::{account}:::scp-iam:{kind}/{}", self.id))
    }

    fn write(&self, dice: &mut Dice) -> String {
        let (name, value) = self.srn().map_or_else(|| ("name", self.id.clone()), |srn| ("srn", srn));
        let account = self.account.map_or_else(|| "null".to_owned(), |account| format!("\"{account}\""));
        let members = [("type", format!("\"{}\"", self.kind)), (name, format!("\"{value}\"")), ("account", account)];
        dice.object(members.map(|(name, value)| (name.to_owned(), value)).into())
    }
}

impl Plan {
    fn write(&self, dice: &mut Dice) -> String {
        let resources: Vec<String> = self.resources.iter().map(|resource| resource.write(dice)).collect();
        let members = vec![
            ("principal".to_owned(), self.principal.write(dice)),
            ("action".to_owned(), dice.string(&self.action)),
            ("resources".to_owned(), list(&resources)),
            ("context".to_owned(), write_given(dice, &self.context)),
        ];
        dice.object(members)
    }
}

/// Draws what a request is going to ask.
struct Planner<'a> {
    dice: &'a mut Dice,
    catalog: &'a Catalog,
}

impl Planner<'_> {
    fn plan(&mut self) -> Plan {
        let principal = self.principal();
        let (action, types) = self.dice.one_of(&self.catalog.actions);
        let action = if self.dice.percent(7) { self.dice.pick(UNKNOWN_ACTIONS).to_owned() } else { action.clone() };
        let is_abroad = self.dice.percent(25);
        let mut resources: Vec<Resource> = Vec::new();
        for of in types {
            resources.push(self.resource(of, principal.account, is_abroad));
            // in bulk: several resources of one type
            for _ in 0..if self.dice.percent(15) { self.dice.between(1, 2) } else { 0 } {
                let another = self.resource(of, principal.account, is_abroad);
                if resources.iter().all(|other| !other.is(&another)) {
                    resources.push(another);
                }
            }
        }
        Plan { principal, action, resources, context: self.context() }
    }

    fn principal(&mut self) -> Principal {
        let account = *self.dice.one_of(&[ACCOUNTS[0], ACCOUNTS[0], ACCOUNTS[0], ACCOUNTS[1], ACCOUNTS[2]]);
        let (kind, account, id) = match self.dice.below(100) {
            0..55 => ("user", Some(account), self.dice.pick(USERS)),
            55..63 => ("root", Some(account), self.root_of(account)),
            63..78 => ("role", Some(account), self.dice.pick(ROLES)),
            78..90 => ("service-account", Some(account), self.dice.pick(SERVICE_ACCOUNTS)),
            _ => ("service", None, self.dice.pick(DOMAINS)),
        };
        Principal { kind, account, id: id.to_owned() }
    }

    fn root_of(&self, account: &str) -> &str {
        self.catalog.roots.iter().find(|(owner, _)| owner == account).map(|(_, id)| id.as_str()).unwrap()
    }

    fn resource(&mut self, of: &Type, home: Option<&'static str>, is_abroad: bool) -> Resource {
        let account = match home {
            Some(home) if !(is_abroad && self.dice.percent(70)) => home,
            _ => *self.dice.one_of(ACCOUNTS),
        };
        let region = if self.catalog.services[of.service].name == "iam" { "" } else { *self.dice.one_of(REGIONS) };
        let spellings = &self.catalog.services[of.service].spellings;
        let service_type = if self.dice.percent(85) { spellings[0].clone() } else { self.dice.one_of(spellings).clone() };
        let tags = self.tags();
        let attributes = match self.dice.below(10) {
            0 => Attributes::Unavailable,
            1 => Attributes::Absent,
            _ => Attributes::Known(self.attributes(of)),
        };
        Resource { account, region, of: of.clone(), service_type, id: self.dice.pick(IDS).to_owned(), tags, attributes }
    }

    fn attributes(&mut self, of: &Type) -> Vec<Given> {
        let mut known = Vec::new();
        for attribute in self.catalog.attributes.iter().filter(|attribute| attribute.of == *of) {
            if self.dice.percent(75) {
                let (json, echo) = attribute.kind.hold(self.dice, Shape::Any);
                known.push(Given { key: attribute.name.clone(), json, echo });
            }
        }
        known
    }

    /// Tags; some names differ only in letter case.
    fn tags(&mut self) -> Vec<Given> {
        let mut tags: Vec<Given> = Vec::new();
        for _ in 0..self.dice.below(5) {
            let key = match tags.last() {
                Some(last) if self.dice.percent(25) => self.dice.odd_case(&last.key),
                _ => self.tag_name(),
            };
            if !tags.iter().any(|tag| tag.key == key) {
                tags.push(self.tag(key));
            }
        }
        tags
    }

    fn tag_name(&mut self) -> String {
        let spellings = *self.dice.one_of(TAGS);
        self.dice.pick(spellings).to_owned()
    }

    fn tag(&mut self, key: String) -> Given {
        loop {
            let (json, echo) = Kind::String.hold(self.dice, Shape::Single);
            if json.starts_with('"') {
                return Given { key, json, echo };
            }
        }
    }

    fn context(&mut self) -> Vec<Given> {
        let mut context: Vec<Given> = Vec::new();
        for (name, kind) in condition::GLOBAL_KEYS {
            if self.dice.percent(75) {
                let shape = if *name == "TagKeys" { Shape::Several } else { Shape::Single };
                let (json, echo) = kind.hold(self.dice, shape);
                context.push(Given { key: format!("scp:{name}"), json, echo });
            }
        }
        for (word, spellings) in ACCESSORS {
            if self.dice.percent(40) {
                let (json, echo) = Kind::String.hold(self.dice, Shape::Any);
                context.push(Given { key: format!("scp:RequestAttribute/{word}['{}']", self.dice.pick(spellings)), json, echo });
            }
        }
        for tag in self.tags() {
            context.push(Given { key: format!("scp:RequestTag/{}", tag.key), ..tag });
        }
        context
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::oracle::{Outcome, decide};

    #[test]
    fn generated_cases_parse_and_reach_every_outcome() {
        const CASES: usize = 5_000;
        let limits = json::Limits { bytes_max: 1 << 20, depth_max: 64 };
        let mut generator = Generator::new(20_240_701);
        let catalog = json::parse(generator.world().as_bytes(), limits).unwrap();
        let mut counts: HashMap<String, usize> = HashMap::new();
        for _ in 0..CASES {
            let text = generator.case();
            let case = json::parse(text.as_bytes(), limits).unwrap_or_else(|error| panic!("{error}\n{text}"));
            *counts.entry(format!("{:?}", decide(&catalog, &case))).or_default() += 1;
        }
        for outcome in [Outcome::Allow, Outcome::ImplicitDeny, Outcome::ExplicitDeny, Outcome::UnknownAction] {
            let count = counts.get(&format!("{outcome:?}")).copied().unwrap_or_default();
            assert!(count * 20 >= CASES, "{outcome:?} came out in {count} of {CASES} cases only: {counts:?}");
        }
    }
}
