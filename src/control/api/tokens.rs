//! Tokens: `{"token", "jti", "expires_at"}`, once; and their end.

use serde::Serialize;

use super::call::{Answer, Call, Visit};
use super::error::ApiError;
use crate::control::service::tokens::{self, Create, Issued};
use crate::control::service::{Accepted, login};

/// The only answer that holds a token.
#[derive(Serialize)]
struct IssuedBody<'a> {
    token: &'a str,
    jti: String,
    expires_at: String,
}

/// `DELETE /portcullis/v1/users/{user_id}/tokens`
pub(super) async fn end_all(call: Call) -> Result<Answer, ApiError> {
    let accepted = tokens::end_all(&call.store, &call.caller, call.id("user", "user_id")?, call.now).await?;
    Ok(Answer::no_content().committed(&accepted))
}

/// `DELETE /portcullis/v1/users/{user_id}/tokens/{jti}`
pub(super) async fn end_one(call: Call) -> Result<Answer, ApiError> {
    let token = (call.id("user", "user_id")?, call.id("token", "jti")?);
    let accepted = tokens::end_one(&call.store, &call.caller, token, call.now).await?;
    Ok(Answer::no_content().committed(&accepted))
}

/// `POST /portcullis/v1/tokens`
pub(super) async fn create(call: Call) -> Result<Answer, ApiError> {
    let new = call.decode(Create::decode)?;
    Ok(issued(tokens::create(&call.store, &call.caller, new, call.now).await?))
}

/// `POST /portcullis/v1/console-tokens`
pub(super) async fn log_in(visit: Visit) -> Result<Answer, ApiError> {
    let asked = visit.decode(login::Create::decode)?;
    Ok(issued(login::create(&visit.store, &visit.throttle, &visit.visitor, asked, visit.now).await?))
}

fn issued(accepted: Accepted<Issued>) -> Answer {
    let (accepted, issued) = accepted.split();
    let token = std::str::from_utf8(issued.token.expose()).unwrap_or_default();
    Answer::created(&IssuedBody { token, jti: issued.id.to_string(), expires_at: issued.expires_at.to_string() }).committed(&accepted)
}
