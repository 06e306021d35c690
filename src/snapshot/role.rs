//! Roles, and who calls: a user, or a role by one of its sessions (R24).

use std::net::IpAddr;
use std::sync::Arc;

use super::view::{Link, User};
use super::wire;
use crate::policy::{self, Context, Scalar, Values};
use crate::types::id::ID_CHARS;
use crate::types::{AccountId, AuthenticationType, Offering, PolicyId, PrincipalKind, RoleId, Srn, Timestamp};

/// What stands between the ids of account and role in a role's SRN.
const MIDDLE: &str = ":::scp-iam:role/";

/// A role with everything a decision about its sessions needs.
#[derive(Debug, Clone)]
pub struct Role {
    /// The role's id.
    pub id: RoleId,
    /// The account it belongs to.
    pub account: AccountId,
    /// Its name, for people who read records.
    pub name: Arc<str>,
    /// Its SRN, with canonical service type.
    pub srn: Arc<str>,
    /// What other records say about it.
    pub holds: RoleHoldings,
}

/// What a role holds by records other than its own.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RoleHoldings {
    /// The policies attached to it.
    pub policies: Box<[Link<PolicyId>]>,
    /// From which sequence of the store on its sessions count; 0 where none was ever ended.
    pub sessions_valid_from: u64,
}

impl Role {
    /// The role of a record, which holds nothing yet.
    pub(super) fn new(role: &wire::Role, offering: &Offering) -> Self {
        let (account_text, id_text) = (role.account.to_string(), role.id.to_string());
        let srn = Srn {
            offering: offering.as_str(),
            account: &account_text,
            region: "",
            service_type: "scp-iam",
            resource_type: "role",
            resource_id: &id_text,
        };
        let (name, srn) = (role.name.as_str().into(), srn.to_string().into());
        Self { id: role.id, account: role.account, name, srn, holds: RoleHoldings::default() }
    }

    /// The account's id as text, as policies and SRNs write it.
    #[must_use]
    pub fn account_text(&self) -> &str {
        let end = self.srn.len().saturating_sub(ID_CHARS + MIDDLE.len());
        self.srn.get(end.saturating_sub(ID_CHARS)..end).unwrap_or_default()
    }

    /// The role's id as text.
    #[must_use]
    pub fn id_text(&self) -> &str {
        self.srn.get(self.srn.len().saturating_sub(ID_CHARS)..).unwrap_or_default()
    }

    /// What the conditions of this role's policies see of a request (R54), but its tags and attributes: nothing of the user who took the
    /// role but whether that was with a second factor. An empty region is none; an address that is not known is one that cannot be obtained.
    #[must_use]
    pub fn context<'a>(source_ip: Option<IpAddr>, mfa: bool, region: &'a str, now: Timestamp) -> Context<'a> {
        Context {
            // SECURITY: R44, not absent: `NotIpAddress` is true of nothing.
            source_ip: source_ip.map_or(Values::One(Scalar::Other), |address| Values::One(Scalar::Address(address))),
            now: Values::One(Scalar::Time(now)),
            authentication_type: Values::text(Some(AuthenticationType::RoleSession.as_str())),
            mfa: Values::One(Scalar::Bool(mfa)),
            requested_region: Values::text(Some(region).filter(|region| !region.is_empty())),
            ..Context::EMPTY
        }
    }
}

/// Who calls.
#[derive(Debug, Clone, Copy)]
pub enum Caller<'s> {
    /// A user.
    User(&'s User),
    /// A role: what its session says beside this is in the session.
    Role(&'s Role),
}

impl<'s> Caller<'s> {
    /// What it is.
    #[must_use]
    pub fn kind(self) -> PrincipalKind {
        match self {
            Self::User(user) => user.principal.kind,
            Self::Role(_) => PrincipalKind::Role,
        }
    }

    /// The account it belongs to.
    #[must_use]
    pub fn account(self) -> AccountId {
        match self {
            Self::User(user) => user.principal.account,
            Self::Role(role) => role.account,
        }
    }

    /// The account's id as text.
    #[must_use]
    pub fn account_text(self) -> &'s str {
        match self {
            Self::User(user) => user.account_text(),
            Self::Role(role) => role.account_text(),
        }
    }

    /// Its own id as text.
    #[must_use]
    pub fn id_text(self) -> &'s str {
        match self {
            Self::User(user) => user.id_text(),
            Self::Role(role) => role.id_text(),
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'s str {
        match self {
            Self::User(user) => &user.principal.name,
            Self::Role(role) => &role.name,
        }
    }

    /// Its SRN.
    #[must_use]
    pub fn srn(self) -> &'s str {
        match self {
            Self::User(user) => &user.principal.srn,
            Self::Role(role) => &role.srn,
        }
    }

    /// The user, if it is one.
    #[must_use]
    pub fn user(self) -> Option<&'s User> {
        match self {
            Self::User(user) => Some(user),
            Self::Role(_) => None,
        }
    }

    /// Who the decision is about.
    #[must_use]
    pub fn asking(self) -> policy::Principal<'s> {
        let kind = match self.kind() {
            PrincipalKind::Root => policy::Kind::Root,
            PrincipalKind::User => policy::Kind::User,
            PrincipalKind::Role => policy::Kind::Role,
        };
        policy::Principal { kind, account: self.account_text(), id: self.id_text() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_srn_of_a_role_holds_its_ids() {
        let record = wire::Role { id: RoleId::from_bytes([0x1a; 16]), account: AccountId::from_bytes([2; 16]), name: "n".to_owned() };
        let role = Role::new(&record, &"dev2".parse().unwrap());
        assert_eq!(&*role.srn, format!("srn:dev2::{}:::scp-iam:role/{}", record.account, record.id));
        assert_eq!((role.account_text(), role.id_text()), (&*record.account.to_string(), &*record.id.to_string()));
        let asking = Caller::Role(&role).asking();
        assert_eq!((asking.kind, asking.account, asking.id), (policy::Kind::Role, role.account_text(), role.id_text()));
    }
}
