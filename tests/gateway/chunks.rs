//! Bodies in chunks (`aws-chunked`) end to end: what the backend gets of them, and that it never gets the whole of one that is not
//! what was signed.

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::aws::{ALLOW, Aws, EMPTY, MALFORMED, MISMATCH, hex, mac, sha256};
use super::backend::{Backend, Seen};
use super::client::{Broken, NOW_MS, Who};
use super::harness::{ADMIN, Setup, World, text};
use super::streaming::{chunked, large};

const SIGNED: &str = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";
const SIGNED_TRAILER: &str = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER";
const UNSIGNED_TRAILER: &str = "STREAMING-UNSIGNED-PAYLOAD-TRAILER";
const KINDS: [&str; 3] = [SIGNED, SIGNED_TRAILER, UNSIGNED_TRAILER];
const BROKEN: (u16, &str) = (400, "malformed_request");

fn started() -> (Backend, World) {
    let backend = Backend::start();
    let world = taking("").start(&backend);
    (backend, world)
}

fn taking(more: &str) -> Setup {
    Setup::new().set("service", format!("sigv4: {{service: iam, profile: s3{more}}}"))
}

/// An upload in chunks.
struct Upload<'a> {
    kind: &'static str,
    head: Aws,
    pieces: Vec<&'a [u8]>,
}

impl<'a> Upload<'a> {
    fn new(kind: &'static str, body: &'a [u8], size: usize) -> Self {
        let mut head = Aws { once_encoded: true, ..Aws::new("PUT", "/v1/groups/g1") }
            .header("x-amz-content-sha256", kind)
            .header("content-encoding", "aws-chunked")
            .header("x-amz-meta-colour", "green")
            .header("x-amz-decoded-content-length", &body.len().to_string());
        if kind.ends_with("TRAILER") {
            head = head.header("x-amz-trailer", "x-amz-checksum-sha256").header("x-amz-sdk-checksum-algorithm", "SHA256");
        }
        Self { kind, head, pieces: body.chunks(size).collect() }
    }

    /// The chunks, signed after the request's own signature.
    fn chunks(&self, head: &[u8]) -> Vec<u8> {
        let head = std::str::from_utf8(head).unwrap();
        let at = head.find("Signature=").unwrap() + 10;
        let (key, mut previous, mut body) = (self.head.key(), head.get(at..at + 64).unwrap().to_owned(), Vec::new());
        let mut sign = |kind: &str, before: &str, content: &[u8]| {
            let string = format!("AWS4-HMAC-SHA256-{kind}\n{}{previous}\n{before}{}", self.head.lines(), sha256(content));
            previous = hex(&mac(&key, &string));
            previous.clone()
        };
        let is_signed = self.kind != UNSIGNED_TRAILER;
        for piece in self.pieces.iter().copied().chain([&b""[..]]) {
            body.extend_from_slice(format!("{:x}", piece.len()).as_bytes());
            if is_signed {
                body.extend_from_slice(format!(";chunk-signature={}", sign("PAYLOAD", &format!("{EMPTY}\n"), piece)).as_bytes());
            }
            body.extend_from_slice(b"\r\n");
            if !piece.is_empty() {
                body.extend_from_slice(piece);
                body.extend_from_slice(b"\r\n");
            }
        }
        if self.kind.ends_with("TRAILER") {
            let checksum = STANDARD.encode(digest::digest(&digest::SHA256, &self.pieces.concat()));
            body.extend_from_slice(format!("x-amz-checksum-sha256:{checksum}\r\n").as_bytes());
            if is_signed {
                let signature = sign("TRAILER", "", format!("x-amz-checksum-sha256:{checksum}\n").as_bytes());
                body.extend_from_slice(format!("x-amz-trailer-signature:{signature}\r\n").as_bytes());
            }
        }
        body.extend_from_slice(b"\r\n");
        body
    }

    /// Head and chunks with a length, after `change`.
    fn with_length(&self, change: impl Fn(&mut Vec<u8>)) -> Vec<u8> {
        // The length is not signed here, so the chunks can be made first.
        let mut body = self.chunks(&self.head.signed());
        change(&mut body);
        let mut head = self.head.clone();
        head.more.push_str(&format!("Content-Length: {}\r\n", body.len()));
        [head.signed(), body].concat()
    }

    /// Head and chunks within the chunks of HTTP, after `change`.
    fn in_http_chunks(&self, size: usize, change: impl Fn(&mut Vec<u8>)) -> Vec<u8> {
        let mut body = self.chunks(&self.head.signed());
        change(&mut body);
        let mut head = self.head.clone();
        head.more.push_str("Transfer-Encoding: chunked\r\n");
        [head.signed(), chunked(&body, size)].concat()
    }
}

fn unchanged(_body: &mut Vec<u8>) {}

