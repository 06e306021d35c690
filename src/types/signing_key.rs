//! A shared secret prepared for HMAC-SHA256 (RFC 2104, FIPS 198-1).
//!
//! Of the hash (FIPS 180-4) the block function is a library's, with the processor's own instructions where it has them; what stands here is the
//! padding around it. A prepared key is 64 bytes, so each access key of a snapshot has its own: requests are verified without any memory of
//! earlier ones, in the same time for all of them.

use std::fmt;
use std::hint::black_box;

use sha2::block_api::compress256;
use zeroize::ZeroizeOnDrop;

use super::Secret;

/// Bytes of a block.
const BLOCK: usize = 64;
/// Bytes of a hash.
const HASH: usize = 32;
/// Bytes at the end of the last block that say how long the message is.
const LENGTH: usize = 8;
/// The state before the first block (FIPS 180-4, section 5.3.3).
const START: [u32; 8] = [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];
/// What the key's block is changed with before the message, and after it.
const INNER: u8 = 0x36;
const OUTER: u8 = 0x5c;
/// What follows a message.
const ONE: u8 = 0x80;
/// How much of a message is gathered before it is hashed.
const GATHERED: usize = 4 * BLOCK;

/// A key for HMAC-SHA256 with its inner and outer state computed once.
///
/// Aligned so that no vector of a state lies in two cache lines, wherever a key lies.
#[derive(Clone, ZeroizeOnDrop)]
#[repr(align(16))]
pub struct SigningKey {
    inner: [u32; 8],
    outer: [u32; 8],
}

impl SigningKey {
    /// From the secret's bytes as they are (the vendor's secrets are used as text, wire-formats 1.2).
    #[must_use]
    pub fn new(secret: &Secret) -> Self {
        Self::of(secret.expose())
    }

    /// From a part of a secret's bytes.
    #[must_use]
    pub fn of(secret: &[u8]) -> Self {
        Self::joined(&[secret])
    }

    /// From a secret that lies in several pieces.
    #[must_use]
    pub fn joined(pieces: &[&[u8]]) -> Self {
        let mut block = [0; BLOCK];
        if pieces.iter().map(|piece| piece.len()).sum::<usize>() > BLOCK {
            let mut hash = Hash::new(START, 0);
            pieces.iter().for_each(|piece| hash.take(piece));
            write(&mut block, &hash.finish());
        } else {
            block.iter_mut().zip(pieces.iter().copied().flatten()).for_each(|(to, from)| *to = *from);
        }
        Self::of_block(&mut block)
    }

    /// The key that the MAC over a message is.
    #[must_use]
    pub fn derive(&self, message: &[u8]) -> Self {
        let mut block = [0; BLOCK];
        write(&mut block, &self.state_of(&[message]));
        Self::of_block(&mut block)
    }

    /// From a secret, filled up with zeros; what it lies in is wiped.
    fn of_block(block: &mut [u8; BLOCK]) -> Self {
        let mut half = |change: u8| {
            block.iter_mut().for_each(|byte| *byte ^= change);
            let mut state = START;
            compress256(&mut state, std::slice::from_ref(block));
            state
        };
        let key = Self { inner: half(INNER), outer: half(INNER ^ OUTER) };
        // Seen by something that the compiler knows nothing of, so it is done; byte by byte, as `Zeroize` does it, it would take longer than a hash.
        *block = [0; BLOCK];
        black_box(block);
        key
    }

    /// Whether it is the same key. Compares in constant time.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        let differences = |one: &[u32; 8], two: &[u32; 8]| one.iter().zip(two).fold(0, |found, (one, two)| found | (one ^ two));
        black_box(differences(&self.inner, &other.inner) | differences(&self.outer, &other.outer)) == 0
    }

    /// Becomes the other key, or stays what it is, in the same time.
    pub fn assign_if(&mut self, other: &Self, condition: bool) {
        let mask = 0_u32.wrapping_sub(u32::from(black_box(condition)));
        let assign = |words: &mut [u32; 8], others: &[u32; 8]| {
            words.iter_mut().zip(others).for_each(|(word, other)| *word ^= (*word ^ other) & mask);
        };
        assign(&mut self.inner, &other.inner);
        assign(&mut self.outer, &other.outer);
    }

    /// The MAC over a message.
    #[must_use]
    pub fn mac(&self, message: &[u8]) -> [u8; HASH] {
        self.mac_of(&[message])
    }

    /// The MAC over a message that lies in several pieces.
    #[must_use]
    pub fn mac_of(&self, pieces: &[&[u8]]) -> [u8; HASH] {
        let mut mac = [0; HASH];
        write(&mut mac, &self.state_of(pieces));
        mac
    }

    fn state_of(&self, pieces: &[&[u8]]) -> [u32; 8] {
        let mut inner = Hash::new(self.inner, BLOCK);
        pieces.iter().for_each(|piece| inner.take(piece));
        let mut last = [0; BLOCK];
        write(&mut last, &inner.finish());
        finish(&mut last, HASH, BLOCK + HASH);
        let mut outer = self.outer;
        compress256(&mut outer, &[last]);
        outer
    }
}

