//! Bodies both ways: streamed as they come, watched by the connection's deadline.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use aws_lc_rs::digest;
use bytes::{Bytes, BytesMut};
use hyper::body::{Body, Frame, Incoming, SizeHint};

use super::deadline::{Deadline, Phase};
use super::exchange::Exchange;
use super::upstream::{Lease, Pool};

/// A request's body on its way to the upstream. Trailers are not forwarded.
pub(super) struct RequestBody {
    /// What was read before forwarding began.
    head: Option<Bytes>,
    rest: Option<Incoming>,
    /// It broke off while it was read for a decision: what comes after is not its end.
    broken: bool,
    /// What it has to be.
    check: Option<Check>,
    deadline: Rc<Deadline>,
}

/// A body that has to have a certain SHA-256. Its last piece is held back until it has.
struct Check {
    digest: digest::Context,
    expected: [u8; 32],
    held: Option<Bytes>,
    is_other: Rc<Cell<bool>>,
}

/// Why a body was not passed on to its end.
#[derive(Debug, thiserror::Error)]
pub(super) enum BodyError {
    /// The client broke off, or what it sent is not HTTP.
    #[error("the client's body broke off")]
    Client(#[source] hyper::Error),
    /// It is not the one that was signed.
    #[error("the body is not the one that was signed")]
    Other,
}

/// How reading a body for a decision went.
pub(super) enum Collected {
    /// All of it is here.
    Whole,
    /// It is larger than the limit; what was read will still be forwarded.
    TooLarge,
    /// It broke off or did not arrive in time.
    Broken,
}

impl RequestBody {
    /// A body that is streamed through.
    pub(super) fn streaming(body: Incoming, deadline: Rc<Deadline>) -> Self {
        let rest = (!body.is_end_stream()).then_some(body);
        deadline.upload_begins();
        // A body of no bytes is here already.
        let head = rest.is_none().then(Bytes::new);
        if rest.is_none() {
            deadline.upload_ended();
        }
        Self { head, rest, broken: false, check: None, deadline }
    }

    /// No body, on the same connection.
    pub(super) fn none(deadline: Rc<Deadline>) -> Self {
        Self { head: None, rest: None, broken: false, check: None, deadline }
    }

    /// From here on the body ends only if this is its SHA-256. What is returned says later whether it was another.
    ///
    /// SECURITY: before that is certain the last piece must not be passed on, nor the end of the body be told.
    /// Test: `a_body_with_another_hash_never_comes_whole`.
    pub(super) fn must_be(&mut self, expected: [u8; 32]) -> Rc<Cell<bool>> {
        let is_other = Rc::new(Cell::new(false));
        self.check = Some(Check { digest: digest::Context::new(&digest::SHA256), expected, held: None, is_other: Rc::clone(&is_other) });
        is_other
    }

    /// Whether nothing will come.
    pub(super) fn is_empty(&self) -> bool {
        self.head.as_ref().is_none_or(Bytes::is_empty) && self.rest.is_none() && self.held() == 0
    }

    /// How many bytes are held back.
    fn held(&self) -> usize {
        self.check.as_ref().and_then(|check| check.held.as_ref()).map_or(0, Bytes::len)
    }

    /// Reads the whole body into memory, at most `bytes_max` bytes.
    pub(super) async fn collect(&mut self, bytes_max: usize) -> Collected {
        if self.broken {
            return Collected::Broken;
        }
        let mut gathered = BytesMut::from(self.head.take().unwrap_or_default());
        let deadline = Rc::clone(&self.deadline);
        while let Some(rest) = &mut self.rest {
            let frame = std::future::poll_fn(|context| Pin::new(&mut *rest).poll_frame(context));
            match deadline.race(frame).await {
                // The whole body has the time of one piece: nobody keeps a decision waiting by dripping.
                Some(Some(Ok(frame))) => {
                    if let Ok(data) = frame.into_data() {
                        gathered.extend_from_slice(&data);
                    }
                    if gathered.len() > bytes_max {
                        self.head = Some(gathered.freeze());
                        return Collected::TooLarge;
                    }
                }
                Some(None) => self.rest = None,
                Some(Some(Err(_))) | None => {
                    self.broken = true;
                    return Collected::Broken;
                }
            }
        }
        self.head = Some(gathered.freeze());
        Collected::Whole
    }

    /// The whole body, once it was collected.
    pub(super) fn whole(&self) -> Option<&[u8]> {
        match (&self.head, &self.rest) {
            (Some(bytes), None) => Some(bytes),
            (Some(_) | None, _) => None,
        }
    }

    /// As much of the body as was read by now, but no more than this.
    pub(super) fn beginning(&self, bytes_max: usize) -> &[u8] {
        let head = self.head.as_deref().unwrap_or_default();
        head.get(..bytes_max).unwrap_or(head)
    }

