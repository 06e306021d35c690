//! A proxy between gateway and control plane that passes the answer on piece by piece and does harm to some.

use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What is done to a piece of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Harm {
    None,
    /// It is sent twice.
    Double,
    /// It is left out.
    Drop,
    /// The one after it comes first.
    Swap,
    /// It comes late.
    Delay,
    /// One bit of it is flipped.
    Flip(usize),
    /// Only its beginning comes, then the connection ends.
    Cut(usize),
}

/// Says what to do with the piece of this number of the connection of this number. Piece 0 is the head.
pub(crate) type Plan = Box<dyn FnMut(usize, usize) -> Harm + Send>;

pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    upstream: Arc<Mutex<SocketAddr>>,
    open: Arc<Mutex<Vec<TcpStream>>>,
}

impl Proxy {
    pub(crate) fn start(upstream: SocketAddr, plan: Plan) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (upstream, open, plan) = (Arc::new(Mutex::new(upstream)), Arc::<Mutex<Vec<TcpStream>>>::default(), Arc::new(Mutex::new(plan)));
        let (theirs, their_open) = (Arc::clone(&upstream), Arc::clone(&open));
        std::thread::spawn(move || {
            for (number, client) in listener.incoming().flatten().enumerate() {
                let Ok(server) = TcpStream::connect(*theirs.lock().unwrap()) else { continue };
                their_open.lock().unwrap().extend([client.try_clone().unwrap(), server.try_clone().unwrap()]);
                let plan = Arc::clone(&plan);
                std::thread::spawn(move || pass(client, server, |piece| (*plan.lock().unwrap())(number, piece)));
            }
        });
        Self { address, upstream, open }
    }

    /// Harms nothing.
    pub(crate) fn clean(upstream: SocketAddr) -> Self {
        Self::start(upstream, Box::new(|_, _| Harm::None))
    }

    /// Ends all connections; the next ones go there.
    pub(crate) fn turn_to(&self, upstream: SocketAddr) {
        *self.upstream.lock().unwrap() = upstream;
        self.cut();
    }

    /// Ends all connections.
    pub(crate) fn cut(&self) {
        for stream in self.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

fn pass(client: TcpStream, server: TcpStream, mut plan: impl FnMut(usize) -> Harm) {
    let (mut request, mut to_server) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    let asking = std::thread::spawn(move || {
        let _ = std::io::copy(&mut request, &mut to_server);
        let _ = to_server.shutdown(Shutdown::Both);
    });
    let mut answer = BufReader::new(server.try_clone().unwrap());
    let (mut held, mut number) = (None, 0);
    while let Some(piece) = next_piece(&mut answer, number == 0) {
        let harm = plan(number);
        number += 1;
        let mut sent = match harm {
            Harm::None => piece,
            Harm::Double => [&piece[..], &piece[..]].concat(),
            Harm::Drop => Vec::new(),
            Harm::Swap => {
                held = Some(piece);
                continue;
            }
            Harm::Delay => {
                std::thread::sleep(Duration::from_millis(5));
                piece
            }
            Harm::Flip(at) => {
                let mut changed = piece;
                let at = at % changed.len();
                changed[at] ^= 1 << (at % 8);
                changed
            }
            Harm::Cut(at) => {
                let _ = (&client).write_all(&piece[..at % piece.len()]);
                break;
            }
        };
        sent.extend(held.take().unwrap_or_default());
        if (&client).write_all(&sent).is_err() {
            break;
        }
    }
    let _ = client.shutdown(Shutdown::Both);
    let _ = server.shutdown(Shutdown::Both);
    let _ = asking.join();
}

/// The head, or a chunk with its frame.
fn next_piece(answer: &mut impl BufRead, is_head: bool) -> Option<Vec<u8>> {
    let mut piece = Vec::new();
    loop {
        let before = piece.len();
        answer.read_until(b'\n', &mut piece).ok().filter(|read| *read > 0)?;
        if !is_head {
            let size = usize::from_str_radix(std::str::from_utf8(&piece).ok()?.trim(), 16).ok()?;
            let start = piece.len();
            piece.resize(start + size + 2, 0);
            answer.read_exact(&mut piece[start..]).ok()?;
            return Some(piece);
        }
        if &piece[before..] == b"\r\n" {
            return Some(piece);
        }
    }
}
