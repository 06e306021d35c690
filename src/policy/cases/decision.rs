//! A decision case: a request, the policies that count, and what must come out.

use std::fmt;

use super::{Document, Failure, Outcome, attachment};
use crate::policy::accessor::Accessor;
use crate::policy::attached::ResourcePolicy;
use crate::policy::catalogue::{AttributeId, Catalogue};
use crate::policy::condition::{GlobalKey, Key};
use crate::policy::document::{Owner, Policy};
use crate::policy::evaluate::{Policies, Verdict, evaluate};
use crate::policy::explain::{Finding, explain};
use crate::policy::request::{
    Attributes, Context, Kind, Known, Principal, Request, RequestAttributes, Resource, Scalar, Stored, Tags, Values,
};
use crate::source::{Cursor, Node, Report, Source, Table, Value};
use crate::types::{Srn, SrnError};

/// What stands in the place of tags or attributes that cannot be obtained.
const UNAVAILABLE: &str = "UNAVAILABLE";

/// A decision case.
#[derive(Debug)]
pub struct Decision {
    principal: Who,
    action: String,
    resources: Vec<What>,
    context: Pairs,
    identity: Vec<Document>,
    resource: Vec<(String, Document)>,
    session: Vec<Document>,
    /// What must come out.
    pub wanted: Option<Wanted>,
}

/// What must come out of a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Whether it is allowed.
    pub allow: bool,
    /// For which reason, if that matters.
    pub reason: Option<String>,
}

#[derive(Debug)]
struct Who {
    kind: Kind,
    account: String,
    id: String,
}

#[derive(Debug)]
struct What {
    srn: String,
    /// `None`: they cannot be obtained.
    tags: Option<Pairs>,
    attributes: Option<Pairs>,
}

/// Names and their values.
type Pairs = Vec<(String, Stored)>;

/// What came out of a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decided {
    /// No definition knows the action (R10).
    UnknownAction,
    /// What the policies say.
    Verdict(Verdict),
}

impl Decided {
    /// Whether it is allowed.
    #[must_use]
    pub const fn allows(self) -> bool {
        matches!(self, Self::Verdict(Verdict::Allow(_)))
    }

    /// The reasons that describe it, the usual one first.
    #[must_use]
    pub const fn reasons(self) -> &'static [&'static str] {
        match self {
            Self::UnknownAction => &["unknown_action"],
            Self::Verdict(Verdict::Allow(_)) => &["allow"],
            Self::Verdict(Verdict::ExplicitDeny(_)) => &["explicit_deny"],
            Self::Verdict(Verdict::ImplicitDeny) => &["implicit_deny"],
            Self::Verdict(Verdict::Unavailable(Some(_))) => &["explicit_deny", "attribute_unavailable"],
            Self::Verdict(Verdict::Unavailable(None)) => &["implicit_deny", "attribute_unavailable"],
            Self::Verdict(Verdict::InvalidPolicy(_)) => &["invalid_policy"],
            Self::Verdict(Verdict::Undecided) => &["undecided"],
        }
    }
}

impl Decision {
    /// A decision case that is a value of its own.
    pub(in crate::policy) fn of(node: &Node) -> Option<Self> {
        let (source, report) = (Source::new("case", ""), Report::new());
        let read = Self::read(&Cursor::new(node, &source, &report).table()?)?;
        (!report.has_errors()).then_some(read)
    }

    pub(super) fn read(table: &Table<'_>) -> Option<Self> {
        let hint = "write `request: {principal: {...}, action: service:Name, resources: [...], context: {...}}`";
        let request = table.required("request", hint, |request| {
            let table = request.table()?;
            let principal = table.required("principal", "write `principal: {type: user, srn: ...}`", |who| Who::read(&who));
            let action = table.required("action", "write `action: service:Name`", |action| action.string());
            let resources = table.or("resources", Vec::new(), |all| all.list(|one| What::read(&one)));
            let context = table.or("context", Vec::new(), |context| pairs(&context));
            table.finish()?;
            Some((principal?, action?, resources?, context?))
        });
        let document = |at: Cursor<'_>| Some(Document::Value(at.source().clone(), at.node().clone()));
        let identity = table.or("identity_policies", Vec::new(), |all| all.list(document));
        let session = table.or("session_policies", Vec::new(), |all| all.list(document));
        let resource = table.or("resource_policies", Vec::new(), |all| {
            all.list(|one| {
                let table = one.table()?;
                let attached = table.required("attached_to", "write the SRN of the resource", |srn| srn.string());
                let policy = table.required("policy", "write the document", document);
                table.finish()?;
                Some((attached?, policy?))
            })
        });
        let expect = table.optional("expect", |expect| expect.one_of(&[("Allow", true), ("Deny", false)]))?;
        let reason = table.optional("reason", |reason| reason.string())?;
        let (principal, action, resources, context) = request?;
        let wanted = expect.map(|allow| Wanted { allow, reason });
        Some(Self { principal, action, resources, context, identity: identity?, resource: resource?, session: session?, wanted })
    }

