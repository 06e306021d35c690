//! `portcullis explain`: a decision from the log, told to a person.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write};
use std::path::PathBuf;

use anyhow::{Context as _, bail};

use super::load::{configure, from_copy};
use super::{Ended, counted};
use crate::access::attributes::{ABSENT, IS, RESOURCE_TAG, UNAVAILABLE};
use crate::config::{Identity, RecordPath};
use crate::policy::{
    self, Accessor, AttributeId, Attributes, Catalogue, Context, Effect, Known, Outcome, Policies, RequestAttributes, Resource, Scalar,
    Tags, Values,
};
use crate::snapshot::{Caller, Role, Snapshot};
use crate::source::json::{self, Limits};
use crate::source::{Node, Report, Value};
use crate::types::{Reason, Srn, Timestamp};

/// Longest line of a decision log.
const LINE_BYTES_MAX: usize = 1 << 20;

/// Explain a decision: who asked for what, and why it was allowed or refused.
///
/// Finds the record of a request in the decision log. The request's id stands in every answer: in the header
/// Portcullis-Request-Id, and in the body of a refusal. When the files still are as they were at the time, or
/// from the disk copy of a gateway that follows a feed, the caller's policies are evaluated once more, and each statement says what it
/// did, or which of its elements failed.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  With the log and the policies that a configuration names:
    portcullis explain --config gateway.yaml \\
      req-01a1fb14-766f-7707-8707-070707070707

  With a log that was copied from another machine:
    portcullis explain --records decisions.jsonl \\
      req-01a1fb14-766f-7707-8707-070707070707")]
pub(super) struct Arguments {
    /// The request's id, such as req-01a1fb14-766f-7707-8707-070707070707
    request_id: String,
    /// The gateway's configuration: it names the decision log and the policies
    #[arg(long, short, value_name = "FILE", required_unless_present = "records")]
    config: Option<PathBuf>,
    /// The decision log, when it is not where the configuration says
    #[arg(long, value_name = "FILE")]
    records: Option<PathBuf>,
}

pub(super) fn run(arguments: &Arguments, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<Ended> {
    let report = Report::new();
    let configured = arguments.config.as_ref().and_then(|path| configure(path, &report));
    if arguments.config.is_some() && configured.is_none() && arguments.records.is_none() {
        write!(err, "{report}")?;
        return Ok(Ended::Badly);
    }
    let log = match (&arguments.records, configured.as_ref().map(|configured| &configured.config.record.path)) {
        (Some(path), _) | (None, Some(RecordPath::File(path))) => path.clone(),
        (None, Some(RecordPath::StandardOutput | RecordPath::Off) | None) => {
            bail!("the configuration writes no file of decision records; name one with --records");
        }
    };
    let Some(record) = find(&log, &arguments.request_id)? else {
        writeln!(err, "`{}` has no record of `{}`", log.display(), arguments.request_id)?;
        return Ok(Ended::Badly);
    };
    describe(&record, out)?;
    let text = |name: &str| text(&record, name);
    let Some(configured) = configured else { return Ok(Ended::Well) };
    if text("action").is_none() {
        return Ok(Ended::Well);
    }
    match (&configured.config.identity, &configured.feed) {
        (Identity::Feed(identity), Some(keys)) => {
            let found = from_copy(&configured.config, identity, keys).context("the policies cannot be evaluated again")?;
            let Some(snapshot) = found else {
                writeln!(out, "\nThis gateway has no disk copy; the policies cannot be evaluated again.")?;
                return Ok(Ended::Well);
            };
            let revision = snapshot.revision().to_string();
            if text("revision") != Some(&revision) {
                writeln!(out, "\nThe gateway is at revision {revision} by now. By that one:")?;
            }
            evaluate_again(&record, &snapshot, out)?;
        }
        (Identity::Files(_) | Identity::Feed(_), _) => {
            let snapshot = &configured.state.view.snapshot;
            let revision = snapshot.revision().to_string();
            if text("revision") == Some(&revision) {
                evaluate_again(&record, snapshot, out)?;
            } else {
                writeln!(out, "\nThe files are at revision {revision} by now; the policies of that time cannot be evaluated again.")?;
            }
        }
    }
    Ok(Ended::Well)
}

fn find(log: &PathBuf, request_id: &str) -> anyhow::Result<Option<Node>> {
    let file = File::open(log).with_context(|| format!("cannot open `{}`", log.display()))?;
    let wanted = format!("\"request_id\":\"{request_id}\"");
    for line in BufReader::new(file).lines() {
        let line = line.with_context(|| format!("cannot read `{}`", log.display()))?;
        if line.contains(&wanted) {
            let limits = Limits { bytes_max: LINE_BYTES_MAX, depth_max: 8 };
            return json::parse(line.as_bytes(), limits).map(Some).context("the record is damaged");
        }
    }
    Ok(None)
}

fn text<'a>(record: &'a Node, name: &str) -> Option<&'a str> {
    match &record.get(name)?.value {
        Value::String(text) | Value::Number(text) => Some(text),
        Value::Null | Value::Bool(_) | Value::List(_) | Value::Map(_) => None,
    }
}

