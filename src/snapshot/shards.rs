//! A map in 4,096 shards: a changed copy shares all shards with the original but one.
//!
//! Readers keep the map they have; the writer copies two levels of 64 pointers and one shard. With 100,000 entries a shard holds
//! 25, with 1,000,000 it holds 250. While nobody else holds the map, as at first load, nothing is copied at all.

use std::hash::BuildHasher as _;
use std::marker::PhantomData;
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::buckets::Buckets;
use crate::types::{AccessKeyId, AccountId, GroupId, PolicyId, RoleId, UserId};

const FAN_OUT: usize = 64;

/// A key of 16 bytes that are as good as random: ids are drawn at random and never chosen by callers.
pub(super) trait Spread: Copy {
    /// Its bytes.
    fn number(self) -> u128;

    /// Two numbers below [`FAN_OUT`].
    fn shard(self) -> (usize, usize) {
        let [first, second, ..] = self.number().to_be_bytes();
        (usize::from(first) % FAN_OUT, usize::from(second) % FAN_OUT)
    }
}

macro_rules! spread {
    ($($id:ty),*) => {$(
        impl Spread for $id {
            fn number(self) -> u128 {
                u128::from_be_bytes(*self.as_bytes())
            }
        }
    )*};
}
spread!(AccountId, UserId, GroupId, RoleId, PolicyId, AccessKeyId);

type Leaf<V> = Arc<Buckets<V>>;
type Branch<V> = Arc<[Leaf<V>; FAN_OUT]>;

/// The map.
#[derive(Debug)]
pub(super) struct Shards<K, V> {
    root: Arc<[Branch<V>; FAN_OUT]>,
    len: usize,
    /// SECURITY: seeded anew for each map, so nobody can choose ids that crowd a few buckets.
    hasher: RandomState,
    keys: PhantomData<fn(K)>,
}

impl<K, V> Clone for Shards<K, V> {
    fn clone(&self) -> Self {
        Self { root: Arc::clone(&self.root), len: self.len, hasher: self.hasher.clone(), keys: PhantomData }
    }
}

impl<K, V> Default for Shards<K, V> {
    fn default() -> Self {
        let leaf: Leaf<V> = Arc::default();
        let branch: Branch<V> = Arc::new(std::array::from_fn(|_| Arc::clone(&leaf)));
        let root = Arc::new(std::array::from_fn(|_| Arc::clone(&branch)));
        Self { root, len: 0, hasher: RandomState::default(), keys: PhantomData }
    }
}

impl<K: Spread, V: Clone> Shards<K, V> {
    /// The value of this key, or of a neighbour if there is one; and whether it is that of this key. Takes the same time for both.
    pub(super) fn find(&self, key: K) -> (Option<&V>, bool) {
        // There always is one.
        self.at(key).map_or((None, false), |(leaf, hash)| leaf.find(key.number(), hash))
    }

    pub(super) fn get(&self, key: &K) -> Option<&V> {
        let (leaf, hash) = self.at(*key)?;
        leaf.get(key.number(), hash)
    }

    /// The leaf where a key lies, and its hash there.
    fn at(&self, key: K) -> Option<(&Buckets<V>, u64)> {
        let (high, low) = key.shard();
        Some((self.root.get(high)?.get(low)?, self.hasher.hash_one(key.number())))
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &V> {
        self.root.iter().flat_map(|branch| branch.iter()).flat_map(|leaf| leaf.values())
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn insert(&mut self, key: K, value: V) {
        let hasher = self.hasher.clone();
        if let Some(leaf) = self.leaf(key)
            && leaf.insert(key.number(), value, &|number| hasher.hash_one(number)).is_none()
        {
            self.len += 1;
        }
    }

    pub(super) fn remove(&mut self, key: &K) -> Option<V> {
        self.get(key)?;
        let hash = self.hasher.hash_one(key.number());
        let removed = self.leaf(*key)?.remove(key.number(), hash);
        self.len -= usize::from(removed.is_some());
        removed
    }

    fn leaf(&mut self, key: K) -> Option<&mut Buckets<V>> {
        let (high, low) = key.shard();
        let branch = Arc::make_mut(&mut self.root).get_mut(high)?;
        Some(Arc::make_mut(Arc::make_mut(branch).get_mut(low)?))
    }
}

impl<K: Spread, V: Clone> FromIterator<(K, V)> for Shards<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut shards = Self::default();
        entries.into_iter().for_each(|(key, value)| shards.insert(key, value));
        shards
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_changes_by_itself_and_shares_the_rest() {
        let id = |number: u32| UserId::from_bytes(u128::from(number).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835).to_be_bytes());
        let first: Shards<UserId, u32> = (0..10_000).map(|number| (id(number), number)).collect();
        assert_eq!((first.len(), first.get(&id(77)), first.get(&id(10_000))), (10_000, Some(&77), None));
        let mut second = first.clone();
        second.insert(id(77), 1);
        second.insert(id(10_000), 2);
        assert_eq!(second.remove(&id(5)), Some(5));
        assert_eq!(second.remove(&id(5)), None);
        assert_eq!((first.len(), first.get(&id(77)), first.get(&id(5)), first.get(&id(10_000))), (10_000, Some(&77), Some(&5), None));
        assert_eq!((first.values().count(), second.values().filter(|value| **value == 77).count()), (10_000, 0));
        assert_eq!((second.len(), second.get(&id(77)), second.get(&id(5)), second.get(&id(10_000))), (10_000, Some(&1), None, Some(&2)));
        let shared = first.root.iter().zip(second.root.iter()).filter(|(one, other)| Arc::ptr_eq(one, other)).count();
        assert!(shared >= FAN_OUT - 3, "{shared}");
    }
}
