//! The query of a target, pair by pair: what of it is a presigned credential.

use std::borrow::Cow;

use crate::types::path::percent_decoded;

/// The parameters that carry a presigned credential, in lower case.
const PARAMETERS: [&str; 8] = [
    "x-amz-algorithm",
    "x-amz-credential",
    "x-amz-date",
    "x-amz-expires",
    "x-amz-signedheaders",
    "x-amz-signature",
    "x-amz-security-token",
    "x-amz-content-sha256",
];
/// Those of them that say that one is presented.
const CLAIMS: [&str; 3] = ["x-amz-algorithm", "x-amz-credential", "x-amz-signature"];

/// Name and value of every pair, as they were sent. A name without `=` has an empty value.
pub(super) fn pairs(query: &str) -> impl Iterator<Item = (&str, &str)> {
    query.split(is('&')).map(|pair| pair.split_once(is('=')).unwrap_or((pair, "")))
}

/// A search for one character that looks at each: for pieces so short that is faster than the search that needs a start.
pub(super) fn is(wanted: char) -> impl FnMut(char) -> bool {
    move |character| character == wanted
}

/// Whether a query claims to be presigned, in whatever spelling.
#[must_use]
pub fn is_presigned(query: &str) -> bool {
    may_be_presigned(query.as_bytes()) && pairs(query).any(|(name, _)| is_one_of(name, &CLAIMS))
}

/// Whether `mz` stands somewhere, which all of [`CLAIMS`] have, or a byte that is encoded with one of these digits. Looks at every byte, so that it looks at many at once.
fn may_be_presigned(query: &[u8]) -> bool {
    let next = query.get(1..).unwrap_or_default();
    query.iter().zip(next).fold(false, |found, (one, next)| {
        let plain = (one | 0x20 == b'm') & (next | 0x20 == b'z');
        let encoded = (*one == b'%') & (next & 0xfc == 0x34);
        found | plain | encoded
    })
}

/// Whether a query carries a session token, in whatever spelling.
#[must_use]
pub fn has_session_token(query: &str) -> bool {
    pairs(query).any(|(name, _)| is_one_of(name, &["x-amz-security-token"]))
}

/// A target without its presigned credential, all else as it was sent; `None` when it carries none.
#[must_use]
pub fn without_credential(target: &str) -> Option<String> {
    let (path, query) = target.split_once('?')?;
    if !pairs(query).any(|(name, _)| is_one_of(name, &PARAMETERS)) {
        return None;
    }
    let mut left = path.to_owned();
    let mut separator = '?';
    for pair in query.split('&').filter(|pair| !is_one_of(pair.split_once('=').map_or(*pair, |(name, _)| name), &PARAMETERS)) {
        left.push(separator);
        left.push_str(pair);
        separator = '&';
    }
    Some(left)
}

/// Whether a backend could read a name as one of these: it may decode it, and not look at letter case.
fn is_one_of(name: &str, known: &[&str]) -> bool {
    // None of them is shorter, and encoding only lengthens.
    if name.len() < 10 {
        return false;
    }
    let name = decoded(name);
    name.is_some_and(|name| known.iter().any(|known| name.eq_ignore_ascii_case(known)))
}

/// Percent-decoded once; `None` when a `%` begins no byte or the bytes are no text.
pub(super) fn decoded(text: &str) -> Option<Cow<'_, str>> {
    match percent_decoded(text)? {
        Cow::Borrowed(_) => Some(Cow::Borrowed(text)),
        Cow::Owned(bytes) => String::from_utf8(bytes).ok().map(Cow::Owned),
    }
}
