//! A body in chunks, and the bytes that say how: its framing and its checksum (a byte), its announced length (a byte), how it is cut (a byte).
//! The body is as it is sent, or it is the content, and is signed here in chunks; then the second byte says where one byte of it is changed.

#![no_main]

use std::fmt::Write as _;
use std::sync::LazyLock;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use libfuzzer_sys::fuzz_target;
use portcullis::authn::sigv4::{BadChunk, Chunks, Credential, Key, Profile};
use portcullis::types::{Secret, SigningKey};

const SECRET: &str = "a secret that nobody has guessed";
const SIGNATURE: &str = "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9";
const SCOPE: [&str; 4] = ["20130524", "us-east-1", "s3", "aws4_request"];
const TIME: &str = "20130524T000000Z";
const UNSIGNED: &str = "STREAMING-UNSIGNED-PAYLOAD-TRAILER";
const SIGNED: &str = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";
const SIGNED_TRAILER: &str = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER";
const TRAILERS: [&str; 5] =
    ["x-amz-checksum-crc32", "x-amz-checksum-crc32c", "x-amz-checksum-crc64nvme", "x-amz-checksum-sha1", "x-amz-checksum-sha256"];

static KEY: LazyLock<Key> = LazyLock::new(|| Key::new(&Secret::new(SECRET.as_bytes())));
/// The same as a client has it.
static SIGNER: LazyLock<SigningKey> = LazyLock::new(|| {
    let first = SigningKey::of(format!("AWS4{SECRET}").as_bytes());
    SCOPE.iter().fold(first, |key, part| SigningKey::of(&key.mac(part.as_bytes())))
});

fn chunks(kind: &'static str, trailer: Option<&'static str>, length: u64) -> Chunks {
    let mut headers = HeaderMap::new();
    for (name, value) in [("host", "h"), ("x-amz-content-sha256", kind), ("x-amz-date", TIME)] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert("x-amz-decoded-content-length", HeaderValue::from(length));
    if let Some(trailer) = trailer {
        headers.insert("x-amz-trailer", HeaderValue::from_static(trailer));
    }
    let last = if trailer.is_some() { ";x-amz-trailer" } else { "" };
    let names = format!("host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length{last}");
    let scope = SCOPE.join("/");
    let authorization = format!("AWS4-HMAC-SHA256 Credential=KEY/{scope},SignedHeaders={names},Signature={SIGNATURE}");
    let credential = Credential::from_header(authorization.as_bytes(), &headers, Profile::S3).expect("a good head");
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

fuzz_target!(|input: (u8, u8, u8, &[u8])| {
    let (kind, length, size, body) = input;
    let trailer = TRAILERS[usize::from(kind / 4) % TRAILERS.len()];
    let size = 1 + usize::from(size);
    match kind % 4 {
        0 => as_sent(chunks(UNSIGNED, Some(trailer), length.into()), false, length.into(), size, body),
        1 => as_sent(chunks(SIGNED_TRAILER, Some(trailer), length.into()), true, length.into(), size, body),
        2 => as_signed(SIGNED, None, body, size, length),
        _ => as_signed(SIGNED_TRAILER, Some(TRAILERS[0]), body, size, length),
    }
});

fn as_sent(chunks: Chunks, is_signed: bool, length: usize, size: usize, body: &[u8]) {
    let (out, whole) = fed(chunks.clone(), body, size);
    let (at_once, same) = fed(chunks, body, body.len().max(1));
    assert_eq!(whole, same, "however it is cut");
    match whole {
        Ok(whole) => assert!(!is_signed && whole.len() == length, "a forgery"),
        Err(_) => assert!(out.len() < length.max(1) && at_once.len() < length.max(1), "never the whole"),
    }
}

/// What is signed comes out whole; with one bit changed it comes out the same (the case of a digit is not signed) or not whole.
fn as_signed(kind: &'static str, trailer: Option<&'static str>, content: &[u8], size: usize, changed: u8) {
    // A chunk costs some microseconds of signing and verifying, so there are few.
    let size = size.max(content.len() / 8);
    let mut body = signed(content, size, trailer);
    let fresh = chunks(kind, trailer, content.len() as u64);
    assert_eq!(fed(fresh.clone(), &body, size).1.as_deref(), Ok(content), "what was signed");
    let place = body.len() * usize::from(changed) / 256;
    body[place] ^= 1 << (content.len() % 8);
    let (out, whole) = fed(fresh, &body, size);
    match whole {
        Ok(whole) => assert_eq!(whole, content, "a forgery"),
        Err(_) => assert!(out.len() < content.len().max(1) && content.starts_with(&out), "never the whole, and nothing else"),
    }
}

/// Content in chunks of a size, as a client signs it.
fn signed(content: &[u8], size: usize, trailer: Option<&str>) -> Vec<u8> {
    let mut previous = SIGNATURE.to_owned();
    let mut sign = |what: &str, before: &str, content: &[u8]| {
        let (scope, hash) = (SCOPE.join("/"), hex(digest(&SHA256, content).as_ref()));
        previous = hex(&SIGNER.mac(format!("AWS4-HMAC-SHA256-{what}\n{TIME}\n{scope}\n{previous}\n{before}{hash}").as_bytes()));
        previous.clone()
    };
    let empty = format!("{}\n", hex(digest(&SHA256, b"").as_ref()));
    let mut body = Vec::new();
    for piece in content.chunks(size).chain([&b""[..]]) {
        let signature = sign("PAYLOAD", &empty, piece);
        body.extend_from_slice(format!("{:x};chunk-signature={signature}\r\n", piece.len()).as_bytes());
        body.extend_from_slice(piece);
        body.extend_from_slice(if piece.is_empty() { b"" } else { b"\r\n" });
    }
    if let Some(trailer) = trailer {
        let line = format!("{trailer}:{}", STANDARD.encode(crc32(content).to_be_bytes()));
        let signature = sign("TRAILER", "", format!("{line}\n").as_bytes());
        body.extend_from_slice(format!("{line}\r\nx-amz-trailer-signature:{signature}\r\n").as_bytes());
    }
    body.extend_from_slice(b"\r\n");
    body
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a text");
        text
    })
}

/// CRC-32 of ISO 3309, bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes
        .iter()
        .fold(!0, |crc: u32, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| crc >> 1 ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 }))
}
