//! What is in force: shared by all workers, swapped whole; and what each worker derives from it for itself.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;

use super::credential::UpstreamCredential;
use super::upstream::Pool;
use super::worker::Worker;
use crate::access::{Denial, Entrance, Service, View};
use crate::config::{FailureLimits, ReplayLimits, RequestRates};
use crate::telemetry::{FeedStatus, ServiceCounters};
use crate::types::{Reason, Revision, SigningKey, Timestamp};

/// Of a gateway that follows a feed, before anything has come.
const NOTHING: Revision = Revision::Store { epoch: 0, sequence: 0 };

/// Everything a worker needs to serve, at one revision.
#[derive(Debug, Clone)]
pub struct State {
    /// What decisions read.
    pub view: View,
    /// The listeners' entrances, in the order of the listeners.
    pub entrances: Arc<[Entrance]>,
    /// The upstreams, in the order of the services.
    pub upstreams: Arc<[UpstreamSettings]>,
    /// How much is remembered of what was accepted.
    pub replay: ReplayLimits,
    /// How many failed authentications are answered in detail; `None` for all.
    pub failures: Option<FailureLimits>,
    /// How many requests may be sent.
    pub rates: RequestRates,
    /// How the copy of a control plane's store is doing; `None` in file mode.
    pub feed: Option<Feed>,
}

/// A copy of a control plane's store.
#[derive(Debug, Clone)]
pub struct Feed {
    /// How it is doing.
    pub status: Arc<FeedStatus>,
    /// When the gateway started: until the first word from the control plane, `stale_after` counts from here.
    pub since: Timestamp,
    /// Without a word from the control plane for this long, the gateway is not ready.
    pub stale_after: Duration,
    /// Without a word for this long, or since the start, everything is refused; `None` for never.
    pub deny_after: Option<Duration>,
}

impl Feed {
    /// Why nothing may be decided now, if so.
    pub(super) fn refusal(&self, in_force: Revision, now: Timestamp) -> Option<Denial> {
        let denial = |detail: &'static str| Some(Denial::with(Reason::StaleSnapshot, detail));
        // Of the state that decides, not of the newest one: it may have come in between.
        if in_force == NOTHING {
            return denial("nothing has come from the control plane yet");
        }
        // SECURITY: how long the silence was before a restart is not known, so nothing is decided until the first word.
        let is_over = |limit: &Duration| self.status.last_contact().is_none_or(|last| is_longer(last, now, *limit));
        let deny_after = self.deny_after.filter(is_over)?;
        Some(Denial::with(Reason::StaleSnapshot, format!("nothing has come from the control plane for {} s", deny_after.as_secs())))
    }

    /// Whether the gateway decides by what may be old, or not at all.
    pub(super) fn is_stale(&self, now: Timestamp) -> bool {
        let last = self.status.last_contact().unwrap_or(self.since);
        let in_force = self.status.revision().unwrap_or(NOTHING);
        self.refusal(in_force, now).is_some() || is_longer(last, now, self.stale_after)
    }
}

fn is_longer(from: Timestamp, to: Timestamp, limit: Duration) -> bool {
    u128::from(to.distance_ms(from)) > limit.as_millis()
}

/// A backend.
#[derive(Debug, Clone)]
pub struct UpstreamSettings {
    /// Host and port to connect to.
    pub authority: Arc<str>,
    /// Whether the client's Host is kept.
    pub preserve_host: bool,
    /// Whether a service in observe mode passes the client's credentials on.
    pub keep_credentials: bool,
    /// The key of the identity HMAC.
    pub identity_key: SigningKey,
    /// What it wants to see from the gateway, if anything.
    pub credential: Option<UpstreamCredential>,
    /// Longest time to connect.
    pub connect_timeout: Duration,
    /// Longest time until the head of the answer.
    pub response_timeout: Duration,
    /// How long a tag or attribute that it told is used.
    pub attribute_ttl: Duration,
    /// Longest time until it has told one.
    pub attribute_timeout: Duration,
}

