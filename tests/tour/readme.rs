//! The README's tour, as it stands there: its signer of openssl and curl, its requests, its example folder, against a real
//! Prometheus. Only the ports are changed, so that it runs beside others.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::ports;

/// How long anything may take to come up.
const PATIENCE: Duration = Duration::from_secs(30);

/// A process that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What the tour needs on the machine. Absent: a loud notice, and a failure where `CI` is set.
fn tools_are_there() -> bool {
    let missing: Vec<&str> = ["prometheus", "promtool", "curl", "openssl", "bash"]
        .into_iter()
        .filter(|tool| !Command::new("which").arg(tool).stdout(Stdio::null()).status().is_ok_and(|status| status.success()))
        .collect();
    if missing.is_empty() {
        return true;
    }
    assert!(std::env::var_os("CI").is_none(), "the tour needs {missing:?}");
    eprintln!("\n*** NOT RUN: the README's tour needs {missing:?} ***\n");
    false
}

fn free_port() -> u16 {
    ports::free().port()
}

/// The README's block after `<!-- tour: NAME -->`.
fn block(name: &str) -> String {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let after =
        readme.split_once(&format!("<!-- tour: {name} -->\n```sh\n")).unwrap_or_else(|| panic!("the README has no block `{name}`")).1;
    after.split_once("```").unwrap().0.to_owned()
}

struct Tour {
    folder: tempfile::TempDir,
    ports: [u16; 3],
    gateway: Running,
    _prometheus: Running,
}

impl Tour {
    /// The example folder in a folder of its own, ports replaced, Prometheus and the gateway running.
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ports = [free_port(), free_port(), free_port()];
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/examples/prometheus");
        let to = folder.path().join("config/examples/prometheus");
        copy(&from, &to, &ports);
        let prometheus = Command::new("prometheus")
            .arg(format!("--config.file={}", to.join("prometheus.yml").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{}", ports[1]))
            .arg("--web.enable-admin-api")
            .arg(format!("--storage.tsdb.path={}", folder.path().join("tsdb").display()))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut gateway = Command::new(env!("CARGO_BIN_EXE_portcullis"))
            .args(["gateway", "--log", "warn", "--config"])
            .arg(to.join("gateway.yaml"))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut ready = String::new();
        BufReader::new(gateway.stdout.take().unwrap()).read_line(&mut ready).unwrap();
        assert!(ready.starts_with("portcullis: ready on 127.0.0.1:"), "{ready}");
        let tour = Self { folder, ports, gateway: Running(gateway), _prometheus: Running(prometheus) };
        tour.until("Prometheus answers through the gateway", |tour| tour.run("signed operator GET /-/ready").starts_with("HTTP/1.1 200"));
        tour
    }

    /// Runs shell text after the README's signer; what it prints.
    fn run(&self, text: &str) -> String {
        let script = replaced(&format!("{}\n{text}\n", block("signer")), &self.ports);
        let ran = Command::new("bash").arg("-c").arg(script).current_dir(self.folder.path()).output().unwrap();
        String::from_utf8(ran.stdout).unwrap()
    }

    #[expect(clippy::disallowed_methods, reason = "a test's patience is measured by the clock")]
    fn until(&self, what: &str, done: impl Fn(&Self) -> bool) {
        let started = Instant::now();
        while !done(self) {
            assert!(started.elapsed() < PATIENCE, "waited for: {what}");
            std::thread::yield_now();
        }
    }

    /// What `portcullis explain` says about a request.
    fn explain(&self, id: &str) -> String {
        let config = self.folder.path().join("config/examples/prometheus/gateway.yaml");
        let ran = Command::new(env!("CARGO_BIN_EXE_portcullis")).args(["explain", id, "--config"]).arg(config).output().unwrap();
        String::from_utf8(ran.stdout).unwrap()
    }

    fn metrics(&self) -> String {
        self.run("curl -sS http://127.0.0.1:9180/metrics")
    }
}

fn replaced(text: &str, ports: &[u16; 3]) -> String {
    ["8080", "9090", "9180"]
        .iter()
        .zip(ports)
        .fold(text.to_owned(), |text, (from, to)| text.replace(&format!(":{from}"), &format!(":{to}")))
}

fn copy(from: &Path, to: &Path, ports: &[u16; 3]) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target: PathBuf = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target, ports);
        } else if path.extension().is_none_or(|extension| extension != "jsonl") {
            fs::write(target, replaced(&fs::read_to_string(path).unwrap(), ports)).unwrap();
        }
    }
}

fn header<'a>(answer: &'a str, name: &str) -> Option<&'a str> {
    let head = answer.split("\r\n\r\n").next()?;
    head.lines().filter_map(|line| line.split_once(": ")).find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

