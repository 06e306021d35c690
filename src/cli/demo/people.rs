//! The demo's people: made as a user would make them, by signed requests through the gateway.

use std::net::SocketAddr;

use ::http::{HeaderValue, Request, header};
use anyhow::{Context as _, bail};
use bytes::Bytes;
use serde_json::{Value as Json, json};
use zeroize::Zeroizing;

use crate::cli::credential::{Credential, Target};
use crate::cli::http::{Whole, exchange};
use crate::control::FirstKey;
use crate::gateway::system_time;
use crate::types::{AccessKeyId, AccountId, Secret};

/// The keys of everybody.
pub(super) struct Keys {
    pub(super) account: AccountId,
    pub(super) admin: Key,
    pub(super) reader: Key,
    pub(super) other: Key,
}

/// An access key with its secret.
pub(super) struct Key {
    pub(super) access_key: AccessKeyId,
    pub(super) secret: Secret,
}

/// The administrator, calling.
struct Caller {
    gateway: SocketAddr,
    credential: Credential,
    /// What the last write became: the next request is decided by it.
    revision: Option<HeaderValue>,
}

/// Makes the reader, and a second account with an administrator of its own.
pub(super) async fn invite(gateway: SocketAddr, first: FirstKey) -> anyhow::Result<Keys> {
    let mut admin = Caller { gateway, credential: Credential::new(first.access_key, &first.secret), revision: None };
    let document = json!({
        "Version": "2024-07-01",
        "Statement": [{"Sid": "Look", "Effect": "Allow", "Action": ["*[List,Read]"], "Resource": ["*"]}],
    });
    let policy = admin.post("/v1/policies", &json!({"policy_name": "reader", "policy_version": {"policy_document": document}})).await?;
    let password = password()?;
    let user = json!({"user_name": "reader", "password": *password, "policy_ids": [text(&policy, "/id")?]});
    let reader = admin.post(&format!("/v1/accounts/{}/users", first.account), &user).await?;
    let path = format!("/portcullis/v1/users/{}/access-keys", text(&reader, "/id")?);
    let reader = admin.post(&path, &json!({"access_key_type": "PERMANENT"})).await?;
    let other = admin.post("/portcullis/v1/accounts", &json!({"name": "other", "administrator": {"user_name": "admin"}})).await?;
    admin.get("/v1/groups").await?;
    Ok(Keys {
        account: first.account,
        admin: Key { access_key: first.access_key, secret: first.secret },
        reader: key(&reader)?,
        other: key(&other)?,
    })
}

/// A password that nobody knows, as the API wants one (seed 003: 9 to 20 characters of four kinds, none more than three times, no
/// neighbours of the alphabet in a row).
fn password() -> anyhow::Result<Zeroizing<String>> {
    const LETTERS: &[u8; 16] = b"abcdefghijkmnpqr";
    loop {
        let mut random = Zeroizing::new([0u8; 8]);
        aws_lc_rs::rand::fill(random.as_mut_slice()).context("the operating system gives no random bytes")?;
        let mut password = Zeroizing::new(String::from("Zz&"));
        for byte in random.iter() {
            password.push(LETTERS.get(usize::from(byte / 16)).copied().map_or('z', char::from));
            password.push(char::from(b'0' + byte % 10));
        }
        if password.chars().all(|one| password.matches(one).count() <= 3) {
            return Ok(password);
        }
    }
}

fn text<'a>(answer: &'a Json, pointer: &str) -> anyhow::Result<&'a str> {
    answer.pointer(pointer).and_then(Json::as_str).with_context(|| format!("the answer has no `{pointer}`"))
}

fn key(answer: &Json) -> anyhow::Result<Key> {
    let access_key = text(answer, "/access_key/access_key")?.parse()?;
    Ok(Key { access_key, secret: Secret::new(text(answer, "/access_key/secret_key")?.as_bytes()) })
}

impl Caller {
    async fn post(&mut self, path: &str, body: &Json) -> anyhow::Result<Json> {
        self.call("POST", path, Some(body.to_string())).await
    }

    async fn get(&mut self, path: &str) -> anyhow::Result<Json> {
        self.call("GET", path, None).await
    }

    async fn call(&mut self, method: &str, path: &str, body: Option<String>) -> anyhow::Result<Json> {
        let target = Target::parse(&format!("http://{}{path}", self.gateway))?;
        let mut request = Request::builder().method(method).uri(path).header(header::HOST, &target.host);
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        for (name, value) in self.credential.sign(method, &target, system_time())? {
            request = request.header(name, value);
        }
        if let Some(revision) = &self.revision {
            request = request.header("portcullis-min-revision", revision);
        }
        let (head, answer) = exchange(&target, request.body(Whole(body.map(Bytes::from)))?).await?;
        if !head.status.is_success() {
            bail!("{method} {path}: {} {}", head.status, String::from_utf8_lossy(&answer));
        }
        if let Some(revision) = head.headers.get("portcullis-committed-revision") {
            self.revision = Some(revision.clone());
        }
        serde_json::from_slice(&answer).with_context(|| format!("the answer to {method} {path}"))
    }
}
