//! Samsung Cloud Platform v2 request signatures, `Scp-*` headers (wire-formats 1.1 and 1.2, contracts C2).
//!
//! The signed string has no separators. SECURITY: the lexical strictness of [`Credential::parse`] is what keeps
//! bytes from moving between its fields; `moved_and_changed_bytes_never_verify` fails when a rule is relaxed.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use smallvec::SmallVec;

use crate::types::{AccessKeyId, AccountId, SigningKey, Timestamp};

/// Digits of a timestamp: milliseconds since the epoch, from 2001 to 2286.
const TIMESTAMP_DIGITS: usize = 13;
/// Characters of a signature: 32 bytes in Base64 with padding.
const SIGNATURE_CHARS: usize = 44;
/// The client types that may sign.
const CLIENT_TYPES: [&str; 1] = ["Openapi"];

/// The headers of one signature as they were sent, each at most once.
#[derive(Debug, Clone, Copy, Default)]
pub struct Headers<'a> {
    /// `Scp-Accesskey`.
    pub access_key: Option<&'a [u8]>,
    /// `Scp-Signature`.
    pub signature: Option<&'a [u8]>,
    /// `Scp-Timestamp`.
    pub timestamp: Option<&'a [u8]>,
    /// `Scp-ClientType`.
    pub client_type: Option<&'a [u8]>,
    /// `Scp-AccountId`; absent and empty are the same.
    pub account_id: Option<&'a [u8]>,
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

/// Which header is missing or not in its exact form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Access key.
    #[error("`Scp-Accesskey` must be one access key of 32 lower-case hexadecimal digits")]
    AccessKey,
    /// Signature.
    #[error("`Scp-Signature` must be the Base64 of 32 bytes, 44 characters with padding")]
    Signature,
    /// Timestamp.
    #[error("`Scp-Timestamp` must be milliseconds since 1970, exactly 13 digits")]
    Timestamp,
    /// Client type.
    #[error("`Scp-ClientType` must be `Openapi`")]
    ClientType,
    /// Account id.
    #[error("`Scp-AccountId` must be absent, empty, or an account id of 32 lower-case hexadecimal digits")]
    AccountId,
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
    timestamp: &'a [u8],
    client_type: &'a [u8],
    signature: [u8; 32],
}

impl<'a> Credential<'a> {
    /// Reads the headers strictly.
    ///
    /// # Errors
    /// The first header that is missing or not in its exact form.
    pub fn parse(headers: &Headers<'a>) -> Result<Self, Malformed> {
        let access_key = headers.access_key.and_then(AccessKeyId::from_text).ok_or(Malformed::AccessKey)?;
        let timestamp = headers.timestamp.ok_or(Malformed::Timestamp)?;
        let signed_at = milliseconds(timestamp).ok_or(Malformed::Timestamp)?;
        let account_id = match headers.account_id {
            None | Some([]) => None,
            Some(text) => Some(AccountId::from_text(text).ok_or(Malformed::AccountId)?),
        };
        let client_type = headers.client_type.ok_or(Malformed::ClientType)?;
        if !CLIENT_TYPES.iter().any(|known| known.as_bytes() == client_type) {
            return Err(Malformed::ClientType);
        }
        let signature = headers.signature.and_then(signature_bytes).ok_or(Malformed::Signature)?;
        Ok(Self { access_key, account_id, signed_at, timestamp, client_type, signature })
    }

    /// Whether `key` signed exactly this request. Compares in constant time.
    #[must_use]
    pub fn verify(&self, key: &SigningKey, signed: &Signed<'_>) -> bool {
        let mac = string_to_sign_mac(key, signed, self.timestamp, self.access_key, self.account_id, self.client_type);
        verify_slices_are_equal(&mac, &self.signature).is_ok()
    }
}

/// Signs a request: the value of `Scp-Signature`. For clients; `signed_at` goes into `Scp-Timestamp`.
#[must_use]
pub fn sign(key: &SigningKey, access_key: AccessKeyId, signed: &Signed<'_>, signed_at: Timestamp) -> String {
    let timestamp = signed_at.milliseconds().to_string();
    let client_type = CLIENT_TYPES.first().copied().unwrap_or_default().as_bytes();
    STANDARD.encode(string_to_sign_mac(key, signed, timestamp.as_bytes(), access_key, None, client_type))
}