#[test]
fn what_chunks_hold_is_forwarded_with_its_length_and_without_them() {
    let (backend, world) = started();
    let mut client = world.connect();
    let large = large();
    for kind in KINDS {
        for (body, size) in
            [(&b""[..], 1), (b"x", 1), (b"a body", 4), (&large, 65_536), (&large, 131_072), (&large, 300_000), (&large, 997)]
        {
            let upload = Upload::new(kind, body, size);
            for bytes in
                [upload.with_length(unchanged), upload.in_http_chunks(10_001, unchanged), upload.in_http_chunks(1 << 20, unchanged)]
            {
                let answer = client.ask(bytes);
                assert_eq!(answer.verdict(), ALLOW, "{kind} {size}: {}", answer.text());
                let seen = backend.last();
                assert!(seen.whole && seen.body == body, "{kind} {size}: {}", seen.head);
                assert_eq!(seen.header("content-length"), Some(body.len().to_string()), "{kind} {size}");
                assert_eq!(seen.header("x-amz-meta-colour").as_deref(), Some("green"));
                let amz: Vec<_> =
                    seen.headers().into_iter().filter(|(name, _)| name.contains("amz") || name.contains("encoding")).collect();
                assert_eq!(amz.len(), 1, "{amz:?}");
            }
        }
    }
    let mut compressed = Upload::new(SIGNED, b"not really", 5);
    compressed
        .head
        .headers
        .iter_mut()
        .filter(|(name, _)| *name == "content-encoding")
        .for_each(|(_, value)| *value = "aws-chunked,gzip".into());
    assert_eq!(client.ask(compressed.with_length(unchanged)).verdict(), ALLOW);
    assert_eq!(backend.last().header("content-encoding").as_deref(), Some("gzip"));
}

/// Changes one byte at a place of a body, from the front or from the back.
fn flipped(place: isize) -> impl Fn(&mut Vec<u8>) {
    move |body| {
        let at = if place < 0 { body.len() - place.unsigned_abs() } else { place.unsigned_abs() };
        body[at] ^= 1;
    }
}

#[test]
fn a_body_with_a_bad_chunk_never_comes_whole() {
    let backend = Backend::start();
    let mut world = taking("").start(&backend);
    let large = large();
    let mut refused = 0;
    for kind in KINDS {
        let is_signed = kind != UNSIGNED_TRAILER;
        for (body, size) in [(&b""[..], 1), (b"x", 1), (b"a body in chunks", 4), (&large, 65_536)] {
            let upload = Upload::new(kind, body, size);
            let length = isize::try_from(upload.chunks(&upload.head.signed()).len()).unwrap();
            // In the first chunk or its line, in the middle, in the last bytes, in the end, in the checksum or the last signature.
            let places: [isize; 6] = if is_signed { [20, 90, length / 2, -160, -100, -20] } else { [0, 3, length / 2, -60, -20, -6] };
            for place in places.into_iter().filter(|place| (-length..length).contains(place)) {
                for bytes in [upload.with_length(flipped(place)), upload.in_http_chunks(10_001, flipped(place))] {
                    let mut client = world.connect();
                    let before = backend.count();
                    let answer = client.ask(bytes);
                    assert!([MISMATCH, BROKEN].contains(&answer.verdict()), "{kind} {} {place}: {answer:?}", body.len());
                    assert!(!is_signed || place != 90 || body.len() < 100 || answer.verdict() == MISMATCH, "{}", answer.text());
                    if is_signed && place == 20 {
                        assert_eq!(backend.count(), before, "a bad first chunk is not even begun");
                    }
                    refused += 1;
                    let record = world.record(answer.request_id());
                    assert_eq!(text(&record, "failure"), Some(answer.verdict().1));
                    // Whoever asks next on the same connection gets their own answer, or none after a body that was not read to its end.
                    client.send(Aws { once_encoded: true, ..Aws::new("GET", "/v1/groups/next") }.signed());
                    match client.outcome("GET") {
                        Ok(next) => assert_eq!((next.verdict(), next.text().as_str()), (ALLOW, "/v1/groups/next")),
                        Err(broken) => assert!(matches!(broken, Broken::Closed) && body.len() > 1_000, "{broken:?}"),
                    }
                }
            }
        }
    }
    world.stop();
    let uploads: Vec<Seen> = backend.since(0).into_iter().filter(|seen| seen.method() == "PUT").collect();
    assert!(refused > 120 && !uploads.is_empty(), "{refused}");
    assert!(uploads.iter().all(|seen| !seen.whole), "{uploads:?}");
    assert!(uploads.iter().all(|seen| seen.header("content-length").unwrap() != "0"), "an empty one is whole at once");
}

