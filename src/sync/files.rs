//! File mode: accounts, users, policies, keys and definitions from YAML files (contracts C14).

use std::collections::BTreeMap;
use std::path::Path;

use http::Method;

use super::keys;
use crate::config::files::{NamedPath, beside};
use crate::config::{FileIdentity, Files, GatewayConfig, Identity, Remains, Secrets, Service};
use crate::snapshot::wire::{self, DocumentRef, Place, Record};
use crate::snapshot::{Builder, Snapshot};
use crate::source::{Cursor, Node, Report, Severity, Source, Value, nearest};
use crate::types::{Offering, Revision, UserId};

/// What the files of a configuration say.
#[derive(Debug)]
pub struct Loaded {
    /// The snapshot.
    pub snapshot: Snapshot,
    /// The secrets of the upstreams, in the order of the services.
    pub upstreams: Vec<keys::UpstreamSecrets>,
}

/// Reads everything that `config` and `identity`, a part of it, name; `None` when anything had an error. All errors go to the report.
#[must_use]
pub fn load(config: &GatewayConfig, identity: &FileIdentity, files: &Files, report: &Report) -> Option<Loaded> {
    let named = Named { offering: &config.offering, identity, services: &config.services, loopback_only: config.loopback_only() };
    let loaded = named.read(files, report)?;
    if let Some(example) = &config.example
        && loaded.snapshot.key(example.access_key).is_none()
    {
        let message = format!("there is no access key `{}`, so no example is printed at start", example.access_key);
        report.warning(&example.source, example.span, message, Some("name a key of the records, or remove `example`".to_owned()));
    }
    Some(loaded)
}

/// Reads everything that a configuration with errors names, only to find the errors in there.
pub fn inspect(remains: &Remains, files: &Files, report: &Report) {
    let Remains { offering, identity, services, loopback_only } = remains;
    match identity {
        Identity::Files(identity) => {
            let _ = Named { offering, identity, services, loopback_only: *loopback_only }.read(files, report);
        }
        Identity::Feed(identity) => {
            let _ = keys::open(identity, services, *loopback_only, files, report);
        }
    }
}

/// Reads the definitions of folders and files, and nothing else; `None` when anything had an error.
#[must_use]
pub fn definitions(paths: &[NamedPath], offering: Offering, files: &Files, report: &Report) -> Option<Snapshot> {
    let mut builder = Builder::new(offering, report);
    let before = report.count(Severity::Error);
    read_definitions(paths, &mut builder, files, report)?;
    builder.build(Revision::File(first_six(files.fingerprint()))).filter(|_| report.count(Severity::Error) == before)
}

/// Reads definitions, and records without the secrets of their access keys: who holds which policies. `None` when anything had an
/// error.
#[must_use]
pub fn holdings(definitions: &[NamedPath], records: &[NamedPath], offering: Offering, files: &Files, report: &Report) -> Option<Snapshot> {
    let mut builder = Builder::new(offering, report);
    if read_definitions(definitions, &mut builder, files, report).is_none() {
        builder.unread_definition();
    }
    read_records(records, &mut builder, None, files, report);
    builder.build(Revision::File(first_six(files.fingerprint()))).filter(|_| !report.has_errors())
}

/// The part of a configuration that names other files.
struct Named<'a> {
    offering: &'a Offering,
    identity: &'a FileIdentity,
    services: &'a [Service],
    loopback_only: bool,
}

/// A route of a service's definitions: method, template, whether it is defined without authentication.
type DefinedRoute = (Method, String, bool);
/// The routes of every service that has definitions.
type Defined = BTreeMap<String, Vec<DefinedRoute>>;

impl Named<'_> {
    fn read(&self, files: &Files, report: &Report) -> Option<Loaded> {
        let secrets = Secrets::new(files, self.identity.sealing_key.as_ref(), self.loopback_only, report);
        let mut builder = Builder::new(self.offering.clone(), report);
        match read_definitions(&self.identity.definitions, &mut builder, files, report) {
            Some(defined) => self.services.iter().for_each(|service| check_service(service, &defined, report)),
            None => builder.unread_definition(),
        }
        read_records(&self.identity.records, &mut builder, Some(&secrets), files, report);
        let upstreams = keys::upstream_secrets(self.services, &secrets, report);
        let snapshot = builder.build(Revision::File(first_six(files.fingerprint())))?;
        if report.has_errors() {
            return None;
        }
        Some(Loaded { snapshot, upstreams: upstreams? })
    }
}

