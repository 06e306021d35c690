//! The keys that a gateway's configuration names.

use std::sync::Arc;

use crate::config::{FeedIdentity, Files, Secrets, Service};
use crate::source::Report;
use crate::types::{SealingKey, Secret};

/// What a gateway that follows a feed needs to know, and nobody else may.
#[derive(Debug)]
pub struct FeedKeys {
    /// The feed's credential.
    pub credential: Secret,
    /// Opens the secrets of access keys, and the disk copy.
    pub sealing_key: Arc<SealingKey>,
    /// The identity keys of the upstreams, in the order of the services.
    pub identity_keys: Vec<Secret>,
}

/// Opens the keys of a gateway that follows a feed; `None` when one cannot be. All errors go to the report.
#[must_use]
pub fn open(identity: &FeedIdentity, services: &[Service], loopback_only: bool, files: &Files, report: &Report) -> Option<FeedKeys> {
    let secrets = Secrets::new(files, Some(&identity.sealing_key), loopback_only, report);
    let credential = secrets.open(&identity.credential, "feed", &identity.source, identity.credential_span, report);
    let identity_keys = identity_keys(services, &secrets, report);
    Some(FeedKeys { credential: credential?, identity_keys: identity_keys?, sealing_key: Arc::new(secrets.into_sealing_key()?) })
}

/// Opens the identity key of every service's upstream, in the order of the services.
pub(super) fn identity_keys(services: &[Service], secrets: &Secrets<'_>, report: &Report) -> Option<Vec<Secret>> {
    let open = |service: &Service| {
        let owner = format!("upstream/{}", service.name);
        secrets.open(&service.upstream.identity_key, &owner, &service.source, service.upstream.identity_key_span, report)
    };
    let opened: Vec<Option<Secret>> = services.iter().map(open).collect();
    opened.into_iter().collect()
}
