//! Cedar: one policy per statement.
//!
//! Type and exact id of the resource stand in a policy's scope. `like` needs an attribute; the path (account and id) is given
//! in the context, so that no entity with attributes has to be built per request.

use std::collections::HashMap;

use cedar_policy::{
    Authorizer, Context, Decision, Entities, EntityId, EntityTypeName, EntityUid, Policy, PolicyId, PolicySet, Request,
    RestrictedExpression,
};

use super::Engine;
use crate::workload::{ACCOUNT, ACTIONS, Asked, KINDS, Name, Pattern, SERVICES, Statement, USER, action_name, type_name};

/// What turns texts into a Cedar request: every name is parsed beforehand.
struct Requests {
    authorizer: Authorizer,
    entities: Entities,
    principal: EntityUid,
    actions: HashMap<String, EntityUid>,
    types: HashMap<String, EntityTypeName>,
}

impl Requests {
    fn new() -> Self {
        let kinds = || (0..SERVICES).flat_map(|service| (0..KINDS).map(move |kind| (service, kind)));
        let actions = kinds().flat_map(|(service, kind)| (0..ACTIONS).map(move |action| action_name(service, kind, action)));
        Self {
            authorizer: Authorizer::new(),
            entities: Entities::empty(),
            principal: uid("User", USER),
            actions: actions.map(|name| (name.clone(), uid("Action", &name))).collect(),
            types: kinds().map(|(service, kind)| (type_name(service, kind), cedar_type(service, kind).parse().expect("a type"))).collect(),
        }
    }

    fn allows(&self, asked: &Asked, policies: &PolicySet) -> Option<bool> {
        let name = Name::cut(&asked.srn)?;
        let path = path(name.account, name.id);
        let action = self.actions.get(&asked.action)?.clone();
        let resource = EntityUid::from_type_name_and_id(self.types.get(name.of)?.clone(), EntityId::new(&path));
        let context = Context::from_pairs([("path".to_owned(), RestrictedExpression::new_string(path))]).ok()?;
        let request = Request::new(self.principal.clone(), action, resource, context, None).ok()?;
        Some(self.authorizer.is_authorized(&request, policies, &self.entities).decision() == Decision::Allow)
    }
}

/// All policies in one set, as Cedar's own documentation has it.
pub(crate) struct Whole {
    requests: Requests,
    policies: PolicySet,
}

impl Whole {
    pub(crate) fn load(statements: &[Statement]) -> Self {
        Self { requests: Requests::new(), policies: set(statements.iter().enumerate()) }
    }
}

impl Engine for Whole {
    fn allows(&mut self, asked: &Asked) -> bool {
        self.requests.allows(asked, &self.policies).unwrap_or(false)
    }
}

/// A set per action, made by hand beforehand and looked up with every request. Each action is on one type of resources, so these are also
/// the sets by action and type.
pub(crate) struct Sliced {
    requests: Requests,
    slices: HashMap<String, PolicySet>,
}

impl Sliced {
    pub(crate) fn load(statements: &[Statement]) -> Self {
        let mut slices: HashMap<String, Vec<(usize, &Statement)>> = HashMap::new();
        for (number, statement) in statements.iter().enumerate() {
            slices.entry(statement.action.clone()).or_default().push((number, statement));
        }
        Self { requests: Requests::new(), slices: slices.into_iter().map(|(action, statements)| (action, set(statements))).collect() }
    }
}

impl Engine for Sliced {
    fn allows(&mut self, asked: &Asked) -> bool {
        let Some(slice) = self.slices.get(&asked.action) else { return false };
        self.requests.allows(asked, slice).unwrap_or(false)
    }
}

fn set<'a>(statements: impl IntoIterator<Item = (usize, &'a Statement)>) -> PolicySet {
    PolicySet::from_policies(statements.into_iter().map(|(number, statement)| policy(number, statement))).expect("a set of policies")
}

/// The principal is not tested: the set is what one user holds.
fn policy(number: usize, statement: &Statement) -> Policy {
    let Statement { denies, action, service, kind, id } = statement;
    let effect = if *denies { "forbid" } else { "permit" };
    let of = cedar_type(*service, *kind);
    let pattern = path(ACCOUNT, &id.text());
    let (resource, condition) = match id {
        Pattern::Exact(_) => (format!("resource == {of}::\"{pattern}\""), String::new()),
        Pattern::Prefix(_) | Pattern::Suffix(_) => (format!("resource is {of}"), format!(" when {{ context.path like \"{pattern}\" }}")),
    };
    let text = format!("{effect}(principal, action == Action::\"{action}\", {resource}){condition};");
    Policy::parse(Some(PolicyId::new(number.to_string())), text).expect("a policy")
}

fn cedar_type(service: usize, kind: usize) -> String {
    format!("Service{service}::Kind{kind}")
}

fn uid(of: &str, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(of.parse().expect("a type"), EntityId::new(id))
}

/// Ids are unique in an account, and accounts have no slash.
fn path(account: &str, id: &str) -> String {
    [account, "/", id].concat()
}
