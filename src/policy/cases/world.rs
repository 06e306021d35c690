//! The catalogue of a case file, written out in the file.

use super::{Case, PlaceOf, WorldRef};
use crate::policy::catalogue::{Attribute, Catalogue, CatalogueBuilder, ValueType};
use crate::source::Cursor;
use crate::types::{AccessLevel, Srn};

/// The account that the policies of validation cases belong to.
pub(super) const ACCOUNT: &str = "00000000000000000000000000000000";

/// Reads `catalog`. What only the cases name (a type of resource that no action acts on) exists as well.
pub(super) fn read(at: &Cursor<'_>, cases: &[Case]) -> Option<WorldRef> {
    let table = at.table()?;
    let definitions = table.optional("definitions", |folder| folder.string())?;
    if let Some(folder) = definitions {
        table.finish()?;
        return Some(WorldRef::Definitions(folder));
    }
    let mut builder = Catalogue::builder(table.or("offering", "e".parse().ok()?, |offering| offering.parse("write `offering: e`"))?);
    let services = table.required("services", "write `services: [{service: iam, service_type: scp-iam}]`", |services| {
        services.list(|one| service(&one, &mut builder))
    });
    let common = table.or("common_services", Vec::new(), |services| services.list(|one| one.string()));
    services?;
    common?.iter().for_each(|service| builder.common(service));
    let levels = table.or("access_levels", Vec::new(), |levels| {
        levels.entries(|name, _, level| Some((name.to_owned(), level.parse::<AccessLevel>("write a level such as `Read`")?)))
    })?;
    let actions = table.required("actions", "write `actions: {\"iam:showUser\": [\"iam:user\"]}`", |actions| {
        actions.entries(|name, _, kinds| action(name, &kinds, &levels, &mut builder))
    });
    let definitions = table.or("resource_definitions", Vec::new(), |all| all.list(|one| definition(&one, &mut builder)));
    let _ = table.take("root_users");
    table.finish()?;
    actions?;
    definitions?;
    declare_named(cases, &mut builder);
    Some(WorldRef::Inline(Box::new(builder.build())))
}

fn service(at: &Cursor<'_>, builder: &mut CatalogueBuilder) -> Option<()> {
    let table = at.table()?;
    let name = table.required("service", "write `service: iam`", |name| name.string());
    let service_type = table.optional("service_type", |name| name.string());
    let aliases = table.or("aliases", Vec::new(), |all| all.list(|one| one.string()));
    let prefixes = table.or("condition_prefixes", Vec::new(), |all| all.list(|one| one.string()));
    table.finish()?;
    let (name, aliases, prefixes) = (name?, aliases?, prefixes?);
    let service_type = service_type?.unwrap_or_else(|| name.clone());
    let aliases: Vec<&str> = aliases.iter().map(String::as_str).collect();
    let declared = builder.service(&name, &service_type, &aliases);
    let declared = declared.and_then(|()| prefixes.iter().try_for_each(|prefix| builder.condition_prefix(&service_type, prefix)));
    declared.map_err(|error| at.error(error)).ok()
}

fn action(name: &str, kinds: &Cursor<'_>, levels: &[(String, AccessLevel)], builder: &mut CatalogueBuilder) -> Option<()> {
    let kinds_found = kinds.list(|kind| {
        let found = builder.resource_type(&kind.string()?);
        found.map_err(|error| kind.error(error)).ok()
    })?;
    let level = levels.iter().find(|(known, _)| known == name).map_or_else(|| level_of(name), |(_, level)| *level);
    let parsed = name.parse().map_err(|error| kinds.error(error)).ok()?;
    builder.action(parsed, level, &kinds_found).map_err(|error| kinds.error(error)).ok().map(|_| ())
}

/// What the verb in an action's name says about its level, where `access_levels` says nothing.
fn level_of(action: &str) -> AccessLevel {
    let name = action.split_once(':').map_or(action, |(_, name)| name).to_ascii_lowercase();
    let verbs = [
        (&["list"][..], AccessLevel::List),
        (&["show", "get", "download", "describe"], AccessLevel::Read),
        (&["create"], AccessLevel::Create),
        (&["delete", "remove"], AccessLevel::Delete),
    ];
    let found = verbs.iter().find(|(verbs, _)| verbs.iter().any(|verb| name.starts_with(verb)));
    found.map_or(AccessLevel::Update, |(_, level)| *level)
}

fn definition(at: &Cursor<'_>, builder: &mut CatalogueBuilder) -> Option<()> {
    let table = at.table()?;
    let service_type = table.required("service_type", "write `service_type: scp-iam`", |name| name.string());
    let resource_type = table.required("resource_type", "write `resource_type: user`", |name| name.string());
    let spelling = format!("{}:{}", service_type?, resource_type?);
    let kind = builder.resource_type(&spelling).map_err(|error| at.error(error)).ok()?;
    let attributes = table.or("attributes", Vec::new(), |all| {
        all.entries(|name, _, attribute| {
            let table = attribute.table()?;
            let holds = table.or("type", ValueType::Text, |word| word.one_of(&ValueType::ALL));
            let abac = table.or("abac", false, |abac| abac.boolean());
            let declared = Attribute { kind, name: name.into(), holds: holds?, abac: abac? };
            builder.attribute(declared).map_err(|error| attribute.error(error)).ok()
        })
    });
    attributes.map(|_| ())
}

/// Declares the types of all resources that the cases name.
fn declare_named(cases: &[Case], builder: &mut CatalogueBuilder) {
    let mut declare = |text: &str| {
        let Ok(srn) = Srn::parse(text) else { return };
        let spelling = format!("{}:{}", srn.service_type, srn.resource_type);
        if builder.resource_type(&spelling).is_err() && builder.service(srn.service_type, srn.service_type, &[]).is_ok() {
            // A name that is no word stays unknown, and so does the resource.
            let _ = builder.resource_type(&spelling);
        }
    };
    for case in cases {
        match &case.kind {
            super::Kind::Decision(decision) => decision.srns().for_each(&mut declare),
            super::Kind::Validation(validation) => match &validation.place {
                PlaceOf::Identity => {}
                PlaceOf::Attached(srn) => declare(srn),
            },
        }
    }
}
