//! A hash table with a look-up that does the same whether or not it finds anything.
//!
//! An entry lies in one of two buckets of four. [`Buckets::find`] compares all eight ids with the one that is asked for, without a branch on what it
//! finds, and always comes back with an entry: the one that is asked for, or a neighbour of which as much can be read.
//!
//! SECURITY: so time does not tell who asks about access keys which of them exist (bench `authn -- timing`).

use crate::types::choose;

/// How many entries a bucket has.
const WAYS: usize = 4;
/// Twice as many: all that an entry may be at. As many as a byte has bits.
const PLACES: usize = 2 * WAYS;

/// The ids of a bucket: a cache line.
#[derive(Debug, Clone, Copy, Default)]
#[repr(align(64))]
struct Ids([u128; WAYS]);

/// The table. Of its two boxes one has what the ids are compared with, the other what they stand for.
#[derive(Debug, Clone)]
pub(super) struct Buckets<V> {
    /// As many as the others, a power of two. What stands at an empty place counts for nothing.
    ids: Box<[Ids]>,
    values: Box<[[Option<V>; WAYS]]>,
}

/// Of the buckets that an entry may lie in, and of its place there.
type Place = (usize, usize);

impl<V> Default for Buckets<V> {
    fn default() -> Self {
        Self::of(1)
    }
}

impl<V> Buckets<V> {
    fn of(count: usize) -> Self {
        Self { ids: (0..count).map(|_| Ids::default()).collect(), values: (0..count).map(|_| [const { None }; WAYS]).collect() }
    }

    /// The two buckets of a hash.
    fn pair(&self, hash: u64) -> (usize, usize) {
        let last = self.ids.len() - 1;
        (hash as usize & last, (hash >> 32) as usize & last)
    }

    /// The entry with this id, or a neighbour if there is one; and whether it is the entry with this id. Takes the same time for both.
    pub(super) fn find(&self, id: u128, hash: u64) -> (Option<&V>, bool) {
        let (first, second) = self.pair(hash);
        let buckets = self.ids.get(first).zip(self.ids.get(second)).zip(self.values.get(first).zip(self.values.get(second)));
        // There are two, whatever the hash is.
        let Some(((first_ids, second_ids), (first, second))) = buckets else { return (None, false) };
        let places = first_ids.0.iter().chain(&second_ids.0).zip(first.iter().chain(second)).enumerate();
        let (found, filled) = places.fold((0_u8, 0_u8), |(found, filled), (place, (other, value))| {
            (found | u8::from((*other == id) & value.is_some()) << place, filled | u8::from(value.is_some()) << place)
        });
        // Where it is, or else at the first entry from any place on: not always the oldest one, which lies elsewhere in memory.
        let start = (hash >> (u64::BITS - PLACES.ilog2())) as u32;
        let asked = (found | filled & u8::from(found == 0).wrapping_neg()).rotate_right(start);
        let place = (asked.trailing_zeros() + start) as usize % PLACES;
        let value = choose([first, second], place >= WAYS).get(place % WAYS).and_then(Option::as_ref);
        (value, found != 0)
    }

