//! Records: the form in which accounts, users, policies, keys and action definitions travel and rest.
//!
//! File mode writes them as YAML. Each record is read by the one parser here, wherever it comes from.

use std::str::FromStr;

use http::Method;

use crate::source::secret::{SECRET_HINT, SecretRef};
use crate::source::{Cursor, Source, Span, Table, Value};
use crate::types::{AccessKeyId, AccessLevel, AccountId, ActionName, GroupId, Network, PolicyId, Timestamp, UserId};

/// Most entries of an allowlist (seed 003, L1389).
pub const ALLOWED_ADDRESSES_MAX: usize = 50;
/// Longest name of anything, in characters.
pub const NAME_CHARS_MAX: usize = 128;

/// Where a record stands, for errors that are found later.
#[derive(Debug, Clone)]
pub struct Place {
    /// The file.
    pub source: Source,
    /// The place in it.
    pub span: Span,
}

impl Place {
    /// The place of a value.
    #[must_use]
    pub fn of(cursor: &Cursor<'_>) -> Self {
        Self { source: cursor.source().clone(), span: cursor.node().span }
    }
}

/// A policy's JSON text, or the file that holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DocumentRef {
    /// The text itself.
    Text(String),
    /// A file, relative to the one that names it.
    File(String),
}

/// Whom a policy is attached to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Identity {
    /// A user.
    User(UserId),
    /// A group: all its members.
    Group(GroupId),
}

/// An account's record.
#[derive(Debug, Clone)]
pub struct Account {
    /// Its id.
    pub id: AccountId,
    /// Its name.
    pub name: String,
    /// Whether it is active.
    pub active: bool,
}

/// A user's record.
#[derive(Debug, Clone)]
pub struct User {
    /// Its id.
    pub id: UserId,
    /// The account it belongs to.
    pub account: AccountId,
    /// Its name.
    pub name: String,
    /// Whether it is the account's root user.
    pub root: bool,
    /// Whether it is active.
    pub active: bool,
}

/// A group's record.
#[derive(Debug, Clone)]
pub struct Group {
    /// Its id.
    pub id: GroupId,
    /// The account it belongs to.
    pub account: AccountId,
    /// Its name.
    pub name: String,
}

/// A policy's record.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Its id.
    pub id: PolicyId,
    /// The account that owns it; `None` for a SYSTEM_MANAGED policy (R53).
    pub account: Option<AccountId>,
    /// Its name.
    pub name: String,
    /// Its document.
    pub document: DocumentRef,
}

/// An access key's record.
#[derive(Debug, Clone)]
pub struct AccessKey {
    /// The access key.
    pub id: AccessKeyId,
    /// Its owner.
    pub user: UserId,
    /// Its secret.
    pub secret: SecretRef,
    /// Whether it is switched on.
    pub enabled: bool,
    /// When it ends; `None` for never.
    pub expires_at: Option<Timestamp>,
}

/// One record.
#[derive(Debug, Clone)]
pub enum Record {
    /// An account.
    Account(Account),
    /// A user.
    User(User),
    /// A group.
    Group(Group),
    /// A user's membership in a group.
    Membership {
        /// The group.
        group: GroupId,
        /// The member.
        user: UserId,
    },
    /// A policy.
    Policy(Policy),
    /// A policy attached to a user or group.
    Attachment {
        /// The policy.
        policy: PolicyId,
        /// Who gets it.
        to: Identity,
    },
    /// An access key.
    AccessKey(AccessKey),
    /// The security settings of a user's keys. `None`: the allowlist is not used.
    KeySecurity {
        /// The user.
        user: UserId,
        /// The allowlist when it is used; possibly empty.
        allowed_addresses: Option<Vec<Network>>,
    },
}

#[derive(Clone, Copy)]
enum Kind {
    Account,
    User,
    Group,
    Membership,
    Policy,
    Attachment,
    AccessKey,
    KeySecurity,
}

const KINDS: [(&str, Kind); 8] = [
    ("account", Kind::Account),
    ("user", Kind::User),
    ("group", Kind::Group),
    ("membership", Kind::Membership),
    ("policy", Kind::Policy),
    ("attachment", Kind::Attachment),
    ("access_key", Kind::AccessKey),
    ("key_security", Kind::KeySecurity),
];

const ID_HINT: &str = "write 32 lower-case hexadecimal digits (`openssl rand -hex 16`)";

fn id<T: FromStr<Err: std::fmt::Display>>(cursor: Cursor<'_>) -> Option<T> {
    cursor.parse(ID_HINT)
}

