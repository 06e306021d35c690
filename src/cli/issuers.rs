//! The keys of identity providers, fetched by a thread of its own for as long as the gateway runs.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::access::Issuer;
use crate::authn::oidc::KEYS_BYTES_MAX;
use crate::config::TokenIssuer;
use crate::gateway::system_time;
use crate::sync::published::{self, Source};
use crate::telemetry::{IssuerStatus, Metrics};

/// The least time between two fetches from one provider, whatever tokens name.
const PAUSE: Duration = Duration::from_secs(10);

/// Longest time for a whole set of keys.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Fetches until it is dropped.
pub(super) struct Fetching(watch::Sender<bool>);

impl Drop for Fetching {
    fn drop(&mut self) {
        let _ = self.0.send(true);
    }
}

/// Starts to fetch the keys of these providers; `configured` says from where.
pub(super) fn start(configured: &[TokenIssuer], issuers: &[Arc<Issuer>], metrics: &Metrics) -> std::io::Result<Fetching> {
    let (stop, stopped) = watch::channel(false);
    let all: Vec<_> = configured
        .iter()
        .zip(issuers)
        .map(|(config, issuer)| {
            let status = Arc::new(IssuerStatus::new(config.issuer.clone()));
            let source = Source {
                url: config.keys_url.clone(),
                bytes_max: KEYS_BYTES_MAX,
                refresh: config.refresh,
                pause: PAUSE.min(config.refresh),
                timeout: TIMEOUT,
                wanted: issuer.wanted(),
            };
            (source, Arc::clone(issuer), status)
        })
        .collect();
    metrics.trusts(all.iter().map(|(_, _, status)| Arc::clone(status)).collect());
    if !all.is_empty() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let run = async move {
            let following = all.into_iter().map(|(source, issuer, status)| {
                let url = source.url.clone();
                let take = move |came: Result<&[u8], &published::FetchError>| match came {
                    Ok(text) => issuer.publish(text).map(|()| status.came(system_time())).map_err(|error| error.to_string()),
                    Err(error) => {
                        status.failed.add(1);
                        tracing::warn!(%url, %error, "the keys of a token issuer could not be fetched; those from before stay in use");
                        Ok(())
                    }
                };
                tokio::spawn(published::follow(source, take, stopped.clone()))
            });
            for task in following.collect::<Vec<_>>() {
                let _ = task.await;
            }
        };
        std::thread::Builder::new().name("issuers".to_owned()).spawn(move || runtime.block_on(run))?;
    }
    Ok(Fetching(stop))
}
