//! Resource definitions as records: the attributes and tags of a type of resource, and where they come from (seed 003, L1886).

use super::Place;
use super::definition::Text;
use crate::policy::ValueType;
use crate::snapshot::attribute::{AttributeSource, JsonPath, UriTemplate};
use crate::source::{Cursor, Table};

/// The definition of one type of resource.
#[derive(Debug, Clone)]
pub struct ResourceDefinition {
    /// Where it stands.
    pub place: Place,
    /// The service type, in any spelling.
    pub service_type: Text,
    /// The type.
    pub resource_type: String,
    /// Its attributes.
    pub attributes: Vec<AttributeDefinition>,
    /// Where its tags come from, if it has any.
    pub tags: Option<AttributeSource>,
}

/// An attribute.
#[derive(Debug, Clone)]
pub struct AttributeDefinition {
    /// Where it stands.
    pub place: Place,
    /// Its name.
    pub name: String,
    /// What it holds.
    pub holds: ValueType,
    /// Whether conditions may test it.
    pub abac: bool,
    /// Where it comes from; `None` for one that nobody can ask for.
    pub source: Option<AttributeSource>,
}

impl ResourceDefinition {
    /// Reads a document of kind [`RESOURCE_DEFINITION`](super::RESOURCE_DEFINITION). Every error is reported; `None` when there was one.
    #[must_use]
    pub fn decode(cursor: &Cursor<'_>) -> Option<Self> {
        let table = cursor.table()?;
        let _ = table.take("kind");
        let text = |value: Cursor<'_>| Some(Text { text: value.string()?, place: Place::of(&value) });
        let service_type = table.required("service_type", "write `service_type: scp-iam`", text);
        let resource_type = table.required("resource_type", "write `resource_type: user`", |value| value.string());
        let attributes = table.or("attributes", Vec::new(), |all| {
            all.entries(|name, span, value| {
                let place = Place { source: value.source().clone(), span };
                AttributeDefinition::decode(name, place, &value)
            })
        });
        let tags = table.optional("tags", |value| {
            let table = value.table()?;
            let source = source(&table);
            table.finish()?;
            let found = source?;
            if found.is_none() {
                value.error_hint("the tags have no `uri`", "write `{uri: /v1/things/{resource_id}/tags, jsonpath: $.tags}`");
            }
            found
        });
        // For consoles and people.
        for remark in ["name", "resources_uri", "display_name", "product_id"] {
            let _ = table.take(remark);
        }
        table.finish()?;
        Some(Self {
            place: Place::of(cursor),
            service_type: service_type?,
            resource_type: resource_type?,
            attributes: attributes?,
            tags: tags?,
        })
    }
}

impl AttributeDefinition {
    fn decode(name: &str, place: Place, cursor: &Cursor<'_>) -> Option<Self> {
        let table = cursor.table()?;
        let holds = table.or("type", ValueType::Text, |value| value.one_of(&ValueType::ALL));
        let abac = table.or("abac", false, |value| value.boolean());
        let source = source(&table);
        table.finish()?;
        let (abac, source) = (abac?, source?);
        if abac && source.is_none() {
            let hint = "write `uri: /v1/things/{resource_id}` and `jsonpath: $.name`, or leave out `abac: true`";
            cursor.error_hint("conditions can test the attribute, and nothing says where it comes from", hint);
            return None;
        }
        Some(Self { place, name: name.to_owned(), holds: holds?, abac, source })
    }
}

/// `uri`, `method` and `jsonpath`. The outer option is `None` after an error.
fn source(table: &Table<'_>) -> Option<Option<AttributeSource>> {
    let uri = table.optional("uri", |value| {
        let parsed = UriTemplate::parse(value.text()?);
        parsed.map_err(|message| value.error_hint(message, "write `/v1/things/{resource_id}`")).ok()
    });
    let method = table.or("method", (), |value| {
        let text = value.text()?;
        if !text.eq_ignore_ascii_case("GET") {
            value.error_hint(format!("`{text}` may change something"), "attributes are asked for with GET");
            return None;
        }
        Some(())
    });
    let path = table.optional("jsonpath", |value| {
        let parsed = JsonPath::parse(value.text()?);
        parsed.map_err(|message| value.error_hint(message, "filters, slices and `..` are not read here")).ok()
    });
    method?;
    match (uri?, path?) {
        (Some(uri), Some(path)) => Some(Some(AttributeSource { uri, path })),
        (None, None) => Some(None),
        (Some(_), None) | (None, Some(_)) => {
            table.cursor().error_hint("`uri` and `jsonpath` stand together", "write both: where to ask, and where it stands in the answer");
            None
        }
    }
}
