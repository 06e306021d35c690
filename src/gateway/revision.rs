//! `Portcullis-Min-Revision`: a client that has just changed something is decided by what it has changed, or told that it is not.

use std::rc::Rc;
use std::time::Duration;

use http::{HeaderMap, HeaderName};

use super::state::Bound;
use super::worker::Worker;
use crate::access::{Decision, Denial};
use crate::types::{Reason, Revision};

const MIN_REVISION: HeaderName = HeaderName::from_static("portcullis-min-revision");
/// Longest wait for a revision that the control plane has announced: it is on its way.
const ANNOUNCED_WAIT: Duration = Duration::from_secs(5);
/// Longest wait for one that it has not: the client was told of it a moment ago, or made it up.
const UNANNOUNCED_WAIT: Duration = Duration::from_millis(500);
/// Most requests of a worker that wait at once; the others are told at once.
const WAITING_MAX: usize = 256;

/// The revision a client asks for; `Some(Err)` for a text that is none.
pub(super) fn wanted(headers: &HeaderMap) -> Option<Result<Revision, Denial>> {
    let value = headers.get(MIN_REVISION)?;
    let revision = value.to_str().ok().and_then(|text| text.parse().ok());
    let malformed = || Denial::with(Reason::MalformedRequest, "`Portcullis-Min-Revision` is not a revision such as `1795213784687.41`");
    Some(revision.ok_or_else(malformed))
}

/// Whether there is nothing to wait for.
pub(super) fn is_in_force(bound: &Bound, wanted: &Result<Revision, Denial>) -> bool {
    wanted.as_ref().is_ok_and(|wanted| has(bound.state.view.snapshot.revision(), *wanted))
}

/// Whether the caller has proved who they are: a stranger may not make us wait, and is told nothing.
pub(super) fn counts(decision: &Decision<'_>) -> bool {
    match decision {
        Decision::Permit(permit) => permit.facts().is_proved(),
        Decision::Denied(denied) => denied.facts.is_proved(),
        Decision::Needs(_, facts) => facts.is_proved(),
    }
}

/// Waits until the wanted revision is in force. An error is what is in force instead, and what the client is told.
pub(super) async fn reach(worker: &Worker, bound: Rc<Bound>, wanted: Result<Revision, Denial>) -> Result<Rc<Bound>, (Rc<Bound>, Denial)> {
    let wanted = match wanted {
        Ok(wanted) => wanted,
        Err(denial) => return Err((bound, denial)),
    };
    let in_force = bound.state.view.snapshot.revision();
    let announced = bound.state.feed.as_ref().is_some_and(|feed| match (wanted, feed.status.revision()) {
        (Revision::Store { epoch, sequence }, Some(Revision::Store { epoch: own, .. })) => epoch == own && sequence <= feed.status.head(),
        (Revision::Store { .. } | Revision::File(_), _) => false,
    });
    let longest = if announced { ANNOUNCED_WAIT } else { UNANNOUNCED_WAIT };
    // Files and another store never become this revision.
    let possible = is_same_line(in_force, wanted);
    if possible && let Some(_waiting) = worker.wait_for_revision(WAITING_MAX) {
        let mut published = worker.published();
        let reached = published.wait_for(|revision| has(*revision, wanted));
        let _ = tokio::time::timeout(longest, reached).await;
    }
    let bound = worker.bound();
    let in_force = bound.state.view.snapshot.revision();
    if has(in_force, wanted) {
        return Ok(bound);
    }
    Err((bound, Denial::with(Reason::RevisionNotReached, format!("the gateway has {in_force}, and {wanted} was asked for"))))
}

/// Whether what is in force includes the wanted revision.
fn has(in_force: Revision, wanted: Revision) -> bool {
    match (in_force, wanted) {
        (Revision::Store { epoch, sequence }, Revision::Store { epoch: wanted_epoch, sequence: wanted }) => {
            epoch == wanted_epoch && sequence >= wanted
        }
        (Revision::File(own), Revision::File(wanted)) => own == wanted,
        (Revision::Store { .. }, Revision::File(_)) | (Revision::File(_), Revision::Store { .. }) => false,
    }
}

fn is_same_line(in_force: Revision, wanted: Revision) -> bool {
    matches!((in_force, wanted), (Revision::Store { .. }, Revision::Store { .. }))
}
