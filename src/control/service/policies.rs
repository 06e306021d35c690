//! Policies and their versions. The gateways get the version in force.

use std::ops::RangeInclusive;

use serde_json::{Value as Json, json};

use super::bootstrap::FIRST_VERSION;
use super::documents::Reader;
use super::{Accepted, Caller, Precondition, ServiceError, accept, bindings, fields};
use crate::control::random;
use crate::control::store::policies::{self, Fields, Filter, NewPolicy, NewVersion, Policy, Version};
use crate::control::store::select::Page;
use crate::control::store::tags::{self, Tag, Tagged};
use crate::control::store::{Store, StoreError, Write};
use crate::snapshot::wire::{self, DocumentRef, Record, RecordKey};
use crate::source::{Cursor, Span, Value};
use crate::types::{AccountId, PolicyId, Srn, Timestamp};

/// Characters of a policy's name (seed 003, L540; wire-formats 3.2).
const NAME_CHARS: RangeInclusive<usize> = 3..=128;
/// Characters of a version's name.
const VERSION_NAME_CHARS: RangeInclusive<usize> = 1..=128;
/// Most policies of an account.
pub(crate) const POLICIES_MAX: u64 = 1_000;
/// Most versions of a policy.
pub(crate) const VERSIONS_MAX: usize = 5;
/// Most characters of all documents of an account: what a list may have to show, and a gateway to hold.
pub(crate) const DOCUMENT_CHARS_MAX: u64 = 4 * 1024 * 1024;

pub(super) const WHAT: &str = "policy";
const ID_HINT: &str = "write an id: 32 lower-case hexadecimal digits";
const VERSION_HINT: &str = r#"write {"policy_document": {"Version": "2024-07-01", "Statement": [...]}}"#;

/// A version in a body.
#[derive(Debug)]
struct Draft {
    policy: Option<String>,
    id: Option<String>,
    name: Option<String>,
    document: String,
}

impl Draft {
    fn decode(cursor: &Cursor<'_>, documents: &Reader<'_>) -> Option<Self> {
        let table = cursor.table()?;
        let document = table.required("policy_document", VERSION_HINT, |value| documents.read(&value));
        let policy = table.or("policy_id", None, |value| nullable(&value, |value| fields::text(value, ID_HINT)));
        let id = table.or("policy_version_id", None, |value| nullable(&value, |value| fields::text(value, ID_HINT)));
        let name = table.or("policy_version_name", None, |value| nullable(&value, |value| fields::name(value, VERSION_NAME_CHARS)));
        table.finish()?;
        Some(Self { policy: policy?, id: id?, name: name?, document: document? })
    }
}

/// What a policy is made of.
#[derive(Debug)]
pub(crate) struct Create {
    name: String,
    description: Option<String>,
    tags: Vec<Tag>,
    version_name: String,
    document: String,
}

impl Create {
    /// Reads a body.
    pub(crate) fn decode(cursor: &Cursor<'_>, documents: &Reader<'_>) -> Option<Self> {
        let table = cursor.table()?;
        let name = table.required("policy_name", "write the policy's name", |value| fields::name(&value, NAME_CHARS));
        let version = table.required("policy_version", VERSION_HINT, |value| {
            let draft = Draft::decode(&value, documents)?;
            if draft.policy.is_none() && draft.id.is_none() {
                return Some(draft);
            }
            value.error_hint("a new version gets its id when it is made", "leave `policy_id` and `policy_version_id` out");
            None
        });
        let description = table.or("description", None, |value| fields::description(&value));
        let tags = table.or("tags", Vec::new(), |value| fields::tags(&value));
        let default = table.or("default_version_id", (), |value| {
            nullable(&value, |value| {
                value.error_hint("the first version is the one in force", "leave it out, or write null");
                None::<()>
            })
            .map(drop)
        });
        let category = table.or("policy_category", (), |value| fixed(&value, &[("IDENTITY_BASED", ())]));
        let kind = table.or("policy_type", (), |value| fixed(&value, &[("USER_DEFINED", ())]));
        let service = table.or("service_type", (), |value| fixed(&value, &[("iam", ()), ("scp-iam", ())]));
        table.finish()?;
        default.and(category).and(kind).and(service)?;
        let version = version?;
        let version_name = version.name.unwrap_or_else(|| FIRST_VERSION.to_owned());
        Some(Self { name: name?, description: description?, tags: tags?, version_name, document: version.document })
    }
}

