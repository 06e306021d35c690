//! The line that a diagnostic shows: bounded, without what could steer a terminal, and without secrets.

use super::tree::Source;

/// How many characters of a line are shown.
const CHARS_MAX: usize = 160;
/// How many of them stand before the place when the line is longer.
const CHARS_BEFORE: usize = 60;
/// Lines with more bytes are not looked through, and not shown.
const LINE_BYTES_MAX: usize = 1 << 20;
/// What stands before the shown part of a longer line.
const CUT: &str = "...";
/// What stands for the part of a line that is not shown.
const HIDDEN: &str = "(not shown)";
/// A key whose name contains one of these may have a secret after it.
const SECRET_WORDS: [&str; 11] =
    ["secret", "sealed", "password", "passwd", "passphrase", "token", "credential", "private", "identity_key", "sealing_key", "api_key"];

/// Line `number` of a text, fit for everybody who may read an error. `None` when nothing of it may be shown.
///
/// SECURITY: people write secrets in clear, misspell the key before them, and send the output to others.
/// `a_secret_in_clear_is_never_shown_wherever_it_stands` (tests/check) fails when a way to do so is forgotten.
pub(super) fn of(source: &Source, number: u32) -> Option<String> {
    let mut above: Vec<&str> = source.text().lines().take(number as usize).collect();
    let line = above.pop().filter(|line| above.len() + 1 == number as usize && line.len() <= LINE_BYTES_MAX)?;
    let parent = above.iter().rev().find(|other| !other.trim().is_empty() && indent(other) < indent(line));
    let under_secret = parent.and_then(|parent| secret_value(parent)).is_some_and(|(_, value)| !is_harmless(value));
    if under_secret && !line.trim_start().starts_with("file:") {
        return None;
    }
    let mut shown = 0;
    while let Some((start, value)) = line.get(shown..).and_then(secret_value) {
        shown += start;
        if !is_harmless(value) && !value.trim().trim_start_matches(['|', '>', '-', '+']).is_empty() {
            return Some(format!("{}{HIDDEN}", line.get(..shown)?));
        }
    }
    Some(line.to_owned())
}

/// The part of a line around character `before`, and where that character is in it.
pub(super) fn window(line: &str, before: usize) -> (String, usize) {
    let count = line.chars().count();
    let before = before.min(count);
    let start = if count <= CHARS_MAX || before < CHARS_MAX - CHARS_BEFORE { 0 } else { before - CHARS_BEFORE };
    let shown = line.chars().skip(start).take(CHARS_MAX).map(printable);
    if start == 0 { (shown.collect(), before) } else { (CUT.chars().chain(shown).collect(), before - start + CUT.len()) }
}

/// Control characters become a visible stand-in, so that a file cannot steer a terminal.
fn printable(character: char) -> char {
    match character {
        '\t' => ' ',
        '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' => '\u{FFFD}',
        other if other.is_control() => '\u{FFFD}',
        other => other,
    }
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start_matches([' ', '\t', '-']).len()
}

/// The first key with a secret's name in a line: where what follows it starts, and that.
fn secret_value(line: &str) -> Option<(usize, &str)> {
    let opening = line.char_indices().filter(|(_, character)| matches!(character, '{' | ',')).map(|(at, _)| at + 1);
    [indent(line)].into_iter().chain(opening).find_map(|start| {
        let rest = line.get(start..)?.trim_start();
        let quote = rest.chars().next().filter(|first| matches!(first, '"' | '\''));
        let rest = rest.strip_prefix(['"', '\'']).unwrap_or(rest);
        let end = rest.find(|character: char| !character.is_ascii_alphanumeric() && !matches!(character, '_' | '-' | '.'))?;
        let (name, rest) = rest.split_at_checked(end)?;
        let name = name.to_ascii_lowercase().replace('-', "_");
        let rest = quote.map_or(Some(rest), |quote| rest.strip_prefix(quote))?.trim_start().strip_prefix([':', '='])?;
        let value = rest.trim_start();
        SECRET_WORDS.iter().any(|word| name.contains(word)).then_some((line.len() - value.len(), value))
    })
}

/// `{file: NAME}`, `true` or `false`: no secret stands there.
fn is_harmless(value: &str) -> bool {
    let inside = value.strip_prefix('{').and_then(|rest| rest.split_once('}')).map(|(inside, _)| inside.trim_start());
    match inside.and_then(|inside| inside.strip_prefix("file:")) {
        Some(name) => !name.contains([',', '{', '[', ':']),
        None => matches!(value.split([',', '}', ' ']).next(), Some("true" | "false")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_a_secret_is_not_shown() {
        for (text, expected) in [
            ("secret: {file: a.secret}", Some("secret: {file: a.secret}")),
            ("secret:", Some("secret:")),
            ("secret: |", Some("secret: |")),
            ("secret:\n  file: a.secret", Some("  file: a.secret")),
            ("keep_credentials: true", Some("keep_credentials: true")),
            ("- kind: access_key\n  id: x", Some("  id: x")),
            ("Action: [\"secretvault:Show\", \"secretvault:List\"]", Some("Action: [\"secretvault:Show\", \"secretvault:List\"]")),
            ("get: {action: secretvault:Show, access_level: Read}", Some("get: {action: secretvault:Show, access_level: Read}")),
            ("secret: x", Some("secret: (not shown)")),
            ("secret: {file: x, y: z}", Some("secret: (not shown)")),
            ("secret: {sealed: x}", Some("secret: (not shown)")),
            ("- {id: 1, Secret-Key : x}", Some("- {id: 1, Secret-Key : (not shown)")),
            ("{\"id\": 1, \"client_secret\": \"x\"}", Some("{\"id\": 1, \"client_secret\": (not shown)")),
            ("- {secret: {file: a}, password: b}", Some("- {secret: {file: a}, password: (not shown)")),
            ("secret=x", Some("secret=(not shown)")),
            ("secret: |\n  x", None),
            ("secret:\n  value: x", None),
            ("secret: \"x\n\n  y\"", None),
        ] {
            let number = u32::try_from(text.lines().count()).unwrap();
            assert_eq!(of(&Source::new("t.yaml", text), number).as_deref(), expected, "{text}");
        }
        assert_eq!(of(&Source::new("t.yaml", "a\n"), 2), None);
        assert_eq!(of(&Source::new("t.yaml", "a\n"), 0), None);
    }

    #[test]
    fn a_long_line_is_cut_around_the_place() {
        let line: String = ('a'..='z').cycle().take(1_000).collect();
        assert_eq!(window("abc", 1), ("abc".to_owned(), 1));
        assert_eq!(window("abc", 9), ("abc".to_owned(), 3));
        for before in [0, 50, 99, 100, 500, 999] {
            let (shown, place) = window(&line, before);
            assert!(shown.chars().count() <= CHARS_MAX + CUT.len());
            assert_eq!(shown.chars().nth(place), line.chars().nth(before), "{before}");
        }
        assert_eq!(window("a\u{1b}[2J\u{202e}\tb", 0).0, "a\u{fffd}[2J\u{fffd} b");
    }
}
