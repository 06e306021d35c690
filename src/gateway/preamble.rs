//! What a load balancer says before a connection's first request, where a listener's configuration says that one does.

use std::future::Future;
use std::io::{self, ErrorKind};
use std::pin::pin;
use std::task::Poll;

use tokio::net::TcpStream;

use super::client::Ended;
use super::deadline::Deadline;
use super::worker::Worker;
use crate::access::proxy_protocol::{self, HEADER_BYTES_MAX, Malformed, Source};

/// Whom a connection comes from, and what was read of it that belongs to its first request.
pub(super) struct Preamble {
    pub(super) source: Source,
    pub(super) ahead: Vec<u8>,
}

impl Preamble {
    /// Of a connection that begins with its first request.
    pub(super) const fn none() -> Self {
        Self { source: Source::Peer, ahead: Vec::new() }
    }
}

/// Reads a PROXY header. It shares its time with the first request's head.
pub(super) async fn read(stream: &TcpStream, worker: &Worker, deadline: &Deadline) -> Result<Preamble, Ended> {
    let mut reading = pin!(read_header(stream));
    std::future::poll_fn(|context| {
        deadline.watch(context);
        if let Poll::Ready(outcome) = reading.as_mut().poll(context) {
            return Poll::Ready(outcome);
        }
        match (worker.is_stopping(), deadline.must_close()) {
            (true, _) => Poll::Ready(Err(Ended::Finished)),
            (false, true) => Poll::Ready(Err(Ended::TimedOut)),
            (false, false) => Poll::Pending,
        }
    })
    .await
}

async fn read_header(stream: &TcpStream) -> Result<Preamble, Ended> {
    let mut bytes = Vec::new();
    loop {
        if next_bytes(stream, &mut bytes).await.map_err(Ended::Broken)? == 0 {
            // Whoever only looks whether the port is open says nothing at all.
            return Err(if bytes.is_empty() { Ended::Finished } else { Ended::NotProxied(Malformed::Start) });
        }
        if let Some(header) = proxy_protocol::read(&bytes).map_err(Ended::NotProxied)? {
            let ahead = bytes.split_off(header.bytes.min(bytes.len()));
            return Ok(Preamble { source: header.source, ahead });
        }
    }
}

/// Appends what has come in; 0 at the end.
async fn next_bytes(stream: &TcpStream, bytes: &mut Vec<u8>) -> io::Result<usize> {
    let before = bytes.len();
    loop {
        stream.readable().await?;
        bytes.resize(before + HEADER_BYTES_MAX, 0);
        let read = stream.try_read(bytes.get_mut(before..).unwrap_or_default());
        bytes.truncate(before + read.as_ref().map_or(0, |count| *count));
        match read {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            ended => return ended,
        }
    }
}
