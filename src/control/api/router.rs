//! The table of routes: what the API serves, what the gateway is told about it, and who handles it.
//!
//! Paths are read and found as the gateway reads and finds them, so that what was authorised is what is done.

use std::future::Future;
use std::pin::Pin;

use http::Method;

use super::call::{Answer, Call, Visit};
use super::error::ApiError;
use super::{access_keys, accounts, audit, bindings, catalogue, endpoints, groups, policies, roles, sessions, settings, tokens, users};
use crate::config::Endpoint;
use crate::snapshot::Routes;
use crate::snapshot::routes::{TemplateError, parameter_names};
use crate::types::{AccessLevel, Path};
use AccessLevel::{Create, Delete, List, Permission, Read, Update};

type Handled = Pin<Box<dyn Future<Output = Result<Answer, ApiError>> + Send>>;
type Handler = fn(Call) -> Handled;

/// Who may call at all, and who handles it; what they may do there is the gateway's decision.
#[derive(Debug, Clone, Copy)]
pub(super) enum Audience {
    /// Everybody, also without a credential. The handler knows the configuration and nothing else.
    Public(fn(&[Endpoint]) -> Answer),
    /// Everybody, also without a credential: the handler finds out who it is.
    Login(fn(Visit) -> Handled),
    /// Every user, in their own account.
    Everybody(Handler),
    /// The same with either kind of access key, whatever their security setting says; the handler looks at that.
    AnyKey(Handler),
    /// Everybody, also in other accounts: the gateway finds out who calls, and the handler decides what they may do.
    Handled(Handler),
    /// The people of the operator's account.
    Operator(Handler),
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
    /// Who may call at all, and who handles it.
    pub(super) audience: Audience,
}

const GROUP: (&str, &str) = ("iam:group", "path['group_id']");
const TENANT: (&str, &str) = ("portcullis:account", "path['account_id']");
const DEFINITION: (&str, &str) = ("portcullis:definition", "path['service']");
const USER: (&str, &str) = ("iam:user", "path['user_id']");
const POLICY: (&str, &str) = ("iam:policy", "path['policy_id']");
/// Whom `SetPolicyBinding` names. Which type they are of stands in the body, so each counts as both: a `Deny` about one must hold. Where
/// one list is absent or empty, the other stands in for it.
const ADDED: &str = "body['add_ids'][*] ?? body['remove_ids'][*]";
const REMOVED: &str = "body['remove_ids'][*] ?? body['add_ids'][*]";
const BOUND: [(&str, &str); 7] = [
    POLICY,
    ("iam:group", ADDED),
    ("iam:group", REMOVED),
    ("iam:user", ADDED),
    ("iam:user", REMOVED),
    ("iam:role", ADDED),
    ("iam:role", REMOVED),
];
const ROLE: (&str, &str) = ("iam:role", "path['role_id']");
/// Where roles are named instead, the API asks about each by its id.
const ROLES: (&str, &str) = ("iam:role", "body['role_ids'][*] ?? body['role_names'][*]");
/// For records: which role it is, and whether it may be taken, the API finds out.
const TAKEN: (&str, &str) = ("iam:role", "body['role_indicator']");
const GIVEN: (&str, &str) = ("iam:policy", "body['policy_ids'][*]");
const USERS: (&str, &str) = ("iam:user", "body['user_ids'][*]");
const KEY: (&str, &str) = ("iam:access-key", "path['access_key_id']");
const TOKEN: (&str, &str) = ("iam:token", "path['jti']");
const KEYS: (&str, &str) = ("iam:access-key", "body['ids'][*]");
const ACCOUNT: (&str, &str) = ("iam:account", "path['account_id']");

