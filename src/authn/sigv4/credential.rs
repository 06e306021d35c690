//! What a client presents: the `Authorization` header or the parameters of a presigned query, read strictly.

use std::borrow::Cow;
use std::fmt;

use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use smallvec::SmallVec;

use super::canonical::Profile;
use super::chunks::{Framing, Upload};
use super::query::{decoded, is, pairs};
use super::{ALGORITHM, EXPIRES_S_MAX, SCOPE_PART_BYTES_MAX, SIGNED_HEADERS_BYTES_MAX, SIGNED_HEADERS_MAX, TERMINATOR, UNSIGNED_PAYLOAD};
use crate::types::{Timestamp, hex};

const DATE: HeaderName = HeaderName::from_static("x-amz-date");
const CONTENT_SHA256: HeaderName = HeaderName::from_static("x-amz-content-sha256");
const SECURITY_TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");

/// A well-formed signature; whether it is a true one, [`Credential::verify`] tells.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential<'a> {
    /// Which key claims to have signed, and for what.
    pub scope: Scope<'a>,
    /// When the client says it signed.
    pub signed_at: Timestamp,
    /// How long a presigned request lives from then on.
    pub expires_s: Option<u32>,
    /// What is signed of the body.
    pub payload: Payload,
    /// The session token that stands beside it, as it was sent.
    pub session_token: Option<Cow<'a, [u8]>>,
    pub(super) profile: Profile,
    pub(super) carrier: Carrier,
    pub(super) time: Cow<'a, str>,
    pub(super) covered: Covered<'a>,
    pub(super) signature: [u8; 32],
}

impl fmt::Debug for Credential<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Credential(.. for {})", self.scope.whole())
    }
}

/// An access key and for what its secret signed: `KEY/YYYYMMDD/REGION/SERVICE/aws4_request`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope<'a> {
    text: Cow<'a, str>,
    /// Where its first four parts end.
    ends: [usize; 4],
}

impl<'a> Scope<'a> {
    pub(super) fn parse(text: Cow<'a, str>) -> Option<Self> {
        let mut scope = Self { ends: [text.len(); 4], text };
        let (mut parts, mut start) = (0, 0);
        for (at, byte) in scope.text.bytes().chain([b'/']).enumerate() {
            if byte == b'/' {
                if !(1..=SCOPE_PART_BYTES_MAX).contains(&(at - start)) || parts > scope.ends.len() {
                    return None;
                }
                if let Some(end) = scope.ends.get_mut(parts) {
                    *end = at;
                }
                (parts, start) = (parts + 1, at + 1);
            } else if !(byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_')) {
                return None;
            }
        }
        let day = scope.day();
        let good = parts == 5 && day.len() == 8 && day.bytes().all(|byte| byte.is_ascii_digit()) && scope.part(4) == TERMINATOR;
        good.then_some(scope)
    }

    fn part(&self, place: usize) -> &str {
        let start = place.checked_sub(1).and_then(|before| self.ends.get(before)).map_or(0, |end| end + 1);
        let end = self.ends.get(place).copied().unwrap_or(self.text.len());
        self.text.get(start..end).unwrap_or_default()
    }

    /// The key that claims to have signed.
    #[must_use]
    pub fn access_key(&self) -> &str {
        self.part(0)
    }

    /// The day, eight digits.
    #[must_use]
    pub fn day(&self) -> &str {
        self.part(1)
    }

    /// The region.
    #[must_use]
    pub fn region(&self) -> &str {
        self.part(2)
    }

    /// The service's signing name.
    #[must_use]
    pub fn service(&self) -> &str {
        self.part(3)
    }

    /// All of it.
    #[must_use]
    pub fn whole(&self) -> &str {
        &self.text
    }

    /// All of it but the key.
    pub(super) fn text(&self) -> &str {
        let [key, ..] = self.ends;
        self.text.get(key + 1..).unwrap_or_default()
    }
}

