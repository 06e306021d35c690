//! The folder of a demo: keys, configurations, and the file that tells people how to call.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use zeroize::Zeroizing;

use super::Addresses;
use super::people::Keys;
use crate::cli::key_file;

/// The folder.
pub(super) struct Files {
    folder: PathBuf,
}

impl Files {
    /// Makes what is missing: the folder, keys. The configurations are written anew.
    pub(super) fn prepare(folder: &Path, addresses: &Addresses) -> anyhow::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder).with_context(|| format!("cannot make `{}`", folder.display()))?;
        let folder = folder.canonicalize().with_context(|| format!("`{}`", folder.display()))?;
        for name in ["sealing.key", "control.key", "feed.key"] {
            let path = folder.join(name);
            if !path.exists() {
                let mut file = key_file::create(&path)?;
                writeln!(file, "{}", *key_file::random_hex()?)?;
                file.sync_all()?;
            }
        }
        let files = Self { folder };
        fs::write(files.control_config(), control_config(addresses)).context("cannot write control.yaml")?;
        fs::write(files.gateway_config(), gateway_config(addresses)).context("cannot write gateway.yaml")?;
        Ok(files)
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

    /// Writes demo.env, whole or not at all.
    pub(super) fn write_environment(&self, addresses: &Addresses, keys: &Keys) -> anyhow::Result<()> {
        let mut text = Zeroizing::new(format!(
            "# For a shell: `. {}`. The keys work only with this demo.\n\
             PORTCULLIS_URL=http://{}\nPORTCULLIS_CONTROL_URL=http://{}\nPORTCULLIS_METRICS_URL=http://{}/metrics\n\
             PORTCULLIS_ACCOUNT_ID={}\nPORTCULLIS_DECISION_LOG={}\n",
            self.environment().display(),
            addresses.gateway,
            addresses.control,
            addresses.metrics,
            keys.account,
            self.folder.join("decisions.jsonl").display(),
        ));
        for (name, key) in [("ADMIN", &keys.admin), ("READER", &keys.reader), ("OTHER", &keys.other)] {
            let secret = std::str::from_utf8(key.secret.expose()).context("a secret is not text")?;
            text.push_str(&format!("{name}_ACCESS_KEY={}\n{name}_SECRET_KEY={secret}\n", key.access_key));
        }
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
         services:\n  iam:\n    hosts: [\"*\"]\n    definitions: [iam, portcullis]\n    public_routes: [\"GET /\"]\n\
         \x20   upstream:\n      url: http://{}\n      identity_key: {{file: control.key}}\n\
         record: {{path: decisions.jsonl}}\n",
        addresses.gateway, addresses.metrics, addresses.feed, addresses.control
    )
}
