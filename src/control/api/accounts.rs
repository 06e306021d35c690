//! Accounts, for the operator's people.

use serde::Serialize;

use super::call::{Answer, Call};
use super::error::ApiError;
use crate::control::service::accounts::{self, Create, Founded, Set};
use crate::control::service::bootstrap::ROOT;
use crate::control::service::portcullis_srn;
use crate::control::store::accounts::{Filter, Listed, ORDERS};

const ACCOUNT: &str = "account";

#[derive(Serialize)]
struct AccountPage {
    count: u64,
    page: u64,
    size: u64,
    sort: Vec<String>,
    accounts: Vec<AccountBody>,
}

#[derive(Serialize)]
struct Wrapped {
    account: AccountBody,
}

/// The only answer that holds a secret.
#[derive(Serialize)]
struct FoundedBody<'a> {
    account: AccountBody,
    root_user: UserBody<'a>,
    administrator: UserBody<'a>,
    access_key: KeyBody<'a>,
}

#[derive(Serialize)]
struct AccountBody {
    active: bool,
    created_at: String,
    created_by: String,
    creator_name: Option<String>,
    id: String,
    modified_at: String,
    modified_by: String,
    modifier_name: Option<String>,
    name: String,
    operator: bool,
    srn: String,
}

#[derive(Serialize)]
struct UserBody<'a> {
    id: String,
    user_name: &'a str,
}

#[derive(Serialize)]
struct KeyBody<'a> {
    access_key: String,
    secret_key: &'a str,
}

impl AccountBody {
    fn new(call: &Call, listed: Listed) -> Self {
        let Listed { account, authorship } = listed;
        Self {
            active: account.active,
            created_at: authorship.created.at.to_string(),
            created_by: authorship.created.by,
            creator_name: authorship.created.name,
            id: account.id.to_string(),
            modified_at: authorship.modified.at.to_string(),
            modified_by: authorship.modified.by,
            modifier_name: authorship.modified.name,
            name: account.name,
            operator: account.operator,
            srn: portcullis_srn(&call.store, call.caller.account, ACCOUNT, account.id),
        }
    }
}

pub(super) async fn list(call: Call) -> Result<Answer, ApiError> {
    let query = call.query();
    let asked = query.page(&ORDERS);
    let filter = Filter { name: query.text("name"), active: query.boolean("active") };
    query.finish()?;
    let (accounts, count) = accounts::list(&call.store, &filter, &asked.page).await?;
    let accounts = accounts.into_iter().map(|listed| AccountBody::new(&call, listed)).collect();
    Ok(Answer::ok(&AccountPage { count, page: asked.page.number, size: asked.page.size, sort: asked.sort, accounts }))
}

pub(super) async fn show(call: Call) -> Result<Answer, ApiError> {
    let listed = accounts::show(&call.store, call.id(ACCOUNT, "account_id")?).await?;
    let revision = call.revision(listed.account.revision);
    Ok(Answer::ok(&Wrapped { account: AccountBody::new(&call, listed) }).tagged(revision))
}

pub(super) async fn create(call: Call) -> Result<Answer, ApiError> {
    let (accepted, founded) = accounts::create(&call.store, &call.caller, call.decode(Create::decode)?, call.now).await?.split();
    let Founded { listed, administrator, key } = founded;
    let revision = call.revision(listed.account.revision);
    let body = FoundedBody {
        account: AccountBody::new(&call, listed),
        root_user: UserBody { id: key.root.to_string(), user_name: ROOT },
        administrator: UserBody { id: key.administrator.to_string(), user_name: &administrator },
        access_key: KeyBody {
            access_key: key.access_key.to_string(),
            secret_key: std::str::from_utf8(key.secret.expose()).unwrap_or_default(),
        },
    };
    Ok(Answer::created(&body).tagged(revision).committed(&accepted))
}

pub(super) async fn set(call: Call) -> Result<Answer, ApiError> {
    let (id, new) = (call.id(ACCOUNT, "account_id")?, call.decode(Set::decode)?);
    let (accepted, listed) = accounts::set(&call.store, &call.caller, id, new, &call.precondition(), call.now).await?.split();
    let revision = call.revision(listed.account.revision);
    Ok(Answer::ok(&Wrapped { account: AccountBody::new(&call, listed) }).tagged(revision).committed(&accepted))
}