    /// The entry with this id. Takes the time that it takes.
    pub(super) fn get(&self, id: u128, hash: u64) -> Option<&V> {
        let (bucket, way) = self.place(id, hash)?;
        self.values.get(bucket)?.get(way)?.as_ref()
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &V> {
        self.values.iter().flatten().flatten()
    }

    fn place(&self, id: u128, hash: u64) -> Option<Place> {
        let (first, second) = self.pair(hash);
        [first, second].into_iter().find_map(|bucket| {
            let (ids, values) = self.ids.get(bucket).zip(self.values.get(bucket))?;
            let way = ids.0.iter().zip(values).position(|(other, value)| *other == id && value.is_some())?;
            Some((bucket, way))
        })
    }

    /// In place of the entry with this id, which is handed back, or as a new one. `hash_of` says what the hash of another id is.
    pub(super) fn insert(&mut self, id: u128, mut value: V, hash_of: &impl Fn(u128) -> u64) -> Option<V> {
        if let Some((bucket, way)) = self.place(id, hash_of(id)) {
            return self.values.get_mut(bucket)?.get_mut(way)?.replace(value);
        }
        // SECURITY: it ends, since nobody knows what the hashes are going to be.
        while let Err(back) = self.add(id, value, hash_of(id)) {
            value = back;
            self.grow(hash_of);
        }
        None
    }

    /// Into the emptier one of its buckets; hands it back if both are full.
    fn add(&mut self, id: u128, value: V, hash: u64) -> Result<(), V> {
        let (first, second) = self.pair(hash);
        let filled = |bucket: usize| self.values.get(bucket).map_or(WAYS, |values| values.iter().flatten().count());
        let (bucket, way) =
            [first, second].map(|bucket| (filled(bucket), bucket)).into_iter().min().map_or((0, WAYS), |(way, bucket)| (bucket, way));
        match (
            self.ids.get_mut(bucket).and_then(|ids| ids.0.get_mut(way)),
            self.values.get_mut(bucket).and_then(|values| values.get_mut(way)),
        ) {
            (Some(to), Some(slot)) => {
                *to = id;
                *slot = Some(value);
                Ok(())
            }
            _ => Err(value),
        }
    }

    /// Twice as many buckets, or more if that is not enough.
    fn grow(&mut self, hash_of: &impl Fn(u128) -> u64) {
        let old = std::mem::replace(self, Self::of(self.ids.len() * 2));
        let ids = old.ids.iter().flat_map(|ids| ids.0);
        for (id, value) in ids.zip(old.values.into_iter().flatten()) {
            if let Some(value) = value {
                self.insert(id, value, hash_of);
            }
        }
    }

    /// The bucket's last entry goes where the removed one was.
    pub(super) fn remove(&mut self, id: u128, hash: u64) -> Option<V> {
        let (bucket, way) = self.place(id, hash)?;
        let (ids, values) = self.ids.get_mut(bucket).zip(self.values.get_mut(bucket))?;
        let last = values.iter().flatten().count().checked_sub(1)?;
        ids.0.swap(way, last);
        values.swap(way, last);
        values.get_mut(last)?.take()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    /// As bad a hash as there may be of which half are true ones: sixteen hashes in all.
    fn bad(id: u128) -> u64 {
        let spread = (id as u64 % 16).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        spread ^ spread >> 29
    }

    #[test]
    fn it_holds_what_a_map_of_the_library_holds() {
        for numbers in [3, 40, 600] {
            let (mut buckets, mut map, mut state) = (Buckets::default(), HashMap::new(), 7_u64);
            // With as many as that no bucket of a bad hash has more than four.
            let hash_of = |id: u128| if numbers <= 40 { bad(id) } else { (id as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) };
            for round in 0..20_000_u32 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let id = u128::from(state >> 33) % numbers;
                if state >> 63 == 0 {
                    assert_eq!(buckets.insert(id, round, &hash_of), map.insert(id, round), "{id}");
                } else {
                    assert_eq!(buckets.remove(id, hash_of(id)), map.remove(&id), "{id}");
                }
                let (value, is_its) = buckets.find(id, hash_of(id));
                assert_eq!((value.filter(|_| is_its), is_its), (map.get(&id), map.contains_key(&id)), "{id}");
                assert_eq!(buckets.get(id, hash_of(id)), map.get(&id), "{id}");
                let front = |values: &[Option<u32>; WAYS]| values.iter().skip_while(|value| value.is_some()).all(Option::is_none);
                assert!(buckets.values.iter().all(front), "no hole before an entry");
            }
            let (mut found, mut expected): (Vec<u32>, Vec<u32>) = (buckets.values().copied().collect(), map.into_values().collect());
            found.sort_unstable();
            expected.sort_unstable();
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn an_id_of_zeros_is_an_id() {
        let mut buckets = Buckets::default();
        assert_eq!(buckets.find(0, 0), (None, false));
        buckets.insert(1, "one", &|_| 0);
        assert_eq!(buckets.find(0, 0), (Some(&"one"), false), "a neighbour");
        buckets.insert(0, "zero", &|_| 0);
        assert_eq!(buckets.find(0, 0), (Some(&"zero"), true));
        assert_eq!(buckets.remove(0, 0), Some("zero"));
        assert_eq!(buckets.find(0, 0), (Some(&"one"), false), "what is left behind is no entry");
    }
}
