//! The writer's side of a snapshot: takes records one by one, as a feed or a disk copy brings them, and gives out snapshots.
//!
//! A change costs what it changes, whoever else exists. Records may come in any order. What cannot be read never stops the rest, and
//! fails closed for what it concerns: a policy refuses its holders, a key or a user is not there, an allowlist lets nobody pass.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use fnv::FnvHashMap;

use super::attached::Attached;
use super::role::{Role, RoleHoldings};
use super::view::{AccessKey, Account, Allowlist, Group, Holdings, Link, RevokedToken, Snapshot, TokenKey, User};
use super::wire::{self, Change, ConsoleOf, Definition, Digest, DocumentRef, Identity, Record, RecordKey};
use super::world::{World, WorldBuilder};
use crate::authn::session::SessionKey;
use crate::authn::sigv4;
use crate::policy::{Catalogue, Owner, Policy, ResourcePolicy};
use crate::source::{Cursor, Report, SecretRef, Source, yaml};
use crate::types::{AccountId, GroupId, KeyMethod, Offering, PolicyId, Revision, RoleId, SealingKey, Timestamp, UserId};

/// A record that could not be read, and why. Says nothing secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// The record's key.
    pub key: String,
    /// What is wrong with it.
    pub why: String,
}

/// All records as far as decisions need them.
pub struct Roster {
    offering: Offering,
    sealing_key: Arc<SealingKey>,
    snapshot: Snapshot,
    /// The texts that are compiled anew when definitions change.
    documents: HashMap<PolicyId, Document>,
    definitions: BTreeMap<String, Arc<str>>,
    /// The policies of resources by their SRNs; `None` for one that cannot be read.
    attached: BTreeMap<String, Option<Arc<str>>>,
    /// Policies that wait to be compiled.
    uncompiled: HashSet<PolicyId>,
    uncompiled_attached: BTreeSet<String>,
    world_is_old: bool,
    /// What is said about users of whom there is no readable record: it counts as soon as there is one.
    orphans: HashMap<UserId, Holdings>,
    /// The same of roles.
    role_orphans: HashMap<RoleId, RoleHoldings>,
    digest: Digest,
    /// The digest of each record, by the digest of its key.
    digests: FnvHashMap<Digest, Digest>,
    unreadable: Vec<Unreadable>,
}

struct Document {
    account: Option<AccountId>,
    text: Arc<str>,
}

impl Roster {
    /// An empty one. The sealing key opens the secrets of access keys.
    #[must_use]
    pub fn new(offering: Offering, sealing_key: Arc<SealingKey>) -> Self {
        let (world, _) = WorldBuilder::new(offering.clone(), &Report::new()).build();
        let session_key = SessionKey::new(&sealing_key);
        Self {
            offering,
            sealing_key,
            snapshot: Snapshot::empty(Revision::Store { epoch: 0, sequence: 0 }, world, Some(session_key)),
            documents: HashMap::new(),
            definitions: BTreeMap::new(),
            attached: BTreeMap::new(),
            uncompiled: HashSet::new(),
            uncompiled_attached: BTreeSet::new(),
            world_is_old: false,
            orphans: HashMap::new(),
            role_orphans: HashMap::new(),
            digest: Digest::default(),
            digests: FnvHashMap::default(),
            unreadable: Vec::new(),
        }
    }

    /// Applies changes, in order. Nothing of it is in force before [`Self::snapshot`].
    pub fn apply(&mut self, changes: &[Change]) {
        for change in changes {
            let key = change.key();
            let name = Digest::of(key, "");
            let (before, record) = match change {
                Change::Put { record, .. } => {
                    let now = Digest::of(key, record);
                    self.digest.add(now);
                    (self.digests.insert(name, now), Some(record))
                }
                Change::Delete { .. } => (self.digests.remove(&name), None),
            };
            if let Some(before) = before {
                self.digest.remove(before);
            }
            let parsed = match key.parse::<RecordKey>() {
                Ok(parsed) => parsed,
                Err(error) => {
                    self.unreadable.push(Unreadable { key: key.to_owned(), why: error.to_string() });
                    continue;
                }
            };
            match record.map(|text| read(&parsed, text)) {
                None => self.delete(parsed),
                Some(Ok(record)) => self.put(record),
                Some(Err(why)) => self.put_unreadable(parsed, why),
            }
        }
    }

