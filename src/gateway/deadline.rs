//! Deadlines of client connections: one cell per connection, one sweep per worker, no timer per request.
//!
//! Timers of the runtime cost 3 % of a request (reference measurements); a coarse clock and a sweep cost nothing.
//! The price is resolution: a deadline is noticed up to [`SWEEP_EVERY`] late.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::config::Timeouts;

/// How often the coarse clock ticks.
pub(super) const TICK: Duration = Duration::from_millis(64);
/// How often deadlines are looked at.
pub(super) const SWEEP_EVERY: Duration = Duration::from_millis(256);

/// A worker's coarse clock: milliseconds since the worker started.
pub(super) type Clock = Rc<Cell<u64>>;

/// What a connection is waiting for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// The rest of a request's head.
    Head,
    /// The next request.
    Idle,
    /// The next piece of a request's body.
    Upload,
    /// The head of the upstream's answer.
    Upstream,
    /// The next piece of the answer, or room to write it.
    Answer,
}

/// How far a request's body has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Upload {
    /// More will come; nobody waits for it just now.
    Expected,
    /// Somebody waits for the client to send more.
    Awaited,
    /// All of it was passed on.
    Ended,
    /// It broke.
    Broken,
}

/// One connection's deadline.
pub(super) struct Deadline {
    clock: Clock,
    timeouts: Timeouts,
    phase: Cell<Phase>,
    at_ms: Cell<u64>,
    upstream: Cell<Duration>,
    expired: Cell<bool>,
    racing: Cell<bool>,
    upload: Cell<Upload>,
    waker: RefCell<Option<Waker>>,
}

impl Deadline {
    /// A fresh connection: its first head is awaited.
    pub(super) fn new(clock: Clock, timeouts: Timeouts) -> Self {
        let deadline = Self {
            clock,
            timeouts,
            phase: Cell::new(Phase::Head),
            at_ms: Cell::new(0),
            upstream: Cell::new(timeouts.body_idle),
            expired: Cell::new(false),
            racing: Cell::new(false),
            upload: Cell::new(Upload::Ended),
            waker: RefCell::new(None),
        };
        deadline.enter(Phase::Head);
        deadline
    }

    /// Enters a phase with its full time.
    pub(super) fn enter(&self, phase: Phase) {
        let time = match phase {
            Phase::Head => self.timeouts.head,
            Phase::Idle => self.timeouts.idle,
            Phase::Upload | Phase::Answer => self.timeouts.body_idle,
            Phase::Upstream => self.upstream.get(),
        };
        self.phase.set(phase);
        self.expired.set(false);
        self.at_ms.set(self.clock.get() + u64::try_from(time.as_millis()).unwrap_or(u64::MAX / 2));
    }

    /// How long [`Phase::Upstream`] lasts for the request at hand.
    pub(super) fn set_upstream(&self, time: Duration) {
        self.upstream.set(time);
    }

    /// Bytes came in: between requests they are the start of a head.
    pub(super) fn bytes_read(&self) {
        if self.phase.get() == Phase::Idle {
            self.enter(Phase::Head);
        }
    }

    /// A request's body begins.
    pub(super) fn upload_begins(&self) {
        self.upload.set(Upload::Expected);
        self.enter(Phase::Upload);
    }

    /// Somebody wants the next piece of the body, and the client has not sent it.
    pub(super) fn upload_awaited(&self) {
        self.upload.set(Upload::Awaited);
    }

    /// A piece of the request's body came in. An answer that has begun, or ended, keeps its own phase.
    pub(super) fn uploaded(&self) {
        self.upload.set(Upload::Expected);
        match self.phase.get() {
            Phase::Upload | Phase::Upstream => self.enter(Phase::Upload),
            other @ (Phase::Head | Phase::Idle | Phase::Answer) => self.enter(other),
        }
    }

    /// The request's body has ended, or there is none: the answer is awaited, unless it has begun.
    pub(super) fn upload_ended(&self) {
        self.upload.set(Upload::Ended);
        if self.phase.get() == Phase::Upload {
            self.enter(Phase::Upstream);
        }
    }

