//! What every engine is given: statements, requests, and what is right, found without any engine.

/// The account that owns the statements and, but for a few requests, the resources.
pub(crate) const ACCOUNT: &str = "9b7653f6f47a42e38055934a0575a813";
/// The user who holds the statements and asks.
pub(crate) const USER: &str = "efda56a968cd45b2873d9bf5fab58e95";
const FOREIGN_ACCOUNT: &str = "f39c460fade34fecb05ede8f904b24b7";

/// Services of the world that the statements speak of.
pub(crate) const SERVICES: usize = 30;
/// Types of resources of each service.
pub(crate) const KINDS: usize = 5;
/// Actions on each type.
pub(crate) const ACTIONS: usize = 4;

/// Of making requests, each around one statement.
const TURNS: usize = 128;

/// `service3:Act0On1`.
pub(crate) fn action_name(service: usize, kind: usize, action: usize) -> String {
    format!("service{service}:Act{action}On{kind}")
}

/// `scp-service3:kind1`, as it stands in an SRN before the slash.
pub(crate) fn type_name(service: usize, kind: usize) -> String {
    format!("scp-service{service}:kind{kind}")
}

/// Which ids a statement is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Pattern {
    /// This one.
    Exact(String),
    /// Those that start with it: `team-00001-*`.
    Prefix(String),
    /// Those that end with it: `*-team-00002`.
    Suffix(String),
}

impl Pattern {
    /// As policy languages with a star write it.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Exact(id) => id.clone(),
            Self::Prefix(prefix) => format!("{prefix}*"),
            Self::Suffix(suffix) => format!("*{suffix}"),
        }
    }

    fn covers(&self, id: &str) -> bool {
        match self {
            Self::Exact(exact) => id == exact,
            Self::Prefix(prefix) => id.starts_with(prefix),
            Self::Suffix(suffix) => id.ends_with(suffix),
        }
    }
}

/// One statement about resources of one type in [`ACCOUNT`], in any region.
#[derive(Debug, Clone)]
pub(crate) struct Statement {
    pub(crate) denies: bool,
    pub(crate) action: String,
    pub(crate) service: usize,
    pub(crate) kind: usize,
    pub(crate) id: Pattern,
}

/// One request, as texts.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) action: String,
    pub(crate) srn: String,
}

/// What is right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Allowed,
    /// A Deny applies and no Allow would.
    Denied,
    /// A Deny applies, and an Allow would too.
    Overridden,
    /// Nothing applies.
    Unmentioned,
}

/// The name of a resource, cut out of its SRN: what the peers are asked with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Name<'a> {
    /// `scp-service3:kind1`.
    pub(crate) of: &'a str,
    pub(crate) account: &'a str,
    pub(crate) id: &'a str,
}

impl<'a> Name<'a> {
    /// Nothing for what is no SRN. Offering and region are left out: no statement here restricts them.
    pub(crate) fn cut(srn: &'a str) -> Option<Self> {
        let mut fields = srn.splitn(7, ':');
        let account = fields.nth(3)?;
        let (of, id) = fields.nth(2)?.split_once('/')?;
        Some(Self { of, account, id })
    }
}

/// Statements and requests.
pub(crate) struct Workload {
    pub(crate) statements: Vec<Statement>,
    pub(crate) requests: Vec<Asked>,
}

impl Workload {
    pub(crate) fn new(count: usize) -> Self {
        let statements: Vec<Statement> = (0..count).map(statement).collect();
        let mut requests: Vec<Asked> = (0..TURNS).flat_map(|turn| about(&statements, turn)).collect();
        shuffle(&mut requests);
        Self { statements, requests }
    }

    /// By going through all statements, one after the other.
    pub(crate) fn answer(&self, asked: &Asked) -> Answer {
        let Some(name) = Name::cut(&asked.srn) else { return Answer::Unmentioned };
        let applies = |denies: bool| {
            self.statements.iter().any(|statement| {
                statement.denies == denies
                    && statement.action == asked.action
                    && type_name(statement.service, statement.kind) == name.of
                    && name.account == ACCOUNT
                    && statement.id.covers(name.id)
            })
        };
        match (applies(false), applies(true)) {
            (true, false) => Answer::Allowed,
            (false, true) => Answer::Denied,
            (true, true) => Answer::Overridden,
            (false, false) => Answer::Unmentioned,
        }
    }
}

