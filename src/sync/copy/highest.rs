//! The highest revision that was ever in force: 41 characters of text and a MAC, written in place.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_lc_rs::constant_time::verify_slices_are_equal;

use super::error::{CopyError, Fault, disk, refused};
use super::sealed_file::Keys;
use crate::snapshot::wire::channel::Point;
use crate::types::hex;

/// Digits of a number: every number has as many, so that a note replaces the one before wholly.
const DIGITS: usize = 20;

/// The note and its file.
pub(super) struct Highest {
    path: PathBuf,
    keys: Keys,
    file: Option<Arc<File>>,
    read: Result<Option<Point>, CopyError>,
    is_lost: bool,
}

impl Highest {
    /// Reads what is noted.
    pub(super) fn open(path: PathBuf, keys: Keys) -> Self {
        let read = read(&path, &keys);
        Self { path, keys, file: None, read, is_lost: false }
    }

    /// What is noted, if it can be read.
    pub(super) fn point(&self) -> Option<Point> {
        self.read.as_ref().ok().copied().flatten()
    }

    /// What is noted; `None` when there never was a note.
    pub(super) fn read(&self) -> Result<Option<Point>, CopyError> {
        match &self.read {
            Ok(point) => Ok(*point),
            // An error of the disk cannot be kept and told twice: the file is looked at again.
            Err(_) => read(&self.path, &self.keys),
        }
    }

    /// Notes a point; a lower one than is noted changes nothing. Returns the file when it was written.
    pub(super) fn raise(&mut self, point: Point) -> Result<Option<&Arc<File>>, CopyError> {
        if !self.is_lost && self.point().is_some_and(|noted| noted >= point) {
            return Ok(None);
        }
        let failed = disk(&self.path);
        let highest = self.point().map_or(point, |noted| noted.max(point));
        let file = match self.file.take() {
            Some(file) => file,
            None => {
                let opened = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&self.path);
                Arc::new(opened.map_err(&failed)?)
            }
        };
        let text = note(highest, &self.keys);
        // A note of another length was not written by this version: nothing of it may stay.
        file.set_len(text.len() as u64).map_err(&failed)?;
        file.write_all_at(text.as_bytes(), 0).map_err(&failed)?;
        (self.read, self.is_lost) = (Ok(Some(highest)), false);
        Ok(Some(self.file.insert(file)))
    }

    /// The file may not be there any more: the next note is written anew, by its name.
    pub(super) fn lose_file(&mut self) {
        (self.file, self.is_lost) = (None, true);
    }
}

fn note(point: Point, keys: &Keys) -> String {
    let Point { epoch, sequence } = point;
    let text = format!("{epoch:0DIGITS$}.{sequence:0DIGITS$}");
    format!("{text} {}\n", hex(&keys.mac(&text)))
}

fn read(path: &Path, keys: &Keys) -> Result<Option<Point>, CopyError> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(disk(path)(error)),
    };
    let text = std::str::from_utf8(&bytes).unwrap_or_default();
    let number = |range: std::ops::Range<usize>| text.get(range).and_then(|digits| digits.parse().ok());
    let point = number(0..DIGITS).zip(number(DIGITS + 1..2 * DIGITS + 1)).map(|(epoch, sequence)| Point { epoch, sequence });
    let true_note = point.filter(|point| verify_slices_are_equal(note(*point, keys).as_bytes(), &bytes).is_ok());
    true_note.map(Some).ok_or(Fault::Note).map_err(refused(path))
}
