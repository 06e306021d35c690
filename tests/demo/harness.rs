//! A running demo in a folder of its own, on ports of its own, and its people.

use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use portcullis::authn::scp::{self, Signed};
use portcullis::gateway::system_time;
use portcullis::types::{Secret, SigningKey};
use serde_json::Value as Json;

use crate::ports;

/// Nothing here takes so long unless it hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// An access key with its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) id: String,
    pub(crate) secret: String,
}

/// Where everything listens.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Addresses {
    pub(crate) gateway: SocketAddr,
    pub(crate) control: SocketAddr,
    pub(crate) feed: SocketAddr,
    pub(crate) metrics: SocketAddr,
}

impl Addresses {
    /// Four ports that were free a moment ago.
    fn free() -> Self {
        let [gateway, control, feed, metrics] = std::array::from_fn(|_| ports::free());
        Self { gateway, control, feed, metrics }
    }
}

/// One of our programs.
pub(crate) struct Program {
    child: Child,
    /// What it printed until it was ready.
    pub(crate) greeting: String,
    log: Arc<Mutex<String>>,
}

impl Program {
    /// Starts it and waits until it says that it is ready; `last` begins the last line of that.
    pub(crate) fn start(arguments: &[&str], last: &str) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
        let mut child = command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let log = Arc::<Mutex<String>>::default();
        let (mut errors, writing) = (child.stderr.take().unwrap(), Arc::clone(&log));
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = errors.read(&mut bytes) {
                writing.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..count]));
            }
        });
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut greeting = String::new();
        for line in lines.by_ref() {
            let line = line.unwrap();
            greeting.push_str(&line);
            greeting.push('\n');
            if greeting.contains("ready") && line.starts_with(last) {
                break;
            }
        }
        // Whoever writes on must not be stopped by a full pipe.
        std::thread::spawn(move || lines.for_each(drop));
        let program = Self { child, greeting, log };
        assert!(program.greeting.contains("ready"), "it is not ready: {}\n{}", program.greeting, program.log());
        program
    }

    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    pub(crate) fn kill(mut self) -> String {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.log()
    }

    /// Ends it as an operator does; what it said, and its exit code.
    pub(crate) fn end(mut self) -> (Option<i32>, String) {
        assert!(Command::new("kill").arg("-TERM").arg(self.child.id().to_string()).status().unwrap().success());
        let code = wait("the program's end", || self.child.try_wait().unwrap()).code();
        (code, self.log())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Asks until there is an answer.
#[expect(clippy::disallowed_methods, reason = "a test waits for a program")]
pub(crate) fn wait<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < until, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A folder with a demo in it.
pub(crate) struct Folder {
    folder: tempfile::TempDir,
    pub(crate) addresses: Addresses,
}

impl Folder {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), addresses: Addresses::free() }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn arguments(&self) -> Vec<String> {
        let Addresses { gateway, control, feed, metrics } = self.addresses;
        let addresses = [("--gateway", gateway), ("--control", control), ("--feed", feed), ("--metrics", metrics)];
        let mut arguments = ["demo", "--data", self.path().to_str().unwrap(), "--log", "info"].map(str::to_owned).to_vec();
        arguments.extend(addresses.into_iter().flat_map(|(name, address)| [name.to_owned(), address.to_string()]));
        arguments
    }

    /// Starts the whole demo.
    pub(crate) fn demo(&self) -> Program {
        let arguments = self.arguments();
        Program::start(&arguments.iter().map(String::as_str).collect::<Vec<_>>(), "To end it")
    }

    /// Starts the whole demo, which ends at once; what it says.
    pub(crate) fn refused_demo(&self) -> String {
        let done = Command::new(env!("CARGO_BIN_EXE_portcullis")).args(self.arguments()).stdin(Stdio::null()).output().unwrap();
        assert!(!done.status.success(), "{}", String::from_utf8_lossy(&done.stdout));
        String::from_utf8(done.stderr).unwrap()
    }

    /// The same with other ports.
    pub(crate) fn moved(self) -> Self {
        Self { addresses: Addresses::free(), ..self }
    }

    /// Every file with what is in it, less those that a demo writes while it runs.
    pub(crate) fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let entries = std::fs::read_dir(self.path()).unwrap().map(|entry| entry.unwrap().path());
        let still =
            entries.filter(|path| path.extension().is_some_and(|kind| ["key", "yaml", "env", "db"].iter().any(|known| kind == *known)));
        still.map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
    }

    /// Starts the control plane alone.
    pub(crate) fn control(&self) -> Program {
        Program::start(&["control", "--config", self.file("control.yaml").to_str().unwrap()], "")
    }

    /// Starts the gateway alone.
    pub(crate) fn gateway(&self) -> Program {
        Program::start(&["gateway", "--config", self.file("gateway.yaml").to_str().unwrap()], "")
    }

    /// What demo.env says.
    pub(crate) fn environment(&self) -> HashMap<String, String> {
        let text = std::fs::read_to_string(self.file("demo.env")).unwrap();
        let entries = text.lines().filter(|line| !line.starts_with('#')).map(|line| line.split_once('=').unwrap());
        entries.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    /// The key of ADMIN, READER or OTHER.
    pub(crate) fn key(&self, who: &str) -> Key {
        let environment = self.environment();
        let get = |what: &str| environment[&format!("{who}_{what}")].clone();
        Key { id: get("ACCESS_KEY"), secret: get("SECRET_KEY") }
    }

    pub(crate) fn account(&self) -> String {
        self.environment()["PORTCULLIS_ACCOUNT_ID"].clone()
    }

    /// A request to the gateway, signed by `key` if there is one.
    pub(crate) fn call(&self, key: Option<&Key>, method: &str, path: &str, body: Option<&Json>) -> Answer {
        self.call_with(key, method, path, body, &[])
    }

    pub(crate) fn call_with(&self, key: Option<&Key>, method: &str, path: &str, body: Option<&Json>, lines: &[String]) -> Answer {
        let host = self.addresses.gateway.to_string();
        let mut head: Vec<String> = lines.to_vec();
        head.extend(key.into_iter().flat_map(|key| sign(key, method, &host, path)));
        exchange(self.addresses.gateway, method, path, &head, body)
    }

    /// The same, and the answer has this status.
    pub(crate) fn must(&self, key: &Key, method: &str, path: &str, body: Option<&Json>, status: u16) -> Answer {
        let answer = self.call(Some(key), method, path, body);
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.body);
        answer
    }

    /// Waits until the gateway knows a key that was made a moment ago.
    pub(crate) fn settle(&self, key: &Key) {
        wait("the key", || (self.call(Some(key), "GET", "/v1/access-keys", None).status != 401).then_some(()));
    }

    /// A page of the metrics listener.
    pub(crate) fn metrics(&self) -> String {
        exchange(self.addresses.metrics, "GET", "/metrics", &[], None).body
    }
}

