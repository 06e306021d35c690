//! Members of bodies that many resources have: names, descriptions, tags, lists of ids.

use std::collections::HashSet;
use std::ops::RangeInclusive;
use std::str::FromStr;

use crate::control::store::tags::Tag;
use crate::source::{Cursor, Value};

/// Characters of the name of a user (seed 003, L245) and of a role (L856).
const ENGLISH_NAME_CHARS: RangeInclusive<usize> = 1..=64;
/// Most characters of a description (seed 003, L49).
pub(crate) const DESCRIPTION_CHARS_MAX: usize = 1_000;
/// Most tags of a resource (seed 003, L63).
pub(crate) const TAGS_MAX: usize = 50;
/// Most characters of a tag's key.
pub(crate) const TAG_KEY_CHARS_MAX: usize = 128;
/// Most characters of a tag's value.
pub(crate) const TAG_VALUE_CHARS_MAX: usize = 256;
/// Most ids in one list.
pub(crate) const IDS_MAX: usize = 100;

/// A name of Korean and English letters, digits and `+=,.@-_` (seed 003, L46; wire-formats 3.2).
pub(crate) fn name(cursor: &Cursor<'_>, chars: RangeInclusive<usize>) -> Option<String> {
    let hint = format!("write {} to {} letters (English or Korean), digits or + = , . @ - _", chars.start(), chars.end());
    let text = text(cursor, &hint)?;
    let good = |character: char| {
        character.is_ascii_alphanumeric() || "-.,_+=@".contains(character) || matches!(character, 'ㄱ'..='ㅎ' | 'ㅏ'..='ㅣ' | '가'..='힣')
    };
    if !chars.contains(&text.chars().count()) || !text.chars().all(good) {
        cursor.error_hint("the name is not usable", hint);
        return None;
    }
    Some(text)
}

/// A name of a user, a role or a session: English letters, digits and `+=,.@-_` (seed 003, L245, L856).
pub(crate) fn english_name(cursor: &Cursor<'_>) -> Option<String> {
    let hint = "write 1 to 64 English letters, digits or + = , . @ - _";
    let text = text(cursor, hint)?;
    let good = |character: char| character.is_ascii_alphanumeric() || "+=,.@-_".contains(character);
    if !ENGLISH_NAME_CHARS.contains(&text.chars().count()) || !text.chars().all(good) {
        cursor.error_hint("the name is not usable", hint);
        return None;
    }
    Some(text)
}

/// A description; `null` and the empty text are none.
pub(crate) fn description(cursor: &Cursor<'_>) -> Option<Option<String>> {
    if matches!(cursor.node().value, Value::Null) {
        return Some(None);
    }
    let hint = format!("write at most {DESCRIPTION_CHARS_MAX} characters, or null");
    let text = text(cursor, &hint)?;
    if text.chars().count() > DESCRIPTION_CHARS_MAX || text.chars().any(|character| character.is_control() && character != '\n') {
        cursor.error_hint("the description is too long, or has control characters", hint);
        return None;
    }
    Some(Some(text).filter(|text| !text.is_empty()))
}

/// A list of tags; `null` is none.
pub(crate) fn tags(cursor: &Cursor<'_>) -> Option<Vec<Tag>> {
    if matches!(cursor.node().value, Value::Null) {
        return Some(Vec::new());
    }
    let tags = cursor.clone().advised(r#"write [{"key": "KEY", "value": "VALUE"}]"#).list(|cursor| {
        let table = cursor.advised(r#"write {"key": "KEY", "value": "VALUE"}"#).table()?;
        let key = table.required("key", "write the tag's key", |value| tag_text(&value, 1..=TAG_KEY_CHARS_MAX));
        let value = table.required("value", "write the tag's value, possibly \"\"", |value| tag_text(&value, 0..=TAG_VALUE_CHARS_MAX));
        table.finish()?;
        Some(Tag { key: key?, value: value? })
    })?;
    if tags.len() > TAGS_MAX {
        cursor.error_hint(format!("there are {} tags", tags.len()), format!("write at most {TAGS_MAX}"));
        return None;
    }
    let mut seen = HashSet::new();
    if let Some(twice) = tags.iter().find(|tag| !seen.insert(&tag.key)) {
        cursor.error_hint(format!("the tag `{}` stands here twice", twice.key), "write each key once");
        return None;
    }
    Some(tags)
}

fn tag_text(cursor: &Cursor<'_>, chars: RangeInclusive<usize>) -> Option<String> {
    let hint = format!("write {} to {} characters, no control characters", chars.start(), chars.end());
    let text = text(cursor, &hint)?;
    if !chars.contains(&text.chars().count()) || text.chars().any(char::is_control) {
        cursor.error_hint("the text is not usable", hint);
        return None;
    }
    Some(text)
}

/// A list of ids, each once; `null` is none.
pub(crate) fn ids<T: FromStr<Err: std::fmt::Display>>(cursor: &Cursor<'_>) -> Option<Vec<T>> {
    if matches!(cursor.node().value, Value::Null) {
        return Some(Vec::new());
    }
    let mut seen = HashSet::new();
    let all = cursor.clone().advised("write a list of ids").list(|value| {
        let text = text(&value, "write an id: 32 lower-case hexadecimal digits")?;
        if !seen.insert(text) {
            value.error_hint("the id stands here twice", "write each id once");
            return None;
        }
        id(&value)
    })?;
    if all.len() > IDS_MAX {
        cursor.error_hint(format!("there are {} ids", all.len()), format!("write at most {IDS_MAX}"));
        return None;
    }
    Some(all)
}

/// A list of at least one id, each once.
pub(crate) fn some_ids<T: FromStr<Err: std::fmt::Display>>(cursor: &Cursor<'_>) -> Option<Vec<T>> {
    let ids = ids(cursor)?;
    if ids.is_empty() {
        cursor.error_hint("the list is empty", "write at least one id");
        return None;
    }
    Some(ids)
}

/// An id.
pub(crate) fn id<T: FromStr<Err: std::fmt::Display>>(cursor: &Cursor<'_>) -> Option<T> {
    text(cursor, "write an id: 32 lower-case hexadecimal digits")?;
    cursor.parse("write an id: 32 lower-case hexadecimal digits")
}

/// A text, not a number: JSON keeps them apart.
pub(crate) fn text(cursor: &Cursor<'_>, hint: &str) -> Option<String> {
    if let Value::Number(_) = cursor.node().value {
        cursor.error_hint("a text should stand here, not a number", hint);
        return None;
    }
    cursor.clone().advised(hint).text().map(str::to_owned)
}
