//! Laws of paths and routes, on paths made of what has fooled gateways.

use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};

use super::*;
use crate::types::path::hex_pair;

/// What paths are made of: words of the templates in several spellings, and everything that some reader takes for something else.
const PIECES: &[&str] = &[
    "/",
    "/",
    "/",
    "/",
    "/v1/",
    "/v1/groups/",
    "/v1/policies/",
    "v1",
    "V1",
    "%761",
    "groups",
    "group%73",
    "policies",
    "bulk",
    "%62ulk",
    "b%75lk",
    "BULK",
    "g1",
    "hidden",
    "hid%64en",
    "a",
    "%61",
    "%2561",
    "~",
    "%7e",
    "%7E",
    "-",
    "%2D",
    "_",
    ".",
    "..",
    "...",
    "%2e",
    "%2E",
    "%2e%2e",
    ".%2e",
    "%2f",
    "%2F",
    "%252f",
    "%5c",
    "%5C",
    "\\",
    ";",
    "%3b",
    "%3B",
    ";x=y",
    "=",
    "%3D",
    "*",
    "%2A",
    "{x}",
    "%7Bx%7D",
    "%",
    "%2",
    "%zz",
    "%u0061",
    "%00",
    "%0d%0a",
    "%7f",
    "%25",
    "%20",
    " ",
    "+",
    "!",
    "$&'(),:@",
    "%ED%95%9C",
    "\u{d55c}",
    "%c0%ae",
    "%ff",
    "\u{131}",
    "\u{ff0f}",
    "#",
    "?",
    "%3f",
    "\u{0}",
    "\t",
];

/// `RUNS` paths from one seed, or as many as `PROPTEST_CASES` says if that is more (`PROPTEST_CASES=1000000` for all of the law).
const RUNS: u32 = 20_000;

fn run(law: impl Fn(&str, u64)) {
    let usual = ProptestConfig::default();
    let config = ProptestConfig { cases: usual.cases.max(RUNS), failure_persistence: None, ..usual };
    let paths = prop::collection::vec(prop::sample::select(PIECES), 0..8).prop_map(|pieces| pieces.concat());
    let rooted = (paths, prop::bool::weighted(0.9)).prop_map(|(path, rooted)| if rooted { format!("/{path}") } else { path });
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let outcome = runner.run(&(rooted, any::<u64>()), |(raw, pick)| {
        law(&raw, pick);
        Ok(())
    });
    outcome.unwrap();
}

