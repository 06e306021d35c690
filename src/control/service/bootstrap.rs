//! New accounts: each with a root user and an administrator with a key. The first one is the operator's.

use serde_json::json;

use super::portcullis_srn;
use crate::control::random;
use crate::control::store::access_keys::{self, NewAccessKey};
use crate::control::store::accounts::{self, Account};
use crate::control::store::authorship::Stamp;
use crate::control::store::policies::{self, NewPolicy};
use crate::control::store::users::{self, User};
use crate::control::store::{Store, StoreError, Write, audit};
use crate::snapshot::wire::{self, DocumentRef, Identity, Record, seal_owner};
use crate::source::{SecretRef, Span};
use crate::types::{AccessKeyId, AccountId, PolicyId, Secret, Timestamp, UserId};

/// Who made what no user made.
pub(crate) const SYSTEM: &str = "system";

/// The name of a policy's first version (wire-formats 3.2).
pub(crate) const FIRST_VERSION: &str = "POLICY_VERSION_1";

/// Policies of the system: for every account, changed by nobody.
const SYSTEM_POLICIES: [(&str, &str, &str); 2] = [
    (
        ADMINISTRATOR,
        "everything",
        r#"{"Version":"2024-07-01","Statement":[{"Sid":"AdministratorAccess","Effect":"Allow","Action":["*"],"Resource":["*"]}]}"#,
    ),
    (
        "ReadOnlyAccess",
        "looking at everything",
        r#"{"Version":"2024-07-01","Statement":[{"Sid":"ReadOnlyAccess","Effect":"Allow","Action":["*[List,Read,MonitorView]"],"Resource":["*"]}]}"#,
    ),
];
const ADMINISTRATOR: &str = "AdministratorAccess";

/// The name of an account's root user.
pub(crate) const ROOT: &str = "root";

/// The names of an account and its first user.
#[derive(Debug, Clone, Copy)]
pub struct Names<'a> {
    /// The account.
    pub account: &'a str,
    /// The administrator.
    pub administrator: &'a str,
}

/// Who may use a new account. The secret is nowhere else.
#[derive(Debug)]
pub struct FirstKey {
    /// The account.
    pub account: AccountId,
    /// Its root user, which has no key.
    pub root: UserId,
    /// The administrator.
    pub administrator: UserId,
    /// The administrator's access key.
    pub access_key: AccessKeyId,
    /// Its secret.
    pub secret: Secret,
}

/// Makes the operator's account and the policies of the system, in one write. `None` when there is an operator's account already.
pub(crate) async fn bootstrap(store: &Store, names: Names<'_>, now: Timestamp) -> Result<Option<FirstKey>, StoreError> {
    let mut write = store.write().await?;
    if accounts::operator(&mut write).await?.is_some() {
        return Ok(None);
    }
    for (name, description, document) in SYSTEM_POLICIES {
        add_system_policy(&mut write, name, description, document, Stamp { at: now, by: SYSTEM }).await?;
    }
    found_by_system(write, names, true, now).await.map(Some)
}

/// Makes another account, in one write.
pub(crate) async fn found_account(store: &Store, names: Names<'_>, now: Timestamp) -> Result<FirstKey, StoreError> {
    found_by_system(store.write().await?, names, false, now).await
}

async fn found_by_system(mut write: Write, names: Names<'_>, operator: bool, now: Timestamp) -> Result<FirstKey, StoreError> {
    let key = found(&mut write, names, operator, Stamp { at: now, by: SYSTEM }).await?;
    let resource = portcullis_srn(write.store(), key.account, "account", key.account);
    write.audit(audit::Entry {
        account: key.account.to_string(),
        user: SYSTEM.to_owned(),
        srn: String::new(),
        session: None,
        address: String::new(),
        request_id: String::new(),
        action: "portcullis:CreateAccount".to_owned(),
        resource,
        before: None,
        after: Some(founded(names, &key).to_string()),
    });
    write.commit(now).await?;
    Ok(key)
}

