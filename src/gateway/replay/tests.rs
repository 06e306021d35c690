//! The memory of what was accepted, with a clock of the tests' own.

use super::*;
use crate::access::Family;

const SKEW_MS: u64 = 300_000;
const NOW_MS: i64 = 1_795_213_785_000;
const LIMITS: ReplayLimits = ReplayLimits { claims_per_account_max: 1_000_000, claims_max: 1_000_000 };

fn account(number: u8) -> AccountId {
    AccountId::from_bytes([number; 16])
}

/// The claim of the first account to a signature of this number, made so long after [`NOW_MS`].
fn claim(number: u32, after_ms: i64) -> Claim {
    let mut mac = [0; 32];
    mac[..4].copy_from_slice(&number.to_be_bytes());
    let signed_at = Timestamp::from_milliseconds(NOW_MS + after_ms);
    Claim { account: account(1), signature: Signature { family: Family::Scp, mac, signed_at, covers_body: false } }
}

/// So long after [`NOW_MS`], by both clocks.
fn at(after_ms: i64) -> Moment {
    let monotonic_ms = u64::try_from(after_ms + 1_000_000).unwrap();
    Moment { now: Timestamp::from_milliseconds(NOW_MS + after_ms), monotonic_ms, skew_ms: SKEW_MS }
}

fn count(memory: &ReplayMemory) -> usize {
    let counted = |batch: &Batch| batch.claims.values().map(|claimed| claimed.bodies.len()).sum::<usize>();
    let stripes = memory.stripes.iter().map(|stripe| {
        let stripe = lock(stripe);
        let claims: usize = stripe.batches.values().map(counted).sum();
        assert_eq!(stripe.claims, claims);
        assert_eq!(stripe.batches.values().flat_map(|batch| batch.shares.values()).map(|share| share.own).sum::<usize>(), claims);
        claims
    });
    stripes.sum()
}

fn sweep_all(memory: &ReplayMemory, at: Moment) {
    for _ in 0..STRIPES {
        memory.sweep(at);
    }
}

#[test]
fn a_claim_is_good_once() {
    let memory = ReplayMemory::default();
    assert_eq!(memory.claim(&claim(1, 0), 7, &LIMITS, at(0)), Ok(()));
    assert_eq!(memory.claim(&claim(1, 0), 7, &LIMITS, at(0)), Err(Refusal::Replayed));
    let other = Claim { account: account(2), ..claim(1, 0) };
    assert_eq!(memory.claim(&other, 7, &LIMITS, at(0)), Err(Refusal::Replayed), "whoever comes with it");
    let mut aws = claim(1, 0);
    aws.signature.family = Family::Aws;
    assert_eq!(memory.claim(&aws, 7, &LIMITS, at(0)), Ok(()));
    assert_eq!(count(&memory), 2);
}

#[test]
fn other_bodies_are_taken_for_two_seconds_and_sixteen_times() {
    let memory = ReplayMemory::default();
    for body in 0..=16 {
        assert_eq!(memory.claim(&claim(1, 0), body, &LIMITS, at(body.cast_signed() * 100)), Ok(()), "{body}");
        assert_eq!(memory.claim(&claim(1, 0), body, &LIMITS, at(1_700)), Err(Refusal::Replayed));
    }
    assert_eq!(memory.claim(&claim(1, 0), 17, &LIMITS, at(1_700)), Err(Refusal::TooMany));

    assert_eq!(memory.claim(&claim(2, 0), 0, &LIMITS, at(0)), Ok(()));
    assert_eq!(memory.claim(&claim(2, 0), 1, &LIMITS, at(2_000)), Ok(()));
    assert_eq!(memory.claim(&claim(2, 0), 2, &LIMITS, at(2_001)), Err(Refusal::Late));
    assert_eq!(memory.claim(&claim(2, 0), 1, &LIMITS, at(2_001)), Err(Refusal::Replayed));
    assert_eq!(count(&memory), 19);
}

