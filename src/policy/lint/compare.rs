//! Statements that other statements of the same document make superfluous.

use super::{Lint, Part, Subject};
use crate::policy::action::Asked;
use crate::policy::condition::Entry;

/// The trap: an Allow that is taken away completely by a Deny. Somebody who reads it believes that it allows something.
///
/// It is no longer looked at after that.
pub(super) fn taken_away(subject: &Subject<'_>, parts: &mut Vec<Part<'_>>) {
    let taken: Vec<bool> = parts
        .iter()
        .map(|part| {
            let denies = || parts.iter().filter(|other| other.is_deny());
            let Some(deny) = denies().find(|deny| !part.is_deny() && covers(subject, deny, part)) else { return false };
            let message = format!("this statement allows nothing: {} denies all of it", deny.name());
            let hint = "a Deny wins over every Allow: narrow the Deny, or remove this statement";
            subject.trap_of(Lint::TakenAway, part, &message, hint);
            true
        })
        .collect();
    let mut taken = taken.into_iter();
    parts.retain(|_| !taken.next().unwrap_or(false));
}

/// The trap: a statement whose work another statement of the same effect does as well, so that narrowing or removing it changes
/// nothing. Whoever takes a right away by editing the narrower one has not taken it away.
///
/// Said once for each such statement, and never of both of a pair.
pub(super) fn subsumed(subject: &Subject<'_>, parts: &[Part<'_>]) {
    // INVARIANT: whoever is named as the wider one is reported later or never, so that at the end of each chain one is kept.
    let mut reported: Vec<usize> = Vec::new();
    for part in parts {
        let kept = parts.iter().filter(|other| other.place != part.place && !reported.contains(&other.place));
        let mut wider = kept.filter(|other| {
            let same_effect = other.statement.effect == part.statement.effect;
            // Of two that do the same, the later one is superfluous.
            same_effect && covers(subject, other, part) && (other.place < part.place || !covers(subject, part, other))
        });
        let Some(wider) = wider.next() else { continue };
        reported.push(part.place);
        let message = format!("all that this statement {}, {} {} as well", part.verb(), wider.name(), part.verb());
        let hint = "remove it, or narrow the other one, if it was meant to make a difference";
        subject.trap_of(Lint::Subsumed, part, &message, hint);
    }
}

/// Whether one statement surely applies wherever another one does, now and when more is defined.
///
/// An Allow that applies makes a Deny with the same entries apply: what the two effects make of values that cannot be found out only
/// ever refuses more (R44).
fn covers(subject: &Subject<'_>, outer: &Part<'_>, inner: &Part<'_>) -> bool {
    let (outer, inner, work) = (outer.statement, inner.statement, &subject.work);
    let principals = || match (&outer.principals, &inner.principals) {
        (None, _) => true,
        (Some(outer), Some(inner)) => outer.include(inner),
        (Some(_), None) => false,
    };
    let holds = |entry: &Entry| inner.all_entries().any(|other| other.is_same(entry));
    work.spend(outer.actions.words())
        && outer.actions.includes(&inner.actions)
        && principals()
        && outer.all_entries().all(holds)
        && outer.wording.includes(&inner.wording, Asked::Everything, subject.catalogue, work)
        && outer.resources.includes(&inner.resources, None, work)
        && !work.is_spent()
}
