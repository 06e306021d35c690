//! A backend that writes down what it gets, byte for byte, and answers as it is told.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use super::client::{PATIENCE, find};

/// One request as it came in.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    /// The number of its connection, from 0.
    pub(crate) connection: usize,
    /// Its place on that connection, from 0.
    pub(crate) nth: usize,
    /// The head, with the empty line.
    pub(crate) head: String,
    /// The body, without framing.
    pub(crate) body: Vec<u8>,
    /// Whether the body came whole.
    pub(crate) whole: bool,
}

impl Seen {
    /// Method and target.
    pub(crate) fn line(&self) -> &str {
        self.head.split("\r\n").next().unwrap().strip_suffix(" HTTP/1.1").unwrap()
    }

    pub(crate) fn method(&self) -> &str {
        self.line().split_once(' ').unwrap().0
    }

    pub(crate) fn target(&self) -> &str {
        self.line().split_once(' ').unwrap().1
    }

    /// All headers, names in lower case, in order.
    pub(crate) fn headers(&self) -> Vec<(String, String)> {
        let lines = self.head.trim_end().split("\r\n").skip(1);
        lines.map(|line| line.split_once(':').unwrap()).map(|(name, value)| (name.to_ascii_lowercase(), value.trim().into())).collect()
    }

    /// The values of a header.
    pub(crate) fn all(&self, name: &str) -> Vec<String> {
        self.headers().into_iter().filter(|(found, _)| found == name).map(|(_, value)| value).collect()
    }

    /// The value of a header that stands at most once.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        let mut values = self.all(name);
        assert!(values.len() < 2, "{name} stands twice: {self:?}");
        values.pop()
    }

    fn framing(&self) -> Framing {
        match (self.header("transfer-encoding"), self.header("content-length")) {
            (None, None) => Framing::Left(0),
            (None, Some(length)) => Framing::Left(length.parse().unwrap()),
            (Some(coding), None) => {
                assert_eq!(coding, "chunked");
                Framing::Chunked
            }
            (Some(_), Some(_)) => panic!("two framings: {self:?}"),
        }
    }
}

enum Framing {
    Left(usize),
    Chunked,
}

/// What becomes of the connection after an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    Keep,
    Close,
}

/// One request being answered.
pub(crate) struct Turn<'a> {
    pub(crate) seen: Seen,
    stream: &'a mut TcpStream,
    buffer: &'a mut Vec<u8>,
    framing: Framing,
    shared: &'a Shared,
    place: usize,
}

impl Turn<'_> {
    /// Sends bytes as they are.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.stream.write_all(bytes.as_ref());
    }

    /// Reads the body to its end, answers 200 with the request's target as the body.
    pub(crate) fn ok(&mut self) -> Then {
        while self.piece().is_some() {}
        let target = self.seen.target().to_owned();
        let body = if self.seen.method() == "HEAD" { "" } else { &*target };
        self.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", target.len()));
        if self.seen.whole { Then::Keep } else { Then::Close }
    }

    /// The next piece of the body; `None` at its end, and when the connection breaks.
    pub(crate) fn piece(&mut self) -> Option<Vec<u8>> {
        let piece = self.next_piece();
        let mut all = self.shared.all.lock().unwrap();
        match &piece {
            Some(piece) => self.seen.body.extend_from_slice(piece),
            None => self.seen.whole = matches!(self.framing, Framing::Left(0)),
        }
        all[self.place] = self.seen.clone();
        drop(all);
        self.shared.changed.notify_all();
        piece
    }

    fn next_piece(&mut self) -> Option<Vec<u8>> {
        match self.framing {
            Framing::Left(0) => None,
            Framing::Left(left) => {
                if self.buffer.is_empty() && !fill(self.stream, self.buffer) {
                    return None;
                }
                let piece: Vec<u8> = self.buffer.drain(..left.min(self.buffer.len())).collect();
                self.framing = Framing::Left(left - piece.len());
                Some(piece)
            }
            Framing::Chunked => {
                let line = until(self.stream, self.buffer, b"\r\n")?;
                let size = usize::from_str_radix(std::str::from_utf8(&line).unwrap().trim(), 16).unwrap();
                while self.buffer.len() < size + 2 {
                    if !fill(self.stream, self.buffer) {
                        return None;
                    }
                }
                let piece: Vec<u8> = self.buffer.drain(..size).collect();
                assert_eq!(self.buffer.drain(..2).collect::<Vec<_>>(), b"\r\n");
                if size == 0 {
                    self.framing = Framing::Left(0);
                    return None;
                }
                Some(piece)
            }
        }
    }

    /// Waits until the gateway closes this connection; false when it sends something instead.
    pub(crate) fn is_closed(&mut self) -> bool {
        self.buffer.is_empty() && !fill(self.stream, self.buffer)
    }
}

