//! One request and its answer, for the record and the counters: written exactly once, when it is dropped.

use std::net::IpAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use http::request::Parts;
use http::{HeaderValue, header};

use super::client::Client;
use super::handler;
use super::state::{Bound, BoundService};
use super::worker::Worker;
use crate::access::{Decision, Denial, Facts, Mode};
use crate::telemetry::{Outcome, RecordLine};
use crate::types::{Reason, RequestId, Timestamp};

/// A request being served.
pub(super) struct Exchange {
    worker: Rc<Worker>,
    started: Instant,
    now: Timestamp,
    request_id: RequestId,
    peer: IpAddr,
    service: Option<Rc<BoundService>>,
    line: Option<RecordLine>,
    outcome: Option<Outcome>,
    status: u16,
    bytes: u64,
    complete: bool,
}

impl Exchange {
    pub(super) fn begin(client: &Client, now: Timestamp, started: Instant) -> Self {
        let worker = &client.worker;
        Self {
            worker: Rc::clone(worker),
            started,
            now,
            request_id: worker.request_id(now),
            peer: client.peer.ip(),
            service: None,
            line: None,
            outcome: None,
            status: 0,
            bytes: 0,
            complete: false,
        }
    }

    /// The request's id.
    pub(super) fn request_id(&self) -> RequestId {
        self.request_id
    }

    /// When the request came in.
    pub(super) fn now(&self) -> Timestamp {
        self.now
    }

    /// The decision is known: counts it and writes the record's first part.
    pub(super) fn decided(&mut self, client: &Client, bound: &Bound, parts: &Parts, decision: &Decision<'_>, took: Duration) {
        let empty = Facts::default();
        let (facts, denial) = match decision {
            Decision::Permit(permit) => (permit.facts(), permit.would_deny()),
            Decision::Denied(denied) => (&denied.facts, Some(&denied.denial)),
            Decision::Needs { .. } => (&empty, None),
        };
        let outcome = handler::outcome(decision);
        let service = Rc::clone(bound.service(facts.service));
        service.counters.decided(outcome, took);
        self.service = Some(service);
        self.outcome = Some(outcome);
        if client.worker.sink().is_on() {
            let mut line = client.worker.sink().line();
            self.describe_request(&mut line, parts);
            line.text("revision", &bound.revision_text);
            describe_decision(&mut line, facts, outcome, denial);
            line.number("decision_us", u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
            self.line = Some(line);
        }
    }

    fn describe_request(&self, line: &mut RecordLine, parts: &Parts) {
        self.worker.with_time(self.now, |time| line.text("time", time));
        line.text("request_id", self.request_id.write(&mut [0; RequestId::CHARS]));
        line.text("method", parts.method.as_str());
        line.text("host", text(parts.headers.get(header::HOST)));
        // Queries may carry tokens and presigned signatures: only the path is recorded.
        line.text("path", parts.uri.path());
        line.text("peer", &self.peer.to_string());
    }

    /// The answer's status.
    pub(super) fn set_status(&mut self, status: u16) {
        self.status = status;
    }

    /// The upstream failed after the request was allowed.
    pub(super) fn failed(&mut self, reason: Reason) {
        self.outcome = Some(Outcome::Refused(reason));
        if let Some(service) = &self.service {
            service.counters.outcome(Outcome::Refused(reason));
        }
        if let Some(line) = &mut self.line {
            line.text("failure", reason.code());
        }
    }

    /// Bytes of the answer's body were passed on.
    pub(super) fn add_bytes(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
    }

    /// The whole answer was passed on.
    pub(super) fn complete(&mut self) {
        self.complete = true;
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let took = handler::since(self.started);
        if let Some(service) = &self.service {
            service.counters.answered(self.status, took);
        }
        if let Some(mut line) = self.line.take() {
            line.number("status", u64::from(self.status));
            line.number("response_bytes", self.bytes);
            line.number("duration_us", u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
            line.flag("complete", self.complete);
            self.worker.sink().write(line);
        }
    }
}

fn text(value: Option<&HeaderValue>) -> &str {
    value.and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn describe_decision(line: &mut RecordLine, facts: &Facts<'_>, outcome: Outcome, denial: Option<&Denial>) {
    if let Some(service) = facts.service {
        line.text("service", &service.name);
        if service.mode == Mode::Observe {
            line.text("mode", "observe");
        }
    }
    line.text(
        "decision",
        match outcome {
            Outcome::Allowed => "allow",
            Outcome::Refused(_) => "deny",
            Outcome::Observed(_) => "observe",
        },
    );
    line.text("reason", denial.map_or("allow", |denial| denial.reason.code()));
    if let Some(detail) = denial.and_then(|denial| denial.detail.as_deref()) {
        line.text("detail", detail);
    }
    match facts.client_address {
        Some(address) => line.text("client_address", &address.to_string()),
        None => line.text("client_address", "unknown"),
    }
    if let Some(key) = &facts.access_key {
        line.text("access_key", key.to_text().as_str());
    }
    if let Some(user) = facts.user {
        line.text("account", &user.account_text);
        line.text("principal", &user.principal.srn);
        line.text("user_name", &user.principal.name);
    }
    line.text("authentication_type", facts.authentication.as_str());
    if let Some(operation) = facts.operation {
        line.text("route", &operation.template);
    }
    if let Some(action) = facts.action {
        line.text("action", action.name.as_str());
        line.text("access_level", action.level.as_str());
    }
    if !facts.resources.is_empty() {
        line.texts("resources", facts.resources.iter().map(String::as_str));
    }
    if let Some((policy, statement, sid)) = facts.deciding {
        line.text("policy", policy);
        line.number("statement", statement as u64);
        if let Some(sid) = sid {
            line.text("sid", sid);
        }
    }
}
