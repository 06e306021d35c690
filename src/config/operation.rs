//! `limits`, `timeouts` and `record`: how much, how long, and where decisions are written down.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::files::beside;
use crate::source::Cursor;

/// Limits on what comes from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most client connections at once, over all workers.
    pub connections_max: usize,
    /// Most headers of a request.
    pub headers_max: usize,
    /// Most bytes of a request's head.
    pub head_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connections_max: 10_000, headers_max: 100, head_bytes_max: 64 * 1024 }
    }
}

impl Limits {
    pub(super) fn decode(cursor: &Cursor<'_>) -> Option<Self> {
        let table = cursor.table()?;
        let absent = Self::default();
        let number = |key: &'static str, absent: usize, range: std::ops::RangeInclusive<u64>, unit: &str| {
            table.or(key, absent, |value| value.integer(range, unit).and_then(|number| usize::try_from(number).ok()))
        };
        let connections_max = number("connections_max", absent.connections_max, 1..=1_000_000, "connections");
        let headers_max = number("headers_max", absent.headers_max, 16..=1_000, "headers");
        let head_bytes_max = number("head_bytes_max", absent.head_bytes_max, 8_192..=1_048_576, "bytes");
        table.finish()?;
        Some(Self { connections_max: connections_max?, headers_max: headers_max?, head_bytes_max: head_bytes_max? })
    }
}

/// How long each phase of a connection may last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// From a request's first byte (or the connection's start) to the end of its head.
    pub head: Duration,
    /// Between requests.
    pub idle: Duration,
    /// Between two pieces of a body, either way.
    pub body_idle: Duration,
    /// From the order to stop until open requests are cut.
    pub drain: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            head: Duration::from_secs(10),
            idle: Duration::from_secs(75),
            body_idle: Duration::from_secs(60),
            drain: Duration::from_secs(30),
        }
    }
}

impl Timeouts {
    pub(super) fn decode(cursor: &Cursor<'_>) -> Option<Self> {
        let table = cursor.table()?;
        let absent = Self::default();
        let seconds = |key: &'static str, absent: Duration| {
            table.or(key, absent, |value| value.integer(1..=86_400, "seconds").map(Duration::from_secs))
        };
        let head = seconds("head_s", absent.head);
        let idle = seconds("idle_s", absent.idle);
        let body_idle = seconds("body_idle_s", absent.body_idle);
        let drain = seconds("drain_s", absent.drain);
        table.finish()?;
        Some(Self { head: head?, idle: idle?, body_idle: body_idle?, drain: drain? })
    }
}

/// Where decision records go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordPath {
    /// Nowhere.
    Off,
    /// Standard output.
    StandardOutput,
    /// Appended to a file; opened anew at every reload, so that it can be rotated.
    File(PathBuf),
}

/// What happens when records come faster than they can be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFull {
    /// Drop the record and count it.
    Drop,
    /// Refuse requests until there is room again.
    Refuse,
}

/// Settings of decision records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordSettings {
    /// Where they go.
    pub path: RecordPath,
    /// What happens when there is no room.
    pub on_full: OnFull,
}

impl Default for RecordSettings {
    fn default() -> Self {
        Self { path: RecordPath::StandardOutput, on_full: OnFull::Drop }
    }
}

impl RecordSettings {
    pub(super) fn decode(file: &Path, cursor: &Cursor<'_>) -> Option<Self> {
        let table = cursor.table()?;
        let path = table.required("path", "write a file name, `-` for standard output, or `off`", |value| {
            Some(match value.string()?.as_str() {
                "off" => RecordPath::Off,
                "-" => RecordPath::StandardOutput,
                name => {
                    let path = beside(file, name);
                    // Only a warning: a log that cannot be written must not hold up a reload that revokes something.
                    if path.is_dir() {
                        value.warning(format!("`{}` is a folder, so a start will fail", path.display()), "name a file in it");
                    } else if path.parent().is_some_and(|folder| !folder.as_os_str().is_empty() && !folder.is_dir()) {
                        let message = format!("the folder of `{}` is not there, so a start will fail", path.display());
                        value.warning(message, "make the folder");
                    }
                    RecordPath::File(path)
                }
            })
        });
        let on_full = table.or("on_full", OnFull::Drop, |value| value.one_of(&[("drop", OnFull::Drop), ("refuse", OnFull::Refuse)]));
        table.finish()?;
        Some(Self { path: path?, on_full: on_full? })
    }
}
