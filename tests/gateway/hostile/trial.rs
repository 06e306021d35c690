//! Sends what a row says to a running gateway, compares, and asks for something good afterwards.

use std::collections::HashMap;
use std::time::Duration;

use portcullis::cli::configure;
use portcullis::source::Report;

use super::probe::{CAUTIOUS, LISTED, NARROW, Probe};
use super::table::Row;
use super::token::Draft;
use crate::backend::{Backend, Seen};
use crate::client::{Answer, Ask, Broken, Client};
use crate::harness::{ACCOUNT, ADMIN, READER, Setup, UPSTREAM_KEY, World};
use crate::tokens;

/// What becomes of a probe.
#[derive(Debug, Clone, Copy)]
enum Expected {
    /// This status and reason; the backend sees one request when it is 200, and nothing otherwise.
    Verdict(u16, &'static str),
    /// The backend sees one request with this target.
    One(&'static str),
    /// The backend sees what it would see of the same request with nothing hostile in it, and this body.
    Good(Option<&'static str>),
    /// Refused before it is a request: 4xx or a closed connection.
    NotHttp,
    /// The configuration is refused.
    NotLoaded,
}

impl Expected {
    fn read(row: &Row, target: &str) -> Self {
        let words: Vec<&'static str> = row.expected.splitn(2, ' ').collect();
        match words[..] {
            ["one"] => Self::One(target.to_owned().leak()),
            ["one", target] => Self::One(target),
            ["good"] => Self::Good(None),
            ["good", body] => Self::Good(Some(body)),
            ["not", "http"] => Self::NotHttp,
            ["not", "loaded"] => Self::NotLoaded,
            [status, reason] => Self::Verdict(status.parse().unwrap(), reason),
            _ => panic!("inputs.tsv:{}: `{}` is no verdict", row.line, row.expected),
        }
    }
}

/// A gateway, its backend, and a connection that is used until it is closed.
struct Line {
    backend: Backend,
    world: World,
    client: Option<Client>,
    /// Where connections come from.
    source: &'static str,
}

impl Line {
    fn start(setup: Setup, source: &'static str) -> Self {
        let backend = Backend::start();
        Self { world: setup.start(&backend), backend, client: None, source }
    }

    fn client(&mut self) -> &mut Client {
        self.client.get_or_insert_with(|| Client::open_from(self.source, self.world.address))
    }

    fn send(&mut self, method: &str, bytes: &[u8]) -> (Result<Answer, Broken>, Vec<Seen>) {
        let before = self.backend.count();
        let outcome = self.client().send(bytes).outcome(method);
        (outcome, self.backend.since(before))
    }

    /// A good request gets its own answer: on the same connection, or on a new one when the gateway has said that it closes this one.
    fn ask_after(&mut self, number: usize, outcome: &Result<Answer, Broken>) -> Result<(), String> {
        let target = format!("/v1/groups?after-{number}");
        let request = Ask::get(&target).by(&ADMIN);
        let is_closing = match outcome {
            Ok(answer) => answer.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close")),
            Err(_) => true,
        };
        if is_closing {
            let mut closed = self.client.take().unwrap();
            closed.patience(Duration::from_secs(5));
            if !closed.is_closed() {
                return Err("the connection is neither used nor closed".into());
            }
        }
        match self.send("GET", &request) {
            (Ok(answer), seen) if answer.text() == target && seen.len() == 1 => Ok(()),
            other => {
                self.client = None;
                Err(format!("the request after it got {other:?}"))
            }
        }
    }

    /// Nothing secret stands in what operators read.
    fn check_secrets(mut self, secrets: &[String]) -> Vec<String> {
        let page = self.world.page();
        self.world.stop();
        let records = std::fs::read_to_string(self.world.folder().join("decisions.jsonl")).unwrap();
        let told = secrets.iter().filter(|secret| page.contains(*secret) || records.contains(*secret));
        told.map(|secret| format!("`{secret}` is in the metrics or in the records")).collect()
    }
}

/// The gateways that rows are sent to.
pub(super) struct Trial {
    files: Line,
    feed: Line,
    /// By the allowlist that they are about.
    allowing: HashMap<String, Line>,
    number: usize,
    secrets: Vec<String>,
}

impl Trial {
    pub(super) fn start() -> Self {
        let search = "
  /v1/search:
    get: {action: iam:ShowGroup, access_level: Read, resources: [{'iam:group': {resource_id: \"query['id']\"}}]}";
        let narrow = r#"{"Effect": "Allow", "Action": ["iam:ShowGroup"],
            "Resource": ["srn:e:::::scp-iam:group/g1", "srn:e:::::scp-iam:group/a-*"]}"#;
        let narrow_id = "4a220000000000000000000000000002";
        let files = Setup::new().paths(search).set("service", "sigv4: {service: iam}");
        let files = files.user("narrow", &NARROW, narrow_id, ACCOUNT).policy(ACCOUNT, narrow_id, narrow);
        let cautious = r#"{"Effect": "Allow", "Action": ["iam:ShowGroup"], "Resource": ["*"]},
            {"Effect": "Deny", "Action": ["iam:ShowGroup"], "Resource": ["*"],
             "Condition": {"StringEquals": {"scp:RequestAttribute/header['X-Env']": "prod"}}}"#;
        let cautious_id = "ca070000000000000000000000000002";
        let files = files.user("cautious", &CAUTIOUS, cautious_id, ACCOUNT).policy(ACCOUNT, cautious_id, cautious);
        let (backend, world) = tokens::following();
        let good = Draft::good().text();
        let mut secrets: Vec<String> = good.split('.').skip(1).map(str::to_owned).collect();
        secrets.extend([ADMIN.secret, READER.secret, UPSTREAM_KEY].map(str::to_owned));
        Self {
            files: Line::start(files, "127.0.0.1"),
            feed: Line { backend, world, client: None, source: "127.0.0.1" },
            allowing: HashMap::new(),
            number: 0,
            secrets,
        }
    }

    /// What went otherwise than the row says.
    pub(super) fn run(&mut self, row: &Row) -> Vec<String> {
        let probe = Probe::read(row.sent);
        let expected = Expected::read(row, &probe.target());
        if let (Some(allowed), Expected::NotLoaded) = (&probe.allowed, expected) {
            return not_refused(allowed).into_iter().collect();
        }
        let requests = probe.requests();
        requests.iter().flat_map(|request| self.send(&probe, request, expected)).collect()
    }

    fn send(&mut self, probe: &Probe, request: &[u8], expected: Expected) -> Vec<String> {
        self.number += 1;
        let line = match &probe.allowed {
            Some(allowed) => self.allowing.entry(allowed.clone()).or_insert_with(|| Line::start(allowing(allowed), "127.0.0.2")),
            None if probe.is_about_tokens() => &mut self.feed,
            None => &mut self.files,
        };
        let usual = match expected {
            Expected::Good(body) => Some(line.send(probe.method(), &probe.good(body))),
            Expected::Verdict(..) | Expected::One(_) | Expected::NotHttp | Expected::NotLoaded => None,
        };
        let (outcome, seen) = line.send(probe.method(), request);
        let mut wrong = Vec::new();
        if let Some(problem) = problem(expected, usual.as_ref().map(|(_, seen)| &seen[..]), &outcome, &seen) {
            let found = outcome.as_ref().map(|answer| (answer.verdict(), answer.text()));
            wrong.push(format!("{problem}: {found:?} instead of {expected:?}, backend {seen:?}"));
        }
        if let Ok(answer) = &outcome {
            let told = format!("{answer:?}{}", answer.text());
            wrong.extend(self.secrets.iter().filter(|secret| told.contains(*secret)).map(|secret| format!("the answer says `{secret}`")));
        }
        wrong.extend(line.ask_after(self.number, &outcome).err());
        wrong
    }

    /// Stops all gateways and looks at what they have written.
    pub(super) fn end(self) -> Vec<String> {
        let Self { files, feed, allowing, secrets, .. } = self;
        [files, feed].into_iter().chain(allowing.into_values()).flat_map(|line| line.check_secrets(&secrets)).collect()
    }
}

/// What is wrong with an outcome, in a word.
fn problem(expected: Expected, usual: Option<&[Seen]>, outcome: &Result<Answer, Broken>, seen: &[Seen]) -> Option<&'static str> {
    let wrong = |is_good: bool, what| (!is_good).then_some(what);
    match (expected, outcome) {
        (Expected::Verdict(status, reason), Ok(answer)) => {
            wrong(answer.verdict() == (status, reason), "another verdict").or_else(|| reached(seen, usize::from(status == 200)))
        }
        (Expected::One(target), Ok(answer)) => wrong(answer.verdict() == (200, "allow"), "another verdict")
            .or_else(|| reached(seen, 1))
            .or_else(|| wrong(seen[0].target() == target && answer.text() == target, "another reading")),
        (Expected::Good(_), Ok(answer)) => {
            let [usual] = usual.unwrap_or_default() else { return Some("the good request did not pass") };
            wrong(answer.verdict() == (200, "allow"), "another verdict")
                .or_else(|| reached(seen, 1))
                .or_else(|| wrong(as_read(&seen[0]) == as_read(usual), "not as good"))
        }
        (Expected::NotHttp, Ok(answer)) => wrong((400..500).contains(&answer.status), "another verdict").or_else(|| reached(seen, 0)),
        (Expected::NotHttp, Err(Broken::Closed)) => reached(seen, 0),
        (_, Err(_)) => Some("no answer"),
        (Expected::NotLoaded, Ok(_)) => Some("it was loaded"),
    }
}

fn reached(seen: &[Seen], count: usize) -> Option<&'static str> {
    (seen.len() != count).then_some("another number of requests at the backend")
}

/// A request as its backend reads it: without how long it is, and without what is another one each time.
fn as_read(seen: &Seen) -> (String, Vec<(String, String)>, Vec<u8>) {
    let is_said = |name: &str| !matches!(name, "content-length" | "transfer-encoding" | "portcullis-request-id");
    let mut headers: Vec<_> = seen.headers().into_iter().filter(|(name, _)| is_said(name)).collect();
    for (_, value) in &mut headers {
        // It covers the request id.
        if let Some((told, _)) = value.split_once(";signature=") {
            *value = told.to_owned();
        }
    }
    headers.sort();
    (seen.line().to_owned(), headers, seen.body.clone())
}

/// A gateway where somebody has this allowlist: an address or network, or `N addresses`.
fn allowing(allowed: &str) -> Setup {
    let list = match allowed.strip_suffix(" addresses") {
        Some(count) => (1..=count.parse().unwrap()).map(|last: u8| format!("192.0.2.{last}")).collect::<Vec<_>>().join(", "),
        None => format!("'{allowed}'"),
    };
    let id = "115ed000000000000000000000000002";
    Setup::new()
        .set("listener", "trusted_proxies: {networks: [127.0.0.2]}")
        .user("listed", &LISTED, id, ACCOUNT)
        .policy(ACCOUNT, id, r#"{"Effect": "Allow", "Action": ["*"], "Resource": ["*"]}"#)
        .record(&format!("{{kind: key_security, user: {id}, allowed_addresses: [{list}]}}"))
}

/// Loads an allowlist that must not be loaded, or be refused for something else.
fn not_refused(allowed: &str) -> Option<String> {
    let folder = tempfile::tempdir().unwrap();
    allowing(allowed).write(folder.path(), "127.0.0.1:1".parse().unwrap());
    let report = Report::new();
    let is_loaded = configure(&folder.path().join("gateway.yaml"), &report).is_some();
    let told = report.to_string();
    let is_about_it = told.contains(allowed) || told.contains("allowed_addresses");
    (is_loaded || !is_about_it).then(|| format!("loaded: {is_loaded}; {told}"))
}
