//! What the control plane answers over HTTP; the only place of it that speaks in status codes.

pub(in crate::control) mod feed;
