//! Durations as the API takes them: ISO 8601, `P1Y2M10DT2H30M15S` (wire-formats 2.1).

use std::str::FromStr;

/// A length of time in whole seconds. A year has 365 days, a month 30.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Duration(pub(crate) u64);

/// A text that is no duration.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a duration")]
pub(crate) struct NoDuration(String);

const DAY_S: u64 = 86_400;
const DATE: [(char, u64); 3] = [('Y', 365 * DAY_S), ('M', 30 * DAY_S), ('D', DAY_S)];
const TIME: [(char, u64); 3] = [('H', 3_600), ('M', 60), ('S', 1)];

impl FromStr for Duration {
    type Err = NoDuration;

    fn from_str(text: &str) -> Result<Self, NoDuration> {
        parse(text).map(Self).ok_or_else(|| NoDuration(text.chars().take(64).collect()))
    }
}

fn parse(text: &str) -> Option<u64> {
    let rest = text.strip_prefix('P')?;
    let (date, time) = match rest.split_once('T') {
        Some((_, "")) => return None,
        Some((date, time)) => (date, time),
        None if rest.is_empty() => return None,
        None => (rest, ""),
    };
    part(date, &DATE)?.checked_add(part(time, &TIME)?)
}

/// The seconds of one half: each unit once at most, the longest first.
fn part(mut text: &str, units: &[(char, u64)]) -> Option<u64> {
    let (mut total, mut units) = (0_u64, units.iter());
    while !text.is_empty() {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, rest) = text.split_at_checked(digits)?;
        let mut rest = rest.chars();
        let unit = rest.next()?;
        let (_, seconds) = units.find(|(name, _)| *name == unit)?;
        total = total.checked_add(number.parse::<u64>().ok()?.checked_mul(*seconds)?)?;
        text = rest.as_str();
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_in_one_way_only() {
        for (text, seconds) in [
            ("PT1H", 3_600),
            ("P1Y2M10DT2H30M15S", 37_593_015),
            ("P1D", 86_400),
            ("PT90M", 5_400),
            ("PT0S", 0),
            ("P1M", 2_592_000),
            ("PT1M", 60),
        ] {
            assert_eq!(parse(text), Some(seconds), "{text}");
        }
        for bad in [
            "",
            "P",
            "PT",
            "P1DT",
            "1H",
            "PT1",
            "PTH",
            "PT-1H",
            "PT+1H",
            "P1H",
            "PT1D",
            "PT1M1H",
            "PT1H1H",
            "P1M1Y",
            "PT1.5H",
            "pt1h",
            "PT1h",
            "P1W",
            " PT1H",
            "PT1H ",
            "PT٣H",
            "P99999999999999999999Y",
            "P18446744073709551615D",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
