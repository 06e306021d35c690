//! Statements, and actions of statements, that never meet a resource they are about (R10, R16, R19, R28).

use super::{Lint, Part, Standing, Subject};
use crate::policy::catalogue::{Action, ResourceTypeId};
use crate::policy::index_set::IndexSet;
use crate::policy::reader::quoted;
use crate::policy::resource::acted_on;

/// How many resource types a message names.
const TYPES_SHOWN: usize = 3;

/// The trap: a statement that never applies, because no action exists that it names, because no pattern in `Resource` can mean what
/// its actions act on (R16), because its actions have no resources and `Resource` has only SRNs (R19), or because it stands at a
/// resource that none of its actions acts on. A Deny like that leaves open what it was written to close.
///
/// Whether it is one.
pub(super) fn never_applies(subject: &Subject<'_>, part: &Part<'_>) -> bool {
    let Some((why, hint)) = why_never(subject, part) else { return false };
    // A list of one action that does not exist: reading it has said so, and that it denies nothing.
    if !(part.statement.actions.is_empty() && !part.statement.wording.is_complement() && part.actions().len() == 1) {
        subject.trap_of(Lint::NeverApplies, part, &format!("this statement {} nothing: {why}", part.verb()), hint);
    }
    true
}

fn why_never(subject: &Subject<'_>, part: &Part<'_>) -> Option<(String, String)> {
    let statement = part.statement;
    if statement.actions.is_empty() {
        return Some(if statement.wording.is_complement() {
            let hint = "name in `NotAction` only actions that the statement is not for".to_owned();
            ("`NotAction` leaves no action that exists".to_owned(), hint)
        } else {
            ("no action exists that it names".to_owned(), "correct the actions, or remove the statement".to_owned())
        });
    }
    let meant = Meant::of(subject, part);
    let named = || subject.catalogue.actions().filter(|(id, _)| statement.actions.contains(id.index())).map(|(_, action)| action);
    if named().any(|action| meant.meets(action)) {
        return None;
    }
    if let Standing::Resource(attachment) = subject.standing {
        let kind = type_name(subject, attachment.kind());
        let hint = format!("name actions on `{kind}`, or attach the policy to a resource that these actions act on");
        return Some((format!("it stands at a `{kind}`, and none of its actions acts on one"), hint));
    }
    let types = quoted_types(subject, &acted_on(subject.catalogue, &statement.actions));
    let without = named().any(has_no_resources);
    Some(match (types, without) {
        (None, _) => {
            let why = "its actions have no resources, and only the bare `*` in `Resource` matches those";
            (why.to_owned(), "write \"Resource\": [\"*\"]".to_owned())
        }
        (Some(types), false) => {
            let hint = format!("name resources of the type {types}, or correct the actions");
            (format!("its actions act on {types}, and no pattern in `Resource` means such a resource"), hint)
        }
        (Some(types), true) => {
            let why = format!("its actions act on {types} or have no resources, and no pattern in `Resource` matches any of that");
            (why, format!("name resources of the type {types}, and write a statement with \"Resource\": [\"*\"] for the other actions"))
        }
    })
}

/// The trap: a list of actions of which some never have the resources that the statement names, such as `ListUsers`, which has none,
/// beside `ShowUser` on some users. The one is allowed, or denied, and the other is not.
pub(super) fn unreachable_actions(subject: &Subject<'_>, part: &Part<'_>) {
    if part.statement.wording.is_complement() {
        return;
    }
    let meant = Meant::of(subject, part);
    for at in part.actions() {
        let crate::source::Value::String(name) = &at.node().value else { continue };
        let Some(id) = subject.catalogue.action_id(name) else { continue };
        let action = subject.catalogue.action(id);
        if meant.meets(action) {
            continue;
        }
        let verb = part.verb();
        let (message, hint) = if let Standing::Resource(attachment) = subject.standing {
            let kind = type_name(subject, attachment.kind());
            let message = format!("this statement never {verb} `{name}`: it stands at a `{kind}`, on which that action does not act");
            (message, "take the action out".to_owned())
        } else if has_no_resources(action) {
            let message = format!("this statement never {verb} `{name}`: that action has no resources, so only the bare `*` matches it");
            (message, "move the action to a statement with \"Resource\": [\"*\"]".to_owned())
        } else {
            let types = subject.quoted(&action.resource_types);
            let message = format!("this statement never {verb} `{name}`: that action acts on {types}, and no pattern in `Resource` does");
            (message, format!("add a pattern for {types}, or take the action out"))
        };
        subject.trap(Lint::UnreachableAction, part, &at, &message, hint);
    }
}

/// What a statement's `Resource` may mean.
pub(super) enum Meant {
    /// Whatever an action acts on, and that it acts on nothing.
    Everything,
    /// Resources of these types.
    Types(IndexSet),
}

impl Meant {
    pub(super) fn of(subject: &Subject<'_>, part: &Part<'_>) -> Self {
        let types = subject.catalogue.resource_type_count();
        match subject.standing {
            Standing::Trust(_) => Self::Everything,
            Standing::Identity(_) if part.statement.resources.everything() => Self::Everything,
            Standing::Identity(_) => Self::Types(part.statement.resources.kinds(types)),
            // It is only asked about requests that have the resource.
            Standing::Resource(attachment) => Self::Types(IndexSet::of(types, |kind| kind == attachment.kind().index())),
        }
    }

    /// Whether a request for an action may have what is meant.
    pub(super) fn meets(&self, action: &Action) -> bool {
        match self {
            Self::Everything => true,
            Self::Types(types) if action.any_resource => !types.is_empty(),
            Self::Types(types) => action.resource_types.iter().any(|kind| types.contains(kind.index())),
        }
    }
}

/// Whether only the bare `*` matches an action (R19).
pub(super) fn has_no_resources(action: &Action) -> bool {
    action.resource_types.is_empty() && !action.any_resource
}

impl Subject<'_> {
    /// Resource types for a message.
    pub(super) fn quoted(&self, kinds: &[ResourceTypeId]) -> String {
        let names: Vec<String> = kinds.iter().map(|kind| type_name(self, *kind)).collect();
        let more = names.len().checked_sub(TYPES_SHOWN).filter(|more| *more > 0);
        let shown = quoted(names.iter().take(TYPES_SHOWN).map(String::as_str));
        more.map_or_else(|| shown.clone(), |more| format!("{shown} and {more} more types"))
    }
}

/// Resource types for a message, if there are any.
fn quoted_types(subject: &Subject<'_>, kinds: &IndexSet) -> Option<String> {
    let kinds: Vec<ResourceTypeId> = subject.catalogue.resource_types().map(|(id, _)| id).filter(|id| kinds.contains(id.index())).collect();
    (!kinds.is_empty()).then(|| subject.quoted(&kinds))
}

/// A resource type as the end of an SRN names it.
pub(super) fn type_name(subject: &Subject<'_>, kind: ResourceTypeId) -> String {
    let kind = subject.catalogue.resource_type(kind);
    format!("{}:{}", kind.service_type, kind.name)
}
