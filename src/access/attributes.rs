//! What conditions test beside the caller: tags and attributes of resources, which only backends know, and what the request brings.

use std::fmt;

use super::resolve::Resolved;
use crate::policy::{
    Accessor, AttributeId, Catalogue, Known, Needs, Part, RequestAttributes, ResourceTypeId, Scalar, Step, Stored, Values,
};
use crate::snapshot::accessor::{AmbiguousMember, member, read_attribute};
use crate::snapshot::attribute::{AttributeSource, JsonPath, Name, tags};
use crate::snapshot::{Inputs, Snapshot};
use crate::source::Node;
use crate::source::json::{self, Limits};

/// Most bytes of what a backend tells about a resource.
pub const TOLD_BYTES_MAX: usize = 64 * 1024;
/// How deep it may nest.
const TOLD_DEPTH_MAX: usize = 32;

/// Most lines that a record says about the attributes of resources.
const DESCRIBED_MAX: usize = 32;
/// What stands between key and value in such a line.
pub const IS: &str = " = ";
/// What stands behind the key of something that the resource does not have.
pub const ABSENT: &str = " is absent";
/// What stands behind the key of something that could not be obtained.
pub const UNAVAILABLE: &str = " is unavailable";
/// The key of all tags together.
pub const RESOURCE_TAG: &str = "scp:ResourceTag";

/// Tags and attributes of one resource that stand in one answer of its backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The resource.
    pub srn: String,
    /// The account that it belongs to.
    pub account: String,
    /// Its service type: which upstream to ask.
    pub service_type: String,
    /// What to ask for, with GET.
    pub target: String,
    /// What to take from the answer.
    pub items: Vec<Item>,
}

/// Something to take from an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// The attribute's name; `None` for the tags.
    pub attribute: Option<String>,
    /// Where it stands.
    pub path: JsonPath,
}

/// What became of a [`Wanted`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// The resource.
    pub srn: String,
    /// What was found, or that it could not be obtained.
    pub found: Vec<Found>,
}

/// Tags: key and value.
pub type TagList = Vec<(Box<str>, Stored)>;
/// The same, lent.
pub(super) type LentTags<'a> = Vec<(&'a str, Vec<Scalar<'a>>)>;

/// An item, found or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// The tags.
    Tags(Option<TagList>),
    /// An attribute by its name.
    Attribute(String, Option<Stored>),
}

/// What a backend told: a whole JSON text.
#[derive(Debug)]
pub struct Told(Node);

impl Told {
    /// Reads an answer; `None` when it is no strict JSON, or nests too deep.
    #[must_use]
    pub fn read(text: &[u8]) -> Option<Self> {
        json::parse(text, Limits { bytes_max: TOLD_BYTES_MAX, depth_max: TOLD_DEPTH_MAX }).ok().map(Self)
    }
}

impl Wanted {
    /// Takes what was wanted from an answer; without one, everything is unavailable.
    #[must_use]
    pub fn take(&self, told: Option<&Told>) -> Fetched {
        let answer = told.map(|Told(node)| node);
        let item = |item: &Item| match &item.attribute {
            None => Found::Tags(answer.and_then(|answer| match item.path.find(answer).as_slice() {
                [] => Some(Vec::new()),
                [one] => tags(one),
                _ => None,
            })),
            Some(name) => Found::Attribute(name.clone(), answer.map(|answer| item.path.values(answer))),
        };
        Fetched { srn: self.srn.clone(), found: self.items.iter().map(item).collect() }
    }
}

/// What is known of a resource.
#[derive(Debug, Default)]
pub(super) struct Facts {
    /// Nothing is known; they cannot be obtained; these.
    tags: Option<Option<TagList>>,
    attributes: Vec<(AttributeId, Option<Stored>)>,
}

/// The same as scalars, which requests lend.
#[derive(Default)]
pub(super) struct Scalars<'a> {
    pub(super) tags: Option<Option<LentTags<'a>>>,
    pub(super) attributes: Vec<(AttributeId, Option<Vec<Scalar<'a>>>)>,
}

impl Facts {
    /// What was fetched of the resource of this name and type; nothing is known of the rest.
    pub(super) fn of(srn: &str, kind: ResourceTypeId, fetched: &[Fetched], catalogue: &Catalogue) -> Self {
        let mut facts = Self::default();
        for found in fetched.iter().filter(|fetched| fetched.srn == srn).flat_map(|fetched| &fetched.found) {
            match found {
                Found::Tags(tags) => facts.tags = Some(tags.clone()),
                Found::Attribute(name, values) => {
                    let mut known = catalogue.attributes();
                    let id = known.find(|(_, known)| known.kind == kind && *known.name == **name).map(|(id, _)| id);
                    facts.attributes.extend(id.map(|id| (id, values.clone())));
                }
            }
        }
        facts
    }

    /// How much is known, or known to be unavailable.
    pub(super) fn size(&self) -> usize {
        self.attributes.len() + usize::from(self.tags.is_some())
    }

