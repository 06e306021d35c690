//! Who calls: what a gateway vouches for, verified, and then looked up in the store (contracts C9).

use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use hyper::header::HeaderName;

use super::Api;
use super::call::Visit;
use super::error::ApiError;
use crate::authn::assertion::{Presented, RequestLine};
use crate::control::service::login::Visitor;
use crate::control::service::{Actor, Caller, ServiceError};
use crate::control::store::roles::Session;
use crate::control::store::{Read, StoreError, accounts, roles, users};
use crate::types::{AccessKeyId, AccountId, AuthenticationType, RoleId, Srn, Timestamp};

const PRINCIPAL: HeaderName = HeaderName::from_static("portcullis-principal");
const ACCOUNT: HeaderName = HeaderName::from_static("portcullis-account");
const ASSERTION: HeaderName = HeaderName::from_static("portcullis-assertion");
const REQUEST_ID: HeaderName = HeaderName::from_static("portcullis-request-id");

/// How far the gateway's clock may be from ours.
const CLOCK_SKEW_MS_MAX: u64 = 60_000;

/// A request that a gateway vouches for.
#[derive(Debug)]
pub(super) struct Vouched {
    /// Nobody on public routes.
    named: Option<Named>,
    address: String,
    authentication_type: String,
    mfa: bool,
    access_key: Option<AccessKeyId>,
    /// The gateway's id of the request.
    pub(super) request_id: String,
}

/// Whom a gateway vouches for.
#[derive(Debug)]
struct Named {
    account: AccountId,
    actor: Actor,
    srn: String,
    /// What the gateway says of a role's session.
    said: Option<Said>,
}

/// What a gateway says of a role's session.
#[derive(Debug)]
struct Said {
    name: String,
    source: String,
    narrowed: String,
}

impl Said {
    fn is_of(&self, Session { name, source_srn, policy, .. }: &Session) -> bool {
        let narrowed = if policy.is_some() { "true" } else { "false" };
        self.name == *name && self.source == *source_srn && self.narrowed == narrowed
    }
}

impl Vouched {
    /// The client's address, as the gateway saw it; empty when that is not known.
    pub(super) fn address(&self) -> &str {
        &self.address
    }
}

impl Named {
    /// A user, or a role where one of its sessions has signed.
    fn parse(principal: &str, account: &str, presented: &Presented<'_>) -> Option<Self> {
        let srn = Srn::parse(principal).ok()?;
        if srn.account != account {
            return None;
        }
        let by_session = presented.authentication_type == AuthenticationType::RoleSession.as_str();
        let actor = match (srn.resource_type, by_session, &presented.session) {
            ("user", false, None) => Actor::User(srn.resource_id.parse().ok()?),
            ("role", true, Some(_)) => Actor::Role(srn.resource_id.parse().ok()?),
            _ => return None,
        };
        let said = presented.session.map(|session| Said {
            name: session.name.to_owned(),
            source: session.source.to_owned(),
            narrowed: session.narrowed.to_owned(),
        });
        Some(Self { account: account.parse().ok()?, actor, srn: principal.to_owned(), said })
    }
}

impl Api {
    /// Verifies the gateway's assertion over the request's head.
    pub(super) fn identify(&self, parts: &Parts, now: Timestamp) -> Result<Vouched, ApiError> {
        self.verified(parts, now).ok_or(ApiError::Unauthorized)
    }

