//! Mistakes in action definitions, and between them and the services.

use crate::base::{Copy, assert_text, spoilt};

const COMPUTE: &str = "definitions/compute.yaml";
const BILLING: &str = "definitions/billing.yaml";

#[test]
fn an_action_without_an_access_level() {
    assert_text!(spoilt(BILLING, ", access_level: List", ""));
}

#[test]
fn an_access_level_without_an_action_and_one_that_is_none() {
    let copy = Copy::new().edit(BILLING, "action: billing:ListInvoices, ", "");
    assert_text!(copy.edit(COMPUTE, "access_level: Create", "access_level: Write").refused());
}

#[test]
fn an_accessor_that_is_none() {
    let copy = Copy::new().edit(
        COMPUTE,
        "      access_level: Read\n      resources: [{\"compute:server\": {resource_id: \"path['server_id']\"}}]",
        "      access_level: Read\n      resources: [{\"compute:server\": {resource_id: \"path['id']\"}}]",
    );
    assert_text!(copy.edit(COMPUTE, "host['region'] ?? ''", "cookie['region'] ?? ''").refused());
}

#[test]
fn expressions_that_do_not_end_well() {
    let copy = Copy::new().edit(
        COMPUTE,
        "      access_level: Read\n      resources: [{\"compute:server\": {resource_id: \"path['server_id']\"}}]",
        "      access_level: Read\n      resources: [{\"compute:server\": {resource_id: \"path['server_id'\"}}]",
    );
    assert_text!(copy.edit(COMPUTE, "host['region'] ?? ''", "host.region").refused());
}

#[test]
fn a_parameter_that_no_path_has() {
    assert_text!(spoilt(COMPUTE, "region: \"host['region'] ?? ''\"", "account: \"path['servr_id'] ?? principal\""));
}

#[test]
fn an_account_may_come_from_a_parameter_that_some_paths_have() {
    let accepted = Copy::new().edit(COMPUTE, "region: \"host['region'] ?? ''\"", "account: \"path['server_id'] ?? principal\"").accepted();
    assert!(accepted.contains("5 operations"), "{accepted}");
}

#[test]
fn a_resource_of_an_unknown_service() {
    assert_text!(Copy::new().edit(COMPUTE, "    post: {action: compute:CreateServer, access_level: Create}", "    post: {action: compute:CreateServer, access_level: Create, resources: [{\"computer:server\": {resource_id: \"body['id']\"}}]}").refused());
}

#[test]
fn one_route_twice() {
    let more = "  /v1/servers/{id}:\n    get: {action: compute:ShowServer, access_level: Read}\n";
    assert_text!(Copy::new().append(COMPUTE, more).refused());
}

#[test]
fn one_action_with_two_levels() {
    let more = "  /v2/servers:\n    get: {action: compute:ListServers, access_level: Read}\n";
    assert_text!(Copy::new().append(COMPUTE, more).refused());
}

#[test]
fn an_action_of_another_service() {
    assert_text!(spoilt(BILLING, "billing:ListInvoices", "biling:ListInvoices"));
}

#[test]
fn two_services_of_one_spelling() {
    assert_text!(spoilt(BILLING, "service_type: scp-billing", "service_type: scp-billing\naliases: [compute]"));
}

#[test]
fn methods_and_templates_that_are_none() {
    let more = "  v1/cards:\n    get: {action: billing:ListCards, access_level: List}\n  /v1/cards/{id:\n    get: {action: billing:ShowCard, access_level: Read}\n  /v1/cards/{id}:\n    fetch: {action: billing:ShowCard, access_level: Read}\n";
    assert_text!(Copy::new().append(BILLING, more).refused());
}

#[test]
fn a_document_without_a_kind() {
    assert_text!(spoilt(BILLING, "kind: scp-iam:action-definition\n", ""));
}

#[test]
fn a_service_without_a_definition() {
    assert_text!(spoilt("gateway.yaml", "  billing:\n    hosts", "  biling:\n    hosts"));
    assert_text!(spoilt(
        "gateway.yaml",
        "hosts: [billing.example.com]",
        "hosts: [billing.example.com]\n    definitions: [billing, storage]"
    ));
}

#[test]
fn public_routes_that_the_definition_does_not_have() {
    let routes = "[\"GET /v1/versions\", \"GET /v1/version\", \"get /v1/versions\", \"GET /v1/servers\", /v1/servers]";
    assert_text!(spoilt("gateway.yaml", "[\"GET /v1/versions\"]", routes));
    let routes = "[\"GET /v1/versions\", \"GET /v1/version\", \"POST /v1/versions\", \"GET /v1/servers\"]";
    assert_text!(spoilt("gateway.yaml", "[\"GET /v1/versions\"]", routes));
}

#[test]
fn a_broken_definition_brings_no_further_complaints() {
    assert_text!(spoilt(BILLING, "service_type: scp-billing", "servicetype: scp-billing"));
}

#[test]
fn one_route_in_two_definitions_of_one_service() {
    let more = "  /v1/servers/{id}:\n    get: {action: billing:ShowServer, access_level: Read}\n  /v1/servers/all:\n    get: {action: billing:ListServers, access_level: List}\n";
    let copy = Copy::new().append(BILLING, more);
    let both = "hosts: [billing.example.com]\n    definitions: [billing, compute]";
    assert_text!(copy.edit("gateway.yaml", "hosts: [billing.example.com]", both).refused());
}

#[test]
fn two_definitions_of_one_service_may_differ_in_the_method_and_in_a_fixed_segment() {
    let more = "  /v1/servers/{id}:\n    put: {action: billing:PayServer, access_level: Update}\n  /v1/servers/all:\n    get: {action: billing:ListServers, access_level: List}\n";
    let copy = Copy::new().append(BILLING, more);
    let both = "hosts: [billing.example.com]\n    definitions: [billing, compute]";
    copy.edit("gateway.yaml", "hosts: [billing.example.com]", both).accepted();
}

#[test]
fn resource_definitions_that_cannot_be_read() {
    let text = "kind: scp-resourcemanager:resource-definition
service_type: scp-comput
resource_type: server
attributes:
  name: {type: text, uri: /v1/servers/{resource_id}, jsonpath: $.name}
  flavor: {uri: '/v1/servers/{id}', jsonpath: $.flavor, abac: true}
  vcpu: {type: number, uri: '/v1/servers/{resource_id}', jsonpath: '$..vcpu', abac: true}
  image: {uri: '/v1/servers/{resource_id}', abac: true}
  state: {abac: true}
  lock: {uri: '/v1/servers/{resource_id}/lock', method: PUT, jsonpath: $.lock}
tags: {jsonpath: $.tags}
";
    let quoted = text.replace("uri: /v1/servers/{resource_id},", "uri: '/v1/servers/{resource_id}',");
    assert_text!(Copy::new().write("definitions/attributes.yaml", &quoted).refused());
}

#[test]
fn resource_definitions_that_do_not_fit_the_others() {
    let definition = |service: &str, attributes: &str| {
        format!(
            "kind: scp-resourcemanager:resource-definition\nservice_type: {service}\nresource_type: server\nattributes: {{{attributes}}}\n---\n"
        )
    };
    let one = definition("compute", "name: {type: string}, Name: {type: string}");
    let text = format!("{one}{}{}", definition("compute", ""), definition("scp-comput", ""));
    assert_text!(Copy::new().write("definitions/attributes.yaml", &text).refused());
}
