//! Which headers do not pass: hop-by-hop ones, credentials, and everything a backend might take for our word.
//!
//! SECURITY: names are compared without letter case and with every character but letters and digits read as `-`,
//! because many backends fold them (CGI, WSGI, PHP). Test: `identity_headers_are_removed_in_every_spelling`.

use std::borrow::Cow;

use http::{HeaderMap, HeaderName, HeaderValue, header};
use smallvec::SmallVec;

type Names = SmallVec<[HeaderName; 12]>;

/// Removes from a request what must not reach the backend.
pub(super) fn strip_request(headers: &mut HeaderMap, keep_credentials: bool) {
    strip(headers, |name, folded| {
        is_hop_by_hop(folded)
            || is_identity(folded)
            || (is_credential(folded) && !keep_credentials)
            || (name != folded && is_framing(folded))
    });
}

/// Takes out what says that a body comes in chunks of which only the content is passed on.
pub(super) fn strip_chunks(headers: &mut HeaderMap) {
    // A checksum that is announced and does not come is an error to Amazon S3.
    for name in ["x-amz-decoded-content-length", "x-amz-trailer", "x-amz-sdk-checksum-algorithm"] {
        headers.remove(name);
    }
    let mut left: Vec<u8> = Vec::new();
    for coding in headers.get_all(header::CONTENT_ENCODING).iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b',')) {
        let coding = coding.trim_ascii();
        if !coding.is_empty() && !coding.eq_ignore_ascii_case(b"aws-chunked") {
            left.extend_from_slice(if left.is_empty() { b"" } else { b"," });
            left.extend_from_slice(coding);
        }
    }
    headers.remove(header::CONTENT_ENCODING);
    if let (false, Ok(value)) = (left.is_empty(), HeaderValue::from_bytes(&left)) {
        headers.insert(header::CONTENT_ENCODING, value);
    }
}

/// Takes out a header in every spelling.
pub(super) fn strip_spellings(headers: &mut HeaderMap, name: &str) {
    let found: Names = headers.keys().filter(|sent| folded(sent.as_str()) == name).cloned().collect();
    for name in found {
        headers.remove(name);
    }
}

/// Takes out what a backend could take for a header of AWS signatures that is not spelt like one: it would not be signed.
pub(super) fn strip_amz_spellings(headers: &mut HeaderMap) {
    let is_odd = |sent: &&HeaderName| folded(sent.as_str()).starts_with("x-amz-") && !sent.as_str().starts_with("x-amz-");
    let found: Names = headers.keys().filter(is_odd).cloned().collect();
    for name in found {
        headers.remove(name);
    }
}

/// How the control plane, a backend like any other, tells which revision a write became: for the client to wait for.
const COMMITTED_REVISION: &str = "portcullis-committed-revision";

/// Removes from an answer what must not reach the client.
pub(super) fn strip_response(headers: &mut HeaderMap) {
    if headers.contains_key(header::TRANSFER_ENCODING) {
        // RFC 9112 section 6.3: the coding counts; a length beside it would cut the answer.
        headers.remove(header::CONTENT_LENGTH);
    }
    strip(headers, |_, folded| is_hop_by_hop(folded) || (folded.starts_with("portcullis-") && folded != COMMITTED_REVISION));
}

fn strip(headers: &mut HeaderMap, is_removed: impl Fn(&str, &str) -> bool) {
    let mut removed = Names::new();
    for name in headers.keys() {
        if is_removed(name.as_str(), &folded(name.as_str())) {
            // A copy of a name that is not well known allocates; the ones that every request has are at hand.
            let usual = USUAL.iter().find(|usual| *usual == name);
            removed.push(usual.unwrap_or(name).clone());
        }
    }
    for value in headers.get_all(header::CONNECTION) {
        // Requests with a value that is not text are refused before; an answer's then names no header.
        for token in value.to_str().unwrap_or_default().split(',').map(str::trim) {
            if matches!(token, "close" | "keep-alive") {
                continue;
            }
            // SECURITY: how a body was read for the decision is how it has to be read behind us.
            // Test: `connection_cannot_take_away_how_a_body_is_to_be_read`.
            if let Ok(name) = HeaderName::from_bytes(token.as_bytes())
                && !is_framing(name.as_str())
            {
                removed.push(name);
            }
        }
    }
    for name in removed {
        headers.remove(name);
    }
}

/// The credentials of ordinary requests.
static USUAL: [HeaderName; 5] = [
    HeaderName::from_static("scp-accesskey"),
    HeaderName::from_static("scp-signature"),
    HeaderName::from_static("scp-timestamp"),
    HeaderName::from_static("scp-clienttype"),
    HeaderName::from_static("scp-accountid"),
];

/// The name as a folding backend would read it.
fn folded(name: &str) -> Cow<'_, str> {
    let odd = |byte: u8| !byte.is_ascii_alphanumeric() && byte != b'-';
    if name.bytes().fold(false, |found, byte| found | odd(byte)) {
        Cow::Owned(name.replace(|character: char| !character.is_ascii_alphanumeric(), "-"))
    } else {
        Cow::Borrowed(name)
    }
}

