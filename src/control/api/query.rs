//! Query strings: every name known, every complaint at once; pages and their order.

use std::cell::RefCell;
use std::fmt::{Display, Write as _};
use std::str::FromStr;

use crate::control::service::ServiceError;
use crate::control::store::select::{Direction, Page};
use crate::types::path::percent_decoded;

/// Items of a page when nothing else is asked for (wire-formats 3.1).
const PAGE_SIZE: u64 = 20;
/// Most items of a page.
pub(super) const PAGE_SIZE_MAX: u64 = 1_000;
/// Highest page.
const PAGE_MAX: u64 = 1_000_000;
/// Most parameters of a query.
const PARAMETERS_MAX: usize = 100;
/// Most characters of one value: a filter is searched for in every row.
const VALUE_CHARACTERS_MAX: usize = 256;
/// Most names to sort by.
const SORTS_MAX: usize = 8;

/// A query string. Parameters are taken one by one; [`Query::finish`] reports all complaints and what nobody took.
#[derive(Debug)]
pub(super) struct Query {
    pairs: Vec<(String, String)>,
    taken: RefCell<Vec<&'static str>>,
    complaints: RefCell<Vec<String>>,
}

/// A page that was asked for, and how it is named in the answer.
#[derive(Debug)]
pub(super) struct Asked {
    /// For the store.
    pub(super) page: Page,
    /// For the answer, such as `created_at:desc`.
    pub(super) sort: Vec<String>,
}

impl Query {
    /// Reads a query as browsers write it: `+` is a space.
    pub(super) fn parse(text: &str) -> Self {
        let mut complaints = Vec::new();
        let mut pairs = Vec::new();
        for piece in text.split('&').filter(|piece| !piece.is_empty()) {
            let (name, value) = piece.split_once('=').unwrap_or((piece, ""));
            match (decode(name), decode(value)) {
                (Some(name), Some(value)) if pairs.len() < PARAMETERS_MAX => pairs.push((name, value)),
                (Some(_), Some(_)) => {
                    complaints.push(format!("the query has more than {PARAMETERS_MAX} parameters; send fewer"));
                    break;
                }
                (None, _) | (_, None) => complaints.push("the query has a broken percent-encoding; write UTF-8 as %XX".to_owned()),
            }
        }
        Self { pairs, taken: RefCell::default(), complaints: RefCell::new(complaints) }
    }

    /// All values of a parameter, also those in one text with commas; empty ones do not count.
    pub(super) fn texts(&self, name: &'static str) -> Vec<String> {
        self.taken.borrow_mut().push(name);
        let all = self.pairs.iter().filter(|(known, _)| known == name).flat_map(|(_, value)| value.split(','));
        all.filter(|value| !value.is_empty()).map(str::to_owned).collect()
    }

    /// A parameter's value; an empty one does not count.
    pub(super) fn text(&self, name: &'static str) -> Option<String> {
        self.taken.borrow_mut().push(name);
        let mut values = self.pairs.iter().filter(|(known, _)| known == name).map(|(_, value)| value);
        let value = values.next()?;
        if values.next().is_some() {
            self.complain(name, "it stands in the query twice", "write it once");
        }
        if value.chars().count() > VALUE_CHARACTERS_MAX {
            self.complain(name, "it is too long", &format!("write at most {VALUE_CHARACTERS_MAX} characters"));
            return None;
        }
        (!value.is_empty()).then(|| value.clone())
    }

    /// A parameter that parses.
    pub(super) fn parsed<T: FromStr<Err: Display>>(&self, name: &'static str, hint: &str) -> Option<T> {
        let text = self.text(name)?;
        text.parse().map_err(|error| self.complain(name, error, hint)).ok()
    }

    /// A parameter that is `true` or `false`.
    pub(super) fn boolean(&self, name: &'static str) -> Option<bool> {
        match self.text(name)?.as_str() {
            "true" => Some(true),
            "false" => Some(false),
            other => {
                self.complain(name, format!("`{other}` is neither true nor false"), "write true or false");
                None
            }
        }
    }

    /// The page, sorted by `sort=NAME:asc` or `:desc`, several times if wanted. `orders` holds the known names and their columns;
    /// without any, the first of them, latest first.
    pub(super) fn page(&self, orders: &'static [(&'static str, &'static str)]) -> Asked {
        let size = self.size();
        let number = self.number("page", 0, PAGE_MAX).unwrap_or(0);
        let (mut order, mut sort) = (Vec::new(), Vec::new());
        let asked = self.texts("sort");
        if asked.len() > SORTS_MAX {
            self.complain("sort", format!("there are {} of them", asked.len()), &format!("write at most {SORTS_MAX}"));
        }
        for text in asked.into_iter().take(SORTS_MAX) {
            let (name, direction) = text.split_once(':').unwrap_or((&text, "asc"));
            let column = orders.iter().find(|(known, _)| *known == name);
            let direction = match direction {
                "asc" => Some(Direction::Ascending),
                "desc" => Some(Direction::Descending),
                _ => None,
            };
            match (column, direction) {
                (Some((name, column)), Some(_)) if order.iter().any(|(known, _)| known == column) => {
                    self.complain("sort", format!("`{name}` stands there twice"), "write each name once");
                }
                (Some((_, column)), Some(direction)) => {
                    order.push((*column, direction));
                    sort.push(text);
                }
                (None, _) | (_, None) => {
                    let names: Vec<&str> = orders.iter().map(|(name, _)| *name).collect();
                    let hint = format!("write one of {} and `:asc` or `:desc`", names.join(", "));
                    let text: String = text.chars().take(VALUE_CHARACTERS_MAX).collect();
                    self.complain("sort", format!("nothing can be sorted by `{text}`"), &hint);
                }
            }
        }
        if let (true, Some((name, column))) = (order.is_empty(), orders.first()) {
            order.push((*column, Direction::Descending));
            sort.push(format!("{name}:desc"));
        }
        Asked { page: Page { number, size, order }, sort }
    }