    fn verified(&self, parts: &Parts, now: Timestamp) -> Option<Vouched> {
        if parts.uri.authority().is_some() {
            return None;
        }
        // Each header once at most: a second one would be another reading. Absent is empty, as it was signed.
        let header = |name: &HeaderName| {
            let mut values = parts.headers.get_all(name).iter();
            let value = values.next();
            if values.next().is_some() { None } else { value.map_or(Some(""), |value| value.to_str().ok()) }
        };
        let (principal, account, request_id) = (header(&PRINCIPAL)?, header(&ACCOUNT)?, header(&REQUEST_ID)?);
        let presented = Presented::parse(header(&ASSERTION)?)?;
        let target = parts.uri.path_and_query()?.as_str();
        let line = RequestLine { method: parts.method.as_str(), target, principal, account, request_id };
        if !self.identity_keys.iter().any(|key| presented.verify(key, &line)) {
            return None;
        }
        if presented.signed_at()?.distance_ms(now) > CLOCK_SKEW_MS_MAX {
            return None;
        }
        let anonymous = presented.authentication_type == AuthenticationType::Anonymous.as_str();
        let named = match (anonymous, principal, account) {
            (true, "", "") => None,
            (true, ..) => return None,
            (false, ..) => Some(Named::parse(principal, account, &presented)?),
        };
        Some(Vouched {
            named,
            address: presented.address.to_owned(),
            authentication_type: presented.authentication_type.to_owned(),
            mfa: presented.mfa == "true",
            access_key: presented.access_key.parse().ok(),
            request_id: request_id.to_owned(),
        })
    }

    /// Somebody of whom nothing is known yet.
    pub(super) fn visit(&self, vouched: &Vouched, action: &'static str, body: Bytes, now: Timestamp) -> Visit {
        let visitor =
            Visitor { address: vouched.address.clone(), request_id: vouched.request_id.clone(), escalation: self.escalation, action };
        Visit { store: self.store.clone(), throttle: Arc::clone(&self.throttle), visitor, now, body }
    }

    /// The caller as the store knows it now: a user that is gone or switched off calls nothing, whatever a gateway still believes. Nor
    /// does a session of which the store does not know, or whose user is gone.
    pub(super) async fn caller(&self, vouched: &Vouched, action: &'static str, now: Timestamp) -> Result<Caller, ApiError> {
        let Some(named) = &vouched.named else { return Err(ApiError::Unauthorized) };
        let mut read = self.store.read().await.map_err(ServiceError::from)?;
        let account = accounts::find(&mut read, named.account).await.map_err(ServiceError::from)?;
        let account = account.filter(|found| found.active).ok_or(ApiError::Unauthorized)?;
        let (actor_text, session) = match named.actor {
            Actor::User(user) => {
                let found = users::find(&mut read, account.id, user).await.map_err(ServiceError::from)?;
                found.filter(|found| found.active).ok_or(ApiError::Unauthorized)?;
                (user.to_string(), None)
            }
            Actor::Role(role) => {
                let said = vouched.access_key.zip(named.said.as_ref());
                let found = self.session(&mut read, (account.id, role), said, now).await.map_err(ServiceError::from)?;
                (role.to_string(), Some(found.ok_or(ApiError::Unauthorized)?))
            }
        };
        Ok(Caller {
            account: account.id,
            operator: account.operator,
            actor: named.actor,
            actor_text,
            srn: named.srn.clone(),
            session,
            address: vouched.address.clone(),
            authentication_type: vouched.authentication_type.clone(),
            mfa: vouched.mfa,
            access_key: vouched.access_key,
            escalation: self.escalation,
            request_id: vouched.request_id.clone(),
            action,
        })
    }
    /// The session of a role that the gateway vouches for, as it was issued: a gateway need not be believed what the store knows.
    async fn session(
        &self,
        read: &mut Read,
        (account, role): (AccountId, RoleId),
        said: Option<(AccessKeyId, &Said)>,
        now: Timestamp,
    ) -> Result<Option<Session>, StoreError> {
        let (Some((access_key, said)), Some(_)) = (said, roles::find(read, account, role).await?) else { return Ok(None) };
        let session = roles::session(read, access_key, now).await?.filter(|session| session.role == role && said.is_of(session));
        let snapshot = self.store.snapshot();
        Ok(session.filter(|session| snapshot.user(session.source).is_some_and(|user| snapshot.is_active(user))))
    }
}
