//! What went wrong, as a status and the error body of SCP (wire-formats 1.6): the only table of statuses here.

use http::StatusCode;
use hyper::Response;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use serde::Serialize;

use super::body::Whole;
use crate::control::service::ServiceError;
use crate::control::store::StoreError;

/// Why a request was not served.
#[derive(Debug, thiserror::Error)]
pub(super) enum ApiError {
    /// No gateway vouches for it, or not now.
    #[error("the request carries no valid assertion of a gateway")]
    Unauthorized,
    /// The path has more than one reading.
    #[error("{0}")]
    Path(#[from] crate::types::PathError),
    /// No such route.
    #[error("there is no such operation")]
    NoRoute,
    /// For the operator's people only.
    #[error("this operation is for the operator of the control plane")]
    OperatorOnly,
    /// Too many bytes of headers.
    #[error("the headers are too large")]
    HeadTooLarge,
    /// Too many bytes.
    #[error("the body is too large; send at most {bytes_max} bytes")]
    BodyTooLarge {
        /// How many there may be.
        bytes_max: usize,
    },
    /// It broke off, or took too long.
    #[error("the body did not arrive")]
    BrokenBody,
    /// It took too long.
    #[error("the operation took too long; whether it was done is not known")]
    TooSlow,
    /// The use case said no.
    #[error(transparent)]
    Service(#[from] ServiceError),
}

#[derive(Serialize)]
struct Errors<'a> {
    errors: [Entry<'a>; 1],
}

/// Exactly the documented members, in their order.
#[derive(Serialize)]
struct Entry<'a> {
    code: &'static str,
    detail: Detail,
    title: &'static str,
    status: u16,
    request_id: &'a str,
    global_request_id: &'a str,
    links: [(); 0],
    related_resources: [(); 0],
    response: (),
}

#[derive(Serialize)]
#[serde(untagged)]
enum Detail {
    One(String),
    Many(Vec<String>),
}

impl ApiError {
    fn status(&self) -> (StatusCode, &'static str) {
        match self {
            Self::Unauthorized => (StatusCode::UNAUTHORIZED, "Unauthorized"),
            Self::Path(_) | Self::BrokenBody => (StatusCode::BAD_REQUEST, "BadRequest"),
            Self::NoRoute => (StatusCode::NOT_FOUND, "NotFound"),
            Self::OperatorOnly => (StatusCode::FORBIDDEN, "Forbidden"),
            Self::HeadTooLarge => (StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "RequestHeaderFieldsTooLarge"),
            Self::BodyTooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "PayloadTooLarge"),
            Self::TooSlow => (StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable"),
            Self::Service(error) => match error {
                ServiceError::NotFound(..) => (StatusCode::NOT_FOUND, "NotFound"),
                ServiceError::Invalid(_) => (StatusCode::BAD_REQUEST, "ValidationError"),
                ServiceError::Taken(..)
                | ServiceError::State(_)
                | ServiceError::Fixed(_)
                | ServiceError::Widening(_)
                | ServiceError::InUse { .. } => (StatusCode::CONFLICT, "Conflict"),
                ServiceError::Full { .. } | ServiceError::AllTaken { .. } | ServiceError::TooMany { .. } => {
                    (StatusCode::CONFLICT, "LimitExceeded")
                }
                ServiceError::OfSystem(_) | ServiceError::Escalation(_) | ServiceError::NoToken(_) | ServiceError::Untrusted(_) => {
                    (StatusCode::FORBIDDEN, "Forbidden")
                }
                ServiceError::Changed => (StatusCode::PRECONDITION_FAILED, "PreconditionFailed"),
                ServiceError::WrongLogin => (StatusCode::UNAUTHORIZED, "Unauthorized"),
                ServiceError::TooOften { .. } => (StatusCode::TOO_MANY_REQUESTS, "TooManyRequests"),
                ServiceError::NotSent(_) => (StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable"),
                ServiceError::Store(StoreError::TooMuch) => (StatusCode::PAYLOAD_TOO_LARGE, "LimitExceeded"),
                ServiceError::Store(_) | ServiceError::Random(_) | ServiceError::Seal(_) | ServiceError::Hash(_) => {
                    (StatusCode::INTERNAL_SERVER_ERROR, "ContactAdminForAssistance")
                }
            },
        }
    }

    /// The answer. What went wrong inside is logged and not told.
    pub(super) fn into_response(self, request_id: &str) -> Response<Whole> {
        let (status, code) = self.status();
        // RFC 9110 section 11.6.1 wants to say with what one is let in: name and password in the body, or the word of a gateway.
        let scheme = if let Self::Service(_) = &self { "Portcullis-Login" } else { "Portcullis-Assertion" };
        let wait_s = if let Self::Service(ServiceError::TooOften { wait_s, .. }) = &self { Some(*wait_s) } else { None };
        let detail = if status.is_server_error() {
            tracing::error!(error = %self, request_id, "a request to the API failed");
            Detail::One("something failed inside; give the request id to the administrator".to_owned())
        } else if let Self::Service(ServiceError::Invalid(sentences) | ServiceError::Widening(sentences)) = self {
            Detail::Many(sentences)
        } else {
            Detail::One(self.to_string())
        };
        let status_number = status.as_u16();
        let entry = Entry {
            code,
            detail,
            title: code,
            status: status_number,
            request_id,
            global_request_id: request_id,
            links: [],
            related_resources: [],
            response: (),
        };
        let mut response = json(status, &Errors { errors: [entry] });
        if let Some(wait_s) = wait_s {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(wait_s));
        }
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static(scheme));
        }
        if status == StatusCode::PAYLOAD_TOO_LARGE {
            response.headers_mut().insert(hyper::header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

/// A JSON answer.
pub(super) fn json(status: StatusCode, value: &impl Serialize) -> Response<Whole> {
    // Our own structures: texts, numbers, lists. They have no keys that are not texts.
    let mut response = Response::new(Whole::new(serde_json::to_vec(value).unwrap_or_default()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
