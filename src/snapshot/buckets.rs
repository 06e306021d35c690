//! A hash table with a look-up that does the same whether or not it finds anything.
//!
//! An entry lies in one of two buckets of four. [`Buckets::find`] compares all eight ids with the one that is asked for, without a branch on what it
//! finds, and comes back with an entry, the one that is asked for or any other: as much memory is touched for either.
//!
//! SECURITY: so time does not tell who asks about access keys which of them exist (bench `authn -- timing`).

use std::hint::black_box;

/// How many entries a bucket has.
const WAYS: usize = 4;
/// All the places that an entry may be at.
const PLACES: usize = 2 * WAYS;

/// The ids of a bucket: a cache line.
#[derive(Debug, Clone, Copy, Default)]
#[repr(align(64))]
struct Ids([u128; WAYS]);

/// The table: of as many ids, bits and values as there are buckets, a power of two.
#[derive(Debug, Clone)]
pub(super) struct Buckets<V> {
    /// What stands at an empty place counts for nothing.
    ids: Box<[Ids]>,
    /// Which places have an entry, a bit each.
    filled: Box<[u8]>,
    values: Box<[[Option<V>; WAYS]]>,
    /// The places that have an entry, in no order.
    places: Vec<u32>,
}

impl<V> Default for Buckets<V> {
    fn default() -> Self {
        Self::of(1)
    }
}

/// The second of two numbers, or the first; waits for both, and branches on nothing.
fn select([first, second]: [usize; 2], is_second: bool) -> usize {
    // Seen by something that the compiler knows nothing of, or it would make a branch of it.
    let mask = 0_usize.wrapping_sub(usize::from(black_box(is_second)));
    first ^ ((first ^ second) & mask)
}

impl<V> Buckets<V> {
    fn of(count: usize) -> Self {
        let values = (0..count).map(|_| [const { None }; WAYS]).collect();
        Self { ids: vec![Ids::default(); count].into(), filled: vec![0; count].into(), values, places: Vec::new() }
    }

    /// The two buckets of a hash.
    fn pair(&self, hash: u64) -> [usize; 2] {
        let last = self.ids.len() - 1;
        [hash as usize & last, (hash >> 32) as usize & last]
    }

    /// At which ways of a bucket this id is, a bit each.
    fn ways(&self, bucket: usize, id: u128) -> u8 {
        let (Some(ids), Some(filled)) = (self.ids.get(bucket), self.filled.get(bucket)) else { return 0 };
        ids.0.iter().enumerate().fold(0, |found, (way, other)| found | u8::from(*other == id) << way) & filled
    }

    /// The entry with this id, or any other one if there is one; and whether it is the entry with this id. Takes the same time for both.
    pub(super) fn find(&self, id: u128, hash: u64) -> (Option<&V>, bool) {
        let [first, second] = self.pair(hash);
        let found = u32::from(self.ways(first, id)) | u32::from(self.ways(second, id)) << WAYS;
        let way = (found | 1 << PLACES).trailing_zeros() as usize % PLACES;
        let own = select([first, second], way >= WAYS) * WAYS + way % WAYS;
        // As good as drawn at random, and the same each time.
        let drawn = hash.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        let any = self.places.get(((drawn * self.places.len() as u64) >> 32) as usize).map_or(0, |place| *place as usize);
        (self.value(select([any, own], found != 0)), found != 0)
    }

    fn value(&self, place: usize) -> Option<&V> {
        self.values.get(place / WAYS)?.get(place % WAYS)?.as_ref()
    }

    /// The entry with this id. Takes the time that it takes.
    pub(super) fn get(&self, id: u128, hash: u64) -> Option<&V> {
        self.value(self.place(id, hash)?)
    }

    /// All entries with their ids.
    pub(super) fn entries(&self) -> impl Iterator<Item = (u128, &V)> {
        let places = self.ids.iter().flat_map(|ids| ids.0).zip(self.values.iter().flatten());
        places.filter_map(|(id, value)| Some((id, value.as_ref()?)))
    }

    fn place(&self, id: u128, hash: u64) -> Option<usize> {
        self.pair(hash).into_iter().find_map(|bucket| {
            let ways = self.ways(bucket, id);
            (ways != 0).then(|| bucket * WAYS + ways.trailing_zeros() as usize)
        })
    }

    /// In place of the entry with this id, which is handed back, or as a new one. `hash_of` says what the hash of another id is.
    pub(super) fn insert(&mut self, id: u128, value: V, hash_of: &impl Fn(u128) -> u64) -> Option<V> {
        if let Some(place) = self.place(id, hash_of(id)) {
            return self.values.get_mut(place / WAYS)?.get_mut(place % WAYS)?.replace(value);
        }
        // SECURITY: it ends, since nobody knows what the hashes are going to be.
        let place = loop {
            match self.room(hash_of(id), hash_of) {
                Some(place) => break place,
                None => self.grow(hash_of),
            }
        };
        self.places.push(place as u32);
        self.put(place, id, Some(value));
        None
    }

