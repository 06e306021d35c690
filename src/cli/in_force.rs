//! What is in force in a running gateway, put together from two sides that change by themselves: its configuration, and who may do
//! what.

use std::sync::{Arc, Mutex, PoisonError};

use super::counted;
use super::load::{Configured, bind};
use crate::access::{Mode, View};
use crate::config::GatewayConfig;
use crate::gateway::{Feed, Publisher, State, system_time};
use crate::snapshot::Snapshot;
use crate::telemetry::Metrics;

/// Puts changes of either side in force.
pub(super) struct InForce {
    publisher: Publisher,
    metrics: Arc<Metrics>,
    current: Mutex<Current>,
}

struct Current {
    config: GatewayConfig,
    state: State,
}

impl InForce {
    /// What a gateway was started with.
    pub(super) fn new(publisher: Publisher, metrics: Arc<Metrics>, config: GatewayConfig, state: State) -> Self {
        Self { publisher, metrics, current: Mutex::new(Current { config, state }) }
    }

    /// A new state of who may do what, from the feed.
    pub(super) fn follow(&self, snapshot: Snapshot) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let view = &current.state.view;
        let services = if snapshot.has_definitions_of(&view.snapshot) {
            Arc::clone(&view.services)
        } else {
            Arc::new(bind(&current.config, &snapshot))
        };
        current.state.view = View { snapshot: Arc::new(snapshot), services, ..view.clone() };
        self.publish(&current.state);
    }

    /// A new configuration. A gateway that follows a feed keeps what it knows.
    pub(super) fn reconfigure(&self, configured: Configured) {
        let Configured { config, mut state, .. } = configured;
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        // Their keys are being fetched; a restart changes them.
        state.view.issuers = Arc::clone(&current.state.view.issuers);
        if let (Some(fresh), Some(running)) = (&state.feed, &current.state.feed) {
            let Feed { stale_after, deny_after, .. } = *fresh;
            state.feed = Some(Feed { status: Arc::clone(&running.status), since: running.since, stale_after, deny_after });
            let snapshot = Arc::clone(&current.state.view.snapshot);
            state.view.services = Arc::new(bind(&config, &snapshot));
            state.view.snapshot = snapshot;
        }
        *current = Current { config, state };
        self.publish(&current.state);
    }

    fn publish(&self, state: &State) {
        note_loaded(&self.metrics, state);
        self.publisher.publish(state.clone());
    }

    /// Whether anybody is known.
    pub(super) fn is_loaded(&self) -> bool {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        current.state.feed.as_ref().is_none_or(|feed| feed.status.revision().is_some())
    }

    /// One line for people.
    pub(super) fn summary(&self) -> String {
        summary(&self.current.lock().unwrap_or_else(PoisonError::into_inner).state)
    }
}

/// Tells the metrics page what is in force.
pub(super) fn note_loaded(metrics: &Metrics, state: &State) {
    let observed = state.view.services.all().iter().map(|service| (Arc::clone(&service.name), service.mode == Mode::Observe)).collect();
    metrics.loaded(state.view.snapshot.revision(), system_time().milliseconds(), observed, state.view.snapshot.sizes());
}

/// Says loudly which services refuse nothing.
pub(super) fn warn_of_observers(state: &State) {
    for service in state.view.services.all().iter().filter(|service| service.mode == Mode::Observe) {
        tracing::warn!("service `{}` only observes: nothing is refused there", service.name);
    }
}

/// What is in force, in one line for people.
pub(super) fn summary(state: &State) -> String {
    let (users, keys, policies) = state.view.snapshot.sizes();
    let services = state.view.services.all().len();
    let revision = state.view.snapshot.revision();
    let counts = [(services, "service"), (users, "user"), (keys, "access key"), (policies, "policy")];
    format!("revision {revision}: {}", counts.map(|(number, what)| counted(number, what)).join(", "))
}
