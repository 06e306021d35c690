//! One request and its answer, for the record and the counters: written exactly once, when it is dropped.

use std::rc::Rc;
use std::time::{Duration, Instant};

use http::request::Parts;
use http::{HeaderValue, header};

use super::client::Client;
use super::deadline::Phase;
use super::state::{Bound, BoundService};
use crate::access::{Decision, Denial, Facts, Mode};
use crate::snapshot::Caller;
use crate::telemetry::Outcome;
use crate::telemetry::record::{RecordLine, field};
use crate::types::{Reason, RequestId, Timestamp};

/// A request being served.
pub(super) struct Exchange {
    started: Instant,
    now: Timestamp,
    request_id: [u8; RequestId::CHARS],
    client: Rc<Client>,
    service: Option<Rc<BoundService>>,
    line: Option<RecordLine>,
    status: u16,
    bytes: u64,
    complete: bool,
}

impl Exchange {
    pub(super) fn begin(client: &Rc<Client>, now: Timestamp, started: Instant) -> Self {
        let mut request_id = [0; RequestId::CHARS];
        client.worker.request_id(now).write(&mut request_id);
        Self { started, now, request_id, client: Rc::clone(client), service: None, line: None, status: 0, bytes: 0, complete: false }
    }

    /// The request's id.
    pub(super) fn request_id(&self) -> &str {
        std::str::from_utf8(&self.request_id).unwrap_or_default()
    }

    /// When the request came in.
    pub(super) fn now(&self) -> Timestamp {
        self.now
    }

    /// The decision is known: counts it and writes the record's first part.
    pub(super) fn decided(&mut self, bound: &Bound, parts: &Parts, decision: &Decision<'_>, took: Duration) {
        let empty = Facts::default();
        let (facts, denial) = match decision {
            Decision::Permit(permit) => (permit.facts(), permit.would_deny()),
            Decision::Denied(denied) => (&denied.facts, Some(&denied.denial)),
            Decision::Needs(..) => (&empty, None),
        };
        if let Some(agreed) = facts.cross_check {
            self.count_cross_check(agreed);
        }
        let outcome = outcome(decision);
        let service = Rc::clone(bound.service(facts.service));
        service.counters.decided(outcome, took);
        self.service = Some(service);
        let sink = self.client.worker.sink();
        if sink.is_on() && sink.takes_line() {
            let mut line = sink.line();
            self.describe_request(&mut line, parts);
            line.plain(field!("revision"), &bound.revision_text);
            describe_decision(&mut line, &self.client, facts, outcome, denial);
            line.number(field!("decision_us"), u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
            self.line = Some(line);
        }
    }

    fn count_cross_check(&self, agreed: bool) {
        let counters = self.client.worker.counters();
        counters.cross_checks.add(1);
        if !agreed {
            counters.cross_check_mismatches.add(1);
            let request_id = self.request_id();
            tracing::error!(request_id, "the index of the policies and every statement looked at say differently: the stricter one counts");
        }
    }

    fn describe_request(&self, line: &mut RecordLine, parts: &Parts) {
        self.client.worker.with_time(self.now, |time| line.plain(field!("time"), time));
        line.plain(field!("request_id"), self.request_id());
        line.text(field!("method"), parts.method.as_str());
        line.text(field!("host"), text(parts.headers.get(header::HOST)));
        // Queries may carry tokens and presigned signatures: only the path is recorded.
        line.text(field!("path"), parts.uri.path());
    }

    /// The answer's status.
    pub(super) fn set_status(&mut self, status: u16) {
        self.status = status;
    }

    /// The upstream failed after the request was allowed.
    pub(super) fn failed(&mut self, reason: Reason) {
        if let Some(service) = &self.service {
            service.counters.outcome(Outcome::Refused(reason));
        }
        if let Some(line) = &mut self.line {
            line.text(field!("failure"), reason.code());
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
        self.client.deadline.enter(Phase::Idle);
        let took = self.started.elapsed();
        if let Some(service) = &self.service {
            service.counters.answered(self.status, took);
        }
        if let Some(mut line) = self.line.take() {
            line.number(field!("status"), u64::from(self.status));
            line.number(field!("response_bytes"), self.bytes);
            line.number(field!("duration_us"), u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
            if !self.complete {
                line.flag(field!("complete"), false);
            }
            self.client.worker.sink().write(line);
        }
    }
}

/// How a decision is counted.
fn outcome(decision: &Decision<'_>) -> Outcome {
    match decision {
        Decision::Permit(permit) => permit.would_deny().map_or(Outcome::Allowed, |denial| Outcome::Observed(denial.reason)),
        Decision::Denied(denied) => Outcome::Refused(denied.denial.reason),
        Decision::Needs(..) => Outcome::Refused(Reason::MalformedRequest),
    }
}

fn text(value: Option<&HeaderValue>) -> &str {
    value.and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn describe_decision(line: &mut RecordLine, client: &Client, facts: &Facts<'_>, outcome: Outcome, denial: Option<&Denial>) {
    if let Some(service) = facts.service {
        line.plain(field!("service"), &service.name);
        if service.mode == Mode::Observe {
            line.plain(field!("mode"), "observe");
        }
    }
    line.plain(
        field!("decision"),
        match outcome {
            Outcome::Allowed => "allow",
            Outcome::Refused(_) => "deny",
            Outcome::Observed(_) => "observe",
        },
    );
    line.plain(field!("reason"), denial.map_or("allow", |denial| denial.reason.code()));
    if let Some(detail) = denial.and_then(|denial| denial.detail.as_deref()) {
        line.text(field!("detail"), detail);
    }
    let address = client.address_text(facts.client_address);
    line.plain(field!("client_address"), &address);
    if *address != *client.peer_text() {
        line.plain(field!("peer"), client.peer_text());
    }
    if let Some(key) = &facts.access_key {
        line.plain(field!("access_key"), key.to_text().as_str());
    }
    match facts.caller {
        Some(Caller::User(user)) => {
            line.plain(field!("principal"), &user.principal.srn);
            line.text(field!("user_name"), &user.principal.name);
        }
        Some(Caller::Role(role)) => {
            line.plain(field!("principal"), &role.srn);
            line.text(field!("role_name"), &role.name);
        }
        None => {}
    }
    if let Some(session) = &facts.session {
        line.text(field!("session_name"), session.name());
        line.text(field!("session_source"), session.source());
        line.flag(field!("session_mfa"), session.mfa());
        line.flag(field!("session_narrowed"), session.is_narrowed());
    }
    line.plain(field!("authentication_type"), facts.authentication.as_str());
    if let Some(issuer) = facts.issuer {
        line.text(field!("issuer"), issuer);
    }
    if let Some(action) = facts.action {
        line.plain(field!("action"), action.name.as_str());
        line.plain(field!("access_level"), action.level.as_str());
    }
    if !facts.resources.is_empty() {
        line.texts(field!("resources"), facts.resources.iter().map(String::as_str));
    }
    if !facts.attributes.is_empty() {
        line.texts(field!("attributes"), facts.attributes.iter().map(String::as_str));
    }
    if let Some((policy, statement, sid)) = facts.deciding {
        line.plain(field!("policy"), policy);
        line.number(field!("statement"), statement as u64);
        if let Some(sid) = sid {
            line.text(field!("sid"), sid);
        }
    }
}
