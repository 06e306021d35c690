//! A service's action definitions, compiled: what a method and path is, and which resources it touches.

use std::sync::Arc;

use http::Method;

use super::accessor::Expression;
use super::routes::{Parameters, Routes};
use crate::policy::{Accessor, ActionId, ResourceTypeId};
use crate::types::Path;

/// Whether a credential is required.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authentication {
    /// A credential is required.
    Required,
    /// A credential is required, and either kind of access key will do whatever its owner's security setting says: how else would
    /// somebody get a temporary key who may use nothing else?
    AnyKey,
    /// A public route; the service's configuration must list it as well.
    None,
}

/// Who decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decide {
    /// The gateway, by policies.
    Gateway,
    /// The backend; the gateway only authenticates.
    Backend,
}

/// How to find the resources of an operation in a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResourceTemplate {
    /// Of a known type, with an expression for the id or ids.
    Typed {
        /// The type.
        kind: ResourceTypeId,
        /// The id or ids.
        id: Expression,
    },
    /// Whole SRNs from the request.
    Srn(Expression),
}

/// What a method on a path template is.
#[derive(Debug)]
pub struct Operation {
    /// The method.
    pub method: Method,
    /// The path template, for people.
    pub template: Arc<str>,
    /// The name in the query that tells it from others of its path.
    pub subresource: Option<Box<str>>,
    /// The action; `None` only on public routes.
    pub action: Option<ActionId>,
    /// Whether a credential is required.
    pub authentication: Authentication,
    /// Who decides.
    pub decide: Decide,
    /// The resources it touches.
    pub resources: Box<[ResourceTemplate]>,
    /// Whose account the resources belong to.
    pub account: Expression,
    /// The region of the resources.
    pub region: Expression,
    /// Whether an expression reads the body.
    pub needs_body: bool,
    /// The names of the template's parameters, in its order.
    pub parameters: Box<[Box<str>]>,
    /// Where the tags stand that a request brings.
    pub request_tags: Option<Accessor>,
}

/// The action definitions of one service.
#[derive(Debug)]
pub struct ServiceDefinition {
    /// Prefix of its action names.
    pub service: Box<str>,
    /// Canonical service type of its resources.
    pub service_type: Box<str>,
    pub(super) routes: Routes<Operation>,
    pub(super) operations: usize,
    pub(super) public: Vec<(Method, Arc<str>)>,
}

impl ServiceDefinition {
    /// The operation of a method on a path, and on what a name in the query says of it. `HEAD` is `GET` where a template does not define it by itself.
    #[must_use]
    pub fn find<'d, 'p>(
        &'d self,
        method: &Method,
        path: &'p Path<'_>,
        subresource: Option<&str>,
    ) -> Option<(&'d Operation, Parameters<'p>)> {
        self.routes.find(path, |operation| match &operation.method {
            _ if operation.subresource.as_deref() != subresource => None,
            own if own == method => Some(0),
            own if *own == Method::GET && *method == Method::HEAD => Some(1),
            _ => None,
        })
    }

    /// How many operations are defined.
    #[must_use]
    pub fn operations(&self) -> usize {
        self.operations
    }

    /// The methods and templates defined with `authentication: none`.
    #[must_use]
    pub fn public(&self) -> &[(Method, Arc<str>)] {
        &self.public
    }
}
