//! Files of encrypted frames that can only be read whole, in order, and as the file they were written as.
//!
//! Layout: 32 random bytes (the salt), the epoch as 8 bytes, then frames of length (4 bytes), nonce (12) and ciphertext with
//! tag (16); numbers are big-endian. The key is made from the salt and the file's kind, so every file has its own.
//! SECURITY: what is authenticated with each frame is the kind, the epoch, the frame's position and the tag of the frame
//! before, so none can be changed, left out, doubled, moved or taken from another file;
//! `frames_open_only_in_their_file_and_place` fails when place and tag are left out.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

use crate::snapshot::wire::channel::LINE_BYTES_MAX;
use crate::types::{Secret, SigningKey};

const SALT_BYTES: usize = 32;
const TAG_BYTES: usize = 16;
/// Bytes before the first frame.
const PREFIX_BYTES: u64 = SALT_BYTES as u64 + 8;
/// Bytes of a frame beside its text.
const OVERHEAD_BYTES: usize = NONCE_LEN + TAG_BYTES;
/// Most bytes of a frame: a line of the feed, or a piece of an image that ends with one.
const FRAME_BYTES_MAX: usize = 2 * LINE_BYTES_MAX;

/// What a file is; files of different kinds never pass for each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Image,
    Journal,
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Journal => "journal",
        }
    }
}

/// What is wrong with a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameFault {
    /// The file ends inside it.
    #[error("it is cut off in frame {0}")]
    Cut(u64),
    /// Its tag does not fit.
    #[error("frame {0} does not open: changed, moved, or written under another sealing key")]
    Tag(u64),
}

/// Where all files of a copy get their keys from.
#[derive(Clone)]
pub(super) struct Keys(SigningKey);

impl Keys {
    pub(super) fn new(subkey: &Secret) -> Self {
        Self(SigningKey::new(subkey))
    }

    fn file(&self, kind: Kind, salt: &[u8; SALT_BYTES]) -> io::Result<LessSafeKey> {
        let bytes = zeroize::Zeroizing::new(self.0.mac_of(&[kind.as_str().as_bytes(), b"\n", salt]));
        UnboundKey::new(&AES_256_GCM, bytes.as_slice()).map(LessSafeKey::new).map_err(|_| io::Error::other("no key can be made"))
    }

    /// The MAC over a text that is not secret.
    pub(super) fn mac(&self, text: &str) -> [u8; 32] {
        self.0.mac_of(&[b"text\n", text.as_bytes()])
    }
}

/// Between two frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    /// Bytes before it.
    pub(super) bytes: u64,
    /// Frames before it.
    pub(super) frames: u64,
    tag: [u8; TAG_BYTES],
}

impl Mark {
    const START: Self = Self { bytes: PREFIX_BYTES, frames: 0, tag: [0; TAG_BYTES] };

    fn aad(&self, kind: Kind, epoch: u64) -> Vec<u8> {
        let mut aad = Vec::with_capacity(48);
        for part in [kind.as_str().as_bytes(), b"\n", &epoch.to_be_bytes(), &self.frames.to_be_bytes(), &self.tag] {
            aad.extend_from_slice(part);
        }
        aad
    }

    fn after(self, frame_bytes: usize, tag: [u8; TAG_BYTES]) -> Self {
        Self { bytes: self.bytes + 4 + frame_bytes as u64, frames: self.frames + 1, tag }
    }
}

/// Writes a file, frame by frame.
pub(super) struct SealedWriter {
    file: Arc<File>,
    key: LessSafeKey,
    kind: Kind,
    epoch: u64,
    mark: Mark,
}

