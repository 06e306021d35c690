//! The use cases: what may be written, by whom, within which limits. One file per resource.
//!
//! Each takes the [`Caller`] and works on the caller's own account: what belongs to another account does not exist here.
//! Everything that is written goes through [`accept`].

pub(crate) mod access_keys;
pub(crate) mod accounts;
pub(crate) mod audit;
pub(crate) mod bindings;
pub(crate) mod bootstrap;
mod catalogue;
pub(crate) mod definitions;
pub(crate) mod documents;
pub(crate) mod duration;
pub(crate) mod escalation;
pub(crate) mod fields;
pub(crate) mod groups;
pub(crate) mod key_debug;
pub(crate) mod login;
mod operator;
pub(crate) mod passcodes;
pub(crate) mod password;
pub(crate) mod places;
pub(crate) mod policies;
pub(crate) mod recover;
pub(crate) mod roles;
pub(crate) mod sessions;
pub(crate) mod settings;
pub(crate) mod throttle;
pub(crate) mod tokens;
mod trust;
pub(crate) mod users;

use super::delivery::NotSent;
use super::random::NoRandom;
use super::store::audit::{self as log, Entry};
use super::store::authorship::Stamp;
use super::store::roles::Session;
use super::store::{Store, StoreError, Write};
use crate::types::{AccessKeyId, AccountId, AuthenticationType, Revision, RoleId, SealError, Srn, Timestamp, UserId};

/// Who acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Actor {
    /// A user.
    User(UserId),
    /// A role, by one of its sessions.
    Role(RoleId),
}

/// Who calls, as the gateway vouched for and the store knows.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// The account: the only one the call reads and writes.
    pub(crate) account: AccountId,
    /// Whether that account is the operator's.
    pub(crate) operator: bool,
    /// The user or role.
    pub(crate) actor: Actor,
    /// Its id as text.
    pub(crate) actor_text: String,
    /// Its SRN.
    pub(crate) srn: String,
    /// A role's session, and who is behind it.
    pub(crate) session: Option<Session>,
    /// The client's address, as the gateway saw it.
    pub(crate) address: String,
    /// How they proved who they are.
    pub(crate) authentication_type: String,
    /// Whether with a second factor.
    pub(crate) mfa: bool,
    /// With which access key, directly or by a token.
    pub(crate) access_key: Option<AccessKeyId>,
    /// What happens when they give more than they have.
    pub(crate) escalation: escalation::Escalation,
    /// The request.
    pub(crate) request_id: String,
    /// The action that the request is.
    pub(crate) action: &'static str,
}

/// What is said to who came by a token where that is not enough.
const UNSIGNED: &str = "a token is not enough for this; sign the request with an access key";
/// What is said to sessions of roles where something is of users only.
const NO_USER: &str = "a role has no keys, tokens and settings of its own; call this as a user";

impl Caller {
    /// Refuses another account as one that does not exist.
    pub(crate) fn owns(&self, account: AccountId) -> Result<(), ServiceError> {
        if account == self.account { Ok(()) } else { Err(ServiceError::NotFound("account", account.to_string())) }
    }

    /// The user, where something is of users only.
    pub(crate) fn user(&self) -> Result<UserId, ServiceError> {
        match self.actor {
            Actor::User(user) => Ok(user),
            Actor::Role(_) => Err(ServiceError::NoToken(NO_USER)),
        }
    }

    /// Whether they are this user.
    pub(crate) fn is(&self, user: UserId) -> bool {
        self.actor == Actor::User(user)
    }

    /// The user behind a role's session.
    pub(crate) fn behind(&self) -> Option<UserId> {
        self.session.as_ref().map(|session| session.source)
    }

    /// Whether they are this user who has come as a role: what one may not do for oneself one does not do that way.
    pub(crate) fn is_behind(&self, user: UserId) -> bool {
        self.behind() == Some(user)
    }

    /// Refuses who has not signed this request: with an access key of either kind, or with that of a role's session.
    ///
    /// SECURITY: a token that made tokens, keys or passwords would last for ever. Tests: `a_token_begets_no_token`,
    /// `a_token_begets_neither_keys_nor_passwords`.
    pub(crate) fn has_signed(&self) -> Result<(), ServiceError> {
        let kinds = [AuthenticationType::AuthenticationKey, AuthenticationType::TemporaryKey, AuthenticationType::RoleSession];
        if kinds.into_iter().any(|kind| self.has_signed_with(kind)) { Ok(()) } else { Err(ServiceError::NoToken(UNSIGNED)) }
    }

    /// Whether they proved who they are in this way.
    pub(crate) fn has_signed_with(&self, kind: AuthenticationType) -> bool {
        self.authentication_type == kind.as_str()
    }

    /// Who writes now.
    pub(crate) fn stamp(&self, now: Timestamp) -> Stamp<'_> {
        Stamp { at: now, by: &self.actor_text }
    }

    /// An entry of the audit log: what this call does to `resource`, as JSON before and after.
    pub(crate) fn entry(&self, resource: String, before: Option<serde_json::Value>, after: Option<serde_json::Value>) -> Entry {
        Entry {
            account: self.account.to_string(),
            user: self.actor_text.clone(),
            srn: self.srn.clone(),
            session: self.session.as_ref().map(|session| log::Session { name: session.name.clone(), source: session.source_srn.clone() }),
            address: self.address.clone(),
            request_id: self.request_id.clone(),
            action: self.action.to_owned(),
            resource,
            before: before.map(|value| value.to_string()),
            after: after.map(|value| value.to_string()),
        }
    }
}

