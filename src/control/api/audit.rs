//! The audit log, newest first, and where the store stands.

use std::str::FromStr;

use serde::Serialize;
use serde_json::value::RawValue;

use super::call::{Answer, Call};
use super::error::ApiError;
use super::query::Query;
use crate::control::service::ServiceError;
use crate::control::service::audit::{self, Whose};
use crate::control::store::audit::{Filter, Logged, Place};
use crate::types::AccountId;

/// Instead of an account's id: all accounts.
const ALL: &str = "*";

#[derive(Serialize)]
struct LogPage {
    entries: Vec<EntryBody>,
    /// What to ask for next; `null` at the end.
    next_marker: Option<String>,
}

#[derive(Serialize)]
struct EntryBody {
    account_id: String,
    action: String,
    address: String,
    after: Option<Box<RawValue>>,
    before: Option<Box<RawValue>>,
    request_id: String,
    resource: String,
    revision: String,
    /// Where a role did it: by which session.
    session: Option<SessionBody>,
    srn: String,
    time: String,
    user_id: String,
}

#[derive(Serialize)]
struct SessionBody {
    name: String,
    /// The user behind it.
    source: String,
}

#[derive(Serialize)]
struct Standing {
    revision: String,
    digest: String,
}

/// A place in the log, as a client sends it back: `SEQUENCE.NUMBER`.
struct Marker(Place);

impl FromStr for Marker {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |digits: &str| digits.parse().ok().filter(|number: &u64| number.to_string() == digits);
        let place = text.split_once('.').and_then(|(sequence, entry)| Some(Place { sequence: number(sequence)?, number: number(entry)? }));
        place.map(Self).ok_or_else(|| format!("`{}` is no marker", text.chars().take(64).collect::<String>()))
    }
}

impl EntryBody {
    fn new(call: &Call, logged: Logged) -> Self {
        let Logged { place, at, entry } = logged;
        // Written by ourselves, as JSON.
        let json = |text: Option<String>| text.and_then(|text| RawValue::from_string(text).ok());
        Self {
            account_id: entry.account,
            action: entry.action,
            address: entry.address,
            after: json(entry.after),
            before: json(entry.before),
            request_id: entry.request_id,
            resource: entry.resource,
            revision: call.revision(place.sequence).to_string(),
            session: entry.session.map(|session| SessionBody { name: session.name, source: session.source }),
            srn: entry.srn,
            time: at.to_string(),
            user_id: entry.user,
        }
    }
}

pub(super) async fn list(call: Call) -> Result<Answer, ApiError> {
    const TIME: &str = "write a time such as 2026-11-20T22:00:00Z";
    let query = call.query();
    let size = query.size();
    let filter = Filter {
        account: None,
        before: query.parsed("marker", "send the `next_marker` of the page before").map(|Marker(place)| place),
        user: query.text("user_id"),
        action: query.text("action"),
        resource: query.text("resource"),
        since: query.parsed("since", TIME),
        until: query.parsed("until", TIME),
    };
    // Others do not know this parameter.
    let whose = if call.caller.operator { whose(&query) } else { Whose::Own };
    query.finish()?;
    // One more than asked for tells whether there is a next page.
    let mut found = audit::list(&call.store, &call.caller, whose, filter, size.saturating_add(1)).await?;
    let more = found.len() as u64 > size;
    found.truncate(usize::try_from(size).unwrap_or(usize::MAX));
    let next_marker = found.last().filter(|_| more).map(|last| format!("{}.{}", last.place.sequence, last.place.number));
    let entries = found.into_iter().map(|logged| EntryBody::new(&call, logged)).collect();
    Ok(Answer::ok(&LogPage { entries, next_marker }))
}

fn whose(query: &Query) -> Whose {
    struct Asked(Whose);
    impl FromStr for Asked {
        type Err = <AccountId as FromStr>::Err;

        fn from_str(text: &str) -> Result<Self, Self::Err> {
            Ok(Self(if text == ALL { Whose::All } else { Whose::Account(text.parse()?) }))
        }
    }
    query.parsed("account_id", "write the id of an account, or * for all").map_or(Whose::Own, |Asked(whose)| whose)
}

pub(super) async fn revision(call: Call) -> Result<Answer, ApiError> {
    call.query().finish()?;
    let mut state = call.store.state().await.map_err(ServiceError::from)?;
    let position = state.position().await.map_err(ServiceError::from)?;
    Ok(Answer::ok(&Standing { revision: call.revision(position.head).to_string(), digest: position.digest.to_string() }))
}