fn is_true(record: &Node, name: &str) -> bool {
    matches!(record.get(name).map(|node| &node.value), Some(Value::Bool(true)))
}

fn texts<'a>(record: &'a Node, name: &str) -> Vec<&'a str> {
    let Some(Value::List(items)) = record.get(name).map(|node| &node.value) else { return Vec::new() };
    items
        .iter()
        .filter_map(|item| match &item.value {
            Value::String(text) => Some(&**text),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::List(_) | Value::Map(_) => None,
        })
        .collect()
}

fn describe(record: &Node, out: &mut dyn Write) -> anyhow::Result<()> {
    let get = |name: &str| text(record, name).unwrap_or("-");
    writeln!(out, "{}  {}", get("time"), get("request_id"))?;
    writeln!(out, "request   {} {}{}", get("method"), get("host"), get("path"))?;
    writeln!(
        out,
        "from      {}{}",
        get("client_address"),
        text(record, "peer").map_or_else(String::new, |peer| format!(" (peer {peer})"))
    )?;
    match (text(record, "principal"), text(record, "access_key")) {
        (Some(principal), key) => {
            let name = text(record, "role_name").unwrap_or_else(|| get("user_name"));
            let by = key.or_else(|| text(record, "issuer")).unwrap_or_default();
            writeln!(out, "caller    {name} {principal}, by {} {by}", get("authentication_type"))?;
        }
        (None, Some(key)) => writeln!(out, "caller    not proved; the request names the access key {key}")?,
        (None, None) => writeln!(out, "caller    anonymous")?,
    }
    if let (Some(session), Some(source)) = (text(record, "session_name"), text(record, "session_source")) {
        let narrowed = if is_true(record, "session_narrowed") { ", with a policy of its own" } else { "" };
        writeln!(out, "session   {session}, taken by {source}{narrowed}")?;
    }
    if let Some(action) = text(record, "action") {
        writeln!(out, "action    {action} ({})", get("access_level"))?;
    }
    for resource in texts(record, "resources") {
        writeln!(out, "resource  {resource}")?;
    }
    for line in texts(record, "attributes") {
        let (place, what) = line.split_once(' ').unwrap_or(("", line));
        writeln!(out, "attribute {what} (of resource {})", place.parse::<usize>().map_or(0, |place| place + 1))?;
    }
    writeln!(
        out,
        "decision  {}: {} at revision {}, answered {} after {} us",
        get("decision"),
        get("reason"),
        get("revision"),
        get("status"),
        get("duration_us")
    )?;
    if let Some(policy) = text(record, "policy") {
        let sid = text(record, "sid").map_or_else(String::new, |sid| format!(" (Sid `{sid}`)"));
        writeln!(out, "decided by statement {}{sid} of policy {policy}", get("statement"))?;
    }
    for code in [text(record, "reason"), text(record, "failure")].into_iter().flatten() {
        if let Some(reason) = Reason::from_code(code) {
            writeln!(out, "\n{code}: {}", reason.explanation())?;
        }
    }
    if let Some(detail) = text(record, "detail") {
        writeln!(out, "  {detail}")?;
    }
    Ok(())
}

