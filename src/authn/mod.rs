//! Verifiers of credentials: one file per scheme, none knows another; but the session of a role is a token of ours.
//!
//! A verifier gets the bytes as they were sent and answers whether they belong together. It never looks up
//! a key, never asks the time, and never says why a MAC did not fit.

pub mod assertion;
pub mod oidc;
pub mod scp;
pub mod session;
pub mod sigv4;
pub mod token;
