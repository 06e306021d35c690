//! The search for requests that one side allows and the other does not, of one group of actions.
//!
//! For each kind of context some statements are left, and of each kind of resource some again. One side allows a request by one of its
//! Allow statements that covers all resources, where none of its Deny statements matches any (R17, R18). The more resources a request has,
//! the less is allowed; so if an Allow of the one side lets through something that the other refuses, it does so on all the resources
//! together that it covers and that are not denied.

use super::forms::{Group, is_root};
use super::hazard::{self, Hazard, hazards};
use super::outcomes::{Asked, Domain, Marks, Outcome, Value, asked, combine};
use super::places::{Cause, MadeUp, Places};
use super::{Caller, Reason};
use crate::policy::accessor::{Accessor, Step};
use crate::policy::catalogue::Catalogue;
use crate::policy::condition::{Entry, GlobalKey, Key};
use crate::policy::document::Effect;
use crate::policy::inclusion::Work;
use crate::policy::index_set::IndexSet;
use crate::policy::request::Kind;

/// One of the two sets of policies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Before,
    After,
}

/// What was found in a group.
#[derive(Debug)]
pub(super) struct Found<'p> {
    /// A request that only the second side allows.
    pub(super) gained: Option<Draft<'p>>,
    /// A request that only the first side allows.
    pub(super) lost: Option<Draft<'p>>,
    /// Why there may be more.
    pub(super) reason: Option<Reason>,
}

/// A request, made up.
#[derive(Debug)]
pub(super) struct Draft<'p> {
    pub(super) context: Vec<(&'p Key, Vec<Value>)>,
    pub(super) resources: Vec<MadeUp<'p>>,
}

/// Which statements stand where, as numbers. Behind those of the statements: what allows the caller by itself, and the marks of keys
/// that depend on each other.
#[derive(Debug)]
pub(super) struct Sides<'p> {
    before: IndexSet,
    after: IndexSet,
    /// The Allow statements.
    pub(super) allows: IndexSet,
    denies: IndexSet,
    /// Every number there is, but for statements that never apply.
    pub(super) everything: IndexSet,
    /// The number of what allows without a statement: everything to root, what the policy of the resource suffices for.
    pub(super) implied: usize,
    pub(super) root: bool,
    /// Of each two marks one must be left.
    links: Vec<(usize, usize)>,
    /// What denies by several resources together.
    pub(super) hazards: Vec<Hazard<'p>>,
}

/// Looks for a request that only the one side allows, and for one that only the other does.
pub(super) fn search<'p>(catalogue: &Catalogue, caller: &Caller<'_>, group: &Group<'p>, work: &Work) -> Found<'p> {
    let mut found = Found { gained: None, lost: None, reason: None };
    if let Err(reason) = look(catalogue, caller, group, work, &mut found) {
        found.reason = Some(reason);
    }
    found
}

