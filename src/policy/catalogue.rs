//! The closed catalogue: services and their spellings, resource types and actions, interned to small numbers.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use foldhash::fast::FixedState;

use crate::source::nearest;
use crate::types::{AccessLevel, ActionName, Offering};

/// How many actions, how many resource types, and how many attributes one catalogue holds.
pub const CATALOGUE_ENTRIES_MAX: usize = 65_536;
/// A table of names. Its hash is not keyed: only operators put names into a catalogue, so nobody else can make them collide.
type Names<K, V> = HashMap<K, V, FixedState>;

/// What the vendor puts before a service's name in SRNs, or leaves out (R15).
const VENDOR_PREFIX: &str = "scp-";

/// An action's number in its catalogue. Numbers of different catalogues must not meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ActionId(u32);

/// A resource type's number in its catalogue. Numbers of different catalogues must not meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ResourceTypeId(u32);

/// An attribute's number in its catalogue. Numbers of different catalogues must not meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AttributeId(u32);

impl ActionId {
    /// The number, from 0, without gaps.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

impl ResourceTypeId {
    /// The number, from 0, without gaps.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

impl AttributeId {
    /// The number, from 0, without gaps.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// An action that some definition names (contracts C6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Action {
    /// Its name, such as `iam:ShowUser`.
    pub name: ActionName,
    /// What kind of access it is (R51).
    pub level: AccessLevel,
    /// The resource types its definitions name; empty, and not `any_resource`: only the bare `*` matches it (R19).
    pub resource_types: Box<[ResourceTypeId]>,
    /// A definition takes the whole SRN of a resource from the request, of whatever type (contracts C6).
    pub any_resource: bool,
}

impl Action {
    /// Whether the policy of its resource must allow it, also in the resource's own account: taking a role (R52).
    #[must_use]
    pub fn needs_resource_policy(&self) -> bool {
        self.name.service() == "sts" && self.name.name().starts_with("AssumeRole")
    }
}

/// A type of resource of one service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceType {
    /// The service's canonical service type, such as `scp-iam`.
    pub service_type: Arc<str>,
    /// The type's name, such as `user`.
    pub name: Arc<str>,
}

/// An attribute of a type of resource (seed 003, L1886).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribute {
    /// Whose attribute it is.
    pub kind: ResourceTypeId,
    /// Its name, such as `lastname`.
    pub name: Box<str>,
    /// What it holds.
    pub holds: ValueType,
    /// Whether conditions may test it (`abac: true`).
    pub abac: bool,
}

/// What a condition key, and so an attribute, holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ValueType {
    /// `string`.
    Text,
    /// `number`.
    Number,
    /// `datetime`.
    Date,
    /// `bool`.
    Bool,
    /// `ip_address`.
    Address,
    /// `srn`.
    Srn,
}

impl ValueType {
    /// What to call the values.
    #[must_use]
    pub const fn plural(self) -> &'static str {
        match self {
            Self::Text => "texts",
            Self::Number => "numbers",
            Self::Date => "dates",
            Self::Bool => "booleans",
            Self::Address => "addresses",
            Self::Srn => "SRNs",
        }
    }

    /// Every type and its word in resource definitions.
    pub const ALL: [(&'static str, Self); 6] = [
        ("string", Self::Text),
        ("number", Self::Number),
        ("datetime", Self::Date),
        ("bool", Self::Bool),
        ("ip_address", Self::Address),
        ("srn", Self::Srn),
    ];
}

