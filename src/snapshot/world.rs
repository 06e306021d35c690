//! What exists to be allowed: the catalogue of actions and the routes that lead to them, compiled from definitions.

use std::collections::HashMap;
use std::fmt::Display;
use std::sync::Arc;

use super::accessor::Expression;
use super::attribute::AttributeSource;
use super::definition::{Authentication, Decide, Operation, ResourceTemplate, ServiceDefinition};
use super::routes::{self, Routes, parameter_names};
use super::wire::{self, MethodDefinition, Place, ResourceDefinitionRef, Text};
use crate::policy::{Attribute, AttributeId, Catalogue, CatalogueBuilder, ResourceTypeId};
use crate::source::{Report, Severity};
use crate::types::Offering;

/// All definitions, compiled together.
#[derive(Debug)]
pub(super) struct World {
    pub(super) catalogue: Catalogue,
    pub(super) definitions: HashMap<Box<str>, Arc<ServiceDefinition>>,
    pub(super) sources: HashMap<ResourceTypeId, Sources>,
}

/// Where the tags and attributes of a type of resource come from.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// Its tags; `None` when nobody can be asked for them.
    pub tags: Option<AttributeSource>,
    /// Its attributes.
    pub attributes: HashMap<AttributeId, AttributeSource>,
}

/// Collects definitions, then compiles them.
pub(super) struct WorldBuilder<'r> {
    report: &'r Report,
    catalogue: CatalogueBuilder,
    definitions: Vec<wire::ActionDefinition>,
    resources: Vec<wire::ResourceDefinition>,
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
        Self { report, catalogue: Catalogue::builder(offering), definitions: Vec::new(), resources: Vec::new(), failed: false }
    }

    /// Adds a definition.
    pub(super) fn add(&mut self, definition: wire::Definition) {
        match definition {
            wire::Definition::Actions(definition) => self.add_actions(definition),
            wire::Definition::Resource(definition) => self.resources.push(definition),
        }
    }

    fn add_actions(&mut self, definition: wire::ActionDefinition) {
        let aliases: Vec<&str> = definition.aliases.iter().map(String::as_str).collect();
        let service_type = &definition.service_type;
        let declared = self.catalogue.service(&definition.service, service_type, &aliases);
        let mut prefixes = definition.condition_prefixes.iter();
        let declared = declared.and_then(|()| prefixes.try_for_each(|prefix| self.catalogue.condition_prefix(service_type, prefix)));
        if let Err(error) = declared {
            self.failed = true;
            let hint = "a `service`, `service_type`, one of `aliases` or of `condition_prefixes` stands in another definition too; \
                        keep it in one of them";
            self.error(&definition.place, error, hint);
            return;
        }
        if definition.common {
            self.catalogue.common(&definition.service);
        }
        self.definitions.push(definition);
    }

    /// What was compiled, and whether that is everything: errors went to the report.
    pub(super) fn build(mut self) -> (World, bool) {
        let before = self.report.count(Severity::Error);
        let definitions = self.compile_definitions();
        let sources = self.compile_resources();
        let whole = !self.failed && self.report.count(Severity::Error) == before;
        (World { catalogue: self.catalogue.build(), definitions, sources }, whole)
    }

    fn compile_resources(&mut self) -> HashMap<ResourceTypeId, Sources> {
        let mut compiled: HashMap<ResourceTypeId, Sources> = HashMap::new();
        for definition in std::mem::take(&mut self.resources) {
            let spelling = format!("{}:{}", definition.service_type.text, definition.resource_type);
            let kind = match self.catalogue.resource_type(&spelling) {
                Ok(kind) => kind,
                Err(error) => {
                    self.error(&definition.service_type.place, error, "name the `service_type` of an action definition");
                    continue;
                }
            };
            if compiled.contains_key(&kind) {
                let message = format!("the resource type `{spelling}` is defined already");
                self.error(&definition.place, message, "keep one definition of a type, with all its attributes");
                continue;
            }
            let mut sources = Sources { tags: definition.tags, attributes: HashMap::new() };
            for attribute in definition.attributes {
                let declared = Attribute { kind, name: attribute.name.into(), holds: attribute.holds, abac: attribute.abac };
                match (self.catalogue.attribute(declared), attribute.source) {
                    (Ok(id), Some(source)) => {
                        sources.attributes.insert(id, source);
                    }
                    (Ok(_), None) => {}
                    (Err(error), _) => {
                        self.error(&attribute.place, error, "give the attributes of a service's resources names of their own")
                    }
                }
            }
            compiled.insert(kind, sources);
        }
        compiled
    }

    fn error(&self, place: &Place, message: impl Display, hint: impl Into<String>) {
        self.report.error(&place.source, place.span, message.to_string(), Some(hint.into()));
    }

    fn compile_definitions(&mut self) -> HashMap<Box<str>, Arc<ServiceDefinition>> {
        let mut compiled: HashMap<Box<str>, ServiceDefinition> = HashMap::new();
        for definition in std::mem::take(&mut self.definitions) {
            let mut service = compiled.remove(definition.service.as_str()).unwrap_or_else(|| ServiceDefinition {
                service: definition.service.as_str().into(),
                service_type: definition.service_type.as_str().into(),
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
                if let Some(other) =
                    stored.iter().find(|other| other.method == operation.method && other.subresource == operation.subresource)
                {
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
                    Ok(id) => {
                        if resources.iter().any(|(resource, _)| matches!(resource, ResourceTemplate::Srn(_))) {
                            self.catalogue.any_resource(id);
                        }
                        Some(id)
                    }
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
            subresource: routes::split(template).1.map(Into::into),
            action,
            authentication: match (method.public, method.any_key) {
                (true, _) => Authentication::None,
                (false, true) => Authentication::AnyKey,
                (false, false) => Authentication::Required,
            },
            decide: if method.backend_decides { Decide::Backend } else { Decide::Gateway },
            needs_body: in_resources || account.needs_body() || region.needs_body(),
            parameters: path.names.iter().map(|name| Box::from(*name)).collect(),
            request_tags: method.request_tags.clone(),
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
