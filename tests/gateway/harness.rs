//! A gateway in this process, on ports of its own, with the accounts and actions that the tests speak of.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use portcullis::cli::{Configured, configure};
use portcullis::gateway::{Gateway, Options, State};
use portcullis::source::{Node, Report, Value, json};
use portcullis::telemetry::{Metrics, RecordWriter};
use portcullis::types::Timestamp;

use super::backend::Backend;
use super::client::{Answer, Client, NOW_MS, PATIENCE, Who};

/// The account of everyone but [`OTHER`].
pub(crate) const ACCOUNT: &str = "f39c460fade34fecb05ede8f904b24b7";
/// The account of [`OTHER`].
pub(crate) const OTHER_ACCOUNT: &str = "0b51c3e2a4974f0d8f1c2d3e4f5a6b7c";
/// May do everything in [`ACCOUNT`]. Key and secret are those of the measured vectors.
pub(crate) const ADMIN: Who = Who { key: "b754b12b39da4ce29a40c5e324650bd0", secret: "c4150149-f7c6-46bc-9faa-d2b9d20e0899" };
/// May read, but not the group `hidden`.
pub(crate) const READER: Who = Who { key: "5ead0000000000000000000000000001", secret: "reader-secret-7c1f0d52" };
/// May do everything in [`OTHER_ACCOUNT`].
pub(crate) const OTHER: Who = Who { key: "07be0000000000000000000000000002", secret: "other-secret-19b4c6aa" };

const USERS: [(&str, &Who, &str, &str); 3] = [
    ("admin", &ADMIN, "ad000000000000000000000000000001", ACCOUNT),
    ("reader", &READER, "5e000000000000000000000000000001", ACCOUNT),
    ("other", &OTHER, "07000000000000000000000000000002", OTHER_ACCOUNT),
];

const GATEWAY: &str = "
workers: @workers@
listeners:
  - address: 127.0.0.1:0
    @listener@
metrics: {address: '127.0.0.1:0'}
identity: {records: [iam.yaml], definitions: [definitions.yaml]}
services:
  iam:
    hosts: [@hosts@iam.test, '127.0.0.1:18080']
    public_routes: [GET /v1/versions]
    @service@
    upstream:
      url: http://@backend@
      identity_key: {file: upstream.key}
      @upstream@
  store:
    hosts: [store.test, '{region}.store.test']
    upstream: {url: 'http://@backend@', identity_key: {file: upstream.key}}
  @services@
record: @record@
timeouts: @timeouts@
limits: @limits@
policy: @policy@
replay: @replay@
rates: @rates@
authentication: @authentication@
";

