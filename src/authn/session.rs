//! Sessions of roles: a token that our control plane signs, beside a key pair of which nobody keeps anything (contracts C3, C8).
//!
//! The token says which role was taken, by whom, and for which access key; it has the form of the other tokens of ours
//! ([`super::token`]) and an audience of its own. The secret of the access key is derived from the key itself under a key that
//! control plane and gateways share, so that a session is good everywhere at the moment when it is issued. The token holds no secret.
//!
//! SECURITY: neither is a credential alone. The token only counts beside a true signature of its access key, and a signature of such
//! a key only beside its token. Tests: `a_session_is_no_other_token_and_no_other_token_is_a_session`,
//! `what_is_not_exactly_a_session_of_ours_is_refused`.

use std::fmt;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::token::{PublicKey, SignError, Signer, Token, issuer, seconds, time};
use crate::types::{
    AccessKeyId, AccountId, Revision, RoleId, SealingKey, Secret, SigningKey, Srn, Timestamp, TokenId, TokenKeyId, UserId, hex,
};

/// Longest token of a session: its policy doubles when each byte of it is escaped, and a third is added by Base64.
pub const TOKEN_BYTES_MAX: usize = 8_192;
/// Longest policy of a session.
pub const POLICY_BYTES_MAX: usize = 2_048;
/// Most entries that an index over the policy of a session has: gateways keep those policies, compiled, and whoever may take roles must not fill their
/// memory.
pub const POLICY_ENTRIES_MAX: usize = 256;
/// Longest name of a session, in characters.
pub const NAME_CHARS_MAX: usize = 64;

/// For whom the tokens of sessions are.
const AUDIENCE: &str = "portcullis/session";
/// What the key is for under which secrets are derived.
const LABEL: &str = "role sessions";

/// What the token of a session says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// The SRN of the role.
    pub subject: String,
    /// The same role's id.
    pub role: RoleId,
    /// The same role's account.
    pub account: AccountId,
    /// The access key of the session.
    pub access_key: AccessKeyId,
    /// The SRN of the user who took the role; also where one role was taken by way of another.
    pub source: String,
    /// The same user's id.
    pub user: UserId,
    /// What the session was called by who took the role.
    pub name: String,
    /// Whether they had proved who they are with a second factor.
    pub mfa: bool,
    /// A policy that narrows the session (R50): JSON text.
    pub policy: Option<String>,
    /// The token's own id.
    pub id: TokenId,
    /// When it was issued, in whole seconds.
    pub issued_at: Timestamp,
    /// When the session ends, in whole seconds: from then on it is refused.
    pub expires_at: Timestamp,
    /// The epoch of the store that issued it.
    pub epoch: u64,
    /// The store's sequence at that time.
    pub sequence: u64,
}

/// The claims as they travel.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    iss: String,
    aud: String,
    sub: String,
    jti: String,
    iat: u64,
    exp: u64,
    account: String,
    key: String,
    source: String,
    name: String,
    mfa: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    policy: Option<String>,
    revision: String,
}

/// Whether a session may be called so. SECURITY: names stand in what gateways sign for backends, in which `;` ends a field.
#[must_use]
pub fn is_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"+=,.@-_".contains(&byte);
    (1..=NAME_CHARS_MAX).contains(&text.len()) && text.bytes().all(allowed)
}

impl Claims {
    /// The token that says this.
    ///
    /// # Errors
    /// [`SignError::Long`] when no gateway would read it, [`SignError::Failed`] when the library fails.
    pub fn sign(&self, signer: &Signer) -> Result<Secret, SignError> {
        let token = signer.sign_body(&self.to_body())?;
        if token.expose().len() > TOKEN_BYTES_MAX { Err(SignError::Long) } else { Ok(token) }
    }

