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

    /// Takes another one's place: after a commit of which it is not known whether it landed.
    pub(super) fn replace(&self, fresh: Self) {
        let Self { roster, snapshot } = fresh;
        *self.roster.lock().unwrap_or_else(PoisonError::into_inner) = roster.into_inner().unwrap_or_else(PoisonError::into_inner);
        self.snapshot.store(snapshot.into_inner());
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering::Relaxed;

    use super::*;
    use crate::control::service::bootstrap::{Names, bootstrap};
    use crate::control::store::Store;
    use crate::types::Timestamp;

    #[tokio::test]
    async fn after_a_doubtful_commit_nobody_is_judged_by_the_old_mirror() {
        let folder = tempfile::tempdir().unwrap();
        let key = || SealingKey::from_text(&"0a".repeat(32)).unwrap();
        let offering: Offering = "e".parse().unwrap();
        let now = Timestamp::from_milliseconds(1_795_212_000_000);
        let store = Store::open(&folder.path().join("test.db"), key(), offering.clone(), now).await.unwrap();
        bootstrap(&store, Names { account: "a", administrator: "b" }, now).await.unwrap();
        let (whole, revision) = (store.snapshot().sizes(), store.snapshot().revision());
        assert_eq!(whole.0, 2);

        // As if the last commit had landed and nobody had been told.
        let mut nobody = Roster::new(offering, Arc::new(key()));
        let snapshot = ArcSwap::from_pointee(nobody.snapshot(store.revision(0)));
        store.0.mirror.replace(Mirror { roster: Mutex::new(nobody), snapshot });
        store.0.mirror_is_doubtful.store(true, Relaxed);
        assert_eq!(store.snapshot().sizes().0, 0);
        drop(store.write().await.unwrap());
        assert_eq!((store.snapshot().sizes(), store.snapshot().revision()), (whole, revision));
        assert!(!store.0.mirror_is_doubtful.load(Relaxed));
    }
}
