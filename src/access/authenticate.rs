//! Stage 6: who is calling. Exactly one credential is presented; a failing one never falls through to another.

mod issuer;
mod mismatch;
mod session;
mod sigv4;

pub use sigv4::{bad_chunk, other_body};

use std::rc::Rc;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};

use super::View;
use super::credential::Proof;
use super::decision::{Denial, Facts};
use super::remembered::Remembered;
use super::replay::{Family, Signature};
use super::request::Request;
use super::service::Service;
use crate::authn::scp::{self, Credential, Signatures, Signed};
use crate::authn::token::{Claims, PublicKey, Token};
use crate::snapshot::Snapshot;
use crate::types::{AuthenticationType, Reason, Revision, Timestamp, TokenKeyId};
use session::Secrets;

/// What this service takes, for who sends something else.
const ACCEPTED: &str = "this service accepts `Scp-*`, `X-Cmp-*` and `Sv*` signatures, and tokens in `X-Auth-Token`";

/// Finds and verifies the credential; the caller and how they proved it go into `facts`. Whether the access key may be used that
/// signed the request, or that the token came from, is the next stage's question. `None` when that needs the body.
pub(super) fn authenticate<'v>(
    view: &'v View,
    service: &Service,
    request: &Request<'_>,
    now: Timestamp,
    facts: &mut Facts<'v>,
) -> Result<Option<Proof<'v>>, Denial> {
    match sigv4::Carrier::find(request)? {
        Some(carrier) => sigv4::authenticate(view, service, request, carrier, now, facts),
        None => match by_headers(view, request, now, facts) {
            Err(denial) if denial.reason == Reason::NoCredential && service.sigv4.is_some() => {
                Err(Denial::with(Reason::NoCredential, format!("{ACCEPTED}, and AWS signatures (`AWS4-HMAC-SHA256`)")))
            }
            found => found.map(Some),
        },
    }
}

/// The schemes of signatures and tokens that are headers of their own.
fn by_headers<'v>(view: &'v View, request: &Request<'_>, now: Timestamp, facts: &mut Facts<'v>) -> Result<Proof<'v>, Denial> {
    let presented = Presented::find(request.headers);
    match presented.scp.presented() {
        scp::Presented::One(headers) => return signature(view, request, (&presented, &headers), now, facts),
        scp::Presented::Several(one, other) => {
            let detail = format!("an `{}` signature stands beside an `{}` signature", other.names(), one.names());
            return Err(Denial::with(Reason::SeveralCredentials, detail));
        }
        scp::Presented::Nothing => {}
    }
    match (presented.carriers, presented.token()) {
        (2.., _) => Err(several_tokens()),
        (_, Some(token)) => match issuer::find(view, request.remembered, token) {
            Some(found) => issuer::verify(view, request.remembered, found, token, now, facts),
            None => verify_token(&view.snapshot, request.remembered, token, now, facts),
        },
        (_, None) => Err(Denial::with(Reason::NoCredential, ACCEPTED)),
    }
}

fn several_tokens() -> Denial {
    Denial::with(Reason::SeveralCredentials, "more than one header carries a token")
}

/// The scheme of requests signed with an access key.
fn signature<'v>(
    view: &'v View,
    request: &Request<'_>,
    (presented, headers): (&Presented<'_>, &scp::Headers<'_>),
    now: Timestamp,
    facts: &mut Facts<'v>,
) -> Result<Proof<'v>, Denial> {
    if presented.authorization.is_some() {
        let names = headers.dialect().names();
        return Err(Denial::with(Reason::SeveralCredentials, format!("`{AUTHORIZATION}` stands beside an `{names}` signature")));
    }
    if presented.carriers > 1 {
        return Err(several_tokens());
    }
    let credential = Credential::parse(headers).map_err(|error| Denial::with(Reason::CredentialMalformed, error.to_string()))?;
    facts.access_key = Some(credential.access_key);
    if now.distance_ms(credential.signed_at) > view.clock_skew_ms {
        return Err(Denial::with(Reason::ClockSkew, format!("the gateway's time is {now}, the signature's is {}", credential.signed_at)));
    }

    let token = presented.auth_token.map(HeaderValue::as_bytes);
    let secrets = Secrets::of(&view.snapshot, credential.access_key, token.is_some());
    let signed =
        Signed { method: request.method.as_str(), scheme: request.entrance.public_scheme, host: request.host, target: request.target };
    let verified = credential.verify(secrets.secret().signing_key(), &signed);
    let holder = secrets.holder(verified, now, || mismatch::of_string(&credential.string(&signed)))?;
    let proof = secrets.proof(&holder, token, request.remembered, now, facts)?;
    facts.signature = Some(Signature { family: Family::Scp, mac: credential.mac(), signed_at: credential.signed_at, covers_body: false });
    if credential.account_id.is_some_and(|account| account != proof.caller().account()) {
        return Err(Denial::new(Reason::AccountMismatch));
    }
    Ok(proof)
}

