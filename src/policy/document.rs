//! A policy document, read whole or refused: version, statements and their elements (R01-R08, R45).

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use crate::source::json::{self, Limits};
use crate::source::{Cursor, Node, Report, Severity, Source, Value, nearest};
use crate::types::Offering;

use super::action::{self, ActionRule, Actions, Wording};
use super::attached::Attachment;
use super::catalogue::Catalogue;
use super::condition::{self, Entry};
use super::index::Compiled;
use super::index_set::IndexSet;
use super::principal::{self, Principals};
use super::reader::{Member, Reader, quoted, shown, text, wrong};
use super::repair::{self, Text};
use super::resource::{self, Resources};

/// How many bytes a document may have.
pub const DOCUMENT_BYTES_MAX: usize = 64 * 1024;
/// How deep lists and objects may nest.
pub const NESTING_MAX: usize = 8;
/// How many statements a document may have.
pub const STATEMENTS_MAX: usize = 1_000;
/// The same, for the reader of JSON.
pub(super) const LIMITS: Limits = Limits { bytes_max: DOCUMENT_BYTES_MAX, depth_max: NESTING_MAX };
/// The one version of the language (R02).
pub const LANGUAGE_VERSION: &str = "2024-07-01";

const VERSION_HINT: &str = "write \"Version\": \"2024-07-01\": the version of the language, not of your policy";
const STATEMENT_HINT: &str = "write \"Statement\": [{\"Effect\": \"Allow\", \"Action\": [...], \"Resource\": [...]}]";
const EFFECT_HINT: &str = "write \"Effect\": \"Allow\" or \"Effect\": \"Deny\"";
const SID_HINT: &str = "write a name for the statement, or leave `Sid` out";

/// What a statement does when it applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Allows, unless something denies.
    Allow,
    /// Denies, whatever allows (R20).
    Deny,
}

impl Effect {
    /// The word in the document.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "Allow",
            Self::Deny => "Deny",
        }
    }
}

impl fmt::Display for Effect {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

/// Whose policy it is: what an empty account in its SRNs means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    account: Option<Arc<str>>,
}

impl Owner {
    /// An account: an empty account is this one (R14).
    #[must_use]
    pub fn account(account: &str) -> Self {
        Self { account: Some(account.into()) }
    }

    /// Nobody (SYSTEM_MANAGED): an empty account is the principal's (R53).
    #[must_use]
    pub const fn system() -> Self {
        Self { account: None }
    }

    pub(super) const fn get(&self) -> Option<&Arc<str>> {
        self.account.as_ref()
    }
}

/// Where a policy stands, and so what may stand in it.
#[derive(Debug, Clone)]
pub(super) enum Setting<'a> {
    /// Held by users, groups and roles, or capping a session.
    Identity {
        /// What an empty account means.
        owner: Owner,
    },
    /// Of a resource.
    Resource {
        /// What an empty account means.
        owner: Owner,
        /// The resource.
        attachment: &'a Attachment,
    },
    /// Of a role.
    Trust {
        /// What an empty account means.
        owner: Owner,
        /// The role, if it is known.
        role: Option<&'a Attachment>,
    },
    /// Of a resource or role that is not known: what some of them may have is no error.
    Attached {
        /// What an empty account means.
        owner: Owner,
    },
}

impl Setting<'_> {
    pub(super) const fn owner(&self) -> &Owner {
        match self {
            Self::Identity { owner } | Self::Resource { owner, .. } | Self::Trust { owner, .. } | Self::Attached { owner } => owner,
        }
    }
}

/// A policy, compiled for one catalogue. Immutable; meant to be shared by all who hold it.
///
/// INVARIANT: requests carry action and resource type numbers of the catalogue it was compiled for; after a change of the
/// catalogue, policies are loaded again.
#[derive(Debug, Clone)]
pub struct Policy {
    id: Box<str>,
    body: Option<Body>,
}

/// What a readable policy says.
#[derive(Debug, Clone)]
pub(super) struct Body {
    pub(super) statements: Box<[Statement]>,
    pub(super) compiled: Compiled,
}

