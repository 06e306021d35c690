//! The disk copy: the last state in force, so that a gateway decides after a restart while the control plane is away.
//!
//! A folder with three files: `image` is a whole state, `journal` the commits after it, `highest` the highest revision that
//! was ever in force. The first two are encrypted under a key made from the sealing key and hold the feed's own lines.
//! A copy is taken only when it is whole and reaches `highest`; everything else is refused and says why, and the gateway
//! waits for the feed.
//!
//! A killed process loses nothing: journal and `highest` are written before a state is in force. A power failure may lose
//! the last second, in which nothing was forced to the disk. Whoever can write the disk and keep the control plane away can put an
//! older folder in the place of the whole; that is out of scope (contracts C8).

mod error;
mod flush;
mod fold;
mod highest;
mod image;
mod load;
mod sealed_file;
#[cfg(test)]
mod tests;

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use error::disk;
pub use error::{CopyError, Fault};
use flush::Flusher;
use fold::Folding;
use highest::Highest;
pub(super) use image::Image;
use sealed_file::{Keys, Kind, SealedWriter};

use super::follow::{Building, Follower};
use crate::snapshot::wire::Frame;
use crate::snapshot::wire::channel::{Point, Resume};
use crate::snapshot::wire::frame::{FORMAT, Hello, Mode};
use crate::types::SealingKey;

/// Label of the copy's subkey of the sealing key.
const LABEL: &str = "portcullis disk copy v1";
/// A journal that is larger is folded, if it is also larger than half of the image.
pub const JOURNAL_BYTES_MIN: u64 = 4 << 20;

const IMAGE: &str = "image";
const IMAGE_NEW: &str = "image.new";
const IMAGE_FOLDED: &str = "image.folded";
const JOURNAL: &str = "journal";
const JOURNAL_NEW: &str = "journal.new";
const HIGHEST: &str = "highest";
const LOCK: &str = "lock";

/// A gateway's disk copy.
pub struct Copy {
    folder: PathBuf,
    keys: Keys,
    highest: Highest,
    /// Open when image and journal are of the state in force.
    journal: Option<SealedWriter>,
    given_up: bool,
    image_bytes: u64,
    journal_bytes_min: u64,
    folding: Option<Folding>,
    flusher: Flusher,
    /// Held as long as this is: two gateways must not write one copy.
    _lock: File,
}