    /// The checksum of all records.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// How many records there are.
    #[must_use]
    pub fn records(&self) -> usize {
        self.digests.len()
    }

    /// The records that could not be read since the last call.
    pub fn take_unreadable(&mut self) -> Vec<Unreadable> {
        std::mem::take(&mut self.unreadable)
    }

    /// The state as it is now, under the name of a revision.
    #[must_use]
    pub fn snapshot(&mut self, revision: Revision) -> Snapshot {
        if std::mem::take(&mut self.world_is_old) {
            self.snapshot.world = Arc::new(self.compile_world());
            self.uncompiled = self.documents.keys().copied().collect();
            self.uncompiled_attached = self.attached.keys().cloned().collect();
            self.snapshot.attached = Attached::default();
        }
        let world = Arc::clone(&self.snapshot.world);
        for id in std::mem::take(&mut self.uncompiled) {
            let Some(document) = self.documents.get(&id) else { continue };
            let compiled = compile(id, document, &world.catalogue).unwrap_or_else(|why| {
                self.unreadable.push(Unreadable { key: RecordKey::Policy(id).to_string(), why });
                Policy::invalid(&id.to_string())
            });
            self.snapshot.policies.insert(id, Arc::new(compiled));
        }
        self.compile_attached(&world.catalogue);
        self.snapshot.revision = revision;
        self.snapshot.clone()
    }

    /// SECURITY: a policy of a resource that cannot be read refuses every decision about the resource: what it denied is unknown.
    fn compile_attached(&mut self, catalogue: &Catalogue) {
        for srn in std::mem::take(&mut self.uncompiled_attached) {
            let attachment = match Attached::find(&srn, catalogue) {
                Ok(attachment) => attachment,
                // Nothing is decided about what nobody has defined; when somebody does, it is compiled.
                Err(error) => {
                    self.unreadable.push(Unreadable { key: RecordKey::ResourcePolicy(srn).to_string(), why: error.to_string() });
                    continue;
                }
            };
            let Some(document) = self.attached.get(&srn) else {
                self.snapshot.attached.remove(&attachment, catalogue);
                continue;
            };
            let report = Report::new();
            let loaded = document.as_ref().and_then(|text| {
                let source = Source::new("policy", Arc::clone(text));
                ResourcePolicy::load(&source, &srn, attachment.clone(), catalogue, &report)
            });
            let policy = loaded.unwrap_or_else(|| {
                if document.is_some() {
                    self.unreadable.push(Unreadable { key: RecordKey::ResourcePolicy(srn.clone()).to_string(), why: first_error(&report) });
                }
                ResourcePolicy::invalid(&srn, attachment)
            });
            self.snapshot.attached.insert(policy, catalogue);
        }
    }

    fn put(&mut self, record: Record) {
        let snapshot = &mut self.snapshot;
        match record {
            Record::Account(account) => self.change_account(account.id, |found| found.active = account.active),
            Record::User(user) => {
                let holds = self.take_user(user.id);
                self.snapshot.users.insert(user.id, Arc::new(User { holds, ..User::new(&user, &self.offering) }));
            }
            Record::Group(group) => self.change_group(group.id, |group| group.known = true),
            Record::Membership { group, user } => {
                self.change_user(user, |holds| add(&mut holds.groups, Link { id: group, readable: true }))
            }
            Record::Attachment { policy, to } => self.attach(to, Link { id: policy, readable: true }),
            Record::Policy(policy) => {
                let DocumentRef::Text(text, _) = policy.document else {
                    let why = "its document is a file; only file mode has files".to_owned();
                    return self.put_unreadable(RecordKey::Policy(policy.id), why);
                };
                self.documents.insert(policy.id, Document { account: policy.account, text: text.into() });
                self.uncompiled.insert(policy.id);
            }
            Record::ResourcePolicy(policy) => {
                let DocumentRef::Text(text, _) = policy.document else {
                    let why = "its document is a file; only file mode has files".to_owned();
                    return self.put_unreadable(RecordKey::ResourcePolicy(policy.resource), why);
                };
                self.uncompiled_attached.insert(policy.resource.clone());
                self.attached.insert(policy.resource, Some(text.into()));
            }
            Record::AccessKey(key) => {
                let opened = match &key.secret {
                    SecretRef::Sealed(text) => self.sealing_key.open(text, &key.seal_owner()).map_err(|error| error.to_string()),
                    SecretRef::File(_) => Err("its secret is a file; only file mode has files".to_owned()),
                };
                match opened {
                    Ok(secret) => {
                        let secret = sigv4::Key::new(&secret);
                        let (user, enabled, expires_at, parent, debug_until) =
                            (key.user, key.enabled, key.expires_at, key.parent, key.debug_until);
                        snapshot.keys.insert(key.id, Arc::new(AccessKey { user, secret, enabled, expires_at, parent, debug_until }));
                    }
                    Err(why) => self.put_unreadable(RecordKey::AccessKey(key.id), why),
                }
            }
            Record::KeySecurity { user, method, allowed_addresses } => self.secure(user, method, allowed_addresses.into()),
            Record::Definition { service, document } => {
                self.definitions.insert(service, document.into());
                self.world_is_old = true;
            }
            Record::ConsoleAccess { of, allowed_addresses } => self.allow_console(of, allowed_addresses.into()),
            Record::TokensValidFrom { user, sequence } => self.change_user(user, |holds| holds.tokens_valid_from = sequence),
            Record::RevokedToken { user, id, expires_at } => self.revoke(user, RevokedToken { id, expires_at }),
            Record::Role(role) => {
                let holds = self.take_role(role.id);
                self.snapshot.roles.insert(role.id, Arc::new(Role { holds, ..Role::new(&role, &self.offering) }));
            }
            Record::SessionsValidFrom { role, sequence } => self.change_role(role, |holds| holds.sessions_valid_from = sequence),
            Record::TokenKey(wire::TokenKey { id, public_key, not_after }) => {
                Arc::make_mut(&mut snapshot.token_keys).insert(id, TokenKey { public_key, not_after });
            }
        }
    }

