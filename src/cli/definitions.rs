//! `portcullis definitions apply`: action definitions from files into the control plane.

use std::io::Write;
use std::path::{Path, PathBuf};

use ::http::{HeaderName, HeaderValue, Method, Request, StatusCode, header};
use anyhow::{Context as _, bail};
use bytes::Bytes;
use serde_json::{Value as Json, json};

use super::credential::{Credential, CredentialArguments, Target};
use super::http::{self, Whole};
use super::{Ended, counted};
use crate::gateway::system_time;
use crate::source::{Source, Value, yaml};

/// Where the control plane keeps definitions.
const PATH: &str = "/portcullis/v1/definitions";

/// Work on the action definitions in the control plane.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    // No doc comments here: they would hide the longer texts of the commands' own arguments.
    Apply(ApplyArguments),
}

/// Put the definitions of a folder into the control plane.
///
/// Every file that ends in .yaml or .yml is the definition of one service. They are put in the order of their names;
/// the control plane checks each together with all others. At the first one that it refuses, the command says why and
/// stops; those before it stay. What is in the control plane and not in the folder stays too.
///
/// A change by which some policy would deny less, or except less from what it allows, is refused unless
/// --accept-widening says that it is meant.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  With the key of an administrator of the operator's account from the environment:
    export SCP_ACCESS_KEY=... SCP_SECRET_KEY=...
    portcullis definitions apply definitions/

  Through a gateway elsewhere, with the key from a file:
    portcullis definitions apply --credential-file key.yaml \\
      --url http://iam.example.com definitions/")]
struct ApplyArguments {
    /// A folder with definitions, or one file
    #[arg(value_name = "DIR")]
    files: PathBuf,
    /// The gateway before the control plane's API.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080")]
    url: String,
    /// Also make changes by which policies would restrict less.
    #[arg(long)]
    accept_widening: bool,
    #[command(flatten)]
    credential: CredentialArguments,
}

/// A definition in a file.
struct Definition {
    file: PathBuf,
    service: String,
    text: String,
}

