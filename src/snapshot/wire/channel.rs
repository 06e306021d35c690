//! The feed's envelope: who may ask for it, and lines that nobody can change, double, leave out or move unnoticed.
//!
//! A request is signed: `Portcullis-Feed-Signature` is the hexadecimal HMAC-SHA256 under the feed key over the lines
//! `portcullis-feed-v1`, `GET`, target, time, nonce and gateway, each with a line feed except the last. Every line of the
//! answer is `MAC SP JSON LF`; the MAC is the first half of HMAC-SHA256(feed key, whole MAC of the line before, JSON). The
//! MAC before the first line is that of `portcullis-feed-v1 LF nonce LF target`, so an answer fits one request only.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::constant_time::verify_slices_are_equal;

use super::Digest;
use crate::types::{Revision, SigningKey, Timestamp, hex};

/// The feed's path.
pub const PATH: &str = "/feed/v1";
/// Names the gateway that asks.
pub const GATEWAY_HEADER: &str = "portcullis-feed-gateway";
/// When it asks, in milliseconds since 1970.
pub const TIME_HEADER: &str = "portcullis-feed-time";
/// 16 random bytes in hexadecimal digits, new for every request.
pub const NONCE_HEADER: &str = "portcullis-feed-nonce";
/// The request's signature.
pub const SIGNATURE_HEADER: &str = "portcullis-feed-signature";

/// Most bytes of a line: a write that changes more than that at once cannot be fed.
pub const LINE_BYTES_MAX: usize = 16 << 20;
/// How far the clocks of a gateway and the control plane may be apart.
pub const CLOCK_SKEW_MS_MAX: u64 = 300_000;
/// Most characters of a gateway's name.
pub const GATEWAY_CHARS_MAX: usize = 64;
/// Digits of a nonce.
pub const NONCE_CHARS: usize = 32;

/// First line of what is signed; a new form gets a new one.
const FORM: &str = "portcullis-feed-v1\n";
const TIME_DIGITS_MAX: usize = 15;
const LINE_MAC_BYTES: usize = 16;
/// The digits of a line's MAC.
const LINE_MAC_CHARS: usize = 2 * LINE_MAC_BYTES;

/// A point in a store's history. Points of a later epoch are later, whatever their sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Point {
    /// The store's epoch.
    pub epoch: u64,
    /// The sequence in it.
    pub sequence: u64,
}

/// A text that is no point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a revision of a store is `EPOCH.SEQUENCE`")]
pub struct PointError;

impl Point {
    /// The same as a revision.
    #[must_use]
    pub fn revision(self) -> Revision {
        Revision::Store { epoch: self.epoch, sequence: self.sequence }
    }
}

impl fmt::Display for Point {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}.{}", self.epoch, self.sequence)
    }
}

impl FromStr for Point {
    type Err = PointError;

    fn from_str(text: &str) -> Result<Self, PointError> {
        let (epoch, sequence) = text.split_once('.').ok_or(PointError)?;
        let point = epoch.parse().ok().zip(sequence.parse().ok()).map(|(epoch, sequence)| Self { epoch, sequence });
        point.filter(|point| point.to_string() == text).ok_or(PointError)
    }
}

/// What a gateway has already: it wants only what came after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resume {
    /// Where it is.
    pub point: Point,
    /// The digest of its state.
    pub digest: Digest,
}

/// A target that is not the feed's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the target is not `{PATH}`, with or without `?after=EPOCH.SEQUENCE&digest=HEX`")]
pub struct TargetError;

/// The target of a request for everything, or for what came after.
#[must_use]
pub fn target(resume: Option<Resume>) -> String {
    resume.map_or_else(|| PATH.to_owned(), |Resume { point, digest }| format!("{PATH}?after={point}&digest={digest}"))
}

/// Reads what [`target`] writes, and only that.
///
/// # Errors
/// Any other target.
pub fn parse_target(text: &str) -> Result<Option<Resume>, TargetError> {
    if text == PATH {
        return Ok(None);
    }
    let query = text.strip_prefix(PATH).and_then(|rest| rest.strip_prefix("?after=")).ok_or(TargetError)?;
    let (point, digest) = query.split_once("&digest=").ok_or(TargetError)?;
    let resume = point.parse().ok().zip(digest.parse().ok()).map(|(point, digest)| Resume { point, digest });
    resume.map(Some).ok_or(TargetError)
}

