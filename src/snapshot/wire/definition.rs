//! Action definitions as records: which method and path is which action, in the seed's own form (contracts C6).

use http::Method;

use super::Place;
use super::resource_definition::ResourceDefinition;
use crate::policy::{Accessor, Part};
use crate::snapshot::accessor::Expression;
use crate::snapshot::routes::parameter_names;
use crate::source::{Cursor, Span, Value};
use crate::types::{AccessLevel, ActionName};

/// Action definitions of one service, as written (contracts C6). Expressions are still text.
#[derive(Debug, Clone)]
pub struct ActionDefinition {
    /// Where it stands.
    pub place: Place,
    /// Prefix of the action names.
    pub service: String,
    /// Canonical service type in SRNs.
    pub service_type: String,
    /// Other spellings in SRNs.
    pub aliases: Vec<String>,
    /// Whose account a resource belongs to.
    pub account: Option<Text>,
    /// Which region a resource is in.
    pub region: Option<Text>,
    /// Other first parts of the condition keys of its resources' attributes.
    pub condition_prefixes: Vec<String>,
    /// Whether its actions may stand in the policies of all services' resources (R28).
    pub common: bool,
    /// The paths.
    pub paths: Vec<PathDefinition>,
}

/// A text and where it stands.
#[derive(Debug, Clone)]
pub struct Text {
    /// The text.
    pub text: String,
    /// Where it stands.
    pub place: Place,
}

/// A path template and its methods.
#[derive(Debug, Clone)]
pub struct PathDefinition {
    /// The template, such as `/v1/users/{user_id}`.
    pub template: Text,
    /// The methods.
    pub methods: Vec<MethodDefinition>,
}

/// What a method on a path is.
#[derive(Debug, Clone)]
pub struct MethodDefinition {
    /// Where it stands.
    pub place: Place,
    /// The method.
    pub method: Method,
    /// The action; a public method may have none.
    pub action: Option<(ActionName, AccessLevel)>,
    /// Whether a credential is required.
    pub public: bool,
    /// Whether either kind of access key will do, whatever its owner's security setting says.
    pub any_key: bool,
    /// Whether the backend authorises by itself.
    pub backend_decides: bool,
    /// The resources it touches.
    pub resources: Vec<ResourceDefinitionRef>,
    /// Where the tags stand that a request brings.
    pub request_tags: Option<Accessor>,
}

/// A document of definitions.
#[derive(Debug, Clone)]
pub enum Definition {
    /// The actions of a service.
    Actions(ActionDefinition),
    /// The attributes and tags of a type of resource.
    Resource(ResourceDefinition),
}

impl Definition {
    /// Reads a document by its `kind`. Every error is reported; `None` when there was one.
    #[must_use]
    pub fn decode(cursor: &Cursor<'_>) -> Option<Self> {
        let kind = cursor.node().get("kind");
        match kind.map(|kind| &kind.value) {
            Some(Value::String(kind)) if **kind == *ACTION_DEFINITION => ActionDefinition::decode(cursor).map(Self::Actions),
            Some(Value::String(kind)) if **kind == *RESOURCE_DEFINITION => ResourceDefinition::decode(cursor).map(Self::Resource),
            Some(_) | None => {
                let span = kind.unwrap_or(cursor.node()).span;
                let hint = format!("start the document with `kind: {ACTION_DEFINITION}` or `kind: {RESOURCE_DEFINITION}`");
                cursor.error_at(span, "this is no definition: its `kind` does not say so", hint);
                None
            }
        }
    }
}

/// A resource of an action as written.
#[derive(Debug, Clone)]
pub enum ResourceDefinitionRef {
    /// A type and the expression that yields its id or ids.
    Typed {
        /// The type as spelt, `iam:user`.
        spelling: Text,
        /// The id's expression.
        resource_id: Text,
    },
    /// An expression that yields whole SRNs.
    Srn(Text),
}

/// The `kind` of an action definition document (seed 003, L1613).
pub const ACTION_DEFINITION: &str = "scp-iam:action-definition";
/// The `kind` of a resource definition document (seed 003, L1886).
pub const RESOURCE_DEFINITION: &str = "scp-resourcemanager:resource-definition";

const METHODS: [(&str, Method); 7] = [
    ("get", Method::GET),
    ("head", Method::HEAD),
    ("post", Method::POST),
    ("put", Method::PUT),
    ("patch", Method::PATCH),
    ("delete", Method::DELETE),
    ("options", Method::OPTIONS),
];

fn located(cursor: Cursor<'_>) -> Option<Text> {
    Some(Text { text: cursor.string()?, place: Place::of(&cursor) })
}

impl ActionDefinition {
    /// Reads a document of kind [`ACTION_DEFINITION`]. Every error is reported; `None` when there was one.
    #[must_use]
    pub fn decode(cursor: &Cursor<'_>) -> Option<Self> {
        let table = cursor.table()?;
        let _ = table.take("kind");
        let service = table.required("service", "write `service: NAME`, the part of action names before the colon", |value| value.string());
        let service_type = table.optional("service_type", |value| value.string());
        let aliases = table.or("aliases", Vec::new(), |value| value.list(|alias| alias.string()));
        let prefixes = table.or("condition_prefixes", Vec::new(), |value| value.list(|prefix| prefix.string()));
        let common = table.or("common", false, |value| value.boolean());
        // Which of the templates have which parameters is checked when all is compiled.
        let (mut names, mut known) = (Vec::new(), true);
        let paths = table.required("paths", "write `paths:` and below it `/v1/things/{thing_id}:`", |value| {
            value.entries(|template, span, methods| {
                match parameter_names(template) {
                    Ok(found) => names.extend(found),
                    Err(_) => known = false,
                }
                PathDefinition::decode(template, span, &methods)
            })
        });
        let names = known.then_some(names.as_slice());
        let account = table.optional("account", |value| expression(value, names));
        let region = table.optional("region", |value| expression(value, names));
        table.finish()?;
        let service = service?;
        Some(Self {
            place: Place::of(cursor),
            service_type: service_type?.unwrap_or_else(|| service.clone()),
            service,
            aliases: aliases?,
            account: account?,
            region: region?,
            condition_prefixes: prefixes?,
            common: common?,
            paths: paths?,
        })
    }
}

