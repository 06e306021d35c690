//! Names of actions: `service:Name`, cut at the first colon (contracts C6).

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Longest name of an action, in bytes.
pub const ACTION_BYTES_MAX: usize = 256;

/// The name of an action, such as `iam:ShowGroup`. Case-sensitive (seed 003, L1577).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ActionName(Arc<str>);

/// Why a text is not an action's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an action name: `service:Name`, letters, digits and `: . _ -`")]
pub struct ActionNameError(String);

impl ActionName {
    /// The whole text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The service, before the first colon.
    #[must_use]
    pub fn service(&self) -> &str {
        self.0.split_once(':').map_or("", |(service, _)| service)
    }

    /// The name, after the first colon.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.split_once(':').map_or("", |(_, name)| name)
    }
}

impl FromStr for ActionName {
    type Err = ActionNameError;

    fn from_str(text: &str) -> Result<Self, ActionNameError> {
        let error = || ActionNameError(text.chars().take(64).collect());
        let (service, name) = text.split_once(':').ok_or_else(error)?;
        let word = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        let good = text.len() <= ACTION_BYTES_MAX
            && !service.is_empty()
            && service.bytes().all(word)
            && !name.is_empty()
            && name.bytes().all(|byte| word(byte) || byte == b':');
        if good { Ok(Self(text.into())) } else { Err(error()) }
    }
}

impl fmt::Display for ActionName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_cut_at_the_first_colon() {
        let name: ActionName = "vpc:Subnet:Show".parse().unwrap();
        assert_eq!((name.service(), name.name()), ("vpc", "Subnet:Show"));
        for bad in ["", "iam", "iam:", ":Show", "iam:Show User", "iam:*", " vpc:Show"] {
            assert!(bad.parse::<ActionName>().is_err(), "{bad:?}");
        }
    }
}
