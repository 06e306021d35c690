//! One request, one answer, for the commands that are clients.

use std::pin::Pin;
use std::time::Duration;

use ::http::Request;
use ::http::response::Parts;
use anyhow::Context as _;
use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::credential::Target;

/// Longest time for the whole exchange.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Sends a request and reads the whole answer.
pub(super) async fn exchange(target: &Target, request: Request<Whole>) -> anyhow::Result<(Parts, Vec<u8>)> {
    let answer = tokio::time::timeout(TIMEOUT, converse(target, request)).await;
    answer.with_context(|| format!("no answer within {} seconds", TIMEOUT.as_secs()))?
}

async fn converse(target: &Target, request: Request<Whole>) -> anyhow::Result<(Parts, Vec<u8>)> {
    let authority = if target.host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok()) {
        target.host.clone()
    } else {
        format!("{}:80", target.host)
    };
    let stream = TcpStream::connect(&authority).await.with_context(|| format!("cannot connect to `{authority}`"))?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let answer = async {
        let (head, mut incoming) = sender.send_request(request).await?.into_parts();
        let body = read(&mut incoming).await?;
        Ok((head, body))
    };
    tokio::select! {
        answer = answer => answer,
        // The connection only ends by itself when it fails.
        ended = connection => Err(ended.err().map_or_else(|| anyhow::anyhow!("the connection was closed"), Into::into)),
    }
}

async fn read(incoming: &mut Incoming) -> anyhow::Result<Vec<u8>> {
    let mut body = Vec::new();
    while let Some(frame) = std::future::poll_fn(|context| Pin::new(&mut *incoming).poll_frame(context)).await {
        if let Ok(data) = frame?.into_data() {
            body.extend_from_slice(&data);
        }
    }
    Ok(body)
}

/// A body that is all there.
pub(super) struct Whole(pub(super) Option<Bytes>);

impl Body for Whole {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<Bytes>, std::convert::Infallible>>> {
        std::task::Poll::Ready(self.0.take().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.as_ref().map_or(0, |bytes| bytes.len() as u64))
    }
}
