//! The keys that a gateway's configuration names.

use std::sync::Arc;

use crate::config::{CredentialKind, FeedIdentity, Files, Secrets, Service, UpstreamCredential};
use crate::source::{Report, Source};
use crate::types::{SealingKey, Secret};

/// What a gateway that follows a feed needs to know, and nobody else may.
#[derive(Debug)]
pub struct FeedKeys {
    /// The feed's credential.
    pub credential: Secret,
    /// Opens the secrets of access keys, and the disk copy.
    pub sealing_key: Arc<SealingKey>,
    /// The secrets of the upstreams, in the order of the services.
    pub upstreams: Vec<UpstreamSecrets>,
}

/// What the gateway shares with a backend.
#[derive(Debug)]
pub struct UpstreamSecrets {
    /// The key of the identity HMAC.
    pub identity_key: Secret,
    /// The secret of the credential that the backend wants to see.
    pub credential: Option<Secret>,
}

/// Opens the keys of a gateway that follows a feed; `None` when one cannot be. All errors go to the report.
#[must_use]
pub fn open(identity: &FeedIdentity, services: &[Service], loopback_only: bool, files: &Files, report: &Report) -> Option<FeedKeys> {
    let secrets = Secrets::new(files, Some(&identity.sealing_key), loopback_only, report);
    let credential = secrets.open(&identity.credential, "feed", &identity.source, identity.credential_span, report);
    let upstreams = upstream_secrets(services, &secrets, report);
    Some(FeedKeys { credential: credential?, upstreams: upstreams?, sealing_key: Arc::new(secrets.into_sealing_key()?) })
}

/// Opens the secrets of every service's upstream, in the order of the services.
pub(super) fn upstream_secrets(services: &[Service], secrets: &Secrets<'_>, report: &Report) -> Option<Vec<UpstreamSecrets>> {
    let open = |service: &Service| {
        let owner = format!("upstream/{}", service.name);
        let (upstream, source) = (&service.upstream, &service.source);
        let identity_key = secrets.open(&upstream.identity_key, &owner, source, upstream.identity_key_span, report);
        let credential = match &upstream.credential {
            None => Some(None),
            Some(credential) => {
                let secret = secrets.open(&credential.secret, &owner, source, credential.span, report);
                secret.filter(|secret| can_be_shown(credential, secret, source, report)).map(Some)
            }
        };
        Some(UpstreamSecrets { identity_key: identity_key?, credential: credential? })
    };
    let opened: Vec<Option<UpstreamSecrets>> = services.iter().map(open).collect();
    opened.into_iter().collect()
}

fn can_be_shown(credential: &UpstreamCredential, secret: &Secret, source: &Source, report: &Report) -> bool {
    let can = match credential.kind {
        CredentialKind::Sigv4 { .. } => true,
        CredentialKind::Header { .. } => secret.expose().iter().all(|byte| matches!(byte, 0x20..=0x7E)),
    };
    if !can {
        let hint = "the file must hold one line of printable ASCII: all of the header's value";
        report.error(source, credential.span, "the secret cannot be the value of a header", Some(hint.to_owned()));
    }
    can
}
