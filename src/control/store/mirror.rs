//! The control plane's own view of its store, as a gateway would have it: what rights are compared by.

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;

use super::{StateReader, StoreError};
use crate::snapshot::wire::Change;
use crate::snapshot::wire::frame::Commit;
use crate::snapshot::{Roster, Snapshot};
use crate::types::{Offering, Revision, SealingKey};

/// Records read at once.
const PAGE: u64 = 1_000;

/// Follows every commit before the next write begins.
pub(super) struct Mirror {
    roster: Mutex<Roster>,
    snapshot: ArcSwap<Snapshot>,
}

impl Mirror {
    /// Reads all records.
    pub(super) async fn load(
        reader: &mut StateReader,
        offering: Offering,
        sealing_key: Arc<SealingKey>,
        revision: Revision,
    ) -> Result<Self, StoreError> {
        let mut roster = Roster::new(offering, sealing_key);
        let mut after = String::new();
        loop {
            let page = reader.snapshot_page(&after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after.clone_from(&last.key);
            let changes: Vec<Change> = page.into_iter().map(|record| Change::Put { key: record.key, record: record.body }).collect();
            roster.apply(&changes);
        }
        let snapshot = ArcSwap::from_pointee(roster.snapshot(revision));
        let mirror = Self { roster: Mutex::new(roster), snapshot };
        mirror.complain();
        Ok(mirror)
    }

    /// The next commit.
    pub(super) fn follow(&self, commit: &Commit, revision: Revision) {
        let snapshot = {
            let mut roster = self.roster.lock().unwrap_or_else(PoisonError::into_inner);
            roster.apply(&commit.changes);
            roster.snapshot(revision)
        };
        self.snapshot.store(Arc::new(snapshot));
        self.complain();
    }

    /// The state after the last commit.
    pub(super) fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    fn complain(&self) {
        for unreadable in self.roster.lock().unwrap_or_else(PoisonError::into_inner).take_unreadable() {
            tracing::error!("the record `{}` cannot be read and counts as refusing: {}", unreadable.key, unreadable.why);
        }
    }
}
