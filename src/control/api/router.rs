//! The table of routes: what the API serves, what the gateway is told about it, and who handles it.
//!
//! Paths are read and found as the gateway reads and finds them, so that what was authorised is what is done.

use std::future::Future;
use std::pin::Pin;

use http::Method;

use super::call::{Answer, Call};
use super::error::ApiError;
use super::{bindings, groups, policies};
use crate::snapshot::Routes;
use crate::snapshot::routes::{TemplateError, parameter_names};
use crate::types::{AccessLevel, Path};
use AccessLevel::{Create, Delete, List, Permission, Read, Update};

type Handled = Pin<Box<dyn Future<Output = Result<Answer, ApiError>> + Send>>;
type Handler = fn(Call) -> Handled;

/// Who may call at all; what they may do there is the gateway's decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Audience {
    /// Everybody, in their own account.
    Everybody,
    /// The people of the operator's account.
    Operator,
}

/// A route.
pub(super) struct Route {
    /// The method.
    pub(super) method: Method,
    /// The path.
    pub(super) template: &'static str,
    /// The action, whose service is the one before the colon.
    pub(super) action: &'static str,
    /// The action's access level.
    pub(super) level: AccessLevel,
    /// The resources it touches: type, and where the id stands.
    pub(super) resources: &'static [(&'static str, &'static str)],
    /// Who may call at all.
    pub(super) audience: Audience,
    /// Who handles it.
    pub(super) handler: Handler,
}

const GROUP: (&str, &str) = ("iam:group", "path['group_id']");
const USER: (&str, &str) = ("iam:user", "path['user_id']");
const POLICY: (&str, &str) = ("iam:policy", "path['policy_id']");
/// Whom `SetPolicyBinding` names. Which type they are of stands in the body, so each counts as both: a `Deny` about one must hold. Where
/// one list is absent or empty, the other stands in for it.
const ADDED: &str = "body['add_ids'][*] ?? body['remove_ids'][*]";
const REMOVED: &str = "body['remove_ids'][*] ?? body['add_ids'][*]";
const BOUND: [(&str, &str); 5] = [POLICY, ("iam:group", ADDED), ("iam:group", REMOVED), ("iam:user", ADDED), ("iam:user", REMOVED)];
const GIVEN: (&str, &str) = ("iam:policy", "body['policy_ids'][*]");

