//! What a handler gets and what it gives back.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use hyper::Response;
use hyper::header::{ETAG, HeaderName, HeaderValue, IF_MATCH};
use serde::Serialize;

use super::Means;
use super::body::{self, Whole};
use super::error::{self, ApiError};
use super::query::Query;
use crate::control::service::login::Visitor;
use crate::control::service::throttle::Throttle;
use crate::control::service::{Accepted, Caller, Precondition, ServiceError};
use crate::control::store::Store;
use crate::source::Cursor;
use crate::types::{Revision, Timestamp};

const COMMITTED_REVISION: HeaderName = HeaderName::from_static("portcullis-committed-revision");

/// A request that was let in.
pub(super) struct Call {
    /// The store.
    pub(super) store: Store,
    /// What else the operator has configured.
    pub(super) means: Arc<Means>,
    /// Who calls.
    pub(super) caller: Caller,
    /// The time of the call.
    pub(super) now: Timestamp,
    pub(super) parameters: Vec<(&'static str, String)>,
    pub(super) query: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// A request of somebody of whom nothing is known yet.
pub(super) struct Visit {
    /// The store.
    pub(super) store: Store,
    /// How soon who may try again.
    pub(super) throttle: Arc<Throttle>,
    /// From where they ask.
    pub(super) visitor: Visitor,
    /// The time of the call.
    pub(super) now: Timestamp,
    pub(super) body: Bytes,
}

impl Visit {
    /// The body, decoded.
    pub(super) fn decode<T>(&self, decode: impl FnOnce(&Cursor<'_>) -> Option<T>) -> Result<T, ApiError> {
        Ok(body::decode(&self.body, decode)?)
    }
}

impl Call {
    /// A parameter of the path. A text that cannot be an id is the id of nothing.
    pub(super) fn id<T: std::str::FromStr>(&self, what: &'static str, name: &str) -> Result<T, ApiError> {
        let text = self.parameters.iter().find(|(known, _)| *known == name).map_or("", |(_, text)| text.as_str());
        text.parse().map_err(|_| ServiceError::NotFound(what, text.chars().take(64).collect()).into())
    }

    /// The query.
    pub(super) fn query(&self) -> Query {
        Query::parse(&self.query)
    }

    /// The body, decoded.
    pub(super) fn decode<T>(&self, decode: impl FnOnce(&Cursor<'_>) -> Option<T>) -> Result<T, ApiError> {
        Ok(body::decode(&self.body, decode)?)
    }

    /// `If-Match`: `*`, or entity tags as the answers give them. One that is none of ours is no state of anything.
    pub(super) fn precondition(&self) -> Precondition {
        let texts: Vec<&str> = self.headers.get_all(IF_MATCH).iter().map(|value| value.to_str().unwrap_or("")).collect();
        if texts.is_empty() || texts == ["*"] {
            return Precondition::None;
        }
        let tags = texts.iter().flat_map(|text| text.split(',')).filter_map(|tag| {
            let (epoch, sequence) = tag.trim().strip_prefix('"')?.strip_suffix('"')?.split_once('.')?;
            Some(Revision::Store { epoch: epoch.parse().ok()?, sequence: sequence.parse().ok()? })
        });
        Precondition::OneOf(tags.collect())
    }

    /// A revision of the store, for [`Answer::tagged`].
    pub(super) fn revision(&self, sequence: u64) -> Revision {
        self.store.revision(sequence)
    }
}

/// An answer in the making.
pub(super) struct Answer(Response<Whole>);

impl Answer {
    /// 200 with JSON.
    pub(super) fn ok(value: &impl Serialize) -> Self {
        Self(error::json(StatusCode::OK, value))
    }

    /// 201 with JSON.
    pub(super) fn created(value: &impl Serialize) -> Self {
        Self(error::json(StatusCode::CREATED, value))
    }

    /// 202 with JSON, as public clients expect it of a role that is new; it is there already.
    pub(super) fn accepted(value: &impl Serialize) -> Self {
        Self(error::json(StatusCode::ACCEPTED, value))
    }

    /// 204.
    pub(super) fn no_content() -> Self {
        let mut response = Response::new(Whole::default());
        *response.status_mut() = StatusCode::NO_CONTENT;
        Self(response)
    }

    /// With the thing's state, for `If-Match`.
    pub(super) fn tagged(self, revision: Revision) -> Self {
        self.with(ETAG, format!("\"{revision}\""))
    }

    /// With the revision of what was written.
    pub(super) fn committed<T>(self, accepted: &Accepted<T>) -> Self {
        self.with(COMMITTED_REVISION, accepted.revision.to_string())
    }

    fn with(mut self, name: HeaderName, value: String) -> Self {
        if let Ok(value) = HeaderValue::try_from(value) {
            self.0.headers_mut().insert(name, value);
        }
        self
    }

    pub(super) fn into_response(self) -> Response<Whole> {
        self.0
    }
}
