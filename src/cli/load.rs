//! From a configuration file to a state that can be put in force.

use std::path::Path;
use std::sync::Arc;

use crate::access::{Entrance, ErrorProtocol, ForwardedHeader, Mode, ServiceSettings, Services, View};
use crate::config::listener::ForwardedBy;
use crate::config::{Files, GatewayConfig, Listener, Service};
use crate::gateway::{State, UpstreamSettings};
use crate::source::Report;
use crate::sync;
use crate::types::{Secret, SigningKey};

/// A configuration that was read and checked whole.
pub struct Configured {
    /// The configuration.
    pub config: GatewayConfig,
    /// What it says, ready to be put in force.
    pub state: State,
}

/// Reads a configuration and everything it names; `None` when anything has an error. All errors go to the report.
#[must_use]
pub fn configure(path: &Path, report: &Report) -> Option<Configured> {
    let files = Files::default();
    let config = match GatewayConfig::load(path, &files, report) {
        Ok(config) => config,
        Err(remains) => {
            if let Some(remains) = remains {
                sync::files::inspect(&remains, &files, report);
            }
            return None;
        }
    };
    let loaded = sync::files::load(&config, &files, report)?;
    let settings: Vec<ServiceSettings> = config.services.iter().map(settings).collect();
    let services = Services::bind(&settings, &loaded.snapshot);
    let upstreams = config.services.iter().zip(&loaded.identity_keys).map(|(service, key)| upstream(service, key)).collect();
    let view = View { snapshot: Arc::new(loaded.snapshot), services, clock_skew_ms: config.clock_skew_ms };
    let entrances = config.listeners.iter().map(entrance).collect();
    Some(Configured { state: State { view, entrances, upstreams }, config })
}

fn entrance(listener: &Listener) -> Entrance {
    Entrance {
        public_scheme: listener.public_scheme,
        trusted_proxies: listener.trusted_proxies.iter().copied().collect(),
        forwarded_header: match listener.forwarded_by {
            ForwardedBy::XForwardedFor => ForwardedHeader::XForwardedFor,
            ForwardedBy::Forwarded => ForwardedHeader::Forwarded,
        },
    }
}

fn settings(service: &Service) -> ServiceSettings {
    ServiceSettings {
        name: service.name.as_str().into(),
        hosts: service.hosts.clone(),
        definitions: service.definitions.iter().map(|(name, _)| name.clone()).collect(),
        mode: if service.observe { Mode::Observe } else { Mode::Enforce },
        error_protocol: ErrorProtocol::Scp,
        public_routes: service.public_routes.iter().map(|route| (route.method.clone(), route.template.clone())).collect(),
        body_bytes_max: service.body_bytes_max,
    }
}

fn upstream(service: &Service, identity_key: &Secret) -> UpstreamSettings {
    UpstreamSettings {
        authority: service.upstream.authority.as_str().into(),
        preserve_host: service.upstream.preserve_host,
        keep_credentials: service.upstream.keep_credentials,
        identity_key: SigningKey::new(identity_key),
        connect_timeout: service.upstream.connect_timeout,
        response_timeout: service.upstream.response_timeout,
    }
}
