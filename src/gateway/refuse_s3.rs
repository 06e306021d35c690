//! The error body of Amazon S3: clients decide by its code whether to try again, correct their clock, or give up.

use http::HeaderValue;

use crate::access::Denial;
use crate::types::Reason;

pub(super) const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/xml");
pub(super) const CHALLENGE: HeaderValue = HeaderValue::from_static("AWS4-HMAC-SHA256");

/// The code of a reason, among those that Amazon documents.
///
/// SECURITY: an unknown key is a wrong signature; `InvalidAccessKeyId` is told only to who holds the secret.
/// Test: `a_stranger_learns_nothing_from_s3_errors`.
const fn code(reason: Reason) -> &'static str {
    match reason {
        Reason::MalformedRequest | Reason::SeveralCredentials | Reason::UnknownHost => "InvalidRequest",
        Reason::AmbiguousRequest => "InvalidURI",
        Reason::CredentialMalformed => "AuthorizationHeaderMalformed",
        Reason::ClockSkew => "RequestTimeTooSkewed",
        Reason::SignatureMismatch => "SignatureDoesNotMatch",
        Reason::TokenInvalid | Reason::SessionTokenInvalid => "InvalidToken",
        Reason::TokenExpired | Reason::CredentialExpired => "ExpiredToken",
        Reason::CredentialDisabled | Reason::OwnerInactive => "InvalidAccessKeyId",
        Reason::NoCredential
        | Reason::Replayed
        | Reason::MethodNotPermitted
        | Reason::KeyAddressRefused
        | Reason::ConsoleAddressRefused
        | Reason::AccountMismatch
        | Reason::NoActionDefinition
        | Reason::ImplicitDeny
        | Reason::ExplicitDeny
        | Reason::InvalidPolicy
        | Reason::AttributeUnavailable => "AccessDenied",
        Reason::BodyTooLarge => "EntityTooLarge",
        Reason::TooManyFailures | Reason::TooManyRequests => "SlowDown",
        Reason::UpstreamUnavailable | Reason::UpstreamTimeout => "InternalError",
        Reason::StaleSnapshot | Reason::RevisionNotReached | Reason::ReplayMemoryFull => "ServiceUnavailable",
    }
}

/// `<Error>` with code, message and request id.
pub(super) fn body(denial: &Denial, request_id: &str) -> Vec<u8> {
    let mut text = String::with_capacity(384);
    text.push_str("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>");
    text.push_str(code(denial.reason));
    text.push_str("</Code><Message>");
    escape_into(&mut text, denial.reason.explanation());
    if let Some(detail) = &denial.detail {
        text.push_str(" (");
        escape_into(&mut text, detail);
        text.push(')');
    }
    text.push_str("</Message><Resource/><RequestId>");
    escape_into(&mut text, request_id);
    text.push_str("</RequestId></Error>");
    text.into_bytes()
}

/// Text between tags: what begins a tag or an entity is written as one, and what XML cannot hold as a question mark.
fn escape_into(text: &mut String, raw: &str) {
    for character in raw.chars() {
        match character {
            '<' => text.push_str("&lt;"),
            '>' => text.push_str("&gt;"),
            '&' => text.push_str("&amp;"),
            '"' => text.push_str("&quot;"),
            '\'' => text.push_str("&apos;"),
            '\u{FFFE}' | '\u{FFFF}' => text.push('?'),
            other if other.is_control() => text.push('?'),
            other => text.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_element_whatever_is_in_it() {
        let denial = Denial::with(Reason::SignatureMismatch, "a <b> & \"c\" \u{1b}[31m");
        let text = String::from_utf8(body(&denial, "req-1")).unwrap();
        assert!(
            text.starts_with("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>SignatureDoesNotMatch</Code><Message>"),
            "{text}"
        );
        assert!(
            text.ends_with("(a &lt;b&gt; &amp; &quot;c&quot; ?[31m)</Message><Resource/><RequestId>req-1</RequestId></Error>"),
            "{text}"
        );
    }

    #[test]
    fn every_reason_has_a_code() {
        let codes: std::collections::BTreeSet<&str> = Reason::ALL.iter().map(|reason| code(*reason)).collect();
        assert_eq!(codes.len(), 13, "{codes:?}");
    }
}
