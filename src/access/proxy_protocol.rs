//! The PROXY protocol, versions 1 and 2 (proxy-protocol.txt of HAProxy, 2.1 and 2.2): what a load balancer says about a connection
//! before its first byte.
//!
//! SECURITY: who may write a header decides whom everything after it comes from, so whether one is due is configured, never guessed, and what
//! is not exactly one ends the connection. Test: `a_header_that_is_not_exactly_one_ends_the_connection`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Longest header that is taken, in bytes. One of version 2 could have 65,551, most of it extensions.
pub const HEADER_BYTES_MAX: usize = 4_096;
/// Longest header of version 1, with its end of line.
const LINE_BYTES_MAX: usize = 107;
/// How headers of version 1 begin.
const LINE_START: &[u8] = b"PROXY ";
/// How headers of version 2 begin.
const BLOCK_START: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// Length of the part of version 2 that is always there.
const BLOCK_HEAD_BYTES: usize = 16;

/// A whole header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Whom it names.
    pub source: Source,
    /// Its length. What comes after it is the connection's first byte.
    pub bytes: usize,
}

/// Whom a connection comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Whoever has the socket: there is no header, or the proxy speaks for itself (`LOCAL`).
    Peer,
    /// A client of the proxy. An IPv4-mapped address is its IPv4 address.
    Client(IpAddr),
    /// A client whose address the proxy does not tell: `UNKNOWN`, `UNSPEC`, a Unix socket.
    Unknown,
}

/// Why bytes are no header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// It begins as neither version does.
    #[error("no whole PROXY header at the start of the connection")]
    Start,
    /// Version 1.
    #[error("a PROXY header of version 1 that is not in its exact form")]
    Line,
    /// Version 2: neither `LOCAL` nor `PROXY` of this version.
    #[error("a PROXY header of version 2 with an unknown version or command")]
    Command,
    /// Version 2.
    #[error("a PROXY header of version 2 about something else than a stream")]
    Family,
    /// Either version.
    #[error("a PROXY header that is too long")]
    TooLong,
    /// Version 2: addresses or extensions that end after it.
    #[error("a PROXY header of version 2 that is shorter than what it says it holds")]
    TooShort,
}

/// Reads the header at the start of a connection; `None` while it is not whole.
///
/// # Errors
/// As soon as the bytes cannot become a header.
pub fn read(bytes: &[u8]) -> Result<Option<Header>, Malformed> {
    if begins(bytes, LINE_START) {
        read_line(bytes)
    } else if begins(bytes, BLOCK_START) {
        read_block(bytes)
    } else {
        Err(Malformed::Start)
    }
}

/// Whether both are the same as far as the shorter one goes.
fn begins(bytes: &[u8], start: &[u8]) -> bool {
    bytes.iter().zip(start).all(|(one, other)| one == other)
}

/// Version 1: `PROXY TCP4 192.0.2.1 198.51.100.1 56324 443`, ended by CR LF.
fn read_line(bytes: &[u8]) -> Result<Option<Header>, Malformed> {
    let Some(end) = bytes.iter().take(LINE_BYTES_MAX).position(|byte| *byte == b'\n') else {
        return if bytes.len() < LINE_BYTES_MAX { Ok(None) } else { Err(Malformed::TooLong) };
    };
    let line = bytes.get(..end).and_then(|line| line.strip_suffix(b"\r")).ok_or(Malformed::Line)?;
    let source = match line.strip_prefix(b"PROXY UNKNOWN") {
        // What a proxy says beyond is to be ignored.
        Some([] | [b' ', ..]) => Source::Unknown,
        Some(_) => return Err(Malformed::Line),
        None => Source::Client(line_source(line).ok_or(Malformed::Line)?),
    };
    Ok(Some(Header { source, bytes: end + 1 }))
}

