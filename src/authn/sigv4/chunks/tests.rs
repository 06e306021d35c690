//! Amazon's own examples, and that nothing else than what was signed comes out whole.

use http::{HeaderMap, HeaderName, HeaderValue};

use super::*;
use crate::authn::sigv4::{Credential, Key, Profile, Signed};
use crate::types::Secret;

const SECRET: &[u8] = b"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
const SIGNED: &str = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";
const SIGNED_TRAILER: &str = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER";
const UNSIGNED_TRAILER: &str = "STREAMING-UNSIGNED-PAYLOAD-TRAILER";
/// The signature of the request in Amazon's example, and those of its chunks of 65,536, 1,024 and 0 bytes.
const EXAMPLE: (&str, [&str; 3]) = (
    "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9",
    [
        "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
        "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
        "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
    ],
);
/// The same with a trailer, and the trailer's.
const EXAMPLE_TRAILER: (&str, [&str; 3], &str) = (
    "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e",
    [
        "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
        "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
        "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992",
    ],
    "d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435",
);

fn headers(lines: &[(&str, &str)]) -> HeaderMap {
    let pair = |(name, value): &(&str, &str)| (HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap());
    lines.iter().map(pair).collect()
}

/// What takes apart the body of a request whose head verifies.
fn chunks_of(lines: &[(&str, &str)], signature: &str) -> Chunks {
    let mut lines = [lines, &[("host", "s3.amazonaws.com"), ("x-amz-date", "20130524T000000Z")]].concat();
    lines.sort_unstable();
    let names = lines.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders={names},Signature={signature}"
    );
    let headers = headers(&lines);
    let credential = Credential::from_header(authorization.as_bytes(), &headers, Profile::S3).unwrap();
    let key = Key::new(&Secret::new(SECRET)).derive(&credential.scope);
    let signed = Signed { method: "PUT", path: "/examplebucket/chunkObject.txt", query: "" };
    assert_eq!(credential.verify(&key, &signed, b""), Ok(true));
    credential.chunks(&key).unwrap()
}

