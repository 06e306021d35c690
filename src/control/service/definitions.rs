//! Action definitions: those that come with this program, and those that the operator's people put.

use serde_json::{Value as Json, json};

use super::bootstrap::SYSTEM;
use super::catalogue::{Effects, Trial};
use super::{Accepted, Caller, Precondition, ServiceError, accept, fields, portcullis_srn};
use crate::control::store::authorship::Stamp;
use crate::control::store::definitions::{self, Definition};
use crate::control::store::select::Page;
use crate::control::store::{Store, StoreError, Write};
use crate::snapshot::wire::{Record, RecordKey};
use crate::source::Cursor;
use crate::types::Timestamp;

/// Most services with definitions.
const DEFINITIONS_MAX: usize = 1_000;
/// Longest name of a service.
const SERVICE_BYTES_MAX: usize = 64;

const WHAT: &str = "definition";

/// Puts the definitions of the program's own services into the store where they differ from what stands there.
pub(crate) async fn publish(store: &Store, printed: &[(&str, String)], now: Timestamp) -> Result<(), StoreError> {
    let mut write = store.write().await?;
    let sequence = write.sequence();
    let mut changed = false;
    for (service, document) in printed {
        if definitions::document(&mut write, service).await?.as_ref() != Some(document) {
            changed = true;
            definitions::put(&mut write, service, document, true, sequence, Stamp { at: now, by: SYSTEM }).await?;
            write.put(Record::Definition { service: (*service).to_owned(), document: document.clone() });
        }
    }
    if changed {
        write.commit(now).await?;
    }
    Ok(())
}

/// A definition as it is put.
#[derive(Debug)]
pub(crate) struct Put {
    document: String,
    accept_widening: bool,
}

impl Put {
    /// Reads a body.
    pub(crate) fn decode(cursor: &Cursor<'_>) -> Option<Self> {
        let table = cursor.table()?;
        let hint = "write the definition as YAML, in one text";
        let document = table.required("document", hint, |value| fields::text(&value, hint));
        let accept_widening = table.or("accept_widening", false, |value| value.boolean());
        table.finish()?;
        Some(Self { document: document?, accept_widening: accept_widening? })
    }
}

/// What became of a definition that was put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is new.
    Created,
    /// It has replaced another.
    Changed,
    /// It was there, in the same words.
    Unchanged,
}

/// A definition with its text.
#[derive(Debug)]
pub(crate) struct Details {
    /// The definition.
    pub(crate) definition: Definition,
    /// Its YAML.
    pub(crate) document: String,
}

/// A definition that was put.
#[derive(Debug)]
pub(crate) struct Stored {
    /// The definition.
    pub(crate) details: Details,
    /// What became of it.
    pub(crate) outcome: Outcome,
    /// What that does.
    pub(crate) effects: Effects,
}

/// A page of the definitions, those whose service contains `name`; and how many there are.
pub(crate) async fn list(store: &Store, name: Option<&str>, page: &Page) -> Result<(Vec<Definition>, u64), ServiceError> {
    let mut read = store.read().await?;
    Ok(definitions::list(&mut read, name, page).await?)
}

/// The definition of a service.
pub(crate) async fn show(store: &Store, service: &str) -> Result<Details, ServiceError> {
    let mut read = store.read().await?;
    let definition = definitions::find(&mut read, service).await?.ok_or_else(|| not_found(service))?;
    let document = definitions::document(&mut read, service).await?.ok_or_else(|| not_found(service))?;
    Ok(Details { definition, document })
}

