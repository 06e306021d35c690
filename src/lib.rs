//! The library behind the `portcullis` command; its front page is `ARCHITECTURE.md`.
#![doc = include_str!("ARCHITECTURE.md")]

pub mod access;
pub mod authn;
pub mod cli;
pub mod config;
pub mod control;
pub mod gateway;
pub mod policy;
pub mod snapshot;
pub mod source;
pub mod sync;
pub mod telemetry;
pub mod types;
