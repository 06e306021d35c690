//! A connection's first bytes: what a PROXY header is does not depend on how many of them have come in, and it is never longer than they are.

#![no_main]

use std::net::IpAddr;

use libfuzzer_sys::fuzz_target;
use portcullis::access::proxy_protocol::{HEADER_BYTES_MAX, Source, read};

fuzz_target!(|bytes: &[u8]| {
    let found = read(bytes);
    if let Ok(Some(header)) = found {
        assert!(header.bytes <= bytes.len().min(HEADER_BYTES_MAX));
        assert_eq!(read(&bytes[..header.bytes]), found, "what comes behind a header says nothing about it");
        if let Source::Client(IpAddr::V6(address)) = header.source {
            assert_eq!(address.to_ipv4_mapped(), None, "an IPv4 address in IPv6 clothing");
        }
        // Written in the other version it is the same.
        if let Source::Client(source) = header.source {
            assert_eq!(read(line(source).as_bytes()).expect("a header").expect("a whole one").source, header.source);
            assert_eq!(read(&block(source)).expect("a header").expect("a whole one").source, header.source);
        }
    }
    let ends = (0..bytes.len()).rev().take(128).chain((0..bytes.len().saturating_sub(128)).step_by(61));
    for end in ends {
        match (read(&bytes[..end]), found) {
            (Ok(None), _) => {}
            (Err(_), Err(_)) => {}
            (one @ Ok(Some(_)), other) => assert_eq!(one, other, "{end}"),
            (Err(error), Ok(_)) => panic!("{error} at {end}, and well later"),
        }
    }
});

fn line(source: IpAddr) -> String {
    let family = if source.is_ipv4() { "TCP4" } else { "TCP6" };
    format!("PROXY {family} {source} {source} 1 2\r\n")
}

fn block(source: IpAddr) -> Vec<u8> {
    let (family, length, octets) = match source {
        IpAddr::V4(source) => (0x11, 12, source.octets().to_vec()),
        IpAddr::V6(source) => (0x21, 36, source.octets().to_vec()),
    };
    [b"\r\n\r\n\0\r\nQUIT\n\x21", &[family, 0, length][..], &octets, &octets, &[0; 4]].concat()
}
