//! `token_issuers`: identity providers of others whose tokens count here.

use std::collections::HashSet;
use std::time::Duration;

use http::Uri;

use crate::source::{Cursor, Value};
use crate::types::AccountId;

/// Most issuers.
const ISSUERS_MAX: usize = 32;
/// Most audiences, and most accounts, of one.
const LISTED_MAX: usize = 64;
/// Longest text.
const TEXT_BYTES_MAX: usize = 512;

/// An identity provider whose tokens count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenIssuer {
    /// The `iss` of its tokens, compared byte by byte.
    pub issuer: String,
    /// The `aud` of tokens for us: one of these.
    pub audiences: Vec<String>,
    /// Where it publishes its keys.
    pub keys_url: String,
    /// The accounts whose users its tokens may name.
    pub accounts: Vec<AccountId>,
    /// The claim that holds the id of the user.
    pub user_claim: String,
    /// How often the keys are fetched.
    pub refresh: Duration,
}

/// Reads the list.
pub(super) fn token_issuers(cursor: &Cursor<'_>) -> Option<Vec<TokenIssuer>> {
    let mut seen = HashSet::new();
    let issuers = cursor.list(|value| {
        let issuer = TokenIssuer::decode(&value)?;
        if !seen.insert(issuer.issuer.clone()) {
            value.error_hint(format!("`{}` stands here twice", issuer.issuer), "name all its audiences and accounts in one entry");
            return None;
        }
        Some(issuer)
    })?;
    if issuers.len() > ISSUERS_MAX {
        cursor.error(format!("{} issuers; there may be {ISSUERS_MAX}", issuers.len()));
        return None;
    }
    Some(issuers)
}

impl TokenIssuer {
    fn decode(cursor: &Cursor<'_>) -> Option<Self> {
        let table = cursor.table()?;
        let hint = "write `issuer:` and the exact `iss` of its tokens, such as `https://idp.example.com/realms/main`";
        let issuer = table.required("issuer", hint, |value| url(&value, hint));
        let hint = "write `audience: portcullis`, or a list: what its tokens for this gateway have in `aud`";
        let audiences = table.required("audience", hint, |value| texts(&value, hint));
        let hint = "write `keys:` and the `jwks_uri` of its `/.well-known/openid-configuration`";
        let keys_url = table.required("keys", hint, |value| url(&value, hint));
        let hint = "write `accounts: [ID]`: the accounts whose users its tokens may name";
        let accounts = table.required("accounts", hint, |value| {
            let accounts = value.list(|account| account.parse(hint))?;
            listed(&value, accounts, hint)
        });
        let user_claim =
            table.or("user_claim", "sub".to_owned(), |value| text(&value, "write the name of the claim that holds the user's id"));
        let refresh = table.or("refresh_s", 300, |value| value.integer(10..=86_400, "seconds"));
        table.finish()?;
        Some(Self {
            issuer: issuer?,
            audiences: audiences?,
            keys_url: keys_url?,
            accounts: accounts?,
            user_claim: user_claim?,
            refresh: Duration::from_secs(refresh?),
        })
    }
}

fn text(cursor: &Cursor<'_>, hint: &str) -> Option<String> {
    let text = cursor.string()?;
    if text.is_empty() || text.len() > TEXT_BYTES_MAX || text.chars().any(char::is_control) {
        cursor.error_hint(format!("it must have 1 to {TEXT_BYTES_MAX} bytes, no control characters"), hint);
        return None;
    }
    Some(text)
}

/// One text, or a list of them.
fn texts(cursor: &Cursor<'_>, hint: &str) -> Option<Vec<String>> {
    if matches!(cursor.node().value, Value::List(_)) {
        listed(cursor, cursor.list(|value| text(&value, hint))?, hint)
    } else {
        text(cursor, hint).map(|one| vec![one])
    }
}

fn listed<T>(cursor: &Cursor<'_>, list: Vec<T>, hint: &str) -> Option<Vec<T>> {
    if (1..=LISTED_MAX).contains(&list.len()) {
        return Some(list);
    }
    cursor.error_hint(format!("{} stand here; there must be 1 to {LISTED_MAX}", list.len()), hint);
    None
}

/// SECURITY: without TLS anybody on the way could publish keys of their own.
fn url(cursor: &Cursor<'_>, hint: &str) -> Option<String> {
    let text = text(cursor, hint)?;
    let parsed = text.parse::<Uri>().ok();
    let host = parsed.as_ref().and_then(Uri::host).unwrap_or_default();
    let here = matches!(host, "127.0.0.1" | "[::1]" | "localhost");
    let good = match parsed.as_ref().and_then(Uri::scheme_str) {
        Some("https") => !host.is_empty(),
        Some("http") => here,
        Some(_) | None => false,
    };
    if !good || text.contains('@') {
        cursor.error_hint(format!("`{text}` is not an `https://` URL"), hint);
        return None;
    }
    Some(text)
}
