//! The other commands: what `seal` prints loads, what `sign` prints verifies, a script for completion is a script.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use clap::Parser as _;
use portcullis::authn::scp::{Credential, Presented, Signatures, Signed};
use portcullis::cli::{Arguments, Ended, run};
use portcullis::types::{Secret, SigningKey};

use crate::base::{Copy, assert_text};

const KEY: &str = "e0000000000000000000000000000001";
const USER: &str = "b0000000000000000000000000000001";
const PEOPLE: &str = "records/people.yaml";
const REFERENCE: &str = "{file: ../secrets/ada.secret}";

/// Seals a secret with the sealing key of the copy; the secret comes by standard input.
fn seal(copy: &Copy, owner: &[&str], secret: &[u8]) -> Output {
    let key = copy.path("secrets/sealing.key");
    let mut child = Command::new(env!("CARGO_BIN_EXE_portcullis"))
        .args(["seal", "--key", key.to_str().unwrap()])
        .args(owner)
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that refuses its arguments reads nothing.
    let _ = child.stdin.take().unwrap().write_all(secret);
    child.wait_with_output().unwrap()
}

fn sealed(copy: &Copy, owner: &[&str], secret: &[u8]) -> String {
    let output = seal(copy, owner, secret);
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

fn printed(arguments: &[&str]) -> String {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let arguments = Arguments::try_parse_from([&["portcullis"], arguments].concat()).unwrap();
    assert_eq!(run(arguments, &mut out, &mut err).unwrap(), Ended::Well);
    assert_eq!(String::from_utf8(err).unwrap(), "");
    String::from_utf8(out).unwrap()
}

#[test]
fn a_sealed_secret_loads_where_it_belongs_and_nowhere_else() {
    let copy = Copy::new();
    let secret = b"a secret of more than sixteen bytes\n";
    let text = sealed(&copy, &["--access-key", KEY, "--user", USER], secret);
    assert!(text.starts_with("{sealed: v1.") && text.ends_with('}'), "{text}");
    assert_ne!(text, sealed(&copy, &["--access-key", KEY, "--user", USER], secret), "the nonce is drawn anew");
    let copy = copy.edit(PEOPLE, REFERENCE, &text);
    copy.accepted();
    let moved = copy.edit(PEOPLE, &format!("id: {KEY}"), "id: e0000000000000000000000000000003").refused();
    assert!(moved.contains("the sealed secret does not open"), "{moved}");
}

#[test]
fn a_sealed_identity_key_loads_for_its_service_and_no_other() {
    let copy = Copy::new();
    let text = sealed(&copy, &["--upstream", "billing"], b"an identity key of more than sixteen bytes");
    copy.edit("gateway.yaml", "{file: secrets/billing.key}", &text).accepted();
    let other = Copy::new().edit("gateway.yaml", "{file: secrets/compute.key}", &text).refused();
    assert!(other.contains("--upstream compute"), "{other}");
}

#[test]
fn what_cannot_be_sealed_is_refused() {
    let copy = Copy::new();
    let owner = ["--access-key", KEY, "--user", USER];
    for (copy, owner, secret, part) in [
        (&copy, &owner[..], &b""[..], "standard input holds no secret"),
        (&copy, &owner, b" \n", "standard input holds no secret"),
        (&copy, &owner, &[b'x'; 4097], "at most 4096 bytes"),
        (&copy, &[], b"secret", "--access-key"),
        (&copy, &owner[..2], b"secret", "--user"),
        (&copy, &["--access-key", "KEY", "--user", USER], b"secret", "32 lower-case hexadecimal digits"),
        (&Copy::new().write("secrets/sealing.key", "short\n"), &owner, b"secret", "64 hexadecimal digits"),
        (&Copy::new().remove("secrets/sealing.key"), &owner, b"secret", "cannot read"),
    ] {
        let output = seal(copy, owner, secret);
        let err = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && output.stdout.is_empty() && err.contains(part), "{part}: {err}");
    }
}

