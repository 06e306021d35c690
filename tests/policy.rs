//! The policy language against its conformance cases (tests/policy/cases.json), its laws, and the texts of its errors.

#[cfg(test)]
#[path = "policy/basic.rs"]
mod basic;
#[cfg(test)]
#[path = "policy/conformance.rs"]
mod conformance;
#[cfg(test)]
#[path = "policy/documents.rs"]
mod documents;
#[cfg(test)]
#[path = "policy/errors.rs"]
mod errors;
#[cfg(test)]
#[path = "policy/fmt.rs"]
mod fmt;
#[cfg(test)]
#[path = "policy/world.rs"]
mod world;
