//! The decision: Deny first, one statement for all resources, everything else refused (R16-R29, R50).

use std::slice;

use super::attached::ResourcePolicy;
use super::condition::Key;
use super::document::{Body, Effect, Policy, Statement};
use super::index::{Compiled, Statements};
use super::judge::{Truth, judge, judge_covering};
use super::request::{Kind, Request, Resource};
use super::set::PolicySet;
use super::{AttributeId, Known};

/// All policies that count for a request.
#[derive(Debug, Clone, Copy)]
pub struct Policies<'p, P> {
    /// The principal's own: a user's and their groups', or a role's.
    pub identity: &'p [P],
    /// Those of the resources of the request.
    pub resource: &'p [&'p ResourcePolicy],
    /// What caps the session, if anything does (R50).
    pub session: &'p [P],
    /// Of exactly those in `identity`.
    set: Option<&'p PolicySet>,
}

impl<'p, P> Policies<'p, P> {
    /// Only the principal's own.
    #[must_use]
    pub const fn identity(identity: &'p [P]) -> Self {
        Self { identity, resource: &[], session: &[], set: None }
    }

    /// With those of the resources of the request.
    #[must_use]
    pub const fn with_resource(self, resource: &'p [&'p ResourcePolicy]) -> Self {
        Self { resource, ..self }
    }

    /// With those that cap the session.
    #[must_use]
    pub const fn with_session(self, session: &'p [P]) -> Self {
        Self { session, ..self }
    }
}

impl<'p, P: AsRef<Policy>> Policies<'p, P> {
    /// Finds the statements of the principal's own policies by the index of the set, if it is of these policies.
    #[must_use]
    pub fn found_by(self, set: Option<&'p PolicySet>) -> Self {
        Self { set: set.filter(|set| set.is_of(self.identity)), ..self }
    }
}

/// Which of the policies, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Of the principal's own.
    Identity(usize),
    /// Of those of the resources.
    Resource(usize),
    /// Of those that cap the session.
    Session(usize),
}

/// The statement that decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deciding {
    /// Which policy.
    pub policy: Place,
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
    /// Denied because a value that decides could not be obtained (R44): by this Deny, or because an Allow needs it.
    Unavailable(Option<Deciding>),
    /// Denied because a policy that counts cannot be read, or was compiled for a smaller catalogue.
    InvalidPolicy(Place),
    /// Not decided: it depends on what [`needs`] names.
    Undecided,
}

/// What a decision depends on that nobody has asked for yet.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Needs {
    /// The tags of these resources, by their index.
    pub tags: Vec<usize>,
    /// These attributes of these resources.
    pub attributes: Vec<(usize, AttributeId)>,
    /// The body of the request.
    pub body: bool,
}

/// Decides. Allocates nothing.
///
/// The order of policies and statements never changes what is allowed (R20).
pub fn evaluate<P: AsRef<Policy>>(request: &Request<'_>, policies: &Policies<'_, P>) -> Verdict {
    Judge { request, policies, literally: false }.decide()
}

/// The same without any index: every statement is looked at. Slow; to check the other.
///
/// Where several statements decide alike, this may name another one of them.
pub fn evaluate_literally<P: AsRef<Policy>>(request: &Request<'_>, policies: &Policies<'_, P>) -> Verdict {
    Judge { request, policies, literally: true }.decide()
}

/// What an [`Verdict::Undecided`] decision depends on: asked for all at once, and nothing that cannot change the outcome any more.
#[must_use]
pub fn needs<P: AsRef<Policy>>(request: &Request<'_>, policies: &Policies<'_, P>) -> Needs {
    let judge = Judge { request, policies, literally: false };
    let mut needs = Needs::default();
    let mut effects = vec![Effect::Deny];
    if judge.allowed().truth != Truth::Yes {
        effects.push(Effect::Allow);
    }
    for effect in effects {
        judge.each(effect, |statement, view, offset| {
            if judge_truth(statement, view) == Truth::Undecided {
                needs.collect(statement, view, offset);
            }
        });
    }
    needs.tags.sort_unstable();
    needs.tags.dedup();
    needs.attributes.sort_unstable();
    needs.attributes.dedup();
    needs
}

