//! Files that secrets are written into: new ones, for their owner's eyes only.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::Context as _;
use zeroize::Zeroizing;

use crate::types::{AccessKeyId, Secret};

/// Makes a file that did not exist.
pub(super) fn create(path: &Path) -> anyhow::Result<File> {
    let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    opened.with_context(|| format!("cannot make the file `{}`", path.display()))
}

/// Writes an access key as `--credential-file` reads it.
pub(super) fn write(mut file: File, access_key: AccessKeyId, secret: &Secret) -> anyhow::Result<()> {
    let secret = std::str::from_utf8(secret.expose()).context("the secret is not text")?;
    let text = Zeroizing::new(format!("access-key: {access_key}\nsecret-key: {secret}\n"));
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    Ok(())
}

/// A random key as 64 hexadecimal digits.
pub(super) fn random_hex() -> anyhow::Result<Zeroizing<String>> {
    let mut bytes = Zeroizing::new([0; 32]);
    aws_lc_rs::rand::fill(bytes.as_mut_slice()).map_err(|_| anyhow::anyhow!("the operating system gives no random bytes"))?;
    Ok(Zeroizing::new(bytes.iter().map(|byte| format!("{byte:02x}")).collect()))
}
