//! `services`: which hosts are which service, what it accepts, and where its backend is.

use std::time::Duration;

use http::{Method, Uri};

use crate::source::{Cursor, SecretRef, Source, Span};

/// Most services.
pub const SERVICES_MAX: usize = 1_000;

/// A service.
#[derive(Debug, Clone)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// Hosts it answers to, lower-case.
    pub hosts: Vec<String>,
    /// The services whose action definitions apply; its own name by default.
    pub definitions: Vec<String>,
    /// True: decide, record and count, but forward all the same.
    pub observe: bool,
    /// Routes that need no credential.
    pub public_routes: Vec<(Method, String)>,
    /// Most bytes of a body that a decision reads.
    pub body_bytes_max: usize,
    /// Its backend.
    pub upstream: Upstream,
    /// The file it stands in.
    pub source: Source,
    /// Where in the file.
    pub span: Span,
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
    /// Longest time to connect.
    pub connect_timeout: Duration,
    /// Longest time until the head of the answer.
    pub response_timeout: Duration,
}

impl Service {
    pub(super) fn decode(name: &str, span: Span, cursor: &Cursor<'_>) -> Option<Self> {
        let good = name.len() <= 64 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        if !good || name.is_empty() {
            cursor.error_hint(format!("`{name}` is not a service name"), "use letters, digits, `-` and `_`, at most 64");
        }
        let table = cursor.table()?;
        let hosts = table.required("hosts", "write `hosts: [api.example.com]`", |value| {
            let hosts = value.list(|host| host_pattern(&host))?;
            if hosts.is_empty() {
                value.error_hint("the service answers to no host", "write `hosts: [api.example.com]`");
                return None;
            }
            Some(hosts)
        });
        let definitions = table.or("definitions", vec![name.to_owned()], |value| value.list(|name| name.string()));
        let observe = table.or("mode", false, |value| value.one_of(&[("enforce", false), ("observe", true)]));
        let _ = table.optional("schemes", |value| value.list(|scheme| scheme.one_of(&[("scp", ())])))?;
        let _ = table.optional("error_protocol", |value| value.one_of(&[("scp", ())]))?;
        let public_routes = table.or("public_routes", Vec::new(), |value| value.list(|route| public_route(&route)));
        let body_bytes_max = table.or("body_bytes_max", 64 * 1024, |value| value.integer(0..=64 * 1024 * 1024, "bytes"));
        let upstream =
            table.required("upstream", "write `upstream: {url: http://127.0.0.1:9000, identity_key: {file: upstream.key}}`", |value| {
                Upstream::decode(&value)
            });
        table.finish()?;
        good.then_some(())?;
        if observe == Some(false) && upstream.as_ref().is_some_and(|upstream| upstream.keep_credentials) {
            let hint =
                "write `mode: observe`, or remove `keep_credentials`: in enforce mode the backend trusts the gateway's identity headers";
            cursor.error_hint("credentials pass to the backend only while the service observes", hint);
            return None;
        }
        Some(Self {
            name: name.to_owned(),
            hosts: hosts?,
            definitions: definitions?,
            observe: observe?,
            public_routes: public_routes?,
            body_bytes_max: usize::try_from(body_bytes_max?).ok()?,
            upstream: upstream?,
            source: cursor.source().clone(),
            span,
        })
    }
}

fn host_pattern(cursor: &Cursor<'_>) -> Option<String> {
    let host = cursor.string()?.to_ascii_lowercase();
    let hint = "write `api.example.com`, `api.example.com:8443`, or `{region}.api.example.com`";
    let label = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':' | b'[' | b']' | b'{' | b'}');
    if host.contains("://") || host.contains('/') {
        cursor.error_hint(format!("`{host}` is a URL, not a host"), hint);
        return None;
    }
    if host.contains('*') {
        cursor.error_hint(format!("`{host}` has a wildcard"), "name the part that varies: `{region}.api.example.com`");
        return None;
    }
    if !host.bytes().all(label) || host.ends_with('.') || host.starts_with('.') {
        cursor.error_hint(format!("`{host}` is not a host"), hint);
        return None;
    }
    Some(host)
}

fn public_route(cursor: &Cursor<'_>) -> Option<(Method, String)> {
    let text = cursor.text()?;
    let hint = "write a method and a path template as in the definition: `GET /v1/versions`";
    let route = text.split_once(' ').and_then(|(method, path)| {
        let method = method.parse::<Method>().ok()?;
        path.starts_with('/').then(|| (method, path.to_owned()))
    });
    if route.is_none() {
        cursor.error_hint(format!("`{text}` is not a route"), hint);
    }
    route
}

impl Upstream {
    fn decode(cursor: &Cursor<'_>) -> Option<Self> {
        let table = cursor.table()?;
        let authority = table.required("url", "write `url: http://127.0.0.1:9000`", |value| authority(&value));
        let preserve_host = table.or("preserve_host", false, |value| value.boolean());
        let keep_credentials = table.or("keep_credentials", false, |value| value.boolean());
        let hint = "write `identity_key: {file: upstream.key}`; make the file with `openssl rand -hex 32`";
        let identity_key =
            table.required("identity_key", hint, |value| SecretRef::decode(&value).map(|secret| (secret, value.node().span)));
        let connect = table.or("connect_timeout_ms", 2_000, |value| value.integer(1..=60_000, "milliseconds"));
        let response = table.or("response_timeout_ms", 60_000, |value| value.integer(1..=3_600_000, "milliseconds"));
        table.finish()?;
        let (identity_key, identity_key_span) = identity_key?;
        Some(Self {
            authority: authority?,
            preserve_host: preserve_host?,
            keep_credentials: keep_credentials?,
            identity_key,
            identity_key_span,
            connect_timeout: Duration::from_millis(connect?),
            response_timeout: Duration::from_millis(response?),
        })
    }
}

fn authority(cursor: &Cursor<'_>) -> Option<String> {
    let text = cursor.text()?;
    let hint = "write scheme, host and port only: `http://127.0.0.1:9000`";
    let Ok(uri) = text.parse::<Uri>() else {
        cursor.error_hint(format!("`{text}` is not a URL"), hint);
        return None;
    };
    match (uri.scheme_str(), uri.authority()) {
        (Some("http"), Some(authority)) if matches!(uri.path(), "" | "/") && uri.query().is_none() && !authority.as_str().contains('@') => {
            Some(format!("{}:{}", authority.host(), authority.port_u16().unwrap_or(80)))
        }
        (Some("https"), _) => {
            cursor.error_hint("upstreams over TLS are not supported yet", "use `http://` to a backend on a trusted network");
            None
        }
        (Some(_) | None, _) => {
            cursor.error_hint(format!("`{text}` is not the URL of an upstream"), hint);
            None
        }
    }
}
