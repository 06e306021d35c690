//! Networks and sets of networks, read strictly and matched in a few nanoseconds.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// Why a text is not an address or network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// Not an address at all.
    #[error("`{0}` is not an IP address or network (`10.0.0.0/16`, `10.1.2.3`, `2001:db8::/32`)")]
    Address(String),
    /// The prefix length is not plain decimal, or too long for the family.
    #[error("`{0}` has no valid prefix length (0 to 32 for IPv4, 0 to 128 for IPv6, no leading zeros)")]
    Prefix(String),
    /// An IPv4-mapped IPv6 form: request addresses are folded to IPv4, so it could never match.
    #[error("`{0}` is an IPv4 address in IPv6 clothing; write the IPv4 form")]
    Mapped(String),
}

/// The address that stands for all that one client has: of IPv6, of which each has 2^64, the first of its /64.
#[must_use]
pub fn of_client(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        address @ IpAddr::V4(_) => address,
    }
}

/// An address or a CIDR network; host bits are cleared (R39: `1.1.1.1/24` is `1.1.1.0/24`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Network(IpNet);

impl Network {
    /// The network of one address.
    #[must_use]
    pub fn host(address: IpAddr) -> Self {
        Self(IpNet::from(address.to_canonical()))
    }

    /// Whether the (canonical) address lies inside. Families never match each other.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address)
    }

    /// Whether it is a single address.
    #[must_use]
    pub fn is_single(&self) -> bool {
        self.0.prefix_len() == self.0.max_prefix_len()
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    /// Stricter than the library: the address by `std` (no leading zeros, no short forms, no zone), the
    /// prefix in plain decimal.
    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let shown = || text.chars().take(64).collect::<String>();
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| NetworkError::Address(shown()))?;
        if let IpAddr::V6(six) = address
            && six.to_ipv4_mapped().is_some()
        {
            return Err(NetworkError::Mapped(shown()));
        }
        let Some(prefix) = prefix else { return Ok(Self::host(address)) };
        let canonical =
            prefix.len() <= 3 && prefix.bytes().all(|byte| byte.is_ascii_digit()) && (prefix == "0" || !prefix.starts_with('0'));
        let length: u8 = prefix.parse().ok().filter(|_| canonical).ok_or_else(|| NetworkError::Prefix(shown()))?;
        let network = match address {
            IpAddr::V4(four) => Ipv4Net::new(four, length).map(IpNet::from),
            IpAddr::V6(six) => Ipv6Net::new(six, length).map(IpNet::from),
        };
        network.map(|network| Self(network.trunc())).map_err(|_| NetworkError::Prefix(shown()))
    }
}

impl fmt::Display for Network {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_single() { write!(out, "{}", self.0.addr()) } else { write!(out, "{}", self.0) }
    }
}

/// A set of networks, compiled to sorted, merged ranges: a look-up is one binary search.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NetworkSet {
    four: Box<[(u32, u32)]>,
    six: Box<[(u128, u128)]>,
}

impl NetworkSet {
    /// Whether the address lies in one of the networks. An IPv4-mapped address is its IPv4 address.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match address.to_canonical() {
            IpAddr::V4(four) => in_ranges(&self.four, u32::from(four)),
            IpAddr::V6(six) => in_ranges(&self.six, u128::from(six)),
        }
    }

    /// Whether no address lies in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.four.is_empty() && self.six.is_empty()
    }

    /// Addresses at which membership changes: the first of each range, and the first behind it.
    pub fn borders(&self) -> impl Iterator<Item = IpAddr> {
        let four = self.four.iter().flat_map(|(start, end)| [Some(*start), end.checked_add(1)]);
        let six = self.six.iter().flat_map(|(start, end)| [Some(*start), end.checked_add(1)]);
        four.flatten().map(|four| IpAddr::V4(four.into())).chain(six.flatten().map(|six| IpAddr::V6(six.into())))
    }

    /// Every address.
    #[must_use]
    pub fn everything() -> Self {
        Self { four: [(0, u32::MAX)].into(), six: [(0, u128::MAX)].into() }
    }

    /// The addresses that lie in both.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        Self { four: common(&self.four, &other.four), six: common(&self.six, &other.six) }
    }

    /// The addresses that lie in this one only.
    #[must_use]
    pub fn without(&self, other: &Self) -> Self {
        self.intersection(&Self {
            four: gaps(&other.four, (0, u32::MAX), |end| end.checked_add(1), |start| start.checked_sub(1)),
            six: gaps(&other.six, (0, u128::MAX), |end| end.checked_add(1), |start| start.checked_sub(1)),
        })
    }
}

