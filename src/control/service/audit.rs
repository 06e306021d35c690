//! Reading the audit log: of one's own account; the operator's people that of any.

use super::{Caller, ServiceError};
use crate::control::store::Store;
use crate::control::store::audit::{self, Filter, Logged};
use crate::types::{AccountId, Srn};

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
    let mut found = audit::list(&mut read, &Filter { account, ..filter }, limit).await?;
    if !caller.operator {
        let own = caller.account.to_text();
        found.iter_mut().filter(|logged| !is_of(&logged.entry.srn, own.as_str())).for_each(conceal);
    }
    Ok(found)
}

/// Whether an SRN, if there is one, is of this account.
fn is_of(srn: &str, account: &str) -> bool {
    srn.is_empty() || Srn::parse(srn).is_ok_and(|srn| srn.account == account)
}

/// That the operator did it is the account's business; which of the operator's people, and from where, is not.
fn conceal(logged: &mut Logged) {
    "operator".clone_into(&mut logged.entry.user);
    logged.entry.srn.clear();
    logged.entry.address.clear();
    logged.entry.resource.clear();
}
