//! Where snapshots come from. File mode: from files, validated whole, swapped atomically.
//!
//! It reads and checks; it never decides, and it never changes a snapshot that is in use.

pub mod files;
pub mod keys;
