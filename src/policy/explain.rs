//! Why a decision fell: for each statement, that it applied or what kept it from applying first. For people.

use std::fmt;
use std::slice;

use super::catalogue::Catalogue;
use super::condition::{Entry, shown_scalar};
use super::document::{Effect, Policy, Statement};
use super::evaluate::{Place, Policies, foreign, readable};
use super::judge::{Judged, Miss, Truth, judge};
use super::reader::shown;
use super::request::{Known, Request, Resource};

/// How many values of a request a message shows.
const VALUES_SHOWN: usize = 5;

/// What became of one statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Which of the policies.
    pub policy: Place,
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
    /// A Deny that applies because nobody can know whether this holds (R44).
    Presumed(Box<Failed>),
    /// It would allow, but a resource belongs to another account, whose own policy must allow it too (R26).
    Foreign {
        /// The resource.
        srn: String,
    },
    /// It is about other actions.
    Action,
    /// It is a resource's, and does not name the principal (R22).
    Principal,
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
    Condition(Box<Failed>),
    /// The policy cannot be read, so the decision is no.
    Unreadable,
}

/// A condition entry that keeps a statement from applying, or that makes a Deny apply because nobody can know (R44).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    /// The operator with its qualifier, as written.
    pub operator: String,
    /// The key, in canonical spelling.
    pub key: String,
    /// The values in the policy.
    pub wanted: String,
    /// What the request has.
    pub seen: Seen,
    /// The resource that it was judged on.
    pub on: Option<String>,
}

/// What a request has under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// These values; none at all when empty.
    Values(Vec<String>),
    /// Nobody can know: it could not be obtained.
    Unavailable,
    /// It has not been fetched.
    NotFetched,
    /// No resource has such an attribute, or conditions cannot test it (R43).
    Undefined,
}

impl Outcome {
    /// How near an Allow came: the further, the more of its elements fitted. Nothing for one that is about something else.
    const fn nearness(&self) -> u8 {
        match self {
            Self::Action | Self::Applied | Self::Presumed(_) | Self::Unreadable => 0,
            Self::Principal => 1,
            Self::NeedsEverything | Self::Resource { .. } | Self::NoResource => 2,
            Self::Condition(_) => 3,
            Self::Foreign { .. } => 4,
        }
    }
}

/// One finding per statement of every policy that counts, in order; one for a policy that cannot be read.
#[must_use]
pub fn explain<P: AsRef<Policy>>(request: &Request<'_>, policies: &Policies<'_, P>, catalogue: &Catalogue) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut held = |policies: &[P], place: fn(usize) -> Place| {
        for (index, policy) in policies.iter().enumerate() {
            add(&mut findings, policy.as_ref(), place(index), request, catalogue);
        }
    };
    held(policies.identity, Place::Identity);
    held(policies.session, Place::Session);
    for (index, attached) in policies.resource.iter().enumerate() {
        for resource in request.resources.iter().filter(|resource| attached.speaks_of(resource)) {
            let view = Request { resources: slice::from_ref(resource), ..*request };
            add(&mut findings, attached.policy(), Place::Resource(index), &view, catalogue);
        }
    }
    findings
}

/// The Allow that came nearest, of those that did not apply.
#[must_use]
pub fn nearest_miss(findings: &[Finding]) -> Option<&Finding> {
    let missed = findings.iter().filter(|found| found.effect == Effect::Allow && found.outcome.nearness() > 0);
    // The first of those that came equally near.
    missed.rev().max_by_key(|found| found.outcome.nearness())
}

fn add(findings: &mut Vec<Finding>, policy: &Policy, place: Place, request: &Request<'_>, catalogue: &Catalogue) {
    let mut add = |statement, sid: Option<&str>, effect, outcome| {
        let (policy_id, sid) = (policy.id().to_owned(), sid.map(str::to_owned));
        findings.push(Finding { policy: place, policy_id, statement, sid, effect, outcome });
    };
    let Some(body) = readable(policy, request) else { return add(0, None, Effect::Deny, Outcome::Unreadable) };
    for (index, statement) in body.statements.iter().enumerate() {
        let outcome = outcome(statement, request, place, catalogue);
        add(index, statement.sid.as_deref(), statement.effect, outcome);
    }
}

