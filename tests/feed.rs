//! The feed from end to end: a store in memory, the control plane's listener, a proxy that breaks things, a gateway's follower.

#[cfg(test)]
#[path = "feed/follower.rs"]
mod follower;
#[cfg(test)]
#[path = "feed/proxy.rs"]
mod proxy;
#[cfg(test)]
#[path = "feed/store.rs"]
mod store;

#[cfg(test)]
#[path = "feed/epochs.rs"]
mod epochs;
#[cfg(test)]
#[path = "feed/faults.rs"]
mod faults;
#[cfg(test)]
#[path = "feed/listener.rs"]
mod listener;
#[cfg(test)]
#[path = "feed/streams.rs"]
mod streams;