/// A new account and its people in the audit log.
pub(crate) fn founded(names: Names<'_>, key: &FirstKey) -> serde_json::Value {
    json!({
        "name": names.account, "active": true, "root": key.root.to_string(),
        "administrator": { "id": key.administrator.to_string(), "user_name": names.administrator },
        "access_key": key.access_key.to_string(),
    })
}

/// Puts an account, its root user, and an administrator with a key into a write. `stamp` is the account's; its people are the
/// system's work, for nobody of another account is shown inside of it.
pub(crate) async fn found(write: &mut Write, names: Names<'_>, operator: bool, stamp: Stamp<'_>) -> Result<FirstKey, StoreError> {
    let id = AccountId::from_bytes(random::bytes()?);
    let (root, administrator) = (UserId::from_bytes(random::bytes()?), UserId::from_bytes(random::bytes()?));
    let account = Account { id, name: names.account.to_owned(), operator, active: true, revision: write.sequence() };
    accounts::insert(write, &account, stamp).await?;
    write.put(Record::Account(wire::Account { id, name: account.name, active: true }));
    let inside = Stamp { at: stamp.at, by: SYSTEM };
    for (user, name, root) in [(root, ROOT, true), (administrator, names.administrator, false)] {
        add_user(write, User { id: user, account: id, name: name.to_owned(), root, active: true }, inside).await?;
    }
    if let Some(policy) = policies::of_system(write, ADMINISTRATOR).await? {
        let to = Identity::User(administrator);
        policies::attach(write, policy, to, inside).await?;
        write.put(Record::Attachment { policy, to });
    }
    let (access_key, secret) = add_key(write, id, administrator, inside).await?;
    Ok(FirstKey { account: id, root, administrator, access_key, secret })
}

async fn add_user(write: &mut Write, user: User, stamp: Stamp<'_>) -> Result<(), StoreError> {
    let sequence = write.sequence();
    users::insert(write, &user, sequence, stamp).await?;
    let User { id, account, name, root, active } = user;
    write.put(Record::User(wire::User { id, account, name, root, active }));
    Ok(())
}

async fn add_system_policy(write: &mut Write, name: &str, description: &str, document: &str, stamp: Stamp<'_>) -> Result<(), StoreError> {
    let id = PolicyId::from_bytes(random::bytes()?);
    let version_id = PolicyId::from_bytes(random::bytes()?).to_string();
    let policy = NewPolicy {
        id,
        account: None,
        name,
        description: Some(description),
        version_id: &version_id,
        version_name: FIRST_VERSION,
        document,
    };
    let sequence = write.sequence();
    policies::insert(write, &policy, sequence, stamp).await?;
    let document = DocumentRef::Text(document.to_owned(), Span::default());
    write.put(Record::Policy(wire::Policy { id, account: None, name: name.to_owned(), document }));
    Ok(())
}

/// A new key that is switched on and never ends; its secret goes to nobody but the caller.
pub(super) async fn add_key(
    write: &mut Write,
    account: AccountId,
    user: UserId,
    stamp: Stamp<'_>,
) -> Result<(AccessKeyId, Secret), StoreError> {
    let (id, secret) = (AccessKeyId::from_bytes(random::bytes()?), random::secret()?);
    let sealed = write.store().sealing_key().seal(&secret, &seal_owner(id, user), random::bytes()?)?;
    let sequence = write.sequence();
    access_keys::insert(write, &NewAccessKey { id, account, user, sealed: &sealed, description: None, temporary: None }, sequence, stamp)
        .await?;
    let secret_ref = SecretRef::Sealed(sealed);
    write.put(Record::AccessKey(wire::AccessKey {
        id,
        user,
        secret: secret_ref,
        secret_span: Span::default(),
        enabled: true,
        expires_at: None,
        parent: None,
        debug_until: None,
    }));
    Ok((id, secret))
}