fn look<'p>(catalogue: &Catalogue, caller: &Caller<'_>, group: &Group<'p>, work: &Work, found: &mut Found<'p>) -> Result<(), Reason> {
    if group.is_never_allowed() {
        return Ok(());
    }
    cannot_tell(group)?;
    let entries = group.statements.iter().enumerate().flat_map(|(number, statement)| {
        let known = statement.entries.iter().filter(|entry| !entry.key.is_undefined());
        known.map(move |entry| (number, statement.effect, entry))
    });
    let asked = asked(entries, work).ok_or(Reason::Conditions)?;
    let links = Links::of(&asked, group.statements.len() + 1);
    let hazards = hazards(group, links.end);
    let sides = Sides::of(group, caller, &links, hazards);
    let mut keys = Vec::new();
    for key in asked {
        let outcomes = key.outcomes(&sides.everything, &domain(key.key, caller), &links.marks(key.key), caller.account(), work);
        let outcomes = outcomes.ok_or_else(|| Reason::Key(key.key.to_string()))?;
        keys.push((key, outcomes));
    }
    let mut places = Vec::new();
    for taken in &group.kinds {
        places.push(Places::new(group, &sides, *taken, caller, work).map_err(|cause| match cause {
            Cause::Resources => Reason::Resources(catalogue.resource_type(taken.kind).name.to_string()),
            Cause::Reason(reason) => reason,
        })?);
    }
    let dimensions: Vec<Vec<&IndexSet>> =
        keys.iter().map(|(_, outcomes)| outcomes.iter().map(|outcome| &outcome.alive).collect()).collect();
    let contexts = combine(&sides.everything, &dimensions, |alive| alive.meets(&sides.allows), work).ok_or(Reason::Conditions)?;
    let mut entangled = None;
    for (number, alive) in contexts.found.iter().enumerate().filter(|(_, alive)| sides.is_possible(alive)) {
        let search = Search { group, sides: &sides, places: &places, alive, work };
        for side in [Side::After, Side::Before] {
            let slot = match side {
                Side::After => &mut found.gained,
                Side::Before => &mut found.lost,
            };
            if slot.is_some() {
                continue;
            }
            let Some(resources) = search.only(side)? else { continue };
            let draft = draft(&keys, &contexts.picks(number), resources);
            match tangle(&draft) {
                None => *slot = Some(draft),
                Some(reason) => entangled = Some(reason),
            }
        }
        if found.gained.is_some() && found.lost.is_some() {
            return Ok(());
        }
    }
    entangled.map_or(Ok(()), Err)
}

/// What this method does not reach.
fn cannot_tell(group: &Group<'_>) -> Result<(), Reason> {
    let mut entries = group.statements.iter().flat_map(|statement| &statement.resource_entries);
    match entries.find(|entry| matches!(entry.key, Key::Attribute(_))).filter(|_| group.any_type) {
        Some(entry) => Err(Reason::AnyType(entry.key.to_string())),
        None => Ok(()),
    }
}

fn draft<'p>(keys: &[(Asked<'p>, Vec<Outcome>)], picks: &[usize], resources: Vec<MadeUp<'p>>) -> Draft<'p> {
    let values = keys.iter().zip(picks).filter_map(|((asked, outcomes), pick)| Some((asked.key, outcomes.get(*pick)?.values.clone())));
    Draft { context: values.collect(), resources }
}

/// Whether a request has something in a part of the body, and in a part of that.
fn tangle(draft: &Draft<'_>) -> Option<Reason> {
    let accessors = || {
        draft.context.iter().filter_map(|(key, values)| match key {
            Key::RequestAttribute(accessor) => Some((accessor, values)),
            Key::Global(_) | Key::RequestTag(_) | Key::ResourceTag(_) | Key::Attribute(_) | Key::Undefined(_) => None,
        })
    };
    let within = |outer: &Accessor, inner: &Accessor| {
        outer.part() == inner.part() && inner.steps().len() > outer.steps().len() && starts(inner.steps(), outer.steps())
    };
    for (inner, values) in accessors().filter(|(_, values)| !values.is_empty()) {
        let _ = values;
        if let Some((outer, _)) = accessors().find(|(outer, _)| within(outer, inner)) {
            let name = |accessor: &Accessor| Key::RequestAttribute(accessor.clone()).to_string();
            return Some(Reason::Entangled(name(outer), name(inner)));
        }
    }
    None
}

fn starts(steps: &[Step], start: &[Step]) -> bool {
    steps.iter().zip(start).all(|(one, other)| one == other)
}

/// Ways to authenticate that there are; others may be defined.
const AUTHENTICATION_TYPES: [&str; 4] = ["AuthenticationKey", "ApiToken", "ConsoleLogin", "TemporaryKey"];

