//! Folds a journal into its image, file by file: the texts of records pass through, only keys are held.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use super::error::{CopyError, Fault, disk, refused};
use super::load::{next, open, out_of_place, text};
use super::sealed_file::{Keys, Kind, Mark};
use super::{IMAGE, IMAGE_FOLDED, Image, JOURNAL};
use crate::snapshot::wire::channel::{Point, Resume};
use crate::snapshot::wire::frame::{Change, Commit, End};
use crate::snapshot::wire::{Digest, Frame};
use crate::sync::feed::session::Refusal;
use crate::sync::follow::FollowError;

/// A folded image that is on disk, beside the one in use.
pub(super) struct Folded {
    /// What it is of.
    pub(super) point: Point,
    /// Its size.
    pub(super) bytes: u64,
    /// The part of the journal that is in it.
    pub(super) until: Mark,
}

/// A journal being folded.
pub(super) struct Folding {
    thread: JoinHandle<Result<Folded, CopyError>>,
    path: PathBuf,
    /// Image or journal are not those in use any more.
    pub(super) is_stale: bool,
}

impl Folding {
    /// Starts with the journal up to `until`; commits may be appended meanwhile.
    pub(super) fn start(folder: &Path, keys: &Keys, until: Mark) -> Result<Self, CopyError> {
        let (place, keys) = (folder.to_owned(), keys.clone());
        let spawned = std::thread::Builder::new().name("copy-fold".to_owned()).spawn(move || fold(&place, &keys, until));
        Ok(Self { thread: spawned.map_err(disk(folder))?, path: folder.join(IMAGE), is_stale: false })
    }

    pub(super) fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }

    pub(super) fn end(self) -> Result<Folded, CopyError> {
        self.thread.join().map_err(|_| refused(&self.path)(Fault::Thread))?
    }
}

/// Where the last change to a record stands: the commit, and the place in it.
type Last = HashMap<String, (u64, usize)>;

fn fold(folder: &Path, keys: &Keys, until: Mark) -> Result<Folded, CopyError> {
    let journal = folder.join(JOURNAL);
    let (mut last, mut end) = (Last::new(), None);
    each_commit(&journal, keys, until, |epoch, commit| {
        end = Some(Resume { point: Point { epoch, sequence: commit.sequence }, digest: commit.digest });
        for (index, change) in commit.changes.iter().enumerate() {
            last.insert(change.key().to_owned(), (commit.sequence, index));
        }
        Ok(())
    })?;
    let Resume { point, digest: told } = end.ok_or_else(|| refused(&journal)(out_of_place()))?;

    let path = folder.join(IMAGE_FOLDED);
    let mut out = Merged { image: Image::create(path.clone(), keys, point.epoch)?, records: 0, digest: Digest::default() };
    let image = folder.join(IMAGE);
    let mut reader = open(&image, keys, Kind::Image)?;
    while let Some(piece) = next(&mut reader, &image)? {
        for line in piece.split(|byte| *byte == b'\n') {
            if let Frame::Put { key, record } = frame(line).map_err(refused(&image))?
                && !last.contains_key(&key)
            {
                out.put(key, record)?;
            }
        }
    }
    each_commit(&journal, keys, until, |_, commit| {
        for (index, change) in commit.changes.into_iter().enumerate() {
            if let Change::Put { key, record } = change
                && last.get(&key) == Some(&(commit.sequence, index))
            {
                out.put(key, record)?;
            }
        }
        Ok(())
    })?;
    let Merged { image, records, digest: found } = out;
    if found != told {
        return Err(refused(&path)(FollowError::Digest { point, told, found }));
    }
    let bytes = image.finish(&Frame::End(End { sequence: point.sequence, records, digest: found }).to_json())?;
    Ok(Folded { point, bytes, until })
}

struct Merged {
    image: Image,
    records: u64,
    digest: Digest,
}

impl Merged {
    fn put(&mut self, key: String, record: String) -> Result<(), CopyError> {
        self.records += 1;
        self.digest.add(Digest::of(&key, &record));
        self.image.line(&Frame::Put { key, record }.to_json())
    }
}

fn each_commit(path: &Path, keys: &Keys, until: Mark, mut take: impl FnMut(u64, Commit) -> Result<(), CopyError>) -> Result<(), CopyError> {
    let mut reader = open(path, keys, Kind::Journal)?;
    while reader.mark().frames < until.frames {
        let Some(line) = next(&mut reader, path)? else { return Ok(()) };
        if let Frame::Commit(commit) = frame(&line).map_err(refused(path))? {
            take(reader.epoch(), commit)?;
        }
    }
    Ok(())
}

fn frame(line: &[u8]) -> Result<Frame, Refusal> {
    Ok(Frame::parse(text(line)?)?)
}
