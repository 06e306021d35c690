//! AWS Signature Version 4 (AWS4-HMAC-SHA256), in the `Authorization` header and as a presigned query.
//!
//! The signature covers the method, the path, the whole query, the headers that it names and a hash of the body. SECURITY: what is not
//! covered must not matter: `host` and every `x-amz-*` header must be signed, and nothing that can be read in two ways is brought into
//! one form here: it is refused. Tests: `what_is_not_exactly_a_signature_is_malformed`, `no_changed_byte_verifies`.

mod canonical;
mod checksum;
mod chunks;
mod credential;
mod key;
mod query;
mod sign;

pub use canonical::{Profile, Signed};
pub use checksum::Algorithm;
pub use chunks::{BadChunk, CHUNK_BYTES_MAX, Chunks, Framing, Upload};
pub use credential::{Credential, Malformed, Payload, Scope};
pub use key::Key;
pub use query::{has_session_token, is_presigned, without_credential};
pub use sign::{Outgoing, Signer, Unsignable};

/// The only algorithm.
const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// What every credential scope ends with.
const TERMINATOR: &str = "aws4_request";
/// What stands for the hash of a body that is not signed.
const UNSIGNED_PAYLOAD: &str = "UNSIGNED-PAYLOAD";
/// Most headers that a signature names.
pub const SIGNED_HEADERS_MAX: usize = 64;
/// Longest list of them, in bytes.
pub const SIGNED_HEADERS_BYTES_MAX: usize = 2_048;
/// Most pairs of a query that a signature covers.
pub const QUERY_PAIRS_MAX: usize = 512;
/// Longest life of a presigned URL, in seconds: seven days.
pub const EXPIRES_S_MAX: u32 = 604_800;
/// Longest access key, region or service in a credential scope, in bytes.
const SCOPE_PART_BYTES_MAX: usize = 64;

/// Whether the value of an `Authorization` header claims to be a signature of this family, well-formed or not.
#[must_use]
pub fn is_claimed(authorization: &[u8]) -> bool {
    authorization.get(..5).is_some_and(|start| start.eq_ignore_ascii_case(b"aws4-"))
}

#[cfg(test)]
mod tests;