/// What is to be changed of a policy; what is absent stays.
#[derive(Debug)]
pub(crate) struct Set {
    name: Option<String>,
    description: Option<Option<String>>,
    version: Option<Draft>,
    default_version: Option<String>,
}

impl Set {
    /// Reads a body.
    pub(crate) fn decode(cursor: &Cursor<'_>, documents: &Reader<'_>) -> Option<Self> {
        let table = cursor.table()?;
        let name = table.or("policy_name", None, |value| nullable(&value, |value| fields::name(value, NAME_CHARS)));
        let description = table.optional("description", |value| fields::description(&value));
        let version = table.or("policy_version", None, |value| nullable(&value, |value| Draft::decode(value, documents)));
        let default_version = table.or("default_version_id", None, |value| nullable(&value, |value| fields::text(value, ID_HINT)));
        table.finish()?;
        Some(Self { name: name?, description: description?, version: version?, default_version: default_version? })
    }
}

/// The body that removes policies.
pub(crate) fn decode_ids(cursor: &Cursor<'_>) -> Option<Vec<PolicyId>> {
    let table = cursor.table()?;
    let ids = table.required("ids", "write the ids of the policies", |value| {
        let ids = fields::ids(&value)?;
        if ids.is_empty() {
            value.error_hint("there is no id", "write at least one id");
            return None;
        }
        Some(ids)
    });
    table.finish()?;
    ids
}

/// The body of a query: policies to leave out.
pub(crate) fn decode_excluded(cursor: &Cursor<'_>) -> Option<Vec<PolicyId>> {
    let table = cursor.table()?;
    let excluded = table.or("excluded_policy_ids", Vec::new(), |value| fields::ids(&value));
    table.finish()?;
    excluded
}

pub(super) fn nullable<T>(cursor: &Cursor<'_>, decode: impl FnOnce(&Cursor<'_>) -> Option<T>) -> Option<Option<T>> {
    if matches!(cursor.node().value, Value::Null) { Some(None) } else { decode(cursor).map(Some) }
}

/// One of these words, which all mean the only thing there is; or `null`.
pub(super) fn fixed(cursor: &Cursor<'_>, words: &[(&'static str, ())]) -> Option<()> {
    nullable(cursor, |value| value.one_of(words)).map(drop)
}

/// A page of the policies that the account sees, and how many there are.
pub(crate) async fn list(store: &Store, caller: &Caller, filter: &Filter, page: &Page) -> Result<(Vec<Policy>, u64), ServiceError> {
    let mut read = store.read().await?;
    Ok(policies::list(&mut read, caller.account, filter, page).await?)
}

/// A policy that the account sees.
pub(crate) async fn show(store: &Store, caller: &Caller, id: PolicyId) -> Result<Policy, ServiceError> {
    let mut read = store.read().await?;
    policies::find(&mut read, caller.account, id).await?.ok_or_else(|| not_found(id))
}

/// Makes a policy with its first version, which is in force.
pub(crate) async fn create(store: &Store, caller: &Caller, new: Create, now: Timestamp) -> Result<Accepted<Policy>, ServiceError> {
    let id = PolicyId::from_bytes(random::bytes()?);
    let version_id = new_version_id()?;
    let mut write = store.write().await?;
    let policy = NewPolicy {
        id,
        account: Some(caller.account),
        name: &new.name,
        description: new.description.as_deref(),
        version_id: &version_id,
        version_name: &new.version_name,
        document: &new.document,
    };
    let sequence = write.sequence();
    policies::insert(&mut write, &policy, sequence, caller.stamp(now)).await.map_err(|error| taken(error, &new.name))?;
    tags::set(&mut write, Tagged { kind: WHAT, id: &id.to_string() }, caller.account, &new.tags).await?;
    within_limits(&mut write, caller).await?;
    let policy = policies::find(&mut write, caller.account, id).await?.ok_or_else(|| not_found(id))?;
    write.put(record(&policy)?);
    let mut after = shown(&policy, policy.in_force());
    if let Json::Object(after) = &mut after {
        after.insert("tags".to_owned(), json!(new.tags));
    }
    write.audit(caller.entry(srn(store, policy.account, id), None, Some(after)));
    accept(write, caller, policy, now).await
}