impl SealedWriter {
    /// A new file, in the place of any that is there.
    pub(super) fn create(path: &Path, keys: &Keys, kind: Kind, epoch: u64) -> io::Result<Self> {
        let _ = std::fs::remove_file(path);
        let mut file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)?;
        let mut salt = [0; SALT_BYTES];
        aws_lc_rs::rand::fill(&mut salt).map_err(|_| io::Error::other("no random bytes"))?;
        let mut prefix = salt.to_vec();
        prefix.extend_from_slice(&epoch.to_be_bytes());
        file.write_all(&prefix)?;
        Ok(Self { file: Arc::new(file), key: keys.file(kind, &salt)?, kind, epoch, mark: Mark::START })
    }

    /// Appends a frame by one write: a process that is killed has written all of it or, at worst, its beginning.
    pub(super) fn append(&mut self, text: &[u8]) -> io::Result<()> {
        let mut nonce = [0; NONCE_LEN];
        aws_lc_rs::rand::fill(&mut nonce).map_err(|_| io::Error::other("no random bytes"))?;
        let length = text.len() + OVERHEAD_BYTES;
        let prefix = u32::try_from(length).ok().filter(|_| length <= FRAME_BYTES_MAX);
        let prefix = prefix.ok_or_else(|| io::Error::other("a frame is too long"))?;
        let mut cipher = text.to_vec();
        let tag = self
            .key
            .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(self.mark.aad(self.kind, self.epoch)), &mut cipher)
            .map_err(|_| io::Error::other("a frame cannot be sealed"))?;
        let tag: [u8; TAG_BYTES] = tag.as_ref().try_into().map_err(|_| io::Error::other("a tag has another length"))?;
        let mut frame = Vec::with_capacity(4 + length);
        for part in [&prefix.to_be_bytes()[..], &nonce, &cipher, &tag] {
            frame.extend_from_slice(part);
        }
        (&*self.file).write_all(&frame)?;
        self.mark = self.mark.after(length, tag);
        Ok(())
    }

    pub(super) fn file(&self) -> &Arc<File> {
        &self.file
    }

    pub(super) fn mark(&self) -> Mark {
        self.mark
    }
}

/// Reads a file, frame by frame.
pub(super) struct SealedReader {
    input: BufReader<File>,
    key: LessSafeKey,
    kind: Kind,
    epoch: u64,
    mark: Mark,
}

impl SealedReader {
    /// `Ok(None)` when the file is too short to have a frame.
    pub(super) fn open(path: &Path, keys: &Keys, kind: Kind) -> io::Result<Option<Self>> {
        let mut input = BufReader::new(OpenOptions::new().read(true).write(true).open(path)?);
        let (mut salt, mut epoch) = ([0; SALT_BYTES], [0; 8]);
        if !filled(&mut input, &mut salt)? || !filled(&mut input, &mut epoch)? {
            return Ok(None);
        }
        Ok(Some(Self { input, key: keys.file(kind, &salt)?, kind, epoch: u64::from_be_bytes(epoch), mark: Mark::START }))
    }

    /// Goes to a place where a frame of this file began when it was written.
    pub(super) fn seek(&mut self, mark: Mark) -> io::Result<()> {
        self.input.seek(SeekFrom::Start(mark.bytes))?;
        self.mark = mark;
        Ok(())
    }

    /// The text of the next frame, `None` at the end. The inner error is the file's fault, the outer one the disk's.
    pub(super) fn next(&mut self) -> io::Result<Result<Option<Vec<u8>>, FrameFault>> {
        let number = self.mark.frames + 1;
        if self.input.fill_buf()?.is_empty() {
            return Ok(Ok(None));
        }
        let mut length = [0; 4];
        if !filled(&mut self.input, &mut length)? {
            return Ok(Err(FrameFault::Cut(number)));
        }
        let length = u32::from_be_bytes(length) as usize;
        if !(OVERHEAD_BYTES..=FRAME_BYTES_MAX).contains(&length) {
            return Ok(Err(FrameFault::Tag(number)));
        }
        let mut frame = Vec::new();
        (&mut self.input).take(length as u64).read_to_end(&mut frame)?;
        if frame.len() != length {
            return Ok(Err(FrameFault::Cut(number)));
        }
        Ok(self.unseal(frame).map(Some).ok_or(FrameFault::Tag(number)))
    }

    fn unseal(&mut self, mut frame: Vec<u8>) -> Option<Vec<u8>> {
        let (length, tag) = (frame.len(), *frame.last_chunk::<TAG_BYTES>()?);
        let (nonce, cipher) = frame.split_first_chunk_mut::<NONCE_LEN>()?;
        let aad = Aad::from(self.mark.aad(self.kind, self.epoch));
        let text = self.key.open_in_place(Nonce::assume_unique_for_key(*nonce), aad, cipher).ok()?.to_vec();
        self.mark = self.mark.after(length, tag);
        Some(text)
    }

    /// Behind the last good frame.
    pub(super) fn mark(&self) -> Mark {
        self.mark
    }

    pub(super) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Goes on writing behind the last good frame; what comes after it is cut off.
    pub(super) fn into_writer(self) -> io::Result<SealedWriter> {
        let Self { input, key, kind, epoch, mark } = self;
        let mut file = input.into_inner();
        file.set_len(mark.bytes)?;
        file.seek(SeekFrom::Start(mark.bytes))?;
        Ok(SealedWriter { file: Arc::new(file), key, kind, epoch, mark })
    }
}

