//! The action definitions of our own services, printed from the table of routes (contracts C6).

use std::fmt::Write as _;

use super::router::{Audience, ROUTES};
use crate::snapshot::wire::ACTION_DEFINITION;

struct Service {
    /// The prefix of the actions.
    name: &'static str,
    service_type: &'static str,
    /// Another spelling of the service type.
    alias: &'static str,
    /// Whose a resource is. The operator works on all accounts, in the operator's own.
    account: &'static str,
}

const SERVICES: [Service; 3] = [
    Service { name: "iam", service_type: "scp-iam", alias: "iam", account: "path['account_id'] ?? principal" },
    Service { name: "sts", service_type: "scp-sts", alias: "sts", account: "principal" },
    Service { name: "portcullis", service_type: "portcullis", alias: "scp-portcullis", account: "principal" },
];

/// The definitions of our own services, as YAML.
pub(super) fn print_all() -> Vec<(&'static str, String)> {
    SERVICES.iter().map(|service| (service.name, print(service))).collect()
}

fn print(service: &Service) -> String {
    let Service { name, service_type, alias, account } = service;
    let mut text = format!(
        "kind: {ACTION_DEFINITION}\nservice: {name}\nservice_type: {service_type}\naliases: [{alias}]\naccount: \"{account}\"\npaths:\n"
    );
    let routes = ROUTES.iter().filter(|route| route.action.split_once(':').is_some_and(|(prefix, _)| prefix == *name));
    let mut template = "";
    for route in routes {
        if route.template != template {
            template = route.template;
            let _ = writeln!(text, "  \"{template}\":");
        }
        let method = route.method.as_str().to_lowercase();
        let _ = write!(text, "    {method}: {{action: {}, access_level: {}", route.action, route.level);
        text.push_str(match route.audience {
            Audience::Public(_) | Audience::Login(_) => ", authentication: none",
            Audience::AnyKey(_) => ", authentication: any_key",
            Audience::Handled(_) => ", decide: backend",
            Audience::Everybody(_) | Audience::Operator(_) => "",
        });
        for (index, (kind, id)) in route.resources.iter().enumerate() {
            let before = if index == 0 { ", resources: [" } else { ", " };
            let _ = write!(text, "{before}{{\"{kind}\": {{resource_id: \"{id}\"}}}}");
        }
        text.push_str(if route.resources.is_empty() { "}\n" } else { "]}\n" });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::Builder;
    use crate::snapshot::wire::{ActionDefinition, Definition};
    use crate::source::{Cursor, Report, Source, yaml};
    use crate::types::Revision;

    #[test]
    fn the_printed_definitions_read_back_whole() {
        let report = Report::new();
        let mut builder = Builder::new("e".parse().unwrap(), &report);
        let mut methods = 0;
        for (service, text) in print_all() {
            let source = Source::new(service, text);
            let documents = yaml::parse(&source).unwrap();
            let definition = ActionDefinition::decode(&Cursor::new(&documents[0], &source, &report));
            let definition = definition.unwrap_or_else(|| panic!("{report}"));
            methods += definition.paths.iter().map(|path| path.methods.len()).sum::<usize>();
            builder.definition(Definition::Actions(definition));
        }
        assert!(builder.build(Revision::File([0; 6])).is_some(), "{report}");
        assert_eq!(methods, ROUTES.len());
    }
}
