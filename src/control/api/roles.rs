//! Roles (wire-formats 3, 3.2): wrapped as `role`.

use serde::Serialize;
use serde_json::value::RawValue;

use super::call::{Answer, Call};
use super::error::ApiError;
use super::policies::PolicyBody;
use crate::control::service::documents::Reader;
use crate::control::service::roles::{self, Bulk, Create, Details, Set, decode_trust};
use crate::control::store::Store;
use crate::control::store::roles::{Filter, ORDERS, Role};
use crate::types::{AccountId, RoleId};

const ROLE: &str = "role";

#[derive(Serialize)]
struct RolePage {
    count: u64,
    page: u64,
    size: u64,
    sort: Vec<String>,
    roles: Vec<RoleBody>,
}

#[derive(Serialize)]
struct Wrapped {
    role: RoleBody,
}

/// Exactly the documented members: public clients refuse others.
#[derive(Serialize)]
struct RoleBody {
    account_id: String,
    assume_role_policy_document: Option<Box<RawValue>>,
    created_at: String,
    created_by: String,
    creator_email: Option<String>,
    creator_name: Option<String>,
    description: Option<String>,
    id: String,
    max_session_duration: u64,
    modified_at: String,
    modified_by: String,
    modifier_email: Option<String>,
    modifier_name: Option<String>,
    name: String,
    policies: Option<Vec<PolicyBody>>,
    r#type: String,
}

impl RoleBody {
    fn new(role: Role, policies: Option<Vec<PolicyBody>>) -> Self {
        let (created, modified) = (role.authorship.created, role.authorship.modified);
        Self {
            account_id: role.account.to_string(),
            // Written by ourselves, as JSON.
            assume_role_policy_document: RawValue::from_string(role.trust_policy).ok(),
            created_at: created.at.to_string(),
            created_by: created.by,
            creator_email: created.email,
            creator_name: created.name,
            description: role.description,
            id: role.id.to_string(),
            max_session_duration: role.session_s_max,
            modified_at: modified.at.to_string(),
            modified_by: modified.by,
            modifier_email: modified.email,
            modifier_name: modified.name,
            name: role.name,
            policies,
            r#type: role.kind,
        }
    }
}

fn wrapped(store: &Store, details: Details) -> Wrapped {
    let policies = details.policies.into_iter().map(|policy| PolicyBody::new(store, policy)).collect();
    Wrapped { role: RoleBody::new(details.role, Some(policies)) }
}

pub(super) async fn list(call: Call) -> Result<Answer, ApiError> {
    let query = call.query();
    let asked = query.page(&ORDERS);
    let filter = Filter {
        name: query.text("name"),
        kinds: query.texts("types"),
        exclude_policy: query.parsed("exclude_policy_id", "write the id of a policy"),
    };
    let account: Option<AccountId> = query.parsed("account_id", "write the id of your account");
    query.finish()?;
    call.caller.owns(account.unwrap_or(call.caller.account))?;
    let (roles, count) = roles::list(&call.store, &call.caller, &filter, &asked.page).await?;
    let roles = roles.into_iter().map(|role| RoleBody::new(role, None)).collect();
    Ok(Answer::ok(&RolePage { count, page: asked.page.number, size: asked.page.size, sort: asked.sort, roles }))
}

pub(super) async fn show(call: Call) -> Result<Answer, ApiError> {
    let details = roles::show(&call.store, &call.caller, call.id(ROLE, "role_id")?).await?;
    let revision = call.revision(details.role.revision);
    Ok(Answer::ok(&wrapped(&call.store, details)).tagged(revision))
}

pub(super) async fn create(call: Call) -> Result<Answer, ApiError> {
    let id = roles::new_id()?;
    let documents = Reader::of_trust(&call.store, &call.caller, id, &call.body);
    let new = call.decode(|cursor| Create::decode(cursor, id, &documents))?;
    let (accepted, details) = roles::create(&call.store, &call.caller, new, call.now).await?.split();
    let revision = call.revision(details.role.revision);
    Ok(Answer::accepted(&wrapped(&call.store, details)).tagged(revision).committed(&accepted))
}

pub(super) async fn set(call: Call) -> Result<Answer, ApiError> {
    let (id, set) = (call.id::<RoleId>(ROLE, "role_id")?, call.decode(Set::decode)?);
    let (accepted, details) = roles::set(&call.store, &call.caller, id, set, &call.precondition(), call.now).await?.split();
    let revision = call.revision(details.role.revision);
    Ok(Answer::ok(&wrapped(&call.store, details)).tagged(revision).committed(&accepted))
}

/// `PUT /v1/roles/{role_id}/trust-policy`
pub(super) async fn set_trust(call: Call) -> Result<Answer, ApiError> {
    let id = call.id::<RoleId>(ROLE, "role_id")?;
    let documents = Reader::of_trust(&call.store, &call.caller, id, &call.body);
    let document = call.decode(|cursor| decode_trust(cursor, &documents))?;
    let set = roles::set_trust(&call.store, &call.caller, id, &document, &call.precondition(), call.now).await?;
    let (accepted, details) = set.split();
    let revision = call.revision(details.role.revision);
    Ok(Answer::ok(&wrapped(&call.store, details)).tagged(revision).committed(&accepted))
}

pub(super) async fn delete(call: Call) -> Result<Answer, ApiError> {
    let id = call.id(ROLE, "role_id")?;
    let accepted = roles::delete(&call.store, &call.caller, id, &call.precondition(), call.now).await?;
    Ok(Answer::no_content().committed(&accepted))
}

pub(super) async fn delete_bulk(call: Call) -> Result<Answer, ApiError> {
    let bulk = call.decode(Bulk::decode)?;
    let accepted = roles::delete_bulk(&call.store, &call.caller, bulk, call.now).await?;
    Ok(Answer::no_content().committed(&accepted))
}

/// `DELETE /portcullis/v1/roles/{role_id}/sessions`
pub(super) async fn end_sessions(call: Call) -> Result<Answer, ApiError> {
    let id = call.id(ROLE, "role_id")?;
    let accepted = roles::end_sessions(&call.store, &call.caller, id, call.now).await?;
    Ok(Answer::no_content().committed(&accepted))
}
