//! A bearer token and a published set of keys. The first line says what the second and third are: a token as it is sent (`raw`), or a header
//! and claims that are signed here, by the one key that every verifier below knows (`own`, `ed`) or by a second one (`ec`). What follows is the
//! published set.
//!
//! Nobody but the two keys signs, so a raw token never verifies; and what is signed is read in one way or not at all: as a token of ours, as the
//! session of a role, or as a token of somebody else.

#![no_main]

use std::sync::LazyLock;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use libfuzzer_sys::fuzz_target;
use portcullis::authn::{oidc, session, token};
use portcullis::types::{Secret, Timestamp};
use serde_json::Value;

const EPOCH: u64 = 1_795_212_000_000;
const KEY: &str = "9b7653f6f47a42e38055934a0575a813";
const ISSUER: &str = "https://idp.test";
const NOW: Timestamp = Timestamp::from_milliseconds(1_795_213_785_000);
const PUBLISHED: &str = include_str!("../keys.json");

static OURS: LazyLock<token::Signer> =
    LazyLock::new(|| token::Signer::new(KEY.parse().expect("an id"), &Secret::new(SEED.clone())).expect("a signing key"));
static KEYS: LazyLock<oidc::Keys> = LazyLock::new(|| oidc::Keys::parse(PUBLISHED.as_bytes()).expect("a set of keys"));
static AUDIENCES: LazyLock<[String; 2]> = LazyLock::new(|| ["other".to_owned(), "portcullis".to_owned()]);

/// RFC 8037, appendix A.1.
static SEED: LazyLock<Vec<u8>> = LazyLock::new(|| decoded("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"));
static ED: LazyLock<Ed25519KeyPair> = LazyLock::new(|| Ed25519KeyPair::from_seed_unchecked(&SEED).expect("a seed"));
/// RFC 7515, appendix A.3.
static EC: LazyLock<EcdsaKeyPair> = LazyLock::new(|| {
    let (x, y) = ("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0");
    let (secret, point) = (decoded("jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"), [vec![4], decoded(x), decoded(y)].concat());
    EcdsaKeyPair::from_private_key_and_public_key(&ECDSA_P256_SHA256_FIXED_SIGNING, &secret, &point).expect("a pair of keys")
});

fn decoded(text: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text).expect("Base64url")
}

fuzz_target!(|text: &str| {
    let mut lines = text.splitn(2, '\n');
    let (kind, rest) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    if kind == "raw" {
        let (token, published) = rest.split_once('\n').unwrap_or((rest, ""));
        assert_eq!(of_ours(token), None, "a forgery");
        assert_eq!(of_session(token), None, "a forgery");
        assert_eq!(of_theirs(token, &KEYS), None, "a forgery");
        let _ = public_key(token);
        set_of_keys(published, token);
        return;
    }
    let mut parts = rest.splitn(3, '\n');
    let [head, claims, published] = [(); 3].map(|()| parts.next().unwrap_or_default());
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(head), URL_SAFE_NO_PAD.encode(claims));
    let by_ed = || format!("{message}.{}", URL_SAFE_NO_PAD.encode(ED.sign(message.as_bytes())));
    match kind {
        "own" => own(head, &by_ed()),
        "ed" => theirs((head, claims, published), &by_ed(), ("EdDSA", "ed")),
        "ec" => {
            let signature = EC.sign(&SystemRandom::new(), message.as_bytes()).expect("a signature");
            theirs((head, claims, published), &format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature)), ("ES256", "ec"));
        }
        _ => {}
    }
});

fn of_ours(text: &str) -> Option<token::Claims> {
    let token = token::Token::parse(text.as_bytes())?;
    assert_eq!(format!("{token:?}"), format!("Token(.. under {})", token.key));
    token.verify(&OURS.public_key(), EPOCH)
}

fn of_session(text: &str) -> Option<session::Claims> {
    session::Presented::parse(text.as_bytes())?.verify(&OURS.public_key(), EPOCH)
}

