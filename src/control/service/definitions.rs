//! Action definitions that come with this program.

use super::bootstrap::SYSTEM;
use crate::control::store::authorship::Stamp;
use crate::control::store::{Store, StoreError, definitions};
use crate::snapshot::wire::Record;
use crate::types::Timestamp;

/// Puts the definitions of the program's own services into the store where they differ from what stands there.
pub(crate) async fn publish(store: &Store, printed: &[(&str, String)], now: Timestamp) -> Result<(), StoreError> {
    let mut write = store.write().await?;
    let sequence = write.sequence();
    let mut changed = false;
    for (service, document) in printed {
        if definitions::document(&mut write, service).await?.as_ref() != Some(document) {
            changed = true;
            definitions::put(&mut write, service, document, true, sequence, Stamp { at: now, by: SYSTEM }).await?;
            write.put(Record::Definition { service: (*service).to_owned(), document: document.clone() });
        }
    }
    if changed {
        write.commit(now).await?;
    }
    Ok(())
}
