//! The gateway's word to a backend: who calls, signed with the key that gateway and backend share (contracts C9).
//!
//! `Portcullis-Assertion: v2;time=MS;type=TYPE;key=ACCESS_KEY;mfa=BOOL;address=IP;signature=BASE64URL`. The signature is
//! HMAC-SHA256 over these lines, each with a line feed except the last: `portcullis-v2`, method, target, principal, account,
//! authentication type, access key, MFA, client address, request id, time in milliseconds.
//!
//! Of a role's session it says more: `v3` for `v2`, `portcullis-v3` for `portcullis-v2`, and between the client's address and what follows
//! it, in the header (`;session=NAME;source=USER_SRN;narrowed=BOOL`) and in the lines, what [`Session`] says.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use smallvec::SmallVec;

use crate::types::{SigningKey, Timestamp};

/// First line of what is signed; a new form gets a new one.
const FORM: &str = "portcullis-v2";
/// The same of a role's session.
const SESSION_FORM: &str = "portcullis-v3";
/// Characters of a signature.
const SIGNATURE_CHARS: usize = 43;

/// What the gateway vouches for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Assertion<'a> {
    /// The method.
    pub method: &'a str,
    /// The request target as sent: path and query.
    pub target: &'a str,
    /// SRN of the caller; empty on public routes.
    pub principal: &'a str,
    /// Account of the caller; empty on public routes.
    pub account: &'a str,
    /// How the caller proved who they are.
    pub authentication_type: &'a str,
    /// By which access key, also where a token came from it; empty on public routes.
    pub access_key: &'a str,
    /// Whether with a second factor: `true` or `false`.
    pub mfa: &'a str,
    /// The client's address; empty when it is not known.
    pub address: &'a str,
    /// The session, where the caller is a role.
    pub session: Option<Session<'a>>,
    /// The request's id.
    pub request_id: &'a str,
    /// When the gateway decided, in milliseconds since 1970, as digits.
    pub time: &'a str,
}

/// What is said of a role's session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Session<'a> {
    /// What it was called by who took the role.
    pub name: &'a str,
    /// SRN of the user who took it.
    pub source: &'a str,
    /// Whether it has a policy of its own, and so fewer rights than the role: `true` or `false`.
    pub narrowed: &'a str,
}

/// The header taken apart; nothing of it is true before it is verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Presented<'a> {
    /// As in [`Assertion`].
    pub time: &'a str,
    /// As in [`Assertion`].
    pub authentication_type: &'a str,
    /// As in [`Assertion`].
    pub access_key: &'a str,
    /// As in [`Assertion`].
    pub mfa: &'a str,
    /// As in [`Assertion`].
    pub address: &'a str,
    /// As in [`Assertion`].
    pub session: Option<Session<'a>>,
    signature: &'a str,
}

impl Assertion<'_> {
    fn mac(&self, key: &SigningKey) -> [u8; 32] {
        let lines = [
            if self.session.is_some() { SESSION_FORM } else { FORM },
            self.method,
            self.target,
            self.principal,
            self.account,
            self.authentication_type,
            self.access_key,
            self.mfa,
            self.address,
        ];
        let mut message: SmallVec<[u8; 640]> = SmallVec::new();
        let mut put = |line: &str| {
            message.extend_from_slice(line.as_bytes());
            message.push(b'\n');
        };
        lines.into_iter().for_each(&mut put);
        if let Some(Session { name, source, narrowed }) = self.session {
            [name, source, narrowed].into_iter().for_each(&mut put);
        }
        put(self.request_id);
        message.extend_from_slice(self.time.as_bytes());
        key.mac(&message)
    }

    /// The value of the header.
    #[must_use]
    pub fn sign(&self, key: &SigningKey) -> Vec<u8> {
        let mut signature = [0; SIGNATURE_CHARS];
        let written = URL_SAFE_NO_PAD.encode_slice(self.mac(key), &mut signature).unwrap_or(0);
        let Self { time, authentication_type, access_key, mfa, address, .. } = self;
        let mut header = Vec::with_capacity(192);
        let mut put = |part: &str| header.extend_from_slice(part.as_bytes());
        put(if self.session.is_some() { "v3" } else { "v2" });
        for part in [";time=", time, ";type=", authentication_type, ";key=", access_key, ";mfa=", mfa, ";address=", address] {
            put(part);
        }
        if let Some(Session { name, source, narrowed }) = self.session {
            [";session=", name, ";source=", source, ";narrowed=", narrowed].into_iter().for_each(&mut put);
        }
        put(";signature=");
        header.extend_from_slice(signature.get(..written).unwrap_or_default());
        header
    }
}

