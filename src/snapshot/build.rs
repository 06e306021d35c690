//! From records to a snapshot: everything is checked against everything, all errors are reported, and only a
//! clean whole becomes a snapshot.

use std::collections::{HashMap, HashSet};
use std::fmt::Display;
use std::hash::Hash;
use std::sync::Arc;

use super::attached::Attached;
use super::shards::Shards;
use super::view::{AccessKey, Account, Allowlist, Group, Holdings, Link, Snapshot, User};
use super::wire::{self, ConsoleOf, Identity, Place};
use super::world::WorldBuilder;
use crate::authn::sigv4;
use crate::policy::{Attachment, Catalogue, Owner, Policy, ResourcePolicy};
use crate::source::{Report, Source};
use crate::types::{AccessKeyId, AccountId, GroupId, KeyMethod, Network, Offering, PolicyId, Revision, Secret, UserId};

/// Most access keys of one user (seed 003, L1301).
const KEYS_PER_USER_MAX: usize = 2;
/// Most temporary keys made with one key (seed 003, L1304).
const CHILDREN_PER_KEY_MAX: usize = 5;

/// Collects records, then builds. Records may come in any order.
pub struct Builder<'r> {
    report: &'r Report,
    offering: Offering,
    world: WorldBuilder<'r>,
    accounts: Kept<AccountId, wire::Account>,
    users: Kept<UserId, wire::User>,
    groups: Kept<GroupId, wire::Group>,
    policies: Kept<PolicyId, (wire::Policy, Source)>,
    resource_policies: Vec<(wire::ResourcePolicy, Source, Place)>,
    keys: Kept<AccessKeyId, (wire::AccessKey, Secret)>,
    memberships: Vec<(GroupId, UserId, Place)>,
    attachments: Vec<(PolicyId, Identity, Place)>,
    key_security: Kept<UserId, (KeyMethod, Allowlist)>,
    console_of_users: Kept<UserId, Allowlist>,
    console_of_accounts: Kept<AccountId, Allowlist>,
    unread: Unread,
}

/// What exists but could not be read, which has been reported: nobody is told that it does not exist.
#[derive(Default)]
struct Unread {
    definitions: bool,
    /// Records whose ids are not known either.
    records: bool,
    ids: HashSet<String>,
}

type Kept<K, V> = HashMap<K, (V, Place)>;

impl<'r> Builder<'r> {
    /// An empty builder; errors go to `report`.
    #[must_use]
    pub fn new(offering: Offering, report: &'r Report) -> Self {
        Self {
            report,
            world: WorldBuilder::new(offering.clone(), report),
            offering,
            accounts: HashMap::new(),
            users: HashMap::new(),
            groups: HashMap::new(),
            policies: HashMap::new(),
            resource_policies: Vec::new(),
            keys: HashMap::new(),
            memberships: Vec::new(),
            attachments: Vec::new(),
            key_security: HashMap::new(),
            console_of_users: HashMap::new(),
            console_of_accounts: HashMap::new(),
            unread: Unread::default(),
        }
    }

    /// Notes that a definition could not be read: nothing is built, and what depends on it is not complained about.
    pub fn unread_definition(&mut self) {
        self.unread.definitions = true;
    }

    /// Notes that a record could not be read, with its id if that much is known: nothing is built, and references to it are
    /// not complained about.
    pub fn unread_record(&mut self, id: Option<&str>) {
        match id {
            Some(id) => {
                self.unread.ids.insert(id.to_owned());
            }
            None => self.unread.records = true,
        }
    }

    /// Adds a definition.
    pub fn definition(&mut self, definition: wire::Definition) {
        self.world.add(definition);
    }

    /// Adds a policy whose document has been read.
    pub fn policy(&mut self, policy: wire::Policy, document: Source, place: Place) {
        keep(self.report, &mut self.policies, "policy", policy.id, (policy, document), place);
    }

    /// Adds the policy of a resource, whose document has been read.
    pub fn resource_policy(&mut self, policy: wire::ResourcePolicy, document: Source, place: Place) {
        self.resource_policies.push((policy, document, place));
    }

    /// Adds an access key whose secret has been opened.
    pub fn access_key(&mut self, key: wire::AccessKey, secret: Secret, place: Place) {
        keep(self.report, &mut self.keys, "access key", key.id, (key, secret), place);
    }

    /// Adds an account.
    pub fn account(&mut self, account: wire::Account, place: Place) {
        keep(self.report, &mut self.accounts, "account", account.id, account, place);
    }

