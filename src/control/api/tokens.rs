//! Tokens: `{"token", "expires_at"}`, once.

use serde::Serialize;

use super::call::{Answer, Call};
use super::error::ApiError;
use crate::control::service::tokens::{self, Create};

/// The only answer that holds a token.
#[derive(Serialize)]
struct IssuedBody<'a> {
    token: &'a str,
    expires_at: String,
}

/// `POST /portcullis/v1/tokens`
pub(super) async fn create(call: Call) -> Result<Answer, ApiError> {
    let new = call.decode(Create::decode)?;
    let (accepted, issued) = tokens::create(&call.store, &call.caller, new, call.now).await?.split();
    let token = std::str::from_utf8(issued.token.expose()).unwrap_or_default();
    Ok(Answer::created(&IssuedBody { token, expires_at: issued.expires_at.to_string() }).committed(&accepted))
}