pub(super) fn run(arguments: &Arguments, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<Ended> {
    match &arguments.command {
        Command::Apply(arguments) => apply(arguments, out, err),
    }
}

fn apply(arguments: &ApplyArguments, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<Ended> {
    // Everything is read before anything is sent.
    let definitions = read_all(&arguments.files)?;
    let credential = arguments.credential.load()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    for definition in &definitions {
        let target = Target::parse(&format!("{}{PATH}/{}", arguments.url.trim_end_matches('/'), definition.service))?;
        let request = build(&target, definition, arguments.accept_widening, &credential)?;
        let (head, body) = runtime.block_on(http::exchange(&target, request))?;
        let answer: Json = serde_json::from_slice(&body).unwrap_or_default();
        if !head.status.is_success() {
            refused(definition, head.status, &answer, err)?;
            return Ok(Ended::Badly);
        }
        applied(definition, &answer, out)?;
    }
    Ok(Ended::Well)
}

fn read_all(path: &Path) -> anyhow::Result<Vec<Definition>> {
    let cannot_read = || format!("cannot read `{}`", path.display());
    if !path.is_dir() {
        return Ok(vec![read(path)?]);
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).with_context(cannot_read)? {
        files.push(entry.with_context(cannot_read)?.path());
    }
    files.retain(|file| file.extension().is_some_and(|extension| extension == "yaml" || extension == "yml"));
    files.sort();
    if files.is_empty() {
        bail!("the folder `{}` has no file that ends in .yaml or .yml", path.display());
    }
    files.iter().map(|file| read(file)).collect()
}

/// Reads a file only as far as to know whose definition it is; the control plane reads the rest.
fn read(file: &Path) -> anyhow::Result<Definition> {
    let name = file.display().to_string();
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read `{name}`"))?;
    let source = Source::new(name.as_str(), text.as_str());
    let documents = match yaml::parse(&source) {
        Ok(documents) => documents,
        Err(error) => bail!("`{name}`, line {}, column {}: {}", error.span.start.line, error.span.start.column, error.message),
    };
    let service = |document: &crate::source::Node| match document.get("service").map(|service| &service.value) {
        Some(Value::String(service)) => Some(service.to_string()),
        Some(_) | None => None,
    };
    let mut services: Vec<Option<String>> = documents.iter().map(service).collect();
    services.dedup();
    let [Some(service)] = services.as_slice() else {
        bail!("`{name}` is not the definition of one service: write `service: NAME`, and one file for each service");
    };
    if service.is_empty() || !service.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')) {
        bail!("`{name}`: `{service}` is not the name of a service: letters, digits and `. _ -`");
    }
    Ok(Definition { file: file.to_owned(), service: service.clone(), text })
}

fn build(target: &Target, definition: &Definition, accept_widening: bool, credential: &Credential) -> anyhow::Result<Request<Whole>> {
    if target.scheme == "https" {
        bail!("requests over TLS are not supported yet");
    }
    let body = json!({ "document": definition.text, "accept_widening": accept_widening }).to_string();
    let mut request = Request::new(Whole(Some(Bytes::from(body))));
    *request.method_mut() = Method::PUT;
    *request.uri_mut() = target.target.parse().context("the path")?;
    let headers = request.headers_mut();
    headers.insert(header::HOST, HeaderValue::from_str(&target.host)?);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    for (name, value) in credential.sign(Method::PUT.as_str(), target, system_time())? {
        headers.insert(name.parse::<HeaderName>()?, HeaderValue::from_str(&value)?);
    }
    Ok(request)
}

fn applied(definition: &Definition, answer: &Json, out: &mut dyn Write) -> anyhow::Result<()> {
    let list = |name: &str| texts(answer.get(name));
    let (added, removed) = (list("actions_added"), list("actions_removed"));
    let outcome = answer.get("outcome").and_then(Json::as_str).unwrap_or("put");
    write!(out, "{}: {}", definition.service, printable(outcome))?;
    for (names, what) in [(&added, "added"), (&removed, "removed")] {
        if !names.is_empty() {
            write!(out, ", {} {what}", counted(names.len(), "action"))?;
        }
    }
    writeln!(out)?;
    for (mark, lines) in [("+", added), ("-", removed), ("WIDENED:", list("accepted_widening"))] {
        for line in lines {
            writeln!(out, "  {mark} {line}")?;
        }
    }
    Ok(())
}

/// What the control plane, or the gateway before it, says.
fn refused(definition: &Definition, status: StatusCode, answer: &Json, err: &mut dyn Write) -> anyhow::Result<()> {
    writeln!(err, "{}: the definition of `{}` is refused ({status})", definition.file.display(), definition.service)?;
    let error = answer.pointer("/errors/0");
    for sentence in texts(error.and_then(|error| error.get("detail"))) {
        writeln!(err, "  {sentence}")?;
    }
    if let Some(id) = error.and_then(|error| error.get("request_id")).and_then(Json::as_str) {
        writeln!(err, "  request {}", printable(id))?;
    }
    if status == StatusCode::CONFLICT && error.is_some_and(|error| error.get("detail").is_some_and(Json::is_array)) {
        writeln!(err, "  = help: if that is meant, say --accept-widening")?;
    }
    Ok(())
}

/// A text, or a list of texts.
fn texts(value: Option<&Json>) -> Vec<String> {
    match value {
        Some(Json::String(text)) => vec![printable(text)],
        Some(Json::Array(items)) => items.iter().filter_map(Json::as_str).map(printable).collect(),
        Some(Json::Null | Json::Bool(_) | Json::Number(_) | Json::Object(_)) | None => Vec::new(),
    }
}

/// What others wrote must not steer the terminal.
fn printable(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { '\u{FFFD}' } else { character }).collect()
}
