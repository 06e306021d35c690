//! Policy documents as the API takes them: checked against the catalogue of the store's definitions, kept as one canonical text.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Caller, srn};
use crate::control::store::Store;
use crate::policy::{Attachment, Owner, Policy, ResourcePolicy, TRUSTED_MAX};
use crate::snapshot::Snapshot;
use crate::source::{Cursor, Key, Node, Report, Severity, Source, Value, json};
use crate::types::{RoleId, Srn};

/// The members of a statement, in their canonical order.
const STATEMENT_MEMBERS: [&str; 7] = ["Sid", "Effect", "Principal", "Action", "NotAction", "Resource", "Condition"];
/// Those that may be `null`, which is the same as absent (wire-formats 3.2).
const NULLABLE: [&str; 4] = ["Principal", "Action", "NotAction", "Condition"];
/// Deepest nesting of a document that is a text in a body.
const DEPTH_MAX: usize = 16;
/// Those that may be a text where a list belongs.
const LISTS: [&str; 3] = ["Action", "NotAction", "Resource"];

/// Reads the document in a body.
pub(crate) struct Reader<'a> {
    snapshot: Arc<Snapshot>,
    kind: Kind,
    body: &'a [u8],
}

/// What a document is for.
enum Kind {
    /// For whoever holds it: a policy, or the one that narrows a session.
    Held {
        /// Whose it is.
        account: String,
    },
    /// Who may take a role: the role.
    Trust(Option<Attachment>),
}

/// Where the document stands in a body, for its text as the caller wrote it.
#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    policy_version: Option<VersionBody<'a>>,
    #[serde(borrow)]
    assume_role_policy_document: Option<&'a RawValue>,
    #[serde(borrow)]
    policy: Option<&'a RawValue>,
}

impl<'a> Body<'a> {
    fn document(self) -> Option<&'a str> {
        let version = self.policy_version.map(|version| version.policy_document);
        version.or(self.assume_role_policy_document).or(self.policy).map(RawValue::get)
    }
}

#[derive(Deserialize)]
struct VersionBody<'a> {
    #[serde(borrow)]
    policy_document: &'a RawValue,
}

impl<'a> Reader<'a> {
    /// For a body of this caller.
    pub(crate) fn new(store: &Store, caller: &Caller, body: &'a [u8]) -> Self {
        Self { snapshot: store.snapshot(), kind: Kind::Held { account: caller.account.to_string() }, body }
    }

    /// For a body that says who may take a role of this caller's account.
    pub(crate) fn of_trust(store: &Store, caller: &Caller, role: RoleId, body: &'a [u8]) -> Self {
        let (snapshot, srn) = (store.snapshot(), srn(store, caller.account, "role", role));
        let role = Srn::parse(&srn).ok().and_then(|srn| Attachment::find(&srn, snapshot.catalogue()));
        Self { snapshot, kind: Kind::Trust(role), body }
    }

