//! The folder of a demo: keys, configurations, and the file that tells people how to call.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use zeroize::Zeroizing;

use super::Addresses;
use super::people::Keys;
use crate::cli::key_file;
use crate::types::{AccessKeyId, Secret};

/// The lines of demo.env that are written anew at every start.
const REWRITTEN: [&str; 4] = ["PORTCULLIS_URL", "PORTCULLIS_CONTROL_URL", "PORTCULLIS_METRICS_URL", "PORTCULLIS_DECISION_LOG"];

/// Whose tokens are in demo.env, written anew at every start.
pub(super) const TOKENS: [&str; 2] = ["ADMIN", "READER"];

/// How the first line of demo.env begins.
const TITLE: &str = "# For a shell:";

/// The folder.
pub(super) struct Files {
    folder: PathBuf,
    /// Held as long as the demo runs.
    _lock: File,
}

impl Files {
    /// Makes what is missing: the folder, keys. The configurations are written anew. Nothing is changed where another demo runs, where
    /// an address is taken, or where the store's key is gone.
    pub(super) fn prepare(folder: &Path, addresses: &Addresses) -> anyhow::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder).with_context(|| format!("cannot make `{}`", folder.display()))?;
        let folder = folder.canonicalize().with_context(|| format!("`{}`", folder.display()))?;
        let files = Self { _lock: lock(&folder)?, folder };
        addresses.check_free()?;
        let has_store = files.folder.join("portcullis.db").try_exists()?;
        if has_store && !files.folder.join("sealing.key").try_exists()? {
            bail!(
                "`{}` is missing, and the secrets in the store beside it cannot be read without it: put it back, or start with another folder",
                files.folder.join("sealing.key").display()
            );
        }
        if !has_store {
            files.forget()?;
        }
        for name in ["sealing.key", "control.key", "feed.key"] {
            let path = files.folder.join(name);
            if !path.exists() {
                let mut file = key_file::create(&path)?;
                writeln!(file, "{}", *key_file::random_hex()?)?;
                file.sync_all()?;
            }
        }
        fs::write(files.control_config(), control_config(addresses)).context("cannot write control.yaml")?;
        fs::write(files.gateway_config(), gateway_config(addresses)).context("cannot write gateway.yaml")?;
        Ok(files)
    }

    /// Removes what is left of a store that is gone: the gateway's copy of it, and the keys that were in it.
    fn forget(&self) -> anyhow::Result<()> {
        let copy = self.folder.join("gateway-copy");
        for (path, removed) in [(&copy, fs::remove_dir_all(&copy)), (&self.environment(), fs::remove_file(self.environment()))] {
            match removed {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(error).with_context(|| format!("cannot remove `{}`", path.display()));
                }
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }

    pub(super) fn control_config(&self) -> PathBuf {
        self.folder.join("control.yaml")
    }

    pub(super) fn gateway_config(&self) -> PathBuf {
        self.folder.join("gateway.yaml")
    }

    pub(super) fn environment(&self) -> PathBuf {
        self.folder.join("demo.env")
    }

    pub(super) fn has_environment(&self) -> bool {
        self.environment().exists()
    }

    /// Writes demo.env for the first time.
    pub(super) fn write_environment(&self, addresses: &Addresses, keys: &Keys) -> anyhow::Result<()> {
        let mut lines = Zeroizing::new(format!("PORTCULLIS_ACCOUNT_ID={}\n", keys.account));
        for (name, key) in [("ADMIN", &keys.admin), ("READER", &keys.reader), ("OTHER", &keys.other)] {
            let secret = std::str::from_utf8(key.secret.expose()).context("a secret is not text")?;
            lines.push_str(&format!("{name}_ACCESS_KEY={}\n{name}_SECRET_KEY={secret}\n", key.access_key));
        }
        self.replace_environment(addresses, &lines)
    }

    /// The access key of ADMIN or READER, if there is one in demo.env.
    pub(super) fn access_key(&self, who: &str) -> anyhow::Result<Option<AccessKeyId>> {
        let text = Zeroizing::new(fs::read_to_string(self.environment()).context("cannot read demo.env")?);
        let name = format!("{who}_ACCESS_KEY");
        let found = text.lines().filter_map(|line| line.split_once('=')).find(|(known, _)| *known == name);
        Ok(found.and_then(|(_, key)| key.parse().ok()))
    }

    /// Writes demo.env with the addresses and tokens of this start, and everything else as it was.
    pub(super) fn renew_environment(&self, addresses: &Addresses, tokens: &[(&str, Secret)]) -> anyhow::Result<()> {
        let before = Zeroizing::new(fs::read_to_string(self.environment()).context("cannot read demo.env")?);
        let mut lines = Zeroizing::new(String::with_capacity(before.len() + 1));
        for line in before.lines().filter(|line| !line.starts_with(TITLE)) {
            let is_token = |name: &str| name.strip_suffix("_TOKEN").is_some_and(|who| TOKENS.contains(&who));
            if !line.split_once('=').is_some_and(|(name, _)| REWRITTEN.contains(&name) || is_token(name)) {
                lines.push_str(line);
                lines.push('\n');
            }
        }
        for (who, token) in tokens {
            let token = std::str::from_utf8(token.expose()).context("a token is not text")?;
            lines.push_str(&format!("{who}_TOKEN={token}\n"));
        }
        self.replace_environment(addresses, &lines)
    }

    /// Writes demo.env, whole or not at all.
    fn replace_environment(&self, addresses: &Addresses, lines: &str) -> anyhow::Result<()> {
        let values = [
            format!("http://{}", addresses.gateway),
            format!("http://{}", addresses.control),
            format!("http://{}", addresses.metrics),
            quoted(&self.folder.join("decisions.jsonl")),
        ];
        let mut text = Zeroizing::new(format!("{TITLE} `. {}`. The keys work only with this demo.\n", self.environment().display()));
        for (name, value) in REWRITTEN.iter().zip(values) {
            text.push_str(&format!("{name}={value}\n"));
        }
        text.push_str(lines);
        let fresh = self.folder.join("demo.env.new");
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(fresh, self.environment()).context("cannot write demo.env")
    }

    /// What is printed when everything runs: commands to paste.
    pub(super) fn invitation(&self, summary: &str) -> anyhow::Result<String> {
        let program = std::env::current_exe().context("where this program is")?;
        Ok(INVITATION
            .replace("SUMMARY", summary)
            .replace("DATA", &quoted(&self.folder))
            .replace("ENVIRONMENT", &quoted(&self.environment()))
            .replace("PROGRAM", &quoted(&program)))
    }
}

