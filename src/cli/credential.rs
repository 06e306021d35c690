//! Where commands take credentials from: the environment or a file, never an argument.

use std::path::PathBuf;

use ::http::Uri;
use anyhow::{Context as _, anyhow, bail};

use crate::authn::scp::{Client, Dialect, Signed};
use crate::source::{Cursor, Report, Source, yaml};
use crate::types::{AccessKeyId, Secret, SigningKey, Timestamp};

/// Options for credentials.
#[derive(Debug, clap::Args)]
pub(super) struct CredentialArguments {
    /// A file with `access-key` and `secret-key` (JSON or YAML, such as ~/.scpconf/credentials.json). Without it the
    /// environment variables SCP_ACCESS_KEY and SCP_SECRET_KEY are read. A secret is never an argument. The session of a
    /// role has a `session-token` or SCP_SESSION_TOKEN beside them.
    #[arg(long, value_name = "FILE")]
    credential_file: Option<PathBuf>,
}

/// An access key with its secret, and with its token if it is a session's.
pub(super) struct Credential {
    access_key: AccessKeyId,
    key: SigningKey,
    session_token: Option<String>,
}

impl CredentialArguments {
    pub(super) fn load(&self) -> anyhow::Result<Credential> {
        let (access_key, secret, session_token) = match &self.credential_file {
            Some(path) => from_file(path)?,
            None => (environment("SCP_ACCESS_KEY")?, environment("SCP_SECRET_KEY")?, environment("SCP_SESSION_TOKEN").ok()),
        };
        let access_key = access_key.parse().context("the access key")?;
        let session_token = session_token.filter(|token| !token.is_empty());
        Ok(Credential { session_token, ..Credential::new(access_key, &Secret::new(secret.into_bytes())) })
    }
}

#[expect(clippy::disallowed_methods, reason = "commands are where the environment is read")]
fn environment(name: &str) -> anyhow::Result<String> {
    std::env::var(name).map_err(|_| anyhow!("the environment variable {name} is not set (or use --credential-file)"))
}

fn from_file(path: &PathBuf) -> anyhow::Result<(String, String, Option<String>)> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read `{}`", path.display()))?;
    let source = Source::new(path.display().to_string(), text);
    let documents = yaml::parse(&source).with_context(|| format!("`{}`", path.display()))?;
    let report = Report::new();
    let Some(document) = documents.first() else { bail!("`{}` is empty", path.display()) };
    let read = || {
        let table = Cursor::new(document, &source, &report).table()?;
        let access_key = table.required("access-key", "write the access key", |value| value.string());
        let secret_key = table.required("secret-key", "write the secret key", |value| value.string());
        let session_token = table.optional("session-token", |value| value.string());
        Some((access_key?, secret_key?, session_token?))
    };
    match read() {
        Some(found) => Ok(found),
        None => {
            // Only what is wrong: a line of this file may be the secret.
            let wrong: Vec<String> = report.diagnostics().into_iter().map(|found| found.message).collect();
            bail!("`{}` holds no `access-key` and `secret-key`: {}", path.display(), wrong.join("; "))
        }
    }
}

/// A signature.
pub(super) struct Signature {
    /// Its headers.
    pub(super) headers: Vec<(&'static str, String)>,
    /// What it signs.
    pub(super) string: Vec<u8>,
}

/// A URL to sign and to call.
#[derive(Clone)]
pub(super) struct Target {
    pub(super) scheme: String,
    /// Host and port as they stand in the URL: what is signed and what the Host header says.
    pub(super) host: String,
    /// Path and query.
    pub(super) target: String,
}

impl Target {
    pub(super) fn parse(url: &str) -> anyhow::Result<Self> {
        let uri: Uri = url.parse().with_context(|| format!("`{url}` is not a URL"))?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            bail!("`{url}` is not a whole URL such as http://127.0.0.1:8080/v1/groups");
        };
        if !matches!(scheme, "http" | "https") {
            bail!("`{scheme}` is neither http nor https");
        }
        let target = uri.path_and_query().map_or("/", ::http::uri::PathAndQuery::as_str);
        Ok(Self { scheme: scheme.to_owned(), host: authority.as_str().to_owned(), target: target.to_owned() })
    }
}

impl Credential {
    pub(super) fn new(access_key: AccessKeyId, secret: &Secret) -> Self {
        Self { access_key, key: SigningKey::new(secret), session_token: None }
    }

    /// The headers that sign a request.
    pub(super) fn sign(&self, method: &str, target: &Target, now: Timestamp) -> anyhow::Result<Vec<(&'static str, String)>> {
        Ok(self.sign_as(Dialect::V2, "", (method, target), now)?.headers)
    }

    /// The same in any dialect, for an account or a project.
    pub(super) fn sign_as(
        &self,
        dialect: Dialect,
        scope: &str,
        (method, target): (&str, &Target),
        at: Timestamp,
    ) -> anyhow::Result<Signature> {
        let client = Client::new(dialect, self.access_key, scope)?;
        let signed = Signed { method, scheme: &target.scheme, host: &target.host, target: &target.target };
        let mut headers = client.headers(&self.key, &signed, at);
        headers.extend(self.session_token.as_ref().map(|token| ("X-Auth-Token", token.clone())));
        Ok(Signature { headers, string: client.string(&signed, at) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_of_a_session_is_sent_beside_the_signature() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("credentials.json");
        let target = Target::parse("http://127.0.0.1:8080/v1/groups").unwrap();
        for (more, expected) in [("", None), (r#", "session-token": "eyJ.x.y""#, Some("eyJ.x.y".to_owned()))] {
            let key = r#""access-key": "b754b12b39da4ce29a40c5e324650bd0", "secret-key": "s""#;
            std::fs::write(&path, format!("{{{key}{more}}}")).unwrap();
            let credential = CredentialArguments { credential_file: Some(path.clone()) }.load().unwrap();
            let headers = credential.sign("GET", &target, Timestamp::from_milliseconds(1_795_213_785_000)).unwrap();
            let token = headers.iter().find(|(name, _)| *name == "X-Auth-Token").map(|(_, value)| value.clone());
            assert_eq!((headers.len(), token), (4 + usize::from(expected.is_some()), expected), "{more}");
        }
    }
}
