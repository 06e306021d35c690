//! What comes out of a decision: a permit, a denial, or a need; and the facts found on the way.

use std::borrow::Cow;
use std::net::IpAddr;

use super::attributes::Wanted;
use super::service::Service;
use crate::policy::Action;
use crate::snapshot::{Operation, User};
use crate::types::{AccessKeyId, AuthenticationType, Reason};

/// The answer.
#[derive(Debug)]
pub enum Decision<'v> {
    /// Forward it.
    Permit(Permit<'v>),
    /// Refuse it.
    Denied(Denied<'v>),
    /// Find this out and ask again.
    Needs(Need),
}

/// What a decision depends on that only the shell can find out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Need {
    /// The body.
    Body {
        /// Most bytes of it.
        bytes_max: usize,
    },
    /// The body, because the signature covers it: nobody is authenticated yet.
    SignedBody {
        /// Most bytes of it.
        bytes_max: usize,
    },
    /// Tags and attributes of resources.
    Attributes(Vec<Wanted>),
}

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// The stable reason.
    pub reason: Reason,
    /// What exactly, where that tells a stranger nothing.
    pub detail: Option<Cow<'static, str>>,
}

impl Denial {
    /// A denial that its reason explains.
    #[must_use]
    pub const fn new(reason: Reason) -> Self {
        Self { reason, detail: None }
    }

    /// A denial with a detail.
    #[must_use]
    pub fn with(reason: Reason, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { reason, detail: Some(detail.into()) }
    }
}

/// A refusal and what was known by then.
#[derive(Debug)]
pub struct Denied<'v> {
    /// Why.
    pub denial: Denial,
    /// What was known.
    pub facts: Facts<'v>,
}

/// What was found on the way, for records, metrics, error bodies and identity headers.
#[derive(Debug)]
pub struct Facts<'v> {
    /// The client's address; `None` when a trusted proxy does not say.
    pub client_address: Option<IpAddr>,
    /// The service.
    pub service: Option<&'v Service>,
    /// The access key that was presented, true or not.
    pub access_key: Option<AccessKeyId>,
    /// The caller, once the signature was verified.
    pub user: Option<&'v User>,
    /// Whether the caller's credential may be used: enabled, not expired, from an allowed address.
    pub credential_usable: bool,
    /// How the caller proved who they are.
    pub authentication: AuthenticationType,
    /// SHA-256 of the body, as the caller signed it. Whoever passes the body on must not end it if it is another.
    pub body_sha256: Option<[u8; 32]>,
    /// The operation.
    pub operation: Option<&'v Operation>,
    /// The action.
    pub action: Option<&'v Action>,
    /// The SRNs of the resources.
    pub resources: Vec<String>,
    /// What backends told about the resources, a line each: the resource's place in the list, the condition key, the value.
    pub attributes: Vec<String>,
    /// The policy that decided and the statement in it: its index and its Sid.
    pub deciding: Option<(&'v str, usize, Option<&'v str>)>,
    /// Whether the evaluation without any index agreed, if there was one.
    pub cross_check: Option<bool>,
}

impl Default for Facts<'_> {
    fn default() -> Self {
        Self {
            client_address: None,
            service: None,
            access_key: None,
            user: None,
            credential_usable: false,
            authentication: AuthenticationType::Anonymous,
            body_sha256: None,
            operation: None,
            action: None,
            resources: Vec::new(),
            attributes: Vec::new(),
            deciding: None,
            cross_check: None,
        }
    }
}

/// Leave to forward one request. Cannot be made, copied or changed outside this component.
#[derive(Debug)]
pub struct Permit<'v> {
    facts: Facts<'v>,
    observed: Option<Denial>,
}

impl<'v> Permit<'v> {
    pub(super) const fn granted(facts: Facts<'v>) -> Self {
        Self { facts, observed: None }
    }

    pub(super) const fn observed(facts: Facts<'v>, denial: Denial) -> Self {
        Self { facts, observed: Some(denial) }
    }

    /// What was found on the way.
    #[must_use]
    pub fn facts(&self) -> &Facts<'v> {
        &self.facts
    }

    /// In observe mode: why the request would have been refused.
    #[must_use]
    pub fn would_deny(&self) -> Option<&Denial> {
        self.observed.as_ref()
    }
}
