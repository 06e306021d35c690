//! What was accepted once must not be accepted again: the claim that a permit comes with (contracts C4).
//!
//! Here is only decided which requests lay claim to their signature. Whether it was claimed before, the shell knows, which remembers:
//! it asks last, when nothing else can refuse the request any more, so that nobody uses up a signature that was not theirs to use.

use std::fmt;

use http::{Method, header};

use super::decision::Facts;
use super::request::Request;
use super::service::Mode;
use crate::types::{AccountId, Timestamp};

/// How much of a body tells one request from another that has the same signature.
pub const BODY_BYTES_MAX: usize = 64 * 1024;

/// Which requests a service takes once only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replay {
    /// None: every request as often as it comes, while its signature is good.
    Off,
    /// Those that change something each time they are carried out: POST and PATCH.
    Changing,
    /// All.
    All,
}

impl Replay {
    fn is_once_only(self, method: &Method) -> bool {
        match self {
            Self::Off => false,
            Self::Changing => matches!(*method, Method::POST | Method::PATCH),
            Self::All => true,
        }
    }
}

/// Who signs the same string in the same way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
    /// `Scp-*`, `X-Cmp-*` and `Sv*`.
    ///
    /// SECURITY: one family, because one captured signature can be sent in the headers of another dialect
    /// (test `a_signature_is_not_taken_again_in_the_headers_of_another_dialect`).
    Scp,
    /// AWS Signature Version 4 in the header. Presigned queries are made to be used more than once.
    Aws,
}

/// A signature that was verified.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature {
    /// Who signs like this.
    pub family: Family,
    /// What was computed from the request, and is what was sent. As good as a credential while its time lasts, so never shown.
    pub mac: [u8; 32],
    /// When it was made; the MAC covers that.
    pub signed_at: Timestamp,
    /// Whether the MAC covers the body.
    pub covers_body: bool,
}

impl fmt::Debug for Signature {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Signature({:?}, {}, ..)", self.family, self.signed_at)
    }
}

/// A claim to a signature, which has to be good before the request is forwarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// Whose claim it is: what can be remembered for an account is bounded.
    pub account: AccountId,
    /// What is claimed.
    pub signature: Signature,
}

impl Claim {
    /// The claim of a request that is allowed, if it has to make one.
    pub(super) fn of(facts: &Facts<'_>, request: &Request<'_>) -> Option<Self> {
        let signature = facts.signature.filter(|_| facts.service.is_some_and(|service| service.replay.is_once_only(request.method)))?;
        Some(Self { account: facts.caller?.account(), signature })
    }

    /// Whether nothing that was read of the body can be told from another one yet.
    pub(super) fn lacks_body(&self, facts: &Facts<'_>, request: &Request<'_>) -> bool {
        if self.signature.covers_body || request.body.is_some() || request.is_begun {
            return false;
        }
        // Who only observes does not keep waiting who may be waiting for an answer before sending more.
        let observed = facts.service.is_some_and(|service| service.mode == Mode::Observe);
        !observed || request.headers.contains_key(header::CONTENT_LENGTH)
    }
}
