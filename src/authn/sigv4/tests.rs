//! The cases of the AWS signing test suite, everything that is no signature, and that no changed byte verifies.

use std::fs;
use std::path::PathBuf;

use aws_lc_rs::digest::{SHA256, digest};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::*;
use crate::types::{Path, Secret};

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
/// Of the two cases that are older than the suite.
const OLD_SECRET: &str = "notrealrnrELgWzOk3IfjzDKtFBhDby";

/// A request as it is written down.
#[derive(Debug, Clone, PartialEq)]
struct Written {
    method: String,
    path: String,
    query: String,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Written {
    /// Reads lines; `None` when these are no request. A line that begins with spaces goes on with the header before it.
    fn read(bytes: &[u8]) -> Option<Self> {
        let end = bytes.windows(2).position(|pair| pair == b"\n\n").unwrap_or(bytes.len());
        let head = str::from_utf8(&bytes[..end]).ok()?.trim_end().replace("\n ", " ");
        let mut lines = head.split('\n');
        let (method, target) = lines.next()?.split_once(' ')?;
        let target = target.strip_suffix(" HTTP/1.1").unwrap_or(target);
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut headers = HeaderMap::new();
        for line in lines {
            let (name, value) = line.split_once(':')?;
            headers.append(HeaderName::from_bytes(name.as_bytes()).ok()?, HeaderValue::from_bytes(value.trim().as_bytes()).ok()?);
        }
        let body = bytes.get(end + 2..).unwrap_or_default().to_vec();
        Some(Self { method: method.into(), path: path.into(), query: query.into(), headers, body })
    }

    /// The same request with every stretch of spaces in a header's value one, which is all that the scheme sees of them.
    fn meant(mut self) -> Self {
        for value in self.headers.values_mut() {
            let words: Vec<_> = value.to_str().unwrap_or_default().split(' ').filter(|word| !word.is_empty()).collect();
            if value.to_str().is_ok() {
                *value = words.join(" ").parse().unwrap();
            }
        }
        self
    }

    fn signed(&self) -> Signed<'_> {
        Signed { method: &self.method, path: &self.path, query: &self.query }
    }

    fn credential(&self, profile: Profile) -> Result<Credential<'_>, Malformed> {
        match self.headers.get("authorization") {
            Some(value) => Credential::from_header(value.as_bytes(), &self.headers, profile),
            None => Credential::from_query(&self.query, &self.headers, profile),
        }
    }

    fn verifies(&self, secret: &str) -> Result<bool, Malformed> {
        let credential = self.credential(Profile::Generic)?;
        // The key's name is not signed: another one has another secret.
        let secret = if ["AKIDEXAMPLE", "ANOTREAL"].contains(&credential.scope.access_key()) { secret } else { "of another key" };
        let verified =
            credential.verify(&Key::new(&Secret::new(secret.as_bytes())).derive(&credential.scope), &self.signed(), &self.body)?;
        // Whoever passes the body on compares this.
        let fits = match &credential.payload {
            Payload::Sha256(hash) => digest(&SHA256, &self.body).as_ref() == hash,
            Payload::Unsigned | Payload::Body | Payload::Chunks(_) => true,
        };
        Ok(verified && fits)
    }
}

fn suite() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/aws-signing-test-suite/v4")
}

fn cases() -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(suite()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn file(case: &str, name: &str) -> Option<Vec<u8>> {
    fs::read(suite().join(case).join(name)).ok()
}

fn text(case: &str, name: &str) -> String {
    String::from_utf8(file(case, name).unwrap()).unwrap().trim_end().to_owned()
}

/// The path that a client of these cases signs: without empty and dot segments.
fn without_dots(path: &str) -> String {
    let mut left = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(left.pop()),
            segment => left.push(segment),
        }
    }
    let end = if path.ends_with(['/', '.']) && !left.is_empty() && !path.ends_with("..") { "/" } else { "" };
    format!("/{}{end}", left.join("/"))
}

