//! Action expressions (R07, R09, R10, R51): `*`, `service:Name` with `*`, access-level filters; expanded to sets of actions.

use crate::source::{Cursor, nearest};
use crate::types::action::ACTION_BYTES_MAX;
use crate::types::{AccessLevel, ActionName};

use super::catalogue::{Action, Catalogue};
use super::document::{Effect, Setting};
use super::glob::{Glob, Symbol, Wildcards};
use super::inclusion::{self, Work};
use super::index_set::IndexSet;
use super::reader::{Reader, quoted, shown, text};

const HINT: &str = "write `service:Name` (such as `iam:ShowUser`), with `*` for any run of characters, or `*` for every action";

/// How many services a message names.
const SERVICES_SHOWN: usize = 12;

/// What a list of expressions is for: `NotAction` is the complement (R07). The effect is unknown after an error.
#[derive(Debug)]
pub(super) struct ActionRule<'s> {
    pub(super) effect: Option<Effect>,
    pub(super) complement: bool,
    pub(super) setting: &'s Setting<'s>,
}

/// The actions of a statement.
#[derive(Debug, Clone)]
pub(super) struct Actions {
    /// Those of this catalogue.
    pub(super) set: IndexSet,
    pub(super) wording: Wording,
}

/// What a statement says about actions, as far as it may mean some that are still to be defined.
#[derive(Debug, Clone)]
pub(super) struct Wording {
    complement: bool,
    /// All expressions but the exact names of actions that are known.
    open: Box<[Open]>,
}

/// An expression that may mean more than the actions that are known.
#[derive(Debug, Clone)]
struct Open {
    text: Box<str>,
    /// It means none that is known: it waits for a definition.
    waits: bool,
}

/// Which expressions are asked what they will mean when more is defined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// Those that wait for a definition, and those for whatever service. One for a service that is known is taken for what it means
    /// today: whoever adds an action to a service gives it a level, and sees who has that.
    NewServices,
    /// Also patterns for a service that is known.
    Everything,
}

impl Asked {
    fn is_about(self, open: &Open) -> bool {
        self == Self::Everything || open.waits || open.any_service()
    }
}

/// Reads `Action` or `NotAction` and expands it against the catalogue.
pub(super) fn read<'a>(reader: &Reader<'a>, at: &Cursor<'a>, rule: &ActionRule<'_>) -> Option<Actions> {
    let items = reader.items(at, HINT)?;
    let mut listed = IndexSet::empty(reader.catalogue.action_count());
    let mut open = Vec::new();
    let mut complete = Some(());
    for item in &items {
        match expression(reader, item) {
            Some(expression) if !is_allowed_in(reader, item, &expression, rule.setting) => complete = None,
            Some(expression) => {
                let matched = expression.expand(reader.catalogue);
                if matched.is_empty() {
                    warn_of_nothing(reader, item, &expression, rule);
                }
                listed.extend(&matched);
                let waits = matched.is_empty();
                if waits || !expression.is_exact() {
                    open.push(Open { text: expression.text.into(), waits });
                }
            }
            None => complete = None,
        }
    }
    complete?;
    let wording = Wording { complement: rule.complement, open: open.into() };
    if rule.complement {
        let set = IndexSet::of(reader.catalogue.action_count(), |action| !listed.contains(action));
        return Some(Actions { set, wording });
    }
    Some(Actions { set: listed, wording })
}

impl Wording {
    /// Whether the statement names the actions that it is not for.
    pub(super) fn is_complement(&self) -> bool {
        self.complement
    }

    /// What of this may mean actions that are still to be defined, if anything does.
    pub(super) fn future(&self, asked: Asked) -> Option<&str> {
        if self.complement {
            return Some("NotAction");
        }
        self.open.iter().find(|open| asked.is_about(open)).map(|open| &*open.text)
    }

    /// Whether all actions still to be defined that `inner` may mean are surely meant by this.
    pub(super) fn includes(&self, inner: &Self, asked: Asked, catalogue: &Catalogue, work: &Work) -> bool {
        let (Some(outer_list), Some(inner_list)) = (self.parsed(catalogue, work), inner.parsed(catalogue, work)) else { return false };
        let mut asked = inner_list.iter().filter(|(open, _)| asked.is_about(open));
        match (self.complement, inner.complement) {
            (false, false) => asked.all(|(_, wanted)| outer_list.iter().any(|(_, outer)| outer.includes(wanted, work))),
            (true, false) => asked.all(|(_, wanted)| outer_list.iter().all(|(_, excepted)| excepted.avoids(wanted, work))),
            (true, true) => {
                let mut excepted = outer_list.iter();
                excepted.all(|(_, excepted)| inner_list.iter().any(|(_, listed)| listed.includes(excepted, work)))
            }
            (false, true) => outer_list.iter().any(|(_, outer)| outer.is_all()),
        }
    }

