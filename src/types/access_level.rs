//! Access levels of actions (R51; the nine levels of the vendor's API descriptions, wire-formats 3.2).

use std::fmt;
use std::str::FromStr;

/// What kind of access an action is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AccessLevel {
    /// Lists things.
    List,
    /// Reads one thing.
    Read,
    /// Makes a thing.
    Create,
    /// Changes a thing.
    Update,
    /// Removes a thing.
    Delete,
    /// Changes who may do what.
    Permission,
    /// Looks at monitoring.
    MonitorView,
    /// Configures monitoring.
    MonitorSet,
    /// Bypasses a control.
    Bypass,
}

/// Why a text is not an access level.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an access level")]
pub struct AccessLevelError(String);

impl AccessLevel {
    /// All levels with their spelling.
    pub const ALL: [(&'static str, Self); 9] = [
        ("List", Self::List),
        ("Read", Self::Read),
        ("Create", Self::Create),
        ("Update", Self::Update),
        ("Delete", Self::Delete),
        ("Permission", Self::Permission),
        ("MonitorView", Self::MonitorView),
        ("MonitorSet", Self::MonitorSet),
        ("Bypass", Self::Bypass),
    ];

    /// Its spelling.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(_, level)| *level == self).map_or("", |(name, _)| name)
    }
}

impl FromStr for AccessLevel {
    type Err = AccessLevelError;

    /// Letter case and underscores do not count (`MONITOR_VIEW` is `MonitorView`).
    fn from_str(text: &str) -> Result<Self, AccessLevelError> {
        let folded: String = text.chars().filter(|character| *character != '_').collect();
        Self::ALL
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(&folded))
            .map(|(_, level)| *level)
            .ok_or_else(|| AccessLevelError(text.chars().take(64).collect()))
    }
}

impl fmt::Display for AccessLevel {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letter_case_and_underscores_do_not_count() {
        assert_eq!("MONITOR_VIEW".parse(), Ok(AccessLevel::MonitorView));
        assert_eq!("create".parse(), Ok(AccessLevel::Create));
        assert!("Write".parse::<AccessLevel>().is_err());
    }
}
