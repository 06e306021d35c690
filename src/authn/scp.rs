//! Samsung Cloud Platform request signatures: `Scp-*` headers of v2, `X-Cmp-*` headers of Classic, `Sv*` headers of the Secret Vault API
//! (wire-formats 1.1, 1.2, 1.4 and 2.2, contracts C2).
//!
//! All sign the same string, which has no separators. SECURITY: the lexical strictness of [`Credential::parse`] is what keeps
//! bytes from moving between its fields; `moved_bytes_never_verify` and `no_other_cut_of_a_signed_string_verifies` fail when a rule is relaxed.

mod client;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

pub use client::Client;

use crate::types::{AccessKeyId, AccountId, SigningKey, Timestamp};

/// Digits of a timestamp: milliseconds since the epoch, from 2001 to 2286.
const TIMESTAMP_DIGITS: usize = 13;
/// Characters of a signature: 32 bytes in Base64 with padding.
const SIGNATURE_CHARS: usize = 44;
/// How the id of a Classic project begins.
const PROJECT_PREFIX: &[u8] = b"PROJECT-";
/// Most characters after it. SECURITY: timestamp and access key have 45 characters, so no project id can hold both, and the
/// string that was signed cannot be cut in front of it in a second way.
const PROJECT_CHARS_MAX: usize = 44;

/// Which headers carry a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// `Scp-*`. It may name the account.
    V2,
    /// `X-Cmp-*`, of the platform before v2. It may name a project; which account that is in, nobody here knows.
    Classic,
    /// `Sv*`. It signs as v2 does without an account.
    SecretVault,
}

/// A header of a signature, whatever its name in a dialect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    AccessKey,
    Signature,
    Timestamp,
    ClientType,
    /// The account or the project.
    Scope,
}

impl Dialect {
    /// What its headers are called altogether.
    #[must_use]
    pub const fn names(self) -> &'static str {
        match self {
            Self::V2 => "Scp-*",
            Self::Classic => "X-Cmp-*",
            Self::SecretVault => "Sv*",
        }
    }

    /// The one client type that may sign.
    const fn client_type(self) -> &'static str {
        match self {
            Self::V2 | Self::SecretVault => "Openapi",
            Self::Classic => "OpenApi",
        }
    }

    const fn name(self, field: Field) -> &'static str {
        match (self, field) {
            (Self::V2, Field::AccessKey) => "Scp-Accesskey",
            (Self::V2, Field::Signature) => "Scp-Signature",
            (Self::V2, Field::Timestamp) => "Scp-Timestamp",
            (Self::V2, Field::ClientType) => "Scp-ClientType",
            (Self::V2, Field::Scope) => "Scp-AccountId",
            (Self::Classic, Field::AccessKey) => "X-Cmp-AccessKey",
            (Self::Classic, Field::Signature) => "X-Cmp-Signature",
            (Self::Classic, Field::Timestamp) => "X-Cmp-Timestamp",
            (Self::Classic, Field::ClientType) => "X-Cmp-ClientType",
            (Self::Classic, Field::Scope) => "X-Cmp-ProjectId",
            (Self::SecretVault, Field::AccessKey) => "Svaccesskey",
            (Self::SecretVault, Field::Signature) => "SvSignature",
            (Self::SecretVault, Field::Timestamp) => "Svtimestamp",
            // It has no scope.
            (Self::SecretVault, Field::ClientType | Field::Scope) => "Svclienttype",
        }
    }
}

/// The headers of one signature as they were sent.
#[derive(Debug, Clone, Copy)]
pub struct Headers<'a> {
    dialect: Dialect,
    access_key: Option<&'a [u8]>,
    signature: Option<&'a [u8]>,
    timestamp: Option<&'a [u8]>,
    client_type: Option<&'a [u8]>,
    /// Absent and empty are the same.
    scope: Option<&'a [u8]>,
    twice: Option<Field>,
}

impl<'a> Headers<'a> {
    const fn none(dialect: Dialect) -> Self {
        Self { dialect, access_key: None, signature: None, timestamp: None, client_type: None, scope: None, twice: None }
    }

    /// The dialect they are of.
    #[must_use]
    pub const fn dialect(&self) -> Dialect {
        self.dialect
    }

    fn put(&mut self, field: Field, value: &'a [u8]) {
        let slot = match field {
            Field::AccessKey => &mut self.access_key,
            Field::Signature => &mut self.signature,
            Field::Timestamp => &mut self.timestamp,
            Field::ClientType => &mut self.client_type,
            Field::Scope => &mut self.scope,
        };
        if slot.replace(value).is_some() {
            self.twice = Some(field);
        }
    }

    /// Whether somebody claims to have signed with it: what else there is may stand beside another credential.
    const fn is_claimed(&self) -> bool {
        self.access_key.is_some() || self.signature.is_some()
    }
}

