//! AWS signatures end to end: what verifies, what does not, what the backend sees of it, and bodies that are not what was signed.

use aws_lc_rs::{digest, hmac};
use portcullis::types::Timestamp;

use super::backend::{Backend, Seen};
use super::client::{Answer, Ask, Broken, NOW_MS, Who};
use super::harness::{ADMIN, READER, Setup, World, nobodys, text};
use super::streaming::{chunked, large};

pub(crate) const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
pub(crate) const MISMATCH: (u16, &str) = (401, "signature_mismatch");
pub(crate) const MALFORMED: (u16, &str) = (401, "credential_malformed");
const SEVERAL: (u16, &str) = (400, "several_credentials");
const SKEW: (u16, &str) = (401, "clock_skew");
pub(crate) const ALLOW: (u16, &str) = (200, "allow");

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, bytes).as_ref())
}

pub(crate) fn mac(key: &[u8], message: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message.as_bytes()).as_ref().to_vec()
}

pub(crate) fn encoded(text: &str, kept: &str) -> String {
    let keep = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || kept.as_bytes().contains(&byte);
    text.bytes().map(|byte| if keep(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

fn amz_date(at_ms: i64) -> String {
    let text = Timestamp::from_milliseconds(at_ms).to_string();
    format!("{}Z", text.split('.').next().unwrap().replace(['-', ':'], ""))
}

/// A request to be signed by a signer of these tests' own.
#[derive(Debug, Clone)]
pub(crate) struct Aws {
    pub(crate) who: Who,
    pub(crate) method: &'static str,
    pub(crate) host: &'static str,
    pub(crate) path: String,
    pub(crate) query: String,
    /// Headers that are signed, lower-case, beside `host`.
    pub(crate) headers: Vec<(&'static str, String)>,
    /// Lines that are sent and not signed.
    pub(crate) more: String,
    pub(crate) body: Vec<u8>,
    pub(crate) at_ms: i64,
    pub(crate) region: &'static str,
    pub(crate) service: &'static str,
    pub(crate) once_encoded: bool,
}

impl Aws {
    pub(crate) fn new(method: &'static str, path: &str) -> Self {
        Self {
            who: ADMIN,
            method,
            host: "iam.test",
            path: path.into(),
            query: String::new(),
            headers: Vec::new(),
            more: String::new(),
            body: Vec::new(),
            at_ms: NOW_MS,
            region: "kr-west1",
            service: "iam",
            once_encoded: false,
        }
    }

    fn get(path: &str) -> Self {
        Self::new("GET", path)
    }

    pub(crate) fn query(mut self, query: &str) -> Self {
        self.query = query.into();
        self
    }

    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(super) fn at(mut self, at_ms: i64) -> Self {
        self.at_ms = at_ms;
        self
    }

    /// A body, its length, and its hash as `x-amz-content-sha256`.
    pub(crate) fn body(self, body: &[u8]) -> Self {
        let mut with = self.header("x-amz-content-sha256", &sha256(body)).header("content-length", &body.len().to_string());
        with.body = body.to_vec();
        with
    }

    fn scope(&self) -> String {
        format!("{}/{}/{}/aws4_request", amz_date(self.at_ms).split('T').next().unwrap(), self.region, self.service)
    }

    fn signature(&self, query: &str, headers: &[(&str, String)], payload: &str) -> String {
        hex(&mac(&self.key(), &self.strings(query, headers, payload).1))
    }

    /// The canonical request and the string to sign.
    fn strings(&self, query: &str, headers: &[(&str, String)], payload: &str) -> (String, String) {
        let mut pairs: Vec<_> = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| pair.split_once('=').unwrap()).collect();
        pairs.sort_unstable();
        let query = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&");
        let lines: String = headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
        let names = names(headers);
        let path = if self.once_encoded { self.path.clone() } else { encoded(&self.path, "/") };
        let canonical = format!("{}\n{path}\n{query}\n{lines}\n{names}\n{payload}", self.method);
        let scope = self.scope();
        let string = format!("AWS4-HMAC-SHA256\n{}\n{scope}\n{}", amz_date(self.at_ms), sha256(canonical.as_bytes()));
        (canonical, string)
    }

    /// What signs in this scope.
    pub(crate) fn key(&self) -> Vec<u8> {
        let key = format!("AWS4{}", self.who.secret).into_bytes();
        self.scope().split('/').fold(key, |key, part| mac(&key, part))
    }

    /// Time and scope, a line each.
    pub(crate) fn lines(&self) -> String {
        format!("{}\n{}\n", amz_date(self.at_ms), self.scope())
    }

    fn all_headers(&self, date: bool) -> Vec<(&'static str, String)> {
        let mut headers = self.headers.clone();
        headers.push(("host", self.host.to_owned()));
        if date {
            headers.push(("x-amz-date", amz_date(self.at_ms)));
        }
        headers.sort();
        headers
    }

    fn send(&self, target: &str, lines: &str) -> Vec<u8> {
        let sent: String = self.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let head = format!("{} {target} HTTP/1.1\r\nHost: {}\r\n{sent}{lines}{}\r\n", self.method, self.host, self.more);
        [head.as_bytes(), &self.body].concat()
    }

    fn target(&self, query: &str) -> String {
        if query.is_empty() { self.path.clone() } else { format!("{}?{query}", self.path) }
    }

    /// The hash that is signed when no header says one.
    fn payload(&self) -> String {
        let named = self.headers.iter().find(|(name, _)| *name == "x-amz-content-sha256");
        named.map_or_else(|| sha256(&self.body), |(_, value)| value.clone())
    }

    /// Signed in the header.
    pub(crate) fn signed(&self) -> Vec<u8> {
        let headers = self.all_headers(true);
        let signature = self.signature(&self.query, &headers, &self.payload());
        let credential = format!("{}/{}", self.who.key, self.scope());
        let names = names(&headers);
        let lines = format!(
            "X-Amz-Date: {}\r\nAuthorization: AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={names}, Signature={signature}\r\n",
            amz_date(self.at_ms)
        );
        self.send(&self.target(&self.query), &lines)
    }

    /// What [`Self::signed`] signs: the canonical request and the string.
    pub(crate) fn signed_strings(&self) -> (String, String) {
        self.strings(&self.query, &self.all_headers(true), &self.payload())
    }

    /// What [`Self::presigned`] signs.
    pub(crate) fn presigned_strings(&self, expires_s: &str) -> (String, String) {
        let (query, headers, payload) = self.presigned_parts(expires_s);
        self.strings(&query, &headers, &payload)
    }

    /// Signed in the query, to live for so many seconds.
    pub(crate) fn presigned(&self, expires_s: &str) -> Vec<u8> {
        let (query, headers, payload) = self.presigned_parts(expires_s);
        let signature = self.signature(&query, &headers, &payload);
        self.send(&self.target(&format!("{query}&X-Amz-Signature={signature}")), "")
    }

    /// The query without the signature, the headers and the hash that are signed then.
    fn presigned_parts(&self, expires_s: &str) -> (String, Vec<(&'static str, String)>, String) {
        let headers = self.all_headers(false);
        let credential = encoded(&format!("{}/{}", self.who.key, self.scope()), "");
        let names = encoded(&names(&headers), "");
        let before = if self.query.is_empty() { String::new() } else { format!("{}&", self.query) };
        let query = format!(
            "{before}X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={credential}&X-Amz-Date={}&X-Amz-Expires={expires_s}&X-Amz-SignedHeaders={names}",
            amz_date(self.at_ms)
        );
        let payload = if self.once_encoded && self.payload() == EMPTY { "UNSIGNED-PAYLOAD".to_owned() } else { self.payload() };
        (query, headers, payload)
    }
}

fn names(headers: &[(&str, String)]) -> String {
    headers.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";")
}

fn taking(sigv4: &str) -> Setup {
    Setup::new().set("service", format!("sigv4: {{service: iam{sigv4}}}"))
}

fn started() -> (Backend, World) {
    let backend = Backend::start();
    let world = taking("").start(&backend);
    (backend, world)
}

/// Answers that are not what they should be, with what each was about.
#[derive(Default)]
struct Wrong(Vec<String>);

impl Wrong {
    fn check(&mut self, what: &str, answer: &Answer, expected: (u16, &str), reached: usize) {
        if answer.verdict() != expected || reached != usize::from(expected == ALLOW) {
            self.0.push(format!("{what}: {:?} instead of {expected:?}, {reached} at the backend: {}", answer.verdict(), answer.text()));
        }
    }

    fn end(self) {
        assert!(self.0.is_empty(), "{}", self.0.join("\n"));
    }
}

#[test]
fn signed_and_presigned_requests_are_forwarded_without_their_credential() {
    let (backend, world) = started();
    let mut client = world.connect();
    let (plain, hangul) = ("/v1/groups/g1", "/v1/groups/a%20b%2Fc%ED%95%9C(x)");
    for (path, query) in [(plain, ""), (plain, "b=2&a=%2B1&a=0"), (hangul, "q=%3D")] {
        let request = Aws::get(path).query(query).header("accept", "*/*");
        for (bytes, what) in [
            (request.signed(), "header"),
            (request.clone().header("x-amz-content-sha256", EMPTY).signed(), "hash"),
            (request.clone().header("x-amz-content-sha256", "UNSIGNED-PAYLOAD").signed(), "unsigned"),
            (request.presigned("60"), "query"),
        ] {
            let answer = client.ask(bytes);
            assert_eq!(answer.verdict(), ALLOW, "{what} {path} {query}: {}", answer.text());
            let seen = backend.last();
            assert_eq!(seen.target(), request.target(query), "{what}: all but the credential, byte for byte");
            // A signature may hold these letters by chance.
            let lines = seen.head.lines().filter(|line| !line.starts_with("portcullis-assertion: "));
            let head = lines.collect::<Vec<_>>().join("\n").to_lowercase();
            assert!(!head.contains("amz") && !head.contains("authorization:"), "{}", seen.head);
            let assertion = seen.header("portcullis-assertion").unwrap();
            assert!(assertion.contains(&format!(";type=AuthenticationKey;key={};mfa=false;", ADMIN.key)), "{assertion}");
            let record = world.record(answer.request_id());
            assert_eq!((text(&record, "authentication_type"), text(&record, "path")), (Some("AuthenticationKey"), Some(path)));
        }
    }
    let denied = world.ask(Aws { who: READER, ..Aws::get("/v1/groups/hidden") }.signed());
    assert_eq!(denied.verdict(), (403, "explicit_deny"));
}

/// The same as bytes, with one stretch of them replaced.
fn replaced(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    assert!(text.contains(from), "{from}: {text}");
    text.replacen(from, to, 1).into_bytes()
}

#[test]
fn whatever_is_changed_in_a_signed_request_is_refused_with_its_reason() {
    let (backend, world) = started();
    let signed = Aws::get("/v1/groups/g1").query("a=1&b=2").header("accept", "*/*").signed();
    let mut wrong = Wrong::default();
    let mut client = world.connect();
    for (from, to, expected) in [
        ("Host", "host", ALLOW),
        ("\r\n\r\n", "\r\nUser-Agent: x\r\n\r\n", ALLOW),
        ("a=1&b=2", "b=2&a=1", ALLOW),
        ("GET", "HEAD", MISMATCH),
        ("GET", "DELETE", MISMATCH),
        ("/g1", "/g2", MISMATCH),
        ("/g1", "/%671", MISMATCH),
        ("/g1", "/g1/", MISMATCH),
        ("/v1", "/v1/.", (400, "ambiguous_request")),
        ("/v1", "//v1", (400, "ambiguous_request")),
        ("/v1", "/v1;x", (400, "ambiguous_request")),
        ("a=1", "a=3", MISMATCH),
        ("a=1", "a=1&a=1", MISMATCH),
        ("a=1", "a=%31", MISMATCH),
        ("a=1", "a=%zz", MALFORMED),
        ("&b=2", "", MISMATCH),
        ("iam.test", "store.test", (401, "no_credential")),
        ("iam.test", "127.0.0.1:18080", MISMATCH),
        ("accept: */*", "accept: text/html", MISMATCH),
        ("accept: */*", "accept: */*\r\naccept: x", MISMATCH),
        ("accept: */*", "x: y", MALFORMED),
        ("accept;host", "host", MISMATCH),
        ("accept;host", "accept", MALFORMED),
        ("\r\n\r\n", "\r\nX-Amz-Target: x\r\n\r\n", MALFORMED),
        ("\r\n\r\n", "\r\nX-Amz-Security-Token: x\r\n\r\n", MALFORMED),
        ("\r\n\r\n", "\r\nX-Amz-Date: 20261120T222945Z\r\n\r\n", MALFORMED),
        ("X-Amz-Date: 20261120T222945Z", "X-Amz-Date: 20261120T222946Z", MISMATCH),
        ("X-Amz-Date: 20261120", "X-Amz-Date: 20261121", MALFORMED),
        ("X-Amz-Date: ", "Date: ", MALFORMED),
        ("/20261120/", "/20261121/", MALFORMED),
        ("/kr-west1/", "/kr-east1/", MISMATCH),
        ("/iam/", "/s3/", MALFORMED),
        ("aws4_request", "aws5_request", MALFORMED),
        ("AWS4-HMAC-SHA256", "aws4-hmac-sha256", MALFORMED),
        ("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA512", MALFORMED),
        ("AWS4-HMAC-SHA256", "AWS3", (401, "no_credential")),
        (ADMIN.key, READER.key, MISMATCH),
        (ADMIN.key, "00000000000000000000000000000000", MISMATCH),
        (ADMIN.key, "AKIDEXAMPLE", MALFORMED),
        ("Signature=", "Signature=0", MALFORMED),
        ("Authorization: ", "Authorization: Bearer x\r\nAuthorization: ", SEVERAL),
        ("Authorization: ", "Authorization: AWS4-HMAC-SHA256 x\r\nAuthorization: ", SEVERAL),
        ("Authorization: ", "X-Auth-Token: \r\nAuthorization: ", ALLOW),
        ("Authorization: ", "X-Auth-Token: x\r\nAuthorization: ", SEVERAL),
        ("Authorization: ", "Scp-Signature: x\r\nAuthorization: ", SEVERAL),
        ("Authorization: ", "X-Cmp-Signature: x\r\nAuthorization: ", SEVERAL),
        ("Authorization: ", "Svsignature: x\r\nAuthorization: ", SEVERAL),
        ("a=1", "X-Amz-Signature=1", SEVERAL),
        ("a=1", "x-amz%2dcredential=1", SEVERAL),
    ] {
        let before = backend.count();
        let bytes = replaced(&signed, from, to);
        client.send(&bytes);
        let answer = client.outcome(if bytes.starts_with(b"HEAD") { "HEAD" } else { "GET" }).unwrap();
        wrong.check(&format!("{from} -> {to}"), &answer, expected, backend.count() - before);
    }
    wrong.end();
}

#[test]
fn whatever_is_changed_in_a_presigned_request_is_refused_with_its_reason() {
    let (backend, world) = started();
    let presigned = Aws::get("/v1/groups/g1").query("a=1").presigned("900");
    let mut wrong = Wrong::default();
    let mut client = world.connect();
    for (from, to, expected) in [
        ("Host", "HOST", ALLOW),
        ("\r\n\r\n", "\r\nUser-Agent: x\r\n\r\n", ALLOW),
        ("GET", "DELETE", MISMATCH),
        ("/g1", "/g2", MISMATCH),
        ("a=1", "a=2", MISMATCH),
        ("a=1&", "", MISMATCH),
        ("a=1&", "a=1&&", MISMATCH),
        ("X-Amz-Expires=900", "X-Amz-Expires=901", MISMATCH),
        ("X-Amz-Expires=900", "X-Amz-Expires=0", MALFORMED),
        ("X-Amz-Expires=900", "X-Amz-Expires=-1", MALFORMED),
        ("X-Amz-Expires=900", "X-Amz-Expires=604801", MALFORMED),
        ("X-Amz-Expires=900&", "", MALFORMED),
        ("X-Amz-Expires=900", "X-Amz-Expires=900&X-Amz-Expires=900", MALFORMED),
        ("X-Amz-Expires", "x-amz-expires", MALFORMED),
        ("X-Amz-Expires", "X%2DAmz-Expires", MALFORMED),
        ("X-Amz-SignedHeaders=host", "X-Amz-SignedHeaders=accept", MALFORMED),
        ("X-Amz-Signature=", "X-Amz-Signature=0", MALFORMED),
        ("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA1", MALFORMED),
        ("\r\n\r\n", "\r\nX-Amz-Acl: public\r\n\r\n", MALFORMED),
        ("\r\n\r\n", "\r\nAuthorization: Basic eA==\r\n\r\n", SEVERAL),
        ("\r\n\r\n", "\r\nX-Auth-Token: x\r\n\r\n", SEVERAL),
        ("\r\n\r\n", "\r\nScp-Accesskey: x\r\n\r\n", SEVERAL),
        // A presigned request of this profile signs that it has no body.
        ("\r\n\r\n", "\r\nContent-Length: 1\r\n\r\nx", MISMATCH),
    ] {
        let before = backend.count();
        let answer = client.ask(replaced(&presigned, from, to));
        wrong.check(&format!("{from} -> {to}"), &answer, expected, backend.count() - before);
    }
    wrong.end();
}

#[test]
fn a_signature_has_its_time_and_the_owner_is_told_the_gateways() {
    let (backend, world) = started();
    let mut wrong = Wrong::default();
    let get = || Aws::get("/v1/groups/g1");
    for (off_s, expected) in [(-900, SKEW), (-301, SKEW), (-300, ALLOW), (0, ALLOW), (300, ALLOW), (301, SKEW), (900, SKEW)] {
        let before = backend.count();
        let answer = world.ask(get().at(NOW_MS + off_s * 1_000).signed());
        wrong.check(&format!("header {off_s}"), &answer, expected, backend.count() - before);
        assert_eq!(answer.text().contains("the gateway's time is 2026-11-20T22:29:45.000Z"), expected == SKEW, "{}", answer.text());
    }
    for (off_s, expires_s, expected) in [
        (-59, "60", ALLOW),
        (-60, "60", SKEW),
        (-61, "60", SKEW),
        (-604_799, "604800", ALLOW),
        (-604_800, "604800", SKEW),
        (0, "1", ALLOW),
        (-1, "1", SKEW),
        (300, "60", ALLOW),
        (301, "604800", SKEW),
        (86_400, "604800", SKEW),
    ] {
        let before = backend.count();
        let answer = world.ask(get().at(NOW_MS + off_s * 1_000).presigned(expires_s));
        wrong.check(&format!("query {off_s} {expires_s}"), &answer, expected, backend.count() - before);
    }
    wrong.end();
}

#[test]
fn an_unknown_key_and_a_wrong_secret_get_the_same_answer_to_an_aws_signature() {
    let (backend, world) = started();
    let wrong_secret = Who { secret: "another secret", ..ADMIN };
    let unknown = Who { key: "00000000000000000000000000000000", ..ADMIN };
    // Whoever knows the decoy's secret has nothing.
    let decoy = Who { secret: "a secret that belongs to no key.", ..unknown };
    let mut answers = Vec::new();
    for who in [wrong_secret, unknown, decoy] {
        for body in [&b""[..], b"{}"] {
            let request =
                Aws { who, body: body.to_vec(), ..Aws::new("POST", "/v1/groups").header("content-length", &body.len().to_string()) };
            for bytes in [request.signed(), request.presigned("60")] {
                let answer = world.ask(bytes);
                let id = answer.request_id().to_owned();
                assert_eq!(answer.header("portcullis-revision"), None);
                answers.push((answer.status, answer.text().replace(&id, "ID")));
            }
        }
    }
    assert_eq!((answers[0].0, backend.count()), (401, 0));
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
}

#[test]
fn the_secret_of_a_key_signs_for_no_other_key() {
    let (backend, world) = started();
    // Its key of the scope is remembered then.
    assert_eq!(world.ask(Aws::get("/v1/groups/g1").signed()).status, 200);
    for key in nobodys() {
        let who = Who { key, ..ADMIN };
        let aws = Aws { who, ..Aws::get("/v1/groups/g1") };
        let scp = Ask::get("/v1/groups/g1");
        for request in [scp.by(&who), scp.line("X-Auth-Token: x").by(&who), aws.signed(), aws.presigned("60")] {
            assert_eq!(world.ask(request).verdict(), MISMATCH, "{key}");
        }
    }
    assert_eq!(backend.count(), 1);
}

#[test]
fn keys_have_no_sessions_and_a_service_says_what_it_takes() {
    let get = || Aws::get("/v1/groups/g1");
    let unsigned = || get().header("x-amz-content-sha256", "UNSIGNED-PAYLOAD");
    let token = get().header("x-amz-security-token", "session");
    let in_query = get().query("X-Amz-Security-Token=session");
    let not_taken = (401, "no_credential");
    let mut wrong = Wrong::default();
    for (sigv4, request, expected) in [
        ("", token.signed(), (401, "session_token_invalid")),
        ("", token.presigned("60"), (401, "session_token_invalid")),
        ("", in_query.presigned("60"), (401, "session_token_invalid")),
        ("", Aws { service: "s3", ..get() }.signed(), MALFORMED),
        ("", Aws { region: "anywhere", ..get() }.signed(), ALLOW),
        (", regions: [kr-east1, kr-west1]", get().signed(), ALLOW),
        (", regions: [kr-east1]", get().signed(), MALFORMED),
        (", regions: [kr-east1]", get().presigned("60"), MALFORMED),
        ("", unsigned().signed(), ALLOW),
        (", unsigned_payload: false", unsigned().signed(), MALFORMED),
        (", unsigned_payload: false", unsigned().presigned("60"), MALFORMED),
        (", unsigned_payload: false", get().signed(), ALLOW),
        (", unsigned_payload: false", get().presigned("60"), ALLOW),
        (", profile: s3", Aws::get("/v1/groups/a%20b").signed(), MISMATCH),
        (", profile: s3", Aws { once_encoded: true, ..Aws::get("/v1/groups/a%20b") }.signed(), ALLOW),
        (", profile: s3", Aws { once_encoded: true, ..Aws::get("/v1/groups/a%20b") }.presigned("60"), ALLOW),
        (", profile: s3, unsigned_payload: false", Aws { once_encoded: true, ..get() }.presigned("60"), MALFORMED),
        ("-", get().signed(), not_taken),
        ("-", get().presigned("60"), not_taken),
    ] {
        let backend = Backend::start();
        let world = if sigv4 == "-" { Setup::new() } else { taking(sigv4) }.start(&backend);
        let answer = world.ask(&request);
        wrong.check(&format!("{sigv4} {}", String::from_utf8_lossy(&request)), &answer, expected, backend.count());
    }
    wrong.end();
}

#[test]
fn bodies_in_signed_chunks_are_refused_and_say_so() {
    let (backend, world) = started();
    for kind in ["STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"] {
        let mut request = Aws::new("PUT", "/v1/groups/g1").header("x-amz-content-sha256", kind).header("content-length", "4");
        request.body = b"body".to_vec();
        for bytes in [request.signed(), request.presigned("60")] {
            let answer = world.ask(bytes);
            assert_eq!(answer.verdict(), MALFORMED);
            assert!(answer.text().contains("signed chunks"), "{}", answer.text());
        }
        // Without any signature it is nobody's.
        let bare = format!("PUT /v1/groups/g1 HTTP/1.1\r\nHost: iam.test\r\nx-amz-content-sha256: {kind}\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(world.ask(bare).verdict(), (401, "no_credential"));
    }
    assert_eq!(backend.count(), 0);
}

fn in_chunks(mut request: Aws, body: &[u8], size: usize) -> Vec<u8> {
    request.headers.retain(|(name, _)| *name != "content-length");
    request.more.push_str("Transfer-Encoding: chunked\r\n");
    request.body.clear();
    let mut bytes = request.signed();
    bytes.extend_from_slice(&chunked(body, size));
    bytes
}

#[test]
fn a_body_with_the_signed_hash_passes_unchanged() {
    let (backend, world) = started();
    let mut client = world.connect();
    for body in [&b"x"[..], b"body", &large()] {
        let request = Aws::new("PUT", "/v1/groups/g1").body(body);
        for (bytes, framing) in [
            (request.signed(), "content-length"),
            (in_chunks(request.clone(), body, 10_001), "transfer-encoding"),
            (in_chunks(request.clone(), body, 1 + body.len()), "transfer-encoding"),
            (request.presigned("60"), "content-length"),
        ] {
            let answer = client.ask(bytes);
            assert_eq!(answer.verdict(), ALLOW, "{}", answer.text());
            let Seen { body: seen, whole, .. } = backend.last();
            assert!(whole && seen == body, "{framing} {}", body.len());
            assert!(backend.last().header(framing).is_some(), "{framing}");
        }
    }
    let empty = Aws::new("PUT", "/v1/groups/g1").body(b"");
    assert_eq!(client.ask(empty.signed()).verdict(), ALLOW);
    assert_eq!(client.ask(in_chunks(empty, b"", 1)).verdict(), ALLOW, "no chunk but the last");
}

#[test]
fn a_body_with_another_hash_never_comes_whole() {
    let backend = Backend::start();
    let mut world = taking("").start(&backend);
    let mut refused = 0;
    for good in [b"x".to_vec(), b"body".to_vec(), large()] {
        let last = good.len() - 1;
        for place in [0, last / 2, last] {
            let mut bad = good.clone();
            bad[place] ^= 1;
            let mut request = Aws::new("PUT", "/v1/groups/g1").body(&good);
            let chunks = [in_chunks(request.clone(), &bad, 10_001), in_chunks(request.clone(), &bad, 1 + bad.len())];
            request.body = bad;
            for bytes in [request.signed(), request.presigned("60")].into_iter().chain(chunks) {
                let mut client = world.connect();
                let answer = client.ask(bytes);
                assert_eq!(answer.verdict(), MISMATCH, "{place} of {last}: {}", answer.text());
                assert!(answer.text().contains("x-amz-content-sha256"), "{}", answer.text());
                refused += 1;
                let record = world.record(answer.request_id());
                assert_eq!(text(&record, "failure").or(text(&record, "reason")), Some("signature_mismatch"));
                // Whoever asks next on the same connection gets their own answer.
                let next = client.ask(Aws::get("/v1/groups/next").signed());
                assert_eq!((next.verdict(), next.text().as_str()), (ALLOW, "/v1/groups/next"));
            }
        }
    }
    world.stop();
    let seen = backend.since(0);
    let (uploads, others): (Vec<_>, Vec<_>) = seen.iter().partition(|seen| seen.method() == "PUT");
    assert_eq!((refused, others.len()), (36, 36));
    assert!(uploads.iter().all(|seen| !seen.whole), "{uploads:?}");
    let most = uploads.iter().map(|seen| seen.body.len()).max().unwrap();
    assert!(most > 0 && most < 300_000, "the large ones are streamed, but not to their end: {most}");
}

#[test]
fn a_body_that_breaks_off_is_not_taken_for_a_whole_one() {
    let (backend, world) = started();
    for keep in [0, 1, 3] {
        let mut client = world.connect();
        let bytes = Aws::new("PUT", "/v1/groups/g1").body(b"body").signed();
        client.send(&bytes[..bytes.len() - 4 + keep]).half_close();
        match client.outcome("PUT") {
            Ok(answer) => assert_eq!(answer.status, 400, "{}", answer.text()),
            Err(broken) => assert!(matches!(broken, Broken::Closed), "{broken:?}"),
        }
    }
    assert!(backend.since(0).iter().all(|seen| !seen.whole));
}

#[test]
fn a_body_whose_hash_nobody_names_is_verified_before_anything_else() {
    // What a service allows for those who are authenticated is not allowed for everybody.
    let backend = Backend::start();
    let world = Setup::new().set("service", "body_bytes_max: 1000000\n    sigv4: {service: iam}").start(&backend);
    let put = |body: &[u8], length: usize| Aws {
        body: body.to_vec(),
        ..Aws::new("PUT", "/v1/groups/g1").header("content-length", &length.to_string())
    };
    let mut wrong = Wrong::default();
    let mut client = world.connect();
    let good = put(b"body", 4);
    let limit = vec![b'x'; 65_536];
    let beyond = vec![b'x'; 65_537];
    for (what, bytes, expected) in [
        ("the body", good.signed(), ALLOW),
        ("the body, presigned", good.presigned("60"), ALLOW),
        ("another body", replaced(&good.signed(), "\r\n\r\nbody", "\r\n\r\nbodx"), MISMATCH),
        ("another body, presigned", replaced(&good.presigned("60"), "\r\n\r\nbody", "\r\n\r\nxody"), MISMATCH),
        ("as long as may be", put(&limit, 65_536).signed(), ALLOW),
        ("too long", put(&beyond, 65_537).signed(), (413, "body_too_large")),
    ] {
        let before = backend.count();
        let answer = client.ask(bytes);
        wrong.check(what, &answer, expected, backend.count() - before);
        if expected.0 == 413 {
            client = world.connect();
        }
    }
    wrong.end();
}

#[test]
fn a_body_that_decides_is_compared_before_the_decision() {
    let backend = Backend::start();
    let world = taking("").start(&backend);
    let delete = |signed: &[u8], sent: &[u8]| {
        let mut request = Aws::new("DELETE", "/v1/policies/bulk").body(signed).header("content-type", "application/json");
        request.body = sent.to_vec();
        request.signed()
    };
    let (one, other) = (br#"{"ids":["1"]}"#, br#"{"ids":["2"]}"#);
    assert_eq!(world.ask(delete(one, one)).verdict(), ALLOW);
    assert_eq!(backend.last().body, one);
    let answer = world.ask(delete(one, other));
    assert_eq!((answer.verdict(), backend.count()), (MISMATCH, 1));
}

#[test]
fn a_body_that_is_here_to_be_verified_decides_only_where_something_depends_on_it() {
    let backend = Backend::start();
    let deny = r#"{"Effect": "Deny", "Action": ["iam:SetGroup"], "Resource": ["*"], "Condition": {"StringEquals": {"scp:RequestAttribute/body['role']": "admin"}}}"#;
    let world = taking("").policy(super::harness::ACCOUNT, "ad000000000000000000000000000001", deny).start(&backend);
    let put = |method, body: &[u8], named: bool, kind: &str| {
        let request = Aws::new(method, "/v1/groups/g1").header("content-type", kind);
        let request = if named { request.body(body) } else { request.header("content-length", &body.len().to_string()) };
        Aws { body: body.to_vec(), ..request }.signed()
    };
    let json = "application/json";
    let mut wrong = Wrong::default();
    for (what, method, body, kind, expected) in [
        ("denied", "PUT", &br#"{"role":"admin"}"#[..], json, (403, "explicit_deny")),
        ("not denied", "PUT", br#"{"role":"reader"}"#, json, ALLOW),
        ("no JSON", "PUT", b"role=admin", json, (400, "malformed_request")),
        ("another type", "PUT", br#"{"role":"reader"}"#, "text/plain", (400, "malformed_request")),
        ("no JSON where nothing depends on it", "DELETE", b"role=admin", "text/plain", ALLOW),
    ] {
        for named in [true, false] {
            let before = backend.count();
            let answer = world.ask(put(method, body, named, kind));
            wrong.check(&format!("{what} {named}"), &answer, expected, backend.count() - before);
        }
    }
    wrong.end();
}

#[test]
fn a_stranger_whose_signature_covers_a_body_does_not_wait_for_a_revision() {
    let (backend, world) = started();
    let ask = |who| {
        let mut request = Aws { who, body: b"{}".to_vec(), ..Aws::new("POST", "/v1/groups").header("content-length", "2") };
        request.more.push_str("Portcullis-Min-Revision: 1795213784687.41\r\n");
        world.ask(request.signed()).verdict().1.to_owned()
    };
    assert_eq!(ask(ADMIN), "revision_not_reached");
    assert_eq!(ask(Who { secret: "another secret", ..ADMIN }), "signature_mismatch");
    assert_eq!(backend.count(), 0);
}

#[test]
fn a_service_that_only_observes_passes_what_was_signed_and_what_was_not() {
    let backend = Backend::start();
    let observing = "mode: observe\n    sigv4: {service: iam}";
    let world = Setup::new().set("service", observing).set("upstream", "keep_credentials: true").start(&backend);
    let mut request = Aws::new("PUT", "/v1/groups/g1").body(b"body");
    request.body = b"bodx".to_vec();
    for bytes in [request.signed(), request.presigned("60")] {
        let sent = String::from_utf8(bytes.clone()).unwrap();
        let answer = world.ask(bytes);
        assert_eq!(answer.status, 200, "{}", answer.text());
        let seen = backend.last();
        assert_eq!((seen.whole, seen.body.as_slice()), (true, &b"bodx"[..]));
        assert!(sent.starts_with(&format!("{} HTTP/1.1\r\n", seen.line())), "{}", seen.head);
    }
    assert_eq!(backend.since(0)[0].all("authorization").len(), 1);
}

#[test]
fn no_changed_byte_of_a_signed_request_verifies_through_the_gateway() {
    let (backend, world) = started();
    // No definition knows this path: who is believed gets 403.
    let request = Aws::get("/v9/a").query("b=c&d=%20").header("x-amz-meta-a", "b");
    let mut client = world.connect();
    let mut believed = Vec::new();
    for bytes in [request.signed(), request.presigned("900")] {
        assert_eq!(client.ask(&bytes).verdict(), (403, "no_action_definition"));
        for place in 0..bytes.len() - 4 {
            for flip in [0x01, 0x20] {
                let mut changed = bytes.clone();
                changed[place] ^= flip;
                client.send(&changed);
                let outcome = client.outcome(if changed.starts_with(b"HEAD") { "HEAD" } else { "GET" });
                match outcome {
                    Ok(answer) if answer.status == 403 || answer.status == 200 => {
                        believed.push(String::from_utf8_lossy(&changed).into_owned())
                    }
                    Ok(answer) if answer.header("portcullis-reason").is_some() => continue,
                    Ok(_) | Err(Broken::Closed | Broken::Cut(_)) => {}
                    Err(Broken::Silent) => panic!("silent after {}", String::from_utf8_lossy(&changed)),
                }
                client = world.connect();
            }
        }
    }
    // Letter case of header names says nothing, the version is not signed, and nothing else was believed.
    let original: Vec<String> =
        [request.signed(), request.presigned("900")].map(|bytes| names_folded(&String::from_utf8(bytes).unwrap())).into();
    believed.retain(|changed| !original.contains(&names_folded(changed)));
    assert!(believed.is_empty() && backend.count() == 0, "{believed:#?}");
}

/// A head with the names of its headers in lower case.
fn names_folded(head: &str) -> String {
    let fold = |line: &str| line.split_once(": ").map_or(line.to_owned(), |(name, value)| format!("{}: {value}", name.to_lowercase()));
    head.replace(" HTTP/1.0\r\n", " HTTP/1.1\r\n").split("\r\n").map(fold).collect::<Vec<_>>().join("\r\n")
}
