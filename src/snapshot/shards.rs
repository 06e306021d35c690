//! A map in up to 4,096 shards: a changed copy shares all shards with the original but one.
//!
//! Readers keep the map they have; the writer copies two levels of pointers and one shard. With 100,000 entries a shard holds 25, with
//! 1,000,000 it holds 250; where there are few entries there are few shards, so that hardly any is empty. While nobody else holds the map, as at
//! first load, nothing is copied at all.

use std::hash::BuildHasher as _;
use std::marker::PhantomData;
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::buckets::Buckets;
use crate::types::{AccessKeyId, AccountId, GroupId, PolicyId, RoleId, UserId};

/// How many shards a level has, a power of two, and up to how many entries: some 500 in a shard.
const FAN_OUTS: [(usize, usize); 3] = [(1, 512), (8, 32_768), (64, usize::MAX)];
/// Shards are merged when there are so many times too few entries for them.
const TOO_FEW: usize = 8;

/// A key of 16 bytes.
pub(super) trait Spread: Copy {
    /// Its bytes.
    fn number(self) -> u128;
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
type Branch<V> = Arc<[Leaf<V>]>;

/// The map.
#[derive(Debug)]
pub(super) struct Shards<K, V> {
    /// As many branches as each of them has leaves.
    root: Arc<[Branch<V>]>,
    len: usize,
    /// SECURITY: seeded anew for each map, so nobody can choose ids that crowd a few shards or buckets.
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
        Self { root: empty(1), len: 0, hasher: RandomState::default(), keys: PhantomData }
    }
}

/// That many branches of that many leaves.
fn empty<V>(fan_out: usize) -> Arc<[Branch<V>]> {
    let branch: Branch<V> = vec![Leaf::default(); fan_out].into();
    vec![branch; fan_out].into()
}

/// How many shards a level has for so many entries.
fn fan_out(len: usize) -> usize {
    FAN_OUTS.iter().find(|(_, most)| len <= *most).map_or(1, |(fan_out, _)| *fan_out)
}

/// Where a hash belongs: by other bits than those that choose the bucket.
fn shard(hash: u64, fan_out: usize) -> (usize, usize) {
    ((hash >> 26) as usize & (fan_out - 1), (hash >> 58) as usize & (fan_out - 1))
}

impl<K: Spread, V: Clone> Shards<K, V> {
    /// The value of this key, or any other if there is one; and whether it is that of this key. Takes the same time for both.
    pub(super) fn find(&self, key: K) -> (Option<&V>, bool) {
        // There always is a leaf.
        self.at(key).map_or((None, false), |(leaf, hash)| leaf.find(key.number(), hash))
    }

    pub(super) fn get(&self, key: &K) -> Option<&V> {
        let (leaf, hash) = self.at(*key)?;
        leaf.get(key.number(), hash)
    }

    /// The leaf where a key lies, and its hash.
    fn at(&self, key: K) -> Option<(&Buckets<V>, u64)> {
        let hash = self.hasher.hash_one(key.number());
        let (high, low) = shard(hash, self.root.len());
        Some((self.root.get(high)?.get(low)?, hash))
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &V> {
        self.entries().map(|(_, value)| value)
    }

    fn entries(&self) -> impl Iterator<Item = (u128, &V)> {
        self.root.iter().flat_map(|branch| branch.iter()).flat_map(|leaf| leaf.entries())
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn insert(&mut self, key: K, value: V) {
        let hasher = self.hasher.clone();
        if self.put(key.number(), value, &|number| hasher.hash_one(number)) {
            self.len += 1;
            self.fit();
        }
    }

    /// Whether it is a new one.
    fn put(&mut self, number: u128, value: V, hash_of: &impl Fn(u128) -> u64) -> bool {
        self.leaf(hash_of(number)).is_some_and(|leaf| leaf.insert(number, value, hash_of).is_none())
    }

    pub(super) fn remove(&mut self, key: &K) -> Option<V> {
        let (leaf, hash) = self.at(*key)?;
        // What is not there changes nothing, so nothing is copied for it.
        leaf.get(key.number(), hash)?;
        let removed = self.leaf(hash)?.remove(key.number(), hash);
        self.len -= usize::from(removed.is_some());
        self.fit();
        removed
    }

    /// As many shards as there should be for so many entries.
    fn fit(&mut self) {
        let fan_out_now = self.root.len();
        if fan_out(self.len) <= fan_out_now && fan_out(self.len * TOO_FEW) >= fan_out_now {
            return;
        }
        let old = Self { root: std::mem::replace(&mut self.root, empty(fan_out(self.len))), ..self.clone() };
        let hasher = self.hasher.clone();
        for (number, value) in old.entries() {
            self.put(number, value.clone(), &|number| hasher.hash_one(number));
        }
    }

    fn leaf(&mut self, hash: u64) -> Option<&mut Buckets<V>> {
        let (high, low) = shard(hash, self.root.len());
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
        assert!(shared >= first.root.len() - 3, "{shared}");
    }

    #[test]
    fn there_are_as_many_shards_as_entries_need_whatever_they_are_called() {
        let id = |number: u32| UserId::from_bytes(u128::from(number).to_be_bytes());
        let mut shards = Shards::default();
        let mut fan_outs = vec![(0, shards.root.len())];
        for number in 0..40_000 {
            shards.insert(id(number), number);
            if fan_outs.last().unwrap().1 != shards.root.len() {
                fan_outs.push((shards.len(), shards.root.len()));
            }
        }
        let leaves: Vec<usize> = shards.root.iter().flat_map(|branch| branch.iter()).map(|leaf| leaf.entries().count()).collect();
        assert!(leaves.iter().all(|count| (1..40).contains(count)), "{leaves:?}");
        let kept = shards.clone();
        for number in 10..40_000 {
            assert_eq!(shards.remove(&id(number)), Some(number));
            if fan_outs.last().unwrap().1 != shards.root.len() {
                fan_outs.push((shards.len(), shards.root.len()));
            }
        }
        assert_eq!(fan_outs, [(0, 1), (513, 8), (32_769, 64), (4_096, 8), (64, 1)]);
        let found = |shards: &Shards<UserId, u32>| (0..40_001).filter(|number| shards.get(&id(*number)) == Some(number)).count();
        assert_eq!((shards.len(), found(&shards), kept.len(), found(&kept)), (10, 10, 40_000, 40_000));
    }
}