fn line_source(line: &[u8]) -> Option<IpAddr> {
    let mut words = std::str::from_utf8(line).ok()?.split(' ').skip(1);
    let mut next = || words.next();
    let (family, source, destination, ports) = (next()?, next()?, next()?, [next()?, next()?]);
    if next().is_some() || !ports.into_iter().all(is_port) {
        return None;
    }
    match family {
        "TCP4" => {
            destination.parse::<Ipv4Addr>().ok()?;
            source.parse::<Ipv4Addr>().ok().map(IpAddr::V4)
        }
        "TCP6" => {
            destination.parse::<Ipv6Addr>().ok()?;
            source.parse::<Ipv6Addr>().ok().map(|address| IpAddr::V6(address).to_canonical())
        }
        _ => None,
    }
}

/// 0 to 65535 without leading zeros or a sign.
fn is_port(text: &str) -> bool {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    plain && text.parse::<u16>().is_ok()
}

/// Version 2: signature, version and command, family, length, addresses, extensions.
fn read_block(bytes: &[u8]) -> Result<Option<Header>, Malformed> {
    let Some((head, rest)) = bytes.split_first_chunk::<BLOCK_HEAD_BYTES>() else { return Ok(None) };
    let [.., command, family, high, low] = *head;
    let is_local = match command {
        0x20 => true,
        0x21 => false,
        _ => return Err(Malformed::Command),
    };
    if !is_local && !matches!(family, 0x00 | 0x11 | 0x21 | 0x31) {
        return Err(Malformed::Family);
    }
    let length = usize::from(u16::from_be_bytes([high, low]));
    if BLOCK_HEAD_BYTES + length > HEADER_BYTES_MAX {
        return Err(Malformed::TooLong);
    }
    let Some(block) = rest.get(..length) else { return Ok(None) };
    let source = if is_local { Source::Peer } else { block_source(family, block)? };
    Ok(Some(Header { source, bytes: BLOCK_HEAD_BYTES + length }))
}

fn block_source(family: u8, block: &[u8]) -> Result<Source, Malformed> {
    let (source, extensions) = match family {
        0x11 => {
            let ([a, b, c, d, ..], rest) = block.split_first_chunk::<12>().ok_or(Malformed::TooShort)?;
            (Source::Client(IpAddr::V4(Ipv4Addr::new(*a, *b, *c, *d))), rest)
        }
        0x21 => {
            let (addresses, rest) = block.split_first_chunk::<36>().ok_or(Malformed::TooShort)?;
            let (source, _) = addresses.split_first_chunk::<16>().ok_or(Malformed::TooShort)?;
            (Source::Client(IpAddr::V6(Ipv6Addr::from(*source)).to_canonical()), rest)
        }
        0x31 => (Source::Unknown, block.get(216..).ok_or(Malformed::TooShort)?),
        // What a proxy says about an unspecified family is to be ignored.
        _ => (Source::Unknown, &[][..]),
    };
    skip_extensions(extensions)?;
    Ok(source)
}

