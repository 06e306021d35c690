//! The snapshot itself and its look-ups.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use super::definition::ServiceDefinition;
use crate::policy::{Catalogue, Context, Policy};
use crate::types::{AccessKeyId, NetworkSet, Principal, Revision, Secret, SigningKey, Timestamp, UserId};

/// Which addresses may use a user's keys (seed 003: "Allowed Access IP").
///
/// SECURITY: three states, not two. Enabled with no entry refuses everyone; not used lets everyone pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Allowlist {
    /// Not used: every address.
    NotUsed,
    /// Used: these addresses, possibly none.
    Enabled(NetworkSet),
}

/// A user with everything a decision about them needs.
#[derive(Debug)]
pub struct User {
    /// Who they are.
    pub principal: Principal,
    /// The account's id as text, as policies and SRNs write it.
    pub account_text: Box<str>,
    /// The user's id as text.
    pub id_text: Box<str>,
    /// Whether user and account are active.
    pub active: bool,
    /// Own policies and those of their groups, each once.
    pub policies: Box<[Arc<Policy>]>,
    /// From where their keys may be used.
    pub allowed_addresses: Allowlist,
}

impl User {
    /// What the conditions of this user's policies see of a request (R54). An empty region is none.
    #[must_use]
    pub fn context<'a>(&'a self, source_ip: Option<IpAddr>, authentication_type: &'a str, region: &'a str, now: Timestamp) -> Context<'a> {
        Context {
            source_ip,
            now,
            user_id: Some(&self.id_text),
            user_name: Some(&self.principal.name),
            authentication_type: Some(authentication_type),
            mfa: Some(false),
            requested_region: Some(region).filter(|region| !region.is_empty()),
        }
    }
}

/// An access key.
#[derive(Debug)]
pub struct AccessKey {
    /// Its owner.
    pub user: Arc<User>,
    /// Its secret, ready for HMAC.
    pub signing_key: SigningKey,
    /// Whether it is switched on.
    pub enabled: bool,
    /// When it ends, if it does.
    pub expires_at: Option<Timestamp>,
}

/// Everything at one revision.
#[derive(Debug)]
pub struct Snapshot {
    pub(super) revision: Revision,
    pub(super) catalogue: Catalogue,
    pub(super) definitions: HashMap<Box<str>, Arc<ServiceDefinition>>,
    pub(super) users: HashMap<UserId, Arc<User>>,
    pub(super) keys: HashMap<AccessKeyId, AccessKey>,
    pub(super) policies: usize,
    /// SECURITY: verified against when a key is unknown, so that an unknown key costs what a wrong secret costs.
    pub(super) decoy: SigningKey,
}

impl Snapshot {
    /// Which revision this is.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// Actions, resource types and their spellings.
    #[must_use]
    pub fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// The access key with this id.
    #[must_use]
    pub fn key(&self, id: AccessKeyId) -> Option<&AccessKey> {
        self.keys.get(&id)
    }

    /// The user with this id.
    #[must_use]
    pub fn user(&self, id: UserId) -> Option<&Arc<User>> {
        self.users.get(&id)
    }

    /// The action definitions of a service.
    #[must_use]
    pub fn definition(&self, service: &str) -> Option<&Arc<ServiceDefinition>> {
        self.definitions.get(service)
    }

    /// A key nobody holds.
    #[must_use]
    pub fn decoy(&self) -> &SigningKey {
        &self.decoy
    }

    /// How many users, keys and policies there are.
    #[must_use]
    pub fn sizes(&self) -> (usize, usize, usize) {
        (self.users.len(), self.keys.len(), self.policies)
    }
}

/// The secret behind [`Snapshot::decoy`]; what it is does not matter, its MAC is never accepted.
pub(super) fn decoy() -> SigningKey {
    SigningKey::new(&Secret::new(*b"a secret that belongs to no key."))
}
