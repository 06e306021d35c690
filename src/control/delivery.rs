//! How passcodes reach people: as files in a folder, by a web hook that mails them or sends short messages, or as mails.
//!
//! SECURITY: a message holds the passcode, so it goes to a file that only its owner may read, to a loopback address, or over TLS, and no
//! error and no log ever shows it.

pub mod mail;

use std::convert::Infallible;
use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, header};
use hyper::body::{Body, Frame, SizeHint};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use crate::types::{AccountId, Secret, Timestamp, UserId};
use mail::Mailer;

/// How long a web hook may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How many messages are on their way at a time.
const SENDERS_MAX: usize = 8;

static SENDERS: Semaphore = Semaphore::const_new(SENDERS_MAX);

/// How passcodes reach people.
#[derive(Debug)]
pub enum Delivery {
    /// They do not: there are no temporary keys.
    None,
    /// One file for each user in this folder, with the passcode that was sent last.
    Outbox(PathBuf),
    /// `POST`ed as JSON to a program on this machine.
    Webhook {
        /// Where it listens.
        address: SocketAddr,
        /// The path there.
        path: String,
        /// What it knows us by, as `Authorization: Bearer`.
        credential: Secret,
    },
    /// Mailed.
    Mail(Box<Mailer>),
}

/// A passcode for a user.
#[derive(Debug)]
pub(crate) struct Message<'a> {
    /// The user's account.
    pub(crate) account: AccountId,
    /// The user.
    pub(crate) user: UserId,
    /// The user's name.
    pub(crate) user_name: &'a str,
    /// `EMAIL` or `PHONE`.
    pub(crate) method: &'static str,
    /// The address, where we know it.
    pub(crate) to: Option<&'a str>,
    /// The language.
    pub(crate) locale: &'static str,
    /// The passcode.
    pub(crate) passcode: &'a Secret,
    /// When it ends.
    pub(crate) expires_at: Timestamp,
}

/// Why a message was not delivered. Says nothing of what is in it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotSent {
    /// The folder.
    #[error("the outbox `{0}`: {1}")]
    Outbox(PathBuf, #[source] std::io::Error),
    /// The web hook could not be reached, or broke off.
    #[error("the web hook on `{0}`: {1}")]
    Unreachable(SocketAddr, String),
    /// It took too long.
    #[error("the web hook on `{0}` gave no answer in time")]
    TooSlow(SocketAddr),
    /// It did not take it.
    #[error("the web hook on `{0}` answered {1}")]
    Refused(SocketAddr, u16),
    /// It could not be mailed.
    #[error("the mail server `{server}`: {why}")]
    Mail {
        /// The server.
        server: String,
        /// Why.
        why: String,
    },
    /// The task was lost, because the process ends.
    #[error("the process ends")]
    CutOff,
}

impl Message<'_> {
    fn to_json(&self) -> Zeroizing<String> {
        let passcode = std::str::from_utf8(self.passcode.expose()).unwrap_or_default();
        let value = json!({
            "account_id": self.account.to_string(), "user_id": self.user.to_string(), "user_name": self.user_name, "method": self.method,
            "to": self.to, "locale": self.locale, "passcode": passcode, "expires_at": self.expires_at.to_string(),
        });
        Zeroizing::new(format!("{value}\n"))
    }
}

impl Delivery {
    /// Whether a passcode can reach anybody.
    pub(crate) const fn delivers(&self) -> bool {
        !matches!(self, Self::None)
    }

    /// Why nothing sent in this way would reach somebody with this mail address; said before anything is made to be sent.
    pub(crate) fn cannot_reach(&self, method: &str, address: Option<&str>) -> Option<&'static str> {
        match self {
            Self::None | Self::Outbox(_) | Self::Webhook { .. } => None,
            Self::Mail(_) if method != "EMAIL" => Some("passcodes are sent by mail only here; write `\"method\": \"EMAIL\"`"),
            Self::Mail(_) => match address.map(str::parse::<lettre::Address>) {
                Some(Ok(_)) => None,
                Some(Err(_)) => {
                    Some("your mail address cannot be sent to; set another one (PUT /v1/accounts/{account_id}/users/{user_id})")
                }
                None => Some("you have no mail address; set one (PUT /v1/accounts/{account_id}/users/{user_id})"),
            },
        }
    }

    /// Delivers a message, once.
    pub(crate) async fn deliver(&self, message: &Message<'_>) -> Result<(), NotSent> {
        let _place = SENDERS.acquire().await.map_err(|_| NotSent::CutOff)?;
        match self {
            Self::None => Err(NotSent::CutOff),
            Self::Outbox(folder) => {
                let (folder, name, text) = (folder.clone(), message.user.to_string(), message.to_json());
                let written = move || write(&folder, &name, &text).map_err(|error| NotSent::Outbox(folder, error));
                tokio::task::spawn_blocking(written).await.map_err(|_| NotSent::CutOff)?
            }
            Self::Webhook { address, path, credential } => {
                let text = message.to_json();
                let posted = tokio::time::timeout(PATIENCE, post(*address, path, credential, &text)).await;
                posted.unwrap_or(Err(NotSent::TooSlow(*address)))
            }
            Self::Mail(mailer) => mailer.send(message).await,
        }
    }
}

