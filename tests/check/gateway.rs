//! Mistakes in the gateway's own file: keys, values, hosts, upstreams, YAML.

use crate::base::{Copy, assert_text, spoilt};

#[test]
fn a_misspelt_key() {
    assert_text!(spoilt("gateway.yaml", "    hosts: [billing.example.com]", "    host: [billing.example.com]"));
}

#[test]
fn a_key_of_another_product() {
    assert_text!(spoilt(
        "gateway.yaml",
        "      url: http://127.0.0.1:9002",
        "      url: http://127.0.0.1:9002\n      load_balancer: round_robin"
    ));
}

#[test]
fn a_text_where_a_list_belongs() {
    assert_text!(spoilt("gateway.yaml", "[billing.example.com]", "billing.example.com"));
}

#[test]
fn numbers_and_booleans_of_the_wrong_type() {
    let more = "workers: four\nlimits: {headers_max: -1, connections_max: 2.5}\ntimeouts: {drain_s: 30s, idle_s: 0}\n";
    assert_text!(Copy::new().append("gateway.yaml", more).edit("gateway.yaml", "9002", "9002\n      preserve_host: yes").refused());
}

#[test]
fn a_key_with_nothing_after_it() {
    assert_text!(spoilt("gateway.yaml", "metrics:\n  address: 127.0.0.1:9180", "metrics:\n  address:"));
}

#[test]
fn missing_keys() {
    let copy = Copy::new().edit("gateway.yaml", "metrics:\n  address: 127.0.0.1:9180\n", "");
    assert_text!(copy.edit("gateway.yaml", "      url: http://127.0.0.1:9002\n", "").refused());
}

#[test]
fn aws_signatures_that_nobody_could_send() {
    let hosts = "    hosts: [billing.example.com]";
    for sigv4 in ["{}", "{service: a/b, regions: []}", "{service: iam, regions: [kr west], profile: s4, unsigned_payload: no}"] {
        assert_text!(spoilt("gateway.yaml", hosts, &format!("{hosts}\n    sigv4: {sigv4}")));
    }
}

#[test]
fn memories_of_replays_that_cannot_be() {
    let more = "replay: {claims_per_account_max: 5000, claims_max: 2000, window_s: 60}\n";
    let hosts = "    hosts: [billing.example.com]";
    assert_text!(Copy::new().append("gateway.yaml", more).edit("gateway.yaml", hosts, &format!("{hosts}\n    replay: never")).refused());
    assert_text!(Copy::new().append("gateway.yaml", "replay: {claims_per_account_max: 0, claims_max: 10}\n").refused());
}

#[test]
fn limits_of_failures_and_rates_that_cannot_be() {
    let failures = ["authentication: {failures_per_minute: none}\n", "authentication: {failures_per_minute: {adress: 1, key: 0}}\n"];
    for more in failures.into_iter().chain(["rates: {key: 100, account: {burst: 5}, user: {requests_per_s: 1}}\n"]) {
        assert_text!(Copy::new().append("gateway.yaml", more).refused());
    }
}

#[test]
fn credentials_for_a_backend_that_cannot_be() {
    let url = "      url: http://127.0.0.1:9002";
    for credential in [
        "{}",
        "{kind: basic}",
        "{kind: sigv4, access_key: a/b, secret: hunter2, region: ''}",
        "{kind: header, name: Content-Length, value: {file: upstream.key}}",
        "{kind: header, name: X-Api-Key, value: {file: absent.key}}",
    ] {
        assert_text!(spoilt("gateway.yaml", url, &format!("{url}\n      credential: {credential}")));
    }
    let both =
        format!("{url}\n      keep_credentials: true\n      credential: {{kind: header, name: X-Api-Key, value: {{file: upstream.key}}}}");
    assert_text!(spoilt("gateway.yaml", url, &both));
}

#[test]
fn a_credential_for_a_backend_while_nothing_is_refused() {
    let (hosts, url) = ("    hosts: [billing.example.com]", "      url: http://127.0.0.1:9002");
    let credential =
        format!("{url}\n      credential:\n        kind: header\n        name: X-Api-Key\n        value: {{file: secrets/billing.key}}");
    assert_text!(
        Copy::new().edit("gateway.yaml", hosts, &format!("{hosts}\n    mode: observe")).edit("gateway.yaml", url, &credential).refused()
    );
}

#[test]
fn a_port_out_of_range() {
    assert_text!(spoilt("gateway.yaml", "127.0.0.1:8080", "127.0.0.1:80800"));
}

#[test]
fn a_name_or_a_bare_port_to_listen_on() {
    assert_text!(spoilt(
        "gateway.yaml",
        "  - address: 127.0.0.1:8080",
        "  - address: localhost:8080\n  - address: 8081\n  - address: 127.0.0.1\n  - address: 127.0.0.1:8080"
    ));
}

#[test]
fn a_word_that_is_none_of_the_choices() {
    let copy = Copy::new().edit("gateway.yaml", "hosts: [billing.example.com]", "hosts: [billing.example.com]\n    mode: monitor");
    assert_text!(copy.edit("gateway.yaml", "public_scheme: https", "public_scheme: htps").refused());
}

#[test]
fn two_services_claim_one_host() {
    assert_text!(spoilt("gateway.yaml", "[billing.example.com]", "[billing.example.com, Compute.example.com]"));
}

