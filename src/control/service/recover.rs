//! What only whoever has the store itself may do: let somebody in who is locked out, and begin a new epoch (contracts C8, C11).

use serde_json::json;

use super::access_keys::PERMANENT_KEYS_MAX;
use super::bootstrap::{SYSTEM, add_key};
use super::srn;
use crate::control::store::accounts::{self, Account};
use crate::control::store::authorship::Stamp;
use crate::control::store::{Store, StoreError, access_keys, audit, settings, users};
use crate::snapshot::wire::{self, ConsoleOf, Record, RecordKey};
use crate::types::{AccessKeyId, AccountId, Secret, Timestamp, UserId};

/// What is to be done for a user.
#[derive(Debug, Clone, Copy)]
pub struct Recovery {
    /// The user.
    pub user: UserId,
    /// Whether they get a new access key.
    pub new_key: bool,
    /// The key that is removed to make room for it.
    pub replaced: Option<AccessKeyId>,
}

/// What was done for a user.
#[derive(Debug)]
pub struct Recovered {
    /// Their account.
    pub account: AccountId,
    /// Their name.
    pub name: String,
    /// Their new key and its secret, which is nowhere else.
    pub key: Option<(AccessKeyId, Secret)>,
}

/// Why nobody was let in.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    /// There is no such user.
    #[error("there is no user `{0}`")]
    NoUser(UserId),
    /// The key is not the user's.
    #[error("the user has no access key `{0}`")]
    NoKey(AccessKeyId),
    /// There is no room for another key.
    #[error("the user has as many permanent access keys as there may be: name the one to remove with --remove-key: {}", listed(.0))]
    TooManyKeys(Vec<AccessKeyId>),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn listed(keys: &[AccessKeyId]) -> String {
    keys.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ")
}

/// Lets a user in: active, as their account is, and from everywhere.
pub(crate) async fn recover(store: &Store, recovery: Recovery, now: Timestamp) -> Result<Recovered, RecoverError> {
    let mut write = store.write().await?;
    let snapshot = store.snapshot();
    let account = snapshot.user(recovery.user).map(|user| user.principal.account).ok_or(RecoverError::NoUser(recovery.user))?;
    let user = users::find_profile(&mut write, account, recovery.user).await?.ok_or(RecoverError::NoUser(recovery.user))?;
    let stamp = Stamp { at: now, by: SYSTEM };
    let sequence = write.sequence();
    let users::User { id, name, root, .. } = user.user;
    let fields = users::Fields {
        description: user.description,
        email: user.email,
        email_authenticated: user.email_authenticated,
        active: true,
        password_reuse_count: user.password_reuse_count,
    };
    users::update(&mut write, id, &fields, sequence, stamp).await?;
    write.put(Record::User(wire::User { id, account, name: name.clone(), root, active: true }));
    if let Some(found) = accounts::find(&mut write, account).await? {
        let whole = Account { active: true, revision: sequence, ..found };
        accounts::update(&mut write, &whole, stamp).await?;
        write.put(Record::Account(wire::Account { id: account, name: whole.name, active: true }));
    }
    settings::delete_of(&mut write, id).await?;
    settings::set_console_access(&mut write, (account, settings::Whose::Account), (false, &[]), sequence, stamp).await?;
    write.delete(RecordKey::KeySecurity(id));
    for of in [ConsoleOf::User(id), ConsoleOf::Account(account)] {
        write.delete(RecordKey::ConsoleAccess(of));
    }
    let mut keys = access_keys::of_users(&mut write, account, &[id]).await?.remove(&id).unwrap_or_default();
    if let Some(replaced) = recovery.replaced {
        let place = keys.iter().position(|key| key.id == replaced).ok_or(RecoverError::NoKey(replaced))?;
        keys.remove(place);
        let mut gone = access_keys::children(&mut write, replaced).await?;
        gone.push(replaced);
        for key in gone {
            access_keys::delete(&mut write, key).await?;
            write.delete(RecordKey::AccessKey(key));
        }
    }
    let permanent: Vec<AccessKeyId> = keys.iter().filter(|key| key.kind == access_keys::PERMANENT).map(|key| key.id).collect();
    let key = match recovery.new_key {
        false => None,
        true if permanent.len() as u64 >= PERMANENT_KEYS_MAX => return Err(RecoverError::TooManyKeys(permanent)),
        true => Some(add_key(&mut write, account, id, stamp).await?),
    };
    let after = json!({"active": true, "allowlists": "off", "new_key": key.as_ref().map(|(key, _)| key.to_string()),
        "removed_key": recovery.replaced.map(|key| key.to_string())});
    write.audit(audit::Entry {
        account: account.to_string(),
        user: SYSTEM.to_owned(),
        srn: String::new(),
        session: None,
        address: String::new(),
        request_id: String::new(),
        action: "portcullis:Recover".to_owned(),
        resource: srn(store, account, "user", id),
        before: None,
        after: Some(after.to_string()),
    });
    write.commit(now).await?;
    Ok(Recovered { account, name, key })
}
