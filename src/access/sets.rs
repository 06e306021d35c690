//! Indexes over all policies of a principal, for those who hold many and ask often.
//!
//! A decision looks into each policy by itself; for many policies that is many looks. What many requests come with is indexed as one
//! [`PolicySet`], aside, and kept while it is asked for. A changed policy is a new one in memory, so that an old set finds nobody any
//! more: nothing has to be told here when a snapshot changes.
//!
//! No decision depends on it, nor on the cache's own clock, which only ends what nobody asks for.

use std::hash::BuildHasher as _;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use foldhash::fast::FixedState;
use moka::sync::Cache;
use smallvec::SmallVec;

use crate::policy::{Policy, PolicySet};

/// Fewer policies are looked into one by one.
const WORTHWHILE: usize = 5;
/// How often they are asked for before they are indexed.
const ASKED: u32 = 32;
/// How many index entries all that are kept may have together: some hundred megabytes.
///
/// SECURITY: not statements, of which one can have a thousand patterns for sixteen actions: who may write policies and make users must
/// not fill the memory of every gateway (test `what_is_kept_is_bounded_by_what_it_weighs`).
const ENTRIES_MAX: u64 = 1_000_000;
/// What nobody asks for is given up after this long.
const IDLE: Duration = Duration::from_secs(600);

/// The sets there are, for all workers.
#[derive(Debug)]
pub struct Sets {
    kept: Cache<u64, Arc<Kept>, FixedState>,
    /// The next to be indexed.
    next: Mutex<Option<Arc<Kept>>>,
    /// Whether there is such, or one is being indexed.
    busy: Arc<AtomicBool>,
}

/// Some policies, and their set once it was made.
#[derive(Debug)]
struct Kept {
    policies: Box<[Arc<Policy>]>,
    asked: AtomicU32,
    /// `None` inside: they cannot be indexed.
    set: OnceLock<Option<Arc<PolicySet>>>,
}

impl Default for Sets {
    fn default() -> Self {
        Self::new(ENTRIES_MAX)
    }
}

impl Sets {
    fn new(entries_max: u64) -> Self {
        let entries = |kept: &Kept| kept.policies.iter().map(|policy| policy.index_entries()).sum::<usize>();
        let kept = Cache::builder()
            .max_capacity(entries_max)
            .weigher(move |_, kept: &Arc<Kept>| u32::try_from(entries(kept)).unwrap_or(u32::MAX).max(1))
            .time_to_idle(IDLE)
            .build_with_hasher(FixedState::default());
        Self { kept, next: Mutex::default(), busy: Arc::default() }
    }

    /// The set of these policies, in this order, if there is one; asked for often enough, there will be.
    pub(super) fn find(&self, policies: &[&Arc<Policy>]) -> Option<Arc<PolicySet>> {
        if policies.len() < WORTHWHILE {
            return None;
        }
        // They stay in memory as long as they are kept here, so that nothing else comes to have their addresses.
        let addresses: SmallVec<[usize; 16]> = policies.iter().map(|policy| Arc::as_ptr(policy).addr()).collect();
        let key = FixedState::default().hash_one(&addresses);
        let Some(kept) = self.kept.get(&key) else {
            let policies = policies.iter().map(|policy| Arc::clone(policy)).collect();
            self.kept.insert(key, Arc::new(Kept { policies, asked: AtomicU32::new(1), set: OnceLock::new() }));
            return None;
        };
        if kept.set.get().is_none() && kept.asked.fetch_add(1, Relaxed) >= ASKED && !self.busy.swap(true, Relaxed) {
            *self.next.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&kept));
        }
        kept.set.get()?.clone()
    }

    /// What is to be indexed now, off the requests' way: one at a time, so that this never takes more than one core.
    #[must_use]
    pub fn job(&self) -> Option<Job> {
        if !self.busy.load(Relaxed) {
            return None;
        }
        let kept = self.next.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        Some(Job { kept, busy: Arc::clone(&self.busy) })
    }
}