/// Why a use case did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServiceError {
    /// There is no such thing in the caller's account.
    #[error("there is no {0} `{1}`")]
    NotFound(&'static str, String),
    /// What was sent cannot be; every complaint names the member and says what to write.
    #[error("the request is not valid")]
    Invalid(Vec<String>),
    /// Something of this name exists.
    #[error("there is a {0} named `{1}` already")]
    Taken(&'static str, String),
    /// No more of these.
    #[error("an account has at most {most} {what}")]
    Full {
        /// What there are too many of.
        what: &'static str,
        /// How many there may be.
        most: u64,
    },
    /// No more of these in the whole control plane.
    #[error("a control plane has at most {most} {what}")]
    AllTaken {
        /// What there are too many of.
        what: &'static str,
        /// How many there may be.
        most: u64,
    },
    /// It is as it must be.
    #[error("{0}")]
    Fixed(String),
    /// Policies would restrict less; what they would lose, as sentences.
    #[error("policies would deny or except less than now")]
    Widening(Vec<String>),
    /// No more of these in one thing.
    #[error("a {of} has at most {most} {what}")]
    TooMany {
        /// What would have too many.
        of: &'static str,
        /// How many it may have.
        most: u64,
        /// Of what.
        what: &'static str,
    },
    /// Others depend on it.
    #[error("the {what} `{name}` is attached to {by}; detach it first")]
    InUse {
        /// What it is.
        what: &'static str,
        /// Its name.
        name: String,
        /// Who depends on it.
        by: String,
    },
    /// It belongs to the system.
    #[error("the policy `{0}` is one of the system; nobody changes it, but it may be attached")]
    OfSystem(String),
    /// Not in the state the thing is in; says what to do first.
    #[error("{0}")]
    State(String),
    /// It has changed since the caller read it.
    #[error("it has changed since it was read; read it again")]
    Changed,
    /// The caller would give more than they have.
    #[error(transparent)]
    Escalation(#[from] escalation::rules::Refusal),
    /// Not for this caller: a token begets nothing that outlives it.
    #[error("{0}")]
    NoToken(&'static str),
    /// A role that is not the caller's to take; says no more than the caller may know.
    #[error("{0}")]
    Untrusted(String),
    /// A name or a password that is not right; not told which.
    #[error("account, name and password do not belong together")]
    WrongLogin,
    /// Asked for more often than is good.
    #[error("{sentence}")]
    TooOften {
        /// What was too often.
        sentence: &'static str,
        /// In how many seconds it may be tried again.
        wait_s: u64,
    },
    /// A passcode did not reach the one who is to have it.
    #[error("a passcode could not be sent: {0}")]
    NotSent(#[source] NotSent),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No random bytes.
    #[error(transparent)]
    Random(#[from] NoRandom),
    /// A secret could not be sealed.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// A password could not be hashed.
    #[error(transparent)]
    Hash(#[from] password::HashError),
}

/// What the caller last saw of a thing: `If-Match`.
#[derive(Debug, Clone, Default)]
pub(crate) enum Precondition {
    /// Whatever it is now.
    #[default]
    None,
    /// It must be in one of these states.
    OneOf(Vec<Revision>),
}

impl Precondition {
    /// Refuses when the thing is in another state.
    pub(crate) fn check(&self, now: Revision) -> Result<(), ServiceError> {
        match self {
            Self::None => Ok(()),
            Self::OneOf(seen) if seen.contains(&now) => Ok(()),
            Self::OneOf(_) => Err(ServiceError::Changed),
        }
    }
}

/// What was written, and as which revision.
#[derive(Debug)]
pub(crate) struct Accepted<T> {
    /// What was written.
    pub(crate) value: T,
    /// The revision.
    pub(crate) revision: Revision,
}

impl<T> Accepted<T> {
    /// What was written, apart from the fact that it was.
    pub(crate) fn split(self) -> (Accepted<()>, T) {
        (Accepted { value: (), revision: self.revision }, self.value)
    }
}

/// The one way to end a use case that writes: refuses what gives more than the caller has, then commits.
pub(crate) async fn accept<T>(mut write: Write, caller: &Caller, value: T, now: Timestamp) -> Result<Accepted<T>, ServiceError> {
    escalation::judge(&mut write, caller, now).await?;
    let revision = write.commit(now).await?;
    Ok(Accepted { value, revision })
}

/// The SRN of a thing of the service `iam`, as its API writes it.
pub(crate) fn srn(store: &Store, account: AccountId, kind: &str, id: impl std::fmt::Display) -> String {
    srn_of("iam", store, account, kind, &id)
}

/// The SRN of a thing of the service `portcullis`: in the account of the operator who works on it, as gateways decide about it.
pub(crate) fn portcullis_srn(store: &Store, account: AccountId, kind: &str, id: impl std::fmt::Display) -> String {
    srn_of("portcullis", store, account, kind, &id)
}

fn srn_of(service_type: &str, store: &Store, account: AccountId, kind: &str, id: &dyn std::fmt::Display) -> String {
    let (account, id) = (account.to_string(), id.to_string());
    let offering = store.offering().as_str();
    Srn { offering, account: &account, region: "", service_type, resource_type: kind, resource_id: &id }.to_string()
}
