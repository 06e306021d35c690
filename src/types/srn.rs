//! SRNs: `srn:{offering}::{account}:{region}::{service-type}:{type}/{id}` (wire-formats 4, R11).

use std::fmt;

/// Longest SRN, in bytes.
pub const SRN_BYTES_MAX: usize = 2048;

/// The offering: which of the vendor's clouds (`s`, `g`, `e`), or a name of one's own such as `dev2`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Offering(Box<str>);

impl Offering {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The public one, `e`.
impl Default for Offering {
    fn default() -> Self {
        Self("e".into())
    }
}

impl std::str::FromStr for Offering {
    type Err = SrnError;

    fn from_str(text: &str) -> Result<Self, SrnError> {
        let good = (1..=16).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        if good { Ok(Self(text.into())) } else { Err(SrnError::Offering(text.chars().take(32).collect())) }
    }
}

/// Why a text is not an SRN.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SrnError {
    /// Fewer than eight fields, or not starting with `srn`.
    #[error("`{0}` is not an SRN: srn:offering::account:region::service-type:type/id")]
    Fields(String),
    /// A reserved field holds something.
    #[error("`{0}` has text in a reserved field: the third and sixth field stay empty, as in srn:e::account:region::service-type:type/id")]
    Reserved(String),
    /// A field that must not be empty is.
    #[error("`{0}` has an empty {1}")]
    Empty(String, &'static str),
    /// The last field has no `/`.
    #[error("`{0}` names no resource: its last field is type/id")]
    Resource(String),
    /// Too long.
    #[error("an SRN has at most {SRN_BYTES_MAX} bytes")]
    Long,
    /// Not an offering.
    #[error("`{0}` is not an offering: 1 to 16 lower-case letters and digits, such as `e`")]
    Offering(String),
}

/// An [`SrnError`] that does not hold the text yet.
enum Wrong {
    Fields,
    Reserved,
    Empty(&'static str),
    Resource,
    Long,
}

/// The fields of an SRN, borrowed from where they stand. Account and region may be empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Srn<'a> {
    /// Offering.
    pub offering: &'a str,
    /// Account, or empty.
    pub account: &'a str,
    /// Region, or empty (global services).
    pub region: &'a str,
    /// Service type, such as `scp-iam`.
    pub service_type: &'a str,
    /// Resource type, such as `user`.
    pub resource_type: &'a str,
    /// Resource id; may hold `/`, `:` and any Unicode.
    pub resource_id: &'a str,
}

impl<'a> Srn<'a> {
    /// Cuts at the first seven colons, the last field at its first `/`.
    ///
    /// # Errors
    /// When a field is missing, a reserved field is not empty, or a required one is.
    pub fn parse(text: &'a str) -> Result<Self, SrnError> {
        let shown = || text.chars().take(200).collect::<String>();
        Self::cut(text).map_err(|wrong| match wrong {
            Wrong::Fields => SrnError::Fields(shown()),
            Wrong::Reserved => SrnError::Reserved(shown()),
            Wrong::Empty(name) => SrnError::Empty(shown(), name),
            Wrong::Resource => SrnError::Resource(shown()),
            Wrong::Long => SrnError::Long,
        })
    }

    /// The same for a text that need not be one. Allocates nothing.
    #[must_use]
    pub fn find(text: &'a str) -> Option<Self> {
        Self::cut(text).ok()
    }

