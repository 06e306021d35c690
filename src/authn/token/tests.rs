//! A token is what we signed, whole and unchanged, or it is nothing.

use aws_lc_rs::hmac;
use serde_json::{Value, json};

use super::*;

const EPOCH: u64 = 1_795_212_000_000;
const KEY: &str = "9b7653f6f47a42e38055934a0575a813";

fn signer() -> Signer {
    // RFC 8037, appendix A.1.
    let seed = URL_SAFE_NO_PAD.decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A").unwrap();
    Signer::new(KEY.parse().unwrap(), &Secret::new(seed)).unwrap()
}

fn claims() -> Claims {
    Claims {
        subject: "srn:e::f39c460fade34fecb05ede8f904b24b7:::scp-iam:user/efda56a968cd45b2873d9bf5fab58e95".to_owned(),
        user: "efda56a968cd45b2873d9bf5fab58e95".parse().unwrap(),
        account: "f39c460fade34fecb05ede8f904b24b7".parse().unwrap(),
        access_key: "b754b12b39da4ce29a40c5e324650bd0".parse().ok(),
        id: "0b51c3e2a4974f0d8f1c2d3e4f5a6b7c".parse().unwrap(),
        issued_at: Timestamp::from_milliseconds(1_795_213_785_000),
        expires_at: Timestamp::from_milliseconds(1_795_217_385_000),
        epoch: EPOCH,
        sequence: 41,
    }
}

fn verify(token: &str) -> Option<Claims> {
    Token::parse(token.as_bytes())?.verify(&signer().public_key(), EPOCH)
}

fn good() -> String {
    String::from_utf8(signer().sign(&claims()).unwrap().expose().to_vec()).unwrap()
}

/// Header and claims as they stand, truly signed by our key.
fn signed(head: &str, body: &str) -> String {
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(head), URL_SAFE_NO_PAD.encode(body));
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &signer().key, Algorithm::EdDSA).unwrap();
    format!("{message}.{signature}")
}

