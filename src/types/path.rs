//! Request paths, read once: the one reading that routing, policies and backends share (contracts C5).

use std::borrow::Cow;

use smallvec::SmallVec;

/// Most segments a path may have.
pub const SEGMENTS_MAX: usize = 64;

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
    let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
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

    proptest! {
        #[test]
        fn encoding_unreserved_bytes_changes_nothing(raw in "(/[a-z0-9._~-]{1,8}){1,5}", pick in any::<u64>()) {
            let mut encoded = String::new();
            for (index, character) in raw.chars().enumerate() {
                if character != '/' && pick >> (index % 64) & 1 == 1 {
                    encoded.push_str(&format!("%{:02X}", character as u32));
                } else {
                    encoded.push(character);
                }
            }
            prop_assert_eq!(Path::parse(&raw), Path::parse(&encoded));
        }
    }
}