/// A path's one normal form: each segment with everything encoded that may be, in capitals, and nothing else.
fn normal(path: &Path<'_>) -> String {
    let mut form = String::new();
    for segment in path.segments() {
        form.push('/');
        for byte in segment.bytes() {
            if is_unreserved(byte) { form.push(char::from(byte)) } else { form.push_str(&format!("%{byte:02X}")) }
        }
    }
    form
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

/// The same path as somebody else could write it: some unreserved bytes encoded, hexadecimal digits in either case.
fn respelt(raw: &str, pick: u64) -> String {
    let mut form = Vec::new();
    let mut rest = raw.as_bytes();
    let mut place = 0;
    while let Some((byte, after)) = rest.split_first() {
        place += 1;
        let (chosen, upper) = (pick.rotate_left(place) & 1 == 1, pick.rotate_left(place) & 2 == 2);
        let write = |byte: u8| if upper { format!("%{byte:02X}") } else { format!("%{byte:02x}") };
        match (byte, hex_pair(after.first().copied(), after.get(1).copied())) {
            (b'%', Some(value)) => {
                form.extend_from_slice(write(value).as_bytes());
                rest = &after[2..];
            }
            (byte, _) => {
                if chosen && is_unreserved(*byte) {
                    form.extend_from_slice(write(*byte).as_bytes())
                } else {
                    form.push(*byte)
                }
                rest = after;
            }
        }
    }
    String::from_utf8(form).unwrap()
}

/// Segments by another hand: `None` where the contract says that a path is refused.
fn by_another_hand(raw: &str) -> Option<Vec<String>> {
    let segments: Vec<&str> = raw.strip_prefix('/')?.split('/').collect();
    let count = segments.len();
    let read = |(place, segment): (usize, &&str)| {
        let is_allowed = |byte: u8| is_unreserved(byte) || b"%!$&'()*+,=:@".contains(&byte);
        if (segment.is_empty() && place + 1 < count) || !segment.bytes().all(is_allowed) {
            return None;
        }
        let (first, encoded) = segment.split_once('%').map_or((*segment, None), |(first, encoded)| (first, Some(encoded)));
        let mut bytes = first.as_bytes().to_vec();
        for part in encoded.into_iter().flat_map(|encoded| encoded.split('%')) {
            let value = u8::from_str_radix(part.get(..2).filter(|digits| !digits.starts_with('+'))?, 16).ok()?;
            if value.is_ascii_control() || value == b'\\' {
                return None;
            }
            bytes.push(value);
            bytes.extend_from_slice(&part.as_bytes()[2..]);
        }
        let text = String::from_utf8(bytes).ok()?;
        let is_dots = text.split('/').any(|part| part == "." || part == "..");
        (!is_dots).then_some(text)
    };
    segments.iter().enumerate().map(read).collect()
}

fn routes() -> Routes<u32> {
    let mut routes = Routes::default();
    let templates = ["/", "/v1/groups", "/v1/groups/{id}", "/v1/policies/bulk", "/v1/policies/{id}", "/v1/{a}/{b}/list"];
    for (number, template) in (0..).zip(templates) {
        routes.at(template).unwrap().push(number);
    }
    routes
}

/// Where a path leads: its route and its parameters, or that it is refused.
fn decision(routes: &Routes<u32>, raw: &str) -> Option<Option<(u32, Vec<String>)>> {
    let path = Path::parse(raw).ok()?;
    let found = routes.find(&path, |_| Some(0));
    Some(found.map(|(number, parameters)| (*number, parameters.iter().map(ToString::to_string).collect())))
}

#[test]
fn a_path_and_its_normal_form_are_one_and_the_normal_form_is_its_own() {
    let routes = routes();
    run(|raw, _| {
        let Ok(path) = Path::parse(raw) else { return };
        let form = normal(&path);
        let again = Path::parse(&form).unwrap_or_else(|error| panic!("{raw:?} is read, {form:?} is not: {error}"));
        assert_eq!(path.segments(), again.segments(), "{raw:?} and {form:?}");
        assert_eq!(normal(&again), form, "{raw:?}");
        assert_eq!(decision(&routes, raw), decision(&routes, &form), "{raw:?} and {form:?}");
    });
}

#[test]
fn every_spelling_of_a_path_is_decided_alike() {
    let routes = routes();
    run(|raw, pick| {
        let other = respelt(raw, pick);
        assert_eq!(decision(&routes, raw), decision(&routes, &other), "{raw:?} and {other:?}");
    });
}

#[test]
fn a_path_is_read_as_another_hand_reads_it_or_refused_by_both() {
    run(|raw, _| {
        let ours = Path::parse(raw).ok().map(|path| path.segments().iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(ours, by_another_hand(raw), "{raw:?}");
    });
}

#[test]
fn the_laws_are_tried_on_paths_that_are_read_and_on_paths_that_are_not() {
    let (read, refused, routed) = (std::cell::Cell::new(0), std::cell::Cell::new(0), std::cell::Cell::new(0));
    let routes = routes();
    run(|raw, _| {
        let count = |cell: &std::cell::Cell<u32>| cell.set(cell.get() + 1);
        match decision(&routes, raw) {
            None => count(&refused),
            Some(None) => count(&read),
            Some(Some(_)) => count(&routed),
        }
    });
    let least = (read.get() + refused.get() + routed.get()) / 20;
    assert!(read.get() > least && refused.get() > least && routed.get() > least, "{read:?} {refused:?} {routed:?}");
}