/// The header lines that sign a request now.
pub(crate) fn sign(key: &Key, method: &str, host: &str, target: &str) -> Vec<String> {
    let now = system_time();
    let signing_key = SigningKey::new(&Secret::new(key.secret.as_bytes()));
    let signature = scp::sign(&signing_key, key.id.parse().unwrap(), &Signed { method, scheme: "http", host, target }, now);
    vec![
        format!("Scp-Accesskey: {}", key.id),
        format!("Scp-Timestamp: {}", now.milliseconds()),
        "Scp-ClientType: Openapi".to_owned(),
        format!("Scp-Signature: {signature}"),
    ]
}

/// An answer.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .find(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    pub(crate) fn json(&self) -> Json {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// The text at a JSON pointer.
    pub(crate) fn text(&self, pointer: &str) -> String {
        self.json().pointer(pointer).and_then(Json::as_str).unwrap_or_else(|| panic!("no {pointer} in {}", self.body)).to_owned()
    }
}

/// One request on a connection of its own.
pub(crate) fn exchange(address: SocketAddr, method: &str, path: &str, lines: &[String], body: Option<&Json>) -> Answer {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut text = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
    for line in lines {
        text.push_str(line);
        text.push_str("\r\n");
    }
    let body = body.map(Json::to_string);
    if let Some(body) = &body {
        text.push_str(&format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len()));
    }
    text.push_str("\r\n");
    text.push_str(&body.unwrap_or_default());
    stream.write_all(text.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer:?}"));
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let chunked = head.lines().any(|line| line.eq_ignore_ascii_case("transfer-encoding: chunked"));
    let body = if chunked { unchunked(body) } else { body.to_owned() };
    Answer { status, head: head.to_owned(), body }
}

fn unchunked(mut rest: &str) -> String {
    let mut body = String::new();
    while let Some((size, after)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap();
        body.push_str(after.get(..size).unwrap());
        rest = after.get(size + 2..).unwrap_or_default();
    }
    body
}