impl FromIterator<Network> for NetworkSet {
    fn from_iter<I: IntoIterator<Item = Network>>(networks: I) -> Self {
        let (mut four, mut six) = (Vec::new(), Vec::new());
        for network in networks {
            match network.0 {
                IpNet::V4(net) => four.push((u32::from(net.network()), u32::from(net.broadcast()))),
                IpNet::V6(net) => six.push((u128::from(net.network()), u128::from(net.broadcast()))),
            }
        }
        Self {
            four: merge(four, |end, start| end.checked_add(1).is_none_or(|next| next >= start)),
            six: merge(six, |end, start| end.checked_add(1).is_none_or(|next| next >= start)),
        }
    }
}

/// Sorts ranges and joins those that overlap or touch.
fn merge<T: Ord + Copy>(mut ranges: Vec<(T, T)>, touches: impl Fn(T, T) -> bool) -> Box<[(T, T)]> {
    ranges.sort_unstable();
    let mut merged: Vec<(T, T)> = Vec::with_capacity(ranges.len());
    for (start, end) in ranges {
        match merged.last_mut() {
            Some(last) if touches(last.1, start) => last.1 = last.1.max(end),
            Some(_) | None => merged.push((start, end)),
        }
    }
    merged.into()
}

/// What two lists of sorted ranges have in common.
fn common<T: Ord + Copy>(one: &[(T, T)], two: &[(T, T)]) -> Box<[(T, T)]> {
    let (mut left, mut right) = (one.iter().peekable(), two.iter().peekable());
    let mut shared = Vec::new();
    while let (Some((start, end)), Some((other_start, other_end))) = (left.peek(), right.peek()) {
        let (first, last) = (*start.max(other_start), *end.min(other_end));
        if first <= last {
            shared.push((first, last));
        }
        if end < other_end {
            left.next();
        } else {
            right.next();
        }
    }
    shared.into()
}

/// What lies between sorted ranges, within bounds.
fn gaps<T: Ord + Copy>(
    ranges: &[(T, T)],
    (first, last): (T, T),
    after: impl Fn(T) -> Option<T>,
    before: impl Fn(T) -> Option<T>,
) -> Box<[(T, T)]> {
    let mut free = Vec::new();
    let mut next = Some(first);
    for (start, end) in ranges {
        if let (Some(from), Some(to)) = (next, before(*start))
            && from <= to
        {
            free.push((from, to));
        }
        next = after(*end);
    }
    free.extend(next.map(|from| (from, last)));
    free.into()
}

