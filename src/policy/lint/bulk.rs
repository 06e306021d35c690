//! Denies that an action for many at once walks round (contracts C6).

use std::collections::{HashMap, HashSet};

use super::reach::{Meant, has_no_resources};
use super::{Lint, Part, Standing, Subject};
use crate::policy::catalogue::{Action, ActionId, Catalogue};
use crate::source::{Cursor, Value};
use crate::types::AccessLevel;

/// The words that say that an action does something to many at once.
const BULK_WORDS: [&str; 2] = ["bulk", "batch"];

/// The trap: a Deny of `DeleteUser` says nothing about `DeleteBulkUser`, and whoever may do that deletes the same user.
///
/// Two actions of one service do the same, to one and to many, when their names have the same words without letter case (cut at marks
/// and where a capital starts a word), and beside them
/// * either the one for many also has the word `Bulk` or `Batch`, anywhere, and its last word may be in the plural:
///   `DeleteBulkUser`, `BulkDeleteUsers`, `DeleteUserBatch`, `tag:delete-bulk`;
/// * or the last word is in the plural there and not here (`DeleteUsers`; plural is `s`, `es`, or `ies` for `y`), and it does not just
///   list or read.
///
/// Said when the Deny means resources that both act on, no Deny of the document is about the action for many, and something may allow
/// it: an Allow of the document, or one elsewhere if no Allow here is about the single action either.
pub(super) fn walks_round(subject: &Subject<'_>, parts: &[Part<'_>]) {
    let names_actions = |part: &&Part<'_>| part.is_deny() && !part.statement.wording.is_complement();
    if matches!(subject.standing, Standing::Trust(_)) || !parts.iter().any(|part| names_actions(&part)) {
        return;
    }
    let forms = Forms::of(subject.catalogue);
    let allowed = |id: ActionId| parts.iter().any(|part| !part.is_deny() && part.statement.actions.contains(id.index()));
    let denied = |id: ActionId, action: &Action| {
        let is_about = |part: &Part<'_>| part.statement.actions.contains(id.index()) && Meant::of(subject, part).meets(action);
        parts.iter().any(|part| part.is_deny() && is_about(part))
    };
    for part in parts.iter().filter(names_actions) {
        let mut said = HashSet::new();
        let meant = Meant::of(subject, part);
        for (single, one) in subject.catalogue.actions().filter(|(id, _)| part.statement.actions.contains(id.index())) {
            if !meant.meets(one) {
                continue;
            }
            for many in forms.many_of(one) {
                let bulk = subject.catalogue.action(many);
                let open = (allowed(many) || !allowed(single)) && !denied(many, bulk);
                if open && concerns_the_same(&meant, one, bulk) && said.insert(many) {
                    report(subject, part, one, bulk, &meant);
                }
            }
        }
    }
}

fn report(subject: &Subject<'_>, part: &Part<'_>, one: &Action, bulk: &Action, meant: &Meant) {
    let message = format!("`{}` is denied here, and `{}`, which does that to many at once, is not", one.name, bulk.name);
    let hint = if meant.meets(bulk) {
        format!("add `{}` to the actions", bulk.name)
    } else {
        format!("deny `{}` too, in a statement with \"Resource\": [\"*\"]: its definition names no resources", bulk.name)
    };
    let is_name = |at: &Cursor<'_>| matches!(&at.node().value, Value::String(text) if **text == *one.name.as_str());
    let at = part.actions().into_iter().find(is_name).or_else(|| part.member("Action").map(|(_, value)| value));
    subject.trap(Lint::BulkAction, part, at.as_ref().unwrap_or(&part.at), &message, hint);
}

/// Whether what is denied of the one may be touched by the other; an action that names no resources may touch anything.
fn concerns_the_same(meant: &Meant, one: &Action, bulk: &Action) -> bool {
    let shares = |types: &crate::policy::index_set::IndexSet| {
        let both = one.resource_types.iter().filter(|kind| bulk.resource_types.contains(kind));
        one.any_resource || bulk.any_resource || both.into_iter().any(|kind| types.contains(kind.index()))
    };
    match meant {
        Meant::Everything => true,
        Meant::Types(types) => has_no_resources(bulk) || shares(types),
    }
}

/// The actions of a catalogue by service and words, bulk words left out.
#[derive(Default)]
struct Forms(HashMap<Stem, Vec<(ActionId, Form)>>);

/// A service, and the words of a name.
type Stem = (String, Vec<String>);

/// How the name of an action says that it is for many.
#[derive(Clone, Copy)]
struct Form {
    has_bulk_word: bool,
    changes_something: bool,
}

impl Forms {
    fn of(catalogue: &Catalogue) -> Self {
        let mut forms = Self::default();
        for (id, action) in catalogue.actions() {
            let (words, has_bulk_word) = words(action);
            let changes_something = !matches!(action.level, AccessLevel::List | AccessLevel::Read | AccessLevel::MonitorView);
            let form = Form { has_bulk_word, changes_something };
            forms.0.entry((action.name.service().to_owned(), words)).or_default().push((id, form));
        }
        forms
    }

    /// The actions that do the same to many.
    fn many_of(&self, one: &Action) -> Vec<ActionId> {
        let (words, has_bulk_word) = words(one);
        let Some((last, before)) = words.split_last().filter(|_| !has_bulk_word) else { return Vec::new() };
        let find = |last: String| {
            let words = before.iter().cloned().chain([last]).collect();
            self.0.get(&(one.name.service().to_owned(), words)).into_iter().flatten()
        };
        let same = find(last.clone()).filter(|(_, form)| form.has_bulk_word);
        let plural = plurals(last).into_iter().flat_map(find).filter(|(_, form)| form.has_bulk_word || form.changes_something);
        same.chain(plural).map(|(id, _)| *id).collect()
    }
}

/// The words of an action's name in lower case, without those for many, and whether it had one of those.
fn words(action: &Action) -> (Vec<String>, bool) {
    let mut words: Vec<String> = vec![String::new()];
    let mut letters = action.name.name().chars().peekable();
    let mut before = None::<char>;
    while let Some(letter) = letters.next() {
        let after_small = before.is_some_and(|before| before.is_ascii_lowercase() || before.is_ascii_digit());
        let ends_capitals =
            before.is_some_and(|before| before.is_ascii_uppercase()) && letters.peek().is_some_and(char::is_ascii_lowercase);
        if !letter.is_ascii_alphanumeric() || letter.is_ascii_uppercase() && (after_small || ends_capitals) {
            words.push(String::new());
        }
        if letter.is_ascii_alphanumeric()
            && let Some(last) = words.last_mut()
        {
            last.push(letter.to_ascii_lowercase());
        }
        before = Some(letter);
    }
    let has_bulk_word = words.iter().any(|word| BULK_WORDS.contains(&word.as_str()));
    words.retain(|word| !word.is_empty() && !BULK_WORDS.contains(&word.as_str()));
    (words, has_bulk_word)
}

fn plurals(word: &str) -> Vec<String> {
    let of_y = word.strip_suffix('y').map(|stem| format!("{stem}ies"));
    [format!("{word}s"), format!("{word}es")].into_iter().chain(of_y).collect()
}