#[test]
fn the_cases_of_the_suite_verify() {
    let (mut verified, mut dotted) = (0, Vec::new());
    for case in cases() {
        for carrier in ["header", "query"] {
            let Some(request) = file(&case, &format!("{carrier}-signed-request.txt")) else {
                assert!(case.starts_with("double-") && carrier == "query", "{case}");
                continue;
            };
            let mut request = Written::read(&request).unwrap();
            if case.ends_with("-normalized") && without_dots(&request.path) != request.path {
                // The gateway refuses such paths before it looks at a credential: what a client signed for them never counts.
                assert!(Path::parse(&request.path).is_err(), "{case}");
                assert_eq!(request.verifies(SECRET), Ok(false), "{case}");
                dotted.push(format!("{carrier} {case}"));
                request.path = without_dots(&request.path);
            }
            if case == "post-sts-header-after" {
                // A session token that is not signed could be anyone's.
                assert_ne!(request.verifies(SECRET), Ok(true));
                request.headers.remove("x-amz-security-token");
                request.query = request.query.split('&').filter(|pair| !pair.contains("Security-Token")).collect::<Vec<_>>().join("&");
            }
            let secret = if case == "double-encode-path" { OLD_SECRET } else { SECRET };
            if !case.starts_with("double-") {
                let credential = request.credential(Profile::Generic).unwrap();
                let canonical = credential.canonical_request(&request.signed(), &request.body).unwrap();
                let expected = text(&case, &format!("{carrier}-canonical-request.txt"));
                assert_eq!(String::from_utf8(canonical.clone()).unwrap(), expected, "{carrier} {case}");
                let string = String::from_utf8(credential.string_to_sign(&canonical)).unwrap();
                assert_eq!(string, text(&case, &format!("{carrier}-string-to-sign.txt")), "{carrier} {case}");
            }
            assert_eq!(request.verifies(secret), Ok(true), "{carrier} {case}");
            assert_eq!(request.verifies("another secret"), Ok(false), "{carrier} {case}");
            verified += 1;
        }
    }
    assert_eq!((cases().len(), verified, dotted.len()), (40, 78, 12), "{dotted:?}");
}

#[test]
fn no_changed_byte_verifies() {
    // A digit, a letter, letter case, and the bytes that cut requests into parts.
    let (mut changed, mut same, mut left_out) = (0u32, 0u32, 0);
    for case in cases() {
        for carrier in ["header", "query"] {
            let Some(bytes) = file(&case, &format!("{carrier}-signed-request.txt")) else { continue };
            let secret = if case == "double-encode-path" { OLD_SECRET } else { SECRET };
            let original = Written::read(&bytes).unwrap().meant();
            if original.verifies(secret) != Ok(true) {
                // Of a path that was signed without its dots, or with a session token that was not signed.
                left_out += 1;
                continue;
            }
            for place in 0..bytes.len() {
                for other in [0x01, 0x02, 0x20].map(|flip| bytes[place] ^ flip).into_iter().chain(*b"/%&=") {
                    let mut copy = bytes.clone();
                    copy[place] = other;
                    let Some(request) = Written::read(&copy) else { continue };
                    // Letter case of a header's name, and how many spaces, say nothing.
                    if request.clone().meant() == original {
                        same += 1;
                        continue;
                    }
                    changed += 1;
                    assert!(request.verifies(secret) != Ok(true), "{carrier} {case} {place}: {}", String::from_utf8_lossy(&copy));
                }
            }
        }
    }
    assert!(changed > 100_000 && same > 1_000 && left_out == 14, "{changed} {same} {left_out}");
}

const AUTHORIZATION: &str = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=host;x-amz-date, Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31";

fn headers(authorization: &str, more: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let date = [("x-amz-date", "20150830T123600Z")];
    let date = date.iter().filter(|(name, _)| !more.iter().any(|(other, _)| name == other));
    for (name, value) in [("host", "example.amazonaws.com"), ("authorization", authorization)].iter().chain(date).chain(more) {
        if *value != "-" {
            headers.append(*name, value.parse().unwrap());
        }
    }
    headers
}

