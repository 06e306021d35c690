//! Records: the form in which accounts, users, policies, keys and action definitions travel and rest.
//!
//! File mode writes them as YAML. Each record is read by the one parser here, wherever it comes from.

pub mod channel;
pub mod definition;
pub mod frame;
pub mod resource_definition;

mod digest;
mod key;
mod print;
#[cfg(test)]
mod tests;

use std::str::FromStr;

pub(super) use definition::expression_hint;
pub use definition::{
    ACTION_DEFINITION, ActionDefinition, Definition, MethodDefinition, PathDefinition, RESOURCE_DEFINITION, ResourceDefinitionRef, Text,
};
pub use digest::{Digest, DigestError};
pub use frame::{Change, Frame, FrameError};
pub use key::{RecordKey, RecordKeyError};
pub use resource_definition::{AttributeDefinition, ResourceDefinition};

use crate::authn::token::PublicKey;
use crate::source::secret::{SECRET_HINT, SecretRef};
use crate::source::{Cursor, Node, Position, Report, Source, Span, Table, Value, json};
use crate::types::{AccessKeyId, AccountId, GroupId, KeyMethod, Network, PolicyId, RoleId, Srn, Timestamp, TokenId, TokenKeyId, UserId};

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

    /// Where `text` stands at or after this place: the id that an error is about, in the record that holds it.
    #[must_use]
    pub fn of_text(&self, text: &str) -> Self {
        let start = self.span.start;
        let found = self.source.text().lines().zip(1..).skip((start.line as usize).saturating_sub(1)).find_map(|(line, number)| {
            let from = if number == start.line { line.char_indices().nth((start.column as usize).saturating_sub(1))?.0 } else { 0 };
            let at = from + line.get(from..)?.find(text)?;
            let column = u32::try_from(line.get(..at)?.chars().count()).ok()? + 1;
            Some(Span { start: Position { line: number, column }, chars: u32::try_from(text.chars().count()).ok()? })
        });
        Self { source: self.source.clone(), span: found.unwrap_or(self.span) }
    }
}

/// A policy's JSON text, or the file that holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DocumentRef {
    /// The text itself, and where it stands.
    Text(String, Span),
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
    /// A role: all its sessions. Only feeds have these: nobody takes a role in file mode.
    Role(RoleId),
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

/// A role's record. Who may take the role, its trust policy says, which only the store needs.
#[derive(Debug, Clone)]
pub struct Role {
    /// Its id.
    pub id: RoleId,
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
    /// Where the secret stands.
    pub secret_span: Span,
    /// Whether it is switched on.
    pub enabled: bool,
    /// When it ends; `None` for never.
    pub expires_at: Option<Timestamp>,
    /// The permanent key that it was made with; `None` for a permanent one.
    pub parent: Option<AccessKeyId>,
    /// Until when gateways say what they take a signature for that does not fit; `None` for never.
    pub debug_until: Option<Timestamp>,
}

/// The policy of one resource.
#[derive(Debug, Clone)]
pub struct ResourcePolicy {
    /// The SRN of the resource, as it is written.
    pub resource: String,
    /// The document.
    pub document: DocumentRef,
}

/// The record of a key that tokens are signed with.
#[derive(Debug, Clone, Copy)]
pub struct TokenKey {
    /// Its id, the `kid` of tokens.
    pub id: TokenKeyId,
    /// What its tokens are verified with.
    pub public_key: PublicKey,
    /// From when on its tokens are refused; `None` for the key in use.
    pub not_after: Option<Timestamp>,
}

