//! Users (wire-formats 3, 3.2; the models of IAM 1.4): flat. Each operation has its own members; public clients refuse others.

use serde::Serialize;

use super::access_keys::{NEVER, moment};
use super::call::{Answer, Call};
use super::error::ApiError;
use crate::control::service::srn;
use crate::control::service::users::{self, Create, Details, Set, SetPassword, decode_bulk};
use crate::control::store::Store;
use crate::control::store::access_keys::AccessKey;
use crate::control::store::users::{Filter, Named, ORDERS, Profile};
use crate::types::{AccountId, UserId};

#[derive(Serialize)]
struct Page {
    count: u64,
    page: u64,
    size: u64,
    sort: Vec<String>,
    users: Vec<Listed>,
}

/// What all of them have. The vendor's Terraform provider does not expect `null` where a text stands here for nothing.
#[derive(Serialize)]
struct Common {
    account_id: String,
    company_name: Option<String>,
    created_at: String,
    created_by: String,
    description: String,
    dst_offset: String,
    email: String,
    email_authenticated: bool,
    first_name: Option<String>,
    id: String,
    last_login_at: Option<String>,
    last_name: Option<String>,
    last_password_update_at: Option<String>,
    modified_at: String,
    modified_by: String,
    name: String,
    password_reuse_count: u64,
    phone_authenticated: bool,
    state: &'static str,
    timezone: String,
    r#type: &'static str,
    tz_id: String,
    user_name: String,
    utc_offset: String,
}

#[derive(Serialize)]
struct Listed {
    #[serde(flatten)]
    common: Common,
    access_keys: Vec<KeyBody>,
    groups: Vec<NamedBody>,
    policies: Vec<NamedBody>,
}

/// The answer of a change. `policies` are whole policies or nothing; they have a list of their own.
#[derive(Serialize)]
struct Changed {
    #[serde(flatten)]
    common: Common,
    access_keys: Vec<KeyBody>,
    groups: Vec<NamedBody>,
    policies: Option<Vec<()>>,
}

#[derive(Serialize)]
struct Created {
    #[serde(flatten)]
    common: Common,
    console_url: &'static str,
    /// Always empty: who made the user knows it.
    password: &'static str,
    policies: Option<Vec<()>>,
}

#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    common: Common,
    access_keys: Vec<VaultKeyBody>,
    created_by_name: Option<String>,
    modified_by_name: Option<String>,
    policies: Option<Vec<()>>,
    resource_type: &'static str,
    service: &'static str,
    service_name: &'static str,
    srn: String,
}

#[derive(Serialize)]
struct NamedBody {
    id: String,
    name: String,
}

#[derive(Serialize)]
struct KeyBody {
    access_key: String,
    created_at: String,
    expiration_timestamp: String,
    id: String,
    is_enabled: bool,
}

#[derive(Serialize)]
struct VaultKeyBody {
    #[serde(flatten)]
    key: KeyBody,
    secret_vault: bool,
}

impl Common {
    fn new(profile: Profile) -> Self {
        let Profile { user, authorship, .. } = profile;
        let names = [profile.first_name.as_deref(), profile.last_name.as_deref()];
        let name = names.into_iter().flatten().collect::<Vec<_>>().join(" ");
        Self {
            account_id: user.account.to_string(),
            company_name: profile.company_name,
            created_at: authorship.created.at.to_string(),
            created_by: authorship.created.by,
            description: profile.description.unwrap_or_default(),
            dst_offset: profile.dst_offset.unwrap_or_default(),
            email: profile.email.unwrap_or_default(),
            email_authenticated: profile.email_authenticated,
            id: user.id.to_string(),
            last_login_at: profile.last_login_at.map(moment),
            last_password_update_at: profile.last_password_update_at.map(moment),
            modified_at: authorship.modified.at.to_string(),
            modified_by: authorship.modified.by,
            name: if name.is_empty() { user.name.clone() } else { name },
            first_name: profile.first_name,
            last_name: profile.last_name,
            password_reuse_count: profile.password_reuse_count,
            phone_authenticated: profile.phone_authenticated,
            state: if user.active { "ACTIVE" } else { "INACTIVE" },
            timezone: profile.timezone.unwrap_or_default(),
            r#type: if user.root { "ROOT" } else { "IAM" },
            tz_id: profile.tz_id.unwrap_or_default(),
            user_name: user.name,
            utc_offset: profile.utc_offset.unwrap_or_default(),
        }
    }
}