/// The signatures in a request's head, of all dialects.
#[derive(Debug, Clone, Copy)]
pub struct Signatures<'a> {
    v2: Headers<'a>,
    classic: Headers<'a>,
    vault: Headers<'a>,
}

/// How many of them there are.
#[derive(Debug, Clone, Copy)]
pub enum Presented<'a> {
    /// None.
    Nothing,
    /// One, complete or not.
    One(Headers<'a>),
    /// More than one.
    Several(Dialect, Dialect),
}

impl Default for Signatures<'_> {
    fn default() -> Self {
        Self { v2: Headers::none(Dialect::V2), classic: Headers::none(Dialect::Classic), vault: Headers::none(Dialect::SecretVault) }
    }
}

impl<'a> Signatures<'a> {
    /// Takes a header with its name in lower case, if it is one of a signature.
    pub fn take(&mut self, name: &str, value: &'a [u8]) {
        // What most headers are not.
        if !matches!(name.as_bytes().first(), Some(b's' | b'x')) {
            return;
        }
        let (headers, field) = match name {
            "scp-accesskey" => (&mut self.v2, Field::AccessKey),
            "scp-signature" => (&mut self.v2, Field::Signature),
            "scp-timestamp" => (&mut self.v2, Field::Timestamp),
            "scp-clienttype" => (&mut self.v2, Field::ClientType),
            "scp-accountid" => (&mut self.v2, Field::Scope),
            "x-cmp-accesskey" => (&mut self.classic, Field::AccessKey),
            "x-cmp-signature" => (&mut self.classic, Field::Signature),
            "x-cmp-timestamp" => (&mut self.classic, Field::Timestamp),
            "x-cmp-clienttype" => (&mut self.classic, Field::ClientType),
            "x-cmp-projectid" => (&mut self.classic, Field::Scope),
            "svaccesskey" => (&mut self.vault, Field::AccessKey),
            "svsignature" => (&mut self.vault, Field::Signature),
            "svtimestamp" => (&mut self.vault, Field::Timestamp),
            "svclienttype" => (&mut self.vault, Field::ClientType),
            _ => return,
        };
        headers.put(field, value);
    }

    /// The one that is presented. A timestamp alone is one that lacks the rest, unless another one has that.
    #[must_use]
    pub fn presented(&self) -> Presented<'a> {
        let all = [&self.v2, &self.classic, &self.vault];
        let mut claimed = all.iter().filter(|headers| headers.is_claimed());
        match (claimed.next(), claimed.next()) {
            (Some(first), Some(second)) => Presented::Several(first.dialect, second.dialect),
            (Some(one), None) => Presented::One(**one),
            (None, _) => match all.iter().find(|headers| headers.timestamp.is_some()) {
                Some(one) => Presented::One(**one),
                None => Presented::Nothing,
            },
        }
    }
}

/// What of the request was signed.
#[derive(Debug, Clone, Copy)]
pub struct Signed<'a> {
    /// The method, upper-case as sent.
    pub method: &'a str,
    /// `http` or `https`: the scheme clients see.
    pub scheme: &'a str,
    /// The Host header's bytes as sent.
    pub host: &'a str,
    /// The request target's bytes as sent: path and query.
    pub target: &'a str,
}

/// Which header is missing, stands twice, or is not in its exact form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` {fault}")]
pub struct Malformed {
    /// The header, as it is documented.
    pub name: &'static str,
    /// What is wrong with it.
    pub fault: &'static str,
}

/// A well-formed signature; whether it is a true one, [`Credential::verify`] tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Credential<'a> {
    /// The key that claims to have signed.
    pub access_key: AccessKeyId,
    /// The account the client names, if it names one.
    pub account_id: Option<AccountId>,
    /// When the client says it signed.
    pub signed_at: Timestamp,
    dialect: Dialect,
    timestamp: &'a [u8],
    scope: &'a [u8],
    signature: [u8; 32],
}

impl<'a> Credential<'a> {
    /// Reads the headers strictly.
    ///
    /// # Errors
    /// A header that stands twice, or the first that is missing or not in its exact form.
    pub fn parse(headers: &Headers<'a>) -> Result<Self, Malformed> {
        let dialect = headers.dialect;
        let malformed = |field, fault| Malformed { name: dialect.name(field), fault };
        if let Some(field) = headers.twice {
            return Err(malformed(field, "stands twice"));
        }
        let access_key = headers.access_key.and_then(AccessKeyId::from_text);
        let access_key = access_key.ok_or(malformed(Field::AccessKey, "must be one access key of 32 lower-case hexadecimal digits"))?;
        let fault = malformed(Field::Timestamp, "must be milliseconds since 1970, exactly 13 digits");
        let timestamp = headers.timestamp.ok_or(fault)?;
        let signed_at = milliseconds(timestamp).ok_or(fault)?;
        let scope = headers.scope.unwrap_or_default();
        let account_id = scope_of(dialect, scope)?;
        if headers.client_type != Some(dialect.client_type().as_bytes()) {
            let fault = match dialect {
                Dialect::V2 | Dialect::SecretVault => "must be `Openapi`",
                Dialect::Classic => "must be `OpenApi`",
            };
            return Err(malformed(Field::ClientType, fault));
        }
        let signature = headers.signature.and_then(signature_bytes);
        let signature = signature.ok_or(malformed(Field::Signature, "must be the Base64 of 32 bytes, 44 characters with padding"))?;
        Ok(Self { access_key, account_id, signed_at, dialect, timestamp, scope, signature })
    }