fn judge_truth(statement: &Statement, request: &Request<'_>) -> Truth {
    judge(statement, request).truth
}

impl Needs {
    fn collect(&mut self, statement: &Statement, view: &Request<'_>, offset: usize) {
        let nothing = |_: super::Scalar<'_>| {};
        for entry in &statement.entries {
            self.body |= entry.key.read(&view.context, None, nothing) == Known::NotFetched;
        }
        for (place, resource) in view.resources.iter().enumerate() {
            for entry in &statement.resource_entries {
                let about = match &entry.key {
                    Key::Attribute(attribute) => attribute.kind == resource.kind,
                    Key::ResourceTag(_) | Key::Global(_) | Key::RequestTag(_) | Key::RequestAttribute(_) | Key::Undefined(_) => true,
                };
                if !about || entry.key.read(&view.context, Some(resource), nothing) != Known::NotFetched {
                    continue;
                }
                match &entry.key {
                    Key::Attribute(attribute) => self.attributes.push((offset + place, attribute.id)),
                    Key::ResourceTag(_) | Key::Global(_) | Key::RequestTag(_) | Key::RequestAttribute(_) | Key::Undefined(_) => {
                        self.tags.push(offset + place);
                    }
                }
            }
        }
    }
}

/// How many policies are asked at once.
const CHUNK: usize = u64::BITS as usize;

/// A truth and the statement that it comes from.
#[derive(Clone, Copy)]
struct Found {
    truth: Truth,
    deciding: Option<Deciding>,
}

impl Found {
    const NOTHING: Self = Self { truth: Truth::No, deciding: None };

    fn and(self, other: Self) -> Self {
        let truth = self.truth.and(other.truth, Effect::Allow);
        Self { truth, deciding: self.deciding.or(other.deciding) }
    }

    fn or(self, other: Self, effect: Effect) -> Self {
        if self.truth.or(other.truth, effect) == self.truth { self } else { other }
    }
}

struct Judge<'r, 'a, 'p, P> {
    request: &'r Request<'a>,
    policies: &'r Policies<'p, P>,
    /// Whether every statement is looked at.
    literally: bool,
}

