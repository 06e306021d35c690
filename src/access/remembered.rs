//! What a worker remembers of the tokens that it verified, so that the same work is not done for each request.
//!
//! SECURITY: what is remembered is work, never an answer. A token's signature need not be verified a second time; whether the token
//! may still be used, the snapshot says each time (tests: `a_token_is_checked_again_with_every_snapshot`,
//! `a_token_is_remembered_as_it_is_and_only_under_its_key_and_epoch`).

use std::cell::{Cell, RefCell};
use std::fmt;
use std::hash::BuildHasher as _;
use std::rc::Rc;
use std::sync::Arc;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use foldhash::quality::FixedState;

use super::issuers::{Issuer, Published};
use crate::authn::oidc;
use crate::authn::token::{Claims, PublicKey};
use crate::types::TokenKeyId;

/// How many tokens a worker remembers: about 3 megabytes of ours, at most 16.
const TOKENS_MAX: usize = 4_096;
/// How many tokens of identity providers a worker remembers: at most some 30 megabytes, if they are as long as they may be.
const ISSUED_MAX: usize = 1_024;
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
        Self { tokens: Tokens(Table::new(seed, TOKENS_MAX)), issued: Tokens(Table::new(seed, ISSUED_MAX)) }
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
    use crate::types::Timestamp;

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
