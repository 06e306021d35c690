//! The feed's listener: one request per connection, nothing but `GET /feed/v1` and `/livez`.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, Method, Request, Response, header};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, Semaphore, mpsc, watch};
use tokio::task::JoinSet;

use super::body::Body;
use super::stream::{Ended, Stream};
use super::{Feed, STREAMS_MAX, Source};
use crate::control::api::feed::Outcome;
use crate::snapshot::wire::channel;

/// Most connections at once: what is not a stream is short.
const CONNECTIONS_MAX: usize = 2 * STREAMS_MAX;
/// Most headers of a request.
const HEADERS_MAX: usize = 32;
/// Most bytes of a request's head.
const HEAD_BYTES_MAX: usize = 16 << 10;
/// After a connection could not be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

impl<S: Source> Feed<S> {
    /// Serves gateways until `stop` says true; streams then end.
    pub async fn serve(self: Arc<Self>, listener: TcpListener, mut stop: watch::Receiver<bool>) {
        let connections = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let mut tasks = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                _ = tasks.join_next(), if !tasks.is_empty() => continue,
                _ = stop.wait_for(|stop| *stop) => return,
            };
            match accepted {
                Ok((stream, _)) => {
                    let Ok(permit) = Arc::clone(&connections).try_acquire_owned() else { continue };
                    let feed = Arc::clone(&self);
                    tasks.spawn(async move {
                        feed.connection(stream).await;
                        drop(permit);
                    });
                }
                Err(error) => {
                    // Out of file descriptors, most likely: streams that end make room.
                    tracing::warn!(%error, "a gateway's connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    async fn connection(self: Arc<Self>, stream: TcpStream) {
        let _ = stream.set_nodelay(true);
        // Ends a connection whose other end has vanished without a word: heartbeats alone would fit into the socket for hours.
        let _ = SockRef::from(&stream).set_tcp_user_timeout(Some(self.timing.write));
        let cut = Arc::new(Notify::new());
        let (feed, cutter) = (Arc::clone(&self), Arc::clone(&cut));
        let service = service_fn(move |request| {
            let response = feed.answer(&request, &cutter);
            async move { Ok::<_, Infallible>(response) }
        });
        let mut builder = http1::Builder::new();
        builder
            .timer(TokioTimer::new())
            .header_read_timeout(self.timing.head)
            .keep_alive(false)
            .max_headers(HEADERS_MAX)
            .max_buf_size(HEAD_BYTES_MAX);
        tokio::select! {
            _ = builder.serve_connection(TokioIo::new(stream), service) => {}
            () = cut.notified() => {}
        }
    }

    fn answer(self: &Arc<Self>, request: &Request<Incoming>, cut: &Arc<Notify>) -> Response<Body> {
        match (request.method(), request.uri().path()) {
            (&Method::GET, channel::PATH) => self.begin(request, cut).unwrap_or_else(|outcome| respond(outcome, Body::Empty)),
            (&Method::GET | &Method::HEAD, "/livez") => respond(Outcome::Served, Body::Text("live\n")),
            (_, channel::PATH | "/livez") => respond(Outcome::Method, Body::Empty),
            (_, _) => respond(Outcome::Elsewhere, Body::Empty),
        }
    }

    /// Starts a stream for a request that the feed key signed.
    fn begin(self: &Arc<Self>, request: &Request<Incoming>, cut: &Arc<Notify>) -> Result<Response<Body>, Outcome> {
        let target = request.uri().path_and_query().map_or("", http::uri::PathAndQuery::as_str);
        let signed =
            signed(request.headers(), target).filter(|(signed, signature)| signed.verify(&self.key, signature, (self.wall_clock)()));
        let (Some((signed, _)), Ok(resume)) = (signed, channel::parse_target(target)) else {
            self.counters.unsigned.fetch_add(1, Relaxed);
            return Err(Outcome::Unsigned);
        };
        let room = Arc::clone(&self.room).try_acquire_owned().map_err(|_| Outcome::Unavailable)?;
        let gateway = signed.gateway.to_owned();
        let chain = channel::Chain::start(&self.key, signed.nonce, target);
        let (pieces, body) = mpsc::channel(1);
        let stream = Stream::new(Arc::clone(self), chain, pieces, room);
        let (feed, cut) = (Arc::clone(self), Arc::clone(cut));
        tokio::spawn(async move {
            match stream.run(resume).await {
                Ended::Gone | Ended::Closed => {}
                Ended::Stalled => {
                    feed.counters.stalled.fetch_add(1, Relaxed);
                    tracing::warn!(gateway, "a gateway's stream is cut: {}", Ended::Stalled);
                    cut.notify_one();
                }
                ended @ (Ended::Forgotten(_) | Ended::Store(_) | Ended::Spool(_)) => {
                    tracing::warn!(gateway, error = %ended, "a gateway's stream ends");
                }
            }
        });
        Ok(respond(Outcome::Served, Body::Stream(body)))
    }
}

/// The headers of a signed request; `None` when one is missing, doubled or not text.
fn signed<'r>(headers: &'r HeaderMap, target: &'r str) -> Option<(channel::Request<'r>, &'r str)> {
    let one = |name: &str| {
        let mut values = headers.get_all(name).iter();
        values.next().filter(|_| values.next().is_none()).and_then(|value| value.to_str().ok())
    };
    let (time, nonce) = (one(channel::TIME_HEADER)?, one(channel::NONCE_HEADER)?);
    let request = channel::Request { target, time, nonce, gateway: one(channel::GATEWAY_HEADER)? };
    Some((request, one(channel::SIGNATURE_HEADER)?))
}

fn respond(outcome: Outcome, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = outcome.status();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
