//! Whether somebody may take a role: both what they hold and the role's trust policy must allow it, also in one account (R52).

use super::{Caller, escalation};
use crate::control::store::roles::Role;
use crate::control::store::tags::Tag;
use crate::policy::{
    Accessor, Attachment, Attributes, Context, Deciding, Known, Place, Policies, Request, RequestAttributes, Resource, ResourcePolicy,
    Scalar, Tags, Values, Verdict, evaluate,
};
use crate::snapshot::Snapshot;
use crate::source::{Report, Source};
use crate::types::{Srn, Timestamp};
use escalation::rules;

const ASSUME_ROLE: &str = "sts:AssumeRole";
/// What is compared where there is no role: it costs what a role costs.
const NOBODY: &str = r#"{"Version":"2024-07-01","Statement":[{"Effect":"Allow","Principal":{"Service":["nobody.invalid"]},"Action":["sts:AssumeRole"],"Resource":["*"]}]}"#;

/// Why a role is not somebody's to take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refused {
    /// It is not there, or its trust policy does not let them.
    NotTrusted,
    /// What they hold does not allow it.
    NotAllowed,
    /// This denies it.
    Denied(String),
    /// A policy cannot be read, or depends on what is not known here.
    Unreadable,
}

/// What is asked for.
pub(super) struct Asked<'a> {
    /// The role; `None` when there is none of this name.
    pub(super) role: Option<&'a Role>,
    /// Its tags.
    pub(super) tags: &'a [Tag],
    /// The SRN of the role, or of one that is not there.
    pub(super) srn: &'a str,
}

/// What no request has here. SECURITY: not absent, so that a Deny that depends on it denies.
#[derive(Debug)]
struct NotKnown;

impl RequestAttributes for NotKnown {
    fn read(&self, _accessor: &Accessor, _take: &mut dyn FnMut(Scalar<'_>)) -> Known {
        Known::Unavailable
    }
}

impl Asked<'_> {
    /// Decides, with the engine that gateways decide with.
    pub(super) fn judge(&self, snapshot: &Snapshot, caller: &Caller, now: Timestamp) -> Result<(), Refused> {
        let catalogue = snapshot.catalogue();
        let (who, held) = rules::find(snapshot, caller.actor).ok_or(Refused::NotTrusted)?;
        let attachment = Srn::parse(self.srn).ok().and_then(|srn| Attachment::find(&srn, catalogue)).ok_or(Refused::NotTrusted)?;
        let source = Source::new("trust policy", self.role.map_or(NOBODY, |role| &role.trust_policy));
        let trust = ResourcePolicy::load(&source, "trust", attachment.clone(), catalogue, &Report::new());
        let trust = trust.unwrap_or_else(|| ResourcePolicy::invalid("trust", attachment.clone()));
        let tags: Vec<(&str, Values<'_>)> = self.tags.iter().map(|tag| (tag.key.as_str(), Values::text(Some(&tag.value)))).collect();
        let resources = [Resource {
            tags: Tags::Known(&tags),
            attributes: Attributes { known: &[], others: Values::Unavailable },
            ..attachment.resource()
        }];
        let circumstances = escalation::circumstances(caller, now);
        let whole = Request {
            action: catalogue.action_id(ASSUME_ROLE).ok_or(Refused::NotTrusted)?,
            resources: &resources,
            principal: who.asking(),
            context: Context { request_attributes: &NotKnown, ..circumstances.context(who) },
            needs_resource_policy: true,
        };
        let (session, attached) = (escalation::session_policy(snapshot, caller), [&trust]);
        let session: Vec<_> = session.iter().collect();
        let own = Policies::identity(&held).with_session(&session);
        let named = |deciding: Deciding| match deciding.policy {
            Place::Identity(index) => {
                let policy = held.get(index).map_or("", |policy| policy.id());
                format!("statement {} of your policy `{policy}`", deciding.statement + 1)
            }
            Place::Session(_) => "the policy of your session".to_owned(),
            Place::Resource(_) => "the trust policy of the role".to_owned(),
        };
        let concluded = |verdict: Verdict, otherwise: Refused| match verdict {
            Verdict::Allow(_) => Ok(()),
            Verdict::ImplicitDeny => Err(otherwise),
            Verdict::ExplicitDeny(deciding) => Err(Refused::Denied(named(deciding))),
            Verdict::InvalidPolicy(_) | Verdict::Unavailable(_) | Verdict::Undecided => Err(Refused::Unreadable),
        };
        // SECURITY: in one account the engine asks the trust policy alone, which may name the whole account. In another account it asks
        // both. Test: `in_ones_own_account_both_sides_must_allow`.
        if attachment.resource().account == whole.principal.account {
            concluded(evaluate(&Request { needs_resource_policy: false, ..whole }, &own), Refused::NotAllowed)?;
        }
        concluded(evaluate(&whole, &own.with_resource(&attached)), Refused::NotTrusted)
    }
}
