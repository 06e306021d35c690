//! How the feed's listener answers, as status codes.

use http::StatusCode;

/// How a request to the feed's listener comes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::control) enum Outcome {
    /// Alive, or a stream begins.
    Served,
    /// Not signed with the feed key, or not now; which of it, nobody is told.
    Unsigned,
    /// Nothing but the feed and `/livez` is here.
    Elsewhere,
    /// Only GET.
    Method,
    /// As many streams as there may be, or the store does not answer.
    Unavailable,
}

impl Outcome {
    /// The status for it.
    pub(in crate::control) fn status(self) -> StatusCode {
        match self {
            Self::Served => StatusCode::OK,
            Self::Unsigned => StatusCode::UNAUTHORIZED,
            Self::Elsewhere => StatusCode::NOT_FOUND,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}