/// Evaluates the caller's policies once more, statement by statement.
fn evaluate_again(record: &Node, snapshot: &Snapshot, out: &mut dyn Write) -> anyhow::Result<()> {
    let catalogue = snapshot.catalogue();
    let action = text(record, "action").and_then(|action| catalogue.action_id(action));
    let (Some(caller), Some(action)) = (caller(record, snapshot), action) else { return Ok(()) };
    let srns: Vec<Srn<'_>> = texts(record, "resources").into_iter().filter_map(|srn| Srn::parse(srn).ok()).collect();
    let told = texts(record, "attributes");
    let told: Vec<Told<'_>> = (0..srns.len()).map(|place| Told::of(place, &told)).collect();
    let attributes: Vec<Vec<(AttributeId, Values<'_>)>> = told.iter().map(|told| told.attributes(catalogue)).collect();
    let tags: Vec<Vec<(&str, Values<'_>)>> = told.iter().map(Told::tags).collect();
    let resources: Option<Vec<Resource<'_>>> = srns
        .iter()
        .zip(told.iter().zip(attributes.iter().zip(&tags)))
        .map(|(srn, (told, (attributes, tags)))| {
            let kind = catalogue.find_resource_type(srn.service_type, srn.resource_type)?;
            let resource = Resource::new(kind, srn.account, srn.region, srn.resource_id);
            let attributes = Attributes { known: attributes, others: Values::NotFetched };
            Some(Resource { tags: told.all_tags(tags), attributes, ..resource })
        })
        .collect();
    // Cut in the log, or of a type that is gone: an explanation of another request would mislead.
    let Some(resources) = resources.filter(|found| found.len() == texts(record, "resources").len()) else { return Ok(()) };
    let now: Timestamp = text(record, "time").unwrap_or_default().parse()?;
    let address = text(record, "client_address").and_then(|address| address.parse().ok());
    let region = srns.first().map_or("", |srn| srn.region);
    let (context, held) = match caller {
        Caller::User(user) => {
            (user.context(address, text(record, "authentication_type").unwrap_or_default(), region, now), snapshot.policies_of(user))
        }
        Caller::Role(role) => (Role::context(address, is_true(record, "session_mfa"), region, now), snapshot.policies_of_role(role)),
    };
    // What a request brings is not recorded: it may be secret.
    let context = Context { request_attributes: &NotRecorded, request_tags: Tags::NotFetched, tag_keys: Values::NotFetched, ..context };
    let request = policy::Request { action, resources: &resources, principal: caller.asking(), needs_resource_policy: false, context };
    let attached = snapshot.policies_of_resources(&resources);
    let more = if attached.is_empty() { String::new() } else { format!(", and the resources have {}", counted(attached.len(), "policy")) };
    writeln!(out, "\n{} holds {}{more}:", caller.name(), counted(held.len(), "policy"))?;
    let findings = policy::explain(&request, &Policies::identity(&held).with_resource(&attached), catalogue);
    for finding in &findings {
        writeln!(out, "  {finding}")?;
    }
    if is_true(record, "session_narrowed") {
        writeln!(out, "  and the session has a policy of its own, which is not in the log: it may deny this, or not allow it")?;
    }
    let allows = findings.iter().any(|finding| finding.effect == Effect::Allow && finding.outcome == Outcome::Applied);
    match (text(record, "reason"), policy::nearest_miss(&findings)) {
        // Only an account that no resource names leaves nothing else to say: the definition's `account` (R26).
        (Some(reason), _) if allows && reason == Reason::ImplicitDeny.code() => {
            writeln!(out, "  the definition says that this belongs to another account: the caller's own policies are not enough")?;
        }
        (Some(reason), Some(nearest)) if reason == Reason::ImplicitDeny.code() || reason == Reason::AttributeUnavailable.code() => {
            writeln!(out, "\nthe nearest miss: {nearest}")?;
        }
        (_, _) => {}
    }
    Ok(())
}

/// Who called, if they are still there.
fn caller<'s>(record: &Node, snapshot: &'s Snapshot) -> Option<Caller<'s>> {
    let srn = Srn::parse(text(record, "principal")?).ok()?;
    if srn.resource_type == "role" {
        return snapshot.role(srn.resource_id.parse().ok()?).map(|role| Caller::Role(role));
    }
    snapshot.user(srn.resource_id.parse().ok()?).map(|user| Caller::User(user))
}

/// A request of which nothing is recorded that conditions could test.
#[derive(Debug)]
struct NotRecorded;

