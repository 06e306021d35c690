//! `--log`: how grave something must be for the operators' log.

use tracing::level_filters::LevelFilter;

/// A level; each says what those before it say, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum LogLevel {
    /// What stands in the way
    Error,
    /// What should be looked at
    Warn,
    /// What happens
    Info,
}

impl From<LogLevel> for LevelFilter {
    fn from(level: LogLevel) -> Self {
        match level {
            LogLevel::Error => Self::ERROR,
            LogLevel::Warn => Self::WARN,
            LogLevel::Info => Self::INFO,
        }
    }
}
