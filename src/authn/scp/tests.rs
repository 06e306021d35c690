//! A signature is over exactly this request, or it does not verify; the fields of the signed string have one reading.

use super::*;
use crate::types::Secret;
use proptest::prelude::*;

const DIALECTS: [Dialect; 3] = [Dialect::V2, Dialect::Classic, Dialect::SecretVault];
const FIELDS: [Field; 5] = [Field::Timestamp, Field::AccessKey, Field::Scope, Field::ClientType, Field::Signature];
const HOST: &str = "127.0.0.1:18080";

const ACCESS: &str = "b754b12b39da4ce29a40c5e324650bd0";
const ACCOUNT: &str = "f39c460fade34fecb05ede8f904b24b7";
const PROJECT: &str = "PROJECT-sVnjB8Jar0qPYSoODCWmjj";

fn key() -> SigningKey {
    SigningKey::new(&Secret::new(b"c4150149-f7c6-46bc-9faa-d2b9d20e0899".to_vec()))
}

/// The headers of a signature, as a request's head has them. Only an absent scope is left out.
fn collect<'a>(dialect: Dialect, fields: [&'a str; 5]) -> Signatures<'a> {
    let mut signatures = Signatures::default();
    for (field, value) in FIELDS.into_iter().zip(fields) {
        if field != Field::Scope || !value.is_empty() {
            signatures.take(&dialect.name(field).to_ascii_lowercase(), value.as_bytes());
        }
    }
    signatures
}

fn parse<'a>(signatures: &Signatures<'a>) -> Result<Credential<'a>, String> {
    match signatures.presented() {
        Presented::One(headers) => Credential::parse(&headers).map_err(|error| error.to_string()),
        other @ (Presented::Nothing | Presented::Several(..)) => Err(format!("{other:?}")),
    }
}

fn verifies(dialect: Dialect, method: &str, host: &str, target: &str, fields: [&str; 5]) -> bool {
    parse(&collect(dialect, fields)).is_ok_and(|credential| credential.verify(&key(), &Signed { method, scheme: "http", host, target }))
}

/// Measured with the vendor's Go SDK v1.0.2 (wire-formats 1.2).
const VECTORS: [(&str, &str, &str, &str, &str); 8] = [
    ("GET", "/v1/endpoints", "1795213784687", "", "vmO1xxCFWyxKxKGwPA5oUQ9gcMdAtcvnkH2XJmlhYXg="),
    (
        "GET",
        "/v1/groups?name=%ED%95%9C%EA%B8%80+A%2Bb%26c%3D%5Bx%5D&page=0&size=20&sort=created_at%3Adesc",
        "1795213784692",
        "",
        "k2/Y/SZ8CS54H+S5SOL1Bd5KH93uqjSke378hiO7HwY=",
    ),
    ("GET", "/v1/groups/a%20b%2Fc%ED%95%9C", "1795213784695", ACCOUNT, "IMyRQYvplpdCoHj+Ng/M9Qk5bpMgIKtHC+EUZOUfwI4="),
    ("POST", "/v1/policies", "1795213784739", "", "pqxwZ2hi0pK67a5fz3TFETb8u+O0h9BEncePbMKrStI="),
    ("POST", "/v1/access-keys", "1795213784783", "", "tvQH2qnp7/aujrUemkENUTWfteRkWM821XG+kRR0Vi8="),
    ("POST", "/v1/access-keys/send-otp", "1795213784827", "", "RT7XY/XgzrueBdyiQF/eFbQJhdVwmVJ/X+pji2J4j94="),
    (
        "DELETE",
        "/v1/resource-policies/c3JuOmU6OjEyMzQ6OjppYW06dXNlci9hPT8=",
        "1795213784871",
        "",
        "0JxvSvihKRIVZJK2rL6CNCWCOBPqlunjVF5UnG6nH9U=",
    ),
    ("GET", "/v1/policies?policy_type=iam.PolicyType1+value", "1795213784919", "", "cCa/ppkViGiT9smO3N4GNao7QayYvv2dbURsDOq1Wp8="),
];

