//! The enforcement point: the only code that owns client and upstream sockets.
//!
//! One thread per worker, each with its own runtime, its own listening socket and its own upstream connections,
//! so that a request touches one core and no shared lock. `handler` is the straight line of a request; whoever
//! reads it has seen the whole way. The gateway never decides: it asks `access`, and obeys.

mod handler;

mod attributes;
mod body;
mod client;
mod credential;
mod deadline;
mod exchange;
mod failures;
mod forward;
mod headers;
mod health;
mod identity;
mod needs;
mod preamble;
mod rate;
mod rates;
mod read;
mod refuse;
mod refuse_s3;
pub mod replay;
mod restrain;
mod revision;
mod server;
mod socket;
mod state;
mod upstream;
mod worker;

pub use credential::UpstreamCredential;
pub use server::{Gateway, Options, Publisher, StartError, system_time};
pub use state::{Feed, State, UpstreamSettings};
