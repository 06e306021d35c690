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
use crate::access::{self, Denial};
use crate::authn::sigv4::{BadChunk, Chunks};

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

/// Why a body is not what it has to be, once that is known.
pub(super) type Objection = Rc<Cell<Option<Denial>>>;

/// What a body has to be.
enum Check {
    /// One that has a certain SHA-256.
    Hash(HashCheck),
    /// One in chunks that verify.
    Chunks(Box<ChunkCheck>),
}

/// A body that has to have a certain SHA-256. Its last piece is held back until it has.
struct HashCheck {
    digest: digest::Context,
    expected: [u8; 32],
    held: Option<Bytes>,
    objection: Objection,
}

/// A body in chunks. What they hold is passed on, as far as it is verified.
struct ChunkCheck {
    chunks: Chunks,
    /// What came and was not looked at yet.
    sent: Bytes,
    /// What was verified before forwarding began.
    ready: Option<Bytes>,
    /// How many bytes will be passed on.
    left: u64,
    finished: bool,
    objection: Objection,
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
    /// It did not arrive in time.
    #[error("the client's body did not arrive in time")]
    Late,
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
    pub(super) fn must_be(&mut self, expected: [u8; 32]) -> Objection {
        let objection = Objection::default();
        let digest = digest::Context::new(&digest::SHA256);
        self.check = Some(Check::Hash(HashCheck { digest, expected, held: None, objection: Rc::clone(&objection) }));
        objection
    }

    /// From here on what the chunks hold is passed on instead of them. What is returned says later why they did not verify.
    ///
    /// SECURITY: a body that holds nothing has ended for the backend when its head is sent, so [`RequestBody::begin`] has to come before.
    /// Test: `a_body_with_a_bad_chunk_never_comes_whole`.
    pub(super) fn must_verify(&mut self, chunks: Chunks) -> Objection {
        let objection = Objection::default();
        let left = chunks.decoded_bytes();
        let check = ChunkCheck { chunks, sent: Bytes::new(), ready: None, left, finished: false, objection: Rc::clone(&objection) };
        self.check = Some(Check::Chunks(Box::new(check)));
        objection
    }

    /// Waits for the first piece of a body in chunks that may be passed on, or for its end.
    pub(super) async fn begin(&mut self) -> Result<(), BodyError> {
        let deadline = Rc::clone(&self.deadline);
        let first = deadline.race(std::future::poll_fn(|context| self.poll_chunks(context))).await.ok_or(BodyError::Late)?;
        let first = first.transpose()?;
        if let Some(Check::Chunks(check)) = &mut self.check {
            check.ready = first;
        }
        Ok(())
    }

    /// Whether nothing will come.
    pub(super) fn is_empty(&self) -> bool {
        match &self.check {
            Some(Check::Chunks(check)) => check.finished && check.ready.is_none(),
            Some(Check::Hash(HashCheck { held: Some(held), .. })) if !held.is_empty() => false,
            Some(Check::Hash(_)) | None => self.head.as_ref().is_none_or(Bytes::is_empty) && self.rest.is_none(),
        }
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
    fn poll_hashed(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        loop {
            let sent = ready!(self.poll_sent(context)).transpose()?;
            let Some(frame) = sent else { return Poll::Ready(self.hashed().transpose()) };
            let Some(Check::Hash(check)) = &mut self.check else { return Poll::Ready(Some(Ok(frame))) };
            let Some(data) = frame.into_data().ok().filter(|data| !data.is_empty()) else { continue };
            check.digest.update(&data);
            if let Some(before) = check.held.replace(data) {
                return Poll::Ready(Some(Ok(Frame::data(before))));
            }
        }
    }

    /// All of the body was read: its last piece, if it is the body that was signed.
    fn hashed(&mut self) -> Result<Option<Frame<Bytes>>, BodyError> {
        let Some(Check::Hash(check)) = self.check.take() else { return Ok(None) };
        if check.digest.finish().as_ref() == check.expected {
            return Ok(check.held.map(Frame::data));
        }
        Err(self.object(&check.objection, access::other_body()))
    }

    /// The next piece that chunks hold.
    fn poll_chunks(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        loop {
            let Some(Check::Chunks(check)) = &mut self.check else { return Poll::Ready(None) };
            let verified = match (check.ready.take(), check.finished) {
                (Some(ready), _) => Ok(Some(ready)),
                (None, true) => return Poll::Ready(None),
                (None, false) => check.chunks.push(&mut check.sent),
            };
            match verified {
                Ok(Some(piece)) => return Poll::Ready(Some(Ok(piece))),
                Ok(None) => {}
                Err(bad) => return Poll::Ready(Some(Err(self.object_to(bad)))),
            }
            let sent = ready!(self.poll_sent(context)).transpose()?;
            let Some(Check::Chunks(check)) = &mut self.check else { return Poll::Ready(None) };
            match sent {
                Some(frame) => check.sent = frame.into_data().unwrap_or_default(),
                None => {
                    check.finished = true;
                    match check.chunks.finish() {
                        Ok(last) => return Poll::Ready(last.map(Ok)),
                        Err(bad) => return Poll::Ready(Some(Err(self.object_to(bad)))),
                    }
                }
            }
        }
    }

    fn poll_verified(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let piece = ready!(self.poll_chunks(context)).transpose()?;
        if let (Some(Check::Chunks(check)), Some(piece)) = (&mut self.check, &piece) {
            check.left -= piece.len() as u64;
        }
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
    }

    fn object_to(&mut self, bad: BadChunk) -> BodyError {
        match &self.check {
            Some(Check::Chunks(check)) => self.object(&check.objection, access::bad_chunk(bad)),
            Some(Check::Hash(_)) | None => BodyError::Other,
        }
    }

    fn object(&self, objection: &Objection, denial: Denial) -> BodyError {
        objection.set(Some(denial));
        // As much as if the client had broken off: the backend's connection is good for nothing more.
        self.deadline.upload_broke();
        BodyError::Other
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &self.check {
            None => self.poll_sent(context),
            Some(Check::Hash(_)) => self.poll_hashed(context),
            Some(Check::Chunks(_)) => self.poll_verified(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        let held = match &self.check {
            Some(Check::Chunks(check)) => return SizeHint::with_exact(check.left),
            Some(Check::Hash(check)) => check.held.as_ref().map_or(0, Bytes::len),
            None => 0,
        };
        let head = (self.head.as_ref().map_or(0, Bytes::len) + held) as u64;
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
