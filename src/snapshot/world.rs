//! What exists to be allowed: the catalogue of actions and the routes that lead to them, compiled from definitions.

use std::collections::HashMap;
use std::fmt::Display;
use std::sync::Arc;

use super::accessor::Expression;
use super::definition::{Authentication, Decide, Operation, ResourceTemplate, ServiceDefinition};
use super::routes::{Routes, parameter_names};
use super::wire::{self, MethodDefinition, Place, ResourceDefinitionRef, Text};
use crate::policy::{Catalogue, CatalogueBuilder, ResourceTypeId};
use crate::source::{Report, Severity};
use crate::types::Offering;

/// All definitions, compiled together.
#[derive(Debug)]
pub(super) struct World {
    pub(super) catalogue: Catalogue,
    pub(super) definitions: HashMap<Box<str>, Arc<ServiceDefinition>>,
}

/// Collects definitions, then compiles them.
pub(super) struct WorldBuilder<'r> {
    report: &'r Report,
    catalogue: CatalogueBuilder,
    definitions: Vec<wire::ActionDefinition>,
    failed: bool,
}

/// A path template and the names of its parameters.
struct Template<'a> {
    text: &'a str,
    names: &'a [&'a str],
    /// The parameters of all templates of the definition.
    elsewhere: &'a [&'a str],
}

impl<'r> WorldBuilder<'r> {
    pub(super) fn new(offering: Offering, report: &'r Report) -> Self {
        Self { report, catalogue: Catalogue::builder(offering), definitions: Vec::new(), failed: false }
    }

    /// Adds the action definitions of a service.
    pub(super) fn add(&mut self, definition: wire::ActionDefinition) {
        let aliases: Vec<&str> = definition.aliases.iter().map(String::as_str).collect();
        if let Err(error) = self.catalogue.service(&definition.service, &definition.service_type, &aliases) {
            self.failed = true;
            let hint = "a `service`, `service_type` or one of `aliases` stands in another definition too; keep it in one of them";
            self.error(&definition.place, error, hint);
            return;
        }
        self.definitions.push(definition);
    }

    /// What was compiled, and whether that is everything: errors went to the report.
    pub(super) fn build(mut self) -> (World, bool) {
        let before = self.report.count(Severity::Error);
        let definitions = self.compile_definitions();
        let whole = !self.failed && self.report.count(Severity::Error) == before;
        (World { catalogue: self.catalogue.build(), definitions }, whole)
    }

    fn error(&self, place: &Place, message: impl Display, hint: impl Into<String>) {
        self.report.error(&place.source, place.span, message.to_string(), Some(hint.into()));
    }

    fn compile_definitions(&mut self) -> HashMap<Box<str>, Arc<ServiceDefinition>> {
        let mut compiled: HashMap<Box<str>, ServiceDefinition> = HashMap::new();
        for definition in std::mem::take(&mut self.definitions) {
            let mut service = compiled.remove(definition.service.as_str()).unwrap_or_else(|| ServiceDefinition {
                service: definition.service.as_str().into(),
                routes: Routes::default(),
                operations: 0,
                public: Vec::new(),
            });
            self.compile_definition(&definition, &mut service);
            compiled.insert(service.service.clone(), service);
        }
        compiled.into_iter().map(|(name, service)| (name, Arc::new(service))).collect()
    }

    fn compile_definition(&mut self, definition: &wire::ActionDefinition, service: &mut ServiceDefinition) {
        let elsewhere: Vec<&str> = definition.paths.iter().filter_map(|path| parameter_names(&path.template.text).ok()).flatten().collect();
        for path in &definition.paths {
            let template = &path.template;
            let names = match parameter_names(&template.text) {
                Ok(names) => names,
                Err(error) => {
                    self.error(&template.place, error, "write a template such as `/v1/users/{user_id}`");
                    continue;
                }
            };
            let shared: Arc<str> = template.text.as_str().into();
            for method in &path.methods {
                let Some(operation) =
                    self.operation(definition, method, &shared, &Template { text: &shared, names: &names, elsewhere: &elsewhere })
                else {
                    continue;
                };
                let Ok(stored) = service.routes.at(&template.text) else { continue };
                if let Some(other) = stored.iter().find(|other| other.method == operation.method) {
                    let message = format!("`{} {}` is defined already, as `{}`", method.method, template.text, other.template);
                    self.error(&method.place, message, "keep one of the two; names in braces do not tell paths apart");
                    continue;
                }
                if operation.authentication == Authentication::None {
                    service.public.push((operation.method.clone(), Arc::clone(&shared)));
                }
                service.operations += 1;
                stored.push(operation);
            }
        }
    }

