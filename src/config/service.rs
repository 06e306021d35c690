//! `services`: which hosts are which service, what it accepts, and where its backend is.

use std::collections::HashMap;
use std::time::Duration;

use http::Method;
use http::uri::Authority;

use super::credential::UpstreamCredential;
use super::sigv4::Sigv4;
use crate::source::{Cursor, SecretRef, Source, Span};
use crate::types::PathProfile;

/// A host that stands for all that no other service answers to; only behind loopback listeners.
pub const ANY_HOST: &str = "*";
/// Most services.
pub const SERVICES_MAX: usize = 1_000;

/// A service.
#[derive(Debug, Clone)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// Hosts it answers to, lower-case.
    pub hosts: Vec<String>,
    /// The services whose action definitions apply, each with where it is named; its own name by default.
    pub definitions: Vec<(String, Span)>,
    /// True: decide, record and count, but forward all the same.
    pub observe: bool,
    /// How paths are read.
    pub path_profile: PathProfile,
    /// Whether refusals have the error body of Amazon S3.
    pub s3_errors: bool,
    /// Routes that need no credential.
    pub public_routes: Vec<PublicRoute>,
    /// Most bytes of a body that a decision reads.
    pub body_bytes_max: usize,
    /// Which requests it takes once only.
    pub replay: Replay,
    /// AWS signatures, if it takes them.
    pub sigv4: Option<Sigv4>,
    /// Its backend.
    pub upstream: Upstream,
    /// The file it stands in.
    pub source: Source,
    /// Where in the file.
    pub span: Span,
}

/// Which requests a service takes once only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replay {
    /// None.
    Off,
    /// POST and PATCH.
    Changing,
    /// All.
    All,
}

/// A route that needs no credential, if its definition says so too.
#[derive(Debug, Clone)]
pub struct PublicRoute {
    /// The method.
    pub method: Method,
    /// The path template, as in the definition.
    pub template: String,
    /// Where it is listed.
    pub span: Span,
}

/// The hosts that services have claimed so far. Names of variable labels do not count: `{a}.example.com` is `{b}.example.com`.
#[derive(Debug, Default)]
pub(super) struct Claims(HashMap<String, String>);

impl Claims {
    fn claim(&mut self, service: &str, host: &str, cursor: &Cursor<'_>) -> Option<()> {
        let label = |label: &str| {
            if label.starts_with('{') { label.rsplit_once('}').map_or("", |(_, rest)| rest).to_owned() + "{}" } else { label.to_owned() }
        };
        let shape = host.split('.').map(label).collect::<Vec<_>>().join(".");
        match self.0.insert(shape, service.to_owned()) {
            None => return Some(()),
            Some(other) if other == service => {
                cursor.error_hint(format!("the host `{host}` stands twice in this service"), "keep one of the two");
            }
            Some(other) => {
                let message = format!("the host `{host}` leads to the service `{other}` already");
                cursor.error_hint(message, "a host leads to one service; remove it here or there");
            }
        }
        None
    }
}

/// A backend.
#[derive(Debug, Clone)]
pub struct Upstream {
    /// Host and port to connect to.
    pub authority: String,
    /// Whether the client's Host is kept instead of the upstream's.
    pub preserve_host: bool,
    /// Whether the client's credentials pass, for a backend that still authenticates by itself. Only in observe mode.
    pub keep_credentials: bool,
    /// The key of the identity HMAC (contracts C9).
    pub identity_key: SecretRef,
    /// Where the key stands.
    pub identity_key_span: Span,
    /// What it wants to see from the gateway, if anything.
    pub credential: Option<UpstreamCredential>,
    /// Longest time to connect.
    pub connect_timeout: Duration,
    /// Longest time until the head of the answer.
    pub response_timeout: Duration,
    /// How long a tag or attribute that it told is used.
    pub attribute_ttl: Duration,
    /// Longest time until it has told one.
    pub attribute_timeout: Duration,
}