/// The scheme of tokens that our control plane issued.
///
/// SECURITY: the signature says that a token was ours; whether it still is, the snapshot says, on every request. An unknown token key
/// costs what a wrong signature costs. Test: `a_token_is_checked_again_with_every_snapshot`.
fn verify_token<'v>(
    snapshot: &'v Snapshot,
    remembered: &Remembered,
    text: &[u8],
    now: Timestamp,
    facts: &mut Facts<'v>,
) -> Result<Proof<'v>, Denial> {
    let invalid = || Denial::new(Reason::TokenInvalid);
    let claims = claims_of(snapshot, remembered, text, now).ok_or_else(invalid)?;
    facts.access_key = claims.access_key;
    if now >= claims.expires_at {
        return Err(Denial::new(Reason::TokenExpired));
    }
    let user = snapshot.user(claims.user).ok_or(Denial::new(Reason::OwnerInactive))?;
    let (proof, authentication) = match claims.access_key {
        // A key that is gone takes its tokens with it.
        Some(key) => {
            let key = snapshot.key(key).filter(|key| key.user == claims.user).ok_or_else(invalid)?;
            (Proof::Key(key, user), AuthenticationType::ApiToken)
        }
        None => (Proof::Console(user), AuthenticationType::ConsoleLogin),
    };
    if *claims.subject != *user.principal.srn || claims.account != user.principal.account {
        return Err(invalid());
    }
    // Both are sequences of this epoch, or the second one is older.
    if claims.sequence < user.holds.tokens_valid_from {
        return Err(Denial::with(Reason::TokenInvalid, "the user's tokens were ended after it was issued"));
    }
    if user.holds.revoked(claims.id).is_some() {
        return Err(Denial::with(Reason::TokenInvalid, "it was ended before its time"));
    }
    facts.proved(proof, authentication);
    Ok(proof)
}

/// What a token says that was signed with a key of this snapshot.
fn claims_of(snapshot: &Snapshot, remembered: &Remembered, text: &[u8], now: Timestamp) -> Option<Rc<Claims>> {
    let epoch = match snapshot.revision() {
        Revision::Store { epoch, .. } => epoch,
        // Nobody issues tokens there.
        Revision::File(_) => 0,
    };
    let holds = |(key, public_key): &(TokenKeyId, PublicKey), claims: &Claims| {
        claims.epoch == epoch && snapshot.token_key(*key, now).is_some_and(|key| key.public_key == *public_key)
    };
    if let Some(known) = remembered.tokens.find(text, holds) {
        return Some(known);
    }
    let token = Token::parse(text)?;
    let key = snapshot.token_key(token.key, now);
    let public_key = key.map_or(snapshot.decoy_token_key(), |key| key.public_key);
    let claims = Rc::new(token.verify(&public_key, epoch).filter(|_| key.is_some())?);
    remembered.tokens.put(text, (token.key, public_key), &claims);
    Some(claims)
}

/// The carriers of credentials in a request's head, found in one pass.
#[derive(Default)]
struct Presented<'a> {
    /// The signatures; none may stand beside another one (contracts C3).
    scp: Signatures<'a>,
    /// `X-Auth-Token`: a token, or beside a signature the session token of its key. Sent empty it counts as absent.
    auth_token: Option<&'a HeaderValue>,
    /// `Authorization`.
    authorization: Option<&'a HeaderValue>,
    /// How many of the last two there are, each as often as it stands.
    carriers: usize,
}

impl<'a> Presented<'a> {
    fn find(headers: &'a HeaderMap) -> Self {
        let mut found = Self::default();
        for (name, value) in headers {
            match name.as_str() {
                "x-auth-token" => {
                    if !value.is_empty() {
                        found.auth_token = Some(value);
                        found.carriers += 1;
                    }
                }
                "authorization" => {
                    found.authorization = Some(value);
                    found.carriers += 1;
                }
                other => found.scp.take(other, value.as_bytes()),
            }
        }
        found
    }

    /// The token of whichever header carries one.
    fn token(&self) -> Option<&'a [u8]> {
        let bearer = |value: &'a HeaderValue| {
            let (scheme, token) = value.as_bytes().split_first_chunk::<7>()?;
            scheme.eq_ignore_ascii_case(b"bearer ").then_some(token)
        };
        self.auth_token.map(HeaderValue::as_bytes).or_else(|| self.authorization.and_then(bearer))
    }
}
