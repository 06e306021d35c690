//! Condition keys: the global keys of the request (seed 003, L1865-1874; R42, R47), as slots of the context.

use std::net::IpAddr;

use crate::types::Timestamp;

use super::evaluate::Context;

/// What a key holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyType {
    Text,
    Number,
    Date,
    Bool,
    Address,
    Srn,
}

impl KeyType {
    /// What to call its values.
    pub(super) const fn plural(self) -> &'static str {
        match self {
            Self::Text => "texts",
            Self::Number => "numbers",
            Self::Date => "dates",
            Self::Bool => "booleans",
            Self::Address => "addresses",
            Self::Srn => "SRNs",
        }
    }
}

/// A key whose value is a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TextKey {
    UserId,
    UserName,
    RequestedRegion,
    AuthenticationType,
}

/// A key, by the type of its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    Text(TextKey),
    MultiFactorAuthPresent,
    SourceIp,
    CurrentTime,
}

/// Why a text is not a key that can be tested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyError {
    /// A key of the language that is still to come; what it is about.
    NotSupported(&'static str),
    /// `scp:ResourceTag/` without a name, or similar; how it is written.
    Incomplete(&'static str),
    /// An unknown name after `scp:`.
    Unknown,
    /// Not of the request: an attribute of a resource, or nothing.
    NotGlobal,
}

/// The supported keys in canonical spelling; letter case does not count (R41).
pub(super) const KEYS: [(&str, Key); 7] = [
    ("scp:UserId", Key::Text(TextKey::UserId)),
    ("scp:UserName", Key::Text(TextKey::UserName)),
    ("scp:MultiFactorAuthPresent", Key::MultiFactorAuthPresent),
    ("scp:RequestedRegion", Key::Text(TextKey::RequestedRegion)),
    ("scp:SourceIp", Key::SourceIp),
    ("scp:CurrentTime", Key::CurrentTime),
    ("scp:AuthenticationType", Key::Text(TextKey::AuthenticationType)),
];

impl Key {
    /// Reads a key.
    pub(super) fn parse(text: &str) -> Result<Self, KeyError> {
        if let Some((_, key)) = KEYS.iter().find(|(name, _)| name.eq_ignore_ascii_case(text)) {
            return Ok(*key);
        }
        let Some((prefix, rest)) = text.split_once(':') else { return Err(KeyError::NotGlobal) };
        if !prefix.eq_ignore_ascii_case("scp") {
            return Err(KeyError::NotGlobal);
        }
        let (name, argument) = match rest.split_once('/') {
            Some((name, argument)) => (name, argument),
            None => (rest, ""),
        };
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        match argument {
            _ if is("TagKeys") => Err(KeyError::NotSupported("tags")),
            "" if is("ResourceTag") => Err(KeyError::Incomplete("scp:ResourceTag/tag-key")),
            "" if is("RequestTag") => Err(KeyError::Incomplete("scp:RequestTag/tag-key")),
            _ if is("ResourceTag") || is("RequestTag") => Err(KeyError::NotSupported("tags")),
            _ if is("RequestAttribute") && !argument.contains('[') => Err(KeyError::Incomplete("scp:RequestAttribute/body['name']")),
            _ if is("RequestAttribute") => Err(KeyError::NotSupported("attributes of the request")),
            _ => Err(KeyError::Unknown),
        }
    }

    /// Its canonical spelling.
    pub(super) fn as_str(self) -> &'static str {
        KEYS.iter().find(|(_, key)| *key == self).map_or("", |(name, _)| name)
    }

    /// What it holds.
    pub(super) const fn kind(self) -> KeyType {
        match self {
            Self::Text(_) => KeyType::Text,
            Self::MultiFactorAuthPresent => KeyType::Bool,
            Self::SourceIp => KeyType::Address,
            Self::CurrentTime => KeyType::Date,
        }
    }

    /// Who lacks it: an absent key makes negative operators true (R32, R54).
    pub(super) const fn absent_for(self) -> Option<&'static str> {
        match self {
            Self::Text(TextKey::UserId | TextKey::UserName) => Some("role sessions"),
            Self::Text(TextKey::RequestedRegion) => Some("actions without a region"),
            Self::MultiFactorAuthPresent => Some("callers that are not users"),
            Self::Text(TextKey::AuthenticationType) | Self::SourceIp | Self::CurrentTime => None,
        }
    }

    /// Whether the request has it (R33).
    pub(super) const fn is_present(self, context: &Context<'_>) -> bool {
        match self {
            Self::Text(key) => key.value(context).is_some(),
            Self::MultiFactorAuthPresent => context.mfa.is_some(),
            Self::SourceIp => context.source_ip.is_some(),
            Self::CurrentTime => true,
        }
    }

    /// Its value for people.
    pub(super) fn shown(self, context: &Context<'_>) -> Option<String> {
        match self {
            Self::Text(key) => key.value(context).map(str::to_owned),
            Self::MultiFactorAuthPresent => context.mfa.map(|mfa| mfa.to_string()),
            Self::SourceIp => context.source_ip.as_ref().map(IpAddr::to_string),
            Self::CurrentTime => Some(Timestamp::to_string(&context.now)),
        }
    }
}

impl TextKey {
    /// Its value in the request.
    pub(super) const fn value<'a>(self, context: &Context<'a>) -> Option<&'a str> {
        match self {
            Self::UserId => context.user_id,
            Self::UserName => context.user_name,
            Self::RequestedRegion => context.requested_region,
            Self::AuthenticationType => context.authentication_type,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_without_letter_case_and_what_is_not_built_says_so() {
        for (text, expected) in [
            ("scp:UserName", Ok(Key::Text(TextKey::UserName))),
            ("SCP:sourceIP", Ok(Key::SourceIp)),
            ("scp:TagKeys", Err(KeyError::NotSupported("tags"))),
            ("scp:resourceTag/a/b", Err(KeyError::NotSupported("tags"))),
            ("scp:ResourceTag/", Err(KeyError::Incomplete("scp:ResourceTag/tag-key"))),
            ("scp:RequestTag", Err(KeyError::Incomplete("scp:RequestTag/tag-key"))),
            ("scp:RequestAttribute/body['a']", Err(KeyError::NotSupported("attributes of the request"))),
            ("scp:RequestAttribute/foo", Err(KeyError::Incomplete("scp:RequestAttribute/body['name']"))),
            ("scp:UserName/x", Err(KeyError::Unknown)),
            ("scp:PrincipalTag/department", Err(KeyError::Unknown)),
            ("iam:userName", Err(KeyError::NotGlobal)),
            ("UserName", Err(KeyError::NotGlobal)),
        ] {
            assert_eq!(Key::parse(text), expected, "{text}");
        }
        assert!(KEYS.iter().all(|(name, key)| key.as_str() == *name));
    }
}