/// Whether there were enough bytes.
fn filled(input: &mut impl Read, bytes: &mut [u8]) -> io::Result<bool> {
    match input.read_exact(bytes) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(text: &str) -> Keys {
        Keys::new(&Secret::new(text.as_bytes()))
    }

    /// All texts, or the fault.
    fn read(path: &Path, keys: &Keys, kind: Kind) -> Option<Result<Vec<Vec<u8>>, FrameFault>> {
        let mut reader = SealedReader::open(path, keys, kind).unwrap()?;
        let mut texts = Vec::new();
        loop {
            match reader.next().unwrap() {
                Ok(Some(text)) => texts.push(text),
                Ok(None) => return Some(Ok(texts)),
                Err(fault) => return Some(Err(fault)),
            }
        }
    }

    fn write(path: &Path, keys: &Keys, epoch: u64, texts: &[&[u8]]) -> Vec<u64> {
        let mut writer = SealedWriter::create(path, keys, Kind::Journal, epoch).unwrap();
        let mut ends = vec![writer.mark().bytes];
        for text in texts {
            writer.append(text).unwrap();
            ends.push(writer.mark().bytes);
        }
        ends
    }

    const TEXTS: [&[u8]; 3] = [b"one", b"", b"three"];

    #[test]
    fn every_cut_and_every_flipped_bit_of_a_file_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let (path, keys) = (folder.path().join("a"), keys("a"));
        let ends = write(&path, &keys, 7, &TEXTS);
        let whole = std::fs::read(&path).unwrap();
        assert!(!whole.windows(5).any(|window| window == b"three"));
        assert_eq!(read(&path, &keys, Kind::Journal).unwrap().unwrap(), TEXTS);
        for size in 0..whole.len() {
            std::fs::write(&path, &whole[..size]).unwrap();
            match read(&path, &keys, Kind::Journal) {
                None => assert!(size < ends[0] as usize),
                Some(Err(fault)) => assert!(matches!(fault, FrameFault::Cut(_)), "{size}"),
                // Between two frames: whoever reads the file must know how many there are.
                Some(Ok(texts)) => assert_eq!(ends.get(texts.len()), Some(&(size as u64))),
            }
        }
        for index in 0..whole.len() {
            for bit in 0..8 {
                let mut changed = whole.clone();
                changed[index] ^= 1 << bit;
                std::fs::write(&path, &changed).unwrap();
                assert!(read(&path, &keys, Kind::Journal).is_none_or(|read| read.is_err()), "byte {index}");
            }
        }
    }

    #[test]
    fn frames_open_only_in_their_file_and_place() {
        let folder = tempfile::tempdir().unwrap();
        let (path, keys) = (folder.path().join("a"), keys("a"));
        let ends: Vec<usize> = write(&path, &keys, 7, &TEXTS).into_iter().map(|end| end as usize).collect();
        let whole = std::fs::read(&path).unwrap();
        assert!(read(&path, &self::keys("b"), Kind::Journal).unwrap().is_err());
        assert!(read(&path, &keys, Kind::Image).unwrap().is_err());
        let frame = |number: usize| &whole[ends[number]..ends[number + 1]];
        let prefix = &whole[..ends[0]];
        let other = folder.path().join("b");
        write(&other, &keys, 7, &TEXTS);
        let foreign = std::fs::read(&other).unwrap();
        for parts in [
            &[frame(1)][..],
            &[frame(0), frame(0)],
            &[frame(0), frame(2)],
            &[frame(0), frame(1), frame(1)],
            &[&foreign[ends[0]..ends[1]]],
            &[frame(0), &foreign[ends[1]..ends[2]]],
        ] {
            std::fs::write(&path, [prefix, &parts.concat()].concat()).unwrap();
            assert!(matches!(read(&path, &keys, Kind::Journal), Some(Err(FrameFault::Tag(_)))), "{}", parts.len());
        }
    }

    #[test]
    fn writing_goes_on_behind_the_last_good_frame() {
        let folder = tempfile::tempdir().unwrap();
        let (path, keys) = (folder.path().join("a"), keys("a"));
        let ends = write(&path, &keys, 7, &TEXTS);
        OpenOptions::new().write(true).open(&path).unwrap().set_len(ends[3] - 1).unwrap();
        let mut reader = SealedReader::open(&path, &keys, Kind::Journal).unwrap().unwrap();
        while let Ok(Some(_)) = reader.next().unwrap() {}
        assert_eq!(reader.mark().bytes, ends[2]);
        reader.into_writer().unwrap().append(b"again").unwrap();
        assert_eq!(read(&path, &keys, Kind::Journal).unwrap().unwrap(), [&b"one"[..], b"", b"again"]);
    }
}
