//! Secrets: never in clear, never shown, there, long enough, opened by the right key for the right owner.

use crate::base::{Copy, assert_text, spoilt};

const PEOPLE: &str = "records/people.yaml";
const SECRET: &str = "hunter2hunter2hunter2hunter2hunter2";
const REFERENCE: &str = "secret: {file: ../secrets/ada.secret}";

/// The complaints about a secret written in clear; nothing of it may show.
fn without_secret(text: String) -> String {
    assert!(!text.contains("hunter2"), "{text}");
    text
}

#[test]
fn a_secret_in_clear_is_refused_and_not_shown() {
    assert_text!(without_secret(spoilt(PEOPLE, REFERENCE, &format!("secret: {SECRET}"))));
}

#[test]
fn a_secret_in_clear_is_never_shown_wherever_it_stands() {
    for written in [
        format!("secret_key: {SECRET}"),
        format!("secretKey: {SECRET}"),
        format!("SecretAccessKey: {SECRET}"),
        format!("secret-key: \"{SECRET}\""),
        format!("secret: {{value: {SECRET}}}"),
        format!("secret: {{{SECRET}: file}}"),
        format!("secret: {{file: x, clear: {SECRET}}}"),
        format!("secret:\n    value: {SECRET}"),
        format!("secret:\n    {SECRET}: yes"),
        format!("secret: [{SECRET}]"),
        format!("secret: {{sealed: {SECRET}}}"),
        format!("secret: {{sealed: [{SECRET}]}}"),
        format!("secret: {{file: {{path: {SECRET}}}}}"),
        format!("secret: |\n    {SECRET}"),
        format!("secret: \"{SECRET}"),
        format!("secret: '{SECRET}"),
        format!("secret: &secret {SECRET}"),
        format!("secret: !!str {SECRET}"),
        format!("secret: {SECRET}\n  secret: {SECRET}"),
        format!("secret: @{SECRET}"),
        format!("secret: {SECRET}: {SECRET}"),
        format!("password: {SECRET}"),
        format!("token: {SECRET}"),
        format!("secret : {SECRET}"),
        format!("\"secret\": {SECRET}"),
        format!("secret:{SECRET}"),
        format!("secret={SECRET}"),
    ] {
        without_secret(spoilt(PEOPLE, REFERENCE, &written));
    }
    let flow = format!("- {{kind: access_key, id: E1, user: nobody, secret: {SECRET}}}\n");
    assert_text!(without_secret(Copy::new().append(PEOPLE, &flow).refused()));
}

#[test]
fn an_unknown_key_with_a_secret_name() {
    assert_text!(without_secret(spoilt(PEOPLE, REFERENCE, &format!("secret_key: {SECRET}"))));
    assert_text!(without_secret(spoilt(PEOPLE, REFERENCE, &format!("secret: {{value: {SECRET}}}"))));
}

#[test]
fn an_identity_key_in_clear_is_refused_and_not_shown() {
    assert_text!(without_secret(spoilt("gateway.yaml", "identity_key: {file: secrets/billing.key}", &format!("identity_key: {SECRET}"))));
}

#[test]
fn a_secret_file_that_is_missing() {
    assert_text!(Copy::new().remove("secrets/ada.secret").remove("secrets/billing.key").refused());
}

#[test]
fn a_secret_that_is_too_short() {
    let copy = Copy::new().write("secrets/ada.secret", "hunter2\n").write("secrets/billing.key", "\n");
    assert_text!(without_secret(copy.refused()));
}

#[test]
fn a_sealed_secret_without_a_sealing_key() {
    assert_text!(spoilt("gateway.yaml", "\n  sealing_key: {file: secrets/sealing.key}", ""));
}

#[test]
fn a_sealed_secret_of_another_owner() {
    let copy = Copy::new().edit(PEOPLE, "  id: e0000000000000000000000000000002", "  id: e0000000000000000000000000000003");
    assert_text!(copy.refused());
}

#[test]
fn a_sealing_key_that_is_missing_or_none() {
    assert_text!(Copy::new().remove("secrets/sealing.key").refused());
    assert_text!(Copy::new().write("secrets/sealing.key", "hunter2\n").refused());
}

#[test]
fn demo_secrets_behind_a_listener_that_others_reach() {
    assert_text!(spoilt("gateway.yaml", "127.0.0.1:8080", "0.0.0.0:8080"));
}
