//! Opening secrets that files name or hold sealed.

use std::path::Path;

use super::files::{Files, NamedPath, beside};
use crate::source::{Report, SecretRef, Source, Span};
use crate::types::{SealingKey, Secret};

/// Secrets of the repository's demos start with this; they work only behind loopback listeners.
pub const DEMO_PREFIX: &str = "demo-only-";
/// Fewest bytes of a secret.
const SECRET_BYTES_MIN: usize = 16;

/// Opens secrets for one configuration.
pub struct Secrets<'f> {
    files: &'f Files,
    sealing_key: Key<'f>,
    loopback_only: bool,
}

enum Key<'f> {
    None,
    /// There is one, but it cannot be read; that has been reported.
    Broken,
    Good(SealingKey, &'f NamedPath),
}

impl<'f> Secrets<'f> {
    /// Reads the sealing key when there is one. `loopback_only` says that every listener is on a loopback address.
    pub fn new(files: &'f Files, sealing_key: Option<&'f NamedPath>, loopback_only: bool, report: &Report) -> Self {
        let read = |named: &'f NamedPath| {
            let shown = named.path.display();
            let text = match files.read(&named.path) {
                Ok(text) => text,
                Err(message) => {
                    named.error(
                        report,
                        format!("the sealing key `{shown}`: {message}"),
                        "correct the name; `openssl rand -hex 32` makes a key",
                    );
                    return Key::Broken;
                }
            };
            match SealingKey::from_text(&text) {
                Ok(key) => Key::Good(key, named),
                Err(error) => {
                    let hint = "make one with `openssl rand -hex 32`, and keep it readable to the gateway only";
                    named.error(report, format!("`{shown}` holds no sealing key: {error}"), hint);
                    Key::Broken
                }
            }
        };
        Self { files, sealing_key: sealing_key.map_or(Key::None, read), loopback_only }
    }

    /// The sealing key, if there is one and it could be read.
    #[must_use]
    pub fn into_sealing_key(self) -> Option<SealingKey> {
        match self.sealing_key {
            Key::Good(key, _) => Some(key),
            Key::None | Key::Broken => None,
        }
    }

    /// Opens a secret that stands at `span` of `source` and belongs to `owner`. Errors never show it.
    pub fn open(&self, secret: &SecretRef, owner: &str, source: &Source, span: Span, report: &Report) -> Option<Secret> {
        self.open_of(SECRET_BYTES_MIN, secret, owner, source, span, report)
    }

    /// The same of a password that somebody else has chosen: it is as short as it is.
    pub fn open_password(&self, secret: &SecretRef, owner: &str, source: &Source, span: Span, report: &Report) -> Option<Secret> {
        self.open_of(1, secret, owner, source, span, report)
    }

    fn open_of(&self, bytes_min: usize, secret: &SecretRef, owner: &str, source: &Source, span: Span, report: &Report) -> Option<Secret> {
        let error = |message: String, hint: &str| report.error(source, span, message, Some(hint.to_owned()));
        let opened = match secret {
            SecretRef::File(file) => {
                let path = beside(Path::new(&**source.name()), file);
                match self.files.read(&path) {
                    Ok(text) => Secret::new(text.trim_end().as_bytes()),
                    Err(message) => {
                        let hint =
                            "write the secret into that file, or correct the name; it starts from the folder of the file it stands in";
                        error(format!("the secret in `{}`: {message}", path.display()), hint);
                        return None;
                    }
                }
            }
            SecretRef::Sealed(text) => match &self.sealing_key {
                Key::None => {
                    let hint =
                        "write `sealing_key: {file: NAME}` under `identity` in the gateway's configuration: the key it was sealed with";
                    error("a sealed secret needs a sealing key".to_owned(), hint);
                    return None;
                }
                Key::Broken => return None,
                Key::Good(key, named) => match key.open(text, owner) {
                    Ok(secret) => secret,
                    Err(failure) => {
                        let hint =
                            format!("seal it again: `portcullis seal --key {} {} < SECRET`", named.path.display(), seal_arguments(owner));
                        error(failure.to_string(), &hint);
                        return None;
                    }
                },
            },
        };
        if opened.expose().len() < bytes_min {
            let message = if opened.expose().is_empty() { "the secret is empty" } else { "the secret is too short to be one" };
            let hint = format!("a secret has at least {bytes_min} bytes; make one with `openssl rand -hex 32`");
            error(message.to_owned(), &hint);
            return None;
        }
        if opened.expose().starts_with(DEMO_PREFIX.as_bytes()) && !self.loopback_only {
            error(
                format!("this secret is a published one (`{DEMO_PREFIX}...`), and a listener can be reached from other machines"),
                "make your own with `openssl rand -hex 32`, or listen on 127.0.0.1",
            );
            return None;
        }
        Some(opened)
    }
}

/// The arguments of `portcullis seal` that stand for an owner.
fn seal_arguments(owner: &str) -> String {
    match owner.split('/').collect::<Vec<_>>().as_slice() {
        ["access_key", key, user] => format!("--access-key {key} --user {user}"),
        ["upstream", service] => format!("--upstream {service}"),
        ["feed"] => "--feed".to_owned(),
        _ => owner.to_owned(),
    }
}
