//! A small world for this component's own tests: a catalogue, policies and requests in a few words.

use std::sync::Arc;

use crate::source::{Report, Source};
use crate::types::{AccessLevel, Srn};

use super::{Attribute, Catalogue, Context, Kind, Owner, Policy, Principal, Request, Resource, Scalar, ValueType, Values};

pub(super) const ACCOUNT: &str = "1d9c0a3a5b1c4f3c8a7e6d5c4b3a2f10";
pub(super) const OTHER: &str = "1f0c2d3e4b5a69788796a5b4c3d2e1f0";

pub(super) fn catalogue() -> Catalogue {
    let mut builder = Catalogue::builder("e".parse().unwrap());
    builder.service("iam", "scp-iam", &[]).unwrap();
    builder.service("object-store", "scp-object-store", &[]).unwrap();
    for (name, level, kinds) in [
        ("iam:ListUsers", AccessLevel::List, &[][..]),
        ("iam:ShowUser", AccessLevel::Read, &["iam:user"]),
        ("iam:DeleteUser", AccessLevel::Delete, &["iam:user"]),
        ("iam:AttachUserPolicy", AccessLevel::Permission, &["iam:user", "iam:policy"]),
        ("object-store:GetObject", AccessLevel::Read, &["object-store:bucket"]),
    ] {
        let kinds: Vec<_> = kinds.iter().map(|kind| builder.resource_type(kind).unwrap()).collect();
        builder.action(name.parse().unwrap(), level, &kinds).unwrap();
    }
    let kind = builder.resource_type("iam:user").unwrap();
    for (name, abac) in [("lastname", true), ("email", false)] {
        builder.attribute(Attribute { kind, name: name.into(), holds: ValueType::Text, abac }).unwrap();
    }
    builder.build()
}

/// A policy of these statements.
pub(super) fn policy(statements: &str, owner: Owner, catalogue: &Catalogue) -> Arc<Policy> {
    let report = Report::new();
    let source = Source::new("p.json", format!("{{\"Version\": \"2024-07-01\", \"Statement\": [{statements}]}}"));
    let policy = Policy::load(&source, "p1", owner, catalogue, &report);
    Arc::new(policy.unwrap_or_else(|| panic!("{report}")))
}

pub(super) fn resource<'a>(srn: &'a str, catalogue: &Catalogue) -> Resource<'a> {
    let srn = Srn::parse(srn).unwrap();
    let kind = catalogue.find_resource_type(srn.service_type, srn.resource_type).unwrap();
    Resource::new(kind, srn.account, srn.region, srn.resource_id)
}

/// A request of a user of [`ACCOUNT`] called `foo`, from 10.1.2.3.
pub(super) fn request<'a>(action: &str, resources: &'a [Resource<'a>], catalogue: &Catalogue) -> Request<'a> {
    let text = |text| Values::text(Some(text));
    let context = Context {
        source_ip: Values::One(Scalar::Address([10, 1, 2, 3].into())),
        now: Values::One(Scalar::Time("2026-11-20T22:00:00Z".parse().unwrap())),
        user_id: text("efda56a968cd45b2873d9bf5fab58e95"),
        user_name: text("foo"),
        authentication_type: text("AuthenticationKey"),
        mfa: Values::One(Scalar::Bool(false)),
        ..Context::EMPTY
    };
    let action = catalogue.action_id(action).unwrap();
    let principal = Principal { kind: Kind::User, account: ACCOUNT, id: "efda56a968cd45b2873d9bf5fab58e95" };
    Request { action, resources, principal, context, needs_resource_policy: false }
}

/// Numbers that look random and are the same each time.
pub(super) struct Numbers(pub(super) u64);

impl Numbers {
    pub(super) fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % bound
    }

    pub(super) fn one<'t>(&mut self, all: &[&'t str]) -> &'t str {
        all[self.below(all.len())]
    }
}