#[test]
fn signed_headers_verify() {
    let secret = "an access key's secret";
    let copy = Copy::new().write("key.yaml", &format!("access-key: {KEY}\nsecret-key: {secret}\n"));
    let file = copy.path("key.yaml");
    let url = "https://Compute.example.com:8443/v1/servers?name=a%20b&size=20";
    let text = printed(&["sign", "--credential-file", file.to_str().unwrap(), "post", url]);
    let headers: Vec<(&str, &str)> = text.lines().map(|line| line.split_once(": ").unwrap()).collect();
    let mut signatures = Signatures::default();
    for (name, value) in &headers {
        signatures.take(&name.to_ascii_lowercase(), value.as_bytes());
    }
    let Presented::One(presented) = signatures.presented() else { panic!("{text}") };
    let credential = Credential::parse(&presented);
    let credential = credential.unwrap();
    assert_eq!((headers.len(), credential.access_key.to_string().as_str()), (4, KEY));
    let key = SigningKey::new(&Secret::new(secret.as_bytes()));
    let signed = Signed { method: "POST", scheme: "https", host: "Compute.example.com:8443", target: "/v1/servers?name=a%20b&size=20" };
    assert!(credential.verify(&key, &signed));
    assert!(!credential.verify(&key, &Signed { method: "GET", ..signed }));
    assert!(!credential.verify(&SigningKey::new(&Secret::new(*b"another secret")), &signed));
    assert!(!text.contains(secret));

    let curl = printed(&["sign", "--curl", "--credential-file", file.to_str().unwrap(), "GET", "http://127.0.0.1:8080/v1/it's"]);
    assert!(curl.starts_with("curl -i -X GET 'http://127.0.0.1:8080/v1/it%27s' \\\n  -H 'Scp-Accesskey: "), "{curl}");
    assert_eq!(curl.matches(" \\\n  -H '").count(), 4);
}

#[test]
fn signed_headers_verify_in_every_dialect_and_are_explained() {
    let copy = Copy::new().write("key.yaml", &format!("access-key: {KEY}\nsecret-key: an access key's secret\n"));
    let file = copy.path("key.yaml");
    let signed = Signed { method: "GET", scheme: "http", host: "a.test", target: "/v1/groups" };
    let key = SigningKey::new(&Secret::new(*b"an access key's secret"));
    for (dialect, scope, last, sha256) in [
        ("v2", "", "Openapi", "1840d99c65541c68be9bee1b0feac76938039d3ad9166d44cf78c3f59152da7d"),
        ("v2", "f39c460fade34fecb05ede8f904b24b7", "Openapi", ""),
        ("classic", "PROJECT-a", "OpenApi", ""),
        ("classic", "", "OpenApi", ""),
        ("secret-vault", "", "Openapi", ""),
    ] {
        let line = ["portcullis", "sign", "--explain", "--timestamp", "1795213784687", "--dialect", dialect, "--scope", scope];
        let line = [&line[..], &["--credential-file", file.to_str().unwrap(), "GET", "http://a.test/v1/groups"]].concat();
        let (mut out, mut err) = (Vec::new(), Vec::new());
        assert_eq!(run(Arguments::try_parse_from(line).unwrap(), &mut out, &mut err).unwrap(), Ended::Well);
        let (out, err) = (String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap());
        let mut signatures = Signatures::default();
        for (name, value) in out.lines().map(|line| line.split_once(": ").unwrap()) {
            signatures.take(&name.to_ascii_lowercase(), value.as_bytes());
        }
        let Presented::One(presented) = signatures.presented() else { panic!("{out}") };
        assert!(Credential::parse(&presented).unwrap().verify(&key, &signed), "{dialect} {scope}: {out}");
        let string = format!("GEThttp://a.test/v1/groups1795213784687{KEY}{scope}{last}");
        assert!(err.starts_with(&format!("string to sign: {string}\nits SHA-256:    {sha256}")), "{err}");
        assert_eq!(err.lines().count(), 2);
    }
    for (dialect, scope) in [("v2", "PROJECT-a"), ("classic", "f39c460fade34fecb05ede8f904b24b7"), ("secret-vault", "PROJECT-a")] {
        let line = ["portcullis", "sign", "--dialect", dialect, "--scope", scope];
        let line = [&line[..], &["--credential-file", file.to_str().unwrap(), "GET", "http://a.test/"]].concat();
        assert!(run(Arguments::try_parse_from(line).unwrap(), &mut Vec::new(), &mut Vec::new()).is_err(), "{dialect} {scope}");
    }
}

#[test]
fn credentials_that_cannot_be_used() {
    let file = |text: &str| {
        let copy = Copy::new().write("key.yaml", text);
        let path = copy.path("key.yaml");
        let arguments = Arguments::try_parse_from(["portcullis", "sign", "--credential-file", path.to_str().unwrap(), "GET", "http://a/"]);
        let error = run(arguments.unwrap(), &mut Vec::new(), &mut Vec::new()).unwrap_err();
        format!("{error:#}\n").replace(path.to_str().unwrap(), "key.yaml")
    };
    let texts = [
        "",
        "access-key: 1\n",
        "- a\n",
        "access-key: e1\nsecret-key: hunter2\n",
        "access-key: [\n",
        "access_key: e1\nsecret_key: hunter2\n",
    ];
    let said = texts.map(file).concat();
    assert!(!said.contains("hunter2"), "{said}");
    assert_text!(said);
}

#[test]
fn a_script_for_every_shell() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = printed(&["completions", shell]);
        for word in ["portcullis", "check", "completions", "--credential-file"] {
            assert!(script.contains(word.trim_start_matches('-')), "{shell}: {word}");
        }
    }
}