/// THE table. Routes of one template stand together.
pub(super) static ROUTES: &[Route] = &[
    route(Method::GET, "/v1/groups", "iam:ListGroups", List, &[], |call| Box::pin(groups::list(call))),
    route(Method::POST, "/v1/groups", "iam:CreateGroup", Create, &[], |call| Box::pin(groups::create(call))),
    route(Method::GET, "/v1/groups/{group_id}", "iam:ShowGroup", Read, &[GROUP], |call| Box::pin(groups::show(call))),
    route(Method::PUT, "/v1/groups/{group_id}", "iam:SetGroup", Update, &[GROUP], |call| Box::pin(groups::set(call))),
    route(Method::DELETE, "/v1/groups/{group_id}", "iam:DeleteGroup", Delete, &[GROUP], |call| Box::pin(groups::delete(call))),
    route(Method::GET, "/v1/groups/{group_id}/members", "iam:ListGroupMembers", List, &[GROUP], |call| Box::pin(groups::members(call))),
    route(Method::POST, "/v1/groups/{group_id}/members", "iam:AddGroupMember", Update, &[GROUP, ("iam:user", "body['user_id']")], |call| {
        Box::pin(groups::add_member(call))
    }),
    route(Method::DELETE, "/v1/groups/{group_id}/members/{user_id}", "iam:RemoveGroupMember", Delete, &[GROUP, USER], |call| {
        Box::pin(groups::remove_member(call))
    }),
    // Policies, and who has them.
    route(Method::GET, "/v1/policies", "iam:ListPolicies", List, &[], |call| Box::pin(policies::list(call))),
    route(Method::POST, "/v1/policies", "iam:CreatePolicy", Permission, &[], |call| Box::pin(policies::create(call))),
    route(Method::POST, "/v1/policies/list", "iam:ListPolicies", List, &[], |call| Box::pin(policies::query(call))),
    route(Method::DELETE, "/v1/policies/bulk", "iam:DeleteBulkPolicy", Permission, &[("iam:policy", "body['ids'][*]")], |call| {
        Box::pin(policies::delete_all(call))
    }),
    route(Method::GET, "/v1/policies/{policy_id}", "iam:ShowPolicy", Permission, &[POLICY], |call| Box::pin(policies::show(call))),
    route(Method::PUT, "/v1/policies/{policy_id}", "iam:SetPolicy", Permission, &[POLICY], |call| Box::pin(policies::set(call))),
    route(Method::DELETE, "/v1/policies/{policy_id}", "iam:DeletePolicy", Permission, &[POLICY], |call| Box::pin(policies::delete(call))),
    route(Method::GET, "/v1/policies/{policy_id}/bindings", "iam:ListPolicyBindings", List, &[POLICY], |call| {
        Box::pin(bindings::list(call))
    }),
    route(Method::PUT, "/v1/policies/{policy_id}/bindings", "iam:SetPolicyBinding", Permission, &BOUND, |call| {
        Box::pin(bindings::set(call))
    }),
    route(Method::GET, "/v1/groups/{group_id}/policy-bindings", "iam:ListGroupPolicyBindings", List, &[GROUP], |call| {
        Box::pin(bindings::list_of_group(call))
    }),
    route(Method::POST, "/v1/groups/{group_id}/policy-bindings", "iam:AddGroupPolicyBinding", Permission, &[GROUP, GIVEN], |call| {
        Box::pin(bindings::add_to_group(call))
    }),
    route(
        Method::DELETE,
        "/v1/groups/{group_id}/policy-bindings/{policy_id}",
        "iam:RemoveGroupPolicyBinding",
        Permission,
        &[GROUP, POLICY],
        |call| Box::pin(bindings::remove_from_group(call)),
    ),
    route(Method::GET, "/v1/users/{user_id}/policy-bindings", "iam:ListUserPolicyBindings", List, &[USER], |call| {
        Box::pin(bindings::list_of_user(call))
    }),
    route(Method::POST, "/v1/users/{user_id}/policy-bindings", "iam:AddUserPolicyBinding", Permission, &[USER, GIVEN], |call| {
        Box::pin(bindings::add_to_user(call))
    }),
    route(
        Method::DELETE,
        "/v1/users/{user_id}/policy-bindings/{policy_id}",
        "iam:RemoveUserPolicyBinding",
        Permission,
        &[USER, POLICY],
        |call| Box::pin(bindings::remove_from_user(call)),
    ),
    // End of policies.
];

const fn route(
    method: Method,
    template: &'static str,
    action: &'static str,
    level: AccessLevel,
    resources: &'static [(&'static str, &'static str)],
    handler: Handler,
) -> Route {
    Route { method, template, action, level, resources, audience: Audience::Everybody, handler }
}

/// The table, ready for finding.
pub(super) struct Router(Routes<&'static Route>);

/// A route, and the values of its path's parameters.
pub(super) type Found = (&'static Route, Vec<(&'static str, String)>);

impl Router {
    pub(super) fn new() -> Result<Self, TemplateError> {
        let mut routes = Routes::default();
        for route in ROUTES {
            parameter_names(route.template)?;
            routes.at(route.template)?.push(route);
        }
        Ok(Self(routes))
    }

    /// The route of a method and raw path. `HEAD` is `GET`, as for the gateway.
    pub(super) fn find(&self, method: &Method, raw: &str) -> Result<Found, ApiError> {
        let path = Path::parse(raw)?;
        let rank = |route: &&'static Route| match &route.method {
            own if own == method => Some(0),
            own if *own == Method::GET && *method == Method::HEAD => Some(1),
            _ => None,
        };
        let (route, values) = self.0.find(&path, rank).ok_or(ApiError::NoRoute)?;
        let names = parameter_names(route.template).unwrap_or_default();
        Ok((route, names.into_iter().zip(values.into_iter().map(str::to_owned)).collect()))
    }
}
