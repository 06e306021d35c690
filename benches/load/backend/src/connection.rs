//! One client connection: reads heads, owes an answer for each, writes what the socket takes.

use std::io::{self, ErrorKind, Read, Write};

use mio::net::TcpStream;

use crate::heads::HeadCounter;

/// A connection and how far its answers are written.
#[derive(Debug)]
pub(crate) struct Connection {
    /// The socket, so that the event loop can register it.
    pub(crate) stream: TcpStream,
    heads: HeadCounter,
    answers_owed: u64,
    /// Bytes of the answer at the front that are already written.
    written: usize,
}

/// What the event loop has to do with a connection after serving it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Wait for the next event.
    Keep,
    /// Forget it; dropping closes the socket.
    Close,
}

impl Connection {
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self { stream, heads: HeadCounter::default(), answers_owed: 0, written: 0 }
    }

    /// Serves one event. `ended` says that the peer has closed its side: only then is the socket
    /// read until it says so itself, otherwise a short read already means that it is empty.
    pub(crate) fn serve(&mut self, answer: &[u8], scratch: &mut [u8], ended: bool) -> Next {
        let read = self.read_heads(scratch, ended);
        let written = self.write_answers(answer);
        match (read, written) {
            (Ok(Next::Keep), Ok(())) => Next::Keep,
            (Ok(Next::Close) | Err(_), _) | (_, Err(_)) => Next::Close,
        }
    }

    fn read_heads(&mut self, scratch: &mut [u8], ended: bool) -> io::Result<Next> {
        loop {
            match self.stream.read(scratch) {
                Ok(0) => return Ok(Next::Close),
                Ok(count) => {
                    self.answers_owed += self.heads.feed(scratch.get(..count).unwrap_or_default());
                    if count < scratch.len() && !ended {
                        return Ok(Next::Keep);
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Next::Keep),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn write_answers(&mut self, answer: &[u8]) -> io::Result<()> {
        while self.answers_owed > 0 {
            match self.stream.write(answer.get(self.written..).unwrap_or_default()) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => {
                    self.written += count;
                    if self.written == answer.len() {
                        self.written = 0;
                        self.answers_owed -= 1;
                    }
                }
                // The socket was registered for writing too: an event follows when there is room.
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
