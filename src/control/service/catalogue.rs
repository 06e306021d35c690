//! A change of the definitions, tried out: everything that gateways would do with it, and what it would take from policies.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::policy::{Catalogue, Lost, Owner, Policy, lost};
use crate::snapshot::wire::{self, ACTION_DEFINITION, ActionDefinition, Definition, DocumentRef, Record, read_json};
use crate::snapshot::{Builder, Snapshot};
use crate::source::{Cursor, Diagnostic, Position, Report, Severity, Source, Span, yaml};
use crate::types::Offering;

/// Most sentences about what policies would lose.
const WIDENINGS_SHOWN: usize = 100;

/// A change to try: what there is, and what there would be.
pub(super) struct Trial {
    /// The offering in SRNs.
    pub(super) offering: Offering,
    /// What is in force.
    pub(super) before: Arc<Snapshot>,
    /// The service whose definition is changed.
    pub(super) service: String,
    /// All services and the texts of their definitions after the change.
    pub(super) documents: Vec<(String, String)>,
    /// The records of all policies.
    pub(super) policies: Vec<String>,
}

/// What a change would do.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    /// Actions that would be new.
    pub(crate) added: Vec<String>,
    /// Actions that would be gone.
    pub(crate) removed: Vec<String>,
    /// What policies would no longer deny or except, as sentences.
    pub(crate) widenings: Vec<String>,
}

impl Trial {
    /// Tries it; the error is everything that is wrong with it, as sentences.
    pub(super) fn run(&self) -> Result<Effects, Vec<String>> {
        let after = self.compile()?;
        let (old, new) = (self.before.catalogue(), after.catalogue());
        let (was, is) = (names(old), names(new));
        let widenings = self.widenings(new)?;
        let missing = |of: &BTreeSet<&str>, from: &BTreeSet<&str>| of.difference(from).map(|name| (*name).to_owned()).collect();
        Ok(Effects { added: missing(&is, &was), removed: missing(&was, &is), widenings })
    }

    /// Compiles all definitions together, as gateways do.
    fn compile(&self) -> Result<Snapshot, Vec<String>> {
        let report = Report::new();
        let mut builder = Builder::new(self.offering.clone(), &report);
        for (service, document) in &self.documents {
            let source = Source::new(service.as_str(), document.as_str());
            match yaml::parse(&source) {
                Ok(parts) => {
                    if parts.is_empty() {
                        let start = Span::at(Position { line: 1, column: 1 });
                        report.error(&source, start, "there is no definition", Some(kind_hint()));
                    }
                    for part in &parts {
                        if let Some(definition) = definition(service, &Cursor::new(part, &source, &report)) {
                            builder.definition(definition);
                        }
                    }
                }
                Err(error) => report.error(&source, error.span, error.message, error.hint),
            }
        }
        let built = builder.build(self.before.revision()).filter(|_| !report.has_errors());
        built.ok_or_else(|| sentences(&report, &self.service))
    }

    /// What policies would lose. The error is about those that could no longer be read.
    fn widenings(&self, new: &Catalogue) -> Result<Vec<String>, Vec<String>> {
        let (mut widenings, mut unreadable, mut more) = (Vec::new(), Vec::new(), 0_usize);
        for record in &self.policies {
            let Ok(Record::Policy(wire::Policy { id, account, name, document: DocumentRef::Text(text, _) })) = read_json(record) else {
                continue;
            };
            let Some(before) = self.before.policy(id).filter(|before| !before.is_invalid()) else { continue };
            let owner = account.map_or_else(Owner::system, |account| Owner::account(account.to_text().as_str()));
            let report = Report::new();
            let Some(after) = Policy::load(&Source::new("policy", text), &id.to_string(), owner, new, &report) else {
                let why = errors(&report).next().map_or_else(String::new, |error| error.message);
                unreadable.push(format!("the policy `{name}` (`{id}`) could no longer be read: {why}"));
                continue;
            };
            for Lost { statement, loss, action } in lost((before, self.before.catalogue()), (&after, new)) {
                if widenings.len() == WIDENINGS_SHOWN {
                    more += 1;
                    continue;
                }
                let place = after.sid(statement).map_or_else(|| format!("number {}", statement + 1), |sid| format!("`{sid}`"));
                widenings.push(format!("the policy `{name}` (`{id}`), statement {place}, would no longer {loss} `{action}`"));
            }
        }
        if more > 0 {
            widenings.push(format!("and {more} more"));
        }
        if unreadable.is_empty() { Ok(widenings) } else { Err(unreadable) }
    }
}

fn names(catalogue: &Catalogue) -> BTreeSet<&str> {
    catalogue.actions().map(|(_, action)| action.name.as_str()).collect()
}

fn kind_hint() -> String {
    format!("start the document with `kind: {ACTION_DEFINITION}`")
}

/// Reads one document of a definition, which must be the service's: its actions, or a type of its resources.
fn definition(service: &str, cursor: &Cursor<'_>) -> Option<Definition> {
    let definition = Definition::decode(cursor)?;
    if let Definition::Actions(ActionDefinition { service: own, .. }) = &definition
        && own != service
    {
        let span = cursor.node().get("service").unwrap_or(cursor.node()).span;
        let message = format!("this is a definition of `{own}`, put as that of `{service}`");
        cursor.error_at(span, message, "name the same service in both places");
        return None;
    }
    Some(definition)
}

fn errors(report: &Report) -> impl Iterator<Item = Diagnostic> {
    report.diagnostics().into_iter().filter(|found| found.severity == Severity::Error)
}

/// Every error with its place; those in definitions of other services say which.
fn sentences(report: &Report, service: &str) -> Vec<String> {
    let sentence = |Diagnostic { file, span, message, hint, .. }: Diagnostic| {
        let file = if *file == *service { String::new() } else { format!("definition of `{file}`, ") };
        let place = span.map_or_else(String::new, |span| format!("line {}, column {}: ", span.start.line, span.start.column));
        let hint = hint.map_or_else(String::new, |hint| format!("; {hint}"));
        format!("{file}{place}{message}{hint}")
    };
    errors(report).map(sentence).collect()
}
