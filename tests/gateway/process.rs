//! The real program: start, SIGHUP with good and bad files, SIGTERM.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use portcullis::gateway::system_time;

use super::backend::Backend;
use super::client::{Answer, Ask, Client, PATIENCE, Who};
use super::harness::{ACCOUNT, READER, Setup, metrics_page, parse, sample_of, text, timed, wait, whole_lines};

const READER_ID: &str = "5e000000000000000000000000000001";
const DENY_ALL: &str = r#"{"Effect": "Deny", "Action": ["*"], "Resource": ["*"]}"#;

/// A running `portcullis gateway`.
pub(crate) struct Program {
    child: Child,
    /// The first listener's.
    address: SocketAddr,
    /// The second one's.
    other: Option<SocketAddr>,
    metrics: SocketAddr,
    log: Arc<Mutex<String>>,
}

fn command(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    command.arg("gateway").arg("--config").arg(folder.join("gateway.yaml")).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

impl Program {
    pub(crate) fn start(folder: &Path) -> Self {
        let mut child = command(folder).spawn().unwrap();
        let log = Arc::<Mutex<String>>::default();
        let (mut errors, writing) = (child.stderr.take().unwrap(), Arc::clone(&log));
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = errors.read(&mut bytes) {
                writing.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..count]));
            }
        });
        let mut ready = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut ready).unwrap();
        // portcullis: ready on 127.0.0.1:1 and 127.0.0.2:3, metrics on 127.0.0.1:2; revision ...
        let address =
            |after: &str| ready.split(after).nth(1).and_then(|rest| rest.split([',', ';', ' ']).next()).and_then(|text| text.parse().ok());
        let (first, other, metrics) = (address("ready on "), address(" and "), address("metrics on "));
        let (Some(address), Some(metrics)) = (first, metrics) else { panic!("{ready:?}\n{}", log.lock().unwrap()) };
        Self { child, address, other, metrics, log }
    }

    pub(crate) fn connect(&self) -> Client {
        Client::open(self.address)
    }

    /// The metrics page.
    pub(crate) fn page(&self) -> String {
        metrics_page(self.metrics)
    }

    fn signal(&self, name: &str) {
        assert!(Command::new("kill").arg(name).arg(self.child.id().to_string()).status().unwrap().success());
    }

    fn reloads(&self, result: &str) -> u64 {
        sample_of(&metrics_page(self.metrics), &format!("portcullis_reloads_total{{result=\"{result}\"}}"))
    }

    /// Sends SIGHUP and waits until it has come to `result`.
    fn reload(&self, result: &str) {
        let before = self.reloads(result);
        self.signal("-HUP");
        wait(result, || (self.reloads(result) > before).then_some(()));
    }

    fn ask(&self, client: &mut Client, who: &Who) -> Answer {
        let lines = who.sign_at("GET", "iam.test", "/v1/groups/g1", system_time().milliseconds());
        client.ask(Ask::get("/v1/groups/g1").with(&lines))
    }

    /// The exit code, once it has ended.
    fn end(&mut self) -> Option<i32> {
        wait("the program's end", || self.child.try_wait().unwrap()).code()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn sighup_with_broken_files_changes_nothing_and_with_good_ones_everything() {
    let backend = Backend::start();
    let folder = tempfile::tempdir().unwrap();
    let setup = Setup::new();
    setup.write(folder.path(), backend.address());
    let records = std::fs::read_to_string(folder.path().join("iam.yaml")).unwrap();
    let gateway = std::fs::read_to_string(folder.path().join("gateway.yaml")).unwrap();
    let mut program = Program::start(folder.path());
    let mut client = Client::open(program.address);
    let first = program.ask(&mut client, &READER);
    assert_eq!(first.verdict(), (200, "allow"), "{}", first.text());
    assert_eq!(program.reloads("loaded") + program.reloads("refused"), 0);

    let broken_policy = records.replace("\"Effect\": \"Deny\"", "\"Effect\": \"Dany\"");
    for (file, text, complaint) in [
        ("iam.yaml", Some("- {kind: user"), "iam.yaml"),
        ("iam.yaml", Some(&*broken_policy), "Dany"),
        ("iam.yaml", None, "iam.yaml"),
        ("definitions.yaml", Some("kind: something"), "definitions.yaml"),
        ("gateway.yaml", Some("listeners: []"), "gateway.yaml"),
        ("upstream.key", Some("short"), "at least 16 bytes"),
    ] {
        let path = folder.path().join(file);
        let good = std::fs::read(&path).unwrap();
        match text {
            Some(text) => std::fs::write(&path, text).unwrap(),
            None => std::fs::remove_file(&path).unwrap(),
        }
        std::mem::take(&mut *program.log.lock().unwrap()).lines().for_each(|line| assert!(!line.contains(READER.secret), "{line}"));
        program.reload("refused");
        let logs = |words: &str| wait(words, || program.log.lock().unwrap().contains(words).then_some(()));
        logs("nothing was reloaded");
        logs(complaint);
        let after = program.ask(&mut client, &READER);
        assert_eq!(after.verdict(), (200, "allow"), "after {file}");
        assert_eq!(after.header("portcullis-revision"), first.header("portcullis-revision"));
        std::fs::write(&path, good).unwrap();
    }
    assert_eq!((program.reloads("loaded"), program.reloads("refused")), (0, 6));

    Setup::new().policy(ACCOUNT, READER_ID, DENY_ALL).write(folder.path(), backend.address());
    program.reload("loaded");
    let denied = program.ask(&mut client, &READER);
    assert_eq!(denied.verdict(), (403, "explicit_deny"), "on the connection that was open all the time");
    let revision = denied.header("portcullis-revision").unwrap();
    assert_ne!(Some(revision), first.header("portcullis-revision"));
    assert!(metrics_page(program.metrics).contains(&format!("portcullis_revision_info{{revision=\"{revision}\"}} 1")));

    std::fs::write(folder.path().join("iam.yaml"), records).unwrap();
    std::fs::write(folder.path().join("gateway.yaml"), gateway).unwrap();
    program.reload("loaded");
    let back = program.ask(&mut client, &READER);
    assert_eq!((back.verdict(), back.header("portcullis-revision")), ((200, "allow"), first.header("portcullis-revision")));
    program.signal("-TERM");
    assert_eq!(program.end(), Some(0));
    let log = program.log.lock().unwrap();
    assert!(!log.contains(READER.secret) && !log.contains('\u{1b}'), "{log}");
}

/// The address that the backend is told when a client at a listener says that it is another.
fn told(listener: SocketAddr, backend: &Backend) -> String {
    let lines = READER.sign_at("GET", "iam.test", "/v1/groups/g1", system_time().milliseconds());
    let request = Ask::get("/v1/groups/g1").line("X-Forwarded-For: 203.0.113.5").with(&lines);
    let answer = Client::open_from("127.0.0.3", listener).ask(request);
    assert_eq!(answer.verdict(), (200, "allow"), "{}", answer.text());
    backend.last().header("x-forwarded-for").unwrap()
}

#[test]
fn sighup_leaves_each_listener_its_own_trust_wherever_it_stands_in_the_file() {
    let trusted = "  - address: 127.0.0.1:0\n    trusted_proxies: {networks: [127.0.0.0/8], header: x-forwarded-for}\n";
    let plain = "  - address: 127.0.0.2:0\n";
    let backend = Backend::start();
    let folder = tempfile::tempdir().unwrap();
    let (_, more) = trusted.split_once("    ").unwrap();
    Setup::new().set("listener", format!("{more}{}", plain.trim_end())).write(folder.path(), backend.address());
    let path = folder.path().join("gateway.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    let both = format!("{trusted}{plain}");
    assert_eq!(text.matches(&both).count(), 1, "{text}");

    let program = Program::start(folder.path());
    let (first, second) = (program.address, program.other.unwrap());
    let trust = |when: &str| assert_eq!([first, second].map(|at| told(at, &backend)), ["203.0.113.5", "127.0.0.3"], "{when}");
    trust("at the start");
    let added = "  - address: 127.0.0.4:0\n    trusted_proxies: {networks: [127.0.0.0/8], header: x-forwarded-for}\n";
    for listeners in [format!("{plain}{trusted}"), format!("{added}{plain}{trusted}"), both.clone()] {
        std::fs::write(&path, text.replace(&both, &listeners)).unwrap();
        program.reload("loaded");
        trust(&listeners);
    }
    for listeners in [trusted, plain, added] {
        program.log.lock().unwrap().clear();
        std::fs::write(&path, text.replace(&both, listeners)).unwrap();
        program.reload("refused");
        wait("the complaint", || program.log.lock().unwrap().contains("a listener in use has gone").then_some(()));
        trust(listeners);
    }
    // What the file says about a listener is still put in force.
    let turned = both
        .replace("    trusted", "    # trusted")
        .replace("127.0.0.2:0\n", "127.0.0.2:0\n    trusted_proxies: {networks: [127.0.0.3]}\n");
    std::fs::write(&path, text.replace(&both, &turned)).unwrap();
    program.reload("loaded");
    assert_eq!([first, second].map(|at| told(at, &backend)), ["127.0.0.3", "203.0.113.5"]);
}

#[test]
fn sighup_opens_the_decision_log_anew() {
    let backend = Backend::start();
    let folder = tempfile::tempdir().unwrap();
    Setup::new().write(folder.path(), backend.address());
    let (log, old) = (folder.path().join("decisions.jsonl"), folder.path().join("decisions.1.jsonl"));
    let mut program = Program::start(folder.path());
    let mut client = Client::open(program.address);
    let holds = |path: &Path, id: &str| {
        let lines = std::fs::read_to_string(path).unwrap_or_default();
        whole_lines(&lines).any(|line| text(&parse(line.as_bytes()), "request_id") == Some(id))
    };
    let first = program.ask(&mut client, &READER);
    wait("the first record", || holds(&log, first.request_id()).then_some(()));
    std::fs::rename(&log, &old).unwrap();
    program.reload("loaded");
    let second = program.ask(&mut client, &READER);
    wait("the second record", || holds(&log, second.request_id()).then_some(()));
    assert!(holds(&old, first.request_id()) && !holds(&old, second.request_id()));
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&log).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    program.signal("-TERM");
    assert_eq!(program.end(), Some(0));
}

#[test]
fn sigterm_lets_a_running_request_finish_and_ends_well() {
    for signal in ["-TERM", "-INT"] {
        let (go, told) = std::sync::mpsc::channel::<()>();
        let told = Mutex::new(told);
        let backend = Backend::scripted(move |turn| {
            let _ = told.lock().unwrap().recv_timeout(PATIENCE);
            turn.ok()
        });
        let folder = tempfile::tempdir().unwrap();
        Setup::new().set("timeouts", "{drain_s: 15}").write(folder.path(), backend.address());
        let mut program = Program::start(folder.path());
        let mut client = Client::open(program.address);
        let lines = READER.sign_at("GET", "iam.test", "/v1/groups/g1", system_time().milliseconds());
        client.send(Ask::get("/v1/groups/g1").with(&lines));
        backend.wait(|all| all.len() == 1);
        program.signal(signal);
        wait("the listener's end", || std::net::TcpStream::connect(program.address).is_err().then_some(()));
        go.send(()).unwrap();
        assert_eq!(client.answer().verdict(), (200, "allow"));
        let (code, took) = timed(|| program.end());
        assert_eq!(code, Some(0), "{signal}");
        assert!(took.as_secs() < 10, "{signal}: {took:?}");
    }
}

#[test]
fn a_port_that_a_gateway_has_is_no_other_gateways() {
    let backend = Backend::start();
    let folders = [(); 3].map(|()| tempfile::tempdir().unwrap());
    Setup::new().write(folders[0].path(), backend.address());
    let program = Program::start(folders[0].path());
    for (folder, taken) in folders[1..].iter().zip([program.address, program.metrics]) {
        Setup::new().write(folder.path(), backend.address());
        let config = folder.path().join("gateway.yaml");
        let text = std::fs::read_to_string(&config).unwrap();
        let (before, after) =
            if taken == program.address { text.split_once("127.0.0.1:0") } else { text.rsplit_once("127.0.0.1:0") }.unwrap();
        std::fs::write(&config, format!("{before}{taken}{after}")).unwrap();
        let mut other = command(folder.path()).spawn().unwrap();
        let ended = wait("the refusal", || other.try_wait().unwrap());
        let mut said = String::new();
        other.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert!(!ended.success() && said.contains(&format!("cannot listen on `{taken}`")), "{said}");
    }
    let mut client = Client::open(program.address);
    assert_eq!(program.ask(&mut client, &READER).verdict(), (200, "allow"));
}

#[test]
fn a_broken_configuration_opens_no_socket_and_says_all_that_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    Setup::new().record("{kind: usr}").record("{kind: user, id: x}").write(folder.path(), "127.0.0.1:9".parse().unwrap());
    let output = command(folder.path()).output().unwrap();
    let complaints = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(1), &b""[..]), "{complaints}");
    assert!(complaints.contains("usr") && complaints.contains("`x`"), "all errors at once: {complaints}");
}
