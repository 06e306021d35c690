//! The canonical request and the string to sign.

use std::borrow::Cow;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use http::HeaderValue;
use smallvec::SmallVec;

use super::chunks::{Chunks, Seal};
use super::credential::{Carrier, Credential, Malformed, Payload};
use super::query::pairs;
use super::{ALGORITHM, QUERY_PAIRS_MAX, UNSIGNED_PAYLOAD};
use crate::types::path::hex_pair;
use crate::types::{SigningKey, hex};

/// How a service wants to be signed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// The path is encoded twice; a presigned request signs the hash of its body.
    Generic,
    /// Amazon S3: the path is encoded once; the body of a presigned request is not signed unless it says so.
    S3,
}

/// What of the request was signed.
#[derive(Debug, Clone, Copy)]
pub struct Signed<'a> {
    /// The method as sent.
    pub method: &'a str,
    /// The path's bytes as sent.
    pub path: &'a str,
    /// The query's bytes as sent, without `?`.
    pub query: &'a str,
}

impl Credential<'_> {
    /// Whether `key`, derived for its scope, signed exactly this request. `body` counts only where [`Payload::Body`] is signed: then it is the whole body.
    ///
    /// # Errors
    /// [`Malformed`] when the query cannot be read in one way only.
    pub fn verify(&self, key: &SigningKey, signed: &Signed<'_>, body: &[u8]) -> Result<bool, Malformed> {
        Ok(self.is_by(key, &self.string(signed, body)?))
    }

    /// The string that this request's signature has to cover.
    ///
    /// # Errors
    /// [`Malformed`] when the query cannot be read in one way only.
    pub fn string(&self, signed: &Signed<'_>, body: &[u8]) -> Result<Vec<u8>, Malformed> {
        Ok(self.string_to_sign(&self.canonical_request(signed, body)?))
    }

    /// Whether `key`, derived for its scope, signed that string. Compares in constant time.
    #[must_use]
    pub fn is_by(&self, key: &SigningKey, string: &[u8]) -> bool {
        verify_slices_are_equal(&key.mac(string), &self.signature).is_ok()
    }

    /// What takes the body apart and verifies it, where it comes in chunks. Only of use when [`Credential::verify`] has said yes.
    #[must_use]
    pub fn chunks(&self, key: &SigningKey) -> Option<Chunks> {
        let Payload::Chunks(upload) = &self.payload else { return None };
        let mut previous = Vec::with_capacity(64);
        hex_into(&mut previous, &self.signature);
        let lines = [&self.time, "\n", self.scope.text(), "\n"].concat().into();
        Some(Chunks::new(*upload, Seal { key: key.clone(), lines, previous }))
    }

    pub(super) fn string_to_sign(&self, canonical_request: &[u8]) -> Vec<u8> {
        let mut string = Vec::with_capacity(192);
        for part in [ALGORITHM, "\n", &self.time, "\n", self.scope.text(), "\n"] {
            string.extend_from_slice(part.as_bytes());
        }
        hex_into(&mut string, digest(&SHA256, canonical_request).as_ref());
        string
    }

    pub(super) fn canonical_request(&self, signed: &Signed<'_>, body: &[u8]) -> Result<Vec<u8>, Malformed> {
        let mut text = Vec::with_capacity(1_024);
        text.extend_from_slice(signed.method.as_bytes());
        text.push(b'\n');
        path_into(&mut text, signed.path, self.profile);
        text.push(b'\n');
        query_into(&mut text, signed.query, self.carrier)?;
        text.push(b'\n');
        for (name, values) in self.covered.lines() {
            text.extend_from_slice(name.as_bytes());
            for (place, value) in values.enumerate() {
                text.push(if place > 0 { b',' } else { b':' });
                value_into(&mut text, value);
            }
            text.push(b'\n');
        }
        text.push(b'\n');
        text.extend_from_slice(self.covered.names.as_bytes());
        text.push(b'\n');
        match &self.payload {
            Payload::Unsigned => text.extend_from_slice(UNSIGNED_PAYLOAD.as_bytes()),
            Payload::Sha256(hash) => hex_into(&mut text, hash),
            Payload::Body => hex_into(&mut text, digest(&SHA256, body).as_ref()),
            Payload::Chunks(upload) => text.extend_from_slice(upload.framing.name().as_bytes()),
        }
        Ok(text)
    }
}