    /// SECURITY: what a record says is unknown, that it is there is known; test `what_cannot_be_read_refuses_whom_it_concerns`.
    fn put_unreadable(&mut self, key: RecordKey, why: String) {
        self.unreadable.push(Unreadable { key: key.to_string(), why });
        match key {
            RecordKey::Account(account) => self.change_account(account, |found| found.active = false),
            RecordKey::Group(group) => self.change_group(group, |group| group.known = false),
            RecordKey::Membership(group, user) => {
                self.change_user(user, |holds| add(&mut holds.groups, Link { id: group, readable: false }))
            }
            RecordKey::Attachment(policy, to) => self.attach(to, Link { id: policy, readable: false }),
            RecordKey::Policy(policy) => {
                self.documents.remove(&policy);
                self.uncompiled.remove(&policy);
                self.snapshot.policies.insert(policy, Arc::new(Policy::invalid(&policy.to_string())));
            }
            RecordKey::ResourcePolicy(srn) => {
                self.uncompiled_attached.insert(srn.clone());
                self.attached.insert(srn, None);
            }
            RecordKey::KeySecurity(user) => self.secure(user, KeyMethod::Any, Allowlist::nobody()),
            RecordKey::ConsoleAccess(of) => self.allow_console(of, Allowlist::nobody()),
            // Which of them were ended is not known.
            RecordKey::TokensValidFrom(user) => self.change_user(user, |holds| holds.tokens_valid_from = u64::MAX),
            // Only until when is not known.
            RecordKey::RevokedToken(user, id) => {
                self.revoke(user, RevokedToken { id, expires_at: Timestamp::from_milliseconds(i64::MAX) });
            }
            RecordKey::SessionsValidFrom(role) => self.change_role(role, |holds| holds.sessions_valid_from = u64::MAX),
            key @ (RecordKey::User(_)
            | RecordKey::Role(_)
            | RecordKey::AccessKey(_)
            | RecordKey::Definition(_)
            | RecordKey::TokenKey(_)) => self.delete(key),
        }
    }