fn of_theirs(text: &str, keys: &oidc::Keys) -> Option<oidc::Claims> {
    let token = oidc::Token::parse(text.as_bytes())?;
    assert_eq!(format!("{token:?}"), "Token(..)");
    let claims = token.verify(keys, ISSUER, &*AUDIENCES, NOW).ok()?;
    assert_eq!(token.claimed_issuer().as_deref(), Some(ISSUER), "found by another issuer than verified by");
    assert_eq!(claims.text("iss"), Some(ISSUER));
    assert!(token.key_name().is_some_and(|name| keys.has(&name)), "signed with a key that is not there");
    assert!(token.verify(keys, "https://other.test", &*AUDIENCES, NOW).is_err(), "another issuer");
    assert!(token.verify(keys, ISSUER, &[], NOW).is_err(), "nobody's audience");
    Some(claims)
}

/// A token of our form under our key: its header says exactly what we write, and its claims are what we would sign ourselves.
fn own(head: &str, text: &str) {
    if let Some(claims) = of_session(text) {
        assert_eq!(of_ours(text), None, "a session is no other token");
        assert!(session::is_name(&claims.name) && claims.policy.as_ref().is_none_or(|policy| policy.len() <= session::POLICY_BYTES_MAX));
        match claims.sign(&OURS) {
            Ok(again) => {
                let again = std::str::from_utf8(again.expose()).expect("a token");
                assert_eq!(of_session(again).as_ref(), Some(&claims), "what is read is what is written");
            }
            // Escaped in another way, a policy may be longer.
            Err(error) => assert_eq!(error, token::SignError::Long),
        }
        assert_eq!(changed(text).and_then(|text| of_session(&text)), None, "a changed signature");
        return;
    }
    let Some(claims) = of_ours(text) else { return };
    let head: Value = serde_json::from_str(head).expect("a header");
    assert_eq!(head.as_object().map(serde_json::Map::len), Some(3), "{head}");
    assert!(head["alg"] == "EdDSA" && head["typ"] == "JWT" && head["kid"].is_string(), "{head}");
    let again = OURS.sign(&claims).expect("signed");
    let again = std::str::from_utf8(again.expose()).expect("a token");
    assert_eq!(of_ours(again).as_ref(), Some(&claims), "what is read is what is written");
    let token = token::Token::parse(text.as_bytes()).expect("a token");
    assert_eq!(token.verify(&OURS.public_key(), EPOCH + 1), None, "another epoch");
    assert_eq!(changed(text).and_then(|text| of_ours(&text)), None, "a changed signature");
}

/// A token of somebody else's form: only the key that signed it, under its own name and algorithm, verifies it.
fn theirs((head, claims, published): (&str, &str, &str), text: &str, (algorithm, name): (&str, &str)) {
    if of_theirs(text, &KEYS).is_some() {
        let head: Value = serde_json::from_str(head).expect("a header");
        assert!(head["alg"] == algorithm && head["kid"] == name, "{head}");
        let claims: Value = serde_json::from_str(claims).expect("claims");
        assert!(claims["exp"].is_u64() && claims["iss"] == ISSUER, "{claims}");
        assert_eq!(changed(text).and_then(|text| of_theirs(&text, &KEYS)), None, "a changed signature");
    }
    set_of_keys(published, text);
}

/// The same with a first byte of the signature that is another one.
fn changed(text: &str) -> Option<String> {
    let (message, signature) = text.rsplit_once('.')?;
    let first = if signature.starts_with('A') { 'B' } else { 'A' };
    Some(format!("{message}.{first}{}", signature.get(1..)?))
}

/// A published set of keys: what is read has names, few and short ones, and shows nothing else. What it verifies, its own keys signed.
fn set_of_keys(published: &str, token: &str) {
    let Ok(keys) = oidc::Keys::parse(published.as_bytes()) else { return };
    let names: Vec<&str> = keys.names().collect();
    assert!((1..=oidc::KEYS_MAX).contains(&names.len()) && names.iter().all(|name| (1..=256).contains(&name.len())));
    assert_eq!(format!("{keys:?}"), format!("{names:?}"));
    let _ = of_theirs(token, &keys);
}

/// A public key is written in one way.
fn public_key(text: &str) -> Option<token::PublicKey> {
    let key: token::PublicKey = text.parse().ok()?;
    assert_eq!(key.to_string(), text);
    Some(key)
}
