//! The table of routes: what the API serves, what the gateway is told about it, and who handles it.
//!
//! Paths are read and found as the gateway reads and finds them, so that what was authorised is what is done.

use std::future::Future;
use std::pin::Pin;

use http::Method;

use super::call::{Answer, Call};
use super::error::ApiError;
use super::{access_keys, groups, settings, users};
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
const USERS: (&str, &str) = ("iam:user", "body['user_ids'][*]");
const KEY: (&str, &str) = ("iam:access-key", "path['access_key_id']");
const KEYS: (&str, &str) = ("iam:access-key", "body['ids'][*]");
const ACCOUNT: (&str, &str) = ("iam:account", "path['account_id']");

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
    route(Method::POST, "/v1/access-keys", "iam:CreateAccessKey", Create, &[], |call| Box::pin(access_keys::create(call))),
    route(Method::DELETE, "/v1/access-keys/bulk", "iam:DeleteBulkAccessKey", Delete, &[KEYS], |call| {
        Box::pin(access_keys::delete_bulk(call))
    }),
    route(Method::GET, "/v1/access-keys/{access_key_id}", "iam:ShowAccessKey", Read, &[KEY], |call| Box::pin(access_keys::show(call))),
    route(Method::PUT, "/v1/access-keys/{access_key_id}", "iam:SetAccessKey", Update, &[KEY], |call| Box::pin(access_keys::set(call))),
    route(Method::DELETE, "/v1/access-keys/{access_key_id}", "iam:DeleteAccessKey", Delete, &[KEY], |call| {
        Box::pin(access_keys::delete(call))
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

#[cfg(test)]
mod tests {
    use super::*;

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
