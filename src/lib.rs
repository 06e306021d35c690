//! x
pub mod authn;
pub mod source;
pub mod types;
