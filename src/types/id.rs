//! Ids: 16 bytes, written as 32 lower-case hexadecimal digits. One type per thing that has an id.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use super::hex;

/// Length of an id as text.
pub const ID_CHARS: usize = 32;

/// Why a text is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an id of 32 lower-case hexadecimal digits")]
pub struct IdError(String);

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub struct $name([u8; 16]);

        /// Two words: for 16 bytes and their length a hasher takes several times as long.
        impl Hash for $name {
            fn hash<H: Hasher>(&self, state: &mut H) {
                self.0.as_chunks::<8>().0.iter().for_each(|half| state.write_u64(u64::from_ne_bytes(*half)));
            }
        }

        impl $name {
            /// From its 16 bytes.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// Its 16 bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }

            /// From exactly 32 lower-case hexadecimal digits.
            #[must_use]
            pub fn from_text(text: &[u8]) -> Option<Self> {
                hex::decode(text).map(Self)
            }

            /// Its text, without allocation.
            #[must_use]
            pub fn to_text(&self) -> IdText {
                let mut text = [0; ID_CHARS];
                hex::encode(&mut text, &self.0);
                IdText(text)
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::from_text(text.as_bytes()).ok_or_else(|| IdError(text.chars().take(64).collect()))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str(self.to_text().as_str())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(out, "{}({self})", stringify!($name))
            }
        }
    };
}

id! {
    /// An account (KakaoCloud: organization).
    AccountId
}
id! {
    /// A user: immutable and never used again (R55).
    UserId
}
id! {
    /// A group of users.
    GroupId
}
id! {
    /// A role: immutable and never used again (R55).
    RoleId
}
id! {
    /// A policy.
    PolicyId
}
id! {
    /// An access key: the public half of a key pair, sent with every request (wire-formats 1.1).
    AccessKeyId
}
id! {
    /// A key that tokens are signed with: the `kid` of a token.
    TokenKeyId
}
id! {
    /// A token: its `jti`.
    TokenId
}

/// An id's 32 digits on the stack.
#[derive(Clone, Copy)]
pub struct IdText([u8; ID_CHARS]);

impl IdText {
    /// The digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// A request's id, written `req-` and a UUID (the form of the SCP error body, wire-formats 1.6).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestId(uuid::Uuid);

impl RequestId {
    /// Length of the text.
    pub const CHARS: usize = 40;

    /// A version 7 UUID of a time and ten random bytes (RFC 9562 section 5.7).
    #[must_use]
    pub fn new(milliseconds: u64, random: &[u8; 10]) -> Self {
        Self(uuid::Builder::from_unix_timestamp_millis(milliseconds, random).into_uuid())
    }

    /// The text, written into `buffer`.
    pub fn write<'a>(&self, buffer: &'a mut [u8; Self::CHARS]) -> &'a str {
        if let Some((prefix, rest)) = buffer.split_first_chunk_mut::<4>() {
            *prefix = *b"req-";
            self.0.hyphenated().encode_lower(rest);
        }
        std::str::from_utf8(buffer).unwrap_or_default()
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.write(&mut [0; Self::CHARS]))
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "RequestId({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_32_lower_case_digits_are_an_id() {
        let text = "b754b12b39da4ce29a40c5e324650bd0";
        assert_eq!(text.parse::<AccessKeyId>().unwrap().to_string(), text);
        for bad in [
            "",
            "B754b12b39da4ce29a40c5e324650bd0",
            "b754b12b39da4ce29a40c5e324650bd",
            "b754b12b39da4ce29a40c5e324650bd00",
            "b754b12b39da4ce29a40c5e324650bg0",
        ] {
            assert!(bad.parse::<AccessKeyId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_request_id_is_req_and_a_uuid() {
        let id = RequestId::new(1_795_213_784_687, &[7; 10]);
        assert_eq!(id.to_string(), "req-01a1fb14-766f-7707-8707-070707070707");
    }
}
