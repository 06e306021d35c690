//! What was accepted once, remembered for as long as its signature would be good (contracts C4): for all workers, striped, in memory.
//!
//! A signature is remembered by when it was made. It is forgotten together with all others of the same few seconds, when the last of
//! them has expired, and never before: who asks for more is refused instead.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use foldhash::fast::FixedState;
use smallvec::SmallVec;

use crate::access::Claim;
use crate::access::replay::Signature;
use crate::config::ReplayLimits;
use crate::types::{AccountId, Timestamp};

/// Into how many parts signatures and accounts fall, each with a lock of its own.
const STRIPES: usize = 64;
/// Signatures of so many milliseconds are forgotten together.
const BATCH_MS: i64 = 8_000;
/// For how long one signature is taken with other bodies: clients that do many things at once sign several of them in one millisecond,
/// and what they sign says nothing about the body.
const SIBLINGS_WITHIN_MS: u64 = 2_000;
/// With how many other bodies.
const SIBLINGS_MAX: usize = 16;

/// What a signature is remembered by: a hash that nobody else can compute, and 8 bytes of the MAC.
type Key = (u64, u64);
/// SECURITY: enough for these keys only because of that hash: nobody can choose requests that fall together.
type Claims = HashMap<Key, Claimed, FixedState>;

/// When a claim is made, by all that time is told by.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// By the wall clock, which signatures are made and expire by.
    pub now: Timestamp,
    /// By a clock that never steps.
    pub monotonic_ms: u64,
    /// How far a signature's time may be from now.
    pub skew_ms: u64,
}

/// Why a claim is not good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// This very request was accepted before.
    Replayed,
    /// The signature was accepted before, with another body and too long ago.
    Late,
    /// The signature was accepted before, with too many other bodies.
    TooMany,
    /// Signatures of that time may have been forgotten: the clock was put back.
    Forgotten,
    /// There is no room; there will be after this time, if that is known.
    Full(Option<Duration>),
}

/// The memory.
pub struct ReplayMemory {
    stripes: Box<[Mutex<Stripe>]>,
    accounts: Box<[Mutex<Accounts>]>,
    /// SECURITY: nobody knows which requests share a stripe, so nobody can fill one with theirs.
    hasher: RandomState,
    /// The stripe that is swept next.
    next: AtomicUsize,
    /// Claims that are not remembered any more.
    forgotten: AtomicU64,
}

#[derive(Default)]
struct Stripe {
    batches: BTreeMap<i64, Batch>,
    /// Whatever belongs to an earlier batch may have been forgotten.
    horizon: i64,
    claims: usize,
}

/// The claims to signatures that were made within the same few seconds.
#[derive(Default)]
struct Batch {
    claims: Claims,
    shares: HashMap<AccountId, Share, FixedState>,
}

/// A signature that was accepted.
struct Claimed {
    first_ms: u64,
    /// Hashes of the bodies that it was accepted with.
    bodies: SmallVec<[u64; 2]>,
}

/// How many claims of a batch are an account's, and how many the account has in all.
struct Share {
    own: usize,
    all: Arc<AtomicUsize>,
}

#[derive(Default)]
struct Accounts {
    claims: HashMap<AccountId, Arc<AtomicUsize>>,
    /// With so many, those without claims are taken out.
    swept_at: usize,
}

impl Default for ReplayMemory {
    fn default() -> Self {
        Self {
            stripes: (0..STRIPES).map(|_| Mutex::default()).collect(),
            accounts: (0..STRIPES).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
            next: AtomicUsize::new(0),
            forgotten: AtomicU64::new(0),
        }
    }
}

impl ReplayMemory {
    /// A hash of what is known of a body.
    pub fn hash(&self, body: &[u8]) -> u64 {
        self.hasher.hash_one(body)
    }

    /// Makes a claim: from here on the same request is refused.
    ///
    /// # Errors
    /// Why it is not good. Then nothing has changed.
    pub fn claim(&self, claim: &Claim, body: u64, limits: &ReplayLimits, at: Moment) -> Result<(), Refusal> {
        let full = |made: &Result<(), Refusal>| matches!(made, Err(Refusal::Full(_)));
        let mut made = self.try_claim(claim, body, limits, at);
        if full(&made) {
            // What has expired elsewhere may make room.
            self.stripes.iter().for_each(|stripe| self.forget(&mut lock(stripe), at));
            made = self.try_claim(claim, body, limits, at);
        }
        match made {
            Err(Refusal::Full(None)) => {
                // An account with so few claims has none where this one belongs.
                let room = self.stripes.iter().filter_map(|stripe| lock(stripe).room_in(Some(claim.account), at)).min();
                Err(Refusal::Full(room))
            }
            made => made,
        }
    }

    fn try_claim(&self, claim: &Claim, body: u64, limits: &ReplayLimits, at: Moment) -> Result<(), Refusal> {
        let (key, number) = self.place(claim);
        let Some(stripe) = self.stripe(key) else { return Err(Refusal::Full(None)) };
        let mut stripe = lock(stripe);
        let stripe = &mut *stripe;
        self.forget(stripe, at);
        if number < stripe.horizon {
            return Err(Refusal::Forgotten);
        }
        let batch = stripe.batches.entry(number).or_default();
        let known = batch.claims.entry(key);
        if let Entry::Occupied(known) = &known {
            known.get().takes(body, at.monotonic_ms)?;
        }
        if stripe.claims >= limits.claims_max.div_ceil(STRIPES) {
            return Err(Refusal::Full(stripe.room_in(None, at)));
        }
        let share = batch.shares.entry(claim.account).or_insert_with(|| Share { own: 0, all: self.all_claims(claim.account) });
        if share.all.fetch_update(Relaxed, Relaxed, |all| (all < limits.claims_per_account_max).then_some(all + 1)).is_err() {
            return Err(Refusal::Full(stripe.room_in(Some(claim.account), at)));
        }
        share.own += 1;
        known.or_insert_with(|| Claimed { first_ms: at.monotonic_ms, bodies: SmallVec::new() }).bodies.push(body);
        stripe.claims += 1;
        Ok(())
    }

