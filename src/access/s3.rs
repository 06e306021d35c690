//! What a request to an S3 service says beside its path: which of an object's or bucket's many sides it is about.

use http::HeaderMap;

use super::decision::Denial;
use super::request::Request;
use crate::types::Reason;
use crate::types::path::percent_decoded;

/// The names that make another operation of a method on a path, wherever they stand in the query, whatever their value.
const SUBRESOURCES: [&str; 39] = [
    "accelerate",
    "acl",
    "analytics",
    "annotation",
    "append",
    "attributes",
    "cors",
    "delete",
    "encryption",
    "intelligent-tiering",
    "inventory",
    "legal-hold",
    "lifecycle",
    "location",
    "logging",
    "metadataConfiguration",
    "metadataTable",
    "metrics",
    "notification",
    "object-lock",
    "ownershipControls",
    "partNumber",
    "policy",
    "policyStatus",
    "publicAccessBlock",
    "renameObject",
    "replication",
    "requestPayment",
    "restore",
    "retention",
    "select",
    "session",
    "tagging",
    "torrent",
    "uploadId",
    "uploads",
    "versionId",
    "versioning",
    "website",
];
/// One more, which is a list of its own.
const VERSIONS: &str = "versions";

/// The one name in the query that says which operation it is. `partNumber` beside `uploadId` says nothing more, nor does `versionId` beside another.
///
/// SECURITY: what a definition does not name is not its operation: `PUT /BUCKET?policy` must not be `PUT /BUCKET`. Of two names nobody knows which
/// one a backend looks at first. Test: `an_operation_is_what_its_query_says`.
pub(super) fn subresource(request: &Request<'_>) -> Result<Option<&'static str>, Denial> {
    let refuse = |detail| Err(Denial::with(Reason::AmbiguousRequest, detail));
    let mut found: Option<&'static str> = None;
    let mut upload = (false, false);
    let mut version = false;
    if request.query().contains(';') {
        return refuse("the query has a `;`; send `%3B`");
    }
    for pair in request.query().split('&') {
        let name = pair.split_once('=').map_or(pair, |(name, _)| name);
        let Some(name) = percent_decoded(name) else { return refuse("a `%` in the query begins no encoded byte") };
        let known = SUBRESOURCES.iter().chain([&VERSIONS]).find(|known| name.as_ref() == known.as_bytes());
        match known.copied() {
            None => {}
            Some("uploadId") => upload.0 = true,
            Some("partNumber") => upload.1 = true,
            Some("versionId") => version = true,
            Some(name) if found.is_some_and(|found| found != name) => {
                return refuse("the query names two operations; send one");
            }
            Some(name) => found = Some(name),
        }
    }
    match (found, upload, version) {
        (Some(_), (true, _) | (_, true), _) => refuse("the query names two operations; send one"),
        (Some(name), (false, false), _) => Ok(Some(name)),
        (None, (true, _), _) => Ok(Some("uploadId")),
        (None, (false, true), _) => Ok(Some("partNumber")),
        (None, (false, false), true) => Ok(Some("versionId")),
        (None, (false, false), false) => Ok(None),
    }
}

/// How the names of headers begin that have a backend do something elsewhere than path and query say: read a second object, unpack one into many,
/// pass over a lock, or take the gateway for another server of its own.
const ELSEWHERE: [&str; 6] =
    ["x-amz-copy-source", "x-amz-meta-snowball-", "x-amz-meta-minio-", "x-amz-bypass-governance-retention", "x-minio-", "x-rustfs-"];

/// Whether the request would have the backend do what its path and query do not say.
///
/// SECURITY: a backend that believes the gateway does whatever it is told to. Test: `what_headers_would_do_elsewhere_is_no_operation`.
pub(super) fn reaches_elsewhere(headers: &HeaderMap) -> bool {
    let same = |(sent, known): (u8, u8)| sent == known || (known == b'-' && !sent.is_ascii_alphanumeric());
    let begins = |name: &str, known: &str| name.len() >= known.len() && name.bytes().zip(known.bytes()).all(same);
    headers.keys().any(|name| ELSEWHERE.iter().any(|known| begins(name.as_str(), known)))
}

/// Whether a query says what the answer's head is to be, as the backend allows to whom it knows.
pub(super) fn shapes_answer(query: &str) -> bool {
    let is_one = |name: &[u8]| name.get(..9).is_some_and(|start| start.eq_ignore_ascii_case(b"response-"));
    query.split('&').any(|pair| percent_decoded(pair.split_once('=').map_or(pair, |(name, _)| name)).is_none_or(|name| is_one(&name)))
}
