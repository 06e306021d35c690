//! One reading of hosts, headers and routes: what another reader could take for something else decides nothing.

use super::backend::Backend;
use super::client::{Ask, Who};
use super::harness::{ACCOUNT, ADMIN, READER, Setup, World, text};

const MALFORMED: (u16, &str) = (400, "malformed_request");
const ALLOWED: (u16, &str) = (200, "allow");
const DENIED: (u16, &str) = (403, "explicit_deny");

const LOCAL: Who = Who { key: "10ca1000000000000000000000000001", secret: "local-secret-0000001" };
const LOCAL_ID: &str = "10ca1000000000000000000000000002";

/// The services that the other tests' gateways have.
const OTHERS: &str = "
---
{kind: 'scp-iam:action-definition', service: iam, service_type: scp-iam, paths: {/v1/versions: {get: {authentication: none}}}}
---
{kind: 'scp-iam:action-definition', service: store, paths: {/v1/things: {get: {action: store:ListThings, access_level: List}}}}
";

fn service(name: &str, hosts: &str, definitions: &str, backend: &Backend) -> String {
    let authority = backend.address();
    format!(
        "{name}: {{hosts: [{hosts}], definitions: [{definitions}], upstream: {{url: 'http://{authority}', identity_key: {{file: upstream.key}}}}}}"
    )
}

