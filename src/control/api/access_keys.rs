//! Access keys (wire-formats 2.1): the caller's own under `/v1`, other users' under `/portcullis/v1`; wrapped as `access_key`.

use serde::Serialize;

use super::call::{Answer, Call};
use super::error::ApiError;
use super::query::encoded;
use crate::control::service::access_keys::{self, Create, Created, LIMIT_HINT, Part, SORT_HINT, Window, decode_bulk, decode_set};
use crate::control::service::key_debug::{self, Minutes};
use crate::control::service::passcodes::{self, Send};
use crate::control::store::access_keys::AccessKey;
use crate::types::{AccessKeyId, Timestamp, UserId};

/// When a key ends that never ends (wire-formats 2.1).
pub(super) const NEVER: &str = "9999-12-31T23:59:59Z";

#[derive(Serialize)]
struct List {
    access_keys: Vec<Body>,
    count: Option<usize>,
    links: Vec<Link>,
}

#[derive(Serialize)]
struct Link {
    href: String,
    rel: &'static str,
}

#[derive(Serialize)]
struct Wrapped {
    access_key: Body,
}

/// Exactly the documented members: public clients refuse others.
#[derive(Serialize)]
struct Body {
    access_key: String,
    access_key_type: String,
    account_id: String,
    created_at: String,
    created_by: String,
    description: Option<String>,
    expiration_timestamp: String,
    id: String,
    is_enabled: bool,
    modified_at: String,
    modified_by: String,
    parent_access_key_id: Option<String>,
    /// Empty, except in the answer that makes the key.
    secret_key: String,
}

/// What is said of a key's debug mode.
#[derive(Serialize)]
struct Debug {
    access_key_id: String,
    debug_until: Option<String>,
}

/// A time as the API writes it.
pub(super) fn moment(time: Timestamp) -> String {
    time.to_string()
}

impl Body {
    fn new(key: AccessKey) -> Self {
        Self {
            access_key: key.id.to_string(),
            access_key_type: key.kind,
            account_id: key.account.to_string(),
            created_at: key.created_at.to_string(),
            created_by: key.created_by,
            description: key.description,
            expiration_timestamp: key.expires_at.map_or_else(|| NEVER.to_owned(), moment),
            id: key.id.to_string(),
            is_enabled: key.enabled,
            modified_at: key.modified_at.to_string(),
            modified_by: key.modified_by,
            parent_access_key_id: key.parent.map(|id| id.to_string()),
            secret_key: String::new(),
        }
    }
}

impl List {
    /// A part of a list at `path`, with where to find the first part, this one and the next.
    fn new(path: &str, window: &Window, part: Part) -> Self {
        let link = |rel, marker: Option<AccessKeyId>| {
            let mut href =
                format!("{path}?limit={}&sort={}&with_count={}", window.limit.0, encoded(&window.sort.to_string()), window.with_count);
            let ids =
                [("account_id", window.account.map(|id| id.to_string())), ("parent_access_key_id", window.parent.map(|id| id.to_string()))];
            let texts = [("access_key_type", window.kind.clone()), ("marker", marker.map(|id| id.to_string()))];
            for (name, value) in ids.into_iter().chain(texts) {
                if let Some(value) = value {
                    href.push_str(&format!("&{name}={}", encoded(&value)));
                }
            }
            Link { href, rel }
        };
        let mut links = vec![link("first", None), link("self", window.marker)];
        if let (true, Some(last)) = (part.more, part.keys.last()) {
            links.push(link("next", Some(last.id)));
        }
        let count = window.with_count.then_some(part.count);
        Self { access_keys: part.keys.into_iter().map(Body::new).collect(), count, links }
    }
}

const OWN: &str = "/v1/access-keys";

fn owner(call: &Call) -> Result<UserId, ApiError> {
    call.id("user", "user_id")
}

fn key(call: &Call) -> Result<AccessKeyId, ApiError> {
    call.id("access key", "access_key_id")
}

async fn answer_list(call: &Call, user: UserId, path: &str) -> Result<Answer, ApiError> {
    let query = call.query();
    let id = "write an id: 32 lower-case hexadecimal digits";
    let window = Window {
        limit: query.parsed("limit", LIMIT_HINT).unwrap_or_default(),
        marker: query.parsed("marker", id),
        sort: query.parsed("sort", SORT_HINT).unwrap_or_default(),
        with_count: query.boolean("with_count").unwrap_or(false),
        kind: query.text("access_key_type"),
        parent: query.parsed("parent_access_key_id", id),
        account: query.parsed("account_id", id),
    };
    query.finish()?;
    let part = access_keys::list(&call.store, &call.caller, user, &window).await?;
    Ok(Answer::ok(&List::new(path, &window, part)))
}