/// What of a request is signed; as a server gets it, nothing of it is true before it is verified.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// Path and query.
    pub target: &'a str,
    /// [`TIME_HEADER`].
    pub time: &'a str,
    /// [`NONCE_HEADER`].
    pub nonce: &'a str,
    /// [`GATEWAY_HEADER`].
    pub gateway: &'a str,
}

impl Request<'_> {
    fn mac(&self, key: &SigningKey) -> [u8; 32] {
        let Self { target, time, nonce, gateway } = self;
        key.mac(format!("{FORM}GET\n{target}\n{time}\n{nonce}\n{gateway}").as_bytes())
    }

    /// The value of [`SIGNATURE_HEADER`].
    #[must_use]
    pub fn sign(&self, key: &SigningKey) -> String {
        hex(&self.mac(key))
    }

    /// Whether the holder of `key` asked this, at about this time. Compares in constant time.
    #[must_use]
    pub fn verify(&self, key: &SigningKey, signature: &str, now: Timestamp) -> bool {
        let digits = (1..=TIME_DIGITS_MAX).contains(&self.time.len()) && self.time.bytes().all(|byte| byte.is_ascii_digit());
        let time = self.time.parse().ok().filter(|_| digits).map(Timestamp::from_milliseconds);
        let fresh = time.is_some_and(|time| time.distance_ms(now) <= CLOCK_SKEW_MS_MAX);
        let signed = verify_slices_are_equal(hex(&self.mac(key)).as_bytes(), signature.as_bytes()).is_ok();
        fresh && is_nonce(self.nonce) && is_gateway_name(self.gateway) && signed
    }
}