/// The path as it was sent, encoded once more; for S3 only where it was not encoded at all.
fn path_into(text: &mut Vec<u8>, path: &str, profile: Profile) {
    let is_kept = |byte: &u8| is_unreserved(*byte) || *byte == b'/' || *byte == b'%' && profile == Profile::S3;
    let plain = path.bytes().position(|byte| !is_kept(&byte)).unwrap_or(path.len());
    let (plain, rest) = path.as_bytes().split_at_checked(plain).unwrap_or_default();
    text.extend_from_slice(plain);
    for byte in rest {
        if is_kept(byte) { text.push(*byte) } else { encode_into(text, *byte) }
    }
}

/// The pairs in order of their encoded names, then of their values; the signature itself left out.
///
/// SECURITY: encodings are kept as they were sent, so that no two queries that somebody could read differently are one here: who signs
/// the canonical form has to send it. Only what stands unencoded in it is encoded. Test: `no_changed_byte_verifies`.
fn query_into(text: &mut Vec<u8>, query: &str, carrier: Carrier) -> Result<(), Malformed> {
    if query.is_empty() {
        return Ok(());
    }
    let mut sorted: SmallVec<[(Cow<'_, str>, Cow<'_, str>); 16]> = SmallVec::new();
    for (name, value) in pairs(query) {
        if carrier == Carrier::Query && name == "X-Amz-Signature" {
            continue;
        }
        if sorted.len() == QUERY_PAIRS_MAX {
            return Err(Malformed::TooManyPairs);
        }
        sorted.push((query_text(name)?, query_text(value)?));
    }
    sorted.sort_unstable();
    for (place, (name, value)) in sorted.iter().enumerate() {
        if place > 0 {
            text.push(b'&');
        }
        text.extend_from_slice(name.as_bytes());
        text.push(b'=');
        text.extend_from_slice(value.as_bytes());
    }
    Ok(())
}

/// A name or value of a query. `+` and `;` stay what they are: one reader's space or separator is another's letter, and only a client
/// that signed exactly that byte can have meant it.
fn query_text(sent: &str) -> Result<Cow<'_, str>, Malformed> {
    let is_kept = |byte: u8| is_unreserved(byte) || matches!(byte, b'%' | b'+' | b';');
    if sent.bytes().all(|byte| byte != b'%' && is_kept(byte)) {
        return Ok(Cow::Borrowed(sent));
    }
    let mut rest = sent.as_bytes();
    while let Some(at) = rest.iter().position(|byte| *byte == b'%') {
        let pair = rest.get(at + 1..).and_then(|after| after.split_first_chunk::<2>());
        let Some(([high, low], after)) = pair else { return Err(Malformed::QueryEncoding) };
        hex_pair(Some(*high), Some(*low)).ok_or(Malformed::QueryEncoding)?;
        rest = after;
    }
    if sent.bytes().all(is_kept) {
        return Ok(Cow::Borrowed(sent));
    }
    let mut encoded = Vec::with_capacity(sent.len() + 16);
    for byte in sent.bytes() {
        if is_kept(byte) { encoded.push(byte) } else { encode_into(&mut encoded, byte) }
    }
    String::from_utf8(encoded).map(Cow::Owned).map_err(|_| Malformed::QueryEncoding)
}

/// A header's value without spaces around it, each stretch of spaces within it one.
pub(super) fn value_into(text: &mut Vec<u8>, value: &HeaderValue) {
    let value = value.as_bytes().trim_ascii();
    if !value.windows(2).any(|pair| pair == b"  ") {
        return text.extend_from_slice(value);
    }
    let mut before = b' ';
    for byte in value {
        if !(*byte == b' ' && before == b' ') {
            text.push(*byte);
        }
        before = *byte;
    }
}

pub(super) fn encode_into(text: &mut Vec<u8>, byte: u8) {
    if is_unreserved(byte) {
        text.push(byte);
    } else {
        let mut digits = [0; 2];
        hex::encode(&mut digits, &[byte]);
        let [high, low] = digits;
        text.extend_from_slice(&[b'%', high.to_ascii_uppercase(), low.to_ascii_uppercase()]);
    }
}

const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

pub(super) fn hex_into(text: &mut Vec<u8>, bytes: &[u8]) {
    let start = text.len();
    text.resize(start + 2 * bytes.len(), 0);
    hex::encode(text.get_mut(start..).unwrap_or_default(), bytes);
}