/// RFC 9110 section 7.6.1, and what proxies before us understood so. `Expect` was answered by us.
fn is_hop_by_hop(name: &str) -> bool {
    matches!(
        name,
        "connection"
            | "keep-alive"
            | "proxy-connection"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
            | "expect"
            | "http2-settings"
    )
}

/// What says how a body is to be read. In a spelling that only some backends fold it would be a second opinion.
fn is_framing(name: &str) -> bool {
    matches!(name, "content-length" | "content-type" | "content-encoding" | "host")
}

fn is_credential(name: &str) -> bool {
    match name.as_bytes().first() {
        Some(b'a') => name == "authorization",
        Some(b's') => matches!(
            name,
            "scp-accesskey"
                | "scp-signature"
                | "scp-timestamp"
                | "scp-clienttype"
                | "scp-accountid"
                | "svaccesskey"
                | "svsignature"
                | "svtimestamp"
                | "svclienttype"
        ),
        Some(b'x') => {
            matches!(
                name,
                "x-auth-token"
                    | "x-amz-date"
                    | "x-amz-content-sha256"
                    | "x-amz-security-token"
                    | "x-cmp-accesskey"
                    | "x-cmp-signature"
                    | "x-cmp-timestamp"
                    | "x-cmp-clienttype"
                    | "x-cmp-projectid"
            )
        }
        Some(_) | None => false,
    }
}

/// What proxies, gateways and authenticating middlewares put into requests, and backends behind them believe: who calls, from where,
/// over which certificate, and which method and path are meant.
fn is_identity(name: &str) -> bool {
    match name.as_bytes().first() {
        Some(b'x') => is_extended_identity(name),
        Some(b'p') => name.starts_with("portcullis-") || matches!(name, "proxy" | "proxy-client-ip" | "path-info"),
        Some(b'f') => matches!(name, "forwarded" | "fastly-client-ip" | "front-end-https"),
        Some(b'r') => name.starts_with("remote-"),
        Some(b's') => name.starts_with("ssl-client-") || name == "script-name",
        Some(b't') => name == "true-client-ip" || name.starts_with("tailscale-user-"),
        Some(b'c') => {
            name.starts_with("cf-connecting-")
                || name.starts_with("cf-access-")
                || matches!(name, "client-ip" | "client-cert" | "client-cert-chain")
        }
        Some(b'g') => name == "gap-auth",
        Some(b'o') => name == "openstack-system-scope",
        Some(b'w') => name == "wl-proxy-client-ip",
        Some(_) | None => false,
    }
}

/// Those that begin with `x`.
fn is_extended_identity(name: &str) -> bool {
    const PREFIXES: [&str; 25] = [
        "x-portcullis-",
        "x-forwarded-",
        "x-original-",
        "x-rewrite-",
        "x-envoy-",
        "x-remote-",
        "x-project-",
        "x-tenant-",
        "x-domain-",
        "x-user-domain-",
        "x-service-",
        "x-ssl-",
        "x-tls-client-",
        "x-webauth-",
        "x-consumer-",
        "x-credential-",
        "x-authenticated-",
        "x-authentik-",
        "x-pomerium-",
        "x-hasura-",
        "x-appengine-",
        "x-ms-client-principal",
        "x-amzn-oidc-",
        "x-goog-authenticated-",
        "x-goog-iap-",
    ];
    PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        || (name.starts_with("x-auth-") && name != "x-auth-token")
        || (name.starts_with("x-cmp-") && name != "x-cmp-language" && !is_credential(name))
        || is_identity_of_a_caller(name)
        || is_identity_of_a_place(name)
}

fn is_identity_of_a_caller(name: &str) -> bool {
    matches!(
        name,
        "x-user"
            | "x-user-id"
            | "x-user-name"
            | "x-user-email"
            | "x-user-roles"
            | "x-user-groups"
            | "x-userinfo"
            | "x-username"
            | "x-email"
            | "x-role"
            | "x-roles"
            | "x-groups"
            | "x-tenant"
            | "x-identity-status"
            | "x-is-admin-project"
            | "x-account-id"
            | "x-auth"
            | "x-scope-orgid"
            | "x-access-token"
            | "x-id-token"
            | "x-anonymous-consumer"
            | "x-endpoint-api-userinfo"
            | "x-apigateway-api-userinfo"
            | "x-client-cert"
            | "x-client-verify"
            | "x-client-dn"
    )
}

