//! The decision point: policy documents (seed 003, section 7; `R01`...`R55`) to compiled statements, and requests to verdicts.
//!
//! [`Catalogue`] is the closed world of services, resource types and actions; [`Policy::load`] compiles one document
//! against it and reports every error of the document with its place; [`evaluate()`] decides without allocating;
//! [`explain()`] says, statement by statement, what applied and what failed first; [`covers()`] compares policies with each other.
//!
//! It never does I/O, reads a clock, draws randomness or logs; it knows nothing of HTTP, stores or credentials. What it
//! does not know yet (`Principal`, tags, attributes, session policies) it refuses at load: a policy half understood
//! is never used.

mod catalogue;
mod cover;
mod document;
mod evaluate;
mod explain;

mod action;
mod condition;
mod entry;
mod glob;
mod inclusion;
mod index_set;
mod key;
mod loss;
mod operator;
mod reader;
mod repair;
mod resource;
#[cfg(test)]
mod sample;
mod value;

pub use catalogue::{Action, ActionId, CATALOGUE_ENTRIES_MAX, Catalogue, CatalogueBuilder, CatalogueError, ResourceType, ResourceTypeId};
pub use cover::{Holder, Uncovered, Why, covers, loses_deny, widens_within};
pub use document::{DOCUMENT_BYTES_MAX, Effect, LANGUAGE_VERSION, NESTING_MAX, Owner, Policy, STATEMENTS_MAX};
pub use evaluate::{Context, Deciding, Request, Resource, Verdict, evaluate};
pub use explain::{Finding, Outcome, explain};
pub use inclusion::Work;
pub use loss::{Loss, Lost, lost};
pub use reader::LIST_ENTRIES_MAX;
