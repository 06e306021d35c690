//! The decision point: policy documents (seed 003, section 7; `R01`...`R55`) to compiled statements, and requests to verdicts.
//!
//! [`Catalogue`] is the closed world of services, resource types, attributes and actions; [`Policy::load`] and
//! [`ResourcePolicy::load`] compile one document against it and report every error of the document with its place; [`evaluate()`]
//! decides without allocating; [`needs()`] says what must be fetched before it can; [`explain()`] says, statement by statement,
//! what applied and what failed first; [`covers()`] compares policies with each other; [`diff()`] says how one set of them stands to another; [`lint()`] finds what a sound document does not
//! mean as it reads. Without a catalogue, [`parse()`] checks a document, [`print()`] writes it in canonical form, and [`basic`] shows it
//! as the console's form.
//!
//! It never does I/O, reads a clock, draws randomness or logs; it knows nothing of HTTP, stores or credentials. A policy half
//! understood is never used.

pub mod basic;
pub mod cases;
mod catalogue;
mod cover;
mod diff;
mod document;
mod evaluate;
mod explain;
mod lint;
mod print;
mod request;

mod accessor;
mod action;
mod attached;
mod condition;
mod glob;
mod inclusion;
mod index;
mod index_set;
mod judge;
mod loss;
mod principal;
mod reader;
mod repair;
mod resource;
#[cfg(test)]
mod sample;
mod set;

pub use accessor::{Accessor, Part, Step};
pub use attached::{Attachment, ResourcePolicy};
pub use catalogue::{
    Action, ActionId, Attribute, AttributeId, CATALOGUE_ENTRIES_MAX, Catalogue, CatalogueBuilder, CatalogueError, ResourceType,
    ResourceTypeId, ValueType,
};
pub use cover::{Holder, Uncovered, Why, covers, loses_deny, widens_within};
pub use diff::{Caller, Comparison, Difference, Reason as UnknownReason, Relation, Unknown, Witness, diff};
pub use document::{DOCUMENT_BYTES_MAX, Effect, LANGUAGE_VERSION, NESTING_MAX, Owner, Policy, STATEMENTS_MAX, parse};
pub use evaluate::{Deciding, Needs, Place, Policies, Verdict, evaluate, evaluate_literally, needs};
pub use explain::{Failed, Finding, Outcome, Seen, explain, nearest_miss};
pub use inclusion::Work;
pub use lint::{Lint, Standing, Trap, lint};
pub use loss::{Loss, Lost, lost};
pub use principal::TRUSTED_MAX;
pub use print::print;
pub use reader::LIST_ENTRIES_MAX;
pub use request::{
    Attributes, Context, Kind, Known, NoAttributes, Principal, Request, RequestAttributes, Resource, Scalar, Stored, Tags, Values,
};
pub use set::PolicySet;
