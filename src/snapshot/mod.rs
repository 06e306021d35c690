//! The immutable view a decision needs: who exists, which keys they hold, what their policies say, and which
//! action a method and path is.
//!
//! A snapshot is built whole from the records ([`wire`]) of files, or follows those of a feed change by change ([`Roster`]); either
//! way it is swapped whole, and readers never see half of a change. It never reads a file or a socket: whoever loads records hands
//! them over.

pub mod accessor;
pub mod attribute;
pub mod build;
pub mod definition;
pub mod routes;
pub mod view;
pub mod wire;

mod attached;
mod buckets;
mod role;
mod roster;
mod shards;
mod world;

pub use accessor::{Expression, Inputs};
pub use attached::NoSuchResource;
pub use build::Builder;
pub use definition::{Authentication, Decide, Operation, ResourceTemplate, ServiceDefinition};
pub use role::{Caller, Role, RoleHoldings};
pub use roster::{Roster, Unreadable};
pub use routes::Routes;
pub use view::{AccessKey, Allowlist, Definitions, Group, Holdings, Link, Policies, Snapshot, TokenKey, Unusable, User};
pub use world::Sources;
