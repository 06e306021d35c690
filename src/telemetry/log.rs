//! The operators' log: what the process does, on standard error. Requests are not logged here; they leave records.

use std::io::IsTerminal as _;

use tracing::level_filters::LevelFilter;

/// Starts logging what is at least as grave as `level`.
pub fn start(level: LevelFilter) {
    let _ = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_target(false)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .try_init();
}