    /// Takes a claim back: what was claimed turned out to be another request than the one that was signed.
    pub(super) fn release(&self, claim: &Claim, body: u64) {
        let (key, number) = self.place(claim);
        let Some(stripe) = self.stripe(key) else { return };
        let mut stripe = lock(stripe);
        let Some(batch) = stripe.batches.get_mut(&number) else { return };
        let Entry::Occupied(mut known) = batch.claims.entry(key) else { return };
        let Some(place) = known.get().bodies.iter().position(|known| *known == body) else { return };
        known.get_mut().bodies.remove(place);
        if known.get().bodies.is_empty() {
            known.remove();
        }
        if let Some(share) = batch.shares.get_mut(&claim.account) {
            share.own -= 1;
            share.all.fetch_sub(1, Relaxed);
        }
        stripe.claims -= 1;
        drop(stripe);
        self.forgotten.fetch_add(1, Relaxed);
    }

    /// Forgets what has expired in one part of the memory: called again and again, in all of it. Says how much was forgotten since the
    /// last time, for the counters.
    pub(super) fn sweep(&self, at: Moment) -> u64 {
        let next = self.next.fetch_add(1, Relaxed) % STRIPES;
        if let Some(stripe) = self.stripes.get(next) {
            self.forget(&mut lock(stripe), at);
        }
        self.forgotten.swap(0, Relaxed)
    }

    /// INVARIANT: a batch goes only when every signature in it has expired, and whoever comes with one of them after that, because a
    /// clock was put back or a body took its time, is behind the horizon (test `what_was_forgotten_is_never_taken_for_new`).
    fn forget(&self, stripe: &mut Stripe, at: Moment) {
        while let Some(oldest) = stripe.batches.first_entry()
            && left_ms(*oldest.key(), at) < 0
        {
            stripe.horizon = oldest.key() + 1;
            let mut forgotten = 0;
            for share in oldest.remove().shares.into_values() {
                share.all.fetch_sub(share.own, Relaxed);
                forgotten += share.own;
            }
            stripe.claims -= forgotten;
            self.forgotten.fetch_add(forgotten as u64, Relaxed);
        }
    }

    /// How many claims an account has.
    fn all_claims(&self, account: AccountId) -> Arc<AtomicUsize> {
        let place = usize::try_from(self.hasher.hash_one(account) % STRIPES as u64).unwrap_or(0);
        let Some(accounts) = self.accounts.get(place) else { return Arc::default() };
        let mut accounts = lock(accounts);
        if accounts.claims.len() >= accounts.swept_at {
            accounts.claims.retain(|_, claims| Arc::strong_count(claims) > 1);
            accounts.swept_at = accounts.claims.len() * 2 + STRIPES;
        }
        Arc::clone(accounts.claims.entry(account).or_default())
    }

    /// What a claim is remembered by, and in which batch.
    fn place(&self, claim: &Claim) -> (Key, i64) {
        let Signature { family, mac, signed_at, .. } = &claim.signature;
        let mut start = [0; 8];
        start.iter_mut().zip(mac).for_each(|(byte, mac)| *byte = *mac);
        let key = (self.hasher.hash_one((family, mac)), u64::from_be_bytes(start));
        (key, signed_at.milliseconds().div_euclid(BATCH_MS))
    }

    fn stripe(&self, (hash, _): Key) -> Option<&Mutex<Stripe>> {
        self.stripes.get(usize::try_from(hash % STRIPES as u64).unwrap_or(0))
    }
}

impl Stripe {
    /// How long until something is forgotten, of this account or of all.
    fn room_in(&self, account: Option<AccountId>, at: Moment) -> Option<Duration> {
        let has = |batch: &Batch| account.is_none_or(|account| batch.shares.get(&account).is_some_and(|share| share.own > 0));
        let first = self.batches.iter().find(|(_, batch)| has(batch)).map(|(number, _)| left_ms(*number, at));
        first.and_then(|left| u64::try_from(left + 1).ok()).map(Duration::from_millis)
    }
}

impl Claimed {
    /// Whether it may be used again, with this body.
    fn takes(&self, body: u64, now_ms: u64) -> Result<(), Refusal> {
        if self.bodies.contains(&body) {
            return Err(Refusal::Replayed);
        }
        if now_ms.saturating_sub(self.first_ms) > SIBLINGS_WITHIN_MS {
            return Err(Refusal::Late);
        }
        if self.bodies.len() > SIBLINGS_MAX { Err(Refusal::TooMany) } else { Ok(()) }
    }
}

/// How long the last signature of a batch is still good; negative when it is not.
fn left_ms(number: i64, at: Moment) -> i64 {
    let last = number * BATCH_MS + (BATCH_MS - 1);
    last.saturating_add_unsigned(at.skew_ms).saturating_sub(at.now.milliseconds())
}

fn lock<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
