//! A store in a folder of its own, the API on a port of its own, people of two accounts, and a client that signs what a gateway
//! vouches for.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use portcullis::authn::assertion::{self, Assertion};
use portcullis::config::Endpoint;
use portcullis::control::api::{Api, Escalation, Means, Options, serve};
use portcullis::control::delivery::Delivery;
use portcullis::control::{FirstKey, Names, Store, bootstrap, found_account};
use portcullis::types::{SealingKey, Secret, SigningKey, Timestamp};
use serde_json::Value as Json;
use sqlx::Connection as _;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// When everything happens.
pub(crate) const NOW_MS: i64 = 1_795_212_000_000;
/// The same as the API writes it.
pub(crate) const NOW: &str = "2026-11-20T22:00:00.000Z";
pub(crate) const IDENTITY_KEY: &str = "identity key of the only gateway";

pub(crate) fn now() -> Timestamp {
    Timestamp::from_milliseconds(NOW_MS)
}

pub(crate) fn sealing_key() -> SealingKey {
    SealingKey::from_text(&"0a".repeat(32)).unwrap()
}

pub(crate) async fn open(path: &std::path::Path) -> Store {
    Store::open(path, sealing_key(), "e".parse().unwrap(), now()).await.unwrap()
}

/// The catalogue of services that the API tells.
fn endpoints() -> Vec<Endpoint> {
    let endpoint = |region: &str, name: &str| Endpoint {
        region: region.to_owned(),
        service_name: name.to_owned(),
        service_type: format!("scp-{name}"),
        url: format!("https://{name}.test"),
    };
    vec![endpoint("", "iam"), endpoint("kr-west1", "compute")]
}

/// A running API.
pub(crate) struct Control {
    pub(crate) store: Store,
    pub(crate) first: FirstKey,
    pub(crate) address: SocketAddr,
    pub(crate) folder: TempDir,
    stop: watch::Sender<bool>,
    serving: tokio::task::JoinHandle<()>,
}

