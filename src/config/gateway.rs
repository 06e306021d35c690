//! The gateway's configuration file.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::files::{Files, beside};
use super::listener::{Listener, socket_address};
use super::operation::{Limits, RecordSettings, Timeouts};
use super::service::{SERVICES_MAX, Service};
use crate::source::{Cursor, Report, Table};
use crate::types::{AccessKeyId, Offering};

/// The gateway's configuration.
#[derive(Debug, Clone)]
pub struct GatewayConfig {
    /// The file it was read from.
    pub file: PathBuf,
    /// First variable field of SRNs.
    pub offering: Offering,
    /// How many workers; one per core by default.
    pub workers: usize,
    /// Where requests come in.
    pub listeners: Vec<Listener>,
    /// Where `/metrics`, `/livez` and `/readyz` are served.
    pub metrics: SocketAddr,
    /// Where accounts, policies and definitions come from.
    pub identity: Identity,
    /// The services, in the order of the file.
    pub services: Vec<Service>,
    /// How far a signature's timestamp may be off, in milliseconds.
    pub clock_skew_ms: u64,
    /// Decision records.
    pub record: RecordSettings,
    /// Limits.
    pub limits: Limits,
    /// Timeouts.
    pub timeouts: Timeouts,
    /// A request to print, signed, at start; for demos.
    pub example: Option<Example>,
}

/// File mode: the files that accounts, policies and definitions come from.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Files and folders of records.
    pub records: Vec<PathBuf>,
    /// Files and folders of action and resource definitions.
    pub definitions: Vec<PathBuf>,
    /// The key that opens sealed secrets.
    pub sealing_key: Option<PathBuf>,
}

/// A request to print, signed, at start.
#[derive(Debug, Clone)]
pub struct Example {
    /// The key to sign with.
    pub access_key: AccessKeyId,
    /// The path to ask for.
    pub path: String,
}

impl GatewayConfig {
    /// Reads the file; `None` when there was an error. All errors go to the report.
    #[must_use]
    pub fn load(path: &Path, files: &Files, report: &Report) -> Option<Self> {
        let (source, documents) = files.read_yaml(path, report)?;
        let Some(document) = documents.first() else {
            let hint = "start from config/demo/gateway.yaml";
            report.file_error(path.display().to_string(), "the file is empty", Some(hint.to_owned()));
            return None;
        };
        let cursor = Cursor::new(document, &source, report);
        Self::decode(path, &cursor)
    }

    fn decode(path: &Path, cursor: &Cursor<'_>) -> Option<Self> {
        let table = cursor.table()?;
        let offering = table.or("offering", "e".parse().ok()?, |value| value.parse("write `e`, `s`, `g`, or a name of your own"));
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let workers =
            table.or("workers", cores, |value| value.integer(1..=1_024, "workers").and_then(|number| usize::try_from(number).ok()));
        let listeners = table.required("listeners", "write `listeners: [{address: 127.0.0.1:8080}]`", |value| {
            let listeners = value.list(|listener| Listener::decode(&listener))?;
            if listeners.is_empty() {
                value.error_hint("there is no listener", "write `listeners: [{address: 127.0.0.1:8080}]`");
                return None;
            }
            Some(listeners)
        });
        let metrics = table.required("metrics", "write `metrics: {address: 127.0.0.1:9180}`", |value| {
            let metrics = value.table()?;
            let address = metrics.required("address", "write `address: 127.0.0.1:9180`", |value| socket_address(&value));
            metrics.finish()?;
            address
        });
        let identity = table.required("identity", "write `identity: {records: [iam.yaml], definitions: [definitions]}`", |value| {
            Identity::decode(path, &value)
        });
        let services =
            table.required("services", "write `services:` and below it a name with `hosts` and `upstream`", |value| services(&value));
        let clock_skew_ms = clock_skew(&table);
        let record = table.or("record", RecordSettings::default(), |value| RecordSettings::decode(path, &value));
        let limits = table.or("limits", Limits::default(), |value| Limits::decode(&value));
        let timeouts = table.or("timeouts", Timeouts::default(), |value| Timeouts::decode(&value));
        let example = table.optional("example", |value| Example::decode(&value));
        table.finish()?;
        Some(Self {
            file: path.to_owned(),
            offering: offering?,
            workers: workers?,
            listeners: listeners?,
            metrics: metrics?,
            identity: identity?,
            services: services?,
            clock_skew_ms: clock_skew_ms?,
            record: record?,
            limits: limits?,
            timeouts: timeouts?,
            example: example?,
        })
    }

    /// Whether nobody but this machine can reach the listeners.
    #[must_use]
    pub fn loopback_only(&self) -> bool {
        self.listeners.iter().all(|listener| listener.address.ip().is_loopback())
    }
}

fn clock_skew(table: &Table<'_>) -> Option<u64> {
    table.or("authentication", 300_000, |value| {
        let authentication = value.table()?;
        let skew = authentication.or("clock_skew_s", 300, |value| value.integer(1..=3_600, "seconds"));
        authentication.finish()?;
        Some(skew? * 1_000)
    })
}

fn services(cursor: &Cursor<'_>) -> Option<Vec<Service>> {
    let services = cursor.entries(|name, span, value| Service::decode(name, span, &value))?;
    if services.is_empty() || services.len() > SERVICES_MAX {
        cursor.error(format!("{} services stand here; there are 1 to {SERVICES_MAX}", services.len()));
        return None;
    }
    let mut claimed: HashMap<&str, &str> = HashMap::new();
    let mut clean = true;
    for service in &services {
        for host in &service.hosts {
            if let Some(other) = claimed.insert(host, &service.name) {
                let message = format!("the host `{host}` is claimed twice, by `{other}` and by `{}`", service.name);
                cursor.error_hint(message, "a Host leads to one service; remove one of the two");
                clean = false;
            }
        }
    }
    clean.then_some(services)
}

impl Identity {
    fn decode(file: &Path, cursor: &Cursor<'_>) -> Option<Self> {
        let table = cursor.table()?;
        let paths = |value: Cursor<'_>| value.list(|path| path.string().map(|path| beside(file, &path)));
        let records = table.required("records", "write `records: [iam.yaml]`", paths);
        let definitions = table.required("definitions", "write `definitions: [definitions]`", paths);
        let sealing_key = table.optional("sealing_key", |value| {
            let key = value.table()?;
            let path = key.required("file", "write `{file: sealing.key}`", |path| path.string());
            key.finish()?;
            path.map(|path| beside(file, &path))
        });
        table.finish()?;
        Some(Self { records: records?, definitions: definitions?, sealing_key: sealing_key? })
    }
}

impl Example {
    fn decode(cursor: &Cursor<'_>) -> Option<Self> {
        let table = cursor.table()?;
        let access_key =
            table.required("access_key", "write the access key to sign with", |value| value.parse("write 32 hexadecimal digits"));
        let path = table.required("path", "write the path to ask for, such as `/metrics`", |value| value.string());
        table.finish()?;
        Some(Self { access_key: access_key?, path: path? })
    }
}