/// Changes a policy: its name, its description, one version, and which version is in force.
pub(crate) async fn set(
    store: &Store,
    caller: &Caller,
    id: PolicyId,
    set: Set,
    precondition: &Precondition,
    now: Timestamp,
) -> Result<Accepted<Policy>, ServiceError> {
    let mut write = store.write().await?;
    let before = own(&mut write, caller, id, precondition).await?;
    let target = set.target(&before)?;
    if let (Some(draft), Some(target)) = (&set.version, &target) {
        let version = NewVersion { id: &target.id, name: &target.name, document: &draft.document };
        let written = policies::put_version(&mut write, id, version, caller.stamp(now)).await;
        written.map_err(|error| if error.is_duplicate() { ServiceError::Taken("version", target.name.clone()) } else { error.into() })?;
        within_limits(&mut write, caller).await?;
    }
    let name = set.name.as_deref().unwrap_or(&before.name);
    let written = Fields {
        name,
        description: set.description.as_ref().unwrap_or(&before.description).as_deref(),
        default_version: set.default_version.as_deref().unwrap_or(&before.default_version),
    };
    let sequence = write.sequence();
    policies::update(&mut write, id, written, sequence, caller.stamp(now)).await.map_err(|error| taken(error, name))?;
    let policy = policies::find(&mut write, caller.account, id).await?.ok_or_else(|| not_found(id))?;
    let (old, new) = (record(&before)?, record(&policy)?);
    // What does not change what the gateways have gives nobody anything.
    if old.to_json() != new.to_json() {
        write.put(new);
    }
    let version = |policy: &Policy| {
        let id = target.as_ref().map_or(policy.default_version.as_str(), |target| target.id.as_str());
        shown(policy, policy.versions.iter().find(|version| version.id == id))
    };
    write.audit(caller.entry(srn(store, policy.account, id), Some(version(&before)), Some(version(&policy))));
    accept(write, caller, policy, now).await
}

/// The version that a change is about.
struct Target {
    id: String,
    name: String,
}

impl Set {
    /// Which version is to be written: the one of the id, else the one of the name, possibly a new one, else the one in force.
    fn target(&self, policy: &Policy) -> Result<Option<Target>, ServiceError> {
        let mut problems = Vec::new();
        let known = |id: &str| policy.versions.iter().find(|version| version.id == id);
        if let Some(id) = self.default_version.as_deref().filter(|id| known(id).is_none()) {
            problems.push(format!("`default_version_id`: there is no version `{id}`; write the id of a version of this policy"));
        }
        let Some(draft) = &self.version else { return valid(None, problems) };
        if let Some(other) = draft.policy.as_deref().filter(|other| *other != policy.id.to_string()) {
            problems.push(format!("`policy_version.policy_id`: `{other}` is not this policy; write its id, or leave it out"));
        }
        let existing = match (&draft.id, &draft.name) {
            (Some(id), _) => {
                if known(id).is_none() {
                    let hint = "write the id of a version of this policy, or leave it out";
                    problems.push(format!("`policy_version.policy_version_id`: there is no version `{id}`; {hint}"));
                }
                known(id)
            }
            (None, Some(name)) => policy.versions.iter().find(|version| version.name == *name),
            (None, None) => policy.in_force(),
        };
        let name = draft.name.clone().or_else(|| existing.map(|version| version.name.clone()));
        let target = match existing {
            Some(version) => Target { id: version.id.clone(), name: name.unwrap_or_default() },
            None if problems.is_empty() && policy.versions.len() >= VERSIONS_MAX => {
                return Err(ServiceError::TooMany { of: WHAT, most: VERSIONS_MAX as u64, what: "versions" });
            }
            None => Target { id: new_version_id()?, name: name.unwrap_or_else(|| FIRST_VERSION.to_owned()) },
        };
        valid(Some(target), problems)
    }
}

/// Removes a policy that nobody has.
pub(crate) async fn delete(
    store: &Store,
    caller: &Caller,
    id: PolicyId,
    precondition: &Precondition,
    now: Timestamp,
) -> Result<Accepted<()>, ServiceError> {
    let mut write = store.write().await?;
    let before = own(&mut write, caller, id, precondition).await?;
    remove(&mut write, caller, &before).await?;
    accept(write, caller, (), now).await
}

