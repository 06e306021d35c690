//! Whether a statement applies to a request: the one definition, for decisions and for explanations (R16-R19, R43-R46).

use super::condition::{Entry, Key};
use super::document::{Effect, Statement};
use super::request::{Request, Resource};

/// How far something is true.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Truth {
    /// It is not.
    No,
    /// It depends on a value that could not be obtained: an Allow does not apply, a Deny does (R44).
    Unavailable,
    /// It depends on a value that nobody has asked for yet.
    Undecided,
    /// It is.
    Yes,
}

impl Truth {
    pub(super) const fn known(holds: bool) -> Self {
        if holds { Self::Yes } else { Self::No }
    }

    /// What counts when nobody can know: an Allow does not apply, a Deny does.
    pub(super) const fn unless_known(effect: Effect) -> Self {
        match effect {
            Effect::Allow => Self::No,
            Effect::Deny => Self::Yes,
        }
    }

    /// Both of two.
    pub(super) const fn and(self, other: Self, effect: Effect) -> Self {
        if self.rank(effect) <= other.rank(effect) { self } else { other }
    }

    /// Either of two.
    pub(super) const fn or(self, other: Self, effect: Effect) -> Self {
        if self.rank(effect) >= other.rank(effect) { self } else { other }
    }

    /// What could not be obtained settles an Allow as it settles a Deny: whatever is still to be fetched, it stays with no.
    const fn rank(self, effect: Effect) -> u8 {
        match (self, effect) {
            (Self::No, _) => 0,
            (Self::Unavailable, Effect::Allow) | (Self::Undecided, Effect::Deny) => 1,
            (Self::Undecided, Effect::Allow) | (Self::Unavailable, Effect::Deny) => 2,
            (Self::Yes, _) => 3,
        }
    }
}

/// What became of a statement.
#[derive(Debug, Clone, Copy)]
pub(super) struct Judged<'p> {
    pub(super) truth: Truth,
    /// The first element that keeps it from applying, or from surely applying.
    pub(super) miss: Option<Miss<'p>>,
}

/// An element that keeps a statement from applying.
#[derive(Debug, Clone, Copy)]
pub(super) enum Miss<'p> {
    /// The actions do not include the request's.
    Action,
    /// The policy of a resource does not name the principal.
    Principal,
    /// The action has no resources, and the bare `*` is not among the patterns (R19).
    NeedsEverything,
    /// Allow: the resource with this index is not covered (R17).
    Uncovered(usize),
    /// Deny: no resource is matched (R18).
    Untouched,
    /// A condition entry does not hold, on the resource with this index if it is of a resource.
    Entry(&'p Entry, Option<usize>),
}

impl<'p> Judged<'p> {
    const APPLIES: Self = Self { truth: Truth::Yes, miss: None };

    const fn missed(miss: Miss<'p>) -> Self {
        Self { truth: Truth::No, miss: Some(miss) }
    }

    fn and(self, other: Self, effect: Effect) -> Self {
        let truth = self.truth.and(other.truth, effect);
        let miss = if truth == self.truth { self.miss.or(other.miss) } else { other.miss };
        Self { truth, miss }
    }

    fn or(self, other: Self, effect: Effect) -> Self {
        if self.truth.or(other.truth, effect) == self.truth { self } else { other }
    }
}

/// Judges a statement of the principal's own policies, or of the policy of the only resource there is.
pub(super) fn judge<'p>(statement: &'p Statement, request: &Request<'_>) -> Judged<'p> {
    judge_covering(statement, request, None)
}