    /// What is known, for records: `PLACE KEY = VALUE`, or that there is none, or that it could not be obtained.
    pub(super) fn describe(&self, place: usize, catalogue: &Catalogue, lines: &mut Vec<String>) {
        let mut one = |key: &str, values: Option<&Stored>| match values.map(Stored::scalars) {
            None => lines.push(format!("{place} {key}{UNAVAILABLE}")),
            Some(values) if values.is_empty() => lines.push(format!("{place} {key}{ABSENT}")),
            Some(values) => lines.extend(values.into_iter().map(|value| match value {
                Scalar::Text(text) => format!("{place} {key}{IS}{text}"),
                Scalar::Bool(_) | Scalar::Address(_) | Scalar::Time(_) | Scalar::Other => format!("{place} {key}{UNAVAILABLE}"),
            })),
        };
        for (id, values) in &self.attributes {
            one(&catalogue.attribute_key(*id), values.as_ref());
        }
        match &self.tags {
            None => {}
            Some(None) => one(RESOURCE_TAG, None),
            Some(Some(tags)) if tags.is_empty() => one(RESOURCE_TAG, Some(&Stored::default())),
            Some(Some(tags)) => tags.iter().for_each(|(key, values)| one(&format!("{RESOURCE_TAG}/{key}"), Some(values))),
        }
        lines.truncate(DESCRIBED_MAX);
    }

    pub(super) fn scalars(&self) -> Scalars<'_> {
        Scalars {
            tags: self
                .tags
                .as_ref()
                .map(|tags| tags.as_ref().map(|tags| tags.iter().map(|(key, values)| (&**key, values.scalars())).collect())),
            attributes: self.attributes.iter().map(|(id, values)| (*id, values.as_ref().map(Stored::scalars))).collect(),
        }
    }
}

/// What must be fetched, one entry for each answer that it stands in. What nobody can be asked for is in the second list: it is
/// unavailable.
pub(super) fn wanted(needs: &Needs, resolved: &Resolved<'_>, snapshot: &Snapshot) -> (Vec<Wanted>, Vec<Fetched>) {
    let (mut wanted, mut lost): (Vec<Wanted>, Vec<Fetched>) = (Vec::new(), Vec::new());
    let tags = needs.tags.iter().map(|place| (*place, None));
    let attributes = needs.attributes.iter().map(|(place, id)| (*place, Some(*id)));
    let srns = resolved.srns(snapshot.catalogue());
    for (place, attribute) in tags.chain(attributes) {
        let (Some(resource), Some(srn)) = (resolved.resources.get(place), srns.get(place)) else { continue };
        let sources = snapshot.sources(resource.kind);
        let source: Option<&AttributeSource> = sources.and_then(|sources| match attribute {
            None => sources.tags.as_ref(),
            Some(id) => sources.attributes.get(&id),
        });
        let attribute = attribute.map(|id| snapshot.catalogue().attribute(id).name.to_string());
        let name = Name { account: &resource.account, region: &resource.region, id: &resource.id };
        let Some((source, target)) = source.and_then(|source| Some((source, source.uri.fill(&name)?))) else {
            let found = attribute.map_or(Found::Tags(None), |name| Found::Attribute(name, None));
            lost.push(Fetched { srn: srn.clone(), found: vec![found] });
            continue;
        };
        let item = Item { attribute, path: source.path.clone() };
        match wanted.iter_mut().find(|wanted| wanted.srn == *srn && wanted.target == target) {
            Some(wanted) => wanted.items.push(item),
            None => wanted.push(Wanted {
                srn: srn.clone(),
                account: resource.account.to_string(),
                service_type: snapshot.catalogue().resource_type(resource.kind).service_type.to_string(),
                target,
                items: vec![item],
            }),
        }
    }
    (wanted, lost)
}

/// The values of `scp:RequestAttribute/...`.
pub(super) struct Spots<'a> {
    pub(super) inputs: Inputs<'a>,
    /// The names of the path's parameters.
    pub(super) parameters: &'a [Box<str>],
    /// Whether the body has been read.
    pub(super) body_is_read: bool,
}

impl fmt::Debug for Spots<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Spots")
    }
}

impl RequestAttributes for Spots<'_> {
    fn read(&self, accessor: &Accessor, take: &mut dyn FnMut(Scalar<'_>)) -> Known {
        if accessor.part() == Part::Body && !self.body_is_read {
            return Known::NotFetched;
        }
        read_attribute(accessor, self.parameters, &self.inputs, take);
        Known::Known
    }
}

/// The tags that a request brings: none without a body that has them; unreadable ones cannot be obtained.
pub(super) enum Brought {
    Tags(TagList),
    Unreadable,
}

impl Brought {
    pub(super) fn read(accessor: &Accessor, body: Option<&Node>) -> Self {
        let mut node = body;
        for step in accessor.steps() {
            let Some(inside) = node else { break };
            node = match step {
                Step::Member(name) => match member(inside, name) {
                    Ok(found) => found,
                    Err(AmbiguousMember) => return Self::Unreadable,
                },
                Step::Each => return Self::Unreadable,
            };
        }
        match node {
            None => Self::Tags(Vec::new()),
            Some(node) => tags(node).map_or(Self::Unreadable, Self::Tags),
        }
    }
}

/// A list of values for each of some keys, lent.
pub(super) fn lend<'a, K: Copy>(lists: &'a [(K, Vec<Scalar<'a>>)]) -> Vec<(K, Values<'a>)> {
    lists.iter().map(|(key, list)| (*key, Values::of(list))).collect()
}
