//! Writing an image: the lines of a whole state.

use std::path::PathBuf;

use super::error::{CopyError, disk};
use super::sealed_file::{Keys, Kind, SealedWriter};
use crate::snapshot::wire::Frame;
use crate::snapshot::wire::frame::{FORMAT, Hello, Mode};

/// Lines are sealed together when there are this many bytes of them.
const PIECE_BYTES: usize = 64 << 10;

/// An image that is being written, beside the one in use.
pub(in crate::sync) struct Image {
    path: PathBuf,
    writer: SealedWriter,
    lines: Vec<u8>,
}

impl Image {
    pub(super) fn create(path: PathBuf, keys: &Keys, epoch: u64) -> Result<Self, CopyError> {
        let writer = SealedWriter::create(&path, keys, Kind::Image, epoch).map_err(disk(&path))?;
        let mut image = Self { path, writer, lines: Vec::new() };
        // The sequence stands at the end: it is not known before.
        image.line(&Frame::Hello(Hello { format: FORMAT, epoch, head: u64::MAX, mode: Mode::Snapshot }).to_json())?;
        image.seal()?;
        Ok(image)
    }

    /// One more line.
    pub(in crate::sync) fn line(&mut self, line: &str) -> Result<(), CopyError> {
        if !self.lines.is_empty() {
            self.lines.push(b'\n');
        }
        self.lines.extend_from_slice(line.as_bytes());
        if self.lines.len() >= PIECE_BYTES { self.seal() } else { Ok(()) }
    }

    /// The last line; then everything is on disk. Returns how many bytes it has.
    pub(super) fn finish(mut self, end: &str) -> Result<u64, CopyError> {
        self.line(end)?;
        self.seal()?;
        self.writer.file().sync_all().map_err(disk(&self.path))?;
        Ok(self.writer.mark().bytes)
    }

    fn seal(&mut self) -> Result<(), CopyError> {
        if !self.lines.is_empty() {
            self.writer.append(&self.lines).map_err(disk(&self.path))?;
            self.lines.clear();
        }
        Ok(())
    }
}
