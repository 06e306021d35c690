//! Request paths, read once: the one reading that routing, policies and backends share (contracts C5).

use std::borrow::Cow;

use smallvec::SmallVec;

/// Most segments a path may have.
pub const SEGMENTS_MAX: usize = 64;
/// Longest key of an object, in bytes.
pub const KEY_BYTES_MAX: usize = 1_024;

/// How the paths of a service are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathProfile {
    /// Each segment is one.
    Segments,
    /// Amazon S3: a bucket, and all that comes after it is the key of an object.
    S3,
    /// The same for a backend that keeps objects as files: keys have no empty segments, because it would find the same file without them.
    S3Files,
}

impl PathProfile {
    /// Whether paths are buckets and keys.
    #[must_use]
    pub const fn is_s3(self) -> bool {
        match self {
            Self::Segments => false,
            Self::S3 | Self::S3Files => true,
        }
    }
}

/// Why a path has more than one reading. The text says what to send instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// Does not start with `/`.
    #[error("the path must start with `/`")]
    Relative,
    /// `//` somewhere.
    #[error("the path has an empty segment (`//`)")]
    EmptySegment,
    /// `.` or `..`, plain or encoded.
    #[error("the path has a `.` or `..` segment; send the path it leads to")]
    DotSegment,
    /// A byte outside RFC 3986, or a raw `;`, `\` or `#`.
    #[error("the path has a byte that must be percent-encoded")]
    Byte,
    /// `%` without two hexadecimal digits, an encoded control character or backslash, or not UTF-8.
    #[error("the path has a percent-encoding that is broken or not allowed")]
    Encoding,
    /// `+` in the path of an S3 service: some backends read it as a space.
    #[error("the path has a `+`; send `%2B`, or `%20` for a space")]
    Plus,
    /// What stands where a bucket's name belongs.
    #[error("the name of a bucket has letters, digits, `-`, `.` and `_` only")]
    Bucket,
    /// A key that is too long.
    #[error("the key of an object has at most {KEY_BYTES_MAX} bytes")]
    Key,
    /// More than [`SEGMENTS_MAX`].
    #[error("the path has more than {SEGMENTS_MAX} segments")]
    Segments,
}

/// A path's segments, each decoded exactly once. A trailing slash is a last, empty segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path<'a> {
    segments: SmallVec<[Cow<'a, str>; 12]>,
}

impl<'a> Path<'a> {
    /// Reads the raw path (without query).
    ///
    /// # Errors
    /// When the path can be read in more than one way.
    pub fn parse(raw: &'a str) -> Result<Self, PathError> {
        if !raw.starts_with('/') {
            return Err(PathError::Relative);
        }
        let mut segments = SmallVec::new();
        let (mut start, mut encoded) = (1, false);
        for (index, byte) in raw.bytes().enumerate().skip(1) {
            match CLASSES.get(usize::from(byte)) {
                Some(Class::Plain) => {}
                Some(Class::Percent) => encoded = true,
                Some(Class::Slash) => {
                    if index == start {
                        return Err(PathError::EmptySegment);
                    }
                    segments.push(segment(raw, start, index, encoded)?);
                    (start, encoded) = (index + 1, false);
                    if segments.len() == SEGMENTS_MAX {
                        return Err(PathError::Segments);
                    }
                }
                Some(Class::Refused) | None => return Err(PathError::Byte),
            }
        }
        segments.push(segment(raw, start, raw.len(), encoded)?);
        Ok(Self { segments })
    }

    /// Reads the raw path (without query) of a service of this profile. Where the Host names a bucket, the path is not about another one.
    ///
    /// # Errors
    /// When the path can be read in more than one way.
    pub fn read(raw: &'a str, profile: PathProfile, bucket: Option<&'a str>) -> Result<Self, PathError> {
        match profile {
            PathProfile::Segments => Self::parse(raw),
            PathProfile::S3 => Self::parse_s3(raw, bucket),
            PathProfile::S3Files => {
                let path = Self::parse_s3(raw, bucket)?;
                let has_empty = path.segments.get(1).is_some_and(|key| key.split('/').any(str::is_empty));
                if has_empty { Err(PathError::EmptySegment) } else { Ok(path) }
            }
        }
    }

