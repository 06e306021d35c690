//! The decision: Deny first, one statement for all resources, everything else refused (R16-R20, R26, R27).

use std::borrow::Borrow;
use std::net::IpAddr;

use crate::types::Timestamp;

use super::catalogue::{ActionId, ResourceTypeId};
use super::document::{Body, Effect, Policy, Statement};

/// A resource of a request. Its offering is the catalogue's.
#[derive(Debug, Clone, Copy)]
pub struct Resource<'a> {
    /// Its service and type.
    pub kind: ResourceTypeId,
    /// The account it belongs to; never empty (R14: the gateway fills it).
    pub account: &'a str,
    /// Its region; empty for global services.
    pub region: &'a str,
    /// Its id.
    pub id: &'a str,
}

/// What conditions can test (R54 says when each is there).
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// `scp:SourceIp`.
    pub source_ip: Option<IpAddr>,
    /// `scp:CurrentTime`.
    pub now: Timestamp,
    /// `scp:UserId`.
    pub user_id: Option<&'a str>,
    /// `scp:UserName`.
    pub user_name: Option<&'a str>,
    /// `scp:AuthenticationType` (R47).
    pub authentication_type: Option<&'a str>,
    /// `scp:MultiFactorAuthPresent`.
    pub mfa: Option<bool>,
    /// `scp:RequestedRegion`.
    pub requested_region: Option<&'a str>,
}

/// What is to be decided.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The action; one the catalogue knows, because unknown actions are refused before (R10).
    pub action: ActionId,
    /// Exactly the resources of the action's definition.
    pub resources: &'a [Resource<'a>],
    /// The caller's account.
    pub principal_account: &'a str,
    /// Whether the caller is the root user of that account (R27).
    pub root_of_account: bool,
    /// What conditions can test.
    pub context: Context<'a>,
}

/// The statement that decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deciding {
    /// Which of the policies, from 0.
    pub policy: usize,
    /// Which of its statements, from 0.
    pub statement: usize,
}

/// The decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// Allowed, by a statement; without one for the root user (R27).
    Allow(Option<Deciding>),
    /// Denied by a statement with Effect Deny.
    ExplicitDeny(Deciding),
    /// Denied because nothing allows it.
    ImplicitDeny,
    /// Denied because a policy that counts cannot be read, or was compiled for a smaller catalogue.
    InvalidPolicy {
        /// Which of the policies, from 0.
        policy: usize,
    },
}

/// Decides by the policies in force for the principal: its own and its groups'. Allocates nothing.
///
/// The order of policies and statements never changes what is allowed (R20).
pub fn evaluate<P: Borrow<Policy>>(request: &Request<'_>, policies: &[P]) -> Verdict {
    match search(request, policies, Effect::Deny) {
        Ok(None) => {}
        Ok(Some(deciding)) => return Verdict::ExplicitDeny(deciding),
        Err(Unreadable { policy }) => return Verdict::InvalidPolicy { policy },
    }
    // R26: abroad, the owner's resource policy must allow it as well, and there are none yet.
    if foreign(request).is_some() {
        return Verdict::ImplicitDeny;
    }
    if request.root_of_account {
        return Verdict::Allow(None);
    }
    match search(request, policies, Effect::Allow) {
        Ok(None) => Verdict::ImplicitDeny,
        Ok(allowing) => Verdict::Allow(allowing),
        Err(Unreadable { policy }) => Verdict::InvalidPolicy { policy },
    }
}

/// The first resource that is not in the principal's account.
pub(super) fn foreign<'r, 'a>(request: &'r Request<'a>) -> Option<&'r Resource<'a>> {
    request.resources.iter().find(|resource| resource.account != request.principal_account)
}

/// A policy that cannot be consulted.
pub(super) struct Unreadable {
    policy: usize,
}

/// What a policy says, if it is of use for this request.
pub(super) fn readable<'p>(policy: &'p Policy, request: &Request<'_>) -> Option<&'p Body> {
    policy.body().filter(|body| request.action.index() < body.actions)
}

fn search(request: &Request<'_>, policies: &[impl Borrow<Policy>], effect: Effect) -> Result<Option<Deciding>, Unreadable> {
    let mut deciding = None;
    for (policy, held) in policies.iter().enumerate() {
        // SECURITY: an unreadable policy is found before any Allow counts; skipping it would drop its Denies
        // (test `a_policy_that_cannot_be_read_refuses_every_decision`).
        let body = readable(held.borrow(), request).ok_or(Unreadable { policy })?;
        let concerned = match effect {
            Effect::Allow => &body.allowed,
            Effect::Deny => &body.denied,
        };
        if deciding.is_some() || !concerned.contains(request.action.index()) {
            continue;
        }
        let mut candidates = body.statements.iter().enumerate().filter(|(_, statement)| statement.effect == effect);
        deciding = candidates.find(|(_, found)| judge(found, request).is_ok()).map(|(statement, _)| Deciding { policy, statement });
    }
    Ok(deciding)
}

