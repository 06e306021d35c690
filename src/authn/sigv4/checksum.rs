//! The checksum that a client sends behind its chunks: who takes the chunks apart is the last who can compare it.

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// A checksum that S3 clients send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// CRC-32 of Ethernet and ZIP.
    Crc32,
    /// CRC-32 of Castagnoli.
    Crc32c,
    /// CRC-64 of NVM Express.
    Crc64Nvme,
    /// SHA-1.
    Sha1,
    /// SHA-256.
    Sha256,
}

impl Algorithm {
    const ALL: [Self; 5] = [Self::Crc32, Self::Crc32c, Self::Crc64Nvme, Self::Sha1, Self::Sha256];

    /// The one that a trailer of this name carries.
    pub(super) fn of_trailer(name: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.trailer().as_bytes() == name)
    }

    /// The trailer's name.
    pub(super) const fn trailer(self) -> &'static str {
        match self {
            Self::Crc32 => "x-amz-checksum-crc32",
            Self::Crc32c => "x-amz-checksum-crc32c",
            Self::Crc64Nvme => "x-amz-checksum-crc64nvme",
            Self::Sha1 => "x-amz-checksum-sha1",
            Self::Sha256 => "x-amz-checksum-sha256",
        }
    }
}

/// A checksum of what has come so far.
#[derive(Clone)]
pub(super) enum Running {
    Crc { table: &'static Table, register: u64, width_bytes: usize },
    Digest(digest::Context),
}

impl Running {
    pub(super) fn new(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Crc32 => Self::crc(&CRC32, 4),
            Algorithm::Crc32c => Self::crc(&CRC32C, 4),
            Algorithm::Crc64Nvme => Self::crc(&CRC64_NVME, 8),
            Algorithm::Sha1 => Self::Digest(digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY)),
            Algorithm::Sha256 => Self::Digest(digest::Context::new(&digest::SHA256)),
        }
    }

    const fn crc(table: &'static Table, width_bytes: usize) -> Self {
        Self::Crc { table, register: u64::MAX >> (64 - 8 * width_bytes), width_bytes }
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Crc { table, register, .. } => *register = advanced(table, *register, bytes),
            Self::Digest(context) => context.update(bytes),
        }
    }

    /// As it is written: Base64.
    pub(super) fn finish(self) -> String {
        match self {
            Self::Crc { register, width_bytes, .. } => {
                let value = register ^ u64::MAX >> (64 - 8 * width_bytes);
                STANDARD.encode(value.to_be_bytes().get(8 - width_bytes..).unwrap_or_default())
            }
            Self::Digest(context) => STANDARD.encode(context.finish()),
        }
    }
}

/// For each of eight places in a stretch of eight bytes, what a byte there does to the register.
type Table = [[u64; 256]; 8];

static CRC32: Table = table(0xEDB8_8320);
static CRC32C: Table = table(0x82F6_3B78);
static CRC64_NVME: Table = table(0x9A6C_9329_AC4B_C9B5);

/// The tables of a polynomial whose bits stand in reverse order.
#[expect(clippy::indexing_slicing, reason = "evaluated when compiled")]
const fn table(polynomial: u64) -> Table {
    let mut table = [[0; 256]; 8];
    let mut byte = 0;
    while byte < 256 {
        let mut register = byte as u64;
        let mut bit = 0;
        while bit < 8 {
            register = if register & 1 == 1 { register >> 1 ^ polynomial } else { register >> 1 };
            bit += 1;
        }
        table[0][byte] = register;
        byte += 1;
    }
    let mut place = 1;
    while place < 8 {
        byte = 0;
        while byte < 256 {
            let before = table[place - 1][byte];
            table[place][byte] = before >> 8 ^ table[0][(before & 0xFF) as usize];
            byte += 1;
        }
        place += 1;
    }
    table
}

/// Eight bytes at a time: bodies of gigabytes pass here.
#[expect(clippy::indexing_slicing, reason = "the index is a byte, the table has 256 entries")]
fn advanced(table: &Table, mut register: u64, bytes: &[u8]) -> u64 {
    let [t0, t1, t2, t3, t4, t5, t6, t7] = table;
    let (eights, rest) = bytes.as_chunks::<8>();
    for eight in eights {
        let [a, b, c, d, e, f, g, h] = (register ^ u64::from_le_bytes(*eight)).to_le_bytes().map(usize::from);
        register = t7[a] ^ t6[b] ^ t5[c] ^ t4[d] ^ t3[e] ^ t2[f] ^ t1[g] ^ t0[h];
    }
    for byte in rest {
        let [low, ..] = register.to_le_bytes();
        register = register >> 8 ^ t0[usize::from(low ^ byte)];
    }
    register
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_those_of_their_catalogues() {
        let of = |algorithm, bytes: &[u8]| {
            let mut running = Running::new(algorithm);
            bytes.chunks(3).for_each(|piece| running.update(piece));
            let mut at_once = Running::new(algorithm);
            at_once.update(bytes);
            let value = running.finish();
            assert_eq!(at_once.finish(), value);
            value
        };
        let check = b"123456789";
        assert_eq!(of(Algorithm::Crc32, check), STANDARD.encode(0xCBF4_3926u32.to_be_bytes()));
        assert_eq!(of(Algorithm::Crc32c, check), STANDARD.encode(0xE306_9283u32.to_be_bytes()));
        assert_eq!(of(Algorithm::Crc64Nvme, check), STANDARD.encode(0xAE8B_1486_0A79_9888u64.to_be_bytes()));
        assert_eq!(of(Algorithm::Sha1, b"abc"), "qZk+NkcGgWq6PiVxeFDCbJzQ2J0=");
        assert_eq!(of(Algorithm::Sha256, b"abc"), "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=");
        // Amazon's example of a signed trailer.
        assert_eq!(of(Algorithm::Crc32c, &[b'a'; 66_560]), "sOO8/Q==");
    }
}