    /// Whether `key` signed exactly this request. Compares in constant time.
    #[must_use]
    pub fn verify(&self, key: &SigningKey, signed: &Signed<'_>) -> bool {
        let mac = string_to_sign_mac(key, signed, self.timestamp, self.access_key, self.scope, self.dialect);
        verify_slices_are_equal(&mac, &self.signature).is_ok()
    }

    /// The string that has to be signed for this request. Nothing in it is secret: all of it was sent.
    #[must_use]
    pub fn string(&self, signed: &Signed<'_>) -> Vec<u8> {
        parts(signed, self.timestamp, self.access_key.to_text().as_str(), self.scope, self.dialect).concat()
    }

    /// The MAC as it was sent; once verified, the MAC of the request.
    #[must_use]
    pub const fn mac(&self) -> [u8; 32] {
        self.signature
    }
}

/// Signs a request: the value of `Scp-Signature`. For clients; `signed_at` goes into `Scp-Timestamp`.
#[must_use]
pub fn sign(key: &SigningKey, access_key: AccessKeyId, signed: &Signed<'_>, signed_at: Timestamp) -> String {
    let timestamp = signed_at.milliseconds().to_string();
    STANDARD.encode(string_to_sign_mac(key, signed, timestamp.as_bytes(), access_key, b"", Dialect::V2))
}

/// The MAC over METHOD, URL, TIMESTAMP, ACCESS_KEY, ACCOUNT_ID or PROJECT_ID, and CLIENT_TYPE, nothing between them.
fn string_to_sign_mac(
    key: &SigningKey,
    signed: &Signed<'_>,
    timestamp: &[u8],
    access_key: AccessKeyId,
    scope: &[u8],
    dialect: Dialect,
) -> [u8; 32] {
    let access_key = access_key.to_text();
    key.mac_of(&parts(signed, timestamp, access_key.as_str(), scope, dialect))
}

/// What is signed, in order.
const fn parts<'a>(signed: &Signed<'a>, timestamp: &'a [u8], access_key: &'a str, scope: &'a [u8], dialect: Dialect) -> [&'a [u8]; 9] {
    [
        signed.method.as_bytes(),
        signed.scheme.as_bytes(),
        b"://",
        signed.host.as_bytes(),
        signed.target.as_bytes(),
        timestamp,
        access_key.as_bytes(),
        scope,
        dialect.client_type().as_bytes(),
    ]
}

/// The account that a scope names, if it is one that may stand in this dialect.
fn scope_of(dialect: Dialect, scope: &[u8]) -> Result<Option<AccountId>, Malformed> {
    let malformed = |fault| Malformed { name: dialect.name(Field::Scope), fault };
    match dialect {
        Dialect::V2 if !scope.is_empty() => {
            let fault = "must be absent, empty, or an account id of 32 lower-case hexadecimal digits";
            AccountId::from_text(scope).ok_or(malformed(fault)).map(Some)
        }
        Dialect::Classic if !scope.is_empty() && !is_project(scope) => {
            Err(malformed("must be absent, empty, or `PROJECT-` and 1 to 44 letters, digits, `-` and `_`"))
        }
        Dialect::V2 | Dialect::Classic | Dialect::SecretVault => Ok(None),
    }
}

/// Whether it is the id of a Classic project.
fn is_project(text: &[u8]) -> bool {
    let is_allowed = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let rest = text.strip_prefix(PROJECT_PREFIX);
    rest.is_some_and(|rest| (1..=PROJECT_CHARS_MAX).contains(&rest.len()) && rest.iter().all(is_allowed))
}

fn milliseconds(text: &[u8]) -> Option<Timestamp> {
    if text.len() != TIMESTAMP_DIGITS || text.first() == Some(&b'0') {
        return None;
    }
    let mut value: i64 = 0;
    for byte in text {
        let digit = byte.is_ascii_digit().then(|| byte - b'0')?;
        value = value * 10 + i64::from(digit);
    }
    Some(Timestamp::from_milliseconds(value))
}

fn signature_bytes(text: &[u8]) -> Option<[u8; 32]> {
    if text.len() != SIGNATURE_CHARS {
        return None;
    }
    let mut bytes = [0; 33];
    let length = STANDARD.decode_slice(text, &mut bytes).ok()?;
    bytes.get(..length)?.try_into().ok()
}

#[cfg(test)]
#[expect(clippy::string_slice, reason = "the tests cut ASCII")]
mod tests;
