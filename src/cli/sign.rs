//! `portcullis sign`: the headers of a signed request.

use std::io::Write;

use aws_lc_rs::digest::{SHA256, digest};

use super::Ended;
use super::credential::{CredentialArguments, Signature, Target};
use crate::authn::scp;
use crate::gateway::system_time;
use crate::types::{Timestamp, hex};

/// Print the headers that sign a request, or a curl command with them.
///
/// For clients that cannot sign by themselves. The signature covers the method, the URL, the time and the access
/// key, but no body; gateways accept it for five minutes unless they are configured otherwise. The URL must be
/// the one that is sent, byte for byte: host, port, percent-encoding and the order of the query included.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  Four header lines, with the key from the environment:
    export SCP_ACCESS_KEY=... SCP_SECRET_KEY=...
    portcullis sign GET http://127.0.0.1:8080/v1/groups

  A curl command to paste, with the key from a file:
    portcullis sign --curl --credential-file ~/.scpconf/credentials.json \\
      GET https://iam.example.com/v1/groups

  The headers of SCP Classic, for a project:
    portcullis sign --dialect classic --scope PROJECT-1 GET http://127.0.0.1:8080/v1/groups

  What another client should have signed, to compare it with what a gateway says of a key in
  debug mode:
    portcullis sign --explain --timestamp 1795213784687 GET http://127.0.0.1:8080/v1/groups")]
pub(super) struct Arguments {
    /// The method, such as GET
    method: String,
    /// The whole URL, such as http://127.0.0.1:8080/v1/groups?size=20
    url: String,
    /// Print a curl command instead of header lines.
    #[arg(long)]
    curl: bool,
    /// Whose headers
    #[arg(long, value_enum, default_value_t)]
    dialect: Dialect,
    /// The account (v2: Scp-AccountId) or the project (classic: X-Cmp-ProjectId) to name in the signature
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    scope: String,
    /// The time to sign for, in milliseconds since 1970; by default now
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(i64).range(1_000_000_000_000..=9_999_999_999_999))]
    timestamp: Option<i64>,
    /// Print to standard error the string that is signed, and its SHA-256.
    #[arg(long)]
    explain: bool,
    #[command(flatten)]
    credential: CredentialArguments,
}

/// Whose headers a signature is in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
enum Dialect {
    /// Samsung Cloud Platform v2: Scp-*
    #[default]
    V2,
    /// Samsung Cloud Platform Classic: X-Cmp-*
    Classic,
    /// The Secret Vault API: Sv*
    SecretVault,
}

impl From<Dialect> for scp::Dialect {
    fn from(dialect: Dialect) -> Self {
        match dialect {
            Dialect::V2 => Self::V2,
            Dialect::Classic => Self::Classic,
            Dialect::SecretVault => Self::SecretVault,
        }
    }
}

pub(super) fn run(arguments: &Arguments, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<Ended> {
    let method = arguments.method.to_ascii_uppercase();
    let target = Target::parse(&arguments.url)?;
    let at = arguments.timestamp.map_or_else(system_time, Timestamp::from_milliseconds);
    let credential = arguments.credential.load()?;
    let Signature { headers, string } = credential.sign_as(arguments.dialect.into(), &arguments.scope, (&method, &target), at)?;
    if arguments.explain {
        writeln!(err, "string to sign: {}", String::from_utf8_lossy(&string))?;
        writeln!(err, "its SHA-256:    {}", hex(digest(&SHA256, &string).as_ref()))?;
    }
    if arguments.curl {
        write!(out, "curl -i -X {method} '{}://{}{}'", target.scheme, target.host, target.target.replace('\'', "%27"))?;
        for (name, value) in headers {
            write!(out, " \\\n  -H '{name}: {value}'")?;
        }
        writeln!(out)?;
    } else {
        for (name, value) in headers {
            writeln!(out, "{name}: {value}")?;
        }
    }
    Ok(Ended::Well)
}
