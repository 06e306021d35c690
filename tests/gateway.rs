//! The gateway from outside: a running one, a scripted backend behind it, raw sockets before it.
//!
//! What a client sends and what the backend gets is written out byte for byte, because the differences that
//! matter (two readings of one request) do not survive a client library.

#[cfg(test)]
#[path = "gateway/backend.rs"]
mod backend;
#[cfg(test)]
#[path = "gateway/client.rs"]
mod client;
#[cfg(test)]
#[path = "gateway/harness.rs"]
mod harness;

#[cfg(test)]
#[path = "gateway/abuse.rs"]
mod abuse;
#[cfg(test)]
#[path = "gateway/addresses.rs"]
mod addresses;
#[cfg(test)]
#[path = "gateway/attached.rs"]
mod attached;
#[cfg(test)]
#[path = "gateway/attributes.rs"]
mod attributes;
#[cfg(test)]
#[path = "gateway/aws.rs"]
mod aws;
#[cfg(test)]
#[path = "gateway/buckets.rs"]
mod buckets;
#[cfg(test)]
#[path = "gateway/bulk.rs"]
mod bulk;
#[cfg(test)]
#[path = "gateway/chunks.rs"]
mod chunks;
#[cfg(test)]
#[path = "gateway/deadlines.rs"]
mod deadlines;
#[cfg(test)]
#[path = "gateway/debugged.rs"]
mod debugged;
#[cfg(test)]
#[path = "gateway/dialects.rs"]
mod dialects;
#[cfg(test)]
#[path = "gateway/engine.rs"]
mod engine;
#[cfg(test)]
#[path = "gateway/forwarding.rs"]
mod forwarding;
#[cfg(test)]
#[path = "gateway/framing.rs"]
mod framing;
#[cfg(test)]
#[path = "gateway/hostile/mod.rs"]
mod hostile;
#[cfg(test)]
#[path = "gateway/issuers.rs"]
mod issuers;
#[cfg(test)]
#[path = "gateway/limits.rs"]
mod limits;
#[cfg(test)]
#[path = "gateway/observe.rs"]
mod observe;
#[cfg(test)]
#[path = "gateway/paths.rs"]
mod paths;
#[cfg(test)]
#[path = "gateway/pool.rs"]
mod pool;
#[cfg(test)]
#[path = "gateway/process.rs"]
mod process;
#[cfg(test)]
#[path = "gateway/proxied.rs"]
mod proxied;
#[cfg(test)]
#[path = "gateway/readings.rs"]
mod readings;
#[cfg(test)]
#[path = "gateway/reasons.rs"]
mod reasons;
#[cfg(test)]
#[path = "gateway/reload.rs"]
mod reload;
#[cfg(test)]
#[path = "gateway/replay.rs"]
mod replay;
#[cfg(test)]
#[path = "gateway/resigned.rs"]
mod resigned;
#[cfg(test)]
#[path = "gateway/sessions.rs"]
mod sessions;
#[cfg(test)]
#[path = "gateway/signatures.rs"]
mod signatures;
#[cfg(test)]
#[path = "gateway/streaming.rs"]
mod streaming;
#[cfg(test)]
#[path = "gateway/temporary.rs"]
mod temporary;
#[cfg(test)]
#[path = "gateway/tenants.rs"]
mod tenants;
#[cfg(test)]
#[path = "gateway/tokens.rs"]
mod tokens;
