//! Resource patterns (R11-R19): the bare `*`, and SRNs with `*` and `?` in region, type and id.

use std::sync::Arc;

use smallvec::SmallVec;

use crate::source::{Cursor, Value};
use crate::types::{Srn, SrnError};

use super::attached::Attachment;
use super::catalogue::Catalogue;
use super::condition::{Services, SrnPattern};
use super::document::{Effect, Owner, Setting};
use super::glob::{Glob, GlobError, STARS_MAX, Wildcards};
use super::inclusion::{self, Work};
use super::index_set::IndexSet;
use super::reader::{Reader, shown, text};
use super::request::Resource;

const HINT: &str = "write `*` for every resource, or `srn:offering::account:region::service-type:type/id`";

/// What a statement's `Resource` means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Resources {
    /// The bare `*` is among the patterns: only that matches actions without resources (R19).
    everything: bool,
    patterns: SmallVec<[Pattern; 1]>,
    /// Patterns for services and types that nobody has defined: they match nothing yet.
    waiting: Box<[Box<str>]>,
}

/// One SRN pattern. Its offering is the catalogue's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern {
    kinds: IndexSet,
    account: Account,
    region: Glob,
    id: Glob,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Account {
    Named(Arc<str>),
    /// An empty account in a policy of nobody (R53).
    OfPrincipal,
}

impl Resources {
    /// Whether the bare `*` is among the patterns.
    pub(super) const fn everything(&self) -> bool {
        self.everything
    }

    /// The resource types that some pattern means, the bare `*` left out; of a catalogue with so many.
    pub(super) fn kinds(&self, resource_types: usize) -> IndexSet {
        let mut all = IndexSet::empty(resource_types);
        self.patterns.iter().for_each(|pattern| all.extend(&pattern.kinds));
        all
    }

    /// Whether some pattern matches the resource.
    pub(super) fn cover(&self, resource: &Resource<'_>, principal_account: &str) -> bool {
        self.everything || self.patterns.iter().any(|pattern| pattern.matches(resource, principal_account))
    }

    /// Each pattern, the bare `*` left out.
    pub(super) fn patterns(&self) -> &[Pattern] {
        &self.patterns
    }

    /// Whether the pattern of this number, from 0, matches the resource.
    pub(super) fn covers_by(&self, pattern: usize, resource: &Resource<'_>, principal_account: &str) -> bool {
        self.patterns.get(pattern).is_some_and(|pattern| pattern.matches(resource, principal_account))
    }

    /// Whether all that another one matches, now and when more is defined, is surely matched by this. `account` is the
    /// principal's, if one is meant.
    pub(super) fn includes(&self, inner: &Self, account: Option<&str>, work: &Work) -> bool {
        let waiting = || inner.waiting.iter().all(|text| work.spend(text.len()) && self.waiting.contains(text));
        let matched = |inner: &Pattern| {
            let mut rest = inner.kinds.clone();
            for outer in &self.patterns {
                if work.spend(1) && outer.kinds.meets(&rest) && outer.includes_place(inner, account, work) {
                    rest.remove_all(&outer.kinds);
                }
            }
            rest.is_empty()
        };
        self.everything || !inner.everything && waiting() && inner.patterns.iter().all(matched)
    }

    /// Whether surely nothing that another one matches is matched by this, now and when more is defined.
    pub(super) fn avoids(&self, other: &Self, account: Option<&str>, work: &Work) -> bool {
        let open = |resources: &Self| resources.everything || !resources.waiting.is_empty();
        let apart = |one: &Pattern| other.patterns.iter().all(|two| one.avoids(two, account, work));
        !open(self) && !open(other) && self.patterns.iter().all(apart)
    }
}

impl Pattern {
    /// The resource types that it means.
    pub(super) const fn kinds(&self) -> &IndexSet {
        &self.kinds
    }

    /// The account; `None` for the principal's.
    pub(super) fn account(&self) -> Option<&str> {
        match &self.account {
            Account::Named(account) => Some(account),
            Account::OfPrincipal => None,
        }
    }

    /// The regions.
    pub(super) const fn region(&self) -> &Glob {
        &self.region
    }

    /// The ids.
    pub(super) const fn id(&self) -> &Glob {
        &self.id
    }

    fn matches(&self, resource: &Resource<'_>, principal_account: &str) -> bool {
        let account = match &self.account {
            Account::Named(account) => account,
            Account::OfPrincipal => principal_account,
        };
        self.kinds.contains(resource.kind.index())
            && account == resource.account
            && self.region.matches(resource.region)
            && self.id.matches(resource.id)
    }