impl RequestAttributes for NotRecorded {
    fn read(&self, _accessor: &Accessor, _take: &mut dyn FnMut(Scalar<'_>)) -> Known {
        Known::NotFetched
    }
}

/// What a record says about one resource: keys and their values; `None` for what could not be obtained.
struct Told<'r>(Vec<(&'r str, Option<Vec<Scalar<'r>>>)>);

impl<'r> Told<'r> {
    fn of(place: usize, lines: &[&'r str]) -> Self {
        let mut all: Vec<(&str, Option<Vec<Scalar<'_>>>)> = Vec::new();
        for line in lines {
            let Some((_, line)) = line.split_once(' ').filter(|(found, _)| found.parse() == Ok(place)) else { continue };
            let (key, value) = match (line.strip_suffix(ABSENT), line.strip_suffix(UNAVAILABLE), line.split_once(IS)) {
                (_, _, Some((key, value))) => (key, Some(vec![Scalar::Text(value)])),
                (Some(key), ..) => (key, Some(Vec::new())),
                (None, Some(key), _) => (key, None),
                (None, None, None) => continue,
            };
            match (all.iter_mut().find(|(known, _)| *known == key), value) {
                (Some((_, Some(values))), Some(more)) => values.extend(more),
                (Some(_), _) => {}
                (None, value) => all.push((key, value)),
            }
        }
        Self(all)
    }

    fn attributes(&self, catalogue: &Catalogue) -> Vec<(AttributeId, Values<'_>)> {
        let known = self.0.iter().filter_map(|(key, values)| {
            let (service, rest) = key.split_once(':')?;
            let values = values.as_ref().map_or(Values::Unavailable, |values| Values::of(values));
            Some((catalogue.find_attribute(service, rest)?, values))
        });
        known.collect()
    }

    fn tags(&self) -> Vec<(&'r str, Values<'_>)> {
        let known = self.0.iter().filter_map(|(key, values)| {
            let tag = key.strip_prefix(RESOURCE_TAG)?.strip_prefix('/')?;
            Some((tag, Values::of(values.as_ref()?)))
        });
        known.collect()
    }

    fn all_tags<'t>(&self, tags: &'t [(&'t str, Values<'t>)]) -> Tags<'t> {
        match self.0.iter().find(|(key, _)| key.strip_prefix(RESOURCE_TAG).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))) {
            None => Tags::NotFetched,
            Some((RESOURCE_TAG, None)) => Tags::Unavailable,
            Some(_) => Tags::Known(tags),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::Roster;
    use crate::snapshot::wire::{Change, read_json};
    use crate::types::{Revision, SealingKey};
    use serde_json::json;
    use std::sync::Arc;

    const ACCOUNT: &str = "f39c460fade34fecb05ede8f904b24b7";
    const ROLE: &str = "901e0000000000000000000000000001";

    fn snapshot() -> Snapshot {
        let definition =
            "kind: scp-iam:action-definition\nservice: iam\npaths:\n  /v1/groups:\n    get: {action: iam:ListGroups, access_level: List}\n";
        let condition = json!({"Bool": {"scp:MultiFactorAuthPresent": "true"}});
        let statement = json!({"Sid": "Second", "Effect": "Allow", "Action": "iam:*", "Resource": "*", "Condition": condition});
        let document = json!({"Version": "2024-07-01", "Statement": [statement]}).to_string();
        let records = [
            json!({"kind": "account", "id": ACCOUNT, "name": "a"}),
            json!({"kind": "role", "id": ROLE, "account": ACCOUNT, "name": "deployer"}),
            json!({"kind": "policy", "id": ROLE, "account": ACCOUNT, "name": "p", "document": document}),
            json!({"kind": "attachment", "policy": ROLE, "role": ROLE}),
            json!({"kind": "definition", "service": "iam", "document": definition}),
        ];
        let put = |record: serde_json::Value| {
            let record = record.to_string();
            Change::Put { key: read_json(&record).unwrap().key().to_string(), record }
        };
        let mut roster = Roster::new("e".parse().unwrap(), Arc::new(SealingKey::from_text(&"0a".repeat(32)).unwrap()));
        roster.apply(&records.map(put));
        roster.snapshot(Revision::Store { epoch: 7, sequence: 3 })
    }

    #[test]
    fn a_session_is_explained_by_its_roles_policies_and_its_own_is_named() {
        let told = |mfa: bool, narrowed: bool| {
            let record = json!({
                "time": "2026-11-20T22:29:45.000Z", "request_id": "req-1", "method": "GET", "host": "iam.test", "path": "/v1/groups",
                "revision": "7.3", "decision": "deny", "reason": "implicit_deny", "client_address": "127.0.0.1", "access_key": ROLE,
                "principal": format!("srn:e::{ACCOUNT}:::scp-iam:role/{ROLE}"), "role_name": "deployer", "session_name": "build-7",
                "session_source": "srn:e::x:::scp-iam:user/y", "session_mfa": mfa, "session_narrowed": narrowed,
                "authentication_type": "RoleSession", "action": "iam:ListGroups", "access_level": "List",
            });
            let record = json::parse(record.to_string().as_bytes(), Limits { bytes_max: 10_000, depth_max: 8 }).unwrap();
            let mut out = Vec::new();
            describe(&record, &mut out).unwrap();
            evaluate_again(&record, &snapshot(), &mut out).unwrap();
            String::from_utf8(out).unwrap()
        };
        let whole = told(true, false);
        assert!(whole.contains(&format!("caller    deployer srn:e::{ACCOUNT}:::scp-iam:role/{ROLE}, by RoleSession {ROLE}")), "{whole}");
        assert!(whole.contains("session   build-7, taken by srn:e::x:::scp-iam:user/y\n"), "{whole}");
        assert!(whole.contains("\ndeployer holds 1 policy:") && !whole.contains("of its own"), "{whole}");
        let (narrowed, without) = (told(true, true), told(false, false));
        assert!(narrowed.contains("taken by srn:e::x:::scp-iam:user/y, with a policy of its own\n"), "{narrowed}");
        assert!(narrowed.contains("the session has a policy of its own, which is not in the log"), "{narrowed}");
        assert!(without.contains("the nearest miss:") && !whole.contains("the nearest miss:"), "{without}");
    }
}
