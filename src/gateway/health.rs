//! The listener for machines that look after us: `/metrics`, `/livez`, `/readyz`, `/revision`. On a thread of its own.

use std::convert::Infallible;
use std::io;
use std::net::TcpListener as StdListener;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::task::spawn_local;

use super::server::{Shared, Stage};

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// Longest time to send a request's head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// After a connection could not be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Most connections at once.
const CONNECTIONS_MAX: usize = 64;

/// Serves until the gateway has stopped.
pub(super) fn run(shared: &Arc<Shared>, socket: StdListener) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async {
        let socket = TcpListener::from_std(socket)?;
        let mut stage = shared.stage.subscribe();
        let room = Arc::new(tokio::sync::Semaphore::new(CONNECTIONS_MAX));
        loop {
            let accepted = tokio::select! {
                accepted = socket.accept() => accepted,
                _ = stage.wait_for(|stage| *stage == Stage::Stopped) => return Ok(()),
            };
            let Ok((stream, _)) = accepted else {
                // Out of file descriptors, most likely.
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            };
            let Ok(permit) = Arc::clone(&room).try_acquire_owned() else { continue };
            let shared = Arc::clone(shared);
            spawn_local(async move {
                let service = service_fn(move |request| {
                    let response = answer(&shared, &request);
                    async move { Ok::<_, Infallible>(response) }
                });
                let mut builder = http1::Builder::new();
                builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
                let _ = builder.serve_connection(TokioIo::new(stream), service).await;
                drop(permit);
            });
        }
    })
}

fn answer(shared: &Shared, request: &Request<Incoming>) -> Response<Text> {
    let path = request.uri().path();
    let (status, body) = match (request.method(), path) {
        (&Method::GET | &Method::HEAD, "/" | "/metrics") => (StatusCode::OK, shared.metrics.page()),
        (&Method::GET | &Method::HEAD, "/livez") => (StatusCode::OK, b"live\n".to_vec()),
        (&Method::GET | &Method::HEAD, "/readyz") => ready(shared),
        (&Method::GET | &Method::HEAD, "/revision") => revision(shared),
        (_, "/metrics" | "/livez" | "/readyz" | "/revision") => (StatusCode::METHOD_NOT_ALLOWED, b"only GET\n".to_vec()),
        (_, _) => (StatusCode::NOT_FOUND, b"/metrics, /livez, /readyz and /revision are here\n".to_vec()),
    };
    let mut response = Response::new(Text(Some(Bytes::from(body))));
    *response.status_mut() = status;
    let kind = if path == "/revision" && status == StatusCode::OK { JSON } else { TEXT };
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

fn ready(shared: &Shared) -> (StatusCode, Vec<u8>) {
    if *shared.stage.borrow() != Stage::Serving {
        return (StatusCode::SERVICE_UNAVAILABLE, b"stopping\n".to_vec());
    }
    match &shared.state.load().feed {
        Some(feed) if feed.is_stale((shared.wall_clock)()) => {
            (StatusCode::SERVICE_UNAVAILABLE, b"stale: nothing comes from the control plane\n".to_vec())
        }
        Some(_) | None => (StatusCode::OK, b"ready\n".to_vec()),
    }
}

/// What is in force and its digest, to be compared with what the control plane shows.
fn revision(shared: &Shared) -> (StatusCode, Vec<u8>) {
    match shared.state.load().feed.as_ref().map(|feed| feed.status.checksum()) {
        Some(Some((revision, digest))) => {
            (StatusCode::OK, format!("{{\"revision\":\"{revision}\",\"digest\":\"{digest}\"}}\n").into_bytes())
        }
        Some(None) => (StatusCode::SERVICE_UNAVAILABLE, b"nothing has come from the control plane yet\n".to_vec()),
        None => (StatusCode::NOT_FOUND, b"this gateway follows no control plane\n".to_vec()),
    }
}

/// A body that is all there.
struct Text(Option<Bytes>);

impl hyper::body::Body for Text {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<hyper::body::Frame<Bytes>, Infallible>>> {
        std::task::Poll::Ready(self.0.take().map(|text| Ok(hyper::body::Frame::data(text))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        hyper::body::SizeHint::with_exact(self.0.as_ref().map_or(0, |text| text.len() as u64))
    }
}