    /// Whether account, region and id are surely all those of another one.
    fn includes_place(&self, inner: &Self, account: Option<&str>, work: &Work) -> bool {
        let includes = |outer: &Glob, inner: &Glob| outer == inner || inclusion::includes(&outer.symbols(), &inner.symbols(), work);
        self.account.is(&inner.account, account) == Some(true) && includes(&self.region, &inner.region) && includes(&self.id, &inner.id)
    }

    fn avoids(&self, other: &Self, account: Option<&str>, work: &Work) -> bool {
        let avoids = |one: &Glob, two: &Glob| inclusion::avoids(&one.symbols(), &two.symbols(), work);
        work.spend(1)
            && (!self.kinds.meets(&other.kinds)
                || self.account.is(&other.account, account) == Some(false)
                || avoids(&self.region, &other.region)
                || avoids(&self.id, &other.id))
    }
}

impl Account {
    /// Whether two are the same; `None` when that depends on the principal, and none is meant.
    fn is(&self, other: &Self, account: Option<&str>) -> Option<bool> {
        match (self, other) {
            (Self::Named(one), Self::Named(two)) => Some(one == two),
            (Self::OfPrincipal, Self::OfPrincipal) => Some(true),
            (Self::Named(named), Self::OfPrincipal) | (Self::OfPrincipal, Self::Named(named)) => Some(**named == *account?),
        }
    }
}

/// Reads `Resource`. The effect and the actions of the statement (unknown after an error) only shape warnings.
pub(super) fn read<'a>(
    reader: &Reader<'a>,
    at: &Cursor<'a>,
    setting: &Setting<'_>,
    effect: Option<Effect>,
    actions: Option<&IndexSet>,
) -> Option<Resources> {
    if let Setting::Trust { owner, role } = setting {
        return of_role(reader, at, owner, *role);
    }
    let items = match (&at.node().value, setting) {
        // It may be the policy of a role.
        (Value::List(items), Setting::Attached { .. }) if items.is_empty() => Vec::new(),
        _ => reader.items(at, HINT)?,
    };
    let relevant = actions.filter(|actions| !actions.is_empty()).map(|actions| acted_on(reader.catalogue, actions));
    let mut everything = false;
    let mut patterns = SmallVec::new();
    let mut waiting: Vec<Box<str>> = Vec::new();
    let mut complete = Some(());
    for item in &items {
        match text(item, HINT) {
            Some("*") => everything = true,
            Some(text) => match pattern(reader, item, text, setting.owner()) {
                Some(Ok(pattern)) => {
                    warn_if_ignored(reader, item, &pattern, effect, relevant.as_ref());
                    patterns.push(pattern);
                }
                Some(Err(Inert::Waiting)) => waiting.push(text.into()),
                Some(Err(Inert::Elsewhere)) => {}
                None => complete = None,
            },
            None => complete = None,
        }
    }
    complete?;
    let read = Resources { everything, patterns, waiting: waiting.into() };
    match setting {
        Setting::Resource { owner, attachment } if !read.cover(&attachment.resource(), owner.get().map_or("", |account| account)) => {
            let message = "the resource that the policy is attached to is not among these";
            at.error_hint(message, "name it, or write `*`: the policy of a resource speaks of that resource and what lies below it");
            None
        }
        Setting::Identity { .. } | Setting::Resource { .. } | Setting::Trust { .. } | Setting::Attached { .. } => Some(read),
    }
}

/// The `Resource` of a role's policy: the role itself, written `[]`, `["*"]` or by its SRN (R52).
fn of_role(reader: &Reader<'_>, at: &Cursor<'_>, owner: &Owner, role: Option<&Attachment>) -> Option<Resources> {
    let account = owner.get().map_or("", |account| account);
    let own = |srn: Srn<'_>| {
        let srn = Srn { account: if srn.account.is_empty() { account } else { srn.account }, ..srn };
        Attachment::find(&srn, reader.catalogue).is_some_and(|named| named.is_role() && role.is_none_or(|role| *role == named))
    };
    let about_it = |value: &Value| matches!(value, Value::String(text) if **text == *"*" || Srn::parse(text).is_ok_and(own));
    let good = match &at.node().value {
        Value::List(items) => items.len() <= 1 && items.iter().all(|item| about_it(&item.value)),
        value @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Map(_)) => about_it(value),
    };
    if !good {
        at.error_hint("the policy of a role is about that role alone", "write \"Resource\": [\"*\"]");
        return None;
    }
    Some(Resources { everything: true, patterns: SmallVec::new(), waiting: Box::default() })
}

/// A sound pattern that means nothing in this catalogue: ignored (R16), after a warning.
enum Inert {
    /// Until its service or type is defined.
    Waiting,
    /// For ever: it is about another offering.
    Elsewhere,
}

