//! A request that shows a difference, as a case that can be tested.

use super::forms::Group;
use super::outcomes::Value;
use super::places::MadeUp;
use super::search::{Draft, Side};
use super::{Caller, Diff, Reason};
use crate::policy::cases::{Decided, Decision, Held};
use crate::policy::condition::{GlobalKey, Key};
use crate::policy::document::LANGUAGE_VERSION;
use crate::policy::evaluate::{Policies, evaluate};
use crate::policy::request::Kind;
use crate::source::{Key as Name, Node, Span, Value as Tree};
use crate::types::Srn;

/// A request on which two sets of policies decide differently.
#[derive(Debug, Clone)]
pub struct Witness {
    request: Node,
    /// The policies of those of its resources that must allow it as well.
    grants: Vec<Node>,
}

impl Witness {
    /// The `request` of a case file.
    #[must_use]
    pub const fn request(&self) -> &Node {
        &self.request
    }

    /// The `resource_policies` of a case file: they allow the request where the policy of a resource must allow it too.
    #[must_use]
    pub fn resource_policies(&self) -> &[Node] {
        &self.grants
    }

    /// A case of `portcullis policy test`: the request, with these policies and what comes out of them.
    #[must_use]
    pub fn case(&self, id: &str, policies: &[Node], allow: bool) -> Node {
        let mut members = vec![("id", text(id)), ("request", self.request.clone()), ("identity_policies", list(policies.to_vec()))];
        if !self.grants.is_empty() {
            members.push(("resource_policies", list(self.grants.clone())));
        }
        members.push(("expect", text(if allow { "Allow" } else { "Deny" })));
        map(members)
    }
}

impl Draft<'_> {
    /// The request, if it is one on which the two sides decide differently, and so that this one allows it.
    pub(super) fn confirm(&self, diff: &Diff<'_>, group: &Group<'_>, side: Side) -> Result<Witness, Reason> {
        let action = group.actions.first().map(|action| diff.catalogue.action(*action).name.as_str()).ok_or(Reason::Unconfirmed)?;
        let principal = self.principal(diff);
        let srns: Vec<String> = self.resources.iter().map(|resource| srn(diff, resource)).collect();
        let resources = self.resources.iter().zip(&srns).map(|(resource, srn)| described(diff, resource, srn)).collect();
        let context = self.context.iter().filter(|(_, values)| !values.is_empty()).map(|(key, values)| (key.to_string(), written(values)));
        let who = [("type", text(kind_of(&principal.0))), ("srn", text(&principal.1))];
        let request = map(vec![
            ("principal", map(who.to_vec())),
            ("action", text(action)),
            ("resources", list(resources)),
            ("context", named(context.collect())),
        ]);
        let abroad = |resource: &&MadeUp<'_>| resource.account != diff.caller.account();
        let needed = group.needs_resource_policy || self.resources.iter().any(|resource| abroad(&resource));
        let granted =
            self.resources.iter().zip(&srns).filter(|(resource, _)| group.needs_resource_policy || abroad(resource)).filter(|_| needed);
        let grants: Vec<Node> =
            granted.map(|(_, srn)| map(vec![("attached_to", text(srn)), ("policy", grant(&principal.1, action))])).collect();
        let witness = Witness { request, grants };
        let (before, after) = (witness.allows(diff, Side::Before), witness.allows(diff, Side::After));
        let shows = match side {
            Side::Before => (before, after) == (Some(true), Some(false)),
            Side::After => (before, after) == (Some(false), Some(true)),
        };
        if shows { Ok(witness) } else { Err(Reason::Unconfirmed) }
    }

    /// What kind of principal asks, and its SRN.
    fn principal(&self, diff: &Diff<'_>) -> (Kind, String) {
        let srn = |kind: Kind, id: &str| {
            (kind, format!("srn:{}::{}:::scp-iam:{}/{id}", diff.catalogue.offering().as_str(), diff.caller.account(), type_of(&kind)))
        };
        match diff.caller {
            Caller::One { principal, .. } => srn(principal.kind, principal.id),
            Caller::AnyOf { .. } => {
                let under = |wanted: GlobalKey| {
                    self.context.iter().find(|(key, _)| **key == Key::Global(wanted)).map(|(_, values)| values.as_slice())
                };
                match (under(GlobalKey::UserId), under(GlobalKey::UserName)) {
                    (Some([]), _) | (_, Some([])) => srn(Kind::Role, "anybody"),
                    // Policies of resources name principals without wildcards.
                    (Some([Some(id)]), _) if !id.contains(['*', '?']) => srn(Kind::User, id),
                    (_, _) => srn(Kind::User, "anybody"),
                }
            }
        }
    }
}