/// One compiled statement.
#[derive(Debug, Clone)]
pub(super) struct Statement {
    pub(super) sid: Option<Box<str>>,
    pub(super) effect: Effect,
    pub(super) actions: IndexSet,
    pub(super) wording: Wording,
    /// Whom it is for; `None`: whoever holds the policy.
    pub(super) principals: Option<Principals>,
    pub(super) resources: Resources,
    /// The entries about the request.
    pub(super) entries: Box<[Entry]>,
    /// The entries about its resources, judged on each (R46).
    pub(super) resource_entries: Box<[Entry]>,
}

impl Statement {
    /// Its whole condition.
    pub(super) fn all_entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().chain(&self.resource_entries)
    }
}

impl AsRef<Self> for Policy {
    fn as_ref(&self) -> &Self {
        self
    }
}

impl Policy {
    /// Reads and compiles a document. `id` is shown in explanations. All errors of the document go to the report with their
    /// places and what to write instead; so do warnings, such as actions that no definition knows (R10).
    ///
    /// `None` when there was an error: no part of such a document is used.
    #[must_use]
    pub fn load(source: &Source, id: &str, owner: Owner, catalogue: &Catalogue, report: &Report) -> Option<Self> {
        Self::read(source, id, &Setting::Identity { owner }, catalogue, report)
    }

    /// The same for a document that has been read already, as a part of a larger text.
    #[must_use]
    pub fn load_tree(source: &Source, root: &Node, id: &str, owner: Owner, catalogue: &Catalogue, report: &Report) -> Option<Self> {
        Self::read_tree(source, root, id, &Setting::Identity { owner }, catalogue, report)
    }

    /// A document for whatever place it stands in.
    pub(super) fn read(source: &Source, id: &str, setting: &Setting<'_>, catalogue: &Catalogue, report: &Report) -> Option<Self> {
        match repair::read(source, LIMITS, report) {
            Text::Sound(root) => Self::compile(source, &root, id, setting, catalogue, report),
            Text::Mended(root) => {
                let _ = document(&Reader::new(catalogue, source, report), &root, setting);
                None
            }
            Text::Hopeless => None,
        }
    }

    /// A document that is a part of a larger text. Its size is that of its shortest form.
    pub(super) fn read_tree(
        source: &Source,
        root: &Node,
        id: &str,
        setting: &Setting<'_>,
        catalogue: &Catalogue,
        report: &Report,
    ) -> Option<Self> {
        if let Err(error) = json::parse(json::print(root).as_bytes(), LIMITS) {
            report.error(source, root.span, error.message, error.hint);
            return None;
        }
        Self::compile(source, root, id, setting, catalogue, report)
    }

    fn compile(source: &Source, root: &Node, id: &str, setting: &Setting<'_>, catalogue: &Catalogue, report: &Report) -> Option<Self> {
        let before = report.count(Severity::Error);
        let statements = document(&Reader::new(catalogue, source, report), root, setting)?;
        // SECURITY: an error reported but forgotten on the way must not leave a usable policy.
        if report.count(Severity::Error) != before {
            return None;
        }
        let compiled = Compiled::of(statements.as_slice(), catalogue.action_count());
        Some(Self { id: id.into(), body: Some(Body { compiled, statements: statements.into() }) })
    }

    /// A stored policy that can no longer be read: every decision that consults it is
    /// [`Verdict::InvalidPolicy`](super::Verdict::InvalidPolicy), because what it denied is unknown.
    #[must_use]
    pub fn invalid(id: &str) -> Self {
        Self { id: id.into(), body: None }
    }

    /// The id given at load.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Whether it was made by [`Policy::invalid`].
    #[must_use]
    pub const fn is_invalid(&self) -> bool {
        self.body.is_none()
    }

    /// How many statements it has.
    #[must_use]
    pub fn statements(&self) -> usize {
        self.body.as_ref().map_or(0, |body| body.statements.len())
    }

    /// How many entries an index over it has at most, by itself or in a [`PolicySet`](super::PolicySet): what it weighs there.
    #[must_use]
    pub fn index_entries(&self) -> usize {
        self.body.as_ref().map_or(0, |body| body.compiled.entries())
    }