/// The headers that a signature covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Covered<'a> {
    /// Their names in order, `;` between them.
    pub(super) names: Cow<'a, str>,
    /// Their values, with the places of their names, in the order of these.
    values: SmallVec<[(usize, &'a HeaderValue); 8]>,
}

/// What is signed of a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload {
    /// Nothing.
    Unsigned,
    /// Its SHA-256, which the client names: the body has to fit it.
    Sha256([u8; 32]),
    /// Its SHA-256, which the client does not name: nothing can be verified before the body is here.
    Body,
    /// It comes in chunks that are signed one by one, or with a checksum at their end.
    Chunks(Upload),
}

/// Where the signature stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Carrier {
    Header,
    Query,
}

/// What is missing or not in its exact form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Another algorithm.
    #[error("the algorithm must be `AWS4-HMAC-SHA256`")]
    Algorithm,
    /// The header's fields.
    #[error("`Authorization` must have `Credential`, `SignedHeaders` and `Signature`, each once and nothing else, with `,` between them")]
    Fields,
    /// The query's parameters.
    #[error("`{0}` must stand once in the query, in this spelling")]
    Parameter(&'static str),
    /// The credential.
    #[error("the credential is `KEY/YYYYMMDD/REGION/SERVICE/aws4_request`")]
    Scope,
    /// The date.
    #[error("`X-Amz-Date` must stand once, as `YYYYMMDDTHHMMSSZ`")]
    Date,
    /// The day of the scope is not the date's.
    #[error("the day in the credential is not the day of `X-Amz-Date`")]
    Day,
    /// The life of a presigned request.
    #[error("`X-Amz-Expires` must be 1 to {EXPIRES_S_MAX} seconds")]
    Expires,
    /// The list of headers.
    #[error("`SignedHeaders` must name 1 to {SIGNED_HEADERS_MAX} headers in lower case, sorted, with `;` between them")]
    SignedHeaders,
    /// A header is named that is not there.
    #[error("a header that `SignedHeaders` names is not there")]
    Absent,
    /// `host` is not signed.
    #[error("`SignedHeaders` must name `host`")]
    Host,
    /// A header of the scheme is not signed.
    #[error("every `x-amz-*` header must be signed; `{0}` is not")]
    Unsigned(HeaderName),
    /// A header of the scheme stands twice.
    #[error("an `x-amz-*` header must stand once; `{0}` stands more often")]
    Twice(HeaderName),
    /// The signature.
    #[error("the signature must be 64 lower-case hexadecimal digits")]
    Signature,
    /// The body's hash.
    #[error("`x-amz-content-sha256` must be 64 lower-case hexadecimal digits or `UNSIGNED-PAYLOAD`")]
    ContentSha256,
    /// Bodies in signed chunks.
    #[error("bodies in signed chunks (`STREAMING-*`) are not taken here; sign the hash of the body, or `UNSIGNED-PAYLOAD`")]
    Streaming,
    /// How long such a body is.
    #[error("`x-amz-decoded-content-length` must stand once, a plain number of bytes")]
    DecodedLength,
    /// What follows such a body.
    #[error(
        "`x-amz-trailer` must name one of `x-amz-checksum-crc32`, `-crc32c`, `-crc64nvme`, `-sha1` and `-sha256` where `x-amz-content-sha256` ends with `-TRAILER`, and be absent elsewhere"
    )]
    Trailer,
    /// The query's encoding.
    #[error("a `%` in the query begins no encoded byte")]
    QueryEncoding,
    /// The query's size.
    #[error("the query has too many parameters to be signed")]
    TooManyPairs,
}

