//! `portcullis seal`: a secret as text that only its owner's record can open.

use std::io::{Read as _, Write};
use std::path::PathBuf;

use anyhow::{Context as _, bail};

use super::Ended;
use crate::snapshot::wire::seal_owner;
use crate::types::sealed::NONCE_BYTES;
use crate::types::{AccessKeyId, SealingKey, Secret, UserId};

/// Longest secret, in bytes.
const SECRET_BYTES_MAX: u64 = 4096;

/// Encrypt a secret, so that it can stand in a configuration file.
///
/// Reads the secret from standard input, without white space at its end, and prints `{sealed: ...}`: write that
/// where the secret belongs, in the record of the access key, or as the `identity_key` or in the `credential` of the upstream. It opens
/// only there, and only for a gateway that has the same sealing key. Whoever has the file without the sealing
/// key learns nothing from it.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  Make a sealing key, once, and name it in the configuration, below `identity`,
  as `sealing_key: {file: sealing.key}`:
    (umask 077 && openssl rand -hex 32 > sealing.key)

  Seal the secret of an access key:
    portcullis seal --key sealing.key \\
      --access-key 6f1d2b3c4a5948678796a5b4c3d2e1f0 \\
      --user efda56a968cd45b2873d9bf5fab58e95 < secret.txt

  Seal a new identity key for the upstream of the service `iam`:
    openssl rand -hex 32 | portcullis seal --key sealing.key --upstream iam")]
pub(super) struct Arguments {
    /// The sealing key: a file of 64 hexadecimal digits, the `sealing_key` of the configuration
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// The access key whose secret it is
    #[arg(long, value_name = "ID", requires = "user", required_unless_present_any = ["upstream", "feed"])]
    access_key: Option<AccessKeyId>,
    /// The user who owns the access key
    #[arg(long, value_name = "ID")]
    user: Option<UserId>,
    /// The service whose upstream's identity key or credential it is
    #[arg(long, value_name = "SERVICE", conflicts_with_all = ["access_key", "user"])]
    upstream: Option<String>,
    /// It is the credential of a control plane's feed
    #[arg(long, conflicts_with_all = ["access_key", "user", "upstream"])]
    feed: bool,
}

pub(super) fn run(arguments: &Arguments, out: &mut dyn Write) -> anyhow::Result<Ended> {
    let key_text = std::fs::read_to_string(&arguments.key).with_context(|| format!("cannot read `{}`", arguments.key.display()))?;
    let key = SealingKey::from_text(&key_text).with_context(|| format!("`{}`", arguments.key.display()))?;
    let owner = match (arguments.access_key, arguments.user, &arguments.upstream) {
        (Some(access_key), Some(user), _) => seal_owner(access_key, user),
        (_, _, Some(service)) => format!("upstream/{service}"),
        (_, _, None) if arguments.feed => "feed".to_owned(),
        (_, _, None) => bail!("name the owner: --access-key and --user, or --upstream, or --feed"),
    };
    let mut secret = zeroize::Zeroizing::new(Vec::new());
    std::io::stdin().take(SECRET_BYTES_MAX + 1).read_to_end(&mut secret).context("cannot read the secret from standard input")?;
    if secret.len() as u64 > SECRET_BYTES_MAX {
        bail!("a secret has at most {SECRET_BYTES_MAX} bytes");
    }
    let trimmed = secret.trim_ascii_end();
    if trimmed.is_empty() {
        bail!("standard input holds no secret");
    }
    let mut nonce = [0; NONCE_BYTES];
    aws_lc_rs::rand::fill(&mut nonce).map_err(|_| anyhow::anyhow!("the operating system gives no random bytes"))?;
    let sealed = key.seal(&Secret::new(trimmed), &owner, nonce)?;
    writeln!(out, "{{sealed: {sealed}}}")?;
    Ok(Ended::Well)
}