/// The MAC over METHOD, URL, TIMESTAMP, ACCESS_KEY, ACCOUNT_ID and CLIENT_TYPE, nothing between them.
fn string_to_sign_mac(
    key: &SigningKey,
    signed: &Signed<'_>,
    timestamp: &[u8],
    access_key: AccessKeyId,
    account_id: Option<AccountId>,
    client_type: &[u8],
) -> [u8; 32] {
    let access_key = access_key.to_text();
    let account_id = account_id.map(|account| account.to_text());
    // One buffer and one pass: each update of the MAC costs more than copying these few hundred bytes.
    let mut string: SmallVec<[u8; 512]> = SmallVec::new();
    for part in [signed.method, signed.scheme, "://", signed.host, signed.target] {
        string.extend_from_slice(part.as_bytes());
    }
    string.extend_from_slice(timestamp);
    string.extend_from_slice(access_key.as_str().as_bytes());
    string.extend_from_slice(account_id.as_ref().map_or("", |account| account.as_str()).as_bytes());
    string.extend_from_slice(client_type);
    key.mac(&string)
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
mod tests {
    use super::*;
    use crate::types::Secret;
    use proptest::prelude::*;

    const ACCESS: &str = "b754b12b39da4ce29a40c5e324650bd0";
    const ACCOUNT: &str = "f39c460fade34fecb05ede8f904b24b7";

    fn key() -> SigningKey {
        SigningKey::new(&Secret::new(b"c4150149-f7c6-46bc-9faa-d2b9d20e0899".to_vec()))
    }

    fn verifies(method: &str, host: &str, target: &str, fields: [&str; 5]) -> bool {
        let [timestamp, access, account, client, signature] = fields.map(str::as_bytes);
        let headers = Headers {
            access_key: Some(access),
            signature: Some(signature),
            timestamp: Some(timestamp),
            client_type: Some(client),
            account_id: Some(account),
        };
        Credential::parse(&headers).is_ok_and(|credential| credential.verify(&key(), &Signed { method, scheme: "http", host, target }))
    }

    /// Measured with the vendor's Go SDK v1.0.2 (wire-formats 1.2).
    const VECTORS: [(&str, &str, &str, &str, &str); 8] = [
        ("GET", "/v1/endpoints", "1795213784687", "", "vmO1xxCFWyxKxKGwPA5oUQ9gcMdAtcvnkH2XJmlhYXg="),
        (
            "GET",
            "/v1/groups?name=%ED%95%9C%EA%B8%80+A%2Bb%26c%3D%5Bx%5D&page=0&size=20&sort=created_at%3Adesc",
            "1795213784692",
            "",
            "k2/Y/SZ8CS54H+S5SOL1Bd5KH93uqjSke378hiO7HwY=",
        ),
        ("GET", "/v1/groups/a%20b%2Fc%ED%95%9C", "1795213784695", ACCOUNT, "IMyRQYvplpdCoHj+Ng/M9Qk5bpMgIKtHC+EUZOUfwI4="),
        ("POST", "/v1/policies", "1795213784739", "", "pqxwZ2hi0pK67a5fz3TFETb8u+O0h9BEncePbMKrStI="),
        ("POST", "/v1/access-keys", "1795213784783", "", "tvQH2qnp7/aujrUemkENUTWfteRkWM821XG+kRR0Vi8="),
        ("POST", "/v1/access-keys/send-otp", "1795213784827", "", "RT7XY/XgzrueBdyiQF/eFbQJhdVwmVJ/X+pji2J4j94="),
        (
            "DELETE",
            "/v1/resource-policies/c3JuOmU6OjEyMzQ6OjppYW06dXNlci9hPT8=",
            "1795213784871",
            "",
            "0JxvSvihKRIVZJK2rL6CNCWCOBPqlunjVF5UnG6nH9U=",
        ),
        ("GET", "/v1/policies?policy_type=iam.PolicyType1+value", "1795213784919", "", "cCa/ppkViGiT9smO3N4GNao7QayYvv2dbURsDOq1Wp8="),
    ];

    #[test]
    fn the_measured_vectors_verify() {
        for (method, target, timestamp, account, signature) in VECTORS {
            assert!(verifies(method, "127.0.0.1:18080", target, [timestamp, ACCESS, account, "Openapi", signature]), "{method} {target}");
        }
    }

    #[test]
    fn fields_not_in_their_exact_form_are_malformed() {
        let (_, _, timestamp, _, signature) = VECTORS[0];
        let good = [timestamp, ACCESS, "", "Openapi", signature];
        let short = signature.trim_end_matches('=').to_owned();
        for (field, value) in [
            (0, "179521378468"),
            (0, "17952137846870"),
            (0, "0795213784687"),
            (0, "+795213784687"),
            (0, "1795213784 87"),
            (0, ""),
            (1, "B754b12b39da4ce29a40c5e324650bd0"),
            (1, ""),
            (1, "b754b12b39da4ce29a40c5e324650bd"),
            (2, "1234"),
            (2, "F39c460fade34fecb05ede8f904b24b7"),
            (3, "openapi"),
            (3, "OpenApi"),
            (3, ""),
            (3, "Openapi "),
            (4, ""),
            (4, &short),
            (4, "vmO1xxCFWyxKxKGwPA5oUQ9gcMdAtcvnkH2XJmlhYXh="),
        ] {
            let mut fields = good;
            fields[field] = value;
            let [timestamp, access, account, client, signature] = fields.map(|text| Some(text.as_bytes()));
            let headers = Headers { access_key: access, signature, timestamp, client_type: client, account_id: account };
            assert!(Credential::parse(&headers).is_err(), "{field} {value:?}");
        }
        assert_eq!(Credential::parse(&Headers::default()), Err(Malformed::AccessKey));
    }

    /// The six signed fields of a true request.
    fn fields() -> impl Strategy<Value = (String, String, String, i64)> {
        let target = "(/[a-z0-9]{1,8}){1,4}(\\?[a-z]=[a-z0-9+]{0,6})?";
        ("(GET|POST|PUT|DELETE|PATCH)", "[a-z]{1,8}(\\.[a-z]{1,5})?(:[0-9]{2,5})?", target, 1_000_000_000_000i64..9_999_999_999_999)
            .prop_map(|(method, host, target, time)| (method, host, target, time))
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

        /// Cut the very string that was signed at other places: never a second reading of it that verifies.
        #[test]
        fn moved_bytes_never_verify((method, host, target, time) in fields(), account in any::<bool>(), moves in prop::array::uniform5(-14isize..=14)) {
            let access: AccessKeyId = ACCESS.parse().unwrap();
            let account = if account { ACCOUNT } else { "" };
            let timestamp = time.to_string();
            let signed = Signed { method: &method, scheme: "http", host: &host, target: &target };
            let mac = string_to_sign_mac(&key(), &signed, timestamp.as_bytes(), access, account.parse().ok(), b"Openapi");
            let signature = STANDARD.encode(mac);
            prop_assert!(verifies(&method, &host, &target, [&timestamp, ACCESS, account, "Openapi", &signature]));

            let string = format!("{method}http://{host}{target}{timestamp}{ACCESS}{account}Openapi");
            let mut cuts: Vec<usize> = Vec::new();
            let mut at = 0;
            for length in [method.len() + "http://".len() + host.len() + target.len(), timestamp.len(), ACCESS.len(), account.len()] {
                at += length;
                cuts.push(at);
            }
            // The method and host stay: the target's start is the earliest place for the first cut.
            let head = method.len() + "http://".len() + host.len();
            let mut moved: Vec<usize> =
                cuts.iter().zip(moves).map(|(cut, by)| cut.saturating_add_signed(by).clamp(head, string.len())).collect();
            moved.sort_unstable();
            if moved == cuts {
                return Ok(());
            }
            let mut pieces = Vec::new();
            let mut from = 0;
            for to in moved.into_iter().chain([string.len()]) {
                pieces.push(&string[from..to]);
                from = to;
            }
            let other = &pieces[0][head..];
            let [_, timestamp, access, account, client] = pieces[..] else { panic!("five pieces") };
            prop_assert!(!verifies(&method, &host, other, [timestamp, access, account, client, &signature]));
        }

        /// Change one byte of anything: never verifies.
        #[test]
        fn changed_bytes_never_verify((method, host, target, time) in fields(), place in any::<prop::sample::Index>(), flip in 1u8..128) {
            let access: AccessKeyId = ACCESS.parse().unwrap();
            let timestamp = time.to_string();
            let signed = Signed { method: &method, scheme: "http", host: &host, target: &target };
            let signature = sign(&key(), access, &signed, Timestamp::from_milliseconds(time));
            let mut parts = [method.clone(), host.clone(), target.clone(), timestamp, ACCESS.to_owned(), "Openapi".to_owned(), signature];
            let total: usize = parts.iter().map(String::len).sum();
            let mut index = place.index(total);
            for part in &mut parts {
                if index < part.len() {
                    let mut bytes = part.clone().into_bytes();
                    bytes[index] = (bytes[index] ^ flip) & 0x7F;
                    prop_assume!(bytes != part.as_bytes());
                    *part = String::from_utf8(bytes).unwrap();
                    break;
                }
                index -= part.len();
            }
            let [method, host, target, timestamp, access, client, signature] = &parts;
            prop_assert!(!verifies(method, host, target, [timestamp, access, "", client, signature]));
        }
    }
}