    /// Whether the two surely have no action in common that is still to be defined.
    pub(super) fn avoids(&self, other: &Self, catalogue: &Catalogue, work: &Work) -> bool {
        let (Some(own), Some(others)) = (self.parsed(catalogue, work), other.parsed(catalogue, work)) else { return false };
        let listed = |list: &[(&Open, Expression<'_>)], exceptions: &[(&Open, Expression<'_>)]| {
            let mut asked = list.iter().filter(|(open, _)| Asked::NewServices.is_about(open));
            asked.all(|(_, listed)| exceptions.iter().any(|(_, excepted)| excepted.includes(listed, work)))
        };
        match (self.complement, other.complement) {
            (false, false) => own.iter().all(|(one, left)| {
                let asked = |two: &Open| one.waits || two.waits || one.any_service() && two.any_service();
                others.iter().all(|(two, right)| !asked(two) || left.avoids(right, work))
            }),
            (true, false) => listed(&others, &own),
            (false, true) => listed(&own, &others),
            (true, true) => false,
        }
    }

    /// The expressions, read once more, if there is time for it.
    fn parsed<'w>(&'w self, catalogue: &Catalogue, work: &Work) -> Option<Vec<(&'w Open, Expression<'w>)>> {
        let read = |open: &'w Open| work.spend(open.text.len()).then(|| parse(catalogue, &open.text).ok().map(|read| (open, read)))?;
        self.open.iter().map(read).collect()
    }
}

impl Open {
    /// Whether it is for whatever service.
    fn any_service(&self) -> bool {
        self.text.starts_with('*')
    }
}

/// One expression; no service, no levels: any.
struct Expression<'a> {
    text: &'a str,
    service: Option<&'a str>,
    name: Name<'a>,
    levels: Option<Vec<AccessLevel>>,
}

enum Name<'a> {
    Exact(&'a str),
    Pattern(Glob),
}

/// Why a text is no expression, and what to write.
struct Refusal {
    message: String,
    hint: String,
}

fn refusal(message: impl Into<String>, hint: impl Into<String>) -> Refusal {
    Refusal { message: message.into(), hint: hint.into() }
}

impl Expression<'_> {
    /// Whether it is the name of one action.
    const fn is_exact(&self) -> bool {
        matches!((self.service, &self.name, &self.levels), (Some(_), Name::Exact(_), None))
    }

    /// Whether it means every action there will ever be.
    fn is_all(&self) -> bool {
        self.service.is_none() && self.levels.is_none() && matches!(&self.name, Name::Pattern(glob) if *glob == Glob::anything())
    }

    /// Whether it surely means every action, known or not, that another one means.
    fn includes(&self, inner: &Self, work: &Work) -> bool {
        let levels = match (&self.levels, &inner.levels) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(outer), Some(inner)) => inner.iter().all(|level| outer.contains(level)),
        };
        let service = self.service.is_none() || self.service == inner.service;
        levels && service && inclusion::includes(&self.symbols(), &inner.symbols(), work)
    }

    /// Whether it surely means no action, known or not, that another one means.
    fn avoids(&self, other: &Self, work: &Work) -> bool {
        let apart = |one: Option<&str>, two: Option<&str>| one.zip(two).is_some_and(|(one, two)| one != two);
        let levels = match (&self.levels, &other.levels) {
            (Some(one), Some(two)) => !one.iter().any(|level| two.contains(level)),
            (None, _) | (_, None) => false,
        };
        levels || apart(self.service, other.service) || inclusion::avoids(&self.symbols(), &other.symbols(), work)
    }

    fn symbols(&self) -> Vec<Symbol> {
        match &self.name {
            Name::Exact(name) => name.chars().map(Symbol::Char).collect(),
            Name::Pattern(glob) => glob.symbols(),
        }
    }

    fn expand(&self, catalogue: &Catalogue) -> IndexSet {
        let mut matched = IndexSet::empty(catalogue.action_count());
        if self.is_exact() {
            catalogue.action_id(self.text).into_iter().for_each(|id| matched.insert(id.index()));
            return matched;
        }
        catalogue.actions().filter(|(_, action)| self.matches(action)).for_each(|(id, _)| matched.insert(id.index()));
        matched
    }

    fn matches(&self, action: &Action) -> bool {
        let name = match &self.name {
            Name::Exact(name) => *name == action.name.name(),
            Name::Pattern(glob) => glob.matches(action.name.name()),
        };
        name && self.service.is_none_or(|service| service == action.name.service())
            && self.levels.as_ref().is_none_or(|levels| levels.contains(&action.level))
    }
}