#[test]
fn the_tour_of_the_readme_works_as_written() {
    if !tools_are_there() {
        return;
    }
    let tour = Tour::start();
    let mut ids = Vec::new();
    let requests = block("requests");
    for line in requests.lines() {
        let (command, expected) = line.split_once('#').unwrap_or_else(|| panic!("`{line}` says no expectation"));
        let (status, rest) = expected.trim().split_at(3);
        let answer = tour.run(command);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "`{line}` got\n{answer}");
        let reason = header(&answer, "portcullis-reason").unwrap_or_else(|| panic!("`{line}` got no reason\n{answer}"));
        let promised = rest.trim_start().split([':', ' ']).next().filter(|word| word.contains('_'));
        assert_eq!(reason, promised.unwrap_or("allow"), "`{line}`");
        let id = header(&answer, "portcullis-request-id").unwrap_or_else(|| panic!("`{line}` got no request id\n{answer}"));
        ids.push((id.to_owned(), reason.to_owned()));
    }
    assert!(requests.lines().count() >= 11);

    // Each left its record, exactly once, and its count.
    let log = tour.folder.path().join("config/examples/prometheus/decisions.jsonl");
    let records = |id: &str| {
        fs::read_to_string(&log).unwrap_or_default().lines().filter(|line| line.contains(id)).map(str::to_owned).collect::<Vec<_>>()
    };
    for (id, reason) in &ids {
        tour.until("the record is written", |_| !records(id).is_empty());
        let found = records(id);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains(&format!("\"reason\":\"{reason}\"")), "{found:?}");
    }
    let page = tour.metrics();
    for line in [
        "portcullis_requests_total{service=\"prometheus\",outcome=\"implicit_deny\"} 2",
        "portcullis_requests_total{service=\"prometheus\",outcome=\"explicit_deny\"} 1",
        "portcullis_requests_total{service=\"prometheus\",outcome=\"clock_skew\"} 1",
        "portcullis_requests_total{service=\"prometheus\",outcome=\"no_action_definition\"} 1",
        "portcullis_requests_total{service=\"-\",outcome=\"unknown_host\"} 1",
    ] {
        assert!(page.contains(line), "{line}\n{page}");
    }

    // A flipped byte of the signature is 401 as well, and so is a wrong key; the answer does not tell which.
    let flipped = tour.run("openssl() { command openssl \"$@\" | tr '\\000-\\377' '\\001-\\377\\000'; }; signed reader GET /metrics");
    assert!(flipped.starts_with("HTTP/1.1 401"), "{flipped}");
    assert_eq!(header(&flipped, "portcullis-reason"), Some("signature_mismatch"));

    // `explain` finds the statement that denied.
    let (denied, _) = ids.iter().find(|(_, reason)| reason == "explicit_deny").unwrap();
    let explained = tour.explain(denied);
    assert!(explained.contains("NotTheConfiguration") && explained.contains("explicit_deny"), "{explained}");

    // The stranger holds a policy that allows everything: the explanation must not stop at that.
    let stranger = tour.run("signed stranger GET '/api/v1/query?query=up'");
    let id = header(&stranger, "portcullis-request-id").unwrap();
    tour.until("the record is written", |_| !records(id).is_empty());
    let explained = tour.explain(id);
    assert!(explained.contains("implicit_deny") && explained.contains("belongs to another account"), "{explained}");

    // The same Prometheus scrapes the gateway, and says so through it.
    tour.until("Prometheus has scraped the gateway", |tour| {
        tour.run("signed reader GET '/api/v1/query?query=portcullis_requests_total'").contains("\"outcome\":\"explicit_deny\"")
    });
}

#[test]
fn promtool_finds_nothing_wrong_with_the_metrics_page() {
    if !tools_are_there() {
        return;
    }
    let tour = Tour::start();
    tour.run("signed stranger GET /metrics; curl -sS http://127.0.0.1:8080/; curl -sS -H 'Host: elsewhere' http://127.0.0.1:8080/");
    let checked = tour.run("curl -sS http://127.0.0.1:9180/metrics | promtool check metrics 2>&1 && echo clean");
    assert_eq!(checked, "clean\n");
}

#[test]
fn a_reload_takes_effect_at_once_and_a_broken_file_changes_nothing() {
    if !tools_are_there() {
        return;
    }
    let tour = Tour::start();
    let policy = tour.folder.path().join("config/examples/prometheus/policies/read.json");
    let good = fs::read_to_string(&policy).unwrap();
    let reload = || {
        let sent = Command::new("kill").args(["-HUP", &tour.gateway.0.id().to_string()]).status().unwrap();
        assert!(sent.success());
    };
    let query = || tour.run("signed reader GET '/api/v1/query?query=up'");
    assert!(query().starts_with("HTTP/1.1 200"));

    fs::write(&policy, good.replace("MonitorView", "MonitorXView")).unwrap();
    reload();
    tour.until("the broken policy is refused", |tour| tour.metrics().contains("portcullis_reloads_total{result=\"refused\"} 1"));
    assert!(query().starts_with("HTTP/1.1 200"), "a broken file must change nothing");

    fs::write(&policy, good.replace(",MonitorView", "")).unwrap();
    reload();
    tour.until("the new policy is loaded", |tour| tour.metrics().contains("portcullis_reloads_total{result=\"loaded\"} 1"));
    assert!(query().starts_with("HTTP/1.1 403"), "the new policy must decide the next request");
}
