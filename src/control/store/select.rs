//! `SELECT` with the filters a caller asked for: fixed pieces of SQL, values beside them, a page of the result.

use std::fmt::Write as _;

use super::StoreError;
use super::connection::Connection;
use super::value::{Row, Value};

/// A page of a list, and its order.
#[derive(Debug, Clone)]
pub(crate) struct Page {
    /// From 0.
    pub(crate) number: u64,
    /// Most items of a page.
    pub(crate) size: u64,
    /// Columns to sort by; each is a piece of SQL from a list of known ones.
    pub(crate) order: Vec<(&'static str, Direction)>,
}

/// All of a list.
pub(crate) const WHOLE: Page = Page { number: 0, size: i64::MAX as u64, order: Vec::new() };

/// Which end comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    /// Smallest first.
    Ascending,
    /// Largest first.
    Descending,
}

/// A `SELECT` in the making.
#[derive(Debug)]
pub(crate) struct Select {
    columns: &'static str,
    rest: String,
    values: Vec<Value>,
}

impl Select {
    /// From columns and `FROM ... WHERE ...`, in which each `$` is the one `value`.
    pub(crate) fn new(columns: &'static str, from_where: &'static str, value: impl Into<Value>) -> Self {
        let mut select = Self { columns, rest: String::new(), values: Vec::new() };
        select.piece(from_where, value.into());
        select
    }

    /// One more condition, in which each `$` is `value`.
    pub(crate) fn and(&mut self, condition: &'static str, value: impl Into<Value>) {
        self.rest.push_str(" AND ");
        self.piece(condition, value.into());
    }

    /// One more condition, if there is a value for it.
    pub(crate) fn and_some(&mut self, condition: &'static str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.and(condition, value);
        }
    }

    /// One more condition, in which each `$` is the next of `values`.
    pub(crate) fn and_each(&mut self, condition: &'static str, values: impl IntoIterator<Item = Value>) {
        self.rest.push_str(" AND ");
        let mut values = values.into_iter();
        for piece in condition.split_inclusive('$') {
            match piece.strip_suffix('$') {
                Some(before) => {
                    self.values.extend(values.next());
                    let _ = write!(self.rest, "{before}${}", self.values.len());
                }
                None => self.rest.push_str(piece),
            }
        }
    }

    /// One more condition without a value.
    pub(crate) fn and_plain(&mut self, condition: &'static str) {
        self.rest.push_str(" AND ");
        self.rest.push_str(condition);
    }

    /// One more condition: the column has one of these values. None of them: nothing is found.
    pub(crate) fn and_in(&mut self, column: &'static str, values: impl IntoIterator<Item = impl Into<Value>>) {
        let start = self.values.len();
        self.values.extend(values.into_iter().map(Into::into));
        let places: Vec<String> = (start..self.values.len()).map(|index| format!("${}", index + 1)).collect();
        if places.is_empty() {
            self.rest.push_str(" AND 1 = 0");
        } else {
            let _ = write!(self.rest, " AND {column} IN ({})", places.join(", "));
        }
    }

    /// One page, and how many rows there are on all pages. `unique` is the column that settles the order of equal rows.
    pub(crate) async fn page(&self, connection: &mut Connection, page: &Page, unique: &'static str) -> Result<(Vec<Row>, u64), StoreError> {
        let mut counted = connection.select(self, format!("SELECT COUNT(*) {}", self.rest)).await?;
        let count = counted.first_mut().ok_or(StoreError::Column("a count"))?.count()?;
        let mut text = format!("SELECT {} {} ORDER BY ", self.columns, self.rest);
        for (column, direction) in &page.order {
            let word = match direction {
                Direction::Ascending => "ASC",
                Direction::Descending => "DESC",
            };
            let _ = write!(text, "{column} {word}, ");
        }
        let _ = write!(text, "{unique} LIMIT {} OFFSET {}", page.size, page.number.saturating_mul(page.size));
        Ok((connection.select(self, text).await?, count))
    }

    /// The first rows in the order of these columns.
    pub(crate) async fn first(&self, connection: &mut Connection, order: &'static str, limit: u64) -> Result<Vec<Row>, StoreError> {
        let text = format!("SELECT {} {} ORDER BY {order} LIMIT {limit}", self.columns, self.rest);
        connection.select(self, text).await
    }

    pub(super) fn values(&self) -> &[Value] {
        &self.values
    }

    fn piece(&mut self, text: &'static str, value: Value) {
        self.values.push(value);
        self.rest.push_str(&text.replace('$', &format!("${}", self.values.len())));
    }
}

/// A text as a pattern of `LIKE ... ESCAPE '\'` that finds it anywhere.
pub(crate) fn containing(text: &str) -> String {
    let mut pattern = String::from("%");
    for character in text.chars() {
        if matches!(character, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern.push('%');
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_from_outside_is_always_a_value() {
        let mut select = Select::new("id", "FROM t WHERE a = $ AND (b = $ OR c IS NULL)", "x");
        select.and_some("d = $", Some(3_i64));
        select.and_some("e = $", None::<&str>);
        select.and_in("f", ["p", "q"]);
        select.and_in("g", [0_i64; 0]);
        assert_eq!(select.rest, "FROM t WHERE a = $1 AND (b = $1 OR c IS NULL) AND d = $2 AND f IN ($3, $4) AND 1 = 0");
        assert_eq!(select.values.len(), 4);
        select.and_each("(h < $ OR h = $ AND i < $)", [Value::Integer(1), Value::Integer(1), Value::Integer(2)]);
        assert!(select.rest.ends_with(" AND (h < $5 OR h = $6 AND i < $7)"), "{}", select.rest);
        assert_eq!(select.values.len(), 7);
        assert_eq!(containing("50%_a\\"), "%50\\%\\_a\\\\%");
    }
}
