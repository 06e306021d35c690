//! Tokens that our own control plane signs: JWTs (RFC 7519) under Ed25519 (contracts C3, C8).
//!
//! SECURITY: the algorithm is fixed on both sides. A header must name it, the key and the type, and nothing else, so that no
//! token chooses how it is verified; unknown and doubled claims are refused, so that a claim that narrows a token is never
//! overlooked. Tests: `what_is_not_exactly_a_token_of_ours_is_refused`, `every_changed_byte_is_refused`.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::signature::{ED25519_PUBLIC_KEY_LEN, Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::types::{AccessKeyId, AccountId, Revision, Secret, Srn, Timestamp, TokenId, TokenKeyId, UserId};

/// Longest token. Ours have about 700 bytes.
pub const TOKEN_BYTES_MAX: usize = 4_096;
/// Bytes of what a signing key is made of.
pub const SEED_BYTES: usize = 32;

/// For whom our tokens are.
const AUDIENCE: &str = "portcullis";
/// What stands where the access key would stand in the token of a console login. No key is written so.
const CONSOLE: &str = "console";
/// The `typ` of a header.
const TYPE: &str = "JWT";
/// The `alg` of a header.
const ALGORITHM: &str = "EdDSA";
/// What stands before the 32 bytes of a key in PKCS#8 (RFC 8410, section 7).
const PKCS8_PREFIX: [u8; 16] = [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// Whose it is: the user's SRN.
    pub subject: String,
    /// The same user's id.
    pub user: UserId,
    /// The same user's account.
    pub account: AccountId,
    /// The access key that asked for it, with which the token ends; `None` for a console login.
    pub access_key: Option<AccessKeyId>,
    /// The token's own id.
    pub id: TokenId,
    /// When it was issued, in whole seconds.
    pub issued_at: Timestamp,
    /// When it ends, in whole seconds: from then on it is refused.
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
    revision: String,
}

/// The header as it travels.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Head<'a> {
    alg: &'a str,
    kid: &'a str,
    typ: &'a str,
}

pub(super) fn issuer(epoch: u64) -> String {
    format!("portcullis/{epoch}")
}

pub(super) fn seconds(time: Timestamp) -> u64 {
    u64::try_from(time.milliseconds().div_euclid(1_000)).unwrap_or(0)
}

pub(super) fn time(seconds: u64) -> Option<Timestamp> {
    i64::try_from(seconds).ok()?.checked_mul(1_000).map(Timestamp::from_milliseconds)
}

impl Claims {
    fn to_body(&self) -> Body {
        let Self { subject, user: _, account, access_key, id, issued_at, expires_at, epoch, sequence } = self;
        Body {
            iss: issuer(*epoch),
            aud: AUDIENCE.to_owned(),
            sub: subject.clone(),
            jti: id.to_string(),
            iat: seconds(*issued_at),
            exp: seconds(*expires_at),
            account: account.to_string(),
            key: access_key.map_or_else(|| CONSOLE.to_owned(), |key| key.to_string()),
            revision: Revision::Store { epoch: *epoch, sequence: *sequence }.to_string(),
        }
    }

    fn from_body(body: Body, own_epoch: u64) -> Option<Self> {
        let Revision::Store { epoch, sequence } = body.revision.parse().ok()? else { return None };
        let srn = Srn::parse(&body.sub).ok()?;
        if epoch != own_epoch || srn.resource_type != "user" || srn.account != body.account {
            return None;
        }
        Some(Self {
            user: srn.resource_id.parse().ok()?,
            account: body.account.parse().ok()?,
            subject: body.sub,
            access_key: if body.key == CONSOLE { None } else { Some(body.key.parse().ok()?) },
            id: body.jti.parse().ok()?,
            issued_at: time(body.iat)?,
            expires_at: time(body.exp)?,
            epoch,
            sequence,
        })
    }
}

/// A text that has the form of a token; whether it is a true one, [`Token::verify`] tells.
#[derive(Clone, Copy)]
pub struct Token<'a> {
    text: &'a [u8],
    /// The key that it says it was signed with.
    pub key: TokenKeyId,
}

impl<'a> Token<'a> {
    /// Looks at a token's length, its three parts and its header; `None` when one is not as we write it.
    #[must_use]
    pub fn parse(text: &'a [u8]) -> Option<Self> {
        Self::parse_within(text, TOKEN_BYTES_MAX)
    }

