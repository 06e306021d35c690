//! What others publish at a URL and change now and then, fetched in the background: the keys of identity providers.
//!
//! No request ever waits for a fetch, and none causes more than one in a while: it only notes that something new is wanted.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, Url};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// How often it is looked whether something new is wanted.
const TICK: Duration = Duration::from_millis(200);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Something that is published.
#[derive(Debug, Clone)]
pub struct Source {
    /// Where.
    pub url: String,
    /// Most bytes of it.
    pub bytes_max: usize,
    /// How often it is fetched.
    pub refresh: Duration,
    /// The least time between two fetches, also after a failure or when something new is wanted.
    pub pause: Duration,
    /// Longest time for a whole answer.
    pub timeout: Duration,
    /// Whether something new is wanted; whoever wants it sets this.
    pub wanted: Arc<AtomicBool>,
}

/// Why nothing new came.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The client cannot be made: its certificates, most likely.
    #[error("no connection can be made from here: {0}")]
    Client(#[source] reqwest::Error),
    /// Not a URL.
    #[error("`{0}` is not a URL")]
    Url(String),
    /// No answer.
    #[error("it does not answer: {0}")]
    NoAnswer(#[source] reqwest::Error),
    /// Another status than 200; redirects are not followed.
    #[error("it answers {0}")]
    Status(u16),
    /// Too long.
    #[error("it has more than {0} bytes")]
    Bytes(usize),
    /// Not what was expected.
    #[error("{0}")]
    Content(String),
}

/// Fetches until told to stop. `take` gets what came, and says what is wrong with it.
pub async fn follow(
    source: Source,
    mut take: impl FnMut(Result<&[u8], &FetchError>) -> Result<(), String>,
    mut stop: watch::Receiver<bool>,
) {
    let client = client(&source);
    loop {
        source.wanted.store(false, Ordering::Relaxed);
        let mut outcome = match &client {
            Ok(client) => fetch(client, &source).await,
            Err(error) => Err(FetchError::Content(error.to_string())),
        };
        if let Ok(bytes) = &outcome
            && let Err(message) = take(Ok(bytes))
        {
            outcome = Err(FetchError::Content(message));
        }
        if let Err(error) = &outcome {
            // What it says of a failure changes nothing.
            let _ = take(Err(error));
        }
        let now = Instant::now();
        let soonest = now + source.pause;
        let latest = if outcome.is_ok() { (now + source.refresh).max(soonest) } else { soonest };
        if wait(&source, soonest, latest, &mut stop).await {
            return;
        }
    }
}

/// Whether to stop.
async fn wait(source: &Source, soonest: Instant, latest: Instant, stop: &mut watch::Receiver<bool>) -> bool {
    let mut next = soonest;
    loop {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return true,
            () = sleep_until(next) => {}
        }
        if next >= latest || source.wanted.load(Ordering::Relaxed) {
            return false;
        }
        next = (next + TICK).min(latest);
    }
}

fn client(source: &Source) -> Result<Client, FetchError> {
    let builder = Client::builder().redirect(Policy::none()).connect_timeout(CONNECT_TIMEOUT).timeout(source.timeout);
    // Without TLS only this machine is asked, and no proxy knows the way there.
    let builder = if source.url.starts_with("http://") { builder.no_proxy() } else { builder };
    builder.user_agent(concat!("portcullis/", env!("CARGO_PKG_VERSION"))).build().map_err(FetchError::Client)
}

async fn fetch(client: &Client, source: &Source) -> Result<Vec<u8>, FetchError> {
    let url: Url = source.url.parse().map_err(|_| FetchError::Url(source.url.clone()))?;
    let mut response = client.get(url).header("accept", "application/json").send().await.map_err(FetchError::NoAnswer)?;
    let status = response.status().as_u16();
    if status != 200 {
        return Err(FetchError::Status(status));
    }
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(FetchError::NoAnswer)? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > source.bytes_max {
            return Err(FetchError::Bytes(source.bytes_max));
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests;