    /// The `Sid` of a statement (from 0), if it has one.
    #[must_use]
    pub fn sid(&self, statement: usize) -> Option<&str> {
        self.statement(statement)?.sid.as_deref()
    }

    /// The effect of a statement (from 0).
    #[must_use]
    pub fn effect(&self, statement: usize) -> Option<Effect> {
        self.statement(statement).map(|statement| statement.effect)
    }

    pub(super) const fn body(&self) -> Option<&Body> {
        self.body.as_ref()
    }

    fn statement(&self, index: usize) -> Option<&Statement> {
        self.body.as_ref()?.statements.get(index)
    }
}

/// The tree of a document of any kind: of a principal, a resource or a role. What a catalogue would have to say is not asked;
/// everything else that [`Policy::load`] and [`ResourcePolicy::load`](super::ResourcePolicy::load) refuse is.
///
/// `None` when there was an error; all of them go to the report, and no warnings.
#[must_use]
pub fn parse(source: &Source, report: &Report) -> Option<Node> {
    let found = Report::new();
    let limits = Limits { bytes_max: DOCUMENT_BYTES_MAX, depth_max: NESTING_MAX };
    let root = match repair::read(source, limits, &found) {
        Text::Sound(root) | Text::Mended(root) => {
            let (catalogue, owner) = (Catalogue::builder(Offering::default()).build(), Owner::system());
            let setting = if names_principals(&root) { Setting::Attached { owner } } else { Setting::Identity { owner } };
            document(&Reader::new(&catalogue, source, &found), &root, &setting).map(|_| root)
        }
        Text::Hopeless => None,
    };
    report.take_errors(&found);
    root.filter(|_| !found.has_errors())
}

/// Whether some statement says whom it is for, as in the policies of resources and roles.
fn names_principals(root: &Node) -> bool {
    root.get("Statement").is_some_and(|statement| match &statement.value {
        Value::List(items) => items.iter().any(|item| item.get("Principal").is_some()),
        Value::Map(_) => statement.get("Principal").is_some(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    })
}

pub(super) const DOCUMENT_MEMBERS: [&str; 2] = ["Version", "Statement"];
/// The members of a statement in the order in which they are written; `Principal` stands in policies of resources and roles only.
pub(super) const STATEMENT_MEMBERS: [&str; 7] = ["Sid", "Effect", "Principal", "Action", "NotAction", "Resource", "Condition"];

/// Members of other languages, each with what to do.
const FOREIGN_MEMBERS: [(&str, &str); 3] = [
    ("Id", "leave it out: a policy's name and id are kept beside the document"),
    ("NotResource", "list in `Resource` what the statement is for; there is no complement"),
    ("NotPrincipal", "leave it out; name those it is for, there is no complement"),
];

fn document<'a>(reader: &Reader<'a>, root: &'a Node, setting: &Setting<'_>) -> Option<Vec<Statement>> {
    let at = Cursor::new(root, reader.source, reader.report);
    let members = reader.members(&at, "a policy is {\"Version\": \"2024-07-01\", \"Statement\": [...]}")?;
    let unknown = only(reader, &at, &members, &DOCUMENT_MEMBERS);
    let version = required(&at, &members, "Version", VERSION_HINT).and_then(version);
    let statements = required(&at, &members, "Statement", STATEMENT_HINT).and_then(|at| statements(reader, at, setting));
    unknown?;
    version?;
    statements
}

fn version(at: &Cursor<'_>) -> Option<()> {
    let found = text(at, VERSION_HINT)?;
    if found == LANGUAGE_VERSION {
        return Some(());
    }
    at.error_hint(format!("`{}` is not a version of the policy language", shown(found)), VERSION_HINT);
    None
}