    /// The next piece as the client sent it.
    fn poll_sent(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Some(head) = self.head.take()
            && !head.is_empty()
        {
            if self.rest.is_none() {
                self.deadline.upload_ended();
            }
            return Poll::Ready(Some(Ok(Frame::data(head))));
        }
        loop {
            let Some(rest) = &mut self.rest else { return Poll::Ready(None) };
            let polled = Pin::new(rest).poll_frame(context);
            match polled {
                Poll::Pending => {
                    self.deadline.upload_awaited();
                    return Poll::Pending;
                }
                Poll::Ready(Some(Ok(frame))) if frame.is_data() => {
                    self.deadline.uploaded();
                    // hyper does not ask again after the last byte that was announced.
                    if self.rest.as_ref().is_some_and(Incoming::is_end_stream) {
                        self.rest = None;
                        self.deadline.upload_ended();
                    }
                    return Poll::Ready(Some(Ok(frame)));
                }
                Poll::Ready(Some(Ok(_trailers))) => {}
                Poll::Ready(Some(Err(error))) => {
                    self.deadline.upload_broke();
                    return Poll::Ready(Some(Err(BodyError::Client(error))));
                }
                Poll::Ready(None) => {
                    self.rest = None;
                    self.deadline.upload_ended();
                    return Poll::Ready(None);
                }
            }
        }
    }

    /// The piece before the one that the client sent last; the last one when all together is what it has to be.
    fn poll_checked(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        loop {
            let sent = ready!(self.poll_sent(context)).transpose()?;
            let Some(frame) = sent else { return Poll::Ready(self.checked().transpose()) };
            let Some(check) = &mut self.check else { return Poll::Ready(Some(Ok(frame))) };
            let Some(data) = frame.into_data().ok().filter(|data| !data.is_empty()) else { continue };
            check.digest.update(&data);
            if let Some(before) = check.held.replace(data) {
                return Poll::Ready(Some(Ok(Frame::data(before))));
            }
        }
    }

    /// All of the body was read: its last piece, if it is the body that was signed.
    fn checked(&mut self) -> Result<Option<Frame<Bytes>>, BodyError> {
        let Some(check) = self.check.take() else { return Ok(None) };
        if check.digest.finish().as_ref() == check.expected {
            return Ok(check.held.map(Frame::data));
        }
        check.is_other.set(true);
        // As much as if the client had broken off: the backend's connection is good for nothing more.
        self.deadline.upload_broke();
        Err(BodyError::Other)
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if self.check.is_some() { self.poll_checked(context) } else { self.poll_sent(context) }
    }

    fn is_end_stream(&self) -> bool {
        self.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        let head = self.head.as_ref().map_or(0, |head| head.len() as u64) + self.held() as u64;
        match &self.rest {
            None => SizeHint::with_exact(head),
            Some(rest) => {
                let mut hint = rest.size_hint();
                if let Some(upper) = hint.upper() {
                    hint.set_upper(upper + head);
                }
                hint.set_lower(hint.lower() + head);
                hint
            }
        }
    }
}

/// An answer's body on its way to the client: our own text, or the upstream's stream.
pub(super) enum ResponseBody {
    /// Our own.
    Text { text: Option<Bytes>, exchange: Exchange },
    /// The upstream's.
    Stream(Box<Stream>),
}

/// An upstream's answer being passed on.
pub(super) struct Stream {
    incoming: Incoming,
    lease: Option<(Lease, Rc<Pool>)>,
    exchange: Exchange,
    deadline: Rc<Deadline>,
}

impl ResponseBody {
    /// A text of ours.
    pub(super) fn text(text: Bytes, mut exchange: Exchange) -> Self {
        exchange.add_bytes(text.len());
        Self::Text { text: Some(text), exchange }
    }

    /// An upstream's body; its connection goes back to the pool when the body has ended.
    pub(super) fn stream(incoming: Incoming, lease: Lease, pool: Rc<Pool>, exchange: Exchange, deadline: Rc<Deadline>) -> Self {
        deadline.enter(Phase::Answer);
        Self::Stream(Box::new(Stream { incoming, lease: Some((lease, pool)), exchange, deadline }))
    }
}

impl Stream {
    /// The whole answer was read: the connection can serve the next request.
    fn finish(&mut self) {
        if let Some((lease, pool)) = self.lease.take() {
            self.exchange.complete();
            // A backend may answer before it has the whole request: nobody else should wait for the rest of it.
            if self.deadline.upload_is_over() {
                pool.give_back(lease);
            }
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if self.incoming.is_end_stream() {
            self.finish();
        }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match self.get_mut() {
            Self::Text { text, exchange } => {
                exchange.complete();
                Poll::Ready(text.take().filter(|text| !text.is_empty()).map(|text| Ok(Frame::data(text))))
            }
            Self::Stream(stream) => loop {
                return match Pin::new(&mut stream.incoming).poll_frame(context) {
                    Poll::Pending => Poll::Pending,
                    Poll::Ready(Some(Ok(frame))) => {
                        let Some(data) = frame.data_ref() else { continue };
                        stream.exchange.add_bytes(data.len());
                        stream.deadline.enter(Phase::Answer);
                        if stream.incoming.is_end_stream() {
                            stream.finish();
                        }
                        Poll::Ready(Some(Ok(frame)))
                    }
                    Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(error))),
                    Poll::Ready(None) => {
                        stream.finish();
                        Poll::Ready(None)
                    }
                };
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Text { text, .. } => text.as_ref().is_none_or(Bytes::is_empty),
            Self::Stream(stream) => stream.incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Text { text, .. } => SizeHint::with_exact(text.as_ref().map_or(0, |text| text.len() as u64)),
            Self::Stream(stream) => stream.incoming.size_hint(),
        }
    }
}
