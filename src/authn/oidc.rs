//! Tokens that an identity provider of somebody else signs: JWTs as OpenID Connect providers issue them (RFC 7519, RFC 7515, OpenID
//! Connect Core 1.0 section 3.1.3.7), and the sets of keys that such a provider publishes (RFC 7517).
//!
//! SECURITY: the algorithm is the published key's, never the token's choice, and no symmetric one is known here at all. A key that a token brings
//! or points to (`jwk`, `jku`, `x5u`) is a reason to refuse it. Tests: `no_header_chooses_how_a_token_is_verified`,
//! `what_a_provider_did_not_sign_is_refused`, `claims_are_read_in_one_way_or_not_at_all`.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, crypto};
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::types::Timestamp;

/// Longest token. Those of large providers, with their groups, have some thousand bytes.
pub const TOKEN_BYTES_MAX: usize = 16 * 1024;
/// Longest published set of keys.
pub const KEYS_BYTES_MAX: usize = 256 * 1024;
/// Most keys of one provider.
pub const KEYS_MAX: usize = 64;
/// Longest name of a key.
const KID_BYTES_MAX: usize = 256;
/// How many keys of one name are tried.
const SAME_NAME_MAX: usize = 4;
/// Sizes of an RSA modulus, in bytes: 2,048 to 8,192 bits (RFC 7518, section 3.3).
const RSA_BYTES: std::ops::RangeInclusive<usize> = 256..=1_024;
/// How far two clocks may differ, in seconds.
const LEEWAY_S: i64 = 60;

/// What a provider signs with.
pub struct Keys(Vec<Key>);

struct Key {
    name: String,
    algorithm: Algorithm,
    key: DecodingKey,
}

/// Why a text is no set of keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeysError {
    /// Not the JSON of a set of keys.
    #[error("it is not a JSON Web Key Set: an object with `keys`, a list of objects")]
    Form,
    /// Too long.
    #[error("it has more than {KEYS_BYTES_MAX} bytes")]
    Bytes,
    /// Too many keys.
    #[error("it has more than {KEYS_MAX} keys")]
    Count,
    /// Nothing to verify with.
    #[error("it has no key to verify signatures with: RSA of 2048 bits or more, P-256, or Ed25519, each with a `kid`")]
    Nothing,
}

/// A published set, as far as it is read.
#[derive(Deserialize)]
struct Published {
    keys: Vec<Value>,
}

/// A published key, as far as it is read (RFC 7517, section 4; RFC 7518, section 6; RFC 8037, section 2).
#[derive(Deserialize)]
struct PublishedKey {
    kty: String,
    kid: String,
    #[serde(rename = "use")]
    purpose: Option<String>,
    alg: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl Keys {
    /// Reads a published set. Keys for other purposes, of kinds that are not known here, or too weak are passed over.
    ///
    /// # Errors
    /// [`KeysError`], also when nothing is left.
    pub fn parse(json: &[u8]) -> Result<Self, KeysError> {
        if json.len() > KEYS_BYTES_MAX {
            return Err(KeysError::Bytes);
        }
        let Published { keys } = serde_json::from_slice(json).map_err(|_| KeysError::Form)?;
        if keys.len() > KEYS_MAX {
            return Err(KeysError::Count);
        }
        let keys: Vec<Key> = keys.into_iter().filter_map(|key| serde_json::from_value(key).ok().and_then(Key::of)).collect();
        if keys.is_empty() { Err(KeysError::Nothing) } else { Ok(Self(keys)) }
    }

    /// The names of the keys.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|key| &*key.name)
    }

    /// Whether there is a key of this name.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.names().any(|other| other == name)
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_list().entries(self.names()).finish()
    }
}

impl Key {
    fn of(published: PublishedKey) -> Option<Self> {
        let PublishedKey { kty, kid, purpose, alg, crv, n, e, x, y } = published;
        let (name, algorithm, key) = match (&*kty, crv.as_deref()) {
            ("RSA", _) => {
                let (n, e) = (n?, e?);
                URL_SAFE_NO_PAD.decode(&n).ok().filter(|modulus| RSA_BYTES.contains(&modulus.len()))?;
                ("RS256", Algorithm::RS256, DecodingKey::from_rsa_components(&n, &e))
            }
            ("EC", Some("P-256")) => ("ES256", Algorithm::ES256, DecodingKey::from_ec_components(&x?, &y?)),
            ("OKP", Some("Ed25519")) => ("EdDSA", Algorithm::EdDSA, DecodingKey::from_ed_components(&x?)),
            _ => return None,
        };
        let for_signatures = purpose.is_none_or(|purpose| purpose == "sig") && alg.is_none_or(|alg| alg == name);
        let named = (1..=KID_BYTES_MAX).contains(&kid.len());
        Some(Self { name: kid, algorithm, key: key.ok().filter(|_| for_signatures && named)? })
    }
}

/// Why a token is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Invalid {
    /// None of the keys signed it, or it is not of a form that they sign.
    Signature,
    /// This claim, and what it is.
    Claim(&'static str, &'static str),
}

/// A text that has the form of a signed token; nothing of it is true before [`Token::verify`] says so.
#[derive(Clone, Copy)]
pub struct Token<'a> {
    /// What is signed: two parts and the dot between them.
    signed: &'a [u8],
    signature: &'a str,
    claims: &'a [u8],
    head: &'a [u8],
}

/// The header, as far as it is read.
struct Head {
    algorithm: Algorithm,
    key: String,
}

/// What a provider says.
#[derive(Debug, Clone, PartialEq)]
pub struct Claims {
    all: BTreeMap<String, Value>,
    /// When it ends: from then on it is refused.
    pub expires_at: Timestamp,
}

