//! What a decision asks for before it can fall: the body of the request, tags and attributes of resources.

use std::rc::Rc;
use std::time::Duration;

use http::request::Parts;

use super::attributes;
use super::body::{Collected, RequestBody};
use super::client::Client;
use super::handler::{decide_unless_stale, overloaded, refused};
use super::state::Bound;
use super::{read, restrain};
use crate::access::{self, Decision, Denial, Denied, Facts, Fetched, Need};
use crate::types::{Reason, Timestamp};

/// How often a decision may ask for something more: the body, attributes, and what a new state asks for in between.
const ROUNDS_MAX: usize = 4;

/// What was found out for one request.
pub(super) struct Gathered {
    pub(super) bound: Rc<Bound>,
    body: Option<(Collected, usize)>,
    fetched: Vec<Fetched>,
    /// How long the client's body was waited for: that is no time of the decision.
    pub(super) waited: Duration,
    /// Whether the request counts already as one of the caller's.
    pub(super) counted: bool,
    /// Why nothing more is found out.
    too_many: Option<Denial>,
}

/// Finds out what a decision needs, until it needs nothing more. `first` is what it needs, and whether the request was counted by then and is one too
/// many.
pub(super) async fn gather(
    client: &Rc<Client>,
    bound: Rc<Bound>,
    parts: &Parts,
    body: &mut RequestBody,
    first: (Need, Option<Result<(), Denial>>),
    now: Timestamp,
) -> Gathered {
    let mut gathered = Gathered { bound, body: None, fetched: Vec::new(), waited: Duration::ZERO, counted: false, too_many: None };
    let (mut need, mut counted) = first;
    for _ in 0..ROUNDS_MAX {
        gathered.counted |= counted.is_some();
        if let Some(Err(denial)) = counted {
            gathered.too_many = Some(denial);
            break;
        }
        match &need {
            // What was read once is kept; nothing is there to be read twice.
            Need::Body { .. } | Need::SignedBody { .. } if gathered.body.is_some() => break,
            Need::Body { bytes_max } | Need::SignedBody { bytes_max } => {
                gathered.body = Some((gathered.collect(client, body, *bytes_max).await, *bytes_max));
            }
            Need::Beginning { bytes_max } => {
                // However long the body is: the rest of it is passed on as it comes.
                if matches!(gathered.collect(client, body, *bytes_max).await, Collected::Broken) {
                    gathered.body = Some((Collected::Broken, *bytes_max));
                }
                let newest = client.worker.bound();
                if Rc::ptr_eq(&newest, &gathered.bound) {
                    // It was all that the decision waited for.
                    break;
                }
            }
            Need::Attributes(wanted) => {
                let found = attributes::fetch(client, &gathered.bound, wanted, now).await;
                gathered.fetched.extend(found);
            }
        }
        // Decided by what is in force now, not when the first byte came.
        gathered.bound = client.worker.bound();
        (need, counted) = match gathered.decide(client, parts, body, now) {
            Decision::Needs(need, _) if gathered.counted => (need, None),
            // Whoever had signed the body was not known before it was here.
            Decision::Needs(need, facts) => (need, restrain::count_early(client, &gathered.bound, &facts)),
            Decision::Permit(_) | Decision::Denied(_) => break,
        };
    }
    gathered
}

impl Gathered {
    async fn collect(&mut self, client: &Client, body: &mut RequestBody, bytes_max: usize) -> Collected {
        let began = client.worker.monotonic();
        let collected = body.collect(bytes_max).await;
        self.waited += client.worker.monotonic() - began;
        collected
    }

    /// The decision with all that was found out. What it still needs it does not get.
    pub(super) fn conclude<'b>(&'b self, client: &Client, parts: &Parts, body: &RequestBody, now: Timestamp) -> Decision<'b> {
        let decision = self.decide(client, parts, body, now);
        if let Some(denial) = &self.too_many {
            return decision.overruled(denial.clone());
        }
        let need = match decision {
            Decision::Needs(need, _) => need,
            decision @ (Decision::Permit(_) | Decision::Denied(_)) => return decision,
        };
        let denial = match need {
            Need::Body { .. } | Need::SignedBody { .. } | Need::Beginning { .. } => unreadable_body(),
            Need::Attributes(_) => Denial::new(Reason::AttributeUnavailable),
        };
        self.with_request(client, parts, body, |request| access::deny(&self.bound.state.view, request, denial))
    }

    /// Stages 3 to 9 again, with all that was found out: the bytes that are decided on are the bytes that are forwarded.
    fn decide<'b>(&'b self, client: &Client, parts: &Parts, body: &RequestBody, now: Timestamp) -> Decision<'b> {
        let view = &self.bound.state.view;
        self.with_request(client, parts, body, |request| match &self.body {
            None | Some((Collected::Whole, _)) => decide_unless_stale(&self.bound, request, now),
            Some((Collected::TooLarge, bytes_max)) => access::deny(view, request, too_large(*bytes_max)),
            Some((Collected::Broken, _)) => Decision::Denied(Denied { denial: unreadable_body(), facts: Facts::default() }),
        })
    }

    fn with_request<'b>(
        &'b self,
        client: &Client,
        parts: &Parts,
        body: &RequestBody,
        use_it: impl FnOnce(&access::Request<'_>) -> Decision<'b>,
    ) -> Decision<'b> {
        let Some(entrance) = self.bound.state.entrances.get(client.listener) else { return overloaded() };
        match read::request(parts, entrance, client, &self.bound.state, read::Found { body: Some(body), fetched: &self.fetched }) {
            Ok(request) => use_it(&request),
            Err(denial) => refused(denial),
        }
    }
}

fn too_large(bytes_max: usize) -> Denial {
    Denial::with(Reason::BodyTooLarge, format!("the limit is {bytes_max} bytes"))
}

/// Of a body that does not come whole, and of what never stops needing something.
pub(super) fn unreadable_body() -> Denial {
    Denial::with(Reason::MalformedRequest, "the body ended early or did not arrive in time")
}