impl<'a> Credential<'a> {
    /// Reads a signature in the `Authorization` header.
    ///
    /// # Errors
    /// The first thing that is missing or not in its exact form.
    pub fn from_header(authorization: &'a [u8], headers: &'a HeaderMap, profile: Profile) -> Result<Self, Malformed> {
        let text = std::str::from_utf8(authorization).map_err(|_| Malformed::Fields)?;
        let (algorithm, fields) = text.split_once(' ').unwrap_or((text, ""));
        if algorithm != ALGORITHM {
            return Err(Malformed::Algorithm);
        }
        let (mut credential, mut signed_headers, mut signature) = (None, None, None);
        for field in fields.split(',') {
            let (name, value) = field.trim_matches(' ').split_once('=').ok_or(Malformed::Fields)?;
            let slot = match name {
                "Credential" => &mut credential,
                "SignedHeaders" => &mut signed_headers,
                "Signature" => &mut signature,
                _ => return Err(Malformed::Fields),
            };
            if slot.replace(value).is_some() {
                return Err(Malformed::Fields);
            }
        }
        let (Some(credential), Some(signed_headers), Some(signature)) = (credential, signed_headers, signature) else {
            return Err(Malformed::Fields);
        };
        let time = once(headers, &DATE)?.and_then(|value| value.to_str().ok()).ok_or(Malformed::Date)?;
        let payload = match once(headers, &CONTENT_SHA256)? {
            None => Payload::Body,
            Some(value) => match Framing::named(value.as_bytes()).filter(|_| profile == Profile::S3) {
                Some(framing) => Payload::Chunks(Upload::read(framing, headers)?),
                None => payload(value.as_bytes())?,
            },
        };
        let claim = Claim {
            credential: credential.into(),
            time: time.into(),
            expires_s: None,
            signed_headers: signed_headers.into(),
            signature: signature.into(),
            payload,
            session_token: once(headers, &SECURITY_TOKEN)?.map(|token| Cow::Borrowed(token.as_bytes())),
        };
        claim.check(headers, profile, Carrier::Header)
    }

    /// Reads a presigned query.
    ///
    /// # Errors
    /// The first thing that is missing or not in its exact form.
    pub fn from_query(query: &'a str, headers: &'a HeaderMap, profile: Profile) -> Result<Self, Malformed> {
        let parameters = Parameters::find(query)?;
        if parameters.algorithm.as_deref() != Some(ALGORITHM) {
            return Err(Malformed::Algorithm);
        }
        let hash = parameters.content_sha256.as_deref().map(|hash| payload(hash.as_bytes())).transpose()?;
        let payload = match (once(headers, &CONTENT_SHA256)?, hash) {
            (Some(_), Some(_)) => return Err(Malformed::Parameter("X-Amz-Content-Sha256")),
            (Some(value), None) => payload(value.as_bytes())?,
            (None, Some(payload)) => payload,
            (None, None) => match profile {
                Profile::Generic => Payload::Body,
                Profile::S3 => Payload::Unsigned,
            },
        };
        let session_token = match (once(headers, &SECURITY_TOKEN)?, parameters.security_token) {
            (Some(_), Some(_)) => return Err(Malformed::Parameter("X-Amz-Security-Token")),
            (Some(header), None) => Some(Cow::Borrowed(header.as_bytes())),
            (None, Some(Cow::Borrowed(token))) => Some(Cow::Borrowed(token.as_bytes())),
            (None, Some(Cow::Owned(token))) => Some(Cow::Owned(token.into_bytes())),
            (None, None) => None,
        };
        let expires_s = parameters.expires.as_deref().and_then(seconds).ok_or(Malformed::Expires)?;
        let claim = Claim {
            credential: parameters.credential.ok_or(Malformed::Parameter("X-Amz-Credential"))?,
            time: parameters.date.ok_or(Malformed::Parameter("X-Amz-Date"))?,
            expires_s: Some(expires_s),
            signed_headers: parameters.signed_headers.ok_or(Malformed::Parameter("X-Amz-SignedHeaders"))?,
            signature: parameters.signature.ok_or(Malformed::Parameter("X-Amz-Signature"))?,
            payload,
            session_token,
        };
        claim.check(headers, profile, Carrier::Query)
    }