    /// Reads the raw path of an S3 service: `/BUCKET`, which `/BUCKET/` is too, and `/BUCKET/KEY` have one and two segments. Where the Host
    /// names the bucket the whole path is the key.
    ///
    /// SECURITY: a key may have empty segments and encoded slashes, it is one text to a store of objects; but no `.` and `..`, which clients and
    /// proxies take out of paths, and which could lead out of the bucket. Test: `everything_after_the_bucket_is_one_key`.
    ///
    /// # Errors
    /// When the path can be read in more than one way.
    fn parse_s3(raw: &'a str, bucket: Option<&'a str>) -> Result<Self, PathError> {
        let rest = raw.strip_prefix('/').ok_or(PathError::Relative)?;
        for byte in rest.bytes() {
            match CLASSES.get(usize::from(byte)) {
                Some(Class::Plain) if byte == b'+' => return Err(PathError::Plus),
                Some(Class::Plain | Class::Percent | Class::Slash) => {}
                Some(Class::Refused) | None => return Err(PathError::Byte),
            }
        }
        let (bucket, key) = match bucket {
            Some(bucket) => (Cow::Borrowed(bucket), rest),
            None => {
                let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
                if bucket.is_empty() && rest.contains('/') {
                    return Err(PathError::EmptySegment);
                }
                (segment(bucket, 0, bucket.len(), bucket.contains('%'))?, key)
            }
        };
        if !bucket.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_')) {
            return Err(PathError::Bucket);
        }
        let mut segments: SmallVec<[Cow<'a, str>; 12]> = SmallVec::new();
        segments.push(bucket);
        if !key.is_empty() {
            let key = if key.contains('%') { Cow::Owned(percent_decode(key)?) } else { Cow::Borrowed(key) };
            if key.split('/').any(|part| matches!(part, "." | "..")) {
                return Err(PathError::DotSegment);
            }
            if key.len() > KEY_BYTES_MAX {
                return Err(PathError::Key);
            }
            segments.push(key);
        }
        Ok(Self { segments })
    }

    /// The decoded segments.
    #[must_use]
    pub fn segments(&self) -> &[Cow<'a, str>] {
        &self.segments
    }
}

/// What a byte of a path is.
#[derive(Clone, Copy)]
enum Class {
    Plain,
    Percent,
    Slash,
    Refused,
}

/// RFC 3986 section 3.3 `pchar` without `;`.
const fn class(byte: u8) -> Class {
    match byte {
        b'/' => Class::Slash,
        b'%' => Class::Percent,
        b'-' | b'.' | b'_' | b'~' | b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b'=' | b':' | b'@' => Class::Plain,
        other if other.is_ascii_alphanumeric() => Class::Plain,
        _ => Class::Refused,
    }
}

#[expect(clippy::indexing_slicing, reason = "evaluated when compiled")]
static CLASSES: [Class; 256] = {
    let mut classes = [Class::Refused; 256];
    let mut byte = 0;
    while byte < 256 {
        #[expect(clippy::cast_possible_truncation, reason = "below 256")]
        let value = byte as u8;
        classes[byte] = class(value);
        byte += 1;
    }
    classes
};

fn segment(raw: &str, start: usize, end: usize, encoded: bool) -> Result<Cow<'_, str>, PathError> {
    let piece = raw.get(start..end).ok_or(PathError::Byte)?;
    if !encoded {
        return if matches!(piece, "." | "..") { Err(PathError::DotSegment) } else { Ok(Cow::Borrowed(piece)) };
    }
    let text = percent_decode(piece)?;
    // An encoded slash may hide dot segments from us that a backend finds.
    if text.split('/').any(|part| matches!(part, "." | "..")) { Err(PathError::DotSegment) } else { Ok(Cow::Owned(text)) }
}

