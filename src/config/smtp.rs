//! `passcodes.smtp`: the mail server that takes mails with passcodes.

use std::net::IpAddr;
use std::path::Path;

use lettre::message::Mailbox;

use super::control::NamedSecret;
use super::files::NamedPath;
use crate::source::Cursor;

/// Longest name of a server or of who logs in there, in bytes.
const NAME_BYTES_MAX: usize = 254;

/// A mail server.
#[derive(Debug, Clone)]
pub struct Smtp {
    /// Its name, which its certificate is for, or its address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is protected.
    pub tls: SmtpTls,
    /// Who mails come from.
    pub from: Mailbox,
    /// With what we log in there, if we do.
    pub login: Option<(String, NamedSecret)>,
    /// A file with the certificates that it is trusted by, instead of the system's.
    pub ca: Option<NamedPath>,
}

/// How the connection to a mail server is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SmtpTls {
    /// By TLS after `STARTTLS`, or not at all: then nothing is sent.
    StartTls,
    /// By TLS from its first byte on.
    Implicit,
    /// Not at all, on this machine.
    None,
}

impl Smtp {
    pub(super) fn decode(path: &Path, cursor: &Cursor<'_>) -> Option<Self> {
        let table = cursor.table()?;
        let host = table.required("host", "write `host: mail.example.com`", |value| name(&value, "write the name of the mail server"));
        let words = [("starttls", SmtpTls::StartTls), ("implicit", SmtpTls::Implicit), ("none", SmtpTls::None)];
        let tls = table.or("tls", SmtpTls::StartTls, |value| {
            let tls = value.one_of(&words)?;
            // SECURITY: a passcode is not sent in clear to another machine. A name may be any machine's.
            let here = host.as_ref().is_none_or(|host| host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback()));
            if tls == SmtpTls::None && !here {
                let hint = "write `tls: starttls` or `tls: implicit`; only a server on a loopback address, such as 127.0.0.1, needs none";
                value.error_hint("passcodes would leave this machine in clear", hint);
                return None;
            }
            Some(tls)
        });
        let usual = match tls {
            Some(SmtpTls::Implicit) => 465,
            Some(SmtpTls::None) => 25,
            Some(SmtpTls::StartTls) | None => 587,
        };
        let port = table.or("port", usual, |value| value.integer(1..=u64::from(u16::MAX), "ports").and_then(|port| port.try_into().ok()));
        let hint = "write `from: \"Portcullis <no-reply@example.com>\"`";
        let from = table.required("from", hint, |value| value.parse::<Mailbox>(hint));
        let user = table.optional("user", |value| name(&value, "write the name to log in with"));
        let password = table.optional("password", |value| NamedSecret::decode(&value));
        let ca = table.optional("ca", |value| {
            let file = value.table()?;
            let named = file.required("file", "write `{file: ca.pem}`", |value| NamedPath::decode(path, &value));
            file.finish()?;
            named
        });
        table.finish()?;
        let login = match (user?, password?) {
            (None, None) => None,
            (Some(user), Some(password)) => Some((user, password)),
            (Some(_), None) | (None, Some(_)) => {
                cursor.error_hint("one of `user` and `password` is missing", "write both, or neither where the server wants no login");
                return None;
            }
        };
        Some(Self { host: host?, port: port?, tls: tls?, from: from?, login, ca: ca? })
    }
}

fn name(cursor: &Cursor<'_>, hint: &str) -> Option<String> {
    let name = cursor.string()?;
    if !(1..=NAME_BYTES_MAX).contains(&name.len()) || !name.bytes().all(|byte| byte.is_ascii_graphic()) {
        cursor.error_hint("this is no name", format!("{hint}: ASCII letters, digits and signs without spaces"));
        return None;
    }
    Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{Report, Source, yaml};

    fn read(text: &str) -> Result<Smtp, String> {
        let (source, report) = (Source::new("control.yaml", text), Report::new());
        let documents = yaml::parse(&source).unwrap();
        let read = Smtp::decode(Path::new("etc/control.yaml"), &Cursor::new(documents.first().unwrap(), &source, &report));
        read.filter(|_| !report.has_errors()).ok_or_else(|| report.to_string())
    }

    #[test]
    fn a_server_has_the_usual_port_of_its_protection() {
        for (text, port, tls) in [
            ("{host: mail.test, from: a@b.test}", 587, SmtpTls::StartTls),
            ("{host: mail.test, from: a@b.test, tls: starttls, port: 25}", 25, SmtpTls::StartTls),
            ("{host: mail.test, from: a@b.test, tls: implicit}", 465, SmtpTls::Implicit),
            ("{host: 127.0.0.1, from: a@b.test, tls: none}", 25, SmtpTls::None),
            ("{host: \"::1\", from: a@b.test, tls: none, port: 2525}", 2525, SmtpTls::None),
        ] {
            let smtp = read(text).unwrap();
            assert_eq!((smtp.port, smtp.tls), (port, tls), "{text}");
            assert!(smtp.login.is_none() && smtp.ca.is_none());
        }
        let more = "{host: mail.test, from: \"Portcullis <a@b.test>\", user: portcullis, password: {file: p}, ca: {file: ca.pem}}";
        let smtp = read(more).unwrap();
        assert_eq!((smtp.from.to_string().as_str(), smtp.login.unwrap().0.as_str()), ("Portcullis <a@b.test>", "portcullis"));
        assert_eq!(smtp.ca.unwrap().path, Path::new("etc/ca.pem"));
    }

    #[test]
    fn what_would_send_passcodes_in_clear_or_to_nobody_is_refused() {
        for (text, part) in [
            ("{host: mail.test, from: a@b.test, tls: none}", "passcodes would leave this machine in clear"),
            ("{host: 192.0.2.1, from: a@b.test, tls: none}", "passcodes would leave this machine in clear"),
            // A name may be any machine's.
            ("{host: localhost, from: a@b.test, tls: none}", "passcodes would leave this machine in clear"),
            ("{host: mail.test, from: a@b.test, tls: opportunistic}", "opportunistic"),
            ("{from: a@b.test}", "host"),
            ("{host: \"mail test\", from: a@b.test}", "this is no name"),
            ("{host: \"\", from: a@b.test}", "the text is empty"),
            ("{host: mail.test}", "from"),
            ("{host: mail.test, from: nobody}", "from"),
            ("{host: mail.test, from: \"a@b.test, c@d.test\"}", "from"),
            ("{host: mail.test, from: a@b.test, user: x}", "one of `user` and `password` is missing"),
            ("{host: mail.test, from: a@b.test, password: {file: x}}", "one of `user` and `password` is missing"),
            ("{host: mail.test, from: a@b.test, password: hunter2hunter2}", "password"),
            ("{host: mail.test, from: a@b.test, port: 0}", "port"),
            ("{host: mail.test, from: a@b.test, port: 65536}", "port"),
        ] {
            let said = read(text).unwrap_err();
            assert!(said.contains(part), "{text}: {said}");
            assert!(!said.contains("hunter2"), "{said}");
        }
    }
}
