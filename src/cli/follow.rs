//! A gateway that follows a control plane's feed: with which keys, and where its snapshots go.

use std::sync::Arc;

use anyhow::Context as _;

use super::in_force::InForce;
use crate::config::FeedIdentity;
use crate::gateway::system_time;
use crate::sync::copy::{self, Copy};
use crate::sync::feed::{self, Timing};
use crate::sync::follow::Publishing;
use crate::sync::keys::FeedKeys;
use crate::telemetry::FeedStatus;
use crate::types::{Offering, SigningKey};

/// Starts to follow: first what the disk copy says, then the feed.
pub(super) fn start(
    identity: &FeedIdentity,
    offering: &Offering,
    keys: &FeedKeys,
    in_force: Arc<InForce>,
    status: Arc<FeedStatus>,
) -> anyhow::Result<feed::Feed> {
    let copy = Copy::open(&identity.copy, &keys.sealing_key, copy::JOURNAL_BYTES_MIN)
        .with_context(|| format!("cannot use `{}` for the disk copy", identity.copy.display()))?;
    let options = feed::Options {
        address: identity.authority.clone(),
        gateway: identity.name.clone(),
        key: SigningKey::new(&keys.credential),
        wall_clock: system_time,
        timing: Timing::default(),
    };
    let hand_over = Arc::new(move |snapshot| in_force.follow(snapshot));
    let follower = Publishing::new(offering.clone(), Arc::clone(&keys.sealing_key), hand_over);
    Ok(feed::Feed::start(options, follower, Some(copy), status)?)
}
