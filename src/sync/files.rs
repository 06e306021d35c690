//! File mode: accounts, users, policies, keys and definitions from YAML files (contracts C14).

use std::path::Path;

use crate::config::files::beside;
use crate::config::{Files, GatewayConfig, Secrets};
use crate::snapshot::wire::{self, DocumentRef, Place, Record};
use crate::snapshot::{Builder, Snapshot};
use crate::source::{Cursor, Node, Report, Source, Value};
use crate::types::{Revision, Secret};

/// What the files of a configuration say.
#[derive(Debug)]
pub struct Loaded {
    /// The snapshot.
    pub snapshot: Snapshot,
    /// The identity keys of the upstreams, in the order of the services.
    pub identity_keys: Vec<Secret>,
}

/// Reads everything that `config` names; `None` when anything had an error. All errors go to the report.
#[must_use]
pub fn load(config: &GatewayConfig, files: &Files, report: &Report) -> Option<Loaded> {
    let secrets = Secrets::new(files, config.identity.sealing_key.as_ref(), config.loopback_only(), report);
    let mut builder = Builder::new(config.offering.clone(), report);
    for path in Files::expand(&config.identity.definitions, report) {
        let Some((source, documents)) = files.read_yaml(&path, report) else { continue };
        for document in &documents {
            add_definition(&mut builder, &Cursor::new(document, &source, report));
        }
    }
    for path in Files::expand(&config.identity.records, report) {
        let Some((source, documents)) = files.read_yaml(&path, report) else { continue };
        for document in &documents {
            add_records(&mut builder, document, &Loader { files, secrets: &secrets, source: &source, report });
        }
    }
    let identity_keys: Vec<Option<Secret>> = config
        .services
        .iter()
        .map(|service| {
            let owner = format!("upstream/{}", service.name);
            secrets.open(&service.upstream.identity_key, &owner, &service.source, service.upstream.identity_key_span, report)
        })
        .collect();
    let revision = Revision::File(first_six(files.fingerprint()));
    let snapshot = builder.build(revision)?;
    check_services(config, &snapshot, report);
    if report.has_errors() {
        return None;
    }
    Some(Loaded { snapshot, identity_keys: identity_keys.into_iter().collect::<Option<_>>()? })
}

fn first_six(hash: [u8; 32]) -> [u8; 6] {
    let [a, b, c, d, e, f, ..] = hash;
    [a, b, c, d, e, f]
}

struct Loader<'a> {
    files: &'a Files,
    secrets: &'a Secrets<'a>,
    source: &'a Source,
    report: &'a Report,
}

fn add_definition(builder: &mut Builder<'_>, cursor: &Cursor<'_>) {
    let kind = cursor.node().get("kind").map(|kind| &kind.value);
    match kind {
        Some(Value::String(kind)) if &**kind == wire::ACTION_DEFINITION => {
            if let Some(definition) = wire::ActionDefinition::decode(cursor) {
                builder.definition(definition);
            }
        }
        Some(Value::String(kind)) if &**kind == wire::RESOURCE_DEFINITION => {
            cursor.warning("resource attributes are not used yet", "conditions on attributes are refused until they are");
        }
        Some(_) | None => cursor.error_hint(
            "this is no definition",
            format!("start the document with `kind: {}` or `kind: {}`", wire::ACTION_DEFINITION, wire::RESOURCE_DEFINITION),
        ),
    }
}

fn add_records(builder: &mut Builder<'_>, document: &Node, loader: &Loader<'_>) {
    let cursor = Cursor::new(document, loader.source, loader.report);
    if document.value == Value::Null {
        return;
    }
    let _ = cursor.list(|item| {
        if let Some(record) = Record::decode(&item) {
            add_record(builder, record, Place::of(&item), loader);
        }
        Some(())
    });
}

fn add_record(builder: &mut Builder<'_>, record: Record, place: Place, loader: &Loader<'_>) {
    match record {
        Record::Account(account) => builder.account(account, place),
        Record::User(user) => builder.user(user, place),
        Record::Group(group) => builder.group(group, place),
        Record::Membership { group, user } => builder.membership(group, user, place),
        Record::Attachment { policy, to } => builder.attachment(policy, to, place),
        Record::KeySecurity { user, allowed_addresses } => builder.key_security(user, allowed_addresses, place),
        Record::AccessKey(key) => {
            let owner = key.seal_owner();
            if let Some(secret) = loader.secrets.open(&key.secret, &owner, &place.source, place.span, loader.report) {
                builder.access_key(key, secret, place);
            }
        }
        Record::Policy(policy) => {
            let document = match &policy.document {
                DocumentRef::Text(text) => {
                    Some(Source::new(format!("{} (document of policy `{}`)", place.source.name(), policy.name), text.as_str()))
                }
                DocumentRef::File(file) => {
                    let path = beside(Path::new(&**place.source.name()), file);
                    match loader.files.read(&path) {
                        Ok(text) => Some(Source::new(path.display().to_string(), text)),
                        Err(message) => {
                            let message = format!("the policy document `{}`: {message}", path.display());
                            loader.report.error(
                                &place.source,
                                place.span,
                                message,
                                Some("write the document into that file, or correct the name".to_owned()),
                            );
                            None
                        }
                    }
                }
            };
            if let Some(document) = document {
                builder.policy(policy, document, place);
            }
        }
    }
}

/// What services say about definitions must fit the definitions that exist.
fn check_services(config: &GatewayConfig, snapshot: &Snapshot, report: &Report) {
    for service in &config.services {
        let error = |message: String, hint: String| report.error(&service.source, service.span, message, Some(hint));
        let mut public = Vec::new();
        for name in &service.definitions {
            match snapshot.definition(name) {
                Some(definition) => public.extend_from_slice(definition.public()),
                None => {
                    let known: Vec<&str> = snapshot.defined_services().collect();
                    let hint = match crate::source::nearest(name, known.iter().copied()) {
                        Some(near) => format!("did you mean `{near}`?"),
                        None => "write `definitions: [NAME]`, the `service` of an action definition".to_owned(),
                    };
                    error(format!("`services.{}`: no action definition has the service `{name}`", service.name), hint);
                }
            }
        }
        for (method, template) in &service.public_routes {
            if !public.iter().any(|(other, path)| other == method && **path == **template) {
                let hint = "a public route needs `authentication: none` in its definition as well".to_owned();
                error(format!("`services.{}`: no definition makes `{method} {template}` public", service.name), hint);
            }
        }
        for (method, template) in &public {
            if !service.public_routes.iter().any(|(other, path)| other == method && **path == **template) {
                let message =
                    format!("`services.{}`: `{method} {template}` is defined without authentication but still asks for it", service.name);
                let hint = format!("list it to make it public: `public_routes: [\"{method} {template}\"]`");
                report.warning(&service.source, service.span, message, Some(hint));
            }
        }
    }
}
