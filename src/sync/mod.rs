//! Where snapshots come from: files that are validated whole, or a control plane's feed with a copy of it on disk.
//!
//! It reads and checks; it never decides, and it never changes a snapshot that is in use.

pub mod copy;
pub mod feed;
pub mod files;
pub mod follow;
pub mod keys;
pub mod published;