/// A worker's own view of a [`State`]: plain reference counts, own connections, own counters.
pub(super) struct Bound {
    pub(super) state: Arc<State>,
    pub(super) revision: HeaderValue,
    pub(super) revision_text: String,
    services: Rc<[Rc<BoundService>]>,
    nowhere: Rc<BoundService>,
}

/// A service as one worker serves it.
pub(super) struct BoundService {
    pub(super) counters: Arc<ServiceCounters>,
    pub(super) upstream: Option<BoundUpstream>,
}

pub(super) struct BoundUpstream {
    pub(super) pool: Rc<Pool>,
    pub(super) host: HeaderValue,
    pub(super) settings: UpstreamSettings,
}

impl Bound {
    /// Binds a state; what it shares with the one `before` is not bound again.
    pub(super) fn new(state: Arc<State>, worker: &Worker, before: Option<&Self>) -> Self {
        let revision_text = state.view.snapshot.revision().to_string();
        let revision = HeaderValue::from_str(&revision_text).unwrap_or_else(|_| HeaderValue::from_static("-"));
        let same = before.filter(|before| {
            Arc::ptr_eq(&before.state.upstreams, &state.upstreams) && Arc::ptr_eq(&before.state.view.services, &state.view.services)
        });
        let (services, nowhere) = match same {
            Some(before) => (Rc::clone(&before.services), Rc::clone(&before.nowhere)),
            None => (
                state
                    .view
                    .services
                    .all()
                    .iter()
                    .zip(&*state.upstreams)
                    .map(|(service, settings)| bind(service, settings, worker))
                    .collect(),
                Rc::new(BoundService { counters: worker.service_counters(&Arc::from("-")), upstream: None }),
            ),
        };
        Self { state, revision, revision_text, services, nowhere }
    }

    /// The service that serves the resources of a service type.
    pub(super) fn serving(&self, service_type: &str) -> Option<&Rc<BoundService>> {
        let service = self.state.view.services.all().iter().find(|service| service.serves(service_type))?;
        self.services.get(service.index)
    }

    /// The service's bound form; for requests without a service, counters under `-`.
    pub(super) fn service(&self, service: Option<&Service>) -> &Rc<BoundService> {
        service.and_then(|service| self.services.get(service.index)).unwrap_or(&self.nowhere)
    }
}

fn bind(service: &Service, settings: &UpstreamSettings, worker: &Worker) -> Rc<BoundService> {
    let host = HeaderValue::from_str(&settings.authority).ok();
    let upstream = host.map(|host| BoundUpstream { pool: worker.pool(&settings.authority), host, settings: settings.clone() });
    Rc::new(BoundService { counters: worker.service_counters(&service.name), upstream })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readiness_counts_from_the_start_and_refusal_from_the_last_word() {
        let at = |seconds: i64| Timestamp::from_milliseconds(seconds * 1_000);
        let seconds = Duration::from_secs;
        let known = Revision::Store { epoch: 1, sequence: 1 };
        let feed = Feed { status: Arc::default(), since: at(100), stale_after: seconds(10), deny_after: None };
        assert!(feed.is_stale(at(100)) && feed.refusal(NOTHING, at(100)).is_some(), "nothing is known");
        feed.status.in_force(1, 1, String::new());
        for (now, stale) in [(100, false), (110, false), (111, true)] {
            assert_eq!(feed.is_stale(at(now)), stale, "{now}");
            assert!(feed.refusal(known, at(now)).is_none(), "{now}");
        }
        let strict = Feed { deny_after: Some(seconds(20)), ..feed.clone() };
        assert!(strict.is_stale(at(100)) && strict.refusal(known, at(100)).is_some(), "how old the copy is, is not known");
        feed.status.contact(at(150));
        for (now, stale, refused) in [(160, false, false), (161, true, false), (170, true, false), (171, true, true)] {
            assert_eq!((strict.is_stale(at(now)), strict.refusal(known, at(now)).is_some()), (stale, refused), "{now}");
        }
    }
}