impl Control {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = open(&folder.path().join("portcullis.db")).await;
        let first = bootstrap(&store, Names { account: "operator", administrator: "admin" }, now()).await.unwrap().unwrap();
        Self::serve(folder, store, first).await
    }

    async fn serve(folder: TempDir, store: Store, first: FirstKey) -> Self {
        Self::serve_with(folder, store, first, false).await
    }

    /// The same where the rules of the region want single addresses.
    pub(crate) async fn in_kr_south(self) -> Self {
        let Self { store, first, folder, stop, serving, .. } = self;
        stop.send(true).unwrap();
        serving.await.unwrap();
        Self::serve_with(folder, store, first, true).await
    }

    async fn serve_with(folder: TempDir, store: Store, first: FirstKey, single_addresses: bool) -> Self {
        let key = SigningKey::new(&Secret::new(IDENTITY_KEY.as_bytes()));
        let delivery = Delivery::Outbox(folder.path().join("outbox"));
        let means = Means { endpoints: endpoints(), delivery, single_addresses };
        let api =
            Api::new(store.clone(), Options { identity_keys: vec![key], means, escalation: Escalation::Refuse, clock: now }).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = watch::channel(false);
        let serving = tokio::spawn(serve(Arc::clone(&api), listener, stopped));
        Self { store, first, address, folder, stop, serving }
    }

    /// The same store with one more record, written past the API.
    pub(crate) async fn with_record(self, key: &str, body: &str) -> Self {
        let Self { store, first, folder, stop, serving, .. } = self;
        stop.send(true).unwrap();
        serving.await.unwrap();
        store.close().await;
        drop(store);
        let path = folder.path().join("portcullis.db");
        let mut writer = sqlx::SqliteConnection::connect(path.to_str().unwrap()).await.unwrap();
        let sql = "INSERT INTO records (record_key, body, revision) VALUES ($1, $2, 1)";
        sqlx::query(sql).bind(key).bind(body).execute(&mut writer).await.unwrap();
        writer.close().await.unwrap();
        Self::serve(folder, open(&path).await, first).await
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.folder.path().join("portcullis.db")
    }

    /// The root user of the operator's account.
    pub(crate) fn root(&self) -> Who {
        Who::new(&self.first.account.to_string(), &self.first.root.to_string())
    }

    /// The administrator of the operator's account.
    pub(crate) fn admin(&self) -> Who {
        let admin = Who::new(&self.first.account.to_string(), &self.first.administrator.to_string());
        Who { key: self.first.access_key.to_string(), ..admin }
    }

    /// What was sent to a user last.
    pub(crate) fn sent(&self, user: &str) -> Json {
        serde_json::from_slice(&std::fs::read(self.folder.path().join("outbox").join(format!("{user}.json"))).unwrap()).unwrap()
    }

    /// Changes the database past the API.
    pub(crate) async fn execute(&self, sql: &'static str) -> u64 {
        let mut writer = sqlx::SqliteConnection::connect(self.database().to_str().unwrap()).await.unwrap();
        let done = sqlx::query(sql).execute(&mut writer).await.unwrap().rows_affected();
        writer.close().await.unwrap();
        done
    }

    /// A new user of the operator's account, who has no rights.
    pub(crate) async fn guest(&self) -> Who {
        let body = serde_json::json!({"user_name": "guest", "password": "Gu3st&nobody"});
        let made = self.call(&self.root(), "POST", &format!("/v1/accounts/{}/users", self.first.account), Some(body)).await;
        Who::new(&self.first.account.to_string(), made.json(201)["id"].as_str().unwrap())
    }

    /// The root user of a new account that is not the operator's.
    pub(crate) async fn other_account(&self) -> Who {
        let other = found_account(&self.store, Names { account: "other", administrator: "admin" }, now()).await.unwrap();
        Who::new(&other.account.to_string(), &other.root.to_string())
    }

    /// All records, in the order of their keys, read in small pages.
    pub(crate) async fn records(&self) -> Vec<(String, String)> {
        let mut state = self.store.state().await.unwrap();
        let mut all: Vec<(String, String)> = Vec::new();
        loop {
            let last = all.last().map_or("", |(key, _)| key).to_owned();
            let page = state.snapshot_page(&last, 3).await.unwrap();
            if page.is_empty() {
                return all;
            }
            all.extend(page.into_iter().map(|record| (record.key, record.body)));
        }
    }

    /// The keys of the records of a kind, such as `group/`.
    pub(crate) async fn record_keys(&self, kind: &str) -> Vec<String> {
        self.records().await.into_iter().map(|(key, _)| key).filter(|key| key.starts_with(kind)).collect()
    }

    /// A request as a gateway forwards it.
    pub(crate) async fn call(&self, who: &Who, method: &str, target: &str, body: Option<Json>) -> Answer {
        self.send(Request::new(who, method, target).body(body)).await
    }

    pub(crate) async fn send(&self, request: Request) -> Answer {
        self.raw(&request.text()).await
    }

    /// Sends these bytes and reads until the end.
    pub(crate) async fn raw(&self, text: &str) -> Answer {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await.unwrap();
        Answer::read(&String::from_utf8(bytes).unwrap())
    }

    /// Ends the server and starts another on the same store.
    pub(crate) async fn restarted(self) -> Self {
        let Self { store, first, folder, stop, serving, .. } = self;
        stop.send(true).unwrap();
        serving.await.unwrap();
        store.close().await;
        drop(store);
        let store = open(&folder.path().join("portcullis.db")).await;
        Self::serve(folder, store, first).await
    }

    /// Ends the server and waits for it.
    pub(crate) async fn stop(self) -> TempDir {
        self.stop.send(true).unwrap();
        self.serving.await.unwrap();
        self.store.close().await;
        self.folder
    }
}

/// Whom the gateway vouches for.
#[derive(Clone)]
pub(crate) struct Who {
    pub(crate) account: String,
    pub(crate) srn: String,
    /// Their access key, where a test is about it.
    pub(crate) key: String,
    /// What the gateway says of a role's session: its name, the user behind it, and whether it is narrowed.
    pub(crate) session: Option<(&'static str, String, bool)>,
}

impl Who {
    pub(crate) fn new(account: &str, user: &str) -> Self {
        let srn = format!("srn:e::{account}:::scp-iam:user/{user}");
        Self { account: account.to_owned(), srn, key: String::new(), session: None }
    }
}

/// A request, signed as a gateway signs unless the test says otherwise.
pub(crate) struct Request {
    pub(crate) headers: Vec<(&'static str, String)>,
    method: String,
    target: String,
    body: String,
}

impl Request {
    pub(crate) fn new(who: &Who, method: &str, target: &str) -> Self {
        Self::at(who, method, target, NOW_MS, IDENTITY_KEY)
    }

