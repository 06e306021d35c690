//! The policy language against its conformance cases (tests/policy/cases.json), its laws, a second evaluator, and the texts of its errors.

#[cfg(test)]
#[path = "policy/agreement.rs"]
mod agreement;
#[cfg(test)]
#[path = "policy/allocations.rs"]
mod allocations;
#[cfg(test)]
#[path = "policy/basic.rs"]
mod basic;
#[cfg(test)]
#[path = "policy/broken.rs"]
mod broken;
#[cfg(test)]
#[path = "policy/commands.rs"]
mod commands;
#[cfg(test)]
#[path = "policy/conformance.rs"]
mod conformance;
#[cfg(test)]
#[path = "policy/diff.rs"]
mod diff;
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
#[path = "policy/generate.rs"]
mod generate;
#[cfg(test)]
#[path = "policy/hostile.rs"]
mod hostile;
#[cfg(test)]
#[path = "policy/laws.rs"]
mod laws;
#[cfg(test)]
#[path = "policy/oracle.rs"]
mod oracle;
#[cfg(test)]
#[path = "policy/traps.rs"]
mod traps;
#[cfg(test)]
#[path = "policy/world.rs"]
mod world;