/// Adds or replaces the definition of a service.
pub(crate) async fn put(
    store: &Store,
    caller: &Caller,
    service: &str,
    put: Put,
    precondition: &Precondition,
    now: Timestamp,
) -> Result<Accepted<Stored>, ServiceError> {
    if service.len() > SERVICE_BYTES_MAX {
        return Err(ServiceError::Invalid(vec![format!("the name of the service is too long; write at most {SERVICE_BYTES_MAX} bytes")]));
    }
    let mut write = store.write().await?;
    let before = definitions::find(&mut write, service).await?;
    changeable(store, before.as_ref(), precondition)?;
    let mut documents = definitions::documents(&mut write).await?;
    let old = documents.iter().position(|(known, _)| known == service).map(|at| documents.swap_remove(at).1);
    if let (Some(definition), Some(_)) = (before, old.as_ref().filter(|old| **old == put.document)) {
        let revision = store.revision(definition.revision);
        let details = Details { definition, document: put.document };
        let stored = Stored { details, outcome: Outcome::Unchanged, effects: Effects::default() };
        return Ok(Accepted { value: stored, revision });
    }
    if documents.len() >= DEFINITIONS_MAX {
        return Err(ServiceError::AllTaken { what: "definitions", most: DEFINITIONS_MAX as u64 });
    }
    documents.push((service.to_owned(), put.document.clone()));
    let effects = tried(&mut write, service, documents, put.accept_widening).await?;
    let sequence = write.sequence();
    definitions::put(&mut write, service, &put.document, false, sequence, caller.stamp(now)).await?;
    write.put(Record::Definition { service: service.to_owned(), document: put.document.clone() });
    let outcome = if old.is_some() { Outcome::Changed } else { Outcome::Created };
    audit(&mut write, caller, service, (old, Some(&put.document)), &effects);
    let definition = definitions::find(&mut write, service).await?.ok_or_else(|| not_found(service))?;
    let stored = Stored { details: Details { definition, document: put.document }, outcome, effects };
    accept(write, caller, stored, now).await
}

/// Removes the definition of a service: gateways then refuse all its requests.
pub(crate) async fn delete(
    store: &Store,
    caller: &Caller,
    service: &str,
    accept_widening: bool,
    precondition: &Precondition,
    now: Timestamp,
) -> Result<Accepted<()>, ServiceError> {
    let mut write = store.write().await?;
    let before = definitions::find(&mut write, service).await?.ok_or_else(|| not_found(service))?;
    changeable(store, Some(&before), precondition)?;
    let mut documents = definitions::documents(&mut write).await?;
    let old = documents.iter().position(|(known, _)| known == service).map(|at| documents.swap_remove(at).1);
    let effects = tried(&mut write, service, documents, accept_widening).await?;
    definitions::delete(&mut write, service).await?;
    write.delete(RecordKey::Definition(service.to_owned()));
    audit(&mut write, caller, service, (old, None), &effects);
    accept(write, caller, (), now).await
}

fn changeable(store: &Store, before: Option<&Definition>, precondition: &Precondition) -> Result<(), ServiceError> {
    match before {
        Some(before) if before.built_in => {
            Err(ServiceError::Fixed(format!("the definition of `{}` comes with the program and cannot be changed", before.service)))
        }
        Some(before) => precondition.check(store.revision(before.revision)),
        None if matches!(precondition, Precondition::None) => Ok(()),
        None => Err(ServiceError::Changed),
    }
}

/// Tries a change out: all definitions after it, against all policies.
async fn tried(write: &mut Write, service: &str, documents: Vec<(String, String)>, accept_widening: bool) -> Result<Effects, ServiceError> {
    let policies = definitions::policy_records(write).await?;
    let store = write.store();
    let (offering, before) = (store.offering().clone(), store.snapshot());
    let trial = Trial { offering, before, service: service.to_owned(), documents, policies };
    // It takes time where there are many policies.
    let tried = tokio::task::spawn_blocking(move || trial.run()).await.map_err(|_| StoreError::CutOff)?;
    let effects = tried.map_err(ServiceError::Invalid)?;
    if effects.widenings.is_empty() || accept_widening { Ok(effects) } else { Err(ServiceError::Widening(effects.widenings)) }
}

fn audit(write: &mut Write, caller: &Caller, service: &str, (old, new): (Option<String>, Option<&String>), effects: &Effects) {
    let before = old.map(|document| json!({ "document": document }));
    let mut after = new.map(|document| json!({ "document": document }));
    if !effects.widenings.is_empty() {
        // Also of one that is gone: what was accepted must stand somewhere.
        let after = after.get_or_insert_with(|| json!({ "document": null }));
        if let Json::Object(members) = after {
            members.insert("accepted_widening".to_owned(), json!(effects.widenings));
        }
    }
    let resource = portcullis_srn(write.store(), caller.account, WHAT, service);
    write.audit(caller.entry(resource, before, after));
}

fn not_found(service: &str) -> ServiceError {
    ServiceError::NotFound(WHAT, service.chars().take(SERVICE_BYTES_MAX).collect())
}
