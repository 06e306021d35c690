//! Portcullis: texts in, as in `benches/policy`, with all the values that a gateway has for conditions.

use std::net::IpAddr;
use std::sync::Arc;

use portcullis::policy::{
    Catalogue, Context, DOCUMENT_BYTES_MAX, Kind, Owner, Policies, Policy, PolicySet, Principal, Request, Resource, STATEMENTS_MAX, Scalar,
    Values, Verdict, evaluate,
};
use portcullis::source::{Report, Source};
use portcullis::types::{AccessLevel, Srn};

use super::Engine;
use crate::workload::{ACCOUNT, ACTIONS, Asked, KINDS, SERVICES, Statement, USER, action_name};

pub(crate) struct Portcullis {
    catalogue: Catalogue,
    policies: Vec<Arc<Policy>>,
    /// What a gateway makes for who asks often.
    set: Option<PolicySet>,
    address: IpAddr,
}

impl Portcullis {
    pub(crate) fn load(statements: &[Statement]) -> Self {
        let catalogue = catalogue();
        let policies = policies(statements, &catalogue);
        let set = PolicySet::of(&policies);
        Self { catalogue, policies, set, address: IpAddr::from([10, 1, 2, 3]) }
    }

    fn decide(&self, asked: &Asked, held: &[&Arc<Policy>]) -> Option<Verdict> {
        let action = self.catalogue.action_id(&asked.action)?;
        let srn = Srn::parse(&asked.srn).ok()?;
        let kind = self.catalogue.find_resource_type(srn.service_type, srn.resource_type)?;
        let resources = [Resource::new(kind, srn.account, srn.region, srn.resource_id)];
        let text = |text| Values::One(Scalar::Text(text));
        let context = Context {
            source_ip: Values::One(Scalar::Address(self.address)),
            user_id: text(USER),
            user_name: text("ada"),
            authentication_type: text("AuthenticationKey"),
            mfa: Values::One(Scalar::Bool(false)),
            requested_region: text("kr-west1"),
            ..Context::EMPTY
        };
        let principal = Principal { kind: Kind::User, account: ACCOUNT, id: USER };
        let request = Request { action, resources: &resources, principal, context, needs_resource_policy: false };
        Some(evaluate(&request, &Policies::identity(held).found_by(self.set.as_ref())))
    }
}

impl Engine for Portcullis {
    fn allows(&mut self, asked: &Asked) -> bool {
        let held: Vec<&Arc<Policy>> = self.policies.iter().collect();
        matches!(self.decide(asked, &held), Some(Verdict::Allow(_)))
    }

    fn allowed_of(&mut self, batch: &[Asked]) -> usize {
        // What a principal holds is kept as such a list.
        let held: Vec<&Arc<Policy>> = self.policies.iter().collect();
        batch.iter().filter(|asked| matches!(self.decide(std::hint::black_box(asked), &held), Some(Verdict::Allow(_)))).count()
    }
}

/// The actions of the workload, and nine more per service that list and create.
fn catalogue() -> Catalogue {
    let mut builder = Catalogue::builder("e".parse().expect("an offering"));
    for service in 0..SERVICES {
        let name = format!("service{service}");
        builder.service(&name, &format!("scp-{name}"), &[]).expect("a service");
        for kind in 0..KINDS {
            let id = builder.resource_type(&format!("{name}:kind{kind}")).expect("a type");
            for action in 0..ACTIONS {
                let level = if action == 0 { AccessLevel::Read } else { AccessLevel::Update };
                builder.action(action_name(service, kind, action).parse().expect("an action"), level, &[id]).expect("an action");
            }
        }
        for action in 0..9 {
            builder.action(format!("{name}:List{action}").parse().expect("an action"), AccessLevel::List, &[]).expect("an action");
        }
    }
    builder.build()
}

/// Policies of these statements, as few as have room for them.
fn policies(statements: &[Statement], catalogue: &Catalogue) -> Vec<Arc<Policy>> {
    let mut documents: Vec<Vec<String>> = vec![Vec::new()];
    let mut bytes = 0;
    for statement in statements.iter().map(json) {
        let full = bytes + statement.len() + 100 > DOCUMENT_BYTES_MAX || documents.last().is_some_and(|last| last.len() == STATEMENTS_MAX);
        if full {
            documents.push(Vec::new());
            bytes = 0;
        }
        bytes += statement.len() + 1;
        documents.last_mut().expect("a document").push(statement);
    }
    documents.iter().map(|statements| Arc::new(load(&statements.join(","), catalogue))).collect()
}

fn json(statement: &Statement) -> String {
    let Statement { denies, action, service, kind, id } = statement;
    let effect = if *denies { "Deny" } else { "Allow" };
    let id = id.text();
    format!(r#"{{"Effect":"{effect}","Action":"{action}","Resource":"srn:e:::::service{service}:kind{kind}/{id}"}}"#)
}

fn load(statements: &str, catalogue: &Catalogue) -> Policy {
    let report = Report::new();
    let source = Source::new("p", format!(r#"{{"Version":"2024-07-01","Statement":[{statements}]}}"#));
    Policy::load(&source, "p", Owner::account(ACCOUNT), catalogue, &report).unwrap_or_else(|| panic!("{report}"))
}