    /// The document in its canonical form. Every problem is reported, with its line and column in the document as it was sent.
    pub(crate) fn read(&self, cursor: &Cursor<'_>) -> Option<String> {
        if !matches!(cursor.node().value, Value::Map(_)) {
            cursor.error_hint("a policy document should stand here", r#"write {"Version": "2024-07-01", "Statement": [...]}"#);
            return None;
        }
        // Without its nulls it is another text than the one that was sent.
        let sent = serde_json::from_slice::<Body<'_>>(self.body).ok().filter(|_| !has_nulls(cursor.node()));
        if let Some(sent) = sent.and_then(Body::document) {
            self.check(sent, cursor)?;
        }
        self.checked(cursor.node(), cursor)
    }

    /// A document, or a text that holds one.
    pub(crate) fn read_either(&self, cursor: &Cursor<'_>) -> Option<String> {
        let Value::String(text) = &cursor.node().value else { return self.read(cursor) };
        match json::parse(text.as_bytes(), json::Limits { bytes_max: text.len(), depth_max: DEPTH_MAX }) {
            Ok(document) => self.checked(&document, cursor),
            Err(error) => {
                let place = error.span.start;
                let message = format!("line {}, column {}: {}", place.line, place.column, error.message);
                cursor.error_hint(message, "write a policy document, or one as a text");
                None
            }
        }
    }

    /// A document that was made here, in its canonical form.
    pub(crate) fn checked(&self, document: &Node, cursor: &Cursor<'_>) -> Option<String> {
        let canonical = canonical(document);
        // SECURITY: what is kept is what was checked.
        self.check(&canonical, cursor)?;
        let trusted = trusted(document);
        if matches!(self.kind, Kind::Trust(_)) && trusted > TRUSTED_MAX {
            cursor.error_hint(format!("{trusted} principals are named; the limit of a role is {TRUSTED_MAX}"), "name fewer");
            return None;
        }
        Some(canonical)
    }

    fn check(&self, text: &str, cursor: &Cursor<'_>) -> Option<()> {
        let (source, report) = (Source::new("policy_document", text), Report::new());
        let catalogue = self.snapshot.catalogue();
        let readable = match &self.kind {
            Kind::Held { account } => Policy::load(&source, "", Owner::account(account), catalogue, &report).map(|_| ()),
            Kind::Trust(role) => {
                let role = role.clone()?;
                ResourcePolicy::load(&source, "", role, catalogue, &report).map(|_| ())
            }
        };
        for found in report.diagnostics().into_iter().filter(|found| found.severity == Severity::Error) {
            let place = found.span.unwrap_or_default().start;
            let message = format!("line {}, column {}: {}", place.line, place.column, found.message);
            match found.hint {
                Some(hint) => cursor.error_hint(message, hint),
                None => cursor.error(message),
            }
        }
        readable
    }
}

/// How many principals all statements name.
fn trusted(document: &Node) -> usize {
    let names = |value: &Node| match &value.value {
        Value::List(items) => items.len(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Map(_) => 1,
    };
    let named = |statement: &Node| match statement.get("Principal").map(|principal| &principal.value) {
        Some(Value::Map(members)) => members.iter().map(|(_, value)| names(value)).sum(),
        Some(_) | None => 0,
    };
    statements(document).iter().map(named).sum()
}

fn statements(document: &Node) -> &[Node] {
    match document.get("Statement") {
        Some(Node { value: Value::List(statements), .. }) => statements,
        Some(one) => std::slice::from_ref(one),
        None => &[],
    }
}

fn is_null(node: &Node) -> bool {
    matches!(node.value, Value::Null)
}

fn has_nulls(document: &Node) -> bool {
    statements(document).iter().any(|statement| NULLABLE.iter().any(|name| statement.get(name).is_some_and(is_null)))
}

/// The same document with lists where lists may stand, in one order, without spaces and nulls.
fn canonical(document: &Node) -> String {
    let mut out = String::new();
    object(&mut out, document, &["Version", "Statement"], |out, name, value| match name {
        "Statement" => list(out, statements(document), statement),
        _ => plain(out, value),
    });
    out
}

fn statement(out: &mut String, node: &Node) {
    object(out, node, &STATEMENT_MEMBERS, |out, name, value| match name {
        _ if LISTS.contains(&name) => listed(out, value),
        "Principal" => object(out, value, &[], |out, _, named| listed(out, named)),
        "Condition" => object(out, value, &[], |out, _, operator| object(out, operator, &[], |out, _, values| listed(out, values))),
        _ => plain(out, value),
    });
}

fn listed(out: &mut String, node: &Node) {
    match &node.value {
        Value::List(items) => list(out, items, plain),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Map(_) => list(out, std::slice::from_ref(node), plain),
    }
}

fn list(out: &mut String, items: &[Node], mut print: impl FnMut(&mut String, &Node)) {
    out.push('[');
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        print(out, item);
    }
    out.push(']');
}

/// An object with the members of `order` first, and those that are absent by being `null` left out. What is no object stays as it is.
fn object(out: &mut String, node: &Node, order: &[&str], mut print: impl FnMut(&mut String, &str, &Node)) {
    let Value::Map(members) = &node.value else { return plain(out, node) };
    let named = |name: &&str| members.iter().find(|(key, _)| *key.text == **name);
    let others = members.iter().filter(|(key, _)| !order.contains(&&*key.text));
    let present = |(key, value): &&(Key, Node)| !(NULLABLE.contains(&&*key.text) && is_null(value));
    out.push('{');
    for (index, (key, value)) in order.iter().filter_map(named).chain(others).filter(present).enumerate() {
        if index > 0 {
            out.push(',');
        }
        quoted(out, &key.text);
        out.push(':');
        print(out, &key.text, value);
    }
    out.push('}');
}

fn plain(out: &mut String, node: &Node) {
    match &node.value {
        Value::Null => out.push_str("null"),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Number(text) => out.push_str(text),
        Value::String(text) => quoted(out, text),
        Value::List(items) => list(out, items, plain),
        Value::Map(_) => object(out, node, &[], |out, _, value| plain(out, value)),
    }
}

fn quoted(out: &mut String, text: &str) {
    out.push_str(&serde_json::Value::from(text).to_string());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::json;

    #[test]
    fn a_document_has_one_canonical_text() {
        let canonical = |text: &str| canonical(&json::parse(text.as_bytes(), json::Limits { bytes_max: 1 << 16, depth_max: 8 }).unwrap());
        let expected = r#"{"Version":"2024-07-01","Statement":[{"Sid":"한\"","Effect":"Allow","Action":["a:B"],"Resource":["*"],"Condition":{"Bool":{"k":[true]},"StringEquals":{"z":["1",2.50]}}}]}"#;
        let loose = r#"
            {"Statement": {"Resource": "*", "Principal": null, "NotAction": null, "Action": "a:B", "Effect": "Allow",
              "Condition": {"Bool": {"k": true}, "StringEquals": {"z": ["1", 2.50]}}, "Sid": "\ud55c\""}, "Version": "2024-07-01"}"#;
        assert_eq!(canonical(loose), expected);
        assert_eq!(canonical(expected), expected);
        assert_eq!(canonical(r#"{"X": [1, {"b": null}], "Statement": 3}"#), r#"{"Statement":[3],"X":[1,{"b":null}]}"#);
    }
}
