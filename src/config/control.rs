//! The control plane's configuration file.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::files::{Files, NamedPath, beside};
use super::listener::socket_address;
use super::smtp::Smtp;
use crate::source::{Cursor, Report, SecretRef, Source, Span};
use crate::types::Offering;

/// Most entries of the catalogue of endpoints.
const ENDPOINTS_MAX: usize = 1_000;

/// The control plane's configuration.
#[derive(Debug, Clone)]
pub struct ControlConfig {
    /// First variable field of SRNs.
    pub offering: Offering,
    /// The file of the SQLite database.
    pub store: PathBuf,
    /// The key that seals secrets.
    pub sealing_key: NamedPath,
    /// Where gateways forward requests to the API to.
    pub api_address: SocketAddr,
    /// The key of the gateways' assertions.
    pub api_identity_key: NamedSecret,
    /// Where gateways follow the feed.
    pub feed_address: SocketAddr,
    /// The feed's credential.
    pub feed_credential: NamedSecret,
    /// Whether giving rights that one does not have is refused; otherwise it is only logged.
    pub refuse_escalation: bool,
    /// The answer to `GET /v1/endpoints`.
    pub endpoints: Vec<Endpoint>,
    /// How passcodes reach people.
    pub passcodes: Passcodes,
    /// The region that this control plane works in; empty where there is none.
    pub region: String,
}

/// How passcodes reach people.
#[derive(Debug, Clone)]
pub enum Passcodes {
    /// They do not.
    None,
    /// As files in this folder.
    Outbox(PathBuf),
    /// By a program on this machine.
    Webhook {
        /// Where it listens.
        address: SocketAddr,
        /// The path there.
        path: String,
        /// What it knows us by.
        credential: NamedSecret,
    },
    /// As mails, by this server.
    Smtp(Box<Smtp>),
}

/// A secret and where it is named.
#[derive(Debug, Clone)]
pub struct NamedSecret {
    /// The secret.
    pub secret: SecretRef,
    /// The file that names it.
    pub source: Source,
    /// Where in it.
    pub span: Span,
}

/// Where a service is (wire-formats 1.5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The region; empty for global services.
    pub region: String,
    /// The service's name.
    pub service_name: String,
    /// The service's type.
    pub service_type: String,
    /// Its URL.
    pub url: String,
}

impl ControlConfig {
    /// Reads the file; `None` when it has an error. All errors go to the report.
    #[must_use]
    pub fn load(path: &Path, files: &Files, report: &Report) -> Option<Self> {
        let (source, documents) = files.read_yaml(path, report)?;
        let [document] = documents.as_slice() else {
            let hint = "write one document; `portcullis demo --data DIR` writes an example to DIR/control.yaml";
            report.file_error(path.display().to_string(), "a configuration is one document", Some(hint.to_owned()));
            return None;
        };
        Self::decode(path, &Cursor::new(document, &source, report)).filter(|_| !report.has_errors())
    }

    fn decode(path: &Path, cursor: &Cursor<'_>) -> Option<Self> {
        let table = cursor.table()?;
        let offering = table.or("offering", "e".parse().ok()?, |value| value.parse("write `e`, `s`, `g`, or a name of your own"));
        let store = table.required("store", "write `store: {path: portcullis.db}`", |value| {
            let store = value.table()?;
            let file = store.required("path", "write `path: portcullis.db`", |value| value.string());
            store.finish()?;
            file.map(|file| beside(path, &file))
        });
        let sealing_key = table.required("sealing_key", "write `sealing_key: {file: sealing.key}`", |value| {
            let key = value.table()?;
            let named = key.required("file", "write `{file: sealing.key}`", |value| NamedPath::decode(path, &value));
            key.finish()?;
            named
        });
        let mut sockets = HashSet::new();
        let mut listener = |key: &'static str, secret: &'static str, hint: &'static str| {
            table.required(key, hint, |value| {
                let section = value.table()?;
                let address = section.required("address", hint, |value| socket_address(&value, &mut sockets));
                let secret = section.required(secret, hint, |value| NamedSecret::decode(&value));
                section.finish()?;
                Some((address?, secret?))
            })
        };
        let api = listener("api", "identity_key", "write `api: {address: 127.0.0.1:8081, identity_key: {file: control.key}}`");
        let feed = listener("feed", "credential", "write `feed: {address: 127.0.0.1:8082, credential: {file: feed.key}}`");
        let refuse_escalation = table.or("escalation", true, |value| value.one_of(&[("refuse", true), ("warn", false)]));
        let endpoints = table.or("endpoints", Vec::new(), |value| endpoints(&value));
        let passcodes = table.or("passcodes", Passcodes::None, |value| Passcodes::decode(path, &value));
        let region = table.or("region", String::new(), |value| value.string());
        table.finish()?;
        let ((api_address, api_identity_key), (feed_address, feed_credential)) = (api?, feed?);
        Some(Self {
            offering: offering?,
            store: store?,
            sealing_key: sealing_key?,
            api_address,
            api_identity_key,
            feed_address,
            feed_credential,
            refuse_escalation: refuse_escalation?,
            endpoints: endpoints?,
            passcodes: passcodes?,
            region: region?,
        })
    }

    /// Whether the allowlists of keys take single addresses only (seed 003, L1392: the region South Korea, kr-south).
    #[must_use]
    pub fn single_addresses(&self) -> bool {
        self.region.starts_with("kr-south")
    }

    /// Whether nobody but this machine can reach the listeners.
    #[must_use]
    pub fn loopback_only(&self) -> bool {
        self.api_address.ip().is_loopback() && self.feed_address.ip().is_loopback()
    }
}