/// What a request may have under a key (R54).
fn domain<'c>(key: &Key, caller: &Caller<'c>) -> Domain<'c> {
    let single = Domain { present: true, plain: &["x"], ..Domain::default() };
    let maybe = Domain { absent: true, ..single };
    let never = Domain { absent: true, ..Domain::default() };
    let outside = Domain { several: true, unreadable: Some(None), empty_too: true, ..maybe };
    let of_user = |fixed: fn(&Caller<'c>) -> Option<&'c str>| match caller {
        Caller::AnyOf { .. } => maybe,
        Caller::One { principal, .. } => match principal.kind {
            Kind::Root | Kind::User => Domain { fixed: fixed(caller), ..single },
            Kind::Role | Kind::ServiceAccount | Kind::Service | Kind::Provider => never,
        },
    };
    match key {
        Key::Global(GlobalKey::UserId) => of_user(|caller| match caller {
            Caller::AnyOf { .. } => None,
            Caller::One { principal, .. } => Some(principal.id),
        }),
        Key::Global(GlobalKey::UserName) => of_user(|caller| match caller {
            Caller::AnyOf { .. } => None,
            Caller::One { name, .. } => *name,
        }),
        Key::Global(GlobalKey::MultiFactorAuthPresent | GlobalKey::RequestedRegion) => maybe,
        Key::Global(GlobalKey::SourceIp) => Domain { unreadable: Some(Some("unknown")), ..single },
        Key::Global(GlobalKey::CurrentTime) => single,
        Key::Global(GlobalKey::AuthenticationType) => Domain { plain: &AUTHENTICATION_TYPES, ..single },

        Key::Global(GlobalKey::TagKeys) => Domain { several: true, empty_too: true, ..maybe },
        Key::RequestTag(_) | Key::RequestAttribute(_) | Key::ResourceTag(_) | Key::Attribute(_) => outside,
        Key::Undefined(_) => never,
    }
}

/// Keys that depend on each other: marks that they set.
#[derive(Debug, Default)]
struct Links<'p> {
    /// Neither or both: a user has an id and a name, a role has neither.
    user: Option<(usize, usize)>,
    /// A tag that a request brings is among its tag keys: the tag, and the two marks.
    tags: Vec<(&'p Key, &'p str, usize, usize)>,
    /// The first number that is free.
    end: usize,
}

impl<'p> Links<'p> {
    fn of(asked: &[Asked<'p>], first: usize) -> Self {
        let mut links = Self { end: first, ..Self::default() };
        let asks = |key: GlobalKey| asked.iter().any(|asked| *asked.key == Key::Global(key));
        if asks(GlobalKey::UserId) && asks(GlobalKey::UserName) {
            links.user = Some((links.end, links.end + 1));
            links.end += 2;
        }
        if asks(GlobalKey::TagKeys) {
            for asked in asked {
                if let Key::RequestTag(name) = asked.key {
                    links.tags.push((asked.key, name.folded(), links.end, links.end + 1));
                    links.end += 2;
                }
            }
        }
        links
    }

    fn marks(&self, key: &Key) -> Marks<'p> {
        match key {
            Key::Global(GlobalKey::UserId | GlobalKey::UserName) => {
                Marks { absent: self.user.map(|(absent, _)| absent), present: self.user.map(|(_, present)| present), named: Vec::new() }
            }
            Key::Global(GlobalKey::TagKeys) => {
                Marks { named: self.tags.iter().map(|(_, name, _, named)| (*name, *named)).collect(), ..Marks::default() }
            }
            Key::RequestTag(_) => {
                let own = self.tags.iter().find(|(tag, ..)| *tag == key);
                Marks { absent: own.map(|(.., absent, _)| *absent), ..Marks::default() }
            }
            Key::Global(_) | Key::ResourceTag(_) | Key::RequestAttribute(_) | Key::Attribute(_) | Key::Undefined(_) => Marks::default(),
        }
    }
}