#[test]
fn the_letter_case_of_a_host_decides_nothing() {
    let definitions = "
kind: scp-iam:action-definition
service: reg
service_type: scp-reg
region: \"host['region']\"
paths:
  /v1/servers/{id}:
    get: {action: reg:ShowServer, access_level: Read, resources: [{'reg:server': {resource_id: \"path['id']\"}}]}";
    let statements = r#"{"Effect": "Allow", "Action": ["reg:*"], "Resource": ["*"]},
        {"Effect": "Deny", "Action": ["*"], "Resource": ["srn:e:::kr-west1::scp-reg:server/*"]}"#;
    let backend = Backend::start();
    let world = Setup::new()
        .definitions(&format!("{definitions}{OTHERS}"))
        .set("services", service("reg", "'{region}.reg.test'", "reg", &backend))
        .user("local", &LOCAL, LOCAL_ID, ACCOUNT)
        .policy(ACCOUNT, LOCAL_ID, statements)
        .start(&backend);
    for (region, expected) in [
        ("kr-east1", ALLOWED),
        ("KR-EAST1", ALLOWED),
        ("kr-west1", DENIED),
        ("KR-WEST1", DENIED),
        ("Kr-West1", DENIED),
        ("kr-wesT1", DENIED),
    ] {
        for host in [format!("{region}.reg.test"), format!("{region}.REG.Test"), format!("{region}.reg.test:80")] {
            let before = backend.count();
            let answer = world.ask(Ask::get("/v1/servers/s1").host(&host).by(&LOCAL));
            assert_eq!(answer.verdict(), expected, "{host}: {}", answer.text());
            assert_eq!(backend.count() - before, usize::from(expected == ALLOWED), "{host}");
        }
    }
}

#[test]
fn a_header_that_is_decided_on_stands_once_in_every_spelling_and_reaches_the_backend() {
    let paths = "
  /v1/volume:
    get: {action: iam:ShowVolume, access_level: Read, resources: [{'iam:volume': {resource_id: \"header['X-Volume']\"}}]}";
    let backend = Backend::start();
    let world = Setup::new().paths(paths).start(&backend);
    for (lines, expected) in [
        (&["X-Volume: v1"][..], ALLOWED),
        (&["X-Volume: v1", "X-Volumes: v2", "X-Volum: v3", "XVolume: v4"], ALLOWED),
        (&["X-Volume: v1", "Connection: keep-alive"], ALLOWED),
        (&["X-Volume: v1", "X-Volume: v2"], MALFORMED),
        // The backend would not get it.
        (&["X-Volume: v1", "Connection: x-volume"], MALFORMED),
        (&["Connection: X-Volume", "X-Volume: v1"], MALFORMED),
        (&["X-Volume: v1", "Connection: keep-alive , X-VOLUME"], MALFORMED),
        (&["X-Volume: v1", "Connection: keep-alive", "Connection: x-volume"], MALFORMED),
        // The backend could take the other one.
        (&["X-Volume: v1", "X_Volume: v2"], MALFORMED),
        (&["X_Volume: v2", "X-Volume: v1"], MALFORMED),
        (&["X-Volume: v1", "X.VOLUME: v2"], MALFORMED),
        (&["X_Volume: v1"], MALFORMED),
        (&[], MALFORMED),
    ] {
        let before = backend.count();
        let ask = lines.iter().fold(Ask::get("/v1/volume"), |ask, line| ask.line(line));
        let answer = world.ask(ask.by(&READER));
        assert_eq!(answer.verdict(), expected, "{lines:?}: {}", answer.text());
        let seen = backend.since(before);
        assert_eq!(seen.len(), usize::from(expected == ALLOWED), "{lines:?}");
        assert!(seen.iter().all(|seen| seen.header("x-volume").as_deref() == Some("v1")), "{lines:?}");
    }
}

/// Two definitions that share a tree of paths.
const SHARED: &str = "
kind: scp-iam:action-definition
service: first
service_type: scp-first
paths:
  /r/{id}:
    get: {action: first:ShowOne, access_level: Read}
    delete: {action: first:DeleteOne, access_level: Delete}
    head: {action: first:ProbeOne, access_level: Read}
  /r/{id}/parts/all:
    get: {action: first:ListParts, access_level: List}
  /s/{id}:
    head: {action: first:ProbeOne, access_level: Read}
  /s/fixed:
    get: {action: first:ShowFixed, access_level: Read}
  /s/own:
    get: {action: first:ShowOwn, access_level: Read}
    head: {action: first:ProbeOwn, access_level: Read}
---
kind: scp-iam:action-definition
service: second
service_type: scp-second
paths:
  /r/admin:
    get: {action: second:Administer, access_level: Permission}
  /r/admin/parts/{part}:
    get: {action: second:AdministerPart, access_level: Permission}";

/// The service of both definitions in both orders.
fn shared(backend: &Backend) -> World {
    let services = format!(
        "{}\n  {}",
        service("straight", "straight.test", "first, second", backend),
        service("turned", "turned.test", "second, first", backend)
    );
    Setup::new().definitions(&format!("{SHARED}{OTHERS}")).set("services", services).start(backend)
}

/// Compares the action of requests to both services.
fn is_action(world: &World, method: &str, target: &str, action: &str) {
    for host in ["straight.test", "turned.test"] {
        let mut client = world.connect();
        client.send(Ask::new(method, target).host(host).by(&ADMIN));
        let answer = client.outcome(method).unwrap();
        assert_eq!(answer.verdict(), ALLOWED, "{method} {target} on {host}");
        assert_eq!(text(&world.record(answer.request_id()), "action"), Some(action), "{method} {target} on {host}");
    }
}

#[test]
fn the_most_specific_template_wins_whichever_definition_comes_first() {
    let backend = Backend::start();
    let world = shared(&backend);
    for (method, target, action) in [
        ("GET", "/r/admin", "second:Administer"),
        ("GET", "/r/%61dmin", "second:Administer"),
        ("GET", "/r/other", "first:ShowOne"),
        ("DELETE", "/r/admin", "first:DeleteOne"),
        // The first segment that differs counts.
        ("GET", "/r/admin/parts/all", "second:AdministerPart"),
        ("GET", "/r/other/parts/all", "first:ListParts"),
    ] {
        is_action(&world, method, target, action);
    }
}

#[test]
fn head_is_the_most_specific_template_before_it_is_head() {
    let backend = Backend::start();
    let world = shared(&backend);
    for (target, action) in [
        ("/s/fixed", "first:ShowFixed"),
        ("/s/other", "first:ProbeOne"),
        ("/s/own", "first:ProbeOwn"),
        // Across definitions as well.
        ("/r/admin", "second:Administer"),
        ("/r/other", "first:ProbeOne"),
        ("/r/other/parts/all", "first:ListParts"),
    ] {
        is_action(&world, "HEAD", target, action);
    }
    is_action(&world, "GET", "/s/own", "first:ShowOwn");
}