/// The same for a statement of which one pattern is known to cover the resource with this index.
pub(super) fn judge_covering<'p>(statement: &'p Statement, request: &Request<'_>, covered: Option<usize>) -> Judged<'p> {
    if !statement.actions.contains(request.action.index()) {
        return Judged::missed(Miss::Action);
    }
    if statement.principals.as_ref().is_some_and(|principals| !principals.name(&request.principal)) {
        return Judged::missed(Miss::Principal);
    }
    let covers =
        |place: usize, resource: &Resource<'_>| covered == Some(place) || statement.resources.cover(resource, request.principal.account);
    if let Some(miss) = misses_resources(statement, request, &covers) {
        return Judged::missed(miss);
    }
    let effect = statement.effect;
    let mut all = Judged::APPLIES;
    for entry in &statement.entries {
        all = all.and(on(entry, effect, request, None), effect);
        if all.truth == Truth::No {
            return all;
        }
    }
    if statement.resource_entries.is_empty() {
        return all;
    }
    all.and(resource_entries(statement, request, &covers), effect)
}

fn misses_resources<'p>(statement: &Statement, request: &Request<'_>, covers: &impl Fn(usize, &Resource<'_>) -> bool) -> Option<Miss<'p>> {
    if request.resources.is_empty() {
        return (!statement.resources.everything()).then_some(Miss::NeedsEverything);
    }
    let mut resources = request.resources.iter().enumerate();
    match statement.effect {
        Effect::Allow => resources.find(|(place, resource)| !covers(*place, resource)).map(|(place, _)| Miss::Uncovered(place)),
        Effect::Deny => (!resources.any(|(place, resource)| covers(place, resource))).then_some(Miss::Untouched),
    }
}

/// The entries about resources (R46): an Allow needs all resources, a Deny one of those that its patterns match.
fn resource_entries<'p>(statement: &'p Statement, request: &Request<'_>, covers: &impl Fn(usize, &Resource<'_>) -> bool) -> Judged<'p> {
    let effect = statement.effect;
    let entries = || statement.resource_entries.iter();
    let all = |judged: &mut dyn Iterator<Item = Judged<'p>>| judged.fold(Judged::APPLIES, |all, one| all.and(one, effect));
    if request.resources.is_empty() {
        return all(&mut entries().map(|entry| on(entry, effect, request, None)));
    }
    match effect {
        Effect::Allow => all(&mut entries().map(|entry| {
            let judged = about(entry, request).map(|place| on(entry, effect, request, Some(place)));
            judged.reduce(|all, one| all.and(one, effect)).unwrap_or_else(|| on(entry, effect, request, None))
        })),
        Effect::Deny => {
            let matched = request.resources.iter().enumerate().filter(|(place, resource)| covers(*place, resource));
            let judged = matched.map(|(place, _)| all(&mut entries().map(|entry| at(entry, effect, request, place))));
            judged.reduce(|one, other| one.or(other, effect)).unwrap_or(Judged::missed(Miss::Untouched))
        }
    }
}

/// A Deny's entry where a matched resource stands: on that resource if it is about such, else on any that it is about.
fn at<'p>(entry: &'p Entry, effect: Effect, request: &Request<'_>, place: usize) -> Judged<'p> {
    if about(entry, request).any(|other| other == place) {
        return on(entry, effect, request, Some(place));
    }
    let judged = about(entry, request).map(|place| on(entry, effect, request, Some(place)));
    judged.reduce(|one, other| one.or(other, effect)).unwrap_or_else(|| on(entry, effect, request, None))
}

/// The resources that an entry is about.
fn about(entry: &Entry, request: &Request<'_>) -> impl Iterator<Item = usize> {
    let kind = match &entry.key {
        Key::Attribute(attribute) => Some(attribute.kind),
        Key::ResourceTag(_) | Key::Global(_) | Key::RequestTag(_) | Key::RequestAttribute(_) | Key::Undefined(_) => None,
    };
    let fits = move |resource: &Resource<'_>| kind.is_none_or(|kind| resource.kind == kind);
    request.resources.iter().enumerate().filter(move |(_, resource)| fits(resource)).map(|(place, _)| place)
}

fn on<'p>(entry: &'p Entry, effect: Effect, request: &Request<'_>, place: Option<usize>) -> Judged<'p> {
    let resource = place.and_then(|place| request.resources.get(place));
    let truth = entry.judge(effect, &request.context, request.principal.account, resource);
    Judged { truth, miss: (truth != Truth::Yes).then_some(Miss::Entry(entry, place)) }
}