fn expression<'a>(reader: &Reader<'a>, at: &Cursor<'a>) -> Option<Expression<'a>> {
    let text = text(at, HINT)?;
    match parse(reader.catalogue, text) {
        Ok(expression) => Some(expression),
        Err(Refusal { message, hint }) => {
            at.error_hint(format!("`{}` is not an action: {message}", shown(text)), hint);
            None
        }
    }
}

fn parse<'a>(catalogue: &Catalogue, text: &'a str) -> Result<Expression<'a>, Refusal> {
    if text.len() > ACTION_BYTES_MAX {
        return Err(refusal(format!("it has {} bytes; the limit is {ACTION_BYTES_MAX}", text.len()), HINT));
    }
    let (whole, levels) = match text.split_once('[') {
        Some((whole, list)) => (whole, Some(filter(text, list)?)),
        None => (text, None),
    };
    if whole == "*" {
        return Ok(Expression { text, service: None, name: Name::Pattern(Glob::anything()), levels });
    }
    let Some((service, name)) = whole.split_once(':') else {
        return Err(refusal("the service is missing", service_hint(catalogue, whole)));
    };
    if service.contains('*') && service != "*" {
        return Err(refusal("the service has a `*` within", "name one service, or write `*:` for all"));
    }
    if service.is_empty() || name.is_empty() {
        return Err(refusal("a part is empty", HINT));
    }
    if let Some(bad) = bad_character(service, "*._-").or_else(|| bad_character(name, "*._-:")) {
        let hint = if bad == '?' { "only `*` is a wildcard in actions" } else { HINT };
        return Err(refusal(format!("`{}` cannot stand in one", shown(&bad.to_string())), hint));
    }
    let glob = Glob::new(name, Wildcards::Star).map_err(|error| refusal(error.to_string(), "name the actions with fewer `*`"))?;
    let name = if name.contains('*') { Name::Pattern(glob) } else { Name::Exact(name) };
    Ok(Expression { text, service: Some(service).filter(|service| *service != "*"), name, levels })
}

/// The access levels of a filter, from behind its `[`: `iam:*[List,Read]` (R51).
fn filter(text: &str, list: &str) -> Result<Vec<AccessLevel>, Refusal> {
    let known = || AccessLevel::ALL.into_iter().map(|(name, _)| name);
    let Some(list) = list.strip_suffix(']') else {
        return Err(refusal("the list of access levels is not closed", format!("end it with `]`: `{}`", shown(&format!("{text}]")))));
    };
    if list.is_empty() {
        return Err(refusal("the list of access levels is empty", format!("levels are {}", quoted(known()))));
    }
    let level = |word: &str| {
        word.parse::<AccessLevel>().map_err(|error| {
            let hint = match nearest(word.trim(), known()) {
                Some(near) if near.eq_ignore_ascii_case(word.trim()) => "write the levels without blanks".to_owned(),
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("levels are {}", quoted(known())),
            };
            refusal(error.to_string(), hint)
        })
    };
    list.split(',').map(level).collect()
}

fn bad_character(part: &str, allowed: &str) -> Option<char> {
    part.chars().find(|character| !character.is_ascii_alphanumeric() && !allowed.contains(*character))
}

/// For a name without a service: the action of that name, when there is one.
fn service_hint(catalogue: &Catalogue, name: &str) -> String {
    let found = catalogue.actions().map(|(_, action)| &action.name).find(|known| known.name().eq_ignore_ascii_case(name));
    found.map_or_else(|| HINT.to_owned(), |known| format!("did you mean `{known}`?"))
}