fn statements<'a>(reader: &Reader<'a>, at: &Cursor<'a>, setting: &Setting<'_>) -> Option<Vec<Statement>> {
    let items = match &at.node().value {
        Value::Map(_) => vec![at.clone()],
        Value::List(items) if items.is_empty() => {
            at.error_hint("there is no statement", STATEMENT_HINT);
            return None;
        }
        Value::List(items) if items.len() > STATEMENTS_MAX => {
            at.error_hint(
                format!("the policy has {} statements; the limit is {STATEMENTS_MAX}", items.len()),
                "split it into several policies",
            );
            return None;
        }
        Value::List(_) => at.list(Some)?,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            wrong(at, "a statement or a list of statements", STATEMENT_HINT);
            return None;
        }
    };
    let mut sids = HashSet::new();
    let read: Vec<_> = items.iter().map(|item| statement(reader, item, setting, &mut sids)).collect();
    read.into_iter().collect()
}

fn statement<'a>(reader: &Reader<'a>, at: &Cursor<'a>, setting: &Setting<'_>, sids: &mut HashSet<&'a str>) -> Option<Statement> {
    let members = reader.members(at, "a statement is {\"Effect\": ..., \"Action\": [...], \"Resource\": [...]}")?;
    let unknown = only(reader, at, &members, &STATEMENT_MEMBERS);
    let sid = sid(&members, sids);
    let effect = required(at, &members, "Effect", EFFECT_HINT).and_then(effect);
    let principals = principals(reader, at, &members, setting);
    let actions = actions(reader, at, &members, effect, setting);
    let resources = required(at, &members, "Resource", "write \"Resource\": \"*\", or a list of SRNs").and_then(|value| {
        let acted_on = actions.as_ref().map(|actions| &actions.set);
        resource::read(reader, value, setting, effect, acted_on)
    });
    let entries = match member(&members, "Condition") {
        Some(found) => condition::read(reader, &found.value, setting.owner(), effect),
        None => Some(Vec::new()),
    };
    unknown?;
    let Actions { set, wording } = actions?;
    let (resource_entries, entries): (Vec<Entry>, Vec<Entry>) = entries?.into_iter().partition(|entry| entry.key.is_of_resource());
    Some(Statement {
        sid: sid?,
        effect: effect?,
        actions: set.shrunk(),
        wording,
        principals: principals?,
        resources: resources?,
        entries: entries.into(),
        resource_entries: resource_entries.into(),
    })
}

/// Whom the statement is for: said in policies of resources and roles, and in no others (R21).
fn principals<'a>(reader: &Reader<'a>, at: &Cursor<'a>, members: &[Member<'a>], setting: &Setting<'_>) -> Option<Option<Principals>> {
    const HINT: &str = "write \"Principal\": {\"scp\": [\"srn:e::account:::scp-iam:user/id\"]}: a policy of a resource says whom it is for";
    let found = member(members, "Principal");
    let trust = match setting {
        Setting::Identity { .. } => {
            let Some(found) = found else { return Some(None) };
            let hint =
                "leave it out: the policy is for those it is attached to; only policies of resources and roles say for whom they are";
            reader.name_error(found, at, "a policy of users, groups and roles has no `Principal`", hint);
            return None;
        }
        Setting::Resource { .. } => false,
        Setting::Trust { .. } => true,
        Setting::Attached { .. } => {
            return required(at, members, "Principal", HINT).and_then(|value| principal::shape(reader, value)).map(|()| None);
        }
    };
    required(at, members, "Principal", HINT).and_then(|value| principal::read(reader, value, trust)).map(Some)
}

fn sid<'a>(members: &[Member<'a>], sids: &mut HashSet<&'a str>) -> Option<Option<Box<str>>> {
    let Some(found) = member(members, "Sid") else { return Some(None) };
    let sid = text(&found.value, SID_HINT)?;
    if sids.insert(sid) {
        return Some(Some(sid.into()));
    }
    found.value.error_hint(format!("the `Sid` `{}` stands for two statements", shown(sid)), "give each statement a name of its own");
    None
}

fn effect(at: &Cursor<'_>) -> Option<Effect> {
    let found = text(at, EFFECT_HINT)?;
    let known = [Effect::Allow, Effect::Deny];
    if let Some(effect) = known.into_iter().find(|effect| effect.as_str() == found) {
        return Some(effect);
    }
    let hint = match nearest(found, known.map(Effect::as_str)) {
        Some(word) => format!("did you mean `{word}`? letter case counts"),
        None => EFFECT_HINT.to_owned(),
    };
    at.error_hint(format!("`{}` is not an effect", shown(found)), hint);
    None
}

