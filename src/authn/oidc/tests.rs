//! A token is what one of the provider's keys signed, for us, in its time, or it is nothing.

use std::sync::LazyLock;

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};
use jsonwebtoken::EncodingKey;
use serde_json::json;

use super::*;

const ISSUER: &str = "https://idp.test/realms/one/";
const NOW: Timestamp = Timestamp::from_milliseconds(1_795_213_785_000);

/// A provider with a key of each kind, and a second RSA key that it has not published.
struct Provider {
    rsa: EncodingKey,
    hidden: EncodingKey,
    ec: EncodingKey,
    ed: EncodingKey,
    published: Value,
}

fn rsa_key() -> (EncodingKey, Value) {
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let public = pair.public_key();
    let part = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let (n, e) = (part(public.modulus().big_endian_without_leading_zero()), part(public.exponent().big_endian_without_leading_zero()));
    // jsonwebtoken reads PKCS#1: the last part of what PKCS#8 wraps for RSA (RFC 8017, RFC 5958): 26 bytes stand before it.
    let wrapped = pair.as_der().unwrap();
    (
        EncodingKey::from_rsa_der(&wrapped.as_ref()[26..]),
        json!({"kty": "RSA", "kid": "rsa", "use": "sig", "alg": "RS256", "n": n, "e": e, "x5c": ["ignored"]}),
    )
}

static PROVIDER: LazyLock<Provider> = LazyLock::new(|| {
    let (rsa, rsa_jwk) = rsa_key();
    let (hidden, _) = rsa_key();
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let point = pair.public_key().as_ref();
    let (x, y) = (URL_SAFE_NO_PAD.encode(&point[1..33]), URL_SAFE_NO_PAD.encode(&point[33..]));
    let ec = EncodingKey::from_ec_der(pair.to_pkcs8v1().unwrap().as_ref());
    let pair = Ed25519KeyPair::generate().unwrap();
    let ed_public = URL_SAFE_NO_PAD.encode(pair.public_key().as_ref());
    let ed = EncodingKey::from_ed_der(pair.to_pkcs8v1().unwrap().as_ref());
    let published = json!({"keys": [
        rsa_jwk,
        {"kty": "EC", "kid": "ec", "crv": "P-256", "x": x, "y": y},
        {"kty": "OKP", "kid": "ed", "crv": "Ed25519", "x": ed_public},
        {"kty": "oct", "kid": "shared", "k": "c2VjcmV0"},
        {"kty": "EC", "kid": "curve", "crv": "P-521", "x": x, "y": y},
        {"kty": "RSA", "kid": "encryption", "use": "enc", "n": "AQAB", "e": "AQAB"},
        "nonsense",
    ]});
    Provider { rsa, hidden, ec, ed, published }
});

fn keys() -> Keys {
    Keys::parse(PROVIDER.published.to_string().as_bytes()).unwrap()
}

fn signed_by(key: &EncodingKey, algorithm: Algorithm, head: &str, body: &str) -> String {
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(head), URL_SAFE_NO_PAD.encode(body));
    let signature = crypto::sign(message.as_bytes(), key, algorithm).unwrap();
    format!("{message}.{signature}")
}

fn body() -> Value {
    json!({"iss": ISSUER, "aud": "portcullis", "sub": "ada", "exp": 1_795_217_385, "iat": 1_795_213_780, "nbf": 1_795_213_780, "user": "u1"})
}

/// A token of the provider's Ed25519 key.
fn signed(head: &str, body: &str) -> String {
    signed_by(&PROVIDER.ed, Algorithm::EdDSA, head, body)
}

const HEAD: &str = r#"{"alg":"EdDSA","kid":"ed","typ":"JWT"}"#;

fn verify(token: &str) -> Option<Claims> {
    Token::parse(token.as_bytes())?.verify(&keys(), ISSUER, &["other".to_owned(), "portcullis".to_owned()], NOW).ok()
}