/// Policies to be indexed as one. Dropped undone, they are asked for again.
#[derive(Debug)]
pub struct Job {
    kept: Arc<Kept>,
    busy: Arc<AtomicBool>,
}

impl Job {
    /// Indexes them: some microseconds per statement.
    pub fn run(self) {
        let _ = self.kept.set.set(PolicySet::of(&self.kept.policies).map(Arc::new));
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        self.busy.store(false, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Catalogue, Owner};
    use crate::source::{Report, Source};
    use crate::types::Offering;

    fn load(count: usize) -> Vec<Arc<Policy>> {
        let catalogue = Catalogue::builder(Offering::default()).build();
        let condition = r#"{"StringEquals": {"scp:UserName": ["a", "b"]}}"#;
        let statement = format!(r#"{{"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {condition}}}"#);
        let text = format!(r#"{{"Version": "2024-07-01", "Statement": [{statement}]}}"#);
        let one = |_| Policy::load(&Source::new("p", &*text), "p", Owner::system(), &catalogue, &Report::new()).unwrap();
        (0..count).map(one).map(Arc::new).collect()
    }

    #[test]
    fn what_is_asked_for_often_is_indexed_once_and_found_by_nobody_else() {
        let (sets, policies) = (Sets::default(), load(WORTHWHILE));
        let held: Vec<&Arc<Policy>> = policies.iter().collect();
        for asked in 0..=ASKED {
            assert!(sets.job().is_none(), "{asked}");
            assert!(sets.find(&held).is_none());
        }
        let job = sets.job().unwrap();
        // Nothing else is begun beside it.
        assert!(sets.find(&held).is_none() && sets.job().is_none());
        job.run();
        assert!(sets.find(&held).is_some_and(|set| set.is_of(&held)));
        assert!(sets.job().is_none());
        let turned: Vec<&Arc<Policy>> = policies.iter().rev().collect();
        assert!(sets.find(&turned).is_none());
        assert!(sets.find(&held[1..]).is_none());
        let others = load(WORTHWHILE);
        assert!(sets.find(&others.iter().collect::<Vec<_>>()).is_none());
    }

    #[test]
    fn what_is_kept_is_bounded_by_what_it_weighs() {
        let policies = load(WORTHWHILE);
        // The catalogue has no actions: the condition alone has a place, and its two values.
        assert!(policies.iter().all(|policy| policy.index_entries() == 3));
        let (sets, entries) = (Sets::new(40), 3 * WORTHWHILE as u64);
        for _ in 0..100 {
            let others = load(WORTHWHILE);
            let _ = sets.find(&others.iter().collect::<Vec<_>>());
        }
        sets.kept.run_pending_tasks();
        assert!((entries..=40).contains(&sets.kept.weighted_size()), "{}", sets.kept.weighted_size());
    }

    #[test]
    fn few_policies_and_those_that_cannot_be_read_have_no_set() {
        let (sets, policies) = (Sets::default(), load(WORTHWHILE - 1));
        let few: Vec<&Arc<Policy>> = policies.iter().collect();
        let broken = Arc::new(Policy::invalid("broken"));
        let with_broken: Vec<&Arc<Policy>> = policies.iter().chain([&broken]).collect();
        for _ in 0..=2 * ASKED {
            assert!(sets.find(&few).is_none() && sets.find(&with_broken).is_none());
        }
        sets.job().unwrap().run();
        assert!(sets.find(&with_broken).is_none() && sets.job().is_none());
    }

    #[test]
    fn a_job_that_is_given_up_is_begun_again() {
        let (sets, policies) = (Sets::default(), load(WORTHWHILE));
        let held: Vec<&Arc<Policy>> = policies.iter().collect();
        let ask = || (0..=ASKED).for_each(|_| assert!(sets.find(&held).is_none()));
        ask();
        drop(sets.job().unwrap());
        ask();
        sets.job().unwrap().run();
        assert!(sets.find(&held).is_some());
    }
}
