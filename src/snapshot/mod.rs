//! The immutable view a decision needs: who exists, which keys they hold, what their policies say, and which
//! action a method and path is.
//!
//! A snapshot is built whole from records ([`wire`]), checked whole, and swapped whole; readers never see half
//! of a change. It never reads a file or a socket: whoever loads records hands them over.

pub mod accessor;
pub mod build;
pub mod definition;
pub mod routes;
pub mod view;
pub mod wire;

pub use accessor::{Expression, Inputs};
pub use build::Builder;
pub use definition::{Authentication, Decide, Operation, ResourceTemplate, ServiceDefinition};
pub use routes::Routes;
pub use view::{AccessKey, Allowlist, Snapshot, User};
