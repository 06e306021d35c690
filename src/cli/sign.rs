//! `portcullis sign`: the headers of a signed request.

use std::io::Write;

use super::Ended;
use super::credential::{CredentialArguments, Target};
use crate::gateway::system_time;

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
      GET https://iam.example.com/v1/groups")]
pub(super) struct Arguments {
    /// The method, such as GET
    method: String,
    /// The whole URL, such as http://127.0.0.1:8080/v1/groups?size=20
    url: String,
    /// Print a curl command instead of header lines.
    #[arg(long)]
    curl: bool,
    #[command(flatten)]
    credential: CredentialArguments,
}

pub(super) fn run(arguments: &Arguments, out: &mut dyn Write) -> anyhow::Result<Ended> {
    let method = arguments.method.to_ascii_uppercase();
    let target = Target::parse(&arguments.url)?;
    let headers = arguments.credential.load()?.sign(&method, &target, system_time());
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