    /// Every SRN of a resource in it.
    pub(super) fn srns(&self) -> impl Iterator<Item = &str> {
        self.resources.iter().map(|what| what.srn.as_str()).chain(self.resource.iter().map(|(srn, _)| srn.as_str()))
    }

    pub(super) fn run(&self, catalogue: &Catalogue) -> Outcome {
        let Explanation { decided, complaints, findings, .. } = self.explain(catalogue);
        let explanation = || complaints.iter().cloned().chain(findings.iter().map(ToString::to_string)).collect();
        let decided = match decided {
            Ok(decided) => decided,
            Err(unready) => {
                let expected = "a request that can be decided".to_owned();
                return Outcome::Failed(Failure { expected, actual: unready.to_string(), explanation: explanation() });
            }
        };
        let Some(wanted) = &self.wanted else {
            let expected = "nothing: the case has no `expect`".to_owned();
            return Outcome::Failed(Failure { expected, actual: decided.to_string(), explanation: explanation() });
        };
        let same_reason = wanted.reason.as_deref().is_none_or(|wanted| decided.reasons().contains(&wanted));
        if decided.allows() == wanted.allow && same_reason {
            return Outcome::Passed;
        }
        let reason = wanted.reason.as_ref().map_or_else(String::new, |reason| format!(" ({reason})"));
        let expected = format!("{}{reason}", if wanted.allow { "Allow" } else { "Deny" });
        Outcome::Failed(Failure { expected, actual: decided.to_string(), explanation: explanation() })
    }

    pub(super) fn explain(&self, catalogue: &Catalogue) -> Explanation {
        let held = Held::load(self, catalogue);
        let found = held.with(self, catalogue, |request, policies| {
            (Decided::Verdict(evaluate(request, policies)), explain(request, policies, catalogue))
        });
        let (decided, findings) = match found {
            Ok((decided, findings)) => (Ok(decided), findings),
            Err(Unready::UnknownAction) => (Ok(Decided::UnknownAction), Vec::new()),
            Err(unready @ (Unready::Resource(_) | Unready::Srn(_) | Unready::Key(_))) => (Err(unready), Vec::new()),
        };
        Explanation { decided, complaints: held.complaints, findings }
    }
}

/// What a decision case comes out as, and why.
#[derive(Debug)]
pub struct Explanation {
    /// What comes out, or why nothing can.
    pub decided: Result<Decided, Unready>,
    /// What is wrong with the documents.
    pub complaints: Vec<String>,
    /// What became of each statement.
    pub findings: Vec<Finding>,
}

impl fmt::Display for Decided {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.allows() { "Allow" } else { "Deny" };
        write!(out, "{word} ({})", self.reasons().first().unwrap_or(&""))
    }
}

/// The policies of a decision case, compiled.
#[derive(Debug)]
pub struct Held {
    identity: Vec<Policy>,
    resource: Vec<ResourcePolicy>,
    session: Vec<Policy>,
    complaints: Vec<String>,
}

/// Why a case cannot be decided at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unready {
    /// No definition knows the action.
    UnknownAction,
    /// The catalogue has no such resource.
    Resource(String),
    /// What stands for a resource is no SRN.
    Srn(SrnError),
    /// The request cannot have such a condition key.
    Key(String),
}

impl fmt::Display for Unready {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownAction => out.write_str("no definition knows the action"),
            Self::Resource(srn) => write!(out, "`{srn}` is no resource of the catalogue"),
            Self::Srn(error) => error.fmt(out),
            Self::Key(key) => write!(out, "`{key}` is no condition key of a request"),
        }
    }
}

