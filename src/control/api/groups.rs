//! Groups and their members (wire-formats 3, 3.2): wrapped as `group` and `group_member`.

use serde::Serialize;

use super::call::{Answer, Call};
use super::error::ApiError;
use super::policies::PolicyBody;
use crate::control::service::groups::{self, Create, Details, Joined, Set, decode_member};
use crate::control::service::srn;
use crate::control::store::Store;
use crate::control::store::groups::{Filter, Group, MEMBER_ORDERS, ORDERS};
use crate::types::{GroupId, UserId};

const GROUP: &str = "group";

#[derive(Serialize)]
struct GroupPage {
    count: u64,
    page: u64,
    size: u64,
    sort: Vec<String>,
    groups: Vec<GroupBody>,
}

#[derive(Serialize)]
struct MemberPage {
    count: u64,
    page: u64,
    size: u64,
    sort: Vec<String>,
    group_members: Vec<MemberBody>,
}

#[derive(Serialize)]
struct Wrapped {
    group: GroupBody,
}

#[derive(Serialize)]
struct WrappedMember {
    group_member: MemberBody,
}

/// Exactly the documented members: public clients refuse others.
#[derive(Serialize)]
struct GroupBody {
    created_at: String,
    created_by: String,
    creator_email: Option<String>,
    creator_name: Option<String>,
    description: Option<String>,
    domain_name: &'static str,
    id: String,
    members: Option<Vec<MemberBody>>,
    modified_at: String,
    modified_by: String,
    modifier_email: Option<String>,
    modifier_name: Option<String>,
    name: String,
    policies: Option<Vec<PolicyBody>>,
    roles: Option<Vec<()>>,
    resource_type: &'static str,
    service_name: &'static str,
    service_type: &'static str,
    srn: String,
    r#type: String,
}

#[derive(Serialize)]
struct MemberBody {
    created_at: String,
    created_by: String,
    creator_created_at: Option<String>,
    creator_email: Option<String>,
    creator_last_login_at: Option<String>,
    creator_name: Option<String>,
    group_names: Vec<String>,
    user_created_at: String,
    user_email: Option<String>,
    user_id: String,
    user_last_login_at: Option<String>,
    user_name: String,
}

impl GroupBody {
    fn new(store: &Store, group: Group, members: Option<Vec<Joined>>, policies: Option<Vec<PolicyBody>>) -> Self {
        let (created, modified) = (group.authorship.created, group.authorship.modified);
        Self {
            created_at: created.at.to_string(),
            created_by: created.by,
            creator_email: created.email,
            creator_name: created.name,
            description: group.description,
            domain_name: "scp",
            id: group.id.to_string(),
            members: members.map(|members| members.into_iter().map(MemberBody::new).collect()),
            modified_at: modified.at.to_string(),
            modified_by: modified.by,
            modifier_email: modified.email,
            modifier_name: modified.name,
            name: group.name,
            policies,
            roles: None,
            resource_type: GROUP,
            service_name: "Identity and Access Management",
            service_type: "iam",
            srn: srn(store, group.account, GROUP, group.id),
            r#type: group.kind,
        }
    }
}

impl MemberBody {
    fn new(joined: Joined) -> Self {
        let member = joined.member;
        Self {
            created_at: member.added_at.to_string(),
            created_by: member.added_by,
            creator_created_at: member.creator_created_at.map(|time| time.to_string()),
            creator_email: member.creator_email,
            creator_last_login_at: member.creator_last_login_at.map(|time| time.to_string()),
            creator_name: member.creator_name,
            group_names: joined.groups,
            user_created_at: member.user_created_at.to_string(),
            user_email: member.email,
            user_id: member.user.to_string(),
            user_last_login_at: member.user_last_login_at.map(|time| time.to_string()),
            user_name: member.name,
        }
    }
}

fn wrapped(store: &Store, details: Details) -> Wrapped {
    let policies = details.policies.into_iter().map(|policy| PolicyBody::new(store, policy)).collect();
    Wrapped { group: GroupBody::new(store, details.group, Some(details.members), Some(policies)) }
}

