//! Casbin: one rule per statement, an Allow counts unless a Deny does.
//!
//! Its `keyMatch` knows stars only at the end and its `globMatch` compiles the pattern with every comparison, so a function of our own
//! compares. The enforcer is the one without a cache of results: what is measured is deciding.

use casbin::function_map::{OperatorFunction, dynamic_to_str};
use casbin::{CoreApi, DefaultModel, Enforcer, MgmtApi};

use super::Engine;
use crate::workload::{ACCOUNT, Asked, Name, Statement, type_name};

/// The action is compared first, because that is cheap and rules out most. The subject is not tested: the rules are what one user holds.
const MODEL: &str = "
[request_definition]
r = act, obj

[policy_definition]
p = act, obj, eft

[policy_effect]
e = some(where (p.eft == allow)) && !some(where (p.eft == deny))

[matchers]
m = r.act == p.act && covers(p.obj, r.obj)
";

pub(crate) struct Casbin(Enforcer);

impl Casbin {
    pub(crate) fn load(statements: &[Statement]) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let rules = statements.iter().map(|statement| {
            let Statement { denies, action, service, kind, id } = statement;
            let effect = if *denies { "deny" } else { "allow" };
            vec![action.clone(), object(&type_name(*service, *kind), ACCOUNT, &id.text()), effect.to_owned()]
        });
        let rules = rules.collect();
        Self(runtime.block_on(async {
            let model = DefaultModel::from_str(MODEL).await.expect("a model");
            let mut enforcer = Enforcer::new(model, ()).await.expect("an enforcer");
            enforcer.add_function(
                "covers",
                OperatorFunction::Arg2(|pattern, object| covers(&dynamic_to_str(&pattern), &dynamic_to_str(&object)).into()),
            );
            enforcer.enable_auto_save(false);
            assert!(enforcer.add_policies(rules).await.expect("rules"), "a rule stands there twice");
            enforcer
        }))
    }
}

impl Engine for Casbin {
    fn allows(&mut self, asked: &Asked) -> bool {
        let Some(name) = Name::cut(&asked.srn) else { return false };
        self.0.enforce(vec![asked.action.clone(), object(name.of, name.account, name.id)]).expect("a decision")
    }
}

/// `scp-service3:kind1/9b76.../team-00001-*`
fn object(of: &str, account: &str, id: &str) -> String {
    [of, "/", account, "/", id].concat()
}

fn covers(pattern: &str, object: &str) -> bool {
    match pattern.split_once('*') {
        None => object == pattern,
        Some((head, tail)) => object.len() >= head.len() + tail.len() && object.starts_with(head) && object.ends_with(tail),
    }
}
