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
use crate::control::service::{Caller, ServiceError};
use crate::control::store::{accounts, users};
use crate::types::{AccessKeyId, AccountId, AuthenticationType, Srn, Timestamp, UserId};

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
    user: Option<VouchedUser>,
    address: String,
    authentication_type: String,
    access_key: Option<AccessKeyId>,
    /// The gateway's id of the request.
    pub(super) request_id: String,
}

/// The user whom a gateway vouches for.
#[derive(Debug)]
struct VouchedUser {
    account: AccountId,
    id: UserId,
    srn: String,
}

impl Vouched {
    /// The client's address, as the gateway saw it; empty when that is not known.
    pub(super) fn address(&self) -> &str {
        &self.address
    }
}

impl VouchedUser {
    fn parse(principal: &str, account: &str) -> Option<Self> {
        let srn = Srn::parse(principal).ok()?;
        if srn.account != account || srn.resource_type != "user" {
            return None;
        }
        Some(Self { account: account.parse().ok()?, id: srn.resource_id.parse().ok()?, srn: principal.to_owned() })
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
        let user = match (anonymous, principal, account) {
            (true, "", "") => None,
            (true, ..) => return None,
            (false, ..) => Some(VouchedUser::parse(principal, account)?),
        };
        Some(Vouched {
            user,
            address: presented.address.to_owned(),
            authentication_type: presented.authentication_type.to_owned(),
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

    /// The caller as the store knows it now: a user that is gone or switched off calls nothing, whatever a gateway still believes.
    pub(super) async fn caller(&self, vouched: &Vouched, action: &'static str) -> Result<Caller, ApiError> {
        let Some(named) = &vouched.user else { return Err(ApiError::Unauthorized) };
        let mut read = self.store.read().await.map_err(ServiceError::from)?;
        let account = accounts::find(&mut read, named.account).await.map_err(ServiceError::from)?;
        let user = users::find(&mut read, named.account, named.id).await.map_err(ServiceError::from)?;
        let (Some(account), Some(user)) = (account.filter(|found| found.active), user.filter(|found| found.active)) else {
            return Err(ApiError::Unauthorized);
        };
        Ok(Caller {
            account: account.id,
            operator: account.operator,
            user: user.id,
            user_text: user.id.to_string(),
            srn: named.srn.clone(),
            address: vouched.address.clone(),
            authentication_type: vouched.authentication_type.clone(),
            access_key: vouched.access_key,
            escalation: self.escalation,
            request_id: vouched.request_id.clone(),
            action,
        })
    }
}
