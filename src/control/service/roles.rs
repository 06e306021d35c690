//! Roles of an account: who may take them, and which rights whoever takes them has.

use std::ops::RangeInclusive;

use serde_json::{Value as Json, json};

use super::documents::Reader;
use super::policies::{fixed, nullable, unknown, valid};
use super::{Accepted, Caller, Precondition, ServiceError, accept, bindings, escalation, fields, srn};
use crate::control::random;
use crate::control::store::connection::Connection;
use crate::control::store::policies::{self, Policy};
use crate::control::store::roles::{self, Fields, Filter, NewRole, Role};
use crate::control::store::select::Page;
use crate::control::store::tags::{self, Tag, Tagged};
use crate::control::store::{Store, StoreError, Write};
use crate::policy::{LANGUAGE_VERSION, TRUSTED_MAX};
use crate::snapshot::wire::{self, Identity, Record, RecordKey};
use crate::source::{Cursor, json as parser};
use crate::types::{AccountId, PolicyId, RoleId, Srn, Timestamp};

/// How long a session of a role may be good for, in seconds (wire-formats 3.2, contracts C11).
pub(super) const SESSION_S: RangeInclusive<u64> = 3_600..=43_200;
/// How long it is where nobody says.
pub(super) const SESSION_DEFAULT_S: u64 = 3_600;
/// Most roles of an account.
pub(crate) const ROLES_MAX: u64 = 1_000;
/// Most bytes of a trust policy.
const TRUST_BYTES_MAX: usize = 8 * 1024;
/// Most characters of a principal's SRN.
const PRINCIPAL_CHARS_MAX: usize = 256;

pub(super) const WHAT: &str = "role";
const DOCUMENT_HINT: &str = r#"write {"Version": "2024-07-01", "Statement": [{"Effect": "Allow", "Principal": {"scp": ["SRN"]}, "Action": ["sts:AssumeRole"], "Resource": ["*"]}]}"#;

/// What a role is made of.
#[derive(Debug)]
pub(crate) struct Create {
    id: RoleId,
    account: Option<AccountId>,
    name: String,
    description: Option<String>,
    session_s_max: u64,
    trust_policy: String,
    policies: Vec<PolicyId>,
    tags: Vec<Tag>,
}

impl Create {
    /// Reads a body; the role will have this id.
    pub(crate) fn decode(cursor: &Cursor<'_>, id: RoleId, documents: &Reader<'_>) -> Option<Self> {
        let table = cursor.table()?;
        let name = table.required("name", "write the role's name", |value| fields::english_name(&value));
        let account = table.or("account_id", None, |value| nullable(&value, fields::id));
        let description = table.or("description", None, |value| fields::description(&value));
        let session_s_max = table.or("max_session_duration", SESSION_DEFAULT_S, |value| value.integer(SESSION_S, "seconds"));
        let document = table.or("assume_role_policy_document", None, |value| nullable(&value, |value| trust_policy(value, documents)));
        let principals = table.or("principals", None, |value| nullable(&value, |value| principals(value, documents)));
        let policies = table.or("policy_ids", Vec::new(), |value| fields::ids(&value));
        let tags = table.or("tags", Vec::new(), |value| fields::tags(&value));
        // The first is of version 1.0 of the vendor's API.
        let kind = table.or("types", (), |value| fixed(&value, &[("USER_DEFINED", ())]));
        let kind = kind.and(table.or("role_type", (), |value| fixed(&value, &[("USER_DEFINED", ())])));
        table.finish()?;
        kind?;
        let trust_policy = match (document?, principals?) {
            (Some(document), None) => document,
            (None, Some(document)) => document,
            (None, None) => {
                cursor.error_hint("nobody is named who may take the role", format!("in `assume_role_policy_document` {DOCUMENT_HINT}"));
                return None;
            }
            (Some(_), Some(_)) => {
                let hint = "keep `assume_role_policy_document`, with all who may take the role";
                cursor.error_hint("`assume_role_policy_document` and `principals` both say who may take the role", hint);
                return None;
            }
        };
        let (session_s_max, policies, tags) = (session_s_max?, policies?, tags?);
        Some(Self { id, account: account?, name: name?, description: description?, session_s_max, trust_policy, policies, tags })
    }
}