/// Puts a state at the beginning of something, as bytes.
fn write(to: &mut [u8], state: &[u32; 8]) {
    to.as_chunks_mut::<4>().0.iter_mut().zip(state).for_each(|(bytes, word)| *bytes = word.to_be_bytes());
}

/// Ends blocks of which some bytes are filled: a one, zeros, and the length of the whole message in bits.
fn finish(blocks: &mut [u8], filled: usize, bytes: usize) {
    if let Some((one, rest)) = blocks.get_mut(filled..).and_then(<[u8]>::split_first_mut) {
        *one = ONE;
        rest.fill(0);
    }
    if let Some(length) = blocks.last_chunk_mut::<LENGTH>() {
        *length = (bytes as u64).wrapping_mul(8).to_be_bytes();
    }
}

/// A hash that goes on from a state.
struct Hash {
    state: [u32; 8],
    gathered: [u8; GATHERED + BLOCK],
    filled: usize,
    /// All bytes until now.
    bytes: usize,
}

impl Hash {
    const fn new(state: [u32; 8], bytes: usize) -> Self {
        Self { state, gathered: [0; GATHERED + BLOCK], filled: 0, bytes }
    }

    fn take(&mut self, mut piece: &[u8]) {
        self.bytes += piece.len();
        loop {
            let room = self.gathered.get_mut(self.filled..GATHERED).unwrap_or_default();
            let (now, later) = piece.split_at(piece.len().min(room.len()));
            if let Some(room) = room.get_mut(..now.len()) {
                room.copy_from_slice(now);
            }
            self.filled += now.len();
            if later.is_empty() {
                return;
            }
            self.compress(GATHERED);
            self.filled = 0;
            piece = later;
        }
    }

    fn compress(&mut self, bytes: usize) {
        compress256(&mut self.state, self.gathered.get(..bytes).unwrap_or_default().as_chunks().0);
    }

    fn finish(mut self) -> [u32; 8] {
        let end = (self.filled + LENGTH) / BLOCK * BLOCK + BLOCK;
        finish(self.gathered.get_mut(..end).unwrap_or_default(), self.filled, self.bytes);
        self.compress(end);
        self.state
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("SigningKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::hmac;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn it_becomes_the_other_key_only_if_it_is_to() {
        for (condition, mac) in [(false, SigningKey::of(b"one").mac(b"x")), (true, SigningKey::of(b"other").mac(b"x"))] {
            let mut key = SigningKey::of(b"one");
            key.assign_if(&SigningKey::of(b"other"), condition);
            assert_eq!(key.mac(b"x"), mac);
        }
    }

    /// RFC 4231, sections 4.2 to 4.8 without 4.6, which is cut.
    #[test]
    fn the_published_cases_hold() {
        let counting: Vec<u8> = (1..=25).collect();
        let cases: [(&[u8], &[u8], &str); 6] = [
            (&[0x0b; 20], b"Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
            (b"Jefe", b"what do ya want for nothing?", "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
            (&[0xaa; 20], &[0xdd; 50], "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"),
            (&counting, &[0xcd; 50], "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"),
            (
                &[0xaa; 131],
                b"Test Using Larger Than Block-Size Key - Hash Key First",
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
            ),
            (
                &[0xaa; 131],
                b"This is a test using a larger than block-size key and a larger than block-size data. The key needs to be hashed before being used by the HMAC algorithm.",
                "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
            ),
        ];
        for (key, message, mac) in cases {
            assert_eq!(hex(&SigningKey::of(key).mac(message)), mac);
        }
    }

    #[test]
    fn another_implementation_agrees_at_every_length_in_any_pieces() {
        let bytes: Vec<u8> = (0..=255).map(|byte: u8| byte.wrapping_mul(151)).collect();
        for length in 0..=200 {
            let (secret, message) = (&bytes[..length % 140], &bytes[..length]);
            let expected = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message);
            let key = SigningKey::of(secret);
            assert_eq!(key.mac(message), expected.as_ref(), "{length}");
            for cut in 0..=length {
                let (first, second) = message.split_at(cut);
                assert_eq!(key.mac_of(&[first, b"", second]), expected.as_ref(), "{length} cut at {cut}");
                let (first, second) = secret.split_at(cut.min(secret.len()));
                let same = SigningKey::joined(&[first, second]);
                assert!(same.is(&key) && !same.is(&SigningKey::of(b"another")), "{length}, key cut at {cut}");
            }
            for size in 1..=length {
                let pieces: Vec<&[u8]> = message.chunks(size).collect();
                assert_eq!(key.mac_of(&pieces), expected.as_ref(), "{length} by {size}");
            }
        }
    }

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?}", SigningKey::of(b"hunter2")), "SigningKey(..)");
    }
}
