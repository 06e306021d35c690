//! Whole states on their way to gateways: read from the store at once, kept in files without names, sent at each reader's pace.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use tokio::sync::{Mutex, mpsc};
use tokio::task::spawn_blocking;

use super::source::{Page, Source};
use crate::snapshot::wire::Frame;
use crate::snapshot::wire::channel::LINE_BYTES_MAX;
use crate::snapshot::wire::frame::End;

/// Bytes read from a spool at once.
pub(super) const CHUNK_BYTES: usize = 64 << 10;
/// How many changes behind a shared spool may be; its reader gets them right after.
const LAG_MAX: u64 = 1_000;
/// Pages on the way from the store to the file.
const PAGES_WAITING: usize = 2;

/// Why there is no spool.
#[derive(Debug, thiserror::Error)]
pub(super) enum SpoolError {
    #[error("the store does not answer: {0}")]
    Store(String),
    #[error("cannot keep a whole state in `{0}`")]
    File(PathBuf, #[source] io::Error),
    #[error("the thread that writes a whole state has died")]
    Thread,
}

/// A whole state, as the lines of a snapshot.
#[derive(Debug)]
pub(super) struct Spool {
    file: File,
    bytes: u64,
    /// What it is.
    pub(super) end: End,
}

/// The spool in use, if one is.
pub(super) struct Spools {
    folder: PathBuf,
    current: Mutex<Weak<Spool>>,
}

impl Spools {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder, current: Mutex::new(Weak::new()) }
    }

    /// A state that is not older than `sequence`. One stream reads it from the store, those that wait meanwhile share it.
    pub(super) async fn get<S: Source>(&self, source: &S, sequence: u64) -> Result<Arc<Spool>, SpoolError> {
        let mut current = self.current.lock().await;
        let head = *source.subscribe().borrow();
        if let Some(spool) = current.upgrade()
            && spool.end.sequence >= sequence.max(head.saturating_sub(LAG_MAX))
        {
            return Ok(spool);
        }
        let spool = Arc::new(fill(source, self.folder.clone()).await?);
        *current = Arc::downgrade(&spool);
        Ok(spool)
    }
}

async fn fill<S: Source>(source: &S, folder: PathBuf) -> Result<Spool, SpoolError> {
    let (pages, taken) = mpsc::channel(PAGES_WAITING);
    let place = folder.clone();
    let writing = spawn_blocking(move || write(&place, taken));
    let end = source.snapshot(pages).await;
    let written = writing.await.map_err(|_| SpoolError::Thread)?;
    let (file, bytes) = written.map_err(|error| SpoolError::File(folder, error))?;
    Ok(Spool { file, bytes, end: end.map_err(|error| SpoolError::Store(error.to_string()))? })
}

fn write(folder: &Path, mut pages: mpsc::Receiver<Page>) -> io::Result<(File, u64)> {
    let mut out = BufWriter::new(nameless(folder)?);
    let mut bytes = 0;
    while let Some(page) = pages.blocking_recv() {
        for (key, record) in page {
            let line = Frame::Put { key, record }.to_json();
            out.write_all(line.as_bytes())?;
            out.write_all(b"\n")?;
            bytes += line.len() as u64 + 1;
        }
    }
    out.into_inner().map(|file| (file, bytes)).map_err(io::IntoInnerError::into_error)
}

/// A file that only its handle leads to: it goes when the process does.
fn nameless(folder: &Path) -> io::Result<File> {
    let mut random = [0; 8];
    aws_lc_rs::rand::fill(&mut random).map_err(|_| io::Error::other("no random bytes"))?;
    let path = folder.join(format!(".feed-{:016x}", u64::from_be_bytes(random)));
    let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
    std::fs::remove_file(&path)?;
    Ok(file)
}

/// One stream's place in a spool.
pub(super) struct SpoolReader {
    spool: Arc<Spool>,
    at: u64,
}

impl SpoolReader {
    pub(super) fn new(spool: Arc<Spool>) -> Self {
        Self { spool, at: 0 }
    }

    /// The next whole lines, each with its line feed; empty at the end.
    pub(super) async fn next(&mut self) -> Result<Vec<u8>, SpoolError> {
        let (spool, at) = (Arc::clone(&self.spool), self.at);
        let read = spawn_blocking(move || spool.lines_at(at)).await.map_err(|_| SpoolError::Thread)?;
        let lines = read.map_err(|error| SpoolError::File(PathBuf::new(), error))?;
        self.at += lines.len() as u64;
        Ok(lines)
    }
}

impl Spool {
    fn lines_at(&self, at: u64) -> io::Result<Vec<u8>> {
        let mut size = CHUNK_BYTES;
        loop {
            let left = usize::try_from(self.bytes.saturating_sub(at)).unwrap_or(usize::MAX);
            let mut chunk = vec![0; size.min(left)];
            self.file.read_exact_at(&mut chunk, at)?;
            if let Some(last) = chunk.iter().rposition(|byte| *byte == b'\n') {
                chunk.truncate(last + 1);
                return Ok(chunk);
            }
            if chunk.is_empty() {
                return Ok(chunk);
            }
            if size > LINE_BYTES_MAX || chunk.len() == left {
                return Err(io::Error::other("a line is too long"));
            }
            size *= 2;
        }
    }
}
