//! Case files: requests with the decisions expected of them, and documents that must be accepted or refused; for people who test
//! their policies, and for this project's own tests.
//!
//! A file is one object: `catalog` (the world of its cases, written out or `{definitions: DIR}`) and `cases`. A decision case has
//! `request`, `identity_policies`, `resource_policies`, `session_policies`, `expect` and `reason`; a validation case has `policy` or
//! `raw`, `policy_kind` and `expect`. Members of other names are remarks, unless they look like slips of a known one.

use std::fmt;

use super::attached::{Attachment, ResourcePolicy};
use super::catalogue::Catalogue;
use super::document::{Owner, Policy};
use crate::source::{Cursor, Node, Report, Source, Value, nearest};
use crate::types::Srn;

mod decision;
mod world;

pub use decision::{Decided, Decision, Explanation, Held, Unready, Wanted};

/// A file of cases.
#[derive(Debug)]
pub struct CaseFile {
    source: Source,
    world: WorldRef,
    /// Every case.
    pub cases: Vec<Case>,
}

/// Where the catalogue of a file comes from.
#[derive(Debug, Clone)]
pub enum WorldRef {
    /// The file itself.
    Inline(Box<Catalogue>),
    /// The definitions in this folder.
    Definitions(String),
}

/// One case.
#[derive(Debug)]
pub struct Case {
    /// Its name in the file.
    pub id: String,
    /// What it is about, for people.
    pub title: Option<String>,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Decision(Box<Decision>),
    Validation(Validation),
}

/// A document that must be accepted, or refused.
#[derive(Debug)]
struct Validation {
    document: Document,
    place: PlaceOf,
    accept: bool,
}

/// Where a document is used.
#[derive(Debug)]
enum PlaceOf {
    Identity,
    /// At a resource or role, by its SRN.
    Attached(String),
}

/// A policy document in a case: a value of the file, or a text of its own.
#[derive(Debug, Clone)]
enum Document {
    Value(Source, Node),
    Text(Source),
}

/// What became of a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// As expected.
    Passed,
    /// Not as expected.
    Failed(Failure),
}

/// A case that did not come out as expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What was expected.
    pub expected: String,
    /// What came out.
    pub actual: String,
    /// Why, line by line.
    pub explanation: Vec<String>,
}

impl CaseFile {
    /// Reads a file that has been parsed. Every mistake is reported; `None` when there was one.
    #[must_use]
    pub fn read(root: &Node, source: &Source, report: &Report) -> Option<Self> {
        let at = Cursor::new(root, source, report);
        let table = at.table()?;
        let cases = table.required("cases", "write `cases:` and below it a list of cases", |cases| {
            let mut number = 0_usize;
            cases.list(|case| {
                number += 1;
                Case::read(&case, number)
            })
        });
        let hint = "write `catalog: {definitions: DIR}`, the folder with your definitions";
        let world = table.required("catalog", hint, |catalog| world::read(&catalog, cases.as_deref().unwrap_or_default()));
        slips(&at, &["cases", "catalog"]);
        let (cases, world) = (cases?, world?);
        (!report.has_errors()).then(|| Self { source: source.clone(), world, cases })
    }

    /// Where its catalogue comes from.
    #[must_use]
    pub const fn world(&self) -> &WorldRef {
        &self.world
    }

    /// The file.
    #[must_use]
    pub const fn source(&self) -> &Source {
        &self.source
    }
}

impl Case {
    fn read(at: &Cursor<'_>, number: usize) -> Option<Self> {
        const KNOWN: [&str; 13] = [
            "id",
            "title",
            "kind",
            "request",
            "identity_policies",
            "resource_policies",
            "session_policies",
            "expect",
            "reason",
            "policy",
            "raw",
            "policy_kind",
            "attached_to",
        ];
        let table = at.table()?;
        let id = table.or("id", format!("case {number}"), |id| id.string());
        let title = table.optional("title", |title| title.string());
        let validates = at.node().get("policy").is_some() || at.node().get("raw").is_some();
        let kinds = [("decision", false), ("validation", true)];
        let validates = table.or("kind", validates, |kind| kind.one_of(&kinds))?;
        let kind = if validates {
            Validation::read(&table).map(Kind::Validation)
        } else {
            Decision::read(&table).map(|one| Kind::Decision(Box::new(one)))
        };
        slips(at, &KNOWN);
        Some(Self { id: id?, title: title?, kind: kind? })
    }

    /// The decision that it is about, if it is about one.
    #[must_use]
    pub const fn decision(&self) -> Option<&Decision> {
        match &self.kind {
            Kind::Decision(decision) => Some(decision),
            Kind::Validation(_) => None,
        }
    }