/// Whether a text may name a gateway: letters, digits, `.`, `_` and `-`.
#[must_use]
pub fn is_gateway_name(text: &str) -> bool {
    (1..=GATEWAY_CHARS_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

fn is_nonce(text: &str) -> bool {
    text.len() == NONCE_CHARS && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// A line that is not the next one of its stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// Not `MAC SP JSON`.
    #[error("a line does not start with its MAC")]
    Form,
    /// Another key, or a line was changed, doubled, left out or moved.
    #[error("a line's MAC does not fit: changed, doubled, missing, out of order, or under another feed key")]
    Mac,
}

/// One end's place in a stream of lines.
#[derive(Debug, Clone)]
pub struct Chain {
    key: SigningKey,
    previous: [u8; 32],
}

impl Chain {
    /// Before the first line of the answer to a request.
    #[must_use]
    pub fn start(key: &SigningKey, nonce: &str, target: &str) -> Self {
        let previous = key.mac_of(&[FORM.as_bytes(), nonce.as_bytes(), b"\n", target.as_bytes()]);
        Self { key: key.clone(), previous }
    }

    /// Appends the next line, with its line feed.
    pub fn seal(&mut self, json: &str, lines: &mut Vec<u8>) {
        self.previous = self.next(json);
        let mac = self.previous.first_chunk::<LINE_MAC_BYTES>();
        lines.extend_from_slice(hex(mac.map_or(&[][..], |mac| mac)).as_bytes());
        lines.push(b' ');
        lines.extend_from_slice(json.as_bytes());
        lines.push(b'\n');
    }

    /// The JSON of the next line, which comes without its line feed.
    ///
    /// # Errors
    /// When it is not the next line. Nothing after it can be believed either.
    pub fn open<'l>(&mut self, line: &'l [u8]) -> Result<&'l str, ChainError> {
        let (mac, rest) = line.split_at_checked(LINE_MAC_CHARS).ok_or(ChainError::Form)?;
        let json = rest.strip_prefix(b" ").and_then(|json| std::str::from_utf8(json).ok()).ok_or(ChainError::Form)?;
        let next = self.next(json);
        let expected = next.first_chunk::<LINE_MAC_BYTES>().map(|mac| hex(mac)).unwrap_or_default();
        verify_slices_are_equal(expected.as_bytes(), mac).map_err(|_| ChainError::Mac)?;
        self.previous = next;
        Ok(json)
    }

    fn next(&self, json: &str) -> [u8; 32] {
        self.key.mac_of(&[&self.previous, json.as_bytes()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Secret;

    const NONCE: &str = "00112233445566778899aabbccddeeff";

    fn key(text: &str) -> SigningKey {
        SigningKey::new(&Secret::new(text.as_bytes()))
    }

    #[test]
    fn targets_read_back_and_no_other_spelling_does() {
        let resume = Resume { point: Point { epoch: 3, sequence: 41 }, digest: Digest::of("a", "b") };
        for resume in [None, Some(resume)] {
            assert_eq!(parse_target(&target(resume)), Ok(resume));
        }
        let whole = target(Some(resume));
        for bad in [
            "/feed/v1?",
            "/feed/v1/",
            "/feed/v1?after=3.41",
            &whole.replace("3.41", "03.41"),
            &whole.replace("3.41", "3.+1"),
            &format!("{whole}&x=1"),
            &whole.to_uppercase(),
        ] {
            assert_eq!(parse_target(bad), Err(TargetError), "{bad}");
        }
        assert!(Point { epoch: 2, sequence: 1 } > Point { epoch: 1, sequence: 9 });
    }

    #[test]
    fn only_a_fresh_request_of_the_key_holder_verifies() {
        let (ours, other) = (key("a feed key of this place"), key("a feed key of other place"));
        let request = Request { target: PATH, time: "1795213784687", nonce: NONCE, gateway: "edge-1" };
        let signature = request.sign(&ours);
        let now = Timestamp::from_milliseconds(1_795_213_784_687);
        assert!(request.verify(&ours, &signature, now));
        assert!(!request.verify(&other, &signature, now));
        for changed in [
            Request { target: "/feed/v1?x", ..request },
            Request { time: "1795213784688", ..request },
            Request { nonce: "10112233445566778899aabbccddeeff", ..request },
            Request { gateway: "edge-2", ..request },
        ] {
            assert!(!changed.verify(&ours, &signature, now), "{changed:?}");
        }
        for (offset, fits) in [(300_000, true), (-300_000, true), (300_001, false), (-300_001, false)] {
            let then = Timestamp::from_milliseconds(now.milliseconds() + offset);
            assert_eq!(request.verify(&ours, &signature, then), fits, "{offset}");
        }
        for bad in [
            Request { time: "+1795213784687", ..request },
            Request { nonce: "short", ..request },
            Request { nonce: "00112233445566778899AABBCCDDEEFF", ..request },
            Request { gateway: "", ..request },
            Request { gateway: "a b", ..request },
        ] {
            assert!(!bad.verify(&ours, &bad.sign(&ours), now), "{bad:?}");
        }
        for bad in ["", &signature.to_uppercase(), signature.get(1..).unwrap()] {
            assert!(!request.verify(&ours, bad, now), "{bad}");
        }
    }

    #[test]
    fn a_chain_takes_exactly_the_lines_of_its_stream_in_order() {
        let key = key("a feed key of this place");
        let fresh = || Chain::start(&key, NONCE, PATH);
        let (mut sender, mut bytes) = (fresh(), Vec::new());
        for number in 0..3 {
            sender.seal(&format!(r#"{{"head":{number}}}"#), &mut bytes);
        }
        let lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
        let take = |order: &[usize]| {
            let mut chain = fresh();
            order.iter().map(|index| chain.open(lines[*index]).map(str::to_owned)).collect::<Result<Vec<_>, _>>()
        };
        assert_eq!(take(&[0, 1, 2]).unwrap().last().unwrap(), r#"{"head":2}"#);
        for order in [&[1][..], &[0, 0], &[0, 2], &[1, 0]] {
            assert_eq!(take(order), Err(ChainError::Mac), "{order:?}");
        }
        for index in 0..lines[0].len() {
            let mut line = lines[0].to_vec();
            line[index] ^= 1;
            assert!(fresh().open(&line).is_err(), "byte {index}");
            assert!(fresh().open(&lines[0][..index]).is_err(), "cut at {index}");
        }
        let mut elsewhere = Chain::start(&key, NONCE, "/feed/v1?after=1.1");
        assert_eq!(elsewhere.open(lines[0]), Err(ChainError::Mac));
    }
}
