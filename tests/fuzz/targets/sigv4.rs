//! An `Authorization` header, a target and header lines, a line each: reading and verifying an AWS signature.

#![no_main]

use std::sync::LazyLock;

use http::{HeaderMap, HeaderName, HeaderValue};
use libfuzzer_sys::fuzz_target;
use portcullis::authn::sigv4::{Credential, Key, Profile, Signed, is_claimed, is_presigned, without_credential};
use portcullis::types::Secret;

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
    let signed = Signed { method: "GET", path, query, headers: &headers };
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
});
