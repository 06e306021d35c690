//! The snapshot itself and its look-ups.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Weak};

use foldhash::fast::FixedState;
use smallvec::SmallVec;

use super::attached::Attached;
use super::definition::ServiceDefinition;
use super::role::{Caller, Role};
use super::shards::Shards;
use super::wire;
use super::world::{Sources, World};
use crate::authn::session::SessionKey;
use crate::authn::sigv4;
use crate::authn::token::PublicKey;
use crate::policy::{self, Catalogue, Context, Policy, ResourcePolicy, ResourceTypeId, Scalar, Values};
use crate::types::id::ID_CHARS;
use crate::types::{
    AccessKeyId, AccountId, AuthenticationType, GroupId, KeyMethod, Network, NetworkSet, Offering, PolicyId, Principal, PrincipalKind,
    Revision, RoleId, Secret, Srn, Timestamp, TokenId, TokenKeyId, UserId,
};

/// Which addresses may use a user's keys (seed 003: "Allowed Access IP").
///
/// SECURITY: three states, not two. Enabled with no entry refuses everyone; not used lets everyone pass.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Allowlist {
    /// Not used: every address.
    #[default]
    NotUsed,
    /// Used: these addresses, possibly none.
    Enabled(Box<NetworkSet>),
}

impl Allowlist {
    /// Used, and without an entry.
    #[must_use]
    pub fn nobody() -> Self {
        Self::Enabled(Box::new(std::iter::empty().collect()))
    }

    /// Whether this address may pass; an unknown one passes only where the list is not used.
    #[must_use]
    pub fn contains(&self, address: Option<IpAddr>) -> bool {
        match self {
            Self::NotUsed => true,
            Self::Enabled(networks) => address.is_some_and(|address| networks.contains(address)),
        }
    }
}

impl From<Option<Vec<Network>>> for Allowlist {
    fn from(networks: Option<Vec<Network>>) -> Self {
        networks.map_or(Self::NotUsed, |networks| Self::Enabled(Box::new(networks.into_iter().collect())))
    }
}

/// What stands between the ids of account and user in a user's SRN.
const MIDDLE: &str = ":::scp-iam:user/";

/// A user with everything a decision about them needs.
#[derive(Debug, Clone)]
pub struct User {
    /// Who they are.
    pub principal: Principal,
    /// Whether the user is active; their account must be as well ([`Snapshot::is_active`]).
    pub active: bool,
    /// What other records say about them.
    pub holds: Holdings,
}

/// What a user holds by records other than their own.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Holdings {
    /// The groups they are members of.
    pub groups: Box<[Link<GroupId>]>,
    /// The policies attached to themselves.
    pub policies: Box<[Link<PolicyId>]>,
    /// From where their keys may be used.
    pub allowed_addresses: Allowlist,
    /// Which kind of key they may use.
    pub key_method: KeyMethod,
    /// From where they may use the console.
    pub console: Allowlist,
    /// From which sequence of the store on their tokens count; 0 where none was ever ended.
    pub tokens_valid_from: u64,
    /// The tokens that were ended one by one, in the order of their ids.
    pub revoked_tokens: Box<[RevokedToken]>,
}

impl Holdings {
    /// The end of a token by itself, if there was one.
    #[must_use]
    pub fn revoked(&self, token: TokenId) -> Option<RevokedToken> {
        let place = self.revoked_tokens.binary_search_by_key(&token, |revoked| revoked.id).ok()?;
        self.revoked_tokens.get(place).copied()
    }
}

/// A token that was ended by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RevokedToken {
    /// Its id.
    pub id: TokenId,
    /// When it would have ended.
    pub expires_at: Timestamp,
}

/// An account: what it says about everybody in it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Account {
    /// Whether it is active, and there is a readable record of it.
    pub(super) active: bool,
    /// From where the console may be used.
    pub(super) console: Allowlist,
}

/// A group: what it gives to its members.
#[derive(Debug, Clone, Default)]
pub struct Group {
    /// The policies attached to it.
    pub policies: Box<[Link<PolicyId>]>,
    /// Whether there is a readable record of it; without one its members are refused.
    pub known: bool,
}

/// A reference from a user or group to what it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Link<I> {
    /// What is held.
    pub id: I,
    /// SECURITY: whether the record that says so could be read. One that could not may say more than that it is held, such as where
    /// it applies, so whoever holds it is refused (test `what_cannot_be_read_refuses_whom_it_concerns`).
    pub readable: bool,
}

