//! Signing for a backend that takes nothing but AWS signatures, as Amazon S3 wants it.

use std::fmt;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::canonical::{encode_into, hex_into, value_into};
use super::credential::Scope;
use super::key::Key;
use super::query::pairs;
use super::{ALGORITHM, TERMINATOR, UNSIGNED_PAYLOAD};
use crate::types::path::percent_decoded;
use crate::types::{Secret, Timestamp};

const DATE: HeaderName = HeaderName::from_static("x-amz-date");
const CONTENT_SHA256: HeaderName = HeaderName::from_static("x-amz-content-sha256");

/// An access key of the backend's, and for what it signs.
#[derive(Clone)]
pub struct Signer {
    access_key: Box<str>,
    key: Key,
    region: Box<str>,
    service: Box<str>,
}

/// What of an outgoing request is signed, beside its headers: all of the bytes that the backend gets.
#[derive(Debug, Clone, Copy)]
pub struct Outgoing<'a> {
    /// The method.
    pub method: &'a str,
    /// Path and query.
    pub target: &'a str,
    /// SHA-256 of the body, where it is known.
    pub body_sha256: Option<[u8; 32]>,
}

impl Signer {
    /// Region and service must be able to stand in a credential scope.
    #[must_use]
    pub fn new(access_key: &str, secret: &Secret, region: &str, service: &str) -> Self {
        Self { access_key: access_key.into(), key: Key::new(secret), region: region.into(), service: service.into() }
    }

    /// Puts in the headers that sign a request. Signed are method, target, `host` and every `x-amz-*` header; of the body its hash, or
    /// that it is not signed.
    ///
    /// The backend reads the target and signs what it has read, so paths and queries are brought into the canonical form here: decoded
    /// once and encoded anew.
    ///
    /// # Errors
    /// [`Unsignable`] when no signature would be the one that the backend expects. Nothing was put in then.
    pub fn sign(&self, outgoing: &Outgoing<'_>, headers: &mut HeaderMap, now: Timestamp) -> Result<(), Unsignable> {
        let time = time(now).ok_or(Unsignable)?;
        let day = time.get(..8).ok_or(Unsignable)?;
        let credential = [&self.access_key, "/", day, "/", &self.region, "/", &self.service, "/", TERMINATOR].concat();
        let scope = Scope::parse(credential.as_str().into()).ok_or(Unsignable)?;
        let mut payload = Vec::with_capacity(64);
        match &outgoing.body_sha256 {
            Some(hash) => hex_into(&mut payload, hash),
            None => payload.extend_from_slice(UNSIGNED_PAYLOAD.as_bytes()),
        }
        let mut signed = headers.clone();
        signed.insert(DATE, HeaderValue::from_str(&time).map_err(|_| Unsignable)?);
        signed.insert(CONTENT_SHA256, HeaderValue::from_bytes(&payload).map_err(|_| Unsignable)?);
        let mut names: Vec<HeaderName> =
            signed.keys().filter(|name| *name == http::header::HOST || name.as_str().starts_with("x-amz-")).cloned().collect();
        names.sort_unstable_by(|one, other| one.as_str().cmp(other.as_str()));
        let canonical = canonical_request(outgoing, &signed, &names, &payload)?;

        let mut string = [ALGORITHM, "\n", &time, "\n", scope.text(), "\n"].concat().into_bytes();
        hex_into(&mut string, aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &canonical).as_ref());
        let mut authorization =
            [ALGORITHM, " Credential=", &credential, ", SignedHeaders=", &joined(&names), ", Signature="].concat().into_bytes();
        hex_into(&mut authorization, &self.key.derive(&scope).mac(&string));
        let mut authorization = HeaderValue::from_maybe_shared(bytes::Bytes::from(authorization)).map_err(|_| Unsignable)?;
        authorization.set_sensitive(true);
        signed.insert(AUTHORIZATION, authorization);
        *headers = signed;
        Ok(())
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Signer(..)")
    }
}

/// A request that no signature would fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the request cannot be signed for the backend")]
pub struct Unsignable;

