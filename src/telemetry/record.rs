//! Decision records: one JSON line per request, written by a thread of its own, bounded.

use std::cell::{Cell, RefCell};
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::counters::WorkerCounters;
use crate::config::{OnFull, RecordPath};

/// A worker hands over this many bytes at a time.
const CHUNK_BYTES: usize = 64 * 1024;
/// A worker keeps this many bytes to itself when it must not lose any and there is no room for another chunk.
const KEPT_BYTES_MAX: usize = 8 * CHUNK_BYTES;
/// Chunks that may wait for the disk.
const CHUNKS_MAX: usize = 64;
/// Chunks kept for use again.
const SPARE_CHUNKS_MAX: usize = 16;
/// After a write that failed.
const RETRY_EVERY: Duration = Duration::from_millis(250);
/// Longest wait for the last records to be written.
const FINISH_TIMEOUT: Duration = Duration::from_secs(5);
/// How often it is looked at meanwhile.
const FINISH_LOOK: Duration = Duration::from_millis(5);
/// Longest text of one field, in characters; longer ones are cut.
pub const FIELD_CHARS_MAX: usize = 512;

enum Message {
    /// Lines, and how many.
    Chunk(Vec<u8>, u64),
    Reopen,
}

/// What the writing thread and the workers tell each other.
#[derive(Debug, Default)]
struct Shared {
    /// The last write failed; it is tried again until it succeeds.
    failing: AtomicBool,
    /// Lines written and lost since a worker last took the numbers over.
    lines_written: AtomicU64,
    lines_lost: AtomicU64,
    /// Nobody waits for writes that fail any more.
    stopping: AtomicBool,
    /// Written chunks on their way back: memory that is used again needs no fresh pages.
    written: Mutex<Vec<Vec<u8>>>,
}

/// The writing thread.
#[derive(Debug)]
pub struct RecordWriter {
    sender: Option<SyncSender<Message>>,
    thread: Option<JoinHandle<()>>,
    shared: Arc<Shared>,
}

impl RecordWriter {
    /// Opens the file and starts the thread. With `off` there is neither.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn start(path: &RecordPath) -> io::Result<Self> {
        let target = match path {
            RecordPath::Off => return Ok(Self { sender: None, thread: None, shared: Arc::default() }),
            RecordPath::StandardOutput => None,
            RecordPath::File(path) => Some(path.clone()),
        };
        let output = open(target.as_ref())?;
        let (sender, receiver) = sync_channel(CHUNKS_MAX);
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        let run = move || write_all(output, target.as_ref(), &receiver, &theirs);
        let thread = std::thread::Builder::new().name("records".to_owned()).spawn(run)?;
        Ok(Self { sender: Some(sender), thread: Some(thread), shared })
    }

    /// Opens the file anew, after it was rotated.
    pub fn reopen(&self) {
        if let Some(sender) = &self.sender {
            // A writer that is stuck must not hold up the thread that hears signals.
            if sender.try_send(Message::Reopen).is_err() {
                tracing::error!("the file of decision records was not opened anew: writing is stuck");
            }
        }
    }

    /// The end that a worker writes to.
    #[must_use]
    pub fn sink(&self, on_full: OnFull, counters: Arc<WorkerCounters>) -> RecordSink {
        RecordSink {
            sender: self.sender.clone(),
            on_full,
            counters,
            buffer: RefCell::new(Vec::with_capacity(CHUNK_BYTES + 4096)),
            lines: Cell::new(0),
            spare: RefCell::default(),
            shared: Arc::clone(&self.shared),
            full: Cell::new(false),
        }
    }

    /// Writes what is left and stops. All sinks must be gone by then.
    pub fn finish(mut self) {
        self.sender = None;
        self.shared.stopping.store(true, Relaxed);
        let Some(thread) = self.thread.take() else { return };
        let mut patience = FINISH_TIMEOUT;
        while !thread.is_finished() && !patience.is_zero() {
            std::thread::sleep(FINISH_LOOK);
            patience = patience.saturating_sub(FINISH_LOOK);
        }
        if !thread.is_finished() {
            tracing::error!("the last decision records are lost: writing them is stuck");
        } else if thread.join().is_err() {
            tracing::error!("the thread that writes decision records panicked");
        }
    }
}

fn open(path: Option<&PathBuf>) -> io::Result<Box<dyn Write + Send>> {
    match path {
        None => Ok(Box::new(io::stdout())),
        Some(path) => Ok(Box::new(OpenOptions::new().create(true).append(true).mode(0o600).open(path)?)),
    }
}

fn write_all(mut output: Box<dyn Write + Send>, path: Option<&PathBuf>, receiver: &Receiver<Message>, shared: &Shared) {
    for message in receiver {
        match message {
            Message::Chunk(mut bytes, lines) => {
                let count = if write_chunk(&mut *output, &bytes, shared) { &shared.lines_written } else { &shared.lines_lost };
                count.fetch_add(lines, Relaxed);
                bytes.clear();
                let mut written = shared.written.lock().unwrap_or_else(PoisonError::into_inner);
                if written.len() < SPARE_CHUNKS_MAX {
                    written.push(bytes);
                }
            }
            Message::Reopen => match open(path) {
                Ok(fresh) => output = fresh,
                Err(error) => tracing::error!(%error, "the file of decision records could not be opened anew; the old one stays in use"),
            },
        }
    }
}