impl Held {
    /// Compiles the policies of a case. One that cannot be read counts as that: it refuses every decision.
    #[must_use]
    pub fn load(case: &Decision, catalogue: &Catalogue) -> Self {
        let owner = || {
            if case.principal.account.is_empty() { Owner::system() } else { Owner::account(&case.principal.account) }
        };
        let mut complaints = Vec::new();
        let mut complain = |report: &Report| complaints.extend(report.to_string().lines().map(str::to_owned));
        let mut list = |documents: &[Document], name: &str| -> Vec<Policy> {
            let mut one = |(document, number): (&Document, usize)| {
                let (id, report) = (format!("{name} {number}"), Report::new());
                let policy = document.policy(&id, owner(), catalogue, &report);
                policy.unwrap_or_else(|| {
                    complain(&report);
                    Policy::invalid(&id)
                })
            };
            documents.iter().zip(1..).map(&mut one).collect()
        };
        let (identity, session) = (list(&case.identity, "identity policy"), list(&case.session, "session policy"));
        let mut resource = Vec::new();
        for (srn, document) in &case.resource {
            let (id, report) = (format!("policy of {srn}"), Report::new());
            let Some(attachment) = attachment(srn, catalogue, &report) else {
                complain(&report);
                continue;
            };
            let loaded = document.resource_policy(&id, attachment.clone(), catalogue, &report);
            resource.push(loaded.unwrap_or_else(|| {
                complain(&report);
                ResourcePolicy::invalid(&id, attachment)
            }));
        }
        Self { identity, resource, session, complaints }
    }

    /// Everything wrong with the documents.
    #[must_use]
    pub fn complaints(&self) -> &[String] {
        &self.complaints
    }

    /// Hands over the request of a case and the policies that count for it.
    ///
    /// # Errors
    /// When the catalogue does not know what the case is about.
    pub fn with<T>(
        &self,
        case: &Decision,
        catalogue: &Catalogue,
        use_it: impl FnOnce(&Request<'_>, &Policies<'_, Policy>) -> T,
    ) -> Result<T, Unready> {
        let action = catalogue.action_id(&case.action).ok_or(Unready::UnknownAction)?;
        let resource: Vec<&ResourcePolicy> = self.resource.iter().collect();
        let policies = Policies::identity(&self.identity).with_resource(&resource).with_session(&self.session);
        let scalars: Vec<Scalars<'_>> = case.resources.iter().map(|what| Scalars::of(what, catalogue)).collect::<Result<_, _>>()?;
        let kept: Vec<Kept<'_>> = scalars.iter().map(Kept::of).collect();
        let resources: Vec<Resource<'_>> = kept.iter().map(Kept::resource).collect();
        let spoken = Spoken::of(&case.context, catalogue)?;
        let (tags, attributes) = (lend(&spoken.tags), Spots(lend(&spoken.attributes)));
        let mut context = Context { request_tags: Tags::Known(&tags), request_attributes: &attributes, ..Context::EMPTY };
        for (key, values) in lend(&spoken.global) {
            key.set(&mut context, values);
        }
        let Who { kind, account, id } = &case.principal;
        let principal = Principal { kind: *kind, account, id };
        let needs_resource_policy = catalogue.action(action).needs_resource_policy();
        Ok(use_it(&Request { action, resources: &resources, principal, context, needs_resource_policy }, &policies))
    }
}

/// Keys and their values.
type Lists<'a, K> = Vec<(K, Vec<Scalar<'a>>)>;

/// The values of a resource.
struct Scalars<'a> {
    name: Resource<'a>,
    tags: Option<Lists<'a, &'a str>>,
    attributes: Option<Lists<'a, AttributeId>>,
}

/// The same, in the form in which a request lends them.
struct Kept<'a> {
    name: Resource<'a>,
    tags: Option<Vec<(&'a str, Values<'a>)>>,
    attributes: Option<Vec<(AttributeId, Values<'a>)>>,
}

/// What the request says beside its resources.
struct Spoken<'a> {
    global: Lists<'a, GlobalKey>,
    tags: Lists<'a, &'a str>,
    attributes: Lists<'a, Accessor>,
}

/// The values of `scp:RequestAttribute/...`.
#[derive(Debug)]
struct Spots<'a>(Vec<(Accessor, Values<'a>)>);

impl<'a> Scalars<'a> {
    fn of(what: &'a What, catalogue: &Catalogue) -> Result<Self, Unready> {
        let unknown = || Unready::Resource(what.srn.clone());
        let srn = Srn::parse(&what.srn).map_err(Unready::Srn)?;
        let kind = catalogue.find_resource_type(srn.service_type, srn.resource_type).ok_or_else(unknown)?;
        let named = |name: &str| {
            let mut known = catalogue.attributes();
            known.find(|(_, known)| known.kind == kind && known.name.eq_ignore_ascii_case(name)).map(|(id, _)| id)
        };
        let tags = what.tags.as_ref().map(|tags| tags.iter().map(|(name, values)| (name.as_str(), values.scalars())).collect());
        let attributes = what.attributes.as_ref();
        let attributes = attributes.map(|all| all.iter().filter_map(|(name, values)| Some((named(name)?, values.scalars()))).collect());
        Ok(Self { name: Resource::new(kind, srn.account, srn.region, srn.resource_id), tags, attributes })
    }
}

