//! Taking a role (wire-formats 2.3): `POST /v1/assume-role`.

use serde::Serialize;

use super::call::{Answer, Call};
use super::error::ApiError;
use crate::control::service::documents::Reader;
use crate::control::service::sessions::{self, Create, Issued};
use crate::types::Secret;

#[derive(Serialize)]
struct Body<'a> {
    assumed_role_user: User<'a>,
    credentials: Credentials<'a>,
}

#[derive(Serialize)]
struct User<'a> {
    /// `ROLE_ID:SESSION_NAME`.
    assumed_role_id: String,
    /// The role's: policies name its sessions so.
    srn: &'a str,
}

/// The only answer that holds a session's secret and token.
#[derive(Serialize)]
struct Credentials<'a> {
    access_key_id: String,
    secret_access_key: &'a str,
    session_token: &'a str,
    expiration: String,
}

pub(super) async fn assume_role(call: Call) -> Result<Answer, ApiError> {
    let documents = Reader::new(&call.store, &call.caller, &call.body);
    let new = call.decode(|cursor| Create::decode(cursor, &documents))?;
    let (accepted, issued) = sessions::create(&call.store, &call.caller, new, call.now).await?.split();
    let Issued { role, srn, name, access_key, secret, token, expires_at } = issued;
    let body = Body {
        assumed_role_user: User { assumed_role_id: format!("{role}:{name}"), srn: &srn },
        credentials: Credentials {
            access_key_id: access_key.to_string(),
            secret_access_key: text(&secret),
            session_token: text(&token),
            expiration: expires_at.to_string(),
        },
    };
    Ok(Answer::ok(&body).committed(&accepted))
}

fn text(secret: &Secret) -> &str {
    std::str::from_utf8(secret.expose()).unwrap_or_default()
}