#[derive(Default)]
struct Shared {
    all: Mutex<Vec<Seen>>,
    changed: Condvar,
    ended: AtomicBool,
}

/// A running backend.
pub(crate) struct Backend {
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl Backend {
    /// Answers every request with [`Turn::ok`].
    pub(crate) fn start() -> Self {
        Self::scripted(|turn| turn.ok())
    }

    /// Answers every request as `script` says. Its panics are the test's.
    pub(crate) fn scripted(script: impl Fn(&mut Turn<'_>) -> Then + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (shared, script) = (Arc::<Shared>::default(), Arc::new(script));
        let accepting = Arc::clone(&shared);
        std::thread::spawn(move || {
            for (connection, stream) in listener.incoming().enumerate() {
                if accepting.ended.load(Ordering::Relaxed) {
                    return;
                }
                let (shared, script) = (Arc::clone(&accepting), Arc::clone(&script));
                let stream = stream.unwrap();
                stream.set_nodelay(true).unwrap();
                std::thread::spawn(move || serve(&shared, connection, stream, &*script));
            }
        });
        Self { address, shared }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many requests have come so far.
    pub(crate) fn count(&self) -> usize {
        self.shared.all.lock().unwrap().len()
    }

    /// The requests from number `from` on.
    pub(crate) fn since(&self, from: usize) -> Vec<Seen> {
        self.shared.all.lock().unwrap()[from..].to_vec()
    }

    /// The last request.
    pub(crate) fn last(&self) -> Seen {
        self.since(0).pop().unwrap()
    }

    /// Waits until `done` is true of what has come.
    pub(crate) fn wait(&self, done: impl Fn(&[Seen]) -> bool) {
        let all = self.shared.all.lock().unwrap();
        let (all, waited) = self.shared.changed.wait_timeout_while(all, PATIENCE, |all| !done(all)).unwrap();
        assert!(!waited.timed_out(), "the backend did not get what it should: {all:?}");
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.address);
    }
}

fn serve(shared: &Shared, connection: usize, mut stream: TcpStream, script: &dyn Fn(&mut Turn<'_>) -> Then) {
    let mut buffer = Vec::new();
    for nth in 0.. {
        let Some(head) = until(&mut stream, &mut buffer, b"\r\n\r\n") else { return };
        let seen = Seen { connection, nth, head: String::from_utf8_lossy(&head).into_owned(), ..Seen::default() };
        let place = {
            let mut all = shared.all.lock().unwrap();
            all.push(seen.clone());
            all.len() - 1
        };
        shared.changed.notify_all();
        let framing = seen.framing();
        let mut turn = Turn { seen, stream: &mut stream, buffer: &mut buffer, framing, shared, place };
        if script(&mut turn) == Then::Close {
            return;
        }
        while turn.piece().is_some() {}
    }
}

fn until(stream: &mut TcpStream, buffer: &mut Vec<u8>, end: &[u8]) -> Option<Vec<u8>> {
    loop {
        if let Some(at) = find(buffer, end) {
            return Some(buffer.drain(..at + end.len()).collect());
        }
        if !fill(stream, buffer) {
            return None;
        }
    }
}

fn fill(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> bool {
    let mut bytes = [0; 64 * 1024];
    match stream.read(&mut bytes) {
        Ok(0) | Err(_) => false,
        Ok(count) => {
            buffer.extend_from_slice(&bytes[..count]);
            true
        }
    }
}
