//! Policies of resources, found by the resource and by what it lies below (R28).

use std::sync::Arc;

use super::shards::{Shards, Spread};
use super::wire::Digest;
use crate::policy::{Attachment, Catalogue, ResourcePolicy, ResourceTypeId};
use crate::types::Srn;

/// Most levels above a resource whose policies count.
const LEVELS_MAX: usize = 64;

/// The policies of all resources, by the names of the resources.
#[derive(Debug, Clone, Default)]
pub(super) struct Attached(Shards<Digest, Arc<ResourcePolicy>>);

/// Why an SRN is nothing that a policy can be attached to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no resource of the definitions, with its account")]
pub struct NoSuchResource(pub String);

impl Attached {
    /// The resource that an SRN names.
    pub(super) fn find(srn: &str, catalogue: &Catalogue) -> Result<Attachment, NoSuchResource> {
        let parsed = Srn::parse(srn).ok().and_then(|parsed| Attachment::find(&parsed, catalogue));
        parsed.ok_or_else(|| NoSuchResource(srn.chars().take(200).collect()))
    }

    pub(super) fn insert(&mut self, policy: ResourcePolicy, catalogue: &Catalogue) {
        let resource = policy.attachment().resource();
        self.0.insert(name(catalogue, resource.kind, resource.account, resource.region, resource.id), Arc::new(policy));
    }

    pub(super) fn remove(&mut self, attachment: &Attachment, catalogue: &Catalogue) {
        let resource = attachment.resource();
        self.0.remove(&name(catalogue, resource.kind, resource.account, resource.region, resource.id));
    }

    /// Hands over the policies of a resource and of all it lies below.
    pub(super) fn of<'s>(
        &'s self,
        catalogue: &Catalogue,
        kind: ResourceTypeId,
        (account, region, id): (&str, &str, &str),
        mut take: impl FnMut(&'s ResourcePolicy),
    ) {
        if self.0.len() == 0 {
            return;
        }
        let above = id.char_indices().filter(|(_, character)| *character == '/').filter_map(|(end, _)| id.get(..end));
        for id in above.take(LEVELS_MAX).chain([id]) {
            if let Some(policy) = self.0.get(&name(catalogue, kind, account, region, id)) {
                take(policy);
            }
        }
    }
}

/// What a resource is known by, whatever numbers a catalogue gives to types.
fn name(catalogue: &Catalogue, kind: ResourceTypeId, account: &str, region: &str, id: &str) -> Digest {
    let kind = catalogue.resource_type(kind);
    Digest::of(&format!("{}:{}", kind.service_type, kind.name), &format!("{account}:{region}:{id}"))
}

impl Spread for Digest {
    fn number(self) -> u128 {
        Digest::number(self)
    }
}