/// What may stand in the policy of a resource (R28) or role (R52); anything else is reported.
fn is_allowed_in<'a>(reader: &Reader<'a>, at: &Cursor<'a>, expression: &Expression<'a>, setting: &Setting<'_>) -> bool {
    let text = shown(expression.text);
    match setting {
        Setting::Identity { .. } | Setting::Attached { .. } => true,
        Setting::Resource { attachment, .. } => {
            let kind = reader.catalogue.resource_type(attachment.kind());
            let serves = |service: &str| reader.catalogue.service_type_of(service) == Some(&kind.service_type);
            let good = expression.service.is_some_and(|service| serves(service) || reader.catalogue.is_common(service));
            if !good {
                let message = format!("`{text}` is not an action of the service of the resource, `{}`", kind.service_type);
                at.error_hint(message, "name actions of that service, or of services for all resources, such as tagging");
            }
            good
        }
        Setting::Trust { .. } => {
            let good = TRUST_ACTIONS.contains(&expression.text);
            if !good {
                let hint = format!("actions are {}", quoted(TRUST_ACTIONS));
                at.error_hint(format!("`{text}` is not an action of taking a role"), hint);
            }
            good
        }
    }
}

/// The actions in the policy of a role (R52).
const TRUST_ACTIONS: [&str; 3] = ["sts:AssumeRole", "sts:AssumeRoleWithSAML", "sts:AssumeRoleWithWebIdentity"];

/// R10: inert, with a warning; loud where the slip widens access.
fn warn_of_nothing<'a>(reader: &Reader<'a>, at: &Cursor<'a>, expression: &Expression<'a>, rule: &ActionRule<'_>) {
    let what = match (expression.service, &expression.name, &expression.levels) {
        (Some(_), Name::Exact(_), None) => "no action definition knows",
        (_, Name::Exact(_) | Name::Pattern(_), _) => "no action matches",
    };
    let consequence = match (rule.effect, rule.complement) {
        (Some(Effect::Allow) | None, false) => "it allows nothing",
        (Some(Effect::Deny), false) => "ATTENTION, it denies nothing: what you meant to deny stays allowed",
        (Some(Effect::Allow), true) => "ATTENTION, it excepts nothing: what you meant to leave out is allowed",
        (Some(Effect::Deny) | None, true) => "ATTENTION, it excepts nothing: what you meant to leave out is denied",
    };
    reader.warning(at, format!("{what} `{}`; {consequence}", shown(expression.text)), name_hint(reader, expression));
}

/// The nearest name there is.
fn name_hint(reader: &Reader<'_>, expression: &Expression<'_>) -> String {
    const HINT: &str = "see the action definitions for the names there are; letter case counts";
    let actions = || reader.catalogue.actions().map(|(_, action)| &action.name);
    let Some(service) = expression.service else { return HINT.to_owned() };
    if !actions().any(|known| known.service() == service) {
        let near = reader.nearest(service, actions().map(ActionName::service));
        let meant = near.map_or_else(|| services(reader.catalogue), |near| format!("did you mean `{near}`?"));
        return format!("no service is called `{}`; {meant}", shown(service));
    }
    let (Name::Exact(_), None) = (&expression.name, &expression.levels) else { return HINT.to_owned() };
    match reader.nearest(expression.text, actions().map(ActionName::as_str)) {
        Some(near) if near.eq_ignore_ascii_case(expression.text) => format!("did you mean `{near}`? letter case counts"),
        Some(near) => format!("did you mean `{near}`?"),
        None => HINT.to_owned(),
    }
}