impl Witness {
    /// Whether one of the two sides allows it; `None` when it is no request.
    fn allows(&self, diff: &Diff<'_>, side: Side) -> Option<bool> {
        let case = Decision::of(&self.case("witness", &[], true))?;
        let held = Held::load(&case, diff.catalogue);
        if !held.complaints().is_empty() {
            return None;
        }
        let identity = match side {
            Side::Before => diff.before,
            Side::After => diff.after,
        };
        let decided = held.with(&case, diff.catalogue, |request, policies| {
            evaluate(request, &Policies::identity(identity).with_resource(policies.resource))
        });
        decided.ok().map(|verdict| Decided::Verdict(verdict).allows())
    }
}

/// The policy of a resource, or of a role, that allows an action to a principal.
pub(super) fn grant(principal: &str, action: &str) -> Node {
    map(vec![
        ("Version", text(LANGUAGE_VERSION)),
        (
            "Statement",
            map(vec![
                ("Effect", text("Allow")),
                ("Principal", map(vec![("scp", list(vec![text(principal)]))])),
                ("Action", list(vec![text(action)])),
                ("Resource", list(vec![text("*")])),
            ]),
        ),
    ])
}

fn srn(diff: &Diff<'_>, resource: &MadeUp<'_>) -> String {
    let kind = diff.catalogue.resource_type(resource.taken.kind);
    Srn {
        offering: diff.catalogue.offering().as_str(),
        account: &resource.account,
        region: &resource.region,
        service_type: &kind.service_type,
        resource_type: &kind.name,
        resource_id: &resource.id,
    }
    .to_string()
}

fn described(diff: &Diff<'_>, resource: &MadeUp<'_>, srn: &str) -> Node {
    let (mut tags, mut attributes) = (Vec::new(), Vec::new());
    for (key, values) in resource.values.iter().filter(|(_, values)| !values.is_empty()) {
        match key {
            Key::ResourceTag(name) => tags.push((name.written().to_owned(), written(values))),
            Key::Attribute(attribute) => attributes.push((diff.catalogue.attribute(attribute.id).name.to_string(), written(values))),
            Key::Global(_) | Key::RequestTag(_) | Key::RequestAttribute(_) | Key::Undefined(_) => {}
        }
    }
    let mut members = vec![("srn", text(srn))];
    if !tags.is_empty() {
        members.push(("tags", named(tags)));
    }
    if !attributes.is_empty() {
        members.push(("attributes", named(attributes)));
    }
    map(members)
}

/// Values as a case writes them: one alone, or several as a list; what cannot be compared as an object.
fn written(values: &[Value]) -> Node {
    let one = |value: &Value| value.as_deref().map_or_else(|| map(Vec::new()), text);
    match values {
        [only] => one(only),
        several => list(several.iter().map(one).collect()),
    }
}

const fn kind_of(kind: &Kind) -> &'static str {
    match kind {
        Kind::Root => "root",
        Kind::User => "user",
        Kind::Role => "role",
        Kind::ServiceAccount => "service-account",
        Kind::Service => "service",
        Kind::Provider => "provider",
    }
}

/// The type in the SRN of such a principal.
const fn type_of(kind: &Kind) -> &'static str {
    match kind {
        Kind::Root => "user",
        Kind::User | Kind::Role | Kind::ServiceAccount | Kind::Service | Kind::Provider => kind_of(kind),
    }
}

fn node(value: Tree) -> Node {
    Node { span: Span::default(), value }
}

fn text(text: &str) -> Node {
    node(Tree::String(text.into()))
}

fn list(items: Vec<Node>) -> Node {
    node(Tree::List(items))
}

fn map(members: Vec<(&str, Node)>) -> Node {
    named(members.into_iter().map(|(name, node)| (name.to_owned(), node)).collect())
}

fn named(members: Vec<(String, Node)>) -> Node {
    node(Tree::Map(members.into_iter().map(|(name, node)| (Name { text: name.into(), span: Span::default() }, node)).collect()))
}