fn name(cursor: Cursor<'_>) -> Option<String> {
    let name = cursor.string()?;
    if name.chars().count() > NAME_CHARS_MAX || name.chars().any(char::is_control) {
        cursor.error_hint("the name is not usable", format!("write at most {NAME_CHARS_MAX} characters, no control characters"));
        return None;
    }
    Some(name)
}

impl Record {
    /// Reads one record. Every error is reported; `None` when there was one.
    #[must_use]
    pub fn decode(cursor: &Cursor<'_>) -> Option<Self> {
        let table = cursor.table()?;
        let kind = table.required("kind", "write `kind: user` (or account, group, policy, ...)", |kind| kind.one_of(&KINDS))?;
        let record = match kind {
            Kind::Account => {
                let id = table.required("id", ID_HINT, id);
                let name = table.required("name", "write `name: ...`", name);
                let active = table.or("active", true, |value| value.boolean());
                table.finish()?;
                Self::Account(Account { id: id?, name: name?, active: active? })
            }
            Kind::User => {
                let id = table.required("id", ID_HINT, id);
                let account = table.required("account", "write the id of the user's account", self::id);
                let name = table.required("name", "write `name: ...`", name);
                let root = table.or("root", false, |value| value.boolean());
                let active = table.or("active", true, |value| value.boolean());
                table.finish()?;
                Self::User(User { id: id?, account: account?, name: name?, root: root?, active: active? })
            }
            Kind::Group => {
                let id = table.required("id", ID_HINT, id);
                let account = table.required("account", "write the id of the group's account", self::id);
                let name = table.required("name", "write `name: ...`", name);
                table.finish()?;
                Self::Group(Group { id: id?, account: account?, name: name? })
            }
            Kind::Membership => {
                let group = table.required("group", "write the id of the group", id);
                let user = table.required("user", "write the id of the user", id);
                table.finish()?;
                Self::Membership { group: group?, user: user? }
            }
            Kind::Policy => Self::Policy(Policy::decode(table)?),
            Kind::Attachment => {
                let policy = table.required("policy", "write the id of the policy", id);
                let user = table.optional("user", id);
                let group = table.optional("group", id);
                let place = table.cursor().clone();
                table.finish()?;
                let to = match (user?, group?) {
                    (Some(user), None) => Identity::User(user),
                    (None, Some(group)) => Identity::Group(group),
                    (None, None) | (Some(_), Some(_)) => {
                        place.error_hint("an attachment names either a user or a group", "write `user: ID` or `group: ID`");
                        return None;
                    }
                };
                Self::Attachment { policy: policy?, to }
            }
            Kind::AccessKey => Self::AccessKey(AccessKey::decode(table)?),
            Kind::KeySecurity => {
                let user = table.required("user", "write the id of the user", id);
                let allowed_addresses = table.required("allowed_addresses", ALLOWED_HINT, allowed_addresses);
                table.finish()?;
                Self::KeySecurity { user: user?, allowed_addresses: allowed_addresses? }
            }
        };
        Some(record)
    }
}

impl Policy {
    fn decode(table: Table<'_>) -> Option<Self> {
        let id = table.required("id", ID_HINT, id);
        let account = table.required("account", "write the id of the account that owns the policy, or `system`", |value| {
            if value.text()? == "system" { Some(None) } else { self::id(value).map(Some) }
        });
        let name = table.required("name", "write `name: ...`", name);
        let document = table.required("document", "write `document: {file: policy.json}`, or the JSON text after `document: |`", |value| {
            if let Value::Map(_) = value.node().value {
                let file = value.table()?;
                let path = file.required("file", "write `{file: policy.json}`", |path| path.string());
                file.finish()?;
                return path.map(DocumentRef::File);
            }
            value.string().map(DocumentRef::Text)
        });
        table.finish()?;
        Some(Self { id: id?, account: account?, name: name?, document: document? })
    }
}

impl AccessKey {
    fn decode(table: Table<'_>) -> Option<Self> {
        let id = table.required("id", ID_HINT, id);
        let user = table.required("user", "write the id of the key's owner", self::id);
        let secret = table.required("secret", SECRET_HINT, |value| SecretRef::decode(&value));
        let enabled = table.or("enabled", true, |value| value.boolean());
        let expires_at = table.optional("expires_at", |value| value.parse("write a time such as `2027-01-31T00:00:00Z`"));
        table.finish()?;
        Some(Self { id: id?, user: user?, secret: secret?, enabled: enabled?, expires_at: expires_at? })
    }