impl Copy {
    /// Opens the copy in a folder, which is made if it is not there. [`JOURNAL_BYTES_MIN`] is what to fold from.
    ///
    /// # Errors
    /// When the folder cannot be used, or another process uses it.
    pub fn open(folder: &Path, key: &SealingKey, journal_bytes_min: u64) -> Result<Self, CopyError> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(disk(folder))?;
        let path = folder.join(LOCK);
        let lock = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path).map_err(disk(&path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(std::fs::TryLockError::WouldBlock) => return Err(CopyError::InUse(folder.to_owned())),
            Err(std::fs::TryLockError::Error(error)) => return Err(disk(&path)(error)),
        }
        for leftover in [IMAGE_NEW, IMAGE_FOLDED, JOURNAL_NEW] {
            remove(&folder.join(leftover))?;
        }
        let keys = Keys::new(&key.subkey(LABEL));
        Ok(Self {
            highest: Highest::open(folder.join(HIGHEST), keys.clone()),
            flusher: Flusher::start().map_err(disk(folder))?,
            folder: folder.to_owned(),
            keys,
            journal: None,
            given_up: false,
            image_bytes: 0,
            journal_bytes_min,
            folding: None,
            _lock: lock,
        })
    }

    /// The highest revision ever in force, as far as it can be read.
    #[must_use]
    pub fn highest(&self) -> Option<Point> {
        self.highest.point()
    }

    /// Whether image and journal are of the state in force.
    pub(super) fn is_whole(&self) -> bool {
        self.journal.is_some()
    }

    /// Reads the whole copy. `Ok(None)` when there never was one.
    pub(super) fn load<F: Follower>(&mut self, into: &mut Building<F>) -> Result<Option<Resume>, CopyError> {
        let Some(loaded) = load::load(&self.folder, &self.keys, &self.highest, into)? else { return Ok(None) };
        self.image_bytes = loaded.image_bytes;
        self.journal = Some(match loaded.journal {
            Some(reader) => reader.into_writer().map_err(disk(&self.folder.join(JOURNAL)))?,
            None => self.new_journal(loaded.resume.point, |_| Ok(()))?,
        });
        Ok(Some(loaded.resume))
    }

    /// Starts to write the image of a whole state.
    pub(super) fn begin(&mut self, epoch: u64) -> Result<Image, CopyError> {
        Image::create(self.folder.join(IMAGE_NEW), &self.keys, epoch)
    }

    /// Puts an image in the place of image and journal; `end` is its last line.
    pub(super) fn install(&mut self, image: Image, end: &str, point: Point) -> Result<(), CopyError> {
        if let Some(folding) = &self.folding {
            folding.give_up();
        }
        self.journal = None;
        self.image_bytes = image.finish(end)?;
        self.put(IMAGE_NEW, IMAGE)?;
        self.journal = Some(self.new_journal(point, |_| Ok(()))?);
        self.given_up = false;
        Ok(())
    }

    /// Keeps a commit, before it is in force.
    pub(super) fn append(&mut self, line: &str) -> Result<(), CopyError> {
        if let Some(journal) = &mut self.journal {
            journal.append(line.as_bytes()).map_err(disk(&self.folder.join(JOURNAL)))?;
            self.flusher.mark(0, journal.file());
        }
        Ok(())
    }

    /// Notes what will be in force next; also for a copy that is given up, if the disk allows it.
    pub(super) fn note(&mut self, point: Point) -> Result<(), CopyError> {
        match self.highest.raise(point) {
            Ok(Some(file)) => self.flusher.mark(1, file),
            Ok(None) => {}
            Err(_) if self.given_up => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Folds a journal that has grown large into a new image, beside everything else.
    pub(super) fn tend(&mut self) -> Result<(), CopyError> {
        if let Some(folding) = self.folding.take_if(|folding| folding.is_finished())
            && let Some(folded) = folding.end()?
        {
            self.take_folded(&folded)?;
        }
        let due = |journal: &SealedWriter| journal.mark().bytes > self.journal_bytes_min.max(self.image_bytes / 2);
        if self.folding.is_none()
            && let Some(journal) = self.journal.as_ref().filter(|journal| due(journal))
        {
            self.folding = Some(Folding::start(&self.folder, &self.keys, journal.mark())?);
        }
        Ok(())
    }

    /// Puts a folded image in place, then a journal with only what came meanwhile. Between the two the old journal stands
    /// beside the new image: its commits up to the image are skipped when it is read.
    fn take_folded(&mut self, folded: &fold::Folded) -> Result<(), CopyError> {
        self.put(IMAGE_FOLDED, IMAGE)?;
        self.image_bytes = folded.bytes;
        let path = self.folder.join(JOURNAL);
        let mut old = load::open(&path, &self.keys, Kind::Journal)?;
        old.seek(folded.until).map_err(disk(&path))?;
        let journal = self.new_journal(folded.point, |fresh| {
            while let Some(line) = load::next(&mut old, &path)? {
                fresh.append(&line).map_err(disk(&path))?;
            }
            Ok(())
        })?;
        self.journal = Some(journal);
        Ok(())
    }

    /// Without a copy: what is there must not be taken for the state in force after a restart.
    pub(super) fn give_up(&mut self) {
        self.given_up = true;
        self.journal = None;
        self.highest.lose_file();
        if let Some(folding) = &self.folding {
            folding.give_up();
        }
        for name in [IMAGE, JOURNAL] {
            if let Err(error) = remove(&self.folder.join(name)) {
                tracing::error!(%error, "a disk copy that is out of date stays");
            }
        }
    }

    /// A journal after `base` in the place of the old one.
    fn new_journal(&self, base: Point, fill: impl FnOnce(&mut SealedWriter) -> Result<(), CopyError>) -> Result<SealedWriter, CopyError> {
        let path = self.folder.join(JOURNAL_NEW);
        let mut journal = SealedWriter::create(&path, &self.keys, Kind::Journal, base.epoch).map_err(disk(&path))?;
        let hello = Hello { format: FORMAT, epoch: base.epoch, head: base.sequence, mode: Mode::Changes };
        journal.append(Frame::Hello(hello).to_json().as_bytes()).map_err(disk(&path))?;
        fill(&mut journal)?;
        journal.file().sync_all().map_err(disk(&path))?;
        self.put(JOURNAL_NEW, JOURNAL)?;
        Ok(journal)
    }

    /// Renames within the folder, and has the folder itself on disk then.
    fn put(&self, from: &str, to: &str) -> Result<(), CopyError> {
        let to = self.folder.join(to);
        std::fs::rename(self.folder.join(from), &to).map_err(disk(&to))?;
        File::open(&self.folder).and_then(|folder| folder.sync_all()).map_err(disk(&self.folder))
    }
}

/// Reads the copy of a gateway, which may be running, into a follower and has it publish that. `Ok(false)` when there is none.
///
/// # Errors
/// When the copy is refused: cut, changed, of another key, or older than what was in force.
pub fn read<F: Follower>(folder: &Path, key: &SealingKey, follower: F) -> Result<bool, CopyError> {
    let keys = Keys::new(&key.subkey(LABEL));
    let highest = Highest::open(folder.join(HIGHEST), keys.clone());
    let mut building = Building::new(follower);
    let Some(loaded) = load::load(folder, &keys, &highest, &mut building)? else { return Ok(false) };
    building.publish(loaded.resume.point.revision());
    Ok(true)
}

fn remove(path: &Path) -> Result<(), CopyError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(disk(path)(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}
