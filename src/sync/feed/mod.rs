//! The gateway's end of the feed: a thread that keeps the copy in force as fresh as the control plane is near.

mod connection;
mod lines;
pub mod session;

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::watch;

use self::connection::converse;
use super::copy::Copy;
use super::follow::{Follow, Follower};
use crate::telemetry::FeedStatus;
use crate::types::{SigningKey, Timestamp};

/// Where the feed is, and who asks.
#[derive(Clone)]
pub struct Options {
    /// The feed's listener, `HOST:PORT`.
    pub address: String,
    /// What this gateway is called in the control plane's log.
    pub gateway: String,
    /// The key it signs with.
    pub key: SigningKey,
    /// Where the time comes from.
    pub wall_clock: fn() -> Timestamp,
    /// How long things may take.
    pub timing: Timing,
}

/// How long things may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// Until a connection stands, and again until the answer begins.
    pub connect: Duration,
    /// Between two lines; then the connection counts as lost.
    pub silence: Duration,
    /// The first pause before connecting again; each doubles the one before.
    pub pause_min: Duration,
    /// The longest pause.
    pub pause_max: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            silence: Duration::from_secs(5),
            pause_min: Duration::from_millis(50),
            pause_max: Duration::from_secs(2),
        }
    }
}

/// The thread; it ends when this is dropped.
pub struct Feed {
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl Feed {
    /// Starts the thread: it puts the disk copy in force if that is whole, then follows the feed.
    ///
    /// # Errors
    /// When a thread or its runtime cannot be made.
    pub fn start<F: Follower>(options: Options, follower: F, copy: Option<Copy>, status: Arc<FeedStatus>) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = watch::channel(false);
        let run = move || {
            let mut follow = Follow::new(follower, copy, Arc::clone(&status));
            match follow.load() {
                Ok(Some(point)) => tracing::info!(revision = %point, "the disk copy is in force"),
                Ok(None) => tracing::info!("there is no disk copy: everything comes from the feed"),
                Err(error) => tracing::error!("{error}; nothing is in force before the feed is there"),
            }
            runtime.block_on(keep_following(&options, &mut follow, &status, stopped));
        };
        let thread = std::thread::Builder::new().name("feed".to_owned()).spawn(run)?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that follows the feed panicked");
        }
    }
}

async fn keep_following<F: Follower>(options: &Options, follow: &mut Follow<F>, status: &FeedStatus, mut stopped: watch::Receiver<bool>) {
    let timing = options.timing;
    let mut pause = timing.pause_min;
    let mut last = String::new();
    loop {
        let mut settled = false;
        let lost = tokio::select! {
            lost = converse(options, follow, status, &mut settled) => lost,
            _ = stopped.wait_for(|stopped| *stopped) => return,
        };
        status.connected(false);
        status.reconnects.add(1);
        follow.abandon();
        if lost.is_step_back() {
            status.refused_steps.add(1);
        }
        if settled {
            pause = timing.pause_min;
            last.clear();
        }
        // The same thing every two seconds says nothing new.
        let told = lost.to_string();
        if told != last {
            tracing::warn!(address = options.address, "the feed is lost, what is in force stays: {told}");
            last = told;
        }
        tokio::select! {
            () = tokio::time::sleep(jittered(pause)) => {}
            _ = stopped.wait_for(|stopped| *stopped) => return,
        }
        pause = (pause * 2).min(timing.pause_max);
    }
}

/// Between half of a pause and all of it, so that gateways do not come all at once.
fn jittered(pause: Duration) -> Duration {
    let mut random = [0; 2];
    let half = pause / 2;
    match aws_lc_rs::rand::fill(&mut random) {
        Ok(()) => half + half * u32::from(u16::from_be_bytes(random)) / u32::from(u16::MAX),
        Err(_) => pause,
    }
}
