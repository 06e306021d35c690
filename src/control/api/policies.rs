//! Policies and their versions (wire-formats 3, 3.2): flat, without a wrapper.

use serde::Serialize;
use serde_json::value::RawValue;

use super::call::{Answer, Call};
use super::error::ApiError;
use super::query::{Asked, Query};
use crate::control::service::documents::Reader;
use crate::control::service::policies::{self, Create, Set, decode_excluded, decode_ids, srn};
use crate::control::store::Store;
use crate::control::store::policies::{Filter, ORDERS, Policy, Version};
use crate::types::PolicyId;

pub(super) const POLICY: &str = "policy";
/// What policies are of, in the spellings of clients.
const SERVICE_TYPES: [&str; 2] = ["iam", "scp-iam"];

#[derive(Serialize)]
pub(super) struct PolicyPage {
    count: u64,
    page: u64,
    size: u64,
    sort: Vec<String>,
    policies: Vec<PolicyBody>,
}

/// Exactly the documented members: public clients refuse others.
#[derive(Serialize)]
pub(super) struct PolicyBody {
    account_id: Option<String>,
    created_at: String,
    created_by: String,
    creator_email: Option<String>,
    creator_name: Option<String>,
    default_version_id: String,
    description: Option<String>,
    domain_name: &'static str,
    id: String,
    modified_at: String,
    modified_by: String,
    modifier_email: Option<String>,
    modifier_name: Option<String>,
    policy_category: String,
    policy_name: String,
    policy_type: String,
    policy_versions: Vec<VersionBody>,
    resource_type: &'static str,
    service_name: &'static str,
    service_type: &'static str,
    srn: String,
    state: String,
}

#[derive(Serialize)]
struct VersionBody {
    created_at: String,
    created_by: String,
    id: String,
    modified_at: String,
    modified_by: String,
    /// The text that the gateways get, byte for byte.
    policy_document: Option<Box<RawValue>>,
    policy_id: String,
    policy_version_name: String,
}

impl PolicyBody {
    pub(super) fn new(store: &Store, policy: Policy) -> Self {
        let (created, modified) = (policy.authorship.created, policy.authorship.modified);
        Self {
            account_id: policy.account.map(|account| account.to_string()),
            created_at: created.at.to_string(),
            created_by: created.by,
            creator_email: created.email,
            creator_name: created.name,
            default_version_id: policy.default_version,
            description: policy.description,
            domain_name: "scp",
            id: policy.id.to_string(),
            modified_at: modified.at.to_string(),
            modified_by: modified.by,
            modifier_email: modified.email,
            modifier_name: modified.name,
            policy_category: policy.category,
            policy_name: policy.name,
            policy_type: policy.kind,
            policy_versions: policy.versions.into_iter().map(|version| VersionBody::new(policy.id, version)).collect(),
            resource_type: POLICY,
            service_name: "Identity and Access Management",
            service_type: "iam",
            srn: srn(store, policy.account, policy.id),
            state: policy.state,
        }
    }
}

impl VersionBody {
    fn new(policy: PolicyId, version: Version) -> Self {
        Self {
            created_at: version.created_at.to_string(),
            created_by: version.created_by,
            id: version.id,
            modified_at: version.modified_at.to_string(),
            modified_by: version.modified_by,
            policy_document: RawValue::from_string(version.document).ok(),
            policy_id: policy.to_string(),
            policy_version_name: version.name,
        }
    }
}

/// A page as an answer.
pub(super) fn page(store: &Store, asked: Asked, (policies, count): (Vec<Policy>, u64)) -> PolicyPage {
    let policies = policies.into_iter().map(|policy| PolicyBody::new(store, policy)).collect();
    PolicyPage { count, page: asked.page.number, size: asked.page.size, sort: asked.sort, policies }
}

pub(super) async fn list(call: Call) -> Result<Answer, ApiError> {
    found(&call, call.query(), Vec::new()).await
}

/// The same with policies to leave out, in a body.
pub(super) async fn query(call: Call) -> Result<Answer, ApiError> {
    let excluded = call.decode(decode_excluded)?;
    found(&call, call.query(), excluded).await
}

async fn found(call: &Call, query: Query, excluded: Vec<PolicyId>) -> Result<Answer, ApiError> {
    let asked = query.page(&ORDERS);
    let filter = Filter {
        id: query.text("id"),
        name: query.text("policy_name"),
        kinds: query.texts("policy_type"),
        creator_name: query.text("creator_name"),
        creator_email: query.text("creator_email"),
        modifier_name: query.text("modifier_name"),
        modifier_email: query.text("modifier_email"),
        exclude_group: query.parsed("exclude_group_id", "write the id of a group"),
        exclude_user: query.parsed("exclude_user_id", "write the id of a user"),
        excluded,
        ..Filter::default()
    };
    let services = query.texts("service_type");
    query.finish()?;
    let all = services.is_empty() || services.iter().any(|service| SERVICE_TYPES.contains(&service.as_str()));
    let listed = if all { policies::list(&call.store, &call.caller, &filter, &asked.page).await? } else { (Vec::new(), 0) };
    Ok(Answer::ok(&page(&call.store, asked, listed)))
}

pub(super) async fn show(call: Call) -> Result<Answer, ApiError> {
    let policy = policies::show(&call.store, &call.caller, call.id(POLICY, "policy_id")?).await?;
    let revision = call.revision(policy.revision);
    Ok(Answer::ok(&PolicyBody::new(&call.store, policy)).tagged(revision))
}

pub(super) async fn create(call: Call) -> Result<Answer, ApiError> {
    let documents = Reader::new(&call.store, &call.caller, &call.body);
    let new = call.decode(|cursor| Create::decode(cursor, &documents))?;
    let (accepted, policy) = policies::create(&call.store, &call.caller, new, call.now).await?.split();
    let revision = call.revision(policy.revision);
    Ok(Answer::created(&PolicyBody::new(&call.store, policy)).tagged(revision).committed(&accepted))
}

pub(super) async fn set(call: Call) -> Result<Answer, ApiError> {
    let id: PolicyId = call.id(POLICY, "policy_id")?;
    let documents = Reader::new(&call.store, &call.caller, &call.body);
    let set = call.decode(|cursor| Set::decode(cursor, &documents))?;
    let (accepted, policy) = policies::set(&call.store, &call.caller, id, set, &call.precondition(), call.now).await?.split();
    let revision = call.revision(policy.revision);
    Ok(Answer::ok(&PolicyBody::new(&call.store, policy)).tagged(revision).committed(&accepted))
}

pub(super) async fn delete(call: Call) -> Result<Answer, ApiError> {
    let id = call.id(POLICY, "policy_id")?;
    let accepted = policies::delete(&call.store, &call.caller, id, &call.precondition(), call.now).await?;
    Ok(Answer::no_content().committed(&accepted))
}

pub(super) async fn delete_all(call: Call) -> Result<Answer, ApiError> {
    let ids = call.decode(decode_ids)?;
    let accepted = policies::delete_all(&call.store, &call.caller, &ids, call.now).await?;
    Ok(Answer::no_content().committed(&accepted))
}
