//! How soon somebody may try again to log in: delays for a name and an address together, so that strangers keep nobody out for good
//! (contracts C11).
//!
//! Every try counts until it succeeds, also while it is still being looked at: trying many at a time gains nothing. What is counted is
//! bounded; when it is full, the one whose delay ends first is forgotten. What was not looked at for want of a place counts against
//! nobody.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::places::{Place, Places, whose};
use crate::types::{AccountId, Timestamp};

/// Failures that nothing follows on (seed 003: whoever is wrong five times is sent away).
const FREE: u32 = 4;
/// The longest delay.
const DELAY_S_MAX: i64 = 300;
/// After this long without a try, nothing is known of somebody.
const FORGET_MS: i64 = 15 * 60 * 1_000;
/// Most names and addresses that are counted.
const COUNTED_MAX: usize = 10_000;
/// Logins that are looked at, or wait for it; more are sent away. Each takes a processor for a while.
const PLACES_MAX: usize = 16;
/// How many of them may come from one address.
const PLACES_OF_ADDRESS_MAX: usize = 4;

/// Who tries: whether there is such a user or not.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Trier {
    account: AccountId,
    name: String,
    address: String,
}

#[derive(Debug, Clone, Copy)]
struct Tries {
    failures: u32,
    last: Timestamp,
    not_before: Timestamp,
}

/// All who tried lately.
#[derive(Debug)]
pub(crate) struct Throttle {
    counted: Mutex<HashMap<Trier, Tries>>,
    places: Arc<Places>,
}

/// Why somebody is not looked at now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SentAway {
    /// There is no place.
    NoPlace,
    /// It is too soon after other tries; in so many seconds it is not.
    TooSoon(u64),
}

impl Default for Throttle {
    fn default() -> Self {
        Self { counted: Mutex::default(), places: Places::new(PLACES_MAX, PLACES_OF_ADDRESS_MAX) }
    }
}

impl Trier {
    /// Somebody at an address.
    pub(crate) fn new(account: AccountId, name: &str, address: &str) -> Self {
        Self { account, name: name.to_owned(), address: whose(address) }
    }
}

impl Throttle {
    /// Takes a place at this address, and counts a try.
    ///
    /// SECURITY: in this order. Strangers who keep the places full would else make failures of everybody's logins, also of the right
    /// ones, and delays of those. Test: `want_of_a_place_counts_against_nobody`.
    ///
    /// # Errors
    /// When there is no place, or it comes too soon after others: neither is counted.
    pub(crate) fn begin(&self, trier: &Trier, address: &str, now: Timestamp) -> Result<Place, SentAway> {
        let place = self.places.take(address).ok_or(SentAway::NoPlace)?;
        self.count(trier, now).map_err(SentAway::TooSoon)?;
        Ok(place)
    }

    /// Counts a try that does not come too soon; else, how many seconds too soon.
    fn count(&self, trier: &Trier, now: Timestamp) -> Result<(), u64> {
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        let before = counted.get(trier).copied().filter(|tries| now.milliseconds() - tries.last.milliseconds() < FORGET_MS);
        if let Some(tries) = before.filter(|tries| now < tries.not_before) {
            return Err(tries.not_before.distance_ms(now).div_ceil(1_000));
        }
        if before.is_none() && counted.len() >= COUNTED_MAX {
            make_room(&mut counted);
        }
        let failures = before.map_or(0, |tries| tries.failures).saturating_add(1);
        let delay_s = match failures.checked_sub(FREE + 1) {
            None => 0,
            Some(more) => 1_i64.checked_shl(more.min(16)).unwrap_or(DELAY_S_MAX).min(DELAY_S_MAX),
        };
        let not_before = Timestamp::from_milliseconds(now.milliseconds().saturating_add(delay_s * 1_000));
        counted.insert(trier.clone(), Tries { failures, last: now, not_before });
        Ok(())
    }

