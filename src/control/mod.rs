//! The administration point.

pub mod escalation;
