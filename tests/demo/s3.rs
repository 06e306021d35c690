//! Real S3 clients and a real S3 server with the example's gateway between them, where they are installed.

use std::path::Path;
use std::process::Command;

use crate::ports;

#[test]
fn boto3_the_aws_cli_and_restic_use_an_s3_server_through_the_gateway() {
    let runs = |program: &str, arguments: &[&str]| Command::new(program).args(arguments).output().is_ok_and(|done| done.status.success());
    let missing: Vec<&str> =
        [("python3", &["-c", "import boto3"][..]), ("aws", &["--version"]), ("restic", &["version"]), ("s3s-fs", &["--version"])]
            .into_iter()
            .filter(|(program, arguments)| !runs(program, arguments))
            .map(|(program, _)| program)
            .collect();
    if !missing.is_empty() {
        assert!(std::env::var_os("CI").is_none(), "boto3 for python3, aws, restic and s3s-fs are needed: {missing:?}");
        eprintln!("\n*** NOT RUN: S3 clients; there is no {missing:?} (or no boto3 for it) ***\n");
        return;
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/s3/run.py");
    let mut command = Command::new("python3");
    command.arg(script).args(["--gateway", env!("CARGO_BIN_EXE_portcullis"), "--size-mib", "8"]);
    command.args(["--ports", &ports::free().port().to_string(), &ports::free().port().to_string()]);
    let done = command.output().unwrap();
    let printed = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success() && printed.contains("all of 28 as they should be"), "{printed}{}", String::from_utf8_lossy(&done.stderr));
}