/// What can be changed of a role; what is `None` stays.
#[derive(Debug)]
pub(crate) struct Set {
    description: Option<Option<String>>,
    session_s_max: Option<u64>,
}

impl Set {
    /// Reads a body.
    pub(crate) fn decode(cursor: &Cursor<'_>) -> Option<Self> {
        let table = cursor.table()?;
        let description = table.optional("description", |value| fields::description(&value));
        let session_s_max =
            table.or("max_session_duration", None, |value| nullable(&value, |value| value.clone().integer(SESSION_S, "seconds")));
        table.finish()?;
        Some(Self { description: description?, session_s_max: session_s_max? })
    }
}

/// The body that says who may take a role.
pub(crate) fn decode_trust(cursor: &Cursor<'_>, documents: &Reader<'_>) -> Option<String> {
    let table = cursor.table()?;
    let document = table.required("assume_role_policy_document", DOCUMENT_HINT, |value| trust_policy(&value, documents));
    table.finish()?;
    document
}

/// Which roles are to be removed.
#[derive(Debug)]
pub(crate) struct Bulk {
    account: Option<AccountId>,
    names: Vec<String>,
    ids: Vec<RoleId>,
}

impl Bulk {
    /// Reads a body.
    pub(crate) fn decode(cursor: &Cursor<'_>) -> Option<Self> {
        let table = cursor.table()?;
        let account = table.or("account_id", None, |value| nullable(&value, fields::id));
        let names = table.or("role_names", None, |value| nullable(&value, names));
        let ids = table.or("role_ids", Vec::new(), |value| fields::ids(&value));
        table.finish()?;
        let (names, ids) = (names?.unwrap_or_default(), ids?);
        if names.is_empty() && ids.is_empty() {
            cursor.error_hint("there is no role in `role_names` and `role_ids`", "write at least one in one of them");
            return None;
        }
        Some(Self { account: account?, names, ids })
    }
}

fn names(cursor: &Cursor<'_>) -> Option<Vec<String>> {
    let names = cursor.clone().advised("write a list of names").list(|value| fields::english_name(&value))?;
    if names.len() > fields::IDS_MAX {
        cursor.error_hint(format!("there are {} names", names.len()), format!("write at most {}", fields::IDS_MAX));
        return None;
    }
    Some(names)
}

fn trust_policy(cursor: &Cursor<'_>, documents: &Reader<'_>) -> Option<String> {
    let document = documents.read(cursor)?;
    if document.len() > TRUST_BYTES_MAX {
        let message = format!("the document has {} bytes", document.len());
        cursor.error_hint(message, format!("who may take a role is said in at most {TRUST_BYTES_MAX} bytes"));
        return None;
    }
    Some(document)
}