    /// What a sealed secret of this key is bound to.
    #[must_use]
    pub fn seal_owner(&self) -> String {
        seal_owner(self.id, self.user)
    }
}

/// What a sealed secret of an access key is bound to: key and owner.
#[must_use]
pub fn seal_owner(access_key: AccessKeyId, user: UserId) -> String {
    format!("access_key/{access_key}/{user}")
}

const ALLOWED_HINT: &str = "write a list of addresses and networks; `[]` refuses every address, `not_used` lets every address pass";

fn allowed_addresses(cursor: Cursor<'_>) -> Option<Option<Vec<Network>>> {
    if let Value::String(text) = &cursor.node().value
        && &**text == "not_used"
    {
        return Some(None);
    }
    let networks = cursor.list(|entry| entry.parse::<Network>("write an address or a CIDR network"))?;
    if networks.len() > ALLOWED_ADDRESSES_MAX {
        cursor.error_hint(
            format!("an allowlist has at most {ALLOWED_ADDRESSES_MAX} entries, this one has {}", networks.len()),
            "join neighbouring networks",
        );
        return None;
    }
    Some(Some(networks))
}

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
    /// Whether the backend authorises by itself.
    pub backend_decides: bool,
    /// The resources it touches.
    pub resources: Vec<ResourceDefinitionRef>,
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
        let _ = table.optional("condition_prefixes", |value| value.list(|prefix| prefix.string()))?;
        let _ = table.optional("common", |value| value.boolean())?;
        let account = table.optional("account", located);
        let region = table.optional("region", located);
        let paths = table.required("paths", "write `paths:` and below it `/v1/things/{thing_id}:`", |value| {
            value.entries(|template, span, methods| {
                let place = Place { source: methods.source().clone(), span };
                let methods = methods.entries(|word, span, value| MethodDefinition::decode(word, span, &value))?;
                Some(PathDefinition { template: Text { text: template.to_owned(), place }, methods })
            })
        });
        table.finish()?;
        let service = service?;
        Some(Self {
            place: Place::of(cursor),
            service_type: service_type?.unwrap_or_else(|| service.clone()),
            service,
            aliases: aliases?,
            account: account?,
            region: region?,
            paths: paths?,
        })
    }
}

impl MethodDefinition {
    fn decode(word: &str, span: Span, cursor: &Cursor<'_>) -> Option<Self> {
        let place = Place { source: cursor.source().clone(), span };
        let Some((_, method)) = METHODS.iter().find(|(name, _)| name.eq_ignore_ascii_case(word)) else {
            cursor.error_hint(format!("`{word}` is not a method"), "write get, head, post, put, patch, delete or options");
            return None;
        };
        let table = cursor.table()?;
        let public = table.or("authentication", false, |value| value.one_of(&[("required", false), ("none", true)]));
        let backend_decides = table.or("decide", false, |value| value.one_of(&[("gateway", false), ("backend", true)]));
        let action = table.optional("action", |value| value.parse("write `service:Name`, for example `iam:ShowUser`"));
        let access_level = table.optional("access_level", |value| {
            value.parse("write List, Read, Create, Update, Delete, Permission, MonitorView, MonitorSet or Bypass")
        });
        let resources = table.or("resources", Vec::new(), |value| value.list(ResourceDefinitionRef::decode));
        let _ = table.optional("request_tags", |value| value.string())?;
        table.finish()?;
        let action = match (action?, access_level?) {
            (Some(action), Some(level)) => Some((action, level)),
            (None, None) if public == Some(true) => None,
            (Some(_), None) => {
                cursor.error_hint(
                    "the key `access_level` is missing",
                    "write `access_level: Read` (or List, Create, Update, Delete, Permission, ...)",
                );
                return None;
            }
            (None, _) => {
                cursor.error_hint("the key `action` is missing", "write `action: service:Name`; without a name no policy can allow it");
                return None;
            }
        };
        Some(Self { place, method: method.clone(), action, public: public?, backend_decides: backend_decides?, resources: resources? })
    }
}

impl ResourceDefinitionRef {
    fn decode(cursor: Cursor<'_>) -> Option<Self> {
        let hint = "write `{\"iam:user\": {resource_id: \"path['user_id']\"}}` or `{srn: \"base64(path['srn'])\"}`";
        let found = cursor.entries(|spelling, span, value| {
            if spelling == "srn" {
                return located(value).map(Self::Srn);
            }
            let spelling = Text { text: spelling.to_owned(), place: Place { source: value.source().clone(), span } };
            let table = value.table()?;
            let resource_id = table.required("resource_id", "write `resource_id: \"path['user_id']\"`", located);
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
