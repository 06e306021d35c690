//! The gateway's configuration file.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use super::abuse::{Authentication, ReplayLimits, RequestRates};
use super::files::Files;
use super::identity::Identity;
use super::issuer::{TokenIssuer, token_issuers};
use super::listener::{Listener, socket_address};
use super::operation::{Limits, RecordSettings, Timeouts};
use super::service::{ANY_HOST, Claims, SERVICES_MAX, Service};
use crate::source::{Cursor, Report, Source, Span};
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
    /// Where `/metrics`, `/livez`, `/readyz` and `/revision` are served.
    pub metrics: SocketAddr,
    /// Where accounts, policies and definitions come from.
    pub identity: Identity,
    /// The services, in the order of the file.
    pub services: Vec<Service>,
    /// Identity providers of others whose tokens count.
    pub token_issuers: Vec<TokenIssuer>,
    /// How signatures are verified.
    pub authentication: Authentication,
    /// How much is remembered of what was accepted.
    pub replay: ReplayLimits,
    /// How many requests may be sent.
    pub rates: RequestRates,
    /// One in so many evaluations of policies is done twice, the second time without any index.
    pub cross_check: Option<NonZeroU32>,
    /// Decision records.
    pub record: RecordSettings,
    /// Limits.
    pub limits: Limits,
    /// Timeouts.
    pub timeouts: Timeouts,
    /// A request to print, signed, at start; for demos.
    pub example: Option<Example>,
}

/// A request to print, signed, at start.
#[derive(Debug, Clone)]
pub struct Example {
    /// The key to sign with.
    pub access_key: AccessKeyId,
    /// The path to ask for.
    pub path: String,
    /// The file it stands in.
    pub source: Source,
    /// Where the access key stands in it.
    pub span: Span,
}

/// What a configuration with errors still says. The files it names may have errors of their own, to be found in the same run.
#[derive(Debug)]
pub struct Remains {
    /// First variable field of SRNs.
    pub offering: Offering,
    /// Where accounts, policies and definitions come from.
    pub identity: Identity,
    /// The services without errors.
    pub services: Vec<Service>,
    /// Whether nobody but this machine can reach the listeners, as far as that is known.
    pub loopback_only: bool,
}

impl GatewayConfig {
    /// Reads the file. All errors go to the report.
    ///
    /// # Errors
    /// When there was an error: what can still be read, if that is enough to look at the files it names.
    pub fn load(path: &Path, files: &Files, report: &Report) -> Result<Self, Option<Box<Remains>>> {
        let (source, documents) = files.read_yaml(path, report).ok_or(None)?;
        let [document, rest @ ..] = documents.as_slice() else {
            let hint = "start from a copy of config/demo/gateway.yaml";
            report.file_error(path.display().to_string(), "the file is empty", Some(hint.to_owned()));
            return Err(None);
        };
        if let Some(second) = rest.first() {
            let hint = "keep one configuration, and remove the line `---` that starts another";
            report.error(&source, second.span, "a second document starts here; a configuration is one document", Some(hint.to_owned()));
        }
        let mut remains = None;
        let config = Self::decode(path, &Cursor::new(document, &source, report), &mut remains);
        if let Some(config) = config.as_ref().filter(|config| !config.loopback_only()) {
            refuse_any_host(&config.services, report);
        }
        config.filter(|_| !report.has_errors()).ok_or_else(|| remains.map(Box::new))
    }

