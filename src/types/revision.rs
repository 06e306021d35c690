//! Revisions: which state of accounts, policies and keys decided a request (contracts C8).

use std::fmt;
use std::str::FromStr;

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

/// A text that is no revision.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a revision is `EPOCH.SEQUENCE`, or `file.` and 12 hexadecimal digits")]
pub struct RevisionError;

impl FromStr for Revision {
    type Err = RevisionError;

    fn from_str(text: &str) -> Result<Self, RevisionError> {
        let (first, second) = text.split_once('.').ok_or(RevisionError)?;
        let parsed = if first == "file" {
            let mut hash = [0; 6];
            for (index, byte) in hash.iter_mut().enumerate() {
                let pair = second.get(2 * index..2 * index + 2).ok_or(RevisionError)?;
                *byte = u8::from_str_radix(pair, 16).map_err(|_| RevisionError)?;
            }
            Self::File(hash)
        } else {
            let number = |text: &str| text.parse().map_err(|_| RevisionError);
            Self::Store { epoch: number(first)?, sequence: number(second)? }
        };
        // One spelling only: no signs, no zeros in front, nothing after.
        if parsed.to_string() == text { Ok(parsed) } else { Err(RevisionError) }
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

    #[test]
    fn a_revision_reads_back_and_has_one_spelling() {
        for text in ["3.41", "1795213784687.0", "file.000102abcdef"] {
            assert_eq!(text.parse::<Revision>().unwrap().to_string(), text);
        }
        for bad in [
            "",
            "3",
            "3.",
            ".4",
            "03.4",
            "+3.4",
            "3.4.5",
            "3.99999999999999999999",
            "file.",
            "file.00",
            "file.000102ABCDEF",
            "file.000102abcdef0",
        ] {
            assert!(bad.parse::<Revision>().is_err(), "{bad}");
        }
    }
}
