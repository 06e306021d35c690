//! Nobody gives more than they have (contracts C11): every write passes here before it is committed.

use super::{Caller, ServiceError};
use crate::control::store::{Pending, Write};
use crate::snapshot::wire::{Record, RecordKey};
use crate::types::UserId;

/// The caller would give, or get, more than they have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Refused(pub(crate) String);

/// Whether the caller's own rights cover what the pending changes of `write` would bring into force.
///
/// Until rights can be compared, only root may change who has which rights.
pub(crate) async fn covers(write: &mut Write, caller: &Caller) -> Result<(), ServiceError> {
    if caller.root || !write.pending().iter().any(|pending| touches_rights(pending, caller)) {
        return Ok(());
    }
    Err(Refused("only the root user may change who has which rights".to_owned()).into())
}

/// Whether the caller may get hold of a user's credential, or bring a user's rights back: their own must cover all of them.
pub(crate) fn may_act_for(caller: &Caller, user: UserId) -> Result<(), ServiceError> {
    if caller.root || caller.user == user {
        return Ok(());
    }
    Err(Refused("only the root user may let another user act, or act for one".to_owned()).into())
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