    fn decode(path: &Path, cursor: &Cursor<'_>, remains: &mut Option<Remains>) -> Option<Self> {
        let table = cursor.table()?;
        let offering = table.or("offering", "e".parse().ok()?, |value| value.parse("write `e`, `s`, `g`, or a name of your own"));
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let workers =
            table.or("workers", cores, |value| value.integer(1..=1_024, "workers").and_then(|number| usize::try_from(number).ok()));
        let mut sockets = HashSet::new();
        let listeners = table.required("listeners", LISTENERS_HINT, |value| listeners(&value, &mut sockets));
        let metrics = table.required("metrics", "write `metrics: {address: 127.0.0.1:9180}`", |value| {
            let metrics = value.table()?;
            let address = metrics.required("address", "write `address: 127.0.0.1:9180`", |value| socket_address(&value, &mut sockets));
            metrics.finish()?;
            address
        });
        let hint = "write `identity: {records: [iam.yaml], definitions: [definitions]}`";
        let identity = table.required("identity", hint, |value| Identity::decode(path, &value));
        let mut good = Vec::new();
        let hint = "write `services:`, below it a name, and below that `hosts` and `upstream`";
        let services = table.required("services", hint, |value| services(&value, &mut good));
        let token_issuers = table.or("token_issuers", Vec::new(), |value| token_issuers(&value));
        let authentication = table.or("authentication", Authentication::default(), |value| Authentication::decode(&value));
        let replay = table.or("replay", ReplayLimits::default(), |value| ReplayLimits::decode(&value));
        let rates = table.or("rates", RequestRates::default(), |value| RequestRates::decode(&value));
        let cross_check = table.or("policy", None, |value| cross_check(&value));
        let record = table.or("record", RecordSettings::default(), |value| RecordSettings::decode(path, &value));
        let limits = table.or("limits", Limits::default(), |value| Limits::decode(&value));
        let timeouts = table.or("timeouts", Timeouts::default(), |value| Timeouts::decode(&value));
        let example = table.optional("example", |value| Example::decode(&value));
        let finished = table.finish();
        *remains = offering.clone().zip(identity.clone()).map(|(offering, identity)| Remains {
            offering,
            identity,
            services: good.clone(),
            loopback_only: listeners.as_deref().is_none_or(loopback_only),
        });
        finished.and(services)?;
        Some(Self {
            file: path.to_owned(),
            offering: offering?,
            workers: workers?,
            listeners: listeners?,
            metrics: metrics?,
            identity: identity?,
            services: good,
            token_issuers: token_issuers?,
            authentication: authentication?,
            replay: replay?,
            rates: rates?,
            cross_check: cross_check?,
            record: record?,
            limits: limits?,
            timeouts: timeouts?,
            example: example?,
        })
    }

    /// Whether nobody but this machine can reach the listeners.
    #[must_use]
    pub fn loopback_only(&self) -> bool {
        loopback_only(&self.listeners)
    }
}

fn loopback_only(listeners: &[Listener]) -> bool {
    listeners.iter().all(|listener| listener.address.ip().is_loopback())
}

/// Only a demo may let one service answer to every host (contracts C1).
fn refuse_any_host(services: &[Service], report: &Report) {
    for service in services.iter().filter(|service| service.hosts.iter().any(|host| host == ANY_HOST)) {
        let message =
            format!("`services.{}.hosts`: `*` answers to every host, and a listener can be reached from other machines", service.name);
        report.error(&service.source, service.span, message, Some("name the hosts, or listen on 127.0.0.1".to_owned()));
    }
}

const LISTENERS_HINT: &str = "write `listeners: [{address: 127.0.0.1:8080}]`";

fn listeners(cursor: &Cursor<'_>, sockets: &mut HashSet<SocketAddr>) -> Option<Vec<Listener>> {
    let listeners = cursor.list(|listener| Listener::decode(&listener, sockets))?;
    if listeners.is_empty() {
        cursor.error_hint("there is no listener", LISTENERS_HINT);
        return None;
    }
    Some(listeners)
}

fn cross_check(cursor: &Cursor<'_>) -> Option<Option<NonZeroU32>> {
    let policy = cursor.table()?;
    let every = policy.or("cross_check", None, |value| {
        let every = value.text()?.strip_prefix("1/").and_then(|every| every.parse::<NonZeroU32>().ok());
        if every.is_none() {
            value.error_hint("it is not one in so many", "write `1/1000` to check one of a thousand decisions, or leave it out for none");
        }
        every.map(Some)
    });
    policy.finish()?;
    every
}

/// Reads every service; `good` gets those without errors even when others have some.
fn services(cursor: &Cursor<'_>, good: &mut Vec<Service>) -> Option<()> {
    let mut claims = Claims::default();
    let read = cursor.entries(|name, span, value| {
        let service = Service::decode(name, span, &value, &mut claims)?;
        good.push(service);
        Some(())
    })?;
    if read.is_empty() || read.len() > SERVICES_MAX {
        cursor.error_hint(format!("{} services stand here", read.len()), format!("name 1 to {SERVICES_MAX} services"));
        return None;
    }
    Some(())
}

impl Example {
    fn decode(cursor: &Cursor<'_>) -> Option<Self> {
        let table = cursor.table()?;
        let hint = "write the id of the access key to sign with";
        let access_key = table.required("access_key", hint, |value| Some((value.parse(hint)?, value.node().span)));
        let path = table.required("path", "write the path to ask for, such as `/v1/versions`", |value| {
            let path = value.string()?;
            if !path.starts_with('/') {
                value.error_hint(format!("`{path}` is not a path"), "start it with `/`");
                return None;
            }
            Some(path)
        });
        table.finish()?;
        let (access_key, span) = access_key?;
        Some(Self { access_key, path: path?, source: cursor.source().clone(), span })
    }
}
