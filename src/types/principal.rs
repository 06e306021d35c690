//! Who is calling.

use std::sync::Arc;

use super::{AccountId, UserId};

/// How a caller proved who they are (R47, R54).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AuthenticationType {
    /// A permanent access key.
    AuthenticationKey,
    /// A token that was asked for with an access key.
    ApiToken,
    /// Nobody: a public route.
    Anonymous,
}

impl AuthenticationType {
    /// The value of `scp:AuthenticationType`, and the word in records and identity headers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AuthenticationKey => "AuthenticationKey",
            Self::ApiToken => "ApiToken",
            Self::Anonymous => "Anonymous",
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
