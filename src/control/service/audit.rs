//! Reading the audit log: of one's own account; the operator's people that of any.

use super::{Caller, ServiceError};
use crate::control::store::Store;
use crate::control::store::audit::{self, Filter, Logged};
use crate::types::{AccountId, Srn};

/// What people of other accounts do in an account, whom it has let in itself.
const ASSUME_ROLE: &str = "sts:AssumeRole";

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
        let is_operators = |logged: &&mut Logged| !is_of(&logged.entry.srn, own.as_str()) && logged.entry.action != ASSUME_ROLE;
        found.iter_mut().filter(is_operators).for_each(conceal);
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
    logged.entry.session = None;
    logged.entry.address.clear();
    logged.entry.resource.clear();
}
