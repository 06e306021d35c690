//! Stage 8: the resources of an operation, taken from the request as its definition says.

use std::borrow::Cow;

use http::header;
use smallvec::SmallVec;

use super::decision::Denial;
use super::request::Request;
use crate::policy::{Catalogue, ResourceTypeId};
use crate::snapshot::accessor::AccessError;
use crate::snapshot::{Caller, Inputs, Operation, ResourceTemplate};
use crate::source::{Node, json};
use crate::types::{Reason, Srn};

/// How deep a body may nest.
const BODY_DEPTH_MAX: usize = 64;

/// A resource that the request names.
#[derive(Debug)]
pub(super) struct Named<'a> {
    pub(super) kind: ResourceTypeId,
    pub(super) account: Cow<'a, str>,
    pub(super) region: Cow<'a, str>,
    pub(super) id: Cow<'a, str>,
}

/// What an operation is aimed at.
#[derive(Debug)]
pub(super) struct Resolved<'a> {
    pub(super) account: Cow<'a, str>,
    pub(super) region: Cow<'a, str>,
    pub(super) resources: SmallVec<[Named<'a>; 2]>,
}

/// Where to look.
pub(super) struct Target<'a> {
    pub(super) operation: &'a Operation,
    pub(super) parameters: &'a [&'a str],
    pub(super) host: &'a [(Box<str>, Box<str>)],
    pub(super) caller: Caller<'a>,
    pub(super) body: Option<&'a Node>,
}

/// Parses the body once it was asked for: strict JSON, and the same bytes that will be forwarded.
pub(super) fn read_body(operation: &Operation, request: &Request<'_>) -> Result<Option<Node>, Denial> {
    let Some(body) = request.body else { return Ok(None) };
    // Only policies asked for it, and there is none.
    if body.is_empty() && !operation.needs_body {
        return Ok(None);
    }
    let refuse = |detail: String| Denial::with(Reason::MalformedRequest, detail);
    if request.headers.contains_key(header::CONTENT_ENCODING) {
        return Err(refuse("this action's body must be sent without Content-Encoding".to_owned()));
    }
    let mut media_types = request.headers.get_all(header::CONTENT_TYPE).iter();
    let media_type = media_types.next().and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !is_json(media_type) || media_types.next().is_some() {
        return Err(refuse("this action's body must be `application/json`, in UTF-8".to_owned()));
    }
    let limits = json::Limits { bytes_max: body.len(), depth_max: BODY_DEPTH_MAX };
    json::parse(body, limits).map(Some).map_err(|error| refuse(format!("the body: {error}")))
}

/// Who decides by a body reads the bytes that are forwarded; those are in chunks, and not verified yet.
pub(super) fn chunked_body() -> Denial {
    Denial::with(Reason::MalformedRequest, "this action's body must be sent whole, not in chunks (`STREAMING-*`)")
}

/// `application/json`, with no charset but UTF-8: in another one a backend would read other members than we do.
fn is_json(media_type: &str) -> bool {
    let mut parts = media_type.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default();
    essence.eq_ignore_ascii_case("application/json")
        && parts.all(|parameter| match parameter.split_once('=') {
            Some((name, value)) if name.trim().eq_ignore_ascii_case("charset") => {
                value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
            }
            Some(_) | None => true,
        })
}

impl<'a> Target<'a> {
    /// What expressions and conditions read from.
    pub(super) fn inputs(&self, request: &Request<'a>) -> Inputs<'a> {
        Inputs {
            parameters: self.parameters,
            query: request.query(),
            headers: request.headers,
            body: self.body,
            host: self.host,
            account: self.caller.account_text(),
        }
    }

    /// Every resource with its account and region. Fails closed: what the definition names must be there.
    pub(super) fn resolve(&self, catalogue: &Catalogue, request: &Request<'a>) -> Result<Resolved<'a>, Denial> {
        let inputs = self.inputs(request);
        let account = self.operation.account.evaluate_one(&inputs).map_err(missing)?;
        let region = self.operation.region.evaluate_one(&inputs).map_err(missing)?;
        let mut resources = SmallVec::new();
        for template in &self.operation.resources {
            match template {
                ResourceTemplate::Typed { kind, id } => {
                    for id in id.evaluate(&inputs).map_err(missing)? {
                        check_id(&id)?;
                        resources.push(Named { kind: *kind, account: account.clone(), region: region.clone(), id });
                    }
                }
                ResourceTemplate::Srn(expression) => {
                    for text in expression.evaluate(&inputs).map_err(missing)? {
                        resources.push(named_by_srn(catalogue, &text)?);
                    }
                }
            }
        }
        Ok(Resolved { account, region, resources })
    }
}

fn missing(error: AccessError) -> Denial {
    Denial::with(Reason::MalformedRequest, format!("{error} in the request"))
}

/// SECURITY: paths have no control characters, and ids from elsewhere must not either: readers cut or drop them, and would find another
/// resource than the one that was decided on. Test: `every_input_has_the_verdict_of_the_table_and_leaves_no_trace_on_its_connection`.
fn check_id(id: &str) -> Result<(), Denial> {
    let detail = match id {
        "" => "a resource id is empty",
        id if id.contains(|character: char| character.is_ascii_control()) => "a resource id has a control character",
        _ => return Ok(()),
    };
    Err(Denial::with(Reason::MalformedRequest, detail))
}

fn named_by_srn<'a>(catalogue: &Catalogue, text: &str) -> Result<Named<'a>, Denial> {
    let refuse = |detail: String| Denial::with(Reason::MalformedRequest, detail);
    let srn = Srn::parse(text).map_err(|error| refuse(error.to_string()))?;
    if srn.offering != catalogue.offering().as_str() {
        return Err(refuse(format!("`{}` is not the offering of this cloud", srn.offering)));
    }
    check_id(srn.resource_id)?;
    let kind = catalogue.find_resource_type(srn.service_type, srn.resource_type);
    let kind = kind.ok_or_else(|| refuse("the SRN names a resource type that no definition knows".to_owned()))?;
    Ok(Named {
        kind,
        account: Cow::Owned(srn.account.to_owned()),
        region: Cow::Owned(srn.region.to_owned()),
        id: Cow::Owned(srn.resource_id.to_owned()),
    })
}

impl Resolved<'_> {
    /// The resources as SRNs, for records.
    pub(super) fn srns(&self, catalogue: &Catalogue) -> Vec<String> {
        let offering = catalogue.offering().as_str();
        let text = |resource: &Named<'_>| {
            let kind = catalogue.resource_type(resource.kind);
            let parts = [
                "srn:",
                offering,
                "::",
                &resource.account,
                ":",
                &resource.region,
                "::",
                &kind.service_type,
                ":",
                &kind.name,
                "/",
                &resource.id,
            ];
            parts.concat()
        };
        self.resources.iter().map(text).collect()
    }
}