    /// The MAC as it was sent; once verified, the MAC of the request.
    #[must_use]
    pub const fn mac(&self) -> [u8; 32] {
        self.signature
    }
}

/// What was presented, wherever it stood.
struct Claim<'a> {
    credential: Cow<'a, str>,
    time: Cow<'a, str>,
    expires_s: Option<u32>,
    signed_headers: Cow<'a, str>,
    signature: Cow<'a, str>,
    payload: Payload,
    session_token: Option<Cow<'a, [u8]>>,
}

impl<'a> Claim<'a> {
    fn check(self, headers: &'a HeaderMap, profile: Profile, carrier: Carrier) -> Result<Credential<'a>, Malformed> {
        let signed_at = time(&self.time).ok_or(Malformed::Date)?;
        let scope = Scope::parse(self.credential).ok_or(Malformed::Scope)?;
        if self.time.get(..8) != Some(scope.day()) {
            return Err(Malformed::Day);
        }
        let covered = Covered::find(self.signed_headers, headers)?;
        Ok(Credential {
            scope,
            signed_at,
            expires_s: self.expires_s,
            payload: self.payload,
            session_token: self.session_token,
            profile,
            carrier,
            time: self.time,
            covered,
            signature: hex::decode(self.signature.as_bytes()).ok_or(Malformed::Signature)?,
        })
    }
}

/// The parameters of a presigned query.
#[derive(Default)]
struct Parameters<'a> {
    algorithm: Option<Cow<'a, str>>,
    credential: Option<Cow<'a, str>>,
    date: Option<Cow<'a, str>>,
    expires: Option<Cow<'a, str>>,
    signed_headers: Option<Cow<'a, str>>,
    signature: Option<Cow<'a, str>>,
    security_token: Option<Cow<'a, str>>,
    content_sha256: Option<Cow<'a, str>>,
}

impl<'a> Parameters<'a> {
    fn find(query: &'a str) -> Result<Self, Malformed> {
        let mut found = Self::default();
        for (name, value) in pairs(query) {
            let plain = decoded(name).ok_or(Malformed::QueryEncoding)?;
            let (known, slot) = match plain.to_ascii_lowercase().as_str() {
                "x-amz-algorithm" => ("X-Amz-Algorithm", &mut found.algorithm),
                "x-amz-credential" => ("X-Amz-Credential", &mut found.credential),
                "x-amz-date" => ("X-Amz-Date", &mut found.date),
                "x-amz-expires" => ("X-Amz-Expires", &mut found.expires),
                "x-amz-signedheaders" => ("X-Amz-SignedHeaders", &mut found.signed_headers),
                "x-amz-signature" => ("X-Amz-Signature", &mut found.signature),
                "x-amz-security-token" => ("X-Amz-Security-Token", &mut found.security_token),
                "x-amz-content-sha256" => ("X-Amz-Content-Sha256", &mut found.content_sha256),
                _ => continue,
            };
            let value = decoded(value).ok_or(Malformed::QueryEncoding)?;
            if name != known || slot.replace(value).is_some() {
                return Err(Malformed::Parameter(known));
            }
        }
        Ok(found)
    }
}

/// A header of the scheme, at most once.
pub(super) fn once<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a HeaderValue>, Malformed> {
    let mut values = headers.get_all(name).iter();
    let value = values.next();
    if values.next().is_some() { Err(Malformed::Twice(name.clone())) } else { Ok(value) }
}

impl<'a> Covered<'a> {
    fn find(names: Cow<'a, str>, headers: &'a HeaderMap) -> Result<Self, Malformed> {
        Ok(Self { values: Self::values(&names, headers)?, names })
    }

