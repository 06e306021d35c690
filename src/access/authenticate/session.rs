//! Sessions of roles: the token that stands beside the signature of a session's access key.
//!
//! SECURITY: the signature is verified first, with the secret of the key that is known, or with the one that an unknown key has if it is a
//! session's; without a token with any other key's, and then nothing comes of it. Only who holds that secret has the token looked at;
//! everybody else gets the answer that a wrong signature gets (test `a_stranger_learns_nothing_about_sessions`).

use std::hint::black_box;
use std::rc::Rc;

use super::mismatch;
use crate::access::credential::Proof;
use crate::access::decision::{Denial, Facts};
use crate::access::remembered::Remembered;
use crate::access::session::Session;
use crate::authn::session::{Claims, Presented};
use crate::authn::sigv4;
use crate::authn::token::PublicKey;
use crate::snapshot::{AccessKey, Definitions, Snapshot};
use crate::types::{AccessKeyId, AuthenticationType, Reason, Revision, Timestamp, TokenKeyId};

/// What a signature is verified with, and whose it is then.
pub(super) struct Secrets<'v> {
    snapshot: &'v Snapshot,
    access_key: AccessKeyId,
    /// The key that was named, or another one.
    tried: &'v AccessKey,
    /// Whether it is the one that was named.
    is_known: bool,
    /// Beside a token the secret that counts: that of the key, or what it has if it is a session's.
    chosen: Option<Box<sigv4::Key>>,
}

/// Who holds the secret that signed.
pub(super) enum Holder<'v> {
    /// Whose key it is.
    Owner(&'v AccessKey),
    /// A session, if the token beside the signature says so.
    Session,
}

impl<'v> Secrets<'v> {
    /// Those of an access key. SECURITY: beside a token the secret of a session is always derived, also for a key that is known; and one is put in
    /// the other's place word by word, so what follows waits for both.
    pub(super) fn of(snapshot: &'v Snapshot, access_key: AccessKeyId, has_token: bool) -> Self {
        let mut chosen = if has_token { snapshot.session_secret(access_key).map(Box::new) } else { None };
        let (tried, is_known) = snapshot.signer(access_key);
        if let Some(secret) = &mut chosen {
            secret.assign_if(&tried.secret, is_known);
        }
        Self { snapshot, access_key, tried, is_known, chosen }
    }

    /// The one that counts.
    ///
    /// SECURITY: an unknown key does the same work as a known one with a wrong secret, and gets the same answer; nothing here branches on which it is.
    /// Tests: `an_unknown_key_and_a_wrong_secret_get_the_same_answer`,
    /// `an_unknown_key_and_a_wrong_secret_get_the_same_answer_to_an_aws_signature`.
    pub(super) fn secret(&self) -> &sigv4::Key {
        self.chosen.as_deref().unwrap_or(&self.tried.secret)
    }

    /// Whether a true signature can be that of the key that was named: who has another key's secret knows that.
    pub(super) const fn may_count(&self) -> bool {
        self.is_known | self.chosen.is_some()
    }

    /// Who has signed, if that secret has; otherwise the refusal, with `digests` of what was compared if the key's owner wants to be told.
    ///
    /// SECURITY: a key that is not known is asked for that like any other.
    pub(super) fn holder(&self, verified: bool, now: Timestamp, digests: impl FnOnce() -> String) -> Result<Holder<'v>, Denial> {
        let refused = || mismatch::refusal(self.is_known & black_box(self.tried.is_debugged(now)), digests);
        match verified.then_some((self.is_known, &self.chosen)) {
            Some((true, _)) => Ok(Holder::Owner(self.tried)),
            Some((false, Some(_))) => Ok(Holder::Session),
            Some((false, None)) | None => Err(refused()),
        }
    }

    /// The proof of who has signed; `token` is what stood beside the signature.
    pub(super) fn proof(
        &self,
        holder: &Holder<'v>,
        token: Option<&[u8]>,
        remembered: &Remembered,
        now: Timestamp,
        facts: &mut Facts<'v>,
    ) -> Result<Proof<'v>, Denial> {
        match (holder, token) {
            (Holder::Owner(key), token) => {
                // Its user's record is gone or cannot be read.
                let user = self.snapshot.user(key.user).ok_or(Denial::new(Reason::OwnerInactive))?;
                facts.proved(Proof::Key(key, user), key.authentication());
                match token {
                    None => Ok(Proof::Key(key, user)),
                    Some(_) => {
                        let detail = "a session token stands beside the signature of a key that has no session";
                        Err(Denial::with(Reason::SessionTokenInvalid, detail))
                    }
                }
            }
            (Holder::Session, Some(token)) => verify(self.snapshot, remembered, (token, self.access_key), now, facts),
            (Holder::Session, None) => Err(Denial::new(Reason::SignatureMismatch)),
        }
    }
}

