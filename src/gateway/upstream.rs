//! A worker's connections to one backend.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Method, Request, Response};
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::body::RequestBody;
use super::deadline::{Clock, Deadline};
use super::socket::Socket;
use crate::telemetry::WorkerCounters;

/// Idle connections kept per worker and backend.
const IDLE_MAX: usize = 256;
/// Idle connections are not used again after this long: backends close theirs, and a request must not meet the close.
const IDLE_MS_MAX: u64 = 30_000;
/// Longest head that is kept for sending it again, in bytes.
const KEPT_BYTES_MAX: usize = 16 * 1024;
/// Most headers of it.
const KEPT_HEADERS_MAX: usize = 128;

/// Why a request got no answer.
#[derive(Debug)]
pub(super) enum UpstreamError {
    /// No connection, or it broke before an answer came.
    Unavailable(String),
    /// No answer in time.
    Timeout,
}

/// Idle connections to one backend.
pub(super) struct Pool {
    authority: String,
    clock: Clock,
    counters: std::sync::Arc<WorkerCounters>,
    idle: RefCell<Vec<Idle>>,
}

/// A connection that serves one request at a time.
pub(super) struct Lease {
    sender: SendRequest<RequestBody>,
    wire: Rc<Wire>,
}

struct Idle {
    lease: Lease,
    since_ms: u64,
}

impl Pool {
    pub(super) fn new(authority: &str, clock: Clock, counters: std::sync::Arc<WorkerCounters>) -> Self {
        Self { authority: authority.to_owned(), clock, counters, idle: RefCell::new(Vec::new()) }
    }

    /// Takes a connection whose answer has ended.
    pub(super) fn give_back(&self, lease: Lease) {
        let mut idle = self.idle.borrow_mut();
        if !lease.sender.is_closed() && idle.len() < IDLE_MAX {
            idle.push(Idle { lease, since_ms: self.clock.get() });
        }
    }

    /// Drops connections that have idled too long.
    pub(super) fn sweep(&self) {
        let now = self.clock.get();
        self.idle.borrow_mut().retain(|idle| !idle.lease.sender.is_closed() && now.saturating_sub(idle.since_ms) < IDLE_MS_MAX);
    }

    /// Sends a request and waits for the head of its answer.
    ///
    /// A backend may close an idle connection just when a request is on its way to it. Such a request is sent again on
    /// a fresh connection, once, if nothing of it was sent, or if it may be repeated and no byte of an answer came.
    pub(super) async fn send(
        &self,
        mut request: Request<RequestBody>,
        connect_timeout: Duration,
        deadline: &Rc<Deadline>,
    ) -> Result<(Response<Incoming>, Lease), UpstreamError> {
        if let Some(mut lease) = self.take().await {
            lease.wire.begin(may_repeat(&request));
            match deadline.race(lease.sender.try_send_request(request)).await {
                None => return Err(UpstreamError::Timeout),
                Some(Ok(response)) => return Ok((response, lease)),
                Some(Err(mut failed)) => {
                    let again = failed.take_message().or_else(|| lease.wire.repeat(deadline));
                    request = again.ok_or_else(|| UpstreamError::Unavailable(failed.into_error().to_string()))?;
                    self.counters.upstream_retries.add(1);
                }
            }
        }
        // Boxed: rare, and every request pays for the size of this future.
        let mut lease = Box::pin(self.connect(connect_timeout)).await?;
        match deadline.race(lease.sender.send_request(request)).await {
            None => Err(UpstreamError::Timeout),
            Some(Ok(response)) => Ok((response, lease)),
            Some(Err(error)) => Err(UpstreamError::Unavailable(error.to_string())),
        }
    }

    /// An idle connection that still works.
    async fn take(&self) -> Option<Lease> {
        loop {
            let idle = self.idle.borrow_mut().pop();
            let Idle { mut lease, since_ms } = idle?;
            let idled_ms = self.clock.get().saturating_sub(since_ms);
            // Not ready means that its task has not run since its last answer ended.
            if idled_ms < IDLE_MS_MAX && (lease.sender.is_ready() || lease.sender.ready().await.is_ok()) {
                return Some(lease);
            }
        }
    }

    async fn connect(&self, connect_timeout: Duration) -> Result<Lease, UpstreamError> {
        let unavailable = |error: &dyn std::fmt::Display| UpstreamError::Unavailable(error.to_string());
        let stream = match tokio::time::timeout(connect_timeout, TcpStream::connect(&*self.authority)).await {
            Err(_) => return Err(UpstreamError::Unavailable("connecting took too long".to_owned())),
            Ok(connected) => connected.map_err(|error| unavailable(&error))?,
        };
        stream.set_nodelay(true).map_err(|error| unavailable(&error))?;
        let wire = Rc::new(Wire::default());
        let socket = Socket::upstream(stream, Rc::clone(&wire));
        let (sender, connection) = http1::handshake(TokioIo::new(socket)).await.map_err(|error| unavailable(&error))?;
        self.counters.upstream_connections.add(1);
        tokio::task::spawn_local(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "an upstream connection ended");
            }
        });
        Ok(Lease { sender, wire })
    }
}

/// Idempotent and without a body (RFC 9110 section 9.2.2).
fn may_repeat(request: &Request<RequestBody>) -> bool {
    let idempotent = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS | Method::PUT | Method::DELETE);
    idempotent && request.body().is_end_stream()
}

/// What passes on a connection's wire, as far as sending a request again needs to know.
///
/// Copying a parsed head costs 4 % of a request (reference measurements). Keeping the bytes that were written costs
/// nothing to speak of, and they are only read back in the rare case.
#[derive(Default)]
pub(super) struct Wire {
    keep: Cell<bool>,
    answered: Cell<bool>,
    sent: RefCell<Vec<u8>>,
}

impl Wire {
    /// A request is about to be written; `keep` says whether its bytes are worth keeping.
    fn begin(&self, keep: bool) {
        self.keep.set(keep);
        self.answered.set(false);
        self.sent.borrow_mut().clear();
    }

    /// Bytes were written.
    pub(super) fn wrote(&self, bytes: &[u8]) {
        if self.keep.get() {
            let mut sent = self.sent.borrow_mut();
            if sent.len() + bytes.len() > KEPT_BYTES_MAX {
                self.keep.set(false);
            } else {
                sent.extend_from_slice(bytes);
            }
        }
    }

    /// Bytes were read.
    pub(super) fn read(&self) {
        self.answered.set(true);
    }

    /// The request that was written, to be sent again; `None` when it must not be.
    fn repeat(&self, deadline: &Rc<Deadline>) -> Option<Request<RequestBody>> {
        if !self.keep.get() || self.answered.get() {
            return None;
        }
        let sent = self.sent.borrow();
        let mut headers = vec![httparse::EMPTY_HEADER; KEPT_HEADERS_MAX];
        let mut head = httparse::Request::new(&mut headers);
        let parsed = head.parse(&sent).ok().filter(httparse::Status::is_complete);
        parsed?;
        let mut request = Request::new(RequestBody::none(Rc::clone(deadline)));
        *request.method_mut() = head.method?.parse().ok()?;
        *request.uri_mut() = head.path?.parse().ok()?;
        for header in head.headers.iter() {
            request.headers_mut().append(HeaderName::from_bytes(header.name.as_bytes()).ok()?, HeaderValue::from_bytes(header.value).ok()?);
        }
        Some(request)
    }
}
