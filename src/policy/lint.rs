//! Traps: statements of a sound document that do not do what they seem to (`portcullis policy check`). Only a closed catalogue can
//! tell: it knows every action, what each acts on, and what every condition key holds.
//!
//! Each lint is a function of its own, whose comment says what trap it is. It speaks only of what is certain, with the definitions
//! there are; in doubt, and when the budget for comparing is spent, it is silent. Loading a policy to decide by it does none of this.

use std::cell::RefCell;

use crate::source::json;
use crate::source::{Cursor, Report, Source, Span, Value};

use super::attached::Attachment;
use super::catalogue::Catalogue;
use super::document::{Effect, LIMITS, Owner, Policy, Setting, Statement};
use super::inclusion::Work;
use super::reader::shown;

mod bulk;
mod compare;
mod contradiction;
mod reach;
mod wording;

/// Where a document is to stand.
#[derive(Debug, Clone)]
pub enum Standing {
    /// Held by users, groups and roles, or capping a session; whose it is.
    Identity(Owner),
    /// At a resource.
    Resource(Attachment),
    /// At a role, saying who may take it; whose it is.
    Trust(Owner),
}

impl Standing {
    fn setting(&self) -> Setting<'_> {
        match self {
            Self::Identity(owner) => Setting::Identity { owner: owner.clone() },
            Self::Resource(attachment) => attachment.setting(),
            Self::Trust(owner) => Setting::Trust { owner: owner.clone(), role: None },
        }
    }
}

/// What kind of trap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lint {
    /// The statement never applies: it denies, or allows, nothing.
    NeverApplies,
    /// A Deny whose condition contradicts itself: it applies only while a value cannot be found out.
    Contradiction,
    /// One of the actions that the statement names never has the resources that it names.
    UnreachableAction,
    /// What an Allow allows is all taken away by a Deny.
    TakenAway,
    /// Another statement of the same effect already does all of it.
    Subsumed,
    /// A Deny of an action leaves out the action that does the same to many at once.
    BulkAction,
    /// A text that is compared code point by code point, and not in the usual form of Unicode.
    UnicodeForm,
    /// An Allow of all actions but some.
    OpenEnded,
    /// A negative operator that holds as soon as one of several values is another one.
    AnyOfSeveral,
}

impl Lint {
    /// Whether nothing that is allowed, and nothing that is refused, changes when the statement is removed.
    #[must_use]
    pub const fn is_of_no_effect(self) -> bool {
        match self {
            Self::NeverApplies | Self::TakenAway | Self::Subsumed => true,
            Self::Contradiction | Self::UnreachableAction | Self::BulkAction | Self::UnicodeForm | Self::OpenEnded | Self::AnyOfSeveral => {
                false
            }
        }
    }
}

/// A trap, found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trap {
    /// What kind.
    pub lint: Lint,
    /// In which statement, from 0.
    pub statement: usize,
    /// Where.
    pub span: Span,
    /// What happens.
    pub message: String,
    /// What to write.
    pub hint: String,
}

/// Reads a document as [`Policy::load`] does, with errors and warnings to the report, and looks for traps.
///
/// `None` when there was an error.
#[must_use]
pub fn lint(source: &Source, standing: &Standing, catalogue: &Catalogue, report: &Report) -> Option<Vec<Trap>> {
    let policy = Policy::read(source, "", &standing.setting(), catalogue, report)?;
    let root = json::parse(source.text().as_bytes(), LIMITS).ok()?;
    let silent = Report::new();
    let root = Cursor::new(&root, source, &silent);
    let subject = Subject { catalogue, standing, work: Work::new(), traps: RefCell::default() };
    let mut alive = Vec::new();
    for (place, statement) in policy.body()?.statements.iter().enumerate() {
        let part = Part { place, statement, at: nth(&root, place)? };
        wording::not_action_under_allow(&subject, &part);
        wording::combining_marks(&subject, &part);
        if !reach::never_applies(&subject, &part) && !contradiction::never_holds(&subject, &part) {
            reach::unreachable_actions(&subject, &part);
            wording::any_of_several(&subject, &part);
            alive.push(part);
        }
    }
    bulk::walks_round(&subject, &alive);
    compare::taken_away(&subject, &mut alive);
    compare::subsumed(&subject, &alive);
    let mut traps = subject.traps.into_inner();
    traps.sort_by_key(|trap| trap.span.start);
    Some(traps)
}

