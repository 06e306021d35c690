//! The server: our own accept loop around hyper, with a limit on everything that comes from outside.

use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

use super::Api;
use super::body::{self, Limits, Whole};
use super::call::{Answer, Call};
use super::error::ApiError;
use super::identity::Vouched;
use super::router::Audience;
use crate::control::service::login;
use crate::types::Timestamp;

/// Most connections at a time; more are closed at once.
const CONNECTIONS_MAX: usize = 1_024;
/// Most bytes of a request's head.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// Most headers of a request.
const HEADERS_MAX: usize = 100;
/// How long a head may take, and a connection idle. Longer than gateways keep theirs.
const HEAD_PATIENCE: Duration = Duration::from_secs(60);
/// How long an operation may take.
const ANSWER_PATIENCE: Duration = Duration::from_secs(30);
/// How long a client may leave sent bytes unread.
const CLIENT_PATIENCE: Duration = Duration::from_secs(30);
/// How long open requests may take when the server ends.
const DRAIN: Duration = Duration::from_secs(10);
/// Rest after a failed accept: out of file descriptors, most likely.
const ACCEPT_REST: Duration = Duration::from_millis(100);

/// Serves until `stop` says so; then open requests may finish.
pub async fn serve(api: Arc<Api>, listener: TcpListener, stop: watch::Receiver<bool>) {
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut ending = pin!(told_to_stop(stop.clone()));
    loop {
        let accepted = tokio::select! {
            () = &mut ending => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                let Ok(place) = Arc::clone(&room).try_acquire_owned() else { continue };
                let (api, stop) = (Arc::clone(&api), stop.clone());
                tokio::spawn(async move {
                    connection(api, stream, stop).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection to the API could not be accepted");
                tokio::time::sleep(ACCEPT_REST).await;
            }
        }
    }
    drop(listener);
    let all = u32::try_from(CONNECTIONS_MAX).unwrap_or(u32::MAX);
    if tokio::time::timeout(DRAIN, room.acquire_many(all)).await.is_err() {
        tracing::warn!("open requests to the API are cut: the drain time is over");
    }
}

async fn told_to_stop(mut stop: watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

async fn connection(api: Arc<Api>, stream: TcpStream, stop: watch::Receiver<bool>) {
    let _ = stream.set_nodelay(true);
    let _ = SockRef::from(&stream).set_tcp_user_timeout(Some(CLIENT_PATIENCE));
    let service = service_fn(move |request| {
        let api = Arc::clone(&api);
        async move { Ok::<_, Infallible>(api.answer(request).await) }
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_PATIENCE).max_buf_size(HEAD_BYTES_MAX).max_headers(HEADERS_MAX);
    let mut serving = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let ended = tokio::select! {
        ended = serving.as_mut() => ended,
        () = told_to_stop(stop) => {
            serving.as_mut().graceful_shutdown();
            tokio::time::timeout(DRAIN, serving).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection to the API broke");
    }
}

impl Api {
    async fn answer(&self, request: Request<Incoming>) -> Response<Whole> {
        if request.method() == Method::GET && request.uri().path() == "/livez" {
            return Response::new(Whole::new("ok\n"));
        }
        let (parts, body) = request.into_parts();
        if head_bytes(&parts) > HEAD_BYTES_MAX {
            return ApiError::HeadTooLarge.into_response("");
        }
        let now = (self.clock)();
        let vouched = match self.identify(&parts, now) {
            Ok(vouched) => vouched,
            Err(error) => return error.into_response(""),
        };
        let served = limited(self.serve_vouched(&vouched, parts, body, now)).await;
        served.map_or_else(|error| error.into_response(&vouched.request_id), Answer::into_response)
    }

    async fn serve_vouched(
        &self,
        vouched: &Vouched,
        parts: http::request::Parts,
        body: Incoming,
        now: Timestamp,
    ) -> Result<Answer, ApiError> {
        let (route, parameters) = self.router.find(&parts.method, parts.uri.path())?;
        let (handler, operator_only) = match route.audience {
            Audience::Public(handler) => return Ok(handler(&self.means.endpoints)),
            Audience::Login(handler) => {
                // Before the body is waited for: strangers keep few others waiting, and few waiting for them.
                let _place = self.login_bodies.take(vouched.address()).ok_or(login::NO_PLACE)?;
                let body = body::read(body, Limits::LOGIN).await?;
                return handler(self.visit(vouched, route.action, body, now)).await;
            }
            Audience::Everybody(handler) | Audience::AnyKey(handler) | Audience::Handled(handler) => (handler, false),
            Audience::Operator(handler) => (handler, true),
        };
        let caller = self.caller(vouched, route.action, now).await?;
        if operator_only && !caller.operator {
            return Err(ApiError::OperatorOnly);
        }
        let body = body::read(body, Limits::USUAL).await?;
        let query = parts.uri.query().unwrap_or("").to_owned();
        let (store, means) = (self.store.clone(), Arc::clone(&self.means));
        handler(Call { store, means, caller, now, parameters, query, headers: parts.headers, body }).await
    }
}

/// hyper's own limit is one of its buffer, which a head that comes in one piece may exceed.
fn head_bytes(parts: &http::request::Parts) -> usize {
    let target = parts.uri.path_and_query().map_or(0, |target| target.as_str().len());
    parts.headers.iter().fold(target, |bytes, (name, value)| bytes.saturating_add(name.as_str().len()).saturating_add(value.len()))
}

async fn limited<T>(work: impl Future<Output = Result<T, ApiError>>) -> Result<T, ApiError> {
    tokio::time::timeout(ANSWER_PATIENCE, work).await.unwrap_or(Err(ApiError::TooSlow))
}