/// Whose console access a list restricts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConsoleOf {
    /// A user's.
    User(UserId),
    /// That of everybody in an account.
    Account(AccountId),
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
    /// The policy of a resource.
    ResourcePolicy(ResourcePolicy),
    /// A policy attached to a user, a group or a role.
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
        /// Which kind of key may be used.
        method: KeyMethod,
        /// The allowlist when it is used; possibly empty.
        allowed_addresses: Option<Vec<Network>>,
    },
    /// The action definitions of a service, as the text of their YAML file. Only feeds have these: file mode has the file itself.
    Definition {
        /// The prefix of the action names.
        service: String,
        /// The YAML text.
        document: String,
    },
    /// A key that tokens are signed with. Only feeds have these: nobody issues tokens in file mode.
    TokenKey(TokenKey),
    /// From where the console may be used. In file mode its logins are those of identity providers.
    ConsoleAccess {
        /// By whom.
        of: ConsoleOf,
        /// The allowlist when it is used; possibly empty.
        allowed_addresses: Option<Vec<Network>>,
    },
    /// From when on tokens of a user count. Only feeds have these.
    TokensValidFrom {
        /// The user.
        user: UserId,
        /// The store's sequence: tokens issued before it are refused.
        sequence: u64,
    },
    /// A token that was ended by itself. Only feeds have these.
    RevokedToken {
        /// Whose it is.
        user: UserId,
        /// Its id.
        id: TokenId,
        /// When it would have ended: from then on the record says nothing.
        expires_at: Timestamp,
    },
    /// A role. Only feeds have these.
    Role(Role),
    /// From when on sessions of a role count. Only feeds have these.
    SessionsValidFrom {
        /// The role.
        role: RoleId,
        /// The store's sequence: sessions issued before it are refused.
        sequence: u64,
    },
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Account,
    User,
    Group,
    Membership,
    Policy,
    ResourcePolicy,
    Attachment,
    AccessKey,
    KeySecurity,
    ConsoleAccess,
}

const KINDS: [(&str, Kind); 10] = [
    ("account", Kind::Account),
    ("user", Kind::User),
    ("group", Kind::Group),
    ("membership", Kind::Membership),
    ("policy", Kind::Policy),
    ("resource_policy", Kind::ResourcePolicy),
    ("attachment", Kind::Attachment),
    ("access_key", Kind::AccessKey),
    ("key_security", Kind::KeySecurity),
    ("console_access", Kind::ConsoleAccess),
];

const TIME_HINT: &str = "write a time such as `2027-01-31T00:00:00Z`";
const ID_HINT: &str = "write `id:` and 32 lower-case hexadecimal digits; `openssl rand -hex 16` makes new ones";

/// An id; `hint` says which one.
fn id<T: FromStr<Err: std::fmt::Display>>(hint: &'static str) -> impl Fn(Cursor<'_>) -> Option<T> {
    move |cursor| {
        // A UUID, or capitals: the same id in another spelling.
        let folded = cursor.text()?.replace('-', "").to_ascii_lowercase();
        match folded.parse::<T>() {
            Ok(_) => cursor.parse(&format!("write `{folded}`")),
            Err(_) => cursor.parse(hint),
        }
    }
}

fn name(cursor: Cursor<'_>) -> Option<String> {
    let name = cursor.string()?;
    if name.chars().count() > NAME_CHARS_MAX || name.chars().any(char::is_control) {
        cursor.error_hint("the name is not usable", format!("write at most {NAME_CHARS_MAX} characters, no control characters"));
        return None;
    }
    Some(name)
}

const ACCOUNT_HINT: &str = "write `account:` and the id of the account, as in the record of the account";
const USER_HINT: &str = "write `user:` and the id of the user, as in the record of the user";
const GROUP_HINT: &str = "write `group:` and the id of the group, as in the record of the group";
const ROLE_HINT: &str = "write `role:` and the id of the role, as in the record of the role";
const PARENT_HINT: &str = "write `parent:` and the permanent access key that the temporary one was made with";
const POLICY_HINT: &str = "write `policy:` and the id of the policy, as in the record of the policy";

