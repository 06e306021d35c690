//! Bodies in chunks (`aws-chunked`): taken apart as they come, and verified chunk by chunk.
//!
//! Each chunk's signature covers the one before it, the first one's the request's; the last chunk is empty, and a checksum may follow.
//!
//! SECURITY: no byte of a chunk comes out before its signature stands, and the piece with the last byte of all not before the end
//! stands, the checksum and its signature included: who passes on what comes out never passes on the whole of a body that is not what
//! was signed. Tests: `no_changed_byte_of_a_chunked_body_verifies`, `a_body_whose_end_is_missing_keeps_its_last_piece`.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName};

use super::canonical::hex_into;
use super::checksum::{Algorithm, Running};
use super::credential::{Malformed, once};
use crate::types::{SigningKey, hex};

const DECODED_LENGTH: HeaderName = HeaderName::from_static("x-amz-decoded-content-length");
const TRAILER: HeaderName = HeaderName::from_static("x-amz-trailer");

/// Most bytes of a chunk that is signed: it is kept until its signature stands. Amazon's SDKs sign chunks of 64 and 128 KiB.
pub const CHUNK_BYTES_MAX: usize = 1024 * 1024;
/// Longest line between chunks, and longest trailer, in bytes.
const LINE_BYTES_MAX: usize = 256;
/// Longest body, in bytes: more than the largest object of any store.
const DECODED_BYTES_MAX: u64 = 1 << 50;
/// The hash of nothing, as a line: it stands before the hash of each chunk.
const EMPTY_SHA256_LINE: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n";

/// How a body comes in chunks; `x-amz-content-sha256` says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// Each chunk is signed.
    Signed,
    /// Each chunk is signed, and a signed checksum follows.
    SignedTrailer,
    /// No chunk is signed, and a checksum follows.
    UnsignedTrailer,
}

impl Framing {
    pub(super) fn named(text: &[u8]) -> Option<Self> {
        [Self::Signed, Self::SignedTrailer, Self::UnsignedTrailer].into_iter().find(|framing| framing.name().as_bytes() == text)
    }

    /// What stands for the body's hash.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Signed => "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
            Self::SignedTrailer => "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
            Self::UnsignedTrailer => "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        }
    }

    const fn is_signed(self) -> bool {
        match self {
            Self::Signed | Self::SignedTrailer => true,
            Self::UnsignedTrailer => false,
        }
    }

    const fn has_trailer(self) -> bool {
        match self {
            Self::Signed => false,
            Self::SignedTrailer | Self::UnsignedTrailer => true,
        }
    }
}

/// What a request's headers say about its chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Upload {
    /// How they come.
    pub framing: Framing,
    /// How many bytes they hold together.
    pub decoded_bytes: u64,
    trailer: Option<Algorithm>,
}

impl Upload {
    pub(super) fn read(framing: Framing, headers: &HeaderMap) -> Result<Self, Malformed> {
        let length = once(headers, &DECODED_LENGTH)?.and_then(|value| value.to_str().ok());
        let length = length.filter(|text| !text.is_empty() && text.len() <= 18 && text.bytes().all(|byte| byte.is_ascii_digit()));
        let length = length.and_then(|text| text.parse().ok()).filter(|length| *length <= DECODED_BYTES_MAX);
        let decoded_bytes = length.ok_or(Malformed::DecodedLength)?;
        let trailer = match (once(headers, &TRAILER)?, framing.has_trailer()) {
            (None, false) => None,
            (Some(value), true) => Some(Algorithm::of_trailer(value.as_bytes()).ok_or(Malformed::Trailer)?),
            (None, true) | (Some(_), false) => return Err(Malformed::Trailer),
        };
        Ok(Self { framing, decoded_bytes, trailer })
    }
}

/// Why chunks are not the body that was announced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadChunk {
    /// A line that begins or ends a chunk.
    #[error("a chunk is not framed as `x-amz-content-sha256` says")]
    Line,
    /// A chunk is too large to be kept.
    #[error("a signed chunk has more than {CHUNK_BYTES_MAX} bytes")]
    TooLarge,
    /// More or less than announced.
    #[error("the chunks do not hold `x-amz-decoded-content-length` bytes")]
    Length,
    /// A signature.
    #[error("a chunk is not the one that was signed")]
    Signature,
    /// A trailer that is not the one announced.
    #[error("the trailer is not the one that `x-amz-trailer` announces")]
    Trailer,
    /// The checksum.
    #[error("the body does not have the checksum in its trailer")]
    Checksum,
    /// It ended early.
    #[error("the body ends before its last chunk")]
    Cut,
    /// It went on.
    #[error("the body goes on after its end")]
    More,
}