    /// An empty place in the emptier one of two buckets, or one whose entry has gone to its other bucket.
    fn room(&mut self, hash: u64, hash_of: &impl Fn(u128) -> u64) -> Option<usize> {
        let pair = self.pair(hash);
        if let Some(place) = self.empty(pair) {
            return Some(place);
        }
        pair.into_iter().flat_map(|bucket| (0..WAYS).map(move |way| bucket * WAYS + way)).find(|place| {
            let Some(id) = self.ids.get(place / WAYS).and_then(|ids| ids.0.get(place % WAYS)).copied() else { return false };
            let Some(other) = self.empty(self.pair(hash_of(id))) else { return false };
            let value = self.values.get_mut(place / WAYS).and_then(|values| values.get_mut(place % WAYS)?.take());
            self.put(other, id, value);
            self.places.iter_mut().filter(|at| **at as usize == *place).for_each(|at| *at = other as u32);
            true
        })
    }

    /// An empty place in the emptier one of these buckets.
    fn empty(&self, pair: [usize; 2]) -> Option<usize> {
        let filled = |bucket: usize| self.filled.get(bucket).map_or(u8::MAX, |filled| *filled);
        let emptier = pair.into_iter().min_by_key(|bucket| filled(*bucket).count_ones())?;
        let way = filled(emptier).trailing_ones() as usize;
        (way < WAYS).then_some(emptier * WAYS + way)
    }

    /// Fills a place, or empties it.
    fn put(&mut self, place: usize, id: u128, value: Option<V>) {
        let (bucket, way) = (place / WAYS, place % WAYS);
        if let (Some(ids), Some(filled), Some(values)) =
            (self.ids.get_mut(bucket), self.filled.get_mut(bucket), self.values.get_mut(bucket))
            && let (Some(to), Some(slot)) = (ids.0.get_mut(way), values.get_mut(way))
        {
            *filled = *filled & !(1 << way) | u8::from(value.is_some()) << way;
            *to = id;
            *slot = value;
        }
    }

    /// Twice as many buckets, or more if that is not enough.
    fn grow(&mut self, hash_of: &impl Fn(u128) -> u64) {
        let old = std::mem::replace(self, Self::of(self.ids.len() * 2));
        for (id, value) in old.ids.iter().flat_map(|ids| ids.0).zip(old.values.into_iter().flatten()) {
            if let Some(value) = value {
                self.insert(id, value, hash_of);
            }
        }
    }

    pub(super) fn remove(&mut self, id: u128, hash: u64) -> Option<V> {
        let place = self.place(id, hash)?;
        let removed = self.values.get_mut(place / WAYS)?.get_mut(place % WAYS)?.take();
        self.put(place, 0, None);
        let at = self.places.iter().position(|other| *other as usize == place)?;
        self.places.swap_remove(at);
        removed
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::hash::BuildHasher as _;

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
                assert_eq!(value.is_some(), !map.is_empty(), "always some entry");
            }
            assert_eq!(buckets.entries().map(|(id, value)| (id, *value)).collect::<HashMap<_, _>>(), map);
            assert_eq!((buckets.entries().count(), buckets.places.len()), (map.len(), map.len()));
        }
    }

    #[test]
    fn what_is_found_for_others_is_drawn_evenly_and_stays_so_where_entries_come_and_go() {
        let hash_of = |id: u128| foldhash::fast::FixedState::default().hash_one(id);
        let (mut buckets, entries) = (Buckets::default(), 50);
        for id in 0..20_000 {
            buckets.insert(id, id, &hash_of);
            if id >= entries {
                assert_eq!(buckets.remove(id - entries, hash_of(id - entries)), Some(id - entries));
            }
        }
        assert!(buckets.ids.len() * WAYS <= 4 * entries as usize, "{} buckets", buckets.ids.len());
        let mut found = HashMap::new();
        for id in 100_000..200_000 {
            *found.entry(*buckets.find(id, hash_of(id)).0.unwrap()).or_insert(0) += 1;
        }
        assert_eq!(found.len(), entries as usize);
        assert!(found.values().all(|times| (1_700..2_300).contains(times)), "{found:?}");
    }

    #[test]
    fn an_id_of_zeros_is_an_id() {
        let mut buckets = Buckets::default();
        assert_eq!(buckets.find(0, 0), (None, false));
        buckets.insert(1, "one", &|_| 0);
        assert_eq!(buckets.find(0, 0), (Some(&"one"), false), "any other");
        buckets.insert(0, "zero", &|_| 0);
        assert_eq!(buckets.find(0, 0), (Some(&"zero"), true));
        assert_eq!(buckets.remove(0, 0), Some("zero"));
        assert_eq!(buckets.find(0, 0), (Some(&"one"), false), "what is left behind is no entry");
    }
}
