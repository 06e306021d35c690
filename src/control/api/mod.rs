//! The API: HTTP/1.1 in, use cases behind, the vendor's JSON shapes out.
//!
//! A request goes one way: [`server`] reads it within limits, [`identity`] refuses what no gateway vouches for, [`router`]
//! finds the route in the one table, the resource's file reads the body and prints the answer. Only here are status codes.

mod accounts;
mod body;
mod call;
mod definitions;
mod endpoints;
mod error;
pub(in crate::control) mod feed;
mod groups;
mod identity;
mod query;
mod router;
mod server;

use std::sync::Arc;

use super::service::definitions::publish;
use super::store::{Store, StoreError};
use crate::config::Endpoint;
use crate::snapshot::routes::TemplateError;
use crate::types::{SigningKey, Timestamp};
use router::Router;
pub use server::serve;

/// The API of one store.
pub struct Api {
    store: Store,
    /// One for each gateway; more while keys are changed.
    identity_keys: Vec<SigningKey>,
    router: Router,
    /// The answer to `GET /v1/endpoints`.
    endpoints: Arc<[Endpoint]>,
    clock: fn() -> Timestamp,
}

/// Why the API cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The table of routes is wrong.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Api {
    /// The API of a store, for the gateways that sign with one of these keys; `endpoints` is what it tells of other services.
    /// Puts its own action definitions into the store.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn new(
        store: Store,
        identity_keys: Vec<SigningKey>,
        endpoints: Vec<Endpoint>,
        clock: fn() -> Timestamp,
    ) -> Result<Arc<Self>, StartError> {
        let router = Router::new()?;
        publish(&store, &definitions::print_all(), clock()).await?;
        Ok(Arc::new(Self { store, identity_keys, router, endpoints: endpoints.into(), clock }))
    }
}
