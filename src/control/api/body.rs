//! Bodies: read whole within limits, decoded with every complaint at once; answers sent whole.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use hyper::body::{Body, Frame, Incoming, SizeHint};

use super::error::ApiError;
use crate::control::service::ServiceError;
use crate::source::{Cursor, Diagnostic, Report, Severity, Source, json};

/// Most bytes of a request's body.
const BODY_BYTES_MAX: usize = 256 * 1024;
/// What a request's body may be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Most bytes.
    pub(super) bytes_max: usize,
    /// How long it may take to arrive.
    pub(super) patience: Duration,
}

impl Limits {
    /// Of somebody known.
    pub(super) const USUAL: Self = Self { bytes_max: BODY_BYTES_MAX, patience: Duration::from_secs(15) };
    /// Of a login: of anybody.
    pub(super) const LOGIN: Self = Self { bytes_max: 4 * 1024, patience: Duration::from_secs(3) };
}

/// Deepest nesting of a body.
const DEPTH_MAX: usize = 16;

/// Reads a request's body.
pub(super) async fn read(mut body: Incoming, limits: Limits) -> Result<Bytes, ApiError> {
    let whole = async {
        let mut gathered = BytesMut::new();
        while let Some(frame) = std::future::poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
            let Ok(data) = frame.map_err(|_| ApiError::BrokenBody)?.into_data() else { continue };
            if gathered.len().saturating_add(data.len()) > limits.bytes_max {
                return Err(ApiError::BodyTooLarge { bytes_max: limits.bytes_max });
            }
            gathered.extend_from_slice(&data);
        }
        Ok(gathered.freeze())
    };
    tokio::time::timeout(limits.patience, whole).await.unwrap_or(Err(ApiError::BrokenBody))
}

/// Decodes a JSON body. Every complaint becomes a sentence of the answer.
///
/// SECURITY: lines of the body are not repeated, for they may hold a password.
pub(super) fn decode<T>(body: &[u8], decode: impl FnOnce(&Cursor<'_>) -> Option<T>) -> Result<T, ServiceError> {
    let limits = json::Limits { bytes_max: BODY_BYTES_MAX, depth_max: DEPTH_MAX };
    let node = json::parse(body, limits).map_err(|error| {
        let place = error.span.start;
        let hint = error.hint.unwrap_or_else(|| "write one JSON object".to_owned());
        ServiceError::Invalid(vec![format!("line {}, column {}: {}; {hint}", place.line, place.column, error.message)])
    })?;
    let (source, report) = (Source::new("body", String::new()), Report::new());
    let decoded = decode(&Cursor::new(&node, &source, &report).advised("write a JSON object"));
    match decoded {
        Some(value) if !report.has_errors() => Ok(value),
        Some(_) | None => Err(ServiceError::Invalid(complaints(&report))),
    }
}

fn complaints(report: &Report) -> Vec<String> {
    let sentence = |Diagnostic { message, hint, .. }: Diagnostic| match hint {
        Some(hint) => format!("{message}; {hint}"),
        None => message,
    };
    report.diagnostics().into_iter().filter(|found| found.severity == Severity::Error).map(sentence).collect()
}

/// An answer's body, sent in one piece.
#[derive(Debug, Default)]
pub(super) struct Whole(Bytes);

impl Whole {
    pub(super) fn new(bytes: impl Into<Bytes>) -> Self {
        Self(bytes.into())
    }
}

impl Body for Whole {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let bytes = std::mem::take(&mut self.0);
        Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.len() as u64)
    }
}
