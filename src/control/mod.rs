//! The administration point: accounts, users, groups, policies and keys, their API, and the changes for the gateways.
//!
//! `store` keeps everything in one database, `service` holds the rules, `api` speaks HTTP. It never decides about other
//! services' requests, and answers nobody whom a gateway has not vouched for.

pub(crate) mod random;
pub(crate) mod service;
pub mod store;

pub use store::{Store, StoreError};