/// Feeds a body in pieces of a size; what came out, and before the end was told.
fn fed(chunks: &Chunks, body: &[u8], size: usize) -> (Vec<u8>, Result<Vec<u8>, BadChunk>) {
    let (mut chunks, mut out) = (chunks.clone(), Vec::new());
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

fn example(chunks: [&str; 3], end: &str) -> Vec<u8> {
    let [first, second, last] = chunks;
    let a = |count| "a".repeat(count);
    let text = format!(
        "10000;chunk-signature={first}\r\n{}\r\n400;chunk-signature={second}\r\n{}\r\n0;chunk-signature={last}\r\n{end}",
        a(65_536),
        a(1_024)
    );
    text.into_bytes()
}

#[test]
fn amazons_examples_verify_however_they_are_cut() {
    let common =
        [("content-encoding", "aws-chunked"), ("x-amz-decoded-content-length", "66560"), ("x-amz-storage-class", "REDUCED_REDUNDANCY")];
    let plain = [&common[..], &[("content-length", "66824"), ("x-amz-content-sha256", SIGNED)]].concat();
    let plain = (chunks_of(&plain, EXAMPLE.0), example(EXAMPLE.1, "\r\n"));
    assert_eq!(plain.1.len(), 66_824);
    let with_trailer = [&common[..], &[("x-amz-content-sha256", SIGNED_TRAILER), ("x-amz-trailer", "x-amz-checksum-crc32c")]].concat();
    let with_trailer = chunks_of(&with_trailer, EXAMPLE_TRAILER.0);
    let end = |feed: &str| format!("x-amz-checksum-crc32c:sOO8/Q=={feed}\r\nx-amz-trailer-signature:{}\r\n\r\n", EXAMPLE_TRAILER.2);
    let cases = [
        plain,
        (with_trailer.clone(), example(EXAMPLE_TRAILER.1, &end(""))),
        // As Amazon's documentation, and minio's clients, write it.
        (with_trailer, example(EXAMPLE_TRAILER.1, &end("\n"))),
    ];
    for (chunks, body) in &cases {
        for size in [1, 2, 63, 1_000, 65_000, body.len()] {
            let (before, whole) = fed(chunks, body, size);
            assert_eq!(whole.as_deref(), Ok(&[b'a'; 66_560][..]), "{size}");
            assert_eq!(before.len(), 65_536, "the last chunk waits for the end: {size}");
        }
    }
}

/// Signs a body in chunks of these sizes, the empty one at the end included.
struct Signer {
    seal: Seal,
    upload: Upload,
}

impl Signer {
    fn new(framing: Framing, decoded_bytes: u64) -> Self {
        let trailer = framing.has_trailer().then_some(Algorithm::Crc32);
        let seal = Seal {
            key: SigningKey::of(b"a key of some scope"),
            lines: "20130524T000000Z\n20130524/us-east-1/s3/aws4_request\n".into(),
            previous: "7".repeat(64).into_bytes(),
        };
        Self { seal, upload: Upload { framing, decoded_bytes, trailer } }
    }

    fn chunks(&self) -> Chunks {
        Chunks::new(self.upload, self.seal.clone())
    }

    fn sign(&self, previous: &mut String, algorithm: &str, before: &str, content: &[u8]) -> String {
        let mut hash = Vec::new();
        hex_into(&mut hash, digest(&SHA256, content).as_ref());
        let string = format!("{algorithm}\n{}{previous}\n{before}{}", self.seal.lines, String::from_utf8(hash).unwrap());
        let mut signature = Vec::new();
        hex_into(&mut signature, &self.seal.key.mac(string.as_bytes()));
        *previous = String::from_utf8(signature).unwrap();
        previous.clone()
    }

    fn body(&self, pieces: &[&[u8]]) -> Vec<u8> {
        let mut previous = "7".repeat(64);
        let mut body = Vec::new();
        let mut running = Running::new(Algorithm::Crc32);
        for piece in pieces.iter().copied().chain([&b""[..]]) {
            running.update(piece);
            body.extend_from_slice(format!("{:x}", piece.len()).as_bytes());
            if self.upload.framing.is_signed() {
                let signature = self.sign(&mut previous, "AWS4-HMAC-SHA256-PAYLOAD", EMPTY_SHA256_LINE, piece);
                body.extend_from_slice(format!(";chunk-signature={signature}").as_bytes());
            }
            body.extend_from_slice(b"\r\n");
            if !piece.is_empty() {
                body.extend_from_slice(piece);
                body.extend_from_slice(b"\r\n");
            }
        }
        if self.upload.framing.has_trailer() {
            let trailer = format!("x-amz-checksum-crc32:{}", running.finish());
            body.extend_from_slice(format!("{trailer}\r\n").as_bytes());
            if self.upload.framing.is_signed() {
                let signature = self.sign(&mut previous, "AWS4-HMAC-SHA256-TRAILER", "", format!("{trailer}\n").as_bytes());
                body.extend_from_slice(format!("x-amz-trailer-signature:{signature}\r\n").as_bytes());
            }
        }
        body.extend_from_slice(b"\r\n");
        body
    }
}

const FRAMINGS: [Framing; 3] = [Framing::Signed, Framing::SignedTrailer, Framing::UnsignedTrailer];
const PIECES: [&[u8]; 3] = [b"the first chunk, ", b"the second one, ", b"and the last"];

#[test]
fn no_changed_byte_of_a_chunked_body_verifies() {
    let good = PIECES.concat();
    let (mut tried, mut seed) = (0u32, 1u32);
    for framing in FRAMINGS {
        let signer = Signer::new(framing, good.len() as u64);
        let (chunks, body) = (signer.chunks(), signer.body(&PIECES));
        assert_eq!(fed(&chunks, &body, body.len()).1.as_deref(), Ok(good.as_slice()));
        while tried < 34_000 * (1 + framing as u32) {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let place = (seed >> 8) as usize % body.len();
            let flip = u8::try_from(seed >> 3 & 0xFF).unwrap().max(1);
            let mut changed = body.clone();
            changed[place] ^= flip;
            // Which case the digits of a size are in says nothing, and is not signed.
            if changed.eq_ignore_ascii_case(&body) && changed[place].is_ascii_hexdigit() && fed(&chunks, &changed, 7).1.is_ok() {
                let before = &body[..place];
                assert!(before.is_empty() || before.ends_with(b"\r\n") || before[..place - 1].ends_with(b"\r\n"), "{place}");
                continue;
            }
            let (out, whole) = fed(&chunks, &changed, 1 + tried as usize % 50);
            assert!(whole.is_err(), "{framing:?}: byte {place} may be {}", changed[place]);
            assert!(out.len() < good.len(), "{framing:?}: not the whole of it");
            assert!(!framing.is_signed() || good.starts_with(&out), "{framing:?}: only what was signed");
            tried += 1;
        }
    }
    assert!(tried >= 100_000, "{tried}");
}

#[test]
fn a_body_whose_end_is_missing_keeps_its_last_piece() {
    let good = PIECES.concat();
    for framing in FRAMINGS {
        let signer = Signer::new(framing, good.len() as u64);
        let (chunks, body) = (signer.chunks(), signer.body(&PIECES));
        for length in 0..body.len() {
            let (out, whole) = fed(&chunks, &body[..length], 5);
            assert_eq!(whole, Err(BadChunk::Cut), "{framing:?} {length}");
            assert!(out.len() < good.len() && good.starts_with(&out), "{framing:?} {length}");
        }
        let longer = [body.as_slice(), b"x"].concat();
        assert_eq!(fed(&chunks, &longer, 5).1, Err(BadChunk::More), "{framing:?}");
        assert!(fed(&chunks, &longer, 5).0.len() < good.len());
        let empty = Signer::new(framing, 0);
        assert_eq!(fed(&empty.chunks(), &empty.body(&[]), 3), (Vec::new(), Ok(Vec::new())), "{framing:?}");
        assert_eq!(fed(&empty.chunks(), b"", 3).1, Err(BadChunk::Cut));
    }
}

#[test]
fn what_is_not_exactly_the_announced_body_is_refused_with_its_cause() {
    let good = PIECES.concat();
    let length = good.len() as u64;
    let check = |framing, announced, body: &[u8], expected| {
        let signer = Signer::new(framing, announced);
        let (out, whole) = fed(&signer.chunks(), body, 9);
        assert_eq!(whole, Err(expected), "{}", String::from_utf8_lossy(body));
        assert!((out.len() as u64) < announced.max(1), "{}", String::from_utf8_lossy(body));
    };
    for framing in FRAMINGS {
        let body = Signer::new(framing, length).body(&PIECES);
        check(framing, length - 1, &body, BadChunk::Length);
        check(framing, length + 1, &body, BadChunk::Length);
        // Chunks that were signed, in another order, one left out, one doubled.
        let swapped = Signer::new(framing, length).body(&[PIECES[1], PIECES[0], PIECES[2]]);
        let first = body.windows(2).position(|pair| pair == b"\r\n").unwrap() + 2;
        let mut mixed = body[..first].to_vec();
        mixed.extend_from_slice(&swapped[first..]);
        assert!(fed(&Signer::new(framing, length).chunks(), &mixed, 9).1.is_err());
    }
    let unsigned = |body: &str, announced, expected| check(Framing::UnsignedTrailer, announced, body.as_bytes(), expected);
    let end = "0\r\nx-amz-checksum-crc32:y/Q5Jg==\r\n\r\n";
    let good = format!("9\r\n123456789\r\n{end}");
    assert!(fed(&Signer::new(Framing::UnsignedTrailer, 9).chunks(), good.as_bytes(), 4).1.is_ok());
    for line in ["", "+9", "-9", " 9", "9 ", "0x9", "9;", "9;a=b", "9\n", "9\r", "00000000000000009", "g", "9;chunk-signature=00"] {
        unsigned(&good.replacen("9\r", &format!("{line}\r"), 1), 9, BadChunk::Line);
    }
    assert!(fed(&Signer::new(Framing::UnsignedTrailer, 9).chunks(), good.replacen('9', "0000000000000009", 1).as_bytes(), 4).1.is_ok());
    unsigned(&good.replacen('9', "ffffffffffffffff", 1), 9, BadChunk::Length);
    unsigned(&good.replacen('9', "a", 1), 9, BadChunk::Length);
    unsigned(&good.replacen('9', "0", 1), 9, BadChunk::Length);
    unsigned(&good.replace("123456789\r\n", "1234567890\r\n"), 9, BadChunk::Line);
    unsigned(&good.replace("123456789", "123456788"), 9, BadChunk::Checksum);
    unsigned(&good.replace("crc32:", "crc32c:"), 9, BadChunk::Trailer);
    unsigned(&good.replace("x-amz-checksum-crc32:y/Q5Jg==\r\n", ""), 9, BadChunk::Trailer);
    unsigned(&good.replace("Jg==\r\n", "Jg==\r\nx-amz-meta-a:b\r\n"), 9, BadChunk::Line);
    unsigned(&format!("{}\r\n", "9".repeat(300)), 9, BadChunk::Line);
    let long = format!("{:x};chunk-signature={}\r\n", CHUNK_BYTES_MAX + 1, "0".repeat(64));
    check(Framing::Signed, 1 << 30, long.as_bytes(), BadChunk::TooLarge);
    check(Framing::Signed, 9, good.as_bytes(), BadChunk::Line);
}

#[test]
fn what_a_head_says_about_chunks_is_read_strictly() {
    let read = |framing, lines: &[(&str, &str)]| Upload::read(framing, &headers(lines)).map(|upload| upload.decoded_bytes);
    let (length, trailer) = (("x-amz-decoded-content-length", "5"), ("x-amz-trailer", "x-amz-checksum-crc32"));
    assert_eq!(read(Framing::Signed, &[length]), Ok(5));
    assert_eq!(read(Framing::UnsignedTrailer, &[length, trailer]), Ok(5));
    for text in ["", "+5", "-5", "5 5", "5.0", "0x5", "1125899906842625", "99999999999999999999"] {
        assert_eq!(read(Framing::Signed, &[("x-amz-decoded-content-length", text)]), Err(Malformed::DecodedLength), "{text}");
    }
    assert_eq!(read(Framing::Signed, &[]), Err(Malformed::DecodedLength));
    assert!(matches!(read(Framing::Signed, &[length, length]), Err(Malformed::Twice(_))));
    assert_eq!(read(Framing::Signed, &[length, trailer]), Err(Malformed::Trailer));
    assert_eq!(read(Framing::SignedTrailer, &[length]), Err(Malformed::Trailer));
    for name in ["", "x-amz-checksum-md5", "X-Amz-Checksum-Crc32", "x-amz-checksum-crc32,x-amz-checksum-sha1", "x-amz-meta-a"] {
        assert_eq!(read(Framing::SignedTrailer, &[length, ("x-amz-trailer", name)]), Err(Malformed::Trailer), "{name}");
    }
    let chunked = |kind, profile| {
        let credential = format!(
            "AWS4-HMAC-SHA256 Credential=K/20130524/us-east-1/s3/aws4_request,SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length,Signature={}",
            "0".repeat(64)
        );
        let headers = headers(&[("host", "h"), ("x-amz-content-sha256", kind), ("x-amz-date", "20130524T000000Z"), length]);
        Credential::from_header(credential.as_bytes(), &headers, profile).map(|_| ())
    };
    assert_eq!(chunked(SIGNED, Profile::S3), Ok(()));
    assert_eq!(chunked(SIGNED, Profile::Generic), Err(Malformed::Streaming));
    assert_eq!(chunked("STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD", Profile::S3), Err(Malformed::Streaming));
    assert_eq!(chunked(UNSIGNED_TRAILER, Profile::S3), Err(Malformed::Trailer));
}
