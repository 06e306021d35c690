//! What a worker remembers of the credentials that it verified, so that the same work is not done for each request.
//!
//! SECURITY: what is remembered is work, never an answer. A token's signature need not be verified a second time; whether the token
//! may still be used, the snapshot says each time (tests: `a_token_is_checked_again_with_every_snapshot`,
//! `a_token_is_remembered_as_it_is_and_only_under_its_key_and_epoch`). The key of an AWS scope is derived again for whatever is not true, after something
//! remembered was tried, so that this costs the same whether the access key is unknown, known, or in daily use; and only what was true is
//! remembered (test: `what_is_not_true_is_never_remembered_nor_answered_from_memory`).

use std::cell::{Cell, RefCell};
use std::fmt;
use std::hash::BuildHasher as _;
use std::rc::Rc;
use std::sync::Arc;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use foldhash::quality::FixedState;

use super::issuers::{Issuer, Published};
use super::session::Session;
use crate::authn::oidc;
use crate::authn::sigv4::{Key, Scope};
use crate::authn::token::{Claims, PublicKey};
use crate::snapshot::Definitions;
use crate::types::{Secret, SigningKey, TokenKeyId};

/// How many tokens a worker remembers: about 3 megabytes of ours, at most 16.
const TOKENS_MAX: usize = 4_096;
/// How many tokens of identity providers a worker remembers: at most some 30 megabytes, if they are as long as they may be.
const ISSUED_MAX: usize = 1_024;
/// How many keys of scopes a worker remembers: about 2 megabytes.
const DERIVED_MAX: usize = 4_096;
/// How many sessions of roles a worker remembers: about 5 megabytes, at most some 150 if all have policies as large as are kept.
const SESSIONS_MAX: usize = 2_048;
/// How much of a token's end finds it: no signature is shorter, and 24 bytes of one are beyond guessing.
const TAIL_BYTES: usize = 32;
/// How many entries share a row: a new one takes the place of one of these.
const WAYS: usize = 4;

/// What one worker remembers.
pub struct Remembered {
    /// Tokens of ours, with the keys that verified them.
    pub(super) tokens: Tokens<(TokenKeyId, PublicKey), Claims>,
    /// Tokens of identity providers, with what these had published.
    pub(super) issued: Tokens<(Arc<Issuer>, Arc<Published>), oidc::Claims>,
    derived: Table<Rc<Derived>>,
    /// SECURITY: tried where nothing is remembered; what it signs is never accepted.
    nobodys: Rc<Derived>,
    /// Sessions of roles, with the keys that verified them and the definitions for which their policies were compiled.
    pub(super) sessions: Tokens<(TokenKeyId, PublicKey, Definitions), Session>,
}

/// The key of a scope, and what it was derived from.
struct Derived {
    from: Key,
    scope: Box<str>,
    key: SigningKey,
}

impl Derived {
    fn of(secret: &Key, scope: &str, key: SigningKey) -> Self {
        Self { from: secret.clone(), scope: scope.into(), key }
    }

    fn is_of(&self, secret: &Key, scope: &Scope<'_>) -> bool {
        self.from.is(secret) && *self.scope == *scope.whole()
    }
}

/// A token whose signature was verified with this key, or one of these.
struct Verified<K, C> {
    head: Box<[u8]>,
    tail: Box<[u8]>,
    key: K,
    claims: Rc<C>,
}

impl<K, C> Verified<K, C> {
    /// SECURITY: what is compared first, in constant time, is the end of the signature; the rest only for who has that.
    fn is(&self, (head, tail): (&[u8], &[u8])) -> bool {
        verify_slices_are_equal(&self.tail, tail).is_ok() && *self.head == *head
    }
}

impl Remembered {
    /// Remembers nothing yet. `seed` should be unpredictable: then nobody can choose whose entries theirs take the place of.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let nobodys = Key::new(&Secret::new(*b"nobody's"));
        Self {
            tokens: Tokens(Table::new(seed, TOKENS_MAX)),
            issued: Tokens(Table::new(seed, ISSUED_MAX)),
            sessions: Tokens(Table::new(seed, SESSIONS_MAX)),
            derived: Table::new(seed, DERIVED_MAX),
            nobodys: Rc::new(Derived::of(&nobodys, "", nobodys.signing_key().clone())),
        }
    }

    /// The key of a scope, if `is_good` finds out that it has signed.
    pub(super) fn derived(&self, secret: &Key, scope: &Scope<'_>, is_good: impl Fn(&SigningKey) -> bool) -> Option<SigningKey> {
        let place = scope.whole().as_bytes();
        let known = self.derived.find(place, |known| Some(Rc::clone(known)));
        let tried = known.as_ref().unwrap_or(&self.nobodys);
        let (is_its, has_signed) = (tried.is_of(secret, scope), is_good(&tried.key));
        if is_its && has_signed {
            return Some(tried.key.clone());
        }
        let key = secret.derive(scope);
        let good = is_good(&key);
        if good {
            self.derived.put(place, Rc::new(Derived::of(secret, scope.whole(), key.clone())));
        }
        good.then_some(key)
    }
}

