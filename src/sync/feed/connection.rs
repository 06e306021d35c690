//! One connection to the feed: ask, verify every line, hand on what it means.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;

use bytes::Bytes;
use http::{Request, Response, header};
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};

use super::Options;
use super::lines::{Lines, TooLong};
use super::session::{Refusal, Session, Step};
use crate::snapshot::wire::channel::{self, Chain, ChainError, Resume};
use crate::sync::follow::{Follow, FollowError, Follower};
use crate::telemetry::FeedStatus;
use crate::types::hex;

/// Most bytes of an answer's head, and of what is read ahead of us.
const BUFFER_BYTES_MAX: usize = 256 << 10;
/// Most headers of an answer.
const HEADERS_MAX: usize = 32;

/// Why a connection is not there any more.
#[derive(Debug, thiserror::Error)]
pub(super) enum Lost {
    #[error("it cannot be reached: {0}")]
    Unreachable(#[source] io::Error),
    #[error("{0} took too long")]
    Slow(&'static str),
    #[error("it went silent")]
    Silent,
    #[error("it ended")]
    Ended,
    #[error("it broke: {0}")]
    Http(#[from] hyper::Error),
    #[error("the request cannot be written: {0}")]
    Request(#[from] http::Error),
    #[error("it answers `{0}` (401 means another feed key, or clocks more than five minutes apart)")]
    Refused(String),
    #[error(transparent)]
    Chain(#[from] ChainError),
    #[error(transparent)]
    Line(#[from] TooLong),
    #[error("what it says is refused: {0}")]
    Refusal(#[from] Refusal),
    #[error(transparent)]
    Follow(#[from] FollowError),
    #[error("the operating system gives no random bytes")]
    Random,
}

impl Lost {
    /// Whether the control plane offered something older than what is in force.
    pub(super) fn is_step_back(&self) -> bool {
        matches!(self, Self::Refusal(Refusal::StepBack { .. }))
    }
}

/// Follows one stream until it is lost. `settled` says that it was in step with the store for a while.
pub(super) async fn converse<F: Follower>(options: &Options, follow: &mut Follow<F>, status: &FeedStatus, settled: &mut bool) -> Lost {
    match talk(options, follow, status, settled).await {
        Ok(()) => Lost::Ended,
        Err(lost) => lost,
    }
}

async fn talk<F: Follower>(options: &Options, follow: &mut Follow<F>, status: &FeedStatus, settled: &mut bool) -> Result<(), Lost> {
    let resume = follow.resume();
    let target = channel::target(resume);
    let mut random = [0; channel::NONCE_CHARS / 2];
    aws_lc_rs::rand::fill(&mut random).map_err(|_| Lost::Random)?;
    let nonce = hex(&random);
    // Ends with this function, and the connection with it.
    let mut driver = JoinSet::new();
    let mut body = ask(options, &target, &nonce, &mut driver).await?.into_body();
    status.connected(true);

    let mut chain = Chain::start(&options.key, &nonce, &target);
    let mut session = Session::new(follow.highest(), resume.map(|Resume { point, .. }| point));
    let (mut lines, mut in_step) = (Lines::default(), false);
    let mut silent_at = Instant::now() + options.timing.silence;
    loop {
        let frame = timeout_at(silent_at, poll_fn(|context| Pin::new(&mut body).poll_frame(context))).await.map_err(|_| Lost::Silent)?;
        let Some(frame) = frame.transpose()? else { return Ok(()) };
        let Some(data) = frame.data_ref() else { continue };
        lines.feed::<Lost>(data, |line| {
            let json = chain.open(line)?;
            let now = (options.wall_clock)();
            status.contact(now);
            silent_at = Instant::now() + options.timing.silence;
            let step = session.line(json)?;
            match step {
                Step::Resume(_) | Step::Complete(_) | Step::Commit(..) => in_step = true,
                Step::Head(_) => *settled |= in_step,
                Step::Begin(_) | Step::Record(_) => {}
            }
            Ok(follow.take(step, json, now)?)
        })?;
    }
}

/// Connects and asks; the answer is there when its head is.
async fn ask(options: &Options, target: &str, nonce: &str, driver: &mut JoinSet<()>) -> Result<Response<Incoming>, Lost> {
    let time = (options.wall_clock)().milliseconds().to_string();
    let signed = channel::Request { target, time: &time, nonce, gateway: &options.gateway };
    let request = Request::get(target)
        .header(header::HOST, &options.address)
        .header(channel::GATEWAY_HEADER, &options.gateway)
        .header(channel::TIME_HEADER, &time)
        .header(channel::NONCE_HEADER, nonce)
        .header(channel::SIGNATURE_HEADER, signed.sign(&options.key))
        .body(Nothing)?;
    let connect = options.timing.connect;
    let connected = timeout(connect, TcpStream::connect(&options.address)).await.map_err(|_| Lost::Slow("connecting"))?;
    let stream = connected.map_err(Lost::Unreachable)?;
    // Nothing is sent after the request: only this notices a control plane that vanished before it got it.
    let _ = SockRef::from(&stream).set_tcp_user_timeout(Some(connect));
    let mut builder = http1::Builder::new();
    builder.max_buf_size(BUFFER_BYTES_MAX).max_headers(HEADERS_MAX);
    let (mut sender, connection) = builder.handshake(TokioIo::new(stream)).await?;
    driver.spawn(async move {
        // How it ends, the body says.
        let _ = connection.await;
    });
    let response = timeout(connect, sender.send_request(request)).await.map_err(|_| Lost::Slow("the answer"))??;
    if response.status().is_success() { Ok(response) } else { Err(Lost::Refused(response.status().to_string())) }
}

/// No body.
struct Nothing;

impl Body for Nothing {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<hyper::body::Frame<Bytes>, Self::Error>>> {
        std::task::Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        true
    }
}