/// Those who may take a role, as a list: the document that says the same.
fn principals(cursor: &Cursor<'_>, documents: &Reader<'_>) -> Option<String> {
    const HINT: &str = r#"write [{"type": "SRN", "value": "SRN"}]; others stand in `assume_role_policy_document`"#;
    let named = cursor.clone().advised(HINT).list(|value| {
        let table = value.clone().advised(r#"write {"type": "SRN", "value": "SRN"}"#).table()?;
        let kind = table.required("type", HINT, |value| value.one_of(&[("SRN", ())]));
        let value = table.required("value", "write the SRN of a user or role, or of a whole account", |value| {
            let text = fields::text(&value, "write an SRN")?;
            if text.chars().count() > PRINCIPAL_CHARS_MAX {
                value.error_hint("it is too long", format!("write at most {PRINCIPAL_CHARS_MAX} characters"));
                return None;
            }
            Some(text)
        });
        table.finish()?;
        kind?;
        value
    })?;
    if named.is_empty() || named.len() > TRUSTED_MAX {
        cursor.error_hint(format!("there are {} principals", named.len()), format!("write 1 to {TRUSTED_MAX}"));
        return None;
    }
    let text = json!({"Version": LANGUAGE_VERSION, "Statement": [{
        "Sid": "statement1", "Effect": "Allow", "Principal": {"scp": named}, "Action": ["sts:AssumeRole"], "Resource": ["*"],
    }]})
    .to_string();
    let document = parser::parse(text.as_bytes(), parser::Limits { bytes_max: text.len(), depth_max: 8 }).ok()?;
    documents.checked(&document, cursor)
}

/// A role with its policies.
#[derive(Debug)]
pub(crate) struct Details {
    /// The role.
    pub(crate) role: Role,
    /// Its policies.
    pub(crate) policies: Vec<Policy>,
}

/// The id of a role that is about to be made.
pub(crate) fn new_id() -> Result<RoleId, ServiceError> {
    Ok(RoleId::from_bytes(random::bytes()?))
}

/// A page of the account's roles, and how many there are.
pub(crate) async fn list(store: &Store, caller: &Caller, filter: &Filter, page: &Page) -> Result<(Vec<Role>, u64), ServiceError> {
    let mut read = store.read().await?;
    Ok(roles::list(&mut read, caller.account, filter, page).await?)
}

/// A role with its policies.
pub(crate) async fn show(store: &Store, caller: &Caller, id: RoleId) -> Result<Details, ServiceError> {
    details(&mut *store.read().await?, caller, id).await
}

/// Makes a role, with policies and with those who may take it.
pub(crate) async fn create(store: &Store, caller: &Caller, new: Create, now: Timestamp) -> Result<Accepted<Details>, ServiceError> {
    let id = new.id;
    caller.owns(new.account.unwrap_or(caller.account))?;
    let mut write = store.write().await?;
    if roles::count(&mut write, caller.account).await? >= ROLES_MAX {
        return Err(ServiceError::Full { what: "roles", most: ROLES_MAX });
    }
    valid((), unknown(&mut write, caller, "policy_ids", &new.policies).await?)?;
    escalation::is_allowed(&write, caller, escalation::SET_TRUST, &[(escalation::ROLE, &id.to_string())], now)?;
    let sequence = write.sequence();
    let role = NewRole {
        id,
        account: caller.account,
        name: &new.name,
        description: new.description.as_deref(),
        session_s_max: new.session_s_max,
        trust_policy: &new.trust_policy,
    };
    roles::insert(&mut write, role, sequence, caller.stamp(now)).await.map_err(|error| taken(error, &new.name))?;
    roles::set_trusted(&mut write, id, &trusted(&new.trust_policy, caller.account)).await?;
    tags::set(&mut write, Tagged { kind: WHAT, id: &id.to_string() }, caller.account, &new.tags).await?;
    write.put(Record::Role(wire::Role { id, account: caller.account, name: new.name }));
    bindings::give(&mut write, caller, &new.policies, Identity::Role(id), now).await?;
    let details = details(&mut write, caller, id).await?;
    let mut after = shown(&details.role);
    if let Json::Object(after) = &mut after {
        after.insert("tags".to_owned(), json!(new.tags));
        after.insert("policy_ids".to_owned(), new.policies.iter().map(ToString::to_string).collect());
    }
    write.audit(caller.entry(srn(store, caller.account, WHAT, id), None, Some(after)));
    accept(write, caller, details, now).await
}

/// Changes a role's description, and how long its sessions may be good for; those that there are stay as they are.
pub(crate) async fn set(
    store: &Store,
    caller: &Caller,
    id: RoleId,
    set: Set,
    precondition: &Precondition,
    now: Timestamp,
) -> Result<Accepted<Details>, ServiceError> {
    let mut write = store.write().await?;
    let before = found(&mut write, caller, id, precondition).await?;
    let written = Fields {
        description: set.description.as_ref().unwrap_or(&before.description).as_deref(),
        session_s_max: set.session_s_max.unwrap_or(before.session_s_max),
        trust_policy: &before.trust_policy,
    };
    change(write, caller, &before, written, now).await
}

/// Says who may take a role. Sessions that there are stay.
pub(crate) async fn set_trust(
    store: &Store,
    caller: &Caller,
    id: RoleId,
    trust_policy: &str,
    precondition: &Precondition,
    now: Timestamp,
) -> Result<Accepted<Details>, ServiceError> {
    let mut write = store.write().await?;
    let before = found(&mut write, caller, id, precondition).await?;
    if before.trust_policy != trust_policy {
        escalation::may_let_in(&mut write, caller, id).await?;
        roles::set_trusted(&mut write, id, &trusted(trust_policy, caller.account)).await?;
    }
    let written = Fields { description: before.description.as_deref(), session_s_max: before.session_s_max, trust_policy };
    change(write, caller, &before, written, now).await
}

async fn change(
    mut write: Write,
    caller: &Caller,
    before: &Role,
    written: Fields<'_>,
    now: Timestamp,
) -> Result<Accepted<Details>, ServiceError> {
    let sequence = write.sequence();
    roles::update(&mut write, before.id, written, sequence, caller.stamp(now)).await?;
    let details = details(&mut write, caller, before.id).await?;
    let resource = srn(write.store(), caller.account, WHAT, before.id);
    write.audit(caller.entry(resource, Some(shown(before)), Some(shown(&details.role))));
    accept(write, caller, details, now).await
}

/// Removes a role with its attachments; that ends all its sessions.
pub(crate) async fn delete(
    store: &Store,
    caller: &Caller,
    id: RoleId,
    precondition: &Precondition,
    now: Timestamp,
) -> Result<Accepted<()>, ServiceError> {
    let mut write = store.write().await?;
    let role = found(&mut write, caller, id, precondition).await?;
    remove(&mut write, caller, &role).await?;
    accept(write, caller, (), now).await
}

/// Removes several roles, or none.
pub(crate) async fn delete_bulk(store: &Store, caller: &Caller, bulk: Bulk, now: Timestamp) -> Result<Accepted<()>, ServiceError> {
    caller.owns(bulk.account.unwrap_or(caller.account))?;
    let mut write = store.write().await?;
    let mut gone: Vec<Role> = Vec::with_capacity(bulk.names.len() + bulk.ids.len());
    for name in bulk.names {
        let role = roles::named(&mut write, caller.account, &name).await?;
        gone.push(role.ok_or(ServiceError::NotFound(WHAT, name))?);
    }
    for id in bulk.ids {
        gone.push(found(&mut write, caller, id, &Precondition::None).await?);
    }
    gone.sort_by_key(|role| role.id);
    gone.dedup_by_key(|role| role.id);
    for role in gone {
        remove(&mut write, caller, &role).await?;
    }
    accept(write, caller, (), now).await
}

async fn remove(write: &mut Write, caller: &Caller, role: &Role) -> Result<(), ServiceError> {
    let (id, to) = (role.id, Identity::Role(role.id));
    for policy in policies::attached(write, to).await? {
        write.delete(RecordKey::Attachment(policy, to));
    }
    policies::detach_all(write, to).await?;
    tags::remove(write, Tagged { kind: WHAT, id: &id.to_string() }).await?;
    roles::delete(write, id).await?;
    write.delete(RecordKey::SessionsValidFrom(id));
    write.delete(RecordKey::Role(id));
    let resource = srn(write.store(), caller.account, WHAT, id);
    write.audit(caller.entry(resource, Some(shown(role)), None));
    Ok(())
}

/// Ends all sessions of a role.
pub(crate) async fn end_sessions(store: &Store, caller: &Caller, id: RoleId, now: Timestamp) -> Result<Accepted<()>, ServiceError> {
    let mut write = store.write().await?;
    found(&mut write, caller, id, &Precondition::None).await?;
    end(&mut write, id).await?;
    let after = json!({ "sessions_valid_from": store.revision(write.sequence()).to_string() });
    write.audit(caller.entry(srn(store, caller.account, WHAT, id), None, Some(after)));
    accept(write, caller, (), now).await
}

/// Ends, with this write, all sessions that a role has. By sequence and not by time, so that no clock can revive one (contracts C8).
pub(super) async fn end(write: &mut Write, id: RoleId) -> Result<(), StoreError> {
    let sequence = write.sequence();
    write.put(Record::SessionsValidFrom { role: id, sequence });
    roles::forget_sessions_of(write, id).await
}

async fn found(write: &mut Write, caller: &Caller, id: RoleId, precondition: &Precondition) -> Result<Role, ServiceError> {
    let role = roles::find(write, caller.account, id).await?.ok_or_else(|| not_found(id))?;
    precondition.check(write.store().revision(role.revision))?;
    Ok(role)
}

async fn details(connection: &mut Connection, caller: &Caller, id: RoleId) -> Result<Details, ServiceError> {
    let role = roles::find(connection, caller.account, id).await?.ok_or_else(|| not_found(id))?;
    let policies = policies::held_by(connection, caller.account, Identity::Role(id)).await?;
    Ok(Details { role, policies })
}

/// The ids of the users and roles of its own account that a trust policy lets in by name, and `*` where it lets the account in but tells people
/// apart by who they are.
fn trusted(trust_policy: &str, account: AccountId) -> Vec<String> {
    let document = serde_json::from_str::<Json>(trust_policy).unwrap_or_default();
    let statements = || document.get("Statement").and_then(Json::as_array).into_iter().flatten();
    let allows = || statements().filter(|statement| statement.get("Effect").is_some_and(|effect| effect == "Allow"));
    let of = |member: &str| -> Vec<&str> {
        let texts = allows().filter_map(|statement| statement.pointer(member));
        let texts = texts.flat_map(|named| named.as_array().map_or(std::slice::from_ref(named), Vec::as_slice));
        texts.filter_map(Json::as_str).collect()
    };
    let account = account.to_string();
    let (named, accounts) = (of("/Principal/scp"), of("/Principal/Account"));
    let own = |srn: &Srn<'_>| srn.account == account && matches!(srn.resource_type, "user" | "role");
    let id = |text: &&str| Srn::parse(text).ok().filter(own).map(|srn| srn.resource_id.to_owned());
    let mut found: Vec<String> = named.iter().filter_map(id).collect();
    let everybody = format!(":{account}:");
    let lets_all_in = accounts.contains(&account.as_str()) || named.iter().any(|text| text.contains(&everybody) && text.ends_with(":root"));
    let tells_apart = || {
        let conditions = statements().filter_map(|statement| statement.get("Condition")?.as_object()).flat_map(serde_json::Map::values);
        let mut keys = conditions.filter_map(Json::as_object).flat_map(serde_json::Map::keys);
        let denies = statements().count() != allows().count();
        denies || keys.any(|key| ["scp:UserId", "scp:UserName"].iter().any(|who| key.eq_ignore_ascii_case(who)))
    };
    if lets_all_in && tells_apart() {
        found.push(roles::ANYBODY.to_owned());
    }
    found
}

/// A role in the audit log.
fn shown(role: &Role) -> Json {
    let trust_policy = serde_json::from_str::<Json>(&role.trust_policy).unwrap_or_default();
    json!({
        "name": role.name, "description": role.description, "max_session_duration": role.session_s_max,
        "assume_role_policy_document": trust_policy,
    })
}

fn not_found(id: RoleId) -> ServiceError {
    ServiceError::NotFound(WHAT, id.to_string())
}

fn taken(error: StoreError, name: &str) -> ServiceError {
    if error.is_duplicate() { ServiceError::Taken(WHAT, name.to_owned()) } else { error.into() }
}