impl Record {
    /// Reads one record of a file. Every error is reported; `None` when there was one.
    #[must_use]
    pub fn decode(cursor: &Cursor<'_>) -> Option<Self> {
        let table = cursor.table()?;
        let kind = table.required("kind", "write `kind: user`, or another kind of record", |kind| kind.one_of(&KINDS))?;
        let word = KINDS.iter().find(|(_, other)| *other == kind).map_or("", |(word, _)| word);
        let table = cursor.clone().named(word).table()?;
        let _ = table.take("kind");
        let record = match kind {
            Kind::Account => {
                let id = table.required("id", ID_HINT, id(ID_HINT));
                let name = table.required("name", NAME_HINT, name);
                let active = table.or("active", true, |value| value.boolean());
                table.finish()?;
                Self::Account(Account { id: id?, name: name?, active: active? })
            }
            Kind::User => {
                let id = table.required("id", ID_HINT, id(ID_HINT));
                let account = table.required("account", ACCOUNT_HINT, self::id(ACCOUNT_HINT));
                let name = table.required("name", NAME_HINT, name);
                let root = table.or("root", false, |value| value.boolean());
                let active = table.or("active", true, |value| value.boolean());
                table.finish()?;
                Self::User(User { id: id?, account: account?, name: name?, root: root?, active: active? })
            }
            Kind::Group => {
                let id = table.required("id", ID_HINT, id(ID_HINT));
                let account = table.required("account", ACCOUNT_HINT, self::id(ACCOUNT_HINT));
                let name = table.required("name", NAME_HINT, name);
                table.finish()?;
                Self::Group(Group { id: id?, account: account?, name: name? })
            }
            Kind::Membership => {
                let group = table.required("group", GROUP_HINT, id(GROUP_HINT));
                let user = table.required("user", USER_HINT, id(USER_HINT));
                table.finish()?;
                Self::Membership { group: group?, user: user? }
            }
            Kind::Policy => Self::Policy(Policy::decode(table)?),
            Kind::ResourcePolicy => {
                let hint = "write `resource:` and the SRN of the resource, with its account";
                let resource = table.required("resource", hint, |value| {
                    let text = value.string()?;
                    Srn::parse(&text).map_err(|error| value.error_hint(error, hint)).ok()?;
                    Some(text)
                });
                let document = table.required("document", DOCUMENT_HINT, document);
                table.finish()?;
                Self::ResourcePolicy(ResourcePolicy { resource: resource?, document: document? })
            }
            Kind::Attachment => attachment(table, false)?,
            Kind::AccessKey => Self::AccessKey(AccessKey::decode(table)?),
            Kind::ConsoleAccess => console_access(table)?,
            Kind::KeySecurity => {
                let user = table.required("user", USER_HINT, id(USER_HINT));
                let method = table.or("authentication_method", KeyMethod::Any, |value| {
                    value.one_of(&KeyMethod::ALL.map(|method| (method.as_str(), method)))
                });
                let allowed_addresses = table.required("allowed_addresses", ALLOWED_HINT, allowed_addresses);
                table.finish()?;
                Self::KeySecurity { user: user?, method: method?, allowed_addresses: allowed_addresses? }
            }
        };
        Some(record)
    }
}

/// Most bytes of a record's JSON text.
pub const RECORD_BYTES_MAX: usize = 1 << 20;
const RECORD_DEPTH_MAX: usize = 8;

/// Reads a record from its JSON text, as it comes from a feed or a store.
///
/// # Errors
/// What is wrong with it, in one line, without secrets.
pub fn read_json(text: &str) -> Result<Record, String> {
    let limits = json::Limits { bytes_max: RECORD_BYTES_MAX, depth_max: RECORD_DEPTH_MAX };
    let node = json::parse(text.as_bytes(), limits).map_err(|error| error.to_string())?;
    let (source, report) = (Source::new("record", ""), Report::new());
    let cursor = Cursor::new(&node, &source, &report);
    let record = match kind(&node) {
        Some("definition") => definition_record(&cursor),
        Some("token_key") => TokenKey::decode(&cursor).map(Record::TokenKey),
        Some("tokens_valid_from") => tokens_valid_from(&cursor),
        Some("revoked_token") => revoked_token(&cursor),
        Some("role") => Role::decode(&cursor).map(Record::Role),
        Some("sessions_valid_from") => sessions_valid_from(&cursor),
        Some("attachment") => of_feed(&cursor).and_then(|table| attachment(table, true)),
        Some(_) | None => Record::decode(&cursor),
    };
    let first = || report.diagnostics().into_iter().next().map_or_else(|| "not a record".to_owned(), |first| first.message);
    record.ok_or_else(first)
}

fn kind(node: &Node) -> Option<&str> {
    match node.get("kind").map(|kind| &kind.value) {
        Some(Value::String(kind)) => Some(kind),
        Some(_) | None => None,
    }
}

/// The members of a record beside its kind.
fn of_feed<'n>(cursor: &Cursor<'n>) -> Option<Table<'n>> {
    let table = cursor.table()?;
    let _ = table.take("kind");
    Some(table)
}

