//! Condition values (R34-R39): booleans, instants, exact decimals, and the folding of letter case.

use std::cmp::Ordering;

use crate::types::Timestamp;

/// `true` or `false` in any letter case (R34, R35).
pub(in crate::policy) fn boolean(text: &str) -> Option<bool> {
    match text {
        _ if text.eq_ignore_ascii_case("true") => Some(true),
        _ if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

/// How many digits of a fraction of a second count.
const FRACTION_DIGITS_MAX: usize = 18;
/// What an instant counts: the smallest fraction that can be written.
const PER_SECOND: i128 = 1_000_000_000_000_000_000;
const SECONDS_PER_DAY: i64 = 86_400;

/// A time since 1970, [`PER_SECOND`] for a second, of RFC 3339 with a zone, or of a date alone (its midnight, UTC) (R38). All years
/// from 0 to 9999.
pub(in crate::policy) fn instant(text: &str) -> Option<i128> {
    let (date, time) = text.split_at_checked(10)?;
    let days = days(date)?;
    if time.is_empty() {
        return Some(i128::from(days * SECONDS_PER_DAY) * PER_SECOND);
    }
    let (clock, rest) = time.split_at_checked(9)?;
    let (fraction, zone) = match rest.strip_prefix('.') {
        Some(behind) => behind.split_at_checked(behind.find(|character: char| !character.is_ascii_digit())?)?,
        None => ("0", rest),
    };
    if !(1..=FRACTION_DIGITS_MAX).contains(&fraction.len()) {
        return None;
    }
    let digits = fraction.bytes().chain(std::iter::repeat(b'0')).take(FRACTION_DIGITS_MAX);
    let fraction = digits.fold(0, |all, digit| all * 10 + i128::from(digit - b'0'));
    let seconds = days * SECONDS_PER_DAY + seconds(clock)? - offset(zone)?;
    Some(i128::from(seconds) * PER_SECOND + fraction)
}

/// The same of a time that is known.
pub(in crate::policy) fn instant_of(time: Timestamp) -> i128 {
    i128::from(time.milliseconds()) * (PER_SECOND / 1_000)
}

/// How an instant is written; `None` for one that cannot be written.
pub(in crate::policy) fn instant_text(instant: i128) -> Option<String> {
    // What lies before the year 0 or behind the year 9999 in UTC is within it in a zone that is far ahead, or behind.
    const FARTHEST: i64 = 86_340;
    let (seconds, fraction) = (i64::try_from(instant.div_euclid(PER_SECOND)).ok()?, instant.rem_euclid(PER_SECOND));
    [(0, "Z"), (FARTHEST, "+23:59"), (-FARTHEST, "-23:59")].into_iter().find_map(|(offset, zone)| {
        let local = seconds.checked_add(offset)?;
        let days = jiff::Span::new().try_days(local.div_euclid(SECONDS_PER_DAY)).ok()?;
        let date = jiff::civil::date(1970, 1, 1).checked_add(days).ok().filter(|date| date.year() >= 0)?;
        let clock = local.rem_euclid(SECONDS_PER_DAY);
        let fraction = if fraction == 0 { String::new() } else { format!(".{fraction:018}") };
        let fraction = fraction.trim_end_matches('0');
        let (hours, minutes, seconds) = (clock / 3_600, clock / 60 % 60, clock % 60);
        Some(format!("{:04}-{:02}-{:02}T{hours:02}:{minutes:02}:{seconds:02}{fraction}{zone}", date.year(), date.month(), date.day()))
    })
}

/// Days since 1970 of `YYYY-MM-DD`.
fn days(date: &str) -> Option<i64> {
    shaped(date, "dddd-dd-dd").then_some(())?;
    let part = |from: usize, to: usize| date.get(from..to)?.parse::<i8>().ok();
    let year = date.get(..4)?.parse::<i16>().ok()?;
    let (month, day) = (part(5, 7)?, part(8, 10)?);
    // What is refused here would be an error on the heap there.
    let first = jiff::civil::Date::new(year, Some(month).filter(|month| (1..=12).contains(month))?, 1).ok()?;
    let day = jiff::civil::Date::new(year, month, Some(day).filter(|day| (1..=first.days_in_month()).contains(day))?).ok()?;
    let since = jiff::civil::date(1970, 1, 1).until(day).ok()?;
    Some(i64::from(since.get_days()))
}

/// Seconds since midnight of `Thh:mm:ss`. A leap second is none.
fn seconds(clock: &str) -> Option<i64> {
    (shaped(clock, "Tdd:dd:dd") || shaped(clock, "tdd:dd:dd")).then_some(())?;
    let part = |from: usize, to: usize, most: i64| clock.get(from..to)?.parse::<i64>().ok().filter(|part| *part <= most);
    Some(part(1, 3, 23)? * 3_600 + part(4, 6, 59)? * 60 + part(7, 9, 59)?)
}

/// Seconds that a zone is ahead of UTC: `Z`, `+hh:mm` or `-hh:mm`.
fn offset(zone: &str) -> Option<i64> {
    if zone.eq_ignore_ascii_case("Z") {
        return Some(0);
    }
    let sign = if shaped(zone, "+dd:dd") { 1 } else { shaped(zone, "-dd:dd").then_some(-1)? };
    let part = |from: usize, to: usize, most: i64| zone.get(from..to)?.parse::<i64>().ok().filter(|part| *part <= most);
    Some(sign * (part(1, 3, 23)? * 3_600 + part(4, 6, 59)? * 60))
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
    /// Whether it is below zero, and its digits before and behind the point, without those that say nothing.
    pub(in crate::policy) fn parts(&self) -> (bool, &str, &str) {
        (self.negative, &self.whole, &self.fraction)
    }

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
        let base = 1_762_445_438 * PER_SECOND;
        for (text, expected) in [
            ("2025-11-06T16:10:38Z", Some(base)),
            ("2025-11-06t16:10:38z", Some(base)),
            ("2025-11-07T01:10:38+09:00", Some(base)),
            ("2025-11-06T10:25:38-05:45", Some(base)),
            ("2025-11-07T16:09:38+23:59", Some(base)),
            ("2025-11-06T16:10:38.001Z", Some(base + PER_SECOND / 1_000)),
            ("2025-11-06T16:10:38.1000Z", Some(base + PER_SECOND / 10)),
            ("2025-11-06T16:10:38.000000001Z", Some(base + PER_SECOND / 1_000_000_000)),
            ("2025-11-06T16:10:38.000000000000000001Z", Some(base + 1)),
            ("2025-11-06", Some(base - 58_238 * PER_SECOND)),
            ("2024-02-29", Some(1_709_164_800 * PER_SECOND)),
            ("1969-12-31T23:59:59.5Z", Some(-PER_SECOND / 2)),
            ("9999-12-31T23:59:59Z", Some(253_402_300_799 * PER_SECOND)),
            ("0000-01-01", Some(-62_167_219_200 * PER_SECOND)),
            ("2025-02-29", None),
            ("2025-13-01", None),
            ("2025-11-06T16:10:38", None),
            ("2025-11-06 16:10:38Z", None),
            ("2025-11-06T16:10Z", None),
            ("2025-11-06T16:10:38.Z", None),
            ("2025-11-06T16:10:38.0000000000000000001Z", None),
            ("2025-11-06T16:10:60Z", None),
            ("2025-11-06T16:60:00Z", None),
            ("2025-11-06T24:00:00Z", None),
            ("2025-11-06T16:10:38+0900", None),
            ("2025-11-06T16:10:38+24:00", None),
            ("2025-11-06T16:10:38+09:60", None),
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
    fn an_instant_is_written_as_it_is_read() {
        for text in [
            "2025-11-06T16:10:38Z",
            "1969-12-31T23:59:59.5Z",
            "2024-02-29T00:00:00.000000000000000001Z",
            "0000-01-01T00:00:00Z",
            "9999-12-31T23:59:59.9Z",
            "0000-01-01T00:00:00+23:59",
            "9999-12-31T23:59:59.25-23:59",
        ] {
            assert_eq!(instant(text).and_then(instant_text).as_deref(), Some(text));
        }
        let (first, last) = (instant("0000-01-01T00:00:00+23:59").unwrap(), instant("9999-12-31T23:59:59-23:59").unwrap());
        assert_eq!((instant_text(first - 1), instant_text(last + PER_SECOND), instant_text(i128::MAX)), (None, None, None));
    }

    #[test]
    fn a_known_time_is_the_instant_that_is_written_so() {
        let time: Timestamp = "2025-11-06T16:10:38.123Z".parse().unwrap();
        assert_eq!(Some(instant_of(time)), instant("2025-11-06T16:10:38.123Z"));
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