    pub(crate) fn at(who: &Who, method: &str, target: &str, time_ms: i64, key: &str) -> Self {
        Self::signed(who, "AuthenticationKey", method, target, time_ms, key)
    }

    /// A request that nobody has signed, as a gateway forwards it on a public route.
    pub(crate) fn anonymous(method: &str, target: &str) -> Self {
        let nobody = Who { account: String::new(), srn: String::new(), key: String::new(), session: None };
        let mut request = Self::signed(&nobody, "Anonymous", method, target, NOW_MS, IDENTITY_KEY);
        request.headers.retain(|(_, value)| !value.is_empty());
        request
    }

    pub(crate) fn signed(who: &Who, kind: &str, method: &str, target: &str, time_ms: i64, key: &str) -> Self {
        let time = time_ms.to_string();
        let assertion = Assertion {
            method,
            target,
            principal: &who.srn,
            account: &who.account,
            authentication_type: kind,
            access_key: &who.key,
            mfa: if kind == "TemporaryKey" { "true" } else { "false" },
            address: "203.0.113.9",
            session: who.session.as_ref().map(|(name, source, narrowed)| assertion::Session {
                name,
                source,
                narrowed: if *narrowed { "true" } else { "false" },
            }),
            request_id: "req-1",
            time: &time,
        };
        let signed = assertion.sign(&SigningKey::new(&Secret::new(key.as_bytes())));
        let headers = vec![
            ("Portcullis-Principal", who.srn.clone()),
            ("Portcullis-Account", who.account.clone()),
            ("Portcullis-Request-Id", "req-1".to_owned()),
            ("Portcullis-Assertion", String::from_utf8(signed).unwrap()),
        ];
        Self { headers, method: method.to_owned(), target: target.to_owned(), body: String::new() }
    }

    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    /// The same with another value of a header, or without it.
    pub(crate) fn with(mut self, name: &str, value: Option<&str>) -> Self {
        let at = self.headers.iter().position(|(known, _)| *known == name).unwrap();
        match value {
            Some(value) => self.headers[at].1 = value.to_owned(),
            None => drop(self.headers.remove(at)),
        }
        self
    }

    pub(crate) fn body(self, body: Option<Json>) -> Self {
        self.text_body(&body.map(|body| body.to_string()).unwrap_or_default())
    }

    pub(crate) fn text_body(mut self, body: &str) -> Self {
        self.body = body.to_owned();
        self
    }

    pub(crate) fn text(&self) -> String {
        let headers: String = self.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let Self { method, target, body, .. } = self;
        format!(
            "{method} {target} HTTP/1.1\r\nHost: control.test\r\nConnection: close\r\n{headers}Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
    }
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    fn read(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
        Self { status: head.split(' ').nth(1).unwrap().parse().unwrap(), head: head.to_owned(), body: body.to_owned() }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let named = |line: &'_ str| line.split_once(": ").is_some_and(|(known, _)| known.eq_ignore_ascii_case(name));
        self.head.lines().find(|line| named(line)).and_then(|line| line.split_once(": ")).map(|(_, value)| value)
    }

    /// The JSON body of an answer with this status.
    #[track_caller]
    pub(crate) fn json(&self, status: u16) -> Json {
        assert_eq!(self.status, status, "{}", self.body);
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// Code and detail of an error with this status, whose body has exactly the documented members.
    #[track_caller]
    pub(crate) fn error(&self, status: u16) -> (String, Json) {
        let body = self.json(status);
        let entry = body["errors"][0].as_object().unwrap();
        let mut names: Vec<&str> = entry.keys().map(String::as_str).collect();
        names.sort_unstable();
        let documented = ["code", "detail", "global_request_id", "links", "related_resources", "request_id", "response", "status", "title"];
        assert_eq!(names, documented);
        assert_eq!(entry["status"], status);
        (entry["code"].as_str().unwrap().to_owned(), entry["detail"].clone())
    }
}

/// The names of an object's members, in order.
pub(crate) fn members(json: &Json) -> Vec<String> {
    let mut names: Vec<String> = json.as_object().unwrap().keys().cloned().collect();
    names.sort_unstable();
    names
}