impl Service {
    pub(super) fn decode(name: &str, span: Span, cursor: &Cursor<'_>, claims: &mut Claims) -> Option<Self> {
        let good = name.len() <= 64 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        if !good || name.is_empty() {
            cursor.error_at(span, format!("`{name}` is not a service name"), "use letters, digits, `-` and `_`, at most 64");
        }
        let table = cursor.table()?;
        let hosts = table.required("hosts", "write `hosts: [api.example.com]`", |value| {
            let hosts = value.list(|host| {
                let pattern = host_pattern(&host)?;
                claims.claim(name, &pattern, &host).map(|()| pattern)
            })?;
            if hosts.is_empty() {
                value.error_hint("the service answers to no host", "write `hosts: [api.example.com]`");
                return None;
            }
            Some(hosts)
        });
        let definitions = table.or("definitions", vec![(name.to_owned(), span)], |value| {
            value.list(|name| name.string().map(|text| (text, name.node().span)))
        });
        let observe = table.or("mode", false, |value| value.one_of(&[("enforce", false), ("observe", true)]));
        let schemes = table.optional("schemes", |value| value.list(|scheme| scheme.one_of(&[("scp", ())])));
        let s3_errors = table.or("error_protocol", false, |value| value.one_of(&[("scp", false), ("s3", true)]));
        let path_profiles = [("segments", PathProfile::Segments), ("s3", PathProfile::S3), ("s3_files", PathProfile::S3Files)];
        let path_profile = table.or("path_profile", PathProfile::Segments, |value| value.one_of(&path_profiles));
        let public_routes = table.or("public_routes", Vec::new(), |value| value.list(|route| public_route(&route)));
        let body_bytes_max = table.or("body_bytes_max", 64 * 1024, |value| value.integer(0..=64 * 1024 * 1024, "bytes"));
        let replay = table.or("replay", Replay::Changing, |value| {
            value.one_of(&[("changing", Replay::Changing), ("all", Replay::All), ("off", Replay::Off)])
        });
        let sigv4 = table.optional("sigv4", |value| Sigv4::decode(&value));
        let hint = "write `upstream: {url: http://127.0.0.1:9000, identity_key: {file: upstream.key}}`";
        let upstream = table.required("upstream", hint, |value| Upstream::decode(&value, observe));
        table.finish()?;
        good.then_some(())?;
        schemes?;
        Some(Self {
            name: name.to_owned(),
            hosts: hosts?,
            definitions: definitions?,
            observe: observe?,
            path_profile: path_profile?,
            s3_errors: s3_errors?,
            public_routes: public_routes?,
            body_bytes_max: usize::try_from(body_bytes_max?).ok()?,
            replay: replay?,
            sigv4: sigv4?,
            upstream: upstream?,
            source: cursor.source().clone(),
            span,
        })
    }
}

fn host_pattern(cursor: &Cursor<'_>) -> Option<String> {
    let host = cursor.string()?.to_ascii_lowercase();
    let hint = "write `api.example.com`, `api.example.com:8443`, or `{region}.api.example.com`";
    if host == ANY_HOST {
        return Some(host);
    }
    if host.contains('/') {
        cursor.error_hint(format!("`{host}` is a URL, not a host"), hint);
        return None;
    }
    if host.contains('*') {
        cursor.error_hint(format!("`{host}` has a wildcard"), "name the part that varies: `{region}.api.example.com`");
        return None;
    }
    // An IPv6 address stands in brackets, as in a URL; a port is what comes after the last colon outside of them.
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, Some(port)),
        Some(_) | None => (host.as_str(), None),
    };
    if port.is_some_and(|port| port.parse::<u16>().is_err() || port.starts_with('+')) {
        cursor.error_hint(format!("`{host}` has no usable port after its `:`"), hint);
        return None;
    }
    let address = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
    let good = match address {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => name.split('.').all(is_label),
    };
    if !good {
        cursor.error_hint(format!("`{host}` is not a host"), hint);
        return None;
    }
    Some(host)
}

