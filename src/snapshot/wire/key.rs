//! The keys of records: what a record is known by in a store and on a feed.

use std::fmt;
use std::str::FromStr;

use super::{ConsoleOf, Identity, Record};
use crate::types::{AccessKeyId, AccountId, GroupId, PolicyId, RoleId, Srn, TokenId, TokenKeyId, UserId};

/// What a record is known by. Written as a path: `user/ID`, `membership/GROUP/USER`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum RecordKey {
    /// `account/ID`.
    Account(AccountId),
    /// `user/ID`.
    User(UserId),
    /// `group/ID`.
    Group(GroupId),
    /// `membership/GROUP/USER`.
    Membership(GroupId, UserId),
    /// `policy/ID`.
    Policy(PolicyId),
    /// `resource_policy/SRN`.
    ResourcePolicy(String),
    /// `attachment/POLICY/user/ID`, `attachment/POLICY/group/ID` or `attachment/POLICY/role/ID`.
    Attachment(PolicyId, Identity),
    /// `access_key/ID`.
    AccessKey(AccessKeyId),
    /// `key_security/USER`.
    KeySecurity(UserId),
    /// `definition/SERVICE`.
    Definition(String),
    /// `token_key/ID`.
    TokenKey(TokenKeyId),
    /// `console_access/user/ID` or `console_access/account/ID`.
    ConsoleAccess(ConsoleOf),
    /// `tokens_valid_from/USER`.
    TokensValidFrom(UserId),
    /// `revoked_token/USER/ID`.
    RevokedToken(UserId, TokenId),
    /// `role/ID`.
    Role(RoleId),
    /// `sessions_valid_from/ROLE`.
    SessionsValidFrom(RoleId),
}

/// A text that is no record's key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not the key of a record, such as `user/ID`")]
pub struct RecordKeyError(String);

impl Record {
    /// What this record is known by.
    #[must_use]
    pub fn key(&self) -> RecordKey {
        match self {
            Self::Account(account) => RecordKey::Account(account.id),
            Self::User(user) => RecordKey::User(user.id),
            Self::Group(group) => RecordKey::Group(group.id),
            Self::Membership { group, user } => RecordKey::Membership(*group, *user),
            Self::Policy(policy) => RecordKey::Policy(policy.id),
            Self::ResourcePolicy(policy) => RecordKey::ResourcePolicy(policy.resource.clone()),
            Self::Attachment { policy, to } => RecordKey::Attachment(*policy, *to),
            Self::AccessKey(key) => RecordKey::AccessKey(key.id),
            Self::KeySecurity { user, .. } => RecordKey::KeySecurity(*user),
            Self::Definition { service, .. } => RecordKey::Definition(service.clone()),
            Self::TokenKey(key) => RecordKey::TokenKey(key.id),
            Self::ConsoleAccess { of, .. } => RecordKey::ConsoleAccess(*of),
            Self::TokensValidFrom { user, .. } => RecordKey::TokensValidFrom(*user),
            Self::RevokedToken { user, id, .. } => RecordKey::RevokedToken(*user, *id),
            Self::Role(role) => RecordKey::Role(role.id),
            Self::SessionsValidFrom { role, .. } => RecordKey::SessionsValidFrom(*role),
        }
    }
}

impl fmt::Display for RecordKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Account(id) => write!(out, "account/{id}"),
            Self::User(id) => write!(out, "user/{id}"),
            Self::Group(id) => write!(out, "group/{id}"),
            Self::Membership(group, user) => write!(out, "membership/{group}/{user}"),
            Self::Policy(id) => write!(out, "policy/{id}"),
            Self::ResourcePolicy(srn) => write!(out, "resource_policy/{srn}"),
            Self::Attachment(policy, Identity::User(user)) => write!(out, "attachment/{policy}/user/{user}"),
            Self::Attachment(policy, Identity::Group(group)) => write!(out, "attachment/{policy}/group/{group}"),
            Self::Attachment(policy, Identity::Role(role)) => write!(out, "attachment/{policy}/role/{role}"),
            Self::AccessKey(id) => write!(out, "access_key/{id}"),
            Self::KeySecurity(user) => write!(out, "key_security/{user}"),
            Self::Definition(service) => write!(out, "definition/{service}"),
            Self::TokenKey(id) => write!(out, "token_key/{id}"),
            Self::ConsoleAccess(ConsoleOf::User(user)) => write!(out, "console_access/user/{user}"),
            Self::ConsoleAccess(ConsoleOf::Account(account)) => write!(out, "console_access/account/{account}"),
            Self::TokensValidFrom(user) => write!(out, "tokens_valid_from/{user}"),
            Self::RevokedToken(user, token) => write!(out, "revoked_token/{user}/{token}"),
            Self::Role(id) => write!(out, "role/{id}"),
            Self::SessionsValidFrom(role) => write!(out, "sessions_valid_from/{role}"),
        }
    }
}

impl FromStr for RecordKey {
    type Err = RecordKeyError;

    fn from_str(text: &str) -> Result<Self, RecordKeyError> {
        fn id<T: FromStr>(text: &str) -> Option<T> {
            text.parse().ok()
        }
        // An SRN has slashes of its own.
        if let Some(srn) = text.strip_prefix("resource_policy/").filter(|srn| Srn::parse(srn).is_ok()) {
            return Ok(Self::ResourcePolicy(srn.to_owned()));
        }
        let mut parts = text.split('/');
        let mut next = || parts.next().unwrap_or_default();
        let found = match (next(), next(), next(), next()) {
            ("account", account, "", "") => id(account).map(Self::Account),
            ("user", user, "", "") => id(user).map(Self::User),
            ("group", group, "", "") => id(group).map(Self::Group),
            ("membership", group, user, "") => id(group).zip(id(user)).map(|(group, user)| Self::Membership(group, user)),
            ("policy", policy, "", "") => id(policy).map(Self::Policy),
            ("attachment", policy, "user", user) => {
                id(policy).zip(id(user)).map(|(policy, user)| Self::Attachment(policy, Identity::User(user)))
            }
            ("attachment", policy, "group", group) => {
                id(policy).zip(id(group)).map(|(policy, group)| Self::Attachment(policy, Identity::Group(group)))
            }
            ("attachment", policy, "role", role) => {
                id(policy).zip(id(role)).map(|(policy, role)| Self::Attachment(policy, Identity::Role(role)))
            }
            ("access_key", key, "", "") => id(key).map(Self::AccessKey),
            ("key_security", user, "", "") => id(user).map(Self::KeySecurity),
            ("definition", service, "", "") if !service.is_empty() => Some(Self::Definition(service.to_owned())),
            ("token_key", key, "", "") => id(key).map(Self::TokenKey),
            ("console_access", "user", user, "") => id(user).map(|user| Self::ConsoleAccess(ConsoleOf::User(user))),
            ("console_access", "account", account, "") => id(account).map(|account| Self::ConsoleAccess(ConsoleOf::Account(account))),
            ("tokens_valid_from", user, "", "") => id(user).map(Self::TokensValidFrom),
            ("revoked_token", user, token, "") => id(user).zip(id(token)).map(|(user, token)| Self::RevokedToken(user, token)),
            ("role", role, "", "") => id(role).map(Self::Role),
            ("sessions_valid_from", role, "", "") => id(role).map(Self::SessionsValidFrom),
            _ => None,
        };
        // Also refuses what the match leaves over: a fifth part, or a slash at the end.
        found.filter(|key| key.to_string() == text).ok_or_else(|| RecordKeyError(text.chars().take(120).collect()))
    }
}
