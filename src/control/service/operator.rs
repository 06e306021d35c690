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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::service::Actor;
    use crate::control::service::bootstrap::{self, Names};
    use crate::control::service::escalation::Escalation;
    use crate::control::store::Store;
    use crate::control::store::authorship::Stamp;
    use crate::snapshot::wire;
    use crate::types::{PolicyId, SealingKey, Timestamp};

    const NAMES: Names<'static> = Names { account: "a", administrator: "admin" };

    fn caller(account: AccountId, operator: bool) -> Caller {
        let user = UserId::from_bytes([7; 16]);
        Caller {
            account,
            operator,
            actor: Actor::User(user),
            actor_text: user.to_string(),
            srn: String::new(),
            session: None,
            address: String::new(),
            authentication_type: String::new(),
            mfa: false,
            access_key: None,
            request_id: String::new(),
            action: "portcullis:CreateAccount",
            escalation: Escalation::Refuse,
        }
    }

    #[tokio::test]
    async fn the_operator_gives_only_to_people_of_accounts_that_are_new() {
        let folder = tempfile::tempdir().unwrap();
        let now = Timestamp::from_milliseconds(1);
        let key = SealingKey::from_text(&"0a".repeat(32)).unwrap();
        let store = Store::open(&folder.path().join("s.db"), key, "e".parse().unwrap(), now).await.unwrap();
        let operator = bootstrap::bootstrap(&store, NAMES, now).await.unwrap().unwrap();
        let old = bootstrap::found_account(&store, NAMES, now).await.unwrap();

        let mut write = store.write().await.unwrap();
        let new = bootstrap::found(&mut write, NAMES, false, Stamp { at: now, by: "system" }).await.unwrap();
        let made = write.pending().len();
        assert_eq!(made, 5);
        // A new user of an account that was there, even where the write touches that account too.
        let stranger = UserId::from_bytes([8; 16]);
        write.put(Record::Account(wire::Account { id: old.account, name: "renamed".to_owned(), active: true }));
        write.put(Record::User(wire::User { id: stranger, account: old.account, name: "x".to_owned(), root: true, active: true }));
        for user in [stranger, old.administrator, operator.administrator] {
            write.put(Record::Attachment { policy: PolicyId::from_bytes([1; 16]), to: Identity::User(user) });
        }
        let excused = Excused::of(&mut write, &caller(operator.account, true)).await.unwrap();
        let (first, others) = write.pending().split_at(made);
        for pending in first {
            // The account's own record needs no excuse.
            let is_account = matches!(pending, Pending::Put(Record::Account(_)));
            assert_eq!(excused.covers(pending), !is_account, "{pending:?} of {}", new.account);
        }
        assert!(!others.iter().any(|pending| excused.covers(pending)));
        let of_customer = Excused::of(&mut write, &caller(old.account, false)).await.unwrap();
        assert!(!write.pending().iter().any(|pending| of_customer.covers(pending)));
    }
}