/// Letters, digits, `-` and `_`; or a name in braces for whatever stands there.
fn is_label(label: &str) -> bool {
    let name = label.strip_prefix('{').and_then(|inside| inside.strip_suffix('}')).unwrap_or(label);
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

fn public_route(cursor: &Cursor<'_>) -> Option<PublicRoute> {
    let text = cursor.text()?;
    let hint = "write a method and a path template as in the definition: `GET /v1/versions`";
    let route = text.split_once(' ').and_then(|(method, path)| {
        let method = method.bytes().all(|byte| byte.is_ascii_uppercase()).then(|| method.parse::<Method>().ok())??;
        path.starts_with('/').then(|| PublicRoute { method, template: path.to_owned(), span: cursor.node().span })
    });
    if route.is_none() {
        cursor.error_hint(format!("`{text}` is not a method in capitals, one space, and a path"), hint);
    }
    route
}

impl Upstream {
    /// `observe`: whether the service only observes, if that is known.
    fn decode(cursor: &Cursor<'_>, observe: Option<bool>) -> Option<Self> {
        let table = cursor.table()?;
        let authority = table.required("url", "write `url: http://127.0.0.1:9000`", |value| authority(&value));
        let preserve_host = table.or("preserve_host", false, |value| value.boolean());
        let keep_credentials = table.or("keep_credentials", false, |value| {
            let keep = value.boolean()?;
            if keep && observe == Some(false) {
                let hint =
                    "write `mode: observe` for the service, or remove this: in enforce mode the backend trusts the gateway's identity headers";
                value.error_hint("clients' credentials may pass to the backend only while the service observes", hint);
                return None;
            }
            Some(keep)
        });
        let hint = "write `identity_key: {file: upstream.key}`; make the file with `openssl rand -hex 32`";
        let identity_key =
            table.required("identity_key", hint, |value| SecretRef::decode(&value).map(|secret| (secret, value.node().span)));
        let credential = table.optional("credential", |value| {
            let credential = UpstreamCredential::decode(&value)?;
            if observe == Some(true) {
                let hint = "observe with `keep_credentials: true`, so that the backend goes on asking for itself; or enforce";
                value.error_hint("nothing is refused while the service observes: everybody would have the rights of this credential", hint);
                return None;
            }
            if keep_credentials == Some(true) {
                let hint = "remove `keep_credentials`: this backend knows the gateway, not its clients";
                value.error_hint("a backend gets either the clients' credentials or one of the gateway's", hint);
                return None;
            }
            Some(credential)
        });
        let connect = table.or("connect_timeout_ms", 2_000, |value| value.integer(1..=60_000, "milliseconds"));
        let response = table.or("response_timeout_ms", 60_000, |value| value.integer(1..=3_600_000, "milliseconds"));
        let ttl = table.or("attribute_ttl_ms", 5_000, |value| value.integer(0..=300_000, "milliseconds"));
        let attribute = table.or("attribute_timeout_ms", 2_000, |value| value.integer(1..=60_000, "milliseconds"));
        table.finish()?;
        let (identity_key, identity_key_span) = identity_key?;
        Some(Self {
            authority: authority?,
            preserve_host: preserve_host?,
            keep_credentials: keep_credentials?,
            identity_key,
            identity_key_span,
            credential: credential?,
            connect_timeout: Duration::from_millis(connect?),
            response_timeout: Duration::from_millis(response?),
            attribute_ttl: Duration::from_millis(ttl?),
            attribute_timeout: Duration::from_millis(attribute?),
        })
    }
}

/// Host and port of an `http://` URL.
pub(super) fn authority(cursor: &Cursor<'_>) -> Option<String> {
    let text = cursor.text()?;
    let message = match text.split_once("://") {
        Some(("https", _)) => {
            cursor.error_hint("upstreams over TLS are not supported yet", "write `http://`, to a backend on a trusted network");
            return None;
        }
        Some(("http", rest)) => match rest.strip_suffix('/').unwrap_or(rest) {
            rest if rest.contains(['/', '?', '#']) => format!("`{text}` has a path; the path of each request is forwarded as it is"),
            rest if rest.contains('@') => format!("`{text}` has a user name in it"),
            rest => match rest.parse::<Authority>() {
                // A port that is none counts as no port in the library: it must not become 80 here.
                Ok(found) if !found.host().is_empty() => match rest.strip_prefix(found.host()).map(|port| (port, found.port_u16())) {
                    Some(("", None)) => return Some(format!("{rest}:80")),
                    Some((_, Some(1..))) => return Some(rest.to_owned()),
                    Some((_, Some(0) | None)) | None => format!("`{text}` has no usable port after its `:`"),
                },
                Ok(_) | Err(_) => format!("`{text}` has no usable host"),
            },
        },
        Some(_) | None => format!("`{text}` does not start with `http://`"),
    };
    cursor.error_hint(message, "write scheme, host and port only: `http://127.0.0.1:9000`");
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{Node, Report, Value};

    /// What `decode` makes of a text.
    fn read<T>(text: &str, decode: impl FnOnce(&Cursor<'_>) -> Option<T>) -> Option<T> {
        let node = Node { span: Span::default(), value: Value::String(text.into()) };
        let (source, report) = (Source::new("t.yaml", text), Report::new());
        let value = decode(&Cursor::new(&node, &source, &report));
        assert_eq!(value.is_none(), report.has_errors(), "{text}: {report}");
        value
    }

    #[test]
    fn an_upstream_is_a_host_and_a_port_that_exist() {
        for (text, expected) in [
            ("http://127.0.0.1:9000", Some("127.0.0.1:9000")),
            ("http://backend.internal/", Some("backend.internal:80")),
            ("http://[::1]:9000", Some("[::1]:9000")),
            ("http://127.0.0.1:90000", None),
            ("http://127.0.0.1:0", None),
            ("http://127.0.0.1:", None),
            ("http://:9000", None),
            ("http://", None),
            ("http:///", None),
            ("http://a b", None),
            ("http://user@backend", None),
            ("http://backend/v1", None),
            ("http://backend?x", None),
            ("https://backend", None),
            ("ftp://backend", None),
            ("backend:9000", None),
            ("", None),
        ] {
            assert_eq!(read(text, authority).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn a_host_is_what_a_host_header_can_say() {
        for good in [
            "api.example.com",
            "API.example.com:8443",
            "{region}.api.example.com:443",
            "127.0.0.1:8080",
            "[::1]:8080",
            "[::1]",
            "localhost",
        ] {
            assert_eq!(read(good, host_pattern).unwrap(), good.to_ascii_lowercase());
        }
        for bad in [
            "", ".", "a..b", ".a", "a.", "a.:1", "a b", "http://a", "a/b", "*.a", "a{b}.c", "{}.a", "{a.b}", "{{a}}", "a:", "a:x",
            "a:99999", "a:+1", "::1", "[::1", "[a]", "[::1]x", "a@b", "a,b",
        ] {
            assert_eq!(read(bad, host_pattern), None, "{bad}");
        }
    }
}
