//! Why a decision fell: for each statement, that it applied or what kept it from applying first. For people.

use std::borrow::Borrow;
use std::fmt;

use super::catalogue::Catalogue;
use super::document::{Effect, Policy, Statement};
use super::evaluate::{Miss, Request, Resource, foreign, judge, readable};
use super::reader::shown;

/// What became of one statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Which of the policies, from 0.
    pub policy: usize,
    /// The policy's id.
    pub policy_id: String,
    /// Which of its statements, from 0.
    pub statement: usize,
    /// The statement's `Sid`.
    pub sid: Option<String>,
    /// The statement's effect; Deny for a policy that cannot be read.
    pub effect: Effect,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It applies.
    Applied,
    /// It would allow, but a resource belongs to another account, whose own policy would have to allow it too (R26).
    Foreign {
        /// The resource.
        srn: String,
    },
    /// It is about other actions.
    Action,
    /// The action has no resources, and only the bare `*` matches that (R19).
    NeedsEverything,
    /// Allow: it does not cover this resource (R17).
    Resource {
        /// The first resource that is not covered.
        srn: String,
    },
    /// Deny: it is about none of the resources (R18).
    NoResource,
    /// A condition does not hold.
    Condition {
        /// The operator with its qualifier, as written.
        operator: String,
        /// The key, in canonical spelling.
        key: &'static str,
        /// The values in the policy.
        wanted: String,
        /// The value in the request, if there is one.
        seen: Option<String>,
    },
    /// The policy cannot be read, so the decision is no.
    Unreadable,
}

/// One finding per statement of every policy, in order; one for a policy that cannot be read.
#[must_use]
pub fn explain(request: &Request<'_>, policies: &[impl Borrow<Policy>], catalogue: &Catalogue) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (policy, held) in policies.iter().enumerate() {
        let mut add = |statement, sid: Option<&str>, effect, outcome| {
            findings.push(Finding {
                policy,
                policy_id: held.borrow().id().to_owned(),
                statement,
                sid: sid.map(str::to_owned),
                effect,
                outcome,
            });
        };
        match readable(held.borrow(), request) {
            None => add(0, None, Effect::Deny, Outcome::Unreadable),
            Some(body) => {
                for (index, statement) in body.statements.iter().enumerate() {
                    add(index, statement.sid.as_deref(), statement.effect, outcome(statement, request, catalogue));
                }
            }
        }
    }
    findings
}

fn outcome(statement: &Statement, request: &Request<'_>, catalogue: &Catalogue) -> Outcome {
    match judge(statement, request) {
        Ok(()) => match (statement.effect, foreign(request)) {
            (Effect::Allow, Some(resource)) => Outcome::Foreign { srn: srn(resource, catalogue) },
            (Effect::Allow, None) | (Effect::Deny, _) => Outcome::Applied,
        },
        Err(Miss::Action) => Outcome::Action,
        Err(Miss::NeedsEverything) => Outcome::NeedsEverything,
        Err(Miss::Untouched) => Outcome::NoResource,
        Err(Miss::Uncovered(index)) => {
            Outcome::Resource { srn: request.resources.get(index).map_or_else(String::new, |resource| srn(resource, catalogue)) }
        }
        Err(Miss::Entry(index)) => match statement.entries.get(index) {
            Some(entry) => Outcome::Condition {
                operator: shown(&entry.operator),
                key: entry.key().as_str(),
                wanted: entry.values.to_string(),
                seen: entry.key().shown(&request.context).map(|seen| shown(&seen)),
            },
            None => Outcome::Action,
        },
    }
}

fn srn(resource: &Resource<'_>, catalogue: &Catalogue) -> String {
    let kind = catalogue.resource_type(resource.kind);
    let Resource { account, region, id, .. } = resource;
    shown(&format!("srn:{}::{account}:{region}::{}:{}/{id}", catalogue.offering().as_str(), kind.service_type, kind.name))
}

impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "policy `{}`", shown(&self.policy_id))?;
        if self.outcome == Outcome::Unreadable {
            return write!(out, ": {}", self.outcome);
        }
        write!(out, ", statement {}", self.statement + 1)?;
        if let Some(sid) = &self.sid {
            write!(out, " `{}`", shown(sid))?;
        }
        write!(out, " ({}): {}", self.effect, self.outcome)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Applied => out.write_str("applies"),
            Self::Foreign { srn } => {
                write!(out, "would apply, but `{srn}` belongs to another account, and no policy of that account allows it")
            }
            Self::Action => out.write_str("is about other actions"),
            Self::NeedsEverything => out.write_str("does not apply: the action has no resources, so only `*` as Resource matches it"),
            Self::Resource { srn } => write!(out, "does not apply: no pattern in Resource covers `{srn}`"),
            Self::NoResource => out.write_str("does not apply: no pattern in Resource matches any of the resources"),
            Self::Condition { operator, key, wanted, seen } => {
                write!(out, "does not apply: `{operator}` on `{key}` wants `{wanted}`, ")?;
                match seen {
                    Some(seen) => write!(out, "and the request has `{seen}`"),
                    None => out.write_str("and the request has none"),
                }
            }
            Self::Unreadable => out.write_str("cannot be read, so every decision that consults it is a refusal"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::policy::Owner;
    use crate::policy::sample::{ACCOUNT, OTHER, catalogue, policy, request, resource};

    #[test]
    fn each_statement_says_what_kept_it_from_applying_first() {
        let catalogue = catalogue();
        let held = [
            policy(
                r#"
                {"Sid": "other", "Effect": "Allow", "Action": "object-store:*", "Resource": "*"},
                {"Effect": "Allow", "Action": "iam:*", "Resource": "srn:e:::::iam:user/u2"},
                {"Effect": "Deny", "Action": "iam:*", "Resource": "srn:e:::::iam:user/u2"},
                {"Effect": "Allow", "Action": "iam:*", "Resource": "*", "Condition": {"IpAddress": {"scp:sourceip": ["192.0.2.0/24", "10.9.0.0/16"]}}},
                {"Effect": "Allow", "Action": "iam:*", "Resource": "*", "Condition": {"StringEquals": {"scp:RequestedRegion": "kr-west1"}}},
                {"Sid": "all", "Effect": "Allow", "Action": "*", "Resource": "*"}"#,
                Owner::account(ACCOUNT),
                &catalogue,
            ),
            Arc::new(Policy::invalid("broken")),
        ];
        let said = |account: &str| {
            let srn = format!("srn:e::{account}:::iam:user/u1");
            let resources = [resource(&srn, &catalogue)];
            let findings = explain(&request("iam:ShowUser", &resources, &catalogue), &held, &catalogue);
            findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
        };
        insta::assert_snapshot!(said(ACCOUNT), @r"
        policy `p1`, statement 1 `other` (Allow): is about other actions
        policy `p1`, statement 2 (Allow): does not apply: no pattern in Resource covers `srn:e::1d9c0a3a5b1c4f3c8a7e6d5c4b3a2f10:::scp-iam:user/u1`
        policy `p1`, statement 3 (Deny): does not apply: no pattern in Resource matches any of the resources
        policy `p1`, statement 4 (Allow): does not apply: `IpAddress` on `scp:SourceIp` wants `192.0.2.0/24, 10.9.0.0/16`, and the request has `10.1.2.3`
        policy `p1`, statement 5 (Allow): does not apply: `StringEquals` on `scp:RequestedRegion` wants `kr-west1`, and the request has none
        policy `p1`, statement 6 `all` (Allow): applies
        policy `broken`: cannot be read, so every decision that consults it is a refusal
        ");
        insta::assert_snapshot!(said(OTHER).lines().nth(5).unwrap(), @"policy `p1`, statement 6 `all` (Allow): would apply, but `srn:e::1f0c2d3e4b5a69788796a5b4c3d2e1f0:::scp-iam:user/u1` belongs to another account, and no policy of that account allows it");
        let listed = explain(&request("iam:ListUsers", &[], &catalogue), &held, &catalogue);
        assert_eq!(listed[1].outcome, Outcome::NeedsEverything);
    }
}
