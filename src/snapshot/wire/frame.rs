//! The lines of a feed: a whole state or the changes to one, as a control plane sends them and a disk copy keeps them.

use std::borrow::Cow;
use std::fmt::Write as _;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::Digest;

/// The format of the frames here. A reader takes this one and the one before.
pub const FORMAT: u32 = 1;

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// The first line of a stream.
    Hello(Hello),
    /// A record of a snapshot.
    Put {
        /// The record's key.
        key: String,
        /// The record's JSON text.
        record: String,
    },
    /// The end of a snapshot.
    End(End),
    /// A committed write: the state goes from the sequence before to this one.
    Commit(Commit),
    /// How far the store is; also the sign of life of a silent stream.
    Head(u64),
}

/// What a stream is about to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hello {
    /// The format of its frames.
    pub format: u32,
    /// The store's epoch.
    pub epoch: u64,
    /// The store's sequence.
    pub head: u64,
    /// What follows.
    pub mode: Mode,
}

/// What follows a [`Hello`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Every record, [`Frame::End`], then changes.
    Snapshot,
    /// Changes after the sequence that was asked for.
    Changes,
}

/// The end of a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    /// The sequence the snapshot is of.
    pub sequence: u64,
    /// How many records there were.
    pub records: u64,
    /// Their digest.
    pub digest: Digest,
}

/// A committed write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// Its sequence: one more than the last.
    pub sequence: u64,
    /// When it was committed, in milliseconds since 1970.
    pub time: i64,
    /// The digest of the state after it.
    pub digest: Digest,
    /// What it changed, in order.
    pub changes: Vec<Change>,
}

/// A change to one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The record is now this.
    Put {
        /// The record's key.
        key: String,
        /// The record's JSON text.
        record: String,
    },
    /// The record is gone.
    Delete {
        /// The record's key.
        key: String,
    },
}

impl Change {
    /// The key of the record.
    #[must_use]
    pub fn key(&self) -> &str {
        match self {
            Self::Put { key, .. } | Self::Delete { key } => key,
        }
    }
}

/// A line that is no frame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Not JSON of one of the known forms.
    #[error("a line is no frame: {0}")]
    Form(String),
    /// Members of several frames, or of half of one.
    #[error("a line is not one frame")]
    Mixed,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'a> {
    hello: Option<HelloLine>,
    #[serde(borrow)]
    put: Option<Cow<'a, str>>,
    #[serde(borrow)]
    record: Option<&'a RawValue>,
    end: Option<EndLine>,
    revision: Option<u64>,
    time: Option<i64>,
    digest: Option<String>,
    #[serde(borrow)]
    changes: Option<Vec<ChangeLine<'a>>>,
    head: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HelloLine {
    format: u32,
    epoch: u64,
    head: u64,
    mode: Mode,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EndLine {
    revision: u64,
    records: u64,
    digest: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ChangeLine<'a> {
    #[serde(borrow)]
    put: Option<Cow<'a, str>>,
    #[serde(borrow)]
    record: Option<&'a RawValue>,
    #[serde(borrow)]
    delete: Option<Cow<'a, str>>,
}

impl Frame {
    /// Reads a line, without its line feed.
    ///
    /// # Errors
    /// When it is not exactly one frame.
    pub fn parse(line: &str) -> Result<Self, FrameError> {
        let form = |error: &dyn std::fmt::Display| FrameError::Form(error.to_string());
        let line: Line<'_> = serde_json::from_str(line).map_err(|error| form(&error))?;
        let digest = |text: String| text.parse::<Digest>().map_err(|error| form(&error));
        match line {
            Line {
                hello: Some(hello),
                put: None,
                record: None,
                end: None,
                revision: None,
                time: None,
                digest: None,
                changes: None,
                head: None,
            } => {
                let HelloLine { format, epoch, head, mode } = hello;
                Ok(Self::Hello(Hello { format, epoch, head, mode }))
            }
            Line {
                hello: None,
                put: Some(key),
                record: Some(record),
                end: None,
                revision: None,
                time: None,
                digest: None,
                changes: None,
                head: None,
            } => Ok(Self::Put { key: key.into_owned(), record: record.get().to_owned() }),
            Line {
                hello: None,
                put: None,
                record: None,
                end: Some(end),
                revision: None,
                time: None,
                digest: None,
                changes: None,
                head: None,
            } => Ok(Self::End(End { sequence: end.revision, records: end.records, digest: digest(end.digest)? })),
            Line {
                hello: None,
                put: None,
                record: None,
                end: None,
                revision: Some(sequence),
                time: Some(time),
                digest: Some(text),
                changes: Some(changes),
                head: None,
            } => {
                let changes = changes.into_iter().map(change).collect::<Result<_, _>>()?;
                Ok(Self::Commit(Commit { sequence, time, digest: digest(text)?, changes }))
            }
            Line {
                hello: None,
                put: None,
                record: None,
                end: None,
                revision: None,
                time: None,
                digest: None,
                changes: None,
                head: Some(head),
            } => Ok(Self::Head(head)),
            Line { .. } => Err(FrameError::Mixed),
        }
    }

    /// The line, without a line feed. Records go in as they are: they must be one line of JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        match self {
            Self::Hello(Hello { format, epoch, head, mode }) => {
                let mode = match mode {
                    Mode::Snapshot => "snapshot",
                    Mode::Changes => "changes",
                };
                format!(r#"{{"hello":{{"format":{format},"epoch":{epoch},"head":{head},"mode":"{mode}"}}}}"#)
            }
            Self::Put { key, record } => format!(r#"{{"put":{},"record":{record}}}"#, quoted(key)),
            Self::End(End { sequence, records, digest }) => {
                format!(r#"{{"end":{{"revision":{sequence},"records":{records},"digest":"{digest}"}}}}"#)
            }
            Self::Commit(commit) => {
                let Commit { sequence, time, digest, changes } = commit;
                let mut line = format!(r#"{{"revision":{sequence},"time":{time},"digest":"{digest}","changes":["#);
                for (index, change) in changes.iter().enumerate() {
                    let comma = if index == 0 { "" } else { "," };
                    let _ = match change {
                        Change::Put { key, record } => write!(line, r#"{comma}{{"put":{},"record":{record}}}"#, quoted(key)),
                        Change::Delete { key } => write!(line, r#"{comma}{{"delete":{}}}"#, quoted(key)),
                    };
                }
                line.push_str("]}");
                line
            }
            Self::Head(head) => format!(r#"{{"head":{head}}}"#),
        }
    }
}

fn change(line: ChangeLine<'_>) -> Result<Change, FrameError> {
    match line {
        ChangeLine { put: Some(key), record: Some(record), delete: None } => {
            Ok(Change::Put { key: key.into_owned(), record: record.get().to_owned() })
        }
        ChangeLine { put: None, record: None, delete: Some(key) } => Ok(Change::Delete { key: key.into_owned() }),
        ChangeLine { .. } => Err(FrameError::Mixed),
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