/// The first element of a statement that keeps it from applying.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Miss {
    /// The actions do not include the request's.
    Action,
    /// The action has no resources, and the bare `*` is not among the patterns (R19).
    NeedsEverything,
    /// Allow: the resource with this index is not covered (R17).
    Uncovered(usize),
    /// Deny: no resource is matched (R18).
    Untouched,
    /// The condition entry with this index does not hold.
    Entry(usize),
}

/// Whether a statement applies: the one definition, for decisions and for explanations.
pub(super) fn judge(statement: &Statement, request: &Request<'_>) -> Result<(), Miss> {
    if !statement.actions.contains(request.action.index()) {
        return Err(Miss::Action);
    }
    let resources = &statement.resources;
    let mut covered = request.resources.iter().map(|resource| resources.cover(resource, request.principal_account));
    match statement.effect {
        Effect::Allow | Effect::Deny if request.resources.is_empty() => {
            if !resources.everything() {
                return Err(Miss::NeedsEverything);
            }
        }
        Effect::Allow => {
            if let Some(missing) = covered.position(|covered| !covered) {
                return Err(Miss::Uncovered(missing));
            }
        }
        Effect::Deny => {
            if !covered.any(|covered| covered) {
                return Err(Miss::Untouched);
            }
        }
    }
    match statement.entries.iter().position(|entry| !entry.holds(&request.context)) {
        Some(failed) => Err(Miss::Entry(failed)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::policy::sample::{ACCOUNT, OTHER, catalogue, policy, request, resource};
    use crate::policy::{Catalogue, Owner};

    const ALLOW_ALL: &str = r#"{"Effect": "Allow", "Action": "*", "Resource": "*"}"#;

    fn statement(effect: &str, action: &str, resource: &str) -> String {
        format!(r#"{{"Effect": "{effect}", "Action": {action}, "Resource": {resource}}}"#)
    }

    fn deciding(statement: usize) -> Deciding {
        Deciding { policy: 0, statement }
    }

    fn check(statements: &[&str], action: &str, srns: &[&str], expected: Verdict) {
        let catalogue = catalogue();
        let held = [policy(&statements.join(","), Owner::account(ACCOUNT), &catalogue)];
        let resources: Vec<_> = srns.iter().map(|srn| resource(srn, &catalogue)).collect();
        assert_eq!(evaluate(&request(action, &resources, &catalogue), &held), expected, "{statements:?} {action} {srns:?}");
    }

    fn user(account: &str) -> String {
        format!("srn:e::{account}:::iam:user/u1")
    }

    #[test]
    fn explicit_deny_overrides_allow_wherever_it_stands() {
        let deny = statement("Deny", r#""iam:DeleteUser""#, r#""*""#);
        for statements in [[ALLOW_ALL, &deny], [&deny, ALLOW_ALL]] {
            let place = usize::from(statements[1] != ALLOW_ALL);
            check(&statements, "iam:DeleteUser", &[&user(ACCOUNT)], Verdict::ExplicitDeny(deciding(place)));
            check(&statements, "iam:ShowUser", &[&user(ACCOUNT)], Verdict::Allow(Some(deciding(1 - place))));
        }
    }

    #[test]
    fn access_levels_filter_what_the_rest_matches() {
        for (action, name, allowed) in [
            (r#""*[List,Read]""#, "iam:ListUsers", true),
            (r#""*[List,Read]""#, "iam:DeleteUser", false),
            (r#""iam:*[read]""#, "iam:ShowUser", true),
            (r#""object-store:*[Read]""#, "iam:ShowUser", false),
            (r#""iam:ShowUser[List]""#, "iam:ShowUser", false),
            (r#""iam:*[PERMISSION,DELETE]""#, "iam:DeleteUser", true),
            (r#"["*:ListUsers", "*:*User[Delete]"]"#, "iam:ListUsers", true),
        ] {
            let srns: &[&str] = if name == "iam:ListUsers" { &[] } else { &[&user(ACCOUNT)] };
            let expected = if allowed { Verdict::Allow(Some(deciding(0))) } else { Verdict::ImplicitDeny };
            check(&[&statement("Allow", action, r#""*""#)], name, srns, expected);
        }
    }

    #[test]
    fn one_statement_covers_all_resources_and_a_deny_needs_one() {
        let both = [&*user(ACCOUNT), &format!("srn:e::{ACCOUNT}:::iam:policy/p1")];
        let (one, two) = (r#""srn:e:::::iam:user/*""#, r#""srn:e:::::iam:policy/p1""#);
        let all = r#""iam:*""#;
        let allowed = Verdict::Allow(Some(deciding(0)));
        check(&[&statement("Allow", all, one), &statement("Allow", all, two)], "iam:AttachUserPolicy", &both, Verdict::ImplicitDeny);
        check(&[&statement("Allow", all, &format!("[{one}, {two}]"))], "iam:AttachUserPolicy", &both, allowed);
        let denied = Verdict::ExplicitDeny(deciding(1));
        check(&[ALLOW_ALL, &statement("Deny", all, two)], "iam:AttachUserPolicy", &both, denied);
        check(&[ALLOW_ALL, &statement("Deny", all, r#""srn:e:::::iam:group/x""#)], "iam:AttachUserPolicy", &both, allowed);
    }

    #[test]
    fn an_action_without_resources_needs_the_bare_star() {
        check(&[ALLOW_ALL], "iam:ListUsers", &[], Verdict::Allow(Some(deciding(0))));
        check(&[&statement("Allow", r#""*""#, r#""srn:e:::::iam:*/*""#)], "iam:ListUsers", &[], Verdict::ImplicitDeny);
        check(
            &[ALLOW_ALL, &statement("Deny", r#""*""#, r#""srn:e:::::iam:*/*""#)],
            "iam:ListUsers",
            &[],
            Verdict::Allow(Some(deciding(0))),
        );
    }

    #[test]
    fn nothing_is_allowed_in_another_account_without_its_own_policy() {
        let catalogue = catalogue();
        let (own, foreign) = (user(ACCOUNT), user(OTHER));
        let named = statement("Allow", r#""*""#, &format!("\"{foreign}\""));
        check(&[ALLOW_ALL, &named], "iam:ShowUser", &[&foreign], Verdict::ImplicitDeny);
        check(&[ALLOW_ALL], "iam:AttachUserPolicy", &[&own, &format!("srn:e::{OTHER}:::iam:policy/p1")], Verdict::ImplicitDeny);
        let deny = statement("Deny", r#""*""#, &format!("\"{foreign}\""));
        check(&[&deny], "iam:ShowUser", &[&foreign], Verdict::ExplicitDeny(deciding(0)));
        for (srn, expected) in [(&own, Verdict::Allow(None)), (&foreign, Verdict::ImplicitDeny)] {
            let resources = [resource(srn, &catalogue)];
            let root = Request { root_of_account: true, ..request("iam:DeleteUser", &resources, &catalogue) };
            assert_eq!(evaluate::<&Policy>(&root, &[]), expected, "{srn}");
        }
    }

    #[test]
    fn an_empty_account_is_the_owners_and_for_a_system_policy_the_principals() {
        let catalogue = catalogue();
        let text = statement("Allow", r#""*""#, r#""srn:e:::::iam:user/*""#);
        for (owner, principal, allowed) in [
            (Owner::account(ACCOUNT), ACCOUNT, true),
            (Owner::account(OTHER), ACCOUNT, false),
            (Owner::system(), ACCOUNT, true),
            (Owner::system(), OTHER, true),
        ] {
            let held = [policy(&text, owner.clone(), &catalogue)];
            let srn = user(principal);
            let resources = [resource(&srn, &catalogue)];
            let request = Request { principal_account: principal, ..request("iam:ShowUser", &resources, &catalogue) };
            assert_eq!(matches!(evaluate(&request, &held), Verdict::Allow(_)), allowed, "{owner:?} {principal}");
        }
    }

    #[test]
    fn a_policy_that_cannot_be_read_refuses_every_decision() {
        let catalogue = catalogue();
        let own = user(ACCOUNT);
        let resources = [resource(&own, &catalogue)];
        let held = [policy(ALLOW_ALL, Owner::system(), &catalogue), Arc::new(Policy::invalid("broken"))];
        for root_of_account in [false, true] {
            let request = Request { root_of_account, ..request("iam:ShowUser", &resources, &catalogue) };
            assert_eq!(evaluate(&request, &held), Verdict::InvalidPolicy { policy: 1 });
        }
        assert_eq!((held[1].id(), held[1].statements(), held[1].is_invalid()), ("broken", 0, true));
    }

    #[test]
    fn a_policy_of_a_smaller_catalogue_cannot_be_consulted_for_a_new_action() {
        let catalogue = catalogue();
        let small = Catalogue::builder("e".parse().unwrap()).build();
        let held = [policy(ALLOW_ALL, Owner::system(), &small)];
        assert_eq!(evaluate(&request("iam:ListUsers", &[], &catalogue), &held), Verdict::InvalidPolicy { policy: 0 });
    }
}