    fn operation(
        &mut self,
        definition: &wire::ActionDefinition,
        method: &MethodDefinition,
        template: &Arc<str>,
        path: &Template<'_>,
    ) -> Option<Operation> {
        let resources: Option<Vec<(ResourceTemplate, Option<ResourceTypeId>)>> =
            method.resources.iter().map(|resource| self.resource(resource, path)).collect();
        let account = self.expression(definition.account.as_ref(), path, path.elsewhere, Expression::principal);
        let region = self.expression(definition.region.as_ref(), path, path.elsewhere, Expression::empty);
        let (resources, account, region) = (resources?, account?, region?);
        let action = match &method.action {
            None => None,
            Some((name, level)) => {
                if name.service() != definition.service {
                    let hint = format!("write `{}:{}`", definition.service, name.name());
                    self.error(&method.place, format!("the action `{name}` does not belong to the service `{}`", definition.service), hint);
                    return None;
                }
                let kinds: Vec<ResourceTypeId> = resources.iter().filter_map(|(_, kind)| *kind).collect();
                match self.catalogue.action(name.clone(), *level, &kinds) {
                    Ok(id) => Some(id),
                    Err(error) => {
                        self.error(&method.place, error, "give an action the same access level wherever it stands");
                        return None;
                    }
                }
            }
        };
        let resources: Box<[ResourceTemplate]> = resources.into_iter().map(|(resource, _)| resource).collect();
        let in_resources = resources.iter().any(|resource| match resource {
            ResourceTemplate::Typed { id, .. } | ResourceTemplate::Srn(id) => id.needs_body(),
        });
        Some(Operation {
            method: method.method.clone(),
            template: Arc::clone(template),
            action,
            authentication: if method.public { Authentication::None } else { Authentication::Required },
            decide: if method.backend_decides { Decide::Backend } else { Decide::Gateway },
            needs_body: in_resources || account.needs_body() || region.needs_body(),
            resources,
            account,
            region,
        })
    }

    fn resource(&mut self, resource: &ResourceDefinitionRef, path: &Template<'_>) -> Option<(ResourceTemplate, Option<ResourceTypeId>)> {
        match resource {
            ResourceDefinitionRef::Srn(text) => {
                self.expression(Some(text), path, &[], Expression::empty).map(|srn| (ResourceTemplate::Srn(srn), None))
            }
            ResourceDefinitionRef::Typed { spelling, resource_id } => {
                let kind = match self.catalogue.resource_type(&spelling.text) {
                    Ok(kind) => Some(kind),
                    Err(error) => {
                        self.error(&spelling.place, error, "write `service:type`, the service as in a definition's `service`");
                        None
                    }
                };
                let id = self.expression(Some(resource_id), path, &[], Expression::empty);
                Some((ResourceTemplate::Typed { kind: kind?, id: id? }, kind))
            }
        }
    }

    fn expression(
        &self,
        text: Option<&Text>,
        path: &Template<'_>,
        elsewhere: &[&str],
        absent: impl Fn() -> Expression,
    ) -> Option<Expression> {
        let Some(text) = text else { return Some(absent()) };
        match Expression::parse_shared(&text.text, path.names, elsewhere) {
            Ok(expression) => Some(expression),
            Err(message) => {
                let message = format!("`{}` in the path `{}`: {message}", text.text, path.text);
                self.error(&text.place, message, wire::expression_hint(path.names));
                None
            }
        }
    }
}
