//! Stage 7: whether a credential that was proved may be used: now, here, by its owner.

use std::net::IpAddr;

use super::decision::Denial;
use crate::snapshot::{AccessKey, Allowlist, Snapshot, User};
use crate::types::{Reason, Timestamp};

/// Checks the key's state, its owner's, and the allowlist.
pub(super) fn check(
    snapshot: &Snapshot,
    (key, user): (&AccessKey, &User),
    client_address: Option<IpAddr>,
    now: Timestamp,
) -> Result<(), Denial> {
    if !key.enabled {
        return Err(Denial::new(Reason::CredentialDisabled));
    }
    if key.expires_at.is_some_and(|end| now >= end) {
        return Err(Denial::new(Reason::CredentialExpired));
    }
    if !snapshot.is_active(user) {
        return Err(Denial::new(Reason::OwnerInactive));
    }
    let address_allowed = match &user.holds.allowed_addresses {
        Allowlist::NotUsed => true,
        Allowlist::Enabled(networks) => client_address.is_some_and(|address| networks.contains(address)),
    };
    if address_allowed { Ok(()) } else { Err(Denial::new(Reason::KeyAddressRefused)) }
}
