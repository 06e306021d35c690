//! SRN patterns in conditions: compared field by field, with wildcards in region, type and id (R40, R12-R15).

use std::sync::Arc;

use crate::policy::catalogue::Catalogue;
use crate::policy::glob::Glob;
use crate::types::Srn;

/// One SRN pattern.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::policy) struct SrnPattern {
    pub(in crate::policy) offering: Box<str>,
    /// `None`: the account of the principal (R53).
    pub(in crate::policy) account: Option<Arc<str>>,
    pub(in crate::policy) region: Glob,
    pub(in crate::policy) services: Services,
    pub(in crate::policy) resource_type: Glob,
    pub(in crate::policy) id: Glob,
}

/// Every spelling of one service type (R15).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::policy) struct Services(Box<[Box<str>]>);

impl Services {
    /// All spellings of what one of them means; of a service that nobody has defined, with and without `scp-`.
    pub(in crate::policy) fn of(spelling: &str, catalogue: &Catalogue) -> Self {
        let mut all: Vec<Box<str>> = match catalogue.canonical_service_type(spelling) {
            Some(canonical) => {
                let same = |other: &&str| catalogue.canonical_service_type(other) == Some(canonical);
                catalogue.spellings().filter(same).map(Box::from).collect()
            }
            None => {
                let bare = spelling.strip_prefix("scp-").unwrap_or(spelling);
                vec![bare.into(), format!("scp-{bare}").into()]
            }
        };
        all.sort_unstable();
        Self(all.into())
    }

    /// Each of them.
    pub(in crate::policy) fn spellings(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|spelling| &**spelling)
    }

    fn contain(&self, spelling: &str) -> bool {
        self.0.iter().any(|known| **known == *spelling)
    }
}

impl SrnPattern {
    /// Whether a text is an SRN that one of the patterns matches; `None` when it is no SRN.
    pub(in crate::policy) fn any(patterns: &[Self], text: &str, principal_account: &str) -> Option<bool> {
        let srn = Srn::find(text)?;
        Some(patterns.iter().any(|pattern| pattern.matches(&srn, principal_account)))
    }

    fn matches(&self, srn: &Srn<'_>, principal_account: &str) -> bool {
        *self.offering == *srn.offering
            && self.account.as_deref().unwrap_or(principal_account) == srn.account
            && self.region.matches(srn.region)
            && self.services.contain(srn.service_type)
            && self.resource_type.matches(srn.resource_type)
            && self.id.matches(srn.resource_id)
    }
}
