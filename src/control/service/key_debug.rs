//! Debug mode of an access key: for some minutes gateways say what a signature that names it is compared with.

use std::ops::RangeInclusive;

use serde_json::json;

use super::access_keys::{KIND, found, no_key, owner, record};
use super::{Accepted, Caller, Precondition, ServiceError, accept, srn};
use crate::control::store::Store;
use crate::control::store::access_keys::{self, AccessKey};
use crate::source::Cursor;
use crate::types::{AccessKeyId, Timestamp, UserId};

/// For how long; 0 ends it.
const MINUTES: RangeInclusive<u64> = 0..=60;

/// For how many minutes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Minutes(u64);

impl Minutes {
    /// Reads a body.
    pub(crate) fn decode(cursor: &Cursor<'_>) -> Option<Self> {
        let table = cursor.table()?;
        let hint = "write for how many minutes, from 1 to 60; 0 ends it";
        let minutes = table.required("minutes", hint, |value| value.integer(MINUTES, "minutes"));
        table.finish()?;
        minutes.map(Self)
    }

    fn from(self, now: Timestamp) -> Option<Timestamp> {
        let end = |ms: i64| Timestamp::from_milliseconds(now.milliseconds().saturating_add(ms));
        i64::try_from(self.0 * 60_000).ok().filter(|ms| *ms > 0).map(end)
    }
}

/// Switches the debug mode of a user's key on for some minutes, or off.
///
/// A token is enough: whoever cannot sign yet has nothing else, and what is told is made of what the asker has sent, so that strangers
/// learn no more than that there is the key.
pub(crate) async fn set(
    store: &Store,
    caller: &Caller,
    (user, id): (UserId, AccessKeyId),
    minutes: Minutes,
    precondition: &Precondition,
    now: Timestamp,
) -> Result<Accepted<AccessKey>, ServiceError> {
    let mut write = store.write().await?;
    let account = owner(&mut write, caller, user).await?;
    let before = found(&mut write, account, (user, id), precondition).await?;
    let sequence = write.sequence();
    access_keys::set_debug_until(&mut write, id, minutes.from(now), sequence, caller.stamp(now)).await?;
    let key = access_keys::find(&mut write, account, user, id).await?.ok_or_else(|| no_key(id))?;
    write.put(record(&key));
    let shown = |key: &AccessKey| Some(json!({ "debug_until": key.debug_until.map(|end| end.to_string()) }));
    write.audit(caller.entry(srn(store, account, KIND, id), shown(&before), shown(&key)));
    accept(write, caller, key, now).await
}
