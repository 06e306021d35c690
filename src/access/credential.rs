//! Stage 7: whether a credential that was proved may be used: now, here, by its owner.

use std::net::IpAddr;

use super::decision::Denial;
use crate::snapshot::{AccessKey, Authentication, Caller, Operation, Role, Snapshot, Unusable, User};
use crate::types::{Reason, Timestamp};

/// What a caller has proved that they hold.
#[derive(Debug, Clone, Copy)]
pub(super) enum Proof<'v> {
    /// An access key of a user, which signed the request or which a token came from.
    Key(&'v AccessKey, &'v User),
    /// The token of a console login.
    Console(&'v User),
    /// The access key of a session, and its token.
    Session {
        /// The role.
        role: &'v Role,
        /// Who took it.
        source: &'v User,
    },
}

impl<'v> Proof<'v> {
    /// Who calls.
    pub(super) const fn caller(self) -> Caller<'v> {
        match self {
            Self::Key(_, user) | Self::Console(user) => Caller::User(user),
            Self::Session { role, .. } => Caller::Role(role),
        }
    }
}

/// Checks what was proved, its owner, and from where it may be used.
pub(super) fn check(
    snapshot: &Snapshot,
    proof: Proof<'_>,
    operation: Option<&Operation>,
    client_address: Option<IpAddr>,
    now: Timestamp,
) -> Result<(), Denial> {
    match proof {
        Proof::Key(key, user) => check_key(snapshot, (key, user), operation, client_address, now),
        Proof::Console(user) if !snapshot.is_active(user) => Err(Denial::new(Reason::OwnerInactive)),
        Proof::Console(user) if !snapshot.console_allows(user, client_address) => Err(from(Reason::ConsoleAddressRefused, client_address)),
        Proof::Console(_) => Ok(()),
        // Lists and settings are for the keys of users; from where a role may be taken, its trust policy says.
        Proof::Session { role, .. } if !snapshot.is_active_account(role.account) => {
            Err(Denial::with(Reason::OwnerInactive, "the role's account is not active"))
        }
        Proof::Session { source, .. } if !snapshot.is_active(source) => {
            Err(Denial::with(Reason::OwnerInactive, "the user who took the role is not active"))
        }
        Proof::Session { .. } => Ok(()),
    }
}

/// The key's state, its owner's, which kind of key the owner's setting permits, and the allowlist of keys.
fn check_key(
    snapshot: &Snapshot,
    (key, user): (&AccessKey, &User),
    operation: Option<&Operation>,
    client_address: Option<IpAddr>,
    now: Timestamp,
) -> Result<(), Denial> {
    snapshot.usable(key, now).map_err(|fault| match fault {
        Unusable::Disabled => Denial::new(Reason::CredentialDisabled),
        Unusable::Expired => Denial::new(Reason::CredentialExpired),
        Unusable::ParentGone => Denial::with(Reason::CredentialDisabled, "the access key that this temporary key was made with is gone"),
        Unusable::ParentDisabled => {
            Denial::with(Reason::CredentialDisabled, "the access key that this temporary key was made with is disabled")
        }
        Unusable::ParentExpired => {
            Denial::with(Reason::CredentialExpired, "the access key that this temporary key was made with has expired")
        }
    })?;
    if !snapshot.is_active(user) {
        return Err(Denial::new(Reason::OwnerInactive));
    }
    let any_key = operation.is_some_and(|operation| operation.authentication == Authentication::AnyKey);
    if !any_key && !user.holds.key_method.permits(key.is_temporary()) {
        let detail = if key.is_temporary() {
            "the owner's key security setting permits authentication keys, not temporary keys"
        } else {
            "the owner's key security setting permits temporary keys only; this key may ask for a passcode and make one with it"
        };
        return Err(Denial::with(Reason::MethodNotPermitted, detail));
    }
    if user.holds.allowed_addresses.contains(client_address) { Ok(()) } else { Err(from(Reason::KeyAddressRefused, client_address)) }
}

/// A refusal by address, for who has proved who they are: behind address translation and proxies they cannot know which one the gateway sees.
fn from(reason: Reason, client_address: Option<IpAddr>) -> Denial {
    let seen = client_address.map_or("an address that could not be found out".to_owned(), |address| format!("`{address}`"));
    Denial::with(reason, format!("it came from {seen}"))
}
