//! Stage 7: whether a credential that was proved may be used: now, here, by its owner.

use std::net::IpAddr;

use super::decision::Denial;
use crate::snapshot::{AccessKey, Allowlist};
use crate::types::{Reason, Timestamp};

/// Checks the key's state, its owner's, and the allowlist.
pub(super) fn check(key: &AccessKey, client_address: Option<IpAddr>, now: Timestamp) -> Result<(), Denial> {
    if !key.enabled {
        return Err(Denial::new(Reason::CredentialDisabled));
    }
    if key.expires_at.is_some_and(|end| now >= end) {
        return Err(Denial::new(Reason::CredentialExpired));
    }
    if !key.user.active {
        return Err(Denial::new(Reason::OwnerInactive));
    }
    let address_allowed = match &key.user.allowed_addresses {
        Allowlist::NotUsed => true,
        Allowlist::Enabled(networks) => client_address.is_some_and(|address| networks.contains(address)),
    };
    if address_allowed { Ok(()) } else { Err(Denial::new(Reason::KeyAddressRefused)) }
}
