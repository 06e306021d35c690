//! `portcullis request`: a signed request, sent, and its answer.

use std::io::{Read as _, Write};

use ::http::{HeaderName, HeaderValue, Method, Request, header};
use anyhow::{Context as _, bail};
use bytes::Bytes;

use super::Ended;
use super::credential::{CredentialArguments, Target};
use super::http::{self, Whole};
use crate::gateway::system_time;

/// Send a signed request and print the answer.
///
/// The body of the answer goes to standard output. The exit code is 1 unless the status is 2xx or 3xx; the
/// status, the reason of a refusal and the request's id then go to standard error, for `portcullis explain`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  With the key from the environment:
    export SCP_ACCESS_KEY=... SCP_SECRET_KEY=...
    portcullis request GET http://127.0.0.1:8080/v1/groups

  With the key from a file, a body, and the answer's headers:
    portcullis request --credential-file key.yaml --include \\
      POST http://127.0.0.1:8080/v1/groups --data '{\"name\": \"operators\"}'")]
pub(super) struct Arguments {
    /// The method, such as GET
    method: String,
    /// The whole URL, such as http://127.0.0.1:8080/v1/groups
    url: String,
    /// A header `Name: value`; may be given several times.
    #[arg(long, short = 'H', value_name = "HEADER")]
    header: Vec<String>,
    /// The body; `@FILE` reads a file, `@-` standard input. Sent as application/json unless a header says otherwise.
    #[arg(long, short, value_name = "TEXT")]
    data: Option<String>,
    /// Print status and headers before the body.
    #[arg(long, short)]
    include: bool,
    #[command(flatten)]
    credential: CredentialArguments,
}

pub(super) fn run(arguments: &Arguments, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<Ended> {
    let method: Method = arguments.method.to_ascii_uppercase().parse().context("the method")?;
    let target = Target::parse(&arguments.url)?;
    if target.scheme == "https" {
        bail!("requests over TLS are not supported yet; `portcullis sign --curl` prints a curl command that can send it");
    }
    let request = build(arguments, &method, &target)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (head, body) = runtime.block_on(http::exchange(&target, request))?;
    if arguments.include {
        writeln!(out, "{:?} {}", head.version, head.status)?;
        for (name, value) in &head.headers {
            writeln!(out, "{name}: {}", String::from_utf8_lossy(value.as_bytes()))?;
        }
        writeln!(out)?;
    }
    out.write_all(&body)?;
    out.flush()?;
    if head.status.is_success() || head.status.is_redirection() {
        return Ok(Ended::Well);
    }
    let text = |name: &str| head.headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).unwrap_or_default();
    writeln!(err, "{} {} {}", head.status, text("portcullis-reason"), text("portcullis-request-id"))?;
    Ok(Ended::Badly)
}

fn build(arguments: &Arguments, method: &Method, target: &Target) -> anyhow::Result<Request<Whole>> {
    let body = match arguments.data.as_deref() {
        None => None,
        Some("@-") => {
            let mut text = Vec::new();
            std::io::stdin().read_to_end(&mut text).context("cannot read standard input")?;
            Some(text)
        }
        Some(text) => match text.strip_prefix('@') {
            Some(path) => Some(std::fs::read(path).with_context(|| format!("cannot read `{path}`"))?),
            None => Some(text.as_bytes().to_vec()),
        },
    };
    let mut request = Request::new(Whole(body.map(Bytes::from)));
    *request.method_mut() = method.clone();
    *request.uri_mut() = target.target.parse().context("the path")?;
    let headers = request.headers_mut();
    headers.insert(header::HOST, HeaderValue::from_str(&target.host)?);
    if arguments.data.is_some() {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    for line in &arguments.header {
        let (name, value) = line.split_once(':').with_context(|| format!("`{line}` is not a header `Name: value`"))?;
        let name: HeaderName = name.trim().parse().with_context(|| format!("`{name}` is not a header name"))?;
        headers.insert(name, HeaderValue::from_str(value.trim()).with_context(|| format!("the value of `{line}`"))?);
    }
    // What is signed is the Host that is sent.
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or(&target.host).to_owned();
    let signed = Target { host, ..target.clone() };
    for (name, value) in arguments.credential.load()?.sign(method.as_str(), &signed, system_time())? {
        headers.insert(name.parse::<HeaderName>()?, HeaderValue::from_str(&value)?);
    }
    Ok(request)
}
