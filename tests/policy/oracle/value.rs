//! The values of conditions, read as each operator reads them. `None` is a value that the operator cannot read.

use std::cmp::Ordering;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use portcullis::source::{Node, Value};

/// A text that is one.
pub(super) fn text(node: &Node) -> Option<&str> {
    match &node.value {
        Value::String(text) => Some(text),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::List(_) | Value::Map(_) => None,
    }
}

/// For strings: booleans and numbers are the text they are written with.
pub(super) fn string(node: &Node) -> Option<&str> {
    match &node.value {
        Value::String(text) | Value::Number(text) => Some(text),
        Value::Bool(true) => Some("true"),
        Value::Bool(false) => Some("false"),
        Value::Null | Value::List(_) | Value::Map(_) => None,
    }
}

/// R36: case folding without a locale. The dotless i is no i.
pub(super) fn fold_case(text: &str) -> String {
    let mut folded = String::new();
    for character in text.chars() {
        if character == 'ı' {
            folded.push(character);
        } else {
            folded.extend(character.to_lowercase().flat_map(char::to_uppercase).flat_map(char::to_lowercase));
        }
    }
    folded
}

/// R34, R35: `true` and `false` in any letter case, or the JSON words.
pub(super) fn boolean(node: &Node) -> Option<bool> {
    match &node.value {
        Value::Bool(value) => Some(*value),
        Value::String(text) if text.eq_ignore_ascii_case("true") => Some(true),
        Value::String(text) if text.eq_ignore_ascii_case("false") => Some(false),
        Value::Null | Value::Number(_) | Value::String(_) | Value::List(_) | Value::Map(_) => None,
    }
}

/// Whether the order of two values is what an operator (without its `Not`) asks for.
pub(super) fn relation(operator: &str, family: &str, order: Ordering) -> bool {
    match operator.strip_prefix(family).unwrap() {
        "Equals" => order.is_eq(),
        "LessThan" => order.is_lt(),
        "LessThanEquals" => order.is_le(),
        "GreaterThan" => order.is_gt(),
        "GreaterThanEquals" => order.is_ge(),
        other => panic!("no relation is called {other}"),
    }
}

/// R37: an exact decimal: its digits, without zeros at either end that say nothing.
#[derive(PartialEq, Eq)]
pub(super) struct Decimal {
    negative: bool,
    whole: String,
    fraction: String,
}

impl Decimal {
    fn cmp_magnitude(&self, other: &Self) -> Ordering {
        let digits = |decimal: &Self| (decimal.whole.len(), decimal.whole.clone(), decimal.fraction.clone());
        digits(self).cmp(&digits(other))
    }

    pub(super) fn cmp(&self, other: &Self) -> Ordering {
        match (self.negative, other.negative) {
            (false, false) => self.cmp_magnitude(other),
            (true, true) => other.cmp_magnitude(self),
            (false, true) => Ordering::Greater,
            (true, false) => Ordering::Less,
        }
    }
}