fn pattern<'a>(reader: &Reader<'a>, at: &Cursor<'a>, text: &'a str, owner: &Owner) -> Option<Result<Pattern, Inert>> {
    let Fields { srn, account, region, kind, id } = fields(reader, at, text, owner)?;
    let account = account.map_or(Account::OfPrincipal, Account::Named);
    Some(kinds(reader, at, &srn, &kind).map(|kinds| Pattern { kinds, account, region, id }))
}

/// The fields of a sound pattern.
struct Fields<'a> {
    srn: Srn<'a>,
    /// `None`: the principal's (R53).
    account: Option<Arc<str>>,
    region: Glob,
    kind: Glob,
    id: Glob,
}

fn fields<'a>(reader: &Reader<'a>, at: &Cursor<'a>, text: &'a str, owner: &Owner) -> Option<Fields<'a>> {
    let srn = match Srn::parse(text) {
        Ok(srn) => srn,
        Err(error) => {
            at.error_hint(error_text(&error, text), srn_hint(reader.catalogue, &error, text));
            return None;
        }
    };
    let (region, kind, id) = (check(at, &srn, text)?, glob(at, srn.resource_type)?, glob(at, srn.resource_id)?);
    warn_of_region_as_account(reader, at, &srn);
    let own = owner.get().filter(|own| srn.account.is_empty() || ***own == *srn.account);
    let account = own.cloned().or_else(|| (!srn.account.is_empty()).then(|| srn.account.into()));
    Some(Fields { srn, account, region, kind, id })
}

/// Reads an SRN pattern that values of the request are compared with (R40).
pub(super) fn compared<'a>(reader: &Reader<'a>, at: &Cursor<'a>, text: &'a str, owner: &Owner) -> Option<SrnPattern> {
    let Fields { srn, account, region, kind, id } = fields(reader, at, text, owner)?;
    let services = Services::of(srn.service_type, reader.catalogue);
    Some(SrnPattern { offering: srn.offering.into(), account, region, services, resource_type: kind, id })
}

/// Wildcards where they are forbidden (R12), too many of them, and the region.
fn check(at: &Cursor<'_>, srn: &Srn<'_>, text: &str) -> Option<Glob> {
    let mut complete = Some(());
    for (field, value) in [("offering", srn.offering), ("account", srn.account), ("service type", srn.service_type)] {
        if value.contains(['*', '?']) {
            complete = None;
            let hint = match field {
                "account" => {
                    let own = shown(&Srn { account: "", ..*srn }.to_string());
                    format!("write `{own}` for the policy's own account, or name one account")
                }
                "offering" => "name the offering, such as `e`".to_owned(),
                _ => "name one service type; `*` alone stands for every resource of every service".to_owned(),
            };
            at.error_hint(format!("the {field} of an SRN takes no wildcard, and this one is `{}`", shown(value)), hint);
        }
    }
    let stars = text.matches('*').count();
    if stars > STARS_MAX {
        complete = None;
        at.error_hint(GlobError::Stars(stars), "write several patterns with fewer `*`");
    }
    complete?;
    if srn.region.is_empty() { Some(Glob::anything()) } else { glob(at, srn.region) }
}

fn glob(at: &Cursor<'_>, field: &str) -> Option<Glob> {
    Glob::new(field, Wildcards::StarAndQuestionMark)
        .map_err(|error| at.error_hint(error, "write several patterns, or replace the `?` by `*`"))
        .ok()
}

/// The resource types that a pattern means, if any.
fn kinds<'a>(reader: &Reader<'a>, at: &Cursor<'a>, srn: &Srn<'_>, kind: &Glob) -> Result<IndexSet, Inert> {
    let catalogue = reader.catalogue;
    let offering = catalogue.offering().as_str();
    if srn.offering != offering {
        let message = format!("the offering is `{}`, so it matches nothing here and is ignored", shown(srn.offering));
        reader.warning(at, message, format!("SRNs here start with `srn:{offering}:`"));
        return Err(Inert::Elsewhere);
    }
    let Some(service_type) = catalogue.canonical_service_type(srn.service_type) else {
        let message = format!("no service has the service type `{}`, so it matches nothing and is ignored", shown(srn.service_type));
        let near = reader.nearest(srn.service_type, catalogue.spellings());
        let hint = near.map_or_else(
            || "see the action definitions for the service types there are".to_owned(),
            |near| format!("did you mean `{near}`?"),
        );
        reader.warning(at, message, hint);
        return Err(Inert::Waiting);
    };
    let mut meant = IndexSet::empty(catalogue.resource_type_count());
    let of_service = || catalogue.resource_types().filter(|(_, known)| known.service_type == *service_type);
    of_service().filter(|(_, known)| kind.matches(&known.name)).for_each(|(id, _)| meant.insert(id.index()));
    if meant.is_empty() {
        let message = format!("`{service_type}` has no resource type `{}`, so it matches nothing and is ignored", shown(srn.resource_type));
        let near = reader.nearest(srn.resource_type, of_service().map(|(_, known)| &*known.name));
        let hint = near.map_or_else(
            || "see the action definitions for the resource types there are".to_owned(),
            |near| format!("did you mean `{near}`?"),
        );
        reader.warning(at, message, hint);
        return Err(Inert::Waiting);
    }
    Ok(meant.shrunk())
}

