//! From records to a snapshot: everything is checked against everything, all errors are reported, and only a
//! clean whole becomes a snapshot.

use std::collections::{HashMap, HashSet};
use std::fmt::Display;
use std::hash::Hash;
use std::sync::Arc;

use super::accessor::Expression;
use super::definition::{Authentication, Decide, Operation, ResourceTemplate, ServiceDefinition};
use super::routes::{Routes, parameter_names};
use super::view::{self, AccessKey, Allowlist, Snapshot, User};
use super::wire::{self, Identity, MethodDefinition, Place, ResourceDefinitionRef, Text};
use crate::policy::{Catalogue, CatalogueBuilder, Owner, Policy, ResourceTypeId};
use crate::source::{Report, Severity, Source};
use crate::types::{
    AccessKeyId, AccountId, GroupId, NetworkSet, Offering, PolicyId, Principal, PrincipalKind, Revision, Secret, SigningKey, Srn, UserId,
};

/// Most access keys of one user (seed 003, L1301).
const KEYS_PER_USER_MAX: usize = 2;

/// Collects records, then builds. Records may come in any order.
pub struct Builder<'r> {
    report: &'r Report,
    offering: Offering,
    catalogue: CatalogueBuilder,
    definitions: Vec<wire::ActionDefinition>,
    accounts: Kept<AccountId, wire::Account>,
    users: Kept<UserId, wire::User>,
    groups: Kept<GroupId, wire::Group>,
    policies: Kept<PolicyId, (wire::Policy, Source)>,
    keys: Kept<AccessKeyId, (wire::AccessKey, Secret)>,
    memberships: Vec<(GroupId, UserId, Place)>,
    attachments: Vec<(PolicyId, Identity, Place)>,
    key_security: Kept<UserId, Allowlist>,
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

/// A path template and the names of its parameters.
struct Template<'a> {
    text: &'a str,
    names: &'a [&'a str],
    /// The parameters of all templates of the definition.
    elsewhere: &'a [&'a str],
}

type Kept<K, V> = HashMap<K, (V, Place)>;