    fn cut(text: &'a str) -> Result<Self, Wrong> {
        if text.len() > SRN_BYTES_MAX {
            return Err(Wrong::Long);
        }
        let (colons, slash) = cuts(text.as_bytes());
        let [a, b, c, d, e, f, g] = colons.ok_or(Wrong::Fields)?;
        let field = |from: usize, to: usize| text.get(from..to).unwrap_or_default();
        let (scheme, offering, reserved) = (field(0, a), field(a + 1, b), field(b + 1, c));
        let (account, region, also) = (field(c + 1, d), field(d + 1, e), field(e + 1, f));
        let service_type = field(f + 1, g);
        if scheme != "srn" {
            return Err(Wrong::Fields);
        }
        if !reserved.is_empty() || !also.is_empty() {
            return Err(Wrong::Reserved);
        }
        let slash = slash.ok_or(Wrong::Resource)?;
        let (resource_type, resource_id) = (field(g + 1, slash), text.get(slash + 1..).unwrap_or_default());
        for (value, name) in
            [(offering, "offering"), (service_type, "service type"), (resource_type, "resource type"), (resource_id, "resource id")]
        {
            if value.is_empty() {
                return Err(Wrong::Empty(name));
            }
        }
        Ok(Self { offering, account, region, service_type, resource_type, resource_id })
    }
}

/// Where an SRN is cut: its first seven colons, if there are so many, and the first `/` behind them. Eight bytes at a time.
fn cuts(text: &[u8]) -> (Option<[usize; 7]>, Option<usize>) {
    let (mut colons, mut found) = ([0; 7], 0);
    for (number, chunk) in text.chunks(8).enumerate() {
        let mut bytes = [0; 8];
        bytes.iter_mut().zip(chunk).for_each(|(byte, from)| *byte = *from);
        let word = u64::from_le_bytes(bytes);
        let mut marks = equal(word, b':');
        while let (true, Some(place)) = (marks != 0, colons.get_mut(found)) {
            *place = number * 8 + marks.trailing_zeros() as usize / 8;
            marks &= marks - 1;
            found += 1;
        }
        if found == colons.len() {
            let behind = colons.last().map_or(0, |last| last + 1);
            let rest = text.get(behind..).unwrap_or_default();
            return (Some(colons), rest.iter().position(|byte| *byte == b'/').map(|place| behind + place));
        }
    }
    (None, None)
}

/// The highest bit of each byte that is the wanted one.
const fn equal(word: u64, wanted: u8) -> u64 {
    const LOW: u64 = 0x7f7f_7f7f_7f7f_7f7f;
    let differs = word ^ u64::from_ne_bytes([wanted; 8]);
    !((differs & LOW).wrapping_add(LOW) | differs | LOW)
}

impl fmt::Display for Srn<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { offering, account, region, service_type, resource_type, resource_id } = self;
        write!(out, "srn:{offering}::{account}:{region}::{service_type}:{resource_type}/{resource_id}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_srn_reads_and_prints_back() {
        for text in
            ["srn:e::9b76:kr-west1::scp-compute:instance/d129", "srn:dev2::1d9c:::iam:group/a/b:c", "srn:e:::::object-store:bucket/한글"]
        {
            assert_eq!(Srn::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn every_cut_is_where_a_search_from_the_left_finds_it() {
        let mut state = 1_u64;
        for length in 0..4_000 {
            let text: String = (0..length % 90)
                .map(|_| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    [':', '/', 'a', ';', '.', 'é', '\u{ba}', '9'][(state >> 40) as usize % 8]
                })
                .collect();
            let colons: Vec<usize> = text.match_indices(':').map(|(place, _)| place).take(7).collect();
            let expected = <[usize; 7]>::try_from(colons).ok();
            let slash = expected.and_then(|all| text.get(all[6] + 1..).unwrap().find('/').map(|place| all[6] + 1 + place));
            assert_eq!(cuts(text.as_bytes()), (expected, slash), "{text}");
        }
    }

    #[test]
    fn malformed_public_examples_are_refused() {
        for text in [
            "",
            "srn",
            "srn:e:1234:::iam:user/abc1234",
            "srn:s::kr-west1:quota:account-quota/123",
            "srn:e::1:::scp-iam:root",
            "srn:e::1:::scp-iam:/x",
            "srn:e::1:::scp-iam:user/",
            "arn:e::1:::scp-iam:user/x",
        ] {
            assert!(Srn::parse(text).is_err(), "{text}");
        }
    }
}
