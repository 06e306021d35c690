//! Nobody gives more than they have (contracts C11): every write passes here before it is committed.

use super::operator::Excused;
use super::{Caller, ServiceError};
use crate::control::store::{Pending, Write};
use crate::snapshot::wire::{Record, RecordKey};

/// The caller would give, or get, more than they have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Refused(pub(crate) String);

/// Whether the caller's own rights cover what the pending changes of `write` would bring into force.
///
/// Until rights can be compared, only root may change who has which rights.
pub(crate) async fn covers(write: &mut Write, caller: &Caller) -> Result<(), ServiceError> {
    let excused = Excused::of(write, caller).await?;
    if caller.root || !write.pending().iter().any(|pending| touches_rights(pending, caller) && !excused.covers(pending)) {
        return Ok(());
    }
    Err(Refused("only the root user may change who has which rights".to_owned()).into())
}

/// Taking away counts: what is taken away may deny something.
fn touches_rights(pending: &Pending, caller: &Caller) -> bool {
    match pending {
        Pending::Put(record) => match record {
            Record::Account(_) | Record::User(_) | Record::Group(_) => false,
            Record::AccessKey(key) => key.user != caller.user,
            Record::KeySecurity { user, .. } => *user != caller.user,
            Record::Membership { .. } | Record::Policy(_) | Record::Attachment { .. } | Record::Definition { .. } => true,
        },
        Pending::Delete(key) => match key {
            RecordKey::Account(_) | RecordKey::User(_) | RecordKey::Group(_) | RecordKey::AccessKey(_) => false,
            RecordKey::KeySecurity(user) => *user != caller.user,
            RecordKey::Membership(..) | RecordKey::Policy(_) | RecordKey::Attachment(..) | RecordKey::Definition(_) => true,
        },
    }
}