/// The right to run a demo in this folder.
fn lock(folder: &Path) -> anyhow::Result<File> {
    let path = folder.join("demo.lock");
    let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
    let file = opened.with_context(|| format!("cannot open `{}`", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => bail!("another demo runs in `{}`: end it, or start with another folder", folder.display()),
        Err(TryLockError::Error(error)) => Err(error).with_context(|| format!("cannot lock `{}`", path.display())),
    }
}

const INVITATION: &str = r#"portcullis demo: ready; SUMMARY

Paste into another terminal, to list groups as the reader with nothing but openssl and curl (200):

  . ENVIRONMENT
  time=$(date +%s%3N)
  signature=$(printf '%s' "GET$PORTCULLIS_URL/v1/groups$time${READER_ACCESS_KEY}Openapi" |
    openssl dgst -sha256 -hmac "$READER_SECRET_KEY" -binary | base64)
  curl -i "$PORTCULLIS_URL/v1/groups" -H "Scp-Accesskey: $READER_ACCESS_KEY" -H "Scp-Timestamp: $time" \
    -H "Scp-ClientType: Openapi" -H "Scp-Signature: $signature"

To make a group, as the reader (403), then as the administrator (201):

  SCP_ACCESS_KEY=$READER_ACCESS_KEY SCP_SECRET_KEY=$READER_SECRET_KEY \
    PROGRAM request POST "$PORTCULLIS_URL/v1/groups" --data '{"name": "operators", "description": null}'
  SCP_ACCESS_KEY=$ADMIN_ACCESS_KEY SCP_SECRET_KEY=$ADMIN_SECRET_KEY \
    PROGRAM request POST "$PORTCULLIS_URL/v1/groups" --data '{"name": "operators", "description": null}'

To end it, press Ctrl-C here; DATA stays as it is, for the next start.
"#;

/// For a shell.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'.' | b'-' | b'_'));
    if plain { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

fn control_config(addresses: &Addresses) -> String {
    format!(
        "# Written by `portcullis demo` at every start; copy it to change it.\n\
         store: {{path: portcullis.db}}\n\
         passcodes: {{outbox: outbox}}\n\
         sealing_key: {{file: sealing.key}}\n\
         api:\n  address: {}\n  identity_key: {{file: control.key}}\n\
         feed:\n  address: {}\n  credential: {{file: feed.key}}\n\
         endpoints:\n  - {{service_name: scp-iam, service_type: scp-iam, url: \"http://{}\"}}\n",
        addresses.control, addresses.feed, addresses.gateway
    )
}

fn gateway_config(addresses: &Addresses) -> String {
    format!(
        "# Written by `portcullis demo` at every start; copy it to change it.\n\
         listeners:\n  - address: {}\n\
         metrics: {{address: {}}}\n\
         identity:\n  feed:\n    url: http://{}\n    credential: {{file: feed.key}}\n    copy: gateway-copy\n  sealing_key: {{file: sealing.key}}\n\
         services:\n  iam:\n    hosts: [\"*\"]\n    definitions: [iam, sts, portcullis]\n    public_routes: [\"GET /\", \"POST /portcullis/v1/console-tokens\"]\n    sigv4: {{service: iam}}\n\
         \x20   upstream:\n      url: http://{}\n      identity_key: {{file: control.key}}\n\
         record: {{path: decisions.jsonl}}\n",
        addresses.gateway, addresses.metrics, addresses.feed, addresses.control
    )
}
