//! Who has which policy (wire-formats 3): the holders of a policy, the policies of a group, of a user, of a role.

use serde::Serialize;

use super::call::{Answer, Call};
use super::error::ApiError;
use super::policies::{POLICY, PolicyBody, page};
use super::query::{Asked, Query};
use crate::control::service::bindings::{self, Set, decode_policies};
use crate::control::service::srn;
use crate::control::store::Store;
use crate::control::store::bindings::{Bound, Filter, Kind, ORDERS};
use crate::control::store::policies;
use crate::snapshot::wire::Identity;
use crate::types::{AccountId, GroupId, PolicyId, RoleId, UserId};

#[derive(Serialize)]
struct BindingPage {
    count: u64,
    groups: Vec<NamedEntry>,
    page: u64,
    policy_id: String,
    roles: Vec<NamedEntry>,
    size: u64,
    sort: Vec<String>,
    users: Vec<UserEntry>,
}

/// A group or a role. The vendor publishes no shape of these; clients take any members.
#[derive(Serialize)]
struct NamedEntry {
    id: String,
    name: String,
    description: Option<String>,
    created_at: String,
    modified_at: String,
    srn: String,
}

/// As above.
#[derive(Serialize)]
struct UserEntry {
    id: String,
    user_name: String,
    email: Option<String>,
    description: Option<String>,
    created_at: String,
    modified_at: String,
    srn: String,
}

/// Of a group, and of a role.
#[derive(Serialize)]
struct HeldPolicies {
    policies: Vec<PolicyBody>,
}

#[derive(Serialize)]
struct UserPolicies {
    policies: Vec<PolicyBody>,
    user_id: String,
}

impl BindingPage {
    fn new(store: &Store, account: AccountId, policy: PolicyId, asked: Asked, (bound, count): (Vec<Bound>, u64)) -> Self {
        let (mut groups, mut roles, mut users) = (Vec::new(), Vec::new(), Vec::new());
        for Bound { identity, name, description, email, created_at, modified_at } in bound {
            let (created_at, modified_at) = (created_at.to_string(), modified_at.to_string());
            match identity {
                Identity::Group(id) => {
                    let srn = srn(store, account, "group", id);
                    groups.push(NamedEntry { id: id.to_string(), name, description, created_at, modified_at, srn });
                }
                Identity::Role(id) => {
                    let srn = srn(store, account, "role", id);
                    roles.push(NamedEntry { id: id.to_string(), name, description, created_at, modified_at, srn });
                }
                Identity::User(id) => {
                    let srn = srn(store, account, "user", id);
                    users.push(UserEntry { id: id.to_string(), user_name: name, email, description, created_at, modified_at, srn });
                }
            }
        }
        let (page, size, sort) = (asked.page.number, asked.page.size, asked.sort);
        Self { count, groups, page, policy_id: policy.to_string(), roles, size, sort, users }
    }
}

pub(super) async fn list(call: Call) -> Result<Answer, ApiError> {
    let policy = call.id(POLICY, "policy_id")?;
    let query = call.query();
    let asked = query.page(&ORDERS);
    let mut filter = Filter { id: query.text("identity_id"), name: query.text("name"), kind: None };
    let kind = query.text("identity_type");
    query.finish()?;
    // Nothing else can have a policy.
    let known = match kind.as_deref() {
        None => true,
        Some("GROUP") => filter.kind.replace(Kind::Group).is_none(),
        Some("USER") => filter.kind.replace(Kind::User).is_none(),
        Some("ROLE") => filter.kind.replace(Kind::Role).is_none(),
        Some(_) => false,
    };
    let (bound, count) = bindings::list(&call.store, &call.caller, policy, &filter, &asked.page).await?;
    let listed = if known { (bound, count) } else { (Vec::new(), 0) };
    Ok(Answer::ok(&BindingPage::new(&call.store, call.caller.account, policy, asked, listed)))
}

pub(super) async fn set(call: Call) -> Result<Answer, ApiError> {
    let policy = call.id(POLICY, "policy_id")?;
    let set = call.decode(Set::decode)?;
    let asked = Query::parse("").page(&ORDERS);
    let (accepted, bound) = bindings::set(&call.store, &call.caller, policy, set, &asked.page, call.now).await?.split();
    Ok(Answer::ok(&BindingPage::new(&call.store, call.caller.account, policy, asked, bound)).committed(&accepted))
}

