//! Who is calling.

use std::sync::Arc;

use super::{AccountId, UserId};

/// How a caller proved who they are (R47, R54).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AuthenticationType {
    /// A permanent access key.
    AuthenticationKey,
    /// A temporary key, which was made with a permanent one and a passcode.
    TemporaryKey,
    /// A token that was asked for with an access key.
    ApiToken,
    /// A token that was asked for with a name and a password.
    ConsoleLogin,
    /// The session of a role that somebody took (R24).
    RoleSession,
    /// Nobody: a public route.
    Anonymous,
}

impl AuthenticationType {
    /// The value of `scp:AuthenticationType`, and the word in records and identity headers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AuthenticationKey => "AuthenticationKey",
            Self::TemporaryKey => "TemporaryKey",
            Self::ApiToken => "ApiToken",
            Self::ConsoleLogin => "ConsoleLogin",
            Self::RoleSession => "RoleSession",
            Self::Anonymous => "Anonymous",
        }
    }
}

/// Which kind of access key a user's security setting lets pass (seed 003, L1377 to L1381).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum KeyMethod {
    /// Nobody has set it: both kinds.
    #[default]
    Any,
    /// Permanent keys.
    AuthenticationKey,
    /// Temporary keys; permanent ones only make them.
    TemporaryKey,
}

impl KeyMethod {
    /// Every method.
    pub const ALL: [Self; 3] = [Self::Any, Self::AuthenticationKey, Self::TemporaryKey];

    /// The word in settings and records.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Any => "Any",
            Self::AuthenticationKey => "AuthenticationKey",
            Self::TemporaryKey => "TemporaryKey",
        }
    }

    /// Whether a key passes, by whether it is temporary.
    #[must_use]
    pub const fn permits(self, temporary: bool) -> bool {
        match self {
            Self::Any => true,
            Self::AuthenticationKey => !temporary,
            Self::TemporaryKey => temporary,
        }
    }
}

/// What kind of principal it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PrincipalKind {
    /// The root user of its account: implicitly allowed inside it (R27).
    Root,
    /// An IAM user.
    User,
    /// A role, by one of its sessions (R24).
    Role,
}

/// A caller: a user of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// The account it belongs to.
    pub account: AccountId,
    /// Root or IAM user.
    pub kind: PrincipalKind,
    /// The user's id.
    pub user: UserId,
    /// The user's name, for `scp:UserName` and for people who read records.
    pub name: Arc<str>,
    /// The user's SRN, with canonical service type.
    pub srn: Arc<str>,
}