    fn to_body(&self) -> Body {
        let Self { subject, role: _, account, access_key, source, user: _, name, mfa, policy, id, issued_at, expires_at, epoch, sequence } =
            self;
        Body {
            iss: issuer(*epoch),
            aud: AUDIENCE.to_owned(),
            sub: subject.clone(),
            jti: id.to_string(),
            iat: seconds(*issued_at),
            exp: seconds(*expires_at),
            account: account.to_string(),
            key: access_key.to_string(),
            source: source.clone(),
            name: name.clone(),
            mfa: *mfa,
            policy: policy.clone(),
            revision: Revision::Store { epoch: *epoch, sequence: *sequence }.to_string(),
        }
    }

    fn from_body(body: Body, own_epoch: u64) -> Option<Self> {
        let Revision::Store { epoch, sequence } = body.revision.parse().ok()? else { return None };
        let (role, source) = (Srn::parse(&body.sub).ok()?, Srn::parse(&body.source).ok()?);
        let of_us = epoch == own_epoch && role.resource_type == "role" && role.account == body.account && source.resource_type == "user";
        let short = body.policy.as_ref().is_none_or(|policy| policy.len() <= POLICY_BYTES_MAX);
        if !of_us || !short || !is_name(&body.name) {
            return None;
        }
        Some(Self {
            role: role.resource_id.parse().ok()?,
            account: body.account.parse().ok()?,
            access_key: body.key.parse().ok()?,
            user: source.resource_id.parse().ok()?,
            id: body.jti.parse().ok()?,
            issued_at: time(body.iat)?,
            expires_at: time(body.exp)?,
            epoch,
            sequence,
            subject: body.sub,
            source: body.source,
            name: body.name,
            mfa: body.mfa,
            policy: body.policy,
        })
    }
}

/// A text that has the form of a session's token; whether it is a true one, [`Presented::verify`] tells.
#[derive(Debug, Clone, Copy)]
pub struct Presented<'a>(Token<'a>);

impl<'a> Presented<'a> {
    /// Looks at the token's length, its three parts and its header; `None` when one is not as we write it.
    #[must_use]
    pub fn parse(text: &'a [u8]) -> Option<Self> {
        Token::parse_within(text, TOKEN_BYTES_MAX).map(Self)
    }

    /// The key that it says it was signed with.
    #[must_use]
    pub const fn key(&self) -> TokenKeyId {
        self.0.key
    }

    /// What the token says, if `key` signed it and it was issued in this epoch of our store. Whether the session has ended, and whether
    /// the request was signed with its access key, is left to the caller.
    #[must_use]
    pub fn verify(&self, key: &PublicKey, epoch: u64) -> Option<Claims> {
        Claims::from_body(self.0.body(key, epoch, AUDIENCE)?, epoch)
    }
}

/// What the secrets of sessions are derived from.
#[derive(Clone)]
pub struct SessionKey(SigningKey);

impl SessionKey {
    /// The one of a sealing key, which control plane and gateways share.
    #[must_use]
    pub fn new(sealing_key: &SealingKey) -> Self {
        Self(SigningKey::new(&sealing_key.subkey(LABEL)))
    }

    /// The secret of an access key, if it is one of a session of this epoch: 64 lower-case hexadecimal digits of HMAC-SHA256 over
    /// `EPOCH/ACCESS_KEY`.
    #[must_use]
    pub fn secret(&self, epoch: u64, access_key: AccessKeyId) -> Secret {
        let epoch = epoch.to_string();
        let mac = Zeroizing::new(self.0.mac_of(&[epoch.as_bytes(), b"/", access_key.to_text().as_str().as_bytes()]));
        let mut text = Zeroizing::new([0; 64]);
        hex::encode(text.as_mut_slice(), mac.as_slice());
        Secret::new(text.as_slice())
    }
}

