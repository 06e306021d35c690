//! What holds back a request that was decided: its signature was used before.
//!
//! Everything that is remembered of earlier requests is looked at here, after the decision and before the first byte goes to a backend.

use super::body::RequestBody;
use super::client::Client;
use super::replay::{Moment, Refusal};
use super::state::Bound;
use crate::access::replay::BODY_BYTES_MAX;
use crate::access::{Claim, Decision, Denial, Facts};
use crate::types::{Reason, Timestamp};

/// The decision, unless something is remembered that speaks against it. What comes out has no claim left to be made.
pub(super) fn restrain<'b>(client: &Client, bound: &Bound, decision: Decision<'b>, body: &RequestBody, now: Timestamp) -> Decision<'b> {
    decision.settled(|claim| {
        let worker = &client.worker;
        let at = Moment { now, monotonic_ms: worker.monotonic_ms(), skew_ms: bound.state.view.clock_skew_ms };
        worker.replay().claim(claim, what_of(client, claim, body), &bound.state.replay, at).map_err(denial)?;
        worker.counters().replay_claims.add(1);
        Ok(())
    })
}

/// Gives back the claim of a request whose body turned out to be another one than was signed: it was not its to use.
pub(super) fn release(client: &Client, facts: &Facts<'_>) {
    let Some((signature, user)) = facts.signature.filter(|signature| signature.covers_body).zip(facts.user) else { return };
    client.worker.replay().release(&Claim { account: user.principal.account, signature }, 0);
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