/// A statement and where it stands.
struct Part<'a> {
    place: usize,
    statement: &'a Statement,
    at: Cursor<'a>,
}

/// What all lints look at, and where they report.
struct Subject<'a> {
    catalogue: &'a Catalogue,
    standing: &'a Standing,
    work: Work,
    traps: RefCell<Vec<Trap>>,
}

impl Subject<'_> {
    /// Reports a trap at a value.
    fn trap(&self, lint: Lint, part: &Part<'_>, at: &Cursor<'_>, message: &str, hint: impl Into<String>) {
        self.trap_at(lint, part, at, at.node().span, message, hint);
    }

    /// Reports a trap of a whole statement.
    fn trap_of(&self, lint: Lint, part: &Part<'_>, message: &str, hint: impl Into<String>) {
        self.trap_at(lint, part, &part.at, part.effect_span(), message, hint);
    }

    /// Reports a trap at a place of a value, such as its name.
    fn trap_at(&self, lint: Lint, part: &Part<'_>, at: &Cursor<'_>, span: Span, message: &str, hint: impl Into<String>) {
        let message = format!("`{}`: {message}", at.path());
        self.traps.borrow_mut().push(Trap { lint, statement: part.place, span, message, hint: hint.into() });
    }
}

impl<'a> Part<'a> {
    /// Where a trap of the whole statement is shown: at what its effect is said to be.
    fn effect_span(&self) -> Span {
        self.member("Effect").map_or(self.at.node().span, |(_, effect)| effect.node().span)
    }

    /// The statement as other statements' messages name it.
    fn name(&self) -> String {
        let sid = self.statement.sid.as_deref().map_or_else(String::new, |sid| format!("Sid `{}`, ", shown(sid)));
        format!("`{}` ({sid}line {})", self.at.path(), self.at.node().span.start.line)
    }

    /// A member of the statement: where its name stands, and its value.
    fn member(&self, name: &str) -> Option<(Span, Cursor<'a>)> {
        members(&self.at).into_iter().find(|(found, ..)| *found == name).map(|(_, span, value)| (span, value))
    }

    /// `Action` or `NotAction`: its values.
    fn actions(&self) -> Vec<Cursor<'a>> {
        self.member(self.actions_member()).map(|(_, value)| items(&value)).unwrap_or_default()
    }

    fn actions_member(&self) -> &'static str {
        if self.statement.wording.is_complement() { "NotAction" } else { "Action" }
    }

    /// Every key of the condition: operator, key and values.
    fn conditions(&self) -> Vec<(&'a str, &'a str, Cursor<'a>)> {
        let Some((_, condition)) = self.member("Condition") else { return Vec::new() };
        let operators = members(&condition).into_iter();
        operators.flat_map(|(operator, _, keys)| members(&keys).into_iter().map(move |(key, _, values)| (operator, key, values))).collect()
    }

    const fn is_deny(&self) -> bool {
        matches!(self.statement.effect, Effect::Deny)
    }

    /// What the statement does, for messages: it `allows`.
    const fn verb(&self) -> &'static str {
        match self.statement.effect {
            Effect::Allow => "allows",
            Effect::Deny => "denies",
        }
    }
}

/// A statement of a document that was read without an error.
fn nth<'a>(root: &Cursor<'a>, place: usize) -> Option<Cursor<'a>> {
    let (_, _, statements) = members(root).into_iter().find(|(name, ..)| *name == "Statement")?;
    items(&statements).into_iter().nth(place)
}

fn members<'a>(at: &Cursor<'a>) -> Vec<(&'a str, Span, Cursor<'a>)> {
    if matches!(at.node().value, Value::Map(_)) {
        return at.entries(|name, span, value| Some((name, span, value))).unwrap_or_default();
    }
    Vec::new()
}

/// The items of a list, or the one value that stands for a list.
fn items<'a>(at: &Cursor<'a>) -> Vec<Cursor<'a>> {
    if matches!(at.node().value, Value::List(_)) {
        return at.list(Some).unwrap_or_default();
    }
    vec![at.clone()]
}

#[cfg(test)]
mod tests;
