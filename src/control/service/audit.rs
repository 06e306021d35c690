//! Reading the audit log: of one's own account; the operator's people that of any.

use super::{Caller, ServiceError};
use crate::control::store::Store;
use crate::control::store::audit::{self, Filter, Logged};
use crate::types::AccountId;

/// Whose log to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whose {
    /// The caller's own account's.
    Own,
    /// That of one account: for the operator's people.
    Account(AccountId),
    /// That of all accounts: for the operator's people.
    All,
}

/// The newest entries, at most `limit`. What `filter` says about the account does not count.
pub(crate) async fn list(store: &Store, caller: &Caller, whose: Whose, filter: Filter, limit: u64) -> Result<Vec<Logged>, ServiceError> {
    // SECURITY: only the operator's people look into another account, whatever was asked for.
    let account = match (caller.operator, whose) {
        (true, Whose::All) => None,
        (true, Whose::Account(account)) => Some(account),
        (true, Whose::Own) | (false, _) => Some(caller.account),
    };
    let mut read = store.read().await?;
    Ok(audit::list(&mut read, &Filter { account, ..filter }, limit).await?)
}