fn reads(authorization: &str, more: &[(&'static str, &str)]) -> Result<bool, Malformed> {
    let request =
        Written { method: "GET".into(), path: "/".into(), query: String::new(), headers: headers(authorization, more), body: Vec::new() };
    request.verifies(SECRET)
}

#[test]
fn what_is_not_exactly_a_signature_is_malformed() {
    assert_eq!(reads(AUTHORIZATION, &[]), Ok(true));
    for (from, to, expected) in [
        (", ", ",", Ok(true)),
        (", ", ",  ", Ok(true)),
        (", ", " , ", Ok(true)),
        (", ", ",\t", Err(Malformed::Fields)),
        (", ", ",,", Err(Malformed::Fields)),
        (", ", " ", Err(Malformed::Fields)),
        (", ", ";", Err(Malformed::Fields)),
        ("AWS4-HMAC-SHA256", "aws4-hmac-sha256", Err(Malformed::Algorithm)),
        ("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA1", Err(Malformed::Algorithm)),
        ("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256", Err(Malformed::Algorithm)),
        ("AWS4-HMAC-SHA256 ", "AWS4-HMAC-SHA256\t", Err(Malformed::Algorithm)),
        ("Credential", "credential", Err(Malformed::Fields)),
        ("Credential=", "Credential =", Err(Malformed::Fields)),
        ("Signature=", "Signature=00, Signature=", Err(Malformed::Fields)),
        ("Signature=", "SignedHeaders=host, Signature=", Err(Malformed::Fields)),
        ("Signature=", "Region=x, Signature=", Err(Malformed::Fields)),
        ("SignedHeaders=host;x-amz-date, ", "", Err(Malformed::Fields)),
        ("host;x-amz-date", "", Err(Malformed::SignedHeaders)),
        ("host;x-amz-date", "host;", Err(Malformed::SignedHeaders)),
        ("host;x-amz-date", "host;host;x-amz-date", Err(Malformed::SignedHeaders)),
        ("host;x-amz-date", "x-amz-date;host", Err(Malformed::SignedHeaders)),
        ("host;x-amz-date", "Host;x-amz-date", Err(Malformed::SignedHeaders)),
        ("host;x-amz-date", "host; x-amz-date", Err(Malformed::SignedHeaders)),
        ("host;x-amz-date", "accept;host;x-amz-date", Err(Malformed::Absent)),
        ("host;x-amz-date", "x-amz-date", Err(Malformed::Host)),
        ("host;x-amz-date", "host", Err(Malformed::Unsigned(HeaderName::from_static("x-amz-date")))),
        ("aws4_request", "aws5_request", Err(Malformed::Scope)),
        ("aws4_request", "aws4_request/", Err(Malformed::Scope)),
        ("aws4_request", "x/aws4_request", Err(Malformed::Scope)),
        ("/service", "", Err(Malformed::Scope)),
        ("/us-east-1", "/", Err(Malformed::Scope)),
        ("us-east-1", "us east", Err(Malformed::Scope)),
        ("us-east-1", "us%2Feast", Err(Malformed::Scope)),
        ("AKIDEXAMPLE", "", Err(Malformed::Scope)),
        ("20150830", "2015083", Err(Malformed::Scope)),
        ("20150830", "2015O830", Err(Malformed::Scope)),
        ("20150830", "20150831", Err(Malformed::Day)),
        ("us-east-1", "us-east-2", Ok(false)),
        ("service", "iam", Ok(false)),
        ("Signature=5fa", "Signature=5Fa", Err(Malformed::Signature)),
        ("Signature=5fa", "Signature=5f", Err(Malformed::Signature)),
        ("Signature=5fa", "Signature=5fa5fa", Err(Malformed::Signature)),
        ("Signature=5fa", "Signature=5fg", Err(Malformed::Signature)),
    ] {
        assert!(AUTHORIZATION.contains(from), "{from}");
        assert_eq!(reads(&AUTHORIZATION.replace(from, to), &[]), expected, "{from} -> {to}");
    }
    for bare in ["AWS4-HMAC-SHA256", "AWS4-HMAC-SHA256 ", "AWS4-HMAC-SHA256 x", "AWS4-HMAC-SHA256 ="] {
        assert_eq!(reads(bare, &[]), Err(Malformed::Fields), "{bare}");
    }
}

#[test]
fn headers_of_the_scheme_are_signed_once_and_in_their_exact_form() {
    let signed = |name: &str| AUTHORIZATION.replace("host;x-amz-date", &format!("host;{name};x-amz-date"));
    let (date, hash) = ("x-amz-date", "x-amz-content-sha256");
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let unsigned = |name| Err(Malformed::Unsigned(HeaderName::from_static(name)));
    for (authorization, more, expected) in [
        (AUTHORIZATION, vec![(date, "-")], Err(Malformed::Date)),
        (AUTHORIZATION, vec![(date, "-"), ("date", "20150830T123600Z")], Err(Malformed::Date)),
        (AUTHORIZATION, vec![("date", "Mon, 01 Jan 2001 00:00:00 GMT")], Ok(true)),
        (AUTHORIZATION, vec![(date, "20150830T123600")], Err(Malformed::Date)),
        (AUTHORIZATION, vec![(date, "20150830T123600Z0")], Err(Malformed::Date)),
        (AUTHORIZATION, vec![(date, "20150830t123600z")], Err(Malformed::Date)),
        (AUTHORIZATION, vec![(date, "2015-08-30T12:36Z")], Err(Malformed::Date)),
        (AUTHORIZATION, vec![(date, "20150230T123600Z")], Err(Malformed::Date)),
        (AUTHORIZATION, vec![(date, "20150830T243600Z")], Err(Malformed::Date)),
        (AUTHORIZATION, vec![(date, "20150830T123660Z")], Err(Malformed::Date)),
        (AUTHORIZATION, vec![(date, "20150830T12360+Z")], Err(Malformed::Date)),
        (AUTHORIZATION, vec![(date, "20150831T123600Z")], Err(Malformed::Day)),
        (AUTHORIZATION, vec![(date, "20150830T123601Z")], Ok(false)),
        (
            AUTHORIZATION,
            vec![(date, "20150830T123600Z"), (date, "20150830T123600Z")],
            Err(Malformed::Twice(HeaderName::from_static("x-amz-date"))),
        ),
        (AUTHORIZATION, vec![("x-amz-target", "x")], unsigned("x-amz-target")),
        (AUTHORIZATION, vec![("x-amz-security-token", "x")], unsigned("x-amz-security-token")),
        (AUTHORIZATION, vec![("x_amz_target", "x")], unsigned("x_amz_target")),
        (AUTHORIZATION, vec![("x.amz~target", "x")], unsigned("x.amz~target")),
        (AUTHORIZATION, vec![("x-amzn-trace-id", "x")], Ok(true)),
        (AUTHORIZATION, vec![(hash, empty)], unsigned(hash)),
        (&signed(hash), vec![(hash, empty)], Ok(false)),
        (&signed(hash), vec![(hash, "UNSIGNED-PAYLOAD")], Ok(false)),
        (&signed(hash), vec![(hash, "unsigned-payload")], Err(Malformed::ContentSha256)),
        (&signed(hash), vec![(hash, "")], Err(Malformed::ContentSha256)),
        (&signed(hash), vec![(hash, &empty.to_uppercase())], Err(Malformed::ContentSha256)),
        (&signed(hash), vec![(hash, empty.trim_end_matches("55"))], Err(Malformed::ContentSha256)),
        (&signed(hash), vec![(hash, "STREAMING-AWS4-HMAC-SHA256-PAYLOAD")], Err(Malformed::Streaming)),
        (&signed(hash), vec![(hash, "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER")], Err(Malformed::Streaming)),
        (&signed(hash), vec![(hash, "STREAMING-UNSIGNED-PAYLOAD-TRAILER")], Err(Malformed::Streaming)),
        (&signed(hash), vec![(hash, empty), (hash, empty)], Err(Malformed::Twice(HeaderName::from_static(hash)))),
    ] {
        assert_eq!(reads(authorization, &more), expected, "{authorization} {more:?}");
    }
    let many = |count: usize| (0..count).map(|place| format!("h{place:05};")).collect::<String>() + "host;x-amz-date";
    assert_eq!(reads(&AUTHORIZATION.replace("host;x-amz-date", &many(70)), &[]), Err(Malformed::SignedHeaders));
    assert_eq!(reads(&AUTHORIZATION.replace("host;x-amz-date", &"x".repeat(3_000)), &[]), Err(Malformed::SignedHeaders));
}

const QUERY: &str = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIDEXAMPLE%2F20150830%2Fus-east-1%2Fservice%2Faws4_request&X-Amz-Date=20150830T123600Z&X-Amz-SignedHeaders=host&X-Amz-Expires=3600&X-Amz-Signature=e93c787ed7f371d5c6b165c1b38ede9550f4dce4144713e844b25b7192d3865d";

fn presigned(query: &str, more: &[(&'static str, &str)]) -> Result<bool, Malformed> {
    let mut headers = headers("-", more);
    headers.remove("x-amz-date");
    let request = Written { method: "GET".into(), path: "/".into(), query: query.into(), headers, body: Vec::new() };
    request.verifies(SECRET)
}

#[test]
fn what_is_not_exactly_a_presigned_query_is_malformed() {
    assert_eq!(presigned(QUERY, &[]), Ok(true));
    let parameter = |name| Err(Malformed::Parameter(name));
    for (from, to, expected) in [
        ("%2F", "/", Ok(true)),
        ("%2F", "%2f", Ok(false)),
        ("X-Amz-Date", "x-amz-date", parameter("X-Amz-Date")),
        ("X-Amz-Date", "X%2DAmz-Date", parameter("X-Amz-Date")),
        ("&X-Amz-Signature", "&X-Amz-Signature=00&X-Amz-Signature", parameter("X-Amz-Signature")),
        ("&X-Amz-Signature", "&X-Amz-Date=20150830T123600Z&X-Amz-Signature", parameter("X-Amz-Date")),
        ("&X-Amz-Signature", "&x-amz-signature", parameter("X-Amz-Signature")),
        ("X-Amz-Date=20150830T123600Z&", "", parameter("X-Amz-Date")),
        ("X-Amz-Algorithm=AWS4-HMAC-SHA256&", "", Err(Malformed::Algorithm)),
        ("AWS4-HMAC-SHA256", "aws4-hmac-sha256", Err(Malformed::Algorithm)),
        ("X-Amz-SignedHeaders=host&", "", parameter("X-Amz-SignedHeaders")),
        ("SignedHeaders=host", "SignedHeaders=", Err(Malformed::SignedHeaders)),
        ("SignedHeaders=host", "SignedHeaders=accept", Err(Malformed::Absent)),
        ("X-Amz-Expires=3600&", "", Err(Malformed::Expires)),
        ("Expires=3600", "Expires=0", Err(Malformed::Expires)),
        ("Expires=3600", "Expires=-1", Err(Malformed::Expires)),
        ("Expires=3600", "Expires=%2B1", Err(Malformed::Expires)),
        ("Expires=3600", "Expires=03600", Err(Malformed::Expires)),
        ("Expires=3600", "Expires=604801", Err(Malformed::Expires)),
        ("Expires=3600", "Expires=4294967297", Err(Malformed::Expires)),
        ("Expires=3600", "Expires=", Err(Malformed::Expires)),
        ("Expires=3600", "Expires=604800", Ok(false)),
        ("Expires=3600", "Expires=3600&a=%", Err(Malformed::QueryEncoding)),
        ("Expires=3600", "Expires=3600&a=%4", Err(Malformed::QueryEncoding)),
        ("Expires=3600", "Expires=3600&a=%4g", Err(Malformed::QueryEncoding)),
        ("Expires=3600", "Expires=3600&a", Ok(false)),
        ("Expires=3600&", "Expires=3600&&", Ok(false)),
    ] {
        assert!(QUERY.contains(from), "{from}");
        assert_eq!(presigned(&QUERY.replace(from, to), &[]), expected, "{from} -> {to}");
    }
    assert_eq!(presigned(&format!("{QUERY}{}", "&a=1".repeat(512)), &[]), Err(Malformed::TooManyPairs));
    assert_eq!(presigned(QUERY, &[("x-amz-acl", "public")]), Err(Malformed::Unsigned(HeaderName::from_static("x-amz-acl"))));
    let twice = format!("{QUERY}&X-Amz-Content-Sha256=UNSIGNED-PAYLOAD");
    assert_eq!(presigned(&twice, &[("x-amz-content-sha256", "UNSIGNED-PAYLOAD")]), parameter("X-Amz-Content-Sha256"));
}

#[test]
fn the_profiles_differ_in_the_path_and_in_what_a_presigned_request_signs_of_its_body() {
    let request = Written::read(format!("GET /a%2Fb(c)/+?{QUERY} HTTP/1.1\nHost:example.amazonaws.com").as_bytes()).unwrap();
    for (profile, path, payload) in
        [(Profile::Generic, "/a%252Fb%28c%29/%2B", Payload::Body), (Profile::S3, "/a%2Fb%28c%29/%2B", Payload::Unsigned)]
    {
        let credential = request.credential(profile).unwrap();
        let canonical = String::from_utf8(credential.canonical_request(&request.signed(), b"").unwrap()).unwrap();
        assert_eq!(canonical.lines().nth(1), Some(path));
        assert_eq!(credential.payload, payload);
    }
}

#[test]
fn a_query_keeps_its_encodings() {
    for (query, canonical) in [
        ("", ""),
        ("b=2&a=1", "a=1&b=2"),
        ("a-b=1&a=2", "a=2&a-b=1"),
        ("a=2&a=1&a", "a=&a=1&a=2"),
        ("a=b=c&d=/:@(", "a=b%3Dc&d=%2F%3A%40%28"),
        ("a=%2f%7E&b=x+y;z", "a=%2f%7E&b=x+y;z"),
        ("a==&&=", "=&=&a=%3D"),
        ("\u{1234}=bar", "%E1%88%B4=bar"),
        ("X-Amz-Signature=1", "X-Amz-Signature=1"),
    ] {
        let headers = headers(AUTHORIZATION, &[]);
        let credential = Credential::from_header(AUTHORIZATION.as_bytes(), &headers, Profile::Generic).unwrap();
        let signed = Signed { method: "GET", path: "/", query };
        let text = String::from_utf8(credential.canonical_request(&signed, b"").unwrap()).unwrap();
        assert_eq!(text.lines().nth(2), Some(canonical), "{query}");
    }
}

#[test]
fn a_presigned_credential_is_seen_and_taken_out_in_every_spelling() {
    for (target, left) in [
        ("/a", None),
        ("/a?b=X-Amz-Signature", None),
        ("/a?X-Amz-Signatures=1", None),
        ("/a?X-Amz-Signature=1", Some("/a")),
        ("/a?b=%zz&x-amz-signature=1&c", Some("/a?b=%zz&c")),
        ("/a?X-Amz-Date=1&b=1&X-Amz-Expires=2&&", Some("/a?b=1&&")),
        ("/a?%58-amz%2Dcredential=1&b", Some("/a?b")),
        ("/a?X-Amz-Security-Token", Some("/a")),
    ] {
        assert_eq!(without_credential(target).as_deref(), left, "{target}");
    }
    for (query, claims) in [
        ("", false),
        ("X-Amz-Date=1", false),
        ("a=1&X-Amz-Signature", true),
        ("x-amz-credential=1", true),
        ("X%2Damz-ALGORITHM=1", true),
        ("X%2GAmz-Algorithm=1", false),
    ] {
        assert_eq!(is_presigned(query), claims, "{query}");
    }
    assert!(is_claimed(b"aws4-x") && is_claimed(AUTHORIZATION.as_bytes()) && !is_claimed(b"Bearer AWS4-") && !is_claimed(b"AWS4"));
}

#[test]
fn a_key_shows_nothing() {
    assert_eq!(format!("{:?}", Key::new(&Secret::new(SECRET.as_bytes()))), "Key(..)");
}
