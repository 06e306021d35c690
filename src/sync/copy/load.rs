//! Reading a disk copy: everything, or a refusal.

use std::io;
use std::path::Path;

use super::error::{CopyError, Fault, disk, refused};
use super::highest::Highest;
use super::sealed_file::{FrameFault, Keys, Kind, SealedReader};
use super::{HIGHEST, IMAGE, JOURNAL};
use crate::snapshot::wire::Frame;
use crate::snapshot::wire::channel::{Point, Resume};
use crate::sync::feed::session::{Refusal, Session, Step};
use crate::sync::follow::{Building, Follower};

/// A copy that was read.
pub(super) struct Loaded {
    pub(super) resume: Resume,
    pub(super) image_bytes: u64,
    /// Behind the last commit, when more may be appended there.
    pub(super) journal: Option<SealedReader>,
}

/// Reads the copy in a folder. `Ok(None)` when there never was one.
pub(super) fn load<F: Follower>(
    folder: &Path,
    keys: &Keys,
    highest: &Highest,
    into: &mut Building<F>,
) -> Result<Option<Loaded>, CopyError> {
    let (image, journal) = (folder.join(IMAGE), folder.join(JOURNAL));
    let (image_is_there, journal_is_there) = (is_there(&image)?, is_there(&journal)?);
    let highest = match (highest.read()?, image_is_there) {
        (None, false) if !journal_is_there => return Ok(None),
        (None, _) => return Err(refused(&folder.join(HIGHEST))(Fault::Missing)),
        (Some(_), false) => return Err(refused(&image)(Fault::Missing)),
        (Some(highest), true) => highest,
    };
    let (whole, image_bytes) = read_image(&image, keys, into)?;
    let read = if journal_is_there { read_journal(&journal, keys, whole, into)? } else { Journal::None };
    let (resume, cause, journal_reader) = match read {
        Journal::None => (whole, None, None),
        Journal::Read { resume, cause, reader } => (resume, cause, reader),
    };
    if resume.point < highest {
        let path = if journal_is_there { &journal } else { &image };
        return Err(refused(path)(Fault::Older { at: resume.point, highest, cause }));
    }
    if let Some(cause) = cause {
        tracing::warn!("the end of `{}` is cut off: {cause}; nothing of it was in force", journal.display());
    }
    Ok(Some(Loaded { resume, image_bytes, journal: journal_reader }))
}

fn read_image<F: Follower>(path: &Path, keys: &Keys, into: &mut Building<F>) -> Result<(Resume, u64), CopyError> {
    let mut reader = open(path, keys, Kind::Image)?;
    let (mut session, mut whole) = (Session::new(None, None), None);
    while let Some(text) = next(&mut reader, path)? {
        for line in text.split(|byte| *byte == b'\n') {
            if whole.is_some() {
                return Err(refused(path)(Fault::Trailing));
            }
            match step(&mut session, line).map_err(refused(path))? {
                Step::Begin(hello) if hello.epoch == reader.epoch() => {}
                Step::Record(record) => into.record(record),
                Step::Complete(end) => {
                    into.complete(end).map_err(refused(path))?;
                    whole = Some(end);
                }
                Step::Begin(_) | Step::Resume(_) | Step::Commit(..) | Step::Head(_) => return Err(refused(path)(out_of_place())),
            }
        }
    }
    let cut = || refused(path)(FrameFault::Cut(reader.mark().frames + 1));
    Ok((whole.ok_or_else(cut)?, reader.mark().bytes))
}

enum Journal {
    /// It is of an epoch before the image: a whole state of a new one had been written when the process ended.
    None,
    Read {
        resume: Resume,
        /// What ends it before its end.
        cause: Option<FrameFault>,
        /// If commits may follow in it.
        reader: Option<SealedReader>,
    },
}

fn read_journal<F: Follower>(path: &Path, keys: &Keys, image: Resume, into: &mut Building<F>) -> Result<Journal, CopyError> {
    let broken = |cause| Ok(Journal::Read { resume: image, cause: Some(cause), reader: None });
    let Some(mut reader) = SealedReader::open(path, keys, Kind::Journal).map_err(disk(path))? else {
        return broken(FrameFault::Cut(1));
    };
    let first = match reader.next().map_err(disk(path))? {
        Ok(Some(first)) => first,
        Ok(None) => return broken(FrameFault::Cut(1)),
        Err(cause) => return broken(cause),
    };
    if reader.epoch() < image.point.epoch {
        return Ok(Journal::None);
    }
    let Frame::Hello(hello) = text(&first).and_then(|line| Ok(Frame::parse(line)?)).map_err(refused(path))? else {
        return Err(refused(path)(out_of_place()));
    };
    let base = Point { epoch: hello.epoch, sequence: hello.head };
    if base.epoch != reader.epoch() || base.epoch != image.point.epoch || base > image.point {
        return Err(refused(path)(Fault::Apart { base, image: image.point }));
    }
    let mut session = Session::new(None, Some(base));
    step(&mut session, &first).map_err(refused(path))?;
    let (mut resume, mut at) = (image, base);
    let cause = loop {
        let line = match reader.next().map_err(disk(path))? {
            Ok(Some(line)) => line,
            Ok(None) => break None,
            Err(cause) => break Some(cause),
        };
        let Step::Commit(point, commit) = step(&mut session, &line).map_err(refused(path))? else {
            return Err(refused(path)(out_of_place()));
        };
        at = point;
        if point > image.point {
            resume = Resume { point, digest: commit.digest };
            into.commit(point, commit).map_err(refused(path))?;
        }
    };
    Ok(Journal::Read { resume, cause, reader: (at == resume.point).then_some(reader) })
}

/// Opens a file that must have frames.
pub(super) fn open(path: &Path, keys: &Keys, kind: Kind) -> Result<SealedReader, CopyError> {
    let reader = SealedReader::open(path, keys, kind).map_err(disk(path))?;
    reader.ok_or_else(|| refused(path)(FrameFault::Cut(1)))
}

/// The next frame of a file that must be good.
pub(super) fn next(reader: &mut SealedReader, path: &Path) -> Result<Option<Vec<u8>>, CopyError> {
    reader.next().map_err(disk(path))?.map_err(refused(path))
}

fn step(session: &mut Session, line: &[u8]) -> Result<Step, Refusal> {
    session.line(text(line)?)
}

/// A line as text.
pub(super) fn text(line: &[u8]) -> Result<&str, Refusal> {
    std::str::from_utf8(line).map_err(|_| Refusal::Order("a line is not text"))
}

/// A line that has no place in a file.
pub(super) fn out_of_place() -> Refusal {
    Refusal::Order("a line of another file")
}

fn is_there(path: &Path) -> Result<bool, CopyError> {
    match std::fs::metadata(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(disk(path)(error)),
    }
}
