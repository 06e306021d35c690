//! Traps that one element of a statement is by itself.

use super::contradiction::place;
use super::{Lint, Part, Subject, items};
use crate::policy::accessor::Step;
use crate::policy::condition::{Entry, GlobalKey, Key, Qualifier};
use crate::policy::reader::shown;
use crate::source::Value;

/// The trap: an Allow of all actions but some also allows every action that will ever be defined, of every service; what is added to
/// the catalogue later is allowed before anybody has thought of it.
pub(super) fn not_action_under_allow(subject: &Subject<'_>, part: &Part<'_>) {
    let Some((span, at)) = part.member("NotAction").filter(|_| !part.is_deny()) else { return };
    let where_to = if part.statement.resources.everything() { ", on every resource" } else { "" };
    let message =
        format!("`NotAction` with Allow allows every action of every service but these{where_to}, also those that will be defined later");
    let hint = "name in `Action` what is to be allowed; or keep this, and add a Deny for what must never be allowed";
    subject.trap_at(Lint::OpenEnded, part, &at, span, &message, hint);
}

/// The trap: a text that looks like another one and is not equal to it. Texts are compared code point by code point, and `é` is one
/// code point in most texts (normal form C), and two in those of some file systems and input methods.
///
/// Without tables of Unicode only this is certain: a letter followed by a combining mark, or Korean written in single letters.
pub(super) fn combining_marks(subject: &Subject<'_>, part: &Part<'_>) {
    for (operator, _, values) in part.conditions() {
        let name = operator.split_once(':').map_or(operator, |(_, name)| name);
        if !name.starts_with("String") {
            continue;
        }
        for at in items(&values) {
            let Value::String(text) = &at.node().value else { continue };
            let Some(found) = decomposed(text) else { continue };
            let message =
                format!("`{found}` is written as several code points here, and is compared as such: written as one, it is another text");
            subject.trap(Lint::UnicodeForm, part, &at, &message, "write the text in Unicode normal form C, or list both forms");
        }
    }
}

/// The first letter of a text that is written as several code points.
fn decomposed(text: &str) -> Option<String> {
    let mut pairs = text.chars().zip(text.chars().skip(1));
    let marked = |(letter, mark): &(char, char)| letter.is_alphabetic() && matches!(mark, '\u{300}'..='\u{36F}');
    let korean = |(lead, vowel): &(char, char)| matches!(lead, '\u{1100}'..='\u{1112}') && matches!(vowel, '\u{1161}'..='\u{1175}');
    pairs.find(|pair| marked(pair) || korean(pair)).map(|(first, second)| String::from_iter([first, second]))
}

/// The trap: without a qualifier, a negative operator on a key with several values is true as soon as *one* of them is another one
/// (1.6, note 3). An Allow with `StringNotEquals` on `scp:TagKeys` lets the forbidden tag through beside a harmless one.
///
/// Keys that have several values: `scp:TagKeys`, `body['...'][*]`, and attributes that are named in the plural.
pub(super) fn any_of_several(subject: &Subject<'_>, part: &Part<'_>) {
    let unqualified = |entry: &&Entry| entry.qualifier == Qualifier::ForAnyValue && !entry.operator.contains(':');
    let entries = part.statement.all_entries().filter(|_| !part.is_deny());
    for entry in entries.filter(unqualified).filter(|entry| entry.test.is_negative() && has_several_values(subject, &entry.key)) {
        let Some(at) = place(part, subject, entry) else { continue };
        let (key, operator) = (shown(&entry.key.to_string()), shown(&entry.operator));
        let message = format!("`{operator}` allows as soon as one of several values of `{key}` is none of these, whatever the others are");
        subject.trap(
            Lint::AnyOfSeveral,
            part,
            &at,
            &message,
            format!("write `ForAllValues:{operator}` if none of the values may be one of these"),
        );
    }
}

fn has_several_values(subject: &Subject<'_>, key: &Key) -> bool {
    match key {
        Key::Global(GlobalKey::TagKeys) => true,
        Key::RequestAttribute(accessor) => accessor.steps().contains(&Step::Each),
        Key::Attribute(attribute) => {
            let name = subject.catalogue.attribute(attribute.id).name.to_ascii_lowercase();
            name.ends_with('s') && !["ss", "us", "is", "as", "os"].iter().any(|end| name.ends_with(end))
        }
        Key::Global(_) | Key::RequestTag(_) | Key::ResourceTag(_) | Key::Undefined(_) => false,
    }
}