    /// Every named header is there, the names are sorted and distinct, and nothing that matters is left out.
    fn values(list: &str, headers: &'a HeaderMap) -> Result<SmallVec<[(usize, &'a HeaderValue); 8]>, Malformed> {
        let mut names: SmallVec<[&str; 8]> = SmallVec::new();
        for name in list.split(is(';')) {
            let in_order = names.last().is_none_or(|before| *before < name) && !name.is_empty();
            if list.len() > SIGNED_HEADERS_BYTES_MAX
                || names.len() == SIGNED_HEADERS_MAX
                || !in_order
                || name.bytes().any(|byte| byte.is_ascii_uppercase())
            {
                return Err(Malformed::SignedHeaders);
            }
            names.push(name);
        }
        let mut values: SmallVec<[(usize, &HeaderValue); 8]> = SmallVec::new();
        // Names that were met, a bit for each.
        let (mut met, mut fault) = (0_u64, None);
        for (name, value) in headers {
            let place = names.iter().position(|signed| *signed == name.as_str());
            let before = met;
            if let Some(place) = place {
                met |= 1 << place;
                values.push((place, value));
            }
            if fault.is_none() && is_of_the_scheme(name.as_str()) && met == before {
                fault = Some(if place.is_some() { Malformed::Twice(name.clone()) } else { Malformed::Unsigned(name.clone()) });
            }
        }
        if met.count_ones() as usize != names.len() {
            return Err(Malformed::Absent);
        }
        if !names.contains(&"host") {
            return Err(Malformed::Host);
        }
        values.sort_by_key(|(place, _)| *place);
        fault.map_or(Ok(values), Err)
    }

    /// Each name with its values.
    pub(super) fn lines(&self) -> impl Iterator<Item = (&str, impl Iterator<Item = &'a HeaderValue>)> {
        let values = |place| self.values.iter().filter(move |(of, _)| *of == place).map(|(_, value)| *value);
        self.names.split(is(';')).enumerate().map(move |(place, name)| (name, values(place)))
    }
}

/// Whether a name begins with `x-amz-`, or with what a backend could take for it that reads other characters as `-`.
fn is_of_the_scheme(name: &str) -> bool {
    let odd = |byte: u8| !byte.is_ascii_alphanumeric();
    matches!(name.as_bytes().first_chunk::<6>(), Some([b'x', first, b'a', b'm', b'z', second]) if odd(*first) && odd(*second))
}

fn payload(text: &[u8]) -> Result<Payload, Malformed> {
    if text == UNSIGNED_PAYLOAD.as_bytes() {
        return Ok(Payload::Unsigned);
    }
    if text.starts_with(b"STREAMING-") {
        return Err(Malformed::Streaming);
    }
    hex::decode(text).map(Payload::Sha256).ok_or(Malformed::ContentSha256)
}

/// A number of seconds in plain digits.
fn seconds(text: &str) -> Option<u32> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    text.parse().ok().filter(|seconds| plain && (1..=EXPIRES_S_MAX).contains(seconds))
}

/// `YYYYMMDDTHHMMSSZ`.
fn time(text: &str) -> Option<Timestamp> {
    let [y1, y2, y3, y4, m1, m2, d1, d2, b'T', h1, h2, n1, n2, s1, s2, b'Z'] = text.as_bytes().first_chunk::<16>()? else { return None };
    let number = |digits: &[&u8]| {
        digits.iter().try_fold(0i16, |number, digit| digit.is_ascii_digit().then(|| number * 10 + i16::from(**digit - b'0')))
    };
    let small = |high: &u8, low: &u8| number(&[high, low]).and_then(|number| i8::try_from(number).ok());
    let year = number(&[y1, y2, y3, y4])?;
    let civil = DateTime::new(year, small(m1, m2)?, small(d1, d2)?, small(h1, h2)?, small(n1, n2)?, small(s1, s2)?, 0).ok()?;
    let zoned = civil.to_zoned(TimeZone::UTC).ok().filter(|_| text.len() == 16)?;
    Some(Timestamp::from_milliseconds(zoned.timestamp().as_millisecond()))
}
