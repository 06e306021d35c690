//! Configuration: one YAML file per process, read strictly, every error reported at once with file, line and key.
//!
//! It says where to listen, which hosts are which services, and where their upstreams are. It never says who may
//! do what: that is records and policies.

pub mod abuse;
pub mod control;
pub mod credential;
pub mod files;
pub mod gateway;
pub mod identity;
pub mod issuer;
pub mod listener;
pub mod operation;
pub mod secrets;
pub mod service;
pub mod sigv4;
pub mod smtp;

pub use abuse::{Authentication, FailureLimits, ReplayLimits, RequestRate, RequestRates};
pub use control::{ControlConfig, Endpoint, NamedSecret, Passcodes};
pub use credential::{CredentialKind, UpstreamCredential};
pub use files::Files;
pub use gateway::{GatewayConfig, Remains};
pub use identity::{FeedIdentity, FileIdentity, Identity};
pub use issuer::TokenIssuer;
pub use listener::Listener;
pub use operation::{Limits, OnFull, RecordPath, RecordSettings, Timeouts};
pub use secrets::Secrets;
pub use service::{ANY_HOST, PublicRoute, Replay, Service, Upstream};
pub use sigv4::Sigv4;
pub use smtp::{Smtp, SmtpTls};