/// Tokens that were verified.
pub(super) struct Tokens<K, C>(Table<Verified<K, C>>);

impl<K, C> Tokens<K, C> {
    /// What a token says that was verified before; if `holds` says of what verified it, and of its claims, that they are still in force.
    pub(super) fn find(&self, text: &[u8], holds: impl Fn(&K, &C) -> bool) -> Option<Rc<C>> {
        let parts = split(text)?;
        self.0.find(parts.1, |known| (known.is(parts) && holds(&known.key, &known.claims)).then(|| Rc::clone(&known.claims)))
    }

    /// Remembers a token that was just verified with `key`.
    pub(super) fn put(&self, text: &[u8], key: K, claims: &Rc<C>) {
        if let Some((head, tail)) = split(text) {
            self.0.put(tail, Verified { head: head.into(), tail: tail.into(), key, claims: Rc::clone(claims) });
        }
    }
}

impl fmt::Debug for Remembered {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Remembered(..)")
    }
}

/// A token, and the end of its signature.
fn split(token: &[u8]) -> Option<(&[u8], &[u8])> {
    token.split_at_checked(token.len().checked_sub(TAIL_BYTES)?)
}

/// The entries that a row has, each with the hash of its place.
type Row<T> = [Option<(u64, T)>; WAYS];

/// A bounded table: rows of a few entries each.
struct Table<T> {
    hasher: FixedState,
    rows: RefCell<Box<[Row<T>]>>,
    next: Cell<usize>,
}

impl<T> Table<T> {
    fn new(seed: u64, entries: usize) -> Self {
        let hasher = FixedState::with_seed(seed);
        let rows = (0..entries / WAYS).map(|_| [const { None }; WAYS]).collect();
        Self { hasher, rows: RefCell::new(rows), next: Cell::new(0) }
    }

    fn find<R>(&self, place: &[u8], is_it: impl Fn(&T) -> Option<R>) -> Option<R> {
        let hash = self.hasher.hash_one(place);
        let rows = self.rows.borrow();
        let row = rows.get(hash as usize % rows.len().max(1))?;
        row.iter().flatten().filter(|(other, _)| *other == hash).find_map(|(_, entry)| is_it(entry))
    }

