//! Policies of resources: who may do what to the one resource they are attached to, and to what lies below it (R21-R28); and
//! policies of roles, which say who may take the role (R52).

use super::catalogue::{Catalogue, ResourceTypeId};
use super::document::{Owner, Policy, Setting};
use super::principal::is_iam;
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
    /// Whether it is a role: its policy says who may take it.
    role: bool,
}

impl Attachment {
    /// The resource that an SRN names; `None` when no such type is defined, or it is of another offering or names no account.
    #[must_use]
    pub fn find(srn: &Srn<'_>, catalogue: &Catalogue) -> Option<Self> {
        if srn.offering != catalogue.offering().as_str() || srn.account.is_empty() {
            return None;
        }
        let kind = catalogue.find_resource_type(srn.service_type, srn.resource_type)?;
        let role = srn.resource_type == "role" && is_iam(srn.service_type, catalogue);
        Some(Self { kind, account: srn.account.into(), region: srn.region.into(), id: srn.resource_id.into(), role })
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

    /// Whether it is a role.
    pub(super) const fn is_role(&self) -> bool {
        self.role
    }

    pub(super) fn setting(&self) -> Setting<'_> {
        let owner = Owner::account(&self.account);
        if self.role { Setting::Trust { owner, role: Some(self) } } else { Setting::Resource { owner, attachment: self } }
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
    /// Reads and compiles the policy of a resource, or of a role, which says who may take it (R52); errors as in [`Policy::load`].
    /// An empty account in its SRNs is the resource's.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::sample::{ACCOUNT, OTHER};
    use crate::policy::{Context, Kind, Policies, Principal, Request, Verdict, evaluate};
    use crate::types::AccessLevel;

    fn catalogue() -> Catalogue {
        let mut builder = Catalogue::builder("e".parse().unwrap());
        builder.service("iam", "scp-iam", &[]).unwrap();
        builder.service("sts", "scp-sts", &[]).unwrap();
        let role = builder.resource_type("iam:role").unwrap();
        for action in ["sts:AssumeRole", "sts:AssumeRoleWithSAML", "iam:ShowRole"] {
            builder.action(action.parse().unwrap(), AccessLevel::Read, &[role]).unwrap();
        }
        builder.build()
    }

    fn role(catalogue: &Catalogue) -> Attachment {
        let srn = format!("srn:e::{ACCOUNT}:::iam:role/operator");
        Attachment::find(&Srn::parse(&srn).unwrap(), catalogue).unwrap()
    }

    /// The trust policy of one statement, or everything that is wrong with it.
    fn trust(principal: &str, more: &str, catalogue: &Catalogue) -> Result<ResourcePolicy, String> {
        let text = format!(r#"{{"Version": "2024-07-01", "Statement": {{"Effect": "Allow", "Principal": {principal}, {more}}}}}"#);
        let report = Report::new();
        ResourcePolicy::load(&Source::new("p", text), "p", role(catalogue), catalogue, &report).ok_or_else(|| report.to_string())
    }

    const ASSUME: &str = r#""Action": "sts:AssumeRole", "Resource": ["*"]"#;

    #[test]
    fn only_those_whom_a_role_trusts_may_take_it() {
        let catalogue = catalogue();
        let user = Principal { kind: Kind::User, account: ACCOUNT, id: "u1" };
        let root = Principal { kind: Kind::Root, ..user };
        let stranger = Principal { account: OTHER, ..user };
        let taken = Principal { kind: Kind::Role, id: "r1", ..user };
        let service = Principal { kind: Kind::Service, account: "", id: "apigateway.samsungsdscloud.com" };
        let provider = Principal { kind: Kind::Provider, id: "p1", ..user };
        let all = [user, root, stranger, taken, service, provider];
        for (trusted, expected) in [
            (r#"{"scp": "srn:e::ACC:::scp-iam:user/u1"}"#, &[user, root][..]),
            (r#"{"scp": ["srn:e::ACC:::iam:user/ROOT"]}"#, &[root]),
            (r#"{"scp": "srn:e::ACC:::scp-iam:role/r1"}"#, &[taken]),
            (r#"{"scp": "srn:e::ACC:::scp-iam:root"}"#, &[user, root, taken]),
            (r#"{"Account": ["ACC"]}"#, &[user, root, taken]),
            (r#"{"Service": "apigateway.samsungsdscloud.com"}"#, &[service]),
            (r#"{"Federated": "srn:e::ACC:::scp-iam:credential-provider/p1"}"#, &[provider]),
            (r#"{"scp": "srn:e::ACC:::scp-iam:credential-provider/p1"}"#, &[provider]),
            (r#"{"scp": ["srn:e::ACC:::iam:saml-provider/p1"]}"#, &[provider]),
            (r#"{"scp": "srn:e::ACC:::scp-iam:user/u2", "Account": "OTHER"}"#, &[]),
        ] {
            let policy = trust(&trusted.replace("ACC", ACCOUNT), ASSUME, &catalogue).unwrap_or_else(|report| panic!("{report}"));
            let may = |principal: &Principal<'_>| {
                let action = catalogue.action_id("sts:AssumeRole").unwrap();
                let needs_resource_policy = catalogue.action(action).needs_resource_policy();
                let attachment = policy.attachment().clone();
                let resources = [attachment.resource()];
                let request =
                    Request { action, resources: &resources, principal: *principal, context: Context::EMPTY, needs_resource_policy };
                let attached = [&policy];
                matches!(evaluate(&request, &Policies::<Policy>::identity(&[]).with_resource(&attached)), Verdict::Allow(_))
            };
            let found: Vec<_> = all.iter().filter(|principal| may(principal)).copied().collect();
            assert_eq!(found, expected, "{trusted}");
        }
    }

    #[test]
    fn taking_a_role_needs_its_policy_also_for_root_and_other_actions_do_not() {
        let catalogue = catalogue();
        let attachment = role(&catalogue);
        let resources = [attachment.resource()];
        let principal = Principal { kind: Kind::Root, account: ACCOUNT, id: "u1" };
        for (name, expected) in [("sts:AssumeRole", Verdict::ImplicitDeny), ("iam:ShowRole", Verdict::Allow(None))] {
            let action = catalogue.action_id(name).unwrap();
            let needs_resource_policy = catalogue.action(action).needs_resource_policy();
            let request = Request { action, resources: &resources, principal, context: Context::EMPTY, needs_resource_policy };
            assert_eq!(evaluate::<Policy>(&request, &Policies::identity(&[])), expected, "{name}");
        }
    }

    #[test]
    fn what_no_policy_of_a_role_says_is_refused() {
        let catalogue = catalogue();
        let me = format!(r#"{{"scp": "srn:e::{ACCOUNT}:::scp-iam:user/u1"}}"#);
        let many = format!(r#"{{"Account": [{}]}}"#, vec!["\"a\""; 21].join(","));
        for (principal, more, part) in [
            (&*me, r#""Action": "sts:AssumeRole", "Resource": []"#, None),
            (&me, r#""Action": ["sts:AssumeRoleWithSAML", "sts:AssumeRoleWithWebIdentity"], "Resource": "*""#, None),
            (&me, r#""Action": "sts:AssumeRole", "Resource": "srn:e:::::scp-iam:role/operator""#, None),
            (&me, r#""Action": "iam:ShowRole", "Resource": "*""#, Some("is not an action of taking a role")),
            (&me, r#""Action": "*", "Resource": "*""#, Some("is not an action of taking a role")),
            (&me, r#""Action": "sts:AssumeRole", "Resource": ["srn:e:::::iam:role/x"]"#, Some("is about that role alone")),
            (&me, r#""Action": "sts:AssumeRole", "Resource": ["*", "*"]"#, Some("is about that role alone")),
            (&many, ASSUME, Some("21 principals are named; the limit of a role is 20")),
            (r#"{"Account": "srn:e::1:::iam:user/x"}"#, ASSUME, Some("is no account's id")),
            (r#"{"Federated": "p1"}"#, ASSUME, Some("not an SRN")),
            (r#"{"Federated": "srn:e:::::iam:credential-provider/p1"}"#, ASSUME, Some("names no account")),
            (r#"{"Federated": "srn:e::1:::iam:user/p1"}"#, ASSUME, Some("is no credential provider")),
            (r#"{"scp": "srn:e:::::scp-iam:root"}"#, ASSUME, Some("names no resource")),
            (r#"{"scp": "srn:g::1:::scp-iam:root"}"#, ASSUME, Some("names no resource")),
        ] {
            match (trust(principal, more, &catalogue), part) {
                (Ok(_), None) => {}
                (Err(report), Some(part)) => assert!(report.contains(part), "{principal} {more}: {report}"),
                (found, _) => panic!("{principal} {more}: {:?}", found.map(|_| ())),
            }
        }
    }

    #[test]
    fn a_policy_speaks_of_its_resource_and_of_what_lies_below() {
        let catalogue = catalogue();
        let attachment = role(&catalogue);
        let own = attachment.resource();
        for (resource, expected) in [
            (own, true),
            (Resource { id: "operator/x", ..own }, true),
            (Resource { id: "operator2", ..own }, false),
            (Resource { id: "oper", ..own }, false),
            (Resource { region: "kr-west1", ..own }, false),
            (Resource { account: OTHER, ..own }, false),
        ] {
            assert_eq!(attachment.includes(&resource), expected, "{resource:?}");
        }
        for srn in [format!("srn:g::{ACCOUNT}:::iam:role/x"), "srn:e:::::iam:role/x".to_owned(), format!("srn:e::{ACCOUNT}:::iam:none/x")] {
            assert_eq!(Attachment::find(&Srn::parse(&srn).unwrap(), &catalogue), None, "{srn}");
        }
    }

    #[test]
    fn whom_the_policy_of_a_resource_may_name() {
        let mut builder = Catalogue::builder("e".parse().unwrap());
        builder.service("identity", "scp-iam", &["people"]).unwrap();
        builder.service("store", "scp-store", &[]).unwrap();
        let bucket = builder.resource_type("store:bucket").unwrap();
        builder.action("store:Get".parse().unwrap(), AccessLevel::Read, &[bucket]).unwrap();
        let catalogue = builder.build();
        let attachment = Attachment::find(&Srn::parse("srn:e::1:::store:bucket/b").unwrap(), &catalogue).unwrap();
        for (principal, part) in [
            (r#"{"scp": "srn:e::1:::iam:user/u"}"#, None),
            (r#"{"scp": ["srn:e::1:::scp-iam:role/u", "srn:e::1:::people:service-account/u"]}"#, None),
            (r#"{"Service": ["a.b", "a1-b.c-2.d"]}"#, None),
            (r#"{"scp": "srn:e::1:::store:user/u"}"#, Some("is no user, role or service account")),
            (r#"{"scp": "srn:e::1:::store:role/u"}"#, Some("is no user, role or service account")),
            (r#"{"scp": "srn:e::1:::store:service-account/u"}"#, Some("is no user, role or service account")),
            (r#"{"scp": "srn:e::1:::store:user/ROOT"}"#, Some("is no user, role or service account")),
            (r#"{"scp": "srn:e::1:::iam:saml-provider/u"}"#, Some("is no user, role or service account")),
            (r#"{"scp": "srn:e::1:::iam:root"}"#, Some("is a whole account, which only the policy of a role can name")),
            (r#"{"scp": "srn:e::1:::store:root"}"#, Some("names no resource")),
            (r#"{"scp": "srn:e::1:::iam:group"}"#, Some("names no resource")),
            (r#"{"Account": "1"}"#, Some("`Account` is no kind of principal here")),
            (r#"{"Federated": "srn:e::1:::iam:saml-provider/u"}"#, Some("`Federated` is no kind of principal here")),
            (r#"{"Service": "A.b"}"#, Some("is no domain of a service")),
            (r#"{"Service": "a..b"}"#, Some("is no domain of a service")),
            (r#"{"Service": "a_.b"}"#, Some("is no domain of a service")),
            (r#"{"Service": "apigateway"}"#, Some("is no domain of a service")),
        ] {
            let report = Report::new();
            let text = format!(
                r#"{{"Version": "2024-07-01", "Statement": {{"Effect": "Allow", "Action": "store:Get", "Resource": "*", "Principal": {principal}}}}}"#
            );
            let found = ResourcePolicy::load(&Source::new("p", text), "p", attachment.clone(), &catalogue, &report);
            assert_eq!(found.is_some(), part.is_none(), "{principal}: {report}");
            assert!(part.is_none_or(|part| report.to_string().contains(part)), "{principal}: {report}");
        }
    }

    #[test]
    fn providers_are_those_of_iam_and_twenty_principals_are_the_most() {
        let catalogue = catalogue();
        let most = format!(r#"{{"Account": [{}]}}"#, vec!["\"a\""; 20].join(","));
        assert!(trust(&most, ASSUME, &catalogue).is_ok());
        let report = trust(r#"{"scp": "srn:e::1:::sts:saml-provider/x"}"#, ASSUME, &catalogue).unwrap_err();
        assert!(report.contains("is no user, role or service account"), "{report}");
    }
}