    /// Forgets the tries of somebody who is in.
    pub(crate) fn succeeded(&self, trier: &Trier) {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner).remove(trier);
    }
}

fn make_room(counted: &mut HashMap<Trier, Tries>) {
    let first = counted.iter().min_by_key(|(_, tries)| tries.not_before).map(|(trier, _)| trier.clone());
    if let Some(first) = first {
        counted.remove(&first);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_milliseconds(seconds * 1_000)
    }

    fn trier(name: &str, address: &str) -> Trier {
        Trier::new(AccountId::from_bytes([1; 16]), name, address)
    }

    #[test]
    fn delays_double_for_a_name_and_an_address_and_end() {
        let throttle = Throttle::default();
        let ada = trier("ada", "203.0.113.9");
        for _ in 0..5 {
            assert_eq!(throttle.count(&ada, at(0)), Ok(()));
        }
        assert_eq!(throttle.count(&ada, at(0)), Err(1));
        let mut now = 0;
        for delay in [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300] {
            assert_eq!(throttle.count(&ada, at(now + delay - 1)), Err(1), "{delay}");
            now += delay;
            assert_eq!(throttle.count(&ada, at(now)), Ok(()), "{delay}");
        }
        // Others are not kept waiting, nor is the same name from elsewhere.
        for other in [trier("bob", "203.0.113.9"), trier("ada", "203.0.113.8"), trier("ada", "")] {
            assert_eq!(throttle.count(&other, at(now)), Ok(()));
        }
        assert_eq!(trier("ada", "2001:db8::1"), trier("ada", "2001:db8::2"));
        assert_ne!(trier("ada", "2001:db8::1"), trier("ada", "2001:db8:0:1::1"));
        // Who is in begins anew, and so does who stays away.
        throttle.succeeded(&ada);
        for _ in 0..5 {
            assert_eq!(throttle.count(&ada, at(now)), Ok(()));
        }
        assert_eq!(throttle.count(&ada, at(now)), Err(1));
        for _ in 0..5 {
            assert_eq!(throttle.count(&ada, at(now + 900)), Ok(()));
        }
    }

    #[test]
    fn what_is_counted_is_bounded() {
        let throttle = Throttle::default();
        let ada = trier("ada", "203.0.113.9");
        for _ in 0..8 {
            let _ = throttle.count(&ada, at(0));
        }
        for number in 0..COUNTED_MAX + 10 {
            assert_eq!(throttle.count(&trier(&number.to_string(), "203.0.113.9"), at(0)), Ok(()));
        }
        assert_eq!(throttle.counted.lock().unwrap().len(), COUNTED_MAX);
        assert!(throttle.count(&ada, at(0)).is_err(), "the one with a delay is kept");
    }

    #[test]
    fn want_of_a_place_counts_against_nobody() {
        let throttle = Throttle::default();
        let address = |number: usize| format!("203.0.113.{}", number / PLACES_OF_ADDRESS_MAX);
        let names = (0..PLACES_MAX).map(|number| (trier(&number.to_string(), &address(number)), address(number)));
        let strangers: Vec<Place> = names.map(|(name, address)| throttle.begin(&name, &address, at(0)).unwrap()).collect();
        let ada = trier("ada", "198.51.100.7");
        for _ in 0..20 {
            assert_eq!(throttle.begin(&ada, "198.51.100.7", at(0)).unwrap_err(), SentAway::NoPlace);
        }
        assert_eq!(throttle.counted.lock().unwrap().len(), PLACES_MAX);
        drop(strangers);
        for _ in 0..5 {
            assert!(throttle.begin(&ada, "198.51.100.7", at(0)).is_ok());
        }
        // Who waits holds no place.
        for _ in 0..20 {
            assert_eq!(throttle.begin(&ada, "198.51.100.7", at(0)).unwrap_err(), SentAway::TooSoon(1));
        }
    }
}
