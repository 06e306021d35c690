//! The texts of `--help`, from which people learn what there is.

use std::process::{Command, Output, Stdio};

use crate::base::assert_text;

/// Runs the command away from any terminal, so that the texts have their full width.
fn portcullis(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_portcullis")).args(arguments).env_clear().stdin(Stdio::null()).output().unwrap()
}

fn help(arguments: &[&str]) -> String {
    let output = portcullis(arguments);
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn help_of_the_whole() {
    assert_text!(help(&["--help"]));
}

#[test]
fn help_of_gateway() {
    assert_text!(help(&["gateway", "--help"]));
}

#[test]
fn help_of_check() {
    assert_text!(help(&["check", "--help"]));
}

#[test]
fn help_of_definitions_apply() {
    assert_text!(help(&["definitions", "apply", "--help"]));
}

#[test]
fn help_of_request() {
    assert_text!(help(&["request", "--help"]));
}

#[test]
fn help_of_sign() {
    assert_text!(help(&["sign", "--help"]));
}

#[test]
fn help_of_seal() {
    assert_text!(help(&["seal", "--help"]));
}

#[test]
fn help_of_explain() {
    assert_text!(help(&["explain", "--help"]));
}

#[test]
fn help_of_policy_diff() {
    assert_text!(help(&["policy", "diff", "--help"]));
}

#[test]
fn help_of_policy_fmt() {
    assert_text!(help(&["policy", "fmt", "--help"]));
}

#[test]
fn help_of_policy_convert() {
    assert_text!(help(&["policy", "convert", "--help"]));
}

#[test]
fn help_of_policy_check() {
    assert_text!(help(&["policy", "check", "--help"]));
}

#[test]
fn help_of_completions() {
    assert_text!(help(&["completions", "--help"]));
}