/// `None` when a definition could not be read.
fn read_definitions(paths: &[NamedPath], builder: &mut Builder<'_>, files: &Files, report: &Report) -> Option<Defined> {
    let before = report.count(Severity::Error);
    let mut defined = Defined::new();
    for path in Files::expand(paths, report) {
        let Some((source, documents)) = files.read_yaml(&path, report) else { continue };
        for document in documents.iter().filter(|document| document.value != Value::Null) {
            add_definition(builder, &Cursor::new(document, &source, report), &mut defined);
        }
    }
    (report.count(Severity::Error) == before).then_some(defined)
}

/// Without `secrets`, access keys are left out.
fn read_records(paths: &[NamedPath], builder: &mut Builder<'_>, secrets: Option<&Secrets<'_>>, files: &Files, report: &Report) {
    let before = report.count(Severity::Error);
    let paths = Files::expand(paths, report);
    if report.count(Severity::Error) > before {
        builder.unread_record(None);
    }
    for path in paths {
        match files.read_yaml(&path, report) {
            Some((source, documents)) => {
                let loader = Loader { files, secrets, source: &source, report };
                documents.iter().for_each(|document| add_records(builder, document, &loader));
            }
            None => builder.unread_record(None),
        }
    }
}

fn first_six(hash: [u8; 32]) -> [u8; 6] {
    let [a, b, c, d, e, f, ..] = hash;
    [a, b, c, d, e, f]
}

struct Loader<'a> {
    files: &'a Files,
    secrets: Option<&'a Secrets<'a>>,
    source: &'a Source,
    report: &'a Report,
}

fn add_definition(builder: &mut Builder<'_>, cursor: &Cursor<'_>, defined: &mut Defined) {
    let Some(definition) = wire::Definition::decode(cursor) else { return };
    if let wire::Definition::Actions(definition) = &definition {
        let routes = defined.entry(definition.service.clone()).or_default();
        for path in &definition.paths {
            routes.extend(path.methods.iter().map(|method| (method.method.clone(), path.template.text.clone(), method.public)));
        }
    }
    builder.definition(definition);
}

fn add_records(builder: &mut Builder<'_>, document: &Node, loader: &Loader<'_>) {
    if document.value == Value::Null {
        return;
    }
    let cursor = Cursor::new(document, loader.source, loader.report);
    let hint = "start every record with `- kind: account`, or user, group, membership, policy, resource_policy, attachment, access_key, key_security, console_access";
    let items = cursor.advised(hint).list(|item| {
        let item = item.named("");
        match Record::decode(&item) {
            Some(record) => add_record(builder, record, Place::of(&item), loader),
            None => note_unread(builder, item.node()),
        }
        Some(())
    });
    if items.is_none() {
        builder.unread_record(None);
    }
}

/// Notes what may be referred to and could not be read. Nobody refers to memberships, attachments or settings.
fn note_unread(builder: &mut Builder<'_>, record: &Node) {
    let text = |name: &str| match record.get(name).map(|value| &value.value) {
        Some(Value::String(text) | Value::Number(text)) => Some(&**text),
        Some(_) | None => None,
    };
    if matches!(text("kind"), Some("membership" | "resource_policy" | "attachment" | "key_security" | "console_access")) {
        return;
    }
    // The id as it was meant: others may spell it rightly.
    let id = text("id").map(|id| id.replace('-', "").to_ascii_lowercase());
    builder.unread_record(id.as_deref().filter(|id| id.parse::<UserId>().is_ok()));
}

fn add_record(builder: &mut Builder<'_>, record: Record, place: Place, loader: &Loader<'_>) {
    match record {
        Record::Account(account) => builder.account(account, place),
        Record::User(user) => builder.user(user, place),
        Record::Group(group) => builder.group(group, place),
        Record::Membership { group, user } => builder.membership(group, user, place),
        Record::Attachment { policy, to } => builder.attachment(policy, to, place),
        Record::ConsoleAccess { of, allowed_addresses } => builder.console_access(of, allowed_addresses, place),
        Record::KeySecurity { user, method, allowed_addresses } => builder.key_security(user, method, allowed_addresses, place),
        // Not kinds that files know.
        Record::Definition { .. }
        | Record::TokenKey(_)
        | Record::TokensValidFrom { .. }
        | Record::RevokedToken { .. }
        | Record::Role(_)
        | Record::SessionsValidFrom { .. } => {}
        Record::AccessKey(key) => {
            let owner = key.seal_owner();
            let Some(secrets) = loader.secrets else { return };
            match secrets.open(&key.secret, &owner, &place.source, key.secret_span, loader.report) {
                Some(secret) => builder.access_key(key, secret, place),
                None => builder.unread_record(Some(&key.id.to_string())),
            }
        }
        Record::ResourcePolicy(policy) => match document(&policy.document, &policy.resource, &place, loader) {
            Some(document) => builder.resource_policy(policy, document, place),
            None => builder.unread_record(None),
        },
        Record::Policy(policy) => match document(&policy.document, &policy.name, &place, loader) {
            Some(document) => builder.policy(policy, document, place),
            None => builder.unread_record(Some(&policy.id.to_string())),
        },
    }
}