impl<P: AsRef<Policy>> Judge<'_, '_, '_, P> {
    fn decide(&self) -> Verdict {
        if let Some(place) = self.unreadable() {
            return Verdict::InvalidPolicy(place);
        }
        let denied = self.denied();
        match (denied.truth, denied.deciding) {
            (Truth::Yes, Some(deciding)) => return Verdict::ExplicitDeny(deciding),
            (Truth::Unavailable, deciding) => return Verdict::Unavailable(deciding),
            (Truth::Yes | Truth::No | Truth::Undecided, _) => {}
        }
        let allowed = self.allowed();
        match (allowed.truth, denied.truth) {
            (Truth::No, _) => Verdict::ImplicitDeny,
            (Truth::Unavailable, _) => Verdict::Unavailable(None),
            (Truth::Yes, Truth::No) => Verdict::Allow(allowed.deciding),
            (Truth::Yes | Truth::Undecided, _) => Verdict::Undecided,
        }
    }

    /// What the principal holds by itself; a service holds nothing (R29).
    fn identity(&self) -> &[P] {
        match self.request.principal.kind {
            Kind::Service | Kind::Provider => &[],
            Kind::Root | Kind::User | Kind::Role | Kind::ServiceAccount => self.policies.identity,
        }
    }

    /// SECURITY: an unreadable policy is found before anything counts; skipping it would drop its Denies
    /// (test `a_policy_that_cannot_be_read_refuses_every_decision`).
    fn unreadable(&self) -> Option<Place> {
        let lost = |policies: &[P]| policies.iter().position(|policy| readable(policy.as_ref(), self.request).is_none());
        let attached = || {
            let concerned = |policy: &ResourcePolicy| self.request.resources.iter().any(|resource| policy.speaks_of(resource));
            let lost = |policy: &&ResourcePolicy| concerned(policy) && readable(policy.policy(), self.request).is_none();
            self.policies.resource.iter().position(lost)
        };
        let all_readable = self.policies.set.is_some_and(|set| self.request.action.index() < set.compiled().actions());
        let own = if all_readable { None } else { lost(self.identity()) };
        own.map(Place::Identity).or_else(|| attached().map(Place::Resource)).or_else(|| lost(self.policies.session).map(Place::Session))
    }

    fn denied(&self) -> Found {
        let attached = || {
            let resources = self.request.resources.iter();
            resources.map(|resource| self.attached(resource, Effect::Deny)).fold(Found::NOTHING, |one, other| one.or(other, Effect::Deny))
        };
        self.own(Effect::Deny)
            .or_unless_yes(attached, Effect::Deny)
            .or_unless_yes(|| self.held(self.policies.session, Place::Session, Effect::Deny), Effect::Deny)
    }

    /// Section 1.5 of the specification (R25-R29, R50).
    fn allowed(&self) -> Found {
        let Request { principal, resources, .. } = self.request;
        let yes = Found { truth: Truth::Yes, deciding: None };
        let own = match principal.kind {
            Kind::Root => yes,
            Kind::Service | Kind::Provider => Found::NOTHING,
            Kind::User | Kind::Role | Kind::ServiceAccount => self.own(Effect::Allow),
        };
        let all_of = |wanted: &dyn Fn(&&Resource<'_>) -> bool| {
            let granted = resources.iter().filter(wanted).map(|resource| self.attached(resource, Effect::Allow));
            granted.reduce(Found::and)
        };
        let abroad = foreign(self.request).is_some();
        let every = || all_of(&|_| true).unwrap_or(Found::NOTHING);
        let granted = match principal.kind {
            Kind::Service | Kind::Provider => every(),
            _ if abroad => {
                let foreign = all_of(&|resource| resource.account != principal.account).unwrap_or(yes);
                let needed = if self.request.needs_resource_policy { every() } else { yes };
                own.and(foreign).and(needed)
            }
            Kind::Root | Kind::User | Kind::Role | Kind::ServiceAccount if self.request.needs_resource_policy => every(),
            Kind::Root | Kind::User | Kind::Role | Kind::ServiceAccount => own.or_unless_yes(every, Effect::Allow),
        };
        if self.policies.session.is_empty() || granted.truth == Truth::No {
            return granted;
        }
        granted.and(self.held(self.policies.session, Place::Session, Effect::Allow))
    }

    /// What the policies say that the principal holds by itself.
    fn own(&self, effect: Effect) -> Found {
        match self.policies.set.filter(|_| !self.literally && !self.identity().is_empty()) {
            None => self.held(self.identity(), Place::Identity, effect),
            Some(set) if !set.compiled().concerns(effect, self.request.action.index()) => Found::NOTHING,
            Some(set) => strongest(set.compiled(), set, self.request, effect, |number| {
                let (policy, statement) = set.place(number)?;
                Some(Deciding { policy: Place::Identity(policy), statement })
            }),
        }
    }

    /// What a list of the principal's policies says.
    fn held(&self, policies: &[P], place: impl Fn(usize) -> Place, effect: Effect) -> Found {
        let mut found = Found::NOTHING;
        for (chunk, from) in policies.chunks(CHUNK).zip((0..).step_by(CHUNK)) {
            let (allow, deny) = self.concerned(chunk);
            let mut concerned = if effect == Effect::Allow { allow } else { deny };
            while concerned != 0 && found.truth != Truth::Yes {
                let index = concerned.trailing_zeros() as usize;
                concerned &= concerned - 1;
                let Some(body) = chunk.get(index).and_then(|policy| policy.as_ref().body()) else { continue };
                found = found.or(self.in_body(body, self.request, effect, || place(from + index)), effect);
            }
        }
        found
    }

    /// Which of at most [`CHUNK`] policies have an Allow, and which a Deny, that is about the action, as bits.
    ///
    /// All are asked before any is searched, for both effects: what is read for that does not wait for one another.
    fn concerned(&self, policies: &[P]) -> (u64, u64) {
        policies.iter().zip(0..).fold((0, 0), |(allow, deny), (policy, bit)| {
            let body = readable(policy.as_ref(), self.request);
            let concerns = |effect| body.is_some_and(|body| self.is_concerned(body, effect));
            (allow | u64::from(concerns(Effect::Allow)) << bit, deny | u64::from(concerns(Effect::Deny)) << bit)
        })
    }

    fn is_concerned(&self, body: &Body, effect: Effect) -> bool {
        self.literally || body.compiled.concerns(effect, self.request.action.index())
    }

    /// What the policies of one resource say to the principal, judged on that resource alone.
    fn attached(&self, resource: &Resource<'_>, effect: Effect) -> Found {
        let view = Request { resources: slice::from_ref(resource), ..*self.request };
        let mut found = Found::NOTHING;
        for (index, policy) in self.policies.resource.iter().enumerate().filter(|(_, policy)| policy.speaks_of(resource)) {
            let body = readable(policy.policy(), self.request).filter(|body| self.is_concerned(body, effect));
            let Some(body) = body else { continue };
            found = found.or(self.in_body(body, &view, effect, || Place::Resource(index)), effect);
        }
        found
    }

    /// What one policy says.
    fn in_body(&self, body: &Body, view: &Request<'_>, effect: Effect, place: impl Fn() -> Place) -> Found {
        let deciding = |number: u32| Some(Deciding { policy: place(), statement: number as usize });
        if !self.literally {
            return strongest(&body.compiled, &*body.statements, view, effect, deciding);
        }
        let own = (0_u32..).zip(&body.statements).filter(|(_, statement)| statement.effect == effect);
        own.map(|(number, statement)| (number, judge_truth(statement, view)))
            .filter(|(_, truth)| *truth != Truth::No)
            .fold(Found::NOTHING, |found, (number, truth)| found.or(Found { truth, deciding: deciding(number) }, effect))
    }

    /// Every statement of an effect with the request as it sees it, and where the first resource it sees stands in the whole.
    fn each(&self, effect: Effect, mut take: impl FnMut(&Statement, &Request<'_>, usize)) {
        let mut all = |body: Option<&Body>, view: &Request<'_>, offset: usize| {
            let statements = body.into_iter().flat_map(|body| body.statements.iter());
            statements.filter(|statement| statement.effect == effect).for_each(|statement| take(statement, view, offset));
        };
        for policy in self.identity().iter().chain(self.policies.session) {
            all(readable(policy.as_ref(), self.request), self.request, 0);
        }
        for (place, resource) in self.request.resources.iter().enumerate() {
            let view = Request { resources: slice::from_ref(resource), ..*self.request };
            for policy in self.policies.resource.iter().filter(|policy| policy.speaks_of(resource)) {
                all(readable(policy.policy(), self.request), &view, place);
            }
        }
    }
}