/// Writes a user's file, whole or not at all.
fn write(folder: &Path, name: &str, text: &str) -> std::io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let (fresh, place) = (folder.join(format!(".{name}.new")), folder.join(format!("{name}.json")));
    match std::fs::remove_file(&fresh) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
    file.write_all(text.as_bytes())?;
    drop(file);
    std::fs::rename(fresh, place)
}

async fn post(address: SocketAddr, path: &str, credential: &Secret, text: &str) -> Result<(), NotSent> {
    let broken = |error: &dyn std::fmt::Display| NotSent::Unreachable(address, error.to_string());
    let bearer = Zeroizing::new([b"Bearer ", credential.expose()].concat());
    let mut bearer = http::HeaderValue::from_bytes(&bearer).map_err(|_| broken(&"its credential cannot be sent in a header"))?;
    bearer.set_sensitive(true);
    let request = Request::post(path)
        .header(header::HOST, address.to_string())
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::AUTHORIZATION, bearer)
        .body(Once(Some(Bytes::copy_from_slice(text.as_bytes()))))
        .map_err(|error| broken(&error))?;
    let stream = TcpStream::connect(address).await.map_err(|error| broken(&error))?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| broken(&error))?;
    let driving = tokio::spawn(connection);
    let answer = sender.send_request(request).await.map_err(|error| broken(&error));
    driving.abort();
    let answer = answer?;
    // What else it says is of no interest.
    if answer.status().is_success() { Ok(()) } else { Err(NotSent::Refused(address, answer.status().as_u16())) }
}

/// A body in one piece.
struct Once(Option<Bytes>);

impl Body for Once {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.take().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.as_ref().map_or(0, |bytes| bytes.len() as u64))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    fn message(passcode: &Secret) -> Message<'_> {
        Message {
            account: AccountId::from_bytes([1; 16]),
            user: UserId::from_bytes([2; 16]),
            user_name: "ada",
            method: "EMAIL",
            to: Some("ada@example.test"),
            locale: "ko_KR",
            passcode,
            expires_at: Timestamp::from_milliseconds(0),
        }
    }

    #[tokio::test]
    async fn an_outbox_has_one_file_of_each_user_for_its_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let outbox = folder.path().join("outbox");
        let delivery = Delivery::Outbox(outbox.clone());
        for passcode in ["111111", "222222"] {
            delivery.deliver(&message(&Secret::new(passcode.as_bytes()))).await.unwrap();
        }
        let files: Vec<PathBuf> = std::fs::read_dir(&outbox).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(files, [outbox.join(format!("{}.json", "02".repeat(16)))]);
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&outbox), mode(&files[0])), (0o700, 0o600));
        let said: serde_json::Value = serde_json::from_slice(&std::fs::read(&files[0]).unwrap()).unwrap();
        assert_eq!((&said["passcode"], &said["to"], &said["locale"]), (&json!("222222"), &json!("ada@example.test"), &json!("ko_KR")));
        let nowhere = Delivery::Outbox(files[0].clone()).deliver(&message(&Secret::new(*b"333333"))).await.unwrap_err();
        assert!(!nowhere.to_string().contains("333333"));
    }

    #[tokio::test]
    async fn a_web_hook_gets_the_message_once_and_only_success_counts() {
        for (answer, good) in
            [("HTTP/1.1 204 No Content\r\n\r\n", true), ("HTTP/1.1 500 x\r\nContent-Length: 0\r\n\r\n", false), ("", false)]
        {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let hook = tokio::spawn(async move {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut seen = Vec::new();
                while !seen.ends_with(b"}\n") {
                    assert!(stream.read_buf(&mut seen).await.unwrap() > 0);
                }
                stream.write_all(answer.as_bytes()).await.unwrap();
                String::from_utf8(seen).unwrap()
            });
            let delivery =
                Delivery::Webhook { address, path: "/send?by=mail".to_owned(), credential: Secret::new(*b"the hook's credential") };
            let sent = delivery.deliver(&message(&Secret::new(*b"123456"))).await;
            assert_eq!(sent.is_ok(), good, "{sent:?}");
            assert!(!format!("{sent:?} {delivery:?}").contains("123456") && !format!("{delivery:?}").contains("the hook's"));
            let seen = hook.await.unwrap();
            assert!(seen.starts_with("POST /send?by=mail HTTP/1.1\r\n") && seen.contains(r#""passcode":"123456""#), "{seen}");
            assert!(seen.contains("authorization: Bearer the hook's credential\r\n"), "{seen}");
        }
    }
}