impl User {
    /// The user of a record, who holds nothing yet.
    pub(super) fn new(user: &wire::User, offering: &Offering) -> Self {
        let (account_text, id_text) = (user.account.to_string(), user.id.to_string());
        let srn = Srn {
            offering: offering.as_str(),
            account: &account_text,
            region: "",
            service_type: "scp-iam",
            resource_type: "user",
            resource_id: &id_text,
        };
        Self {
            principal: Principal {
                account: user.account,
                kind: if user.root { PrincipalKind::Root } else { PrincipalKind::User },
                user: user.id,
                name: user.name.as_str().into(),
                srn: srn.to_string().into(),
            },
            active: user.active,
            holds: Holdings::default(),
        }
    }

    /// The account's id as text, as policies and SRNs write it.
    ///
    /// Both texts are parts of the SRN: there may be a million users.
    #[must_use]
    pub fn account_text(&self) -> &str {
        let end = self.principal.srn.len().saturating_sub(ID_CHARS + MIDDLE.len());
        self.principal.srn.get(end.saturating_sub(ID_CHARS)..end).unwrap_or_default()
    }

    /// The user's id as text.
    #[must_use]
    pub fn id_text(&self) -> &str {
        self.principal.srn.get(self.principal.srn.len().saturating_sub(ID_CHARS)..).unwrap_or_default()
    }

    /// Who the decision is about.
    #[must_use]
    pub fn asking(&self) -> policy::Principal<'_> {
        Caller::User(self).asking()
    }

    /// What the conditions of this user's policies see of a request (R54), but its tags and attributes. An empty region is none; an
    /// address that is not known is one that cannot be obtained.
    #[must_use]
    pub fn context<'a>(&'a self, source_ip: Option<IpAddr>, authentication_type: &'a str, region: &'a str, now: Timestamp) -> Context<'a> {
        Context {
            // SECURITY: R44, not absent: `NotIpAddress` is true of nothing.
            source_ip: source_ip.map_or(Values::One(Scalar::Other), |address| Values::One(Scalar::Address(address))),
            now: Values::One(Scalar::Time(now)),
            user_id: Values::text(Some(self.id_text())),
            user_name: Values::text(Some(&self.principal.name)),
            authentication_type: Values::text(Some(authentication_type)),
            // A passcode was sent to who made the temporary key (R54).
            mfa: Values::One(Scalar::Bool(authentication_type == AuthenticationType::TemporaryKey.as_str())),
            requested_region: Values::text(Some(region).filter(|region| !region.is_empty())),
            ..Context::EMPTY
        }
    }
}

/// An access key.
#[derive(Debug)]
pub struct AccessKey {
    /// Its owner.
    pub user: UserId,
    /// Its secret, for every scheme.
    pub secret: sigv4::Key,
    /// Whether it is switched on.
    pub enabled: bool,
    /// When it ends, if it does.
    pub expires_at: Option<Timestamp>,
    /// The permanent key that a temporary one was made with.
    pub parent: Option<AccessKeyId>,
    /// Until when its owner wants to be told what does not fit.
    pub debug_until: Option<Timestamp>,
}

impl AccessKey {
    /// Whether it is a temporary key.
    #[must_use]
    pub const fn is_temporary(&self) -> bool {
        self.parent.is_some()
    }

    /// How somebody has proved who they are that has signed with it.
    #[must_use]
    pub const fn authentication(&self) -> AuthenticationType {
        if self.is_temporary() { AuthenticationType::TemporaryKey } else { AuthenticationType::AuthenticationKey }
    }

    /// Whether its owner wants to be told now what does not fit.
    #[must_use]
    pub fn is_debugged(&self, now: Timestamp) -> bool {
        self.debug_until.is_some_and(|end| now < end)
    }

    fn usable_by_itself(&self, now: Timestamp) -> Result<(), Unusable> {
        if !self.enabled {
            return Err(Unusable::Disabled);
        }
        if self.expires_at.is_some_and(|end| now >= end) { Err(Unusable::Expired) } else { Ok(()) }
    }
}

/// Why an access key may not be used now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unusable {
    /// It is switched off.
    Disabled,
    /// Its end has come.
    Expired,
    /// The key that it was made with is gone, or is none to make keys with.
    ParentGone,
    /// The key that it was made with is switched off.
    ParentDisabled,
    /// The end of the key that it was made with has come.
    ParentExpired,
}

