//! Condition values (R34-R39): booleans, instants, exact decimals, and the folding of letter case.

use std::cmp::Ordering;

use jiff::Timestamp as Instant;

/// `true` or `false` in any letter case (R34, R35).
pub(in crate::policy) fn boolean(text: &str) -> Option<bool> {
    match text {
        _ if text.eq_ignore_ascii_case("true") => Some(true),
        _ if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

/// Nanoseconds since 1970 of a time of RFC 3339 with a zone, or of a date alone (its midnight, UTC) (R38).
///
/// The form is checked here, character by character: the library reads much more than RFC 3339.
pub(in crate::policy) fn instant(text: &str) -> Option<i128> {
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

/// An exact decimal number of any length (R37).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::policy) struct Decimal<T> {
    negative: bool,
    /// Without leading zeros.
    whole: T,
    /// Without trailing zeros.
    fraction: T,
}

impl<'a> Decimal<&'a str> {
    /// Reads sign, digits, and at most one point with digits on both sides.
    pub(in crate::policy) fn parse(text: &'a str) -> Option<Self> {
        let (negative, unsigned) = match text.strip_prefix(['+', '-']) {
            Some(unsigned) => (text.starts_with('-'), unsigned),
            None => (false, text),
        };
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, "0"));
        if !digits(whole) || !digits(fraction) {
            return None;
        }
        let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
        Some(Self { negative: negative && !(whole.is_empty() && fraction.is_empty()), whole, fraction })
    }

    /// The same, kept.
    pub(in crate::policy) fn into_owned(self) -> Decimal<Box<str>> {
        Decimal { negative: self.negative, whole: self.whole.into(), fraction: self.fraction.into() }
    }
}

impl Decimal<Box<str>> {
    /// The same, lent.
    pub(in crate::policy) fn borrow(&self) -> Decimal<&str> {
        Decimal { negative: self.negative, whole: &self.whole, fraction: &self.fraction }
    }
}

impl<T: AsRef<str>> Decimal<T> {
    /// How large it is without its sign: more digits, then greater digits, then greater digits behind the point.
    fn size(&self) -> (usize, &str, &str) {
        let whole = self.whole.as_ref();
        (whole.len(), whole, self.fraction.as_ref())
    }
}

impl<T: AsRef<str> + Eq> Ord for Decimal<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.negative, other.negative) {
            (false, false) => self.size().cmp(&other.size()),
            (true, true) => other.size().cmp(&self.size()),
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
        }
    }
}

impl<T: AsRef<str> + Eq> PartialOrd for Decimal<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// A text without its letter case: Unicode's full case folding, the same everywhere (R36). The dotless i keeps to itself.
pub(in crate::policy) fn folded(text: &str) -> impl Iterator<Item = char> + '_ {
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
            ("-", false),
            ("+-1", false),
            (".5", false),
            ("5.", false),
            ("1.2.3", false),
            ("\u{664}", false),
        ] {
            assert_eq!(Decimal::parse(text).is_some(), expected, "{text}");
        }
    }

    #[test]
    fn decimals_compare_exactly() {
        let rising = [
            "-10",
            "-9.5",
            "-9.05",
            "-0.1",
            "-0.0",
            "0.09",
            "0.1",
            "1",
            "9",
            "9.000000000000000001",
            "10",
            "9007199254740992",
            "9007199254740993",
        ];
        for (place, one) in rising.iter().enumerate() {
            for (other_place, two) in rising.iter().enumerate() {
                let (one, two) = (Decimal::parse(one).unwrap(), Decimal::parse(two).unwrap());
                assert_eq!(one.cmp(&two), place.cmp(&other_place), "{one:?} {two:?}");
                assert_eq!(one.into_owned().borrow(), one);
            }
        }
        for (one, two) in [("4", "4.0"), ("+0.30", "00.3"), ("-0", "0.000"), ("007", "7"), ("-01.50", "-1.5")] {
            assert_eq!(Decimal::parse(one), Decimal::parse(two), "{one} {two}");
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
