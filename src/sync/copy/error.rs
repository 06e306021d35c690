//! What can be wrong with a disk copy.

use std::io;
use std::path::{Path, PathBuf};

use super::sealed_file::FrameFault;
use crate::snapshot::wire::channel::Point;
use crate::sync::feed::session::Refusal;
use crate::sync::follow::FollowError;

/// Why a disk copy is not used.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The disk does not do what it is asked.
    #[error("the disk copy's `{path}` cannot be used: {cause}")]
    Disk {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// Another gateway writes it.
    #[error("the disk copy in `{0}` is in use by another process")]
    InUse(PathBuf),
    /// It is not whole, not ours, or old.
    #[error("the disk copy is refused: `{path}`: {fault}")]
    Refused {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        fault: Fault,
    },
}

/// What is wrong with a file of a disk copy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It is not there, and the others are.
    #[error("it is missing")]
    Missing,
    /// Changed, cut, or of another key.
    #[error(transparent)]
    Frame(#[from] FrameFault),
    /// It opens, and what is in it does not follow.
    #[error(transparent)]
    Line(#[from] Refusal),
    /// It opens, and its records are not the state it says.
    #[error(transparent)]
    State(#[from] FollowError),
    /// Something follows on its end.
    #[error("it goes on after its end")]
    Trailing,
    /// It ends before what was in force.
    #[error("it ends at `{at}`, and `{highest}` was in force already{}", .cause.map(|cause| format!(": {cause}")).unwrap_or_default())]
    Older {
        /// Where it ends.
        at: Point,
        /// What was in force.
        highest: Point,
        /// What ends it, if not its end.
        cause: Option<FrameFault>,
    },
    /// It goes on from a state that is not in the image.
    #[error("it goes on from `{base}`, and the image is of `{image}`")]
    Apart {
        /// Where the journal starts.
        base: Point,
        /// What the image is of.
        image: Point,
    },
    /// Not a note of a revision by this key.
    #[error("it does not verify: changed, cut, or written under another sealing key")]
    Note,
    /// The thread that folds has died.
    #[error("the thread that folds the journal into it has died")]
    Thread,
}

/// An error of the disk at `path`.
pub(super) fn disk(path: &Path) -> impl Fn(io::Error) -> CopyError {
    let path = path.to_owned();
    move |cause| CopyError::Disk { path: path.clone(), cause }
}

/// A refusal of the file at `path`.
pub(super) fn refused<E: Into<Fault>>(path: &Path) -> impl Fn(E) -> CopyError {
    let path = path.to_owned();
    move |fault| CopyError::Refused { path: path.clone(), fault: fault.into() }
}