/// A key that tokens are signed with.
#[derive(Debug, Clone, Copy)]
pub struct TokenKey {
    /// What its tokens are verified with.
    pub public_key: PublicKey,
    /// From when on its tokens are refused.
    pub not_after: Option<Timestamp>,
}

/// Everything at one revision. A copy shares everything with its original; changing it copies only what changes.
#[derive(Debug, Clone)]
pub struct Snapshot {
    pub(super) revision: Revision,
    pub(super) world: Arc<World>,
    pub(super) accounts: Shards<AccountId, Arc<Account>>,
    pub(super) users: Shards<UserId, Arc<User>>,
    pub(super) groups: Shards<GroupId, Arc<Group>>,
    pub(super) roles: Shards<RoleId, Arc<Role>>,
    pub(super) policies: Shards<PolicyId, Arc<Policy>>,
    pub(super) attached: Attached,
    pub(super) keys: Shards<AccessKeyId, Arc<AccessKey>>,
    /// A handful, and they hardly ever change.
    pub(super) token_keys: Arc<HashMap<TokenKeyId, TokenKey, FixedState>>,
    always: Arc<Always>,
}

/// SECURITY: verified with when a token names an unknown key, so that it costs what a wrong signature costs: a point of the curve,
/// with a public private half (RFC 8032, section 7.1, test 1). What it signed is never accepted.
const DECOY_TOKEN_KEY: PublicKey = PublicKey::from_bytes([
    0xd7, 0x5a, 0x98, 0x01, 0x82, 0xb1, 0x0a, 0xb7, 0xd5, 0x4b, 0xfe, 0xd3, 0xc9, 0x64, 0x07, 0x3a, 0x0e, 0xe1, 0x72, 0xf3, 0xda, 0xa6,
    0x23, 0x25, 0xaf, 0x02, 0x1a, 0x68, 0xf7, 0x07, 0x51, 0x1a,
]);

/// Which definitions something was compiled for. Keeps nothing alive.
#[derive(Debug, Clone)]
pub struct Definitions(Weak<World>);

impl Definitions {
    /// Whether they are those of a snapshot.
    #[must_use]
    pub fn are_of(&self, snapshot: &Snapshot) -> bool {
        std::ptr::eq(self.0.as_ptr(), Arc::as_ptr(&snapshot.world))
    }
}

/// What every snapshot has.
#[derive(Debug)]
struct Always {
    /// SECURITY: what is verified with when a key is unknown and there is no other, so that it costs what a wrong secret costs.
    decoy: Arc<AccessKey>,
    /// What the secrets of sessions are derived from; where there is none, nobody issues any.
    session_key: Option<SessionKey>,
    /// What a policy that cannot be found counts as: one that cannot be read.
    missing: Arc<Policy>,
}

/// The policies that count for a user or a role.
pub type Policies<'s> = SmallVec<[&'s Arc<Policy>; 8]>;

impl Snapshot {
    /// Nobody and nothing, but definitions.
    pub(super) fn empty(revision: Revision, world: World, session_key: Option<SessionKey>) -> Self {
        // What the decoy's secret is does not matter, its MAC is never accepted.
        let secret = sigv4::Key::new(&Secret::new(*b"a secret that belongs to no key."));
        let decoy =
            AccessKey { user: UserId::from_bytes([0; 16]), secret, enabled: false, expires_at: None, parent: None, debug_until: None };
        let decoy = Arc::new(decoy);
        Self {
            revision,
            world: Arc::new(world),
            accounts: Shards::default(),
            users: Shards::default(),
            groups: Shards::default(),
            roles: Shards::default(),
            policies: Shards::default(),
            attached: Attached::default(),
            keys: Shards::default(),
            token_keys: Arc::default(),
            always: Arc::new(Always { decoy, session_key, missing: Arc::new(Policy::invalid("missing")) }),
        }
    }