/// THE table. Routes of one template stand together.
pub(super) static ROUTES: &[Route] = &[
    public(Method::GET, "/", "iam:ListVersions", endpoints::versions),
    route(Method::GET, "/v1/endpoints", "iam:ListEndpoints", List, &[], |call| Box::pin(endpoints::list(call))),
    // Groups.
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
    // The audit log and the store's state.
    route(Method::GET, "/portcullis/v1/audit", "iam:ShowAuditLog", Read, &[], |call| Box::pin(audit::list(call))),
    route(Method::GET, "/portcullis/v1/revision", "iam:ShowRevision", Read, &[], |call| Box::pin(audit::revision(call))),
    // Accounts, for the operator.
    operator(Method::GET, "/portcullis/v1/accounts", "portcullis:ListAccounts", List, &[], |call| Box::pin(accounts::list(call))),
    operator(Method::POST, "/portcullis/v1/accounts", "portcullis:CreateAccount", Permission, &[], |call| Box::pin(accounts::create(call))),
    operator(Method::GET, "/portcullis/v1/accounts/{account_id}", "portcullis:ShowAccount", Read, &[TENANT], |call| {
        Box::pin(accounts::show(call))
    }),
    operator(Method::PUT, "/portcullis/v1/accounts/{account_id}", "portcullis:SetAccount", Permission, &[TENANT], |call| {
        Box::pin(accounts::set(call))
    }),
    // Definitions, for the operator.
    operator(Method::GET, "/portcullis/v1/definitions", "portcullis:ListDefinitions", List, &[], |call| Box::pin(catalogue::list(call))),
    operator(Method::GET, "/portcullis/v1/definitions/{service}", "portcullis:ShowDefinition", Read, &[DEFINITION], |call| {
        Box::pin(catalogue::show(call))
    }),
    operator(Method::PUT, "/portcullis/v1/definitions/{service}", "portcullis:SetDefinition", Permission, &[DEFINITION], |call| {
        Box::pin(catalogue::put(call))
    }),
    operator(Method::DELETE, "/portcullis/v1/definitions/{service}", "portcullis:DeleteDefinition", Permission, &[DEFINITION], |call| {
        Box::pin(catalogue::delete(call))
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
    // Roles, and taking one.
    route(Method::GET, "/v1/roles", "iam:ListRoles", List, &[], |call| Box::pin(roles::list(call))),
    route(Method::POST, "/v1/roles", "iam:CreateRole", Create, &[], |call| Box::pin(roles::create(call))),
    route(Method::DELETE, "/v1/roles/bulk", "iam:DeleteBulkRole", Delete, &[ROLES], |call| Box::pin(roles::delete_bulk(call))),
    route(Method::GET, "/v1/roles/{role_id}", "iam:ShowRole", Read, &[ROLE], |call| Box::pin(roles::show(call))),
    route(Method::PUT, "/v1/roles/{role_id}", "iam:SetRole", Update, &[ROLE], |call| Box::pin(roles::set(call))),
    route(Method::DELETE, "/v1/roles/{role_id}", "iam:DeleteRole", Delete, &[ROLE], |call| Box::pin(roles::delete(call))),
    route(Method::GET, "/v1/roles/{role_id}/policy-bindings", "iam:ListRolePolicyBindings", List, &[ROLE], |call| {
        Box::pin(bindings::list_of_role(call))
    }),
    route(Method::POST, "/v1/roles/{role_id}/policy-bindings", "iam:AddRolePolicyBinding", Permission, &[ROLE, GIVEN], |call| {
        Box::pin(bindings::add_to_role(call))
    }),
    route(Method::DELETE, "/v1/roles/{role_id}/policy-bindings", "iam:RemoveBulkRolePolicyBinding", Permission, &[ROLE], |call| {
        Box::pin(bindings::remove_all_from_role(call))
    }),
    route(
        Method::DELETE,
        "/v1/roles/{role_id}/policy-bindings/{policy_id}",
        "iam:RemoveRolePolicyBinding",
        Permission,
        &[ROLE, POLICY],
        |call| Box::pin(bindings::remove_from_role(call)),
    ),
    route(Method::PUT, "/v1/roles/{role_id}/trust-policy", "iam:SetRoleTrustPolicy", Permission, &[ROLE], |call| {
        Box::pin(roles::set_trust(call))
    }),
    route(Method::DELETE, "/portcullis/v1/roles/{role_id}/sessions", "iam:DeleteRoleSessions", Permission, &[ROLE], |call| {
        Box::pin(roles::end_sessions(call))
    }),
    handled(Method::POST, "/v1/assume-role", "sts:AssumeRole", Permission, &[TAKEN], |call| Box::pin(sessions::assume_role(call))),
    // Users.
    route(Method::GET, "/v1/accounts/{account_id}/users", "iam:ListUsers", List, &[], |call| Box::pin(users::list(call))),
    route(Method::POST, "/v1/accounts/{account_id}/users", "iam:CreateUser", Create, &[], |call| Box::pin(users::create(call))),
    route(Method::DELETE, "/v1/accounts/{account_id}/users/bulk", "iam:DeleteBulkUser", Delete, &[USERS], |call| {
        Box::pin(users::delete_bulk(call))
    }),
    route(Method::GET, "/v1/accounts/{account_id}/users/{user_id}", "iam:ShowUser", Read, &[USER], |call| Box::pin(users::show(call))),
    route(Method::PUT, "/v1/accounts/{account_id}/users/{user_id}", "iam:SetUser", Update, &[USER], |call| Box::pin(users::set(call))),
    route(Method::DELETE, "/v1/accounts/{account_id}/users/{user_id}", "iam:DeleteUser", Delete, &[USER], |call| {
        Box::pin(users::delete(call))
    }),
    route(Method::PUT, "/v1/accounts/{account_id}/users/{user_id}/password", "iam:SetUserPassword", Permission, &[USER], |call| {
        Box::pin(users::set_password(call))
    }),
    // The caller's own access keys.
    route(Method::GET, "/v1/access-keys", "iam:ListAccessKey", List, &[], |call| Box::pin(access_keys::list(call))),
    any_key(Method::POST, "/v1/access-keys", "iam:CreateAccessKey", Create, |call| Box::pin(access_keys::create(call))),
    any_key(Method::POST, "/v1/access-keys/send-otp", "iam:SendTemporaryOtpAccessKey", Create, |call| {
        Box::pin(access_keys::send_otp(call))
    }),
    route(Method::DELETE, "/v1/access-keys/bulk", "iam:DeleteBulkAccessKey", Delete, &[KEYS], |call| {
        Box::pin(access_keys::delete_bulk(call))
    }),
    route(Method::GET, "/v1/access-keys/{access_key_id}", "iam:ShowAccessKey", Read, &[KEY], |call| Box::pin(access_keys::show(call))),
    route(Method::PUT, "/v1/access-keys/{access_key_id}", "iam:SetAccessKey", Update, &[KEY], |call| Box::pin(access_keys::set(call))),
    route(Method::DELETE, "/v1/access-keys/{access_key_id}", "iam:DeleteAccessKey", Delete, &[KEY], |call| {
        Box::pin(access_keys::delete(call))
    }),
    route(Method::PUT, "/portcullis/v1/access-keys/{access_key_id}/debug", "iam:SetAccessKey", Update, &[KEY], |call| {
        Box::pin(access_keys::debug(call))
    }),
    // Other users' access keys, and settings.
    route(Method::GET, "/portcullis/v1/users/{user_id}/access-keys", "iam:ListUserAccessKeys", Permission, &[USER], |call| {
        Box::pin(access_keys::list_of(call))
    }),
    route(Method::POST, "/portcullis/v1/users/{user_id}/access-keys", "iam:CreateUserAccessKey", Permission, &[USER], |call| {
        Box::pin(access_keys::create_of(call))
    }),
    route(
        Method::PUT,
        "/portcullis/v1/users/{user_id}/access-keys/{access_key_id}",
        "iam:SetUserAccessKey",
        Permission,
        &[USER, KEY],
        |call| Box::pin(access_keys::set_of(call)),
    ),
    route(
        Method::DELETE,
        "/portcullis/v1/users/{user_id}/access-keys/{access_key_id}",
        "iam:DeleteUserAccessKey",
        Permission,
        &[USER, KEY],
        |call| Box::pin(access_keys::delete_of(call)),
    ),
    route(
        Method::PUT,
        "/portcullis/v1/users/{user_id}/access-keys/{access_key_id}/debug",
        "iam:SetKeySecurity",
        Permission,
        &[USER, KEY],
        |call| Box::pin(access_keys::debug_of(call)),
    ),
    route(Method::GET, "/portcullis/v1/users/{user_id}/key-security", "iam:ShowKeySecurity", Permission, &[USER], |call| {
        Box::pin(settings::key_security(call))
    }),
    route(Method::PUT, "/portcullis/v1/users/{user_id}/key-security", "iam:SetKeySecurity", Permission, &[USER], |call| {
        Box::pin(settings::set_key_security(call))
    }),
    route(Method::GET, "/portcullis/v1/users/{user_id}/console-access", "iam:ShowConsoleAccess", Permission, &[USER], |call| {
        Box::pin(settings::user_console(call))
    }),
    route(Method::PUT, "/portcullis/v1/users/{user_id}/console-access", "iam:SetConsoleAccess", Permission, &[USER], |call| {
        Box::pin(settings::set_user_console(call))
    }),
    route(
        Method::GET,
        "/portcullis/v1/accounts/{account_id}/console-access",
        "iam:ShowAccountConsoleAccess",
        Permission,
        &[ACCOUNT],
        |call| Box::pin(settings::account_console(call)),
    ),
    route(
        Method::PUT,
        "/portcullis/v1/accounts/{account_id}/console-access",
        "iam:SetAccountConsoleAccess",
        Permission,
        &[ACCOUNT],
        |call| Box::pin(settings::set_account_console(call)),
    ),
    // Tokens.
    login(Method::POST, "/portcullis/v1/console-tokens", "iam:CreateConsoleToken", |visit| Box::pin(tokens::log_in(visit))),
    route(Method::POST, "/portcullis/v1/tokens", "iam:CreateToken", Create, &[], |call| Box::pin(tokens::create(call))),
    route(Method::DELETE, "/portcullis/v1/users/{user_id}/tokens", "iam:DeleteUserTokens", Permission, &[USER], |call| {
        Box::pin(tokens::end_all(call))
    }),
    route(Method::DELETE, "/portcullis/v1/users/{user_id}/tokens/{jti}", "iam:DeleteUserToken", Permission, &[USER, TOKEN], |call| {
        Box::pin(tokens::end_one(call))
    }),
];

const fn route(
    method: Method,
    template: &'static str,
    action: &'static str,
    level: AccessLevel,
    resources: &'static [(&'static str, &'static str)],
    handler: Handler,
) -> Route {
    Route { method, template, action, level, resources, audience: Audience::Everybody(handler) }
}

/// A route that leads to a temporary key; test `with_either_kind_of_key_one_gets_only_keys` names all of them.
const fn any_key(method: Method, template: &'static str, action: &'static str, level: AccessLevel, handler: Handler) -> Route {
    Route { method, template, action, level, resources: &[], audience: Audience::AnyKey(handler) }
}

/// A route about which the gateway does not decide; test `the_gateway_leaves_these_to_the_api` names all of them.
const fn handled(
    method: Method,
    template: &'static str,
    action: &'static str,
    level: AccessLevel,
    resources: &'static [(&'static str, &'static str)],
    handler: Handler,
) -> Route {
    Route { method, template, action, level, resources, audience: Audience::Handled(handler) }
}

/// A route for the operator's people.
const fn operator(
    method: Method,
    template: &'static str,
    action: &'static str,
    level: AccessLevel,
    resources: &'static [(&'static str, &'static str)],
    handler: Handler,
) -> Route {
    Route { method, template, action, level, resources, audience: Audience::Operator(handler) }
}

/// A route that asks for no credential; test `the_public_routes_are_these` names all of them.
const fn public(method: Method, template: &'static str, action: &'static str, handler: fn(&[Endpoint]) -> Answer) -> Route {
    Route { method, template, action, level: List, resources: &[], audience: Audience::Public(handler) }
}

/// A route that asks for no credential because it gives one; the same test names it.
const fn login(method: Method, template: &'static str, action: &'static str, handler: fn(Visit) -> Handled) -> Route {
    Route { method, template, action, level: Create, resources: &[], audience: Audience::Login(handler) }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn with_either_kind_of_key_one_gets_only_keys() {
        let routes = ROUTES.iter().filter(|route| matches!(route.audience, Audience::AnyKey(_)));
        let named: Vec<String> = routes.map(|route| format!("{} {}", route.method, route.template)).collect();
        assert_eq!(named, ["POST /v1/access-keys", "POST /v1/access-keys/send-otp"]);
    }

    #[test]
    fn the_public_routes_are_these() {
        let public = ROUTES.iter().filter(|route| matches!(route.audience, Audience::Public(_) | Audience::Login(_)));
        let named: Vec<String> = public.map(|route| format!("{} {}", route.method, route.template)).collect();
        assert_eq!(named, ["GET /", "POST /portcullis/v1/console-tokens"]);
    }

    #[test]
    fn the_gateway_leaves_these_to_the_api() {
        let left = ROUTES.iter().filter(|route| matches!(route.audience, Audience::Handled(_)));
        let named: Vec<String> = left.map(|route| format!("{} {}", route.method, route.template)).collect();
        assert_eq!(named, ["POST /v1/assume-role"]);
    }

    #[test]
    fn every_id_in_a_path_or_a_bulk_body_is_a_resource() {
        for route in ROUTES {
            let names = parameter_names(route.template).unwrap();
            let (method, template) = (&route.method, route.template);
            for name in names.iter().filter(|name| **name != "account_id") {
                let expression = format!("path['{name}']");
                assert!(route.resources.iter().any(|(_, id)| *id == expression), "{method} {template}: {name}");
            }
            let listed = route.resources.iter().any(|(_, id)| id.starts_with("body[") && id.ends_with("[*]"));
            assert!(listed || !template.ends_with("/bulk"), "{method} {template}");
        }
    }
}