    fn delete(&mut self, key: RecordKey) {
        match key {
            RecordKey::Account(account) => self.change_account(account, |found| found.active = false),
            RecordKey::User(user) => {
                let holds = self.take_user(user);
                if holds != Holdings::default() {
                    self.orphans.insert(user, holds);
                }
            }
            RecordKey::Group(group) => self.change_group(group, |group| group.known = false),
            RecordKey::Membership(group, user) => self.change_user(user, |holds| remove(&mut holds.groups, group)),
            RecordKey::Role(role) => {
                let holds = self.take_role(role);
                if holds != RoleHoldings::default() {
                    self.role_orphans.insert(role, holds);
                }
            }
            RecordKey::Attachment(policy, Identity::Role(role)) => self.change_role(role, |holds| remove(&mut holds.policies, policy)),
            RecordKey::Attachment(policy, Identity::User(user)) => self.change_user(user, |holds| remove(&mut holds.policies, policy)),
            RecordKey::Attachment(policy, Identity::Group(group)) => {
                self.change_group(group, |group| remove(&mut group.policies, policy));
            }
            RecordKey::Policy(policy) => {
                self.documents.remove(&policy);
                self.uncompiled.remove(&policy);
                self.snapshot.policies.remove(&policy);
            }
            RecordKey::ResourcePolicy(srn) => {
                self.attached.remove(&srn);
                self.uncompiled_attached.insert(srn);
            }
            RecordKey::AccessKey(key) => {
                self.snapshot.keys.remove(&key);
            }
            RecordKey::KeySecurity(user) => self.secure(user, KeyMethod::Any, Allowlist::NotUsed),
            RecordKey::Definition(service) => {
                self.definitions.remove(&service);
                self.world_is_old = true;
            }
            RecordKey::ConsoleAccess(of) => self.allow_console(of, Allowlist::NotUsed),
            RecordKey::TokensValidFrom(user) => self.change_user(user, |holds| holds.tokens_valid_from = 0),
            RecordKey::RevokedToken(user, token) => self.change_user(user, |holds| {
                holds.revoked_tokens = holds.revoked_tokens.iter().copied().filter(|revoked| revoked.id != token).collect();
            }),
            RecordKey::SessionsValidFrom(role) => self.change_role(role, |holds| holds.sessions_valid_from = 0),
            RecordKey::TokenKey(key) => {
                Arc::make_mut(&mut self.snapshot.token_keys).remove(&key);
            }
        }
    }

    /// Takes a user out; what they hold is left over.
    fn take_user(&mut self, user: UserId) -> Holdings {
        match self.snapshot.users.remove(&user) {
            Some(user) => Arc::unwrap_or_clone(user).holds,
            None => self.orphans.remove(&user).unwrap_or_default(),
        }
    }

    fn take_role(&mut self, role: RoleId) -> RoleHoldings {
        match self.snapshot.roles.remove(&role) {
            Some(role) => Arc::unwrap_or_clone(role).holds,
            None => self.role_orphans.remove(&role).unwrap_or_default(),
        }
    }

    fn attach(&mut self, to: Identity, policy: Link<PolicyId>) {
        match to {
            Identity::User(user) => self.change_user(user, |holds| add(&mut holds.policies, policy)),
            Identity::Group(group) => self.change_group(group, |group| add(&mut group.policies, policy)),
            Identity::Role(role) => self.change_role(role, |holds| add(&mut holds.policies, policy)),
        }
    }

    fn secure(&mut self, user: UserId, method: KeyMethod, allowlist: Allowlist) {
        self.change_user(user, |holds| (holds.key_method, holds.allowed_addresses) = (method, allowlist));
    }

    fn revoke(&mut self, user: UserId, token: RevokedToken) {
        self.change_user(user, |holds| {
            let others = holds.revoked_tokens.iter().copied().filter(|revoked| revoked.id != token.id);
            let mut all: Vec<RevokedToken> = others.chain([token]).collect();
            all.sort_unstable();
            holds.revoked_tokens = all.into();
        });
    }

    fn allow_console(&mut self, of: ConsoleOf, allowlist: Allowlist) {
        match of {
            ConsoleOf::User(user) => self.change_user(user, |holds| holds.console = allowlist),
            ConsoleOf::Account(account) => self.change_account(account, |found| found.console = allowlist),
        }
    }

    /// Changes an account, whether or not there is a record of it.
    fn change_account(&mut self, id: AccountId, change: impl FnOnce(&mut Account)) {
        let mut account = self.snapshot.accounts.get(&id).map(|found| Account::clone(found)).unwrap_or_default();
        change(&mut account);
        if account == Account::default() {
            self.snapshot.accounts.remove(&id);
        } else {
            self.snapshot.accounts.insert(id, Arc::new(account));
        }
    }

    /// Changes what a user holds, whether or not there is a record of the user.
    fn change_user(&mut self, user: UserId, change: impl FnOnce(&mut Holdings)) {
        match self.snapshot.users.get(&user) {
            Some(found) => {
                let mut fresh = User::clone(found);
                change(&mut fresh.holds);
                self.snapshot.users.insert(user, Arc::new(fresh));
            }
            None => {
                let mut holds = self.orphans.remove(&user).unwrap_or_default();
                change(&mut holds);
                if holds != Holdings::default() {
                    self.orphans.insert(user, holds);
                }
            }
        }
    }