impl<'p> Sides<'p> {
    fn of(group: &Group<'p>, caller: &Caller<'_>, links: &Links<'_>, hazards: Vec<Hazard<'p>>) -> Self {
        let count = group.statements.len();
        let bound = hazards.last().map_or(links.end, Hazard::end);
        let implied = count;
        let root = is_root(caller);
        let is_implied = root || group.needs_resource_policy && !group.kinds.is_empty();
        let of_effect = |effect| {
            let mut set = IndexSet::empty(bound);
            group.statements_with(effect).for_each(|number| set.insert(number));
            set
        };
        let side = |numbers: &[usize]| {
            let mut set = IndexSet::empty(bound);
            numbers.iter().copied().chain([implied]).for_each(|number| set.insert(number));
            set
        };
        let mut allows = of_effect(Effect::Allow);
        allows.insert(implied);
        let mut everything = IndexSet::of(bound, |_| true);
        if !is_implied {
            everything.remove(implied);
        }
        for (number, statement) in group.statements.iter().enumerate() {
            let never = statement.effect == Effect::Allow && statement.entries.iter().any(|entry| entry.key.is_undefined());
            let elsewhere = statement.resource_entries.iter().any(|entry| is_nowhere(entry, group) && !entry.holds_without_value());
            let unmatched = group.kinds.is_empty() && !statement.resources.everything();
            if never || elsewhere || unmatched {
                everything.remove(number);
            }
        }
        let links = links.user.into_iter().chain(links.tags.iter().map(|(.., absent, named)| (*absent, *named))).collect();
        Self {
            before: side(&group.before),
            after: side(&group.after),
            allows,
            denies: of_effect(Effect::Deny),
            everything,
            implied,
            root,
            links,
            hazards,
        }
    }

    fn is_possible(&self, alive: &IndexSet) -> bool {
        self.links.iter().all(|(one, other)| alive.contains(*one) || alive.contains(*other))
    }

    /// The Allow and the Deny statements of a side that are left.
    fn left(&self, side: Side, alive: &IndexSet) -> (IndexSet, IndexSet) {
        let own = match side {
            Side::Before => &self.before,
            Side::After => &self.after,
        };
        let own = own.intersection(alive);
        (own.intersection(&self.allows), own.intersection(&self.denies))
    }
}

/// Whether no resource of the request is one that the entry is about, so that its key is absent.
fn is_nowhere(entry: &Entry, group: &Group<'_>) -> bool {
    match &entry.key {
        Key::Attribute(attribute) => !group.any_type && !group.kinds.iter().any(|taken| taken.kind == attribute.kind),
        Key::ResourceTag(_) => group.kinds.is_empty(),
        Key::Global(_) | Key::RequestTag(_) | Key::RequestAttribute(_) | Key::Undefined(_) => false,
    }
}

/// The search among the resources, in one kind of context.
struct Search<'s, 'p> {
    group: &'s Group<'p>,
    sides: &'s Sides<'p>,
    places: &'s [Places<'p>],
    alive: &'s IndexSet,
    work: &'s Work,
}

/// A kind of resource: of which type, and which of them.
type Picked = (usize, usize);

