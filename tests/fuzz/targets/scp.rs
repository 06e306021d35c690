//! The parts of a signed request, a line each: dialect, target, time, key, scope, client type. If they are well-formed, what is signed over them
//! verifies, and no other cut of the signed string does, in any dialect. Every key has a secret of its own: digits at a target's end can be
//! cut off as another key's id, which then would have to have signed.

#![no_main]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use libfuzzer_sys::fuzz_target;
use portcullis::authn::scp::{Credential, Presented, Signatures, Signed};
use portcullis::types::{Secret, SigningKey};

const HEAD: &str = "GEThttp://iam.test";

/// The headers of time, key, scope, client type and signature.
const DIALECTS: [[&str; 5]; 3] = [
    ["scp-timestamp", "scp-accesskey", "scp-accountid", "scp-clienttype", "scp-signature"],
    ["x-cmp-timestamp", "x-cmp-accesskey", "x-cmp-projectid", "x-cmp-clienttype", "x-cmp-signature"],
    ["svtimestamp", "svaccesskey", "", "svclienttype", "svsignature"],
];

fn signing_key(access_key: &str) -> SigningKey {
    SigningKey::new(&Secret::new(format!("the secret of {access_key}").into_bytes()))
}

fuzz_target!(|text: &str| {
    let mut lines = text.splitn(6, '\n');
    let Some(dialect) = lines.next().and_then(|text| DIALECTS.get(text.parse::<usize>().ok()?)) else { return };
    let (Some(target), Some(time), Some(key), Some(scope), Some(client)) =
        (lines.next(), lines.next(), lines.next(), lines.next(), lines.next())
    else {
        return;
    };
    // The Secret Vault's signature has no scope to write.
    if dialect[2].is_empty() && !scope.is_empty() || text.len() > 1_024 {
        return;
    }
    // An id that ends with the very time of the signature; ids are random.
    if key.ends_with(time) {
        return;
    }
    let string = format!("{HEAD}{target}{time}{key}{scope}{client}");
    let signature = STANDARD.encode(signing_key(key).mac(string.as_bytes()));
    if !verifies(dialect, target, [time, key, scope, client, &signature]) {
        return;
    }
    for other in &DIALECTS {
        for end in HEAD.len()..=string.len() {
            let Some((other_target, rest)) = string.get(HEAD.len()..end).zip(string.get(end..)) else { continue };
            for chars in [0, 5, 6, 7, 8, 9] {
                let cut = rest.len().checked_sub(chars).filter(|cut| rest.is_char_boundary(*cut));
                let (Some(before), Some(after)) = (cut.and_then(|cut| rest.get(..cut)), cut.and_then(|cut| rest.get(cut..))) else {
                    continue;
                };
                let (Some(time), Some(key), Some(scope)) = (before.get(..13), before.get(13..45), before.get(45..)) else { continue };
                if !other[2].is_empty() || scope.is_empty() {
                    let same = other_target == target;
                    assert!(!verifies(other, other_target, [time, key, scope, after, &signature]) || same, "{other:?} {other_target}");
                }
            }
        }
    }
});

fn verifies(dialect: &[&str; 5], target: &str, fields: [&str; 5]) -> bool {
    let mut signatures = Signatures::default();
    for (name, value) in dialect.iter().zip(&fields) {
        signatures.take(name, value.as_bytes());
    }
    let Presented::One(headers) = signatures.presented() else { panic!("{dialect:?} is not presented") };
    let signed = Signed { method: "GET", scheme: "http", host: "iam.test", target };
    Credential::parse(&headers).is_ok_and(|credential| credential.verify(&signing_key(fields[1]), &signed))
}