#[test]
fn keys_of_three_kinds_sign_and_the_others_are_passed_over() {
    assert_eq!(keys().names().collect::<Vec<_>>(), ["rsa", "ec", "ed"]);
    assert_eq!(format!("{:?}", keys()), r#"["rsa", "ec", "ed"]"#);
    let body = body().to_string();
    for (key, algorithm, head) in [
        (&PROVIDER.rsa, Algorithm::RS256, r#"{"alg":"RS256","kid":"rsa","typ":"at+jwt","x5t":"x"}"#),
        (&PROVIDER.ec, Algorithm::ES256, r#"{"alg":"ES256","kid":"ec"}"#),
        (&PROVIDER.ed, Algorithm::EdDSA, HEAD),
    ] {
        let token = signed_by(key, algorithm, head, &body);
        let claims = verify(&token).unwrap_or_else(|| panic!("{head}"));
        assert_eq!((claims.text("user"), claims.text("exp"), claims.expires_at.milliseconds()), (Some("u1"), None, 1_795_217_385_000));
        let parsed = Token::parse(token.as_bytes()).unwrap();
        assert_eq!(parsed.claimed_issuer().as_deref(), Some(ISSUER));
        assert_eq!(format!("{parsed:?}"), "Token(..)");
        assert!(keys().has(&parsed.key_name().unwrap()) && !keys().has("shared"));
    }
    // Rotated: two keys of one name for a while.
    let mut twice = PROVIDER.published.clone();
    twice["keys"][1]["kid"] = json!("ed");
    let token = signed(HEAD, &body);
    let token = Token::parse(token.as_bytes()).unwrap();
    assert!(token.verify(&Keys::parse(twice.to_string().as_bytes()).unwrap(), ISSUER, &["portcullis".to_owned()], NOW).is_ok());
}

#[test]
fn what_is_no_set_of_keys_says_so() {
    let many = json!({"keys": vec![PROVIDER.published["keys"][2].clone(); KEYS_MAX + 1]}).to_string();
    let weak = json!({"keys": [{"kty": "RSA", "kid": "a", "n": URL_SAFE_NO_PAD.encode([255; 255]), "e": "AQAB"}]}).to_string();
    let long = format!("{{\"keys\":[{}]}}", " ".repeat(KEYS_BYTES_MAX));
    for (text, error) in [
        ("", KeysError::Form),
        ("[]", KeysError::Form),
        ("<html>", KeysError::Form),
        (r#"{"keys":{}}"#, KeysError::Form),
        (r#"{"keys":[]}"#, KeysError::Nothing),
        (&*weak, KeysError::Nothing),
        (&*many, KeysError::Count),
        (&*long, KeysError::Bytes),
    ] {
        assert_eq!(Keys::parse(text.as_bytes()).unwrap_err(), error, "{}", text.get(..20).unwrap_or(text));
    }
}

#[test]
fn what_a_provider_did_not_sign_is_refused() {
    let body = body().to_string();
    let good = signed(HEAD, &body).into_bytes();
    for index in 0..good.len() {
        for flip in [1, 2, 4, 8, 16, 32, 64, 128] {
            let mut changed = good.clone();
            changed[index] ^= flip;
            let token = Token::parse(&changed);
            let found = token.and_then(|token| token.verify(&keys(), ISSUER, &["portcullis".to_owned()], NOW).ok());
            assert_eq!(found, None, "byte {index}, {flip}");
        }
    }
    let text = String::from_utf8(good).unwrap();
    let head = r#"{"alg":"RS256","kid":"rsa"}"#;
    for bad in [
        signed_by(&PROVIDER.hidden, Algorithm::RS256, head, &body),
        signed_by(&PROVIDER.rsa, Algorithm::RS256, r#"{"alg":"RS256","kid":"ed"}"#, &body),
        // Another algorithm of the same key than the one that is known for it.
        signed_by(&PROVIDER.rsa, Algorithm::RS512, r#"{"alg":"RS512","kid":"rsa"}"#, &body),
        signed_by(&PROVIDER.rsa, Algorithm::PS256, r#"{"alg":"PS256","kid":"rsa"}"#, &body),
        signed_by(&PROVIDER.rsa, Algorithm::RS512, head, &body),
        format!("{text}="),
        format!("{text} "),
        format!(" {text}"),
        format!("{text}.{text}"),
        text.rsplit_once('.').unwrap().0.to_owned(),
        format!("{}.", text.rsplit_once('.').unwrap().0),
        String::new(),
        "..".to_owned(),
        "a.b.c.d.e".to_owned(),
        "A".repeat(TOKEN_BYTES_MAX + 1),
    ] {
        assert_eq!(verify(&bad), None, "{bad}");
    }
}

#[test]
fn no_header_chooses_how_a_token_is_verified() {
    let body = body().to_string();
    // The published keys are no secrets to sign with.
    for secret in [
        PROVIDER.published["keys"][0]["n"].as_str().unwrap().to_owned(),
        PROVIDER.published["keys"][0].to_string(),
        "c2VjcmV0".to_owned(),
        String::new(),
    ] {
        for (alg, kid) in [("HS256", "rsa"), ("HS256", "shared"), ("RS256", "rsa"), ("none", "rsa"), ("", "rsa")] {
            let key = EncodingKey::from_secret(secret.as_bytes());
            let token = signed_by(&key, Algorithm::HS256, &format!(r#"{{"alg":"{alg}","kid":"{kid}"}}"#), &body);
            assert_eq!(verify(&token), None, "{alg} {kid}");
            assert_eq!(verify(&format!("{}.", token.rsplit_once('.').unwrap().0)), None, "{alg} {kid}");
        }
    }
    let long = format!(r#"{{"alg":"EdDSA","kid":"{}"}}"#, "a".repeat(10_000));
    for bad in [
        r#"{"alg":"EdDSA"}"#,
        r#"{"alg":"EdDSA","kid":""}"#,
        r#"{"alg":"EdDSA","kid":null}"#,
        r#"{"alg":"EdDSA","kid":["ed"]}"#,
        r#"{"alg":"EdDSA","kid":"../ed"}"#,
        r#"{"alg":"EdDSA","kid":"ed","kid":"ed"}"#,
        r#"{"alg":"eddsa","kid":"ed"}"#,
        r#"{"alg":"Ed25519","kid":"ed"}"#,
        r#"{"alg":"none","alg":"EdDSA","kid":"ed"}"#,
        r#"{"kid":"ed"}"#,
        r#"{"alg":"EdDSA","kid":"ed","typ":"secevent+jwt"}"#,
        r#"{"alg":"EdDSA","kid":"ed","typ":1}"#,
        r#"{"alg":"EdDSA","kid":"ed","crit":["b64"],"b64":false}"#,
        r#"{"alg":"EdDSA","kid":"ed","b64":true}"#,
        r#"{"alg":"EdDSA","kid":"ed","jku":"https://evil.test"}"#,
        r#"{"alg":"EdDSA","kid":"ed","x5u":"https://evil.test"}"#,
        r#"{"alg":"EdDSA","kid":"ed","jwk":{}}"#,
        r#"{"alg":"EdDSA","kid":"ed","enc":"A128GCM"}"#,
        r#"{"alg":"EdDSA","kid":"ed","cty":"JWT"}"#,
        r#"{"alg":"EdDSA","kid":"ed"} x"#,
        "[]",
        "",
        &*long,
    ] {
        assert_eq!(verify(&signed(bad, &body)), None, "{bad}");
    }
}

#[test]
fn claims_are_read_in_one_way_or_not_at_all() {
    let with = |name: &str, value: Value| {
        let mut body = body();
        body[name] = value;
        signed(HEAD, &body.to_string())
    };
    for name in ["iss", "aud", "exp"] {
        let mut without = body();
        without.as_object_mut().unwrap().remove(name);
        assert_eq!(verify(&signed(HEAD, &without.to_string())), None, "without {name}");
    }
    for name in ["iss", "aud", "exp", "iat", "nbf", "user"] {
        let twice = body().to_string().replacen('{', &format!("{{\"{name}\":{},", body()[name]), 1);
        assert_eq!(verify(&signed(HEAD, &twice)), None, "{name} twice");
    }
    for name in ["exp", "iat", "nbf"] {
        for value in [json!("1795213780"), json!(1_795_213_780.5), json!(-1), json!(null), json!([1]), json!(u64::MAX), json!(i64::MAX)] {
            assert_eq!(verify(&with(name, value.clone())), None, "{name}: {value}");
        }
        let endless = body().to_string().replace(&body()[name].to_string(), "1e400");
        assert_eq!(verify(&signed(HEAD, &endless)), None, "{name}");
    }
    for (name, value, good) in [
        ("iss", json!("https://idp.test/realms/one"), false),
        ("iss", json!("https://idp.test/realms/one//"), false),
        ("iss", json!("HTTPS://idp.test/realms/one/"), false),
        ("iss", json!([ISSUER]), false),
        ("aud", json!("portcullis"), true),
        ("aud", json!(["somebody", "portcullis"]), true),
        ("aud", json!(["somebody"]), false),
        ("aud", json!(["portcullis", 1]), false),
        ("aud", json!([]), false),
        ("aud", json!("portcullis2"), false),
        ("aud", json!({"portcullis": true}), false),
        // A minute for clocks that differ.
        ("nbf", json!(1_795_213_845), true),
        ("nbf", json!(1_795_213_846), false),
        ("iat", json!(1_795_213_846), false),
        // The caller asks whether it has ended.
        ("exp", json!(0), true),
    ] {
        assert_eq!(verify(&with(name, value.clone())).is_some(), good, "{name}: {value}");
    }
    for text in ["", "{}", "[]", "null", "{} x"] {
        assert_eq!(verify(&signed(HEAD, text)), None, "{text}");
    }
}
