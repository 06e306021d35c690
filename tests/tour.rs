//! What a newcomer does: the README's tour, on real programs.

#[cfg(test)]
#[path = "demo/ports.rs"]
mod ports;
#[cfg(test)]
#[path = "tour/readme.rs"]
mod readme;
