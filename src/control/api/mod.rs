//! The API: HTTP/1.1 in, use cases behind, the vendor's JSON shapes out.
//!
//! A request goes one way: `server` reads it within limits, `identity` refuses what no gateway vouches for, `router`
//! finds the route in the one table, the resource's file reads the body and prints the answer. Only here are status codes.

mod access_keys;
mod accounts;
mod audit;
mod bindings;
mod body;
mod call;
mod catalogue;
mod definitions;
mod endpoints;
mod error;
pub(in crate::control) mod feed;
mod groups;
mod identity;
mod policies;
mod query;
mod roles;
mod router;
mod server;
mod sessions;
mod settings;
mod tokens;
mod users;

use std::sync::Arc;

use super::delivery::Delivery;
use super::service::definitions::publish;
pub use super::service::escalation::Escalation;
use super::service::places::Places;
use super::service::settings::publish_console;
use super::service::throttle::Throttle;
use super::service::tokens::prepare;
use super::store::{Store, StoreError};
use crate::config::Endpoint;
use crate::snapshot::routes::TemplateError;
use crate::types::{SigningKey, Timestamp};
use router::Router;
pub use server::serve;

/// Most logins whose bodies are waited for, or that are looked at.
const LOGIN_BODIES_MAX: usize = 64;
/// How many of them may come from one address.
const LOGIN_BODIES_OF_ADDRESS_MAX: usize = 8;

/// The API of one store.
pub struct Api {
    store: Store,
    identity_keys: Vec<SigningKey>,
    router: Router,
    means: Arc<Means>,
    throttle: Arc<Throttle>,
    /// For bodies of logins that are on their way.
    login_bodies: Arc<Places>,
    escalation: Escalation,
    clock: fn() -> Timestamp,
}

/// What handlers work with beside the store.
#[derive(Debug)]
pub struct Means {
    /// The answer to `GET /v1/endpoints`.
    pub endpoints: Vec<Endpoint>,
    /// How passcodes reach people.
    pub delivery: Delivery,
    /// Whether the allowlists of keys take single addresses only, as the rules of the region want it.
    pub single_addresses: bool,
}

/// What the API of a store needs to know.
pub struct Options {
    /// The keys that gateways sign with: one for each; more while keys are changed.
    pub identity_keys: Vec<SigningKey>,
    /// What handlers work with.
    pub means: Means,
    /// What happens to a write that gives more than the caller has.
    pub escalation: Escalation,
    /// Where the time comes from.
    pub clock: fn() -> Timestamp,
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
    /// The API of a store. Puts its own action definitions into the store, and the key that signs tokens.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn new(store: Store, options: Options) -> Result<Arc<Self>, StartError> {
        let Options { identity_keys, means, escalation, clock } = options;
        let router = Router::new()?;
        let login_bodies = Places::new(LOGIN_BODIES_MAX, LOGIN_BODIES_OF_ADDRESS_MAX);
        publish(&store, &definitions::print_all(), clock()).await?;
        prepare(&store, clock()).await?;
        publish_console(&store, clock()).await?;
        Ok(Arc::new(Self {
            store,
            identity_keys,
            router,
            means: Arc::new(means),
            throttle: Arc::default(),
            login_bodies,
            escalation,
            clock,
        }))
    }
}