#[test]
fn two_host_patterns_of_one_shape() {
    assert_text!(spoilt(
        "gateway.yaml",
        "[billing.example.com]",
        "[billing.example.com, \"{zone}.compute.example.com\", billing.example.com]"
    ));
}

#[test]
fn hosts_that_are_none() {
    let hosts = "[\"https://billing.example.com\", \"*.billing.example.com\", billing.example.com/v1, \"billing example\", .example.com, \"a{b}.example.com\", \"billing.example.com:https\"]";
    assert_text!(spoilt("gateway.yaml", "[billing.example.com]", hosts));
}

#[test]
fn an_upstream_with_a_path() {
    assert_text!(spoilt("gateway.yaml", "http://127.0.0.1:9002", "http://127.0.0.1:9002/api"));
}

#[test]
fn an_upstream_over_tls() {
    assert_text!(spoilt("gateway.yaml", "http://127.0.0.1:9002", "https://127.0.0.1:9002"));
}

#[test]
fn an_upstream_without_scheme_and_one_with_a_bad_port() {
    let copy = Copy::new().edit("gateway.yaml", "http://127.0.0.1:9001", "127.0.0.1:9001");
    assert_text!(copy.edit("gateway.yaml", "http://127.0.0.1:9002", "http://127.0.0.1:90020").refused());
}

#[test]
fn credentials_kept_while_enforcing() {
    assert_text!(spoilt("gateway.yaml", "http://127.0.0.1:9002", "http://127.0.0.1:9002\n      keep_credentials: true"));
}

#[test]
fn trusted_proxies_that_are_none() {
    assert_text!(spoilt("gateway.yaml", "[10.0.0.0/8]", "[10.0.0.0/8, proxy.example.com, 10.0.0.0/99]"));
}

#[test]
fn proxies_that_nobody_is_and_hops_that_are_none() {
    let proxies = "{networks: [10.0.0.0/8]}\n    proxy_protocol: {networks: []}";
    let copy = Copy::new().edit("gateway.yaml", "{networks: [10.0.0.0/8]}", proxies);
    assert_text!(copy.edit("gateway.yaml", "[10.0.0.0/8]", "[10.0.0.0/8], hops: 0").refused());
}

#[test]
fn a_proxy_protocol_that_says_not_from_whom() {
    assert_text!(spoilt("gateway.yaml", "trusted_proxies: {networks: [10.0.0.0/8]}", "proxy_protocol: {version: 2}"));
}

#[test]
fn a_key_twice() {
    assert_text!(spoilt("gateway.yaml", "record:\n", "metrics:\n  address: 127.0.0.1:9999\nrecord:\n"));
}

#[test]
fn a_tab_for_indentation() {
    assert_text!(spoilt("gateway.yaml", "      url: http://127.0.0.1:9002", "\turl: http://127.0.0.1:9002"));
}

#[test]
fn a_colon_without_a_space() {
    assert_text!(spoilt("gateway.yaml", "      url: http://127.0.0.1:9002", "      url:http://127.0.0.1:9002"));
}

#[test]
fn a_pattern_without_quotes() {
    assert_text!(spoilt("gateway.yaml", "\"{region}.compute.example.com\"", "{region}.compute.example.com"));
}

#[test]
fn a_wrong_indentation() {
    assert_text!(spoilt("gateway.yaml", "  address: 127.0.0.1:9180", " address: 127.0.0.1:9180\n   path: /metrics"));
}

#[test]
fn a_bracket_that_is_not_closed() {
    assert_text!(spoilt("gateway.yaml", "[billing.example.com]", "[billing.example.com"));
}

#[test]
fn an_anchor_and_an_alias() {
    let copy = Copy::new().edit(
        "gateway.yaml",
        "    upstream:\n      url: http://127.0.0.1:9001",
        "    upstream: &upstream\n      url: http://127.0.0.1:9001",
    );
    assert_text!(copy.refused());
    assert_text!(spoilt(
        "gateway.yaml",
        "    upstream:\n      url: http://127.0.0.1:9001",
        "    upstream: *upstream\n      url: http://127.0.0.1:9001"
    ));
}

#[test]
fn a_file_that_is_not_there() {
    let copy = Copy::new().edit("gateway.yaml", "records: [records]", "records: [records, recrods/more.yaml]");
    assert_text!(copy.edit("gateway.yaml", "definitions: [definitions]", "definitions: [definition]").refused());
}

#[test]
fn a_folder_without_files() {
    assert_text!(Copy::new().edit("gateway.yaml", "records: [records]", "records: [records, policies]").accepted());
}

#[test]
fn an_empty_file() {
    assert_text!(Copy::new().write("gateway.yaml", "# nothing yet\n").refused());
}

#[test]
fn a_second_document() {
    assert_text!(Copy::new().append("gateway.yaml", "---\nworkers: 4\n").refused());
}

#[test]
fn a_configuration_that_is_not_there() {
    assert_text!(Copy::new().remove("gateway.yaml").refused());
}

#[test]
fn two_listeners_on_one_address() {
    let copy =
        Copy::new().edit("gateway.yaml", "  - address: 127.0.0.1:8080\n", "  - address: 127.0.0.1:8080\n  - address: 127.0.0.1:8080\n");
    assert_text!(copy.edit("gateway.yaml", "  address: 127.0.0.1:9180", "  address: 127.0.0.1:8080").refused());
}

#[test]
fn records_in_a_folder_that_is_not_there() {
    assert_text!(Copy::new().edit("gateway.yaml", "path: \"off\"", "path: log/decisions.jsonl").accepted());
}
