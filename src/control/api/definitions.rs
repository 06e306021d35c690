//! The action definitions of our own services, printed from the table of routes (contracts C6).

use std::fmt::Write as _;

use super::router::{Audience, ROUTES, Route};
use crate::snapshot::wire::ACTION_DEFINITION;

/// Our services: the prefix of the actions, the service type, other spellings.
const SERVICES: [(&str, &str, &[&str]); 2] = [("iam", "scp-iam", &["iam"]), ("portcullis", "portcullis", &[])];

/// The definitions of the services that have routes, as YAML.
pub(super) fn print_all() -> Vec<(&'static str, String)> {
    let of = |service: &str, route: &&Route| route.action.split_once(':').is_some_and(|(prefix, _)| prefix == service);
    let routes = |service: &'static str| ROUTES.iter().filter(move |route| of(service, route));
    let used = SERVICES.iter().filter(|(service, ..)| routes(service).next().is_some());
    used.map(|(service, service_type, aliases)| (*service, print(service, service_type, aliases, routes(service)))).collect()
}

fn print<'a>(service: &str, service_type: &str, aliases: &[&str], routes: impl Iterator<Item = &'a Route>) -> String {
    let aliases = aliases.join(", ");
    let mut text = format!("kind: {ACTION_DEFINITION}\nservice: {service}\nservice_type: {service_type}\naliases: [{aliases}]\npaths:\n");
    let mut template = "";
    for route in routes {
        if route.template != template {
            template = route.template;
            let _ = writeln!(text, "  \"{template}\":");
        }
        let method = route.method.as_str().to_lowercase();
        let _ = write!(text, "    {method}: {{action: {}, access_level: {}", route.action, route.level);
        if matches!(route.audience, Audience::Public(_)) {
            text.push_str(", authentication: none");
        }
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
    use crate::snapshot::wire::ActionDefinition;
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
            builder.definition(definition);
        }
        assert!(builder.build(Revision::File([0; 6])).is_some(), "{report}");
        assert_eq!(methods, ROUTES.len());
    }
}
