//! The administration point: accounts, users, groups, policies and keys, their API, and the changes for the gateways.
//!
//! `store` keeps everything in one database, `service` holds the rules, `api` speaks HTTP, `feed` tells the gateways. It never decides about other
//! services' requests, and answers nobody whom a gateway has not vouched for.

pub mod api;
pub mod delivery;
pub mod feed;
pub(crate) mod random;
pub(crate) mod service;
pub mod store;

use crate::types::{AccessKeyId, Secret, Timestamp};
pub use service::bootstrap::{FirstKey, Names};
pub use service::recover::{RecoverError, Recovered, Recovery};
pub use store::{Store, StoreError};

/// Makes the first people of an empty store: the operator's account with its root user, and an administrator, whose key is the
/// answer. `None` when there is an operator's account already.
///
/// # Errors
/// When the store fails; nothing was written then.
pub async fn bootstrap(store: &Store, names: Names<'_>, now: Timestamp) -> Result<Option<FirstKey>, StoreError> {
    service::bootstrap::bootstrap(store, names, now).await
}

/// Makes another account with its root user, and an administrator, whose key is the answer.
///
/// # Errors
/// When the store fails; nothing was written then.
pub async fn found_account(store: &Store, names: Names<'_>, now: Timestamp) -> Result<FirstKey, StoreError> {
    service::bootstrap::found_account(store, names, now).await
}

/// Issues a token for an access key to whoever has the store itself; `None` when the key is not in use.
///
/// # Errors
/// When the store fails; no token was issued then.
pub async fn issue_token(store: &Store, access_key: AccessKeyId, now: Timestamp) -> Result<Option<Secret>, StoreError> {
    service::tokens::issue(store, access_key, now).await
}

/// Lets somebody in who is locked out: active, as their account is, from everywhere, and with a new key if that is asked for.
///
/// # Errors
/// When there is no such user or key, or no room for another key, or the store fails; nothing was written then.
pub async fn recover(store: &Store, recovery: Recovery, now: Timestamp) -> Result<Recovered, RecoverError> {
    service::recover::recover(store, recovery, now).await
}