    /// Changes what a role holds, whether or not there is a record of the role.
    fn change_role(&mut self, role: RoleId, change: impl FnOnce(&mut RoleHoldings)) {
        match self.snapshot.roles.get(&role) {
            Some(found) => {
                let mut fresh = Role::clone(found);
                change(&mut fresh.holds);
                self.snapshot.roles.insert(role, Arc::new(fresh));
            }
            None => {
                let mut holds = self.role_orphans.remove(&role).unwrap_or_default();
                change(&mut holds);
                if holds != RoleHoldings::default() {
                    self.role_orphans.insert(role, holds);
                }
            }
        }
    }

    fn change_group(&mut self, id: GroupId, change: impl FnOnce(&mut Group)) {
        let mut group = self.snapshot.group(id).cloned().unwrap_or_default();
        change(&mut group);
        if group.known || !group.policies.is_empty() {
            self.snapshot.groups.insert(id, Arc::new(group));
        } else {
            self.snapshot.groups.remove(&id);
        }
    }

    /// Compiles all definitions that can be compiled together.
    fn compile_world(&mut self) -> World {
        let report = Report::new();
        let (world, whole) = build_world(&self.offering, self.definitions.values(), &report);
        if whole {
            return world;
        }
        // One that cannot be read must not take the others with it: without routes its service is refused by itself.
        let mut kept: Vec<&Arc<str>> = Vec::new();
        for (service, document) in &self.definitions {
            let report = Report::new();
            kept.push(document);
            let (_, whole) = build_world(&self.offering, kept.iter().copied(), &report);
            if !whole {
                kept.pop();
                self.unreadable.push(Unreadable { key: RecordKey::Definition(service.clone()).to_string(), why: first_error(&report) });
            }
        }
        build_world(&self.offering, kept.iter().copied(), &Report::new()).0
    }
}

impl fmt::Debug for Roster {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Roster({} records, {})", self.digests.len(), self.digest)
    }
}

fn read(key: &RecordKey, text: &str) -> Result<Record, String> {
    let record = wire::read_json(text)?;
    let own = record.key();
    if own == *key { Ok(record) } else { Err(format!("it stands under this key and says that it is `{own}`")) }
}

fn build_world<'d>(offering: &Offering, documents: impl Iterator<Item = &'d Arc<str>>, report: &Report) -> (World, bool) {
    let mut builder = WorldBuilder::new(offering.clone(), report);
    for document in documents {
        let source = Source::new("definition", Arc::clone(document));
        match yaml::parse(&source) {
            Ok(parts) => {
                for part in parts {
                    if let Some(definition) = Definition::decode(&Cursor::new(&part, &source, report)) {
                        builder.add(definition);
                    }
                }
            }
            Err(error) => report.error(&source, error.span, error.message, error.hint),
        }
    }
    let (world, whole) = builder.build();
    (world, whole && !report.has_errors())
}

fn compile(id: PolicyId, document: &Document, catalogue: &Catalogue) -> Result<Policy, String> {
    let owner = document.account.map_or_else(Owner::system, |account| Owner::account(account.to_text().as_str()));
    let report = Report::new();
    let source = Source::new("policy", Arc::clone(&document.text));
    Policy::load(&source, &id.to_string(), owner, catalogue, &report).ok_or_else(|| first_error(&report))
}

fn first_error(report: &Report) -> String {
    let is_error = |found: &crate::source::Diagnostic| found.severity == crate::source::Severity::Error;
    report.diagnostics().into_iter().find(is_error).map_or_else(|| "it cannot be read".to_owned(), |found| found.message)
}

/// Puts a link into a list, in place of one to the same.
fn add<I: Copy + Ord>(links: &mut Box<[Link<I>]>, link: Link<I>) {
    let mut all: Vec<Link<I>> = links.iter().copied().filter(|other| other.id != link.id).collect();
    all.push(link);
    all.sort_unstable();
    *links = all.into();
}

fn remove<I: Copy + Eq>(links: &mut Box<[Link<I>]>, id: I) {
    *links = links.iter().copied().filter(|link| link.id != id).collect();
}

#[cfg(test)]
mod tests;
