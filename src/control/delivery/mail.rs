//! Mails with passcodes, by way of a mail server.
//!
//! SECURITY: nothing that people have chosen gets into a header: a mail goes to an address that is one, and their names stand in its body
//! without control characters (test `nothing_that_people_choose_becomes_a_header_or_a_line`). What the server says is not repeated: it
//! may repeat the mail.

use std::error::Error as _;
use std::time::Duration;
use std::{fmt, io};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use lettre::message::header::{ContentType, Header, HeaderName, HeaderValue, MIME_VERSION_1_0};
use lettre::message::{Mailbox, MessageBuilder};
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::{Address, AsyncSmtpTransport, AsyncTransport as _, Message as Mail, Tokio1Executor};

use super::{Message, NotSent};
use crate::config::SmtpTls;
use crate::control::random;
use crate::types::Secret;

/// How long a mail server may take for a mail; some let everybody wait.
const PATIENCE: Duration = Duration::from_secs(20);

/// A mail server and how it is talked to.
#[derive(Debug)]
pub struct Server<'a> {
    /// Its name or address.
    pub host: &'a str,
    /// Its port.
    pub port: u16,
    /// How the connection is protected.
    pub tls: SmtpTls,
    /// The certificates that it is trusted by, as PEM, instead of the system's.
    pub ca: Option<&'a [u8]>,
    /// With what we log in there, if we do.
    pub login: Option<(&'a str, &'a Secret)>,
    /// Who mails come from.
    pub from: &'a Mailbox,
}

/// Sends mails.
pub struct Mailer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    /// For errors.
    server: String,
}

/// Why no mails can be sent.
#[derive(Debug, thiserror::Error)]
pub enum MailerError {
    /// The password cannot be sent.
    #[error("the mail server's password is not a text")]
    Password,
    /// The certificates are none.
    #[error("the mail server's certificates cannot be read: {0}")]
    Certificates(#[source] Error),
    /// There would be nothing to trust it by.
    #[error("the file with the mail server's certificates holds none")]
    NoCertificate,
}

impl Mailer {
    /// Connects to nobody yet.
    ///
    /// # Errors
    /// [`MailerError`] when something that was configured cannot be used.
    pub fn new(server: &Server<'_>) -> Result<Self, MailerError> {
        let Server { host, port, tls, ca, login, from } = *server;
        let parameters = || {
            let mut builder = TlsParameters::builder(host.to_owned());
            if let Some(pem) = ca {
                if !pem.windows(11).any(|window| window == b"-----BEGIN ") {
                    return Err(MailerError::NoCertificate);
                }
                let certificate = Certificate::from_pem(pem).map_err(MailerError::Certificates)?;
                builder = builder.certificate_store(CertificateStore::None).add_root_certificate(certificate);
            }
            builder.build_rustls().map_err(MailerError::Certificates)
        };
        let tls = match tls {
            SmtpTls::StartTls => Tls::Required(parameters()?),
            SmtpTls::Implicit => Tls::Wrapper(parameters()?),
            SmtpTls::None => Tls::None,
        };
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host).port(port).tls(tls).timeout(Some(PATIENCE));
        if let Some((user, password)) = login {
            let password = std::str::from_utf8(password.expose()).map_err(|_| MailerError::Password)?;
            builder = builder.credentials(Credentials::new(user.to_owned(), password.to_owned()));
        }
        Ok(Self { transport: builder.build(), from: from.clone(), server: format!("{host}:{port}") })
    }

    /// Sends a message, once.
    pub(super) async fn send(&self, message: &Message<'_>) -> Result<(), NotSent> {
        let failed = |why: String| NotSent::Mail { server: self.server.clone(), why };
        let mail = self.mail(message).ok_or_else(|| failed("no mail could be made of it".to_owned()))?;
        match tokio::time::timeout(PATIENCE, self.transport.send(mail)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(failed(reason(&error))),
            Err(_) => Err(failed("it gave no answer in time".to_owned())),
        }
    }

    fn mail(&self, message: &Message<'_>) -> Option<Mail> {
        let to: Address = message.to?.parse().ok()?;
        let id = format!("<{}@{}>", URL_SAFE_NO_PAD.encode(random::bytes::<16>().ok()?), self.from.email.domain());
        let (subject, body) = text(message);
        let mail: MessageBuilder = Mail::builder().from(self.from.clone()).to(to.into()).subject(subject).message_id(Some(id));
        mail.header(MIME_VERSION_1_0).header(AutoSubmitted).header(ContentType::TEXT_PLAIN).body(body).ok()
    }
}

impl fmt::Debug for Mailer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Mailer({})", self.server)
    }
}

/// What went wrong, without what the server said.
fn reason(error: &Error) -> String {
    match error.status() {
        Some(status) => format!("it answered {status}"),
        None if error.is_tls() || is_of_tls(error) => "no trusted connection to it came about".to_owned(),
        None if error.is_client() => "it does not speak what was configured (`STARTTLS`, a way to log in)".to_owned(),
        None if error.is_response() => "it broke off, or its answers cannot be read".to_owned(),
        None => "it could not be reached, or broke off".to_owned(),
    }
}

/// Whether it comes from the TLS below a connection, which says so by way of I/O.
fn is_of_tls(error: &Error) -> bool {
    let mut cause = error.source();
    while let Some(found) = cause {
        if found.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::InvalidData) {
            return true;
        }
        cause = found.source();
    }
    false
}

/// Tells programs that answer mails not to (RFC 3834).
#[derive(Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

/// Subject and body in the language that was asked for.
fn text(message: &Message<'_>) -> (&'static str, String) {
    let passcode = std::str::from_utf8(message.passcode.expose()).unwrap_or_default();
    let name: String = message.user_name.chars().map(|character| if character.is_control() { ' ' } else { character }).collect();
    let end = message.expires_at;
    match message.locale {
        "ko_KR" => (
            "임시 인증키 인증번호",
            format!(
                "사용자 {name}의 임시 인증키를 만들기 위한 인증번호입니다.\n\n    {passcode}\n\n\
                 {end}까지 한 번만 사용할 수 있습니다. 다른 사람에게 알려 주지 마십시오.\n\
                 요청한 적이 없다면 누군가 이 사용자의 인증키로 서명한 것이므로, 그 인증키를 비활성화하십시오.\n"
            ),
        ),
        _ => (
            "Passcode for a temporary access key",
            format!(
                "The passcode for a temporary access key of the user {name}:\n\n    {passcode}\n\n\
                 It is good once, until {end}. Do not tell it to anybody.\n\
                 If you have not asked for it, somebody has signed with an access key of\nthis user: switch that key off.\n"
            ),
        ),
    }
}

#[cfg(test)]
mod tests;
