//! Counting request heads in a byte stream, however the reads cut it.

/// How much of a head's end (`\r\n\r\n`) the bytes so far have matched.
#[derive(Debug, Default)]
pub(crate) struct HeadCounter {
    /// Bytes of the terminator seen, 0 to 3.
    matched: u8,
}

impl HeadCounter {
    /// Takes the next bytes of the stream and returns how many heads ended in them.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> u64 {
        let mut ended = 0;
        let mut rest = bytes;
        loop {
            // With nothing matched, a terminator that begins in the next four bytes has to cover
            // the fourth. Looking at that one alone passes over most of a head.
            while self.matched == 0
                && let [_, _, _, fourth, tail @ ..] = rest
                && !matches!(fourth, b'\r' | b'\n')
            {
                rest = tail;
            }
            let Some((byte, tail)) = rest.split_first() else {
                return ended;
            };
            rest = tail;
            self.matched = match (self.matched, byte) {
                (0 | 2, b'\r') | (1, b'\n') => self.matched + 1,
                (3, b'\n') => {
                    ended += 1;
                    0
                }
                (_, b'\r') => 1,
                _ => 0,
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::HeadCounter;

    fn count(pieces: &[&[u8]]) -> u64 {
        let mut heads = HeadCounter::default();
        pieces.iter().map(|piece| heads.feed(piece)).sum()
    }

    #[test]
    fn each_head_is_counted_once_wherever_two_reads_are_cut() {
        let rows: [(&[u8], u64); 8] = [
            (b"", 0),
            (b"GET / HTTP/1.1\r\nHost: a\r\n", 0),
            (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 1),
            (b"GET / HTTP/1.1\r\n\r\nGET /b HTTP/1.1\r\nA: b\r\n\r\n", 2),
            (b"\r\n\r\n\r\n\r\n", 2),
            (b"\r\n\r\r\n\r\n", 1),
            (b"\r\r\n\r\n", 1),
            (b"\n\r\n\r \n\r\nab\r\n\r\nabc", 1),
        ];
        for (bytes, expected) in rows {
            for first in 0..=bytes.len() {
                for second in first..=bytes.len() {
                    let (head, tail) = bytes.split_at(second);
                    let (start, middle) = head.split_at(first);
                    assert_eq!(count(&[start, middle, tail]), expected, "{bytes:?} {first} {second}");
                }
            }
        }
    }

    #[test]
    fn the_count_is_the_same_at_every_alignment() {
        for padding in 0..64 {
            let mut bytes = vec![b'x'; padding];
            bytes.extend_from_slice(b"\r\n\r\n");
            bytes.extend(vec![b'y'; padding]);
            bytes.extend_from_slice(b"\r\n\r\n");
            assert_eq!(count(&[&bytes]), 2, "{padding}");
        }
    }
}
