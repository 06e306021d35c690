//! From a configuration file to a state that can be put in force.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use crate::access::{
    AwsSignatures, Entrance, ErrorProtocol, ForwardedHeader, Issuer, IssuerSettings, Mode, Replay, ServiceSettings, Services, View,
};
use crate::authn::sigv4::{Profile, Signer};
use crate::config::listener::ForwardedBy;
use crate::config::{self, CredentialKind, FeedIdentity, Files, GatewayConfig, Identity, Listener, Service, TokenIssuer};
use crate::gateway::{Feed, State, UpstreamCredential, UpstreamSettings, system_time};
use crate::snapshot::{Roster, Snapshot};
use crate::source::Report;
use crate::sync;
use crate::sync::copy;
use crate::sync::follow::Publishing;
use crate::sync::keys::{FeedKeys, UpstreamSecrets};
use crate::types::{Revision, SigningKey};

/// A configuration that was read and checked whole.
pub struct Configured {
    /// The configuration.
    pub config: GatewayConfig,
    /// What it says, ready to be put in force. With a feed, nobody is known yet and everything is refused.
    pub state: State,
    /// The keys of a gateway that follows a feed.
    pub feed: Option<FeedKeys>,
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
    match &config.identity {
        Identity::Files(identity) => {
            let sync::files::Loaded { snapshot, upstreams } = sync::files::load(&config, identity, &files, report)?;
            Some(Configured { state: state(&config, snapshot, &upstreams, None), config, feed: None })
        }
        Identity::Feed(identity) => {
            let keys = sync::keys::open(identity, &config.services, config.loopback_only(), &files, report)?;
            let nobody =
                Roster::new(config.offering.clone(), Arc::clone(&keys.sealing_key)).snapshot(Revision::Store { epoch: 0, sequence: 0 });
            let feed =
                Feed { status: Arc::default(), since: system_time(), stale_after: identity.stale_after, deny_after: identity.deny_after };
            Some(Configured { state: state(&config, nobody, &keys.upstreams, Some(feed)), config, feed: Some(keys) })
        }
    }
}

fn state(config: &GatewayConfig, snapshot: Snapshot, secrets: &[UpstreamSecrets], feed: Option<Feed>) -> State {
    let services = Arc::new(bind(config, &snapshot));
    let upstreams = config.services.iter().zip(secrets).map(|(service, secrets)| upstream(service, secrets)).collect();
    let issuers = config.token_issuers.iter().map(issuer).collect();
    let view = View {
        snapshot: Arc::new(snapshot),
        services,
        issuers,
        clock_skew_ms: config.authentication.clock_skew_ms,
        cross_check: config.cross_check,
    };
    State {
        view,
        entrances: config.listeners.iter().map(entrance).collect(),
        upstreams,
        replay: config.replay,
        failures: config.authentication.failures,
        rates: config.rates,
        feed,
    }
}

/// What a gateway that follows a feed has, from its disk copy.
pub(super) fn from_copy(config: &GatewayConfig, identity: &FeedIdentity, keys: &FeedKeys) -> anyhow::Result<Option<Snapshot>> {
    let found: Arc<Mutex<Option<Snapshot>>> = Arc::default();
    let kept = Arc::clone(&found);
    let keep = move |snapshot| *kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(snapshot);
    let follower = Publishing::new(config.offering.clone(), Arc::clone(&keys.sealing_key), Arc::new(keep));
    copy::read(&identity.copy, &keys.sealing_key, follower)?;
    Ok(found.lock().unwrap_or_else(PoisonError::into_inner).take())
}

/// Binds the configured services to the definitions of a snapshot.
pub(super) fn bind(config: &GatewayConfig, snapshot: &Snapshot) -> Services {
    let settings: Vec<ServiceSettings> = config.services.iter().map(settings).collect();
    Services::bind(&settings, snapshot)
}

fn issuer(issuer: &TokenIssuer) -> Arc<Issuer> {
    let TokenIssuer { issuer, audiences, accounts, user_claim, .. } = issuer.clone();
    Arc::new(Issuer::new(IssuerSettings { issuer, audiences, accounts, user_claim }))
}

fn entrance(listener: &Listener) -> Entrance {
    Entrance {
        public_scheme: listener.public_scheme,
        proxy_protocol: listener.proxy_protocol.as_ref().map(|networks| networks.iter().copied().collect()),
        trusted_proxies: listener.trusted_proxies.networks.iter().copied().collect(),
        trusted_hops: listener.trusted_proxies.hops,
        forwarded_header: match listener.trusted_proxies.forwarded_by {
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
        path_profile: service.path_profile,
        error_protocol: if service.s3_errors { ErrorProtocol::S3 } else { ErrorProtocol::Scp },
        public_routes: service.public_routes.iter().map(|route| (route.method.clone(), route.template.clone())).collect(),
        body_bytes_max: service.body_bytes_max,
        replay: match service.replay {
            config::Replay::Off => Replay::Off,
            config::Replay::Changing => Replay::Changing,
            config::Replay::All => Replay::All,
        },
        sigv4: service.sigv4.as_ref().map(|sigv4| AwsSignatures {
            service: sigv4.service.as_str().into(),
            regions: sigv4.regions.clone(),
            profile: if sigv4.s3 { Profile::S3 } else { Profile::Generic },
            unsigned_payload: sigv4.unsigned_payload,
        }),
    }
}

fn upstream(service: &Service, secrets: &UpstreamSecrets) -> UpstreamSettings {
    let credential = service.upstream.credential.as_ref().zip(secrets.credential.as_ref());
    let credential = credential.map(|(credential, secret)| match &credential.kind {
        CredentialKind::Sigv4 { access_key, region, service } => {
            UpstreamCredential::Sigv4(Signer::new(access_key, secret, region, service))
        }
        CredentialKind::Header { name } => UpstreamCredential::Header(name.clone(), secret.clone()),
    });
    UpstreamSettings {
        authority: service.upstream.authority.as_str().into(),
        preserve_host: service.upstream.preserve_host,
        keep_credentials: service.upstream.keep_credentials,
        identity_key: SigningKey::new(&secrets.identity_key),
        credential,
        connect_timeout: service.upstream.connect_timeout,
        response_timeout: service.upstream.response_timeout,
        attribute_ttl: service.upstream.attribute_ttl,
        attribute_timeout: service.upstream.attribute_timeout,
    }
}