const DEFINITIONS: &str = "
kind: scp-iam:action-definition
service: iam
service_type: scp-iam
aliases: [iam]
paths:
  /v1/versions:
    get: {authentication: none}
  /v1/endpoints:
    get: {action: iam:ListEndpoints, access_level: List}
  /v1/groups:
    get: {action: iam:ListGroups, access_level: List}
    post: {action: iam:CreateGroup, access_level: Create}
  /v1/groups/{group_id}:
    get: {action: iam:ShowGroup, access_level: Read, resources: [{'iam:group': {resource_id: \"path['group_id']\"}}]}
    put: {action: iam:SetGroup, access_level: Update, resources: [{'iam:group': {resource_id: \"path['group_id']\"}}]}
    patch: {action: iam:SetGroup, access_level: Update, resources: [{'iam:group': {resource_id: \"path['group_id']\"}}]}
    delete: {action: iam:DeleteGroup, access_level: Delete, resources: [{'iam:group': {resource_id: \"path['group_id']\"}}]}
  /v1/policies:
    get: {action: iam:ListPolicies, access_level: List}
    post: {action: iam:CreatePolicy, access_level: Create}
  /v1/policies/bulk:
    delete:
      action: iam:DeleteBulkPolicy
      access_level: Permission
      resources: [{'iam:policy': {resource_id: \"body['ids'][*]\"}}]
  /v1/access-keys:
    post: {action: iam:CreateAccessKey, access_level: Permission}
  /v1/access-keys/send-otp:
    post: {action: iam:SendOtp, access_level: Permission}
  /v1/resource-policies/{srn}:
    get: {action: iam:ShowResourcePolicy, access_level: Permission, resources: [{srn: \"base64(path['srn'])\"}]}
    delete: {action: iam:DeleteResourcePolicy, access_level: Permission, resources: [{'iam:binding': {resource_id: \"path['srn']\"}}]}
  /admin:
    get: {action: iam:Administer, access_level: Permission}
---
kind: scp-iam:action-definition
service: store
paths:
  /v1/things:
    get: {action: store:ListThings, access_level: List}
";

const BLANKS: [(&str, &str); 9] = [
    ("hosts", ""),
    ("workers", "1"),
    ("policy", "{}"),
    ("replay", "{}"),
    ("rates", "{}"),
    ("authentication", "{failures_per_minute: off}"),
    ("timeouts", "{drain_s: 2}"),
    ("limits", "{}"),
    ("record", "{path: decisions.jsonl}"),
];

/// Names of keys that nobody has: so many that for some of them the gateway is sure to take any key that it has.
pub(crate) fn nobodys() -> impl Iterator<Item = &'static str> {
    (0..200).map(|number| &*format!("0123456789abcdef0123456789ab{number:04x}").leak())
}

/// What the tests' gateways are made of; each test changes what it is about.
pub(crate) struct Setup {
    blanks: Vec<(&'static str, String)>,
    files: Vec<(String, String)>,
    definitions: String,
    records: String,
    wall_clock: fn() -> Timestamp,
}

impl Setup {
    pub(crate) fn new() -> Self {
        let mut records = String::new();
        for (name, id) in [("first", ACCOUNT), ("second", OTHER_ACCOUNT)] {
            records.push_str(&format!("- {{kind: account, id: {id}, name: {name}}}\n"));
        }
        let mut setup = Self {
            blanks: BLANKS.map(|(key, text)| (key, text.to_owned())).into(),
            files: vec![("upstream.key".to_owned(), UPSTREAM_KEY.to_owned())],
            definitions: DEFINITIONS.to_owned(),
            records,
            wall_clock: || Timestamp::from_milliseconds(NOW_MS),
        };
        for (name, who, id, account) in USERS {
            setup = setup.user(name, who, id, account);
        }
        let everything = r#"{"Effect": "Allow", "Action": ["*"], "Resource": ["*"]}"#;
        let reading = r#"{"Effect": "Allow", "Action": ["iam:Show*", "iam:List*"], "Resource": ["*"]},
            {"Sid": "Hidden", "Effect": "Deny", "Action": ["iam:*"], "Resource": ["srn:e:::::scp-iam:group/hidden"]}"#;
        setup.policy(ACCOUNT, USERS[0].2, everything).policy(ACCOUNT, USERS[1].2, reading).policy(OTHER_ACCOUNT, USERS[2].2, everything)
    }

    /// Another clock on the wall.
    pub(crate) fn wall_clock(self, wall_clock: fn() -> Timestamp) -> Self {
        Self { wall_clock, ..self }
    }

    /// Fills a blank of [`GATEWAY`].
    pub(crate) fn set(mut self, blank: &'static str, text: impl Into<String>) -> Self {
        self.blanks.retain(|(key, _)| *key != blank);
        self.blanks.push((blank, text.into()));
        self
    }

    /// More paths of the service `iam`.
    pub(crate) fn paths(mut self, paths: &str) -> Self {
        self.definitions = self.definitions.replace("  /admin:\n", &format!("{paths}\n  /admin:\n"));
        self
    }

    /// Other definitions altogether.
    pub(crate) fn definitions(mut self, definitions: &str) -> Self {
        self.definitions = definitions.to_owned();
        self
    }

    /// One record more, as YAML in braces.
    pub(crate) fn record(mut self, record: &str) -> Self {
        self.records.push_str(&format!("- {record}\n"));
        self
    }

    /// The records, rewritten.
    pub(crate) fn edit_records(mut self, edit: impl FnOnce(&str) -> String) -> Self {
        self.records = edit(&self.records);
        self
    }

    /// A file more.
    pub(crate) fn file(mut self, name: &str, text: &str) -> Self {
        self.files.push((name.to_owned(), text.to_owned()));
        self
    }

    /// A user with one key.
    pub(crate) fn user(self, name: &str, who: &Who, id: &str, account: &str) -> Self {
        self.record(&format!("{{kind: user, id: {id}, account: {account}, name: {name}}}")).key(who, id, "")
    }

    /// A key; `more` are further members, such as `, enabled: false`.
    pub(crate) fn key(mut self, who: &Who, user: &str, more: &str) -> Self {
        self.files.push((format!("{}.secret", who.key), who.secret.to_owned()));
        self.record(&format!("{{kind: access_key, id: {0}, user: {user}, secret: {{file: {0}.secret}}{more}}}", who.key))
    }

    /// A policy of these statements, attached to a user.
    pub(crate) fn policy(self, account: &str, user: &str, statements: &str) -> Self {
        let id = format!("{:032x}", self.records.len());
        let document = format!(r#"{{"Version": "2024-07-01", "Statement": [{statements}]}}"#).replace('\n', " ").replace('\'', "''");
        self.record(&format!("{{kind: policy, id: {id}, account: {account}, name: p{id}, document: '{document}'}}"))
            .record(&format!("{{kind: attachment, policy: {id}, user: {user}}}"))
    }

    /// Writes the files of a configuration.
    pub(crate) fn write(&self, folder: &Path, backend: SocketAddr) {
        let mut text = GATEWAY.replace("@backend@", &backend.to_string());
        for (blank, filling) in &self.blanks {
            text = text.replace(&format!("@{blank}@"), filling);
        }
        let text: String = text.lines().filter(|line| !line.trim_start().starts_with('@')).map(|line| format!("{line}\n")).collect();
        let written = [("gateway.yaml", &text), ("definitions.yaml", &self.definitions), ("iam.yaml", &self.records)];
        let more = self.files.iter().map(|(name, text)| (name.as_str(), text));
        for (name, text) in written.into_iter().chain(more) {
            std::fs::write(folder.join(name), text).unwrap();
        }
    }

    pub(crate) fn start(self, backend: &Backend) -> World {
        self.start_before(backend.address())
    }

    /// Starts a gateway before whatever is at `backend`.
    pub(crate) fn start_before(self, backend: SocketAddr) -> World {
        self.start_in(tempfile::tempdir().unwrap(), backend)
    }

    /// Starts a gateway whose files are in a folder that may hold more.
    pub(crate) fn start_in(self, folder: tempfile::TempDir, backend: SocketAddr) -> World {
        self.write(folder.path(), backend);
        let Configured { config, state, .. } = load(folder.path());
        let metrics = Arc::new(Metrics::default());
        let options = Options {
            listeners: config.listeners.iter().map(|listener| listener.address).collect(),
            metrics_address: config.metrics,
            workers: config.workers,
            limits: config.limits,
            timeouts: config.timeouts,
            on_full: config.record.on_full,
            records: RecordWriter::start(&config.record.path).unwrap(),
            metrics,
            wall_clock: self.wall_clock,
        };
        let gateway = Gateway::start(options, state).unwrap();
        let (addresses, metrics_address) = (gateway.addresses().to_vec(), gateway.metrics_address());
        World { folder, address: addresses[0], addresses, metrics_address, backend, setup: self, gateway: Some(gateway) }
    }
}

/// The key of the identity HMAC.
pub(crate) const UPSTREAM_KEY: &str = "upstream-key-5f2d8c1b9a";

/// Reads the configuration in a folder.
fn load(folder: &Path) -> Configured {
    let report = Report::new();
    configure(&folder.join("gateway.yaml"), &report).unwrap_or_else(|| panic!("{report}"))
}

/// A running gateway and everything around it.
pub(crate) struct World {
    folder: tempfile::TempDir,
    /// The first listener's.
    pub(crate) address: SocketAddr,
    pub(crate) addresses: Vec<SocketAddr>,
    pub(crate) metrics_address: SocketAddr,
    backend: SocketAddr,
    setup: Setup,
    gateway: Option<Gateway>,
}

impl World {
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn connect(&self) -> Client {
        Client::open(self.address)
    }

    /// Sends a request on a connection of its own.
    pub(crate) fn ask(&self, request: impl AsRef<[u8]>) -> Answer {
        self.connect().ask(request)
    }

    /// The state after a change of the setup.
    pub(crate) fn changed(&self, change: impl FnOnce(Setup) -> Setup) -> State {
        let Setup { blanks, files, definitions, records, wall_clock } = &self.setup;
        let (blanks, files, definitions, records) = (blanks.clone(), files.clone(), definitions.clone(), records.clone());
        let copy = Setup { blanks, files, definitions, records, wall_clock: *wall_clock };
        change(copy).write(self.folder(), self.backend);
        load(self.folder()).state
    }

    pub(crate) fn publish(&self, state: State) {
        self.gateway.as_ref().unwrap().publish(state);
    }

    /// The metrics page.
    pub(crate) fn page(&self) -> String {
        metrics_page(self.metrics_address)
    }

    /// A sample of the metrics page by its name and labels as they stand there; 0 when it is not there.
    pub(crate) fn metric(&self, sample: &str) -> u64 {
        sample_of(&self.page(), sample)
    }

    /// Waits until a sample is at least so much.
    pub(crate) fn wait_metric(&self, sample: &str, least: u64) {
        wait(sample, || (self.metric(sample) >= least).then_some(()));
    }

    /// The decision record of a request, once it is written.
    pub(crate) fn record(&self, request_id: &str) -> Node {
        wait(request_id, || self.records().into_iter().find(|record| text(record, "request_id") == Some(request_id)))
    }

    /// All decision records written so far.
    pub(crate) fn records(&self) -> Vec<Node> {
        let lines = std::fs::read_to_string(self.folder().join("decisions.jsonl")).unwrap();
        whole_lines(&lines).map(|line| parse(line.as_bytes())).collect()
    }

    /// Stops the gateway and waits until it has stopped.
    pub(crate) fn stop(&mut self) {
        if let Some(gateway) = self.gateway.take() {
            gateway.stop();
        }
    }

    /// The gateway itself, for stopping it elsewhere.
    pub(crate) fn take_gateway(&mut self) -> Gateway {
        self.gateway.take().unwrap()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Reads the metrics page at an address.
pub(crate) fn metrics_page(address: SocketAddr) -> String {
    Client::open(address).ask(format!("GET /metrics HTTP/1.1\r\nHost: {address}\r\n\r\n")).text()
}

/// A sample of a metrics page; 0 when it is not there.
pub(crate) fn sample_of(page: &str, sample: &str) -> u64 {
    let value = page.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
    value.map_or(0, |value| value.parse().unwrap())
}

/// Asks again and again until there is an answer.
#[expect(clippy::disallowed_methods, reason = "a test that waits for another thread needs an end to its patience")]
pub(crate) fn wait<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(started.elapsed() < PATIENCE, "waited too long for {what}");
        // Not to wait, but to leave the cores to those that are waited for.
        std::thread::park_timeout(Duration::from_millis(2));
    }
}

/// Lets time pass.
pub(crate) fn pause(time: Duration) {
    let (_nobody, never) = std::sync::mpsc::channel::<()>();
    let _ = never.recv_timeout(time);
}

/// How long something took.
#[expect(clippy::disallowed_methods, reason = "a test of timeouts measures time")]
pub(crate) fn timed<T>(run: impl FnOnce() -> T) -> (T, Duration) {
    let started = Instant::now();
    let result = run();
    (result, started.elapsed())
}

/// The lines that are written to their end.
pub(crate) fn whole_lines(text: &str) -> impl Iterator<Item = &str> {
    text.rsplit_once('\n').map_or("", |(whole, _)| whole).lines()
}

/// Strict JSON.
pub(crate) fn parse(bytes: &[u8]) -> Node {
    let shown = String::from_utf8_lossy(bytes);
    json::parse(bytes, json::Limits { bytes_max: 1 << 20, depth_max: 16 }).unwrap_or_else(|error| panic!("{error}: {shown}"))
}

/// A text member; `None` when it is absent or no text.
pub(crate) fn text<'a>(node: &'a Node, member: &str) -> Option<&'a str> {
    match &node.get(member)?.value {
        Value::String(text) => Some(text),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::List(_) | Value::Map(_) => None,
    }
}

/// A number member.
pub(crate) fn number(node: &Node, member: &str) -> Option<u64> {
    match &node.get(member)?.value {
        Value::Number(text) => text.parse().ok(),
        Value::Null | Value::Bool(_) | Value::String(_) | Value::List(_) | Value::Map(_) => None,
    }
}

/// The names of the members, in order.
pub(crate) fn members(node: &Node) -> Vec<&str> {
    match &node.value {
        Value::Map(entries) => entries.iter().map(|(key, _)| &*key.text).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::List(_) => panic!("not an object"),
    }
}