impl fmt::Debug for SessionKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("SessionKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authn::token;
    use serde_json::{Value, json};

    const EPOCH: u64 = 1_795_212_000_000;
    const KEY: &str = "9b7653f6f47a42e38055934a0575a813";
    const ACCOUNT: &str = "f39c460fade34fecb05ede8f904b24b7";
    const ROLE: &str = "efda56a968cd45b2873d9bf5fab58e95";
    const SESSION: &str = "b754b12b39da4ce29a40c5e324650bd0";

    fn signer() -> Signer {
        Signer::new(KEY.parse().unwrap(), &Secret::new([7; token::SEED_BYTES])).unwrap()
    }

    fn claims() -> Claims {
        Claims {
            subject: format!("srn:e::{ACCOUNT}:::scp-iam:role/{ROLE}"),
            role: ROLE.parse().unwrap(),
            account: ACCOUNT.parse().unwrap(),
            access_key: SESSION.parse().unwrap(),
            source: format!("srn:e::{ROLE}:::scp-iam:user/{ACCOUNT}"),
            user: ACCOUNT.parse().unwrap(),
            name: "deploy+a=b,c.d@e-f_1".to_owned(),
            mfa: true,
            policy: Some("{\"Version\":\n\"2024-07-01\"}".to_owned()),
            id: "0b51c3e2a4974f0d8f1c2d3e4f5a6b7c".parse().unwrap(),
            issued_at: Timestamp::from_milliseconds(1_795_213_785_000),
            expires_at: Timestamp::from_milliseconds(1_795_217_385_000),
            epoch: EPOCH,
            sequence: 41,
        }
    }

    fn verify(token: &[u8]) -> Option<Claims> {
        Presented::parse(token)?.verify(&signer().public_key(), EPOCH)
    }

    fn signed(body: &Value) -> Vec<u8> {
        signer().sign_body(body).unwrap().expose().to_vec()
    }

    fn body() -> Value {
        serde_json::to_value(claims().to_body()).unwrap()
    }

    #[test]
    fn what_was_signed_reads_back() {
        let plain = Claims { policy: None, mfa: false, ..claims() };
        for claims in [claims(), plain] {
            let token = claims.sign(&signer()).unwrap();
            assert_eq!(verify(token.expose()), Some(claims));
            let presented = Presented::parse(token.expose()).unwrap();
            assert_eq!(presented.key().to_string(), KEY);
            assert!(presented.verify(&signer().public_key(), EPOCH + 1).is_none());
            let other = Signer::new(KEY.parse().unwrap(), &Secret::new([8; token::SEED_BYTES])).unwrap();
            assert!(presented.verify(&other.public_key(), EPOCH).is_none());
        }
    }

    #[test]
    fn the_longest_policy_fits_and_what_no_gateway_reads_is_not_signed() {
        let with = |policy: String| Claims { policy: Some(policy), name: "n".repeat(NAME_CHARS_MAX), ..claims() }.sign(&signer());
        let longest = with("\"".repeat(POLICY_BYTES_MAX)).unwrap();
        assert!(verify(longest.expose()).is_some(), "{}", longest.expose().len());
        assert_eq!(with("\u{1}".repeat(POLICY_BYTES_MAX)).unwrap_err(), SignError::Long);
        assert!(verify(with("a".repeat(POLICY_BYTES_MAX + 1)).unwrap().expose()).is_none());
    }

    #[test]
    fn every_changed_byte_is_refused() {
        let good = claims().sign(&signer()).unwrap().expose().to_vec();
        for index in 0..good.len() {
            for flip in [1, 2, 4, 8, 16, 32, 64, 128] {
                let mut changed = good.clone();
                changed[index] ^= flip;
                assert_eq!(verify(&changed), None, "byte {index}, {flip}");
            }
        }
        for changed in [&good[1..], &good[..good.len() - 1], &[], b"..", &[b'A'; TOKEN_BYTES_MAX + 1]] {
            assert_eq!(verify(changed), None);
        }
    }

    #[test]
    fn a_session_is_no_other_token_and_no_other_token_is_a_session() {
        let session = claims().sign(&signer()).unwrap();
        assert!(Token::parse(session.expose()).unwrap().verify(&signer().public_key(), EPOCH).is_none());
        let user = token::Claims {
            subject: claims().source,
            user: claims().user,
            account: ROLE.parse().unwrap(),
            access_key: Some(claims().access_key),
            id: claims().id,
            issued_at: claims().issued_at,
            expires_at: claims().expires_at,
            epoch: EPOCH,
            sequence: 41,
        };
        let other = signer().sign(&user).unwrap();
        assert!(Token::parse(other.expose()).unwrap().verify(&signer().public_key(), EPOCH).is_some());
        assert_eq!(verify(other.expose()), None);
        for audience in ["portcullis", "portcullis/", "portcullis/session/", ""] {
            let mut body = body();
            body["aud"] = json!(audience);
            assert_eq!(verify(&signed(&body)), None, "{audience}");
        }
    }

    #[test]
    fn what_is_not_exactly_a_session_of_ours_is_refused() {
        let with = |name: &str, value: Value| {
            let mut body = body();
            body[name] = value;
            signed(&body)
        };
        assert!(verify(&signed(&body())).is_some());
        for name in ["iss", "aud", "sub", "jti", "iat", "exp", "account", "key", "source", "name", "mfa", "revision"] {
            let mut without = body();
            without.as_object_mut().unwrap().remove(name);
            assert_eq!(verify(&signed(&without)), None, "without {name}");
            for value in [json!(null), json!(""), json!([]), json!({}), json!(-1), json!(1.5), json!([body()[name]])] {
                assert_eq!(verify(&with(name, value.clone())), None, "{name}: {value}");
            }
        }
        for (name, value) in [
            ("iss", json!("portcullis")),
            ("revision", json!("1795212000001.41")),
            ("revision", json!("file.000102abcdef")),
            ("exp", json!(u64::MAX)),
            ("sub", json!(format!("srn:e::{ACCOUNT}:::scp-iam:user/{ROLE}"))),
            ("sub", json!(format!("srn:e::{ROLE}:::scp-iam:role/{ROLE}"))),
            ("source", json!(format!("srn:e::{ACCOUNT}:::scp-iam:role/{ROLE}"))),
            ("source", json!(format!("srn:e::{ACCOUNT}:::scp-iam:user/ROOT"))),
            ("key", json!("console")),
            ("mfa", json!("true")),
            ("name", json!("a;b")),
            ("name", json!("a\nb")),
            ("name", json!("한글")),
            ("name", json!("n".repeat(NAME_CHARS_MAX + 1))),
            ("policy", json!({})),
            ("policies", json!("{}")),
            ("nbf", json!(0)),
        ] {
            assert_eq!(verify(&with(name, value.clone())), None, "{name}: {value}");
        }
    }

    #[test]
    fn a_secret_belongs_to_its_key_epoch_and_installation() {
        let key = |text: &str| SessionKey::new(&SealingKey::from_text(&text.repeat(32)).unwrap());
        let (one, other): (AccessKeyId, AccessKeyId) = (SESSION.parse().unwrap(), ROLE.parse().unwrap());
        let secret = key("0a").secret(EPOCH, one);
        assert_eq!(secret.expose(), key("0a").secret(EPOCH, one).expose());
        for different in [key("0a").secret(EPOCH, other), key("0a").secret(EPOCH + 1, one), key("0b").secret(EPOCH, one)] {
            assert_ne!(secret.expose(), different.expose());
        }
        // `openssl kdf ... -kdfopt hexkey:0a... -kdfopt "info:role sessions" HKDF`, then `openssl mac` over `EPOCH/KEY` with it.
        assert_eq!(std::str::from_utf8(secret.expose()).unwrap(), "0bf3cd736957570aefaa560bf18f69a3c3c50192bc99eb1aa8f2bed1b6310153");
        assert_eq!(format!("{:?}", key("0a")), "SessionKey(..)");
    }
}