#[test]
fn an_upload_that_breaks_off_or_lies_about_its_length_never_comes_whole() {
    let (backend, world) = started();
    let mut wrong = Vec::new();
    for kind in KINDS {
        for announced in [0, 5, 15, 17, 1_000] {
            let mut upload = Upload::new(kind, b"a body in chunks", 4);
            let is_length = |(name, _): &&mut (&str, String)| *name == "x-amz-decoded-content-length";
            upload.head.headers.iter_mut().filter(is_length).for_each(|(_, value)| *value = announced.to_string());
            let answer = world.ask(upload.with_length(unchanged));
            if answer.verdict() != BROKEN {
                wrong.push(format!("{kind} {announced}: {answer:?}"));
            }
        }
        let bytes = Upload::new(kind, b"a body in chunks", 4).with_length(unchanged);
        for missing in [1, 2, 3, 30, 100, 130] {
            let mut client = world.connect();
            client.send(&bytes[..bytes.len() - missing]).half_close();
            match client.outcome("PUT") {
                Ok(answer) => assert_eq!(answer.verdict(), BROKEN),
                Err(broken) => assert!(matches!(broken, Broken::Closed), "{broken:?}"),
            }
        }
        let more = Upload::new(kind, b"a body in chunks", 4).with_length(|body| body.push(b'x'));
        assert_eq!(world.ask(more).verdict(), BROKEN);
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(backend.since(0).iter().all(|seen| !seen.whole));
}

#[test]
fn chunks_without_a_true_signature_reach_nobody() {
    let (backend, world) = started();
    for kind in KINDS {
        let upload = Upload::new(kind, b"a body", 6);
        let forged = Upload {
            head: Aws { who: Who { secret: "another secret", ..ADMIN }, ..upload.head.clone() },
            ..Upload::new(kind, b"a body", 6)
        };
        assert_eq!(world.ask(forged.with_length(unchanged)).verdict(), MISMATCH);
        let body = upload.chunks(&upload.head.signed());
        let bare = format!(
            "PUT /v1/groups/g1 HTTP/1.1\r\nHost: iam.test\r\nx-amz-content-sha256: {kind}\r\nx-amz-decoded-content-length: 6\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        assert_eq!(world.ask([bare.as_bytes(), &body].concat()).verdict(), (401, "no_credential"));
        // A presigned request is nobody's promise about its chunks.
        let mut presigned = upload.head.clone();
        presigned.more = format!("Content-Length: {}\r\n", body.len());
        presigned.body = body;
        assert_eq!(world.ask(presigned.presigned("60")).verdict(), MALFORMED);
    }
    let strict = Backend::start();
    let world = taking(", unsigned_payload: false").start(&strict);
    assert_eq!(world.ask(Upload::new(UNSIGNED_TRAILER, b"a body", 6).with_length(unchanged)).verdict(), MALFORMED);
    assert_eq!((backend.count(), strict.count()), (0, 0));
    assert_eq!(world.ask(Upload::new(SIGNED_TRAILER, b"a body", 6).with_length(unchanged)).verdict(), ALLOW);
}

#[test]
fn a_body_that_decides_does_not_come_in_chunks() {
    let (backend, world) = started();
    for kind in KINDS {
        let mut upload = Upload::new(kind, br#"{"ids":["1"]}"#, 100);
        upload.head = Aws { method: "DELETE", path: "/v1/policies/bulk".into(), ..upload.head }.header("content-type", "application/json");
        let answer = world.ask(upload.with_length(unchanged));
        assert_eq!(answer.verdict(), BROKEN);
        assert!(answer.text().contains("not in chunks"), "{}", answer.text());
    }
    assert_eq!(backend.count(), 0);
}

#[test]
fn a_service_that_only_observes_passes_chunks_on_as_they_are_with_the_credentials_that_sign_them() {
    let backend = Backend::start();
    let observing = "mode: observe\n    sigv4: {service: iam, profile: s3}";
    let world = Setup::new().set("service", observing).set("upstream", "keep_credentials: true").start(&backend);
    for place in [0, 100] {
        let upload = Upload::new(SIGNED, b"a body in chunks", 4);
        let bytes = upload.with_length(flipped(place));
        assert_eq!(world.ask(&bytes).status, 200);
        let seen = backend.last();
        assert!(seen.whole && bytes.ends_with(&seen.body) && seen.header("x-amz-decoded-content-length").is_some(), "{}", seen.head);
    }
}

#[test]
fn chunks_that_nobody_takes_apart_are_not_passed_on_where_nothing_else_is_refused_either() {
    let backend = Backend::start();
    let world = Setup::new().set("service", "mode: observe\n    sigv4: {service: iam, profile: s3}").start(&backend);
    for kind in KINDS {
        let good = Upload::new(kind, b"a body in chunks", 4);
        assert_eq!(world.ask(good.with_length(unchanged)).verdict(), ALLOW);
        assert_eq!(backend.last().body, b"a body in chunks");
        let mut late = Upload::new(kind, b"a body in chunks", 4);
        late.head = late.head.at(NOW_MS - 900_000);
        let served = backend.count();
        assert_eq!(world.ask(late.with_length(unchanged)).verdict(), BROKEN, "{kind}");
        assert_eq!(backend.count(), served);
    }
}
