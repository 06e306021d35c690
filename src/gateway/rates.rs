//! How many requests an account and a key may send: for all workers, in memory that the keys there are bound.
//!
//! Only who has proved who they are is looked up here, so nobody uses up what is another's.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::rate::Rate;
use crate::config::{RequestRate, RequestRates};
use crate::types::{AccessKeyId, AccountId};

/// Into how many parts accounts and keys fall, each with a lock of its own.
const STRIPES: usize = 64;

/// The requests of the last moments.
#[derive(Default)]
pub(super) struct Rates {
    keys: Counted,
    accounts: Counted,
}

/// What is remembered of each key, or of each account.
struct Counted {
    stripes: Box<[Mutex<Stripe>]>,
    hasher: RandomState,
}

#[derive(Default)]
struct Stripe {
    remembered: HashMap<[u8; 16], u64>,
    /// With so many, those that say nothing any more are taken out.
    swept_at: usize,
}

impl Default for Counted {
    fn default() -> Self {
        Self { stripes: (0..STRIPES).map(|_| Mutex::default()).collect(), hasher: RandomState::new() }
    }
}

impl Rates {
    /// Notes a request.
    ///
    /// # Errors
    /// It is one too many; how long that will be so. Then nothing was noted.
    pub(super) fn note(&self, key: AccessKeyId, account: AccountId, limits: &RequestRates, now_ns: u64) -> Result<(), Duration> {
        // Always in this order: nobody holds an account and waits for a key.
        let key = self.keys.look(*key.as_bytes(), limits.key, now_ns);
        let account = self.accounts.look(*account.as_bytes(), limits.account, now_ns);
        let waits = [&key, &account].into_iter().flatten().filter_map(|look| look.after.err());
        if let Some(wait) = waits.max() {
            return Err(wait);
        }
        key.into_iter().chain(account).for_each(Look::take);
        Ok(())
    }
}

/// A look at what is remembered of one key or account, and what would be after one more request.
struct Look<'a> {
    stripe: MutexGuard<'a, Stripe>,
    id: [u8; 16],
    after: Result<u64, Duration>,
    now_ns: u64,
}

impl Counted {
    /// `None`: without a limit there is nothing to look at.
    fn look(&self, id: [u8; 16], limit: Option<RequestRate>, now_ns: u64) -> Option<Look<'_>> {
        let limit = limit?;
        let rate = Rate::new(limit.requests_per_s, Duration::from_secs(1), limit.burst);
        let place = usize::try_from(self.hasher.hash_one(id) % STRIPES as u64).unwrap_or(0);
        let stripe = self.stripes.get(place)?.lock().unwrap_or_else(PoisonError::into_inner);
        let after = rate.take(stripe.remembered.get(&id).copied().unwrap_or(0), now_ns);
        Some(Look { stripe, id, after, now_ns })
    }
}

impl Look<'_> {
    fn take(mut self) {
        let Ok(after) = self.after else { return };
        let now_ns = self.now_ns;
        let stripe = &mut *self.stripe;
        if stripe.remembered.len() >= stripe.swept_at {
            stripe.remembered.retain(|_, remembered| *remembered > now_ns);
            stripe.swept_at = stripe.remembered.len() * 2 + STRIPES;
        }
        stripe.remembered.insert(self.id, after);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND_NS: u64 = 1_000_000_000;

    fn limits(key: Option<(u32, u32)>, account: Option<(u32, u32)>) -> RequestRates {
        let rate = |(requests_per_s, burst)| RequestRate { requests_per_s, burst };
        RequestRates { key: key.map(rate), account: account.map(rate) }
    }

    fn note(rates: &Rates, key: u32, account: u8, limits: &RequestRates, now_ns: u64) -> Result<(), Duration> {
        let mut id = [0; 16];
        id[..4].copy_from_slice(&key.to_be_bytes());
        rates.note(AccessKeyId::from_bytes(id), AccountId::from_bytes([account; 16]), limits, now_ns)
    }

    #[test]
    fn a_key_has_its_rate_and_all_keys_of_an_account_have_theirs() {
        let rates = Rates::default();
        let limits = limits(Some((1, 3)), Some((1, 5)));
        let passed = |key: u32, account: u8, now_ns| (0..10).filter(|_| note(&rates, key, account, &limits, now_ns).is_ok()).count();
        assert_eq!((passed(1, 1, 0), passed(2, 1, 0), passed(3, 1, 0)), (3, 2, 0));
        assert_eq!(passed(4, 2, 0), 3, "another account has its own");
        assert_eq!((passed(1, 1, SECOND_NS), passed(2, 1, SECOND_NS)), (1, 0));
    }

    #[test]
    fn what_is_refused_uses_nothing_up() {
        let rates = Rates::default();
        let limits = limits(Some((1, 2)), Some((1, 1)));
        assert_eq!(note(&rates, 1, 1, &limits, 0), Ok(()));
        for _ in 0..10 {
            assert_eq!(note(&rates, 1, 1, &limits, 0), Err(Duration::from_secs(1)), "the account's rate is used up");
        }
        assert_eq!(note(&rates, 1, 2, &limits, 0), Ok(()), "and the key's is not");
    }

    #[test]
    fn the_time_to_wait_is_the_longer_one() {
        let rates = Rates::default();
        let limits = limits(Some((10, 1)), Some((1, 1)));
        assert_eq!(note(&rates, 1, 1, &limits, 0), Ok(()));
        assert_eq!(note(&rates, 1, 1, &limits, 0), Err(Duration::from_secs(1)));
        assert!(note(&rates, 1, 1, &limits, SECOND_NS - 1).is_err());
        assert_eq!(note(&rates, 1, 1, &limits, SECOND_NS), Ok(()));
    }

    #[test]
    fn who_has_not_come_for_a_while_is_forgotten() {
        let rates = Rates::default();
        let limits = limits(Some((10, 1)), None);
        for number in 0..100_000u32 {
            assert_eq!(note(&rates, number, 1, &limits, u64::from(number) * SECOND_NS / 100), Ok(()));
        }
        let remembered: usize = rates.keys.stripes.iter().map(|stripe| stripe.lock().unwrap().remembered.len()).sum();
        assert!(remembered < 10_000, "{remembered} keys, of which 10 have sent something in the last tenth of a second");
        assert!(rates.accounts.stripes.iter().all(|stripe| stripe.lock().unwrap().remembered.is_empty()));
    }

    #[test]
    fn workers_share_one_rate() {
        let rates = Rates::default();
        let limits = limits(Some((1, 500)), Some((1, 800)));
        let passed: usize = std::thread::scope(|scope| {
            let asking = [1, 1, 2, 2].map(|key| {
                let (rates, limits) = (&rates, &limits);
                scope.spawn(move || (0..500).filter(|_| note(rates, key, 1, limits, 0).is_ok()).count())
            });
            asking.into_iter().map(|asked| asked.join().unwrap()).sum()
        });
        assert_eq!(passed, 800);
    }
}