impl<'r> Builder<'r> {
    /// An empty builder; errors go to `report`.
    #[must_use]
    pub fn new(offering: Offering, report: &'r Report) -> Self {
        Self {
            report,
            catalogue: Catalogue::builder(offering.clone()),
            offering,
            definitions: Vec::new(),
            accounts: HashMap::new(),
            users: HashMap::new(),
            groups: HashMap::new(),
            policies: HashMap::new(),
            keys: HashMap::new(),
            memberships: Vec::new(),
            attachments: Vec::new(),
            key_security: HashMap::new(),
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

    /// Adds the action definitions of a service.
    pub fn definition(&mut self, definition: wire::ActionDefinition) {
        let aliases: Vec<&str> = definition.aliases.iter().map(String::as_str).collect();
        if let Err(error) = self.catalogue.service(&definition.service, &definition.service_type, &aliases) {
            self.unread_definition();
            let hint = "a `service`, `service_type` or one of `aliases` stands in another definition too; keep it in one of them";
            self.error(&definition.place, error, hint);
            return;
        }
        self.definitions.push(definition);
    }

    /// Adds a policy whose document has been read.
    pub fn policy(&mut self, policy: wire::Policy, document: Source, place: Place) {
        keep(self.report, &mut self.policies, "policy", policy.id, (policy, document), place);
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
    pub fn key_security(&mut self, user: UserId, allowed: Option<Vec<crate::types::Network>>, place: Place) {
        let allowlist = match allowed {
            None => Allowlist::NotUsed,
            Some(networks) => Allowlist::Enabled(networks.into_iter().collect::<NetworkSet>()),
        };
        keep(self.report, &mut self.key_security, "key security setting of user", user, allowlist, place);
    }

    /// Builds the snapshot; `None` when any record had an error.
    #[must_use]
    pub fn build(mut self, revision: Revision) -> Option<Snapshot> {
        let before = self.report.count(Severity::Error);
        let definitions = self.compile_definitions();
        self.unread.definitions |= self.report.count(Severity::Error) > before;
        let catalogue = std::mem::replace(&mut self.catalogue, Catalogue::builder(self.offering.clone())).build();
        let policies = self.compile_policies(&catalogue);
        let users = self.compile_users(&policies);
        let keys = self.compile_keys(&users);
        let whole = !self.unread.definitions && !self.unread.records && self.unread.ids.is_empty();
        if self.report.has_errors() || !whole {
            return None;
        }
        Some(Snapshot { revision, catalogue, definitions, users, keys, policies: policies.len(), decoy: view::decoy() })
    }

    fn error(&self, place: &Place, message: impl Display, hint: impl Into<String>) {
        self.report.error(&place.source, place.span, message.to_string(), Some(hint.into()));
    }

    fn compile_definitions(&mut self) -> HashMap<Box<str>, Arc<ServiceDefinition>> {
        let mut compiled: HashMap<Box<str>, ServiceDefinition> = HashMap::new();
        for definition in std::mem::take(&mut self.definitions) {
            let mut service = compiled.remove(definition.service.as_str()).unwrap_or_else(|| ServiceDefinition {
                service: definition.service.as_str().into(),
                routes: Routes::default(),
                operations: 0,
                public: Vec::new(),
            });
            self.compile_definition(&definition, &mut service);
            compiled.insert(service.service.clone(), service);
        }
        compiled.into_iter().map(|(name, service)| (name, Arc::new(service))).collect()
    }

    fn compile_definition(&mut self, definition: &wire::ActionDefinition, service: &mut ServiceDefinition) {
        let elsewhere: Vec<&str> = definition.paths.iter().filter_map(|path| parameter_names(&path.template.text).ok()).flatten().collect();
        for path in &definition.paths {
            let template = &path.template;
            let names = match parameter_names(&template.text) {
                Ok(names) => names,
                Err(error) => {
                    self.error(&template.place, error, "write a template such as `/v1/users/{user_id}`");
                    continue;
                }
            };
            let shared: Arc<str> = template.text.as_str().into();
            for method in &path.methods {
                let Some(operation) =
                    self.operation(definition, method, &shared, &Template { text: &shared, names: &names, elsewhere: &elsewhere })
                else {
                    continue;
                };
                let Ok(stored) = service.routes.at(&template.text) else { continue };
                if let Some(other) = stored.iter().find(|other| other.method == operation.method) {
                    let message = format!("`{} {}` is defined already, as `{}`", method.method, template.text, other.template);
                    self.error(&method.place, message, "keep one of the two; names in braces do not tell paths apart");
                    continue;
                }
                if operation.authentication == Authentication::None {
                    service.public.push((operation.method.clone(), Arc::clone(&shared)));
                }
                service.operations += 1;
                stored.push(operation);
            }
        }
    }

    fn operation(
        &mut self,
        definition: &wire::ActionDefinition,
        method: &MethodDefinition,
        template: &Arc<str>,
        path: &Template<'_>,
    ) -> Option<Operation> {
        let resources: Option<Vec<(ResourceTemplate, Option<ResourceTypeId>)>> =
            method.resources.iter().map(|resource| self.resource(resource, path)).collect();
        let account = self.expression(definition.account.as_ref(), path, path.elsewhere, Expression::principal);
        let region = self.expression(definition.region.as_ref(), path, path.elsewhere, Expression::empty);
        let (resources, account, region) = (resources?, account?, region?);
        let action = match &method.action {
            None => None,
            Some((name, level)) => {
                if name.service() != definition.service {
                    let hint = format!("write `{}:{}`", definition.service, name.name());
                    self.error(&method.place, format!("the action `{name}` does not belong to the service `{}`", definition.service), hint);
                    return None;
                }
                let kinds: Vec<ResourceTypeId> = resources.iter().filter_map(|(_, kind)| *kind).collect();
                match self.catalogue.action(name.clone(), *level, &kinds) {
                    Ok(id) => Some(id),
                    Err(error) => {
                        self.error(&method.place, error, "give an action the same access level wherever it stands");
                        return None;
                    }
                }
            }
        };
        let resources: Box<[ResourceTemplate]> = resources.into_iter().map(|(resource, _)| resource).collect();
        let in_resources = resources.iter().any(|resource| match resource {
            ResourceTemplate::Typed { id, .. } | ResourceTemplate::Srn(id) => id.needs_body(),
        });
        Some(Operation {
            method: method.method.clone(),
            template: Arc::clone(template),
            action,
            authentication: if method.public { Authentication::None } else { Authentication::Required },
            decide: if method.backend_decides { Decide::Backend } else { Decide::Gateway },
            needs_body: in_resources || account.needs_body() || region.needs_body(),
            resources,
            account,
            region,
        })
    }

    fn resource(&mut self, resource: &ResourceDefinitionRef, path: &Template<'_>) -> Option<(ResourceTemplate, Option<ResourceTypeId>)> {
        match resource {
            ResourceDefinitionRef::Srn(text) => {
                self.expression(Some(text), path, &[], Expression::empty).map(|srn| (ResourceTemplate::Srn(srn), None))
            }
            ResourceDefinitionRef::Typed { spelling, resource_id } => {
                let kind = match self.catalogue.resource_type(&spelling.text) {
                    Ok(kind) => Some(kind),
                    Err(error) => {
                        self.error(&spelling.place, error, "write `service:type`, the service as in a definition's `service`");
                        None
                    }
                };
                let id = self.expression(Some(resource_id), path, &[], Expression::empty);
                Some((ResourceTemplate::Typed { kind: kind?, id: id? }, kind))
            }
        }
    }

    fn expression(
        &self,
        text: Option<&Text>,
        path: &Template<'_>,
        elsewhere: &[&str],
        absent: impl Fn() -> Expression,
    ) -> Option<Expression> {
        let Some(text) = text else { return Some(absent()) };
        match Expression::parse_shared(&text.text, path.names, elsewhere) {
            Ok(expression) => Some(expression),
            Err(message) => {
                let message = format!("`{}` in the path `{}`: {message}", text.text, path.text);
                self.error(&text.place, message, wire::expression_hint(path.names));
                None
            }
        }
    }

    fn compile_policies(&self, catalogue: &Catalogue) -> HashMap<PolicyId, Arc<Policy>> {
        // Where definitions are missing, warnings about unknown actions would only repeat that.
        let errors_only = Report::new();
        let report = if self.unread.definitions { &errors_only } else { self.report };
        let mut compiled = HashMap::with_capacity(self.policies.len());
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

    /// The ids of the policies that each user holds, own and by groups.
    fn attached(&self) -> HashMap<UserId, Vec<PolicyId>> {
        let mut members: HashMap<GroupId, Vec<UserId>> = HashMap::new();
        for (group, user, place) in &self.memberships {
            if self.exists(&self.groups, *group, "group", place) && self.exists(&self.users, *user, "user", place) {
                let (group_account, user_account) =
                    (self.groups.get(group).map(|(group, _)| group.account), self.users.get(user).map(|(user, _)| user.account));
                if group_account == user_account {
                    members.entry(*group).or_default().push(*user);
                } else {
                    let hint = "name a user of the group's account: a group has members of its own account only";
                    self.error(&self.place_of(place, &user.to_string()), "the user belongs to another account than the group", hint);
                }
            }
        }
        let mut attached: HashMap<UserId, Vec<PolicyId>> = HashMap::new();
        for (policy, to, place) in &self.attachments {
            let account = match to {
                Identity::User(user) if self.exists(&self.users, *user, "user", place) => {
                    self.users.get(user).map(|(user, _)| user.account)
                }
                Identity::Group(group) if self.exists(&self.groups, *group, "group", place) => {
                    self.groups.get(group).map(|(group, _)| group.account)
                }
                Identity::User(_) | Identity::Group(_) => None,
            };
            let Some(account) = account else { continue };
            if !self.exists(&self.policies, *policy, "policy", place) {
                continue;
            }
            let owner = self.policies.get(policy).and_then(|((policy, _), _)| policy.account);
            if owner.is_some_and(|owner| owner != account) {
                let (what, hint) = match to {
                    Identity::User(_) => ("user", "attach a policy of the user's account, or one of `account: system`"),
                    Identity::Group(_) => ("group", "attach a policy of the group's account, or one of `account: system`"),
                };
                let message = format!("the policy belongs to another account than the {what}");
                self.error(&self.place_of(place, &policy.to_string()), message, hint);
                continue;
            }
            match to {
                Identity::User(user) => attached.entry(*user).or_default().push(*policy),
                Identity::Group(group) => {
                    for user in members.get(group).into_iter().flatten() {
                        attached.entry(*user).or_default().push(*policy);
                    }
                }
            }
        }
        attached
    }

    fn compile_users(&self, policies: &HashMap<PolicyId, Arc<Policy>>) -> HashMap<UserId, Arc<User>> {
        let mut attached = self.attached();
        for (user, (_, place)) in &self.key_security {
            self.exists(&self.users, *user, "user", place);
        }
        for (group, place) in self.groups.values() {
            self.exists(&self.accounts, group.account, "account", place);
        }
        let mut roots: HashMap<AccountId, Vec<(String, &Place)>> = HashMap::new();
        let mut users = HashMap::with_capacity(self.users.len());
        for (id, (user, place)) in &self.users {
            let known = self.exists(&self.accounts, user.account, "account", place);
            if user.root {
                roots.entry(user.account).or_default().push((id.to_string(), place));
            }
            if !known {
                continue;
            }
            let mut held = attached.remove(id).unwrap_or_default();
            held.sort_unstable();
            held.dedup();
            let account_text = user.account.to_string();
            let srn = Srn {
                offering: self.offering.as_str(),
                account: &account_text,
                region: "",
                service_type: "scp-iam",
                resource_type: "user",
                resource_id: &id.to_string(),
            };
            let principal = Principal {
                account: user.account,
                kind: if user.root { PrincipalKind::Root } else { PrincipalKind::User },
                user: *id,
                name: user.name.as_str().into(),
                srn: srn.to_string().into(),
            };
            let active = user.active && self.accounts.get(&user.account).is_some_and(|(account, _)| account.active);
            let compiled = User {
                principal,
                id_text: id.to_string().into(),
                account_text: account_text.into(),
                active,
                policies: held.iter().filter_map(|policy| policies.get(policy).cloned()).collect(),
                allowed_addresses: self.key_security.get(id).map_or(Allowlist::NotUsed, |(allowlist, _)| allowlist.clone()),
            };
            users.insert(*id, Arc::new(compiled));
        }
        self.surplus(roots, 1, "the account has another root user already", "write `root: false`, or remove it from the other");
        users
    }

    fn compile_keys(&self, users: &HashMap<UserId, Arc<User>>) -> HashMap<AccessKeyId, AccessKey> {
        let mut keys = HashMap::with_capacity(self.keys.len());
        let mut per_user: HashMap<UserId, Vec<(String, &Place)>> = HashMap::new();
        for (id, ((key, secret), place)) in &self.keys {
            if !self.exists(&self.users, key.user, "user", place) {
                continue;
            }
            per_user.entry(key.user).or_default().push((id.to_string(), place));
            let Some(user) = users.get(&key.user) else { continue };
            let signing_key = SigningKey::new(secret);
            keys.insert(*id, AccessKey { user: Arc::clone(user), signing_key, enabled: key.enabled, expires_at: key.expires_at });
        }
        let message = format!("the user has {KEYS_PER_USER_MAX} access keys already");
        self.surplus(per_user, KEYS_PER_USER_MAX, &message, "remove a key that is no longer used");
        keys
    }
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
