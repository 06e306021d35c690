//! A role's session: what its token says, and its own policy, compiled.

use std::sync::Arc;

use crate::authn::session::{Claims, POLICY_ENTRIES_MAX};
use crate::policy::{Catalogue, Owner, Policy};
use crate::source::{Report, Source};

/// What the policy of a session is called where a decision names it.
pub(super) const POLICY: &str = "session";
/// A session of a role, verified.
#[derive(Debug)]
pub struct Session {
    claims: Claims,
    policy: Option<Arc<Policy>>,
}

impl Session {
    /// Compiles the policy. One that cannot be read refuses every decision: what it denies is unknown.
    pub(super) fn new(claims: Claims, catalogue: &Catalogue) -> Self {
        let compile = |text: &String| {
            let owner = Owner::account(claims.account.to_text().as_str());
            let loaded = Policy::load(&Source::new(POLICY, text.as_str()), POLICY, owner, catalogue, &Report::unread());
            Arc::new(loaded.unwrap_or_else(|| Policy::invalid(POLICY)))
        };
        let policy = claims.policy.as_ref().map(compile);
        Self { claims, policy }
    }

    /// What its token says.
    #[must_use]
    pub const fn claims(&self) -> &Claims {
        &self.claims
    }

    /// What it was called by who took the role.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.claims.name
    }

    /// SRN of the user who took the role.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.claims.source
    }

    /// Whether they had proved who they are with a second factor.
    #[must_use]
    pub const fn mfa(&self) -> bool {
        self.claims.mfa
    }

    /// The policy that narrows it, if one does (R50).
    pub(super) const fn policy(&self) -> Option<&Arc<Policy>> {
        self.policy.as_ref()
    }

    /// Whether it has fewer rights than its role.
    #[must_use]
    pub const fn is_narrowed(&self) -> bool {
        self.policy.is_some()
    }

    /// Whether it is kept beside its token. Where definitions have changed since it was issued, its policy may have more entries than it could have then; it is
    /// compiled for each request (test `what_is_kept_of_a_session_is_bounded`).
    pub(super) fn may_be_remembered(&self) -> bool {
        self.policy.as_ref().is_none_or(|policy| policy.index_entries() <= POLICY_ENTRIES_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authn::session::POLICY_BYTES_MAX;
    use crate::types::{Offering, Timestamp};

    fn session(statements: &str, catalogue: &Catalogue) -> Session {
        let id = "0b51c3e2a4974f0d8f1c2d3e4f5a6b7c";
        let policy = format!(r#"{{"Version":"2024-07-01","Statement":[{statements}]}}"#);
        assert!(policy.len() <= POLICY_BYTES_MAX, "{}", policy.len());
        let claims = Claims {
            subject: String::new(),
            role: id.parse().unwrap(),
            account: id.parse().unwrap(),
            access_key: id.parse().unwrap(),
            source: String::new(),
            user: id.parse().unwrap(),
            name: "n".to_owned(),
            mfa: false,
            policy: Some(policy),
            id: id.parse().unwrap(),
            issued_at: Timestamp::from_milliseconds(0),
            expires_at: Timestamp::from_milliseconds(0),
            epoch: 1,
            sequence: 1,
        };
        Session::new(claims, catalogue)
    }

    #[test]
    fn what_is_kept_of_a_session_is_bounded() {
        let catalogue = Catalogue::builder(Offering::default()).build();
        let of = |values: usize| {
            let names: Vec<String> = (0..values).map(|number| format!("\"{number}\"")).collect();
            let condition = format!(r#"{{"StringEquals":{{"scp:UserName":[{}]}}}}"#, names.join(","));
            session(&format!(r#"{{"Effect":"Allow","Action":"*","Resource":"*","Condition":{condition}}}"#), &catalogue)
        };
        for (values, kept) in [(1, true), (POLICY_ENTRIES_MAX - 1, true), (POLICY_ENTRIES_MAX, false)] {
            let session = of(values);
            let policy = session.policy().unwrap();
            assert_eq!((policy.is_invalid(), policy.index_entries(), session.may_be_remembered()), (false, values + 1, kept));
        }
        assert!(session("", &catalogue).policy().unwrap().is_invalid());
    }
}
