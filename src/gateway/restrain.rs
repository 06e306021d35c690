//! What holds back a request that was decided: too many failures, too many requests, a signature that was used before.
//!
//! Everything that is remembered of earlier requests is looked at here, after the decision and before the first byte goes to a backend.

use super::body::RequestBody;
use super::client::Client;
use super::replay::{Moment, Refusal};
use super::state::Bound;
use crate::access::replay::BODY_BYTES_MAX;
use crate::access::{Claim, Decision, Denial, Facts, Mode};
use crate::types::{AccessKeyId, AccountId, Reason, Timestamp};

/// Counts a request whose caller is known but which needs more before it is decided: whoever sends more than they may has no bodies kept and
/// no attributes fetched for that. `None` when it is not counted yet.
pub(super) fn count_early(client: &Client, bound: &Bound, facts: &Facts<'_>) -> Option<Result<(), Denial>> {
    // A service that only observes forwards it in any case, and tells what it would be denied for in the end.
    if facts.service.is_some_and(|service| service.mode == Mode::Observe) {
        return None;
    }
    let who = facts.account_and_key()?;
    Some(too_many_requests(client, bound, Some(who)).map_or(Ok(()), Err))
}

/// The decision, unless something is remembered that speaks against it. What comes out has no claim left to be made.
pub(super) fn restrain<'b>(
    client: &Client,
    bound: &Bound,
    decision: Decision<'b>,
    body: &RequestBody,
    (counted, now): (bool, Timestamp),
) -> Decision<'b> {
    let requests = || if counted { None } else { too_many_requests(client, bound, decision.account_and_key()) };
    let too_many = too_many_failures(client, bound, &decision).or_else(requests);
    if let Some(denial) = too_many {
        return decision.overruled(denial);
    }
    decision.settled(|claim| {
        let worker = &client.worker;
        let at = Moment { now, monotonic_ms: worker.monotonic_ns() / 1_000_000, skew_ms: bound.state.view.clock_skew_ms };
        worker.replay().claim(claim, what_of(client, claim, body), &bound.state.replay, at).map_err(denial)?;
        worker.counters().replay_claims.add(1);
        Ok(())
    })
}

/// Of who has failed once too often. SECURITY: only of who fails: a true signature is never refused for what others did, and neither
/// whether a key exists nor what else is wrong makes a difference (tests `a_true_signature_passes_whoever_fails_beside_it`,
/// `known_and_unknown_keys_are_limited_alike`).
fn too_many_failures(client: &Client, bound: &Bound, decision: &Decision<'_>) -> Option<Denial> {
    let (reason, facts) = decision.failed_authentication()?;
    let worker = &client.worker;
    worker.counters().authentication_failures.add(1);
    let limits = bound.state.failures.as_ref()?;
    let wait = worker.failures().note(facts.client_address, facts.access_key, limits, worker.monotonic_ns()).err()?;
    Some(Denial { retry_after: Some(wait), ..Denial::with(Reason::TooManyFailures, format!("the last of them: {reason}")) })
}

/// Of who sends more than they may.
fn too_many_requests(client: &Client, bound: &Bound, who: Option<(AccountId, AccessKeyId)>) -> Option<Denial> {
    let limits = &bound.state.rates;
    if limits.key.is_none() && limits.account.is_none() {
        return None;
    }
    let (account, key) = who?;
    let wait = client.worker.rates().note(key, account, limits, client.worker.monotonic_ns()).err()?;
    Some(Denial { retry_after: Some(wait), ..Denial::with(Reason::TooManyRequests, "more than the key or its account may send") })
}

/// Gives back the claim of a request whose body turned out to be another one than was signed: it was not its to use.
pub(super) fn release(client: &Client, facts: &Facts<'_>) {
    let Some((signature, caller)) = facts.signature.filter(|signature| signature.covers_body).zip(facts.caller) else { return };
    client.worker.replay().release(&Claim { account: caller.account(), signature }, 0);
}

/// What the claim is about beside the signature.
fn what_of(client: &Client, claim: &Claim, body: &RequestBody) -> u64 {
    if claim.signature.covers_body { 0 } else { client.worker.replay().hash(body.beginning(BODY_BYTES_MAX)) }
}

fn denial(refusal: Refusal) -> Denial {
    match refusal {
        Refusal::Replayed => Denial::new(Reason::Replayed),
        Refusal::Late => Denial::with(Reason::Replayed, "with another body, more than 2 seconds ago"),
        Refusal::TooMany => Denial::with(Reason::Replayed, "with too many other bodies"),
        Refusal::Forgotten => Denial::with(Reason::ClockSkew, "the gateway's clock was past this timestamp's window before"),
        Refusal::Full(time) => Denial { retry_after: time, ..Denial::new(Reason::ReplayMemoryFull) },
    }
}
