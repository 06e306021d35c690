//! Where a client starts: the API's versions and the catalogue of services (wire-formats 1.5). Both come from configuration.

use serde::Serialize;

use super::call::{Answer, Call};
use super::error::ApiError;
use crate::config::Endpoint;

/// The one version of this API.
const VERSION: &str = "v1.4";
/// Since when it is served.
const NOT_BEFORE: &str = "2026-02-23";
/// The service type of this API in the catalogue.
const OWN_SERVICE_TYPE: &str = "scp-iam";

#[derive(Serialize)]
struct Versions {
    versions: [Version; 1],
}

#[derive(Serialize)]
struct Version {
    id: &'static str,
    links: [Link; 1],
    not_before: &'static str,
    status: &'static str,
}

#[derive(Serialize)]
struct Link {
    href: String,
    rel: &'static str,
}

#[derive(Serialize)]
struct Endpoints<'a> {
    endpoints: Vec<EndpointBody<'a>>,
}

#[derive(Serialize)]
struct EndpointBody<'a> {
    region: &'a str,
    service_name: &'a str,
    service_type: &'a str,
    url: &'a str,
}

impl<'a> EndpointBody<'a> {
    fn new(endpoint: &'a Endpoint) -> Self {
        let Endpoint { region, service_name, service_type, url } = endpoint;
        Self { region, service_name, service_type, url }
    }
}

/// The versions. The link is whole where the catalogue knows this API's own URL.
pub(super) fn versions(endpoints: &[Endpoint]) -> Answer {
    let own = endpoints.iter().find(|endpoint| endpoint.service_type == OWN_SERVICE_TYPE);
    let href = format!("{}/v1", own.map_or("", |endpoint| endpoint.url.trim_end_matches('/')));
    let version = Version { id: VERSION, links: [Link { href, rel: "self" }], not_before: NOT_BEFORE, status: "CURRENT" };
    Answer::ok(&Versions { versions: [version] })
}

pub(super) async fn list(call: Call) -> Result<Answer, ApiError> {
    call.query().finish()?;
    Ok(Answer::ok(&Endpoints { endpoints: call.means.endpoints.iter().map(EndpointBody::new).collect() }))
}