    /// How many items of a list.
    pub(super) fn size(&self) -> u64 {
        self.number("size", 1, PAGE_SIZE_MAX).unwrap_or(PAGE_SIZE)
    }

    fn number(&self, name: &'static str, least: u64, most: u64) -> Option<u64> {
        let text = self.text(name)?;
        let number = text.parse().ok().filter(|number| (least..=most).contains(number));
        if number.is_none() {
            self.complain(name, format!("`{text}` is out of range"), &format!("write a whole number from {least} to {most}"));
        }
        number
    }

    fn complain(&self, name: &str, message: impl Display, hint: &str) {
        self.complaints.borrow_mut().push(format!("`{name}`: {message}; {hint}"));
    }

    /// All complaints, also about parameters that nobody asked for.
    pub(super) fn finish(self) -> Result<(), ServiceError> {
        let (taken, mut complaints) = (self.taken.into_inner(), self.complaints.into_inner());
        for (name, _) in self.pairs.iter().filter(|(name, _)| !taken.contains(&name.as_str())) {
            complaints.push(format!("the parameter `{name}` is not known here; known are {}", taken.join(", ")));
        }
        if complaints.is_empty() { Ok(()) } else { Err(ServiceError::Invalid(complaints)) }
    }
}

fn decode(text: &str) -> Option<String> {
    String::from_utf8(percent_decoded(&text.replace('+', " "))?.into_owned()).ok()
}

/// A text as a value of a query.
pub(super) fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_complaint_about_a_query_is_reported_at_once() {
        let query = Query::parse("size=0&page=x&sort=age:desc&sort=name:asc&nmae=a&name=a%20b+%ED%95%9C&flag=yes&x=%zz");
        let asked = query.page(&[("created_at", "c"), ("name", "n")]);
        assert_eq!(query.text("name").as_deref(), Some("a b 한"));
        assert_eq!(query.boolean("flag"), None);
        assert_eq!((asked.page.size, asked.page.number, asked.sort), (20, 0, vec!["name:asc".to_owned()]));
        let Err(ServiceError::Invalid(found)) = query.finish() else { panic!("it is not valid") };
        assert_eq!(
            found,
            [
                "the query has a broken percent-encoding; write UTF-8 as %XX",
                "`size`: `0` is out of range; write a whole number from 1 to 1000",
                "`page`: `x` is out of range; write a whole number from 0 to 1000000",
                "`sort`: nothing can be sorted by `age:desc`; write one of created_at, name and `:asc` or `:desc`",
                "`flag`: `yes` is neither true nor false; write true or false",
                "the parameter `nmae` is not known here; known are size, page, sort, name, flag",
            ]
        );
    }

    #[test]
    fn a_query_sorts_by_few_names_and_each_of_them_once() {
        let complaints = |text: &str| {
            let query = Query::parse(text);
            let asked = query.page(&[("created_at", "c"), ("name", "n")]);
            match query.finish() {
                Ok(()) => (asked.sort, Vec::new()),
                Err(ServiceError::Invalid(found)) => (asked.sort, found),
                Err(other) => panic!("{other}"),
            }
        };
        assert_eq!(complaints("sort=name:desc,created_at").1, [""; 0]);
        let twice = complaints("sort=name&sort=name:desc,created_at");
        assert_eq!(twice.1, ["`sort`: `name` stands there twice; write each name once"]);
        assert_eq!(twice.0, ["name", "created_at"]);
        let many = complaints(&format!("sort=name{}", ",x".repeat(5_000)));
        assert_eq!(many.1.len(), 8);
        assert_eq!(many.1[0], "`sort`: there are 5001 of them; write at most 8");
    }

    #[test]
    fn a_value_has_a_longest_length_in_characters() {
        let query = Query::parse(&format!("name={}&email={}&marker={}", "%ED%95%9C".repeat(256), "a".repeat(257), "1".repeat(257)));
        assert_eq!(query.text("name"), Some("한".repeat(256)));
        assert_eq!(query.text("email"), None);
        assert_eq!(query.parsed::<u64>("marker", "x"), None);
        let Err(ServiceError::Invalid(found)) = query.finish() else { panic!("it is not valid") };
        let sentences = ["email", "marker"].map(|name| format!("`{name}`: it is too long; write at most 256 characters"));
        assert_eq!(found, sentences);
    }
}
