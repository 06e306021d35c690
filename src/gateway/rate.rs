//! So many things in so much time, and so many at once: one number remembers it.
//!
//! The number is when the last of them would have been due, had they come evenly. Who never comes has none, and who has not come for a
//! while has one in the past, which says the same: it can be forgotten.

use std::time::Duration;

/// A limit.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rate {
    interval_ns: u64,
    /// How far ahead of its time a thing may come.
    ahead_ns: u64,
}

impl Rate {
    /// `count` in a time, and `burst` of them at once after a pause. Neither is 0.
    pub(super) fn new(count: u32, time: Duration, burst: u32) -> Self {
        let interval_ns = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX) / u64::from(count.max(1));
        Self { interval_ns, ahead_ns: interval_ns.saturating_mul(u64::from(burst.saturating_sub(1))) }
    }

    /// What is remembered after one more thing.
    ///
    /// # Errors
    /// One more would be too many; how long that will be so. Then nothing changes.
    pub(super) fn take(self, remembered: u64, now_ns: u64) -> Result<u64, Duration> {
        let due = remembered.max(now_ns);
        let early_ns = (due - now_ns).saturating_sub(self.ahead_ns);
        if early_ns > 0 { Err(Duration::from_nanos(early_ns)) } else { Ok(due.saturating_add(self.interval_ns)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_then_as_many_as_the_rate_says() {
        let rate = Rate::new(10, Duration::from_secs(1), 5);
        let (mut remembered, mut passed) = (0, Vec::new());
        // Somebody who asks every millisecond, for two seconds, from a second on that is not the first.
        for ms in 0..2_000u64 {
            if let Ok(after) = rate.take(remembered, (5_000 + ms) * 1_000_000) {
                remembered = after;
                passed.push(ms);
            }
        }
        assert_eq!(passed[..5], [0, 1, 2, 3, 4]);
        assert_eq!(passed[5..8], [100, 200, 300]);
        assert_eq!(passed.len(), 5 + 19);
    }

    #[test]
    fn the_time_to_wait_is_true() {
        let rate = Rate::new(3, Duration::from_secs(1), 2);
        let mut remembered = 0;
        for now_ns in [7, 7] {
            remembered = rate.take(remembered, now_ns).unwrap();
        }
        let wait = rate.take(remembered, 7).unwrap_err();
        let then_ns = 7 + u64::try_from(wait.as_nanos()).unwrap();
        assert!(rate.take(remembered, then_ns - 1).is_err());
        assert!(rate.take(remembered, then_ns).is_ok());
    }

    #[test]
    fn a_pause_fills_no_more_than_the_burst() {
        let rate = Rate::new(1, Duration::from_secs(1), 3);
        let mut remembered = rate.take(0, 0).unwrap();
        let later = 1_000_000_000_000;
        let passed = (0..10).filter(|_| rate.take(remembered, later).map(|after| remembered = after).is_ok()).count();
        assert_eq!(passed, 3);
    }
}