fn head() -> String {
    format!(r#"{{"typ":"JWT","alg":"EdDSA","kid":"{KEY}"}}"#)
}

fn body() -> Value {
    serde_json::to_value(claims().to_body()).unwrap()
}

#[test]
fn what_was_signed_reads_back() {
    assert_eq!(verify(&good()), Some(claims()));
    assert_eq!(verify(&signed(&head(), &body().to_string())), Some(claims()));
    assert_eq!(Token::parse(good().as_bytes()).unwrap().key.to_string(), KEY);
    assert_eq!(signer().public_key().to_string(), "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
    assert_eq!("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo".parse(), Ok(signer().public_key()));
    assert!(good().len() < 1_000, "{}", good().len());
    for bad in ["", "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo=", "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHUR"] {
        assert!(bad.parse::<PublicKey>().is_err(), "{bad}");
    }
    assert_eq!(Signer::new(KEY.parse().unwrap(), &Secret::new([7; 31])).unwrap_err(), SignError::Key);
}

#[test]
fn every_changed_byte_is_refused() {
    let good = good().into_bytes();
    for index in 0..good.len() {
        for flip in [1, 2, 4, 8, 16, 32, 64, 128] {
            let mut changed = good.clone();
            changed[index] ^= flip;
            let token = Token::parse(&changed);
            assert_eq!(token.and_then(|token| token.verify(&signer().public_key(), EPOCH)), None, "byte {index}, {flip}");
        }
    }
    let text = String::from_utf8(good).unwrap();
    for changed in [
        format!("{text}="),
        format!("{text} "),
        format!(" {text}"),
        format!("{text}."),
        format!("{text}A"),
        format!("Bearer {text}"),
        text.chars().take(text.len() - 1).collect(),
        text.replacen('.', "..", 1),
        text.replace('.', " "),
        text.rsplit_once('.').unwrap().0.to_owned(),
        format!("{}.", text.rsplit_once('.').unwrap().0),
        String::new(),
        "..".to_owned(),
        ".".repeat(4_096),
        "A".repeat(4_097),
    ] {
        assert_eq!(verify(&changed), None, "{changed}");
    }
}

#[test]
fn no_header_chooses_how_a_token_is_verified() {
    let body = body().to_string();
    for bad in [
        r#"{"typ":"JWT","alg":"none","kid":"KEY"}"#,
        r#"{"typ":"JWT","alg":"nOnE","kid":"KEY"}"#,
        r#"{"typ":"JWT","alg":"","kid":"KEY"}"#,
        r#"{"typ":"JWT","alg":"eddsa","kid":"KEY"}"#,
        r#"{"typ":"JWT","alg":"Ed25519","kid":"KEY"}"#,
        r#"{"typ":"JWT","alg":"HS256","kid":"KEY"}"#,
        r#"{"typ":"JWT","alg":"ES256","kid":"KEY"}"#,
        r#"{"typ":"JWT","alg":["EdDSA"],"kid":"KEY"}"#,
        r#"{"typ":"JWT","alg":"\u0045dDSA","kid":"KEY"}"#,
        r#"{"typ":"JWT","alg":"HS256","alg":"EdDSA","kid":"KEY"}"#,
        r#"{"typ":"JWT","kid":"KEY"}"#,
        r#"{"typ":"JWT","alg":"EdDSA"}"#,
        r#"{"alg":"EdDSA","kid":"KEY"}"#,
        r#"{"typ":"jwt","alg":"EdDSA","kid":"KEY"}"#,
        r#"{"typ":"at+jwt","alg":"EdDSA","kid":"KEY"}"#,
        r#"{"typ":"JWT","alg":"EdDSA","kid":"../KEY"}"#,
        r#"{"typ":"JWT","alg":"EdDSA","kid":""}"#,
        r#"{"typ":"JWT","alg":"EdDSA","kid":null}"#,
        r#"{"typ":"JWT","alg":"EdDSA","kid":"KEY","kid":"KEY"}"#,
        r#"{"typ":"JWT","alg":"EdDSA","kid":"KEY","crit":["b64"],"b64":false}"#,
        r#"{"typ":"JWT","alg":"EdDSA","kid":"KEY","jku":"https://evil.test"}"#,
        r#"{"typ":"JWT","alg":"EdDSA","kid":"KEY","x5u":"https://evil.test"}"#,
        r#"{"typ":"JWT","alg":"EdDSA","kid":"KEY","cty":"JWT"}"#,
        r#"{"typ":"JWT","alg":"EdDSA","kid":"KEY","jwk":{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}}"#,
        r#"{"typ":"JWT","alg":"EdDSA","kid":"KEY"} x"#,
        "\u{feff}{}",
        "{}",
        "",
    ] {
        assert!(Token::parse(signed(&bad.replace("KEY", KEY), &body).as_bytes()).is_none(), "{bad}");
    }
    let long = format!(r#"{{"typ":"JWT","alg":"EdDSA","kid":"{}"}}"#, "a".repeat(10_000));
    assert!(Token::parse(signed(&long, &body).as_bytes()).is_none());
}

#[test]
fn the_public_key_is_no_secret_to_sign_with() {
    let public = signer().public_key();
    for secret in [public.0.to_vec(), public.to_string().into_bytes(), Vec::new()] {
        for alg in ["HS256", "EdDSA", "none"] {
            let head = format!(r#"{{"typ":"JWT","alg":"{alg}","kid":"{KEY}"}}"#);
            let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(head), URL_SAFE_NO_PAD.encode(body().to_string()));
            let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &secret), message.as_bytes());
            for signature in [URL_SAFE_NO_PAD.encode(mac), URL_SAFE_NO_PAD.encode([0; 64]), String::new()] {
                assert_eq!(verify(&format!("{message}.{signature}")), None, "{alg}");
            }
        }
    }
    // What another key signed, under our key's name.
    let other = Signer::new(KEY.parse().unwrap(), &Secret::new([7; 32])).unwrap();
    let token = String::from_utf8(other.sign(&claims()).unwrap().expose().to_vec()).unwrap();
    assert_eq!(verify(&token), None);
    assert!(Token::parse(token.as_bytes()).unwrap().verify(&other.public_key(), EPOCH).is_some());
    assert!(Token::parse(token.as_bytes()).unwrap().verify(&other.public_key(), EPOCH + 1).is_none());
}

#[test]
fn what_is_not_exactly_a_token_of_ours_is_refused() {
    let with = |name: &str, value: Value| {
        let mut body = body();
        body[name] = value;
        signed(&head(), &body.to_string())
    };
    for name in ["iss", "aud", "sub", "jti", "iat", "exp", "account", "key", "revision"] {
        let mut without = body();
        without.as_object_mut().unwrap().remove(name);
        assert_eq!(verify(&signed(&head(), &without.to_string())), None, "without {name}");
        let twice = body().to_string().replacen('{', &format!("{{\"{name}\":{},", body()[name]), 1);
        assert_eq!(verify(&signed(&head(), &twice)), None, "{name} twice");
        for value in [json!(null), json!(""), json!([]), json!({}), json!(-1), json!(1.5), json!(true), json!([body()[name]])] {
            assert_eq!(verify(&with(name, value.clone())), None, "{name}: {value}");
        }
    }
    for (name, value) in [
        ("iss", json!("portcullis")),
        ("iss", json!("portcullis/1795212000001")),
        ("iss", json!("portcullis/01795212000000")),
        ("iss", json!("portcullis/1795212000000/")),
        ("aud", json!("other")),
        ("aud", json!(["portcullis", "other"])),
        ("exp", json!("1795217385")),
        ("exp", json!(1_795_217_385.0)),
        ("exp", json!(u64::MAX)),
        ("iat", json!(u64::MAX)),
        ("revision", json!("1795212000001.41")),
        ("revision", json!("file.000102abcdef")),
        ("revision", json!("41")),
        ("account", json!("F39C460FADE34FECB05EDE8F904B24B7")),
        ("key", json!("b754b12b39da4ce29a40c5e324650bd")),
        ("jti", json!("../0b51c3e2a4974f0d8f1c2d3e4f5a6b7")),
        ("sub", json!("srn:e::f39c460fade34fecb05ede8f904b24b8:::scp-iam:user/efda56a968cd45b2873d9bf5fab58e95")),
        ("sub", json!("srn:e::f39c460fade34fecb05ede8f904b24b7:::scp-iam:group/efda56a968cd45b2873d9bf5fab58e95")),
        ("nbf", json!(0)),
        ("policy", json!("{}")),
    ] {
        assert_eq!(verify(&with(name, value.clone())), None, "{name}: {value}");
    }
    let exp = signed(&head(), &body().to_string().replace("1795217385", "1e400"));
    assert_eq!(verify(&exp), None);
    for text in ["", "{}", "[]", "null", "{} x"] {
        assert_eq!(verify(&signed(&head(), text)), None, "{text}");
    }
}

#[test]
fn debug_shows_neither_token_nor_key() {
    let token = good();
    let shown = format!("{:?} {:?}", Token::parse(token.as_bytes()).unwrap(), signer());
    assert_eq!(shown, format!("Token(.. under {KEY}) Signer({KEY})"));
}

#[test]
fn a_token_of_a_console_login_names_no_key() {
    let console = Claims { access_key: None, ..claims() };
    let token = String::from_utf8(signer().sign(&console).unwrap().expose().to_vec()).unwrap();
    assert_eq!(verify(&token), Some(console));
}
