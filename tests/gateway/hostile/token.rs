//! Tokens of any header, any claims and any signature.

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Map, Value};

use crate::tokens;

/// What the control plane's key was made of, and one that nobody knows.
const OURS: [u8; 32] = [1; 32];
const STRANGERS: [u8; 32] = [9; 32];
/// What stands before the 32 bytes of an Ed25519 key in a public key's DER (RFC 8410, section 4).
const DER_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// A token in the making: it begins as a good one. Members are names and raw JSON, so that they can stand twice and be anything.
pub(super) struct Draft {
    head: Vec<(String, String)>,
    claims: Vec<(String, String)>,
    key: &'static str,
    form: &'static str,
}

impl Draft {
    pub(super) fn good() -> Self {
        Self::of(&tokens::token())
    }

    /// A token that was good before its access key was removed.
    pub(super) fn revoked() -> Self {
        let mut draft = Self::good();
        draft.change("claim", "key \"dead0000000000000000000000000001\"");
        draft
    }

    fn of(token: &str) -> Self {
        let members = |part: &str| {
            let members: Map<String, Value> = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
            members.into_iter().map(|(name, value)| (name, value.to_string())).collect()
        };
        let parts: Vec<&str> = token.split('.').collect();
        Self { head: members(parts[0]), claims: members(parts[1]), key: "ours", form: "{t}" }
    }

    /// `head NAME JSON` sets a member of the header, `claim NAME JSON` a claim, `-` for JSON takes it away, `head+` and `claim+` add
    /// it once more; `key KIND` is what signs, `form TEXT` what is made of header `{h}`, claims `{c}`, signature `{s}` and token `{t}`.
    pub(super) fn change(&mut self, what: &str, how: &'static str) {
        let list = match what {
            "head" | "head+" => &mut self.head,
            "claim" | "claim+" => &mut self.claims,
            "key" => return self.key = how,
            "form" => return self.form = how,
            other => panic!("`{other}` changes no token"),
        };
        let (name, json) = how.split_once(' ').unwrap();
        let own = public_text(&STRANGERS);
        let json = json.replace("STRANGER", &own);
        if !what.ends_with('+') {
            list.retain(|(found, _)| found != name);
        }
        if json != "-" {
            list.push((name.to_owned(), json));
        }
    }

    pub(super) fn text(&self) -> String {
        let part = |members: &[(String, String)]| {
            let members: Vec<String> = members.iter().map(|(name, json)| format!("\"{name}\":{json}")).collect();
            URL_SAFE_NO_PAD.encode(format!("{{{}}}", members.join(",")))
        };
        let (head, claims) = (part(&self.head), part(&self.claims));
        let message = format!("{head}.{claims}");
        let signature = URL_SAFE_NO_PAD.encode(self.signature(message.as_bytes()));
        let whole = format!("{message}.{signature}");
        let form = self.form.replace("{t}", &whole).replace("{T}", &whole.to_uppercase());
        form.replace("{h}", &head).replace("{c}", &claims).replace("{s}", &signature)
    }

    fn signature(&self, message: &[u8]) -> Vec<u8> {
        let mac = |secret: &[u8]| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message).as_ref().to_vec();
        match self.key {
            "ours" => pair(&OURS).sign(message).as_ref().to_vec(),
            "strangers" => pair(&STRANGERS).sign(message).as_ref().to_vec(),
            "none" => Vec::new(),
            "zeros" => vec![0; 256],
            "mac by the public key" => mac(public_text(&OURS).as_bytes()),
            "mac by its PEM" => {
                let der = [&DER_PREFIX[..], pair(&OURS).public_key().as_ref()].concat();
                mac(format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(der)).as_bytes())
            }
            other => panic!("`{other}` signs nothing"),
        }
    }
}

fn pair(seed: &[u8; 32]) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(seed).unwrap()
}

fn public_text(seed: &[u8; 32]) -> String {
    URL_SAFE_NO_PAD.encode(pair(seed).public_key())
}