impl NamedSecret {
    pub(super) fn decode(value: &Cursor<'_>) -> Option<Self> {
        let secret = SecretRef::decode(value)?;
        Some(Self { secret, source: value.source().clone(), span: value.node().span })
    }
}

impl Passcodes {
    fn decode(path: &Path, cursor: &Cursor<'_>) -> Option<Self> {
        let hint = "write `{outbox: FOLDER}`, `{webhook: {url: \"http://127.0.0.1:9000/passcodes\", credential: {file: webhook.key}}}`, or `{smtp: {host: mail.example.com, from: no-reply@example.com}}`";
        let table = cursor.clone().advised(hint).table()?;
        let outbox = table.optional("outbox", |value| value.string());
        let webhook = table.optional("webhook", |value| {
            let table = value.table()?;
            let url = table.required("url", "write `url: \"http://127.0.0.1:9000/passcodes\"`", |value| webhook_url(&value));
            let credential = table.required("credential", "write `credential: {file: webhook.key}`", |value| NamedSecret::decode(&value));
            table.finish()?;
            let (address, path) = url?;
            Some(Self::Webhook { address, path, credential: credential? })
        });
        let smtp = table.optional("smtp", |value| Smtp::decode(path, &value).map(Box::new).map(Self::Smtp));
        table.finish()?;
        let outbox = outbox?.map(|folder| Self::Outbox(beside(path, &folder)));
        let mut ways = [outbox, webhook?, smtp?].into_iter().flatten();
        match (ways.next(), ways.next()) {
            (Some(one), None) => Some(one),
            (None, _) | (Some(_), Some(_)) => {
                cursor.error_hint("one way to send passcodes should stand here", hint);
                None
            }
        }
    }
}

/// SECURITY: a passcode is not sent in clear to another machine.
fn webhook_url(cursor: &Cursor<'_>) -> Option<(SocketAddr, String)> {
    let text = cursor.string()?;
    let parts = text.strip_prefix("http://").and_then(|rest| {
        let at = rest.find('/').unwrap_or(rest.len());
        let (authority, path) = rest.split_at_checked(at)?;
        let path = if path.is_empty() { "/" } else { path };
        let plain = path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
        Some((authority.parse::<SocketAddr>().ok()?, path.to_owned())).filter(|_| plain)
    });
    let hint = "write the loopback address, port and path of a program on this machine, such as `http://127.0.0.1:9000/passcodes`";
    match parts {
        Some((address, path)) if address.ip().is_loopback() && address.port() != 0 => Some((address, path)),
        Some((address, _)) => {
            cursor.error_hint(format!("passcodes would leave this machine in clear, for `{address}`"), hint);
            None
        }
        None => {
            cursor.error_hint(format!("`{text}` is no URL of a web hook"), hint);
            None
        }
    }
}

fn endpoints(cursor: &Cursor<'_>) -> Option<Vec<Endpoint>> {
    let found = cursor.list(|item| {
        let table = item.table()?;
        let text = |key: &'static str, hint: &str| table.required(key, hint, |value| value.string());
        let region = table.or("region", String::new(), |value| value.string());
        let service_name = text("service_name", "write `service_name: virtualserver`");
        let service_type = text("service_type", "write `service_type: scp-virtualserver`");
        let url = text("url", "write `url: https://virtualserver.kr-west1.example.com`");
        table.finish()?;
        Some(Endpoint { region: region?, service_name: service_name?, service_type: service_type?, url: url? })
    })?;
    if found.len() > ENDPOINTS_MAX {
        cursor.error_hint(format!("{} endpoints stand here", found.len()), format!("list at most {ENDPOINTS_MAX}"));
        return None;
    }
    Some(found)
}