/// Extensions say nothing here, but they must end where the header ends.
fn skip_extensions(mut rest: &[u8]) -> Result<(), Malformed> {
    while !rest.is_empty() {
        let ([_, high, low], after) = rest.split_first_chunk::<3>().ok_or(Malformed::TooShort)?;
        rest = after.get(usize::from(u16::from_be_bytes([*high, *low]))..).ok_or(Malformed::TooShort)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [BLOCK_START, &[command, family], &length, rest].concat()
    }

    fn client(text: &str) -> Result<Source, Malformed> {
        Ok(Source::Client(text.parse().unwrap()))
    }

    /// Whole with something behind it, whole, and cut at every byte.
    fn check(header: &[u8], expected: Result<Source, Malformed>) {
        let shown = String::from_utf8_lossy(header);
        let found = read(&[header, b"GET / HTTP/1.1\r\n"].concat());
        match expected {
            Ok(source) => {
                assert_eq!(found, Ok(Some(Header { source, bytes: header.len() })), "{shown:?}");
                assert_eq!(read(header), found, "{shown:?}");
                for end in 0..header.len() {
                    assert_eq!(read(&header[..end]), Ok(None), "{end} bytes of {shown:?}");
                }
            }
            Err(error) => {
                assert_eq!(found, Err(error), "{shown:?}");
                let first = (0..=header.len()).map(|end| read(&header[..end])).find(|found| *found != Ok(None));
                assert!(first.is_none_or(|first| first == Err(error)), "{shown:?}");
            }
        }
    }

    #[test]
    fn version_1_is_read_in_its_exact_form() {
        let long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(91));
        assert_eq!(long.len(), LINE_BYTES_MAX);
        for (line, expected) in [
            ("PROXY TCP4 203.0.113.5 192.0.2.1 56324 443\r\n", client("203.0.113.5")),
            ("PROXY TCP4 0.0.0.0 255.255.255.255 0 65535\r\n", client("0.0.0.0")),
            ("PROXY TCP6 2001:db8::7 ::1 56324 443\r\n", client("2001:db8::7")),
            ("PROXY TCP6 ::ffff:203.0.113.5 ::ffff:192.0.2.1 1 2\r\n", client("203.0.113.5")),
            ("PROXY UNKNOWN\r\n", Ok(Source::Unknown)),
            ("PROXY UNKNOWN 203.0.113.5 x\r\n", Ok(Source::Unknown)),
            (&long, Ok(Source::Unknown)),
            (&long.replace('\r', "x\r"), Err(Malformed::TooLong)),
            (&"PROXY TCP4 203.0.113.5 192.0.2.1 56324 443".repeat(3), Err(Malformed::TooLong)),
            ("PROXY UNKNOWNX\r\n", Err(Malformed::Line)),
            ("PROXY TCP4 203.0.113.5 192.0.2.1 56324 443\n", Err(Malformed::Line)),
            ("PROXY TCP4 203.0.113.5 192.0.2.1 56324 443\r\r\n", Err(Malformed::Line)),
            ("PROXY TCP4 203.0.113.5 192.0.2.1 56324\r\n", Err(Malformed::Line)),
            ("PROXY TCP4 203.0.113.5 192.0.2.1 56324 443 \r\n", Err(Malformed::Line)),
            ("PROXY TCP4 203.0.113.5 192.0.2.1 56324 443 1\r\n", Err(Malformed::Line)),
            ("PROXY  TCP4 203.0.113.5 192.0.2.1 56324 443\r\n", Err(Malformed::Line)),
            ("PROXY TCP4 203.0.113.5  192.0.2.1 56324 443\r\n", Err(Malformed::Line)),
            ("PROXY\tTCP4 203.0.113.5 192.0.2.1 56324 443\r\n", Err(Malformed::Start)),
            ("PROXY tcp4 203.0.113.5 192.0.2.1 56324 443\r\n", Err(Malformed::Line)),
            ("PROXY UDP4 203.0.113.5 192.0.2.1 56324 443\r\n", Err(Malformed::Line)),
            ("PROXY TCP4 203.0.113.005 192.0.2.1 56324 443\r\n", Err(Malformed::Line)),
            ("PROXY TCP4 203.0.113 192.0.2.1 56324 443\r\n", Err(Malformed::Line)),
            ("PROXY TCP4 2001:db8::7 ::1 56324 443\r\n", Err(Malformed::Line)),
            ("PROXY TCP6 203.0.113.5 192.0.2.1 56324 443\r\n", Err(Malformed::Line)),
            ("PROXY TCP6 fe80::1%eth0 ::1 56324 443\r\n", Err(Malformed::Line)),
            ("PROXY TCP6 [2001:db8::7] ::1 56324 443\r\n", Err(Malformed::Line)),
            ("PROXY TCP4 203.0.113.5 192.0.2.x 56324 443\r\n", Err(Malformed::Line)),
            ("PROXY TCP4 203.0.113.5 192.0.2.1 65536 443\r\n", Err(Malformed::Line)),
            ("PROXY TCP4 203.0.113.5 192.0.2.1 056 443\r\n", Err(Malformed::Line)),
            ("PROXY TCP4 203.0.113.5 192.0.2.1 +56 443\r\n", Err(Malformed::Line)),
            ("PROXY TCP4 203.0.113.5 192.0.2.1  443\r\n", Err(Malformed::Line)),
            ("PROXY TCP4 203.0.113.\u{665} 192.0.2.1 1 443\r\n", Err(Malformed::Line)),
            ("proxy TCP4 203.0.113.5 192.0.2.1 56324 443\r\n", Err(Malformed::Start)),
            (" PROXY TCP4 203.0.113.5 192.0.2.1 56324 443\r\n", Err(Malformed::Start)),
            ("GET / HTTP/1.1\r\n", Err(Malformed::Start)),
        ] {
            check(line.as_bytes(), expected);
        }
    }

    #[test]
    fn version_2_is_read_in_its_exact_form() {
        let four = [203, 0, 113, 5, 192, 0, 2, 1, 0xDC, 4, 1, 0xBB];
        let six = |text: &str| [&text.parse::<Ipv6Addr>().unwrap().octets()[..], &[0; 20]].concat();
        let with = |addresses: &[u8], extensions: &[u8]| [addresses, extensions].concat();
        // The extension of a load balancer of AWS: the endpoint's id.
        let endpoint = b"\xEA\x00\x17\x01vpce-08d2bf15fac5001c9";
        for (header, expected) in [
            (block(0x21, 0x11, &four), client("203.0.113.5")),
            (block(0x21, 0x11, &with(&four, endpoint)), client("203.0.113.5")),
            (block(0x21, 0x11, &with(&four, b"\x04\x00\x00\x03\x00\x04abcd")), client("203.0.113.5")),
            (block(0x21, 0x11, &with(&four, &with(b"\x04\x0F\xE1", &[0; 4065]))), client("203.0.113.5")),
            (block(0x21, 0x21, &six("2001:db8::7")), client("2001:db8::7")),
            (block(0x21, 0x21, &with(&six("::ffff:203.0.113.5"), endpoint)), client("203.0.113.5")),
            (block(0x21, 0x31, &[b'/'; 216]), Ok(Source::Unknown)),
            (block(0x21, 0x00, &[]), Ok(Source::Unknown)),
            (block(0x21, 0x00, b"whatever"), Ok(Source::Unknown)),
            (block(0x20, 0x00, &[]), Ok(Source::Peer)),
            (block(0x20, 0x11, &four), Ok(Source::Peer)),
            (block(0x20, 0xFF, b"whatever"), Ok(Source::Peer)),
            (block(0x21, 0x11, &with(&four, &with(b"\x04\x0F\xE2", &[0; 4066]))), Err(Malformed::TooLong)),
            (block(0x21, 0x11, &[0; 65535]), Err(Malformed::TooLong)),
            (block(0x20, 0x00, &[0; 65535]), Err(Malformed::TooLong)),
            (block(0x22, 0x11, &four), Err(Malformed::Command)),
            (block(0x11, 0x11, &four), Err(Malformed::Command)),
            (block(0x31, 0x11, &four), Err(Malformed::Command)),
            (block(0x21, 0x12, &four), Err(Malformed::Family)),
            (block(0x21, 0x10, &four), Err(Malformed::Family)),
            (block(0x21, 0x41, &four), Err(Malformed::Family)),
            (block(0x21, 0x11, &four[..11]), Err(Malformed::TooShort)),
            (block(0x21, 0x21, &four), Err(Malformed::TooShort)),
            (block(0x21, 0x31, &[b'/'; 215]), Err(Malformed::TooShort)),
            (block(0x21, 0x11, &with(&four, b"\x04")), Err(Malformed::TooShort)),
            (block(0x21, 0x11, &with(&four, b"\x04\x00\x05abcd")), Err(Malformed::TooShort)),
            (block(0x21, 0x11, &with(&four, b"\x04\xFF\xFF")), Err(Malformed::TooShort)),
            (b"\r\n\r\n\0\r\nQUIT\r".to_vec(), Err(Malformed::Start)),
            (b"\r\nGET / HTTP/1.1\r\n".to_vec(), Err(Malformed::Start)),
        ] {
            check(&header, expected);
        }
    }
}