/// What the signatures of chunks have in common.
#[derive(Clone)]
pub(super) struct Seal {
    /// The key of the credential's scope.
    pub(super) key: SigningKey,
    /// Time and scope, a line each.
    pub(super) lines: Box<str>,
    /// The signature before, in hexadecimal digits.
    pub(super) previous: Vec<u8>,
}

impl Seal {
    fn verify(&mut self, algorithm: &str, before: &str, content: &[u8], signature: &[u8; 32]) -> Result<(), BadChunk> {
        let mut hash = Vec::with_capacity(64);
        hex_into(&mut hash, digest(&SHA256, content).as_ref());
        let pieces: [&[u8]; 6] = [algorithm.as_bytes(), self.lines.as_bytes(), &self.previous, b"\n", before.as_bytes(), &hash];
        verify_slices_are_equal(&self.key.mac_of(&pieces), signature).map_err(|_| BadChunk::Signature)?;
        self.previous.clear();
        hex_into(&mut self.previous, signature);
        Ok(())
    }

    fn verify_chunk(&mut self, chunk: &[u8], signature: &[u8; 32]) -> Result<(), BadChunk> {
        self.verify("AWS4-HMAC-SHA256-PAYLOAD\n", EMPTY_SHA256_LINE, chunk, signature)
    }
}

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The line that begins a chunk.
    Line,
    /// A chunk's bytes; its signature, unless it has none.
    Data {
        left: u64,
        signature: Option<[u8; 32]>,
    },
    /// The end of the line behind them.
    DataEnd,
    /// A trailer's line, or the empty one that ends it all.
    Trailer,
    /// Its signature.
    TrailerSignature,
    /// The empty line.
    LastLine,
    Ended,
}

/// A body in chunks: bytes as they come go in, verified pieces of the body come out.
#[derive(Clone)]
pub struct Chunks {
    seal: Option<Seal>,
    trailer: Option<(Algorithm, Running)>,
    /// The trailer as it is signed.
    signed_trailer: Vec<u8>,
    state: State,
    line: Vec<u8>,
    chunk: BytesMut,
    decoded_bytes: u64,
    /// How many bytes have not come out, and are not held back.
    left: u64,
    last: Option<Bytes>,
}

impl std::fmt::Debug for Chunks {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Chunks").field("state", &self.state).field("left", &self.left).finish_non_exhaustive()
    }
}

impl Chunks {
    /// `seal` counts only where chunks are signed.
    pub(super) fn new(upload: Upload, seal: Seal) -> Self {
        Self {
            seal: upload.framing.is_signed().then_some(seal),
            trailer: upload.trailer.map(|algorithm| (algorithm, Running::new(algorithm))),
            signed_trailer: Vec::new(),
            state: State::Line,
            line: Vec::new(),
            chunk: BytesMut::new(),
            decoded_bytes: upload.decoded_bytes,
            left: upload.decoded_bytes,
            last: None,
        }
    }

    /// How long the body is.
    #[must_use]
    pub const fn decoded_bytes(&self) -> u64 {
        self.decoded_bytes
    }

    /// Takes of what came until a piece of the body may be passed on; `None` when all of it is taken.
    ///
    /// # Errors
    /// When it is not the body that was announced. Nothing may be passed on after that.
    pub fn push(&mut self, sent: &mut Bytes) -> Result<Option<Bytes>, BadChunk> {
        while !sent.is_empty() {
            match self.state {
                State::Ended => return Err(BadChunk::More),
                State::Data { left, signature } => {
                    if let Some(piece) = self.data(sent, left, signature)? {
                        return Ok(Some(piece));
                    }
                }
                State::Line | State::DataEnd | State::Trailer | State::TrailerSignature | State::LastLine => {
                    if self.take_line(sent)? {
                        let line = std::mem::take(&mut self.line);
                        self.state = self.after(line.strip_suffix(b"\r\n").unwrap_or(&line))?;
                        self.line = line;
                        self.line.clear();
                    }
                }
            }
        }
        Ok(None)
    }

    /// Nothing more comes: the last piece, which was held back.
    ///
    /// # Errors
    /// When something is missing.
    pub fn finish(&mut self) -> Result<Option<Bytes>, BadChunk> {
        if self.state == State::Ended { Ok(self.last.take()) } else { Err(BadChunk::Cut) }
    }

