//! What the process says about itself: metrics, decision records, and a log for operators.
//!
//! Nothing here decides anything, and no label or field is ever made from a secret.

pub mod counters;
pub mod feed;
pub mod issuer;
pub mod log;
pub mod metrics;
pub mod record;

pub use counters::{Histogram, Outcome, ServiceCounters, WorkerCounters};
pub use feed::FeedStatus;
pub use issuer::IssuerStatus;
pub use metrics::Metrics;
pub use record::{RecordLine, RecordSink, RecordWriter};