async fn answer_create(call: &Call, user: UserId) -> Result<Answer, ApiError> {
    let new = call.decode(Create::decode)?;
    let (accepted, Created { key, secret }) = access_keys::create(&call.store, &call.caller, user, new, call.now).await?.split();
    let revision = call.revision(key.revision);
    let secret_key = String::from_utf8_lossy(secret.expose()).into_owned();
    let body = Wrapped { access_key: Body { secret_key, ..Body::new(key) } };
    Ok(Answer::created(&body).tagged(revision).committed(&accepted))
}

async fn answer_set(call: &Call, user: UserId) -> Result<Answer, ApiError> {
    let (id, enabled) = (key(call)?, call.decode(decode_set)?);
    let accepted = access_keys::set(&call.store, &call.caller, (user, id), enabled, &call.precondition(), call.now).await?;
    let (accepted, key) = accepted.split();
    let revision = call.revision(key.revision);
    Ok(Answer::ok(&Wrapped { access_key: Body::new(key) }).tagged(revision).committed(&accepted))
}

async fn answer_delete(call: &Call, user: UserId) -> Result<Answer, ApiError> {
    let accepted = access_keys::delete(&call.store, &call.caller, (user, key(call)?), &call.precondition(), call.now).await?;
    Ok(Answer::no_content().committed(&accepted))
}

async fn answer_debug(call: &Call, user: UserId) -> Result<Answer, ApiError> {
    let (id, minutes) = (key(call)?, call.decode(Minutes::decode)?);
    let accepted = key_debug::set(&call.store, &call.caller, (user, id), minutes, &call.precondition(), call.now).await?;
    let (accepted, key) = accepted.split();
    let revision = call.revision(key.revision);
    let body = Debug { access_key_id: key.id.to_string(), debug_until: key.debug_until.map(moment) };
    Ok(Answer::ok(&body).tagged(revision).committed(&accepted))
}

pub(super) async fn list(call: Call) -> Result<Answer, ApiError> {
    answer_list(&call, call.caller.user()?, OWN).await
}

pub(super) async fn create(call: Call) -> Result<Answer, ApiError> {
    answer_create(&call, call.caller.user()?).await
}

/// `POST /v1/access-keys/send-otp`
pub(super) async fn send_otp(call: Call) -> Result<Answer, ApiError> {
    let asked = call.decode(Send::decode)?;
    let accepted = passcodes::send(&call.store, &call.caller, &call.means.delivery, asked, call.now).await?;
    Ok(Answer::no_content().committed(&accepted))
}

pub(super) async fn show(call: Call) -> Result<Answer, ApiError> {
    let key = access_keys::show(&call.store, &call.caller, call.caller.user()?, key(&call)?).await?;
    let revision = call.revision(key.revision);
    Ok(Answer::ok(&Wrapped { access_key: Body::new(key) }).tagged(revision))
}

pub(super) async fn set(call: Call) -> Result<Answer, ApiError> {
    answer_set(&call, call.caller.user()?).await
}

pub(super) async fn delete(call: Call) -> Result<Answer, ApiError> {
    answer_delete(&call, call.caller.user()?).await
}

pub(super) async fn delete_bulk(call: Call) -> Result<Answer, ApiError> {
    let (ids, window) = call.decode(decode_bulk)?;
    let (accepted, left) = access_keys::delete_bulk(&call.store, &call.caller, &ids, &window, call.now).await?.split();
    Ok(Answer::ok(&List::new(OWN, &window, left)).committed(&accepted))
}

pub(super) async fn debug(call: Call) -> Result<Answer, ApiError> {
    answer_debug(&call, call.caller.user()?).await
}

pub(super) async fn debug_of(call: Call) -> Result<Answer, ApiError> {
    answer_debug(&call, owner(&call)?).await
}

pub(super) async fn list_of(call: Call) -> Result<Answer, ApiError> {
    let user = owner(&call)?;
    answer_list(&call, user, &format!("/portcullis/v1/users/{user}/access-keys")).await
}

pub(super) async fn create_of(call: Call) -> Result<Answer, ApiError> {
    answer_create(&call, owner(&call)?).await
}

pub(super) async fn set_of(call: Call) -> Result<Answer, ApiError> {
    answer_set(&call, owner(&call)?).await
}

pub(super) async fn delete_of(call: Call) -> Result<Answer, ApiError> {
    answer_delete(&call, owner(&call)?).await
}