/// Only stores have these: the definitions of file mode are files.
fn definition_record(cursor: &Cursor<'_>) -> Option<Record> {
    let table = of_feed(cursor)?;
    let service = table.required("service", "write `service:` and the prefix of the action names", |value| value.string());
    let document = table.required("document", "write `document:` and the YAML text", |value| value.string());
    table.finish()?;
    Some(Record::Definition { service: service?, document: document? })
}

fn tokens_valid_from(cursor: &Cursor<'_>) -> Option<Record> {
    let table = of_feed(cursor)?;
    let user = table.required("user", USER_HINT, id(USER_HINT));
    let sequence = sequence(&table);
    table.finish()?;
    Some(Record::TokensValidFrom { user: user?, sequence: sequence? })
}

fn revoked_token(cursor: &Cursor<'_>) -> Option<Record> {
    let table = of_feed(cursor)?;
    let user = table.required("user", USER_HINT, id(USER_HINT));
    let token = table.required("id", ID_HINT, id(ID_HINT));
    let expires_at = table.required("expires_at", TIME_HINT, |value| value.parse(TIME_HINT));
    table.finish()?;
    Some(Record::RevokedToken { user: user?, id: token?, expires_at: expires_at? })
}

fn sessions_valid_from(cursor: &Cursor<'_>) -> Option<Record> {
    let table = of_feed(cursor)?;
    let role = table.required("role", ROLE_HINT, id(ROLE_HINT));
    let sequence = sequence(&table);
    table.finish()?;
    Some(Record::SessionsValidFrom { role: role?, sequence: sequence? })
}

fn sequence(table: &Table<'_>) -> Option<u64> {
    table.required("sequence", "write the sequence of a revision", |value| value.integer(1..=u64::MAX, "commits"))
}

fn console_access(table: Table<'_>) -> Option<Record> {
    let user = table.optional("user", id(USER_HINT));
    let account = table.optional("account", id(ACCOUNT_HINT));
    let allowed_addresses = table.required("allowed_addresses", ALLOWED_HINT, allowed_addresses);
    let place = table.cursor().clone();
    table.finish()?;
    let of = match (user?, account?) {
        (Some(user), None) => ConsoleOf::User(user),
        (None, Some(account)) => ConsoleOf::Account(account),
        (None, None) | (Some(_), Some(_)) => {
            place.error_hint("one of `user` and `account` should stand here", "write `user: ID` or `account: ID`");
            return None;
        }
    };
    Some(Record::ConsoleAccess { of, allowed_addresses: allowed_addresses? })
}

impl TokenKey {
    fn decode(cursor: &Cursor<'_>) -> Option<Self> {
        let table = of_feed(cursor)?;
        let id = table.required("id", ID_HINT, id(ID_HINT));
        let hint = "write `public_key:` and the 32 bytes of the key in Base64url";
        let public_key = table.required("public_key", hint, |value| value.parse(hint));
        let not_after = table.optional("not_after", |value| value.parse(TIME_HINT));
        table.finish()?;
        Some(Self { id: id?, public_key: public_key?, not_after: not_after? })
    }
}

/// Roles hold policies in feeds only.
fn attachment(table: Table<'_>, roles: bool) -> Option<Record> {
    let policy = table.required("policy", POLICY_HINT, id(POLICY_HINT));
    let user = table.optional("user", id(USER_HINT));
    let group = table.optional("group", id(GROUP_HINT));
    let role = if roles { table.optional("role", id(ROLE_HINT)) } else { Some(None) };
    let place = table.cursor().clone();
    table.finish()?;
    let to = match (user?, group?, role?) {
        (Some(user), None, None) => Identity::User(user),
        (None, Some(group), None) => Identity::Group(group),
        (None, None, Some(role)) => Identity::Role(role),
        (None, None, None) => {
            place.error_hint("it says to whom by neither `user` nor `group`", "write `user: ID` or `group: ID`");
            return None;
        }
        (Some(_), None, Some(_)) | (None | Some(_), Some(_), Some(_)) => {
            place.error_hint("`role` stands beside another one", "keep one, and write a second attachment for the other");
            return None;
        }
        (Some(_), Some(_), None) => {
            place.error_hint("both `user` and `group` stand here", "keep one, and write a second attachment for the other");
            return None;
        }
    };
    Some(Record::Attachment { policy: policy?, to })
}