    /// Adds a user.
    pub fn user(&mut self, user: wire::User, place: Place) {
        keep(self.report, &mut self.users, "user", user.id, user, place);
    }

    /// Adds a group.
    pub fn group(&mut self, group: wire::Group, place: Place) {
        keep(self.report, &mut self.groups, "group", group.id, group, place);
    }

    /// Adds a membership.
    pub fn membership(&mut self, group: GroupId, user: UserId, place: Place) {
        self.memberships.push((group, user, place));
    }

    /// Adds an attachment.
    pub fn attachment(&mut self, policy: PolicyId, to: Identity, place: Place) {
        self.attachments.push((policy, to, place));
    }

    /// Adds a user's key security settings.
    pub fn key_security(&mut self, user: UserId, method: KeyMethod, allowed: Option<Vec<Network>>, place: Place) {
        keep(self.report, &mut self.key_security, "key security setting of user", user, (method, allowed.into()), place);
    }

    /// Adds from where a console may be used.
    pub fn console_access(&mut self, of: ConsoleOf, allowed: Option<Vec<Network>>, place: Place) {
        let allowed = allowed.into();
        match of {
            ConsoleOf::User(user) => keep(self.report, &mut self.console_of_users, "console access of user", user, allowed, place),
            ConsoleOf::Account(id) => keep(self.report, &mut self.console_of_accounts, "console access of account", id, allowed, place),
        }
    }

    /// Builds the snapshot; `None` when any record had an error.
    #[must_use]
    pub fn build(mut self, revision: Revision) -> Option<Snapshot> {
        let fresh = WorldBuilder::new(self.offering.clone(), self.report);
        let (world, whole) = std::mem::replace(&mut self.world, fresh).build();
        self.unread.definitions |= !whole;
        let policies = self.compile_policies(&world.catalogue);
        let attached = self.compile_attached(&world.catalogue);
        let mut held = self.held();
        let groups: Shards<GroupId, Arc<Group>> =
            self.groups.keys().map(|id| (*id, Arc::new(Group { policies: distinct(held.groups.remove(id)), known: true }))).collect();
        let users = self.compile_users(held);
        let keys = self.compile_keys();
        let whole = !self.unread.definitions && !self.unread.records && self.unread.ids.is_empty();
        if self.report.has_errors() || !whole {
            return None;
        }
        let account = |(id, (account, _)): (&AccountId, &(wire::Account, Place))| {
            let console = self.console_of_accounts.get(id).map(|(allowed, _)| allowed.clone()).unwrap_or_default();
            (*id, Arc::new(Account { active: account.active, console }))
        };
        let accounts = self.accounts.iter().map(account).collect();
        let mut snapshot = Snapshot::empty(revision, world, None);
        snapshot.accounts = accounts;
        snapshot.users = users;
        snapshot.groups = groups;
        snapshot.policies = policies;
        snapshot.attached = attached;
        snapshot.keys = keys;
        Some(snapshot)
    }

    fn error(&self, place: &Place, message: impl Display, hint: impl Into<String>) {
        self.report.error(&place.source, place.span, message.to_string(), Some(hint.into()));
    }

    fn compile_policies(&self, catalogue: &Catalogue) -> Shards<PolicyId, Arc<Policy>> {
        // Where definitions are missing, warnings about unknown actions would only repeat that.
        let errors_only = Report::new();
        let report = if self.unread.definitions { &errors_only } else { self.report };
        let mut compiled = Shards::default();
        for (id, ((policy, document), place)) in &self.policies {
            let owner = match policy.account {
                None => Owner::system(),
                Some(account) => {
                    self.exists(&self.accounts, account, "account", place);
                    Owner::account(account.to_text().as_str())
                }
            };
            if let Some(loaded) = Policy::load(document, &id.to_string(), owner, catalogue, report) {
                compiled.insert(*id, Arc::new(loaded));
            }
        }
        self.report.take_errors(&errors_only);
        compiled
    }

