//! `portcullis policy diff`: what a change of policies changes.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use super::definitions::Definitions;
use super::{Ended, text};
use crate::cli::counted;
use crate::policy::{self, Caller, Catalogue, Comparison, Difference, Owner, Policy, Relation, Witness};
use crate::source::{Key, Node, Report, Span, Value, json};
use crate::types::Offering;

mod holders;

/// How many actions of a difference are named.
const ACTIONS_SHOWN: usize = 5;
/// How many files one side may have.
const FILES_MAX: usize = 1_000;
/// The account of whoever holds the policies, when none is given.
const ACCOUNT: &str = "00000000000000000000000000000000";

/// Compare policies: is AFTER equivalent to BEFORE, stricter, looser or neither, and which requests show it.
///
/// BEFORE and AFTER are each a policy document, or a folder of documents that one principal holds together. What both allow to a user or
/// role of one account is compared, for all requests there can be, not for samples: every action of your definitions, any resources, any
/// values. The first line is the answer: `equivalent`, `stricter` (AFTER allows less), `looser` (it allows more), `incomparable` (each
/// allows something that the other does not), or `unknown` with the reason. Below it stand the actions for which the two differ, each
/// time with a request that one of them allows and the other does not. An answer is never guessed.
///
/// With --principal, BEFORE and AFTER are files or folders of records (users, groups, memberships, policies, attachments), as a gateway
/// reads them; the answer is given for each principal. Access keys are not read, so no secrets are needed.
///
/// Requests are those whose values are all known, on one or several resources of every type that the action's definition names. Where the
/// policy of a resource must allow it too (of another account, or of a role that is taken), it is taken to do so; elsewhere no policies
/// of resources are considered. Condition keys count as independent of each other, but for the tags that a request brings and their keys.
///
/// The exit code is 0 when the answer is `equivalent`, for every principal.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  Before a policy is changed:
    portcullis policy diff --definitions definitions/ old/read.json new/read.json

  The same requests as a case file, to keep as tests:
    portcullis policy diff --definitions definitions/ --cases old.json new.json > change.json
    portcullis policy test change.json

  What a revision of the records changes, for everybody it concerns:
    portcullis policy diff --definitions definitions/ --principal all old/records/ new/records/")]
pub(super) struct Arguments {
    /// A policy document, or a folder of them; with --principal, records
    #[arg(value_name = "BEFORE")]
    before: PathBuf,
    /// The same after the change
    #[arg(value_name = "AFTER")]
    after: PathBuf,
    #[command(flatten)]
    definitions: Definitions,
    /// Compare what these principals hold: `all`, or ids, names or SRNs of users
    #[arg(long, value_name = "WHO")]
    principal: Vec<String>,
    /// The account of whoever holds the policies, and what an empty account in an SRN means; by default any
    #[arg(long, value_name = "ID", conflicts_with = "principal")]
    account: Option<String>,
    /// Print the requests as a case file for `portcullis policy test`
    #[arg(long, conflicts_with_all = ["principal", "config"])]
    cases: bool,
    /// The offering in the SRNs of --definitions
    #[arg(long, default_value = "e", conflicts_with = "config")]
    offering: Offering,
}

pub(super) fn run(arguments: &Arguments, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<Ended> {
    let report = Report::new();
    let ended = if arguments.principal.is_empty() { documents(arguments, out, &report)? } else { holders::run(arguments, out, &report)? };
    if let Some(ended) = ended {
        return Ok(ended);
    }
    writeln!(err, "{report}")?;
    Ok(Ended::Badly)
}

/// Compares documents; `None` after errors.
fn documents(arguments: &Arguments, out: &mut dyn Write, report: &Report) -> anyhow::Result<Option<Ended>> {
    let Some(catalogue) = arguments.definitions.catalogue(&arguments.offering, report)? else { return Ok(None) };
    let account = arguments.account.as_deref().unwrap_or(ACCOUNT);
    if account.is_empty() || account.contains([':', '*', '?']) {
        bail!("--account: `{account}` is no account's id");
    }
    let (before, after) = (read(&arguments.before, &catalogue, report)?, read(&arguments.after, &catalogue, report)?);
    let (Some(before), Some(after)) = (before, after) else { return Ok(None) };
    let comparison = policy::diff(&catalogue, &Caller::AnyOf { account }, &before.policies, &after.policies);
    if arguments.cases {
        writeln!(out, "{}", json::print(&case_file(arguments, &comparison, [&before, &after])?))?;
    } else {
        writeln!(out, "{}", comparison.relation)?;
        describe(&comparison, [&arguments.before, &arguments.after].map(|path| path.display().to_string()), "", out)?;
    }
    Ok(Some(ended(comparison.relation)))
}

const fn ended(relation: Relation) -> Ended {
    match relation {
        Relation::Equivalent => Ended::Well,
        Relation::Stricter | Relation::Looser | Relation::Incomparable | Relation::Unknown => Ended::Badly,
    }
}

/// The documents of one side.
struct Side {
    policies: Vec<Policy>,
    documents: Vec<Node>,
}

/// A document, or all of a folder; `None` after errors.
fn read(path: &Path, catalogue: &Catalogue, report: &Report) -> anyhow::Result<Option<Side>> {
    let mut files = vec![path.to_owned()];
    if path.is_dir() {
        let entries = fs::read_dir(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        let entries = entries.with_context(|| format!("the folder `{}` cannot be read", path.display()))?;
        files = entries.into_iter().map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|end| end == "json")).collect();
        files.sort_unstable();
        if files.is_empty() || files.len() > FILES_MAX {
            bail!("`{}` has {}; between 1 and {FILES_MAX} can be compared", path.display(), counted(files.len(), "JSON file"));
        }
    }
    let mut side = Side { policies: Vec::new(), documents: Vec::new() };
    let mut complete = true;
    for file in &files {
        // Warnings are what `portcullis policy check` is for.
        let own = Report::new();
        let read = text(file, &own).and_then(|source| {
            let policy = Policy::load(&source, &file.display().to_string(), Owner::system(), catalogue, &own)?;
            Some((policy, policy::parse(&source, &own)?))
        });
        report.take_errors(&own);
        match read {
            Some((policy, document)) => {
                side.policies.push(policy);
                side.documents.push(document);
            }
            None => complete = false,
        }
    }
    Ok(complete.then_some(side))
}

