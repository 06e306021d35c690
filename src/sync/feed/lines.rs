//! Bytes as they come, to lines.

use crate::snapshot::wire::channel::LINE_BYTES_MAX;

/// A line without an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a line is longer than {LINE_BYTES_MAX} bytes")]
pub(super) struct TooLong;

/// The bytes that are not yet a line.
#[derive(Debug, Default)]
pub(super) struct Lines {
    rest: Vec<u8>,
}

impl Lines {
    /// Hands each line that `bytes` complete to `take`, without its line feed, until that fails.
    pub(super) fn feed<E: From<TooLong>>(&mut self, mut bytes: &[u8], mut take: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        while let Some((line, after)) = bytes.iter().position(|byte| *byte == b'\n').and_then(|end| bytes.split_at_checked(end)) {
            bytes = after.strip_prefix(b"\n").unwrap_or_default();
            if self.rest.is_empty() {
                take(line)?;
                continue;
            }
            self.rest.extend_from_slice(line);
            let whole = std::mem::take(&mut self.rest);
            take(&whole)?;
        }
        self.rest.extend_from_slice(bytes);
        if self.rest.len() > LINE_BYTES_MAX { Err(TooLong.into()) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_the_same_however_the_bytes_are_cut() {
        let text = b"one\n\ntwo\nthree";
        for size in 1..text.len() {
            let (mut lines, mut found) = (Lines::default(), Vec::new());
            for piece in text.chunks(size) {
                let keep = |line: &[u8]| {
                    found.push(line.to_vec());
                    Ok(())
                };
                lines.feed::<TooLong>(piece, keep).unwrap();
            }
            assert_eq!(found, [&b"one"[..], b"", b"two"], "{size}");
        }
        let mut lines = Lines::default();
        let endless = vec![b'x'; LINE_BYTES_MAX];
        lines.feed::<TooLong>(&endless, |_| Ok(())).unwrap();
        assert_eq!(lines.feed::<TooLong>(b"x", |_| Ok(())), Err(TooLong));
    }
}