/// R37: `[+-]digits[.digits]`, as a text or as a JSON number; no exponent.
pub(super) fn decimal(node: &Node) -> Option<Decimal> {
    let (Value::String(text) | Value::Number(text)) = &node.value else { return None };
    let (negative, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = match unsigned.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (unsigned, None),
    };
    if !is_digits(whole) || !fraction.is_none_or(is_digits) {
        return None;
    }
    let whole = whole.trim_start_matches('0').to_owned();
    let fraction = fraction.unwrap_or_default().trim_end_matches('0').to_owned();
    let is_zero = whole.is_empty() && fraction.is_empty();
    Some(Decimal { negative: negative && !is_zero, whole, fraction })
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// R38: seconds since 1970 and the digits of the fraction, without zeros at their end.
pub(super) type Instant = (i64, String);

/// R38: RFC 3339 with a zone, or a date alone, which is its midnight in UTC. `T` and `Z` may be small letters there.
pub(super) fn instant(node: &Node) -> Option<Instant> {
    let text = text(node)?;
    let Some((date, time)) = text.split_once(['T', 't']) else { return Some((day(text)? * 86_400, String::new())) };
    let (time, offset) = match time.strip_suffix(['Z', 'z']) {
        Some(time) => (time, 0),
        None => {
            let sign = time.rfind(['+', '-'])?;
            let (time, zone) = time.split_at_checked(sign)?;
            let (sign, zone) = zone.split_at_checked(1)?;
            let (hours, minutes) = zone.split_once(':')?;
            let seconds = number(hours, 2, 23)? * 3600 + number(minutes, 2, 59)? * 60;
            (time, if sign == "-" { -seconds } else { seconds })
        }
    };
    let (clock, fraction) = match time.split_once('.') {
        Some((clock, fraction)) => (clock, is_digits(fraction).then_some(fraction)?),
        None => (time, ""),
    };
    let fields: Vec<&str> = clock.split(':').collect();
    let [hours, minutes, seconds] = fields[..] else { return None };
    let of_day = number(hours, 2, 23)? * 3600 + number(minutes, 2, 59)? * 60 + number(seconds, 2, 59)?;
    Some((day(date)? * 86_400 + of_day - offset, fraction.trim_end_matches('0').to_owned()))
}

/// The days from 1970-01-01 to `YYYY-MM-DD`, counted year by year and month by month.
fn day(text: &str) -> Option<i64> {
    let fields: Vec<&str> = text.split('-').collect();
    let [year, month, day] = fields[..] else { return None };
    let (year, month) = (number(year, 4, 9999)?, number(month, 2, 12)?);
    let days_of = |month: i64| match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    let day = number(day, 2, days_of(month))?;
    if month == 0 || day == 0 {
        return None;
    }
    let years: i64 = if year >= 1970 { (1970..year).map(days_in).sum() } else { -(year..1970).map(days_in).sum::<i64>() };
    Some(years + (1..month).map(days_of).sum::<i64>() + day - 1)
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_in(year: i64) -> i64 {
    if is_leap(year) { 366 } else { 365 }
}

/// Exactly so many digits, and no more than `max`.
fn number(text: &str, digits: usize, max: i64) -> Option<i64> {
    if text.len() != digits || !is_digits(text) {
        return None;
    }
    text.parse().ok().filter(|number| *number <= max)
}

/// R39: an address of a request. One of IPv4 that is mapped into IPv6 is one of IPv4.
pub(super) fn request_address(node: &Node) -> Option<IpAddr> {
    Some(match text(node)?.parse().ok()? {
        IpAddr::V6(address) => address.to_ipv4_mapped().map_or(IpAddr::V6(address), IpAddr::V4),
        IpAddr::V4(address) => IpAddr::V4(address),
    })
}

/// R39: a range of a policy.
pub(super) struct Network {
    address: IpAddr,
    prefix: u32,
}

impl Network {
    /// R39: the bits behind the prefix do not count on either side; families never match each other.
    pub(super) fn contains(&self, given: IpAddr) -> bool {
        match (self.address, given) {
            (IpAddr::V4(address), IpAddr::V4(given)) => {
                let kept = |address: Ipv4Addr| u64::from(address.to_bits()) >> (32 - self.prefix);
                kept(address) == kept(given)
            }
            (IpAddr::V6(address), IpAddr::V6(given)) => {
                let kept = |address: Ipv6Addr| address.to_bits().checked_shr(128 - self.prefix).unwrap_or(0);
                kept(address) == kept(given)
            }
            _ => false,
        }
    }
}

/// R39: an address, or an address and a prefix length; no leading zeros.
pub(super) fn network(node: &Node) -> Option<Network> {
    let text = text(node)?;
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().ok()?;
    let longest = if address.is_ipv4() { 32 } else { 128 };
    let prefix = match prefix {
        None => longest,
        Some(prefix) if is_digits(prefix) && (prefix == "0" || !prefix.starts_with('0')) => {
            prefix.parse().ok().filter(|prefix| *prefix <= longest)?
        }
        Some(_) => return None,
    };
    Some(Network { address, prefix })
}
