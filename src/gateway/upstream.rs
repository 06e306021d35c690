//! A worker's connections to one backend.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use http::{Method, Request, Response};
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
/// After this much idling a request that may be repeated keeps a copy of its head, to be sent again should the
/// backend have closed in the meantime. Busy connections are never that old, so the copy costs nothing under load.
const COPY_AFTER_MS: u64 = 100;

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

struct Idle {
    sender: SendRequest<RequestBody>,
    since_ms: u64,
}

impl Pool {
    pub(super) fn new(authority: &str, clock: Clock, counters: std::sync::Arc<WorkerCounters>) -> Self {
        Self { authority: authority.to_owned(), clock, counters, idle: RefCell::new(Vec::new()) }
    }

    /// Takes a connection whose answer has ended.
    pub(super) fn give_back(&self, sender: SendRequest<RequestBody>) {
        let mut idle = self.idle.borrow_mut();
        if !sender.is_closed() && idle.len() < IDLE_MAX {
            idle.push(Idle { sender, since_ms: self.clock.get() });
        }
    }

    /// Drops connections that have idled too long.
    pub(super) fn sweep(&self) {
        let now = self.clock.get();
        self.idle.borrow_mut().retain(|idle| !idle.sender.is_closed() && now.saturating_sub(idle.since_ms) < IDLE_MS_MAX);
    }

    /// Sends a request and waits for the head of its answer.
    pub(super) async fn send(
        self: &Rc<Self>,
        request: Request<RequestBody>,
        connect_timeout: Duration,
        deadline: &Deadline,
    ) -> Result<(Response<Incoming>, SendRequest<RequestBody>), UpstreamError> {
        let mut request = request;
        while let Some((mut sender, idled_ms)) = self.take().await {
            let copy = (idled_ms >= COPY_AFTER_MS && may_repeat(&request)).then(|| head_of(&request));
            match deadline.race(sender.try_send_request(request)).await {
                None => return Err(UpstreamError::Timeout),
                Some(Ok(response)) => return Ok((response, sender)),
                Some(Err(mut failed)) => {
                    // Either not a byte of it was sent, or it may be repeated and no byte of an answer came.
                    let unsent = failed.take_message();
                    let error = failed.into_error();
                    let again = unsent.or_else(|| copy.filter(|_| !error.is_parse() && !error.is_body_write_aborted()));
                    self.counters.upstream_retries.add(1);
                    request = again.ok_or_else(|| UpstreamError::Unavailable(error.to_string()))?;
                }
            }
        }
        // Boxed: rare, and every request pays for the size of this future.
        let mut sender = Box::pin(self.connect(connect_timeout)).await?;
        match deadline.race(sender.send_request(request)).await {
            None => Err(UpstreamError::Timeout),
            Some(Ok(response)) => Ok((response, sender)),
            Some(Err(error)) => Err(UpstreamError::Unavailable(error.to_string())),
        }
    }

    /// An idle connection that still works, and for how long it idled.
    async fn take(&self) -> Option<(SendRequest<RequestBody>, u64)> {
        loop {
            let idle = self.idle.borrow_mut().pop();
            let Idle { mut sender, since_ms } = idle?;
            let idled_ms = self.clock.get().saturating_sub(since_ms);
            if idled_ms < IDLE_MS_MAX && (sender.is_ready() || sender.ready().await.is_ok()) {
                return Some((sender, idled_ms));
            }
        }
    }

    async fn connect(&self, connect_timeout: Duration) -> Result<SendRequest<RequestBody>, UpstreamError> {
        let unavailable = |error: &dyn std::fmt::Display| UpstreamError::Unavailable(error.to_string());
        let stream = match tokio::time::timeout(connect_timeout, TcpStream::connect(&*self.authority)).await {
            Err(_) => return Err(UpstreamError::Unavailable("connecting took too long".to_owned())),
            Ok(connected) => connected.map_err(|error| unavailable(&error))?,
        };
        stream.set_nodelay(true).map_err(|error| unavailable(&error))?;
        let (sender, connection) = http1::handshake(TokioIo::new(Socket::plain(stream))).await.map_err(|error| unavailable(&error))?;
        self.counters.upstream_connections.add(1);
        tokio::task::spawn_local(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "an upstream connection ended");
            }
        });
        Ok(sender)
    }
}

/// Idempotent and without a body (RFC 9110 section 9.2.2).
fn may_repeat(request: &Request<RequestBody>) -> bool {
    let idempotent = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS | Method::PUT | Method::DELETE);
    idempotent && request.body().is_end_stream()
}

fn head_of(request: &Request<RequestBody>) -> Request<RequestBody> {
    let mut copy = Request::new(request.body().empty_like());
    copy.method_mut().clone_from(request.method());
    copy.uri_mut().clone_from(request.uri());
    copy.headers_mut().clone_from(request.headers());
    copy
}
