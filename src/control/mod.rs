//! The administration point: accounts, users, policies and keys, kept in a store, changed through an API, fed to gateways.
//!
//! It never sees a client's request to a backend; what gateways decide by, they get from the feed.

pub mod api;
pub mod feed;