    fn compile_attached(&self, catalogue: &Catalogue) -> Attached {
        let mut compiled = Attached::default();
        let mut seen: Vec<(Attachment, &Place)> = Vec::new();
        for (policy, document, place) in &self.resource_policies {
            let attachment = match Attached::find(&policy.resource, catalogue) {
                Ok(attachment) => attachment,
                Err(_) if self.unread.definitions => continue,
                Err(error) => {
                    let hint = "write an SRN with its account, of a type that a definition names";
                    self.error(&self.place_of(place, &policy.resource), error, hint);
                    continue;
                }
            };
            if let Some((_, first)) = seen.iter().find(|(other, _)| *other == attachment) {
                let message = format!("the resource has a policy already, at {}:{}", first.source.name(), first.span.start.line);
                self.error(&self.place_of(place, &policy.resource), message, "put the statements of both into one");
                continue;
            }
            if let Some(loaded) = ResourcePolicy::load(document, &policy.resource, attachment.clone(), catalogue, self.report) {
                compiled.insert(loaded, catalogue);
            }
            seen.push((attachment, place));
        }
        compiled
    }

    fn exists<K: Eq + Hash + Display, V>(&self, kept: &Kept<K, V>, id: K, what: &str, place: &Place) -> bool {
        if kept.contains_key(&id) {
            return true;
        }
        let text = id.to_string();
        if !self.unread.records && !self.unread.ids.contains(&text) {
            let hint = format!("correct the id, or add a record `kind: {what}` with it");
            self.error(&self.place_of(place, &text), format!("there is no {what} `{text}`"), hint);
        }
        false
    }

    /// Where an id stands in the record at `place`.
    fn place_of(&self, place: &Place, id: &str) -> Place {
        // Finding it takes time, and a full report shows no further place.
        if self.report.is_full() { place.clone() } else { place.of_text(id) }
    }

    /// Reports everything but the first, in the order of the files, of what there is too much of.
    fn surplus<K>(&self, found: HashMap<K, Vec<(String, &Place)>>, most: usize, message: &str, hint: &str) {
        for mut places in found.into_values().filter(|places| places.len() > most) {
            places.sort_by(|(_, one), (_, other)| (one.source.name(), one.span.start).cmp(&(other.source.name(), other.span.start)));
            for (id, place) in places.into_iter().skip(most) {
                self.error(&self.place_of(place, &id), message, hint);
            }
        }
    }

    /// Who is in which group and holds which policies.
    fn held(&self) -> Held {
        let mut held = Held::default();
        for (group, user, place) in &self.memberships {
            if self.exists(&self.groups, *group, "group", place) && self.exists(&self.users, *user, "user", place) {
                let (group_account, user_account) =
                    (self.groups.get(group).map(|(group, _)| group.account), self.users.get(user).map(|(user, _)| user.account));
                if group_account == user_account {
                    held.memberships.entry(*user).or_default().push(Link { id: *group, readable: true });
                } else {
                    let hint = "name a user of the group's account: a group has members of its own account only";
                    self.error(&self.place_of(place, &user.to_string()), "the user belongs to another account than the group", hint);
                }
            }
        }
        for (policy, to, place) in &self.attachments {
            let account = match to {
                Identity::User(user) if self.exists(&self.users, *user, "user", place) => {
                    self.users.get(user).map(|(user, _)| user.account)
                }
                Identity::Group(group) if self.exists(&self.groups, *group, "group", place) => {
                    self.groups.get(group).map(|(group, _)| group.account)
                }
                // Not in files.
                Identity::User(_) | Identity::Group(_) | Identity::Role(_) => None,
            };
            let Some(account) = account else { continue };
            if !self.exists(&self.policies, *policy, "policy", place) {
                continue;
            }
            let owner = self.policies.get(policy).and_then(|((policy, _), _)| policy.account);
            if owner.is_some_and(|owner| owner != account) {
                let (what, hint) = match to {
                    Identity::User(_) => ("user", "attach a policy of the user's account, or one of `account: system`"),
                    Identity::Group(_) | Identity::Role(_) => {
                        ("group", "attach a policy of the group's account, or one of `account: system`")
                    }
                };
                let message = format!("the policy belongs to another account than the {what}");
                self.error(&self.place_of(place, &policy.to_string()), message, hint);
                continue;
            }
            let link = Link { id: *policy, readable: true };
            match to {
                Identity::User(user) => held.users.entry(*user).or_default().push(link),
                Identity::Group(group) => held.groups.entry(*group).or_default().push(link),
                Identity::Role(_) => {}
            }
        }
        held
    }