impl<'a> Presented<'a> {
    /// Takes the header's value apart; `None` when it has another form.
    #[must_use]
    pub fn parse(header: &'a str) -> Option<Self> {
        let mut parts = header.split(';');
        let form = parts.next()?;
        let mut next = |name: &str| parts.next()?.strip_prefix(name);
        let (time, authentication_type, access_key) = (next("time=")?, next("type=")?, next("key=")?);
        let (mfa, address) = (next("mfa=")?, next("address=")?);
        let session = match form {
            "v2" => None,
            "v3" => Some(Session { name: next("session=")?, source: next("source=")?, narrowed: next("narrowed=")? }),
            _ => return None,
        };
        let signature = next("signature=")?;
        parts.next().is_none().then_some(Self { time, authentication_type, access_key, mfa, address, session, signature })
    }

    /// When the gateway says it decided.
    #[must_use]
    pub fn signed_at(&self) -> Option<Timestamp> {
        let digits = (1..=15).contains(&self.time.len()) && self.time.bytes().all(|byte| byte.is_ascii_digit());
        self.time.parse().ok().filter(|_| digits).map(Timestamp::from_milliseconds)
    }

    /// Whether the gateway has said this: the rest of what it vouches for stands in the request itself. Constant time.
    #[must_use]
    pub fn verify(&self, key: &SigningKey, request: &RequestLine<'_>) -> bool {
        let RequestLine { method, target, principal, account, request_id } = *request;
        let Self { time, authentication_type, access_key, mfa, address, session, signature } = *self;
        let said =
            Assertion { method, target, principal, account, authentication_type, access_key, mfa, address, session, request_id, time };
        let expected = said.mac(key);
        let presented = URL_SAFE_NO_PAD.decode(signature).unwrap_or_default();
        verify_slices_are_equal(&expected, &presented).is_ok()
    }
}

/// The part of an assertion that stands outside its header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestLine<'a> {
    /// The method.
    pub method: &'a str,
    /// The request target.
    pub target: &'a str,
    /// `Portcullis-Principal`, empty when absent.
    pub principal: &'a str,
    /// `Portcullis-Account`, empty when absent.
    pub account: &'a str,
    /// `Portcullis-Request-Id`.
    pub request_id: &'a str,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Secret;

    #[test]
    fn what_was_signed_verifies_and_nothing_else_does() {
        let session = Session { name: "deploy", source: "srn:e::b:::scp-iam:user/w", narrowed: "false" };
        for session in [None, Some(session)] {
            check(session);
        }
    }

    fn check(session: Option<Session<'_>>) {
        let key = SigningKey::new(&Secret::new(b"a key of gateway and backend".to_vec()));
        let other = SigningKey::new(&Secret::new(b"a key of another backend!!!!".to_vec()));
        let assertion = Assertion {
            method: "GET",
            target: "/v1/groups?size=1",
            principal: "srn:e::a:::scp-iam:user/u",
            account: "a",
            authentication_type: "AuthenticationKey",
            access_key: "b754b12b39da4ce29a40c5e324650bd0",
            mfa: "false",
            address: "192.0.2.1",
            session,
            request_id: "req-1",
            time: "1795213784687",
        };
        let header = String::from_utf8(assertion.sign(&key)).unwrap();
        let line =
            RequestLine { method: "GET", target: "/v1/groups?size=1", principal: assertion.principal, account: "a", request_id: "req-1" };
        let presented = Presented::parse(&header).unwrap();
        assert!(presented.verify(&key, &line));
        assert_eq!(presented.signed_at().unwrap().milliseconds(), 1_795_213_784_687);
        assert!(!presented.verify(&other, &line));
        for changed in [
            RequestLine { method: "PUT", ..line },
            RequestLine { target: "/v1/groups?size=2", ..line },
            RequestLine { principal: "srn:e::a:::scp-iam:user/v", ..line },
            RequestLine { account: "b", ..line },
            RequestLine { request_id: "req-2", ..line },
        ] {
            assert!(!presented.verify(&key, &changed), "{changed:?}");
        }
        for index in 0..header.len() {
            let mut bytes = header.clone().into_bytes();
            bytes[index] = if bytes[index] == b'1' { b'2' } else { b'1' };
            let changed = String::from_utf8(bytes).unwrap();
            // The last character of a signature carries two bits that say nothing; strict Base64 refuses them.
            assert!(Presented::parse(&changed).is_none_or(|presented| !presented.verify(&key, &line)), "{changed}");
        }
        for bad in [
            "",
            "v1",
            "v1;time=1;type=a;key=k;mfa=b;address=c;signature=d",
            "v2;time=1;type=a;mfa=b;address=c;signature=d",
            &format!("{header};x=1"),
            &header.replace("mfa", "MFA"),
            &header.replacen(if session.is_some() { "v3" } else { "v2" }, if session.is_some() { "v2" } else { "v3" }, 1),
            &header.replacen("v2", "v4", 1).replacen("v3", "v4", 1),
        ] {
            assert_eq!(Presented::parse(bad), None, "{bad}");
        }
    }
}
