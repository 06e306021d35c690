//! Policies of resources: who may do what to the one resource they are attached to, and to what lies below it (R21-R28); and
//! policies of roles, which say who may take the role (R52).

use super::catalogue::{Catalogue, ResourceTypeId};
use super::document::{Owner, Policy, Setting};
use super::request::Resource;
use crate::source::{Node, Report, Source};
use crate::types::Srn;

/// The resource that a policy is attached to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    kind: ResourceTypeId,
    account: Box<str>,
    region: Box<str>,
    id: Box<str>,
}

impl Attachment {
    /// The resource that an SRN names; `None` when no such type is defined, or it is of another offering or names no account.
    #[must_use]
    pub fn find(srn: &Srn<'_>, catalogue: &Catalogue) -> Option<Self> {
        if srn.offering != catalogue.offering().as_str() || srn.account.is_empty() {
            return None;
        }
        let kind = catalogue.find_resource_type(srn.service_type, srn.resource_type)?;
        Some(Self { kind, account: srn.account.into(), region: srn.region.into(), id: srn.resource_id.into() })
    }

    /// Its type.
    #[must_use]
    pub const fn kind(&self) -> ResourceTypeId {
        self.kind
    }

    /// Whether a resource is this one, or lies below it: its id goes on behind a `/` (R28).
    #[must_use]
    pub fn includes(&self, resource: &Resource<'_>) -> bool {
        let below = |rest: &str| rest.is_empty() || rest.starts_with('/');
        self.kind == resource.kind
            && *self.account == *resource.account
            && *self.region == *resource.region
            && resource.id.strip_prefix(&*self.id).is_some_and(below)
    }

    pub(super) fn setting(&self) -> Setting<'_> {
        Setting::Resource { owner: Owner::account(&self.account), attachment: self }
    }

    fn trust(&self) -> Setting<'_> {
        Setting::Trust { owner: Owner::account(&self.account) }
    }

    /// The resource itself, with nothing but its name.
    #[must_use]
    pub const fn resource(&self) -> Resource<'_> {
        Resource::new(self.kind, &self.account, &self.region, &self.id)
    }
}

/// A policy of a resource or role, compiled for one catalogue.
#[derive(Debug, Clone)]
pub struct ResourcePolicy {
    policy: Policy,
    attachment: Attachment,
}

impl ResourcePolicy {
    /// Reads and compiles the policy of a resource; errors as in [`Policy::load`]. An empty account in its SRNs is the resource's.
    #[must_use]
    pub fn load(source: &Source, id: &str, attachment: Attachment, catalogue: &Catalogue, report: &Report) -> Option<Self> {
        let policy = Policy::read(source, id, &attachment.setting(), catalogue, report)?;
        Some(Self { policy, attachment })
    }

    /// The same for a document that has been read already, as a part of a larger text.
    #[must_use]
    pub fn load_tree(
        source: &Source,
        root: &Node,
        id: &str,
        attachment: Attachment,
        catalogue: &Catalogue,
        report: &Report,
    ) -> Option<Self> {
        let policy = Policy::read_tree(source, root, id, &attachment.setting(), catalogue, report)?;
        Some(Self { policy, attachment })
    }

    /// Reads and compiles the trust policy of a role: who may take it (R52).
    #[must_use]
    pub fn load_trust(source: &Source, id: &str, role: Attachment, catalogue: &Catalogue, report: &Report) -> Option<Self> {
        let policy = Policy::read(source, id, &role.trust(), catalogue, report)?;
        Some(Self { policy, attachment: role })
    }

    /// The same for a document that has been read already, as a part of a larger text.
    #[must_use]
    pub fn load_trust_tree(
        source: &Source,
        root: &Node,
        id: &str,
        role: Attachment,
        catalogue: &Catalogue,
        report: &Report,
    ) -> Option<Self> {
        let policy = Policy::read_tree(source, root, id, &role.trust(), catalogue, report)?;
        Some(Self { policy, attachment: role })
    }

    /// A stored policy that can no longer be read: every decision about its resource is refused.
    #[must_use]
    pub fn invalid(id: &str, attachment: Attachment) -> Self {
        Self { policy: Policy::invalid(id), attachment }
    }

    /// What it says.
    #[must_use]
    pub const fn policy(&self) -> &Policy {
        &self.policy
    }

    /// What it is attached to.
    #[must_use]
    pub const fn attachment(&self) -> &Attachment {
        &self.attachment
    }

    /// Whether it counts for a resource.
    pub(super) fn speaks_of(&self, resource: &Resource<'_>) -> bool {
        self.attachment.includes(resource)
    }
}