    /// Which revision this is.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// Whether both were built from the same definitions: what is bound to those of one is bound to those of the other.
    #[must_use]
    pub fn has_definitions_of(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.world, &other.world)
    }

    /// Which definitions it was built from.
    #[must_use]
    pub fn definitions(&self) -> Definitions {
        Definitions(Arc::downgrade(&self.world))
    }

    /// Actions, resource types and their spellings.
    #[must_use]
    pub fn catalogue(&self) -> &Catalogue {
        &self.world.catalogue
    }

    /// The access key with this id.
    #[must_use]
    pub fn key(&self, id: AccessKeyId) -> Option<&AccessKey> {
        self.keys.get(&id).map(|key| &**key)
    }

    /// The key to verify a signature with that names this one, and whether it is this one: only of that may a signature be accepted, and only of
    /// that may anything be said.
    ///
    /// SECURITY: in place of an unknown key it is any other, or one that nobody has where there is none. So as much memory is touched for an unknown
    /// key as for a known one, and nothing branches on which it is (bench `authn -- timing`).
    #[must_use]
    pub fn signer(&self, id: AccessKeyId) -> (&AccessKey, bool) {
        let (found, is_its) = self.keys.find(id);
        (found.unwrap_or(&self.always.decoy), is_its)
    }

    /// Whether an access key may be used now, by itself and by the key that it was made with.
    ///
    /// SECURITY: the parent is looked up with every request. What the control plane removes beside a parent is a courtesy, not what
    /// ends its children. Test: `a_temporary_key_ends_with_the_key_it_was_made_with`.
    ///
    /// # Errors
    /// The first thing that stands against it.
    pub fn usable(&self, key: &AccessKey, now: Timestamp) -> Result<(), Unusable> {
        key.usable_by_itself(now)?;
        let Some(parent) = key.parent else { return Ok(()) };
        let parent = self.key(parent).filter(|parent| parent.user == key.user && !parent.is_temporary());
        parent.ok_or(Unusable::ParentGone)?.usable_by_itself(now).map_err(|fault| match fault {
            Unusable::Disabled => Unusable::ParentDisabled,
            Unusable::Expired => Unusable::ParentExpired,
            same @ (Unusable::ParentGone | Unusable::ParentDisabled | Unusable::ParentExpired) => same,
        })
    }

    /// The access key with this id and its owner, if it may be used now and they are active.
    #[must_use]
    pub fn in_use(&self, id: AccessKeyId, now: Timestamp) -> Option<(&AccessKey, &Arc<User>)> {
        let key = self.key(id).filter(|key| self.usable(key, now).is_ok())?;
        let owner = self.user(key.user).filter(|owner| self.is_active(owner))?;
        Some((key, owner))
    }

    /// The key with this id that tokens are signed with, as long as its tokens are taken.
    #[must_use]
    pub fn token_key(&self, id: TokenKeyId, now: Timestamp) -> Option<TokenKey> {
        self.token_keys.get(&id).copied().filter(|key| key.not_after.is_none_or(|end| now < end))
    }

    /// The user with this id.
    #[must_use]
    pub fn user(&self, id: UserId) -> Option<&Arc<User>> {
        self.users.get(&id)
    }

    /// The role with this id.
    #[must_use]
    pub fn role(&self, id: RoleId) -> Option<&Arc<Role>> {
        self.roles.get(&id)
    }

    /// The secret of an access key, if it is one of a session; `None` where nobody issues sessions.
    #[must_use]
    pub fn session_secret(&self, access_key: AccessKeyId) -> Option<sigv4::Key> {
        let Revision::Store { epoch, .. } = self.revision else { return None };
        self.always.session_key.as_ref().map(|key| sigv4::Key::new(&key.secret(epoch, access_key)))
    }

    /// Whether a user and their account are active.
    #[must_use]
    pub fn is_active(&self, user: &User) -> bool {
        user.active && self.is_active_account(user.principal.account)
    }

    /// Whether an account is active.
    #[must_use]
    pub fn is_active_account(&self, account: AccountId) -> bool {
        self.accounts.get(&account).is_some_and(|account| account.active)
    }

    /// Whether a user may use the console from this address: by their own list, and by that of their account.
    #[must_use]
    pub fn console_allows(&self, user: &User, address: Option<IpAddr>) -> bool {
        let account = self.accounts.get(&user.principal.account);
        user.holds.console.contains(address) && account.is_some_and(|account| account.console.contains(address))
    }

    /// The policies that count for a user, their own and those of their groups, each once. What should be there and is not, or
    /// cannot be read, is a policy that cannot be read.
    #[must_use]
    pub fn policies_of(&self, user: &User) -> Policies<'_> {
        let mut found = Policies::new();
        let mut add = |links: &[Link<PolicyId>]| self.add_policies(links, &mut found);
        add(&user.holds.policies);
        for link in &user.holds.groups {
            match self.groups.get(&link.id).filter(|group| group.known && link.readable) {
                Some(group) => add(&group.policies),
                None => add(&[Link { id: PolicyId::from_bytes([0; 16]), readable: false }]),
            }
        }
        found
    }

    /// The policies that count for a role: those attached to it, and nothing of who took it (R24).
    #[must_use]
    pub fn policies_of_role(&self, role: &Role) -> Policies<'_> {
        let mut found = Policies::new();
        self.add_policies(&role.holds.policies, &mut found);
        found
    }

    fn add_policies<'s>(&'s self, links: &[Link<PolicyId>], found: &mut Policies<'s>) {
        for link in links {
            let policy = self.policies.get(&link.id).filter(|_| link.readable).unwrap_or(&self.always.missing);
            if !found.iter().any(|other| Arc::ptr_eq(other, policy)) {
                found.push(policy);
            }
        }
    }

    /// The policies of some resources, and of all that these lie below, each once.
    #[must_use]
    pub fn policies_of_resources(&self, resources: &[policy::Resource<'_>]) -> SmallVec<[&ResourcePolicy; 2]> {
        let mut found: SmallVec<[&ResourcePolicy; 2]> = SmallVec::new();
        for resource in resources {
            let name = (resource.account, resource.region, resource.id);
            self.attached.of(self.catalogue(), resource.kind, name, |policy| {
                if !found.iter().any(|other| std::ptr::eq(*other, policy)) {
                    found.push(policy);
                }
            });
        }
        found
    }

    /// The policy with this id.
    #[must_use]
    pub fn policy(&self, id: PolicyId) -> Option<&Arc<Policy>> {
        self.policies.get(&id)
    }

    /// Whether a policy is attached to anybody. Looks at everybody: for the control plane, not for decisions.
    #[must_use]
    pub fn is_attached(&self, policy: PolicyId) -> bool {
        let held = |links: &[Link<PolicyId>]| links.iter().any(|link| link.id == policy);
        self.users.values().any(|user| held(&user.holds.policies))
            || self.groups.values().any(|group| held(&group.policies))
            || self.roles.values().any(|role| held(&role.holds.policies))
    }

    /// The users who hold a policy, by themselves or by a group. Looks at everybody: for the control plane, not for decisions.
    pub fn holders_of(&self, policy: PolicyId) -> impl Iterator<Item = &User> {
        let held = move |links: &[Link<PolicyId>]| links.iter().any(|link| link.id == policy);
        let by_group = move |link: &Link<GroupId>| self.group(link.id).is_some_and(|group| held(&group.policies));
        self.users.values().map(|user| &**user).filter(move |user| held(&user.holds.policies) || user.holds.groups.iter().any(by_group))
    }

    /// Every user. For people who compare, not for decisions.
    pub fn users(&self) -> impl Iterator<Item = &User> {
        self.users.values().map(|user| &**user)
    }

    /// Every role. Looks at everybody: for the control plane, not for decisions.
    pub fn roles(&self) -> impl Iterator<Item = &Role> {
        self.roles.values().map(|role| &**role)
    }

    /// The members of a group. Looks at everybody: for the control plane, not for decisions.
    pub fn members_of(&self, group: GroupId) -> impl Iterator<Item = &User> {
        self.users.values().map(|user| &**user).filter(move |user| user.holds.groups.iter().any(|link| link.id == group))
    }

    /// The group with this id.
    #[must_use]
    pub fn group(&self, id: GroupId) -> Option<&Group> {
        self.groups.get(&id).map(|group| &**group)
    }

    /// The action definitions of a service.
    #[must_use]
    pub fn definition(&self, service: &str) -> Option<&Arc<ServiceDefinition>> {
        self.world.definitions.get(service)
    }

    /// Where the tags and attributes of a type of resource come from.
    #[must_use]
    pub fn sources(&self, kind: ResourceTypeId) -> Option<&Sources> {
        self.world.sources.get(&kind)
    }

    /// Whether anybody can be asked for a tag or attribute at all.
    #[must_use]
    pub fn has_sources(&self) -> bool {
        !self.world.sources.is_empty()
    }

    /// The public key of a key that signs no tokens.
    #[must_use]
    pub const fn decoy_token_key(&self) -> PublicKey {
        DECOY_TOKEN_KEY
    }

    /// How many users, keys and policies there are.
    #[must_use]
    pub fn sizes(&self) -> (usize, usize, usize) {
        (self.users.len(), self.keys.len(), self.policies.len())
    }
}