    fn compile_users(&self, mut held: Held) -> Shards<UserId, Arc<User>> {
        for (user, (_, place)) in &self.key_security {
            self.exists(&self.users, *user, "user", place);
        }
        for (user, (_, place)) in &self.console_of_users {
            self.exists(&self.users, *user, "user", place);
        }
        for (account, (_, place)) in &self.console_of_accounts {
            self.exists(&self.accounts, *account, "account", place);
        }
        for (group, place) in self.groups.values() {
            self.exists(&self.accounts, group.account, "account", place);
        }
        let mut roots: HashMap<AccountId, Vec<(String, &Place)>> = HashMap::new();
        let mut users = Shards::default();
        for (id, (user, place)) in &self.users {
            self.exists(&self.accounts, user.account, "account", place);
            if user.root {
                roots.entry(user.account).or_default().push((id.to_string(), place));
            }
            let (key_method, allowed_addresses) = self.key_security.get(id).map(|(setting, _)| setting.clone()).unwrap_or_default();
            let holds = Holdings {
                groups: distinct(held.memberships.remove(id)),
                policies: distinct(held.users.remove(id)),
                allowed_addresses,
                key_method,
                console: self.console_of_users.get(id).map(|(allowed, _)| allowed.clone()).unwrap_or_default(),
                tokens_valid_from: 0,
                revoked_tokens: Box::default(),
            };
            users.insert(*id, Arc::new(User { holds, ..User::new(user, &self.offering) }));
        }
        self.surplus(roots, 1, "the account has another root user already", "write `root: false`, or remove it from the other");
        users
    }

    fn compile_keys(&self) -> Shards<AccessKeyId, Arc<AccessKey>> {
        let mut keys = Shards::default();
        let mut per_user: HashMap<UserId, Vec<(String, &Place)>> = HashMap::new();
        let mut per_parent: HashMap<AccessKeyId, Vec<(String, &Place)>> = HashMap::new();
        for (id, ((key, secret), place)) in &self.keys {
            if !self.exists(&self.users, key.user, "user", place) {
                continue;
            }
            match key.parent {
                None => per_user.entry(key.user).or_default().push((id.to_string(), place)),
                Some(parent) if self.is_parent(parent, key.user, place) => {
                    per_parent.entry(parent).or_default().push((id.to_string(), place));
                }
                Some(_) => continue,
            }
            let secret = sigv4::Key::new(secret);
            let (user, enabled, expires_at, parent, debug_until) = (key.user, key.enabled, key.expires_at, key.parent, key.debug_until);
            keys.insert(*id, Arc::new(AccessKey { user, secret, enabled, expires_at, parent, debug_until }));
        }
        let message = format!("the user has {KEYS_PER_USER_MAX} access keys already");
        self.surplus(per_user, KEYS_PER_USER_MAX, &message, "remove a key that is no longer used");
        let message = format!("the key has {CHILDREN_PER_KEY_MAX} temporary keys already");
        self.surplus(per_parent, CHILDREN_PER_KEY_MAX, &message, "remove a temporary key that is no longer used");
        keys
    }

    /// Whether a temporary key of the user may have been made with this one.
    fn is_parent(&self, parent: AccessKeyId, user: UserId, place: &Place) -> bool {
        if !self.exists(&self.keys, parent, "access_key", place) {
            return false;
        }
        let Some(((found, _), _)) = self.keys.get(&parent) else { return false };
        let message = match (found.parent, found.user == user) {
            (None, true) => return true,
            (Some(_), _) => "the key is a temporary one itself",
            (None, false) => "the key belongs to another user",
        };
        self.error(&self.place_of(place, &parent.to_string()), message, "write the permanent key of the same user");
        false
    }
}

/// What users and groups hold.
#[derive(Default)]
struct Held {
    memberships: HashMap<UserId, Vec<Link<GroupId>>>,
    users: HashMap<UserId, Vec<Link<PolicyId>>>,
    groups: HashMap<GroupId, Vec<Link<PolicyId>>>,
}

fn distinct<T: Ord>(links: Option<Vec<T>>) -> Box<[T]> {
    let mut links = links.unwrap_or_default();
    links.sort_unstable();
    links.dedup();
    links.into()
}

fn keep<K: Eq + Hash + Copy + Display, V>(report: &Report, kept: &mut Kept<K, V>, what: &str, id: K, value: V, place: Place) {
    if let Some((_, first)) = kept.get(&id) {
        let message = format!("the {what} `{id}` is there already, at {}:{}", first.source.name(), first.span.start.line);
        let place = if report.is_full() { place } else { place.of_text(&id.to_string()) };
        let hint = "keep one of the two; every record has an id of its own";
        report.error(&place.source, place.span, message, Some(hint.to_owned()));
        return;
    }
    kept.insert(id, (value, place));
}
