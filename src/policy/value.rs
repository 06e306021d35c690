//! Condition values (R34-R39): booleans, instants, exact decimals, and the folding of letter case.

use jiff::Timestamp as Instant;

/// `true` or `false` in any letter case (R34, R35).
pub(super) fn boolean(text: &str) -> Option<bool> {
    match text {
        _ if text.eq_ignore_ascii_case("true") => Some(true),
        _ if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

/// Nanoseconds since 1970 of a time of RFC 3339 with a zone, or of a date alone (its midnight, UTC) (R38).
///
/// The form is checked here, character by character: the library reads much more than RFC 3339.
pub(super) fn instant(text: &str) -> Option<i128> {
    let (date, time) = text.split_at_checked(10)?;
    if !shaped(date, "dddd-dd-dd") {
        return None;
    }
    if time.is_empty() {
        return format!("{date}T00:00:00Z").parse().ok().map(Instant::as_nanosecond);
    }
    let (clock, rest) = time.split_at_checked(9)?;
    let rest = match rest.strip_prefix('.') {
        Some(fraction) => {
            let zone = fraction.find(|character: char| !character.is_ascii_digit())?;
            if !(1..=9).contains(&zone) {
                return None;
            }
            fraction.split_at_checked(zone)?.1
        }
        None => rest,
    };
    let zone = rest.eq_ignore_ascii_case("Z") || shaped(rest, "+dd:dd") || shaped(rest, "-dd:dd");
    let leap = clock.ends_with(":60");
    let good = zone && !leap && shaped(&clock.to_ascii_uppercase(), "Tdd:dd:dd");
    good.then(|| text.parse().ok().map(Instant::as_nanosecond)).flatten()
}

/// Whether a text is a decimal: sign, digits, at most one point with digits on both sides (R37).
pub(super) fn is_decimal(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    match unsigned.split_once('.') {
        Some((whole, fraction)) => digits(whole) && digits(fraction),
        None => digits(unsigned),
    }
}

/// A text without its letter case: Unicode's full case folding, the same everywhere (R36). The dotless i keeps to itself.
pub(super) fn folded(text: &str) -> impl Iterator<Item = char> + '_ {
    text.chars().flat_map(|character| {
        let upper = (character != 'ı').then(|| character.to_lowercase().flat_map(char::to_uppercase).flat_map(char::to_lowercase));
        let itself = (character == 'ı').then_some(character);
        upper.into_iter().flatten().chain(itself)
    })
}

fn shaped(text: &str, shape: &str) -> bool {
    text.len() == shape.len()
        && text.bytes().zip(shape.bytes()).all(|(found, wanted)| if wanted == b'd' { found.is_ascii_digit() } else { found == wanted })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_rfc_3339_with_a_zone_or_a_date_and_nothing_else() {
        let base = 1_762_445_438_000_000_000;
        for (text, expected) in [
            ("2025-11-06T16:10:38Z", Some(base)),
            ("2025-11-06t16:10:38z", Some(base)),
            ("2025-11-07T01:10:38+09:00", Some(base)),
            ("2025-11-06T16:10:38.001Z", Some(base + 1_000_000)),
            ("2025-11-06T16:10:38.000000001Z", Some(base + 1)),
            ("2025-11-06", Some(base - 58_238_000_000_000)),
            ("2024-02-29", Some(1_709_164_800_000_000_000)),
            ("2025-02-29", None),
            ("2025-11-06T16:10:38", None),
            ("2025-11-06 16:10:38Z", None),
            ("2025-11-06T16:10Z", None),
            ("2025-11-06T16:10:38.Z", None),
            ("2025-11-06T16:10:38.0000000001Z", None),
            ("2025-11-06T16:10:60Z", None),
            ("2025-11-06T24:00:00Z", None),
            ("2025-11-06T16:10:38+0900", None),
            ("2025-11-06T16:10:38+09:00[Asia/Seoul]", None),
            ("2025/11/06", None),
            ("20251106", None),
            ("1762445438", None),
            ("한한한한", None),
            ("", None),
        ] {
            assert_eq!(instant(text), expected, "{text}");
        }
    }

    #[test]
    fn decimals_are_plain() {
        for (text, expected) in [
            ("4", true),
            ("-3", true),
            ("+0.30", true),
            ("1e3", false),
            ("", false),
            (".5", false),
            ("5.", false),
            ("1.2.3", false),
            ("٤", false),
        ] {
            assert_eq!(is_decimal(text), expected, "{text}");
        }
    }

    #[test]
    fn folding_ignores_letter_case_without_a_locale() {
        let same = |one: &str, two: &str| folded(one).eq(folded(two));
        for (one, two, expected) in [
            ("Foo", "fOO", true),
            ("STRASSE", "straße", true),
            ("ẞ", "ss", true),
            ("ΣΊΣΥΦΟΣ", "σίσυφος", true),
            ("\u{212A}", "k", true),
            ("I", "ı", false),
            ("İ", "i\u{307}", true),
            ("홍길동", "홍길동", true),
            ("é", "e", false),
        ] {
            assert_eq!(same(one, two), expected, "{one} {two}");
        }
    }
}
