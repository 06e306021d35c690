//! Passcodes by mail: a real mail server that wants TLS and a login gets them, and a key is made with what it got.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::json;

use super::harness::{Folder, Program};

/// A server of aiosmtpd. It prints its port, and then of each mail to whom it goes, its subject and its lines.
const SERVER: &str = r#"
import asyncio, email, email.policy, logging, ssl, sys
from aiosmtpd.smtp import AuthResult, SMTP

mode, certificate, key = sys.argv[1:]
logging.disable()

class Handler:
    async def handle_DATA(self, server, session, envelope):
        mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
        text = " / ".join(line.strip() for line in mail.get_content().splitlines() if line.strip())
        print(server.transport.get_extra_info("ssl_object") is not None, ",".join(envelope.rcpt_tos), mail["To"], "|", mail["Subject"], "|", text, flush=True)
        return "250 taken"

def known(server, session, envelope, mechanism, data):
    return AuthResult(success=(data.login, data.password) == (b"portcullis", b"short"), handled=False)

context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
context.load_cert_chain(certificate, key)
wants_tls = mode == "starttls"
more = dict(tls_context=context, require_starttls=True) if wants_tls else {}

async def serve():
    def connection(): return SMTP(Handler(), authenticator=known, auth_required=True, auth_require_tls=wants_tls, **more)
    server = await asyncio.get_running_loop().create_server(connection, "127.0.0.1", 0, ssl=None if wants_tls else context)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()

asyncio.run(serve())
"#;

struct Server {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
    port: u16,
}

impl Server {
    fn start(folder: &Folder, mode: &str) -> Self {
        let (certificate, key) = (folder.file("mail.pem"), folder.file("mail.key.pem"));
        let mut command = Command::new("python3");
        command.args(["-W", "ignore", "-c", SERVER, mode]).args([&certificate, &key]).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let port = lines.next().unwrap().unwrap().parse().unwrap();
        Self { child, lines, port }
    }

    fn mail(&mut self) -> String {
        self.lines.next().unwrap().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A certificate of `127.0.0.1` that nobody but its own file vouches for.
fn certify(folder: &Folder) {
    let mut openssl = Command::new("openssl");
    openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=mail"]);
    openssl.args(["-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE"]);
    openssl.arg("-keyout").arg(folder.file("mail.key.pem")).arg("-out").arg(folder.file("mail.pem"));
    let done = openssl.output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

/// Control plane and gateway of the folder, with mails by this server.
fn restarted(folder: &Folder, mode: &str, port: u16, more: &str) -> (Program, Program) {
    let file = folder.file("control.yaml");
    let text = std::fs::read_to_string(&file).unwrap();
    let smtp = format!(
        "{{smtp: {{host: 127.0.0.1, port: {port}, tls: {mode}, from: 'Portcullis <no-reply@example.test>', user: portcullis, password: {{file: mail.password}}{more}}}}}"
    );
    let lines = text.lines().map(|line| if line.starts_with("passcodes:") { format!("passcodes: {smtp}\n") } else { format!("{line}\n") });
    std::fs::write(&file, lines.collect::<String>()).unwrap();
    (folder.control(), folder.gateway())
}

#[test]
fn a_passcode_by_mail_makes_a_temporary_key() {
    if !Command::new("python3").args(["-c", "import aiosmtpd"]).output().is_ok_and(|done| done.status.success()) {
        assert!(std::env::var_os("CI").is_none(), "aiosmtpd is needed");
        eprintln!("\n*** NOT RUN: passcodes by mail; `python3` has no aiosmtpd ***\n");
        return;
    }
    let folder = Folder::new();
    folder.demo().end();
    certify(&folder);
    let password = folder.file("mail.password");
    let admin = folder.key("ADMIN");
    let ask = |locale: &str, method: &str, status: u16| {
        folder.must(&admin, "POST", "/v1/access-keys/send-otp", Some(&json!({"locale": locale, "method": method})), status)
    };
    let mut user = None;
    for (mode, locale, subject) in
        [("starttls", "en_US", "Passcode for a temporary access key"), ("implicit", "ko_KR", "임시 인증키 인증번호")]
    {
        std::fs::write(&password, "short\n").unwrap();
        let mut server = Server::start(&folder, mode);
        let (control, gateway) = restarted(&folder, mode, server.port, ", ca: {file: mail.pem}");
        folder.settle(&admin);
        let user = user.get_or_insert_with(|| {
            let users = folder.must(&admin, "GET", &format!("/v1/accounts/{}/users?user_name=admin", folder.account()), None, 200);
            // Nobody is asked for a passcode that would reach nobody.
            let nowhere = ask("en_US", "EMAIL", 409);
            assert!(nowhere.body.contains("you have no mail address"), "{}", nowhere.body);
            let id = users.text("/users/0/id");
            let target = format!("/v1/accounts/{}/users/{id}", folder.account());
            folder.must(&admin, "PUT", &target, Some(&json!({"email": "ada@example.test", "password_reuse_count": 1})), 200);
            id
        });
        assert!(ask("en_US", "PHONE", 409).body.contains("by mail only"));
        ask(locale, "EMAIL", 204);
        let mail = server.mail();
        assert!(mail.starts_with(&format!("True ada@example.test ada@example.test | {subject} | ")), "{mail}");
        let code = mail.split(" / ").find(|part| part.len() == 6 && part.bytes().all(|byte| byte.is_ascii_digit())).unwrap().to_owned();
        let body = json!({"access_key_type": "TEMPORARY", "parent_access_key_id": admin.id, "passcode": code, "duration": "PT1H"});
        let made = folder.must(&admin, "POST", "/v1/access-keys", Some(&body), 201);
        assert_eq!(made.text("/access_key/created_by"), *user);
        gateway.end();
        let (_, log) = control.end();
        assert!(!log.contains(&code) && !log.contains("ERROR"), "{log}");

        // A server that is trusted by nobody, or whose password is another one, gets nothing.
        for (secret, more, why) in [("short", "", "no trusted connection"), ("wrong", ", ca: {file: mail.pem}", "it answered 535")] {
            std::fs::write(&password, secret).unwrap();
            let (control, gateway) = restarted(&folder, mode, server.port, more);
            folder.settle(&admin);
            let refused = ask(locale, "EMAIL", 503);
            assert!(!refused.body.contains("127.0.0.1") && !refused.body.contains("535"), "{}", refused.body);
            gateway.end();
            let (_, log) = control.end();
            assert!(log.contains(why) && !log.contains("short") && !log.contains("wrong"), "{why}: {log}");
        }
    }
}