impl<'p> Search<'_, 'p> {
    /// Resources of a request that only one side allows.
    fn only(&self, side: Side) -> Result<Option<Vec<MadeUp<'p>>>, Reason> {
        let other = match side {
            Side::Before => Side::After,
            Side::After => Side::Before,
        };
        let (allows, denies) = self.sides.left(side, self.alive);
        let (other_allows, other_denies) = self.sides.left(other, self.alive);
        let refusal = Refusal { allows: other_allows, denies: other_denies, hazards: &self.sides.hazards };
        if self.places.is_empty() {
            let allowed = !allows.is_empty() && denies.is_empty();
            return Ok((allowed && refusal.refuses([].into_iter())).then(Vec::new));
        }
        let ways = hazard::ways_round(&self.sides.hazards, &denies, self.work)?;
        for allow in allows.iter() {
            for avoided in &ways {
                let picked = self.let_through(allow, avoided)?;
                if let Some(picked) = picked.and_then(|picked| self.refused_of(&picked, &refusal)) {
                    return Ok(Some(picked.iter().filter_map(|(kind, place)| self.make((*kind, *place))).collect()));
                }
            }
        }
        Ok(None)
    }

    fn make(&self, (kind, place): Picked) -> Option<MadeUp<'p>> {
        self.places.get(kind)?.make(place)
    }

    /// What applies to a kind of resource.
    fn of(&self, (kind, place): Picked) -> Option<&IndexSet> {
        self.places.get(kind)?.found.found.get(place)
    }

    /// Every kind of resource that an Allow covers and that nothing to be avoided applies to; `None` when no request has only such.
    fn let_through(&self, allow: usize, avoided: &IndexSet) -> Result<Option<Vec<Picked>>, Reason> {
        let mut all = Vec::new();
        for (kind, places) in self.places.iter().enumerate() {
            if !self.work.spend((avoided.words() + 1) * places.found.found.len()) {
                return Err(Reason::Requests);
            }
            let fits = |alive: &IndexSet| alive.contains(allow) && !alive.meets(avoided);
            let before = all.len();
            all.extend(places.found.found.iter().enumerate().filter(|(_, alive)| fits(alive)).map(|(place, _)| (kind, place)));
            if all.len() == before && !self.group.any_type {
                return Ok(None);
            }
        }
        Ok(Some(all).filter(|all| !all.is_empty()))
    }

    /// Few of these, with every type of resource among them, that are refused together.
    fn refused_of(&self, picked: &[Picked], refusal: &Refusal<'_, 'p>) -> Option<Vec<Picked>> {
        if !refusal.refuses(picked.iter().filter_map(|one| self.of(*one))) {
            return None;
        }
        let alone = picked.iter().find(|one| refusal.refuses(self.of(**one).into_iter()));
        let mut few: Vec<Picked> = match alone {
            Some(one) => vec![*one],
            None => refusal.together(picked, |one| self.of(one)).unwrap_or_else(|| refusal.against_each(picked, |one| self.of(one))),
        };
        if !self.group.any_type {
            for kind in 0..self.places.len() {
                if !few.iter().any(|(of, _)| *of == kind) {
                    few.extend(picked.iter().find(|(of, _)| *of == kind));
                }
            }
        }
        let needed = |few: &[Picked]| {
            let complete =
                self.group.any_type && !few.is_empty() || (0..self.places.len()).all(|kind| few.iter().any(|(of, _)| *of == kind));
            complete && refusal.refuses(few.iter().filter_map(|one| self.of(*one)))
        };
        let mut place = 0;
        while place < few.len() {
            let mut fewer = few.clone();
            fewer.remove(place);
            if needed(&fewer) {
                few = fewer;
            } else {
                place += 1;
            }
        }
        Some(few)
    }
}

/// What the other side refuses by.
struct Refusal<'h, 'p> {
    allows: IndexSet,
    denies: IndexSet,
    hazards: &'h [Hazard<'p>],
}

impl Refusal<'_, '_> {
    /// Whether a request with these resources is refused. Without resources, every Deny that is left matches.
    fn refuses<'i>(&self, resources: impl Iterator<Item = &'i IndexSet>) -> bool {
        let mut allows = self.allows.clone();
        let mut present: Option<IndexSet> = None;
        for applying in resources {
            if applying.meets(&self.denies) {
                return true;
            }
            allows = allows.intersection(applying);
            match &mut present {
                Some(present) => present.extend(applying),
                None => present = Some(applying.clone()),
            }
        }
        let hit = |present: &IndexSet| self.hazards.iter().any(|hazard| self.denies.contains(hazard.deny) && hazard.hits(present));
        allows.is_empty() || present.as_ref().map_or(!self.denies.is_empty(), hit)
    }

    /// Resources that a Deny applies to because they are in one request, if some are.
    fn together<'i>(&self, picked: &[Picked], of: impl Fn(Picked) -> Option<&'i IndexSet>) -> Option<Vec<Picked>> {
        let with = |number: usize| picked.iter().find(|one| of(**one).is_some_and(|applying| applying.contains(number))).copied();
        let mut counting = self.hazards.iter().filter(|hazard| self.denies.contains(hazard.deny));
        counting.find_map(|hazard| hazard.parts().map(with).collect::<Option<Vec<_>>>())
    }

    /// For each Allow a resource that it does not cover, as few as are at hand.
    fn against_each<'i>(&self, picked: &[Picked], of: impl Fn(Picked) -> Option<&'i IndexSet>) -> Vec<Picked> {
        let mut allows = self.allows.clone();
        let mut few = Vec::new();
        while let Some(allow) = allows.first() {
            let Some(one) = picked.iter().find(|one| of(**one).is_some_and(|applying| !applying.contains(allow))) else { return few };
            few.push(*one);
            allows.remove(allow);
            of(*one).into_iter().for_each(|applying| allows = allows.intersection(applying));
        }
        few
    }
}