fn is_identity_of_a_place(name: &str) -> bool {
    matches!(
        name,
        "x-real-ip"
            | "x-client-ip"
            | "x-cluster-client-ip"
            | "x-originating-ip"
            | "x-proxyuser-ip"
            | "x-azure-clientip"
            | "x-azure-socketip"
            | "x-forwarded"
            | "x-host"
            | "x-scheme"
            | "x-url-scheme"
            | "x-http-method"
            | "x-http-method-override"
            | "x-method-override"
            | "x-http-path-override"
            | "x-http-host-override"
            | "x-override-url"
            | "x-script-name"
            | "x-path-info"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stripped(lines: &[(&'static str, &'static str)], keep: bool) -> Vec<String> {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
        }
        strip_request(&mut headers, keep);
        let mut left: Vec<String> = headers.keys().map(ToString::to_string).collect();
        left.sort();
        left
    }

    #[test]
    fn identity_headers_are_removed_in_every_spelling() {
        for name in [
            "Portcullis-Principal",
            "portcullis_account",
            "Portcullis.Assertion",
            "X-Auth-User",
            "X_Auth_User",
            "X~Auth~User",
            "X.Auth.User",
            "x-auth_user",
            "X-Roles",
            "X-Project-Id",
            "X_Project_Id",
            "X-Identity-Status",
            "Remote-User",
            "REMOTE_USER",
            "X-Forwarded-User",
            "X-Forwarded-For",
            "x_forwarded_for",
            "Forwarded",
            "X-Real-IP",
            "X-Forwarded-Uri",
            "X-Original-URL",
            "X-Rewrite-URL",
            "X-Forwarded-Method",
            "X-HTTP-Method-Override",
            "X-Forwarded-Prefix",
            "X-Envoy-Original-Path",
            "X-Cmp-UserId",
            "Ssl-Client-Cert",
            "X-Service-User-Name",
            "OpenStack-System-Scope",
            "SCRIPT_NAME",
            "Path-Info",
            "Cf-Access-Jwt-Assertion",
            "Client-Cert",
        ] {
            assert_eq!(stripped(&[(name, "root"), ("accept", "*/*")], false), ["accept"], "{name}");
            assert_eq!(stripped(&[(name, "root"), ("accept", "*/*")], true), ["accept"], "{name}");
        }
    }

    #[test]
    fn credentials_are_removed_unless_a_service_only_observes() {
        for name in [
            "Authorization",
            "X-Auth-Token",
            "Scp-Signature",
            "Scp_Signature",
            "Scp-Accesskey",
            "Scp-Timestamp",
            "Scp-AccountId",
            "X-Cmp-AccessKey",
            "X-Cmp-Signature",
            "X-Cmp-Timestamp",
            "X-Cmp-ClientType",
            "X-Cmp-ProjectId",
            "X_Cmp_ProjectId",
            "Svaccesskey",
            "SvSignature",
            "Svtimestamp",
            "Svclienttype",
            "X-Amz-Date",
            "X-Amz-Content-Sha256",
            "X-Amz-Security-Token",
            "Proxy-Authorization",
        ] {
            assert_eq!(stripped(&[(name, "s"), ("accept", "*/*")], false), ["accept"], "{name}");
        }
        assert_eq!(stripped(&[("authorization", "s")], true), ["authorization"]);
        let signed = [("x-cmp-projectid", "PROJECT-a"), ("x-cmp-signature", "s"), ("x-cmp-userid", "root"), ("svsignature", "s")];
        assert_eq!(stripped(&signed, true), ["svsignature", "x-cmp-projectid", "x-cmp-signature"], "what was signed stays whole");
    }

    #[test]
    fn what_says_that_a_body_is_in_chunks_is_removed_with_them() {
        for (sent, expected) in [
            (&["aws-chunked"][..], None),
            (&["aws-chunked,gzip"], Some("gzip")),
            (&["gzip, AWS-Chunked ,br"], Some("gzip,br")),
            (&["gzip", "aws-chunked"], Some("gzip")),
            (&[], None),
        ] {
            let mut headers = HeaderMap::new();
            for (name, value) in [("x-amz-decoded-content-length", "5"), ("x-amz-trailer", "x"), ("x-amz-meta-a", "b")] {
                headers.insert(name, HeaderValue::from_static(value));
            }
            for value in sent {
                headers.append(header::CONTENT_ENCODING, HeaderValue::from_static(value));
            }
            strip_chunks(&mut headers);
            let left = headers.get(header::CONTENT_ENCODING).map(|value| value.to_str().unwrap());
            assert_eq!((left, headers.len()), (expected, 1 + usize::from(expected.is_some())), "{sent:?}");
        }
    }

    #[test]
    fn hop_by_hop_headers_and_those_named_by_connection_are_removed() {
        let lines = [
            ("connection", "close, X-Custom, Host, content-length"),
            ("x-custom", "1"),
            ("te", "trailers"),
            ("upgrade", "websocket"),
            ("host", "h"),
            ("content-length", "3"),
            ("scp-api-version", "iam 1.4"),
            ("x-request-id", "mine"),
        ];
        assert_eq!(stripped(&lines, false), ["content-length", "host", "scp-api-version", "x-request-id"]);
    }
}
