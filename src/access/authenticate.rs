//! Stage 6: who is calling. Exactly one credential is presented; a failing one never falls through to another.

use http::{HeaderMap, HeaderName, header};

use super::View;
use super::decision::{Denial, Facts};
use super::request::Request;
use crate::authn::scp::{Credential, Headers, Malformed, Signed};
use crate::snapshot::AccessKey;
use crate::types::{AuthenticationType, Reason, Timestamp};

const SCP_ACCESS_KEY: HeaderName = HeaderName::from_static("scp-accesskey");
const SCP_SIGNATURE: HeaderName = HeaderName::from_static("scp-signature");
const SCP_TIMESTAMP: HeaderName = HeaderName::from_static("scp-timestamp");
const SCP_CLIENT_TYPE: HeaderName = HeaderName::from_static("scp-clienttype");
const SCP_ACCOUNT_ID: HeaderName = HeaderName::from_static("scp-accountid");
const X_AUTH_TOKEN: HeaderName = HeaderName::from_static("x-auth-token");
/// Carriers of credentials of other schemes; none may stand beside a signature (contracts C3).
static OTHER_CARRIERS: [HeaderName; 4] = [
    header::AUTHORIZATION,
    HeaderName::from_static("x-cmp-accesskey"),
    HeaderName::from_static("x-cmp-signature"),
    HeaderName::from_static("svaccesskey"),
];

/// Finds and verifies the credential; the caller and how they proved it go into `facts`.
pub(super) fn authenticate<'v>(
    view: &'v View,
    request: &Request<'_>,
    now: Timestamp,
    facts: &mut Facts<'v>,
) -> Result<&'v AccessKey, Denial> {
    let headers = request.headers;
    let presented = [SCP_ACCESS_KEY, SCP_SIGNATURE, SCP_TIMESTAMP].iter().any(|name| headers.contains_key(name));
    let other = OTHER_CARRIERS.iter().find(|name| headers.contains_key(*name));
    match (presented, other) {
        (true, None) => {}
        (true, Some(name)) => {
            return Err(Denial::with(Reason::SeveralCredentials, format!("`{name}` stands beside an `Scp-*` signature")));
        }
        (false, _) => return Err(Denial::with(Reason::NoCredential, "this service accepts `Scp-*` signatures")),
    }
    let credential = Credential::parse(&scp_headers(headers)?).map_err(malformed)?;
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

    facts.user = Some(&key.user);
    facts.authentication = AuthenticationType::AuthenticationKey;
    if headers.get_all(X_AUTH_TOKEN).iter().any(|token| !token.is_empty()) {
        return Err(Denial::with(
            Reason::SessionTokenInvalid,
            "an `X-Auth-Token` stands beside the signature of a key that has no session",
        ));
    }
    if credential.account_id.is_some_and(|account| account != key.user.principal.account) {
        return Err(Denial::new(Reason::AccountMismatch));
    }
    Ok(key)
}

fn scp_headers(headers: &HeaderMap) -> Result<Headers<'_>, Denial> {
    Ok(Headers {
        access_key: single(headers, &SCP_ACCESS_KEY)?,
        signature: single(headers, &SCP_SIGNATURE)?,
        timestamp: single(headers, &SCP_TIMESTAMP)?,
        client_type: single(headers, &SCP_CLIENT_TYPE)?,
        account_id: single(headers, &SCP_ACCOUNT_ID)?,
    })
}

fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a [u8]>, Denial> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    if values.next().is_some() {
        return Err(Denial::with(Reason::CredentialMalformed, format!("`{name}` stands twice")));
    }
    Ok(first.map(http::HeaderValue::as_bytes))
}

fn malformed(error: Malformed) -> Denial {
    Denial::with(Reason::CredentialMalformed, error.to_string())
}
