//! Stage 5: which service a Host is, and what that service accepts.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use foldhash::fast::FixedState;
use http::Method;
use smallvec::SmallVec;

use super::replay::Replay;
use crate::authn::sigv4;
use crate::snapshot::routes::Parameters;
use crate::snapshot::{Operation, ServiceDefinition, Snapshot};
use crate::types::{Path, PathProfile};

/// Whether refusals are carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Refuse what is not allowed.
    Enforce,
    /// Forward everything, record and count what would be refused (contracts C15).
    Observe,
}

/// The shape of refusals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorProtocol {
    /// Samsung Cloud Platform (wire-formats 1.6).
    Scp,
    /// Amazon S3.
    S3,
}

/// How a service takes AWS signatures.
#[derive(Debug, Clone)]
pub struct AwsSignatures {
    /// The service in the credential scope.
    pub service: Box<str>,
    /// The regions in the credential scope; `None` takes every region.
    pub regions: Option<Vec<String>>,
    /// How paths and bodies are signed.
    pub profile: sigv4::Profile,
    /// Whether a request may leave its body unsigned.
    pub unsigned_payload: bool,
}

/// What configuration says about a service, beside its upstream.
#[derive(Debug, Clone)]
pub struct ServiceSettings {
    /// Its name in configuration, records and metrics.
    pub name: Arc<str>,
    /// Host patterns, lower-case: `iam.example.com`, `{region}.iam.example.com`, with or without port; `*` for every other host.
    pub hosts: Vec<String>,
    /// The services whose action definitions apply.
    pub definitions: Vec<String>,
    /// Enforce or observe.
    pub mode: Mode,
    /// How its paths are read.
    pub path_profile: PathProfile,
    /// The shape of refusals.
    pub error_protocol: ErrorProtocol,
    /// Routes that need no credential, if their definition says so too.
    pub public_routes: Vec<(Method, String)>,
    /// Most bytes of a body that a decision reads.
    pub body_bytes_max: usize,
    /// Which requests it takes once only.
    pub replay: Replay,
    /// AWS signatures, if it takes them.
    pub sigv4: Option<AwsSignatures>,
}

/// A service, bound to the definitions of a snapshot.
#[derive(Debug)]
pub struct Service {
    /// Its place among the services: the index of its upstream and its counters.
    pub index: usize,
    /// Its name.
    pub name: Arc<str>,
    /// Enforce or observe.
    pub mode: Mode,
    /// How its paths are read.
    pub path_profile: PathProfile,
    /// The shape of refusals.
    pub error_protocol: ErrorProtocol,
    /// Most bytes of a body that a decision reads.
    pub body_bytes_max: usize,
    /// Which requests it takes once only.
    pub replay: Replay,
    /// AWS signatures, if it takes them.
    pub sigv4: Option<AwsSignatures>,
    definitions: Vec<Arc<ServiceDefinition>>,
    public_routes: HashSet<(Method, String)>,
}

impl Service {
    /// The operation of a method on a path, and on what a name in the query says of it.
    #[must_use]
    pub fn operation<'v, 'p>(
        &'v self,
        method: &Method,
        path: &'p Path<'_>,
        subresource: Option<&str>,
    ) -> Option<(&'v Operation, Parameters<'p>)> {
        let found = self.definitions.iter().filter_map(|definition| definition.find(method, path, subresource));
        found.reduce(|first, other| if is_more_specific(&other.0.template, &first.0.template) { other } else { first })
    }

    /// Whether the resources of a service type are this service's.
    #[must_use]
    pub fn serves(&self, service_type: &str) -> bool {
        self.definitions.iter().any(|definition| *definition.service_type == *service_type)
    }

    /// Whether configuration lists the operation as public.
    #[must_use]
    pub fn is_public(&self, operation: &Operation) -> bool {
        // Only reached for operations defined without authentication, so the look-up may allocate.
        self.public_routes.contains(&(operation.method.clone(), operation.template.to_string()))
    }
}

/// Whether `one` has a fixed segment where `other` first has a parameter. Both match the same path.
fn is_more_specific(one: &str, other: &str) -> bool {
    let is_parameter = |segment: &str| segment.starts_with('{');
    let differing = one.split('/').zip(other.split('/')).find(|(one, other)| is_parameter(one) != is_parameter(other));
    differing.is_some_and(|(one, _)| !is_parameter(one))
}

/// All services and the hosts they answer to.
#[derive(Debug, Default)]
pub struct Services {
    services: Vec<Service>,
    exact: HashMap<Box<str>, usize, FixedState>,
    patterns: Vec<(HostPattern, usize)>,
    /// The service for every other host. Only demos have one.
    any: Option<usize>,
}

/// What a Host pattern took from a Host: label names and their texts.
pub type Labels = SmallVec<[(Box<str>, Box<str>); 1]>;

/// A service found by Host.
#[derive(Debug)]
pub struct Found<'v> {
    /// The service.
    pub service: &'v Service,
    /// The named labels of its host pattern, in lower case: letter case of a Host must not decide anything.
    pub labels: Labels,
}

impl Found<'_> {
    /// The bucket that the Host names, where the service reads paths as S3 does: then the whole path is a key.
    #[must_use]
    pub fn bucket(&self) -> Option<&str> {
        let label = self.labels.iter().find(|(name, _)| &**name == "bucket");
        label.filter(|_| self.service.path_profile.is_s3()).map(|(_, text)| &**text)
    }
}