    /// Bytes of a chunk; those that may be passed on.
    fn data(&mut self, sent: &mut Bytes, left: u64, signature: Option<[u8; 32]>) -> Result<Option<Bytes>, BadChunk> {
        let count = usize::try_from(left).unwrap_or(usize::MAX).min(sent.len());
        let piece = sent.split_to(count);
        let left = left - count as u64;
        self.state = if left == 0 { State::DataEnd } else { State::Data { left, signature } };
        let piece = match (&mut self.seal, signature) {
            (None, _) => piece,
            (Some(seal), Some(signature)) => {
                // A whole chunk in one piece is not copied.
                if !(left == 0 && self.chunk.is_empty()) {
                    self.chunk.extend_from_slice(&piece);
                }
                if left > 0 {
                    return Ok(None);
                }
                let chunk = if self.chunk.is_empty() { piece } else { self.chunk.split().freeze() };
                seal.verify_chunk(&chunk, &signature)?;
                chunk
            }
            (Some(_), None) => return Err(BadChunk::Signature),
        };
        if let Some((_, running)) = &mut self.trailer {
            running.update(&piece);
        }
        self.left = self.left.checked_sub(piece.len() as u64).ok_or(BadChunk::Length)?;
        if self.left == 0 {
            self.last = Some(piece);
            return Ok(None);
        }
        Ok(Some(piece))
    }

    /// Takes up to the end of a line; whether it is there.
    fn take_line(&mut self, sent: &mut Bytes) -> Result<bool, BadChunk> {
        let end = sent.iter().position(|byte| *byte == b'\n').map_or(sent.len(), |at| at + 1);
        if self.line.len() + end > LINE_BYTES_MAX {
            return Err(BadChunk::Line);
        }
        self.line.extend_from_slice(&sent.split_to(end));
        Ok(self.line.ends_with(b"\r\n"))
    }

    /// What comes after a line.
    fn after(&mut self, line: &[u8]) -> Result<State, BadChunk> {
        match self.state {
            State::Line => self.after_chunk_line(line),
            State::DataEnd if line.is_empty() => Ok(State::Line),
            State::LastLine if line.is_empty() => Ok(State::Ended),
            State::Trailer => self.after_trailer(line),
            State::TrailerSignature => {
                let signature = line.strip_prefix(b"x-amz-trailer-signature:").and_then(|text| hex::decode(text.trim_ascii()));
                let (Some(signature), Some(seal)) = (signature, &mut self.seal) else { return Err(BadChunk::Trailer) };
                seal.verify("AWS4-HMAC-SHA256-TRAILER\n", "", &self.signed_trailer, &signature)?;
                Ok(State::LastLine)
            }
            State::DataEnd | State::LastLine | State::Data { .. } | State::Ended => Err(BadChunk::Line),
        }
    }

    /// `SIZE;chunk-signature=SIGNATURE`, or `SIZE` alone.
    fn after_chunk_line(&mut self, line: &[u8]) -> Result<State, BadChunk> {
        let text = std::str::from_utf8(line).map_err(|_| BadChunk::Line)?;
        let (size, extension) = text.split_once(';').map_or((text, None), |(size, extension)| (size, Some(extension)));
        if !(1..=16).contains(&size.len()) || !size.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(BadChunk::Line);
        }
        let size = u64::from_str_radix(size, 16).map_err(|_| BadChunk::Line)?;
        let signature = match (&self.seal, extension) {
            (None, None) => None,
            (Some(_), Some(extension)) => {
                let text = extension.strip_prefix("chunk-signature=").ok_or(BadChunk::Line)?;
                Some(hex::decode(text.as_bytes()).ok_or(BadChunk::Line)?)
            }
            (None, Some(_)) | (Some(_), None) => return Err(BadChunk::Line),
        };
        if size > self.left || (size == 0 && self.left > 0) {
            return Err(BadChunk::Length);
        }
        if size > 0 {
            let too_large = signature.is_some() && size > CHUNK_BYTES_MAX as u64;
            return if too_large { Err(BadChunk::TooLarge) } else { Ok(State::Data { left: size, signature }) };
        }
        if let (Some(seal), Some(signature)) = (&mut self.seal, signature) {
            seal.verify_chunk(b"", &signature)?;
        }
        Ok(if self.trailer.is_some() { State::Trailer } else { State::LastLine })
    }

    /// `NAME:CHECKSUM`. Amazon's own example ends this line with a line feed more than others.
    fn after_trailer(&mut self, line: &[u8]) -> Result<State, BadChunk> {
        let Some((algorithm, running)) = self.trailer.take() else { return Err(BadChunk::Trailer) };
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let value = line.strip_prefix(algorithm.trailer().as_bytes()).and_then(|rest| rest.strip_prefix(b":"));
        let value = value.ok_or(BadChunk::Trailer)?.trim_ascii();
        if running.finish().as_bytes() != value {
            return Err(BadChunk::Checksum);
        }
        if self.seal.is_none() {
            return Ok(State::LastLine);
        }
        self.signed_trailer = [algorithm.trailer().as_bytes(), b":", value, b"\n"].concat();
        Ok(State::TrailerSignature)
    }
}

#[cfg(test)]
mod tests;