    /// The request's body broke off or is not HTTP.
    pub(super) fn upload_broke(&self) {
        self.upload.set(Upload::Broken);
    }

    /// Whether the whole body has been passed on.
    pub(super) fn upload_is_over(&self) -> bool {
        self.upload.get() == Upload::Ended
    }

    /// Whether a deadline that passed was the client's: the next piece of its body was awaited.
    pub(super) fn upload_is_awaited(&self) -> bool {
        self.upload.get() == Upload::Awaited
    }

    /// Whether it was the client's body that broke.
    pub(super) fn upload_is_broken(&self) -> bool {
        self.upload.get() == Upload::Broken
    }

    /// Bytes went out: an answer that gets on, or its last bytes, have their full time again.
    pub(super) fn bytes_written(&self) {
        match self.phase.get() {
            phase @ (Phase::Answer | Phase::Idle) => self.enter(phase),
            Phase::Head | Phase::Upload | Phase::Upstream => {}
        }
    }

    /// Called by the sweep.
    pub(super) fn sweep(&self) {
        if self.clock.get() >= self.at_ms.get() && !self.expired.get() {
            self.expired.set(true);
            self.wake();
        }
    }

    /// Wakes the connection's task.
    pub(super) fn wake(&self) {
        if let Some(waker) = self.waker.borrow().as_ref() {
            waker.wake_by_ref();
        }
    }

    /// Remembers the connection's task.
    pub(super) fn watch(&self, context: &Context<'_>) {
        let mut waker = self.waker.borrow_mut();
        if !waker.as_ref().is_some_and(|waker| waker.will_wake(context.waker())) {
            *waker = Some(context.waker().clone());
        }
    }

    /// Whether the connection itself must end: expired, and nobody is there to answer for it.
    pub(super) fn must_close(&self) -> bool {
        self.expired.get() && !self.racing.get()
    }

    /// The future's output, or `None` when the deadline passes first.
    pub(super) async fn race<F: Future>(&self, future: F) -> Option<F::Output> {
        let mut future = pin!(future);
        let outcome = std::future::poll_fn(|context| self.poll_race(future.as_mut(), context)).await;
        self.racing.set(false);
        outcome
    }

    fn poll_race<F: Future>(&self, future: Pin<&mut F>, context: &mut Context<'_>) -> Poll<Option<F::Output>> {
        if let Poll::Ready(output) = future.poll(context) {
            return Poll::Ready(Some(output));
        }
        if self.expired.get() {
            self.expired.set(false);
            return Poll::Ready(None);
        }
        self.racing.set(true);
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_passes_only_when_its_phase_has_used_its_time() {
        let clock: Clock = Rc::default();
        let deadline = Deadline::new(Rc::clone(&clock), Timeouts::default());
        clock.set(9_999);
        deadline.sweep();
        assert!(!deadline.must_close());
        clock.set(10_000);
        deadline.sweep();
        assert!(deadline.must_close());
    }

    #[test]
    fn an_upload_that_goes_on_beside_the_answer_leaves_the_answers_phase() {
        let clock: Clock = Rc::default();
        let deadline = Deadline::new(Rc::clone(&clock), Timeouts::default());
        deadline.enter(Phase::Answer);
        deadline.uploaded();
        deadline.upload_ended();
        clock.set(60_000);
        deadline.sweep();
        assert!(deadline.must_close());
        deadline.enter(Phase::Idle);
        assert!(!deadline.must_close(), "a new phase starts with its full time");
    }

    #[test]
    fn the_first_byte_after_idling_starts_the_head() {
        let clock: Clock = Rc::default();
        let deadline = Deadline::new(Rc::clone(&clock), Timeouts::default());
        deadline.enter(Phase::Idle);
        clock.set(70_000);
        deadline.bytes_read();
        clock.set(79_000);
        deadline.bytes_read();
        deadline.sweep();
        assert!(!deadline.must_close());
        clock.set(80_000);
        deadline.sweep();
        assert!(deadline.must_close(), "bytes that drip in must not extend the head");
    }
}
