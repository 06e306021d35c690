//! What people read: `portcullis check` on good and on broken configurations, the help of every command, and what the other
//! commands print. `check/base` is the good configuration; each case spoils a copy of it as people do.

#[cfg(test)]
#[path = "check/base.rs"]
mod base;
#[cfg(test)]
#[path = "check/commands.rs"]
mod commands;
#[cfg(test)]
#[path = "check/definitions.rs"]
mod definitions;
#[cfg(test)]
#[path = "check/gateway.rs"]
mod gateway;
#[cfg(test)]
#[path = "check/help.rs"]
mod help;
#[cfg(test)]
#[path = "check/many.rs"]
mod many;
#[cfg(test)]
#[path = "check/policies.rs"]
mod policies;
#[cfg(test)]
#[path = "check/records.rs"]
mod records;
#[cfg(test)]
#[path = "check/secrets.rs"]
mod secrets;
#[cfg(test)]
#[path = "check/summary.rs"]
mod summary;
#[cfg(test)]
#[path = "check/traps.rs"]
mod traps;
