//! Folds a journal into its image, file by file: the texts of records pass through, only keys are held.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
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

/// A journal being folded. When this is dropped, the thread has ended: two never write at once.
pub(super) struct Folding {
    thread: Option<JoinHandle<Result<Folded, CopyError>>>,
    path: PathBuf,
    /// Image or journal are not those in use any more.
    is_stale: Arc<AtomicBool>,
}

impl Folding {
    /// Starts with the journal up to `until`; commits may be appended meanwhile.
    pub(super) fn start(folder: &Path, keys: &Keys, until: Mark) -> Result<Self, CopyError> {
        let is_stale = Arc::<AtomicBool>::default();
        let fold = Fold { folder: folder.to_owned(), keys: keys.clone(), until, is_stale: Arc::clone(&is_stale) };
        let spawned = std::thread::Builder::new().name("copy-fold".to_owned()).spawn(move || fold.run());
        Ok(Self { thread: Some(spawned.map_err(disk(folder))?), path: folder.join(IMAGE), is_stale })
    }

    pub(super) fn is_finished(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// What comes out is of no use any more.
    pub(super) fn give_up(&self) {
        self.is_stale.store(true, Relaxed);
    }

    /// `None` when it was given up.
    pub(super) fn end(mut self) -> Result<Option<Folded>, CopyError> {
        let ended = self.thread.take().map(JoinHandle::join);
        if self.is_stale.load(Relaxed) {
            return Ok(None);
        }
        let died = || refused(&self.path)(Fault::Thread);
        ended.ok_or_else(died)?.map_err(|_| died())?.map(Some)
    }
}

impl Drop for Folding {
    fn drop(&mut self) {
        self.give_up();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Where the last change to a record stands: the commit, and the place in it.
type Last = HashMap<String, (u64, usize)>;

struct Fold {
    folder: PathBuf,
    keys: Keys,
    until: Mark,
    is_stale: Arc<AtomicBool>,
}

impl Fold {
    fn run(&self) -> Result<Folded, CopyError> {
        let (mut last, mut end) = (Last::new(), None);
        self.each_commit(|epoch, commit| {
            end = Some(Resume { point: Point { epoch, sequence: commit.sequence }, digest: commit.digest });
            for (index, change) in commit.changes.iter().enumerate() {
                last.insert(change.key().to_owned(), (commit.sequence, index));
            }
            Ok(())
        })?;
        let Resume { point, digest: told } = end.ok_or_else(|| refused(&self.folder.join(JOURNAL))(out_of_place()))?;

        let path = self.folder.join(IMAGE_FOLDED);
        let mut out = Merged { image: Image::create(path.clone(), &self.keys, point.epoch)?, records: 0, digest: Digest::default() };
        self.each_unchanged(&last, |key, record| out.put(key, record))?;
        self.each_commit(|_, commit| {
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
        Ok(Folded { point, bytes, until: self.until })
    }

    /// The records of the image that the journal does not change.
    fn each_unchanged(&self, last: &Last, mut take: impl FnMut(String, String) -> Result<(), CopyError>) -> Result<(), CopyError> {
        let path = self.folder.join(IMAGE);
        let mut reader = open(&path, &self.keys, Kind::Image)?;
        while let Some(piece) = next(&mut reader, &path)? {
            self.check_use(&path)?;
            for line in piece.split(|byte| *byte == b'\n') {
                if let Frame::Put { key, record } = frame(line).map_err(refused(&path))?
                    && !last.contains_key(&key)
                {
                    take(key, record)?;
                }
            }
        }
        Ok(())
    }

    fn each_commit(&self, mut take: impl FnMut(u64, Commit) -> Result<(), CopyError>) -> Result<(), CopyError> {
        let path = self.folder.join(JOURNAL);
        let mut reader = open(&path, &self.keys, Kind::Journal)?;
        while reader.mark().frames < self.until.frames {
            self.check_use(&path)?;
            let Some(line) = next(&mut reader, &path)? else { return Ok(()) };
            if let Frame::Commit(commit) = frame(&line).map_err(refused(&path))? {
                take(reader.epoch(), commit)?;
            }
        }
        Ok(())
    }

    /// Ends a fold that nobody waits for.
    fn check_use(&self, path: &Path) -> Result<(), CopyError> {
        if self.is_stale.load(Relaxed) { Err(disk(path)(io::ErrorKind::Interrupted.into())) } else { Ok(()) }
    }
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

fn frame(line: &[u8]) -> Result<Frame, Refusal> {
    Ok(Frame::parse(text(line)?)?)
}
