//! Identity providers of others whose tokens count, and the keys that they have published.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwapOption;

use crate::authn::oidc::{Keys, KeysError};
use crate::types::AccountId;

/// What configuration says about a provider.
#[derive(Debug, Clone)]
pub struct IssuerSettings {
    /// The `iss` of its tokens.
    pub issuer: String,
    /// The `aud` of tokens for us.
    pub audiences: Vec<String>,
    /// The accounts whose users its tokens may name.
    pub accounts: Vec<AccountId>,
    /// The claim that holds the id of the user.
    pub user_claim: String,
}

/// A provider.
pub struct Issuer {
    /// What configuration says about it.
    pub settings: IssuerSettings,
    keys: ArcSwapOption<Published>,
    wanted: Arc<AtomicBool>,
}

/// A set of keys as it was published.
pub struct Published {
    /// The keys.
    pub keys: Keys,
    text: Box<[u8]>,
}

impl Issuer {
    /// A provider whose keys are not known yet: its tokens are refused.
    #[must_use]
    pub fn new(settings: IssuerSettings) -> Self {
        Self { settings, keys: ArcSwapOption::empty(), wanted: Arc::default() }
    }

    /// Takes what it has published now. What it had published before and has no more, is refused from now on.
    ///
    /// # Errors
    /// When that is no set of keys; then the one before stays in use.
    pub fn publish(&self, text: &[u8]) -> Result<(), KeysError> {
        // What is remembered of tokens holds as long as the set is the same one.
        if self.keys.load().as_ref().is_some_and(|known| *known.text == *text) {
            return Ok(());
        }
        let keys = Keys::parse(text)?;
        self.keys.store(Some(Arc::new(Published { keys, text: text.into() })));
        Ok(())
    }

    /// What it has published, if anything came yet.
    #[must_use]
    pub fn published(&self) -> Option<Arc<Published>> {
        self.keys.load_full()
    }

    /// Set when a token names a key that is not known: it may be a new one.
    #[must_use]
    pub fn wanted(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.wanted)
    }

    /// Asks for a new set.
    pub fn want(&self) {
        if !self.wanted.load(Ordering::Relaxed) {
            self.wanted.store(true, Ordering::Relaxed);
        }
    }
}

impl fmt::Debug for Issuer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Issuer({})", self.settings.issuer)
    }
}