fn in_ranges<T: Ord + Copy>(ranges: &[(T, T)], value: T) -> bool {
    let after = ranges.partition_point(|(start, _)| *start <= value);
    after.checked_sub(1).and_then(|last| ranges.get(last)).is_some_and(|(_, end)| value <= *end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::Ipv4Addr;

    fn set(networks: &[&str]) -> NetworkSet {
        networks.iter().map(|text| text.parse::<Network>().unwrap()).collect()
    }

    #[test]
    fn a_client_has_one_address_or_the_half_of_one() {
        for (one, other, same) in [
            ("192.0.2.1", "192.0.2.1", true),
            ("192.0.2.1", "192.0.2.2", false),
            ("192.0.2.1", "::ffff:192.0.2.1", true),
            ("2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff", true),
            ("2001:db8::1", "2001:db8:0:1::1", false),
            ("::1", "0.0.0.0", false),
        ] {
            assert_eq!(of_client(one.parse().unwrap()) == of_client(other.parse().unwrap()), same, "{one} {other}");
        }
    }

    #[test]
    fn sloppy_spellings_are_refused() {
        for bad in [
            "",
            "010.0.0.1",
            "10.1",
            "0x0a.0.0.1",
            "167772161",
            "1.2.3.4/33",
            "1.2.3.4/00",
            "1.2.3.4/08",
            "1.2.3.4/",
            "1.2.3.4/+8",
            "fe80::1%eth0",
            "::ffff:10.0.0.0/104",
            "::ffff:10.1.2.3",
            "::ffff:0:0/96",
            "2001:db8::/129",
            " 10.0.0.1",
            "10.0.0.1/8/8",
            "*",
        ] {
            assert!(bad.parse::<Network>().is_err(), "{bad}");
        }
        assert!("::ffff:10.0.0.0/8".parse::<Network>().is_err());
    }

    #[test]
    fn host_bits_are_cleared_and_families_stay_apart() {
        let set = set(&["10.0.0.1/8", "2001:db8::/32", "0.0.0.0/0"]);
        assert!(set.contains("10.255.0.1".parse().unwrap()));
        assert!(set.contains("::ffff:10.1.2.3".parse().unwrap()));
        assert!(set.contains("2001:db8::1".parse().unwrap()));
        assert!(!set.contains("2001:db9::1".parse().unwrap()));
        assert!(!NetworkSet::default().contains("10.0.0.1".parse().unwrap()));
        assert!("::/0".parse::<Network>().unwrap().contains("2001:db8::1".parse().unwrap()));
    }

    #[test]
    fn sets_are_cut_at_the_ends_of_the_address_space_too() {
        let (four, six) = (set(&["0.0.0.0/0"]), set(&["::/0"]));
        assert!(NetworkSet::everything().without(&four).without(&six).is_empty());
        assert_eq!(NetworkSet::everything().without(&six), four);
        assert_eq!(set(&["10.0.0.0/8"]).without(&set(&["10.0.0.0/9", "10.128.0.0/9"])), NetworkSet::default());
        assert_eq!(four.without(&set(&["0.0.0.0/1"])), set(&["128.0.0.0/1"]));
        assert_eq!(four.without(&set(&["128.0.0.0/1"])), set(&["0.0.0.0/1"]));
        assert_eq!(
            set(&["10.0.0.0/8", "2001:db8::/32"]).intersection(&set(&["10.1.0.0/16", "2001::/16"])),
            set(&["10.1.0.0/16", "2001:db8::/32"])
        );
    }

    proptest! {
        #[test]
        fn a_cut_set_contains_what_both_or_only_the_first_contain(
            one in prop::collection::vec((0u32..64, 26u8..=32), 0..8), two in prop::collection::vec((0u32..64, 26u8..=32), 0..8),
        ) {
            let set = |networks: Vec<(u32, u8)>| -> NetworkSet {
                networks.into_iter().map(|(bits, length)| format!("{}/{length}", Ipv4Addr::from(bits)).parse::<Network>().unwrap()).collect()
            };
            let (one, two) = (set(one), set(two));
            let (both, first) = (one.intersection(&two), one.without(&two));
            for probe in (0..80).map(|bits| IpAddr::V4(Ipv4Addr::from(bits))) {
                prop_assert_eq!(both.contains(probe), one.contains(probe) && two.contains(probe));
                prop_assert_eq!(first.contains(probe), one.contains(probe) && !two.contains(probe));
            }
        }

        #[test]
        fn a_set_contains_what_one_of_its_networks_contains(
            networks in prop::collection::vec((any::<u32>(), 0u8..=32), 0..60), probes in prop::collection::vec(any::<u32>(), 20),
        ) {
            let networks: Vec<Network> =
                networks.into_iter().map(|(bits, length)| format!("{}/{length}", Ipv4Addr::from(bits)).parse().unwrap()).collect();
            let set: NetworkSet = networks.iter().copied().collect();
            for probe in probes {
                let address = IpAddr::V4(Ipv4Addr::from(probe));
                prop_assert_eq!(set.contains(address), networks.iter().any(|network| network.contains(address)));
            }
        }
    }
}
