//! A fixed-answer HTTP/1.1 backend: one thread, keep-alive, the same answer to every request.
//!
//! It never looks at a request beyond finding its end and never reads a request body, so it serves
//! the load bench and nothing else.
#![forbid(unsafe_code)]

mod connection;
mod heads;

use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use mio::net::TcpListener;
use mio::{Events, Interest, Poll, Token};

use connection::{Connection, Next};

const USAGE: &str = "usage: load-backend [--address HOST:PORT] [--body-bytes N] [--spin]";
const LISTENER: Token = Token(0);
const EVENTS_MAX: usize = 512;
const CONNECTIONS_MAX: usize = 8192;
const READ_BYTES_MAX: usize = 64 * 1024;
const BODY_BYTES_MAX: usize = 64 * 1024 * 1024;

struct Arguments {
    address: SocketAddr,
    body_bytes: usize,
    /// Poll without ever sleeping, so that waking this process costs its clients nothing.
    spin: bool,
}

fn main() -> ExitCode {
    let Some(arguments) = parse(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    match serve(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cannot serve on `{}`: {error}", arguments.address);
            ExitCode::FAILURE
        }
    }
}

fn parse(mut words: impl Iterator<Item = String>) -> Option<Arguments> {
    let address = SocketAddr::from(([127, 0, 0, 1], 9000));
    let mut arguments = Arguments { address, body_bytes: 1024, spin: false };
    while let Some(word) = words.next() {
        match word.as_str() {
            "--address" => arguments.address = words.next()?.parse().ok()?,
            "--body-bytes" => arguments.body_bytes = words.next()?.parse().ok()?,
            "--spin" => arguments.spin = true,
            _ => return None,
        }
    }
    (arguments.body_bytes <= BODY_BYTES_MAX).then_some(arguments)
}

fn answer(body_bytes: usize) -> Vec<u8> {
    let mut bytes = format!(
        "HTTP/1.1 200 OK\r\nServer: load-backend\r\nContent-Type: application/octet-stream\r\n\
         Content-Length: {body_bytes}\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\n\
         Connection: keep-alive\r\n\r\n"
    )
    .into_bytes();
    bytes.resize(bytes.len() + body_bytes, b'x');
    bytes
}

fn serve(arguments: &Arguments) -> io::Result<()> {
    let answer = answer(arguments.body_bytes);
    let mut poll = Poll::new()?;
    let mut listener = TcpListener::bind(arguments.address)?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    let mut events = Events::with_capacity(EVENTS_MAX);
    let mut scratch = vec![0; READ_BYTES_MAX];
    let mut connections = Connections { open: HashMap::new(), token_next: 1 };
    let patience = arguments.spin.then_some(Duration::ZERO);
    loop {
        match poll.poll(&mut events, patience) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        }
        if events.is_empty() {
            thread::yield_now();
        }
        for event in &events {
            if event.token() == LISTENER {
                connections.accept(&listener, &poll)?;
            } else if let Some(connection) = connections.open.get_mut(&event.token())
                && connection.serve(&answer, &mut scratch, event.is_read_closed()) == Next::Close
            {
                connections.open.remove(&event.token());
            }
        }
    }
}

struct Connections {
    open: HashMap<Token, Connection>,
    token_next: usize,
}

impl Connections {
    fn accept(&mut self, listener: &TcpListener, poll: &Poll) -> io::Result<()> {
        loop {
            let mut stream = match listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                // A client that went away before it was accepted is no reason to stop.
                Err(error) if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::ConnectionAborted) => {
                    continue;
                }
                Err(error) => return Err(error),
            };
            if self.open.len() >= CONNECTIONS_MAX {
                continue;
            }
            stream.set_nodelay(true)?;
            // Tokens are never used twice, so a late event cannot reach another connection.
            let token = Token(self.token_next);
            self.token_next += 1;
            let interest = Interest::READABLE | Interest::WRITABLE;
            poll.registry().register(&mut stream, token, interest)?;
            self.open.insert(token, Connection::new(stream));
        }
    }
}
