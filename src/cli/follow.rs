//! A gateway that follows a control plane's feed: the roster that takes the records, and where its snapshots go.

use std::sync::Arc;

use anyhow::Context as _;

use super::in_force::InForce;
use crate::config::FeedIdentity;
use crate::gateway::system_time;
use crate::snapshot::wire::{Change, Digest};
use crate::snapshot::{Roster, Unreadable};
use crate::sync::copy::{self, Copy};
use crate::sync::feed::{self, Timing};
use crate::sync::follow::Follower;
use crate::sync::keys::FeedKeys;
use crate::telemetry::FeedStatus;
use crate::types::{Offering, Revision, SealingKey, SigningKey};

/// Takes records, gives snapshots to a running gateway.
struct Records {
    roster: Roster,
    revision: Revision,
    offering: Offering,
    sealing_key: Arc<SealingKey>,
    in_force: Arc<InForce>,
}

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
    let sealing_key = Arc::clone(&keys.sealing_key);
    Ok(feed::Feed::start(options, Records::new(offering.clone(), sealing_key, in_force), Some(copy), status)?)
}

impl Records {
    fn new(offering: Offering, sealing_key: Arc<SealingKey>, in_force: Arc<InForce>) -> Self {
        let roster = Roster::new(offering.clone(), Arc::clone(&sealing_key));
        Self { roster, revision: Revision::Store { epoch: 0, sequence: 0 }, offering, sealing_key, in_force }
    }
}

impl Follower for Records {
    fn fresh(&self) -> Self {
        Self::new(self.offering.clone(), Arc::clone(&self.sealing_key), Arc::clone(&self.in_force))
    }

    fn apply(&mut self, revision: Revision, changes: &[Change]) -> Vec<String> {
        self.revision = revision;
        self.roster.apply(changes);
        self.roster.take_unreadable().into_iter().map(|Unreadable { key, why }| format!("`{key}`: {why}")).collect()
    }

    fn digest(&self) -> Digest {
        self.roster.digest()
    }

    fn publish(&mut self) {
        let snapshot = self.roster.snapshot(self.revision);
        // Policies and definitions are compiled only now.
        for Unreadable { key, why } in self.roster.take_unreadable() {
            tracing::error!(revision = %self.revision, "`{key}` cannot be read and counts as refusing: {why}");
        }
        self.in_force.follow(snapshot);
    }
}