fn actions<'a>(
    reader: &Reader<'a>,
    at: &Cursor<'a>,
    members: &[Member<'a>],
    effect: Option<Effect>,
    setting: &Setting<'_>,
) -> Option<Actions> {
    const HINT: &str = "write \"Action\": [...] for the actions meant, or \"NotAction\": [...] for all but those";
    match (member(members, "Action"), member(members, "NotAction")) {
        (Some(found), None) => action::read(reader, &found.value, &ActionRule { effect, complement: false, setting }),
        (None, Some(found)) => action::read(reader, &found.value, &ActionRule { effect, complement: true, setting }),
        (Some(_), Some(second)) => {
            reader.name_error(second, at, "`Action` and `NotAction` stand in one statement", "keep one of the two");
            None
        }
        (None, None) => {
            at.error_hint("the statement names no actions", HINT);
            None
        }
    }
}

fn member<'m, 'a>(members: &'m [Member<'a>], name: &str) -> Option<&'m Member<'a>> {
    members.iter().find(|member| member.name == name)
}

fn required<'m, 'a>(at: &Cursor<'a>, members: &'m [Member<'a>], name: &str, hint: &str) -> Option<&'m Cursor<'a>> {
    let found = member(members, name).map(|member| &member.value);
    if found.is_none() {
        at.error_hint(format!("`{name}` is missing"), hint);
    }
    found
}

/// Reports every member that the language does not have (R04): a misspelt `Condition` would silently drop a restriction.
fn only<'a>(reader: &Reader<'a>, at: &Cursor<'a>, members: &[Member<'a>], known: &[&str]) -> Option<()> {
    let mut clean = Some(());
    for member in members.iter().filter(|member| !known.contains(&member.name)) {
        clean = None;
        let foreign = FOREIGN_MEMBERS.iter().find(|(name, _)| *name == member.name);
        let hint = match (foreign, nearest(member.name, known.iter().copied())) {
            (Some((_, advice)), _) => (*advice).to_owned(),
            (None, Some(word)) => format!("did you mean `{word}`?"),
            (None, None) => format!("known here are {}", quoted(known.iter().copied())),
        };
        reader.name_error(member, at, format!("`{}` is not known here", shown(member.name)), hint);
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a text is a document of some kind, and what is said if not.
    fn check(text: &str, expected: Option<&str>) {
        let report = Report::new();
        let found = parse(&Source::new("p.json", text), &report);
        assert_eq!(found.is_none(), report.has_errors(), "{text}\n{report}");
        match expected {
            None => assert!(found.is_some() && report.diagnostics().is_empty(), "{text}\n{report}"),
            Some(part) => assert!(report.to_string().contains(part), "{text}\n{report}"),
        }
    }

    fn of(statement: &str) -> String {
        format!("{{\"Version\": \"2024-07-01\", \"Statement\": {statement}}}")
    }

    #[test]
    fn documents_of_every_kind_are_parsed_without_a_catalogue() {
        for statement in [
            r#"{"Effect": "Allow", "Action": "none:x", "Resource": "srn:other:::::none:x/*", "Condition": {"Bool": {"a:b": true}}}"#,
            r#"{"Effect": "Allow", "Principal": {"scp": "srn:s::1:::id:user/x", "Service": ["a.b"]}, "Action": "none:x", "Resource": "*"}"#,
            r#"[{"Effect": "Allow", "Principal": {"scp": ["srn:s::1:::scp-iam:root"]}, "Action": "sts:AssumeRole", "Resource": []}]"#,
            r#"{"Effect": "Allow", "Action": "*", "Resource": "srn:e:::::iam:user/*1*2*3*4*5*6*7*8*9*0*1*2*3*4*5*"}"#,
            r#"{"Effect": "Deny", "Principal": {"Account": "1", "Federated": "x"}, "NotAction": ["*"], "Resource": "*", "Condition": {}}"#,
        ] {
            check(&of(statement), None);
        }
    }

    #[test]
    fn what_no_kind_of_policy_has_is_refused_without_a_catalogue() {
        for (text, part) in [
            (of("[]"), "there is no statement"),
            (of("{}"), "names no actions"),
            (of(r#"{"Effect": "Allow", "Action": "*", "Resource": ["nonsense"]}"#), "neither `*` nor an SRN"),
            (
                of(r#"{"Effect": "Allow", "Action": "*", "Principal": {"Service": "a.b"}, "Resource": ["nonsense"]}"#),
                "neither `*` nor an SRN",
            ),
            (of(r#"{"Effect": "Allow", "Action": "*", "Resource": "srn:e:::::iam:"}"#), "end it with `type/id`"),
            (of(r#"{"Effect": "Allow", "Action": "*", "Resource": "srn:e:::::iam:user"}"#), "write `srn:e:::::iam:user/*`"),
            (of(r#"{"Effect": "Allow", "Action": "*", "Resource": "srn:e:::::iam:user/*1*2*3*4*5*6*7*8*9*0*1*2*3*4*5*6*"}"#), "17 `*`"),
            (of("{\"Effect\": \"Allow\", \"Action\": \"*\", \"Resource\": [], \"Sid\": \"x\"}"), "the list is empty"),
            (of(r#"{"Effect": "Allow", "Action": "x", "Resource": "*"}"#), "the service is missing"),
            (of(r#"{"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {"IpAdress": {}}}"#), "did you mean `IpAddress`?"),
            (of(r#"{"Effect": "Allow", "Action": "*", "Resource": "*", "Principal": "*"}"#), "would be everybody"),
            (of(r#"{"Effect": "Allow", "Action": "*", "Resource": "*", "Principal": "srn:x"}"#), r#"{"scp": ["srn:x"]}"#),
            (of(r#"{"Effect": "Allow", "Action": "*", "Resource": "*", "Principal": "me"}"#), "does not say what kind of principal"),
            (of(r#"{"Effect": "Allow", "Action": "*", "Resource": "*", "Principal": []}"#), "an object should stand here"),
            (of(r#"{"Effect": "Allow", "Action": "*", "Resource": "*", "Principal": {}}"#), "nobody is named"),
            (of(r#"{"Effect": "Allow", "Action": "*", "Resource": "*", "Principal": {"Accounts": "1"}}"#), "did you mean `Account`?"),
            (of(r#"{"Effect": "Allow", "Action": "*", "Resource": "*", "Principal": {"scp": ["a", "*"]}}"#), "has a wildcard"),
            (
                of(r#"[{"Effect": "Allow", "Action": "*", "Resource": "*"},
                {"Effect": "Allow", "Action": "*", "Resource": "*", "Principal": {"scp": "a"}}]"#),
                "`Principal` is missing",
            ),
            (of(r#"{"Effect": "Allow", "Action": "*", "Resource": "*",}"#), "a comma stands before `}`"),
            ("{".to_owned(), "a member name should stand here"),
            ("{\"Version\": \"2024-07-01\"}".to_owned(), "`Statement` is missing"),
        ] {
            check(&text, Some(part));
        }
    }

    #[test]
    fn statements_are_known_by_their_number() {
        let catalogue = Catalogue::builder("e".parse().unwrap()).build();
        let text = of(
            r#"[{"Sid": "first", "Effect": "Allow", "Action": "*", "Resource": "*"}, {"Effect": "Deny", "Action": "*", "Resource": "*"}]"#,
        );
        let policy = Policy::load(&Source::new("p.json", text), "p1", Owner::system(), &catalogue, &Report::new()).unwrap();
        assert_eq!((policy.id(), policy.statements(), policy.is_invalid()), ("p1", 2, false));
        assert_eq!([0, 1, 2].map(|index| policy.sid(index)), [Some("first"), None, None]);
        assert_eq!([0, 1, 2].map(|index| policy.effect(index)), [Some(Effect::Allow), Some(Effect::Deny), None]);
        let invalid = Policy::invalid("p2");
        assert_eq!((invalid.id(), invalid.statements(), invalid.is_invalid()), ("p2", 0, true));
        assert_eq!((invalid.sid(0), invalid.effect(0)), (None, None));
    }
}
