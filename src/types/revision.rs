//! Revisions: which state of accounts, policies and keys decided a request (contracts C8).

use std::fmt;

/// A revision: a place in a store's history, or the hash of the files of file mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Revision {
    /// `epoch.sequence` of a control plane's store.
    Store {
        /// Changes when the store is restored, moved or re-keyed.
        epoch: u64,
        /// Grows by one with every change.
        sequence: u64,
    },
    /// `file.` and the first 6 bytes of the hash over all input files.
    File([u8; 6]),
}

impl fmt::Display for Revision {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store { epoch, sequence } => write!(out, "{epoch}.{sequence}"),
            Self::File(hash) => {
                out.write_str("file.")?;
                hash.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn revisions_print_as_the_contract_says() {
        assert_eq!(Revision::Store { epoch: 3, sequence: 41 }.to_string(), "3.41");
        assert_eq!(Revision::File([0, 1, 2, 0xab, 0xcd, 0xef]).to_string(), "file.000102abcdef");
    }
}
