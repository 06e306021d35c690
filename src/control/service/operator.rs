//! What the operator's people may bring into force without having it themselves: the first people of accounts that are new.

use std::collections::HashSet;

use super::{Caller, ServiceError};
use crate::control::store::{Pending, Write};
use crate::snapshot::wire::{Identity, Record, RecordKey};
use crate::types::{AccountId, UserId};

/// What a write of the operator's people may do beyond their own rights.
#[derive(Debug, Default)]
pub(super) struct Excused {
    /// Users of accounts that this write makes.
    users: HashSet<UserId>,
}

impl Excused {
    /// SECURITY: nothing for others than the operator's people, and nothing in an account that was there before the write.
    pub(super) async fn of(write: &mut Write, caller: &Caller) -> Result<Self, ServiceError> {
        if !caller.operator {
            return Ok(Self::default());
        }
        let mut put: Vec<AccountId> = Vec::new();
        for pending in write.pending() {
            if let Pending::Put(Record::Account(account)) = pending {
                put.push(account.id);
            }
        }
        let mut fresh = HashSet::new();
        for account in put {
            if !write.was_there(&RecordKey::Account(account)).await? {
                fresh.insert(account);
            }
        }
        let user = |pending: &Pending| match pending {
            Pending::Put(Record::User(user)) if fresh.contains(&user.account) => Some(user.id),
            Pending::Put(_) | Pending::Delete(_) => None,
        };
        Ok(Self { users: write.pending().iter().filter_map(user).collect() })
    }

    /// Whether a change needs no rights of the caller's own.
    pub(super) fn covers(&self, pending: &Pending) -> bool {
        match pending {
            Pending::Put(Record::User(user)) => self.users.contains(&user.id),
            Pending::Put(Record::AccessKey(key)) => self.users.contains(&key.user),
            Pending::Put(Record::Attachment { to: Identity::User(user), .. }) => self.users.contains(user),
            Pending::Put(_) | Pending::Delete(_) => false,
        }
    }
}