pub(super) async fn list(call: Call) -> Result<Answer, ApiError> {
    let query = call.query();
    let asked = query.page(&ORDERS);
    let filter = Filter {
        name: query.text("name"),
        kinds: query.texts("types"),
        ids: query.texts("ids"),
        has_member: query.boolean("has_member"),
        creator_name: query.text("creator_name"),
        creator_email: query.text("creator_email"),
        modifier_name: query.text("modifier_name"),
        modifier_email: query.text("modifier_email"),
        exclude_user: query.parsed("exclude_user_id", "write the id of a user"),
        exclude_policy: query.parsed("exclude_policy_id", "write the id of a policy"),
    };
    // No group has a role: roles are taken, by users. What "completed" means is not published.
    let has_role = query.boolean("has_role");
    let _ = query.boolean("is_completed");
    query.finish()?;
    let (groups, count) = match has_role {
        Some(true) => (Vec::new(), 0),
        Some(false) | None => groups::list(&call.store, &call.caller, &filter, &asked.page).await?,
    };
    let groups = groups.into_iter().map(|group| GroupBody::new(&call.store, group, None, None)).collect();
    Ok(Answer::ok(&GroupPage { count, page: asked.page.number, size: asked.page.size, sort: asked.sort, groups }))
}

pub(super) async fn show(call: Call) -> Result<Answer, ApiError> {
    let details = groups::show(&call.store, &call.caller, call.id(GROUP, "group_id")?).await?;
    let revision = call.revision(details.group.revision);
    Ok(Answer::ok(&wrapped(&call.store, details)).tagged(revision))
}

pub(super) async fn create(call: Call) -> Result<Answer, ApiError> {
    let accepted = groups::create(&call.store, &call.caller, call.decode(Create::decode)?, call.now).await?;
    let revision = call.revision(accepted.value.group.revision);
    let (accepted, details) = accepted.split();
    Ok(Answer::created(&wrapped(&call.store, details)).tagged(revision).committed(&accepted))
}

pub(super) async fn set(call: Call) -> Result<Answer, ApiError> {
    let (id, new) = (call.id::<GroupId>(GROUP, "group_id")?, call.decode(Set::decode)?);
    let accepted = groups::set(&call.store, &call.caller, id, new, &call.precondition(), call.now).await?;
    let revision = call.revision(accepted.value.group.revision);
    let (accepted, details) = accepted.split();
    Ok(Answer::ok(&wrapped(&call.store, details)).tagged(revision).committed(&accepted))
}

pub(super) async fn delete(call: Call) -> Result<Answer, ApiError> {
    let id = call.id(GROUP, "group_id")?;
    let accepted = groups::delete(&call.store, &call.caller, id, &call.precondition(), call.now).await?;
    Ok(Answer::no_content().committed(&accepted))
}

pub(super) async fn members(call: Call) -> Result<Answer, ApiError> {
    let query = call.query();
    let asked = query.page(&MEMBER_ORDERS);
    query.finish()?;
    let (members, count) = groups::members(&call.store, &call.caller, call.id(GROUP, "group_id")?, &asked.page).await?;
    let group_members = members.into_iter().map(MemberBody::new).collect();
    Ok(Answer::ok(&MemberPage { count, page: asked.page.number, size: asked.page.size, sort: asked.sort, group_members }))
}

pub(super) async fn add_member(call: Call) -> Result<Answer, ApiError> {
    let (id, user) = (call.id::<GroupId>(GROUP, "group_id")?, call.decode(decode_member)?);
    let (accepted, member) = groups::add_member(&call.store, &call.caller, id, user, call.now).await?.split();
    Ok(Answer::ok(&WrappedMember { group_member: MemberBody::new(member) }).committed(&accepted))
}

pub(super) async fn remove_member(call: Call) -> Result<Answer, ApiError> {
    let (id, user) = (call.id::<GroupId>(GROUP, "group_id")?, call.id::<UserId>("member", "user_id")?);
    let accepted = groups::remove_member(&call.store, &call.caller, id, user, call.now).await?;
    Ok(Answer::no_content().committed(&accepted))
}
