//! One client connection: its socket, its deadline, its life from accept to close.

use std::borrow::Cow;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use http::HeaderValue;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::deadline::Deadline;
use super::handler;
use super::preamble::{self, Preamble};
use super::socket::Socket;
use super::worker::Worker;
use crate::access::proxy_protocol::{Malformed, Source};

/// Most bytes of an answer that wait in the kernel unsent. A client that reads slowly then shows progress every few
/// moments, not every few megabytes, and many slow clients hold little memory.
const UNSENT_BYTES_MAX: u32 = 256 * 1024;
/// A client address that nobody told.
const UNKNOWN: &str = "unknown";

/// Where a request came in.
pub(super) struct Client {
    pub(super) worker: Rc<Worker>,
    pub(super) listener: usize,
    /// Who connected: the peer, or whom a PROXY header names; `None` when that does not say.
    pub(super) source: Option<IpAddr>,
    /// The same as text, and as a header's value: formatted once per connection.
    source_text: String,
    source_value: Option<HeaderValue>,
    /// The peer's address, if that is another one.
    peer_text: Option<String>,
    pub(super) deadline: Rc<Deadline>,
}

impl Client {
    fn new(worker: Rc<Worker>, listener: usize, (peer, source): (SocketAddr, Source), deadline: Rc<Deadline>) -> Self {
        let peer = peer.ip().to_canonical();
        let source = match source {
            Source::Peer => Some(peer),
            Source::Client(address) => Some(address),
            Source::Unknown => None,
        };
        let source_text = source.map_or_else(|| UNKNOWN.to_owned(), |address| address.to_string());
        let source_value = HeaderValue::from_str(&source_text).ok();
        let peer_text = (source != Some(peer)).then(|| peer.to_string());
        Self { worker, listener, source, source_text, source_value, peer_text, deadline }
    }

    /// The peer's address as text.
    pub(super) fn peer_text(&self) -> &str {
        self.peer_text.as_deref().unwrap_or(&self.source_text)
    }

    /// A client address as text; `unknown` when there is none.
    pub(super) fn address_text(&self, address: Option<IpAddr>) -> Cow<'_, str> {
        match address {
            None => Cow::Borrowed(UNKNOWN),
            same if same == self.source => Cow::Borrowed(&self.source_text),
            Some(address) => Cow::Owned(address.to_string()),
        }
    }

    /// A client address as a header's value.
    pub(super) fn address_value(&self, address: Option<IpAddr>) -> Option<HeaderValue> {
        let text = self.address_text(address);
        if *text == *self.source_text { self.source_value.clone() } else { HeaderValue::from_str(&text).ok() }
    }
}

/// Serves a connection to its end.
pub(super) async fn serve(worker: Rc<Worker>, listener: usize, stream: TcpStream, peer: SocketAddr) {
    let tuned = stream.set_nodelay(true).and_then(|()| socket2::SockRef::from(&stream).set_tcp_notsent_lowat(UNSENT_BYTES_MAX));
    if let Err(error) = tuned {
        tracing::debug!(%error, "a connection was gone before it was served");
        return;
    }
    let is_proxied =
        worker.bound().state.entrances.get(listener).and_then(|entrance| Some(entrance.proxy_protocol.as_ref()?.contains(peer.ip())));
    let (id, deadline) = worker.open_connection();
    let preamble = match is_proxied {
        None => Ok(Preamble::none()),
        Some(true) => Box::pin(preamble::read(&stream, &worker, &deadline)).await,
        Some(false) => Err(Ended::Refused),
    };
    let Preamble { source, ahead } = match preamble {
        Ok(preamble) => preamble,
        Err(ended) => return worker.close_connection(id, &ended),
    };
    let client = Rc::new(Client::new(Rc::clone(&worker), listener, (peer, source), Rc::clone(&deadline)));
    let io = TokioIo::new(Socket::watched(stream, ahead, Rc::clone(&deadline)));
    let service = service_fn(move |request| handler::handle(Rc::clone(&client), request));
    let limits = worker.limits();
    let mut builder = http1::Builder::new();
    // Deadlines are ours (see `deadline`): hyper's own timer stays off.
    builder.header_read_timeout(None).max_headers(limits.headers_max).max_buf_size(limits.head_bytes_max);
    let connection = std::pin::pin!(builder.serve_connection(io, service));
    let outcome = Supervised { connection, deadline: &deadline, worker: &worker, stopping: false }.await;
    worker.close_connection(id, &outcome);
}

/// How a connection ended.
pub(super) enum Ended {
    Finished,
    TimedOut,
    Failed(hyper::Error),
    /// The peer is none of the proxies that the listener is for.
    Refused,
    /// The peer is one of them and did not begin with a PROXY header.
    NotProxied(Malformed),
    /// The socket broke before the first request.
    Broken(io::Error),
}

/// A connection that ends when its deadline passes or the worker stops.
struct Supervised<'a, C> {
    connection: Pin<&'a mut C>,
    deadline: &'a Rc<Deadline>,
    worker: &'a Worker,
    stopping: bool,
}

impl<S, B> Future for Supervised<'_, http1::Connection<TokioIo<Socket>, S>>
where
    S: hyper::service::HttpService<hyper::body::Incoming, ResBody = B>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    B: hyper::body::Body + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Output = Ended;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Ended> {
        let this = self.get_mut();
        this.deadline.watch(context);
        if this.worker.is_stopping() && !this.stopping {
            this.stopping = true;
            this.connection.as_mut().graceful_shutdown();
        }
        if let Poll::Ready(result) = this.connection.as_mut().poll(context) {
            return Poll::Ready(match result {
                Ok(()) => Ended::Finished,
                Err(error) => Ended::Failed(error),
            });
        }
        if this.deadline.must_close() { Poll::Ready(Ended::TimedOut) } else { Poll::Pending }
    }
}