/// Writes a chunk to its end, trying again while that fails: what was accepted is not lost while the process runs.
/// False when the process ends before it succeeds.
fn write_chunk(output: &mut dyn Write, chunk: &[u8], shared: &Shared) -> bool {
    let mut left = chunk;
    while !left.is_empty() {
        match output.write(left).and_then(|count| output.flush().map(|()| count)) {
            Ok(count) if count > 0 => {
                left = left.get(count..).unwrap_or_default();
                shared.failing.store(false, Relaxed);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            outcome => {
                if !shared.failing.swap(true, Relaxed) {
                    tracing::error!(?outcome, "decision records cannot be written; trying again");
                }
                if shared.stopping.load(Relaxed) {
                    tracing::error!(bytes = left.len(), "decision records are lost");
                    return false;
                }
                std::thread::sleep(RETRY_EVERY);
            }
        }
    }
    true
}

/// A worker's end: lines are gathered and handed over in chunks.
#[derive(Debug)]
pub struct RecordSink {
    sender: Option<SyncSender<Message>>,
    on_full: OnFull,
    counters: Arc<WorkerCounters>,
    buffer: RefCell<Vec<u8>>,
    lines: Cell<u64>,
    spare: RefCell<Vec<Vec<u8>>>,
    shared: Arc<Shared>,
    full: Cell<bool>,
}

impl RecordSink {
    /// Whether records are written at all.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.sender.is_some()
    }

    /// Whether requests must be refused because their records could not be written.
    #[must_use]
    pub fn must_refuse(&self) -> bool {
        self.on_full == OnFull::Refuse && (self.full.get() || self.shared.failing.load(Relaxed))
    }

    /// Whether there is room for one more line. Requests that are refused because records cannot be written get half of
    /// the room: they must not push out the lines of those that were let in before.
    #[must_use]
    pub fn takes_line(&self) -> bool {
        let takes = !self.must_refuse() || self.buffer.borrow().len() < KEPT_BYTES_MAX / 2;
        if !takes {
            self.counters.records_dropped.add(1);
        }
        takes
    }

    /// An empty line to write a record into; give it back with [`Self::write`].
    pub fn line(self: &Rc<Self>) -> RecordLine {
        let bytes = self.spare.borrow_mut().pop().unwrap_or_else(|| Vec::with_capacity(1024));
        RecordLine { bytes }
    }

    /// Takes a finished line.
    pub fn write(&self, mut line: RecordLine) {
        line.bytes.extend_from_slice(b"}\n");
        let gathered = {
            let mut buffer = self.buffer.borrow_mut();
            // Fields bring their comma along: the first one's becomes the brace.
            buffer.push(b'{');
            buffer.extend_from_slice(line.bytes.get(1..).unwrap_or_default());
            buffer.len()
        };
        self.lines.set(self.lines.get() + 1);
        line.bytes.clear();
        let mut spare = self.spare.borrow_mut();
        if spare.len() < 256 {
            spare.push(line.bytes);
        }
        drop(spare);
        if gathered >= CHUNK_BYTES {
            self.flush();
        }
    }

    /// Hands over what is gathered. When there is no room it is dropped and counted.
    pub fn flush(&self) {
        self.counters.records.add(self.shared.lines_written.swap(0, Relaxed));
        self.counters.records_dropped.add(self.shared.lines_lost.swap(0, Relaxed));
        let mut buffer = self.buffer.borrow_mut();
        let (Some(sender), false) = (&self.sender, buffer.is_empty()) else { return };
        let empty = self.shared.written.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let chunk = std::mem::replace(&mut *buffer, empty.unwrap_or_else(|| Vec::with_capacity(CHUNK_BYTES + 4096)));
        let lines = self.lines.replace(0);
        match sender.try_send(Message::Chunk(chunk, lines)) {
            Ok(()) => self.full.set(false),
            Err(TrySendError::Full(Message::Chunk(chunk, lines))) if self.on_full == OnFull::Refuse && chunk.len() < KEPT_BYTES_MAX => {
                // Nothing is lost yet: keep the lines, and let no more requests in until they are handed over.
                *buffer = chunk;
                self.lines.set(lines);
                self.full.set(true);
            }
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.counters.records_dropped.add(lines);
                self.full.set(true);
            }
        }
    }
}

/// A record being written: a JSON object without its closing brace.
#[derive(Debug)]
pub struct RecordLine {
    bytes: Vec<u8>,
}

/// What requests that were cut at the very end left behind.
impl Drop for RecordSink {
    fn drop(&mut self) {
        self.flush();
    }
}

