//! Why a request was refused: a closed list of stable codes (contracts C13).

use std::fmt;

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $explanation:literal;)*) => {
        /// Why a request was refused. The code is stable: people match on it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Reason { $($(#[$doc])* $name,)* }

        impl Reason {
            /// Every reason, in the order of the contract.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The code in `errors[0].code`, in `Portcullis-Reason`, in records and in metrics.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// What it means and what to do about it, for people.
            #[must_use]
            pub const fn explanation(self) -> &'static str {
                match self { $(Self::$name => $explanation,)* }
            }
        }
    };
}

reasons! {
    /// 400
    MalformedRequest = "malformed_request",
        "the request is not well-formed, or lacks what the action's definition takes from it";
    /// 400
    AmbiguousRequest = "ambiguous_request",
        "the request target or Host can be read in more than one way; send the canonical form";
    /// 400
    SeveralCredentials = "several_credentials",
        "more than one credential was presented; send exactly one";
    /// 401
    NoCredential = "no_credential",
        "the request carries no credential; sign it with an access key";
    /// 401
    CredentialMalformed = "credential_malformed",
        "the credential's headers are incomplete or not in the exact form the signature scheme demands";
    /// 401
    ClockSkew = "clock_skew",
        "the timestamp is outside the accepted window; set the client's clock";
    /// 401
    SignatureMismatch = "signature_mismatch",
        "the signature does not belong to this request and key: check the secret, that the signed URL is the one sent, byte for byte, and for the key of a session that its token stands beside";
    /// 401
    Replayed = "replayed",
        "this very request was already accepted once; sign it anew";
    /// 401
    TokenInvalid = "token_invalid",
        "the token was issued by nobody whom this gateway trusts or not for it, was changed or ended, or its access key is gone; get a new one";
    /// 401
    TokenExpired = "token_expired", "the token has expired; get a new one";
    /// 401
    SessionTokenInvalid = "session_token_invalid", "the session token was not issued for this key, or its session was ended; take the role again";
    /// 401
    CredentialDisabled = "credential_disabled", "the access key is disabled; its owner can enable it with another one, or who administers them";
    /// 401
    CredentialExpired = "credential_expired", "the access key has expired; create a new one";
    /// 401
    OwnerInactive = "owner_inactive", "the user or account that owns the credential is not active";
    /// 403
    MethodNotPermitted = "method_not_permitted",
        "the owner's security setting does not permit this kind of credential";
    /// 403
    KeyAddressRefused = "key_address_refused",
        "the owner's allowed addresses do not include the address this request came from";
    /// 403
    ConsoleAddressRefused = "console_address_refused",
        "the console access list does not include the address this request came from";
    /// 403
    AccountMismatch = "account_mismatch", "the account named in the request is not the account of the key";
    /// 403
    NoActionDefinition = "no_action_definition",
        "no action is defined for this method and path, so nothing can allow it; check the path, or define the action";
    /// 403
    ImplicitDeny = "implicit_deny", "no policy of the caller allows this action on these resources under these conditions";
    /// 403
    ExplicitDeny = "explicit_deny", "a statement with Effect Deny applies; no Allow outweighs it";
    /// 403
    InvalidPolicy = "invalid_policy", "a policy that this decision consults cannot be read, so the answer is no";
    /// 403
    AttributeUnavailable = "attribute_unavailable",
        "the decision needs an attribute of the resource that could not be fetched";
    /// 413
    BodyTooLarge = "body_too_large", "the decision reads the body, and the body is larger than the service's limit";
    /// 421
    UnknownHost = "unknown_host", "no service answers to this Host";
    /// 429
    TooManyFailures = "too_many_failures", "too many failed authentications from this address; wait";
    /// 429
    TooManyRequests = "too_many_requests", "more requests than this gateway takes at the moment; wait and try again";
    /// 502
    UpstreamUnavailable = "upstream_unavailable", "the backend could not be reached or broke off before it answered";
    /// 504
    UpstreamTimeout = "upstream_timeout", "the backend did not answer in time";
    /// 503
    StaleSnapshot = "stale_snapshot", "the gateway's data is older than allowed, so it refuses to decide";
    /// 503
    RevisionNotReached = "revision_not_reached", "the gateway did not reach the revision asked for in time";
    /// 503
    ReplayMemoryFull = "replay_memory_full", "the replay memory is full; wait and try again";
}

impl Reason {
    /// The reason with this code.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|reason| reason.code() == code)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_distinct_and_reads_back() {
        for reason in Reason::ALL {
            assert_eq!(Reason::from_code(reason.code()), Some(*reason));
        }
        assert_eq!(Reason::ALL.len(), 32);
    }
}