/// Removes policies that nobody has: all of them or none.
pub(crate) async fn delete_all(store: &Store, caller: &Caller, ids: &[PolicyId], now: Timestamp) -> Result<Accepted<()>, ServiceError> {
    let mut write = store.write().await?;
    for id in ids {
        let before = own(&mut write, caller, *id, &Precondition::None).await?;
        remove(&mut write, caller, &before).await?;
    }
    accept(write, caller, (), now).await
}

async fn remove(write: &mut Write, caller: &Caller, policy: &Policy) -> Result<(), ServiceError> {
    if let Some(by) = bindings::holders(write, caller, policy.id).await? {
        return Err(ServiceError::InUse { what: WHAT, name: policy.name.clone(), by });
    }
    tags::remove(write, Tagged { kind: WHAT, id: &policy.id.to_string() }).await?;
    policies::delete(write, policy.id).await?;
    write.delete(RecordKey::Policy(policy.id));
    let resource = srn(write.store(), policy.account, policy.id);
    write.audit(caller.entry(resource, Some(shown(policy, policy.in_force())), None));
    Ok(())
}

/// What to say about ids of policies that the account does not see; `member` is where they stand in the body.
pub(super) async fn unknown(write: &mut Write, caller: &Caller, member: &str, ids: &[PolicyId]) -> Result<Vec<String>, ServiceError> {
    let mut problems = Vec::new();
    for (index, policy) in ids.iter().enumerate() {
        if !policies::is_usable(write, caller.account, *policy).await? {
            problems.push(format!("`{member}[{index}]`: there is no policy `{policy}`; write the id of a policy of this account"));
        }
    }
    Ok(problems)
}

pub(super) fn valid<T>(value: T, problems: Vec<String>) -> Result<T, ServiceError> {
    if problems.is_empty() { Ok(value) } else { Err(ServiceError::Invalid(problems)) }
}

/// A policy that the caller's account may change.
async fn own(write: &mut Write, caller: &Caller, id: PolicyId, precondition: &Precondition) -> Result<Policy, ServiceError> {
    let policy = policies::find(write, caller.account, id).await?.ok_or_else(|| not_found(id))?;
    if policy.account.is_none() {
        return Err(ServiceError::OfSystem(policy.name));
    }
    precondition.check(write.store().revision(policy.revision))?;
    Ok(policy)
}

async fn within_limits(write: &mut Write, caller: &Caller) -> Result<(), ServiceError> {
    let (count, characters) = policies::extent(write, caller.account).await?;
    if count > POLICIES_MAX {
        return Err(ServiceError::Full { what: "policies", most: POLICIES_MAX });
    }
    if characters > DOCUMENT_CHARS_MAX {
        return Err(ServiceError::Full { what: "characters in policy documents", most: DOCUMENT_CHARS_MAX });
    }
    Ok(())
}

fn new_version_id() -> Result<String, ServiceError> {
    Ok(PolicyId::from_bytes(random::bytes()?).to_string())
}

fn record(policy: &Policy) -> Result<Record, ServiceError> {
    let version = policy.in_force().ok_or(StoreError::Column("a version in force"))?;
    let document = DocumentRef::Text(version.document.clone(), Span::default());
    Ok(Record::Policy(wire::Policy { id: policy.id, account: policy.account, name: policy.name.clone(), document }))
}

/// A policy in the audit log, with one of its versions.
fn shown(policy: &Policy, version: Option<&Version>) -> Json {
    let version = version.map(|version| json!({ "id": version.id, "name": version.name, "document": version.document }));
    json!({
        "policy_name": policy.name, "description": policy.description, "default_version_id": policy.default_version,
        "policy_version": version,
    })
}

/// The SRN of a policy; those of the system are in no account.
pub(crate) fn srn(store: &Store, account: Option<AccountId>, id: PolicyId) -> String {
    let account = account.map_or_else(String::new, |account| account.to_string());
    let (offering, id) = (store.offering().as_str(), id.to_string());
    Srn { offering, account: &account, region: "", service_type: "iam", resource_type: WHAT, resource_id: &id }.to_string()
}

pub(super) fn not_found(id: PolicyId) -> ServiceError {
    ServiceError::NotFound(WHAT, id.to_string())
}

fn taken(error: StoreError, name: &str) -> ServiceError {
    if error.is_duplicate() { ServiceError::Taken(WHAT, name.to_owned()) } else { error.into() }
}