/// The start of a field, `,"name":`. Made by [`field!`] only, so that no field can be written without its comma.
#[derive(Debug, Clone, Copy)]
pub struct Field(#[doc(hidden)] pub &'static str);

/// The [`Field`] of this name.
#[macro_export]
macro_rules! field {
    ($name:literal) => {
        $crate::telemetry::record::Field(concat!(",\"", $name, "\":"))
    };
}
pub use field;

/// The field methods are always inlined: a field's start is then a few stores of constants, not a call.
#[expect(clippy::inline_always, reason = "measured: a record costs half as much")]
impl RecordLine {
    /// A text field: escaped, and cut after [`FIELD_CHARS_MAX`] characters.
    #[inline(always)]
    pub fn text(&mut self, field: Field, value: &str) {
        self.bytes.extend_from_slice(field.0.as_bytes());
        self.quoted(value);
    }

    /// A text field whose value is one of ours: an id, a code, a number in text. Not looked at, so never for a client's text.
    #[inline(always)]
    pub fn plain(&mut self, field: Field, value: &str) {
        self.bytes.extend_from_slice(field.0.as_bytes());
        self.bytes.push(b'"');
        self.bytes.extend_from_slice(value.as_bytes());
        self.bytes.push(b'"');
    }

    /// A list of texts.
    pub fn texts<'a>(&mut self, field: Field, values: impl IntoIterator<Item = &'a str>) {
        self.bytes.extend_from_slice(field.0.as_bytes());
        self.bytes.push(b'[');
        for (index, value) in values.into_iter().enumerate() {
            if index > 0 {
                self.bytes.push(b',');
            }
            self.quoted(value);
        }
        self.bytes.push(b']');
    }

    /// A number field.
    #[inline(always)]
    pub fn number(&mut self, field: Field, value: u64) {
        self.bytes.extend_from_slice(field.0.as_bytes());
        decimal_into(&mut self.bytes, value);
    }

    /// A boolean field.
    #[inline(always)]
    pub fn flag(&mut self, field: Field, value: bool) {
        self.bytes.extend_from_slice(field.0.as_bytes());
        self.bytes.extend_from_slice(if value { b"true" } else { b"false" });
    }

    #[inline(never)]
    fn quoted(&mut self, value: &str) {
        self.bytes.push(b'"');
        // No early exit: the compiler looks at many bytes at once.
        let special = value.bytes().fold(false, |found, byte| found | !(0x20..0x7F).contains(&byte) | (byte == b'"') | (byte == b'\\'));
        if value.len() <= FIELD_CHARS_MAX && !special {
            self.bytes.extend_from_slice(value.as_bytes());
        } else {
            let mut cut = value.char_indices().skip(FIELD_CHARS_MAX);
            let end = cut.next().map_or(value.len(), |(index, _)| index);
            escape_into(&mut self.bytes, value.get(..end).unwrap_or_default());
            if end < value.len() {
                self.bytes.extend_from_slice("\u{2026}".as_bytes());
            }
        }
        self.bytes.push(b'"');
    }
}

/// Appends a number's decimal digits.
pub fn decimal_into(out: &mut Vec<u8>, value: u64) {
    let mut digits = [b'0'; 20];
    let mut used = 0;
    let mut rest = value;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
        used += 1;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(digits.len() - used..).unwrap_or_default());
}

/// Appends text to the inside of a JSON string: nothing in it can steer a terminal or start a line.
pub fn escape_into(out: &mut Vec<u8>, text: &str) {
    for character in text.chars() {
        match character {
            '"' => out.extend_from_slice(b"\\\""),
            '\\' => out.extend_from_slice(b"\\\\"),
            other if other.is_control() || matches!(other, '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}') => {
                for unit in other.encode_utf16(&mut [0; 2]) {
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
            other => out.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_text_is_escaped_and_cut() {
        let writer = RecordWriter { sender: None, thread: None, shared: Arc::default() };
        let sink = Rc::new(writer.sink(OnFull::Drop, Arc::default()));
        let mut line = sink.line();
        line.text(field!("a"), "\u{1b}[31m\r\n\u{202e}\"");
        line.texts(field!("b"), ["x", "y"]);
        line.number(field!("c"), 7);
        line.flag(field!("d"), true);
        line.text(field!("e"), &"z".repeat(1 << 20));
        let text = String::from_utf8(line.bytes).unwrap();
        assert!(text.starts_with(r#","a":"\u001b[31m\u000d\u000a\u202e\"","b":["x","y"],"c":7,"d":true,"e":"zzz"#), "{text}");
        assert!(text.len() < 700);
    }

    #[test]
    fn lines_reach_the_file_and_survive_rotation() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("decisions.jsonl");
        let writer = RecordWriter::start(&RecordPath::File(path.clone())).unwrap();
        let sink = Rc::new(writer.sink(OnFull::Drop, Arc::default()));
        let write = |number: u64| {
            let mut line = sink.line();
            line.number(field!("n"), number);
            sink.write(line);
            sink.flush();
        };
        write(1);
        // The writer must have taken the first line before the file is moved away.
        while std::fs::read_to_string(&path).unwrap().is_empty() {
            std::thread::yield_now();
        }
        std::fs::rename(&path, folder.path().join("old")).unwrap();
        writer.reopen();
        write(2);
        drop(sink);
        writer.finish();
        assert_eq!(std::fs::read_to_string(folder.path().join("old")).unwrap(), "{\"n\":1}\n");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{\"n\":2}\n");
    }
}
