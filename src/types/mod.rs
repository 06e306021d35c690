//! The glossary: the values every other component speaks in. A value that exists is correct.
//!
//! Nothing here does I/O, reads a clock or draws randomness; nothing here knows another component.

pub mod access_level;
pub mod action;
pub mod hex;
pub mod id;
pub mod network;
pub mod path;
pub mod principal;
pub mod reason;
pub mod revision;
pub mod sealed;
pub mod secret;
pub mod signing_key;
pub mod srn;
pub mod timestamp;

pub use access_level::AccessLevel;
pub use action::ActionName;
pub use hex::hex;
pub use id::{AccessKeyId, AccountId, GroupId, IdError, PolicyId, RequestId, RoleId, TokenId, TokenKeyId, UserId};
pub use network::{Network, NetworkError, NetworkSet};
pub use path::{Path, PathError, PathProfile};
pub use principal::{AuthenticationType, KeyMethod, Principal, PrincipalKind};
pub use reason::Reason;
pub use revision::Revision;
pub use sealed::{SealError, SealingKey};
pub use secret::Secret;
pub use signing_key::SigningKey;
pub use srn::{Offering, Srn, SrnError};
pub use timestamp::Timestamp;
