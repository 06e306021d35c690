//! How often authentication failed, from an address and with a key from an address: for all workers, in memory that never grows.
//!
//! Only who fails is looked up here, and all that is limited is how often failures are answered in detail: a true signature passes,
//! whoever else has failed from the same address or with the same key (contracts C12).

use std::hash::{BuildHasher as _, Hash, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::rate::Rate;
use crate::config::FailureLimits;
use crate::types::{AccessKeyId, network};

/// How many numbers a row has.
const CELLS: usize = 1 << 16;
/// How many rows each failure has a number in.
const ROWS: usize = 2;
const MINUTE: Duration = Duration::from_secs(60);

/// The failures of the last minutes.
pub(super) struct Failures {
    addresses: Sketch,
    keys: Sketch,
    /// SECURITY: nobody knows whose numbers are shared, so nobody can use up another's.
    hasher: RandomState,
}

/// Numbers that many share: whoever has one free number left is under the limit. Addresses and keys without end make the limit come
/// too early for others who fail, and never too late; nobody's failures are forgotten for it.
struct Sketch([Box<[AtomicU64]>; ROWS]);

impl Default for Failures {
    fn default() -> Self {
        Self { addresses: Sketch::default(), keys: Sketch::default(), hasher: RandomState::new() }
    }
}

impl Default for Sketch {
    fn default() -> Self {
        Self([(); ROWS].map(|()| (0..CELLS).map(|_| AtomicU64::new(0)).collect()))
    }
}

impl Failures {
    /// Notes one. SECURITY: whether the key exists is not known here; what was presented counts
    /// (test `known_and_unknown_keys_are_limited_alike`).
    ///
    /// # Errors
    /// There were too many; how long that will be so.
    pub(super) fn note(
        &self,
        address: Option<IpAddr>,
        key: Option<AccessKeyId>,
        limits: &FailureLimits,
        now_ns: u64,
    ) -> Result<(), Duration> {
        let client = address.map(network::of_client);
        let by_address = self.addresses.take(self.hash(client), rate(limits.address_per_minute), now_ns);
        let by_key = key.map_or(Ok(()), |key| self.keys.take(self.hash((key, client)), rate(limits.key_per_minute), now_ns));
        match (by_address, by_key) {
            (Err(one), Err(other)) => Err(one.max(other)),
            (one, other) => one.and(other),
        }
    }

    fn hash(&self, what: impl Hash) -> u64 {
        self.hasher.hash_one(what)
    }
}

impl Sketch {
    fn take(&self, hash: u64, rate: Rate, now_ns: u64) -> Result<(), Duration> {
        let mut taken = Err(Duration::MAX);
        for (cells, place) in self.0.iter().zip([hash, hash >> 32]) {
            let Some(cell) = usize::try_from(place % CELLS as u64).ok().and_then(|place| cells.get(place)) else { continue };
            let one = loop {
                let remembered = cell.load(Relaxed);
                match rate.take(remembered, now_ns) {
                    Err(wait) => break Err(wait),
                    Ok(after) if cell.compare_exchange_weak(remembered, after, Relaxed, Relaxed).is_ok() => break Ok(()),
                    // Another worker was faster.
                    Ok(_) => {}
                }
            };
            taken = match (taken, one) {
                (Err(wait), Err(other)) => Err(wait.min(other)),
                (Ok(()), _) | (_, Ok(())) => Ok(()),
            };
        }
        taken
    }
}

fn rate(per_minute: u32) -> Rate {
    Rate::new(per_minute, MINUTE, per_minute)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: FailureLimits = FailureLimits { address_per_minute: 10, key_per_minute: 3 };
    const SECOND_NS: u64 = 1_000_000_000;

    fn key(number: u32) -> AccessKeyId {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&number.to_be_bytes());
        AccessKeyId::from_bytes(bytes)
    }

    /// How many of so many failures at once are under the limit.
    fn passed(failures: &Failures, address: &str, keys: impl Iterator<Item = Option<AccessKeyId>>, now_ns: u64) -> usize {
        let address = address.parse().ok();
        keys.filter(|key| failures.note(address, *key, &LIMITS, now_ns).is_ok()).count()
    }

    #[test]
    fn a_key_is_limited_from_an_address_and_an_address_with_all_its_keys() {
        let failures = Failures::default();
        let same = || (0..20).map(|_| Some(key(1)));
        assert_eq!(passed(&failures, "10.0.0.1", same(), 0), 3);
        assert_eq!(passed(&failures, "10.0.0.2", same(), 0), 3, "from elsewhere it is another matter");
        assert_eq!(passed(&failures, "10.0.0.3", (0..20).map(|number| Some(key(number))), 0), 10);
        assert_eq!(passed(&failures, "10.0.0.4", (0..20).map(|_| None), 0), 10);
        assert_eq!(passed(&failures, "", (0..20).map(|_| None), 0), 10, "an unknown address is one address");
    }

    #[test]
    fn an_ipv6_network_is_one_address() {
        let failures = Failures::default();
        let tried = (0..100).map(|number| format!("2001:db8:0:1::{number:x}"));
        assert_eq!(tried.filter(|address| passed(&failures, address, [None].into_iter(), 0) == 1).count(), 10);
        assert_eq!(passed(&failures, "2001:db8:0:2::1", [None].into_iter(), 0), 1);
        assert_eq!(passed(&failures, "::ffff:10.0.0.1", (0..20).map(|_| None), 0), 10);
        assert_eq!(passed(&failures, "10.0.0.1", [None].into_iter(), 0), 0);
    }

    #[test]
    fn the_time_to_wait_is_true() {
        let failures = Failures::default();
        let address = "10.0.0.1".parse().ok();
        let wait = (0..4).find_map(|_| failures.note(address, Some(key(1)), &LIMITS, SECOND_NS).err()).unwrap();
        assert_eq!(wait, Duration::from_secs(20), "three in a minute");
        assert!(failures.note(address, Some(key(1)), &LIMITS, 20 * SECOND_NS).is_err());
        assert!(failures.note(address, Some(key(1)), &LIMITS, 21 * SECOND_NS).is_ok());
    }

    #[test]
    fn a_flood_of_addresses_and_keys_makes_nobody_forgotten() {
        let failures = Failures::default();
        assert_eq!(passed(&failures, "10.0.0.1", (0..20).map(|_| Some(key(1))), 0), 3);
        for number in 0..200_000u32 {
            let address = IpAddr::from((0x0a00_0000 + number).to_be_bytes());
            let _ = failures.note(Some(address), Some(key(number)), &LIMITS, SECOND_NS);
        }
        assert_eq!(passed(&failures, "10.0.0.1", (0..20).map(|_| Some(key(1))), SECOND_NS), 0);
        // And it passes: a minute later the flood is forgotten.
        assert_eq!(passed(&failures, "10.9.9.9", (0..20).map(|_| Some(key(9))), 200 * SECOND_NS), 3);
    }
}