impl<'a> Kept<'a> {
    fn of(scalars: &'a Scalars<'a>) -> Self {
        let Scalars { name, tags, attributes } = scalars;
        Self { name: *name, tags: tags.as_ref().map(|tags| lend(tags)), attributes: attributes.as_ref().map(|all| lend(all)) }
    }

    fn resource(&self) -> Resource<'_> {
        let attributes = match &self.attributes {
            Some(known) => Attributes { known, others: Values::Absent },
            None => Attributes { known: &[], others: Values::Unavailable },
        };
        Resource { tags: self.tags.as_ref().map_or(Tags::Unavailable, |tags| Tags::Known(tags)), attributes, ..self.name }
    }
}

impl<'a> Spoken<'a> {
    fn of(context: &'a Pairs, catalogue: &Catalogue) -> Result<Self, Unready> {
        let mut all = Self { global: Vec::new(), tags: Vec::new(), attributes: Vec::new() };
        for (name, values) in context {
            let tag = || name.split_once('/').map_or("", |(_, tag)| tag);
            match Key::parse(name, catalogue) {
                Ok(Key::Global(key)) => all.global.push((key, values.scalars())),
                Ok(Key::RequestTag(_)) => all.tags.push((tag(), values.scalars())),
                Ok(Key::RequestAttribute(accessor)) => all.attributes.push((accessor, values.scalars())),
                Ok(Key::ResourceTag(_) | Key::Attribute(_) | Key::Undefined(_)) | Err(_) => return Err(Unready::Key(name.clone())),
            }
        }
        Ok(all)
    }
}

impl RequestAttributes for Spots<'_> {
    fn read(&self, accessor: &Accessor, take: &mut dyn FnMut(Scalar<'_>)) -> Known {
        let found = self.0.iter().find(|(known, _)| known == accessor);
        found.map_or(Known::Known, |(_, values)| values.each(take))
    }
}

fn lend<'a, K: Clone>(lists: &'a [(K, Vec<Scalar<'a>>)]) -> Vec<(K, Values<'a>)> {
    lists.iter().map(|(key, list)| (key.clone(), Values::of(list))).collect()
}

impl Who {
    fn read(at: &Cursor<'_>) -> Option<Self> {
        let table = at.table()?;
        let kinds = [
            ("user", Kind::User),
            ("role", Kind::Role),
            ("root", Kind::Root),
            ("service-account", Kind::ServiceAccount),
            ("service", Kind::Service),
            ("provider", Kind::Provider),
        ];
        let kind = table.required("type", "write `type: user`", |kind| kind.one_of(&kinds));
        let srn = table.optional("srn", |srn| srn.string());
        let name = table.optional("name", |name| name.string());
        let account =
            table.optional("account", |account| if account.node().value == Value::Null { Some(String::new()) } else { account.string() });
        table.finish()?;
        let (kind, srn, name, account) = (kind?, srn?, name?, account?.unwrap_or_default());
        if let (Kind::Service, Some(id)) = (kind, name) {
            return Some(Self { kind, account: String::new(), id });
        }
        let Some(srn) = srn else {
            at.error_hint("the principal has no `srn`", "write `srn: srn:e::account:::scp-iam:user/id`; a service has a `name`");
            return None;
        };
        let parsed = Srn::parse(&srn).map_err(|error| at.error(error)).ok()?;
        let account = if account.is_empty() { parsed.account.to_owned() } else { account };
        Some(Self { kind, account, id: parsed.resource_id.to_owned() })
    }
}

impl What {
    fn read(at: &Cursor<'_>) -> Option<Self> {
        let table = at.table()?;
        let srn = table.required("srn", "write the SRN of the resource", |srn| srn.string());
        let tags = table.or("tags", Some(Vec::new()), |tags| pairs_unless_unavailable(&tags));
        let attributes = table.or("attributes", Some(Vec::new()), |attributes| pairs_unless_unavailable(&attributes));
        table.finish()?;
        Some(Self { srn: srn?, tags: tags?, attributes: attributes? })
    }
}

fn pairs(at: &Cursor<'_>) -> Option<Pairs> {
    at.entries(|name, _, value| Some((name.to_owned(), Stored::of([value.node()]))))
}

fn pairs_unless_unavailable(at: &Cursor<'_>) -> Option<Option<Pairs>> {
    if matches!(&at.node().value, Value::String(text) if **text == *UNAVAILABLE) {
        return Some(None);
    }
    pairs(at).map(Some)
}