/// The services there are, as far as a message has room for them.
fn services(catalogue: &Catalogue) -> String {
    let mut names: Vec<&str> = Vec::new();
    for (_, action) in catalogue.actions() {
        let service = action.name.service();
        // Those of a service mostly stand together.
        if names.last() != Some(&service) && !names.contains(&service) {
            names.push(service);
        }
    }
    let more = names.len().checked_sub(SERVICES_SHOWN).filter(|more| *more > 0);
    let more = more.map_or_else(String::new, |more| format!(" and {more} more"));
    format!("services are {}{more}", quoted(names.into_iter().take(SERVICES_SHOWN)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::sample::catalogue;

    fn check(text: &str, expected: Result<&[&str], &str>) {
        let catalogue = catalogue();
        let found = parse(&catalogue, text).map(|expression| {
            let matched = expression.expand(&catalogue);
            catalogue
                .actions()
                .filter(|(id, _)| matched.contains(id.index()))
                .map(|(_, action)| action.name.to_string())
                .collect::<Vec<_>>()
        });
        match (found, expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{text}"),
            (Err(Refusal { message, .. }), Err(part)) => assert!(message.contains(part), "{text}: {message}"),
            (found, expected) => panic!("{text}: {:?}, not {expected:?}", found.map_err(|refusal| refusal.message)),
        }
    }

    #[test]
    fn an_expression_expands_to_the_actions_it_names() {
        let all = ["iam:ListUsers", "iam:ShowUser", "iam:DeleteUser", "iam:AttachUserPolicy", "object-store:GetObject"];
        for (text, expected) in [
            ("*", &all[..]),
            ("*:*", &all),
            ("iam:*", &all[..4]),
            ("iam:ShowUser", &all[1..2]),
            ("*:ShowUser", &all[1..2]),
            ("*:iam:ShowUser", &[]),
            ("iam:showUser", &[]),
            ("iam:Show", &[]),
            ("IAM:*", &[]),
            ("iam:*User", &all[1..3]),
            ("*[Read]", &[all[1], all[4]]),
            ("*:*[list]", &all[..1]),
            ("iam:*User[READ,Monitor_View]", &all[1..2]),
            ("iam:ShowUser[Delete]", &[]),
        ] {
            check(text, Ok(expected));
        }
    }

    #[test]
    fn what_is_no_expression_is_refused() {
        for (text, part) in [
            ("**", "service is missing"),
            ("i*:x", "`*` within"),
            (":x", "part is empty"),
            ("iam:", "part is empty"),
            ("iam:a?", "`?` cannot stand"),
            ("iam:a b", "` ` cannot stand"),
            ("한:x", "`한` cannot stand"),
            ("iam:*[]", "is empty"),
            ("iam:*[Read", "not closed"),
            ("iam:*[Read]x", "not closed"),
            ("iam:*[Read][List]", "not an access level"),
            ("iam:*[Read,]", "not an access level"),
            ("iam:*]", "`]` cannot stand"),
        ] {
            check(text, Err(part));
        }
        check(&format!("iam:{}", "a".repeat(ACTION_BYTES_MAX)), Err("bytes"));
    }

    #[test]
    fn the_longest_expression_is_one_still() {
        let longest = format!("iam:{}", "a".repeat(ACTION_BYTES_MAX - 4));
        check(&longest, Ok(&[]));
    }

    #[test]
    fn expressions_that_mean_nothing_in_common_are_told_apart() {
        let catalogue = catalogue();
        for (one, other, apart) in [
            ("*[Read]", "*[List,Delete]", true),
            ("*[Read]", "*[List,Read]", false),
            ("*[Read]", "*", false),
            ("iam:*", "object-store:*", true),
            ("iam:*", "iam:*", false),
            ("iam:*", "*:Show*", false),
            ("iam:Show*", "iam:List*", true),
            ("iam:Show*[Read]", "iam:*[Read]", false),
        ] {
            let parsed = |text| parse(&catalogue, text).unwrap_or_else(|refusal| panic!("{}", refusal.message));
            assert_eq!(parsed(one).avoids(&parsed(other), &Work::new()), apart, "{one} {other}");
            assert_eq!(parsed(other).avoids(&parsed(one), &Work::new()), apart, "{other} {one}");
        }
    }

    #[test]
    fn services_are_named_once_as_far_as_there_is_room() {
        let mut builder = Catalogue::builder("e".parse().unwrap());
        let mut named = |service: &str, action: &str| {
            builder.action(format!("{service}:{action}").parse().unwrap(), AccessLevel::Read, &[]).unwrap();
        };
        for number in 0..SERVICES_SHOWN {
            named(&format!("s{number}"), "Show");
            named(&format!("s{number}"), "List");
        }
        named("s0", "Delete");
        let all = (0..SERVICES_SHOWN).map(|number| format!("`s{number}`")).collect::<Vec<_>>().join(", ");
        let exactly = std::mem::replace(&mut builder, Catalogue::builder("e".parse().unwrap())).build();
        assert_eq!(services(&exactly), format!("services are {all}"));
        for number in 0..SERVICES_SHOWN + 2 {
            builder.action(format!("s{number}:Show").parse().unwrap(), AccessLevel::Read, &[]).unwrap();
        }
        assert_eq!(services(&builder.build()), format!("services are {all} and 2 more"));
    }
}