/// Verifies the token of a session whose access key has signed.
fn verify<'v>(
    snapshot: &'v Snapshot,
    remembered: &Remembered,
    (token, access_key): (&[u8], AccessKeyId),
    now: Timestamp,
    facts: &mut Facts<'v>,
) -> Result<Proof<'v>, Denial> {
    let invalid = |detail: &'static str| Denial::with(Reason::SessionTokenInvalid, detail);
    let read = read(snapshot, remembered, token, now).ok_or(Denial::new(Reason::SessionTokenInvalid))?;
    if read.claims().access_key != access_key {
        return Err(Denial::new(Reason::SessionTokenInvalid));
    }
    if now >= read.claims().expires_at {
        return Err(Denial::with(Reason::TokenExpired, "the session has ended; take the role again"));
    }
    // SECURITY: only here is its policy compiled: nothing is done for a session of another key, or one that has ended.
    let session = read.session(snapshot, remembered, token);
    let claims = session.claims();
    facts.session = Some(Rc::clone(&session));
    let inactive = |detail: &'static str| Denial::with(Reason::OwnerInactive, detail);
    let role = snapshot.role(claims.role).ok_or(inactive("the role is gone"))?;
    let source = snapshot.user(claims.user).ok_or(inactive("the user who took the role is gone"))?;
    if *claims.subject != *role.srn || claims.account != role.account || *claims.source != *source.principal.srn {
        return Err(Denial::new(Reason::SessionTokenInvalid));
    }
    let proof = Proof::Session { role, source };
    facts.proved(proof, AuthenticationType::RoleSession);
    // Sequences of this epoch all of them, or the second one is older.
    let ended = if claims.sequence < role.holds.sessions_valid_from {
        Some("the role's sessions were ended after it was issued; take the role again")
    } else if claims.sequence < source.holds.tokens_valid_from {
        Some("the tokens of the user who took the role were ended after it was issued")
    } else {
        None
    };
    ended.map_or(Ok(proof), |detail| Err(invalid(detail)))
}

/// What the token of a session says.
enum Read {
    /// It was verified before.
    Known(Rc<Session>),
    /// It was verified now, with this key.
    New(Box<Claims>, (TokenKeyId, PublicKey)),
}

impl Read {
    fn claims(&self) -> &Claims {
        match self {
            Self::Known(session) => session.claims(),
            Self::New(claims, _) => claims,
        }
    }

    /// With its policy as this snapshot reads it.
    fn session(self, snapshot: &Snapshot, remembered: &Remembered, text: &[u8]) -> Rc<Session> {
        match self {
            Self::Known(session) => session,
            Self::New(claims, (key, public_key)) => {
                let session = Rc::new(Session::new(*claims, snapshot.catalogue()));
                if session.may_be_remembered() {
                    remembered.sessions.put(text, (key, public_key, snapshot.definitions()), &session);
                }
                session
            }
        }
    }
}

/// What a token says that was signed with a key of this snapshot.
fn read(snapshot: &Snapshot, remembered: &Remembered, text: &[u8], now: Timestamp) -> Option<Read> {
    let Revision::Store { epoch, .. } = snapshot.revision() else { return None };
    let holds = |(key, public_key, definitions): &(TokenKeyId, PublicKey, Definitions), session: &Session| {
        session.claims().epoch == epoch
            && snapshot.token_key(*key, now).is_some_and(|key| key.public_key == *public_key)
            && definitions.are_of(snapshot)
    };
    if let Some(known) = remembered.sessions.find(text, holds) {
        return Some(Read::Known(known));
    }
    let presented = Presented::parse(text)?;
    let key = snapshot.token_key(presented.key(), now);
    let public_key = key.map_or(snapshot.decoy_token_key(), |key| key.public_key);
    let claims = presented.verify(&public_key, epoch).filter(|_| key.is_some())?;
    Some(Read::New(Box::new(claims), (presented.key(), public_key)))
}