/// What differs, and what is not known.
fn describe(comparison: &Comparison, names: [String; 2], indent: &str, out: &mut dyn Write) -> anyhow::Result<()> {
    let [before, after] = &names;
    for Difference { actions, gained, witness } in &comparison.differences {
        let (allowing, other) = if *gained { (after, before) } else { (before, after) };
        writeln!(out, "\n{indent}`{allowing}` allows, and `{other}` does not: {}", listed(actions))?;
        show(witness, indent, out)?;
    }
    for unknown in &comparison.unknown {
        let about = if unknown.actions.is_empty() { "all actions".to_owned() } else { listed(&unknown.actions) };
        writeln!(out, "\n{indent}not known for {about}: {}", unknown.reason)?;
    }
    Ok(())
}

fn listed<T: ToString>(actions: &[T]) -> String {
    let shown = actions.iter().take(ACTIONS_SHOWN).map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let more = actions.len().checked_sub(ACTIONS_SHOWN).filter(|more| *more > 0);
    more.map_or_else(|| shown.clone(), |more| format!("{shown} and {}", counted(more, "more action")))
}

/// A request, line by line.
fn show(witness: &Witness, indent: &str, out: &mut dyn Write) -> anyhow::Result<()> {
    let request = witness.request();
    let word = |node: Option<&Node>| match node.map(|node| &node.value) {
        Some(Value::String(text)) => text.to_string(),
        Some(_) | None => String::new(),
    };
    let principal = request.get("principal");
    let of_principal = |name: &str| word(principal.and_then(|principal| principal.get(name)));
    writeln!(out, "{indent}  principal: {} {}", of_principal("type"), of_principal("srn"))?;
    writeln!(out, "{indent}  action:    {}", word(request.get("action")))?;
    if let Some(Value::List(resources)) = request.get("resources").map(|resources| &resources.value) {
        for resource in resources {
            writeln!(out, "{indent}  resource:  {}", word(resource.get("srn")))?;
            for (part, singular) in [("tags", "tag"), ("attributes", "attribute")] {
                for (name, value) in members(resource.get(part)) {
                    writeln!(out, "{indent}             {singular} {name}: {}", json::print(value))?;
                }
            }
        }
    }
    for (name, value) in members(request.get("context")) {
        writeln!(out, "{indent}  context:   {name}: {}", json::print(value))?;
    }
    if !witness.resource_policies().is_empty() {
        writeln!(out, "{indent}  where {} allows it as well", counted(witness.resource_policies().len(), "policy of a resource"))?;
    }
    Ok(())
}

fn members(node: Option<&Node>) -> impl Iterator<Item = (&str, &Node)> {
    let entries = match node.map(|node| &node.value) {
        Some(Value::Map(entries)) => entries.as_slice(),
        Some(_) | None => &[],
    };
    entries.iter().map(|(key, value)| (&*key.text, value))
}

/// Each request twice: with the policies of each side, and what comes out.
fn case_file(arguments: &Arguments, comparison: &Comparison, sides: [&Side; 2]) -> anyhow::Result<Node> {
    let definitions = arguments.definitions.definitions.as_deref().context("--cases needs --definitions")?;
    let folder = fs::canonicalize(definitions).with_context(|| format!("`{}`", definitions.display()))?;
    let node = |value: Value| Node { span: Span::default(), value };
    let map = |members: Vec<(&str, Node)>| {
        node(Value::Map(members.into_iter().map(|(name, node)| (Key { text: name.into(), span: Span::default() }, node)).collect()))
    };
    let mut cases = Vec::new();
    for (Difference { gained, witness, .. }, number) in comparison.differences.iter().zip(1..) {
        for (side, name, allow) in [(sides[0], "before", !gained), (sides[1], "after", *gained)] {
            cases.push(witness.case(&format!("{number} {name}"), &side.documents, allow));
        }
    }
    let folder = node(Value::String(folder.display().to_string().into()));
    Ok(map(vec![("catalog", map(vec![("definitions", folder)])), ("cases", node(Value::List(cases)))]))
}