impl PathDefinition {
    fn decode(template: &str, span: Span, cursor: &Cursor<'_>) -> Option<Self> {
        let names = parameter_names(template);
        if let Err(error) = &names {
            cursor.error_at(span, error, "write a template such as `/v1/users/{user_id}`");
        }
        let names = names.ok();
        let methods = cursor.entries(|word, span, value| MethodDefinition::decode(word, span, &value, names.as_deref()));
        let place = Place { source: cursor.source().clone(), span };
        names.and(Some(Self { template: Text { text: template.to_owned(), place }, methods: methods? }))
    }
}

/// An expression; its parameters must be among `names` if those are known.
fn expression(cursor: Cursor<'_>, names: Option<&[&str]>) -> Option<Text> {
    let text = located(cursor.clone())?;
    if let Some(names) = names
        && let Err(message) = Expression::parse(&text.text, names)
    {
        cursor.error_hint(message, expression_hint(names));
        return None;
    }
    Some(text)
}

/// What may be written as an expression where a path has these parameters.
pub(in crate::snapshot) fn expression_hint(names: &[&str]) -> String {
    let path: String = names.iter().map(|name| format!("path['{name}'], ")).collect();
    format!(
        "write {path}query['NAME'], header['NAME'], body['NAME'], host['NAME'], principal or 'TEXT'; `a ?? b` is the first that is there"
    )
}

impl MethodDefinition {
    fn decode(word: &str, span: Span, cursor: &Cursor<'_>, names: Option<&[&str]>) -> Option<Self> {
        let place = Place { source: cursor.source().clone(), span };
        let Some((_, method)) = METHODS.iter().find(|(name, _)| name.eq_ignore_ascii_case(word)) else {
            cursor.error_at(span, format!("`{word}` is not a method"), "write get, head, post, put, patch, delete or options");
            return None;
        };
        let table = cursor.table()?;
        let words = [("required", (false, false)), ("none", (true, false)), ("any_key", (false, true))];
        let authentication = table.or("authentication", (false, false), |value| value.one_of(&words));
        let backend_decides = table.or("decide", false, |value| value.one_of(&[("gateway", false), ("backend", true)]));
        let action = table.optional("action", |value| value.parse("write `service:Name`, for example `iam:ShowUser`"));
        let access_level = table.optional("access_level", |value| {
            value.parse("write List, Read, Create, Update, Delete, Permission, MonitorView, MonitorSet or Bypass")
        });
        let resources = table.or("resources", Vec::new(), |value| value.list(|resource| ResourceDefinitionRef::decode(resource, names)));
        let request_tags = table.optional("request_tags", |value| {
            let text = value.text()?;
            let accessor = Accessor::parse(text).filter(|accessor| accessor.part() == Part::Body);
            if accessor.is_none() {
                value.error_hint(format!("`{text}` is no place in a body"), "write `request_tags: \"body['tags']\"`");
            }
            accessor
        });
        table.finish()?;
        let (public, any_key) = authentication?;
        let action = match (action?, access_level?) {
            (Some(action), Some(level)) => Some((action, level)),
            (None, None) if public => None,
            (Some(_), None) => {
                cursor.error_hint(
                    "the action has no `access_level`",
                    "write `access_level: Read`, or List, Create, Update, Delete, Permission, MonitorView, MonitorSet or Bypass",
                );
                return None;
            }
            (None, _) => {
                let hint =
                    "write `action: service:Name`, for example `iam:ShowUser`: policies allow actions by name; or `authentication: none`";
                cursor.error_hint("the method has no `action`", hint);
                return None;
            }
        };
        Some(Self {
            place,
            method: method.clone(),
            action,
            public,
            any_key,
            backend_decides: backend_decides?,
            resources: resources?,
            request_tags: request_tags?,
        })
    }
}

impl ResourceDefinitionRef {
    fn decode(cursor: Cursor<'_>, names: Option<&[&str]>) -> Option<Self> {
        let hint = "write `{\"iam:user\": {resource_id: \"path['user_id']\"}}` or `{srn: \"base64(path['srn'])\"}`";
        let found = cursor.entries(|spelling, span, value| {
            if spelling == "srn" {
                return expression(value, names).map(Self::Srn);
            }
            let spelling = Text { text: spelling.to_owned(), place: Place { source: value.source().clone(), span } };
            let table = value.table()?;
            let resource_id = table.required("resource_id", "write `resource_id: \"path['user_id']\"`", |id| expression(id, names));
            table.finish()?;
            Some(Self::Typed { spelling, resource_id: resource_id? })
        })?;
        let mut found = found.into_iter();
        match (found.next(), found.next()) {
            (Some(resource), None) => Some(resource),
            (None, _) | (Some(_), Some(_)) => {
                cursor.error_hint("one resource should stand here", hint);
                None
            }
        }
    }
}
