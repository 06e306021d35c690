//! Lower-case hexadecimal digits, the only form in which ids, hashes and signatures are taken.

/// The value of a digit, or 255.
static VALUES: [u8; 256] = {
    let mut values = [255; 256];
    let mut value = 0;
    while value < 16 {
        #[expect(clippy::cast_possible_truncation, clippy::indexing_slicing, reason = "below 16, evaluated when compiled")]
        {
            values[DIGITS[value] as usize] = value as u8;
        }
        value += 1;
    }
    values
};
const DIGITS: [u8; 16] = *b"0123456789abcdef";

/// Exactly two digits for each of `N` bytes; anything else is `None`.
#[must_use]
pub fn decode<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let (pairs, []) = text.as_chunks::<2>() else { return None };
    if pairs.len() != N {
        return None;
    }
    let value = |digit: u8| VALUES.get(usize::from(digit)).copied().unwrap_or(255);
    let mut bytes = [0; N];
    let mut seen = 0;
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        let (high, low) = (value(*high), value(*low));
        seen |= high | low;
        *byte = high << 4 | low & 15;
    }
    (seen < 16).then_some(bytes)
}

/// Writes two digits for each byte, as far as there is room.
pub fn encode(to: &mut [u8], bytes: &[u8]) {
    let digit = |half: u8| DIGITS.get(usize::from(half & 15)).copied().unwrap_or_default();
    for (pair, byte) in to.as_chunks_mut::<2>().0.iter_mut().zip(bytes) {
        *pair = [digit(byte >> 4), digit(*byte)];
    }
}

/// Two digits for each byte.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    let mut text = vec![0; 2 * bytes.len()];
    encode(&mut text, bytes);
    text.into_iter().map(char::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_nothing_else() {
        let bytes: [u8; 256] = std::array::from_fn(|byte| byte as u8);
        let mut text = [0; 512];
        encode(&mut text, &bytes);
        assert!(text.starts_with(b"000102") && text.ends_with(b"fdfeff"));
        assert_eq!(decode(&text), Some(bytes));
        assert_eq!(hex(&bytes).as_bytes(), text);
        for bad in ["0", "000", "0g", "0G", "AB", "é", " 1", "+1"] {
            assert_eq!(decode::<1>(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!((decode::<0>(b""), decode::<1>(b""), decode::<1>(b"0000")), (Some([]), None, None));
    }
}
