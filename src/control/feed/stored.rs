//! The store, as the feed asks for it.

use tokio::sync::{mpsc, watch};

use super::{Committed, Page, Source};
use crate::control::store::{Store, StoreError};
use crate::snapshot::wire::Digest;
use crate::snapshot::wire::frame::End;

/// Records of one page.
const PAGE: u64 = 500;

impl Source for Store {
    type Error = StoreError;

    fn epoch(&self) -> u64 {
        Self::epoch(self)
    }

    fn subscribe(&self) -> watch::Receiver<u64> {
        self.head()
    }

    async fn digest_at(&self, sequence: u64) -> Result<Option<Digest>, StoreError> {
        self.change_digest(sequence).await
    }

    async fn changes_after(&self, sequence: u64, limit: usize) -> Result<Vec<Committed>, StoreError> {
        let lines = Self::changes_after(self, sequence, limit as u64).await?.unwrap_or_default();
        Ok((sequence.saturating_add(1)..).zip(lines).map(|(sequence, line)| Committed { sequence, line }).collect())
    }

    async fn snapshot(&self, pages: mpsc::Sender<Page>) -> Result<End, StoreError> {
        let mut state = self.state().await?;
        let position = state.position().await?;
        let mut after = String::new();
        loop {
            let page = state.snapshot_page(&after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after.clone_from(&last.key);
            if pages.send(page.into_iter().map(|record| (record.key, record.body)).collect()).await.is_err() {
                break;
            }
        }
        Ok(End { sequence: position.head, records: position.records, digest: position.digest })
    }
}
