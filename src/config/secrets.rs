//! Opening secrets that files name or hold sealed.

use std::path::{Path, PathBuf};

use super::files::{Files, beside};
use crate::source::{Report, SecretRef, Source, Span};
use crate::types::{SealingKey, Secret};

/// Secrets of the repository's demos start with this; they work only behind loopback listeners.
pub const DEMO_PREFIX: &str = "demo-only-";
/// Fewest bytes of a secret.
const SECRET_BYTES_MIN: usize = 16;

/// Opens secrets for one configuration.
pub struct Secrets<'f> {
    files: &'f Files,
    sealing_key: Option<SealingKey>,
    loopback_only: bool,
}

impl<'f> Secrets<'f> {
    /// Reads the sealing key when there is one. `loopback_only` says that every listener is on a loopback address.
    pub fn new(files: &'f Files, sealing_key: Option<&PathBuf>, loopback_only: bool, report: &Report) -> Self {
        let sealing_key = sealing_key.and_then(|path| {
            let name = path.display().to_string();
            let text = files.read(path).map_err(|message| report.file_error(name.as_str(), message, None)).ok()?;
            let hint = "make one with `openssl rand -hex 32` and keep it readable to the gateway only";
            SealingKey::from_text(&text).map_err(|error| report.file_error(name, error.to_string(), Some(hint.to_owned()))).ok()
        });
        Self { files, sealing_key, loopback_only }
    }

    /// Opens a secret that stands at `span` of `source` and belongs to `owner`. Errors never show it.
    pub fn open(&self, secret: &SecretRef, owner: &str, source: &Source, span: Span, report: &Report) -> Option<Secret> {
        let error = |message: String, hint: &str| report.sensitive_error(source, span, message, Some(hint.to_owned()));
        let opened = match secret {
            SecretRef::File(file) => {
                let path = beside(Path::new(&**source.name()), file);
                match self.files.read(&path) {
                    Ok(text) => Secret::new(text.trim_end().as_bytes()),
                    Err(message) => {
                        error(
                            format!("the secret in `{}`: {message}", path.display()),
                            "write the secret into that file, or correct the name",
                        );
                        return None;
                    }
                }
            }
            SecretRef::Sealed(text) => {
                let Some(key) = &self.sealing_key else {
                    error("a sealed secret needs a sealing key".to_owned(), "write `sealing_key: {file: NAME}` under `identity`");
                    return None;
                };
                match key.open(text, owner) {
                    Ok(secret) => secret,
                    Err(failure) => {
                        error(failure.to_string(), "seal it again with `portcullis seal` for this very owner");
                        return None;
                    }
                }
            }
        };
        if opened.expose().len() < SECRET_BYTES_MIN {
            error(format!("a secret has at least {SECRET_BYTES_MIN} bytes"), "make one with `openssl rand -hex 32`");
            return None;
        }
        if opened.expose().starts_with(DEMO_PREFIX.as_bytes()) && !self.loopback_only {
            error(
                format!("a published demo secret (`{DEMO_PREFIX}...`) would protect a listener that others can reach"),
                "make your own with `openssl rand -hex 32`, or listen on 127.0.0.1",
            );
            return None;
        }
        Some(opened)
    }
}