fn outcome(statement: &Statement, request: &Request<'_>, place: Place, catalogue: &Catalogue) -> Outcome {
    let srn_at = |index: usize| request.resources.get(index).map_or_else(String::new, |resource| srn(resource, catalogue));
    let Judged { truth, miss } = judge(statement, request);
    let why = |entry, on: Option<usize>| Box::new(failed(entry, request, on.and_then(|on| request.resources.get(on)), on.map(srn_at)));
    match miss {
        Some(Miss::Entry(entry, on)) if truth == Truth::Unavailable && statement.effect == Effect::Deny => {
            Outcome::Presumed(why(entry, on))
        }
        _ if truth == Truth::Yes => match (statement.effect, foreign(request), place) {
            (Effect::Allow, Some(resource), Place::Identity(_)) => Outcome::Foreign { srn: srn(resource, catalogue) },
            (Effect::Allow | Effect::Deny, _, _) => Outcome::Applied,
        },
        Some(Miss::Action) | None => Outcome::Action,
        Some(Miss::Principal) => Outcome::Principal,
        Some(Miss::NeedsEverything) => Outcome::NeedsEverything,
        Some(Miss::Untouched) => Outcome::NoResource,
        Some(Miss::Uncovered(index)) => Outcome::Resource { srn: srn_at(index) },
        Some(Miss::Entry(entry, on)) => Outcome::Condition(why(entry, on)),
    }
}

