//! Places for what strangers may have done at the same time: so many in all, and only a few of them for one address.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::types::network;

/// All places, and who holds how many.
#[derive(Debug)]
pub(crate) struct Places {
    most: usize,
    most_of_one: usize,
    taken: Mutex<HashMap<String, usize>>,
}

/// A place, until it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    places: Arc<Places>,
    whose: String,
}

/// Whose an address is: of IPv6 its /64's, which is one customer's. All that are not known are one.
pub(super) fn whose(address: &str) -> String {
    address.parse().map(|address| network::of_client(address).to_string()).unwrap_or_default()
}

impl Places {
    pub(crate) fn new(most: usize, most_of_one: usize) -> Arc<Self> {
        Arc::new(Self { most, most_of_one, taken: Mutex::default() })
    }

    /// Takes a place; `None` when there is none for this address.
    pub(crate) fn take(self: &Arc<Self>, address: &str) -> Option<Place> {
        let whose = whose(address);
        let mut taken = self.taken();
        let own = taken.get(&whose).copied().unwrap_or(0);
        if own >= self.most_of_one || taken.values().sum::<usize>() >= self.most {
            return None;
        }
        taken.insert(whose.clone(), own + 1);
        Some(Place { places: Arc::clone(self), whose })
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        let own = taken.get(&self.whose).copied().unwrap_or(0);
        if own > 1 {
            taken.insert(std::mem::take(&mut self.whose), own - 1);
        } else {
            taken.remove(&self.whose);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_holds_a_few_places_and_all_together_no_more_than_there_are() {
        let places = Places::new(3, 2);
        let mut held = vec![places.take("2001:db8::1").unwrap(), places.take("2001:db8::2").unwrap()];
        assert!(places.take("2001:db8::3").is_none(), "one network of IPv6 is one address");
        held.push(places.take("2001:db8:0:1::1").unwrap());
        assert!(places.take("203.0.113.9").is_none(), "there are no more");
        held.remove(0);
        held.push(places.take("not known").unwrap());
        assert!(places.take("203.0.113.9").is_none());
        held.clear();
        assert!(places.taken().is_empty(), "nothing is kept of who holds none");
        let _two = [places.take("").unwrap(), places.take("unknown").unwrap()];
        assert!(places.take("").is_none(), "all that are not known are one");
    }
}