    /// In the place of one that can no longer be found, of none, or of any other in its row.
    fn put(&self, place: &[u8], entry: T) {
        let hash = self.hasher.hash_one(place);
        let mut rows = self.rows.borrow_mut();
        let count = rows.len().max(1);
        let Some(row) = rows.get_mut(hash as usize % count) else { return };
        let same = row.iter().position(|slot| slot.as_ref().is_some_and(|(other, _)| *other == hash));
        let way = same.or_else(|| row.iter().position(Option::is_none)).unwrap_or_else(|| {
            self.next.set((self.next.get() + 1) % WAYS);
            self.next.get()
        });
        if let Some(slot) = row.get_mut(way) {
            *slot = Some((hash, entry));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authn::sigv4::{Credential, Profile};
    use crate::types::Timestamp;
    use http::{HeaderMap, HeaderName, HeaderValue};

    const KEY: &str = "70c0000000000000000000000000000a";
    const TOKEN: &[u8] = b"head.claims.a-signature-that-is-long-enough-to-be-one";

    fn public_key(byte: u8) -> PublicKey {
        PublicKey::from_bytes([byte; 32])
    }

    fn claims(epoch: u64) -> Rc<Claims> {
        Rc::new(Claims {
            subject: "srn:e::a:::scp-iam:user/u".to_owned(),
            user: KEY.parse().unwrap(),
            account: KEY.parse().unwrap(),
            access_key: KEY.parse().ok(),
            id: KEY.parse().unwrap(),
            issued_at: Timestamp::from_milliseconds(0),
            expires_at: Timestamp::from_milliseconds(1_000),
            epoch,
            sequence: 1,
        })
    }

    #[test]
    fn a_token_is_remembered_as_it_is_and_only_under_its_key_and_epoch() {
        let remembered = Remembered::new(1);
        let holds = |(key, public): &(TokenKeyId, PublicKey), claims: &Claims| {
            *key == KEY.parse().unwrap() && *public == public_key(1) && claims.epoch == 7
        };
        assert!(remembered.tokens.find(TOKEN, holds).is_none());
        remembered.tokens.put(TOKEN, (KEY.parse().unwrap(), public_key(1)), &claims(7));
        assert_eq!(remembered.tokens.find(TOKEN, holds).unwrap().epoch, 7);
        assert!(remembered.tokens.find(TOKEN, |(_, public), _| *public == public_key(2)).is_none());
        assert!(remembered.tokens.find(TOKEN, |_, claims| claims.epoch == 8).is_none());
        // Whatever byte is another one, is added or is missing.
        for at in 0..TOKEN.len() {
            let mut other = TOKEN.to_vec();
            other[at] ^= 1;
            assert!(remembered.tokens.find(&other, holds).is_none(), "{at}");
            assert!(remembered.tokens.find(&TOKEN[..at], holds).is_none(), "{at}");
        }
        assert!(remembered.tokens.find(&[TOKEN, b"="].concat(), holds).is_none());
        // The same text under another key takes its place.
        remembered.tokens.put(TOKEN, (KEY.parse().unwrap(), public_key(2)), &claims(8));
        assert!(remembered.tokens.find(TOKEN, holds).is_none());
        assert_eq!(remembered.tokens.find(TOKEN, |(_, public), _| *public == public_key(2)).unwrap().epoch, 8);
    }

    #[test]
    fn what_is_not_true_is_never_remembered_nor_answered_from_memory() {
        let remembered = Remembered::new(2);
        let header = |region: &str| {
            let scope = format!("{KEY}/20261120/{region}/iam/aws4_request");
            format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host;x-amz-date, Signature={}", "0".repeat(64))
        };
        let headers: HeaderMap = [("x-amz-date", "20261120T000000Z"), ("host", "iam.test")]
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .into_iter()
            .collect();
        let texts = ["kr-west1", "kr-east1", "kr-south1"].map(header);
        let [first, second, third] =
            texts.each_ref().map(|text| Credential::from_header(text.as_bytes(), &headers, Profile::Generic).unwrap().scope);
        let (decoy, secret) = (Key::new(&Secret::new(*b"decoy")), Key::new(&Secret::new(*b"secret")));
        let calls = Cell::new(0);
        let never = |_: &SigningKey| {
            calls.set(calls.get() + 1);
            false
        };
        // Twice each time, and no third thing: with what is remembered, and anew.
        for key in [&decoy, &secret, &secret] {
            assert!(remembered.derived(key, &first, never).is_none());
        }
        assert_eq!(calls.get(), 6);
        let entries = || remembered.derived.rows.borrow().iter().flatten().flatten().count();
        assert_eq!(entries(), 0);
        let tried = Cell::new(0);
        let by = |key: SigningKey| {
            let tried = &tried;
            move |other: &SigningKey| {
                tried.set(tried.get() + 1);
                other.is(&key)
            }
        };
        for expected in [2, 3, 4] {
            assert!(remembered.derived(&secret, &first, by(secret.derive(&first))).unwrap().is(&secret.derive(&first)));
            assert_eq!(tried.get(), expected, "at once from the second time on");
        }
        assert!(remembered.derived(&secret, &first, never).is_none());
        assert_eq!(calls.get(), 8);
        // Another secret, another scope: another key, and what is remembered for this place does not count.
        assert!(remembered.derived(&decoy, &first, by(secret.derive(&first))).is_none());
        assert!(remembered.derived(&secret, &second, by(secret.derive(&first))).is_none());
        assert_eq!(entries(), 1);
        assert!(remembered.derived(&secret, &second, by(secret.derive(&second))).is_some());
        assert_eq!(entries(), 2);
        // What nobody's key signs is not accepted, although it is tried.
        assert!(remembered.derived(&secret, &third, by(remembered.nobodys.key.clone())).is_none());
        // A new secret takes the place of the old one.
        assert!(remembered.derived(&decoy, &first, by(decoy.derive(&first))).is_some());
        assert!(remembered.derived(&secret, &first, by(decoy.derive(&first))).is_none());
        assert_eq!(entries(), 2);
    }

    #[test]
    fn a_full_table_forgets_something_and_never_grows() {
        let table = Table::new(3, 64);
        for number in 0..10_000_u32 {
            table.put(&number.to_be_bytes(), number);
            assert_eq!(table.find(&number.to_be_bytes(), |found| (*found == number).then_some(*found)), Some(number));
        }
        let rows = table.rows.borrow();
        assert_eq!((rows.len(), rows.iter().flatten().flatten().count()), (64 / WAYS, 64));
    }
}
