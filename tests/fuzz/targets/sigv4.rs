//! An `Authorization` header, a target and header lines, a line each: reading and verifying an AWS signature. What is signed here over target
//! and headers, as for a backend, verifies.

#![no_main]

use std::sync::LazyLock;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};
use libfuzzer_sys::fuzz_target;
use portcullis::authn::sigv4::{Credential, Key, Outgoing, Profile, Signed, Signer, is_claimed, is_presigned, without_credential};
use portcullis::types::{Secret, Timestamp};

static SIGNER: LazyLock<Signer> = LazyLock::new(|| Signer::new("KEY", &Secret::new(*b"a secret that a backend knows"), "kr-west1", "s3"));
static THEIRS: LazyLock<Key> = LazyLock::new(|| Key::new(&Secret::new(*b"a secret that a backend knows")));
static KEY: LazyLock<Key> = LazyLock::new(|| Key::new(&Secret::new(*b"a secret that nobody has guessed")));

fuzz_target!(|text: &str| {
    let mut lines = text.split('\n');
    let (authorization, target) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let mut headers = HeaderMap::new();
    for line in lines {
        let Some((name, value)) = line.split_once(':') else { continue };
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value.trim())) {
            headers.append(name, value);
        }
    }
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let signed = Signed { method: "GET", path, query };
    for profile in [Profile::Generic, Profile::S3] {
        let by_header = Credential::from_header(authorization.as_bytes(), &headers, profile);
        assert!(by_header.is_err() || is_claimed(authorization.as_bytes()), "who reads it looks for it: {authorization:?}");
        let by_query = Credential::from_query(query, &headers, profile);
        assert!(by_query.is_err() || is_presigned(query), "who reads it looks for it: {query:?}");
        for credential in [by_header, by_query].into_iter().flatten() {
            assert_ne!(credential.verify(&KEY.derive(&credential.scope), &signed, b""), Ok(true), "a forgery");
        }
    }
    if let Some(left) = without_credential(target) {
        assert!(left.len() < target.len() && without_credential(&left).is_none(), "{target:?} {left:?}");
        assert!(!is_presigned(left.split_once('?').map_or("", |(_, query)| query)), "{left:?}");
    }
    signed_for_a_backend(target, &headers);
});

/// What is signed for a backend verifies, if there is one way to write it; with another method it never does.
fn signed_for_a_backend(target: &str, headers: &HeaderMap) {
    let mut headers = headers.clone();
    let before = headers.clone();
    let outgoing = Outgoing { method: "PUT", target, body_sha256: target.len().is_multiple_of(2).then_some([7; 32]) };
    if SIGNER.sign(&outgoing, &mut headers, Timestamp::from_milliseconds(1_795_213_785_678)).is_err() {
        assert_eq!(headers, before, "nothing was put in");
        return;
    }
    let authorization = headers[AUTHORIZATION].as_bytes();
    let Ok(credential) = Credential::from_header(authorization, &headers, Profile::S3) else { return };
    let key = THEIRS.derive(&credential.scope);
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let signed = Signed { method: "PUT", path, query };
    let verified = credential.verify(&key, &signed, b"");
    let is_plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte));
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let one_way = path.split('/').all(is_plain)
        && (query.is_empty() || pairs.all(|(name, value)| !name.is_empty() && is_plain(name) && is_plain(value)))
        && query.split('&').all(|pair| query.is_empty() || pair.contains('='));
    assert!(!one_way || verified != Ok(false), "{target:?}");
    assert_ne!(credential.verify(&key, &Signed { method: "GET", ..signed }, b""), Ok(true), "another method");
}
