//! The administration point from outside: a store in a folder of its own, its API on a port of its own, and a client that
//! signs what a gateway would vouch for.

#[cfg(test)]
#[path = "control/harness.rs"]
mod harness;

#[cfg(test)]
#[path = "control/access_keys.rs"]
mod access_keys;
#[cfg(test)]
#[path = "control/accounts.rs"]
mod accounts;
#[cfg(test)]
#[path = "control/audit.rs"]
mod audit;
#[cfg(test)]
#[path = "control/bindings.rs"]
mod bindings;
#[cfg(test)]
#[path = "control/console.rs"]
mod console;
#[cfg(test)]
#[path = "control/definitions.rs"]
mod definitions;
#[cfg(test)]
#[path = "control/groups.rs"]
mod groups;
#[cfg(test)]
#[path = "control/identity.rs"]
mod identity;
#[cfg(test)]
#[path = "control/members.rs"]
mod members;
#[cfg(test)]
#[path = "control/policies.rs"]
mod policies;
#[cfg(test)]
#[path = "control/roles.rs"]
mod roles;
#[cfg(test)]
#[path = "control/sessions.rs"]
mod sessions;
#[cfg(test)]
#[path = "control/settings.rs"]
mod settings;
#[cfg(test)]
#[path = "control/store.rs"]
mod store;
#[cfg(test)]
#[path = "control/temporary.rs"]
mod temporary;
#[cfg(test)]
#[path = "control/tokens.rs"]
mod tokens;
#[cfg(test)]
#[path = "control/users.rs"]
mod users;