    /// The same for one that may have so many bytes.
    pub(super) fn parse_within(text: &'a [u8], bytes_max: usize) -> Option<Self> {
        if text.len() > bytes_max {
            return None;
        }
        let mut parts = text.split(|byte| *byte == b'.');
        let (Some(head), Some(_), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else { return None };
        let head = URL_SAFE_NO_PAD.decode(head).ok()?;
        let Head { alg, kid, typ } = serde_json::from_slice(&head).ok()?;
        let key = kid.parse().ok().filter(|_| alg == ALGORITHM && typ == TYPE)?;
        Some(Self { text, key })
    }

    /// What the token says, if `key` signed it and it was issued in this epoch of our store. Whether it has ended is left to the
    /// caller, who knows the time.
    #[must_use]
    pub fn verify(&self, key: &PublicKey, epoch: u64) -> Option<Claims> {
        Claims::from_body(self.body(key, epoch, AUDIENCE)?, epoch)
    }

    /// The claims of one that is for `audience`.
    pub(super) fn body<B: DeserializeOwned>(&self, key: &PublicKey, epoch: u64, audience: &str) -> Option<B> {
        jsonwebtoken::decode(self.text, &DecodingKey::from_ed_der(&key.0), &validation(epoch, audience)).ok().map(|decoded| decoded.claims)
    }
}

impl fmt::Debug for Token<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Token(.. under {})", self.key)
    }
}

/// The one place that says what is validated.
///
/// SECURITY: the library's defaults take a token without issuer or audience, allow a minute after its end, and read the clock.
fn validation(epoch: u64, audience: &str) -> Validation {
    let mut validation = Validation::new(Algorithm::EdDSA);
    validation.set_required_spec_claims(&["iss", "aud", "sub", "exp"]);
    validation.set_issuer(&[issuer(epoch)]);
    validation.set_audience(&[audience]);
    validation.leeway = 0;
    // By its own clock; the time is an argument here. `Body` has an end in any case.
    validation.validate_exp = false;
    validation
}

/// What a gateway verifies tokens with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublicKey([u8; ED25519_PUBLIC_KEY_LEN]);

impl PublicKey {
    /// From its 32 bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; ED25519_PUBLIC_KEY_LEN]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

/// A text that is no public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a public key is 32 bytes in unpadded Base64url, 43 characters")]
pub struct PublicKeyError;

impl FromStr for PublicKey {
    type Err = PublicKeyError;

    fn from_str(text: &str) -> Result<Self, PublicKeyError> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| PublicKeyError)?;
        bytes.try_into().map(Self).map_err(|_| PublicKeyError)
    }
}

/// Why a token could not be signed. Says nothing about the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// The key is none.
    #[error("a signing key of tokens is {SEED_BYTES} bytes")]
    Key,
    /// The library failed.
    #[error("the token could not be signed")]
    Failed,
    /// No gateway would read it.
    #[error("the token would be too long")]
    Long,
}

/// What the control plane signs tokens with.
pub struct Signer {
    id: TokenKeyId,
    key: EncodingKey,
    public_key: PublicKey,
}

impl Signer {
    /// From the bytes that a key is made of; the same bytes are the same key.
    ///
    /// # Errors
    /// [`SignError::Key`] when they are not [`SEED_BYTES`].
    pub fn new(id: TokenKeyId, seed: &Secret) -> Result<Self, SignError> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed.expose()).map_err(|_| SignError::Key)?;
        let public_key = pair.public_key().as_ref().try_into().map(PublicKey).map_err(|_| SignError::Key)?;
        let mut pkcs8 = Zeroizing::new([0; PKCS8_PREFIX.len() + SEED_BYTES]);
        for (to, from) in pkcs8.iter_mut().zip(PKCS8_PREFIX.iter().chain(seed.expose())) {
            *to = *from;
        }
        Ok(Self { id, key: EncodingKey::from_ed_der(pkcs8.as_slice()), public_key })
    }

    /// What gateways verify with.
    #[must_use]
    pub const fn public_key(&self) -> PublicKey {
        self.public_key
    }

    /// The token that says this.
    ///
    /// # Errors
    /// [`SignError::Failed`] when the library fails.
    pub fn sign(&self, claims: &Claims) -> Result<Secret, SignError> {
        self.sign_body(&claims.to_body())
    }

    /// The token with these claims.
    pub(super) fn sign_body(&self, body: &impl Serialize) -> Result<Secret, SignError> {
        let mut header = Header::new(Algorithm::EdDSA);
        header.kid = Some(self.id.to_string());
        let token = jsonwebtoken::encode(&header, body, &self.key).map_err(|_| SignError::Failed)?;
        Ok(Secret::new(token.into_bytes()))
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Signer({})", self.id)
    }
}

#[cfg(test)]
mod tests;