/// Why a declaration does not fit into a catalogue.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CatalogueError {
    /// Two services want the same spelling in SRNs (R15).
    #[error("`{spelling}` already stands for the service type `{taken_by}`, so it cannot stand for `{claimed_by}` too")]
    AliasClaimed {
        /// The spelling both want; `x` and `scp-x` are one.
        spelling: String,
        /// The service type that has it.
        taken_by: String,
        /// The service type that wants it.
        claimed_by: String,
    },
    /// Not a service name, service type or resource type.
    #[error("`{0}` is not a {1}: letters, digits and `. _ -`")]
    Word(String, &'static str),
    /// A resource type of no declared service.
    #[error("`{0}` is a resource type of no service known here{suggestion}", suggestion = did_you_mean(.1.as_deref()))]
    UnknownService(String, Option<String>),
    /// The same action with two access levels.
    #[error("the action `{action}` is declared as {first} and as {second}; one action has one access level")]
    LevelConflict {
        /// The action.
        action: ActionName,
        /// The level of the first declaration.
        first: AccessLevel,
        /// The other level.
        second: AccessLevel,
    },
    /// A resource type of another catalogue.
    #[error("the action `{0}` names a resource type that this catalogue does not have")]
    ForeignResourceType(ActionName),
    /// Two attributes whose condition keys would be one: keys have no letter case and no mark between type and attribute.
    #[error("the condition key `{key}` would mean the attribute `{first}` and the attribute `{second}`; rename one of them")]
    AttributeCollision {
        /// The key.
        key: String,
        /// The attribute that has it, after its type.
        first: String,
        /// The attribute that wants it, after its type.
        second: String,
    },
    /// Too many entries.
    #[error("a catalogue holds at most {CATALOGUE_ENTRIES_MAX} {0}")]
    Full(&'static str),
}

fn did_you_mean(word: Option<&str>) -> String {
    word.map_or_else(String::new, |word| format!("; did you mean `{word}`?"))
}

/// All services, resource types and actions there are. What is not in it is denied (R10).
#[derive(Debug, Clone)]
pub struct Catalogue {
    offering: Offering,
    actions: Box<[Action]>,
    action_ids: Names<Box<str>, ActionId>,
    resource_types: Box<[ResourceType]>,
    /// Resource types by their names, by every spelling of their service type.
    types_of: Names<Box<str>, Names<Arc<str>, ResourceTypeId>>,
    /// Service types as SRNs write them (R15).
    spellings: Names<Box<str>, Arc<str>>,
    /// Service types by the names of their services, which actions start with.
    services: HashMap<Box<str>, Arc<str>>,
    prefixes: HashMap<Box<str>, Arc<str>>,
    attributes: Box<[Attribute]>,
    attribute_ids: HashMap<(Arc<str>, Box<str>), AttributeId>,
    common: HashSet<Box<str>>,
}

impl Catalogue {
    /// Starts an empty catalogue of one offering.
    #[must_use]
    pub fn builder(offering: Offering) -> CatalogueBuilder {
        CatalogueBuilder {
            offering,
            actions: Vec::new(),
            action_ids: Names::default(),
            resource_types: Vec::new(),
            type_ids: HashMap::new(),
            spellings: Names::default(),
            services: HashMap::new(),
            prefixes: HashMap::new(),
            attributes: Vec::new(),
            attribute_ids: HashMap::new(),
            common: HashSet::new(),
        }
    }

    /// The offering in every SRN of this catalogue.
    #[must_use]
    pub fn offering(&self) -> &Offering {
        &self.offering
    }

    /// The action of this exact name (letter case counts, R09).
    #[must_use]
    pub fn action_id(&self, name: &str) -> Option<ActionId> {
        self.action_ids.get(name).copied()
    }

    /// The action with this number.
    ///
    /// # Panics
    /// For a number of another, larger catalogue.
    #[must_use]
    #[expect(clippy::indexing_slicing, reason = "numbers are handed out by this catalogue's own builder only, and none is ever removed")]
    pub fn action(&self, id: ActionId) -> &Action {
        &self.actions[id.index()]
    }

    /// Every action, in the order of the numbers.
    pub fn actions(&self) -> impl Iterator<Item = (ActionId, &Action)> {
        self.actions.iter().zip(0..).map(|(action, number)| (ActionId(number), action))
    }

    /// The resource type with this number.
    ///
    /// # Panics
    /// For a number of another, larger catalogue.
    #[must_use]
    #[expect(clippy::indexing_slicing, reason = "numbers are handed out by this catalogue's own builder only, and none is ever removed")]
    pub fn resource_type(&self, id: ResourceTypeId) -> &ResourceType {
        &self.resource_types[id.index()]
    }

    /// Every resource type, in the order of the numbers.
    pub fn resource_types(&self) -> impl Iterator<Item = (ResourceTypeId, &ResourceType)> {
        self.resource_types.iter().zip(0..).map(|(kind, number)| (ResourceTypeId(number), kind))
    }

    /// The canonical service type of a service, by the name that its actions start with.
    #[must_use]
    pub fn service_type_of(&self, service: &str) -> Option<&Arc<str>> {
        self.services.get(service)
    }

    /// The canonical service type for any of its spellings in SRNs: itself and its aliases, each with and without `scp-` (R15).
    #[must_use]
    pub fn canonical_service_type(&self, spelling: &str) -> Option<&Arc<str>> {
        self.spellings.get(spelling)
    }

    /// The resource type of this name, by any spelling of its service (R15); letter case counts.
    #[must_use]
    pub fn find_resource_type(&self, service: &str, name: &str) -> Option<ResourceTypeId> {
        self.types_of.get(service)?.get(name).copied()
    }

    /// The attribute with this number.
    ///
    /// # Panics
    /// For a number of another, larger catalogue.
    #[must_use]
    #[expect(clippy::indexing_slicing, reason = "numbers are handed out by this catalogue's own builder only, and none is ever removed")]
    pub fn attribute(&self, id: AttributeId) -> &Attribute {
        &self.attributes[id.index()]
    }

    /// Every attribute, in the order of the numbers.
    pub fn attributes(&self) -> impl Iterator<Item = (AttributeId, &Attribute)> {
        self.attributes.iter().zip(0..).map(|(attribute, number)| (AttributeId(number), attribute))
    }

    /// The attribute that a condition key `{service}:{type}{attribute}` names, in whatever letter case; also one that conditions
    /// may not test.
    #[must_use]
    pub fn find_attribute(&self, service: &str, rest: &str) -> Option<AttributeId> {
        let service_type = self.prefixes.get(service.to_ascii_lowercase().as_str())?;
        self.attribute_ids.get(&(Arc::clone(service_type), rest.to_ascii_lowercase().into())).copied()
    }

    /// The condition key of an attribute: `{service}:{type}{Attribute}`, with the first in the alphabet of the service's prefixes.
    #[must_use]
    pub fn attribute_key(&self, id: AttributeId) -> String {
        let Attribute { kind, name, .. } = self.attribute(id);
        let ResourceType { service_type, name: of } = self.resource_type(*kind);
        let mut letters = name.chars();
        let first = letters.next().map(|first| first.to_ascii_uppercase());
        let own = self.prefixes.iter().filter(|(_, of)| *of == service_type).map(|(prefix, _)| &**prefix);
        let service = own.min().unwrap_or(service_type);
        format!("{service}:{of}{}{}", first.map(String::from).unwrap_or_default(), letters.as_str())
    }

    /// Whether the actions of a service may stand in the policies of any service's resources (R28).
    #[must_use]
    pub fn is_common(&self, service: &str) -> bool {
        self.common.contains(service)
    }

    /// The first part of every condition key of an attribute.
    pub(super) fn prefixes(&self) -> impl Iterator<Item = &str> {
        self.prefixes.keys().map(|prefix| &**prefix)
    }

    /// How many actions there are.
    #[must_use]
    pub fn action_count(&self) -> usize {
        self.actions.len()
    }

    /// How many resource types there are.
    #[must_use]
    pub fn resource_type_count(&self) -> usize {
        self.resource_types.len()
    }

    /// Every spelling of a service in an SRN.
    pub(super) fn spellings(&self) -> impl Iterator<Item = &str> {
        self.spellings.keys().map(|spelling| &**spelling)
    }
}

/// A catalogue in the making.
#[derive(Debug)]
pub struct CatalogueBuilder {
    offering: Offering,
    actions: Vec<Action>,
    action_ids: Names<Box<str>, ActionId>,
    resource_types: Vec<ResourceType>,
    type_ids: HashMap<(Arc<str>, Arc<str>), ResourceTypeId>,
    spellings: Names<Box<str>, Arc<str>>,
    services: HashMap<Box<str>, Arc<str>>,
    /// First parts of condition keys, in lower case.
    prefixes: HashMap<Box<str>, Arc<str>>,
    attributes: Vec<Attribute>,
    /// By service type and the rest of the condition key, in lower case.
    attribute_ids: HashMap<(Arc<str>, Box<str>), AttributeId>,
    common: HashSet<Box<str>>,
}

impl CatalogueBuilder {
    /// Declares a service: the prefix of its actions, its canonical service type in SRNs, and other spellings of that.
    /// The same service may be declared again, and several services may share one service type.
    ///
    /// # Errors
    /// When a spelling is no word, or already stands for another service type. Nothing is declared then.
    pub fn service(&mut self, service: &str, service_type: &str, aliases: &[&str]) -> Result<(), CatalogueError> {
        let canonical: Arc<str> = service_type.into();
        word(service, "service name")?;
        let mut claims: Vec<String> = Vec::new();
        for spelling in [service_type].iter().chain(aliases) {
            word(spelling, "service name")?;
            let partner = match spelling.strip_prefix(VENDOR_PREFIX) {
                Some("") => return Err(CatalogueError::Word((*spelling).to_owned(), "service name")),
                Some(bare) => bare.to_owned(),
                None => format!("{VENDOR_PREFIX}{spelling}"),
            };
            claims.extend([(*spelling).to_owned(), partner]);
        }
        let claimed = |spelling: &str, taken: &Arc<str>| CatalogueError::AliasClaimed {
            spelling: spelling.to_owned(),
            taken_by: taken.to_string(),
            claimed_by: service_type.to_owned(),
        };
        for spelling in &claims {
            if let Some(taken) = self.spellings.get(spelling.as_str()).filter(|taken| **taken != canonical) {
                return Err(claimed(spelling, taken));
            }
        }
        if let Some(taken) = self.services.get(service).filter(|taken| **taken != canonical) {
            return Err(claimed(service, taken));
        }
        let prefix = self.free_prefix(service, &canonical)?;
        for spelling in claims {
            self.spellings.entry(spelling.into()).or_insert_with(|| Arc::clone(&canonical));
        }
        self.services.insert(service.into(), Arc::clone(&canonical));
        self.prefixes.insert(prefix, canonical);
        Ok(())
    }

    /// Declares another first part for the condition keys of a service type's attributes.
    ///
    /// # Errors
    /// When it is no word, or stands for another service type; letter case does not count.
    pub fn condition_prefix(&mut self, service_type: &str, prefix: &str) -> Result<(), CatalogueError> {
        word(prefix, "prefix of condition keys")?;
        let canonical: Arc<str> = service_type.into();
        let prefix = self.free_prefix(prefix, &canonical)?;
        self.prefixes.insert(prefix, canonical);
        Ok(())
    }

    /// A prefix of condition keys, in lower case, that stands for no other service type.
    fn free_prefix(&self, spelling: &str, service_type: &Arc<str>) -> Result<Box<str>, CatalogueError> {
        let prefix = spelling.to_ascii_lowercase();
        match self.prefixes.get(prefix.as_str()).filter(|taken| *taken != service_type) {
            Some(taken) => {
                let (taken_by, claimed_by) = (taken.to_string(), service_type.to_string());
                Err(CatalogueError::AliasClaimed { spelling: spelling.to_owned(), taken_by, claimed_by })
            }
            None => Ok(prefix.into()),
        }
    }

    /// Declares that the actions of a service may stand in the policies of any service's resources (R28).
    pub fn common(&mut self, service: &str) {
        self.common.insert(service.into());
    }

    /// Declares an attribute of a resource type. The same may be declared again.
    ///
    /// # Errors
    /// When the name is no word, or its condition key is another attribute's.
    pub fn attribute(&mut self, attribute: Attribute) -> Result<AttributeId, CatalogueError> {
        word(&attribute.name, "attribute")?;
        let Some(kind) = self.resource_types.get(attribute.kind.index()) else { return Err(CatalogueError::Full("resource types")) };
        let of = |known: &Attribute| {
            let kind = self.resource_types.get(known.kind.index()).map_or("", |kind| &kind.name);
            format!("{}` of `{kind}", known.name)
        };
        let key = (Arc::clone(&kind.service_type), format!("{}{}", kind.name, attribute.name).to_ascii_lowercase().into());
        if let Some((id, known)) = self.attribute_ids.get(&key).and_then(|id| Some((*id, self.attributes.get(id.index())?))) {
            if *known == attribute {
                return Ok(id);
            }
            let key = format!("{}:{}", key.0, key.1);
            return Err(CatalogueError::AttributeCollision { key, first: of(known), second: of(&attribute) });
        }
        let id = AttributeId(number(self.attributes.len(), "attributes")?);
        self.attributes.push(attribute);
        self.attribute_ids.insert(key, id);
        Ok(id)
    }

    /// The resource type for a spelling such as `iam:user` or `scp-iam:user`, made when it is new: the service's name, or its service
    /// type as SRNs write it.
    ///
    /// # Errors
    /// When the service is not declared, or the type is no word.
    pub fn resource_type(&mut self, spelling: &str) -> Result<ResourceTypeId, CatalogueError> {
        let shown = || spelling.chars().take(64).collect::<String>();
        let (service, name) = spelling.split_once(':').ok_or_else(|| CatalogueError::Word(shown(), "resource type (`service:type`)"))?;
        word(name, "resource type")?;
        let Some(service_type) = self.services.get(service).or_else(|| self.spellings.get(service)) else {
            let known = self.services.keys().chain(self.spellings.keys());
            let near = nearest(service, known.map(|known| &**known)).map(|near| format!("{near}:{name}"));
            return Err(CatalogueError::UnknownService(shown(), near));
        };
        let key = (Arc::clone(service_type), Arc::<str>::from(name));
        if let Some(id) = self.type_ids.get(&key) {
            return Ok(*id);
        }
        let id = ResourceTypeId(number(self.resource_types.len(), "resource types")?);
        self.resource_types.push(ResourceType { service_type: Arc::clone(&key.0), name: Arc::clone(&key.1) });
        self.type_ids.insert(key, id);
        Ok(id)
    }

    /// Declares an action. Several routes may carry the same action: their resource types are united.
    ///
    /// # Errors
    /// When the action is already declared with another access level, or a resource type is of another catalogue.
    pub fn action(&mut self, name: ActionName, level: AccessLevel, resource_types: &[ResourceTypeId]) -> Result<ActionId, CatalogueError> {
        if resource_types.iter().any(|kind| kind.index() >= self.resource_types.len()) {
            return Err(CatalogueError::ForeignResourceType(name));
        }
        let known = self.action_ids.get(name.as_str()).copied();
        if let Some((id, action)) = known.and_then(|id| self.actions.get_mut(id.index()).map(|action| (id, action))) {
            if action.level != level {
                return Err(CatalogueError::LevelConflict { action: name, first: action.level, second: level });
            }
            action.resource_types = united(&action.resource_types, resource_types);
            return Ok(id);
        }
        let id = ActionId(number(self.actions.len(), "actions")?);
        self.action_ids.insert(name.as_str().into(), id);
        self.actions.push(Action { name, level, resource_types: united(&[], resource_types), any_resource: false });
        Ok(id)
    }

    /// Declares that requests for an action may name a resource of whatever type.
    pub fn any_resource(&mut self, action: ActionId) {
        if let Some(action) = self.actions.get_mut(action.index()) {
            action.any_resource = true;
        }
    }

    /// The finished catalogue.
    #[must_use]
    pub fn build(self) -> Catalogue {
        let mut of_service: Names<Arc<str>, Names<Arc<str>, ResourceTypeId>> = Names::default();
        for ((service_type, name), id) in self.type_ids {
            of_service.entry(service_type).or_default().insert(name, id);
        }
        let types = |canonical: &Arc<str>| of_service.get(canonical).cloned();
        let types_of = self.spellings.iter().filter_map(|(spelling, canonical)| Some((spelling.clone(), types(canonical)?))).collect();
        Catalogue {
            offering: self.offering,
            actions: self.actions.into(),
            action_ids: self.action_ids,
            resource_types: self.resource_types.into(),
            types_of,
            spellings: self.spellings,
            services: self.services,
            prefixes: self.prefixes,
            attributes: self.attributes.into(),
            attribute_ids: self.attribute_ids,
            common: self.common,
        }
    }
}

fn word(text: &str, what: &'static str) -> Result<(), CatalogueError> {
    let good = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'));
    if good { Ok(()) } else { Err(CatalogueError::Word(text.chars().take(64).collect(), what)) }
}

fn number(length: usize, what: &'static str) -> Result<u32, CatalogueError> {
    u32::try_from(length).ok().filter(|_| length < CATALOGUE_ENTRIES_MAX).ok_or(CatalogueError::Full(what))
}

fn united(first: &[ResourceTypeId], second: &[ResourceTypeId]) -> Box<[ResourceTypeId]> {
    let mut all = first.to_vec();
    for kind in second {
        if !all.contains(kind) {
            all.push(*kind);
        }
    }
    all.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn builder() -> CatalogueBuilder {
        let mut builder = Catalogue::builder("e".parse().unwrap());
        builder.service("iam", "scp-iam", &[]).unwrap();
        builder.service("server", "scp-compute", &["virtual-server"]).unwrap();
        builder
    }

    #[test]
    fn every_spelling_of_a_service_leads_to_its_service_type() {
        let catalogue = builder().build();
        for (spelling, canonical) in [
            ("iam", Some("scp-iam")),
            ("scp-iam", Some("scp-iam")),
            // The name of a service is no service type.
            ("server", None),
            ("compute", Some("scp-compute")),
            ("scp-virtual-server", Some("scp-compute")),
            ("IAM", None),
            ("compute2", None),
        ] {
            assert_eq!(catalogue.canonical_service_type(spelling).map(|found| &**found), canonical, "{spelling}");
        }
    }

    #[test]
    fn a_spelling_of_two_services_is_refused_and_nothing_is_declared() {
        let mut builder = builder();
        let error = builder.service("billing", "scp-billing", &["compute"]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`compute` already stands for the service type `scp-compute`, so it cannot stand for `scp-billing` too"
        );
        assert!(builder.resource_type("billing:invoice").is_err());
        builder.service("server-v2", "scp-compute", &[]).unwrap();
    }

    #[test]
    fn resource_types_are_interned_whatever_the_spelling() {
        let mut builder = builder();
        let user = builder.resource_type("iam:user").unwrap();
        assert_eq!(builder.resource_type("scp-iam:user"), Ok(user));
        assert_ne!(builder.resource_type("iam:group"), Ok(user));
        let error = builder.resource_type("iamm:user").unwrap_err();
        assert_eq!(error.to_string(), "`iamm:user` is a resource type of no service known here; did you mean `iam:user`?");
        assert!(builder.resource_type("user").is_err());
        assert!(builder.resource_type("iam:").is_err());
    }

    #[test]
    fn the_same_action_of_several_routes_unites_its_resource_types() {
        let mut builder = builder();
        let (user, group) = (builder.resource_type("iam:user").unwrap(), builder.resource_type("iam:group").unwrap());
        let name: ActionName = "iam:Show".parse().unwrap();
        let id = builder.action(name.clone(), AccessLevel::Read, &[user]).unwrap();
        assert_eq!(builder.action(name.clone(), AccessLevel::Read, &[group, user, group]), Ok(id));
        let error = builder.action(name.clone(), AccessLevel::List, &[]).unwrap_err();
        assert_eq!(error.to_string(), "the action `iam:Show` is declared as Read and as List; one action has one access level");
        let catalogue = builder.build();
        assert_eq!(catalogue.action_id("iam:Show"), Some(id));
        assert_eq!(catalogue.action_id("iam:show"), None);
        assert_eq!(*catalogue.action(id).resource_types, [user, group]);
        assert_eq!(catalogue.action_count(), 1);
        assert_eq!(&*catalogue.resource_type(group).name, "group");
        assert_eq!(catalogue.find_resource_type("iam", "group"), Some(group));
        assert_eq!(catalogue.find_resource_type("scp-iam", "Group"), None);
    }

    #[test]
    fn an_attribute_is_known_by_every_prefix_of_its_service_and_shown_with_the_first() {
        let mut builder = builder();
        builder.condition_prefix("scp-compute", "virtual-servers").unwrap();
        builder.condition_prefix("scp-compute", "Virtual-Servers").unwrap();
        let kind = builder.resource_type("server:instance").unwrap();
        let vcpu = Attribute { kind, name: "vcpu".into(), holds: ValueType::Number, abac: true };
        let id = builder.attribute(vcpu.clone()).unwrap();
        assert_eq!(builder.attribute(vcpu.clone()), Ok(id));
        let error = builder.attribute(Attribute { abac: false, ..vcpu }).unwrap_err();
        assert!(matches!(error, CatalogueError::AttributeCollision { .. }), "{error}");
        let error = builder.condition_prefix("scp-iam", "SERVER").unwrap_err();
        assert_eq!(error.to_string(), "`SERVER` already stands for the service type `scp-compute`, so it cannot stand for `scp-iam` too");
        let error = builder.service("server", "scp-iam", &[]).unwrap_err();
        assert_eq!(error.to_string(), "`server` already stands for the service type `scp-compute`, so it cannot stand for `scp-iam` too");
        builder.service("server", "scp-compute", &[]).unwrap();
        let catalogue = builder.build();
        assert_eq!(catalogue.attribute_key(id), "server:instanceVcpu");
        let mut prefixes: Vec<_> = catalogue.prefixes().collect();
        prefixes.sort_unstable();
        assert_eq!(prefixes, ["iam", "server", "virtual-servers"]);
        for (service, found) in [("server", Some(id)), ("Virtual-Servers", Some(id)), ("iam", None), ("compute", None)] {
            assert_eq!(catalogue.find_attribute(service, "instanceVCPU"), found, "{service}");
        }
    }

    #[test]
    fn what_a_catalogue_was_told_it_says_again() {
        let mut builder = Catalogue::builder("g".parse().unwrap());
        builder.service("tag", "scp-tag", &[]).unwrap();
        builder.common("tag");
        for (name, expected) in [("sts:AssumeRole", true), ("sts:AssumeRoleWithSAML", true), ("sts:Show", false), ("tag:AssumeRole", false)]
        {
            let id = builder.action(name.parse().unwrap(), AccessLevel::Update, &[]).unwrap();
            assert_eq!(builder.actions[id.index()].needs_resource_policy(), expected, "{name}");
        }
        let catalogue = builder.build();
        assert_eq!(catalogue.offering().as_str(), "g");
        assert_eq!((catalogue.is_common("tag"), catalogue.is_common("iam")), (true, false));
    }

    #[test]
    fn numbers_end_at_the_limit() {
        let last = CATALOGUE_ENTRIES_MAX - 1;
        assert_eq!(number(last, "actions"), Ok(u32::try_from(last).unwrap()));
        assert_eq!(number(CATALOGUE_ENTRIES_MAX, "actions"), Err(CatalogueError::Full("actions")));
    }
}
