//! What comes out of a decision: a permit, a denial, or a need; and the facts found on the way.

use std::borrow::Cow;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use super::attributes::Wanted;
use super::credential::Proof;
use super::replay::{Claim, Signature};
use super::service::{Mode, Service};
use super::session::Session;
use crate::authn::sigv4::Chunks;
use crate::policy::Action;
use crate::snapshot::{Caller, Operation};
use crate::types::{AccessKeyId, AccountId, AuthenticationType, Reason};

/// The answer.
#[derive(Debug)]
pub enum Decision<'v> {
    /// Forward it.
    Permit(Permit<'v>),
    /// Refuse it.
    Denied(Denied<'v>),
    /// Find this out and ask again; and what is known until now.
    Needs(Need, Facts<'v>),
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
    /// The beginning of the body, or all of it: what tells the request from another one with the same signature. It is allowed.
    Beginning {
        /// So many bytes are enough.
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
    /// How long it will be refused, where that is known.
    pub retry_after: Option<Duration>,
}

impl Denial {
    /// A denial that its reason explains.
    #[must_use]
    pub const fn new(reason: Reason) -> Self {
        Self { reason, detail: None, retry_after: None }
    }

    /// A denial with a detail.
    #[must_use]
    pub fn with(reason: Reason, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { reason, detail: Some(detail.into()), retry_after: None }
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
    /// The bucket that the Host names, where the path does not.
    pub bucket: Option<Box<str>>,
    /// The access key that was presented, true or not.
    pub access_key: Option<AccessKeyId>,
    /// The caller, once the signature was verified.
    pub caller: Option<Caller<'v>>,
    /// By which session, where the caller is a role; whether or not the role is known here.
    pub session: Option<Rc<Session>>,
    /// Whether the caller's credential may be used: enabled, not expired, from an allowed address.
    pub credential_usable: bool,
    /// How the caller proved who they are.
    pub authentication: AuthenticationType,
    /// The identity provider that vouches for the caller, if it is one: its `iss`.
    pub issuer: Option<&'v str>,
    /// The caller's signature, if it is one that may be good for one request only.
    pub signature: Option<Signature>,
    /// SHA-256 of the body, as the caller signed it. Whoever passes the body on must not end it if it is another.
    pub body_sha256: Option<[u8; 32]>,
    /// What takes the body apart that the caller sends in chunks. Whoever passes it on passes on what comes out of this, and no more.
    pub body_chunks: Option<Box<Chunks>>,
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

impl<'v> Facts<'v> {
    /// Notes who calls, and how they proved it.
    pub(super) fn proved(&mut self, proof: Proof<'v>, authentication: AuthenticationType) {
        self.caller = Some(proof.caller());
        self.authentication = authentication;
    }
}

impl Facts<'_> {
    /// Whether somebody has proved that they hold a credential of ours, whoever that makes them: the role of a session may be too new to be
    /// known here.
    #[must_use]
    pub const fn is_proved(&self) -> bool {
        self.caller.is_some() || self.session.is_some()
    }

    /// Account and key of the caller, if it is one whose credential is proved and may be used; for a console login the user's id stands for
    /// the key.
    #[must_use]
    pub fn account_and_key(&self) -> Option<(AccountId, AccessKeyId)> {
        let caller = self.caller.filter(|_| self.credential_usable)?;
        let key = self.access_key.or_else(|| caller.user().map(|user| AccessKeyId::from_bytes(*user.principal.user.as_bytes())));
        Some((caller.account(), key?))
    }

    /// Whether the caller has proved who they are with a second factor: with a temporary key, for which a passcode was sent to who made it,
    /// or in a session of a role by who took the role (R54).
    #[must_use]
    pub fn mfa(&self) -> bool {
        let by_key = self.authentication == AuthenticationType::TemporaryKey;
        self.session.as_ref().map_or(by_key, |session| session.mfa())
    }
}

impl Default for Facts<'_> {
    fn default() -> Self {
        Self {
            client_address: None,
            service: None,
            bucket: None,
            access_key: None,
            caller: None,
            session: None,
            credential_usable: false,
            authentication: AuthenticationType::Anonymous,
            issuer: None,
            signature: None,
            body_sha256: None,
            body_chunks: None,
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
    claim: Option<Claim>,
}

impl<'v> Permit<'v> {
    pub(super) const fn granted(facts: Facts<'v>, claim: Option<Claim>) -> Self {
        Self { facts, observed: None, claim }
    }

    pub(super) const fn observed(facts: Facts<'v>, denial: Denial) -> Self {
        Self { facts, observed: Some(denial), claim: None }
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

    /// The claim that has to be good before anything is forwarded. INVARIANT: nobody forwards a permit that still has one.
    #[must_use]
    pub fn claim(&self) -> Option<&Claim> {
        self.claim.as_ref()
    }
}

impl<'v> Decision<'v> {
    /// Why authentication failed, if it did, and what was presented. Who presented nothing has not failed, and what is refused after a
    /// signature was verified is no failure either.
    #[must_use]
    pub fn failed_authentication(&self) -> Option<(Reason, &Facts<'v>)> {
        let (reason, facts) = match self {
            Self::Permit(permit) => (permit.would_deny()?.reason, permit.facts()),
            Self::Denied(denied) => (denied.denial.reason, &denied.facts),
            Self::Needs(..) => return None,
        };
        let failed = matches!(
            reason,
            Reason::CredentialMalformed
                | Reason::ClockSkew
                | Reason::SignatureMismatch
                | Reason::TokenInvalid
                | Reason::SessionTokenInvalid
        );
        (failed && facts.caller.is_none()).then_some((reason, facts))
    }

    /// The same of what was found on the way.
    #[must_use]
    pub fn account_and_key(&self) -> Option<(AccountId, AccessKeyId)> {
        match self {
            Self::Permit(permit) => permit.facts(),
            Self::Denied(denied) => &denied.facts,
            Self::Needs(_, facts) => facts,
        }
        .account_and_key()
    }

    /// Makes the claim of a permit, if it has one.
    #[must_use]
    pub fn settled(self, make: impl FnOnce(&Claim) -> Result<(), Denial>) -> Self {
        match self {
            Self::Permit(Permit { facts, observed, claim: Some(claim) }) => match make(&claim) {
                Ok(()) => Self::Permit(Permit { facts, observed, claim: None }),
                Err(denial) => refuse(facts, denial),
            },
            other @ (Self::Permit(_) | Self::Denied(_) | Self::Needs(..)) => other,
        }
    }

    /// Refuses for another reason, which the shell knows.
    #[must_use]
    pub fn overruled(self, denial: Denial) -> Self {
        match self {
            Self::Permit(Permit { facts, .. }) | Self::Denied(Denied { facts, .. }) | Self::Needs(_, facts) => refuse(facts, denial),
        }
    }
}

/// The refusal; in observe mode a permit that remembers it.
pub(super) fn refuse(facts: Facts<'_>, denial: Denial) -> Decision<'_> {
    match facts.service {
        Some(service) if service.mode == Mode::Observe => Decision::Permit(Permit::observed(facts, denial)),
        Some(_) | None => Decision::Denied(Denied { denial, facts }),
    }
}
