//! What `portcullis check` says of configurations that are good.

use std::path::Path;

use portcullis::cli::Ended;

use crate::base::{Copy, assert_text, check};

#[test]
fn the_good_configuration() {
    assert_text!(Copy::new().accepted());
}

#[test]
fn what_proxies_are_believed_is_said() {
    let proxies = "proxy_protocol: {networks: [192.0.2.0/24, '2001:db8::/32']}\n    trusted_proxies: {networks: [10.0.0.0/8], hops: 2}";
    assert_text!(Copy::new().edit("gateway.yaml", "trusted_proxies: {networks: [10.0.0.0/8]}", proxies).accepted());
}

#[test]
fn observing_passing_credentials_and_public_routes_are_loud() {
    let copy = Copy::new().edit("gateway.yaml", "hosts: [billing.example.com]", "hosts: [billing.example.com]\n    mode: observe");
    assert_text!(copy.edit("gateway.yaml", "http://127.0.0.1:9002", "http://127.0.0.1:9002\n      keep_credentials: true").accepted());
}

#[test]
fn replays_that_pass_are_loud() {
    let copy = Copy::new().edit("gateway.yaml", "hosts: [billing.example.com]", "hosts: [billing.example.com]\n    replay: off");
    assert_text!(copy.accepted());
}

#[test]
fn rates_are_said_and_failures_without_a_limit_are_loud() {
    let more =
        "rates: {account: {requests_per_s: 100, burst: 300}, key: {requests_per_s: 50}}\nauthentication: {failures_per_minute: off}\n";
    assert_text!(Copy::new().append("gateway.yaml", more).accepted());
}

#[test]
fn warnings_are_printed_and_do_not_fail() {
    let copy = Copy::new().edit("gateway.yaml", "    public_routes: [\"GET /v1/versions\"]\n", "");
    let copy = copy.edit("policies/run-servers.json", "compute:DeleteServer", "compute:DeletServer");
    assert_text!(copy.accepted());
}

#[test]
fn an_example_of_a_key_that_is_not_there() {
    let copy = Copy::new().append("gateway.yaml", "example:\n  access_key: e0000000000000000000000000000009\n  path: /v1/versions\n");
    assert_text!(copy.accepted());
}

#[test]
fn the_configurations_of_this_repository() {
    for name in ["demo/gateway.yaml", "examples/prometheus/gateway.yaml"] {
        let config = format!("{}/config/{name}", env!("CARGO_MANIFEST_DIR"));
        let (ended, text) = check(Path::new(&config));
        assert!(ended == Ended::Well && text.contains("gateway.yaml: good\n"), "without errors and warnings: {text}");
    }
}