impl KeyBody {
    fn new(key: AccessKey) -> Self {
        Self {
            access_key: key.id.to_string(),
            created_at: key.created_at.to_string(),
            expiration_timestamp: key.expires_at.map_or_else(|| NEVER.to_owned(), moment),
            id: key.id.to_string(),
            is_enabled: key.enabled,
        }
    }
}

fn keys(keys: Vec<AccessKey>) -> Vec<KeyBody> {
    keys.into_iter().map(KeyBody::new).collect()
}

fn named(all: Vec<Named>) -> Vec<NamedBody> {
    all.into_iter().map(|Named { id, name }| NamedBody { id, name }).collect()
}

impl Listed {
    fn new(user: Details) -> Self {
        let (groups, policies) = (named(user.groups), named(user.policies));
        Self { common: Common::new(user.profile), access_keys: keys(user.keys), groups, policies }
    }
}

impl Shown {
    fn new(store: &Store, user: Details) -> Self {
        let Details { profile, keys, .. } = user;
        Self {
            access_keys: keys.into_iter().map(|key| VaultKeyBody { key: KeyBody::new(key), secret_vault: false }).collect(),
            created_by_name: profile.authorship.created.name.clone(),
            modified_by_name: profile.authorship.modified.name.clone(),
            policies: None,
            resource_type: "User",
            service: "iam",
            service_name: "Identity Access Management",
            srn: srn(store, profile.user.account, "user", profile.user.id),
            common: Common::new(profile),
        }
    }
}

fn account(call: &Call) -> Result<AccountId, ApiError> {
    call.id("account", "account_id")
}

fn user(call: &Call) -> Result<(AccountId, UserId), ApiError> {
    Ok((account(call)?, call.id("user", "user_id")?))
}

pub(super) async fn list(call: Call) -> Result<Answer, ApiError> {
    let query = call.query();
    let asked = query.page(&ORDERS);
    let filter = Filter { name: query.text("user_name"), email: query.text("email"), kinds: query.texts("type") };
    query.finish()?;
    let (users, count) = users::list(&call.store, &call.caller, account(&call)?, &filter, &asked.page).await?;
    let users = users.into_iter().map(Listed::new).collect();
    Ok(Answer::ok(&Page { count, page: asked.page.number, size: asked.page.size, sort: asked.sort, users }))
}

pub(super) async fn show(call: Call) -> Result<Answer, ApiError> {
    let (account, id) = user(&call)?;
    let details = users::show(&call.store, &call.caller, account, id).await?;
    let revision = call.revision(details.profile.revision);
    Ok(Answer::ok(&Shown::new(&call.store, details)).tagged(revision))
}

pub(super) async fn create(call: Call) -> Result<Answer, ApiError> {
    let (account, new) = (account(&call)?, call.decode(Create::decode)?);
    let (accepted, details) = users::create(&call.store, &call.caller, account, new, call.now).await?.split();
    let revision = call.revision(details.profile.revision);
    let body = Created { common: Common::new(details.profile), console_url: "", password: "", policies: None };
    Ok(Answer::created(&body).tagged(revision).committed(&accepted))
}

pub(super) async fn set(call: Call) -> Result<Answer, ApiError> {
    let (user, new) = (user(&call)?, call.decode(Set::decode)?);
    let (accepted, details) = users::set(&call.store, &call.caller, user, new, &call.precondition(), call.now).await?.split();
    let revision = call.revision(details.profile.revision);
    let (access_keys, groups) = (keys(details.keys), named(details.groups));
    let body = Changed { common: Common::new(details.profile), access_keys, groups, policies: None };
    Ok(Answer::ok(&body).tagged(revision).committed(&accepted))
}

pub(super) async fn delete(call: Call) -> Result<Answer, ApiError> {
    let accepted = users::delete(&call.store, &call.caller, user(&call)?, &call.precondition(), call.now).await?;
    Ok(Answer::no_content().committed(&accepted))
}

pub(super) async fn delete_bulk(call: Call) -> Result<Answer, ApiError> {
    let (account, ids) = (account(&call)?, call.decode(decode_bulk)?);
    let accepted = users::delete_bulk(&call.store, &call.caller, account, ids, call.now).await?;
    Ok(Answer::no_content().committed(&accepted))
}

pub(super) async fn set_password(call: Call) -> Result<Answer, ApiError> {
    let (user, new) = (user(&call)?, call.decode(SetPassword::decode)?);
    let accepted = users::set_password(&call.store, &call.caller, user, new, call.now).await?;
    Ok(Answer::no_content().committed(&accepted))
}
