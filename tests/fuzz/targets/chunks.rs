//! A body in chunks: its framing (a byte), its announced length (a byte), how it is cut (a byte), and the body as it is sent.

#![no_main]

use std::sync::LazyLock;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use libfuzzer_sys::fuzz_target;
use portcullis::authn::sigv4::{BadChunk, Chunks, Credential, Key, Profile};
use portcullis::types::Secret;

const AUTHORIZATION: &str = "AWS4-HMAC-SHA256 Credential=KEY/20130524/us-east-1/s3/aws4_request,\
    SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-trailer,\
    Signature=4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9";
const KINDS: [&str; 2] = ["STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"];

static KEY: LazyLock<Key> = LazyLock::new(|| Key::new(&Secret::new(*b"a secret that nobody has guessed")));

fn chunks(kind: &'static str, length: u8) -> Chunks {
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("host", "h"),
        ("x-amz-content-sha256", kind),
        ("x-amz-date", "20130524T000000Z"),
        ("x-amz-trailer", "x-amz-checksum-crc32"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert("x-amz-decoded-content-length", HeaderValue::from(u64::from(length)));
    let credential = Credential::from_header(AUTHORIZATION.as_bytes(), &headers, Profile::S3).expect("a good head");
    credential.chunks(&KEY.derive(&credential.scope)).expect("in chunks")
}

/// What comes out of a body that is fed in pieces of a size, and how it ends.
fn fed(mut chunks: Chunks, body: &[u8], size: usize) -> (Vec<u8>, Result<Vec<u8>, BadChunk>) {
    let mut out = Vec::new();
    for piece in body.chunks(size) {
        let mut piece = Bytes::copy_from_slice(piece);
        loop {
            match chunks.push(&mut piece) {
                Ok(Some(verified)) => out.extend_from_slice(&verified),
                Ok(None) => break,
                Err(error) => return (out, Err(error)),
            }
        }
    }
    let end = chunks.finish().map(|last| [out.as_slice(), &last.unwrap_or_default()].concat());
    (out, end)
}

fuzz_target!(|input: (bool, u8, u8, &[u8])| {
    let (is_signed, length, size, body) = input;
    let chunks = chunks(if is_signed { KINDS[0] } else { KINDS[1] }, length);
    let (out, whole) = fed(chunks.clone(), body, 1 + usize::from(size));
    let (at_once, same) = fed(chunks, body, body.len().max(1));
    assert_eq!(whole, same, "however it is cut");
    match whole {
        Ok(whole) => assert!(!is_signed && whole.len() == usize::from(length), "a forgery"),
        Err(_) => assert!(out.len() < usize::from(length).max(1) && at_once.len() < usize::from(length).max(1), "never the whole"),
    }
});