impl Found {
    fn or_unless_yes(self, other: impl FnOnce() -> Self, effect: Effect) -> Self {
        if self.truth == Truth::Yes { self } else { self.or(other(), effect) }
    }
}

/// The first resource that is not in the principal's account; nothing is foreign to a service, which has none.
pub(super) fn foreign<'r, 'a>(request: &'r Request<'a>) -> Option<&'r Resource<'a>> {
    match request.principal.kind {
        Kind::Service | Kind::Provider => None,
        Kind::Root | Kind::User | Kind::Role | Kind::ServiceAccount => {
            request.resources.iter().find(|resource| resource.account != request.principal.account)
        }
    }
}

/// What a policy says, if it is of use for this request.
pub(super) fn readable<'p>(policy: &'p Policy, request: &Request<'_>) -> Option<&'p Body> {
    policy.body().filter(|body| request.action.index() < body.compiled.actions())
}

/// The statement of an effect that is closest to applying, among those that are about the action.
fn strongest<S: Statements + ?Sized>(
    compiled: &Compiled,
    statements: &S,
    request: &Request<'_>,
    effect: Effect,
    deciding: impl Fn(u32) -> Option<Deciding>,
) -> Found {
    let mut found = Found::NOTHING;
    compiled.index().each(statements, effect, request, |number, statement, covered| {
        let truth = judge_covering(statement, request, covered).truth;
        if truth != Truth::No {
            found = found.or(Found { truth, deciding: deciding(number) }, effect);
        }
        truth == Truth::Yes
    });
    found
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::policy::sample::{ACCOUNT, OTHER, catalogue, policy, request, resource};
    use crate::policy::{
        Accessor, Attachment, Catalogue, Context, Finding, Outcome, Owner, Principal, RequestAttributes, ResourcePolicy, Scalar, explain,
    };
    use crate::source::{Report, Source};
    use crate::types::Srn;

    const ALLOW_ALL: &str = r#"{"Effect": "Allow", "Action": "*", "Resource": "*"}"#;

    fn statement(effect: &str, action: &str, resource: &str) -> String {
        format!(r#"{{"Effect": "{effect}", "Action": {action}, "Resource": {resource}}}"#)
    }

    fn deciding(statement: usize) -> Deciding {
        Deciding { policy: Place::Identity(0), statement }
    }

    fn check(statements: &[&str], action: &str, srns: &[&str], expected: Verdict) {
        let catalogue = catalogue();
        let held = [policy(&statements.join(","), Owner::account(ACCOUNT), &catalogue)];
        let resources: Vec<_> = srns.iter().map(|srn| resource(srn, &catalogue)).collect();
        assert_eq!(
            evaluate(&request(action, &resources, &catalogue), &Policies::identity(&held)),
            expected,
            "{statements:?} {action} {srns:?}"
        );
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
    fn what_is_needed_is_named_exactly() {
        #[derive(Debug)]
        struct Unread;
        impl RequestAttributes for Unread {
            fn read(&self, _accessor: &Accessor, _take: &mut dyn FnMut(Scalar<'_>)) -> Known {
                Known::NotFetched
            }
        }
        let catalogue = catalogue();
        let lastname = catalogue.find_attribute("iam", "userlastname").unwrap();
        let both = [user(ACCOUNT), format!("srn:e::{ACCOUNT}:::iam:policy/p1")];
        let resources: Vec<_> = both.iter().map(|srn| resource(srn, &catalogue)).collect();
        let plain = request("iam:AttachUserPolicy", &resources, &catalogue);
        let request = Request { context: Context { request_attributes: &Unread, ..plain.context }, ..plain };
        let allow = |condition: &str| format!(r#"{{"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {condition}}}"#);
        let none = Needs::default;
        for (statements, expected) in [
            (allow(r#"{"StringEquals": {"iam:userLastname": "Kim"}}"#), Needs { attributes: vec![(0, lastname)], ..none() }),
            (allow(r#"{"StringEquals": {"scp:ResourceTag/team": "red"}}"#), Needs { tags: vec![0, 1], ..none() }),
            (allow(r#"{"StringEquals": {"scp:RequestAttribute/body['a']": "x"}}"#), Needs { body: true, ..none() }),
            (
                allow(r#"{"StringEquals": {"scp:RequestAttribute/body['a']": "x", "iam:userLastname": "Kim", "scp:UserName": "foo"}}"#),
                Needs { body: true, attributes: vec![(0, lastname)], ..none() },
            ),
            (
                format!("{ALLOW_ALL}, {}", allow(r#"{"StringEquals": {"scp:ResourceTag/team": "red"}}"#).replace("Allow", "Deny")),
                Needs { tags: vec![0, 1], ..none() },
            ),
            // Another attribute, another name, another action: nothing depends on these.
            (allow(r#"{"StringEquals": {"iam:userLastname": "Kim", "scp:UserName": "bar"}}"#), none()),
            (allow(r#"{"StringEquals": {"iam:userEmail": "x"}}"#), none()),
        ] {
            let held = [policy(&statements, Owner::account(ACCOUNT), &catalogue)];
            let policies = Policies::identity(&held);
            assert_eq!(needs(&request, &policies), expected, "{statements}");
            assert_eq!(evaluate(&request, &policies) == Verdict::Undecided, expected != none(), "{statements}");
        }
    }

    #[test]
    fn what_is_needed_of_later_resources_has_their_places() {
        let catalogue = catalogue();
        let lastname = catalogue.find_attribute("iam", "userlastname").unwrap();
        let both = [format!("srn:e::{ACCOUNT}:::iam:policy/p1"), user(ACCOUNT)];
        let resources: Vec<_> = both.iter().map(|srn| resource(srn, &catalogue)).collect();
        let request = request("iam:AttachUserPolicy", &resources, &catalogue);
        let named = r#""Effect": "Allow", "Action": "*", "Resource": "*""#;
        let held = [policy(
            &format!(r#"{{{named}, "Condition": {{"StringEquals": {{"iam:userLastname": "Kim"}}}}}}"#),
            Owner::account(ACCOUNT),
            &catalogue,
        )];
        let expected = Needs { attributes: vec![(1, lastname)], ..Needs::default() };
        assert_eq!(needs(&request, &Policies::identity(&held)), expected);
        let text = format!(
            r#"{{"Version": "2024-07-01", "Statement": {{"Effect": "Allow", "Action": "iam:*User*", "Resource": "*",
            "Principal": {{"scp": "srn:e::{ACCOUNT}:::iam:user/{}"}}, "Condition": {{"StringEquals": {{"scp:ResourceTag/team": "red"}}}}}}}}"#,
            request.principal.id
        );
        let attachment = Attachment::find(&Srn::parse(&both[1]).unwrap(), &catalogue).unwrap();
        let attached = ResourcePolicy::load(&Source::new("p", text), "p", attachment, &catalogue, &Report::new()).unwrap();
        let resource = [&attached];
        let policies = Policies::<Policy>::identity(&[]).with_resource(&resource);
        assert_eq!(needs(&request, &policies), Needs { tags: vec![1], ..Needs::default() });
        let findings = explain(&request, &policies, &catalogue);
        let [Finding { outcome: Outcome::Condition(failed), .. }] = findings.as_slice() else { panic!("{findings:?}") };
        assert!(failed.on.as_ref().is_some_and(|on| on.ends_with(":scp-iam:user/u1")), "{failed:?}");
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
            let user = request("iam:DeleteUser", &resources, &catalogue);
            let root = Request { principal: Principal { kind: Kind::Root, ..user.principal }, ..user };
            assert_eq!(evaluate::<&Policy>(&root, &Policies::identity(&[])), expected, "{srn}");
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
            let user = request("iam:ShowUser", &resources, &catalogue);
            let request = Request { principal: Principal { account: principal, ..user.principal }, ..user };
            assert_eq!(matches!(evaluate(&request, &Policies::identity(&held)), Verdict::Allow(_)), allowed, "{owner:?} {principal}");
        }
    }

    #[test]
    fn a_policy_that_cannot_be_read_refuses_every_decision() {
        let catalogue = catalogue();
        let own = user(ACCOUNT);
        let resources = [resource(&own, &catalogue)];
        let held = [policy(ALLOW_ALL, Owner::system(), &catalogue), Arc::new(Policy::invalid("broken"))];
        for kind in [Kind::User, Kind::Root] {
            let user = request("iam:ShowUser", &resources, &catalogue);
            let request = Request { principal: Principal { kind, ..user.principal }, ..user };
            assert_eq!(evaluate(&request, &Policies::identity(&held)), Verdict::InvalidPolicy(Place::Identity(1)));
        }
        assert_eq!((held[1].id(), held[1].statements(), held[1].is_invalid()), ("broken", 0, true));
    }

    #[test]
    fn a_policy_of_a_smaller_catalogue_cannot_be_consulted_for_a_new_action() {
        let catalogue = catalogue();
        let small = Catalogue::builder("e".parse().unwrap()).build();
        let held = [policy(ALLOW_ALL, Owner::system(), &small)];
        let verdict = evaluate(&request("iam:ListUsers", &[], &catalogue), &Policies::identity(&held));
        assert_eq!(verdict, Verdict::InvalidPolicy(Place::Identity(0)));
    }
}