/// Made with another HMAC, of what wire-formats 1.4 says is signed.
const CLASSIC_VECTORS: [(&str, &str, &str, &str, &str); 4] = [
    ("GET", "/v1/endpoints", "1795213784687", PROJECT, "JF80yVh09iFBejYp/foef9HQPYAMpCfOz/A4Sqoverw="),
    (
        "GET",
        "/v1/groups?name=%ED%95%9C%EA%B8%80+A%2Bb%26c%3D%5Bx%5D&page=0&size=20&sort=created_at%3Adesc",
        "1795213784692",
        PROJECT,
        "11WWQYcT7nOUiW8LMcBX5Gcw7ULDHP0kpoVRr4DY9R0=",
    ),
    ("DELETE", "/v1/groups/a%20b%2Fc%ED%95%9C", "1795213784695", "", "husOkeubPitRwVjwAzrUBgvbBSXcfL06pdUgeikBvmw="),
    ("POST", "/v1/policies", "1795213784739", "PROJECT-a_b-9", "eYWNisOUPtJmyoGziUCdyeTC8mscKSQvLa4EevHT6Tg="),
];

/// All vectors: dialect, method, target and fields.
fn vectors() -> impl Iterator<Item = (Dialect, &'static str, &'static str, [&'static str; 5])> {
    let of = |dialect: Dialect, (method, target, timestamp, scope, signature): (_, _, _, _, _)| {
        (dialect, method, target, [timestamp, ACCESS, scope, dialect.client_type(), signature])
    };
    let v2 = VECTORS.into_iter().map(move |vector| of(Dialect::V2, vector));
    let vault = VECTORS.into_iter().filter(|vector| vector.3.is_empty()).map(move |vector| of(Dialect::SecretVault, vector));
    v2.chain(vault).chain(CLASSIC_VECTORS.into_iter().map(move |vector| of(Dialect::Classic, vector)))
}

#[test]
fn the_vectors_verify_in_their_dialect() {
    for (dialect, method, target, fields) in vectors() {
        assert!(verifies(dialect, method, HOST, target, fields), "{dialect:?} {method} {target}");
        for other in DIALECTS {
            let [timestamp, access, scope, _, signature] = fields;
            let fields = [timestamp, access, scope, other.client_type(), signature];
            // The Secret Vault signs what v2 signs.
            let same = other == dialect || (scope.is_empty() && other.client_type() == dialect.client_type());
            assert_eq!(verifies(other, method, HOST, target, fields), same, "{dialect:?} as {other:?}: {method} {target}");
        }
    }
}

#[test]
fn exactly_one_signature_is_presented() {
    let [v2, classic, vault] = DIALECTS;
    for (names, expected) in [
        (vec![], "Nothing"),
        (vec!["scp-clienttype", "x-cmp-projectid", "svclienttype", "x-cmp-userid"], "Nothing"),
        (vec!["scp-accesskey"], "V2"),
        (vec!["svsignature", "scp-timestamp", "x-cmp-timestamp", "x-cmp-projectid"], "SecretVault"),
        (vec!["x-cmp-accesskey", "svtimestamp"], "Classic"),
        (vec!["x-cmp-timestamp"], "Classic"),
        (vec!["x-cmp-signature", "scp-accesskey"], "Several V2 Classic"),
        (vec!["x-cmp-signature", "svaccesskey"], "Several Classic SecretVault"),
    ] {
        let mut signatures = Signatures::default();
        for name in &names {
            signatures.take(name, b"");
        }
        let found = match signatures.presented() {
            Presented::Nothing => "Nothing".to_owned(),
            Presented::One(headers) => format!("{:?}", headers.dialect()),
            Presented::Several(one, other) => format!("Several {one:?} {other:?}"),
        };
        assert_eq!(found, expected, "{names:?}");
    }
    for dialect in [v2, classic, vault] {
        for field in FIELDS.into_iter().filter(|field| dialect != vault || *field != Field::Scope) {
            let mut signatures = collect(dialect, ["1795213784687", ACCESS, "", dialect.client_type(), VECTORS[0].4]);
            assert!(parse(&signatures).is_ok());
            signatures.take(&dialect.name(field).to_ascii_lowercase(), b"");
            signatures.take(&dialect.name(field).to_ascii_lowercase(), b"");
            assert_eq!(parse(&signatures), Err(format!("`{}` stands twice", dialect.name(field))));
        }
    }
}

#[test]
fn fields_not_in_their_exact_form_are_malformed() {
    let signature = VECTORS[0].4;
    let short = signature.trim_end_matches('=').to_owned();
    let long_project = format!("PROJECT-{}", "a".repeat(45));
    for (dialect, field, values) in [
        (None, 0, &["179521378468", "17952137846870", "0795213784687", "+795213784687", "1795213784 87", ""][..]),
        (None, 1, &["B754b12b39da4ce29a40c5e324650bd0", "", "b754b12b39da4ce29a40c5e324650bd"]),
        (Some(Dialect::V2), 2, &["1234", "F39c460fade34fecb05ede8f904b24b7", PROJECT]),
        (
            Some(Dialect::Classic),
            2,
            &["1234", ACCOUNT, "PROJECT-", "project-a", "PROJECT-a b", "PROJECT-a.b", "PROJECT-\u{e9}", " PROJECT-a"],
        ),
        (Some(Dialect::Classic), 2, &[&long_project]),
        (None, 3, &["openapi", "", "Openapi ", "OPENAPI", "OpenApI"]),
        (Some(Dialect::V2), 3, &["OpenApi"]),
        (Some(Dialect::Classic), 3, &["Openapi"]),
        (Some(Dialect::SecretVault), 3, &["OpenApi"]),
        (None, 4, &["", &short, "vmO1xxCFWyxKxKGwPA5oUQ9gcMdAtcvnkH2XJmlhYXh=", "vmO1xxCFWyxKxKGwPA5oUQ9gcMdAtcvnkH2XJmlhYXg=="]),
    ] {
        for dialect in DIALECTS.into_iter().filter(|one| dialect.is_none_or(|dialect| dialect == *one)) {
            for value in values {
                let mut fields = ["1795213784687", ACCESS, "", dialect.client_type(), signature];
                fields[field] = value;
                let error = parse(&collect(dialect, fields)).unwrap_err();
                assert!(error.starts_with(&format!("`{}` must be ", dialect.name(FIELDS[field]))), "{dialect:?} {value:?}: {error}");
            }
        }
    }
    let longest = format!("PROJECT-{}", "a".repeat(44));
    assert!(parse(&collect(Dialect::Classic, ["1795213784687", ACCESS, &longest, "OpenApi", signature])).is_ok());
}

/// Every place where the signed string can be cut, given the lengths of timestamp, key and client type: one reading of it verifies. With v2 the
/// account may also be where the key was, but then another key is named, from the target's end, and its secret is not this one.
#[test]
fn no_other_cut_of_a_signed_string_verifies() {
    let inside = format!("1795213784687{ACCESS}");
    for dialect in DIALECTS {
        for scope in ["", ACCOUNT, PROJECT] {
            for more in [
                &"9".repeat(80),
                "",
                "0",
                "1795213784687",
                &inside,
                &format!("{inside}{ACCOUNT}"),
                &format!("{inside}{PROJECT}"),
                &format!("{inside}PROJECT-a"),
            ] {
                let target = format!("/v1/volumes/1?x={more}");
                let string = format!("GEThttp://{HOST}{target}1795213784692{ACCESS}{scope}{}", dialect.client_type());
                let signature = STANDARD.encode(key().mac(string.as_bytes()));
                let (head, client) = (format!("GEThttp://{HOST}").len(), string.len() - dialect.client_type().len());
                let readings = (head..client - 44).filter(|cut| {
                    let key = &string[cut + 13..cut + 45];
                    let fields = [&string[*cut..cut + 13], key, &string[cut + 45..client], dialect.client_type(), &signature];
                    let found = verifies(dialect, "GET", HOST, &string[head..*cut], fields);
                    assert!(!found || key == ACCESS || string[cut + 45..client] == *ACCESS, "{dialect:?} {string}");
                    found && key == ACCESS
                });
                let expected = match dialect {
                    Dialect::V2 => scope != PROJECT,
                    Dialect::Classic => scope != ACCOUNT,
                    Dialect::SecretVault => scope.is_empty(),
                };
                assert_eq!(readings.count(), usize::from(expected), "{dialect:?} {scope} {target}");
            }
        }
    }
}

/// Every byte of every part of a vector, changed to every other ASCII byte: 200,000 requests that are not what was signed.
#[test]
fn no_single_changed_byte_verifies() {
    let mut count = 0;
    for (dialect, method, target, fields) in vectors().step_by(3) {
        let [timestamp, access, scope, client, signature] = fields;
        let parts = [method, HOST, target, timestamp, access, scope, client, signature];
        for (index, part) in parts.iter().enumerate() {
            for place in 0..part.len() {
                for byte in (0..128).filter(|byte| *byte != part.as_bytes()[place]) {
                    let mut changed = part.as_bytes().to_vec();
                    changed[place] = byte;
                    let mut parts = parts;
                    let changed = String::from_utf8(changed).unwrap();
                    parts[index] = &changed;
                    let [method, host, target, timestamp, access, scope, client, signature] = parts;
                    let found = verifies(dialect, method, host, target, [timestamp, access, scope, client, signature]);
                    assert!(!found, "{dialect:?} {parts:?}");
                    count += 1;
                }
            }
        }
    }
    assert!(count > 100_000, "{count}");
}

/// The six signed fields of a true request.
fn fields() -> impl Strategy<Value = (String, String, String, i64)> {
    let target = "(/[a-z0-9]{1,8}){1,4}(\\?[a-z]=[a-z0-9+]{0,6})?";
    ("(GET|POST|PUT|DELETE|PATCH)", "[a-z]{1,8}(\\.[a-z]{1,5})?(:[0-9]{2,5})?", target, 1_000_000_000_000i64..9_999_999_999_999)
        .prop_map(|(method, host, target, time)| (method, host, target, time))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    /// Cut the very string that was signed at other places: never a second reading of it that verifies.
    #[test]
    fn moved_bytes_never_verify((method, host, target, time) in fields(), dialect in prop::sample::select(&DIALECTS[..]), scoped in any::<bool>(), moves in prop::array::uniform5(-14isize..=14)) {
        let access: AccessKeyId = ACCESS.parse().unwrap();
        let scope = match dialect {
            Dialect::V2 if scoped => ACCOUNT,
            Dialect::Classic if scoped => PROJECT,
            Dialect::V2 | Dialect::Classic | Dialect::SecretVault => "",
        };
        let client = dialect.client_type();
        let timestamp = time.to_string();
        let signed = Signed { method: &method, scheme: "http", host: &host, target: &target };
        let mac = string_to_sign_mac(&key(), &signed, timestamp.as_bytes(), access, scope.as_bytes(), dialect);
        let signature = STANDARD.encode(mac);
        prop_assert!(verifies(dialect, &method, &host, &target, [&timestamp, ACCESS, scope, client, &signature]));

        let string = format!("{method}http://{host}{target}{timestamp}{ACCESS}{scope}{client}");
        let mut cuts: Vec<usize> = Vec::new();
        let mut at = 0;
        for length in [method.len() + "http://".len() + host.len() + target.len(), timestamp.len(), ACCESS.len(), scope.len()] {
            at += length;
            cuts.push(at);
        }
        // The method and host stay: the target's start is the earliest place for the first cut.
        let head = method.len() + "http://".len() + host.len();
        let mut moved: Vec<usize> =
            cuts.iter().zip(moves).map(|(cut, by)| cut.saturating_add_signed(by).clamp(head, string.len())).collect();
        moved.sort_unstable();
        if moved == cuts {
            return Ok(());
        }
        let mut pieces = Vec::new();
        let mut from = 0;
        for to in moved.into_iter().chain([string.len()]) {
            pieces.push(&string[from..to]);
            from = to;
        }
        let other = &pieces[0][head..];
        let [_, timestamp, access, scope, client] = pieces[..] else { panic!("five pieces") };
        prop_assert!(!verifies(dialect, &method, &host, other, [timestamp, access, scope, client, &signature]));
    }

    /// Change one byte of anything: never verifies.
    #[test]
    fn changed_bytes_never_verify((method, host, target, time) in fields(), place in any::<prop::sample::Index>(), flip in 1u8..128) {
        let access: AccessKeyId = ACCESS.parse().unwrap();
        let timestamp = time.to_string();
        let signed = Signed { method: &method, scheme: "http", host: &host, target: &target };
        let signature = sign(&key(), access, &signed, Timestamp::from_milliseconds(time));
        let mut parts = [method.clone(), host.clone(), target.clone(), timestamp, ACCESS.to_owned(), "Openapi".to_owned(), signature];
        let total: usize = parts.iter().map(String::len).sum();
        let mut index = place.index(total);
        for part in &mut parts {
            if index < part.len() {
                let mut bytes = part.clone().into_bytes();
                bytes[index] = (bytes[index] ^ flip) & 0x7F;
                prop_assume!(bytes != part.as_bytes());
                *part = String::from_utf8(bytes).unwrap();
                break;
            }
            index -= part.len();
        }
        let [method, host, target, timestamp, access, client, signature] = &parts;
        prop_assert!(!verifies(Dialect::V2, method, host, target, [timestamp, access, "", client, signature]));
    }
}