impl<'a> Token<'a> {
    /// Looks at a text's length and its three parts.
    #[must_use]
    pub fn parse(text: &'a [u8]) -> Option<Self> {
        if text.len() > TOKEN_BYTES_MAX || !text.is_ascii() {
            return None;
        }
        let mut dots = text.iter().enumerate().filter(|(_, byte)| **byte == b'.').map(|(place, _)| place);
        let (Some(first), Some(second), None) = (dots.next(), dots.next(), dots.next()) else { return None };
        Some(Self {
            signed: text.get(..second)?,
            signature: std::str::from_utf8(text.get(second + 1..)?).ok()?,
            claims: text.get(first + 1..second)?,
            head: text.get(..first)?,
        })
    }

    /// Who says to have issued it. Only to find the keys that it must be verified with.
    #[must_use]
    pub fn claimed_issuer(&self) -> Option<String> {
        match object(self.claims)?.remove("iss")? {
            Value::String(issuer) => Some(issuer),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => None,
        }
    }

    /// The name of the key that it says it was signed with.
    #[must_use]
    pub fn key_name(&self) -> Option<String> {
        self.head().map(|head| head.key)
    }

    /// What the provider says: if one of its keys signed it, for one of these audiences, and it has begun. Whether it has ended is left to the
    /// caller, who asks that each time.
    ///
    /// # Errors
    /// What is wrong; of claims only when a key of the provider's signed them.
    pub fn verify(&self, keys: &Keys, issuer: &str, audiences: &[String], now: Timestamp) -> Result<Claims, Invalid> {
        let head = self.head().ok_or(Invalid::Signature)?;
        let mut fitting = keys.0.iter().filter(|key| key.name == head.key && key.algorithm == head.algorithm).take(SAME_NAME_MAX);
        if !fitting.any(|key| crypto::verify(self.signature, self.signed, &key.key, key.algorithm).unwrap_or(false)) {
            return Err(Invalid::Signature);
        }
        let all = object(self.claims).ok_or(Invalid::Signature)?;
        let is_text = |name: &str, text: &str| matches!(all.get(name), Some(Value::String(found)) if found == text);
        let for_us = match all.get("aud") {
            Some(Value::String(audience)) => audiences.contains(audience),
            Some(Value::Array(list)) => {
                list.iter().all(Value::is_string)
                    && list.iter().any(|one| one.as_str().is_some_and(|one| audiences.iter().any(|ours| ours == one)))
            }
            Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) | None => false,
        };
        let expires_at = all.get("exp").and_then(time);
        let begun = |name: &str| match all.get(name) {
            None => true,
            Some(value) => time(value).is_some_and(|begin| begin.milliseconds() <= now.milliseconds() + LEEWAY_S * 1_000),
        };
        let wrong = [
            (is_text("iss", issuer), Invalid::Claim("iss", "is not its issuer's name")),
            (for_us, Invalid::Claim("aud", "is none of those for whom this gateway takes tokens")),
            (begun("nbf"), Invalid::Claim("nbf", "is a time to come, or none")),
            (begun("iat"), Invalid::Claim("iat", "is a time to come, or none")),
        ];
        match (wrong.into_iter().find(|(good, _)| !good), expires_at) {
            (Some((_, invalid)), _) => Err(invalid),
            (None, None) => Err(Invalid::Claim("exp", "is missing, or no time")),
            (None, Some(expires_at)) => Ok(Claims { all, expires_at }),
        }
    }

    fn head(&self) -> Option<Head> {
        let mut head = object(self.head)?;
        let refused = ["crit", "b64", "jwk", "jku", "x5u", "zip", "enc", "cty"];
        let text = |value: Option<Value>| match value {
            Some(Value::String(text)) => Some(text),
            _ => None,
        };
        let named = |name: &str| matches!(name.to_ascii_lowercase().as_str(), "jwt" | "at+jwt" | "application/at+jwt");
        if refused.iter().any(|name| head.contains_key(*name)) || head.get("typ").is_some_and(|typ| !typ.as_str().is_some_and(named)) {
            return None;
        }
        let algorithm = match &*text(head.remove("alg"))? {
            "RS256" => Algorithm::RS256,
            "ES256" => Algorithm::ES256,
            "EdDSA" => Algorithm::EdDSA,
            _ => return None,
        };
        let key = text(head.remove("kid")).filter(|key| !key.is_empty() && key.len() <= KID_BYTES_MAX)?;
        Some(Head { algorithm, key })
    }
}

impl fmt::Debug for Token<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Token(..)")
    }
}

impl Claims {
    /// The text of a claim, if it is one.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.all.get(name).and_then(Value::as_str)
    }
}

/// Whole seconds since 1970 (RFC 7519, section 2: `NumericDate`; fractions are refused).
fn time(value: &Value) -> Option<Timestamp> {
    let seconds = value.as_u64().and_then(|seconds| i64::try_from(seconds).ok())?;
    seconds.checked_mul(1_000).filter(|milliseconds| *milliseconds < i64::MAX / 2).map(Timestamp::from_milliseconds)
}

/// A part that is a JSON object, no member of it twice.
fn object(part: &[u8]) -> Option<BTreeMap<String, Value>> {
    let json = URL_SAFE_NO_PAD.decode(part).ok()?;
    serde_json::from_slice::<Members>(&json).ok().map(|members| members.0)
}

struct Members(BTreeMap<String, Value>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Once)
    }
}

struct Once;

impl<'de> Visitor<'de> for Once {
    type Value = Members;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
        let mut members = BTreeMap::new();
        while let Some((name, value)) = map.next_entry::<String, Value>()? {
            if members.insert(name, value).is_some() {
                return Err(A::Error::custom("a member stands twice"));
            }
        }
        Ok(Members(members))
    }
}

#[cfg(test)]
mod tests;
