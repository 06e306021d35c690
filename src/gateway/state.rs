//! What is in force: shared by all workers, swapped whole; and what each worker derives from it for itself.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;

use super::upstream::Pool;
use super::worker::Worker;
use crate::access::{Entrance, Service, View};
use crate::telemetry::ServiceCounters;
use crate::types::SigningKey;

/// Everything a worker needs to serve, at one revision.
#[derive(Debug)]
pub struct State {
    /// What decisions read.
    pub view: View,
    /// The listeners' entrances, in the order of the listeners.
    pub entrances: Vec<Entrance>,
    /// The upstreams, in the order of the services.
    pub upstreams: Vec<UpstreamSettings>,
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
    /// Longest time to connect.
    pub connect_timeout: Duration,
    /// Longest time until the head of the answer.
    pub response_timeout: Duration,
}

/// A worker's own view of a [`State`]: plain reference counts, own connections, own counters.
pub(super) struct Bound {
    pub(super) state: Arc<State>,
    pub(super) revision: HeaderValue,
    pub(super) revision_text: String,
    services: Vec<Rc<BoundService>>,
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
    pub(super) fn new(state: Arc<State>, worker: &Worker) -> Self {
        let services = state
            .view
            .services
            .all()
            .iter()
            .zip(&state.upstreams)
            .map(|(service, settings)| {
                let host = HeaderValue::from_str(&settings.authority).ok();
                let upstream = host.map(|host| BoundUpstream { pool: worker.pool(&settings.authority), host, settings: settings.clone() });
                Rc::new(BoundService { counters: worker.service_counters(&service.name), upstream })
            })
            .collect();
        let nowhere = Rc::new(BoundService { counters: worker.service_counters(&Arc::from("-")), upstream: None });
        let revision_text = state.view.snapshot.revision().to_string();
        let revision = HeaderValue::from_str(&revision_text).unwrap_or_else(|_| HeaderValue::from_static("-"));
        Self { state, revision, revision_text, services, nowhere }
    }

    /// The service's bound form; for requests without a service, counters under `-`.
    pub(super) fn service(&self, service: Option<&Service>) -> &Rc<BoundService> {
        service.and_then(|service| self.services.get(service.index)).unwrap_or(&self.nowhere)
    }
}
