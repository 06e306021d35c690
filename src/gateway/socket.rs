//! A socket, client's or upstream's: small writes go out in one piece, and a client's deadline learns of bytes that come in.

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::deadline::Deadline;

/// Head and body that fit are copied together and sent by one plain call: cheaper than a vectored one (reference
/// measurements: 1 % at 1 KiB), and larger ones are not copied at all.
const COPIED_BYTES_MAX: usize = 4096;

/// A TCP connection.
pub(super) struct Socket {
    stream: TcpStream,
    deadline: Option<Rc<Deadline>>,
}

impl Socket {
    /// A client's connection.
    pub(super) fn watched(stream: TcpStream, deadline: Rc<Deadline>) -> Self {
        Self { stream, deadline: Some(deadline) }
    }

    /// A connection to an upstream.
    pub(super) fn plain(stream: TcpStream) -> Self {
        Self { stream, deadline: None }
    }
}

impl AsyncRead for Socket {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        if let Some(deadline) = &self.deadline
            && buffer.filled().len() > before
        {
            deadline.bytes_read();
        }
        polled
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, context: &mut Context<'_>, slices: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let total: usize = slices.iter().map(|slice| slice.len()).sum();
        if total > COPIED_BYTES_MAX {
            return Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        }
        let mut copied: smallvec::SmallVec<[u8; COPIED_BYTES_MAX]> = smallvec::SmallVec::new();
        for slice in slices {
            copied.extend_from_slice(slice);
        }
        Pin::new(&mut self.stream).poll_write(context, &copied)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }
}