fn failed(entry: &Entry, request: &Request<'_>, resource: Option<&Resource<'_>>, on: Option<String>) -> Failed {
    let mut values = Vec::new();
    let known = entry.key.read(&request.context, resource, |value| {
        if values.len() <= VALUES_SHOWN {
            values.push(shown(&shown_scalar(value)));
        }
    });
    if values.len() > VALUES_SHOWN {
        values.truncate(VALUES_SHOWN);
        values.push("...".to_owned());
    }
    let seen = match known {
        _ if entry.key.is_undefined() => Seen::Undefined,
        Known::Known => Seen::Values(values),
        Known::Unavailable => Seen::Unavailable,
        Known::NotFetched => Seen::NotFetched,
    };
    Failed { operator: shown(&entry.operator), key: shown(&entry.key.to_string()), wanted: entry.values.to_string(), seen, on }
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
            Self::Presumed(failed) => write!(out, "applies, because nobody can know better: {failed}"),
            Self::Foreign { srn } => {
                write!(out, "would apply, but `{srn}` belongs to another account, and no policy of that account allows it")
            }
            Self::Action => out.write_str("is about other actions"),
            Self::Principal => out.write_str("does not apply: Principal does not name the caller"),
            Self::NeedsEverything => out.write_str("does not apply: the action has no resources, so only `*` as Resource matches it"),
            Self::Resource { srn } => write!(out, "does not apply: no pattern in Resource covers `{srn}`"),
            Self::NoResource => out.write_str("does not apply: no pattern in Resource matches any of the resources"),
            Self::Condition(failed) => write!(out, "does not apply: {failed}"),
            Self::Unreadable => out.write_str("cannot be read, so every decision that consults it is a refusal"),
        }
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { operator, key, wanted, seen, on } = self;
        write!(out, "`{operator}` on `{key}` wants `{wanted}`, and ")?;
        let owner = on.as_ref().map_or_else(|| "the request".to_owned(), |on| format!("`{on}`"));
        match seen {
            Seen::Values(values) if values.is_empty() => write!(out, "{owner} has none"),
            Seen::Values(values) => write!(out, "{owner} has `{}`", values.join("`, `")),
            Seen::Unavailable => write!(out, "what {owner} has could not be found out"),
            Seen::NotFetched => write!(out, "what {owner} has is not known here"),
            Seen::Undefined => out.write_str("no resource has such an attribute that conditions can test"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::policy::sample::{ACCOUNT, OTHER, catalogue, policy, request, resource};
    use crate::policy::{Attributes, Owner, Scalar, Tags, Values};

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
            let findings = explain(&request("iam:ShowUser", &resources, &catalogue), &Policies::identity(&held), &catalogue);
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
        let listed = explain(&request("iam:ListUsers", &[], &catalogue), &Policies::identity(&held), &catalogue);
        assert_eq!(listed[1].outcome, Outcome::NeedsEverything);
    }

    #[test]
    fn the_nearest_miss_is_the_first_allow_that_came_furthest() {
        let catalogue = catalogue();
        let region = r#""Condition": {"StringEquals": {"scp:RequestedRegion": "kr-west1"}}"#;
        let held = |statements: &str| [policy(statements, Owner::account(ACCOUNT), &catalogue)];
        let srn = format!("srn:e::{ACCOUNT}:::iam:user/u1");
        let resources = [resource(&srn, &catalogue)];
        let nearest = |statements: &str| {
            let findings = explain(&request("iam:ShowUser", &resources, &catalogue), &Policies::identity(&held(statements)), &catalogue);
            nearest_miss(&findings).map(|found| found.statement)
        };
        let elsewhere = r#"{"Effect": "Allow", "Action": "iam:*", "Resource": "srn:e:::::iam:user/u2"}"#;
        let conditional = |effect: &str| format!(r#"{{"Effect": "{effect}", "Action": "iam:*", "Resource": "*", {region}}}"#);
        let [allow, deny] = ["Allow", "Deny"].map(conditional);
        assert_eq!(nearest(&format!("{elsewhere}, {allow}, {allow}, {elsewhere}")), Some(1));
        assert_eq!(nearest(&format!("{deny}, {elsewhere}")), Some(1));
        assert_eq!(nearest(&format!("{deny}, {}", r#"{"Effect": "Allow", "Action": "object-store:*", "Resource": "*"}"#)), None);
        assert_eq!(nearest(r#"{"Effect": "Allow", "Action": "*", "Resource": "*"}"#), None);
    }

    #[test]
    fn what_nobody_can_know_presumes_a_deny_and_fails_an_allow() {
        let catalogue = catalogue();
        let lastname = |effect: &str, operator: &str, key: &str| {
            format!(r#"{{"Effect": "{effect}", "Action": "*", "Resource": "*", "Condition": {{"{operator}": {{"{key}": "Kim"}}}}}}"#)
        };
        let statements = [
            lastname("Deny", "StringEquals", "iam:userLastname"),
            lastname("Allow", "StringEquals", "iam:userLastname"),
            lastname("Allow", "StringEquals", "iam:userEmail"),
            lastname("Deny", "StringNotEquals", "scp:UserName"),
            lastname("Deny", "StringEquals", "scp:UserName"),
            lastname("Allow", "StringEquals", "scp:TagKeys"),
            // What fails for sure is said, not what could not be found out.
            lastname("Allow", "StringEquals", "iam:userLastname").replace("}}}", r#"}, "StringLike": {"scp:ResourceTag/team": "red"}}}"#),
        ];
        let held = [policy(&statements.join(","), Owner::account(ACCOUNT), &catalogue)];
        let srn = format!("srn:e::{ACCOUNT}:::iam:user/u1");
        let attributes = Attributes { known: &[], others: Values::Unavailable };
        let resources = [Resource { attributes, tags: Tags::Known(&[]), ..resource(&srn, &catalogue) }];
        let tags: Vec<Scalar<'_>> = ["a", "b", "c", "d", "e", "f"].map(Scalar::Text).to_vec();
        let said = |tags: &[Scalar<'_>]| {
            let mut asked = request("iam:ShowUser", &resources, &catalogue);
            asked.context.tag_keys = Values::of(tags);
            explain(&asked, &Policies::identity(&held), &catalogue).iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        insta::assert_snapshot!(said(&tags).join("\n"), @r"
        policy `p1`, statement 1 (Deny): applies, because nobody can know better: `StringEquals` on `iam:userLastname` wants `Kim`, and what `srn:e::1d9c0a3a5b1c4f3c8a7e6d5c4b3a2f10:::scp-iam:user/u1` has could not be found out
        policy `p1`, statement 2 (Allow): does not apply: `StringEquals` on `iam:userLastname` wants `Kim`, and what `srn:e::1d9c0a3a5b1c4f3c8a7e6d5c4b3a2f10:::scp-iam:user/u1` has could not be found out
        policy `p1`, statement 3 (Allow): does not apply: `StringEquals` on `iam:userEmail` wants `Kim`, and no resource has such an attribute that conditions can test
        policy `p1`, statement 4 (Deny): applies
        policy `p1`, statement 5 (Deny): does not apply: `StringEquals` on `scp:UserName` wants `Kim`, and the request has `foo`
        policy `p1`, statement 6 (Allow): does not apply: `StringEquals` on `scp:TagKeys` wants `Kim`, and the request has `a`, `b`, `c`, `d`, `e`, `...`
        policy `p1`, statement 7 (Allow): does not apply: `StringLike` on `scp:ResourceTag/team` wants `red`, and `srn:e::1d9c0a3a5b1c4f3c8a7e6d5c4b3a2f10:::scp-iam:user/u1` has none
        ");
        insta::assert_snapshot!(said(&tags[..5])[5], @"policy `p1`, statement 6 (Allow): does not apply: `StringEquals` on `scp:TagKeys` wants `Kim`, and the request has `a`, `b`, `c`, `d`, `e`");
    }
}
