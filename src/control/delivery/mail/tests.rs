//! What a mail is made of, what a server gets, and that nothing is sent in clear or in a header that should not be.

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;

use super::*;
use crate::types::{AccountId, Timestamp, UserId};

fn message<'a>(name: &'a str, to: &'a str, locale: &'static str, passcode: &'a Secret) -> Message<'a> {
    Message {
        account: AccountId::from_bytes([1; 16]),
        user: UserId::from_bytes([2; 16]),
        user_name: name,
        method: "EMAIL",
        to: Some(to),
        locale,
        passcode,
        expires_at: Timestamp::from_milliseconds(1_795_212_300_000),
    }
}

/// A mailer for a server on a port of this machine that speaks in clear.
fn mailer(port: u16, from: &str) -> Mailer {
    let (tls, from) = (SmtpTls::None, from.parse().unwrap());
    Mailer::new(&Server { host: "127.0.0.1", port, tls, ca: None, login: None, from: &from }).unwrap()
}

/// Head and body of the mail that a message becomes, unfolded and decoded.
fn mailed(message: &Message<'_>) -> (String, String) {
    let mail = mailer(25, "Portcullis <no-reply@example.test>").mail(message).unwrap();
    let text = String::from_utf8(mail.formatted()).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let coding = head.lines().find_map(|line| line.strip_prefix("Content-Transfer-Encoding: ")).unwrap();
    let body = match coding {
        "7bit" => body.to_owned(),
        "quoted-printable" => body.replace("=\r\n", "").replace("=C2=85", "\u{85}"),
        "base64" => {
            let packed: String = body.split_whitespace().collect();
            String::from_utf8(base64::engine::general_purpose::STANDARD.decode(packed).unwrap()).unwrap()
        }
        other => panic!("{other}: {text}"),
    };
    (head.replace("\r\n ", " "), body.replace("\r\n", "\n"))
}

fn names(head: &str) -> Vec<&str> {
    let mut names: Vec<&str> = head.lines().map(|line| line.split_once(": ").unwrap().0).collect();
    names.sort_unstable();
    names
}

const HEADERS: [&str; 9] =
    ["Auto-Submitted", "Content-Transfer-Encoding", "Content-Type", "Date", "From", "MIME-Version", "Message-ID", "Subject", "To"];

#[test]
fn a_mail_says_what_it_is_for_in_the_language_that_was_asked_for() {
    let passcode = Secret::new(*b"123456");
    let (head, body) = mailed(&message("ada", "ada@example.test", "en_US", &passcode));
    assert_eq!(names(&head), HEADERS, "{head}");
    for line in [
        "From: Portcullis <no-reply@example.test>",
        "To: ada@example.test",
        "Subject: Passcode for a temporary access key",
        "Auto-Submitted: auto-generated",
        "Content-Type: text/plain; charset=utf-8",
    ] {
        assert!(head.lines().any(|found| found == line), "{line}: {head}");
    }
    assert!(!head.contains("123456"));
    assert_eq!(
        body,
        "The passcode for a temporary access key of the user ada:\n\n    123456\n\n\
         It is good once, until 2026-11-20T22:05:00.000Z. Do not tell it to anybody.\n\
         If you have not asked for it, somebody has signed with an access key of\nthis user: switch that key off.\n"
    );
    let (head, body) = mailed(&message("에이다", "ada@example.test", "ko_KR", &passcode));
    assert_eq!(names(&head), HEADERS, "{head}");
    // `임시 인증키 인증번호`.
    assert!(head.contains("Subject: =?utf-8?b?7J6E7IucIOyduOymne2CpCDsnbjspp3rsojtmLg=?="), "{head}");
    assert!(
        body.starts_with("사용자 에이다의 임시 인증키를 만들기 위한 인증번호입니다.\n\n    123456\n\n2026-11-20T22:05:00.000Z까지"),
        "{body}"
    );
    assert!(head.is_ascii());
}

#[test]
fn nothing_that_people_choose_becomes_a_header_or_a_line() {
    let passcode = Secret::new(*b"123456");
    for name in ["a\r\nBcc: eve@example.test", "a\nBcc: eve@example.test\n\n", "a\r\n.\r\nMAIL FROM:<eve@example.test>", "a\u{0}\u{85}b"] {
        let (head, body) = mailed(&message(name, "ada@example.test", "en_US", &passcode));
        assert_eq!(names(&head), HEADERS, "{head}");
        assert!(!head.contains("eve"), "{head}");
        let (_, plain) = mailed(&message("x", "ada@example.test", "en_US", &passcode));
        assert_eq!(body.lines().count(), plain.lines().count(), "{body}");
    }
    let mailer = mailer(25, "no-reply@example.test");
    for to in [
        "a@example.test\r\nBcc: eve@example.test",
        "a@example.test, eve@example.test",
        "a@example.test>\r\nRCPT TO:<eve@example.test",
        "Eve <eve@example.test>",
        "a b@example.test",
        "a@example.test SIZE=1",
        "a@",
        "",
    ] {
        assert!(mailer.mail(&message("ada", to, "en_US", &passcode)).is_none(), "{to}");
    }
    assert!(mailer.mail(&Message { to: None, ..message("ada", "", "en_US", &passcode) }).is_none());
}