#[test]
fn a_wall_clock_that_steps_does_not_stretch_the_two_seconds() {
    let memory = ReplayMemory::default();
    memory.claim(&claim(1, 0), 0, &LIMITS, at(0)).unwrap();
    let stepped = Moment { now: at(-10_000).now, ..at(2_001) };
    assert_eq!(memory.claim(&claim(1, 0), 1, &LIMITS, stepped), Err(Refusal::Late));
}

#[test]
fn nothing_is_forgotten_while_its_signature_is_good() {
    let memory = ReplayMemory::default();
    let skew = SKEW_MS.cast_signed();
    // As early and as late as a signature can be when it is first accepted.
    for (number, signed_ms) in [(1, -skew), (2, 0), (3, skew)] {
        assert_eq!(memory.claim(&claim(number, signed_ms), 0, &LIMITS, at(0)), Ok(()));
        for now_ms in [0, 1, signed_ms + skew - 1, signed_ms + skew] {
            sweep_all(&memory, at(now_ms));
            assert_eq!(memory.claim(&claim(number, signed_ms), 0, &LIMITS, at(now_ms)), Err(Refusal::Replayed), "{number} at {now_ms}");
        }
    }
    sweep_all(&memory, at(2 * skew + BATCH_MS));
    assert_eq!(count(&memory), 0, "and everything is when it is not");
}

#[test]
fn a_hundred_thousand_others_push_nothing_out() {
    let memory = ReplayMemory::default();
    memory.claim(&claim(0, 0), 0, &LIMITS, at(0)).unwrap();
    for number in 1..=100_000 {
        memory.claim(&claim(number, i64::from(number) % 600_000 - 300_000), 0, &LIMITS, at(1)).unwrap();
    }
    assert_eq!(memory.claim(&claim(0, 0), 0, &LIMITS, at(2)), Err(Refusal::Replayed));
    assert_eq!(count(&memory), 100_001);
}

#[test]
fn what_was_forgotten_is_never_taken_for_new() {
    let memory = ReplayMemory::default();
    memory.claim(&claim(1, 0), 0, &LIMITS, at(0)).unwrap();
    let later = SKEW_MS.cast_signed() + BATCH_MS;
    sweep_all(&memory, at(later));
    assert_eq!(count(&memory), 0);
    // A clock that was put back, or a request that came in time and whose body did not.
    assert_eq!(memory.claim(&claim(1, 0), 0, &LIMITS, at(1)), Err(Refusal::Forgotten));
    // A larger window, by a new configuration.
    let wider = Moment { skew_ms: 2 * SKEW_MS, ..at(later) };
    assert_eq!(memory.claim(&claim(1, 0), 0, &LIMITS, wider), Err(Refusal::Forgotten));
    assert_eq!(memory.claim(&claim(1, later), 0, &LIMITS, at(later)), Ok(()), "what is signed now is taken");
}

#[test]
fn an_account_has_its_bound_and_no_other_feels_it() {
    let memory = ReplayMemory::default();
    let limits = ReplayLimits { claims_per_account_max: 10, ..LIMITS };
    for number in 0..10 {
        assert_eq!(memory.claim(&claim(number, 0), 0, &limits, at(0)), Ok(()));
    }
    let Err(Refusal::Full(Some(time))) = memory.claim(&claim(10, 0), 0, &limits, at(0)) else { panic!() };
    assert!(time <= Duration::from_millis(SKEW_MS + BATCH_MS.unsigned_abs()), "{time:?}");
    assert_eq!(memory.claim(&claim(0, 0), 0, &limits, at(0)), Err(Refusal::Replayed), "nothing was forgotten for it");
    let Err(Refusal::Full(_)) = memory.claim(&claim(0, 0), 1, &limits, at(0)) else { panic!("another body takes room too") };
    let other = Claim { account: account(2), ..claim(11, 0) };
    assert_eq!(memory.claim(&other, 0, &limits, at(0)), Ok(()));

    // Not before the last of them has expired, and at once then, in whatever part of the memory they are.
    let last = NOW_MS.div_euclid(BATCH_MS) * BATCH_MS + (BATCH_MS - 1) + SKEW_MS.cast_signed() - NOW_MS;
    let Err(Refusal::Full(_)) = memory.claim(&claim(12, last), 0, &limits, at(last)) else { panic!() };
    assert_eq!(memory.claim(&claim(12, last), 0, &limits, at(last + 1)), Ok(()));
    sweep_all(&memory, at(last + 1));
    assert_eq!(count(&memory), 1);
}