/// The resource types that some of the actions act on.
pub(super) fn acted_on(catalogue: &Catalogue, actions: &IndexSet) -> IndexSet {
    let mut kinds = IndexSet::empty(catalogue.resource_type_count());
    for (_, action) in catalogue.actions().filter(|(id, _)| actions.contains(id.index())) {
        if action.any_resource {
            return IndexSet::of(catalogue.resource_type_count(), |_| true);
        }
        action.resource_types.iter().for_each(|kind| kinds.insert(kind.index()));
    }
    kinds
}

/// R16: a pattern for resources that none of the actions acts on is ignored. Under Deny that may be a surprise.
fn warn_if_ignored<'a>(reader: &Reader<'a>, at: &Cursor<'a>, pattern: &Pattern, effect: Option<Effect>, relevant: Option<&IndexSet>) {
    if relevant.is_none_or(|relevant| relevant.meets(&pattern.kinds)) {
        return;
    }
    let message = match effect {
        Some(Effect::Deny) => "ATTENTION, it denies nothing: no action of this statement acts on such a resource",
        Some(Effect::Allow) | None => "it is ignored: no action of this statement acts on such a resource",
    };
    reader.warning(at, message, "name resources that the actions act on, or add the actions that you mean");
}

/// `srn:e::kr-west1:::scp-iam:group/foo` (seed 003, L1492).
fn warn_of_region_as_account<'a>(reader: &Reader<'a>, at: &Cursor<'a>, srn: &Srn<'_>) {
    if srn.region.is_empty() && srn.account.contains('-') {
        let meant = Srn { account: "", region: srn.account, ..*srn };
        let hint =
            format!("the region is the field behind the account; an empty account is the policy's own: `{}`", shown(&meant.to_string()));
        reader.warning(at, format!("`{}` stands where the account stands, and looks like a region", shown(srn.account)), hint);
    }
}

fn error_text(error: &SrnError, text: &str) -> String {
    match error {
        SrnError::Fields(_) if text == "*" => "`*` is no SRN".to_owned(),
        SrnError::Fields(_) => format!("`{}` is neither `*` nor an SRN", shown(text)),
        SrnError::Reserved(_) => format!("`{}` has text in the third or sixth field of the SRN", shown(text)),
        SrnError::Empty(_, field) => format!("the {field} of `{}` is empty", shown(text)),
        SrnError::Resource(_) => format!("`{}` names no resource: its last field has no `/`", shown(text)),
        SrnError::Long | SrnError::Offering(_) => error.to_string(),
    }
}

fn srn_hint(catalogue: &Catalogue, error: &SrnError, text: &str) -> String {
    match error {
        SrnError::Fields(_) if text == "*" => {
            "`Null` asks whether there is a value at all; a pattern is written `srn:offering::account:region::service-type:type/id`"
                .to_owned()
        }
        SrnError::Fields(_) if text.starts_with("arn:") => match like_arn(catalogue, text) {
            Some(meant) => format!("this is an ARN of another cloud; the like of it is `{}` in the policy's own account", shown(&meant)),
            None => format!("this is an ARN of another cloud; {HINT}"),
        },
        SrnError::Empty(_, "resource id") => "write `*` as the id for every resource of the type".to_owned(),
        SrnError::Resource(_) if !text.ends_with(':') => {
            format!("write `{}` for every resource of this type, or an id instead of the `*`", shown(&format!("{text}/*")))
        }
        SrnError::Resource(_) => "end it with `type/id`, such as `user/*`".to_owned(),
        SrnError::Reserved(_) => "these two fields stay empty: `srn:offering::account:region::service-type:type/id`".to_owned(),
        SrnError::Fields(_) | SrnError::Empty(..) | SrnError::Long | SrnError::Offering(_) => HINT.to_owned(),
    }
}

/// The SRN that an ARN would be, if there is a resource type of that name.
fn like_arn(catalogue: &Catalogue, text: &str) -> Option<String> {
    let fields: Vec<&str> = text.splitn(6, ':').collect();
    let [_, _, service, region, _, resource] = fields.as_slice() else { return None };
    let (kind, id) = resource.split_once(['/', ':'])?;
    catalogue.find_resource_type(service, kind)?;
    Some(format!("srn:{}:::{region}::{service}:{kind}/{id}", catalogue.offering().as_str()))
}