pub(super) async fn list_of_group(call: Call) -> Result<Answer, ApiError> {
    let group = Identity::Group(call.id("group", "group_id")?);
    list_of(call, group).await
}

pub(super) async fn list_of_user(call: Call) -> Result<Answer, ApiError> {
    let user = Identity::User(call.id("user", "user_id")?);
    list_of(call, user).await
}

/// Without the page's own members: exactly what is documented of roles.
pub(super) async fn list_of_role(call: Call) -> Result<Answer, ApiError> {
    let role = Identity::Role(call.id("role", "role_id")?);
    let query = call.query();
    let asked = query.page(&policies::ORDERS);
    let filter = policies::Filter { name: query.text("policy_name"), ..policies::Filter::default() };
    query.finish()?;
    let (held, _) = bindings::held(&call.store, &call.caller, role, filter, &asked.page).await?;
    Ok(Answer::ok(&HeldPolicies { policies: bodies(&call, held) }))
}

fn bodies(call: &Call, policies: Vec<policies::Policy>) -> Vec<PolicyBody> {
    policies.into_iter().map(|policy| PolicyBody::new(&call.store, policy)).collect()
}

async fn list_of(call: Call, identity: Identity) -> Result<Answer, ApiError> {
    let query = call.query();
    let asked = query.page(&policies::ORDERS);
    let filter = policies::Filter {
        id: query.text("policy_id"),
        name: query.text("policy_name"),
        kinds: query.texts("policy_type"),
        ..policies::Filter::default()
    };
    query.finish()?;
    let held = bindings::held(&call.store, &call.caller, identity, filter, &asked.page).await?;
    Ok(Answer::ok(&page(&call.store, asked, held)))
}

pub(super) async fn add_to_group(call: Call) -> Result<Answer, ApiError> {
    let group: GroupId = call.id("group", "group_id")?;
    add(call, Identity::Group(group)).await
}

pub(super) async fn add_to_role(call: Call) -> Result<Answer, ApiError> {
    let role: RoleId = call.id("role", "role_id")?;
    add(call, Identity::Role(role)).await
}

async fn add(call: Call, to: Identity) -> Result<Answer, ApiError> {
    let ids = call.decode(decode_policies)?;
    let given = bindings::add(&call.store, &call.caller, to, ids, call.now).await?;
    let (accepted, policies) = given.split();
    Ok(Answer::ok(&HeldPolicies { policies: bodies(&call, policies) }).committed(&accepted))
}

pub(super) async fn add_to_user(call: Call) -> Result<Answer, ApiError> {
    let user: UserId = call.id("user", "user_id")?;
    let ids = call.decode(decode_policies)?;
    let given = bindings::add(&call.store, &call.caller, Identity::User(user), ids, call.now).await?;
    let (accepted, policies) = given.split();
    Ok(Answer::ok(&UserPolicies { policies: bodies(&call, policies), user_id: user.to_string() }).committed(&accepted))
}

pub(super) async fn remove_from_group(call: Call) -> Result<Answer, ApiError> {
    let group = Identity::Group(call.id("group", "group_id")?);
    remove(call, group).await
}

pub(super) async fn remove_from_user(call: Call) -> Result<Answer, ApiError> {
    let user = Identity::User(call.id("user", "user_id")?);
    remove(call, user).await
}

pub(super) async fn remove_from_role(call: Call) -> Result<Answer, ApiError> {
    let role = Identity::Role(call.id("role", "role_id")?);
    remove(call, role).await
}

/// Those in the body; all of them without a body, as public clients send it.
pub(super) async fn remove_all_from_role(call: Call) -> Result<Answer, ApiError> {
    let role = Identity::Role(call.id("role", "role_id")?);
    let ids = if call.body.is_empty() { None } else { Some(call.decode(decode_policies)?) };
    let accepted = bindings::remove_all(&call.store, &call.caller, role, ids, call.now).await?;
    Ok(Answer::no_content().committed(&accepted))
}

async fn remove(call: Call, identity: Identity) -> Result<Answer, ApiError> {
    let policy = call.id(POLICY, "policy_id")?;
    let accepted = bindings::remove(&call.store, &call.caller, identity, policy, call.now).await?;
    Ok(Answer::no_content().committed(&accepted))
}
