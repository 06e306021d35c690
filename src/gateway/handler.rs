//! The straight line of a request: read, decide, restrain, forward or refuse, record.

use std::convert::Infallible;
use std::rc::Rc;
use std::time::Duration;

use http::request::Parts;
use http::{Request, Response};
use hyper::body::Incoming;

use super::body::{RequestBody, ResponseBody};
use super::client::Client;
use super::exchange::Exchange;
use super::state::Bound;
use super::{forward, needs, read, refuse, restrain, revision};
use crate::access::{self, Decision, Denial, Denied, Facts, Need};
use crate::types::{Reason, Timestamp};

/// Serves one request. Whatever happens, its exchange leaves one record and one count.
pub(super) async fn handle(client: Rc<Client>, request: Request<Incoming>) -> Result<Response<ResponseBody>, Infallible> {
    let started = client.worker.monotonic();
    let now = client.worker.wall_clock();
    let mut early = client.worker.bound();
    let (mut parts, body) = request.into_parts();
    let mut body = RequestBody::streaming(body, Rc::clone(&client.deadline));
    let mut exchange = Exchange::begin(&client, now, started);

    if let Some(wanted) = revision::wanted(&parts.headers)
        && !revision::is_in_force(&early, &wanted)
        && {
            // A signature that covers the body is verified with it: only who is authenticated may wait.
            if let Decision::Needs(Need::SignedBody { bytes_max }, _) = decide(&client, &early, &mut parts, &body, now) {
                Box::pin(body.collect(bytes_max)).await;
            }
            revision::counts(&decide(&client, &early, &mut parts, &body, now))
        }
    {
        match Box::pin(revision::reach(&client.worker, early, wanted)).await {
            Ok(reached) => early = reached,
            Err((bound, denial)) => {
                let denied = deny(&client, &bound, &parts, denial);
                exchange.decided(&bound, &parts, &denied, started.elapsed());
                return Ok(finish(&client, &bound, denied, parts, body, exchange).await);
            }
        }
    }
    let gathered;
    let mut waited = Duration::ZERO;
    let mut counted = false;
    // What is known until now is found again when nothing more is needed.
    let decided = match decide(&client, &early, &mut parts, &body, now) {
        Decision::Needs(need, facts) => Err((need, restrain::count_early(&client, &early, &facts))),
        decision @ (Decision::Permit(_) | Decision::Denied(_)) => Ok(decision),
    };
    let (bound, decision) = match decided {
        Err(first) => {
            // Boxed: few decisions need anything, and every request pays for the size of this future.
            gathered = Box::pin(needs::gather(&client, Rc::clone(&early), &parts, &mut body, first, now)).await;
            waited = gathered.waited;
            counted = gathered.counted;
            (&*gathered.bound, gathered.conclude(&client, &parts, &body, now))
        }
        Ok(decision) => (&*early, decision),
    };
    let decision = restrain::restrain(&client, bound, decision, &body, (counted, now));
    exchange.decided(bound, &parts, &decision, started.elapsed().saturating_sub(waited));
    Ok(finish(&client, bound, decision, parts, body, exchange).await)
}

/// Carries a decision out.
async fn finish(
    client: &Rc<Client>,
    bound: &Bound,
    decision: Decision<'_>,
    parts: Parts,
    body: RequestBody,
    exchange: Exchange,
) -> Response<ResponseBody> {
    let mut response = match decision {
        Decision::Permit(permit) => forward::forward(client, bound, permit, parts, body, exchange).await,
        Decision::Denied(denied) => refuse::refuse(bound, &denied, exchange),
        // Nothing that needs something comes here.
        Decision::Needs(..) => refuse::refuse(bound, &Denied { denial: needs::unreadable_body(), facts: Facts::default() }, exchange),
    };
    if client.worker.is_stopping() {
        response.headers_mut().insert(http::header::CONNECTION, http::HeaderValue::from_static("close"));
    }
    response
}

/// Stages 3 to 9.
fn decide<'b>(client: &Client, bound: &'b Bound, parts: &mut Parts, body: &RequestBody, now: Timestamp) -> Decision<'b> {
    let Some(entrance) = bound.state.entrances.get(client.listener).filter(|_| !client.worker.records_must_be_refused()) else {
        return overloaded();
    };
    let found = read::Found { body: Some(body), fetched: &[] };
    let request = read::canonical_target(parts, entrance).and_then(|()| read::request(parts, entrance, client, &bound.state, found));
    match request {
        Ok(request) => decide_unless_stale(bound, &request, now),
        Err(denial) => refused(denial),
    }
}

/// The decision, unless what it would be made from is too old to decide anything.
pub(super) fn decide_unless_stale<'b>(bound: &'b Bound, request: &access::Request<'_>, now: Timestamp) -> Decision<'b> {
    match bound.state.feed.as_ref().and_then(|feed| feed.refusal(bound.state.view.snapshot.revision(), now)) {
        None => access::decide(&bound.state.view, request, now),
        Some(denial) => access::deny(&bound.state.view, request, denial),
    }
}

/// What the shell found out by itself, in the same frame.
fn deny<'b>(client: &Client, bound: &'b Bound, parts: &Parts, denial: Denial) -> Decision<'b> {
    let Some(entrance) = bound.state.entrances.get(client.listener) else { return refused(denial) };
    match read::request(parts, entrance, client, &bound.state, read::Found::default()) {
        Ok(request) => access::deny(&bound.state.view, &request, denial),
        Err(_) => refused(denial),
    }
}

pub(super) fn refused<'b>(denial: Denial) -> Decision<'b> {
    Decision::Denied(Denied { denial, facts: Facts::default() })
}

pub(super) fn overloaded<'b>() -> Decision<'b> {
    refused(Denial::with(Reason::TooManyRequests, "decisions cannot be recorded fast enough"))
}