fn canonical_request(outgoing: &Outgoing<'_>, headers: &HeaderMap, names: &[HeaderName], payload: &[u8]) -> Result<Vec<u8>, Unsignable> {
    let (path, query) = outgoing.target.split_once('?').unwrap_or((outgoing.target, ""));
    let mut text = outgoing.method.as_bytes().to_vec();
    text.push(b'\n');
    for byte in percent_decoded(path).ok_or(Unsignable)?.iter() {
        if *byte == b'/' { text.push(*byte) } else { encode_into(&mut text, *byte) }
    }
    text.push(b'\n');
    let mut sorted = Vec::new();
    for (name, value) in pairs(query).filter(|(name, value)| !(name.is_empty() && value.is_empty())) {
        sorted.push((encoded(name)?, encoded(value)?));
    }
    sorted.sort_unstable();
    for (place, (name, value)) in sorted.iter().enumerate() {
        text.extend_from_slice(if place > 0 { b"&" } else { b"" });
        text.extend_from_slice(name);
        text.push(b'=');
        text.extend_from_slice(value);
    }
    text.push(b'\n');
    for name in names {
        text.extend_from_slice(name.as_str().as_bytes());
        for (place, value) in headers.get_all(name).iter().enumerate() {
            text.push(if place > 0 { b',' } else { b':' });
            value_into(&mut text, value);
        }
        text.push(b'\n');
    }
    text.push(b'\n');
    text.extend_from_slice(joined(names).as_bytes());
    text.push(b'\n');
    text.extend_from_slice(payload);
    Ok(text)
}

/// A name or value of a query in its canonical form. `+` is a space there.
fn encoded(text: &str) -> Result<Vec<u8>, Unsignable> {
    let mut encoded = Vec::with_capacity(text.len());
    percent_decoded(&text.replace('+', " ")).ok_or(Unsignable)?.iter().for_each(|byte| encode_into(&mut encoded, *byte));
    Ok(encoded)
}

fn joined(names: &[HeaderName]) -> String {
    names.iter().map(HeaderName::as_str).collect::<Vec<_>>().join(";")
}

/// `YYYYMMDDTHHMMSSZ`.
fn time(now: Timestamp) -> Option<String> {
    let text = now.to_string();
    let digits: String = text.get(..19)?.chars().filter(|character| !matches!(character, '-' | ':')).collect();
    (digits.len() == 15).then(|| digits + "Z")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authn::sigv4::{Credential, Profile, Signed};

    const NOW_MS: i64 = 1_795_213_785_678;

    fn signed(target: &str, lines: &[(&'static str, &'static str)]) -> Result<HeaderMap, Unsignable> {
        let signer = Signer::new("AKIDEXAMPLE", &Secret::new(*b"a secret of the backend's"), "kr-west1", "s3");
        let mut headers: HeaderMap =
            lines.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect();
        let outgoing = Outgoing { method: "PUT", target, body_sha256: None };
        signer.sign(&outgoing, &mut headers, Timestamp::from_milliseconds(NOW_MS)).map(|()| headers)
    }

    #[test]
    fn what_is_signed_for_a_backend_verifies() {
        let key = Key::new(&Secret::new(*b"a secret of the backend's"));
        let lines = [("host", "127.0.0.1:9000"), ("x-amz-meta-a", " two  spaces "), ("accept", "*/*"), ("content-type", "text/plain")];
        for (target, canonical_path, canonical_query) in [
            ("/", "/", ""),
            ("/bucket/a%20key%2fwith/%ED%95%9C(x)~%7e", "/bucket/a%20key/with/%ED%95%9C%28x%29~~", ""),
            ("/bucket/a+b?uploads", "/bucket/a%2Bb", "uploads="),
            ("/bucket?prefix=a/b&list-type=2&z=x+y%2B", "/bucket", "list-type=2&prefix=a%2Fb&z=x%20y%2B"),
            ("/bucket?", "/bucket", ""),
        ] {
            let headers = signed(target, &lines).unwrap();
            assert_eq!(headers["x-amz-date"], "20261120T222945Z");
            let authorization = headers[AUTHORIZATION].as_bytes();
            let credential = Credential::from_header(authorization, &headers, Profile::S3).unwrap();
            let signed = Signed { method: "PUT", path: canonical_path, query: canonical_query };
            assert_eq!(credential.verify(&key.derive(&credential.scope), &signed, b""), Ok(true), "{target}");
            assert!(authorization.starts_with(b"AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261120/kr-west1/s3/aws4_request, SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-meta-a, Signature="));
        }
        assert_eq!(signed("/bucket/%zz", &lines), Err(Unsignable));
        assert_eq!(signed("/bucket?a=%4", &lines), Err(Unsignable));
    }

    #[test]
    fn a_signer_shows_nothing() {
        let signer = Signer::new("AKIDEXAMPLE", &Secret::new(*b"hunter2"), "r", "s3");
        assert_eq!(format!("{signer:?}"), "Signer(..)");
        assert!(headers_show_nothing(&signed("/", &[("host", "h")]).unwrap()));
    }

    fn headers_show_nothing(headers: &HeaderMap) -> bool {
        !format!("{headers:?}").contains("Credential=")
    }
}