/// What people write: by service and type, on ids, beginnings and ends; a tenth denies. Every round about the same 600 actions takes other
/// forms and denies elsewhere, so that an action has all of them in the end.
fn statement(number: usize) -> Statement {
    let round = number / (SERVICES * KINDS * ACTIONS);
    let (service, kind) = (number % SERVICES, number / SERVICES % KINDS);
    let action = number / (SERVICES * KINDS) % ACTIONS;
    let id = match (number + round) % 4 {
        0 => Pattern::Exact(format!("id-{number:05}")),
        1 => Pattern::Prefix(format!("team-{number:05}-")),
        2 => Pattern::Suffix(format!("-team-{number:05}")),
        _ => Pattern::Prefix(format!("id-{number:05}-")),
    };
    Statement { denies: (number + 3 * round) % 10 == 3, action: action_name(service, kind, action), service, kind, id }
}

/// Requests around one statement: one that it covers, one that it does not cover, as a rule, and one that another statement about the same
/// action covers as well, where there is such.
fn about(statements: &[Statement], turn: usize) -> Vec<Asked> {
    // A prime, so that four turns meet statements of every form; the next four do not cover something else.
    let number = turn * 7919 % statements.len();
    let Some(statement) = statements.get(number) else { return Vec::new() };
    let (covered, missed) = match &statement.id {
        Pattern::Exact(id) => (id.clone(), format!("{id}{turn}")),
        Pattern::Prefix(prefix) => (format!("{prefix}web-{turn}"), format!("{}{turn}", prefix.trim_end_matches('-'))),
        Pattern::Suffix(suffix) => (format!("web-{turn}{suffix}"), format!("web-{turn}{suffix}-")),
    };
    let Statement { action, service, kind, .. } = statement;
    let not_covered = match turn / 4 % 4 {
        0 => asked(action, ACCOUNT, *service, *kind, &missed),
        1 => asked(action, FOREIGN_ACCOUNT, *service, *kind, &covered),
        2 => asked(action, ACCOUNT, *service, (kind + 1) % KINDS, &covered),
        _ => asked(&action_name(*service, *kind, turn / 16 % ACTIONS), ACCOUNT, *service, *kind, &covered),
    };
    let mut requests = vec![asked(action, ACCOUNT, *service, *kind, &covered), not_covered];
    let rounds = statements.iter().skip(number % (SERVICES * KINDS * ACTIONS)).step_by(SERVICES * KINDS * ACTIONS);
    let ends: Vec<&Statement> = rounds.filter(|other| matches!(other.id, Pattern::Suffix(_))).collect();
    if let (Pattern::Prefix(prefix), Some(Pattern::Suffix(suffix))) =
        (&statement.id, ends.get(turn % ends.len().max(1)).map(|other| &other.id))
    {
        requests.push(asked(action, ACCOUNT, *service, *kind, &format!("{prefix}web{suffix}")));
    }
    requests
}

fn asked(action: &str, account: &str, service: usize, kind: usize, id: &str) -> Asked {
    Asked { action: action.to_owned(), srn: format!("srn:e::{account}:kr-west1::{}/{id}", type_name(service, kind)) }
}

/// Always the same order, so that the first of them are as good as all.
fn shuffle(requests: &mut [Asked]) {
    let mut state = 1_u64;
    for place in (1..requests.len()).rev() {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let other = (state >> 33) as usize % (place + 1);
        requests.swap(place, other);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_requests_meet_every_form_and_every_answer() {
        for (count, overridden) in [(4, false), (100, false), (1_000, true), (10_000, true)] {
            let workload = Workload::new(count);
            let answers: Vec<Answer> = workload.requests.iter().map(|asked| workload.answer(asked)).collect();
            for answer in [Answer::Allowed, Answer::Denied, Answer::Unmentioned] {
                assert!(answers.contains(&answer), "{count}: none is {answer:?}");
            }
            assert_eq!(answers.contains(&Answer::Overridden), overridden, "{count}");
            let allowing = |form: fn(&Pattern) -> bool| {
                workload.requests.iter().zip(&answers).filter(|(_, answer)| **answer == Answer::Allowed).any(|(asked, _)| {
                    let id = Name::cut(&asked.srn).unwrap().id;
                    let mut statements = workload.statements.iter();
                    statements.any(|statement| statement.action == asked.action && form(&statement.id) && statement.id.covers(id))
                })
            };
            assert!(allowing(|pattern| matches!(pattern, Pattern::Exact(_))), "{count}");
            assert!(allowing(|pattern| matches!(pattern, Pattern::Prefix(_))), "{count}");
            assert!(allowing(|pattern| matches!(pattern, Pattern::Suffix(_))), "{count}");
        }
    }

    #[test]
    fn a_tenth_of_the_statements_denies() {
        for count in [100, 1_000, 10_000] {
            let denying = Workload::new(count).statements.iter().filter(|statement| statement.denies).count();
            assert_eq!(denying, count / 10);
        }
    }
}