impl Role {
    fn decode(cursor: &Cursor<'_>) -> Option<Self> {
        let table = of_feed(cursor)?;
        let id = table.required("id", ID_HINT, id(ID_HINT));
        let account = table.required("account", ACCOUNT_HINT, self::id(ACCOUNT_HINT));
        let name = table.required("name", NAME_HINT, name);
        table.finish()?;
        Some(Self { id: id?, account: account?, name: name? })
    }
}

impl Policy {
    fn decode(table: Table<'_>) -> Option<Self> {
        let id = table.required("id", ID_HINT, id(ID_HINT));
        let hint = "write the id of the account that owns the policy, or `system` for one that every account may use";
        let account =
            table.required("account", hint, |value| if value.text()? == "system" { Some(None) } else { self::id(hint)(value).map(Some) });
        let name = table.required("name", NAME_HINT, name);
        let document = table.required("document", DOCUMENT_HINT, document);
        table.finish()?;
        Some(Self { id: id?, account: account?, name: name?, document: document? })
    }
}

/// A policy document: its text, or the file that it is in.
fn document(value: Cursor<'_>) -> Option<DocumentRef> {
    match &value.node().value {
        Value::Map(_) if value.node().get("file").is_none() => {
            value.error_hint("a policy document is JSON text, not YAML", DOCUMENT_HINT);
            None
        }
        Value::Map(_) => {
            let file = value.table()?;
            let path = file.required("file", "write `{file: policy.json}`", |path| path.string());
            file.finish()?;
            path.map(DocumentRef::File)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::List(_) => {
            value.string().map(|text| DocumentRef::Text(text, value.node().span))
        }
    }
}

const NAME_HINT: &str = "write `name:` and what people call it";
const DOCUMENT_HINT: &str = "write `document: {file: policy.json}`, or `document: |` and the JSON text in the lines below, indented";

impl AccessKey {
    fn decode(table: Table<'_>) -> Option<Self> {
        let id = table.required("id", ID_HINT, id(ID_HINT));
        let user = table.required("user", USER_HINT, self::id(USER_HINT));
        let secret = table.required("secret", SECRET_HINT, |value| SecretRef::decode(&value).map(|secret| (secret, value.node().span)));
        let enabled = table.or("enabled", true, |value| value.boolean());
        let expires_at = table.optional("expires_at", |value| value.parse(TIME_HINT));
        let parent = table.optional("parent", self::id(PARENT_HINT));
        let debug_until = table.optional("debug_until", |value| value.parse(TIME_HINT));
        table.finish()?;
        let (secret, secret_span) = secret?;
        let (expires_at, parent, debug_until) = (expires_at?, parent?, debug_until?);
        Some(Self { id: id?, user: user?, secret, secret_span, enabled: enabled?, expires_at, parent, debug_until })
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

const ALLOWED_HINT: &str =
    "write `[10.0.0.0/8]`, a list of addresses and networks; `[]` refuses every address, `not_used` lets every address pass";

fn allowed_addresses(cursor: Cursor<'_>) -> Option<Option<Vec<Network>>> {
    if let Value::String(text) = &cursor.node().value
        && &**text == "not_used"
    {
        return Some(None);
    }
    let networks = cursor.list(|entry| entry.parse::<Network>(network_hint(entry.text()?)))?;
    if networks.len() > ALLOWED_ADDRESSES_MAX {
        cursor.error_hint(
            format!("an allowlist has at most {ALLOWED_ADDRESSES_MAX} entries, this one has {}", networks.len()),
            "write networks instead of single addresses, or join neighbouring networks",
        );
        return None;
    }
    Some(Some(networks))
}

/// What to write instead of a text that is no network.
fn network_hint(text: &str) -> &'static str {
    let padded = |part: &str| part.len() > 1 && part.starts_with('0') && part.bytes().all(|byte| byte.is_ascii_digit());
    if text == "*" {
        "to let every address pass, write `not_used` instead of the list"
    } else if text.contains('-') {
        "write the networks that the range is made of, such as `10.0.0.0/29`"
    } else if text.contains("/255") {
        "write the length of the prefix after the `/`, such as `10.0.0.0/8`"
    } else if text.split(['.', '/']).any(padded) {
        "write the numbers without zeros at their start: some programs read `010` as 8, others as 10"
    } else {
        "write one address or one network with its prefix length: `10.1.2.3`, `10.0.0.0/16` or `2001:db8::/32`"
    }
}
