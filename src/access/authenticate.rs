//! Stage 6: who is calling. Exactly one credential is presented; a failing one never falls through to another.

use http::{HeaderMap, HeaderName};

use super::View;
use super::decision::{Denial, Facts};
use super::request::Request;
use crate::authn::scp::{Credential, Headers, Signed};
use crate::snapshot::{AccessKey, User};
use crate::types::{AuthenticationType, Reason, Timestamp};

/// Finds and verifies the credential; the caller and how they proved it go into `facts`.
pub(super) fn authenticate<'v>(
    view: &'v View,
    request: &Request<'_>,
    now: Timestamp,
    facts: &mut Facts<'v>,
) -> Result<(&'v AccessKey, &'v User), Denial> {
    let presented = Presented::find(request.headers);
    if !presented.is_scp() {
        return Err(Denial::with(Reason::NoCredential, "this service accepts `Scp-*` signatures"));
    }
    if let Some(name) = presented.other {
        return Err(Denial::with(Reason::SeveralCredentials, format!("`{name}` stands beside an `Scp-*` signature")));
    }
    if let Some(name) = presented.twice {
        return Err(Denial::with(Reason::CredentialMalformed, format!("`{name}` stands twice")));
    }
    let credential = Credential::parse(&presented.scp).map_err(|error| Denial::with(Reason::CredentialMalformed, error.to_string()))?;
    facts.access_key = Some(credential.access_key);
    if now.distance_ms(credential.signed_at) > view.clock_skew_ms {
        return Err(Denial::with(Reason::ClockSkew, format!("the gateway's time is {now}, the signature's is {}", credential.signed_at)));
    }

    // SECURITY: an unknown key does the same work as a known one with a wrong secret, and gets the same answer.
    // Test: `an_unknown_key_and_a_wrong_secret_get_the_same_answer`.
    let key = view.snapshot.key(credential.access_key);
    let signing_key = key.map_or_else(|| view.snapshot.decoy(), |key| &key.signing_key);
    let signed =
        Signed { method: request.method.as_str(), scheme: request.entrance.public_scheme, host: request.host, target: request.target };
    let verified = credential.verify(signing_key, &signed);
    let Some(key) = key.filter(|_| verified) else { return Err(Denial::new(Reason::SignatureMismatch)) };

    // Its user's record is gone or cannot be read.
    let user = view.snapshot.user(key.user).ok_or(Denial::new(Reason::OwnerInactive))?;
    facts.user = Some(user);
    facts.authentication = AuthenticationType::AuthenticationKey;
    if presented.session_token {
        return Err(Denial::with(
            Reason::SessionTokenInvalid,
            "an `X-Auth-Token` stands beside the signature of a key that has no session",
        ));
    }
    if credential.account_id.is_some_and(|account| account != user.principal.account) {
        return Err(Denial::new(Reason::AccountMismatch));
    }
    Ok((key, user))
}

/// The carriers of credentials in a request's head, found in one pass.
#[derive(Default)]
struct Presented<'a> {
    scp: Headers<'a>,
    /// A header of the signature that stands twice.
    twice: Option<&'a HeaderName>,
    /// A carrier of another scheme; none may stand beside a signature (contracts C3).
    other: Option<&'a HeaderName>,
    /// Whether a session token stands beside the signature. Sent empty it counts as absent.
    session_token: bool,
}

impl<'a> Presented<'a> {
    fn find(headers: &'a HeaderMap) -> Self {
        let mut found = Self::default();
        for (name, value) in headers {
            let slot = match name.as_str() {
                "scp-accesskey" => &mut found.scp.access_key,
                "scp-signature" => &mut found.scp.signature,
                "scp-timestamp" => &mut found.scp.timestamp,
                "scp-clienttype" => &mut found.scp.client_type,
                "scp-accountid" => &mut found.scp.account_id,
                "x-auth-token" => {
                    found.session_token |= !value.is_empty();
                    continue;
                }
                "authorization" | "x-cmp-accesskey" | "x-cmp-signature" | "svaccesskey" | "svsignature" => {
                    found.other = Some(name);
                    continue;
                }
                _ => continue,
            };
            if slot.replace(value.as_bytes()).is_some() {
                found.twice = Some(name);
            }
        }
        found
    }

    /// Whether an SCP signature is presented, complete or not.
    fn is_scp(&self) -> bool {
        self.scp.access_key.is_some() || self.scp.signature.is_some() || self.scp.timestamp.is_some()
    }
}