/// Takes one mail, answering the n-th command with the n-th answer; what it was sent.
async fn server(listener: TcpListener, answers: &[&str]) -> Vec<String> {
    let (stream, _) = listener.accept().await.unwrap();
    let (from, mut to) = stream.into_split();
    let mut lines = BufReader::new(from).lines();
    to.write_all(b"220 here ESMTP\r\n").await.unwrap();
    let (mut seen, mut answers) = (Vec::new(), answers.iter());
    let mut in_mail = false;
    while let Ok(Some(line)) = lines.next_line().await {
        let is_end = line == ".";
        seen.push(line);
        if in_mail && !is_end {
            continue;
        }
        let Some(answer) = answers.next() else { break };
        in_mail = answer.starts_with("354");
        to.write_all(format!("{answer}\r\n").as_bytes()).await.unwrap();
    }
    seen
}

#[tokio::test]
async fn a_server_gets_a_mail_once_and_only_its_yes_counts() {
    let taken = ["250 here", "250 from", "250 to", "354 go on", "250 taken 123456"];
    let refused = |place: usize, answer: &'static str| {
        let mut answers = taken.to_vec();
        answers.truncate(place);
        answers.push(answer);
        answers.push("221 bye");
        answers
    };
    for (answers, said) in [
        (taken.to_vec(), None),
        (refused(1, "550 no 123456 of yours"), Some("550")),
        (refused(2, "451 later"), Some("451")),
        (refused(4, "554 your mail says 123456"), Some("554")),
        (refused(0, "500 x"), Some("500")),
        (vec!["250 here"], Some("broke off")),
        (vec!["no SMTP at all"], Some("cannot be read")),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mailer = mailer(listener.local_addr().unwrap().port(), "no-reply@example.test");
        let serving = tokio::spawn(async move { server(listener, &answers).await });
        let passcode = Secret::new(*b"123456");
        let sent = mailer.send(&message("ada", "ada@example.test", "en_US", &passcode)).await;
        let shown = format!("{sent:?} {mailer:?}");
        match (&sent, said) {
            (Ok(()), None) => {}
            (Err(error), Some(said)) => assert!(error.to_string().contains(said), "{error}"),
            (other, said) => panic!("{other:?} instead of {said:?}"),
        }
        assert!(!shown.contains("123456") && !shown.contains("yours"), "{shown}");
        drop(mailer);
        let seen = serving.await.unwrap();
        if said.is_none() {
            assert_eq!(seen.iter().filter(|line| line.contains("123456")).count(), 1, "{seen:?}");
            let commands: Vec<&String> = seen.iter().filter(|line| line.starts_with("MAIL") || line.starts_with("RCPT")).collect();
            assert_eq!(commands, ["MAIL FROM:<no-reply@example.test>", "RCPT TO:<ada@example.test>"]);
        }
    }
}

#[tokio::test]
async fn without_the_tls_that_was_configured_nothing_is_sent() {
    let passcode = Secret::new(*b"123456");
    for tls in [SmtpTls::StartTls, SmtpTls::Implicit] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (port, from) = (listener.local_addr().unwrap().port(), "no-reply@example.test".parse().unwrap());
        let password = Secret::new(*b"the server's password");
        let login = Some(("portcullis", &password));
        let mailer = Mailer::new(&Server { host: "127.0.0.1", port, tls, ca: None, login, from: &from }).unwrap();
        assert!(!format!("{mailer:?}").contains("password"));
        // It takes everything in clear, and does not offer STARTTLS.
        let serving =
            tokio::spawn(async move { server(listener, &["250-here\r\n250 AUTH PLAIN LOGIN", "235 in", "250 x", "250 x", "354 x"]).await });
        let error = mailer.send(&message("ada", "ada@example.test", "en_US", &passcode)).await.unwrap_err().to_string();
        assert!(error.contains("STARTTLS") || error.contains("broke off") || error.contains("no trusted connection"), "{error}");
        drop(mailer);
        let seen = serving.await.unwrap().join("\n");
        assert!(!seen.contains("MAIL") && !seen.contains("AUTH"), "{seen}");
    }
    let from = "no-reply@example.test".parse().unwrap();
    let with =
        |ca| Mailer::new(&Server { host: "a", port: 1, tls: SmtpTls::Implicit, ca: Some(ca), login: None, from: &from }).unwrap_err();
    assert!(matches!(with(b"no certificate"), MailerError::NoCertificate));
    assert!(matches!(with(b"-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n"), MailerError::Certificates(_)));
}
