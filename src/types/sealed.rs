//! Sealed secrets: AES-256-GCM under a key that operators provide by file, bound to what they belong to.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use super::{Secret, SigningKey};

/// First characters of a sealed text; a new format gets a new one.
const FORMAT: &str = "v1.";
/// Bytes of a sealing key.
pub const KEY_BYTES: usize = 32;
/// Bytes of a nonce. A nonce must never be used twice under one key: draw it at random.
pub const NONCE_BYTES: usize = NONCE_LEN;

/// Why something could not be sealed or opened. Says nothing about the secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The key file does not hold a key.
    #[error("a sealing key is 64 hexadecimal digits (`openssl rand -hex 32`)")]
    Key,
    /// The text is not of the sealed form.
    #[error("this is not a sealed secret (`portcullis seal` writes them)")]
    Form,
    /// Another key, another owner, or changed bytes: the tag does not fit.
    #[error("the sealed secret does not open: sealed under another key, for another owner, or changed")]
    Tag,
}

/// A key that seals and opens secrets.
pub struct SealingKey {
    cipher: LessSafeKey,
    /// The same bytes as the pseudorandom key of HKDF.
    parent: Box<SigningKey>,
}

impl SealingKey {
    /// From the text of a key file: 64 hexadecimal digits, white space around them ignored.
    ///
    /// # Errors
    /// [`SealError::Key`] when the text is anything else.
    pub fn from_text(text: &str) -> Result<Self, SealError> {
        let text = text.trim();
        let mut bytes = Zeroizing::new([0u8; KEY_BYTES]);
        if text.len() != 2 * KEY_BYTES || !text.is_ascii() {
            return Err(SealError::Key);
        }
        for (index, byte) in bytes.iter_mut().enumerate() {
            let pair = text.get(2 * index..2 * index + 2).ok_or(SealError::Key)?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| SealError::Key)?;
        }
        let key = UnboundKey::new(&AES_256_GCM, bytes.as_slice()).map_err(|_| SealError::Key)?;
        Ok(Self { cipher: LessSafeKey::new(key), parent: Box::new(SigningKey::new(&Secret::new(bytes.to_vec()))) })
    }

    /// A key of its own for one purpose: the first block of HKDF-Expand (RFC 5869, section 2.3) with SHA-256 over `label`.
    #[must_use]
    pub fn subkey(&self, label: &str) -> Secret {
        let block = Zeroizing::new(self.parent.mac_of(&[label.as_bytes(), &[1]]));
        Secret::new(block.to_vec())
    }

    /// Seals `secret` for `owner`: the text opens only together with the same owner.
    ///
    /// # Errors
    /// [`SealError::Form`] when the secret is longer than the cipher allows.
    pub fn seal(&self, secret: &Secret, owner: &str, nonce: [u8; NONCE_BYTES]) -> Result<String, SealError> {
        let mut bytes = secret.expose().to_vec();
        self.cipher
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(owner.as_bytes()), &mut bytes)
            .map_err(|_| SealError::Form)?;
        let mut whole = nonce.to_vec();
        whole.append(&mut bytes);
        Ok(format!("{FORMAT}{}", URL_SAFE_NO_PAD.encode(whole)))
    }

    /// Opens what [`Self::seal`] wrote for the same owner.
    ///
    /// # Errors
    /// [`SealError::Form`] or [`SealError::Tag`].
    pub fn open(&self, sealed: &str, owner: &str) -> Result<Secret, SealError> {
        let text = sealed.trim().strip_prefix(FORMAT).ok_or(SealError::Form)?;
        let whole = URL_SAFE_NO_PAD.decode(text).map_err(|_| SealError::Form)?;
        let (nonce, cipher) = whole.split_first_chunk::<NONCE_BYTES>().ok_or(SealError::Form)?;
        let mut bytes = Zeroizing::new(cipher.to_vec());
        let plain = self
            .cipher
            .open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(owner.as_bytes()), bytes.as_mut_slice())
            .map_err(|_| SealError::Tag)?;
        Ok(Secret::new(plain.to_vec()))
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("SealingKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_secret_opens_only_for_its_owner_under_its_key_unchanged() {
        let key = SealingKey::from_text(&"0a".repeat(32)).unwrap();
        let other = SealingKey::from_text(&"0b".repeat(32)).unwrap();
        let sealed = key.seal(&Secret::new(b"hunter2".to_vec()), "access_key/1", [3; NONCE_BYTES]).unwrap();
        assert!(!sealed.contains("hunter2"));
        assert_eq!(key.open(&sealed, "access_key/1").unwrap().expose(), b"hunter2");
        assert_eq!(key.open(&sealed, "access_key/2").unwrap_err(), SealError::Tag);
        assert_eq!(other.open(&sealed, "access_key/1").unwrap_err(), SealError::Tag);
        for index in FORMAT.len()..sealed.len() {
            let mut bytes = sealed.clone().into_bytes();
            bytes[index] = if bytes[index] == b'A' { b'B' } else { b'A' };
            assert!(key.open(&String::from_utf8(bytes).unwrap(), "access_key/1").is_err(), "byte {index}");
        }
        assert_eq!(SealingKey::from_text("xyz").unwrap_err(), SealError::Key);
    }

    #[test]
    fn a_subkey_belongs_to_its_label_and_key() {
        let key = SealingKey::from_text(&"0a".repeat(32)).unwrap();
        let other = SealingKey::from_text(&"0b".repeat(32)).unwrap();
        assert_eq!(key.subkey("a").expose(), key.subkey("a").expose());
        assert_eq!(key.subkey("a").expose().len(), KEY_BYTES);
        assert_ne!(key.subkey("a").expose(), key.subkey("b").expose());
        assert_ne!(key.subkey("a").expose(), other.subkey("a").expose());
        // `openssl kdf -keylen 32 -kdfopt digest:SHA256 -kdfopt mode:EXPAND_ONLY -kdfopt hexkey:0a... -kdfopt info:a HKDF`
        let hex: String = key.subkey("a").expose().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "a6421427b255205147cf2ebd3ba35bab2473be33b01e22c3a70b53b3799f3c3b");
    }
}