fn percent_decode(piece: &str) -> Result<String, PathError> {
    let mut bytes = Vec::with_capacity(piece.len());
    let mut rest = piece.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let value = hex_pair(rest.next(), rest.next()).ok_or(PathError::Encoding)?;
        if value < 0x20 || value == 0x7F || value == b'\\' {
            return Err(PathError::Encoding);
        }
        bytes.push(value);
    }
    String::from_utf8(bytes).map_err(|_| PathError::Encoding)
}

/// The byte that two hexadecimal digits write.
#[must_use]
pub fn hex_pair(high: Option<u8>, low: Option<u8>) -> Option<u8> {
    let digit = |byte: Option<u8>| match byte? {
        byte @ b'0'..=b'9' => Some(byte - b'0'),
        byte @ b'a'..=b'f' => Some(byte - b'a' + 10),
        byte @ b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    };
    Some(digit(high)? << 4 | digit(low)?)
}

/// Percent-decoded once, whatever bytes come out; `None` when a `%` begins no byte.
#[must_use]
pub fn percent_decoded(text: &str) -> Option<Cow<'_, [u8]>> {
    if !text.contains('%') {
        return Some(Cow::Borrowed(text.as_bytes()));
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(if byte == b'%' { hex_pair(rest.next(), rest.next())? } else { byte });
    }
    Some(Cow::Owned(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_path_is_read_in_one_way_or_not_at_all() {
        let read = |raw: &'static str| Path::parse(raw).map(|path| path.segments().join("|"));
        assert_eq!(read("/"), Ok(String::new()));
        assert_eq!(read("/v1/users"), Ok("v1|users".into()));
        assert_eq!(read("/v1/users/"), Ok("v1|users|".into()));
        assert_eq!(read("/v1/policies/%62ulk"), Ok("v1|policies|bulk".into()));
        assert_eq!(read("/v1/groups/a%20b%2Fc%ED%95%9C"), Ok("v1|groups|a b/c한".into()));
        assert_eq!(read("/%2561dmin"), Ok("%61dmin".into()));
        for (raw, error) in [
            ("", PathError::Relative),
            ("admin", PathError::Relative),
            ("//admin", PathError::EmptySegment),
            ("/public//../admin", PathError::EmptySegment),
            ("/public/../admin/secrets", PathError::DotSegment),
            ("/./admin", PathError::DotSegment),
            ("/admin/.", PathError::DotSegment),
            ("/admin/..", PathError::DotSegment),
            ("/user/%2e%2e/admin", PathError::DotSegment),
            ("/user/%2e%2e%2fadmin", PathError::DotSegment),
            ("/user/..%2Fadmin", PathError::DotSegment),
            ("/user/..%5cadmin", PathError::Encoding),
            ("/admin%00.png", PathError::Encoding),
            ("/admin%0d%0a", PathError::Encoding),
            ("/admin%7f", PathError::Encoding),
            ("/admin%zz", PathError::Encoding),
            ("/admin%4", PathError::Encoding),
            ("/%c0%ae%c0%ae/admin", PathError::Encoding),
            ("/admin;x=y/action", PathError::Byte),
            ("/public/..;/admin", PathError::Byte),
            ("/\\admin", PathError::Byte),
            ("/adm\u{131}n", PathError::Byte),
            ("/{x}", PathError::Byte),
            ("/a b", PathError::Byte),
            ("/admin#x", PathError::Byte),
        ] {
            assert_eq!(read(raw), Err(error), "{raw}");
        }
        assert_eq!(Path::parse(&"/a".repeat(65)), Err(PathError::Segments));
    }

    #[test]
    fn everything_after_the_bucket_is_one_key() {
        let read = |raw: &'static str| Path::parse_s3(raw, None).map(|path| path.segments().join("|"));
        let of_host = |raw: &'static str| Path::parse_s3(raw, Some("photos")).map(|path| path.segments().join("|"));
        for (raw, expected) in [
            ("/", Ok("")),
            ("/photos", Ok("photos")),
            ("/photos/", Ok("photos")),
            ("/ph%6Ftos/", Ok("photos")),
            ("/photos/a", Ok("photos|a")),
            ("/photos/a/b//c/", Ok("photos|a/b//c/")),
            ("/photos//a", Ok("photos|/a")),
            ("/photos/a%2Fb%2fc", Ok("photos|a/b/c")),
            ("/photos/%61%20%2B%ED%95%9C", Ok("photos|a +한")),
            ("/photos/%2561", Ok("photos|%61")),
            ("/photos/.../..a/a..", Ok("photos|.../..a/a..")),
            ("", Err(PathError::Relative)),
            ("photos/a", Err(PathError::Relative)),
            ("//a", Err(PathError::EmptySegment)),
            ("//", Err(PathError::EmptySegment)),
            ("/photos/../other/a", Err(PathError::DotSegment)),
            ("/photos/a/./b", Err(PathError::DotSegment)),
            ("/photos/a/..", Err(PathError::DotSegment)),
            ("/photos/%2e%2E/a", Err(PathError::DotSegment)),
            ("/photos/a%2f..%2fb", Err(PathError::DotSegment)),
            ("/../a", Err(PathError::DotSegment)),
            ("/photos%2fa", Err(PathError::Bucket)),
            ("/pho%20tos/a", Err(PathError::Bucket)),
            ("/photos/a+b", Err(PathError::Plus)),
            ("/photos/a;b", Err(PathError::Byte)),
            ("/photos/a b", Err(PathError::Byte)),
            ("/photos/a%00", Err(PathError::Encoding)),
            ("/photos/a%5Cb", Err(PathError::Encoding)),
            ("/photos/a%zz", Err(PathError::Encoding)),
            ("/photos/%c0%ae", Err(PathError::Encoding)),
        ] {
            assert_eq!(read(raw), expected.map(str::to_owned), "{raw}");
        }
        for (raw, expected) in
            [("/", Ok("photos")), ("/a//b", Ok("photos|a//b")), ("//a", Ok("photos|/a")), ("/../a", Err(PathError::DotSegment))]
        {
            assert_eq!(of_host(raw), expected.map(str::to_owned), "{raw}");
        }
        let of_files = |raw| Path::read(raw, PathProfile::S3Files, None).map(|path| path.segments().join("|"));
        assert_eq!(of_files("/photos/"), Ok("photos".to_owned()));
        assert_eq!(of_files("/photos/a/b"), Ok("photos|a/b".to_owned()));
        for raw in ["/photos//a", "/photos/a//b", "/photos/a/", "/photos/a%2F%2fb", "/photos/a%2f", "/photos//"] {
            assert_eq!(of_files(raw), Err(PathError::EmptySegment), "{raw}");
        }
        assert_eq!(Path::parse_s3("/", Some("a:80")), Err(PathError::Bucket));
        let long = format!("/photos/{}", "a".repeat(1_025));
        assert_eq!(Path::parse_s3(&long, None), Err(PathError::Key));
        assert!(Path::parse_s3(long.strip_suffix('a').unwrap(), None).is_ok());
    }

    /// The same path, some of its bytes encoded.
    fn encoded(raw: &str, pick: u64) -> String {
        let one = |(index, character): (usize, char)| match character {
            '/' => character.to_string(),
            _ if pick >> (index % 64) & 1 == 1 => format!("%{:02X}", character as u32),
            _ => character.to_string(),
        };
        raw.chars().enumerate().map(one).collect()
    }

    proptest! {
        #[test]
        fn encoding_unreserved_bytes_changes_no_bucket_and_no_key(raw in "/[a-z0-9._-]{3,8}(/[A-Za-z0-9._~/-]{0,20})?", pick in any::<u64>()) {
            let encoded = encoded(&raw, pick);
            prop_assert_eq!(Path::parse_s3(&raw, None), Path::parse_s3(&encoded, None));
        }

        #[test]
        fn encoding_unreserved_bytes_changes_nothing(raw in "(/[a-z0-9._~-]{1,8}){1,5}", pick in any::<u64>()) {
            let encoded = encoded(&raw, pick);
            prop_assert_eq!(Path::parse(&raw), Path::parse(&encoded));
        }
    }
}
