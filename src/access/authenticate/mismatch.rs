//! A signature that does not fit: a stranger is told no more than that, and who has a key in debug mode what it was compared with.

use aws_lc_rs::digest::{SHA256, digest};

use crate::access::decision::Denial;
use crate::types::{Reason, hex};

/// How many characters of an AWS string to sign are its last line: the SHA-256 of the canonical request.
const LAST_LINE_CHARS: usize = 64;

/// The refusal of a signature that does not fit. `digests` says what it was compared with.
///
/// SECURITY: all that was signed is what was sent, and even of that only digests are told, and only of a key whose owner has asked for
/// it. Of any other nothing is computed (test `only_a_key_in_debug_mode_says_what_was_compared`).
pub(super) fn refusal(is_debugged: bool, digests: impl FnOnce() -> String) -> Denial {
    if is_debugged { Denial::with(Reason::SignatureMismatch, digests()) } else { Denial::new(Reason::SignatureMismatch) }
}

/// The digest of a string to sign of the platform's own schemes.
pub(super) fn of_string(string: &[u8]) -> String {
    format!("the key is in debug mode: of the string to sign the SHA-256 is {}", hex(digest(&SHA256, string).as_ref()))
}

/// The digests of an AWS string to sign, and of the canonical request that it ends with.
pub(super) fn of_aws_string(string: &[u8]) -> String {
    let canonical = string.len().checked_sub(LAST_LINE_CHARS).and_then(|start| string.get(start..)).unwrap_or_default();
    format!("{}, of the canonical request {}", of_string(string), String::from_utf8_lossy(canonical))
}