#[test]
fn the_time_to_wait_is_when_there_is_room() {
    let memory = ReplayMemory::default();
    let limits = ReplayLimits { claims_per_account_max: 1, ..LIMITS };
    memory.claim(&claim(1, 0), 0, &limits, at(0)).unwrap();
    let Err(Refusal::Full(Some(time))) = memory.claim(&claim(1, 0), 1, &limits, at(0)) else { panic!() };
    let time = i64::try_from(time.as_millis()).unwrap();
    let Err(Refusal::Full(_)) = memory.claim(&claim(2, time - 1), 0, &limits, at(time - 1)) else { panic!() };
    assert_eq!(memory.claim(&claim(2, time), 0, &limits, at(time)), Ok(()));
}

#[test]
fn all_accounts_have_a_bound_together() {
    let memory = ReplayMemory::default();
    let limits = ReplayLimits { claims_max: 64 * 4, ..LIMITS };
    let mut made = 0;
    for number in 0..2_000u32 {
        let claim = Claim { account: account(number.to_be_bytes()[3]), ..claim(number, 0) };
        made += usize::from(memory.claim(&claim, 0, &limits, at(0)).is_ok());
    }
    assert_eq!((made, count(&memory)), (256, 256), "each part is filled and none is more than full");
}

#[test]
fn accounts_without_claims_are_forgotten_too() {
    let memory = ReplayMemory::default();
    for number in 0..20_000u32 {
        let mut id = [0; 16];
        id[..4].copy_from_slice(&number.to_be_bytes());
        let after = i64::from(number) * 1_000;
        let claim = Claim { account: AccountId::from_bytes(id), ..claim(number, after) };
        memory.claim(&claim, 0, &LIMITS, at(after)).unwrap();
        memory.sweep(at(after));
    }
    let accounts: usize = memory.accounts.iter().map(|accounts| lock(accounts).claims.len()).sum();
    assert!(accounts < 12_000, "{accounts} accounts are remembered, of which about 400 have claims");
}

#[test]
fn a_claim_that_was_released_can_be_made_again() {
    let memory = ReplayMemory::default();
    let limits = ReplayLimits { claims_per_account_max: 2, ..LIMITS };
    memory.claim(&claim(1, 0), 0, &limits, at(0)).unwrap();
    memory.claim(&claim(1, 0), 5, &limits, at(0)).unwrap();
    memory.release(&claim(1, 0), 0);
    memory.release(&claim(1, 0), 0);
    memory.release(&claim(2, 0), 0);
    assert_eq!(count(&memory), 1);
    assert_eq!(memory.claim(&claim(1, 0), 5, &limits, at(0)), Err(Refusal::Replayed));
    assert_eq!(memory.claim(&claim(1, 0), 0, &limits, at(0)), Ok(()));
}

#[test]
fn of_many_at_once_one_is_first() {
    let memory = ReplayMemory::default();
    let good: usize = std::thread::scope(|scope| {
        let tries = [(); 8]
            .map(|()| scope.spawn(|| (0..1_000).filter(|number| memory.claim(&claim(*number, 0), 0, &LIMITS, at(0)).is_ok()).count()));
        tries.into_iter().map(|tried| tried.join().unwrap()).sum()
    });
    assert_eq!((good, count(&memory)), (1_000, 1_000));
}