/// The text of a policy's document.
fn document(document: &DocumentRef, name: &str, place: &Place, loader: &Loader<'_>) -> Option<Source> {
    let file = match document {
        DocumentRef::Text(text, span) => {
            let elsewhere = || Source::new(format!("{} (document of policy `{name}`)", place.source.name()), text.as_str());
            return Some(place.source.block(*span, text).unwrap_or_else(elsewhere));
        }
        DocumentRef::File(file) => file,
    };
    let path = beside(Path::new(&**place.source.name()), file);
    match loader.files.read(&path) {
        Ok(text) => Some(Source::new(path.display().to_string(), text)),
        Err(message) => {
            let message = format!("the policy document `{}`: {message}", path.display());
            let hint = "write the document into that file, or correct the name; it starts from the folder of the file it stands in";
            loader.report.error(&place.source, place.of_text(file).span, message, Some(hint.to_owned()));
            None
        }
    }
}

/// A template without the names of its parameters.
fn shape(template: &str) -> String {
    template.split('/').map(|segment| if segment.starts_with('{') { "{}" } else { segment }).collect::<Vec<_>>().join("/")
}

/// What a service says about definitions must fit the definitions that exist.
fn check_service(service: &Service, defined: &Defined, report: &Report) {
    let mut routes: Vec<&DefinedRoute> = Vec::new();
    let mut complete = true;
    for (name, span) in &service.definitions {
        match defined.get(name) {
            Some(found) => {
                let taken = |(method, template, _): &&DefinedRoute| {
                    routes.iter().any(|(other, path, _)| other == method && shape(path) == shape(template))
                };
                if let Some((method, template, _)) = found.iter().find(taken) {
                    let message = format!("`services.{}.definitions`: `{method} {template}` is in two of its definitions", service.name);
                    let hint = "a route is one action; take it out of one definition, or make two services".to_owned();
                    report.error(&service.source, *span, message, Some(hint));
                }
                routes.extend(found);
            }
            None => {
                complete = false;
                let hint = match nearest(name, defined.keys().map(String::as_str)) {
                    Some(near) => format!("did you mean `{near}`? write `definitions: [{near}]`, or give the service that name"),
                    None => "add a definition with this `service`, or write `definitions: [NAME]` with the `service` of another".to_owned(),
                };
                let message = format!("`services.{}`: no action definition has the `service` `{name}`", service.name);
                report.error(&service.source, *span, message, Some(hint));
            }
        }
    }
    if !complete {
        return;
    }
    for listed in &service.public_routes {
        let shown = format!("{} {}", listed.method, listed.template);
        let found = routes.iter().find(|(method, template, _)| *method == listed.method && *template == listed.template);
        let (what, hint) = match found {
            Some((_, _, true)) => continue,
            Some((_, _, false)) => {
                let hint = format!("write `authentication: none` for {shown} in its definition too; both must say so");
                ("is not defined as public", hint)
            }
            None => {
                let known: Vec<String> = routes.iter().map(|(method, template, _)| format!("{method} {template}")).collect();
                let hint = match nearest(&shown, known.iter().map(String::as_str)) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => "write method and path as in a definition of this service".to_owned(),
                };
                ("is in no definition of this service", hint)
            }
        };
        report.error(&service.source, listed.span, format!("`services.{}.public_routes`: `{shown}` {what}", service.name), Some(hint));
    }
    for (method, template, _) in routes.iter().filter(|(_, _, public)| *public) {
        if !service.public_routes.iter().any(|listed| listed.method == *method && listed.template == *template) {
            let message =
                format!("`services.{}`: `{method} {template}` is defined without authentication but still asks for it", service.name);
            let hint = format!("list it to make it public: `public_routes: [\"{method} {template}\"]`");
            report.warning(&service.source, service.span, message, Some(hint));
        }
    }
}
