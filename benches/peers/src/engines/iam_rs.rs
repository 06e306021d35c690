//! iam-rs: the same statements in AWS's language.
//!
//! Its account ids have twelve digits; ours stand in the resource instead. It compares actions without regard to case, and no request
//! here could show that. Its limit of 1,000 statements is lifted.

use iam_rs::{
    Arn, Decision, EvaluationOptions, IAMAction, IAMEffect, IAMPolicy, IAMRequest, IAMResource, IAMStatement, PolicyEvaluator, Principal,
    PrincipalId,
};

use super::Engine;
use crate::workload::{ACCOUNT, Asked, Name, Statement, USER};

pub(crate) struct IamRs {
    evaluator: PolicyEvaluator,
    principal: Principal,
}

impl IamRs {
    pub(crate) fn load(statements: &[Statement]) -> Self {
        let mut policy = IAMPolicy::new();
        policy.statement = statements.iter().map(translated).collect();
        let options = EvaluationOptions { max_statements: usize::MAX, ..EvaluationOptions::default() };
        Self {
            evaluator: PolicyEvaluator::with_policies(vec![policy]).with_options(options),
            principal: Principal::Aws(PrincipalId::String(format!("arn:aws:iam::000000000001:user/{USER}"))),
        }
    }
}

impl Engine for IamRs {
    fn allows(&mut self, asked: &Asked) -> bool {
        let Some((service, resource)) = Name::cut(&asked.srn).and_then(|name| {
            let (service, kind) = name.of.split_once(':')?;
            Some((service, resource(name.account, kind, name.id)))
        }) else {
            return false;
        };
        let (region, account_id) = (String::new(), String::new());
        let arn = Arn { partition: "scp".to_owned(), service: service.to_owned(), region, account_id, resource };
        let request = IAMRequest::new(self.principal.clone(), asked.action.as_str(), arn);
        self.evaluator.evaluate(&request).expect("a decision").decision == Decision::Allow
    }
}

fn translated(statement: &Statement) -> IAMStatement {
    let Statement { denies, action, service, kind, id } = statement;
    let pattern = resource(ACCOUNT, &format!("kind{kind}"), &id.text());
    IAMStatement::new(if *denies { IAMEffect::Deny } else { IAMEffect::Allow })
        .with_action(IAMAction::Single(action.clone()))
        .with_resource(IAMResource::Single(format!("arn:scp:scp-service{service}:::{pattern}")))
}

fn resource(account: &str, kind: &str, id: &str) -> String {
    [account, "/", kind, "/", id].concat()
}
