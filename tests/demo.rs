//! The demo as people start it: control plane, feed and gateway of the real program, called through the gateway.

#[cfg(test)]
#[path = "demo/aws.rs"]
mod aws;
#[cfg(test)]
#[path = "demo/console.rs"]
mod console;
#[cfg(test)]
#[path = "demo/debugged.rs"]
mod debugged;
#[cfg(test)]
#[path = "demo/definitions.rs"]
mod definitions;
#[cfg(test)]
#[path = "demo/escalation.rs"]
mod escalation;
#[cfg(test)]
#[path = "demo/first.rs"]
mod first;
#[cfg(test)]
#[path = "demo/harness.rs"]
mod harness;
#[cfg(test)]
#[path = "demo/mail.rs"]
mod mail;
#[cfg(test)]
#[path = "demo/outage.rs"]
mod outage;
#[cfg(test)]
#[path = "demo/ports.rs"]
mod ports;
#[cfg(test)]
#[path = "demo/recover.rs"]
mod recover;
#[cfg(test)]
#[path = "demo/revocation.rs"]
mod revocation;
#[cfg(test)]
#[path = "demo/roles.rs"]
mod roles;
#[cfg(test)]
#[path = "demo/routes.rs"]
mod routes;
#[cfg(test)]
#[path = "demo/s3.rs"]
mod s3;
#[cfg(test)]
#[path = "demo/sdk.rs"]
mod sdk;
#[cfg(test)]
#[path = "demo/temporary.rs"]
mod temporary;
#[cfg(test)]
#[path = "demo/tokens.rs"]
mod tokens;