    /// What a decision case comes out as, whatever is expected, and why; `None` for a validation case.
    #[must_use]
    pub fn explain(&self, catalogue: &Catalogue) -> Option<Explanation> {
        match &self.kind {
            Kind::Decision(decision) => Some(decision.explain(catalogue)),
            Kind::Validation(_) => None,
        }
    }

    /// Runs it in a catalogue.
    #[must_use]
    pub fn run(&self, catalogue: &Catalogue) -> Outcome {
        match &self.kind {
            Kind::Decision(decision) => decision.run(catalogue),
            Kind::Validation(validation) => validation.run(catalogue),
        }
    }
}

/// Reports members that are nearly one of those known: a slip would silently change what a case says.
fn slips(at: &Cursor<'_>, known: &[&str]) {
    let Value::Map(entries) = &at.node().value else { return };
    for (key, _) in entries.iter().filter(|(key, _)| !known.contains(&&*key.text)) {
        if let Some(near) = nearest(&key.text, known.iter().copied()).filter(|near| at.node().get(near).is_none()) {
            at.error_at(key.span, format!("the key `{}` is not known here", key.text), format!("did you mean `{near}`?"));
        }
    }
}

impl Validation {
    fn read(table: &crate::source::Table<'_>) -> Option<Self> {
        let place = table.or("policy_kind", "identity", |kind| {
            kind.one_of(&[("identity", "identity"), ("session", "identity"), ("resource", "resource"), ("trust", "trust")])
        });
        let attached = table.optional("attached_to", |srn| srn.string());
        let accept = table.required("expect", "write `expect: Accept` or `expect: Reject`", |expect| {
            expect.one_of(&[("Accept", true), ("Reject", false)])
        });
        let value = table.optional("policy", |policy| Some(Document::Value(policy.source().clone(), policy.node().clone())));
        let raw = table.optional("raw", |raw| Some(Document::Text(Source::new("the document", raw.text()?))));
        let document = match (value?, raw?) {
            (Some(one), None) | (None, Some(one)) => one,
            (Some(_), Some(_)) | (None, None) => {
                table.cursor().error_hint("the document is missing, or stands there twice", "write `policy:` or `raw:`");
                return None;
            }
        };
        let place = match (place?, attached?) {
            ("trust", Some(srn)) if !Srn::parse(&srn).is_ok_and(|srn| srn.resource_type == "role") => {
                table.cursor().error_hint(format!("`{srn}` is no role"), "name a role in `attached_to`, or write `policy_kind: resource`");
                return None;
            }
            ("resource" | "trust", Some(srn)) => PlaceOf::Attached(srn),
            ("resource" | "trust", None) => {
                table
                    .cursor()
                    .error_hint("the key `attached_to` is missing", "write the SRN of the resource that the policy is attached to");
                return None;
            }
            _ => PlaceOf::Identity,
        };
        Some(Self { document, place, accept: accept? })
    }

    fn run(&self, catalogue: &Catalogue) -> Outcome {
        let report = Report::new();
        let accepted = match &self.place {
            PlaceOf::Identity => self.document.policy("policy", Owner::account(world::ACCOUNT), catalogue, &report).is_some(),
            PlaceOf::Attached(srn) => attachment(srn, catalogue, &report)
                .and_then(|attachment| self.document.resource_policy("policy", attachment, catalogue, &report))
                .is_some(),
        };
        let word = |accept| if accept { "Accept" } else { "Reject" };
        if accepted == self.accept {
            return Outcome::Passed;
        }
        let explanation = report.to_string().lines().map(str::to_owned).collect();
        Outcome::Failed(Failure { expected: word(self.accept).to_owned(), actual: word(accepted).to_owned(), explanation })
    }
}

fn attachment(text: &str, catalogue: &Catalogue, report: &Report) -> Option<Attachment> {
    let found = Srn::parse(text).ok().and_then(|srn| Attachment::find(&srn, catalogue));
    if found.is_none() {
        let source = Source::new("attached_to", text);
        report.error(&source, crate::source::Span::default(), format!("`{text}` is no resource of this catalogue"), None);
    }
    found
}

impl Document {
    fn policy(&self, id: &str, owner: Owner, catalogue: &Catalogue, report: &Report) -> Option<Policy> {
        match self {
            Self::Value(source, node) => Policy::load_tree(source, node, id, owner, catalogue, report),
            Self::Text(source) => Policy::load(source, id, owner, catalogue, report),
        }
    }

    fn resource_policy(&self, id: &str, attachment: Attachment, catalogue: &Catalogue, report: &Report) -> Option<ResourcePolicy> {
        match self {
            Self::Value(source, node) => ResourcePolicy::load_tree(source, node, id, attachment, catalogue, report),
            Self::Text(source) => ResourcePolicy::load(source, id, attachment, catalogue, report),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "  expected {}\n  actual   {}", self.expected, self.actual)?;
        self.explanation.iter().try_for_each(|line| write!(out, "\n    {line}"))
    }
}