impl Services {
    /// Binds services to the definitions of a snapshot. A service whose definitions are absent has no operations:
    /// everything on it is refused with `no_action_definition`.
    #[must_use]
    pub fn bind(settings: &[ServiceSettings], snapshot: &Snapshot) -> Self {
        let mut bound = Self::default();
        for (index, service) in settings.iter().enumerate() {
            for host in &service.hosts {
                if host == "*" {
                    bound.any = Some(index);
                    continue;
                }
                match HostPattern::parse(host) {
                    Some(pattern) => bound.patterns.push((pattern, index)),
                    None => {
                        bound.exact.insert(host.as_str().into(), index);
                    }
                }
            }
            bound.services.push(Service {
                index,
                name: Arc::clone(&service.name),
                mode: service.mode,
                path_profile: service.path_profile,
                error_protocol: service.error_protocol,
                body_bytes_max: service.body_bytes_max,
                replay: service.replay,
                sigv4: service.sigv4.clone(),
                definitions: service.definitions.iter().filter_map(|name| snapshot.definition(name).cloned()).collect(),
                public_routes: service.public_routes.iter().cloned().collect(),
            });
        }
        bound
    }

    /// All services, in the order configured.
    #[must_use]
    pub fn all(&self) -> &[Service] {
        &self.services
    }

    /// The service that answers to a Host: the Host with its port first, then without. Letter case does not count.
    #[must_use]
    pub fn find(&self, host: &str) -> Option<Found<'_>> {
        let folded: Cow<'_, str> =
            if host.bytes().any(|byte| byte.is_ascii_uppercase()) { Cow::Owned(host.to_ascii_lowercase()) } else { Cow::Borrowed(host) };
        let exact = self.exact.get(&*folded).or_else(|| self.exact.get(without_port(&folded)));
        if let Some(service) = exact.and_then(|index| self.services.get(*index)) {
            return Some(Found { service, labels: Labels::new() });
        }
        let matched = self.patterns.iter().find_map(|(pattern, index)| {
            let labels = pattern.matches(&folded).or_else(|| pattern.matches(without_port(&folded)))?;
            Some(Found { service: self.services.get(*index)?, labels })
        });
        matched.or_else(|| Some(Found { service: self.services.get(self.any?)?, labels: Labels::new() }))
    }
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && (!name.contains(':') || name.ends_with(']')) => name,
        Some(_) | None => host,
    }
}

/// A host pattern with named labels.
#[derive(Debug)]
struct HostPattern {
    labels: Vec<Result<Box<str>, Box<str>>>,
}

impl HostPattern {
    /// `None` when no label is a `{name}`: the host is then looked up, not matched.
    fn parse(host: &str) -> Option<Self> {
        let labels: Vec<_> = host
            .split('.')
            .map(|label| match label.strip_prefix('{').and_then(|inner| inner.strip_suffix('}')) {
                Some(name) => Err(name.into()),
                None => Ok(label.into()),
            })
            .collect();
        labels.iter().any(Result::is_err).then_some(Self { labels })
    }

    fn matches(&self, host: &str) -> Option<Labels> {
        let mut found = Labels::new();
        let mut texts = host.split('.');
        for label in &self.labels {
            let text = texts.next()?;
            match label {
                Ok(fixed) if **fixed == *text => {}
                Ok(_) => return None,
                // With a colon or bracket in it, it is a name and a port to some readers: to them it would be another label.
                Err(_) if text.is_empty() || text.contains([':', '[', ']']) => return None,
                Err(name) => found.push((name.clone(), text.into())),
            }
        }
        texts.next().is_none().then_some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_found_with_port_first_then_without() {
        let services = |hosts: &[&str]| {
            let mut services = Services::default();
            for (index, host) in hosts.iter().enumerate() {
                match HostPattern::parse(host) {
                    Some(pattern) => services.patterns.push((pattern, index)),
                    None => {
                        services.exact.insert((*host).into(), index);
                    }
                }
                services.services.push(Service {
                    index,
                    name: (*host).into(),
                    mode: Mode::Enforce,
                    path_profile: PathProfile::Segments,
                    error_protocol: ErrorProtocol::Scp,
                    body_bytes_max: 0,
                    replay: Replay::Changing,
                    sigv4: None,
                    definitions: Vec::new(),
                    public_routes: HashSet::new(),
                });
            }
            services
        };
        let services = services(&["good.example", "good.example:8443", "{region}.iam.example", "[::1]:8080"]);
        let name = |host: &str| services.find(host).map(|found| found.service.name.to_string());
        for (host, expected) in [
            ("good.example", Some("good.example")),
            ("GOOD.example", Some("good.example")),
            ("good.example:80", Some("good.example")),
            ("good.example:8443", Some("good.example:8443")),
            ("good.example.", None),
            ("kr-west1.iam.example:443", Some("{region}.iam.example")),
            (".iam.example", None),
            ("a.b.iam.example", None),
            ("kr-west1:0.iam.example", None),
            ("kr-west1:.iam.example", None),
            ("[kr-west1].iam.example", None),
            ("[::1]:8080", Some("[::1]:8080")),
            ("evil", None),
            ("", None),
        ] {
            assert_eq!(name(host).as_deref(), expected, "{host}");
        }
        assert_eq!(&*services.find("KR-west1.IAM.example").unwrap().labels[0].1, "kr-west1");
    }
}
